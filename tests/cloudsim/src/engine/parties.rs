//! More than two in a call: transfers, conferences, and parties that come and go
//! (genesys-protocol 2.6).

use std::time::Duration;

use super::conversation::{CallDirection, CallState, Participant, Party, Phone, Purpose};
use super::{CommandError, Engine, OutboundStep, Timer, UserFacts};
use crate::gateway::{FarEndSource, LegConfig};
use crate::spec::Form;

/// `maximumconferenceparties`.
pub const MOST_PARTIES: usize = 10;

/// Somebody to bring into a call.
#[derive(Debug, Clone)]
pub enum Guest {
    /// One of our users with a phone.
    User(Box<UserFacts>, Form, Box<LegConfig>),
    /// Anybody else: answers by itself after a while, or on command.
    Outside {
        /// Name and address.
        party: Party,
        /// Why it is there.
        purpose: Purpose,
        /// Queue it works for.
        queue: Option<String>,
        /// What it says.
        voice: FarEndSource,
        /// When it answers by itself.
        answer_after: Option<Duration>,
    },
}

impl Engine {
    /// Brings somebody into a call, and gives the participant's id. It rings there.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such call, it is over, or it is full.
    pub fn invite(
        &mut self,
        now: Duration,
        id: &str,
        guest: Guest,
        caller: &Party,
    ) -> Result<String, CommandError> {
        let conversation = self
            .conversations
            .get(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        if conversation.is_over() {
            return Err(CommandError::Conflict("the call is over".into()));
        }
        let parties = conversation.participants.iter().filter(|one| one.counts());
        if parties.count() >= MOST_PARTIES {
            let text = format!("a call takes at most {MOST_PARTIES} parties");
            return Err(CommandError::Conflict(text));
        }
        match guest {
            Guest::User(facts, form, leg) => self.invite_user(now, id, &facts, form, *leg, caller),
            Guest::Outside {
                party,
                purpose,
                queue,
                voice,
                answer_after,
            } => {
                let mut one = self.participant(now, purpose, &party);
                one.queue = queue;
                one.voice = Some(voice);
                one.invited = true;
                one.answer_after = answer_after;
                one.call.other = caller.clone();
                let participant = one.id.clone();
                self.join(id, one);
                self.notify_later(now, id);
                self.party_rings(now, id, &participant);
                Ok(participant)
            }
        }
    }

    fn invite_user(
        &mut self,
        now: Duration,
        id: &str,
        user: &UserFacts,
        form: Form,
        leg: LegConfig,
        caller: &Party,
    ) -> Result<String, CommandError> {
        if !user.station {
            let text = format!("{} has no station: nothing can ring", user.name);
            return Err(CommandError::NoPhone(text));
        }
        let mut one = self.own_participant(now, user, Purpose::User, caller.clone());
        one.invited = true;
        one.call.state = CallState::Alerting;
        one.call.initial = CallState::Alerting;
        one.phone = Some(Phone {
            auto_answer: user.auto_answer,
            marks: vec![(CallState::Alerting.as_str().into(), now)],
            ..Phone::of(user, form, leg)
        });
        let participant = one.id.clone();
        self.join(id, one);
        self.ring_guest(now, id, &participant);
        Ok(participant)
    }

    fn ring_guest(&mut self, now: Duration, id: &str, participant: &str) {
        /// As for calls from outside.
        const RINGS: Duration = Duration::from_secs(30);
        self.notify_later(now, id);
        let propose = Timer::Announce {
            conversation: id.to_owned(),
            participant: participant.to_owned(),
            step: OutboundStep::Propose,
            token: None,
        };
        self.timers.set(now + self.timing.event, propose);
        let over = Timer::StopAlerting {
            conversation: id.to_owned(),
            participant: participant.to_owned(),
        };
        self.timers.set(now + RINGS, over);
    }

    fn join(&mut self, id: &str, one: Participant) {
        if let Some(conversation) = self.conversations.get_mut(id) {
            conversation.participants.push(one);
        }
    }

    /// Those who wait for the caller's own leg begin to ring.
    pub(super) fn guests_ring(&mut self, now: Duration, id: &str) {
        let Some(conversation) = self.conversations.get(id) else {
            return;
        };
        let waiting: Vec<(String, bool)> = conversation
            .participants
            .iter()
            .filter(|one| one.invited && one.call.state == CallState::Offering)
            .map(|one| (one.id.clone(), one.phone.is_some()))
            .collect();
        for (participant, phone) in waiting {
            if phone {
                if let Ok(one) = self.find(id, &participant) {
                    one.set_state(now, CallState::Alerting, None);
                }
                self.ring_guest(now, id, &participant);
            } else {
                self.party_rings(now, id, &participant);
            }
        }
    }

    fn party_rings(&mut self, now: Duration, id: &str, participant: &str) {
        let after = self
            .find(id, participant)
            .ok()
            .and_then(|one| one.answer_after);
        if let Some(after) = after {
            let answers = Timer::PartyAnswers {
                conversation: id.to_owned(),
                participant: participant.to_owned(),
            };
            self.timers.set(now + after, answers);
        }
    }

    /// A party without a phone answers.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such party, or it does not ring.
    pub fn answer_party(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        if one.phone.is_some() || one.call.state != CallState::Offering {
            let text = format!(
                "this party is {}, it cannot answer",
                one.call.state.as_str()
            );
            return Err(CommandError::Conflict(text));
        }
        one.set_state(now, CallState::Connected, None);
        self.settle_consult(id);
        self.notify(now, id);
        self.rewire(id);
        Ok(())
    }

    /// A party leaves, or is made to: the call goes on if two others are left.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such party, or it has left.
    pub fn hang_up_party(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
        why: &'static str,
    ) -> Result<(), CommandError> {
        let one = self.find(id, participant)?;
        if one.call.state.is_over() {
            return Err(CommandError::Conflict("this party has left".into()));
        }
        self.out(now, id, participant, why, "success");
        Ok(())
    }

    /// Ends a call for everybody.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such call, or it is over.
    pub fn end_call(&mut self, now: Duration, id: &str) -> Result<(), CommandError> {
        self.end_whole(now, id, "client")
    }

    /// One party is out of the call, which ends with it unless two others are left.
    pub(super) fn out(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
        why: &'static str,
        reason: &'static str,
    ) {
        let left = self.conversations.get(id).map_or(0, |conversation| {
            let others = conversation.participants.iter();
            others
                .filter(|one| one.id != participant && one.counts())
                .count()
        });
        if left < 2 {
            self.end_with(now, id, why, reason);
            return;
        }
        let Ok(one) = self.find(id, participant) else {
            return;
        };
        one.set_state(now, CallState::Disconnected, Some(why));
        let session = one.phone.as_ref().and_then(|phone| phone.session.clone());
        if let Some(session) = session.filter(|session| self.sessions.contains_key(session)) {
            if why != "error" && self.outlives(&session, id) {
                self.leave(now, &session, id);
            } else {
                self.end_session_later(now, session, reason);
            }
        }
        self.settle_consult(id);
        self.rewire(id);
        self.notify_later(now, id);
        let terminated = Timer::Terminated {
            conversation: id.to_owned(),
        };
        self.timers
            .set(now + self.timing.event + self.timing.ending * 2, terminated);
    }

    /// Blind transfer: somebody else takes a participant's place.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such participant, it is not connected, or the guest
    /// cannot come.
    pub fn transfer(
        &mut self,
        now: Duration,
        id: &str,
        participant: &str,
        guest: Guest,
    ) -> Result<String, CommandError> {
        let one = self.find(id, participant)?;
        if one.call.state.is_over() {
            return Err(CommandError::Conflict("this party has left".into()));
        }
        let caller = one.call.other.clone();
        let guest = self.invite(now, id, guest, &caller)?;
        self.out(now, id, participant, "transfer", "success");
        Ok(guest)
    }

    /// Brings other calls of a user into this one; gives how many.
    ///
    /// # Errors
    /// [`CommandError`] if one of them is not a connected call of the user.
    pub fn merge(
        &mut self,
        now: Duration,
        id: &str,
        user: &str,
        others: &[String],
    ) -> Result<(), CommandError> {
        for call in others.iter().chain([&id.to_owned()]) {
            let own = self.own_in(call, user)?;
            let one = self.find(call, &own)?;
            if one.call.state != CallState::Connected {
                let text = format!("the call {call} is {}", one.call.state.as_str());
                return Err(CommandError::Conflict(text));
            }
        }
        for other in others.iter().filter(|other| *other != id) {
            let Some(conversation) = self.conversations.get(other) else {
                continue;
            };
            let guests: Vec<Participant> = conversation
                .participants
                .iter()
                .filter(|one| one.voice.is_some() && one.call.state == CallState::Connected)
                .cloned()
                .collect();
            for guest in guests {
                let party = Party {
                    name: guest.name.clone(),
                    address: guest.address.clone(),
                };
                let mut one = self.participant(now, guest.purpose, &party);
                one.voice = guest.voice;
                one.invited = true;
                one.call.other = guest.call.other;
                one.call.muted = guest.call.muted;
                one.set_state(now, CallState::Connected, None);
                self.join(id, one);
            }
            self.end_with(now, other, "transfer", "success");
        }
        let own = self.own_in(id, user)?;
        let one = self.find(id, &own)?;
        one.call.held = false;
        one.call.held_since = None;
        self.take_over(now, id, &own);
        self.rewire(id);
        self.notify_later(now, id);
        Ok(())
    }

    /// A user's participant that is still in a call.
    ///
    /// # Errors
    /// [`CommandError`] if there is none.
    pub fn own_in(&self, id: &str, user: &str) -> Result<String, CommandError> {
        let conversation = self
            .conversations
            .get(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        let own = conversation.participants.iter().rev().find(|one| {
            one.user.as_deref() == Some(user) && one.phone.is_some() && !one.call.state.is_over()
        });
        own.map(|one| one.id.clone())
            .ok_or_else(|| CommandError::Conflict("the user is not in this call".into()))
    }

    /// The user of ours whom a call was placed to has a phone: it rings there instead.
    pub(super) fn callee_with_phone(
        &mut self,
        now: Duration,
        callee: &UserFacts,
        form: Form,
        leg: LegConfig,
        caller: Party,
    ) -> Participant {
        let mut one = self.own_participant(now, callee, Purpose::User, caller);
        one.invited = true;
        one.call.initial = CallState::Alerting;
        one.phone = Some(Phone {
            auto_answer: callee.auto_answer,
            ..Phone::of(callee, form, leg)
        });
        one
    }
}

impl Participant {
    /// Whoever rings as a guest is not connected by somebody else's answer.
    pub(super) fn waits_for_another(&self, answered: &str) -> bool {
        self.invited
            && self.id != answered
            && self.call.state != CallState::Connected
            && self.call.direction == CallDirection::Inbound
    }
}
