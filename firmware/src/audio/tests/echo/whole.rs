//! What a board says of its loudspeaker, through the engine.

use super::SPEAKERPHONE;
use super::desk::{far_end, near_end, silence};
use crate::audio::CodecKind::Opus;
use crate::audio::ramp::ms;
use crate::audio::tests::rig::{Network, Phone, Wire};
use crate::audio::{
    AudioCommand, EchoCancelling, EngineConfig, GainControl, OpusConfig, SoundPath, VoiceConfig,
};
use offhook_hal::audio::{PERIOD_FRAMES, Period};
use std::time::Instant;

fn captured(sound: &[f32]) -> Period {
    std::array::from_fn(|n| (sound[n] * 32_767.0) as i16)
}

/// A call on the loudspeaker, which clips, and which the microphone hears so many samples later: what goes out in each
/// second, dBFS.
fn call(voice: VoiceConfig, late: usize, far: &[f32], near: &[f32]) -> Vec<f32> {
    let base = Instant::now();
    let mut there = Phone::new(EngineConfig::default(), base, 0.0);
    there.start(Opus, 20);
    let mut voices = [VoiceConfig::default(); 3];
    voices[SoundPath::Speaker as usize] = voice;
    let config = EngineConfig {
        voices,
        ..EngineConfig::default()
    };
    let mut here = Phone::new(config, base, 0.0);
    here.start(Opus, 20);
    here.send(AudioCommand::Path(SoundPath::Speaker));
    let mut wire = Wire::new(Network::CLEAN, Opus, base);
    let mut powers = Vec::new();
    for (far, near) in far
        .chunks_exact(PERIOD_FRAMES)
        .zip(near.chunks_exact(PERIOD_FRAMES))
    {
        let sent = there.now;
        there.step(&captured(far));
        wire.take(&mut there.ports[0], sent);
        wire.give(&mut here.ports[0], here.now);
        let at = here.heard.len();
        let heard: Vec<f32> = (0..PERIOD_FRAMES)
            .map(|n| {
                let echo = (at + n).checked_sub(late).map_or(0.0, |at| here.heard[at]);
                0.5 * echo.clamp(-0.25, 0.25) + near[n]
            })
            .collect();
        here.step(&captured(&heard));
        while here.ports[0].outbound.dequeue().is_some() {}
        powers.push(10f32.powf(here.control.levels().mic_dbfs / 10.0));
    }
    powers
        .chunks_exact(100)
        .map(|second| 10.0 * (second.iter().sum::<f32>() / 100.0).log10())
        .collect()
}

#[test]
fn the_gate_closes_as_far_as_the_board_says() {
    let left = |gate_db| {
        let echo_cancelling = Some(EchoCancelling {
            gate_db,
            ..EchoCancelling::default()
        });
        let voice = VoiceConfig {
            echo_cancelling,
            ..SPEAKERPHONE
        };
        let seconds = call(voice, ms(20), &far_end(0, 6000), &silence(6000));
        seconds[2..].iter().sum::<f32>() / (seconds.len() - 2) as f32
    };
    let (open, usual) = (left(0), left(24));
    println!(
        "a clipping loudspeaker: {usual:.1} dBFS, without the gate {open:.1} dBFS (mean of seconds)"
    );
    assert!(open - usual > 3.0, "{open} dBFS, {usual} dBFS");
}

#[test]
fn a_voice_gets_as_loud_as_the_board_says() {
    let quiet: Vec<f32> = near_end(0, 10_000).iter().map(|s| s * 0.03).collect();
    let level = |gain: GainControl| {
        let voice = VoiceConfig {
            gain_control: Some(gain),
            ..SPEAKERPHONE
        };
        *call(voice, ms(20), &silence(10_000), &quiet)
            .last()
            .unwrap()
    };
    let usual = GainControl::default();
    let most = level(usual);
    let less = level(GainControl {
        most_db: 8,
        ..usual
    });
    println!("18 dB at most {most:.1} dBFS, 8 dB {less:.1} dBFS");
    assert!(most - less > 6.0, "{most} dBFS, {less} dBFS");
}

#[test]
fn a_path_that_hears_itself_late_is_told() {
    let first = |extra_delay_ms| {
        let echo_cancelling = Some(EchoCancelling {
            extra_delay_ms,
            ..EchoCancelling::default()
        });
        let voice = VoiceConfig {
            echo_cancelling,
            ..SPEAKERPHONE
        };
        call(voice, ms(120), &far_end(0, 1000), &silence(1000))[0]
    };
    let (told, not_told) = (first(100), first(0));
    println!(
        "an echo 120 ms late, in the first second: {told:.1} dBFS, not told {not_told:.1} dBFS"
    );
    assert!(told < not_told - 6.0, "{told} dBFS, {not_told} dBFS");
}

/// Without the board's complexity the packets would be the same.
#[test]
fn the_encoder_takes_the_effort_it_is_told() {
    let sent = |complexity| {
        let opus = OpusConfig {
            complexity,
            ..OpusConfig::default()
        };
        let config = EngineConfig {
            opus,
            ..EngineConfig::default()
        };
        let mut phone = Phone::new(config, Instant::now(), 0.0);
        phone.start(Opus, 20);
        let mut packets = Vec::new();
        for period in near_end(0, 1000).chunks_exact(PERIOD_FRAMES) {
            phone.step(&captured(period));
            while let Some(frame) = phone.ports[0].outbound.dequeue() {
                packets.push(frame.payload.to_vec());
            }
        }
        packets
    };
    let usual = sent(5);
    assert_eq!(
        usual,
        sent(OpusConfig::default().complexity),
        "the same twice"
    );
    for other in [0, 1, 10] {
        assert_ne!(usual, sent(other), "{other}");
    }
}
