//! The audio thread's wake-ups as a steady clock.

use offhook_hal::audio::PERIOD;
use std::time::{Duration, Instant};

/// A difference beyond which the device has stood still, and the clock is set anew.
const STEP: Duration = Duration::from_millis(40);
/// The part of each difference that is followed: the time constant is 16 periods. The scheduler's noise is
/// averaged out, the device's drift (parts per million) is followed.
const FOLLOW: u32 = 16;

/// Turns the instants at which periods really were processed into ones 10 ms apart.
///
/// The device is the clock: a period that was processed late because another thread ran is not a later period.
#[derive(Debug, Default)]
pub struct SteadyClock {
    last: Option<Instant>,
}

impl SteadyClock {
    /// The next period's time, from when the thread really woke for it.
    pub fn tick(&mut self, now: Instant) -> Instant {
        let steady = match self.last.map(|last| last + PERIOD) {
            None => now,
            Some(expected) if now >= expected => {
                let late = now - expected;
                if late > STEP {
                    now
                } else {
                    expected + late / FOLLOW
                }
            }
            Some(expected) => {
                let early = expected - now;
                if early > STEP {
                    now
                } else {
                    expected.checked_sub(early / FOLLOW).unwrap_or(now)
                }
            }
        };
        self.last = Some(steady);
        steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evens_out_a_late_wake_up_and_follows_a_stop() {
        let mut clock = SteadyClock::default();
        let base = Instant::now();
        assert_eq!(clock.tick(base), base);
        let late = clock.tick(base + PERIOD + Duration::from_millis(8));
        assert_eq!(late, base + PERIOD + Duration::from_micros(500));
        let stopped = base + Duration::from_secs(5);
        assert_eq!(clock.tick(stopped), stopped);
        let mut now = stopped;
        let mut steady = stopped;
        for _ in 0..1000 {
            now += Duration::from_micros(10_002); // 200 ppm slow
            steady = clock.tick(now);
        }
        assert!(
            now - steady < Duration::from_micros(100),
            "{:?}",
            now - steady
        );
    }
}
