//! Two cards, two crystals: how much faster sound must be played than it is captured, so that what waits between them
//! neither grows nor runs out.

use crate::audio::{PERIOD, RATE_HZ};

/// Periods after a start that are not looked at: servers and USB cards settle.
const SETTLE: u32 = 50;
/// Periods whose mean is then taken for what shall wait: 1 s.
const LEARN: u32 = 100;
/// Reports are averaged with this time constant, periods: they step by a transfer of the card's bus.
const AVERAGE: f64 = 50.0;
/// A deviation is worked off with this time constant, seconds.
const WORK_OFF: f64 = 10.0;
/// The most that is corrected, parts of one: crystals are within 0.0002, a sound server's clock wanders more. A voice
/// is 1.7 cent higher or lower then, which nobody hears.
const MOST: f64 = 0.001;

/// Follows what waits between the two cards, and says how playback's rate is to be bent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drift {
    seen: u32,
    sum: f64,
    /// What shall wait, frames at 48 kHz.
    target: f64,
    average: f64,
    /// The cards' difference as learnt, parts of one.
    learnt: f64,
}

impl Drift {
    /// The streams were started anew: another amount waits, the crystals are the same.
    pub(super) fn restart(&mut self) {
        *self = Self {
            learnt: self.learnt,
            ..Self::default()
        };
    }

    /// `waiting`: frames captured and not read, and frames written and not played, together; the thread's lateness
    /// cancels out in it. How many times as many frames are to be played as are captured.
    pub(super) fn follow(&mut self, waiting: u32) -> f64 {
        let waiting = f64::from(waiting);
        self.seen = self.seen.saturating_add(1);
        if self.seen <= SETTLE {
            return 1.0 + self.learnt;
        }
        if self.seen <= SETTLE + LEARN {
            self.sum += waiting;
            self.target = self.sum / f64::from(self.seen - SETTLE);
            self.average = self.target;
            return 1.0 + self.learnt;
        }
        self.average += (waiting - self.average) / AVERAGE;
        // Critically damped: what waits changes by the rate's deviation times the frames per second.
        let rate = f64::from(RATE_HZ);
        let excess = self.average - self.target;
        let bend = (-excess / (rate * WORK_OFF)).clamp(-MOST, MOST);
        let step = excess * PERIOD.as_secs_f64() / (4.0 * rate * WORK_OFF * WORK_OFF);
        self.learnt = (self.learnt - step).clamp(-MOST, MOST);
        1.0 + (bend + self.learnt).clamp(-MOST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes with crystals that differ by `ppm`, and reports that err by up to `noise` frames: the furthest that
    /// what waits is off, and where it ends, frames.
    fn run(ppm: f64, noise: u32) -> (f64, f64) {
        let mut drift = Drift::default();
        let mut waiting = 1000.0f64;
        let mut furthest = 0.0f64;
        let mut dice = 1u32;
        for _ in 0..60_000 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let error = f64::from(dice >> 8) / f64::from(1 << 24) * f64::from(noise);
            let ratio = drift.follow((waiting + error) as u32);
            waiting += 480.0 * (ratio - 1.0 + ppm * 1e-6);
            furthest = furthest.max((waiting - 1000.0).abs());
        }
        (furthest, (waiting - 1000.0).abs())
    }

    #[test]
    fn what_waits_stays_what_it_was() {
        for (ppm, noise) in [(0.0, 0), (50.0, 0), (300.0, 96), (-300.0, 96), (200.0, 480)] {
            let (furthest, end) = run(ppm, noise);
            // 5 ms at most on the way, and 1 ms in the end: without it, 300 ppm would be 180 ms.
            assert!(
                furthest < 240.0 && end < 48.0,
                "{ppm} ppm, noise {noise}: {furthest} {end}"
            );
        }
    }

    #[test]
    fn it_never_bends_more_than_nobody_hears() {
        let mut drift = Drift::default();
        for waiting in [0, u32::MAX, 0, u32::MAX, 960] {
            for _ in 0..1000 {
                let ratio = drift.follow(waiting);
                assert!((ratio - 1.0).abs() <= MOST + 1e-9, "{ratio}");
            }
        }
        let learnt = drift.learnt;
        drift.restart();
        assert!(
            (drift.follow(0) - 1.0 - learnt).abs() < 1e-9,
            "crystals are the same"
        );
    }
}
