//! The connection task: who are we, connect, keep up, reconnect (genesys-protocol 2.2, 3.6).

use super::channel::Channel;
use super::jobs::Job;
use super::outbox::Outbox;
use super::{Shared, lock, now};
use crate::device::Private;
use crate::genesys::backoff::Backoff;
use crate::genesys::connection::{self, Credentials, Failure};
use crate::genesys::environment::Environment;
use crate::genesys::id::{Jid, UserId};
use crate::genesys::login::{LoginState, Renewal};
use crate::genesys::memory::Memory;
use crate::genesys::model::{Organization, User};
use crate::genesys::rest::RestError;
use crate::genesys::rest::client::Rest;
use crate::genesys::rest::retry::Retry;
use crate::genesys::stations::{StationWish, must_search};
use crate::genesys::stream::negotiation::Bound;
use crate::genesys::stream::session::{Output, Session};
use crate::genesys::token::TokenSource;
use crate::genesys::transport::{Link, Transport};
use crate::genesys::{CloudError, CloudEvent, Identity};
use futures_util::StreamExt;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A missing right is looked for again this often: an administrator gives it while the phone waits.
const RIGHTS_PERIOD: Duration = Duration::from_mins(5);

pub(super) struct Task {
    pub transport: Arc<dyn Transport>,
    pub rest: Rest,
    pub token: TokenSource,
    pub environment: Environment,
    pub resource: String,
    pub station: StationWish,
    pub memory: Memory,
    pub ipv6: bool,
    pub server_pings: bool,
    pub alerting_leader: bool,
    pub shared: Arc<Shared>,
    pub events: mpsc::Sender<CloudEvent>,
}

/// Why the task leaves what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// The phone shuts down, or nobody listens any more.
    Stop,
    /// The phone may have changed hands: who is here is asked again.
    Hands,
}

/// How a connection ended.
enum End {
    /// It never was of use.
    Failed(Failure),
    /// It was up.
    Dropped { reason: String, hard: bool },
}

/// A connection that is up.
pub(super) struct Online {
    link: Link,
    pub jobs: JoinSet<Job>,
    pub channel: String,
}

/// The user the phone serves.
struct Served {
    user: UserId,
    bare: Jid,
    session: Session,
    channel: Channel,
}

