//! Login without a keyboard, log-out, the next agent, and the station that is found (genesys-protocol 1.2, 2.3).

use offhook::device::config::Config;
use offhook_cloudsim::spec::{InboundSpec, Options, SimUser, UserSpec};
use offhook_cloudsim::{
    CLIENT_SECRET, LoginScript, OAuthClient, PKCE_CLIENT, SECRET_CLIENT, Simulator,
};
use offhook_tests::{Phone, PhoneOptions, Rig};
use serde_json::json;
use std::time::Duration;

/// No token: somebody has to log in.
fn by_page(config: &mut Config) {
    config.cloud.token_file = String::new();
    config.cloud.client_id = PKCE_CLIENT.into();
}

/// A browser that trusts the simulator's CA.
fn browser(sim: &Simulator) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    reqwest::Client::builder()
        .tls_certs_merge([ca])
        .build()
        .unwrap()
}

/// Follows the phone's link to the cloud's login page and back.
async fn log_in(sim: &Simulator, phone: &Phone, user: &SimUser) {
    sim.script_login(LoginScript::Allow {
        user: user.user_id.clone(),
    });
    let (code, answer) = phone
        .api
        .request("POST", "/api/v1/login/start", Some(json!({})))
        .await;
    assert_eq!(code, 200, "{answer}");
    let url = answer["url"].as_str().expect("an address").to_owned();
    let page = browser(sim).get(url).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let text = page.text().await.unwrap();
    assert!(text.contains("Logged in"), "{text}");
    phone
        .api
        .wait_status("ready for the user", |s| {
            s["ready"] == true && s["cloud"]["user"]["id"] == user.user_id.as_str()
        })
        .await;
}

async fn started(sim: &Simulator, user: &SimUser, change: fn(&mut Config)) -> Phone {
    let options = PhoneOptions {
        change: Some(change),
        ..PhoneOptions::default()
    };
    Phone::start(sim, user, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agent_after_the_other_logs_in_by_the_page() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options::default()).await.unwrap();
    let first = sim.add_user(UserSpec::named("Agent One"));
    let second = sim.add_user(UserSpec::named("Agent Two"));
    let phone = started(&sim, &first, by_page).await;
    phone
        .api
        .wait_status("login needed", |s| s["notice"] == "Please log in")
        .await;
    log_in(&sim, &phone, &first).await;
    let rig = Rig {
        sim,
        user: first,
        phone,
    };
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&call).await;
    rig.no_call().await;

    rig.phone.api.post("/api/v1/logout", json!({})).await;
    rig.phone
        .api
        .wait_status("logged out", |s| s["ready"] == false)
        .await;
    log_in(&rig.sim, &rig.phone, &second).await;
    let call = rig.answered(&InboundSpec::to(&second)).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_so_and_can_be_tried_again() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options::default()).await.unwrap();
    let user = sim.add_user(UserSpec::default());
    let phone = started(&sim, &user, by_page).await;
    phone
        .api
        .wait_status("login needed", |s| s["notice"] == "Please log in")
        .await;
    sim.script_login(LoginScript::Deny {
        error: "access_denied".into(),
    });
    let (_, answer) = phone
        .api
        .request("POST", "/api/v1/login/start", Some(json!({})))
        .await;
    let url = answer["url"].as_str().unwrap().to_owned();
    let page = browser(&sim).get(url).send().await.unwrap();
    assert_eq!(page.status(), 400);
    assert!(page.text().await.unwrap().contains("Not logged in"));
    log_in(&sim, &phone, &user).await;
}

/// Without the refresh, the phone would ask for a login when the first token ends, some seconds after the start.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_ahead_of_their_end() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options::default()).await.unwrap();
    let user = sim.add_user(UserSpec::default());
    sim.add_oauth_client(OAuthClient {
        id: SECRET_CLIENT.into(),
        secret: Some(CLIENT_SECRET.into()),
        token_seconds: 4,
        ..OAuthClient::default()
    });
    let phone = started(&sim, &user, |config| {
        by_page(config);
        config.cloud.client_id = SECRET_CLIENT.into();
        let secret = std::path::Path::new(&config.state.dir).with_file_name("secret");
        std::fs::write(&secret, CLIENT_SECRET).unwrap();
        config.cloud.client_secret_file = secret.display().to_string();
    })
    .await;
    log_in(&sim, &phone, &user).await;
    // Longer than a token lives: what is waited for is time itself.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let rig = Rig { sim, user, phone };
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_own_station_is_found_and_taken() {
    let user = UserSpec {
        station: false,
        ..UserSpec::default()
    };
    let rig = Rig::with(Options::default(), user, PhoneOptions::default()).await;
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&call).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_several_stations_the_agent_chooses() {
    offhook::device::crypto::install();
    let sim = Simulator::start(Options::default()).await.unwrap();
    let user = sim.add_user(UserSpec {
        station: false,
        spare_stations: 1,
        ..UserSpec::default()
    });
    let phone = Phone::start(&sim, &user, PhoneOptions::default()).await;
    phone.api.wait_event("connected", |_| true).await;
    let (code, stations) = phone.api.request("GET", "/api/v1/stations", None).await;
    assert_eq!(code, 200, "{stations}");
    assert_eq!(stations.as_array().map(Vec::len), Some(2), "{stations}");
    let chosen = stations[1]["id"].as_str().unwrap().to_owned();
    phone
        .api
        .post(&format!("/api/v1/stations/{chosen}/associate"), json!({}))
        .await;
    phone
        .api
        .wait_status("on the chosen station", |s| {
            s["ready"] == true && s["cloud"]["station"]["id"] == chosen.as_str()
        })
        .await;
    let rig = Rig { sim, user, phone };
    let call = rig.answered(&InboundSpec::to(&rig.user)).await;
    rig.hang_up(&call).await;
    rig.end().await;
}
