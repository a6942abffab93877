//! Sessions that serve more than one call: Line Appearance 1 and persistent connections
//! (genesys-protocol 6.12 and 12.10).
//!
//! While such a session lives, a call rings by its event alone. Whoever answers it does so over
//! REST, and the gateway switches the session's sound to it.

use std::time::Duration;

use super::conversation::{CallDirection, CallState, Participant, Phone};
use super::session::{Session, Stage};
use super::{CommandError, Engine, OutboundStep, Output, PersistentState, Timer, UserFacts};
use crate::gateway::{Direction, LegConfig};
use crate::spec::Form;

/// What a persistent connection's own end is called; clients ignore it (genesys-protocol 4.6).
const ENDPOINT_GONE: &str = "error.ininedgecontrol.connection.webrtc.endpoint.disconnect";

/// Proposes of an eager connection before the gateway gives up.
const EAGER_PROPOSES: u32 = 3;

impl Engine {
    /// The session on which a call of this phone rings without a propose: for one line the live
    /// one, for several lines an idle persistent one (genesys-protocol 6.12 "PC with LA>1").
    pub(super) fn shared_for(&self, conversation: &str, participant: &str) -> Option<String> {
        let one = self
            .conversations
            .get(conversation)?
            .participant(participant)?;
        let phone = one.phone.as_ref()?;
        let session = self.shared_of(one.user.as_deref()?)?;
        let free = phone.one_line || self.calls_on(&session.id).is_empty();
        ((phone.one_line || phone.persistent) && free).then(|| session.id.clone())
    }

    /// A user's shared session, once it is up.
    fn shared_of(&self, user: &str) -> Option<&Session> {
        self.sessions.values().find(|session| {
            session.user == user && session.shared && session.is_up() && !session.ending
        })
    }

    /// Whether a new session of this phone is to be shared: it is the first one of its user.
    pub(super) fn becomes_shared(&self, user: &str, phone: &Phone) -> bool {
        let another = self
            .sessions
            .values()
            .any(|one| one.user == user && one.shared && !one.is_over() && !one.ending);
        (phone.one_line || phone.persistent) && !another
    }

    /// Calls that are not over and whose phone uses this session, as conversation and participant.
    pub(super) fn calls_on(&self, session: &str) -> Vec<(String, String)> {
        let uses = |one: &&Participant| {
            let its = one
                .phone
                .as_ref()
                .and_then(|phone| phone.session.as_deref());
            its == Some(session) && !one.call.state.is_over()
        };
        let all = self.conversations.values().flat_map(|conversation| {
            let own = conversation.participants.iter().filter(uses);
            own.map(|one| (conversation.id.clone(), one.id.clone()))
        });
        all.collect()
    }

    /// A call rings, or starts, on a session that is up already.
    pub(super) fn ring_on(&mut self, now: Duration, id: &str, participant: &str, session: &str) {
        let Ok(one) = self.find(id, participant) else {
            return;
        };
        let direction = one.call.direction;
        let Some(phone) = &mut one.phone else { return };
        phone.session = Some(session.to_owned());
        phone.marks.push(("shared".into(), now));
        let (by_itself, late) = (phone.auto_answer, phone.late_propose);
        if direction == CallDirection::Outbound {
            self.dialing(now, id, participant);
            return;
        }
        if let Some(after) = late {
            let propose = Timer::LatePropose {
                conversation: id.to_owned(),
                participant: participant.to_owned(),
            };
            self.timers.set(now + after, propose);
        }
        if by_itself {
            self.answer_later(now, id, participant);
        }
    }

    /// Connects a call on its shared session, after the pace of events.
    pub(super) fn answer_later(&mut self, now: Duration, id: &str, participant: &str) {
        let answer = Timer::AnswerOnShared {
            conversation: id.to_owned(),
            participant: participant.to_owned(),
        };
        self.timers.set(now + self.timing.event, answer);
    }

