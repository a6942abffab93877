//! Where the access token comes from. A replaced token file heals the phone without a restart.

use super::login::{Login, Renewal};
use crate::device::Private;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often a refused token's file is looked at again: a person replaces it, so seconds are soon enough.
const WATCH_PERIOD: Duration = Duration::from_secs(5);

/// A token is some hundred bytes; anything much longer is another file given by mistake.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Hands out the access token. Cheap to clone; all clones share the token.
#[derive(Clone, Debug)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    origin: Origin,
    current: Mutex<Option<Private>>,
    /// Counts replacements of the file.
    epoch: watch::Sender<u64>,
}

#[derive(Debug)]
enum Origin {
    /// Given, and cannot be read again.
    Fixed,
    File(PathBuf),
    Login(Login),
}

/// Why there is no access token. Names the file, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("the access token file {} cannot be read ({detail}): write the token there, correct cloud.token_file, or set cloud.client_id to log in on the phone's page", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// Nothing in it.
    #[error("the access token file {} is empty: write the token there", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More than one word, control characters, or far too long.
    #[error("the access token file {} does not hold a token (one line of visible ASCII is wanted)", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is no file but a login, and it has ended or was never made.
    #[error("nobody is logged in: log in on the phone's page, or with `offhook login`")]
    LoginNeeded,
}

impl TokenSource {
    /// The token is the trimmed content of `path`; it is first read when it is first needed.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(Origin::File(path.into()), None)
    }

    /// A token that was given; it cannot change.
    pub fn fixed(token: Private) -> Self {
        Self::of(Origin::Fixed, Some(token))
    }

    /// The token of whoever has logged in.
    pub fn login(login: Login) -> Self {
        Self::of(Origin::Login(login), None)
    }

    fn of(origin: Origin, current: Option<Private>) -> Self {
        Self {
            inner: Arc::new(Inner {
                origin,
                current: Mutex::new(current),
                epoch: watch::Sender::new(0),
            }),
        }
    }

    /// The login, if the token comes from one.
    pub fn as_login(&self) -> Option<&Login> {
        match &self.inner.origin {
            Origin::Login(login) => Some(login),
            Origin::Fixed | Origin::File(_) => None,
        }
    }

    /// The token, read at the first call and remembered.
    pub fn current(&self) -> Result<Private, TokenError> {
        if let Origin::Login(login) = &self.inner.origin {
            return login.current().ok_or(TokenError::LoginNeeded);
        }
        let known = self.lock().clone();
        match known {
            Some(token) => Ok(token),
            None => self.read(),
        }
    }

    /// Reads the file again. Whether there now is another token than before. For a login only whether there is one.
    pub fn reload(&self) -> Result<bool, TokenError> {
        if let Origin::Login(login) = &self.inner.origin {
            login.reread();
            return self.current().map(|_| false);
        }
        let before = self.lock().clone();
        let changed = before.as_ref() != Some(&self.read()?);
        if changed && before.is_some() {
            self.inner.epoch.send_modify(|epoch| *epoch += 1);
        }
        Ok(changed)
    }

    /// The cloud has refused `used`: another token, by reading the file again or by refreshing the login, once.
    pub(crate) async fn renew(&self, used: &Private) -> Renewal {
        match &self.inner.origin {
            Origin::Login(login) => login.renew(used).await,
            Origin::Fixed => Renewal::None,
            Origin::File(_) => {
                let another =
                    |known: &Option<Private>| known.is_some() && known.as_ref() != Some(used);
                let known = self.lock().clone();
                if another(&known) || self.reload().unwrap_or(false) {
                    Renewal::Another
                } else {
                    Renewal::None
                }
            }
        }
    }

    /// The cloud refused `used` although it was just renewed: a person must act.
    pub(crate) fn refused(&self, used: &Private) {
        if let Origin::Login(login) = &self.inner.origin {
            login.refused(used);
        }
    }

    /// Changes whenever the token may be another user's: a login, a log-out, a replaced file. Not by a refresh.
    pub(crate) fn epochs(&self) -> watch::Receiver<u64> {
        match &self.inner.origin {
            Origin::Login(login) => login.epochs(),
            Origin::Fixed | Origin::File(_) => self.inner.epoch.subscribe(),
        }
    }

    /// Waits until there is another token than the one `current` handed out last. Never, for a fixed token.
    pub async fn changed(&self) {
        if let Origin::Login(login) = &self.inner.origin {
            let mut epochs = login.epochs();
            while login.current().is_none() {
                // The sender lives in the login.
                let _ = epochs.changed().await;
            }
            return;
        }
        loop {
            tokio::time::sleep(WATCH_PERIOD).await;
            match self.reload() {
                Ok(true) => return,
                Ok(false) => {}
                // Replacing a file may remove it for a moment; the next look tells.
                Err(error) => tracing::debug!(%error, "still no other access token"),
            }
        }
    }

    /// What else a token needs while the phone runs: a login is kept fresh. Never returns.
    pub(crate) async fn tend(&self) {
        match &self.inner.origin {
            Origin::Login(login) => login.keep_fresh().await,
            Origin::Fixed | Origin::File(_) => std::future::pending().await,
        }
    }

    /// The file, if the token comes from one.
    pub fn path(&self) -> Option<&Path> {
        match &self.inner.origin {
            Origin::File(path) => Some(path),
            Origin::Fixed | Origin::Login(_) => None,
        }
    }

    /// Whether users of this machine other than the phone's may read the token.
    pub fn is_exposed(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        self.path()
            .and_then(|path| std::fs::metadata(path).ok())
            .is_some_and(|data| data.permissions().mode() & 0o007 != 0)
    }

    fn read(&self) -> Result<Private, TokenError> {
        let Some(path) = self.path() else {
            // A fixed token is always known.
            return Ok(self.lock().clone().unwrap_or_default());
        };
        let token = read_token(path)?;
        *self.lock() = Some(token.clone());
        Ok(token)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Private>> {
        // The guarded value is replaced whole, so a panic elsewhere cannot have left it half written.
        self.inner
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_token(path: &Path) -> Result<Private, TokenError> {
    use std::io::Read;
    let path_buf = || path.to_owned();
    let unreadable = |error: std::io::Error| TokenError::Unreadable {
        path: path_buf(),
        detail: error.to_string(),
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(MAX_TOKEN_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| TokenError::Malformed { path: path_buf() })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(TokenError::Empty { path: path_buf() });
    }
    if token.len() > MAX_TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Malformed { path: path_buf() });
    }
    Ok(Private::new(token))
}

