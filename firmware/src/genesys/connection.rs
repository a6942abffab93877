//! Moves the bytes of one connection: opens the link, signs in, sends and receives stanzas.

use super::CloudError;
use super::id::Jid;
use super::rest::RestError;
use super::stream::negotiation::{Bound, Negotiation, Step};
use super::transport::{Link, Transport};
use super::xml::{self, Element, ns};
use crate::device::Private;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;

/// From opening the socket to the started session (3.1).
pub(crate) const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(15);
/// A stanza that cannot even be handed to the system for so long goes nowhere: the network is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// A clean end is polite, not worth waiting for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who signs in.
pub(crate) struct Credentials<'a> {
    pub bare: &'a Jid,
    pub resource: &'a str,
    pub token: Private,
}

/// Why an attempt to connect failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub error: Box<CloudError>,
    /// The next attempt needs a new channel.
    pub hard: bool,
    /// What the server asked to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(error: CloudError) -> Self {
        Self {
            error: Box::new(error),
            hard: false,
            retry_after: None,
        }
    }

    /// A failed REST request.
    pub(crate) fn rest(error: RestError, host: &str) -> Self {
        let retry_after = match &error {
            RestError::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        Self {
            retry_after,
            ..Self::new(rest_error(error, host))
        }
    }
}

/// What a failed REST request says about the cloud.
pub(crate) fn rest_error(error: RestError, host: &str) -> CloudError {
    let host = || host.to_owned();
    match error {
        RestError::Token(error) => CloudError::Token(error),
        RestError::Status { status: 401, .. } => CloudError::InvalidToken {
            detail: error.to_string(),
        },
        RestError::Status { status: 403, .. } => CloudError::Forbidden {
            detail: error.to_string(),
        },
        RestError::Network {
            detail, tls: true, ..
        } => CloudError::Tls {
            host: host(),
            detail,
        },
        RestError::Network { detail, .. } => CloudError::Unreachable {
            host: host(),
            detail,
        },
        RestError::Timeout { after, .. } => CloudError::Timeout {
            what: "the REST service",
            seconds: after.as_secs(),
        },
        other => CloudError::Rest(other),
    }
}

/// Opens the channel's stream and signs in, within 15 s.
pub(crate) async fn sign_in(
    transport: &dyn Transport,
    channel: &str,
    who: Credentials<'_>,
) -> Result<(Link, Bound), Failure> {
    tokio::time::timeout(SIGN_IN_TIMEOUT, negotiate(transport, channel, who))
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(CloudError::Timeout {
                what: "the streaming server",
                seconds: SIGN_IN_TIMEOUT.as_secs(),
            }))
        })
}

async fn negotiate(
    transport: &dyn Transport,
    channel: &str,
    who: Credentials<'_>,
) -> Result<(Link, Bound), Failure> {
    let mut link = transport.open(channel).await.map_err(|refused| Failure {
        hard: refused.channel_refused,
        ..Failure::new(refused.error)
    })?;
    let mut negotiation = Negotiation::new(who.bare.clone(), who.resource, who.token);
    let broken = |detail: String| {
        Failure::new(CloudError::Protocol {
            what: "the streaming server",
            detail,
        })
    };
    send(&mut link, &negotiation.open()).await.map_err(broken)?;
    loop {
        let text = match link.incoming.next().await {
            Some(Ok(text)) => text,
            Some(Err(error)) => return Err(broken(error.to_string())),
            None => return Err(broken("it closed the connection during sign-in".to_owned())),
        };
        let stanza = match xml::parse(&text) {
            Ok(stanza) => stanza,
            Err(error) => {
                tracing::warn!(%error, "a message of the server is no stanza and is skipped");
                continue;
            }
        };
        tracing::trace!(stanza = stanza.summary(), "received");
        match negotiation.handle(&stanza) {
            Ok(Step::Wait) => {}
            Ok(Step::Send(element)) => send(&mut link, &element).await.map_err(broken)?,
            Ok(Step::Done(bound)) => return Ok((link, bound)),
            Err(refused) => {
                close(&mut link, false).await;
                return Err(Failure {
                    hard: refused.hard,
                    ..Failure::new(*refused.error)
                });
            }
        }
    }
}

/// Sends one stanza. An error says why the connection is of no more use.
pub(crate) async fn send(link: &mut Link, stanza: &Element) -> Result<(), String> {
    tracing::trace!(stanza = stanza.summary(), "sending");
    match tokio::time::timeout(WRITE_TIMEOUT, link.outgoing.send(stanza.to_string())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "nothing could be sent for {} s",
            WRITE_TIMEOUT.as_secs()
        )),
    }
}

/// `<close/>`, the server's `<close/>` if it is to be waited for, and the end of the socket (RFC 7395 3.6).
pub(crate) async fn close(link: &mut Link, wait: bool) {
    let closing = async {
        let close = Element::new("close", ns::FRAMING);
        if send(link, &close).await.is_err() {
            return;
        }
        if wait {
            while let Some(Ok(text)) = link.incoming.next().await {
                if is_close(&text) {
                    break;
                }
            }
        }
        // The other side may be gone already; there is nothing more to do then.
        let _ = link.outgoing.close().await;
    };
    if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
        tracing::debug!("the server did not close the stream in time");
    }
}

fn is_close(text: &str) -> bool {
    xml::parse(text).is_ok_and(|stanza| stanza.is("close", ns::FRAMING))
}
