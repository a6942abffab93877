//! Updates, as far as the running phone has to do with them: an idle moment to restart in, the proof that a new system
//! is good, and words for display and API.

use super::{Runtime, RuntimeError, Wake};
use crate::device::config::Config;
use crate::device::store::Folder;
use crate::device::update::trial::Verdict;
use crate::device::update::{Rauc, UpdateError, UpdateState, Updater};
use crate::genesys;
use crate::phone::{Notice, NoticeArea};
use offhook_hal::HookState;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the phone is looked at while it waits for something of the kind below.
const LOOK: Duration = Duration::from_secs(2);
/// No call and the handset down for so long: nobody is about to call again.
const QUIET: Duration = Duration::from_secs(20);
/// A known system's phone is marked good after so long: it runs, and a cloud out of order is none of its faults.
const SETTLE: Duration = Duration::from_secs(20);
/// A new system without a network is believed if its own parts have worked for so long.
const SELF_TEST: Duration = Duration::from_secs(30);
/// A new system that has not proved itself by then is given up. The cloud's longest pause between two attempts fits in
/// twice; `offhook-judge.timer` comes later.
const TRIAL: Duration = Duration::from_mins(10);
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
}

/// What the phone is now, as far as updates have to know.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    is_in_use: bool,
    is_connected: bool,
    /// Keys and sound work.
    self_test: bool,
    /// Nobody is logged in: there is nothing to connect for.
    is_logged_out: bool,
    has_network: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    Accept,
    Restart,
    EndNotice,
}

/// Whether the running system has proved itself.
#[derive(Debug, Default)]
enum Proof {
    /// Not to be proved: there is no second system, or it has been.
    #[default]
    Done,
    /// The system of before.
    Settling { until: Instant },
    /// A new one.
    Trial {
        until: Instant,
        steady_since: Option<Instant>,
    },
}

/// Whether the device is to be restarted.
#[derive(Debug, Default)]
enum Restart {
    #[default]
    No,
    /// At the next idle moment; since when nobody uses the phone.
    WhenIdle { quiet_since: Option<Instant> },
}

/// The waiting.
#[derive(Debug, Default)]
pub(super) struct Waits {
    proof: Proof,
    restart: Restart,
    notice_until: Option<Instant>,
    next_look: Option<Instant>,
}

impl Waits {
    pub fn next_timeout(&self) -> Option<Instant> {
        self.next_look
    }

    fn is_waiting(&self) -> bool {
        !matches!(self.restart, Restart::No)
            || self.notice_until.is_some()
            || !matches!(self.proof, Proof::Done)
    }

    /// One deed at a time; the others come at the next look.
    fn look(&mut self, now: Instant, facts: Facts) -> Deed {
        let deed = self.judge(now, facts);
        self.next_look = self.is_waiting().then(|| now + LOOK);
        deed
    }

