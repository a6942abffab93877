//! The echo canceller, with the noise suppression and gain control that the boards switch on beside it, on a desk of
//! numbers ([`desk::Desk`]). Offline, recorded speech on both sides.

mod desk;
mod howl;
mod whole;

use super::measure::{Random, Survival, rms, survival};
use crate::audio::ramp::ms;
use crate::audio::{EchoCancelling, GainControl, NoiseSuppression, VoiceConfig};
use desk::{Desk, Loudspeaker, db, far_end, near_end, room, silence};
use std::ops::Range;

/// What the boards' loudspeakers have: `runtime::sound` holds the board files to it.
pub const SPEAKERPHONE: VoiceConfig = VoiceConfig {
    echo_cancelling: Some(EchoCancelling {
        extra_delay_ms: 0,
        gate_db: 24,
    }),
    noise_suppression: NoiseSuppression::Moderate,
    gain_control: Some(GainControl {
        headroom_db: 5,
        most_db: 18,
    }),
};

/// The same way without the canceller: what the echo would be.
fn uncancelled() -> VoiceConfig {
    VoiceConfig {
        echo_cancelling: None,
        ..SPEAKERPHONE
    }
}

/// The same with another gate.
fn gated(gate_db: u8) -> VoiceConfig {
    VoiceConfig {
        echo_cancelling: Some(EchoCancelling {
            extra_delay_ms: 0,
            gate_db,
        }),
        ..SPEAKERPHONE
    }
}

/// What becomes of an echo.
struct Figures {
    /// Echo return loss enhancement: what goes out, against what would go out without the canceller, dB.
    erle: f32,
    /// What goes out, dBFS (RMS).
    level: f32,
}

/// What becomes of the echo in a part of a call: `script` says which part, and is played with the canceller and
/// without. Prints it for each second.
fn figures(what: &str, script: impl Fn(&mut Desk) -> Range<usize>) -> Figures {
    let mut with = Desk::new(SPEAKERPHONE);
    let when = script(&mut with);
    let mut without = Desk::new(uncancelled());
    script(&mut without);
    let of = |when: Range<usize>| {
        let sent = rms(&with.sent[when.clone()]);
        Figures {
            erle: db(rms(&without.sent[when]) / sent.max(1e-6)),
            level: db(sent),
        }
    };
    let seconds: Vec<String> = (when.start..when.end)
        .step_by(ms(1000))
        .map(|start| format!("{:.0}", of(start..(start + ms(1000)).min(when.end)).erle))
        .collect();
    let from_microphone =
        db(rms(&with.echo[when.clone()]) / rms(&with.sent[when.clone()]).max(1e-6));
    let whole = of(when);
    println!(
        "{what}: ERLE {:.1} dB ({from_microphone:.1} dB from the microphone), {:.1} dBFS go out; by seconds {}",
        whole.erle,
        whole.level,
        seconds.join(" ")
    );
    whole
}

/// The row of the issue; and 40 dB less than the far end's own voice (-20 dBFS here), whatever the room makes of it.
fn is_cancelled(what: &str, script: impl Fn(&mut Desk) -> Range<usize>) {
    let Figures { erle, level } = figures(what, script);
    assert!(erle >= 35.0, "{what}: ERLE {erle} dB");
    assert!(level <= -60.0, "{what}: {level} dBFS");
}

#[test]
fn the_far_end_does_not_hear_itself() {
    for (loss_db, noise) in [
        (-6.0, 0.0),
        (0.0, 0.0),
        (6.0, 0.0),
        (6.0, 0.0003),
        (15.0, 0.0),
    ] {
        let prepared = |desk: &mut Desk| {
            desk.room = room(3, loss_db);
            desk.noise = noise;
        };
        // With AEC3's own masks it is 26 dB where the loudspeaker is loudest.
        let cold = figures(
            &format!("{loss_db} dB from loudspeaker to microphone, noise {noise}, cold"),
            |desk| {
                prepared(desk);
                desk.talk(&far_end(0, 2000), &[])
            },
        );
        assert!(cold.erle >= 35.0, "{loss_db} dB: ERLE {} dB", cold.erle);
        is_cancelled("after 2 s", |desk| {
            prepared(desk);
            desk.talk(&far_end(0, 2000), &[]);
            desk.talk(&far_end(1, 10_000), &[])
        });
    }
}

/// A loudspeaker that bends, one whose amplifier clips hard, and one with a third-order tone.
#[test]
fn a_distorting_loudspeaker_is_cancelled_too() {
    // The clipping one cuts 11 dB off the peaks as it is; 6 dB more would be no voice any more.
    let loudspeakers: [(&str, Loudspeaker, &[f32]); 3] = [
        ("bending", |s| (2.5 * s).tanh() / 2.5, &[1.0, 2.0]),
        ("clipping", |s| s.clamp(-0.25, 0.25), &[1.0]),
        ("third-order", |s| s - 0.4 * s * s * s, &[1.0, 2.0]),
    ];
    for (name, loudspeaker, louder) in loudspeakers {
        for &louder in louder {
            let loud = |turn, milliseconds| -> Vec<f32> {
                let usual = far_end(turn, milliseconds);
                let louder = usual.iter().map(|s| (s * louder).clamp(-1.0, 1.0));
                louder.collect()
            };
            let cold = figures(&format!("{name} x {louder}, cold"), |desk| {
                desk.loudspeaker = loudspeaker;
                desk.talk(&loud(0, 2000), &[])
            });
            assert!(cold.erle >= 35.0, "{name}: ERLE {} dB", cold.erle);
            is_cancelled(name, |desk| {
                desk.loudspeaker = loudspeaker;
                desk.talk(&loud(0, 2000), &[]);
                desk.talk(&loud(1, 12_000), &[])
            });
        }
    }
}

