//! Whether what the phone has to keep across a restart is kept, and what the user has to know of it.

use super::{Runtime, Wake};
use crate::device::store::{self, Folder, Health, NoRoom};
use crate::phone::{Notice, NoticeArea};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// How often it is looked whether there is a place to keep anything: a full card is told before something is lost.
const LOOK: Duration = Duration::from_mins(1);
/// Pause before a file that could not be written is tried again: a card that was full or is back is soon found, and one
/// that is broken is not worked to death.
const RETRY: Duration = Duration::from_secs(10);

/// What a look has found.
#[derive(Debug)]
pub(super) struct Look {
    /// Files were of no use since the last look.
    is_damaged: bool,
    /// What keeps anything from being written.
    trouble: Option<Notice>,
}

/// Looks at the start, whenever something is different, and from time to time; beside the loop, because a bad card takes
/// its time. What could not be written is tried again.
pub(super) fn watch(folder: Folder, wake: mpsc::Sender<Wake>) {
    tokio::spawn(async move {
        let mut health = folder.health();
        let (mut told, mut cause) = (0, String::new());
        loop {
            let Health {
                is_unsaved,
                damaged,
            } = *health.borrow_and_update();
            let at = folder.clone();
            // It does not panic.
            let room = spawn_blocking(move || store::room(at.path())).await;
            let room = room.unwrap_or(Ok(()));
            let found = room.as_ref().err().map(ToString::to_string);
            if let Some(error) = found.as_ref().filter(|error| **error != cause) {
                tracing::error!(error, "nothing can be kept across a restart");
            }
            cause = found.unwrap_or_default();
            let trouble = match room {
                Ok(()) => is_unsaved.then_some(Notice::StateTrouble),
                Err(NoRoom::InMemory(_)) => Some(Notice::StateInMemory),
                Err(NoRoom::Io { .. }) => Some(Notice::StateTrouble),
            };
            let look = Look {
                is_damaged: std::mem::replace(&mut told, damaged) != damaged,
                trouble,
            };
            // The phone is stopping when nobody listens.
            if wake.send(Wake::State(look)).await.is_err() {
                return;
            }
            let pause = if is_unsaved { RETRY } else { LOOK };
            if let Ok(Ok(())) = tokio::time::timeout(pause, health.changed()).await {
                continue;
            }
            if is_unsaved {
                let folder = folder.clone();
                // It does not panic.
                let _ = spawn_blocking(move || folder.retry()).await;
            }
        }
    });
}

impl Runtime {
    pub(super) fn state_seen(&mut self, look: Look) {
        if look.is_damaged {
            self.notice(Notice::StateDamaged);
        }
        match look.trouble {
            Some(notice) => self.notice(notice),
            None => self.notice_over(NoticeArea::State),
        }
    }
}
