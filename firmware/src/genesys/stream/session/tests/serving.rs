//! A connection that is up, and its end.

use super::{Bench, PEER, terminate};
use crate::genesys::CloudEvent;
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::signal::{Form, Reason, Reply, Signal};

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
        [
            CloudEvent::Station(_),
            CloudEvent::StationFetched(None),
            CloudEvent::StationTrouble(_)
        ]
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
