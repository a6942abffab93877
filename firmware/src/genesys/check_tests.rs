use super::{CheckLine, CheckOutcome, check};
use crate::device::Private;
use crate::genesys::token::TokenSource;
use crate::genesys::transport::local::{HttpAnswer, Local, Stream, healthy};
use crate::genesys::{CloudConfig, Login, LoginConfig};
use CheckOutcome::{Failed, Ok, Skipped, Warning};

fn config(local: &Local) -> CloudConfig {
    CloudConfig {
        environment: local.environment(),
        streaming: local.streaming(),
        ca_file: Some(local.ca_file.clone()),
        ..CloudConfig::default()
    }
}

fn token() -> TokenSource {
    TokenSource::fixed(Private::from("TOKEN"))
}

fn outcomes(lines: &[CheckLine]) -> Vec<(&str, CheckOutcome)> {
    lines
        .iter()
        .map(|line| (line.step.as_str(), line.outcome))
        .collect()
}

#[track_caller]
fn says(lines: &[CheckLine], step: &str, outcome: CheckOutcome, detail: &str) {
    let line = lines.iter().find(|line| line.step == step).expect(step);
    assert_eq!(line.outcome, outcome, "{line:?}");
    assert!(line.detail.contains(detail), "{line:?}");
}

async fn checked(
    stream: Stream,
    http: impl Fn(&str) -> HttpAnswer + Send + Sync + 'static,
) -> Vec<CheckLine> {
    let local = Local::start(false, stream, http).await;
    check(&config(&local), &token()).await
}

#[tokio::test]
async fn a_healthy_cloud_passes_every_step() {
    let local = Local::start(true, Stream::WellBehaved, healthy).await;
    let lines = check(&config(&local), &token()).await;
    assert_eq!(
        outcomes(&lines),
        [
            ("configuration", Ok),
            ("access token", Ok),
            ("REST host", Ok),
            ("streaming host", Ok),
            ("user", Ok),
            ("station", Ok),
            ("streaming sign-in", Ok),
        ],
        "{lines:#?}"
    );
    says(&lines, "station", Ok, "100 line appearance(s)");
    assert!(!format!("{lines:?}").contains("Smith"));
}

#[tokio::test]
async fn a_wrong_configuration_ends_the_check() {
    for (config, expected) in [
        (
            CloudConfig {
                environment: "moon".to_owned(),
                ..CloudConfig::default()
            },
            "mypurecloud.ie",
        ),
        (
            CloudConfig {
                environment: "mypurecloud.com".to_owned(),
                ca_file: Some("nowhere.pem".into()),
                ..CloudConfig::default()
            },
            "nowhere.pem",
        ),
    ] {
        let lines = check(&config, &token()).await;
        assert_eq!(lines.len(), 1);
        says(&lines, "configuration", Failed, expected);
    }
}

#[tokio::test]
async fn without_a_token_the_hosts_are_checked_all_the_same() {
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    let missing = TokenSource::file(local.ca_file.with_file_name("no-token"));
    let lines = check(&config(&local), &missing).await;
    says(&lines, "access token", Failed, "cannot be read");
    says(&lines, "streaming host", Ok, "on this machine");
    says(&lines, "user", Skipped, "");
    says(&lines, "streaming sign-in", Skipped, "");
}

#[tokio::test]
async fn a_token_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    let path = local.ca_file.with_file_name("token");
    std::fs::write(&path, "TOKEN").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    let lines = check(&config(&local), &TokenSource::file(path)).await;
    says(&lines, "access token", Warning, "0600");
    says(&lines, "streaming sign-in", Ok, "");
}

#[tokio::test]
async fn hosts_that_fail() {
    let local = Local::start(true, Stream::WellBehaved, healthy).await;
    let untrusted = CloudConfig {
        ca_file: None,
        ..config(&local)
    };
    let lines = check(&untrusted, &token()).await;
    says(&lines, "REST host", Failed, "cloud.ca_file");
    says(&lines, "streaming host", Failed, "cloud.ca_file");
    let nobody = CloudConfig {
        streaming: "wss://127.0.0.1:1".to_owned(),
        ..config(&local)
    };
    let lines = check(&nobody, &token()).await;
    says(&lines, "streaming host", Failed, "cannot be reached");
    says(&lines, "user", Ok, "");
    says(&lines, "streaming sign-in", Skipped, "");
}

