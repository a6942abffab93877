//! The phone as a service of systemd: says when it is ready, in words what it does, and that it is alive
//! (sd_notify(3)). Without systemd all of it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// Alive is said so many times in the time systemd allows: one or two may be late on a loaded machine.
const PETS_IN_TIME: u32 = 3;

/// What systemd is told.
#[derive(Debug, Default)]
pub struct Service {
    /// systemd, or somebody in its place, listens.
    is_heard: bool,
    /// Time after which a phone that did not say that it is alive is killed.
    watchdog: Option<Duration>,
    /// The last words.
    said: String,
}

impl Service {
    /// As this process was started: `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment.
    pub fn of_this_process() -> Self {
        Self {
            is_heard: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: sd_notify::watchdog_enabled(),
            said: String::new(),
        }
    }

    /// Anybody listens.
    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    /// How often [`Service::pet`] is to be called, if at all.
    pub fn pet_every(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / PETS_IN_TIME)
    }

    /// The phone is set up: `READY=1`.
    pub fn ready(&self) {
        self.tell(NotifyState::Ready);
    }

    /// What the phone does now, for `systemctl status`. Nothing private: the journal keeps it.
    pub fn status(&mut self, words: &str) {
        if self.said != words {
            words.clone_into(&mut self.said);
            self.tell(NotifyState::Status(words));
        }
    }

    /// The phone is alive: `WATCHDOG=1`.
    pub fn pet(&self) {
        self.tell(NotifyState::Watchdog);
    }

    /// The phone stops as it was told.
    pub fn stopping(&self) {
        self.tell(NotifyState::Stopping);
    }

    fn tell(&self, what: NotifyState) {
        if self.is_heard
            && let Err(error) = sd_notify::notify(&[what])
        {
            // Once lost, a word is not said again: systemd restarts a phone it has not heard.
            tracing::warn!(%error, "systemd cannot be told");
        }
    }
}

/// How long this process has existed, by the kernel's books (proc_pid_stat(5)), to 10 ms.
pub fn age() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    age_from(&stat, &uptime)
}

fn age_from(stat: &str, uptime: &str) -> Option<Duration> {
    // The program's name is in parentheses and may hold anything; field 22 is the 20th after it, in hundredths of
    // a second (USER_HZ is 100 on every machine the phone runs on).
    let (_, fields) = stat.rsplit_once(')')?;
    let started: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let up = seconds.parse::<u64>().ok()?.checked_mul(100)? + hundredths.parse::<u64>().ok()?;
    Some(Duration::from_millis(up.checked_sub(started)? * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_age() {
        assert!(age().is_some_and(|age| age < Duration::from_hours(1)));
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 1 1 0 0 20 0 9 0 4321 0 0";
        for (stat, uptime, expected) in [
            (stat, "44.00 80.1", Some(790)),
            (stat, "43.21 1", Some(0)),
            // A clock that runs backwards.
            (stat, "43.20 1", None),
            ("7 (a) S 1", "44.00 80.1", None),
            (stat, "", None),
            (stat, "x.y", None),
            ("", "44.00", None),
        ] {
            assert_eq!(
                age_from(stat, uptime),
                expected.map(Duration::from_millis),
                "{stat} {uptime}"
            );
        }
    }

    #[test]
    fn without_systemd_nothing_is_said() {
        let mut service = Service::default();
        assert_eq!((service.pet_every(), service.is_heard()), (None, false));
        service.ready();
        service.status("Ready for calls");
        service.pet();
        service.stopping();
    }
}
