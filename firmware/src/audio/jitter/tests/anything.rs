//! Whatever comes off the wire, the buffer neither panics nor plays what is no sound.

use super::super::JitterBuffer;
use crate::audio::CodecKind;
use crate::audio::codec::{Decoder, Payload, samples_per_tick};
use crate::audio::{Content, Frame, RtpPacket};
use offhook_hal::audio::PERIOD_FRAMES;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// One packet: how it differs from its predecessor, and its payload.
#[derive(Clone, Debug)]
struct Step {
    sequence: i16,
    timestamp: i32,
    ssrc: u32,
    content: Content,
    /// Arrival against the period it is given in, ms.
    early_ms: u64,
    payload: Vec<u8>,
    /// Periods after it.
    periods: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let sequence = prop_oneof![8 => Just(1i16), 1 => -5i16..5, 1 => any::<i16>()];
    let timestamp = prop_oneof![8 => Just(960i32), 1 => -5000i32..5000, 1 => any::<i32>()];
    let ssrc = prop_oneof![8 => Just(1u32), 1 => 1u32..3];
    let content = prop_oneof![8 => Just(Content::Audio), 1 => Just(Content::ComfortNoise), 1 => Just(Content::Nothing)];
    let early_ms = prop_oneof![4 => 0u64..20, 1 => 0u64..100_000];
    let payload = prop_oneof![
        1 => vec(any::<u8>(), 0..1500),
        // 20 ms of SILK, hybrid and CELT, with any content.
        4 => (prop_oneof![Just(0x48u8), Just(0x78), Just(0xf8)], vec(any::<u8>(), 0..100)).prop_map(|(toc, mut rest)| {
            rest.insert(0, toc);
            rest
        }),
    ];
    (
        sequence,
        timestamp,
        ssrc,
        content,
        early_ms,
        payload,
        0u8..4,
    )
        .prop_map(
            |(sequence, timestamp, ssrc, content, early_ms, payload, periods)| Step {
                sequence,
                timestamp,
                ssrc,
                content,
                early_ms,
                payload,
                periods,
            },
        )
}

fn play(kind: CodecKind, steps: Vec<Step>) {
    let mut jitter = JitterBuffer::new(0);
    let mut decoder = Decoder::new().unwrap();
    decoder.start(kind);
    jitter.start(samples_per_tick(kind));
    let base = Instant::now() + Duration::from_secs(1000);
    let (mut sequence, mut timestamp, mut period) = (0u16, 0u32, 0u32);
    for step in steps {
        sequence = sequence.wrapping_add_signed(step.sequence);
        timestamp = timestamp.wrapping_add_signed(step.timestamp);
        let now = base + Duration::from_millis(10) * period;
        let packet = RtpPacket {
            content: step.content,
            sequence,
            timestamp,
            ssrc: step.ssrc,
            marker: false,
            arrival: now
                .checked_sub(Duration::from_millis(step.early_ms))
                .unwrap(),
            payload: Payload::from_slice(&step.payload).unwrap(),
        };
        jitter.insert(packet, now);
        for _ in 0..step.periods {
            let now = base + Duration::from_millis(10) * period;
            let mut frame: Frame = [f32::NAN; PERIOD_FRAMES];
            jitter.pull(&mut decoder, now, &mut frame);
            // Opus may overshoot full scale; the limiter is behind.
            assert!(frame.iter().all(|sample| sample.abs() <= 2.1));
            period += 1;
        }
        assert!(jitter.pcm.len() < PERIOD_FRAMES + 5760 + 720);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_panics(kind in prop_oneof![Just(CodecKind::Opus), Just(CodecKind::Pcmu)], steps in vec(step(), 1..200)) {
        play(kind, steps);
    }
}
