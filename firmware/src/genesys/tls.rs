//! One TLS configuration for REST and streaming: the system's trust anchors and `cloud.ca_file`.

use super::CloudError;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// What the system trusts. Read once: it is the longest of what is done before anything is connected.
static SYSTEM: LazyLock<RootCertStore> = LazyLock::new(|| {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a trust anchor of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native.certs);
    roots
});

/// TLS 1.2 and 1.3; trusts what the system trusts, and the certificates of `ca_file` (PEM) as well.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, CloudError> {
    let mut roots = SYSTEM.clone();
    if let Some(path) = ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(CloudError::Config {
            detail: "the system has no trust anchors: install the package ca-certificates, or set cloud.ca_file"
                .to_owned(),
        });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| CloudError::Config {
            detail: format!("TLS cannot be set up: {e}"),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), CloudError> {
    let wrong = |why: String| CloudError::Config {
        detail: format!("cloud.ca_file {}: {why}", path.display()),
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(e.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate in it (PEM is wanted)".to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    Ok(())
}

/// If TLS is what failed, why. An I/O error hides its inner error from `source`, so it is asked for it.
pub(crate) fn tls_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.to_string());
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

/// An error and what caused it, in one line.
pub(crate) fn cause_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{cause_chain, client_config, tls_cause};
    use std::io;

    #[test]
    fn a_ca_file_is_read_or_its_trouble_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let error = client_config(Some(&path)).expect_err("no file").to_string();
        assert!(error.contains("ca.pem"), "{error}");
        std::fs::write(&path, "hello").expect("written");
        let error = client_config(Some(&path)).expect_err("no PEM").to_string();
        assert!(error.contains("no certificate in it"), "{error}");
        let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a CA");
        std::fs::write(&path, ca.cert.pem()).expect("written");
        client_config(Some(&path)).expect("a configuration");
    }

    #[test]
    fn the_tls_error_inside_an_io_error_is_found() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let error = io::Error::new(io::ErrorKind::InvalidData, inner);
        assert!(
            tls_cause(&error).is_some_and(|why| why.contains("Expired") || why.contains("expired"))
        );
        assert_eq!(tls_cause(&io::Error::other("no route")), None);
        assert_eq!(cause_chain(&io::Error::other("no route")), "no route");
    }
}