/// Without the gate, what a distorting loudspeaker leaves goes out as much louder as the quiet voice was made.
#[test]
fn a_quiet_talker_before_makes_no_echo_louder() {
    let quiet: Vec<f32> = near_end(0, 12_000).iter().map(|s| s * 0.1).collect();
    for loudspeaker in [|s| s, |s: f32| s.clamp(-0.25, 0.25)] {
        is_cancelled("after a quiet voice", |desk| {
            desk.loudspeaker = loudspeaker;
            desk.talk(&far_end(0, 4000), &[]);
            let when = desk.talk(&silence(12_000), &quiet);
            let gain = db(rms(&desk.sent[when.end - ms(4000)..]) / rms(&quiet[ms(8000)..]));
            assert!(gain > 6.0, "the gain control has raised it: {gain} dB");
            // The last word has to get out.
            desk.talk(&silence(40), &[]);
            desk.talk(&far_end(1, 12_000), &[])
        });
    }
}

#[test]
fn a_jump_of_the_cards_delay_is_followed() {
    for reported in [true, false] {
        let jump = |desk: &mut Desk| {
            desk.talk(&far_end(0, 4000), &[]);
            // An underrun leaves the playback 10 ms further from the thread, or a sound server 40 ms.
            desk.card += ms(50);
            desk.restarted = reported;
        };
        let at_once = figures("the first second", |desk| {
            jump(desk);
            desk.talk(&far_end(1, 1000), &[])
        });
        assert!(at_once.erle >= 35.0, "{} dB", at_once.erle);
        is_cancelled(
            &format!("50 ms jump, restart reported: {reported}, later"),
            |desk| {
                jump(desk);
                desk.talk(&far_end(1, 2000), &[]);
                desk.talk(&far_end(2, 6000), &[])
            },
        );
    }
}

/// An amplifier that keeps the sound for longer than the canceller looks back by itself.
#[test]
fn a_delay_of_which_only_the_board_knows_is_made_up_for() {
    let call = |extra_delay_ms| {
        let mut desk = Desk::new(VoiceConfig {
            echo_cancelling: Some(EchoCancelling {
                extra_delay_ms,
                ..EchoCancelling::default()
            }),
            ..SPEAKERPHONE
        });
        desk.unknown = ms(100);
        let when = desk.talk(&far_end(0, 1000), &[]);
        db(rms(&desk.echo[when.clone()]) / rms(&desk.sent[when]))
    };
    let (told, not_told) = (call(100), call(0));
    println!("the first second: ERLE {told:.1} dB, without being told {not_told:.1} dB");
    assert!(told >= 35.0, "{told} dB");
    assert!(told > not_told + 6.0, "{told} dB, {not_told} dB");
}

#[test]
fn another_echo_path_is_learnt() {
    is_cancelled("another path, after 2 s", |desk| {
        desk.talk(&far_end(0, 4000), &[]);
        // The telephone is turned round.
        desk.room = room(8, 9.0);
        desk.talk(&far_end(1, 2000), &[]);
        desk.talk(&far_end(2, 8000), &[])
    });
}

#[test]
fn the_near_end_alone_is_kept() {
    let near = near_end(2, 8000);
    let mut desk = Desk::new(SPEAKERPHONE);
    desk.talk(&silence(8000), &near);
    let level = db(rms(&desk.sent[ms(1000)..]) / rms(&near[ms(1000)..]));
    let (whole, octaves) = survival(&near, &desk.sent, ms(40));
    println!("near end alone {level:+.1} dB, {whole:.1?} {octaves:.1?}");
    assert!(level.abs() <= 3.0, "{level} dB");
    // Without making up for the filters it is -1.5 dB.
    assert!(whole.gain_db.abs() <= 1.0, "{whole:?}");
}

/// While both speak: what of the near end there is in what goes out.
fn double_talk(loss_db: f32) -> (f32, Survival, Vec<Survival>) {
    let near = near_end(2, 12_000);
    let mut desk = Desk::new(SPEAKERPHONE);
    desk.room = room(3, loss_db);
    desk.talk(&far_end(0, 4000), &[]);
    let when = desk.talk(&far_end(1, 12_000), &near);
    let both = &desk.sent[when.clone()];
    let level = db(rms(both) / rms(&near));
    let (whole, octaves) = survival(&near, both, ms(40));
    let echo = db(rms(&desk.echo[when]) / rms(&near));
    println!("echo {echo:+.1} dB against the near end, which is kept {level:+.1} dB; {whole:.1?}");
    for octave in &octaves {
        println!("    {octave:.1?}");
    }
    // And then it has not forgotten the room.
    let when = desk.talk(&far_end(1, 4000), &[]);
    let later = when.start + ms(2000)..when.end;
    let erle = db(rms(&desk.echo[later.clone()]) / rms(&desk.sent[later]));
    println!("    ERLE after it {erle:.1} dB");
    assert!(erle >= 35.0, "ERLE after double talk {erle} dB");
    (level, whole, octaves)
}

