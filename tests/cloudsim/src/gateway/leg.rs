//! One call's peer and its far end, as the simulator's core sees it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio::sync::mpsc;

use super::browser::Page;
use super::events::Events;
use super::mix::{Mix, Patchbay};
use super::native::Native;
use super::{Direction, FarEndSource, LegConfig, LegEvent, LegReport};

/// One call's peer. Cheap to clone: all clones are the same leg.
#[derive(Clone)]
pub struct Leg {
    peer: Arc<Peer>,
}

#[allow(clippy::large_enum_variant)] // one a leg, behind its Arc
enum Peer {
    Native(Native),
    Page(Page),
}

impl Leg {
    /// Makes a leg; what happens on it is told through `events`.
    ///
    /// # Errors
    /// The configuration has no codec, or its WAV file cannot be read.
    pub async fn new(config: LegConfig, events: mpsc::UnboundedSender<LegEvent>) -> Result<Self> {
        ensure!(
            !config.codecs.is_empty(),
            "a leg needs at least one codec to offer"
        );
        let events = Events::new(events);
        let peer = if config.far_end == FarEndSource::Browser {
            Peer::Page(Page::new(config, events))
        } else {
            Peer::Native(Native::new(config, events).await?)
        };
        Ok(Self {
            peer: Arc::new(peer),
        })
    }

    /// The first offer. Candidates follow as events; none is in the description. With a browser
    /// this waits for the page to attach, for at most [`super::browser::ATTACH_TIMEOUT`].
    ///
    /// # Errors
    /// No page attached, or the stack cannot make an offer.
    pub async fn offer(&self) -> Result<String> {
        self.reoffer(false, Direction::SendRecv).await
    }

    /// A later offer on the same peer: with new ICE credentials, another direction (the
    /// gateway's), or neither.
    ///
    /// # Errors
    /// The stack cannot make an offer in its state.
    pub async fn reoffer(&self, ice_restart: bool, direction: Direction) -> Result<String> {
        match &*self.peer {
            Peer::Native(native) => native.offer(ice_restart, direction).await,
            Peer::Page(page) => page.offer(ice_restart, direction).await,
        }
    }

    /// Applies the phone's answer to the last offer.
    ///
    /// # Errors
    /// The answer breaks the offer (every fault is named), or the stack refuses it.
    pub async fn answer(&self, sdp: &str) -> Result<()> {
        match &*self.peer {
            Peer::Native(native) => native.answer(sdp).await,
            Peer::Page(page) => page.answer(sdp).await,
        }
    }

    /// Adds one of the phone's candidates: `candidate:...`, with or without `a=`. It may come
    /// before the answer. `mid` is the word after `m=` of the trickled fragment, or the Jingle
    /// content's name. TCP candidates are taken and not used.
    ///
    /// # Errors
    /// The line is no candidate, or is for another section.
    pub async fn candidate(&self, candidate: &str, mid: &str) -> Result<()> {
        match &*self.peer {
            Peer::Native(native) => native.candidate(candidate, mid).await,
            Peer::Page(page) => page.candidate(candidate, mid).await,
        }
    }

    /// Exchanges what the far end says while the call runs. A browser takes everything but
    /// [`FarEndSource::Browser`] too, and then says that.
    ///
    /// # Errors
    /// The WAV file cannot be read; a native leg cannot become a browser.
    pub async fn set_far_end(&self, source: FarEndSource) -> Result<()> {
        match &*self.peer {
            Peer::Native(native) => native.set_far_end(source).await,
            Peer::Page(page) => page.set_far_end(source).await,
        }
    }

    /// Several parties behind this leg, or one far end again.
    ///
    /// # Errors
    /// A voice cannot be made; a browser cannot be several parties.
    pub(crate) async fn set_mix(&self, mix: Option<Mix>, patchbay: Patchbay) -> Result<()> {
        match &*self.peer {
            Peer::Native(native) => native.set_mix(mix, patchbay).await,
            Peer::Page(_) => {
                ensure!(mix.is_none(), "a far-end page cannot be several parties");
                Ok(())
            }
        }
    }

    /// Hold: both sides hear silence.
    pub async fn set_held(&self, held: bool) {
        match &*self.peer {
            Peer::Native(native) => native.set_held(held),
            Peer::Page(page) => page.set_held(held),
        }
    }

    /// Mute: the far end hears silence.
    pub async fn set_muted(&self, muted: bool) {
        match &*self.peer {
            Peer::Native(native) => native.set_muted(muted),
            Peer::Page(page) => page.set_muted(muted),
        }
    }

    /// What was seen and heard so far.
    pub async fn report(&self) -> LegReport {
        match &*self.peer {
            Peer::Native(native) => native.report(),
            Peer::Page(page) => page.report().await,
        }
    }

    /// What the far end heard since the phone's first packet, 48 kHz mono; at most ten minutes.
    pub async fn recording(&self) -> Vec<i16> {
        match &*self.peer {
            Peer::Native(native) => native.recording(),
            Peer::Page(page) => page.recording(),
        }
    }

    /// Closes the peer; the phone sees DTLS `close_notify`.
    pub async fn close(&self) {
        match &*self.peer {
            Peer::Native(native) => native.close().await,
            Peer::Page(page) => page.close(),
        }
    }

    /// The page's side, when the far end is a browser.
    pub(super) fn page(&self) -> Option<&Page> {
        match &*self.peer {
            Peer::Native(_) => None,
            Peer::Page(page) => Some(page),
        }
    }
}
