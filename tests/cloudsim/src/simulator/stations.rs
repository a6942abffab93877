//! Users' stations and what hangs on them: line appearances, persistent connections.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde::Serialize;

use super::{Handle, find};
use crate::engine::PersistentState;
use crate::gateway::{LegConfig, LegReport};
use crate::journal::LogKind;
use crate::spec::{Form, UserSpec};
use crate::world::World;

/// A session of a user that is not over.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionReport {
    /// `S`.
    pub session_id: String,
    /// `C` it serves now, or served last.
    pub conversation_id: String,
    /// The full JID that has it.
    pub owner: Option<String>,
    /// It serves later calls too.
    pub shared: bool,
    /// It stays without a call.
    pub persistent: bool,
    /// Its media came up.
    pub up: bool,
    /// Proposes sent.
    pub proposes: u32,
    /// The media, once there is a leg.
    pub leg: Option<LegReport>,
}

impl Handle {
    /// Changes a user and the user's station, as an administrator would. What clients know of it
    /// is theirs to learn: see [`Self::tell_station`].
    ///
    /// # Errors
    /// If there is no such user.
    pub fn change_user(&self, who: &str, change: impl FnOnce(&mut UserSpec)) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let user = world
                .directory
                .user_mut(&id)
                .ok_or_else(|| anyhow!("no user {who:?}"))?;
            change(&mut user.spec);
            let text = format!("user changed: {:?}", user.spec);
            world.log(LogKind::Control, Some(&id), text);
            Ok(())
        })
    }

    /// How a user and the user's station are set up.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn user_spec(&self, who: &str) -> Result<UserSpec> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let user = world.directory.user(&id);
            Ok(user.ok_or_else(|| anyhow!("no user {who:?}"))?.spec.clone())
        })
    }

    /// Tells a user's clients about the station: `Associated`, `Disassociated`,
    /// `WebRTCMigration`, or anything else (genesys-protocol 4.5).
    ///
    /// # Errors
    /// If there is no such user.
    pub fn tell_station(&self, who: &str, action: &str) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            world.publish_station(&id, action);
            Ok(())
        })
    }

    /// Somebody else takes the user's first station, or gives it back (`None`).
    ///
    /// # Errors
    /// If there is no such user.
    pub fn take_station(&self, who: &str, by: Option<&str>) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let by = by.map(|by| find(world, by)).transpose()?;
            let gone = by.is_some();
            let user = world
                .directory
                .user_mut(&id)
                .ok_or_else(|| anyhow!("no user {who:?}"))?;
            user.taken_by = by;
            if gone && std::mem::take(&mut user.associated) {
                world.publish_station(&id, "Disassociated");
            }
            Ok(())
        })
    }

    /// The connection that leads in alerting (genesys-protocol 7.1).
    ///
    /// # Errors
    /// If there is no such user.
    pub fn alerting_leader(&self, who: &str) -> Result<Option<String>> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let user = world.directory.user(&id);
            Ok(user.and_then(|user| user.alerting_leader.clone()))
        })
    }

    /// Another of a user's clients takes the lead in alerting (genesys-protocol 7.1); `None`:
    /// some client nobody knows.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn lead_alerting(&self, who: &str, connection: Option<String>) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let connection = connection.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            world.lead_alerting(&id, Some(connection));
            Ok(())
        })
    }

    /// Proposes a persistent connection without a call (`inin-priv-answer-mode="Auto"`), and
    /// gives its session.
    ///
    /// # Errors
    /// If there is no such user, no station, or a shared session already.
    pub fn set_up_eagerly(&self, who: &str, form: Form, leg: LegConfig) -> Result<String> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            eager(world, &id, form, leg)
        })
    }

    /// Loses a user's shared session: told by a terminate, or `silently` without a word.
    ///
    /// # Errors
    /// If there is none that is up.
    pub fn lose_shared(&self, who: &str, silently: bool) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            world.log(LogKind::Control, Some(&id), "the shared session is lost");
            Ok(world.engine.lose_shared(world.now, &id, silently)?)
        })
    }

    /// Tells a user's clients about the persistent connection, true or not.
    ///
    /// # Errors
    /// If there is no such user.
    #[allow(clippy::needless_pass_by_value)] // an event is given away
    pub fn tell_persistent(
        &self,
        who: &str,
        state: PersistentState,
        error: Option<(String, String)>,
    ) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            world.publish_persistent(&id, state, error.as_ref());
            Ok(())
        })
    }

    /// The sessions of a user that are not over.
    ///
    /// # Errors
    /// If there is no such user.
    pub async fn sessions(&self, who: &str) -> Result<Vec<SessionReport>> {
        let mut sessions: Vec<SessionReport> = self.cloud.with(|world| {
            let id = find(world, who)?;
            let all = world.engine.sessions_of(&id);
            anyhow::Ok(
                all.map(|session| SessionReport {
                    session_id: session.id.clone(),
                    conversation_id: session.conversation.clone(),
                    owner: session.owner.clone(),
                    shared: session.shared,
                    persistent: session.persistent,
                    up: session.is_up(),
                    proposes: session.proposes,
                    leg: None,
                })
                .collect(),
            )
        })?;
        for session in &mut sessions {
            if let Some(leg) = self.cloud.leg(&session.session_id) {
                session.leg = Some(leg.report().await);
            }
        }
        Ok(sessions)
    }

    /// Waits until a user's shared session is up, and gives it.
    ///
    /// # Errors
    /// When the time is over, or there is no such user.
    pub async fn wait_for_shared(&self, who: &str, timeout: Duration) -> Result<String> {
        let user = self.cloud.with(|world| find(world, who))?;
        let up = || {
            self.cloud.with(|world| {
                let mut all = world.engine.sessions_of(&user);
                let found = all.find(|session| session.shared && session.is_up());
                found.map(|session| session.id.clone())
            })
        };
        self.wait_until(timeout, up).await
    }
}

fn eager(world: &mut World, user: &str, form: Form, leg: LegConfig) -> Result<String> {
    let Some(facts) = world.facts(user) else {
        bail!("no user {user:?}")
    };
    Ok(world.engine.set_up_eagerly(world.now, &facts, form, leg)?)
}
