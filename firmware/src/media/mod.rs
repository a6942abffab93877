//! The WebRTC peer behind a seam of our own: ICE, DTLS-SRTP, RTP, RTCP, statistics.
//!
//! The stack is `webrtc`; nothing above this module names it, so it can be exchanged.
//!
//! SEAM: `PeerConfig`, `PeerEvent`, `Negotiated`, `ConnectionState`, `Statistics`, `MediaError`, `Peer`'s verbs.

mod dtmf;
pub(crate) mod fuzz;
mod line;
pub(crate) mod meter;
mod names;
mod peer;
mod runtime;
pub mod sdp;
mod sender;
mod stack;
mod tap;
pub(crate) mod turn;
mod url;

pub use names::prefetch;
pub use peer::{EventSink, Peer};

pub use crate::audio::CodecKind;
use crate::audio::Content;
use crate::device::Private;
use rustls::ClientConfig;
use sdp::COMFORT_NOISE;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// One ICE server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:host:port`, `turn:host:port`, with `?transport=tcp`, or `turns:host:port` (RFC 7064, RFC 7065).
    pub url: String,
    /// TURN user name; empty for STUN.
    pub username: String,
    /// TURN credential; empty for STUN.
    pub credential: Private,
}

/// How to make a peer.
#[derive(Clone, Debug, Default)]
pub struct PeerConfig {
    /// From service discovery.
    pub ice_servers: Vec<IceServer>,
    /// Only relayed candidates. A peer that gets none fails with [`MediaError::NoRelay`].
    pub relay_only: bool,
    /// How TURN servers behind TLS are checked; without it they cannot be used.
    pub tls: Option<Arc<ClientConfig>>,
    /// Also use loopback addresses (a simulator on the same machine).
    pub loopback: bool,
    /// Also IPv6 host candidates; off by default as in the SDK (genesys-protocol 5.3).
    pub ipv6: bool,
    /// Frame length wanted, milliseconds: 10, 20, 40, 60.
    pub frame_ms: u8,
    /// The longest that it may become where a limit asks for longer ones, milliseconds; less than `frame_ms`: never.
    pub longest_frame_ms: u8,
}

/// The raw peer-connection state, with the SDK's words (5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "W3C names them")]
pub enum ConnectionState {
    #[default]
    New,
    Connecting,
    Connected,
    Disconnected,
    Failed,
    Closed,
}

/// What offer and answer agreed on; raised after every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Codec both ways.
    pub codec: CodecKind,
    /// Its payload type.
    pub payload_type: u8,
    /// telephone-event payload type at the codec's clock rate, if offered (RFC 4733).
    pub dtmf_payload_type: Option<u8>,
    /// Comfort noise payload type at the codec's clock rate, if offered (RFC 3389).
    pub noise_payload_type: Option<u8>,
    /// We may send.
    pub sending: bool,
    /// We may receive.
    pub receiving: bool,
    /// Packet time to send, milliseconds.
    pub frame_ms: u8,
}

impl Negotiated {
    /// What a packet of this payload type is to the ear.
    fn content(&self, payload_type: u8) -> Content {
        if payload_type == self.payload_type {
            return Content::Audio;
        }
        // A gateway may send noise that it never offered: the static type can mean nothing else.
        let unasked = payload_type == COMFORT_NOISE
            && self.codec.clock_rate() == 8_000
            && self.dtmf_payload_type != Some(payload_type);
        if unasked || self.noise_payload_type == Some(payload_type) {
            Content::ComfortNoise
        } else {
            Content::Nothing
        }
    }
}

/// Everything a peer tells. Closed.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerEvent {
    /// A local candidate to trickle: `candidate:...` without `a=`, component 1 only.
    Candidate {
        /// Media section.
        mid: String,
        /// The line.
        candidate: String,
    },
    /// No more local candidates.
    GatheringComplete,
    /// The answer is ready; SDP.
    Answered {
        /// Answer.
        sdp: String,
        /// What was agreed on.
        negotiated: Negotiated,
    },
    /// The offer could not be answered.
    Failed(MediaError),
    /// Connection state changed.
    Connection(ConnectionState),
    /// The first sound of the far end came.
    FirstPacket,
    /// All the digits of one `dtmf` call are out.
    DtmfSent,
    /// The figures so far, every five seconds of a connected call: what `report-statistics` (5.8) is made from.
    Statistics(Statistics),
}

