//! What the user, the page and the API can ask for (genesys-protocol 6.4, 6.10, 6.11, 8). Each command gets one outcome.

use super::acts::Act;
use super::call::Call;
use super::event::{SdkError, SdkErrorType};
use super::params::validate;
use super::requests::Purpose;
use super::session::{End, Session};
use super::timers::Timer;
use super::{Command, CommandId, CommandReply, Softphone};
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::model::CallState;
use crate::genesys::rest::{RestRequest, StartSoftphoneSessionParams};
use crate::genesys::signal::Reason;

impl Softphone {
    /// Starts a command; its outcome comes now or later.
    pub(super) fn on_command(&mut self, id: CommandId, command: Command) {
        let refused = match command {
            Command::Start(params) => self.start(id, params),
            Command::Accept(conversation) => self.accept(id, &conversation),
            Command::Reject(conversation) => self.reject(id, &conversation),
            Command::End(conversation) => self.end(id, &conversation),
            Command::Mute { conversation, mute } => self.mute(id, &conversation, mute),
            Command::Hold { conversation, held } => self.hold(id, &conversation, held),
            Command::Dtmf {
                conversation,
                digits,
            } => self.send_digits(id, &conversation, digits),
            Command::Transfer {
                conversation,
                to,
                mode,
            } => self.transfer(id, &conversation, to, mode),
            Command::Consult {
                conversation,
                action,
            } => self.consult(id, &conversation, action),
            Command::AddParticipants {
                conversation,
                participants,
            } => self.add_participants(id, &conversation, participants),
            Command::Merge {
                conversation,
                others,
            } => self.merge(id, &conversation, others),
            Command::RemoveParticipant {
                conversation,
                participant,
            } => self.remove_participant(id, &conversation, participant),
            Command::Record {
                conversation,
                paused,
            } => self.record(id, &conversation, paused),
            Command::WrapUpCodes(conversation) => self.ask_wrap_up_codes(id, &conversation),
            Command::WrapUp {
                conversation,
                code,
                notes,
            } => self.wrap_up(id, &conversation, code, notes),
            Command::SkipWrapUp(conversation) => self.skip_wrap_up(id, &conversation),
            Command::Terminate { session } => self.force_terminate(id, &session),
            Command::SetMediaHandling(handling) => self.set_media_handling(id, handling),
        };
        if let Err(error) = refused {
            self.fail(id, error);
        }
    }

    /// `startSoftphoneSession` (2.4).
    fn start(
        &mut self,
        id: CommandId,
        params: Box<StartSoftphoneSessionParams>,
    ) -> Result<(), SdkError> {
        validate(&params)?;
        self.need_streaming()?;
        let dialed = params
            .phone_number
            .clone()
            .or_else(|| Some(params.participants.as_ref()?.first()?.address.clone()));
        let purpose = Purpose::Place {
            command: id,
            dialed,
        };
        self.request(RestRequest::PlaceCall(params), purpose);
        Ok(())
    }

    /// 6.4. The outcome is known when the offer comes: `proceed` alone may lose the race against another client.
    fn accept(&mut self, id: CommandId, conversation: &ConversationId) -> Result<(), SdkError> {
        self.need_streaming()?;
        let call = self
            .call_mut(conversation)
            .ok_or_else(|| SdkError::unknown_call(conversation))?;
        let rings = call.is_ringing();
        match &mut call.pending {
            Some(pending)
                if pending.accepted && pending.is_mocked() && pending.waiters.is_empty() =>
            {
                self.done(id); // The cloud has taken it already.
            }
            Some(pending) if pending.accepted => pending.waiters.push(id),
            Some(pending) => {
                pending.waiters.push(id);
                self.timers.stop(&Timer::Direction(conversation.clone()));
                self.take(conversation);
            }
            None if call.session.is_some() => self.done(id),
            None if rings => {
                // 6.13.1: the event came first; the propose is on its way.
                call.intents.push(id);
                self.timers.start_once(Timer::Propose(conversation.clone()));
            }
            None => {
                return Err(SdkError::conflict(
                    conversation,
                    "there is nothing to answer: the call is not ringing at this phone",
                ));
            }
        }
        Ok(())
    }

