//! When to connect again (genesys-protocol 3.6). Pure: time is an argument.

use std::time::{Duration, Instant};

/// Least start of a series.
const MIN_START: Duration = Duration::from_secs(2);
/// Longest exponential wait.
const MAX_WAIT: Duration = Duration::from_secs(90);
/// What the first failure makes of a remembered delay of zero.
const MIN_REMEMBERED: Duration = Duration::from_secs(4);
/// The remembered delay is forgotten this long after the last failure. So it need not grow further either.
const FORGET: Duration = Duration::from_hours(1);
/// After a success the remembered delay halves each time this many times itself has passed.
const HALVING: u32 = 5;

/// Waits of the connect loop: a series of exponential waits for one outage, and a delay remembered across outages so
/// that a flapping connection is tried less often.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    remembered: Duration,
    last_failure: Option<Instant>,
    /// Since when the remembered delay decays: the last success or halving.
    decaying_since: Option<Instant>,
    start: Duration,
    /// Exponential waits taken in this series.
    waits: u32,
    /// Whether any series was begun.
    begun: bool,
}

impl Backoff {
    /// Begins a series. The wait before its first attempt: none for the first series ever.
    pub(crate) fn begin(&mut self, now: Instant) -> Duration {
        self.settle(now);
        self.start = self.remembered.max(MIN_START);
        self.waits = 0;
        if self.begun {
            self.next_wait()
        } else {
            self.begun = true;
            Duration::ZERO
        }
    }

    /// An attempt failed. The wait before the next: what the server named comes on top of the exponential wait, and
    /// then the failure does not count for the remembered delay.
    pub(crate) fn failed(&mut self, now: Instant, retry_after: Option<Duration>) -> Duration {
        self.settle(now);
        self.decaying_since = None;
        self.last_failure = Some(now);
        if retry_after.is_none() {
            self.remembered = (self.remembered * 2).clamp(MIN_REMEMBERED, FORGET);
        }
        self.next_wait() + retry_after.unwrap_or_default()
    }

    /// An attempt succeeded: the remembered delay decays from now on.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        self.settle(now);
        self.decaying_since = Some(now);
    }

    /// `start * 2^n`, capped.
    fn next_wait(&mut self) -> Duration {
        // 2^16 times two seconds is far beyond the cap.
        let wait = self.start * (1 << self.waits.min(16));
        self.waits += 1;
        wait.min(MAX_WAIT)
    }

    /// Applies the decay up to `now`.
    fn settle(&mut self, now: Instant) {
        if self
            .last_failure
            .is_some_and(|failure| now.saturating_duration_since(failure) >= FORGET)
        {
            self.remembered = Duration::ZERO;
        }
        while let Some(since) = self.decaying_since {
            let due = since + self.remembered * HALVING;
            if self.remembered.is_zero() || due > now {
                break;
            }
            self.remembered /= 2;
            if self.remembered < MIN_START {
                self.remembered = Duration::ZERO;
            }
            self.decaying_since = Some(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::{Duration, Instant};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_series_starts_at_once_and_doubles_to_the_cap() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.begin(now), s(0));
        let waits: Vec<u64> = (0..9)
            .map(|_| backoff.failed(now, None).as_secs())
            .collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 90, 90, 90]);
    }

    #[test]
    fn a_reconnect_waits_its_start_first() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.begin(now);
        backoff.succeeded(now);
        assert_eq!(backoff.begin(now), s(2));
        assert_eq!(backoff.failed(now, None), s(4));
        assert_eq!(backoff.failed(now, None), s(8));
    }

    #[test]
    fn failures_are_remembered_in_the_next_series() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.begin(now);
        backoff.failed(now, None); // remembers 4 s
        backoff.failed(now, None); // 8 s
        backoff.succeeded(now);
        assert_eq!(backoff.begin(now), s(8));
        assert_eq!(backoff.failed(now, None), s(16));
    }

    #[test]
    fn a_remembered_delay_halves_every_five_times_itself_until_it_is_nothing() {
        let t0 = Instant::now();
        for (after, expected) in [
            (0, 8),
            (39, 8),
            (40, 4), // 5 * 8 s
            (59, 4),
            (60, 2), // + 5 * 4 s
            (69, 2),
            (70, 2), // + 5 * 2 s: under 2 s becomes 0, and a series starts with at least 2 s
        ] {
            let mut backoff = Backoff::default();
            backoff.begin(t0);
            backoff.failed(t0, None);
            backoff.failed(t0, None);
            backoff.succeeded(t0);
            assert_eq!(backoff.begin(t0 + s(after)), s(expected), "after {after} s");
        }
        let mut backoff = Backoff::default();
        backoff.begin(t0);
        backoff.failed(t0, None);
        backoff.succeeded(t0);
        backoff.begin(t0 + s(31));
        backoff.failed(t0 + s(31), None); // 0 again -> 4 s, not 2 * 1 s
        assert_eq!(backoff.begin(t0 + s(31)), s(4));
    }

    #[test]
    fn an_hour_after_the_last_failure_all_is_forgotten() {
        let t0 = Instant::now();
        let mut backoff = Backoff::default();
        backoff.begin(t0);
        for _ in 0..12 {
            backoff.failed(t0, None);
        }
        assert_eq!(backoff.begin(t0 + s(3599)), s(90));
        assert_eq!(backoff.begin(t0 + s(3600)), s(2));
    }

    #[test]
    fn retry_after_comes_on_top_and_is_not_remembered() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.begin(now);
        assert_eq!(backoff.failed(now, Some(s(30))), s(32));
        assert_eq!(backoff.failed(now, Some(s(30))), s(34));
        backoff.succeeded(now);
        assert_eq!(backoff.begin(now), s(2));
    }

    #[test]
    fn a_thousand_failures_do_no_harm() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        backoff.begin(now);
        for _ in 0..1000 {
            assert!(backoff.failed(now, None) <= s(90));
        }
    }
}
