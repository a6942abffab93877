//! The server: plain HTTP on loopback, HTTPS with the key on any other address.

use super::api::{self, Api};
use super::guard::{self, Guard};
use super::{EventLog, Request, page};
use crate::device::Private;
use crate::device::update::Updater;
use offhook_hal::virtual_board::VirtualPanel;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A client that does not finish its TLS handshake in this time is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Clone, Debug)]
pub struct PanelConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Key and certificate; needed on any address that is not loopback.
    pub credentials: Option<Credentials>,
    /// The phone's host name, which a Host header may carry.
    pub host_name: String,
    /// Keys, hook, lamps and display of a virtual board.
    pub virtual_panel: Option<VirtualPanel>,
    /// Takes updates.
    pub updater: Updater,
}

/// What the API wants from clients and shows them on the network.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `Authorization: Bearer ...`
    pub key: Private,
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub certificate_key: Private,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PanelError {
    /// Port in use, address not ours, ...
    #[error("api.listen = {address}: {error}; choose another address or stop what uses it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        error: std::io::Error,
    },
    /// The certificate of the state folder is not usable.
    #[error(
        "the API's certificate cannot be used ({0}); remove api-certificate*.pem from the state folder to make a new one"
    )]
    Certificate(String),
    /// Not on loopback and without credentials.
    #[error("api.listen = {0} is on the network: a key and a certificate are needed")]
    NoCredentials(SocketAddr),
}

/// The running server; stops when dropped.
#[derive(Debug)]
pub struct Panel {
    address: SocketAddr,
    secure: bool,
    server: tokio::task::JoinHandle<()>,
}

impl Panel {
    /// Starts serving.
    pub async fn start(
        config: PanelConfig,
        requests: mpsc::Sender<Request>,
        events: EventLog,
    ) -> Result<Self, PanelError> {
        let secure = !config.listen.ip().is_loopback();
        let credentials = match (secure, config.credentials) {
            (true, None) => return Err(PanelError::NoCredentials(config.listen)),
            (true, credentials) => credentials,
            (false, _) => None,
        };
        let listen_error = |error| PanelError::Listen {
            address: config.listen,
            error,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let guard = Guard {
            key: credentials
                .as_ref()
                .map(|credentials| credentials.key.clone()),
            host_name: config.host_name.into(),
        };
        let app = api::routes()
            .merge(page::routes())
            .layer(axum::middleware::from_fn_with_state(guard, guard::check))
            .with_state(Api {
                requests,
                events,
                virtual_panel: config.virtual_panel,
                updater: config.updater,
                is_secure: secure,
            });
        let server = match credentials {
            None => tokio::spawn(async move {
                // `serve` itself never ends and never fails.
                let _ = axum::serve(listener, app).await;
            }),
            Some(credentials) => {
                let listener = TlsListener::new(listener, address, acceptor(&credentials)?);
                tokio::spawn(async move {
                    let _ = axum::serve(listener, app).await;
                })
            }
        };
        Ok(Self {
            address,
            secure,
            server,
        })
    }

    /// What it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!(
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.address
        )
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn acceptor(credentials: &Credentials) -> Result<TlsAcceptor, PanelError> {
    let bad = |error: &dyn std::fmt::Display| PanelError::Certificate(error.to_string());
    let chain = CertificateDer::pem_slice_iter(credentials.certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(&error))?;
    let key = PrivateKeyDer::from_pem_slice(credentials.certificate_key.expose().as_bytes())
        .map_err(|error| bad(&error))?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Hands on connections whose handshake is done, so that a slow client keeps nobody waiting.
struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn new(listener: TcpListener, address: SocketAddr, acceptor: TlsAcceptor) -> Self {
        let (done, ready) = mpsc::channel(16);
        tokio::spawn(async move {
            while !done.is_closed() {
                let Ok((stream, peer)) = listener.accept().await else {
                    // Out of file descriptors: give the others time to close theirs.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) =
                        tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await
                    {
                        // The server is gone: so is the connection.
                        let _ = done.send((stream, peer)).await;
                    }
                });
            }
        });
        Self { address, ready }
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ends only after this listener; nothing will come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.address)
    }
}
