//! The real network code against a cloud on a loopback socket.

use super::local::{FULL_JID, Local, Stream, healthy};
use super::{Network, OpenError, Transport};
use crate::device::Private;
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::Rest;
use crate::genesys::rest::wire::HttpRequest;
use crate::genesys::token::TokenSource;
use crate::genesys::{Cloud, CloudConfig, CloudError, CloudEvent};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

fn config(local: &Local, trusted: bool) -> CloudConfig {
    CloudConfig {
        environment: local.environment(),
        streaming: local.streaming(),
        ca_file: trusted.then(|| local.ca_file.clone()),
        resource: "res".to_owned(),
        ..CloudConfig::default()
    }
}

fn token() -> TokenSource {
    TokenSource::fixed(Private::from("TOKEN"))
}

async fn opened(config: &CloudConfig) -> Result<(), OpenError> {
    let network = Network::new(config).expect("a configuration");
    network.open("ch1").await.map(|_| ())
}

async fn requested(config: &CloudConfig) -> Result<(), RestError> {
    let network = Network::new(config).expect("a configuration");
    let rest = Rest::new(Arc::new(network), token());
    rest.user().await.map(|_| ())
}

#[tokio::test]
async fn a_phone_connects_over_tls_with_a_trust_anchor_of_its_own() {
    let local = Local::start(true, Stream::WellBehaved, healthy).await;
    let (sender, mut events) = mpsc::channel(16);
    let cloud = Cloud::start(&config(&local, true), token(), sender).expect("started");
    let ready = events.recv().await.expect("an event");
    assert!(
        matches!(ready, CloudEvent::Ready(identity) if identity.station.is_some()),
        "ready"
    );
    assert!(matches!(
        events.recv().await,
        Some(CloudEvent::IceServers(_))
    ));
    assert!(matches!(
        events.recv().await,
        Some(CloudEvent::Connected { .. })
    ));
    assert_eq!(cloud.full_jid().expect("bound").as_str(), FULL_JID);
    cloud.shutdown().await;
    assert!(events.recv().await.is_none(), "the task has ended");
}

