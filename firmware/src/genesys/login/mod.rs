//! Login for a device without a keyboard (genesys-protocol 1.2, 1.4): authorization code, with PKCE or with a client
//! secret, and the tokens that come of it.
//!
//! A person opens the phone's page; [`Login::begin`] gives the address of the cloud's login page; the browser comes back
//! to the phone's page with a code ([`Login::callback`]), or the person pastes where it ended ([`Login::paste`]). From
//! then on [`Login::keep_fresh`] renews the tokens ahead of their end.

mod error;
mod flow;
mod fresh;
mod wire;

use super::cloud::CloudConfig;
use super::id::UserId;
use super::memory::Memory;
use super::rest::client::Rest;
use super::token::TokenSource;
use super::transport::{Network, Transport};
use super::{CloudError, Environment};
use crate::device::Private;
use crate::device::store::{Folder, Store};
pub use error::{LoginError, LoginNeed};
pub(crate) use flow::TokenRequest;
use flow::{Attempt, Client, Returned};
pub(crate) use fresh::Renewal;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;
pub(crate) use wire::REQUEST;

/// Logins under way at once; the oldest gives way. More than one, because two people may try on two screens.
const MAX_ATTEMPTS: usize = 4;
/// A log-out does not wait longer for the cloud.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);
/// File of the state folder.
const FILE: &str = "login.json";

/// Which OAuth client the phone is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginConfig {
    /// The OAuth client's id; empty: nobody can log in here.
    pub client_id: String,
    /// File with its secret; `None`: a public client (PKCE).
    pub client_secret_file: Option<PathBuf>,
    /// Where the cloud sends the browser back, as it is registered with the client; empty: the phone's own page.
    pub redirect_uri: String,
    /// State folder; `None`: nothing survives a restart.
    pub state: Option<Folder>,
}

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginState {
    /// There are tokens.
    LoggedIn {
        /// Whether they renew themselves; otherwise somebody has to log in again at their end.
        renews: bool,
    },
    /// A person must act.
    Needed(LoginNeed),
}

/// The phone's login. Cheap to clone; all clones are the same login.
#[derive(Clone)]
pub struct Login {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Arc<dyn Transport>,
    /// `Err`: why nobody can log in here.
    client: Result<Client, LoginError>,
    redirect_uri: String,
    /// The tokens belong to this place and client only.
    place: String,
    store: Store<Stored>,
    tokens: Mutex<Held>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// Counts logins and log-outs, not refreshes: after a change the user may be another one.
    epoch: watch::Sender<u64>,
    state: watch::Sender<LoginState>,
}

/// In the state folder. `Debug` shows no token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Stored {
    /// Environment and client the tokens are for: they are sent nowhere else.
    place: String,
    access_token: Option<Private>,
    refresh_token: Option<Private>,
    /// Seconds since 1970.
    expires_at: Option<u64>,
    /// Rises with every login and log-out, so that another process notices.
    epoch: u64,
    attempts: Vec<Attempt>,
}

/// The tokens in use.
#[derive(Clone, Debug, Default)]
struct Held {
    access: Option<Private>,
    refresh: Option<Private>,
    expires: Option<Instant>,
    /// When to renew, or to say that somebody must log in again.
    due: Option<Instant>,
    /// The cloud refused the access token.
    refused: bool,
    /// Renewals in a row that did not reach the login host.
    troubles: u32,
}

impl Login {
    /// Reads the stored login; connects nothing yet. A client that cannot log in (no client id, an unreadable secret)
    /// is no error here: what is stored may still work, and [`Login::begin`] says what is wrong.
    pub fn open(cloud: &CloudConfig, login: &LoginConfig) -> Result<Self, CloudError> {
        let network = Arc::new(Network::new(cloud)?);
        Ok(Self::over(network, &cloud.hosts()?, login))
    }

    /// The same over any network.
    pub(crate) fn over(
        transport: Arc<dyn Transport>,
        environment: &Environment,
        config: &LoginConfig,
    ) -> Self {
        let store = config
            .state
            .as_ref()
            .map_or_else(Store::default, |folder| Store::open(folder, FILE));
        let login = Self {
            inner: Arc::new(Inner {
                transport,
                client: client(environment, config),
                redirect_uri: config.redirect_uri.clone(),
                place: format!("{} {}", environment.api_url(""), config.client_id),
                store,
                tokens: Mutex::default(),
                refreshing: tokio::sync::Mutex::default(),
                epoch: watch::Sender::new(0),
                state: watch::Sender::new(LoginState::Needed(LoginNeed::Nobody)),
            }),
        };
        login.take_over(&login.inner.store.value());
        login
    }

