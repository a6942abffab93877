//! What the connection remembers across restarts, beside the login: its JID resource and the stations people chose.

use super::id::{StationId, UserId};
use crate::device::store::{Folder, Store};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// File of the state folder.
const FILE: &str = "cloud.json";
/// People whose choice is remembered: enough for a desk that many share. The one who was here longest ago gives way.
const MAX_PEOPLE: usize = 64;

/// Remembers; by default until the end of the process only. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    store: Arc<Store<Kept>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    jid_resource: String,
    /// The latest last.
    stations: Vec<Choice>,
    /// Associated by this phone, so that a log-out gives it back.
    associated: Option<Choice>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Choice {
    user: UserId,
    station: StationId,
}

impl Memory {
    /// Remembers in the state folder. Writes nothing yet.
    pub fn open(folder: impl Into<Folder>) -> Self {
        Self {
            store: Arc::new(Store::open(folder, FILE)),
        }
    }

    /// The phone's JID resource, made once: a re-invite after a restart finds the phone by it (genesys-protocol 3.1).
    pub fn jid_resource(&self) -> String {
        let known = self.store.value().jid_resource;
        if uuid::Uuid::parse_str(&known).is_ok() {
            return known;
        }
        let made = uuid::Uuid::new_v4().to_string();
        self.update(|kept| kept.jid_resource.clone_from(&made));
        made
    }

    /// The station `user` had last.
    pub(crate) fn station_of(&self, user: &UserId) -> Option<StationId> {
        let kept = self.store.value();
        let choice = kept
            .stations
            .into_iter()
            .find(|choice| choice.user == *user);
        choice.map(|choice| choice.station)
    }

    /// This phone has associated `user` with `station`.
    pub(crate) fn associated(&self, user: &UserId, station: &StationId) {
        let choice = Choice {
            user: user.clone(),
            station: station.clone(),
        };
        self.update(|kept| {
            kept.stations.retain(|known| known.user != choice.user);
            if kept.stations.len() >= MAX_PEOPLE {
                kept.stations.remove(0);
            }
            kept.stations.push(choice.clone());
            kept.associated = Some(choice);
        });
    }

    /// The station this phone has associated `user` with, if it did. Asked once: it is forgotten then.
    pub(crate) fn give_back(&self, user: &UserId) -> Option<StationId> {
        let associated = self.store.value().associated;
        self.update(|kept| kept.associated = None);
        associated
            .filter(|choice| choice.user == *user)
            .map(|choice| choice.station)
    }

    fn update(&self, change: impl FnOnce(&mut Kept)) {
        if let Err(error) = self.store.update(change) {
            tracing::warn!(%error, "the state folder cannot be written; this will not survive a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PEOPLE, Memory};

    #[test]
    fn the_resource_survives_a_restart_and_is_replaced_only_when_it_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Memory::open(dir.path()).jid_resource();
        assert!(uuid::Uuid::parse_str(&first).is_ok(), "{first}");
        assert_eq!(Memory::open(dir.path()).jid_resource(), first);
        std::fs::write(dir.path().join("cloud.json"), r#"{"jid_resource":"../x"}"#)
            .expect("written");
        let made = Memory::open(dir.path()).jid_resource();
        assert!(
            made != first && uuid::Uuid::parse_str(&made).is_ok(),
            "{made}"
        );
    }

    #[test]
    fn each_person_has_a_last_station_and_the_phone_gives_back_only_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let memory = Memory::open(dir.path());
        memory.associated(&"U1".into(), &"ST1".into());
        memory.associated(&"U2".into(), &"ST2".into());
        memory.associated(&"U1".into(), &"ST3".into());
        let memory = Memory::open(dir.path());
        assert_eq!(memory.station_of(&"U1".into()), Some("ST3".into()));
        assert_eq!(memory.station_of(&"U2".into()), Some("ST2".into()));
        assert_eq!(memory.station_of(&"U3".into()), None);
        assert_eq!(memory.give_back(&"U1".into()), Some("ST3".into()));
        assert_eq!(memory.give_back(&"U1".into()), None);
        memory.associated(&"U1".into(), &"ST1".into());
        assert_eq!(memory.give_back(&"U2".into()), None, "somebody else's");
    }

    #[test]
    fn a_crowd_does_not_fill_the_disk() {
        let memory = Memory::default();
        for n in 0..=MAX_PEOPLE {
            memory.associated(&format!("U{n}").as_str().into(), &"ST".into());
        }
        assert_eq!(memory.station_of(&"U0".into()), None);
        assert_eq!(memory.station_of(&"U1".into()), Some("ST".into()));
    }
}
