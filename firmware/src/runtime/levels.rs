//! The sound card's own volumes: set beside the event loop, because a driver may take its time.

use super::Wake;
use super::sound::SoundEvent;
use crate::phone::AudioPath;
use offhook_board::{AudioPath as BoardPath, MixerElement};
use offhook_hal::audio::{Direction, MixerControl};
use std::sync::mpsc::{Sender, channel};
use tokio::sync::mpsc;

/// How far the microphone's own amplifier is opened: halfway between the board's bounds.
const CAPTURE_PERCENT: u8 = 50;

/// One path's elements.
#[derive(Clone, Debug, Default)]
pub(super) struct PathLevels {
    playback: Option<MixerControl>,
    capture: Option<MixerControl>,
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
            playback: control(&path.playback_volume, Direction::Playback),
            capture: control(&path.capture_gain, Direction::Capture),
        }
    }
}

/// All paths' elements, and the thread that sets them, in order.
pub(super) struct Levels {
    paths: [PathLevels; 3],
    worker: Sender<(AudioPath, MixerControl, u8)>,
}

impl Levels {
    /// Starts the thread; it ends when this is dropped.
    pub fn new(paths: [PathLevels; 3], wake: mpsc::Sender<Wake>) -> Self {
        let (worker, work) = channel::<(AudioPath, MixerControl, u8)>();
        std::thread::spawn(move || {
            while let Ok((path, control, percent)) = work.recv() {
                if let Err(error) = control.set(percent) {
                    tracing::warn!(%error, "the phone regulates the volume itself");
                    // The phone is stopping.
                    let _ = wake.blocking_send(Wake::Sound(SoundEvent::NoMixer(path)));
                }
            }
        });
        Self { paths, worker }
    }

    /// The path is taken: its microphone's gain is set.
    pub fn open(&self, path: AudioPath) {
        self.set(
            path,
            self.paths[path as usize].capture.as_ref(),
            CAPTURE_PERCENT,
        );
    }

    /// Sets the path's volume; what is left for the phone to do, percent.
    pub fn volume(&self, path: AudioPath, percent: u8) -> u8 {
        match &self.paths[path as usize].playback {
            None => percent,
            control => {
                self.set(path, control.as_ref(), percent);
                // Silence is the phone's own all the same: not every element can be switched off.
                if percent == 0 { 0 } else { 100 }
            }
        }
    }

    /// The path's elements cannot be set; they are not tried again.
    pub fn give_up(&mut self, path: AudioPath) {
        self.paths[path as usize] = PathLevels::default();
    }

    fn set(&self, path: AudioPath, control: Option<&MixerControl>, percent: u8) {
        if let Some(control) = control {
            // The thread lives as long as this.
            let _ = self.worker.send((path, control.clone(), percent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_card_regulates_until_it_fails() {
        let board = include_str!("../../../board/boards/rpi-4b.toml");
        // No card has this name.
        let board = board.replace("hw:CARD=wm8960soundcard\"", "hw:CARD=none\"");
        let board = offhook_board::Board::parse(&board, "test").unwrap();
        let (wake, mut woken) = mpsc::channel(8);
        let speaker = board.audio.speaker.as_ref().unwrap();
        let paths = [
            &board.audio.handset,
            speaker,
            board.audio.headset.as_ref().unwrap(),
        ];
        let mut levels = Levels::new(paths.map(PathLevels::of), wake);
        assert_eq!(levels.volume(AudioPath::Headset, 40), 40, "has no element");
        assert_eq!(levels.volume(AudioPath::Speaker, 40), 100);
        assert!(matches!(
            woken.recv().await,
            Some(Wake::Sound(SoundEvent::NoMixer(AudioPath::Speaker)))
        ));
        levels.give_up(AudioPath::Speaker);
        assert_eq!(levels.volume(AudioPath::Speaker, 40), 40);
        assert_eq!(levels.volume(AudioPath::Handset, 0), 0);
    }
}
