//! Faults, let loose.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Handle, find};
use crate::faults::Fault;
use crate::journal::LogKind;
use crate::tls::TlsFault;
use crate::world::World;

impl Handle {
    /// Lets something go wrong.
    ///
    /// # Errors
    /// If the fault names a user or a token that does not exist.
    pub fn inject(&self, fault: Fault) -> Result<()> {
        if let Fault::Tls { tls } = fault {
            self.set_tls_fault(tls);
            return Ok(());
        }
        self.cloud.with(|world| {
            world.log(LogKind::Control, None, format!("fault: {fault:?}"));
            inject(world, fault)
        })
    }

    /// Shows another certificate in new handshakes.
    pub fn set_tls_fault(&self, fault: TlsFault) {
        self.tls.set_fault(fault);
        self.cloud
            .with(|world| world.log(LogKind::Control, None, format!("TLS fault: {fault:?}")));
    }

    /// Forgets the faults that have not come about yet.
    pub fn clear_faults(&self) {
        self.tls.set_fault(TlsFault::None);
        self.cloud.with(|world| world.faults.clear());
    }
}

fn inject(world: &mut World, fault: Fault) -> Result<()> {
    match fault {
        Fault::Rest(mut fault) => {
            if !fault.user.is_empty() {
                fault.user = find(world, &fault.user)?;
            }
            world.faults.add_rest(fault);
        }
        Fault::Iq(mut fault) => {
            if !fault.user.is_empty() {
                fault.user = find(world, &fault.user)?;
            }
            world.faults.add_iq(fault);
        }
        Fault::SubscriptionsExpiring { user } => each_socket(world, &user, |world, socket| {
            world.system_node(socket, "streaming-subscriptions-expiring");
        })?,
        Fault::ExpireTokens { user, seconds } => {
            let user = find(world, &user)?;
            let at = world.now + Duration::from_secs(seconds);
            world.directory.expire_all(at, &user);
        }
        Fault::RevokeRefreshTokens { user } => {
            let user = find(world, &user)?;
            world.logins.revoke_refresh(&user);
        }
        Fault::Sasl { user, condition } => {
            let user = find(world, &user)?;
            world.faults.add_sasl(user, condition);
        }
        Fault::ExpireToken { token } => {
            if !world.directory.expire(world.now, &token) {
                bail!("there is no such token");
            }
        }
        Fault::RevokeToken { token } => {
            if !world.directory.revoke(&token) {
                bail!("there is no such token");
            }
        }
        Fault::CloseChannels { user } => {
            let user = find(world, &user)?;
            let channels: Vec<String> = world
                .channels
                .of(&user)
                .map(|channel| channel.id.clone())
                .collect();
            for channel in channels {
                world.channels.remove(&channel);
            }
            for socket in world.sockets_of(&user) {
                world.hang_up(socket);
            }
        }
        Fault::Silence { user, silent } => {
            let user = find(world, &user)?;
            for socket in world
                .sockets
                .values_mut()
                .filter(|socket| socket.user == user)
            {
                socket.silent = silent;
            }
        }
        Fault::Raw { user, frame } => {
            each_socket(world, &user, |world, socket| {
                world.send_raw(socket, frame.clone());
            })?;
        }
        Fault::Malformed { user } => {
            each_socket(world, &user, |world, socket| {
                world.send(
                    socket,
                    "<message xmlns='jabber:client'><broken></message>".into(),
                );
            })?;
        }
        Fault::DropSockets { user } => each_socket(world, &user, World::drop_socket)?,
        Fault::CloseSockets { user } => each_socket(world, &user, World::hang_up)?,
        Fault::Transfer { user } => each_socket(world, &user, World::transfer)?,
        Fault::NoLongerSubscribed { user } => each_socket(world, &user, |world, socket| {
            world.system_node(socket, "no_longer_subscribed");
        })?,
        Fault::DuplicateId { user } => each_socket(world, &user, |world, socket| {
            world.system_node(socket, "duplicate_id");
        })?,
        Fault::Ping { user } => each_socket(world, &user, World::ping)?,
        // The certificate is no part of the world; its owner takes this one.
        Fault::Tls { .. } => {}
    }
    Ok(())
}

fn each_socket(world: &mut World, who: &str, act: impl Fn(&mut World, u64)) -> Result<()> {
    let user = find(world, who)?;
    for socket in world.sockets_of(&user) {
        act(world, socket);
    }
    Ok(())
}
