//! What the front's thread does, without the thread: which part is open, when it is looked at, and what it told.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::part::{LampStates, Part, Plan, Reason};
use super::{FrontEvent, FrontSpec, input_device, part};
use crate::input::earliest;
use crate::{HalEvent, HookState};

pub(super) type Sink<'a> = dyn FnMut(FrontEvent) + 'a;
/// Opens a part at the time given; the hook's state is what was told last.
pub(super) type Open = Box<dyn FnMut(Instant, HookState) -> Result<Box<dyn Part>, Reason>>;

/// Pause after an edge before the next one is looked at: the most a bouncing contact can wake is 1000 times a second.
const REST: Duration = Duration::from_millis(1);
/// Edges of one part within a second from which on they are a storm (a line without its pull-up picks up the mains).
const STORM_BEGINS: u32 = 200;
/// Edges within a second below which a storm is over.
const STORM_ENDS: u32 = 20;
/// Pause after an edge in a storm.
const STORM_REST: Duration = Duration::from_millis(20);
/// Pauses before a part that failed is tried again: the first, doubling up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// What a front has counted since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrontCounters {
    /// How often the thread woke.
    pub wakes: u64,
    /// How often it woke for edges.
    pub edges: u64,
    /// Edge storms.
    pub storms: u64,
    /// How often a part could not be opened, or failed.
    pub troubles: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct SharedCounters(Arc<[AtomicU64; 4]>);

impl SharedCounters {
    pub(super) fn read(&self) -> FrontCounters {
        let [wakes, edges, storms, troubles] = &*self.0;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FrontCounters {
            wakes: load(wakes),
            edges: load(edges),
            storms: load(storms),
            troubles: load(troubles),
        }
    }

    fn count(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }
}

const WAKES: usize = 0;
const EDGES: usize = 1;
const STORMS: usize = 2;
const TROUBLES: usize = 3;

pub(super) struct Engine {
    slots: Vec<Slot>,
    /// What the hook told last.
    hook: HookState,
    counters: SharedCounters,
}

struct Slot {
    name: String,
    open: Open,
    state: State,
    /// Trouble that was told and is not over.
    told: Option<Reason>,
    retry_after: Duration,
}

enum State {
    Closed {
        retry_at: Option<Instant>,
    },
    Open {
        part: Box<dyn Part>,
        plan: Plan,
        pace: Pace,
        /// Its file descriptors are being waited for.
        watched: bool,
    },
}

/// The parts of a front by name.
pub(super) fn parts(spec: &FrontSpec) -> Vec<(String, Open)> {
    let mut parts: Vec<(String, Open)> = Vec::new();
    if let Some(lines) = spec.lines.clone() {
        let open = move |now, hook| part::open(&lines, hook, now);
        parts.push(("GPIO lines".into(), Box::new(open)));
    }
    for device in spec.devices.clone() {
        let name = format!("input device \"{}\"", device.device);
        let open = move |_, hook| input_device::open(&device, hook);
        parts.push((name, Box::new(open)));
    }
    parts
}

impl Engine {
    pub(super) fn of_parts(parts: Vec<(String, Open)>, counters: SharedCounters) -> Self {
        let slots = parts.into_iter().map(|(name, open)| Slot {
            name,
            open,
            state: State::Closed { retry_at: None },
            told: None,
            retry_after: RETRY_FIRST,
        });
        Self {
            slots: slots.collect(),
            hook: HookState::Resting,
            counters,
        }
    }

    /// Opens what is due, and looks at what is open. `ready` is about the last [`Engine::fds`].
    pub(super) fn turn(
        &mut self,
        now: Instant,
        ready: &[bool],
        lamps: LampStates,
        sink: &mut Sink<'_>,
    ) {
        self.counters.count(WAKES);
        let mut ready = ready.iter().copied();
        for slot in &mut self.slots {
            let count = slot.fds().count();
            let edges = ready.by_ref().take(count).fold(false, |any, one| any | one);
            let before = self.hook;
            let hook = &mut self.hook;
            let emit = &mut |event| {
                if let HalEvent::Hook(state) = event {
                    *hook = state;
                }
                sink(FrontEvent::Hal(event));
            };
            let outcome = slot.turn(now, edges, lamps, before, emit, &self.counters);
            slot.tell(outcome, sink);
        }
    }

    /// Decides at `now` what to wait for.
    pub(super) fn watch(&mut self, now: Instant) {
        for slot in &mut self.slots {
            if let State::Open {
                plan,
                pace,
                watched,
                ..
            } = &mut slot.state
            {
                *watched = plan.edges && pace.resting_until.is_none_or(|until| until <= now);
            }
        }
    }

