//! What phones ask for over REST, and what tests ask of a session.

use std::time::Duration;

use super::conversation::{CallState, Party, Purpose};
use super::session::Session;
use super::{CloudStanza, CommandError, Engine, LegCommand, Participant, Target};
use crate::gateway::{Direction, jingle};
use crate::journal::ViolationKind;
use crate::spec::Form;

/// The body of `PATCH /conversations/calls/{C}/participants/{P}`, as far as it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParticipantPatch {
    /// `state`: connected or disconnected.
    pub state: Option<CallState>,
    /// `muted`.
    pub muted: Option<bool>,
    /// `held`.
    pub held: Option<bool>,
    /// `confined`.
    pub confined: Option<bool>,
}

impl Engine {
    /// Applies a PATCH.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such participant, or its call is not in a state for it.
    pub fn patch(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
        patch: ParticipantPatch,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        let state = one.call.state;
        if state.is_over() {
            return Err(CommandError::Conflict(format!(
                "the call is {}",
                state.as_str()
            )));
        }
        match patch.state {
            Some(CallState::Disconnected) => {
                self.out(now, id, participant, "client", "success");
                return Ok(());
            }
            Some(_) => return self.answer_by_rest(now, id, participant),
            None => {}
        }
        if state.is_pending() {
            return Err(CommandError::Conflict(format!(
                "a call that is {} cannot be muted or held",
                state.as_str()
            )));
        }
        let one = self.find(id, participant)?;
        if let Some(muted) = patch.muted {
            one.call.muted = muted;
        }
        if let Some(held) = patch.held {
            if held != one.call.held {
                one.call.held_since = held.then_some(now);
            }
            one.call.held = held;
        }
        if let Some(confined) = patch.confined {
            one.call.confined = confined;
        }
        if patch.held == Some(false) {
            self.take_over(now, id, participant);
        }
        self.rewire(id);
        self.notify_later(now, id);
        Ok(())
    }

    /// `PATCH {"state":"connected"}` answers a call on a session that is up already. With a
    /// session per call there is none: the phone has to proceed.
    fn answer_by_rest(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        if one.call.state == CallState::Connected {
            return Ok(());
        }
        let bound = one.phone.as_ref().and_then(|phone| phone.session.clone());
        let up = bound
            .clone()
            .filter(|session| self.sessions.get(session).is_some_and(Session::is_up));
        if let Some(session) = up.or_else(|| self.shared_for(id, participant)) {
            if let Some(proposed) = bound.filter(|bound| *bound != session) {
                // It crossed a late propose, which is taken back.
                self.terminate(now, &proposed, "success");
            }
            if let Some(phone) = &mut self.find(id, participant)?.phone {
                phone.session = Some(session);
            }
            self.answer_later(now, id, participant);
            return Ok(());
        }
        let one = self.find(id, participant)?;
        let user = one.user.clone().unwrap_or_default();
        self.violate(
            &user,
            ViolationKind::OutOfOrder,
            format!("conversation {id} is answered over REST, but it has no session that is up: proceed to its propose"),
        );
        Err(CommandError::Conflict(
            "the call has no media session to connect".into(),
        ))
    }

    /// `POST .../participants/{P}/replace {"voicemail":true}`.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such participant, or it is not pending.
    pub fn to_voicemail(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        if !one.call.state.is_pending() {
            return Err(CommandError::Conflict(format!(
                "a call that is {} cannot go to voicemail",
                one.call.state.as_str()
            )));
        }
        let user = one.user.clone();
        let caller = one.call.other.clone();
        let own = Party {
            name: one.name.clone(),
            address: one.address.clone(),
        };
        let mut mailbox = self.participant(now, Purpose::Voicemail, &own);
        mailbox.user = user;
        mailbox.call.other = caller;
        mailbox.set_state(now, CallState::Connected, None);
        let session = self
            .find(id, participant)?
            .phone
            .as_ref()
            .and_then(|one| one.session.clone());
        let one = self.find(id, participant)?;
        one.set_state(now, CallState::Disconnected, Some("transfer"));
        if let Some(conversation) = self.conversations.get_mut(id) {
            for other in &mut conversation.participants {
                if !other.call.state.is_over() {
                    other.set_state(now, CallState::Connected, None);
                }
            }
            conversation.participants.push(mailbox);
        }
        if let Some(session) = session {
            self.terminate(now, &session, "success");
        }
        self.notify_later(now, id);
        let terminated = super::Timer::Terminated {
            conversation: id.to_owned(),
        };
        self.timers
            .set(now + self.timing.event + self.timing.ending, terminated);
        Ok(())
    }

