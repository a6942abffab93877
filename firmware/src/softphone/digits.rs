//! Key tones: as RFC 4733 when the call's audio is ours to send and the offer had telephone-event, else by REST (2.6).
//!
//! A conversation has at most one digits request at the cloud: two at once may arrive in either order, and `12` is not
//! `21`. What is pressed meanwhile is collected and goes with the next request. When a request fails, what waited behind
//! it fails too: digits after a hole mean something else, a wrong extension or a wrong PIN.

use super::acts::Act;
use super::event::{SdkError, SdkErrorType};
use super::params::{MAX_DIGITS, validate_digits};
use super::session::Session;
use super::timers::Timer;
use super::{CommandId, MediaCommand, Softphone};
use crate::device::Private;
use crate::genesys::id::{ConversationId, SessionId};
use crate::media::ConnectionState;
use std::collections::VecDeque;

/// Digits that may wait for the request before them: more than a person presses within its 30 s.
const MAX_WAITING: usize = 4 * MAX_DIGITS;

/// The digits of one conversation that wait for the request before them, in the order of their keys.
#[derive(Debug, Default)]
pub(super) struct DigitQueue {
    waiting: VecDeque<(CommandId, Private)>,
}

impl DigitQueue {
    /// Empties it: the commands whose digits were never sent.
    pub(super) fn drain(&mut self) -> Vec<CommandId> {
        self.waiting.drain(..).map(|(command, _)| command).collect()
    }

    fn push(&mut self, command: CommandId, digits: Private) -> Result<(), Private> {
        let waiting: usize = self.waiting.iter().map(|(_, d)| d.expose().len()).sum();
        if waiting + digits.expose().len() > MAX_WAITING {
            return Err(digits);
        }
        self.waiting.push_back((command, digits));
        Ok(())
    }

    /// What the next request carries: whole commands, together no more than one command may hold.
    fn take(&mut self) -> Option<(Vec<CommandId>, Private)> {
        let (first, digits) = self.waiting.pop_front()?;
        let (mut commands, mut text) = (vec![first], digits.expose().to_owned());
        while let Some((command, digits)) = self
            .waiting
            .pop_front_if(|(_, next)| text.len() + next.expose().len() <= MAX_DIGITS)
        {
            commands.push(command);
            text.push_str(digits.expose());
        }
        Some((commands, Private::from(text)))
    }
}

impl Softphone {
    /// Sends digits, in the audio or by REST.
    pub(super) fn send_digits(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        digits: Private,
    ) -> Result<(), SdkError> {
        validate_digits(&digits)?;
        let call = self.talking_call(conversation)?;
        // Not past those that go by REST.
        let busy = !call.digits.waiting.is_empty() || self.is_sending_digits(conversation);
        let held = call.known.as_ref().is_some_and(|known| known.call.held);
        let session = call
            .session
            .as_ref()
            .filter(|_| !held && !busy)
            .and_then(|session| self.session(session))
            .filter(|session| {
                let agreed = session
                    .negotiated
                    .is_some_and(|n| n.sending && n.dtmf_payload_type.is_some());
                agreed && session.connection == ConnectionState::Connected
            })
            .map(|session| session.id.clone());
        let Some(session) = session else {
            return self.queue_digits(id, conversation, digits);
        };
        if let Some(session) = self.session_mut(&session) {
            session.digits.push_back((id, digits.clone()));
        }
        self.timers.start(Timer::Dtmf(session.clone()));
        self.media(&session, MediaCommand::Dtmf(digits));
        Ok(())
    }

    fn queue_digits(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        digits: Private,
    ) -> Result<(), SdkError> {
        let call = self
            .call_mut(conversation)
            .ok_or_else(|| SdkError::unknown_call(conversation))?;
        if call.digits.push(id, digits).is_err() {
            return Err(SdkError::conflict(
                conversation,
                "too many digits are waiting to be sent: wait until the cloud has taken them",
            ));
        }
        self.send_waiting_digits(conversation);
        Ok(())
    }

