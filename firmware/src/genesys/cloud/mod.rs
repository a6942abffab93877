//! The handle to the cloud, and the task behind it that keeps the connection up.

mod channel;
mod outbox;
mod run;

use super::environment::Environment;
use super::id::Jid;
use super::rest::client::Rest;
use super::rest::{RestError, RestReply, RestRequest};
use super::signal::Reply;
use super::token::TokenSource;
use super::transport::{Network, Transport};
use super::{CloudError, CloudEvent};
use outbox::Outbox;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// A clean end must not hold up the end of the program.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the cloud is and who we are to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudConfig {
    /// A region's base domain ([`super::REGIONS`]) or the URL of a REST host, e.g. `https://127.0.0.1:8443`.
    pub environment: String,
    /// `wss://HOST[:PORT]`, or empty: `wss://streaming.ENV`, or the host of the URL.
    pub streaming: String,
    /// One more trust anchor, or several (PEM).
    pub ca_file: Option<PathBuf>,
    /// JID resource. Kept by the caller for the life of the phone, a UUID: re-invites find the phone by it (3.1).
    pub resource: String,
    /// Also send IPv6 and mDNS host candidates; off by default as in the SDK (5.3).
    pub ipv6_candidates: bool,
}

impl CloudConfig {
    /// The hosts, or what is wrong with the configuration and what is allowed.
    pub fn hosts(&self) -> Result<Environment, CloudError> {
        Environment::parse(&self.environment, &self.streaming)
    }
}

/// The connection to the cloud. Cheap to clone; all clones are the same connection.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<Shared>,
    rest: Rest,
}

/// Between the handles and the task.
struct Shared {
    outbox: Mutex<Outbox>,
    /// Something is in the outbox.
    wake: Notify,
    full_jid: Mutex<Option<Jid>>,
    stop: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
}

impl Shared {
    /// Returns when the phone shuts down.
    async fn stopping(&self) {
        // An error means that the sender is gone, and this structure owns it.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

impl Cloud {
    /// Starts the connection task, which connects, reports and reconnects by itself until [`Cloud::shutdown`] or
    /// until nobody receives `events` any more. Must be called inside a tokio runtime.
    ///
    /// Fails only for what no waiting can heal: a bad configuration, a CA file that cannot be read. Everything else,
    /// a refused token too, comes as [`CloudEvent::Failed`].
    pub fn start(
        config: &CloudConfig,
        token: TokenSource,
        events: mpsc::Sender<CloudEvent>,
    ) -> Result<Self, CloudError> {
        let network = Arc::new(Network::new(config)?);
        Self::start_over(network, config, token, events)
    }

    /// The same over any network.
    pub(crate) fn start_over(
        transport: Arc<dyn Transport>,
        config: &CloudConfig,
        token: TokenSource,
        events: mpsc::Sender<CloudEvent>,
    ) -> Result<Self, CloudError> {
        let environment = config.hosts()?;
        if config.resource.trim().is_empty() {
            return Err(CloudError::Config {
                detail: "the phone has no stable JID resource: check that the state folder can be written"
                    .to_owned(),
            });
        }
        warn_of_risks(&environment, &token);
        let shared = Arc::new(Shared {
            outbox: Mutex::default(),
            wake: Notify::new(),
            full_jid: Mutex::default(),
            stop: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        });
        let rest = Rest::new(Arc::clone(&transport), token.clone());
        let task = run::Task {
            transport,
            rest: rest.clone(),
            token,
            environment,
            resource: config.resource.clone(),
            ipv6: config.ipv6_candidates,
            shared: Arc::clone(&shared),
            events,
        };
        tokio::spawn(task.run());
        Ok(Self { shared, rest })
    }

    /// Makes a REST request: 30 s time limit, no retry (2.1), except once with the new token when the token file was
    /// replaced. Works whether streaming is up or not.
    pub async fn rest(&self, request: RestRequest) -> Result<RestReply, RestError> {
        self.rest.request(&request).await
    }

    /// Sends a reply; never blocks and keeps the order.
    ///
    /// While the stream is down up to 128 replies are held for the reconnect: calls survive a drop. Then those
    /// younger than 60 s are sent, and every [`Reply::Terminate`]; a terminate whose confirmation was lost with the
    /// connection is sent again. A full queue gives up candidates first and terminates last.
    pub fn signal(&self, reply: Reply) {
        lock(&self.shared.outbox).push(now(), reply);
        self.shared.wake.notify_one();
    }

    /// Own address with resource, as the server bound it last; `None` before the first connection.
    pub fn full_jid(&self) -> Option<Jid> {
        lock(&self.shared.full_jid).clone()
    }

    /// Closes the stream cleanly and ends the task. Returns when that is done, or after 5 s.
    pub async fn shutdown(&self) {
        self.shared.stop.send_replace(true);
        let mut stopped = self.shared.stopped.subscribe();
        let ended = stopped.wait_for(|stopped| *stopped);
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the connection to the cloud did not close in time");
        }
    }
}

fn warn_of_risks(environment: &Environment, token: &TokenSource) {
    if token.is_exposed() {
        tracing::warn!(
            "other users of this machine can read the access token file: make it mode 0600"
        );
    }
    for endpoint in [environment.api_endpoint(), environment.streaming_endpoint()] {
        if !endpoint.tls && !endpoint.is_loopback() {
            tracing::warn!(
                host = endpoint.host,
                "the connection is not encrypted: anybody on the way can read the access token"
            );
        }
    }
}

/// The guarded values are replaced whole, so a panic elsewhere cannot have left one half written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tokio's clock, which tests can stop.
fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
