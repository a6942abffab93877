//! Drops and what follows them (genesys-protocol 3.6, 3.7).

use super::{Bench, RESOURCE, answer, next, serve};
use crate::genesys::CloudEvent;
use base64::Engine;
use std::time::Duration;

const TRANSFER: &str =
    r#"<iq xmlns="jabber:client" type="set" id="cx"><query xmlns="urn:xmpp:cxfr"/></iq>"#;

async fn reconnected(bench: &mut Bench) {
    assert!(matches!(
        bench.event().await,
        CloudEvent::Connected {
            reconnect: true,
            ..
        }
    ));
}

async fn disconnected(bench: &mut Bench) -> String {
    match bench.event().await {
        CloudEvent::Disconnected {
            reason,
            reconnecting: true,
        } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_drop_is_mended_on_the_same_channel_after_two_seconds() {
    let (mut bench, server) = Bench::ready().await;
    let dropped = bench.seconds();
    server.break_link("the cable is out");
    assert_eq!(disconnected(&mut bench).await, "the cable is out");
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch1");
    assert_eq!(bench.seconds() - dropped, 2);
    serve(&mut server).await;
    reconnected(&mut bench).await;
    assert_eq!(bench.requests("POST "), 1);
    assert_eq!(
        bench.requests("PUT "),
        1,
        "the channel keeps its subscriptions"
    );
    assert_eq!(bench.requests("/users/me"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_resource_stays_the_same() {
    let (mut bench, server) = Bench::ready().await;
    server.break_link("cut");
    disconnected(&mut bench).await;
    let mut server = bench.link().await;
    let mut resource = None;
    while let Some(stanza) = next(&mut server).await {
        let text = stanza.to_string();
        if text.contains("<bind ") {
            resource = Some(text.contains(&format!("<resource>{RESOURCE}</resource>")));
        }
        answer(&server, &stanza);
    }
    assert_eq!(resource, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_transfer_takes_a_new_channel_and_subscribes_again() {
    let (mut bench, mut server) = Bench::ready().await;
    server.send(TRANSFER);
    let close = server.receive().await.expect("a stanza");
    assert_eq!(close.name, "close");
    disconnected(&mut bench).await;
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch2");
    serve(&mut server).await;
    reconnected(&mut bench).await;
    assert_eq!(bench.requests("PUT /notifications/channels/ch2/"), 1);
    assert_eq!(bench.requests("/users/me"), 1, "who we are is known");
}

#[tokio::test(start_paused = true)]
async fn the_tenth_reuse_of_a_channel_takes_a_new_one() {
    let (mut bench, mut server) = Bench::ready().await;
    let mut channels = Vec::new();
    for _ in 0..11 {
        server.break_link("cut");
        disconnected(&mut bench).await;
        server = bench.link().await;
        channels.push(server.channel.clone());
        serve(&mut server).await;
        reconnected(&mut bench).await;
    }
    let mut expected = vec!["ch1"; 9];
    expected.extend(["ch2", "ch2"]);
    assert_eq!(channels, expected);
}

#[tokio::test(start_paused = true)]
async fn a_mute_server_is_noticed_by_missed_pings() {
    let (mut bench, mut server) = Bench::ready().await;
    let up = tokio::time::Instant::now();
    let reason = disconnected(&mut bench).await;
    assert!(reason.contains("pings"), "{reason}");
    let silent_for = up.elapsed();
    assert!(
        silent_for > Duration::from_secs(57) && silent_for < Duration::from_secs(59),
        "{silent_for:?}"
    );
    let mut pings = 0;
    while let Some(stanza) = server.receive().await {
        pings += usize::from(stanza.to_string().contains("urn:xmpp:ping"));
    }
    assert_eq!(pings, 2);
    assert_eq!(bench.link().await.channel, "ch1");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_it_is_of_use_counts_as_a_failed_attempt() {
    let mut bench = Bench::healthy();
    let mut server = bench.link().await;
    // Signs in and then goes away, before service discovery is answered.
    while let Some(stanza) = next(&mut server).await {
        let is_query = stanza.to_string().contains("<services");
        if is_query {
            break;
        }
        answer(&server, &stanza);
    }
    drop(server);
    let CloudEvent::Failed { error, retry_in } = bench.event().await else {
        panic!("failed");
    };
    assert!(error.to_string().contains("connection ended"), "{error}");
    assert_eq!(retry_in, Some(Duration::from_secs(2)));
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch1");
    serve(&mut server).await;
    assert!(matches!(bench.event().await, CloudEvent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn a_station_is_read_in_the_background_until_it_can_be() {
    let healthy = super::healthy();
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let mut bench = Bench::new(move |line, _| {
        let is_early = || tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        if line == "GET /stations/ST" && is_early() {
            return super::Answer::json(503, &serde_json::json!({}));
        }
        healthy(line)
    });
    let mut server = bench.link().await;
    serve(&mut server).await;
    assert!(
        matches!(bench.event().await, CloudEvent::Ready(identity) if identity.station.is_none())
    );
    assert!(matches!(bench.event().await, CloudEvent::IceServers(_)));
    assert!(matches!(bench.event().await, CloudEvent::Connected { .. }));
    let answering = tokio::spawn(async move {
        while let Some(stanza) = server.receive().await {
            answer(&server, &stanza);
        }
    });
    assert!(matches!(
        bench.event().await,
        CloudEvent::StationFetched(Some(_))
    ));
    assert_eq!(bench.seconds(), 30, "two waits of 15 s");
    answering.abort();
}

#[tokio::test(start_paused = true)]
async fn the_token_of_the_moment_signs_in() {
    let (bench, _server) = Bench::ready().await;
    drop(bench);
    let mut bench = Bench::healthy();
    let mut server = bench.link().await;
    let mut auth = None;
    while let Some(stanza) = next(&mut server).await {
        if stanza.name == "auth" {
            auth = base64::engine::general_purpose::STANDARD
                .decode(stanza.text())
                .ok();
        }
        answer(&server, &stanza);
    }
    assert_eq!(auth.expect("an auth"), b"\0me@acme.test\0authKey:TOKEN");
}
