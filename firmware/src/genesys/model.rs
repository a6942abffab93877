//! REST and notification objects, as far as the phone reads them. Unknown fields are ignored, missing ones survived.

use super::id::{CommunicationId, ConversationId, Jid, ParticipantId, StationId, UserId};
use crate::device::Private;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `GET /organizations/me`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Organization {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
}

/// `GET /users/me?expand=station` (2.2).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// The agent's name.
    pub name: Private,
    /// Where the JID is.
    pub chat: Chat,
    /// Associated stations.
    pub station: Option<UserStations>,
}

/// `users/me` -> `chat`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Chat {
    /// Own bare JID.
    pub jabber_id: Jid,
}

/// `users/me` -> `station`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserStations {
    /// Calls ring only here.
    pub effective_station: Option<StationRef>,
    /// Associated by the user.
    pub associated_station: Option<StationRef>,
    /// Default of the user.
    pub default_station: Option<StationRef>,
    /// The last one associated.
    pub last_associated_station: Option<StationRef>,
}

/// A reference to a station. `Debug` hides its name: it usually contains a person's.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StationRef {
    /// Id.
    pub id: StationId,
    /// Name.
    pub name: Option<String>,
    /// `inin_webrtc_softphone`, `inin_remote`, or a physical phone's.
    pub r#type: Option<String>,
}

/// `GET /stations/{id}` (2.2). `Debug` hides its name: it usually contains a person's.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Station {
    /// Id.
    pub id: StationId,
    /// Name.
    pub name: String,
    /// `AVAILABLE` or `ASSOCIATED`.
    pub status: Option<String>,
    /// Associated user.
    pub user_id: Option<UserId>,
    /// Owner.
    pub web_rtc_user_id: Option<UserId>,
    /// `inin_webrtc_softphone` for a WebRTC station.
    pub r#type: Option<String>,
    /// Keep the session between calls.
    pub web_rtc_persistent_enabled: bool,
    /// Relay only (reaches the phone through service discovery; only logged).
    pub web_rtc_force_turn: bool,
    /// Line appearances: 1, or more (usually 100).
    pub web_rtc_call_appearances: Option<u32>,
}

impl fmt::Debug for StationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StationRef")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Station")
            .field("id", &self.id)
            .field("type", &self.r#type)
            .field(
                "web_rtc_persistent_enabled",
                &self.web_rtc_persistent_enabled,
            )
            .field("web_rtc_force_turn", &self.web_rtc_force_turn)
            .field("web_rtc_call_appearances", &self.web_rtc_call_appearances)
            .finish_non_exhaustive()
    }
}

impl Station {
    /// Type of a WebRTC softphone.
    pub(crate) const WEBRTC: &str = "inin_webrtc_softphone";

    /// Whether this station is a WebRTC softphone.
    pub fn is_webrtc(&self) -> bool {
        self.r#type.as_deref() == Some(Self::WEBRTC)
    }

    /// More than one line appearance: each call has its own session (6.1).
    pub fn is_concurrent_sessions(&self) -> bool {
        self.web_rtc_call_appearances.is_some_and(|n| n > 1)
    }

    /// Persistent connection, as the SDK defines it (6.1).
    pub fn is_persistent(&self) -> bool {
        self.web_rtc_persistent_enabled && self.is_webrtc()
    }
}

/// `v2.users.U.conversations` (4.4): the parsed body and the whole notification.
#[derive(Clone, Debug)]
pub struct ConversationEvent {
    /// The parsed `eventBody`.
    pub conversation: Conversation,
    /// The whole notification, for `conversationUpdateRaw`; hidden in logs.
    pub raw: RawJson,
}

/// JSON that may hold names and numbers; `Debug` hides it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(pub serde_json::Value);

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(private JSON)")
    }
}

/// A conversation, in an event or from `GET /conversations/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conversation {
    /// Id.
    pub id: ConversationId,
    /// Everybody who is or was on it, oldest first.
    pub participants: Vec<Participant>,
    /// Whether it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_state: Option<RecordingState>,
}

/// `recordingState` of a conversation or a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the wire's own words")]
pub enum RecordingState {
    #[serde(alias = "ACTIVE")]
    Active,
    #[serde(alias = "PAUSED")]
    Paused,
    #[default]
    #[serde(other)]
    None,
}

/// What a participant's call was wrapped up with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WrapUp {
    /// Id of the code.
    pub code: Option<String>,
}

