//! REST under `/api/v2` (genesys-protocol 2): what HTTP needs around [`route`].

mod calls;
mod leader;
mod notifications;
mod parties;
mod people;
mod route;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, AUTHORIZATION, CONTENT_TYPE, ORIGIN, RETRY_AFTER, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::cloud::Cloud;
use crate::directory::TokenFault;
use crate::journal::LogKind;
use crate::world::World;

/// Largest request body; the telemetry of a browser client is the largest there is.
const LARGEST_BODY: usize = 4 << 20;
/// `inin-ratelimit-allowed`: requests per minute and token that Genesys documents.
const RATE_LIMIT: u64 = 300;

/// A request whose bearer token is good.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: String,
    /// The path below `/api/v2/`, as segments.
    pub path: Vec<String>,
    pub query: HashMap<String, String>,
    pub body: Bytes,
    /// `U` of the token.
    pub user: String,
    /// The token.
    pub token: String,
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Option<Value>,
    /// Not before this.
    pub turn: Option<oneshot::Receiver<()>>,
}

impl Reply {
    pub fn ok(body: Value) -> Self {
        Self {
            status: 200,
            body: Some(body),
            turn: None,
        }
    }

    /// 202 without a body, as the cloud answers call commands.
    pub fn accepted() -> Self {
        Self {
            status: 202,
            body: None,
            turn: None,
        }
    }

    pub fn no_content() -> Self {
        Self {
            status: 204,
            body: None,
            turn: None,
        }
    }

    /// An `ErrorBody` (genesys-protocol 2.1).
    pub fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        let body = json!({
            "message": message.into(),
            "code": code,
            "status": status,
            "contextId": "",
            "details": [],
            "errors": [],
        });
        Self {
            status,
            body: Some(body),
            turn: None,
        }
    }

    pub fn not_found(what: &str, id: &str) -> Self {
        let mut reply = Self::error(404, "not.found", format!("The {what} {id} was not found"));
        if let Some(body) = &mut reply.body {
            body["entityId"] = Value::from(id);
            body["entityName"] = Value::from(what);
            body["messageWithParams"] = Value::from(format!("The {what} {{id}} was not found"));
            body["messageParams"] = json!({"id": id});
        }
        reply
    }
}

/// `/api/v2/...`
pub(crate) async fn serve(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let correlation = Uuid::new_v4().to_string();
    let (method, uri) = (parts.method.to_string(), parts.uri.to_string());
    let reply = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => answer(&cloud, &parts.headers, &parts.method, &parts.uri, body).await,
        Err(_) => Finished::from(Reply::error(
            413,
            "request.too.large",
            "The body is too large",
        )),
    };
    let text = format!(
        "{method} {uri} {} -> {} {}",
        reply.seen,
        reply.status,
        reply
            .body
            .as_ref()
            .map_or_else(String::new, Value::to_string)
    );
    cloud.with(|world| world.log(LogKind::Http, reply.user.as_deref(), text));
    reply.into_response(&correlation)
}

/// A reply with what only HTTP cares for.
struct Finished {
    status: u16,
    body: Option<Value>,
    retry_after: Option<u64>,
    user: Option<String>,
    /// The request's body, for the log.
    seen: String,
    count: u64,
    reset: u64,
    /// Only the first half of the body is sent.
    truncate: bool,
}

impl From<Reply> for Finished {
    fn from(reply: Reply) -> Self {
        Self {
            status: reply.status,
            body: reply.body,
            retry_after: None,
            user: None,
            seen: String::new(),
            count: 1,
            reset: 60,
            truncate: false,
        }
    }
}

