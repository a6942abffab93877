//! What the far end says, 20 ms at a time.

use std::f64::consts::TAU;

use anyhow::Result;

use super::codec::FRAME;
use super::config::FarEndSource;
use crate::measure::{RATE, read_wav};

/// A source of sound at 48 kHz.
pub(super) enum Voice {
    Tone {
        step: f64,
        phase: f64,
        amplitude: f32,
    },
    Wav {
        samples: Vec<i16>,
        next: usize,
    },
    Echo,
    Silence,
}

impl Voice {
    /// Prepares a source; reads the file of [`FarEndSource::Wav`]. The browser has its own
    /// voice: here it is silence.
    pub(super) fn new(source: &FarEndSource) -> Result<Self> {
        Ok(match source {
            FarEndSource::Tone { hz, dbfs } => Self::Tone {
                step: f64::from(*hz) / f64::from(RATE),
                phase: 0.0,
                amplitude: 10_f32.powf(dbfs / 20.0),
            },
            FarEndSource::Wav(file) => {
                let samples = read_wav(file)?;
                anyhow::ensure!(!samples.is_empty(), "{}: no sound in it", file.display());
                Self::Wav { samples, next: 0 }
            }
            FarEndSource::Echo => Self::Echo,
            FarEndSource::Silence | FarEndSource::Browser => Self::Silence,
        })
    }

    /// The next [`FRAME`] samples; `heard` is what the phone said in the meantime.
    pub(super) fn frame(&mut self, heard: &[f32]) -> Vec<f32> {
        match self {
            Self::Tone {
                step,
                phase,
                amplitude,
            } => (0..FRAME)
                .map(|_| {
                    let sample = *amplitude * (*phase * TAU).sin() as f32;
                    *phase = (*phase + *step).fract();
                    sample
                })
                .collect(),
            Self::Wav { samples, next } => (0..FRAME)
                .map(|_| {
                    let sample = samples.get(*next).copied().unwrap_or(0);
                    *next = (*next + 1) % samples.len().max(1);
                    f32::from(sample) / 32_768.0
                })
                .collect(),
            Self::Echo => {
                let mut frame = heard.to_vec();
                frame.resize(FRAME, 0.0);
                frame
            }
            Self::Silence => vec![0.0; FRAME],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{to_i16, tone, write_wav};

    fn second(source: &FarEndSource) -> Vec<i16> {
        let mut voice = Voice::new(source).unwrap();
        (0..50)
            .flat_map(|_| voice.frame(&[0.5; FRAME]))
            .map(to_i16)
            .collect()
    }

    #[test]
    fn a_tone_runs_on_without_a_click() {
        let figures = tone(&second(&FarEndSource::Tone {
            hz: 441.7,
            dbfs: -12.0,
        }))
        .unwrap();
        assert!((figures.dominant_hz - 441.7).abs() < 0.2, "{figures:?}");
        assert!((figures.dbfs + 12.0).abs() < 0.05, "{figures:?}");
        assert!(figures.purity > 0.9999, "{figures:?}");
    }

    #[test]
    fn a_wav_file_is_looped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loop.wav");
        let counted: Vec<i16> = (0..1_000).collect();
        write_wav(&file, &counted).unwrap();
        let said = second(&FarEndSource::Wav(file));
        assert!((i32::from(said[999]) - 999).abs() <= 1 && said[1_000].abs() <= 1);
        assert!((i32::from(said[2_500]) - 500).abs() <= 1);
    }

    #[test]
    fn an_echo_says_what_it_heard_and_silence_nothing() {
        assert!(
            second(&FarEndSource::Echo)
                .iter()
                .all(|&s| s == to_i16(0.5))
        );
        assert!(second(&FarEndSource::Silence).iter().all(|&s| s == 0));
    }

    #[test]
    fn a_missing_or_empty_file_is_named() {
        let missing = Voice::new(&FarEndSource::Wav("/nonexistent.wav".into()))
            .err()
            .unwrap();
        assert!(missing.to_string().contains("/nonexistent.wav"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.wav");
        write_wav(&file, &[]).unwrap();
        let empty = Voice::new(&FarEndSource::Wav(file)).err().unwrap();
        assert!(empty.to_string().contains("no sound"));
    }
}
