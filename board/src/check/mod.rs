//! From a board file's text to a checked [`Board`].

mod audio;
mod display;
mod front;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use offhook_hal::gpio::{Backend, GpioSpec};
use toml::Spanned;

use crate::lines::{Source, Uses};
use crate::{AudioPaths, Board, BoardError, Budgets, raw};

/// Text and file name of a board's or a sound variant's file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) text: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> File<'a> {
    pub(crate) const fn source(self) -> Source<'a> {
        Source {
            text: self.text,
            file: self.name,
        }
    }
}

/// The sound variant a board file names, if it leaves sound to one.
pub(crate) fn sound_named_by(file: File<'_>) -> Result<Option<(String, Range<usize>)>, BoardError> {
    let source = file.source();
    let raw: raw::Board = toml::from_str(file.text).map_err(|error| source.syntax(&error))?;
    Ok(raw
        .sound
        .map(|sound| (sound.as_ref().clone(), sound.span())))
}

/// `sound` replaces what the board says of sound.
pub(crate) fn board(file: File<'_>, sound: Option<File<'_>>) -> Result<Board, BoardError> {
    let source = file.source();
    let raw: raw::Board = toml::from_str(file.text).map_err(|error| source.syntax(&error))?;
    let header = raw.gpio.as_ref().and_then(|gpio| gpio.header);
    let mut uses = Uses::new(raw.gpio.is_some(), header);
    let check = Check { source: &source };
    if let (Some(sound), Some(audio)) = (&raw.sound, &raw.audio) {
        let what = format!(
            "sound is {:?}, and there are sections [audio...] as well",
            sound.as_ref()
        );
        return Err(source.invalid(&audio.span(), what, "one of both"));
    }
    let of_variant = sound.map(|sound| variant(sound, &mut uses)).transpose()?;
    let gpio = raw
        .gpio
        .map(|gpio| check.gpio(&mut uses, gpio))
        .transpose()?;
    let (audio, sound) = match (of_variant, raw.audio) {
        (Some((name, audio)), _) => (audio, Some(name)),
        (None, Some(audio)) => (check.audio(audio.into_inner())?, None),
        (None, None) => {
            let what = "neither sound nor a section [audio.handset] is there";
            return Err(source.invalid(&raw.name.span(), what, "one of both"));
        }
    };
    let keypad = check.keypad(&mut uses, &raw.keypad)?;
    let hook = check.hook(&mut uses, &raw.hook)?;
    let lamps = check.lamps(&mut uses, &raw.lamps)?;
    let display = check.display(&mut uses, raw.display)?;
    Ok(Board {
        name: check.name(raw.name)?,
        description: check.text("description", raw.description)?,
        device_tree_models: raw
            .device_tree_models
            .into_iter()
            .map(|model| check.text("a device-tree model", model))
            .collect::<Result<_, _>>()?,
        detect: raw.detect,
        gpio,
        header,
        keypad,
        hook,
        lamps,
        display,
        sound,
        audio,
        opus_complexity: raw.opus_complexity.map_or(Ok(5), |given| {
            source.number("opus_complexity", &given, 0..=10)
        })? as u8,
        budgets: Budgets {
            ram_mib: source.number("ram_mib", &raw.budgets.ram_mib, 8..=4096)?,
            startup: check.millis("startup_ms", &raw.budgets.startup_ms, 100, 120_000)?,
        },
        wires: uses.into_wires(),
    })
}

/// Name and sound devices of a variant; takes the lines it needs.
fn variant(file: File<'_>, uses: &mut Uses) -> Result<(String, AudioPaths), BoardError> {
    let source = file.source();
    let raw: raw::Sound = toml::from_str(file.text).map_err(|error| source.syntax(&error))?;
    let check = Check { source: &source };
    // A board without a header has no lines that could be in the way.
    if uses.has_header() {
        for function in &raw.functions {
            uses.take_function(&source, function)?;
        }
        for (name, line) in &raw.reserved {
            uses.take(&source, line, name.replace('_', " "))?;
        }
    }
    check.text("description", raw.description)?;
    Ok((check.name(raw.name)?, check.audio(raw.audio)?))
}

struct Check<'a> {
    source: &'a Source<'a>,
}

impl Check<'_> {
    fn gpio(&self, uses: &mut Uses, gpio: raw::Gpio) -> Result<GpioSpec, BoardError> {
        for function in &gpio.functions {
            uses.take_function(self.source, function)?;
        }
        for (name, line) in &gpio.reserved {
            uses.take(self.source, line, name.replace('_', " "))?;
        }
        Ok(GpioSpec {
            chip: self.text("gpio.chip", gpio.chip)?,
            backend: match gpio.backend {
                raw::Backend::Auto => Backend::Auto,
                raw::Backend::Rppal => Backend::Rppal,
                raw::Backend::Gpiocdev => Backend::Gpiocdev,
            },
            edges: gpio.edges,
        })
    }

    fn audio(&self, audio: raw::Audio) -> Result<AudioPaths, BoardError> {
        Ok(AudioPaths {
            handset: self.path(audio.handset)?,
            speaker: audio.speaker.map(|path| self.path(path)).transpose()?,
            headset: audio.headset.map(|path| self.path(path)).transpose()?,
            ringer: audio
                .ringer
                .map(|ringer| self.playback(&ringer.playback))
                .transpose()?,
        })
    }

    fn name(&self, name: Spanned<String>) -> Result<String, BoardError> {
        let fits = |name: &str| {
            (1..=32).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && name != "auto"
        };
        if !fits(name.as_ref()) {
            let what = format!("name is {:?}", shorten(name.as_ref()));
            let allowed = "1 to 32 of a-z, 0-9 and -, but not \"auto\"";
            return Err(self.source.invalid(&name.span(), what, allowed));
        }
        Ok(name.into_inner())
    }

    /// One line that people or the system can read.
    fn text(&self, key: &str, text: Spanned<String>) -> Result<String, BoardError> {
        let given = text.as_ref();
        if given.trim().is_empty() || given.len() > 120 || given.chars().any(char::is_control) {
            let what = format!("{key} is {:?}", shorten(given));
            return Err(self
                .source
                .invalid(&text.span(), what, "one line of 1 to 120 bytes"));
        }
        Ok(text.into_inner())
    }

    fn millis(
        &self,
        key: &str,
        value: &Spanned<u32>,
        min: u32,
        max: u32,
    ) -> Result<Duration, BoardError> {
        let millis = self.source.number(key, value, min..=max)?;
        Ok(Duration::from_millis(millis.into()))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}
