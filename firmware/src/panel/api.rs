//! The paths under `/api/v1`.

use super::status::ApiCall;
use super::{ErrorBody, EventLog, Refusal, Request};
use crate::device::Private;
use crate::device::update::Updater;
use crate::genesys::id::ConversationId;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::phone::AudioSettings;
use crate::softphone::{Command, CommandReply, SdkError, SdkErrorType};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use offhook_hal::virtual_board::VirtualPanel;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The comment line that keeps an idle event stream alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a request waits for the phone: longer than the cloud's 30 s (genesys-protocol 2.1).
const PATIENCE: Duration = Duration::from_secs(35);

/// A reply, or an error body that is one too.
pub(super) type Answer = Result<Response, Failure>;

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Api {
    pub requests: mpsc::Sender<Request>,
    pub events: EventLog,
    pub virtual_panel: Option<VirtualPanel>,
    pub updater: Updater,
    /// Served by HTTPS.
    pub is_secure: bool,
}

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events))
        .route("/api/v1/calls", get(calls).post(dial))
        .route("/api/v1/calls/{conversation}/dtmf", post(dtmf))
        .route("/api/v1/calls/{conversation}/{verb}", post(verb))
        .route("/api/v1/audio", get(audio).patch(change_audio))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/metrics", get(metrics))
        .merge(super::features::routes())
        .merge(super::account::routes())
        .merge(super::board::routes())
        .merge(super::update::routes())
        .fallback(async || {
            refuse(
                StatusCode::NOT_FOUND,
                "not_found",
                "no such path; see /api/v1/openapi.json",
            )
        })
        .method_not_allowed_fallback(async || {
            refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "bad_request",
                "no such method here; see /api/v1/openapi.json",
            )
        })
}

async fn status(State(api): State<Api>) -> Answer {
    Ok(Json(api.ask(|reply| Request::Status { reply }).await?).into_response())
}

async fn calls(State(api): State<Api>) -> Answer {
    let calls: Vec<ApiCall> = api.ask(|reply| Request::Calls { reply }).await?;
    Ok(Json(calls).into_response())
}

async fn events(State(api): State<Api>, headers: HeaderMap) -> Response {
    let last_seen = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let stream = api.events.follow(last_seen);
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

async fn dial(State(api): State<Api>, Body(params): Body<StartSoftphoneSessionParams>) -> Answer {
    let params = Box::new(params);
    match api.ask(|reply| Request::Dial { params, reply }).await? {
        Ok(CommandReply::Started { id, self_uri }) => Ok((
            StatusCode::ACCEPTED,
            Json(json!({ "id": id, "selfUri": self_uri })),
        )
            .into_response()),
        Ok(CommandReply::Done | CommandReply::WrapUpCodes(_)) => Ok(accepted()),
        // Without a connection there is nobody to place the call.
        Err(Refusal::Sdk(error)) if error.kind == SdkErrorType::Session => {
            Err(sdk_error(StatusCode::SERVICE_UNAVAILABLE, &error).into())
        }
        Err(refusal) => Err(refusal.into_response().into()),
    }
}

async fn verb(
    State(api): State<Api>,
    Path((conversation, verb)): Path<(String, String)>,
) -> Answer {
    let conversation = ConversationId(conversation);
    let command = match verb.as_str() {
        "answer" => Command::Accept(conversation.clone()),
        "reject" => Command::Reject(conversation.clone()),
        "end" => Command::End(conversation.clone()),
        "hold" | "resume" => Command::Hold {
            conversation: conversation.clone(),
            held: verb == "hold",
        },
        "mute" | "unmute" => Command::Mute {
            conversation: conversation.clone(),
            mute: verb == "mute",
        },
        _ => {
            return Err(refuse(
                StatusCode::NOT_FOUND,
                "not_found",
                "no such verb for a call; see /api/v1/openapi.json",
            )
            .into());
        }
    };
    api.tell(conversation, command).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DtmfBody {
    digits: Private,
}

async fn dtmf(
    State(api): State<Api>,
    Path(conversation): Path<String>,
    Body(DtmfBody { digits }): Body<DtmfBody>,
) -> Answer {
    let conversation = ConversationId(conversation);
    api.tell(
        conversation.clone(),
        Command::Dtmf {
            conversation,
            digits,
        },
    )
    .await
}

async fn audio(State(api): State<Api>) -> Answer {
    Ok(Json(
        api.ask(|reply| Request::Audio {
            change: None,
            reply,
        })
        .await?,
    )
    .into_response())
}

async fn change_audio(State(api): State<Api>, Body(change): Body<AudioSettings>) -> Answer {
    let volumes = change.volume.unwrap_or_default();
    if [
        change.ring,
        volumes.handset,
        volumes.speaker,
        volumes.headset,
    ]
    .into_iter()
    .flatten()
    .any(|v| v > 100)
    {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "not_supported",
            "volumes are 0 to 100",
        )
        .into());
    }
    Ok(Json(
        api.ask(|reply| Request::Audio {
            change: Some(change),
            reply,
        })
        .await?,
    )
    .into_response())
}

