//! The control API under `/sim` and its page: the same verbs as [`Handle`], as JSON over HTTP.
//!
//! | method and path | what |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /sim/status` | addresses, users, calls |
//! | `POST /sim/users` | `UserSpec` -> `SimUser` |
//! | `POST /sim/users/{user}/tokens` | `{"seconds":N}` -> `{"token"}` |
//! | `POST /sim/users/{user}/station` | `{"associated":bool}` |
//! | `GET`, `PATCH /sim/users/{user}` | `UserSpec`, or some fields of one |
//! | `POST /sim/users/{user}/station` | or `{"action":"WebRTCMigration"}`: only the event |
//! | `GET /sim/users/{user}/sessions` | `SessionReport`s |
//! | `POST /sim/users/{user}/persistent` | `{"do":"setUp"}`, `{"do":"lose","silently":bool}`, `{"do":"tell","state":"FAILED","code":"..","message":".."}` |
//! | `POST /sim/users/{user}/station` | or `{"takenBy":"Agent Two"}`, `{"takenBy":null}` |
//! | `POST /sim/users/{user}/alerting-leader` | `{"connectionId":..}`, or `{}` for a client nobody knows |
//! | `POST /sim/oauth` | `{"next":"page"}`, `{"next":"allow","user":..}`, `{"next":"deny"}` |
//! | `POST /sim/oauth/clients` | `OAuthClient` |
//! | `POST /sim/contacts` | `Contact`: somebody outside |
//! | `POST /sim/calls/{C}/parties/{party}/{verb}` | `answer`, `hangup`; party: participant id or address |
//! | `POST /sim/calls` | `InboundSpec` -> 201 `{"conversationId"}` |
//! | `GET /sim/calls`, `GET /sim/calls/{C}` | `CallReport`s |
//! | `POST /sim/calls/{C}/{verb}` | `answer`, `hangup`, `retract`, `hold`, `resume`, `mute`, `unmute`, `reinvite`, `reinvite-proposed` |
//! | `POST /sim/calls/{C}/far-end` | `{"farEnd":"tone:440"}` |
//! | `POST /sim/calls/{C}/reoffer` | `{"iceRestart":bool,"direction":"sendrecv"}` |
//! | `GET /sim/calls/{C}/recording.wav` | what the far end heard |
//! | `GET /sim/calls/{C}/far-end` | WebSocket of the far-end page |
//! | `GET /sim/far-end?call=C` | the far-end page |
//! | `POST /sim/outbound` | `OutboundSpec` for calls that phones place |
//! | `GET`, `DELETE /sim/violations` | the broken rules; forget them |
//! | `GET /sim/log?since=N` | log lines |
//! | `GET /sim/events` | log lines as server-sent events |
//! | `POST`, `DELETE /sim/faults` | a `Fault`; forget those that wait |

mod users;

use std::convert::Infallible;
use std::io::Cursor;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::faults::Fault;
use crate::gateway::{Direction, FAR_END_HTML, FarEndSource, browser};
use crate::journal::LogEntry;
use crate::simulator::Handle;
use crate::spec::{Contact, InboundSpec, OutboundSpec, UserSpec};

const PAGE: &str = include_str!("page.html");

/// How long a far-end page waits for the phone to take the call: longer than it rings.
const ATTACH: Duration = Duration::from_secs(40);

type Answer<T> = Result<T, Refusal>;

/// The routes of the control API.
pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/sim/status", get(status))
        .route("/sim/users", post(add_user))
        .merge(users::router())
        .route("/sim/users/{user}/tokens", post(issue_token))
        .route("/sim/calls", get(calls).post(place))
        .route("/sim/calls/{call}", get(call))
        .route("/sim/calls/{call}/recording.wav", get(recording))
        .route(
            "/sim/calls/{call}/far-end",
            get(attach_far_end).post(far_end),
        )
        .route("/sim/calls/{call}/reoffer", post(reoffer))
        .route("/sim/calls/{call}/{verb}", post(verb))
        .route("/sim/calls/{call}/parties/{party}/{verb}", post(party))
        .route("/sim/contacts", post(contact))
        .route("/sim/far-end", get(|| async { Html(FAR_END_HTML) }))
        .route("/sim/outbound", post(outbound))
        .route("/sim/violations", get(violations).delete(forget_violations))
        .route("/sim/log", get(log))
        .route("/sim/events", get(events))
        .route("/sim/faults", post(fault).delete(forget_faults))
        .with_state(handle)
}

/// A command that was refused: `{"message": ...}`.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"message": self.1}))).into_response()
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::CONFLICT, format!("{error:#}"))
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

async fn status(State(handle): State<Handle>) -> Json<Value> {
    Json(json!({
        "restUrl": handle.rest_url(),
        "streamingUrl": handle.streaming_url(),
        "controlUrl": handle.control_url(),
        "stun": handle.stun_address().to_string(),
        "caFile": handle.ca_pem_path(),
        "users": handle.users(),
        "calls": handle.calls(),
        "violations": handle.violations().len(),
    }))
}

async fn add_user(
    State(handle): State<Handle>,
    spec: Result<Json<UserSpec>, JsonRejection>,
) -> Answer<Response> {
    let Json(spec) = spec?;
    Ok((StatusCode::CREATED, Json(handle.add_user(spec))).into_response())
}

#[derive(Deserialize)]
struct Life {
    seconds: u64,
}

