use super::{
    IqError, IqTable, MAX_PENDING, StanzaError, TIMEOUT, disco_info, error_for, result_for,
};
use crate::genesys::id::Jid;
use crate::genesys::stream::Own;
use crate::genesys::xml::{Element, ns, parse};
use std::time::{Duration, Instant};

fn own() -> Own {
    Own::new(Jid::from("me@acme.test/phone"))
}

fn request(to: Option<&str>) -> Element {
    Element::new("iq", ns::CLIENT)
        .with_some("to", to)
        .with("type", "get")
}

fn reply(id: &str, from: Option<&str>, kind: &str) -> Element {
    Element::new("iq", ns::CLIENT)
        .with("id", id)
        .with_some("from", from)
        .with("type", kind)
}

#[test]
fn only_the_asked_and_ourselves_may_answer() {
    let gateway = "+1@acme.gjoll.test/x";
    for (to, from, accepted) in [
        (None, None, true),
        (None, Some(""), true),
        (None, Some("me@acme.test/phone"), true),
        (None, Some("me@acme.test"), true),
        (None, Some("acme.test"), true),
        (None, Some("me@acme.test/other"), false),
        (None, Some("evil.test"), false),
        (Some(gateway), Some(gateway), true),
        (Some(gateway), Some("+1@acme.gjoll.test"), true),
        (Some(gateway), Some("acme.gjoll.test"), true),
        (Some(gateway), Some("acme.test"), true),
        (Some(gateway), Some("+1@acme.gjoll.test/y"), false),
        (Some("notifications.x:80"), Some("notifications.x:80"), true),
    ] {
        let mut table = IqTable::default();
        let sent = table.request(Instant::now(), request(to), "ping");
        let id = sent.attribute("id").expect("an id").to_owned();
        let outcome = table.reply(&own(), &reply(&id, from, "result"));
        assert_eq!(outcome.is_some(), accepted, "to {to:?} from {from:?}");
        // What was not accepted still waits.
        assert_eq!(table.next_timeout().is_some(), !accepted);
    }
}

#[test]
fn an_error_reply_is_read() {
    let mut table = IqTable::default();
    let sent = table.request(Instant::now(), request(None), ());
    let id = sent.attribute("id").expect("an id");
    let error = parse(&format!(
        r#"<iq xmlns="jabber:client" id="{id}" type="error"><error type="wait" code="429"><text>Throttled: +1</text><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><resource-limit-exceeded xmlns="urn:realtime:errors"/></error></iq>"#
    ))
    .expect("a stanza");
    let ((), outcome) = table.reply(&own(), &error).expect("ours");
    let error = outcome.expect_err("an error");
    assert_eq!(error.to_string(), "resource-constraint (429)");
    assert_eq!(IqError::default().to_string(), "an error without condition");
}

#[test]
fn a_request_expires_after_15_seconds() {
    let start = Instant::now();
    let mut table = IqTable::default();
    table.request(start, request(None), 1);
    table.request(start + Duration::from_secs(5), request(None), 2);
    assert_eq!(table.next_timeout(), Some(start + TIMEOUT));
    assert!(
        table
            .expired(start + Duration::from_millis(14_999))
            .is_empty()
    );
    assert_eq!(table.expired(start + TIMEOUT), [1]);
    assert_eq!(table.abandon(), [2]);
    assert_eq!(table.next_timeout(), None);
}

#[test]
fn a_flood_of_requests_keeps_the_newest() {
    let mut table = IqTable::default();
    for n in 0..=MAX_PENDING {
        table.request(Instant::now(), request(None), n);
    }
    let left = table.abandon();
    assert_eq!(left.len(), MAX_PENDING);
    assert_eq!(left.first(), Some(&1));
}

#[test]
fn answers_go_back_to_the_asker() {
    let ping = parse(r#"<iq xmlns="jabber:client" type="get" id="sp1" from="acme.test"><ping xmlns="urn:xmpp:ping"/></iq>"#)
        .expect("a stanza");
    assert_eq!(
        result_for(&ping).to_string(),
        r#"<iq xmlns="jabber:client" id="sp1" to="acme.test" type="result"/>"#
    );
    assert_eq!(
        error_for(&ping, StanzaError::UNKNOWN_SESSION).to_string(),
        r#"<iq xmlns="jabber:client" id="sp1" to="acme.test" type="error"><error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><unknown-session xmlns="urn:xmpp:jingle:errors:1"/></error></iq>"#
    );
    let info = disco_info(&ping).to_string();
    assert!(
        info.contains(r#"<identity category="client" type="web"/>"#),
        "{info}"
    );
    assert!(
        info.contains(r#"<feature var="urn:xmpp:jingle:apps:rtp:audio"/>"#),
        "{info}"
    );
    assert!(!info.contains("video"), "{info}");
}
