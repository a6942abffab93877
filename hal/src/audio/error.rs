//! What can go wrong with a sound device.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Which way sound goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the microphone.
    Capture,
    /// To the earpiece or loudspeaker.
    Playback,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capture => "capture",
            Self::Playback => "playback",
        })
    }
}

/// A sound device could not be opened, does not fit, or was lost.
///
/// Device names are shared strings, so that the real-time thread can make an error without
/// allocating.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is no such device or file.
    #[error(
        "the {direction} device \"{device}\" does not exist ({reason}); plug it in, or name \
         another one: `arecord -L` and `aplay -L` list them"
    )]
    Missing {
        /// The device's name as configured.
        device: Arc<str>,
        /// Which way.
        direction: Direction,
        /// The system's own words.
        reason: Arc<str>,
    },
    /// Another program holds the device.
    #[error(
        "the {direction} device \"{device}\" is in use by another program; stop it (`fuser -v \
         /dev/snd/*` names it), or name another device"
    )]
    Busy {
        /// The device's name as configured.
        device: Arc<str>,
        /// Which way.
        direction: Direction,
    },
    /// The device may not be used by this user.
    #[error(
        "no permission to use the {direction} device \"{device}\"; add the phone's user to the \
         group \"audio\""
    )]
    Denied {
        /// The device's name as configured.
        device: Arc<str>,
        /// Which way.
        direction: Direction,
    },
    /// The device cannot do what the phone needs.
    #[error(
        "the {direction} device \"{device}\" does not take {what} {asked}, it offers {offered}; \
         name a device that converts (\"plug:...\", \"plughw:...\"), or correct the board file"
    )]
    Unsupported {
        /// The device's name as configured.
        device: Arc<str>,
        /// Which way.
        direction: Direction,
        /// The parameter: "period of frames", "rate in Hz", ...
        what: &'static str,
        /// What the phone asked for.
        asked: u32,
        /// What the device gives instead, in words.
        offered: Arc<str>,
    },
    /// A sound file cannot be used.
    #[error("the sound file \"{file}\" cannot be used: {reason}")]
    File {
        /// The file's path as configured.
        file: Arc<str>,
        /// Why, and what is allowed.
        reason: Arc<str>,
    },
    /// A device name in the configuration cannot be understood.
    #[error("\"{given}\" is no {direction} device; allowed: {allowed}")]
    Name {
        /// What was given.
        given: Arc<str>,
        /// Which way.
        direction: Direction,
        /// The forms there are.
        allowed: &'static str,
    },
    /// The device stopped answering, or went away while it ran.
    #[error(
        "the {direction} device \"{device}\" was lost ({what}, error {errno}); check its cable, it \
         is opened again when it is back"
    )]
    Lost {
        /// The device's name as configured.
        device: Arc<str>,
        /// Which way.
        direction: Direction,
        /// What was being done.
        what: &'static str,
        /// The system's error number, 0 for a time-out.
        errno: i32,
    },
    /// `exchange` before `start`, or after an error.
    #[error("the sound device is not started")]
    NotStarted,
}
