//! Tones as sound: phase-continuous oscillators, and a player that keeps a cadence without clicks.

use super::Frame;
use super::ramp::{GATE_SAMPLES, Ramp, ms};
use super::tones::Signal;
use offhook_hal::audio::RATE_HZ;
use std::f64::consts::TAU;

/// A sine wave. Its phase goes on when its amplitude is zero.
#[derive(Clone, Copy, Debug)]
struct Oscillator {
    /// Cosine and sine of the phase.
    phase: (f64, f64),
    /// Cosine and sine of the step per sample.
    step: (f64, f64),
    amplitude: f64,
}

impl Oscillator {
    const SILENT: Self = Self {
        phase: (1.0, 0.0),
        step: (1.0, 0.0),
        amplitude: 0.0,
    };

    fn new(hz: f64, amplitude: f64) -> Self {
        let step = TAU * hz / f64::from(RATE_HZ);
        Self {
            phase: (1.0, 0.0),
            step: (step.cos(), step.sin()),
            amplitude,
        }
    }

    fn next(&mut self) -> f64 {
        let sample = self.phase.1 * self.amplitude;
        let ((c, s), (dc, ds)) = (self.phase, self.step);
        self.phase = (c * dc - s * ds, s * dc + c * ds);
        sample
    }

    /// Takes away the rounding errors of many steps.
    fn normalise(&mut self) {
        let length = self.phase.0.hypot(self.phase.1);
        self.phase = (self.phase.0 / length, self.phase.1 / length);
    }
}

/// What comes when the present signal has faded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    GoOn,
    Change(Option<Signal>),
}

/// Plays one [`Signal`] at a time.
#[derive(Debug)]
pub struct Player {
    playing: Option<Signal>,
    next: Next,
    parts: [Oscillator; 2],
    gate: Ramp,
    /// Which pulse of the cadence, and samples left of it.
    pulse: usize,
    left: usize,
    /// Samples since the signal began.
    age: usize,
    /// A signal is heard at least this long, samples.
    at_least: usize,
}

impl Player {
    /// Silent. Each signal lasts at least `at_least` samples, even if it is ended before.
    pub fn new(at_least: usize) -> Self {
        Self {
            playing: None,
            next: Next::GoOn,
            parts: [Oscillator::SILENT; 2],
            gate: Ramp::new(0.0, GATE_SAMPLES),
            pulse: 0,
            left: 0,
            age: 0,
            at_least,
        }
    }

    /// Plays a signal from the start of its cadence, or nothing. One that is playing already goes on.
    pub fn set(&mut self, signal: Option<Signal>) {
        let coming = match self.next {
            Next::GoOn => self.playing,
            Next::Change(to) => to,
        };
        if signal != coming {
            self.next = Next::Change(signal);
        }
    }

    /// Plays nothing, and nothing is coming.
    pub fn is_silent(&self) -> bool {
        self.playing.is_none() && self.next == Next::GoOn
    }

    /// Adds the next period to `mix`.
    pub fn add_to(&mut self, mix: &mut Frame) {
        if self.is_silent() {
            return;
        }
        for sample in mix {
            *sample += self.sample();
        }
        self.parts.iter_mut().for_each(Oscillator::normalise);
    }

    fn sample(&mut self) -> f32 {
        if let Next::Change(to) = self.next
            && (self.playing.is_none() || self.age >= self.at_least)
        {
            self.gate.to(0.0);
            if self.gate.silent() {
                self.begin(to);
            }
        }
        let Some(signal) = self.playing else {
            return 0.0;
        };
        if self.left == 0 {
            self.next_pulse(&signal);
        }
        self.left -= 1;
        self.age += 1;
        let (a, b) = (self.parts[0].next(), self.parts[1].next());
        let sound = match signal.alternate_ms {
            None => a + b,
            Some(each) if (self.age / ms(each.into())).is_multiple_of(2) => a,
            Some(_) => b,
        };
        sound as f32 * self.gate.next()
    }

    fn begin(&mut self, signal: Option<Signal>) {
        self.playing = signal;
        self.next = Next::GoOn;
        self.pulse = 0;
        self.left = 0;
        self.age = 0;
        if let Some(signal) = signal {
            for (oscillator, part) in self.parts.iter_mut().zip(signal.parts) {
                *oscillator = Oscillator::new(part.hz.into(), part.amplitude());
            }
        }
    }

