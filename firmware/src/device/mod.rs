//! Device services: configuration, state files, log, secrets of the local API, cryptography provider, the word to
//! systemd; and the wrapper that keeps private text out of logs.
pub mod choices;
pub mod config;
pub mod crypto;
pub mod dialing;
pub mod key;
pub mod log;
pub mod private;
pub mod service;
pub mod store;
pub mod update;

pub use private::Private;