    /// `POST .../digits`.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such participant, or nobody to hear the digits.
    pub fn digits(
        &mut self,
        id: &str,
        participant: &str,
        digits: &str,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        if !matches!(one.call.state, CallState::Connected | CallState::Dialing) {
            return Err(CommandError::Conflict(format!(
                "a call that is {} takes no digits",
                one.call.state.as_str()
            )));
        }
        match &mut one.phone {
            Some(phone) => phone.digits.push_str(digits),
            None => {
                return Err(CommandError::Conflict(
                    "digits go to the own participant, the one with a phone".into(),
                ));
            }
        }
        Ok(())
    }

    /// `POST .../communications/{K}/metadata`.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such communication.
    pub fn metadata(&mut self, now: Duration, id: &str, call: &str) -> Result<(), CommandError> {
        let conversation = self
            .conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        let one = conversation
            .participants
            .iter_mut()
            .find(|one| one.call.id == call && one.phone.is_some())
            .ok_or_else(|| CommandError::UnknownCommunication(call.to_owned()))?;
        let (user, state) = (one.user.clone().unwrap_or_default(), one.call.state);
        let mut count = 0;
        if let Some(phone) = &mut one.phone {
            phone.metadata += 1;
            phone.marks.push(("metadata".into(), now));
            count = phone.metadata;
        }
        let early = one.call.connected.is_none();
        if count > 1 {
            self.violate(
                &user,
                ViolationKind::RepeatedMetadata,
                format!("metadata request number {count} for communication {call}; one is due"),
            );
        } else if early {
            self.violate(
                &user,
                ViolationKind::OutOfOrder,
                format!(
                    "metadata request while the call is {}; it is due when it is connected",
                    state.as_str()
                ),
            );
        }
        Ok(())
    }

    /// Offers again on the session that runs: same ICE, or new.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] if there is no such session, or it cannot.
    pub fn reoffer(
        &mut self,
        id: &str,
        ice_restart: bool,
        direction: Direction,
    ) -> Result<(), CommandError> {
        let session = self.running_session(id)?;
        let jingle = self
            .sessions
            .get(&session)
            .is_some_and(|session| session.form == Form::Jingle);
        if jingle && !ice_restart {
            return self.offer_jingle_again(&session);
        }
        self.leg(
            &session,
            LegCommand::Reoffer {
                ice_restart,
                direction,
            },
        );
        Ok(())
    }

    /// Replaces the session by a new one with new ICE (genesys-protocol 5.7): the phone must
    /// take it without asking and end the old one. `propose`: it is proposed before.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] if there is no session to replace.
    pub fn reinvite(
        &mut self,
        now: Duration,
        id: &str,
        newest_resource: &str,
        propose: bool,
    ) -> Result<(), CommandError> {
        let old = self.running_session(id)?;
        let Some(participant) = self.sessions.get(&old).map(|one| one.participant.clone()) else {
            return Err(CommandError::Conflict("there is no session".into()));
        };
        let Some(new) = self.new_session(id, &participant) else {
            return Err(CommandError::UnknownParticipant(participant));
        };
        for (other, participant) in self.calls_on(&old) {
            if let Some(phone) = &mut self.find(&other, &participant)?.phone {
                phone.session = Some(new.clone());
            }
        }
        let shared = self
            .sessions
            .get_mut(&old)
            .is_some_and(|old| std::mem::take(&mut old.shared));
        if let Some(session) = self.sessions.get_mut(&new) {
            session.shared = shared;
            session.reinvite = true;
            // The call is connected already: media on the new session changes no state.
            session.established = true;
        }
        if propose {
            self.propose(now, &new);
        } else {
            self.prepare(&new, newest_resource);
        }
        Ok(())
    }

    /// A second session-initiate, which the phone must refuse (genesys-protocol 5.4).
    fn offer_jingle_again(&mut self, id: &str) -> Result<(), CommandError> {
        let xml = self.sessions.get(id).and_then(|session| {
            let owner = session.owner.as_deref()?;
            let offer = session.offer.as_deref()?;
            let xml = jingle::offer_to_jingle(offer, id, &session.peer, owner);
            Some((owner.to_owned(), xml.ok()?))
        });
        let Some((owner, xml)) = xml else {
            let text = "the session has no offer to repeat";
            return Err(CommandError::Conflict(text.into()));
        };
        let again = CloudStanza::JingleAgain { xml };
        self.send(id, &Target::Resource(owner), again);
        Ok(())
    }

    fn running_session(&self, id: &str) -> Result<String, CommandError> {
        let session = self
            .session_of(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        if self.can_reoffer(session) {
            Ok(session.to_owned())
        } else {
            Err(CommandError::Conflict(
                "only an answered session can be offered again".into(),
            ))
        }
    }

    pub(super) fn find(
        &mut self,
        id: &str,
        participant: &str,
    ) -> Result<&mut Participant, CommandError> {
        self.conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?
            .participant_mut(participant)
            .ok_or_else(|| CommandError::UnknownParticipant(participant.to_owned()))
    }
}
