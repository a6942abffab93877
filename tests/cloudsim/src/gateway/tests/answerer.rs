//! A plain answering peer: as little as can answer, speak and listen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::rtp;
use rtc::rtp_transceiver::RTCRtpTransceiverDirection;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::sync::{mpsc, oneshot};
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceCandidateInit, RTCPeerConnectionIceEvent, RTCSessionDescription, Registry,
};

use crate::gateway::Codec;
use crate::gateway::codec::{Decoder, Encoder, FRAME};
use crate::gateway::far_end::Voice;
use crate::measure::to_i16;

const SSRC: u32 = 0x1234_5678;

pub(super) struct Answerer {
    peer: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    answer: String,
    pub(super) candidates: mpsc::UnboundedReceiver<String>,
    packets: mpsc::UnboundedReceiver<rtp::Packet>,
    speaking: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl Answerer {
    pub(super) async fn new(offer: &str, lacking: &[u8]) -> Self {
        let (candidates_in, candidates) = mpsc::unbounded_channel();
        let (packets_in, packets) = mpsc::unbounded_channel();
        let mut engine = MediaEngine::default();
        let mut first = None;
        for (payload_type, mime_type, clock_rate, channels) in [
            (111_u8, "audio/opus", 48_000, 2),
            (0, "audio/PCMU", 8_000, 0),
            (8, "audio/PCMA", 8_000, 0),
            (110, "audio/telephone-event", 48_000, 0),
            (101, "audio/telephone-event", 8_000, 0),
        ] {
            if lacking.contains(&payload_type)
                || !offer.contains(&format!("a=rtpmap:{payload_type} "))
            {
                continue;
            }
            let rtp_codec = RTCRtpCodec {
                mime_type: mime_type.to_owned(),
                clock_rate,
                channels,
                ..RTCRtpCodec::default()
            };
            first.get_or_insert(rtp_codec.clone());
            let parameters = RTCRtpCodecParameters {
                rtp_codec,
                payload_type,
            };
            engine
                .register_codec(parameters, RtpCodecKind::Audio)
                .unwrap();
        }
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();
        let peer: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_media_engine(engine)
                .with_setting_engine(settings)
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_handler(Arc::new(Handler {
                    candidates: candidates_in,
                    packets: packets_in,
                }))
                .with_udp_addrs(vec!["127.0.0.1:0"])
                .build()
                .await
                .unwrap(),
        );
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "phone".to_owned(),
            "phone-audio".to_owned(),
            "phone-audio".to_owned(),
            RtpCodecKind::Audio,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(SSRC),
                    ..RTCRtpCodingParameters::default()
                },
                codec: first.expect("the offer has no codec"),
                ..RTCRtpEncodingParameters::default()
            }],
        )));
        peer.add_track(track.clone()).await.unwrap();
        let mut answerer = Self {
            peer,
            track,
            answer: String::new(),
            candidates,
            packets,
            speaking: Arc::default(),
        };
        answerer.answer = answerer.renegotiate(offer).await;
        answerer
    }

    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    /// Answers an offer with the direction that fits it, which the stack does not do by itself,
    /// and with a version that rises by one.
    pub(super) async fn renegotiate(&mut self, offer: &str) -> String {
        let direction = if offer.contains("a=recvonly") {
            RTCRtpTransceiverDirection::Sendonly
        } else {
            RTCRtpTransceiverDirection::Sendrecv
        };
        let offer = RTCSessionDescription::offer(offer.to_owned()).unwrap();
        self.peer.set_remote_description(offer).await.unwrap();
        for transceiver in self.peer.get_transceivers().await {
            transceiver.set_direction(direction).await.unwrap();
        }
        let answer = self.peer.create_answer(None).await.unwrap();
        self.peer
            .set_local_description(answer.clone())
            .await
            .unwrap();
        let version = 1 + usize::from(!self.answer.is_empty());
        let sdp: Vec<String> = answer
            .sdp
            .lines()
            .filter(|line| !line.starts_with("a=candidate") && !line.contains("end-of-candidates"))
            .map(|line| match line {
                _ if line.starts_with("o=") => format!("o=- 1 {version} IN IP4 0.0.0.0"),
                _ => line.to_owned(),
            })
            .collect();
        self.answer = sdp.join("\r\n") + "\r\n";
        self.answer.clone()
    }

    pub(super) async fn candidate(&self, candidate: &str) {
        let init = RTCIceCandidateInit {
            candidate: candidate.to_owned(),
            sdp_mid: Some("audio".to_owned()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        self.peer.add_ice_candidate(init).await.unwrap();
    }

    pub(super) fn say_tone(&self, codec: Codec, hz: f32) {
        let tone = crate::gateway::FarEndSource::Tone { hz, dbfs: -20.0 };
        self.speak(codec, Voice::new(&tone).unwrap());
    }

    pub(super) fn say(&self, codec: Codec, samples: Vec<i16>) {
        self.speak(codec, Voice::Wav { samples, next: 0 });
    }

    fn speak(&self, codec: Codec, mut voice: Voice) {
        let (alive, mut stopped) = oneshot::channel();
        *self.speaking.lock().unwrap() = Some(alive);
        let track = self.track.clone();
        tokio::spawn(async move {
            let mut encoder = Encoder::new(codec, 0).unwrap();
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for n in 0_u32.. {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = &mut stopped => return,
                }
                let payload = encoder.encode(&voice.frame(&[])).unwrap();
                let timestamp = n * codec.clock_rate() / 50;
                let packet = packet(codec.payload_type(), n as u16, timestamp, payload);
                if track.write_rtp(packet).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Sends digits of 100 ms by RFC 4733, with two lost end packets out of three.
    pub(super) fn dial(&self, digits: &str, codec: Codec, payload_type: u8) {
        let track = self.track.clone();
        let unit = codec.clock_rate() / 100;
        let digits = digits.to_owned();
        tokio::spawn(async move {
            let mut sequence = 0;
            for (n, digit) in digits.chars().enumerate() {
                let event = "0123456789*#".find(digit).unwrap() as u8;
                for part in 1..=10_u32 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let end = if part == 10 { 0x80 } else { 0 };
                    let [high, low] = ((part * unit) as u16).to_be_bytes();
                    let payload = vec![event, end | 0x0a, high, low];
                    let timestamp = (n as u32 + 1) * 20 * unit;
                    let packet = packet(payload_type, sequence, timestamp, payload);
                    track.write_rtp(packet).await.unwrap();
                    sequence += 1;
                }
            }
        });
    }

    /// The next stretch of what the far end says, in sequence order.
    pub(super) async fn heard(&mut self, codec: Codec, seconds: f32) -> Vec<i16> {
        let wanted = (seconds * 48_000.0) as usize / FRAME;
        let mut packets = Vec::new();
        while packets.len() < wanted {
            let packet = tokio::time::timeout(Duration::from_secs(20), self.packets.recv());
            packets.push(
                packet
                    .await
                    .expect("no packet within 20 s")
                    .expect("the track ended"),
            );
        }
        let first = packets[0].header.sequence_number;
        packets.sort_by_key(|p| p.header.sequence_number.wrapping_sub(first));
        let mut decoder = Decoder::new(codec).unwrap();
        packets
            .iter()
            .flat_map(|packet| decoder.decode(&packet.payload).unwrap())
            .map(to_i16)
            .collect()
    }
}

fn packet(payload_type: u8, sequence: u16, timestamp: u32, payload: Vec<u8>) -> rtp::Packet {
    let mut packet = rtp::Packet {
        payload: payload.into(),
        ..rtp::Packet::default()
    };
    packet.header.version = 2;
    packet.header.ssrc = SSRC;
    packet.header.payload_type = payload_type;
    packet.header.sequence_number = sequence;
    packet.header.timestamp = timestamp;
    packet
}

struct Handler {
    candidates: mpsc::UnboundedSender<String>,
    packets: mpsc::UnboundedSender<rtp::Packet>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if event.candidate.component == 1 {
            let _ = self
                .candidates
                .send(event.candidate.to_json().unwrap().candidate);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let packets = self.packets.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = packets.send(packet);
                }
            }
        });
    }
}
