//! What a desk phone does, sans-IO: hook, dial plan, keys, tones, ring, lamps, display, lines.
//! `handle(now, Input)`, then drain `poll()`, then `next_timeout()`.
//!
//! SEAM: `Input`, `Output`, `Screen`.

use crate::audio::AudioCommand;
use crate::genesys::id::SessionId;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::softphone::{Command, CommandId, CommandReply, Event, SdkError};
use offhook_hal::{HalEvent, Lamp, LampState};

/// Everything that can happen to the phone. Closed.
#[derive(Clone, Debug)]
pub enum Input {
    /// A finger.
    Hal(HalEvent),
    /// From the session engine.
    Softphone(Box<Event>),
    /// Outcome of a command of ours (ids of others are ignored).
    CommandDone {
        /// Which.
        id: CommandId,
        /// How it ended.
        result: Result<CommandReply, SdkError>,
    },
    /// `POST /calls`: the panel dials for the user; the phone shows and routes it as its own call.
    Dial {
        /// Outcome goes to whoever asked, under this id.
        id: CommandId,
        /// Body.
        params: Box<StartSoftphoneSessionParams>,
    },
    /// A message the user should read (no token, no station, sound trouble...), or `None` when it is over.
    Notice(Option<Notice>),
    /// Name of agent and station for the idle screen.
    Identity {
        /// Agent.
        user: crate::device::Private,
        /// Station, if there is one.
        station: Option<String>,
    },
    /// The wall clock for the idle screen, e.g. `14:05`; sent each minute.
    Clock(String),
    /// `PATCH /audio`.
    Audio(AudioSettings),
}

/// `PATCH /audio` and `GET /audio` (local-api).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AudioSettings {
    /// Path in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<AudioPath>,
    /// Percent per path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<PathVolumes>,
    /// Ring volume, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u8>,
    /// Microphone mute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<bool>,
}

/// Percent per path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "named after the paths")]
pub struct PathVolumes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handset: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headset: Option<u8>,
}

/// Where the sound goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "plain words")]
pub enum AudioPath {
    #[default]
    Handset,
    Speaker,
    Headset,
}

/// What the user is told when something is wrong; the words are in `strings`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "plain words")]
pub enum Notice {
    Connecting,
    LoginNeeded,
    CloudUnreachable,
    TlsTrouble,
    NoStation,
    StationNotWebRtc,
    SoundMissing { device: String },
    SoundBusy { device: String },
    SoundTrouble { device: String },
}

/// Everything the phone wants done. Closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To the session engine.
    Softphone {
        /// For the outcome.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// To the audio thread, as it is.
    Audio(AudioCommand),
    /// Which session the microphone goes to; `runtime` knows its stream.
    Talk(Option<SessionId>),
    /// A lamp.
    Lamp {
        /// Which.
        lamp: Lamp,
        /// How.
        state: LampState,
    },
    /// The whole display's content anew.
    Screen(Box<Screen>),
}

/// What the display shows, laid out by `phone::render` for whatever size the board has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Screen {
    /// Top line: agent and station, or a notice.
    pub title: String,
    /// Top right: time or call duration.
    pub corner: String,
    /// Big line: number being dialed, caller's name, state.
    pub main: String,
    /// Below: number, state, hint.
    pub detail: String,
    /// More calls, one line each.
    pub lines: Vec<String>,
    /// What the soft keys do, left to right; empty text for none.
    pub soft_keys: [String; 4],
}
