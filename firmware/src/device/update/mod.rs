//! Updating: a signed bundle is fetched into the state folder, checked, and installed to the system that does not run,
//! while the phone works. Whatever is wrong, the running system is not touched.
//!
//! The new system is on trial after the restart ([`trial`]); the event loop proves it and then calls [`Updater::accept`].
mod error;
mod parcel;
mod rauc;
pub mod trial;

pub use error::UpdateError;
pub use rauc::{Bundle, Rauc, Systems};

use super::store::Folder;
use bytes::Bytes;
use futures_util::Stream;
use parcel::Parcel;
use rauc::Mark;
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use trial::{Abilities, Record, Trial, Verdict, this_boot};

/// A server that does not take the connection for so long is not there.
const CONNECT: Duration = Duration::from_secs(30);
/// A server that says nothing for so long has gone.
const SILENCE: Duration = Duration::from_mins(1);

/// How often a server may send it on: more is a circle.
const REDIRECTS: usize = 10;

/// How far an update is: `GET /api/v1/update`, and the event `update`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum UpdateState {
    /// There is none.
    #[default]
    Idle,
    /// It is being fetched.
    Downloading {
        /// 0..=100; stays 0 if the server does not say how long it is.
        percent: u8,
    },
    /// Signature, and what it is made for.
    Checking,
    /// It is written to the other system.
    Installing {
        /// 0..=100.
        percent: u8,
        /// Of the new system.
        version: String,
    },
    /// It is installed: the phone restarts at the next idle moment.
    Waiting {
        /// Of the new system.
        version: String,
    },
    /// The device restarts.
    Restarting {
        /// Of the new system.
        version: String,
    },
    /// This is the new system, and it has yet to prove itself.
    Proving {
        /// Of the new system.
        version: String,
    },
    /// This is the new system, and it is good.
    Done {
        /// Of the new system.
        version: String,
    },
    /// Nothing was changed.
    Failed {
        /// What, and what to do.
        message: String,
        /// For the display.
        #[serde(skip)]
        short: &'static str,
    },
    /// The new system did not prove itself: this is the old one again.
    Undone {
        /// Of the new system.
        version: String,
    },
}

impl UpdateState {
    /// Of the new system; empty where it is not known.
    pub fn version(&self) -> &str {
        match self {
            Self::Installing { version, .. }
            | Self::Waiting { version }
            | Self::Restarting { version }
            | Self::Proving { version }
            | Self::Done { version }
            | Self::Undone { version } => version,
            Self::Idle | Self::Downloading { .. } | Self::Checking | Self::Failed { .. } => "",
        }
    }
}

/// Does it all. Clones are one.
#[derive(Clone, Debug)]
pub struct Updater {
    rauc: Rauc,
    folder: PathBuf,
    record: Arc<Record>,
    /// The record that was there at the start, until it is known what came of it.
    found: Arc<Mutex<Option<Trial>>>,
    can: Arc<Mutex<Abilities>>,
    is_busy: Arc<AtomicBool>,
    state: Arc<watch::Sender<UpdateState>>,
    http: reqwest::Client,
}

