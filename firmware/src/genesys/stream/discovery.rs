//! ICE servers by XEP-0215 (genesys-protocol 5.5).

use crate::device::Private;
use crate::genesys::xml::{Element, ns};
use crate::genesys::{IceServer, IceServers};

/// Which of the two queries of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Turn,
    Stun,
}

impl Service {
    pub(crate) const BOTH: [Self; 2] = [Self::Turn, Self::Stun];

    fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Stun => "stun",
        }
    }

    /// The query, without id.
    pub(crate) fn query(self, domain: &str) -> Element {
        Element::new("iq", ns::CLIENT)
            .with("to", domain)
            .with("type", "get")
            .with_child(Element::new("services", ns::EXTDISCO).with("type", self.as_str()))
    }
}

/// The answers to one round of queries.
#[derive(Debug, Default)]
pub(crate) struct Round {
    turn: Option<Vec<IceServer>>,
    stun: Option<Vec<IceServer>>,
}

impl Round {
    /// Takes one answer; the outcome when it was the second.
    pub(crate) fn answer(&mut self, service: Service, reply: &Element) -> Option<IceServers> {
        let servers = read_services(reply);
        match service {
            Service::Turn => self.turn = Some(servers),
            Service::Stun => self.stun = Some(servers),
        }
        let stun = self.stun.as_ref()?;
        let mut servers = self.turn.clone()?;
        servers.extend(stun.iter().cloned());
        Some(IceServers {
            // That is how "force TURN" reaches a client.
            relay_only: stun.is_empty(),
            servers,
        })
    }
}

fn read_services(reply: &Element) -> Vec<IceServer> {
    let Some(services) = reply.child("services", ns::EXTDISCO) else {
        return Vec::new();
    };
    services
        .children("service", ns::EXTDISCO)
        .filter_map(|service| {
            let server = read_service(service);
            if server.is_none() {
                tracing::warn!("an ICE server that cannot be read is left out");
            }
            server
        })
        .collect()
}

/// `{type}:{host}[:port][?transport=x]`, the last for TURN over other than UDP only.
fn read_service(service: &Element) -> Option<IceServer> {
    let kind = service.attribute("type")?;
    let host = service.attribute("host")?;
    let is_turn = matches!(kind, "turn" | "turns");
    if !is_turn && !matches!(kind, "stun" | "stuns") {
        return None;
    }
    let is_host_char = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.len() > 255 || !host.chars().all(is_host_char) {
        return None;
    }
    let mut url = if host.contains(':') && !host.starts_with('[') {
        format!("{kind}:[{host}]")
    } else {
        format!("{kind}:{host}")
    };
    if let Some(port) = service.attribute("port") {
        let port: u16 = port.parse().ok()?;
        url.extend([":", &port.to_string()]);
    }
    match service.attribute("transport") {
        Some(transport @ ("tcp" | "tls")) if is_turn => {
            url.extend(["?transport=", transport]);
        }
        _ => {}
    }
    let credential = |name| service.attribute(name).unwrap_or_default();
    Some(IceServer {
        url,
        username: credential("username").to_owned(),
        credential: Private::from(credential("password")),
    })
}

#[cfg(test)]
mod tests {
    use super::{Round, Service};
    use crate::genesys::IceServers;
    use crate::genesys::xml::{Element, parse};

    fn reply(services: &str) -> Element {
        parse(&format!(
            r#"<iq xmlns="jabber:client" type="result" id="e"><services xmlns="urn:xmpp:extdisco:1">{services}</services></iq>"#
        ))
        .expect("a stanza")
    }

    fn round(turn: &str, stun: &str) -> IceServers {
        let mut round = Round::default();
        // Stun answers first here: the order of answers must not matter.
        assert_eq!(round.answer(Service::Stun, &reply(stun)), None);
        round
            .answer(Service::Turn, &reply(turn))
            .expect("both are in")
    }

    #[test]
    fn turn_comes_first_and_urls_are_built_as_the_sdk_does() {
        let servers = round(
            r#"<service type="turn" host="t.test" port="3456" transport="udp" username="u:1" password="p="/>
               <service type="turn" host="t.test" port="443" transport="tcp" username="u:1" password="p="/>
               <service type="turns" host="2001:db8::1"/>"#,
            r#"<service type="stun" host="s.test" port="3478" transport="tcp"/>"#,
        );
        let urls: Vec<&str> = servers.servers.iter().map(|s| s.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "turn:t.test:3456",
                "turn:t.test:443?transport=tcp",
                "turns:[2001:db8::1]",
                "stun:s.test:3478"
            ]
        );
        assert_eq!(servers.servers[0].username, "u:1");
        assert_eq!(servers.servers[0].credential.expose(), "p=");
        assert!(!servers.relay_only);
    }

    #[test]
    fn without_stun_only_relays_may_be_used() {
        let servers = round(r#"<service type="turn" host="t.test"/>"#, "");
        assert!(servers.relay_only);
        assert_eq!(servers.servers.len(), 1);
    }

    #[test]
    fn services_that_cannot_be_meant_are_left_out() {
        let servers = round(
            r#"<service type="turn"/><service host="h"/><service type="turn" host="a b"/>
               <service type="turn" host="h" port="99999"/><service type="http" host="h"/>"#,
            r#"<service type="stun" host="s.test"/>"#,
        );
        assert_eq!(servers.servers.len(), 1);
    }

    #[test]
    fn the_query_goes_to_the_domain() {
        assert_eq!(
            Service::Turn.query("acme.test").to_string(),
            r#"<iq xmlns="jabber:client" to="acme.test" type="get"><services xmlns="urn:xmpp:extdisco:1" type="turn"/></iq>"#
        );
    }
}
