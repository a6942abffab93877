//! REST beside the calls: shapes, headers, CORS, stations, channels.

use offhook_cloudsim::{InboundSpec, UserSpec};
use serde_json::{Value, json};

use crate::client::{Client, Rest, assert_clean, http, simulator};

#[tokio::test]
async fn headers_and_error_bodies() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    for (path, status) in [
        ("users/me", 200),
        ("users/nobody", 404),
        ("stations/none", 404),
    ] {
        let response = rest.request("GET", path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let headers = response.headers().clone();
        let correlation = headers["inin-correlation-id"].to_str().unwrap();
        for name in ["count", "allowed", "reset"] {
            let value = headers[&format!("inin-ratelimit-{name}")].to_str().unwrap();
            assert!(value.parse::<u64>().is_ok(), "{name}: {value}");
        }
        let body: Value = response.json().await.unwrap();
        if status == 404 {
            assert_eq!(
                (&body["status"], &body["code"]),
                (&404.into(), &"not.found".into())
            );
            assert_eq!(body["contextId"], correlation);
            assert!(body["message"].as_str().unwrap().contains("was not found"));
        }
    }
    let anonymous = http(&sim)
        .get(format!("{}/api/v2/users/me", sim.rest_url()))
        .send()
        .await;
    let anonymous = anonymous.unwrap();
    assert_eq!(anonymous.status(), 401);
    assert_eq!(
        anonymous.json::<Value>().await.unwrap()["code"],
        "authentication.required"
    );
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn web_pages_of_any_origin_are_let_in() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    let preflight = http(&sim)
        .request(
            reqwest::Method::OPTIONS,
            format!("{}/api/v2/users/me", sim.rest_url()),
        )
        .header("origin", "http://127.0.0.1:1")
        .header("access-control-request-method", "PATCH")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    let allowed = preflight.headers();
    assert_eq!(allowed["access-control-allow-origin"], "http://127.0.0.1:1");
    assert_eq!(
        allowed["access-control-allow-headers"],
        "authorization,content-type"
    );
    assert!(
        allowed["access-control-allow-methods"]
            .to_str()
            .unwrap()
            .contains("PATCH")
    );
    let got = rest
        .request("GET", "users/me")
        .header("origin", "null")
        .send()
        .await
        .unwrap();
    assert_eq!(got.headers()["access-control-allow-origin"], "null");
    let exposed = got.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(exposed.contains("inin-correlation-id") && exposed.contains("retry-after"));
}

#[tokio::test]
async fn stations_come_and_go() {
    let (sim, user) = simulator().await;
    let other = sim.add_user(UserSpec {
        station: false,
        ..UserSpec::named("Two")
    });
    let mut client = Client::online(&sim, &user).await;
    let rest = client.rest.clone();
    let found = rest
        .get(&format!("stations?webRtcUserId={}", user.user_id))
        .await;
    assert_eq!(found["entities"][0]["id"], user.station_id.as_str());
    assert_eq!(found["total"], 1);
    let found = rest.get("stations?name=Two%20WebRTC").await;
    assert_eq!(found["entities"][0]["status"], "AVAILABLE");
    let (status, _) = rest
        .call("DELETE", "users/stations/me/associatedstation", None)
        .await;
    assert_eq!(status, 202);
    assert!(client.event("station").await["associatedStation"].is_null());
    assert!(rest.get("users/me?expand=station").await["station"]["effectiveStation"].is_null());
    let (status, body) = rest
        .call(
            "POST",
            "conversations/calls",
            Some(json!({"phoneNumber": "1"})),
        )
        .await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().contains("no station"));
    assert!(sim.call_user(&InboundSpec::to(&user)).is_err());
    let path = |station: &str| format!("users/stations/me/associatedstation/{station}");
    assert_eq!(
        rest.call("PUT", &path(&other.station_id), None).await.0,
        409
    );
    assert_eq!(rest.call("PUT", &path("none"), None).await.0, 404);
    assert_eq!(rest.call("PUT", &path(&user.station_id), None).await.0, 202);
    let event = client.event("station").await;
    assert_eq!(
        event["associatedStation"]["associatedUser"]["id"],
        user.user_id.as_str()
    );
    let stations = rest.get(&format!("users/{}/station", user.user_id)).await;
    assert_eq!(stations["associatedStation"]["webRtcCallAppearances"], 100);
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn conversations_in_both_shapes() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    assert_eq!(rest.get("conversations/calls").await["total"], 0);
    let call = sim.call_user(&InboundSpec::to(&user)).unwrap();
    let listed = rest.get("conversations/calls").await;
    assert_eq!(listed["entities"][0]["id"], call.as_str());
    let flat = rest.get(&format!("conversations/calls/{call}")).await;
    let agent = &flat["participants"][2];
    assert_eq!(
        (&agent["state"], &agent["held"]),
        (&"alerting".into(), &false.into())
    );
    assert_eq!(agent["user"]["id"], user.user_id.as_str());
    assert_eq!(agent["ani"], "tel:+13175550100");
    assert!(agent["calls"].is_null());
    let nested = rest.get(&format!("conversations/{call}")).await;
    assert_eq!(nested["participants"][2]["calls"][0]["state"], "alerting");
    assert_eq!(nested["participants"][2]["alertingTimeoutMs"], 30_000);
    assert_eq!(rest.call("GET", "conversations/none", None).await.0, 404);
    assert_eq!(
        rest.call("DELETE", &format!("conversations/{call}"), None)
            .await
            .0,
        202
    );
    assert_eq!(rest.get("conversations/calls").await["total"], 0);
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn garbage_is_not_dialed_and_is_not_the_phones_fault() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    for number in ["", "hello", "+", "1234567890123456789012345678901234"] {
        let body = json!({"phoneNumber": number});
        let (status, answer) = rest.call("POST", "conversations/calls", Some(body)).await;
        assert_eq!(status, 400, "{number:?}");
        assert!(answer["message"].as_str().unwrap().contains("not valid"));
    }
    assert!(sim.calls().is_empty());
    assert_clean(&sim.violations());
}

#[tokio::test]
async fn telemetry_is_taken() {
    let (sim, user) = simulator().await;
    let rest = Rest::new(&sim, &user);
    let body = json!({"app": {}, "traces": [{"message": "x".repeat(200_000)}]});
    assert_eq!(
        rest.call("POST", "diagnostics/trace", Some(body)).await.0,
        202
    );
    assert!(sim.log().iter().all(|line| line.text.len() < 10_000));
    assert_clean(&sim.violations());
}
