//! The configuration file: every key has a default and a line of help.

use super::choices::{EagerMode, TonePlan};
use super::dialing::{self, Prefix, SpeedDial};
use offhook_hal::audio::{CaptureSpec, PlaybackSpec};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where Debian and the Yocto layer put the file.
pub const DEFAULT_PATH: &str = "/etc/offhook/offhook.toml";

/// The whole configuration. Unknown keys are refused, so that a typing mistake is seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[cloud]`
    pub cloud: CloudSection,
    /// `[board]`
    pub board: BoardSection,
    /// `[audio]`
    pub audio: AudioSection,
    /// `[phone]`
    pub phone: PhoneSection,
    /// `[api]`
    pub api: ApiSection,
    /// `[state]`
    pub state: StateSection,
    /// `[log]`
    pub log: LogSection,
    /// `[update]`
    pub update: UpdateSection,
    /// `[[speed_dial]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub speed_dial: Vec<SpeedDial>,
    /// `[[prefix]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<Prefix>,
}

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
    /// Opus complexity, 0..=10.
    pub opus_complexity: u8,
    /// Opus in-band forward error correction.
    pub opus_fec: bool,
    /// While nobody speaks, Opus sends a packet only now and then.
    pub opus_dtx: bool,
    /// Length of a sent frame, milliseconds: 10, 20, 40, 60. An offer may ask for another one.
    pub frame_ms: u8,
    /// The most that one call may send, bit/s, with the headers of its packets (IPv4, UDP, SRTP); 0: no limit. Packets
    /// get longer where it leaves too little for the voice, then Opus's bit rate goes down.
    pub bandwidth_bps: u32,
}

impl Default for AudioSection {
    fn default() -> Self {
        Self {
            capture: String::new(),
            playback: String::new(),
            opus_bitrate_bps: 32_000,
            opus_complexity: 5,
            opus_fec: true,
            opus_dtx: false,
            frame_ms: 20,
            bandwidth_bps: 0,
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

/// What is wrong with the configuration, in the installer's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {detail}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// Not TOML, or a key that does not exist, or a value of the wrong kind; the text names line and column.
    #[error("{}: {detail}\nrun `offhook config --explain` to see every key", file.display())]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// TOML's words.
        detail: String,
    },
    /// A value out of its range.
    #[error("{}: {key} = {value}: {allowed}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Section and key.
        key: &'static str,
        /// What was there.
        value: String,
        /// What may be there.
        allowed: String,
    },
}

impl Config {
    /// Reads `path`; relative paths inside are taken from the folder of the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            file: path.into(),
            detail: error.to_string(),
        })?;
        Self::parse(&text, path)
    }

    /// Parses `text` that came from `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            file: file.into(),
            detail: error.to_string().trim_end().to_owned(),
        })?;
        config.validate(file)?;
        config.resolve_paths(file.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn validate(&self, file: &Path) -> Result<(), ConfigError> {
        let fail = |key, value: &dyn std::fmt::Display, allowed: String| {
            Err(ConfigError::Value {
                file: file.into(),
                key,
                value: value.to_string(),
                allowed,
            })
        };
        let audio = &self.audio;
        if !audio.capture.is_empty()
            && let Err(error) = audio.capture.parse::<CaptureSpec>()
        {
            return fail("audio.capture", &audio.capture, error.to_string());
        }
        if !audio.playback.is_empty()
            && let Err(error) = audio.playback.parse::<PlaybackSpec>()
        {
            return fail("audio.playback", &audio.playback, error.to_string());
        }
        if !(6_000..=128_000).contains(&self.audio.opus_bitrate_bps) {
            return fail(
                "audio.opus_bitrate_bps",
                &self.audio.opus_bitrate_bps,
                "must be 6000 to 128000".into(),
            );
        }
        if self.audio.opus_complexity > 10 {
            return fail(
                "audio.opus_complexity",
                &self.audio.opus_complexity,
                "must be 0 to 10".into(),
            );
        }
        if !matches!(self.audio.frame_ms, 10 | 20 | 40 | 60) {
            return fail(
                "audio.frame_ms",
                &self.audio.frame_ms,
                "must be 10, 20, 40 or 60".into(),
            );
        }
        if (1..16_000).contains(&self.audio.bandwidth_bps) {
            return fail(
                "audio.bandwidth_bps",
                &self.audio.bandwidth_bps,
                "must be 0 or at least 16000".into(),
            );
        }
        let pause = self.phone.inter_digit_timeout_ms;
        if !(1_000..=20_000).contains(&pause) {
            return fail(
                "phone.inter_digit_timeout_ms",
                &pause,
                "must be 1000 to 20000".into(),
            );
        }
        let voicemail = &self.phone.voicemail;
        if !voicemail
            .bytes()
            .all(|key| key.is_ascii_digit() || b"*#+".contains(&key))
        {
            return fail(
                "phone.voicemail",
                voicemail,
                "must be a number of 0-9 * # and a leading +, or empty".into(),
            );
        }
        if let Some((key, value, allowed)) = dialing::conflict(&self.speed_dial, &self.prefix) {
            return fail(key, &value, allowed);
        }
        Ok(())
    }

    fn resolve_paths(&mut self, base: &Path) {
        for text in [
            &mut self.cloud.ca_file,
            &mut self.cloud.token_file,
            &mut self.cloud.client_secret_file,
        ] {
            if !text.is_empty() {
                *text = base.join(&*text).to_string_lossy().into_owned();
            }
        }
        for text in [&mut self.audio.capture, &mut self.audio.playback] {
            if let Some(path) = text.strip_prefix("wav:") {
                *text = format!("wav:{}", base.join(path).display());
            }
        }
        if self.board.name.contains('/') {
            self.board.name = base.join(&self.board.name).to_string_lossy().into_owned();
        }
        self.state.dir = base.join(&self.state.dir);
        // A bare name is looked for where programs are.
        if self.update.rauc.components().count() > 1 {
            self.update.rauc = base.join(&self.update.rauc);
        }
    }
}

