//! Users, and what can be done with a call.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use super::{Handle, find};
use crate::engine::{CallState, ParticipantPatch};
use crate::gateway::{Direction, FarEndSource, LegConfig};
use crate::journal::LogKind;
use crate::oauth::{LoginScript, OAuthClient};
use crate::spec::{Contact, InboundSpec, OutboundSpec, SimUser, UserSpec};
use crate::world::World;

impl Handle {
    /// Makes a user with a station and a token.
    pub fn add_user(&self, spec: UserSpec) -> SimUser {
        self.cloud.with(|world| {
            let user = world.directory.add(world.now, spec);
            let text = format!("user {} ({})", user.name, user.bare_jid);
            world.log(LogKind::Control, Some(&user.user_id), text);
            user
        })
    }

    /// Another token for a user.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn issue_token(&self, who: &str, life: Duration) -> Result<String> {
        self.cloud.with(|world| {
            let user = find(world, who)?;
            Ok(world.directory.issue(world.now, &user, life))
        })
    }

    /// Associates the user's station, or takes it away, and tells the user's clients.
    ///
    /// # Errors
    /// If there is no such user.
    pub fn associate_station(&self, who: &str, associated: bool) -> Result<()> {
        self.cloud.with(|world| {
            let id = find(world, who)?;
            let now = world.now;
            let Some(user) = world.directory.user_mut(&id) else {
                bail!("no user {who:?}")
            };
            user.associated = associated;
            user.associated_since = now;
            world.publish_station(
                &id,
                if associated {
                    "Associated"
                } else {
                    "Disassociated"
                },
            );
            Ok(())
        })
    }

    /// Rings a phone, and gives the conversation's id.
    ///
    /// # Errors
    /// If there is no such user, or the user has no station.
    pub fn call_user(&self, spec: &InboundSpec) -> Result<String> {
        self.cloud.with(|world| {
            let user = find(world, &spec.to)?;
            let facts = world
                .facts(&user)
                .ok_or_else(|| anyhow!("no user {:?}", spec.to))?;
            let id = world.engine.call_user(world.now, &facts, spec)?;
            let text = format!("call {id} from {} to {}", spec.from_address, facts.name);
            world.log(LogKind::Control, Some(&user), text);
            Ok(id)
        })
    }

    /// The leg of a call for which none is described.
    pub fn default_leg(&self) -> LegConfig {
        self.cloud.with(|world| world.options.default_leg.clone())
    }

    /// How calls that phones place behave from now on.
    pub fn outbound_defaults(&self, spec: OutboundSpec) {
        self.cloud.with(|world| world.outbound = spec);
    }

    /// The far end of a call a phone placed answers.
    ///
    /// # Errors
    /// If there is no such call, or nothing to answer.
    pub fn answer_far_end(&self, id: &str) -> Result<()> {
        self.command(id, "far end answers", |world| {
            world.engine.answer_far_end(world.now, id)
        })
    }

    /// The far end hangs up, refuses, or gives up.
    ///
    /// # Errors
    /// If there is no such call, or it is over.
    pub fn hang_up_far_end(&self, id: &str) -> Result<()> {
        self.command(id, "far end hangs up", |world| {
            world.engine.hang_up_far_end(world.now, id)
        })
    }

    /// Takes a call back that still rings.
    ///
    /// # Errors
    /// If it does not ring any more.
    pub fn retract(&self, id: &str) -> Result<()> {
        let report = self.report(id).ok_or_else(|| anyhow!("no call {id}"))?;
        if report.state != CallState::Alerting {
            bail!(
                "call {id} is {}; only a call that rings can be retracted",
                report.state.as_str()
            );
        }
        self.hang_up_far_end(id)
    }

    /// Holds or resumes the phone's call, as another client of the user would.
    ///
    /// # Errors
    /// If there is no such call, or it is not connected.
    pub fn hold(&self, id: &str, held: bool) -> Result<()> {
        self.patch(
            id,
            ParticipantPatch {
                held: Some(held),
                ..ParticipantPatch::default()
            },
        )
    }

    /// Mutes or unmutes the phone's call, as another client of the user would.
    ///
    /// # Errors
    /// If there is no such call, or it is not connected.
    pub fn mute(&self, id: &str, muted: bool) -> Result<()> {
        self.patch(
            id,
            ParticipantPatch {
                muted: Some(muted),
                ..ParticipantPatch::default()
            },
        )
    }

    /// Exchanges the far end in mid-call.
    ///
    /// # Errors
    /// If there is no leg, or the source cannot be used.
    pub async fn set_far_end(&self, id: &str, source: FarEndSource) -> Result<()> {
        let leg = self
            .leg(id)
            .ok_or_else(|| anyhow!("call {id} has no media"))?;
        self.cloud.with(|world| {
            world.log(LogKind::Control, None, format!("{id}: far end {source}"));
            world.engine.keep_voice(id, &source);
        });
        leg.set_far_end(source).await
    }

    /// Offers again on the running session.
    ///
    /// # Errors
    /// If there is none, or it speaks Jingle.
    pub fn reoffer(&self, id: &str, ice_restart: bool, direction: Direction) -> Result<()> {
        self.command(id, "new offer", |world| {
            world.engine.reoffer(id, ice_restart, direction)
        })
    }

    /// Replaces the session by a new one (genesys-protocol 5.7).
    ///
    /// # Errors
    /// If there is none, or nobody to offer to.
    pub fn reinvite(&self, id: &str) -> Result<()> {
        self.reinvite_with(id, false)
    }

    /// The same, with a propose before the offer if wanted.
    ///
    /// # Errors
    /// If there is none, or nobody to offer to.
    pub fn reinvite_with(&self, id: &str, propose: bool) -> Result<()> {
        let user = self
            .report(id)
            .ok_or_else(|| anyhow!("no call {id}"))?
            .user_id;
        self.cloud.with(|world| {
            let resource = world
                .newest_resource(&user)
                .ok_or_else(|| anyhow!("no client is connected to re-invite"))?;
            world.engine.reinvite(world.now, id, &resource, propose)?;
            world.log(LogKind::Control, Some(&user), format!("{id}: re-invite"));
            Ok(())
        })
    }

    /// A party without a phone, by participant or address, answers.
    ///
    /// # Errors
    /// If there is none, or it does not ring.
    pub fn answer_party(&self, id: &str, party: &str) -> Result<()> {
        let party = self.party(id, party)?;
        self.command(id, "a party answers", |world| {
            world.engine.answer_party(world.now, id, &party)
        })
    }

    /// A party, by participant or address, hangs up or refuses.
    ///
    /// # Errors
    /// If there is none, or it has left.
    pub fn hang_up_party(&self, id: &str, party: &str) -> Result<()> {
        let party = self.party(id, party)?;
        self.command(id, "a party hangs up", |world| {
            world.engine.hang_up_party(world.now, id, &party, "client")
        })
    }

    fn party(&self, id: &str, party: &str) -> Result<String> {
        self.cloud.with(|world| {
            let conversation = world.engine.conversation(id);
            let conversation = conversation.ok_or_else(|| anyhow!("no call {id}"))?;
            let mut all = conversation.participants.iter().rev();
            let found = all.find(|one| one.id == party || one.address.ends_with(party));
            Ok(found
                .ok_or_else(|| anyhow!("no party {party:?} in call {id}"))?
                .id
                .clone())
        })
    }

    /// Somebody outside, as calls and transfers to the address find them from now on.
    pub fn add_contact(&self, contact: Contact) {
        self.cloud.with(|world| {
            world
                .contacts
                .retain(|known| known.address != contact.address);
            world.contacts.push(contact);
        });
    }

    /// Makes an OAuth client, or changes it.
    pub fn add_oauth_client(&self, client: OAuthClient) {
        self.cloud.with(|world| world.logins.add(client));
    }

    /// What visits of the authorize page come to from now on.
    pub fn script_login(&self, script: LoginScript) {
        self.cloud.with(|world| {
            world.log(LogKind::Control, None, format!("logins: {script:?}"));
            world.logins.script = script;
        });
    }

    fn patch(&self, id: &str, patch: ParticipantPatch) -> Result<()> {
        let own = self
            .report(id)
            .ok_or_else(|| anyhow!("no call {id}"))?
            .participant_id;
        self.command(id, &format!("{patch:?}"), |world| {
            world.engine.patch(world.now, id, &own, patch)
        })
    }

    fn command<E: std::error::Error + Send + Sync + 'static>(
        &self,
        id: &str,
        what: &str,
        act: impl FnOnce(&mut World) -> Result<(), E>,
    ) -> Result<()> {
        self.cloud.with(|world| {
            world.log(LogKind::Control, None, format!("{id}: {what}"));
            act(world)
        })?;
        Ok(())
    }
}
