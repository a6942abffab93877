//! The connection's life: a call survives whatever happens to it; a moved or refused connection heals; calls that were
//! there before the phone are the phone's too.

use offhook_cloudsim::spec::InboundSpec;
use offhook_cloudsim::{Fault, LogKind};
use offhook_tests::{PATIENCE, Phone, PhoneOptions, Rig, calls};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_survives_a_broken_socket_and_can_be_ended_after_it() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.sim
        .inject(Fault::DropSockets {
            user: String::new(),
        })
        .unwrap();
    rig.phone
        .api
        .wait_event("disconnected", |data| data["reconnecting"] == true)
        .await;
    let before = packets(&rig).await;
    rig.phone
        .api
        .wait_event("connected", |data| data["reconnect"] == true)
        .await;
    rig.phone
        .api
        .wait_status("sound went on", |s| {
            s["calls"][0]["media"]["packetsReceived"].as_u64() > Some(before + 20)
        })
        .await;
    rig.hang_up(&call).await;
    assert_eq!(rig.phone.api.count("sessionEnded"), 1);
    rig.end().await;
}

async fn packets(rig: &Rig) -> u64 {
    rig.phone.api.status().await["calls"][0]["media"]["packetsReceived"]
        .as_u64()
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_connection_rings_again() {
    for fault in [
        Fault::Transfer {
            user: String::new(),
        },
        Fault::NoLongerSubscribed {
            user: String::new(),
        },
        Fault::CloseChannels {
            user: String::new(),
        },
    ] {
        eprintln!("{fault:?}");
        let rig = Rig::start(PhoneOptions::default()).await;
        rig.sim.inject(fault.clone()).unwrap();
        if let Fault::NoLongerSubscribed { .. } = fault {
            // The phone only learns that the next connection must be hard; the cloud ends this one.
            rig.sim
                .inject(Fault::DropSockets {
                    user: String::new(),
                })
                .unwrap();
        }
        rig.phone
            .api
            .wait_event("connected", |data| data["reconnect"] == true)
            .await;
        rig.ring(&InboundSpec::to(&rig.user)).await;
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_survives_every_end_of_its_connection() {
    let user = String::new;
    for fault in [
        Fault::CloseSockets { user: user() },
        Fault::CloseChannels { user: user() },
        Fault::Transfer { user: user() },
        Fault::DuplicateId { user: user() },
    ] {
        eprintln!("{fault:?}");
        let rig = Rig::start(PhoneOptions::default()).await;
        let call = rig.answered(&InboundSpec::to(&rig.user)).await;
        rig.sim.inject(fault.clone()).unwrap();
        if let Fault::DuplicateId { .. } = fault {
            // The phone only learns that the next connection must be hard; the cloud ends this one.
            rig.sim
                .inject(Fault::CloseSockets { user: user() })
                .unwrap();
        }
        rig.phone
            .api
            .wait_event("connected", |data| data["reconnect"] == true)
            .await;
        rig.sound_goes_on(&call).await;
        // What is told on the new connection is understood.
        rig.sim.hang_up_far_end(&call).unwrap();
        rig.phone.api.wait_event("sessionEnded", |_| true).await;
        rig.no_call().await;
        assert_eq!(rig.phone.api.count("sessionStarted"), 1, "{fault:?}");
        rig.rest().await;
        rig.end().await;
    }
}

/// The far end hangs up while the phone hears nothing of it: the reconnect asks (3.6).
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ends_while_streaming_is_down_is_over_when_it_is_back() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    let user = String::new;
    rig.sim.inject(Fault::DropSockets { user: user() }).unwrap();
    rig.sim.hang_up_far_end(&call).unwrap();
    rig.phone
        .api
        .wait_event("connected", |data| data["reconnect"] == true)
        .await;
    rig.phone.api.wait_event("sessionEnded", |_| true).await;
    rig.no_call().await;
    rig.rest().await;
    let next = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&next).await;
    rig.end().await;
}

/// Otherwise the phone would hear nothing more of the call a little later (3.4).
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_expire_in_a_call_are_made_again() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    let before = rig.sim.log().last().map_or(0, |entry| entry.sequence);
    rig.sim
        .inject(Fault::SubscriptionsExpiring {
            user: String::new(),
        })
        .unwrap();
    rig.sim
        .wait_for_log(
            before,
            |entry| {
                entry.kind == LogKind::Http
                    && entry.text.starts_with("PUT")
                    && entry.text.contains("/subscriptions")
            },
            PATIENCE,
        )
        .await
        .unwrap();
    rig.sound_goes_on(&call).await;
    assert_eq!(rig.phone.api.count("disconnected"), 0);
    rig.sim.hang_up_far_end(&call).unwrap();
    rig.no_call().await;
    rig.rest().await;
    rig.end().await;
}

/// The agent's other phone has a call when this one starts: it is shown here, and can be ended here.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_there_before_the_phone_is_shown_and_can_be_ended() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    let late = Phone::start(&rig.sim, &rig.user, PhoneOptions::default()).await;
    let shown = late
        .api
        .wait_status("showing the call", |status| {
            calls(status).any(|c| c["conversationId"] == call && c["state"] == "connected")
        })
        .await;
    assert!(shown["calls"][0]["sessionId"].is_null(), "{shown}");
    rig.sound_goes_on(&call).await;
    late.api.call(&call, "end").await;
    rig.ended(&call).await;
    rig.no_call().await;
    late.api
        .wait_status("without a call", |status| calls(status).next().is_none())
        .await;
    assert_eq!(late.api.count("sessionStarted"), 0);
    assert_eq!(late.api.count("sessionEnded"), 0);
    // Both ring for the next one, and this time the late one takes it.
    rig.rest().await;
    let next = rig.ring(&InboundSpec::to(&rig.user)).await;
    late.api.call(&next, "answer").await;
    late.api
        .wait_event("sessionStarted", |data| {
            data["conversationId"] == next.as_str()
        })
        .await;
    rig.no_call().await;
    late.api.call(&next, "end").await;
    rig.ended(&next).await;
    late.stop();
    rig.end().await;
}
