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
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write as _;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/login", get(login))
        .route("/api/v1/login/code.svg", get(code))
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

/// The display's QR code, for who sees the page and has a mobile phone.
async fn code(State(api): State<Api>) -> Answer {
    let login = api.ask(|reply| Request::Login { reply }).await?;
    let link = login.link.unwrap_or_default();
    let code = Some(link.expose())
        .filter(|link| !link.is_empty())
        .and_then(|link| QrCode::encode_text(link, QrCodeEcc::Medium).ok());
    let Some(code) = code else {
        return Err(refuse(
            StatusCode::NOT_FOUND,
            "not_found",
            "nobody has to log in, or the page is for this machine only",
        )
        .into());
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, drawn(&code)).into_response())
}

/// As SVG, with the quiet zone of four modules (ISO/IEC 18004 section 6.3.8).
fn drawn(code: &QrCode) -> String {
    let size = code.size();
    let side = size + 8;
    let mut dark = String::new();
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            let _ = write!(dark, "M{} {}h1v1h-1z", x + 4, y + 4);
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{dark}"/></svg>"##
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_its_quiet_zone_and_every_dark_module() {
        let code = QrCode::encode_text("HTTPS://DESK-7:8321/L/7F3K9Q", QrCodeEcc::Medium)
            .expect("short enough");
        let size = code.size();
        let dark = (0..size * size)
            .filter(|at| code.get_module(at % size, at / size))
            .count();
        let svg = drawn(&code);
        assert_eq!(svg.matches("h1v1h-1z").count(), dark);
        assert!(svg.contains(&format!("0 0 {0} {0}", size + 8)), "{svg}");
        // The finder pattern's corner, four modules in.
        assert!(svg.contains("M4 4h1"), "{svg}");
    }

    /// An error's text may quote what a stranger sent.
    #[test]
    fn what_is_told_cannot_be_markup() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }

    #[test]
    fn errors_of_login_and_stations_have_their_status() {
        for (error, status) in [
            (LoginError::NotConfigured, 409),
            (LoginError::TokenFile, 409),
            (LoginError::Unknown, 400),
            (LoginError::NoCode, 400),
            (LoginError::Randomness, 500),
        ] {
            assert_eq!(of_login(&error).status(), status, "{error}");
        }
        for (trouble, status) in [
            (StationTrouble::NoUser, 409),
            (StationTrouble::Missing, 404),
            (StationTrouble::Unknown, 404),
        ] {
            assert_eq!(of_station(&trouble).status(), status, "{trouble}");
        }
    }
}
