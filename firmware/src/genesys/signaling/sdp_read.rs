//! An SDP answer to Jingle contents, nested as the SDK's library (stanza) nests them (genesys-protocol 5.4).

use super::candidate;
use crate::genesys::xml::{Element, ns};

/// What a `session-accept` needs of an answer.
#[derive(Clone, PartialEq)]
pub(super) struct JingleAnswer {
    /// Accepted contents.
    pub contents: Vec<Element>,
    /// `<group>`, if the answer bundles.
    pub group: Option<Element>,
    /// Names of the contents.
    pub mids: Vec<String>,
    /// Own `ufrag` and `pwd`.
    pub ice: Option<(String, String)>,
}

/// The first `a=mid` of an SDP.
pub(super) fn first_mid(sdp: &str) -> Option<&str> {
    sdp.lines()
        .find_map(|line| line.trim_end().strip_prefix("a=mid:"))
        .map(str::trim)
        .filter(|mid| !mid.is_empty())
}

/// Reads the answer of our own media stack. Rejected media sections are left out.
pub(super) fn answer(sdp: &str, ipv6: bool) -> JingleAnswer {
    let mut parts = split(sdp).into_iter();
    let session = parts.next().unwrap_or_default();
    let sections: Vec<Section> = parts
        .filter_map(|lines| Section::new(&session, lines))
        .collect();
    let group = session
        .iter()
        .find_map(|line| line.strip_prefix("a=group:"))
        .map(group_element);
    JingleAnswer {
        contents: sections.iter().map(|s| s.content(ipv6)).collect(),
        group,
        mids: sections.iter().map(|s| s.mid().to_owned()).collect(),
        ice: sections.first().and_then(Section::ice),
    }
}

/// The session part first, then one part for each media section.
fn split(sdp: &str) -> Vec<Vec<&str>> {
    let mut parts = vec![Vec::new()];
    for line in sdp.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
        if line.starts_with("m=") {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts
}

fn group_element(value: &str) -> Element {
    let mut words = value.split_whitespace();
    Element::new("group", ns::GROUPING)
        .with("semantics", words.next().unwrap_or("BUNDLE"))
        .with_children(words.map(|name| Element::new("content", ns::GROUPING).with("name", name)))
}

struct Section<'a> {
    session: &'a [&'a str],
    lines: Vec<&'a str>,
    media: &'a str,
    formats: Vec<&'a str>,
}