    pub(super) fn answer_on_shared(&mut self, now: Duration, id: &str, participant: &str) {
        let alerting = self
            .find(id, participant)
            .is_ok_and(|one| one.call.state == CallState::Alerting);
        if alerting {
            self.tell_the_beginning(now, id);
            self.connected(now, id, participant);
        }
    }

    /// A propose for a call that the phone knows by its event already (6.3 rule 2).
    pub(super) fn late_propose(&mut self, now: Duration, id: &str, participant: &str) {
        let alerting = self
            .find(id, participant)
            .is_ok_and(|one| one.call.state == CallState::Alerting);
        if alerting && let Some(session) = self.new_session(id, participant) {
            self.mark(now, &session, "late-propose");
            self.propose(now, &session);
        }
    }

    /// A call becomes the one that its user hears: its session serves it, and with one line the
    /// cloud holds the others by itself (genesys-protocol 6.10).
    pub(super) fn take_over(&mut self, now: Duration, id: &str, participant: &str) {
        let Ok(one) = self.find(id, participant) else {
            return;
        };
        let user = one.user.clone();
        let Some(phone) = &one.phone else { return };
        let (session, one_line) = (phone.session.clone(), phone.one_line);
        if let Some(session) = session {
            let Some(found) = self.sessions.get_mut(&session) else {
                return;
            };
            let other = found.conversation != id;
            id.clone_into(&mut found.conversation);
            participant.clone_into(&mut found.participant);
            let (asks_again, persistent) = (found.renegotiates, found.persistent && found.shared);
            let says_so = found.form == Form::SdpOverXmpp;
            if other && asks_again && says_so && self.can_reoffer(&session) {
                self.leg(
                    &session,
                    super::LegCommand::Reoffer {
                        ice_restart: false,
                        direction: Direction::SendRecv,
                    },
                );
            }
            if persistent {
                self.tell_persistent(&session, PersistentState::ActiveCall, None);
            }
        }
        if one_line && let Some(user) = user {
            self.hold_others(now, &user, id);
        }
    }

    fn hold_others(&mut self, now: Duration, user: &str, active: &str) {
        let mut held = Vec::new();
        for conversation in self
            .conversations
            .values_mut()
            .filter(|one| one.id != active)
        {
            for one in &mut conversation.participants {
                let talks = matches!(one.call.state, CallState::Connected | CallState::Dialing);
                if one.user.as_deref() == Some(user)
                    && one.phone.is_some()
                    && talks
                    && !one.call.held
                {
                    one.call.held = true;
                    one.call.held_since = Some(now);
                    held.push(conversation.id.clone());
                }
            }
        }
        for conversation in held {
            self.notify(now, &conversation);
            self.rewire(&conversation);
        }
    }

    /// Whether a session goes on when this call is over.
    pub(super) fn outlives(&self, session: &str, id: &str) -> bool {
        let Some(found) = self.sessions.get(session) else {
            return false;
        };
        let used = self.calls_on(session).iter().any(|(other, _)| other != id);
        found.shared && found.is_up() && (used || found.persistent)
    }

    /// A call that is over leaves a session that goes on.
    pub(super) fn leave(&mut self, now: Duration, session: &str, id: &str) {
        let calls = self.calls_on(session);
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        if found.conversation == id
            && let Some((conversation, participant)) = calls.iter().find(|(other, _)| other != id)
        {
            conversation.clone_into(&mut found.conversation);
            participant.clone_into(&mut found.participant);
        }
        let idle = found.persistent && calls.iter().all(|(other, _)| other == id);
        self.wire(session);
        if idle {
            let timer = Timer::Persisted {
                session: session.to_owned(),
            };
            self.timers
                .set(now + self.timing.event + self.timing.ending, timer);
        }
    }

    /// A persistent session without a call is told to be there, if it still is.
    pub(super) fn persisted(&mut self, id: &str) {
        let stays = self
            .sessions
            .get(id)
            .is_some_and(|session| session.shared && session.persistent && session.is_up());
        if stays && self.calls_on(id).is_empty() {
            self.tell_persistent(id, PersistentState::Persisted, None);
        }
    }

