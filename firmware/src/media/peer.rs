//! One call's peer.

mod handler;

use super::dtmf;
use super::line::Line;
use super::sdp::{self, Candidate, LocalSide, Offer, Origin, Setup};
use super::sender::{self, Packetizer, SenderCommand};
use super::stack::{self, Stack, failed};
use super::turn::Bridges;
use super::{ConnectionState, MediaError, Negotiated, PeerConfig, PeerEvent, Statistics};
use crate::audio::StreamPort;
use handler::Handler;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::peer_connection::{RTCIceCandidateInit, RTCSessionDescription};

/// Where a peer's events go. Called from the peer's tasks; it must not wait.
pub type EventSink = Arc<dyn Fn(PeerEvent) + Send + Sync>;

/// The answer is out and nothing has connected for this long: failed. ICE gives up by itself at 30 s; this is for a
/// DTLS handshake that never ends.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(35);
/// Candidates are looked for this long, as long as the stack repeats a request to a TURN server. Its own end of the
/// search does not come when a server does not answer at all.
const GATHERING_TIMEOUT: Duration = Duration::from_secs(8);
/// Candidates kept that came before their offer; the oldest give way.
const MAX_EARLY: usize = 64;
/// The stack is asked this often, at most, whether an alert it was given was the far end's goodbye.
const ALERT_TRIES: u32 = 5;

/// A WebRTC peer: answers offers, carries the audio of one stream of the pipeline, reports by events. It never makes
/// an offer, as the phone's side never does (genesys-protocol 5.6).
///
/// It lives in tasks of the current tokio runtime. Close it with [`Peer::close`] to get the stream's port back;
/// dropping it closes the connection and loses the port.
pub struct Peer {
    commands: mpsc::UnboundedSender<Command>,
    sender: mpsc::UnboundedSender<SenderCommand>,
    line: Arc<Line>,
}

enum Command {
    Offer(String),
    Candidate { mid: String, candidate: String },
    Close(oneshot::Sender<()>),
}

