//! From sign-in to `Connected`.

use super::{Bench, status};
use crate::genesys::CloudEvent;
use crate::genesys::signal::Signal;

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
    for (code, expected) in [
        (403, "must give the user's role the missing permission"),
        (401, "the access token was refused"),
        (500, "answered 500"),
    ] {
        let mut bench = Bench::new(None);
        let sent = bench.connect("ch1");
        bench.serve(sent);
        bench.put(Err(status(code)));
        let error = refused(&bench).expect("dropped");
        assert!(error.to_string().contains(expected), "{error}");
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
