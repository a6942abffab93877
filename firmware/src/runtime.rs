//! The one event loop: joins everything below it, and is the only place that knows them all.
//!
//! It waits on one closed enum, [`Wake`], and never for anything else: whatever takes time (REST, peer connections,
//! opening a sound device) runs in a task of its own and comes back as a wake-up.
mod account;
mod alive;
mod clock;
mod front;
mod levels;
mod network;
mod notices;
mod peers;
mod requests;
mod ringer;
mod sound;
mod start;
mod state;
mod status;
mod update;
mod waits;

pub use start::{RuntimeError, cloud_config, login_config, sound_specs, token_source};

use crate::audio::AudioCommand;
use crate::device::config::Config;
use crate::device::store::Folder;
use crate::device::update::Updater;
use crate::genesys::id::SessionId;
use crate::genesys::rest::{RestError, RestReply};
use crate::genesys::{Cloud, CloudEvent, IceServers, Identity};
use crate::media::PeerEvent;
use crate::panel::{EventLog, Panel, Refusal, Request};
use crate::phone::{self, Phone, PhoneConfig};
use crate::softphone::{
    self, CommandId, CommandReply, RequestId, SdkError, Softphone, SoftphoneConfig,
};
use front::{FrontPanel, Hardware};
use offhook_board::Board;
use offhook_hal::HalEvent;
use peers::Peers;
use sound::Sound;
use start::{dial_plan, start_cloud, start_panel, watch_signals};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use update::start_updater;

/// Wake-ups waiting. When it is full, tasks wait and a finger's event is dropped and counted: a phone that is this far
/// behind is broken.
const WAKES: usize = 1024;
/// Command ids from here on are the local API's; those below are the phone's own.
const FIRST_API_COMMAND: u64 = 1 << 32;
/// How long a stop waits for the far ends to be told.
const FAREWELL: Duration = Duration::from_secs(2);

/// Everything that can wake the phone. Closed.
#[derive(Debug)]
enum Wake {
    /// A finger.
    Hal(Finger),
    /// Keys, hook or lamps do not work, or work again.
    Hardware(Hardware),
    /// The cloud.
    Cloud(CloudEvent),
    /// A REST request's outcome.
    Rest(RequestId, Result<RestReply, RestError>),
    /// A peer connection.
    Peer {
        session: SessionId,
        /// Tells a peer connection from a later one of the same session.
        number: u64,
        event: PeerEvent,
    },
    /// A peer connection is gone; its stream is free again.
    PeerGone(crate::audio::StreamPort),
    /// The local API.
    Api(Request),
    /// The sound device.
    Sound(sound::SoundEvent),
    /// A deadline of `phone` or `softphone`, or time to say that the phone is alive.
    Timer,
    /// Login or stations: a wish of the keys has come to its end.
    Fulfilled(account::Fulfilled),
    /// Updates.
    Update(update::UpdateEvent),
    /// Somebody has looked at the state folder.
    State(state::Look),
    /// The wall clock shows another minute.
    Minute(String),
    /// Ctrl-C or systemd.
    Stop,
}

/// A finger's event, which `Debug` shows without the digit: what is dialed is private.
struct Finger(HalEvent);

impl std::fmt::Debug for Finger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        phone::Input::Hal(self.0).fmt(f)
    }
}

/// Stops a running phone.
#[derive(Clone, Debug)]
pub struct Stopper(mpsc::Sender<Wake>);

impl Stopper {
    /// Asks it to stop; does nothing if it has.
    pub fn stop(&self) {
        // Full or gone: an event loop with that many wake-ups waiting is stuck, or has ended.
        let _ = self.0.try_send(Wake::Stop);
    }
}

