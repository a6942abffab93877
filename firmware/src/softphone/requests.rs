//! REST requests: what each was made for, and what follows from its outcome (genesys-protocol 2.4 to 2.6, 6.11, 6.14).

use super::acts::Act;
use super::event::{Event, SdkError, SdkErrorType};
use super::timers::Timer;
use super::{CommandId, CommandReply, Output, RequestId, Softphone};
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::genesys::model::CallState;
use crate::genesys::rest::{RestError, RestReply, RestRequest};

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
    /// The codes a call can be wrapped up with.
    WrapUpCodes { command: CommandId },
    /// To wrap a call up, or to skip that.
    WrapUp {
        command: CommandId,
        conversation: ConversationId,
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

impl Purpose {
    /// Who waits for the outcome.
    fn command(&self) -> Option<CommandId> {
        match self {
            Self::Place { command, .. }
            | Self::WrapUpCodes { command }
            | Self::WrapUp { command, .. } => Some(*command),
            Self::Act { command, .. } | Self::Find { command, .. } => *command,
            Self::Metadata | Self::Direction(_) | Self::Check(_) | Self::ActiveCalls { .. } => None,
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

    /// Whether a call of ours is being placed, so that it is not known yet whose a new outbound one is.
    pub(super) fn is_placing(&self) -> bool {
        self.requests
            .values()
            .any(|purpose| matches!(purpose, Purpose::Place { .. }))
    }

    /// Whether digits of a conversation are at the cloud, maybe since before it left us and came back.
    pub(super) fn is_sending_digits(&self, id: &ConversationId) -> bool {
        self.requests.values().any(|purpose| match purpose {
            Purpose::Act {
                conversation,
                act: Act::Digits { .. },
                ..
            }
            | Purpose::Find {
                conversation,
                act: Act::Digits { .. },
                ..
            } => conversation == id,
            _ => false,
        })
    }

    /// What was asked for in the name of one user is not the next one's: a reply that still comes is ignored.
    pub(super) fn forget_requests(&mut self) {
        for (request, purpose) in std::mem::take(&mut self.requests) {
            self.timers.stop(&Timer::Request(request));
            if let Some(command) = purpose.command() {
                let text = "the user has logged out; whether it was done is not known";
                self.fail(command, SdkError::new(SdkErrorType::Generic, text));
            }
        }
    }

    /// A request's outcome.
    pub(super) fn on_rest(&mut self, request: RequestId, result: Result<RestReply, RestError>) {
        let Some(purpose) = self.requests.remove(&request) else {
            return;
        };
        self.timers.stop(&Timer::Request(request));
        if let Err(error) = &result {
            match &purpose {
                // Tried once more, otherwise.
                Purpose::Act {
                    act: Act::Feature(feature),
                    ..
                } if feature.retry(error).is_some() => {}
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
                Ok(reply) => match act {
                    Act::Feature(feature) => {
                        self.on_feature_done(command, &conversation, feature, reply);
                    }
                    act => self.on_act_done(command, &conversation, &act),
                },
                Err(error) => self.on_act_failed(command, &conversation, &act, &error),
            },
            Purpose::Find {
                command,
                conversation,
                act,
            } => self.on_found(command, &conversation, act, result),
            Purpose::WrapUpCodes { command } => self.on_wrap_up_codes(command, result),
            Purpose::WrapUp {
                command,
                conversation,
            } => self.on_wrapped_up(command, &conversation, result),
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
}
