//! What each command does, as heard and as sent.

use super::measure::{biggest_step, level_db, rms, sine};
use super::rig::{Call, Network, Phone, SILENCE};
use crate::audio::CodecKind;
use crate::audio::ramp::ms;
use crate::audio::{AudioCommand, EngineConfig, KeyTone, Tone, TonePlan};
use offhook_hal::audio::{PERIOD_FRAMES, Period};
use std::time::Instant;

fn phone() -> Phone {
    Phone::new(EngineConfig::default(), Instant::now(), 0.0)
}

/// Plays `milliseconds` and gives back what was heard in them.
fn listen(phone: &mut Phone, milliseconds: usize) -> Vec<f32> {
    let from = phone.heard.len();
    for _ in 0..milliseconds / 10 {
        phone.step(&SILENCE);
    }
    phone.heard[from..].to_vec()
}

fn tone(hz: f32) -> impl FnMut(&mut Phone) {
    let mut at = 0;
    move |phone| {
        let microphone: Period = std::array::from_fn(|n| {
            let phase = (hz * (at + n) as f32 / 48_000.0).fract();
            (8192.0 * (std::f32::consts::TAU * phase).sin()) as i16
        });
        at += PERIOD_FRAMES;
        phone.step(&microphone);
    }
}

#[test]
fn tones_are_heard_while_listening_and_the_ring_always() {
    let mut phone = phone();
    phone.send(AudioCommand::Tone(Some(Tone::Dial)));
    let dial = listen(&mut phone, 500);
    assert!(level_db(&dial[ms(20)..], 48_000.0, 350.0) > -20.0);
    phone.send(AudioCommand::Listen(false));
    listen(&mut phone, 20);
    assert!(rms(&listen(&mut phone, 100)) == 0.0, "nobody listens");
    phone.send(AudioCommand::Ring(true));
    assert!(
        rms(&listen(&mut phone, 100)) > 0.05,
        "it rings all the same"
    );
    phone.send(AudioCommand::Ring(false));
    listen(&mut phone, 20);
    phone.send(AudioCommand::Listen(true));
    phone.send(AudioCommand::Plan(TonePlan::ContinentalEurope));
    listen(&mut phone, 100);
    let dial = listen(&mut phone, 500);
    assert!(
        level_db(&dial, 48_000.0, 425.0) > -20.0,
        "the plan changes under the tone"
    );
    assert!(level_db(&dial, 48_000.0, 350.0) < -60.0);
    phone.send(AudioCommand::Tone(None));
    phone.send(AudioCommand::KeyTone(Some(KeyTone('5'))));
    listen(&mut phone, 20);
    let key = listen(&mut phone, 100);
    assert!(level_db(&key, 48_000.0, 770.0) > -25.0 && level_db(&key, 48_000.0, 1336.0) > -25.0);
    phone.send(AudioCommand::KeyTone(Some(KeyTone('x'))));
    listen(&mut phone, 20);
    assert!(rms(&listen(&mut phone, 100)) == 0.0, "no key, no tone");
}

#[test]
fn volume_is_for_the_ear_and_ring_volume_for_the_ring() {
    let mut phone = phone();
    phone.send(AudioCommand::Tone(Some(Tone::Dial)));
    phone.send(AudioCommand::Volume(0));
    listen(&mut phone, 50);
    assert!(rms(&listen(&mut phone, 100)) == 0.0);
    phone.send(AudioCommand::Volume(100));
    listen(&mut phone, 50);
    assert!(rms(&listen(&mut phone, 100)) > 0.05);
    phone.send(AudioCommand::Tone(None));
    phone.send(AudioCommand::Ring(true));
    phone.send(AudioCommand::RingVolume(0));
    listen(&mut phone, 50);
    assert!(rms(&listen(&mut phone, 100)) == 0.0);
}

#[test]
fn mute_is_silence_on_the_wire_and_opens_again() {
    // With G.711 and 10 ms frames, what is on the wire can be seen sample by sample.
    let mut call = Call::new(CodecKind::Pcmu, 10, Network::CLEAN, 0.0);
    let sound = sine(400.0, 48_000.0, 0.3, ms(500));
    call.speak(&sound);
    call.near.send(AudioCommand::Mute(true));
    let before = call.wire.sent.len();
    call.speak(&sound);
    // The first period has the ramp of 5 ms and the filter's 1.5 ms behind it; the next is silent.
    for (_, frame) in &call.wire.sent[before + 1..] {
        assert!(
            frame.payload.iter().all(|&byte| byte & 0x7f == 0x7f),
            "{:02x?}",
            frame.payload
        );
    }
    assert!(
        call.near.control.levels().mic_dbfs > -12.0,
        "the meter still sees the speaker"
    );
    call.near.send(AudioCommand::Mute(false));
    call.speak(&sound);
    let smooth = biggest_step(&sound);
    let worst = biggest_step(&call.far.heard);
    assert!(
        worst < 1.3 * smooth,
        "a click of {worst}, {smooth} is smooth"
    );
}

