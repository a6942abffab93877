//! A real TURN server (Debian's coturn), on ports of its own.

use offhook_cloudsim::spec::TurnServer;
use offhook_tests::PATIENCE;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

pub const USER: &str = "offhook";
pub const PASSWORD: &str = "correct horse";

/// A running server; stopped when dropped.
pub struct Coturn {
    process: Child,
    address: IpAddr,
    port: u16,
    tls_port: u16,
    dir: TempDir,
}

impl Coturn {
    /// Listens at `address` and relays from `relay`.
    pub async fn start(address: &str, relay: &str) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let made =
            rcgen::generate_simple_self_signed(vec![address.to_string()]).expect("a certificate");
        let file = |name: &str| dir.path().join(name);
        std::fs::write(file("cert.pem"), made.cert.pem()).expect("written");
        std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).expect("written");
        let (port, tls_port) = (free_port(address), free_port(address));
        let log = std::fs::File::create(file("log")).expect("a log");
        let process = Command::new("turnserver")
            .args([
                "-n",
                "--no-cli",
                "--no-dtls",
                "--no-rfc5780",
                "--allow-loopback-peers",
                "--lt-cred-mech",
            ])
            .args(["--verbose", "--log-file=stdout", "--realm=offhook.test"])
            .arg(format!("--user={USER}:{PASSWORD}"))
            .arg(format!("--listening-ip={address}"))
            .arg(format!("--relay-ip={relay}"))
            .arg(format!("--listening-port={port}"))
            .arg(format!("--tls-listening-port={tls_port}"))
            .arg(format!("--cert={}", file("cert.pem").display()))
            .arg(format!("--pkey={}", file("key.pem").display()))
            .arg(format!("--userdb={}", file("users").display()))
            .arg(format!("--pidfile={}", file("pid").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("turnserver starts: install Debian's package coturn, or run cross/test");
        let server = Self {
            process,
            address,
            port,
            tls_port,
            dir,
        };
        let up = tokio::time::timeout(PATIENCE, async {
            for port in [port, tls_port] {
                while tokio::net::TcpStream::connect((address, port))
                    .await
                    .is_err()
                {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
        });
        assert!(
            up.await.is_ok(),
            "turnserver does not listen:\n{}",
            server.log()
        );
        server
    }

    /// Its URL over `udp`, `tcp` or `tls`.
    pub fn url(&self, carrier: &str) -> String {
        let host = match self.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        match carrier {
            "udp" => format!("turn:{host}:{}", self.port),
            "tcp" => format!("turn:{host}:{}?transport=tcp", self.port),
            "tls" => format!("turns:{host}:{}?transport=tcp", self.tls_port),
            other => panic!("no carrier {other}"),
        }
    }

    /// The same, as service discovery tells of it.
    pub fn service(&self, carrier: &str) -> TurnServer {
        TurnServer {
            host: self.address.to_string(),
            port: if carrier == "tls" {
                self.tls_port
            } else {
                self.port
            },
            transport: carrier.into(),
            username: USER.into(),
            password: PASSWORD.into(),
        }
    }

    /// What the phone must trust for [`Self::url`] of `tls`, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Stops it in the middle of whatever it does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.kill();
    }
}

/// TLS for a phone that trusts `certificate` alone.
pub fn tls(certificate: &std::path::Path) -> Arc<rustls::ClientConfig> {
    use rustls_pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls_pki_types::CertificateDer::from_pem_file(certificate).expect("PEM");
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// One that is free for UDP and TCP.
pub fn free_port(address: IpAddr) -> u16 {
    loop {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        if UdpSocket::bind((address, port)).is_ok() {
            return port;
        }
    }
}
