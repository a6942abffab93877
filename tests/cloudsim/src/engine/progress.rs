//! A call from its answer to its end.

use std::time::Duration;

use super::conversation::{CallState, Conversation};
use super::session::Stage;
use super::{CommandError, Engine, Timer};
use crate::journal::ViolationKind;

impl Engine {
    /// The far end of an outbound call answers.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such call, or nothing to answer.
    pub fn answer_far_end(&mut self, now: Duration, id: &str) -> Result<(), CommandError> {
        let conversation = self
            .conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        let Some(own) = conversation
            .participants
            .iter_mut()
            .find(|one| one.phone.is_some())
        else {
            return Err(CommandError::Conflict("this call has no phone".into()));
        };
        match own.call.state {
            CallState::Contacting => {
                // It is rung only when the phone's own leg is up.
                if let Some(phone) = &mut own.phone {
                    phone.answered_early = true;
                }
                Ok(())
            }
            CallState::Dialing => {
                let participant = own.id.clone();
                self.connected(now, id, &participant);
                Ok(())
            }
            state => Err(CommandError::Conflict(format!(
                "the far end cannot answer a call that is {}",
                state.as_str()
            ))),
        }
    }

    /// The far end hangs up, or refuses, or gives up waiting for the phone.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such call, or it is over.
    pub fn hang_up_far_end(&mut self, now: Duration, id: &str) -> Result<(), CommandError> {
        self.end_whole(now, id, "peer")
    }

