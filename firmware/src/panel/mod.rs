//! The local page and control API (version 1): what a CRM pop-up, a test or the phone's own page relies on.
//!
//! Holds no state of the phone: it turns HTTP into [`Request`]s for the runtime and waits for the answer, and streams
//! the SDK events the runtime publishes in the [`EventLog`].
mod api;
mod board;
mod events;
mod guard;
mod page;
mod serve;
pub mod status;

pub use events::EventLog;
pub use serve::{Credentials, Panel, PanelConfig, PanelError};

use crate::genesys::id::ConversationId;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::phone::AudioSettings;
use crate::softphone::{Command, CommandReply, SdkError};
use serde::Serialize;
use status::{ApiCall, Status};
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
}

/// Why the runtime did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// No call of this phone has that conversation id.
    UnknownCall,
    /// The session engine said no.
    Sdk(SdkError),
}

/// Body of every 4xx and 5xx.
#[derive(Clone, Debug, Serialize)]
struct ErrorBody {
    r#type: String,
    message: String,
    details: serde_json::Value,
}