    fn next_pulse(&mut self, signal: &Signal) {
        let Some(pulses) = signal.cadence.len().checked_sub(1) else {
            // Continuous.
            self.gate.to(1.0);
            self.left = usize::MAX;
            return;
        };
        // Even pulses sound, odd ones are pauses. A signal that is being ended stays off.
        let sounds = self.pulse.is_multiple_of(2);
        if self.next == Next::GoOn || self.age < self.at_least {
            self.gate.to(f32::from(sounds));
        }
        self.left = ms(signal.cadence[self.pulse].max(1).into());
        self.pulse = if self.pulse >= pulses {
            0
        } else {
            self.pulse + 1
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::TonePlan;
    use crate::audio::tests::measure::{level_db, peaks};
    use crate::audio::tones::{self, Part};
    use crate::audio::{KeyTone, Tone};
    use offhook_hal::audio::PERIOD_FRAMES;

    const TONES: [Tone; 5] = [
        Tone::Dial,
        Tone::Ringback,
        Tone::Busy,
        Tone::Reorder,
        Tone::CallWaiting,
    ];
    const PLANS: [TonePlan; 3] = [
        TonePlan::NorthAmerica,
        TonePlan::UnitedKingdom,
        TonePlan::ContinentalEurope,
    ];

    fn play(player: &mut Player, milliseconds: usize) -> Vec<f32> {
        let mut all = Vec::new();
        while all.len() < ms(milliseconds) {
            let mut frame = [0.0; PERIOD_FRAMES];
            player.add_to(&mut frame);
            all.extend(frame);
        }
        all
    }

    /// Lengths in ms of sound, pause, sound ...: power in windows of 1 ms against a threshold.
    fn measured_cadence(sound: &[f32]) -> Vec<u32> {
        let mut lengths = vec![0];
        let mut on = true;
        for window in sound.chunks(ms(5)) {
            let heard = window.iter().map(|s| s * s).sum::<f32>() / window.len() as f32 > 1e-6;
            if heard != on {
                on = heard;
                lengths.push(0);
            }
            *lengths.last_mut().unwrap() += 5;
        }
        lengths
    }

    fn check(name: &str, signal: Signal) {
        let mut player = Player::new(0);
        player.set(Some(signal));
        let cycle: u32 = signal.cadence.iter().map(|&p| u32::from(p)).sum();
        let sound = play(&mut player, (2 * cycle).max(2000) as usize);
        if signal.cadence.is_empty() {
            assert_eq!(measured_cadence(&sound).len(), 1, "{name} is continuous");
        } else {
            let measured = measured_cadence(&sound);
            for (n, length) in measured[..measured.len() - 1].iter().enumerate() {
                let want = i64::from(signal.cadence[n % signal.cadence.len()]);
                let off = i64::from(*length) - want;
                assert!(
                    off.abs() <= 10,
                    "{name}: pulse {n} is {length} ms, not {want}"
                );
            }
            assert!(
                measured.len() >= 2 * signal.cadence.len() - 1,
                "{name}: {measured:?}"
            );
        }
        if signal.alternate_ms.is_some() {
            return;
        }
        let on = signal.cadence.first().map_or(1000, |&on| usize::from(on));
        let steady = &sound[ms(10)..ms(on - 10)];
        let wanted: Vec<Part> = signal.parts.into_iter().filter(|p| p.hz > 0).collect();
        let found = peaks(steady, 48_000.0, wanted.len());
        for part in &wanted {
            let near = found
                .iter()
                .any(|hz| (hz - f32::from(part.hz)).abs() < 0.01 * f32::from(part.hz) + 1.0);
            assert!(near, "{name}: {} Hz is missing: {found:?}", part.hz);
            let level = level_db(steady, 48_000.0, part.hz.into());
            let want = 20.0 * part.amplitude().log10() as f32;
            assert!(
                (level - want).abs() < 0.7,
                "{name}: {} Hz at {level} dB, not {want}",
                part.hz
            );
        }
    }

    #[test]
    fn each_tone_of_the_table_has_its_frequencies_levels_and_cadence() {
        for plan in PLANS {
            for tone in TONES {
                check(
                    &format!("{tone:?} of {plan:?}"),
                    tones::progress(plan, tone),
                );
            }
            check(&format!("ring of {plan:?}"), tones::ring(plan));
        }
    }

    #[test]
    fn each_key_has_its_pair() {
        for key in "0123456789*#ABCD".chars() {
            check(&format!("key {key}"), tones::key(KeyTone(key)).unwrap());
        }
    }

    #[test]
    fn the_ring_alternates() {
        let mut player = Player::new(0);
        let signal = tones::ring(TonePlan::NorthAmerica);
        player.set(Some(signal));
        let sound = play(&mut player, 400);
        let each = ms(signal.alternate_ms.unwrap().into());
        for (n, part) in [(1, 1), (2, 0), (3, 1)] {
            let piece = &sound[n * each + 240..(n + 1) * each];
            let levels = signal.parts.map(|p| level_db(piece, 48_000.0, p.hz.into()));
            assert!(
                levels[part] > levels[1 - part] + 6.0,
                "piece {n}: {levels:?}"
            );
        }
    }

    #[test]
    fn a_short_key_press_is_heard_for_its_least_time() {
        let mut player = Player::new(ms(80));
        player.set(tones::key(KeyTone('5')));
        let mut sound = play(&mut player, 20);
        player.set(None);
        sound.extend(play(&mut player, 200));
        let heard = measured_cadence(&sound)[0];
        assert!((80..=90).contains(&heard), "{heard} ms");
    }

    #[test]
    fn changes_do_not_click() {
        let mut player = Player::new(0);
        let mut sound = Vec::new();
        for tone in [
            Some(Tone::Dial),
            None,
            Some(Tone::Busy),
            Some(Tone::Ringback),
            Some(Tone::Dial),
            None,
        ] {
            player.set(tone.map(|tone| tones::progress(TonePlan::NorthAmerica, tone)));
            sound.extend(play(&mut player, 70));
        }
        let steps: Vec<f32> = sound.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        let smooth = steps[ms(20)..ms(60)].iter().fold(0.0f32, |a, b| a.max(*b));
        let worst = steps.iter().fold(0.0f32, |a, b| a.max(*b));
        assert!(
            worst < smooth * 1.3,
            "{worst} against {smooth} in the steady tone"
        );
        assert!(sound[sound.len() - ms(40)..].iter().all(|&s| s == 0.0));
    }
}
