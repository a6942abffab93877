//! REST requests as HTTP, and replies as values.

use super::{
    FeatureRequest, ParticipantPatch, RestError, RestReply, RestRequest, WrapUpCode, feature,
};
use crate::device::Private;
use crate::genesys::id::{ConversationId, ParticipantId};
use crate::genesys::lenient::{conversation_from, drop_nulls};
use crate::genesys::model::Conversation;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Time-out of every request (2.1).
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A request, before the token is added.
#[derive(Clone)]
pub(crate) struct HttpRequest {
    pub method: Method,
    /// After `/api/v2/`, with the query; segments are percent-encoded.
    pub path: String,
    pub body: Option<Vec<u8>>,
}

/// A reply of any status.
#[derive(Clone, Default)]
pub(crate) struct HttpReply {
    pub status: u16,
    pub correlation_id: Option<String>,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
        }
    }

    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self {
            method: Method::POST,
            path: path.into(),
            body: None,
        }
    }

    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn with_json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }

    /// Method and path, for messages. Paths hold ids only.
    pub(crate) fn describe(&self) -> String {
        format!("{} /{}", self.method, self.path)
    }
}

impl HttpReply {
    /// The reply, if its status is 2xx.
    pub(crate) fn accepted(self, request: &HttpRequest) -> Result<Self, RestError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let body: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |value: Option<Value>| value?.as_str().map(str::to_owned);
        Err(RestError::Status {
            request: request.describe(),
            status: self.status,
            code: text(body.code).map(|code| match missing(&body.message_params) {
                Some(permissions) => format!("{code}: {permissions}"),
                None => code,
            }),
            message: text(body.message).map(Private::from),
            correlation_id: self.correlation_id.or_else(|| text(body.context_id)),
            retry_after: self.retry_after,
        })
    }

    /// The body as JSON. `null` counts as absent everywhere, as in the SDK.
    pub(crate) fn json<T: DeserializeOwned>(&self, request: &HttpRequest) -> Result<T, RestError> {
        self.value(request)
            .and_then(|value| T::deserialize(value).map_err(|e| unreadable(request, &e)))
    }

    fn value(&self, request: &HttpRequest) -> Result<Value, RestError> {
        let mut value = serde_json::from_slice(&self.body).map_err(|e| unreadable(request, &e))?;
        drop_nulls(&mut value);
        Ok(value)
    }
}

/// Model `ErrorBody` (2.1), leniently: any field may be absent or of another type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorBody {
    message: Option<Value>,
    code: Option<Value>,
    message_params: Value,
    context_id: Option<Value>,
}

/// The permissions a 403 says are missing: words like `telephony:phone:view`.
fn missing(parameters: &Value) -> Option<String> {
    let permissions = parameters.get("permissions")?;
    let text = permissions
        .as_str()
        .map_or_else(|| permissions.to_string(), str::to_owned);
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || ":_.*-, ".contains(*c);
    let plain: String = text.chars().filter(is_plain).take(256).collect();
    Some(plain).filter(|plain| !plain.is_empty())
}

/// `serde_json`'s words quote names of fields and types, and short values; those of unexpected strings are cut.
fn unreadable(request: &HttpRequest, error: &serde_json::Error) -> RestError {
    RestError::Body {
        request: request.describe(),
        detail: json_trouble(error),
    }
}

/// What is wrong with a JSON text, without quoting its content.
pub(crate) fn json_trouble(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "it cannot be read",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "a field has an unexpected type",
        serde_json::error::Category::Eof => "it ends too early",
    };
    if error.line() == 0 {
        what.to_owned()
    } else {
        format!("{what} (line {}, column {})", error.line(), error.column())
    }
}

