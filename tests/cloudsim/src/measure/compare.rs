//! How faithfully speech arrived.

use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::align::overlap;
use super::spectrum::{power_dbfs, power_spectrum};
use super::{Alignment, MeasureError, RATE, Result, align, tile, to_float};

/// What is compared: the band a codec is meant to carry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Lower edge, Hz.
    pub low_hz: f32,
    /// Upper edge, Hz.
    pub high_hz: f32,
}

impl Band {
    /// What Opus carries of speech.
    pub const WIDE: Self = Self {
        low_hz: 100.0,
        high_hz: 7_000.0,
    };
    /// What G.711 carries: the telephone band.
    pub const TELEPHONE: Self = Self {
        low_hz: 300.0,
        high_hz: 3_400.0,
    };
}

/// How a received recording compares with what was said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Where it was found.
    pub alignment: Alignment,
    /// Mean correlation of log band energies over the frames with speech, -1 to 1. Above 0.9 is
    /// hard to tell from the reference; a codec takes a few hundredths, noise and holes more.
    pub spectral_correlation: f32,
    /// Active speech level of the received recording less that of the reference, dB.
    pub level_difference_db: f32,
    /// Longest silence in the received recording where the reference speaks, ms.
    pub longest_gap_ms: f32,
    /// Seconds compared.
    pub seconds: f32,
    /// Share of these that has speech, 0 to 1.
    pub active_share: f32,
}

/// Samples per frame: 20 ms.
const FRAME: usize = RATE as usize / 50;

/// Window of a frame's spectrum: 40 ms, so that bands of 100 Hz are told apart.
const WINDOW: usize = 2 * FRAME;

/// A frame speaks when it is within this of the mean power of the recording, dB.
const ACTIVE_BELOW_MEAN_DB: f32 = 16.0;

/// Bands between the edges of a [`Band`], equally wide on the mel scale.
const BANDS: usize = 20;

/// Aligns and compares.
pub fn compare(reference: &[i16], received: &[i16], band: Band) -> Result<Comparison> {
    let alignment = align(reference, received)?;
    let (reference, received) = overlap(reference, received, alignment.lag);
    // A hiss that lies above a codec's band is neither a gap nor a loss of level.
    let (spoken, arrived) = (limited(reference, band)?, limited(received, band)?);
    let active = active_frames(&spoken)?;
    let mut correlation = 0.0;
    let mut power = (0.0_f64, 0.0_f64);
    for &frame in &active {
        let from = frame * FRAME;
        let window = |samples: &[f32]| {
            let to = (from + WINDOW).min(samples.len());
            band_levels(&samples[from..to], band)
        };
        correlation += pearson(&window(&spoken)?, &window(&arrived)?);
        power.0 += mean_square(&spoken[from..from + FRAME]);
        power.1 += mean_square(&arrived[from..from + FRAME]);
    }
    let level_difference_db =
        power_dbfs(power.1 / active.len() as f64) - power_dbfs(power.0 / active.len() as f64);
    Ok(Comparison {
        alignment,
        spectral_correlation: correlation / active.len() as f32,
        level_difference_db,
        longest_gap_ms: gap(&spoken, &arrived, level_difference_db),
        seconds: reference.len() as f32 / RATE as f32,
        active_share: active.len() as f32 / (reference.len() / FRAME) as f32,
    })
}

/// [`compare`] against a reference that was played in a loop.
pub fn compare_looped(reference: &[i16], received: &[i16], band: Band) -> Result<Comparison> {
    compare(
        &tile(reference, reference.len() + received.len()),
        received,
        band,
    )
}

/// Longest silence, ms, in a received recording where the aligned reference speaks.
pub fn longest_gap_ms(reference: &[i16], received: &[i16]) -> Result<f32> {
    compare(reference, received, Band::WIDE).map(|c| c.longest_gap_ms)
}

/// Frames of the reference that carry speech.
fn active_frames(reference: &[f32]) -> Result<Vec<usize>> {
    let levels: Vec<f32> = reference
        .chunks_exact(FRAME)
        .map(|frame| power_dbfs(mean_square(frame)))
        .collect();
    let mean = power_dbfs(mean_square(reference));
    let active: Vec<usize> = levels
        .iter()
        .enumerate()
        .filter(|(_, level)| **level > (mean - ACTIVE_BELOW_MEAN_DB).max(-70.0))
        .map(|(frame, _)| frame)
        .collect();
    if active.is_empty() {
        return Err(MeasureError::NothingToMeasure(format!(
            "nothing is said in the {} ms the recordings have in common",
            reference.len() as u32 * 1_000 / RATE
        )));
    }
    Ok(active)
}

