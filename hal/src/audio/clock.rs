//! A clock of 10 ms periods that does not drift.

use std::time::{Duration, Instant};

use super::PERIOD;

/// Periods a virtual device may be behind before it gives up on them, as a card with a buffer of
/// this size would: 200 ms, because a busy build machine is no sound card's interrupt.
pub(super) const SLACK_PERIODS: u32 = 20;

/// Tells when each period is over, counted from one start on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeriodClock {
    /// When the next period is over.
    next: Instant,
}

/// What [`PeriodClock::advance`] decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tick {
    /// The period is over after this long.
    Wait(Duration),
    /// It has been over for this long.
    Late(Duration),
    /// It was over for so long that the clock starts anew.
    Lost,
}

impl PeriodClock {
    /// The first period starts at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + PERIOD }
    }

    /// Goes on to the next period, and tells how the one before stands at `now`.
    pub(super) fn advance(&mut self, now: Instant) -> Tick {
        let due = self.next;
        let late = now.saturating_duration_since(due);
        if late > PERIOD * SLACK_PERIODS {
            self.next = now + PERIOD;
            return Tick::Lost;
        }
        self.next = due + PERIOD;
        if late > Duration::ZERO {
            Tick::Late(late)
        } else {
            Tick::Wait(due - now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_caller_catches_up_without_drift() {
        let start = Instant::now();
        let mut clock = PeriodClock::new(start);
        let ms = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(clock.advance(ms(0)), Tick::Wait(Duration::from_millis(10)));
        assert_eq!(clock.advance(ms(13)), Tick::Wait(Duration::from_millis(7)));
        assert_eq!(clock.advance(ms(45)), Tick::Late(Duration::from_millis(15)));
        assert_eq!(clock.advance(ms(45)), Tick::Late(Duration::from_millis(5)));
        assert_eq!(clock.advance(ms(46)), Tick::Wait(Duration::from_millis(4)));
    }

    #[test]
    fn a_caller_that_slept_starts_anew() {
        let start = Instant::now();
        let mut clock = PeriodClock::new(start);
        assert_eq!(
            clock.advance(start + Duration::from_millis(210)),
            Tick::Late(Duration::from_millis(200))
        );
        assert_eq!(clock.advance(start + Duration::from_hours(1)), Tick::Lost);
        assert_eq!(
            clock.advance(start + Duration::from_hours(1)),
            Tick::Wait(PERIOD)
        );
    }
}
