//! Keys: from contacts to presses, long presses and releases.
//!
//! [`MatrixPins`] reads the contacts, [`Contacts`] knows which of them can be trusted, [`Keypad`]
//! debounces them, and [`Keys`] makes presses of them.

mod contacts;
mod keys;
mod matrix;
mod scanner;
#[cfg(test)]
mod tests;

pub use contacts::Contacts;
pub use keys::{KeyTiming, Keys, MAX_HELD};
pub use matrix::{MatrixError, MatrixPins};
pub use scanner::{Keypad, KeypadConfig, Labels};

/// The most rows a matrix can have.
pub const MAX_ROWS: usize = 8;
/// The most columns a matrix can have.
pub const MAX_COLUMNS: usize = 8;
