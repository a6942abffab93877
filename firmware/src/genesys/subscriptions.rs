//! Topics and notifications (genesys-protocol section 4).

use super::id::{Jid, StationId, UserId};
use super::lenient::{conversation_from, drop_nulls};
use super::model::{ConversationEvent, PersistentConnectionEvent, RawJson, StationEvent};
use super::rest::wire::json_trouble;
use super::xml::{Element, ns};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A combined id must be shorter than this.
const MAX_ID: usize = 200;
/// Topics of one channel.
const MAX_TOPICS: usize = 1000;

/// Topics of one user.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    user: UserId,
    /// Whether the alerting leader's topic is in the lists.
    alerting: bool,
}

/// What a notification says.
#[derive(Clone, Debug)]
pub(crate) enum Notification {
    Conversation(Box<ConversationEvent>),
    Station(StationEvent),
    PersistentConnection(PersistentConnectionEvent),
    /// Which of the user's clients rings (7.1).
    AlertingLeader(Leader),
    /// The server will close the socket; move within a minute (3.7).
    Closing,
    /// Another connection took the channel, or ours is a duplicate (3.7).
    ChannelLost,
    /// All subscriptions are to be made again (3.7).
    Expiring,
}

/// `GET /users/alertingleader`, and the body of its event (7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Leader {
    pub connection_id: Option<String>,
    pub client_type: Option<String>,
}

/// The pubsub node by which a client asks the server to ping (3.5).
pub(crate) const SERVER_PINGS: &str = "enable.server.side.pings";

/// Why a notification cannot be used. Quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadNotification(String);

impl Topics {
    pub(crate) fn new(user: UserId) -> Self {
        Self {
            user,
            alerting: false,
        }
    }

    /// From now on with the alerting leader's topic, before all others (4.1).
    pub(crate) fn with_alerting_leader(&mut self) {
        self.alerting = true;
    }

    pub(crate) fn alerting_leader(&self) -> String {
        self.of("alertingleader")
    }

    pub(crate) fn conversations(&self) -> String {
        self.of("conversations")
    }

    pub(crate) fn station(&self) -> String {
        self.of("station")
    }

    pub(crate) fn persistent_connection(&self) -> String {
        self.of("persistentconnection")
    }

    /// Body of the first PUT: the persistent connection's topic is subscribed after it, by XMPP (2.2).
    pub(crate) fn first_body(&self) -> Value {
        self.body(&[self.conversations(), self.station()])
    }

    /// Body of every later PUT, which replaces all topics of the channel.
    pub(crate) fn full_body(&self) -> Value {
        self.body(&[
            self.conversations(),
            self.station(),
            self.persistent_connection(),
        ])
    }

    /// Reads the `<event>` of a message; `None` for a node that is not ours.
    pub(crate) fn read(&self, event: &Element) -> Result<Option<Notification>, BadNotification> {
        let bad = |what: &str| BadNotification(what.to_owned());
        let items = event
            .child("items", ns::PUBSUB_EVENT)
            .ok_or_else(|| bad("no items in it"))?;
        let node = items.attribute("node").ok_or_else(|| bad("no node"))?;
        if node.contains("no_longer_subscribed") || node.contains("duplicate_id") {
            return Ok(Some(Notification::ChannelLost));
        }
        if node.contains("streaming-subscriptions-expiring") {
            return Ok(Some(Notification::Expiring));
        }
        if node.contains("socket_closing") {
            return Ok(Some(Notification::Closing));
        }
        let (conversations, station) = (self.conversations(), self.station());
        let leader = self.alerting_leader();
        if node != conversations
            && node != station
            && node != leader
            && node != self.persistent_connection()
        {
            return Ok(None);
        }
        // Only the first item is read (4.2).
        let text = items
            .child("item", ns::PUBSUB_EVENT)
            .and_then(|item| item.child("json", ns::JSON))
            .map(Element::text)
            .ok_or_else(|| bad("no JSON item in it"))?;
        let raw: Value =
            serde_json::from_str(&text).map_err(|e| BadNotification(json_trouble(&e)))?;
        let mut body = raw.get("eventBody").cloned().unwrap_or_default();
        drop_nulls(&mut body);
        if node == conversations {
            let conversation = conversation_from(body);
            if conversation.id.as_str().is_empty() {
                return Err(bad("a conversation without id"));
            }
            let raw = RawJson(raw);
            let event = ConversationEvent { conversation, raw };
            return Ok(Some(Notification::Conversation(Box::new(event))));
        }
        if node == station {
            return station_event(&raw, &body);
        }
        if node == leader {
            let leader =
                Leader::deserialize(body).map_err(|e| BadNotification(json_trouble(&e)))?;
            return Ok(Some(Notification::AlertingLeader(leader)));
        }
        let event = PersistentConnectionEvent::deserialize(body)
            .map_err(|e| BadNotification(json_trouble(&e)))?;
        Ok(Some(Notification::PersistentConnection(event)))
    }

