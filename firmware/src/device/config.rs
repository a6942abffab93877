//! The configuration file: every key has a default and a line of help.

mod sections;

pub use sections::{
    ApiSection, AudioSection, BoardSection, CloudSection, LogLevel, LogSection, PhoneSection,
    StateSection, UpdateSection,
};

use super::dialing::{self, Prefix, SpeedDial};
use offhook_hal::audio::{CaptureSpec, PlaybackSpec};
use serde::{Deserialize, Serialize};
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
    /// Not TOML, or a key that does not exist, or a value of the wrong kind; the text names the line.
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
            // Without the line itself: this goes to the journal and the display, and somebody may have put a secret there.
            detail: match error.span() {
                Some(span) => format!("line {}: {}", line_of(text, span.start), error.message()),
                None => error.message().to_owned(),
            },
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
        if !(-1..=10).contains(&self.audio.opus_complexity) {
            return fail(
                "audio.opus_complexity",
                &self.audio.opus_complexity,
                "must be 0 to 10, or -1 for the board's".into(),
            );
        }
        if self.audio.jitter_headroom_ms > 100 {
            return fail(
                "audio.jitter_headroom_ms",
                &self.audio.jitter_headroom_ms,
                "must be 0 to 100".into(),
            );
        }
        if !matches!(self.audio.frame_ms, 10 | 20 | 40 | 60) {
            return fail(
                "audio.frame_ms",
                &self.audio.frame_ms,
                "must be 10, 20, 40 or 60".into(),
            );
        }
        let longest = self.audio.longest_frame_ms;
        if !matches!(longest, 10 | 20 | 40 | 60) || longest < self.audio.frame_ms {
            return fail(
                "audio.longest_frame_ms",
                &longest,
                "must be 10, 20, 40 or 60, and no less than audio.frame_ms".into(),
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

/// The line that the byte `at` is on, from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The whole file with its defaults and a line of help for each key: `offhook config --explain`.
pub const EXPLAINED: &str = include_str!("config/explained.toml");

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

    /// What was written where nothing of it belongs stays in the file: the error is logged, and shown to the room.
    #[test]
    fn an_error_does_not_quote_the_file() {
        for text in [
            "[cloud]\npassword = \"S3CRET\"",
            "[cloud]\nclient_secret = \"S3CRET",
            "[cloud]\n= \"S3CRET\"",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("line 2"), "{error}");
            assert!(!error.contains("S3CRET"), "{error}");
        }
    }

    #[test]
    fn bad_values_are_refused_with_key_and_range() {
        for (text, says) in [
            ("[cloud]\nenvironnement = \"x\"", "environnement"),
            ("[audio]\ncapture = \"usb\"", "audio.capture"),
            ("[audio]\nplayback = \"silence\"", "audio.playback"),
            ("[audio]\nopus_bitrate_bps = 1", "6000 to 128000"),
            ("[audio]\nopus_complexity = 11", "0 to 10"),
            ("[audio]\nopus_complexity = -2", "0 to 10"),
            ("[audio]\njitter_headroom_ms = 101", "0 to 100"),
            ("[audio]\nframe_ms = 15", "10, 20, 40 or 60"),
            (
                "[audio]\nframe_ms = 40\nlongest_frame_ms = 20",
                "no less than audio.frame_ms",
            ),
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
