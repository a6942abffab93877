//! Relayed calls of the whole phone, through hook, keys and wire: the cloud tells of a relay and of no STUN service, so
//! the phone may use nothing else (genesys-protocol 5.5).

use crate::coturn::Coturn;
use crate::peer_packets;
use offhook_cloudsim::spec::{InboundSpec, Options, OutboundSpec, TurnServer, UserSpec};
use offhook_cloudsim::{LogEntry, LogKind};
use offhook_tests::{PATIENCE, PhoneOptions, Rig};
use std::time::Duration;

/// Packets of 20 ms that must go each way.
const PACKETS: u64 = 50;

async fn rig(coturn: &Coturn, turn: Vec<TurnServer>) -> Rig {
    let user = UserSpec {
        force_turn: true,
        turn,
        ..UserSpec::named("Agent One")
    };
    let options = PhoneOptions {
        trust: std::fs::read_to_string(coturn.certificate()).expect("a certificate"),
        ..PhoneOptions::default()
    };
    Rig::with(Options::default(), user, options).await
}

/// Talks, hangs up, and looks at what the relay has carried.
async fn is_relayed(rig: &Rig, call: &str, coturn: &Coturn) {
    rig.sound_goes_on(call).await;
    rig.wait_media(call, |leg| leg.packets_in > PACKETS).await;
    let log = rig.sim.log();
    let told = candidates(&log);
    assert!(!told.is_empty());
    for candidate in &told {
        assert!(candidate.contains("typ relay"), "{candidate}");
    }
    let before = peer_packets(&coturn.log());
    rig.hang_up(call).await;
    rig.no_call().await;
    crate::soon("the end of the allocation", async {
        loop {
            let packets = peer_packets(&coturn.log());
            if packets.0 >= before.0 + PACKETS && packets.1 >= before.1 + PACKETS {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// The candidates the phone has sent.
fn candidates(log: &[LogEntry]) -> Vec<&str> {
    log.iter()
        .filter(|entry| entry.kind == LogKind::FrameIn && entry.text.contains("candidate:"))
        .map(|entry| entry.text.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_and_a_call_out_are_relayed_by_every_way_to_the_relay() {
    for carrier in ["udp", "tcp", "tls"] {
        eprintln!("{carrier}");
        let coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
        let rig = rig(&coturn, vec![coturn.service(carrier)]).await;
        let call = rig.answered(&InboundSpec::to(&rig.user)).await;
        is_relayed(&rig, &call, &coturn).await;

        rig.sim.outbound_defaults(OutboundSpec {
            answer_after: Some(Duration::from_millis(300)),
            ..OutboundSpec::default()
        });
        let call = rig.dial("5550100").await;
        rig.connected(&call).await;
        is_relayed(&rig, &call, &coturn).await;
        rig.end().await;
    }
}

/// Nothing can be relayed: the call ends with the reason, and the phone says it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_relay_carries_ends_with_its_reason() {
    let mut coturn = Coturn::start("127.0.0.1", "127.0.0.1").await;
    let rig = rig(&coturn, vec![coturn.service("tcp")]).await;
    coturn.kill();
    let call = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.lift().await;
    let error = rig.phone.api.wait_event("sdkError", |_| true).await;
    assert_eq!(error["type"], "media", "{error}");
    let text = error["message"].as_str().unwrap_or_default();
    assert!(text.contains("TURN server"), "{error}");
    rig.ended(&call).await;
    rig.no_call().await;
    let done = rig.sim.wait_until_online(&rig.user.user_id, PATIENCE).await;
    done.expect("the phone is still there");
    rig.phone.stop();
}
