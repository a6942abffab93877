//! The bundle on its way into the state folder.

use super::UpdateError;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A sender that sends nothing for so long has gone.
const STALL: Duration = Duration::from_mins(1);
/// Left free for the phone's own files, bytes.
const RESERVE: u64 = 1024 * 1024;

/// A bundle being received; removed when dropped.
#[derive(Debug)]
pub(super) struct Parcel {
    path: PathBuf,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        // What cannot be removed is overwritten by the next one.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Parcel {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes `body` in, of `length` bytes if that is known; `progress` hears percents.
    pub async fn receive<E: std::fmt::Display>(
        folder: &Path,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
        mut progress: impl FnMut(u8),
    ) -> Result<Self, UpdateError> {
        let free = free_bytes(folder);
        if let (Some(needed), Some(free)) = (length, free)
            && needed.saturating_add(RESERVE) > free
        {
            return Err(no_space(folder, needed));
        }
        let parcel = Self {
            path: folder.join("update.raucb"),
        };
        let failed = |error: &io::Error, received: u64| {
            if error.kind() == io::ErrorKind::StorageFull {
                return no_space(folder, length.unwrap_or(received));
            }
            UpdateError::State {
                folder: folder.into(),
                detail: error.to_string(),
            }
        };
        let mut file = tokio::fs::File::create(&parcel.path)
            .await
            .map_err(|error| failed(&error, 0))?;
        let mut body = std::pin::pin!(body);
        let mut received = 0;
        loop {
            let broken = |detail| UpdateError::Broken { received, detail };
            let chunk = match tokio::time::timeout(STALL, body.next()).await {
                Err(_) => return Err(broken("nothing more came".into())),
                Ok(None) => break,
                Ok(Some(Err(error))) => return Err(broken(error.to_string())),
                Ok(Some(Ok(chunk))) => chunk,
            };
            received += chunk.len() as u64;
            file.write_all(&chunk)
                .await
                .map_err(|error| failed(&error, received))?;
            if let Some(length) = length.filter(|length| *length > 0) {
                progress((received.min(length) * 100 / length) as u8);
            } else if free.is_some_and(|free| received + RESERVE > free) {
                return Err(no_space(folder, received));
            }
        }
        if length.is_some_and(|length| length != received) {
            let detail = "the sender ended early".into();
            return Err(UpdateError::Broken { received, detail });
        }
        let flushed = async {
            file.flush().await?;
            file.sync_all().await
        };
        flushed.await.map_err(|error| failed(&error, received))?;
        Ok(parcel)
    }
}

fn no_space(folder: &Path, needed: u64) -> UpdateError {
    UpdateError::NoSpace {
        folder: folder.into(),
        needed,
        free: free_bytes(folder).unwrap_or_default(),
    }
}

/// What an ordinary user may still write there; `None` if the system does not say.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    type Piece = Result<Bytes, &'static str>;

    async fn receive(
        length: Option<u64>,
        pieces: Vec<Piece>,
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut heard = Vec::new();
        let parcel = Parcel::receive(folder.path(), length, stream::iter(pieces), |percent| {
            heard.push(percent);
        })
        .await;
        let parcel = match parcel {
            Ok(parcel) => parcel,
            Err(error) => {
                let left = std::fs::read_dir(folder.path()).expect("a folder").count();
                assert_eq!(left, 0, "nothing is left of {error}");
                return Err(error.to_string());
            }
        };
        let content = std::fs::read(parcel.path()).expect("there");
        drop(parcel);
        assert_eq!(std::fs::read_dir(folder.path()).expect("it").count(), 0);
        Ok((content, heard))
    }

    const AB: Piece = Ok(Bytes::from_static(b"ab"));
    const CD: Piece = Ok(Bytes::from_static(b"cd"));

    #[tokio::test]
    async fn a_whole_one_is_kept_until_it_is_dropped() {
        let got = receive(Some(4), vec![AB, CD]).await;
        assert_eq!(got, Ok((b"abcd".to_vec(), vec![50, 100])));
        let got = receive(None, vec![AB]).await;
        assert_eq!(got, Ok((b"ab".to_vec(), vec![])));
    }

    #[tokio::test]
    async fn half_a_one_is_refused_and_thrown_away() {
        for (length, pieces, says) in [
            (Some(4), vec![AB, Err("reset")], "after 2 bytes (reset)"),
            (Some(4), vec![AB], "ended early"),
            (Some(1), vec![AB], "ended early"),
            (Some(u64::MAX), vec![], "make room"),
            (Some(1 << 60), vec![], "needs 1152921504606846976 bytes"),
        ] {
            let error = receive(length, pieces).await.expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_has_gone_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let body = stream::pending::<Piece>();
        let got = Parcel::receive(folder.path(), None, body, |_| {}).await;
        assert!(matches!(got, Err(UpdateError::Broken { .. })), "{got:?}");
    }
}
