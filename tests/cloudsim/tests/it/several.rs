//! Calls of several, and several calls on one session, over the wire and with real media. The
//! raw phone says what it hears, so that every far end hears what the phone is told.

use std::time::Duration;

use offhook_cloudsim::gateway::LegReport;
use offhook_cloudsim::{Contact, Form, Handle, InboundSpec, PersistentState, SimUser, UserSpec};
use serde_json::{Value, json};

use crate::calls::{InCall, answer, answer_rpc, post_metadata};
use crate::client::{Client, WAIT, assert_clean, own, simulator_with};

fn inbound(user: &SimUser, hz: u32) -> InboundSpec {
    let mut spec = InboundSpec::to(user);
    spec.leg.far_end = format!("tone:{hz}").parse().unwrap();
    spec
}

/// Waits until a call's media is as wanted; levels change without an event.
async fn media(sim: &Handle, call: &str, wanted: impl Fn(&LegReport) -> bool) {
    let seen = async {
        while !sim
            .call(call)
            .await
            .unwrap()
            .leg
            .as_ref()
            .is_some_and(&wanted)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = tokio::time::timeout(WAIT, seen).await;
    assert!(seen.is_ok(), "{:#?}", sim.call(call).await.unwrap().leg);
}

fn hears_tone(hz: f32) -> impl Fn(&LegReport) -> bool {
    move |leg| (leg.level_in.dominant_hz - hz).abs() < 5.0 && leg.level_in.purity > 0.8
}

/// The next conversation event that is as wanted.
async fn told(client: &mut Client, wanted: impl Fn(&Value, &Value) -> bool) -> Value {
    loop {
        let (body, own) = client.conversation().await;
        if wanted(&body, &own) {
            return body;
        }
    }
}

async fn talking(sim: &Handle, client: &mut Client, spec: &InboundSpec) -> (String, Value, InCall) {
    let call = sim.call_user(spec).unwrap();
    client.state("alerting").await;
    let in_call = answer(client, Form::SdpOverXmpp, &call).await;
    let (conversation, mine) = client.state("connected").await;
    post_metadata(client, &call, &mine).await;
    (call, conversation, in_call)
}

fn path(call: &str, participant: &Value, rest: &str) -> String {
    let id = participant["id"].as_str().unwrap();
    format!("conversations/calls/{call}/participants/{id}{rest}")
}

async fn accepted(client: &Client, method: &str, path: &str, body: Value) -> Value {
    let (status, reply) = client.rest.call(method, path, Some(body)).await;
    assert_eq!(status, 202, "{method} {path}: {reply}");
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_is_switched_between_two_calls() {
    let spec = UserSpec {
        line_appearances: 1,
        ..UserSpec::default()
    };
    let (sim, user) = simulator_with(offhook_cloudsim::Options::default(), spec).await;
    let mut client = Client::online(&sim, &user).await;
    let (first, _, _in_call) = talking(&sim, &mut client, &inbound(&user, 440)).await;
    media(&sim, &first, hears_tone(440.0)).await;
    let second = sim.call_user(&inbound(&user, 620)).unwrap();
    let (_, mine) = client.state("alerting").await;
    accepted(
        &client,
        "PATCH",
        &path(&second, &mine, ""),
        json!({"state": "connected"}),
    )
    .await;
    let held = told(&mut client, |body, _| body["id"] == first.as_str()).await;
    assert_eq!(own(&held, &user.user_id)["calls"][0]["held"], true);
    let body = told(&mut client, |body, _| body["id"] == second.as_str()).await;
    let mine = own(&body, &user.user_id);
    assert_eq!(mine["calls"][0]["state"], "connected");
    post_metadata(&client, &second, &mine).await;
    media(&sim, &second, hears_tone(620.0)).await;
    let reports = [
        sim.call(&first).await.unwrap(),
        sim.call(&second).await.unwrap(),
    ];
    assert_eq!(reports[0].session_id, reports[1].session_id);
    assert_eq!(reports[1].proposes, 1, "the second call is not proposed");
    assert_clean(&sim.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_conference_and_a_consultation_everybody_hears_whom_they_should() {
    let (sim, user) =
        simulator_with(offhook_cloudsim::Options::default(), UserSpec::default()).await;
    sim.add_contact(Contact {
        address: "+13175550111".into(),
        name: "Guest".into(),
        far_end: "tone:620".parse().unwrap(),
        answer_after: Some(Duration::from_millis(20)),
    });
    let mut client = Client::online(&sim, &user).await;
    let (call, conversation, _in_call) = talking(&sim, &mut client, &inbound(&user, 440)).await;
    let customer = &conversation["participants"][0];
    let body = json!({"speakTo": "DESTINATION", "destination": {"address": "+1 317-555-0111"}});
    let reply = accepted(&client, "POST", &path(&call, customer, "/consult"), body).await;
    let guest = json!({"id": reply["destinationParticipantId"]});
    let said = |hz: f32| {
        move |leg: &LegReport| leg.tones_out.iter().any(|tone| (tone.hz - hz).abs() < 5.0)
    };
    media(&sim, &call, |leg| said(620.0)(leg) && !said(440.0)(leg)).await;
    let body = told(&mut client, |body, mine| {
        let confined = body["participants"][0]["calls"][0]["confined"] == true;
        confined && mine["consultParticipantId"] == customer["id"]
    })
    .await;
    assert_eq!(body["participants"].as_array().unwrap().len(), 4);
    let consult = path(&call, customer, "/consult");
    accepted(&client, "PATCH", &consult, json!({"speakTo": "CONFERENCE"})).await;
    media(&sim, &call, |leg| {
        said(620.0)(leg)
            && said(440.0)(leg)
            && leg.parties.len() == 2
            && leg.parties[0].heard(620.0)
            && leg.parties[1].heard(440.0)
    })
    .await;
    accepted(&client, "DELETE", &consult, json!({})).await;
    media(&sim, &call, |leg| {
        leg.parties.is_empty() && hears_tone(440.0)(leg)
    })
    .await;

    // As a conference, the guest is brought in for good, and sent away again.
    let path_of_all = format!("conversations/calls/{call}/participants");
    let somebody = json!({"participants": [{"address": "+13175550111"}]});
    accepted(&client, "POST", &path_of_all, somebody).await;
    media(&sim, &call, |leg| said(620.0)(leg) && said(440.0)(leg)).await;
    let joined = |body: &Value| {
        let all = body["participants"].as_array().unwrap();
        let mut guest = all
            .iter()
            .filter(|one| one["id"] != guest["id"] && one["purpose"] == "external");
        guest
            .next_back()
            .filter(|one| one["calls"][0]["state"] == "connected")
            .cloned()
    };
    let body = told(&mut client, |body, _| joined(body).is_some()).await;
    let guest = joined(&body).unwrap();
    accepted(
        &client,
        "PATCH",
        &path(&call, &guest, ""),
        json!({"muted": true}),
    )
    .await;
    media(&sim, &call, |leg| !said(620.0)(leg) && said(440.0)(leg)).await;
    accepted(
        &client,
        "PATCH",
        &path(&call, &guest, ""),
        json!({"state": "disconnected"}),
    )
    .await;
    media(&sim, &call, |leg| leg.parties.is_empty()).await;

    let state = format!("conversations/calls/{call}/recordingstate");
    accepted(&client, "PUT", &state, json!({"recordingState": "ACTIVE"})).await;
    told(&mut client, |body, _| body["recordingState"] == "active").await;
    let mine = own(&conversation, &user.user_id);
    let codes = client.rest.get(&path(&call, &mine, "/wrapupcodes")).await;
    let agent = json!({"address": "+13175550111", "transferType": "Unattended"});
    let transfer = path(&call, &mine, "/transfer").replace("conversations/calls", "conversations");
    accepted(&client, "POST", &transfer, agent).await;
    client.rpc("terminate").await;
    let communication = mine["calls"][0]["id"].as_str().unwrap();
    let wrapup = path(
        &call,
        &mine,
        &format!("/communications/{communication}/wrapup"),
    );
    accepted(
        &client,
        "POST",
        &wrapup,
        json!({"code": codes[0]["id"], "notes": "done"}),
    )
    .await;
    told(&mut client, |_, mine| mine["wrapup"]["notes"] == "done").await;
    let report = sim.call(&call).await.unwrap();
    let connected = report
        .participants
        .iter()
        .filter(|one| one.state.as_str() == "connected");
    assert!(connected.count() >= 2, "{:#?}", report.participants);
    assert_clean(&sim.violations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_eager_connection_waits_for_its_first_call() {
    let spec = UserSpec {
        persistent: true,
        eager: true,
        line_appearances: 1,
        ..UserSpec::default()
    };
    let (sim, user) = simulator_with(offhook_cloudsim::Options::default(), spec).await;
    let mut client = Client::online(&sim, &user).await;
    let (message, propose) = client.propose().await;
    assert_eq!(propose.attribute("inin-priv-answer-mode"), Some("Auto"));
    let session = propose.attribute("id").unwrap().to_owned();
    let peer = message.attribute("from").unwrap().to_owned();
    client.message(&peer, "proceed", &session).await;
    let fake = propose.attribute("inin-cid").unwrap().to_owned();
    let _in_call = answer_rpc(&mut client, session.clone(), peer, &fake).await;
    assert_eq!(
        client.event("persistentconnection").await["persistentState"],
        "PERSISTED"
    );
    assert_eq!(sim.wait_for_shared("", WAIT).await.unwrap(), session);

    let call = sim.call_user(&inbound(&user, 620)).unwrap();
    let (_, mine) = client.state("alerting").await;
    accepted(
        &client,
        "PATCH",
        &path(&call, &mine, ""),
        json!({"state": "connected"}),
    )
    .await;
    let (_, mine) = client.state("connected").await;
    post_metadata(&client, &call, &mine).await;
    assert_eq!(
        client.event("persistentconnection").await["persistentState"],
        "ACTIVE_CALL"
    );
    media(&sim, &call, hears_tone(620.0)).await;
    accepted(
        &client,
        "PATCH",
        &path(&call, &mine, ""),
        json!({"state": "disconnected"}),
    )
    .await;
    assert_eq!(
        client.event("persistentconnection").await["persistentState"],
        "PERSISTED"
    );
    let error = Some(("error.x".to_owned(), "It failed".to_owned()));
    sim.tell_persistent("", PersistentState::Failed, error)
        .unwrap();
    let failed = client.event("persistentconnection").await;
    assert_eq!(
        (
            &failed["persistentState"],
            &failed["errorInfo"]["userMessage"]
        ),
        (&"FAILED".into(), &"It failed".into())
    );
    sim.lose_shared("", false).unwrap();
    client.rpc("terminate").await;
    assert_eq!(
        client.event("persistentconnection").await["persistentState"],
        "DISCONNECTED"
    );
    assert!(sim.sessions("").await.unwrap().is_empty());
    assert_clean(&sim.violations());
}
