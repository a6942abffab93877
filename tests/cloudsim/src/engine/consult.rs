//! Consultations before a transfer: who asks whom about whom (genesys-protocol 2.6).

use std::time::Duration;

use super::conversation::{CallState, Consult, Party, SpeakTo};
use super::parties::Guest;
use super::{CommandError, Engine};

impl Engine {
    /// A user asks somebody about a party of the call, and gives who is asked.
    ///
    /// # Errors
    /// [`CommandError`] if the user is not in the call, the party is none to transfer, or a
    /// consultation runs.
    pub fn consult(
        &mut self,
        now: Duration,
        id: &str,
        user: &str,
        object: &str,
        guest: Guest,
        speak_to: SpeakTo,
    ) -> Result<String, CommandError> {
        let initiator = self.own_in(id, user)?;
        let one = self.find(id, object)?;
        if one.call.state != CallState::Connected || object == initiator {
            let text = "only another party that is connected can be transferred";
            return Err(CommandError::Conflict(text.into()));
        }
        let own = self.find(id, &initiator)?;
        let caller = Party {
            name: own.name.clone(),
            address: own.address.clone(),
        };
        let runs = self
            .conversations
            .get(id)
            .is_some_and(|conversation| conversation.consult.is_some());
        if runs {
            return Err(CommandError::Conflict("a consultation runs".into()));
        }
        let destination = self.invite(now, id, guest, &caller)?;
        if let Some(conversation) = self.conversations.get_mut(id) {
            conversation.consult = Some(Consult {
                initiator: initiator.clone(),
                object: object.to_owned(),
                destination: destination.clone(),
                speak_to,
            });
        }
        for participant in [&initiator, &destination] {
            self.find(id, participant)?.consult_participant = Some(object.to_owned());
        }
        self.settle_consult(id);
        self.rewire(id);
        Ok(destination)
    }

    /// Whom the initiator speaks to from now on.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] if no consultation about this party runs.
    pub fn speak_to(
        &mut self,
        now: Duration,
        id: &str,
        object: &str,
        speak_to: SpeakTo,
    ) -> Result<(), CommandError> {
        self.running_consult(id, object)?.speak_to = speak_to;
        self.settle_consult(id);
        self.rewire(id);
        self.notify_later(now, id);
        Ok(())
    }

    /// Calls a consultation off: who was asked leaves.
    ///
    /// # Errors
    /// [`CommandError::Conflict`] if no consultation about this party runs.
    pub fn cancel_consult(
        &mut self,
        now: Duration,
        id: &str,
        object: &str,
    ) -> Result<(), CommandError> {
        let destination = self.running_consult(id, object)?.destination.clone();
        self.out(now, id, &destination, "client", "success");
        Ok(())
    }

    fn running_consult(&mut self, id: &str, object: &str) -> Result<&mut Consult, CommandError> {
        let conversation = self
            .conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        conversation
            .consult
            .as_mut()
            .filter(|consult| consult.object == object)
            .ok_or_else(|| CommandError::Conflict("no consultation about this party runs".into()))
    }

    /// Who hears music now. With one of the three gone there is no consultation any more: if it
    /// is the initiator, the transfer is complete.
    pub(super) fn settle_consult(&mut self, id: &str) {
        let Some(conversation) = self.conversations.get_mut(id) else {
            return;
        };
        let Some(consult) = conversation.consult.clone() else {
            return;
        };
        let there = |participant: &String| {
            let one = conversation.participant(participant);
            one.is_some_and(|one| !one.call.state.is_over())
        };
        let three = [&consult.initiator, &consult.object, &consult.destination];
        let runs = three.into_iter().all(there);
        let confined = match consult.speak_to {
            _ if !runs => None,
            SpeakTo::Destination => Some(&consult.object),
            SpeakTo::Object => Some(&consult.destination),
            SpeakTo::Both | SpeakTo::Conference => None,
        };
        for one in &mut conversation.participants {
            if one.id == consult.object || one.id == consult.destination {
                one.call.confined = confined == Some(&one.id);
            }
        }
        if !runs {
            conversation.consult = None;
        }
    }
}
