//! Attempts that fail, and how each is reported and healed.

use super::{Answer, Bench, answer, healthy, next, serve};
use crate::genesys::rest::RestError;
use crate::genesys::rest::wire::HttpReply;
use crate::genesys::token::TokenSource;
use crate::genesys::transport::OpenError;
use crate::genesys::transport::scripted::ServerEnd;
use crate::genesys::{CloudError, CloudEvent};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

async fn failed(bench: &mut Bench) -> (CloudError, Option<u64>) {
    match bench.event().await {
        CloudEvent::Failed { error, retry_in } => (error, retry_in.map(|wait| wait.as_secs())),
        other => panic!("{other:?}"),
    }
}

/// Fails `line` the first `times` times.
fn failing(
    line: &'static str,
    times: usize,
    with: impl Fn() -> Answer + Send + Sync + 'static,
) -> impl Fn(&str, &str) -> Answer + Send + Sync {
    let (healthy, count) = (healthy(), AtomicUsize::new(0));
    move |asked, _| {
        if asked == line && count.fetch_add(1, Ordering::Relaxed) < times {
            return with();
        }
        healthy(asked)
    }
}

fn network_error(tls: bool) -> Answer {
    Answer::Fail(RestError::Network {
        request: "GET /users/me".to_owned(),
        detail: "why".to_owned(),
        tls,
    })
}

