//! Small files of the state folder: read at start, replaced whole, never half written; and whether that works.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What the phone keeps is some kilobytes; a longer file is another one put there by mistake.
const MAX_BYTES: u64 = 256 * 1024;

/// The folder of state files: knows which of them cannot be read or written. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Folder(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// What is not written yet because it failed, by file. Secret.
    unsaved: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    health: watch::Sender<Health>,
}

/// What has gone wrong in a [`Folder`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Something is not written yet because it failed.
    pub is_unsaved: bool,
    /// Files that were there and of no use, since the start.
    pub damaged: u32,
}

impl Folder {
    /// Reads and writes nothing yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            path: path.into(),
            unsaved: Mutex::default(),
            health: watch::Sender::default(),
        }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How it is, and whenever that changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// Tries again to write what could not be written. Takes as long as the card does.
    pub fn retry(&self) {
        let mut unsaved = self.unsaved();
        unsaved.retain(|path, bytes| replace(path, bytes).is_err());
        self.tell(&unsaved);
    }

    /// Replaces the file now, or by [`Folder::retry`].
    pub(super) fn replace(&self, path: &Path, bytes: Vec<u8>) -> io::Result<Metadata> {
        let mut unsaved = self.unsaved();
        let written = replace(path, &bytes);
        if written.is_ok() {
            unsaved.remove(path);
        } else {
            unsaved.insert(path.to_owned(), bytes);
        }
        self.tell(&unsaved);
        written
    }

    /// Another program has written the file since.
    fn forget(&self, path: &Path) {
        let mut unsaved = self.unsaved();
        unsaved.remove(path);
        self.tell(&unsaved);
    }

    fn tell(&self, unsaved: &BTreeMap<PathBuf, Vec<u8>>) {
        let is_unsaved = !unsaved.is_empty();
        self.0.health.send_if_modified(|health| {
            std::mem::replace(&mut health.is_unsaved, is_unsaved) != is_unsaved
        });
    }

    fn damaged(&self) {
        self.0.health.send_modify(|health| health.damaged += 1);
    }

    /// A file is of no use: it is kept beside, with `.corrupt` at its end, and told. `trouble` must not quote what is in
    /// it.
    pub(super) fn set_aside(&self, path: &Path, trouble: &str) {
        let aside = path.with_added_extension("corrupt");
        let kept = std::fs::rename(path, &aside);
        self.damaged();
        tracing::error!(
            file = %path.display(), trouble, aside = %aside.display(), kept = kept.is_ok(),
            "a state file is of no use; it is kept aside and the phone starts afresh"
        );
    }

    fn unsaved(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Vec<u8>>> {
        // Nothing that could panic leaves it half changed.
        self.0
            .unsaved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Folder").field(&self.0.path).finish()
    }
}

impl PartialEq for Folder {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for Folder {}

impl From<&Folder> for Folder {
    fn from(folder: &Folder) -> Self {
        folder.clone()
    }
}

impl From<&Path> for Folder {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

/// One value and its file, JSON, readable by the phone's user only.
///
/// A file that cannot be understood is kept beside it with `.corrupt` at its end, and the defaults are used. Unknown
/// fields are survived, so that an older phone can read a newer one's file.
#[derive(Debug)]
pub struct Store<T> {
    /// `None`: nothing is kept.
    place: Option<Place>,
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Place {
    folder: Folder,
    path: PathBuf,
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
            place: None,
            inner: Mutex::new(Inner {
                value: T::default(),
                seen: None,
            }),
        }
    }
}

impl<T: Clone + Default + PartialEq + Serialize + DeserializeOwned> Store<T> {
    /// Reads the file. Never fails: one that is missing or of no use gives the defaults; log and [`Health`] say so.
    pub fn open(folder: impl Into<Folder>, file: &str) -> Self {
        let folder = folder.into();
        let path = folder.path().join(file);
        let (value, seen) = load(&folder, &path);
        Self {
            place: Some(Place { folder, path }),
            inner: Mutex::new(Inner { value, seen }),
        }
    }

    /// The value as it is now.
    pub fn value(&self) -> T {
        self.lock().value.clone()
    }

    /// Changes the value and, if that made a difference, the file. The change holds in this process even if the file
    /// cannot be written, which is the error; [`Folder::retry`] tries again.
    pub fn update(&self, change: impl FnOnce(&mut T)) -> io::Result<()> {
        let mut inner = self.lock();
        let before = inner.value.clone();
        change(&mut inner.value);
        if inner.value == before {
            return Ok(());
        }
        let Some(Place { folder, path }) = &self.place else {
            return Ok(());
        };
        let bytes = serde_json::to_vec_pretty(&inner.value).map_err(io::Error::other)?;
        let data = folder.replace(path, bytes)?;
        inner.seen = Some(Stamp::from(&data));
        Ok(())
    }

    /// Reads the file again if another program has replaced or removed it. Whether the value is another one now.
    pub fn reread(&self) -> bool {
        let Some(Place { folder, path }) = &self.place else {
            return false;
        };
        let mut inner = self.lock();
        let stamp = std::fs::metadata(path).ok().map(|data| Stamp::from(&data));
        if stamp == inner.seen {
            return false;
        }
        let (value, seen) = load(folder, path);
        inner.seen = seen;
        let changed = inner.value != value;
        if changed {
            folder.forget(path);
        }
        inner.value = value;
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // A panic in `change` leaves a whole value of `T` in any case.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load<T: Default + DeserializeOwned>(folder: &Folder, path: &Path) -> (T, Option<Stamp>) {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(file = %path.display(), %error, "a state file cannot be read; the phone starts without it");
                folder.damaged();
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
    folder.set_aside(path, &trouble);
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

/// Why nothing can be kept in a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoom {
    /// Its file system has no disk.
    #[error("{}: it lies in memory, so nothing is kept across a restart: is its partition there, and mounted?", .0.display())]
    InMemory(PathBuf),
    /// It is full, read-only or missing.
    #[error("{}: {error}", folder.display())]
    Io {
        /// Which.
        folder: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

/// statfs(2).
const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// Whether anything can be written into `folder`, and stays there; without writing, which would wear the card out. Waits
/// for the card.
///
/// Whoever puts it among temporary files, as tests and the demonstration do, wants it to go. An overlay is believed to
/// lie over a disk: the system does not tell.
pub fn room(folder: &Path) -> Result<(), NoRoom> {
    let error = |error| NoRoom::Io {
        folder: folder.to_owned(),
        error,
    };
    let found = rustix::fs::statvfs(folder).map_err(|e| error(e.into()))?;
    if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(error(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    if found.f_bavail.saturating_mul(found.f_frsize) < ROOM {
        return Err(error(io::ErrorKind::StorageFull.into()));
    }
    // The width of the number differs from processor to processor.
    let kind = rustix::fs::statfs(folder)
        .map_err(|e| error(e.into()))?
        .f_type as u32;
    if IN_MEMORY.contains(&kind) && !folder.starts_with(std::env::temp_dir()) {
        return Err(NoRoom::InMemory(folder.to_owned()));
    }
    // A card that was pulled out still has all the room it had.
    let folder = File::open(folder).map_err(error)?;
    folder.sync_all().map_err(error)
}

#[cfg(test)]
mod tests;
