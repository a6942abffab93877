//! Everything that can go wrong on purpose, does.

use std::time::{Duration, Instant};

use offhook_cloudsim::gateway::{LegConfig, SdpQuirk};
use offhook_cloudsim::{
    Fault, InboundOrder, InboundSpec, IqFault, RestFault, TlsFault, ViolationKind,
};

use crate::client::{Client, Rest, WAIT, assert_clean, http, simulator};

#[tokio::test]
async fn rest_replies_fail_and_wait() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    sim.inject(Fault::Rest(RestFault {
        method: "GET".into(),
        path: "users/me".into(),
        status: Some(429),
        retry_after: Some(3),
        ..RestFault::default()
    }))
    .unwrap();
    let response = rest.request("GET", "users/me").send().await.unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["retry-after"]
        ),
        (429, &"3".parse().unwrap())
    );
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["code"], "too.many.requests.rate.limit.exceeded");
    assert_eq!(rest.call("GET", "users/me", None).await.0, 200);
    let delay = Duration::from_millis(300);
    sim.inject(Fault::Rest(RestFault {
        delay,
        ..RestFault::default()
    }))
    .unwrap();
    let asked = Instant::now();
    assert_eq!(rest.call("GET", "users/me", None).await.0, 200);
    assert!(asked.elapsed() >= delay);
    sim.inject(Fault::Rest(RestFault {
        status: Some(500),
        times: 0,
        ..RestFault::default()
    }))
    .unwrap();
    for _ in 0..3 {
        assert_eq!(rest.call("GET", "organizations/me", None).await.0, 500);
    }
    sim.clear_faults();
    assert_eq!(rest.call("GET", "organizations/me", None).await.0, 200);
    sim.inject(Fault::RevokeToken {
        token: user.token.clone(),
    })
    .unwrap();
    assert_eq!(rest.call("GET", "organizations/me", None).await.0, 401);
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn certificates_nobody_should_trust() {
    let (sim, user) = simulator().await;
    let get = || async {
        // A client of its own each time: a kept connection would not shake hands again.
        let url = format!("{}/api/v2/users/me", sim.rest_url());
        http(&sim).get(url).bearer_auth(&user.token).send().await
    };
    assert_eq!(get().await.unwrap().status(), 200);
    for (fault, says) in [
        (TlsFault::UnknownCa, "UnknownIssuer"),
        (TlsFault::Expired, "xpired"),
        (TlsFault::WrongName, "not valid for name"),
        (TlsFault::Refused, "AlertReceived"),
    ] {
        sim.inject(Fault::Tls { tls: fault }).unwrap();
        let error = format!("{:?}", get().await.unwrap_err());
        assert!(
            error.contains(says) || error.contains("NotValidForName"),
            "{fault:?}: {error}"
        );
    }
    sim.clear_faults();
    assert_eq!(get().await.unwrap().status(), 200);
}

