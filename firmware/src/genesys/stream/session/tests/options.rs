//! What is off unless configured: server pings, the alerting leader, the search for a station.

use super::{Bench, status};
use crate::genesys::CloudEvent;
use crate::genesys::stations::StationSummary;
use crate::genesys::subscriptions::Leader;
use crate::genesys::xml::Element;

const TOPIC: &str = "v2.users.U.alertingleader";

fn named<'a>(sent: &'a [Element], what: &str) -> &'a Element {
    let found = sent.iter().find(|iq| iq.to_string().contains(what));
    found.unwrap_or_else(|| panic!("{what} in {sent:?}"))
}

/// Connected with server pings; what the server said to that.
fn pinged(accepted: bool) -> Bench {
    let mut bench = Bench::new(None);
    bench.session.use_server_pings();
    let sent = bench.connect("ch1");
    let asked = named(&sent, "enable.server.side.pings").clone();
    let text = asked.to_string();
    assert!(
        text.contains(r#"to="notifications.x""#) && text.contains(r#"jid="me@acme.test""#),
        "{text}"
    );
    let others = sent.into_iter().filter(|iq| *iq != asked).collect();
    if accepted {
        bench.answer(&asked);
    } else {
        bench.refuse(&asked, "item-not-found");
    }
    bench.serve(others);
    bench.put(Ok(()));
    assert!(bench.connected());
    bench.events.clear();
    bench
}

#[test]
fn a_server_that_pings_is_only_watched() {
    let mut bench = pinged(true);
    assert!(bench.pass(30).is_empty(), "no ping of ours");
    let pong = bench
        .feed(r#"<iq xmlns="jabber:client" type="get" id="p"><ping xmlns="urn:xmpp:ping"/></iq>"#);
    assert_eq!(pong.len(), 1);
    bench.pass(34);
    assert!(bench.drops.is_empty());
    bench.feed("anything");
    bench.pass(34);
    assert!(bench.drops.is_empty(), "any frame is a sign of life");
    bench.pass(1);
    assert_eq!(bench.drops.len(), 1);
    assert!(
        !bench.drops[0].hard && bench.drops[0].reason.contains("35 s"),
        "{:?}",
        bench.drops
    );
}

#[test]
fn where_the_server_does_not_ping_the_phone_does() {
    let mut bench = pinged(false);
    assert_eq!(bench.pass(14).len(), 1);
    bench.pass(44);
    assert_eq!(bench.drops.len(), 1, "58 s after connecting");
}

/// Connected with the alerting leader's topic subscribed, or refused.
fn alerting(accepted: bool) -> Bench {
    let mut bench = Bench::new(None);
    bench.session.use_alerting_leader();
    let sent = bench.connect("ch1");
    bench.answer(&sent[0]);
    let sent = bench.answer(&sent[1]);
    let asked = named(&sent, TOPIC).clone();
    if accepted {
        bench.answer(&asked);
    } else {
        bench.refuse(&asked, "forbidden");
    }
    bench.serve(sent.into_iter().filter(|iq| *iq != asked).collect());
    bench.put(Ok(()));
    bench
}

fn leader(connection: &str) -> Leader {
    Leader {
        connection_id: Some(connection.to_owned()),
        client_type: Some("web".to_owned()),
    }
}

/// `alerting configured`, of each event.
fn told(bench: &Bench) -> Vec<(bool, bool)> {
    let events = bench.events.iter();
    events
        .filter_map(|event| match event {
            CloudEvent::AlertingLeader {
                alerting,
                configured,
                ..
            } => Some((*alerting, *configured)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_leader_is_asked_for_on_each_connection() {
    let mut bench = alerting(true);
    assert_eq!(bench.leaders, ["strm"]);
    bench.session.leader_read("strm", Ok(leader("strm")));
    bench.drain();
    assert_eq!(told(&bench), [(true, true)]);
    bench.session.disconnected();
    bench.events.clear();
    let sent = bench.connect("ch1");
    bench.serve(sent);
    assert_eq!(
        bench.leaders,
        ["strm", "strm"],
        "a soft reconnect is a new connection too"
    );
    bench.session.leader_read("strm", Ok(leader("other")));
    bench.drain();
    assert_eq!(told(&bench), [(false, true)]);
}

#[test]
fn an_event_comes_first_and_wins() {
    let mut bench = alerting(true);
    bench.notify(TOPIC, r#"{"eventBody":{"userId":"U"}}"#);
    assert!(told(&bench).is_empty(), "no connection, nothing said");
    bench.notify(
        TOPIC,
        r#"{"eventBody":{"userId":"U","connectionId":"other","clientType":"web"}}"#,
    );
    assert_eq!(told(&bench), [(false, true)]);
    bench.session.leader_read("strm", Ok(leader("strm")));
    bench.drain();
    assert_eq!(told(&bench), [(false, true)], "what was read is older");
    bench.notify(TOPIC, r#"{"eventBody":{"connectionId":"strm"}}"#);
    assert_eq!(told(&bench), [(false, true), (true, true)]);
}

#[test]
fn whatever_fails_this_phone_rings() {
    assert_eq!(told(&alerting(false)), [(true, false)]);
    let mut bench = alerting(true);
    bench.session.leader_read("strm", Err(status(404)));
    bench.drain();
    assert_eq!(told(&bench), [(true, false)]);
    // An answer for an earlier connection says nothing of this one.
    let mut bench = alerting(true);
    bench.session.leader_read("earlier", Err(status(404)));
    bench.drain();
    assert!(told(&bench).is_empty());
}

#[test]
fn a_phone_that_does_not_take_part_asks_nobody() {
    let mut bench = Bench::ready(None);
    assert!(bench.leaders.is_empty());
    bench.notify(TOPIC, r#"{"eventBody":{"connectionId":"other"}}"#);
    assert!(bench.events.is_empty());
}

#[test]
fn a_station_is_looked_for_before_the_phone_is_ready() {
    let search = || {
        let mut bench = Bench::new(None);
        bench.session.search_station();
        let sent = bench.connect("ch1");
        bench.serve(sent);
        bench.put(Ok(()));
        assert_eq!((bench.searches, bench.events.len()), (1, 0));
        bench
    };
    let mut bench = search();
    let found = StationSummary {
        id: "ST".into(),
        ..StationSummary::default()
    };
    bench.session.station_found(Some(found));
    bench.drain();
    assert_eq!(bench.stations, ["ST"]);
    bench.station("ST", true);
    assert!(matches!(&bench.events[0], CloudEvent::Ready(identity) if identity.station.is_some()));
    let mut bench = search();
    bench.session.station_found(None);
    bench.drain();
    assert!(matches!(&bench.events[0], CloudEvent::Ready(identity) if identity.station.is_none()));
    assert!(bench.connected());
}