    /// What a shared session's end means for others: calls that rang on it are proposed, another
    /// session takes its place, and the persistent connection is told to be gone.
    pub(super) fn shared_ended(&mut self, now: Duration, id: &str, by_phone: bool) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        let (user, persistent, was_up) = (
            session.user.clone(),
            session.persistent,
            session.media_since.is_some(),
        );
        session.shared = false;
        if let Some(next) = self
            .sessions
            .values_mut()
            .find(|one| persistent && one.user == user && one.is_up() && !one.ending)
        {
            next.shared = true;
        }
        for (conversation, participant) in self.calls_on(id) {
            let Ok(one) = self.find(&conversation, &participant) else {
                continue;
            };
            let pending = one.call.state.is_pending();
            let Some(phone) = &mut one.phone else {
                continue;
            };
            if pending && phone.marks.iter().any(|(what, _)| what == "shared") {
                phone.session = None;
                let propose = Timer::Announce {
                    conversation,
                    participant,
                    step: OutboundStep::Propose,
                    token: None,
                };
                self.timers.set(now + self.timing.event, propose);
            }
        }
        if persistent && was_up {
            let error = by_phone.then(|| {
                (
                    ENDPOINT_GONE.to_owned(),
                    "The endpoint disconnected".to_owned(),
                )
            });
            self.tell_persistent(id, PersistentState::Disconnected, error);
        }
    }

    pub(super) fn tell_persistent(
        &mut self,
        session: &str,
        state: PersistentState,
        error: Option<(String, String)>,
    ) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        if found.told == Some(state) {
            return;
        }
        found.told = Some(state);
        let user = found.user.clone();
        self.outputs
            .push_back(Output::Persistent { user, state, error });
    }

    /// Sets a persistent connection up before there is a call: a propose that the phone answers
    /// by itself, `inin-priv-answer-mode="Auto"`, for a conversation that does not exist.
    ///
    /// # Errors
    /// [`CommandError`] if the user has no station, or has a shared session already.
    pub fn set_up_eagerly(
        &mut self,
        now: Duration,
        user: &UserFacts,
        form: Form,
        leg: LegConfig,
    ) -> Result<String, CommandError> {
        if !user.station {
            let text = format!("{} has no station to connect", user.name);
            return Err(CommandError::NoPhone(text));
        }
        let phone = Phone {
            persistent: true,
            ..Phone::of(user, form, leg)
        };
        if !self.becomes_shared(&user.id, &phone) {
            let text = format!("{} has a shared session already", user.name);
            return Err(CommandError::Conflict(text));
        }
        let (id, conversation) = (self.id(), self.id());
        let mut session = self.blank_session(id.clone(), user.id.clone(), &phone);
        session.conversation = conversation;
        session.eager = true;
        self.sessions.insert(id.clone(), session);
        self.propose(now, &id);
        Ok(id)
    }

    /// Whether an eager propose has been ignored long enough.
    pub(super) fn gives_up_eagerly(&self, id: &str) -> bool {
        self.sessions
            .get(id)
            .is_some_and(|session| session.eager && session.proposes >= EAGER_PROPOSES)
    }

    /// Loses a user's shared session: with a terminate, or without a word when `silently`.
    /// Calls on it end with an error.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] if there is none.
    pub fn lose_shared(
        &mut self,
        now: Duration,
        user: &str,
        silently: bool,
    ) -> Result<(), CommandError> {
        let Some(id) = self.shared_of(user).map(|session| session.id.clone()) else {
            let text = "this user has no shared session that is up".into();
            return Err(CommandError::Conflict(text));
        };
        if silently {
            self.close_session(now, &id, false);
        }
        self.fail(now, &id, "connectivity-error");
        Ok(())
    }

    /// The sessions of a user that are not over.
    pub fn sessions_of(&self, user: &str) -> impl Iterator<Item = &Session> {
        self.sessions
            .values()
            .filter(move |session| session.user == user && session.stage != Stage::Ended)
    }
}
