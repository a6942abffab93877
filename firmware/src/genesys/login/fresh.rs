//! Renewing the tokens ahead of their end, and once when the cloud refuses them (genesys-protocol 1.4).

use super::wire::{self, REQUEST, Tokens};
use super::{Held, Login, LoginError, LoginNeed, LoginState, flow, wall_clock};
use crate::device::Private;
use crate::genesys::rest::RestError;
use std::time::Duration;
use tokio::time::Instant;

/// Tokens are renewed this long before their end: long enough for an outage of the login host.
const MAX_MARGIN: Duration = Duration::from_mins(10);
/// One that cannot be renewed is announced this long before.
const NOTICE: Duration = Duration::from_mins(10);
/// First wait after a renewal that did not reach the login host; doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// How often the state folder is looked at: a person runs `offhook login`, so seconds are soon enough.
const LOOK: Duration = Duration::from_secs(5);
/// The login host answers within this time or not at all, as any REST host (2.1).
const TIMEOUT: Duration = Duration::from_secs(30);

/// What came of an attempt to replace a refused token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Renewal {
    /// There is another token.
    Another,
    /// There is none: a person must act.
    None,
    /// The login host cannot be reached; it may work later.
    Later(RestError),
}

impl Held {
    /// Plans for tokens that live so long from now on.
    pub(super) fn schedule(&mut self, life: Option<Duration>) {
        let now = Instant::now();
        let margin = |life: Duration| {
            if self.refresh.is_some() {
                MAX_MARGIN.min(life / 4)
            } else {
                NOTICE.min(life / 2)
            }
        };
        self.expires = life.map(|life| now + life);
        self.due = life.map(|life| now + life - margin(life));
        self.troubles = 0;
        self.refused = false;
    }

    pub(super) fn state(&self) -> LoginState {
        LoginState::LoggedIn {
            renews: self.refresh.is_some(),
        }
    }
}

