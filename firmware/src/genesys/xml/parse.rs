//! Text to [`Element`], with limits: whatever the wire sends costs bounded memory and never panics.

use super::{Element, Node};
use quick_xml::XmlVersion;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Longest stanza taken. The longest real one, a conversation with many participants, is some ten kilobytes.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting taken; Jingle needs 7.
const MAX_DEPTH: usize = 32;
/// Most elements in one stanza; a Jingle offer has about 60.
const MAX_ELEMENTS: usize = 4096;
/// Most attributes of one element; a candidate has 13.
const MAX_ATTRIBUTES: usize = 64;
/// What the prefixes `xml` and `xmlns` stand for: for attributes only, and never a default (Namespaces in XML 1.0,
/// section 3).
const RESERVED: [&str; 2] = [
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

/// Why a text is no stanza. Quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("nested deeper than {MAX_DEPTH} elements")]
    TooDeep,
    #[error("more than {MAX_ELEMENTS} elements")]
    TooManyElements,
    #[error("more than {MAX_ATTRIBUTES} attributes on one element")]
    TooManyAttributes,
    #[error("not well-formed at byte {at}")]
    Malformed { at: u64 },
    #[error("an undeclared namespace prefix")]
    UnknownPrefix,
    #[error(
        "a comment, processing instruction, document type or entity (RFC 6120 11.1 forbids them)"
    )]
    Restricted,
    #[error("an element in one of XML's own namespaces")]
    Reserved,
    #[error("not exactly one element")]
    NotOneElement,
}

/// Reads one stanza (RFC 7395 3.3: one element per message).
pub(crate) fn parse(text: &str) -> Result<Element, XmlError> {
    if text.len() > MAX_BYTES {
        return Err(XmlError::TooLong);
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut builder = Builder::default();
    loop {
        let (namespace, event) = match reader.read_resolved_event() {
            Ok((ResolveResult::Unknown(_), _)) => return Err(XmlError::UnknownPrefix),
            // The reader hands it over as it stands in the text.
            Ok((ResolveResult::Bound(ns), event)) => {
                let Ok(ns) = unescape(ns.0) else {
                    return Err(malformed(&reader));
                };
                if RESERVED.contains(&ns.as_ref()) {
                    return Err(XmlError::Reserved);
                }
                (ns.into_owned(), event)
            }
            Ok((ResolveResult::Unbound, event)) => (String::new(), event),
            Err(_) => return Err(malformed(&reader)),
        };
        match event {
            Event::Start(start) => {
                let element = read_start(&start, namespace)?.ok_or_else(|| malformed(&reader))?;
                builder.open(element)?;
            }
            Event::End(_) => builder.close()?,
            Event::Text(text) => builder.text(&text.xml10_content())?,
            Event::CData(text) => builder.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let text = resolve(&reference).ok_or(XmlError::Restricted)?;
                builder.reference(&text)?;
            }
            Event::Eof => return builder.finish(),
            // RFC 7395 has no declaration, but one harms nothing.
            Event::Decl(_) if builder.is_untouched() => {}
            _ => return Err(XmlError::Restricted),
        }
    }
}

fn malformed(reader: &NsReader<&[u8]>) -> XmlError {
    XmlError::Malformed {
        at: reader.error_position(),
    }
}

/// `None` when the element's name or an attribute is not well-formed.
fn read_start(start: &BytesStart, ns: String) -> Result<Option<Element>, XmlError> {
    if !is_qualified_name(start.name().as_ref()) {
        return Ok(None);
    }
    let mut element = Element {
        name: start.local_name().as_ref().to_owned(),
        ns,
        ..Element::default()
    };
    for (count, attribute) in start.attributes().enumerate() {
        if count >= MAX_ATTRIBUTES {
            return Err(XmlError::TooManyAttributes);
        }
        let Ok(attribute) = attribute else {
            return Ok(None);
        };
        let name: &str = attribute.key.as_ref();
        if !is_qualified_name(name) {
            return Ok(None);
        }
        let wanted = !name.contains(':') && name != "xmlns" || name == "xml:lang";
        let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else {
            return Ok(None);
        };
        if !value.chars().all(is_xml_char) {
            return Ok(None);
        }
        if wanted {
            element
                .attributes
                .push((name.to_owned(), value.into_owned()));
        }
    }
    Ok(Some(element))
}

/// A character reference or one of the five predefined entities (RFC 6120 11.1 allows no other).
fn resolve(reference: &BytesRef) -> Option<String> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => is_xml_char(character).then(|| character.to_string()),
        Ok(None) => resolve_predefined_entity(reference).map(str::to_owned),
        Err(_) => None,
    }
}

/// XML 1.0 section 2.2.
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// `name` or `prefix:name` (Namespaces in XML 1.0, section 4). quick-xml takes anything up to the next blank.
fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text
        .split_once(':')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_name) && is_name(name)
}

/// A name without a colon (XML 1.0 section 2.3).
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}' | '\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '0'..='9' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}')
}

#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    count: usize,
}

impl Builder {
    fn is_untouched(&self) -> bool {
        self.count == 0 && self.root.is_none()
    }

    fn open(&mut self, element: Element) -> Result<(), XmlError> {
        self.count += 1;
        if self.root.is_some() {
            return Err(XmlError::NotOneElement);
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(XmlError::TooDeep);
        }
        if self.count > MAX_ELEMENTS {
            return Err(XmlError::TooManyElements);
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(XmlError::NotOneElement)?;
        match self.open.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        if !text.chars().all(is_xml_char) {
            return Err(XmlError::Restricted);
        }
        match self.open.last_mut() {
            Some(element) => element.push_text(text),
            // White space around the stanza is harmless.
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::NotOneElement),
        }
        Ok(())
    }

