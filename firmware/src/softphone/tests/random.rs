//! Random inputs with faults: whatever comes, nothing is left over, nothing is told twice, and every command is answered.

use super::inputs::{answered, event, offer, propose, signal};
use super::script::{World, ready};
use super::values::{OTHER, OWN, conversation_of, status_error};
use crate::genesys::CloudEvent;
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::rest::{RestError, RestReply, RestRequest};
use crate::genesys::signal::{Candidate, Reason, Signal};
use crate::media::{ConnectionState, MediaError, PeerEvent};
use crate::softphone::event::Event;
use crate::softphone::{
    Command, CommandId, Input, MediaCommand, Output, RequestId, SoftphoneConfig,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the random world can do next.
#[derive(Clone, Debug)]
enum Move {
    Cloud(u8, u8),
    Command(u8, u8),
    Rest(u8, u8),
    Peer(u8, u8),
    Wait(u32),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Cloud(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Command(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Rest(a, b)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Move::Peer(a, b)),
        2 => prop_oneof![0u32..1_000, 0u32..90_000].prop_map(Move::Wait),
    ];
    proptest::collection::vec(one, 1..60)
}

/// Follows all that comes out, and complains about what must not.
struct Judge {
    world: World,
    commands: u64,
    answered: BTreeMap<CommandId, usize>,
    requests: Vec<(RequestId, RestRequest)>,
    open: BTreeSet<SessionId>,
    pending: BTreeSet<ConversationId>,
    legs: BTreeSet<ConversationId>,
    started: BTreeMap<(SessionId, ConversationId), i32>,
    shown: BTreeSet<ConversationId>,
    reinvites: bool,
}

const SESSIONS: [&str; 3] = ["S1", "S2", "S3"];
const CONVERSATIONS: [&str; 2] = ["C1", "C2"];

fn pick<'a>(list: &[&'a str], by: u8) -> &'a str {
    list[usize::from(by) % list.len()]
}

impl Judge {
    fn new(setup: &str, config: SoftphoneConfig, reinvites: bool) -> Self {
        let mut world = World::new(config);
        ready(setup, &mut world);
        Self {
            world,
            commands: 0,
            answered: BTreeMap::new(),
            requests: Vec::new(),
            open: BTreeSet::new(),
            pending: BTreeSet::new(),
            legs: BTreeSet::new(),
            started: BTreeMap::new(),
            shown: BTreeSet::new(),
            reinvites,
        }
    }

    fn give(&mut self, input: Input) {
        let outputs = self.world.input_now(input);
        self.judge(outputs);
    }