async fn issue_token(
    State(handle): State<Handle>,
    Path(user): Path<String>,
    life: Result<Json<Life>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(life) = life?;
    let token = handle.issue_token(&user, Duration::from_secs(life.seconds))?;
    Ok(Json(json!({"token": token})))
}

async fn place(
    State(handle): State<Handle>,
    wanted: Result<Json<Value>, JsonRejection>,
) -> Answer<Response> {
    let Json(wanted) = wanted?;
    let own_leg = wanted.get("leg").is_some();
    let mut spec: InboundSpec = serde_json::from_value(wanted)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
    if !own_leg {
        spec.leg = handle.default_leg();
    }
    let id = handle.call_user(&spec)?;
    Ok((StatusCode::CREATED, Json(json!({"conversationId": id}))).into_response())
}

async fn calls(State(handle): State<Handle>) -> Json<Value> {
    Json(json!(handle.calls()))
}

async fn call(State(handle): State<Handle>, Path(id): Path<String>) -> Answer<Response> {
    match handle.call(&id).await {
        Some(report) => Ok(Json(report).into_response()),
        None => Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no call {id}"),
        )),
    }
}

async fn verb(
    State(handle): State<Handle>,
    Path((id, verb)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    match verb.as_str() {
        "answer" => handle.answer_far_end(&id)?,
        "hangup" => handle.hang_up_far_end(&id)?,
        "retract" => handle.retract(&id)?,
        "hold" => handle.hold(&id, true)?,
        "resume" => handle.hold(&id, false)?,
        "mute" => handle.mute(&id, true)?,
        "unmute" => handle.mute(&id, false)?,
        "reinvite" => handle.reinvite(&id)?,
        "reinvite-proposed" => handle.reinvite_with(&id, true)?,
        _ => {
            let message = format!("there is no verb {verb:?} for a call");
            return Err(Refusal(StatusCode::NOT_FOUND, message));
        }
    }
    Ok(Json(json!({})))
}

async fn party(
    State(handle): State<Handle>,
    Path((id, party, verb)): Path<(String, String, String)>,
) -> Answer<Json<Value>> {
    match verb.as_str() {
        "answer" => handle.answer_party(&id, &party)?,
        "hangup" => handle.hang_up_party(&id, &party)?,
        _ => {
            let message = format!("there is no verb {verb:?} for a party");
            return Err(Refusal(StatusCode::NOT_FOUND, message));
        }
    }
    Ok(Json(json!({})))
}

async fn contact(
    State(handle): State<Handle>,
    contact: Result<Json<Contact>, JsonRejection>,
) -> Answer<Json<Value>> {
    handle.add_contact(contact?.0);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FarEnd {
    far_end: FarEndSource,
}

async fn far_end(
    State(handle): State<Handle>,
    Path(id): Path<String>,
    source: Result<Json<FarEnd>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(source) = source?;
    handle.set_far_end(&id, source.far_end).await?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct Reoffer {
    ice_restart: bool,
    direction: Direction,
}

async fn reoffer(
    State(handle): State<Handle>,
    Path(id): Path<String>,
    wanted: Result<Json<Reoffer>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(wanted) = wanted?;
    handle.reoffer(&id, wanted.ice_restart, wanted.direction)?;
    Ok(Json(json!({})))
}

/// The page's WebSocket. The page may be there before the phone has taken the call, so it waits.
async fn attach_far_end(
    State(handle): State<Handle>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    let leg = handle.wait_for_leg(&id, ATTACH).await?;
    Ok(browser::serve(upgrade, leg).await)
}

async fn recording(State(handle): State<Handle>, Path(id): Path<String>) -> Answer<Response> {
    let samples = handle.recording(&id).await;
    if samples.is_empty() {
        let message = format!("there is no recording of call {id}");
        return Err(Refusal(StatusCode::NOT_FOUND, message));
    }
    let wav = wav(&samples).map_err(anyhow::Error::from)?;
    Ok(([(CONTENT_TYPE, "audio/wav")], wav).into_response())
}

fn wav(samples: &[i16]) -> Result<Vec<u8>, hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    for &sample in samples {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

async fn outbound(
    State(handle): State<Handle>,
    spec: Result<Json<OutboundSpec>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(spec) = spec?;
    handle.outbound_defaults(spec);
    Ok(Json(json!({})))
}

async fn violations(State(handle): State<Handle>) -> Json<Value> {
    Json(json!(handle.violations()))
}

async fn forget_violations(State(handle): State<Handle>) -> Json<Value> {
    Json(json!(handle.clear_violations()))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn log(State(handle): State<Handle>, Query(query): Query<Since>) -> Json<Vec<LogEntry>> {
    Json(handle.log_since(query.since))
}

/// Log lines as they come; the stream ends with the simulator.
async fn events(
    State(handle): State<Handle>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let lines = handle.cloud().lines();
    let cloud = handle.cloud().clone();
    let events = stream::unfold(lines, |mut lines| async move {
        loop {
            match lines.recv().await {
                Ok(line) => return Some((line, lines)),
                // Whoever is too slow misses lines; they are in the log.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
    .take_until(Box::pin(async move { cloud.stopped().await }))
    .filter_map(|line| async move {
        let event = Event::default().id(line.sequence.to_string());
        event.json_data(&line).ok().map(Ok)
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn fault(
    State(handle): State<Handle>,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(fault) = fault?;
    handle.inject(fault)?;
    Ok(Json(json!({})))
}

async fn forget_faults(State(handle): State<Handle>) -> Json<Value> {
    handle.clear_faults();
    Json(json!({}))
}
