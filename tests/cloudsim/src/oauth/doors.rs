//! The login host over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Asked, Grant, LoginScript, TokenError, TokenRequest, is_challenge};
use crate::cloud::Cloud;
use crate::journal::{LogKind, ViolationKind};
use crate::world::World;
use crate::xml::escape;

const LARGEST: usize = 64 << 10;

/// The query of an authorize request; the page sends it back with the user's choice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Authorize {
    client_id: String,
    response_type: String,
    redirect_uri: String,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    state: Option<String>,
    org: Option<String>,
    provider: Option<String>,
    /// Who was chosen on the page: a user's id, or nobody.
    user: Option<String>,
}

/// `GET /oauth/authorize`.
pub(crate) async fn authorize(
    State(cloud): State<Arc<Cloud>>,
    Query(query): Query<Authorize>,
) -> Response {
    cloud.with(|world| {
        let what = format!("GET /oauth/authorize by {}", query.client_id);
        world.log(LogKind::Http, None, what);
        let asked = match check(world, &query) {
            Ok(asked) => asked,
            Err(why) => return page(StatusCode::BAD_REQUEST, &escape(&why)),
        };
        match world.logins.script.clone() {
            LoginScript::Page => page(StatusCode::OK, &form(world, &query)),
            LoginScript::Deny { error } => back(
                &query,
                &[
                    ("error", &error),
                    ("error_description", "The user did not agree"),
                ],
            ),
            LoginScript::Allow { user } => match world.directory.find(&user) {
                Some(user) => {
                    let user = user.id.clone();
                    allow(world, &query, asked, &user)
                }
                None => page(StatusCode::BAD_REQUEST, "the scripted user does not exist"),
            },
        }
    })
}

/// `POST /oauth/authorize`: the page's form.
pub(crate) async fn choose(State(cloud): State<Arc<Cloud>>, body: Bytes) -> Response {
    let query = Authorize::from_form(&body);
    cloud.with(|world| {
        let asked = match check(world, &query) {
            Ok(asked) => asked,
            Err(why) => return page(StatusCode::BAD_REQUEST, &escape(&why)),
        };
        let chosen = query.user.as_deref().unwrap_or_default();
        match world.directory.user(chosen).map(|user| user.id.clone()) {
            Some(user) => allow(world, &query, asked, &user),
            None => back(
                &query,
                &[
                    ("error", "access_denied"),
                    ("error_description", "The user did not agree"),
                ],
            ),
        }
    })
}

/// `POST /oauth/token`.
pub(crate) async fn token(State(cloud): State<Arc<Cloud>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "").into_response();
    };
    if let Some(fault) = cloud.with(|world| world.faults.rest(None, "POST", "oauth/token")) {
        tokio::time::sleep(fault.delay).await;
        if let Some(status) = fault.status {
            let error = json!({"error": "server_error", "error_description": "Injected fault", "status": status});
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, Json(error)).into_response();
            if let Some(seconds) = fault.retry_after {
                response.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            return response;
        }
    }
    let mut asked = TokenRequest::from_form(&body);
    asked.basic = basic(&parts.headers);
    let answer = cloud.with(|world| {
        let granted = world.logins.grant(world.now, &asked);
        let outcome = granted.as_ref().map(|grant| grant.user.clone());
        world.log(
            LogKind::Http,
            None,
            format!("POST /oauth/token {} -> {outcome:?}", asked.grant_type),
        );
        granted.map(|grant| tokens(world, grant))
    });
    match answer {
        Ok(tokens) => ([(CACHE_CONTROL, "no-store")], Json(tokens)).into_response(),
        Err(TokenError { status, error, why }) => {
            let body = json!({"error": error, "description": why, "error_description": why});
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(body)).into_response()
        }
    }
}

fn tokens(world: &mut World, grant: Grant) -> Value {
    let now = world.now;
    let access = match &grant.user {
        Some(user) => world.directory.issue(now, user, grant.life),
        None => world
            .directory
            .issue_for_client(now, &grant.client, grant.life),
    };
    let mut body = json!({
        "access_token": access,
        "token_type": "bearer",
        "expires_in": grant.life.as_secs(),
    });
    if let Some(refresh) = grant.refresh {
        body["refresh_token"] = Value::from(refresh);
    }
    body
}

