//! Jingle contents to an SDP offer (XEP-0167, XEP-0176, XEP-0320, XEP-0293, XEP-0294, XEP-0338, XEP-0339).
//!
//! Every value from the wire is checked before it becomes part of a line: none can smuggle in a line of its own.

use super::{Malformed, candidate};
use crate::genesys::xml::{Element, ns};
use std::fmt::Write;

/// Longest value taken; a fingerprint has 95 characters.
const MAX_VALUE: usize = 512;

/// An offer made of `<jingle action="session-initiate">`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JingleOffer {
    /// Audio contents only: a phone has no other. None left means an SDP without media.
    pub sdp: String,
    /// `ufrag` and `pwd` of the first content.
    pub ice: Option<(String, String)>,
}

/// One word that may stand in an SDP line.
pub(super) fn token(value: &str) -> Result<&str, Malformed> {
    let fits = !value.is_empty() && value.len() <= MAX_VALUE;
    if fits && value.chars().all(|c| !c.is_whitespace() && !c.is_control()) {
        Ok(value)
    } else {
        Err(Malformed::new("a value that cannot stand in SDP"))
    }
}

/// Text that may stand at the end of an SDP line.
fn text(value: &str) -> Result<&str, Malformed> {
    if value.len() <= MAX_VALUE && value.chars().all(|c| !c.is_control()) {
        Ok(value)
    } else {
        Err(Malformed::new("a value that cannot stand in SDP"))
    }
}

pub(super) fn offer(jingle: &Element) -> Result<JingleOffer, Malformed> {
    let contents: Vec<Content> = jingle
        .children("content", ns::JINGLE)
        .map(Content::read)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    let mut sdp = String::from("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    for group in jingle.children("group", ns::GROUPING) {
        let names: Vec<&str> = group
            .children("content", ns::GROUPING)
            .filter_map(|member| member.attribute("name"))
            .filter(|name| contents.iter().any(|content| content.name == *name))
            .collect();
        if let (Some(semantics), false) = (group.attribute("semantics"), names.is_empty()) {
            line(
                &mut sdp,
                &format!("a=group:{} {}", token(semantics)?, names.join(" ")),
            );
        }
    }
    for content in &contents {
        content.write(&mut sdp)?;
    }
    let ice = contents.first().and_then(|content| ice(content.transport?));
    Ok(JingleOffer { sdp, ice })
}

/// `ufrag` and `pwd` of a transport that has both.
pub(super) fn ice(transport: &Element) -> Option<(String, String)> {
    let value = |name| token(transport.attribute(name)?).ok().map(str::to_owned);
    Some((value("ufrag")?, value("pwd")?))
}

/// The offer again with other ICE parameters and a higher version: a restart by the remote side (5.4). Candidates of
/// the old generation are left out.
pub(super) fn restarted(sdp: &str, ice: &(String, String), version: u32) -> String {
    let mut restarted = String::with_capacity(sdp.len());
    for old in sdp.lines() {
        if old.starts_with("o=") {
            line(&mut restarted, &format!("o=- 1 {version} IN IP4 0.0.0.0"));
        } else if old.starts_with("a=ice-ufrag:") {
            line(&mut restarted, &format!("a=ice-ufrag:{}", ice.0));
        } else if old.starts_with("a=ice-pwd:") {
            line(&mut restarted, &format!("a=ice-pwd:{}", ice.1));
        } else if !old.starts_with("a=candidate:") && old != "a=end-of-candidates" {
            line(&mut restarted, old);
        }
    }
    restarted
}

struct Content<'a> {
    name: &'a str,
    senders: Option<&'a str>,
    description: &'a Element,
    transport: Option<&'a Element>,
}

impl<'a> Content<'a> {
    /// `None` when it is not audio.
    fn read(content: &'a Element) -> Result<Option<Self>, Malformed> {
        let name = content
            .attribute("name")
            .ok_or_else(|| Malformed::new("a content without name"))?;
        let description = content.child("description", ns::RTP);
        let audio = description.filter(|d| d.attribute("media") == Some("audio"));
        audio
            .map(|description| {
                Ok(Self {
                    name: token(name)?,
                    senders: content.attribute("senders"),
                    description,
                    transport: content.child("transport", ns::ICE_UDP),
                })
            })
            .transpose()
    }

    fn write(&self, sdp: &mut String) -> Result<(), Malformed> {
        let payloads: Vec<&Element> = self.description.children("payload-type", ns::RTP).collect();
        let mut media = String::from("m=audio 9 UDP/TLS/RTP/SAVPF");
        for payload in &payloads {
            // Writing to a String cannot fail.
            let _ = write!(media, " {}", payload_id(payload)?);
        }
        line(sdp, &media);
        line(sdp, "c=IN IP4 0.0.0.0");
        // What the far end has room for: SDP's names and units (XEP-0167 section 5).
        for bandwidth in self.description.children("bandwidth", ns::RTP) {
            // One that is none is left out: a call needs no limit.
            let kind = bandwidth.attribute("type").map(token);
            if let (Some(Ok(kind)), Ok(value)) = (kind, token(bandwidth.text().trim())) {
                line(sdp, &format!("b={kind}:{value}"));
            }
        }
        line(sdp, "a=rtcp:9 IN IP4 0.0.0.0");
        if let Some(transport) = self.transport {
            write_transport(sdp, transport)?;
        }
        line(sdp, &format!("a=mid:{}", self.name));
        // Seen from the initiator, which is the one who offers (XEP-0166 7.3).
        line(
            sdp,
            match self.senders {
                Some("initiator") => "a=sendonly",
                Some("responder") => "a=recvonly",
                Some("none") => "a=inactive",
                _ => "a=sendrecv",
            },
        );
        if self.description.child("rtcp-mux", ns::RTP).is_some() {
            line(sdp, "a=rtcp-mux");
        }
        if self
            .description
            .child("rtcp-reduced-size", ns::RTP)
            .is_some()
        {
            line(sdp, "a=rtcp-rsize");
        }
        for payload in payloads {
            write_payload(sdp, payload)?;
        }
        write_feedback(sdp, "*", self.description)?;
        self.write_extensions(sdp)?;
        self.write_sources(sdp)
    }

