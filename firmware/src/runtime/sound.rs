//! The sound device: opened when the phone starts, opened again when it is lost or another path is wanted.

use super::levels::{Levels, PathLevels};
use super::ringer::{RingDevice, RingerEvent};
use super::{RuntimeError, Wake, notices};
use crate::audio::thread::{self, AudioThread, Ended};
use crate::audio::{
    AudioCommand, AudioCounters, Control, EchoCancelling, Engine, EngineConfig, GainControl,
    MAX_STREAMS, NoiseSuppression, OpusConfig, SoundPath, StreamCounters, StreamPort, VoiceConfig,
};
use crate::device::config::Config;
use crate::phone::{AudioPath, Notice};
use offhook_board::Board;
use offhook_hal::audio::{AudioError, DuplexAudio, DuplexSpec, PlaybackSpec};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pause before a device that is missing, busy or lost is tried again: a USB handset takes a second or two to come up.
const RETRY: Duration = Duration::from_secs(3);

/// In the order of the pipeline's paths.
pub(super) const PATHS: [AudioPath; 3] =
    [AudioPath::Handset, AudioPath::Speaker, AudioPath::Headset];

/// From the tasks and the audio thread.
pub(super) enum SoundEvent {
    /// The device of a path was opened, or not.
    Opened(AudioPath, Result<Box<dyn DuplexAudio>, AudioError>),
    /// The audio thread has ended; engine and device come back.
    Ended(Box<Ended<Engine>>),
    /// Time to try again.
    Retry,
    /// A path's mixer elements cannot be set.
    NoMixer(AudioPath),
    /// Of the ringer's own device.
    Ringer(RingerEvent),
}

impl std::fmt::Debug for SoundEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened(path, result) => write!(
                f,
                "Opened({path:?}, {:?})",
                result.as_ref().map(|device| device.format())
            ),
            Self::Ended(ended) => write!(f, "Ended({:?})", ended.error),
            Self::Retry => f.write_str("Retry"),
            Self::NoMixer(path) => write!(f, "NoMixer({path:?})"),
            Self::Ringer(event) => event.fmt(f),
        }
    }
}

/// What the user has to know of a sound event.
pub(super) enum Outcome {
    Running,
    Trouble(Notice),
    Nothing,
}

pub(super) struct Sound {
    control: Control,
    state: State,
    /// PCM names of each path, with the configuration's overrides.
    paths: [DuplexSpec; 3],
    path: AudioPath,
    levels: Levels,
    /// On boards that have one.
    ringer: Option<RingDevice>,
    ringing: bool,
    /// Ringing, and not on the ringer's own device.
    rings_here: bool,
    /// More than the ring is heard.
    listening: bool,
    /// Of the present path, percent.
    volume: u8,
    /// [`offhook_hal::audio::open`], but for tests.
    opener: Arc<Opener>,
    /// What of it the audio thread does, percent.
    own_volume: u8,
    wake: mpsc::Sender<Wake>,
}

type Opener = dyn Fn(&DuplexSpec) -> Result<Box<dyn DuplexAudio>, AudioError> + Send + Sync;

enum State {
    /// No device; the engine waits here.
    Closed(Box<Engine>),
    Opening(Box<Engine>),
    /// On the device of this path.
    Running(AudioThread, AudioPath),
    /// It runs on while the device of the path that is wanted now is being opened, so that little is missed.
    Leaving(AudioThread, AudioPath),
    /// The thread was told to stop, to be started again on another device; kept so that nobody waits for its end.
    Switching {
        _thread: AudioThread,
        /// Open already.
        next: Option<(AudioPath, Box<dyn DuplexAudio>)>,
    },
    Stopped,
}

impl Sound {
    /// Allocates the pipeline; opens nothing.
    pub fn new(
        config: &Config,
        board: &Board,
        wake: mpsc::Sender<Wake>,
    ) -> Result<(Self, Vec<StreamPort>), RuntimeError> {
        let engine_config = EngineConfig {
            tone_plan: config.phone.tones,
            opus: opus(config, board),
            jitter_headroom_ms: config.audio.jitter_headroom_ms,
            voices: PATHS.map(|path| voice(path_of(board, path))),
            sidetone_db: board.audio.handset.sidetone_db,
            ..EngineConfig::default()
        };
        let (engine, control, ports) = crate::audio::pipeline(engine_config)?;
        let ringer = own_ringer(config, board)
            .map(|spec| RingDevice::new(&engine_config, spec, wake.clone(), RETRY));
        let paths = PATHS.map(|path| specs(config, board, path));
        let state = State::Closed(Box::new(engine));
        // Devices of the configuration's own are not the ones the board's mixer belongs to.
        let own = config.audio.capture_spec().is_some() || config.audio.playback_spec().is_some();
        let elements = PATHS.map(|path| {
            let mut elements = PathLevels::of(path_of(board, path));
            if own {
                elements.let_alone();
            }
            elements
        });
        let levels = Levels::new(elements, wake.clone());
        levels.open(AudioPath::Handset);
        Ok((
            Self {
                control,
                state,
                paths,
                path: AudioPath::Handset,
                levels,
                ringer,
                ringing: false,
                rings_here: false,
                listening: false,
                volume: EngineConfig::default().volume_percent,
                opener: Arc::new(offhook_hal::audio::open),
                own_volume: EngineConfig::default().volume_percent,
                wake,
            },
            ports.into(),
        ))
    }

