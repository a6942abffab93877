//! Random inputs with faults: whatever comes, nothing is left over, nothing is told twice, and every command is answered.

use super::inputs::{answered, event, offer, propose, signal};
use super::moves::{CONVERSATIONS, Move, SESSIONS, feature, moves, pick, reply};
use super::script::{World, ready};
use super::values::{OTHER, OWN, status_error};
use crate::genesys::CloudEvent;
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::model::{CallState, Conversation};
use crate::genesys::rest::{ParticipantPatch, RestReply, RestRequest};
use crate::genesys::signal::{Candidate, Reason, Signal};
use crate::media::{ConnectionState, MediaError, PeerEvent};
use crate::softphone::acts::Act;
use crate::softphone::event::Event;
use crate::softphone::requests::Purpose;
use crate::softphone::select::own_call;
use crate::softphone::{
    Command, CommandId, Input, MediaCommand, MediaHandling, Output, RequestId, SoftphoneConfig,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    /// The cloud's last word on each conversation.
    told: BTreeMap<ConversationId, CallState>,
    /// What the last `conversationUpdate` said is going on.
    current: BTreeSet<ConversationId>,
    reinvites: bool,
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
            told: BTreeMap::new(),
            current: BTreeSet::new(),
            reinvites,
        }
    }

    fn give(&mut self, input: Input) {
        self.hear(&input);
        let outputs = self.world.input_now(input);
        self.judge_holds(&outputs);
        self.judge(outputs);
        self.judge_digits();
        self.judge_current();
    }

    /// What the cloud said last of each conversation.
    fn hear(&mut self, input: &Input) {
        let mut told = |conversation: &Conversation| {
            if let Some((_, call)) = own_call(conversation, &"U".into(), None) {
                self.told.insert(conversation.id.clone(), call.state);
            }
        };
        match input {
            Input::Cloud(CloudEvent::Conversation(event)) => told(&event.conversation),
            // A reply that comes too late is not listened to.
            Input::Rest { request, .. } if !self.world.phone.requests.contains_key(request) => {}
            Input::Rest {
                result: Ok(RestReply::Conversation(conversation)),
                ..
            } => told(conversation),
            Input::Rest {
                result: Ok(RestReply::Conversations(list)),
                ..
            } => list.iter().for_each(told),
            _ => {}
        }
    }

    /// 6.6.1, 6.10: whoever gets a session of its own, the others are held.
    fn judge_holds(&self, outputs: &[Output]) {
        let phone = &self.world.phone;
        if self.reinvites || !phone.is_concurrent_sessions_enabled() {
            return;
        }
        // Two may open at once: the later one holds the earlier.
        let mut before = self.open.clone();
        for output in outputs {
            let Output::Media {
                session,
                command: MediaCommand::Open { .. },
            } = output
            else {
                continue;
            };
            before.insert(session.clone());
            let Some(opened) = phone.session(session).filter(|session| !session.eager) else {
                continue;
            };
            for call in &phone.calls {
                let unheld = call.known.as_ref().is_some_and(|known| !known.call.held);
                // Within one session the gateway switches.
                let other = call
                    .session
                    .as_ref()
                    .is_some_and(|other| other != session && before.contains(other));
                if other && call.stored && unheld && !call.ending {
                    let holds = outputs.iter().any(|output| {
                        matches!(output, Output::Rest { body: RestRequest::PatchParticipant {
                            conversation,
                            patch: ParticipantPatch::Held(true),
                            ..
                        }, .. } if conversation == &call.id)
                    });
                    assert!(holds, "{} is not held for {}", call.id, opened.conversation);
                }
            }
        }
    }

    /// A call that the cloud connected and a session here carries is in `current`; unless it was another client's when
    /// the cloud told of it.
    fn judge_current(&self) {
        for call in &self.world.phone.calls {
            let told = self.told.get(&call.id);
            let connected = told.is_some_and(|state| state.is_connected_group());
            if connected && call.known.is_some() && call.session.is_some() {
                assert!(
                    self.current.contains(&call.id),
                    "{} is not in current",
                    call.id
                );
            }
        }
    }

    /// One request of digits per conversation at the cloud.
    fn judge_digits(&self) {
        let mut sending = BTreeSet::new();
        for purpose in self.world.phone.requests.values() {
            if let Purpose::Act {
                conversation,
                act: Act::Digits { .. },
                ..
            }
            | Purpose::Find {
                conversation,
                act: Act::Digits { .. },
                ..
            } = purpose
            {
                assert!(sending.insert(conversation), "digits may overtake digits");
            }
        }
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
                for id in &ids {
                    let told = self.told.get(id);
                    assert!(!told.is_some_and(|state| state.is_ended()), "{id} is over");
                }
                for removed in &update.removed {
                    assert!(!ids.contains(&&removed.conversation_id));
                }
                self.current = ids.into_iter().cloned().collect();
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
                let command = match what % 20 {
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
                    8..=10 => feature(*what, conversation, flag),
                    11 => Command::Terminate {
                        session: pick(&SESSIONS, *which).into(),
                    },
                    12 => Command::SetMediaHandling(
                        [
                            MediaHandling::StandardMedia,
                            MediaHandling::StandardMedia,
                            MediaHandling::ReducedMedia,
                            MediaHandling::ReducedMediaHeadsets,
                        ][usize::from(*which) % 4],
                    ),
                    13 if which.is_multiple_of(2) => Command::SkipWrapUp(conversation),
                    13 => Command::WrapUpCodes(conversation),
                    14 => Command::WrapUp {
                        conversation,
                        code: "W".to_owned(),
                        notes: None,
                    },
                    15..=17 => Command::Dtmf {
                        conversation,
                        digits: "2".into(),
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
                    11 if *what > 128 => PeerEvent::Failed(MediaError::NoTelephoneEvent),
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
            6 if which & 32 == 0 => signal(Signal::Retract {
                session: session.into(),
            }),
            6 => Input::Cloud(CloudEvent::AlertingLeader {
                alerting: out,
                configured: which & 16 != 0,
                client_type: None,
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
                    "connected held +P2:agent:connected:object=P-far",
                    "disconnected wrap-up=optional",
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
