//! Whole calls with real media, in both forms and both directions.

use std::time::Duration;

use offhook_cloudsim::gateway::jingle;
use offhook_cloudsim::xml::Element;
use offhook_cloudsim::{
    CallState, Form, Handle, InboundPurpose, InboundSpec, OutboundSpec, OutboundStep, SimUser,
};
use serde_json::{Value, json};

use crate::client::{Client, WAIT, assert_clean, own, simulator};
use crate::peer::{Happened, Peer};

const FORMS: [Form; 2] = [Form::SdpOverXmpp, Form::Jingle];
const CRLF: &str = "\r\n";

/// A phone in a call: it has answered, and its media is up.
pub struct InCall {
    session: String,
    peer: String,
    _media: Peer,
}

/// From the propose to media that both sides see, as a phone has to do it.
pub async fn answer(client: &mut Client, form: Form, call: &str) -> InCall {
    let (message, propose) = client.propose().await;
    assert_eq!(propose.attribute("inin-cid"), Some(call));
    let wanted = (form == Form::SdpOverXmpp).then_some("true");
    assert_eq!(propose.attribute("inin-sdp-over-xmpp"), wanted);
    let session = propose.attribute("id").unwrap().to_owned();
    let peer = message.attribute("from").unwrap().to_owned();
    assert!(peer.contains("gjoll") && peer.contains('@'), "{peer}");
    client.message(&peer, "proceed", &session).await;
    match form {
        Form::SdpOverXmpp => answer_rpc(client, session, peer, call).await,
        Form::Jingle => answer_jingle(client, session, peer).await,
    }
}

async fn accept(client: &mut Client, session: &str) {
    let bare = client.user.bare_jid.clone();
    client.message(&bare, "accept", session).await;
    // genesys-protocol 12.8: it comes back to the sender, from its full JID.
    let echo = client
        .expect(|one| one.child("accept", "urn:xmpp:jingle-message:0").is_some())
        .await;
    assert_eq!(echo.attribute("from"), Some(client.full.as_str()));
}

pub async fn answer_rpc(client: &mut Client, session: String, peer: String, call: &str) -> InCall {
    let (iq, offer) = client.rpc("offer").await;
    assert_eq!(iq.attribute("from"), Some(peer.as_str()));
    assert_eq!(iq.attribute("to"), Some(client.full.as_str()));
    assert_eq!(offer["params"]["sessionId"], session.as_str());
    assert_eq!(offer["params"]["conversationId"], call);
    accept(client, &session).await;
    let mut media = Peer::new().await;
    let sdp = media.answer(offer["params"]["sdp"].as_str().unwrap()).await;
    client
        .say_rpc(&peer, "answer", json!({"sdp": sdp, "sessionId": session}))
        .await;
    let mut connected = false;
    while !connected {
        tokio::select! {
            (_, message) = client.rpc("iceCandidate") => {
                let fragment = message["params"]["sdp"].as_str().unwrap();
                let candidate = fragment.strip_prefix("m=audio 9 RTP/AVP 0\r\na=").unwrap();
                media.candidate(candidate.trim_end()).await;
            }
            Some(happened) = media.happened.recv() => match happened {
                Happened::Candidate(candidate) => {
                    let fragment = format!("m=audio 9 RTP/AVP 0{CRLF}a={candidate}{CRLF}");
                    let params = json!({"sessionId": session, "sdp": fragment});
                    client.say_rpc(&peer, "iceCandidate", params).await;
                }
                Happened::Connected => connected = true,
            },
        }
    }
    let params = json!({"sessionId": session, "status": "active"});
    client.say_rpc(&peer, "info", params).await;
    let params = json!({"sessionId": session, "sdp": "a=end-of-candidates\r\n"});
    client.say_rpc(&peer, "iceCandidate", params).await;
    InCall {
        session,
        peer,
        _media: media,
    }
}

