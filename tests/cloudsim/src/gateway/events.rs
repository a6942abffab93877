//! The channel a leg tells its events through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::config::LegEvent;

/// The leg's events; nothing follows [`LegEvent::Closed`].
#[derive(Clone)]
pub(super) struct Events {
    sender: mpsc::UnboundedSender<LegEvent>,
    closed: Arc<AtomicBool>,
}

impl Events {
    pub(super) fn new(sender: mpsc::UnboundedSender<LegEvent>) -> Self {
        Self {
            sender,
            closed: Arc::default(),
        }
    }

    pub(super) fn send(&self, event: LegEvent) {
        if !self.closed.load(Ordering::Relaxed) {
            // Without a listener there is nobody to tell.
            let _ = self.sender.send(event);
        }
    }

    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::Relaxed) {
            let _ = self.sender.send(LegEvent::Closed);
        }
    }
}
