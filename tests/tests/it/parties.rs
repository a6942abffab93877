//! More than two: transfer, consultation, conference, recording, wrap-up (genesys-protocol 2.6), by key and by API.

use offhook_cloudsim::gateway::{FarEndSource, LegConfig};
use offhook_cloudsim::spec::{Contact, InboundSpec};
use offhook_cloudsim::{CallReport, CallState, RecordingState};
use offhook_tests::{PATIENCE, PhoneOptions, Rig, calls};
use serde_json::{Value, json};
use std::time::Duration;

/// What the customer, and what the colleague says, Hz.
const CUSTOMER: f32 = 500.0;
const COLLEAGUE: f32 = 900.0;
/// The colleague's number.
const NUMBER: &str = "5550160";
/// How long a tone is heard, to be found in the ear's recording: it is there in real time.
const LISTEN: Duration = Duration::from_millis(900);

/// A rig that talks to a customer, and a colleague who answers at once.
async fn talking() -> (Rig, String) {
    let rig = Rig::start(PhoneOptions::default()).await;
    rig.sim.add_contact(Contact {
        address: NUMBER.into(),
        name: "Colleague".into(),
        far_end: FarEndSource::Tone {
            hz: COLLEAGUE,
            dbfs: -20.0,
        },
        ..Contact::default()
    });
    let call = rig.answered(&customer(&rig)).await;
    (rig, call)
}

fn customer(rig: &Rig) -> InboundSpec {
    InboundSpec {
        leg: LegConfig {
            far_end: FarEndSource::Tone {
                hz: CUSTOMER,
                dbfs: -20.0,
            },
            ..LegConfig::default()
        },
        ..InboundSpec::to(&rig.user)
    }
}

/// Whether the colleague is on the call at the cloud.
fn colleague(report: &CallReport, state: CallState) -> bool {
    report
        .participants
        .iter()
        .any(|one| one.address.contains(NUMBER) && one.state == state)
}

