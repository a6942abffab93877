//! How long to wait: the target delay, from the arrivals.
//!
//! Packets are looked at once per period only, so what a packet *needs* is the time from its timestamp to the first
//! period that finds it there, reckoned from the quickest packets of the last second. A histogram of the needs, which
//! forgets, gives the delay that is enough for all but a few packets. On a clean network this is just the phase between
//! the far end's packets and our periods; a margin of whole periods on top would be waited in vain.

use crate::audio::ramp::ms;
use offhook_hal::audio::{PERIOD_FRAMES, RATE_HZ};
use std::time::Instant;

/// Width of the histogram's bins: 1 ms. The target is a bin's upper edge, so up to this much above what is needed.
pub const BIN: usize = ms(1);
/// Bins: needs up to 320 ms; what is later counts in the last.
const BINS: usize = 320;
/// The part of the packets that shall come in time.
const QUANTILE: f32 = 0.99;
/// The part that comes in time as a rule.
const USUAL: f32 = 0.9;
/// Time constant of forgetting, samples: 3 s, so that 2 late packets of 20 ms in a row raise the target. What is forgotten
/// sooner moves the target more often, and each move is a stretch that is heard.
const MEMORY: f32 = 3.0 * RATE_HZ as f32;
/// The target falls by at most this part of the time that passes: 20 ms per second. It rises at once.
const FALL: f64 = 0.02;
/// The quickest packet is looked for in this and the last block of half a second: long enough to meet one in any
/// jitter, and so short that a drift of the far end's clock or a longer route is followed, not mistaken for jitter.
const BLOCK: f64 = 0.5 * RATE_HZ as f64;
/// A relative delay beyond this is no delay: the timestamps have jumped, or all that came meanwhile is stale.
const JUMP: f64 = 2.0 * RATE_HZ as f64;
/// A packet that came less than this before a period may come after the next one: half a millisecond, which a drift of
/// 200 parts per million takes 2.5 s to eat.
const CLOSE: f64 = ms(1) as f64 / 2.0;

/// The estimator of one source. Times are samples at 48 kHz.
pub struct DelayEstimator {
    base: Option<Instant>,
    /// Arrival of the latest packet, and of the current block's first.
    last_arrival: f64,
    block_start: f64,
    /// Least arrival minus timestamp, in this block and the one before.
    least: [f64; 2],
    histogram: [f32; BINS],
    weight: f32,
    target: f64,
    usual: f64,
}

impl DelayEstimator {
    pub fn new() -> Self {
        Self {
            base: None,
            last_arrival: 0.0,
            block_start: 0.0,
            least: [f64::INFINITY; 2],
            histogram: [0.0; BINS],
            weight: 0.0,
            target: 0.0,
            usual: 0.0,
        }
    }

    /// Forgets all, for another source.
    pub fn forget(&mut self) {
        *self = Self::new();
    }

    /// Forgets the relation of timestamps to time, and keeps what it knows of the network.
    pub fn restart(&mut self) {
        self.base = None;
        self.last_arrival = 0.0;
        self.block_start = 0.0;
        self.least = [f64::INFINITY; 2];
    }

    /// Learns from a packet that was found at the period of `now`; false if its timestamp does not belong to those
    /// before, and nothing was learnt.
    pub fn learn(
        &mut self,
        arrival: Instant,
        now: Instant,
        timestamp: i64,
        samples: usize,
    ) -> bool {
        let base = *self.base.get_or_insert(arrival);
        let now = samples_between(base, now);
        let arrival = samples_between(base, arrival);
        let delay = arrival - timestamp as f64;
        let least = self.least();
        if least.is_finite() && (delay - least).abs() > JUMP {
            return false;
        }
        let block_age = arrival - self.block_start;
        if block_age > BLOCK {
            let before = if block_age > 2.0 * BLOCK {
                f64::INFINITY
            } else {
                self.least[0]
            };
            self.least = [f64::INFINITY, before];
            self.block_start = arrival;
        }
        self.least[0] = self.least[0].min(delay);
        // Not simply this period: the thread may have been late, or not have looked for a while.
        let period = PERIOD_FRAMES as f64;
        let found = now + ((arrival + CLOSE - now) / period).ceil() * period;
        self.count((found - timestamp as f64 - self.least()) as usize, samples);
        let passed = (arrival - self.last_arrival).max(0.0);
        self.last_arrival = self.last_arrival.max(arrival);
        let fallen = passed * FALL;
        let (usual, target) = self.quantiles();
        self.usual = (usual as f64).max(self.usual - fallen);
        self.target = (target as f64).max(self.target - fallen);
        true
    }

    /// How far behind the quickest packets the playout shall be.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// How far behind the quickest packets nine in ten are there.
    pub fn usual(&self) -> f64 {
        self.usual
    }

    /// How far behind the quickest packets it is, if `timestamp` is played at `now`. 0 before the first packet.
    pub fn delay(&self, now: Instant, timestamp: i64) -> f64 {
        match self.base {
            Some(base) => samples_between(base, now) - timestamp as f64 - self.least(),
            None => 0.0,
        }
    }

    fn least(&self) -> f64 {
        self.least[0].min(self.least[1])
    }

