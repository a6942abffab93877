//! From a board file's text to a checked [`Board`].

mod audio;
mod display;
mod front;
#[cfg(test)]
mod tests;

use std::time::Duration;

use toml::Spanned;

use crate::lines::{Source, Uses};
use crate::{AudioPaths, Board, BoardError, Budgets, raw};

pub(crate) fn board(text: &str, file: &str) -> Result<Board, BoardError> {
    let source = Source { text, file };
    let raw: raw::Board = toml::from_str(text).map_err(|error| source.syntax(&error))?;
    let mut uses = Uses::new(&source, raw.gpio.is_some());
    let gpio_chip = raw
        .gpio
        .map(|gpio| chip(&source, &mut uses, gpio))
        .transpose()?;
    let check = Check { source: &source };
    Ok(Board {
        name: check.name(raw.name)?,
        description: check.text("description", raw.description)?,
        device_tree_models: raw
            .device_tree_models
            .into_iter()
            .map(|model| check.text("a device-tree model", model))
            .collect::<Result<_, _>>()?,
        gpio_chip,
        keypad: check.keypad(&mut uses, &raw.keypad)?,
        hook: check.hook(&mut uses, &raw.hook)?,
        lamps: check.lamps(&mut uses, &raw.lamps)?,
        display: check.display(&mut uses, raw.display)?,
        audio: AudioPaths {
            handset: check.path(raw.audio.handset)?,
            speaker: raw.audio.speaker.map(|path| check.path(path)).transpose()?,
            headset: raw.audio.headset.map(|path| check.path(path)).transpose()?,
        },
        budgets: Budgets {
            ram_mib: source.number("ram_mib", &raw.budgets.ram_mib, 8..=4096)?,
            startup: check.millis("startup_ms", &raw.budgets.startup_ms, 100, 120_000)?,
        },
    })
}

fn chip(source: &Source<'_>, uses: &mut Uses<'_>, gpio: raw::Gpio) -> Result<String, BoardError> {
    for (name, line) in &gpio.reserved {
        uses.take(line, format!("gpio.reserved.{name}"))?;
    }
    Check { source }.text("gpio.chip", gpio.chip)
}

struct Check<'a> {
    source: &'a Source<'a>,
}

impl Check<'_> {
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
