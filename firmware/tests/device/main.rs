//! The phone's program itself, as a device starts it.
#![forbid(unsafe_code)]

mod bad_input;
mod flash;
mod hardware;
mod idle;
mod pi;
mod process;
mod service;
mod two_systems;
mod update;
