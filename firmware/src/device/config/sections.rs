//! The sections of the configuration file.

use crate::device::choices::{EagerMode, TonePlan};
use offhook_hal::audio::{CaptureSpec, PlaybackSpec};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where Genesys Cloud is and how the phone logs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CloudSection {
    /// A region or a URL.
    pub environment: String,
    /// WebSocket host; empty: `wss://streaming.<environment>`.
    pub streaming: String,
    /// One more trust anchor, PEM.
    pub ca_file: String,
    /// A file with an access token; empty: whoever logs in.
    pub token_file: String,
    /// OAuth client to log in with.
    pub client_id: String,
    /// File with its secret; empty: a public client (PKCE).
    pub client_secret_file: String,
    /// Where the login comes back to; empty: the phone's own page.
    pub redirect_uri: String,
    /// URL of the login host; empty: `https://login.<environment>`.
    pub login_host: String,
    /// `auto`, `none`, or a station's name or id.
    pub station: String,
    /// The server pings, not the phone.
    pub server_side_pings: bool,
    /// Only one client of the agent rings.
    pub alerting_leader: bool,
    /// Tell the cloud every few seconds how well a call is heard.
    pub report_statistics: bool,
    /// What to do when the cloud sets up the persistent connection ahead of the first call.
    pub eager_persistent_connection: EagerMode,
    /// Take the outbound calls placed by the agent's other clients too.
    pub take_all_outbound: bool,
    /// Calls may go over IPv6 too.
    pub ipv6: bool,
}

impl Default for CloudSection {
    fn default() -> Self {
        Self {
            environment: "mypurecloud.com".into(),
            streaming: String::new(),
            ca_file: String::new(),
            token_file: String::new(),
            client_id: String::new(),
            client_secret_file: String::new(),
            redirect_uri: String::new(),
            login_host: String::new(),
            station: "auto".into(),
            server_side_pings: false,
            alerting_leader: false,
            report_statistics: false,
            eager_persistent_connection: EagerMode::Auto,
            take_all_outbound: false,
            ipv6: false,
        }
    }
}

/// Which hardware this is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoardSection {
    /// `auto`, a board's name, or a path to a board file.
    pub name: String,
}

impl Default for BoardSection {
    fn default() -> Self {
        Self {
            name: "auto".into(),
        }
    }
}

/// Sound: overrides of the board's devices, and the encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioSection {
    /// `alsa:NAME`, `wav:FILE`, `silence`; empty: the board's.
    pub capture: String,
    /// `alsa:NAME`, `wav:FILE`, `discard`; empty: the board's.
    pub playback: String,
    /// Opus bit rate, bit/s, 6000..=128000.
    pub opus_bitrate_bps: u32,
    /// Opus complexity, 0..=10; -1: the board's.
    pub opus_complexity: i8,
    /// Opus in-band forward error correction.
    pub opus_fec: bool,
    /// While nobody speaks, Opus sends a packet only now and then.
    pub opus_dtx: bool,
    /// Length of a sent frame, milliseconds: 10, 20, 40, 60. An offer may ask for another one.
    pub frame_ms: u8,
    /// The longest that it may become where a limit, `bandwidth_bps` or the far end's, leaves too little for the voice, or
    /// packets get lost beside one, milliseconds: 10, 20, 40, 60, at least
    /// `frame_ms`; where it is the same, the frame is fixed.
    pub longest_frame_ms: u8,
    /// The most that one call may send, bit/s, with the headers of its packets (IPv4, UDP, SRTP); 0: no limit. Packets
    /// get longer where it leaves too little for the voice, as far as `longest_frame_ms`, then Opus's bit rate goes down.
    pub bandwidth_bps: u32,
    /// How much longer to wait for the far end's packets than their arrivals so far ask for, milliseconds, 0..=100.
    pub jitter_headroom_ms: u8,
}

impl Default for AudioSection {
    fn default() -> Self {
        Self {
            capture: String::new(),
            playback: String::new(),
            opus_bitrate_bps: 40_000,
            opus_complexity: -1,
            opus_fec: true,
            opus_dtx: false,
            frame_ms: 20,
            longest_frame_ms: 60,
            bandwidth_bps: 0,
            jitter_headroom_ms: 0,
        }
    }
}

impl AudioSection {
    /// The device for the microphone, if the configuration names one.
    pub fn capture_spec(&self) -> Option<CaptureSpec> {
        // `validate` has seen that it parses.
        self.capture.parse().ok()
    }

    /// The device for the ear, if the configuration names one.
    pub fn playback_spec(&self) -> Option<PlaybackSpec> {
        self.playback.parse().ok()
    }
}

/// How the phone behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhoneSection {
    /// Whose call progress tones.
    pub tones: TonePlan,
    /// Pause after the last digit that dials, milliseconds, 1000..=20000.
    pub inter_digit_timeout_ms: u32,
    /// The number that plays voicemail; empty: there is none.
    pub voicemail: String,
    /// Take calls that ask to be answered by themselves; those placed here always are.
    pub auto_answer: bool,
}

impl Default for PhoneSection {
    fn default() -> Self {
        Self {
            tones: TonePlan::NorthAmerica,
            inter_digit_timeout_ms: 4_000,
            voicemail: String::new(),
            auto_answer: true,
        }
    }
}

/// The local API and page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSection {
    /// Address and port.
    pub listen: SocketAddr,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8321)),
        }
    }
}

/// What survives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateSection {
    /// Folder.
    pub dir: PathBuf,
}

impl Default for StateSection {
    fn default() -> Self {
        Self {
            dir: "/var/lib/offhook".into(),
        }
    }
}

/// The log on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: LogLevel,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
        }
    }
}

/// How updates are installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateSection {
    /// RAUC, or a program that takes its commands.
    pub rauc: PathBuf,
}

impl Default for UpdateSection {
    fn default() -> Self {
        Self {
            rauc: "rauc".into(),
        }
    }
}

/// Log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "plain words")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
