//! Updates: how far one is, and starting one from an address or from the request's body.

use super::api::{Answer, Api, Body, accepted, refuse};
use crate::device::update::UpdateError;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/update", get(state).post(fetch).put(take))
}

async fn state(State(api): State<Api>) -> Response {
    Json(api.updater.state()).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    url: String,
}

/// Only begins: what comes of it is told by `GET` and the event `update`.
async fn fetch(State(api): State<Api>, Body(Source { url }): Body<Source>) -> Answer {
    let begun = api.updater.begin()?;
    tokio::spawn(async move {
        // The outcome is the updater's state.
        let _ = begun.install_from(&url).await;
    });
    Ok(accepted())
}

/// The bundle is the body, of any length; answered when it is installed.
async fn take(State(api): State<Api>, request: Request) -> Answer {
    let begun = api.updater.begin()?;
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let body = request.into_body().into_data_stream();
    // Goes on to its end even if nobody waits for the answer.
    let installing = tokio::spawn(async move { begun.install(length, body).await });
    match installing.await {
        Ok(outcome) => outcome?,
        Err(error) => {
            return Err(refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                error.to_string(),
            )
            .into());
        }
    }
    Ok(accepted())
}

impl From<UpdateError> for super::api::Failure {
    fn from(error: UpdateError) -> Self {
        let status = match &error {
            UpdateError::Busy => StatusCode::CONFLICT,
            UpdateError::Unsettled | UpdateError::NotSupported { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            UpdateError::NoSpace { .. } | UpdateError::State { .. } => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            UpdateError::Install { .. } | UpdateError::TooLong { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            _ => StatusCode::BAD_REQUEST,
        };
        Self(refuse(status, error.kind(), error.to_string()))
    }
}
