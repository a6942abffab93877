//! The phone against the simulator, through the front door: hook and keys in, sound and wire out.

mod again;
mod bad_input;
mod calls_in;
mod calls_out;
mod cloud_life;
mod in_call;
mod ipv6;
mod leader;
mod local_api;
mod log;
mod login;
mod parties;
mod shared;
mod sound;
mod station;
