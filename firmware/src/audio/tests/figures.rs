//! The figures the pipeline is held to, measured in virtual time.

use super::measure::{level_db, sine, tone_residual};
use super::rig::{Call, Network};
use crate::audio::CodecKind::Opus;
use crate::audio::ramp::ms;
use crate::audio::{AudioCommand, EngineConfig, OpusConfig, SoundPath};

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
    let mut call = Call::with(transparent(), Opus, 20, Network::CLEAN, 0.0);
    call.speak(&sine(1000.0, 48_000.0, 0.25, ms(3000)));
    let heard = &call.far.heard[ms(1500)..ms(2500)];
    let percent = 100.0 * tone_residual(heard, 48_000.0, 1000.0);
    println!("THD+N {percent:.3} %");
    assert!(percent < 0.5, "{percent} %");
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
