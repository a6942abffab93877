//! SDK events with the SDK's names and payloads (genesys-protocol 6 and 8), as the local API streams them.

use crate::device::Private;
use crate::genesys::id::{ConversationId, ParticipantId, SessionId};
use crate::genesys::model::{
    CallState, Conversation, Participant, RawJson, RecordingState, Station,
};
use crate::genesys::rest::SpeakTo;
use crate::genesys::signal::Reason;
use serde::Serialize;

/// An SDK event. Closed. `name()` is its SDK name, serialization its payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// `ready`
    Ready {},
    /// `connected`
    Connected {
        /// Whether it was up before.
        reconnect: bool,
    },
    /// `disconnected`
    Disconnected {
        /// Text.
        reason: String,
        /// Whether it comes back by itself.
        reconnecting: bool,
    },
    /// `pendingSession`
    PendingSession(PendingSession),
    /// `cancelPendingSession`
    CancelPendingSession(SessionRef),
    /// `handledPendingSession`
    HandledPendingSession(SessionRef),
    /// `sessionStarted`
    SessionStarted(SessionInfo),
    /// `sessionEnded`
    SessionEnded {
        /// Which.
        session: SessionInfo,
        /// Why.
        reason: EndReason,
    },
    /// `sessionInterrupted`
    SessionInterrupted(SessionInfo),
    /// `conversationUpdate`
    ConversationUpdate(ConversationUpdate),
    /// `conversationUpdateRaw`
    ConversationUpdateRaw(RawJson),
    /// `station`
    Station {
        /// `Associated` or `Disassociated`.
        action: &'static str,
        /// The station.
        station: Option<Station>,
    },
    /// `concurrentSoftphoneSessionsEnabled`
    ConcurrentSoftphoneSessionsEnabled(bool),
    /// `sdkError`
    SdkError(SdkError),
    /// Not the SDK's: our call's view changed (state, remote party, held, muted, media). For `phone` and `GET /calls`;
    /// on the API's stream as `call`.
    Call(Box<CallView>),
    /// Not the SDK's: the call is over and forgotten.
    CallGone {
        /// Which.
        conversation_id: ConversationId,
    },
    /// `alertingLeaderChanged`
    AlertingLeaderChanged {
        /// For calls.
        voice: AlertingLeader,
    },
    /// `wrapUpRequired`. Not the SDK's: a call is over, and wants a wrap-up code. `WrapUpCodes` and `WrapUp` work on it
    /// until `wrapUpOver`.
    #[serde(rename_all = "camelCase")]
    WrapUpRequired {
        /// Which.
        conversation_id: ConversationId,
        /// How urgently.
        wrap_up: WrapUpView,
        /// Who it was with.
        remote: Remote,
    },
    /// `wrapUpOver`. Not the SDK's: the call was wrapped up, here, elsewhere or by the cloud, or nobody wants it any more.
    #[serde(rename_all = "camelCase")]
    WrapUpOver {
        /// Which.
        conversation_id: ConversationId,
    },
}

impl Event {
    /// The SDK's name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready {} => "ready",
            Self::Connected { .. } => "connected",
            Self::Disconnected { .. } => "disconnected",
            Self::PendingSession(_) => "pendingSession",
            Self::CancelPendingSession(_) => "cancelPendingSession",
            Self::HandledPendingSession(_) => "handledPendingSession",
            Self::SessionStarted(_) => "sessionStarted",
            Self::SessionEnded { .. } => "sessionEnded",
            Self::SessionInterrupted(_) => "sessionInterrupted",
            Self::ConversationUpdate(_) => "conversationUpdate",
            Self::ConversationUpdateRaw(_) => "conversationUpdateRaw",
            Self::Station { .. } => "station",
            Self::ConcurrentSoftphoneSessionsEnabled(_) => "concurrentSoftphoneSessionsEnabled",
            Self::SdkError(_) => "sdkError",
            Self::Call(_) => "call",
            Self::CallGone { .. } => "callGone",
            Self::AlertingLeaderChanged { .. } => "alertingLeaderChanged",
            Self::WrapUpRequired { .. } => "wrapUpRequired",
            Self::WrapUpOver { .. } => "wrapUpOver",
        }
    }
}

