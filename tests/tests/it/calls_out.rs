//! Outbound calls: dial tone, digits, ringing tone, talk; in every order of REST reply, propose and event.

use offhook::device::config::Config;
use offhook_cloudsim::CallState;
use offhook_cloudsim::spec::{Form, OutboundSpec, OutboundStep};
use offhook_tests::{PATIENCE, PhoneOptions, Rig};
use serde_json::json;
use std::time::Duration;

/// The far end answers by itself soon.
fn answering(order: [OutboundStep; 3], form: Form) -> OutboundSpec {
    OutboundSpec {
        order,
        form,
        gap: Duration::from_millis(120),
        answer_after: Some(Duration::from_millis(300)),
        ..OutboundSpec::default()
    }
}

/// Lift, dial, `#`, talk, hang up.
async fn dials_talks_ends(order: [OutboundStep; 3], form: Form) {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.sim.outbound_defaults(answering(order, form));
    let call = rig.dial("5550100").await;
    rig.connected(&call).await;
    let status = rig
        .phone
        .api
        .wait_status("talking", |s| {
            s["calls"][0]["media"]["packetsReceived"].as_u64() > Some(30)
        })
        .await;
    assert_eq!(status["calls"][0]["direction"], "outbound");
    assert_eq!(status["calls"][0]["state"], "connected");
    assert_eq!(rig.phone.api.count("pendingSession"), 1);
    assert_eq!(rig.phone.api.count("sessionStarted"), 1);
    let report = rig.sim.call(&call).await.unwrap();
    assert!(
        report.remote_address.contains("5550100"),
        "dialed {}",
        report.remote_address
    );
    rig.hang_up(&call).await;
    rig.no_call().await;
    assert_eq!(rig.phone.api.count("sessionEnded"), 1);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_reply_propose_and_event() {
    for order in OutboundStep::ORDERS {
        eprintln!("order {order:?}");
        dials_talks_ends(order, Form::SdpOverXmpp).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jingle() {
    dials_talks_ends(OutboundStep::ORDERS[0], Form::Jingle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ear_hears_dial_tone_key_tones_ringing_and_the_far_end() {
    let quick = |config: &mut Config| config.phone.inter_digit_timeout_ms = 1_000;
    let rig = Rig::start(PhoneOptions {
        change: Some(quick),
        ..PhoneOptions::default()
    })
    .await;
    rig.sim.outbound_defaults(OutboundSpec::default());
    rig.lift().await;
    // Tones are in the ear in real time; what is heard is judged afterwards.
    tokio::time::sleep(Duration::from_millis(600)).await;
    for key in ["5", "1"] {
        rig.phone.api.key(key, "press").await;
        tokio::time::sleep(Duration::from_millis(250)).await;
        rig.phone.api.key(key, "release").await;
    }
    // No #: the pause dials.
    let call = rig.sim.wait_for_new_call(&[], PATIENCE).await.unwrap();
    rig.sim
        .wait_for_state(&call, CallState::Dialing, PATIENCE)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    rig.sim.answer_far_end(&call).unwrap();
    rig.connected(&call).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.hang_up(&call).await;
    let ear = rig.end().await;
    let dial = ear.longest_tone_ms(&[350.0, 440.0]);
    assert!(
        (300..=900).contains(&dial),
        "dial tone for {dial} ms, stopped by the first digit"
    );
    assert!(ear.has_tone(&[770.0, 1336.0], 100), "no key tone of 5");
    assert!(ear.has_tone(&[697.0, 1209.0], 100), "no key tone of 1");
    assert!(ear.has_tone(&[440.0, 480.0], 800), "no ringing tone");
    assert!(ear.has_tone(&[440.0], 500), "the far end was not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn dialing_with_the_handset_down_then_lifting() {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.sim
        .outbound_defaults(answering(OutboundStep::ORDERS[0], Form::SdpOverXmpp));
    rig.keys("5550123").await;
    rig.lift().await;
    let call = rig.sim.wait_for_new_call(&[], PATIENCE).await.unwrap();
    rig.connected(&call).await;
    assert!(
        rig.sim
            .call(&call)
            .await
            .unwrap()
            .remote_address
            .contains("5550123")
    );
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn placed_by_the_local_api() {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.sim
        .outbound_defaults(answering(OutboundStep::ORDERS[5], Form::SdpOverXmpp));
    let answer = rig
        .phone
        .api
        .post("/api/v1/calls", json!({ "phoneNumber": "+13175550142" }))
        .await;
    let call = answer["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        answer["selfUri"],
        format!("/api/v2/conversations/calls/{call}")
    );
    rig.connected(&call).await;
    rig.phone
        .api
        .wait_status("talking", |s| s["calls"][0]["state"] == "connected")
        .await;
    // Lifting moves the call to the handset; resting ends it.
    rig.lift().await;
    rig.phone
        .api
        .wait_status("handset", |s| s["audio"]["path"] == "handset")
        .await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_while_it_rings_ends_the_call_at_the_cloud() {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.sim.outbound_defaults(OutboundSpec::default());
    let call = rig.dial("5550100").await;
    rig.sim
        .wait_for_state(&call, CallState::Dialing, PATIENCE)
        .await
        .unwrap();
    rig.hang_up(&call).await;
    rig.no_call().await;
    rig.end().await;
}