    fn body(&self, topics: &[String]) -> Value {
        let leader = self.alerting.then(|| self.alerting_leader());
        let all: Vec<String> = leader.into_iter().chain(topics.iter().cloned()).collect();
        body(&all)
    }

    fn of(&self, what: &str) -> String {
        format!("v2.users.{}.{what}", self.user)
    }
}

/// The XMPP subscription (4.1), without id.
pub(crate) fn subscribe(pubsub: &str, bare: &Jid, topic: &str) -> Element {
    Element::new("iq", ns::CLIENT)
        .with("to", pubsub)
        .with("type", "set")
        .with_child(
            Element::new("pubsub", ns::PUBSUB).with_child(
                Element::new("subscribe", ns::PUBSUB)
                    .with("node", topic)
                    .with("jid", bare.as_str()),
            ),
        )
}

/// 4.5; other actions are ignored.
fn station_event(raw: &Value, body: &Value) -> Result<Option<Notification>, BadNotification> {
    let action = raw
        .pointer("/metadata/action")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let event = match action {
        "Associated" => {
            let id = body
                .pointer("/associatedStation/id")
                .and_then(Value::as_str)
                .ok_or_else(|| BadNotification("an associated station without id".to_owned()))?;
            StationEvent::Associated(StationId::from(id))
        }
        "Disassociated" => StationEvent::Disassociated,
        "WebRTCMigration" => StationEvent::Migrated,
        _ => return Ok(None),
    };
    Ok(Some(Notification::Station(event)))
}

fn body(topics: &[String]) -> Value {
    combine(topics)
        .into_iter()
        .map(|id| json!({"id": id}))
        .collect()
}

/// Topics that share everything up to the last dot become `prefix?a&b`, a single one stays `prefix.a` (4.1).
fn combine(topics: &[String]) -> Vec<String> {
    let mut order: Vec<&str> = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for topic in topics {
        let (prefix, last) = topic.rsplit_once('.').unwrap_or(("", topic));
        let group = groups.entry(prefix).or_insert_with(|| {
            order.push(prefix);
            Vec::new()
        });
        if !group.contains(&last) {
            group.push(last);
        }
    }
    let mut ids: Vec<String> = order
        .into_iter()
        .flat_map(|prefix| combine_group(prefix, &groups[prefix]))
        .collect();
    ids.truncate(MAX_TOPICS);
    ids
}

fn combine_group(prefix: &str, names: &[&str]) -> Vec<String> {
    match names {
        [] => Vec::new(),
        [one] if prefix.is_empty() => vec![(*one).to_owned()],
        [one] => vec![format!("{prefix}.{one}")],
        many => {
            let combined = format!("{prefix}?{}", many.join("&"));
            if combined.len() < MAX_ID {
                return vec![combined];
            }
            let (left, right) = many.split_at(many.len() / 2);
            let mut ids = combine_group(prefix, left);
            ids.extend(combine_group(prefix, right));
            ids
        }
    }
}

#[cfg(test)]
#[path = "subscriptions_tests.rs"]
mod tests;