    fn reference(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => {
                element.push_text(text);
                Ok(())
            }
            None => Err(XmlError::NotOneElement),
        }
    }

    fn finish(self) -> Result<Element, XmlError> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(XmlError::NotOneElement),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Element, ns};
    use super::{MAX_ATTRIBUTES, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, XmlError, parse};
    use proptest::prelude::*;

    fn parsed(text: &str) -> Element {
        parse(text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    #[test]
    fn namespaces_are_resolved_and_prefixes_forgotten() {
        let features = parsed(
            r#"<stream:features xmlns:stream="http://etherx.jabber.org/streams"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms></stream:features>"#,
        );
        assert!(features.is("features", ns::STREAM));
        assert!(features.attributes.is_empty());
        let mechanisms = features.child("mechanisms", ns::SASL).expect("there");
        let mechanism = mechanisms.child("mechanism", ns::SASL).expect("inherited");
        assert_eq!(mechanism.text(), "PLAIN");
        let lang = parsed(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" xml:lang="en"/>"#);
        assert_eq!(lang.attribute("xml:lang"), Some("en"));
    }

    #[test]
    fn text_references_and_cdata_are_joined() {
        let element = parsed("<a>x&lt;&#x26;&quot;<![CDATA[<y>]]>z</a>");
        assert_eq!(element.text(), "x<&\"<y>z");
        assert_eq!(element.nodes.len(), 1);
        assert_eq!(parsed("<a b='1&amp;&#50;'/>").attribute("b"), Some("1&2"));
    }

    #[test]
    fn what_is_no_stanza() {
        for (text, expected) in [
            ("", XmlError::NotOneElement),
            ("text", XmlError::NotOneElement),
            ("&amp;", XmlError::NotOneElement),
            ("<a/><b/>", XmlError::NotOneElement),
            ("<a>", XmlError::NotOneElement),
            ("<x:a/>", XmlError::UnknownPrefix),
            ("<!-- c --><a/>", XmlError::Restricted),
            ("<a><?pi x?></a>", XmlError::Restricted),
            ("<!DOCTYPE a><a/>", XmlError::Restricted),
            ("<a>&unknown;</a>", XmlError::Restricted),
            ("<a>&#0;</a>", XmlError::Restricted),
            ("<a>&#8;</a>", XmlError::Restricted),
            ("<a>\u{1}</a>", XmlError::Restricted),
            // Taken, these were written again as something that no parser takes.
            ("<a><xml:b/></a>", XmlError::Reserved),
            ("<xmlns:b/>", XmlError::Reserved),
        ] {
            assert_eq!(parse(text).err(), Some(expected), "{text}");
        }
        for text in [
            "<a",
            "<a></b>",
            "<a b=1/>",
            "<a b='1' b='2'/>",
            "<a b='&nope;'/>",
            "<a>&",
            "</a>",
            // Taken, these were written again as something that no parser takes.
            "<x:/a xmlns:x='u'/>",
            "<x:!a xmlns:x='u'/>",
            "<x: xmlns:x='u'/>",
            "<x:a:b xmlns:x='u'/>",
            "<1/>",
            "<a <b='1'/>",
            "<a :b='1'/>",
        ] {
            assert!(
                matches!(parse(text).err(), Some(XmlError::Malformed { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn every_limit_holds() {
        let deep = format!("{}{}", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH));
        assert!(parse(&deep).is_ok());
        let deeper = format!("<a>{deep}</a>");
        assert_eq!(parse(&deeper).err(), Some(XmlError::TooDeep));
        let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        assert!(parse(&wide(MAX_ELEMENTS - 1)).is_ok());
        assert_eq!(
            parse(&wide(MAX_ELEMENTS)).err(),
            Some(XmlError::TooManyElements)
        );
        let many = |count: usize| {
            let list: Vec<String> = (0..count).map(|n| format!("a{n}='x'")).collect();
            format!("<a {}/>", list.join(" "))
        };
        assert!(parse(&many(MAX_ATTRIBUTES)).is_ok());
        assert_eq!(
            parse(&many(MAX_ATTRIBUTES + 1)).err(),
            Some(XmlError::TooManyAttributes)
        );
        let long = format!("<a>{}</a>", "x".repeat(MAX_BYTES));
        assert_eq!(parse(&long).err(), Some(XmlError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_that_looks_like_xml_panics(parts in proptest::collection::vec(
            prop_oneof![
                Just("<".to_owned()), Just(">".to_owned()), Just("</".to_owned()), Just("/>".to_owned()),
                Just("<a".to_owned()), Just("a:b".to_owned()), Just(" xmlns='u'".to_owned()),
                Just(" xmlns:a='u'".to_owned()), Just(" xmlns:xml='u'".to_owned()), Just("&amp;".to_owned()),
                Just("&#".to_owned()), Just(";".to_owned()), Just("<![CDATA[".to_owned()), Just("]]>".to_owned()),
                Just("<!--".to_owned()), Just("<?xml version='1.0'?>".to_owned()), Just("='".to_owned()), ".{0,4}",
            ], 0..24)) {
            let _ = parse(&parts.concat());
        }

        #[test]
        fn what_is_taken_is_read_again_when_written(
            tag in "<(a:)?[a:!?/.1\u{b7}]{1,3} xmlns:a='u[<&\"]?'( [a:\"<1]{1,3}=[\"'][a<&]{0,3}[\"'])?/>",
        ) {
            if let Ok(element) = parse(&tag) {
                let written = element.to_string();
                let again = parse(&written);
                prop_assert!(again.as_ref().ok() == Some(&element), "{tag} {written}");
            }
        }
    }
}
