//! A small cloud on a loopback socket for tests of the real network code: HTTP and WebSocket, plain or with TLS.

use super::scripted::well_behaved;
use crate::genesys::xml::parse;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

/// Full JID that the server binds.
pub(crate) const FULL_JID: &str = "me@acme.test/bound";

/// Status, further header lines, body.
pub(crate) type HttpAnswer = (u16, String, String);
type Http = dyn Fn(&str) -> HttpAnswer + Send + Sync;

/// What the WebSocket side does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    WellBehaved,
    /// Refuses the upgrade with this status.
    Refuses(u16),
    /// Knows nothing of subprotocols.
    NoSubprotocol,
    /// Refuses the token.
    RefusesToken,
}

/// See the module. Ends with the test.
pub(crate) struct Local {
    pub rest: SocketAddr,
    pub stream: SocketAddr,
    pub tls: bool,
    /// Trust anchor of its certificate.
    pub ca_file: PathBuf,
    /// Heads of the requests, as they came.
    pub heads: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

/// A healthy REST service.
pub(crate) fn healthy(line: &str) -> HttpAnswer {
    let body = match line {
        "GET /api/v2/organizations/me" => json!({"id":"O","name":"Acme"}),
        "GET /api/v2/users/me?expand=station" => json!({"id":"U","name":"Agent Smith",
            "chat":{"jabberId":"me@acme.test"},"station":{"effectiveStation":{"id":"ST"}}}),
        "GET /api/v2/stations/ST" => {
            json!({"id":"ST","type":"inin_webrtc_softphone","webRtcCallAppearances":100})
        }
        "POST /api/v2/notifications/channels?connectionType=streaming" => json!({"id":"ch1"}),
        _ => json!({}),
    };
    (200, String::new(), body.to_string())
}

impl Local {
    /// `http` gets `METHOD /path`.
    pub(crate) async fn start(
        tls: bool,
        stream: Stream,
        http: impl Fn(&str) -> HttpAnswer + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let certificate = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.cert.pem()).expect("written");
        let acceptor = tls.then(|| acceptor(&certificate));
        let (rest_listener, stream_listener) = (bind().await, bind().await);
        let heads = Arc::new(Mutex::new(Vec::new()));
        let local = Self {
            rest: rest_listener.local_addr().expect("bound"),
            stream: stream_listener.local_addr().expect("bound"),
            tls,
            ca_file,
            heads: heads.clone(),
            _folder: folder,
        };
        let http: Arc<Http> = Arc::new(http);
        let rest_acceptor = acceptor.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = rest_listener.accept().await {
                let (http, heads) = (http.clone(), heads.clone());
                match &rest_acceptor {
                    None => drop(tokio::spawn(serve_http(socket, http, heads))),
                    Some(tls) => {
                        let accepting = tls.accept(socket);
                        tokio::spawn(async move {
                            if let Ok(socket) = accepting.await {
                                serve_http(socket, http, heads).await;
                            }
                        });
                    }
                }
            }
        });
        tokio::spawn(async move {
            while let Ok((socket, _)) = stream_listener.accept().await {
                match &acceptor {
                    None => drop(tokio::spawn(serve_stream(socket, stream))),
                    Some(tls) => {
                        let accepting = tls.accept(socket);
                        tokio::spawn(async move {
                            if let Ok(socket) = accepting.await {
                                serve_stream(socket, stream).await;
                            }
                        });
                    }
                }
            }
        });
        local
    }

    pub(crate) fn environment(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.rest)
    }

    pub(crate) fn streaming(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}", self.stream)
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

fn acceptor(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.into())
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// HTTP/1.1, one exchange per connection.
async fn serve_http<S>(mut socket: S, http: Arc<Http>, heads: Arc<Mutex<Vec<String>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
        // A TLS client at a plain port: real servers say this, in plain text.
        if !head[0].is_ascii_uppercase() {
            let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    heads.lock().expect("no panic").push(head);
    let (status, headers, body) = http(&line);
    let reply = format!(
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that has gone is the client's business.
    let _ = socket.write_all(reply.as_bytes()).await;
    let _ = socket.shutdown().await;
}

async fn serve_stream<S>(socket: S, behaviour: Stream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[allow(clippy::result_large_err, reason = "the library's own type")]
    let greet = |request: &Request, mut response: Response| {
        if let Stream::Refuses(status) = behaviour {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::from_u16(status).expect("a status");
            return Err(refusal);
        }
        assert!(
            request.uri().path().starts_with("/stream/channels/"),
            "{}",
            request.uri()
        );
        assert_eq!(request.headers()["sec-websocket-protocol"], "xmpp");
        if behaviour != Stream::NoSubprotocol {
            let xmpp = HeaderValue::from_static("xmpp");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", xmpp);
        }
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(socket, greet).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let stanza = parse(text.as_str()).expect("the phone sends stanzas");
        let answers = if stanza.name == "auth" && behaviour == Stream::RefusesToken {
            vec![
                r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>"#
                    .to_owned(),
            ]
        } else {
            well_behaved(&stanza, FULL_JID)
        };
        for answer in answers {
            if socket.send(Message::text(answer)).await.is_err() {
                return;
            }
        }
    }
}
