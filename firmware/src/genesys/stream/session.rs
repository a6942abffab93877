//! The stream from sign-in to drop, and what outlives it: the phone's session with the cloud. Sans-IO: feed it stanzas,
//! outcomes and time, then drain [`Session::poll`], then ask [`Session::next_timeout`].

use super::Own;
use super::discovery::{Round, Service};
use super::iq::{self, IqError, IqTable, StanzaError};
use super::negotiation::Bound;
use super::ping::Ping;
use super::setup::{Setup, Step};
use crate::genesys::id::{Jid, SessionId, StationId};
use crate::genesys::model::{Station, StationEvent};
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::TopicState;
use crate::genesys::signal::{Reason, Reply, Signal};
use crate::genesys::signaling::{Answer, Handled, Outgoing, Signaling};
use crate::genesys::subscriptions::{Notification, Topics, subscribe};
use crate::genesys::xml::{self, Element, ns};
use crate::genesys::{CloudError, CloudEvent, IceServers, Identity};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// ICE servers are asked for again this often (5.5).
const DISCOVERY_PERIOD: Duration = Duration::from_hours(6);
/// Tries of a later discovery, without delay between them; the first one of a connection has one try.
const DISCOVERY_TRIES: u32 = 3;
/// A list of topics that could not be renewed is tried again after this long: until then the phone may miss calls.
const PUT_RETRY: Duration = Duration::from_secs(15);
/// A server that announced the end of the connection gets this long to close it; then the phone does.
const CLOSING_GRACE: Duration = Duration::from_mins(1);
/// Events kept until the phone is ready; more can only be a flood.
const MAX_EARLY: usize = 256;

/// What is to be done. Drained in order.
pub(crate) enum Output {
    Send(Element),
    Event(CloudEvent),
    /// The attempt to connect has succeeded.
    Up,
    /// PUT this list of topics, then call [`Session::put_done`].
    Put(Value),
    /// GET this station, then call [`Session::station_read`].
    ReadStation(StationId),
    /// Close the connection.
    Drop(Dropped),
}

/// Why a connection is to be closed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dropped {
    /// In the log's words.
    pub reason: String,
    /// The next connection needs a new channel.
    pub hard: bool,
    /// Set when the connection cannot be used at all.
    pub error: Option<CloudError>,
}

/// What a request of ours was about.
enum About {
    Ping,
    Discovery { service: Service, round: u64 },
    Subscription(String),
    Call(Reply),
    Other,
}

/// A round of service discovery.
struct Discovery {
    /// Tells late answers to an earlier round apart.
    id: u64,
    answers: Round,
    /// Tries left, this one included.
    tries: u32,
}

/// See the module.
pub(crate) struct Session {
    pubsub: String,
    topics: Topics,
    /// Taken when `Ready` is emitted.
    identity: Option<Box<Identity>>,
    /// The station that counts, by id; `None` before the first setup and when there is none.
    station: Option<StationId>,
    /// The first read of the station has ended, well or not.
    station_known: bool,
    signaling: Signaling,
    setup: Setup,
    iqs: IqTable<About>,
    ping: Ping,
    own: Own,
    channel: String,
    online: bool,
    /// `Connected` was emitted for this connection.
    announced: bool,
    /// The discovery under way.
    round: Option<Discovery>,
    rounds: u64,
    /// The first discovery of this connection has been answered.
    up: bool,
    ice: IceServers,
    next_discovery: Option<Instant>,
    put_again: Option<Instant>,
    drop_at: Option<Instant>,
    next_is_hard: bool,
    ever_announced: bool,
    early: VecDeque<CloudEvent>,
    out: VecDeque<Output>,
}

