//! Notification channels and their subscriptions (genesys-protocol 4.1). A channel outlives its
//! socket: after a drop the client reuses it and does not subscribe again (12.7).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

/// Channels one user may have; one more drops the oldest.
const PER_USER: usize = 20;
/// Topics one channel may have.
pub const TOPICS: usize = 1000;
/// A combined id must be shorter than this.
const COMBINED_LENGTH: usize = 200;
/// How long a channel lives without a new subscription.
const LIFE: Duration = Duration::from_hours(24);

/// The last words of topics below `v2.users.{id}.`
const USER_TOPICS: [&str; 12] = [
    "conversations",
    "conversations.calls",
    "conversationsummary",
    "station",
    "persistentconnection",
    "alertingleader",
    "presence",
    "activity",
    "routingStatus",
    "outofoffice",
    "geolocation",
    "configuration",
];

/// One channel.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its id, `streaming-...`.
    pub id: String,
    /// `U`.
    pub user: String,
    /// Topics, one by one.
    pub topics: BTreeSet<String>,
    /// The resource last bound on it.
    pub resource: Option<String>,
    /// The service the client addresses when it subscribes.
    pub service: Option<String>,
    /// Until when it lives.
    pub expires: Duration,
    serial: u64,
}

/// What became of one subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The id as it was asked for, combined or not.
    pub id: String,
    /// Why it was refused.
    pub refused: Option<String>,
}

impl Verdict {
    /// As an entity of the REST reply.
    pub fn json(&self, channel: &str) -> Value {
        let state = if self.refused.is_some() {
            "Rejected"
        } else {
            "Permitted"
        };
        let mut value = json!({
            "id": self.id,
            "state": state,
            "selfUri": format!("/api/v2/notifications/channels/{channel}/subscriptions/{}", self.id),
        });
        if let Some(reason) = &self.refused {
            value["rejectionReason"] = Value::from(reason.clone());
            value["missingPermissions"] = json!([]);
        }
        value
    }
}

/// All channels.
#[derive(Debug, Default)]
pub struct Channels {
    channels: BTreeMap<String, Channel>,
    serial: u64,
}

impl Channels {
    /// Makes a channel, and tells which one it drove out.
    pub fn create(&mut self, now: Duration, user: &str) -> (Channel, Option<Channel>) {
        self.serial += 1;
        let random: String = Uuid::new_v4()
            .simple()
            .to_string()
            .chars()
            .take(20)
            .collect();
        let channel = Channel {
            id: format!("streaming-{}-{random}", self.serial),
            user: user.to_owned(),
            topics: BTreeSet::new(),
            resource: None,
            service: None,
            expires: now + LIFE,
            serial: self.serial,
        };
        let mut own: Vec<(u64, String)> = self
            .channels
            .values()
            .filter(|other| other.user == user)
            .map(|other| (other.serial, other.id.clone()))
            .collect();
        own.sort_unstable();
        let dropped = if own.len() >= PER_USER {
            own.first().and_then(|(_, id)| self.channels.remove(id))
        } else {
            None
        };
        self.channels.insert(channel.id.clone(), channel.clone());
        (channel, dropped)
    }

    /// A channel that still lives.
    pub fn channel(&self, now: Duration, id: &str) -> Option<&Channel> {
        self.channels
            .get(id)
            .filter(|channel| channel.expires > now)
    }

    /// A channel to change.
    pub fn channel_mut(&mut self, id: &str) -> Option<&mut Channel> {
        self.channels.get_mut(id)
    }

    /// A user's channels.
    pub fn of(&self, user: &str) -> impl Iterator<Item = &Channel> {
        self.channels
            .values()
            .filter(move |channel| channel.user == user)
    }

    /// Takes a channel away.
    pub fn remove(&mut self, id: &str) -> Option<Channel> {
        self.channels.remove(id)
    }

    /// Adds topics, or puts them in the place of all others. Without `partial` one bad topic
    /// refuses the whole request and changes nothing.
    pub fn subscribe(
        &mut self,
        now: Duration,
        id: &str,
        wanted: &[String],
        replace: bool,
        partial: bool,
    ) -> Vec<Verdict> {
        let Some(channel) = self.channels.get_mut(id) else {
            return Vec::new();
        };
        let verdicts: Vec<(Verdict, Vec<String>)> = wanted
            .iter()
            .map(
                |topic| match expand(topic).and_then(|all| permitted(&channel.user, all)) {
                    Ok(all) => (
                        Verdict {
                            id: topic.clone(),
                            refused: None,
                        },
                        all,
                    ),
                    Err(reason) => (
                        Verdict {
                            id: topic.clone(),
                            refused: Some(reason),
                        },
                        Vec::new(),
                    ),
                },
            )
            .collect();
        if partial
            || verdicts
                .iter()
                .all(|(verdict, _)| verdict.refused.is_none())
        {
            if replace {
                channel.topics.clear();
            }
            channel
                .topics
                .extend(verdicts.iter().flat_map(|(_, all)| all.iter().cloned()));
            channel.expires = now + LIFE;
        }
        verdicts.into_iter().map(|(verdict, _)| verdict).collect()
    }