#[tokio::test(start_paused = true)]
async fn the_user_is_asked_for_every_15_seconds_and_every_failure_told() {
    let user = "GET /users/me?expand=station";
    let mut bench = Bench::new(failing(user, 2, || Answer::json(503, &json!({}))));
    for _ in 0..2 {
        let (error, retry_in) = failed(&mut bench).await;
        assert!(matches!(
            error,
            CloudError::Rest(RestError::Status { status: 503, .. })
        ));
        assert_eq!(retry_in, Some(15));
    }
    let mut server = bench.link().await;
    assert_eq!(bench.seconds(), 30);
    serve(&mut server).await;
    assert!(matches!(bench.event().await, CloudEvent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_error_at_the_start() {
    let user = "GET /users/me?expand=station";
    for (with, expected) in [
        (network_error as fn(bool) -> Answer, "unreachable"),
        (network_error, "tls"),
        (|_| Answer::Silence, "timeout"),
        (|_| Answer::json(200, &json!({"id":"U"})), "protocol"),
        (|_| Answer::json(404, &json!({})), "rest"),
    ] {
        let tls = expected == "tls";
        let mut bench = Bench::new(failing(user, 1, move || with(tls)));
        let (error, retry_in) = failed(&mut bench).await;
        let kind = match &error {
            CloudError::Unreachable { host, .. } if host == "api.mypurecloud.com" => "unreachable",
            CloudError::Tls { host, .. } if host == "api.mypurecloud.com" => "tls",
            CloudError::Timeout { seconds: 30, .. } => "timeout",
            CloudError::Protocol { .. } => "protocol",
            CloudError::Rest(_) => "rest",
            other => panic!("{other}"),
        };
        assert_eq!(kind, expected, "{error}");
        assert!(retry_in.is_some());
        let mut server = bench.link().await;
        serve(&mut server).await;
        assert!(
            matches!(bench.event().await, CloudEvent::Ready(_)),
            "{expected}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_waits_for_another_one_and_then_heals() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "old").expect("written");
    let healthy = healthy();
    let mut bench = Bench::with_token(TokenSource::file(&path), move |line, token| match token {
        "new" => healthy(line),
        _ => Answer::json(401, &json!({"code":"bad.credentials"})),
    });
    let (error, retry_in) = failed(&mut bench).await;
    assert!(matches!(error, CloudError::InvalidToken { .. }), "{error}");
    assert!(
        error.to_string().contains("401 (bad.credentials)"),
        "{error}"
    );
    assert_eq!(retry_in, None, "a person must act");
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(
        bench.requests("/users/me"),
        1,
        "nothing is tried with a refused token"
    );
    std::fs::write(&path, "new").expect("written");
    let mut server = bench.link().await;
    serve(&mut server).await;
    assert!(matches!(bench.event().await, CloudEvent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_token_file_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let healthy = healthy();
    let mut bench = Bench::with_token(TokenSource::file(&path), move |line, _| healthy(line));
    let (error, retry_in) = failed(&mut bench).await;
    assert!(matches!(error, CloudError::Token(_)), "{error}");
    assert_eq!(retry_in, None);
    std::fs::write(&path, "there").expect("written");
    bench.link().await;
}

/// Signs in up to the authentication and refuses that.
async fn refuse_token(server: &mut ServerEnd, condition: &str) {
    while let Some(stanza) = next(server).await {
        if stanza.name == "auth" {
            server.send(format!(
                r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><{condition}/></failure>"#
            ));
        } else {
            answer(server, &stanza);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sasl_failures_of_both_classes() {
    let mut bench = Bench::healthy();
    let mut server = bench.link().await;
    refuse_token(&mut server, "mechanism-too-weak").await;
    let (error, retry_in) = failed(&mut bench).await;
    assert!(matches!(error, CloudError::Protocol { .. }), "{error}");
    assert_eq!(retry_in, Some(2));
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch2", "a new channel may help");
    refuse_token(&mut server, "not-authorized").await;
    let (error, retry_in) = failed(&mut bench).await;
    assert!(
        error.to_string().contains("SASL failure not-authorized"),
        "{error}"
    );
    assert_eq!(retry_in, None);
}

fn unreachable() -> OpenError {
    OpenError::from(CloudError::Unreachable {
        host: "streaming.mypurecloud.com".to_owned(),
        detail: "connection refused".to_owned(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_is_tried_ever_less_often() {
    let mut bench = Bench::healthy();
    let refusals = std::iter::repeat_with(unreachable).take(8);
    bench.network.refusals.lock().expect("ok").extend(refusals);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let (error, retry_in) = failed(&mut bench).await;
        assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
        waits.push(retry_in.expect("tried again"));
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 90, 90]);
    let mut server = bench.link().await;
    assert_eq!(bench.seconds(), waits.iter().sum::<u64>());
    assert_eq!(server.channel, "ch1");
    serve(&mut server).await;
    assert!(matches!(bench.event().await, CloudEvent::Ready(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_channel_is_replaced() {
    let mut bench = Bench::healthy();
    let refusal = OpenError {
        channel_refused: true,
        ..unreachable()
    };
    bench
        .network
        .refusals
        .lock()
        .expect("ok")
        .push_back(refusal);
    failed(&mut bench).await;
    assert_eq!(bench.link().await.channel, "ch2");
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_takes_15_seconds_at_most() {
    let mut bench = Bench::healthy();
    *bench.network.silent_opens.lock().expect("ok") = 1;
    let (error, _) = failed(&mut bench).await;
    assert_eq!(
        error,
        CloudError::Timeout {
            what: "the streaming server",
            seconds: 15
        }
    );
    assert_eq!(bench.seconds(), 15);
    // A server that opens but then says nothing is given up as well.
    let _silent = bench.link().await;
    let (error, _) = failed(&mut bench).await;
    assert!(matches!(error, CloudError::Timeout { seconds: 15, .. }));
    assert_eq!(bench.seconds(), 15 + 2 + 15);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_on_top_of_the_wait() {
    let channel = "POST /notifications/channels?connectionType=streaming";
    let mut bench = Bench::new(failing(channel, 1, || {
        Answer::Reply(HttpReply {
            status: 429,
            retry_after: Some(Duration::from_secs(30)),
            ..HttpReply::default()
        })
    }));
    let (error, retry_in) = failed(&mut bench).await;
    assert!(matches!(
        error,
        CloudError::Rest(RestError::Status { status: 429, .. })
    ));
    assert_eq!(retry_in, Some(32));
    bench.link().await;
    assert_eq!(bench.seconds(), 32);
}

#[tokio::test(start_paused = true)]
async fn a_topic_without_permission_is_a_matter_for_a_person() {
    let healthy = healthy();
    let mut bench = Bench::new(move |line, _| {
        if line.starts_with("PUT ") {
            return Answer::json(403, &json!({"code":"notification.unauthorized.topic"}));
        }
        healthy(line)
    });
    let mut server = bench.link().await;
    serve(&mut server).await;
    let (error, retry_in) = failed(&mut bench).await;
    assert!(
        error
            .to_string()
            .contains("notification.unauthorized.topic"),
        "{error}"
    );
    assert_eq!(retry_in, None);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_every_wait() {
    let mut bench = Bench::healthy();
    bench
        .network
        .refusals
        .lock()
        .expect("ok")
        .extend([unreachable(), unreachable()]);
    failed(&mut bench).await;
    failed(&mut bench).await;
    let before = bench.seconds();
    bench.cloud.shutdown().await;
    assert_eq!(bench.seconds(), before);
}
