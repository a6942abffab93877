//! A call between the phone's peer and the simulator's gateway.

use offhook::audio::{EncodedFrame, Feedback, PACKET_QUEUE, RtpPacket, StreamPort};
use offhook::media::{ConnectionState, MediaError, Peer, PeerConfig, PeerEvent, Statistics};
use offhook_cloudsim::gateway::{Leg, LegConfig, LegEvent};
use offhook_tests::PATIENCE;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// An Opus frame of 20 ms of silence.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// The phone's side: a peer, a mouth that says something every 20 ms, and an ear that counts.
pub struct Phone {
    pub peer: Peer,
    pub events: mpsc::UnboundedReceiver<PeerEvent>,
    heard: Arc<AtomicU64>,
    pump: JoinHandle<()>,
}

impl Phone {
    pub async fn open(config: PeerConfig, offer: String) -> Self {
        // As the real ones, these are never freed.
        let inbound = Box::leak(Box::new(
            heapless::spsc::Queue::<RtpPacket, PACKET_QUEUE>::new(),
        ));
        let outbound = Box::leak(Box::new(
            heapless::spsc::Queue::<EncodedFrame, PACKET_QUEUE>::new(),
        ));
        let ((inbound, mut ear), (mut mouth, outbound)) = (inbound.split(), outbound.split());
        let (out, events) = mpsc::unbounded_channel();
        let sink = Arc::new(move |event| {
            let _ = out.send(event);
        });
        let port = StreamPort {
            stream: 0,
            inbound,
            outbound,
            feedback: Feedback::default(),
        };
        let peer = Peer::open(config, port, offer, sink).await;
        let heard = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&heard);
        let pump = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                let _ = mouth.enqueue(EncodedFrame {
                    samples: 960,
                    talk_spurt: false,
                    payload: heapless::Vec::from_slice(&SILENCE).expect("fits"),
                });
                let came = std::iter::from_fn(|| ear.dequeue()).count();
                counter.fetch_add(came as u64, Ordering::Relaxed);
            }
        });
        Self {
            peer,
            events,
            heard,
            pump,
        }
    }

    /// Waits until the ear has heard `packets` more.
    pub async fn hear(&self, packets: u64) {
        let enough = self.heard.load(Ordering::Relaxed) + packets;
        soon("sound for the ear", async {
            while self.heard.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    pub async fn state(&mut self, wanted: ConnectionState) {
        soon(&format!("{wanted:?}"), async {
            while self.events.recv().await.expect("the peer lives") != PeerEvent::Connection(wanted)
            {
            }
        })
        .await;
    }

    pub async fn close(self) {
        self.pump.abort();
        let port = soon("the stream's port", self.peer.close()).await;
        assert_eq!(port.stream, 0);
    }
}

/// A connected call.
pub struct Call {
    pub phone: Phone,
    pub leg: Leg,
    /// The candidates the phone told.
    pub candidates: Vec<String>,
}

impl Call {
    /// Rings and answers, until both sides are connected or the phone's peer fails.
    pub async fn connect(config: PeerConfig) -> Result<Self, MediaError> {
        offhook::device::crypto::install();
        let (sender, mut far) = mpsc::unbounded_channel();
        let leg = Leg::new(LegConfig::default(), sender)
            .await
            .expect("a gateway");
        let offer = leg.offer().await.expect("an offer");
        let mut phone = Phone::open(config, offer).await;
        let mut candidates = Vec::new();
        let (mut answered, mut here, mut there) = (false, false, false);
        let connecting = async {
            while !(here && there) {
                tokio::select! {
                    event = phone.events.recv() => match event.expect("the peer lives") {
                        PeerEvent::Answered { sdp, .. } => {
                            assert!(!sdp.contains("a=candidate"), "{sdp}");
                            answered = true;
                            leg.answer(&sdp).await.expect("a good answer");
                        }
                        PeerEvent::Candidate { mid, candidate } => {
                            leg.candidate(&candidate, &mid).await.expect("a good candidate");
                            candidates.push(candidate);
                        }
                        PeerEvent::Failed(error) => return Err(error),
                        PeerEvent::Connection(state) => {
                            println!("the phone is {state:?}");
                            assert_ne!(state, ConnectionState::Failed);
                            here |= state == ConnectionState::Connected;
                        }
                        _ => {}
                    },
                    event = far.recv() => match event.expect("the gateway lives") {
                        LegEvent::Candidate(candidate) => phone.peer.add_candidate("audio", &candidate).await,
                        LegEvent::EndOfCandidates => phone.peer.end_of_candidates().await,
                        LegEvent::Connected => there = true,
                        LegEvent::Failed(why) => panic!("the gateway: {why}"),
                        _ => {}
                    },
                }
            }
            Ok(())
        };
        match soon("a connection", connecting).await {
            Ok(()) => Ok(Self {
                phone,
                leg,
                candidates,
            }),
            Err(error) => {
                if answered {
                    phone.state(ConnectionState::Failed).await;
                }
                phone.close().await;
                leg.close().await;
                Err(error)
            }
        }
    }

    /// Talks for `packets` of 20 ms both ways; both sides count them and miss none.
    pub async fn talk(&self, packets: u64) -> Statistics {
        let start = self.leg.report().await;
        let before = self.phone.peer.statistics();
        self.phone.hear(packets).await;
        soon("sound for the far end", async {
            while self.leg.report().await.packets_in < start.packets_in + packets {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let figures = self.phone.peer.statistics().since(&before);
        // One may have been counted that the ear takes after.
        assert!(figures.packets_received + 1 >= packets, "{figures:?}");
        assert_eq!(figures.packets_lost, 0, "{figures:?}");
        assert_eq!(self.leg.report().await.lost, start.lost);
        figures
    }
}

/// Awaits what must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}
