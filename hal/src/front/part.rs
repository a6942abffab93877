//! One piece of the front's hardware that is opened and lost as a whole.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{InputPin, OutputPin};

use super::LinesPart;
use crate::gpio::{self, Edges, HookLineSpec, InputLine, LinesSpec, OutputLine, Settle};
use crate::hook::HookSwitch;
use crate::input::{Input, Wake, earliest};
use crate::keypad::{Keypad, MatrixPins};
use crate::{HalEvent, HookState, Lamp, LampState, Lamps, PinLamps};

/// What went wrong, in words.
pub(super) type Reason = String;

/// The states of all lamps, in the order of [`Lamp::ALL`].
pub(super) type LampStates = [LampState; Lamp::ALL.len()];

/// What a part wants after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// To be turned at this time at the latest.
    pub at: Option<Instant>,
    /// To be turned also when one of its file descriptors has something.
    pub edges: bool,
}

/// A piece of hardware, open.
pub(super) trait Part {
    /// Looks at the hardware, and tells what changed. `edges`: its file descriptors have something.
    fn turn(
        &mut self,
        now: Instant,
        edges: bool,
        lamps: LampStates,
        emit: &mut dyn FnMut(HalEvent),
    ) -> Result<Plan, Reason>;

    /// What tells that there is something to look at.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;

    /// The hardware is given up: no key is down any more.
    fn close(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent));
}

/// Keypad, hook switch and lamps on pins.
pub(super) struct PinPart<R, C, D> {
    pub(super) keypad: Option<Keypad<R, C, D>>,
    pub(super) hook: Option<HookSwitch<R>>,
    pub(super) lamps: PinLamps<C>,
    /// None: the pins are read steadily.
    pub(super) edges: Option<Edges>,
    /// The pause between two readings where there are no edges.
    pub(super) steady: Duration,
}

/// Opens what is on GPIO lines. `hook` is what the hook told last.
pub(super) fn open(
    spec: &LinesPart,
    hook: HookState,
    now: Instant,
) -> Result<Box<dyn Part>, Reason> {
    let lines = LinesSpec {
        rows: spec
            .keypad
            .iter()
            .flat_map(|keypad| keypad.row_lines.clone())
            .collect(),
        columns: spec
            .keypad
            .iter()
            .flat_map(|keypad| keypad.column_lines.clone())
            .collect(),
        hook: spec.hook.map(|hook| HookLineSpec {
            line: hook.line,
            pull: hook.pull,
            debounce: hook.timing.debounce,
        }),
        // Dark at first.
        outputs: spec
            .lamps
            .iter()
            .map(|lamp| (lamp.line, !lamp.lit_is_high))
            .collect(),
    };
    let lines = gpio::open(&spec.gpio, &lines).map_err(|error| error.to_string())?;
    let keypad = spec.keypad.as_ref().map(|keypad| {
        let pins = MatrixPins::new(lines.rows, lines.columns, Settle, keypad.settle)?;
        Ok(Keypad::new(pins, &keypad.config))
    });
    let keypad = keypad
        .transpose()
        .map_err(|error: crate::keypad::MatrixError| error.to_string())?;
    let hook = spec.hook.zip(lines.hook).map(|(spec, line)| {
        let mut timing = spec.timing;
        if line.debounced {
            timing.debounce = Duration::ZERO;
        }
        HookSwitch::resume(line.pin, spec.lifted_is_high, timing, hook)
    });
    let lamps = spec.lamps.iter().zip(lines.outputs);
    let lamps = lamps.map(|(spec, pin)| (spec.lamp, pin, spec.lit_is_high));
    Ok(Box::new(PinPart::<InputLine, OutputLine, Settle> {
        keypad,
        hook,
        lamps: PinLamps::new(lamps, now).map_err(|error| error.to_string())?,
        edges: lines.edges,
        steady: super::POLL_WITHOUT_EDGES,
    }))
}

impl<R: InputPin, C: OutputPin + Send, D: DelayNs> Part for PinPart<R, C, D> {
    fn turn(
        &mut self,
        now: Instant,
        edges: bool,
        states: LampStates,
        emit: &mut dyn FnMut(HalEvent),
    ) -> Result<Plan, Reason> {
        // Before the pins are read, so that an edge that comes after the reading is not forgotten.
        if edges && let Some(told) = &mut self.edges {
            told.drain().map_err(|error| format!("{error:?}"))?;
        }
        for (lamp, state) in Lamp::ALL.into_iter().zip(states) {
            self.lamps
                .set(lamp, state)
                .map_err(|error| error.to_string())?;
        }
        self.lamps.advance(now).map_err(|error| error.to_string())?;
        let mut plan = Plan {
            at: self.lamps.next_deadline(),
            edges: true,
        };
        if let Some(keypad) = &mut self.keypad {
            plan.add(keypad.poll(now, emit).map_err(|error| error.to_string())?);
        }
        if let Some(hook) = &mut self.hook {
            plan.add(hook.poll(now, emit).map_err(|error| error.to_string())?);
        }
        let watched = self.keypad.is_some() || self.hook.is_some();
        if watched && self.edges.is_none() {
            plan.edges = false;
            plan.at = earliest(plan.at, Some(now + self.steady));
        }
        Ok(plan)
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.edges.iter().flat_map(Edges::fds).collect()
    }

    fn close(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        if let Some(keypad) = &mut self.keypad {
            keypad.release_all(now, emit);
        }
    }
}

impl Plan {
    fn add(&mut self, wake: Wake) {
        match wake {
            // Its edges mean nothing; whatever else is on the part is looked at along with it.
            Wake::At(at) => {
                self.at = earliest(self.at, Some(at));
                self.edges = false;
            }
            Wake::EdgeOr(at) => self.at = earliest(self.at, at),
        }
    }
}
