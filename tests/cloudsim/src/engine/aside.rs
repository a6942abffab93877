//! What goes beside a call: recording and wrap-up (genesys-protocol 2.6).

use std::time::Duration;

use super::conversation::{CallState, RecordingState};
use super::{CommandError, Engine, Participant};

impl Engine {
    /// `PUT .../recordingstate`.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such call, or it is not connected.
    pub fn set_recording(
        &mut self,
        now: Duration,
        id: &str,
        state: RecordingState,
    ) -> Result<(), CommandError> {
        let conversation = self
            .conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        let connected = |one: &super::Participant| one.call.state == CallState::Connected;
        if !conversation.participants.iter().any(connected) {
            let text = "only a call that is connected can be recorded";
            return Err(CommandError::Conflict(text.into()));
        }
        if state == RecordingState::Paused && conversation.recording == RecordingState::None {
            let text = "the call is not recorded: there is nothing to pause";
            return Err(CommandError::Conflict(text.into()));
        }
        conversation.recording = state;
        self.notify_later(now, id);
        Ok(())
    }

    /// Code and notes for the call of a participant.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such communication, or it was never connected.
    pub fn wrap_up(
        &mut self,
        now: Duration,
        id: &str,
        call: &str,
        wrapup: (String, String),
    ) -> Result<(), CommandError> {
        let one = self.whose_wrap_up(id, call)?;
        one.wrapup = Some(wrapup);
        self.notify_later(now, id);
        Ok(())
    }

    /// No code will be given for a participant's part of a call, where its queue leaves that to the agent.
    ///
    /// # Errors
    /// Nobody knows the call; it was never connected; a code is mandatory.
    pub fn skip_wrap_up(
        &mut self,
        now: Duration,
        id: &str,
        call: &str,
    ) -> Result<(), CommandError> {
        let one = self.whose_wrap_up(id, call)?;
        if one.wrapup_prompt.as_deref() == Some("mandatory") {
            let text = "the queue wants a wrap-up code";
            return Err(CommandError::Conflict(text.into()));
        }
        one.wrapup_skipped = true;
        self.notify_later(now, id);
        Ok(())
    }

    /// The participant of that id or with that call, once connected.
    fn whose_wrap_up(&mut self, id: &str, call: &str) -> Result<&mut Participant, CommandError> {
        let conversation = self
            .conversations
            .get_mut(id)
            .ok_or_else(|| CommandError::UnknownConversation(id.to_owned()))?;
        let one = conversation
            .participants
            .iter_mut()
            .find(|one| one.call.id == call || one.id == call)
            .ok_or_else(|| CommandError::UnknownCommunication(call.to_owned()))?;
        if one.connected.is_none() {
            let text = "a call that was never connected has no wrap-up";
            return Err(CommandError::Conflict(text.into()));
        }
        Ok(one)
    }
}
