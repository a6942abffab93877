//! One session for all calls: Line Appearance 1 and the persistent connection (genesys-protocol 6.12, 12.10).

use offhook_cloudsim::gateway::{FarEndSource, LegConfig};
use offhook_cloudsim::spec::{InboundSpec, Options, OutboundSpec, UserSpec};
use offhook_cloudsim::{CallState, PersistentState};
use offhook_tests::{PATIENCE, PhoneOptions, Rig};
use std::time::Duration;

/// How long a tone is heard, to be found in the ear's recording: it is there in real time.
const LISTEN: Duration = Duration::from_millis(900);

/// One line, and no connection between calls.
fn one_line() -> UserSpec {
    UserSpec {
        line_appearances: 1,
        ..UserSpec::named("Agent One")
    }
}

/// One line, and a connection that stays.
fn persistent() -> UserSpec {
    UserSpec {
        persistent: true,
        ..one_line()
    }
}

async fn rig(user: UserSpec) -> Rig {
    Rig::with(Options::default(), user, PhoneOptions::default()).await
}

/// A call whose far end is a tone.
fn toned(rig: &Rig, hz: f32) -> InboundSpec {
    InboundSpec {
        leg: LegConfig {
            far_end: FarEndSource::Tone { hz, dbfs: -20.0 },
            ..LegConfig::default()
        },
        ..InboundSpec::to(&rig.user)
    }
}

/// Whether the cloud proposed a session for this call; not whether it has one.
async fn proposed(rig: &Rig, call: &str) -> bool {
    let report = rig.sim.call(call).await.unwrap();
    report.at("propose").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_on_one_line_shares_the_session() {
    let rig = rig(one_line()).await;
    let first = rig.answered(&toned(&rig, 500.0)).await;
    tokio::time::sleep(LISTEN).await;
    let second = rig.ring(&toned(&rig, 900.0)).await;
    rig.phone.api.tap("line2").await;
    rig.connected(&second).await;
    rig.held(&first, true).await;
    tokio::time::sleep(LISTEN).await;
    let sessions: Vec<_> = rig
        .phone
        .api
        .events()
        .into_iter()
        .filter(|event| event.name == "sessionStarted")
        .map(|event| event.data["id"].clone())
        .collect();
    assert_eq!(sessions.len(), 2, "one for each conversation");
    assert_eq!(sessions[0], sessions[1], "of the same session");
    assert!(!proposed(&rig, &second).await);

    rig.phone.api.call(&second, "end").await;
    rig.ended(&second).await;
    rig.phone.api.tap("line1").await;
    rig.held(&first, false).await;
    rig.sound_goes_on(&first).await;
    rig.hang_up(&first).await;
    rig.no_call().await;
    assert_eq!(rig.phone.api.count("sessionEnded"), 2);
    let ear = rig.end().await;
    for hz in [500.0, 900.0] {
        assert!(ear.has_tone(&[hz], 400), "{hz} Hz was not heard alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_call_is_placed_over_the_shared_session() {
    let rig = rig(one_line()).await;
    rig.sim.outbound_defaults(OutboundSpec {
        answer_after: Some(Duration::from_millis(300)),
        ..OutboundSpec::default()
    });
    let first = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.phone.api.tap("line2").await;
    rig.held(&first, true).await;
    rig.keys("5550100#").await;
    let second = rig
        .sim
        .wait_for_new_call(std::slice::from_ref(&first), PATIENCE)
        .await
        .unwrap();
    rig.connected(&second).await;
    assert!(!proposed(&rig, &second).await);
    rig.hang_up(&second).await;
    rig.phone.api.call(&first, "end").await;
    rig.ended(&first).await;
    rig.no_call().await;
    rig.end().await;
}

/// The second call of the day is answered without a propose or an offer: the session is still up.
#[tokio::test(flavor = "multi_thread")]
async fn a_persistent_connection_carries_call_after_call() {
    let rig = rig(persistent()).await;
    let first = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&first).await;
    rig.no_call().await;
    let session = rig
        .sim
        .wait_for_shared(&rig.user.name, PATIENCE)
        .await
        .unwrap();
    for _ in 0..3 {
        let next = rig.answered(&InboundSpec::to(&rig.user)).await;
        rig.sound_goes_on(&next).await;
        let report = rig.sim.call(&next).await.unwrap();
        assert_eq!(report.session_id.as_ref(), Some(&session));
        assert!(!proposed(&rig, &next).await);
        rig.hang_up(&next).await;
        rig.no_call().await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_offered_again_for_each_call_keeps_its_sound() {
    let rig = rig(UserSpec {
        renegotiates: true,
        ..persistent()
    })
    .await;
    for _ in 0..3 {
        let call = rig.answered(&InboundSpec::to(&rig.user)).await;
        rig.sound_goes_on(&call).await;
        rig.hang_up(&call).await;
        rig.no_call().await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eager_connection_is_there_before_the_first_call_and_is_no_call() {
    let rig = rig(UserSpec {
        eager: true,
        ..persistent()
    })
    .await;
    let session = rig
        .sim
        .wait_for_shared(&rig.user.name, PATIENCE)
        .await
        .unwrap();
    assert_eq!(rig.phone.api.count("pendingSession"), 0, "nothing rang");
    rig.no_call().await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.sound_goes_on(&call).await;
    let report = rig.sim.call(&call).await.unwrap();
    assert_eq!(report.session_id, Some(session));
    assert!(!proposed(&rig, &call).await);
    rig.hang_up(&call).await;
    rig.end().await;
}

/// Without looking at the peer connection, the phone would wait for events on a connection that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_persistent_connection_is_made_again_by_the_next_call() {
    for silently in [false, true] {
        let rig = rig(persistent()).await;
        let first = rig.answered(&InboundSpec::to(&rig.user)).await;
        rig.hang_up(&first).await;
        rig.no_call().await;
        rig.sim.lose_shared(&rig.user.name, silently).unwrap();
        let next = rig.ring(&InboundSpec::to(&rig.user)).await;
        rig.lift().await;
        rig.connected(&next).await;
        rig.sound_goes_on(&next).await;
        assert!(proposed(&rig, &next).await);
        rig.hang_up(&next).await;
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_persistent_connection_is_told() {
    let rig = rig(persistent()).await;
    let trouble = (
        "error.ininedgecontrol.connection.webrtc.mediaHelperRequired".to_owned(),
        "A media helper is required".to_owned(),
    );
    rig.sim
        .tell_persistent(&rig.user.name, PersistentState::Failed, Some(trouble))
        .unwrap();
    let error = rig.phone.api.wait_event("sdkError", |_| true).await;
    assert_eq!(error["type"], "call");
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_gives_up_on_a_call_that_waits_on_the_shared_session() {
    let rig = rig(one_line()).await;
    let first = rig.answered(&InboundSpec::to(&rig.user)).await;
    let second = rig.ring(&InboundSpec::to(&rig.user)).await;
    rig.sim.hang_up_far_end(&second).unwrap();
    rig.phone
        .api
        .wait_event("cancelPendingSession", |data| {
            data["conversationId"] == second.as_str()
        })
        .await;
    rig.sound_goes_on(&first).await;
    assert_eq!(
        rig.sim.call(&first).await.unwrap().state,
        CallState::Connected
    );
    rig.hang_up(&first).await;
    rig.end().await;
}
