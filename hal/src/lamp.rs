//! Lamps: what they are, what they show, and the timing of their blinking.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::text_form;

/// A lamp by its meaning. Text form: `message`, `mute`, `speaker`, `headset`, `line1`..`line4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lamp {
    /// Message waiting; also shows the phone's own state while no call is there.
    Message,
    /// The microphone is muted.
    Mute,
    /// The loudspeaker is in use.
    Speaker,
    /// The headset is in use.
    Headset,
    /// A line key's lamp, 1 to 4.
    Line(u8),
}

impl Lamp {
    /// Every lamp there is; a board may have fewer.
    pub const ALL: [Self; 8] = [
        Self::Message,
        Self::Mute,
        Self::Speaker,
        Self::Headset,
        Self::Line(1),
        Self::Line(2),
        Self::Line(3),
        Self::Line(4),
    ];
}

impl fmt::Display for Lamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("message"),
            Self::Mute => f.write_str("mute"),
            Self::Speaker => f.write_str("speaker"),
            Self::Headset => f.write_str("headset"),
            Self::Line(line) => write!(f, "line{line}"),
        }
    }
}

text_form!(
    Lamp,
    "lamp",
    "message, mute, speaker, headset, line1 to line4"
);

/// What a lamp shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LampState {
    /// Dark.
    #[default]
    Off,
    /// Lit.
    On,
    /// Blinks slowly: a held call, a waiting message.
    Slow,
    /// Blinks fast: a ringing call.
    Fast,
}

/// A lamp could not be set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LampError {
    /// The pin behind the lamp refused.
    #[error(
        "lamp \"{lamp}\" could not be switched ({reason}); check its pin in the board file and \
         that no other program holds it"
    )]
    Pin {
        /// Which lamp.
        lamp: Lamp,
        /// The driver's own words.
        reason: String,
    },
}

/// The lamps of a board.
///
/// A lamp the board does not have is silently ignored: the phone need not know
/// which lamps there are.
pub trait Lamps: Send {
    /// Lets `lamp` show `state` from now on. Setting the state it already has changes nothing,
    /// so that a blinking lamp keeps its rhythm.
    fn set(&mut self, lamp: Lamp, state: LampState) -> Result<(), LampError>;
}
