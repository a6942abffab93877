//! G.711 (ITU-T G.711, RFC 3551 4.5.14): 8 kHz, one byte per sample.

use super::concealer::Concealer;
use super::resample::{Decimator, Interpolator, RATIO};
use super::{Decode, MAX_PACKET_SAMPLES, Payload};
use crate::audio::CodecKind;

/// Samples at 8 kHz in the longest packet.
const MAX_NARROW: usize = MAX_PACKET_SAMPLES / RATIO;

/// Which companding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// North America, Japan.
    Mu,
    /// Everyone else.
    A,
}

impl Law {
    /// The law of a codec, if it is G.711.
    pub fn of(kind: CodecKind) -> Option<Self> {
        match kind {
            CodecKind::Opus => None,
            CodecKind::Pcmu => Some(Self::Mu),
            CodecKind::Pcma => Some(Self::A),
        }
    }

    fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu_encode(sample),
            Self::A => a_encode(sample),
        }
    }

    fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Mu => mu_decode(byte),
            Self::A => a_decode(byte),
        }
    }
}

/// The encoder.
pub struct G711Encoder {
    law: Law,
    decimator: Decimator,
    narrow: Box<[f32; MAX_NARROW]>,
}

impl G711Encoder {
    pub fn new() -> Self {
        Self {
            law: Law::Mu,
            decimator: Decimator::new(),
            narrow: Box::new([0.0; MAX_NARROW]),
        }
    }

    /// Forgets what it heard.
    pub fn start(&mut self, law: Law) {
        self.law = law;
        self.decimator.reset();
    }

    /// One packet.
    pub fn encode(&mut self, sound: &[f32], payload: &mut Payload) -> bool {
        let samples = self.decimator.process(sound, &mut self.narrow[..]);
        payload.clear();
        let law = self.law;
        let bytes = self.narrow[..samples].iter().map(|sample| {
            law.encode((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)
        });
        if samples > payload.capacity() {
            return false;
        }
        payload.extend(bytes);
        true
    }
}

/// The decoder with its concealment.
pub struct G711Decoder {
    law: Law,
    interpolator: Interpolator,
    concealer: Concealer,
    narrow: Box<[f32; MAX_NARROW]>,
}

impl G711Decoder {
    pub fn new() -> Self {
        Self {
            law: Law::Mu,
            interpolator: Interpolator::new(),
            concealer: Concealer::new(),
            narrow: Box::new([0.0; MAX_NARROW]),
        }
    }

    pub fn set_law(&mut self, law: Law) {
        self.law = law;
    }
}

impl Decode for G711Decoder {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        (1..=MAX_NARROW)
            .contains(&payload.len())
            .then_some(payload.len() * RATIO)
    }

    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        let samples = self.samples(payload)?;
        let out = out.get_mut(..samples)?;
        let narrow = &mut self.narrow[..payload.len()];
        for (to, &byte) in narrow.iter_mut().zip(payload) {
            *to = f32::from(self.law.decode(byte)) / 32_768.0;
        }
        self.concealer.heard(narrow);
        Some(self.interpolator.process(narrow, out))
    }

    fn recover(&mut self, _following: &[u8], _out: &mut [f32]) -> bool {
        false // G.711 has no redundancy of its own
    }

    fn carries_copy(&self, _payload: &[u8]) -> bool {
        false
    }

    fn rests(&self, _payload: &[u8]) -> bool {
        false // that is what comfort noise packets are for
    }

    fn comfort_noise(&mut self, level: u8) {
        self.concealer.comfort_noise(level);
    }

    fn conceal(&mut self, out: &mut [f32]) {
        let narrow = &mut self.narrow[..(out.len() / RATIO).min(MAX_NARROW)];
        self.concealer.conceal(narrow);
        self.interpolator.process(narrow, out);
    }

    fn reset(&mut self) {
        self.interpolator.reset();
        self.concealer.reset();
    }
}

/// G.711 table 2: 14-bit magnitudes with a bias of 33, here on a 16-bit scale.
const MU_BIAS: i32 = 0x84;
const MU_CLIP: i32 = 32_635;

fn mu_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(MU_CLIP) + MU_BIAS;
    let exponent = (31 - magnitude.leading_zeros() as i32) - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

fn mu_decode(byte: u8) -> i16 {
    let code = !byte;
    let exponent = i32::from(code >> 4 & 7);
    let magnitude = (((i32::from(code & 0x0f) << 3) + MU_BIAS) << exponent) - MU_BIAS;
    if code & 0x80 != 0 {
        -magnitude as i16
    } else {
        magnitude as i16
    }
}

/// Even bits are inverted on the line (G.711 table 1, note 2).
const A_INVERT: u8 = 0x55;

fn a_encode(sample: i16) -> u8 {
    // 13-bit magnitude; one's complement, so that -1 is the mirror of 0.
    let (sign, magnitude) = if sample >= 0 {
        (0x80, sample >> 3)
    } else {
        (0, !sample >> 3)
    };
    let magnitude = i32::from(magnitude);
    let exponent = (32 - (magnitude >> 4).leading_zeros() as i32 - 1).max(0);
    let code = if magnitude < 32 {
        (magnitude >> 1) as u8
    } else {
        ((exponent << 4) | ((magnitude >> exponent) & 0x0f)) as u8
    };
    (sign | code) ^ A_INVERT
}

fn a_decode(byte: u8) -> i16 {
    let code = byte ^ A_INVERT;
    let exponent = i32::from(code >> 4 & 7);
    let mantissa = i32::from(code & 0x0f);
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 != 0 {
        magnitude as i16
    } else {
        -magnitude as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_standard() {
        // (law, sample, code): G.711 tables 1a, 2a: zero, smallest steps, the ends.
        for (law, sample, code) in [
            (Law::Mu, 0, 0xff),
            (Law::Mu, -1, 0x7f),
            (Law::Mu, 32_767, 0x80),
            (Law::Mu, -32_768, 0x00),
            (Law::Mu, 8, 0xfe),
            (Law::Mu, 1000, 0xce),
            (Law::A, 0, 0xd5),
            (Law::A, -1, 0x55),
            (Law::A, 32_767, 0xaa),
            (Law::A, -32_768, 0x2a),
            (Law::A, 1000, 0xfa),
        ] {
            assert_eq!(
                law.encode(sample),
                code,
                "{law:?} {sample}: {:02x}",
                law.encode(sample)
            );
        }
    }

    #[test]
    fn each_code_survives_and_each_sample_is_near() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=255u8 {
                let sample = law.decode(code);
                // Mu-law has two zeros.
                let again = law.encode(sample);
                assert_eq!(law.decode(again), sample, "{law:?} {code:02x}");
            }
            for sample in (i16::MIN..=i16::MAX).step_by(7) {
                let error = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                let allowed = (i32::from(sample).abs() / 16).max(16)
                    + 140 * i32::from(sample.unsigned_abs() > 32_000);
                assert!(error <= allowed, "{law:?} {sample}: off by {error}");
            }
        }
    }

    #[test]
    fn payloads_out_of_range_are_refused() {
        let mut decoder = G711Decoder::new();
        let mut out = vec![0.0; MAX_PACKET_SAMPLES];
        assert_eq!(decoder.decode(&[], &mut out), None);
        assert_eq!(decoder.decode(&[0xff; 961], &mut out), None);
        assert_eq!(decoder.decode(&[0xff; 960], &mut out), Some(5760));
    }
}
