//! ICE servers and subscriptions of a connection, at its start and later.

use super::super::discovery::{Round, Service};
use super::super::setup::Step;
use super::{About, DISCOVERY_PERIOD, DISCOVERY_TRIES, Discovery, Output, PUT_RETRY, Session};
use crate::genesys::connection::rest_error;
use crate::genesys::id::StationId;
use crate::genesys::model::Station;
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::TopicState;
use crate::genesys::stations::StationSummary;
use crate::genesys::subscriptions::subscribe;
use crate::genesys::xml::Element;
use crate::genesys::{CloudError, CloudEvent};
use std::time::Instant;

impl Session {
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

    /// The search for a station has ended; `None` when it found none, which is told elsewhere.
    pub(crate) fn station_found(&mut self, found: Option<StationSummary>) {
        if let Some(station) = found {
            self.associated(station);
        } else if let Some(id) = self.station.clone() {
            // One that was associated meanwhile, or the unwanted one that is there.
            self.out.push_back(Output::ReadStation(id));
        } else {
            self.station_known = true;
            self.announce();
        }
    }

    /// The phone has associated the user with `station`. The cloud's event says the same, sooner or later or never.
    pub(crate) fn associated(&mut self, station: StationSummary) {
        self.station = Some(station.id.clone());
        self.out.push_back(Output::ReadStation(station.id.clone()));
        self.held = Some(station);
    }

    /// The station was read, or the first try has failed. A result for another station than the current one is old.
    pub(crate) fn station_read(&mut self, id: &StationId, station: Option<Station>) {
        if self.station.as_ref() != Some(id) {
            return;
        }
        if let Some(station) = &station {
            self.held = Some(StationSummary {
                id: station.id.clone(),
                name: station.name.clone(),
                taken: false,
            });
        }
        if let Some(identity) = &mut self.identity {
            identity.station = station;
            self.station_known = true;
            self.announce();
        } else if station.is_some() {
            self.event(CloudEvent::StationFetched(station));
        }
    }

    pub(super) fn discover(&mut self, now: Instant, tries: u32) {
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

    pub(super) fn discovered(
        &mut self,
        now: Instant,
        service: Service,
        round: u64,
        reply: &Element,
    ) {
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
        self.begin_alerting(now);
        let step = self.setup.begin(&self.channel);
        self.take_step(now, step);
    }

    pub(super) fn discovery_failed(&mut self, now: Instant, round: u64, why: &str) {
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
                        _ if self.must_search => self.out.push_back(Output::FindStation),
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

    pub(super) fn subscribe(&mut self, now: Instant, topic: String) {
        let iq = subscribe(&self.pubsub, &self.own.bare, &topic);
        self.send_request(now, iq, About::Subscription(topic));
    }

    pub(super) fn subscribed(&mut self, now: Instant, topic: &str) {
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
            Step::Put { .. } if refused => self.unusable(rest_error(error, "")),
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
}