/// What of a recording lies in a band.
fn limited(samples: &[i16], band: Band) -> Result<Vec<f32>> {
    let size = samples.len().next_power_of_two().max(WINDOW);
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(size);
    let mut padded = forward.make_input_vec();
    padded[..samples.len()].copy_from_slice(&to_float(samples));
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut padded, &mut spectrum)?;
    let hz_per_bin = RATE as f32 / size as f32;
    for (bin, value) in spectrum.iter_mut().enumerate() {
        let hz = bin as f32 * hz_per_bin;
        let inside = (band.low_hz..=band.high_hz).contains(&hz);
        *value *= if inside { 1.0 / size as f32 } else { 0.0 };
    }
    planner
        .plan_fft_inverse(size)
        .process(&mut spectrum, &mut padded)?;
    padded.truncate(samples.len());
    Ok(padded)
}

fn mean_square(samples: &[f32]) -> f64 {
    samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// Level of each band, dB, with a floor 50 dB below the strongest so that what nobody hears does
/// not count.
fn band_levels(samples: &[f32], band: Band) -> Result<Vec<f32>> {
    let power = power_spectrum(samples, WINDOW)?;
    let hz_per_bin = RATE as f32 / WINDOW as f32;
    let (low, high) = (mel(band.low_hz), mel(band.high_hz));
    let edge = |n: usize| {
        let mel = low + (high - low) * n as f32 / BANDS as f32;
        (700.0 * ((mel / 1_127.0).exp() - 1.0) / hz_per_bin) as usize
    };
    let levels: Vec<f32> = (0..BANDS)
        .map(|n| {
            let (from, to) = (edge(n), edge(n + 1).max(edge(n) + 1));
            let mean = power.iter().take(to).skip(from).sum::<f32>() / (to - from) as f32;
            10.0 * (mean + 1e-12).log10()
        })
        .collect();
    let strongest = levels.iter().copied().fold(f32::MIN, f32::max);
    Ok(levels.iter().map(|l| l.max(strongest - 50.0)).collect())
}

fn mel(hz: f32) -> f32 {
    1_127.0 * (1.0 + hz / 700.0).ln()
}

/// Pearson's correlation; 0 when one side does not vary (a frame of digital silence).
fn pearson(a: &[f32], b: &[f32]) -> f32 {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa * bb <= f32::EPSILON {
        0.0
    } else {
        ab / (aa * bb).sqrt()
    }
}

/// Stretch over which silence is judged: 5 ms, shorter than any word's pause, longer than the
/// quiet part of a low voice's period.
const GAP_WINDOW: usize = RATE as usize / 200;

/// Step between judgements: 1 ms.
const GAP_STEP: usize = RATE as usize / 1_000;

/// A received stretch is silent when it is this far below what it should be, dB. G.711's own
/// noise is 37 dB down.
const SILENT_BELOW_DB: f32 = 25.0;

fn gap(spoken: &[f32], arrived: &[f32], level_difference_db: f32) -> f32 {
    let mean = power_dbfs(mean_square(spoken));
    let (mut longest, mut run) = (0_usize, 0_usize);
    for (said, heard) in windows(spoken).zip(windows(arrived)) {
        let speaks = said > (mean - ACTIVE_BELOW_MEAN_DB).max(-60.0);
        // A hole lowers the level difference too, but by little: a whole recording is averaged.
        run = if speaks && heard < said + level_difference_db - SILENT_BELOW_DB {
            run + 1
        } else {
            0
        };
        longest = longest.max(run);
    }
    if longest == 0 {
        return 0.0;
    }
    ((longest - 1) * GAP_STEP + GAP_WINDOW) as f32 * 1_000.0 / RATE as f32
}

/// Level of every 5 ms, each 1 ms, dBFS.
fn windows(samples: &[f32]) -> impl Iterator<Item = f32> + '_ {
    samples
        .windows(GAP_WINDOW)
        .step_by(GAP_STEP)
        .map(|window| power_dbfs(mean_square(window)))
}
