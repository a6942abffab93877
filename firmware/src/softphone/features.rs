//! Transfer, consultation, conference and recording, which the SDK leaves to its user (genesys-protocol 2.6).
//!
//! Transfers and consultations use the endpoint of their kind of target; where the cloud has none (404, 405, 410) the
//! deprecated one for all targets, which the SDK still uses for the voicemail.

use super::acts::Act;
use super::call::{Consulting, Known};
use super::event::SdkError;
use super::params::{destinations, id as check_id, target};
use super::view::{is_machine, living_call};
use super::{CommandId, ConsultAction, Softphone, TransferMode};
use crate::genesys::id::{ConversationId, ParticipantId, UserId};
use crate::genesys::model::{CallState, Participant};
use crate::genesys::rest::{
    Endpoint, FeatureRequest, ParticipantPatch, RestError, RestReply, RestRequest,
    SoftphoneDestination, SpeakTo, TransferTarget,
};

/// What is wanted of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Feature {
    Transfer(TransferTarget, Endpoint),
    Consult(TransferTarget, Endpoint),
    /// With who is to be transferred.
    SpeakTo(ParticipantId, SpeakTo),
    /// With who was to be transferred.
    CancelConsult(ParticipantId),
    Add(Vec<SoftphoneDestination>),
    Merge(Vec<ConversationId>),
    Remove(ParticipantId),
    Record {
        paused: bool,
    },
}

impl Feature {
    /// # Errors
    /// `session` when there is nobody to do it to.
    pub(super) fn request(&self, known: &Known, me: &UserId) -> Result<RestRequest, SdkError> {
        let conversation = known.conversation.id.clone();
        let request = match self {
            Self::Transfer(to, endpoint) => FeatureRequest::Transfer {
                conversation,
                participant: known.participant.id.clone(),
                to: to.clone(),
                endpoint: *endpoint,
            },
            Self::Consult(to, endpoint) => {
                let object = object(known, me).ok_or_else(|| {
                    SdkError::conflict(
                        &conversation,
                        "nobody is on the call who could be transferred: wait until somebody answers",
                    )
                })?;
                FeatureRequest::Consult {
                    conversation,
                    object: object.id.clone(),
                    to: to.clone(),
                    consulting: me.clone(),
                    endpoint: *endpoint,
                }
            }
            Self::SpeakTo(object, speak_to) => FeatureRequest::SpeakTo {
                conversation,
                object: object.clone(),
                speak_to: *speak_to,
            },
            Self::CancelConsult(object) => FeatureRequest::CancelConsult {
                conversation,
                object: object.clone(),
            },
            Self::Add(participants) => FeatureRequest::AddParticipants {
                conversation,
                participants: participants.clone(),
            },
            Self::Merge(others) => FeatureRequest::Merge {
                conversation,
                others: others.clone(),
            },
            Self::Remove(participant) => {
                return Ok(RestRequest::PatchParticipant {
                    conversation,
                    participant: participant.clone(),
                    patch: ParticipantPatch::Disconnect,
                });
            }
            Self::Record { paused } => FeatureRequest::Recording {
                conversation,
                paused: *paused,
            },
        };
        Ok(RestRequest::Feature(Box::new(request)))
    }

    /// The same by the deprecated endpoint, when the cloud does not have the other.
    pub(super) fn retry(&self, error: &RestError) -> Option<Self> {
        match self {
            _ if !is_missing(error) => None,
            Self::Transfer(to, Endpoint::Typed) => {
                Some(Self::Transfer(to.clone(), Endpoint::Generic))
            }
            Self::Consult(to, Endpoint::Typed) => {
                Some(Self::Consult(to.clone(), Endpoint::Generic))
            }
            _ => None,
        }
    }
}

fn is_missing(error: &RestError) -> bool {
    matches!(
        error,
        RestError::Status {
            status: 404 | 405 | 410,
            ..
        }
    )
}

/// Who would be transferred: the customer, else whoever else is connected, newest first \[inferred, 2.6\].
fn object<'a>(known: &'a Known, me: &UserId) -> Option<&'a Participant> {
    let others = || {
        known.conversation.participants.iter().rev().filter(|p| {
            let connected = living_call(p).is_some_and(|c| c.state == CallState::Connected);
            p.user_id.as_ref() != Some(me) && !is_machine(p) && connected
        })
    };
    let outside = |p: &&Participant| matches!(p.purpose.as_deref(), Some("customer" | "external"));
    others().find(outside).or_else(|| others().next())
}

impl Softphone {
    /// Hands the call on, or asks first. A call that rings can be sent on too, unanswered.
    pub(super) fn transfer(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        to: TransferTarget,
        mode: TransferMode,
    ) -> Result<(), SdkError> {
        target(&to)?;
        let feature = match mode {
            TransferMode::Blind => {
                self.known_call(conversation)?;
                Feature::Transfer(to, Endpoint::Typed)
            }
            TransferMode::Consult => {
                if matches!(to, TransferTarget::Voicemail(_)) {
                    return Err(SdkError::invalid(
                        "to",
                        "a voicemail cannot be asked: transfer to it with mode blind",
                    ));
                }
                let call = self.talking_call(conversation)?;
                if call.consult.is_some() {
                    return Err(SdkError::conflict(
                        conversation,
                        "somebody is being asked already: complete or cancel that first",
                    ));
                }
                Feature::Consult(to, Endpoint::Typed)
            }
        };
        self.act(Some(id), conversation, Act::Feature(feature));
        Ok(())
    }

