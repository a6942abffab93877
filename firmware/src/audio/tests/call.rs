//! From one phone's microphone to the other's ear.

use super::measure::{biggest_step, gap_ms, level_db, peaks, sine};
use super::rig::{Call, Network};
use crate::audio::CodecKind::{self, Opus, Pcma, Pcmu};
use crate::audio::SendLimits;
use crate::audio::codec::{Decode, Decoder, MAX_PACKET_SAMPLES};
use crate::audio::ramp::ms;
use std::f32::consts::TAU;

const KINDS: [CodecKind; 3] = [Opus, Pcmu, Pcma];

/// A vowel: harmonics of 140 Hz without a pause, so that a gap in it is a fault; a little louder and quieter four times
/// a second, or Opus takes it for noise and spends no redundancy on it.
fn vowel(samples: usize) -> Vec<f32> {
    let harmonic = |k: usize, n: usize| {
        (TAU * (140.0 * k as f32 * n as f32 / 48_000.0).fract()).sin() / k as f32
    };
    let loudness = |n: usize| 0.12 + 0.06 * (TAU * 4.0 * (n % 48_000) as f32 / 48_000.0).sin();
    // 140 Hz repeat after 2400 samples.
    let cycle: Vec<f32> = (0..2400)
        .map(|n| (1..16).map(|k| harmonic(k, n)).sum())
        .collect();
    (0..samples)
        .map(|n| cycle[n % 2400] * loudness(n))
        .collect()
}

#[test]
fn a_sine_keeps_its_frequency_and_level() {
    for kind in KINDS {
        for frame_ms in [10, 20, 40, 60] {
            let mut call = Call::new(kind, frame_ms, Network::CLEAN, 0.0);
            call.speak(&sine(1000.0, 48_000.0, 0.25, ms(3000)));
            let heard = &call.far.heard[ms(1000)..ms(2900)];
            let name = format!("{kind:?} {frame_ms} ms");
            let hz = peaks(heard, 48_000.0, 1)[0];
            assert!((hz - 1000.0).abs() < 1.0, "{name}: {hz} Hz");
            let level = level_db(heard, 48_000.0, 1000.0);
            assert!((level + 12.04).abs() < 1.0, "{name}: {level} dB");
            let counters = call.far.control.stream(0);
            assert_eq!(
                (counters.lost, counters.late, counters.concealed_samples),
                (0, 0, 0),
                "{name}"
            );
            assert!(gap_ms(heard) == 0, "{name}");
        }
    }
}

/// The far end says in the middle of the call how much may be sent, and takes it back: no packet is lost or late for it,
/// timestamps go on (a wrong one would be concealed or dropped), and the voice goes on. A packet of 60 ms comes 40 ms
/// later than one of 20 ms would, for which the far end has to make room once.
#[test]
fn the_frame_changes_in_the_middle_of_a_call() {
    for kind in KINDS {
        let narrow = match kind {
            Opus => 24_000,
            // 64 kbit/s, and headers of 60 ms.
            Pcmu | Pcma => 71_000,
        };
        let mut call = Call::new(kind, 20, Network::CLEAN, 0.0);
        call.speak(&vowel(ms(2000)));
        for bandwidth_bps in [narrow, 0] {
            call.near.ports[0].feedback.limit(SendLimits {
                longest_ms: 60,
                bandwidth_bps,
                ..SendLimits::default()
            });
            call.speak(&vowel(ms(3000)));
        }
        let mut lengths: Vec<u32> = call.wire.sent.iter().map(|(_, f)| f.samples / 48).collect();
        let sent: u32 = lengths.iter().sum();
        assert!((7940..=8000).contains(&sent), "{kind:?}: {sent} ms");
        lengths.dedup();
        assert_eq!(lengths, [20, 60, 20], "{kind:?}");
        let heard = &call.far.heard[ms(500)..ms(7900)];
        let counters = call.far.control.stream(0);
        println!("{kind:?}: longest gap {} ms, {counters:?}", gap_ms(heard));
        assert_eq!(
            (counters.lost, counters.refused, counters.restarts),
            (0, 0, 0)
        );
        assert!(counters.concealed_samples <= ms(60) as u64, "{counters:?}");
        assert!(gap_ms(heard) <= 10, "{kind:?}: {} ms", gap_ms(heard));
        if kind == Opus {
            let bytes: usize = call.wire.sent[110..140]
                .iter()
                .map(|(_, f)| f.payload.len())
                .sum();
            let bps = bytes * 8000 / (30 * 60) + 8 * 50 * 1000 / 60;
            assert!(bps < 25_000, "{bps} bit/s with headers");
        }
    }
}

