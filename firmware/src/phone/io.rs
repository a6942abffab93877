//! What goes into the phone and what comes out of it.

use super::settings::{AudioPath, AudioSettings};
use crate::audio::AudioCommand;
use crate::device::Private;
use crate::genesys::id::{SessionId, StationId};
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::softphone::{Command, CommandId, CommandReply, Event, SdkError};
use offhook_hal::{HalEvent, Lamp, LampState};
use std::fmt;

/// Everything that can happen to the phone. Closed. `Debug` hides which dial key was pressed: keys are phone numbers.
#[derive(Clone)]
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
        /// Outcome goes to whoever asked, under this id, and to the phone.
        id: CommandId,
        /// Body.
        params: Box<StartSoftphoneSessionParams>,
    },
    /// A message the user should read (no token, no station, sound trouble...). It replaces the one of the same
    /// [`NoticeArea`]; `None` ends all of them.
    Notice(Option<Notice>),
    /// The trouble of one area is over.
    NoticeOver(NoticeArea),
    /// Name of agent and station for the idle screen.
    Identity {
        /// Agent.
        user: Private,
        /// Station, if there is one.
        station: Option<String>,
    },
    /// The wall clock for the idle screen, e.g. `14:05`; sent each minute.
    Clock(String),
    /// `PATCH /audio`.
    Audio(AudioSettings),
    /// Who may use the phone.
    Login(Login),
    /// The stations the user can take; asked for by [`Wish::ListStations`], or because there is none yet.
    Stations(Vec<StationEntry>),
    /// A wish that could not be fulfilled.
    Refused(Wish),
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hal(HalEvent::Key { key, action }) if key.dtmf().is_some() => {
                write!(f, "Hal(Key {{ key: (private), action: {action:?} }})")
            }
            Self::Hal(HalEvent::KeyStuck(key)) if key.dtmf().is_some() => {
                f.write_str("Hal(KeyStuck((private)))")
            }
            Self::Hal(event) => f.debug_tuple("Hal").field(event).finish(),
            Self::Softphone(event) => f.debug_tuple("Softphone").field(event).finish(),
            Self::CommandDone { id, result } => f
                .debug_struct("CommandDone")
                .field("id", id)
                .field("result", result)
                .finish(),
            Self::Dial { id, params } => f
                .debug_struct("Dial")
                .field("id", id)
                .field("params", params)
                .finish(),
            Self::Notice(notice) => f.debug_tuple("Notice").field(notice).finish(),
            Self::NoticeOver(area) => f.debug_tuple("NoticeOver").field(area).finish(),
            Self::Identity { user, station } => f
                .debug_struct("Identity")
                .field("user", user)
                .field("station", station)
                .finish(),
            Self::Clock(time) => f.debug_tuple("Clock").field(time).finish(),
            Self::Audio(settings) => f.debug_tuple("Audio").field(settings).finish(),
            Self::Login(login) => f.debug_tuple("Login").field(login).finish(),
            Self::Stations(stations) => f.debug_tuple("Stations").field(stations).finish(),
            Self::Refused(wish) => f.debug_tuple("Refused").field(wish).finish(),
        }
    }
}

/// Whether somebody is logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// By a token that was given to the phone: nobody logs in or out here.
    #[default]
    Given,
    /// The user of [`Input::Identity`].
    In,
    /// Nobody: the display invites.
    Out(Invitation),
}

/// How to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// The page's address, to be typed: short, without scheme.
    pub address: String,
    /// What the QR code on the display says; private because whoever has it may log in.
    pub link: Private,
}

/// A station in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationEntry {
    /// Which.
    pub id: StationId,
    /// As the cloud names it; usually after a person.
    pub name: Private,
    /// Somebody else uses it.
    pub is_taken: bool,
    /// The one in use.
    pub is_ours: bool,
}

/// What the user wants of the account, beside calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// -> [`Input::Stations`].
    ListStations,
    /// Use this station.
    UseStation(StationId),
    /// Use the station again that was taken away.
    TakeStationBack,
    /// Ring here, and at no other client of the user (genesys-protocol 7.1).
    RingHere,
    /// Forget the user.
    LogOut,
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
    StationTaken,
    StationNotWebRtc,
    StationMissing,
    StationUnknown,
    StationsUnread,
    SoundMissing {
        device: String,
    },
    SoundBusy {
        device: String,
    },
    SoundTrouble {
        device: String,
    },
    KeysTrouble,
    /// There is no way out of this machine: no cable, no address.
    NoNetwork,
    /// The clock stands in the past, so no certificate can be right.
    ClockUnset,
    /// The state partition is full or cannot be written.
    StateTrouble,
    /// There is no state partition.
    StateInMemory,
    /// What was kept could not be read. Told until somebody has seen it.
    StateDamaged,
    Updating {
        percent: u8,
    },
    UpdateWaiting,
    UpdateFailed {
        reason: &'static str,
    },
    UpdateUndone,
}

