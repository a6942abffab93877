//! The sound card's own volumes and switches: set beside the event loop, because a driver may take its time.

use super::Wake;
use super::sound::{PATHS, SoundEvent};
use crate::phone::AudioPath;
use offhook_board::{AudioPath as BoardPath, MixerElement};
use offhook_hal::audio::{Direction, MixerControl, MixerError, MixerSwitch, PlaybackSpec};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::mpsc;

/// How far the microphone's own amplifier is opened: halfway between the board's bounds.
const CAPTURE_PERCENT: u8 = 50;
/// While the phone rings, its own ring volume does the rest.
const RING_PERCENT: u8 = 100;

/// One path's elements and switches.
#[derive(Clone, Debug)]
pub(super) struct PathLevels {
    /// What it plays to; paths with the same are heard at each other's elements.
    device: PlaybackSpec,
    playback: Option<MixerControl>,
    capture: Option<MixerControl>,
    /// Without them nothing is heard.
    switches: Vec<MixerSwitch>,
}

impl PathLevels {
    /// As the board says.
    pub fn of(path: &BoardPath) -> Self {
        let control = |element: &Option<MixerElement>, direction| {
            let element = element.as_ref()?;
            Some(MixerControl {
                card: path.mixer_card.as_deref()?.into(),
                element: element.element.as_str().into(),
                direction,
                min_db: element.min_db,
                max_db: element.max_db,
            })
        };
        Self {
            device: path.playback.clone(),
            playback: control(&path.playback_volume, Direction::Playback),
            capture: control(&path.capture_gain, Direction::Capture),
            switches: path.mixer_card.as_deref().map_or_else(Vec::new, |card| {
                let switch = |control: &String| MixerSwitch {
                    card: card.into(),
                    control: control.as_str().into(),
                };
                path.switches.iter().map(switch).collect()
            }),
        }
    }

    /// The phone regulates the volume itself.
    pub fn give_up(&mut self) {
        (self.playback, self.capture) = (None, None);
    }

    /// The path's card is not the board's: it is left as it is.
    pub fn let_alone(&mut self) {
        self.give_up();
        self.switches.clear();
    }
}

/// What the thread does.
enum Task {
    Level(AudioPath, MixerControl, u8),
    SwitchOn(MixerSwitch),
}

/// Switches that could not be set on: each is told once, until it could be.
#[derive(Default)]
struct Failed(Vec<MixerSwitch>);

impl Failed {
    /// Whether this is news.
    fn tell(&mut self, switch: MixerSwitch, has_failed: bool) -> bool {
        let known = self.0.iter().position(|failed| *failed == switch);
        match known {
            Some(known) if !has_failed => {
                self.0.swap_remove(known);
                false
            }
            None if has_failed => {
                self.0.push(switch);
                true
            }
            _ => false,
        }
    }
}

/// All paths' elements, and the thread that sets them, in order.
pub(super) struct Levels {
    paths: [PathLevels; PATHS.len()],
    worker: Sender<Task>,
}

impl Levels {
    /// Starts the thread; it ends when this is dropped.
    pub fn new(paths: [PathLevels; PATHS.len()], wake: mpsc::Sender<Wake>) -> Self {
        Self::set_by(MixerControl::set, MixerSwitch::set_on, paths, wake)
    }

    /// `set` and `switch_on` write to the card.
    pub fn set_by(
        set: impl Fn(&MixerControl, u8) -> Result<(), MixerError> + Send + 'static,
        switch_on: impl Fn(&MixerSwitch) -> Result<(), MixerError> + Send + 'static,
        paths: [PathLevels; PATHS.len()],
        wake: mpsc::Sender<Wake>,
    ) -> Self {
        let (worker, work) = channel();
        std::thread::spawn(move || {
            let mut failed = Failed::default();
            while let Ok(task) = work.recv() {
                match task {
                    Task::Level(path, control, percent) => {
                        if let Err(error) = set(&control, percent) {
                            tracing::warn!(%error, "the phone regulates the volume itself");
                            // The phone is stopping.
                            let _ = wake.blocking_send(Wake::Sound(SoundEvent::NoMixer(path)));
                        }
                    }
                    Task::SwitchOn(switch) => {
                        let result = switch_on(&switch);
                        let is_news = failed.tell(switch, result.is_err());
                        if let (Err(error), true) = (result, is_news) {
                            tracing::warn!(%error, "a switch is left as it is: perhaps nothing is heard");
                        }
                    }
                }
            }
        });
        Self { paths, worker }
    }

