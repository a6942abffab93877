//! One XML element as a small tree with resolved namespaces: all that RFC 7395 frames need.

use std::borrow::Cow;
use std::fmt::Write as _;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use thiserror::Error;

/// Deepest nesting read; a `session-accept` has six levels.
const MAX_DEPTH: usize = 32;

/// Why a text is not one XML element.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The text is not well-formed.
    #[error("not well-formed XML: {0}")]
    Syntax(String),
    /// Something XMPP forbids: a comment, a processing instruction, a DTD (RFC 6120 section 11.1).
    #[error("{0} is not allowed in XMPP")]
    Forbidden(&'static str),
    /// There is not exactly one element (RFC 7395 section 3.3).
    #[error("a frame holds exactly one element, this one has {0}")]
    NotOneElement(&'static str),
    /// A prefix without a declaration.
    #[error("the prefix {0:?} is not bound to a namespace")]
    UnboundPrefix(String),
}

/// An element: local name, namespace, attributes, text and children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Namespace, empty if there is none.
    pub ns: String,
    /// Attributes by their names as written, without the namespace declarations.
    pub attributes: Vec<(String, String)>,
    /// Text directly inside, joined.
    pub text: String,
    /// Child elements, in order.
    pub children: Vec<Element>,
    /// The element's own XML text, kept for the direct children of the root only.
    pub raw: String,
}

impl Element {
    /// Reads a text that holds exactly one element.
    ///
    /// # Errors
    /// [`XmlError`], which says what is wrong.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = NsReader::from_str(text);
        let mut open: Vec<(Element, usize)> = Vec::new();
        let mut root: Option<Element> = None;
        loop {
            let start = position(&reader);
            let (ns, event) = reader
                .read_resolved_event()
                .map_err(|error| XmlError::Syntax(error.to_string()))?;
            let ns = match ns {
                ResolveResult::Bound(ns) => Some(ns.0.to_owned()),
                ResolveResult::Unbound => Some(String::new()),
                ResolveResult::Unknown(prefix) => {
                    if matches!(event, Event::Start(_) | Event::Empty(_)) {
                        return Err(XmlError::UnboundPrefix(prefix));
                    }
                    None
                }
            };
            match event {
                Event::Start(tag) | Event::Empty(tag) if root.is_some() && open.is_empty() => {
                    drop(tag);
                    return Err(XmlError::NotOneElement("more than one"));
                }
                Event::Start(tag) => {
                    if open.len() == MAX_DEPTH {
                        return Err(XmlError::Syntax(format!("deeper than {MAX_DEPTH} levels")));
                    }
                    let element = begin(&tag, ns.unwrap_or_default())?;
                    open.push((element, start));
                }
                Event::Empty(tag) => {
                    let element = begin(&tag, ns.unwrap_or_default())?;
                    let raw = &text[start..position(&reader)];
                    close(element, raw, &mut open, &mut root);
                }
                Event::End(_) => {
                    let Some((element, begun)) = open.pop() else {
                        return Err(XmlError::Syntax("an end tag too many".into()));
                    };
                    let raw = &text[begun..position(&reader)];
                    close(element, raw, &mut open, &mut root);
                }
                Event::Text(piece) => {
                    let piece = piece.xml_content(XmlVersion::Implicit1_0);
                    add_text(&piece, &mut open)?;
                }
                Event::CData(piece) => add_text(&piece.into_inner(), &mut open)?,
                Event::GeneralRef(reference) => {
                    let character = reference
                        .resolve_char_ref()
                        .map_err(|error| XmlError::Syntax(error.to_string()))?;
                    let name = reference.into_inner();
                    let piece = match character {
                        Some(character) => Cow::Owned(character.to_string()),
                        None => Cow::Borrowed(resolve_xml_entity(&name).ok_or_else(|| {
                            XmlError::Syntax(format!("the entity &{name}; is not known"))
                        })?),
                    };
                    add_text(&piece, &mut open)?;
                }
                Event::Comment(_) => return Err(XmlError::Forbidden("a comment")),
                Event::PI(_) => return Err(XmlError::Forbidden("a processing instruction")),
                Event::DocType(_) => return Err(XmlError::Forbidden("a document type")),
                Event::Decl(_) => return Err(XmlError::Forbidden("an XML declaration in a frame")),
                Event::Eof => break,
            }
        }
        if !open.is_empty() {
            return Err(XmlError::Syntax("an element is not closed".into()));
        }
        root.ok_or(XmlError::NotOneElement("none"))
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Whether this is that element of that namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The first child of that name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(name, ns))
    }
}

