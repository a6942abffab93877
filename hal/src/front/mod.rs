//! The front of a real phone: keypad, hook switch and lamps on GPIO lines or input devices, worked by one thread.
//!
//! The thread sleeps until an edge comes, a deadline is due, or a lamp is to change; an idle phone is not woken at
//! all. What cannot be opened, or fails, is told once ([`FrontEvent::Trouble`]) and tried again after 1 s, 2 s, 4 s
//! and so on up to 30 s: the phone runs without its keys meanwhile, and gets them back by itself.

mod engine;
mod input_device;
mod part;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::gpio::{GpioSpec, Pull};
use crate::hook::HookTiming;
use crate::keypad::{KeyTiming, KeypadConfig};
use crate::{HalEvent, Key, Lamp, LampError, LampState, Lamps};

pub use engine::FrontCounters;
pub use input_device::{InputCode, NoInputCode};

use engine::{Engine, Sink};
use wait::{Clock, Poll, Waker};

/// Pause between two readings where the hardware tells no edges: short enough for the shortest tap of a key (about
/// 50 ms), long enough for an emulated processor.
pub const POLL_WITHOUT_EDGES: Duration = Duration::from_millis(20);

/// What a phone's front has, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontSpec {
    /// What is on GPIO lines.
    pub lines: Option<LinesPart>,
    /// What the kernel's input devices tell.
    pub devices: Vec<InputDevicePart>,
}

impl FrontSpec {
    /// There is nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_none() && self.devices.is_empty()
    }
}

/// What is on GPIO lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinesPart {
    /// The chip.
    pub gpio: GpioSpec,
    /// The keypad.
    pub keypad: Option<MatrixSpec>,
    /// The hook switch.
    pub hook: Option<HookSpec>,
    /// The lamps.
    pub lamps: Vec<LampSpec>,
}

/// A keypad in rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixSpec {
    /// Lines that are read.
    pub row_lines: Vec<u32>,
    /// Lines that are driven.
    pub column_lines: Vec<u32>,
    /// How long rows need to follow a column.
    pub settle: Duration,
    /// Labels and timing.
    pub config: KeypadConfig,
}

/// A hook switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookSpec {
    /// Its line.
    pub line: u32,
    /// The line is high while the handset is lifted.
    pub lifted_is_high: bool,
    /// Its resistor.
    pub pull: Pull,
    /// Debouncing and flash window.
    pub timing: HookTiming,
}

/// A lamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LampSpec {
    /// Which.
    pub lamp: Lamp,
    /// Its line.
    pub line: u32,
    /// It is lit while the line is high.
    pub lit_is_high: bool,
}

/// Keys and a hook that the kernel drives: `gpio-matrix-keypad`, `gpio-keys`, a USB handset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDevicePart {
    /// The device's name, or its physical path, as `/proc/bus/input/devices` shows them.
    pub device: String,
    /// What its keys mean.
    pub keys: Vec<(InputCode, Key)>,
    /// Long press and stuck key.
    pub timing: KeyTiming,
    /// Its hook switch.
    pub hook: Option<InputHook>,
}

/// A hook switch of an input device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputHook {
    /// The key or switch.
    pub code: InputCode,
    /// It is on while the handset is lifted.
    pub lifted_is_on: bool,
    /// Debouncing and flash window.
    pub timing: HookTiming,
}

/// Opens each part, looks at it once and lets go of it again: for a check of the hardware. Names each part, and what is
/// wrong with it.
pub fn probe(spec: &FrontSpec) -> Vec<(String, Result<(), String>)> {
    let now = std::time::Instant::now();
    let looked_at = engine::parts(spec).into_iter().map(|(name, mut open)| {
        let dark = Default::default();
        let result = open(now, crate::HookState::Resting)
            .and_then(|mut part| part.turn(now, false, dark, &mut |_| {}));
        (name, result.map(drop))
    });
    looked_at.collect()
}

/// What a [`Front`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrontEvent {
    /// The user did something.
    Hal(HalEvent),
    /// A part does not work; it is tried again without end.
    Trouble {
        /// Which part: "the GPIO lines", or an input device's name.
        part: String,
        /// What is wrong and what to do, for the log and `offhook check`.
        message: String,
    },
    /// A part that was in trouble works.
    Recovered {
        /// Which part.
        part: String,
    },
}

/// A phone's front, running. Ends with this handle.
#[derive(Debug)]
pub struct Front {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    lamps: Mutex<[LampState; Lamp::ALL.len()]>,
    stop: AtomicBool,
    waker: Waker,
    counters: engine::SharedCounters,
}

impl Front {
    /// Starts working what `spec` says. `sink` is called by the front's own thread, and should put the event into a
    /// queue. Hardware that is missing is no error here: it is told.
    pub fn start(
        spec: FrontSpec,
        sink: impl FnMut(FrontEvent) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (waker, woken) = wait::waker()?;
        let shared = Arc::new(Shared {
            lamps: Mutex::default(),
            stop: AtomicBool::new(false),
            waker,
            counters: engine::SharedCounters::default(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("offhook-front".into())
            .stack_size(256 * 1024)
            .spawn(move || {
                let mut sink = sink;
                let mut engine = Engine::of_parts(engine::parts(&spec), of_thread.counters.clone());
                run(&mut engine, &of_thread, &mut Poll::new(woken), &mut sink);
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Its lamps.
    pub fn lamps(&self) -> FrontLamps {
        FrontLamps(Arc::clone(&self.shared))
    }

    /// What it has counted since the start.
    pub fn counters(&self) -> FrontCounters {
        self.shared.counters.read()
    }
}

impl Drop for Front {
    /// Waits for the thread, so that its lines are free: it never waits for anything long.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been reported by itself.
            let _ = thread.join();
        }
    }
}

/// The lamps of a [`Front`]. What is set while the hardware is away shows when it is back.
#[derive(Debug, Clone)]
pub struct FrontLamps(Arc<Shared>);

impl Lamps for FrontLamps {
    fn set(&mut self, lamp: Lamp, state: LampState) -> Result<(), LampError> {
        let index = Lamp::ALL.iter().position(|known| *known == lamp);
        let mut lamps = self.0.lamps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = index.and_then(|index| lamps.get_mut(index))
            && *shown != state
        {
            *shown = state;
            drop(lamps);
            self.0.waker.wake();
        }
        Ok(())
    }
}

/// The thread: turn, wait, and again until told to stop.
fn run(engine: &mut Engine, shared: &Shared, clock: &mut dyn Clock, sink: &mut Sink<'_>) {
    let mut ready = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let lamps = *shared.lamps.lock().unwrap_or_else(PoisonError::into_inner);
        engine.turn(clock.now(), &ready, lamps, sink);
        engine.watch(clock.now());
        ready = clock.wait(&engine.fds(), engine.deadline());
    }
    engine.close(clock.now(), sink);
}
