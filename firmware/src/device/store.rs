//! A small file of the state folder: read at start, replaced whole, never half written.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the phone keeps is some kilobytes; a longer file is another one put there by mistake.
const MAX_BYTES: u64 = 256 * 1024;

/// One value and its file, JSON, readable by the phone's user only.
///
/// A file that cannot be understood is kept beside it with `.corrupt` at its end, and the defaults are used. Unknown
/// fields are survived, so that an older phone can read a newer one's file.
#[derive(Debug)]
pub struct Store<T> {
    /// `None`: nothing is kept.
    path: Option<PathBuf>,
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    value: T,
    /// The file as we last read or wrote it.
    seen: Option<Stamp>,
}

/// Tells whether a file is still the same. The inode changes with every replacement by renaming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl From<&Metadata> for Stamp {
    fn from(data: &Metadata) -> Self {
        Self {
            inode: data.ino(),
            modified: (data.mtime(), data.mtime_nsec()),
            bytes: data.len(),
        }
    }
}

impl<T: Default> Default for Store<T> {
    /// Keeps nothing across a restart.
    fn default() -> Self {
        Self {
            path: None,
            inner: Mutex::new(Inner {
                value: T::default(),
                seen: None,
            }),
        }
    }
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Store<T> {
    /// Reads `path`. Never fails: a file that is missing or of no use gives the defaults, and the log says why.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let (value, seen) = load(&path);
        Self {
            path: Some(path),
            inner: Mutex::new(Inner { value, seen }),
        }
    }

    /// The value as it is now.
    pub fn value(&self) -> T {
        self.lock().value.clone()
    }

    /// Changes the value and, if that made a difference, the file. The change holds in this process even if the file
    /// cannot be written, which is the error.
    pub fn update(&self, change: impl FnOnce(&mut T)) -> io::Result<()> {
        let mut inner = self.lock();
        let before = inner.value.clone();
        change(&mut inner.value);
        if inner.value == before {
            return Ok(());
        }
        let Some(path) = &self.path else {
            return Ok(());
        };
        let bytes = serde_json::to_vec_pretty(&inner.value).map_err(io::Error::other)?;
        let data = replace(path, &bytes)?;
        inner.seen = Some(Stamp::from(&data));
        Ok(())
    }

    /// Reads the file again if another program has replaced or removed it. Whether the value is another one now.
    pub fn reread(&self) -> bool {
        let Some(path) = &self.path else {
            return false;
        };
        let mut inner = self.lock();
        let stamp = std::fs::metadata(path).ok().map(|data| Stamp::from(&data));
        if stamp == inner.seen {
            return false;
        }
        let (value, seen) = load(path);
        inner.seen = seen;
        let changed = inner.value != value;
        inner.value = value;
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // A panic in `change` leaves a whole value of `T` in any case.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load<T: Default + DeserializeOwned>(path: &Path) -> (T, Option<Stamp>) {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(file = %path.display(), %error, "a state file cannot be read; the phone starts without it");
            }
            return (T::default(), None);
        }
    };
    let stamp = file.metadata().ok().map(|data| Stamp::from(&data));
    let mut bytes = Vec::new();
    let read = (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let trouble = match read {
        Err(error) => error.to_string(),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => format!("it is longer than {MAX_BYTES} bytes"),
        // The parser's words may quote the content, which is secret.
        Ok(_) => match serde_json::from_slice(&bytes) {
            Ok(value) => return (value, stamp),
            Err(error) => format!(
                "it is damaged at line {}, column {}",
                error.line(),
                error.column()
            ),
        },
    };
    let aside = path.with_added_extension("corrupt");
    let kept = std::fs::rename(path, &aside);
    tracing::error!(
        file = %path.display(), trouble, aside = %aside.display(), kept = kept.is_ok(),
        "a state file is of no use; it is kept aside and the phone starts with the defaults"
    );
    (T::default(), None)
}

