//! REST requests: what each was made for, and what follows from its outcome (genesys-protocol 2.4 to 2.6, 6.11, 6.14).

use super::error::is_gone;
use super::event::{Event, SdkError, SdkErrorType};
use super::select::own_participant;
use super::session::End;
use super::timers::Timer;
use super::{CommandId, CommandReply, Output, RequestId, Softphone};
use crate::device::Private;
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::model::{CallState, Conversation, Participant};
use crate::genesys::rest::{ParticipantPatch, RestError, RestReply, RestRequest};
use crate::genesys::signal::Reason;

/// What a request was made for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// `startSoftphoneSession`.
    Place {
        command: CommandId,
        dialed: Option<Private>,
    },
    /// Something done to our participant.
    Act {
        command: Option<CommandId>,
        conversation: ConversationId,
        act: Act,
    },
    /// To find our participant first (2.5).
    Find {
        command: Option<CommandId>,
        conversation: ConversationId,
        act: Act,
    },
    /// 6.13.23: never matters.
    Metadata,
    /// Which way a call goes that wants to be answered by itself.
    Direction(ConversationId),
    /// Whether a call still exists.
    Check(ConversationId),
    /// What is going on, at the start (`boot`) or after a streaming drop. Calls with a higher `sequence` began later.
    ActiveCalls { boot: bool, sequence: u64 },
}

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
    Digits(Private),
}

impl Act {
    fn request(&self, conversation: ConversationId, participant: &Participant) -> RestRequest {
        let id = participant.id.clone();
        let patch = match self {
            Self::Answer => ParticipantPatch::Connect,
            // 6.13.21: a call to the user goes to the voicemail.
            Self::Reject if participant.purpose.as_deref() == Some("user") => {
                return RestRequest::ToVoicemail {
                    conversation,
                    participant: id,
                };
            }
            Self::Reject | Self::End => ParticipantPatch::Disconnect,
            Self::Mute(mute) => ParticipantPatch::Muted(*mute),
            Self::Hold(held) => ParticipantPatch::Held(*held),
            Self::AutoHold => ParticipantPatch::Held(true),
            Self::Digits(digits) => {
                return RestRequest::Digits {
                    conversation,
                    participant: id,
                    digits: digits.clone(),
                };
            }
        };
        RestRequest::PatchParticipant {
            conversation,
            participant: id,
            patch,
        }
    }
}

impl Softphone {
    /// Sends a request.
    pub(super) fn request(&mut self, body: RestRequest, purpose: Purpose) {
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.requests.insert(request, purpose);
        self.timers.start(Timer::Request(request));
        self.outputs.push_back(Output::Rest { request, body });
    }

    /// Does something to our participant of a conversation; asks for it first if no event has told it (2.5).
    pub(super) fn act(&mut self, command: Option<CommandId>, id: &ConversationId, act: Act) {
        if matches!(act, Act::End | Act::Reject)
            && let Some(call) = self.call_mut(id)
        {
            call.ending = true;
        }
        let conversation = id.clone();
        match self.call(id).and_then(|call| call.known.as_ref()) {
            Some(known) => {
                let request = act.request(conversation.clone(), &known.participant);
                let purpose = Purpose::Act {
                    command,
                    conversation,
                    act,
                };
                self.request(request, purpose);
            }
            None => {
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
    }

    /// Ends a call nobody can talk on.
    pub(super) fn hang_up(&mut self, id: &ConversationId) {
        if self.call(id).is_some_and(|call| !call.ending) {
            self.act(None, id, Act::End);
        }
    }

    /// Asks whether a call still exists.
    pub(super) fn check(&mut self, id: &ConversationId) {
        if self
            .call(id)
            .is_some_and(|call| call.session.is_none() && !call.is_eager())
        {
            let request = RestRequest::Conversation {
                conversation: id.clone(),
            };
            self.request(request, Purpose::Check(id.clone()));
        }
    }

    /// Asks what is going on.
    pub(super) fn fetch_active_calls(&mut self, boot: bool) {
        let sequence = self.last_call;
        let purpose = Purpose::ActiveCalls { boot, sequence };
        self.request(RestRequest::ActiveCalls, purpose);
    }

    /// Whether a call of ours is being placed, so that it is not known yet whose a new outbound one is.
    pub(super) fn is_placing(&self) -> bool {
        self.requests
            .values()
            .any(|purpose| matches!(purpose, Purpose::Place { .. }))
    }

    /// A request's outcome.
    pub(super) fn on_rest(&mut self, request: RequestId, result: Result<RestReply, RestError>) {
        let Some(purpose) = self.requests.remove(&request) else {
            return;
        };
        self.timers.stop(&Timer::Request(request));
        if let Err(error) = &result {
            match purpose {
                // 2.5, and questions of our own: a warning, nothing else.
                Purpose::Metadata
                | Purpose::Direction(_)
                | Purpose::Check(_)
                | Purpose::ActiveCalls { .. } => tracing::warn!(%error, "a request failed"),
                // 6.14: in addition to the caller's own error.
                _ => self.event(Event::SdkError(SdkError::http(error))),
            }
        }
        match purpose {
            Purpose::Metadata => {}
            Purpose::Place { command, dialed } => self.on_place_result(command, dialed, result),
            Purpose::Act {
                command,
                conversation,
                act,
            } => match result {
                Ok(_) => self.on_act_done(command, &conversation, &act),
                Err(error) => self.on_act_failed(command, &conversation, &act, &error),
            },
            Purpose::Find {
                command,
                conversation,
                act,
            } => self.on_found(command, &conversation, act, result),
            Purpose::Direction(id) => {
                self.on_conversation_result(&id, result);
                self.on_direction_unknown(&id);
            }
            Purpose::Check(id) => {
                self.on_conversation_result(&id, result);
                if self.call(&id).is_some_and(|call| call.session.is_none()) {
                    self.timers.start(Timer::Stale(id));
                }
            }
            Purpose::ActiveCalls { boot, sequence } => {
                if let Ok(RestReply::Conversations(list)) = result {
                    self.on_active_calls(list, boot, sequence);
                }
            }
        }
    }

    fn on_place_result(
        &mut self,
        command: CommandId,
        dialed: Option<Private>,
        result: Result<RestReply, RestError>,
    ) {
        match result {
            Ok(RestReply::CallPlaced { id, self_uri }) => {
                let reply = CommandReply::Started {
                    id: id.clone(),
                    self_uri,
                };
                self.outcome(command, Ok(reply));
                let call = self.call_or_new(&id);
                call.placed = true;
                call.accepted = true;
                call.dismissed = false;
                call.dialed = dialed;
                if call.session.is_none() && call.pending.is_none() {
                    self.timers.start(Timer::Placed(id.clone()));
                }
                self.note_connected(&id);
                self.decide(&id);
            }
            Ok(_) => {
                let error = SdkError::new(
                    SdkErrorType::Http,
                    "the cloud's answer to the call names no conversation: the call may have been placed all the same",
                );
                self.event(Event::SdkError(error.clone()));
                self.outcome(command, Err(error));
            }
            Err(error) => self.outcome(command, Err(SdkError::http(&error))),
        }
        if !self.is_placing() {
            self.settle_unowned();
            self.decide_all();
        }
    }

    /// Outbound calls that waited for the reply, and are not ours.
    fn settle_unowned(&mut self) {
        let waiting: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                let offered = call.pending.as_ref().is_some_and(|p| p.offer.is_some());
                let rings = call.state().is_none_or(CallState::is_pending);
                !call.is_ours() && !call.boot && !offered && !rings
            })
            .map(|call| call.id.clone())
            .collect();
        for id in &waiting {
            self.taken_elsewhere(id);
        }
    }

