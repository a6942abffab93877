//! The async shell around [`World`]: the lock, the clock, and the tasks.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::engine::{LegCommand, LegInput};
use crate::gateway::{Leg, LegConfig, LegEvent, Patchbay};
use crate::journal::{LogEntry, LogKind};
use crate::world::{Work, World};

/// Log lines a slow listener may be behind before it loses some.
const LINES_BEHIND: usize = 4096;

/// Everything one simulator shares among its tasks.
pub(crate) struct Cloud {
    world: Mutex<World>,
    started: Instant,
    wake: Notify,
    changes: watch::Sender<u64>,
    lines: broadcast::Sender<LogEntry>,
    stop: watch::Sender<bool>,
    legs: Mutex<HashMap<String, LegHandle>>,
    patchbay: Patchbay,
}

/// A media leg, as soon as it exists, and the way to tell it something in order.
#[derive(Clone)]
struct LegHandle {
    leg: Option<Leg>,
    commands: mpsc::UnboundedSender<LegCommand>,
}

impl Cloud {
    pub fn new(world: World) -> Arc<Self> {
        let cloud = Arc::new(Self {
            world: Mutex::new(world),
            started: Instant::now(),
            wake: Notify::new(),
            changes: watch::Sender::new(0),
            lines: broadcast::Sender::new(LINES_BEHIND),
            stop: watch::Sender::new(false),
            legs: Mutex::default(),
            patchbay: Patchbay::default(),
        });
        cloud.spawn(drive(cloud.clone()));
        cloud
    }

