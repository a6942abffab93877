//! The simulator as tests use it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::cloud::Cloud;
use crate::engine::{CallReport, CallState, ParticipantPatch};
use crate::faults::Fault;
use crate::gateway::{Direction, FarEndSource, Leg, LegConfig};
use crate::journal::{LogEntry, LogKind, Violation};
use crate::spec::{InboundSpec, Options, OutboundSpec, SimUser, UserSpec};
use crate::tls::{Tls, TlsFault};
use crate::world::World;
use crate::{server, stun};

/// How long open connections may take to end when the simulator stops.
const GRACE: Duration = Duration::from_secs(2);

/// A running simulator; dropping it stops everything. All verbs are on [`Handle`].
#[must_use = "dropping it stops the simulator"]
pub struct Simulator {
    handle: Handle,
    servers: Vec<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

/// A way to command a running simulator. Cheap to clone; useless once the simulator is dropped.
#[derive(Clone)]
pub struct Handle {
    cloud: Arc<Cloud>,
    tls: Arc<Tls>,
    address: SocketAddr,
    control: Option<SocketAddr>,
    stun: SocketAddr,
}

impl Simulator {
    /// Starts a simulator in this process, on its own ports.
    ///
    /// # Errors
    /// If a port is taken, or the folder for the CA cannot be used.
    pub async fn start(options: Options) -> Result<Self> {
        let (dir, temporary) = match &options.state_dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let dir = tempfile::tempdir().context("make a temporary folder for the CA")?;
                (dir.path().to_owned(), Some(dir))
            }
        };
        let tls = Arc::new(Tls::open(&dir, &options.environment)?);
        let tcp = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("listen on {}", options.listen))?;
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(SocketAddr::new(address.ip(), 0))
            .await
            .with_context(|| format!("listen for STUN on {}", address.ip()))?;
        let stun = reachable(udp.local_addr()?);
        let control_port = match options.control {
            Some(wanted) => {
                let listener = TcpListener::bind(wanted)
                    .await
                    .with_context(|| format!("listen on {wanted} for the control API"))?;
                Some(listener)
            }
            None => None,
        };
        let control = control_port
            .as_ref()
            .map(TcpListener::local_addr)
            .transpose()?;
        let authority = reachable(address).to_string();
        let cloud = Cloud::new(World::new(options, authority, stun));
        let handle = Handle {
            cloud: cloud.clone(),
            tls: tls.clone(),
            address,
            control,
            stun,
        };
        cloud.spawn(async move {
            if let Err(error) = stun::serve(udp).await {
                tracing::error!("the STUN server ended: {error}");
            }
        });
        let acceptor = TlsAcceptor::from(tls.server_config()?);
        let mut servers = vec![server::serve_tls(&handle, &cloud, tcp, acceptor)?];
        servers
            .extend(control_port.map(|listener| server::serve_control(&handle, &cloud, listener)));
        Ok(Self {
            handle,
            servers,
            _temporary: temporary,
        })
    }

    /// Stops, and waits until open connections have ended (2 s at most).
    pub async fn stop(mut self) {
        self.handle.cloud.stop();
        for server in self.servers.drain(..) {
            // Whoever does not end is cut off by the drop.
            let _ = tokio::time::timeout(GRACE, server).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.handle.cloud.stop();
    }
}

// The simulator owns what its handle commands, like a smart pointer owns its value.
impl Deref for Simulator {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Handle {
    /// `https://HOST:PORT`: the environment to give to a client.
    pub fn rest_url(&self) -> String {
        format!("https://{}", reachable(self.address))
    }

    /// `wss://HOST:PORT`: the streaming host to give to a client.
    pub fn streaming_url(&self) -> String {
        format!("wss://{}", reachable(self.address))
    }

    /// `http://HOST:PORT` of the control port, if there is one.
    pub fn control_url(&self) -> Option<String> {
        self.control
            .map(|address| format!("http://{}", reachable(address)))
    }

    /// Where HTTPS and WSS listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The STUN server.
    pub fn stun_address(&self) -> SocketAddr {
        self.stun
    }

    /// The CA certificate to trust.
    pub fn ca_pem(&self) -> &str {
        self.tls.ca_pem()
    }

    /// The file with the CA certificate.
    pub fn ca_pem_path(&self) -> PathBuf {
        self.tls.ca_path().to_owned()
    }

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
        self.cloud
            .with(|world| world.log(LogKind::Control, None, format!("{id}: far end {source}")));
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
        let user = self
            .report(id)
            .ok_or_else(|| anyhow!("no call {id}"))?
            .user_id;
        self.cloud.with(|world| {
            let resource = world
                .newest_resource(&user)
                .ok_or_else(|| anyhow!("no client is connected to re-invite"))?;
            world.engine.reinvite(id, &resource)?;
            world.log(LogKind::Control, Some(&user), format!("{id}: re-invite"));
            Ok(())
        })
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

    /// All users.
    pub fn users(&self) -> Vec<(String, String, bool)> {
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
                (id, name, online)
            })
            .collect()
    }

    pub(crate) fn cloud(&self) -> &Arc<Cloud> {
        &self.cloud
    }

    fn report(&self, id: &str) -> Option<CallReport> {
        self.cloud.with(|world| world.engine.report(id))
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

    /// Looks again after each change until there is something or the time is over.
    async fn wait_until<T>(
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

/// An address to connect to, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    } else {
        address
    }
}

fn find(world: &World, who: &str) -> Result<String> {
    match world.directory.find(who) {
        Some(user) => Ok(user.id.clone()),
        None if who.is_empty() => bail!("say which user: there is none, or more than one"),
        None => bail!("there is no user {who:?}"),
    }
}

fn inject(world: &mut World, fault: Fault) -> Result<()> {
    match fault {
        Fault::Rest(fault) => world.faults.add_rest(fault),
        Fault::Iq(fault) => world.faults.add_iq(fault),
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
                world.send_raw(socket, frame.clone())
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

/// Reads a path for messages.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
