//! ICE candidate lines (RFC 8839 section 5.1), both ways.

use std::fmt;
use std::net::IpAddr;

/// A UDP candidate of component 1 with a literal address: the only sort this phone can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Foundation, 1 to 32 ice-chars.
    pub foundation: String,
    /// Priority.
    pub priority: u32,
    /// Address.
    pub address: IpAddr,
    /// Port, never 0.
    pub port: u16,
    /// host, srflx, prflx, relay.
    pub kind: CandidateKind,
    /// `raddr` and `rport`.
    pub related: Option<(IpAddr, u16)>,
    /// The `ufrag` extension: which ICE generation it belongs to.
    pub ufrag: Option<String>,
}

/// Candidate types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "RFC 8445 names them")]
pub enum CandidateKind {
    Host,
    ServerReflexive,
    PeerReflexive,
    Relay,
}

/// Why a candidate line is left out; none of these is an error of the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Component 2: RTP and RTCP are always multiplexed (RFC 5761).
    #[error("it is for a separate RTCP component")]
    Component,
    /// TCP.
    #[error("it is not UDP")]
    Transport,
    /// A host name, such as an mDNS name: mDNS is off.
    #[error("its address is not an IP address")]
    Address,
    /// Not a candidate line.
    #[error("it is not a candidate line")]
    Malformed,
}

impl Candidate {
    /// Reads `candidate:...`, with or without a leading `a=`.
    pub fn parse(line: &str) -> Result<Self, Unusable> {
        let line = line.trim();
        let line = line.strip_prefix("a=").unwrap_or(line);
        let body = line.strip_prefix("candidate:").ok_or(Unusable::Malformed)?;
        let mut words = body.split_ascii_whitespace();
        let mut next = || words.next().ok_or(Unusable::Malformed);
        let (foundation, component, transport) = (next()?, next()?, next()?);
        let (priority, address, port) = (next()?, next()?, next()?);
        if next()? != "typ" {
            return Err(Unusable::Malformed);
        }
        let kind = CandidateKind::parse(next()?).ok_or(Unusable::Malformed)?;
        if !is_ice_chars(foundation, 1, 32) {
            return Err(Unusable::Malformed);
        }
        if component != "1" {
            return Err(Unusable::Component);
        }
        if !transport.eq_ignore_ascii_case("udp") {
            return Err(Unusable::Transport);
        }
        let port: u16 = port.parse().map_err(|_| Unusable::Malformed)?;
        if port == 0 {
            return Err(Unusable::Malformed);
        }
        let (mut related_address, mut related_port, mut ufrag) = (None, None, None);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name {
                "raddr" => related_address = value.parse().ok(),
                "rport" => related_port = value.parse().ok(),
                "ufrag" => ufrag = Some(value.to_owned()),
                _ => {} // generation, network-id, network-cost
            }
        }
        Ok(Self {
            foundation: foundation.to_owned(),
            priority: priority.parse().map_err(|_| Unusable::Malformed)?,
            address: address.parse().map_err(|_| Unusable::Address)?,
            port,
            kind,
            related: related_address.zip(related_port),
            ufrag,
        })
    }
}

impl CandidateKind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "host" => Self::Host,
            "srflx" => Self::ServerReflexive,
            "prflx" => Self::PeerReflexive,
            "relay" => Self::Relay,
            _ => return None,
        })
    }
}

impl fmt::Display for Candidate {
    /// `candidate:...` without `a=` and without the `ufrag` extension.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            CandidateKind::Host => "host",
            CandidateKind::ServerReflexive => "srflx",
            CandidateKind::PeerReflexive => "prflx",
            CandidateKind::Relay => "relay",
        };
        write!(
            f,
            "candidate:{} 1 udp {} {} {} typ {kind}",
            self.foundation, self.priority, self.address, self.port
        )?;
        if let Some((address, port)) = self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        Ok(())
    }
}

/// Whether `text` is `min` to `max` ice-chars (RFC 8839 section 5.1: ALPHA / DIGIT / "+" / "/").
/// "-", "_" and "=" are taken too: some gateways write base64url.
pub(super) fn is_ice_chars(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Unusable};
    use proptest::prelude::*;

    fn check(line: &str, expected: Result<&str, Unusable>) {
        let parsed = Candidate::parse(line).map(|candidate| candidate.to_string());
        assert_eq!(parsed, expected.map(str::to_owned), "{line}");
    }

    #[test]
    fn only_what_the_phone_can_use_is_taken() {
        let host = "candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host";
        check(host, Ok(host));
        check(
            &format!("a={host} generation 0 ufrag Xy network-cost 999"),
            Ok(host),
        );
        check(
            "candidate:1 1 UDP 2113937151 192.168.1.5 50000 typ host",
            Ok(host),
        );
        let relay = "candidate:9 1 udp 7 203.0.113.4 3478 typ relay raddr 10.0.0.4 rport 5000";
        check(relay, Ok(relay));
        check(
            "candidate:1 1 udp 5 fe80::1 5000 typ host",
            Ok("candidate:1 1 udp 5 fe80::1 5000 typ host"),
        );
        // rtcp-mux: the second component is of no use (and the stack would offer it again).
        check(
            "candidate:1 2 udp 5 192.168.1.5 5001 typ host",
            Err(Unusable::Component),
        );
        check(
            "candidate:1 1 tcp 5 192.168.1.5 9 typ host tcptype active",
            Err(Unusable::Transport),
        );
        check(
            "candidate:1 1 udp 5 4ab3.local 5000 typ host",
            Err(Unusable::Address),
        );
        check(
            "candidate:1 1 udp 5 192.168.1.5 0 typ host",
            Err(Unusable::Malformed),
        );
        check(
            "candidate:1 1 udp 5 192.168.1.5 70000 typ host",
            Err(Unusable::Malformed),
        );
        check(
            "candidate:1 1 udp -5 192.168.1.5 7000 typ host",
            Err(Unusable::Malformed),
        );
        check(
            "candidate:1 1 udp 5 192.168.1.5 7000 typ other",
            Err(Unusable::Malformed),
        );
        check("end-of-candidates", Err(Unusable::Malformed));
        check("", Err(Unusable::Malformed));
    }

    proptest! {
        #[test]
        fn nothing_panics(line in any::<String>()) {
            let _ = Candidate::parse(&line);
        }

        #[test]
        fn what_is_written_reads_back(words in proptest::collection::vec("[a-z0-9.:]{0,12}", 0..16)) {
            if let Ok(candidate) = Candidate::parse(&format!("candidate:{}", words.join(" "))) {
                let again = Candidate::parse(&candidate.to_string()).expect("own output");
                prop_assert_eq!(Candidate { ufrag: None, ..candidate }, again);
            }
        }
    }
}
