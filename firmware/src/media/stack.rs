//! Making the stack's peer connection.

use super::line::Line;
use super::runtime::{PhoneRuntime, Signals};
use super::sdp::{Candidate, CandidateKind, STACK_AUDIO, STACK_KEYS, Setup};
use super::tap::Tap;
use super::turn::Bridges;
use super::{MediaError, PeerConfig};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCConfigurationBuilder, RTCIceTransportPolicy, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::RtpSender;

/// Pace of the ICE checks. RFC 8445 section 14.2 asks for no less than 50 ms between two transactions; the stack's
/// own 200 ms made the second check of a pair, when the first was early or lost, come that much later.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Checks of one pair before it is given up: 10 s of them. The far end may get our answer late.
const CHECKS_PER_PAIR: u16 = 200;
/// No answer of the far end for this long: disconnected, as in browsers.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(5);
/// Disconnected for this long, or this and the above without a connection at first: failed.
const FAILED_AFTER: Duration = Duration::from_secs(25);
/// Consent checks (RFC 7675 section 5.1 wants them at most 5 s apart).
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How long a direct path is waited for when a relayed one already works and we choose (an ICE-lite far end). The
/// stack waits 500 ms for reflexive, 1 s for peer-reflexive and 2 s for relayed ones.
const RELAY_PATIENCE: Duration = Duration::from_millis(200);
/// Where our interceptor stands in the stack's chain; alone, so anywhere.
const TAP_SLOT: usize = 10_500;

/// The stack's objects for one peer.
pub(super) struct Stack {
    pub connection: Arc<dyn PeerConnection>,
    pub sender: Arc<dyn RtpSender>,
    pub track: Arc<TrackLocalStaticRTP>,
    pub signals: Arc<Signals>,
}

impl Stack {
    /// A connection with our audio track, ready for an offer.
    pub(super) async fn build(
        config: &PeerConfig,
        setup: Setup,
        ssrc: u32,
        line: Arc<Line>,
        bridges: Arc<Bridges>,
        handler: Arc<dyn PeerConnectionEventHandler>,
    ) -> Result<Self, MediaError> {
        let mut engine = MediaEngine::default();
        register(&mut engine, "audio/opus", 2, STACK_AUDIO)?;
        register(&mut engine, "audio/telephone-event", 0, STACK_KEYS)?;

        let patience = if config.relay_only {
            Duration::ZERO
        } else {
            RELAY_PATIENCE
        };
        let settings = SettingEngineBuilder::new()
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_ice_timeouts(
                Some(DISCONNECTED_AFTER),
                Some(FAILED_AFTER),
                Some(KEEPALIVE),
            )
            .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(CHECKS_PER_PAIR))
            .with_host_acceptance_min_wait(Some(Duration::ZERO))
            .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_relay_acceptance_min_wait(Some(patience))
            .with_answering_dtls_role(if setup == Setup::Passive {
                RTCDtlsRole::Server
            } else {
                RTCDtlsRole::Client
            })
            .build();
        let configuration = RTCConfigurationBuilder::default()
            .with_ice_servers(bridges.for_stack())
            .with_ice_transport_policy(if config.relay_only {
                RTCIceTransportPolicy::Relay
            } else {
                RTCIceTransportPolicy::All
            })
            .build();
        let (runtime, signals) = PhoneRuntime::new(bridges);
        let making = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_media_engine(engine)
            .with_setting_engine(settings)
            .with_interceptor_registry(
                Registry::new().with(Slot::from(TAP_SLOT), Tap::new(line, ssrc)),
            )
            .with_runtime(runtime)
            .with_handler(handler)
            .with_udp_addrs(bind_addresses(config))
            .build();
        // Boxed: it is 20 kB.
        let connection = Box::pin(making)
            .await
            .map_err(failed("making the peer connection"))?;
        let track = Arc::new(TrackLocalStaticRTP::new(own_track(ssrc)));
        let sender = connection
            .add_track(Arc::clone(&track) as Arc<dyn TrackLocal>)
            .await
            .map_err(failed("adding the microphone's track"))?;
        Ok(Self {
            connection: Arc::new(connection),
            sender,
            track,
            signals,
        })
    }
}

/// Wraps an error of the stack.
pub(super) fn failed<E: Display>(what: &'static str) -> impl FnOnce(E) -> MediaError {
    move |error| MediaError::Stack {
        what,
        detail: error.to_string(),
    }
}

/// A candidate of ours as it is told to the far end, if it is (genesys-protocol 5.3).
pub(super) fn told(
    config: &PeerConfig,
    bridges: &Bridges,
    mut candidate: Candidate,
) -> Option<Candidate> {
    let address = candidate.address;
    let relayed = candidate.kind == CandidateKind::Relay;
    if address.is_unspecified()
        || (address.is_loopback() && !config.loopback)
        || (config.relay_only && !relayed)
        || (candidate.kind == CandidateKind::Host && address.is_ipv6() && !config.ipv6)
    {
        return None;
    }
    if relayed {
        candidate.priority = bridges.priority(&candidate);
    }
    if config.relay_only {
        // Who may only be reached by a relay does not tell where it is (RFC 8839 section 5.1, "raddr").
        let nowhere = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        candidate.related = Some((nowhere, 9));
    }
    Some(candidate)
}

