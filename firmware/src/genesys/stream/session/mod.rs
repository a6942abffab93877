//! The stream from sign-in to drop, and what outlives it: the phone's session with the cloud. Sans-IO: feed it stanzas,
//! outcomes and time, then drain [`Session::poll`], then ask [`Session::next_timeout`].

mod alerting;
mod incoming;
mod setting_up;

use super::Own;
use super::discovery::{Round, Service};
use super::iq::IqTable;
use super::negotiation::Bound;
use super::ping::Ping;
use super::setup::{Setup, Step};
use crate::genesys::id::StationId;
use crate::genesys::signal::{Reply, Signal};
use crate::genesys::signaling::{Outgoing, Signaling};
use crate::genesys::stations::StationSummary;
use crate::genesys::subscriptions::{SERVER_PINGS, Topics, subscribe};
use crate::genesys::xml::{self, Element, ns};
use crate::genesys::{CloudError, CloudEvent, IceServers, Identity};
use alerting::Alerting;
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
    /// Find the user's station and associate with it, then call [`Session::station_found`].
    FindStation,
    /// Tell the cloud that this connection may ring, ask which one does, then call [`Session::leader_read`].
    AskLeader {
        connection: String,
    },
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
    ServerPings,
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
    /// A station is to be looked for at the start.
    must_search: bool,
    /// The station calls rang at, for saying that it was taken away.
    held: Option<StationSummary>,
    signaling: Signaling,
    setup: Setup,
    iqs: IqTable<About>,
    ping: Ping,
    own: Own,
    channel: String,
    /// `id` of the server's last `<open>` (3.2).
    connection: String,
    server_pings: bool,
    /// `None`: every client of the user rings.
    alerting: Option<Alerting>,
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
            must_search: false,
            held: None,
            signaling: Signaling::new(ipv6),
            setup: Setup::default(),
            iqs: IqTable::default(),
            ping: Ping::default(),
            own: Own::default(),
            channel: String::new(),
            connection: String::new(),
            server_pings: false,
            alerting: None,
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

    /// The user has no station, or not the wanted one: has one looked for at the start.
    pub(crate) fn search_station(&mut self) {
        self.must_search = true;
    }

    /// Has the server ping instead of the phone, where it will (3.5).
    pub(crate) fn use_server_pings(&mut self) {
        self.server_pings = true;
    }

    /// Takes part in the choice of the user's client that rings (7.1).
    pub(crate) fn use_alerting_leader(&mut self) {
        self.topics.with_alerting_leader();
        self.alerting = Some(Alerting::default());
    }

    /// Signed in on `channel`.
    pub(crate) fn connected(&mut self, now: Instant, bound: &Bound, channel: &str) {
        self.own = bound.own.clone();
        channel.clone_into(&mut self.channel);
        bound.connection_id.clone_into(&mut self.connection);
        self.online = true;
        self.announced = false;
        self.up = false;
        self.next_is_hard = false;
        self.drop_at = None;
        self.put_again = None;
        self.next_discovery = None;
        self.ping.start(now);
        self.discover(now, 1);
        if self.server_pings {
            let iq = subscribe(&self.pubsub, &self.own.bare, SERVER_PINGS);
            self.send_request(now, iq, About::ServerPings);
        }
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
        self.ping.heard(now);
        match xml::parse(text) {
            Ok(stanza) => self.stanza(now, &stanza),
            Err(error) => {
                tracing::warn!(%error, bytes = text.len(), "a message of the server is no stanza and is skipped");
            }
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
        if self.ping.is_silent(now) {
            self.ping.stop();
            self.drop_connection("the server was silent for 35 s", false);
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

    /// Has the phone told something that is found out beside the stream, after `Ready`.
    pub(crate) fn tell(&mut self, event: CloudEvent) {
        self.event(event);
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

#[cfg(test)]
mod tests;
