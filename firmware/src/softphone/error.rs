//! The engine's errors (genesys-protocol 6.14), each with what to do about it.
//!
//! `details.cause` is `not_found` or `conflict` where the local API answers 404 or 409.

use super::event::{SdkError, SdkErrorType};
use crate::genesys::id::ConversationId;
use crate::genesys::model::RawJson;
use crate::genesys::rest::RestError;
use serde_json::{Value, json};

impl SdkError {
    /// An error without details.
    pub fn new(kind: SdkErrorType, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: RawJson(json!({})),
        }
    }

    /// With one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(details) = &mut self.details.0 {
            details.insert(key.to_owned(), value.into());
        }
        self
    }

    /// With the conversation it is about.
    #[must_use]
    pub fn about(self, conversation: &ConversationId) -> Self {
        self.with("conversationId", conversation.as_str())
    }

    /// The cause as the local API maps it to a status: `not_found`, `conflict` or nothing.
    pub fn cause(&self) -> Option<&str> {
        self.details.0.get("cause")?.as_str()
    }

    /// No such call.
    pub(super) fn unknown_call(conversation: &ConversationId) -> Self {
        Self::new(
            SdkErrorType::Session,
            "this phone has no such call: list the calls it has and use one of their ids",
        )
        .with("cause", "not_found")
        .about(conversation)
    }

    /// The call is in a state in which this cannot be done.
    pub(super) fn conflict(conversation: &ConversationId, message: impl Into<String>) -> Self {
        Self::new(SdkErrorType::Session, message)
            .with("cause", "conflict")
            .about(conversation)
    }

    /// A session could not be had, or was lost.
    pub(super) fn session(conversation: &ConversationId, message: impl Into<String>) -> Self {
        Self::new(SdkErrorType::Session, message).about(conversation)
    }

    /// A parameter is wrong; `field` is its name on the API.
    pub(super) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(SdkErrorType::InvalidOptions, message).with("field", field)
    }

    /// A REST request failed (6.14 `http`).
    pub(super) fn http(error: &RestError) -> Self {
        let sdk = Self::new(SdkErrorType::Http, error.to_string());
        match error {
            RestError::Status {
                status,
                code,
                message,
                correlation_id,
                retry_after,
                ..
            } => {
                let mut sdk = sdk.with("status", *status);
                if let Some(code) = code {
                    sdk = sdk.with("code", code.as_str());
                }
                if let Some(message) = message {
                    sdk = sdk.with("message", message.expose());
                }
                if let Some(id) = correlation_id {
                    sdk = sdk.with("correlationId", id.as_str());
                }
                if let Some(wait) = retry_after {
                    sdk = sdk.with("retryAfter", wait.as_secs());
                }
                sdk
            }
            RestError::Timeout { after, .. } => sdk.with("timeout", after.as_secs()),
            _ => sdk,
        }
    }
}

/// Whether the cloud says that what was asked for does not exist.
pub(super) fn is_gone(error: &RestError) -> bool {
    matches!(
        error,
        RestError::Status {
            status: 404 | 410,
            ..
        }
    )
}
