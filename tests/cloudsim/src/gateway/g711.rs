//! G.711 companding (ITU-T G.711), one sample at a time.

/// A linear 16-bit sample as mu-law.
pub(crate) fn mulaw_encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    // The bias guarantees bit 7, the clip forbids bit 15: 0 to 7.
    let exponent = 24 - magnitude.leading_zeros() as i32;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !(sign | (exponent << 4) | mantissa) as u8
}

/// A mu-law byte as a linear sample.
pub(crate) fn mulaw_decode(byte: u8) -> i16 {
    let byte = !byte;
    let exponent = (byte >> 4) & 0x07;
    let mantissa = i32::from(byte & 0x0F);
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    signed(magnitude, byte & 0x80 != 0)
}

/// A linear 16-bit sample as A-law.
pub(crate) fn alaw_encode(sample: i16) -> u8 {
    // A-law codes 13 bits; the ones' complement keeps -1 in the lowest step.
    let (sign, magnitude) = if sample < 0 {
        (0x00, i32::from(!sample) >> 3)
    } else {
        (0x80, i32::from(sample) >> 3)
    };
    let exponent = (27 - magnitude.max(1).leading_zeros() as i32).max(0);
    let mantissa = if exponent == 0 {
        magnitude >> 1
    } else {
        magnitude >> exponent
    } & 0x0F;
    ((sign | (exponent << 4) | mantissa) as u8) ^ 0x55
}

/// An A-law byte as a linear sample.
pub(crate) fn alaw_decode(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let exponent = (byte >> 4) & 0x07;
    let mantissa = i32::from(byte & 0x0F);
    let magnitude = if exponent == 0 {
        (mantissa << 4) + 8
    } else {
        ((mantissa << 4) + 0x108) << (exponent - 1)
    };
    signed(magnitude, byte & 0x80 == 0)
}

fn signed(magnitude: i32, negative: bool) -> i16 {
    if negative {
        -magnitude as i16
    } else {
        magnitude as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes() {
        // ITU-T G.711 tables 1a and 2a, first and last decision values, and silence.
        assert_eq!(mulaw_encode(0), 0xFF);
        assert_eq!(mulaw_encode(i16::MAX), 0x80);
        assert_eq!(mulaw_encode(i16::MIN), 0x00);
        assert_eq!(mulaw_decode(0x80), 32_124);
        assert_eq!(mulaw_decode(0x00), -32_124);
        assert_eq!(mulaw_decode(0xFF), 0);
        assert_eq!(alaw_encode(0), 0xD5);
        assert_eq!(alaw_encode(i16::MAX), 0xAA);
        assert_eq!(alaw_encode(i16::MIN), 0x2A);
        assert_eq!(alaw_decode(0xD5), 8);
        assert_eq!(alaw_decode(0x55), -8);
        assert_eq!(alaw_decode(0xAA), 32_256);
    }

    #[test]
    fn every_code_survives_a_round_trip() {
        for byte in 0..=u8::MAX {
            // Mu-law has two zeros; the encoder uses the positive one.
            if byte != 0x7F {
                assert_eq!(mulaw_encode(mulaw_decode(byte)), byte, "mu-law {byte:#x}");
            }
            assert_eq!(alaw_encode(alaw_decode(byte)), byte, "A-law {byte:#x}");
        }
    }

    #[test]
    fn the_error_is_a_small_part_of_the_sample() {
        for sample in (i16::MIN + 700..i16::MAX - 700).step_by(7) {
            let close = |decoded: i16| {
                (i32::from(decoded) - i32::from(sample)).abs() <= i32::from(sample).abs() / 16 + 16
            };
            assert!(close(mulaw_decode(mulaw_encode(sample))), "mu-law {sample}");
            assert!(close(alaw_decode(alaw_encode(sample))), "A-law {sample}");
        }
    }
}
