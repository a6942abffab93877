//! Offers that come again: renegotiation, ICE restart, re-invite (genesys-protocol 5.7). The call goes on.

use offhook_cloudsim::gateway::Direction;
use offhook_cloudsim::spec::{Form, InboundSpec};
use offhook_tests::ear::Recording;
use offhook_tests::{PATIENCE, PhoneOptions, Rig, calls};

async fn talking(form: Form) -> (Rig, String) {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .answered(&InboundSpec {
            form,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    rig.sound_goes_on(&call).await;
    (rig, call)
}

/// The longest silence the ear may hear when a session takes the place of another, ms. The new one is up before the old
/// one ends; what is left is its first packets and the jitter buffer's first filling.
const GAP_MS: usize = 200;

/// Once more sound, one session, no end; then hangs up.
async fn goes_on(rig: Rig, call: &str, what: &str) -> Recording {
    rig.sound_goes_on(call).await;
    assert_eq!(rig.phone.api.count("sessionStarted"), 1, "{what}");
    let status = rig.phone.api.status().await;
    assert_eq!(calls(&status).count(), 1, "{what}: {status}");
    rig.hang_up(call).await;
    rig.no_call().await;
    rig.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_with_the_same_ice_is_answered_in_place() {
    let (rig, call) = talking(Form::SdpOverXmpp).await;
    rig.sim.reoffer(&call, false, Direction::SendRecv).unwrap();
    rig.sim
        .wait_for_mark(&call, "reanswer", PATIENCE)
        .await
        .unwrap();
    assert_eq!(rig.phone.api.count("sessionEnded"), 0);
    goes_on(rig, &call, "renegotiation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_re_invite_replaces_the_session_and_the_call_goes_on() {
    let (rig, call) = talking(Form::SdpOverXmpp).await;
    let before = rig.sim.call(&call).await.unwrap().session_id;
    rig.sim.reinvite(&call).unwrap();
    rig.phone
        .api
        .wait_status("on the new session", |status| {
            calls(status).any(|c| {
                c["sessionId"].as_str() != before.as_deref()
                    && c["media"]["connection"] == "connected"
            })
        })
        .await;
    let ear = goes_on(rig, &call, "re-invite").await;
    let gap = ear.longest_gap_ms(&[440.0]);
    println!("the ear heard nothing for {gap} ms while the session was replaced");
    assert!(gap <= GAP_MS, "{gap} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_re_invite_after_the_socket_broke_finds_the_phone() {
    let (rig, call) = talking(Form::SdpOverXmpp).await;
    let before = rig.sim.call(&call).await.unwrap().session_id;
    rig.sim
        .inject(offhook_cloudsim::Fault::DropSockets {
            user: String::new(),
        })
        .unwrap();
    rig.phone
        .api
        .wait_event("connected", |data| data["reconnect"] == true)
        .await;
    rig.sim.reinvite(&call).unwrap();
    rig.phone
        .api
        .wait_status("on the new session", |status| {
            calls(status).any(|c| {
                c["sessionId"].as_str() != before.as_deref()
                    && c["media"]["connection"] == "connected"
            })
        })
        .await;
    goes_on(rig, &call, "re-invite on a new socket").await;
}
