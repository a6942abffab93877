//! Keys: from contacts to presses, long presses and releases.

mod keys;

pub use keys::{KeyTiming, Keys, MAX_HELD};