/// A participant. From `GET /conversations/calls` the call's fields are flat here and the user is an object (2.6);
/// reading those normalises them into `user_id` and `calls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Participant {
    /// Id.
    pub id: ParticipantId,
    /// `agent, user, customer, external, acd, ivr, voicemail`.
    pub purpose: Option<String>,
    /// The user, when it is one of the organization.
    pub user_id: Option<UserId>,
    /// Display name.
    pub name: Option<Private>,
    /// `tel:+1...` or `sip:...`.
    pub address: Option<Private>,
    /// The queue it came through.
    pub queue_id: Option<String>,
    /// Until the offer to this agent ends, milliseconds.
    pub alerting_timeout_ms: Option<u64>,
    /// In a consultation: the participant who is to be transferred.
    pub consult_participant_id: Option<ParticipantId>,
    /// The call wants a wrap-up code when it is over.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub wrapup_required: bool,
    /// `mandatory`, `optional`, `agentRequested`, `timeout`, `forcedTimeout`.
    pub wrapup_prompt: Option<String>,
    /// Until the cloud wraps up by itself, milliseconds.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub wrapup_timeout_ms: Option<u64>,
    /// The user has declined to.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub wrapup_skipped: bool,
    /// What it was wrapped up with.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub wrapup: Option<WrapUp>,
    /// Calls, oldest first.
    pub calls: Vec<Call>,
}

/// One call of one participant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Call {
    /// Communication id.
    pub id: CommunicationId,
    /// State.
    pub state: CallState,
    /// Direction.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub direction: Option<Direction>,
    /// Muted at the server.
    pub muted: bool,
    /// Hears hold music.
    pub confined: bool,
    /// On hold.
    pub held: bool,
    /// Recorded now, where `recording_state` does not say more.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub recording: bool,
    /// Whether it is recorded.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub recording_state: Option<RecordingState>,
    /// `Edge` and others.
    pub provider: Option<String>,
    /// The other party.
    pub other: Option<CallParty>,
    /// Why it failed.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub error_info: Option<ErrorInfo>,
    /// `peer`, `client`, `system`, ...
    pub disconnect_type: Option<String>,
}

/// `calls[].other` / `calls[].self`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CallParty {
    /// Name.
    pub name: Option<Private>,
    /// Name as the network gave it.
    pub name_raw: Option<Private>,
    /// `tel:+1...`.
    pub address_normalized: Option<Private>,
    /// As the network gave it.
    pub address_raw: Option<Private>,
    /// For people.
    pub address_displayable: Option<Private>,
}

/// `calls[].errorInfo`, and `errorInfo` of the persistent connection event (`text`, `userMessage` there).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorInfo {
    /// Code, e.g. `error.ininedgecontrol...`.
    pub code: Option<String>,
    /// Text; may hold a number, so hidden.
    #[serde(alias = "text")]
    pub message: Option<Private>,
    /// Text for people (persistent connection).
    pub user_message: Option<Private>,
    /// HTTP-like status.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub status: Option<i64>,
}

/// Call states (4.4). Unknown ones are survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the wire's own words")]
pub enum CallState {
    Alerting,
    Contacting,
    Dialing,
    Offering,
    Connected,
    Disconnected,
    Terminated,
    Hold,
    #[default]
    #[serde(other)]
    None,
}

impl CallState {
    /// alerting, contacting (6.1).
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Alerting | Self::Contacting)
    }

    /// dialing, connected (6.1).
    pub fn is_connected_group(self) -> bool {
        matches!(self, Self::Dialing | Self::Connected)
    }

    /// disconnected, terminated (6.1).
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Disconnected | Self::Terminated)
    }
}

/// Direction of a call, seen from its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the wire's own words")]
pub enum Direction {
    Inbound,
    Outbound,
}

/// `v2.users.U.station` (4.5).
#[derive(Clone, Debug, PartialEq)]
pub enum StationEvent {
    /// Associated with this station; it is read next.
    Associated(StationId),
    /// No station any more.
    Disassociated,
    /// Line appearance changed; the station is read again.
    Migrated,
}

/// `v2.users.U.persistentconnection` (4.6).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistentConnectionEvent {
    /// Station.
    pub station_id: Option<StationId>,
    /// `UNKNOWN | PERSISTED | ACTIVE_CALL | DISCONNECTED | FAILED`.
    pub persistent_state: Option<String>,
    /// What failed.
    #[serde(deserialize_with = "super::lenient::or_default")]
    pub error_info: Option<ErrorInfo>,
}