/// `IPendingSession` (6.2).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct PendingSession {
    pub id: SessionId,
    pub session_id: SessionId,
    pub auto_answer: bool,
    pub conversation_id: ConversationId,
    pub session_type: &'static str,
    pub original_room_jid: crate::genesys::id::Jid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_user_id: Option<String>,
    pub to_jid: crate::genesys::id::Jid,
    pub from_jid: crate::genesys::id::Jid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priv_answer_mode: Option<&'static str>,
}

/// `{sessionId, conversationId}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct SessionRef {
    pub session_id: SessionId,
    pub conversation_id: ConversationId,
}

/// What the API shows of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct SessionInfo {
    pub id: SessionId,
    pub conversation_id: ConversationId,
    pub session_type: &'static str,
    pub state: SessionState,
    pub connection_state: crate::media::ConnectionState,
}

/// State of a session (5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub enum SessionState {
    Pending,
    Active,
    Ended,
}

/// `{condition}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct EndReason {
    pub condition: Reason,
}

/// 6.9.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct ConversationUpdate {
    /// `""` when there is none.
    pub active_conversation_id: ConversationId,
    pub current: Vec<StoredConversation>,
    pub added: Vec<StoredConversation>,
    pub removed: Vec<StoredConversation>,
}

/// `IStoredConversationState` (6.1).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct StoredConversation {
    pub conversation_id: ConversationId,
    pub conversation_update: Conversation,
    pub most_recent_call_state: crate::genesys::model::Call,
    pub most_recent_user_participant: Participant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionInfo>,
}

/// A call as `phone` and `GET /calls` see it (local-api `Call`, without `media`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "local API names")]
pub struct CallView {
    pub conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    pub direction: crate::genesys::model::Direction,
    pub state: crate::genesys::model::CallState,
    /// It rings here and `Accept` can be sent, or the call was accepted by itself. Normally the propose is here; where
    /// only the event is, `Accept` waits for the propose.
    pub pending: bool,
    /// We sent `proceed` (or PATCH connected): this phone has taken it.
    pub accepted: bool,
    /// Answered without asking; never true of a call that only might have been.
    pub auto_answer: bool,
    pub held: bool,
    pub muted: bool,
    pub remote: Remote,
    /// Connection of its session, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<crate::media::ConnectionState>,
    /// Keys can go as RFC 4733.
    pub telephone_event: bool,
    /// Rejecting it sends the caller to the user's voicemail (6.13.21).
    #[serde(skip)]
    pub rejects_to_voicemail: bool,
    /// The other parties that are on the call or being called, oldest first.
    pub parties: Vec<Party>,
    /// The consultation going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consult: Option<ConsultView>,
    /// Whether the call is recorded, if the cloud says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingState>,
    /// The call wants a wrap-up code when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUpView>,
}

/// Another party of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the wire's own words")]
pub struct Party {
    pub participant_id: ParticipantId,
    pub name: Private,
    pub address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    pub state: CallState,
    pub held: bool,
    pub muted: bool,
    /// Hears hold music.
    pub confined: bool,
}

/// A consultation before a transfer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsultView {
    /// Who is asked, once the cloud has told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<ParticipantId>,
    /// Who hears whom, as this phone asked for it last.
    pub speak_to: SpeakTo,
    /// The call of who is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<CallState>,
}

/// How a call wants to be wrapped up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrapUpView {
    /// The user must choose a code; otherwise may.
    pub mandatory: bool,
    /// The cloud's word for it: `mandatory`, `optional`, `agentRequested`, `timeout`, `forcedTimeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Until the cloud wraps up by itself, milliseconds after the end of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// 7.1.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub struct AlertingLeader {
    pub alerting: bool,
    pub configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_type: Option<String>,
}

/// The far end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "local API names")]
pub struct Remote {
    pub name: Private,
    pub address: Private,
}

/// `SdkErrorTypes` (6.14), as `type` of API errors too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the SDK's own names")]
pub enum SdkErrorType {
    Generic,
    Initialization,
    InvalidToken,
    Http,
    InvalidOptions,
    NotSupported,
    Session,
    Call,
    Media,
}

/// 6.14. `message` holds no number and no name.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct SdkError {
    /// Type.
    #[serde(rename = "type")]
    pub kind: SdkErrorType,
    /// What and what to do.
    pub message: String,
    /// More, e.g. `{"conversationId":..}`.
    pub details: RawJson,
}
