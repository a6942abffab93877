//! Addresses of STUN and TURN servers (RFC 7064, RFC 7065).

/// What an ICE server's URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IceUrl {
    /// STUN or TURN.
    pub service: Service,
    /// How it is reached.
    pub carrier: Carrier,
    /// A name, or an address without brackets.
    pub host: String,
    /// Port, the scheme's own if the URL has none.
    pub port: u16,
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Stun,
    Turn,
}

/// How a server is reached. In the order of preference: a lost segment holds up all later sound on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    Udp,
    Tcp,
    Tls,
    /// TLS over UDP, which no server is known to offer.
    Dtls,
}

impl IceUrl {
    /// Reads `scheme:host[:port][?transport=..]`.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once(':')?;
        let (service, secure) = match scheme {
            "stun" => (Service::Stun, false),
            "stuns" => (Service::Stun, true),
            "turn" => (Service::Turn, false),
            "turns" => (Service::Turn, true),
            _ => return None,
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let transport = query
            .split('&')
            .find_map(|part| part.strip_prefix("transport="));
        let carrier = match (transport, secure) {
            (None | Some("tcp"), true) | (Some("tls"), _) => Carrier::Tls,
            (Some("udp"), true) => Carrier::Dtls,
            (Some("tcp"), false) => Carrier::Tcp,
            (None | Some("udp"), false) => Carrier::Udp,
            (Some(_), _) => return None,
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, after.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0)?,
            None if secure || carrier == Carrier::Tls => 5349,
            None => 3478,
        };
        (!host.is_empty()).then(|| Self {
            service,
            carrier,
            host: host.to_owned(),
            port,
        })
    }

    /// `host:port`, with brackets where they are needed.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Carrier, IceUrl, Service};
    use proptest::prelude::*;

    #[test]
    fn urls_are_read() {
        let check = |url, expected: Option<(Service, Carrier, &str)>| {
            let read = IceUrl::parse(url);
            let found = read.map(|url| (url.service, url.carrier, url.authority()));
            let expected = expected.map(|(service, carrier, at)| (service, carrier, at.to_owned()));
            assert_eq!(found, expected, "{url}");
        };
        let stun = |at| Some((Service::Stun, Carrier::Udp, at));
        let turn = |carrier, at| Some((Service::Turn, carrier, at));
        check("stun:stun.example.com", stun("stun.example.com:3478"));
        check("stun:[2001:db8::1]", stun("[2001:db8::1]:3478"));
        check("stun:[2001:db8::1]:19302", stun("[2001:db8::1]:19302"));
        check("turn:a:3456", turn(Carrier::Udp, "a:3456"));
        check("turn:a:1?transport=udp", turn(Carrier::Udp, "a:1"));
        check("turn:a?transport=tcp", turn(Carrier::Tcp, "a:3478"));
        check("turns:a", turn(Carrier::Tls, "a:5349"));
        check("turns:a:443?transport=tcp", turn(Carrier::Tls, "a:443"));
        // XEP-0215 lets a service say so; the SDK's URL carries it as it is.
        check("turn:a:443?transport=tls", turn(Carrier::Tls, "a:443"));
        check("turns:a?transport=udp", turn(Carrier::Dtls, "a:5349"));
        check("turn:a?transport=sctp", None);
        check("turn:a:0", None);
        check("turn:a:port", None);
        check("turn:[::1", None);
        check("stun:", None);
        check("http://example.com", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn nothing_panics(url in ".{0,40}", tail in "(turns?:)?[\\[\\]:?a-z0-9=]{0,30}") {
            let _ = (IceUrl::parse(&url), IceUrl::parse(&tail));
        }
    }
}
