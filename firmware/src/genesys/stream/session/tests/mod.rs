//! The session on a bench: what it sends and tells, stanza by stanza and timer by timer.

mod options;
mod serving;
mod starting;

use super::super::Own;
use super::super::negotiation::Bound;
use super::{Dropped, Output, Session};
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::model::{Chat, Organization, Station, StationRef, User, UserStations};
use crate::genesys::rest::RestError;
use crate::genesys::signal::{Form, Reason, Reply, Signal};
use crate::genesys::xml::Element;
use crate::genesys::{CloudEvent, Identity};
use std::time::{Duration, Instant};

const FULL: &str = "me@acme.test/phone";
const PEER: &str = "+1555@acme.gjoll.test/x";

/// A session, its clock, and what it wanted.
struct Bench {
    session: Session,
    now: Instant,
    events: Vec<CloudEvent>,
    drops: Vec<Dropped>,
    puts: usize,
    stations: Vec<String>,
    ups: usize,
    searches: usize,
    leaders: Vec<String>,
}

impl Bench {
    fn new(station: Option<&str>) -> Self {
        let effective = station.map(|id| UserStations {
            effective_station: Some(StationRef {
                id: id.into(),
                name: None,
                r#type: None,
            }),
            ..UserStations::default()
        });
        let identity = Identity {
            user: User {
                id: "U".into(),
                chat: Chat {
                    jabber_id: "me@acme.test".into(),
                },
                station: effective,
                ..User::default()
            },
            organization: Organization::default(),
            bare_jid: "me@acme.test".into(),
            station: None,
        };
        Self {
            session: Session::new(identity, "notifications.x", false),
            now: Instant::now(),
            events: Vec::new(),
            drops: Vec::new(),
            puts: 0,
            stations: Vec::new(),
            ups: 0,
            searches: 0,
            leaders: Vec::new(),
        }
    }

    fn connect(&mut self, channel: &str) -> Vec<Element> {
        let bound = Bound {
            own: Own::new(Jid::from(FULL)),
            connection_id: "strm".to_owned(),
        };
        self.session.connected(self.now, &bound, channel);
        self.drain()
    }

    /// Up to `Connected`, as a good server has it.
    fn ready(station: Option<&str>) -> Self {
        let mut bench = Self::new(station);
        let sent = bench.connect("ch1");
        bench.serve(sent);
        bench.put(Ok(()));
        if let Some(id) = station {
            bench.station(id, true);
        }
        assert!(bench.connected(), "{:?}", bench.events);
        bench.events.clear();
        bench
    }

    fn connected(&self) -> bool {
        let is_connected = |e: &CloudEvent| matches!(e, CloudEvent::Connected { .. });
        self.events.last().is_some_and(is_connected)
    }

    /// Answers every request like a good server, and the requests that follow from that.
    fn serve(&mut self, mut sent: Vec<Element>) {
        while !sent.is_empty() {
            let mut more = Vec::new();
            for iq in sent {
                if iq.name == "iq"
                    && iq
                        .attribute("type")
                        .is_some_and(|t| t != "result" && t != "error")
                {
                    more.extend(self.answer(&iq));
                }
            }
            sent = more;
        }
    }

    fn answer(&mut self, iq: &Element) -> Vec<Element> {
        let id = iq.attribute("id").expect("an id");
        let inside = if iq.to_string().contains("type=\"stun\"") {
            r#"<services xmlns="urn:xmpp:extdisco:1"><service type="stun" host="s.test"/></services>"#
        } else {
            ""
        };
        self.feed(&format!(
            r#"<iq xmlns="jabber:client" id="{id}" type="result">{inside}</iq>"#
        ))
    }

    fn refuse(&mut self, iq: &Element, condition: &str) -> Vec<Element> {
        let id = iq.attribute("id").expect("an id");
        self.feed(&format!(
            r#"<iq xmlns="jabber:client" id="{id}" type="error"><error type="cancel"><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>"#
        ))
    }

    fn feed(&mut self, text: &str) -> Vec<Element> {
        self.session.text(self.now, text);
        self.drain()
    }

    fn notify(&mut self, node: &str, json: &str) -> Vec<Element> {
        self.feed(&format!(
            r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="{node}"><item id="1"><json xmlns="urn:xmpp:json:0">{json}</json></item></items></event></message>"#
        ))
    }

    fn put(&mut self, result: Result<(), RestError>) {
        self.session.put_done(self.now, result.map(|()| Vec::new()));
        let sent = self.drain();
        self.serve(sent);
    }

    fn station(&mut self, id: &str, found: bool) {
        let station = found.then(|| Station {
            id: id.into(),
            ..Station::default()
        });
        self.session.station_read(&id.into(), station);
        self.drain();
    }

    fn reply(&mut self, reply: &Reply) -> Vec<Element> {
        self.session.reply(self.now, reply);
        self.drain()
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, seconds: u64) -> Vec<Element> {
        let end = self.now + Duration::from_secs(seconds);
        let mut sent = Vec::new();
        while let Some(due) = self.session.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.timeout(self.now);
            sent.extend(self.drain());
            if !self.drops.is_empty() {
                break;
            }
        }
        self.now = end;
        sent
    }

    fn drain(&mut self) -> Vec<Element> {
        let mut sent = Vec::new();
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(element) => sent.push(element),
                Output::Event(event) => self.events.push(event),
                Output::Put(_) => self.puts += 1,
                Output::ReadStation(id) => self.stations.push(id.to_string()),
                Output::FindStation => self.searches += 1,
                Output::AskLeader { connection } => self.leaders.push(connection),
                Output::Up => self.ups += 1,
                Output::Drop(dropped) => self.drops.push(dropped),
            }
        }
        sent
    }

    fn signals(&self) -> Vec<&Signal> {
        let events = self.events.iter();
        events
            .filter_map(|event| match event {
                CloudEvent::Signal(signal) => Some(signal),
                _ => None,
            })
            .collect()
    }
}

fn status(status: u16) -> RestError {
    RestError::Status {
        request: "PUT /x".to_owned(),
        status,
        code: None,
        message: None,
        correlation_id: None,
        retry_after: None,
    }
}

fn terminate() -> Reply {
    Reply::Terminate {
        session: SessionId::from("S"),
        to: Jid::from(PEER),
        form: Form::SdpOverXmpp,
        reason: Reason::Success,
    }
}

impl Bench {
    /// Lets time pass with a server that answers pings; what else was sent.
    fn serve_pings(&mut self, seconds: u64) -> Vec<Element> {
        let mut others = Vec::new();
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.session.next_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.session.timeout(due);
            for sent in self.drain() {
                if sent.to_string().contains("urn:xmpp:ping") {
                    self.answer(&sent);
                } else {
                    others.push(sent);
                }
            }
            if !others.is_empty() {
                break;
            }
        }
        if others.is_empty() {
            self.now = end;
        }
        others
    }
}
