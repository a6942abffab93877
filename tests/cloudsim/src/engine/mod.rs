//! The conversation engine: calls, sessions and who has to say what when.
//!
//! It is a pure state machine. Whoever drives it calls a method with the time, then takes every
//! [`Output`] with [`Engine::poll`], and calls [`Engine::tick`] again at [`Engine::next_timeout`].
//! It knows nothing of sockets, HTTP or media; only of what they mean.
//!
//! A conversation has participants. A participant who is one of our users with a station has a
//! [`Phone`](conversation::Phone), which is served by a session. Sessions are a table of their
//! own, so that one may serve several calls (Line Appearance 1, persistent connections).

mod aside;
mod audio;
mod command;
mod consult;
pub mod conversation;
mod flow;
mod offer;
mod parties;
mod progress;
mod report;
mod session;
mod shared;
mod signal;
#[cfg(test)]
mod tests;
mod timers;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::clock::WallClock;
use crate::gateway::{Direction, FarEndSource, LegConfig, Mix};
use crate::journal::ViolationKind;
use crate::spec::{Deadlines, OutboundStep, Timing};
pub use command::ParticipantPatch;
pub use conversation::{
    CallDirection, CallState, Conversation, Participant, Party, Purpose, RecordingState, SpeakTo,
};
pub use parties::{Guest, MOST_PARTIES};
pub use report::{CallReport, Mark, ParticipantReport};
pub use session::Session;
pub use signal::{Signal, SignalKind};
use timers::{Timer, Timers};

/// Makes the engine's ids; a counter in tests, random otherwise.
pub type Ids = Box<dyn FnMut() -> String + Send>;

/// What the engine has to know of a user to call, or to place a call for.
#[derive(Debug, Clone)]
pub struct UserFacts {
    /// `U`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Whether the user has an effective station.
    pub station: bool,
    /// Whether proposes for inbound calls ask for auto-answer.
    pub auto_answer: bool,
    /// Whether a missing metadata request is a violation.
    pub expects_metadata: bool,
    /// `webRtcCallAppearances` of the station.
    pub line_appearances: u32,
    /// `webRtcPersistentEnabled` of the station.
    pub persistent: bool,
    /// A shared session is offered again for each call it comes to serve.
    pub renegotiates: bool,
    /// The full JID bound last.
    pub newest_resource: Option<String>,
}

/// To whom a stanza goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every connected resource of the user.
    Everywhere,
    /// One full JID.
    Resource(String),
}

/// What the gateway says to a phone. `from` is always the session's peer JID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudStanza {
    /// `<propose>`.
    Propose {
        /// `C`.
        conversation: String,
        /// `inin-autoanswer`.
        auto_answer: bool,
        /// `inin-sdp-over-xmpp`.
        sdp_over_xmpp: bool,
        /// `inin-priv-answer-mode="Auto"`: there is no call behind it.
        eager: bool,
    },
    /// `<retract>`.
    Retract,
    /// JSON-RPC `offer`.
    Offer {
        /// JSON-RPC id: the same for each copy of one re-invite.
        id: String,
        /// `C`.
        conversation: String,
        /// The session description.
        sdp: String,
        /// `reinvite: true`.
        reinvite: bool,
    },
    /// JSON-RPC `iceCandidate` with this fragment.
    Candidate {
        /// The SDP fragment.
        sdp: String,
    },
    /// JSON-RPC `terminate`.
    Terminate {
        /// A Jingle condition.
        reason: String,
    },
    /// A whole `<jingle>` element.
    Jingle {
        /// Its XML.
        xml: String,
    },
    /// A `<jingle>` element that is out of order: to be refused.
    JingleAgain {
        /// Its XML.
        xml: String,
    },
}

/// What a media leg is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// The phone's answer.
    Answer(String),
    /// One of the phone's candidates and the section it is for.
    Candidate {
        /// `candidate:...`
        candidate: String,
        /// `a=mid`.
        mid: String,
    },
    /// Hold or resume.
    Held(bool),
    /// Mute or unmute.
    Muted(bool),
    /// The far end answered: from now on this is heard.
    FarEnd(String),
    /// Several parties: who hears whom. `None`: one far end again.
    Mix(Option<Mix>),
    /// Another offer on the same peer.
    Reoffer {
        /// With new ICE credentials.
        ice_restart: bool,
        /// With this direction.
        direction: Direction,
    },
    /// The end.
    Close,
}

