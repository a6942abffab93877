//! All of the simulator's state, behind one lock, without any I/O: what happens goes in by
//! methods, what shall happen comes out as frames in the sockets' queues and as [`Work`].

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::channels::Channels;
use crate::clock::WallClock;
use crate::directory::Directory;
use crate::engine::{Engine, LegCommand, Output, PersistentState, Target, UserFacts};
use crate::faults::Faults;
use crate::gateway::LegConfig;
use crate::journal::{Journal, LogEntry, LogKind, ViolationKind};
use crate::oauth::Logins;
use crate::spec::{Contact, Form, Options, OutboundSpec};
use crate::streaming::{Socket, render};

/// What the async shell has to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Make a media leg.
    OpenLeg {
        session: String,
        conversation: String,
        config: Box<LegConfig>,
    },
    /// Tell a media leg something.
    Leg {
        session: String,
        command: LegCommand,
    },
}

/// Everything.
pub(crate) struct World {
    pub options: Options,
    pub clock: WallClock,
    /// Time since the start, set on every entry.
    pub now: Duration,
    pub directory: Directory,
    pub channels: Channels,
    pub engine: Engine,
    pub journal: Journal,
    pub faults: Faults,
    pub outbound: OutboundSpec,
    /// People outside whom tests have described.
    pub contacts: Vec<Contact>,
    pub logins: Logins,
    /// Host and port REST is reached at.
    pub authority: String,
    /// The STUN server.
    pub stun: SocketAddr,
    pub sockets: BTreeMap<u64, Socket>,
    pub work: Vec<Work>,
    /// Log lines nobody has been told of yet.
    pub lines: Vec<LogEntry>,
    replies: HashMap<u64, oneshot::Sender<()>>,
    serial: u64,
    /// Requests per user in the minute that runs.
    requests: HashMap<String, (u64, u64)>,
}

impl World {
    pub fn new(options: Options, authority: String, stun: SocketAddr) -> Self {
        let clock = WallClock::starting_now();
        let engine = Engine::new(
            clock,
            options.environment.clone(),
            options.timing,
            options.deadlines,
            Box::new(|| Uuid::new_v4().to_string()),
        );
        Self {
            clock,
            now: Duration::ZERO,
            directory: Directory::new(&options.organization),
            channels: Channels::default(),
            engine,
            journal: Journal::default(),
            faults: Faults::default(),
            outbound: options.outbound.clone(),
            contacts: Vec::new(),
            logins: Logins::default(),
            authority,
            stun,
            sockets: BTreeMap::new(),
            work: Vec::new(),
            lines: Vec::new(),
            replies: HashMap::new(),
            serial: 0,
            requests: HashMap::new(),
            options,
        }
    }

    /// Does what is due and hands out what came of it. Called after every change.
    pub fn settle(&mut self) {
        self.engine.tick(self.now);
        while let Some(output) = self.engine.poll() {
            self.carry_out(output);
        }
        self.watch_sockets();
        self.set_up_eagerly();
    }

    /// Persistent connections that are to be there before the first call: once for each channel
    /// on which a client asks for news of the station, which is the last thing every client does
    /// to get ready (9.2.4 of the SDK never asks for `persistentconnection`).
    fn set_up_eagerly(&mut self) {
        let due: Vec<(String, String)> = self
            .directory
            .users()
            .filter(|user| user.spec.eager && user.spec.persistent && user.associated)
            .filter_map(|user| {
                let topic = format!("v2.users.{}.station", user.id);
                let channels = self.channels.subscribers(self.now, &topic);
                let there = |channel: &str| {
                    let mut sockets = self.sockets.values();
                    sockets.any(|one| one.channel == channel && one.full.is_some())
                };
                let channel = channels.into_iter().find(|one| there(&one.id))?;
                let again = user.eager_on.as_ref() == Some(&channel.id);
                (!again).then(|| (user.id.clone(), channel.id.clone()))
            })
            .collect();
        for (user, channel) in due {
            if let Some(found) = self.directory.user_mut(&user) {
                found.eager_on = Some(channel);
            }
            let (now, leg) = (self.now, self.options.default_leg.clone());
            if let Some(facts) = self.facts(&user) {
                // One that is up already stays.
                let _ = self
                    .engine
                    .set_up_eagerly(now, &facts, Form::SdpOverXmpp, leg);
                while let Some(output) = self.engine.poll() {
                    self.carry_out(output);
                }
            }
        }
    }

