//! Offhook's hardware: traits, events and back ends.
//!
//! The phone above this crate knows keys by their meaning ([`Key`]), lamps by
//! their meaning ([`Lamp`]), one frame of picture ([`Framebuffer`]) and one
//! period of sound ([`audio::Period`]). Which pin, bus or sound card stands
//! behind each of them is a board's business (`offhook-board`) and a back end's.
//!
//! ```text
//!        HalEvent             Lamp, LampState       Framebuffer          Period
//!           ^                        |                   |                 ^|
//!   Keypad  HookSwitch             Lamps              Display          DuplexAudio
//!      ^      ^                      |                   |                 ||
//!   InputPin, OutputPin           PinLamps         DriverDisplay      ALSA, WAV files
//! ```
//!
//! On real hardware, [`front::Front`] works keypad, hook switch and lamps in one thread (pins by [`gpio`]: rppal or
//! gpiocdev; input devices by evdev).
//!
//! Invariants:
//! - No call logic and no pin number lives here.
//! - What interprets pins ([`debounce`], [`keypad`], [`hook`], [`lamp`]) is pure:
//!   it takes the time as an argument, reads `embedded-hal` pins, and owns no
//!   thread. It tells when it wants to be called again, so that an idle phone sleeps.
//! - Every buffer has a capacity known at compile time, and the type says what
//!   happens when it is full.

pub mod audio;
pub mod debounce;
pub mod display;
pub mod event;
pub mod front;
pub mod gpio;
pub mod hook;
pub mod input;
pub mod keypad;
pub mod lamp;
mod names;
pub mod screen;
pub mod virtual_board;

pub use display::{Display, DisplayError, DriverDisplay, Framebuffer};
pub use event::{HalEvent, HookState, Key, KeyAction};
pub use input::{Input, Wake};
pub use lamp::{Lamp, LampError, LampState, Lamps, PinLamps};
pub use names::UnknownName;