/// Why media cannot be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The offer is not SDP.
    #[error("the offer is not valid SDP: {0}")]
    BadSdp(String),
    /// No `m=audio` line that is not rejected.
    #[error("the offer has no audio")]
    NoAudio,
    /// None of Opus, PCMU, PCMA.
    #[error("the offer has no codec this phone has (Opus, PCMU, PCMA); it has: {0}")]
    NoCommonCodec(String),
    /// No free stream of the audio pipeline.
    #[error("all {0} audio streams are in use")]
    NoStream(usize),
    /// Candidates may only be relayed, and no TURN server relays.
    #[error(
        "this call may only go through a TURN server, and none can be used: {detail}; check the network and its firewall"
    )]
    NoRelay {
        /// What is wrong with each.
        detail: String,
    },
    /// The stack said no.
    #[error("{what}: {detail}")]
    Stack {
        /// Which step.
        what: &'static str,
        /// Its words.
        detail: String,
    },
    /// The offer had no telephone-event.
    #[error("this call cannot carry key tones in the audio (no telephone-event in the offer)")]
    NoTelephoneEvent,
    /// Not a key.
    #[error("there is no key {0:?}; there are 0-9, *, #, A-D and the comma for a pause")]
    NoSuchKey(char),
}

/// Own statistics, from RTP and RTCP itself (the stack's are wrong for two-way calls). All counters run from the peer's
/// beginning; what a call needs from a later one on (5.8) is the difference of two, by [`Statistics::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Connection.
    pub connection: ConnectionState,
    /// Packets received.
    pub packets_received: u64,
    /// Packets lost on the way to us (RFC 3550 A.3).
    pub packets_lost: i64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Interarrival jitter, milliseconds (RFC 3550 A.8).
    pub jitter_ms: f64,
    /// Last round trip from RTCP, milliseconds (RFC 3550 6.4.1).
    pub rtt_ms: Option<f64>,
    /// Sum of all round trips measured and how many, for MOS (5.8).
    pub rtt_total_ms: f64,
    /// How many.
    pub rtt_count: u32,
    /// Loss the far end reports, percent of its last interval.
    pub remote_loss_percent: Option<f64>,
    /// RTP packets dropped because the audio thread's queue was full.
    pub queue_drops: u64,
    /// Answer made until ICE and DTLS were up.
    pub connect_time: Option<Duration>,
}

impl Statistics {
    /// These figures counted from `baseline` on: the counters are differences, what is no counter is as it is now.
    #[must_use]
    pub fn since(&self, baseline: &Self) -> Self {
        Self {
            packets_received: self
                .packets_received
                .saturating_sub(baseline.packets_received),
            packets_lost: self.packets_lost - baseline.packets_lost,
            packets_sent: self.packets_sent.saturating_sub(baseline.packets_sent),
            rtt_total_ms: (self.rtt_total_ms - baseline.rtt_total_ms).max(0.0),
            rtt_count: self.rtt_count.saturating_sub(baseline.rtt_count),
            queue_drops: self.queue_drops.saturating_sub(baseline.queue_drops),
            ..*self
        }
    }

    /// Mean of the round trips measured, milliseconds (`totalRoundTripTime / roundTripTimeMeasurements` of the web).
    pub fn mean_rtt_ms(&self) -> Option<f64> {
        (self.rtt_count > 0).then(|| self.rtt_total_ms / f64::from(self.rtt_count))
    }

    /// Packets lost of those that should have come, 0 to 1.
    pub fn loss(&self) -> f64 {
        let lost = self.packets_lost.max(0) as f64;
        let expected = self.packets_received as f64 + lost;
        if expected == 0.0 {
            0.0
        } else {
            lost / expected
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Statistics;

    #[test]
    fn figures_are_counted_from_a_baseline() {
        let at_start = Statistics {
            packets_received: 100,
            packets_lost: 10,
            packets_sent: 90,
            jitter_ms: 1.0,
            rtt_ms: Some(10.0),
            rtt_total_ms: 50.0,
            rtt_count: 5,
            ..Default::default()
        };
        let now = Statistics {
            packets_received: 190,
            packets_lost: 20,
            packets_sent: 290,
            jitter_ms: 4.0,
            rtt_ms: Some(40.0),
            rtt_total_ms: 130.0,
            rtt_count: 7,
            ..Default::default()
        };
        let call = now.since(&at_start);
        assert_eq!(
            (call.packets_received, call.packets_lost, call.packets_sent),
            (90, 10, 200)
        );
        assert_eq!((call.mean_rtt_ms(), call.rtt_ms), (Some(40.0), Some(40.0)));
        assert!((call.jitter_ms - 4.0).abs() < 1e-9);
        assert!((call.loss() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn nothing_heard_and_doubled_packets_are_no_loss() {
        assert_eq!(Statistics::default().mean_rtt_ms(), None);
        for (packets_received, packets_lost) in [(0, 0), (10, -3)] {
            let statistics = Statistics {
                packets_received,
                packets_lost,
                ..Default::default()
            };
            assert!(statistics.loss().abs() < 1e-9);
        }
    }
}
