//! The responder's side of Jingle, compatible with the SDK's library stanza (genesys-protocol 5.4).

use super::sdp_write::{self, JingleOffer};
use super::{Answer, Handled, Outgoing, candidate, condition, reason_from, sdp_read};
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::signal::{Candidate, Form, Offer, Reason, Signal};
use crate::genesys::stream::Own;
use crate::genesys::stream::iq::StanzaError;
use crate::genesys::xml::{Element, ns};

/// Sessions at once. A phone has a handful; the limit is for a gateway gone mad.
const MAX_SESSIONS: usize = 32;

#[derive(Default)]
pub(super) struct Jingle {
    sessions: Vec<Session>,
}

struct Session {
    id: SessionId,
    peer: Jid,
    offer: JingleOffer,
    /// Of the offer; rises with every restart.
    version: u32,
    /// Set by `session-accept`.
    accepted: bool,
    /// Own `ufrag`, for trickled candidates.
    ufrag: Option<String>,
    /// Contents of the answer.
    mids: Vec<String>,
}

impl Jingle {
    /// A `<jingle>` of the server.
    pub(super) fn request(&mut self, own: &Own, from: &Jid, jingle: &Element) -> Handled {
        let error = |error| Handled::with(Answer::Error(error));
        let (Some(id), Some(action)) = (
            jingle.attribute("sid").map(SessionId::from),
            jingle.attribute("action"),
        ) else {
            return error(StanzaError::BAD_REQUEST);
        };
        let known = self.sessions.iter().position(|session| session.id == id);
        if action == "session-initiate" {
            return match known {
                Some(at) if self.sessions[at].peer != *from => {
                    error(StanzaError::SERVICE_UNAVAILABLE)
                }
                Some(_) => error(StanzaError::OUT_OF_ORDER),
                None => self.initiate(own, from, id, jingle),
            };
        }
        let Some(at) = known.filter(|at| self.sessions[*at].peer == *from) else {
            // The end of a session that has ended already is no surprise.
            return match action {
                "session-terminate" if known.is_none() => Handled::default(),
                _ => error(StanzaError::UNKNOWN_SESSION),
            };
        };
        match action {
            "session-terminate" => {
                self.sessions.remove(at);
                let reason = terminate_reason(jingle);
                Handled {
                    signals: vec![Signal::Terminate {
                        session: id,
                        reason,
                    }],
                    ..Handled::default()
                }
            }
            "session-accept" => error(StanzaError::OUT_OF_ORDER),
            "session-info" => session_info(jingle),
            "transport-info" => self.sessions[at].transport_info(jingle),
            "content-add" => Handled {
                follow_up: vec![reject(
                    from,
                    &id,
                    "content-reject",
                    jingle,
                    Reason::FailedApplication,
                )],
                ..Handled::default()
            },
            "transport-replace" => Handled {
                follow_up: vec![reject(
                    from,
                    &id,
                    "transport-reject",
                    jingle,
                    Reason::FailedTransport,
                )],
                ..Handled::default()
            },
            // Informational for a phone: acknowledged and left at that, as stanza does.
            _ => Handled::default(),
        }
    }

    /// `session-accept`, or, after a restart by the remote side, our new ICE parameters.
    pub(super) fn answer(
        &mut self,
        session: &SessionId,
        to: &Jid,
        sdp: &str,
        ipv6: bool,
    ) -> Vec<Outgoing> {
        let Some(known) = self.find(session) else {
            return Vec::new();
        };
        let answer = sdp_read::answer(sdp, ipv6);
        known.mids.clone_from(&answer.mids);
        known.ufrag = answer.ice.as_ref().map(|(ufrag, _)| ufrag.clone());
        if known.accepted {
            let contents = answer.contents.into_iter().map(|content| {
                let transport = content.child("transport", ns::ICE_UDP).cloned();
                content_named(content.attribute("name").unwrap_or_default())
                    .with_children(transport)
            });
            return vec![request(
                to,
                jingle("transport-info", session).with_children(contents),
            )];
        }
        known.accepted = true;
        let accept = jingle("session-accept", session)
            .with_children(answer.contents)
            .with_children(answer.group);
        vec![request(to, accept)]
    }