    /// `rejectPendingSession` (2.5).
    fn reject(&mut self, id: CommandId, conversation: &ConversationId) -> Result<(), SdkError> {
        let call = self.known_call(conversation)?;
        if call.session.is_some() || !(call.is_ringing() || call.pending.is_some()) {
            return Err(SdkError::conflict(
                conversation,
                "the call cannot be rejected, it is not ringing: end it instead",
            ));
        }
        self.act(Some(id), conversation, Act::Reject);
        Ok(())
    }

    /// `endSession` (6.11). Here also for calls without a session: being placed, or of the phone's earlier life.
    fn end(&mut self, id: CommandId, conversation: &ConversationId) -> Result<(), SdkError> {
        self.known_call(conversation)?;
        self.act(Some(id), conversation, Act::End);
        Ok(())
    }

    /// `forceTerminateSession` (6.11). The calls it carried are the cloud's to end; it is asked if it does not.
    fn force_terminate(&mut self, id: CommandId, session: &SessionId) -> Result<(), SdkError> {
        if self.session(session).is_none() {
            let error = SdkError::new(
                SdkErrorType::Generic,
                "this phone has no such session: list the calls it has and use one of their sessions",
            );
            return Err(error
                .with("cause", "not_found")
                .with("sessionId", session.as_str()));
        }
        self.end_session(session, Reason::Success, End::Local);
        self.done(id);
        Ok(())
    }

    /// `setAudioMute`: at the server, the state comes back with the event (6.8.8).
    fn mute(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        mute: bool,
    ) -> Result<(), SdkError> {
        self.talking_call(conversation)?;
        self.act(Some(id), conversation, Act::Mute(mute));
        Ok(())
    }

    /// `setConversationHeld` (6.10).
    fn hold(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        held: bool,
    ) -> Result<(), SdkError> {
        let session = self.talking_call(conversation)?.session.clone();
        let session = session.and_then(|session| self.session(&session));
        if session.is_some_and(Session::is_dead) {
            // 6.13.19: skipped. The SDK says nothing; a user who pressed hold is told.
            return Err(SdkError::conflict(
                conversation,
                "the call's connection is interrupted: it can be held or resumed when it is back",
            ));
        }
        let several = self.calls.iter().filter(|call| call.stored).count() > 1;
        if !held && !self.line_appearance_one() && several {
            self.hold_others(conversation);
        }
        self.act(Some(id), conversation, Act::Hold(held));
        Ok(())
    }

    /// 6.10: every other call with a session that is neither held nor over.
    pub(super) fn hold_others(&mut self, but: &ConversationId) {
        let others: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                let held = call.known.as_ref().is_some_and(|known| known.call.held);
                &call.id != but && call.stored && call.session.is_some() && !held && !call.ending
            })
            .map(|call| call.id.clone())
            .collect();
        for other in &others {
            self.act(None, other, Act::AutoHold);
        }
    }

    /// 2.4: without streaming nobody could offer us the call.
    fn need_streaming(&self) -> Result<(), SdkError> {
        if self.streaming {
            return Ok(());
        }
        Err(SdkError::new(
            SdkErrorType::Session,
            "the phone is not connected to the cloud: wait until it is, or check the network",
        )
        .with("cause", "conflict"))
    }

    /// The call, if it is one the user can see.
    pub(super) fn known_call(&self, id: &ConversationId) -> Result<&Call, SdkError> {
        self.call(id)
            .filter(|call| !call.is_eager())
            .ok_or_else(|| SdkError::unknown_call(id))
    }

    /// The call, if it was answered.
    pub(super) fn talking_call(&self, id: &ConversationId) -> Result<&Call, SdkError> {
        let call = self.known_call(id)?;
        let ringing = call.state().is_none_or(CallState::is_pending);
        if ringing && call.session.is_none() {
            return Err(SdkError::conflict(
                id,
                "this cannot be done while the call is ringing: answer it first",
            ));
        }
        Ok(call)
    }

    pub(super) fn outcome(&mut self, id: CommandId, result: Result<CommandReply, SdkError>) {
        self.outputs
            .push_back(super::Output::CommandDone { id, result });
    }

    pub(super) fn done(&mut self, id: CommandId) {
        self.outcome(id, Ok(CommandReply::Done));
    }

    /// 6.14: thrown, and delivered as `sdkError`; a REST failure's event was emitted when it came.
    pub(super) fn fail(&mut self, id: CommandId, error: SdkError) {
        if error.kind != SdkErrorType::Http {
            self.event(super::Event::SdkError(error.clone()));
        }
        self.outcome(id, Err(error));
    }
}
