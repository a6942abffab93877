//! The alerting leader (genesys-protocol 7.1): of all the agent's clients one rings, and it may be another one.

use offhook::device::config::Config;
use offhook_cloudsim::spec::{InboundSpec, Options, UserSpec};
use offhook_tests::{PATIENCE, PhoneOptions, Rig};

fn one_of_several(config: &mut Config) {
    config.cloud.alerting_leader = true;
}

async fn rig() -> Rig {
    let options = PhoneOptions {
        change: Some(one_of_several),
        ..PhoneOptions::default()
    };
    let rig = Rig::with(Options::default(), UserSpec::named("Agent One"), options).await;
    leads(&rig, true).await;
    rig
}

/// Waits until the phone has last been told that it leads, or not.
async fn leads(rig: &Rig, alerting: bool) {
    rig.phone
        .api
        .wait_event("alertingLeaderChanged", |data| {
            data["voice"]["alerting"] == alerting
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_does_not_lead_keeps_still_and_rings_when_it_leads() {
    let rig = rig().await;
    let me = rig.user.user_id.as_str();
    let own = rig.sim.alerting_leader(me).unwrap();
    assert!(own.is_some(), "the only client leads");
    rig.sim.lead_alerting(me, None).unwrap();
    leads(&rig, false).await;

    let call = rig.sim.call_user(&InboundSpec::to(&rig.user)).unwrap();
    rig.sim
        .wait_for_mark(&call, "propose", PATIENCE)
        .await
        .unwrap();
    // Told on the same stream after the propose: what the phone makes of the propose comes before this.
    rig.sim.lead_alerting(me, own).unwrap();
    rig.phone
        .api
        .wait_event("pendingSession", |data| {
            data["conversationId"] == call.as_str()
        })
        .await;
    let told: Vec<String> = rig
        .phone
        .api
        .events()
        .into_iter()
        .filter_map(|event| match event.name.as_str() {
            "alertingLeaderChanged" => Some(event.data["voice"]["alerting"].to_string()),
            "pendingSession" => Some("rings".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["true", "false", "true", "rings"]);
    rig.lift().await;
    rig.connected(&call).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_menu_has_the_calls_ring_here_again() {
    let rig = rig().await;
    let me = rig.user.user_id.as_str();
    let own = rig.sim.alerting_leader(me).unwrap();
    rig.sim.lead_alerting(me, None).unwrap();
    leads(&rig, false).await;
    rig.phone.api.tap("ok").await;
    // "Ring here" is the first row: nothing else of the default configuration comes before it.
    rig.phone.api.tap("1").await;
    // A phone that does not lead has nothing pending.
    let call = rig.ring(&InboundSpec::to(&rig.user)).await;
    assert_eq!(rig.sim.alerting_leader(me).unwrap(), own);
    rig.lift().await;
    rig.connected(&call).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_when_another_client_takes_the_lead() {
    let rig = rig().await;
    let me = rig.user.user_id.as_str();
    let own = rig.sim.alerting_leader(me).unwrap();
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.sim.lead_alerting(me, None).unwrap();
    leads(&rig, false).await;
    rig.sound_goes_on(&call).await;
    rig.hang_up(&call).await;
    rig.no_call().await;
    rig.sim.lead_alerting(me, own).unwrap();
    let next = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.lift().await;
    rig.connected(&next).await;
    rig.hang_up(&next).await;
    rig.end().await;
}
