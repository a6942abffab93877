//! The connection task: who are we, connect, keep up, reconnect (genesys-protocol 2.2, 3.6).

use super::channel::Channel;
use super::{Shared, lock, now};
use crate::genesys::backoff::Backoff;
use crate::genesys::connection::{self, Credentials, Failure};
use crate::genesys::environment::Environment;
use crate::genesys::id::StationId;
use crate::genesys::model::{Organization, Station, User};
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::{Rest, TopicState};
use crate::genesys::rest::retry::Retry;
use crate::genesys::stream::session::{Output, Session};
use crate::genesys::token::TokenSource;
use crate::genesys::transport::{Link, Transport};
use crate::genesys::{CloudError, CloudEvent, Identity};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(super) struct Task {
    pub transport: Arc<dyn Transport>,
    pub rest: Rest,
    pub token: TokenSource,
    pub environment: Environment,
    pub resource: String,
    pub ipv6: bool,
    pub shared: Arc<Shared>,
    pub events: mpsc::Sender<CloudEvent>,
}

/// The phone shuts down, or nobody listens any more.
struct Stopped;

/// How a connection ended.
enum End {
    /// It never was of use.
    Failed(Failure),
    /// It was up.
    Dropped { reason: String, hard: bool },
}

/// REST requests beside the stream.
enum Job {
    Put(Result<Vec<TopicState>, RestError>),
    Station {
        id: StationId,
        retry: Retry,
        result: Result<Station, RestError>,
    },
}

/// A connection that is up.
struct Online {
    link: Link,
    jobs: JoinSet<Job>,
    channel: String,
}

impl Task {
    pub(super) async fn run(self) {
        let Err(Stopped) = self.work().await;
        self.shared.stopped.send_replace(true);
    }

    async fn work(&self) -> Result<std::convert::Infallible, Stopped> {
        let mut backoff = Backoff::default();
        let identity = self.identify(&mut backoff).await?;
        let bare = identity.bare_jid.clone();
        let mut session = Session::new(identity, self.environment.pubsub(), self.ipv6);
        let mut backoff = Backoff::default();
        let mut channel = Channel::default();
        let mut wait = backoff.begin(now());
        loop {
            self.or_stop(tokio::time::sleep(wait)).await?;
            let connected = self
                .or_stop(self.connect(&mut channel, &bare, &mut session))
                .await?;
            let end = match connected {
                Ok(mut online) => {
                    let end = self.drive(&mut online, &mut session, &mut backoff).await?;
                    let unconfirmed = session.disconnected();
                    lock(&self.shared.outbox).put_back(now(), unconfirmed);
                    self.drain_events(&mut session).await?;
                    end
                }
                Err(failure) => End::Failed(failure),
            };
            wait = match end {
                End::Failed(failure) => {
                    if failure.hard {
                        channel.forget();
                    }
                    self.failed(failure, &mut backoff).await?
                }
                End::Dropped { reason, hard } => {
                    tracing::warn!(reason, hard, "the stream is down");
                    if hard {
                        channel.forget();
                    }
                    let reconnecting = true;
                    self.emit(CloudEvent::Disconnected {
                        reason,
                        reconnecting,
                    })
                    .await?;
                    backoff.begin(now())
                }
            };
        }
    }

    /// Requests 1 and 2 of 2.2, until they succeed. The SDK's further `GET /users/me` (3) are left out: they teach it
    /// what the phone knows from the second, and probe what the next request shows anyway.
    async fn identify(&self, backoff: &mut Backoff) -> Result<Identity, Stopped> {
        backoff.begin(now());
        loop {
            let both = async { tokio::join!(self.organization(), self.user()) };
            let (organization, user) = self.or_stop(both).await?;
            let failure = match (organization, user?) {
                (Ok(organization), Ok(user)) => match identity(organization, user) {
                    Ok(identity) => return Ok(identity),
                    Err(error) => Failure::new(error),
                },
                (_, Err(error)) | (Err(error), _) => {
                    Failure::rest(error, &self.environment.api_endpoint().host)
                }
            };
            let wait = self.failed(failure, backoff).await?;
            self.or_stop(tokio::time::sleep(wait)).await?;
        }
    }

