//! Device names as board files and the configuration write them, and opening what they name.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::alsa::AlsaDuplex;
use super::virtual_audio::{CaptureSource, PlaybackSink, VirtualAudio};
use super::{AudioError, BUFFER_FRAMES, Direction, DuplexAudio, PERIOD_FRAMES};

/// Where sound comes from: `alsa:NAME`, `wav:FILE`, `silence`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CaptureSpec {
    /// An ALSA PCM.
    Alsa(String),
    /// A WAV file, read in real time and looped.
    Wav(PathBuf),
    /// Nothing is heard.
    #[default]
    Silence,
}

/// Where sound goes: `alsa:NAME`, `wav:FILE`, `discard`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PlaybackSpec {
    /// An ALSA PCM.
    Alsa(String),
    /// A WAV file, written in real time.
    Wav(PathBuf),
    /// Nothing is kept.
    #[default]
    Discard,
}

/// A pair of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplexSpec {
    /// Where sound comes from.
    pub capture: CaptureSpec,
    /// Where it goes.
    pub playback: PlaybackSpec,
    /// How much an ALSA device is asked to move between two interrupts, in frames at 48 kHz. The phone's own period stays
    /// [`PERIOD_FRAMES`]; a longer one here comes in bursts and delays the sound by two of them, a shorter one costs
    /// interrupts.
    pub period_frames: usize,
    /// What an ALSA device is asked to have room for, in frames at 48 kHz. Not what delays the sound, but how much it may
    /// be delayed where the phone's thread is late.
    pub buffer_frames: usize,
}

impl DuplexSpec {
    /// With the usual period and room, [`PERIOD_FRAMES`] and [`BUFFER_FRAMES`].
    pub const fn new(capture: CaptureSpec, playback: PlaybackSpec) -> Self {
        Self {
            capture,
            playback,
            period_frames: PERIOD_FRAMES,
            buffer_frames: BUFFER_FRAMES,
        }
    }
}

/// Opens the pair of devices. The ALSA end, if there is one, is the clock; otherwise the system's
/// monotonic clock is.
pub fn open(spec: &DuplexSpec) -> Result<Box<dyn DuplexAudio>, AudioError> {
    let DuplexSpec {
        capture,
        playback,
        period_frames,
        buffer_frames,
    } = spec;
    let capture_pcm = match capture {
        CaptureSpec::Alsa(name) => Some(name.as_str()),
        CaptureSpec::Wav(_) | CaptureSpec::Silence => None,
    };
    let playback_pcm = match playback {
        PlaybackSpec::Alsa(name) => Some(name.as_str()),
        PlaybackSpec::Wav(_) | PlaybackSpec::Discard => None,
    };
    let source = match capture {
        CaptureSpec::Wav(file) => CaptureSource::wav(file)?,
        CaptureSpec::Alsa(_) | CaptureSpec::Silence => CaptureSource::silence(),
    };
    let device = match (capture_pcm, playback_pcm) {
        (None, None) => None,
        (capture, playback) => Some(AlsaDuplex::open(
            capture,
            playback,
            *period_frames,
            *buffer_frames,
        )?),
    };
    // Last, because it makes the file: not if anything else fails.
    let sink = match playback {
        PlaybackSpec::Wav(file) => PlaybackSink::wav(file)?,
        PlaybackSpec::Alsa(_) | PlaybackSpec::Discard => PlaybackSink::discard(),
    };
    Ok(match device {
        None => Box::new(VirtualAudio::new(source, sink)),
        Some(device) if capture_pcm.is_some() && playback_pcm.is_some() => Box::new(device),
        Some(device) => Box::new(VirtualAudio::paced_by(device, source, sink)),
    })
}

impl FromStr for CaptureSpec {
    type Err = AudioError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given.split_once(':') {
            Some(("alsa", name)) if is_name(name) => Ok(Self::Alsa(name.into())),
            Some(("wav", file)) if is_name(file) => Ok(Self::Wav(file.into())),
            None if given == "silence" => Ok(Self::Silence),
            _ => Err(unknown(
                given,
                Direction::Capture,
                "alsa:NAME, wav:FILE, silence",
            )),
        }
    }
}

impl FromStr for PlaybackSpec {
    type Err = AudioError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given.split_once(':') {
            Some(("alsa", name)) if is_name(name) => Ok(Self::Alsa(name.into())),
            Some(("wav", file)) if is_name(file) => Ok(Self::Wav(file.into())),
            None if given == "discard" => Ok(Self::Discard),
            _ => Err(unknown(
                given,
                Direction::Playback,
                "alsa:NAME, wav:FILE, discard",
            )),
        }
    }
}

impl fmt::Display for CaptureSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alsa(name) => write!(f, "alsa:{name}"),
            Self::Wav(file) => write!(f, "wav:{}", file.display()),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl fmt::Display for PlaybackSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alsa(name) => write!(f, "alsa:{name}"),
            Self::Wav(file) => write!(f, "wav:{}", file.display()),
            Self::Discard => f.write_str("discard"),
        }
    }
}

/// A name that can be handed to C.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\0')
}

fn unknown(given: &str, direction: Direction, allowed: &'static str) -> AudioError {
    let given = given.chars().take(80).collect::<String>().into();
    AudioError::Name {
        given,
        direction,
        allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in [
            "alsa:plughw:CARD=wm8960,DEV=0",
            "wav:a b/c:d.wav",
            "silence",
        ] {
            assert_eq!(name.parse::<CaptureSpec>().unwrap().to_string(), name);
        }
        for name in ["alsa:default", "wav:out.wav", "discard"] {
            assert_eq!(name.parse::<PlaybackSpec>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn wrong_names_are_refused_with_what_is_allowed() {
        for name in [
            "",
            "hw:0",
            "alsa:",
            "alsa",
            "wav:",
            "discard",
            "Silence",
            "alsa:a\0b",
        ] {
            let message = name.parse::<CaptureSpec>().unwrap_err().to_string();
            assert!(
                message.contains("no capture device; allowed: alsa:NAME, wav:FILE, silence"),
                "{message}"
            );
        }
        for name in ["silence", "discard:", "mp3:x"] {
            let message = name.parse::<PlaybackSpec>().unwrap_err().to_string();
            assert!(
                message.contains("no playback device; allowed: alsa:NAME, wav:FILE, discard"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_failing_end_leaves_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.wav");
        let missing = CaptureSpec::Wav(dir.path().join("none.wav"));
        let spec = DuplexSpec::new(missing, PlaybackSpec::Wav(out.clone()));
        let Err(error) = open(&spec) else {
            panic!("opened")
        };
        assert!(
            matches!(
                error,
                AudioError::Missing {
                    direction: Direction::Capture,
                    ..
                }
            ),
            "{error}"
        );
        assert!(!out.exists());
    }
}
