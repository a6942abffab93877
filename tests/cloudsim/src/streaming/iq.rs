//! Client requests: ping, extdisco, pubsub, bind, session, and signaling.

use super::negotiate::{only_child, request_id};
use super::{BIND, EXTDISCO, GENESYS, JINGLE, PING, PUBSUB, SESSION, render};
use crate::faults::IqFault;
use crate::journal::ViolationKind;
use crate::world::World;
use crate::xml::Element;

/// The pubsub node a client subscribes to when the server shall ping (genesys-protocol 3.5).
const SERVER_PINGS: &str = "enable.server.side.pings";

/// A client's request while it is worked on.
pub(super) struct Request<'a> {
    pub socket: u64,
    pub id: &'a str,
    /// The JID it was sent to.
    pub to: Option<&'a str>,
    pub from: Option<&'a str>,
    /// `FULL`, or nothing before the bind.
    pub full: &'a str,
    /// `BARE`.
    pub bare: &'a str,
    /// `U`.
    pub user: &'a str,
}

impl World {
    pub(super) fn iq(&mut self, socket: u64, element: &Element, bound: bool) {
        let Some(found) = self.sockets.get(&socket) else {
            return;
        };
        let (user, full) = (found.user.clone(), found.full.clone().unwrap_or_default());
        let Some(bare) = self.directory.user(&user).map(|user| user.bare.clone()) else {
            return;
        };
        let Some(id) = request_id(element) else {
            return self.violate(
                Some(&user),
                ViolationKind::MissingField,
                "an iq without an id",
            );
        };
        let kind = element.attribute("type").unwrap_or_default();
        match kind {
            "result" | "error" => return self.answer(socket, element, id),
            "get" | "set" => {}
            _ => {
                let detail = format!("an iq of type {kind:?} (RFC 6120 section 8.2.3)");
                return self.violate(Some(&user), ViolationKind::UnexpectedStanza, detail);
            }
        }
        let request = Request {
            socket,
            id,
            to: element.attribute("to"),
            from: element.attribute("from"),
            full: &full,
            bare: &bare,
            user: &user,
        };
        if let Some(from) = request.from
            && from != full
        {
            let detail = format!("an iq from {from:?}; this connection is {full:?}");
            self.violate(Some(&user), ViolationKind::WrongAddress, detail);
        }
        let Some(child) = only_child(element) else {
            let detail = format!("an iq with {} children; one is due", element.children.len());
            self.violate(Some(&user), ViolationKind::UnexpectedStanza, detail);
            return self.refuse(&request, "modify", "bad-request");
        };
        if let Some(fault) = self.faults.iq(&user, &child.ns) {
            return self.fail_iq(&request, &fault);
        }
        if !bound && !child.is("bind", BIND) {
            self.unexpected(socket, child, "no resource is bound yet");
            return self.refuse(&request, "auth", "not-authorized");
        }
        match (child.name.as_str(), child.ns.as_str(), kind) {
            ("bind", BIND, "set") => self.bind(socket, id, child),
            ("session", SESSION, "set") | ("ping", PING, "get") => self.succeed(&request, ""),
            ("services", EXTDISCO, "get") => self.services(&request, element, child),
            ("pubsub", PUBSUB, "set") => self.pubsub(&request, child),
            ("genesys-webrtc", GENESYS, "set") => self.genesys_webrtc(&request, child),
            ("jingle", JINGLE, "set") => self.jingle(&request, child),
            _ => {
                let known = [
                    ("bind", BIND),
                    ("session", SESSION),
                    ("ping", PING),
                    ("services", EXTDISCO),
                    ("pubsub", PUBSUB),
                    ("genesys-webrtc", GENESYS),
                    ("jingle", JINGLE),
                ];
                match known.iter().find(|(name, _)| *name == child.name) {
                    Some((name, ns)) if *ns != child.ns => {
                        let detail = format!("<{name}> in {:?}, not {ns:?}", child.ns);
                        self.violate(Some(&user), ViolationKind::WrongNamespace, detail);
                    }
                    _ => self.unexpected(socket, child, &format!("in an iq of type {kind}")),
                }
                self.refuse(&request, "cancel", "service-unavailable");
            }
        }
    }

    /// The empty or filled result. Its `from` is the addressee, or absent (genesys-protocol 3.4).
    pub(super) fn succeed(&mut self, request: &Request<'_>, content: &str) {
        let text = render::result(request.id, request.to, request.full, content);
        self.send(request.socket, text);
    }

    pub(super) fn refuse(&mut self, request: &Request<'_>, kind: &str, condition: &str) {
        self.refuse_with(request, kind, condition, "");
    }

    pub(super) fn refuse_with(
        &mut self,
        request: &Request<'_>,
        kind: &str,
        condition: &str,
        more: &str,
    ) {
        let text = render::iq_error(
            request.id,
            request.to,
            request.full,
            kind,
            condition,
            None,
            more,
        );
        self.send(request.socket, text);
    }

