//! The local API's key and certificate, made on first start and kept in the state folder for the phone's user only.

use super::Private;
use super::store::replace;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Length of the key, random bytes (shown as twice as many hexadecimal digits).
const KEY_BYTES: usize = 32;

/// Reads the API key from `dir`, or makes it.
pub fn api_key(dir: &Path) -> io::Result<Private> {
    let path = dir.join("api-key");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(Private::new(text.trim())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
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
    keep(&path, key.as_bytes());
    Ok(Private::new(key))
}

/// A phone with a full card works, with another key after the next start.
fn keep(path: &Path, bytes: &[u8]) {
    if let Err(error) = replace(path, bytes) {
        tracing::error!(file = %path.display(), %error, "it cannot be kept: after a restart there will be another one");
    }
}

/// The API's own certificate and key, PEM: read from `dir`, or made for `names`.
pub fn api_certificate(dir: &Path, names: Vec<String>) -> io::Result<(String, Private)> {
    let (certificate, key) = (
        dir.join("api-certificate.pem"),
        dir.join("api-certificate-key.pem"),
    );
    if let (Ok(certificate), Ok(key)) = (
        std::fs::read_to_string(&certificate),
        std::fs::read_to_string(&key),
    ) {
        return Ok((certificate, Private::new(key)));
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    keep(&key, made.signing_key.serialize_pem().as_bytes());
    keep(&certificate, made.cert.pem().as_bytes());
    Ok((
        made.cert.pem(),
        Private::new(made.signing_key.serialize_pem()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_readable_by_its_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = api_key(dir.path()).unwrap();
        assert_eq!(first.expose().len(), 2 * KEY_BYTES);
        assert_eq!(api_key(dir.path()).unwrap(), first);
        let mode = std::fs::metadata(dir.path().join("api-key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    /// Without it the phone did not start at all on a full card.
    #[test]
    fn what_cannot_be_kept_serves_until_the_next_start() {
        let gone = Path::new("/proc/nowhere");
        let first = api_key(gone).unwrap();
        assert_ne!(api_key(gone).unwrap(), first);
        assert!(api_certificate(gone, vec!["phone.local".into()]).is_ok());
    }

    #[test]
    fn the_certificate_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = api_certificate(dir.path(), vec!["phone.local".into()]).unwrap();
        assert_eq!(api_certificate(dir.path(), vec![]).unwrap(), first);
    }
}
