//! What the control API does to users and their stations.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refusal};
use crate::engine::PersistentState;
use crate::gateway::LegConfig;
use crate::oauth::{LoginScript, OAuthClient};
use crate::simulator::Handle;
use crate::spec::{Form, UserSpec};

pub(super) fn router() -> Router<Handle> {
    Router::new()
        .route("/sim/users/{user}", get(user).patch(change))
        .route("/sim/users/{user}/station", post(station))
        .route("/sim/users/{user}/sessions", get(sessions))
        .route("/sim/users/{user}/persistent", post(persistent))
        .route("/sim/users/{user}/alerting-leader", post(alerting_leader))
        .route("/sim/oauth", post(script_login))
        .route("/sim/oauth/clients", post(oauth_client))
}

async fn user(State(handle): State<Handle>, Path(user): Path<String>) -> Answer<Json<UserSpec>> {
    Ok(Json(handle.user_spec(&user)?))
}

async fn change(
    State(handle): State<Handle>,
    Path(user): Path<String>,
    changes: Result<Json<Value>, JsonRejection>,
) -> Answer<Json<UserSpec>> {
    let Json(changes) = changes?;
    let bad = |error: serde_json::Error| Refusal(StatusCode::BAD_REQUEST, error.to_string());
    let mut wanted = serde_json::to_value(handle.user_spec(&user)?).map_err(bad)?;
    for (name, value) in changes.as_object().into_iter().flatten() {
        wanted[name] = value.clone();
    }
    let wanted: UserSpec = serde_json::from_value(wanted).map_err(bad)?;
    handle.change_user(&user, |spec| *spec = wanted.clone())?;
    Ok(Json(wanted))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Station {
    Associate {
        associated: bool,
    },
    Tell {
        action: String,
    },
    #[serde(rename_all = "camelCase")]
    Take {
        taken_by: Option<String>,
    },
}

async fn station(
    State(handle): State<Handle>,
    Path(user): Path<String>,
    station: Result<Json<Station>, JsonRejection>,
) -> Answer<Json<Value>> {
    match station?.0 {
        Station::Associate { associated } => handle.associate_station(&user, associated)?,
        Station::Tell { action } => handle.tell_station(&user, &action)?,
        Station::Take { taken_by } => handle.take_station(&user, taken_by.as_deref())?,
    }
    Ok(Json(json!({})))
}

async fn sessions(State(handle): State<Handle>, Path(user): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(json!(handle.sessions(&user).await?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Leader {
    connection_id: Option<String>,
}

async fn alerting_leader(
    State(handle): State<Handle>,
    Path(user): Path<String>,
    leader: Result<Json<Leader>, JsonRejection>,
) -> Answer<Json<Value>> {
    handle.lead_alerting(&user, leader?.0.connection_id)?;
    Ok(Json(json!({})))
}

async fn script_login(
    State(handle): State<Handle>,
    script: Result<Json<LoginScript>, JsonRejection>,
) -> Answer<Json<Value>> {
    handle.script_login(script?.0);
    Ok(Json(json!({})))
}

async fn oauth_client(
    State(handle): State<Handle>,
    client: Result<Json<OAuthClient>, JsonRejection>,
) -> Answer<Json<Value>> {
    handle.add_oauth_client(client?.0);
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
enum Persistent {
    SetUp {
        #[serde(default)]
        form: Form,
        leg: Option<LegConfig>,
    },
    Lose {
        #[serde(default)]
        silently: bool,
    },
    Tell {
        state: PersistentState,
        code: Option<String>,
        #[serde(default)]
        message: String,
    },
}

async fn persistent(
    State(handle): State<Handle>,
    Path(user): Path<String>,
    wanted: Result<Json<Persistent>, JsonRejection>,
) -> Answer<Json<Value>> {
    match wanted?.0 {
        Persistent::SetUp { form, leg } => {
            let leg = leg.unwrap_or_else(|| handle.default_leg());
            let session = handle.set_up_eagerly(&user, form, leg)?;
            return Ok(Json(json!({"sessionId": session})));
        }
        Persistent::Lose { silently } => handle.lose_shared(&user, silently)?,
        Persistent::Tell {
            state,
            code,
            message,
        } => handle.tell_persistent(&user, state, code.map(|code| (code, message)))?,
    }
    Ok(Json(json!({})))
}
