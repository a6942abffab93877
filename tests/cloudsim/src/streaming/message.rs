//! Client messages: proceed, accept, reject, and what is relayed to the user's other clients.

use super::{CLIENT, GENESYS, JINGLE_MESSAGE};
use crate::engine::{Signal, SignalKind};
use crate::journal::ViolationKind;
use crate::world::World;
use crate::xml::{Element, attributes};

impl World {
    pub(super) fn message(&mut self, socket: u64, element: &Element) {
        let Some(found) = self.sockets.get(&socket) else {
            return;
        };
        let (user, Some(full)) = (found.user.clone(), found.full.clone()) else {
            return;
        };
        let Some(bare) = self.directory.user(&user).map(|user| user.bare.clone()) else {
            return;
        };
        let Some(to) = element.attribute("to").map(str::to_owned) else {
            let detail = "a message without to";
            return self.violate(Some(&user), ViolationKind::MissingField, detail);
        };
        if let Some(from) = element.attribute("from")
            && from != full
        {
            let detail = format!("a message from {from:?}; this connection is {full:?}");
            self.violate(Some(&user), ViolationKind::WrongAddress, detail);
        }
        let Some(child) = super::negotiate::only_child(element) else {
            return self.unexpected(socket, element, "a message has one child here");
        };
        let kind = match (child.name.as_str(), child.ns.as_str()) {
            ("media-message", GENESYS) => {
                if to != bare {
                    let detail = format!("a media-message to {to:?}; it goes to {bare:?}");
                    self.violate(Some(&user), ViolationKind::WrongAddress, detail);
                }
                return self.relay(&user, &full, &bare, element.attribute("id"), child);
            }
            ("proceed", JINGLE_MESSAGE) => SignalKind::Proceed,
            ("accept", JINGLE_MESSAGE) => SignalKind::Accept,
            ("reject", JINGLE_MESSAGE) => SignalKind::Reject,
            ("proceed" | "accept" | "reject", ns) => {
                let detail = format!("<{}> in {ns:?}, not {JINGLE_MESSAGE:?}", child.name);
                return self.violate(Some(&user), ViolationKind::WrongNamespace, detail);
            }
            _ => return self.unexpected(socket, child, "in a message"),
        };
        let Some(session) = child.attribute("id").filter(|id| !id.is_empty()) else {
            let detail = format!("<{}> without an id", child.name);
            return self.violate(Some(&user), ViolationKind::MissingField, detail);
        };
        if kind == SignalKind::Accept && to != bare {
            let detail = format!("<accept> to {to:?}; it goes to the own bare JID {bare:?}");
            self.violate(Some(&user), ViolationKind::WrongAddress, detail);
        }
        let signal = Signal {
            user: user.clone(),
            from: full.clone(),
            to: to.clone(),
            session: session.to_owned(),
            kind,
        };
        self.engine.signal(self.now, signal);
        if to == bare {
            self.relay(&user, &full, &bare, element.attribute("id"), child);
        }
    }

    /// What goes to the bare JID reaches every resource, the sender's too (genesys-protocol 12.8).
    fn relay(&mut self, user: &str, full: &str, bare: &str, id: Option<&str>, child: &Element) {
        let head = attributes(&[("from", Some(full)), ("to", Some(bare)), ("id", id)]);
        let text = format!("<message xmlns=\"{CLIENT}\"{head}>{}</message>", child.raw);
        let spec = self.directory.user(user).map(|user| &user.spec);
        let echo = spec.is_none_or(|spec| spec.echo);
        let sockets: Vec<u64> = self
            .sockets
            .values()
            .filter(|socket| socket.user == user && socket.full.is_some())
            .filter(|socket| echo || socket.full.as_deref() != Some(full))
            .map(|socket| socket.id)
            .collect();
        for socket in sockets {
            self.send(socket, text.clone());
        }
    }
}
