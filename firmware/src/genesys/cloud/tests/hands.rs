//! Logging in, renewing, logging out, and a phone that changes hands (genesys-protocol 1.2, 1.4).

use super::{Answer, Bench, answer, next, serve, serve_on};
use crate::genesys::login::{LoginConfig, LoginError};
use crate::genesys::rest::wire::HttpReply;
use crate::genesys::rest::{RestError, RestRequest};
use crate::genesys::token::TokenSource;
use crate::genesys::transport::scripted::ServerEnd;
use crate::genesys::{CloudConfig, CloudError, CloudEvent, Environment, Login, LoginNeed, Memory};
use base64::Engine;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The cloud with its login host. Tokens are `USER-NUMBER`; whoever logs in next is `next_user`.
pub(super) struct Cloud {
    next_user: Mutex<String>,
    issued: AtomicUsize,
    /// Access tokens that are refused.
    revoked: Mutex<Vec<String>>,
    /// What the next requests for tokens get instead of tokens.
    trouble: Mutex<Vec<Answer>>,
    station: bool,
}

impl Cloud {
    pub(super) fn new(station: bool) -> Arc<Self> {
        Arc::new(Self {
            next_user: Mutex::new("U1".to_owned()),
            issued: AtomicUsize::new(0),
            revoked: Mutex::default(),
            trouble: Mutex::default(),
            station,
        })
    }

    pub(super) fn serve(&self, line: &str, token: &str) -> Answer {
        if line == "POST /oauth/token" {
            if let Some(trouble) = self.trouble.lock().expect("ok").pop() {
                return trouble;
            }
            let user = self.next_user.lock().expect("ok").clone();
            let n = self.issued.fetch_add(1, Ordering::Relaxed) + 1;
            return Answer::json(
                200,
                &json!({"access_token":format!("{user}-{n}"),"refresh_token":format!("R{n}"),"expires_in":3600}),
            );
        }
        let (user, _) = token.split_once('-').unwrap_or((token, ""));
        if self.revoked.lock().expect("ok").iter().any(|t| t == token) {
            return Answer::json(401, &json!({"code":"bad.credentials"}));
        }
        match line {
            "GET /users/me?expand=station" => {
                let station = self
                    .station
                    .then(|| json!({"effectiveStation":{"id":"ST"}}));
                Answer::json(
                    200,
                    &json!({"id":user,"name":"Agent","chat":{"jabberId":super::BARE},"station":station}),
                )
            }
            "GET /organizations/me" => Answer::json(200, &json!({"id":"O"})),
            "POST /notifications/channels?connectionType=streaming" => {
                Answer::json(200, &json!({"id":format!("ch-{user}")}))
            }
            line if line.starts_with("GET /stations?") => Answer::json(
                200,
                &json!({"entities":[{"id":"ST","type":"inin_webrtc_softphone"}]}),
            ),
            "GET /stations/ST" => {
                Answer::json(200, &json!({"id":"ST","type":"inin_webrtc_softphone"}))
            }
            "GET /conversations/calls" => Answer::json(200, &json!({"entities":[]})),
            _ => Answer::json(200, &json!({})),
        }
    }

    pub(super) fn revoke(&self, token: &str) {
        self.revoked.lock().expect("ok").push(token.to_owned());
    }

    fn next_user(&self, user: &str) {
        user.clone_into(&mut self.next_user.lock().expect("ok"));
    }
}

fn bench(cloud: &Arc<Cloud>, dir: &Path) -> Bench {
    let secret = dir.join("secret");
    std::fs::write(&secret, "s3cret").expect("written");
    let login = LoginConfig {
        client_id: "client".to_owned(),
        client_secret_file: Some(secret),
        state: Some(dir.into()),
        ..LoginConfig::default()
    };
    let environment = Environment::parse("mypurecloud.com", "").expect("an environment");
    let config = CloudConfig {
        memory: Memory::open(dir),
        ..CloudConfig::default()
    };
    let served = cloud.clone();
    Bench::with(
        config,
        |network| TokenSource::login(Login::over(network, &environment, &login)),
        move |line, token| served.serve(line, token),
    )
}

