//! A login against a scripted login host, under virtual time.

use super::{Login, LoginConfig, LoginError, LoginNeed, LoginState, Renewal};
use crate::device::Private;
use crate::genesys::Environment;
use crate::genesys::rest::RestError;
use crate::genesys::rest::wire::HttpReply;
use crate::genesys::transport::scripted::{Answer, Scripted};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const REDIRECT: &str = "http://phone.local:8321";

/// A login host that hands out `A1`, `R1`, then `A2`, `R2`, ...; `renews` as a confidential client gets them.
fn host(renews: bool) -> impl Fn(&str) -> Answer + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut reply =
            json!({"access_token": format!("A{n}"), "token_type":"bearer", "expires_in": 3600});
        if renews {
            reply["refresh_token"] = json!(format!("R{n}"));
        }
        Answer::json(200, &reply)
    }
}

/// Fails the requests number `from..to`.
fn failing(
    from: usize,
    to: usize,
    with: impl Fn() -> Answer + Send + Sync + 'static,
) -> impl Fn(&str) -> Answer + Send + Sync + 'static {
    let (host, count) = (host(true), AtomicUsize::new(0));
    move |form| {
        if (from..to).contains(&count.fetch_add(1, Ordering::Relaxed)) {
            return with();
        }
        host(form)
    }
}

struct Bench {
    login: Login,
    network: Arc<Scripted>,
}

impl Bench {
    fn at(
        environment: &str,
        dir: &Path,
        http: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let secret = dir.join("secret");
        std::fs::write(&secret, "s3cret\n").expect("written");
        Self::with(environment, dir, Some(&secret), http)
    }

    fn with(
        environment: &str,
        dir: &Path,
        secret: Option<&Path>,
        http: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (network, _) = Scripted::new(move |line, _, body| {
            assert_eq!(line, "POST /oauth/token");
            http(std::str::from_utf8(body.expect("a form")).expect("text"))
        });
        let network = Arc::new(network);
        let environment = Environment::parse(environment, "").expect("an environment");
        let config = LoginConfig {
            client_id: "client".to_owned(),
            client_secret_file: secret.map(Path::to_owned),
            redirect_uri: String::new(),
            state: Some(dir.into()),
        };
        Self {
            login: Login::over(network.clone(), &environment, &config),
            network,
        }
    }

    fn renewing(dir: &Path, http: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("mypurecloud.com", dir, http)
    }

    /// Logs somebody in, and keeps the login fresh from then on.
    async fn logged_in(dir: &Path, http: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let bench = Self::renewing(dir, http);
        bench.log_in().await.expect("logged in");
        bench.keep_fresh();
        bench
    }

    async fn log_in(&self) -> Result<(), LoginError> {
        let state = state_of(&self.login.begin(REDIRECT)?);
        self.login.callback(&format!("code=C&state={state}")).await
    }

    fn keep_fresh(&self) {
        let login = self.login.clone();
        tokio::spawn(async move { login.keep_fresh().await });
    }

    fn token(&self) -> Option<String> {
        let token = self.login.current();
        token.map(|token| token.expose().to_owned())
    }

    /// The forms that were sent.
    fn forms(&self) -> Vec<HashMap<String, String>> {
        let requests = self.network.requests.lock().expect("no panic");
        let form = |line: &String| line.rsplit_once(' ').expect("a form").1.to_owned();
        requests
            .iter()
            .map(form)
            .map(|form| fields(&form))
            .collect()
    }
}

fn fields(form: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}

fn state_of(url: &str) -> String {
    fields(url.split_once('?').expect("a query").1)["state"].clone()
}

fn stored(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("login.json")).expect("stored")
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn unreachable() -> Answer {
    Answer::Fail(RestError::Network {
        request: super::REQUEST.to_owned(),
        detail: "no route".to_owned(),
        tls: false,
    })
}

