//! The network behind a seam: HTTP requests and WebSocket links. The tests of everything above it put a scripted one
//! in its place and use virtual time.

mod http;
mod link;
#[cfg(test)]
pub(crate) mod local;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

use super::environment::{Endpoint, Environment};
use super::login::TokenRequest;
use super::rest::RestError;
use super::rest::wire::{HttpReply, HttpRequest};
use super::{CloudConfig, CloudError, tls};
use crate::device::Private;
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};
pub(crate) use link::{connect_tcp, connect_tls};
use std::pin::Pin;
use std::sync::Arc;

/// Makes connections.
pub(crate) trait Transport: Send + Sync {
    /// One HTTP exchange, without a time limit of its own. An error status is not an error here.
    fn http<'a>(
        &'a self,
        request: &'a HttpRequest,
        token: &'a Private,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>>;

    /// `POST /oauth/token` at the login host, without a time limit of its own. An error status is not an error here.
    fn token<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>>;

    /// Opens a WebSocket with subprotocol `xmpp` (3.1) on the channel, without a time limit of its own.
    fn open<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Link, OpenError>>;
}

/// An open WebSocket: text messages both ways. Its end is the end of `incoming`.
pub(crate) struct Link {
    pub outgoing: Pin<Box<dyn Sink<String, Error = LinkError> + Send>>,
    pub incoming: Pin<Box<dyn Stream<Item = Result<String, LinkError>> + Send>>,
}

/// Why the link broke, in the log's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LinkError(pub String);

/// Why there is no link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenError {
    pub error: CloudError,
    /// The server refused the channel itself: the next attempt needs a new one.
    pub channel_refused: bool,
}

impl From<CloudError> for OpenError {
    fn from(error: CloudError) -> Self {
        Self {
            error,
            channel_refused: false,
        }
    }
}

/// The real network.
pub(crate) struct Network {
    environment: Environment,
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
}

impl Network {
    /// Reads trust anchors; connects nothing yet.
    pub(crate) fn new(config: &CloudConfig) -> Result<Self, CloudError> {
        let environment = config.hosts()?;
        let tls = tls::client_config(config.ca_file.as_deref())?;
        Ok(Self {
            environment,
            http: http::client(&tls)?,
            tls: Arc::new(tls),
        })
    }

    /// For steps that connect by themselves.
    pub(crate) fn tls(&self) -> &Arc<rustls::ClientConfig> {
        &self.tls
    }
}

impl Transport for Network {
    fn http<'a>(
        &'a self,
        request: &'a HttpRequest,
        token: &'a Private,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>> {
        let url = self.environment.api_url(&request.path);
        Box::pin(http::exchange(&self.http, url, request, token))
    }

    fn token<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> BoxFuture<'a, Result<HttpReply, RestError>> {
        let url = self.environment.login_url("oauth/token");
        Box::pin(http::token(&self.http, url, request))
    }

    fn open<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Link, OpenError>> {
        let url = self.environment.streaming_url(channel);
        Box::pin(async move {
            let endpoint = Endpoint::of(&url);
            link::open(&url, &endpoint, Arc::clone(&self.tls)).await
        })
    }
}