    /// Begins a login: the address a browser is to open. `page` is where the phone's own page is for that browser
    /// (`http://phone.local:8321`); the cloud sends the browser back to `page` + `/login/callback`, unless the
    /// configuration names another address.
    ///
    /// The address works for 15 minutes. Logins begun before keep working, four at most.
    pub fn begin(&self, page: &str) -> Result<String, LoginError> {
        let client = self.inner.client.as_ref().map_err(Clone::clone)?;
        let redirect_uri = if self.inner.redirect_uri.is_empty() {
            format!("{}/login/callback", page.trim_end_matches('/'))
        } else {
            self.inner.redirect_uri.clone()
        };
        let now = wall_clock();
        let (attempt, url) = flow::begin(client, &redirect_uri, &random()?, now)?;
        let saved = self.inner.store.update(|stored| {
            stored.attempts.retain(|attempt| attempt.is_alive(now));
            if stored.attempts.len() >= MAX_ATTEMPTS {
                stored.attempts.remove(0);
            }
            stored.attempts.push(attempt);
        });
        if let Err(error) = saved {
            tracing::warn!(%error, "the login that was begun cannot be kept; it will not survive a restart");
        }
        Ok(url)
    }

    /// The browser came back to the phone's page with this query (`code=..&state=..`).
    pub async fn callback(&self, query: &str) -> Result<(), LoginError> {
        let returned = flow::read_query(query)?;
        if returned.state.is_none() {
            return Err(LoginError::Unknown);
        }
        self.finish(returned).await
    }

    /// A person gives the address the browser ended at, or the code alone: for a browser that cannot reach the phone.
    pub async fn paste(&self, text: &str) -> Result<(), LoginError> {
        self.finish(flow::read_pasted(text)?).await
    }

    /// Logs out beside the phone, or without one (`offhook logout`): forgets the tokens, and gives back the station if the
    /// phone had associated the user with it. A running phone notices within seconds.
    pub async fn log_out(&self, memory: &Memory) -> Result<(), LoginError> {
        let rest = Rest::new(
            Arc::clone(&self.inner.transport),
            TokenSource::login(self.clone()),
        );
        let user = tokio::time::timeout(GOODBYE_TIMEOUT, rest.user()).await;
        let token = self.forget()?;
        if let (Ok(Ok(user)), Some(token)) = (user, token) {
            give_back(&rest, &token, memory, &user.id).await;
        }
        Ok(())
    }

    /// Forgets the tokens. The access token that was in use, for saying goodbye to the cloud with.
    pub(crate) fn forget(&self) -> Result<Option<Private>, LoginError> {
        let token = self.tokens().access.clone();
        let saved = self.inner.store.update(|stored| {
            *stored = Stored {
                epoch: stored.epoch + 1,
                ..Stored::default()
            };
        });
        self.changed_hands(LoginNeed::LoggedOut);
        saved.map_err(|error| LoginError::NotSaved {
            detail: error.to_string(),
        })?;
        Ok(token)
    }

    /// How things stand.
    pub fn state(&self) -> LoginState {
        self.inner.state.borrow().clone()
    }

    /// Tells of every change of [`Login::state`].
    pub fn states(&self) -> watch::Receiver<LoginState> {
        self.inner.state.subscribe()
    }

    /// Why nobody can log in here, if so: a missing client id, an unreadable secret.
    pub fn trouble(&self) -> Option<LoginError> {
        self.inner.client.as_ref().err().cloned()
    }

    /// Counts logins and log-outs.
    pub(crate) fn epochs(&self) -> watch::Receiver<u64> {
        self.inner.epoch.subscribe()
    }

    /// The access token, unless a person has to log in first.
    pub(crate) fn current(&self) -> Option<Private> {
        let tokens = self.tokens();
        tokens.access.clone().filter(|_| !tokens.refused)
    }

