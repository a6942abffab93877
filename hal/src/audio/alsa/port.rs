//! What the exchange of periods needs of one direction of a device.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::format::Hardware;
use crate::audio::Direction;

/// The thread was late: the device had nothing to play, or nowhere to put what it captured.
/// Numbered by Linux alike on every architecture the phone runs on.
pub(super) const EPIPE: i32 = 32;
/// The system slept.
pub(super) const ESTRPIPE: i32 = 86;

/// The highest rate a card may have: no card knows a higher one.
pub(super) const MAX_RATE_HZ: u32 = 192_000;
/// The most frames moved at once: a period of 10 ms at that rate, and what a resampler asks for beyond it.
pub(super) const MAX_FRAMES: usize = 2048;

/// A running device failed; small, so that the real-time thread can hand it about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) direction: Direction,
    pub(super) what: &'static str,
    /// 0 for a time-out.
    pub(super) errno: i32,
}

impl Fault {
    pub(super) const fn is_xrun(self) -> bool {
        self.errno == EPIPE
    }

    pub(super) const fn is_suspend(self) -> bool {
        self.errno == ESTRPIPE
    }
}

/// One direction of an open device. None of it allocates or locks.
pub(super) trait Port: Debug + Send {
    /// The device's name as configured.
    fn name(&self) -> Arc<str>;

    /// What was agreed with it. Its numbers of frames are at its own rate, as everywhere here.
    fn hardware(&self) -> Hardware;

    /// Empties its buffer and makes it ready to start.
    fn prepare(&self) -> Result<(), Fault>;

    /// Starts it, unless it runs already.
    fn start(&self) -> Result<(), Fault>;

    /// Stops it at once. A device that is gone has stopped as well.
    fn drop_frames(&self);

    /// Wakes a suspended device. One that cannot continue is prepared anew by the caller anyway.
    fn resume(&self, timeout: Duration);

    /// The fault of a device that was unplugged.
    fn gone(&self) -> Option<Fault>;

    /// Frames between the thread and the air: captured but not read, or written but not played.
    fn delay(&self) -> Result<u32, Fault>;

    /// Frames written that the device has not taken yet; unlike [`Port::delay`], without what lies behind its buffer.
    fn queued(&self) -> Result<u32, Fault>;

    /// Waits until poll says that it is time to write.
    fn wait_for_room(&self, timeout: Duration) -> Result<(), Fault>;

    /// Blocks until all of `samples` have been captured. At most [`MAX_FRAMES`].
    fn read(&mut self, samples: &mut [f32], timeout: Duration) -> Result<(), Fault>;

    /// Blocks until all of `samples` have been queued. At most [`MAX_FRAMES`].
    fn write(&mut self, samples: &[f32], timeout: Duration) -> Result<(), Fault>;
}