#[test]
fn only_the_stream_with_the_microphone_speaks_the_others_send_silence() {
    let mut phone = phone();
    for stream in 0..3 {
        let codec = CodecKind::Pcmu;
        phone.send(AudioCommand::StartStream {
            stream,
            codec,
            frame_ms: 20,
        });
    }
    phone.send(AudioCommand::Microphone { stream: Some(1) });
    let mut speak = tone(500.0);
    (0..20).for_each(|_| speak(&mut phone));
    for stream in 0..4 {
        let mut spurts = Vec::new();
        let (mut frames, mut loud) = (0u64, 0u64);
        while let Some(frame) = phone.ports[stream].outbound.dequeue() {
            assert_eq!((frame.samples, frame.payload.len()), (960, 160));
            frames += 1;
            loud += u64::from(frame.payload.iter().any(|&byte| byte & 0x7f < 0x50));
            spurts.push(frame.talk_spurt);
        }
        assert_eq!(frames, if stream < 3 { 10 } else { 0 }, "stream {stream}");
        assert_eq!(
            loud,
            if stream == 1 { frames } else { 0 },
            "stream {stream}"
        );
        assert!(
            spurts
                .iter()
                .enumerate()
                .all(|(n, &spurt)| spurt == (n == 0)),
            "{spurts:?}"
        );
        let counters = phone.control.stream(stream);
        assert_eq!(
            (counters.active, counters.frames_sent),
            (stream < 3, frames)
        );
    }
}

#[test]
fn a_queue_nobody_empties_drops_and_counts_and_marks_the_gap() {
    let mut phone = phone();
    phone.start(CodecKind::Opus, 20);
    for _ in 0..2 * 100 {
        phone.step(&SILENCE);
    }
    let counters = phone.control.stream(0);
    assert_eq!((counters.frames_sent, counters.frames_dropped), (63, 37));
    assert_eq!(phone.control.counters().frames_dropped, 37);
    assert_eq!(phone.control.counters().periods, 200);
    while phone.ports[0].outbound.dequeue().is_some() {}
    for _ in 0..4 {
        phone.step(&SILENCE);
    }
    let spurts: Vec<bool> = std::iter::from_fn(|| phone.ports[0].outbound.dequeue())
        .map(|f| f.talk_spurt)
        .collect();
    assert_eq!(
        spurts,
        [true, false],
        "the first frame after the gap is marked"
    );
}

#[test]
fn stop_and_start_again_do_not_click_or_repeat() {
    let mut call = Call::new(CodecKind::Opus, 20, Network::CLEAN, 0.0);
    let sound = sine(300.0, 48_000.0, 0.3, ms(1000));
    call.speak(&sound);
    call.far.send(AudioCommand::StopStream { stream: 0 });
    call.speak(&sound);
    assert!(!call.far.control.stream(0).active);
    let silent = &call.far.heard[ms(1050)..ms(1950)];
    assert!(silent.iter().all(|&s| s == 0.0));
    call.far.start(CodecKind::Opus, 20);
    call.speak(&sound);
    let again = &call.far.heard[ms(2300)..ms(2900)];
    assert!((level_db(again, 48_000.0, 300.0) + 10.5).abs() < 1.0);
    let worst = biggest_step(&call.far.heard);
    assert!(worst < 2.0 * biggest_step(&sound), "a click of {worst}");
}

#[test]
fn another_codec_in_the_middle_of_a_word_does_not_click() {
    let mut call = Call::new(CodecKind::Opus, 20, Network::CLEAN, 0.0);
    let sound = sine(300.0, 48_000.0, 0.3, ms(1000));
    for _ in 0..5 {
        // At another place of the sine each time.
        call.speak(&sound[..ms(510)]);
        call.far.start(CodecKind::Opus, 20);
    }
    call.speak(&sound);
    let worst = biggest_step(&call.far.heard);
    assert!(worst < 2.0 * biggest_step(&sound), "a click of {worst}");
}

#[test]
fn all_streams_are_mixed() {
    let base = Instant::now();
    let mut phone = Phone::new(EngineConfig::default(), base, 0.0);
    let mut senders = Vec::new();
    for (stream, hz) in [500.0, 1500.0].into_iter().enumerate() {
        let codec = CodecKind::Opus;
        phone.send(AudioCommand::StartStream {
            stream,
            codec,
            frame_ms: 20,
        });
        let mut sender = Phone::new(EngineConfig::default(), base, 0.0);
        sender.start(codec, 20);
        let wire = super::rig::Wire::new(Network::CLEAN, codec, base);
        senders.push((sender, wire, tone(hz)));
    }
    for _ in 0..200 {
        let now = phone.now;
        for (stream, (sender, wire, speak)) in senders.iter_mut().enumerate() {
            speak(sender);
            wire.take(&mut sender.ports[0], now);
            wire.give(&mut phone.ports[stream], now);
        }
        phone.step(&SILENCE);
        while phone.ports[0].outbound.dequeue().is_some() {}
    }
    let heard = &phone.heard[ms(1000)..];
    for hz in [500.0, 1500.0] {
        let level = level_db(heard, 48_000.0, hz);
        assert!((level + 12.0).abs() < 1.0, "{hz} Hz: {level} dB");
    }
}

#[test]
fn sidetone_is_the_own_voice_and_goes_with_mute() {
    let config = EngineConfig {
        sidetone_db: Some(20.0),
        ..EngineConfig::default()
    };
    let mut phone = Phone::new(config, Instant::now(), 0.0);
    let mut speak = tone(500.0);
    (0..50).for_each(|_| speak(&mut phone));
    let level = level_db(&phone.heard[ms(200)..], 48_000.0, 500.0);
    assert!((level + 32.0).abs() < 0.5, "{level} dB");
    phone.send(AudioCommand::Mute(true));
    (0..10).for_each(|_| speak(&mut phone));
    assert!(phone.heard[ms(520)..].iter().all(|&s| s == 0.0));
}

#[test]
fn a_stream_there_is_not_is_no_harm() {
    let mut phone = phone();
    phone.send(AudioCommand::StartStream {
        stream: 99,
        codec: CodecKind::Opus,
        frame_ms: 33,
    });
    phone.send(AudioCommand::StopStream { stream: 99 });
    phone.send(AudioCommand::Microphone { stream: Some(99) });
    phone.step(&SILENCE);
    assert_eq!(
        phone.control.stream(99),
        crate::audio::StreamCounters::default()
    );
}
