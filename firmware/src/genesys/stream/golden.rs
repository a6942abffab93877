//! The real client's trace, replayed: what it sent we must send, stanza by stanza, over three connections (sign-in, a
//! call, missed pings and a soft reconnect, a connection transfer and a hard one).
//!
//! `golden-trace.log` was recorded from the unmodified streaming client 19.8.1 against a loopback mock: `C>` is what
//! the client sent, `S>` what the mock sent, `**` what the client told its application.

use super::negotiation::{Negotiation, Step};
use super::session::{Output, Session};
use crate::device::Private;
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::model::{Chat, Organization, User};
use crate::genesys::signal::{Candidate, Form, Reason, Reply, Signal};
use crate::genesys::xml::{Element, Node, ns, parse};
use crate::genesys::{CloudEvent, Identity};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

const TRACE: &str = include_str!("golden-trace.log");
const BARE: &str = "5f0c@acme-1.orgspan.com";
const RESOURCE: &str = "0265c497-ea1a-49df-9b34-41de5e5fc9bd";
/// The recording's clock and its log were this far apart at most.
const SLACK: Duration = Duration::from_millis(100);

struct Replay {
    start: Instant,
    now: Instant,
    negotiation: Option<Negotiation>,
    session: Session,
    /// What we sent and the trace has not mentioned yet.
    sent: VecDeque<Element>,
    puts: Vec<Value>,
    events: Vec<CloudEvent>,
    drops: Vec<(String, bool)>,
    /// The trace's ids to ours.
    ids: HashMap<String, String>,
}

