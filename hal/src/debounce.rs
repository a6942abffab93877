//! Debouncing: a contact counts as changed when it kept its new state for a while.

use std::time::{Duration, Instant};

/// Follows one bouncing value.
///
/// A new value is believed once every reading for `window` agreed on it. Time comes from
/// outside; readings may come at any rate, at edges or steadily.
#[derive(Debug, Clone, Copy)]
pub struct Debouncer<T> {
    window: Duration,
    stable: T,
    /// A value other than `stable`, and the time of its first reading.
    candidate: Option<(T, Instant)>,
}

/// A value that became stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T> {
    /// The new value.
    pub value: T,
    /// When it was read first, which is `window` or more ago.
    pub since: Instant,
}

impl<T: Copy + PartialEq> Debouncer<T> {
    /// Starts out with `initial` as the stable value. A window of zero believes every reading.
    pub const fn new(initial: T, window: Duration) -> Self {
        Self {
            window,
            stable: initial,
            candidate: None,
        }
    }

    /// Takes the reading `raw` of the time `now`, and tells when that makes a new value stable.
    pub fn update(&mut self, raw: T, now: Instant) -> Option<Change<T>> {
        if raw == self.stable {
            self.candidate = None;
            return None;
        }
        let since = match self.candidate {
            Some((value, since)) if value == raw => since,
            _ => now,
        };
        if now.saturating_duration_since(since) < self.window {
            self.candidate = Some((raw, since));
            return None;
        }
        self.candidate = None;
        self.stable = raw;
        Some(Change { value: raw, since })
    }

    /// The value believed now.
    pub const fn stable(&self) -> T {
        self.stable
    }

    /// When a reading would make the pending change stable; none if nothing is pending.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.candidate.map(|(_, since)| since + self.window)
    }
}
