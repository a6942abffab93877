//! Call signaling: stanzas to [`Signal`] and [`Reply`] to stanzas (genesys-protocol section 5).
//!
//! Knows per session only what the wire needs: the form its SDP travels in, and the state Jingle asks for. All tables
//! are bounded; the oldest entry gives way.

mod candidate;
mod jingle;
mod jsonrpc;
mod message;
mod recent;
mod sdp_read;
mod sdp_write;

use super::id::{Jid, SessionId};
use super::signal::{Form, Reason, Reply, Signal};
use super::stream::Own;
use super::stream::iq::StanzaError;
use super::xml::{Element, ns};
use jingle::Jingle;
use recent::Recent;

/// Proposals whose form is remembered, and offers whose media section is.
const MAX_REMEMBERED: usize = 64;

/// The signaling side of a stream; lives across its connections.
pub(crate) struct Signaling {
    /// The first propose of a session decides; a repeated one changes nothing (5.2).
    forms: Recent<SessionId, Form>,
    /// First `a=mid` of each offer, for candidate fragments that name none.
    mids: Recent<SessionId, String>,
    jingle: Jingle,
    /// IPv6 and mDNS host candidates are sent as well (5.3).
    ipv6: bool,
}

/// What a request of the server led to.
#[derive(Default)]
pub(crate) struct Handled {
    pub answer: Answer,
    pub signals: Vec<Signal>,
    /// Requests of ours that follow, without id.
    pub follow_up: Vec<Element>,
}

/// How a request of the server is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    #[default]
    Result,
    Error(StanzaError),
    /// Not at all, where the SDK does not either.
    Silence,
}

/// A stanza for the server.
#[derive(Clone, PartialEq)]
pub(crate) enum Outgoing {
    /// Needs no reply.
    Message(Element),
    /// Without id; a reply is awaited.
    Request(Element),
}

/// Why a stanza makes no sense. Quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub String);

impl Malformed {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl Handled {
    fn with(answer: Answer) -> Self {
        Self {
            answer,
            ..Self::default()
        }
    }
}

impl Signaling {
    pub(crate) fn new(ipv6: bool) -> Self {
        Self {
            forms: Recent::new(MAX_REMEMBERED),
            mids: Recent::new(MAX_REMEMBERED),
            jingle: Jingle::default(),
            ipv6,
        }
    }

    /// A message with a child of the jingle-message namespace.
    pub(crate) fn message(&mut self, own: &Own, stanza: &Element) -> Option<Signal> {
        let signal = match message::read(own, stanza) {
            Ok(signal) => signal?,
            Err(error) => {
                tracing::warn!(%error, "a call message cannot be used");
                return None;
            }
        };
        if let Signal::Propose(mut propose) = signal {
            // A gateway is all a phone talks to; other peers propose video or screen sharing (5.1).
            if !propose.from.is_softphone_gateway() {
                tracing::debug!("a proposal that is not for a softphone is ignored");
                return None;
            }
            propose.form = *self.forms.get_or_insert(&propose.session, || propose.form);
            return Some(Signal::Propose(propose));
        }
        Some(signal)
    }

    /// A request of the server with exactly one child; `None` when it is not call signaling.
    pub(crate) fn request(&mut self, own: &Own, iq: &Element, child: &Element) -> Option<Handled> {
        let is_set = iq.attribute("type") == Some("set");
        if is_set && child.is("genesys-webrtc", ns::GENESYS) {
            return Some(self.json_rpc(iq, child));
        }
        if is_set && child.is("jingle", ns::JINGLE) {
            return Some(self.jingle_request(own, iq, child));
        }
        None
    }

