//! The phone's side of the media: a WebRTC peer of the same stack that sends every packet it
//! gets back. So the far end hears what it says, and both directions are proven without a codec.

use std::sync::Arc;

use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceCandidateInit, RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription,
    Registry,
};

const SSRC: u32 = 0x0ff_400c;

pub struct Peer {
    connection: Arc<dyn PeerConnection>,
    pub happened: mpsc::UnboundedReceiver<Happened>,
}

pub enum Happened {
    Candidate(String),
    Connected,
}

impl Peer {
    pub async fn new() -> Self {
        let (sender, happened) = mpsc::unbounded_channel();
        let opus = RTCRtpCodec {
            mime_type: "audio/opus".to_owned(),
            clock_rate: 48_000,
            channels: 2,
            ..RTCRtpCodec::default()
        };
        let mut engine = MediaEngine::default();
        let parameters = RTCRtpCodecParameters {
            rtp_codec: opus.clone(),
            payload_type: 111,
        };
        engine
            .register_codec(parameters, RtpCodecKind::Audio)
            .unwrap();
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
                codec: opus,
                ..RTCRtpEncodingParameters::default()
            }],
        )));
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .build();
        let connection: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_media_engine(engine)
                .with_setting_engine(settings)
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_handler(Arc::new(Handler {
                    sender,
                    track: track.clone(),
                }))
                .with_udp_addrs(vec!["127.0.0.1:0"])
                .build()
                .await
                .unwrap(),
        );
        connection.add_track(track).await.unwrap();
        Self {
            connection,
            happened,
        }
    }

    pub async fn answer(&self, offer: &str) -> String {
        let offer = RTCSessionDescription::offer(offer.to_owned()).unwrap();
        self.connection.set_remote_description(offer).await.unwrap();
        let answer = self.connection.create_answer(None).await.unwrap();
        self.connection
            .set_local_description(answer.clone())
            .await
            .unwrap();
        let lines = answer.sdp.lines().filter(|line| {
            !line.starts_with("a=candidate") && !line.starts_with("a=end-of-candidates")
        });
        lines.flat_map(|line| [line, "\r\n"]).collect()
    }

    pub async fn candidate(&self, candidate: &str) {
        let init = RTCIceCandidateInit {
            candidate: candidate.to_owned(),
            sdp_mid: Some("audio".to_owned()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        self.connection.add_ice_candidate(init).await.unwrap();
    }
}

struct Handler {
    sender: mpsc::UnboundedSender<Happened>,
    track: Arc<TrackLocalStaticRTP>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if event.candidate.component == 1 {
            let candidate = event.candidate.to_json().unwrap().candidate;
            let _ = self.sender.send(Happened::Candidate(candidate));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.sender.send(Happened::Connected);
        }
    }

    async fn on_track(&self, remote: Arc<dyn TrackRemote>) {
        let track = self.track.clone();
        tokio::spawn(async move {
            while let Some(event) = remote.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(mut packet) = event {
                    packet.header.ssrc = SSRC;
                    packet.header.extension = false;
                    packet.header.extensions.clear();
                    if track.write_rtp(packet).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