    /// Opens the device of the present path; does nothing when it is open.
    pub fn open(&mut self) {
        if let Some(ringer) = &mut self.ringer {
            ringer.open();
        }
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Closed(engine) => {
                self.state = State::Opening(engine);
                self.open_device(None);
            }
            other => self.state = other,
        }
    }

    /// Opens the device of the present path, once `former` is closed. A driver may take its time for either, and the loop
    /// must not wait for it.
    fn open_device(&self, former: Option<Box<dyn DuplexAudio>>) {
        let path = self.path;
        let spec = self.paths[path as usize].clone();
        let wake = self.wake.clone();
        let opener = Arc::clone(&self.opener);
        tokio::task::spawn_blocking(move || {
            drop(former);
            let result = opener(&spec);
            // The phone is stopping: the device is closed again.
            let _ = wake.blocking_send(Wake::Sound(SoundEvent::Opened(path, result)));
        });
    }

    /// Whether a path has the devices of the present one.
    fn is_here(&self, path: AudioPath) -> bool {
        self.paths[self.path as usize] == self.paths[path as usize]
    }

    /// Takes another path; the device changes only if the path has another one. The path's volume is told after it.
    pub fn switch(&mut self, path: AudioPath) {
        let is_elsewhere = !self.is_here(path);
        self.path = path;
        self.levels.open(path);
        self.state = match std::mem::replace(&mut self.state, State::Stopped) {
            State::Running(thread, left) if !self.is_here(left) => {
                self.open_device(None);
                State::Leaving(thread, left)
            }
            // The device that is missing is the former path's.
            State::Closed(engine) if is_elsewhere => {
                self.open_device(None);
                State::Opening(engine)
            }
            other => other,
        };
        if let State::Running(_, here) | State::Leaving(_, here) = self.state
            && self.is_here(here)
        {
            self.tell_path();
        }
    }

    /// The engine handles the microphone and the ear as this path's from now on. One that is to get another device is told
    /// with that: a loudspeaker that is still being left has its echo cancelled to the end.
    fn tell_path(&mut self) {
        self.tell_thread(AudioCommand::Path(match self.path {
            AudioPath::Handset => SoundPath::Handset,
            AudioPath::Speaker => SoundPath::Speaker,
            AudioPath::Headset => SoundPath::Headset,
        }));
    }

    /// By the sound card, or else by the phone. While it only rings, the card's elements are the ring's; beside a call
    /// they are the ear's, because a ring that drives them would shout into it.
    fn set_levels(&mut self) {
        if self.rings_here && !self.listening {
            self.levels.ring(self.path);
        } else {
            let mut rest = self.levels.volume(self.path, self.volume);
            // The device that is left plays on for a moment, perhaps at an ear: only the next one gets louder.
            if matches!(self.state, State::Leaving(..) | State::Switching { .. }) {
                rest = rest.min(self.own_volume);
            }
            self.own_volume = rest;
            self.tell_thread(AudioCommand::Volume(rest));
        }
    }

    /// To the audio thread, but for what the sound card does.
    pub fn send(&mut self, command: AudioCommand) {
        match command {
            AudioCommand::Volume(percent) => {
                self.volume = percent;
                self.set_levels();
            }
            AudioCommand::Ring(on) => self.ring(on),
            AudioCommand::Listen(on) => {
                self.listening = on;
                self.tell_thread(command);
                if self.rings_here {
                    self.set_levels();
                }
            }
            other => {
                if let (Some(ringer), AudioCommand::RingVolume(_) | AudioCommand::Plan(_)) =
                    (&mut self.ringer, other)
                {
                    ringer.send(other);
                }
                self.tell_thread(other);
            }
        }
    }

    /// On the ringer's own device, or else at the path in use.
    fn ring(&mut self, on: bool) {
        self.ringing = on;
        let elsewhere = match &mut self.ringer {
            Some(ringer) => ringer.send(AudioCommand::Ring(on)),
            None => false,
        };
        self.ring_here(on && !elsewhere);
    }

    fn ring_here(&mut self, on: bool) {
        self.tell_thread(AudioCommand::Ring(on));
        if self.rings_here != on {
            self.rings_here = on;
            self.set_levels();
        }
    }

    fn tell_thread(&mut self, command: AudioCommand) {
        // While there is no device nobody else takes them, and the queue would be full one day.
        if let State::Closed(engine) | State::Opening(engine) = &mut self.state {
            engine.obey();
        }
        if self.control.send(command).is_err() {
            tracing::error!("the audio thread does not take its commands");
        }
    }

    pub fn handle(&mut self, event: SoundEvent) -> Outcome {
        if let SoundEvent::NoMixer(path) = event {
            self.levels.give_up(path);
            self.set_levels();
            return Outcome::Nothing;
        }
        if let SoundEvent::Ringer(event) = event {
            if let Some(ringer) = &mut self.ringer
                && !ringer.handle(event)
                && self.ringing
            {
                self.ring_here(true);
            }
            return Outcome::Nothing;
        }
        let state = std::mem::replace(&mut self.state, State::Stopped);
        match event {
            SoundEvent::Opened(path, result) => self.opened(state, path, result),
            SoundEvent::Ended(ended) => self.ended(state, *ended),
            SoundEvent::Retry => {
                self.state = state;
                self.open();
                Outcome::Nothing
            }
            SoundEvent::NoMixer(_) | SoundEvent::Ringer(_) => {
                self.state = state;
                Outcome::Nothing
            }
        }
    }

    fn opened(
        &mut self,
        state: State,
        path: AudioPath,
        result: Result<Box<dyn DuplexAudio>, AudioError>,
    ) -> Outcome {
        let wanted = self.is_here(path);
        match (state, result) {
            (State::Opening(engine), Ok(device)) if wanted => self.run(*engine, path, device),
            (State::Opening(engine), Err(error)) if wanted => self.trouble(engine, &error),
            (State::Leaving(thread, left), result) if self.is_here(left) => {
                close(result.ok());
                self.state = State::Running(thread, left);
                self.set_levels();
                Outcome::Nothing
            }
            // One that is busy may be held by ourselves, for the path that is left: it is tried again after that.
            (State::Leaving(thread, _), result) if wanted => {
                thread.stop();
                self.state = State::Switching {
                    _thread: thread,
                    next: result.ok().map(|device| (path, device)),
                };
                Outcome::Nothing
            }
            // Another path was taken meanwhile.
            (state @ (State::Opening(_) | State::Leaving(..)), result) => {
                self.state = state;
                self.open_device(result.ok());
                Outcome::Nothing
            }
            (state, result) => {
                close(result.ok());
                self.state = state;
                Outcome::Nothing
            }
        }
    }

    fn ended(&mut self, state: State, ended: Ended<Engine>) -> Outcome {
        let engine = Box::new(ended.engine);
        match state {
            State::Switching {
                next: Some((path, device)),
                ..
            } if self.is_here(path) => {
                // The next one begins while the former plays its last.
                let outcome = self.run(*engine, path, device);
                close(Some(ended.device));
                outcome
            }
            State::Switching { next, .. } => {
                close(next.map(|(_, device)| device));
                self.state = State::Opening(engine);
                self.open_device(Some(ended.device));
                Outcome::Nothing
            }
            // The path's own device is lost while the next one's is being opened already.
            State::Leaving(..) => {
                close(Some(ended.device));
                self.state = State::Opening(engine);
                Outcome::Nothing
            }
            State::Running(..) => {
                close(Some(ended.device));
                match ended.error {
                    Some(error) => self.trouble(engine, &error),
                    None => Outcome::Nothing,
                }
            }
            state => {
                self.state = state;
                Outcome::Nothing
            }
        }
    }

    fn run(&mut self, engine: Engine, path: AudioPath, device: Box<dyn DuplexAudio>) -> Outcome {
        tracing::info!(format = ?device.format(), "sound is running");
        self.tell_path();
        self.levels.opened(path);
        let wake = self.wake.clone();
        let on_end = move |ended: Ended<Engine>| {
            // The phone has stopped: the engine is not needed any more.
            let _ = wake.try_send(Wake::Sound(SoundEvent::Ended(Box::new(ended))));
        };
        match thread::spawn(device, engine, on_end) {
            Ok(thread) => {
                self.state = State::Running(thread, path);
                self.set_levels();
                Outcome::Running
            }
            Err(error) => {
                tracing::error!(%error, "no audio thread: the phone has to be restarted");
                Outcome::Trouble(Notice::SoundTrouble {
                    device: String::new(),
                })
            }
        }
    }

    fn trouble(&mut self, mut engine: Box<Engine>, error: &AudioError) -> Outcome {
        engine.forget_unplayed();
        tracing::error!(%error, "no sound; trying again in {} s", RETRY.as_secs());
        self.state = State::Closed(engine);
        let wake = self.wake.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RETRY).await;
            // The phone is stopping.
            let _ = wake.send(Wake::Sound(SoundEvent::Retry)).await;
        });
        Outcome::Trouble(notices::of_sound(error))
    }

    /// Signs of life of the audio thread, while there should be one.
    pub fn beats(&self) -> Option<u64> {
        match self.state {
            State::Running(..) | State::Leaving(..) | State::Switching { .. } => {
                Some(self.control.beats())
            }
            State::Closed(_) | State::Opening(_) | State::Stopped => None,
        }
    }

    pub fn counters(&self) -> AudioCounters {
        self.control.counters()
    }

    /// Zeros for a stream that does not exist (a session that got none).
    pub fn stream(&self, stream: usize) -> StreamCounters {
        if stream < MAX_STREAMS {
            self.control.stream(stream)
        } else {
            StreamCounters::default()
        }
    }

    pub fn stop(&mut self) {
        // Dropping a running thread stops it and waits a period at most.
        self.state = State::Stopped;
        self.ringer = None;
    }
}