    fn count(&mut self, need: usize, samples: usize) {
        // The first packets count equally: 1, 1/2, 1/3 ...; then forgetting sets in.
        let share = (samples as f32 / MEMORY).clamp(0.0005, 0.05);
        self.weight = (self.weight + 1.0).min(1.0 / share);
        let keep = 1.0 - 1.0 / self.weight;
        for bin in &mut self.histogram {
            *bin *= keep;
        }
        self.histogram[(need / BIN).min(BINS - 1)] += 1.0 - keep;
    }

    /// [`USUAL`] and [`QUANTILE`] of what the packets needed, samples.
    fn quantiles(&self) -> (usize, usize) {
        let mut sum = 0.0;
        let mut usual = None;
        for (bin, share) in self.histogram.iter().enumerate() {
            sum += share;
            let end = (bin + 1) * BIN;
            if sum >= USUAL {
                usual.get_or_insert(end);
            }
            if sum >= QUANTILE {
                return (usual.unwrap_or(end), end);
            }
        }
        (usual.unwrap_or(BINS * BIN), BINS * BIN)
    }
}

fn samples_between(from: Instant, to: Instant) -> f64 {
    let seconds = match to.checked_duration_since(from) {
        Some(after) => after.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    };
    seconds * f64::from(RATE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn to_ms(samples: f64) -> f64 {
        samples / 48.0
    }

    /// Learns packets of 20 ms that come `delay(n)` ms late, each found at the first period after it, which come 3 ms
    /// after whole tens; the target in ms at the end.
    fn target_after(packets: usize, delay: impl Fn(usize) -> f64) -> f64 {
        let base = Instant::now();
        let at = |ms: f64| base + Duration::from_secs_f64(ms / 1000.0);
        let mut estimator = DelayEstimator::new();
        for n in 0..packets {
            let arrival = n as f64 * 20.0 + delay(n);
            let found = ((arrival - 3.0) / 10.0).ceil() * 10.0 + 3.0;
            assert!(estimator.learn(at(arrival), at(found), n as i64 * 960, 960));
        }
        to_ms(estimator.target())
    }

    #[test]
    fn targets() {
        assert_eq!(target_after(1, |_| 0.0), 4.0, "no more than it takes");
        assert_eq!(target_after(500, |_| 0.0), 4.0, "a clean net stays small");
        assert_eq!(
            target_after(500, |n| (n % 2) as f64 * 2.0),
            4.0,
            "jitter within a period costs nothing"
        );
        assert_eq!(
            target_after(500, |_| 2.8),
            13.0 - 2.8 + 0.8,
            "too close to the period before"
        );
        assert_eq!(
            target_after(500, |n| if n % 300 == 299 { 60.0 } else { 0.0 }),
            4.0,
            "rare ones are given up"
        );
        let uniform = target_after(2000, |n| (n * 7919 % 40) as f64);
        assert!(
            (43.0..=45.0).contains(&uniform),
            "jitter of 0 to 39 ms: {uniform}"
        );
        let risen = target_after(1010, |n| {
            if n >= 1000 {
                80.0 * (n % 2) as f64
            } else {
                0.0
            }
        });
        assert!(risen > 80.0, "quick up: {risen} after 10 packets");
        let falling = target_after(1100, |n| if n < 1000 { 60.0 * (n % 2) as f64 } else { 0.0 });
        assert!(falling > 35.0, "slow down: {falling} after 2 s");
        let fallen = target_after(3000, |n| if n < 1000 { 60.0 * (n % 2) as f64 } else { 0.0 });
        assert!((3.9..4.1).contains(&fallen), "but down: {fallen}");
    }

    #[test]
    fn drift_is_no_jitter_and_a_new_route_is_learnt() {
        for ppm in [-200.0, 200.0] {
            let target = target_after(6000, |n| n as f64 * 20.0 * ppm * 1e-6);
            assert!(target <= 12.1, "{ppm} ppm: {target}");
        }
        let target = target_after(3000, |n| if n < 1000 { 0.0 } else { 50.0 });
        assert!(target < 4.1, "50 ms longer since 40 s: {target}");
    }

    #[test]
    fn a_jump_of_the_timestamp_is_seen() {
        let base = Instant::now();
        let next = base + Duration::from_millis(20);
        let mut estimator = DelayEstimator::new();
        assert!(estimator.learn(base, base, 0, 960));
        for timestamp in [1_000_000, -1_000_000] {
            assert!(!estimator.learn(next, next, timestamp, 960));
        }
        assert!(estimator.learn(next, next, 960, 960));
        estimator.restart();
        assert!(estimator.learn(next, next, 1_000_000, 960));
    }

    #[test]
    fn a_thread_that_looked_late_does_not_mistake_it_for_the_network() {
        let base = Instant::now();
        let mut estimator = DelayEstimator::new();
        for n in 0..100u64 {
            let arrival = base + Duration::from_millis(20 * n);
            // Steady time: 3 ms after the packet; but it looks every 200 ms only.
            let now = base + Duration::from_millis(20 * (n - n % 10 + 10) + 3);
            assert!(estimator.learn(arrival, now, n as i64 * 960, 960));
        }
        assert_eq!(to_ms(estimator.target()), 4.0);
    }

    #[test]
    fn the_delay_is_measured_from_the_quickest() {
        let base = Instant::now();
        let at = |ms| base + Duration::from_millis(ms);
        let mut estimator = DelayEstimator::new();
        estimator.learn(base, base, 0, 960);
        estimator.learn(at(35), at(40), 960, 960);
        assert!((to_ms(estimator.delay(at(40), 960)) - 20.0).abs() < 1e-6);
    }
}