/// What a [`Notice`] is about. Each area has at most one notice at a time, because its troubles exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeArea {
    /// Reaching the cloud and logging in.
    Cloud,
    /// The station.
    Station,
    /// Sound devices.
    Sound,
    /// Keys, hook switch and lamps.
    Keys,
    /// What is to be kept across a restart.
    State,
    /// What was kept before it.
    Kept,
    /// Updates of the phone.
    Update,
}

impl Notice {
    /// What it is about.
    pub fn area(&self) -> NoticeArea {
        match self {
            Self::Connecting
            | Self::LoginNeeded
            | Self::CloudUnreachable
            | Self::TlsTrouble
            | Self::NoNetwork
            | Self::ClockUnset => NoticeArea::Cloud,
            Self::NoStation
            | Self::StationTaken
            | Self::StationNotWebRtc
            | Self::StationMissing
            | Self::StationUnknown
            | Self::StationsUnread => NoticeArea::Station,
            Self::SoundMissing { .. } | Self::SoundBusy { .. } | Self::SoundTrouble { .. } => {
                NoticeArea::Sound
            }
            Self::KeysTrouble => NoticeArea::Keys,
            Self::StateTrouble | Self::StateInMemory => NoticeArea::State,
            Self::StateDamaged => NoticeArea::Kept,
            Self::Updating { .. }
            | Self::UpdateWaiting
            | Self::UpdateFailed { .. }
            | Self::UpdateUndone => NoticeArea::Update,
        }
    }

    /// The trouble is that nobody is logged in, or that without that nothing more is known.
    pub(super) fn is_of_login(&self) -> bool {
        matches!(self, Self::LoginNeeded | Self::Connecting) || self.area() == NoticeArea::Station
    }

    /// Which of several is shown: the highest. First what the user must do, then what stops every call, then what
    /// may pass by itself.
    pub(super) fn importance(&self) -> u8 {
        match self {
            // Without keys the user can do nothing else either.
            Self::KeysTrouble => 12,
            // It is the reason why somebody has to log in, and goes when it was seen.
            Self::StateDamaged => 11,
            Self::LoginNeeded => 10,
            Self::StateTrouble | Self::StateInMemory => 9,
            Self::TlsTrouble | Self::ClockUnset => 8,
            Self::CloudUnreachable | Self::NoNetwork => 7,
            Self::SoundMissing { .. } => 6,
            Self::SoundBusy { .. } => 5,
            Self::SoundTrouble { .. } => 4,
            Self::StationTaken => 3,
            Self::StationNotWebRtc | Self::StationMissing | Self::StationUnknown => 2,
            Self::NoStation
            | Self::StationsUnread
            | Self::UpdateFailed { .. }
            | Self::UpdateUndone => 1,
            Self::Connecting | Self::Updating { .. } | Self::UpdateWaiting => 0,
        }
    }
}

/// Everything the phone wants done. Closed. `Debug` hides which key's tone sounds.
#[derive(Clone, PartialEq)]
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
    /// Which way the sound goes from now on; `runtime` knows its device. Said before the first sound on it, and
    /// its volume after it.
    Path(AudioPath),
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
    /// To whoever knows login and stations.
    Wish(Wish),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Softphone { id, command } => f
                .debug_struct("Softphone")
                .field("id", id)
                .field("command", command)
                .finish(),
            Self::Audio(AudioCommand::KeyTone(Some(_))) => {
                f.write_str("Audio(KeyTone(Some((private))))")
            }
            Self::Audio(command) => f.debug_tuple("Audio").field(command).finish(),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Talk(session) => f.debug_tuple("Talk").field(session).finish(),
            Self::Lamp { lamp, state } => f
                .debug_struct("Lamp")
                .field("lamp", lamp)
                .field("state", state)
                .finish(),
            Self::Screen(screen) => f.debug_tuple("Screen").field(screen).finish(),
            Self::Wish(wish) => f.debug_tuple("Wish").field(wish).finish(),
        }
    }
}

/// What the display shows, laid out by `phone::render` for whatever size the board has. `Debug` hides the texts.
#[derive(Clone, Default, PartialEq)]
pub struct Screen {
    /// Top line: what is going on, or agent's name.
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
    /// What kind of key each of them is; decides its colour.
    pub soft_kinds: [SoftKind; 4],
    /// What kind of moment this is; decides the colours.
    pub look: Look,
    /// A volume being set, percent: drawn as a bar in place of `detail`'s line.
    pub level: Option<u8>,
    /// Drawn as a QR code beside or below the text; empty for none.
    pub code: String,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("look", &self.look)
            .finish_non_exhaustive()
    }
}

/// What kind of key a soft key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoftKind {
    /// Any other.
    #[default]
    Plain,
    /// Begins a call.
    Go,
    /// Ends a call.
    Stop,
}

/// What kind of moment a [`Screen`] shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// Nothing is going on.
    #[default]
    Idle,
    /// A number is being entered.
    Dialing,
    /// A call rings: drawn inverse, to be seen from across the desk.
    Ringing,
    /// A call is on its way to being connected.
    Calling,
    /// The user talks.
    Talking,
    /// The user talks and nobody hears it.
    Muted,
    /// On hold.
    Held,
    /// Something is wrong.
    Trouble,
}
