//! The local page and control API (version 1): what a CRM pop-up, a test or the phone's own page relies on.
//!
//! Holds no state of the phone: it turns HTTP into [`Request`]s for the runtime and waits for the answer, and streams
//! the SDK events the runtime publishes in the [`EventLog`].
mod account;
mod api;
mod board;
mod events;
mod features;
mod guard;
mod page;
mod serve;
pub mod status;
mod update;

pub use events::EventLog;
pub use serve::{Credentials, Panel, PanelConfig, PanelError};

use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::genesys::id::StationId;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::genesys::{LoginError, StationTrouble};
use crate::phone::AudioSettings;
use crate::softphone::{Command, CommandReply, SdkError};
use serde::Serialize;
use status::{ApiCall, ApiSpeedDial, ApiStation, LoginStatus, Status};
use tokio::sync::oneshot;

/// Everything the API asks of the runtime. Closed. A dropped sender means the phone is stopping.
#[derive(Debug)]
#[allow(missing_docs, reason = "named after the API's paths")]
pub enum Request {
    Status {
        reply: oneshot::Sender<Status>,
    },
    Calls {
        reply: oneshot::Sender<Vec<ApiCall>>,
    },
    /// `POST /calls`
    Dial {
        params: Box<StartSoftphoneSessionParams>,
        reply: oneshot::Sender<Result<CommandReply, Refusal>>,
    },
    /// `POST /calls/{conversationId}/...`
    Call {
        conversation: ConversationId,
        command: Command,
        reply: oneshot::Sender<Result<CommandReply, Refusal>>,
    },
    Audio {
        /// `None` only asks.
        change: Option<AudioSettings>,
        reply: oneshot::Sender<AudioSettings>,
    },
    Metrics {
        reply: oneshot::Sender<String>,
    },
    /// A command about a call that may be over, or about no call.
    Command {
        command: Command,
        reply: oneshot::Sender<Result<CommandReply, Refusal>>,
    },
    Login {
        reply: oneshot::Sender<LoginStatus>,
    },
    /// -> the address of the cloud's login page.
    BeginLogin {
        /// The phone's page as the browser reaches it.
        page: String,
        /// What stands on the display, if the browser came by that.
        invitation: Option<Private>,
        reply: oneshot::Sender<Result<Private, Refusal>>,
    },
    FinishLogin {
        returned: LoginReturn,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    LogOut {
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    Stations {
        reply: oneshot::Sender<Result<Vec<ApiStation>, Refusal>>,
    },
    UseStation {
        station: StationId,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
    SpeedDials {
        reply: oneshot::Sender<Vec<ApiSpeedDial>>,
    },
}

/// What came back from the cloud's login page.
#[derive(Clone, Debug)]
pub enum LoginReturn {
    /// The query of the callback.
    Query(Private),
    /// The address where the browser ended, or the code alone.
    Pasted(Private),
}

/// Why the runtime did not do what was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No call of this phone has that conversation id.
    #[error("this phone has no call with that conversationId; GET /api/v1/calls lists them")]
    UnknownCall,
    /// The session engine said no.
    #[error(transparent)]
    Sdk(SdkError),
    /// The login did.
    #[error(transparent)]
    Login(LoginError),
    /// The stations did.
    #[error(transparent)]
    Station(StationTrouble),
}

/// Body of every 4xx and 5xx.
#[derive(Clone, Debug, Serialize)]
struct ErrorBody {
    r#type: String,
    message: String,
    details: serde_json::Value,
}
