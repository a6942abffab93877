//! Sends requests: token, time-out, correlation id, and one more try when the token file was replaced.

use super::wire::{self, HttpReply, HttpRequest, TIMEOUT};
use super::{RestError, RestReply, RestRequest};
use crate::genesys::id::StationId;
use crate::genesys::model::{Organization, Station, User};
use crate::genesys::token::TokenSource;
use crate::genesys::transport::Transport;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

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

    /// Sends with the current token; after a 401 the token file is read again, and a new token gets one more try
    /// (1.4). A refused request has changed nothing, so repeating it is safe whatever the method.
    async fn send(&self, request: &HttpRequest) -> Result<HttpReply, RestError> {
        let result = self.send_once(request).await;
        let refused = matches!(&result, Err(RestError::Status { status: 401, .. }));
        if refused && self.token.reload().unwrap_or(false) {
            tracing::info!("the access token file was replaced; trying again with the new token");
            return self.send_once(request).await;
        }
        result
    }

    async fn send_once(&self, request: &HttpRequest) -> Result<HttpReply, RestError> {
        let token = self.token.current()?;
        let sending = self.transport.http(request, &token);
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

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