    /// When something is due next.
    pub fn next_timeout(&self) -> Option<Duration> {
        let sockets = self.sockets.values().filter_map(Socket::next_timeout);
        self.engine.next_timeout().into_iter().chain(sockets).min()
    }

    /// The next number nobody has had.
    pub fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Counts a request: how many in this minute, and seconds until the next begins.
    pub fn count_request(&mut self, user: &str) -> (u64, u64) {
        let (minute, second) = (self.now.as_secs() / 60, self.now.as_secs() % 60);
        let (counted, count) = self.requests.entry(user.to_owned()).or_insert((minute, 0));
        if *counted != minute {
            (*counted, *count) = (minute, 0);
        }
        *count += 1;
        (*count, 60 - second)
    }

    /// A token for a REST reply that waits for its turn.
    pub fn hold_reply(&mut self) -> (u64, oneshot::Receiver<()>) {
        let token = self.serial();
        let (go, wait) = oneshot::channel();
        self.replies.insert(token, go);
        (token, wait)
    }

    /// Time of day, milliseconds since the Unix epoch.
    pub fn at(&self) -> f64 {
        self.clock.epoch_ms(self.now)
    }

    pub fn log(&mut self, kind: LogKind, user: Option<&str>, text: impl Into<String>) {
        let line = self.journal.log(self.at(), kind, user, text);
        self.lines.push(line);
    }

    pub fn violate(&mut self, user: Option<&str>, what: ViolationKind, detail: impl Into<String>) {
        let line = self.journal.violation(self.at(), user, what, detail);
        self.lines.push(line);
    }

    /// What the engine has to know of a user.
    pub fn facts(&self, user: &str) -> Option<UserFacts> {
        let user = self.directory.user(user)?;
        Some(UserFacts {
            id: user.id.clone(),
            name: user.spec.name.clone(),
            station: user.associated,
            auto_answer: user.spec.auto_answer,
            expects_metadata: user.spec.expects_metadata,
            line_appearances: user.spec.line_appearances,
            persistent: user.spec.persistent,
            renegotiates: user.spec.renegotiates,
            newest_resource: self.newest_resource(&user.id),
        })
    }

    /// Somebody outside, by number or address, however either is written.
    pub fn contact(&self, address: &str) -> Option<&Contact> {
        let plain = |text: &str| -> String {
            let text = text.trim_start_matches("tel:").trim_start_matches("sip:");
            text.chars()
                .filter(|one| !" -().+".contains(*one))
                .collect()
        };
        let wanted = plain(address);
        self.contacts
            .iter()
            .find(|one| plain(&one.address) == wanted)
    }

    /// Whether a client of the user has this connection: the id of its stream.
    pub fn has_connection(&self, user: &str, connection: &str) -> bool {
        self.sockets
            .values()
            .any(|socket| socket.user == user && socket.stream == connection)
    }

    /// Another client of the user rings from now on, and every client is told.
    pub fn lead_alerting(&mut self, user: &str, connection: Option<String>) {
        if let Some(found) = self.directory.user_mut(user) {
            found.alerting_leader.clone_from(&connection);
        }
        let mut body = json!({"userId": user, "clientType": "WebRTCSDK"});
        if let Some(connection) = connection {
            body["connectionId"] = Value::from(connection);
        }
        self.publish(user, "alertingleader", json!({"eventBody": body}));
    }

    /// The full JID a user bound last.
    pub fn newest_resource(&self, user: &str) -> Option<String> {
        self.sockets
            .values()
            .rev()
            .filter(|socket| socket.user == user)
            .find_map(|socket| socket.full.clone())
    }

    /// Tells a user something on a topic: to each channel that subscribed it and has a socket.
    pub fn publish(&mut self, user: &str, topic: &str, mut message: Value) {
        let topic = format!("v2.users.{user}.{topic}");
        message["topicName"] = Value::from(topic.clone());
        message["version"] = Value::from("2");
        if message["metadata"]["CorrelationId"].is_null() {
            message["metadata"]["CorrelationId"] = Value::from(Uuid::new_v4().to_string());
        }
        let text = message.to_string();
        let channels: Vec<(String, Option<String>)> = self
            .channels
            .subscribers(self.now, &topic)
            .into_iter()
            .map(|channel| (channel.id.clone(), channel.service.clone()))
            .collect();
        for (channel, service) in channels {
            let service =
                service.unwrap_or_else(|| format!("notifications.{}", self.options.environment));
            let sockets: Vec<(u64, String)> = self
                .sockets
                .values()
                .filter(|socket| socket.channel == channel)
                .filter_map(|socket| Some((socket.id, socket.full.clone()?)))
                .collect();
            for (socket, full) in sockets {
                let frame = render::notification(&service, &full, &topic, &text);
                self.send(socket, frame);
            }
        }
    }

