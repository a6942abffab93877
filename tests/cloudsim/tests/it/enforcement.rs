//! Each kind of wrong stanza is seen and named.

use offhook_cloudsim::{InboundSpec, ViolationKind};
use serde_json::json;

use crate::client::{Client, SERVICE, WAIT, simulator};

/// Sends a frame on a connection that is up, and expects this violation of it.
async fn check(frame: &str, what: ViolationKind) {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let frame = frame
        .replace("BARE", &user.bare_jid)
        .replace("FULL", &client.full)
        .replace("DOMAIN", user.bare_jid.split('@').nth(1).unwrap())
        .replace("SERVICE", SERVICE)
        .replace("USER", &user.user_id);
    client.send(&frame).await;
    let word = format!("{what:?}: ");
    let seen = sim
        .wait_for_log(0, |line| line.text.starts_with(&word), WAIT)
        .await;
    let violations = sim.violations();
    assert!(seen.is_ok(), "{frame}\nshould be {what:?}: {violations:#?}");
    assert_eq!(violations.len(), 1, "{frame}: {violations:#?}");
    assert_eq!(violations[0].user.as_deref(), Some(user.user_id.as_str()));
}

#[tokio::test]
async fn stanzas_that_have_no_place() {
    use ViolationKind::{
        MalformedFrame, MissingField, UnexpectedStanza, UnknownMethod, UnknownSession,
        WrongAddress, WrongNamespace,
    };
    let rpc = |json: &str| {
        format!(
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"set\" from=\"FULL\" to=\"a@gjoll.x/y\"><genesys-webrtc xmlns=\"genesys\">{json}</genesys-webrtc></iq>"
        )
    };
    for (frame, what) in [
        ("<iq", MalformedFrame),
        ("<a xmlns='x'/><b xmlns='x'/>", MalformedFrame),
        ("<presence xmlns=\"jabber:client\"/>", UnexpectedStanza),
        (
            "<iq id=\"1\" type=\"get\"><ping xmlns=\"urn:xmpp:ping\"/></iq>",
            WrongNamespace,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\"><ping xmlns=\"urn:xmpp:pong\"/></iq>",
            WrongNamespace,
        ),
        (
            "<iq xmlns=\"jabber:client\" type=\"get\"><ping xmlns=\"urn:xmpp:ping\"/></iq>",
            MissingField,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\"/>",
            UnexpectedStanza,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\" from=\"x@y/z\"><ping xmlns=\"urn:xmpp:ping\"/></iq>",
            WrongAddress,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\"><query xmlns=\"jabber:iq:roster\"/></iq>",
            UnexpectedStanza,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"nobody\" type=\"result\"/>",
            UnexpectedStanza,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\" to=\"elsewhere\"><services xmlns=\"urn:xmpp:extdisco:1\" type=\"stun\"/></iq>",
            WrongAddress,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"get\" to=\"DOMAIN\"><services xmlns=\"urn:xmpp:extdisco:1\"/></iq>",
            MissingField,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"set\" to=\"elsewhere\"><pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><subscribe node=\"v2.users.USER.station\" jid=\"BARE\"/></pubsub></iq>",
            WrongAddress,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"set\" to=\"SERVICE\"><pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><subscribe node=\"v2.users.USER.station\" jid=\"FULL\"/></pubsub></iq>",
            WrongAddress,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"set\" to=\"SERVICE\"><pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><subscribe jid=\"BARE\"/></pubsub></iq>",
            MissingField,
        ),
        (
            "<message xmlns=\"jabber:client\"><proceed xmlns=\"urn:xmpp:jingle-message:0\" id=\"S\"/></message>",
            MissingField,
        ),
        (
            "<message xmlns=\"jabber:client\" to=\"a@gjoll.x/y\"><proceed xmlns=\"urn:xmpp:jingle-message:1\" id=\"S\"/></message>",
            WrongNamespace,
        ),
        (
            "<message xmlns=\"jabber:client\" to=\"a@gjoll.x/y\"><proceed xmlns=\"urn:xmpp:jingle-message:0\"/></message>",
            MissingField,
        ),
        (
            "<message xmlns=\"jabber:client\" to=\"a@gjoll.x/y\"><proceed xmlns=\"urn:xmpp:jingle-message:0\" id=\"S\"/></message>",
            UnknownSession,
        ),
        (
            "<message xmlns=\"jabber:client\" to=\"BARE\"><body>hello</body></message>",
            UnexpectedStanza,
        ),
        (
            "<iq xmlns=\"jabber:client\" id=\"1\" type=\"set\" to=\"a@gjoll.x/y\"><jingle xmlns=\"urn:xmpp:jingle:1\" action=\"session-info\" sid=\"S\"><active xmlns=\"urn:xmpp:jingle:apps:rtp:info:1\"/></jingle></iq>",
            UnknownSession,
        ),
        (&rpc("hello"), MalformedFrame),
        (
            &rpc(
                "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"offer\",\"params\":{\"sessionId\":\"S\"}}",
            ),
            UnknownMethod,
        ),
        (
            &rpc(
                "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"answer\",\"params\":{\"sessionId\":\"S\"}}",
            ),
            MissingField,
        ),
        (
            &rpc(
                "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"info\",\"params\":{\"sessionId\":\"S\",\"status\":\"active\"}}",
            ),
            UnknownSession,
        ),
        (
            &rpc(
                "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"method\":\"iceCandidate\",\"params\":{\"sessionId\":\"S\",\"sdp\":\"m=audio\"}}",
            ),
            ViolationKind::BadCandidate,
        ),
    ] {
        check(frame, what).await;
    }
}

