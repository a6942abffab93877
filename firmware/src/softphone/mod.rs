//! What Genesys's SDK does for softphone sessions, sans-IO: sessions, conversations, Line Appearance, persistent
//! connection, SDK events. `handle(now, Input)`, then drain `poll()`, then `next_timeout()`.
//!
//! | file | what it decides |
//! |---|---|
//! | `engine` | where each input goes; streaming, station, identity |
//! | `pending` | proposals: who takes them, how they end (6.2 to 6.4) |
//! | `offer`, `early` | offers, re-invites, candidates, the start of a session (5.3, 5.7, 6.5, 6.6) |
//! | `session` | a session from its offer to its end (6.11) |
//! | `conversation`, `update`, `select` | conversation events and what is told of them (6.7 to 6.9) |
//! | `commands`, `params`, `acts`, `requests` | what is asked for, by users and at the cloud (2.4 to 2.6, 6.10, 6.11) |
//! | `features`, `wrap_up` | transfer, consultation, conference, recording, wrap-up (2.6) |
//! | `handling` | the media-handling modes and the alerting leader (6.3, 6.13.24, 7.1) |
//! | `digits` | key tones, in the audio or one request after the other (2.6) |
//! | `quality` | the mean opinion score and its report (5.8) |
//! | `reconcile` | whether what is believed is still so (3.6, 6.13.12) |
//! | `view` | the calls as the phone sees them |
//! | `timers` | every wait, its duration and the reason |
//!
//! Sections are those of the Genesys protocol reference.
//!
//! SEAM: `Input`, `Output`, `Command`, `Event` and their parts.
mod acts;
mod call;
mod commands;
mod conversation;
mod digits;
mod early;
mod engine;
mod error;
pub mod event;
mod features;
mod handling;
mod offer;
mod params;
mod pending;
mod quality;
mod reconcile;
mod requests;
mod select;
mod session;
mod timers;
mod update;
mod view;
mod wrap_up;

#[cfg(test)]
mod tests;

use crate::device::Private;
pub use crate::device::choices::EagerMode;
use crate::genesys::CloudEvent;
use crate::genesys::id::{ConversationId, ParticipantId, SessionId};
use crate::genesys::rest::{
    RestError, RestReply, RestRequest, SoftphoneDestination, StartSoftphoneSessionParams,
};
pub use crate::genesys::rest::{SpeakTo, TransferTarget, WrapUpCode};
use crate::genesys::signal::{Candidate, Reply};
use crate::media::PeerEvent;
pub use engine::Softphone;
pub use event::{Event, SdkError, SdkErrorType};
pub(crate) use params::validate as validate_start;
pub use quality::mos;

/// Correlates a REST request with its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Correlates a command with its outcome. Whoever sends the command (phone, panel) chooses it; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// Everything that can happen to the session engine. Closed.
#[derive(Clone, Debug)]
pub enum Input {
    /// From the wire.
    Cloud(CloudEvent),
    /// A REST request's outcome.
    Rest {
        /// Which.
        request: RequestId,
        /// How it ended.
        result: Result<RestReply, RestError>,
    },
    /// From a session's peer connection.
    Peer {
        /// Whose.
        session: SessionId,
        /// What.
        event: PeerEvent,
    },
    /// From the user, by key, page or API.
    Command {
        /// For the outcome.
        id: CommandId,
        /// What is wanted.
        command: Command,
    },
}

/// What can be asked of the session engine (genesys-protocol section 8, softphone view).
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `startSoftphoneSession` -> `CommandReply::Started`.
    Start(Box<StartSoftphoneSessionParams>),
    /// `acceptPendingSession` and, when the offer is here already and was not taken by itself, `acceptSession`.
    Accept(ConversationId),
    /// `rejectPendingSession`.
    Reject(ConversationId),
    /// `endSession`.
    End(ConversationId),
    /// `setAudioMute`.
    Mute {
        /// Which call.
        conversation: ConversationId,
        /// Wanted.
        mute: bool,
    },
    /// `setConversationHeld`.
    Hold {
        /// Which call.
        conversation: ConversationId,
        /// Wanted.
        held: bool,
    },
    /// DTMF: RFC 4733 when the offer had telephone-event, else `POST .../digits`.
    Dtmf {
        /// Which call.
        conversation: ConversationId,
        /// `0-9*#`.
        digits: Private,
    },
    /// Hands the call on (2.6), or begins to.
    Transfer {
        /// Which call.
        conversation: ConversationId,
        /// To whom.
        to: TransferTarget,
        /// At once, or after asking.
        mode: TransferMode,
    },
    /// What becomes of the consultation begun by a transfer.
    Consult {
        /// Which call.
        conversation: ConversationId,
        /// What is wanted.
        action: ConsultAction,
    },
    /// Calls more parties into the call, which is a conference then.
    AddParticipants {
        /// Which call.
        conversation: ConversationId,
        /// Whom; at least one.
        participants: Vec<SoftphoneDestination>,
    },
    /// Makes one conference of several calls.
    Merge {
        /// The call that stays.
        conversation: ConversationId,
        /// The calls that become part of it; at least one.
        others: Vec<ConversationId>,
    },
    /// Puts another party out of the call. To leave it oneself is `End`.
    RemoveParticipant {
        /// Which call.
        conversation: ConversationId,
        /// Who.
        participant: ParticipantId,
    },
    /// Pauses or resumes the recording of the call.
    Record {
        /// Which call.
        conversation: ConversationId,
        /// Wanted.
        paused: bool,
    },
    /// The codes the call can be wrapped up with -> `CommandReply::WrapUpCodes`. During the call or after it.
    WrapUpCodes(ConversationId),
    /// Wraps the call up. During the call or after it.
    WrapUp {
        /// Which call.
        conversation: ConversationId,
        /// Id of one of the codes.
        code: String,
        /// The user's notes.
        notes: Option<Private>,
    },
    /// The call is not to be wrapped up, where the queue leaves that to the agent. During the call or after it.
    SkipWrapUp(ConversationId),
    /// `forceTerminateSession`: ends a session by signaling, whatever else uses it (6.11).
    Terminate {
        /// Which session.
        session: SessionId,
    },
    /// `setMediaHandling` (6.13.24).
    SetMediaHandling(MediaHandling),
}