impl Updater {
    /// Keeps its files in `folder`; `tls` says whom it trusts. The error says why HTTP cannot be set up.
    pub fn new(
        rauc: Rauc,
        folder: impl Into<Folder>,
        tls: rustls::ClientConfig,
    ) -> Result<Self, String> {
        let folder = folder.into();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .user_agent(concat!("offhook/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        // Of a download that the power cut.
        let _ = std::fs::remove_file(folder.path().join("update.raucb"));
        let path = folder.path().into();
        let record = Record::open(folder);
        Ok(Self {
            rauc,
            folder: path,
            found: Arc::new(Mutex::new(record.trial())),
            record: Arc::new(record),
            can: Arc::default(),
            is_busy: Arc::default(),
            state: Arc::new(watch::Sender::default()),
            http,
        })
    }

    /// How far it is.
    pub fn state(&self) -> UpdateState {
        self.state.borrow().clone()
    }

    /// The same, as it changes.
    pub fn states(&self) -> watch::Receiver<UpdateState> {
        self.state.subscribe()
    }

    /// What the phone itself has found out.
    pub fn say(&self, state: UpdateState) {
        self.state.send_if_modified(|last| {
            let is_new = *last != state;
            *last = state;
            is_new
        });
    }

    /// What the phone can do now: a new system that can do less is not kept.
    pub fn note(&self, can: Abilities) {
        *self.can.lock().unwrap_or_else(PoisonError::into_inner) = can;
    }

    /// Takes the turn, of which there is one. Not before it is settled what came of the update before.
    pub fn begin(&self) -> Result<Turn, UpdateError> {
        if self.found().is_some() {
            return Err(UpdateError::Unsettled);
        }
        let is_unsettled = (self.record.trial()).is_some_and(|trial| !trial.is_of(&this_boot()));
        let is_under_way = matches!(
            *self.state.borrow(),
            UpdateState::Waiting { .. }
                | UpdateState::Restarting { .. }
                | UpdateState::Proving { .. }
        );
        if is_unsettled || is_under_way || self.is_busy.swap(true, Ordering::SeqCst) {
            return Err(UpdateError::Busy);
        }
        self.say(UpdateState::Downloading { percent: 0 });
        Ok(Turn {
            updater: self.clone(),
            is_over: false,
        })
    }

    /// What this start of the phone means; an update that came to nothing is forgotten, and the state says so.
    pub async fn verdict(&self) -> Result<Verdict, UpdateError> {
        let systems = self.rauc.status().await?;
        let boot = this_boot();
        // RAUC may have been long: what the record says by now may be of an update that was begun since.
        let found = self.found().clone();
        let verdict = Verdict::of(found, &systems.booted, &boot);
        if let Verdict::Undone(trial) | Verdict::Interrupted(trial) = &verdict
            // RAUC goes on without the phone that asked for it: what it has installed would be taken for a known system.
            && !trial.is_of(&boot)
        {
            // It is still the first that the boot loader would try.
            if matches!(verdict, Verdict::Undone(_))
                && let Err(error) = self.rauc.mark(Mark::OtherBad).await
            {
                tracing::error!(error, "the system that was undone cannot be marked so");
            }
            self.forget_trial();
        }
        if let Some(state) = verdict.state() {
            self.say(state);
        }
        *self.found() = None;
        Ok(verdict)
    }

    fn found(&self) -> MutexGuard<'_, Option<Trial>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running system is no good: the next start is the other's. Without this it is as well, after more attempts.
    pub async fn give_up(&self) {
        if let Err(error) = self.rauc.mark(Mark::RunningBad).await {
            tracing::error!(error, "this system cannot be marked bad");
        }
    }

    /// The running system is good. `was_on_trial`: the record is its own, and not that of an update installed since.
    pub async fn accept(&self, was_on_trial: bool) -> Result<(), String> {
        self.rauc.mark(Mark::RunningGood).await?;
        if was_on_trial {
            self.forget_trial();
        }
        Ok(())
    }

    fn forget_trial(&self) {
        if let Err(error) = self.record.clear() {
            tracing::error!(%error, "the record of the update cannot be removed");
        }
    }

    async fn fetch(&self, url: &str) -> Result<(), UpdateError> {
        if !["http://", "https://"].iter().any(|s| url.starts_with(s)) {
            return Err(UpdateError::Address);
        }
        let unreachable = |error: &reqwest::Error| UpdateError::Unreachable {
            detail: causes(error),
        };
        let response = self
            .http
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(|error| unreachable(&error))?;
        self.take(response.content_length(), response.bytes_stream())
            .await
    }

    async fn take<E: Display>(
        &self,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), UpdateError> {
        // First, so that nobody sends half a gigabyte for nothing.
        let systems = self.rauc.status().await?;
        let progress = |percent| self.say(UpdateState::Downloading { percent });
        let parcel = Parcel::receive(&self.folder, length, body, progress).await?;
        self.say(UpdateState::Checking);
        let bundle = self.rauc.info(parcel.path()).await?;
        if bundle.compatible != systems.compatible {
            return Err(UpdateError::WrongBoard {
                made_for: bundle.compatible,
                phone: systems.compatible,
            });
        }
        let version = bundle.version.unwrap_or_default();
        self.write(parcel.path(), &systems, &version).await?;
        tracing::info!(version, "installed; it waits for an idle moment");
        self.say(UpdateState::Waiting { version });
        Ok(())
    }

    /// The record comes first: should the power go while the boot loader is told, the new system knows that it is new.
    async fn write(
        &self,
        bundle: &Path,
        systems: &Systems,
        version: &str,
    ) -> Result<(), UpdateError> {
        let trial = |is_installed| Trial {
            from: systems.booted.clone(),
            version: version.to_owned(),
            is_installed,
            boot: this_boot(),
            could: *self.can.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let unkept = |error: std::io::Error| UpdateError::State {
            folder: self.folder.clone(),
            detail: error.to_string(),
        };
        self.record.set(trial(false)).map_err(unkept)?;
        let progress = |percent| {
            self.say(UpdateState::Installing {
                percent,
                version: version.to_owned(),
            });
        };
        if let Err(error) = self.rauc.install(bundle, progress).await {
            if !matches!(error, UpdateError::TooLong { .. }) {
                self.forget_trial();
            }
            return Err(error);
        }
        self.record.set(trial(true)).map_err(unkept)
    }
}

/// One update at a time. Whoever asked for it may go away in the middle: dropped then, it says so.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    updater: Updater,
    is_over: bool,
}

impl Turn {
    /// Fetches `url` and installs it. Progress and outcome are told by [`Updater::states`] too.
    pub async fn install_from(mut self, url: &str) -> Result<(), UpdateError> {
        let result = self.updater.fetch(url).await;
        self.end(result)
    }

    /// Takes a bundle of `length` bytes, if that is known, from `body` and installs it.
    pub async fn install<E: Display>(
        mut self,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(), UpdateError> {
        let result = self.updater.take(length, body).await;
        self.end(result)
    }

    fn end(&mut self, result: Result<(), UpdateError>) -> Result<(), UpdateError> {
        self.is_over = true;
        if let Err(error) = &result {
            tracing::error!(%error, "no update");
            self.updater.say(UpdateState::Failed {
                message: error.to_string(),
                short: error.short(),
            });
        }
        result
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.updater.say(UpdateState::Failed {
                message: "whoever asked for the update went away before it was installed".into(),
                short: "It broke off, try again",
            });
        }
        self.updater.is_busy.store(false, Ordering::SeqCst);
    }
}

/// Goes where the server sends it, but not out of the connection that whoever gave the address wanted.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let was_safe = attempt.previous().iter().any(|url| url.scheme() == "https");
    if was_safe && attempt.url().scheme() != "https" {
        return attempt.error("the server sends it on over plain http");
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("the server sends it on without end");
    }
    attempt.follow()
}

/// The words of an error and of what caused it, without the address: it may hold a key.
fn causes(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    if let Some(status) = error.status() {
        return format!("the server says {status}");
    }
    let mut text = "no connection".to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
