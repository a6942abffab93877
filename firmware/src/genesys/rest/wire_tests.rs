use super::{HttpReply, HttpRequest, http, reply, segment};
use crate::device::Private;
use crate::genesys::model::CallState;
use crate::genesys::rest::{
    Endpoint, FeatureRequest, ParticipantPatch, RestError, RestReply, RestRequest,
    StartSoftphoneSessionParams, TransferTarget, WrapUpCode,
};
use serde_json::{Value, json};
use std::time::Duration;

fn patch(patch: ParticipantPatch) -> RestRequest {
    RestRequest::PatchParticipant {
        conversation: "C".into(),
        participant: "P".into(),
        patch,
    }
}

fn place(number: &str) -> RestRequest {
    RestRequest::PlaceCall(Box::new(StartSoftphoneSessionParams {
        phone_number: Some(Private::from(number)),
        call_from_queue_id: Some("Q".to_owned()),
        ..StartSoftphoneSessionParams::default()
    }))
}

fn answered(status: u16, body: &str) -> HttpReply {
    HttpReply {
        status,
        body: body.as_bytes().to_vec(),
        ..HttpReply::default()
    }
}

#[test]
fn every_request_has_its_method_path_and_body() {
    let none = Value::Null;
    for (request, line, body) in [
        (
            place("+13175550100"),
            "POST /conversations/calls",
            json!({"phoneNumber":"+13175550100","callFromQueueId":"Q"}),
        ),
        (
            patch(ParticipantPatch::Connect),
            "PATCH /conversations/calls/C/participants/P",
            json!({"state":"connected"}),
        ),
        (
            patch(ParticipantPatch::Disconnect),
            "PATCH /conversations/calls/C/participants/P",
            json!({"state":"disconnected"}),
        ),
        (
            patch(ParticipantPatch::Muted(true)),
            "PATCH /conversations/calls/C/participants/P",
            json!({"muted":true}),
        ),
        (
            patch(ParticipantPatch::Held(false)),
            "PATCH /conversations/calls/C/participants/P",
            json!({"held":false}),
        ),
        (
            patch(ParticipantPatch::SkipWrapUp),
            "PATCH /conversations/calls/C/participants/P",
            json!({"wrapupSkipped":true}),
        ),
        (
            RestRequest::ToVoicemail {
                conversation: "C".into(),
                participant: "P".into(),
            },
            "POST /conversations/calls/C/participants/P/replace",
            json!({"voicemail":true}),
        ),
        (
            RestRequest::Conversation {
                conversation: "C".into(),
            },
            "GET /conversations/C",
            none.clone(),
        ),
        (
            RestRequest::ActiveCalls,
            "GET /conversations/calls",
            none.clone(),
        ),
        (
            RestRequest::Digits {
                conversation: "C".into(),
                participant: "P".into(),
                digits: Private::from("12#"),
            },
            "POST /conversations/C/participants/P/digits",
            json!({"digits":"12#"}),
        ),
        (
            RestRequest::Metadata {
                conversation: "C".into(),
                communication: "K".into(),
            },
            "POST /conversations/calls/C/communications/K/metadata",
            none,
        ),
    ] {
        let http = http(&request);
        assert_eq!(http.describe(), line);
        let sent = http.body.map_or(Value::Null, |body| {
            serde_json::from_slice(&body).expect("JSON")
        });
        assert_eq!(sent, body, "{line}");
    }
}

