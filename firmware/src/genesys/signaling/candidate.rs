//! ICE candidates: SDP fragments, the filter for what is sent, and Jingle's form.

use super::Malformed;
use super::sdp_write::token;
use crate::genesys::xml::{Element, ns};
use std::net::Ipv4Addr;

/// Most candidates read of one fragment; the gateway sends one.
const MAX_CANDIDATES: usize = 32;

/// An incoming fragment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The word after `m=`.
    pub mid: Option<String>,
    /// Without `a=`.
    pub candidates: Vec<String>,
    pub end: bool,
}

/// Reads a fragment. Lines end at CR, LF or a backslash: gateways were seen to escape line ends twice, and the SDK
/// cuts at the backslash (5.3).
pub(super) fn read_fragment(sdp: &str) -> Fragment {
    let mut fragment = Fragment::default();
    let unescaped = sdp.replace("\\r", "\n").replace("\\n", "\n");
    for line in unescaped.split(['\r', '\n', '\\']) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("m=") {
            fragment.mid = rest.split_whitespace().next().map(str::to_owned);
        } else if line == "a=end-of-candidates" {
            fragment.end = true;
        } else if let Some(candidate) = line.strip_prefix("a=") {
            let is_new = fragment.candidates.len() < MAX_CANDIDATES;
            if candidate.starts_with("candidate:") && is_new {
                fragment.candidates.push(candidate.to_owned());
            }
        }
    }
    fragment
}

/// The fields of `candidate:...` (RFC 8839 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    foundation: &'a str,
    component: &'a str,
    protocol: &'a str,
    priority: &'a str,
    address: &'a str,
    port: &'a str,
    kind: &'a str,
    /// Pairs of name and value.
    extensions: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let mut words = line.strip_prefix("candidate:")?.split_whitespace();
        let mut next = || words.next();
        let (foundation, component, protocol) = (next()?, next()?, next()?);
        let (priority, address, port) = (next()?, next()?, next()?);
        if next()? != "typ" {
            return None;
        }
        let kind = next()?;
        let mut extensions = Vec::new();
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            extensions.push((name, value));
        }
        Some(Self {
            foundation,
            component,
            protocol,
            priority,
            address,
            port,
            kind,
            extensions,
        })
    }

    fn extension(&self, name: &str) -> Option<&'a str> {
        let found = self.extensions.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

/// Whether a local candidate is sent (5.3): never TCP, and a host candidate only with a dotted IPv4 address unless
/// IPv6 is allowed. What is no candidate is not sent either.
pub(super) fn may_be_sent(line: &str, ipv6: bool) -> bool {
    Fields::read(line).is_some_and(|fields| {
        let is_udp = fields.protocol.eq_ignore_ascii_case("udp");
        let hidden = fields.kind == "host" && fields.address.parse::<Ipv4Addr>().is_err();
        is_udp && (ipv6 || !hidden)
    })
}

/// Jingle's form of a candidate, with the attributes the SDK's library writes.
pub(super) fn to_jingle(line: &str) -> Option<Element> {
    let fields = Fields::read(line)?;
    Some(
        Element::new("candidate", ns::ICE_UDP)
            .with("component", fields.component)
            .with("foundation", fields.foundation)
            .with("ip", fields.address)
            .with("port", fields.port)
            .with("priority", fields.priority)
            .with("protocol", fields.protocol.to_ascii_lowercase())
            .with_some("tcptype", fields.extension("tcptype"))
            .with("type", fields.kind)
            .with_some("rel-addr", fields.extension("raddr"))
            .with_some("rel-port", fields.extension("rport")),
    )
}

