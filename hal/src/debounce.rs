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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_counts_from_its_first_reading() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut contact = Debouncer::new(false, Duration::from_millis(5));
        assert_eq!(contact.update(true, ms(0)), None);
        assert_eq!(contact.next_deadline(), Some(ms(5)));
        assert_eq!(contact.update(false, ms(2)), None);
        assert_eq!(contact.next_deadline(), None);
        assert_eq!(contact.update(true, ms(3)), None);
        assert_eq!(contact.update(true, ms(7)), None);
        assert_eq!(
            contact.update(true, ms(8)),
            Some(Change {
                value: true,
                since: ms(3)
            })
        );
        assert!(contact.stable());
    }

    #[test]
    fn another_candidate_starts_anew() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut dial = Debouncer::new(0, Duration::from_millis(5));
        assert_eq!(dial.update(1, ms(0)), None);
        assert_eq!(dial.update(2, ms(3)), None);
        assert_eq!(dial.update(2, ms(7)), None);
        let change = Change {
            value: 2,
            since: ms(3),
        };
        assert_eq!(dial.update(2, ms(8)), Some(change));
    }

    #[test]
    fn without_a_window_every_reading_counts() {
        let now = Instant::now();
        let mut contact = Debouncer::new(0, Duration::ZERO);
        assert_eq!(
            contact.update(1, now),
            Some(Change {
                value: 1,
                since: now
            })
        );
        assert_eq!(
            contact.update(2, now),
            Some(Change {
                value: 2,
                since: now
            })
        );
        assert_eq!(contact.update(2, now), None);
    }

    proptest! {
        /// Told changes alternate, are at least a window apart, and only what was read for a whole
        /// window is told.
        #[test]
        fn no_bounce_is_ever_told(readings in prop::collection::vec((any::<bool>(), 0_u64..8), 0..200)) {
            let window = Duration::from_millis(5);
            let mut contact = Debouncer::new(false, window);
            let mut now = Instant::now();
            let mut same_since = (false, now);
            let mut told = false;
            for (raw, gap) in readings {
                now += Duration::from_millis(gap);
                if raw != same_since.0 {
                    same_since = (raw, now);
                }
                let change = contact.update(raw, now);
                let due = raw != told && now - same_since.1 >= window;
                prop_assert_eq!(change.map(|change| change.value), due.then_some(raw));
                if due {
                    told = raw;
                }
            }
        }
    }
}
