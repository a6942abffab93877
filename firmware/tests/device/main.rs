//! The phone's program itself, as a device starts it.
#![forbid(unsafe_code)]

mod bad_input;
mod flash;
mod idle;
mod process;
mod service;
mod two_systems;
mod update;