    pub(super) fn consult(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        action: ConsultAction,
    ) -> Result<(), SdkError> {
        let object = self.consult_object(conversation)?.ok_or_else(|| {
            SdkError::conflict(
                conversation,
                "nobody is being asked: begin with a transfer of mode consult",
            )
        })?;
        let act = match action {
            // By leaving [inferred, 2.6].
            ConsultAction::Complete => Act::End,
            ConsultAction::Cancel => Act::Feature(Feature::CancelConsult(object)),
            ConsultAction::SpeakTo(speak_to) => Act::Feature(Feature::SpeakTo(object, speak_to)),
        };
        self.act(Some(id), conversation, act);
        Ok(())
    }

    /// Who is to be transferred in the call's consultation, also one that another client began.
    fn consult_object(&self, id: &ConversationId) -> Result<Option<ParticipantId>, SdkError> {
        let call = self.known_call(id)?;
        let own = call.consult.as_ref().map(|consult| consult.object.clone());
        Ok(own.or_else(|| {
            let known = call.known.as_ref()?;
            let asked = self.consulted(known)?;
            asked.consult_participant_id.clone()
        }))
    }

    /// Who is asked, by the events.
    pub(super) fn consulted<'a>(&self, known: &'a Known) -> Option<&'a Participant> {
        let me = self.user_id();
        let participants = || known.conversation.participants.iter().rev();
        participants().find(|p| {
            p.consult_participant_id.is_some()
                && p.user_id.as_ref() != me
                && living_call(p).is_some()
        })
    }

    pub(super) fn add_participants(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        participants: Vec<SoftphoneDestination>,
    ) -> Result<(), SdkError> {
        if participants.is_empty() {
            return Err(SdkError::invalid(
                "participants",
                "there is nobody to add: give at least one participant",
            ));
        }
        destinations(&participants)?;
        self.talking_call(conversation)?;
        let act = Act::Feature(Feature::Add(participants));
        self.act(Some(id), conversation, act);
        Ok(())
    }

    pub(super) fn merge(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        others: Vec<ConversationId>,
    ) -> Result<(), SdkError> {
        if others.is_empty() || others.contains(conversation) {
            return Err(SdkError::invalid(
                "conversationIds",
                "give the other calls that are to join this one",
            ));
        }
        self.talking_call(conversation)?;
        for other in &others {
            check_id("conversationIds", other.as_str())?;
            self.talking_call(other)?;
        }
        self.act(Some(id), conversation, Act::Feature(Feature::Merge(others)));
        Ok(())
    }

    pub(super) fn remove_participant(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        participant: ParticipantId,
    ) -> Result<(), SdkError> {
        let call = self.talking_call(conversation)?;
        let known = call.known.as_ref();
        if known.is_some_and(|known| known.participant.id == participant) {
            return Err(SdkError::conflict(
                conversation,
                "that participant is this phone: end the call to leave it",
            ));
        }
        let there = known.is_none_or(|known| {
            let participants = known.conversation.participants.iter();
            participants
                .into_iter()
                .any(|p| p.id == participant && living_call(p).is_some())
        });
        if !there {
            let error = SdkError::session(
                conversation,
                "nobody with that id is on the call: see its parties",
            );
            return Err(error.with("cause", "not_found"));
        }
        let act = Act::Feature(Feature::Remove(participant));
        self.act(Some(id), conversation, act);
        Ok(())
    }

    pub(super) fn record(
        &mut self,
        id: CommandId,
        conversation: &ConversationId,
        paused: bool,
    ) -> Result<(), SdkError> {
        self.talking_call(conversation)?;
        let act = Act::Feature(Feature::Record { paused });
        self.act(Some(id), conversation, act);
        Ok(())
    }

    pub(super) fn on_feature_done(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        feature: Feature,
        reply: RestReply,
    ) {
        let me = self.user_id().cloned().unwrap_or_default();
        if let Some(call) = self.call_mut(id) {
            match feature {
                Feature::Consult(..) => {
                    let destination = match reply {
                        RestReply::Consulting { destination } => destination,
                        _ => None,
                    };
                    let known = call.known.as_ref();
                    call.consult =
                        known
                            .and_then(|known| object(known, &me))
                            .map(|object| Consulting {
                                object: object.id.clone(),
                                destination,
                                speak_to: SpeakTo::default(),
                            });
                }
                Feature::SpeakTo(object, speak_to) => {
                    let consult = call.consult.get_or_insert(Consulting {
                        object,
                        destination: None,
                        speak_to,
                    });
                    consult.speak_to = speak_to;
                }
                Feature::CancelConsult(_) => call.consult = None,
                _ => {}
            }
        }
        if let Some(command) = command {
            self.done(command);
        }
    }

    /// The event of the failure was told already (6.14).
    pub(super) fn on_feature_failed(
        &mut self,
        command: Option<CommandId>,
        id: &ConversationId,
        feature: &Feature,
        error: &RestError,
    ) {
        let missing = is_missing(error);
        let generic = feature.retry(error);
        if let Some(generic) = generic.filter(|_| self.call(id).is_some()) {
            self.act(command, id, Act::Feature(generic));
            return;
        }
        if let Some(command) = command {
            self.fail(command, SdkError::http(error).about(id));
        }
        if matches!(feature, Feature::CancelConsult(_) | Feature::SpeakTo(..))
            && missing
            && let Some(call) = self.call_mut(id)
        {
            call.consult = None; // There is no consultation any more.
        }
        if missing {
            self.check(id);
        }
    }

    /// A consultation is over when who was asked is gone.
    pub(super) fn note_consult(&mut self, id: &ConversationId) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let Some(known) = &call.known else { return };
        let over = call.consult.as_ref().is_some_and(|consult| {
            let asked = |p: &&Participant| Some(&p.id) == consult.destination.as_ref();
            let asked = known.conversation.participants.iter().find(asked);
            asked.is_some_and(|p| !p.calls.is_empty() && living_call(p).is_none())
        });
        if over {
            call.consult = None;
        }
    }
}
