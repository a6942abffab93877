//! From debounced contacts to presses, long presses and releases.

use std::time::{Duration, Instant};

use heapless::Vec;

use crate::{HalEvent, Key, KeyAction};

/// The most keys that are followed at once. A press beyond is ignored, and its release with it.
pub const MAX_HELD: usize = 33;
const _: () = assert!(
    MAX_HELD == Key::ALL.len(),
    "every key of a phone can be held at once"
);

/// The times that make a press long, and a key stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTiming {
    /// Held for this long, a key tells [`KeyAction::LongPressed`] once.
    pub long_press: Duration,
    /// Held for this long, a key is taken for stuck: [`HalEvent::KeyStuck`].
    pub stuck: Duration,
}

impl Default for KeyTiming {
    /// 0.8 s for a long press; 60 s for stuck, longer than any digit anybody sends.
    fn default() -> Self {
        Self {
            long_press: Duration::from_millis(800),
            stuck: Duration::from_mins(1),
        }
    }
}

/// The keys that are down, and for how long.
///
/// For whoever has debounced presses and releases: the matrix, the kernel's input events, a
/// page. A second press without a release, and a release without a press, say nothing, so that
/// each [`KeyAction::Pressed`] has exactly one [`KeyAction::Released`].
#[derive(Debug, Clone)]
pub struct Keys {
    timing: KeyTiming,
    held: Vec<Held, MAX_HELD>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    key: Key,
    since: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pressed,
    LongPressed,
    Stuck,
}

impl Keys {
    /// No key is down.
    pub const fn new(timing: KeyTiming) -> Self {
        Self {
            timing,
            held: Vec::new(),
        }
    }

    /// `key` went down.
    pub fn press(&mut self, key: Key, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        self.advance(now, emit);
        if self.held.iter().any(|held| held.key == key) {
            return;
        }
        if self
            .held
            .push(Held {
                key,
                since: now,
                stage: Stage::Pressed,
            })
            .is_ok()
        {
            emit(HalEvent::Key {
                key,
                action: KeyAction::Pressed,
            });
        }
    }

    /// `key` came up.
    pub fn release(&mut self, key: Key, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        self.advance(now, emit);
        let Some(index) = self.held.iter().position(|held| held.key == key) else {
            return;
        };
        if self.held.remove(index).stage != Stage::Stuck {
            emit(HalEvent::Key {
                key,
                action: KeyAction::Released,
            });
        }
    }

    /// All keys came up, or can no longer be seen.
    pub fn release_all(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        while let Some(held) = self.held.first() {
            self.release(held.key, now, emit);
        }
    }

    /// Tells the long presses and stuck keys that are due at `now`.
    pub fn advance(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        for held in &mut self.held {
            let down_for = now.saturating_duration_since(held.since);
            if held.stage == Stage::Pressed && down_for >= self.timing.long_press {
                held.stage = Stage::LongPressed;
                emit(HalEvent::Key {
                    key: held.key,
                    action: KeyAction::LongPressed,
                });
            }
            if held.stage != Stage::Stuck && down_for >= self.timing.stuck {
                held.stage = Stage::Stuck;
                emit(HalEvent::Key {
                    key: held.key,
                    action: KeyAction::Released,
                });
                emit(HalEvent::KeyStuck(held.key));
            }
        }
    }

    /// When [`Keys::advance`] has something to tell next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.held
            .iter()
            .filter_map(|held| match held.stage {
                Stage::Pressed => Some(held.since + self.timing.long_press.min(self.timing.stuck)),
                Stage::LongPressed => Some(held.since + self.timing.stuck),
                Stage::Stuck => None,
            })
            .min()
    }

    /// The keys that are down, stuck ones among them, in the order they went down.
    pub fn held(&self) -> impl Iterator<Item = Key> + '_ {
        self.held.iter().map(|held| held.key)
    }
}