    /// Does something with the world, and everything that follows from it.
    pub fn with<R>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> R) -> R {
        let result = self.advance(act);
        self.wake.notify_one();
        result
    }

    fn advance<R>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> R) -> R {
        let (result, lines) = {
            // A panic in a handler is its own failure; the state is still the best there is.
            let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
            world.now = self.started.elapsed();
            let result = act(&mut world);
            world.settle();
            for work in std::mem::take(&mut world.work) {
                // In the lock, so that commands for a leg keep their order.
                self.work(work);
            }
            (result, std::mem::take(&mut world.lines))
        };
        let changed = !lines.is_empty();
        for line in lines {
            // Nobody may listen.
            let _ = self.lines.send(line);
        }
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
        result
    }

    /// Counts up with every change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Log lines as they come.
    pub fn lines(&self) -> broadcast::Receiver<LogEntry> {
        self.lines.subscribe()
    }

    /// Runs a task until it is done or the simulator stops.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stop) => {}
                () = task => {}
            }
        });
    }

    /// Waits for a future unless the simulator stops.
    pub async fn until_stopped(&self, task: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = stopped(self.stop.subscribe()) => {}
            () = task => {}
        }
    }

    /// When it stops.
    pub async fn stopped(&self) {
        stopped(self.stop.subscribe()).await;
    }

    /// Ends every task.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.legs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The media leg of a session, once there is one. It can be asked after it was closed.
    pub fn leg(&self, session: &str) -> Option<Leg> {
        let legs = self.legs.lock().unwrap_or_else(PoisonError::into_inner);
        legs.get(session)?.leg.clone()
    }

    fn work(self: &Arc<Self>, work: Work) {
        let mut legs = self.legs.lock().unwrap_or_else(PoisonError::into_inner);
        match work {
            Work::OpenLeg {
                session,
                conversation,
                config,
            } => {
                let (commands, queue) = mpsc::unbounded_channel();
                legs.insert(
                    session.clone(),
                    LegHandle {
                        leg: None,
                        commands,
                    },
                );
                self.spawn(run_leg(self.clone(), session, conversation, *config, queue));
            }
            Work::Leg { session, command } => {
                if let Some(leg) = legs.get(&session) {
                    // Its task ends only with the simulator or after `Close`.
                    let _ = leg.commands.send(command);
                }
            }
        }
    }

    fn leg_input(self: &Arc<Self>, session: &str, input: LegInput) {
        self.with(|world| {
            let user = world
                .engine
                .session(session)
                .map(|session| session.user.clone());
            let text = match &input {
                LegInput::Offer(_) => format!("session {session}: offer made"),
                other => format!("session {session}: {other:?}"),
            };
            world.log(LogKind::Leg, user.as_deref(), text);
            world.engine.leg_input(world.now, session, input);
        });
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the simulator itself is gone.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Wakes the world when something is due.
async fn drive(cloud: Arc<Cloud>) {
    loop {
        let next = {
            let world = cloud.world.lock().unwrap_or_else(PoisonError::into_inner);
            world.next_timeout()
        };
        let due = async {
            match next {
                // A timer is due once its time has come; a hair later never hurts.
                Some(next) => sleep_until(cloud.started + next + Duration::from_micros(1)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => cloud.advance(|_| ()),
            () = cloud.wake.notified() => {}
        }
    }
}

/// Makes a media leg, and carries commands to it and events from it.
async fn run_leg(
    cloud: Arc<Cloud>,
    session: String,
    conversation: String,
    config: LegConfig,
    mut commands: mpsc::UnboundedReceiver<LegCommand>,
) {
    let (events, mut happened) = mpsc::unbounded_channel();
    let leg = match Leg::new(config, events).await {
        Ok(leg) => leg,
        Err(error) => {
            let text = format!("the media leg of {conversation} cannot be made: {error:#}");
            return cloud.leg_input(&session, LegInput::Failed(text));
        }
    };
    {
        let mut legs = cloud.legs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = legs.get_mut(&session) {
            handle.leg = Some(leg.clone());
        }
    }
    // A page that waits for the leg can attach now.
    cloud.with(|world| world.log(LogKind::Leg, None, format!("session {session}: leg made")));
    let forwarder = cloud.clone();
    let of = session.clone();
    cloud.spawn(async move {
        while let Some(event) = happened.recv().await {
            if let Some(input) = input(event) {
                forwarder.leg_input(&of, input);
            }
        }
    });
    let mut offer = Some(Box::pin({
        let leg = leg.clone();
        async move { leg.offer().await }
    }));
    loop {
        let command = tokio::select! {
            offered = pending_or(&mut offer) => {
                offer = None;
                let input = match offered {
                    Ok(sdp) => LegInput::Offer(sdp),
                    Err(error) => LegInput::Failed(format!("no offer: {error:#}")),
                };
                cloud.leg_input(&session, input);
                continue;
            }
            command = commands.recv() => command,
        };
        let Some(command) = command else { break };
        let closes = command == LegCommand::Close;
        if let Some(input) = tell(&cloud, &leg, command).await {
            cloud.leg_input(&session, input);
        }
        if closes {
            break;
        }
    }
}

/// The future's result, or nothing for ever when there is none.
async fn pending_or<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Carries one command to the leg.
async fn tell(cloud: &Cloud, leg: &Leg, command: LegCommand) -> Option<LegInput> {
    match command {
        LegCommand::Answer(sdp) => match leg.answer(&sdp).await {
            Ok(()) => None,
            Err(error) => Some(LegInput::AnswerRefused(format!("{error:#}"))),
        },
        LegCommand::Candidate { candidate, mid } => match leg.candidate(&candidate, &mid).await {
            Ok(()) => None,
            Err(error) => Some(LegInput::CandidateRefused(format!(
                "{candidate}: {error:#}"
            ))),
        },
        LegCommand::Held(held) => {
            leg.set_held(held).await;
            None
        }
        LegCommand::Muted(muted) => {
            leg.set_muted(muted).await;
            None
        }
        LegCommand::FarEnd(source) => {
            let set = match source.parse() {
                Ok(crate::gateway::FarEndSource::Browser) => Ok(()),
                Ok(source) => leg.set_far_end(source).await,
                Err(error) => Err(error),
            };
            set.err()
                .map(|error| LegInput::Failed(format!("far end: {error:#}")))
        }
        LegCommand::Mix(mix) => {
            let set = leg.set_mix(mix, cloud.patchbay.clone()).await;
            set.err()
                .map(|error| LegInput::Failed(format!("several parties: {error:#}")))
        }
        LegCommand::Reoffer {
            ice_restart,
            direction,
        } => Some(match leg.reoffer(ice_restart, direction).await {
            Ok(sdp) => LegInput::Offer(sdp),
            Err(error) => LegInput::Failed(format!("no new offer: {error:#}")),
        }),
        LegCommand::Close => {
            leg.close().await;
            None
        }
    }
}

fn input(event: LegEvent) -> Option<LegInput> {
    match event {
        LegEvent::Candidate(candidate) => Some(LegInput::Candidate(candidate)),
        LegEvent::EndOfCandidates => Some(LegInput::EndOfCandidates),
        LegEvent::Connected => Some(LegInput::Connected),
        LegEvent::FirstMedia => Some(LegInput::FirstMedia),
        LegEvent::Failed(why) => Some(LegInput::Failed(why)),
        // Digits are in the report; the closing was ours.
        LegEvent::Dtmf(_) | LegEvent::Closed => None,
    }
}
