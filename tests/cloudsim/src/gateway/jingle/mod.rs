//! Jingle (XEP-0166, 0167, 0176, 0320, 0338, 0339) for the one kind of session a gateway makes:
//! the `<jingle>` element of genesys-protocol 5.4 on one side, session descriptions and
//! candidate lines on the other.
//!
//! Reading is strict: an element in the wrong namespace, a missing attribute or an impossible
//! value is an error that names it, because the simulator's work is to find such faults. Unknown
//! elements are passed over, as XMPP wants it (RFC 6120 section 8.4).

mod candidate;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{accept_to_sdp, read, transport_info_to_candidates};
pub use write::{
    candidate_to_transport_info, end_of_candidates_to_transport_info,
    ice_restart_to_transport_info, offer_to_jingle, session_terminate,
};

use thiserror::Error;

/// Why an element is not the Jingle this gateway expects.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JingleError {
    /// Not one well-formed XML element.
    #[error(transparent)]
    Xml(#[from] crate::xml::XmlError),
    /// An element is missing, has the wrong name or the wrong namespace.
    #[error("{0}")]
    Element(String),
    /// An attribute is missing or has an impossible value.
    #[error("{0}")]
    Attribute(String),
    /// A session description cannot be expressed.
    #[error("session description: {0}")]
    Sdp(String),
}

type Result<T> = std::result::Result<T, JingleError>;

/// What a phone's `<jingle>` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jingle {
    /// Session id.
    pub sid: String,
    /// What to do.
    pub action: Action,
}

/// The actions a responder may send (genesys-protocol 5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The answer; turn it into SDP with [`accept_to_sdp`].
    SessionAccept,
    /// Candidates.
    TransportInfo(TransportInfo),
    /// `<active/>`: ICE is up.
    Active,
    /// `<mute/>` or `<unmute/>` of the audio content.
    Mute(bool),
    /// The end; the reason's condition, `success` when there is none.
    SessionTerminate(String),
}

/// What one `transport-info` carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransportInfo {
    /// The sender's ICE user fragment, when given.
    pub ufrag: Option<String>,
    /// The sender's ICE password: given only with an ICE restart.
    pub pwd: Option<String>,
    /// Candidate lines (`candidate:...`).
    pub candidates: Vec<String>,
    /// `<gathering-complete/>` was there.
    pub complete: bool,
}

/// Reason conditions of XEP-0166 section 7.4.
pub(crate) const CONDITIONS: [&str; 17] = [
    "alternative-session",
    "busy",
    "cancel",
    "connectivity-error",
    "decline",
    "expired",
    "failed-application",
    "failed-transport",
    "general-error",
    "gone",
    "incompatible-parameters",
    "media-error",
    "security-error",
    "success",
    "timeout",
    "unsupported-applications",
    "unsupported-transports",
];

/// Namespaces of genesys-protocol 5.4.
mod ns {
    pub(super) const JINGLE: &str = "urn:xmpp:jingle:1";
    pub(super) const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
    pub(super) const INFO: &str = "urn:xmpp:jingle:apps:rtp:info:1";
    pub(super) const FEEDBACK: &str = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
    pub(super) const EXTENSION: &str = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
    pub(super) const SOURCE: &str = "urn:xmpp:jingle:apps:rtp:ssma:0";
    pub(super) const MSID: &str = "urn:xmpp:jingle:apps:rtp:msid:0";
    pub(super) const DTLS: &str = "urn:xmpp:jingle:apps:dtls:0";
    pub(super) const GROUP: &str = "urn:xmpp:jingle:apps:grouping:0";
    pub(super) const ICE: &str = "urn:xmpp:jingle:transports:ice-udp:1";
}
