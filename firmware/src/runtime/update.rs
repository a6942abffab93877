//! Updates, as far as the running phone has to do with them: what it waits for ([`super::waits`]), and words for display
//! and API.

use super::network::is_unplugged;
use super::waits::{Deed, Facts, Proof, Restart, SETTLE, TRIAL};
use super::{Runtime, RuntimeError, Wake};
use crate::device::config::Config;
use crate::device::store::Folder;
use crate::device::update::trial::{Abilities, Verdict};
use crate::device::update::{Rauc, UpdateError, UpdateState, Updater};
use crate::genesys::{self, LoginNeed, LoginState};
use crate::phone::{Notice, NoticeArea};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often RAUC is asked again what this start is, and after how long: within what a system on trial has.
const VERDICT_TRIES: usize = 8;
const VERDICT_RETRY: Duration = Duration::from_secs(30);
/// How long the display tells of an update that was refused or undone.
const TOLD: Duration = Duration::from_mins(1);

/// What comes from the tasks.
#[derive(Debug)]
pub(super) enum UpdateEvent {
    /// The updater is somewhere else now.
    Changed(UpdateState),
    /// What this start is.
    Started(Result<Verdict, UpdateError>),
    /// Marked good, or not.
    Accepted(Result<(), String>),
    /// Marked bad, as far as that was possible.
    GivenUp,
}

pub(super) fn start_updater(
    config: &Config,
    state: &Folder,
    wake: &mpsc::Sender<Wake>,
) -> Result<Updater, RuntimeError> {
    let ca_file = Some(&config.cloud.ca_file).filter(|file| !file.is_empty());
    let tls = genesys::tls_config(ca_file.map(std::path::Path::new))?;
    let rauc = Rauc::new(&config.update.rauc);
    let updater = Updater::new(rauc, state, tls).map_err(RuntimeError::Update)?;
    let (mut states, changed) = (updater.states(), wake.clone());
    tokio::spawn(async move {
        while states.changed().await.is_ok() {
            let state = states.borrow_and_update().clone();
            let event = Wake::Update(UpdateEvent::Changed(state));
            if changed.send(event).await.is_err() {
                return;
            }
        }
    });
    let (judged, wake) = (updater.clone(), wake.clone());
    tokio::spawn(async move {
        let mut verdict = judged.verdict().await;
        // RAUC may be busy or late: a new system that is not judged would be taken back.
        for _ in 0..VERDICT_TRIES {
            if verdict.is_ok() {
                break;
            }
            tokio::time::sleep(VERDICT_RETRY).await;
            verdict = judged.verdict().await;
        }
        // The phone is stopping.
        let _ = wake.send(Wake::Update(UpdateEvent::Started(verdict))).await;
    });
    Ok(updater)
}

impl Runtime {
    pub(super) fn update_event(&mut self, now: Instant, event: UpdateEvent) {
        match event {
            UpdateEvent::Changed(state) => {
                self.events.publish("update", &state);
                self.show_update(now, &state);
            }
            UpdateEvent::Started(Err(error)) => tracing::debug!(%error, "no updates here"),
            UpdateEvent::Started(Ok(verdict)) => self.judge_start(now, verdict),
            UpdateEvent::Accepted(Ok(())) => {
                tracing::info!("this system is marked good");
                if let UpdateState::Proving { version } = self.updater.state() {
                    self.updater.say(UpdateState::Done { version });
                }
            }
            UpdateEvent::GivenUp => self.restart_device(),
            UpdateEvent::Accepted(Err(error)) => {
                tracing::error!(error, "this system cannot be marked good; trying again");
                self.waits.proof = Proof::Settling {
                    until: now + SETTLE,
                };
            }
        }
        self.look_at_update(now);
    }

    fn judge_start(&mut self, now: Instant, verdict: Verdict) {
        self.waits.proof = Proof::Settling {
            until: now + SETTLE,
        };
        match verdict {
            Verdict::None => {}
            Verdict::Waiting(trial) => {
                let version = trial.version;
                tracing::info!(version, "the update still waits for an idle moment");
            }
            Verdict::OnTrial(trial) => {
                let version = trial.version;
                tracing::info!(version, "this is a new system, which has to prove itself");
                self.waits.proof = Proof::Trial {
                    could: trial.could,
                    until: now + TRIAL,
                    steady_since: None,
                };
            }
            Verdict::Undone(trial) => {
                let version = trial.version;
                tracing::error!(
                    version,
                    "the new system did not prove itself and was undone"
                );
            }
            Verdict::Interrupted(trial) => {
                tracing::warn!(version = trial.version, "an update was interrupted");
            }
        }
    }