/// How a call is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMode {
    /// At once; our part of the call ends.
    Blind,
    /// We first talk to who is to take it; `Command::Consult` ends that.
    Consult,
}

/// What can be done in a consultation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsultAction {
    /// We leave, the other two talk on.
    Complete,
    /// Who was asked leaves, we talk on.
    Cancel,
    /// Who hears whom.
    SpeakTo(SpeakTo),
}

/// How a command ended well.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandReply {
    /// The call was placed.
    Started {
        /// C.
        id: ConversationId,
        /// Path of the conversation.
        self_uri: String,
    },
    /// Taken.
    Done,
    /// The codes a call can be wrapped up with.
    WrapUpCodes(Vec<WrapUpCode>),
}

/// Everything the session engine wants done. Closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a REST request.
    Rest {
        /// For the reply.
        request: RequestId,
        /// What.
        body: RestRequest,
    },
    /// Send signaling.
    Signal(Reply),
    /// Do something to a session's peer connection.
    Media {
        /// Whose.
        session: SessionId,
        /// What.
        command: MediaCommand,
    },
    /// Tell the phone and the local API.
    Event(Box<Event>),
    /// A command's outcome; exactly one per command.
    CommandDone {
        /// Which.
        id: CommandId,
        /// How it ended.
        result: Result<CommandReply, SdkError>,
    },
}

/// To a session's peer connection.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaCommand {
    /// Make a peer connection with the ICE servers of now and answer this offer -> `PeerEvent::Answered`.
    Open {
        /// SDP.
        offer: String,
    },
    /// Answer this offer on the same peer connection -> `PeerEvent::Answered`.
    Renegotiate {
        /// SDP.
        offer: String,
    },
    /// A remote candidate.
    AddCandidate(Candidate),
    /// No more remote candidates.
    EndOfCandidates,
    /// RFC 4733 digits -> `PeerEvent::DtmfSent`.
    Dtmf(Private),
    /// Close; no event follows but `Connection(Closed)`. `Open` for the same session may follow at once (a new connection
    /// under the same id); nothing of the old one may be reported after that but its `Connection(Closed)`.
    Close,
}

/// How the session engine behaves; the SDK's own options (genesys-protocol section 8) with the SDK's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftphoneConfig {
    /// `disableAutoAnswer`: take no call by itself, except the ones this phone placed.
    pub disable_auto_answer: bool,
    /// Take every outbound call of the user, also those placed elsewhere ("a client designed to handle all outbound
    /// calls" of the SDK's manual). Off, because whoever proceeds first gets the audio: it would take the calls of the
    /// user's browser.
    pub take_all_outbound: bool,
    /// `eagerPersistentConnectionEstablishment`.
    pub eager_persistent_connection: EagerMode,
    /// `reportStatistics`: tell the gateway every few seconds how well the call is heard (5.8).
    pub report_statistics: bool,
    /// Which proposals are taken note of, until `SetMediaHandling` or the alerting leader says otherwise (6.3).
    pub media_handling: MediaHandling,
}

impl Default for SoftphoneConfig {
    fn default() -> Self {
        Self {
            disable_auto_answer: false,
            take_all_outbound: false,
            eager_persistent_connection: EagerMode::Auto,
            report_statistics: false,
            media_handling: MediaHandling::StandardMedia,
        }
    }
}

/// Which proposals this client takes note of (6.3, 6.13.24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaHandling {
    /// All.
    #[default]
    StandardMedia,
    /// All: this client is the one that rings (7.1).
    AlertingLeaderMedia,
    /// Only those that want to be answered by themselves; idle sessions are ended.
    ReducedMedia,
    /// The same, but sessions are kept.
    ReducedMediaHeadsets,
}
