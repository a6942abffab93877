//! Where the cloud is: regions, hosts and URLs (genesys-protocol 1.3).

use super::CloudError;
use url::{Host, Url};

/// Every base domain the SDKs know (genesys-protocol 1.3). Another one can be configured as a URL.
pub const REGIONS: [&str; 18] = [
    "mypurecloud.com",
    "mypurecloud.ie",
    "mypurecloud.com.au",
    "mypurecloud.jp",
    "mypurecloud.de",
    "usw2.pure.cloud",
    "cac1.pure.cloud",
    "euw2.pure.cloud",
    "apne2.pure.cloud",
    "use2.us-gov-pure.cloud",
    "sae1.pure.cloud",
    "aps1.pure.cloud",
    "mec1.pure.cloud",
    "apne3.pure.cloud",
    "euc2.pure.cloud",
    "mxc1.pure.cloud",
    "apse1.pure.cloud",
    "edee1.eusc-pure.cloud",
];

/// The hosts of one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Without trailing slash and without `/api/v2`.
    api: String,
    /// Without trailing slash.
    streaming: String,
    /// XMPP address of the notification service.
    pubsub: String,
}

/// A host to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Environment {
    /// `environment` is a region's base domain or the URL of a REST host; `streaming` is empty or a `ws(s)` URL.
    ///
    /// A URL is used verbatim instead of `https://api.ENV`, and the pubsub address is then made of it
    /// (genesys-protocol 1.3). Its streaming host is the same host, unless configured.
    pub fn parse(environment: &str, streaming: &str) -> Result<Self, CloudError> {
        let environment = environment.trim().trim_end_matches('/');
        let (api, default_streaming, pubsub) = if environment.starts_with("http") {
            let url = parse_url("cloud.environment", environment, &["https", "http"])?;
            let authority = environment
                .split_once("://")
                .map_or(environment, |(_, rest)| rest);
            let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
            (
                environment.to_owned(),
                format!("{scheme}://{authority}"),
                format!("notifications.{authority}"),
            )
        } else if REGIONS.contains(&environment) {
            (
                format!("https://api.{environment}"),
                format!("wss://streaming.{environment}"),
                format!("notifications.{environment}"),
            )
        } else {
            return Err(CloudError::Config {
                detail: format!(
                    "cloud.environment is {environment:?}, which is no known region; use one of {}, \
                     or the URL of a REST host (https://...)",
                    REGIONS.join(", ")
                ),
            });
        };
        let streaming = streaming.trim().trim_end_matches('/');
        let streaming = if streaming.is_empty() {
            default_streaming
        } else {
            parse_url("cloud.streaming", streaming, &["wss", "ws"])?;
            streaming.to_owned()
        };
        Ok(Self {
            api,
            streaming,
            pubsub,
        })
    }

    /// URL of a REST resource; `path` comes after `/api/v2/` and may have a query.
    pub fn api_url(&self, path: &str) -> String {
        format!("{}/api/v2/{path}", self.api)
    }

    /// URL of a channel's stream (3.1).
    pub fn streaming_url(&self, channel: &str) -> String {
        format!("{}/stream/channels/{channel}", self.streaming)
    }

    /// XMPP address of the notification service.
    pub fn pubsub(&self) -> &str {
        &self.pubsub
    }

    /// Host that serves REST.
    pub fn api_endpoint(&self) -> Endpoint {
        Endpoint::of(&self.api)
    }

    /// Host that serves streaming.
    pub fn streaming_endpoint(&self) -> Endpoint {
        Endpoint::of(&self.streaming)
    }
}

impl Endpoint {
    /// Host, port and TLS of `url`, which was checked when the configuration was read.
    pub(crate) fn of(url: &str) -> Self {
        let parsed = Url::parse(url).ok();
        let tls = url.starts_with("https") || url.starts_with("wss");
        let host = match parsed.as_ref().and_then(Url::host) {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        let default = if tls { 443 } else { 80 };
        Self {
            host,
            port: parsed.and_then(|url| url.port()).unwrap_or(default),
            tls,
        }
    }

    /// Whether it is this machine: then an unencrypted connection harms nobody.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

fn parse_url(key: &str, text: &str, schemes: &[&str]) -> Result<Url, CloudError> {
    let wrong = |why: String| CloudError::Config {
        detail: format!("{key} is {text:?}: {why}"),
    };
    let url = Url::parse(text).map_err(|e| wrong(e.to_string()))?;
    if !schemes.contains(&url.scheme()) {
        return Err(wrong(format!("it must start with {}://", schemes[0])));
    }
    if url.host().is_none() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(format!(
            "only {}://HOST[:PORT] is wanted",
            schemes[0]
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user name does not belong here".to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Environment, REGIONS};

    #[track_caller]
    fn check(environment: &str, streaming: &str, rest: &str, stream: &str, pubsub: &str) {
        let parsed = Environment::parse(environment, streaming).expect("a valid environment");
        assert_eq!(parsed.api_url("users/me"), rest);
        assert_eq!(parsed.streaming_url("streaming-1"), stream);
        assert_eq!(parsed.pubsub(), pubsub);
    }

    #[test]
    fn a_region_and_a_url() {
        check(
            "mypurecloud.de",
            "",
            "https://api.mypurecloud.de/api/v2/users/me",
            "wss://streaming.mypurecloud.de/stream/channels/streaming-1",
            "notifications.mypurecloud.de",
        );
        check(
            "http://127.0.0.1:18080/",
            "",
            "http://127.0.0.1:18080/api/v2/users/me",
            "ws://127.0.0.1:18080/stream/channels/streaming-1",
            "notifications.127.0.0.1:18080",
        );
        check(
            "https://localhost:8443",
            "wss://localhost:9443/",
            "https://localhost:8443/api/v2/users/me",
            "wss://localhost:9443/stream/channels/streaming-1",
            "notifications.localhost:8443",
        );
    }

    #[test]
    fn every_region_is_accepted() {
        for region in REGIONS {
            Environment::parse(region, "").expect(region);
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_allowed() {
        for (environment, streaming, expected) in [
            (
                "mypurecloud.xyz",
                "",
                "no known region; use one of mypurecloud.com, mypurecloud.ie",
            ),
            ("", "", "no known region"),
            ("https://", "", "cloud.environment"),
            ("httpx://a", "", "must start with https://"),
            ("https://user:pw@host", "", "user name"),
            ("https://host?x=1", "", "only https://HOST[:PORT]"),
            (
                "mypurecloud.com",
                "https://host",
                "cloud.streaming is \"https://host\": it must start with wss://",
            ),
        ] {
            let error = Environment::parse(environment, streaming)
                .expect_err(environment)
                .to_string();
            assert!(error.contains(expected), "{environment}: {error}");
        }
    }

    #[test]
    fn endpoints() {
        let local = Environment::parse("https://[::1]:8443", "").expect("a URL");
        assert_eq!(
            local.api_endpoint(),
            Endpoint {
                host: "::1".to_owned(),
                port: 8443,
                tls: true
            }
        );
        assert!(local.api_endpoint().is_loopback());
        let region = Environment::parse("mypurecloud.com", "").expect("a region");
        assert_eq!(
            region.streaming_endpoint().host,
            "streaming.mypurecloud.com"
        );
        assert_eq!(region.streaming_endpoint().port, 443);
        assert!(!region.streaming_endpoint().is_loopback());
    }
}
