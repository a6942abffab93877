//! One connection to a TURN server.

use super::framing::{self, NotTurn};
use crate::media::names;
use crate::media::url::{Carrier, IceUrl};
use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// From the name to the end of the TLS handshake. The stack gives its Allocate request up after 8 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// For one of several addresses: a first that is dead must leave time for the second.
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(2500);
/// Nothing could be written for so long: the network is gone, and so is the call on it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// A clean end is polite, not worth waiting for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("its name cannot be resolved ({0})")]
    Name(io::Error),
    #[error("it cannot be reached ({0})")]
    Unreachable(io::Error),
    #[error("it did not answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    TimedOut,
    #[error("its TLS is not to be trusted ({0}); is cloud.ca_file right?")]
    Tls(io::Error),
    #[error("TLS is not set up")]
    NoTls,
    #[error("{0:?} is no name TLS can check")]
    ServerName(String),
    #[error("the connection broke ({0})")]
    Broken(io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    NotTurn(#[from] NotTurn),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `server` and carries messages both ways until `outbound` ends.
pub(super) async fn run(
    server: &IceUrl,
    tls: Option<Arc<ClientConfig>>,
    outbound: mpsc::Receiver<Bytes>,
    inbound: impl Fn(Bytes),
) -> Result<(), LinkError> {
    let stream = timeout(CONNECT_TIMEOUT, connect(server, tls))
        .await
        .unwrap_or(Err(LinkError::TimedOut))?;
    carry(stream, outbound, inbound).await
}

async fn connect(
    server: &IceUrl,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Stream>, LinkError> {
    let addresses = names::resolve(&server.authority())
        .await
        .map_err(LinkError::Name)?;
    let mut why = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in addresses {
        match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Twenty milliseconds of sound must not wait for the next twenty.
                stream.set_nodelay(true).map_err(LinkError::Broken)?;
                return secured(server, tls, stream).await;
            }
            Ok(Err(error)) => why = error,
            Err(_) => why = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(LinkError::Unreachable(why))
}

async fn secured(
    server: &IceUrl,
    tls: Option<Arc<ClientConfig>>,
    stream: TcpStream,
) -> Result<Box<dyn Stream>, LinkError> {
    if server.carrier != Carrier::Tls {
        return Ok(Box::new(stream));
    }
    let config = tls.ok_or(LinkError::NoTls)?;
    let name = ServerName::try_from(server.host.clone())
        .map_err(|_| LinkError::ServerName(server.host.clone()))?;
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(LinkError::Tls)?;
    Ok(Box::new(stream))
}

/// Both directions at once: a stream that takes nothing must not keep what comes from coming.
async fn carry(
    stream: impl Stream,
    mut outbound: mpsc::Receiver<Bytes>,
    inbound: impl Fn(Bytes),
) -> Result<(), LinkError> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = async {
        let mut stream = BytesMut::new();
        loop {
            while let Some(message) = framing::next(&mut stream)? {
                inbound(message);
            }
            stream.reserve(framing::MAX_MESSAGE);
            if reader
                .read_buf(&mut stream)
                .await
                .map_err(LinkError::Broken)?
                == 0
            {
                return Err(LinkError::Closed);
            }
        }
    };
    let writing = async {
        let mut batch = Vec::new();
        while let Some(message) = outbound.recv().await {
            batch.clear();
            framing::put(&message, &mut batch);
            while let Ok(message) = outbound.try_recv() {
                framing::put(&message, &mut batch);
            }
            let written = timeout(WRITE_TIMEOUT, async {
                writer.write_all(&batch).await?;
                writer.flush().await
            });
            written
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(LinkError::Broken)?;
        }
        let _ = timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
        Ok(())
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::io::duplex;

    const CHANNEL_DATA: &[u8] = &[0x40, 1, 0, 3, 1, 2, 3];
    const PADDED: &[u8] = &[0x40, 1, 0, 3, 1, 2, 3, 0];

    #[tokio::test(start_paused = true)]
    async fn messages_go_both_ways_and_what_was_given_goes_out_before_the_end() {
        let (near, mut far) = duplex(64);
        let (send, outbound) = mpsc::channel(8);
        let came = Mutex::new(Vec::new());
        for _ in 0..3 {
            send.try_send(Bytes::from_static(CHANNEL_DATA))
                .expect("room");
        }
        let carried = carry(near, outbound, |message: Bytes| {
            came.lock().expect("not poisoned").push(message);
        });
        let heard = async {
            // A message and the beginning of another.
            far.write_all(&[PADDED, &PADDED[..5]].concat())
                .await
                .expect("far end");
            while came.lock().expect("not poisoned").is_empty() {
                tokio::task::yield_now().await;
            }
            drop(send);
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.expect("far end");
            heard
        };
        let (carried, heard) = tokio::join!(carried, heard);
        carried.expect("a clean end");
        assert_eq!(heard, PADDED.repeat(3));
        assert_eq!(came.into_inner().expect("not poisoned"), [CHANNEL_DATA]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_way_to_end_is_told() {
        let (near, far) = duplex(64);
        let (_send, outbound) = mpsc::channel(8);
        drop(far);
        let ended = carry(near, outbound, |_| {}).await;
        assert!(matches!(ended, Err(LinkError::Closed)), "{ended:?}");

        let (near, mut far) = duplex(64);
        let (_send, outbound) = mpsc::channel(8);
        far.write_all(b"HTTP/1.1 400").await.expect("far end");
        let ended = carry(near, outbound, |_| {}).await;
        assert!(matches!(ended, Err(LinkError::NotTurn(_))), "{ended:?}");

        // The far end takes nothing more.
        let (near, _far) = duplex(4);
        let (send, outbound) = mpsc::channel(8);
        send.try_send(Bytes::from_static(CHANNEL_DATA))
            .expect("room");
        let ended = carry(near, outbound, |_| {}).await;
        assert!(matches!(ended, Err(LinkError::Broken(_))), "{ended:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let connected = |url: &str| {
            let url = IceUrl::parse(url).expect("a URL");
            async move {
                connect(&url, None)
                    .await
                    .err()
                    .expect("no server")
                    .to_string()
            }
        };
        let why = connected(&format!("turn:127.0.0.1:{port}?transport=tcp")).await;
        assert!(why.contains("cannot be reached"), "{why}");
        let why = connected("turn:no-such-host.invalid?transport=tcp").await;
        assert!(why.contains("resolved"), "{why}");
    }
}
