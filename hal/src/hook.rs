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
        Self::resume(timing, HookState::Resting)
    }

    /// Goes on after an interruption before which `told` was told last.
    pub const fn resume(timing: HookTiming, told: HookState) -> Self {
        Self {
            timing,
            contact: Debouncer::new(told, timing.debounce),
            told,
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

    /// As [`HookSwitch::new`], after an interruption before which `told` was told last.
    pub const fn resume(pin: P, lifted_is_high: bool, timing: HookTiming, told: HookState) -> Self {
        Self {
            pin,
            lifted_is_high,
            hook: Hook::resume(timing, told),
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

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};
    use proptest::prelude::*;

    use super::*;

    const FLASH: Option<FlashWindow> = Some(FlashWindow {
        min: Duration::from_millis(100),
        max: Duration::from_millis(800),
    });

    /// Plays a script: `L` lifts, `R` rests, a number lets milliseconds pass (the hook is polled at
    /// its deadlines). Returns what was told, with the milliseconds since the start.
    fn play(flash: Option<FlashWindow>, script: &str) -> String {
        let start = Instant::now();
        let mut hook = Hook::new(HookTiming {
            debounce: Duration::from_millis(20),
            flash,
        });
        let (mut now, mut raw) = (start, HookState::Resting);
        let mut told = Vec::new();
        let mut tell = |now: Instant, event| {
            let word = match event {
                HalEvent::Hook(HookState::Lifted) => "lifted",
                HalEvent::Hook(HookState::Resting) => "resting",
                HalEvent::HookFlash => "flash",
                other => panic!("{other:?}"),
            };
            told.push(format!("{word}@{}", (now - start).as_millis()));
        };
        for step in script.split_whitespace() {
            match step {
                "L" => raw = HookState::Lifted,
                "R" => raw = HookState::Resting,
                ms => {
                    let end = now + Duration::from_millis(ms.parse().unwrap());
                    while let Some(due) = hook.next_deadline().filter(|due| *due <= end) {
                        now = due.max(now);
                        hook.update(raw, now, &mut |event| tell(now, event));
                    }
                    now = end;
                    continue;
                }
            }
            hook.update(raw, now, &mut |event| tell(now, event));
        }
        told.join(" ")
    }

    #[test]
    fn without_a_flash_window_a_hang_up_is_told_at_once() {
        for (script, expected) in [
            ("L 100 R 100", "lifted@20 resting@120"),
            ("L 5 R 5 L 5 R 5 L 100", "lifted@40"),
            ("L 10 R 100", ""),
            ("L 100 R 10 L 100", "lifted@20"),
            ("L 100 R 300 L 100", "lifted@20 resting@120 lifted@420"),
        ] {
            assert_eq!(play(None, script), expected, "{script}");
        }
    }

    #[test]
    fn with_a_flash_window_a_rest_is_a_bump_a_flash_or_a_hang_up() {
        for (script, expected) in [
            // A bump.
            ("L 100 R 60 L 2000", "lifted@20"),
            ("L 100 R 99 L 2000", "lifted@20"),
            // A flash, told when the lift is debounced.
            ("L 100 R 100 L 2000", "lifted@20 flash@220"),
            ("L 100 R 800 L 2000", "lifted@20 flash@920"),
            (
                "L 100 R 300 L 300 R 300 L 300",
                "lifted@20 flash@420 flash@1020",
            ),
            // A hang-up, told when the window is over.
            ("L 100 R 2000", "lifted@20 resting@920"),
            ("L 100 R 801 L 2000", "lifted@20 resting@920 lifted@921"),
            ("L 100 R 1500 L 2000", "lifted@20 resting@920 lifted@1620"),
            // Contacts bounce in both directions.
            (
                "L 3 R 3 L 100 R 3 L 3 R 300 L 3 R 3 L 100",
                "lifted@26 flash@438",
            ),
        ] {
            assert_eq!(play(FLASH, script), expected, "{script}");
        }
    }

    #[test]
    fn a_poll_that_comes_too_late_still_tells_the_truth() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut hook = Hook::new(HookTiming {
            debounce: Duration::ZERO,
            flash: FLASH,
        });
        let mut told = Vec::new();
        for (raw, at) in [
            (HookState::Lifted, 0),
            (HookState::Resting, 100),
            // Nobody polled at 900.
            (HookState::Lifted, 5_000),
        ] {
            hook.update(raw, ms(at), &mut |event| told.push(event));
        }
        let expected =
            [HookState::Lifted, HookState::Resting, HookState::Lifted].map(HalEvent::Hook);
        assert_eq!(told, expected);
    }

    #[test]
    fn the_pin_is_read_by_its_polarity() {
        for (lifted_is_high, lifted) in [(true, State::High), (false, State::Low)] {
            let mut pin = Mock::new(&[
                Transaction::get(lifted),
                Transaction::get(lifted).with_error(MockError::Io(std::io::ErrorKind::Other)),
            ]);
            let timing = HookTiming {
                debounce: Duration::ZERO,
                flash: None,
            };
            let mut switch = HookSwitch::new(pin.clone(), lifted_is_high, timing);
            let mut told = Vec::new();
            let now = Instant::now();
            let wake = switch.poll(now, &mut |event| told.push(event)).unwrap();
            assert_eq!(
                (wake, switch.state()),
                (Wake::EdgeOr(None), HookState::Lifted)
            );
            assert_eq!(told, [HalEvent::Hook(HookState::Lifted)]);
            let error = switch.poll(now, &mut |_| {}).unwrap_err().to_string();
            assert!(
                error.contains("the hook switch could not be read"),
                "{error}"
            );
            pin.done();
        }
    }

    proptest! {
        /// Whatever the contact does: lifts and rests alternate, a flash comes only while lifted,
        /// and in the end the phone knows where the handset is.
        #[test]
        fn the_story_is_always_consistent(
            steps in prop::collection::vec((any::<bool>(), 0_u64..1200), 0..60),
            with_flash: bool,
        ) {
            let flash = FLASH.filter(|_| with_flash);
            let steps_said = steps.iter().map(|(lifted, ms)| match lifted {
                true => format!("L {ms}"),
                false => format!("R {ms}"),
            });
            let script = steps_said.chain(["2000".into()]).collect::<Vec<_>>().join(" ");
            let told = play(flash, &script);
            let mut state = HookState::Resting;
            for event in told.split_whitespace() {
                match event.split_once('@').unwrap().0 {
                    "lifted" => {
                        prop_assert_eq!(state, HookState::Resting);
                        state = HookState::Lifted;
                    }
                    "resting" => {
                        prop_assert_eq!(state, HookState::Lifted);
                        state = HookState::Resting;
                    }
                    _ => {
                        prop_assert!(with_flash);
                        prop_assert_eq!(state, HookState::Lifted);
                    }
                }
            }
            let really = steps.last().is_some_and(|(lifted, _)| *lifted);
            prop_assert_eq!(state == HookState::Lifted, really);
        }
    }
}
