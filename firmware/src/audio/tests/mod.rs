//! The whole pipeline in virtual time: the test's loop is the clock.

mod call;
mod commands;
mod cost;
pub mod echo;
mod endurance;
mod figures;
pub mod measure;
#[path = "../../../../tests/audio/traces/network.rs"]
pub mod network;
pub mod report;
pub mod rig;
pub mod speech;
