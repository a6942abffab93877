//! The figures the pipeline is held to, measured in virtual time.

use super::measure::{Random, clicks, level_db, rms, sine, tone_residual};
use super::rig::{Call, Network};
use super::speech::speech;
use crate::audio::ramp::ms;
use crate::audio::{AudioCommand, EngineConfig, OpusConfig, SoundPath};
use crate::media::CodecKind::{Opus, Pcmu};

/// Bit rate at which the codec is transparent, so that the rest is judged.
fn transparent() -> EngineConfig {
    EngineConfig {
        opus: OpusConfig {
            bitrate_bps: 128_000,
            ..OpusConfig::default()
        },
        ..EngineConfig::default()
    }
}

#[test]
fn a_tone_goes_through_without_distortion_or_noise() {
    for (hz, config) in [(1000.0, transparent()), (440.0, transparent())] {
        let mut call = Call::with(config, Opus, 20, Network::CLEAN, 0.0);
        call.speak(&sine(hz, 48_000.0, 0.25, ms(3000)));
        let heard = &call.far.heard[ms(1500)..ms(2500)];
        let percent = 100.0 * tone_residual(heard, 48_000.0, hz);
        println!("{hz} Hz: THD+N {percent:.3} %");
        assert!(percent < 0.5, "{hz} Hz: {percent} %");
    }
}

#[test]
fn the_click_detector_finds_clicks_and_nothing_else() {
    let recorded = speech();
    let mut random = Random::new(4);
    let noise: Vec<f32> = (0..ms(2000))
        .map(|_| (random.uniform() as f32 - 0.5) * 0.2)
        .collect();
    for (name, clean) in [
        ("speech", &recorded),
        ("a sine", &sine(440.0, 48_000.0, 0.5, ms(2000))),
        ("noise", &noise),
    ] {
        assert_eq!(clicks(clean), Vec::<usize>::new(), "{name}");
    }
    // A step, a hole of one sample, a missing millisecond, each in a voice.
    let loud = (ms(200)..recorded.len() - ms(200))
        .max_by(|&a, &b| recorded[a].total_cmp(&recorded[b]))
        .unwrap();
    let mut step = recorded.clone();
    step[loud..].iter_mut().for_each(|sample| *sample += 0.3);
    let mut hole = recorded.clone();
    hole[loud] = 0.0;
    let mut tone = sine(440.0, 48_000.0, 0.5, ms(2000));
    tone.drain(ms(1000) + 20..ms(1001));
    for (name, broken) in [("a step", &step), ("a hole", &hole), ("a cut", &tone)] {
        assert_eq!(clicks(broken).len(), 1, "{name}");
    }
}

#[test]
fn nothing_the_phone_does_clicks() {
    for kind in [Opus, Pcmu] {
        let mut call = Call::new(kind, 20, Network::CLEAN, 150.0);
        let mut sound = sine(300.0, 48_000.0, 0.2, ms(1000));
        sound
            .iter_mut()
            .zip(sine(1100.0, 48_000.0, 0.1, ms(1000)))
            .for_each(|(a, b)| *a += b);
        call.speak(&sound);
        for command in [
            AudioCommand::Volume(60),
            AudioCommand::Mute(true),
            AudioCommand::Mute(false),
            AudioCommand::Path(SoundPath::Speaker),
            AudioCommand::Path(SoundPath::Headset),
            AudioCommand::Listen(false),
            AudioCommand::Listen(true),
            AudioCommand::Microphone { stream: None },
            AudioCommand::Microphone { stream: Some(0) },
        ] {
            call.far.send(command);
            call.near.send(command);
            call.speak(&sound[..ms(200)]);
            call.speak(&sound[ms(200)..]);
        }
        let heard = &call.far.heard[ms(200)..];
        assert_eq!(clicks(heard), Vec::<usize>::new(), "{kind:?}");
        assert!(rms(&heard[heard.len() - ms(500)..]) > 0.05, "it is heard");
    }
}

#[test]
fn a_path_is_switched_in_the_middle_of_a_word_without_a_gap() {
    let mut call = Call::new(Opus, 20, Network::CLEAN, 0.0);
    let tone = sine(500.0, 48_000.0, 0.2, ms(600));
    call.speak(&tone);
    for path in [SoundPath::Speaker, SoundPath::Headset, SoundPath::Handset] {
        call.far.send(AudioCommand::Path(path));
        call.near.send(AudioCommand::Path(path));
        call.speak(&tone);
        let heard = &call.far.heard[call.far.heard.len() - ms(500)..];
        let quietest = heard
            .chunks_exact(ms(10))
            .map(|part| level_db(part, 48_000.0, 500.0))
            .fold(0.0, f32::min);
        assert!(quietest > -20.0, "{path:?}: {quietest} dB");
    }
}
