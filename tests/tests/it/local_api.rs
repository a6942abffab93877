//! The local API: its errors, its events, its description.

use offhook_tests::{PhoneOptions, Rig};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_and_what_to_do() {
    let rig = Rig::start(PhoneOptions::default()).await;
    for (method, path, body, status, kind) in [
        ("GET", "/api/v1/nothing", None, 404, "not_found"),
        ("DELETE", "/api/v1/status", None, 405, "bad_request"),
        (
            "POST",
            "/api/v1/calls/unknown/answer",
            Some(json!({})),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/juggle",
            Some(json!({})),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/dtmf",
            Some(json!({ "digits": "1" })),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/transfer",
            Some(json!({ "to": { "address": "1" }, "mode": "blind" })),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/transfer",
            Some(json!({ "to": {}, "mode": "blind" })),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/consult",
            Some(json!({ "action": "complete", "speakTo": "BOTH" })),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/v1/calls/unknown/participants",
            Some(json!({ "participants": [], "conversationIds": [] })),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/v1/login/start",
            Some(json!({})),
            409,
            "conflict",
        ),
        ("POST", "/api/v1/logout", Some(json!({})), 409, "conflict"),
        (
            "POST",
            "/api/v1/stations/unknown/associate",
            Some(json!({})),
            404,
            "not_found",
        ),
        (
            "POST",
            "/api/v1/board/keys",
            Some(json!({ "key": "12", "action": "tap" })),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/api/v1/board/hook",
            Some(json!({ "state": "up" })),
            400,
            "bad_request",
        ),
        (
            "PATCH",
            "/api/v1/audio",
            Some(json!({ "ring": 101 })),
            400,
            "not_supported",
        ),
    ] {
        let (got, answer) = rig.phone.api.request(method, path, body).await;
        assert_eq!(
            (got, answer["type"].as_str()),
            (status, Some(kind)),
            "{method} {path}: {answer}"
        );
        assert!(
            answer["message"].is_string() && answer["details"].is_object(),
            "{answer}"
        );
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_described_path_exists_and_the_page_loads() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let (_, description) = rig
        .phone
        .api
        .request("GET", "/api/v1/openapi.json", None)
        .await;
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.len() > 15);
    for (path, verbs) in paths.iter().filter(|(path, _)| !path.ends_with("/events")) {
        for method in verbs.as_object().expect("verbs").keys() {
            // A path without its parameters is another path: any value will do.
            let path = ["conversationId", "participantId", "stationId", "code"]
                .iter()
                .fold(path.clone(), |path, name| {
                    path.replace(&format!("{{{name}}}"), "none")
                });
            // No body: what is there says 200, or 400 or 404 in its own words, never "no such path" or "no such method".
            let (status, answer) = rig
                .phone
                .api
                .request(&method.to_uppercase(), &path, None)
                .await;
            assert!(
                status != 405
                    && !answer["message"]
                        .as_str()
                        .unwrap_or("")
                        .contains("no such path"),
                "{method} {path}"
            );
        }
    }
    for (path, has) in [
        ("/", "<title>Offhook"),
        ("/app.js", "use strict"),
        ("/calls.js", "use strict"),
        ("/front.js", "use strict"),
        ("/login/callback", "Not logged in"),
        ("/style.css", ".handset"),
    ] {
        let text = reqwest::get(format!("{}{path}", rig.phone.api.url()))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(text.contains(has), "{path}");
    }
    let metrics = reqwest::get(format!("{}/metrics", rig.phone.api.url()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("\noffhook_connected 1\n"), "{metrics}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_settings_are_kept_and_shown() {
    let rig = Rig::start(PhoneOptions::default()).await;
    let change =
        json!({ "path": "speaker", "volume": { "speaker": 30 }, "ring": 20, "mute": false });
    let (status, _) = rig
        .phone
        .api
        .request("PATCH", "/api/v1/audio", Some(change))
        .await;
    assert_eq!(status, 200);
    let (_, audio) = rig.phone.api.request("GET", "/api/v1/audio", None).await;
    assert_eq!(
        (&audio["volume"]["speaker"], &audio["ring"]),
        (&json!(30), &json!(20))
    );
    rig.end().await;
}