#[test]
fn the_near_end_is_kept_against_the_far_end() {
    let (level, whole, octaves) = double_talk(6.0);
    assert!(level.abs() <= 3.0, "{level} dB");
    assert!(
        whole.gain_db >= -3.0 && whole.above_rest_db >= 3.0,
        "{whole:?}"
    );
    // Those of a telephone's band.
    for octave in octaves.iter().filter(|octave| octave.from_hz >= 200.0) {
        assert!(octave.gain_db >= -3.0, "{octave:?}");
    }
    // As loud as the near end, which is more than the row asks for.
    let (level, whole, octaves) = double_talk(0.0);
    assert!(level >= -3.0, "{level} dB");
    assert!(whole.gain_db >= -2.8, "{whole:?}");
    // Above 3.2 kHz. With AEC3's limit from 2 kHz on it is -9.1 dB, less than what is left of the echo.
    let highest = octaves.last().unwrap();
    assert!(
        highest.gain_db >= -4.0 && highest.above_rest_db >= 3.0,
        "{highest:?}"
    );
}

/// Without the fix, hum counted in what the microphone heard and not in what was left, so that a quiet voice over it was
/// taken for what is left of an echo: the gain control waited, and made it 2 dB louder instead of 9.
#[test]
fn hum_makes_no_voice_an_echo() {
    let near: Vec<f32> = near_end(2, 12_000).iter().map(|s| s * 0.1).collect();
    // 50 Hz at -35 dBFS; the voice is at -40.
    let hum = (0..).map(|n| 0.025 * (std::f32::consts::TAU * 50.0 * n as f32 / 48_000.0).sin());
    let heard: Vec<f32> = near.iter().zip(hum).map(|(s, hum)| s + hum).collect();
    let mut desk = Desk::new(SPEAKERPHONE);
    let when = desk.talk(&silence(12_000), &heard);
    let gain = survival(&near, &desk.sent[when], ms(40)).0.gain_db;
    println!("over hum: {gain:+.1} dB");
    assert!(gain > 6.0, "{gain} dB");
}

/// What the gate costs a near end that is quieter than the echo, as it is with a loud loudspeaker in the same housing.
#[test]
fn the_gate_leaves_a_voice_below_the_echo_alone() {
    for louder_db in [6.0, 12.0] {
        let gain = |gate_db| {
            let near = near_end(2, 12_000);
            let mut desk = Desk::new(gated(gate_db));
            desk.room = room(3, -louder_db);
            desk.talk(&far_end(0, 4000), &[]);
            let when = desk.talk(&far_end(1, 12_000), &near);
            survival(&near, &desk.sent[when], ms(40)).0.gain_db
        };
        let (with, without) = (gain(24), gain(0));
        println!("echo {louder_db} dB louder: {with:.1} dB with the gate, {without:.1} dB without");
        assert!(with > without - 1.0, "{with} dB, {without} dB without it");
    }
}

#[test]
fn switched_off_it_is_not_there() {
    let mut desk = Desk::new(VoiceConfig::default());
    desk.room = Vec::new();
    let near = near_end(0, 1000);
    desk.talk(&silence(1000), &near);
    let error: Vec<f32> = desk.sent.iter().zip(&near).map(|(a, b)| a - b).collect();
    // The high-pass, and 16 bits.
    assert!(rms(&error) < 0.1 * rms(&near));
}

#[test]
fn noise_is_suppressed_and_a_quiet_voice_made_louder() {
    let mut random = Random::new(9);
    let noise: Vec<f32> = (0..ms(6000))
        .map(|_| (random.uniform() as f32 - 0.5) * 0.02)
        .collect();
    let mut desk = Desk::new(VoiceConfig {
        noise_suppression: NoiseSuppression::High,
        ..VoiceConfig::default()
    });
    desk.talk(&silence(6000), &noise);
    let less = db(rms(&desk.sent[ms(4000)..]) / rms(&noise));
    let quiet: Vec<f32> = near_end(0, 8000)
        .iter()
        .map(|sample| sample * 0.1)
        .collect();
    let mut desk = Desk::new(VoiceConfig {
        gain_control: Some(GainControl::default()),
        ..VoiceConfig::default()
    });
    desk.talk(&silence(8000), &quiet);
    let more = db(rms(&desk.sent[ms(6000)..]) / rms(&quiet[ms(6000)..]));
    println!("noise {less:+.1} dB, a voice 20 dB too quiet {more:+.1} dB");
    assert!(less < -12.0, "{less} dB");
    assert!((6.0..19.0).contains(&more), "{more} dB");
}
