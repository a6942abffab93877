//! Keys: from contacts to presses, long presses and releases.

mod keys;

pub use keys::{KeyTiming, Keys, MAX_HELD};

/// The most rows a matrix can have.
pub const MAX_ROWS: usize = 8;
/// The most columns a matrix can have.
pub const MAX_COLUMNS: usize = 8;
