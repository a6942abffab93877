//! What all pin inputs have in common: they are polled, and say when again.

use std::time::Instant;

use crate::HalEvent;

/// When an input wants to be polled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At this time; edges on its pins mean nothing until then (the scanner itself makes them).
    At(Instant),
    /// When an edge comes on one of its pins, or at the given time if that is earlier.
    EdgeOr(Option<Instant>),
}

/// Something made of pins that tells events.
///
/// A back end polls it once at the start, and then whenever [`Wake`] says. Where the kernel
/// gives no edges, it polls at a steady interval instead (5 ms for keys).
pub trait Input {
    /// A pin failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Reads the pins at the time `now`, which never goes back, and tells what changed.
    fn poll(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) -> Result<Wake, Self::Error>;
}

/// The earlier of two deadlines, none meaning never.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
