//! Sound at 48 kHz to RTP payloads and back.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};

use super::config::Codec;
use super::g711;
use crate::measure::{kernel, to_i16};

/// 20 ms at 48 kHz.
pub(super) const FRAME: usize = 960;

/// 48 kHz samples per 8 kHz sample.
const RATIO: usize = 6;

/// Largest Opus payload: RFC 6716 section 3.4 allows 1275 bytes per frame.
const MAX_OPUS: usize = 1_275;

/// Bitrate of the far end's Opus: high enough that the codec is not what a test hears.
const OPUS_BITRATE: i32 = 64_000;

/// Codes what the far end says, 20 ms at a time.
pub(super) enum Encoder {
    Opus(opus::Encoder),
    Pcmu(Rate),
    Pcma(Rate),
}

impl Encoder {
    pub(super) fn new(codec: Codec, expected_loss_percent: u8) -> Result<Self> {
        Ok(match codec {
            Codec::Opus => {
                let mut encoder =
                    opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio)
                        .context("making an Opus encoder")?;
                encoder.set_bitrate(opus::Bitrate::Bits(OPUS_BITRATE))?;
                encoder.set_inband_fec(expected_loss_percent > 0)?;
                encoder.set_packet_loss_perc(i32::from(expected_loss_percent.min(100)))?;
                Self::Opus(encoder)
            }
            Codec::Pcmu => Self::Pcmu(Rate::down()),
            Codec::Pcma => Self::Pcma(Rate::down()),
        })
    }

    /// Codes one frame of [`FRAME`] samples.
    pub(super) fn encode(&mut self, frame: &[f32]) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Opus(encoder) => encoder.encode_vec_float(frame, MAX_OPUS)?,
            Self::Pcmu(rate) => rate
                .samples(frame)
                .map(|s| g711::mulaw_encode(to_i16(s)))
                .collect(),
            Self::Pcma(rate) => rate
                .samples(frame)
                .map(|s| g711::alaw_encode(to_i16(s)))
                .collect(),
        })
    }
}

/// Decodes what the phone says.
pub(super) enum Decoder {
    Opus(opus::Decoder),
    Pcmu(Rate),
    Pcma(Rate),
}

impl Decoder {
    pub(super) fn new(codec: Codec) -> Result<Self> {
        Ok(match codec {
            Codec::Opus => Self::Opus(
                opus::Decoder::new(48_000, opus::Channels::Mono)
                    .context("making an Opus decoder")?,
            ),
            Codec::Pcmu => Self::Pcmu(Rate::up()),
            Codec::Pcma => Self::Pcma(Rate::up()),
        })
    }

    /// Decodes one payload.
    pub(super) fn decode(&mut self, payload: &[u8]) -> Result<Vec<f32>> {
        match self {
            Self::Opus(decoder) => {
                // 120 ms is the longest packet (RFC 6716 section 3.1).
                let mut pcm = vec![0.0; 5_760];
                let length = decoder.decode_float(payload, &mut pcm, false)?;
                pcm.truncate(length);
                Ok(pcm)
            }
            Self::Pcmu(rate) => Ok(rate.expand(payload, g711::mulaw_decode)),
            Self::Pcma(rate) => Ok(rate.expand(payload, g711::alaw_decode)),
        }
    }

    /// Makes up `length` samples for a packet that did not come; `next` is the packet after it,
    /// which in Opus may describe it (in-band FEC).
    pub(super) fn conceal(&mut self, length: usize, next: Option<&[u8]>) -> Vec<f32> {
        match self {
            Self::Opus(decoder) => {
                let mut pcm = vec![0.0; length];
                let made = match next {
                    Some(payload) => decoder.decode_float(payload, &mut pcm, true),
                    None => decoder.decode_float(&[], &mut pcm, false),
                };
                // libopus conceals in steps of 2.5 ms; anything else is silence.
                pcm.truncate(made.unwrap_or(0));
                pcm.resize(length, 0.0);
                pcm
            }
            Self::Pcmu(rate) | Self::Pcma(rate) => {
                let silence = vec![0.0; length / RATIO];
                let mut pcm = rate.up_samples(&silence);
                pcm.resize(length, 0.0);
                pcm
            }
        }
    }
}

/// Conversion between 48 kHz and 8 kHz by one linear-phase FIR, keeping its history at the rate
/// it is fed with.
pub(super) struct Rate {
    taps: Vec<f32>,
    history: VecDeque<f32>,
}

impl Rate {
    /// Samples at 48 kHz on each side of the filter's middle.
    const HALF: usize = 96;