/// What is wrong with an authorize request is the client's fault, and nobody is sent back.
fn check(world: &mut World, query: &Authorize) -> Result<Asked, String> {
    let client = world.logins.clients.get(&query.client_id);
    let why = match client {
        None => Some(format!("there is no client {:?}", query.client_id)),
        _ if query.response_type != "code" => Some("response_type must be code".into()),
        _ if query.redirect_uri.is_empty() => Some("redirect_uri is missing".into()),
        Some(client)
            if !client.redirect_uris.is_empty()
                && !client.redirect_uris.contains(&query.redirect_uri) =>
        {
            Some(format!(
                "{} is none of this client's addresses",
                query.redirect_uri
            ))
        }
        _ if query.org.is_some() != query.provider.is_some() => {
            Some("org and provider go together".into())
        }
        Some(client) => match (&query.code_challenge, &query.code_challenge_method) {
            (None, None) if client.secret.is_some() => None,
            (None, None) => Some("a public client needs a code_challenge".into()),
            (Some(challenge), Some(method)) if method == "S256" && is_challenge(challenge) => None,
            _ => Some("code_challenge must be 43 characters and its method S256".into()),
        },
    };
    if let Some(why) = why {
        let detail = format!("GET /oauth/authorize: {why}");
        world.violate(None, ViolationKind::BadBody, detail);
        return Err(why);
    }
    Ok(Asked {
        client: query.client_id.clone(),
        redirect_uri: query.redirect_uri.clone(),
        challenge: query.code_challenge.clone(),
    })
}

fn allow(world: &mut World, query: &Authorize, asked: Asked, user: &str) -> Response {
    let code = world.logins.issue_code(world.now, asked, user);
    world.log(LogKind::Http, Some(user), "logged in");
    back(query, &[("code", &code)])
}

/// Sends the browser back to the client.
fn back(query: &Authorize, results: &[(&str, &str)]) -> Response {
    let state = query.state.as_deref().map(|state| ("state", state));
    let pairs: Vec<String> = results
        .iter()
        .copied()
        .chain(state)
        .map(|(name, value)| format!("{name}={}", percent(value)))
        .collect();
    let joint = if query.redirect_uri.contains('?') {
        '&'
    } else {
        '?'
    };
    let address = format!("{}{joint}{}", query.redirect_uri, pairs.join("&"));
    match HeaderValue::from_str(&address) {
        Ok(address) => (StatusCode::FOUND, [(LOCATION, address)]).into_response(),
        Err(_) => page(StatusCode::BAD_REQUEST, "redirect_uri is no address"),
    }
}

fn form(world: &World, query: &Authorize) -> String {
    let hidden = [
        ("client_id", Some(&query.client_id)),
        ("response_type", Some(&query.response_type)),
        ("redirect_uri", Some(&query.redirect_uri)),
        ("code_challenge", query.code_challenge.as_ref()),
        (
            "code_challenge_method",
            query.code_challenge_method.as_ref(),
        ),
        ("state", query.state.as_ref()),
    ];
    let hidden: String = hidden
        .iter()
        .filter_map(|(name, value)| {
            let value = escape(value.as_ref()?);
            Some(format!("<input type=hidden name={name} value=\"{value}\">"))
        })
        .collect();
    let users: Vec<String> = world
        .directory
        .users()
        .map(|user| {
            let name = escape(&user.spec.name);
            format!("<p><button name=user value={}>{name}</button></p>", user.id)
        })
        .collect();
    let users = users.concat();
    format!(
        "<h1>Who are you?</h1><form method=post action=/oauth/authorize>{hidden}{users}<p><button name=user value=\"\">Cancel</button></p></form>"
    )
}

fn page(status: StatusCode, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Login</title>{content}</html>"
    );
    (status, Html(html)).into_response()
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let bytes = STANDARD.decode(text.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

impl Authorize {
    fn from_form(body: &[u8]) -> Self {
        serde_json::from_value(fields(body)).unwrap_or_default()
    }
}

impl TokenRequest {
    fn from_form(body: &[u8]) -> Self {
        serde_json::from_value(fields(body)).unwrap_or_default()
    }
}

/// The fields of `application/x-www-form-urlencoded`.
fn fields(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (unescape(name), Value::from(unescape(value))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: u8| (digit as char).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                bytes.push(value as u8);
                rest = after;
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|one| {
            if one.is_ascii_alphanumeric() || b"-._~".contains(&one) {
                (one as char).to_string()
            } else {
                format!("%{one:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_and_addresses_written() {
        let value = fields(b"grant_type=refresh_token&refresh_token=a%2Bb+c&x=%zz&y=%4");
        assert_eq!(value["refresh_token"], "a+b c");
        assert_eq!((&value["x"], &value["y"]), (&"%zz".into(), &"%4".into()));
        assert_eq!(percent("a b&c=\u{e9}"), "a%20b%26c%3D%C3%A9");
        assert_eq!(unescape(&percent("a b&c=\u{e9}")), "a b&c=\u{e9}");
    }
}