    /// What a reply of ours looks like on the wire, in order.
    pub(crate) fn reply(&mut self, own: &Own, reply: &Reply) -> Vec<Outgoing> {
        match reply {
            Reply::Proceed { session, to } => {
                vec![Outgoing::Message(message::write("proceed", to, session))]
            }
            Reply::Accept { session } => {
                vec![Outgoing::Message(message::write(
                    "accept", &own.bare, session,
                ))]
            }
            Reply::Answer {
                session,
                to,
                form: Form::SdpOverXmpp,
                sdp,
            } => vec![jsonrpc::answer(own, to, session, sdp)],
            Reply::Candidate {
                session,
                to,
                form,
                candidate: local,
            } => {
                if !candidate::may_be_sent(&local.candidate, self.ipv6) {
                    return Vec::new();
                }
                match form {
                    Form::SdpOverXmpp => vec![jsonrpc::candidate(own, to, session, local)],
                    Form::Jingle => self.jingle.candidate(session, to, local),
                }
            }
            Reply::EndOfCandidates {
                session,
                to,
                form: Form::SdpOverXmpp,
            } => vec![jsonrpc::end_of_candidates(own, to, session)],
            Reply::Active {
                session,
                to,
                form: Form::SdpOverXmpp,
            } => vec![jsonrpc::active(own, to, session)],
            Reply::Terminate {
                session,
                to,
                form: Form::SdpOverXmpp,
                reason,
            } => vec![jsonrpc::terminate(own, to, session, *reason)],
            Reply::Answer {
                session,
                to,
                form: Form::Jingle,
                sdp,
            } => self.jingle.answer(session, to, sdp, self.ipv6),
            Reply::EndOfCandidates {
                session,
                to,
                form: Form::Jingle,
            } => self.jingle.end_of_candidates(session, to),
            Reply::Active {
                session,
                to,
                form: Form::Jingle,
            } => self.jingle.active(session, to),
            Reply::Terminate {
                session,
                to,
                form: Form::Jingle,
                reason,
            } => self.jingle.terminate(session, to, *reason),
            Reply::Statistics(report) => vec![jsonrpc::statistics(report, jiff::Timestamp::now())],
        }
    }

    /// A peer went away: its Jingle sessions are gone (5.4).
    pub(crate) fn unavailable(&mut self, from: &Jid) -> Vec<Signal> {
        self.jingle.unavailable(from)
    }

    /// The SDK does not answer these requests with an IQ result (3.4), and the real gateway lives with that; what it
    /// would make of a result nobody has seen. So the phone does as the SDK does.
    fn json_rpc(&mut self, iq: &Element, child: &Element) -> Handled {
        let Some(from) = iq.attribute("from").map(Jid::from) else {
            tracing::warn!("a call request without sender is refused");
            return Handled::with(Answer::Error(StanzaError::BAD_REQUEST));
        };
        if !from.is_softphone_gateway() {
            tracing::debug!("a call request that is not for a softphone is ignored");
            return Handled::with(Answer::Silence);
        }
        let mids = &self.mids;
        let mid_of = |session: &SessionId| mids.get(session).cloned();
        match jsonrpc::read(&from, &child.text(), mid_of) {
            Ok(signals) => {
                for signal in &signals {
                    if let Signal::Offer(offer) = signal
                        && let Some(mid) = sdp_read::first_mid(&offer.sdp)
                    {
                        self.mids.insert(&offer.session, mid.to_owned());
                    }
                }
                Handled {
                    signals,
                    ..Handled::with(Answer::Silence)
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a call request cannot be used");
                Handled::with(Answer::Error(StanzaError::BAD_REQUEST))
            }
        }
    }

    fn jingle_request(&mut self, own: &Own, iq: &Element, child: &Element) -> Handled {
        let session = child.attribute("sid").map(SessionId::from);
        let is_initiate = child.attribute("action") == Some("session-initiate");
        let sdp_over_xmpp = session.as_ref().and_then(|session| self.forms.get(session))
            == Some(&Form::SdpOverXmpp);
        if is_initiate && sdp_over_xmpp {
            // The same call comes as JSON-RPC too; the SDK swallows this one without a word (5.4).
            tracing::debug!("a Jingle offer of a call that comes as JSON-RPC is swallowed");
            return Handled::with(Answer::Silence);
        }
        let Some(from) = iq.attribute("from").map(Jid::from) else {
            return Handled::with(Answer::Error(StanzaError::BAD_REQUEST));
        };
        self.jingle.request(own, &from, child)
    }
}

/// The word of a Jingle reason condition on the wire.
fn condition(reason: Reason) -> String {
    // The enum's serde form is its wire form.
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "success".to_owned(),
    }
}

/// The reason a word means; an unknown one counts as success, as an absent one does.
fn reason_from(word: &str) -> Reason {
    serde_json::from_value(serde_json::Value::from(word)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
