//! A far end for the tests: the stack itself, plain, as the offerer; and the audio thread's ends of the queues.

use crate::audio::{Content, EncodedFrame, PACKET_QUEUE, RtpPacket, StreamPort};
use crate::media::{ConnectionState, Negotiated, Peer, PeerConfig, PeerEvent};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceCandidateInit, RTCIceGatheringState, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
    RTCSessionDescription, SettingEngineBuilder,
};

/// Source of the far end.
pub const FAR_SSRC: u32 = 0x0fa2_0fa2;
/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Awaits with [`PATIENCE`].
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// What the far end tells the test.
pub enum FarEvent {
    Candidate(String),
    Gathered,
    State(RTCPeerConnectionState),
}

/// The offerer.
pub struct FarEnd {
    pub connection: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    pub events: mpsc::UnboundedReceiver<FarEvent>,
    rtp: mpsc::UnboundedReceiver<rtp::Packet>,
    sequence: u16,
    /// Source it sends from.
    pub ssrc: u32,
}

impl FarEnd {
    /// Registers `codecs` in order: mime, clock rate, channels, payload type.
    pub async fn new(codecs: &[(&str, u32, u16, u8)], settings: SettingEngineBuilder) -> Self {
        Self::at("127.0.0.1:0", codecs, settings).await
    }

    /// With a socket at that address alone.
    pub async fn at(
        address: &'static str,
        codecs: &[(&str, u32, u16, u8)],
        settings: SettingEngineBuilder,
    ) -> Self {
        let mut engine = MediaEngine::default();
        for (mime, clock_rate, channels, payload_type) in codecs {
            engine
                .register_codec(
                    parameters(mime, *clock_rate, *channels, *payload_type),
                    RtpCodecKind::Audio,
                )
                .expect("codec");
        }
        let (event_out, events) = mpsc::unbounded_channel();
        let (rtp_out, rtp) = mpsc::unbounded_channel();
        let making = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_setting_engine(
                settings
                    .with_multicast_dns_mode(MulticastDnsMode::Disabled)
                    .build(),
            )
            .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
            .with_handler(Arc::new(Handler {
                events: event_out,
                rtp: rtp_out,
            }))
            .with_udp_addrs(vec![address])
            .build();
        let connection = Box::pin(making).await.expect("far end");
        let encoding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(FAR_SSRC),
                ..Default::default()
            },
            active: true,
            codec: parameters(codecs[0].0, codecs[0].1, codecs[0].2, codecs[0].3).rtp_codec,
            ..Default::default()
        };
        let name = || "far".to_owned();
        let track =
            MediaStreamTrack::new(name(), name(), name(), RtpCodecKind::Audio, vec![encoding]);
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        connection
            .add_track(track.clone())
            .await
            .expect("far track");
        // Without this it would offer nothing but the track's codec.
        let all = codecs
            .iter()
            .map(|(mime, clock_rate, channels, payload_type)| {
                parameters(mime, *clock_rate, *channels, *payload_type)
            });
        let transceiver = connection.get_transceivers().await.remove(0);
        transceiver
            .set_codec_preferences(all.collect())
            .await
            .expect("codecs");
        Self {
            connection: Arc::new(connection),
            track,
            events,
            rtp,
            sequence: 100,
            ssrc: FAR_SSRC,
        }
    }

    /// Where its one socket is.
    pub async fn address(&self) -> SocketAddr {
        let description = self.connection.local_description().await.expect("offered");
        let words = description
            .sdp
            .lines()
            .find_map(|line| line.strip_prefix("a=candidate:"))
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .expect("a candidate");
        SocketAddr::new(
            words[4].parse().expect("an address"),
            words[5].parse().expect("a port"),
        )
    }

    /// With [`USUAL`].
    pub async fn usual() -> Self {
        Self::new(USUAL, SettingEngineBuilder::new()).await
    }

    /// Makes an offer; with its candidates in it, or without.
    pub async fn offer(&mut self, with_candidates: bool, ice_restart: bool) -> String {
        let options = ice_restart.then_some(RTCOfferOptions { ice_restart });
        let offer = self.connection.create_offer(options).await.expect("offer");
        let bare = offer.sdp.clone();
        self.connection
            .set_local_description(offer)
            .await
            .expect("own offer");
        if !with_candidates {
            return bare;
        }
        loop {
            if let FarEvent::Gathered = soon("gathering", self.events.recv()).await.expect("events")
            {
                return self
                    .connection
                    .local_description()
                    .await
                    .expect("offered")
                    .sdp;
            }
        }
    }

    pub async fn answer(&self, sdp: &str) {
        let answer = RTCSessionDescription::answer(sdp.to_owned()).expect("an answer");
        self.connection
            .set_remote_description(answer)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{sdp}"));
    }

    pub async fn candidate(&self, candidate: String) {
        let init = RTCIceCandidateInit {
            candidate,
            sdp_mid: None,
            sdp_mline_index: Some(0),
            ..Default::default()
        };
        self.connection
            .add_ice_candidate(init)
            .await
            .expect("a candidate");
    }

    pub async fn send(&mut self, payload_type: u8, payload: &[u8]) {
        let packet = rtp::Packet {
            header: rtp::Header {
                version: 2,
                payload_type,
                sequence_number: self.sequence,
                timestamp: u32::from(self.sequence) * 960,
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload: bytes::Bytes::copy_from_slice(payload),
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.track.write_rtp(packet).await.expect("far end sends");
    }

    /// The next packet of the phone.
    pub async fn receive(&mut self) -> rtp::Packet {
        soon("a packet of the phone", self.rtp.recv())
            .await
            .expect("the far end lives")
    }

    /// Packets of the phone that came until now.
    pub fn received(&mut self) -> Vec<rtp::Packet> {
        std::iter::from_fn(|| self.rtp.try_recv().ok()).collect()
    }

    pub async fn state(&mut self, wanted: RTCPeerConnectionState) {
        loop {
            if let FarEvent::State(state) = soon("the far end's state", self.events.recv())
                .await
                .expect("events")
                && state == wanted
            {
                return;
            }
        }
    }
}

/// Opus first.
pub const USUAL: &[(&str, u32, u16, u8)] = &[
    ("audio/opus", 48_000, 2, 111),
    ("audio/PCMU", 8_000, 0, 0),
    ("audio/PCMA", 8_000, 0, 8),
    ("audio/telephone-event", 48_000, 0, 110),
];

/// G.711 first.
pub const G711_FIRST: &[(&str, u32, u16, u8)] = &[
    ("audio/PCMU", 8_000, 0, 0),
    ("audio/opus", 48_000, 2, 111),
    ("audio/telephone-event", 8_000, 0, 126),
];

/// `offer` with the formats of its one section replaced.
pub fn with_formats(offer: &str, formats: &str) -> String {
    let lines: Vec<String> = offer
        .lines()
        .map(
            |line| match line.strip_prefix("m=audio 9 UDP/TLS/RTP/SAVPF ") {
                Some(_) => format!("m=audio 9 UDP/TLS/RTP/SAVPF {formats}"),
                None => line.to_owned(),
            },
        )
        .collect();
    lines.join("\r\n") + "\r\na=rtpmap:126 telephone-event/8000\r\n"
}

fn parameters(
    mime: &str,
    clock_rate: u32,
    channels: u16,
    payload_type: u8,
) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: mime.to_owned(),
            clock_rate,
            channels,
            ..Default::default()
        },
        payload_type,
    }
}

