//! Getting and staying connected: the sequence of the golden trace, and what survives what.

use std::time::Duration;

use offhook_cloudsim::{Fault, Options, UserSpec};
use serde_json::json;

use crate::client::{Client, Rest, SERVICE, WAIT, assert_clean, simulator, simulator_with};

#[tokio::test]
async fn the_whole_sequence_of_the_trace() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    let organization = rest.get("organizations/me").await;
    assert!(organization["id"].is_string() && organization["name"] == "Acme");
    let me = rest.get("users/me?expand=station").await;
    assert_eq!(me["id"], user.user_id.as_str());
    assert_eq!(me["chat"]["jabberId"], user.bare_jid.as_str());
    assert_eq!(
        me["station"]["effectiveStation"]["id"],
        user.station_id.as_str()
    );
    assert!(rest.get("users/me").await["station"].is_null());
    let mut client = Client::online(&sim, &user).await;
    assert_eq!(client.full, format!("{}/phone", user.bare_jid));
    let station = rest.get(&format!("stations/{}", user.station_id)).await;
    assert_eq!(station["type"], "inin_webrtc_softphone");
    assert_eq!(station["webRtcCallAppearances"], 100);
    let pong = client
        .iq("get", None, "<ping xmlns=\"urn:xmpp:ping\"/>")
        .await;
    assert_eq!(
        (pong.attribute("type"), pong.children.len()),
        (Some("result"), 0)
    );
    assert!(sim.is_online(&user.user_id));
    let session = "<session xmlns=\"urn:ietf:params:xml:ns:xmpp-session\"/>";
    assert_eq!(
        client.iq("set", None, session).await.attribute("type"),
        Some("result")
    );
    client
        .send("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"/>")
        .await;
    assert_eq!(client.next().await.name, "close");
    assert!(client.receive().await.is_none());
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn ice_servers_and_a_stun_server_that_answers() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    assert!(client.services("turn").await.is_empty());
    let stun = client.services("stun").await;
    assert_eq!(stun.len(), 1);
    let address = format!(
        "{}:{}",
        stun[0].attribute("host").unwrap(),
        stun[0].attribute("port").unwrap()
    );
    // RFC 8489: binding request, no attributes.
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&request, address).await.unwrap();
    let mut answer = [0; 100];
    let received = tokio::time::timeout(WAIT, socket.recv(&mut answer)).await;
    assert!(received.unwrap().unwrap() >= 32);
    assert_eq!(answer[..2], [1, 1]);
    assert_eq!(answer[8..20], [7; 12]);

    let forced = sim.add_user(UserSpec {
        force_turn: true,
        ..UserSpec::named("Two")
    });
    let mut client = Client::online(&sim, &forced).await;
    assert!(client.services("stun").await.is_empty());
    assert_clean(&sim.violations());
}

