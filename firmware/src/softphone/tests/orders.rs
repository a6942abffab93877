//! One call's inputs in every order they can come in.

use super::inputs::{answered, event, offer, propose};
use super::script::{World, ready};
use crate::genesys::rest::{ParticipantPatch, RestReply, RestRequest};
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

/// One item of an order: what it does. `S` is the session, `C` the call.
fn item(text: &'static str, all: &[Output]) -> Input {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["accept", call] => Input::Command {
            id: CommandId(1),
            command: Command::Accept((*call).into()),
        },
        ["propose", session, call] => propose(session, call, false, false),
        ["eager", session, call] => propose(session, call, false, true),
        ["offer", session, call] => offer(session, call, 1, false),
        ["reinvite", session, call] => offer(session, call, 2, true),
        ["answered", session] => Input::Peer {
            session: (*session).into(),
            event: answered(),
        },
        ["connected", session] => Input::Peer {
            session: (*session).into(),
            event: PeerEvent::Connection(ConnectionState::Connected),
        },
        ["patched"] => Input::Rest {
            request: patched(all),
            result: Ok(RestReply::Done),
        },
        _ => event(text),
    }
}

/// The request that answers a call on the shared session.
fn patched(all: &[Output]) -> RequestId {
    let answer = |output: &Output| match output {
        Output::Rest {
            request,
            body:
                RestRequest::PatchParticipant {
                    patch: ParticipantPatch::Connect,
                    ..
                },
        } => Some(*request),
        _ => None,
    };
    all.iter().find_map(answer).unwrap_or(RequestId(u64::MAX))
}