/// `candidate:...` of Jingle's form (XEP-0176).
pub(super) fn from_jingle(candidate: &Element) -> Result<String, Malformed> {
    let field = |name: &str| {
        let value = candidate
            .attribute(name)
            .ok_or_else(|| Malformed(format!("a candidate without {name}")))?;
        token(value).map(str::to_owned)
    };
    let number = |name: &str| {
        let value = field(name)?;
        let is_number = value.bytes().all(|b| b.is_ascii_digit());
        is_number
            .then_some(value)
            .ok_or_else(|| Malformed(format!("a candidate whose {name} is no number")))
    };
    let mut line = format!(
        "candidate:{} {} {} {} {} {} typ {}",
        field("foundation")?,
        number("component")?,
        field("protocol")?,
        number("priority")?,
        field("ip")?,
        number("port")?,
        field("type")?
    );
    for (name, word) in [
        ("rel-addr", "raddr"),
        ("rel-port", "rport"),
        ("tcptype", "tcptype"),
        ("generation", "generation"),
    ] {
        if let Some(value) = candidate.attribute(name) {
            line.extend([" ", word, " ", token(value)?]);
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{Fragment, from_jingle, may_be_sent, read_fragment, to_jingle};
    use crate::genesys::xml::{Element, ns};

    #[test]
    fn fragments_in_all_their_forms() {
        let one = "candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host generation 0 ufrag Xy";
        let expected = |mid: Option<&str>, candidates: &[&str], end| Fragment {
            mid: mid.map(str::to_owned),
            candidates: candidates.iter().map(|&c| c.to_owned()).collect(),
            end,
        };
        for (text, fragment) in [
            (
                format!("m=audio 9 RTP/AVP 0\r\na={one}\r\n"),
                expected(Some("audio"), &[one], false),
            ),
            (
                format!("m=0 9 RTP/AVP 0\na={one}"),
                expected(Some("0"), &[one], false),
            ),
            (
                format!("m=audio 9 RTP/AVP 0\\r\\na={one}\\r\\n"),
                expected(Some("audio"), &[one], false),
            ),
            (format!("a={one}\r\n"), expected(None, &[one], false)),
            (
                "a=end-of-candidates\r\n".to_owned(),
                expected(None, &[], true),
            ),
            (
                "m=audio 9 RTP/AVP 0\r\na=end-of-candidates".to_owned(),
                expected(Some("audio"), &[], true),
            ),
            (
                format!("m=audio 9\r\na={one}\r\na=end-of-candidates\r\n"),
                expected(Some("audio"), &[one], true),
            ),
            (String::new(), expected(None, &[], false)),
            (
                "m=\r\na=\r\na=ice-ufrag:x\r\ngarbage".to_owned(),
                expected(None, &[], false),
            ),
        ] {
            assert_eq!(read_fragment(&text), fragment, "{text:?}");
        }
    }

    #[test]
    fn what_may_be_sent() {
        for (address_and_kind, plain, with_ipv6) in [
            ("udp 5 192.168.1.5 50000 typ host", true, true),
            ("UDP 5 192.168.1.5 50000 typ host", true, true),
            ("udp 5 fd00::2 50000 typ host", false, true),
            ("udp 5 0c8d2a4e.local 50000 typ host", false, true),
            (
                "udp 5 2001:db8::1 50000 typ srflx raddr :: rport 0",
                true,
                true,
            ),
            (
                "udp 5 198.51.100.7 5000 typ relay raddr 10.0.0.4 rport 5000",
                true,
                true,
            ),
            ("tcp 5 192.168.1.5 9 typ host tcptype active", false, false),
        ] {
            let line = format!("candidate:1 1 {address_and_kind}");
            assert_eq!(may_be_sent(&line, false), plain, "{line}");
            assert_eq!(may_be_sent(&line, true), with_ipv6, "{line}");
        }
        assert!(!may_be_sent("", true));
        assert!(!may_be_sent("candidate:1 1 udp", true));
    }

    #[test]
    fn jingle_candidates_both_ways() {
        let line =
            "candidate:1 1 udp 1677729535 198.51.100.7 5000 typ srflx raddr 10.0.0.4 rport 5000";
        let element = to_jingle(line).expect("a candidate");
        assert_eq!(
            element.to_string(),
            r#"<candidate xmlns="urn:xmpp:jingle:transports:ice-udp:1" component="1" foundation="1" ip="198.51.100.7" port="5000" priority="1677729535" protocol="udp" type="srflx" rel-addr="10.0.0.4" rel-port="5000"/>"#
        );
        assert_eq!(from_jingle(&element).expect("a line"), line);
    }

    #[test]
    fn a_jingle_candidate_cannot_smuggle_lines_into_the_sdp() {
        let good = to_jingle("candidate:1 1 udp 5 10.0.0.1 5 typ host").expect("a candidate");
        for (name, value) in [
            ("ip", "10.0.0.1\r\na=setup:passive"),
            ("foundation", "a b"),
            ("port", "5x"),
            ("type", ""),
            ("rel-addr", "1\n2"),
        ] {
            let bad = good.clone().with(name, value);
            assert!(from_jingle(&bad).is_err(), "{name}={value:?}");
        }
        assert!(from_jingle(&Element::new("candidate", ns::ICE_UDP)).is_err());
    }
}
