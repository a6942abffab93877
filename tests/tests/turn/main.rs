//! Calls through a real TURN server, over UDP, TCP and TLS: the phone's own peer against the simulator's gateway and
//! Debian's coturn.

mod call;
mod coturn;
mod front_door;
mod walled;

use call::{Call, soon};
use coturn::{Coturn, PASSWORD, USER, tls};
use offhook::media::{ConnectionState, IceServer, MediaError, PeerConfig};
use std::time::{Duration, Instant};

/// Packets of 20 ms that a call must carry both ways.
const PACKETS: u64 = 100;

fn server(url: String, password: &str) -> IceServer {
    IceServer {
        url,
        username: USER.into(),
        credential: password.to_owned().into(),
    }
}

fn relay_only(server: IceServer, coturn: &Coturn) -> PeerConfig {
    PeerConfig {
        ice_servers: vec![server],
        relay_only: true,
        loopback: true,
        ipv6: true,
        tls: Some(tls(&coturn.certificate())),
        frame_ms: 20,
        longest_frame_ms: 60,
    }
}

fn priority(candidate: &str) -> u32 {
    let word = candidate.split(' ').nth(3).expect("a priority");
    word.parse().expect("a number")
}

/// A call that may only be relayed; returns the priority it told.
async fn goes_by_relay(address: &str, carrier: &str) -> u32 {
    let coturn = Coturn::start(address, "127.0.0.1").await;
    let started = Instant::now();
    let config = relay_only(server(coturn.url(carrier), PASSWORD), &coturn);
    let mut call = Call::connect(config).await.expect("a call");
    let took = started.elapsed();
    assert!(!call.candidates.is_empty());
    for candidate in &call.candidates {
        // What the server gave, and nothing of where the phone is.
        assert!(candidate.contains(" 127.0.0.1 "), "{candidate}");
        assert!(
            candidate.ends_with(" typ relay raddr 0.0.0.0 rport 9"),
            "{candidate}"
        );
    }
    let priority = priority(&call.candidates[0]);
    let figures = call.talk(PACKETS).await;
    println!("{carrier} at {address}: connected after {took:?}, {figures:?}");

    // The far end's goodbye is seen inside what the server relays.
    let hung_up = Instant::now();
    call.leg.close().await;
    call.phone.state(ConnectionState::Closed).await;
    println!("the goodbye came after {:?}", hung_up.elapsed());
    assert!(
        hung_up.elapsed() < Duration::from_secs(3),
        "{:?}",
        hung_up.elapsed()
    );
    call.phone.close().await;

    // The allocation is given back, and the server tells what it has carried.
    let relayed = soon("the end of the allocation", async {
        loop {
            let packets = peer_packets(&coturn.log());
            if packets.0 >= PACKETS && packets.1 >= PACKETS {
                return packets;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    println!("coturn carried {relayed:?} packets from and to the far end");
    priority
}

/// Packets coturn says it has received from and sent to peers, over all sessions that ended.
fn peer_packets(log: &str) -> (u64, u64) {
    let figure = |line: &str, name: &str| -> u64 {
        line.split([' ', ','])
            .find_map(|word| word.strip_prefix(name)?.parse().ok())
            .unwrap_or(0)
    };
    log.lines()
        .filter(|line| line.contains("peer usage:"))
        .fold((0, 0), |(received, sent), line| {
            (received + figure(line, "rp="), sent + figure(line, "sp="))
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_by_relay_over_udp() {
    let priority = goes_by_relay("127.0.0.1", "udp").await;
    assert!(priority > 0xff_0000, "{priority}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_by_relay_over_tcp() {
    let priority = goes_by_relay("127.0.0.1", "tcp").await;
    assert!((0x40_0000..0xff_0000).contains(&priority), "{priority}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_by_relay_over_tls() {
    let priority = goes_by_relay("127.0.0.1", "tls").await;
    assert!((1..0x40_0000).contains(&priority), "{priority}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_by_relay_over_ipv6() {
    for carrier in ["udp", "tcp", "tls"] {
        goes_by_relay("::1", carrier).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_are_there_beside_the_direct_way_in_order_of_preference() {
    let coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    let carriers = ["tls", "tcp", "udp"];
    let config = PeerConfig {
        ice_servers: carriers
            .map(|carrier| server(coturn.url(carrier), PASSWORD))
            .to_vec(),
        relay_only: false,
        ..relay_only(server(coturn.url("udp"), PASSWORD), &coturn)
    };
    let mut call = Call::connect(config).await.expect("a call");
    call.talk(PACKETS).await;
    // The direct way is up before the relays are: those still come.
    soon("three relays", async {
        while relays(&call.candidates).len() < 3 {
            if let offhook::media::PeerEvent::Candidate { candidate, .. } =
                call.phone.events.recv().await.expect("the peer lives")
            {
                call.candidates.push(candidate);
            }
        }
    })
    .await;
    assert!(
        call.candidates
            .iter()
            .any(|candidate| candidate.ends_with("typ host"))
    );
    let mut found = relays(&call.candidates);
    found.sort_unstable();
    assert_eq!(found, [0x3f_ffff, 0x7f_ffff, 0xff_ffff]);
    call.phone.close().await;
}

/// The different priorities of relayed candidates.
fn relays(candidates: &[String]) -> Vec<u32> {
    let mut found: Vec<u32> = candidates
        .iter()
        .filter(|candidate| candidate.contains("typ relay"))
        .map(|candidate| priority(candidate))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A call that may only be relayed and cannot be: says why, and how long that took.
async fn fails(config: PeerConfig) -> (String, Duration) {
    let started = Instant::now();
    let Err(error) = Call::connect(config).await else {
        panic!("there is a call");
    };
    assert!(matches!(error, MediaError::NoRelay { .. }), "{error}");
    println!("{error} ({:?})", started.elapsed());
    (error.to_string(), started.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_ends_the_call_with_its_reason() {
    let coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    for carrier in ["udp", "tcp", "tls"] {
        let config = relay_only(server(coturn.url(carrier), "wrong"), &coturn);
        let (why, took) = fails(config).await;
        assert!(why.contains("user name or the password (401"), "{why}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_ends_the_call_with_its_reason() {
    let mut coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    coturn.kill();
    for (carrier, expected) in [
        ("tcp", "cannot be reached"),
        ("tls", "cannot be reached"),
        ("udp", "does not answer"),
    ] {
        let config = relay_only(server(coturn.url(carrier), PASSWORD), &coturn);
        let (why, took) = fails(config).await;
        assert!(why.contains(expected), "{why}");
        assert!(took < Duration::from_secs(12), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_trusted_is_not_used() {
    let coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    let other = Coturn::start("127.0.0.1", "127.0.0.1").await;
    let mut config = relay_only(server(coturn.url("tls"), PASSWORD), &other);
    let (why, _) = fails(config.clone()).await;
    assert!(why.contains("TLS") && why.contains("certificate"), "{why}");
    config.tls = None;
    let (why, _) = fails(config).await;
    assert!(why.contains("TLS is not set up"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn relayed_only_without_a_server_ends_at_once() {
    let config = PeerConfig {
        relay_only: true,
        loopback: true,
        frame_ms: 20,
        ..Default::default()
    };
    let (why, took) = fails(config).await;
    assert!(why.contains("none is offered"), "{why}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_in_a_call_is_noticed() {
    let mut coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    let config = relay_only(server(coturn.url("tls"), PASSWORD), &coturn);
    let mut call = Call::connect(config).await.expect("a call");
    call.talk(PACKETS).await;
    coturn.kill();
    call.phone.state(ConnectionState::Disconnected).await;
    call.phone.close().await;
}