    /// The path's device was opened. Its card may be as a reset leaves it, so the switches are set each time.
    pub fn opened(&self, path: AudioPath) {
        for switch in &self.paths[path as usize].switches {
            // The thread lives as long as this.
            let _ = self.worker.send(Task::SwitchOn(switch.clone()));
        }
    }

    /// The path is taken: nothing is heard at another's element, and its microphone's gain is set.
    pub fn open(&self, path: AudioPath) {
        self.close_others(path);
        self.set(
            path,
            self.paths[path as usize].capture.as_ref(),
            CAPTURE_PERCENT,
        );
    }

    /// Sets the path's volume; what is left for the phone to do, percent.
    pub fn volume(&self, path: AudioPath, percent: u8) -> u8 {
        self.close_others(path);
        match &self.paths[path as usize].playback {
            None => percent,
            control => {
                self.set(path, control.as_ref(), percent);
                // Silence is the phone's own all the same: not every element can be switched off.
                if percent == 0 { 0 } else { 100 }
            }
        }
    }

    /// The phone rings on the path's device: aloud, if the loudspeaker is on it too, because nobody has a handset at
    /// the ear. How loud is the phone's own to do: the ear's volume is none of the ring's.
    pub fn ring(&self, path: AudioPath) {
        let speaker = &self.paths[AudioPath::Speaker as usize];
        let is_here = speaker.device == self.paths[path as usize].device;
        let path = if is_here && speaker.playback.is_some() {
            AudioPath::Speaker
        } else {
            path
        };
        self.close_others(path);
        let control = self.paths[path as usize].playback.as_ref();
        self.set(path, control, RING_PERCENT);
    }

    /// The path's elements cannot be set; they are not tried again.
    pub fn give_up(&mut self, path: AudioPath) {
        self.paths[path as usize].give_up();
    }

    /// Mutes what else is heard of the path's device. One element may serve several paths.
    fn close_others(&self, path: AudioPath) {
        let here = &self.paths[path as usize];
        for other in PATHS {
            let there = &self.paths[other as usize];
            let is_own = match (&there.playback, &here.playback) {
                (Some(there), Some(here)) => there.is_same_element(here),
                _ => false,
            };
            if other != path && there.device == here.device && !is_own {
                self.set(other, there.playback.as_ref(), 0);
            }
        }
    }

