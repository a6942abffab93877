//! What the echo canceller leaves of the far end while nobody speaks here: turned down further, and told to the gain
//! control.
//!
//! A linear filter cannot take out what a loudspeaker adds to the sound when it is driven to its end, and the canceller's
//! suppressor takes some of that for a voice. Where the canceller has taken out all but a small part of what the
//! microphone heard, though, that part is taken for echo: a voice beside it would have been left. Without an echo it leaves
//! nearly everything, so nothing but the two levels needs to be known. A voice that is much quieter than the echo loses
//! less than 1 dB by it, as the gate stays open between its louder moments.

use super::Frame;
use super::ramp::from_db;
use offhook_hal::audio::PERIOD_FRAMES;

/// From here on (what is left against what was there, dB) somebody speaks here, and nothing is turned down.
const SPOKEN_DB: f32 = -7.0;
/// Below this nobody does.
const ECHO_DB: f32 = -13.0;
/// A new period counts for so much of the levels: they follow within 30 ms, about twice what the canceller delays.
const NEW: f32 = 0.4;
/// After somebody spoke it stays open for so many periods: the pauses within words.
const HOLD: u8 = 15;
/// It closes by 3 dB each period, and opens within one.
const CLOSING: f32 = 0.7;
/// Of digital silence, so that there is a ratio.
const LEAST: f32 = 1e-11;

/// One path's gate.
pub struct ResidueGate {
    /// The factor when it is closed.
    closed: f32,
    /// Now.
    gain: f32,
    /// Mean powers of what the microphone heard, and of what the canceller left.
    heard: f32,
    left: f32,
    /// Of the last period: the canceller delays the sound by 9 ms.
    before: f32,
    hold: u8,
}

impl ResidueGate {
    /// Open; closed, it takes `depth_db` away.
    pub fn new(depth_db: u8) -> Self {
        Self {
            closed: from_db(-f32::from(depth_db)),
            gain: 1.0,
            heard: 0.0,
            left: 0.0,
            before: 0.0,
            hold: 0,
        }
    }

    /// Turns down a period that `heard` became in the canceller, if it is echo. Says whether it is.
    pub fn process(&mut self, heard: f32, near: &mut Frame) -> bool {
        self.heard += NEW * (heard.max(self.before) - self.heard);
        self.left += NEW * (power(near) - self.left);
        self.before = heard;
        let left_db = 10.0 * ((self.left + LEAST) / (self.heard + LEAST)).log10();
        let spoken = ((left_db - ECHO_DB) / (SPOKEN_DB - ECHO_DB)).clamp(0.0, 1.0);
        // Linear in decibel, as the ratio is.
        let mut wanted = self.closed.powf(1.0 - spoken);
        if wanted >= self.gain {
            self.hold = HOLD;
        } else if self.hold > 0 {
            self.hold -= 1;
            wanted = self.gain;
        }
        let start = self.gain;
        self.gain = wanted.max(start * CLOSING);
        let step = (self.gain - start) / PERIOD_FRAMES as f32;
        for (n, sample) in near.iter_mut().enumerate() {
            *sample *= start + step * (n + 1) as f32;
        }
        spoken < 1.0
    }
}

/// Mean power; 1 is a full-scale square.
pub fn power(sound: &[f32]) -> f32 {
    sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `periods` of a steady sound of which the canceller has left `left_db`, dB, and whether it was
    /// called echo at last.
    fn after(gate: &mut ResidueGate, level: f32, left_db: f32, periods: usize) -> (f32, bool) {
        let left = level * from_db(left_db);
        let mut last = (0.0, false);
        for _ in 0..periods {
            let mut near = [left; PERIOD_FRAMES];
            let echo = gate.process(level * level, &mut near);
            last = (10.0 * (power(&near) / (left * left)).log10(), echo);
        }
        last
    }

    #[test]
    fn what_the_canceller_has_all_but_taken_out_goes_away() {
        // What is left, dB; what that becomes, dB; whether it is echo.
        for (left_db, want_db, echo) in [
            (0.0, 0.0, false),
            (-7.0, 0.0, false),
            (-10.0, -12.0, true),
            (-15.0, -24.0, true),
            (-40.0, -24.0, true),
        ] {
            let mut gate = ResidueGate::new(24);
            let (got_db, said) = after(&mut gate, 0.1, left_db, 60);
            assert!((got_db - want_db).abs() < 0.1, "{left_db}: {got_db} dB");
            assert_eq!(said, echo, "{left_db}");
        }
        let (off, _) = after(&mut ResidueGate::new(0), 0.1, -40.0, 60);
        assert!(off.abs() < 0.01, "a depth of 0 is none: {off} dB");
    }

    #[test]
    fn a_voice_opens_it_at_once_and_its_pauses_do_not_close_it() {
        let mut gate = ResidueGate::new(24);
        after(&mut gate, 0.1, -30.0, 60);
        after(&mut gate, 0.1, -3.0, 3);
        let (open, _) = after(&mut gate, 0.1, -3.0, 1);
        assert!(open > -0.1, "after 40 ms: {open} dB");
        let (pause, _) = after(&mut gate, 0.1, -30.0, 12);
        assert!(pause > -0.1, "in a pause of 120 ms: {pause} dB");
        let (closed, _) = after(&mut gate, 0.1, -30.0, 30);
        assert!(closed < -23.9, "after 420 ms: {closed} dB");
    }

    #[test]
    fn it_neither_clicks_nor_makes_numbers_of_silence() {
        let mut gate = ResidueGate::new(40);
        let mut last = 0.001;
        for n in 0..200 {
            let mut near = [0.001; PERIOD_FRAMES];
            gate.process(if n % 50 < 25 { 1e-6 } else { 1e-1 }, &mut near);
            for sample in near {
                // From open to closed within 10 ms would be 2e-6 a sample.
                assert!((sample - last).abs() < 3e-6, "{n}: a step to {sample}");
                last = sample;
            }
        }
        let mut silence = [0.0; PERIOD_FRAMES];
        for heard in [0.0, 1.0, 0.0] {
            gate.process(heard, &mut silence);
            assert!(silence.iter().all(|&s| s == 0.0));
        }
    }
}
