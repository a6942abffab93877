//! Opus (RFC 6716) by libopus, 48 kHz mono.

use super::{Decode, MAX_PACKET_SAMPLES, Payload};
use crate::audio::adaptation::Tuning;
use crate::audio::pipeline::OpusConfig;
use opus::{Application, Bitrate, Channels, Signal};

const RATE_HZ: u32 = offhook_hal::audio::RATE_HZ;
/// Largest packet made: fits one Ethernet frame with SRTP, a TURN header and IPv6.
const MAX_ENCODED_BYTES: usize = 1200;

/// The encoder.
pub struct OpusEncoder {
    encoder: opus::Encoder,
    dtx: bool,
    /// The last packet said that nobody speaks; no other one is needed until it changes.
    rests: bool,
}

/// A packet this short says that nobody speaks (RFC 7587 3.1.3): it is sent once.
pub const REST_BYTES: usize = 2;

impl OpusEncoder {
    /// For speech, as configured.
    pub fn new(config: OpusConfig) -> Result<Self, opus::Error> {
        let mut encoder = opus::Encoder::new(RATE_HZ, Channels::Mono, Application::Voip)?;
        encoder.set_bitrate(Bitrate::Bits(config.bitrate_bps as i32))?;
        encoder.set_complexity(config.complexity.into())?;
        encoder.set_inband_fec(config.fec)?;
        encoder.set_packet_loss_perc(config.expected_loss_percent.into())?;
        encoder.set_dtx(config.dtx)?;
        // Without the hint a tone or music on hold moves the encoder to CELT, which has no FEC.
        encoder.set_signal(Signal::Voice)?;
        encoder.set_lsb_depth(16)?;
        Ok(Self {
            encoder,
            dtx: config.dtx,
            rests: false,
        })
    }

    /// Forgets what it heard; settings stay.
    pub fn reset(&mut self) {
        // OPUS_RESET_STATE cannot fail on a valid encoder.
        let _ = self.encoder.reset_state();
        self.rests = false;
    }

    /// Follows the network.
    pub fn tune(&mut self, tuning: Tuning) {
        // Both lie within libopus's ranges; it has no other reason to refuse.
        let _ = self
            .encoder
            .set_bitrate(Bitrate::Bits(tuning.bitrate_bps as i32));
        let _ = self
            .encoder
            .set_packet_loss_perc(tuning.expected_loss_percent.into());
    }

    /// One packet; an empty one while nobody speaks and the far end knows.
    pub fn encode(&mut self, sound: &[f32], payload: &mut Payload) -> bool {
        if payload.resize_default(MAX_ENCODED_BYTES).is_err() {
            return false;
        }
        let encoded = self.encoder.encode_float(sound, payload);
        payload.truncate(encoded.as_ref().map_or(0, |&bytes| bytes));
        let rests = self.dtx && payload.len() <= REST_BYTES;
        if rests && self.rests {
            payload.clear();
        }
        self.rests = rests;
        encoded.is_ok()
    }
}

/// The decoder.
pub struct OpusDecoder(opus::Decoder);

impl OpusDecoder {
    /// Decodes stereo packets to mono as well.
    pub fn new() -> Result<Self, opus::Error> {
        Ok(Self(opus::Decoder::new(RATE_HZ, Channels::Mono)?))
    }
}

impl Decode for OpusDecoder {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        if payload.is_empty() {
            return None;
        }
        let samples = opus::packet::get_nb_samples(payload, RATE_HZ).ok()?;
        (1..=MAX_PACKET_SAMPLES)
            .contains(&samples)
            .then_some(samples)
    }

    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        // An empty payload would mean "conceal" to libopus.
        let samples = self.samples(payload)?;
        let out = out.get_mut(..samples)?;
        let decoded = self.0.decode_float(payload, out, false).ok()?;
        bound(out);
        Some(decoded)
    }

    fn recover(&mut self, following: &[u8], out: &mut [f32]) -> bool {
        let recovered =
            has_redundancy(following) && self.0.decode_float(following, out, true).is_ok();
        if recovered {
            bound(out);
        }
        recovered
    }

    fn carries_copy(&self, payload: &[u8]) -> bool {
        has_redundancy(payload)
    }

    fn rests(&self, payload: &[u8]) -> bool {
        payload.len() <= REST_BYTES
    }

    fn comfort_noise(&mut self, _level: u8) {
        // libopus makes its own after a packet that says so.
    }

    fn conceal(&mut self, out: &mut [f32]) {
        if self.0.decode_float(&[], out, false).is_err() {
            out.fill(0.0);
        }
        bound(out);
    }

    fn reset(&mut self) {
        // OPUS_RESET_STATE cannot fail on a valid decoder.
        let _ = self.0.reset_state();
    }
}

