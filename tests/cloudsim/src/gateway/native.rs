//! The gateway's own WebRTC peer.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCOfferOptions;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::rtp_transceiver::RTCRtpTransceiverDirection;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use tokio::sync::mpsc;
use uuid::Uuid;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCConfigurationBuilder, RTCIceCandidateInit, RTCIceConnectionState, RTCIceGatheringState,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, Registry,
};

use super::config::{Codec, Direction, FarEndSource, LegConfig, LegEvent};
use super::events::Events;
use super::far_end::Voice;
use super::interceptor::{self, Tap, Wire};
use super::media::{Command, Media, Shared, epoch_ms, lock};
use super::mix::{Mix, Mixer, Patchbay};
use super::report::{LegReport, LegState};
use super::sdp;
use super::send::Sender;

/// Where candidates come from: every interface (a wildcard stands for each but loopback), and
/// loopback, because everything may run on one machine.
const BIND: [&str; 2] = ["0.0.0.0:0", "127.0.0.1:0"];
const BIND_LOOPBACK: [&str; 1] = ["127.0.0.1:0"];
const BIND_IPV6: [&str; 2] = ["[::]:0", "[::1]:0"];

/// A peer, its media task and what they share.
pub(super) struct Native {
    config: LegConfig,
    peer: Arc<dyn PeerConnection>,
    shared: Arc<Mutex<Shared>>,
    wire: Arc<Mutex<Wire>>,
    commands: mpsc::UnboundedSender<Command>,
    events: Events,
    negotiation: tokio::sync::Mutex<Negotiation>,
}

#[derive(Default)]
struct Negotiation {
    session: u64,
    version: u64,
    offer: Option<String>,
    answer: Option<String>,
    /// What the stack calls its section: it cannot be told to use another name.
    mid: String,
    /// Candidates that came before the answer.
    early: Vec<String>,
}

impl Native {
    pub(super) async fn new(config: LegConfig, events: Events) -> Result<Self> {
        let voice = load(config.far_end.clone()).await?;
        let ssrc = Uuid::new_v4().as_u128() as u32;
        let shared = Arc::new(Mutex::new(Shared::default()));
        {
            let mut shared = lock(&shared);
            shared.report.peer = "native".to_owned();
            shared.report.far_end = config.far_end.to_string();
        }
        let wire = Arc::new(Mutex::new(Wire::default()));
        let (arrivals_in, arrivals) = mpsc::unbounded_channel();
        let (commands, commands_out) = mpsc::unbounded_channel();
        let tap = Tap::new(wire.clone(), arrivals_in, config.lost_in_percent);
        let handler = Handler {
            events: events.clone(),
            shared: shared.clone(),
            commands: commands.clone(),
            ice_failed: AtomicBool::new(false),
            reached_at: config.reached_at,
        };
        let peer = build(&config, tap, handler).await?;
        let track = Arc::new(track(&config, ssrc));
        peer.add_track(track.clone())
            .await
            .context("adding the gateway's track")?;
        // Left alone, the stack offers nothing but the track's own codec.
        for transceiver in peer.get_transceivers().await {
            transceiver
                .set_codec_preferences(codecs(&config))
                .await
                .context("choosing the codecs to offer")?;
        }
        let media = Media {
            shared: shared.clone(),
            events: events.clone(),
            sender: Sender::new(track, config.network.as_ref()),
            ssrc,
            voice,
            record: config.record,
            expected_loss_percent: config.expected_loss_percent,
            telephone_event: telephone_event(&config),
        };
        tokio::spawn(media.run(arrivals, commands_out));
        Ok(Self {
            config,
            peer,
            shared,
            wire,
            commands,
            events,
            negotiation: tokio::sync::Mutex::new(Negotiation {
                // RFC 8829 section 5.2.1: 63 bits, random.
                session: (Uuid::new_v4().as_u128() >> 66) as u64,
                ..Negotiation::default()
            }),
        })
    }

    pub(super) async fn offer(&self, ice_restart: bool, direction: Direction) -> Result<String> {
        let mut negotiation = self.negotiation.lock().await;
        for transceiver in self.peer.get_transceivers().await {
            transceiver
                .set_direction(stack_direction(direction))
                .await
                .context("setting the direction")?;
        }
        let options = RTCOfferOptions { ice_restart };
        let offer = self
            .peer
            .create_offer(Some(options))
            .await
            .context("making the offer")?;
        self.peer
            .set_local_description(offer)
            .await
            .context("applying the own offer")?;
        let description = self
            .peer
            .local_description()
            .await
            .context("the stack has no local description")?;
        sdp::mid(&description.sdp)
            .context("the stack's offer has no a=mid")?
            .clone_into(&mut negotiation.mid);
        negotiation.version += 1;
        let shaped = sdp::shape_offer(
            &description.sdp,
            &self.config,
            negotiation.session,
            negotiation.version,
        );
        negotiation.offer = Some(shaped.clone());
        let mut shared = lock(&self.shared);
        shared
            .report
            .offered_at
            .get_or_insert(epoch_ms(Instant::now()));
        if shared.report.state == LegState::New {
            shared.report.state = LegState::Offered;
        }
        Ok(shaped)
    }