#[test]
fn five_percent_loss_leaves_no_gap() {
    for kind in KINDS {
        let network = Network {
            loss: 0.05,
            jitter_ms: 2.0,
            delay_ms: 10.0,
            seed: 11,
            ..Network::CLEAN
        };
        let mut call = Call::new(kind, 20, network, 0.0);
        call.speak(&vowel(ms(20_000)));
        let heard = &call.far.heard[ms(500)..ms(19_900)];
        let counters = call.far.control.stream(0);
        println!("{kind:?}: longest gap {} ms, {counters:?}", gap_ms(heard));
        assert!((20..100).contains(&counters.lost), "{kind:?}: {counters:?}");
        assert!(gap_ms(heard) <= 20, "{kind:?}: {} ms", gap_ms(heard));
        let level =
            20.0 * (super::measure::rms(heard) / super::measure::rms(&vowel(ms(1000)))).log10();
        assert!(level.abs() < 2.0, "{kind:?}: {level} dB");
        if kind == Opus {
            assert!(counters.fec_recovered > 10, "{counters:?}");
        }
    }
}

#[test]
fn clocks_apart_by_200_ppm_are_not_heard() {
    for ppm in [-200.0, 200.0] {
        let mut call = Call::new(Opus, 20, Network::CLEAN, ppm);
        call.speak(&vowel(ms(60_000)));
        let counters = call.far.control.stream(0);
        println!("{ppm} ppm: {counters:?}");
        assert_eq!((counters.lost, counters.late), (0, 0));
        assert!(counters.concealed_samples < ms(30) as u64, "{counters:?}");
        assert!(counters.delay_ms < 30.0, "{counters:?}");
        assert!(
            counters.stretched_samples > 0,
            "12 ms of drift: {counters:?}"
        );
        let heard = &call.far.heard[ms(1000)..];
        assert!(gap_ms(heard) <= 4);
        assert!(biggest_step(heard) < 1.5 * biggest_step(&call.far.heard[ms(1000)..ms(2000)]));
    }
}

/// A click in silence, and when it was heard: where the sound first passes a third of its peak.
fn onset(heard: &[f32]) -> usize {
    let peak = heard.iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
    assert!(peak > 0.02, "the click is heard: {peak}");
    heard.iter().position(|s| s.abs() > peak / 3.0).unwrap()
}

/// What was sent, decoded without any buffer.
fn decoded(kind: CodecKind, call: &Call) -> Vec<f32> {
    let mut decoder = Decoder::new().unwrap();
    decoder.start(kind);
    let mut out = vec![0.0; MAX_PACKET_SAMPLES];
    let mut all = Vec::new();
    for (_, frame) in &call.wire.sent {
        let length = decoder.decode(&frame.payload, &mut out).unwrap();
        all.extend(&out[..length]);
    }
    all
}

/// The phone's own delay at its worst, ms: microphone to wire, wire to ear.
pub fn own_delay(kind: CodecKind, frame_ms: u8) -> (f64, f64) {
    let (mut worst_to_wire, mut worst_to_ear) = (0.0f64, 0.0f64);
    // The click at several places of a frame.
    for place in [0, 240, 479, 480, 700, 959] {
        let mut call = Call::new(
            kind,
            frame_ms,
            Network {
                delay_ms: 0.0,
                ..Network::CLEAN
            },
            0.0,
        );
        let at = ms(1000) + place;
        let mut sound = vec![0.0; ms(1500)];
        // A burst of a 2 kHz tone: Opus in its speech modes smears a single sample.
        for (n, sample) in sound[at..at + ms(20)].iter_mut().enumerate() {
            *sample = 0.5 * (TAU * 2000.0 * n as f32 / 48_000.0).sin();
        }
        call.speak(&sound);
        // Which packet carries it: what the codec keeps back is the way to the wire's, so it is not simply the
        // frame it was captured in.
        let frame = ms(frame_ms.into());
        let sent = call.wire.sent[onset(&decoded(kind, &call)) / frame]
            .0
            .as_secs_f64()
            * 1000.0;
        // Sample n of the microphone is captured n samples after the capture of the first period began, 10 ms
        // before it was processed at 0; sample n of the ear goes to the device with its period, which B processes
        // 4.3 ms after A.
        let spoken = at as f64 / 48.0 - 10.0;
        let heard = onset(&call.far.heard) as f64 / 48.0 + 4.3;
        worst_to_wire = worst_to_wire.max(sent - spoken);
        worst_to_ear = worst_to_ear.max(heard - sent);
    }
    (worst_to_wire, worst_to_ear)
}

#[test]
fn the_phones_own_delay() {
    // Goals: microphone to wire at most 20 ms with 10 ms frames, 30 with 20; wire to ear at most 25 and 40.
    for (kind, frame_ms, most_to_wire, most_to_ear) in [
        (Opus, 10, 20.0, 25.0),
        (Opus, 20, 30.0, 40.0),
        (Pcmu, 10, 20.0, 25.0),
        (Pcmu, 20, 30.0, 40.0),
    ] {
        let (to_wire, to_ear) = own_delay(kind, frame_ms);
        println!(
            "{kind:?}, {frame_ms} ms: microphone to wire {to_wire:.1} ms, wire to ear {to_ear:.1} ms"
        );
        assert!(
            to_wire <= most_to_wire,
            "{kind:?} {frame_ms}: {to_wire} ms to the wire"
        );
        assert!(
            to_ear <= most_to_ear,
            "{kind:?} {frame_ms}: {to_ear} ms to the ear"
        );
    }
}