/// Closes a device that is not needed any more when it has played what is queued, where nobody waits for it.
fn close(device: Option<Box<dyn DuplexAudio>>) {
    if let Some(mut device) = device {
        tokio::task::spawn_blocking(move || device.finish());
    }
}

/// The board's ringer. With devices of the configuration's own the board's are not used.
pub(super) fn own_ringer(config: &Config, board: &Board) -> Option<PlaybackSpec> {
    match config.audio.playback_spec() {
        None => board.audio.ringer.clone(),
        Some(_) => None,
    }
}

/// Where a path's sound comes from and goes to: the configuration's devices if it names them, else the board's. A
/// board without a speaker or headset uses its handset.
pub(super) fn specs(config: &Config, board: &Board, path: AudioPath) -> DuplexSpec {
    let audio = path_of(board, path);
    DuplexSpec {
        capture: config
            .audio
            .capture_spec()
            .unwrap_or_else(|| audio.capture.clone()),
        playback: config
            .audio
            .playback_spec()
            .unwrap_or_else(|| audio.playback.clone()),
        period_frames: audio.period_frames,
        buffer_frames: audio.buffer_frames,
    }
}

fn path_of(board: &Board, path: AudioPath) -> &offhook_board::AudioPath {
    match path {
        AudioPath::Handset => None,
        AudioPath::Speaker => board.audio.speaker.as_ref(),
        AudioPath::Headset => board.audio.headset.as_ref(),
    }
    .unwrap_or(&board.audio.handset)
}

