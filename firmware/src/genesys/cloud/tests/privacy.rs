//! Nothing private reaches the log, even at trace.

use super::hands::Cloud;
use super::{Answer, Bench, PEER, answer, healthy, next, serve, terminate};
use crate::device::Private;
use crate::genesys::rest::{RestRequest, StartSoftphoneSessionParams};
use crate::genesys::signal::{Candidate, Form, Reply};
use crate::genesys::token::TokenSource;
use crate::genesys::{CloudConfig, Environment, Login, LoginConfig};
use serde_json::json;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_login_at_trace_holds_no_code_verifier_token_or_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut secrets: Vec<String> = [
        "C0DE-1",
        "s3cret-1",
        "U1-1",
        "U1-2",
        "Agent Smith",
        "code_verifier=",
    ]
    .map(str::to_owned)
    .into();
    for secret in [true, false] {
        let dir = tempfile::tempdir().expect("a folder");
        let cloud = Cloud::new(false);
        let file = dir.path().join("secret");
        std::fs::write(&file, "s3cret-1").expect("written");
        let login = LoginConfig {
            client_id: "client".to_owned(),
            client_secret_file: secret.then_some(file),
            state: Some(dir.path().into()),
            ..LoginConfig::default()
        };
        let environment = Environment::parse("mypurecloud.com", "").expect("an environment");
        let (served, config) = (cloud.clone(), CloudConfig::default());
        let mut bench = Bench::with(
            config,
            |network| TokenSource::login(Login::over(network, &environment, &login)),
            move |line, token| served.serve(line, token),
        );
        let login = bench.cloud.login().expect("a login").clone();
        let url = login.begin("http://phone").expect("begun");
        let stored: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("login.json")).expect("stored"))
                .expect("JSON");
        let attempt = &stored["attempts"][0];
        for word in [&attempt["state"], &attempt["verifier"]] {
            secrets.extend(word.as_str().map(str::to_owned));
        }
        let state = attempt["state"].as_str().expect("a state");
        for query in [
            "code=C0DE-1&state=other".to_owned(),
            "error=access_denied&error_description=Agent+Smith+may+not&state=x".to_owned(),
            format!("code=C0DE-1&state={state}"),
        ] {
            let outcome = login.callback(&query).await;
            tracing::info!(?outcome, "the page came back");
            if let Err(error) = outcome {
                tracing::info!(%error, "and says");
            }
        }
        assert!(url.contains(state));
        let mut server = bench.link().await;
        serve(&mut server).await;
        for token in ["U1-1", "U1-2"] {
            cloud.revoke(token);
        }
        let error = bench
            .cloud
            .rest(RestRequest::ActiveCalls)
            .await
            .expect_err("refused");
        tracing::info!(%error, ?error, "refused");
        let outcome = bench.cloud.log_out().await;
        tracing::info!(?outcome, ?login, "logged out");
        bench
            .event_like(|event| {
                tracing::info!(?event, "the phone hears");
                matches!(event, crate::genesys::CloudEvent::LoggedOut)
            })
            .await;
    }
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    for word in [
        "access_denied",
        "somebody has logged in",
        "the login was renewed",
        "LoggedOut",
    ] {
        assert!(log.contains(word), "{word:?} should be in\n{log}");
    }
    assert_eq!(secrets.len(), 6 + 3, "two states and a verifier");
    for word in &secrets {
        assert!(!log.contains(word.as_str()), "{word:?} is in\n{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_call_at_trace_holds_no_token_number_or_name() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let healthy = healthy();
    let mut bench = Bench::new(move |line, _| match line {
        "POST /conversations/calls" => Answer::json(
            400,
            &json!({"code":"bad.number","message":"+13175550100 cannot be dialed by Agent Smith"}),
        ),
        line => healthy(line),
    });
    let mut server = bench.link().await;
    serve(&mut server).await;
    let place = RestRequest::PlaceCall(Box::new(StartSoftphoneSessionParams {
        phone_number: Some(Private::from("+13175550100")),
        ..StartSoftphoneSessionParams::default()
    }));
    let error = bench.cloud.rest(place).await.expect_err("refused");
    tracing::error!(%error, ?error, "the call was refused");
    for text in [
        format!(r#"<message xmlns="jabber:client" from="{PEER}"><propose xmlns="urn:xmpp:jingle-message:0" id="S" inin-cid="C" inin-sdp-over-xmpp="true"/></message>"#),
        format!(r#"<message xmlns="jabber:client" from="{PEER}"><propose xmlns="urn:xmpp:jingle-message:0"/></message>"#),
        format!(r#"<iq xmlns="jabber:client" type="set" id="q" from="{PEER}"><genesys-webrtc xmlns="genesys">{{"method":"offer","params":{{"sessionId":"S","sdp":"v=0"}}}}</genesys-webrtc></iq>"#),
        format!(r#"<iq xmlns="jabber:client" type="set" id="q" from="{PEER}"><genesys-webrtc xmlns="genesys">Agent Smith +13175550100</genesys-webrtc></iq>"#),
        r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="v2.users.U.conversations"><item><json xmlns="urn:xmpp:json:0">{"eventBody":{"id":"C","participants":[{"id":"P","name":"Agent Smith","address":"tel:+13175550100","calls":[{"id":7,"state":"+13175550100"}]}]}}</json></item></items></event></message>"#.to_owned(),
        r#"<message xmlns="jabber:client"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="v2.users.U.conversations"><item><json xmlns="urn:xmpp:json:0">Agent Smith +13175550100</json></item></items></event></message>"#.to_owned(),
        "Agent Smith <+13175550100".to_owned(),
    ] {
        server.send(text);
    }
    let to = || PEER.into();
    let form = Form::SdpOverXmpp;
    let candidate = Candidate {
        mid: "0".to_owned(),
        candidate: "candidate:1 1 udp 1 10.0.0.1 5 typ host".to_owned(),
    };
    bench.cloud.signal(Reply::Proceed {
        session: "S".into(),
        to: to(),
    });
    bench.cloud.signal(Reply::Answer {
        session: "S".into(),
        to: to(),
        form,
        sdp: "v=0".to_owned(),
    });
    bench.cloud.signal(Reply::Candidate {
        session: "S".into(),
        to: to(),
        form,
        candidate,
    });
    bench.cloud.signal(terminate("S"));
    while let Some(stanza) = next(&mut server).await {
        let id = stanza.attribute("id").unwrap_or_default();
        let error = format!(
            r#"<iq xmlns="jabber:client" id="{id}" type="error" from="{PEER}"><error><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>"#
        );
        if !answer(&server, &stanza) {
            server.send(error);
        }
    }
    while let Ok(event) = bench.events.try_recv() {
        tracing::info!(?event, "the phone hears");
    }
    server.break_link("cut");
    tracing::info!(event = ?bench.event().await, "the phone hears");

    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    for word in [
        "the call was refused",
        "Propose",
        "iq set",
        "cannot be used",
        "the stream is down",
    ] {
        assert!(log.contains(word), "{word:?} should be in\n{log}");
    }
    let token = "AG1lQGFjbWUudGVzdABhdXRoS2V5OlRPS0VO";
    for word in ["TOKEN", token, "3175550100", "Smith", "gjoll"] {
        assert!(!log.contains(word), "{word:?} is in\n{log}");
    }
}
