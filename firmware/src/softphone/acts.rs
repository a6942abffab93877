//! What is done to our participant of a conversation, and what follows when the cloud does not do it
//! (genesys-protocol 2.5, 6.11, 6.13.21, 6.13.22).

use super::call::Known;
use super::error::is_gone;
use super::event::{Event, SdkError, SdkErrorType};
use super::features::Feature;
use super::requests::Purpose;
use super::select::own_participant;
use super::session::End;
use super::timers::Timer;
use super::{CommandId, Softphone};
use crate::device::Private;
use crate::genesys::id::{ConversationId, SessionId, UserId};
use crate::genesys::model::Conversation;
use crate::genesys::rest::{ParticipantPatch, RestError, RestReply, RestRequest};
use crate::genesys::signal::Reason;

/// What can be done to our participant (2.5).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Answer,
    Reject,
    End,
    Mute(bool),
    Hold(bool),
    /// Hold because another call is taken: nobody asked, nobody is told.
    AutoHold,
    /// The digits of these commands, in one request.
    Digits {
        digits: Private,
        commands: Vec<CommandId>,
    },
    /// 2.6
    Feature(Feature),
}

impl Act {
    /// # Errors
    /// When the conversation has nobody to do it to.
    fn request(&self, known: &Known, me: &UserId) -> Result<RestRequest, SdkError> {
        let conversation = known.conversation.id.clone();
        let participant = &known.participant;
        let id = participant.id.clone();
        let patch = match self {
            Self::Answer => ParticipantPatch::Connect,
            // 6.13.21: a call to the user goes to the voicemail.
            Self::Reject if participant.purpose.as_deref() == Some("user") => {
                return Ok(RestRequest::ToVoicemail {
                    conversation,
                    participant: id,
                });
            }
            Self::Reject | Self::End => ParticipantPatch::Disconnect,
            Self::Mute(mute) => ParticipantPatch::Muted(*mute),
            Self::Hold(held) => ParticipantPatch::Held(*held),
            Self::AutoHold => ParticipantPatch::Held(true),
            Self::Digits { digits, .. } => {
                return Ok(RestRequest::Digits {
                    conversation,
                    participant: id,
                    digits: digits.clone(),
                });
            }
            Self::Feature(feature) => return feature.request(known, me),
        };
        Ok(RestRequest::PatchParticipant {
            conversation,
            participant: id,
            patch,
        })
    }
}

impl Softphone {
    /// Does something to our participant of a conversation; asks for it first if no event has told it (2.5).
    pub(super) fn act(&mut self, command: Option<CommandId>, id: &ConversationId, act: Act) {
        if matches!(act, Act::End | Act::Reject)
            && let Some(call) = self.call_mut(id)
        {
            call.ending = true;
        }
        let conversation = id.clone();
        if let Some(known) = self.call(id).and_then(|call| call.known.clone()) {
            self.act_on(command, &known, act);
        } else {
            let request = RestRequest::Conversation {
                conversation: conversation.clone(),
            };
            let purpose = Purpose::Find {
                command,
                conversation,
                act,
            };
            self.request(request, purpose);
        }
    }

    fn act_on(&mut self, command: Option<CommandId>, known: &Known, act: Act) {
        let conversation = known.conversation.id.clone();
        let me = self.user_id().cloned().unwrap_or_default();
        match act.request(known, &me) {
            Ok(request) => {
                let purpose = Purpose::Act {
                    command,
                    conversation,
                    act,
                };
                self.request(request, purpose);
            }
            Err(error) => self.give_up(command, &conversation, &act, error),
        }
    }

    /// Ends a call nobody can talk on.
    pub(super) fn hang_up(&mut self, id: &ConversationId) {
        if self.call(id).is_some_and(|call| !call.ending) {
            self.act(None, id, Act::End);
        }
    }

    pub(super) fn on_act_done(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        act: &Act,
    ) {
        match act {
            Act::Answer => {
                let waiters = self
                    .call_mut(id)
                    .and_then(|call| call.pending.as_mut())
                    .map(|pending| std::mem::take(&mut pending.waiters))
                    .unwrap_or_default();
                for waiter in waiters {
                    self.done(waiter);
                }
            }
            Act::Reject if self.call(id).is_some_and(|call| call.pending.is_some()) => {
                self.timers.start(Timer::Rejected(id.clone()));
            }
            Act::End if self.call(id).is_some() => self.timers.start(Timer::Ended(id.clone())),
            Act::Digits { commands, .. } => self.on_digits_taken(id, commands),
            _ => {}
        }
        if let Some(command) = command {
            self.done(command);
        }
    }

    pub(super) fn on_act_failed(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        act: &Act,
        error: &RestError,
    ) {
        if let Some(call) = self.call_mut(id).filter(|_| *act == Act::Reject) {
            call.ending = false;
        }
        let own = match act {
            Act::Answer => {
                self.on_answer_failed(id, error);
                return;
            }
            Act::End => {
                self.on_end_failed(command, id, error);
                return;
            }
            Act::Digits { commands, .. } => {
                self.on_digits_lost(id, commands, &SdkError::http(error).about(id));
                if is_gone(error) {
                    self.check(id);
                }
                return;
            }
            Act::Feature(feature) => {
                self.on_feature_failed(command, id, feature, error);
                return;
            }
            // 6.14
            Act::Mute(_) => SdkError::new(
                SdkErrorType::Generic,
                "the call could not be muted or unmuted: try again",
            ),
            Act::Hold(_) => SdkError::new(
                SdkErrorType::Call,
                "the call could not be held or resumed: try again",
            ),
            Act::Reject | Act::AutoHold => SdkError::http(error),
        };
        if let Some(command) = command {
            self.fail(command, own.about(id));
        } else {
            tracing::warn!(conversation = %id, %error, "the call could not be held"); // 6.10: only a warning
        }
        if is_gone(error) {
            self.check(id);
        }
    }

