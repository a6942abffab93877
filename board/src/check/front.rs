//! Keypad, hook switch and lamps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use offhook_hal::front::{InputCode, NoInputCode};
use offhook_hal::gpio::Pull;
use offhook_hal::hook::{FlashWindow, HookTiming};
use offhook_hal::keypad::{KeyTiming, MAX_COLUMNS, MAX_ROWS};
use offhook_hal::{Key, Lamp, UnknownName};
use toml::Spanned;

use super::Check;
use crate::lines::Uses;
use crate::{
    BoardError, BoardLamp, Hook, HookWiring, Keypad, KeypadWiring, LampWiring, Line, Matrix, raw,
};

impl Check<'_> {
    pub(super) fn keypad(
        &self,
        uses: &mut Uses,
        keypad: &Spanned<raw::Keypad>,
    ) -> Result<Keypad, BoardError> {
        let (at, raw) = (keypad.span(), keypad.as_ref());
        let wiring = match raw.wiring {
            raw::KeypadWiring::Matrix => {
                self.no_keypad_device(raw, "wiring = \"matrix\"")?;
                KeypadWiring::Matrix(self.matrix(uses, &at, raw)?)
            }
            raw::KeypadWiring::Virtual => {
                let wiring = "wiring = \"virtual\"";
                self.no_matrix(raw, wiring)?;
                self.no_keypad_device(raw, wiring)?;
                KeypadWiring::Virtual
            }
            raw::KeypadWiring::InputDevice => {
                self.no_matrix(raw, "wiring = \"input_device\"")?;
                self.input_keypad(&at, raw)?
            }
        };
        Ok(Keypad {
            debounce: self.millis("keypad.debounce_ms", &raw.debounce_ms, 0, 100)?,
            timing: KeyTiming {
                long_press: self.millis("keypad.long_press_ms", &raw.long_press_ms, 200, 5000)?,
                ..KeyTiming::default()
            },
            wiring,
        })
    }

    fn no_matrix(&self, raw: &raw::Keypad, wiring: &str) -> Result<(), BoardError> {
        let source = self.source;
        source.unwanted("keypad.row_lines", wiring, raw.row_lines.as_ref())?;
        source.unwanted("keypad.column_lines", wiring, raw.column_lines.as_ref())?;
        source.unwanted("keypad.labels", wiring, raw.labels.as_ref())?;
        source.unwanted("keypad.diodes", wiring, raw.diodes.as_ref())?;
        source.unwanted("keypad.settle_us", wiring, raw.settle_us.as_ref())
    }

    fn no_keypad_device(&self, raw: &raw::Keypad, wiring: &str) -> Result<(), BoardError> {
        let source = self.source;
        source.unwanted("keypad.device", wiring, raw.device.as_ref())?;
        source.unwanted("keypad.keys", wiring, raw.keys.as_ref())
    }

    fn input_keypad(
        &self,
        at: &Range<usize>,
        raw: &raw::Keypad,
    ) -> Result<KeypadWiring, BoardError> {
        let wiring = "wiring = \"input_device\"";
        let allowed = "its name in /proc/bus/input/devices";
        let device =
            self.source
                .needed(at, "keypad.device", wiring, raw.device.as_ref(), allowed)?;
        let allowed = "a table such as { KEY_1 = \"1\", KEY_NUMERIC_STAR = \"*\" }";
        let table = self
            .source
            .needed(at, "keypad.keys", wiring, raw.keys.as_ref(), allowed)?;
        if table.as_ref().is_empty() {
            return Err(self
                .source
                .invalid(&table.span(), "keypad.keys names no key", allowed));
        }
        let mut seen = BTreeMap::new();
        let mut keys = Vec::with_capacity(table.as_ref().len());
        for (code, label) in table.as_ref() {
            let code = self.input_code(code)?;
            if let Some(key) = self.label(label, &mut seen)? {
                keys.push((code, key));
            }
        }
        Ok(KeypadWiring::InputDevice {
            device: self.text("keypad.device", device.clone())?,
            keys,
        })
    }

    fn input_code(&self, code: &Spanned<String>) -> Result<InputCode, BoardError> {
        code.as_ref().parse().map_err(|error: NoInputCode| {
            let what = format!("{:?} is no key or switch of Linux", error.name);
            self.source.invalid(
                &code.span(),
                what,
                "KEY_..., BTN_... or SW_..., as evtest prints them",
            )
        })
    }

    fn no_switch(&self, raw: &raw::Hook, wiring: &str) -> Result<(), BoardError> {
        let source = self.source;
        source.unwanted("hook.line", wiring, raw.line.as_ref())?;
        source.unwanted("hook.lifted_level", wiring, raw.lifted_level.as_ref())?;
        source.unwanted("hook.pull", wiring, raw.pull.as_ref())
    }

    fn no_hook_device(&self, raw: &raw::Hook, wiring: &str) -> Result<(), BoardError> {
        let source = self.source;
        source.unwanted("hook.device", wiring, raw.device.as_ref())?;
        source.unwanted("hook.code", wiring, raw.code.as_ref())?;
        source.unwanted("hook.lifted_when", wiring, raw.lifted_when.as_ref())
    }

    fn input_hook(&self, at: &Range<usize>, raw: &raw::Hook) -> Result<HookWiring, BoardError> {
        let wiring = "wiring = \"input_device\"";
        let source = self.source;
        let allowed = "its name in /proc/bus/input/devices";
        let device = source.needed(at, "hook.device", wiring, raw.device.as_ref(), allowed)?;
        let allowed = "a key or switch, such as \"KEY_PHONE\"";
        let code = source.needed(at, "hook.code", wiring, raw.code.as_ref(), allowed)?;
        let allowed = "\"on\" or \"off\"";
        let when = source.needed(
            at,
            "hook.lifted_when",
            wiring,
            raw.lifted_when.as_ref(),
            allowed,
        )?;
        Ok(HookWiring::InputDevice {
            device: self.text("hook.device", device.clone())?,
            code: self.input_code(code)?,
            lifted_is_on: *when.as_ref() == raw::OnOff::On,
        })
    }

    fn matrix(
        &self,
        uses: &mut Uses,
        at: &Range<usize>,
        raw: &raw::Keypad,
    ) -> Result<Matrix, BoardError> {
        let wiring = "wiring = \"matrix\"";
        let lines = |key, value, max: usize| {
            let value: &Spanned<Vec<Spanned<u32>>> =
                self.source
                    .needed(at, key, wiring, value, "a list of GPIO lines")?;
            let count = value.as_ref().len();
            if count == 0 || count > max {
                let what = format!("{key} has {count} lines");
                return Err(self
                    .source
                    .invalid(&value.span(), what, format!("1 to {max}")));
            }
            Ok(value.as_ref())
        };
        let rows = lines("keypad.row_lines", raw.row_lines.as_ref(), MAX_ROWS)?;
        let columns = lines(
            "keypad.column_lines",
            raw.column_lines.as_ref(),
            MAX_COLUMNS,
        )?;
        let mut take_all = |kind: &str, lines: &[Spanned<u32>]| -> Result<Vec<Line>, BoardError> {
            (1..)
                .zip(lines)
                .map(|(n, line)| uses.take(self.source, line, format!("keypad {kind} {n}")))
                .collect()
        };
        let row_lines = take_all("row", rows)?;
        let column_lines = take_all("column", columns)?;
        let allowed =
            "one list per row, each with one label per column (\"\" where there is no key)";
        let labels =
            self.source
                .needed(at, "keypad.labels", wiring, raw.labels.as_ref(), allowed)?;
        let settle_us = raw.settle_us.as_ref();
        Ok(Matrix {
            keys: self.labels(labels, row_lines.len(), column_lines.len(), allowed)?,
            row_lines,
            column_lines,
            diodes: raw.diodes.as_ref().is_some_and(|diodes| *diodes.as_ref()),
            settle: settle_us.map_or(Ok(Duration::from_micros(5)), |settle| {
                let micros = self.source.number("keypad.settle_us", settle, 0..=10_000)?;
                Ok(Duration::from_micros(micros.into()))
            })?,
        })
    }

    fn labels(
        &self,
        labels: &Spanned<raw::Labels>,
        rows: usize,
        columns: usize,
        allowed: &str,
    ) -> Result<Vec<Vec<Option<Key>>>, BoardError> {
        let given = labels.as_ref();
        if given.len() != rows {
            let what = format!(
                "keypad.labels has {} rows for {rows} row lines",
                given.len()
            );
            return Err(self.source.invalid(&labels.span(), what, allowed));
        }
        let mut seen = BTreeMap::new();
        let mut keys = Vec::with_capacity(rows);
        for row in given {
            if row.as_ref().len() != columns {
                let what = format!(
                    "this row of keypad.labels has {} labels for {columns} column lines",
                    row.as_ref().len()
                );
                return Err(self.source.invalid(&row.span(), what, allowed));
            }
            let row = row
                .as_ref()
                .iter()
                .map(|label| self.label(label, &mut seen));
            keys.push(row.collect::<Result<_, _>>()?);
        }
        if seen.is_empty() {
            let what = "keypad.labels names no key";
            return Err(self
                .source
                .invalid(&labels.span(), what, "at least one key"));
        }
        Ok(keys)
    }

    fn label(
        &self,
        label: &Spanned<String>,
        seen: &mut BTreeMap<Key, usize>,
    ) -> Result<Option<Key>, BoardError> {
        if label.as_ref().is_empty() {
            return Ok(None);
        }
        let at = label.span();
        let key: Key = label.as_ref().parse().map_err(|error: UnknownName| {
            self.source.invalid(
                &at,
                format!("keypad label {:?} is no key", error.name),
                error.allowed,
            )
        })?;
        if let Some(line) = seen.insert(key, self.source.line(&at)) {
            let what =
                format!("key \"{key}\" is on the keypad twice, the first time in line {line}");
            return Err(self.source.invalid(&at, what, "each key once"));
        }
        Ok(Some(key))
    }

    pub(super) fn hook(
        &self,
        uses: &mut Uses,
        hook: &Spanned<raw::Hook>,
    ) -> Result<Hook, BoardError> {
        let (at, raw) = (hook.span(), hook.as_ref());
        let wiring = match raw.wiring {
            raw::HookWiring::Virtual => {
                let wiring = "wiring = \"virtual\"";
                self.no_switch(raw, wiring)?;
                self.no_hook_device(raw, wiring)?;
                HookWiring::Virtual
            }
            raw::HookWiring::InputDevice => {
                self.no_switch(raw, "wiring = \"input_device\"")?;
                self.input_hook(&at, raw)?
            }
            raw::HookWiring::Switch => {
                let wiring = "wiring = \"switch\"";
                self.no_hook_device(raw, wiring)?;
                let line = self.source.needed(
                    &at,
                    "hook.line",
                    wiring,
                    raw.line.as_ref(),
                    "a GPIO line",
                )?;
                let lifted = self.source.needed(
                    &at,
                    "hook.lifted_level",
                    wiring,
                    raw.lifted_level.as_ref(),
                    "\"low\" or \"high\"",
                )?;
                HookWiring::Switch {
                    line: uses.take(self.source, line, "the hook switch".into())?,
                    lifted: *lifted.as_ref(),
                    pull: match raw.pull.as_ref().map(Spanned::as_ref) {
                        None | Some(raw::Pull::Up) => Pull::Up,
                        Some(raw::Pull::Down) => Pull::Down,
                        Some(raw::Pull::None) => Pull::None,
                    },
                }
            }
        };
        let flash = match (&raw.flash_min_ms, &raw.flash_max_ms) {
            (None, None) => None,
            (Some(min_ms), Some(max_ms)) => {
                let min = self.source.number("hook.flash_min_ms", min_ms, 20..=1000)?;
                let max = self.millis("hook.flash_max_ms", max_ms, min + 1, 2000)?;
                Some(FlashWindow {
                    min: Duration::from_millis(min.into()),
                    max,
                })
            }
            (Some(one), None) | (None, Some(one)) => {
                let what = "only one of hook.flash_min_ms and hook.flash_max_ms is there";
                return Err(self
                    .source
                    .invalid(&one.span(), what, "both, or none for no flash"));
            }
        };
        let debounce = self.millis("hook.debounce_ms", &raw.debounce_ms, 0, 200)?;
        Ok(Hook {
            timing: HookTiming { debounce, flash },
            wiring,
        })
    }

    pub(super) fn lamps(
        &self,
        uses: &mut Uses,
        lamps: &BTreeMap<Spanned<String>, Spanned<raw::Lamp>>,
    ) -> Result<Vec<BoardLamp>, BoardError> {
        let mut checked = Vec::with_capacity(lamps.len());
        for (name, lamp) in lamps {
            let unknown = |error: UnknownName| {
                self.source.invalid(
                    &name.span(),
                    format!("{:?} is no lamp", error.name),
                    error.allowed,
                )
            };
            let lamp_name: Lamp = name.as_ref().parse().map_err(unknown)?;
            let (at, raw) = (lamp.span(), lamp.as_ref());
            let key = |key: &str| format!("lamps.{lamp_name}.{key}");
            let wiring = match raw.wiring {
                raw::LampWiring::Virtual => {
                    let wiring = "wiring = \"virtual\"";
                    self.source
                        .unwanted(&key("line"), wiring, raw.line.as_ref())?;
                    self.source
                        .unwanted(&key("lit_level"), wiring, raw.lit_level.as_ref())?;
                    LampWiring::Virtual
                }
                raw::LampWiring::Pin => {
                    let wiring = "wiring = \"pin\"";
                    let line = self.source.needed(
                        &at,
                        &key("line"),
                        wiring,
                        raw.line.as_ref(),
                        "a GPIO line",
                    )?;
                    let lit = self.source.needed(
                        &at,
                        &key("lit_level"),
                        wiring,
                        raw.lit_level.as_ref(),
                        "\"low\" or \"high\"",
                    )?;
                    LampWiring::Pin {
                        line: uses.take(self.source, line, format!("lamp \"{lamp_name}\""))?,
                        lit: *lit.as_ref(),
                    }
                }
            };
            checked.push(BoardLamp {
                lamp: lamp_name,
                wiring,
            });
        }
        checked.sort_by_key(|lamp| lamp.lamp);
        Ok(checked)
    }
}
