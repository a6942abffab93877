//! The simulator as tests use it.

mod commands;
mod inject;
mod look;
mod stations;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::cloud::Cloud;
use crate::spec::Options;
use crate::tls::Tls;
use crate::world::World;
use crate::{server, stun};
pub use look::UserStatus;
pub use stations::SessionReport;

/// How long open connections may take to end when the simulator stops.
const GRACE: Duration = Duration::from_secs(2);

/// A running simulator; dropping it stops everything. All verbs are on [`Handle`].
#[must_use = "dropping it stops the simulator"]
pub struct Simulator {
    handle: Handle,
    servers: Vec<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

/// A way to command a running simulator. Cheap to clone; useless once the simulator is dropped.
#[derive(Clone)]
pub struct Handle {
    cloud: Arc<Cloud>,
    tls: Arc<Tls>,
    address: SocketAddr,
    /// The same as phones see it.
    outside: SocketAddr,
    control: Option<SocketAddr>,
    stun: SocketAddr,
}

impl Simulator {
    /// Starts a simulator in this process, on its own ports.
    ///
    /// # Errors
    /// If a port is taken, or the folder for the CA cannot be used.
    pub async fn start(options: Options) -> Result<Self> {
        let (dir, temporary) = if let Some(dir) = &options.state_dir {
            (dir.clone(), None)
        } else {
            let dir = tempfile::tempdir().context("make a temporary folder for the CA")?;
            (dir.path().to_owned(), Some(dir))
        };
        let reached_at = options.reached_at;
        let tls = Arc::new(Tls::open(&dir, &options.environment, reached_at)?);
        let tcp = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("listen on {}", options.listen))?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(SocketAddr::new(address.ip(), 0))
            .await
            .with_context(|| format!("listen for STUN on {}", address.ip()))?;
        let stun = reachable(udp.local_addr()?, reached_at);
        let control_port = match options.control {
            Some(wanted) => {
                let listener = TcpListener::bind(wanted)
                    .await
                    .with_context(|| format!("listen on {wanted} for the control API"))?;
                Some(listener)
            }
            None => None,
        };
        let control = control_port
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?;
        let outside = reachable(address, reached_at);
        let cloud = Cloud::new(World::new(options, outside.to_string(), stun));
        let handle = Handle {
            cloud: cloud.clone(),
            tls: tls.clone(),
            address,
            outside,
            control,
            stun,
        };
        cloud.spawn(async move {
            if let Err(error) = stun::serve(udp).await {
                tracing::error!("the STUN server ended: {error}");
            }
        });
        let acceptor = TlsAcceptor::from(tls.server_config()?);
        let mut servers = vec![server::serve_tls(&handle, &cloud, tcp, acceptor)?];
        servers
            .extend(control_port.map(|listener| server::serve_control(&handle, &cloud, listener)));
        Ok(Self {
            handle,
            servers,
            _temporary: temporary,
        })
    }

    /// Stops, and waits until open connections have ended (2 s at most).
    pub async fn stop(mut self) {
        self.handle.cloud.stop();
        for server in self.servers.drain(..) {
            // Whoever does not end is cut off by the drop.
            let _ = tokio::time::timeout(GRACE, server).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.handle.cloud.stop();
    }
}

// The simulator owns what its handle commands, like a smart pointer owns its value.
impl Deref for Simulator {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Handle {
    /// `https://HOST:PORT`: the environment to give to a client.
    pub fn rest_url(&self) -> String {
        format!("https://{}", self.outside)
    }

    /// `wss://HOST:PORT`: the streaming host to give to a client.
    pub fn streaming_url(&self) -> String {
        format!("wss://{}", self.outside)
    }

    /// `http://HOST:PORT` of the control port, if there is one.
    pub fn control_url(&self) -> Option<String> {
        self.control
            .map(|address| format!("http://{}", reachable(address, None)))
    }

    /// Where HTTPS and WSS listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The STUN server.
    pub fn stun_address(&self) -> SocketAddr {
        self.stun
    }

    /// The CA certificate to trust.
    pub fn ca_pem(&self) -> &str {
        self.tls.ca_pem()
    }

    /// The file with the CA certificate.
    pub fn ca_pem_path(&self) -> PathBuf {
        self.tls.ca_path().to_owned()
    }

    pub(crate) fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }
}

/// An address to connect to, for one to listen on; `reached_at` is where phones reach this machine.
fn reachable(address: SocketAddr, reached_at: Option<IpAddr>) -> SocketAddr {
    let host = match reached_at {
        Some(host) => host,
        None if address.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        None => address.ip(),
    };
    SocketAddr::new(host, address.port())
}

fn find(world: &World, who: &str) -> Result<String> {
    match world.directory.find(who) {
        Some(user) => Ok(user.id.clone()),
        None if who.is_empty() => bail!("say which user: there is none, or more than one"),
        None => bail!("there is no user {who:?}"),
    }
}
