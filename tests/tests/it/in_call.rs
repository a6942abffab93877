//! In the call: mute, hold, key tones; state is what the cloud's events say.

use offhook_cloudsim::gateway::{Codec, LegConfig};
use offhook_cloudsim::spec::InboundSpec;
use offhook_tests::{PATIENCE, PhoneOptions, Rig};
use serde_json::json;

/// A rig that talks; and the call.
async fn talking(leg: LegConfig) -> (Rig, String) {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .answered(&InboundSpec {
            leg,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    (rig, call)
}

async fn hang_up(rig: Rig, call: &str) {
    rig.hang_up(call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_by_key_and_by_api() {
    let (rig, call) = talking(LegConfig::default()).await;
    for muted in [true, false] {
        rig.phone.api.tap("mute").await;
        rig.phone
            .api
            .wait_status("muted by key", |s| s["calls"][0]["muted"] == muted)
            .await;
        rig.phone
            .api
            .wait_lamps("the mute lamp", |l| (l["mute"] != "off") == muted)
            .await;
        assert_eq!(rig.sim.call(&call).await.unwrap().muted, muted);
    }
    for muted in [true, false] {
        rig.phone
            .api
            .call(&call, if muted { "mute" } else { "unmute" })
            .await;
        rig.phone
            .api
            .wait_status("muted by API", |s| s["calls"][0]["muted"] == muted)
            .await;
        rig.phone
            .api
            .wait_lamps("the mute lamp", |l| (l["mute"] != "off") == muted)
            .await;
    }
    hang_up(rig, &call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_by_key_and_by_api() {
    let (rig, call) = talking(LegConfig::default()).await;
    for held in [true, false] {
        rig.phone.api.tap("hold").await;
        rig.phone
            .api
            .wait_status("held by key", |s| s["calls"][0]["held"] == held)
            .await;
        rig.phone
            .api
            .wait_lamps("the line lamp", |l| {
                l["line1"] == if held { "slow" } else { "on" }
            })
            .await;
        assert_eq!(rig.sim.call(&call).await.unwrap().held, held);
    }
    for held in [true, false] {
        rig.phone
            .api
            .call(&call, if held { "hold" } else { "resume" })
            .await;
        rig.phone
            .api
            .wait_status("held by API", |s| s["calls"][0]["held"] == held)
            .await;
    }
    hang_up(rig, &call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_heard_as_rfc_4733() {
    for codecs in [vec![Codec::Opus], vec![Codec::Pcmu]] {
        let (rig, call) = talking(LegConfig {
            codecs,
            ..LegConfig::default()
        })
        .await;
        rig.keys("1#").await;
        rig.phone
            .api
            .post(
                &format!("/api/v1/calls/{call}/dtmf"),
                json!({ "digits": "50*" }),
            )
            .await;
        let report = rig.wait_media(&call, |leg| leg.dtmf.len() == 5).await;
        let leg = report.leg.unwrap();
        let digits: String = leg.dtmf.iter().map(|tone| tone.digit).collect();
        assert_eq!(digits, "1#50*");
        assert_eq!(report.digits, "", "nothing by REST");
        hang_up(rig, &call).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_by_rest_when_the_offer_has_no_telephone_event() {
    let (rig, call) = talking(LegConfig {
        telephone_event: false,
        ..LegConfig::default()
    })
    .await;
    rig.keys("12").await;
    rig.phone
        .api
        .post(
            &format!("/api/v1/calls/{call}/dtmf"),
            json!({ "digits": "9#" }),
        )
        .await;
    rig.sim
        .wait_for(&call, |report| report.digits == "129#", PATIENCE)
        .await
        .unwrap();
    hang_up(rig, &call).await;
}

/// Line Appearance 100: the second call has its own session; answering it holds the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_waits_and_answering_it_holds_the_first() {
    let (rig, first) = talking(LegConfig::default()).await;
    let second = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.phone
        .api
        .wait_lamps("line 2 flashes", |l| l["line2"] == "fast")
        .await;
    rig.phone.api.tap("line2").await;
    rig.connected(&second).await;
    rig.sim
        .wait_for(&first, |report| report.held, PATIENCE)
        .await
        .unwrap();
    rig.phone
        .api
        .wait_status("second is active", |s| {
            s["activeConversationId"] == second.as_str()
        })
        .await;
    rig.phone.api.call(&second, "end").await;
    rig.ended(&second).await;
    rig.phone.api.tap("line1").await;
    rig.phone
        .api
        .wait_status("the first again", |s| s["calls"][0]["held"] == false)
        .await;
    hang_up(rig, &first).await;
}
