//! What a desk phone does, sans-IO: hook, dial plan, keys, tones, ring, lamps, display, lines.
//! `handle(now, Input)`, then drain `poll()`, then `next_timeout()`.
//!
//! SEAM: `Input`, `Output`, `Screen`, `PhoneConfig`, `Phone`.

mod io;
pub mod render;
mod settings;

pub use io::{Input, Look, Notice, NoticeArea, Output, Screen};
pub use settings::{AudioPath, AudioSettings, PathVolumes, PhoneConfig};

use offhook_hal::HookState;
use std::time::Instant;

/// The phone.
pub struct Phone {
    config: PhoneConfig,
}

impl Phone {
    /// A phone at rest. Its first outputs (volumes, tone plan, screen) wait to be polled.
    pub fn new(config: PhoneConfig) -> Self {
        Self { config }
    }
    /// Takes what happened.
    pub fn handle(&mut self, _now: Instant, _input: Input) {}
    /// What is to be done next; `None` when all is said.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }
    /// When `handle_timeout` is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }
    /// Time has passed.
    pub fn handle_timeout(&mut self, _now: Instant) {}
    /// Where the handset is.
    pub fn hook(&self) -> HookState {
        HookState::Resting
    }
    /// `GET /audio`.
    pub fn audio_settings(&self) -> AudioSettings {
        self.config.audio.clone()
    }
}
