//! From the first `<open>` to the bound resource (genesys-protocol 3.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::{BIND, CLIENT, FRAMING, Phase, SASL, render};
use crate::journal::ViolationKind;
use crate::world::World;
use crate::xml::Element;

impl World {
    pub(super) fn negotiate(&mut self, id: u64, element: &Element) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        match socket.phase {
            Phase::Opening | Phase::Reopening => self.stream_open(id, element),
            Phase::Authenticating => self.authenticate(id, element),
            Phase::Binding | Phase::Bound | Phase::Closing => {}
        }
    }

    fn stream_open(&mut self, id: u64, element: &Element) {
        if !element.is("open", FRAMING) {
            self.wrong(id, element, "open", FRAMING);
            return self.stream_error(id, "invalid-namespace");
        }
        let domain = self.directory.domain.clone();
        self.expect_attribute(id, element, "to", &domain);
        self.expect_attribute(id, element, "version", "1.0");
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let authenticated = socket.phase == Phase::Reopening;
        socket.phase = if authenticated {
            Phase::Binding
        } else {
            Phase::Authenticating
        };
        let stream = Uuid::new_v4().to_string();
        socket.stream.clone_from(&stream);
        self.send(id, render::open(&domain, &stream));
        let features = if authenticated {
            render::bind_features()
        } else {
            render::sasl_features()
        };
        self.send(id, features);
    }

    fn authenticate(&mut self, id: u64, element: &Element) {
        if !element.is("auth", SASL) {
            self.wrong(id, element, "auth", SASL);
            return self.stream_error(id, "policy-violation");
        }
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let user = socket.user.clone();
        if element.attribute("mechanism") != Some("PLAIN") {
            self.violate(
                Some(&user),
                ViolationKind::UnexpectedStanza,
                format!(
                    "SASL mechanism {:?}; PLAIN was offered",
                    element.attribute("mechanism")
                ),
            );
            return self.send(id, render::sasl_failure("invalid-mechanism"));
        }
        let (bare, secret) = match plain(&element.text) {
            Ok(credentials) => credentials,
            Err(why) => {
                self.violate(
                    Some(&user),
                    ViolationKind::MalformedFrame,
                    format!("SASL: {why}"),
                );
                return self.send(id, render::sasl_failure("malformed-request"));
            }
        };
        if let Some(condition) = self.faults.sasl(&user) {
            return self.send(id, render::sasl_failure(&condition));
        }
        let authentic = self
            .directory
            .bearer(self.now, &secret)
            .is_ok_and(|found| found.id == user && found.bare == bare);
        if authentic {
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.phase = Phase::Reopening;
            }
            self.send(id, render::success());
        } else {
            // A wrong token is no broken rule: the phone has to cope with it.
            self.send(id, render::sasl_failure("not-authorized"));
        }
    }

    /// `<bind>`: the resource the client wants, or the one it had (genesys-protocol 12.7).
    pub(super) fn bind(&mut self, id: u64, request: &str, bind: &Element) {
        let Some(socket) = self.sockets.get(&id) else {
            return;
        };
        let (user, channel) = (socket.user.clone(), socket.channel.clone());
        if socket.phase != Phase::Binding {
            return self.unexpected(id, bind, "a resource is bound already");
        }
        let wanted = bind
            .child("resource", BIND)
            .map(|resource| resource.text.trim().to_owned());
        let wanted = wanted.filter(|resource| !resource.is_empty());
        let chosen_here = wanted.is_none();
        let resource = wanted.unwrap_or_else(|| {
            let known = self.channels.channel(self.now, &channel);
            known
                .and_then(|channel| channel.resource.clone())
                .or_else(|| self.free_resource(&user))
                .unwrap_or_else(|| Uuid::new_v4().to_string())
        });
        let Some(found) = self.directory.user_mut(&user) else {
            return;
        };
        let bare = found.bare.clone();
        let full = format!("{bare}/{resource}");
        if chosen_here {
            found.last_resource = Some(resource.clone());
        }
        if let Some(channel) = self.channels.channel_mut(&channel) {
            channel.resource = Some(resource);
        }
        let older: Vec<u64> = self
            .sockets
            .values()
            .filter(|other| other.id != id && other.channel == channel)
            .map(|other| other.id)
            .collect();
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.phase = Phase::Bound;
            socket.full = Some(full.clone());
        }
        self.send(id, render::bound(request, &bare, &full));
        for other in older {
            self.system_node(other, "no_longer_subscribed");
            self.hang_up(other);
        }
    }

    /// The resource this server last chose for a client of the user, unless another client has
    /// it now.
    fn free_resource(&self, user: &str) -> Option<String> {
        let resource = self.directory.user(user)?.last_resource.clone()?;
        let taken = self.sockets.values().any(|socket| {
            let full = socket.full.as_deref();
            socket.user == user && full.is_some_and(|full| full.ends_with(&format!("/{resource}")))
        });
        (!taken).then_some(resource)
    }

    fn wrong(&mut self, id: u64, element: &Element, name: &str, ns: &str) {
        let user = self.sockets.get(&id).map(|socket| socket.user.clone());
        let what = if element.name == name {
            ViolationKind::WrongNamespace
        } else {
            ViolationKind::UnexpectedStanza
        };
        self.violate(
            user.as_deref(),
            what,
            format!(
                "<{} xmlns={:?}> where <{name} xmlns={ns:?}> is due",
                element.name, element.ns
            ),
        );
    }

    /// Records when an attribute is missing or another than it must be.
    pub(super) fn expect_attribute(
        &mut self,
        id: u64,
        element: &Element,
        name: &str,
        value: &str,
    ) -> bool {
        let user = self.sockets.get(&id).map(|socket| socket.user.clone());
        let what = match element.attribute(name) {
            Some(found) if found == value => return true,
            Some(_) => ViolationKind::WrongAddress,
            None => ViolationKind::MissingField,
        };
        let found = element.attribute(name).unwrap_or("nothing");
        self.violate(
            user.as_deref(),
            what,
            format!(
                "{name} of <{}> is {found:?} and must be {value:?}",
                element.name
            ),
        );
        false
    }
}