/// A phone that is set up and not yet running.
pub struct Runtime {
    config: Config,
    board: Board,
    softphone: Softphone,
    phone: Phone,
    cloud: Cloud,
    peers: Peers,
    sound: Sound,
    events: EventLog,
    panel: Panel,
    front: FrontPanel,
    /// What the display is to show and does not yet.
    undrawn: Option<Box<phone::Screen>>,
    ice: IceServers,
    identity: Option<Identity>,
    account: account::Account,
    connected: bool,
    /// It has been, since the start.
    was_connected: bool,
    life: alive::Life,
    updater: Updater,
    waits: waits::Waits,
    /// Which session the microphone belongs to; its stream may not be there yet.
    talking: Option<SessionId>,
    /// Commands of the local API that wait for their outcome.
    asked: HashMap<CommandId, oneshot::Sender<Result<CommandReply, Refusal>>>,
    next_command: u64,
    hal_events_dropped: Arc<AtomicU64>,
    wakes: mpsc::Receiver<Wake>,
    wake: mpsc::Sender<Wake>,
}

impl Runtime {
    /// Sets everything up: board, API, cloud connection, audio pipeline. Nothing here waits for the network.
    pub async fn start(config: Config, board: Board) -> Result<Self, RuntimeError> {
        let dir = &config.state.dir;
        std::fs::create_dir_all(dir).map_err(|error| RuntimeError::State {
            dir: dir.clone(),
            error,
        })?;

        let (wake, wakes) = mpsc::channel(WAKES);
        let hal_events_dropped = Arc::default();
        let front = FrontPanel::start(&board, &wake, &hal_events_dropped)?;

        let events = EventLog::default();
        let state = Folder::new(dir);
        let updater = start_updater(&config, &state, &wake)?;
        let panel = start_panel(
            &config,
            &state,
            front.virtual_panel(),
            &wake,
            &events,
            &updater,
        )
        .await?;
        let cloud = start_cloud(&config, &state, &wake)?;
        let (sound, ports) = Sound::new(&config, &board, wake.clone())?;
        clock::start(wake.clone());
        state::watch(state, wake.clone());
        watch_signals(wake.clone());

        let phone = Phone::new(PhoneConfig {
            tone_plan: config.phone.tones,
            inter_digit_timeout: Duration::from_millis(config.phone.inter_digit_timeout_ms.into()),
            plan: dial_plan(&config),
            about: vec![
                concat!("Offhook ", env!("CARGO_PKG_VERSION")).to_owned(),
                panel.url(),
            ],
            own_ringer: sound::own_ringer(&config, &board).is_some(),
            ..PhoneConfig::default()
        });
        Ok(Self {
            peers: Peers::new(ports, &config, wake.clone()),
            softphone: Softphone::new(SoftphoneConfig {
                disable_auto_answer: !config.phone.auto_answer,
                report_statistics: config.cloud.report_statistics,
                eager_persistent_connection: config.cloud.eager_persistent_connection,
                take_all_outbound: config.cloud.take_all_outbound,
                ..SoftphoneConfig::default()
            }),
            phone,
            cloud,
            sound,
            events,
            panel,
            front,
            undrawn: None,
            ice: IceServers::default(),
            identity: None,
            account: account::Account::default(),
            connected: false,
            was_connected: false,
            life: alive::Life::new(),
            updater,
            waits: waits::Waits::default(),
            talking: None,
            asked: HashMap::new(),
            next_command: FIRST_API_COMMAND,
            hal_events_dropped,
            wakes,
            wake,
            config,
            board,
        })
    }

    /// Where the page and the local API are.
    pub fn url(&self) -> String {
        self.panel.url()
    }