impl Session {
    pub(crate) fn new(identity: Identity, pubsub: &str, ipv6: bool) -> Self {
        let station = identity.user.station.as_ref();
        let station = station.and_then(|s| s.effective_station.as_ref());
        Self {
            pubsub: pubsub.to_owned(),
            topics: Topics::new(identity.user.id.clone()),
            station: station.map(|s| s.id.clone()),
            identity: Some(Box::new(identity)),
            station_known: false,
            signaling: Signaling::new(ipv6),
            setup: Setup::default(),
            iqs: IqTable::default(),
            ping: Ping::default(),
            own: Own::default(),
            channel: String::new(),
            online: false,
            announced: false,
            round: None,
            rounds: 0,
            up: false,
            ice: IceServers::default(),
            next_discovery: None,
            put_again: None,
            drop_at: None,
            next_is_hard: false,
            ever_announced: false,
            early: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Signed in on `channel`.
    pub(crate) fn connected(&mut self, now: Instant, bound: &Bound, channel: &str) {
        self.own = bound.own.clone();
        channel.clone_into(&mut self.channel);
        self.online = true;
        self.announced = false;
        self.up = false;
        self.next_is_hard = false;
        self.drop_at = None;
        self.put_again = None;
        self.next_discovery = None;
        self.ping.start(now);
        self.discover(now, 1);
    }

    /// The connection is gone. Returns the replies that must not be lost and that nobody has confirmed: session ends.
    pub(crate) fn disconnected(&mut self) -> Vec<Reply> {
        self.online = false;
        self.setup.stop();
        self.ping.stop();
        self.round = None;
        self.next_discovery = None;
        self.put_again = None;
        self.drop_at = None;
        self.out.retain(|output| matches!(output, Output::Event(_)));
        let unanswered = self.iqs.abandon().into_iter();
        unanswered
            .filter_map(|about| match about {
                About::Call(reply @ Reply::Terminate { .. }) => Some(reply),
                _ => None,
            })
            .collect()
    }

    /// Whether `Connected` was emitted for the last connection.
    pub(crate) fn was_announced(&self) -> bool {
        self.announced
    }

    /// Whether the next connection needs a new channel, however this one ends.
    pub(crate) fn next_is_hard(&self) -> bool {
        self.next_is_hard
    }

    /// The station whose reading counts.
    pub(crate) fn station(&self) -> Option<&StationId> {
        self.station.as_ref()
    }

    /// A message of the server. One that is no stanza is logged and skipped: the connection is kept.
    pub(crate) fn text(&mut self, now: Instant, text: &str) {
        if !self.online {
            return;
        }
        match xml::parse(text) {
            Ok(stanza) => self.stanza(now, &stanza),
            Err(error) => {
                tracing::warn!(%error, bytes = text.len(), "a message of the server is no stanza and is skipped");
            }
        }
    }

    fn stanza(&mut self, now: Instant, stanza: &Element) {
        tracing::trace!(stanza = stanza.summary(), "received");
        match (stanza.name.as_str(), stanza.ns.as_str()) {
            ("iq", ns::CLIENT) => match stanza.attribute("type") {
                Some("get" | "set") => self.request(now, stanza),
                _ => self.iq_reply(now, stanza),
            },
            ("message", ns::CLIENT) => self.message(now, stanza),
            ("presence", ns::CLIENT) => {
                if let (Some("unavailable"), Some(from)) =
                    (stanza.attribute("type"), stanza.attribute("from"))
                {
                    let signals = self.signaling.unavailable(&Jid::from(from));
                    self.signals(signals);
                }
            }
            ("close", ns::FRAMING) => self.drop_connection("the server closed the stream", false),
            ("error", ns::STREAM) => {
                // What counts is the closing that follows (3.5).
                let condition = stanza.elements().next().map_or("", |c| c.name.as_str());
                tracing::warn!(condition, "the server reports a stream error");
            }
            _ => tracing::debug!(stanza = stanza.summary(), "ignored"),
        }
    }

    /// Time has passed.
    pub(crate) fn timeout(&mut self, now: Instant) {
        for about in self.iqs.expired(now) {
            self.unanswered(now, about, "no answer within 15 s");
        }
        if !self.online {
            return;
        }
        if self.ping.due(now) {
            let ping = Element::new("iq", ns::CLIENT)
                .with("type", "get")
                .with_child(Element::new("ping", ns::PING));
            self.send_request(now, ping, About::Ping);
        }
        if is_due(&mut self.next_discovery, now) {
            self.discover(now, DISCOVERY_TRIES);
        }
        if is_due(&mut self.put_again, now) {
            self.out.push_back(Output::Put(self.topics.full_body()));
        }
        if is_due(&mut self.drop_at, now) {
            self.drop_connection(
                "the server took the channel away and left the socket open",
                true,
            );
        }
    }

    /// When [`Session::timeout`] is to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        [
            self.iqs.next_timeout(),
            self.ping.next_timeout(),
            self.next_discovery,
            self.put_again,
            self.drop_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// A reply of the phone. Only while connected.
    pub(crate) fn reply(&mut self, now: Instant, reply: &Reply) {
        for outgoing in self.signaling.reply(&self.own, reply) {
            match outgoing {
                Outgoing::Message(message) => self.out.push_back(Output::Send(message)),
                Outgoing::Request(iq) => self.send_request(now, iq, About::Call(reply.clone())),
            }
        }
    }

    /// The list of topics was sent.
    pub(crate) fn put_done(&mut self, now: Instant, result: Result<Vec<TopicState>, RestError>) {
        if !self.online {
            return;
        }
        match result {
            Ok(states) => {
                for state in states
                    .iter()
                    .filter(|s| s.state.as_deref() == Some("Rejected"))
                {
                    let missing = state.missing_permissions.join(", ");
                    tracing::error!(
                        reason = state.rejection_reason.as_deref().unwrap_or("-"),
                        missing,
                        "the cloud refused a subscription; calls may not ring: check the user's permissions"
                    );
                }
                if matches!(self.setup.step(), Step::Put { .. }) {
                    let step = self.setup.advance(&self.channel);
                    self.take_step(now, step);
                }
            }
            Err(error) => self.put_failed(now, error),
        }
    }

    /// The station was read, or the first try has failed. A result for another station than the current one is old.
    pub(crate) fn station_read(&mut self, id: &StationId, station: Option<Station>) {
        if self.station.as_ref() != Some(id) {
            return;
        }
        if let Some(identity) = &mut self.identity {
            identity.station = station;
            self.station_known = true;
            self.announce();
        } else if station.is_some() {
            self.event(CloudEvent::StationFetched(station));
        }
    }

    /// A request of the server (3.4).
    fn request(&mut self, now: Instant, iq: &Element) {
        let mut children = iq.elements();
        let (Some(child), None) = (children.next(), children.next()) else {
            self.out
                .push_back(Output::Send(iq::error_for(iq, StanzaError::BAD_REQUEST)));
            return;
        };
        let is_get = iq.attribute("type") == Some("get");
        let answer = match (child.name.as_str(), child.ns.as_str()) {
            ("ping", ns::PING) if is_get => iq::result_for(iq),
            ("query", ns::DISCO_INFO) if is_get => iq::disco_info(iq),
            ("query", ns::DISCO_ITEMS) if is_get => iq::disco_items(iq),
            // The SDK does not answer this one either (3.4): the connection is about to end.
            ("query", ns::TRANSFER) if !is_get => return self.transfer(),
            _ => match self.signaling.request(&self.own, iq, child) {
                Some(handled) => return self.handled(now, iq, handled),
                None => iq::error_for(iq, StanzaError::SERVICE_UNAVAILABLE),
            },
        };
        self.out.push_back(Output::Send(answer));
    }

    /// The answer goes first: what the phone says next must find the session acknowledged.
    fn handled(&mut self, now: Instant, iq: &Element, handled: Handled) {
        match handled.answer {
            Answer::Result => self.out.push_back(Output::Send(iq::result_for(iq))),
            Answer::Error(error) => self.out.push_back(Output::Send(iq::error_for(iq, error))),
            Answer::Silence => {}
        }
        for request in handled.follow_up {
            self.send_request(now, request, About::Other);
        }
        self.signals(handled.signals);
    }

    fn message(&mut self, now: Instant, stanza: &Element) {
        if let Some(event) = stanza.child("event", ns::PUBSUB_EVENT) {
            match self.topics.read(event) {
                Ok(Some(notification)) => self.notification(now, notification),
                Ok(None) => tracing::debug!("a notification of another topic is ignored"),
                Err(error) => tracing::warn!(%error, "a notification cannot be used"),
            }
        } else if let Some(signal) = self.signaling.message(&self.own, stanza) {
            self.signals(vec![signal]);
        }
    }

    fn notification(&mut self, now: Instant, notification: Notification) {
        match notification {
            Notification::Conversation(event) => self.event(CloudEvent::Conversation(event)),
            Notification::PersistentConnection(event) => {
                self.event(CloudEvent::PersistentConnection(event));
            }
            Notification::Station(event) => self.station_event(event),
            Notification::Closing => self.transfer(),
            Notification::Expiring => self.out.push_back(Output::Put(self.topics.full_body())),
            Notification::ChannelLost => {
                tracing::warn!("another connection took the notification channel");
                self.ping.stop();
                self.next_is_hard = true;
                self.drop_at = Some(now + CLOSING_GRACE);
            }
        }
    }

    /// 4.5: the event, then the station read again.
    fn station_event(&mut self, event: StationEvent) {
        match &event {
            StationEvent::Associated(id) => self.station = Some(id.clone()),
            StationEvent::Disassociated => self.station = None,
            StationEvent::Migrated => {}
        }
        self.event(CloudEvent::Station(event));
        if let Some(id) = self.station.clone() {
            self.out.push_back(Output::ReadStation(id));
            return;
        }
        self.station_known = true;
        match &mut self.identity {
            Some(identity) => identity.station = None,
            None => self.event(CloudEvent::StationFetched(None)),
        }
        self.announce();
    }

    fn iq_reply(&mut self, now: Instant, iq: &Element) {
        let Some((about, outcome)) = self.iqs.reply(&self.own, iq) else {
            return;
        };
        if matches!(about, About::Ping) {
            return self.ping.pong(now);
        }
        match (about, outcome) {
            (About::Discovery { service, round }, Ok(())) => {
                self.discovered(now, service, round, iq);
            }
            (About::Subscription(topic), Ok(())) => self.subscribed(now, &topic),
            (About::Call(reply), Err(error)) => self.call_refused(&reply, &error),
            (about, Err(error)) => self.unanswered(now, about, &error.to_string()),
            (_, Ok(())) => {}
        }
    }

    /// A request of ours was refused, or not answered at all.
    fn unanswered(&mut self, now: Instant, about: About, why: &str) {
        match about {
            About::Ping => {
                tracing::warn!("the server did not answer a ping");
                if self.ping.missed(now) {
                    self.drop_connection("two pings in a row were not answered", false);
                }
            }
            About::Discovery { round, .. } => self.discovery_failed(now, round, why),
            About::Subscription(topic) if topic == self.topics.conversations() => {
                self.unusable(CloudError::Protocol {
                    what: "the subscription to the conversations",
                    detail: why.to_owned(),
                });
            }
            About::Subscription(topic) => {
                tracing::warn!(why, "a subscription failed; the phone works without it");
                self.subscribed(now, &topic);
            }
            About::Call(reply) => {
                tracing::warn!(
                    what = name_of(&reply),
                    why,
                    "the gateway did not take a call request"
                );
            }
            About::Other => {}
        }
    }

    /// The gateway refused a request of a call. When it does not know the session, the session is over.
    fn call_refused(&mut self, reply: &Reply, error: &IqError) {
        tracing::warn!(what = name_of(reply), %error, "the gateway refused a call request");
        if error.condition != "item-not-found" {
            return;
        }
        if let Reply::Answer { session, .. } = reply {
            let session: SessionId = session.clone();
            let reason = Reason::Gone;
            self.signals(vec![Signal::Terminate { session, reason }]);
        }
    }

    fn discover(&mut self, now: Instant, tries: u32) {
        self.rounds += 1;
        let round = self.rounds;
        self.round = Some(Discovery {
            id: round,
            answers: Round::default(),
            tries,
        });
        for service in Service::BOTH {
            let query = service.query(self.own.domain());
            self.send_request(now, query, About::Discovery { service, round });
        }
    }

    fn discovered(&mut self, now: Instant, service: Service, round: u64, reply: &Element) {
        let Some(discovery) = self.round.as_mut().filter(|known| known.id == round) else {
            return;
        };
        let Some(ice) = discovery.answers.answer(service, reply) else {
            return;
        };
        self.round = None;
        let changed = self.ice != ice;
        self.ice = ice;
        if changed && self.identity.is_none() {
            self.event(CloudEvent::IceServers(self.ice.clone()));
        }
        if self.up {
            self.next_discovery = Some(now + DISCOVERY_PERIOD);
            return;
        }
        self.up = true;
        self.out.push_back(Output::Up);
        // The SDK asks once more right after connecting (5.5).
        self.discover(now, DISCOVERY_TRIES);
        let step = self.setup.begin(&self.channel);
        self.take_step(now, step);
    }

    fn discovery_failed(&mut self, now: Instant, round: u64, why: &str) {
        // One failed query ends its round; the other one's failure says nothing new.
        let Some(discovery) = self.round.take_if(|known| known.id == round) else {
            return;
        };
        if !self.up {
            return self.unusable(CloudError::Protocol {
                what: "service discovery",
                detail: why.to_owned(),
            });
        }
        if discovery.tries > 1 {
            return self.discover(now, discovery.tries - 1);
        }
        tracing::warn!(
            why,
            "the ICE servers could not be read again; the known ones stay"
        );
        self.next_discovery = Some(now + DISCOVERY_PERIOD);
    }

    fn take_step(&mut self, now: Instant, step: Step) {
        match step {
            Step::Waiting => {}
            Step::Conversations => self.subscribe(now, self.topics.conversations()),
            Step::Put { first } => {
                let body = if first {
                    self.topics.first_body()
                } else {
                    self.topics.full_body()
                };
                if first {
                    match self.station.clone() {
                        Some(id) => self.out.push_back(Output::ReadStation(id)),
                        None => self.station_known = true,
                    }
                }
                self.out.push_back(Output::Put(body));
            }
            Step::PersistentConnection => self.subscribe(now, self.topics.persistent_connection()),
            Step::Done => self.announce(),
        }
    }

    fn subscribe(&mut self, now: Instant, topic: String) {
        let iq = subscribe(&self.pubsub, &self.own.bare, &topic);
        self.send_request(now, iq, About::Subscription(topic));
    }

    fn subscribed(&mut self, now: Instant, topic: &str) {
        let expected = match self.setup.step() {
            Step::Conversations => self.topics.conversations(),
            Step::PersistentConnection => self.topics.persistent_connection(),
            _ => return,
        };
        if topic == expected {
            let step = self.setup.advance(&self.channel);
            self.take_step(now, step);
        }
    }

    fn put_failed(&mut self, now: Instant, error: RestError) {
        let refused = matches!(
            &error,
            RestError::Status {
                status: 401 | 403,
                ..
            }
        );
        match self.setup.step() {
            // A list refused for lack of rights will not be taken later either (1.4).
            Step::Put { .. } if refused => self.unusable(CloudError::InvalidToken {
                detail: error.to_string(),
            }),
            Step::Put { first: true } => self.unusable(CloudError::Rest(error)),
            step => {
                tracing::warn!(%error, "the subscriptions could not be renewed; trying again in 15 s");
                self.put_again = Some(now + PUT_RETRY);
                if matches!(step, Step::Put { .. }) {
                    self.setup.postpone();
                    self.announce();
                }
            }
        }
    }

    /// Tells that the connection is there, and the first time before that who we are.
    fn announce(&mut self) {
        let first = self.identity.is_some();
        let complete = self.setup.step() == Step::Done && self.online && !self.announced;
        if !complete || first && !self.station_known {
            return;
        }
        if let Some(identity) = self.identity.take() {
            if identity.station.is_none() {
                tracing::warn!("the user has no effective station: calls will not ring here");
            }
            self.event(CloudEvent::Ready(identity));
            self.event(CloudEvent::IceServers(self.ice.clone()));
        }
        self.announced = true;
        let reconnect = self.ever_announced;
        self.ever_announced = true;
        let full_jid = self.own.full.clone();
        self.event(CloudEvent::Connected {
            reconnect,
            full_jid,
        });
        let early = std::mem::take(&mut self.early);
        self.out.extend(early.into_iter().map(Output::Event));
    }

    /// 3.7: planned end of the socket; the next one needs a new channel.
    fn transfer(&mut self) {
        self.drop_connection("the server asked to move the connection", true);
    }

    fn drop_connection(&mut self, reason: &str, hard: bool) {
        self.next_is_hard |= hard;
        self.out.push_back(Output::Drop(Dropped {
            reason: reason.to_owned(),
            hard: self.next_is_hard,
            error: None,
        }));
    }

    fn unusable(&mut self, error: CloudError) {
        self.out.push_back(Output::Drop(Dropped {
            reason: error.to_string(),
            hard: self.next_is_hard,
            error: Some(error),
        }));
    }

    fn signals(&mut self, signals: Vec<Signal>) {
        for signal in signals {
            self.event(CloudEvent::Signal(signal));
        }
    }

    /// Events before `Ready` wait for it.
    fn event(&mut self, event: CloudEvent) {
        if self.identity.is_none() {
            self.out.push_back(Output::Event(event));
            return;
        }
        if self.early.len() >= MAX_EARLY {
            self.early.pop_front();
            tracing::warn!(
                "more than {MAX_EARLY} events before the phone is ready; the oldest is lost"
            );
        }
        self.early.push_back(event);
    }

    fn send_request(&mut self, now: Instant, iq: Element, about: About) {
        let iq = self.iqs.request(now, iq, about);
        self.out.push_back(Output::Send(iq));
    }
}

fn is_due(at: &mut Option<Instant>, now: Instant) -> bool {
    let due = at.is_some_and(|at| at <= now);
    if due {
        *at = None;
    }
    due
}

fn name_of(reply: &Reply) -> &'static str {
    match reply {
        Reply::Proceed { .. } => "proceed",
        Reply::Accept { .. } => "accept",
        Reply::Answer { .. } => "answer",
        Reply::Candidate { .. } => "candidate",
        Reply::EndOfCandidates { .. } => "end of candidates",
        Reply::Active { .. } => "active",
        Reply::Terminate { .. } => "terminate",
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
