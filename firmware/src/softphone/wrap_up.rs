//! Wrap-up: the code a call gets when it is over (genesys-protocol 2.6, 4.4).
//!
//! The engine forgets a call when it ends; what the cloud must be told to wrap it up is kept here, until the cloud says
//! that somebody has, or it does not know the call any more.

use super::call::{Call, Known};
use super::event::{Event, SdkError};
use super::params::{id as check_id, text};
use super::requests::Purpose;
use super::view::wrap_up_view;
use super::{CommandId, CommandReply, Softphone};
use crate::device::Private;
use crate::genesys::id::{CommunicationId, ConversationId, ParticipantId, UserId};
use crate::genesys::model::Conversation;
use crate::genesys::rest::{FeatureRequest, ParticipantPatch, RestError, RestReply, RestRequest};

/// Calls that may wait for their code: nobody wraps up more than the last few.
const MAX_AFTER: usize = 8;

/// A call that is over and wants a code.
#[derive(Debug)]
pub(super) struct AfterCall {
    conversation: ConversationId,
    participant: ParticipantId,
    communication: CommunicationId,
}

impl AfterCall {
    fn of(known: &Known) -> Self {
        Self {
            conversation: known.conversation.id.clone(),
            participant: known.participant.id.clone(),
            communication: known.call.id.clone(),
        }
    }
}

impl Softphone {
    /// A call that was answered here is over.
    pub(super) fn want_wrap_up(&mut self, id: &ConversationId) {
        let Some(call) = self.call(id).filter(|call| call.is_ours()) else {
            return;
        };
        let Some(known) = &call.known else { return };
        let settled = known.participant.wrapup.is_some() || known.participant.wrapup_skipped;
        let Some(wrap_up) = wrap_up_view(&known.participant).filter(|_| !settled) else {
            return;
        };
        let (after, remote) = (AfterCall::of(known), self.remote(call));
        self.drop_after(id);
        if self.after.len() == MAX_AFTER
            && let Some(oldest) = self.after.front().map(|after| after.conversation.clone())
        {
            self.wrap_up_over(&oldest);
        }
        self.after.push_back(after);
        self.event(Event::WrapUpRequired {
            conversation_id: id.clone(),
            wrap_up,
            remote,
        });
    }

    /// Events may tell that the call was wrapped up, here, elsewhere or by the cloud.
    pub(super) fn note_wrap_up(&mut self, conversation: &Conversation, me: &UserId) {
        let id = &conversation.id;
        let Some(after) = self.after.iter().find(|after| &after.conversation == id) else {
            return;
        };
        let settled = conversation.participants.iter().any(|p| {
            p.id == after.participant
                && p.user_id.as_ref() == Some(me)
                && (p.wrapup.is_some() || p.wrapup_skipped)
        });
        if settled {
            self.wrap_up_over(&id.clone());
        }
    }

    /// Somebody else uses the phone now.
    pub(super) fn forget_wrap_ups(&mut self) {
        while let Some(id) = self.after.front().map(|after| after.conversation.clone()) {
            self.wrap_up_over(&id);
        }
    }

    pub(super) fn ask_wrap_up_codes(
        &mut self,
        command: CommandId,
        conversation: &ConversationId,
    ) -> Result<(), SdkError> {
        let after = self.wrapped(conversation)?;
        let request = FeatureRequest::WrapUpCodes {
            conversation: after.conversation,
            participant: after.participant,
        };
        self.request(
            RestRequest::Feature(Box::new(request)),
            Purpose::WrapUpCodes { command },
        );
        Ok(())
    }

    pub(super) fn wrap_up(
        &mut self,
        command: CommandId,
        conversation: &ConversationId,
        code: String,
        notes: Option<Private>,
    ) -> Result<(), SdkError> {
        check_id("code", &code)?;
        text("notes", notes.as_ref())?;
        let after = self.wrapped(conversation)?;
        let request = FeatureRequest::WrapUp {
            conversation: after.conversation,
            participant: after.participant,
            communication: after.communication,
            code,
            notes,
        };
        let purpose = Purpose::WrapUp {
            command,
            conversation: conversation.clone(),
        };
        self.request(RestRequest::Feature(Box::new(request)), purpose);
        Ok(())
    }

    pub(super) fn skip_wrap_up(
        &mut self,
        command: CommandId,
        conversation: &ConversationId,
    ) -> Result<(), SdkError> {
        let after = self.wrapped(conversation)?;
        let request = RestRequest::PatchParticipant {
            conversation: after.conversation,
            participant: after.participant,
            patch: ParticipantPatch::SkipWrapUp,
        };
        let purpose = Purpose::WrapUp {
            command,
            conversation: conversation.clone(),
        };
        self.request(request, purpose);
        Ok(())
    }

    pub(super) fn on_wrap_up_codes(
        &mut self,
        command: CommandId,
        result: Result<RestReply, RestError>,
    ) {
        let result = match result {
            Ok(RestReply::WrapUpCodes(codes)) => Ok(CommandReply::WrapUpCodes(codes)),
            Ok(_) => Ok(CommandReply::WrapUpCodes(Vec::new())),
            Err(error) => Err(SdkError::http(&error)),
        };
        self.outcome(command, result);
    }

    pub(super) fn on_wrapped_up(
        &mut self,
        command: CommandId,
        id: &ConversationId,
        result: Result<RestReply, RestError>,
    ) {
        match result {
            Ok(_) => {
                self.wrap_up_over(id);
                self.done(command);
            }
            Err(error) => {
                if super::error::is_gone(&error) {
                    self.wrap_up_over(id);
                }
                self.outcome(command, Err(SdkError::http(&error).about(id)));
            }
        }
    }

    /// What to wrap up: a call that is over, else one that goes on.
    fn wrapped(&self, id: &ConversationId) -> Result<AfterCall, SdkError> {
        let over = self.after.iter().find(|after| &after.conversation == id);
        let on = || self.call(id).filter(|call| Call::is_ours(call));
        match (over, on().and_then(|call| call.known.as_ref())) {
            (_, Some(known)) => Ok(AfterCall::of(known)),
            (Some(after), None) => Ok(AfterCall {
                conversation: after.conversation.clone(),
                participant: after.participant.clone(),
                communication: after.communication.clone(),
            }),
            (None, None) => Err(SdkError::unknown_call(id)),
        }
    }

    fn drop_after(&mut self, id: &ConversationId) -> bool {
        let before = self.after.len();
        self.after.retain(|after| &after.conversation != id);
        self.after.len() < before
    }

    fn wrap_up_over(&mut self, id: &ConversationId) {
        if self.drop_after(id) {
            self.event(Event::WrapUpOver {
                conversation_id: id.clone(),
            });
        }
    }
}