#[test]
fn an_id_cannot_become_another_path() {
    for (id, expected) in [
        ("b2c1-4_x~y.z", "b2c1-4_x~y.z"),
        ("../admin", "..%2Fadmin"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a?b#c d%", "a%3Fb%23c%20d%25"),
        ("\u{e9}", "%C3%A9"),
    ] {
        assert_eq!(segment(id), expected);
    }
}

#[test]
fn replies_of_features_become_values() {
    let consult = RestRequest::Feature(Box::new(FeatureRequest::Consult {
        conversation: "C".into(),
        object: "P".into(),
        to: TransferTarget::User("U2".to_owned()),
        consulting: "U".into(),
        endpoint: Endpoint::Typed,
    }));
    for (body, destination) in [
        (r#"{"destinationParticipantId":"P2"}"#, Some("P2".into())),
        ("{}", None),
        ("", None),
    ] {
        let reply = reply(&consult, &http(&consult), &answered(202, body));
        assert_eq!(reply, Ok(RestReply::Consulting { destination }), "{body}");
    }

    let codes = RestRequest::Feature(Box::new(FeatureRequest::WrapUpCodes {
        conversation: "C".into(),
        participant: "P".into(),
    }));
    let list = r#"[{"id":"W1","name":"Sold","division":{}},{"name":"without id"},7,{"id":"W2"}]"#;
    let code = |id: &str, name: &str| WrapUpCode {
        id: id.to_owned(),
        name: name.to_owned(),
    };
    assert_eq!(
        reply(&codes, &http(&codes), &answered(200, list)),
        Ok(RestReply::WrapUpCodes(vec![
            code("W1", "Sold"),
            code("W2", "")
        ]))
    );
    let odd = reply(&codes, &http(&codes), &answered(200, "{}"));
    assert!(matches!(odd, Err(RestError::Body { .. })));
}

#[test]
fn replies_become_values() {
    let request = place("1");
    let http_request = http(&request);
    let placed = answered(
        202,
        r#"{"id":"C","selfUri":"/api/v2/conversations/calls/C","name":null}"#,
    );
    assert_eq!(
        reply(&request, &http_request, &placed),
        Ok(RestReply::CallPlaced {
            id: "C".into(),
            self_uri: "/api/v2/conversations/calls/C".to_owned()
        })
    );
    let muting = patch(ParticipantPatch::Muted(true));
    let done = reply(&muting, &http(&muting), &answered(202, ""));
    assert_eq!(done, Ok(RestReply::Done));
    let list = answered(
        200,
        r#"{"entities":[{"id":"C","participants":[{"id":"P","user":{"id":"U"},"state":"connected","held":true}]}],"total":1}"#,
    );
    let request = RestRequest::ActiveCalls;
    let Ok(RestReply::Conversations(calls)) = reply(&request, &http(&request), &list) else {
        panic!("conversations");
    };
    let call = &calls[0].participants[0].calls[0];
    assert_eq!((call.state, call.held), (CallState::Connected, true));
    let request = RestRequest::Conversation {
        conversation: "C".into(),
    };
    let one = answered(
        200,
        r#"{"id":"C","participants":[{"id":"P","calls":[{"id":"K","state":"hold"}]}]}"#,
    );
    let Ok(RestReply::Conversation(conversation)) = reply(&request, &http(&request), &one) else {
        panic!("a conversation");
    };
    assert_eq!(conversation.participants[0].calls[0].id.as_str(), "K");
}

#[test]
fn an_unreadable_reply_is_named_without_quoting_it() {
    let request = place("1");
    let http_request = http(&request);
    for (body, expected) in [
        ("", "ends too early"),
        ("secret", "is not JSON"),
        (r#"{"id":["secret"]}"#, "unexpected type"),
        (r#"{"name":"secret"}"#, "unexpected type"),
    ] {
        let error = reply(&request, &http_request, &answered(202, body)).expect_err(body);
        assert!(matches!(error, RestError::Body { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn error_bodies_are_read_leniently() {
    let request = HttpRequest::get("users/me");
    for (body, code, message, correlation) in [
        (
            r#"{"message":"m","code":"not.found","status":404,"contextId":"x"}"#,
            Some("not.found"),
            Some("m"),
            Some("x"),
        ),
        (r#"{"code":7,"message":null}"#, None, None, None),
        ("<html>", None, None, None),
        ("", None, None, None),
    ] {
        let Err(RestError::Status {
            request,
            status,
            code: read_code,
            message: read_message,
            correlation_id,
            retry_after,
        }) = answered(404, body).accepted(&request)
        else {
            panic!("a status error");
        };
        assert_eq!((request.as_str(), status), ("GET /users/me", 404));
        assert_eq!(read_code.as_deref(), code);
        assert_eq!(read_message.as_ref().map(Private::expose), message);
        assert_eq!(correlation_id.as_deref(), correlation);
        assert_eq!(retry_after, None);
    }
}

#[test]
fn the_header_s_correlation_id_and_retry_after_are_kept() {
    let reply = HttpReply {
        status: 429,
        correlation_id: Some("h".to_owned()),
        retry_after: Some(Duration::from_secs(7)),
        body: br#"{"contextId":"b"}"#.to_vec(),
    };
    let error = reply
        .accepted(&HttpRequest::post("x"))
        .err()
        .expect("an error");
    let RestError::Status {
        correlation_id,
        retry_after,
        ..
    } = &error
    else {
        panic!("a status error");
    };
    assert_eq!(correlation_id.as_deref(), Some("h"));
    assert_eq!(*retry_after, Some(Duration::from_secs(7)));
    assert_eq!(
        error.to_string(),
        "POST /x: the cloud answered 429: too many requests, wait a moment"
    );
}
