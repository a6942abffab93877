//! The figures the pipeline is held to, measured in virtual time.

use super::measure::{Random, clicks, level_db, rms, sine, tone_residual};
use super::rig::{Call, Network};
use super::speech::speech;
use crate::audio::CodecKind::{Opus, Pcmu};
use crate::audio::ramp::ms;
use crate::audio::{AudioCommand, EngineConfig, OpusConfig, SoundPath};

/// The codec at its best, so that the rest is judged: no bits kept for lost packets. At the configured 40 kbit/s with
/// copies libopus alone is over 0.5 %; all other figures are of that setting.
pub fn transparent() -> EngineConfig {
    EngineConfig {
        opus: OpusConfig {
            bitrate_bps: 128_000,
            fec: false,
            expected_loss_percent: 0,
            ..OpusConfig::default()
        },
        ..EngineConfig::default()
    }
}

/// THD+N of a tone from microphone to ear, percent.
pub fn distortion(config: EngineConfig, hz: f32) -> f32 {
    let mut call = Call::with(config, Opus, 20, Network::CLEAN, 0.0);
    call.speak(&sine(hz, 48_000.0, 0.25, ms(3000)));
    100.0 * tone_residual(&call.far.heard[ms(1500)..ms(2500)], 48_000.0, hz)
}

#[test]
fn a_tone_goes_through_without_distortion_or_noise() {
    for hz in [440.0, 1000.0] {
        let percent = distortion(transparent(), hz);
        let spoken = distortion(EngineConfig::default(), hz);
        println!("{hz} Hz: THD+N {percent:.3} %, as configured for speech {spoken:.3} %");
        assert!(percent < 0.5, "{hz} Hz: {percent} %");
    }
}

/// From 80 Hz to 14 kHz in 4 s, each octave as long as the other.
fn sweep() -> (Vec<f32>, impl Fn(f32) -> usize) {
    const FROM: f32 = 80.0;
    const OCTAVES: f32 = 7.45;
    let samples = ms(4000);
    let mut phase = 0.0f64;
    let sound = (0..samples)
        .map(|n| {
            let hz = FROM * (OCTAVES * n as f32 / samples as f32).exp2();
            phase = (phase + f64::from(hz) / 48_000.0).fract();
            0.25 * (std::f64::consts::TAU * phase).sin() as f32
        })
        .collect();
    let when = move |hz: f32| ((hz / FROM).log2() / OCTAVES * samples as f32) as usize;
    (sound, when)
}

#[test]
fn a_sweep_comes_through_flat() {
    let (sent, when) = sweep();
    let mut call = Call::with(transparent(), Opus, 20, Network::CLEAN, 0.0);
    call.speak(&sine(1000.0, 48_000.0, 0.25, ms(1000)));
    let from = call.far.heard.len();
    call.speak(&sent);
    call.speak(&vec![0.0; ms(200)]);
    let heard = &call.far.heard[from..];
    let late = super::speech::align(&sent, heard);
    let mut levels = Vec::new();
    // By thirds of an octave, and where the goal ends.
    let thirds = (0..21).map(|n| 100.0 * 2f32.powf(n as f32 / 3.0));
    for hz in thirds.chain([12_000.0]) {
        let at = when(hz);
        let window = at - ms(10)..at + ms(10);
        let out = rms(&heard[late + window.start..late + window.end]);
        levels.push((hz.round(), 20.0 * (out / rms(&sent[window])).log10()));
    }
    println!("{levels:.2?}");
    for (hz, level) in levels {
        assert!(level.abs() < 1.0, "{hz} Hz: {level} dB");
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
        let level = 20.0 * (rms(&heard[heard.len() - ms(500)..]) / rms(&sound)).log10();
        assert!(level > -18.0, "it is heard at a volume of 60: {level} dB");
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
