//! The audio thread's whole work for one period.

use super::capture::CaptureChain;
use super::clock::SteadyClock;
use super::counters::Shared;
use super::mixer::{Mixer, Sources};
use super::oscillator::Player;
use super::pipeline::EngineConfig;
use super::ramp::ms;
use super::reference::Reference;
use super::sleeper::Sleeper;
use super::stream::Stream;
use super::thread::Worker;
use super::{AudioCommand, Frame, SoundPath, Tone, TonePlan, tones};
use heapless::spsc::Consumer;
use offhook_hal::audio::{PERIOD_FRAMES, Period, PeriodReport};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A key tone lasts at least so long, however short the press.
const KEY_TONE_LEAST: usize = ms(80);
/// What [`super::Levels`] calls silence, dBFS.
const SILENCE_DBFS: f32 = -120.0;

/// The pipeline. Lives on the real-time thread.
pub struct Engine(Box<Inner>);

struct Inner {
    commands: Consumer<'static, AudioCommand>,
    shared: Arc<Shared>,
    clock: SteadyClock,
    streams: Vec<Stream>,
    capture: CaptureChain,
    mixer: Mixer,
    tones: Player,
    key_tones: Player,
    ring: Player,
    plan: TonePlan,
    tone: Option<Tone>,
    ringing: bool,
    /// The stream that has the microphone.
    microphone: Option<usize>,
    /// What was played: the echo canceller's reference.
    reference: Reference,
    /// Made for a device that was left before it took it.
    unplayed: Period,
    /// How much later than the device says the echo of each path is, milliseconds.
    echo_delays_ms: [u8; 3],
}

impl Engine {
    pub(super) fn new(
        config: &EngineConfig,
        streams: Vec<Stream>,
        commands: Consumer<'static, AudioCommand>,
        shared: Arc<Shared>,
    ) -> Self {
        let echo_delays_ms = config
            .voices
            .map(|voice| voice.echo_cancelling.map_or(0, |echo| echo.extra_delay_ms));
        let mut reference = Reference::new();
        reference.take_path(echo_delays_ms[SoundPath::default() as usize]);
        Self(Box::new(Inner {
            commands,
            shared,
            clock: SteadyClock::default(),
            streams,
            capture: CaptureChain::new(config.voices),
            mixer: Mixer::new(config),
            tones: Player::new(0),
            key_tones: Player::new(KEY_TONE_LEAST),
            ring: Player::new(0),
            plan: config.tone_plan,
            tone: None,
            ringing: false,
            microphone: None,
            reference,
            unplayed: [0; PERIOD_FRAMES],
            echo_delays_ms,
        }))
    }

    /// One period: sends what was captured, makes what is to be played. To be called every 10 ms, by the device's
    /// clock. Neither allocates, locks, logs nor makes a system call (`Instant::now` reads the kernel's shared page).
    pub fn process(&mut self, capture: &Period, playback: &mut Period) {
        self.process_at(Instant::now(), capture, playback);
    }

    /// [`Engine::process`] at a given time, on the same clock as the packets' arrivals.
    pub fn process_at(&mut self, now: Instant, capture: &Period, playback: &mut Period) {
        self.obey();
        self.0.process(now, capture, playback);
    }

    /// Takes what the device said of the exchange that captured the next period: what it had to repair, and its
    /// delays.
    pub fn note_device(&mut self, report: &PeriodReport) {
        self.0.reference.report(report);
        if report.xruns > 0 {
            self.0.shared.xruns.fetch_add(report.xruns.into(), Relaxed);
        }
    }

    /// Nothing is heard, said or rung, and no command waits: the device may stand still.
    pub fn is_idle(&self) -> bool {
        let inner = &self.0;
        inner.mixer.deaf()
            && inner.tones.is_silent()
            && inner.key_tones.is_silent()
            && inner.ring.is_silent()
            && inner.streams.iter().all(Stream::is_off)
            && !inner.commands.ready()
    }

    /// What was made for a device that was left and has not been played is not to be played any more: too much time has
    /// gone by.
    pub fn forget_unplayed(&mut self) {
        self.0.unplayed = [0; PERIOD_FRAMES];
    }

    /// Carries out the commands that wait. [`Engine::process`] does it by itself; to be called now and then while
    /// there is no sound device, so that none is lost.
    pub fn obey(&mut self) {
        while let Some(command) = self.0.commands.dequeue() {
            self.0.obey_one(command);
        }
    }
}

