//! Who uses the phone and where its calls ring: login, log-out, stations; and the speed dials.

use super::api::{Answer, Api, Body, Failure, accepted, refuse};
use super::{LoginReturn, Refusal, Request};
use crate::device::Private;
use crate::genesys::id::StationId;
use crate::genesys::{LoginError, StationTrouble};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/login", get(login))
        .route("/api/v1/login/start", post(start))
        .route("/api/v1/login/finish", post(finish))
        .route("/api/v1/logout", post(log_out))
        .route("/api/v1/stations", get(stations))
        .route("/api/v1/stations/{station}/associate", post(associate))
        .route("/api/v1/speed-dials", get(speed_dials))
        .route("/login/callback", get(callback))
        .route("/L/{code}", get(invited))
}

async fn login(State(api): State<Api>) -> Answer {
    Ok(Json(api.ask(|reply| Request::Login { reply }).await?).into_response())
}

/// The address to log in at, for the browser that asks.
async fn start(State(api): State<Api>, headers: HeaderMap) -> Answer {
    let page = page_of(&api, &headers);
    let url = api
        .ask(|reply| Request::BeginLogin {
            page,
            invitation: None,
            reply,
        })
        .await?
        .map_err(|refusal| Failure(refusal.into_response()))?;
    Ok(Json(json!({ "url": url.expose() })).into_response())
}

/// Whoever scans the code on the display, or types what stands there, goes straight to the cloud's login page.
async fn invited(State(api): State<Api>, Path(code): Path<String>, headers: HeaderMap) -> Response {
    let page = page_of(&api, &headers);
    let begun = api
        .ask(|reply| Request::BeginLogin {
            page,
            invitation: Some(Private::from(code)),
            reply,
        })
        .await;
    match begun {
        Ok(Ok(url)) => Redirect::to(url.expose()).into_response(),
        Ok(Err(refusal)) => told(StatusCode::FORBIDDEN, "Not logged in", &refusal.to_string()),
        Err(failure) => failure.into_response(),
    }
}

/// Where the cloud's login page sends the browser. The `state` in the query proves that the login was begun here.
async fn callback(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let returned = LoginReturn::Query(Private::from(query.unwrap_or_default()));
    let finished = api
        .ask(|reply| Request::FinishLogin { returned, reply })
        .await;
    match finished {
        Ok(Ok(())) => told(
            StatusCode::OK,
            "Logged in",
            "The phone is yours now. You can close this page.",
        ),
        Ok(Err(refusal)) => told(
            StatusCode::BAD_REQUEST,
            "Not logged in",
            &refusal.to_string(),
        ),
        Err(failure) => failure.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FinishBody {
    address: Private,
}

/// For a browser that cannot reach the phone: the address it ended at, pasted.
async fn finish(State(api): State<Api>, Body(FinishBody { address }): Body<FinishBody>) -> Answer {
    let returned = LoginReturn::Pasted(address);
    done(
        api.ask(|reply| Request::FinishLogin { returned, reply })
            .await?,
    )
}

async fn log_out(State(api): State<Api>) -> Answer {
    done(api.ask(|reply| Request::LogOut { reply }).await?)
}

async fn stations(State(api): State<Api>) -> Answer {
    match api.ask(|reply| Request::Stations { reply }).await? {
        Ok(stations) => Ok(Json(stations).into_response()),
        Err(refusal) => Err(refusal.into_response().into()),
    }
}

async fn associate(State(api): State<Api>, Path(station): Path<String>) -> Answer {
    let station = StationId(station);
    done(
        api.ask(|reply| Request::UseStation { station, reply })
            .await?,
    )
}

async fn speed_dials(State(api): State<Api>) -> Answer {
    Ok(Json(api.ask(|reply| Request::SpeedDials { reply }).await?).into_response())
}

fn done(result: Result<(), Refusal>) -> Answer {
    match result {
        Ok(()) => Ok(accepted()),
        Err(refusal) => Err(refusal.into_response().into()),
    }
}

/// The phone's page as this browser reaches it; the guard has seen that the Host is ours.
fn page_of(api: &Api, headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let scheme = if api.is_secure { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or_default())
}

/// A page that says one thing, for a browser that came here by a link.
fn told(status: StatusCode, title: &str, message: &str) -> Response {
    let page = include_str!("page/told.html")
        .replace("{title}", title)
        .replace("{message}", &escaped(message));
    let headers = [
        (header::CONTENT_SECURITY_POLICY, super::page::POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Status and type of a login that did not work.
pub(super) fn of_login(error: &LoginError) -> Response {
    let (status, kind) = match error {
        LoginError::NotConfigured | LoginError::TokenFile => (StatusCode::CONFLICT, "conflict"),
        LoginError::Unknown | LoginError::NoCode | LoginError::Denied { .. } => {
            (StatusCode::BAD_REQUEST, "bad_request")
        }
        LoginError::Refused { .. } | LoginError::Reply { .. } => (StatusCode::BAD_GATEWAY, "http"),
        LoginError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "generic"),
    };
    refuse(status, kind, error.to_string())
}

/// Status and type of a station that cannot be used.
pub(super) fn of_station(trouble: &StationTrouble) -> Response {
    let (status, kind) = match trouble {
        StationTrouble::Missing | StationTrouble::Unknown => (StatusCode::NOT_FOUND, "not_found"),
        StationTrouble::Rest(_) => (StatusCode::BAD_GATEWAY, "http"),
        _ => (StatusCode::CONFLICT, "conflict"),
    };
    refuse(status, kind, trouble.to_string())
}
