//! The simulator's own certificate authority and the certificates it can show.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca-key.pem";
const CA_NAME: &str = "Offhook simulator CA";

/// What is wrong with the certificate that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFault {
    /// Nothing.
    #[default]
    None,
    /// Its issuer is not the simulator's CA.
    UnknownCa,
    /// It ended years ago.
    Expired,
    /// It is for another host.
    WrongName,
    /// There is none: the handshake is refused.
    Refused,
}

/// The CA and what it signed.
#[derive(Debug)]
pub struct Tls {
    ca_pem: String,
    ca_path: PathBuf,
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown {
    fault: Mutex<TlsFault>,
    good: Arc<CertifiedKey>,
    unknown_ca: Arc<CertifiedKey>,
    expired: Arc<CertifiedKey>,
    wrong_name: Arc<CertifiedKey>,
}

impl Tls {
    /// Loads the CA from a folder, or makes it there, and signs a certificate for the hosts the
    /// simulator answers for: the loopback addresses, `reached_at`, and the names below `environment`.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or holds something else.
    pub fn open(dir: &Path, environment: &str, reached_at: Option<IpAddr>) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let ca_path = dir.join(CA_FILE);
        let key_path = dir.join(CA_KEY_FILE);
        if !ca_path.exists() {
            let key = KeyPair::generate().context("make a key")?;
            let ca = ca_params(CA_NAME)
                .self_signed(&key)
                .context("sign the CA")?;
            fs::write(&key_path, key.serialize_pem())
                .with_context(|| format!("write {}", key_path.display()))?;
            fs::write(&ca_path, ca.pem())
                .with_context(|| format!("write {}", ca_path.display()))?;
        }
        let ca_pem =
            fs::read_to_string(&ca_path).with_context(|| format!("read {}", ca_path.display()))?;
        let key_pem = fs::read_to_string(&key_path)
            .with_context(|| format!("read {}", key_path.display()))?;
        let key = KeyPair::from_pem(&key_pem)
            .with_context(|| format!("{} is no private key", key_path.display()))?;
        CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .with_context(|| format!("{} is no certificate", ca_path.display()))?;
        // The CA's parameters are constants, so its name and key identifier come out the same.
        let issuer = Issuer::new(ca_params(CA_NAME), key);

        let stranger_key = KeyPair::generate()?;
        let stranger = Issuer::new(ca_params("A stranger"), stranger_key);
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
            environment.to_owned(),
            format!("*.{environment}"),
            format!("api.{environment}"),
            format!("login.{environment}"),
            format!("streaming.{environment}"),
        ];
        names.extend(reached_at.map(|address| address.to_string()));
        let mut expired = server_params(&names)?;
        expired.not_before = date_time_ymd(2000, 1, 1);
        expired.not_after = date_time_ymd(2001, 1, 1);
        Ok(Self {
            shown: Arc::new(Shown {
                fault: Mutex::default(),
                good: certify(&server_params(&names)?, &issuer)?,
                unknown_ca: certify(&server_params(&names)?, &stranger)?,
                expired: certify(&expired, &issuer)?,
                wrong_name: certify(&server_params(&["elsewhere.test".to_owned()])?, &issuer)?,
            }),
            ca_pem,
            ca_path,
        })
    }

    /// The CA certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Where the CA certificate is.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// Shows another certificate in handshakes from now on.
    pub fn set_fault(&self, fault: TlsFault) {
        *self
            .shown
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// The configuration to serve with: TLS 1.2 and 1.3, HTTP/1.1 only.
    ///
    /// # Errors
    /// If the TLS library refuses its own defaults.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            TlsFault::None => Some(self.good.clone()),
            TlsFault::UnknownCa => Some(self.unknown_ca.clone()),
            TlsFault::Expired => Some(self.expired.clone()),
            TlsFault::WrongName => Some(self.wrong_name.clone()),
            TlsFault::Refused => None,
        }
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn server_params(names: &[String]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Offhook simulator");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    Ok(params)
}

fn certify(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<Arc<CertifiedKey>> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(Arc::new(CertifiedKey::new(
        vec![certificate.der().clone()],
        any_supported_type(&private)?,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_in_a_folder_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let first = Tls::open(dir.path(), "mypurecloud.test", None).unwrap();
        let second = Tls::open(dir.path(), "mypurecloud.test", None).unwrap();
        assert_eq!(first.ca_pem(), second.ca_pem());
        assert!(first.ca_pem().contains("BEGIN CERTIFICATE"));
        assert!(first.server_config().is_ok());
    }

    #[test]
    fn a_broken_folder_says_which_file() {
        for broken in [CA_FILE, CA_KEY_FILE] {
            let dir = tempfile::tempdir().unwrap();
            Tls::open(dir.path(), "mypurecloud.test", None).unwrap();
            fs::write(dir.path().join(broken), "nonsense").unwrap();
            let error = Tls::open(dir.path(), "mypurecloud.test", None).unwrap_err();
            assert!(error.to_string().contains(broken), "{error:#}");
        }
    }
}