impl Worker for Engine {
    fn note_device(&mut self, report: &PeriodReport) {
        Self::note_device(self, report);
    }

    fn process(&mut self, capture: &Period, playback: &mut Period) {
        Self::process(self, capture, playback);
    }

    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn obey(&mut self) {
        Self::obey(self);
    }

    fn sleeper(&self) -> Arc<Sleeper> {
        Arc::clone(&self.0.shared.sleeper)
    }

    fn keep(&mut self, unplayed: &Period) {
        self.0.unplayed = *unplayed;
    }

    fn kept(&mut self) -> Period {
        std::mem::replace(&mut self.0.unplayed, [0; PERIOD_FRAMES])
    }

    fn beat(&self) {
        self.0.shared.beats.fetch_add(1, Relaxed);
    }
}

impl Inner {
    fn process(&mut self, now: Instant, capture: &Period, playback: &mut Period) {
        let now = self.clock.tick(now);
        let mut near = [0.0; PERIOD_FRAMES];
        self.capture
            .process(capture, &self.reference.heard(), &mut near);
        let mut far = [0.0; PERIOD_FRAMES];
        let mut frames_dropped = 0;
        for (n, stream) in self.streams.iter_mut().enumerate() {
            stream.send(&near, self.microphone == Some(n));
            stream.receive(now, &mut far);
            stream.publish(&self.shared.streams[n]);
            frames_dropped += stream.take_frames_dropped();
        }
        let (mut tones, mut ring) = ([0.0; PERIOD_FRAMES], [0.0; PERIOD_FRAMES]);
        self.tones.add_to(&mut tones);
        self.key_tones.add_to(&mut tones);
        self.ring.add_to(&mut ring);
        let sources = Sources {
            far: &far,
            tones: &tones,
            near: &near,
            ring: &ring,
        };
        let mut played = [0.0; PERIOD_FRAMES];
        self.mixer.mix(&sources, &mut played, playback);
        self.reference.push(&played);

        let shared = &self.shared;
        shared.periods.fetch_add(1, Relaxed);
        shared.frames_dropped.fetch_add(frames_dropped, Relaxed);
        shared
            .mic_dbfs
            .store(dbfs(self.capture.before_gate()).to_bits(), Relaxed);
        shared.ear_dbfs.store(dbfs(&played).to_bits(), Relaxed);
    }

    fn obey_one(&mut self, command: AudioCommand) {
        match command {
            AudioCommand::StartStream {
                stream,
                codec,
                frame_ms,
            } => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.start(codec, frame_ms);
                }
            }
            AudioCommand::StopStream { stream } => {
                if let Some(stream) = self.streams.get_mut(stream) {
                    stream.stop();
                }
            }
            AudioCommand::Microphone { stream } => self.microphone = stream,
            AudioCommand::Mute(muted) => self.capture.mute(muted),
            AudioCommand::Listen(on) => self.mixer.set_listen(on),
            AudioCommand::Tone(tone) => {
                self.tone = tone;
                self.tones
                    .set(tone.map(|tone| tones::progress(self.plan, tone)));
            }
            AudioCommand::KeyTone(key) => self.key_tones.set(key.and_then(tones::key)),
            AudioCommand::Ring(on) => {
                self.ringing = on;
                self.ring.set(on.then(|| tones::ring(self.plan)));
            }
            AudioCommand::Volume(percent) => self.mixer.set_volume(percent),
            AudioCommand::RingVolume(percent) => self.mixer.set_ring_volume(percent),
            AudioCommand::Path(path) => {
                self.capture.take_path(path);
                self.reference.take_path(self.echo_delays_ms[path as usize]);
                self.mixer.set_path(path);
            }
            AudioCommand::Plan(plan) => {
                self.plan = plan;
                self.tones
                    .set(self.tone.map(|tone| tones::progress(plan, tone)));
                self.ring.set(self.ringing.then(|| tones::ring(plan)));
            }
        }
    }
}

/// Mean power; a full-scale sine is 0 dBFS.
fn dbfs(frame: &Frame) -> f32 {
    let mean = frame.iter().map(|s| s * s).sum::<f32>() / frame.len() as f32;
    (10.0 * (2.0 * mean).log10()).max(SILENCE_DBFS)
}