    /// The channels that want this topic.
    pub fn subscribers(&self, now: Duration, topic: &str) -> Vec<&Channel> {
        self.channels
            .values()
            .filter(|channel| channel.expires > now && channel.topics.contains(topic))
            .collect()
    }
}

/// `prefix?a&b` as `prefix.a`, `prefix.b`; anything else as it is.
fn expand(topic: &str) -> Result<Vec<String>, String> {
    if topic.len() >= COMBINED_LENGTH {
        return Err(format!(
            "topic id of {} characters: it must be shorter than 200",
            topic.len()
        ));
    }
    let Some((prefix, names)) = topic.split_once('?') else {
        return Ok(vec![topic.to_owned()]);
    };
    let names: Vec<&str> = names.split('&').collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(format!("empty name in the combined topic {topic:?}"));
    }
    Ok(names
        .into_iter()
        .map(|name| format!("{prefix}.{name}"))
        .collect())
}

fn permitted(user: &str, topics: Vec<String>) -> Result<Vec<String>, String> {
    for topic in &topics {
        let own = topic
            .strip_prefix("v2.users.")
            .and_then(|rest| rest.strip_prefix(user))
            .and_then(|rest| rest.strip_prefix('.'));
        let known = own.is_some_and(|name| USER_TOPICS.contains(&name))
            || matches!(
                topic.as_str(),
                "v2.system.socket_closing" | "channel.metadata"
            )
            || topic.starts_with("v2.system.");
        if !known {
            return Err(format!(
                "the topic {topic:?} does not exist or is not yours"
            ));
        }
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn one() -> (Channels, String) {
        let mut channels = Channels::default();
        let (channel, _) = channels.create(NOW, "U");
        (channels, channel.id)
    }

    fn topics(channels: &Channels, id: &str) -> Vec<String> {
        channels
            .channel(NOW, id)
            .unwrap()
            .topics
            .iter()
            .cloned()
            .collect()
    }

    #[test]
    fn combined_topics_are_single_ones() {
        let (mut channels, id) = one();
        let wanted = ["v2.users.U?conversations&station".to_owned()];
        let verdicts = channels.subscribe(NOW, &id, &wanted, true, false);
        assert_eq!(verdicts[0].refused, None);
        assert_eq!(
            topics(&channels, &id),
            ["v2.users.U.conversations", "v2.users.U.station"]
        );
        assert_eq!(channels.subscribers(NOW, "v2.users.U.station").len(), 1);
    }

    #[test]
    fn put_replaces_and_post_adds() {
        let (mut channels, id) = one();
        let topic = |name: &str| [format!("v2.users.U.{name}")];
        channels.subscribe(NOW, &id, &topic("conversations"), true, false);
        channels.subscribe(NOW, &id, &topic("station"), false, false);
        assert_eq!(topics(&channels, &id).len(), 2);
        channels.subscribe(NOW, &id, &topic("station"), true, false);
        assert_eq!(topics(&channels, &id), ["v2.users.U.station"]);
    }

    #[test]
    fn one_bad_topic_refuses_all_unless_partial() {
        for (bad, says) in [
            ("v2.users.other.station", "not yours"),
            ("v2.users.U.nonsense", "does not exist"),
            ("v2.users.U?station&", "empty name"),
            (
                &format!("v2.users.U?{}", "x".repeat(200)),
                "shorter than 200",
            ),
        ] {
            let (mut channels, id) = one();
            let wanted = ["v2.users.U.station".to_owned(), bad.to_owned()];
            let verdicts = channels.subscribe(NOW, &id, &wanted, true, false);
            assert!(
                verdicts[1].refused.as_ref().unwrap().contains(says),
                "{verdicts:?}"
            );
            assert!(topics(&channels, &id).is_empty());
            channels.subscribe(NOW, &id, &wanted, true, true);
            assert_eq!(topics(&channels, &id).len(), 1);
        }
    }

    #[test]
    fn the_twenty_first_channel_drops_the_first() {
        let mut channels = Channels::default();
        let first = channels.create(NOW, "U").0.id;
        for _ in 1..PER_USER {
            assert!(channels.create(NOW, "U").1.is_none());
        }
        assert!(channels.create(NOW, "V").1.is_none());
        assert_eq!(channels.create(NOW, "U").1.unwrap().id, first);
    }

    #[test]
    fn channels_expire_unless_renewed() {
        let (mut channels, id) = one();
        let day = Duration::from_hours(24);
        assert!(
            channels
                .channel(day.checked_sub(Duration::from_secs(1)).unwrap(), &id)
                .is_some()
        );
        assert!(channels.channel(day, &id).is_none());
        channels.subscribe(day / 2, &id, &["v2.users.U.station".into()], true, false);
        assert!(channels.channel(day, &id).is_some());
    }
}