    /// Ends a call that is not over for everybody; `why` is its disconnect type.
    pub(super) fn end_whole(
        &mut self,
        now: Duration,
        id: &str,
        why: &'static str,
    ) -> Result<(), CommandError> {
        let conversation = self
            .conversations
            .get(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        if conversation.is_over() {
            return Err(CommandError::Conflict("the call is over".into()));
        }
        self.end_with(now, id, why, "success");
        Ok(())
    }

    pub(super) fn stop_alerting(&mut self, now: Duration, conversation: &str, participant: &str) {
        let Some(one) = self
            .conversations
            .get(conversation)
            .and_then(|found| found.participant(participant))
        else {
            return;
        };
        let unanswered = one
            .phone
            .as_ref()
            .and_then(|phone| self.sessions.get(phone.session.as_ref()?))
            .is_none_or(|session| {
                session.stage == Stage::Proposed || session.conversation != conversation
            });
        if one.call.state == CallState::Alerting && unanswered {
            self.out(now, conversation, participant, "timeout", "timeout");
        }
    }

    /// Media is up: the phone's call is connected, or the far end of its call is rung.
    pub(super) fn established(&mut self, now: Duration, session: &str) {
        let Some(session) = self.sessions.get(session) else {
            return;
        };
        if session.eager && session.participant.is_empty() {
            let session = session.id.clone();
            return self.persisted(&session);
        }
        let (id, participant) = (session.conversation.clone(), session.participant.clone());
        self.tell_the_beginning(now, &id);
        let Some(own) = self
            .conversations
            .get_mut(&id)
            .and_then(|found| found.participant_mut(&participant))
        else {
            return;
        };
        match own.call.state {
            CallState::Alerting => self.connected(now, &id, &participant),
            CallState::Contacting => self.dialing(now, &id, &participant),
            _ => {}
        }
    }

    /// The phone's own leg is up: the far end of its call is rung.
    pub(super) fn dialing(&mut self, now: Duration, id: &str, participant: &str) {
        self.tell_the_beginning(now, id);
        let Ok(own) = self.find(id, participant) else {
            return;
        };
        own.set_state(now, CallState::Dialing, None);
        let phone = own.phone.as_ref();
        let early = phone.is_some_and(|phone| phone.answered_early);
        let after = phone.and_then(|phone| phone.answer_after);
        self.take_over(now, id, participant);
        self.notify(now, id);
        self.rewire(id);
        self.guests_ring(now, id);
        let after = if early {
            Some(self.timing.event)
        } else {
            after
        };
        if let Some(after) = after {
            let answers = Timer::FarEndAnswers {
                conversation: id.to_owned(),
            };
            self.timers.set(now + after, answers);
        }
    }

    /// Whatever happens next, the state the call began in is told first.
    pub(super) fn tell_the_beginning(&mut self, now: Duration, id: &str) {
        let told = self.conversations.get(id).is_none_or(|found| {
            let mut phones = found
                .participants
                .iter()
                .filter_map(|one| one.phone.as_ref());
            phones.all(|phone| phone.announced)
        });
        if !told {
            self.notify(now, id);
        }
    }

    /// A phone's call is connected, and whoever waited for it.
    pub(super) fn connected(&mut self, now: Duration, id: &str, participant: &str) {
        let Some(conversation) = self.conversations.get_mut(id) else {
            return;
        };
        let waiting: Vec<String> = conversation
            .participants
            .iter()
            .filter(|one| one.waits_for_another(participant))
            .map(|one| one.id.clone())
            .collect();
        let mut started = Vec::new();
        for one in &mut conversation.participants {
            let stays = one.call.state.is_over() || one.call.state == CallState::Connected;
            if stays || waiting.contains(&one.id) {
                continue;
            }
            one.set_state(now, CallState::Connected, None);
            if one.phone.is_some() {
                started.push(one.id.clone());
            }
        }
        self.take_over(now, id, participant);
        self.notify(now, id);
        self.rewire(id);
        for participant in started {
            let due = Timer::MetadataDue {
                conversation: id.to_owned(),
                participant,
            };
            self.timers.set(now + self.deadlines.metadata, due);
        }
    }

    pub(super) fn metadata_due(&mut self, conversation: &str, participant: &str) {
        let Some(one) = self
            .conversations
            .get(conversation)
            .and_then(|found| found.participant(participant))
        else {
            return;
        };
        let Some(phone) = &one.phone else { return };
        if phone.metadata == 0 && phone.expects_metadata {
            let (user, call) = (one.user.clone().unwrap_or_default(), one.call.id.clone());
            let waited = self.deadlines.metadata;
            self.violate(
                &user,
                ViolationKind::MissingMetadata,
                format!("no metadata request for communication {call} of conversation {conversation} within {waited:?} of event connected"),
            );
        }
    }

    /// Ends a call: event `disconnected`, then the session, then event `terminated`.
    pub(super) fn end_with(
        &mut self,
        now: Duration,
        id: &str,
        why: &'static str,
        reason: &'static str,
    ) {
        if self.conversations.get(id).is_none_or(Conversation::is_over) {
            return;
        }
        self.tell_the_beginning(now, id);
        let Some(conversation) = self.conversations.get_mut(id) else {
            return;
        };
        for one in &mut conversation.participants {
            let own = one.phone.is_some();
            // Seen from the far end, our phone is the peer.
            let theirs = if why == "client" { "peer" } else { "client" };
            one.set_state(
                now,
                CallState::Disconnected,
                Some(if own { why } else { theirs }),
            );
            if why == "error" && own {
                one.call.error = Some((
                    "error.ininedgecontrol.connection.failed".into(),
                    format!("The media session could not be used: {reason}"),
                ));
            }
        }
        let bound: Vec<&String> = conversation
            .participants
            .iter()
            .filter_map(|one| one.phone.as_ref()?.session.as_ref())
            .collect();
        let sessions: Vec<String> = self
            .sessions
            .values()
            .filter(|session| session.conversation == id || bound.contains(&&session.id))
            .filter(|session| !session.is_over())
            .map(|session| session.id.clone())
            .collect();
        self.notify_later(now, id);
        for session in sessions {
            if why != "error" && self.outlives(&session, id) {
                self.leave(now, &session, id);
                continue;
            }
            self.end_session_later(now, session, reason);
        }
        self.settle_consult(id);
        self.timers.set(
            now + self.timing.event + self.timing.ending * 2,
            Timer::Terminated {
                conversation: id.to_owned(),
            },
        );
    }

    pub(super) fn end_session_later(&mut self, now: Duration, id: String, reason: &'static str) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.ending = true;
        // A call that only rings is taken back at once, so that no phone answers it.
        let wait = if session.stage < Stage::Offered {
            Duration::ZERO
        } else {
            self.timing.event + self.timing.ending
        };
        let end = Timer::EndSession {
            session: id,
            reason,
        };
        self.timers.set(now + wait, end);
    }

    pub(super) fn terminated(&mut self, now: Duration, id: &str) {
        let Some(conversation) = self.conversations.get_mut(id) else {
            return;
        };
        for one in &mut conversation.participants {
            if one.call.state.is_over() {
                one.set_state(now, CallState::Terminated, None);
            }
        }
        self.notify(now, id);
    }
}