async fn told(rig: &Rig, call: &str, path: &str, body: Value) {
    rig.phone
        .api
        .post(&format!("/api/v1/calls/{call}/{path}"), body)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blind_transfer_by_keys() {
    let (rig, call) = talking().await;
    rig.phone.api.tap("transfer").await;
    rig.held(&call, true).await;
    rig.keys(NUMBER).await;
    rig.keys("#").await;
    let report = rig
        .sim
        .wait_for(
            &call,
            |report| colleague(report, CallState::Connected),
            PATIENCE,
        )
        .await
        .unwrap();
    assert_eq!(report.disconnect_type.as_deref(), Some("transfer"));
    rig.no_call().await;
    rig.rest().await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consultation_by_keys_is_completed_by_laying_down() {
    let (rig, call) = talking().await;
    tokio::time::sleep(LISTEN).await;
    rig.phone.api.tap("transfer").await;
    rig.held(&call, true).await;
    rig.keys(NUMBER).await;
    rig.phone.api.tap("transfer").await;
    rig.phone
        .api
        .wait_status("consulting", |status| {
            calls(status).any(|c| c["consult"].is_object())
        })
        .await;
    rig.sim
        .wait_for(
            &call,
            |report| colleague(report, CallState::Connected),
            PATIENCE,
        )
        .await
        .unwrap();
    tokio::time::sleep(LISTEN).await;
    rig.rest().await;
    rig.no_call().await;
    let report = rig.sim.call(&call).await.unwrap();
    assert!(
        colleague(&report, CallState::Connected),
        "the colleague has the customer"
    );
    let ear = rig.end().await;
    for hz in [CUSTOMER, COLLEAGUE] {
        assert!(ear.has_tone(&[hz], 300), "{hz} Hz was not heard alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consultation_by_api_speaks_to_each_and_is_cancelled() {
    let (rig, call) = talking().await;
    let to = json!({ "to": { "address": NUMBER }, "mode": "consult" });
    told(&rig, &call, "transfer", to).await;
    rig.sim
        .wait_for(
            &call,
            |report| colleague(report, CallState::Connected),
            PATIENCE,
        )
        .await
        .unwrap();
    for speak_to in ["OBJECT", "BOTH", "CONFERENCE", "DESTINATION"] {
        let body = json!({ "action": "speakTo", "speakTo": speak_to });
        told(&rig, &call, "consult", body).await;
    }
    told(&rig, &call, "consult", json!({ "action": "cancel" })).await;
    rig.sim
        .wait_for(
            &call,
            |report| !colleague(report, CallState::Connected),
            PATIENCE,
        )
        .await
        .unwrap();
    rig.sound_goes_on(&call).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_grows_and_shrinks() {
    let (rig, call) = talking().await;
    let more = json!({ "participants": [{ "address": NUMBER }] });
    told(&rig, &call, "participants", more).await;
    let status = rig
        .phone
        .api
        .wait_status("a conference", |status| {
            calls(status).any(|c| parties(c).filter(|p| p["state"] == "connected").count() == 2)
        })
        .await;
    tokio::time::sleep(LISTEN).await;
    let added = calls(&status)
        .flat_map(parties)
        .find(|party| {
            party["address"]
                .as_str()
                .is_some_and(|a| a.contains(NUMBER))
        })
        .expect("the colleague is shown")["participantId"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/calls/{call}/participants/{added}");
    let (code, answer) = rig.phone.api.request("DELETE", &path, None).await;
    assert_eq!(code, 202, "{answer}");
    rig.phone
        .api
        .wait_status("two again", |status| {
            calls(status).any(|c| parties(c).count() == 1)
        })
        .await;
    rig.hang_up(&call).await;
    let ear = rig.end().await;
    assert!(
        ear.has_tone(&[CUSTOMER, COLLEAGUE], 300),
        "both were not heard at once"
    );
}

fn parties(call: &Value) -> impl Iterator<Item = &Value> {
    call["parties"].as_array().into_iter().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_are_joined_by_the_conference_key() {
    let (rig, first) = talking().await;
    let second = rig
        .ring(&InboundSpec {
            from_address: "tel:+13175550123".into(),
            ..InboundSpec::to(&rig.user)
        })
        .await;
    rig.phone.api.tap("line2").await;
    rig.connected(&second).await;
    rig.held(&first, true).await;
    rig.phone.api.tap("conference").await;
    rig.phone
        .api
        .wait_status("one call of three", |status| {
            calls(status).any(|c| parties(c).filter(|p| p["state"] == "connected").count() == 2)
        })
        .await;
    rig.rest().await;
    rig.no_call().await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recording_pauses_and_the_call_is_wrapped_up() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .answered(&InboundSpec {
            recording: RecordingState::Active,
            wrapup_prompt: "mandatory".into(),
            ..InboundSpec::to(&rig.user)
        })
        .await;
    for (state, wanted) in [
        ("paused", RecordingState::Paused),
        ("active", RecordingState::Active),
    ] {
        told(&rig, &call, "recording", json!({ "state": state })).await;
        rig.sim
            .wait_for(&call, |report| report.recording == wanted, PATIENCE)
            .await
            .unwrap();
    }
    rig.hang_up(&call).await;
    rig.phone.api.wait_event("wrapUpRequired", |_| true).await;
    let path = format!("/api/v1/calls/{call}/wrapup-codes");
    let (code, codes) = rig.phone.api.request("GET", &path, None).await;
    assert_eq!(code, 200, "{codes}");
    let wrapup = codes[0]["id"].as_str().expect("a code").to_owned();
    told(&rig, &call, "wrapup", json!({ "code": wrapup })).await;
    rig.sim
        .wait_for(
            &call,
            |report| {
                report
                    .participants
                    .iter()
                    .any(|one| one.wrapup.as_deref() == Some(wrapup.as_str()))
            },
            PATIENCE,
        )
        .await
        .unwrap();
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrap_up_that_may_be_skipped_is_skipped() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .answered(&InboundSpec {
            wrapup_prompt: "optional".into(),
            ..InboundSpec::to(&rig.user)
        })
        .await;
    rig.hang_up(&call).await;
    rig.phone.api.wait_event("wrapUpRequired", |_| true).await;
    let path = format!("/api/v1/calls/{call}/wrapup");
    let (code, answer) = rig.phone.api.request("DELETE", &path, None).await;
    assert_eq!(code, 202, "{answer}");
    rig.sim
        .wait_for(
            &call,
            |report| report.participants.iter().any(|one| one.wrapup_skipped),
            PATIENCE,
        )
        .await
        .unwrap();
    rig.phone.api.wait_event("wrapUpOver", |_| true).await;
    rig.end().await;
}
