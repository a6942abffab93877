//! Figures for recorded sound: how alike two recordings are, and how good one is.
//!
//! Every recording is 48 kHz mono `i16`. What was said is called the reference, what arrived the
//! received recording. The order of work is [`compare`]: align the two, then measure spectral
//! correlation, level difference and the longest gap where both have something to say; [`tone`]
//! measures a steady tone by itself.

mod align;
mod compare;
mod error;
mod resample;
mod spectrum;
mod speech;
mod wav;

#[cfg(test)]
mod tests;

pub use align::{Alignment, align, tile};
pub use compare::{Band, Comparison, compare, compare_looped, longest_gap_ms};
pub use error::MeasureError;
pub(crate) use resample::kernel;
pub use resample::resample;
pub use spectrum::{ToneFigures, ToneLevel, level_dbfs, tone, tones};
pub use speech::{speech, speech_wav};
pub use wav::{read_wav, trim_silence, write_wav};

/// Sample rate of every recording, Hz.
pub const RATE: u32 = 48_000;

/// Level given to digital silence, dBFS.
pub const SILENCE_DBFS: f32 = -100.0;

type Result<T> = std::result::Result<T, MeasureError>;

/// `i16` samples as -1.0 to 1.0.
pub(crate) fn to_float(samples: &[i16]) -> Vec<f32> {
    samples.iter().map(|&s| f32::from(s) / 32_768.0).collect()
}

/// -1.0 to 1.0 as `i16`, clipped.
pub(crate) fn to_i16(sample: f32) -> i16 {
    // `as` saturates and takes NaN to 0.
    (sample * 32_767.0).round() as i16
}