impl Login {
    /// Renews the tokens ahead of their end, for ever, and notices what other programs do to the stored login.
    pub(crate) async fn keep_fresh(&self) {
        let mut epochs = self.epochs();
        loop {
            let due = self.tokens().due;
            let until = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until => {
                    let login = self.clone();
                    // In a task of its own: a phone that stops meanwhile keeps the new tokens.
                    drop(tokio::spawn(async move { login.renew_ahead().await }).await);
                }
                _ = epochs.changed() => {}
                () = tokio::time::sleep(LOOK) => self.reread(),
            }
        }
    }

    /// The cloud has refused `used`: gets another token, if there is a way. However many ask at once, one request is
    /// made; and if whoever asks goes away meanwhile, the new tokens are kept all the same.
    pub(crate) async fn renew(&self, used: &Private) -> Renewal {
        let (login, used) = (self.clone(), used.clone());
        let renewing = tokio::spawn(async move { login.renew_now(&used).await });
        renewing.await.unwrap_or(Renewal::None)
    }

    async fn renew_now(&self, used: &Private) -> Renewal {
        let _one = self.inner.refreshing.lock().await;
        self.reread();
        let refresh = {
            let mut tokens = self.tokens();
            if tokens.access.as_ref() != Some(used) {
                return match tokens.access {
                    Some(_) if !tokens.refused => Renewal::Another,
                    _ => Renewal::None,
                };
            }
            if tokens.refused {
                return Renewal::None;
            }
            if tokens.refresh.is_none() {
                tokens.refused = true;
                tokens.due = None;
            }
            tokens.refresh.clone()
        };
        let Some(refresh) = refresh else {
            self.tell(LoginState::Needed(LoginNeed::Refused));
            return Renewal::None;
        };
        match self.refresh(&refresh).await {
            Ok(()) => Renewal::Another,
            Err(LoginError::Unavailable(error)) => Renewal::Later(error),
            Err(LoginError::Reply { detail }) => Renewal::Later(RestError::Body {
                request: REQUEST.to_owned(),
                detail,
            }),
            Err(error) => {
                tracing::error!(%error, "the refused access token cannot be renewed");
                self.refused(used);
                Renewal::None
            }
        }
    }

    /// The cloud refused `used` although it is new: only a person can help.
    pub(crate) fn refused(&self, used: &Private) {
        {
            let mut tokens = self.tokens();
            if tokens.access.as_ref() != Some(used) {
                return;
            }
            tokens.refused = true;
            tokens.due = None;
        }
        self.tell(LoginState::Needed(LoginNeed::Refused));
    }

    async fn renew_ahead(&self) {
        let _one = self.inner.refreshing.lock().await;
        self.reread();
        let (refresh, expires) = {
            let tokens = self.tokens();
            if tokens.due.is_none_or(|due| due > Instant::now()) {
                return;
            }
            (tokens.refresh.clone(), tokens.expires)
        };
        let left = expires.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        });
        let Some(refresh) = refresh else {
            self.tokens().due = None;
            tracing::warn!(
                left_s = left.as_secs(),
                "the login ends soon and cannot be renewed: log in again"
            );
            self.tell(LoginState::Needed(LoginNeed::Expiring { within: left }));
            return;
        };
        match self.refresh(&refresh).await {
            Ok(()) => {}
            Err(LoginError::Refused { .. }) => {
                // The access token works on until its end.
                let mut tokens = self.tokens();
                tokens.refresh = None;
                tokens.due = None;
                drop(tokens);
                self.tell(LoginState::Needed(LoginNeed::Expiring { within: left }));
            }
            Err(error) => self.try_later(&error),
        }
    }

    fn try_later(&self, error: &LoginError) {
        let named = match error {
            LoginError::Unavailable(RestError::Status { retry_after, .. }) => *retry_after,
            _ => None,
        };
        let mut tokens = self.tokens();
        let wait =
            named.unwrap_or((FIRST_RETRY * (1 << tokens.troubles.min(16))).min(LONGEST_RETRY));
        tokens.troubles += 1;
        tokens.due = Some(Instant::now() + wait);
        drop(tokens);
        tracing::warn!(%error, wait_s = wait.as_secs(), "the login cannot be renewed now; the present token is kept");
    }

    /// One refresh. The newest refresh token is always the one that is kept.
    async fn refresh(&self, token: &Private) -> Result<(), LoginError> {
        let client = self.inner.client.as_ref().map_err(Clone::clone)?;
        let fresh = match self.ask(&flow::refresh(client, token)).await {
            Ok(fresh) => fresh,
            Err(error) => {
                if matches!(error, LoginError::Refused { .. }) {
                    tracing::error!(%error, "the login host does not renew the login");
                }
                return Err(error);
            }
        };
        let epoch = *self.inner.epoch.borrow();
        let saved = self.inner.store.update(|stored| {
            // Somebody else may have logged in while we asked.
            if stored.refresh_token.as_ref() == Some(token) {
                stored.keep(&fresh, wall_clock());
            }
        });
        if let Err(error) = saved {
            tracing::error!(%error, "the renewed login cannot be written to the state folder; it will not survive a restart");
        }
        let state = {
            let mut tokens = self.tokens();
            if tokens.refresh.as_ref() != Some(token) {
                return Ok(());
            }
            tokens.access = Some(fresh.access);
            if fresh.refresh.is_some() {
                tokens.refresh = fresh.refresh;
            }
            tokens.schedule(fresh.life);
            tokens.state()
        };
        tracing::info!(
            epoch,
            life_s = fresh.life.map(|life| life.as_secs()),
            "the login was renewed"
        );
        self.tell(state);
        Ok(())
    }

    pub(super) async fn ask(&self, request: &flow::TokenRequest) -> Result<Tokens, LoginError> {
        let asking = self.inner.transport.token(request);
        let reply = tokio::time::timeout(TIMEOUT, asking)
            .await
            .map_err(|_| {
                LoginError::Unavailable(RestError::Timeout {
                    request: REQUEST.to_owned(),
                    after: TIMEOUT,
                })
            })?
            .map_err(LoginError::Unavailable)?;
        wire::read(&reply)
    }
}