async fn log_in(bench: &Bench) {
    let login = bench.cloud.login().expect("a login");
    let url = login.begin("http://phone").expect("begun");
    let state = url.split("state=").nth(1).expect("a state");
    login
        .callback(&format!("code=C&state={state}"))
        .await
        .expect("logged in");
}

/// Logged in and connected, with a server that answers for ever.
async fn connected(
    cloud: &Arc<Cloud>,
    dir: &Path,
) -> (
    Bench,
    tokio::sync::mpsc::UnboundedReceiver<crate::genesys::xml::Element>,
) {
    let mut bench = bench(cloud, dir);
    log_in(&bench).await;
    let mut server = bench.link().await;
    serve(&mut server).await;
    bench
        .event_like(|e| matches!(e, CloudEvent::Connected { .. }))
        .await;
    let (_, others) = serve_on(server);
    (bench, others)
}

async fn ready(bench: &mut Bench) -> String {
    match bench
        .event_like(|e| matches!(e, CloudEvent::Ready(_)))
        .await
    {
        CloudEvent::Ready(identity) => identity.user.id.to_string(),
        _ => unreachable!(),
    }
}

async fn need(bench: &mut Bench) -> LoginNeed {
    match bench
        .event_like(|e| matches!(e, CloudEvent::LoginNeeded(_)))
        .await
    {
        CloudEvent::LoginNeeded(need) => need,
        _ => unreachable!(),
    }
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The token that signs in.
async fn sign_in(server: &mut ServerEnd, refused: &[&str]) -> Vec<String> {
    let mut tokens = Vec::new();
    while let Some(stanza) = next(server).await {
        if stanza.name != "auth" {
            answer(server, &stanza);
            continue;
        }
        let secret = base64::engine::general_purpose::STANDARD
            .decode(stanza.text())
            .expect("base64");
        let secret = String::from_utf8(secret).expect("text");
        let token = secret.rsplit_once(':').expect("a token").1.to_owned();
        if refused.contains(&token.as_str()) {
            server.send(
                r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>"#,
            );
        } else {
            answer(server, &stanza);
        }
        tokens.push(token);
    }
    tokens
}

#[tokio::test(start_paused = true)]
async fn nobody_is_here_until_somebody_logs_in() {
    let dir = dir();
    let mut bench = bench(&Cloud::new(true), dir.path());
    let (mut asked, mut failed) = (false, false);
    for _ in 0..2 {
        match bench.event().await {
            CloudEvent::LoginNeeded(LoginNeed::Nobody) => asked = true,
            CloudEvent::Failed {
                error: CloudError::Rest(RestError::Token(_)) | CloudError::Token(_),
                retry_in: None,
            } => {
                failed = true;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(asked && failed);
    bench.quiet(3600).await;
    assert!(bench.network.requests.lock().expect("ok").is_empty());
    log_in(&bench).await;
    let mut server = bench.link().await;
    serve(&mut server).await;
    assert!(matches!(
        bench.event().await,
        CloudEvent::LoggedIn { renews: true }
    ));
    assert_eq!(ready(&mut bench).await, "U1");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_disturbs_nothing() {
    let dir = dir();
    let (mut bench, mut others) = connected(&Cloud::new(true), dir.path()).await;
    bench.quiet(3100).await;
    assert_eq!(bench.requests("refresh_token=R1"), 1);
    assert!(others.try_recv().is_err(), "the stream is left alone");
    assert_eq!(bench.requests("/users/me"), 1, "it is the same user's");
    bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect("read");
    assert_eq!(bench.requests("GET /conversations/calls U1-2"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_the_request_repeated() {
    let dir = dir();
    let cloud = Cloud::new(true);
    let (mut bench, _others) = connected(&cloud, dir.path()).await;
    cloud.revoke("U1-1");
    bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect("read");
    let calls = |bench: &Bench| bench.requests("GET /conversations/calls");
    assert_eq!((calls(&bench), bench.requests("/oauth/token")), (2, 2));
    bench.quiet(60).await;
    // What was renewed is refused too: a person must act, and nothing is tried any more.
    cloud.revoke("U1-2");
    cloud.revoke("U1-3");
    let error = bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect_err("refused");
    assert!(
        matches!(error, RestError::Status { status: 401, .. }),
        "{error}"
    );
    assert_eq!((calls(&bench), bench.requests("/oauth/token")), (4, 3));
    assert_eq!(need(&mut bench).await, LoginNeed::Refused);
    let error = bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect_err("no token");
    assert!(matches!(error, RestError::Token(_)), "{error}");
    assert_eq!((calls(&bench), bench.requests("/oauth/token")), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn the_stream_signs_in_again_with_a_renewed_token() {
    let dir = dir();
    let mut bench = bench(&Cloud::new(true), dir.path());
    log_in(&bench).await;
    let mut first = bench.link().await;
    assert_eq!(sign_in(&mut first, &["U1-1"]).await, ["U1-1"]);
    let mut second = bench.link().await;
    assert_eq!(sign_in(&mut second, &[]).await, ["U1-2"]);
    assert_eq!(ready(&mut bench).await, "U1");
    assert_eq!(bench.requests("/oauth/token"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_refuses_every_token_asks_for_a_person() {
    let dir = dir();
    let mut bench = bench(&Cloud::new(true), dir.path());
    log_in(&bench).await;
    for token in ["U1-1", "U1-2"] {
        let mut server = bench.link().await;
        assert_eq!(sign_in(&mut server, &["U1-1", "U1-2"]).await, [token]);
    }
    let failed = bench
        .event_like(|e| matches!(e, CloudEvent::Failed { .. }))
        .await;
    assert!(matches!(
        failed,
        CloudEvent::Failed {
            error: CloudError::InvalidToken { .. },
            retry_in: None
        }
    ));
    assert_eq!(need(&mut bench).await, LoginNeed::Refused);
    bench.quiet(3600).await;
    assert_eq!(bench.requests("/oauth/token"), 2);
    log_in(&bench).await;
    let mut server = bench.link().await;
    assert_eq!(sign_in(&mut server, &[]).await, ["U1-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_host_out_of_reach_is_no_reason_to_ask_a_person() {
    let dir = dir();
    let cloud = Cloud::new(true);
    let mut bench = bench(&cloud, dir.path());
    log_in(&bench).await;
    cloud
        .trouble
        .lock()
        .expect("ok")
        .push(Answer::Fail(RestError::Network {
            request: "POST /oauth/token".to_owned(),
            detail: "no route".to_owned(),
            tls: false,
        }));
    let mut server = bench.link().await;
    sign_in(&mut server, &["U1-1"]).await;
    let failed = bench
        .event_like(|e| matches!(e, CloudEvent::Failed { .. }))
        .await;
    let CloudEvent::Failed {
        error: CloudError::Unreachable { host, .. },
        retry_in: Some(_),
    } = failed
    else {
        panic!("{failed:?}");
    };
    assert_eq!(host, "login.mypurecloud.com");
    let mut server = bench.link().await;
    sign_in(&mut server, &["U1-1"]).await;
    let mut server = bench.link().await;
    assert_eq!(sign_in(&mut server, &[]).await, ["U1-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_out_gives_the_station_back_and_leaves_nothing_of_the_user() {
    let dir = dir();
    let cloud = Cloud::new(false);
    let (mut bench, mut others) = connected(&cloud, dir.path()).await;
    assert_eq!(
        bench.requests("PUT /users/stations/me/associatedstation/ST U1-1"),
        1
    );
    bench.cloud.log_out().await.expect("logged out");
    assert_eq!(
        bench.requests("DELETE /users/stations/me/associatedstation U1-1"),
        1
    );
    assert!(matches!(
        bench
            .event_like(|e| !matches!(e, CloudEvent::LoginNeeded(_)))
            .await,
        CloudEvent::LoggedOut
    ));
    assert_eq!(others.recv().await.expect("a farewell").name, "close");
    assert_eq!(bench.cloud.full_jid(), None);
    let stored = std::fs::read_to_string(dir.path().join("login.json")).expect("a file");
    assert!(
        !stored.contains("U1-1") && !stored.contains("R1"),
        "{stored}"
    );
    let error = bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect_err("nobody");
    assert!(matches!(error, RestError::Token(_)), "{error}");
    while bench.events.try_recv().is_ok() {}
    bench.quiet(3600).await;
    // Somebody else sits down.
    cloud.next_user("U2");
    log_in(&bench).await;
    let mut server = bench.link().await;
    assert_eq!(server.channel, "ch-U2");
    serve(&mut server).await;
    assert_eq!(ready(&mut bench).await, "U2");
    let up = bench
        .event_like(|e| matches!(e, CloudEvent::Connected { .. }))
        .await;
    assert!(matches!(
        up,
        CloudEvent::Connected {
            reconnect: false,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_station_that_was_there_already_is_left_at_a_log_out() {
    let dir = dir();
    let (bench, _others) = connected(&Cloud::new(true), dir.path()).await;
    bench.cloud.log_out().await.expect("logged out");
    assert_eq!(bench.requests("DELETE "), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_out_does_not_depend_on_the_cloud() {
    let dir = dir();
    let cloud = Cloud::new(false);
    let (mut bench, _others) = connected(&cloud, dir.path()).await;
    cloud.revoke("U1-1");
    bench.cloud.log_out().await.expect("logged out");
    bench
        .event_like(|e| matches!(e, CloudEvent::LoggedOut))
        .await;
    assert_eq!(
        bench.requests("/oauth/token"),
        1,
        "a token that is thrown away is not renewed"
    );
}

#[tokio::test(start_paused = true)]
async fn somebody_else_logs_in_over_the_one_who_is_here() {
    let dir = dir();
    let cloud = Cloud::new(true);
    let (mut bench, mut others) = connected(&cloud, dir.path()).await;
    cloud.next_user("U2");
    log_in(&bench).await;
    bench
        .event_like(|e| matches!(e, CloudEvent::LoggedOut))
        .await;
    assert_eq!(others.recv().await.expect("a farewell").name, "close");
    let mut server = bench.link().await;
    assert_eq!(sign_in(&mut server, &[]).await, ["U2-2"]);
    assert_eq!(ready(&mut bench).await, "U2");
}

#[tokio::test(start_paused = true)]
async fn the_same_user_logs_in_again_and_nothing_is_disturbed() {
    let dir = dir();
    let (mut bench, mut others) = connected(&Cloud::new(true), dir.path()).await;
    log_in(&bench).await;
    bench.quiet(60).await;
    assert!(others.try_recv().is_err());
    assert_eq!(bench.requests("GET /users/me?expand=station U1-2"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_file_of_another_user_is_another_user() {
    let dir = dir();
    let path = dir.path().join("token");
    std::fs::write(&path, "U1-1").expect("written");
    let cloud = Cloud::new(true);
    let served = cloud.clone();
    let mut bench = Bench::with_token(TokenSource::file(&path), move |line, token| {
        served.serve(line, token)
    });
    let mut server = bench.link().await;
    serve(&mut server).await;
    assert_eq!(ready(&mut bench).await, "U1");
    serve_on(server);
    assert_eq!(bench.cloud.login().err(), Some(LoginError::TokenFile));
    assert_eq!(bench.cloud.log_out().await, Err(LoginError::TokenFile));
    std::fs::write(&path, "U2-1").expect("written");
    cloud.revoke("U1-1");
    bench
        .cloud
        .rest(RestRequest::ActiveCalls)
        .await
        .expect("read with the new token");
    bench
        .event_like(|e| matches!(e, CloudEvent::LoggedOut))
        .await;
    let mut server = bench.link().await;
    serve(&mut server).await;
    assert_eq!(ready(&mut bench).await, "U2");
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_looked_for_again() {
    let (dir, tries) = (dir(), AtomicUsize::new(0));
    let cloud = Cloud::new(true);
    let served = cloud.clone();
    let path = dir.path().join("token");
    std::fs::write(&path, "U1-1").expect("written");
    let mut bench = Bench::with_token(TokenSource::file(&path), move |line, token| {
        if line.starts_with("POST /notifications") && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            return Answer::Reply(HttpReply {
                status: 403,
                body: br#"{"code":"missing.any.permissions"}"#.to_vec(),
                ..HttpReply::default()
            });
        }
        served.serve(line, token)
    });
    let failed = bench.event().await;
    let CloudEvent::Failed {
        error: error @ CloudError::Forbidden { .. },
        retry_in: None,
    } = failed
    else {
        panic!("{failed:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("missing.any.permissions") && text.contains("administrator"),
        "{text}"
    );
    bench.link().await;
    assert_eq!(bench.started.elapsed(), Duration::from_mins(5));
}
