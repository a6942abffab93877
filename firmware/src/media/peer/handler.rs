//! What the stack tells of one peer.

use crate::media::line::Line;
use crate::media::runtime::Signals;
use crate::media::sdp::{Candidate, CandidateKind};
use crate::media::sender::SenderCommand;
use crate::media::turn::Bridges;
use crate::media::{ConnectionState, PeerConfig, PeerEvent, stack};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;
use tracing::debug;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState,
};

/// Takes the stack's callbacks, which run inside its loop and so must return at once.
pub(super) struct Handler {
    pub config: PeerConfig,
    pub bridges: Arc<Bridges>,
    pub mid: String,
    pub line: Arc<Line>,
    pub sender: mpsc::UnboundedSender<SenderCommand>,
    /// There once the stack is.
    pub signals: OnceLock<Arc<Signals>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else {
            return;
        };
        match Candidate::parse(&init.candidate) {
            Ok(candidate) => {
                let relayed = candidate.kind == CandidateKind::Relay;
                let Some(candidate) = stack::told(&self.config, &self.bridges, candidate) else {
                    return;
                };
                if relayed {
                    self.bridges.set_relayed();
                }
                self.line.emit(PeerEvent::Candidate {
                    mid: self.mid.clone(),
                    candidate: candidate.to_string(),
                });
            }
            Err(reason) => debug!(%reason, "own candidate left out"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete
            && let Some(signals) = self.signals.get()
        {
            signals.set_gathered();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connecting => ConnectionState::Connecting,
            RTCPeerConnectionState::Connected => ConnectionState::Connected,
            RTCPeerConnectionState::Disconnected => ConnectionState::Disconnected,
            RTCPeerConnectionState::Failed => ConnectionState::Failed,
            RTCPeerConnectionState::Closed => ConnectionState::Closed,
            _ => return,
        };
        let connected = state == ConnectionState::Connected;
        if let Some(signals) = self.signals.get() {
            signals.set_hasty(state == ConnectionState::Connecting);
        }
        let _ = self.sender.send(SenderCommand::Connected(connected));
        self.line.connection(state);
    }
}
