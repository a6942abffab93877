//! REST requests as values (genesys-protocol section 2), and the client that makes them.

pub(crate) mod client;
mod feature;
pub(crate) mod retry;
pub(crate) mod wire;

use super::id::{CommunicationId, ConversationId, ParticipantId};
use super::model::Conversation;
use super::token::TokenError;
use crate::device::Private;
pub use feature::{Endpoint, FeatureRequest, SpeakTo, TransferTarget, WrapUpCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The seed's `IStartSoftphoneSessionParams`; body of `POST /conversations/calls` (2.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct StartSoftphoneSessionParams {
    /// Number or address to dial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<Private>,
    /// Presented number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<Private>,
    /// Presented name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_id_name: Option<Private>,
    /// On behalf of this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_from_queue_id: Option<String>,
    /// Call this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_queue_id: Option<String>,
    /// Call this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_user_id: Option<String>,
    /// Priority when calling a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Language skill when calling a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_id: Option<String>,
    /// Skills when calling a queue (note the plural of the wire).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_skills_ids: Option<Vec<String>>,
    /// Existing conversations to merge into a new conference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_ids: Option<Vec<ConversationId>>,
    /// Parties of a new conference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participants: Option<Vec<SoftphoneDestination>>,
    /// User-to-user data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uui_data: Option<Private>,
}

/// The seed's `ISdkSoftphoneDestination`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SoftphoneDestination {
    /// Required: the address or phone number to dial.
    pub address: Private,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Private>,
    /// User.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<String>,
}

/// Every request the session engine makes. Time-out 30 s each; none of these is retried (2.1).
#[derive(Clone, Debug, PartialEq)]
pub enum RestRequest {
    /// `POST /conversations/calls` -> [`RestReply::CallPlaced`].
    PlaceCall(Box<StartSoftphoneSessionParams>),
    /// `PATCH /conversations/calls/{C}/participants/{P}` -> [`RestReply::Done`].
    PatchParticipant {
        /// C.
        conversation: ConversationId,
        /// P, our own (6.7).
        participant: ParticipantId,
        /// Body.
        patch: ParticipantPatch,
    },
    /// `POST .../participants/{P}/replace` with `{"voicemail":true}`.
    ToVoicemail {
        /// C.
        conversation: ConversationId,
        /// P.
        participant: ParticipantId,
    },
    /// `GET /conversations/{C}` -> [`RestReply::Conversation`].
    Conversation {
        /// C.
        conversation: ConversationId,
    },
    /// `GET /conversations/calls` -> [`RestReply::Conversations`].
    ActiveCalls,
    /// `POST /conversations/{C}/participants/{P}/digits`.
    Digits {
        /// C.
        conversation: ConversationId,
        /// P.
        participant: ParticipantId,
        /// `0-9*#`.
        digits: Private,
    },
    /// `POST /conversations/calls/{C}/communications/{K}/metadata`, no body.
    Metadata {
        /// C.
        conversation: ConversationId,
        /// K.
        communication: CommunicationId,
    },
    /// What the SDK leaves to its user (2.6).
    Feature(Box<FeatureRequest>),
}

/// Body of the participant PATCH (2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantPatch {
    /// `{"state":"connected"}`.
    Connect,
    /// `{"state":"disconnected"}`.
    Disconnect,
    /// `{"muted":..}`.
    Muted(bool),
    /// `{"held":..}`.
    Held(bool),
    /// `{"wrapupSkipped":true}`: no wrap-up code is wanted for the call after all.
    SkipWrapUp,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub enum RestReply {
    /// `id`, `selfUri`.
    CallPlaced {
        /// C.
        id: ConversationId,
        /// Path.
        self_uri: String,
    },
    /// 2xx; the body does not matter.
    Done,
    /// One conversation.
    Conversation(Box<Conversation>),
    /// Several.
    Conversations(Vec<Conversation>),
    /// A consultation has begun.
    Consulting {
        /// Who is asked, when the cloud says so.
        destination: Option<ParticipantId>,
    },
    /// The codes a call can be wrapped up with.
    WrapUpCodes(Vec<WrapUpCode>),
}

/// A REST request that did not succeed. Texts hold no number and no name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// An error status.
    #[error("{request}: the cloud answered {status}{}{}", code.as_deref().map(|c| format!(" ({c})")).unwrap_or_default(), advice(*status))]
    Status {
        /// Method and path with ids.
        request: String,
        /// HTTP status.
        status: u16,
        /// `code` of the ErrorBody; after it the missing permissions, where the cloud names them.
        code: Option<String>,
        /// `message` of the ErrorBody, for the display; may hold a number.
        message: Option<Private>,
        /// `inin-correlation-id`.
        correlation_id: Option<String>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("{request}: no answer within {} s", after.as_secs())]
    Timeout {
        /// Method and path.
        request: String,
        /// The limit.
        after: Duration,
    },
    /// No connection.
    #[error("{request}: {detail}")]
    Network {
        /// Method and path.
        request: String,
        /// Cause chain.
        detail: String,
        /// Whether it was TLS that failed.
        tls: bool,
    },
    /// There is no access token to send.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A 2xx reply that cannot be read.
    #[error("{request}: unreadable reply: {detail}")]
    Body {
        /// Method and path.
        request: String,
        /// What is wrong.
        detail: String,
    },
}

/// What an error status asks a person to do.
fn advice(status: u16) -> &'static str {
    match status {
        401 => ": log in again",
        403 => ": an administrator must give the user's role the missing permission",
        408 | 500..=599 => ": the cloud has trouble, try again in a moment",
        429 => ": too many requests, wait a moment",
        _ => "",
    }
}
