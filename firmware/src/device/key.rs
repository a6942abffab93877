//! The local API's key and certificate, made on first start and kept in the state folder for the phone's user only.

use super::Private;
use super::store::Folder;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Length of the key, random bytes (shown as twice as many hexadecimal digits).
const KEY_BYTES: usize = 32;

/// Reads the API key from the state folder, or makes it. One that was there and is of no use is told, as with it every
/// program that has it is locked out.
pub fn api_key(folder: &Folder) -> io::Result<Private> {
    let path = folder.path().join("api-key");
    if let Some(bytes) = content(&path)? {
        match key_in(&bytes) {
            Ok(key) => return Ok(key),
            Err(trouble) => folder.set_aside(&path, trouble),
        }
    }
    let mut bytes = [0; KEY_BYTES];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("no randomness from the system"))?;
    let key = bytes.iter().fold(String::new(), |mut key, byte| {
        // Writing into a String cannot fail.
        let _ = write!(key, "{byte:02x}");
        key
    });
    keep(folder, &path, key.as_bytes());
    Ok(Private::new(key))
}

/// The key of a file, or what is wrong with it. Somebody may have put one of their own there.
fn key_in(bytes: &[u8]) -> Result<Private, &'static str> {
    let text = str::from_utf8(bytes).unwrap_or("\0").trim();
    if text.is_empty() {
        return Err("it is empty");
    }
    // It goes into a header.
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("it is no text of one line");
    }
    Ok(Private::new(text))
}

fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A phone with a full card works, with another key after the next start if there is no room until then.
fn keep(folder: &Folder, path: &Path, bytes: &[u8]) {
    if let Err(error) = folder.replace(path, bytes.to_vec()) {
        tracing::error!(file = %path.display(), %error, "it cannot be kept; trying again");
    }
}

/// The API's own certificate and key, PEM: read from the state folder, or made for `names`. A pair that was there and is
/// of no use is told, because whoever trusted it has to trust the new one.
pub fn api_certificate(folder: &Folder, names: Vec<String>) -> io::Result<(String, Private)> {
    let (certificate, key) = (
        folder.path().join("api-certificate.pem"),
        folder.path().join("api-certificate-key.pem"),
    );
    // One alone is of a first start that the power cut.
    if let (Some(certificate_pem), Some(key_pem)) = (content(&certificate)?, content(&key)?) {
        match pair_in(certificate_pem, key_pem) {
            Ok(pair) => return Ok(pair),
            Err(trouble) => {
                folder.set_aside(&certificate, &trouble);
                folder.set_aside(&key, &trouble);
            }
        }
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    keep(folder, &key, made.signing_key.serialize_pem().as_bytes());
    keep(folder, &certificate, made.cert.pem().as_bytes());
    Ok((
        made.cert.pem(),
        Private::new(made.signing_key.serialize_pem()),
    ))
}

/// A pair that a server can use, or why not.
fn pair_in(certificate: Vec<u8>, key: Vec<u8>) -> Result<(String, Private), String> {
    let chain = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    // Its words may quote the key.
    let der = PrivateKeyDer::from_pem_slice(&key).map_err(|_| "the key cannot be read")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, der))
        .map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8(bytes).map_err(|_| "it is no text".to_owned());
    Ok((text(certificate)?, Private::new(text(key)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn damaged(folder: &Folder) -> u32 {
        folder.health().borrow().damaged
    }

    #[test]
    fn the_key_is_made_once_and_readable_by_its_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let first = api_key(&folder).unwrap();
        assert_eq!(first.expose().len(), 2 * KEY_BYTES);
        assert_eq!(api_key(&folder).unwrap(), first);
        let mode = std::fs::metadata(dir.path().join("api-key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!((mode & 0o777, damaged(&folder)), (0o600, 0));
    }

    /// It was replaced without a word, and every program that had the old one stood before a closed door; bytes that are
    /// no text kept the phone from starting.
    #[test]
    fn a_key_of_no_use_is_told_kept_aside_and_replaced() {
        for content in [b"".as_slice(), b"\n", &[0; 64], b"\xff\xfe"] {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::new(dir.path());
            std::fs::write(dir.path().join("api-key"), content).unwrap();
            let made = api_key(&folder).unwrap();
            assert_eq!(made.expose().len(), 2 * KEY_BYTES, "{content:?}");
            assert_eq!(damaged(&folder), 1, "{content:?}");
            let aside = std::fs::read(dir.path().join("api-key.corrupt"));
            assert_eq!(aside.unwrap(), content);
            assert_eq!(api_key(&folder).unwrap(), made);
            assert_eq!(damaged(&folder), 1, "told once");
        }
    }

    #[test]
    fn a_key_of_ones_own_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        // The last is as `openssl rand -hex 16` makes one.
        for key in [
            "open-sesame",
            "two words",
            "0123456789abcdef0123456789abcdef",
        ] {
            std::fs::write(dir.path().join("api-key"), format!("{key}\n")).unwrap();
            assert_eq!(api_key(&folder).unwrap().expose(), key);
        }
        assert_eq!(damaged(&folder), 0);
    }

    /// Without it the phone did not start at all on a full card.
    #[test]
    fn what_cannot_be_kept_serves_until_the_next_start() {
        let gone = Folder::new("/proc/nowhere");
        let first = api_key(&gone).unwrap();
        assert_ne!(api_key(&gone).unwrap(), first);
        assert!(api_certificate(&gone, vec!["phone.local".into()]).is_ok());
        assert!(gone.health().borrow().is_unsaved, "it is tried again");
    }

    #[test]
    fn the_certificate_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let first = api_certificate(&folder, vec!["phone.local".into()]).unwrap();
        assert_eq!(api_certificate(&folder, vec![]).unwrap(), first);
        assert_eq!(damaged(&folder), 0);
    }

    /// The phone never started again: its page had no certificate.
    #[test]
    fn a_certificate_of_no_use_is_told_kept_aside_and_replaced() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let (certificate, key) = ("api-certificate.pem", "api-certificate-key.pem");
        for (file, content) in [
            (certificate, ""),
            (key, ""),
            (certificate, "-----BEGIN CERTIFICATE-----\nMIIB"),
            // Of another certificate.
            (key, &other),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::new(dir.path());
            let names = || vec!["phone.local".to_owned()];
            let first = api_certificate(&folder, names()).unwrap();
            std::fs::write(dir.path().join(file), content).unwrap();
            let second = api_certificate(&folder, names()).unwrap();
            assert_ne!(second, first, "{file}: {content}");
            assert_eq!(damaged(&folder), 2, "{file}: {content}");
            assert!(dir.path().join("api-certificate.pem.corrupt").exists());
            assert_eq!(api_certificate(&folder, names()).unwrap(), second);
        }
    }
}
