//! HTTP with reqwest.

use crate::device::Private;
use crate::genesys::CloudError;
use crate::genesys::login::{self, TokenRequest};
use crate::genesys::rest::RestError;
use crate::genesys::rest::wire::{HttpReply, HttpRequest};
use crate::genesys::tls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use std::time::Duration;

/// Longest reply taken. A page of active calls is some hundred kilobytes at most.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;
/// Longest `Retry-After` obeyed: a phone that waits longer than this is a phone out of order.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Proxies and redirects are off: the stream beside it would not follow them, and a token must not go elsewhere.
pub(super) fn client(tls: &rustls::ClientConfig) -> Result<reqwest::Client, CloudError> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("offhook/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| CloudError::Config {
            detail: format!("HTTP cannot be set up: {}", tls::cause_chain(&e)),
        })
}

pub(super) async fn exchange(
    client: &reqwest::Client,
    url: String,
    request: &HttpRequest,
    token: &Private,
) -> Result<HttpReply, RestError> {
    let mut builder = client
        .request(request.method.clone(), url)
        // Sent on every request, GET too (2.1).
        .header(CONTENT_TYPE, "application/json")
        .header(
            AUTHORIZATION,
            sensitive(&format!("Bearer {}", token.expose())),
        );
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    send(builder, || request.describe()).await
}

pub(super) async fn token(
    client: &reqwest::Client,
    url: String,
    request: &TokenRequest,
) -> Result<HttpReply, RestError> {
    let mut builder = client
        .post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(request.form.expose().to_owned());
    if let Some((id, secret)) = &request.basic {
        let pair = STANDARD.encode(format!("{id}:{}", secret.expose()));
        builder = builder.header(AUTHORIZATION, sensitive(&format!("Basic {pair}")));
    }
    send(builder, || login::REQUEST.to_owned()).await
}

async fn send(
    builder: reqwest::RequestBuilder,
    describe: impl Fn() -> String,
) -> Result<HttpReply, RestError> {
    let failed = |error: reqwest::Error| network_error(describe(), error);
    let mut response = builder.send().await.map_err(failed)?;
    let mut reply = HttpReply {
        status: response.status().as_u16(),
        correlation_id: text(response.headers(), "inin-correlation-id"),
        retry_after: text(response.headers(), RETRY_AFTER.as_str())
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if reply.body.len() + chunk.len() > MAX_REPLY_BYTES {
            return Err(RestError::Body {
                request: describe(),
                detail: format!("longer than {MAX_REPLY_BYTES} bytes"),
            });
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}

/// Marked sensitive, so that HTTP libraries do not log it.
fn sensitive(text: &str) -> HeaderValue {
    // Tokens and secrets are visible ASCII where they come in, which is always a valid header value.
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.chars().take(128).collect())
}

fn network_error(request: String, error: reqwest::Error) -> RestError {
    let error = error.without_url();
    let tls = tls::tls_cause(&error);
    RestError::Network {
        request,
        tls: tls.is_some(),
        detail: tls.unwrap_or_else(|| tls::cause_chain(&error)),
    }
}