    fn judge(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Rest { request, body } => self.requests.push((request, body)),
                Output::Signal(_) => {}
                Output::Media { session, command } => match command {
                    MediaCommand::Open { .. } => assert!(self.open.insert(session), "opened twice"),
                    MediaCommand::Close => assert!(self.open.remove(&session), "closed twice"),
                    _ => assert!(self.open.contains(&session), "{command:?} to a closed peer"),
                },
                Output::CommandDone { id, .. } => {
                    let times = self.answered.entry(id).or_default();
                    *times += 1;
                    assert_eq!(*times, 1, "{id:?} was answered twice");
                }
                Output::Event(event) => self.judge_event(*event),
            }
        }
    }

    fn judge_event(&mut self, event: Event) {
        match event {
            Event::PendingSession(p) => {
                let new = self.pending.insert(p.conversation_id);
                assert!(new, "announced twice");
            }
            Event::CancelPendingSession(r) => {
                // A new leg may be pending while another session of the call starts anew.
                let open = self.pending.remove(&r.conversation_id);
                let leg = self.legs.remove(&r.conversation_id);
                assert!(open || leg, "cancelled, though not pending");
            }
            Event::HandledPendingSession(r) => {
                // The mocked ones are told of as started first (6.8.7).
                self.pending.remove(&r.conversation_id);
            }
            Event::SessionStarted(s) => {
                let times = self
                    .started
                    .entry((s.id, s.conversation_id.clone()))
                    .or_default();
                *times += 1;
                assert_eq!(*times, 1, "started twice");
                if self.pending.remove(&s.conversation_id) {
                    self.legs.insert(s.conversation_id);
                }
            }
            Event::SessionEnded { session, .. } => {
                let times = self
                    .started
                    .entry((session.id, session.conversation_id))
                    .or_default();
                *times -= 1;
                assert!(self.reinvites || *times == 0, "ended, though not started");
                *times = 0;
            }
            Event::ConversationUpdate(update) => {
                let mut ids: Vec<_> = update.current.iter().map(|c| &c.conversation_id).collect();
                ids.dedup();
                assert_eq!(ids.len(), update.current.len());
                for removed in &update.removed {
                    assert!(!ids.contains(&&removed.conversation_id));
                }
            }
            Event::Call(view) => {
                self.shown.insert(view.conversation_id);
            }
            Event::CallGone { conversation_id } => {
                assert!(
                    self.shown.remove(&conversation_id),
                    "gone, though never shown"
                );
            }
            _ => {}
        }
    }

    fn do_move(&mut self, one: &Move) {
        match one {
            Move::Cloud(what, which) => {
                let input = self.cloud(*what, *which);
                self.give(input);
            }
            Move::Command(what, which) => {
                self.commands += 1;
                let conversation: ConversationId = pick(&CONVERSATIONS, *which).into();
                let flag = which % 4 < 2;
                let command = match what % 9 {
                    0..=2 => Command::Accept(conversation),
                    3 => Command::Reject(conversation),
                    4 => Command::End(conversation),
                    5 => Command::Mute {
                        conversation,
                        mute: flag,
                    },
                    6 => Command::Hold {
                        conversation,
                        held: flag,
                    },
                    7 => Command::Dtmf {
                        conversation,
                        digits: "1".into(),
                    },
                    _ => {
                        let params = serde_json::from_str(r#"{"phoneNumber":"1001"}"#).unwrap();
                        Command::Start(Box::new(params))
                    }
                };
                let id = CommandId(self.commands);
                self.give(Input::Command { id, command });
            }
            Move::Rest(which, how) => {
                if self.requests.is_empty() {
                    return;
                }
                let at = usize::from(*which) % self.requests.len();
                let (request, body) = self.requests.remove(at);
                let result = reply(&body, *how);
                self.give(Input::Rest { request, result });
            }
            Move::Peer(which, what) => {
                if self.open.is_empty() {
                    return;
                }
                let at = usize::from(*which) % self.open.len();
                let session = self.open.iter().nth(at).unwrap().clone();
                let event = match what % 12 {
                    0..=2 => answered(),
                    3..=5 => PeerEvent::Connection(ConnectionState::Connected),
                    6 => PeerEvent::Connection(ConnectionState::Disconnected),
                    7 => PeerEvent::Connection(ConnectionState::Failed),
                    8 => PeerEvent::Connection(ConnectionState::Closed),
                    9 => PeerEvent::Failed(MediaError::NoAudio),
                    10 => PeerEvent::DtmfSent,
                    _ => PeerEvent::Candidate {
                        mid: "audio".to_owned(),
                        candidate: "c".to_owned(),
                    },
                };
                self.give(Input::Peer { session, event });
            }
            Move::Wait(ms) => {
                let outputs = self.world.pass(Duration::from_millis(u64::from(*ms)));
                self.judge(outputs);
            }
        }
    }

    fn cloud(&self, what: u8, which: u8) -> Input {
        let session = pick(&SESSIONS, which);
        let conversation = pick(&CONVERSATIONS, which / 16);
        let out = which & 8 != 0;
        match what % 20 {
            0 | 1 => propose(session, conversation, which & 64 != 0, false),
            2 => propose(session, conversation, false, which & 128 != 0),
            3..=5 => offer(
                session,
                conversation,
                which & 1,
                self.reinvites && which & 2 != 0,
            ),
            6 => signal(Signal::Retract {
                session: session.into(),
            }),
            7 => signal(Signal::Handled {
                session: session.into(),
                from: if out { OWN } else { OTHER }.into(),
            }),
            8 => signal(Signal::Terminate {
                session: session.into(),
                reason: Reason::Success,
            }),
            9 => signal(Signal::Candidate {
                session: session.into(),
                candidate: Candidate {
                    mid: "audio".to_owned(),
                    candidate: "c".to_owned(),
                },
            }),
            10 => Input::Cloud(CloudEvent::Disconnected {
                reason: String::new(),
                reconnecting: true,
            }),
            11 | 12 => Input::Cloud(CloudEvent::Connected {
                reconnect: true,
                full_jid: OWN.into(),
            }),
            state => {
                let state = [
                    "alerting",
                    "alerting",
                    "contacting",
                    "dialing",
                    "connected",
                    "connected held",
                    "disconnected",
                ][usize::from(state - 13)];
                let direction = if out { "out" } else { "in" };
                event(&format!("{conversation} {state} {direction}"))
            }
        }
    }

    /// Everything ends at the cloud, and all that is still asked for is answered so.
    fn finish(&mut self) {
        for conversation in CONVERSATIONS {
            self.give(event(&format!("{conversation} terminated in")));
        }
        for session in SESSIONS {
            self.give(signal(Signal::Terminate {
                session: session.into(),
                reason: Reason::Success,
            }));
        }
        for _ in 0..20 {
            for (request, _) in std::mem::take(&mut self.requests) {
                self.give(Input::Rest {
                    request,
                    result: Err(status_error(404)),
                });
            }
            self.do_move(&Move::Wait(70_000));
        }
        assert_eq!(self.world.phone.sessions().count(), 0, "sessions are left");
        assert_eq!(self.world.phone.calls().count(), 0, "calls are left");
        assert!(
            self.world.phone.calls.is_empty(),
            "{:?}",
            self.world.phone.calls
        );
        assert!(self.world.phone.requests.is_empty());
        assert_eq!(self.world.phone.next_timeout(), None, "a timer is left");
        assert_eq!(
            self.answered.len() as u64,
            self.commands,
            "a command is left"
        );
        assert_eq!(self.open, BTreeSet::new(), "peers are left");
        assert_eq!(self.pending, BTreeSet::new(), "pending sessions are left");
        assert_eq!(self.shown, BTreeSet::new(), "the phone still shows calls");
        let unended = self.started.iter().find(|(_, times)| **times != 0);
        assert_eq!(unended, None, "started, and never ended");
    }
}

