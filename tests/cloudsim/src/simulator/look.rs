//! What tests see, and how they wait for it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use super::{Handle, find};
use crate::engine::{CallReport, CallState};
use crate::gateway::Leg;
use crate::journal::{LogEntry, Violation};

/// A user, and whether a phone is there for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserStatus {
    /// `U`.
    pub id: String,
    /// The user's name.
    pub name: String,
    /// Whether a client is connected and hears of the user's conversations.
    pub online: bool,
}

impl Handle {
    /// All users.
    pub fn users(&self) -> Vec<UserStatus> {
        let users: Vec<(String, String)> = self.cloud.with(|world| {
            world
                .directory
                .users()
                .map(|user| (user.id.clone(), user.spec.name.clone()))
                .collect()
        });
        users
            .into_iter()
            .map(|(id, name)| {
                let online = self.is_online(&id);
                UserStatus { id, name, online }
            })
            .collect()
    }

    /// A call as it is, with its media.
    pub async fn call(&self, id: &str) -> Option<CallReport> {
        let mut report = self.report(id)?;
        if let Some(leg) = self.leg(id) {
            report.leg = Some(leg.report().await);
        }
        Some(report)
    }

    /// All calls, oldest first, without their media.
    pub fn calls(&self) -> Vec<CallReport> {
        self.cloud.with(|world| {
            let mut ids: Vec<(Duration, String)> = world
                .engine
                .conversations()
                .map(|conversation| (conversation.started, conversation.id.clone()))
                .collect();
            ids.sort();
            ids.iter()
                .filter_map(|(_, id)| world.engine.report(id))
                .collect()
        })
    }

    /// Waits until a call is as wanted, looking at each change, and gives its report.
    ///
    /// # Errors
    /// When the time is over; the error tells how the call was then.
    pub async fn wait_for(
        &self,
        id: &str,
        wanted: impl Fn(&CallReport) -> bool,
        timeout: Duration,
    ) -> Result<CallReport> {
        self.wait_until(timeout, || self.report(id).filter(|report| wanted(report)))
            .await
            .with_context(|| match self.report(id) {
                Some(report) => {
                    format!("call {id} is {}: {:?}", report.state.as_str(), report.marks)
                }
                None => format!("there is no call {id}"),
            })?;
        self.call(id)
            .await
            .ok_or_else(|| anyhow!("there is no call {id}"))
    }

    /// Waits until a call has reached a state, now or before.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait_for_state(
        &self,
        id: &str,
        state: CallState,
        timeout: Duration,
    ) -> Result<CallReport> {
        self.wait_for(id, |report| report.reached(state), timeout)
            .await
    }

    /// Waits until something happened on a call (see [`crate::engine::Mark`]), now or before.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait_for_mark(
        &self,
        id: &str,
        mark: &str,
        timeout: Duration,
    ) -> Result<CallReport> {
        self.wait_for(id, |report| report.at(mark).is_some(), timeout)
            .await
    }

    /// Waits for a call that a phone places: the first that is not among `known`.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait_for_new_call(&self, known: &[String], timeout: Duration) -> Result<String> {
        self.wait_until(timeout, || {
            self.calls()
                .into_iter()
                .map(|call| call.conversation_id)
                .find(|id| !known.contains(id))
        })
        .await
        .context("no new call")
    }

    /// Waits until a client of the user is connected and hears of the user's conversations.
    ///
    /// # Errors
    /// When the time is over, or there is no such user.
    pub async fn wait_until_online(&self, who: &str, timeout: Duration) -> Result<()> {
        let user = self.cloud.with(|world| find(world, who))?;
        self.wait_until(timeout, || self.is_online(&user).then_some(()))
            .await
            .with_context(|| format!("user {who:?} is not online"))
    }

    /// Whether a client of the user (by id) is connected and hears of the user's conversations.
    pub fn is_online(&self, user: &str) -> bool {
        let topic = format!("v2.users.{user}.conversations");
        self.cloud.with(|world| {
            world
                .channels
                .subscribers(world.now, &topic)
                .iter()
                .any(|channel| {
                    world
                        .sockets
                        .values()
                        .any(|socket| socket.channel == channel.id && socket.full.is_some())
                })
        })
    }

    /// What the far end of a call heard: 48 kHz mono.
    pub async fn recording(&self, id: &str) -> Vec<i16> {
        match self.leg(id) {
            Some(leg) => leg.recording().await,
            None => Vec::new(),
        }
    }

    /// The media of a call, once there is some.
    pub fn leg(&self, id: &str) -> Option<Leg> {
        let session = self
            .cloud
            .with(|world| world.engine.session_of(id).map(str::to_owned))?;
        self.cloud.leg(&session)
    }

    /// Waits until a call has media.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait_for_leg(&self, id: &str, timeout: Duration) -> Result<Leg> {
        self.wait_until(timeout, || self.leg(id))
            .await
            .with_context(|| format!("call {id} has no media"))
    }

    /// The rules that were broken.
    pub fn violations(&self) -> Vec<Violation> {
        self.cloud.with(|world| world.journal.violations().to_vec())
    }

    /// Forgets the broken rules, and gives them.
    pub fn clear_violations(&self) -> Vec<Violation> {
        self.cloud.with(|world| world.journal.clear_violations())
    }

    /// The log after this sequence number.
    pub fn log_since(&self, sequence: u64) -> Vec<LogEntry> {
        self.cloud
            .with(|world| world.journal.since(sequence).cloned().collect())
    }

    /// The whole log.
    pub fn log(&self) -> Vec<LogEntry> {
        self.log_since(0)
    }

    /// Waits for the first log line after `sequence` that is as wanted.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn wait_for_log(
        &self,
        sequence: u64,
        wanted: impl Fn(&LogEntry) -> bool,
        timeout: Duration,
    ) -> Result<LogEntry> {
        self.wait_until(timeout, || {
            self.log_since(sequence).into_iter().find(&wanted)
        })
        .await
        .context("no such line in the simulator's log")
    }

    pub(super) fn report(&self, id: &str) -> Option<CallReport> {
        self.cloud.with(|world| world.engine.report(id))
    }

    /// Looks again after each change until there is something or the time is over.
    pub(super) async fn wait_until<T>(
        &self,
        timeout: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut changes = self.cloud.changes();
        let found = tokio::time::timeout(timeout, async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = look() {
                    return Ok(found);
                }
                changes.changed().await?;
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => bail!("waited {timeout:?} in vain"),
        }
    }
}
