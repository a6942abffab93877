//! What goes beside a call: recording and wrap-up (genesys-protocol 2.6).

use std::time::Duration;

use super::conversation::{CallState, RecordingState};
use super::{CommandError, Engine};

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
        one.wrapup = Some(wrapup);
        self.notify_later(now, id);
        Ok(())
    }
}