    fn on_act_done(&mut self, command: Option<CommandId>, id: &ConversationId, act: &Act) {
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
            _ => {}
        }
        if let Some(command) = command {
            self.done(command);
        }
    }

    fn on_act_failed(
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
            // 6.14
            Act::Mute(_) => SdkError::new(
                SdkErrorType::Generic,
                "the call could not be muted or unmuted: try again",
            ),
            Act::Hold(_) => SdkError::new(
                SdkErrorType::Call,
                "the call could not be held or resumed: try again",
            ),
            Act::Reject | Act::Digits(_) | Act::AutoHold => SdkError::http(error),
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
    fn on_found(
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
        let participant = own_participant(&conversation, &me, None).cloned();
        self.observe(conversation);
        match participant {
            Some(participant) if self.call(id).is_some() => {
                let request = act.request(id.clone(), &participant);
                let purpose = Purpose::Act {
                    command,
                    conversation: id.clone(),
                    act,
                };
                self.request(request, purpose);
            }
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

    fn on_conversation_result(
        &mut self,
        id: &ConversationId,
        result: Result<RestReply, RestError>,
    ) {
        match result {
            Ok(RestReply::Conversation(conversation)) => {
                let me = self.user_id().cloned().unwrap_or_default();
                let on_it = own_participant(&conversation, &me, None)
                    .is_some_and(|participant| !participant.calls.is_empty());
                if on_it && &conversation.id == id {
                    self.observe(*conversation);
                } else {
                    self.gone(id);
                }
            }
            Err(error) if is_gone(&error) => self.gone(id),
            _ => {}
        }
    }

    /// The cloud has no such call of ours any more: as if its last event had come.
    pub(super) fn gone(&mut self, id: &ConversationId) {
        let Some(call) = self.call(id) else { return };
        if let Some(known) = &call.known {
            let me = self.user_id().cloned();
            let mut last = known.conversation.clone();
            for participant in &mut last.participants {
                if participant.user_id == me {
                    for call in &mut participant.calls {
                        call.state = CallState::Disconnected;
                    }
                }
            }
            self.observe(last);
        }
        if self.call(id).is_some() {
            self.cancel_pending(id, "the call is over");
            let session = self.call(id).and_then(|call| call.session.clone());
            self.forget(id);
            if let Some(session) = session {
                self.timers.start(Timer::Leftover(session));
            }
        }
    }

    /// The calls going on at the start or after a streaming drop (2.6).
    fn on_active_calls(&mut self, list: Vec<Conversation>, boot: bool, sequence: u64) {
        let me = self.user_id().cloned().unwrap_or_default();
        let listed: Vec<ConversationId> = list.iter().map(|c| c.id.clone()).collect();
        for conversation in list {
            let id = conversation.id.clone();
            let own = super::select::own_call(&conversation, &me, None);
            let connected =
                own.is_some_and(|(_, call)| !call.state.is_pending() && !call.state.is_ended());
            if self.call(&id).is_none() && connected {
                if boot {
                    self.call_or_new(&id).boot = true;
                    self.timers.start(Timer::Stale(id.clone()));
                } else if self.line_appearance_one() && self.connected_active_session().is_some() {
                    // Its alerting was missed, and the one session there is carries it.
                    self.call_or_new(&id).accepted = true;
                }
            }
            self.observe(conversation);
        }
        // Those that are not listed are asked for one by one: the list has pages, and new calls begin meanwhile.
        let missing: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                call.sequence <= sequence && !listed.contains(&call.id) && !call.is_eager()
            })
            .map(|call| call.id.clone())
            .collect();
        for id in &missing {
            let request = RestRequest::Conversation {
                conversation: id.clone(),
            };
            self.request(request, Purpose::Check(id.clone()));
        }
    }
}
