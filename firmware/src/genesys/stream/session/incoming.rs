//! What the server says: requests, messages, notifications, and replies to our requests.

use super::super::iq::{self, IqError, StanzaError};
use super::{About, CLOSING_GRACE, Output, Session};
use crate::genesys::id::{Jid, SessionId};
use crate::genesys::model::StationEvent;
use crate::genesys::signal::{Reason, Reply, Signal};
use crate::genesys::signaling::{Answer, Handled};
use crate::genesys::stations::StationTrouble;
use crate::genesys::subscriptions::Notification;
use crate::genesys::xml::{Element, ns};
use crate::genesys::{CloudError, CloudEvent};
use std::time::Instant;

impl Session {
    pub(super) fn stanza(&mut self, now: Instant, stanza: &Element) {
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
            Notification::AlertingLeader(leader) => self.leader_changed(leader),
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
        if let Some(station) = self.held.take() {
            // Not ours to undo: two phones that fight for a user would never end.
            self.event(CloudEvent::StationTrouble(StationTrouble::TakenAway {
                station,
            }));
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
            (About::Subscription(topic), Ok(())) if topic == self.topics.alerting_leader() => {
                self.alerting_subscribed();
            }
            (About::Subscription(topic), Ok(())) => self.subscribed(now, &topic),
            (About::ServerPings, Ok(())) => self.ping.watch(now),
            (About::Call(reply), Err(error)) => self.call_refused(&reply, &error),
            (about, Err(error)) => self.unanswered(now, about, &error.to_string()),
            (_, Ok(())) => {}
        }
    }

    /// A request of ours was refused, or not answered at all.
    pub(super) fn unanswered(&mut self, now: Instant, about: About, why: &str) {
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
            About::Subscription(topic) if topic == self.topics.alerting_leader() => {
                self.leader_unknown(why);
            }
            About::ServerPings => {
                tracing::info!(why, "the server does not ping; the phone does");
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
        Reply::Statistics(_) => "statistics report",
    }
}