    fn write_extensions(&self, sdp: &mut String) -> Result<(), Malformed> {
        for extension in self.description.children("rtp-hdrext", ns::RTP_HDREXT) {
            let (Some(id), Some(uri)) = (extension.attribute("id"), extension.attribute("uri"))
            else {
                return Err(Malformed::new("a header extension without id or uri"));
            };
            let direction = match extension.attribute("senders") {
                Some("initiator") => "/sendonly",
                Some("responder") => "/recvonly",
                Some("none") => "/inactive",
                _ => "",
            };
            line(
                sdp,
                &format!("a=extmap:{}{direction} {}", token(id)?, token(uri)?),
            );
        }
        Ok(())
    }

    fn write_sources(&self, sdp: &mut String) -> Result<(), Malformed> {
        if let Some(stream) = self.description.child("stream", ns::MSID)
            && let (Some(id), Some(track)) = (stream.attribute("id"), stream.attribute("track"))
        {
            line(sdp, &format!("a=msid:{} {}", token(id)?, token(track)?));
        }
        for source in self.description.children("source", ns::SSMA) {
            let Some(ssrc) = source.attribute("ssrc") else {
                continue;
            };
            for parameter in source.children("parameter", ns::SSMA) {
                let name = token(parameter.attribute("name").unwrap_or_default())?;
                let attribute = match parameter.attribute("value") {
                    Some(value) => format!("a=ssrc:{} {name}:{}", token(ssrc)?, text(value)?),
                    None => format!("a=ssrc:{} {name}", token(ssrc)?),
                };
                line(sdp, &attribute);
            }
        }
        Ok(())
    }
}

fn write_transport(sdp: &mut String, transport: &Element) -> Result<(), Malformed> {
    if let Some((ufrag, pwd)) = ice(transport) {
        line(sdp, &format!("a=ice-ufrag:{ufrag}"));
        line(sdp, &format!("a=ice-pwd:{pwd}"));
    }
    line(sdp, "a=ice-options:trickle");
    for fingerprint in transport.children("fingerprint", ns::DTLS) {
        let hash = token(fingerprint.attribute("hash").unwrap_or_default())?;
        let value = fingerprint.text();
        line(
            sdp,
            &format!("a=fingerprint:{hash} {}", token(value.trim())?),
        );
        if let Some(setup) = fingerprint.attribute("setup") {
            line(sdp, &format!("a=setup:{}", token(setup)?));
        }
    }
    for element in transport.children("candidate", ns::ICE_UDP) {
        line(sdp, &format!("a={}", candidate::from_jingle(element)?));
    }
    if transport.child("gathering-complete", ns::ICE_UDP).is_some() {
        line(sdp, "a=end-of-candidates");
    }
    Ok(())
}

fn write_payload(sdp: &mut String, payload: &Element) -> Result<(), Malformed> {
    let id = payload_id(payload)?;
    let name = token(payload.attribute("name").unwrap_or_default())?;
    let clock = token(payload.attribute("clockrate").unwrap_or("8000"))?;
    match payload.attribute("channels") {
        None | Some("1") => line(sdp, &format!("a=rtpmap:{id} {name}/{clock}")),
        Some(channels) => line(
            sdp,
            &format!("a=rtpmap:{id} {name}/{clock}/{}", token(channels)?),
        ),
    }
    let mut parameters = Vec::new();
    for parameter in payload.children("parameter", ns::RTP) {
        let name = text(parameter.attribute("name").unwrap_or_default())?;
        parameters.push(match parameter.attribute("value") {
            Some(value) if !name.is_empty() => format!("{name}={}", text(value)?),
            // telephone-event's "0-16" is a name without value, or a value without name.
            Some(value) => text(value)?.to_owned(),
            None => name.to_owned(),
        });
    }
    if !parameters.is_empty() {
        line(sdp, &format!("a=fmtp:{id} {}", parameters.join(";")));
    }
    for name in ["ptime", "maxptime"] {
        if let Some(value) = payload.attribute(name) {
            line(sdp, &format!("a={name}:{}", token(value)?));
        }
    }
    write_feedback(sdp, id, payload)
}

fn write_feedback(sdp: &mut String, id: &str, parent: &Element) -> Result<(), Malformed> {
    for feedback in parent.children("rtcp-fb", ns::RTCP_FB) {
        let kind = token(feedback.attribute("type").unwrap_or_default())?;
        match feedback.attribute("subtype") {
            Some(subtype) => line(sdp, &format!("a=rtcp-fb:{id} {kind} {}", token(subtype)?)),
            None => line(sdp, &format!("a=rtcp-fb:{id} {kind}")),
        }
    }
    Ok(())
}

fn payload_id(payload: &Element) -> Result<&str, Malformed> {
    payload
        .attribute("id")
        .filter(|id| id.parse::<u8>().is_ok_and(|id| id < 128))
        .ok_or_else(|| Malformed::new("a payload type whose id is not 0 to 127"))
}

fn line(sdp: &mut String, text: &str) {
    sdp.push_str(text);
    sdp.push_str("\r\n");
}

#[cfg(test)]
#[path = "sdp_write_tests.rs"]
mod tests;