    /// Pass band to 3.6 kHz, stop band from 4.4 kHz.
    fn new(gain: f32, history: usize) -> Self {
        let taps = (0..2 * Self::HALF)
            .map(|n| {
                let distance = n as f32 - Self::HALF as f32 + 0.5;
                gain * kernel(distance, 1.0 / RATIO as f32, Self::HALF as f32)
            })
            .collect();
        let history = std::iter::repeat_n(0.0, history).collect();
        Self { taps, history }
    }

    fn down() -> Self {
        Self::new(1.0, 2 * Self::HALF)
    }

    fn up() -> Self {
        // Five of six inputs would be zeros: they are neither kept nor multiplied.
        Self::new(RATIO as f32, 2 * Self::HALF / RATIO)
    }

    fn push(&mut self, sample: f32) {
        self.history.pop_front();
        self.history.push_back(sample);
    }

    /// 48 kHz to 8 kHz.
    fn samples<'a>(&'a mut self, frame: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        frame.chunks_exact(RATIO).map(|chunk| {
            for &sample in chunk {
                self.push(sample);
            }
            self.taps
                .iter()
                .zip(&self.history)
                .map(|(tap, sample)| tap * sample)
                .sum()
        })
    }

    /// 8 kHz to 48 kHz.
    fn up_samples(&mut self, narrow: &[f32]) -> Vec<f32> {
        let mut wide = Vec::with_capacity(narrow.len() * RATIO);
        for &sample in narrow {
            self.push(sample);
            for phase in 0..RATIO {
                // The newest sample lies `phase` zeros before the end of the zero-stuffed signal.
                let taps = self.taps.iter().rev().skip(phase).step_by(RATIO);
                let newest_first = self.history.iter().rev();
                wide.push(
                    taps.zip(newest_first)
                        .map(|(tap, sample)| tap * sample)
                        .sum(),
                );
            }
        }
        wide
    }

    fn expand(&mut self, payload: &[u8], decode: fn(u8) -> i16) -> Vec<f32> {
        let narrow: Vec<f32> = payload
            .iter()
            .map(|&byte| f32::from(decode(byte)) / 32_768.0)
            .collect();
        self.up_samples(&narrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tone;

    /// One second of a tone through a codec, without the first 100 ms.
    fn through(codec: Codec, hz: f32, lose_every: usize) -> Vec<i16> {
        let mut encoder = Encoder::new(codec, 10).unwrap();
        let mut decoder = Decoder::new(codec).unwrap();
        let said: Vec<f32> = (0..48_000)
            .map(|n| 0.1 * (2.0 * std::f32::consts::PI * hz * n as f32 / 48_000.0).sin())
            .collect();
        let payloads: Vec<Vec<u8>> = said
            .chunks(FRAME)
            .map(|f| encoder.encode(f).unwrap())
            .collect();
        let mut heard = Vec::new();
        for (n, payload) in payloads.iter().enumerate() {
            if lose_every > 0 && n % lose_every == lose_every - 1 {
                heard.extend(decoder.conceal(FRAME, payloads.get(n + 1).map(Vec::as_slice)));
            } else {
                heard.extend(decoder.decode(payload).unwrap());
            }
        }
        assert_eq!(heard.len(), 48_000);
        heard[4_800..].iter().map(|&s| to_i16(s)).collect()
    }

    #[test]
    fn each_codec_carries_a_tone_at_its_level() {
        for codec in [Codec::Opus, Codec::Pcmu, Codec::Pcma] {
            let figures = tone(&through(codec, 440.0, 0)).unwrap();
            assert!(
                (figures.dominant_hz - 440.0).abs() < 1.0,
                "{codec:?} {figures:?}"
            );
            assert!((figures.dbfs + 20.0).abs() < 0.5, "{codec:?} {figures:?}");
            assert!(figures.purity > 0.99, "{codec:?} {figures:?}");
        }
    }

    #[test]
    fn g711_stops_what_8_khz_cannot_carry() {
        let figures = tone(&through(Codec::Pcmu, 5_000.0, 0)).unwrap();
        assert!(figures.dbfs < -50.0, "{figures:?}");
    }

    #[test]
    fn lost_opus_packets_are_concealed() {
        let figures = tone(&through(Codec::Opus, 440.0, 10)).unwrap();
        assert!((figures.dbfs + 20.0).abs() < 1.0, "{figures:?}");
        assert!(figures.purity > 0.9, "{figures:?}");
    }

    #[test]
    fn garbage_is_an_error_not_a_panic() {
        let mut decoder = Decoder::new(Codec::Opus).unwrap();
        let _ = decoder.decode(&[0xFF; 3]);
        assert_eq!(decoder.conceal(777, Some(&[0xFF])).len(), 777);
    }
}