    async fn organization(&self) -> Result<Organization, RestError> {
        let mut retry = Retry::default();
        loop {
            let error = match self.rest.organization().await {
                Ok(organization) => return Ok(organization),
                Err(error) => error,
            };
            match retry.after(&error) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// Tells of every failed attempt, so that the display says at once what keeps the phone from working.
    async fn user(&self) -> Result<Result<User, RestError>, Stopped> {
        let mut retry = Retry::default();
        loop {
            let error = match self.rest.user().await {
                Ok(user) => return Ok(Ok(user)),
                Err(error) => error,
            };
            let Some(wait) = retry.after(&error) else {
                return Ok(Err(error));
            };
            let host = self.environment.api_endpoint().host;
            let error = connection::rest_error(error, &host);
            tracing::warn!(%error, "the user cannot be read; trying again");
            let retry_in = Some(wait);
            self.emit(CloudEvent::Failed { error, retry_in }).await?;
            tokio::time::sleep(wait).await;
        }
    }

    /// One attempt: channel, socket, sign-in.
    async fn connect(
        &self,
        channel: &mut Channel,
        bare: &crate::genesys::id::Jid,
        session: &mut Session,
    ) -> Result<Online, Failure> {
        let reused = channel.reuse().map(str::to_owned);
        let id = if let Some(id) = reused {
            id
        } else {
            let host = self.environment.api_endpoint().host;
            let created = self.rest.create_channel().await;
            let id = created.map_err(|error| Failure::rest(error, &host))?;
            channel.created(&id);
            id
        };
        let token = self.token.current();
        let who = Credentials {
            bare,
            resource: &self.resource,
            token: token.map_err(|error| Failure::new(CloudError::Token(error)))?,
        };
        let (link, bound) = connection::sign_in(&*self.transport, &id, who).await?;
        tracing::info!(
            connection_id = bound.connection_id,
            "signed in to the stream"
        );
        *lock(&self.shared.full_jid) = Some(bound.own.full.clone());
        session.connected(now(), &bound, &id);
        Ok(Online {
            link,
            jobs: JoinSet::new(),
            channel: id,
        })
    }

    /// Serves the connection until it ends.
    async fn drive(
        &self,
        online: &mut Online,
        session: &mut Session,
        backoff: &mut Backoff,
    ) -> Result<End, Stopped> {
        self.send_replies(session);
        loop {
            if let Some(end) = self.carry_out(online, session, backoff).await? {
                return Ok(end);
            }
            let deadline = session.next_timeout().map(Instant::from_std);
            let timeout = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                text = online.link.incoming.next() => match text {
                    Some(Ok(text)) => session.text(now(), &text),
                    Some(Err(error)) => return Ok(ended(session, error.to_string(), None)),
                    None => return Ok(ended(session, "the connection ended".to_owned(), None)),
                },
                () = self.shared.wake.notified() => self.send_replies(session),
                () = timeout => session.timeout(now()),
                Some(Ok(job)) = online.jobs.join_next() => self.job_done(job, online, session),
                () = self.shared.stopping() => {
                    connection::close(&mut online.link, true).await;
                    return Err(Stopped);
                }
            }
        }
    }

    /// Does what the session wants done; the end of the connection if that is part of it.
    async fn carry_out(
        &self,
        online: &mut Online,
        session: &mut Session,
        backoff: &mut Backoff,
    ) -> Result<Option<End>, Stopped> {
        while let Some(output) = session.poll() {
            match output {
                Output::Send(stanza) => {
                    if let Err(reason) = connection::send(&mut online.link, &stanza).await {
                        return Ok(Some(ended(session, reason, None)));
                    }
                }
                Output::Event(event) => {
                    if let Err(stopped) = self.emit(event).await {
                        connection::close(&mut online.link, true).await;
                        return Err(stopped);
                    }
                }
                Output::Up => backoff.succeeded(now()),
                Output::Put(body) => {
                    let (rest, channel) = (self.rest.clone(), online.channel.clone());
                    online.jobs.spawn(async move {
                        Job::Put(rest.put_subscriptions(&channel, &body).await)
                    });
                }
                Output::ReadStation(id) => {
                    self.read_station(online, id, Retry::default(), Duration::ZERO);
                }
                Output::Drop(dropped) => {
                    connection::close(&mut online.link, false).await;
                    return Ok(Some(ended(session, dropped.reason, dropped.error)));
                }
            }
        }
        Ok(None)
    }

    fn send_replies(&self, session: &mut Session) {
        let replies = lock(&self.shared.outbox).drain(now());
        for reply in replies {
            session.reply(now(), &reply);
        }
    }

    fn read_station(&self, online: &mut Online, id: StationId, retry: Retry, wait: Duration) {
        let rest = self.rest.clone();
        online.jobs.spawn(async move {
            tokio::time::sleep(wait).await;
            let result = rest.station(&id).await;
            Job::Station { id, retry, result }
        });
    }

    fn job_done(&self, job: Job, online: &mut Online, session: &mut Session) {
        match job {
            Job::Put(result) => session.put_done(now(), result),
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
        }
    }

    /// Events of a connection that has ended.
    async fn drain_events(&self, session: &mut Session) -> Result<(), Stopped> {
        while let Some(output) = session.poll() {
            if let Output::Event(event) = output {
                self.emit(event).await?;
            }
        }
        Ok(())
    }

    /// Reports a failed attempt. The wait before the next; with a refused token that begins when there is another.
    async fn failed(&self, failure: Failure, backoff: &mut Backoff) -> Result<Duration, Stopped> {
        let (error, retry_after) = (*failure.error, failure.retry_after);
        let needs_token = matches!(
            error,
            CloudError::InvalidToken { .. } | CloudError::Token(_)
        );
        if !needs_token {
            let wait = backoff.failed(now(), retry_after);
            tracing::warn!(%error, wait_s = wait.as_secs(), "the cloud cannot be reached");
            let retry_in = Some(wait);
            self.emit(CloudEvent::Failed { error, retry_in }).await?;
            return Ok(wait);
        }
        if self.token.reload().unwrap_or(false) {
            tracing::info!("the access token file was replaced; trying again with the new token");
            return Ok(Duration::ZERO);
        }
        tracing::error!(%error, "the cloud connection is given up until there is another access token");
        let retry_in = None;
        self.emit(CloudEvent::Failed { error, retry_in }).await?;
        self.or_stop(self.token.changed()).await?;
        tracing::info!("there is another access token; connecting again");
        Ok(Duration::ZERO)
    }

    async fn emit(&self, event: CloudEvent) -> Result<(), Stopped> {
        self.or_stop(self.events.send(event))
            .await?
            .map_err(|_| Stopped)
    }

    async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            done = work => Ok(done),
            () = self.shared.stopping() => Err(Stopped),
        }
    }
}

/// How a connection that was not closed by the phone's shutdown counts.
fn ended(session: &Session, reason: String, error: Option<CloudError>) -> End {
    let hard = session.next_is_hard();
    if error.is_none() && session.was_announced() {
        return End::Dropped { reason, hard };
    }
    let error = error.unwrap_or(CloudError::Protocol {
        what: "the streaming server",
        detail: reason,
    });
    End::Failed(Failure {
        hard,
        ..Failure::new(error)
    })
}

fn identity(organization: Organization, user: User) -> Result<Identity, CloudError> {
    let bare_jid = user.chat.jabber_id.bare();
    if user.id.as_str().is_empty() || !bare_jid.as_str().contains('@') {
        return Err(CloudError::Protocol {
            what: "GET /users/me",
            detail: "the user has no id or no chat address; is this token a user's?".to_owned(),
        });
    }
    Ok(Identity {
        user,
        organization,
        bare_jid,
        station: None,
    })
}