#[tokio::test]
async fn rest_requests_that_do_not_fit() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let call = sim.call_user(&InboundSpec::to(&user)).unwrap();
    let (_, own) = client.state("alerting").await;
    let participant = format!(
        "conversations/calls/{call}/participants/{}",
        own["id"].as_str().unwrap()
    );
    for (method, path, body, status, what) in [
        ("GET", "nonsense", None, 404, ViolationKind::UnknownRequest),
        (
            "DELETE",
            "users/me",
            None,
            404,
            ViolationKind::UnknownRequest,
        ),
        (
            "POST",
            "conversations/calls",
            Some(json!([])),
            400,
            ViolationKind::BadBody,
        ),
        (
            "POST",
            "conversations/calls",
            Some(json!({})),
            400,
            ViolationKind::BadBody,
        ),
        (
            "POST",
            "conversations/calls",
            Some(json!({"phoneNumber": 1})),
            400,
            ViolationKind::BadBody,
        ),
        (
            "PATCH",
            &participant,
            Some(json!({"mute": true})),
            400,
            ViolationKind::BadBody,
        ),
        (
            "PATCH",
            &participant,
            Some(json!({"state": "held"})),
            400,
            ViolationKind::BadBody,
        ),
        (
            "POST",
            &participant.replace("/calls", ""),
            None,
            404,
            ViolationKind::UnknownRequest,
        ),
        (
            "PATCH",
            &participant,
            Some(json!({"state": "connected"})),
            409,
            ViolationKind::OutOfOrder,
        ),
    ] {
        let (got, answer) = client.rest.call(method, path, body).await;
        let violations = sim.clear_violations();
        assert_eq!(
            (got, violations.len()),
            (status, 1),
            "{method} {path}: {answer} {violations:?}"
        );
        assert_eq!(
            (violations[0].what, &answer["status"]),
            (what, &status.into())
        );
    }
}

/// A phone that does everything but one thing.
#[tokio::test]
async fn a_wrong_first_frame_ends_the_stream() {
    let (sim, user) = simulator().await;
    let rest = crate::client::Rest::new(&sim, &user);
    let channel = rest.new_channel().await;
    let mut client = Client::open(&sim, &user, &channel).await;
    client
        .send("<open xmlns=\"urn:wrong\" to=\"x\" version=\"1.0\"/>")
        .await;
    assert_eq!(client.next().await.name, "error");
    assert_eq!(client.next().await.name, "close");
    assert!(client.receive().await.is_none());
    assert_eq!(sim.violations()[0].what, ViolationKind::WrongNamespace);
}
