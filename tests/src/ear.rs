//! What the ear heard, as a WAV file, and what is in it.

use realfft::RealFftPlanner;
use std::path::Path;

/// Frames per second of every recording.
pub const RATE_HZ: usize = 48_000;
/// Frames looked at for one spectrum: 100 ms, 10 Hz a line.
const WINDOW: usize = 4_800;

/// 48 kHz mono.
#[derive(Clone, Debug)]
pub struct Recording(pub Vec<i16>);

impl Recording {
    /// Reads a WAV file.
    pub fn read(file: &Path) -> Self {
        let mut reader = hound::WavReader::open(file).expect("the ear's WAV file");
        Self(
            reader
                .samples::<i16>()
                .map(|sample| sample.expect("a sample"))
                .collect(),
        )
    }

    /// Writes a WAV file.
    pub fn write(&self, file: &Path) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE_HZ as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(file, spec).expect("a WAV file");
        for sample in &self.0 {
            writer.write_sample(*sample).expect("a sample");
        }
        writer.finalize().expect("the WAV file");
    }

    /// Whether, somewhere, these frequencies and no other strong one sound together for `ms`.
    pub fn has_tone(&self, hz: &[f32], ms: usize) -> bool {
        self.longest_tone_ms(hz) >= ms
    }

    /// The longest time for which just these frequencies sound, in ms (steps of 100).
    pub fn longest_tone_ms(&self, hz: &[f32]) -> usize {
        let mut longest = 0;
        let mut running = 0;
        for window in self.0.chunks_exact(WINDOW) {
            running = if is_tone(window, hz) {
                running + 100
            } else {
                0
            };
            longest = longest.max(running);
        }
        longest
    }

    /// How long just these frequencies sound altogether, in ms (steps of 100).
    pub fn tone_ms(&self, hz: &[f32]) -> usize {
        let windows = self.0.chunks_exact(WINDOW);
        100 * windows.filter(|window| is_tone(window, hz)).count()
    }

    /// From the first to the last time these frequencies sound: the longest silence within, in ms (steps of 10).
    pub fn longest_gap_ms(&self, hz: &[f32]) -> usize {
        let windows: Vec<bool> = self
            .0
            .chunks_exact(WINDOW)
            .map(|window| is_tone(window, hz))
            .collect();
        let first = windows.iter().position(|tone| *tone).unwrap_or(0);
        let last = windows.iter().rposition(|tone| *tone).unwrap_or(0);
        let (mut longest, mut running) = (0, 0);
        for period in self.0[first * WINDOW..(last + 1) * WINDOW].chunks_exact(WINDOW / 10) {
            // Half a per mille of full scale is far below any tone.
            let silent = period.iter().all(|sample| sample.unsigned_abs() < 16);
            running = if silent { running + 10 } else { 0 };
            longest = longest.max(running);
        }
        longest
    }

    /// RMS level in dBFS (a full-scale sine is -3); -120 for silence.
    pub fn level_dbfs(&self) -> f64 {
        let sum: f64 = self.0.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let rms = (sum / self.0.len().max(1) as f64).sqrt() / 32_768.0;
        20.0 * rms.max(1e-6).log10()
    }
}

/// Nine tenths of the window's energy within 20 Hz of the frequencies, and each of them present.
fn is_tone(window: &[i16], hz: &[f32]) -> bool {
    let power = power_spectrum(window);
    let total: f32 = power.iter().sum();
    if total < 1e4 {
        return false;
    }
    let near = |hz: f32| {
        let line = (hz / 10.0).round() as usize;
        power[line.saturating_sub(2)..=line + 2].iter().sum::<f32>() / total
    };
    let shares: Vec<f32> = hz.iter().map(|hz| near(*hz)).collect();
    shares.iter().sum::<f32>() > 0.9 && shares.iter().all(|share| *share > 0.2 / hz.len() as f32)
}

fn power_spectrum(window: &[i16]) -> Vec<f32> {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(window.len());
    let mut input = fft.make_input_vec();
    for (n, (slot, sample)) in input.iter_mut().zip(window).enumerate() {
        let hann = 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / window.len() as f32).cos();
        *slot = f32::from(*sample) * hann;
    }
    let mut spectrum = fft.make_output_vec();
    fft.process(&mut input, &mut spectrum)
        .expect("the lengths fit");
    spectrum
        .iter()
        .map(|line| line.norm_sqr() / (window.len() as f32).powi(2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(hz: &[f32], ms: usize) -> Recording {
        let sample = |n: usize| {
            let time = n as f32 / RATE_HZ as f32;
            hz.iter()
                .map(|hz| (std::f32::consts::TAU * hz * time).sin())
                .sum::<f32>()
                * 3_000.0
        };
        Recording((0..RATE_HZ * ms / 1000).map(|n| sample(n) as i16).collect())
    }

    #[test]
    fn tones_are_told_apart() {
        let dial = tones(&[350.0, 440.0], 500);
        assert_eq!(dial.longest_tone_ms(&[350.0, 440.0]), 500);
        assert!(!dial.has_tone(&[480.0, 620.0], 100));
        assert!(!dial.has_tone(&[350.0], 100));
        assert!(!tones(&[440.0], 500).has_tone(&[350.0, 440.0], 100));
        assert!(!Recording(vec![0; RATE_HZ]).has_tone(&[440.0], 100));
    }

    #[test]
    fn a_gap_in_a_tone_is_measured() {
        let mut heard = vec![0; RATE_HZ / 2];
        heard.extend(tones(&[440.0], 500).0);
        assert_eq!(Recording(heard.clone()).longest_gap_ms(&[440.0]), 0);
        heard.extend(vec![0; RATE_HZ * 130 / 1000]);
        heard.extend(tones(&[440.0], 500).0);
        heard.extend(vec![0; RATE_HZ]);
        assert_eq!(Recording(heard).longest_gap_ms(&[440.0]), 130);
    }
}
