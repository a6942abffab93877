//! The ringer's own sound device, on boards that have one. While it is missing, the phone rings at the path in use.

use super::Wake;
use super::sound::SoundEvent;
use crate::audio::thread::{self, AudioThread, Ended, Worker};
use crate::audio::{AudioCommand, EngineConfig, Ringer, RingerControl, ringer};
use offhook_hal::audio::{AudioError, CaptureSpec, DuplexAudio, DuplexSpec, PlaybackSpec};
use std::time::Duration;
use tokio::sync::mpsc;

/// From the tasks and the ringer's thread.
pub(super) enum RingerEvent {
    /// Its device was opened, or not.
    Opened(Result<Box<dyn DuplexAudio>, AudioError>),
    /// Its thread has ended.
    Ended(Box<Ended<Ringer>>),
    /// Time to try again.
    Retry,
}

impl std::fmt::Debug for RingerEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened(result) => write!(
                f,
                "Opened({:?})",
                result.as_ref().map(|device| device.format())
            ),
            Self::Ended(ended) => write!(f, "Ended({:?})", ended.error),
            Self::Retry => f.write_str("Retry"),
        }
    }
}

/// The ringer and its device.
pub(super) struct RingDevice {
    control: RingerControl,
    state: State,
    spec: PlaybackSpec,
    wake: mpsc::Sender<Wake>,
    retry: Duration,
}

enum State {
    Closed(Box<Ringer>),
    Opening(Box<Ringer>),
    Running { _thread: AudioThread },
    Stopped,
}

impl RingDevice {
    /// Opens nothing yet; a missing device is tried again every `retry`.
    pub fn new(
        config: &EngineConfig,
        spec: PlaybackSpec,
        wake: mpsc::Sender<Wake>,
        retry: Duration,
    ) -> Self {
        let (ringer, control) = ringer(config);
        Self {
            control,
            state: State::Closed(Box::new(ringer)),
            spec,
            wake,
            retry,
        }
    }

    /// Opens the device; does nothing when it is open.
    pub fn open(&mut self) {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Closed(ringer) => {
                self.state = State::Opening(ringer);
                let spec = DuplexSpec::new(CaptureSpec::Silence, self.spec.clone());
                let wake = self.wake.clone();
                tokio::task::spawn_blocking(move || {
                    let result = offhook_hal::audio::open(&spec);
                    // The phone is stopping: the device is closed again.
                    let _ = wake.blocking_send(event(RingerEvent::Opened(result)));
                });
            }
            other => self.state = other,
        }
    }

    /// Takes ring, ring volume and tone plan; whether the ring is heard here.
    pub fn send(&mut self, command: AudioCommand) -> bool {
        // While there is no device nobody else takes them, and the queue would be full one day.
        if let State::Closed(ringer) | State::Opening(ringer) = &mut self.state {
            ringer.obey();
        }
        let taken = self.control.send(command).is_ok();
        taken && matches!(self.state, State::Running { .. })
    }

    /// False if the ringer has just lost its device: who rings now must ring elsewhere.
    pub fn handle(&mut self, given: RingerEvent) -> bool {
        match (given, std::mem::replace(&mut self.state, State::Stopped)) {
            (RingerEvent::Opened(Ok(device)), State::Opening(ringer)) => {
                tracing::info!(format = ?device.format(), "the ringer's sound is running");
                let wake = self.wake.clone();
                let on_end = move |ended: Ended<Ringer>| {
                    // The phone has stopped: the ringer is not needed any more.
                    let _ = wake.try_send(event(RingerEvent::Ended(Box::new(ended))));
                };
                match thread::spawn(device, *ringer, on_end) {
                    Ok(thread) => self.state = State::Running { _thread: thread },
                    Err(error) => tracing::error!(%error, "no thread for the ringer"),
                }
                true
            }
            (RingerEvent::Opened(Err(error)), State::Opening(ringer)) => {
                self.trouble(ringer, &error);
                true
            }
            (RingerEvent::Ended(ended), State::Running { .. }) => {
                if let Some(error) = ended.error {
                    self.trouble(Box::new(ended.engine), &error);
                }
                false
            }
            (RingerEvent::Retry, state) => {
                self.state = state;
                self.open();
                true
            }
            (_, state) => {
                self.state = state;
                true
            }
        }
    }

    fn trouble(&mut self, ringer: Box<Ringer>, error: &AudioError) {
        let seconds = self.retry.as_secs();
        tracing::warn!(%error, "the phone rings where it is used; trying the ringer again in {seconds} s");
        self.state = State::Closed(ringer);
        let (wake, retry) = (self.wake.clone(), self.retry);
        tokio::spawn(async move {
            tokio::time::sleep(retry).await;
            // The phone is stopping.
            let _ = wake.send(event(RingerEvent::Retry)).await;
        });
    }
}

fn event(event: RingerEvent) -> Wake {
    Wake::Sound(SoundEvent::Ringer(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(woken: &mut mpsc::Receiver<Wake>) -> RingerEvent {
        match woken.recv().await {
            Some(Wake::Sound(SoundEvent::Ringer(event))) => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn it_rings_on_its_own_device_and_says_when_it_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ring.wav");
        let (wake, mut woken) = mpsc::channel(8);
        let spec = PlaybackSpec::Wav(dir.path().join("not/yet/ring.wav"));
        let retry = Duration::from_millis(1);
        let mut device = RingDevice::new(&EngineConfig::default(), spec, wake, retry);
        assert!(!device.send(AudioCommand::Ring(true)), "nobody hears it");
        device.open();
        let opened = next(&mut woken).await;
        assert!(matches!(opened, RingerEvent::Opened(Err(_))), "{opened:?}");
        assert!(device.handle(opened), "it had none before");
        // It is plugged in, and found by itself.
        device.spec = PlaybackSpec::Wav(file.clone());
        let retry = next(&mut woken).await;
        assert!(matches!(retry, RingerEvent::Retry));
        device.handle(retry);
        let opened = next(&mut woken).await;
        device.handle(opened);
        assert!(device.send(AudioCommand::RingVolume(100)));
        // It has rung since the beginning: until the file has it.
        let loud = || {
            let mut samples = samples(&file);
            samples.any(|sample| sample.unsigned_abs() > 1000)
        };
        while !loud() {
            tokio::task::yield_now().await;
        }
        device.state = State::Stopped;
    }

    /// The samples of a WAV file of ours: behind a header of 44 bytes.
    fn samples(file: &std::path::Path) -> impl Iterator<Item = i16> {
        let bytes = std::fs::read(file).unwrap_or_default();
        let samples: Vec<i16> = bytes
            .get(44..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|two| i16::from_le_bytes([two[0], two[1]]))
            .collect();
        samples.into_iter()
    }
}
