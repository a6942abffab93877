//! Call features the SDK leaves to REST and a desk phone needs (genesys-protocol 2.6): transfer, consultation,
//! conference, recording, wrap-up.

use super::SoftphoneDestination;
use super::wire::{HttpRequest, call_participant, segment};
use crate::device::Private;
use crate::genesys::id::{CommunicationId, ConversationId, ParticipantId, UserId};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A request for one of these features.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureRequest {
    /// Blind transfer. Typed: `POST /conversations/{C}/participants/{P}/replace/agent`, `.../replace/queue` or
    /// `.../transfer`; else the deprecated `POST /conversations/calls/{C}/participants/{P}/replace`.
    Transfer {
        /// C.
        conversation: ConversationId,
        /// The participant to be replaced: our own.
        participant: ParticipantId,
        /// By whom.
        to: TransferTarget,
        /// Which endpoint.
        endpoint: Endpoint,
    },
    /// `POST /conversations/calls/{C}/participants/{P}/consult/agent`, `.../consult/queue`, `.../voice/consult`, or the
    /// deprecated `.../consult` -> [`super::RestReply::Consulting`].
    Consult {
        /// C.
        conversation: ConversationId,
        /// The participant who is to be transferred: the customer \[inferred\].
        object: ParticipantId,
        /// Who is asked.
        to: TransferTarget,
        /// Who asks: our user.
        consulting: UserId,
        /// Which endpoint.
        endpoint: Endpoint,
    },
    /// `PATCH /conversations/calls/{C}/participants/{P}/consult`.
    SpeakTo {
        /// C.
        conversation: ConversationId,
        /// The participant who is to be transferred.
        object: ParticipantId,
        /// Whom our user hears and talks to.
        speak_to: SpeakTo,
    },
    /// `DELETE /conversations/calls/{C}/participants/{P}/consult`.
    CancelConsult {
        /// C.
        conversation: ConversationId,
        /// The participant who was to be transferred.
        object: ParticipantId,
    },
    /// `POST /conversations/calls/{C}/participants`.
    AddParticipants {
        /// C.
        conversation: ConversationId,
        /// Whom to call.
        participants: Vec<SoftphoneDestination>,
    },
    /// `PATCH /conversations/calls/{C}/conference`.
    Merge {
        /// C.
        conversation: ConversationId,
        /// The calls that become part of it.
        others: Vec<ConversationId>,
    },
    /// `PUT /conversations/calls/{C}/recordingstate`.
    Recording {
        /// C.
        conversation: ConversationId,
        /// `PAUSED`, else `ACTIVE`.
        paused: bool,
    },
    /// `GET /conversations/calls/{C}/participants/{P}/wrapupcodes` -> [`super::RestReply::WrapUpCodes`].
    WrapUpCodes {
        /// C.
        conversation: ConversationId,
        /// P, our own.
        participant: ParticipantId,
    },
    /// `POST /conversations/calls/{C}/participants/{P}/communications/{K}/wrapup`.
    WrapUp {
        /// C.
        conversation: ConversationId,
        /// P, our own.
        participant: ParticipantId,
        /// K, our own.
        communication: CommunicationId,
        /// Id of a wrap-up code.
        code: String,
        /// The user's notes.
        notes: Option<Private>,
    },
}

/// Which of the two endpoints of a transfer or consultation (2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// One for each kind of target.
    Typed,
    /// One for all, marked deprecated: for a cloud that does not have the others.
    Generic,
}

/// Who takes over a call.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferTarget {
    /// A number or address.
    Address(Private),
    /// A user, by id.
    User(String),
    /// A queue, by id.
    Queue(String),
    /// The voicemail of a user, by the user's id.
    Voicemail(String),
}

/// Who hears whom in a consultation (2.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SpeakTo {
    /// We and who is asked; the customer waits.
    #[default]
    Destination,
    /// We and the customer; who is asked waits.
    Object,
    /// We and either of them; they do not hear each other.
    Both,
    /// All three.
    Conference,
}

/// A wrap-up code of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WrapUpCode {
    /// Id.
    pub id: String,
    /// For people.
    pub name: String,
}

impl TransferTarget {
    /// The target's field of a body.
    fn body(&self) -> Value {
        match self {
            Self::Address(address) => json!({"address": address.expose()}),
            Self::User(id) => json!({"userId": id}),
            Self::Queue(id) => json!({"queueId": id}),
            Self::Voicemail(id) => json!({"userId": id, "voicemail": true}),
        }
    }
}

