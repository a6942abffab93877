//! Text that must never reach a log: tokens, phone numbers, people's names.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A token, a phone number, a name or a JID that contains one. `Debug` hides it and there is no `Display`:
/// whoever needs the text says so with [`Private::expose`].
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(String);

impl Private {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the wire, the display or the local API; never for a log or an error message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(empty)"
        } else {
            "(private)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Private;

    #[test]
    fn debug_never_shows_the_text() {
        let shown = format!("{:?}", Private::from("+13175550100"));
        assert_eq!(shown, "(private)");
    }
}