#[tokio::test]
async fn what_the_cloud_says_of_the_user() {
    let refused = |_: &str| {
        let headers = "inin-correlation-id: abc\r\n".to_owned();
        (401, headers, r#"{"code":"bad.credentials"}"#.to_owned())
    };
    let lines = checked(Stream::WellBehaved, refused).await;
    says(
        &lines,
        "user",
        Failed,
        "log in again or replace the token file",
    );
    says(&lines, "user", Failed, "correlation id abc");
    says(&lines, "station", Skipped, "");
    let lines = checked(Stream::WellBehaved, |_| {
        (200, String::new(), r#"{"id":"U"}"#.to_owned())
    })
    .await;
    says(&lines, "user", Failed, "no chat address");
}

#[tokio::test]
async fn what_the_cloud_says_of_the_station() {
    let user = r#"{"id":"U","chat":{"jabberId":"me@acme.test"}}"#;
    let lines = checked(Stream::WellBehaved, move |line| match line {
        "GET /api/v2/users/me?expand=station" => (200, String::new(), user.to_owned()),
        other => healthy(other),
    })
    .await;
    says(&lines, "station", Warning, "no effective station");
    for (status, body, expected) in [
        (
            200,
            r#"{"id":"ST","type":"inin_remote"}"#,
            "of type inin_remote",
        ),
        (404, "{}", "the cloud answered 404"),
    ] {
        let lines = checked(Stream::WellBehaved, move |line| match line {
            "GET /api/v2/stations/ST" => (status, String::new(), body.to_owned()),
            other => healthy(other),
        })
        .await;
        says(&lines, "station", Warning, expected);
        says(&lines, "streaming sign-in", Ok, "");
    }
}

#[tokio::test]
async fn streams_that_fail() {
    let lines = checked(Stream::RefusesToken, healthy).await;
    says(&lines, "streaming sign-in", Failed, "not-authorized");
    let lines = checked(Stream::Refuses(404), healthy).await;
    says(&lines, "streaming sign-in", Failed, "HTTP 404");
    let lines = checked(Stream::WellBehaved, |line| match line {
        "POST /api/v2/notifications/channels?connectionType=streaming" => {
            (403, String::new(), "{}".to_owned())
        }
        other => healthy(other),
    })
    .await;
    says(&lines, "streaming sign-in", Failed, "403");
}

#[tokio::test]
async fn a_login_is_looked_at_with_its_host() {
    let local = Local::start(false, Stream::WellBehaved, healthy).await;
    let folder = tempfile::tempdir().expect("a folder");
    let checked = async |id: &str| {
        let login = LoginConfig {
            client_id: id.to_owned(),
            state: Some(folder.path().into()),
            ..LoginConfig::default()
        };
        let login = Login::open(&config(&local), &login).expect("a login");
        check(&config(&local), &TokenSource::login(login)).await
    };
    let lines = checked("").await;
    says(&lines, "login", Failed, "cloud.client_id is empty");
    let lines = checked("client").await;
    says(&lines, "login", Failed, "nobody is logged in");
    says(&lines, "login host", Ok, "answers");
    says(&lines, "user", Skipped, "");
    let place = format!("{}/api/v2/ client", local.environment());
    for (tokens, outcome, says_what) in [
        (r#""access_token":"TOKEN""#, Warning, "until the token ends"),
        (
            r#""access_token":"TOKEN","refresh_token":"R""#,
            Ok,
            "renews itself",
        ),
    ] {
        let stored = format!(r#"{{"place":"{place}",{tokens}}}"#);
        std::fs::write(folder.path().join("login.json"), stored).expect("written");
        let lines = checked("client").await;
        says(&lines, "login", outcome, says_what);
        says(&lines, "streaming sign-in", Ok, "works");
    }
}

#[tokio::test]
async fn what_the_phone_will_do_about_a_missing_station() {
    let one = r#"{"id":"A","type":"inin_webrtc_softphone"}"#;
    let two = r#"{"id":"B","type":"inin_webrtc_softphone"}"#;
    for (entities, outcome, expected) in [
        (one.to_owned(), Ok, "WebRTC station A, with which"),
        (format!("{one},{two}"), Warning, "2 WebRTC phones"),
        (String::new(), Warning, "an administrator must create one"),
    ] {
        let lines = checked(Stream::WellBehaved, move |line| match line {
            "GET /api/v2/users/me?expand=station" => (
                200,
                String::new(),
                r#"{"id":"U","chat":{"jabberId":"me@acme.test"}}"#.to_owned(),
            ),
            line if line.starts_with("GET /api/v2/stations?") => (
                200,
                String::new(),
                format!(r#"{{"entities":[{entities}]}}"#),
            ),
            line => healthy(line),
        })
        .await;
        says(&lines, "station", outcome, expected);
    }
}
