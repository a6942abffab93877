//! The peer connections, each in a task of its own, and the streams of the audio pipeline they use.

use super::Wake;
use crate::audio::{AudioCommand, MAX_STREAMS, StreamPort};
use crate::device::config::Config;
use crate::genesys::IceServers;
use crate::genesys::id::SessionId;
use crate::genesys::signal::Candidate;
use crate::media::{
    ConnectionState, MediaError, Negotiated, Peer, PeerConfig, PeerEvent, Statistics,
};
use crate::softphone::MediaCommand;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a peer's statistics are taken for `GET /status`.
const STATISTICS: Duration = Duration::from_secs(1);
/// Every so many of these they go to the session engine too: 5 s, as often as the SDK's statistics gatherer (5.8).
const TICKS_PER_REPORT: u32 = 5;

/// All peer connections.
pub(super) struct Peers {
    free: Vec<StreamPort>,
    open: HashMap<SessionId, Open>,
    /// A cloud on this machine: candidates on loopback addresses are of use.
    loopback: bool,
    ipv6: bool,
    frame_ms: u8,
    longest_frame_ms: u8,
    /// For TURN servers behind TLS; none when it cannot be set up, which the cloud's connection then reports.
    tls: Option<Arc<rustls::ClientConfig>>,
    next_number: u64,
    wake: mpsc::Sender<Wake>,
}

struct Open {
    number: u64,
    stream: usize,
    verbs: mpsc::UnboundedSender<Verb>,
    statistics: Arc<Mutex<Statistics>>,
    started: Option<Negotiated>,
}

enum Verb {
    Renegotiate(String),
    AddCandidate(Candidate),
    EndOfCandidates,
    Dtmf(crate::device::Private),
}

impl Peers {
    pub fn new(ports: Vec<StreamPort>, config: &Config, wake: mpsc::Sender<Wake>) -> Self {
        let loopback =
            crate::genesys::Environment::parse(&config.cloud.environment, &config.cloud.streaming)
                .is_ok_and(|environment| environment.streaming_endpoint().is_loopback());
        let ca_file =
            Some(Path::new(&config.cloud.ca_file)).filter(|file| !file.as_os_str().is_empty());
        let tls = crate::genesys::tls_config(ca_file).ok().map(Arc::new);
        Self {
            free: ports,
            open: HashMap::new(),
            loopback,
            ipv6: config.cloud.ipv6,
            frame_ms: config.audio.frame_ms,
            longest_frame_ms: config.audio.longest_frame_ms,
            tls,
            next_number: 0,
            wake,
        }
    }

    /// Does `command`; gives back what the audio thread must be told.
    pub fn command(
        &mut self,
        session: SessionId,
        command: MediaCommand,
        ice: &IceServers,
    ) -> Option<AudioCommand> {
        let verb = match command {
            MediaCommand::Open { offer } => {
                self.open(session, offer, ice);
                return None;
            }
            // Dropping the verbs ends the task, which closes the peer and gives the stream back.
            MediaCommand::Close => {
                return self
                    .open
                    .remove(&session)
                    .map(|peer| AudioCommand::StopStream {
                        stream: peer.stream,
                    });
            }
            MediaCommand::Renegotiate { offer } => Verb::Renegotiate(offer),
            MediaCommand::AddCandidate(candidate) => Verb::AddCandidate(candidate),
            MediaCommand::EndOfCandidates => Verb::EndOfCandidates,
            MediaCommand::Dtmf(digits) => Verb::Dtmf(digits),
        };
        match self.open.get(&session) {
            // A peer whose task has ended is about to tell so.
            Some(peer) => drop(peer.verbs.send(verb)),
            None => {
                tracing::debug!(%session, "a media command for a session without a peer connection");
            }
        }
        None
    }

    fn open(&mut self, session: SessionId, offer: String, ice: &IceServers) {
        let number = self.next_number;
        self.next_number += 1;
        let events = EventSender {
            session: session.clone(),
            number,
            wake: self.wake.clone(),
        };
        let Some(port) = self.free.pop() else {
            tracing::error!(%session, "no stream is free");
            events.send(PeerEvent::Failed(MediaError::NoStream(MAX_STREAMS)));
            // So that the event is taken for one of this session.
            let (verbs, _) = mpsc::unbounded_channel();
            self.insert(session, number, usize::MAX, verbs, Arc::default());
            return;
        };
        let config = PeerConfig {
            ice_servers: ice.servers.clone(),
            relay_only: ice.relay_only,
            tls: self.tls.clone(),
            loopback: self.loopback,
            ipv6: self.ipv6,
            frame_ms: self.frame_ms,
            longest_frame_ms: self.longest_frame_ms,
        };
        let (verbs, wanted) = mpsc::unbounded_channel();
        let statistics = Arc::default();
        let stream = port.stream;
        tokio::spawn(drive(
            config,
            port,
            offer,
            events,
            wanted,
            Arc::clone(&statistics),
        ));
        self.insert(session, number, stream, verbs, statistics);
    }

