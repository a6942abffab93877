//! The alerting leader, asked for after each connection (genesys-protocol 7.1).

use super::{Answer, Bench, healthy, serve_on};
use crate::device::Private;
use crate::genesys::token::TokenSource;
use crate::genesys::{CloudConfig, CloudEvent};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The cloud refuses to know the connection so often, and then says who leads: `SELF`, the connection of this phone, or
/// anything else.
fn bench(refusals: usize, leader: impl Fn() -> Answer + Send + Sync + 'static) -> Bench {
    let config = CloudConfig {
        alerting_leader: true,
        ..CloudConfig::default()
    };
    let (healthy, asked) = (healthy(), AtomicUsize::new(0));
    Bench::with(
        config,
        |_| TokenSource::fixed(Private::from("TOKEN")),
        move |line, _| match line {
            "GET /users/alertingleader" => leader(),
            line if line.starts_with("PATCH /apps/users/U/connections/") => {
                if asked.fetch_add(1, Ordering::Relaxed) < refusals {
                    Answer::json(404, &json!({"code":"not.found"}))
                } else {
                    Answer::json(204, &Value::Null)
                }
            }
            line => healthy(line),
        },
    )
}

async fn told(bench: &mut Bench) -> (bool, bool) {
    let event = bench
        .event_like(|event| matches!(event, CloudEvent::AlertingLeader { .. }))
        .await;
    let CloudEvent::AlertingLeader {
        alerting,
        configured,
        ..
    } = event
    else {
        unreachable!();
    };
    (alerting, configured)
}

fn leads(connection: &'static str) -> impl Fn() -> Answer + Send + Sync {
    move || Answer::json(200, &json!({"userId":"U","connectionId":connection}))
}

/// The back end may learn of a new connection late: it is told of it every 500 ms, 16 times at most.
#[tokio::test(start_paused = true)]
async fn a_connection_the_cloud_does_not_know_yet_is_announced_again() {
    for (refusals, tries, wait) in [(0, 1, 0), (1, 2, 500), (15, 16, 7_500), (1_000, 16, 7_500)] {
        let mut bench = bench(refusals, leads("another"));
        let server = bench.link().await;
        let (_say, _others) = serve_on(server);
        bench
            .event_like(|event| matches!(event, CloudEvent::Connected { .. }))
            .await;
        let connected = Instant::now();
        // Whether it is known or not, who leads is asked for.
        assert_eq!(told(&mut bench).await, (false, true));
        assert_eq!(bench.requests("PATCH /apps/users/U/connections/"), tries);
        assert_eq!(bench.requests("GET /users/alertingleader"), 1);
        let wait = Duration::from_millis(wait);
        let took = connected.elapsed();
        assert!(
            wait <= took && took < wait + Duration::from_millis(400),
            "{refusals} refusals: {took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_ask_rings() {
    for status in [400, 403, 404, 500] {
        let mut bench = bench(0, move || Answer::json(status, &json!({})));
        let server = bench.link().await;
        let (_say, _others) = serve_on(server);
        assert_eq!(told(&mut bench).await, (true, false), "{status}");
    }
}

/// An event that comes while the phone still asks counts, not the older answer.
#[tokio::test(start_paused = true)]
async fn an_event_ends_the_asking() {
    let mut bench = bench(3, leads("another"));
    let server = bench.link().await;
    let (say, _others) = serve_on(server);
    bench
        .event_like(|event| matches!(event, CloudEvent::Connected { .. }))
        .await;
    say.send(

        r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="v2.users.U.alertingleader"><item><json xmlns="urn:xmpp:json:0">{"topicName":"v2.users.U.alertingleader","version":"2","eventBody":{"userId":"U","connectionId":"a-third"}}</json></item></items></event></message>"#
            .to_owned(),
    )
    .unwrap();
    assert_eq!(told(&mut bench).await, (false, true));
    bench.quiet(30).await;
    assert_eq!(bench.requests("GET /users/alertingleader"), 1);
}