    /// What to wait for.
    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.slots.iter().flat_map(Slot::fds).collect()
    }

    /// When to turn at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.slots.iter().map(Slot::deadline).fold(None, earliest)
    }

    /// Gives the hardware up.
    pub(super) fn close(&mut self, now: Instant, sink: &mut Sink<'_>) {
        for slot in &mut self.slots {
            slot.close(now, None, &mut |event| sink(FrontEvent::Hal(event)));
        }
    }
}

/// What a turn of a slot came to.
enum Outcome {
    /// It is closed, and not yet due again.
    Waits,
    Works,
    Failed(Reason),
}

impl Slot {
    fn turn(
        &mut self,
        now: Instant,
        edges: bool,
        lamps: LampStates,
        hook: HookState,
        emit: &mut dyn FnMut(HalEvent),
        counters: &SharedCounters,
    ) -> Outcome {
        if let State::Closed { retry_at } = &self.state {
            if retry_at.is_some_and(|at| now < at) {
                return Outcome::Waits;
            }
            match (self.open)(now, hook) {
                Ok(part) => {
                    self.state = State::Open {
                        part,
                        plan: Plan {
                            at: None,
                            edges: true,
                        },
                        pace: Pace::default(),
                        watched: false,
                    }
                }
                Err(reason) => return self.failed(now, reason, emit, counters),
            }
        }
        let State::Open {
            part, plan, pace, ..
        } = &mut self.state
        else {
            return Outcome::Waits;
        };
        if edges {
            counters.count(EDGES);
            if pace.edge(now) {
                counters.count(STORMS);
                tracing::warn!(
                    part = self.name,
                    "a contact changes without end: check its wiring and its pull-up; it is looked at less often until \
                     it is quiet"
                );
            }
        }
        match part.turn(now, edges, lamps, emit) {
            Ok(next) => {
                *plan = next;
                self.retry_after = RETRY_FIRST;
                Outcome::Works
            }
            Err(reason) => self.failed(now, reason, emit, counters),
        }
    }

    fn failed(
        &mut self,
        now: Instant,
        reason: Reason,
        emit: &mut dyn FnMut(HalEvent),
        counters: &SharedCounters,
    ) -> Outcome {
        counters.count(TROUBLES);
        self.close(now, Some(now + self.retry_after), emit);
        self.retry_after = (self.retry_after * 2).min(RETRY_LAST);
        Outcome::Failed(reason)
    }

    fn close(&mut self, now: Instant, retry_at: Option<Instant>, emit: &mut dyn FnMut(HalEvent)) {
        let closed = State::Closed { retry_at };
        if let State::Open { mut part, .. } = std::mem::replace(&mut self.state, closed) {
            part.close(now, emit);
        }
    }

    /// Trouble is told once, and again when it is another one.
    fn tell(&mut self, outcome: Outcome, sink: &mut Sink<'_>) {
        match outcome {
            Outcome::Failed(message) if self.told.as_ref() != Some(&message) => {
                self.told = Some(message.clone());
                sink(FrontEvent::Trouble {
                    part: self.name.clone(),
                    message,
                });
            }
            Outcome::Works if self.told.take().is_some() => sink(FrontEvent::Recovered {
                part: self.name.clone(),
            }),
            Outcome::Failed(_) | Outcome::Works | Outcome::Waits => {}
        }
    }

    fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let fds = match &self.state {
            State::Open {
                part,
                watched: true,
                ..
            } => part.fds(),
            State::Open { .. } | State::Closed { .. } => Vec::new(),
        };
        fds.into_iter()
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Closed { retry_at } => *retry_at,
            State::Open {
                plan,
                pace,
                watched,
                ..
            } => {
                let rested = pace.resting_until.filter(|_| plan.edges && !watched);
                earliest(plan.at, rested)
            }
        }
    }
}

/// How fast edges are taken.
#[derive(Debug, Default)]
struct Pace {
    /// Begin of the second that `edges` counts.
    second: Option<Instant>,
    edges: u32,
    storm: bool,
    /// Edges are not looked at before.
    resting_until: Option<Instant>,
}

impl Pace {
    /// An edge came; tells whether a storm begins with it.
    fn edge(&mut self, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        if self
            .second
            .is_none_or(|begin| now.saturating_duration_since(begin) >= second)
        {
            self.storm &= self.edges >= STORM_ENDS;
            self.second = Some(now);
            self.edges = 0;
        }
        self.edges += 1;
        let begins = !self.storm && self.edges >= STORM_BEGINS;
        self.storm |= begins;
        self.resting_until = Some(now + if self.storm { STORM_REST } else { REST });
        begins
    }
}
