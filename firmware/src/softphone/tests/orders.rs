//! One call's inputs in every order they can come in.

use super::inputs::{answered, event, offer, propose};
use super::script::{World, ready};
use crate::genesys::rest::{RestReply, RestRequest};
use crate::genesys::signal::Reply;
use crate::media::{ConnectionState, PeerEvent};
use crate::softphone::event::Event;
use crate::softphone::{
    Command, CommandId, Input, MediaCommand, Output, RequestId, SoftphoneConfig,
};

/// All orders of `items` that keep the order within each list.
fn merges(lists: &[Vec<&'static str>]) -> Vec<Vec<&'static str>> {
    if lists.iter().all(Vec::is_empty) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, list) in lists.iter().enumerate() {
        if let Some((first, rest)) = list.split_first() {
            let mut left = lists.to_vec();
            left[index] = rest.to_vec();
            for mut tail in merges(&left) {
                tail.insert(0, first);
                all.push(tail);
            }
        }
    }
    all
}

/// Plays one order of a call's inputs; the gateway offers `delay` inputs after it got `proceed`.
fn play(order: &[&'static str], delay: usize) -> (World, Vec<Output>) {
    let mut world = World::new(SoftphoneConfig::default());
    ready("start la=100", &mut world);
    let mut all = Vec::new();
    let mut offer_at = None;
    for step in 0..=order.len() + delay {
        if offer_at == Some(step) {
            all.extend(with_peer(&mut world, offer("S", "C", 1, false)));
        }
        let Some(item) = order.get(step) else {
            continue;
        };
        let command = |command| Input::Command {
            id: CommandId(1),
            command,
        };
        let input = match *item {
            "call" => {
                let params = serde_json::from_str(r#"{"phoneNumber":"1001"}"#).unwrap();
                command(Command::Start(Box::new(params)))
            }
            "reply" => Input::Rest {
                request: placed(&all),
                result: Ok(RestReply::CallPlaced {
                    id: "C".into(),
                    self_uri: String::new(),
                }),
            },
            "propose" => propose("S", "C", order.contains(&"call"), false),
            "accept" => command(Command::Accept("C".into())),
            line => event(line),
        };
        let new = with_peer(&mut world, input);
        let proceeds = |o: &Output| matches!(o, Output::Signal(Reply::Proceed { .. }));
        if new.iter().any(proceeds) {
            offer_at.get_or_insert(step + 1 + delay);
        }
        all.extend(new);
    }
    (world, all)
}

/// One input, and what a peer connection says that it opens.
fn with_peer(world: &mut World, input: Input) -> Vec<Output> {
    let mut new = world.input_now(input);
    let opens = |o: &Output| {
        let Output::Media { command, .. } = o else {
            return false;
        };
        matches!(command, MediaCommand::Open { .. })
    };
    if new.iter().any(opens) {
        for event in [
            answered(),
            PeerEvent::Connection(ConnectionState::Connected),
        ] {
            new.extend(world.input_now(Input::Peer {
                session: "S".into(),
                event,
            }));
        }
    }
    new
}

fn placed(all: &[Output]) -> RequestId {
    all.iter()
        .find_map(|output| match output {
            Output::Rest { request, body } => {
                matches!(body, RestRequest::PlaceCall(_)).then_some(*request)
            }
            _ => None,
        })
        .unwrap()
}

/// Whatever the order, the call is up and everything about it was said once.
fn check_order(order: &[&'static str], delay: usize) {
    let (world, all) = play(order, delay);
    let count = |what: &dyn Fn(&Output) -> bool| all.iter().filter(|o| what(o)).count();
    let events = |what: &dyn Fn(&Event) -> bool| {
        count(&|o| matches!(o, Output::Event(event) if what(event)))
    };
    let seen = [
        count(&|o| matches!(o, Output::Signal(Reply::Proceed { .. }))),
        count(&|o| matches!(o, Output::Signal(Reply::Answer { .. }))),
        count(&|o| matches!(o, Output::CommandDone { result: Ok(_), .. })),
        count(&|o| {
            matches!(
                o,
                Output::Rest {
                    body: RestRequest::Metadata { .. },
                    ..
                }
            )
        }),
        events(&|e| matches!(e, Event::PendingSession(_))),
        events(&|e| matches!(e, Event::SessionStarted(_))),
        events(&|e| matches!(e, Event::ConversationUpdate(u) if !u.added.is_empty())),
    ];
    assert_eq!(seen, [1; 7], "{order:?}, offer {delay} later: {all:#?}");
    let none = events(&|e| {
        matches!(
            e,
            Event::SdkError(_)
                | Event::SessionEnded { .. }
                | Event::CancelPendingSession(_)
                | Event::HandledPendingSession(_)
                | Event::CallGone { .. }
        )
    });
    assert_eq!(none, 0, "{order:?}, offer {delay} later: {all:#?}");
    let calls: Vec<_> = world.phone.calls().collect();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].accepted && !calls[0].pending);
    assert_eq!(calls[0].session_id, Some("S".into()));
    assert_eq!(world.phone.active_conversation(), Some("C".into()));
}

#[test]
fn an_outbound_call_in_every_order() {
    let mut orders = 0;
    for mut order in merges(&[
        vec!["reply"],
        vec!["propose"],
        vec!["C contacting out", "C dialing out", "C connected out"],
    ]) {
        order.insert(0, "call");
        for delay in 0..5 {
            check_order(&order, delay);
            orders += 1;
        }
    }
    assert_eq!(orders, 100);
}

#[test]
fn an_inbound_call_in_every_order() {
    for order in merges(&[
        vec!["propose", "C connected in"],
        vec!["C alerting in", "accept"],
    ]) {
        let connected = order.iter().position(|i| i.starts_with("C connected"));
        if connected < order.iter().position(|i| *i == "accept") {
            continue; // The cloud connects what was answered.
        }
        for delay in 0..5 {
            check_order(&order, delay);
        }
    }
}