/// `NUL BARE NUL authKey:TOKEN` in base64, as bare JID and token.
fn plain(text: &str) -> Result<(String, String), String> {
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|error| format!("no base64: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "no UTF-8".to_owned())?;
    let parts: Vec<&str> = text.split('\0').collect();
    match parts[..] {
        ["", bare, password] => match password.strip_prefix("authKey:") {
            Some(token) => Ok((bare.to_owned(), token.to_owned())),
            None => Err("the password does not begin with \"authKey:\"".into()),
        },
        [_, _, _] => Err("the authorization identity must be empty".into()),
        _ => Err(format!("{} parts between NULs, not 3", parts.len())),
    }
}

/// The element's one child, if there is exactly one.
pub(super) fn only_child(element: &Element) -> Option<&Element> {
    match &element.children[..] {
        [child] => Some(child),
        _ => None,
    }
}

/// Whether a stanza is in the client namespace and has an id.
pub(super) fn request_id(element: &Element) -> Option<&str> {
    (element.ns == CLIENT)
        .then(|| element.attribute("id"))
        .flatten()
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_credentials() {
        let encode = |text: &str| STANDARD.encode(text);
        let good = plain(&encode("\0u@org\0authKey:T")).unwrap();
        assert_eq!(good, ("u@org".into(), "T".into()));
        for (text, says) in [
            (encode("x\0u@org\0authKey:T"), "must be empty"),
            (encode("\0u@org\0T"), "authKey"),
            (encode("u@org"), "1 parts"),
            ("!!".into(), "base64"),
            (STANDARD.encode([0xff, 0xfe]), "UTF-8"),
        ] {
            let error = plain(&text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
