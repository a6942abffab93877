//! Gains that change without a click.

use super::Frame;
use offhook_hal::audio::RATE_HZ;

/// Samples in `milliseconds`, 48 kHz.
pub const fn ms(milliseconds: usize) -> usize {
    milliseconds * (RATE_HZ as usize / 1000)
}

/// How long a gate takes to open or close: 5 ms is too quick to be heard as a fade and too slow to click.
pub const GATE_SAMPLES: usize = ms(5);
/// How long a change of volume takes.
pub const VOLUME_SAMPLES: usize = ms(20);

/// A gain that walks in a straight line to its target.
#[derive(Clone, Debug)]
pub struct Ramp {
    now: f32,
    target: f32,
    step: f32,
    /// Samples of a walk.
    length: usize,
}

impl Ramp {
    /// Stands at `gain`; each change takes `length` samples.
    pub fn new(gain: f32, length: usize) -> Self {
        Self {
            now: gain,
            target: gain,
            step: 0.0,
            length: length.max(1),
        }
    }

    /// Walks to `gain` from here.
    pub fn to(&mut self, gain: f32) {
        if gain.to_bits() != self.target.to_bits() {
            self.target = gain;
            self.step = (gain - self.now) / self.length as f32;
        }
    }

    /// Stands at `gain` at once.
    pub fn jump(&mut self, gain: f32) {
        self.now = gain;
        self.target = gain;
        self.step = 0.0;
    }

    /// Is and stays zero.
    pub fn silent(&self) -> bool {
        self.now == 0.0 && self.target == 0.0
    }

    /// The gain of the next sample.
    pub fn next(&mut self) -> f32 {
        if self.step != 0.0 {
            self.now += self.step;
            let arrived = if self.step > 0.0 {
                self.now >= self.target
            } else {
                self.now <= self.target
            };
            if arrived {
                self.now = self.target;
                self.step = 0.0;
            }
        }
        self.now
    }

    /// Scales a frame.
    pub fn apply(&mut self, frame: &mut Frame) {
        for sample in frame {
            *sample *= self.next();
        }
    }
}

/// A gain in decibel as a factor.
pub fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_in_equal_steps_and_stops_at_the_target() {
        let mut ramp = Ramp::new(0.0, 4);
        ramp.to(1.0);
        let gains: Vec<f32> = (0..6).map(|_| ramp.next()).collect();
        assert_eq!(gains, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        ramp.to(0.0);
        assert!(!ramp.silent());
        for _ in 0..4 {
            ramp.next();
        }
        assert!(ramp.silent());
    }

    #[test]
    fn turns_round_on_the_way_without_a_step() {
        let mut ramp = Ramp::new(0.0, 100);
        ramp.to(1.0);
        let mut last = 0.0;
        for n in 0..150 {
            if n == 40 {
                ramp.to(0.0);
            }
            let gain = ramp.next();
            assert!((gain - last).abs() <= 0.0101, "{last} to {gain} at {n}");
            last = gain;
        }
        assert!(ramp.silent());
    }
}