    fn judge(&mut self, now: Instant, facts: Facts) -> Deed {
        if self.notice_until.is_some_and(|until| now >= until) {
            self.notice_until = None;
            return Deed::EndNotice;
        }
        match &mut self.proof {
            Proof::Settling { until } if now >= *until => {
                self.proof = Proof::Done;
                return Deed::Accept;
            }
            Proof::Trial {
                until,
                steady_since,
            } => {
                // Without the cloud only what can be seen without it counts; a network that leads to no cloud may be
                // the new system's own fault.
                let believed = facts.self_test && (facts.is_logged_out || !facts.has_network);
                let since = *steady_since.get_or_insert(now);
                if !believed {
                    *steady_since = None;
                }
                if facts.is_connected || (believed && now - since >= SELF_TEST) {
                    self.proof = Proof::Done;
                    return Deed::Accept;
                }
                if now >= *until && !facts.is_in_use {
                    self.proof = Proof::Done;
                    return Deed::Restart;
                }
            }
            Proof::Done | Proof::Settling { .. } => {}
        }
        if let Restart::WhenIdle { quiet_since } = &mut self.restart {
            if facts.is_in_use {
                *quiet_since = None;
            } else if now - *quiet_since.get_or_insert(now) >= QUIET {
                self.restart = Restart::No;
                return Deed::Restart;
            }
        }
        Deed::Nothing
    }
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
                self.updater.say(UpdateState::Waiting { version });
            }
            Verdict::OnTrial(trial) => {
                let version = trial.version;
                tracing::info!(version, "this is a new system, which has to prove itself");
                self.waits.proof = Proof::Trial {
                    until: now + TRIAL,
                    steady_since: None,
                };
                self.updater.say(UpdateState::Proving { version });
            }
            Verdict::Undone(trial) => {
                let version = trial.version;
                tracing::error!(
                    version,
                    "the new system did not prove itself and was undone"
                );
                self.updater.say(UpdateState::Undone { version });
            }
            Verdict::Interrupted(trial) => {
                tracing::warn!(version = trial.version, "an update was interrupted");
                self.updater.say(UpdateState::Failed {
                    message:
                        "the phone was restarted before the update was installed; start it again"
                            .into(),
                    short: "It broke off, try again",
                });
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
            is_in_use: self.softphone.calls().next().is_some()
                || self.phone.is_dialing()
                || self.phone.hook() != HookState::Resting,
            is_connected: self.connected,
            self_test: !self.phone.is_in_trouble(NoticeArea::Keys)
                && !self.phone.is_in_trouble(NoticeArea::Sound),
            is_logged_out: self.login_status().state == "needed",
            has_network: has_network(),
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
            Deed::Restart => self.restart_device(),
        }
    }

    fn restart_device(&mut self) {
        let version = match self.updater.state() {
            UpdateState::Waiting { version } => version,
            UpdateState::Proving { version } => {
                tracing::error!(version, "the new system did not prove itself: giving it up");
                version
            }
            _ => String::new(),
        };
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

/// There is a way out of this machine. Nothing is sent: the kernel only looks for a route (RFC 5737 and 3849 keep the
/// addresses free).
pub(super) fn has_network() -> bool {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .any(|(from, to)| UdpSocket::bind(from).is_ok_and(|socket| socket.connect(to).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USED: Facts = Facts {
        is_in_use: true,
        is_connected: false,
        self_test: true,
        is_logged_out: false,
        has_network: true,
    };
    const IDLE: Facts = Facts {
        is_in_use: false,
        ..USED
    };

    /// Looks every two seconds; the seconds and the deeds.
    fn deeds(mut waits: Waits, facts: impl Fn(u64) -> Facts) -> Vec<(u64, Deed)> {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let later = |wait: &mut Instant| *wait = start + (*wait - Instant::now());
        match &mut waits.proof {
            Proof::Settling { until } | Proof::Trial { until, .. } => later(until),
            Proof::Done => {}
        }
        (0..800)
            .step_by(2)
            .map(|second| (second, waits.look(at(second), facts(second))))
            .filter(|(_, deed)| *deed != Deed::Nothing)
            .collect()
    }

    fn in_secs(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn trial() -> Waits {
        Waits {
            proof: Proof::Trial {
                until: in_secs(600),
                steady_since: None,
            },
            ..Waits::default()
        }
    }

    fn near(found: &[(u64, Deed)], expected: &[(u64, Deed)]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((at, deed), (time, due)) in found.iter().zip(expected) {
            assert!(deed == due && at.abs_diff(*time) <= 2, "{found:?}");
        }
    }

    #[test]
    fn a_restart_waits_until_nobody_has_used_the_phone_for_a_while() {
        let waiting = || Waits {
            restart: Restart::WhenIdle { quiet_since: None },
            ..Waits::default()
        };
        near(&deeds(waiting(), |_| IDLE), &[(20, Deed::Restart)]);
        near(&deeds(waiting(), |_| USED), &[]);
        let busy = |second| {
            if (10..100).contains(&second) {
                USED
            } else {
                IDLE
            }
        };
        near(&deeds(waiting(), busy), &[(120, Deed::Restart)]);
    }

    #[test]
    fn the_system_of_before_is_good_once_it_has_settled_whatever_the_cloud_does() {
        let settling = Waits {
            proof: Proof::Settling { until: in_secs(20) },
            ..Waits::default()
        };
        near(&deeds(settling, |_| IDLE), &[(20, Deed::Accept)]);
    }

    #[test]
    fn a_new_system_is_good_when_it_reaches_the_cloud() {
        let connected = |second| Facts {
            is_connected: second >= 30,
            ..IDLE
        };
        near(&deeds(trial(), connected), &[(30, Deed::Accept)]);
    }

    #[test]
    fn without_a_network_or_a_login_its_own_parts_have_to_do() {
        let alone = |_| Facts {
            has_network: false,
            ..IDLE
        };
        near(&deeds(trial(), alone), &[(30, Deed::Accept)]);
        let logged_out = |_| Facts {
            is_logged_out: true,
            ..IDLE
        };
        near(&deeds(trial(), logged_out), &[(30, Deed::Accept)]);
        let unsteady = |second| Facts {
            has_network: false,
            self_test: second % 20 != 0,
            ..IDLE
        };
        near(&deeds(trial(), unsteady), &[(600, Deed::Restart)]);
    }

    /// Otherwise a phone that cannot reach the cloud any more would be kept.
    #[test]
    fn a_new_system_that_proves_nothing_is_given_up_but_not_in_a_call() {
        near(&deeds(trial(), |_| IDLE), &[(600, Deed::Restart)]);
        let busy = |second| if second < 700 { USED } else { IDLE };
        near(&deeds(trial(), busy), &[(700, Deed::Restart)]);
    }

    #[test]
    fn a_notice_ends() {
        let told = Waits {
            notice_until: Some(Instant::now()),
            ..Waits::default()
        };
        near(&deeds(told, |_| IDLE), &[(0, Deed::EndNotice)]);
    }
}