/// What a media leg tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegInput {
    /// An offer was made.
    Offer(String),
    /// A local candidate.
    Candidate(String),
    /// No more local candidates.
    EndOfCandidates,
    /// ICE and DTLS are up.
    Connected,
    /// The first packet from the phone came.
    FirstMedia,
    /// The answer could not be applied.
    AnswerRefused(String),
    /// A candidate could not be applied.
    CandidateRefused(String),
    /// The connection failed.
    Failed(String),
}

/// `persistentState` (genesys-protocol 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PersistentState {
    /// Nobody knows.
    Unknown,
    /// It is up and has no call.
    Persisted,
    /// It serves a call.
    ActiveCall,
    /// It is gone.
    Disconnected,
    /// It could not be made.
    Failed,
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a stanza.
    Stanza {
        /// `U`.
        user: String,
        /// Which of the user's resources.
        to: Target,
        /// The gateway's JID.
        peer: String,
        /// `S`.
        session: String,
        /// What.
        stanza: CloudStanza,
    },
    /// Tell the users a conversation as it is now.
    Notify {
        /// Whom.
        users: Vec<String>,
        /// For `v2.users.U.conversations`.
        conversation: Value,
        /// For `v2.users.U.conversations.calls`.
        calls: Value,
    },
    /// Tell a user about the persistent connection (genesys-protocol 4.6).
    Persistent {
        /// Whom.
        user: String,
        /// How it is now.
        state: PersistentState,
        /// Code and message of an error.
        error: Option<(String, String)>,
    },
    /// Make a media leg, and its first offer.
    OpenLeg {
        /// `S`.
        session: String,
        /// `C`.
        conversation: String,
        /// How it shall be.
        config: LegConfig,
    },
    /// Tell a media leg something.
    Leg {
        /// `S`.
        session: String,
        /// What.
        command: LegCommand,
    },
    /// Let the REST reply with this token go.
    Reply(u64),
    /// A rule was broken.
    Violation {
        /// By whose phone.
        user: String,
        /// Which rule.
        what: ViolationKind,
        /// How.
        detail: String,
    },
    /// Something for the log.
    Note {
        /// About whose phone.
        user: String,
        /// What.
        text: String,
    },
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such conversation.
    #[error("there is no conversation {0}")]
    UnknownConversation(String),
    /// No such participant in it.
    #[error("there is no participant {0} in this conversation")]
    UnknownParticipant(String),
    /// No such communication in it.
    #[error("there is no communication {0} in this conversation")]
    UnknownCommunication(String),
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The user has no station, or is not connected.
    #[error("{0}")]
    NoPhone(String),
}

/// The engine.
pub struct Engine {
    clock: WallClock,
    environment: String,
    timing: Timing,
    deadlines: Deadlines,
    ids: Ids,
    conversations: BTreeMap<String, Conversation>,
    sessions: BTreeMap<String, Session>,
    timers: Timers,
    outputs: VecDeque<Output>,
}