/// The HTTP form of a request.
pub(super) fn http(request: &FeatureRequest) -> HttpRequest {
    match request {
        FeatureRequest::Transfer {
            conversation,
            participant,
            to,
            endpoint,
        } => {
            let path = match (endpoint, to) {
                (Endpoint::Generic, _) => {
                    format!("{}/replace", call_participant(conversation, participant))
                }
                (Endpoint::Typed, to) => format!(
                    "conversations/{}/participants/{}/{}",
                    segment(conversation.as_str()),
                    segment(participant.as_str()),
                    match to {
                        TransferTarget::Address(_) => "transfer",
                        TransferTarget::User(_) | TransferTarget::Voicemail(_) => "replace/agent",
                        TransferTarget::Queue(_) => "replace/queue",
                    }
                ),
            };
            let mut body = to.body();
            body["transferType"] = "Unattended".into();
            HttpRequest::post(path).with_json(&body)
        }
        FeatureRequest::Consult {
            conversation,
            object,
            to,
            consulting,
            endpoint,
        } => consult(conversation, object, to, consulting, *endpoint),
        FeatureRequest::SpeakTo {
            conversation,
            object,
            speak_to,
        } => HttpRequest::get(format!(
            "{}/consult",
            call_participant(conversation, object)
        ))
        .with_method(Method::PATCH)
        .with_json(&json!({"speakTo": speak_to})),
        FeatureRequest::CancelConsult {
            conversation,
            object,
        } => HttpRequest::get(format!(
            "{}/consult",
            call_participant(conversation, object)
        ))
        .with_method(Method::DELETE),
        FeatureRequest::AddParticipants {
            conversation,
            participants,
        } => HttpRequest::post(format!("{}/participants", call(conversation)))
            .with_json(&json!({"participants": participants})),
        FeatureRequest::Merge {
            conversation,
            others,
        } => HttpRequest::get(format!("{}/conference", call(conversation)))
            .with_method(Method::PATCH)
            .with_json(&json!({"conversationIds": others})),
        FeatureRequest::Recording {
            conversation,
            paused,
        } => {
            let state = if *paused { "PAUSED" } else { "ACTIVE" };
            HttpRequest::get(format!("{}/recordingstate", call(conversation)))
                .with_method(Method::PUT)
                .with_json(&json!({"recordingState": state}))
        }
        FeatureRequest::WrapUpCodes {
            conversation,
            participant,
        } => HttpRequest::get(format!(
            "{}/wrapupcodes",
            call_participant(conversation, participant)
        )),
        FeatureRequest::WrapUp {
            conversation,
            participant,
            communication,
            code,
            notes,
        } => {
            let mut body = json!({"code": code});
            if let Some(notes) = notes {
                body["notes"] = notes.expose().into();
            }
            HttpRequest::post(format!(
                "{}/communications/{}/wrapup",
                call_participant(conversation, participant),
                segment(communication.as_str())
            ))
            .with_json(&body)
        }
    }
}

/// A consultation starts with our user talking to who is asked.
fn consult(
    conversation: &ConversationId,
    object: &ParticipantId,
    to: &TransferTarget,
    consulting: &UserId,
    endpoint: Endpoint,
) -> HttpRequest {
    let participant = call_participant(conversation, object);
    let (path, mut body) = match endpoint {
        Endpoint::Generic => (
            format!("{participant}/consult"),
            json!({"destination": to.body()}),
        ),
        Endpoint::Typed => {
            let kind = match to {
                TransferTarget::Address(_) => "voice/consult",
                TransferTarget::User(_) | TransferTarget::Voicemail(_) => "consult/agent",
                TransferTarget::Queue(_) => "consult/queue",
            };
            (format!("{participant}/{kind}"), to.body())
        }
    };
    body["speakTo"] = json!(SpeakTo::Destination);
    body["consultingUserId"] = consulting.as_str().into();
    HttpRequest::post(path).with_json(&body)
}