    async fn finish(&self, returned: Returned) -> Result<(), LoginError> {
        let client = self.inner.client.as_ref().map_err(Clone::clone)?;
        let now = wall_clock();
        // Another process may have begun it.
        self.reread();
        let stored = self.inner.store.value();
        let alive = || stored.attempts.iter().rev().filter(|a| a.is_alive(now));
        let attempt = match &returned.state {
            Some(state) => alive().find(|attempt| attempt.is_answered_by(state)),
            None => alive().next(),
        };
        let attempt = attempt.ok_or(LoginError::Unknown)?;
        let request = flow::exchange(client, attempt, &returned.code);
        let tokens = self.ask(&request).await?;
        tracing::info!(
            renews = tokens.refresh.is_some(),
            life_s = tokens.life.map(|life| life.as_secs()),
            "somebody has logged in"
        );
        let saved = self.inner.store.update(|stored| {
            *stored = Stored {
                place: self.inner.place.clone(),
                epoch: stored.epoch + 1,
                ..Stored::default()
            };
            stored.keep(&tokens, now);
        });
        self.changed_hands(LoginNeed::Nobody);
        saved.map_err(|error| LoginError::NotSaved {
            detail: error.to_string(),
        })
    }

    /// Looks at the state folder: `offhook login` and `offhook logout` run beside the phone.
    pub(crate) fn reread(&self) {
        let before = self.inner.store.value().epoch;
        if !self.inner.store.reread() {
            return;
        }
        let stored = self.inner.store.value();
        if stored.epoch != before {
            self.changed_hands(LoginNeed::LoggedOut);
        } else if stored.access_token != self.tokens().access {
            // `offhook check` has renewed the same login; its refresh token is the newest.
            self.take_over(&stored);
        }
    }

    /// The stored tokens are now others'.
    fn changed_hands(&self, need: LoginNeed) {
        self.take_over(&self.inner.store.value());
        if self.tokens().access.is_none() {
            self.tell(LoginState::Needed(need));
        }
        self.inner.epoch.send_modify(|epoch| *epoch += 1);
    }

    fn take_over(&self, stored: &Stored) {
        let mut held = Held::default();
        if stored.place == self.inner.place && stored.access_token.is_some() {
            held.access.clone_from(&stored.access_token);
            held.refresh.clone_from(&stored.refresh_token);
            let now = wall_clock();
            let left = stored
                .expires_at
                .map(|at| Duration::from_secs(at.saturating_sub(now)));
            held.schedule(left);
        }
        let state = held.access.as_ref().map(|_| held.state());
        *self.tokens() = held;
        if let Some(state) = state {
            self.tell(state);
        }
    }

    fn tell(&self, state: LoginState) {
        self.inner.state.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    fn tokens(&self) -> MutexGuard<'_, Held> {
        // The guarded value is replaced field by field, each whole: a panic elsewhere leaves it usable.
        self.inner
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the association of `user`, if the phone had made it, with a token that is forgotten already.
pub(crate) async fn give_back(rest: &Rest, token: &Private, memory: &Memory, user: &UserId) {
    if memory.give_back(user).is_none() {
        return;
    }
    match tokio::time::timeout(GOODBYE_TIMEOUT, rest.disassociate(token)).await {
        Ok(Ok(())) => tracing::info!("the station was given back"),
        Ok(Err(error)) => tracing::warn!(%error, "the station could not be given back"),
        Err(_) => tracing::warn!("the station could not be given back in time"),
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Stored {
    fn keep(&mut self, tokens: &wire::Tokens, now: u64) {
        self.access_token = Some(tokens.access.clone());
        // A reply without one leaves the old one valid (RFC 6749 6).
        if tokens.refresh.is_some() {
            self.refresh_token.clone_from(&tokens.refresh);
        }
        self.expires_at = tokens.life.map(|life| now.saturating_add(life.as_secs()));
    }
}

/// The client, or why there is none.
fn client(environment: &Environment, config: &LoginConfig) -> Result<Client, LoginError> {
    if config.client_id.trim().is_empty() {
        return Err(LoginError::NotConfigured);
    }
    let secret = config.client_secret_file.as_deref().map(read_secret);
    Ok(Client {
        id: config.client_id.trim().to_owned(),
        secret: secret.transpose()?,
        authorize: environment.login_url("oauth/authorize"),
    })
}

fn read_secret(path: &Path) -> Result<Private, LoginError> {
    let bad = |detail: String| LoginError::Secret {
        path: path.to_owned(),
        detail,
    };
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let secret = text.trim();
    if secret.is_empty() || secret.len() > 1024 || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad("one line of visible ASCII is wanted".to_owned()));
    }
    Ok(Private::new(secret))
}

fn random() -> Result<[u8; flow::RANDOM_BYTES], LoginError> {
    let mut bytes = [0; flow::RANDOM_BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| LoginError::Randomness)?;
    Ok(bytes)
}

/// Seconds since 1970; 0 for a clock before that.
fn wall_clock() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