/// Replaces `path` by `bytes`, mode 0600, so that a power cut leaves the old file or the new one: written beside,
/// synced, renamed, and the folder synced.
///
/// Run by root (`sudo offhook login`), the file is given to the folder's owner, or the phone could not read it.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<Metadata> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let beside = path.with_added_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    let owner = std::fs::metadata(folder)?;
    if file.metadata()?.uid() != owner.uid() {
        // Only root may; whoever else writes here keeps the file.
        let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()?;
    file.metadata()
}

/// Less than this is full: what the phone keeps has to fit twice, because a file is written beside the old one.
const ROOM: u64 = 32 * 1024;

/// Whether anything can be written into `folder`; without writing, which would wear the card out.
pub fn room(folder: &Path) -> io::Result<()> {
    let found = rustix::fs::statvfs(folder)?;
    if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    if found.f_bavail.saturating_mul(found.f_frsize) < ROOM {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Store;
    use serde::{Deserialize, Serialize};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Kept {
        word: String,
        count: u32,
    }

    fn word(word: &str) -> impl FnOnce(&mut Kept) {
        move |kept| word.clone_into(&mut kept.word)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_for_the_phones_user_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let store = Store::<Kept>::open(&path);
        assert_eq!(store.value(), Kept::default());
        assert!(!path.exists(), "nothing to keep yet");
        store.update(word("secret")).expect("written");
        assert_eq!(Store::<Kept>::open(&path).value().word, "secret");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 1, "no file is left beside it");
    }

    #[test]
    fn there_is_room_or_it_is_said_why_not() {
        let folder = tempfile::tempdir().expect("a folder");
        super::room(folder.path()).expect("room");
        let error = super::room(std::path::Path::new("/proc")).expect_err("no disk");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        super::room(&folder.path().join("missing")).expect_err("no folder");
    }

    #[test]
    fn a_damaged_file_is_kept_aside_and_the_defaults_are_used() {
        for content in ["", "{", "[1]", "{\"count\":-1}", "\u{0}\u{0}\u{0}"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("state.json");
            fs::write(&path, content).expect("written");
            let store = Store::<Kept>::open(&path);
            assert_eq!(store.value(), Kept::default(), "{content:?}");
            let aside = folder.path().join("state.json.corrupt");
            assert_eq!(fs::read_to_string(aside).expect("kept"), content);
            store.update(word("new")).expect("written");
            assert_eq!(Store::<Kept>::open(&path).value().word, "new");
        }
    }

    #[test]
    fn fields_of_a_newer_phone_and_missing_ones_are_survived() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        fs::write(&path, r#"{"word":"a","colour":"red"}"#).expect("written");
        let expected = Kept {
            word: "a".to_owned(),
            count: 0,
        };
        assert_eq!(Store::<Kept>::open(&path).value(), expected);
    }

    #[test]
    fn a_change_holds_although_it_cannot_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing").join("state.json");
        let store = Store::<Kept>::open(path);
        assert!(store.update(word("kept")).is_err());
        assert_eq!(store.value().word, "kept");
    }

    #[test]
    fn what_another_program_writes_is_noticed_and_our_own_writing_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let (ours, theirs) = (Store::<Kept>::open(&path), Store::<Kept>::open(&path));
        ours.update(word("ours")).expect("written");
        assert!(!ours.reread());
        assert!(theirs.reread());
        theirs.update(word("theirs")).expect("written");
        assert!(ours.reread() && !ours.reread());
        assert_eq!(ours.value().word, "theirs");
        fs::remove_file(&path).expect("removed");
        assert!(ours.reread());
        assert_eq!(ours.value(), Kept::default());
    }

    #[test]
    fn an_unchanged_value_is_not_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let store = Store::<Kept>::open(&path);
        store.update(word("same")).expect("written");
        fs::remove_file(&path).expect("removed");
        store.update(word("same")).expect("nothing to do");
        assert!(!path.exists());
    }
}