impl Peer {
    /// Makes a peer and has it answer `offer`; returns at once. The outcome comes as [`PeerEvent::Answered`] or
    /// [`PeerEvent::Failed`].
    #[allow(
        clippy::unused_async,
        reason = "it needs a tokio runtime, and the verbs read alike"
    )]
    pub async fn open(
        config: PeerConfig,
        port: StreamPort,
        offer: String,
        events: EventSink,
    ) -> Self {
        let random = uuid::Uuid::new_v4().as_u128();
        let ssrc = (random as u32).max(1);
        let cname = format!("{:016x}", (random >> 64) as u64);
        let line = Line::new(ssrc, cname.clone(), port, events);
        let (commands, command_queue) = mpsc::unbounded_channel();
        let (sender, sender_queue) = mpsc::unbounded_channel();
        // The sequence begins low enough not to wrap within the first minutes: a loss right at the wrap would leave
        // the far end with the wrong rollover counter (RFC 3711 section 3.3.1).
        let packetizer =
            Packetizer::new(ssrc, (random >> 32) as u16 & 0x7fff, (random >> 80) as u32);
        let tasks = Tasks {
            config,
            line: line.clone(),
            sender: sender.clone(),
            outgoing: Some((packetizer, sender_queue)),
            // The id stays below 2^63 (RFC 9429 section 5.2.1).
            origin: Origin {
                session: (random >> 65) as u64,
                version: 0,
                ssrc,
                cname,
                setup: Setup::Active,
            },
            stack: None,
            offer: None,
            bridges: None,
            early: Vec::new(),
            gathering: None,
            deadline: None,
        };
        let _ = commands.send(Command::Offer(offer));
        tokio::spawn(tasks.run(command_queue));
        Self {
            commands,
            sender,
            line,
        }
    }

    /// Answers another offer on the same connection: hold and resume, codec change, ICE restart.
    #[allow(clippy::unused_async, reason = "the verbs read alike")]
    pub async fn renegotiate(&self, offer: String) {
        let _ = self.commands.send(Command::Offer(offer));
    }

    /// Adds a candidate of the far end, `candidate:...` with or without `a=`. One that cannot be used (TCP, a second
    /// component, a name, another section, an older generation) is left out.
    #[allow(clippy::unused_async, reason = "the verbs read alike")]
    pub async fn add_candidate(&self, mid: &str, candidate: &str) {
        let command = Command::Candidate {
            mid: mid.to_owned(),
            candidate: candidate.to_owned(),
        };
        let _ = self.commands.send(command);
    }

    /// The far end has no more candidates. Nothing waits for that: the checks go on until ICE gives up, because a
    /// peer-reflexive candidate may still appear.
    #[allow(clippy::unused_async, reason = "the verbs read alike")]
    pub async fn end_of_candidates(&self) {
        debug!("the far end has no more candidates");
    }

    /// Sends key tones in the audio (RFC 4733): `0-9 * # A-D`; `,` pauses 2 s. [`PeerEvent::DtmfSent`] follows when
    /// all are out, or given up because the call was held or cut off.
    ///
    /// # Errors
    /// `NoTelephoneEvent`, `NoSuchKey`, or `Stack` while nothing can be sent (not connected, on hold).
    #[allow(clippy::unused_async, reason = "the verbs read alike")]
    pub async fn dtmf(&self, digits: &str) -> Result<(), MediaError> {
        let keys = dtmf::parse(digits)?;
        let refused = |why: &str| MediaError::Stack {
            what: "sending key tones",
            detail: why.into(),
        };
        let negotiated = self
            .line
            .negotiated()
            .ok_or_else(|| refused("the call is not answered yet"))?;
        if negotiated.dtmf_payload_type.is_none() {
            return Err(MediaError::NoTelephoneEvent);
        }
        if !negotiated.sending {
            return Err(refused("the call is on hold"));
        }
        if self.line.statistics().connection != ConnectionState::Connected {
            return Err(refused("the call is not connected"));
        }
        self.sender
            .send(SenderCommand::Keys(keys))
            .map_err(|_| refused("the call is over"))
    }

    /// The figures now.
    pub fn statistics(&self) -> Statistics {
        self.line.statistics()
    }

    /// Ends the connection, telling the far end (close_notify), and gives the port back.
    pub async fn close(self) -> StreamPort {
        let (done, closed) = oneshot::channel();
        let _ = self.commands.send(Command::Close(done));
        // An error means that the task is gone, and the connection with it.
        let _ = closed.await;
        self.line
            .give_back()
            .expect("only close takes the port, and it consumes the peer")
    }
}

/// The task that owns the connection and does one thing after the other.
struct Tasks {
    config: PeerConfig,
    line: Arc<Line>,
    sender: mpsc::UnboundedSender<SenderCommand>,
    /// For the sender's task, until there is a track for it.
    outgoing: Option<(Packetizer, mpsc::UnboundedReceiver<SenderCommand>)>,
    origin: Origin,
    stack: Option<Stack>,
    bridges: Option<Arc<Bridges>>,
    /// The offer answered last.
    offer: Option<Offer>,
    /// Candidates of a generation whose offer has not come yet.
    early: Vec<Candidate>,
    /// When to take the search for candidates for done; none when it is.
    gathering: Option<Instant>,
    /// When to give up connecting.
    deadline: Option<Instant>,
}

