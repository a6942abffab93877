//! The phone's own page on the host, with one difference: its keys and its hook are the emulated contacts, and its lamps
//! are the emulated pins. So what a person clicks takes the whole way through the GPIO driver and the matrix scanner.

use super::machine::{Machine, PATIENCE};
use super::pins::{self, Pins, TAP};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// More than any request of the page.
const LARGEST: usize = 64 * 1024;

/// The running page; ends when dropped.
pub struct Page {
    url: String,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Front {
    pins: Pins,
    /// Where the phone serves its page.
    phone: String,
    http: reqwest::Client,
}

impl Page {
    /// Serves it on a free port of the host's loopback.
    pub async fn start(machine: &Machine) -> Self {
        let front = Front {
            pins: machine.pins(),
            phone: machine.page(),
            http: reqwest::Client::new(),
        };
        let routes = Router::new()
            .route("/api/v1/board/keys", post(keys))
            .route("/api/v1/board/hook", post(hook))
            .route("/api/v1/board/lamps", get(lamps))
            .fallback(phone)
            .with_state(front);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its number"));
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, routes).await;
            served.expect("the page can be served");
        });
        Self { url, server }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Deserialize)]
struct KeyBody {
    key: String,
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Tap,
    Press,
    Release,
}

async fn keys(
    State(front): State<Front>,
    Json(KeyBody { key, action }): Json<KeyBody>,
) -> Response {
    let Some(key) = pins::bit(&key) else {
        let all = pins::LABELS.as_flattened().join(", ");
        let message = format!("the emulated board has no key \"{key}\"; it has {all}");
        return refuse(StatusCode::NOT_FOUND, "not_found", &message);
    };
    match action {
        Action::Press => front.pins.press(key, PATIENCE).await,
        Action::Release => front.pins.release(key, PATIENCE).await,
        Action::Tap => {
            front.pins.press(key, PATIENCE).await;
            tokio::time::sleep(TAP).await;
            front.pins.release(key, PATIENCE).await;
        }
    }
    accepted()
}

#[derive(Deserialize)]
struct HookBody {
    state: HookState,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum HookState {
    Lifted,
    Resting,
}

async fn hook(State(front): State<Front>, Json(HookBody { state }): Json<HookBody>) -> Response {
    let lifted = matches!(state, HookState::Lifted);
    let command = format!("hook {}", u8::from(lifted));
    front.pins.must(&command, PATIENCE).await;
    accepted()
}

/// What the pins show now: a blinking lamp is on or off.
async fn lamps(State(front): State<Front>) -> Response {
    let bits = front.pins.must("lamps", PATIENCE).await;
    let bits = u8::from_str_radix(bits.trim(), 16).expect("hexadecimal");
    let lamps = pins::LAMPS.iter().enumerate().map(|(n, lamp)| {
        let state = if bits & 1 << n == 0 { "off" } else { "on" };
        ((*lamp).to_owned(), Value::from(state))
    });
    Json(lamps.collect::<Map<_, _>>()).into_response()
}

/// Everything else is the phone's own, asked as the browser asked: it judges Host and Origin itself.
async fn phone(State(front): State<Front>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
        return refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "bad_request",
            "that is too much",
        );
    };
    let mut headers = head.headers;
    headers.remove(header::CONNECTION);
    headers.remove(header::CONTENT_LENGTH);
    let asked = front
        .http
        .request(head.method, format!("{}{path}", front.phone))
        .headers(headers)
        .body(body);
    match asked.send().await {
        Ok(answer) => {
            let (status, mut headers) = (answer.status(), answer.headers().clone());
            // The server says anew how the body is sent.
            headers.remove(header::TRANSFER_ENCODING);
            headers.remove(header::CONNECTION);
            (status, headers, Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(error) => {
            let message = format!("the emulated phone does not answer: {error}");
            refuse(StatusCode::BAD_GATEWAY, "generic", &message)
        }
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

/// An error as the phone's own API tells it.
fn refuse(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = Json(json!({ "type": kind, "message": message }));
    (status, body).into_response()
}
