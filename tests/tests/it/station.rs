//! The station is lost and found again (genesys-protocol 4.5, 7.2): calls ring only where the agent's station is.

use offhook_cloudsim::spec::{InboundSpec, Options, UserSpec};
use offhook_tests::{PhoneOptions, Rig};
use serde_json::{Value, json};

fn notice(status: &Value) -> &str {
    status["notice"].as_str().unwrap_or("")
}

/// Waits until the station is gone, told, and shown.
async fn lost(rig: &Rig, says: &str) {
    rig.phone
        .api
        .wait_event("station", |data| {
            data["action"] == "Disassociated" && data["station"].is_null()
        })
        .await;
    let shown = rig
        .phone
        .api
        .wait_status("without a station", |status| {
            status["cloud"]["station"].is_null() && notice(status).contains(says)
        })
        .await;
    assert_eq!(shown["cloud"]["connected"], true);
}

/// Waits until the agent's station is back, and a call rings there.
async fn found(rig: &Rig) {
    rig.phone
        .api
        .wait_status("at the station", |status| {
            status["cloud"]["station"]["id"] == rig.user.station_id.as_str()
                && status["notice"].is_null()
        })
        .await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.sound_goes_on(&call).await;
    rig.hang_up(&call).await;
    rig.no_call().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_somebody_else_takes_is_told_and_can_be_taken_back() {
    // The phone takes the station itself, so it is the phone's to lose.
    let user = UserSpec {
        station: false,
        ..UserSpec::named("Agent One")
    };
    let rig = Rig::with(Options::default(), user, PhoneOptions::default()).await;
    let other = rig.sim.add_user(UserSpec::named("Agent Two"));
    let take_back = format!("/api/v1/stations/{}/associate", rig.user.station_id);
    let (me, them) = (rig.user.user_id.as_str(), other.user_id.as_str());
    rig.sim.take_station(me, Some(them)).unwrap();
    lost(&rig, "Station taken").await;
    assert!(
        rig.sim.call_user(&InboundSpec::to(&rig.user)).is_err(),
        "the cloud has nowhere to ring"
    );

    // As long as the other one has it, the phone says so and does not fight.
    let (status, answer) = rig
        .phone
        .api
        .request("POST", &take_back, Some(json!({})))
        .await;
    assert_eq!(status, 409, "{answer}");
    let text = answer["message"].as_str().unwrap_or_default();
    assert!(text.contains("taken by somebody else"), "{answer}");

    rig.sim.take_station(me, None).unwrap();
    rig.phone.api.post(&take_back, json!({})).await;
    found(&rig).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_when_the_station_is_lost_and_the_next_rings_when_it_is_back() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    let me = rig.user.user_id.as_str();
    rig.sim.associate_station(me, false).unwrap();
    lost(&rig, "Station taken").await;
    rig.sound_goes_on(&call).await;
    rig.hang_up(&call).await;
    rig.phone.api.wait_event("sessionEnded", |_| true).await;
    rig.no_call().await;

    // As an administrator or another client of the agent does it: the phone only hears of it.
    rig.sim.associate_station(me, true).unwrap();
    found(&rig).await;
    rig.end().await;
}

/// The line appearances of a station can be changed while a phone uses it (6.13.25).
#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_changes_is_read_again() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let me = rig.user.user_id.as_str();
    rig.sim
        .change_user(me, |user| user.line_appearances = 1)
        .unwrap();
    rig.sim.tell_station(me, "Associated").unwrap();
    let told = rig
        .phone
        .api
        .wait_event("concurrentSoftphoneSessionsEnabled", |data| data == false)
        .await;
    assert_eq!(told, false);
    let first = rig.answered(&InboundSpec::to(&rig.user)).await;
    let second = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.phone.api.tap("line2").await;
    rig.connected(&second).await;
    let report = rig.sim.call(&second).await.unwrap();
    assert!(report.at("propose").is_none(), "it shares the session");
    rig.hang_up(&second).await;
    rig.phone.api.call(&first, "end").await;
    rig.ended(&first).await;
    rig.end().await;
}