impl Engine {
    /// An engine without calls.
    pub fn new(
        clock: WallClock,
        environment: String,
        timing: Timing,
        deadlines: Deadlines,
        ids: Ids,
    ) -> Self {
        Self {
            clock,
            environment,
            timing,
            deadlines,
            ids,
            conversations: BTreeMap::new(),
            sessions: BTreeMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Does what is due. Must be called after every other method, and at [`Self::next_timeout`].
    pub fn tick(&mut self, now: Duration) {
        while let Some(timer) = self.timers.pop(now) {
            self.fire(now, timer);
        }
    }

    /// The next thing to do, oldest first.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::tick`] next.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// A conversation.
    pub fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.conversations.get(id)
    }

    /// All conversations.
    pub fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// A conversation in the generic shape.
    pub fn conversation_json(&self, id: &str) -> Option<Value> {
        Some(view::conversation(self.conversations.get(id)?, self.clock))
    }

    /// A conversation in the shape of `conversations/calls`.
    pub fn call_json(&self, id: &str) -> Option<Value> {
        Some(view::call_conversation(
            self.conversations.get(id)?,
            self.clock,
        ))
    }

    /// A session.
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// The session that serves a conversation's phone now.
    pub fn session_of(&self, conversation: &str) -> Option<&str> {
        self.conversations
            .get(conversation)?
            .phone()?
            .1
            .session
            .as_deref()
    }

    fn fire(&mut self, now: Duration, timer: Timer) {
        match timer {
            Timer::Announce {
                conversation,
                participant,
                step,
                token,
            } => {
                self.announce(now, &conversation, &participant, step, token);
            }
            Timer::OfferAtOnce {
                conversation,
                participant,
            } => {
                self.offer_at_once(now, &conversation, &participant);
            }
            Timer::LatePropose {
                conversation,
                participant,
            } => self.late_propose(now, &conversation, &participant),
            Timer::AnswerOnShared {
                conversation,
                participant,
            } => self.answer_on_shared(now, &conversation, &participant),
            Timer::Persisted { session } => self.persisted(&session),
            Timer::Propose { session } => self.propose(now, &session),
            Timer::StopAlerting {
                conversation,
                participant,
            } => {
                self.stop_alerting(now, &conversation, &participant);
            }
            Timer::SendOffer { session } => self.send_offer(now, &session),
            Timer::RepeatReinvite { session } => self.repeat_reinvite(now, &session),
            Timer::Established { session } => self.established(now, &session),
            Timer::FarEndAnswers { conversation } => {
                // It may have ended meanwhile.
                let _ = self.answer_far_end(now, &conversation);
            }
            Timer::PartyAnswers {
                conversation,
                participant,
            } => {
                // It may have left meanwhile.
                let _ = self.answer_party(now, &conversation, &participant);
            }
            Timer::Notify { conversation } => self.notify(now, &conversation),
            Timer::EndSession { session, reason } => self.terminate(now, &session, reason),
            Timer::Terminated { conversation } => self.terminated(now, &conversation),
            Timer::AnswerDue { session, offer } => self.answer_due(now, &session, offer),
            Timer::EndOfCandidatesDue { session } => self.end_of_candidates_due(&session),
            Timer::ActiveDue { session } => self.active_due(now, &session),
            Timer::MetadataDue {
                conversation,
                participant,
            } => {
                self.metadata_due(&conversation, &participant);
            }
        }
    }

    fn id(&mut self) -> String {
        (self.ids)()
    }

    fn violate(&mut self, user: &str, what: ViolationKind, detail: impl Into<String>) {
        self.outputs.push_back(Output::Violation {
            user: user.to_owned(),
            what,
            detail: detail.into(),
        });
    }

    fn note(&mut self, user: &str, text: impl Into<String>) {
        self.outputs.push_back(Output::Note {
            user: user.to_owned(),
            text: text.into(),
        });
    }

    /// Tells the conversation as it is to the users in it.
    fn notify(&mut self, now: Duration, conversation: &str) {
        let Some(found) = self.conversations.get_mut(conversation) else {
            return;
        };
        for phone in found
            .participants
            .iter_mut()
            .filter_map(|one| one.phone.as_mut())
        {
            if !phone.announced {
                phone.announced = true;
                phone.marks.push(("first-event".into(), now));
            }
        }
        let output = Output::Notify {
            users: found.users(),
            conversation: view::conversation(found, self.clock),
            calls: view::call_conversation(found, self.clock),
        };
        self.outputs.push_back(output);
    }

    /// Tells it after the pace of events; a REST reply goes out before.
    fn notify_later(&mut self, now: Duration, conversation: &str) {
        self.timers.set(
            now + self.timing.event,
            Timer::Notify {
                conversation: conversation.to_owned(),
            },
        );
    }

    fn leg(&mut self, session: &str, command: LegCommand) {
        self.outputs.push_back(Output::Leg {
            session: session.to_owned(),
            command,
        });
    }

    /// The config a leg starts with, and what is heard once the far end has answered.
    fn silent_until_answered(config: &LegConfig) -> LegConfig {
        match config.far_end {
            // A page's peer is the leg itself: it cannot be exchanged in mid-call.
            FarEndSource::Browser => config.clone(),
            _ => LegConfig {
                far_end: FarEndSource::Silence,
                ..config.clone()
            },
        }
    }
}
