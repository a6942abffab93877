//! Where in the file a value stands, and which GPIO lines are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use toml::Spanned;

use crate::{BoardError, Header, Line, Wire};

/// The highest GPIO line number: more than any chip has.
const MAX_LINE: Line = 1023;

/// The file being read; makes errors that name it.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: &'a str,
}

impl Source<'_> {
    /// The line of a byte of the text, from 1.
    pub(crate) fn line(&self, at: &Range<usize>) -> usize {
        let before = self
            .text
            .as_bytes()
            .split(|byte| *byte == b'\n')
            .scan(0, |end, line| {
                *end += line.len() + 1;
                Some(*end)
            });
        1 + before.take_while(|end| *end <= at.start).count()
    }

    pub(crate) fn invalid(
        &self,
        at: &Range<usize>,
        what: impl Into<String>,
        allowed: impl Into<String>,
    ) -> BoardError {
        BoardError::Invalid {
            file: self.file.into(),
            line: self.line(at),
            what: what.into(),
            allowed: allowed.into(),
        }
    }

    pub(crate) fn syntax(&self, error: &toml::de::Error) -> BoardError {
        BoardError::Syntax {
            file: self.file.into(),
            line: error.span().map_or(1, |span| self.line(&span)),
            message: error.message().trim().replace('\n', ", "),
        }
    }

    /// The number, if it lies in `allowed`.
    pub(crate) fn number(
        &self,
        key: &str,
        value: &Spanned<u32>,
        allowed: RangeInclusive<u32>,
    ) -> Result<u32, BoardError> {
        let number = *value.as_ref();
        if allowed.contains(&number) {
            return Ok(number);
        }
        let (min, max) = allowed.into_inner();
        let allowed = if min == max {
            min.to_string()
        } else {
            format!("{min} to {max}")
        };
        Err(self.invalid(&value.span(), format!("{key} is {number}"), allowed))
    }

    /// The value of a key that this wiring needs.
    pub(crate) fn needed<'v, T>(
        &self,
        section: &Range<usize>,
        key: &str,
        wiring: &str,
        value: Option<&'v Spanned<T>>,
        allowed: &str,
    ) -> Result<&'v Spanned<T>, BoardError> {
        value.ok_or_else(|| {
            self.invalid(
                section,
                format!("{key} is missing, which {wiring} needs"),
                allowed,
            )
        })
    }

    /// Refuses a key that this wiring has no use for.
    pub(crate) fn unwanted<T>(
        &self,
        key: &str,
        wiring: &str,
        value: Option<&Spanned<T>>,
    ) -> Result<(), BoardError> {
        value.map_or(Ok(()), |value| {
            Err(self.invalid(
                &value.span(),
                format!("{key} means nothing with {wiring}"),
                "no such key",
            ))
        })
    }
}

/// The GPIO lines in use.
#[derive(Debug)]
pub(crate) struct Uses {
    chip: bool,
    header: Option<Header>,
    taken: BTreeMap<Line, (String, String)>,
    functions: BTreeSet<&'static str>,
}

impl Uses {
    /// None yet; `chip` says whether the board names a GPIO chip.
    pub(crate) const fn new(chip: bool, header: Option<Header>) -> Self {
        Self {
            chip,
            header,
            taken: BTreeMap::new(),
            functions: BTreeSet::new(),
        }
    }

    /// Whether its lines are pins of a known header.
    pub(crate) const fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// Takes the line for `by`, unless something else has it.
    pub(crate) fn take(
        &mut self,
        source: &Source<'_>,
        line: &Spanned<u32>,
        by: String,
    ) -> Result<Line, BoardError> {
        let at = line.span();
        if !self.chip {
            return Err(source.invalid(
                &at,
                format!("{by} is wired to a GPIO line, but the board names no GPIO chip"),
                "a section [gpio] with a key chip",
            ));
        }
        let gpio_line = *line.as_ref();
        match self.header {
            Some(header) if header.pin_of(gpio_line).is_none() => {
                let what = format!("{by} is GPIO line {gpio_line}");
                return Err(source.invalid(&at, what, header.lines_in_words()));
            }
            Some(_) => {}
            None => {
                source.number(&by, line, 0..=MAX_LINE)?;
            }
        }
        self.insert(source, &at, gpio_line, by)?;
        Ok(gpio_line)
    }

    /// Takes the lines of a function of the header; it may be asked for more than once.
    pub(crate) fn take_function(
        &mut self,
        source: &Source<'_>,
        name: &Spanned<String>,
    ) -> Result<(), BoardError> {
        let Some(header) = self.header else {
            let what = "functions are of a header, and the board names none";
            return Err(source.invalid(&name.span(), what, "header = \"rpi-40\", or no functions"));
        };
        let known = || {
            let names: Vec<&str> = header.functions().iter().map(|known| known.name).collect();
            names.join(", ")
        };
        let function = header
            .functions()
            .iter()
            .find(|known| known.name == name.as_ref())
            .ok_or_else(|| {
                let what = format!("the header has no function {:?}", name.as_ref());
                source.invalid(&name.span(), what, known())
            })?;
        if self.functions.insert(function.name) {
            for (line, signal) in function.lines {
                let by = format!("{} ({signal})", function.name);
                self.insert(source, &name.span(), *line, by)?;
            }
        }
        Ok(())
    }

    /// Refuses a bus whose lines the board does not give to it. A bus that is not on the header needs none.
    pub(crate) fn need_function(
        &self,
        source: &Source<'_>,
        at: &Range<usize>,
        bus: &str,
        function: &str,
    ) -> Result<(), BoardError> {
        let on_header = self.header.is_some_and(|header| {
            header
                .functions()
                .iter()
                .any(|known| known.name == function)
        });
        if !on_header || self.functions.contains(function) {
            return Ok(());
        }
        let what = format!("{bus} has no lines of the header");
        let allowed = format!("{function:?} among gpio.functions");
        Err(source.invalid(at, what, allowed))
    }

    /// What each line is used for, by number.
    pub(crate) fn into_wires(self) -> Vec<Wire> {
        let wire = |(line, (what, _))| Wire { line, what };
        self.taken.into_iter().map(wire).collect()
    }

    fn insert(
        &mut self,
        source: &Source<'_>,
        at: &Range<usize>,
        gpio_line: Line,
        by: String,
    ) -> Result<(), BoardError> {
        let line = source.line(at);
        if let Some((first, first_at)) = self.taken.get(&gpio_line) {
            let file = format!("{}:", source.file);
            let first_at = first_at
                .strip_prefix(&file)
                .map_or_else(|| first_at.clone(), |line| format!("line {line}"));
            return Err(BoardError::LineUsedTwice {
                file: source.file.into(),
                line,
                gpio_line,
                first: first.clone(),
                first_at,
                second: by,
            });
        }
        self.taken
            .insert(gpio_line, (by, format!("{}:{line}", source.file)));
        Ok(())
    }
}