fn call(conversation: &ConversationId) -> String {
    format!("conversations/calls/{}", segment(conversation.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &FeatureRequest, line: &str, body: &Value) {
        let http = http(request);
        assert_eq!(http.describe(), line);
        let sent = http
            .body
            .map_or(Value::Null, |body| serde_json::from_slice(&body).unwrap());
        assert_eq!(&sent, body, "{line}");
    }

    #[test]
    fn transfers_have_an_endpoint_for_each_target_and_one_for_all() {
        use {Endpoint::*, TransferTarget::*};
        for (to, endpoint, line, body) in [
            (
                Address("+1317".into()),
                Typed,
                "POST /conversations/C/participants/P/transfer",
                json!({"address": "+1317", "transferType": "Unattended"}),
            ),
            (
                User("U2".into()),
                Typed,
                "POST /conversations/C/participants/P/replace/agent",
                json!({"userId": "U2", "transferType": "Unattended"}),
            ),
            (
                Voicemail("U2".into()),
                Typed,
                "POST /conversations/C/participants/P/replace/agent",
                json!({"userId": "U2", "voicemail": true, "transferType": "Unattended"}),
            ),
            (
                Queue("Q".into()),
                Typed,
                "POST /conversations/C/participants/P/replace/queue",
                json!({"queueId": "Q", "transferType": "Unattended"}),
            ),
            (
                Queue("Q".into()),
                Generic,
                "POST /conversations/calls/C/participants/P/replace",
                json!({"queueId": "Q", "transferType": "Unattended"}),
            ),
        ] {
            let request = FeatureRequest::Transfer {
                conversation: "C".into(),
                participant: "P".into(),
                to,
                endpoint,
            };
            check(&request, line, &body);
        }
    }

    #[test]
    fn consultations_have_an_endpoint_for_each_target_and_one_for_all() {
        use {Endpoint::*, TransferTarget::*};
        let object = "conversations/calls/C/participants/P-cust";
        for (to, endpoint, path, body) in [
            (
                Address("+1317".into()),
                Typed,
                "voice/consult",
                json!({"address": "+1317", "speakTo": "DESTINATION", "consultingUserId": "U"}),
            ),
            (
                User("U2".into()),
                Typed,
                "consult/agent",
                json!({"userId": "U2", "speakTo": "DESTINATION", "consultingUserId": "U"}),
            ),
            (
                Queue("Q".into()),
                Typed,
                "consult/queue",
                json!({"queueId": "Q", "speakTo": "DESTINATION", "consultingUserId": "U"}),
            ),
            (
                User("U2".into()),
                Generic,
                "consult",
                json!({"destination": {"userId": "U2"}, "speakTo": "DESTINATION", "consultingUserId": "U"}),
            ),
        ] {
            let request = FeatureRequest::Consult {
                conversation: "C".into(),
                object: "P-cust".into(),
                to,
                consulting: "U".into(),
                endpoint,
            };
            check(&request, &format!("POST /{object}/{path}"), &body);
        }
    }

    #[test]
    fn every_other_feature_has_its_method_path_and_body() {
        let conversation = || ConversationId::from("C");
        for (request, line, body) in [
            (
                FeatureRequest::SpeakTo {
                    conversation: conversation(),
                    object: "P-cust".into(),
                    speak_to: SpeakTo::Conference,
                },
                "PATCH /conversations/calls/C/participants/P-cust/consult",
                json!({"speakTo": "CONFERENCE"}),
            ),
            (
                FeatureRequest::CancelConsult {
                    conversation: conversation(),
                    object: "P-cust".into(),
                },
                "DELETE /conversations/calls/C/participants/P-cust/consult",
                Value::Null,
            ),
            (
                FeatureRequest::AddParticipants {
                    conversation: conversation(),
                    participants: vec![SoftphoneDestination {
                        address: "1002".into(),
                        name: None,
                        user_id: None,
                        queue_id: None,
                    }],
                },
                "POST /conversations/calls/C/participants",
                json!({"participants": [{"address": "1002"}]}),
            ),
            (
                FeatureRequest::Merge {
                    conversation: conversation(),
                    others: vec!["C2".into()],
                },
                "PATCH /conversations/calls/C/conference",
                json!({"conversationIds": ["C2"]}),
            ),
            (
                FeatureRequest::Recording {
                    conversation: conversation(),
                    paused: true,
                },
                "PUT /conversations/calls/C/recordingstate",
                json!({"recordingState": "PAUSED"}),
            ),
            (
                FeatureRequest::Recording {
                    conversation: conversation(),
                    paused: false,
                },
                "PUT /conversations/calls/C/recordingstate",
                json!({"recordingState": "ACTIVE"}),
            ),
            (
                FeatureRequest::WrapUpCodes {
                    conversation: conversation(),
                    participant: "P".into(),
                },
                "GET /conversations/calls/C/participants/P/wrapupcodes",
                Value::Null,
            ),
            (
                FeatureRequest::WrapUp {
                    conversation: conversation(),
                    participant: "P".into(),
                    communication: "K".into(),
                    code: "W1".to_owned(),
                    notes: Some("called back".into()),
                },
                "POST /conversations/calls/C/participants/P/communications/K/wrapup",
                json!({"code": "W1", "notes": "called back"}),
            ),
        ] {
            check(&request, line, &body);
        }
    }
}