/// The whole file with its defaults and a line of help for each key: `offhook config --explain`.
pub const EXPLAINED: &str = r#"# Offhook's configuration. Every key may be left out; what is shown is its default.

[cloud]
# A region of Genesys Cloud, or a URL ("https://127.0.0.1:8443") where a simulator serves REST.
environment = "mypurecloud.com"
# WebSocket host; empty: wss://streaming.<environment>, or the host of the URL.
streaming = ""
# One more trust anchor (a PEM file), for a private cloud or a simulator.
ca_file = ""
# A file with an access token of the agent; it is read again when the cloud refuses the old one. Empty: agents log
# in on the phone's page, or with `offhook login`, for which client_id is needed.
token_file = ""
# Id of an OAuth client made for the phone in Genesys Cloud (grant "Code Authorization", or PKCE without a secret).
client_id = ""
# A file with the client's secret, mode 0600: then the login renews itself. Empty: PKCE; agents log in again when the
# token ends.
client_secret_file = ""
# The redirect URI registered with the client. Empty: <address of the phone's page>/login/callback. If the agent's
# browser cannot reach it, the address it ends at is pasted into the phone's page.
redirect_uri = ""
# URL of the login host; empty: https://login.<environment>, or the host of the URL.
login_host = ""
# "auto": the agent's station, and the agent is associated with one if there is none yet; "none": nothing is
# associated; or the name or id of one of the agent's WebRTC phones.
station = "auto"
# true: the streaming server pings the phone instead of the other way round, where it can.
server_side_pings = false
# true: of all the agent's clients only the one the cloud has chosen rings (a preview of Genesys Cloud).
alerting_leader = false
# Tell the cloud every few seconds how well a call is heard, for its quality reports.
report_statistics = false
# When the station keeps a persistent connection and the cloud sets it up ahead of the first call: "auto" takes it
# unseen, "event" only tells the local API (pendingSession), "none" leaves it to the first call.
eager_persistent_connection = "auto"
# true: also take the calls that the agent places in another client, such as the browser. Whoever takes a call has its
# sound, so then no other client may.
take_all_outbound = false
# true: a call's sound may go over IPv6 too. Off, as in Genesys's own client: its gateways are reached over IPv4.
ipv6 = false

[board]
# "auto" (from the device tree; a PC is "desktop"), a board's name, or a path to a board file; with another
# sound variant as "rpi-4b+usb".
name = "auto"

[audio]
# "alsa:NAME", "wav:FILE" (read in real time, looped) or "silence"; empty: what the board says.
capture = ""
# "alsa:NAME", "wav:FILE" (written in real time) or "discard"; empty: what the board says.
playback = ""
# Opus bit rate in bit/s, 6000 to 128000.
opus_bitrate_bps = 32000
# Opus complexity, 0 (cheap) to 10 (best).
opus_complexity = 5
# Opus in-band forward error correction: costs some bits, hides single lost packets.
opus_fec = true
# Send only a packet now and then while nobody speaks: saves bandwidth, costs the beginnings of quiet words.
opus_dtx = false
# Length of a sent frame in ms: 20, or 10 for less delay and more packets, or 40 or 60 for fewer.
frame_ms = 20
# The most that one call may send, in bit/s with all headers; 0: no limit, else at least 16000. Below some 36000 the
# frames get longer, and what is left is Opus's bit rate. (G.711 has one rate, 80000 with 20 ms frames.)
bandwidth_bps = 0

[phone]
# Whose dial, ringing and busy tones: "north-america", "united-kingdom" or "continental-europe".
tones = "north-america"
# Pause after the last digit that dials, in ms, 1000 to 20000. The # key dials at once.
inter_digit_timeout_ms = 4000
# The number that plays voicemail, for the phone's menu; empty: none.
voicemail = ""
# Answer calls by itself when the cloud says so (an agent with auto-answer); calls placed here always are.
auto_answer = true

[api]
# Address of the local API and page. On any other address than 127.0.0.1 or [::1] it speaks HTTPS and
# wants the key that is in the state folder.
listen = "127.0.0.1:8321"

[state]
# Folder for what survives a restart.
dir = "/var/lib/offhook"

[log]
# "error", "warn", "info", "debug" or "trace". No level shows tokens, phone numbers or names.
level = "info"