/// The HTTP form of a request of the session engine.
pub(super) fn http(request: &RestRequest) -> HttpRequest {
    match request {
        RestRequest::PlaceCall(parameters) => {
            // The parameters are plain strings and numbers; turning them into JSON cannot fail.
            let body = serde_json::to_value(parameters).unwrap_or_default();
            HttpRequest::post("conversations/calls").with_json(&body)
        }
        RestRequest::PatchParticipant {
            conversation,
            participant,
            patch,
        } => HttpRequest::get(call_participant(conversation, participant))
            .with_method(Method::PATCH)
            .with_json(&patch_body(*patch)),
        RestRequest::ToVoicemail {
            conversation,
            participant,
        } => {
            let path = format!("{}/replace", call_participant(conversation, participant));
            HttpRequest::post(path).with_json(&json!({"voicemail": true}))
        }
        RestRequest::Conversation { conversation } => {
            HttpRequest::get(format!("conversations/{}", segment(conversation.as_str())))
        }
        RestRequest::ActiveCalls => HttpRequest::get("conversations/calls"),
        RestRequest::Digits {
            conversation,
            participant,
            digits,
        } => HttpRequest::post(format!(
            "conversations/{}/participants/{}/digits",
            segment(conversation.as_str()),
            segment(participant.as_str())
        ))
        .with_json(&json!({"digits": digits.expose()})),
        RestRequest::Metadata {
            conversation,
            communication,
        } => HttpRequest::post(format!(
            "conversations/calls/{}/communications/{}/metadata",
            segment(conversation.as_str()),
            segment(communication.as_str())
        )),
        RestRequest::Feature(request) => feature::http(request),
    }
}

/// What the session engine wants to know of an accepted reply.
pub(super) fn reply(
    request: &RestRequest,
    http: &HttpRequest,
    reply: &HttpReply,
) -> Result<RestReply, RestError> {
    match request {
        RestRequest::PlaceCall(_) => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Placed {
                id: ConversationId,
                #[serde(default)]
                self_uri: String,
            }
            let placed: Placed = reply.json(http)?;
            Ok(RestReply::CallPlaced {
                id: placed.id,
                self_uri: placed.self_uri,
            })
        }
        RestRequest::Conversation { .. } => {
            let conversation = conversation_from(reply.json(http)?);
            Ok(RestReply::Conversation(Box::new(conversation)))
        }
        RestRequest::ActiveCalls => {
            #[derive(Deserialize)]
            struct Page {
                #[serde(default)]
                entities: Vec<Value>,
            }
            let page: Page = reply.json(http)?;
            let conversations: Vec<Conversation> =
                page.entities.into_iter().map(conversation_from).collect();
            Ok(RestReply::Conversations(conversations))
        }
        RestRequest::Feature(feature) => match **feature {
            FeatureRequest::Consult { .. } => Ok(RestReply::Consulting {
                destination: destination(reply),
            }),
            FeatureRequest::WrapUpCodes { .. } => {
                let list: Vec<Value> = reply.json(http)?;
                let codes = list.into_iter().filter_map(|code| {
                    serde_json::from_value::<WrapUpCode>(code)
                        .ok()
                        .filter(|code| !code.id.is_empty())
                });
                Ok(RestReply::WrapUpCodes(codes.collect()))
            }
            _ => Ok(RestReply::Done),
        },
        RestRequest::PatchParticipant { .. }
        | RestRequest::ToVoicemail { .. }
        | RestRequest::Digits { .. }
        | RestRequest::Metadata { .. } => Ok(RestReply::Done),
    }
}

/// Who is asked in a consultation. It has begun whatever the body says, so a bad one is no error.
fn destination(reply: &HttpReply) -> Option<ParticipantId> {
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    Some(body.get("destinationParticipantId")?.as_str()?.into())
}

fn patch_body(patch: ParticipantPatch) -> Value {
    match patch {
        ParticipantPatch::Connect => json!({"state": "connected"}),
        ParticipantPatch::Disconnect => json!({"state": "disconnected"}),
        ParticipantPatch::Muted(muted) => json!({"muted": muted}),
        ParticipantPatch::Held(held) => json!({"held": held}),
        ParticipantPatch::SkipWrapUp => json!({"wrapupSkipped": true}),
    }
}

pub(super) fn call_participant(
    conversation: &ConversationId,
    participant: &ParticipantId,
) -> String {
    format!(
        "conversations/calls/{}/participants/{}",
        segment(conversation.as_str()),
        segment(participant.as_str())
    )
}

/// Percent-encodes one path segment (RFC 3986 2.3): ids come from the wire and must not become another path.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let dots_only = text == "." || text == "..";
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || byte == b'.' && !dots_only {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
