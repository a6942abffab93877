//! One call's peer and its far end, as the simulator's core sees it.

use std::sync::Arc;

use anyhow::{Result, bail};
use tokio::sync::mpsc;

use super::{Direction, FarEndSource, LegConfig, LegEvent, LegReport};

/// One call's peer. Cheap to clone: all clones are the same leg.
#[derive(Clone)]
pub struct Leg {
    inner: Arc<Inner>,
}

struct Inner {
    config: LegConfig,
    events: mpsc::UnboundedSender<LegEvent>,
}

impl Leg {
    /// Makes a leg; what happens on it is told through `events`.
    pub async fn new(config: LegConfig, events: mpsc::UnboundedSender<LegEvent>) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner { config, events }) })
    }
    /// The offer; candidates follow as events.
    pub async fn offer(&self) -> Result<String> {
        bail!("the gateway is being built")
    }
    /// A later offer on the same peer: new direction, new ICE credentials or both.
    pub async fn reoffer(&self, _ice_restart: bool, _direction: Direction) -> Result<String> {
        bail!("the gateway is being built")
    }
    /// Applies the phone's answer.
    pub async fn answer(&self, _sdp: &str) -> Result<()> {
        bail!("the gateway is being built")
    }
    /// Adds one of the phone's candidates (`candidate:...`, with or without `a=`).
    pub async fn candidate(&self, _candidate: &str, _mid: &str) -> Result<()> {
        bail!("the gateway is being built")
    }
    /// Exchanges the far end while the call runs.
    pub async fn set_far_end(&self, _source: FarEndSource) -> Result<()> {
        bail!("the gateway is being built")
    }
    /// Hold: both sides hear silence.
    pub async fn set_held(&self, _held: bool) {}
    /// Mute: the far end hears silence.
    pub async fn set_muted(&self, _muted: bool) {}
    /// What was seen and heard so far.
    pub async fn report(&self) -> LegReport {
        let _ = &self.inner.events;
        LegReport { far_end: self.inner.config.far_end.to_string(), ..LegReport::default() }
    }
    /// What the far end heard, 48 kHz mono, from the first packet on.
    pub async fn recording(&self) -> Vec<i16> {
        Vec::new()
    }
    /// Closes the peer.
    pub async fn close(&self) {}
}
