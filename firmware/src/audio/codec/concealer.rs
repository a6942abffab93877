//! Loss concealment for G.711 by ITU-T G.711 Appendix I, and comfort noise by RFC 3389.
//!
//! Appendix I repeats the last pitch period, after 10 ms the last two and after 20 ms the last three, so that the
//! repetition does not buzz, and fades to silence until 60 ms. It delays all sound by 3.75 ms to be able to lead the end
//! of what was heard into the repetition; here that join is made by spreading the step over 1 ms instead, which costs
//! no delay.

use crate::audio::pitch::best_match;

/// Three of the longest pitch periods, and a quarter of one before them.
const HISTORY: usize = 390;
/// Pitch periods looked for: 5 to 15 ms (66 to 200 Hz and their multiples).
const MIN_LAG: usize = 40;
const MAX_LAG: usize = 120;
/// What is matched: 20 ms.
const WINDOW: usize = 160;
/// 10 ms: full level for so long, then 20 % less each; another pitch period after the first and the second.
const STEP: usize = 80;
const FADE_PER_SAMPLE: f32 = 0.2 / STEP as f32;
/// From made up to heard: a quarter of a period, and 4 ms more for each further 10 ms, at most 10 ms.
const LONGER_OVERLAP: usize = 32;
/// The step into the repetition is spread over 1 ms.
const SMOOTHING: usize = 8;
/// Louder comfort noise than this, dB below overload, nobody would find comfortable.
const LOUDEST_NOISE: u8 = 30;

/// A repetition of the last pitch periods, and where it is.
#[derive(Clone, Copy)]
struct Repetition {
    periods: usize,
    /// Of the next sample, from the start of the first period.
    at: usize,
    /// The end of the last period, led into what came before the first, so that the repetition joins itself.
    tail: [f32; MAX_LAG / 4],
}

/// Works on 8 kHz samples.
pub struct Concealer {
    history: [f32; HISTORY],
    /// The history when the first sample was lost.
    heard: [f32; HISTORY],
    lag: usize,
    now: Repetition,
    /// What `now` has taken the place of, and for how many samples it still is heard.
    before: Repetition,
    before_left: usize,
    /// Samples made up since the last heard one.
    made_up: usize,
    /// What the repetition's start lacks to join the last heard sample.
    step: f32,
    /// Comfort noise's peak, and samples of it made.
    noise: Option<(f32, usize)>,
    dice: u32,
}

const NOTHING: Repetition = Repetition {
    periods: 1,
    at: 0,
    tail: [0.0; MAX_LAG / 4],
};

impl Concealer {
    pub fn new() -> Self {
        Self {
            history: [0.0; HISTORY],
            heard: [0.0; HISTORY],
            lag: MIN_LAG,
            now: NOTHING,
            before: NOTHING,
            before_left: 0,
            made_up: 0,
            step: 0.0,
            noise: None,
            dice: 1,
        }
    }

    pub fn reset(&mut self) {
        self.history.fill(0.0);
        self.made_up = 0;
        self.noise = None;
    }

    /// Makes noise instead of repetitions, until something is heard.
    pub fn comfort_noise(&mut self, level: u8) {
        let rms = 10f32.powf(-f32::from(level.max(LOUDEST_NOISE)) / 20.0);
        // Evenly distributed samples.
        let peak = rms * 3f32.sqrt();
        self.noise = Some((peak, self.noise.map_or(0, |(_, made)| made)));
    }

    /// Samples that came; their start is joined to what was made up before.
    pub fn heard(&mut self, samples: &mut [f32]) {
        if self.made_up > 0 {
            let further = self.made_up.div_ceil(STEP) - 1;
            let overlap = (self.lag / 4 + further * LONGER_OVERLAP).min(STEP);
            let length = overlap.min(samples.len());
            for (n, sample) in samples[..length].iter_mut().enumerate() {
                let weight = (n + 1) as f32 / (length + 1) as f32;
                *sample = *sample * weight + self.next() * (1.0 - weight);
            }
            self.made_up = 0;
        }
        self.noise = None;
        self.remember(samples);
    }

    /// Samples that did not come.
    pub fn conceal(&mut self, out: &mut [f32]) {
        if self.made_up == 0 {
            self.begin();
        }
        for sample in out.iter_mut() {
            *sample = self.next();
        }
        self.remember(out);
    }

    fn next(&mut self) -> f32 {
        let voice = self.repeated();
        let Some((peak, made)) = &mut self.noise else {
            return voice;
        };
        // From the voice into the noise within 10 ms.
        let weight = (*made).min(STEP) as f32 / STEP as f32;
        *made += 1;
        self.dice = self
            .dice
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let noise = ((self.dice >> 8) as f32 / (1 << 23) as f32 - 1.0) * *peak;
        voice * (1.0 - weight) + noise * weight
    }

    fn repeated(&mut self) -> f32 {
        let n = self.made_up;
        self.made_up += 1;
        let gain = 1.0 - n.saturating_sub(STEP) as f32 * FADE_PER_SAMPLE;
        if gain <= 0.0 {
            return 0.0;
        }
        if n == STEP || n == 2 * STEP {
            self.before = self.now;
            self.before_left = self.lag / 4;
            self.now = self.repetition(self.now.periods + 1, self.now.at % self.lag);
        }
        let mut sample = Self::step_on(&self.heard, self.lag, &mut self.now);
        if self.before_left > 0 {
            let weight = self.before_left as f32 / (self.lag / 4 + 1) as f32;
            let old = Self::step_on(&self.heard, self.lag, &mut self.before);
            sample = sample * (1.0 - weight) + old * weight;
            self.before_left -= 1;
        }
        let join = self.step * (1.0 - n.min(SMOOTHING) as f32 / SMOOTHING as f32);
        (sample + join) * gain
    }