#[cfg(test)]
mod tests {
    use super::{TokenError, TokenSource};
    use crate::device::Private;
    use std::fs;

    #[test]
    fn a_file_is_trimmed_and_remembered_until_reloaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "  abc-1\n").expect("written");
        let token = TokenSource::file(&path);
        assert_eq!(token.current().expect("a token").expose(), "abc-1");
        fs::write(&path, "abc-2").expect("written");
        assert_eq!(token.current().expect("a token").expose(), "abc-1");
        assert_eq!(token.reload(), Ok(true));
        assert_eq!(token.current().expect("a token").expose(), "abc-2");
        assert_eq!(token.reload(), Ok(false));
    }

    #[test]
    fn bad_files_are_told_apart_and_never_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let source = TokenSource::file(&path);
        assert!(matches!(
            source.current(),
            Err(TokenError::Unreadable { .. })
        ));
        for (content, expected) in [
            ("", "is empty"),
            (" \n\t", "is empty"),
            ("secret secret", "does not hold a token"),
            ("secret\u{e9}", "does not hold a token"),
        ] {
            fs::write(&path, content).expect("written");
            let error = source.current().expect_err(content).to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        fs::write(&path, "x".repeat(20_000)).expect("written");
        assert!(matches!(
            source.current(),
            Err(TokenError::Malformed { .. })
        ));
    }

    #[test]
    fn a_file_that_others_may_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "abc").expect("written");
        let source = TokenSource::file(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        assert!(!source.is_exposed());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(source.is_exposed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_file_ends_the_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "old").expect("written");
        let source = TokenSource::file(&path);
        source.current().expect("a token");
        let started = tokio::time::Instant::now();
        let waiting = tokio::spawn({
            let source = source.clone();
            async move { source.changed().await }
        });
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        assert!(!waiting.is_finished());
        fs::write(&path, "new").expect("written");
        waiting.await.expect("no panic");
        assert_eq!(started.elapsed().as_secs(), 15);
        assert_eq!(source.current().expect("a token").expose(), "new");
    }

    #[test]
    fn a_fixed_token_is_what_was_given() {
        let source = TokenSource::fixed(Private::from("t"));
        assert_eq!(source.current().expect("a token").expose(), "t");
        assert_eq!(source.reload(), Ok(false));
        assert!(!source.is_exposed());
    }
}
