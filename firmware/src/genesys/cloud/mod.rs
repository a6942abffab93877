//! The handle to the cloud, and the task behind it that keeps the connection up.

mod channel;
mod jobs;
mod outbox;
mod run;

use super::environment::Environment;
use super::id::{Jid, UserId};
use super::login::{self, Login, LoginError};
use super::memory::Memory;
use super::rest::client::Rest;
use super::rest::{RestError, RestReply, RestRequest};
use super::signal::Reply;
use super::stations::{self, StationSummary, StationTrouble, StationWish};
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
#[derive(Clone, Debug, Default)]
pub struct CloudConfig {
    /// A region's base domain ([`super::REGIONS`]) or the URL of a REST host, e.g. `https://127.0.0.1:8443`.
    pub environment: String,
    /// `wss://HOST[:PORT]`, or empty: `wss://streaming.ENV`, or the host of the URL.
    pub streaming: String,
    /// One more trust anchor, or several (PEM).
    pub ca_file: Option<PathBuf>,
    /// JID resource. Kept by the caller for the life of the phone, a UUID: re-invites find the phone by it (3.1).
    pub resource: String,
    /// Where OAuth is served, `http(s)://HOST[:PORT]`, or empty: `https://login.ENV`, or the host of the URL.
    pub login_host: String,
    /// Which station to associate with.
    pub station: StationWish,
    /// What survives a restart.
    pub memory: Memory,
    /// Have the server ping, where it will, instead of the phone (3.5). The SDK's default is off.
    pub server_pings: bool,
    /// Take part in the choice of the one client of the user that rings (7.1); otherwise the phone always rings.
    pub alerting_leader: bool,
    /// Also send IPv6 and mDNS host candidates; off by default as in the SDK (5.3).
    pub ipv6_candidates: bool,
}

impl CloudConfig {
    /// The hosts, or what is wrong with the configuration and what is allowed.
    pub fn hosts(&self) -> Result<Environment, CloudError> {
        Environment::parse(&self.environment, &self.streaming)?.with_login(&self.login_host)
    }
}

/// The connection to the cloud. Cheap to clone; all clones are the same connection.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<Shared>,
    rest: Rest,
    token: TokenSource,
    memory: Memory,
    alerting_leader: bool,
}

/// Between the handles and the task.
struct Shared {
    outbox: Mutex<Outbox>,
    /// Something is in the outbox, or in `associated`.
    wake: Notify,
    full_jid: Mutex<Option<Jid>>,
    /// `id` of the server's last `<open>`.
    connection: Mutex<Option<String>>,
    /// Who is here.
    user: Mutex<Option<UserId>>,
    /// The user has just been associated with this station.
    associated: Mutex<Option<StationSummary>>,
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
        if !Environment::is_known(&config.environment) {
            tracing::warn!(
                environment = config.environment,
                "cloud.environment is no region this phone knows; it is used as it is"
            );
        }
        warn_of_risks(&environment, &token);
        let shared = Arc::new(Shared {
            outbox: Mutex::default(),
            wake: Notify::new(),
            full_jid: Mutex::default(),
            connection: Mutex::default(),
            user: Mutex::default(),
            associated: Mutex::default(),
            stop: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        });
        let rest = Rest::new(Arc::clone(&transport), token.clone());
        let task = run::Task {
            transport,
            rest: rest.clone(),
            token: token.clone(),
            environment,
            resource: config.resource.clone(),
            station: config.station.clone(),
            memory: config.memory.clone(),
            ipv6: config.ipv6_candidates,
            server_pings: config.server_pings,
            alerting_leader: config.alerting_leader,
            shared: Arc::clone(&shared),
            events,
        };
        tokio::spawn(task.run());
        Ok(Self {
            shared,
            rest,
            token,
            memory: config.memory.clone(),
            alerting_leader: config.alerting_leader,
        })
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

    /// The login; an error when the access token comes from a file instead.
    pub fn login(&self) -> Result<&Login, LoginError> {
        self.token.as_login().ok_or(LoginError::TokenFile)
    }

    /// Logs the user out: ends the stream, gives back the station if this phone had associated it, and forgets the
    /// tokens. [`CloudEvent::LoggedOut`] follows; then somebody else may log in. Calls are not ended at the cloud:
    /// that is for `softphone` to do before.
    pub async fn log_out(&self) -> Result<(), LoginError> {
        let login = self.login()?;
        let user = lock(&self.shared.user).clone();
        // First, so that the stream ends before the cloud tells that the station is gone.
        let token = login.forget();
        if let (Ok(Some(token)), Some(user)) = (&token, user) {
            login::give_back(&self.rest, token, &self.memory, &user).await;
        }
        token.map(drop)
    }

    /// The user's WebRTC stations, by name.
    pub async fn stations(&self) -> Result<Vec<StationSummary>, StationTrouble> {
        let user = self.user()?;
        let stations = self.rest.stations_of(&user).await?;
        Ok(stations::summaries(stations, &user))
    }

    /// Associates the user with `station`: the answer to [`CloudEvent::StationChoice`], and "take it again" after
    /// [`StationTrouble::TakenAway`]. Remembered for the user's next login here. [`CloudEvent::StationFetched`] follows.
    pub async fn choose_station(&self, station: &StationSummary) -> Result<(), StationTrouble> {
        let user = self.user()?;
        stations::associate(&self.rest, station).await?;
        self.memory.associated(&user, &station.id);
        *lock(&self.shared.associated) = Some(station.clone());
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Asks the cloud to let this phone ring and no other client of the user (7.1). [`CloudEvent::AlertingLeader`]
    /// follows when it does.
    pub async fn claim_alerting(&self) -> Result<(), CloudError> {
        let connection = lock(&self.shared.connection).clone();
        match connection {
            Some(connection) if self.alerting_leader => Ok(self.rest.claim_alerting(&connection).await?),
            _ => Err(CloudError::Config {
                detail: "the alerting leader is not in use: set cloud.alerting_leader, and wait for the connection"
                    .to_owned(),
            }),
        }
    }

    fn user(&self) -> Result<UserId, StationTrouble> {
        lock(&self.shared.user)
            .clone()
            .ok_or(StationTrouble::NoUser)
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
