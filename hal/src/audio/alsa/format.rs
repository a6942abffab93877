//! What a card gives and takes: bytes of its own sample format and channels, at its own rate.

use std::fmt;

/// How a card writes a sample down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 16 bits, little-endian.
    S16,
    /// 32 bits, little-endian; cards with 24-bit converters use the upper ones.
    S32,
}

impl Encoding {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S32 => 4,
        }
    }
}

/// What was agreed with one direction of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hardware {
    /// Frames per second.
    pub(super) rate_hz: u32,
    pub(super) channels: usize,
    pub(super) encoding: Encoding,
    /// Frames between two interrupts.
    pub(super) period_frames: usize,
    /// Frames.
    pub(super) buffer_frames: usize,
    /// The kernel's number of the card; `None` for a sound server and other plugins.
    pub(super) card: Option<u32>,
}

impl Hardware {
    pub(super) const fn frame_bytes(&self) -> usize {
        self.channels * self.encoding.bytes()
    }

    /// Both run on one crystal.
    pub(super) fn shares_clock_with(&self, other: &Self) -> bool {
        self.card.is_some() && self.card == other.card
    }

    /// The samples of `bytes`, mono, full scale +-1: the mean of the channels.
    pub(super) fn decode(&self, bytes: &[u8], samples: &mut [f32]) {
        let share = 1.0 / self.channels as f32;
        for (frame, to) in bytes.chunks_exact(self.frame_bytes()).zip(samples) {
            let sum: f32 = match self.encoding {
                Encoding::S16 => {
                    let words = frame.as_chunks::<2>().0.iter();
                    words
                        .map(|two| f32::from(i16::from_le_bytes(*two)) / 32_768.0)
                        .sum()
                }
                Encoding::S32 => {
                    let words = frame.as_chunks::<4>().0.iter();
                    words
                        .map(|four| i32::from_le_bytes(*four) as f32 / 2_147_483_648.0)
                        .sum()
                }
            };
            *to = sum * share;
        }
    }

    /// The same on all channels.
    pub(super) fn encode(&self, samples: &[f32], bytes: &mut [u8]) {
        for (sample, frame) in samples
            .iter()
            .zip(bytes.chunks_exact_mut(self.frame_bytes()))
        {
            match self.encoding {
                Encoding::S16 => {
                    let word = to_s16(*sample).to_le_bytes();
                    frame.as_chunks_mut::<2>().0.fill(word);
                }
                Encoding::S32 => {
                    // A float beyond the range becomes the range's end.
                    let word = (f64::from(*sample) * 2_147_483_648.0).round() as i32;
                    frame.as_chunks_mut::<4>().0.fill(word.to_le_bytes());
                }
            }
        }
    }
}

impl fmt::Display for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = 8 * self.encoding.bytes();
        let channels = match self.channels {
            1 => "mono",
            2 => "stereo",
            _ => "many channels",
        };
        write!(
            f,
            "{} Hz, {bits}-bit, {channels}, period {}, buffer {}",
            self.rate_hz, self.period_frames, self.buffer_frames
        )
    }
}

/// A sample of the phone's own format.
pub(super) fn to_s16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Hardware = Hardware {
        rate_hz: 48_000,
        channels: 1,
        encoding: Encoding::S16,
        period_frames: 480,
        buffer_frames: 1920,
        card: None,
    };

    #[test]
    fn every_sample_survives_every_format() {
        for encoding in [Encoding::S16, Encoding::S32] {
            for channels in [1, 2, 6] {
                let card = Hardware {
                    channels,
                    encoding,
                    ..CARD
                };
                let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
                let sound: Vec<f32> = samples.iter().map(|&s| f32::from(s) / 32_768.0).collect();
                let mut bytes = vec![0; sound.len() * card.frame_bytes()];
                card.encode(&sound, &mut bytes);
                let mut back = vec![9.0; sound.len()];
                card.decode(&bytes, &mut back);
                let back: Vec<i16> = back.into_iter().map(to_s16).collect();
                assert!(back == samples, "{card}");
            }
        }
    }

    #[test]
    fn too_loud_is_full_scale_and_channels_are_averaged() {
        for (encoding, top) in [
            (Encoding::S16, &[0xff, 0x7f][..]),
            (Encoding::S32, &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            let card = Hardware { encoding, ..CARD };
            let mut bytes = vec![0; encoding.bytes()];
            card.encode(&[1.5], &mut bytes);
            assert_eq!(bytes, top);
        }
        let stereo = Hardware {
            channels: 2,
            ..CARD
        };
        let mut samples = [0.0];
        stereo.decode(&[0, 0x40, 0, 0], &mut samples);
        assert!((samples[0] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn only_the_same_card_shares_its_clock() {
        let on = |card| Hardware { card, ..CARD };
        assert!(on(Some(1)).shares_clock_with(&on(Some(1))));
        assert!(!on(Some(1)).shares_clock_with(&on(Some(0))));
        assert!(!on(None).shares_clock_with(&on(None)), "a sound server");
    }
}