/// The most that a decoded sample may be. A good encoder's sound overshoots full scale a little; bytes that are no Opus
/// decode to numbers of any size.
const MAX_SAMPLE: f32 = 2.0;

fn bound(sound: &mut [f32]) {
    for sample in sound {
        *sample = if sample.is_nan() {
            0.0
        } else {
            sample.clamp(-MAX_SAMPLE, MAX_SAMPLE)
        };
    }
}

/// Whether the packet carries a low bit-rate copy of the one before it (LBRR, RFC 6716 4.2.3 and 4.2.4).
///
/// Read from the header bits, because libopus, asked for a copy that is not there, conceals without saying so.
/// Only the first Opus frame of a packet carries the copy; the header bits of its SILK part are one voice activity
/// bit per 20 ms, then the LBRR bit, first for the middle, then for the side channel.
fn has_redundancy(packet: &[u8]) -> bool {
    let Some(&toc) = packet.first() else {
        return false;
    };
    let config = toc >> 3;
    // 3.1: configurations 16 and up are CELT only.
    let silk_frames = match config {
        0..=11 => match config & 3 {
            2 => 2, // 40 ms
            3 => 3, // 60 ms
            _ => 1, // 10 and 20 ms
        },
        12..=15 => 1, // hybrid: 10 and 20 ms
        _ => return false,
    };
    let Some(&header) = packet.get(first_frame_offset(packet)) else {
        return false;
    };
    let middle = header >> (7 - silk_frames) & 1 == 1;
    let side = toc & 4 != 0 && header >> (7 - (2 * silk_frames + 1)) & 1 == 1;
    middle || side
}

