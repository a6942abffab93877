//! The connection's life: a call survives a broken socket; a moved or refused connection heals.

use offhook_cloudsim::Fault;
use offhook_cloudsim::spec::InboundSpec;
use offhook_tests::{PhoneOptions, Rig};

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