    /// Stops the phone from another thread or task.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.wake.clone())
    }

    /// Runs until Ctrl-C, SIGTERM or its [`Stopper`].
    pub async fn run(mut self) {
        self.notice(phone::Notice::Connecting);
        self.first_login();
        self.sound.open();
        self.drain();
        self.life.begins(now());
        loop {
            self.drain();
            self.report_life(now());
            let wake = self.next_wake().await;
            tracing::trace!(?wake, "woken");
            if !self.handle(wake) {
                break;
            }
            self.updater.note(self.abilities());
        }
        self.stop().await;
    }

    async fn next_wake(&mut self) -> Wake {
        let deadlines = [
            self.softphone.next_timeout(),
            self.phone.next_timeout(),
            self.life.next_timeout(),
            self.waits.next_timeout(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            wake = self.wakes.recv() => wake.unwrap_or(Wake::Stop),
            () = timer => Wake::Timer,
        }
    }

    /// One wake-up; `false` to stop.
    fn handle(&mut self, wake: Wake) -> bool {
        let now = now();
        match wake {
            Wake::Hal(Finger(event)) => self.phone.handle(now, phone::Input::Hal(event)),
            Wake::Hardware(event) => {
                if self.front.hardware(event) {
                    self.notice(phone::Notice::KeysTrouble);
                } else {
                    self.notice_over(phone::NoticeArea::Keys);
                }
            }
            Wake::Cloud(event) => self.cloud_event(now, event),
            Wake::Rest(request, result) => {
                self.softphone
                    .handle(now, softphone::Input::Rest { request, result });
            }
            Wake::Peer {
                session,
                number,
                event,
            } => self.peer_event(now, session, number, event),
            Wake::PeerGone(port) => self.peers.give_back(port),
            Wake::Api(request) => self.api_request(now, request),
            Wake::Sound(event) => self.sound_event(event),
            Wake::Timer => {
                self.softphone.handle_timeout(now);
                self.phone.handle_timeout(now);
                self.look_at_update(now);
            }
            Wake::Fulfilled(done) => self.fulfilled(now, done),
            Wake::Update(event) => self.update_event(now, event),
            Wake::State(look) => self.state_seen(look),
            Wake::Minute(time) => self.phone.handle(now, phone::Input::Clock(time)),
            Wake::Stop => return false,
        }
        true
    }

    fn cloud_event(&mut self, now: Instant, event: CloudEvent) {
        match &event {
            CloudEvent::Ready(identity) => {
                tracing::info!(station = identity.station.is_some(), "logged in");
                self.identity = Some((**identity).clone());
                self.station_changed(now);
            }
            CloudEvent::StationFetched(station) => {
                if let Some(identity) = &mut self.identity {
                    identity.station.clone_from(station);
                }
                self.station_changed(now);
            }
            CloudEvent::Connected { reconnect, .. } => {
                tracing::info!(reconnect, "streaming is up");
                self.connected = true;
                self.was_connected = true;
                self.notice_over(phone::NoticeArea::Cloud);
            }
            CloudEvent::Disconnected {
                reason,
                reconnecting,
            } => {
                tracing::warn!(reason, reconnecting, "streaming is down");
                self.connected = false;
                self.notice(phone::Notice::Connecting);
            }
            CloudEvent::Failed { error, retry_in } => {
                tracing::error!(%error, ?retry_in, "the cloud cannot be used");
                self.connected = false;
                let clock = std::time::SystemTime::now();
                self.notice(notices::of_cloud(error, clock, network::has_network()));
            }
            CloudEvent::IceServers(ice) => {
                self.ice.clone_from(ice);
                // So that no call waits for a name.
                let servers = ice.servers.clone();
                tokio::spawn(async move { crate::media::prefetch(&servers).await });
            }
            CloudEvent::LoggedIn { .. }
            | CloudEvent::LoginNeeded(_)
            | CloudEvent::LoggedOut
            | CloudEvent::StationChoice(_)
            | CloudEvent::StationTrouble(_) => self.account_event(now, &event),
            CloudEvent::Signal(_)
            | CloudEvent::Conversation(_)
            | CloudEvent::Station(_)
            | CloudEvent::PersistentConnection(_)
            | CloudEvent::AlertingLeader { .. } => {}
        }
        self.softphone.handle(now, softphone::Input::Cloud(event));
    }

    fn station_changed(&mut self, now: Instant) {
        let Some(identity) = &self.identity else {
            return;
        };
        let station = identity.station.clone();
        let input = phone::Input::Identity {
            user: identity.user.name.clone(),
            station: station.as_ref().map(|station| station.name.clone()),
        };
        self.phone.handle(now, input);
        if station.is_some() {
            self.account.trouble = None;
        }
        match notices::of_station(station.as_ref(), self.account.trouble.clone()) {
            Some(notice) => self.notice(notice),
            None => self.notice_over(phone::NoticeArea::Station),
        }
    }

    fn peer_event(&mut self, now: Instant, session: SessionId, number: u64, event: PeerEvent) {
        if !self.peers.is_current(&session, number) {
            return;
        }
        if let PeerEvent::Answered { negotiated, .. } = &event
            && let Some(start) = self.peers.negotiated(&session, *negotiated)
        {
            self.sound.send(start);
            self.route_microphone();
        }
        self.softphone
            .handle(now, softphone::Input::Peer { session, event });
    }

    fn sound_event(&mut self, event: sound::SoundEvent) {
        match self.sound.handle(event) {
            sound::Outcome::Running => self.notice_over(phone::NoticeArea::Sound),
            sound::Outcome::Trouble(notice) => self.notice(notice),
            sound::Outcome::Nothing => {}
        }
    }

    fn notice(&mut self, notice: phone::Notice) {
        self.phone.handle(now(), phone::Input::Notice(Some(notice)));
    }

    fn notice_over(&mut self, area: phone::NoticeArea) {
        self.phone.handle(now(), phone::Input::NoticeOver(area));
    }

    /// Does what the state machines want, until they want nothing more. Drawing takes longest, so it comes last, and of
    /// several screens only the last is drawn.
    fn drain(&mut self) {
        loop {
            if let Some(output) = self.softphone.poll() {
                self.softphone_output(output);
            } else if let Some(output) = self.phone.poll() {
                self.phone_output(output);
            } else if let Some(screen) = self.undrawn.take() {
                phone::render::render(&screen, &mut self.front.frame);
                self.front.show();
            } else {
                return;
            }
        }
    }

    fn softphone_output(&mut self, output: softphone::Output) {
        tracing::trace!(?output, "softphone");
        match output {
            softphone::Output::Rest { request, body } => {
                let (cloud, wake) = (self.cloud.clone(), self.wake.clone());
                tokio::spawn(async move {
                    let result = cloud.rest(body).await;
                    // The phone is stopping: nobody waits for it.
                    let _ = wake.send(Wake::Rest(request, result)).await;
                });
            }
            softphone::Output::Signal(reply) => self.cloud.signal(reply),
            softphone::Output::Media { session, command } => {
                if let Some(stop) = self.peers.command(session, command, &self.ice) {
                    self.sound.send(stop);
                }
            }
            softphone::Output::Event(event) => {
                self.events.publish(event.name(), &*event);
                self.phone.handle(now(), phone::Input::Softphone(event));
            }
            softphone::Output::CommandDone { id, result } => self.command_done(id, result),
        }
    }

    fn command_done(&mut self, id: CommandId, result: Result<CommandReply, SdkError>) {
        if let Some(asker) = self.asked.remove(&id) {
            // The asker may have gone away meanwhile.
            let _ = asker.send(result.clone().map_err(Refusal::Sdk));
        }
        self.phone
            .handle(now(), phone::Input::CommandDone { id, result });
    }

    fn phone_output(&mut self, output: phone::Output) {
        tracing::trace!(?output, "phone");
        match output {
            phone::Output::Softphone { id, command } => {
                self.softphone
                    .handle(now(), softphone::Input::Command { id, command });
            }
            phone::Output::Audio(command) => self.sound.send(command),
            phone::Output::Path(path) => self.sound.switch(path),
            phone::Output::Talk(session) => {
                self.talking = session;
                self.route_microphone();
            }
            phone::Output::Lamp { lamp, state } => self.front.set_lamp(lamp, state),
            phone::Output::Wish(wish) => self.wish(wish),
            phone::Output::Screen(screen) => self.undrawn = Some(screen),
        }
    }

    fn route_microphone(&mut self) {
        let stream = self
            .talking
            .as_ref()
            .and_then(|session| self.peers.stream(session));
        self.sound.send(AudioCommand::Microphone { stream });
    }

    async fn stop(mut self) {
        tracing::info!("stopping");
        self.life.ends();
        self.sound.stop();
        let farewell = async {
            self.peers.close_all(&mut self.wakes).await;
            self.cloud.shutdown().await;
        };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("the far ends did not answer the farewell in time");
        }
    }
}

/// Tokio's clock, so that a test's virtual time is the phone's.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
