//! The ports: HTTPS with WSS, and plain HTTP for the control API.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{any, get, post};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::cloud::Cloud;
use crate::control;
use crate::journal::LogKind;
use crate::simulator::Handle;
use crate::{oauth, rest, streaming};

/// A client that opens a connection and says nothing must not hold it for ever.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves the cloud, and the control API beside it.
pub(crate) fn serve_tls(
    handle: &Handle,
    cloud: &Arc<Cloud>,
    tcp: TcpListener,
    acceptor: TlsAcceptor,
) -> io::Result<JoinHandle<()>> {
    let router = Router::new()
        .route("/api/v2/{*path}", any(rest::serve))
        .route("/stream/channels/{channel}", get(streaming::serve))
        .route(
            "/oauth/authorize",
            get(oauth::authorize).post(oauth::choose),
        )
        .route("/oauth/token", post(oauth::token))
        .with_state(cloud.clone())
        .merge(control::router(handle.clone()))
        .layer(from_fn(rest::cors));
    let address = tcp.local_addr()?;
    let (accepted, streams) = mpsc::channel(64);
    cloud.spawn(accept(cloud.clone(), tcp, acceptor, accepted));
    Ok(serve(cloud, Handshaken { streams, address }, router))
}

/// Serves the control API alone.
pub(crate) fn serve_control(
    handle: &Handle,
    cloud: &Arc<Cloud>,
    tcp: TcpListener,
) -> JoinHandle<()> {
    serve(cloud, tcp, control::router(handle.clone()))
}

fn serve<L>(cloud: &Arc<Cloud>, listener: L, router: Router) -> JoinHandle<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let stopping = cloud.clone();
    let server = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.stopped().await });
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!("a port of the simulator is closed: {error}");
        }
    })
}

/// Takes connections and lets each shake hands by itself, so that one cannot block the others.
async fn accept(
    cloud: Arc<Cloud>,
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<TlsStream<TcpStream>>,
) {
    loop {
        let stream = match tcp.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                // Out of file descriptors, most likely: another has to be closed first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, accepted, cloud) = (acceptor.clone(), accepted.clone(), cloud.clone());
        cloud.clone().spawn(async move {
            // Small frames, each waited for: Nagle's algorithm only delays them.
            let _ = stream.set_nodelay(true);
            match timeout(HANDSHAKE, acceptor.accept(stream)).await {
                // An error: the server has stopped.
                Ok(Ok(stream)) => drop(accepted.send(stream).await),
                Ok(Err(error)) => cloud.with(|world| {
                    world.log(
                        LogKind::Socket,
                        None,
                        format!("TLS handshake failed: {error}"),
                    );
                }),
                Err(_) => cloud.with(|world| {
                    world.log(LogKind::Socket, None, "TLS handshake not finished in time");
                }),
            }
        });
    }
}

/// Connections whose handshake is done.
struct Handshaken {
    streams: mpsc::Receiver<TlsStream<TcpStream>>,
    address: SocketAddr,
}

impl Listener for Handshaken {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.streams.recv().await {
            Some(stream) => (stream, self.address),
            // The accepting task has ended with the simulator; so does this server.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
