use super::Rest;
use crate::device::Private;
use crate::genesys::id::StationId;
use crate::genesys::rest::{RestError, RestReply, RestRequest};
use crate::genesys::token::TokenSource;
use crate::genesys::transport::scripted::{Answer, Scripted};
use serde_json::json;
use std::sync::Arc;

fn client(
    token: TokenSource,
    http: impl Fn(&str, &str, Option<&[u8]>) -> Answer + Send + Sync + 'static,
) -> (Rest, Arc<Scripted>) {
    let (scripted, _) = Scripted::new(http);
    let scripted = Arc::new(scripted);
    (Rest::new(scripted.clone(), token), scripted)
}

fn fixed() -> TokenSource {
    TokenSource::fixed(Private::from("T"))
}

#[tokio::test]
async fn the_objects_of_the_start_are_read() {
    let (rest, scripted) = client(fixed(), |line, _, body| match line {
        "GET /organizations/me" => {
            Answer::json(200, &json!({"id":"O","name":"Acme","domain":"acme"}))
        }
        "GET /users/me?expand=station" => Answer::json(
            200,
            &json!({"id":"U","name":"Agent One","chat":{"jabberId":"me@acme.test"},
                    "station":{"effectiveStation":{"id":"ST","name":null},"associatedStation":null}}),
        ),
        "GET /stations/ST" => Answer::json(
            200,
            &json!({"id":"ST","name":"S","type":"inin_webrtc_softphone","webRtcPersistentEnabled":true,
                    "webRtcForceTurn":null,"webRtcCallAppearances":100,"webRtcMediaDscp":46}),
        ),
        "POST /notifications/channels?connectionType=streaming" => {
            assert_eq!(body, None);
            Answer::json(
                200,
                &json!({"id":"streaming-1","connectUri":"wss://x","expires":"2026"}),
            )
        }
        "PUT /notifications/channels/streaming-1/subscriptions" => Answer::json(
            200,
            &json!({"entities":[{"id":"t","state":"Rejected","rejectionReason":"no","missingPermissions":["p"]}]}),
        ),
        other => panic!("{other}"),
    });
    assert_eq!(rest.organization().await.expect("read").name, "Acme");
    let user = rest.user().await.expect("read");
    assert_eq!(user.chat.jabber_id.as_str(), "me@acme.test");
    let stations = user.station.expect("stations");
    assert_eq!(stations.effective_station.expect("one").id.as_str(), "ST");
    let station = rest.station(&StationId::from("ST")).await.expect("read");
    assert!(station.is_webrtc() && station.is_persistent() && station.is_concurrent_sessions());
    assert_eq!(rest.create_channel().await.expect("made"), "streaming-1");
    let states = rest
        .put_subscriptions("streaming-1", &json!([{"id":"t"}]))
        .await
        .expect("put");
    assert_eq!(states[0].missing_permissions, ["p"]);
    assert_eq!(scripted.requests.lock().expect("ok").len(), 5);
}

#[tokio::test]
async fn a_replaced_token_file_is_used_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, "old").expect("written");
    let (rest, scripted) = client(TokenSource::file(&path), |_, token, _| match token {
        "new" => Answer::json(202, &json!({"id":"C"})),
        _ => Answer::json(401, &json!({"code":"bad.credentials"})),
    });
    let request = || RestRequest::PlaceCall(Box::default());
    let error = rest.request(&request()).await.expect_err("refused");
    assert!(matches!(error, RestError::Status { status: 401, .. }));
    assert_eq!(
        scripted.requests.lock().expect("ok").len(),
        1,
        "the same token is not tried twice"
    );
    std::fs::write(&path, "new").expect("written");
    let reply = rest.request(&request()).await.expect("taken");
    assert!(matches!(reply, RestReply::CallPlaced { .. }));
    assert_eq!(
        scripted.requests.lock().expect("ok")[1..],
        [
            "POST /conversations/calls old",
            "POST /conversations/calls new"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_30_seconds() {
    let (rest, _scripted) = client(fixed(), |_, _, _| Answer::Silence);
    let started = tokio::time::Instant::now();
    let error = rest
        .request(&RestRequest::ActiveCalls)
        .await
        .expect_err("no answer");
    assert_eq!(started.elapsed().as_secs(), 30);
    assert_eq!(
        error.to_string(),
        "GET /conversations/calls: no answer within 30 s"
    );
}

#[tokio::test]
async fn calls_are_not_retried() {
    let (rest, scripted) = client(fixed(), |_, _, _| Answer::json(503, &json!({})));
    rest.request(&RestRequest::ActiveCalls)
        .await
        .expect_err("unavailable");
    assert_eq!(scripted.requests.lock().expect("ok").len(), 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = TokenSource::file(folder.path().join("token"));
    let (rest, scripted) = client(token, |_, _, _| Answer::Silence);
    let error = rest.user().await.expect_err("no token");
    assert!(matches!(error, RestError::Token(_)), "{error:?}");
    assert!(scripted.requests.lock().expect("ok").is_empty());
}

#[tokio::test]
async fn errors_say_what_to_do() {
    for (status, body, expected) in [
        (
            403,
            json!({"code":"missing.any.permissions","messageParams":{"permissions":"telephony:phone:view"}}),
            "answered 403 (missing.any.permissions: telephony:phone:view): an administrator must",
        ),
        (
            403,
            json!({"code":"missing.any.permissions","messageParams":{"permissions":["a:b","c:d"]}}),
            "(missing.any.permissions: a:b,c:d)",
        ),
        (
            403,
            json!({"code":"x","messageParams":{"permissions":"\u{1}<>"}}),
            "(x): an administrator",
        ),
        (429, json!({}), "answered 429: too many requests"),
        (500, json!({}), "the cloud has trouble"),
        (404, json!({"code":"not.found"}), "answered 404 (not.found)"),
    ] {
        let (rest, _) = client(fixed(), move |_, _, _| Answer::json(status, &body));
        let error = rest
            .request(&RestRequest::ActiveCalls)
            .await
            .expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
