//! Inbound calls: they ring, lifting answers, both hear each other, both can hang up.

use offhook_cloudsim::spec::{Form, InboundOrder, InboundPurpose, InboundSpec};
use offhook_tests::{PhoneOptions, Rig};

/// Ring, lift, hear, hang up at the phone: for every order of event and propose, and both forms.
async fn rings_answers_ends(order: InboundOrder, form: Form) {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .ring(&InboundSpec {
            order,
            form,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    let pending = rig
        .phone
        .api
        .wait_event("pendingSession", |data| {
            data["conversationId"] == call.as_str()
        })
        .await;
    assert_eq!(pending["sessionType"], "softphone");
    rig.phone
        .api
        .wait_lamps("line 1 flashes", |lamps| lamps["line1"] == "fast")
        .await;
    let status = rig
        .phone
        .api
        .wait_status("ringing", |s| s["calls"][0]["state"] == "alerting")
        .await;
    assert_eq!(status["calls"][0]["remote"]["name"], "Indianapolis, IN");
    assert_eq!(status["calls"][0]["direction"], "inbound");

    rig.lift().await;
    rig.phone
        .api
        .wait_event("sessionStarted", |data| {
            data["conversationId"] == call.as_str()
        })
        .await;
    rig.connected(&call).await;
    let heard = rig
        .phone
        .api
        .wait_status("talking", |s| {
            s["calls"][0]["media"]["packetsReceived"].as_u64() > Some(30)
        })
        .await;
    assert_eq!(heard["calls"][0]["state"], "connected");
    assert_eq!(heard["calls"][0]["media"]["connection"], "connected");
    assert_eq!(heard["activeConversationId"], call.as_str());
    rig.phone
        .api
        .wait_lamps("line 1 is on", |lamps| lamps["line1"] == "on")
        .await;

    rig.rest().await;
    let ended = rig.phone.api.wait_event("sessionEnded", |_| true).await;
    assert_eq!(ended["reason"]["condition"], "success");
    rig.ended(&call).await;
    rig.no_call().await;
    rig.phone
        .api
        .wait_lamps("line 1 is off", |lamps| lamps["line1"] == "off")
        .await;
    assert_eq!(rig.phone.api.count("pendingSession"), 1);
    assert_eq!(rig.phone.api.count("sessionStarted"), 1);
    assert_eq!(rig.phone.api.count("sessionEnded"), 1);

    let report = rig.sim.call(&call).await.unwrap();
    assert_eq!(report.metadata_requests, 1);
    let ear = rig.end().await;
    // North American ring: 440 and 480 Hz; the far end says 440 Hz.
    assert!(ear.has_tone(&[440.0], 300), "the far end was not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn event_first_sdp_over_xmpp() {
    rings_answers_ends(InboundOrder::EventFirst, Form::SdpOverXmpp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn propose_first_sdp_over_xmpp() {
    rings_answers_ends(InboundOrder::ProposeFirst, Form::SdpOverXmpp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_first_jingle() {
    rings_answers_ends(InboundOrder::EventFirst, Form::Jingle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn propose_first_jingle() {
    rings_answers_ends(InboundOrder::ProposeFirst, Form::Jingle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_before_the_offer_are_used() {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.answered(&InboundSpec {
        early_candidates: true,
        end_of_candidates: true,
        ..InboundSpec::to(&rig.user)
    })
    .await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_end_hangs_up_and_the_ear_hears_busy() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.sim.hang_up_far_end(&call).unwrap();
    rig.phone.api.wait_event("sessionEnded", |_| true).await;
    rig.no_call().await;
    // The tone is in the ear in real time: one on-phase of it.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    rig.rest().await;
    let ear = rig.end().await;
    assert!(ear.has_tone(&[480.0, 620.0], 300), "no busy tone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_stops_the_ring() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.sim.retract(&call).unwrap();
    rig.phone
        .api
        .wait_event("cancelPendingSession", |data| {
            data["conversationId"] == call.as_str()
        })
        .await;
    rig.phone
        .api
        .wait_lamps("line 1 is off", |lamps| lamps["line1"] == "off")
        .await;
    rig.no_call().await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_queue_call_is_disconnected_and_a_users_goes_to_voicemail() {
    let rig = Rig::start(PhoneOptions::default()).await;
    for (purpose, path) in [
        (InboundPurpose::Agent, "PATCH"),
        (InboundPurpose::User, "/replace"),
    ] {
        let call = rig
            .ring(&InboundSpec {
                purpose,
                ..InboundSpec::to(&rig.user)
            })
            .await;
        rig.phone.api.call(&call, "reject").await;
        rig.no_call().await;
        let sent = rig
            .sim
            .log()
            .iter()
            .any(|line| line.text.contains(&call) && line.text.contains(path));
        assert!(sent, "{purpose:?}: no {path} with the conversation");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_answers_itself_opens_the_speaker() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .sim
        .call_user(&InboundSpec {
            auto_answer: true,
            ..InboundSpec::to(&rig.user)
        })
        .unwrap();
    rig.connected(&call).await;
    let status = rig
        .phone
        .api
        .wait_status("connected", |s| s["calls"][0]["state"] == "connected")
        .await;
    assert_eq!(status["audio"]["path"], "speaker");
    rig.phone.api.call(&call, "end").await;
    rig.ended(&call).await;
    rig.end().await;
}

/// The whole morning of an agent: the phone is as good after many calls as after one.
#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_in_a_row() {
    let rig = Rig::start(PhoneOptions::default()).await;
    for n in 1..=10 {
        let call = rig.answered(&InboundSpec::to(&rig.user)).await;
        rig.hang_up(&call).await;
        rig.no_call().await;
        assert_eq!(rig.phone.api.count("sessionStarted"), n);
    }
    rig.end().await;
}
