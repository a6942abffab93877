//! One small tree for a stanza, with namespaces resolved: what the parser makes and the writer takes.

mod parse;
mod write;

pub(crate) use parse::{MAX_BYTES, parse};

/// Namespaces of the wire.
pub(crate) mod ns {
    pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
    pub const STREAM: &str = "http://etherx.jabber.org/streams";
    pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
    pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
    pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
    pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    pub const CLIENT: &str = "jabber:client";
    pub const PING: &str = "urn:xmpp:ping";
    pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
    pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
    pub const EXTDISCO: &str = "urn:xmpp:extdisco:1";
    pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
    pub const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
    pub const JSON: &str = "urn:xmpp:json:0";
    pub const TRANSFER: &str = "urn:xmpp:cxfr";
    pub const GENESYS: &str = "genesys";
    pub const JINGLE_MESSAGE: &str = "urn:xmpp:jingle-message:0";
    pub const JINGLE: &str = "urn:xmpp:jingle:1";
    pub const JINGLE_ERRORS: &str = "urn:xmpp:jingle:errors:1";
    pub const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
    pub const RTP_INFO: &str = "urn:xmpp:jingle:apps:rtp:info:1";
    pub const RTCP_FB: &str = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
    pub const RTP_HDREXT: &str = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
    pub const SSMA: &str = "urn:xmpp:jingle:apps:rtp:ssma:0";
    pub const MSID: &str = "urn:xmpp:jingle:apps:rtp:msid:0";
    pub const ICE_UDP: &str = "urn:xmpp:jingle:transports:ice-udp:1";
    pub const DTLS: &str = "urn:xmpp:jingle:apps:dtls:0";
    pub const GROUPING: &str = "urn:xmpp:jingle:apps:grouping:0";
}

/// An element. It has no `Debug`: stanzas hold numbers, names and the token (see [`Element::summary`]).
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Element {
    /// Local name.
    pub name: String,
    /// Namespace; empty for none.
    pub ns: String,
    /// Without namespace declarations. Only `xml:lang` keeps its prefix; attributes of other namespaces are
    /// dropped, since nothing on this wire has any.
    pub attributes: Vec<(String, String)>,
    /// Children and text, in order.
    pub nodes: Vec<Node>,
}

/// What is inside an element.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Node {
    Element(Element),
    /// Never empty, and never beside another text.
    Text(String),
}

impl Element {
    pub(crate) fn new(name: &str, ns: &str) -> Self {
        Self {
            name: name.to_owned(),
            ns: ns.to_owned(),
            ..Self::default()
        }
    }

    /// With one more attribute, or a new value for it.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// With one more attribute where there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    #[must_use]
    pub(crate) fn with_child(mut self, child: Element) -> Self {
        self.nodes.push(Node::Element(child));
        self
    }

    #[must_use]
    pub(crate) fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    #[must_use]
    pub(crate) fn with_text(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((name.to_owned(), value.into())),
        }
    }

    pub(crate) fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    pub(crate) fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// An attribute; an empty one counts as absent, as it does in the SDK.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(crate) fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.elements().find(|child| child.is(name, ns))
    }

    pub(crate) fn children<'a>(
        &'a self,
        name: &'a str,
        ns: &'a str,
    ) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |child| child.is(name, ns))
    }

    /// The direct text, without that of children.
    pub(crate) fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// For the log: what it is, without addresses and content, which may be private.
    pub(crate) fn summary(&self) -> String {
        let mut text = self.name.clone();
        for name in ["type", "id"] {
            if let Some(value) = self.attribute(name) {
                text.push(' ');
                text.extend(value.chars().take(64));
            }
        }
        for child in self.elements().take(3) {
            text.push_str(" <");
            text.push_str(&child.name);
            if let Some(action) = child.attribute("action") {
                text.push(' ');
                text.extend(action.chars().take(32));
            }
            text.push('>');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Element, ns, parse};

    #[test]
    fn a_summary_holds_no_address_and_no_content() {
        let stanza = parse(
            r#"<iq xmlns="jabber:client" type="set" id="o1" from="+13175550100@acme.gjoll.test" to="me@acme">
               <jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" initiator="+13175550100"/></iq>"#,
        )
        .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(stanza.summary(), "iq set o1 <jingle session-initiate>");
    }

    #[test]
    fn an_empty_attribute_counts_as_absent() {
        let iq = Element::new("iq", ns::CLIENT).with("from", "");
        assert_eq!(iq.attribute("from"), None);
    }
}