    pub(super) async fn answer(&self, answer: &str) -> Result<()> {
        let mut negotiation = self.negotiation.lock().await;
        let offer = negotiation
            .offer
            .as_deref()
            .context("an answer without an offer")?;
        let chosen = sdp::check_answer(offer, answer, negotiation.answer.as_deref())?;
        let description = RTCSessionDescription::answer(sdp::with_mid(answer, &negotiation.mid))
            .context("reading the answer")?;
        {
            let mut shared = lock(&self.shared);
            shared
                .report
                .answered_at
                .get_or_insert(epoch_ms(Instant::now()));
            if shared.report.state == LegState::Offered {
                shared.report.state = LegState::Connecting;
            }
        }
        self.command(Command::Negotiated {
            codec: chosen.codec,
            direction: chosen.direction,
        });
        self.peer
            .set_remote_description(description)
            .await
            .context("applying the answer")?;
        negotiation.answer = Some(answer.to_owned());
        for candidate in std::mem::take(&mut negotiation.early) {
            self.add(&candidate, &negotiation.mid).await?;
        }
        Ok(())
    }

    pub(super) async fn candidate(&self, candidate: &str, mid: &str) -> Result<()> {
        let Some(candidate) = sdp::check_candidate(candidate, mid)? else {
            return Ok(());
        };
        let mut negotiation = self.negotiation.lock().await;
        if negotiation.answer.is_none() {
            negotiation.early.push(candidate.to_owned());
            return Ok(());
        }
        self.add(candidate, &negotiation.mid).await
    }

    async fn add(&self, candidate: &str, mid: &str) -> Result<()> {
        self.peer
            .add_ice_candidate(RTCIceCandidateInit {
                candidate: candidate.to_owned(),
                sdp_mid: Some(mid.to_owned()),
                sdp_mline_index: Some(0),
                ..RTCIceCandidateInit::default()
            })
            .await
            .with_context(|| format!("adding the candidate {candidate:?}"))
    }

    pub(super) async fn set_far_end(&self, source: FarEndSource) -> Result<()> {
        if source == FarEndSource::Browser {
            bail!("a running call cannot move to a browser: its peer would be another");
        }
        let text = source.to_string();
        let voice = load(source).await?;
        self.command(Command::FarEnd(voice, text));
        Ok(())
    }

    pub(super) async fn set_mix(&self, mix: Option<Mix>, patchbay: Patchbay) -> Result<()> {
        let mixer = match mix {
            Some(mix) => {
                let made = tokio::task::spawn_blocking(move || Mixer::new(mix, patchbay));
                Some(made.await??)
            }
            None => None,
        };
        self.command(Command::Mix(mixer));
        Ok(())
    }

    pub(super) fn set_held(&self, held: bool) {
        self.command(Command::Held(held));
    }

    pub(super) fn set_muted(&self, muted: bool) {
        self.command(Command::Muted(muted));
    }

    fn command(&self, command: Command) {
        // The task runs for as long as this end of the channel is held.
        let _ = self.commands.send(command);
    }

    pub(super) fn report(&self) -> LegReport {
        let mut report = lock(&self.shared).report();
        let wire = lock(&self.wire);
        report.packets_out = wire.packets_out;
        report.bytes_out = wire.bytes_out;
        report.first_packet_out_at = wire.first_out.map(epoch_ms);
        report.rtcp_in = wire.rtcp_in;
        report.rtt_ms = wire.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0);
        report.remote_lost = wire.remote_lost;
        report
    }

    pub(super) fn recording(&self) -> Vec<i16> {
        lock(&self.shared).recording.clone()
    }

    pub(super) async fn close(&self) {
        if let Err(error) = self.peer.close().await {
            tracing::debug!(%error, "closing the gateway's peer");
        }
        lock(&self.shared).report.state = LegState::Closed;
        self.events.close();
    }
}

/// Reads and resamples a file off the runtime's threads.
async fn load(source: FarEndSource) -> Result<Voice> {
    tokio::task::spawn_blocking(move || Voice::new(&source)).await?
}

/// Payload type and clock rate of the one telephone-event that fits the first codec: with two of
/// them, stacks confuse their clock rates.
fn telephone_event(config: &LegConfig) -> Option<(u8, u32)> {
    let first = config.codecs.first().filter(|_| config.telephone_event)?;
    let payload_type = if first.clock_rate() == 48_000 {
        110
    } else {
        101
    };
    Some((payload_type, first.clock_rate()))
}

fn bind(config: &LegConfig) -> &'static [&'static str] {
    if config.reached_at.is_some() {
        // One address only: QEMU's user network writes a wrong sender on what comes from loopback while the phone
        // also sends to another address of this machine.
        &BIND_LOOPBACK
    } else if config.ipv6 {
        &BIND_IPV6
    } else {
        &BIND
    }
}