async fn answer_jingle(client: &mut Client, session: String, peer: String) -> InCall {
    let (_, initiate) = jingle_set(client, "session-initiate").await;
    accept(client, &session).await;
    let offer = sdp_of(&initiate);
    let mut media = Peer::new().await;
    let answer = media.answer(&offer).await;
    let accepted = session_accept(&answer, &session);
    let result = client.iq("set", Some(&peer), &accepted).await;
    assert_eq!(result.attribute("type"), Some("result"), "{result:?}");
    let ufrag = line(&answer, "a=ice-ufrag:");
    let mut connected = false;
    while !connected {
        tokio::select! {
            (_, info) = jingle_set(client, "transport-info") => {
                for candidate in jingle::transport_info_to_candidates(&info.raw).unwrap().candidates {
                    media.candidate(&candidate).await;
                }
            }
            Some(happened) = media.happened.recv() => match happened {
                Happened::Candidate(candidate) => {
                    let words: Vec<&str> = candidate.split(' ').collect();
                    let inner = format!(
                        "<candidate component=\"1\" foundation=\"{}\" ip=\"{}\" port=\"{}\" priority=\"{}\" protocol=\"udp\" type=\"{}\"/>",
                        words[0].trim_start_matches("candidate:"), words[4], words[5], words[3], words[7],
                    );
                    let info = transport_info(&session, &ufrag, &inner);
                    client.iq("set", Some(&peer), &info).await;
                }
                Happened::Connected => connected = true,
            },
        }
    }
    let active = format!(
        "<jingle xmlns=\"urn:xmpp:jingle:1\" action=\"session-info\" sid=\"{session}\"><active xmlns=\"urn:xmpp:jingle:apps:rtp:info:1\"/></jingle>"
    );
    client.iq("set", Some(&peer), &active).await;
    let end = transport_info(&session, &ufrag, "<gathering-complete/>");
    client.iq("set", Some(&peer), &end).await;
    InCall {
        session,
        peer,
        _media: media,
    }
}

/// The next Jingle request of this action, acknowledged.
async fn jingle_set(client: &mut Client, action: &str) -> (Element, Element) {
    let iq = client
        .expect(|one| {
            one.child("jingle", "urn:xmpp:jingle:1")
                .is_some_and(|jingle| jingle.attribute("action") == Some(action))
        })
        .await;
    let ack = format!(
        "<iq xmlns=\"jabber:client\" id=\"{}\" to=\"{}\" type=\"result\"/>",
        iq.attribute("id").unwrap(),
        iq.attribute("from").unwrap()
    );
    client.send(&ack).await;
    let jingle = iq.children[0].clone();
    (iq, jingle)
}

fn transport_info(session: &str, ufrag: &str, inner: &str) -> String {
    format!(
        "<jingle xmlns=\"urn:xmpp:jingle:1\" action=\"transport-info\" sid=\"{session}\"><content creator=\"initiator\" name=\"audio\"><transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"{ufrag}\">{inner}</transport></content></jingle>"
    )
}

/// As much of a session-initiate as an answering peer needs.
fn sdp_of(initiate: &Element) -> String {
    let content = initiate.child("content", "urn:xmpp:jingle:1").unwrap();
    let transport = content
        .child("transport", "urn:xmpp:jingle:transports:ice-udp:1")
        .unwrap();
    let fingerprint = transport
        .child("fingerprint", "urn:xmpp:jingle:apps:dtls:0")
        .unwrap();
    let text = format!(
        "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE audio\nm=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\na=rtpmap:111 opus/48000/2\na=setup:{}\na=mid:audio\na=ice-ufrag:{}\na=ice-pwd:{}\na=fingerprint:{} {}\na=rtcp-mux\na=sendrecv\n",
        fingerprint.attribute("setup").unwrap(),
        transport.attribute("ufrag").unwrap(),
        transport.attribute("pwd").unwrap(),
        fingerprint.attribute("hash").unwrap(),
        fingerprint.text,
    );
    text.replace('\n', "\r\n")
}

/// An answer as the JavaScript client says it.
fn session_accept(sdp: &str, session: &str) -> String {
    let fingerprint = line(sdp, "a=fingerprint:sha-256 ");
    format!(
        "<jingle xmlns=\"urn:xmpp:jingle:1\" sid=\"{session}\" action=\"session-accept\"><content creator=\"initiator\" name=\"audio\"><description xmlns=\"urn:xmpp:jingle:apps:rtp:1\" media=\"audio\" ssrc=\"16728076\"><rtcp-mux/><payload-type channels=\"2\" clockrate=\"48000\" id=\"111\" name=\"opus\"/><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"16728076\"><parameter name=\"cname\" value=\"phone\"/></source></description><transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"{}\" pwd=\"{}\"><fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\" hash=\"sha-256\" setup=\"{}\">{fingerprint}</fingerprint></transport></content><group xmlns=\"urn:xmpp:jingle:apps:grouping:0\" semantics=\"BUNDLE\"><content name=\"audio\"/></group></jingle>",
        line(sdp, "a=ice-ufrag:"),
        line(sdp, "a=ice-pwd:"),
        line(sdp, "a=setup:"),
    )
}

