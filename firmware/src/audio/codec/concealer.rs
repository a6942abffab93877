//! Loss concealment for G.711: repeats the last pitch period, then fades (after the idea of G.711 Appendix I).

use crate::audio::pitch::best_match;

/// 60 ms: twice the longest pitch period and the window that is matched.
const HISTORY: usize = 480;
/// Pitch periods looked for: 5 to 15 ms (66 to 200 Hz and their multiples).
const MIN_LAG: usize = 40;
const MAX_LAG: usize = 120;
/// What is matched: 20 ms.
const WINDOW: usize = 160;
/// Full level for 10 ms, then 20 % less each 10 ms (Appendix I).
const HOLD: usize = 80;
const FADE_PER_SAMPLE: f32 = 0.2 / 80.0;
/// From made up to heard: 4 ms.
const CROSSFADE: usize = 32;
/// The step into the repetition is spread over 1 ms.
const SMOOTHING: usize = 8;

/// Works on 8 kHz samples.
pub struct Concealer {
    history: [f32; HISTORY],
    period: [f32; MAX_LAG],
    lag: usize,
    /// Samples made up since the last heard one.
    made_up: usize,
    /// What the repetition's start lacks to join the last heard sample.
    step: f32,
}

impl Concealer {
    pub fn new() -> Self {
        Self {
            history: [0.0; HISTORY],
            period: [0.0; MAX_LAG],
            lag: MIN_LAG,
            made_up: 0,
            step: 0.0,
        }
    }

    pub fn reset(&mut self) {
        self.history.fill(0.0);
        self.made_up = 0;
    }

    /// Samples that came; their start is joined to what was made up before.
    pub fn heard(&mut self, samples: &mut [f32]) {
        if self.made_up > 0 {
            let length = CROSSFADE.min(samples.len());
            for (n, sample) in samples[..length].iter_mut().enumerate() {
                let weight = (n + 1) as f32 / (length + 1) as f32;
                *sample = *sample * weight + self.next() * (1.0 - weight);
            }
            self.made_up = 0;
        }
        self.remember(samples);
    }

    /// Samples that did not come.
    pub fn conceal(&mut self, out: &mut [f32]) {
        if self.made_up == 0 {
            self.find_period();
        }
        for sample in out.iter_mut() {
            *sample = self.next();
        }
        self.remember(out);
    }

    fn next(&mut self) -> f32 {
        let n = self.made_up;
        self.made_up += 1;
        let gain = 1.0 - n.saturating_sub(HOLD) as f32 * FADE_PER_SAMPLE;
        if gain <= 0.0 {
            return 0.0;
        }
        let join = self.step * (1.0 - n.min(SMOOTHING) as f32 / SMOOTHING as f32);
        (self.period[n % self.lag] + join) * gain
    }

    fn find_period(&mut self) {
        let reference = &self.history[HISTORY - WINDOW..];
        let search = &self.history[HISTORY - WINDOW - MAX_LAG..HISTORY - MIN_LAG];
        let (at, _) = best_match(reference, search);
        let lag = (MAX_LAG - at).clamp(MIN_LAG, MAX_LAG);
        let start = HISTORY - lag;
        self.lag = lag;
        self.period[..lag].copy_from_slice(&self.history[start..]);
        // The repetition's end is led back to what came before its start, so that it joins itself.
        let quarter = lag / 4;
        for n in 0..quarter {
            let weight = (n + 1) as f32 / (quarter + 1) as f32;
            let to = lag - quarter + n;
            self.period[to] =
                self.period[to] * (1.0 - weight) + self.history[start - quarter + n] * weight;
        }
        self.step = self.history[HISTORY - 1] - self.history[start - 1];
    }

    fn remember(&mut self, samples: &[f32]) {
        let keep = samples.len().min(HISTORY);
        self.history.copy_within(keep.., 0);
        self.history[HISTORY - keep..].copy_from_slice(&samples[samples.len() - keep..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn voice(n: usize) -> f32 {
        (1..6)
            .map(|k| (TAU * 130.0 * k as f32 * n as f32 / 8000.0).sin() / k as f32)
            .sum::<f32>()
            * 0.2
    }

    #[test]
    fn a_lost_packet_of_a_steady_voice_is_hardly_seen() {
        let mut concealer = Concealer::new();
        let mut sound: Vec<f32> = (0..1280).map(voice).collect();
        concealer.heard(&mut sound[..800]);
        concealer.conceal(&mut sound[800..960]);
        concealer.heard(&mut sound[960..]);
        let biggest_step = |x: &[f32]| {
            x.windows(2)
                .map(|w| (w[1] - w[0]).abs())
                .fold(0.0, f32::max)
        };
        let natural = biggest_step(&sound[..800]);
        assert!(biggest_step(&sound[780..1280]) < natural * 1.15, "a click");
        let error: f32 = (800..880).map(|n| (sound[n] - voice(n)).powi(2)).sum();
        let power: f32 = (800..880).map(|n| voice(n).powi(2)).sum();
        assert!(
            error < 0.05 * power,
            "error {error} of {power} in the first 10 ms"
        );
    }

    #[test]
    fn a_long_loss_fades_to_silence() {
        let mut concealer = Concealer::new();
        let mut sound: Vec<f32> = (0..800).map(voice).collect();
        concealer.heard(&mut sound);
        let mut made_up = [0.0; 800];
        concealer.conceal(&mut made_up);
        let rms = |x: &[f32]| (x.iter().map(|s| s * s).sum::<f32>() / x.len() as f32).sqrt();
        assert!(rms(&made_up[..80]) > 0.8 * rms(&sound));
        assert!(rms(&made_up[320..400]) < 0.5 * rms(&sound));
        assert!(made_up[480..].iter().all(|&s| s == 0.0));
    }
}