fn reply(body: &RestRequest, how: u8) -> Result<RestReply, RestError> {
    match (body, how % 8) {
        (_, 0) => Err(status_error(500)),
        (_, 1) => Err(status_error(404)),
        (RestRequest::PlaceCall(_), _) => Ok(RestReply::CallPlaced {
            id: pick(&CONVERSATIONS, how / 8).into(),
            self_uri: String::new(),
        }),
        (RestRequest::Conversation { conversation }, how) => {
            let state = [
                "alerting in",
                "connected in",
                "connected out",
                "terminated in",
            ];
            let line = format!("{conversation} {}", pick(&state, how));
            let words: Vec<&str> = line.split_whitespace().collect();
            Ok(RestReply::Conversation(Box::new(conversation_of(&words))))
        }
        (RestRequest::ActiveCalls, 2..=4) => {
            Ok(RestReply::Conversations(vec![conversation_of(&[
                pick(&CONVERSATIONS, how / 8),
                "connected",
                "in",
            ])]))
        }
        (RestRequest::ActiveCalls, _) => Ok(RestReply::Conversations(Vec::new())),
        _ => Ok(RestReply::Done),
    }
}

fn run(setup: &str, moves: &[Move], reinvites: bool) {
    let config = SoftphoneConfig {
        take_all_outbound: moves.len().is_multiple_of(3),
        disable_auto_answer: moves.len().is_multiple_of(5),
        ..SoftphoneConfig::default()
    };
    let mut judge = Judge::new(setup, config, reinvites);
    for one in moves {
        judge.do_move(one);
    }
    judge.finish();
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        max_shrink_iters: 100_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn line_appearance_100_survives_anything(moves in moves()) {
        run("start la=100", &moves, false);
    }

    #[test]
    fn line_appearance_1_survives_anything(moves in moves()) {
        run("start la=1", &moves, false);
    }

    #[test]
    fn reinvites_survive_anything(moves in moves()) {
        run("start la=100", &moves, true);
        run("start la=1", &moves, true);
    }

    #[test]
    fn a_persistent_connection_survives_anything(moves in moves()) {
        run("start la=1 persistent", &moves, false);
        run("start la=100 persistent", &moves, false);
    }
}