fn register(
    engine: &mut MediaEngine,
    mime_type: &str,
    channels: u16,
    payload_type: u8,
) -> Result<(), MediaError> {
    let codec = RTCRtpCodecParameters {
        rtp_codec: codec(mime_type, channels),
        payload_type,
    };
    engine
        .register_codec(codec, RtpCodecKind::Audio)
        .map_err(failed("registering the codecs"))
}

fn codec(mime_type: &str, channels: u16) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate: 48_000,
        channels,
        ..Default::default()
    }
}

fn own_track(ssrc: u32) -> MediaStreamTrack {
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            ..Default::default()
        },
        active: true,
        codec: codec("audio/opus", 2),
        ..Default::default()
    };
    let name = || "audio".to_owned();
    MediaStreamTrack::new(
        "offhook".to_owned(),
        name(),
        name(),
        RtpCodecKind::Audio,
        vec![encoding],
    )
}

/// One socket per usable interface address. Link-local addresses reach nobody who is not told the interface.
pub(super) fn bind_addresses(config: &PeerConfig) -> Vec<SocketAddr> {
    let interfaces = rtc::shared::ifaces::ifaces().unwrap_or_else(|error| {
        warn!(%error, "the network interfaces cannot be listed");
        Vec::new()
    });
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in interfaces
        .into_iter()
        .filter_map(|interface| interface.addr)
        .map(|address| address.ip())
    {
        let wanted = !address.is_unspecified()
            && (config.loopback || !address.is_loopback())
            && match address {
                IpAddr::V4(address) => !address.is_link_local(),
                IpAddr::V6(address) => config.ipv6 && !address.is_unicast_link_local(),
            };
        if wanted && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        // Off the network. A socket is needed all the same; its candidate is not told.
        addresses.push(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if config.ipv6 {
            addresses.push(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        }
    }
    addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_told_by_the_rules() {
        let check = |line: &str, loopback, ipv6, expected: bool| {
            let candidate = Candidate::parse(line).expect(line);
            let config = PeerConfig {
                loopback,
                ipv6,
                ..Default::default()
            };
            let bridges = Bridges::new(&config, true);
            let found = told(&config, &bridges, candidate.clone());
            assert_eq!(found, expected.then_some(candidate), "{line}");
        };
        let host = |address: &str| format!("candidate:1 1 udp 1 {address} 5000 typ host");
        check(&host("192.168.1.5"), false, false, true);
        check(&host("127.0.0.1"), false, false, false);
        check(&host("127.0.0.1"), true, false, true);
        check(&host("2001:db8::1"), false, false, false);
        check(&host("2001:db8::1"), false, true, true);
        check(&host("0.0.0.0"), false, false, false);
        let relay = "candidate:1 1 udp 1 2001:db8::1 5000 typ relay raddr :: rport 9";
        check(relay, false, false, true);
    }

    #[test]
    fn who_may_only_be_relayed_does_not_tell_where_it_is() {
        let check = |line: &str, expected: Option<&str>| {
            let config = PeerConfig {
                relay_only: true,
                ipv6: true,
                loopback: true,
                ..Default::default()
            };
            let bridges = Bridges::new(&config, true);
            let found = told(&config, &bridges, Candidate::parse(line).expect(line));
            assert_eq!(
                found.map(|candidate| candidate.to_string()).as_deref(),
                expected
            );
        };
        check("candidate:1 1 udp 1 192.168.1.5 5000 typ host", None);
        check(
            "candidate:1 1 udp 1 203.0.113.9 5000 typ srflx raddr 192.168.1.5 rport 5000",
            None,
        );
        check(
            "candidate:1 1 udp 1 203.0.113.4 5000 typ relay raddr 192.168.1.5 rport 5000",
            Some("candidate:1 1 udp 1 203.0.113.4 5000 typ relay raddr 0.0.0.0 rport 9"),
        );
        check(
            "candidate:1 1 udp 1 2001:db8::4 5000 typ relay raddr 2001:db8::5 rport 5000",
            Some("candidate:1 1 udp 1 2001:db8::4 5000 typ relay raddr :: rport 9"),
        );
    }

    #[test]
    fn loopback_is_bound_only_when_asked_for() {
        let has_loopback = |loopback| {
            let config = PeerConfig {
                loopback,
                ..Default::default()
            };
            bind_addresses(&config)
                .iter()
                .any(|address| address.ip().is_loopback())
        };
        assert!(!has_loopback(false));
        assert!(has_loopback(true));
    }
}
