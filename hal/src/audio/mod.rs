//! Sound: one duplex device, one period at a time.
//!
//! A [`DuplexAudio`] is driven by one real-time thread: [`DuplexAudio::start`]
//! once, then [`DuplexAudio::exchange`] for each period of 10 ms, which blocks
//! until the device has captured one and takes one to play. The device is thereby
//! the clock of the whole sound path.

pub mod alsa;
mod clock;
mod error;
mod manual;
mod mixer;
mod recorder;
mod ring;
mod spec;
mod virtual_audio;
mod wav;

pub use error::{AudioError, Direction};
pub use manual::{ManualAudio, ManualTape};
pub use mixer::{MixerControl, MixerError, MixerSwitch};
pub use spec::{CaptureSpec, DuplexSpec, PlaybackSpec, open};
pub use virtual_audio::{CaptureSource, PlaybackSink, VirtualAudio};

/// Frames per second, end to end.
pub const RATE_HZ: u32 = 48_000;
/// Frames in one period: 10 ms.
pub const PERIOD_FRAMES: usize = 480;
/// Periods in a device's buffer: 40 ms, so that the thread may be late by up to 30 ms.
pub const BUFFER_PERIODS: usize = 4;
/// Frames in a device's buffer, unless a board says otherwise.
pub const BUFFER_FRAMES: usize = PERIOD_FRAMES * BUFFER_PERIODS;
/// How long one period lasts.
pub const PERIOD: std::time::Duration = std::time::Duration::from_millis(10);

/// One period of mono sound, signed 16-bit samples at [`RATE_HZ`].
pub type Period = [i16; PERIOD_FRAMES];

/// One sound device that captures and plays on one clock.
pub trait DuplexAudio: Send {
    /// Takes playback and capture up, linked if the device can, with playback primed with silence.
    fn start(&mut self) -> Result<(), AudioError>;

    /// Blocks until one period is captured into `capture`, and queues `playback` to be played.
    ///
    /// Made for the real-time thread: does not allocate, lock or log, and makes no system
    /// call but on its PCM (or, without one, to sleep until the period is over). A fault it can
    /// repair (an underrun or overrun) is repaired and counted in the report; after an error the
    /// device is to be stopped and opened again.
    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError>;

    /// Stops both directions at once; what is queued is dropped. May be started again.
    fn stop(&mut self);

    /// Stops like [`DuplexAudio::stop`], but what is queued is played first: blocks as long as that takes, some ten
    /// milliseconds. For a device that is left while sound goes on at another one; not for the real-time thread.
    fn finish(&mut self) {
        self.stop();
    }

    /// Whether a stopped device is still there.
    ///
    /// # Errors
    /// If it is known to be gone.
    fn check(&self) -> Result<(), AudioError> {
        Ok(())
    }

    /// There is a card behind it, whose interrupts must be served in time.
    fn is_hardware(&self) -> bool {
        false
    }

    /// What was agreed with the device.
    fn format(&self) -> &StreamFormat;
}

/// What one exchange found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeriodReport {
    /// Underruns and overruns repaired during this exchange.
    pub xruns: u32,
    /// Age of the newest captured frame when the exchange returned, in frames.
    pub capture_delay_frames: u32,
    /// Frames from now until the last frame of this period's playback reaches the loudspeaker.
    pub playback_delay_frames: u32,
    /// The streams were restarted, or a part of what waited was left out, during this exchange: sound was lost, and the
    /// way from playback to capture has a new length (an echo canceller must align itself again).
    pub restarted: bool,
}

/// What was agreed with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFormat {
    /// The capture device, for messages ("default", "hw:1", "wav:in.wav", "silence").
    pub capture: String,
    /// The playback device, for messages.
    pub playback: String,
    /// Frames per second.
    pub rate_hz: u32,
    /// Channels of capture and playback as [`DuplexAudio::exchange`] gives and takes them: 1.
    pub channels: u32,
    /// Frames per period.
    pub period_frames: usize,
    /// Frames in the device's playback buffer.
    pub buffer_frames: usize,
    /// Capture and playback start and stop together (`snd_pcm_link`).
    pub linked: bool,
}