    fn fail_iq(&mut self, request: &Request<'_>, fault: &IqFault) {
        if fault.unanswered {
            return;
        }
        let more = if fault.code == Some(429) {
            "<text xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\">Throttled</text><resource-limit-exceeded xmlns=\"urn:realtime:errors\"/>"
        } else {
            ""
        };
        let text = render::iq_error(
            request.id,
            request.to,
            request.full,
            &fault.kind,
            &fault.condition,
            fault.code,
            more,
        );
        self.send(request.socket, text);
    }

    /// XEP-0215: the user's relays, and this simulator's stun service unless TURN is forced.
    fn services(&mut self, request: &Request<'_>, iq: &Element, services: &Element) {
        let domain = self.directory.domain.clone();
        self.expect_attribute(request.socket, iq, "to", &domain);
        let spec = self.directory.user(request.user).map(|user| &user.spec);
        let force_turn = spec.is_some_and(|spec| spec.force_turn);
        match services.attribute("type") {
            Some("turn") => {
                let turn = spec.map(|spec| spec.turn.clone()).unwrap_or_default();
                self.succeed(request, &render::turn_services(&turn));
            }
            Some("stun") => {
                let service = (!force_turn).then_some(self.stun);
                self.succeed(request, &render::stun_services(service));
            }
            other => {
                let detail = format!("extdisco services of type {other:?}; turn and stun exist");
                self.violate(Some(request.user), ViolationKind::MissingField, detail);
                self.refuse(request, "modify", "bad-request");
            }
        }
    }

    fn pubsub(&mut self, request: &Request<'_>, pubsub: &Element) {
        let user = Some(request.user);
        let service = request.to.unwrap_or_default();
        if !self.is_notification_service(service) {
            let detail = format!(
                "pubsub to {service:?}; the service is notifications.{} or notifications.{}",
                self.options.environment, self.authority
            );
            self.violate(user, ViolationKind::WrongAddress, detail);
        }
        let Some(verb) = only_child(pubsub).filter(|verb| {
            verb.ns == PUBSUB && matches!(verb.name.as_str(), "subscribe" | "unsubscribe")
        }) else {
            let detail = "pubsub without one <subscribe> or <unsubscribe>";
            self.violate(user, ViolationKind::UnexpectedStanza, detail);
            return self.refuse(request, "modify", "bad-request");
        };
        self.expect_attribute(request.socket, verb, "jid", request.bare);
        let Some(node) = verb.attribute("node").filter(|node| !node.is_empty()) else {
            let detail = format!("<{}> without a node", verb.name);
            self.violate(user, ViolationKind::MissingField, detail);
            return self.refuse(request, "modify", "bad-request");
        };
        let subscribes = verb.name == "subscribe";
        let spec = self.directory.user(request.user).map(|user| &user.spec);
        if node == SERVER_PINGS && spec.is_some_and(|spec| !spec.server_pings) {
            return self.refuse(request, "cancel", "feature-not-implemented");
        }
        if node == SERVER_PINGS {
            let due = subscribes.then(|| self.now + self.options.timing.ping_every);
            if let Some(socket) = self.sockets.get_mut(&request.socket) {
                socket.ping_due = due;
            }
        } else if let Err(reason) = self.change_topic(request, service, node, subscribes) {
            self.violate(
                user,
                ViolationKind::BadBody,
                format!("subscription refused: {reason}"),
            );
            return self.refuse(request, "auth", "forbidden");
        }
        let state = if subscribes { "subscribed" } else { "none" };
        self.succeed(request, &render::subscription(node, request.bare, state));
    }

    /// XMPP subscriptions add to the channel (genesys-protocol 12.6).
    fn change_topic(
        &mut self,
        request: &Request<'_>,
        service: &str,
        node: &str,
        subscribes: bool,
    ) -> Result<(), String> {
        let Some(channel) = self
            .sockets
            .get(&request.socket)
            .map(|one| one.channel.clone())
        else {
            return Ok(());
        };
        if let Some(channel) = self.channels.channel_mut(&channel) {
            channel.service = Some(service.to_owned());
            if !subscribes {
                channel.topics.remove(node);
                return Ok(());
            }
        }
        let wanted = [node.to_owned()];
        let verdicts = self
            .channels
            .subscribe(self.now, &channel, &wanted, false, false);
        match verdicts.into_iter().find_map(|verdict| verdict.refused) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// The service is named after the REST host (genesys-protocol 1.3): the region, or whatever
    /// address this simulator is reached at.
    fn is_notification_service(&self, jid: &str) -> bool {
        let Some(host) = jid.strip_prefix("notifications.") else {
            return false;
        };
        let port = self.authority.rsplit(':').next().unwrap_or_default();
        host == self.options.environment
            || host == self.authority
            || host == format!("localhost:{port}")
            || host == format!("api.{}:{port}", self.options.environment)
    }
}