struct Handler {
    events: mpsc::UnboundedSender<FarEvent>,
    rtp: mpsc::UnboundedSender<rtp::Packet>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let _ = self.events.send(FarEvent::Candidate(
            event.candidate.to_json().expect("json").candidate,
        ));
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.events.send(FarEvent::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.events.send(FarEvent::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let rtp = self.rtp.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = rtp.send(packet);
                }
            }
        });
    }
}

/// The phone's side of a test.
pub struct Phone {
    pub peer: Peer,
    pub events: mpsc::UnboundedReceiver<PeerEvent>,
    seen: VecDeque<PeerEvent>,
    /// The ear's end.
    pub ear: heapless::spsc::Consumer<'static, RtpPacket>,
    /// The microphone's end.
    pub microphone: heapless::spsc::Producer<'static, EncodedFrame>,
}

impl Phone {
    pub async fn open(offer: String) -> Self {
        Self::open_with(
            PeerConfig {
                loopback: true,
                ipv6: true,
                frame_ms: 20,
                ..Default::default()
            },
            offer,
        )
        .await
    }

    pub async fn open_with(config: PeerConfig, offer: String) -> Self {
        // The real queues are made once and live as long as the phone.
        let inbound = Box::leak(Box::new(
            heapless::spsc::Queue::<RtpPacket, PACKET_QUEUE>::new(),
        ));
        let outbound = Box::leak(Box::new(
            heapless::spsc::Queue::<EncodedFrame, PACKET_QUEUE>::new(),
        ));
        let ((inbound, ear), (microphone, outbound)) = (inbound.split(), outbound.split());
        let (out, events) = mpsc::unbounded_channel();
        let sink = Arc::new(move |event| {
            let _ = out.send(event);
        });
        let peer = Peer::open(
            config,
            StreamPort {
                stream: 2,
                inbound,
                outbound,
                feedback: crate::audio::Feedback::default(),
            },
            offer,
            sink,
        )
        .await;
        Self {
            peer,
            events,
            seen: VecDeque::new(),
            ear,
            microphone,
        }
    }