    pub(super) fn candidate(
        &mut self,
        session: &SessionId,
        to: &Jid,
        local: &Candidate,
    ) -> Vec<Outgoing> {
        let Some(known) = self.find(session) else {
            return Vec::new();
        };
        let Some(element) = candidate::to_jingle(&local.candidate) else {
            return Vec::new();
        };
        let transport = known.transport().with_child(element);
        let content = content_named(&local.mid).with_child(transport);
        vec![request(
            to,
            jingle("transport-info", session).with_child(content),
        )]
    }

    pub(super) fn end_of_candidates(&mut self, session: &SessionId, to: &Jid) -> Vec<Outgoing> {
        let Some(known) = self.find(session) else {
            return Vec::new();
        };
        let complete = Element::new("gathering-complete", ns::ICE_UDP);
        let transport = known.transport().with_child(complete);
        let contents: Vec<Element> = known
            .mids
            .iter()
            .map(|mid| content_named(mid).with_child(transport.clone()))
            .collect();
        if contents.is_empty() {
            // Nothing was answered, so nothing was gathered.
            return Vec::new();
        }
        vec![request(
            to,
            jingle("transport-info", session).with_children(contents),
        )]
    }

    pub(super) fn active(&mut self, session: &SessionId, to: &Jid) -> Vec<Outgoing> {
        if self.find(session).is_none() {
            return Vec::new();
        }
        let active = Element::new("active", ns::RTP_INFO);
        vec![request(
            to,
            jingle("session-info", session).with_child(active),
        )]
    }

    /// Sent even for a session that is not known here: better one stanza too many than a session left behind.
    pub(super) fn terminate(
        &mut self,
        session: &SessionId,
        to: &Jid,
        why: Reason,
    ) -> Vec<Outgoing> {
        self.sessions.retain(|known| known.id != *session);
        vec![request(
            to,
            jingle("session-terminate", session).with_child(reason(why)),
        )]
    }

    /// The peer went offline.
    pub(super) fn unavailable(&mut self, from: &Jid) -> Vec<Signal> {
        let mut signals = Vec::new();
        self.sessions.retain(|session| {
            let gone = session.peer == *from;
            if gone {
                signals.push(Signal::Terminate {
                    session: session.id.clone(),
                    reason: Reason::Gone,
                });
            }
            !gone
        });
        signals
    }

    fn initiate(&mut self, own: &Own, from: &Jid, id: SessionId, jingle: &Element) -> Handled {
        let error = |error| Handled::with(Answer::Error(error));
        if jingle.child("content", ns::JINGLE).is_none() {
            return error(StanzaError::BAD_REQUEST);
        }
        if !from.is_softphone_gateway() || *from == own.full {
            tracing::debug!("a Jingle offer that is not for a softphone is refused");
            return error(StanzaError::SERVICE_UNAVAILABLE);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            tracing::warn!("more than {MAX_SESSIONS} Jingle sessions; one more is refused");
            return error(StanzaError::TOO_MANY);
        }
        let offer = match sdp_write::offer(jingle) {
            Ok(offer) => offer,
            Err(trouble) => {
                tracing::warn!(error = %trouble, "a Jingle offer cannot be used");
                return error(StanzaError::BAD_REQUEST);
            }
        };
        let session = Session {
            id,
            peer: from.clone(),
            offer,
            version: 1,
            accepted: false,
            ufrag: None,
            mids: Vec::new(),
        };
        let signals = vec![session.offer_signal()];
        self.sessions.push(session);
        Handled {
            signals,
            ..Handled::default()
        }
    }

    fn find(&mut self, id: &SessionId) -> Option<&mut Session> {
        let found = self.sessions.iter_mut().find(|session| session.id == *id);
        if found.is_none() {
            tracing::debug!("a reply for a Jingle session that has ended is not sent");
        }
        found
    }
}

