//! Offers in the middle of a call, with sound going both ways all the while.

use super::rig::{Call, FarEnd, FarEvent, soon};
use super::{direction, value};
use crate::media::{ConnectionState, PeerEvent, Statistics};
use std::time::{Duration, Instant};
use webrtc::peer_connection::{RTCPeerConnectionState, SettingEngineBuilder};

const FRAME: Duration = Duration::from_millis(20);

/// What a stretch of talking was like.
struct Talked {
    /// The phone's figures of it.
    figures: Statistics,
    /// Sequence numbers the far end heard.
    heard: Vec<u16>,
    /// Longest time without a packet for the ear.
    longest_silence: Duration,
}

impl Talked {
    /// Nobody missed anything.
    fn check_whole(&self) {
        assert_eq!(self.figures.packets_lost, 0, "{:?}", self.figures);
        assert_eq!(self.figures.queue_drops, 0, "{:?}", self.figures);
        for pair in self.heard.windows(2) {
            assert_eq!(pair[1], pair[0].wrapping_add(1), "{:?}", self.heard);
        }
    }
}

/// Both talk while `count` frames pass; each of `offers` comes with the frame of that number.
async fn talk_through(call: &mut Call, count: usize, offers: &[(usize, String)]) -> Talked {
    let before = call.phone.peer.statistics();
    let _ = call.far.received();
    let mut heard = Vec::new();
    let mut last_packet = Instant::now();
    let mut longest_silence = Duration::ZERO;
    let mut tick = tokio::time::interval(FRAME);
    for index in 0..count {
        tick.tick().await;
        for (_, offer) in offers.iter().filter(|(when, _)| *when == index) {
            call.phone.peer.renegotiate(offer.clone()).await;
        }
        call.phone.speak(&[7; 20]);
        call.far.send(111, &[9; 20]).await;
        while call.phone.ear.dequeue().is_some() {
            longest_silence = longest_silence.max(last_packet.elapsed());
            last_packet = Instant::now();
        }
        heard.extend(
            call.far
                .received()
                .iter()
                .map(|packet| packet.header.sequence_number),
        );
    }
    // What is still on its way.
    tokio::time::sleep(FRAME * 5).await;
    while call.phone.ear.dequeue().is_some() {}
    heard.extend(
        call.far
            .received()
            .iter()
            .map(|packet| packet.header.sequence_number),
    );
    Talked {
        figures: call.phone.peer.statistics().since(&before),
        heard,
        longest_silence,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renegotiation_with_the_same_ice_costs_no_packet() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let offer = call.far.offer(true, false).await;
    let offers: Vec<_> = (1..=5).map(|index| (index * 10, offer.clone())).collect();
    let talked = talk_through(&mut call, 60, &offers).await;
    talked.check_whole();
    assert_eq!(talked.figures.packets_received, 60);
    // The audio thread's first frame may find the sender between two looks at its queue.
    assert!(talked.heard.len() >= 59, "{}", talked.heard.len());
    for _ in 0..5 {
        let (answer, _) = call.phone.answer().await;
        assert_eq!(
            value(&answer, "a=ice-ufrag:"),
            value(&call.answer, "a=ice-ufrag:")
        );
        assert_eq!(direction(&answer), "sendrecv");
    }
    while let Ok(event) = call.phone.events.try_recv() {
        assert!(
            !matches!(event, PeerEvent::Connection(_) | PeerEvent::Failed(_)),
            "{event:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_of_a_restart_may_come_before_its_offer() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    while call.far.events.try_recv().is_ok() {}
    let offer = call.far.offer(false, true).await;
    let bare: Vec<&str> = offer
        .lines()
        .filter(|line| !line.starts_with("a=candidate"))
        .collect();
    let offer = bare.join("\r\n") + "\r\n";
    let ufrag = value(&offer, "a=ice-ufrag:").to_owned();
    assert_ne!(ufrag, value(&call.answer, "a=ice-ufrag:"));
    // The far end's own, as it would trickle them, with their generation.
    let address = call.far.address().await;
    for line in [
        format!(
            "candidate:1 1 udp 2130706431 {} {} typ host ufrag {ufrag}",
            address.ip(),
            address.port()
        ),
        // Of a generation nobody knows: left out for good.
        "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host ufrag zzzz".to_owned(),
    ] {
        call.phone.peer.add_candidate("0", &line).await;
    }
    call.phone.peer.end_of_candidates().await;
    let start = Instant::now();
    call.phone.peer.renegotiate(offer).await;
    let (answer, _) = call.phone.answer().await;
    assert_ne!(
        value(&answer, "a=ice-ufrag:"),
        value(&call.answer, "a=ice-ufrag:")
    );
    call.far.answer(&answer).await;
    call.phone.state(ConnectionState::Connecting).await;
    call.phone.state(ConnectionState::Connected).await;
    println!(
        "connected {:?} after the offer of the restart",
        start.elapsed()
    );
    // The far end takes some milliseconds more: what the phone says meanwhile may be lost.
    let talked = talk_through(&mut call, 20, &[]).await;
    talked.check_whole();
    assert!(talked.heard.len() >= 18, "{}", talked.heard.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_ice_keeps_the_connection_and_its_counters() {
    let mut call = Call::connect(FarEnd::usual().await).await;
    call.talk(111).await;
    let before = call.phone.peer.statistics();
    for round in 0..3 {
        let (answer, _) = call.reoffer(true, |offer| offer).await;
        call.far.answer(&answer).await;
        call.phone.state(ConnectionState::Connecting).await;
        call.phone.state(ConnectionState::Connected).await;
        // What it says before is lost on its own side.
        call.far.state(RTCPeerConnectionState::Connected).await;
        let talked = talk_through(&mut call, 20, &[]).await;
        talked.check_whole();
        assert!(
            talked.heard.len() >= 18,
            "round {round}: {}",
            talked.heard.len()
        );
        println!(
            "longest silence after a restart: {:?}",
            talked.longest_silence
        );
    }
    let after = call.phone.peer.statistics().since(&before);
    assert_eq!(after.packets_received, 60);
    assert_eq!(after.packets_lost, 0);
}

#[tokio::test]
async fn a_call_goes_over_ipv6() {
    let far = FarEnd::at("[::1]:0", super::rig::USUAL, SettingEngineBuilder::new()).await;
    let mut call = Call::connect(far).await;
    call.talk(111).await;
    let told = call
        .answer
        .lines()
        .any(|line| line.contains("candidate") && line.contains("::1"));
    assert!(!told, "candidates trickle");
    soon("the far end's view", async {
        while let Ok(event) = call.far.events.try_recv() {
            if let FarEvent::Candidate(candidate) = event {
                assert!(candidate.contains("::1"), "{candidate}");
            }
        }
    })
    .await;
}
