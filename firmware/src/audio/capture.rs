//! What happens to the microphone's sound before it is encoded: a fixed list of stages, in order.
//!
//! High-pass, then the path's [`Voice`] (echo canceller, noise suppression, gain control), then the mute gate.

use super::ramp::{GATE_SAMPLES, Ramp};
use super::voice::Voice;
use super::{Frame, SoundPath, VoiceConfig};
use offhook_hal::audio::{PERIOD_FRAMES, Period, RATE_HZ};
use std::f64::consts::TAU;

/// The chain.
pub struct CaptureChain {
    high_pass: HighPass,
    /// One per path.
    voices: [Voice; 3],
    path: SoundPath,
    gate: Ramp,
    /// After the stages, before the gate.
    open: Frame,
}

impl CaptureChain {
    /// Unmuted, for the handset; `voices` in the order of [`SoundPath`].
    pub fn new(voices: [VoiceConfig; 3]) -> Self {
        Self {
            high_pass: HighPass::new(),
            voices: voices.map(Voice::new),
            path: SoundPath::default(),
            gate: Ramp::new(1.0, GATE_SAMPLES),
            open: [0.0; PERIOD_FRAMES],
        }
    }

    /// Takes the processing of another path.
    pub fn take_path(&mut self, path: SoundPath) {
        self.path = path;
    }

    /// Closes or opens the mute gate, ramped.
    pub fn mute(&mut self, muted: bool) {
        self.gate.to(f32::from(!muted));
    }

    /// The next period of the microphone, ready to be encoded; `played` is what the ear heard meanwhile.
    pub fn process(&mut self, captured: &Period, played: &Frame, out: &mut Frame) {
        for (to, &sample) in self.open.iter_mut().zip(captured) {
            *to = f32::from(sample) / 32_768.0;
        }
        self.high_pass.process(&mut self.open);
        self.voices[self.path as usize].process(&mut self.open, played);
        *out = self.open;
        self.gate.apply(out);
    }

    /// The period before the mute gate.
    pub fn before_gate(&self) -> &Frame {
        &self.open
    }
}

/// First-order high-pass at 20 Hz (0.2 dB down at 100 Hz): an offset of the converter would click at the mute gate.
struct HighPass {
    pole: f64,
    last_in: f64,
    last_out: f64,
}

impl HighPass {
    fn new() -> Self {
        Self {
            pole: (-TAU * 20.0 / f64::from(RATE_HZ)).exp(),
            last_in: 0.0,
            last_out: 0.0,
        }
    }

    fn process(&mut self, near: &mut Frame) {
        for sample in near {
            let x = f64::from(*sample);
            self.last_out = x - self.last_in + self.pole * self.last_out;
            self.last_in = x;
            *sample = self.last_out as f32;
        }
        // Numbers too small to be normal are slow to calculate with.
        if self.last_out.abs() < 1e-20 {
            self.last_out = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(chain: &mut CaptureChain, value: impl Fn(usize) -> i16, periods: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for period in 0..periods {
            let captured = std::array::from_fn(|n| value(period * PERIOD_FRAMES + n));
            let mut out = [0.0; PERIOD_FRAMES];
            chain.process(&captured, &[0.0; PERIOD_FRAMES], &mut out);
            all.extend(out);
        }
        all
    }

    #[test]
    fn an_offset_is_taken_away_and_a_tone_is_not() {
        let mut chain = CaptureChain::new([VoiceConfig::default(); 3]);
        let out = run(&mut chain, |_| 3000, 50);
        assert!(out[out.len() - 480..].iter().all(|s| s.abs() < 1e-4));
        let tone = |n: usize| {
            ((n as f32 * 100.0 / 48_000.0 * std::f32::consts::TAU).sin() * 16_384.0) as i16
        };
        let out = run(&mut chain, tone, 50);
        let peak = out[12_000..].iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(
            (0.48..0.51).contains(&peak),
            "100 Hz at half of full scale: {peak}"
        );
    }

    #[test]
    fn mute_is_silent_after_the_ramp_and_leaves_the_meter_alone() {
        let mut chain = CaptureChain::new([VoiceConfig::default(); 3]);
        let tone = |n: usize| ((n as f32 * 0.1).sin() * 16_384.0) as i16;
        run(&mut chain, tone, 10);
        chain.mute(true);
        let out = run(&mut chain, tone, 2);
        assert!(out[GATE_SAMPLES..].iter().all(|&s| s == 0.0));
        let step = out
            .windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max);
        assert!(step < 0.06, "a click of {step}");
        assert!(chain.before_gate().iter().any(|s| s.abs() > 0.4));
    }
}