#[tokio::test]
async fn sockets_drop_close_fall_silent_and_move() {
    let (sim, user) = simulator().await;
    let everybody = String::new;
    let mut client = Client::online(&sim, &user).await;
    sim.inject(Fault::DropSockets { user: everybody() })
        .unwrap();
    assert!(client.receive().await.is_none());

    let mut client = Client::online(&sim, &user).await;
    sim.inject(Fault::CloseSockets { user: everybody() })
        .unwrap();
    assert_eq!(client.next().await.name, "close");
    assert!(client.receive().await.is_none());

    let mut client = Client::online(&sim, &user).await;
    sim.inject(Fault::Transfer { user: everybody() }).unwrap();
    let moved = client.next().await;
    assert!(moved.child("query", "urn:xmpp:cxfr").is_some());
    for (fault, name) in [
        (
            Fault::NoLongerSubscribed { user: everybody() },
            "no_longer_subscribed",
        ),
        (Fault::DuplicateId { user: everybody() }, "duplicate_id"),
    ] {
        sim.inject(fault).unwrap();
        let told = client.next().await;
        let node = told.children[0].children[0].attribute("node").unwrap();
        assert!(node.contains(name), "{node}");
    }
    sim.inject(Fault::Raw {
        user: everybody(),
        frame: "<message xmlns='jabber:client' id='r'/>".into(),
    })
    .unwrap();
    assert_eq!(client.next().await.attribute("id"), Some("r"));

    sim.inject(Fault::Silence {
        user: everybody(),
        silent: true,
    })
    .unwrap();
    client.send("<iq xmlns=\"jabber:client\" id=\"p\" type=\"get\"><ping xmlns=\"urn:xmpp:ping\"/></iq>").await;
    sim.wait_for_log(0, |line| line.text.contains("id=\"p\""), WAIT)
        .await
        .unwrap();
    sim.inject(Fault::Silence {
        user: everybody(),
        silent: false,
    })
    .unwrap();
    client
        .iq("get", None, "<ping xmlns=\"urn:xmpp:ping\"/>")
        .await;

    let channel = client.channel.clone();
    sim.inject(Fault::CloseChannels { user: everybody() })
        .unwrap();
    assert_eq!(client.next().await.name, "close");
    let gone = format!("notifications/channels/{channel}/subscriptions");
    assert_eq!(client.rest.call("GET", &gone, None).await.0, 404);
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn requests_are_refused_or_never_answered() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let fault = IqFault {
        namespace: "urn:xmpp:ping".into(),
        code: Some(429),
        ..IqFault::default()
    };
    sim.inject(Fault::Iq(fault.clone())).unwrap();
    let ping = "<ping xmlns=\"urn:xmpp:ping\"/>";
    let refused = client.iq("get", None, ping).await;
    let error = refused.child("error", "jabber:client").unwrap();
    assert_eq!(
        (error.attribute("type"), error.attribute("code")),
        (Some("wait"), Some("429"))
    );
    assert_eq!(error.children[0].name, "resource-constraint");
    sim.inject(Fault::Iq(IqFault {
        unanswered: true,
        ..fault
    }))
    .unwrap();
    client.send("<iq xmlns=\"jabber:client\" id=\"u\" type=\"get\"><ping xmlns=\"urn:xmpp:ping\"/></iq>").await;
    let answered = client.iq("get", None, ping).await;
    assert_ne!(answered.attribute("id"), Some("u"));
    assert_clean(&sim.violations());
}

/// Offers no phone can take, and one that comes out of nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_are_wrong() {
    for (quirk, lacks) in [
        (SdpQuirk::NoAudio, "m=audio"),
        (SdpQuirk::UnknownCodecOnly, "opus"),
        (SdpQuirk::NoFingerprint, "a=fingerprint"),
        (SdpQuirk::Garbage, "v=0"),
    ] {
        let (sim, user) = simulator().await;
        let mut client = Client::online(&sim, &user).await;
        let leg = LegConfig {
            sdp_quirk: Some(quirk),
            ..LegConfig::default()
        };
        let order = InboundOrder::OfferOnly;
        sim.call_user(&InboundSpec {
            leg,
            order,
            ..InboundSpec::to(&user)
        })
        .unwrap();
        client.state("alerting").await;
        let (iq, offer) = client.rpc("offer").await;
        let sdp = offer["params"]["sdp"].as_str().unwrap();
        assert!(!sdp.contains(lacks), "{quirk:?}: {sdp}");
        let peer = iq.attribute("from").unwrap().to_owned();
        let session = offer["params"]["sessionId"].clone();
        let reason = "incompatible-parameters";
        let params = serde_json::json!({"sessionId": session, "reason": reason});
        client.say_rpc(&peer, "terminate", params).await;
        client.state("disconnected").await;
        assert_clean(&sim.violations());
    }
}

/// A client that answers our request with an error broke a rule; one that answers a test's own
/// nonsense did not.
#[tokio::test]
async fn refusals_are_seen() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let refuse = |id: &str| {
        format!(
            "<iq xmlns=\"jabber:client\" id=\"{id}\" type=\"error\"><error type=\"cancel\"><service-unavailable xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/></error></iq>"
        )
    };
    let frame = "<iq xmlns=\"jabber:client\" id=\"mine\" type=\"get\"><what xmlns=\"ever\"/></iq>";
    sim.inject(Fault::Raw {
        user: String::new(),
        frame: frame.into(),
    })
    .unwrap();
    client.next().await;
    client.send(&refuse("mine")).await;
    sim.inject(Fault::Ping {
        user: String::new(),
    })
    .unwrap();
    let ping = client.next().await;
    assert_clean(&sim.violations());
    client.send(&refuse(ping.attribute("id").unwrap())).await;
    sim.wait_for_log(0, |line| line.text.starts_with("RefusedIq"), WAIT)
        .await
        .unwrap();
    let violations = sim.violations();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].what, ViolationKind::RefusedIq);
    assert!(violations[0].detail.contains("service-unavailable"));
}
