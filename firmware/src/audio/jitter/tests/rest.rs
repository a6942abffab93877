//! A far end that sends nothing while nobody speaks: comfort noise fills the rest, and the next talk spurt has the
//! delay of the first.

use super::Run;
use crate::audio::CodecKind;
use crate::audio::Content;
use crate::audio::codec::{Decode, Decoder, Encoder, Payload, samples_per_tick};
use crate::audio::pipeline::OpusConfig;
use crate::audio::ramp::ms;
use crate::audio::tests::measure::{biggest_step, rms};

/// Speech for 1 s, nothing for `rest_ms`, speech for 1 s, in packets of 20 ms; the last of the first spurt says that
/// there is a rest. What was played, and the biggest step that the codec makes with the same packets and nothing around.
fn run(kind: CodecKind, rest_ms: usize) -> (Run<Decoder>, f32) {
    let mut decoder = Decoder::new().unwrap();
    decoder.start(kind);
    let mut run = Run::with_decoder(decoder);
    run.jitter.start(samples_per_tick(kind));
    let config = OpusConfig {
        dtx: true,
        ..OpusConfig::default()
    };
    let mut encoder = Encoder::new(config).unwrap();
    encoder.start(kind);
    let mut dice = 1u32;
    let mut alone = Decoder::new().unwrap();
    alone.start(kind);
    let mut decoded = vec![0.0; 5760];
    let mut plain = Vec::new();
    let mut sequence = 0;
    for n in 0..100 + rest_ms / 20 {
        let speaks = !(50..50 + rest_ms / 20).contains(&n);
        let sound: Vec<f32> = (0..960)
            .map(|k| {
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let hiss = ((dice >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.002;
                let t = (n * 960 + k) as f32 / 48_000.0;
                let voice = (1..5).map(|h| (t * 140.0 * std::f32::consts::TAU * h as f32).sin());
                hiss + if speaks {
                    voice.sum::<f32>() * 0.08
                } else {
                    0.0
                }
            })
            .collect();
        let mut payload = Payload::new();
        assert!(encoder.encode(&sound, &mut payload));
        let mut content = Content::Audio;
        if kind != CodecKind::Opus && !speaks {
            payload.clear();
            if n == 50 {
                // 60 dB below overload, which is what the hiss has, and a spectrum that is not looked at.
                payload.extend([60, 128]);
                content = Content::ComfortNoise;
            }
        }
        if content == Content::ComfortNoise || payload.is_empty() {
            alone.conceal(&mut decoded[..960]);
        } else {
            assert_eq!(alone.decode(&payload, &mut decoded), Some(960));
        }
        plain.extend_from_slice(&decoded[..960]);
        if payload.is_empty() {
            continue;
        }
        sequence += 1;
        run.arrive((n * 20) as f64, |packet| {
            packet.content = content;
            packet.sequence = sequence;
            packet.timestamp = (n * 960) as u32 / samples_per_tick(kind) as u32;
            packet.payload = payload;
        });
    }
    run.play((2000 + rest_ms - 20) as f64);
    (run, biggest_step(&plain[ms(500)..]))
}

#[test]
fn a_rest_is_filled_with_noise_and_costs_neither_delay_nor_concealment() {
    for kind in [CodecKind::Pcmu, CodecKind::Pcma, CodecKind::Opus] {
        for rest_ms in [300, 3000, 20_000] {
            let (run, codec) = run(kind, rest_ms);
            let counters = run.jitter.counters();
            println!("{kind:?}, {rest_ms} ms: {counters:?}");
            assert_eq!(
                (counters.lost, counters.late),
                (0, 0),
                "{kind:?}, {rest_ms} ms"
            );
            // Opus needs a while to believe that nobody speaks, and its first packet of a spurt is a surprise.
            assert!(
                counters.concealed_samples <= 2 * 960,
                "{kind:?}: {counters:?}"
            );
            let quiet = &run.played[ms(1000 + rest_ms / 2)..ms(1000 + rest_ms - 50)];
            let loudest = quiet.chunks_exact(480).map(rms).fold(0.0, f32::max);
            let quietest = quiet.chunks_exact(480).map(rms).fold(1.0, f32::min);
            assert!(
                loudest < 0.01 && quietest > 0.0001,
                "{kind:?}, {rest_ms} ms: {quietest} to {loudest}"
            );
            let (first, second) = (
                &run.played[ms(500)..ms(900)],
                &run.played[ms(1500 + rest_ms)..ms(1900 + rest_ms)],
            );
            assert!((rms(second) / rms(first) - 1.0).abs() < 0.1, "{kind:?}");
            let steps = (biggest_step(&run.played[ms(500)..]), biggest_step(first));
            // Opus itself steps where it changes its mode.
            assert!(
                steps.0 < (1.5 * steps.1).max(1.05 * codec),
                "{kind:?}, {rest_ms} ms: a click: {steps:?}, the codec alone: {codec}"
            );
            let delays = (run.delays[80], *run.delays.last().unwrap());
            assert!(
                (delays.0 - delays.1).abs() < 12.0,
                "{kind:?}: {delays:?} ms"
            );
        }
    }
}

#[test]
fn a_call_that_begins_with_a_rest_plays_its_voice_all_the_same() {
    let mut decoder = Decoder::new().unwrap();
    decoder.start(CodecKind::Pcmu);
    let mut run = Run::with_decoder(decoder);
    run.jitter.start(6);
    let noise = |level: &[u8]| Payload::from_slice(level).unwrap();
    run.arrive(0.0, |packet| {
        packet.content = Content::ComfortNoise;
        packet.payload = noise(&[55]);
    });
    for n in 1..50u16 {
        run.arrive(f64::from(n) * 20.0, |packet| {
            packet.sequence = n;
            packet.timestamp = u32::from(n) * 160;
            packet.payload = noise(&[0x20; 160]);
        });
    }
    run.play(900.0);
    assert!(rms(&run.played[ms(500)..ms(800)]) > 0.1);
}

/// A far end that speaks for a second, is silent for an hour and speaks again: with nothing at all sent meanwhile, or with
/// what says that it is silent every 400 ms (Opus) or 100 ms (comfort noise beside G.711).
#[test]
fn an_hour_of_silence_leaves_nothing_behind() {
    const HOUR_MS: usize = 3_600_000;
    for (kind, tells_every_ms) in [
        (CodecKind::Pcmu, None),
        (CodecKind::Opus, Some(400)),
        (CodecKind::Pcmu, Some(100)),
    ] {
        let mut decoder = Decoder::new().unwrap();
        decoder.start(kind);
        let mut run = Run::with_decoder(decoder);
        run.jitter.start(samples_per_tick(kind));
        let mut encoder = Encoder::new(OpusConfig::default()).unwrap();
        encoder.start(kind);
        let voice: Vec<f32> = (0..960)
            .map(|n| (n as f32 * 300.0 / 48_000.0 * std::f32::consts::TAU).sin() * 0.3)
            .collect();
        let mut sequence = 0u16;
        for at_ms in (0..HOUR_MS + 2000).step_by(20) {
            let mut packet = Payload::new();
            let mut content = Content::Audio;
            if !(1000..1000 + HOUR_MS).contains(&at_ms) {
                assert!(encoder.encode(&voice, &mut packet));
            } else if tells_every_ms.is_some_and(|every| at_ms % every == 0) {
                match kind {
                    // 20 ms of SILK or CELT without anything in it, as discontinuous transmission sends it.
                    CodecKind::Opus => packet.extend([0x48]),
                    CodecKind::Pcmu | CodecKind::Pcma => {
                        content = Content::ComfortNoise;
                        packet.extend([60]);
                    }
                }
            }
            if !packet.is_empty() {
                sequence = sequence.wrapping_add(1);
                run.arrive(at_ms as f64, |arriving| {
                    arriving.content = content;
                    arriving.sequence = sequence;
                    arriving.timestamp = (at_ms * 48) as u32 / samples_per_tick(kind) as u32;
                    arriving.payload = packet;
                });
            }
            run.play(at_ms as f64);
            if at_ms % 10_000 == 0 {
                assert!(run.jitter.ring.len() <= 1 && run.on_the_way.len() <= 1);
                assert!(run.jitter.pcm.len() < ms(200));
                // An hour of sound is 700 MB.
                run.played.clear();
                run.delays.clear();
                run.played_timestamps.clear();
            }
        }
        let counters = run.jitter.counters();
        println!("{kind:?}, {tells_every_ms:?}: {counters:?}");
        assert_eq!(
            (counters.lost, counters.late),
            (0, 0),
            "{kind:?}: {counters:?}"
        );
        assert!(
            counters.concealed_samples < ms(300) as u64,
            "{kind:?}: {counters:?}"
        );
        assert!(counters.delay_ms < 25.0, "{kind:?}: {counters:?}");
        let end = run.played.len();
        assert!(
            rms(&run.played[end - ms(500)..]) > 0.1,
            "{kind:?} speaks again"
        );
    }
}
