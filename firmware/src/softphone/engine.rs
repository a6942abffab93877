//! The session engine.
use super::event::CallView;
use super::{Input, Output, SoftphoneConfig};
use crate::genesys::id::ConversationId;
use std::collections::VecDeque;
use std::time::Instant;

/// The session engine: `handle`, then drain `poll`, then look at `next_timeout`.
#[derive(Debug)]
pub struct Softphone {
    config: SoftphoneConfig,
    outputs: VecDeque<Output>,
    views: Vec<CallView>,
}

impl Softphone {
    /// An engine that knows nothing yet.
    pub fn new(config: SoftphoneConfig) -> Self {
        Self {
            config,
            outputs: VecDeque::new(),
            views: Vec::new(),
        }
    }

    /// Takes one input at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        tracing::trace!(?now, ?input, config = ?self.config, "input");
    }

    /// The next thing to do; drain after every `handle` and `handle_timeout`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Fires every timer that is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        tracing::trace!(?now, "timeout");
    }

    /// Calls that concern this phone, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallView> {
        self.views.iter().cloned()
    }

    /// The conversation whose audio is on, by 6.9.
    pub fn active_conversation(&self) -> Option<ConversationId> {
        None
    }
}