    fn insert(
        &mut self,
        session: SessionId,
        number: u64,
        stream: usize,
        verbs: mpsc::UnboundedSender<Verb>,
        statistics: Arc<Mutex<Statistics>>,
    ) {
        self.open.insert(
            session,
            Open {
                number,
                stream,
                verbs,
                statistics,
                started: None,
            },
        );
    }

    /// Whether `number` is the session's present peer connection and not one that was replaced or closed.
    pub fn is_current(&self, session: &SessionId, number: u64) -> bool {
        self.open
            .get(session)
            .is_some_and(|peer| peer.number == number)
    }

    /// What the audio thread must be told after an answer, if anything changed.
    pub fn negotiated(
        &mut self,
        session: &SessionId,
        negotiated: Negotiated,
    ) -> Option<AudioCommand> {
        let peer = self.open.get_mut(session)?;
        let same = peer.started.is_some_and(|before| {
            (before.codec, before.frame_ms) == (negotiated.codec, negotiated.frame_ms)
        });
        peer.started = Some(negotiated);
        (!same).then_some(AudioCommand::StartStream {
            stream: peer.stream,
            codec: negotiated.codec,
            frame_ms: negotiated.frame_ms,
        })
    }

    /// The session's stream once it carries sound.
    pub fn stream(&self, session: &SessionId) -> Option<usize> {
        self.open
            .get(session)
            .filter(|peer| peer.started.is_some())
            .map(|peer| peer.stream)
    }

    /// The latest statistics of a session and its stream.
    pub fn statistics(&self, session: &SessionId) -> Option<(Statistics, usize)> {
        let peer = self.open.get(session)?;
        let statistics = *peer
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some((statistics, peer.stream))
    }

    /// A stream is free again.
    pub fn give_back(&mut self, port: StreamPort) {
        self.free.push(port);
    }

    /// Closes all and waits until they have said goodbye.
    pub async fn close_all(&mut self, wakes: &mut mpsc::Receiver<Wake>) {
        self.open.clear();
        while self.free.len() < MAX_STREAMS {
            match wakes.recv().await {
                Some(Wake::PeerGone(port)) => self.give_back(port),
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// Where a peer's events go.
#[derive(Clone)]
struct EventSender {
    session: SessionId,
    number: u64,
    wake: mpsc::Sender<Wake>,
}

impl EventSender {
    /// From any thread. Events are few; were the queue full, the loop would be stuck and nothing could be helped.
    fn send(&self, event: PeerEvent) {
        let wake = Wake::Peer {
            session: self.session.clone(),
            number: self.number,
            event,
        };
        if self.wake.try_send(wake).is_err() {
            tracing::error!(session = %self.session, "an event of a peer connection was lost: the loop is stuck or gone");
        }
    }
}

async fn drive(
    config: PeerConfig,
    port: StreamPort,
    offer: String,
    events: EventSender,
    mut wanted: mpsc::UnboundedReceiver<Verb>,
    shared: Arc<Mutex<Statistics>>,
) {
    let sink = events.clone();
    let peer = Peer::open(config, port, offer, Arc::new(move |event| sink.send(event))).await;
    let mut tick = tokio::time::interval(STATISTICS);
    let mut ticks = 0;
    loop {
        tokio::select! {
            verb = wanted.recv() => match verb {
                Some(Verb::Renegotiate(offer)) => peer.renegotiate(offer).await,
                Some(Verb::AddCandidate(candidate)) => peer.add_candidate(&candidate.mid, &candidate.candidate).await,
                Some(Verb::EndOfCandidates) => peer.end_of_candidates().await,
                Some(Verb::Dtmf(digits)) => {
                    if let Err(error) = peer.dtmf(digits.expose()).await {
                        // Whatever the reason, the engine can still send them by REST.
                        tracing::info!(session = %events.session, %error, "key tones do not go by RTP");
                        events.send(PeerEvent::Failed(MediaError::NoTelephoneEvent));
                    }
                }
                None => break,
            },
            _ = tick.tick() => {
                let statistics = peer.statistics();
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = statistics;
                if statistics.connection == ConnectionState::Connected {
                    ticks += 1;
                    if ticks % TICKS_PER_REPORT == 0 {
                        events.send(PeerEvent::Statistics(statistics));
                    }
                }
            }
        }
    }
    let port = peer.close().await;
    // The loop has ended: nobody needs the stream.
    let _ = events.wake.send(Wake::PeerGone(port)).await;
}
