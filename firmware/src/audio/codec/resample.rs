//! 48 kHz to 8 kHz and back, at the edge of G.711.
//!
//! A linear-phase low-pass of 144 taps (Kaiser window, 60 dB): flat to 3.4 kHz, half at 4 kHz, and 60 dB down from
//! 4.6 kHz, so that nothing folds back into the telephone band. Delays by 1.5 ms each way.

use std::f64::consts::PI;

/// The ratio of the two rates.
pub const RATIO: usize = 6;
const TAPS: usize = 144;
const PHASE_TAPS: usize = TAPS / RATIO;
const CUTOFF: f64 = 4000.0 / 48_000.0;
/// Kaiser's beta for 60 dB.
const BETA: f64 = 5.653;

fn coefficients() -> [f32; TAPS] {
    let mut taps = [0.0; TAPS];
    let middle = (TAPS - 1) as f64 / 2.0;
    for (n, tap) in taps.iter_mut().enumerate() {
        let x = n as f64 - middle;
        let sinc = (2.0 * PI * CUTOFF * x).sin() / (PI * x); // x is never 0: TAPS is even
        let window =
            bessel_i0(BETA * (1.0 - (x / middle).powi(2)).max(0.0).sqrt()) / bessel_i0(BETA);
        *tap = sinc * window;
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
}

fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

/// 48 kHz to 8 kHz.
pub struct Decimator {
    taps: [f32; TAPS],
    /// The last `TAPS` samples twice in a row, so that any window of them is one slice.
    line: [f32; 2 * TAPS],
    at: usize,
}

impl Decimator {
    pub fn new() -> Self {
        Self {
            taps: coefficients(),
            line: [0.0; 2 * TAPS],
            at: 0,
        }
    }

    pub fn reset(&mut self) {
        self.line.fill(0.0);
    }

    /// Each six samples of `input` make one of `out`; returns how many were written.
    pub fn process(&mut self, input: &[f32], out: &mut [f32]) -> usize {
        let mut written = 0;
        for (six, to) in input.chunks_exact(RATIO).zip(out) {
            for &sample in six {
                self.line[self.at] = sample;
                self.line[self.at + TAPS] = sample;
                self.at = (self.at + 1) % TAPS;
            }
            let window = &self.line[self.at..self.at + TAPS];
            // The taps are symmetric: no need to turn the window round.
            *to = dot(window, &self.taps);
            written += 1;
        }
        written
    }
}

/// 8 kHz to 48 kHz.
pub struct Interpolator {
    /// One row of taps per output phase, newest input last.
    phases: [[f32; PHASE_TAPS]; RATIO],
    line: [f32; 2 * PHASE_TAPS],
    at: usize,
}

impl Interpolator {
    pub fn new() -> Self {
        let taps = coefficients();
        let mut phases = [[0.0; PHASE_TAPS]; RATIO];
        for (phase, row) in phases.iter_mut().enumerate() {
            for (k, tap) in row.iter_mut().rev().enumerate() {
                *tap = taps[phase + RATIO * k] * RATIO as f32;
            }
        }
        Self {
            phases,
            line: [0.0; 2 * PHASE_TAPS],
            at: 0,
        }
    }

    pub fn reset(&mut self) {
        self.line.fill(0.0);
    }

    /// Each sample of `input` makes six of `out`; returns how many were written.
    pub fn process(&mut self, input: &[f32], out: &mut [f32]) -> usize {
        let mut written = 0;
        for (&sample, six) in input.iter().zip(out.chunks_exact_mut(RATIO)) {
            self.line[self.at] = sample;
            self.line[self.at + PHASE_TAPS] = sample;
            self.at = (self.at + 1) % PHASE_TAPS;
            let window = &self.line[self.at..self.at + PHASE_TAPS];
            for (to, row) in six.iter_mut().zip(&self.phases) {
                *to = dot(window, row);
            }
            written += RATIO;
        }
        written
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::measure::{level_db, sine};

    /// Gain in dB of a sine through `process`, measured at `measured_hz` (where it comes out), after settling.
    fn gain_down(hz: f32) -> f32 {
        let input = sine(hz, 48_000.0, 0.5, 48_000);
        let mut out = vec![0.0; 8000];
        assert_eq!(Decimator::new().process(&input, &mut out), 8000);
        let folded = if hz > 4000.0 {
            (8000.0 - hz % 8000.0).min(hz % 8000.0)
        } else {
            hz
        };
        level_db(&out[1000..7000], 8000.0, folded) - level_db(&input[6000..42000], 48_000.0, hz)
    }

    #[test]
    fn down_is_flat_in_the_telephone_band_and_folds_nothing_into_it() {
        for hz in [100.0, 1000.0, 2000.0, 3000.0, 3400.0] {
            let gain = gain_down(hz);
            assert!(gain.abs() < 0.1, "{gain} dB at {hz} Hz");
        }
        for hz in [4700.0, 5000.0, 6500.0, 7900.0, 9000.0, 15_000.0, 20_900.0] {
            let gain = gain_down(hz);
            assert!(gain < -55.0, "{gain} dB at {hz} Hz");
        }
    }

    #[test]
    fn up_is_flat_and_leaves_no_images() {
        for hz in [100.0, 1000.0, 3000.0, 3300.0] {
            let input = sine(hz, 8000.0, 0.5, 8000);
            let mut out = vec![0.0; 48_000];
            assert_eq!(Interpolator::new().process(&input, &mut out), 48_000);
            let settled = &out[6000..42_000];
            let wanted = level_db(settled, 48_000.0, hz);
            let gain = wanted - level_db(&input[1000..7000], 8000.0, hz);
            assert!(gain.abs() < 0.1, "{gain} dB at {hz} Hz");
            for image in [8000.0 - hz, 8000.0 + hz, 16_000.0 - hz, 24_000.0 - hz] {
                let level = level_db(settled, 48_000.0, image) - wanted;
                assert!(level < -55.0, "image of {hz} Hz at {image} Hz: {level} dB");
            }
        }
    }
}