impl Session {
    fn offer_signal(&self) -> Signal {
        Signal::Offer(Offer {
            session: self.id.clone(),
            conversation: None,
            peer: self.peer.clone(),
            sdp: self.offer.sdp.clone(),
            reinvite: false,
            request_id: String::new(),
            form: Form::Jingle,
        })
    }

    /// Candidates, their end, or new ICE parameters: then the offer is repeated with these.
    fn transport_info(&mut self, jingle: &Element) -> Handled {
        let mut signals = Vec::new();
        for content in jingle.children("content", ns::JINGLE) {
            let Some(transport) = content.child("transport", ns::ICE_UDP) else {
                continue;
            };
            if let Some(ice) = sdp_write::ice(transport)
                && self.offer.ice.as_ref() != Some(&ice)
            {
                self.version += 1;
                self.offer.sdp = sdp_write::restarted(&self.offer.sdp, &ice, self.version);
                self.offer.ice = Some(ice);
                signals.push(self.offer_signal());
            }
            for element in transport.children("candidate", ns::ICE_UDP) {
                let line = match candidate::from_jingle(element) {
                    Ok(line) => line,
                    Err(error) => {
                        tracing::warn!(%error, "a Jingle candidate cannot be used");
                        return Handled::with(Answer::Error(StanzaError::BAD_REQUEST));
                    }
                };
                signals.push(Signal::Candidate {
                    session: self.id.clone(),
                    candidate: Candidate {
                        mid: content.attribute("name").unwrap_or_default().to_owned(),
                        candidate: line,
                    },
                });
            }
            if transport.child("gathering-complete", ns::ICE_UDP).is_some() {
                signals.push(Signal::EndOfCandidates {
                    session: self.id.clone(),
                });
            }
        }
        Handled {
            signals,
            ..Handled::default()
        }
    }

    fn transport(&self) -> Element {
        Element::new("transport", ns::ICE_UDP).with_some("ufrag", self.ufrag.clone())
    }
}

/// Known payloads are acknowledged; an unknown one is refused (XEP-0166 6.8).
fn session_info(jingle: &Element) -> Handled {
    const KNOWN: [&str; 6] = ["active", "hold", "mute", "ringing", "unhold", "unmute"];
    let unknown = jingle
        .elements()
        .any(|info| info.ns != ns::RTP_INFO || !KNOWN.contains(&info.name.as_str()));
    if unknown {
        return Handled::with(Answer::Error(StanzaError::UNSUPPORTED_INFO));
    }
    Handled::default()
}

fn terminate_reason(jingle: &Element) -> Reason {
    jingle
        .child("reason", ns::JINGLE)
        .and_then(|reason| reason.elements().find(|child| child.name != "text"))
        .map_or(Reason::Success, |condition| reason_from(&condition.name))
}

/// Refuses what a gateway wants to add or replace, naming the same contents.
fn reject(to: &Jid, session: &SessionId, action: &str, what: &Element, why: Reason) -> Element {
    let contents = what
        .children("content", ns::JINGLE)
        .map(|content| content_named(content.attribute("name").unwrap_or_default()));
    let body = jingle(action, session).with_children(contents);
    iq(to, body.with_child(reason(why)))
}

fn reason(why: Reason) -> Element {
    Element::new("reason", ns::JINGLE).with_child(Element::new(&condition(why), ns::JINGLE))
}

fn content_named(name: &str) -> Element {
    Element::new("content", ns::JINGLE)
        .with("creator", "initiator")
        .with("name", name)
}

fn jingle(action: &str, session: &SessionId) -> Element {
    Element::new("jingle", ns::JINGLE)
        .with("sid", session.as_str())
        .with("action", action)
}

fn request(to: &Jid, jingle: Element) -> Outgoing {
    Outgoing::Request(iq(to, jingle))
}

fn iq(to: &Jid, jingle: Element) -> Element {
    Element::new("iq", ns::CLIENT)
        .with("to", to.as_str())
        .with("type", "set")
        .with_child(jingle)
}