impl Finished {
    fn into_response(mut self, correlation: &str) -> Response {
        if let Some(body) = &mut self.body
            && body.get("contextId").is_some()
        {
            body["contextId"] = Value::from(correlation);
        }
        let content = match &self.body {
            Some(body) if self.truncate => {
                let text = body.to_string();
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                Body::from(half)
            }
            Some(body) => Body::from(body.to_string()),
            None => Body::empty(),
        };
        let mut response = Response::new(content);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Ok(value) = HeaderValue::from_str(correlation) {
            headers.insert(HeaderName::from_static("inin-correlation-id"), value);
        }
        for (name, value) in [
            ("inin-ratelimit-count", self.count),
            ("inin-ratelimit-allowed", RATE_LIMIT),
            ("inin-ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

async fn answer(
    cloud: &Arc<Cloud>,
    headers: &HeaderMap,
    method: &Method,
    uri: &Uri,
    body: Bytes,
) -> Finished {
    let path = uri
        .path()
        .strip_prefix("/api/v2/")
        .unwrap_or_default()
        .to_owned();
    let seen = shown(&path, &body);
    let fault = cloud.with(|world| {
        let user = authorize(world, headers).ok();
        world.faults.rest(user.as_deref(), method.as_str(), &path)
    });
    let truncate = fault.as_ref().is_some_and(|fault| fault.truncate);
    if let Some(fault) = fault {
        tokio::time::sleep(fault.delay).await;
        if let Some(status) = fault.status {
            let code = if fault.code.is_empty() {
                code_of(status)
            } else {
                &fault.code
            };
            let reply = Reply::error(status, code, format!("Injected fault {status}"));
            let user = cloud.with(|world| authorize(world, headers).ok());
            return Finished {
                retry_after: fault.retry_after,
                user,
                seen,
                truncate,
                ..reply.into()
            };
        }
    }
    let (reply, user, count, reset) = cloud.with(|world| match authorize(world, headers) {
        Ok(user) => {
            let call = Call {
                method: method.as_str().to_owned(),
                path: path.split('/').map(str::to_owned).collect(),
                query: query(uri),
                body,
                user: user.clone(),
                token: bearer(headers).unwrap_or_default().to_owned(),
            };
            let (count, reset) = world.count_request(&user);
            (route::route(world, &call), Some(user), count, reset)
        }
        Err(reply) => (reply, None, 0, 60),
    });
    let Reply { status, body, turn } = reply;
    if let Some(turn) = turn {
        // The sender goes only when the simulator does.
        let _ = turn.await;
    }
    Finished {
        status,
        body,
        retry_after: None,
        user,
        seen,
        count,
        reset,
        truncate,
    }
}

/// The user of the bearer token, or the 401.
fn authorize(world: &World, headers: &HeaderMap) -> Result<String, Reply> {
    let Some(token) = bearer(headers) else {
        return Err(Reply::error(
            401,
            "authentication.required",
            "No authentication bearer token specified in authorization header.",
        ));
    };
    world
        .directory
        .bearer(world.now, token)
        .map(|user| user.id.clone())
        .map_err(|fault| {
            if fault == TokenFault::NoUser {
                let message = "This request requires a user context. Client credentials cannot be used for requests to this resource.";
                return Reply::error(400, "bad.request", message);
            }
            let message = match fault {
                TokenFault::Unknown | TokenFault::NoUser => "Invalid login credentials.",
                TokenFault::Expired => "Invalid login credentials: the token has expired.",
                TokenFault::Revoked => "Invalid login credentials: the token was revoked.",
            };
            Reply::error(401, "bad.credentials", message)
        })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

/// The part of a body that is worth a log line; telemetry is not.
fn shown(path: &str, body: &Bytes) -> String {
    if path.starts_with("diagnostics/") {
        return format!("({} bytes)", body.len());
    }
    String::from_utf8_lossy(body).into_owned()
}

fn code_of(status: u16) -> &'static str {
    match status {
        400 => "bad.request",
        401 => "bad.credentials",
        403 => "not.authorized",
        404 => "not.found",
        409 => "general.conflict",
        429 => "too.many.requests.rate.limit.exceeded",
        503 => "service.unavailable",
        504 => "gateway.timeout",
        _ => "internal.server.error",
    }
}

fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .unwrap_or_default()
}

/// Lets web pages of any origin in: the JavaScript client runs in one.
pub(crate) async fn cors(request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let wanted = request
        .headers()
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        next.run(request).await
    };
    let Some(origin) = origin else {
        return response;
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "inin-correlation-id, inin-ratelimit-count, inin-ratelimit-allowed, inin-ratelimit-reset, retry-after",
        ),
    );
    if preflight {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        );
        if let Some(wanted) = wanted {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        headers.insert(
            HeaderName::from_static("access-control-allow-private-network"),
            HeaderValue::from_static("true"),
        );
    }
    response
}