    /// The next event that `pick` takes; the others are kept for later calls.
    pub async fn event<T>(&mut self, what: &str, pick: impl Fn(&PeerEvent) -> Option<T>) -> T {
        if let Some(index) = self.seen.iter().position(|event| pick(event).is_some()) {
            let event = self.seen.remove(index).expect("found");
            return pick(&event).expect("found");
        }
        loop {
            let event = soon(what, self.events.recv())
                .await
                .expect("the peer lives");
            if let Some(picked) = pick(&event) {
                return picked;
            }
            self.seen.push_back(event);
        }
    }

    pub async fn answer(&mut self) -> (String, Negotiated) {
        self.event("an answer", |event| match event {
            PeerEvent::Answered { sdp, negotiated } => Some((sdp.clone(), *negotiated)),
            PeerEvent::Failed(error) => panic!("{error}"),
            _ => None,
        })
        .await
    }

    pub async fn state(&mut self, wanted: ConnectionState) {
        self.event(&format!("{wanted:?}"), |event| {
            (*event == PeerEvent::Connection(wanted)).then_some(())
        })
        .await;
    }

    /// Hands the phone's candidates to the far end until there are no more.
    pub async fn trickle_to(&mut self, far: &FarEnd) {
        loop {
            let candidate = self
                .event("candidates", |event| match event {
                    PeerEvent::Candidate { mid, candidate } => {
                        assert!(!mid.is_empty());
                        Some(Some(candidate.clone()))
                    }
                    PeerEvent::GatheringComplete => Some(None),
                    _ => None,
                })
                .await;
            match candidate {
                Some(candidate) => far.candidate(candidate).await,
                None => return,
            }
        }
    }

    /// A frame from the microphone.
    pub fn speak(&mut self, payload: &[u8]) {
        let payload = heapless::Vec::from_slice(payload).expect("fits");
        let _ = self.microphone.enqueue(EncodedFrame {
            samples: 960,
            talk_spurt: false,
            payload,
        });
    }

    /// The next packet for the ear.
    pub async fn hear(&mut self) -> RtpPacket {
        soon("a packet for the ear", async {
            loop {
                if let Some(packet) = self.ear.dequeue() {
                    return packet;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }
}

/// A connected call.
pub struct Call {
    pub phone: Phone,
    pub far: FarEnd,
    pub answer: String,
    pub negotiated: Negotiated,
    /// Offer handed over until both sides said connected.
    pub took: Duration,
}

impl Call {
    pub async fn connect(far: FarEnd) -> Self {
        Self::connect_with(far, |offer| offer, true).await
    }

    pub async fn connect_with(
        mut far: FarEnd,
        change: impl Fn(String) -> String,
        with_candidates: bool,
    ) -> Self {
        let offer = change(far.offer(with_candidates, false).await);
        let start = Instant::now();
        let mut phone = Phone::open(offer).await;
        let (answer, negotiated) = phone.answer().await;
        far.answer(&answer).await;
        phone.trickle_to(&far).await;
        if !with_candidates {
            loop {
                match soon("candidates", far.events.recv()).await.expect("events") {
                    FarEvent::Candidate(candidate) => {
                        phone.peer.add_candidate("0", &candidate).await;
                    }
                    FarEvent::Gathered => break,
                    FarEvent::State(_) => {}
                }
            }
            phone.peer.end_of_candidates().await;
        }
        phone.state(ConnectionState::Connected).await;
        far.state(RTCPeerConnectionState::Connected).await;
        Self {
            phone,
            far,
            answer,
            negotiated,
            took: start.elapsed(),
        }
    }

    /// Offers anew, changed; returns the answer.
    pub async fn reoffer(
        &mut self,
        ice_restart: bool,
        change: impl Fn(String) -> String,
    ) -> (String, Negotiated) {
        let offer = change(self.far.offer(true, ice_restart).await);
        self.phone.peer.renegotiate(offer).await;
        self.phone.answer().await
    }

    /// Checks that sound goes both ways, on `payload_type`.
    pub async fn talk(&mut self, payload_type: u8) {
        let start = self.phone.peer.statistics();
        for index in 0..5u8 {
            self.phone.speak(&[index; 40]);
            let sent = loop {
                let packet = self.far.receive().await;
                if packet.payload.len() == 40 {
                    break packet;
                }
            };
            assert_eq!(
                (sent.header.payload_type, &sent.payload[..]),
                (payload_type, &[index; 40][..])
            );
            self.far.send(payload_type, &[100 + index; 30]).await;
            let heard = self.phone.hear().await;
            assert_eq!(
                (heard.content, &heard.payload[..]),
                (Content::Audio, &[100 + index; 30][..])
            );
            assert!(heard.arrival.elapsed() < PATIENCE);
        }
        let statistics = self.phone.peer.statistics();
        assert_eq!(statistics.packets_received - start.packets_received, 5);
        assert!(statistics.packets_sent - start.packets_sent >= 5);
    }
}
