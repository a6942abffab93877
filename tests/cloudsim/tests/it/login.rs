//! OAuth and stations over the wire.

use std::time::Duration;

use offhook_cloudsim::{
    CLIENT_SECRET, Fault, LoginScript, OAuthClient, PKCE_CLIENT, RestFault, SECRET_CLIENT, UserSpec,
};
use serde_json::{Value, json};

use crate::client::{Client, Rest, assert_clean, http, simulator, simulator_with};

/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const BACK: &str = "http://127.0.0.1:8080/back";

/// A browser that does not follow, so that the test sees where it is sent.
struct Browser {
    http: reqwest::Client,
    base: String,
}

impl Browser {
    async fn authorize(&self, more: &[(&str, &str)]) -> (u16, String, String) {
        let mut query = vec![
            ("response_type", "code"),
            ("redirect_uri", BACK),
            ("state", "st at"),
        ];
        query.extend_from_slice(more);
        let url = format!("{}/oauth/authorize", self.base);
        let response = self.http.get(url).query(&query).send().await.unwrap();
        let location = response.headers().get("location").cloned();
        let location = location.map_or_else(String::new, |one| one.to_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            location,
            response.text().await.unwrap(),
        )
    }

    async fn token(&self, basic: bool, form: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}/oauth/token", self.base))
            .form(form);
        if basic {
            request = request.basic_auth(SECRET_CLIENT, Some(CLIENT_SECRET));
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn code(location: &str) -> String {
    let query = location.strip_prefix(BACK).unwrap();
    let code = query.split("code=").nth(1).unwrap();
    code.split('&').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_logs_in_with_pkce_and_with_a_secret() {
    let (sim, user) = simulator().await;
    let config = (*crate::client::tls(&sim)).clone();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let browser = Browser {
        http,
        base: sim.rest_url(),
    };
    let pkce = [
        ("client_id", PKCE_CLIENT),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];

    // By default there is a page with a choice.
    let (status, _, page) = browser.authorize(&pkce).await;
    assert!(
        status == 200 && page.contains("Agent One") && page.contains(CHALLENGE),
        "{page}"
    );
    sim.script_login(LoginScript::Deny {
        error: "access_denied".into(),
    });
    let (status, location, _) = browser.authorize(&pkce).await;
    assert_eq!(status, 302);
    assert!(
        location.contains("error=access_denied") && location.contains("state=st%20at"),
        "{location}"
    );

    sim.script_login(LoginScript::Allow {
        user: String::new(),
    });
    let (_, location, _) = browser.authorize(&pkce).await;
    let code_given = code(&location);
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", &code_given),
        ("redirect_uri", BACK),
        ("client_id", PKCE_CLIENT),
        ("code_verifier", VERIFIER),
    ];
    let (status, token) = browser.token(false, &exchange).await;
    assert_eq!(
        (status, &token["token_type"], &token["refresh_token"]),
        (200, &"bearer".into(), &Value::Null)
    );
    let rest = Rest::new(&sim, &user).with_token(token["access_token"].as_str().unwrap().into());
    assert_eq!(rest.get("users/me").await["id"], user.user_id.as_str());
    assert_eq!(
        browser.token(false, &exchange).await.1["error"],
        "invalid_grant"
    );
    assert_eq!(rest.call("DELETE", "tokens/me", None).await.0, 204);
    assert_eq!(rest.call("GET", "users/me", None).await.0, 401);

    let (_, location, _) = browser.authorize(&[("client_id", SECRET_CLIENT)]).await;
    let code_given = code(&location);
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", code_given.as_str()),
        ("redirect_uri", BACK),
    ];
    let (_, token) = browser.token(true, &exchange).await;
    let old = token["refresh_token"].as_str().unwrap().to_owned();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", old.as_str()),
    ];
    sim.inject(Fault::Rest(RestFault {
        path: "oauth/token".into(),
        status: Some(503),
        ..RestFault::default()
    }))
    .unwrap();
    assert_eq!(browser.token(true, &refresh).await.0, 503);
    let (status, newer) = browser.token(true, &refresh).await;
    assert!(
        status == 200 && newer["refresh_token"].as_str() != Some(&old),
        "{newer}"
    );
    assert_eq!(
        browser.token(true, &refresh).await.0,
        400,
        "the old refresh token is used up"
    );

    let (status, token) = browser
        .token(true, &[("grant_type", "client_credentials")])
        .await;
    assert_eq!(status, 200);
    let rest = rest.with_token(token["access_token"].as_str().unwrap().into());
    let (status, refused) = rest.call("GET", "users/me", None).await;
    assert!(
        status == 400
            && refused["message"]
                .as_str()
                .unwrap()
                .contains("Client credentials"),
        "{refused}"
    );