#[tokio::test]
async fn every_request_has_the_headers_of_the_sdk() {
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    requested(&config(&local, false)).await.expect("answered");
    let head = local.heads.lock().expect("ok")[0].to_ascii_lowercase();
    for line in [
        "get /api/v2/users/me?expand=station http/1.1\r\n",
        "content-type: application/json\r\n",
        "authorization: bearer token\r\n",
        "user-agent: offhook/",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

#[tokio::test]
async fn the_headers_of_an_error_are_read() {
    let local = Local::start(false, Stream::WellBehaved, |_| {
        let headers = "inin-correlation-id: abc\r\nretry-after: 7\r\n".to_owned();
        (429, headers, r#"{"code":"too.many"}"#.to_owned())
    })
    .await;
    let error = requested(&config(&local, false))
        .await
        .expect_err("refused");
    let RestError::Status {
        status: 429,
        code,
        correlation_id,
        retry_after,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(code.as_deref(), Some("too.many"));
    assert_eq!(correlation_id.as_deref(), Some("abc"));
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let local = Local::start(false, Stream::WellBehaved, |_| {
        (
            307,
            "location: http://127.0.0.1:9/\r\n".to_owned(),
            String::new(),
        )
    })
    .await;
    let error = requested(&config(&local, false))
        .await
        .expect_err("refused");
    assert!(
        matches!(error, RestError::Status { status: 307, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    let local = Local::start(false, Stream::WellBehaved, |_| {
        (200, String::new(), " ".repeat(5 * 1024 * 1024))
    })
    .await;
    let error = requested(&config(&local, false))
        .await
        .expect_err("refused");
    assert!(matches!(error, RestError::Body { .. }), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    let mut config = config(&local, false);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    config.environment = format!("http://{address}");
    config.streaming = format!("ws://{address}");
    let error = requested(&config).await.expect_err("no server");
    assert!(
        matches!(&error, RestError::Network { tls: false, detail, .. } if detail.contains("refused")),
        "{error}"
    );
    let error = opened(&config).await.expect_err("no server").error;
    assert!(
        matches!(&error, CloudError::Unreachable { host, .. } if host == "127.0.0.1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let config = CloudConfig {
        environment: "https://offhook.invalid".to_owned(),
        ..CloudConfig::default()
    };
    let error = opened(&config).await.expect_err("no such host").error;
    assert!(error.to_string().contains("does not resolve"), "{error}");
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_tls_error() {
    let local = Local::start(true, Stream::WellBehaved, healthy).await;
    let config = config(&local, false);
    let error = requested(&config).await.expect_err("untrusted");
    assert!(
        matches!(&error, RestError::Network { tls: true, detail, .. } if detail.contains("UnknownIssuer")),
        "{error}"
    );
    let error = opened(&config).await.expect_err("untrusted").error;
    assert!(matches!(error, CloudError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("cloud.ca_file"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_where_tls_is_wanted_is_a_tls_error() {
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    let mut config = config(&local, false);
    config.environment = config.environment.replace("http", "https");
    config.streaming = config.streaming.replace("ws", "wss");
    let error = requested(&config).await.expect_err("no TLS");
    assert!(
        matches!(error, RestError::Network { tls: true, .. }),
        "{error:?}"
    );
    let error = opened(&config).await.expect_err("no TLS").error;
    assert!(matches!(error, CloudError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn refused_upgrades() {
    for (stream, expected, channel_refused) in [
        (Stream::Refuses(404), "HTTP 404", true),
        (Stream::Refuses(503), "HTTP 503", false),
        (Stream::NoSubprotocol, "ubprotocol", false),
    ] {
        let local = Local::start(false, stream, healthy).await;
        let refused = opened(&config(&local, false)).await.expect_err(expected);
        assert!(
            matches!(refused.error, CloudError::Protocol { .. }),
            "{}",
            refused.error
        );
        assert!(
            refused.error.to_string().contains(expected),
            "{}",
            refused.error
        );
        assert_eq!(refused.channel_refused, channel_refused, "{expected}");
    }
}

#[tokio::test]
async fn the_end_of_the_socket_is_noticed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
        let (socket, _) = listener.accept().await.expect("a client");
        #[allow(
            clippy::result_large_err,
            clippy::unnecessary_wraps,
            reason = "the library's own type"
        )]
        let greet = |_: &Request, mut response: Response| {
            let xmpp = "xmpp".parse().expect("a value");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", xmpp);
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(socket, greet).await;
        drop(socket.expect("a WebSocket"));
    });
    let config = CloudConfig {
        environment: format!("http://{address}"),
        ..CloudConfig::default()
    };
    let network = Network::new(&config).expect("a configuration");
    let mut link = network.open("ch1").await.expect("open");
    server.await.expect("no panic");
    assert!(matches!(link.incoming.next().await, Some(Err(_)) | None));
}

#[tokio::test]
async fn a_refused_token_is_told_over_real_sockets_too() {
    let local = Local::start(false, Stream::RefusesToken, healthy).await;
    let (sender, mut events) = mpsc::channel(16);
    let cloud = Cloud::start(&config(&local, false), token(), sender).expect("started");
    let Some(CloudEvent::Failed {
        error,
        retry_in: None,
    }) = events.recv().await
    else {
        panic!("failed");
    };
    assert!(matches!(error, CloudError::InvalidToken { .. }), "{error}");
    cloud.shutdown().await;
}

#[test]
fn requests_are_described_without_their_body() {
    let request = HttpRequest::post("x").with_json(&serde_json::json!({"phoneNumber":"+1"}));
    assert_eq!(request.describe(), "POST /x");
}

#[tokio::test]
async fn what_no_waiting_can_heal_is_refused_at_once() {
    let (sender, _events) = mpsc::channel(1);
    let good = CloudConfig {
        environment: "mypurecloud.com".to_owned(),
        resource: "res".to_owned(),
        ..CloudConfig::default()
    };
    for (config, expected) in [
        (
            CloudConfig {
                environment: "moon".to_owned(),
                ..good.clone()
            },
            "no region",
        ),
        (
            CloudConfig {
                resource: " ".to_owned(),
                ..good.clone()
            },
            "resource",
        ),
        (
            CloudConfig {
                ca_file: Some("nowhere.pem".into()),
                ..good.clone()
            },
            "nowhere.pem",
        ),
    ] {
        let Err(error) = Cloud::start(&config, token(), sender.clone()) else {
            panic!("{expected}");
        };
        assert!(matches!(error, CloudError::Config { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
