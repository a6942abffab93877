//! What is kept across the restart into a new system, so that it is known to be on trial.

use super::UpdateState;
use crate::device::store::{Folder, Store};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// Also known to `offhook-judge.service`.
const FILE: &str = "trial.json";

/// What a phone can do at a moment; of a new system no less is believed than of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Abilities {
    /// It reaches the cloud.
    pub cloud: bool,
    /// Its keys and hook switch work.
    pub keys: bool,
    /// Its sound devices do.
    pub sound: bool,
}

/// All of it, as far as is known.
impl Default for Abilities {
    fn default() -> Self {
        Self {
            cloud: true,
            keys: true,
            sound: true,
        }
    }
}

/// An update on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trial {
    /// The slot it was installed from.
    pub from: String,
    /// Of the new system.
    pub version: String,
    /// It was installed whole.
    pub is_installed: bool,
    /// The boot it was installed in ([`this_boot`]).
    pub boot: String,
    /// What the old system was able to do then.
    pub could: Abilities,
}

impl Trial {
    /// The device has not been restarted since, only the phone.
    pub fn is_of(&self, boot: &str) -> bool {
        !boot.is_empty() && self.boot == boot
    }
}

/// What tells this boot of the device from others (proc(5), `boot_id`); empty where that cannot be read.
pub fn this_boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

/// What a start of the phone means for an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    None,
    /// It is installed, and the device is still to be restarted.
    Waiting(Trial),
    /// This is the new system: it has to prove itself.
    OnTrial(Trial),
    /// The new system was given up.
    Undone(Trial),
    /// The power went, or the phone did, before it was installed.
    Interrupted(Trial),
}

impl Verdict {
    /// The phone has started from slot `booted`, in the boot `boot`.
    pub fn of(trial: Option<Trial>, booted: &str, boot: &str) -> Self {
        match trial {
            None => Self::None,
            Some(trial) if trial.from != booted => Self::OnTrial(trial),
            Some(trial) if trial.is_installed && trial.is_of(boot) => Self::Waiting(trial),
            Some(trial) if trial.is_installed => Self::Undone(trial),
            Some(trial) => Self::Interrupted(trial),
        }
    }

    /// What is to be told of it.
    pub fn state(&self) -> Option<UpdateState> {
        let version = |trial: &Trial| trial.version.clone();
        Some(match self {
            Self::None => return None,
            Self::Waiting(trial) => UpdateState::Waiting {
                version: version(trial),
            },
            Self::OnTrial(trial) => UpdateState::Proving {
                version: version(trial),
            },
            Self::Undone(trial) => UpdateState::Undone {
                version: version(trial),
            },
            Self::Interrupted(_) => UpdateState::Failed {
                message: "the phone was restarted before the update was installed; start it again"
                    .into(),
                short: "It broke off, try again",
            },
        })
    }
}

/// The trial's file.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    store: Store<Option<Trial>>,
}

impl Record {
    /// In the state folder.
    pub fn open(folder: impl Into<Folder>) -> Self {
        let folder = folder.into();
        Self {
            path: folder.path().join(FILE),
            store: Store::open(folder, FILE),
        }
    }

    /// The update on its way, if there is one.
    pub fn trial(&self) -> Option<Trial> {
        self.store.value()
    }

    /// Before the other system is touched, and when it is whole.
    pub fn set(&self, trial: Trial) -> io::Result<()> {
        self.store.update(|kept| *kept = Some(trial))
    }

    /// The update is over. A file that cannot be removed would have the new system judged again.
    pub fn clear(&self) -> io::Result<()> {
        let emptied = self.store.update(|kept| *kept = None);
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => emptied.and(Err(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_judged_by_where_it_came_from() {
        let trial = |is_installed| Trial {
            from: "A".into(),
            version: "2".into(),
            is_installed,
            boot: "first".into(),
            could: Abilities::default(),
        };
        for (kept, booted, boot, expected) in [
            (None, "A", "next", Verdict::None),
            (
                Some(trial(true)),
                "B",
                "next",
                Verdict::OnTrial(trial(true)),
            ),
            // The power went between the boot loader's variable and ours.
            (
                Some(trial(false)),
                "B",
                "next",
                Verdict::OnTrial(trial(false)),
            ),
            (Some(trial(true)), "A", "next", Verdict::Undone(trial(true))),
            (
                Some(trial(false)),
                "A",
                "next",
                Verdict::Interrupted(trial(false)),
            ),
            // Only the phone was restarted.
            (
                Some(trial(true)),
                "A",
                "first",
                Verdict::Waiting(trial(true)),
            ),
            (
                Some(trial(false)),
                "A",
                "first",
                Verdict::Interrupted(trial(false)),
            ),
        ] {
            assert_eq!(Verdict::of(kept, booted, boot), expected);
        }
        // A record of an older version, where no boot is known, nor what that could do.
        let old: Trial = serde_json::from_str("{\"from\":\"A\"}").expect("a record");
        assert!(!old.is_of("") && old.could.cloud && old.could.keys && old.could.sound);
    }

    #[test]
    fn it_survives_a_restart_until_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let trial = Trial {
            from: "B".into(),
            ..Trial::default()
        };
        Record::open(folder.path())
            .set(trial.clone())
            .expect("kept");
        let record = Record::open(folder.path());
        assert_eq!(record.trial(), Some(trial));
        record.clear().expect("removed");
        record.clear().expect("nothing to do");
        assert_eq!(std::fs::read_dir(folder.path()).expect("it").count(), 0);
        assert_eq!(Record::open(folder.path()).trial(), None);
    }
}