impl Task {
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.work() => {}
            () = self.token.tend() => {}
            () = self.tell_login() => {}
        }
        self.shared.stopped.send_replace(true);
    }

    async fn work(&self) {
        let mut served = None;
        let mut epochs = self.token.epochs();
        loop {
            // What happens to the token from here on is noticed.
            epochs.mark_unchanged();
            let left = if served.is_some() && self.token.current().is_err() {
                self.farewell(&mut served).await
            } else {
                let Err(leave) = self.serve(&mut served, &mut epochs).await;
                Err(leave)
            };
            if left == Err(Leave::Stop) {
                return;
            }
        }
    }

    /// The user has gone.
    async fn farewell(&self, served: &mut Option<Served>) -> Result<(), Leave> {
        *served = None;
        *lock(&self.shared.user) = None;
        *lock(&self.shared.full_jid) = None;
        *lock(&self.shared.connection) = None;
        *lock(&self.shared.associated) = None;
        // What was to be said in the user's name is said by nobody.
        *lock(&self.shared.outbox) = Outbox::default();
        tracing::info!("the user has gone");
        self.emit(CloudEvent::LoggedOut).await
    }

    /// Tells when somebody has to log in, and when somebody has.
    async fn tell_login(&self) {
        let Some(login) = self.token.as_login() else {
            return std::future::pending().await;
        };
        let mut states = login.states();
        loop {
            let event = match states.borrow_and_update().clone() {
                LoginState::LoggedIn { renews } => CloudEvent::LoggedIn { renews },
                LoginState::Needed(need) => CloudEvent::LoginNeeded(need),
            };
            if self.emit(event).await.is_err() || states.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Finds out who is here and serves this user until the phone changes hands.
    async fn serve(
        &self,
        served: &mut Option<Served>,
        epochs: &mut watch::Receiver<u64>,
    ) -> Result<Infallible, Leave> {
        let mut backoff = Backoff::default();
        let identity = self.identify(&mut backoff).await?;
        if served
            .as_ref()
            .is_some_and(|served| served.user != identity.user.id)
        {
            self.farewell(served).await?;
        }
        let served = served.get_or_insert_with(|| self.welcome(identity));
        *lock(&self.shared.user) = Some(served.user.clone());
        let mut backoff = Backoff::default();
        let mut wait = backoff.begin(now());
        loop {
            self.or_leave(epochs, tokio::time::sleep(wait)).await?;
            let connected = self.or_leave(epochs, self.connect(served)).await?;
            let end = match connected {
                Ok(mut online) => {
                    let end = self.drive(&mut online, served, &mut backoff, epochs).await;
                    let unconfirmed = served.session.disconnected();
                    lock(&self.shared.outbox).put_back(now(), unconfirmed);
                    let end = end?;
                    self.drain_events(&mut served.session).await?;
                    end
                }
                Err(failure) => End::Failed(failure),
            };
            wait = match end {
                End::Failed(failure) => {
                    if failure.hard {
                        served.channel.forget();
                    }
                    self.failed(failure, &mut backoff, epochs).await?
                }
                End::Dropped { reason, hard } => {
                    tracing::warn!(reason, hard, "the stream is down");
                    if hard {
                        served.channel.forget();
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

    fn welcome(&self, identity: Identity) -> Served {
        let search = must_search(&self.station, &identity.user);
        let (user, bare) = (identity.user.id.clone(), identity.bare_jid.clone());
        let mut session = Session::new(identity, self.environment.pubsub(), self.ipv6);
        if search {
            session.search_station();
        }
        if self.server_pings {
            session.use_server_pings();
        }
        if self.alerting_leader {
            session.use_alerting_leader();
        }
        Served {
            user,
            bare,
            session,
            channel: Channel::default(),
        }
    }

    /// Requests 1 and 2 of 2.2, until they succeed. The SDK's further `GET /users/me` (3) are left out: they teach it
    /// what the phone knows from the second, and probe what the next request shows anyway.
    async fn identify(&self, backoff: &mut Backoff) -> Result<Identity, Leave> {
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
            let mut epochs = self.token.epochs();
            let wait = self.failed(failure, backoff, &mut epochs).await?;
            self.or_leave(&mut epochs, tokio::time::sleep(wait)).await?;
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
    async fn user(&self) -> Result<Result<User, RestError>, Leave> {
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
    async fn connect(&self, served: &mut Served) -> Result<Online, Failure> {
        let reused = served.channel.reuse().map(str::to_owned);
        let id = if let Some(id) = reused {
            id
        } else {
            let host = self.environment.api_endpoint().host;
            let created = self.rest.create_channel().await;
            let id = created.map_err(|error| Failure::rest(error, &host))?;
            served.channel.created(&id);
            id
        };
        let (link, bound) = self.sign_in(&id, &served.bare).await?;
        tracing::info!(
            connection_id = bound.connection_id,
            "signed in to the stream"
        );
        *lock(&self.shared.full_jid) = Some(bound.own.full.clone());
        *lock(&self.shared.connection) = Some(bound.connection_id.clone());
        served.session.connected(now(), &bound, &id);
        Ok(Online {
            link,
            jobs: JoinSet::new(),
            channel: id,
        })
    }

    /// Signs in; when the token is refused, once more with a renewed one (1.4).
    async fn sign_in(&self, channel: &str, bare: &Jid) -> Result<(Link, Bound), Failure> {
        let sign_in = async |token: &Private| {
            let who = Credentials {
                bare,
                resource: &self.resource,
                token: token.clone(),
            };
            connection::sign_in(&*self.transport, channel, who).await
        };
        let current = || {
            let token = self.token.current();
            token.map_err(|error| Failure::new(CloudError::Token(error)))
        };
        let token = current()?;
        let failure = match sign_in(&token).await {
            Err(failure) if matches!(*failure.error, CloudError::InvalidToken { .. }) => failure,
            other => return other,
        };
        match self.token.renew(&token).await {
            Renewal::None => Err(failure),
            Renewal::Later(error) => Err(Failure::rest(
                error,
                &self.environment.login_endpoint().host,
            )),
            Renewal::Another => {
                tracing::info!("there is a new access token; signing in again with it");
                let token = current()?;
                let again = sign_in(&token).await;
                if let Err(failure) = &again
                    && matches!(*failure.error, CloudError::InvalidToken { .. })
                {
                    self.token.refused(&token);
                }
                again
            }
        }
    }

    /// Serves the connection until it ends.
    async fn drive(
        &self,
        online: &mut Online,
        served: &mut Served,
        backoff: &mut Backoff,
        epochs: &mut watch::Receiver<u64>,
    ) -> Result<End, Leave> {
        self.send_replies(&mut served.session);
        loop {
            if let Some(end) = self.carry_out(online, served, backoff).await? {
                return Ok(end);
            }
            let session = &mut served.session;
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
                Some(Ok(job)) = online.jobs.join_next() => {
                    if let Err(leave) = self.job_done(job, online, session, &served.user) {
                        connection::close(&mut online.link, true).await;
                        return Err(leave);
                    }
                }
                Ok(()) = epochs.changed() => {
                    if self.token.current().is_err() {
                        connection::close(&mut online.link, true).await;
                        return Err(Leave::Hands);
                    }
                    self.ask_who(online, Retry::default(), Duration::ZERO);
                }
                () = self.shared.stopping() => {
                    connection::close(&mut online.link, true).await;
                    return Err(Leave::Stop);
                }
            }
        }
    }

    /// Does what the session wants done; the end of the connection if that is part of it.
    async fn carry_out(
        &self,
        online: &mut Online,
        served: &mut Served,
        backoff: &mut Backoff,
    ) -> Result<Option<End>, Leave> {
        let session = &mut served.session;
        while let Some(output) = session.poll() {
            match output {
                Output::Send(stanza) => {
                    if let Err(reason) = connection::send(&mut online.link, &stanza).await {
                        return Ok(Some(ended(session, reason, None)));
                    }
                }
                Output::Event(event) => {
                    if let Err(leave) = self.emit(event).await {
                        connection::close(&mut online.link, true).await;
                        return Err(leave);
                    }
                }
                Output::Up => backoff.succeeded(now()),
                Output::Put(body) => self.put(online, body),
                Output::ReadStation(id) => {
                    self.read_station(online, id, Retry::default(), Duration::ZERO);
                }
                Output::FindStation => {
                    self.find_station(online, &served.user, Retry::default(), Duration::ZERO);
                }
                Output::AskLeader { connection } => {
                    self.ask_leader(online, &served.user, connection);
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
        self.take_orders(session);
        let replies = lock(&self.shared.outbox).drain(now());
        for reply in replies {
            session.reply(now(), &reply);
        }
    }

    /// Events of a connection that has ended.
    async fn drain_events(&self, session: &mut Session) -> Result<(), Leave> {
        while let Some(output) = session.poll() {
            if let Output::Event(event) = output {
                self.emit(event).await?;
            }
        }
        Ok(())
    }

    /// Reports a failed attempt. The wait before the next; when a person must act that begins when they have.
    async fn failed(
        &self,
        failure: Failure,
        backoff: &mut Backoff,
        epochs: &mut watch::Receiver<u64>,
    ) -> Result<Duration, Leave> {
        let (error, retry_after) = (*failure.error, failure.retry_after);
        let (needs_token, needs_right) = match &error {
            CloudError::InvalidToken { .. } | CloudError::Token(_) => (true, false),
            CloudError::Forbidden { .. } => (false, true),
            _ => (false, false),
        };
        if !needs_token && !needs_right {
            let wait = backoff.failed(now(), retry_after);
            tracing::warn!(%error, wait_s = wait.as_secs(), "the cloud cannot be reached");
            let retry_in = Some(wait);
            self.emit(CloudEvent::Failed { error, retry_in }).await?;
            return Ok(wait);
        }
        tracing::error!(%error, "the cloud connection is given up until a person has acted");
        let retry_in = None;
        self.emit(CloudEvent::Failed { error, retry_in }).await?;
        if needs_right {
            self.or_leave(epochs, tokio::time::sleep(RIGHTS_PERIOD))
                .await?;
            return Ok(Duration::ZERO);
        }
        self.or_stop(self.token.changed()).await?;
        tracing::info!("there is another access token; connecting again");
        Err(Leave::Hands)
    }

    pub(super) async fn emit(&self, event: CloudEvent) -> Result<(), Leave> {
        self.or_stop(self.events.send(event))
            .await?
            .map_err(|_| Leave::Stop)
    }

    async fn or_stop<T>(&self, work: impl Future<Output = T>) -> Result<T, Leave> {
        tokio::select! {
            done = work => Ok(done),
            () = self.shared.stopping() => Err(Leave::Stop),
        }
    }

    /// Also leaves when the token may be another user's.
    async fn or_leave<T>(
        &self,
        epochs: &mut watch::Receiver<u64>,
        work: impl Future<Output = T>,
    ) -> Result<T, Leave> {
        tokio::select! {
            done = self.or_stop(work) => done,
            Ok(()) = epochs.changed() => Err(Leave::Hands),
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