#[tokio::test(start_paused = true)]
async fn a_login_with_pkce_from_the_page_to_the_token() {
    let dir = dir();
    let bench = Bench::with("mypurecloud.de", dir.path(), None, host(false));
    assert_eq!(bench.login.state(), LoginState::Needed(LoginNeed::Nobody));
    assert_eq!(bench.token(), None);
    let url = bench
        .login
        .begin("http://phone.local:8321/")
        .expect("begun");
    assert!(
        url.starts_with("https://login.mypurecloud.de/oauth/authorize?"),
        "{url}"
    );
    let asked = fields(url.split_once('?').expect("a query").1);
    assert_eq!(
        asked["redirect_uri"],
        "http://phone.local:8321/login/callback"
    );
    let mut states = bench.login.states();
    bench
        .login
        .callback(&format!("state={}&code=C1", asked["state"]))
        .await
        .expect("logged in");
    assert!(states.has_changed().expect("alive"));
    assert_eq!(
        *states.borrow_and_update(),
        LoginState::LoggedIn { renews: false }
    );
    assert_eq!(bench.token().as_deref(), Some("A1"));
    let form = &bench.forms()[0];
    assert_eq!(
        (form["code"].as_str(), form["client_id"].as_str()),
        ("C1", "client")
    );
    let hash = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, hash);
    assert_eq!(asked["code_challenge"], challenge);
    // A code is used once, and so is an attempt.
    let again = bench
        .login
        .callback(&format!("state={}&code=C1", asked["state"]))
        .await;
    assert_eq!(again, Err(LoginError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn the_tokens_are_renewed_ahead_and_the_newest_are_kept() {
    let dir = dir();
    let bench = Bench::logged_in(dir.path(), host(true)).await;
    assert_eq!(bench.login.state(), LoginState::LoggedIn { renews: true });
    let mut states = bench.login.states();
    states.mark_unchanged();
    pass(2999).await;
    assert_eq!(bench.token().as_deref(), Some("A1"));
    pass(2).await;
    assert_eq!(
        bench.token().as_deref(),
        Some("A2"),
        "ten minutes before the end"
    );
    pass(3000).await;
    assert_eq!(bench.token().as_deref(), Some("A3"));
    let forms = bench.forms();
    let refreshed: Vec<&str> = forms[1..]
        .iter()
        .map(|form| form["refresh_token"].as_str())
        .collect();
    assert_eq!(refreshed, ["R1", "R2"]);
    assert!(stored(dir.path()).contains("\"R3\"") && !stored(dir.path()).contains("\"R2\""));
    assert!(
        !states.has_changed().expect("alive"),
        "nobody is told of what goes well"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_survives_a_restart_and_goes_to_no_other_cloud() {
    let dir = dir();
    Bench::logged_in(dir.path(), host(true)).await;
    let again = Bench::renewing(dir.path(), host(true));
    assert_eq!(again.token().as_deref(), Some("A1"));
    assert_eq!(again.login.state(), LoginState::LoggedIn { renews: true });
    assert!(again.forms().is_empty());
    let elsewhere = Bench::at("mypurecloud.ie", dir.path(), host(true));
    assert_eq!(elsewhere.token(), None);
    assert_eq!(
        elsewhere.login.state(),
        LoginState::Needed(LoginNeed::Nobody)
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_ended_while_the_phone_was_off_is_renewed_at_once() {
    let dir = dir();
    Bench::logged_in(dir.path(), host(true)).await;
    let text = stored(dir.path());
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    value["expires_at"] = json!(1_000_000);
    std::fs::write(dir.path().join("login.json"), value.to_string()).expect("written");
    let again = Bench::renewing(dir.path(), host(true));
    again.keep_fresh();
    pass(1).await;
    assert_eq!(again.forms()[0]["refresh_token"], "R1");
    assert!(again.token().is_some());
}

#[tokio::test(start_paused = true)]
async fn trouble_at_the_login_host_keeps_the_token_and_is_tried_ever_less_often() {
    let dir = dir();
    let bench = Bench::logged_in(dir.path(), failing(1, 5, unreachable)).await;
    pass(3001).await;
    assert_eq!(bench.forms().len(), 2);
    // 5, 10, 20 and 40 s later.
    for (wait, requests) in [(4, 2), (1, 3), (9, 3), (1, 4), (20, 5), (40, 6)] {
        pass(wait).await;
        assert_eq!(bench.forms().len(), requests, "after {wait} s more");
        assert!(bench.token().is_some());
        assert_eq!(bench.login.state(), LoginState::LoggedIn { renews: true });
    }
    assert_eq!(bench.token().as_deref(), Some("A2"));
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_the_login_host_is_kept() {
    let dir = dir();
    let busy = || {
        Answer::Reply(HttpReply {
            status: 429,
            retry_after: Some(Duration::from_secs(100)),
            ..HttpReply::default()
        })
    };
    let bench = Bench::logged_in(dir.path(), failing(1, 2, busy)).await;
    pass(3099).await;
    assert_eq!(bench.forms().len(), 2);
    pass(2).await;
    assert_eq!(bench.forms().len(), 3);
    assert_eq!(bench.token().as_deref(), Some("A2"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_told_while_the_access_token_works_on() {
    let dir = dir();
    let refused = || Answer::json(400, &json!({"error":"invalid_grant"}));
    let bench = Bench::logged_in(dir.path(), failing(1, 9, refused)).await;
    pass(3001).await;
    let expected = LoginNeed::Expiring {
        within: Duration::from_mins(10),
    };
    assert_eq!(bench.login.state(), LoginState::Needed(expected));
    assert_eq!(bench.token().as_deref(), Some("A1"));
    pass(2000).await;
    assert_eq!(
        bench.forms().len(),
        2,
        "no second try with a refused refresh token"
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_without_refresh_token_is_announced_to_end() {
    let dir = dir();
    let bench = Bench::with("mypurecloud.com", dir.path(), None, host(false));
    bench.log_in().await.expect("logged in");
    bench.keep_fresh();
    pass(2999).await;
    assert_eq!(bench.login.state(), LoginState::LoggedIn { renews: false });
    pass(2).await;
    let need = LoginNeed::Expiring {
        within: Duration::from_mins(10),
    };
    assert_eq!(bench.login.state(), LoginState::Needed(need));
    // Somebody does it in time.
    bench.log_in().await.expect("logged in");
    assert_eq!(bench.login.state(), LoginState::LoggedIn { renews: false });
    assert_eq!(bench.token().as_deref(), Some("A2"));
}

#[tokio::test(start_paused = true)]
async fn however_many_are_refused_at_once_one_refresh_is_made() {
    let dir = dir();
    let bench = Bench::logged_in(dir.path(), host(true)).await;
    let used = Private::from("A1");
    let (a, b, c) = tokio::join!(
        bench.login.renew(&used),
        bench.login.renew(&used),
        bench.login.renew(&used)
    );
    assert_eq!(
        [a, b, c],
        [Renewal::Another, Renewal::Another, Renewal::Another]
    );
    assert_eq!(bench.forms().len(), 2);
    assert_eq!(bench.token().as_deref(), Some("A2"));
}

#[tokio::test(start_paused = true)]
async fn what_can_come_of_a_refused_access_token() {
    let used = Private::from("A1");
    for (answer, expected) in [
        (json!({"error":"invalid_grant"}), Renewal::None),
        (json!({"error":"invalid_client"}), Renewal::None),
    ] {
        let dir = dir();
        let bench = Bench::logged_in(
            dir.path(),
            failing(1, 9, move || Answer::json(400, &answer)),
        )
        .await;
        assert_eq!(bench.login.renew(&used).await, expected);
        assert_eq!(bench.login.state(), LoginState::Needed(LoginNeed::Refused));
        assert_eq!(bench.token(), None);
        assert_eq!(bench.login.renew(&used).await, Renewal::None);
        pass(10_000).await;
        assert_eq!(bench.forms().len(), 2, "nothing more is tried");
    }
    // Trouble that may pass.
    let truncated = || {
        Answer::Reply(HttpReply {
            status: 200,
            body: br#"{"access_token":"A2"#.to_vec(),
            ..HttpReply::default()
        })
    };
    for with in [
        unreachable as fn() -> Answer,
        truncated,
        || Answer::Silence,
        || Answer::json(503, &json!({})),
    ] {
        let dir = dir();
        let bench = Bench::logged_in(dir.path(), failing(1, 2, with)).await;
        assert!(matches!(bench.login.renew(&used).await, Renewal::Later(_)));
        assert_eq!(bench.token().as_deref(), Some("A1"), "kept");
        assert_eq!(bench.login.renew(&used).await, Renewal::Another);
    }
    // A token that was never ours, and one that has been replaced since.
    let dir = dir();
    let bench = Bench::logged_in(dir.path(), host(true)).await;
    assert_eq!(
        bench.login.renew(&Private::from("OLD")).await,
        Renewal::Another
    );
    assert_eq!(bench.forms().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_for_a_refresh_may_go_away_meanwhile() {
    // Fails if the refresh dies with its asker: the cloud has then replaced a refresh token that nobody kept.
    let dir = dir();
    let (started, finish) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let bench = Bench::logged_in(dir.path(), host(true)).await;
    let slow = bench.login.inner.refreshing.lock().await;
    let asker = tokio::spawn({
        let (login, started) = (bench.login.clone(), started.clone());
        async move {
            started.notify_one();
            login.renew(&Private::from("A1")).await
        }
    });
    started.notified().await;
    tokio::task::yield_now().await;
    asker.abort();
    finish.notify_one();
    drop(slow);
    pass(1).await;
    assert_eq!(bench.token().as_deref(), Some("A2"));
    assert!(stored(dir.path()).contains("\"R2\""));
}

#[tokio::test(start_paused = true)]
async fn only_what_was_begun_here_is_finished() {
    let dir = dir();
    let bench = Bench::renewing(dir.path(), host(true));
    let unknown = Err(LoginError::Unknown);
    assert_eq!(bench.login.callback("code=C&state=S").await, unknown);
    assert_eq!(bench.login.paste("C").await, unknown);
    let urls: Vec<String> = (0..5)
        .map(|_| bench.login.begin(REDIRECT).expect("begun"))
        .collect();
    let callback = |url: &str| format!("code=C&state={}", state_of(url));
    assert_eq!(
        bench.login.callback(&callback(&urls[0])).await,
        unknown,
        "the oldest gave way"
    );
    assert_eq!(
        bench.login.callback("code=C").await,
        unknown,
        "a page may not leave the state out"
    );
    assert_eq!(bench.login.callback("C").await, Err(LoginError::NoCode));
    assert!(bench.forms().is_empty());
    bench
        .login
        .callback(&callback(&urls[1]))
        .await
        .expect("logged in");
    assert_eq!(
        bench.login.callback(&callback(&urls[4])).await,
        unknown,
        "somebody has logged in since"
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_may_paste_the_address_or_the_code() {
    let dir = dir();
    let bench = Bench::renewing(dir.path(), host(true));
    let url = bench.login.begin(REDIRECT).expect("begun");
    let address = format!("{REDIRECT}/login/callback?code=C1&state={}", state_of(&url));
    bench.login.paste(&address).await.expect("logged in");
    bench.login.begin(REDIRECT).expect("begun");
    bench.login.paste(" C2\n").await.expect("logged in");
    let codes: Vec<String> = bench
        .forms()
        .iter()
        .map(|form| form["code"].clone())
        .collect();
    assert_eq!(codes, ["C1", "C2"]);
}

#[tokio::test(start_paused = true)]
async fn a_login_may_be_begun_in_one_process_and_finished_in_another() {
    let dir = dir();
    let (phone, tool) = (
        Bench::renewing(dir.path(), host(true)),
        Bench::renewing(dir.path(), host(true)),
    );
    phone.keep_fresh();
    let mut epochs = phone.login.epochs();
    let url = phone.login.begin(REDIRECT).expect("begun");
    tool.login
        .callback(&format!("code=C&state={}", state_of(&url)))
        .await
        .expect("logged in");
    let started = Instant::now();
    epochs.changed().await.expect("alive");
    assert!(
        started.elapsed() <= Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(phone.token().as_deref(), Some("A1"));
    // And a log-out beside it too.
    tool.login.forget().expect("forgotten");
    epochs.changed().await.expect("alive");
    assert_eq!(phone.token(), None);
    assert_eq!(
        phone.login.state(),
        LoginState::Needed(LoginNeed::LoggedOut)
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_out_leaves_nothing() {
    let dir = dir();
    let bench = Bench::logged_in(dir.path(), host(true)).await;
    bench.login.begin(REDIRECT).expect("begun");
    let token = bench.login.forget().expect("forgotten");
    assert_eq!(token.expect("the old one").expose(), "A1");
    assert_eq!(bench.token(), None);
    for secret in ["A1", "R1"] {
        assert!(!stored(dir.path()).contains(secret));
    }
    pass(10_000).await;
    assert_eq!(bench.forms().len(), 1, "nothing is renewed any more");
    bench.log_in().await.expect("the next one");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_a_phone_nobody_is_logged_in_to() {
    let dir = dir();
    Bench::logged_in(dir.path(), host(true)).await;
    let text = stored(dir.path());
    std::fs::write(dir.path().join("login.json"), &text[..text.len() / 2]).expect("written");
    let bench = Bench::renewing(dir.path(), host(true));
    assert_eq!(bench.login.state(), LoginState::Needed(LoginNeed::Nobody));
    bench.log_in().await.expect("logged in");
    assert!(dir.path().join("login.json.corrupt").exists());
}

#[test]
fn a_client_that_cannot_log_in_says_why() {
    let (network, _) = Scripted::new(|_, _, _| Answer::Silence);
    let network = Arc::new(network);
    let environment = Environment::parse("mypurecloud.com", "").expect("an environment");
    let folder = dir();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").expect("written");
    for (id, secret, expected) in [
        ("", None, "cloud.client_id is empty"),
        (" ", None, "cloud.client_id is empty"),
        (
            "id",
            Some("missing".into()),
            "cloud.client_secret_file = missing",
        ),
        ("id", Some(empty), "one line of visible ASCII"),
    ] {
        let config = LoginConfig {
            client_id: id.to_owned(),
            client_secret_file: secret,
            ..LoginConfig::default()
        };
        let login = Login::over(network.clone(), &environment, &config);
        let error = login.begin(REDIRECT).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(login.trouble(), Some(error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_redirect_address_is_used_as_it_is() {
    let (network, _) = Scripted::new(|_, _, _| Answer::Silence);
    let environment = Environment::parse("mypurecloud.com", "").expect("an environment");
    let config = LoginConfig {
        client_id: "id".to_owned(),
        redirect_uri: "https://intranet.example/phones".to_owned(),
        ..LoginConfig::default()
    };
    let login = Login::over(Arc::new(network), &environment, &config);
    let url = login.begin(REDIRECT).expect("begun");
    let asked = fields(url.split_once('?').expect("a query").1);
    assert_eq!(asked["redirect_uri"], "https://intranet.example/phones");
}
