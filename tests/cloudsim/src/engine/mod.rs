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
mod output;
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

use serde_json::Value;
use thiserror::Error;

use crate::clock::WallClock;
use crate::gateway::{FarEndSource, LegConfig};
use crate::journal::ViolationKind;
use crate::spec::{Deadlines, OutboundStep, Timing};
pub use command::ParticipantPatch;
pub use conversation::{
    CallDirection, CallState, Conversation, Participant, Party, Purpose, RecordingState, SpeakTo,
};
pub use output::{CloudStanza, LegCommand, LegInput, Output, PersistentState, Target};
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