    sim.add_oauth_client(OAuthClient {
        id: "short".into(),
        token_seconds: 7,
        ..OAuthClient::default()
    });
    let (_, location, _) = browser
        .authorize(&[
            ("client_id", "short"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
        .await;
    let code_given = code(&location);
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", code_given.as_str()),
        ("redirect_uri", BACK),
        ("client_id", "short"),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(browser.token(false, &exchange).await.1["expires_in"], 7);
    assert_clean(&sim.violations());
    assert_eq!(browser.authorize(&[("client_id", "nobody")]).await.0, 400);
    assert_eq!(sim.clear_violations().len(), 1);
}

#[tokio::test]
async fn stations_are_found_taken_and_told() {
    let (sim, user) = simulator_with(
        offhook_cloudsim::Options::default(),
        UserSpec {
            station: false,
            spare_stations: 2,
            ..UserSpec::default()
        },
    )
    .await;
    let other = sim.add_user(UserSpec::named("Agent Two"));
    let mut client = Client::online(&sim, &user).await;
    let path = format!("stations?webRtcUserId={}&pageSize=2", user.user_id);
    let first = client.rest.get(&path).await;
    assert_eq!(
        (
            first["entities"].as_array().unwrap().len(),
            &first["total"],
            &first["pageCount"]
        ),
        (2, &3.into(), &2.into())
    );
    let last = client.rest.get(&format!("{path}&pageNumber=2")).await;
    assert_eq!(last["entities"].as_array().unwrap().len(), 1);

    sim.take_station("Agent One", Some("Agent Two")).unwrap();
    let associate = |station: &str| format!("users/stations/me/associatedstation/{station}");
    let (status, refused) = client
        .rest
        .call("PUT", &associate(&user.station_id), None)
        .await;
    assert_eq!(status, 409, "{refused}");
    let station = client
        .rest
        .get(&format!("stations/{}", user.station_id))
        .await;
    assert_eq!(station["userId"], other.user_id.as_str());
    let spare = first["entities"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        client.rest.call("PUT", &associate(&spare), None).await.0,
        202
    );
    let told = client.event("station").await;
    assert_eq!(told["associatedStation"]["id"], spare.as_str());
    let me = client.rest.get("users/me?expand=station").await;
    assert_eq!(me["station"]["effectiveStation"]["id"], spare.as_str());

    sim.take_station("Agent One", None).unwrap();
    assert_eq!(
        client
            .rest
            .call("PUT", &associate(&user.station_id), None)
            .await
            .0,
        202
    );
    client.event("station").await;
    sim.tell_station("Agent One", "WebRTCMigration").unwrap();
    client.event("station").await;
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn one_client_leads_in_alerting() {
    let (sim, user) = simulator().await;
    let mut client = Client::online(&sim, &user).await;
    client.subscribe("alertingleader").await;
    let path = format!("apps/users/{}/connections/{}", user.user_id, client.stream);
    assert_eq!(
        client
            .rest
            .call("PATCH", &path, Some(json!({"alertable": true})))
            .await
            .0,
        204
    );
    assert_eq!(
        client.event("alertingleader").await["connectionId"],
        client.stream.as_str()
    );
    sim.lead_alerting("", None).unwrap();
    assert_ne!(
        client.event("alertingleader").await["connectionId"],
        client.stream.as_str()
    );
    let claim = json!({"connectionId": client.stream});
    assert_eq!(
        client
            .rest
            .call("PUT", "users/alertingleader", Some(claim))
            .await
            .0,
        200
    );
    assert_eq!(
        client.event("alertingleader").await["connectionId"],
        client.stream.as_str()
    );
    let unknown = path.replace(&client.stream, "nobody");
    assert_eq!(
        client
            .rest
            .call("PATCH", &unknown, Some(json!({"alertable": true})))
            .await
            .0,
        404
    );
    assert_eq!(
        client.rest.get("users/alertingleader").await["connectionId"],
        client.stream.as_str()
    );
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn tokens_run_out_and_replies_are_cut() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    let cut = RestFault {
        user: user.name.clone(),
        path: "users/me".into(),
        truncate: true,
        ..RestFault::default()
    };
    sim.inject(Fault::Rest(cut)).unwrap();
    let text = rest
        .request("GET", "users/me")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        serde_json::from_str::<Value>(&text).is_err() && text.starts_with('{'),
        "{text}"
    );
    assert_eq!(rest.get("users/me").await["id"], user.user_id.as_str());
    sim.inject(Fault::ExpireTokens {
        user: String::new(),
        seconds: 0,
    })
    .unwrap();
    assert_eq!(rest.call("GET", "users/me", None).await.0, 401);
    let token = sim.issue_token("", Duration::from_mins(1)).unwrap();
    assert_eq!(
        rest.with_token(token).call("GET", "users/me", None).await.0,
        200
    );
    drop(http(&sim));
}