    /// Sends what waits for REST, unless a request or the audio is still busy with what was pressed before.
    fn send_waiting_digits(&mut self, conversation: &ConversationId) {
        let session = self
            .call(conversation)
            .and_then(|call| call.session.clone());
        let audio = session.and_then(|session| self.session(&session));
        let in_audio = audio.is_some_and(|session| !session.digits.is_empty());
        if in_audio || self.is_sending_digits(conversation) {
            return;
        }
        let next = self
            .call_mut(conversation)
            .and_then(|call| call.digits.take());
        if let Some((commands, digits)) = next {
            self.act(None, conversation, Act::Digits { digits, commands });
        }
    }

    /// The cloud took a request's digits.
    pub(super) fn on_digits_taken(&mut self, id: &ConversationId, commands: &[CommandId]) {
        for command in commands {
            self.done(*command);
        }
        self.send_waiting_digits(id);
    }

    /// The cloud did not take a request's digits (the event was told already): neither are those behind them sent.
    pub(super) fn on_digits_lost(
        &mut self,
        id: &ConversationId,
        commands: &[CommandId],
        error: &SdkError,
    ) {
        for command in commands {
            self.outcome(*command, Err(error.clone()));
        }
        self.drop_waiting_digits(id);
    }

    /// Those before them were lost.
    fn drop_waiting_digits(&mut self, id: &ConversationId) {
        let waiting = self.call_mut(id).map(|call| call.digits.drain());
        for command in waiting.unwrap_or_default() {
            let behind = SdkError::session(
                id,
                "digits before these were lost, so these were not sent: start again",
            );
            self.fail(command, behind);
        }
    }

    /// The digits of one command are out.
    pub(super) fn on_digits_sent(&mut self, session: &SessionId) {
        let Some((command, _, more)) = self.next_digits(session) else {
            return;
        };
        self.done(command);
        if more {
            self.timers.start(Timer::Dtmf(session.clone()));
        }
        // Those by REST that waited for those in the audio.
        for conversation in self.calls_of(session) {
            self.send_waiting_digits(&conversation);
        }
    }

    /// The audio cannot carry them after all: by REST.
    pub(super) fn on_digits_refused(&mut self, session: &SessionId) {
        let conversation = self.session(session).map(|s| s.conversation.clone());
        if let Some(conversation) = conversation
            && let Some((command, digits, more)) = self.next_digits(session)
        {
            if more {
                self.timers.start(Timer::Dtmf(session.clone()));
            }
            if let Err(error) = self.queue_digits(command, &conversation, digits) {
                self.fail(command, error);
            }
        }
    }

    /// The peer connection did not say that they are out.
    pub(super) fn on_digits_timeout(&mut self, session: &SessionId) {
        let conversation = self.session(session).map(|s| s.conversation.clone());
        while let Some((command, ..)) = self.next_digits(session) {
            let error = SdkError::new(
                SdkErrorType::Media,
                "the digits could not be sent in time: try again",
            );
            let error = conversation.iter().fold(error, SdkError::about);
            self.fail(command, error);
        }
        for conversation in self.calls_of(session) {
            self.drop_waiting_digits(&conversation);
        }
    }

    /// The session ended with digits in its audio.
    pub(super) fn on_digits_cut_off(&mut self, session: &Session) {
        for (command, _) in &session.digits {
            self.fail(*command, Self::digits_cut_off(&session.conversation));
        }
        if !session.digits.is_empty() {
            for conversation in self.calls_of(&session.id) {
                self.drop_waiting_digits(&conversation);
            }
        }
    }

    fn next_digits(&mut self, session: &SessionId) -> Option<(CommandId, Private, bool)> {
        self.timers.stop(&Timer::Dtmf(session.clone()));
        let digits = &mut self.session_mut(session)?.digits;
        let (command, text) = digits.pop_front()?;
        Some((command, text, !digits.is_empty()))
    }

    /// Why digits of a call that ended were not sent.
    pub(super) fn digits_cut_off(conversation: &ConversationId) -> SdkError {
        SdkError::session(
            conversation,
            "the call ended before all its digits were sent",
        )
    }
}