async fn build(config: &LegConfig, tap: Tap, handler: Handler) -> Result<Arc<dyn PeerConnection>> {
    let mut engine = MediaEngine::default();
    for codec in codecs(config) {
        engine
            .register_codec(codec, RtpCodecKind::Audio)
            .context("registering a codec")?;
    }
    let registry = configure_rtcp_reports(Registry::new()).with(interceptor::SLOT.into(), tap);
    let settings = SettingEngineBuilder::new()
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build();
    let peer = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::default().build())
        .with_media_engine(engine)
        .with_setting_engine(settings)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(handler))
        .with_udp_addrs(bind(config).to_vec())
        .build()
        .await
        .context("making the gateway's peer")?;
    Ok(Arc::new(peer))
}

/// Everything offered, in order.
fn codecs(config: &LegConfig) -> Vec<RTCRtpCodecParameters> {
    let parameters = |rtp_codec, payload_type| RTCRtpCodecParameters {
        rtp_codec,
        payload_type,
    };
    let audio = config
        .codecs
        .iter()
        .map(|codec| parameters(rtp_codec(*codec), codec.payload_type()));
    let event = telephone_event(config).map(|(payload_type, clock_rate)| {
        let codec = RTCRtpCodec {
            mime_type: "audio/telephone-event".to_owned(),
            clock_rate,
            channels: 0,
            sdp_fmtp_line: "0-15".to_owned(),
            rtcp_feedback: Vec::new(),
        };
        parameters(codec, payload_type)
    });
    audio.chain(event).collect()
}

fn rtp_codec(codec: Codec) -> RTCRtpCodec {
    let (channels, fmtp) = match codec {
        Codec::Opus => (2, "minptime=10;useinbandfec=1"),
        // One channel is left unsaid (RFC 8866 section 6.6).
        Codec::Pcmu | Codec::Pcma => (0, ""),
    };
    RTCRtpCodec {
        mime_type: format!("audio/{}", codec.name()),
        clock_rate: codec.clock_rate(),
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: Vec::new(),
    }
}

pub(super) fn track(config: &LegConfig, ssrc: u32) -> TrackLocalStaticRTP {
    let codec = rtp_codec(config.codecs.first().copied().unwrap_or(Codec::Opus));
    TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "gateway".to_owned(),
        "gateway-audio".to_owned(),
        "gateway-audio".to_owned(),
        RtpCodecKind::Audio,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..RTCRtpCodingParameters::default()
            },
            codec,
            ..RTCRtpEncodingParameters::default()
        }],
    ))
}

fn stack_direction(direction: Direction) -> RTCRtpTransceiverDirection {
    match direction {
        Direction::SendRecv => RTCRtpTransceiverDirection::Sendrecv,
        Direction::SendOnly => RTCRtpTransceiverDirection::Sendonly,
        Direction::RecvOnly => RTCRtpTransceiverDirection::Recvonly,
        Direction::Inactive => RTCRtpTransceiverDirection::Inactive,
    }
}

/// The stack's callbacks. It awaits them inside its own loop, so none of them waits.
struct Handler {
    events: Events,
    shared: Arc<Mutex<Shared>>,
    commands: mpsc::UnboundedSender<Command>,
    ice_failed: AtomicBool,
    reached_at: Option<IpAddr>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(json)
                if json
                    .candidate
                    .strip_prefix("candidate:")
                    .is_some_and(sdp::is_usable) =>
            {
                let candidate = match self.reached_at {
                    Some(address) => json
                        .candidate
                        .replace(" 127.0.0.1 ", &format!(" {address} ")),
                    None => json.candidate,
                };
                self.events.send(LegEvent::Candidate(candidate));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a local candidate without a text form"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.events.send(LegEvent::EndOfCandidates);
        }
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        self.ice_failed
            .store(state == RTCIceConnectionState::Failed, Ordering::Relaxed);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let state = match state {
            RTCPeerConnectionState::Connected => {
                lock(&self.shared)
                    .report
                    .connected_at
                    .get_or_insert(epoch_ms(Instant::now()));
                let _ = self.commands.send(Command::Connected);
                self.events.send(LegEvent::Connected);
                LegState::Connected
            }
            RTCPeerConnectionState::Disconnected => LegState::Disconnected,
            RTCPeerConnectionState::Failed => {
                let what = if self.ice_failed.load(Ordering::Relaxed) {
                    "ICE failed: no candidate pair works, or the phone stopped answering"
                } else {
                    "DTLS failed"
                };
                lock(&self.shared).report.error = Some(what.to_owned());
                self.events.send(LegEvent::Failed(what.to_owned()));
                LegState::Failed
            }
            RTCPeerConnectionState::Closed => LegState::Closed,
            _ => return,
        };
        lock(&self.shared).report.state = state;
        if state == LegState::Closed {
            self.events.close();
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        // Packets are taken at the tap; this queue must be emptied all the same, or the stack
        // complains about every packet.
        tokio::spawn(async move { while track.poll().await.is_some() {} });
    }
}