    fn set(&self, path: AudioPath, control: Option<&MixerControl>, percent: u8) {
        if let Some(control) = control {
            // The thread lives as long as this.
            let _ = self
                .worker
                .send(Task::Level(path, control.clone(), percent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on the board with a WM8960: handset and speaker are one device with an element each, the headset is another.
    fn paths() -> [PathLevels; PATHS.len()] {
        let audio = offhook_board::Board::builtin("rpi-4b").unwrap().audio;
        let paths = [Some(audio.handset), audio.speaker, audio.headset];
        paths.map(|path| PathLevels::of(&path.unwrap()))
    }

    /// What `act` writes to the card, in order; a switch is 1.
    fn written(act: impl FnOnce(&mut Levels)) -> Vec<(String, u8)> {
        let (card, written) = channel();
        let (wake, mut woken) = mpsc::channel(8);
        let switches = card.clone();
        // As if the card had none of them.
        let switch_on = move |switch: &MixerSwitch| {
            let _ = switches.send((switch.control.to_string(), 1));
            Err(MixerError::Switch {
                card: switch.card.clone(),
                control: switch.control.clone(),
            })
        };
        let set = move |control: &MixerControl, percent| {
            let _ = card.send((control.element.to_string(), percent));
            Ok(())
        };
        let mut levels = Levels::set_by(set, switch_on, paths(), wake);
        act(&mut levels);
        drop(levels);
        let written = written.into_iter().collect();
        // Sound goes on, and the volume is the card's.
        assert!(woken.try_recv().is_err());
        written
    }

    fn expect(act: impl FnOnce(&mut Levels), expected: &[(&str, u8)]) {
        let written = written(act);
        let written: Vec<_> = written.iter().map(|(e, p)| (e.as_str(), *p)).collect();
        assert_eq!(written, expected);
    }

    /// With the path's own element set alone, what a caller says at the ear is heard in the room, and the other way round.
    #[test]
    fn what_else_is_on_the_device_is_muted_before_the_path_is_heard() {
        let (ear, desk) = ("Headphone", "Speaker");
        expect(
            |levels| levels.open(AudioPath::Handset),
            &[(desk, 0), ("Capture", 50)],
        );
        expect(
            |levels| assert_eq!(levels.volume(AudioPath::Handset, 70), 100),
            &[(desk, 0), (ear, 70)],
        );
        expect(
            |levels| assert_eq!(levels.volume(AudioPath::Speaker, 60), 100),
            &[(ear, 0), (desk, 60)],
        );
        let headset = |levels: &mut Levels| assert_eq!(levels.volume(AudioPath::Headset, 40), 40);
        expect(headset, &[]);
    }

    #[test]
    fn one_element_of_two_paths_is_not_muted_by_itself() {
        expect(
            |levels| {
                // A board without a speaker, whose key uses the handset.
                levels.paths[AudioPath::Speaker as usize] = levels.paths[0].clone();
                levels.volume(AudioPath::Speaker, 60);
                levels.ring(AudioPath::Handset);
            },
            &[("Headphone", 60), ("Headphone", 100)],
        );
    }

    #[test]
    fn it_rings_aloud_if_the_loudspeaker_is_on_the_device() {
        for path in [AudioPath::Handset, AudioPath::Speaker] {
            expect(
                |levels| levels.ring(path),
                &[("Headphone", 0), ("Speaker", 100)],
            );
        }
        expect(|levels| levels.ring(AudioPath::Headset), &[]);
        let without = |levels: &mut Levels| {
            levels.give_up(AudioPath::Speaker);
            levels.ring(AudioPath::Handset);
        };
        expect(without, &[("Headphone", 100)]);
    }

    /// A card that was lost and is back has been reset.
    #[test]
    fn the_switches_are_set_on_whenever_the_device_is_opened() {
        let all = [
            ("Left Output Mixer PCM Playback Switch", 1),
            ("Right Output Mixer PCM Playback Switch", 1),
            ("Left Boost Mixer LINPUT1 Switch", 1),
            ("Right Boost Mixer RINPUT1 Switch", 1),
            ("Left Input Mixer Boost Switch", 1),
            ("Right Input Mixer Boost Switch", 1),
        ];
        for path in [AudioPath::Handset, AudioPath::Speaker] {
            let twice = |levels: &mut Levels| {
                levels.opened(path);
                levels.opened(path);
            };
            expect(twice, &[all, all].concat());
        }
        expect(|levels| levels.opened(AudioPath::Headset), &[]);
        let without_volumes = |levels: &mut Levels| {
            levels.give_up(AudioPath::Handset);
            levels.opened(AudioPath::Handset);
        };
        expect(without_volumes, &all);
        let not_ours = |levels: &mut Levels| {
            levels.paths[0].let_alone();
            levels.opened(AudioPath::Handset);
        };
        expect(not_ours, &[]);
    }

    #[test]
    fn a_switch_that_is_missing_is_told_once() {
        let [left, right] = ["Left Switch", "Right Switch"].map(|control| MixerSwitch {
            card: "hw:0".into(),
            control: control.into(),
        });
        let mut failed = Failed::default();
        for (switch, has_failed, is_news) in [
            (&left, true, true),
            (&right, true, true),
            (&left, true, false),
            (&left, false, false),
            (&right, true, false),
            (&left, true, true),
        ] {
            assert_eq!(failed.tell(switch.clone(), has_failed), is_news);
        }
    }

    #[tokio::test]
    async fn the_card_regulates_until_it_fails() {
        let (wake, mut woken) = mpsc::channel(8);
        let mut paths = paths();
        for control in paths.iter_mut().filter_map(|path| path.playback.as_mut()) {
            // No card has this name.
            control.card = "hw:CARD=none".into();
        }
        let mut levels = Levels::new(paths, wake);
        assert_eq!(levels.volume(AudioPath::Speaker, 40), 100);
        for path in [AudioPath::Handset, AudioPath::Speaker] {
            let event = woken.recv().await;
            assert!(
                matches!(event, Some(Wake::Sound(SoundEvent::NoMixer(failed))) if failed == path),
                "{event:?}"
            );
            levels.give_up(path);
        }
        assert_eq!(levels.volume(AudioPath::Speaker, 40), 40);
        assert_eq!(levels.volume(AudioPath::Handset, 0), 0);
    }
}
