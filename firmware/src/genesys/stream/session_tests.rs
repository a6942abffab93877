use super::super::Own;
use super::super::negotiation::Bound;
use super::{Dropped, Output, Session};
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::model::{Chat, Organization, Station, StationRef, User, UserStations};
use crate::genesys::rest::RestError;
use crate::genesys::signal::{Form, Reason, Reply, Signal};
use crate::genesys::xml::Element;
use crate::genesys::{CloudError, CloudEvent, Identity};
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
}

impl Bench {
    fn new(station: Option<&str>) -> Self {
        let effective = station.map(|id| UserStations {
            effective_station: Some(StationRef {
                id: id.into(),
                name: None,
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
                Output::Up => self.ups += 1,
                Output::Drop(dropped) => self.drops.push(dropped),
            }
        }
        sent
    }

    fn signals(&self) -> Vec<&Signal> {
        let signal = |event| match event {
            &CloudEvent::Signal(ref signal) => Some(signal),
            _ => None,
        };
        self.events.iter().filter_map(signal).collect()
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

#[test]
fn the_first_connection_step_by_step() {
    let mut bench = Bench::new(Some("ST"));
    let sent = bench.connect("ch1");
    assert_eq!(sent.len(), 2, "service discovery");
    assert_eq!(bench.ups, 0);
    bench.answer(&sent[0]);
    let sent = bench.answer(&sent[1]);
    assert_eq!(bench.ups, 1);
    assert_eq!(
        sent.len(),
        3,
        "service discovery again, and the conversations"
    );
    assert_eq!((bench.puts, bench.stations.len()), (0, 0));
    // What comes before the phone is ready waits for it.
    bench.feed(r#"<message xmlns="jabber:client" from="+1555@acme.gjoll.test/x"><retract xmlns="urn:xmpp:jingle-message:0" id="S"/></message>"#);
    bench.serve(sent);
    assert_eq!(
        (bench.puts, bench.stations.as_slice()),
        (1, ["ST".to_owned()].as_slice())
    );
    bench.put(Ok(()));
    assert!(bench.events.is_empty(), "the station is not read yet");
    bench.station("ST", true);
    let mut events = bench.events.iter();
    let mut next = || events.next().expect("an event");
    assert!(matches!(next(), CloudEvent::Ready(identity) if identity.station.is_some()));
    assert!(matches!(next(), CloudEvent::IceServers(ice) if !ice.relay_only));
    assert!(matches!(
        next(),
        CloudEvent::Connected {
            reconnect: false,
            ..
        }
    ));
    assert!(matches!(next(), CloudEvent::Signal(Signal::Retract { .. })));
    assert!(events.next().is_none());
}

#[test]
fn a_station_that_cannot_be_read_or_is_not_there_does_not_hold_up_the_start() {
    for (station, found) in [(Some("ST"), false), (None, false)] {
        let mut bench = Bench::new(station);
        let sent = bench.connect("ch1");
        bench.serve(sent);
        bench.put(Ok(()));
        if station.is_some() {
            bench.station("ST", found);
        }
        assert!(
            matches!(&bench.events[0], CloudEvent::Ready(identity) if identity.station.is_none())
        );
        assert!(bench.connected());
    }
    let mut late = Bench::ready(Some("ST"));
    late.station("OTHER", true);
    assert!(late.events.is_empty(), "a late answer about an old station");
    late.station("ST", true);
    assert!(matches!(
        late.events[0],
        CloudEvent::StationFetched(Some(_))
    ));
}

#[test]
fn soft_and_hard_reconnects() {
    let mut bench = Bench::ready(None);
    let puts = bench.puts;
    bench.session.disconnected();
    let sent = bench.connect("ch1");
    bench.serve(sent);
    assert_eq!(bench.puts, puts, "the channel keeps its subscriptions");
    assert!(matches!(
        bench.events[..],
        [CloudEvent::Connected {
            reconnect: true,
            ..
        }]
    ));

    bench.session.disconnected();
    bench.events.clear();
    let sent = bench.connect("ch2");
    bench.serve(sent);
    assert_eq!(bench.puts, puts + 1);
    assert!(
        bench.events.is_empty(),
        "not before the subscriptions are made"
    );
    bench.put(Ok(()));
    assert!(matches!(
        bench.events[..],
        [CloudEvent::Connected {
            reconnect: true,
            ..
        }]
    ));
}

#[test]
fn subscriptions_that_fail() {
    let refused = |bench: &Bench| bench.drops.first().and_then(|d| d.error.clone());
    // At the start the attempt is of no use; without rights no other will be.
    for (code, is_token) in [(403, true), (401, true), (500, false)] {
        let mut bench = Bench::new(None);
        let sent = bench.connect("ch1");
        bench.serve(sent);
        bench.put(Err(status(code)));
        let error = refused(&bench).expect("dropped");
        assert_eq!(
            matches!(error, CloudError::InvalidToken { .. }),
            is_token,
            "{error}"
        );
    }
    let mut bench = Bench::new(None);
    let sent = bench.connect("ch1");
    bench.answer(&sent[0]);
    let sent = bench.answer(&sent[1]);
    bench.refuse(&sent[2], "forbidden");
    let error = refused(&bench).expect("dropped").to_string();
    assert!(
        error.contains("subscription to the conversations") && error.contains("forbidden"),
        "{error}"
    );

    // Later the calls go on, and the list is tried again.
    let mut bench = Bench::ready(None);
    bench.session.disconnected();
    let sent = bench.connect("ch2");
    bench.serve(sent);
    let puts = bench.puts;
    bench.put(Err(status(503)));
    assert!(bench.connected() && bench.drops.is_empty());
    bench.pass(14);
    assert_eq!(bench.puts, puts);
    bench.pass(1);
    assert_eq!(bench.puts, puts + 1);
}

#[test]
fn the_persistent_connection_s_topic_may_be_refused() {
    let mut bench = Bench::new(None);
    let sent = bench.connect("ch1");
    bench.serve(sent);
    bench.session.put_done(bench.now, Ok(Vec::new()));
    let sent = bench.drain();
    bench.refuse(&sent[0], "forbidden");
    assert!(bench.connected());
}

#[test]
fn service_discovery_that_fails() {
    // The first one of a connection has one try.
    let mut bench = Bench::new(None);
    let sent = bench.connect("ch1");
    bench.refuse(&sent[0], "internal-server-error");
    bench.refuse(&sent[1], "internal-server-error");
    assert_eq!(bench.drops.len(), 1);
    let mut bench = Bench::new(None);
    bench.connect("ch1");
    bench.pass(15);
    let error = bench.drops[0].error.clone().expect("an error").to_string();
    assert!(
        error.contains("service discovery") && error.contains("15 s"),
        "{error}"
    );

    // A later one three, at once; then it waits for its next turn.
    let mut bench = Bench::ready(None);
    bench.serve_pings(6 * 3600 - 1);
    let mut queries = bench.serve_pings(1);
    for _ in 0..2 {
        assert_eq!(queries.len(), 2);
        let again = bench.refuse(&queries[0], "item-not-found");
        bench.refuse(&queries[1], "item-not-found");
        queries = again;
    }
    assert!(bench.refuse(&queries[0], "item-not-found").is_empty());
    assert!(bench.drops.is_empty() && bench.events.is_empty());
    assert_eq!(bench.serve_pings(6 * 3600).len(), 2);
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

#[test]
fn changed_ice_servers_are_told_once() {
    let mut bench = Bench::ready(None);
    let queries = bench.serve_pings(6 * 3600);
    for query in &queries {
        let id = query.attribute("id").expect("an id");
        bench.feed(&format!(r#"<iq xmlns="jabber:client" id="{id}" type="result"><services xmlns="urn:xmpp:extdisco:1"/></iq>"#));
    }
    assert!(matches!(&bench.events[..], [CloudEvent::IceServers(ice)] if ice.relay_only));
    bench.events.clear();
    let queries = bench.serve_pings(6 * 3600);
    for query in &queries {
        let id = query.attribute("id").expect("an id");
        bench.feed(&format!(r#"<iq xmlns="jabber:client" id="{id}" type="result"><services xmlns="urn:xmpp:extdisco:1"/></iq>"#));
    }
    assert!(bench.events.is_empty(), "nothing new");
}

#[test]
fn a_mute_server_is_dropped_after_58_seconds() {
    let mut bench = Bench::ready(None);
    bench.pass(57);
    assert!(bench.drops.is_empty());
    bench.pass(1);
    assert_eq!(bench.drops.len(), 1);
    assert!(!bench.drops[0].hard && bench.drops[0].error.is_none());
}

#[test]
fn requests_of_the_server_are_answered() {
    let mut bench = Bench::ready(None);
    for (request, expected) in [
        (
            r#"type="get"><ping xmlns="urn:xmpp:ping"/>"#,
            r#"type="result"/>"#,
        ),
        (
            r#"type="get"><query xmlns="http://jabber.org/protocol/disco#info"/>"#,
            r#"category="client""#,
        ),
        (
            r#"type="get"><query xmlns="http://jabber.org/protocol/disco#items"/>"#,
            r#"disco#items"/>"#,
        ),
        (
            r#"type="get"><version xmlns="jabber:iq:version"/>"#,
            "<service-unavailable",
        ),
        (
            r#"type="set"><ping xmlns="urn:xmpp:ping"/>"#,
            "<service-unavailable",
        ),
        (
            r#"type="get"><genesys-webrtc xmlns="genesys">{}</genesys-webrtc>"#,
            "<service-unavailable",
        ),
        (r#"type="set">"#, "<bad-request"),
        (
            r#"type="set"><genesys-webrtc xmlns="genesys">{}</genesys-webrtc><x xmlns="y"/>"#,
            "<bad-request",
        ),
        (
            r#"type="set"><genesys-webrtc xmlns="genesys">{</genesys-webrtc>"#,
            "<bad-request",
        ),
    ] {
        let text = format!(r#"<iq xmlns="jabber:client" id="q" from="{PEER}" {request}</iq>"#);
        let sent = bench.feed(&text);
        assert_eq!(sent.len(), 1, "{request}");
        let answer = sent[0].to_string();
        assert!(answer.contains(expected), "{request}: {answer}");
        assert!(
            answer.contains(r#"id="q""#) && answer.contains(PEER),
            "{answer}"
        );
    }
    let quiet = bench.feed(&format!(
        r#"<iq xmlns="jabber:client" id="q" type="set" from="{PEER}"><genesys-webrtc xmlns="genesys">{{"method":"mute"}}</genesys-webrtc></iq>"#
    ));
    assert!(quiet.is_empty());
}

#[test]
fn bad_messages_are_skipped_and_the_connection_is_kept() {
    let mut bench = Bench::ready(None);
    for text in [
        "",
        "garbage",
        "<iq",
        r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"/></message>"#,
        r#"<message xmlns="jabber:client"><propose xmlns="urn:xmpp:jingle-message:0"/></message>"#,
        r#"<iq xmlns="jabber:client" type="result" id="nobody-asked"/>"#,
        r#"<iq xmlns="jabber:client"/>"#,
        r#"<presence xmlns="jabber:client" type="unavailable"/>"#,
        r#"<stream:error xmlns:stream="http://etherx.jabber.org/streams"><reset xmlns="u"/></stream:error>"#,
        r#"<unknown xmlns="x"/>"#,
    ] {
        assert!(bench.feed(text).is_empty(), "{text}");
    }
    bench.notify("v2.users.U.conversations", "{not json");
    assert!(bench.drops.is_empty() && bench.events.is_empty());
    bench.notify("v2.users.U.conversations", r#"{"eventBody":{"id":"C"}}"#);
    assert!(matches!(bench.events[..], [CloudEvent::Conversation(_)]));
}

#[test]
fn what_ends_a_connection_and_how_the_next_one_is_made() {
    let close = r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#;
    let transfer = r#"<iq xmlns="jabber:client" type="set" id="cx"><query xmlns="urn:xmpp:cxfr"><server>1.2.3.4</server></query></iq>"#;
    for (text, hard) in [(close, false), (transfer, true)] {
        let mut bench = Bench::ready(None);
        assert!(bench.feed(text).is_empty(), "nothing is answered");
        assert_eq!(bench.drops[0].hard, hard, "{text}");
        assert_eq!(bench.session.next_is_hard(), hard);
    }
    let mut bench = Bench::ready(None);
    bench.notify("v2.system.socket_closing", "{}");
    assert!(bench.drops[0].hard);
    for node in [
        "system.v2.no_longer_subscribed.ch1",
        "system.v2.duplicate_id.ch1",
    ] {
        let mut bench = Bench::ready(None);
        bench.notify(node, r#"{"channelId":"ch1"}"#);
        assert!(bench.session.next_is_hard() && bench.drops.is_empty());
        assert!(bench.pass(59).is_empty(), "no more pings");
        bench.pass(1);
        assert!(bench.drops[0].hard, "a server that leaves the socket open");
    }
    let mut bench = Bench::ready(None);
    let puts = bench.puts;
    bench.notify("streaming-subscriptions-expiring", "{}");
    assert_eq!(bench.puts, puts + 1);
    assert!(bench.drops.is_empty());
}

#[test]
fn station_events_lead_to_another_reading() {
    let mut bench = Bench::ready(Some("ST"));
    bench.stations.clear();
    bench.notify(
        "v2.users.U.station",
        r#"{"metadata":{"action":"Associated"},"eventBody":{"associatedStation":{"id":"ST2"}}}"#,
    );
    assert!(matches!(bench.events[..], [CloudEvent::Station(_)]));
    bench.station("ST2", true);
    assert!(matches!(
        bench.events[1],
        CloudEvent::StationFetched(Some(_))
    ));
    bench.notify(
        "v2.users.U.station",
        r#"{"metadata":{"action":"WebRTCMigration"}}"#,
    );
    assert_eq!(bench.stations, ["ST2", "ST2"]);
    bench.events.clear();
    bench.notify(
        "v2.users.U.station",
        r#"{"metadata":{"action":"Disassociated"}}"#,
    );
    assert!(matches!(
        bench.events[..],
        [CloudEvent::Station(_), CloudEvent::StationFetched(None)]
    ));
    assert_eq!(bench.stations.len(), 2, "nothing to read");
}

#[test]
fn an_answer_for_a_session_the_gateway_does_not_know_ends_it() {
    let mut bench = Bench::ready(None);
    let answer = Reply::Answer {
        session: SessionId::from("S"),
        to: Jid::from(PEER),
        form: Form::SdpOverXmpp,
        sdp: "v=0".to_owned(),
    };
    let sent = bench.reply(&answer);
    bench.refuse(&sent[0], "internal-server-error");
    assert!(bench.signals().is_empty());
    let sent = bench.reply(&answer);
    bench.refuse(&sent[0], "item-not-found");
    assert_eq!(
        bench.signals(),
        [&Signal::Terminate {
            session: SessionId::from("S"),
            reason: Reason::Gone
        }]
    );
    // The end of a session that is gone is no news.
    bench.events.clear();
    let sent = bench.reply(&terminate());
    bench.refuse(&sent[0], "item-not-found");
    assert!(bench.events.is_empty());
}

#[test]
fn an_unconfirmed_end_of_a_session_survives_the_connection() {
    let mut bench = Bench::ready(None);
    let sent = bench.reply(&terminate());
    assert_eq!(bench.session.disconnected(), [terminate()]);
    assert_eq!(sent.len(), 1);
    let mut bench = Bench::ready(None);
    let sent = bench.reply(&terminate());
    bench.answer(&sent[0]);
    assert!(bench.session.disconnected().is_empty());
}

#[test]
fn nothing_is_read_between_connections() {
    let mut bench = Bench::ready(None);
    bench.session.disconnected();
    bench.notify("v2.users.U.conversations", r#"{"eventBody":{"id":"C"}}"#);
    assert!(bench.events.is_empty());
    assert_eq!(bench.session.next_timeout(), None);
}

#[test]
fn a_flood_before_the_phone_is_ready_keeps_the_newest() {
    let mut bench = Bench::new(None);
    let sent = bench.connect("ch1");
    for n in 0..300 {
        bench.notify(
            "v2.users.U.conversations",
            &format!(r#"{{"eventBody":{{"id":"C{n}"}}}}"#),
        );
    }
    bench.serve(sent);
    bench.put(Ok(()));
    let last = bench.events.last().expect("events");
    assert!(
        matches!(last, CloudEvent::Conversation(event) if event.conversation.id.as_str() == "C299")
    );
    assert_eq!(bench.events.len(), 3 + 256);
}
