use std::path::PathBuf;

use thiserror::Error;

/// Why a figure or a recording cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The file is not a WAV file this crate reads, or cannot be read or written.
    #[error("{file}: {source}", file = file.display())]
    Wav {
        /// The file.
        file: PathBuf,
        /// What the reader or writer said.
        source: hound::Error,
    },
    /// The recorded speech is not installed.
    #[error(
        "no recorded speech in {0}: install Debian's package alsa-utils (apt-get install alsa-utils)"
    )]
    NoSpeech(PathBuf),
    /// A recording is too short or silent, so that the figure would mean nothing.
    #[error("{0}")]
    NothingToMeasure(String),
    /// The transform refused its buffers.
    #[error("FFT: {0}")]
    Fft(#[from] realfft::FftError),
}
