//! Levels, spectra, and what a steady tone is made of.

use std::f32::consts::PI;

use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::{MeasureError, RATE, Result, SILENCE_DBFS, to_float};

/// What a stretch of sound is made of, taken as a tone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToneFigures {
    /// RMS level of everything, dB relative to a full-scale sine.
    pub dbfs: f32,
    /// The strongest frequency, Hz, interpolated between bins.
    pub dominant_hz: f32,
    /// Share of the energy within 1 % (at least 30 Hz) of that frequency, 0 to 1.
    pub purity: f32,
    /// Harmonics 2 to 10 relative to the fundamental, dB (THD); -120 when there are none.
    pub thd_db: f32,
}

/// One of several tones in a stretch of sound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToneLevel {
    /// Frequency, Hz.
    pub hz: f32,
    /// Level, dB relative to a full-scale sine.
    pub dbfs: f32,
}

/// The tones in a stretch of sound, loudest first: at most eight, each above -50 dBFS and at
/// least 40 Hz from the others.
pub fn tones(samples: &[i16]) -> Vec<ToneLevel> {
    /// Quieter than this is no tone, dBFS.
    const AUDIBLE: f32 = -50.0;
    const AT_MOST: usize = 8;
    if samples.len() < RATE as usize / 50 {
        return Vec::new();
    }
    let Ok(mut power) = power_spectrum(&to_float(samples), samples.len()) else {
        return Vec::new();
    };
    let hz_per_bin = RATE as f32 / samples.len() as f32;
    let reach = ((40.0 / hz_per_bin) as usize).max(4);
    // Parseval with one side of the spectrum; a Hann window passes 3/8 of the power.
    let scale = 2.0 / (samples.len() as f64).powi(2) / 0.375;
    let mut found = Vec::new();
    while found.len() < AT_MOST {
        let Some((peak, _)) = power.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else {
            break;
        };
        let hz = interpolate(&power, peak) * hz_per_bin;
        let (from, to) = (
            peak.saturating_sub(reach),
            (peak + reach + 1).min(power.len()),
        );
        let Some(near) = power.get_mut(from..to) else {
            break;
        };
        let energy: f64 = near.iter().map(|&p| f64::from(p)).sum();
        let dbfs = power_dbfs(energy * scale);
        if dbfs < AUDIBLE {
            break;
        }
        near.fill(0.0);
        found.push(ToneLevel { hz, dbfs });
    }
    found
}

/// Level of a recording, dB relative to a full-scale sine.
pub fn level_dbfs(samples: &[i16]) -> f32 {
    power_dbfs(
        samples
            .iter()
            .map(|&s| (f64::from(s) / 32_768.0).powi(2))
            .sum::<f64>()
            / samples.len().max(1) as f64,
    )
}

/// Mean square as dB relative to a full-scale sine.
pub(crate) fn power_dbfs(mean_square: f64) -> f32 {
    // A full-scale sine has a mean square of one half.
    let db = 10.0 * (2.0 * mean_square).log10();
    (db as f32).max(SILENCE_DBFS)
}

/// Measures a recording as a tone. At least 20 ms; a second resolves to a fraction of a hertz.
pub fn tone(samples: &[i16]) -> Result<ToneFigures> {
    if samples.len() < RATE as usize / 50 {
        return Err(MeasureError::NothingToMeasure(format!(
            "a tone needs at least 20 ms of sound; got {} samples",
            samples.len()
        )));
    }
    let power = power_spectrum(&to_float(samples), samples.len())?;
    let hz_per_bin = RATE as f32 / samples.len() as f32;
    // The window smears a constant offset over two bins: start beyond it.
    let lowest = ((20.0 / hz_per_bin) as usize).max(3);
    let total: f64 = power.iter().skip(lowest).map(|&p| f64::from(p)).sum();
    let (peak, strongest) = power
        .iter()
        .enumerate()
        .skip(lowest)
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map_or((0, 0.0), |(bin, &p)| (bin, p));
    let dbfs = level_dbfs(samples);
    if total <= 0.0 || strongest <= 0.0 || dbfs <= SILENCE_DBFS {
        return Ok(ToneFigures {
            dbfs,
            dominant_hz: 0.0,
            purity: 0.0,
            thd_db: -120.0,
        });
    }
    let dominant_hz = interpolate(&power, peak) * hz_per_bin;
    let energy_near = |hz: f32| -> f64 {
        let reach = (hz * 0.01).max(30.0).max(4.0 * hz_per_bin);
        let from = ((hz - reach) / hz_per_bin).max(0.0) as usize;
        let to = ((hz + reach) / hz_per_bin) as usize;
        power
            .iter()
            .take(to + 1)
            .skip(from)
            .map(|&p| f64::from(p))
            .sum()
    };
    let fundamental = energy_near(dominant_hz);
    let harmonics: f64 = (2..=10)
        .map(|n| dominant_hz * n as f32)
        .take_while(|&hz| hz < RATE as f32 / 2.0)
        .map(energy_near)
        .sum();
    Ok(ToneFigures {
        dbfs,
        dominant_hz,
        purity: (fundamental / total).min(1.0) as f32,
        thd_db: (10.0 * (harmonics / fundamental).log10()).max(-120.0) as f32,
    })
}

/// Power per bin of a Hann-windowed stretch, zero-padded to `size`.
pub(crate) fn power_spectrum(samples: &[f32], size: usize) -> Result<Vec<f32>> {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(size);
    let mut input = fft.make_input_vec();
    let length = samples.len().min(size);
    for (n, (slot, sample)) in input.iter_mut().zip(samples).enumerate() {
        *slot = sample * hann(n, length);
    }
    let mut output = fft.make_output_vec();
    fft.process(&mut input, &mut output)?;
    Ok(output
        .iter()
        .map(realfft::num_complex::Complex::norm_sqr)
        .collect())
}

fn hann(n: usize, length: usize) -> f32 {
    0.5 - 0.5 * (2.0 * PI * n as f32 / length as f32).cos()
}

/// The peak's place between bins, by a parabola through the logarithms of three bins.
fn interpolate(power: &[f32], peak: usize) -> f32 {
    let at = |bin: usize| power.get(bin).map_or(-200.0, |p| (p + 1e-20).ln());
    let (left, middle, right) = (at(peak.saturating_sub(1)), at(peak), at(peak + 1));
    let curvature = left - 2.0 * middle + right;
    let shift = if curvature.abs() < 1e-9 {
        0.0
    } else {
        (0.5 * (left - right) / curvature).clamp(-0.5, 0.5)
    };
    peak as f32 + shift
}