impl Replay {
    fn new() -> Self {
        let user = User {
            id: "U".into(),
            chat: Chat {
                jabber_id: BARE.into(),
            },
            ..User::default()
        };
        let identity = Identity {
            user,
            organization: Organization::default(),
            bare_jid: BARE.into(),
            station: None,
        };
        let now = Instant::now();
        Self {
            start: now,
            now,
            negotiation: None,
            session: Session::new(identity, "notifications.127.0.0.1:18080", false),
            sent: VecDeque::new(),
            puts: Vec::new(),
            events: Vec::new(),
            drops: Vec::new(),
            ids: HashMap::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let (seconds, rest) = line.trim_start().split_once(' ').expect("a time");
        let at = self.start + Duration::from_secs_f64(seconds.parse().expect("seconds"));
        self.advance(at);
        let rest = rest.trim_start();
        if rest.starts_with("WS /stream/") {
            let negotiation = Negotiation::new(BARE.into(), RESOURCE, Private::from("TOKEN"));
            self.sent.push_back(negotiation.open());
            self.negotiation = Some(negotiation);
        } else if let Some(text) = rest.strip_prefix("S> ") {
            self.server(text);
        } else if let Some(text) = rest.strip_prefix("C> ") {
            self.client(text);
        } else if let Some(put) = rest.strip_prefix("HTTP PUT ") {
            let body = put.split_whitespace().nth(1).expect("a body");
            let body: Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(self.puts.pop(), Some(body));
            self.session.put_done(self.now, Ok(Vec::new()));
            self.drain();
            self.confirm_persistent_connection();
        }
    }

    /// Runs the timers up to a little after `at`.
    fn advance(&mut self, at: Instant) {
        let end = at + SLACK;
        while let Some(due) = self.session.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(at);
    }

    fn server(&mut self, text: &str) {
        let mut text = text.to_owned();
        for (theirs, ours) in &self.ids {
            text = text.replace(theirs, ours);
        }
        let Some(negotiation) = &mut self.negotiation else {
            self.session.text(self.now, &text);
            return self.drain();
        };
        let stanza = parse(&text).expect("the mock sends stanzas");
        match negotiation.handle(&stanza) {
            Ok(Step::Wait) => {}
            Ok(Step::Send(element)) => self.sent.push_back(element),
            Ok(Step::Done(bound)) => {
                assert_eq!(bound.connection_id, "strm-1");
                self.negotiation = None;
                self.session.connected(self.now, &bound, "streaming-1");
                self.drain();
            }
            Err(refused) => panic!("{}", refused.error),
        }
    }

    /// The trace says that the client sent this: so must we have.
    fn client(&mut self, text: &str) {
        let expected = parse(text).expect("the client sends stanzas");
        if let Some(reply) = reply_of(&expected) {
            self.session.reply(self.now, &reply);
            self.drain();
        }
        if expected.is("close", ns::FRAMING) && self.sent.is_empty() {
            // The recording's own end.
            self.session.disconnected();
            return;
        }
        let sent = self
            .sent
            .pop_front()
            .unwrap_or_else(|| panic!("not sent: {text}"));
        self.remember_ids(&expected, &sent);
        assert_eq!(
            self.canonical(&sent).to_string(),
            expected_form(expected).to_string()
        );
    }

    fn remember_ids(&mut self, theirs: &Element, ours: &Element) {
        let mut pair = |theirs: Option<String>, ours: Option<String>| {
            if let (Some(theirs), Some(ours)) = (theirs, ours) {
                self.ids.insert(theirs, ours);
            }
        };
        let id = |iq: &Element| {
            let is_request = matches!(iq.attribute("type"), Some("get" | "set"));
            let id = iq.attribute("id").filter(|_| is_request && iq.name == "iq");
            id.map(str::to_owned)
        };
        pair(id(theirs), id(ours));
        let json_id = |iq: &Element| {
            let json = json_of(iq)?;
            json["id"].as_str().map(str::to_owned)
        };
        pair(json_id(theirs), json_id(ours));
    }

    /// With the trace's ids and with attributes and JSON members in order.
    fn canonical(&self, element: &Element) -> Element {
        let mut text = element.to_string();
        for (theirs, ours) in &self.ids {
            text = text.replace(ours.as_str(), theirs);
        }
        expected_form(parse(&text).expect("we send stanzas"))
    }

    /// The recording has the streaming client alone; the SDK on top of it subscribes this as well.
    fn confirm_persistent_connection(&mut self) {
        let at = self.sent.iter().position(|iq| {
            let text = iq.to_string();
            text.contains(r#"node="v2.users.U.persistentconnection""#)
        });
        let iq = self.sent.remove(at.expect("subscribed")).expect("there");
        let id = iq.attribute("id").expect("an id");
        let result = format!(r#"<iq xmlns="jabber:client" id="{id}" type="result"/>"#);
        self.session.text(self.now, &result);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(element) => self.sent.push_back(element),
                Output::Event(event) => self.events.push(event),
                Output::Put(body) => self.puts.push(body),
                Output::Up => {}
                Output::ReadStation(_) | Output::FindStation | Output::AskLeader { .. } => {
                    panic!("there is no station")
                }
                Output::Drop(dropped) => {
                    self.drops.push((dropped.reason, dropped.hard));
                    self.sent.push_back(Element::new("close", ns::FRAMING));
                    assert_eq!(self.session.disconnected(), []);
                }
            }
        }
    }
}

/// Attributes sorted, JSON re-written: what two writers may order differently.
fn expected_form(mut element: Element) -> Element {
    element.attributes.sort();
    let json = json_of_text(&element);
    for node in &mut element.nodes {
        match node {
            Node::Element(child) => *child = expected_form(std::mem::take(child)),
            Node::Text(text) => {
                if let Some(json) = &json {
                    *text = json.to_string();
                }
            }
        }
    }
    element
}

fn json_of(iq: &Element) -> Option<Value> {
    json_of_text(iq.child("genesys-webrtc", ns::GENESYS)?)
}

fn json_of_text(element: &Element) -> Option<Value> {
    serde_json::from_str(&element.text()).ok()
}

/// What the application asked for, read off the stanza that the real client made of it.
fn reply_of(stanza: &Element) -> Option<Reply> {
    let to = Jid::from(stanza.attribute("to").unwrap_or_default());
    let form = Form::SdpOverXmpp;
    if let Some(message) = stanza.elements().find(|c| c.ns == ns::JINGLE_MESSAGE) {
        let session = SessionId::from(message.attribute("id")?);
        return match message.name.as_str() {
            "proceed" => Some(Reply::Proceed { session, to }),
            "accept" => Some(Reply::Accept { session }),
            other => panic!("{other}"),
        };
    }
    let json = json_of(stanza)?;
    let params = &json["params"];
    let session = SessionId::from(params["sessionId"].as_str()?);
    let sdp = params["sdp"].as_str().unwrap_or_default().to_owned();
    Some(match json["method"].as_str()? {
        "answer" => Reply::Answer {
            session,
            to,
            form,
            sdp,
        },
        "iceCandidate" if sdp.starts_with("m=") => {
            let (media, candidate) = sdp.trim_end().split_once("\r\na=").expect("a candidate");
            let mid = media
                .trim_start_matches("m=")
                .split(' ')
                .next()
                .expect("a mid");
            let candidate = Candidate {
                mid: mid.to_owned(),
                candidate: candidate.to_owned(),
            };
            Reply::Candidate {
                session,
                to,
                form,
                candidate,
            }
        }
        "iceCandidate" => Reply::EndOfCandidates { session, to, form },
        "info" => Reply::Active { session, to, form },
        "terminate" => Reply::Terminate {
            session,
            to,
            form,
            reason: Reason::Success,
        },
        other => panic!("{other}"),
    })
}

#[test]
fn we_send_what_the_real_client_sent() {
    let mut replay = Replay::new();
    for line in TRACE.lines() {
        replay.line(line);
    }
    assert!(replay.sent.is_empty(), "sent too much: {:?}", replay.sent);
    assert_eq!(
        replay.drops,
        [
            ("two pings in a row were not answered".to_owned(), false),
            ("the server asked to move the connection".to_owned(), true),
        ]
    );
    let mut events = replay.events.iter();
    let mut next = || events.next().expect("an event");
    assert!(matches!(next(), CloudEvent::Ready(_)));
    assert!(
        matches!(next(), CloudEvent::IceServers(ice) if !ice.relay_only && ice.servers.len() == 2)
    );
    assert!(
        matches!(next(), CloudEvent::Connected { reconnect: false, full_jid }
        if full_jid.as_str() == format!("{BARE}/{RESOURCE}"))
    );
    assert!(
        matches!(next(), CloudEvent::Conversation(event) if event.conversation.id.as_str() == "C")
    );
    assert!(
        matches!(next(), CloudEvent::Signal(Signal::Propose(propose))
        if propose.form == Form::SdpOverXmpp && !propose.auto_answer && propose.conversation.as_str() == "C")
    );
    assert!(
        matches!(next(), CloudEvent::Signal(Signal::Candidate { candidate, .. })
        if candidate.mid == "audio" && candidate.candidate == "candidate:1 1 udp 1 10.0.0.1 5 typ host")
    );
    assert!(matches!(next(), CloudEvent::Signal(Signal::Offer(offer))
        if offer.session.as_str() == "S1" && !offer.reinvite && offer.request_id == "o1"));
    for _ in 0..2 {
        assert!(matches!(
            next(),
            CloudEvent::Connected {
                reconnect: true,
                ..
            }
        ));
    }
    assert!(events.next().is_none());
}
