//! REST requests beside the stream.

use super::lock;
use super::run::{Leave, Online, Task};
use crate::genesys::CloudEvent;
use crate::genesys::id::{StationId, UserId};
use crate::genesys::model::{Station, User};
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::TopicState;
use crate::genesys::rest::retry::Retry;
use crate::genesys::stations::{self, Found, StationTrouble};
use crate::genesys::stream::session::Session;
use crate::genesys::subscriptions::Leader;
use serde_json::Value;
use std::time::Duration;

/// A request that has ended.
pub(super) enum Job {
    Put(Result<Vec<TopicState>, RestError>),
    Station {
        id: StationId,
        retry: Retry,
        result: Result<Station, RestError>,
    },
    Found {
        retry: Retry,
        result: Result<Found, StationTrouble>,
    },
    Who {
        retry: Retry,
        result: Result<User, RestError>,
    },
    Leader {
        connection: String,
        result: Result<Leader, RestError>,
    },
}

/// The cloud may not know the connection yet: so many tries, so far apart (7.1).
const ALERTABLE_TRIES: u32 = 16;
const ALERTABLE_PERIOD: Duration = Duration::from_millis(500);

impl Task {
    pub(super) fn put(&self, online: &mut Online, body: Value) {
        let (rest, channel) = (self.rest.clone(), online.channel.clone());
        online
            .jobs
            .spawn(async move { Job::Put(rest.put_subscriptions(&channel, &body).await) });
    }

    /// Reads the station after `wait`, which is what [`Retry`] says since the last try.
    pub(super) fn read_station(
        &self,
        online: &mut Online,
        id: StationId,
        retry: Retry,
        wait: Duration,
    ) {
        let rest = self.rest.clone();
        online.jobs.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = rest.station(&id).await;
            Job::Station { id, retry, result }
        });
    }

    /// Looks for the station of the user after `wait`, as [`Self::read_station`].
    pub(super) fn find_station(
        &self,
        online: &mut Online,
        user: &UserId,
        retry: Retry,
        wait: Duration,
    ) {
        let (rest, user, wish) = (self.rest.clone(), user.clone(), self.station.clone());
        let last = self.memory.station_of(&user);
        online.jobs.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = stations::find(&rest, &user, &wish, last).await;
            Job::Found { retry, result }
        });
    }

    /// Says that this connection may ring, then asks which one does. A connection that could not be announced may still
    /// be told of the one that rings.
    pub(super) fn ask_leader(&self, online: &mut Online, user: &UserId, connection: String) {
        let (rest, user) = (self.rest.clone(), user.clone());
        online.jobs.spawn(async move {
            for left in (0..ALERTABLE_TRIES).rev() {
                match rest.make_alertable(&user, &connection).await {
                    Ok(()) => break,
                    Err(error) if left == 0 => {
                        tracing::warn!(%error, "the cloud does not take this phone as one that may ring");
                    }
                    Err(_) => tokio::time::sleep(ALERTABLE_PERIOD).await,
                }
            }
            let result = rest.alerting_leader().await;
            Job::Leader { connection, result }
        });
    }

    /// Asks whose the token is now, after `wait`, as [`Self::read_station`].
    pub(super) fn ask_who(&self, online: &mut Online, retry: Retry, wait: Duration) {
        let rest = self.rest.clone();
        online.jobs.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = rest.user().await;
            Job::Who { retry, result }
        });
    }

    pub(super) fn job_done(
        &self,
        job: Job,
        online: &mut Online,
        session: &mut Session,
        user: &UserId,
    ) -> Result<(), Leave> {
        match job {
            Job::Put(result) => session.put_done(super::now(), result),
            Job::Station {
                id,
                result: Ok(station),
                ..
            } => session.station_read(&id, Some(station)),
            Job::Station {
                id,
                mut retry,
                result: Err(error),
            } => {
                // A station that cannot be read does not keep the phone from starting (2.2).
                tracing::warn!(%error, "the station cannot be read");
                session.station_read(&id, None);
                if session.station() == Some(&id)
                    && let Some(wait) = retry.after(&error)
                {
                    self.read_station(online, id, retry, wait);
                }
            }
            Job::Leader { connection, result } => session.leader_read(&connection, result),
            Job::Found { retry, result } => {
                self.found(online, session, user, retry, result);
            }
            Job::Who { result, .. } if result.as_ref().is_ok_and(|u| u.id != *user) => {
                tracing::info!("the new access token is another user's");
                return Err(Leave::Hands);
            }
            Job::Who { result: Ok(_), .. } => {
                tracing::info!("the new access token is the same user's");
            }
            Job::Who {
                mut retry,
                result: Err(error),
            } => match retry.after(&error) {
                Some(wait) => self.ask_who(online, retry, wait),
                None => return Err(Leave::Hands),
            },
        }
        Ok(())
    }

    fn found(
        &self,
        online: &mut Online,
        session: &mut Session,
        user: &UserId,
        mut retry: Retry,
        result: Result<Found, StationTrouble>,
    ) {
        match result {
            Ok(Found::Associated(station)) => {
                tracing::info!(station = %station.id, "associated with a station");
                self.memory.associated(user, &station.id);
                session.station_found(Some(station));
            }
            Ok(Found::Choice(stations)) => {
                tracing::info!(
                    stations = stations.len(),
                    "the user has to choose a station"
                );
                session.station_found(None);
                session.tell(CloudEvent::StationChoice(stations));
            }
            Err(trouble) => {
                tracing::error!(%trouble, "calls will not ring here");
                session.station_found(None);
                if let StationTrouble::Rest(error) = &trouble
                    && let Some(wait) = retry.after(error)
                {
                    self.find_station(online, user, retry, wait);
                }
                session.tell(CloudEvent::StationTrouble(trouble));
            }
        }
    }

    /// What the handle has done meanwhile.
    pub(super) fn take_orders(&self, session: &mut Session) {
        let associated = lock(&self.shared.associated).take();
        if let Some(station) = associated {
            session.associated(station);
        }
    }
}
