//! Whether what the phone has to keep across a restart is kept, and what the user has to know of it.

use super::Wake;
use crate::device::store::{self, Folder, Health, NoRoom};
use crate::phone::Notice;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Pause before a file that could not be written is tried again: a card that was full or is back is soon found, and one
/// that is broken is not worked to death.
const RETRY: Duration = Duration::from_secs(10);

/// The state folder, looked after.
pub(super) struct State {
    folder: Folder,
    health: watch::Receiver<Health>,
    /// Of the files of no use.
    told: u32,
}

impl State {
    /// Wakes the loop whenever something is different. What could not be written is tried again, beside the loop, because
    /// a bad card takes its time.
    pub fn watch(folder: Folder, wake: mpsc::Sender<Wake>) -> Self {
        let (mut changes, health) = (folder.health(), folder.health());
        let watched = folder.clone();
        tokio::spawn(async move {
            // The phone is stopping when nobody listens.
            while wake.send(Wake::State).await.is_ok() {
                while !changes.has_changed().unwrap_or_default() {
                    let is_unsaved = changes.borrow().is_unsaved;
                    tokio::select! {
                        _ = changes.changed() => break,
                        () = tokio::time::sleep(RETRY), if is_unsaved => {
                            let folder = watched.clone();
                            // It does not panic.
                            let _ = tokio::task::spawn_blocking(move || folder.retry()).await;
                        }
                    }
                }
                changes.mark_unchanged();
            }
        });
        Self {
            folder,
            health,
            told: 0,
        }
    }

    /// Whether files were of no use since the last look, and what keeps others from being written.
    pub fn look(&mut self) -> (bool, Option<Notice>) {
        let Health {
            is_unsaved,
            damaged,
        } = *self.health.borrow();
        let is_news = std::mem::replace(&mut self.told, damaged) != damaged;
        let trouble = match store::room(self.folder.path()) {
            Ok(()) if is_unsaved => Some(Notice::StateTrouble),
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "nothing can be kept across a restart");
                Some(match error {
                    NoRoom::InMemory(_) => Notice::StateInMemory,
                    NoRoom::Io { .. } => Notice::StateTrouble,
                })
            }
        };
        (is_news, trouble)
    }
}