/// Plays `before`, which is no part of the proof, and then one order.
fn play_items(
    setup: &str,
    before: &[&'static str],
    order: &[&'static str],
) -> (World, Vec<Output>) {
    let mut world = World::new(SoftphoneConfig::default());
    ready(setup, &mut world);
    let mut all = Vec::new();
    for text in before {
        let input = item(text, &all);
        all.extend(world.input_now(input));
    }
    all.clear();
    for text in order {
        let input = item(text, &all);
        all.extend(world.input_now(input));
    }
    (world, all)
}

/// How often each is said in `all`: sessionStarted, pendingSession, its end as handled, `added`, metadata, answers to
/// commands.
fn said(all: &[Output], call: &str) -> [usize; 6] {
    let count = |what: &dyn Fn(&Output) -> bool| all.iter().filter(|output| what(output)).count();
    let events = |what: &dyn Fn(&Event) -> bool| {
        count(&|output| matches!(output, Output::Event(event) if what(event)))
    };
    [
        events(&|e| matches!(e, Event::SessionStarted(s) if s.conversation_id.as_str() == call)),
        events(&|e| matches!(e, Event::PendingSession(p) if p.conversation_id.as_str() == call)),
        events(
            &|e| matches!(e, Event::HandledPendingSession(p) if p.conversation_id.as_str() == call),
        ),
        events(&|e| matches!(e, Event::ConversationUpdate(u) if !u.added.is_empty())),
        count(&|o| {
            matches!(
                o,
                Output::Rest {
                    body: RestRequest::Metadata { .. },
                    ..
                }
            )
        }),
        count(&|o| matches!(o, Output::CommandDone { result: Ok(_), .. })),
    ]
}

/// Nothing went wrong, and nothing ended.
fn check_nothing_lost(order: &[&'static str], all: &[Output]) {
    for output in all {
        let Output::Event(event) = output else {
            continue;
        };
        let bad = matches!(
            **event,
            Event::SdkError(_)
                | Event::SessionEnded { .. }
                | Event::CancelPendingSession(_)
                | Event::CallGone { .. }
        );
        assert!(!bad, "{order:?}: {event:?}");
    }
}

const TALKING: [&str; 7] = [
    "C alerting in",
    "propose S C",
    "accept C",
    "offer S C",
    "answered S",
    "connected S",
    "C connected in",
];

/// Those orders in which `second` never comes before `first`.
fn only(orders: Vec<Vec<&'static str>>, first: &str, second: &str) -> Vec<Vec<&'static str>> {
    let at = |order: &[&'static str], text: &str| order.iter().position(|item| *item == text);
    orders
        .into_iter()
        .filter(|order| at(order, first) < at(order, second))
        .collect()
}

/// 6.12: event, our PATCH and its reply, the hold of the first call, in every order the cloud can send them.
#[test]
fn a_second_call_on_the_shared_session_in_every_order() {
    for setup in ["start la=1", "start la=1 persistent"] {
        let orders = merges(&[
            vec!["D alerting in", "accept D", "D connected in"],
            vec!["patched"],
            vec!["C connected in held"],
        ]);
        let orders = only(orders, "accept D", "patched");
        assert_eq!(orders.len(), 10);
        for order in orders {
            let (world, all) = play_items(setup, &TALKING, &order);
            check_nothing_lost(&order, &all);
            assert_eq!(said(&all, "D"), [1, 1, 1, 1, 1, 1], "{order:?}: {all:#?}");
            assert_eq!(world.phone.calls().count(), 2);
            assert_eq!(world.phone.sessions().count(), 1);
            assert_eq!(world.phone.active_conversation(), Some("D".into()));
        }
    }
}

/// 6.12: the first call over an eager connection, which comes up before, between or after its events.
#[test]
fn a_first_call_over_an_eager_connection_in_every_order() {
    let orders = merges(&[
        vec!["offer S F", "answered S", "connected S"],
        vec!["D alerting in", "accept D"],
    ]);
    for mut order in orders {
        order.insert(0, "eager S F");
        order.extend(["patched", "D connected in"]);
        let (world, all) = play_items("start la=1 persistent", &[], &order);
        check_nothing_lost(&order, &all);
        let [started, pending, handled, added, metadata, answers] = said(&all, "D");
        assert_eq!(
            (started, added, metadata, answers),
            (1, 1, 1, 1),
            "{order:?}: {all:#?}"
        );
        // Without a session to share when it began to ring, it was never pending.
        assert_eq!(pending, handled, "{order:?}");
        assert_eq!(world.phone.sessions().count(), 1);
        assert_eq!(world.phone.active_conversation(), Some("D".into()));
    }
}

/// 6.4: the user answers as soon as the phone rings, wherever the propose is by then.
#[test]
fn answering_before_the_propose_in_every_order() {
    let orders = merges(&[
        vec!["D alerting in", "accept D", "D connected in"],
        vec!["propose S D", "propose S D"],
    ]);
    for order in only(orders, "propose S D", "D connected in") {
        let mut order = order;
        order.push("offer S D");
        let (world, all) = play_items("start la=100", &[], &order);
        check_nothing_lost(&order, &all);
        assert_eq!(said(&all, "D"), [1, 1, 0, 1, 1, 1], "{order:?}: {all:#?}");
        assert_eq!(world.phone.sessions().count(), 1);
    }
}

/// 5.7: a re-invite among the events of its call, and its own propose or none.
#[test]
fn a_reinvite_in_every_order() {
    for proposed in [Vec::new(), vec!["propose T C"]] {
        let orders = merges(&[
            vec!["reinvite T C", "answered T", "connected T"],
            vec!["C connected in muted", "C connected in"],
            proposed,
        ]);
        for order in orders {
            let (world, all) = play_items("start la=100", &TALKING, &order);
            let ended = |o: &&Output| matches!(o, Output::Event(event) if matches!(**event, Event::SessionEnded { .. }));
            assert_eq!(all.iter().filter(ended).count(), 1, "{order:?}");
            assert_eq!(said(&all, "C")[0], 0, "{order:?}: told as started");
            let sessions: Vec<_> = world.phone.sessions().collect();
            assert_eq!(sessions.len(), 1, "{order:?}");
            assert_eq!(sessions[0].id, "T".into());
            let calls: Vec<_> = world.phone.calls().collect();
            assert_eq!(calls[0].session_id, Some("T".into()), "{order:?}");
        }
    }
}
