//! Who may talk to the API: no web page of another origin, no foreign Host header, and on the network only with the key.

use super::api::refuse;
use crate::device::Private;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked of a request.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The key, when the API is on the network.
    pub key: Option<Private>,
    /// The phone's own host name, which a Host header may carry.
    pub host_name: Arc<str>,
}

/// Middleware for every path.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.admit(request.headers(), request.uri().path()) {
        Ok(()) => next.run(request).await,
        Err((status, message)) => {
            let kind = if status == StatusCode::UNAUTHORIZED {
                "unauthorized"
            } else {
                "bad_request"
            };
            refuse(status, kind, message).into_response()
        }
    }
}

impl Guard {
    fn admit(&self, headers: &HeaderMap, path: &str) -> Result<(), (StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if !self.is_own_host(host) {
            return Err((
                StatusCode::FORBIDDEN,
                "this Host header is not the phone's: use its IP address or host name",
            ));
        }
        if let Some(origin) = text(header::ORIGIN)
            && origin
                .split_once("://")
                .is_none_or(|(_, origin_host)| origin_host != host)
        {
            return Err((
                StatusCode::FORBIDDEN,
                "requests from a web page of another origin are refused",
            ));
        }
        // The page itself holds nothing private; it asks the user for the key and sends it with each request.
        let is_page = matches!(
            path,
            "/" | "/app.js" | "/calls.js" | "/front.js" | "/style.css"
        );
        // Browsers come there by a link, without the key: the one has a code that stands on the display, the other
        // the state of a login that was begun here.
        let is_page = is_page || path.starts_with("/L/") || path == "/login/callback";
        if let Some(key) = &self.key
            && !is_page
            && !text(header::AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer "))
                .is_some_and(|given| same(given.as_bytes(), key.expose().as_bytes()))
        {
            return Err((
                StatusCode::UNAUTHORIZED,
                "send `Authorization: Bearer <key>`; the key is in the file api-key of the phone's state folder",
            ));
        }
        Ok(())
    }

    /// A page on a foreign name that was rebound to our address sends that name here; an address cannot be rebound.
    fn is_own_host(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || (!self.host_name.is_empty()
                && (name.eq_ignore_ascii_case(&self.host_name)
                    || name.eq_ignore_ascii_case(&format!("{}.local", self.host_name))))
    }
}

/// Compares without telling by its time where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in() {
        let local = Guard {
            key: None,
            host_name: "desk-7".into(),
        };
        let network = Guard {
            key: Some("secret".into()),
            ..local.clone()
        };
        let bearer = Some("Bearer secret");
        for (guard, path, host, origin, authorization, admitted) in [
            (&local, "/api/v1/status", "127.0.0.1:8321", None, None, true),
            (&local, "/api/v1/status", "[::1]:8321", None, None, true),
            (
                &local,
                "/api/v1/status",
                "localhost:8321",
                Some("http://localhost:8321"),
                None,
                true,
            ),
            (&local, "/api/v1/status", "DESK-7.local", None, None, true),
            (&local, "/api/v1/status", "evil.example", None, None, false),
            (&local, "/api/v1/status", "", None, None, false),
            (
                &local,
                "/api/v1/calls",
                "127.0.0.1:8321",
                Some("https://evil.example"),
                None,
                false,
            ),
            (
                &local,
                "/api/v1/calls",
                "127.0.0.1:8321",
                Some("null"),
                None,
                false,
            ),
            (
                &local,
                "/api/v1/calls",
                "127.0.0.1:8321",
                Some("http://127.0.0.1:9999"),
                None,
                false,
            ),
            (&network, "/api/v1/status", "192.0.2.7", None, None, false),
            (
                &network,
                "/api/v1/status",
                "192.0.2.7",
                None,
                Some("Bearer wrong!"),
                false,
            ),
            (&network, "/api/v1/status", "192.0.2.7", None, bearer, true),
            (&network, "/", "192.0.2.7", None, None, true),
            (&network, "/calls.js", "192.0.2.7", None, None, true),
            (&network, "/L/7F3K9Q", "192.0.2.7", None, None, true),
            (&network, "/login/callback", "192.0.2.7", None, None, true),
            (
                &network,
                "/login/callback",
                "evil.example",
                None,
                None,
                false,
            ),
            (&network, "/api/v1/login", "192.0.2.7", None, None, false),
            (&network, "/metrics", "192.0.2.7", None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                (header::HOST, Some(host)),
                (header::ORIGIN, origin),
                (header::AUTHORIZATION, authorization),
            ] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            assert_eq!(
                guard.admit(&headers, path).is_ok(),
                admitted,
                "{path} {host} {origin:?} {authorization:?}"
            );
        }
    }
}
