//! What is wrong gets a clear message and loses nothing: the phone works for the next call.

use offhook::device::config::Config;
use offhook_cloudsim::gateway::{LegConfig, SdpQuirk};
use offhook_cloudsim::spec::{InboundOrder, InboundSpec, Options, UserSpec};
use offhook_cloudsim::{Fault, RestFault, Simulator, TlsFault};
use offhook_tests::{Phone, PhoneOptions, Rig};
use serde_json::json;

/// The next call works: rings, is answered, carries sound, ends.
async fn the_next_call_works(rig: &Rig) {
    let before = rig.phone.api.count("sessionStarted");
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.phone
        .api
        .wait_status("talking", |s| {
            s["calls"].as_array().is_some_and(|calls| {
                calls.iter().any(|c| {
                    c["conversationId"] == call.as_str()
                        && c["media"]["packetsReceived"].as_u64() > Some(5)
                })
            })
        })
        .await;
    rig.hang_up(&call).await;
    assert_eq!(rig.phone.api.count("sessionStarted"), before + 1);
}

/// A phone whose cloud says no; its notice, and that it heals once the fault is mended.
async fn a_notice(
    cloud: Options,
    user: UserSpec,
    options: PhoneOptions,
    before: impl Fn(&Simulator),
    says: &str,
) {
    offhook::device::crypto::install();
    let sim = Simulator::start(cloud).await.unwrap();
    let user = sim.add_user(user);
    before(&sim);
    let phone = Phone::start(&sim, &user, options).await;
    let status = phone.api.wait_status(says, |s| s["notice"] == says).await;
    assert_eq!(status["ready"], false);
    assert!(!phone.api.display().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_asks_for_a_login_and_a_new_one_heals() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options::default()).await.unwrap();
    let user = sim.add_user(UserSpec::default());
    let wrong = offhook_cloudsim::SimUser {
        token: "wrong".into(),
        ..user.clone()
    };
    let phone = Phone::start(&sim, &wrong, PhoneOptions::default()).await;
    phone
        .api
        .wait_status("login needed", |s| s["notice"] == "Please log in")
        .await;
    phone
        .api
        .wait_lamps("the message lamp", |l| l["message"] != "off")
        .await;
    std::fs::write(phone.dir().join("token"), &user.token).unwrap();
    phone.api.wait_status("ready", |s| s["ready"] == true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_asks_for_a_login() {
    let user = UserSpec {
        token_seconds: 0,
        ..UserSpec::default()
    };
    a_notice(
        Options::default(),
        user,
        PhoneOptions::default(),
        |_| {},
        "Please log in",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_untrusted_certificate_is_named() {
    let fault = |sim: &Simulator| {
        sim.inject(Fault::Tls {
            tls: TlsFault::UnknownCa,
        })
        .unwrap();
    };
    a_notice(
        Options::default(),
        UserSpec::default(),
        PhoneOptions::default(),
        fault,
        "Not secure",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_station_is_told() {
    let user = UserSpec {
        station: false,
        ..UserSpec::default()
    };
    a_notice(
        Options::default(),
        user,
        PhoneOptions {
            // Otherwise the phone takes the agent's own.
            change: Some(|config| config.cloud.station = "none".into()),
            ..PhoneOptions::default()
        },
        |_| {},
        "No station",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sound_device_is_named_and_calls_still_ring() {
    let missing = |config: &mut Config| config.audio.capture = "alsa:hw:99".into();
    let rig = Rig::start(PhoneOptions {
        change: Some(missing),
        ..PhoneOptions::default()
    })
    .await;
    let status = rig
        .phone
        .api
        .wait_status("no sound", |s| s["notice"].is_string())
        .await;
    assert!(
        status["notice"].as_str().unwrap().contains("ound"),
        "{status}"
    );
    rig.ring(&InboundSpec::to(&rig.user)).await;
    let violations = rig.sim.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_stanzas_are_survived() {
    let rig = Rig::start(PhoneOptions::default()).await;
    for frame in [
        "<",
        "</message>",
        "<message xmlns='jabber:client'><propose xmlns='urn:xmpp:jingle-message:0'/></message>",
        "<iq xmlns='jabber:client' type='set' id='x' from='1@a.gjoll.b'><genesys-webrtc xmlns='genesys'>{not json</genesys-webrtc></iq>",
        "<message xmlns='jabber:client'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='v2.users.x.conversations'><item><json xmlns='urn:xmpp:json:0'>[]</json></item></items></event></message>",
    ] {
        rig.sim
            .inject(Fault::Raw {
                user: String::new(),
                frame: frame.into(),
            })
            .unwrap();
    }
    // Text that is not XML may cost the connection, never the phone.
    rig.phone
        .api
        .wait_status("ready", |s| s["ready"] == true)
        .await;
    // What the phone answers to nonsense is of no interest to the rules.
    rig.sim.clear_violations();
    the_next_call_works(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_cannot_be_answered_ends_the_call() {
    for quirk in [SdpQuirk::NoAudio, SdpQuirk::UnknownCodecOnly] {
        let rig = Rig::start(PhoneOptions::default()).await;
        let leg = LegConfig {
            sdp_quirk: Some(quirk),
            ..LegConfig::default()
        };
        let call = rig
            .ring(&InboundSpec {
                leg,
                ..InboundSpec::to(&rig.user)
            })
            .await;
        rig.lift().await;
        let error = rig
            .phone
            .api
            .wait_event("sdkError", |data| data["type"] == "media")
            .await;
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{error}"
        );
        rig.ended(&call).await;
        rig.rest().await;
        rig.no_call().await;
        rig.sim.clear_violations();
        the_next_call_works(&rig).await;
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retracted_while_we_answer() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig.ring(&InboundSpec::to(&rig.user)).await;
    let (retracted, ()) = tokio::join!(async { rig.sim.retract(&call) }, rig.lift());
    // Whichever was first, both ends agree in the end.
    if retracted.is_err() {
        rig.sim.hang_up_far_end(&call).unwrap();
    }
    rig.no_call().await;
    rig.rest().await;
    the_next_call_works(&rig).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_without_a_propose_does_not_open_the_microphone() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let call = rig
        .ring(&InboundSpec {
            order: InboundOrder::OfferOnly,
            ..InboundSpec::to(&rig.user)
        })
        .await;
    rig.phone
        .api
        .wait_status("ringing", |s| s["calls"][0]["state"] == "alerting")
        .await;
    assert_eq!(
        rig.phone.api.count("sessionStarted"),
        0,
        "nobody has answered"
    );
    rig.lift().await;
    rig.connected(&call).await;
    rig.hang_up(&call).await;
    the_next_call_works(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dialing_garbage_is_refused_with_words() {
    let rig = Rig::start(PhoneOptions::default()).await;
    for (body, status, kind) in [
        (json!({}), 400, "invalid_options"),
        (json!({ "phoneNumber": "" }), 400, "invalid_options"),
        (json!({ "phoneNumber": "\u{0}\n" }), 400, "invalid_options"),
        (json!({ "phoneNumber": 5 }), 400, "bad_request"),
        (json!({ "fax": "1" }), 400, "bad_request"),
    ] {
        let (got, answer) = rig
            .phone
            .api
            .request("POST", "/api/v1/calls", Some(body.clone()))
            .await;
        assert_eq!(
            (got, answer["type"].as_str()),
            (status, Some(kind)),
            "{body}: {answer}"
        );
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{answer}"
        );
    }
    the_next_call_works(&rig).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_gives_the_reorder_tone() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let refused = RestFault {
        method: "POST".into(),
        path: "conversations/calls".into(),
        status: Some(400),
        ..RestFault::default()
    };
    rig.sim.inject(Fault::Rest(refused)).unwrap();
    rig.lift().await;
    rig.keys("911911911#").await;
    rig.phone
        .api
        .wait_event("sdkError", |data| data["type"] == "http")
        .await;
    // The tone is in the ear in real time.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    rig.rest().await;
    the_next_call_works(&rig).await;
    let ear = rig.end().await;
    assert!(ear.has_tone(&[480.0, 620.0], 100), "no reorder tone");
}
