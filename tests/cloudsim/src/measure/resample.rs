//! Sample-rate conversion of a whole recording by windowed-sinc interpolation.

use std::f32::consts::PI;

/// Zero crossings of the sinc on each side: 32 gives a stop band below -80 dB with the Blackman
/// window.
const CROSSINGS: usize = 32;

/// Takes a recording from one sample rate to another; the length scales with the ratio.
pub fn resample(input: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || from == 0 || to == 0 || input.is_empty() {
        return input.to_vec();
    }
    let step = f64::from(from) / f64::from(to);
    // Going down, the filter must stop what the new rate cannot carry.
    let cutoff = (1.0 / step).min(1.0) as f32 * 0.97;
    let half_width = (CROSSINGS as f32 / cutoff).ceil();
    let length = (input.len() as f64 / step).round() as usize;
    (0..length)
        .map(|n| {
            let position = n as f64 * step;
            let center = position.floor() as isize;
            let reach = half_width as isize;
            (center - reach + 1..=center + reach)
                .filter_map(|index| {
                    let sample = input.get(usize::try_from(index).ok()?)?;
                    let distance = (position - index as f64) as f32;
                    Some(sample * kernel(distance, cutoff, half_width))
                })
                .sum()
        })
        .collect()
}

/// A sinc low-pass of relative cut-off `cutoff` under a Blackman window of `half_width`.
pub(crate) fn kernel(distance: f32, cutoff: f32, half_width: f32) -> f32 {
    let x = distance / half_width;
    if x.abs() >= 1.0 {
        return 0.0;
    }
    let window = 0.42 + 0.5 * (PI * x).cos() + 0.08 * (2.0 * PI * x).cos();
    let angle = PI * distance * cutoff;
    let sinc = if angle.abs() < 1e-6 {
        1.0
    } else {
        angle.sin() / angle
    };
    cutoff * sinc * window
}
