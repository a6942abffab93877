//! The closed loop: what the far end hears comes out of its loudspeaker, into its microphone, and back. Without the
//! canceller the telephone's own loudspeaker and microphone close it, and it howls.

use super::desk::{Desk, db, far_end, near_end, room, silence};
use super::{SPEAKERPHONE, uncancelled};
use crate::audio::VoiceConfig;
use crate::audio::ramp::ms;
use crate::audio::tests::measure::rms;

/// A call through everything that makes the canceller lose its way: level of the loudspeaker against what both ends said
/// into the loop, in the worst second, dB; and what is left of it after a second of silence, dBFS.
fn call(voice: VoiceConfig, loop_db: f32, late_ms: usize) -> (f32, f32) {
    let mut desk = Desk::new(voice);
    // A loudspeaker so loud that the microphone hears it as loud as it was given it.
    desk.room = room(3, 0.0);
    let again = 10f32.powf(loop_db / 20.0);
    desk.far_loop = (again, ms(late_ms));
    let mut worst = f32::MIN;
    let mut said_before = 0.0;
    let mut part = |desk: &mut Desk, far: &[f32], near: &[f32]| {
        for second in 0..far.len() / ms(1000) {
            let part = second * ms(1000)..(second + 1) * ms(1000);
            let near = near.get(part.clone()).unwrap_or_default();
            let when = desk.talk(&far[part.clone()], near);
            // The near end's voice is on the way for up to half of a second, and comes back once.
            let said = rms(&far[part]).hypot(again * rms(near).max(said_before));
            said_before = rms(near);
            worst = worst.max(db(rms(desk.played(when)) / said.max(0.001)));
        }
    };
    // Cold, the far end first; then the near end; then both.
    part(&mut desk, &far_end(0, 3000), &[]);
    part(&mut desk, &silence(3000), &near_end(0, 3000));
    part(&mut desk, &far_end(1, 3000), &near_end(1, 3000));
    // An underrun that nobody reports, and with it 50 ms.
    desk.card += ms(50);
    part(&mut desk, &far_end(2, 3000), &near_end(2, 3000));
    // The telephone is turned round, while only the near end speaks.
    desk.room = room(8, 0.0);
    part(&mut desk, &silence(3000), &near_end(0, 3000));
    part(&mut desk, &far_end(1, 3000), &near_end(2, 3000));
    desk.talk(&silence(1000), &[]);
    let when = desk.talk(&silence(2000), &[]);
    (worst, db(rms(desk.played(when))))
}

#[test]
fn nothing_howls() {
    for loop_db in [-6.0, 0.0] {
        for late_ms in [80, 130, 200] {
            let (worst, left) = call(SPEAKERPHONE, loop_db, late_ms);
            println!(
                "far end's loop {loop_db} dB, {late_ms} ms: {worst:+.1} dB at worst, {left:.1} dBFS left"
            );
            assert!(worst < 3.0, "{loop_db} dB, {late_ms} ms: {worst} dB");
            assert!(left < -60.0, "{loop_db} dB, {late_ms} ms: {left} dBFS");
        }
    }
}

/// The control: the same call can howl.
#[test]
fn without_the_canceller_it_howls() {
    for late_ms in [80, 130, 200] {
        let (worst, left) = call(uncancelled(), 0.0, late_ms);
        println!("uncancelled, {late_ms} ms: {worst:+.1} dB at worst, {left:.1} dBFS left");
        assert!(worst > 10.0, "{late_ms} ms: {worst} dB");
        assert!(left > -20.0, "{late_ms} ms: {left} dBFS");
    }
}

/// Both ends are our telephone on such a desk: each cancels what would come back to the other.
#[test]
fn a_voice_comes_back_to_nobody() {
    let mut desk = Desk::new(SPEAKERPHONE);
    desk.far_loop = (0.5, ms(150));
    desk.talk(&far_end(0, 4000), &[]);
    let when = desk.talk(&far_end(1, 6000), &[]);
    let back = db(rms(&desk.sent[when]) / rms(&far_end(1, 6000)));
    println!("what comes back of the far end's voice: {back:.1} dB");
    assert!(back < -40.0, "{back} dB");
}