    /// The shared session's call could not be answered: it rings on.
    fn on_answer_failed(&mut self, id: &ConversationId, error: &RestError) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let Some(pending) = call.pending.as_mut() else {
            return;
        };
        pending.accepted = false;
        let waiters = std::mem::take(&mut pending.waiters);
        if call.session.is_none() {
            call.accepted = call.placed;
        }
        for waiter in waiters {
            self.outcome(waiter, Err(SdkError::http(error).about(id)));
        }
    }

    /// 6.11: the cloud would not end the call, so its session is ended, unless others share it.
    fn on_end_failed(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        error: &RestError,
    ) {
        let Some(call) = self.call_mut(id) else {
            if let Some(command) = command {
                self.done(command); // It ended meanwhile.
            }
            return;
        };
        call.ending = false;
        let offered = call.pending.as_ref().is_some_and(|p| p.offer.is_some());
        let stored = call.stored;
        let own = call.session.clone();
        let one = self.line_appearance_one();
        let session = own.or_else(|| self.active_session.clone().filter(|_| one && stored));
        let result = match session {
            Some(session) => self.terminate_for(id, &session),
            None if offered => {
                self.cancel_pending(id, "the call was ended");
                Ok(())
            }
            None => {
                self.check(id);
                Err(SdkError::http(error).about(id))
            }
        };
        match (command, result) {
            (Some(command), Ok(())) => self.done(command),
            (Some(command), Err(error)) => self.fail(command, error),
            (None, Err(error)) if error.kind != SdkErrorType::Http => {
                self.event(Event::SdkError(error));
            }
            (None, _) => {}
        }
    }

    /// Ends the session of a call the cloud does not end. With line appearance 1 only if no other call would end too.
    fn terminate_for(&mut self, id: &ConversationId, session: &SessionId) -> Result<(), SdkError> {
        if self.line_appearance_one() {
            let others: Vec<String> = self
                .calls
                .iter()
                .filter(|call| &call.id != id && (call.is_connected() || call.is_ringing()))
                .map(|call| call.id.as_str().to_owned())
                .collect();
            if !others.is_empty() {
                let error = SdkError::conflict(
                    id,
                    "the cloud did not end the call, and other calls use the same connection: end those first, or try again",
                );
                return Err(error.with("otherConversationIds", others));
            }
        }
        self.end_session(session, Reason::Success, End::Local);
        Ok(())
    }

    /// The cloud took our hang-up, and neither event nor end of the session followed (6.11, where the SDK waits for ever).
    pub(super) fn on_ended_timeout(&mut self, id: &ConversationId) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        call.ending = false;
        match call.session.clone() {
            Some(session) => {
                if let Err(error) = self.terminate_for(id, &session) {
                    self.event(Event::SdkError(error));
                }
            }
            None => self.check(id),
        }
    }

    /// Our participant is known now (2.5); then do what was wanted.
    pub(super) fn on_found(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        act: Act,
        result: Result<RestReply, RestError>,
    ) {
        let conversation = match result {
            Ok(RestReply::Conversation(conversation)) => *conversation,
            Ok(_) => Conversation::default(),
            Err(error) => {
                self.on_act_failed(command, id, &act, &error);
                if is_gone(&error) {
                    self.gone(id);
                }
                return;
            }
        };
        let me = self.user_id().cloned().unwrap_or_default();
        let found = own_participant(&conversation, &me, None).cloned();
        let known = found.map(|participant| Known {
            call: participant.calls.last().cloned().unwrap_or_default(),
            participant,
            conversation: conversation.clone(),
        });
        self.observe(conversation);
        match known {
            Some(known) if self.call(id).is_some() => self.act_on(command, &known, act),
            Some(_) if act == Act::End => self.on_act_done(command, id, &act),
            Some(_) => self.give_up(command, id, &act, SdkError::unknown_call(id)),
            None => {
                // 6.13.22
                let error = SdkError::new(
                    SdkErrorType::Generic,
                    "participant not found: this user is not on that conversation",
                );
                self.give_up(command, id, &act, error.about(id));
            }
        }
    }

    fn give_up(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        act: &Act,
        error: SdkError,
    ) {
        if let Act::Digits { commands, .. } = act {
            self.event(Event::SdkError(error.clone()));
            self.on_digits_lost(id, commands, &error);
            return;
        }
        if let Some(call) = self.call_mut(id) {
            call.ending = false;
            if *act == Act::Answer
                && let Some(pending) = &mut call.pending
            {
                pending.accepted = false;
                let waiters = std::mem::take(&mut pending.waiters);
                for waiter in waiters {
                    self.outcome(waiter, Err(error.clone()));
                }
            }
        }
        match command {
            Some(command) => self.fail(command, error),
            None => self.event(Event::SdkError(error)),
        }
        if *act == Act::End {
            self.gone(id);
        }
    }
}
