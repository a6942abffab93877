//! What the login host answers to a request for tokens (RFC 6749 5.1, 5.2).

use super::LoginError;
use super::flow::word;
use crate::device::Private;
use crate::genesys::rest::RestError;
use crate::genesys::rest::wire::{HttpReply, json_trouble};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How the request is called in messages.
pub(crate) const REQUEST: &str = "POST /oauth/token";
/// A token is some hundred bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Longest life believed; a longer one is a mistake, and a refresh a month does no harm.
const MAX_LIFE: Duration = Duration::from_hours(30 * 24);

/// New tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub access: Private,
    pub refresh: Option<Private>,
    pub life: Option<Duration>,
}

/// Reads the reply.
pub(super) fn read(reply: &HttpReply) -> Result<Tokens, LoginError> {
    if !(200..300).contains(&reply.status) {
        return Err(refused(reply));
    }
    let bad = |detail: String| LoginError::Reply { detail };
    let value: Value =
        serde_json::from_slice(&reply.body).map_err(|error| bad(json_trouble(&error)))?;
    let token = |name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    let is_token = |t: &str| t.len() <= MAX_TOKEN && t.bytes().all(|b| b.is_ascii_graphic());
    let access = token("access_token").ok_or_else(|| bad("it has no access token".to_owned()))?;
    if !is_token(access) || !token("refresh_token").is_none_or(is_token) {
        return Err(bad("what it calls a token is none".to_owned()));
    }
    // Some servers write the number as text.
    let seconds = value.get("expires_in").and_then(|life| {
        life.as_f64()
            .or_else(|| life.as_str().and_then(|text| text.trim().parse().ok()))
    });
    Ok(Tokens {
        access: Private::new(access),
        refresh: token("refresh_token").map(Private::new),
        life: seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|life| !life.is_zero())
            .map(|life| life.min(MAX_LIFE)),
    })
}

/// 400 and 401 are about what was sent and will not change; other failures pass.
fn refused(reply: &HttpReply) -> LoginError {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        error: Value,
        error_description: Value,
        /// Genesys's own error body.
        code: Value,
        message: Value,
    }
    let body: Body = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = |first: &Value, second: &Value| {
        let text = first.as_str().or_else(|| second.as_str());
        text.map(str::to_owned)
    };
    let code = text(&body.error, &body.code).map(|code| word(&code));
    let description = text(&body.error_description, &body.message).map(Private::from);
    match reply.status {
        400 | 401 | 403 => LoginError::Refused {
            status: reply.status,
            error: code.unwrap_or_default(),
            description,
        },
        status => LoginError::Unavailable(RestError::Status {
            request: REQUEST.to_owned(),
            status,
            code,
            message: description,
            correlation_id: reply.correlation_id.clone(),
            retry_after: reply.retry_after,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, HttpReply, LoginError, RestError, read};

    fn reply(status: u16, body: &str) -> HttpReply {
        HttpReply {
            status,
            body: body.as_bytes().to_vec(),
            ..HttpReply::default()
        }
    }

    #[test]
    fn tokens_are_read_with_and_without_what_is_optional() {
        for (body, refresh, life) in [
            (
                r#"{"access_token":"A","token_type":"bearer","expires_in":86399,"refresh_token":"R"}"#,
                Some("R"),
                Some(86_399),
            ),
            (
                r#"{"access_token":"A","expires_in":3600.0}"#,
                None,
                Some(3600),
            ),
            (
                r#"{"access_token":"A","expires_in":"3600","refresh_token":null}"#,
                None,
                Some(3600),
            ),
            (
                r#"{"access_token":"A","expires_in":1e300,"refresh_token":""}"#,
                None,
                None,
            ),
            (
                r#"{"access_token":"A","expires_in":99999999}"#,
                None,
                Some(2_592_000),
            ),
            (r#"{"access_token":"A","expires_in":-5}"#, None, None),
            (r#"{"access_token":"A"}"#, None, None),
        ] {
            let tokens = read(&reply(200, body)).expect(body);
            assert_eq!(tokens.access.expose(), "A");
            assert_eq!(
                tokens.refresh.as_ref().map(crate::device::Private::expose),
                refresh,
                "{body}"
            );
            assert_eq!(tokens.life, life.map(Duration::from_secs), "{body}");
        }
    }

    #[test]
    fn a_reply_without_a_usable_token_is_told_without_quoting_it() {
        for body in [
            "",
            r#"{"access_token":"SECRET"#,
            "[]",
            r#"{"access_token":7}"#,
            r#"{"access_token":"SECRET two"}"#,
            r#"{"access_token":"A","refresh_token":"SECRET\n"}"#,
        ] {
            let error = read(&reply(200, body)).expect_err(body);
            assert!(matches!(error, LoginError::Reply { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn refusals_for_good_and_for_now() {
        for (status, body, expected) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"x"}"#,
                "invalid_grant",
            ),
            (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (
                400,
                r#"{"code":"bad.request","message":"no"}"#,
                "bad.request",
            ),
            (400, "<html>", ""),
        ] {
            let error = read(&reply(status, body)).expect_err(body);
            assert!(
                matches!(&error, LoginError::Refused { error, .. } if error == expected),
                "{error}"
            );
        }
        for status in [302, 404, 408, 429, 500, 503] {
            let error = read(&reply(status, "")).expect_err("unavailable");
            assert!(
                matches!(error, LoginError::Unavailable(RestError::Status { status: s, .. }) if s == status),
                "{error}"
            );
        }
    }
}
