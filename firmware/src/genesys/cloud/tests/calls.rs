//! Calls over the connection, and their survival of its drops.

use super::{BARE, Bench, PEER, RESOURCE, next, serve, terminate};
use crate::genesys::CloudEvent;
use crate::genesys::rest::{RestError, RestRequest};
use crate::genesys::signal::{Reply, Signal};

#[tokio::test(start_paused = true)]
async fn a_start_tells_who_we_are_and_then_that_we_are_connected() {
    let mut bench = Bench::healthy();
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch1");
    serve(&mut server).await;
    let CloudEvent::Ready(identity) = bench.event().await else {
        panic!("ready first");
    };
    assert_eq!(identity.bare_jid.as_str(), BARE);
    assert_eq!(identity.organization.name, "Acme");
    assert_eq!(identity.station.expect("a station").id.as_str(), "ST");
    assert!(matches!(bench.event().await, CloudEvent::IceServers(ice) if ice.servers.len() == 1));
    let full = format!("{BARE}/{RESOURCE}");
    assert!(matches!(bench.event().await,
        CloudEvent::Connected { reconnect: false, full_jid } if full_jid.as_str() == full));
    assert_eq!(bench.cloud.full_jid().expect("bound").as_str(), full);
    assert_eq!(bench.requests("PUT "), 1);
}

#[tokio::test(start_paused = true)]
async fn signals_come_in_and_replies_go_out_in_order() {
    let (mut bench, mut server) = Bench::ready().await;
    server.send(format!(
        r#"<message xmlns="jabber:client" from="{PEER}" to="{BARE}"><propose xmlns="urn:xmpp:jingle-message:0" id="S" inin-cid="C" inin-sdp-over-xmpp="true"/></message>"#
    ));
    assert!(matches!(
        bench.event().await,
        CloudEvent::Signal(Signal::Propose(_))
    ));
    let session = || "S".into();
    bench.cloud.signal(Reply::Proceed {
        session: session(),
        to: PEER.into(),
    });
    bench.cloud.signal(Reply::Accept { session: session() });
    bench.cloud.signal(terminate("S"));
    for expected in ["<proceed", "<accept", "terminate"] {
        let sent = next(&mut server).await.expect("sent").to_string();
        assert!(sent.contains(expected), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_are_held_while_the_stream_is_down() {
    let (mut bench, mut server) = Bench::ready().await;
    // This one was sent, but nobody confirmed it.
    bench.cloud.signal(terminate("unconfirmed"));
    assert!(next(&mut server).await.is_some());
    server.break_link("cut");
    assert!(matches!(
        bench.event().await,
        CloudEvent::Disconnected {
            reconnecting: true,
            ..
        }
    ));
    bench.cloud.signal(Reply::Accept {
        session: "S".into(),
    });
    bench.cloud.signal(terminate("S"));
    let mut server = bench.link().await;
    let sent: Vec<String> = serve(&mut server)
        .await
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        r#""sessionId":"unconfirmed""#,
        "<accept",
        r#""sessionId":"S""#,
    ];
    assert_eq!(sent.len(), expected.len(), "{sent:?}");
    for (sent, expected) in sent.iter().zip(expected) {
        assert!(sent.contains(expected), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_the_stream_cleanly() {
    let (bench, mut server) = Bench::ready().await;
    let cloud = bench.cloud.clone();
    let ending = tokio::spawn(async move { cloud.shutdown().await });
    let close = server.receive().await.expect("a stanza");
    assert_eq!(close.name, "close");
    assert!(!ending.is_finished(), "the server's answer is waited for");
    server.send(r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    assert!(server.receive().await.is_none(), "the link is closed");
    ending.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_server_that_has_gone() {
    let (bench, _server) = Bench::ready().await;
    bench.cloud.shutdown().await;
    assert!(bench.seconds() <= 2, "{} s", bench.seconds());
    // Once more does no harm.
    bench.cloud.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_listener_the_task_ends() {
    let (bench, mut server) = Bench::ready().await;
    drop(bench.events);
    server.send(format!(
        r#"<message xmlns="jabber:client" from="{PEER}"><retract xmlns="urn:xmpp:jingle-message:0" id="S"/></message>"#
    ));
    let close = server.receive().await.expect("a stanza");
    assert_eq!(close.name, "close");
    assert!(server.receive().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn rest_needs_no_stream() {
    let bench = Bench::new(|line, _| match line {
        "GET /conversations/calls" => super::Answer::json(500, &serde_json::json!({"code":"x"})),
        _ => super::Answer::Silence,
    });
    let error = bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect_err("refused");
    assert!(
        matches!(error, RestError::Status { status: 500, code: Some(code), .. } if code == "x")
    );
}