/// How the encoders are set.
fn opus(config: &Config, board: &Board) -> OpusConfig {
    OpusConfig {
        bitrate_bps: config.audio.opus_bitrate_bps,
        // Below 0 it is the board's.
        complexity: u8::try_from(config.audio.opus_complexity).unwrap_or(board.opus_complexity),
        fec: config.audio.opus_fec,
        dtx: config.audio.opus_dtx,
        bandwidth_bps: config.audio.bandwidth_bps,
        ..OpusConfig::default()
    }
}

/// What the board wants done to a path's microphone.
fn voice(path: &offhook_board::AudioPath) -> VoiceConfig {
    use offhook_board::NoiseSuppression as Board;
    VoiceConfig {
        echo_cancelling: path.echo_cancelling.map(|echo| EchoCancelling {
            extra_delay_ms: echo.extra_delay_ms,
            gate_db: echo.gate_db,
        }),
        noise_suppression: match path.noise_suppression {
            Board::Off => NoiseSuppression::Off,
            Board::Low => NoiseSuppression::Low,
            Board::Moderate => NoiseSuppression::Moderate,
            Board::High => NoiseSuppression::High,
        },
        gain_control: path.gain_control.map(|gain| GainControl {
            headroom_db: gain.headroom_db,
            most_db: gain.most_db,
        }),
    }
}

#[cfg(test)]
mod tests;
