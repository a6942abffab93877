//! Sends requests: token, time-out, correlation id, and one more try with a renewed token.

use super::wire::{self, HttpReply, HttpRequest, TIMEOUT};
use super::{RestError, RestReply, RestRequest};
use crate::device::Private;
use crate::genesys::id::{StationId, UserId};
use crate::genesys::login::Renewal;
use crate::genesys::model::{Organization, Station, User};
use crate::genesys::subscriptions::Leader;
use crate::genesys::token::TokenSource;
use crate::genesys::transport::Transport;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Stations a page; the cloud gives 100 at most.
const PAGE: u32 = 100;
/// Pages read at most: nobody has two thousand stations.
const MAX_PAGES: u32 = 20;

/// The REST side of the cloud. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rest {
    transport: Arc<dyn Transport>,
    token: TokenSource,
}

/// `entities[]` of a subscription reply (4.1).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TopicState {
    pub id: String,
    pub state: Option<String>,
    pub rejection_reason: Option<String>,
    pub missing_permissions: Vec<String>,
}

impl Rest {
    pub(crate) fn new(transport: Arc<dyn Transport>, token: TokenSource) -> Self {
        Self { transport, token }
    }

    /// A request of the session engine; not retried (2.1).
    pub(crate) async fn request(&self, request: &RestRequest) -> Result<RestReply, RestError> {
        let http = wire::http(request);
        let reply = self.send(&http).await?;
        wire::reply(request, &http, &reply)
    }

    /// `GET /organizations/me`, one attempt.
    pub(crate) async fn organization(&self) -> Result<Organization, RestError> {
        self.get("organizations/me").await
    }

    /// `GET /users/me?expand=station`, one attempt.
    pub(crate) async fn user(&self) -> Result<User, RestError> {
        self.get("users/me?expand=station").await
    }

    /// `GET /stations/{id}`, one attempt.
    pub(crate) async fn station(&self, id: &StationId) -> Result<Station, RestError> {
        self.get(&format!("stations/{}", wire::segment(id.as_str())))
            .await
    }

    /// `GET /stations?webRtcUserId=U`, all pages, one attempt each (2.3).
    pub(crate) async fn stations_of(&self, user: &UserId) -> Result<Vec<Station>, RestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            #[serde(default)]
            entities: Vec<Station>,
            page_count: Option<u32>,
        }
        let mut stations = Vec::new();
        for number in 1..=MAX_PAGES {
            let user = wire::segment(user.as_str());
            let page: Page = self
                .get(&format!(
                    "stations?webRtcUserId={user}&pageSize={PAGE}&pageNumber={number}"
                ))
                .await?;
            let was_empty = page.entities.is_empty();
            stations.extend(page.entities);
            if was_empty || page.page_count.is_none_or(|pages| number >= pages) {
                break;
            }
        }
        Ok(stations)
    }

    /// `PUT /users/stations/me/associatedstation/{id}` (2.3).
    pub(crate) async fn associate(&self, station: &StationId) -> Result<(), RestError> {
        let id = wire::segment(station.as_str());
        let request = HttpRequest::get(format!("users/stations/me/associatedstation/{id}"))
            .with_method(Method::PUT);
        self.send(&request).await.map(drop)
    }

    /// `DELETE /users/stations/me/associatedstation` (2.3), with a token that is about to be forgotten.
    pub(crate) async fn disassociate(&self, token: &Private) -> Result<(), RestError> {
        let request =
            HttpRequest::get("users/stations/me/associatedstation").with_method(Method::DELETE);
        self.send_with(&request, token).await.map(drop)
    }

    /// `PATCH /apps/users/U/connections/{id}`: this connection may ring (7.1).
    pub(crate) async fn make_alertable(
        &self,
        user: &UserId,
        connection: &str,
    ) -> Result<(), RestError> {
        let path = format!(
            "apps/users/{}/connections/{}",
            wire::segment(user.as_str()),
            wire::segment(connection)
        );
        let request = HttpRequest::get(path)
            .with_method(Method::PATCH)
            .with_json(&json!({"alertable": true}));
        self.send(&request).await.map(drop)
    }

    /// `GET /users/alertingleader`: which connection rings (7.1).
    pub(crate) async fn alerting_leader(&self) -> Result<Leader, RestError> {
        self.get("users/alertingleader").await
    }

    /// `PUT /users/alertingleader`: this connection shall ring (7.1).
    pub(crate) async fn claim_alerting(&self, connection: &str) -> Result<(), RestError> {
        let request = HttpRequest::get("users/alertingleader")
            .with_method(Method::PUT)
            .with_json(&json!({"connectionId": connection}));
        self.send(&request).await.map(drop)
    }

    /// `POST /notifications/channels?connectionType=streaming` -> channel id.
    pub(crate) async fn create_channel(&self) -> Result<String, RestError> {
        #[derive(Deserialize)]
        struct Channel {
            id: String,
        }
        let request = HttpRequest::post("notifications/channels?connectionType=streaming");
        let reply = self.send(&request).await?;
        Ok(reply.json::<Channel>(&request)?.id)
    }

    /// `PUT /notifications/channels/{channel}/subscriptions`: replaces the channel's topics.
    pub(crate) async fn put_subscriptions(
        &self,
        channel: &str,
        body: &Value,
    ) -> Result<Vec<TopicState>, RestError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            entities: Vec<TopicState>,
        }
        let path = format!(
            "notifications/channels/{}/subscriptions",
            wire::segment(channel)
        );
        let request = HttpRequest::get(path)
            .with_method(Method::PUT)
            .with_json(body);
        let reply = self.send(&request).await?;
        Ok(reply.json::<Page>(&request)?.entities)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, RestError> {
        let request = HttpRequest::get(path);
        self.send(&request).await?.json(&request)
    }

    /// Sends with the current token; after a 401 the token is renewed, and a new one gets one more try (1.4). A refused
    /// request has changed nothing, so repeating it is safe whatever the method.
    async fn send(&self, request: &HttpRequest) -> Result<HttpReply, RestError> {
        let token = self.token.current()?;
        let result = self.send_with(request, &token).await;
        if !is_refused(&result) {
            return result;
        }
        match self.token.renew(&token).await {
            Renewal::None => result,
            Renewal::Later(error) => Err(error),
            Renewal::Another => {
                tracing::info!("there is a new access token; trying again with it");
                let token = self.token.current()?;
                let result = self.send_with(request, &token).await;
                if is_refused(&result) {
                    self.token.refused(&token);
                }
                result
            }
        }
    }

    async fn send_with(
        &self,
        request: &HttpRequest,
        token: &Private,
    ) -> Result<HttpReply, RestError> {
        let sending = self.transport.http(request, token);
        let reply =
            tokio::time::timeout(TIMEOUT, sending)
                .await
                .map_err(|_| RestError::Timeout {
                    request: request.describe(),
                    after: TIMEOUT,
                })??;
        tracing::debug!(
            request = request.describe(),
            status = reply.status,
            correlation_id = reply.correlation_id.as_deref().unwrap_or("-"),
            "REST"
        );
        reply.accepted(request)
    }
}

fn is_refused(result: &Result<HttpReply, RestError>) -> bool {
    matches!(result, Err(RestError::Status { status: 401, .. }))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