/// Text made safe for element content and attribute values.
pub fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

/// Writes ` name="value"` pairs with escaped values, leaving out those without one.
pub fn attributes(pairs: &[(&str, Option<&str>)]) -> String {
    pairs.iter().fold(String::new(), |mut text, (name, value)| {
        if let Some(value) = value {
            let _ = write!(text, " {name}=\"{}\"", escape(value));
        }
        text
    })
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    reader.buffer_position() as usize
}

fn begin(tag: &BytesStart<'_>, ns: String) -> Result<Element, XmlError> {
    let mut element = Element {
        name: tag.local_name().as_ref().to_owned(),
        ns,
        ..Element::default()
    };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| XmlError::Syntax(error.to_string()))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| XmlError::Syntax(error.to_string()))?;
        element
            .attributes
            .push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(element)
}

fn close(
    mut element: Element,
    raw: &str,
    open: &mut [(Element, usize)],
    root: &mut Option<Element>,
) {
    if open.len() == 1 {
        raw.clone_into(&mut element.raw);
    }
    match open.last_mut() {
        Some((parent, _)) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn add_text(piece: &str, open: &mut [(Element, usize)]) -> Result<(), XmlError> {
    match open.last_mut() {
        Some((parent, _)) => parent.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err(XmlError::NotOneElement("text beside it")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_namespaces_attributes_and_escaped_text() {
        let iq = Element::parse(
            r#"<iq xmlns="jabber:client" id="1" type="set" to="a&amp;b"><genesys-webrtc xmlns="genesys">{"a":"&lt;b&gt; &#x41;&quot;"}</genesys-webrtc></iq>"#,
        )
        .unwrap();
        assert!(iq.is("iq", "jabber:client"));
        assert_eq!(iq.attribute("to"), Some("a&b"));
        let child = iq.child("genesys-webrtc", "genesys").unwrap();
        assert_eq!(child.text, r#"{"a":"<b> A""}"#);
        assert!(child.raw.starts_with("<genesys-webrtc") && child.raw.ends_with("webrtc>"));
    }

    #[test]
    fn resolves_prefixes() {
        let features = Element::parse(
            r#"<stream:error xmlns:stream="http://etherx.jabber.org/streams"><x xmlns="y"/></stream:error>"#,
        )
        .unwrap();
        assert!(features.is("error", "http://etherx.jabber.org/streams"));
        assert_eq!(features.children[0].raw, r#"<x xmlns="y"/>"#);
    }

    #[test]
    fn refuses_what_is_not_one_element() {
        for (text, says) in [
            ("", "none"),
            ("<a/><b/>", "more than one"),
            ("<a/>text", "text beside"),
            ("<a><b></a>", "not well-formed"),
            ("<a>", "not well-formed"),
            ("</a>", "not well-formed"),
            ("<a>&nbsp;</a>", "nbsp"),
            ("<p:a/>", "prefix"),
            ("<!-- x --><a/>", "comment"),
            ("<?xml version='1.0'?><a/>", "declaration"),
            ("<!DOCTYPE a><a/>", "document type"),
            ("<a b=1/>", "not well-formed"),
            ("not xml", "text beside"),
        ] {
            let error = Element::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let deep = "<a>".repeat(MAX_DEPTH + 1);
        assert!(
            Element::parse(&deep)
                .unwrap_err()
                .to_string()
                .contains("deeper")
        );
    }
}
