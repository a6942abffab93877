//! The ring on a sound device of its own, so that the phone can ring while a call goes on at the ear.

use super::mixer::{Mixer, Sources};
use super::oscillator::Player;
use super::pipeline::{EngineConfig, Full, leaked};
use super::sleeper::Sleeper;
use super::thread::Worker;
use super::{AudioCommand, COMMAND_QUEUE, Frame, TonePlan, tones};
use heapless::spsc::{Consumer, Producer};
use offhook_hal::audio::{PERIOD_FRAMES, Period, PeriodReport};
use std::sync::Arc;

const SILENCE: Frame = [0.0; PERIOD_FRAMES];

/// What plays on the ringer's device. Lives on a real-time thread of its own; rings as [`super::Engine`] does.
pub struct Ringer {
    commands: Consumer<'static, AudioCommand>,
    sleeper: Arc<Sleeper>,
    mixer: Mixer,
    ring: Player,
    plan: TonePlan,
    ringing: bool,
}

/// The phone's end of it.
pub struct RingerControl {
    commands: Producer<'static, AudioCommand>,
    sleeper: Arc<Sleeper>,
}

impl RingerControl {
    /// Queues [`AudioCommand::Ring`], [`AudioCommand::RingVolume`] or [`AudioCommand::Plan`]; others are not for it.
    pub fn send(&mut self, command: AudioCommand) -> Result<(), Full> {
        let queued = self.commands.enqueue(command).map_err(|_| Full);
        self.sleeper.wake();
        queued
    }
}

/// Makes both ends. To be called once per process, as [`super::pipeline()`].
pub fn ringer(config: &EngineConfig) -> (Ringer, RingerControl) {
    let (producer, commands) = leaked::<_, { COMMAND_QUEUE + 1 }>();
    let sleeper = Arc::new(Sleeper::default());
    let ringer = Ringer {
        commands,
        sleeper: Arc::clone(&sleeper),
        mixer: Mixer::new(config),
        ring: Player::new(0),
        plan: config.tone_plan,
        ringing: false,
    };
    let control = RingerControl {
        commands: producer,
        sleeper,
    };
    (ringer, control)
}

impl Worker for Ringer {
    fn note_device(&mut self, _: &PeriodReport) {}

    fn process(&mut self, _: &Period, playback: &mut Period) {
        self.obey();
        let (mut ring, mut played) = (SILENCE, SILENCE);
        self.ring.add_to(&mut ring);
        let sources = Sources {
            far: &SILENCE,
            tones: &SILENCE,
            near: &SILENCE,
            ring: &ring,
        };
        self.mixer.mix(&sources, &mut played, playback);
    }

    fn is_idle(&self) -> bool {
        self.ring.is_silent() && !self.commands.ready()
    }

    fn obey(&mut self) {
        while let Some(command) = self.commands.dequeue() {
            match command {
                AudioCommand::Ring(on) => self.ringing = on,
                AudioCommand::Plan(plan) => self.plan = plan,
                AudioCommand::RingVolume(percent) => {
                    self.mixer.set_ring_volume(percent);
                    continue;
                }
                _ => continue,
            }
            let tone = self.ringing.then(|| tones::ring(self.plan));
            self.ring.set(tone);
        }
    }

    fn sleeper(&self) -> Arc<Sleeper> {
        Arc::clone(&self.sleeper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::tests::measure::{level_db, rms};
    use crate::audio::tests::rig::{Phone, SILENCE as QUIET};
    use std::time::Instant;

    fn play(ringer: &mut Ringer, periods: usize) -> Vec<f32> {
        let mut all = Vec::new();
        for _ in 0..periods {
            let mut playback = QUIET;
            ringer.process(&QUIET, &mut playback);
            all.extend(playback.map(|sample| f32::from(sample) / 32_768.0));
        }
        all
    }

    #[test]
    fn it_rings_beside_the_engine_and_not_through_it() {
        let config = EngineConfig::default();
        let (mut ringer, mut control) = ringer(&config);
        assert!(ringer.is_idle());
        let mut phone = Phone::new(config, Instant::now(), 0.0);
        phone.send(AudioCommand::Tone(Some(crate::audio::Tone::Dial)));
        control.send(AudioCommand::RingVolume(100)).unwrap();
        control.send(AudioCommand::Ring(true)).unwrap();
        assert!(!ringer.is_idle());
        let rung = play(&mut ringer, 50);
        for _ in 0..50 {
            phone.step(&QUIET);
        }
        assert!(rms(&rung[4800..]) > 0.05, "it rings");
        // North America dials with 350 and 440 Hz, and nothing else is in the ear.
        let (tone, all) = (&phone.heard[4800..], rms(&phone.heard[4800..]));
        let pair = [350.0, 440.0].map(|hz| 10f32.powf(level_db(tone, 48_000.0, hz) / 10.0));
        let pair = (pair.iter().sum::<f32>() / 2.0).sqrt();
        assert!((pair / all - 1.0).abs() < 0.02, "{pair} of {all}");
        control.send(AudioCommand::Ring(false)).unwrap();
        play(&mut ringer, 10);
        assert!(ringer.is_idle());
        assert!(play(&mut ringer, 1).iter().all(|&s| s == 0.0));
    }

    #[test]
    fn it_rings_as_the_engine_does() {
        let config = EngineConfig::default();
        let (mut ringer, mut control) = ringer(&config);
        let mut phone = Phone::new(config, Instant::now(), 0.0);
        for command in [
            AudioCommand::Plan(TonePlan::UnitedKingdom),
            AudioCommand::RingVolume(60),
            AudioCommand::Ring(true),
        ] {
            control.send(command).unwrap();
            phone.send(command);
        }
        let rung = play(&mut ringer, 300);
        for _ in 0..300 {
            phone.step(&QUIET);
        }
        assert_eq!(rung, phone.heard);
    }
}
