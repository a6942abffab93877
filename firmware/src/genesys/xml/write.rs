//! [`Element`] to text, escaped.

use super::parse::is_xml_char;
use super::{Element, Node};
use std::fmt::{self, Write};

/// Writes the stanza. Namespaces are declared as defaults where they change.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_element(f, self, "")
    }
}

fn write_element(f: &mut impl Write, element: &Element, inherited_ns: &str) -> fmt::Result {
    write!(f, "<{}", element.name)?;
    if element.ns != inherited_ns {
        f.write_str(" xmlns=\"")?;
        escape_attribute(f, &element.ns)?;
        f.write_char('"')?;
    }
    for (name, value) in &element.attributes {
        write!(f, " {name}=\"")?;
        escape_attribute(f, value)?;
        f.write_char('"')?;
    }
    if element.nodes.is_empty() {
        return f.write_str("/>");
    }
    f.write_char('>')?;
    for node in &element.nodes {
        match node {
            Node::Element(child) => write_element(f, child, &element.ns)?,
            Node::Text(text) => text.chars().try_for_each(|c| escape(f, c))?,
        }
    }
    write!(f, "</{}>", element.name)
}

/// White space other than the blank is written as a reference: a parser turns it into blanks (XML 1.0 3.3.3).
fn escape_attribute(f: &mut impl Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '"' => f.write_str("&quot;"),
        '\t' => f.write_str("&#x9;"),
        '\n' => f.write_str("&#xA;"),
        c => escape(f, c),
    })
}

/// CR is written as a reference, since a parser turns it into LF (XML 1.0 2.11). Characters that XML cannot carry
/// become U+FFFD.
fn escape(f: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '&' => f.write_str("&amp;"),
        '\r' => f.write_str("&#xD;"),
        c if is_xml_char(c) => f.write_char(c),
        _ => f.write_char(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Element, Node, ns, parse};
    use proptest::prelude::*;

    #[test]
    fn the_first_stanza_of_every_connection() {
        let open = Element::new("open", ns::FRAMING)
            .with("xml:lang", "en")
            .with("to", "acme-1.orgspan.com")
            .with("version", "1.0");
        assert_eq!(
            open.to_string(),
            r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" xml:lang="en" to="acme-1.orgspan.com" version="1.0"/>"#
        );
    }

    #[test]
    fn a_namespace_is_declared_where_it_changes() {
        let iq = Element::new("iq", ns::CLIENT).with_child(
            Element::new("bind", ns::BIND)
                .with_child(Element::new("resource", ns::BIND).with_text("a<b>&\"'\r\n")),
        );
        assert_eq!(
            iq.to_string(),
            "<iq xmlns=\"jabber:client\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"><resource>a&lt;b&gt;&amp;\"'&#xD;\n</resource></bind></iq>"
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        assert_eq!(
            Element::new("a", "")
                .with_text("\u{0}\u{fffe}x")
                .to_string(),
            "<a>\u{fffd}\u{fffd}x</a>"
        );
    }

    fn element() -> impl Strategy<Value = Element> {
        let name = "[a-z][a-z0-9-]{0,6}";
        let namespace = prop_oneof![Just(String::new()), "[a-z:/#.]{1,8}"];
        let text = "[ -~\t\n\r\u{80}-\u{d7ff}]{0,12}";
        let leaf = (
            name,
            namespace,
            proptest::collection::btree_map(name, text, 0..4),
            text,
        )
            .prop_map(|(name, ns, attributes, text)| {
                let mut element = Element::new(&name, &ns);
                for (name, value) in attributes {
                    if name != "xmlns" {
                        element.set(&name, value);
                    }
                }
                element.with_text(&text)
            });
        leaf.prop_recursive(4, 24, 4, |inner| {
            (inner.clone(), proptest::collection::vec(inner, 0..4)).prop_map(
                |(mut parent, children)| {
                    parent.nodes.extend(children.into_iter().map(Node::Element));
                    parent
                },
            )
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(element in element()) {
            let text = element.to_string();
            let again = parse(&text);
            prop_assert!(again.as_ref().ok() == Some(&element), "{text}");
        }
    }
}
