//! The hook switch: debounced, with a flash window.

use std::time::{Duration, Instant};

use embedded_hal::digital::InputPin;
use thiserror::Error;

use crate::debounce::Debouncer;
use crate::input::{Input, Wake, earliest};
use crate::{HalEvent, HookState};

/// How the hook switch is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookTiming {
    /// The switch must keep a new state for this long.
    pub debounce: Duration,
    /// Tapping the cradle counts as a flash within this window; none: every rest is a hang-up,
    /// told at once.
    pub flash: Option<FlashWindow>,
}

impl Default for HookTiming {
    /// 20 ms of debouncing (a cradle bounces longer than a key), no flash.
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(20),
            flash: None,
        }
    }
}

/// How long a cradle must be tapped to be a flash.
///
/// The price of a flash is that a real hang-up is told only when the window is over. A rest
/// shorter than `min` is taken for a bump of the handset and says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashWindow {
    /// Shortest rest that is a flash.
    pub min: Duration,
    /// Longest rest that is a flash.
    pub max: Duration,
}

impl Default for FlashWindow {
    /// 100 to 800 ms: covers what exchanges in use accept (the ETSI ES 200 659 line break of 80 to
    /// 130 ms, the North American 300 to 1000 ms), as far as it does not feel like a slow hang-up.
    fn default() -> Self {
        Self {
            min: Duration::from_millis(100),
            max: Duration::from_millis(800),
        }
    }
}

/// The hook switch without its pin: states in, events out.
///
/// It starts out as resting; a handset that is lifted at the start is told as soon as it has
/// been debounced.
#[derive(Debug, Clone)]
pub struct Hook {
    timing: HookTiming,
    contact: Debouncer<HookState>,
    told: HookState,
    /// The handset came to rest then, and may yet turn out to have flashed.
    resting_since: Option<Instant>,
}

impl Hook {
    /// The handset rests.
    pub const fn new(timing: HookTiming) -> Self {
        Self {
            timing,
            contact: Debouncer::new(HookState::Resting, timing.debounce),
            told: HookState::Resting,
            resting_since: None,
        }
    }

    /// The state as it was told last.
    pub const fn state(&self) -> HookState {
        self.told
    }

    /// Takes the reading `raw` of the time `now`; call it at every edge and at each deadline.
    pub fn update(&mut self, raw: HookState, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        let change = self.contact.update(raw, now);
        let lifted_at = change
            .filter(|change| change.value == HookState::Lifted)
            .map(|c| c.since);
        if let (Some(rested), Some(flash)) = (self.resting_since, self.timing.flash) {
            match lifted_at {
                Some(lifted) if lifted.saturating_duration_since(rested) <= flash.max => {
                    self.resting_since = None;
                    if lifted.saturating_duration_since(rested) >= flash.min {
                        emit(HalEvent::HookFlash);
                    }
                    return;
                }
                Some(_) => self.tell(HookState::Resting, emit),
                None if now >= self.hang_up_at(rested, flash) => {
                    self.tell(HookState::Resting, emit);
                }
                None => {}
            }
        }
        let Some(change) = change else { return };
        if change.value == HookState::Resting && self.timing.flash.is_some() {
            self.resting_since = Some(change.since);
            // A poll that comes very late finds the window already over.
            self.advance(now, emit);
        } else {
            self.tell(change.value, emit);
        }
    }

    /// When [`Hook::update`] must be called again even without an edge.
    pub fn next_deadline(&self) -> Option<Instant> {
        let hang_up = self
            .resting_since
            .zip(self.timing.flash)
            .map(|(rested, flash)| self.hang_up_at(rested, flash));
        earliest(self.contact.next_deadline(), hang_up)
    }

    fn advance(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        if let (Some(rested), Some(flash)) = (self.resting_since, self.timing.flash)
            && now >= self.hang_up_at(rested, flash)
        {
            self.tell(HookState::Resting, emit);
        }
    }

    /// A lift within the window is known only once it is debounced.
    fn hang_up_at(&self, rested: Instant, flash: FlashWindow) -> Instant {
        rested + flash.max + self.timing.debounce
    }

    fn tell(&mut self, state: HookState, emit: &mut dyn FnMut(HalEvent)) {
        self.resting_since = None;
        if self.told != state {
            self.told = state;
            emit(HalEvent::Hook(state));
        }
    }
}

/// The hook switch's pin could not be read.
#[derive(Debug, Error)]
#[error(
    "the hook switch could not be read ({reason}); check its line in the board file and that no \
     other program holds it"
)]
pub struct HookError {
    /// The driver's own words.
    pub reason: String,
}

/// A hook switch on a pin.
#[derive(Debug)]
pub struct HookSwitch<P> {
    pin: P,
    /// The pin's level while the handset is lifted.
    lifted_is_high: bool,
    hook: Hook,
}

impl<P: InputPin> HookSwitch<P> {
    /// Reads `pin`, which is high (`lifted_is_high`) or low while the handset is lifted.
    pub const fn new(pin: P, lifted_is_high: bool, timing: HookTiming) -> Self {
        Self {
            pin,
            lifted_is_high,
            hook: Hook::new(timing),
        }
    }

    /// The state as it was told last.
    pub const fn state(&self) -> HookState {
        self.hook.state()
    }
}

impl<P: InputPin> Input for HookSwitch<P> {
    type Error = HookError;

    fn poll(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) -> Result<Wake, Self::Error> {
        let high = self.pin.is_high().map_err(|error| HookError {
            reason: format!("{error:?}"),
        })?;
        let raw = if high == self.lifted_is_high {
            HookState::Lifted
        } else {
            HookState::Resting
        };
        self.hook.update(raw, now, emit);
        Ok(Wake::EdgeOr(self.hook.next_deadline()))
    }
}