/// genesys-protocol 12.7: nothing is subscribed again after a drop.
#[tokio::test]
async fn subscriptions_and_resource_survive_a_dropped_socket() {
    let (sim, user) = simulator().await;
    let client = Client::online(&sim, &user).await;
    let (channel, full) = (client.channel.clone(), client.full.clone());
    client.drop_socket();
    let mut client = Client::open(&sim, &user, &channel).await;
    // An old client binds without a resource and must get the same one.
    client.negotiate(None).await;
    assert_eq!(client.full, full);
    sim.associate_station(&user.user_id, false).unwrap();
    assert!(client.event("station").await["associatedStation"].is_null());
    sim.associate_station(&user.user_id, true).unwrap();
    let associated = client.event("station").await;
    assert_eq!(
        associated["associatedStation"]["id"],
        user.station_id.as_str()
    );
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn the_same_channel_twice_drives_the_older_one_out() {
    let (sim, user) = simulator().await;
    let mut old = Client::online(&sim, &user).await;
    let mut new = Client::open(&sim, &user, &old.channel).await;
    new.negotiate(Some("phone")).await;
    let told = old.next().await;
    let node = told.children[0].children[0]
        .attribute("node")
        .unwrap()
        .to_owned();
    assert_eq!(
        node,
        format!("system.v2.no_longer_subscribed.{}", old.channel)
    );
    assert_eq!(old.next().await.name, "close");
    assert!(old.receive().await.is_none());
}

/// genesys-protocol 12.6: PUT replaces, XMPP adds.
#[tokio::test]
async fn put_replaces_and_xmpp_adds() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let path = format!("notifications/channels/{}/subscriptions", client.channel);
    let topics = |body: serde_json::Value| -> Vec<String> {
        let all = body["entities"].as_array().unwrap().iter();
        all.map(|one| {
            one["id"]
                .as_str()
                .unwrap()
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
    };
    let now = topics(client.rest.get(&path).await);
    assert_eq!(now, ["conversations", "persistentconnection", "station"]);
    let station = json!([{"id": format!("v2.users.{}.station", user.user_id)}]);
    client.rest.call("PUT", &path, Some(station)).await;
    assert_eq!(topics(client.rest.get(&path).await), ["station"]);
    client.subscribe("conversations").await;
    assert_eq!(
        topics(client.rest.get(&path).await),
        ["conversations", "station"]
    );
    let node = format!("v2.users.{}.station", user.user_id);
    let unsubscribe = format!(
        "<pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><unsubscribe node=\"{node}\" jid=\"{}\"/></pubsub>",
        user.bare_jid
    );
    client.iq("set", Some(SERVICE), &unsubscribe).await;
    assert_eq!(topics(client.rest.get(&path).await), ["conversations"]);
    let foreign = json!([{"id": "v2.users.somebody.conversations"}]);
    let (status, body) = client.rest.call("POST", &path, Some(foreign.clone())).await;
    assert_eq!(
        (status, &body["code"]),
        (403, &"notification.unauthorized.topic".into())
    );
    let (status, body) = client
        .rest
        .call("POST", &format!("{path}?ignoreErrors=true"), Some(foreign))
        .await;
    assert_eq!(
        (status, &body["entities"][0]["state"]),
        (200, &"Rejected".into())
    );
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn wrong_and_expired_tokens_are_refused_by_sasl_and_rest() {
    let (sim, user) = simulator().await;
    let other = sim.add_user(UserSpec::named("Two"));
    let rest = Rest::new(&sim, &user);
    let channel = rest.new_channel().await;
    let refused = |token: String| {
        let (sim, user, channel) = (&sim, &user, &channel);
        async move {
            let mut client = Client::open(sim, user, channel).await;
            client.open_stream().await;
            client.next().await;
            client.rest.token = token;
            let failure = client.authenticate().await;
            assert!(
                failure.is("failure", "urn:ietf:params:xml:ns:xmpp-sasl"),
                "{failure:?}"
            );
            failure.children[0].name.clone()
        }
    };
    for token in ["nonsense".to_owned(), other.token.clone()] {
        assert_eq!(refused(token).await, "not-authorized");
    }
    let second = sim
        .issue_token(&user.user_id, Duration::from_mins(1))
        .unwrap();
    sim.inject(Fault::ExpireToken {
        token: second.clone(),
    })
    .unwrap();
    assert_eq!(refused(second.clone()).await, "not-authorized");
    let condition = "temporary-auth-failure".to_owned();
    sim.inject(Fault::Sasl {
        user: String::new(),
        condition: condition.clone(),
    })
    .unwrap_err();
    sim.inject(Fault::Sasl {
        user: user.name.clone(),
        condition: condition.clone(),
    })
    .unwrap();
    assert_eq!(refused(user.token.clone()).await, condition);
    for (token, code) in [(second, "bad.credentials"), ("x".into(), "bad.credentials")] {
        let rest = rest.with_token(token);
        let (status, body) = rest.call("GET", "users/me", None).await;
        assert_eq!(
            (status, &body["status"], &body["code"]),
            (401, &401.into(), &code.into())
        );
        assert!(body["message"].is_string() && !body["contextId"].as_str().unwrap().is_empty());
    }
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn server_pings_are_sent_when_asked_for_and_must_be_answered() {
    let mut options = Options::default();
    options.timing.ping_every = Duration::from_millis(200);
    options.deadlines.iq = Duration::from_millis(300);
    let (sim, user) = simulator_with(options, UserSpec::default()).await;
    let mut client = Client::online(&sim, &user).await;
    let asked = format!(
        "<pubsub xmlns=\"http://jabber.org/protocol/pubsub\"><subscribe node=\"enable.server.side.pings\" jid=\"{}\"/></pubsub>",
        user.bare_jid
    );
    client.iq("set", Some(SERVICE), &asked).await;
    let ping = client.next().await;
    assert!(ping.child("ping", "urn:xmpp:ping").is_some(), "{ping:?}");
    let id = ping.attribute("id").unwrap().to_owned();
    let from = ping.attribute("from").unwrap().to_owned();
    client
        .send(&format!(
            "<iq xmlns=\"jabber:client\" id=\"{id}\" to=\"{from}\" type=\"result\"/>"
        ))
        .await;
    // The second one is left unanswered.
    client.next().await;
    assert_clean(&sim.violations());
    let seen = sim
        .wait_for_log(0, |line| line.text.starts_with("UnansweredIq"), WAIT)
        .await;
    assert!(seen.unwrap().text.contains("ping"));
}
