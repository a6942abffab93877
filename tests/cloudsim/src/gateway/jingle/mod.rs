//! Jingle (XEP-0166/0167/0176/0320/0338/0339) for the one kind of session a gateway makes: the
//! `<jingle>` element of genesys-protocol 5.4 on one side, session descriptions and candidate
//! lines on the other.
//!
//! Reading is strict: an element in the wrong namespace, a missing attribute or an impossible
//! value is an error that names it, because the simulator's work is to find such faults.

use thiserror::Error;

/// Why an element is not the Jingle this gateway expects.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JingleError {
    /// Not well-formed XML.
    #[error("not well-formed XML: {0}")]
    Xml(String),
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

/// Reads one `<jingle>` element.
pub fn read(_xml: &str) -> Result<Jingle> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The `<jingle action="session-initiate">` for an offer.
pub fn offer_to_jingle(_sdp: &str, _sid: &str, _initiator: &str, _responder: &str) -> Result<String> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The answer in a `<jingle action="session-accept">`, as SDP fitting the offer.
pub fn accept_to_sdp(_xml: &str, _offer: &str) -> Result<String> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The `<jingle action="transport-info">` for one local candidate (`candidate:...`).
pub fn candidate_to_transport_info(_candidate: &str, _sid: &str, _offer: &str) -> Result<String> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The `<jingle action="transport-info">` that says all candidates were given.
pub fn end_of_candidates_to_transport_info(_sid: &str, _offer: &str) -> Result<String> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The candidates of a `<jingle action="transport-info">`.
pub fn transport_info_to_candidates(_xml: &str) -> Result<TransportInfo> {
    Err(JingleError::Element("the gateway is being built".into()))
}

/// The `<jingle action="session-terminate">` with this reason condition.
pub fn session_terminate(_sid: &str, _reason: &str) -> Result<String> {
    Err(JingleError::Element("the gateway is being built".into()))
}
