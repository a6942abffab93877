//! What can be wrong with a board.

use thiserror::Error;

/// A board file that cannot be used, or a board that does not exist.
///
/// Messages begin with file and line, as compilers write them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BoardError {
    /// It is no TOML, a key is unknown or missing, or a value has the wrong type.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The board file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// The parser's own words, which name what was expected.
        message: String,
    },
    /// A value is not allowed.
    #[error("{file}:{line}: {what}; allowed: {allowed}")]
    Invalid {
        /// The board file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// Key and value, and what is wrong with them.
        what: String,
        /// What would be right.
        allowed: String,
    },
    /// Two things are wired to one GPIO line.
    #[error(
        "{file}:{line}: GPIO line {gpio_line} is used twice: by {second} here, and by {first} in \
         {first_at}; allowed: one use per GPIO line"
    )]
    LineUsedTwice {
        /// The board file.
        file: String,
        /// The text line of the second use, from 1.
        line: usize,
        /// The GPIO line.
        gpio_line: u32,
        /// The first use.
        first: String,
        /// Where the first use is written.
        first_at: String,
        /// The second use.
        second: String,
    },
    /// The file cannot be read.
    #[error("{file}: the board file cannot be read: {source}")]
    Read {
        /// The board file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such board.
    #[error("there is no board \"{name}\"; allowed: auto, {known}, or a path to a board file")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The boards there are.
        known: String,
    },
    /// There is no such sound variant.
    #[error("there is no sound variant \"{name}\"; allowed: {known}")]
    UnknownSound {
        /// The name asked for.
        name: String,
        /// The variants there are.
        known: String,
    },
    /// The board is made for other hardware than this.
    #[error(
        "board {board} is for \"{made_for}\", this is {machine}: set [board] name to \"auto\", or start with --virtual-panel"
    )]
    WrongHardware {
        /// The board.
        board: String,
        /// Its device-tree models.
        made_for: String,
        /// What this is, in words.
        machine: String,
    },
    /// The hardware is none of the boards.
    #[error(
        "no board is made for this hardware, \"{model}\"; name one of {known} in the configuration \
         ([board] name), or write a board file for it"
    )]
    UnknownHardware {
        /// The device tree's model string.
        model: String,
        /// The boards there are.
        known: String,
    },
}
