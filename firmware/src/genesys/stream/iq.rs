//! Requests we wait for (genesys-protocol 3.4), and what we answer to the server's.

use super::Own;
use crate::genesys::id::Jid;
use crate::genesys::xml::{Element, ns};
use std::time::{Duration, Instant};

/// Every request waits this long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
/// Requests under way; a call makes about ten in a second at most. The oldest gives way: it is the likeliest lost.
const MAX_PENDING: usize = 256;

/// Our requests under way; `T` says what each is about.
pub(crate) struct IqTable<T> {
    pending: Vec<Pending<T>>,
}

struct Pending<T> {
    id: String,
    to: Option<Jid>,
    deadline: Instant,
    about: T,
}

/// An `error` reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IqError {
    /// Defined condition of RFC 6120 8.3.3, or empty.
    pub condition: String,
    /// `code`, where rate limiting sends one (3.4).
    pub code: Option<String>,
}

impl std::fmt::Display for IqError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.condition.as_str(), &self.code) {
            ("", None) => f.write_str("an error without condition"),
            (condition, None) => f.write_str(condition),
            (condition, Some(code)) => write!(f, "{condition} ({code})"),
        }
    }
}

impl<T> Default for IqTable<T> {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
        }
    }
}

impl<T> IqTable<T> {
    /// Gives the request its id and remembers it.
    pub(crate) fn request(&mut self, now: Instant, iq: Element, about: T) -> Element {
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
            tracing::warn!(
                "more than {MAX_PENDING} requests wait for a reply; the oldest is given up"
            );
        }
        let id = uuid::Uuid::new_v4().to_string();
        self.pending.push(Pending {
            id: id.clone(),
            to: iq.attribute("to").map(Jid::from),
            deadline: now + TIMEOUT,
            about,
        });
        iq.with("id", id)
    }

    /// The request that `iq` (of type `result` or `error`) answers, if its `from` may answer it: absent, or a form of
    /// our own address, or of the address that was asked (3.4).
    pub(crate) fn reply(&mut self, own: &Own, iq: &Element) -> Option<(T, Result<(), IqError>)> {
        let id = iq.attribute("id")?;
        let at = self.pending.iter().position(|pending| pending.id == id)?;
        if let Some(from) = iq.attribute("from") {
            let to = self.pending[at].to.as_ref();
            if !forms(&own.full).any(|form| form == from)
                && !to.is_some_and(|to| forms(to).any(|form| form == from))
            {
                tracing::warn!("a reply from somebody who was not asked is ignored");
                return None;
            }
        }
        let about = self.pending.remove(at).about;
        let outcome = if iq.attribute("type") == Some("error") {
            Err(read_error(iq))
        } else {
            Ok(())
        };
        Some((about, outcome))
    }

    /// Requests without a reply in time.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<T> {
        self.take(|pending| pending.deadline <= now)
    }

    /// All requests: the connection is gone, nothing will answer them.
    pub(crate) fn abandon(&mut self) -> Vec<T> {
        self.take(|_| true)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.deadline).min()
    }

    fn take(&mut self, which: impl Fn(&Pending<T>) -> bool) -> Vec<T> {
        let (taken, kept) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| which(pending));
        self.pending = kept;
        taken
            .into_iter()
            .map(|pending: Pending<T>| pending.about)
            .collect()
    }
}

/// Full, bare and domain form of an address.
fn forms(jid: &Jid) -> impl Iterator<Item = &str> {
    let full = jid.as_str();
    [
        full,
        full.split('/').next().unwrap_or_default(),
        jid.domain(),
    ]
    .into_iter()
}

fn read_error(iq: &Element) -> IqError {
    let Some(error) = iq.child("error", ns::CLIENT) else {
        return IqError::default();
    };
    let condition = error
        .elements()
        .find(|child| child.ns == ns::STANZAS && child.name != "text");
    IqError {
        condition: condition
            .map(|c| c.name.chars().take(64).collect())
            .unwrap_or_default(),
        code: error
            .attribute("code")
            .map(|code| code.chars().take(16).collect()),
    }
}

/// How a request of the server is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StanzaError {
    /// `cancel`, `modify`, `wait` (RFC 6120 8.3.2).
    pub kind: &'static str,
    /// Defined condition.
    pub condition: &'static str,
    /// Condition of XEP-0166.
    pub jingle: Option<&'static str>,
}

impl StanzaError {
    pub(crate) const BAD_REQUEST: Self = Self::new("modify", "bad-request");
    pub(crate) const SERVICE_UNAVAILABLE: Self = Self::new("cancel", "service-unavailable");
    pub(crate) const UNKNOWN_SESSION: Self =
        Self::new("cancel", "item-not-found").with_jingle("unknown-session");
    pub(crate) const OUT_OF_ORDER: Self =
        Self::new("wait", "unexpected-request").with_jingle("out-of-order");
    pub(crate) const UNSUPPORTED_INFO: Self =
        Self::new("modify", "feature-not-implemented").with_jingle("unsupported-info");
    pub(crate) const TOO_MANY: Self = Self::new("wait", "resource-constraint");

    const fn new(kind: &'static str, condition: &'static str) -> Self {
        Self {
            kind,
            condition,
            jingle: None,
        }
    }

    const fn with_jingle(mut self, condition: &'static str) -> Self {
        self.jingle = Some(condition);
        self
    }
}

/// `<iq type="result">` for a request of the server.
pub(crate) fn result_for(request: &Element) -> Element {
    answer(request, "result")
}

/// `<iq type="error">` for a request of the server.
pub(crate) fn error_for(request: &Element, error: StanzaError) -> Element {
    let mut inside = Element::new("error", ns::CLIENT)
        .with("type", error.kind)
        .with_child(Element::new(error.condition, ns::STANZAS));
    if let Some(jingle) = error.jingle {
        inside = inside.with_child(Element::new(jingle, ns::JINGLE_ERRORS));
    }
    answer(request, "error").with_child(inside)
}

/// disco#info, only when asked (3.4). Audio alone: that is all a phone has.
pub(crate) fn disco_info(request: &Element) -> Element {
    const FEATURES: [&str; 12] = [
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::PING,
        ns::JSON,
        ns::JINGLE,
        ns::ICE_UDP,
        ns::DTLS,
        "urn:ietf:rfc:5888",
        ns::RTP,
        ns::RTCP_FB,
        ns::RTP_HDREXT,
        "urn:xmpp:jingle:apps:rtp:audio",
    ];
    let identity = Element::new("identity", ns::DISCO_INFO)
        .with("category", "client")
        .with("type", "web");
    let features = FEATURES
        .into_iter()
        .map(|feature| Element::new("feature", ns::DISCO_INFO).with("var", feature));
    let query = Element::new("query", ns::DISCO_INFO)
        .with_child(identity)
        .with_children(features);
    result_for(request).with_child(query)
}

/// disco#items: none.
pub(crate) fn disco_items(request: &Element) -> Element {
    result_for(request).with_child(Element::new("query", ns::DISCO_ITEMS))
}

fn answer(request: &Element, kind: &str) -> Element {
    Element::new("iq", ns::CLIENT)
        .with_some("id", request.attribute("id"))
        .with_some("to", request.attribute("from"))
        .with("type", kind)
}

#[cfg(test)]
#[path = "iq_tests.rs"]
mod tests;