fn line(sdp: &str, key: &str) -> String {
    sdp.lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap()
        .trim()
        .to_owned()
}

pub async fn post_metadata(client: &Client, call: &str, own: &Value) {
    let path = format!(
        "conversations/calls/{call}/communications/{}/metadata",
        own["calls"][0]["id"].as_str().unwrap()
    );
    assert_eq!(client.rest.call("POST", &path, None).await.0, 202);
}

fn participant(call: &str, own: &Value) -> String {
    format!(
        "conversations/calls/{call}/participants/{}",
        own["id"].as_str().unwrap()
    )
}

/// Waits until the far end hears the tone it says itself, echoed by the phone.
async fn hears_itself(sim: &Handle, call: &str) {
    let heard = async {
        loop {
            let level = sim.call(call).await.unwrap().leg.unwrap().level_in;
            if (level.dominant_hz - 440.0).abs() < 5.0 && (level.dbfs + 20.0).abs() < 1.5 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::time::timeout(WAIT, heard).await;
    assert!(heard.is_ok(), "{:#?}", sim.call(call).await.unwrap().leg);
}

async fn end_seen(client: &mut Client, in_call: &InCall, form: Form) {
    client.state("disconnected").await;
    match form {
        Form::SdpOverXmpp => {
            let (iq, message) = client.rpc("terminate").await;
            assert_eq!(iq.attribute("from"), Some(in_call.peer.as_str()));
            assert_eq!(message["params"]["sessionId"], in_call.session.as_str());
            assert_eq!(message["params"]["reason"], "success");
        }
        Form::Jingle => {
            let (_, jingle) = jingle_set(client, "session-terminate").await;
            assert_eq!(jingle.attribute("sid"), Some(in_call.session.as_str()));
        }
    }
    client.state("terminated").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbound_calls_are_answered_muted_held_and_ended() {
    for form in FORMS {
        let (sim, user) = simulator().await;
        let mut client = Client::online(&sim, &user).await;
        let call = sim
            .call_user(&InboundSpec {
                form,
                ..InboundSpec::to(&user)
            })
            .unwrap();
        let (conversation, own) = client.state("alerting").await;
        assert_eq!(own["purpose"], "agent");
        assert_eq!(
            own["calls"][0]["other"]["addressDisplayable"],
            "+1 317-555-0100"
        );
        let purposes: Vec<&Value> = conversation["participants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["purpose"])
            .collect();
        assert_eq!(purposes, ["customer", "acd", "agent"]);
        let in_call = answer(&mut client, form, &call).await;
        let (_, own) = client.state("connected").await;
        post_metadata(&client, &call, &own).await;
        hears_itself(&sim, &call).await;
        // The far end's sound comes in real time: a tenth of a second of it.
        while sim.recording(&call).await.len() <= 4_800 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for (body, flag) in [
            (json!({"muted": true}), "muted"),
            (json!({"held": true}), "held"),
        ] {
            let (status, answer) = client
                .rest
                .call("PATCH", &participant(&call, &own), Some(body))
                .await;
            assert_eq!((status, answer), (202, Value::Null));
            assert_eq!(client.state("connected").await.1["calls"][0][flag], true);
        }
        let report = sim.call(&call).await.unwrap();
        let leg = report.leg.as_ref().unwrap();
        assert!(report.held && report.muted && leg.held && leg.muted);
        let hang_up = json!({"state": "disconnected"});
        client
            .rest
            .call("PATCH", &participant(&call, &own), Some(hang_up))
            .await;
        end_seen(&mut client, &in_call, form).await;
        let report = sim.call(&call).await.unwrap();
        assert_eq!(report.disconnect_type.as_deref(), Some("client"));
        let order = [
            "propose",
            "proceed",
            "offer",
            "accept",
            "answer",
            "active",
            "connected",
        ];
        let times: Vec<f64> = order.iter().map(|what| report.at(what).unwrap()).collect();
        assert!(times.is_sorted(), "{:?}", report.marks);
        assert!(sim.recording(&call).await.len() > 4_800);
        assert_clean(&sim.violations());
    }
}

async fn dial(sim: &Handle, user: &SimUser, client: &mut Client, spec: OutboundSpec) -> String {
    let first = spec.order[0];
    let form = spec.form;
    sim.outbound_defaults(spec);
    let rest = client.rest.clone();
    let placed = tokio::spawn(async move {
        let body = json!({"phoneNumber": "+1 555-555-0199", "sessionType": "softphone"});
        rest.call("POST", "conversations/calls", Some(body)).await
    });
    let call = sim.wait_for_new_call(&[], WAIT).await.unwrap();
    if first == OutboundStep::Propose {
        // The phone must not need the reply to know its call.
        assert!(!placed.is_finished());
    }
    let in_call = answer(client, form, &call).await;
    let (conversation, _) = client.state("contacting").await;
    assert_eq!(
        own(&conversation, &user.user_id)["calls"][0]["direction"],
        "outbound"
    );
    let (status, body) = placed.await.unwrap();
    assert_eq!((status, body["id"].as_str()), (202, Some(call.as_str())));
    assert_eq!(
        body["selfUri"],
        format!("/api/v2/conversations/calls/{call}")
    );
    client.state("dialing").await;
    sim.answer_far_end(&call).unwrap();
    let (_, own) = client.state("connected").await;
    post_metadata(client, &call, &own).await;
    hears_itself(sim, &call).await;
    sim.hang_up_far_end(&call).unwrap();
    end_seen(client, &in_call, form).await;
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outbound_calls_are_placed_answered_and_ended_by_the_far_end() {
    for (form, order) in [
        (Form::SdpOverXmpp, OutboundStep::ORDERS[0]),
        (Form::Jingle, OutboundStep::ORDERS[5]),
    ] {
        let (sim, user) = simulator().await;
        let mut client = Client::online(&sim, &user).await;
        let gap = Duration::from_millis(100);
        let spec = OutboundSpec {
            order,
            gap,
            form,
            ..OutboundSpec::default()
        };
        let call = dial(&sim, &user, &mut client, spec).await;
        let report = sim
            .wait_for_state(&call, CallState::Terminated, WAIT)
            .await
            .unwrap();
        assert_eq!(report.disconnect_type.as_deref(), Some("peer"));
        assert_eq!(report.remote_address, "tel:+15555550199");
        assert_clean(&sim.violations());
    }
}

#[tokio::test]
async fn a_ringing_call_is_retracted_or_goes_to_voicemail() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    let call = sim.call_user(&InboundSpec::to(&user)).unwrap();
    client.state("alerting").await;
    let (message, propose) = client.propose().await;
    sim.retract(&call).unwrap();
    let retract = client
        .expect(|one| one.child("retract", "urn:xmpp:jingle-message:0").is_some())
        .await;
    assert_eq!(retract.attribute("from"), message.attribute("from"));
    assert_eq!(retract.children[0].attribute("id"), propose.attribute("id"));
    client.state("disconnected").await;
    client.state("terminated").await;
    assert!(sim.retract(&call).is_err());

    let spec = InboundSpec {
        purpose: InboundPurpose::User,
        ..InboundSpec::to(&user)
    };
    let call = sim.call_user(&spec).unwrap();
    let (_, own) = client.state("alerting").await;
    assert_eq!(own["purpose"], "user");
    let path = format!("{}/replace", participant(&call, &own));
    let (status, _) = client
        .rest
        .call("POST", &path, Some(json!({"voicemail": true})))
        .await;
    assert_eq!(status, 202);
    let (conversation, _) = client.state("disconnected").await;
    let last = conversation["participants"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["purpose"], "voicemail");
    assert_clean(&sim.violations());
}

/// Two of a user's clients: one wins, and its accept tells the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_is_told_that_the_call_is_taken() {
    let (sim, user) = simulator().await;
    let mut phone = Client::online(&sim, &user).await;
    let rest = phone.rest.clone();
    let channel = rest.new_channel().await;
    let mut browser = Client::open(&sim, &user, &channel).await;
    browser.negotiate(Some("browser")).await;
    browser.subscribe("conversations").await;
    let call = sim.call_user(&InboundSpec::to(&user)).unwrap();
    browser.propose().await;
    let _in_call = answer(&mut phone, Form::SdpOverXmpp, &call).await;
    let told = browser
        .expect(|one| one.child("accept", "urn:xmpp:jingle-message:0").is_some())
        .await;
    assert_eq!(told.attribute("from"), Some(phone.full.as_str()));
    browser.state("alerting").await;
    browser.state("connected").await;
    let (_, own) = {
        phone.state("alerting").await;
        phone.state("connected").await
    };
    post_metadata(&phone, &call, &own).await;
    assert_clean(&sim.violations());
}