[update]
# What checks and installs updates: RAUC, or a program that takes its commands.
rauc = "rauc"

# Speed dials: in the phone's menu and on its page, and on a digit key (2 to 9) held down on the hook. Beside key and
# label any parameter of a call: phoneNumber, callUserId or callQueueId; callFromQueueId, callerId, callerIdName,
# priority, languageId, routingSkillsIds, uuiData.
# [[speed_dial]]
# key = 2
# label = "Support queue"
# callQueueId = "77777777-7777-4777-8777-777777777777"
# priority = 5

# Prefixes: digits dialed before a number, and the parameters they add to the call. If they say whom to call, the digits
# are a whole number.
# [[prefix]]
# digits = "*5"
# callFromQueueId = "77777777-7777-4777-8777-777777777777"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/offhook/test.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_explained_file_is_the_default_and_has_every_key() {
        assert_eq!(parse(EXPLAINED).unwrap(), Config::default());
        let explained: toml::Table = EXPLAINED.parse().unwrap();
        let default = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(explained, default);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn bad_values_are_refused_with_key_and_range() {
        for (text, says) in [
            ("[cloud]\nenvironnement = \"x\"", "environnement"),
            ("[audio]\ncapture = \"usb\"", "audio.capture"),
            ("[audio]\nplayback = \"silence\"", "audio.playback"),
            ("[audio]\nopus_bitrate_bps = 1", "6000 to 128000"),
            ("[audio]\nopus_complexity = 11", "0 to 10"),
            ("[audio]\nframe_ms = 15", "10, 20, 40 or 60"),
            ("[audio]\nbandwidth_bps = 9000", "0 or at least 16000"),
            ("[phone]\ninter_digit_timeout_ms = 5", "1000 to 20000"),
            ("[phone]\ntones = \"mars\"", "north-america"),
            ("[api]\nlisten = \"localhost\"", "line 2"),
            ("[log]\nlevel = \"loud\"", "loud"),
            ("[cloud\n", "line 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(error.contains("test.toml"), "{error}");
        }
    }

    /// What the explanation shows as an example works once its `#` is taken away.
    #[test]
    fn the_explained_examples_work() {
        let examples = EXPLAINED
            .split("# [[speed_dial]]")
            .nth(1)
            .expect("an example");
        let text: String = format!("# [[speed_dial]]{examples}")
            .lines()
            .map(|line| line.trim_start_matches("# "))
            .filter(|line| line.starts_with("[[") || line.contains(" = "))
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = parse(&text).unwrap();
        assert_eq!(config.speed_dial.len(), 1);
        assert_eq!(config.speed_dial[0].call.priority, Some(5));
        assert_eq!(config.prefix[0].digits, "*5");
        assert!(!config.prefix[0].is_complete());
        let shown = toml::to_string(&config).unwrap();
        assert_eq!(parse(&shown).unwrap(), config, "{shown}");
    }

    #[test]
    fn speed_dials_and_prefixes_are_checked() {
        let dial = |text: &str| format!("[[speed_dial]]\nlabel = \"x\"\n{text}\n");
        let prefix = |text: &str| format!("[[prefix]]\n{text}\n");
        for (text, says) in [
            (dial("key = 1\nphoneNumber = \"1\""), "2 to 9"),
            (dial("key = \"2\"\nphoneNumber = \"1\""), "2 to 9"),
            (dial(""), "nothing to call"),
            (dial("phoneNumber = \"x\""), "can be dialed"),
            (dial("phoneNumbr = \"1\""), "phoneNumbr"),
            (
                dial("phoneNumber = \"1\"\ncallUserId = \"U\""),
                "exclude each other",
            ),
            (dial("conversationIds = [\"C\"]"), "of the moment"),
            ("[[speed_dial]]\nphoneNumber = \"1\"".into(), "label"),
            (
                dial("key = 2\nphoneNumber = \"1\"") + &dial("key = 2\nphoneNumber = \"2\""),
                "speed_dial.key = 2",
            ),
            (prefix("digits = \"*5\""), "says nothing"),
            (prefix("digits = \"5a\"\ncallerId = \"1\""), "0-9 * #"),
            (prefix("digits = \"*5\"\npriority = 3"), "priority"),
            (
                prefix("digits = \"*5\"\ncallerId = \"1\"").repeat(2),
                "only once",
            ),
            ("[phone]\nvoicemail = \"mail\"".into(), "phone.voicemail"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        let whole = parse(&prefix("digits = \"*81\"\ncallQueueId = \"Q\"")).unwrap();
        assert!(whole.prefix[0].is_complete());
    }

    #[test]
    fn paths_are_taken_from_the_files_folder() {
        let config = parse(
            "[cloud]\ntoken_file = \"token\"\nclient_secret_file = \"secret\"\n[audio]\ncapture = \"wav:voice.wav\"",
        )
        .unwrap();
        assert_eq!(config.cloud.token_file, "/etc/offhook/token");
        assert_eq!(config.cloud.client_secret_file, "/etc/offhook/secret");
        assert_eq!(config.audio.capture, "wav:/etc/offhook/voice.wav");
    }
}
