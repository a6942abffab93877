//! What a desk phone does, sans-IO: hook, dial plan, keys, tones, ring, lamps, display, lines.
//! `handle(now, Input)`, then drain `poll()`, then `next_timeout()`.
//!
//! ```text
//!  fingers (keys, paths)  \                        / commands to the engine, at once
//!  engine (lines)          > Phone: state, timers <
//!  time (timer)           /                        \ outputs: ring, tones, lamps, microphone, screen,
//!                                                    worked out anew from the state, said when changed
//! ```
//!
//! Invariants:
//! - No path open, no microphone, no tone, nothing in the ear; the ring only then.
//! - The microphone goes to at most one session: the one of the call in front, connected and not on hold.
//! - A user's wish (mute, hold, end) takes effect here at once and is shown as the cloud's once the cloud says so.
//! - No name and no number is in any `Debug`.
//!
//! SEAM: `Input`, `Output`, `Screen`, `PhoneConfig`, `Phone`.

mod actions;
mod calls;
mod dial;
mod digit_map;
mod io;
mod keys;
mod lines;
mod list;
mod machine;
mod number;
mod outcomes;
mod outputs;
mod paths;
mod plan;
pub mod render;
mod screen;
mod settings;
mod soft;
mod strings;
mod timer;
mod transfer;
mod wrap_up;

pub use digit_map::{DigitMap, DigitMapError};
pub use io::{
    Input, Invitation, Login, Look, Notice, NoticeArea, Output, Screen, SoftKind, StationEntry,
    Wish,
};
pub use machine::Phone;
pub use plan::DialPlan;
pub use screen::failure_screen;
pub use settings::{AudioPath, AudioSettings, PathVolumes, PhoneConfig};

#[cfg(test)]
mod tests;