async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("openapi.json"),
    )
        .into_response()
}

async fn metrics(State(api): State<Api>) -> Answer {
    let text = api.ask(|reply| Request::Metrics { reply }).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

impl Api {
    /// Asks the runtime.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let stopping = || {
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the phone is stopping",
            )
        };
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| stopping())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| stopping().into()),
            Err(_) => Err(refuse(
                StatusCode::GATEWAY_TIMEOUT,
                "unavailable",
                "the cloud did not answer in time; look at GET /calls before trying again",
            )
            .into()),
        }
    }

    /// A command that need not be about a call of now.
    pub(super) async fn command(&self, command: Command) -> Result<CommandReply, Failure> {
        self.ask(|reply| Request::Command { command, reply })
            .await?
            .map_err(|refusal| Failure(refusal.into_response()))
    }

    pub(super) async fn tell(&self, conversation: ConversationId, command: Command) -> Answer {
        match self
            .ask(|reply| Request::Call {
                conversation,
                command,
                reply,
            })
            .await?
        {
            Ok(_) => Ok(accepted()),
            Err(refusal) => Err(refusal.into_response().into()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::UnknownCall => refuse(StatusCode::NOT_FOUND, "not_found", self.to_string()),
            Self::Login(error) => super::account::of_login(&error),
            Self::Station(trouble) => super::account::of_station(&trouble),
            Self::Sdk(error) => {
                let status = match error.kind {
                    _ if error.cause() == Some("not_found") => StatusCode::NOT_FOUND,
                    _ if error.cause() == Some("conflict") => StatusCode::CONFLICT,
                    SdkErrorType::InvalidOptions => StatusCode::BAD_REQUEST,
                    SdkErrorType::Session | SdkErrorType::NotSupported => StatusCode::CONFLICT,
                    SdkErrorType::InvalidToken | SdkErrorType::Initialization => {
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                    SdkErrorType::Http | SdkErrorType::Call => StatusCode::BAD_GATEWAY,
                    SdkErrorType::Generic | SdkErrorType::Media => {
                        StatusCode::INTERNAL_SERVER_ERROR
                    }
                };
                sdk_error(status, &error)
            }
        }
    }
}

/// 202 with an empty object.
pub(super) fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

/// An error body.
pub(super) fn refuse(status: StatusCode, kind: &str, message: impl Into<String>) -> Response {
    let body = ErrorBody {
        r#type: kind.into(),
        message: message.into(),
        details: json!({}),
    };
    (status, Json(body)).into_response()
}

fn sdk_error(status: StatusCode, error: &SdkError) -> Response {
    (status, Json(error)).into_response()
}

/// A JSON body; what does not fit becomes the API's own error body.
pub(super) struct Body<T>(pub T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Failure(refuse(
                StatusCode::BAD_REQUEST,
                "bad_request",
                why(&rejection),
            ))),
        }
    }
}

/// The rejection's own words may quote the body, and with it a number: only place and kind are told.
fn why(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => "send `Content-Type: application/json`".into(),
        JsonRejection::JsonSyntaxError(_) => "the body is not JSON".into(),
        JsonRejection::JsonDataError(error) => {
            format!("the body does not fit; see /api/v1/openapi.json: {error}")
        }
        _ => "the body cannot be read".into(),
    }
}

/// A response that is an error.
pub(super) struct Failure(pub Response);

impl From<Response> for Failure {
    fn from(response: Response) -> Self {
        Self(response)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0
    }
}
