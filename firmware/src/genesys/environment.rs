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
    /// Without trailing slash.
    login: String,
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
    /// (genesys-protocol 1.3). Its streaming and login hosts are the same host, unless configured. A domain that is not
    /// in [`REGIONS`] may be a region newer than this phone: it is used, and [`Environment::is_known`] says so.
    pub fn parse(environment: &str, streaming: &str) -> Result<Self, CloudError> {
        let environment = environment.trim().trim_end_matches('/');
        let (api, default_streaming, login, pubsub) = if environment.starts_with("http") {
            let url = parse_url("cloud.environment", environment, &["https", "http"])?;
            let authority = environment
                .split_once("://")
                .map_or(environment, |(_, rest)| rest);
            let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
            (
                environment.to_owned(),
                format!("{scheme}://{authority}"),
                environment.to_owned(),
                format!("notifications.{authority}"),
            )
        } else if is_domain(environment) {
            (
                format!("https://api.{environment}"),
                format!("wss://streaming.{environment}"),
                format!("https://login.{environment}"),
                format!("notifications.{environment}"),
            )
        } else {
            return Err(CloudError::Config {
                detail: format!(
                    "cloud.environment is {environment:?}, which is no region; use one of {}, \
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
            login,
            pubsub,
        })
    }

    /// With another login host, an `http(s)` URL; empty: the one that belongs to the environment.
    pub fn with_login(mut self, login: &str) -> Result<Self, CloudError> {
        let login = login.trim().trim_end_matches('/');
        if !login.is_empty() {
            parse_url("cloud.login_host", login, &["https", "http"])?;
            login.clone_into(&mut self.login);
        }
        Ok(self)
    }

    /// Whether it is a URL or a region of [`REGIONS`].
    pub fn is_known(environment: &str) -> bool {
        let environment = environment.trim().trim_end_matches('/');
        environment.starts_with("http") || REGIONS.contains(&environment)
    }

    /// URL on the login host; `path` begins without slash, e.g. `oauth/token`.
    pub fn login_url(&self, path: &str) -> String {
        format!("{}/{path}", self.login)
    }

    /// Host that serves OAuth.
    pub fn login_endpoint(&self) -> Endpoint {
        Endpoint::of(&self.login)
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

/// A base domain: labels of letters, digits and hyphens, two at least (RFC 1123 2.1).
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 240 && text.contains('.') && text.split('.').all(label)
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
            let environment = Environment::parse(region, "").expect(region);
            assert!(Environment::is_known(region), "{region}");
            assert_eq!(
                environment.login_url("oauth/token"),
                format!("https://login.{region}/oauth/token")
            );
        }
    }

    #[test]
    fn a_region_newer_than_the_phone_is_used() {
        check(
            "xyz9.pure.cloud",
            "",
            "https://api.xyz9.pure.cloud/api/v2/users/me",
            "wss://streaming.xyz9.pure.cloud/stream/channels/streaming-1",
            "notifications.xyz9.pure.cloud",
        );
        assert!(!Environment::is_known("xyz9.pure.cloud"));
        assert!(Environment::is_known("https://localhost:8443/"));
    }

    #[test]
    fn the_login_host() {
        let login = |environment: &str, host: &str| {
            Environment::parse(environment, "")
                .and_then(|environment| environment.with_login(host))
                .map(|environment| environment.login_url("oauth/authorize"))
        };
        for (environment, host, expected) in [
            (
                "usw2.pure.cloud",
                "",
                "https://login.usw2.pure.cloud/oauth/authorize",
            ),
            (
                "http://127.0.0.1:18080",
                "",
                "http://127.0.0.1:18080/oauth/authorize",
            ),
            (
                "https://127.0.0.1:8443",
                "https://localhost:9443/",
                "https://localhost:9443/oauth/authorize",
            ),
        ] {
            assert_eq!(login(environment, host).expect("a host"), expected);
        }
        let error = login("mypurecloud.com", "login.mypurecloud.com").expect_err("no URL");
        assert!(error.to_string().contains("cloud.login_host"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_allowed() {
        for (environment, streaming, expected) in [
            (
                "moon",
                "",
                "no region; use one of mypurecloud.com, mypurecloud.ie",
            ),
            ("", "", "no region"),
            ("my purecloud.com", "", "no region"),
            ("mypurecloud..com", "", "no region"),
            ("-x.com", "", "no region"),
            ("user@mypurecloud.com", "", "no region"),
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