impl Tasks {
    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Offer(offer)) => self.offer(&offer).await,
                    Some(Command::Candidate { mid, candidate }) => self.candidate(&mid, &candidate).await,
                    Some(Command::Close(done)) => {
                        self.close().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.close().await,
                },
                state = ended(self.stack.as_ref()) => self.end(state).await,
                () = gathered(self.stack.as_ref()) => self.gathered().await,
                () = overdue(self.gathering) => {
                    warn!("not all STUN and TURN servers have answered in time");
                    self.gathered().await;
                }
                () = overdue(self.deadline) => {
                    self.deadline = None;
                    if self.line.statistics().connect_time.is_none() {
                        warn!("the far end could not be reached in time");
                        self.end(ConnectionState::Failed).await;
                    }
                }
            }
        }
    }

    async fn offer(&mut self, text: &str) {
        match self.answer(text).await {
            Ok((sdp, negotiated)) => {
                info!(?negotiated, version = self.origin.version, "offer answered");
                if let Some(offer) = &self.offer {
                    self.line
                        .limit(offer.send_limits(self.config.longest_frame_ms));
                }
                self.line.answered(negotiated);
                let _ = self.sender.send(SenderCommand::Negotiated(negotiated));
                self.line.emit(PeerEvent::Answered { sdp, negotiated });
                self.deadline
                    .get_or_insert_with(|| Instant::now() + CONNECT_TIMEOUT);
                for candidate in std::mem::take(&mut self.early) {
                    self.add(candidate).await;
                }
            }
            Err(error) => {
                warn!(%error, "the offer cannot be answered");
                self.line.emit(PeerEvent::Failed(error));
            }
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(String, Negotiated), MediaError> {
        let offer = Offer::parse(text)?;
        if self.stack.is_none() {
            self.build(&offer).await?;
        }
        let Some(stack) = &self.stack else {
            return Err(MediaError::Stack {
                what: "answering",
                detail: String::new(),
            });
        };
        let connection = &stack.connection;
        let description =
            RTCSessionDescription::offer(offer.for_stack()).map_err(failed("reading the offer"))?;
        connection
            .set_remote_description(description)
            .await
            .map_err(failed("taking the offer"))?;
        let made = connection
            .create_answer(None)
            .await
            .map_err(failed("making the answer"))?;
        let mut local = LocalSide::read(&made.sdp)?;
        if let Some(bridges) = &self.bridges {
            local.candidates = local
                .candidates
                .into_iter()
                .filter_map(|candidate| stack::told(&self.config, bridges, candidate))
                .collect();
        }
        self.origin.version += 1;
        let negotiated = Negotiated {
            codec: offer.codec,
            payload_type: offer.payload_type,
            dtmf_payload_type: offer.dtmf_payload_type(),
            noise_payload_type: offer.noise_payload_type,
            sending: offer.direction.receives(),
            receiving: offer.direction.sends(),
            frame_ms: offer.frame_ms(self.config.frame_ms),
        };
        let answer = sdp::answer(&offer, &local, &self.origin);
        connection
            .set_local_description(made)
            .await
            .map_err(failed("applying the answer"))?;
        if self.offer.is_none() {
            self.gathering = Some(Instant::now() + GATHERING_TIMEOUT);
        }
        self.offer = Some(offer);
        Ok((answer, negotiated))
    }

    async fn build(&mut self, offer: &Offer) -> Result<(), MediaError> {
        // An answerer must not be what the offerer says it is itself (the stack would be); an ICE-lite far end is
        // left to begin, as the stack does.
        self.origin.setup = match offer.setup {
            Setup::Active => Setup::Passive,
            Setup::ActPass if offer.ice_lite => Setup::Passive,
            _ => Setup::Active,
        };
        let ipv4 = stack::bind_addresses(&self.config)
            .iter()
            .any(SocketAddr::is_ipv4);
        let bridges = Bridges::new(&self.config, ipv4);
        if self.config.relay_only && !bridges.can_relay() {
            let detail = bridges.trouble();
            return Err(MediaError::NoRelay { detail });
        }
        let handler = Arc::new(Handler {
            config: self.config.clone(),
            bridges: Arc::clone(&bridges),
            mid: offer.mid().to_owned(),
            line: self.line.clone(),
            sender: self.sender.clone(),
            signals: OnceLock::new(),
        });
        let stack = Stack::build(
            &self.config,
            self.origin.setup,
            self.origin.ssrc,
            self.line.clone(),
            Arc::clone(&bridges),
            handler.clone(),
        )
        .await?;
        self.bridges = Some(bridges);
        let _ = handler.signals.set(stack.signals.clone());
        if let Some((packetizer, queue)) = self.outgoing.take() {
            let track: Arc<dyn TrackLocal> = stack.track.clone();
            tokio::spawn(sender::run(track, packetizer, self.line.clone(), queue));
        }
        self.stack = Some(stack);
        Ok(())
    }

    async fn candidate(&mut self, mid: &str, line: &str) {
        let candidate = match Candidate::parse(line) {
            Ok(candidate) => candidate,
            Err(reason) => return debug!(%reason, "candidate of the far end left out"),
        };
        if self.early.len() == MAX_EARLY {
            let _oldest = self.early.remove(0);
        }
        let Some(offer) = &self.offer else {
            return self.early.push(candidate);
        };
        if !mid.is_empty() && mid != offer.mid() && mid != "audio" {
            return debug!("candidate of another section left out");
        }
        match &candidate.ufrag {
            Some(ufrag) if *ufrag != offer.ufrag => self.early.push(candidate),
            _ => self.add(candidate).await,
        }
    }

    async fn add(&mut self, candidate: Candidate) {
        let (Some(stack), Some(offer)) = (&self.stack, &self.offer) else {
            return;
        };
        if candidate
            .ufrag
            .as_ref()
            .is_some_and(|ufrag| *ufrag != offer.ufrag)
        {
            return debug!("candidate of another generation left out");
        }
        let candidate = RTCIceCandidateInit {
            candidate: candidate.to_string(),
            sdp_mid: Some(offer.mid().to_owned()),
            sdp_mline_index: Some(0),
            ..Default::default()
        };
        if let Err(error) = stack.connection.add_ice_candidate(candidate).await {
            debug!(%error, "the stack refuses a candidate of the far end");
        }
    }

    /// There will be no more candidates of ours.
    async fn gathered(&mut self) {
        if self.gathering.take().is_none() {
            return;
        }
        self.line.emit(PeerEvent::GatheringComplete);
        let Some(bridges) = self.bridges.as_ref().filter(|_| self.config.relay_only) else {
            return;
        };
        if bridges.relayed() {
            return;
        }
        // Nothing can connect: no reason to let the caller wait for ICE to find out.
        let error = MediaError::NoRelay {
            detail: bridges.trouble(),
        };
        warn!(%error, "the call has no way to go");
        self.line.emit(PeerEvent::Failed(error));
        self.end(ConnectionState::Failed).await;
    }

    /// The connection ended by itself.
    async fn end(&mut self, state: ConnectionState) {
        // First, because the stack calls every end `closed`.
        self.line.connection(state);
        self.close().await;
    }

    async fn close(&mut self) {
        self.deadline = None;
        self.gathering = None;
        let _ = self.sender.send(SenderCommand::Connected(false));
        if let Some(stack) = self.stack.take() {
            // The stack bounds the end of its task by a sleep of its own, which must not be cut short.
            stack.signals.set_hasty(false);
            if let Err(error) = stack.connection.close().await {
                debug!(%error, "closing the connection");
            }
        }
    }
}

/// Resolves with the state the connection is in when it ended otherwise than by us: the far end's close_notify,
/// which the stack reports to nobody, or the end of the stack's own task.
async fn ended(stack: Option<&Stack>) -> ConnectionState {
    let Some(stack) = stack else {
        return std::future::pending().await;
    };
    tokio::select! {
        () = closed_by_far_end(stack) => ConnectionState::Closed,
        // Our interceptor keeps RTCP to itself, so this yields nothing but the end.
        () = async { while stack.track.poll().await.is_some() {} } => ConnectionState::Failed,
    }
}

async fn closed_by_far_end(stack: &Stack) {
    loop {
        stack.signals.alert().await;
        // The alert was seen before the stack has read it, if on another thread.
        for attempt in 0..ALERT_TRIES {
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
            let Ok(Some(transport)) = stack.sender.transport().await else {
                break;
            };
            if matches!(
                transport.state().await,
                Ok(RTCDtlsTransportState::Closed | RTCDtlsTransportState::Failed)
            ) {
                return;
            }
        }
    }
}

/// Resolves when the stack has gathered its candidates.
async fn gathered(stack: Option<&Stack>) {
    match stack {
        Some(stack) => stack.signals.gathered().await,
        None => std::future::pending().await,
    }
}

async fn overdue(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