    /// Tells a user's clients that the station came or went.
    pub fn publish_station(&mut self, user: &str, action: &str) {
        let Some(found) = self.directory.user(user) else {
            return;
        };
        let mut body = json!({});
        if found.associated {
            body["associatedStation"] = json!({
                "id": found.current_station,
                "name": found.name_of(&found.current_station),
                "associatedUser": {"id": found.id},
            });
        }
        let message = json!({"metadata": {"action": action}, "eventBody": body});
        self.publish(user, "station", message);
    }

    /// Tells a user how the persistent connection is (genesys-protocol 4.6).
    pub fn publish_persistent(
        &mut self,
        user: &str,
        state: PersistentState,
        error: Option<&(String, String)>,
    ) {
        let Some(found) = self.directory.user(user) else {
            return;
        };
        let mut body = json!({
            "userId": found.id,
            "stationId": found.current_station,
            "persistentState": state,
            "eventTime": self.clock.iso(self.now),
        });
        if let Some((code, message)) = error {
            body["errorInfo"] = json!({
                "text": message,
                "code": code,
                "userMessage": message,
                "userParams": [],
                "nestedErrorDetails": [],
            });
        }
        self.publish(user, "persistentconnection", json!({"eventBody": body}));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Stanza {
                user,
                to,
                peer,
                session,
                stanza,
            } => {
                let sockets: Vec<u64> = self
                    .sockets
                    .values()
                    .filter(|socket| match (&to, &socket.full) {
                        (_, None) => false,
                        (Target::Everywhere, Some(_)) => socket.user == user,
                        (Target::Resource(wanted), Some(full)) => full == wanted,
                    })
                    .map(|socket| socket.id)
                    .collect();
                // The newest socket has the resource; an older one is about to be found dead.
                let sockets = match to {
                    Target::Everywhere => &sockets[..],
                    Target::Resource(_) => &sockets[sockets.len().saturating_sub(1)..],
                };
                if sockets.is_empty() {
                    let text = format!("nobody is there for {stanza:?} of session {session}");
                    self.log(LogKind::Call, Some(&user), text);
                }
                for &socket in sockets {
                    self.send_stanza(socket, &peer, &session, &stanza);
                }
            }
            Output::Notify {
                users,
                conversation,
                calls,
            } => {
                for user in users {
                    let text = format!("event {}", states(&conversation));
                    self.log(LogKind::Call, Some(&user), text);
                    let message = json!({"eventBody": conversation});
                    self.publish(&user, "conversations", message);
                    self.publish(&user, "conversations.calls", json!({"eventBody": calls}));
                }
            }
            Output::Persistent { user, state, error } => {
                self.log(
                    LogKind::Call,
                    Some(&user),
                    format!("persistent connection {state:?}"),
                );
                self.publish_persistent(&user, state, error.as_ref());
            }
            Output::OpenLeg {
                session,
                conversation,
                config,
            } => {
                let config = Box::new(config);
                self.work.push(Work::OpenLeg {
                    session,
                    conversation,
                    config,
                });
            }
            Output::Leg { session, command } => self.work.push(Work::Leg { session, command }),
            Output::Reply(token) => {
                // The client may have gone away meanwhile.
                let _ = self.replies.remove(&token).map(|go| go.send(()));
            }
            Output::Violation { user, what, detail } => self.violate(Some(&user), what, detail),
            Output::Note { user, text } => self.log(LogKind::Call, Some(&user), text),
        }
    }
}

/// A conversation in one line: its id and who is in which state.
fn states(conversation: &Value) -> String {
    let participants = conversation["participants"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let each: Vec<String> = participants
        .iter()
        .map(|one| {
            let call = &one["calls"][0];
            let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            let mut text = format!("{}={}", word(&one["purpose"]), word(&call["state"]));
            for flag in ["held", "muted"] {
                if call[flag] == true {
                    text = format!("{text},{flag}");
                }
            }
            text
        })
        .collect();
    format!(
        "{} {}",
        conversation["id"].as_str().unwrap_or("?"),
        each.join(" ")
    )
}