/// Where the first frame's data starts (RFC 6716, 3.2); beyond the packet if there is none.
fn first_frame_offset(packet: &[u8]) -> usize {
    let length_bytes = |at: usize| match packet.get(at) {
        Some(252..) => 2,
        _ => 1,
    };
    match packet.first().map(|toc| toc & 3) {
        // Code 2: two frames, the first one's length in front.
        Some(2) => 1 + length_bytes(1),
        Some(3) => {
            let Some(&count) = packet.get(1) else {
                return usize::MAX;
            };
            let (vbr, padded, frames) = (count & 0x80 != 0, count & 0x40 != 0, count & 0x3f);
            let mut at = 2;
            if padded {
                while packet.get(at) == Some(&255) {
                    at += 1;
                }
                at += 1;
            }
            if vbr {
                for _ in 1..frames {
                    at += length_bytes(at);
                }
            }
            at
        }
        // Codes 0 and 1: one frame, or two of equal length.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::ramp::ms;
    use std::f32::consts::TAU;

    fn voiced(n: usize) -> f32 {
        (1..8)
            .map(|k| (TAU * 150.0 * k as f32 * n as f32 / 48_000.0).sin() / k as f32)
            .sum::<f32>()
            * 0.2
    }

    fn packets(config: OpusConfig, frame_ms: usize, count: usize) -> Vec<Payload> {
        let mut encoder = OpusEncoder::new(config).unwrap();
        (0..count)
            .map(|packet| {
                let start = packet * ms(frame_ms);
                let sound: Vec<f32> = (start..start + ms(frame_ms)).map(voiced).collect();
                let mut payload = Payload::new();
                assert!(encoder.encode(&sound, &mut payload));
                payload
            })
            .collect()
    }

    #[test]
    fn redundancy_is_seen_exactly_when_the_encoder_puts_it_in() {
        for (frame_ms, fec, want) in [
            (20, true, true),
            (20, false, false),
            (40, true, true),
            (60, true, true),
        ] {
            let config = OpusConfig {
                fec,
                expected_loss_percent: 15,
                ..OpusConfig::default()
            };
            let with = packets(config, frame_ms, 20)
                .iter()
                .filter(|p| has_redundancy(p))
                .count();
            assert_eq!(
                with > 5,
                want,
                "{with} of 20 packets of {frame_ms} ms with FEC {fec}"
            );
        }
    }

    /// With 5 % expected, libopus leaves the copies out at 32 kbit/s.
    #[test]
    fn where_packets_get_lost_there_are_copies_at_every_bit_rate() {
        for bitrate_bps in [20_000, 24_000, 32_000, 40_000, 64_000] {
            let feedback = crate::audio::Feedback::default();
            let config = OpusConfig {
                bitrate_bps,
                ..OpusConfig::default()
            };
            let mut adaptation = crate::audio::adaptation::Adaptation::new(Tuning {
                bitrate_bps,
                expected_loss_percent: config.expected_loss_percent,
            });
            for _ in 0..20 {
                feedback.reported(2.0);
                adaptation.follow(&feedback);
            }
            feedback.reported(2.0);
            let mut encoder = OpusEncoder::new(config).unwrap();
            encoder.tune(adaptation.follow(&feedback).unwrap());
            let mut with = 0;
            for packet in 0..30 {
                let sound: Vec<f32> = (packet * 960..(packet + 1) * 960).map(voiced).collect();
                let mut payload = Payload::new();
                assert!(encoder.encode(&sound, &mut payload));
                with += usize::from(has_redundancy(&payload));
            }
            assert!(with > 20, "{bitrate_bps} bit/s: {with} of 30 packets");
        }
    }

    #[test]
    fn a_packet_is_recovered_from_its_follower() {
        let config = OpusConfig {
            expected_loss_percent: 15,
            ..OpusConfig::default()
        };
        let packets = packets(config, 20, 12);
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = vec![0.0; MAX_PACKET_SAMPLES];
        for packet in &packets[..9] {
            assert_eq!(decoder.decode(packet, &mut out), Some(960));
        }
        let mut recovered = vec![0.0; 960];
        assert!(decoder.recover(&packets[10], &mut recovered));
        let rms = |x: &[f32]| (x.iter().map(|s| s * s).sum::<f32>() / x.len() as f32).sqrt();
        let ratio = rms(&recovered) / rms(&out[..960]);
        assert!((0.7..1.4).contains(&ratio), "level changes by {ratio}");
    }

    #[test]
    fn while_nobody_speaks_hardly_anything_is_sent_and_a_quiet_noise_is_heard() {
        let mut encoder = OpusEncoder::new(OpusConfig {
            dtx: true,
            ..OpusConfig::default()
        })
        .unwrap();
        let mut x = 1u32;
        let mut hiss = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((x >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.003
        };
        let mut decoder = OpusDecoder::new().unwrap();
        let (mut out, mut payload) = (vec![0.0; MAX_PACKET_SAMPLES], Payload::new());
        let (mut sent, mut loudness) = (0, Vec::new());
        for n in 0..300 {
            let sound: Vec<f32> = (0..960).map(|_| hiss()).collect();
            assert!(encoder.encode(&sound, &mut payload));
            if payload.is_empty() {
                decoder.conceal(&mut out[..960]);
            } else {
                sent += usize::from(n >= 100);
                decoder.decode(&payload, &mut out).unwrap();
            }
            if n >= 100 {
                loudness.push((out[..960].iter().map(|s| s * s).sum::<f32>() / 960.0).sqrt());
            }
        }
        // A full one every 400 ms, and some after it until it rests again.
        assert!(sent < 60, "{sent} of 200 packets");
        let mean = loudness.iter().sum::<f32>() / loudness.len() as f32;
        let hole = loudness.iter().filter(|&&one| one < mean / 8.0).count();
        assert!((0.0003..0.01).contains(&mean), "{mean}");
        assert!(hole < 20, "{hole} of 200 frames are silent");
    }

    #[test]
    fn damaged_packets_are_refused_not_feared() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = vec![0.0; MAX_PACKET_SAMPLES];
        for packet in [
            &[][..],
            &[0xff],
            &[0x03],
            &[0x03, 0x00],
            &[0x7b, 0xff, 0xff],
            &[0xfe; 3],
        ] {
            let refused = decoder.decode(packet, &mut out).is_none();
            let _ = has_redundancy(packet);
            assert!(refused || !packet.is_empty());
        }
        assert_eq!(decoder.decode(&[], &mut out), None);
        // A 120 ms packet of six 20 ms CELT frames without data.
        assert_eq!(decoder.samples(&[0xfb, 0x06]), Some(MAX_PACKET_SAMPLES));
    }
}
