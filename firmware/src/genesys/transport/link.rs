//! WebSocket with tokio-tungstenite, over a TCP and TLS connection of our own so that each step's failure is known.

use super::{Link, LinkError, OpenError};
use crate::genesys::CloudError;
use crate::genesys::environment::Endpoint;
use crate::genesys::tls::{cause_chain, tls_cause};
use crate::genesys::xml::MAX_BYTES;
use futures_util::{SinkExt, StreamExt, future};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{MaybeTlsStream, client_async_with_config};

/// For one address of a host that has several: a dead one must leave time for the next within the attempt's 15 s.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// Resolves the name and connects to the first address that answers.
pub(crate) async fn connect_tcp(endpoint: &Endpoint) -> Result<TcpStream, CloudError> {
    let unreachable = |detail: String| CloudError::Unreachable {
        host: endpoint.host.clone(),
        detail,
    };
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|e| unreachable(format!("the name does not resolve: {e}")))?;
    let mut trouble = "the name has no address".to_owned();
    for address in addresses {
        trouble = match tokio::time::timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Signaling is small messages that somebody waits for.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => format!("port {}: {error}", endpoint.port),
            Err(_) => format!(
                "port {}: no answer within {} s",
                endpoint.port,
                ADDRESS_TIMEOUT.as_secs()
            ),
        };
    }
    Err(unreachable(trouble))
}

/// TLS on top.
pub(crate) async fn connect_tls(
    endpoint: &Endpoint,
    stream: TcpStream,
    tls: Arc<rustls::ClientConfig>,
) -> Result<TlsStream<TcpStream>, CloudError> {
    let failed = |detail: String| CloudError::Tls {
        host: endpoint.host.clone(),
        detail,
    };
    let name = rustls_pki_types::ServerName::try_from(endpoint.host.clone())
        .map_err(|e| failed(e.to_string()))?;
    TlsConnector::from(tls)
        .connect(name, stream)
        .await
        .map_err(|e| failed(tls_cause(&e).unwrap_or_else(|| cause_chain(&e))))
}

/// Opens the WebSocket.
pub(super) async fn open(
    url: &str,
    endpoint: &Endpoint,
    tls: Arc<rustls::ClientConfig>,
) -> Result<Link, OpenError> {
    let tcp = connect_tcp(endpoint).await?;
    let stream = if endpoint.tls {
        MaybeTlsStream::Rustls(connect_tls(endpoint, tcp, tls).await?)
    } else {
        MaybeTlsStream::Plain(tcp)
    };
    let mut request = url
        .into_client_request()
        .map_err(|e| refused(endpoint, &e))?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", HeaderValue::from_static("xmpp"));
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .max_message_size(Some(MAX_BYTES))
        .max_frame_size(Some(MAX_BYTES));
    let (socket, _) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(|e| refused(endpoint, &e))?;
    let (outgoing, incoming) = socket.split();
    Ok(Link {
        outgoing: Box::pin(
            outgoing
                .sink_map_err(|error| broken(&error))
                .with(|text: String| future::ready(Ok(Message::text(text)))),
        ),
        incoming: Box::pin(incoming.filter_map(|message| {
            future::ready(match message {
                Ok(Message::Text(text)) => Some(Ok(text.as_str().to_owned())),
                Ok(Message::Close(frame)) => Some(Err(LinkError(match frame {
                    Some(frame) => format!("the server closed the WebSocket ({})", frame.code),
                    None => "the server closed the WebSocket".to_owned(),
                }))),
                // Pings are answered by the library; RFC 7395 3.2 has no binary messages.
                Ok(_) => None,
                Err(error) => Some(Err(broken(&error))),
            })
        })),
    })
}

fn broken(error: &WsError) -> LinkError {
    match error {
        WsError::Io(io) if io.kind() == ErrorKind::UnexpectedEof => {
            LinkError("the connection was cut".to_owned())
        }
        error => LinkError(format!("the WebSocket broke: {}", cause_chain(error))),
    }
}

fn refused(endpoint: &Endpoint, error: &WsError) -> OpenError {
    match error {
        WsError::Http(response) => OpenError {
            error: CloudError::Protocol {
                what: "the streaming server",
                detail: format!("HTTP {} instead of a WebSocket", response.status().as_u16()),
            },
            // 4xx is about what was asked for, and that is the channel; other failures pass.
            channel_refused: response.status().is_client_error(),
        },
        WsError::Io(io) => CloudError::Unreachable {
            host: endpoint.host.clone(),
            detail: cause_chain(io),
        }
        .into(),
        other => CloudError::Protocol {
            what: "the streaming server",
            detail: cause_chain(other),
        }
        .into(),
    }
}