    fn show_update(&mut self, now: Instant, state: &UpdateState) {
        self.waits.notice_until = None;
        let notice = match state {
            UpdateState::Idle | UpdateState::Proving { .. } | UpdateState::Done { .. } => {
                self.notice_over(NoticeArea::Update);
                return;
            }
            UpdateState::Downloading { percent } => Notice::Updating {
                percent: percent / 2,
            },
            UpdateState::Checking => Notice::Updating { percent: 50 },
            UpdateState::Installing { percent, .. } => Notice::Updating {
                percent: 50 + percent / 2,
            },
            UpdateState::Waiting { .. } => {
                self.waits.restart = Restart::WhenIdle { quiet_since: None };
                Notice::UpdateWaiting
            }
            UpdateState::Restarting { .. } => Notice::UpdateWaiting,
            UpdateState::Failed { short, .. } => {
                self.waits.notice_until = Some(now + TOLD);
                Notice::UpdateFailed { reason: short }
            }
            UpdateState::Undone { .. } => {
                self.waits.notice_until = Some(now + TOLD);
                Notice::UpdateUndone
            }
        };
        self.notice(notice);
    }

    /// At every look, and when something happened.
    pub(super) fn look_at_update(&mut self, now: Instant) {
        if !self.waits.is_waiting() {
            return;
        }
        let facts = Facts {
            is_in_use: self.softphone.calls().next().is_some() || self.phone.is_in_use(),
            can: Abilities {
                cloud: self.connected,
                ..self.abilities()
            },
            keeps_state: !self.phone.is_in_trouble(NoticeArea::State),
            is_unplugged: is_unplugged(),
        };
        match self.waits.look(now, facts) {
            Deed::Nothing => {}
            Deed::EndNotice => self.notice_over(NoticeArea::Update),
            Deed::Accept => {
                let (updater, wake) = (self.updater.clone(), self.wake.clone());
                let was_on_trial = matches!(updater.state(), UpdateState::Proving { .. });
                tokio::spawn(async move {
                    let accepted = updater.accept(was_on_trial).await;
                    // The phone is stopping.
                    let _ = wake
                        .send(Wake::Update(UpdateEvent::Accepted(accepted)))
                        .await;
                });
            }
            Deed::GiveUp => {
                let version = self.updater.state().version().to_owned();
                tracing::error!(version, "the new system did not prove itself: giving it up");
                let (updater, wake) = (self.updater.clone(), self.wake.clone());
                tokio::spawn(async move {
                    updater.give_up().await;
                    // The phone is stopping.
                    let _ = wake.send(Wake::Update(UpdateEvent::GivenUp)).await;
                });
            }
            Deed::Restart => self.restart_device(),
        }
    }

    /// What a new system will have to be able to do. A cloud that is away for a moment does not count: that it was
    /// reached does.
    pub(super) fn abilities(&self) -> Abilities {
        let login = self.cloud.login();
        let is_logged_out = login.is_ok_and(|login| match login.state() {
            LoginState::LoggedIn { .. } | LoginState::Needed(LoginNeed::Expiring { .. }) => false,
            LoginState::Needed(_) => true,
        });
        Abilities {
            cloud: self.was_connected && !is_logged_out,
            keys: !self.phone.is_in_trouble(NoticeArea::Keys),
            sound: !self.phone.is_in_trouble(NoticeArea::Sound),
        }
    }

    fn restart_device(&mut self) {
        let version = self.updater.state().version().to_owned();
        // offhook-restart.path waits for it.
        let asked = match std::env::var_os("RUNTIME_DIRECTORY") {
            Some(folder) => std::fs::write(PathBuf::from(folder).join("restart"), ""),
            None => Err(std::io::Error::other("RUNTIME_DIRECTORY is not set")),
        };
        match asked {
            Ok(()) => self.updater.say(UpdateState::Restarting { version }),
            Err(error) => {
                tracing::error!(%error, "the phone cannot restart the device: do it by hand");
            }
        }
    }
}
