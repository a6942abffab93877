//! Call signaling as values: what the gateway says and what the phone says (genesys-protocol section 5).

use super::id::{CommunicationId, ConversationId, Jid, SessionId};
use serde::{Deserialize, Serialize};

/// How the SDP of a session travels; chosen by the propose (`inin-sdp-over-xmpp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON-RPC in `<genesys-webrtc>` (5.3).
    SdpOverXmpp,
    /// Jingle `session-initiate` (5.4); `genesys` turns it into SDP and back.
    Jingle,
}

/// From the server, or relayed from the user's other clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// `<propose>` (5.2).
    Propose(Propose),
    /// `<retract>`: the caller gave up.
    Retract {
        /// Which proposal.
        session: SessionId,
    },
    /// `<accept>` or `<reject>` relayed by the own bare JID: handled by a client of ours, this one included.
    Handled {
        /// Which proposal.
        session: SessionId,
        /// Who sent it; equals the own full JID for an echo of our own.
        from: Jid,
    },
    /// The offer of a session, first or repeated (5.3, 5.4, 5.7).
    Offer(Offer),
    /// One remote ICE candidate; may come before the offer.
    Candidate {
        /// Which session.
        session: SessionId,
        /// The candidate.
        candidate: Candidate,
    },
    /// The gateway has no more candidates.
    EndOfCandidates {
        /// Which session.
        session: SessionId,
    },
    /// The gateway ends the session.
    Terminate {
        /// Which session.
        session: SessionId,
        /// Jingle condition.
        reason: Reason,
    },
}

/// A call leg is announced (5.2). Carries no caller id; that is in the conversation event.
#[derive(Clone, Debug, PartialEq)]
pub struct Propose {
    /// `id`.
    pub session: SessionId,
    /// `inin-cid`.
    pub conversation: ConversationId,
    /// Exact `from`; every answer goes there.
    pub from: Jid,
    /// `to`, full or bare.
    pub to: Jid,
    /// `inin-autoanswer`: answer without asking; absent counts as false.
    pub auto_answer: bool,
    /// By `inin-sdp-over-xmpp`.
    pub form: Form,
    /// `inin-priv-answer-mode="Auto"`: eager persistent-connection call.
    pub eager: bool,
    /// `inin-ofrom`, else `from`.
    pub original_from: Jid,
    /// `inin-user-id`.
    pub from_user: Option<String>,
}

/// An offer. On the Jingle path another offer of a known session is an ICE restart by the gateway (5.4): it is
/// answered in place, on the same peer connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Session id.
    pub session: SessionId,
    /// Absent on the Jingle path.
    pub conversation: Option<ConversationId>,
    /// Exact `from`.
    pub peer: Jid,
    /// The SDP (made from the Jingle contents on that path).
    pub sdp: String,
    /// `reinvite: true` (5.7).
    pub reinvite: bool,
    /// JSON-RPC id, to recognise a repeated re-invite; empty on the Jingle path.
    pub request_id: String,
    /// How it came, so how the answer goes.
    pub form: Form,
}

/// One ICE candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Media section.
    pub mid: String,
    /// `candidate:1 1 udp ...` without `a=`.
    pub candidate: String,
}

/// To the server. `to` is the exact `from` of the propose or offer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// "I will take the call."
    Proceed {
        /// Which proposal.
        session: SessionId,
        /// Who proposed.
        to: Jid,
    },
    /// To the own bare JID: tells the user's other clients to stop ringing.
    Accept {
        /// Which proposal.
        session: SessionId,
    },
    /// The answer.
    Answer {
        /// Which session.
        session: SessionId,
        /// The gateway.
        to: Jid,
        /// As the offer came.
        form: Form,
        /// The answer's SDP.
        sdp: String,
    },
    /// One local candidate.
    Candidate {
        /// Which session.
        session: SessionId,
        /// The gateway.
        to: Jid,
        /// As the offer came.
        form: Form,
        /// The candidate.
        candidate: Candidate,
    },
    /// No more local candidates.
    EndOfCandidates {
        /// Which session.
        session: SessionId,
        /// The gateway.
        to: Jid,
        /// As the offer came.
        form: Form,
    },
    /// ICE is connected: `info` with `status: active`, or Jingle `session-info` active.
    Active {
        /// Which session.
        session: SessionId,
        /// The gateway.
        to: Jid,
        /// As the offer came.
        form: Form,
    },
    /// End of the session.
    Terminate {
        /// Which session.
        session: SessionId,
        /// The gateway.
        to: Jid,
        /// As the offer came.
        form: Form,
        /// Why.
        reason: Reason,
    },
    /// How well a call is heard (5.8).
    Statistics(Box<StatisticsReport>),
}

/// `report-statistics` (5.8), counted from the beginning of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticsReport {
    /// Which session.
    pub session: SessionId,
    /// The gateway.
    pub to: Jid,
    /// C.
    pub conversation: ConversationId,
    /// K, our own.
    pub communication: CommunicationId,
    /// RTP packets received.
    pub packets_received: u64,
    /// Mean of the jitter, seconds.
    pub average_jitter: f64,
    /// Estimated mean opinion score, 1 to 5.
    pub average_mos: f64,
    /// How often the session was re-invited.
    pub reconnects: u32,
}

/// Jingle reason conditions (5.4), `kebab-case` on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "XEP-0166 names them")]
pub enum Reason {
    AlternativeSession,
    Busy,
    Cancel,
    ConnectivityError,
    Decline,
    Expired,
    FailedApplication,
    FailedTransport,
    GeneralError,
    Gone,
    IncompatibleParameters,
    MediaError,
    SecurityError,
    Timeout,
    UnsupportedApplications,
    UnsupportedTransports,
    /// Also when the condition is absent or unknown.
    #[default]
    #[serde(other)]
    Success,
}