    /// The next sample of a repetition.
    fn step_on(heard: &[f32; HISTORY], lag: usize, of: &mut Repetition) -> f32 {
        let length = of.periods * lag;
        let plain = length - lag / 4;
        let sample = if of.at < plain {
            heard[HISTORY - length + of.at]
        } else {
            of.tail[of.at - plain]
        };
        of.at = (of.at + 1) % length;
        sample
    }

    fn begin(&mut self) {
        self.heard = self.history;
        let reference = &self.heard[HISTORY - WINDOW..];
        let search = &self.heard[HISTORY - WINDOW - MAX_LAG..HISTORY - MIN_LAG];
        let (at, _) = best_match(reference, search);
        self.lag = (MAX_LAG - at).clamp(MIN_LAG, MAX_LAG);
        self.now = self.repetition(1, 0);
        self.before_left = 0;
        self.step = self.heard[HISTORY - 1] - self.heard[HISTORY - self.lag - 1];
    }

    fn repetition(&self, periods: usize, at: usize) -> Repetition {
        let quarter = self.lag / 4;
        let start = HISTORY - periods * self.lag;
        let mut tail = [0.0; MAX_LAG / 4];
        for (n, to) in tail[..quarter].iter_mut().enumerate() {
            let weight = (n + 1) as f32 / (quarter + 1) as f32;
            *to = self.heard[HISTORY - quarter + n] * (1.0 - weight)
                + self.heard[start - quarter + n] * weight;
        }
        Repetition { periods, at, tail }
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

    fn biggest_step(x: &[f32]) -> f32 {
        x.windows(2)
            .map(|w| (w[1] - w[0]).abs())
            .fold(0.0, f32::max)
    }

    fn rms(x: &[f32]) -> f32 {
        (x.iter().map(|s| s * s).sum::<f32>() / x.len() as f32).sqrt()
    }

    #[test]
    fn a_lost_packet_of_a_steady_voice_is_hardly_seen() {
        for lost in [80, 160, 320] {
            let mut concealer = Concealer::new();
            let mut sound: Vec<f32> = (0..1600).map(voice).collect();
            concealer.heard(&mut sound[..800]);
            concealer.conceal(&mut sound[800..800 + lost]);
            concealer.heard(&mut sound[800 + lost..]);
            let natural = biggest_step(&sound[..800]);
            assert!(
                biggest_step(&sound[780..1600]) < natural * 1.15,
                "{lost}: a click"
            );
            let error: f32 = (800..880).map(|n| (sound[n] - voice(n)).powi(2)).sum();
            let power: f32 = (800..880).map(|n| voice(n).powi(2)).sum();
            assert!(
                error < 0.05 * power,
                "{lost}: error {error} of {power} in the first 10 ms"
            );
        }
    }

    #[test]
    fn a_long_loss_takes_more_periods_and_fades_to_silence() {
        // Noise has no period: one repeated for ever would be a buzz, three are three times as long.
        let mut dice = 7u32;
        let mut sound: Vec<f32> = (0..800)
            .map(|_| {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (dice >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        let mut concealer = Concealer::new();
        concealer.heard(&mut sound);
        let mut made_up = [0.0; 800];
        concealer.conceal(&mut made_up);
        assert_eq!(concealer.now.periods, 3);
        let lag = concealer.lag;
        let alike = |at: usize| {
            let (a, b) = (&made_up[at..at + lag], &made_up[at + lag..at + 2 * lag]);
            let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            product / (rms(a) * rms(b) * lag as f32)
        };
        assert!(alike(200) < 0.5, "{}: it buzzes", alike(200));
        assert!(rms(&made_up[..80]) > 0.8 * rms(&sound));
        assert!(rms(&made_up[320..400]) < 0.5 * rms(&sound));
        assert!(made_up[480..].iter().all(|&s| s == 0.0));
    }

    #[test]
    fn comfort_noise_has_its_level_and_comes_and_goes_softly() {
        for (level, expected) in [(50, 50.0), (70, 70.0), (0, f32::from(LOUDEST_NOISE))] {
            let mut concealer = Concealer::new();
            let mut sound: Vec<f32> = (0..800).map(voice).collect();
            concealer.heard(&mut sound);
            concealer.comfort_noise(level);
            let mut noise = vec![0.0; 8000];
            concealer.conceal(&mut noise);
            let db = -20.0 * rms(&noise[800..]).log10();
            assert!((db - expected).abs() < 0.5, "{level}: {db}");
            let mut back: Vec<f32> = (800..1600).map(voice).collect();
            concealer.heard(&mut back);
            let all = [&sound[..], &noise, &back].concat();
            // Noise of 30 dB below full scale has steps of its own.
            assert!(biggest_step(&all) < biggest_step(&sound) * 1.3, "{level}");
            concealer.conceal(&mut noise[..80]);
            assert!(rms(&noise[..80]) > 0.1, "a loss is concealed again");
        }
    }
}
