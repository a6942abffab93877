//! Where in the file a value stands, and which GPIO lines are taken.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;

use crate::{BoardError, Line};

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
pub(crate) struct Uses<'a> {
    source: &'a Source<'a>,
    chip: bool,
    taken: BTreeMap<Line, (String, usize)>,
}

impl<'a> Uses<'a> {
    /// None yet; `chip` says whether the board names a GPIO chip.
    pub(crate) const fn new(source: &'a Source<'a>, chip: bool) -> Self {
        Self {
            source,
            chip,
            taken: BTreeMap::new(),
        }
    }

    /// Takes the line for `by`, unless something else has it.
    pub(crate) fn take(&mut self, line: &Spanned<u32>, by: String) -> Result<Line, BoardError> {
        let at = line.span();
        if !self.chip {
            return Err(self.source.invalid(
                &at,
                format!("{by} is wired to a GPIO line, but the board names no GPIO chip"),
                "a section [gpio] with a key chip",
            ));
        }
        let gpio_line = self.source.number(&by, line, 0..=MAX_LINE)?;
        let text_line = self.source.line(&at);
        if let Some((first, first_line)) = self.taken.get(&gpio_line) {
            return Err(BoardError::LineUsedTwice {
                file: self.source.file.into(),
                line: text_line,
                gpio_line,
                first: first.clone(),
                first_line: *first_line,
                second: by,
            });
        }
        self.taken.insert(gpio_line, (by, text_line));
        Ok(gpio_line)
    }
}