impl<'a> Section<'a> {
    fn new(session: &'a [&'a str], lines: Vec<&'a str>) -> Option<Self> {
        let mut words = lines.first()?.strip_prefix("m=")?.split_whitespace();
        let media = words.next()?;
        let port = words.next()?;
        let formats = words.skip(1).collect();
        (port != "0").then_some(Self {
            session,
            lines,
            media,
            formats,
        })
    }

    /// Values of `a=NAME:VALUE`.
    fn values(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .filter_map(move |line| attribute(line, name))
    }

    /// Of this section, else of the session.
    fn value(&self, name: &'a str) -> Option<&'a str> {
        let of_session = || self.session.iter().find_map(|line| attribute(line, name));
        self.values(name).next().or_else(of_session)
    }

    fn has(&self, flag: &str) -> bool {
        let wanted = |line: &&str| line.strip_prefix("a=") == Some(flag);
        self.lines.iter().any(wanted)
    }

    fn mid(&self) -> &'a str {
        self.value("mid").map_or(self.media, str::trim)
    }

    fn ice(&self) -> Option<(String, String)> {
        let value = |name| self.value(name).map(|v| v.trim().to_owned());
        Some((value("ice-ufrag")?, value("ice-pwd")?))
    }

    fn content(&self, ipv6: bool) -> Element {
        // The answer is the responder's view.
        let senders = if self.has("sendonly") {
            Some("responder")
        } else if self.has("recvonly") {
            Some("initiator")
        } else if self.has("inactive") {
            Some("none")
        } else {
            None
        };
        Element::new("content", ns::JINGLE)
            .with("creator", "initiator")
            .with("name", self.mid())
            .with_some("senders", senders)
            .with_child(self.description())
            .with_child(self.transport(ipv6))
    }

    fn description(&self) -> Element {
        let ssrc = self
            .values("ssrc")
            .find_map(|v| v.split_whitespace().next());
        let flag =
            |name: &str, element: &str| self.has(name).then(|| Element::new(element, ns::RTP));
        Element::new("description", ns::RTP)
            .with("media", self.media)
            .with_some("ssrc", ssrc)
            .with_children(flag("rtcp-mux", "rtcp-mux"))
            .with_children(flag("rtcp-rsize", "rtcp-reduced-size"))
            .with_children(self.formats.iter().filter_map(|id| self.payload(id)))
            .with_children(self.feedback("*"))
            .with_children(self.values("extmap").filter_map(extension))
            .with_children(self.sources())
            .with_children(self.values("msid").next().and_then(stream))
    }

    fn payload(&self, id: &str) -> Option<Element> {
        let of_payload = |value: &'a str| {
            let (known, rest) = value.split_once(' ')?;
            (known == id).then_some(rest.trim())
        };
        let (name, clock, channels) = match self.values("rtpmap").find_map(of_payload) {
            Some(map) => {
                let mut words = map.split('/');
                (words.next()?, words.next()?, words.next().unwrap_or("1"))
            }
            // Static payload types need no rtpmap (RFC 3551 table 4).
            None => match id {
                "0" => ("PCMU", "8000", "1"),
                "8" => ("PCMA", "8000", "1"),
                _ => return None,
            },
        };
        let parameters = self
            .values("fmtp")
            .filter_map(of_payload)
            .flat_map(|list| list.split(';'))
            .map(str::trim)
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| {
                let element = Element::new("parameter", ns::RTP);
                match parameter.split_once('=') {
                    Some((name, value)) => element.with("name", name).with("value", value),
                    None => element.with("name", parameter),
                }
            });
        Some(
            Element::new("payload-type", ns::RTP)
                .with("channels", channels)
                .with("clockrate", clock)
                .with("id", id)
                .with("name", name)
                .with_children(parameters)
                .with_children(self.feedback(id)),
        )
    }

    fn feedback(&self, id: &str) -> Vec<Element> {
        self.values("rtcp-fb")
            .filter_map(|value| {
                let mut words = value.split_whitespace();
                if words.next()? != id {
                    return None;
                }
                let element = Element::new("rtcp-fb", ns::RTCP_FB).with("type", words.next()?);
                Some(element.with_some("subtype", words.next()))
            })
            .collect()
    }

    fn sources(&self) -> Vec<Element> {
        let mut sources: Vec<Element> = Vec::new();
        for value in self.values("ssrc") {
            let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
            let known = sources
                .iter()
                .position(|s| s.attribute("ssrc") == Some(ssrc));
            let at = known.unwrap_or_else(|| {
                sources.push(Element::new("source", ns::SSMA).with("ssrc", ssrc));
                sources.len() - 1
            });
            let (name, value) = match attribute.split_once(':') {
                Some((name, value)) => (name, Some(value)),
                None => (attribute, None),
            };
            if !name.is_empty() {
                let parameter = Element::new("parameter", ns::SSMA)
                    .with("name", name)
                    .with_some("value", value);
                let source = std::mem::take(&mut sources[at]);
                sources[at] = source.with_child(parameter);
            }
        }
        sources
    }

    fn transport(&self, ipv6: bool) -> Element {
        let (ufrag, pwd) = self.ice().unzip();
        let setup = self.value("setup").map(str::trim);
        let fingerprint = self.value("fingerprint").and_then(|value| {
            let (hash, value) = value.split_once(' ')?;
            let element = Element::new("fingerprint", ns::DTLS).with("hash", hash);
            Some(element.with_some("setup", setup).with_text(value.trim()))
        });
        let candidates = self
            .lines
            .iter()
            .filter_map(|line| line.strip_prefix("a="))
            .filter(|line| line.starts_with("candidate:") && candidate::may_be_sent(line, ipv6))
            .filter_map(candidate::to_jingle);
        Element::new("transport", ns::ICE_UDP)
            .with_some("ufrag", ufrag)
            .with_some("pwd", pwd)
            .with_children(fingerprint)
            .with_children(candidates)
    }
}

/// `ID[/DIRECTION] URI`, seen from the responder.
fn extension(value: &str) -> Option<Element> {
    let mut words = value.split_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, direction)) => (id, Some(direction)),
        None => return extension_element(value, None),
    };
    let senders = match direction {
        Some("sendonly") => Some("responder"),
        Some("recvonly") => Some("initiator"),
        Some("inactive") => Some("none"),
        _ => None,
    };
    extension_element(&format!("{id} {}", words.next()?), senders)
}

fn extension_element(value: &str, senders: Option<&str>) -> Option<Element> {
    let mut words = value.split_whitespace();
    Some(
        Element::new("rtp-hdrext", ns::RTP_HDREXT)
            .with("id", words.next()?)
            .with("uri", words.next()?)
            .with_some("senders", senders),
    )
}

fn stream(value: &str) -> Option<Element> {
    let mut words = value.split_whitespace();
    Some(
        Element::new("stream", ns::MSID)
            .with("id", words.next()?)
            .with_some("track", words.next()),
    )
}

fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.strip_prefix("a=")?
        .strip_prefix(name)?
        .strip_prefix(':')
}

#[cfg(test)]
#[path = "sdp_read_tests.rs"]
mod tests;
