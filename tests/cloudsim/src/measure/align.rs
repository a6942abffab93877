//! Where one recording lies in another, by cross-correlation.

use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::{MeasureError, Result, to_float};

/// Where the received recording lies relative to the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alignment {
    /// `received[n + lag]` belongs to `reference[n]`; positive when the sound arrives later in
    /// the received recording.
    pub lag: i64,
    /// Normalised correlation of the waveforms at that place, -1 to 1. Negative means the
    /// polarity was turned.
    pub correlation: f32,
}

/// Finds where the received recording fits the reference best.
pub fn align(reference: &[i16], received: &[i16]) -> Result<Alignment> {
    if energy(reference) == 0.0 || energy(received) == 0.0 {
        return Err(MeasureError::NothingToMeasure(format!(
            "cannot align: the {} recording is silent ({} and {} samples)",
            if energy(reference) == 0.0 {
                "reference"
            } else {
                "received"
            },
            reference.len(),
            received.len(),
        )));
    }
    let size = (reference.len() + received.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(size);
    let spectrum = |samples: &[i16]| -> Result<_> {
        let mut input = forward.make_input_vec();
        for (slot, sample) in input.iter_mut().zip(to_float(samples)) {
            *slot = sample;
        }
        let mut output = forward.make_output_vec();
        forward.process(&mut input, &mut output)?;
        Ok(output)
    };
    let mut product = spectrum(received)?;
    for (bin, reference_bin) in product.iter_mut().zip(spectrum(reference)?) {
        *bin *= reference_bin.conj();
    }
    // Rounding leaves traces where the transform of a real signal has none, and the inverse
    // insists on none.
    if let Some(first) = product.first_mut() {
        first.im = 0.0;
    }
    if let Some(last) = product.last_mut() {
        last.im = 0.0;
    }
    let inverse = planner.plan_fft_inverse(size);
    let mut correlation = inverse.make_output_vec();
    inverse.process(&mut product, &mut correlation)?;

    let best = correlation
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
        .map_or(0, |(index, _)| index);
    // The upper end of the circle is the negative lags.
    let lag = if best < received.len() {
        best as i64
    } else {
        best as i64 - size as i64
    };
    Ok(Alignment {
        lag,
        correlation: correlation_at(reference, received, lag),
    })
}

/// Repeats a recording until it is at least `length` samples long, as a looped player does.
pub fn tile(samples: &[i16], length: usize) -> Vec<i16> {
    samples
        .iter()
        .copied()
        .cycle()
        .take(length.max(samples.len()))
        .collect()
}

/// The stretches of both recordings that belong together at this lag.
pub(crate) fn overlap<'a>(
    reference: &'a [i16],
    received: &'a [i16],
    lag: i64,
) -> (&'a [i16], &'a [i16]) {
    let skip = |samples: &'a [i16], n: i64| {
        let n = usize::try_from(n).unwrap_or(0);
        samples.get(n..).unwrap_or_default()
    };
    let (reference, received) = (skip(reference, -lag), skip(received, lag));
    let length = reference.len().min(received.len());
    (&reference[..length], &received[..length])
}

fn correlation_at(reference: &[i16], received: &[i16], lag: i64) -> f32 {
    let (a, b) = overlap(reference, received, lag);
    let product: f64 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum();
    let norm = (energy(a) * energy(b)).sqrt();
    if norm == 0.0 {
        0.0
    } else {
        (product / norm) as f32
    }
}

fn energy(samples: &[i16]) -> f64 {
    samples.iter().map(|&s| f64::from(s).powi(2)).sum()
}
