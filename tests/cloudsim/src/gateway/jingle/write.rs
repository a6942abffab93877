//! What the gateway sends.

use std::fmt::Write as _;

use super::{CONDITIONS, JingleError, Result, candidate, ns};
use crate::xml::{attributes, escape};

/// The `<jingle action="session-initiate">` for an offer.
///
/// # Errors
/// The offer is not one audio section with ICE credentials and a fingerprint.
pub fn offer_to_jingle(sdp: &str, sid: &str, initiator: &str, responder: &str) -> Result<String> {
    let offer = Offer::read(sdp)?;
    let mut xml = format!(
        "<jingle xmlns=\"{}\"{}>",
        ns::JINGLE,
        attributes(&[
            ("action", Some("session-initiate")),
            ("initiator", Some(initiator)),
            ("responder", Some(responder)),
            ("sid", Some(sid)),
        ])
    );
    let _ = write!(
        xml,
        "<content creator=\"initiator\"{}>",
        attributes(&[("name", Some(&offer.mid)), ("senders", offer.senders)])
    );
    description(&mut xml, &offer);
    transport(&mut xml, &offer)?;
    let _ = write!(
        xml,
        "</content><group xmlns=\"{}\" semantics=\"BUNDLE\"><content name=\"{}\"/></group></jingle>",
        ns::GROUP,
        escape(&offer.mid)
    );
    Ok(xml)
}

/// The `<jingle action="transport-info">` for one local candidate (`candidate:...`) of an offer.
///
/// # Errors
/// The line is no candidate, or the offer has no ICE user fragment.
pub fn candidate_to_transport_info(line: &str, sid: &str, offer: &str) -> Result<String> {
    transport_info(sid, offer, &candidate::to_element(line)?)
}

/// The `<jingle action="transport-info">` that says all candidates were given.
///
/// # Errors
/// The offer has no ICE user fragment.
pub fn end_of_candidates_to_transport_info(sid: &str, offer: &str) -> Result<String> {
    transport_info(sid, offer, "<gathering-complete/>")
}

/// The `<jingle action="transport-info">` of an ICE restart: the offer's new credentials.
///
/// # Errors
/// The offer has no ICE user fragment.
pub fn ice_restart_to_transport_info(sid: &str, offer: &str) -> Result<String> {
    let pwd = attributes(&[("pwd", Some(&Offer::read(offer)?.pwd))]);
    let info = transport_info(sid, offer, "")?;
    Ok(info.replacen(" ufrag=", &format!("{pwd} ufrag="), 1))
}

/// The `<jingle action="session-terminate">` with this reason condition.
///
/// # Errors
/// There is no such condition (genesys-protocol 5.4 lists them).
pub fn session_terminate(sid: &str, reason: &str) -> Result<String> {
    if !CONDITIONS.contains(&reason) {
        return Err(JingleError::Element(format!(
            "no reason condition {reason:?}; use one of {}",
            CONDITIONS.join(", ")
        )));
    }
    Ok(format!(
        "<jingle xmlns=\"{}\" action=\"session-terminate\"{}><reason><{reason}/></reason></jingle>",
        ns::JINGLE,
        attributes(&[("sid", Some(sid))])
    ))
}

fn transport_info(sid: &str, offer: &str, inside: &str) -> Result<String> {
    let offer = Offer::read(offer)?;
    Ok(format!(
        "<jingle xmlns=\"{}\" action=\"transport-info\"{}><content creator=\"initiator\"{}>\
         <transport xmlns=\"{}\"{}>{inside}</transport></content></jingle>",
        ns::JINGLE,
        attributes(&[("sid", Some(sid))]),
        attributes(&[("name", Some(&offer.mid))]),
        ns::ICE,
        attributes(&[("ufrag", Some(&offer.ufrag))]),
    ))
}

/// What a `session-initiate` needs of an offer.
#[derive(Debug, Default)]
struct Offer {
    mid: String,
    senders: Option<&'static str>,
    payloads: Vec<Payload>,
    rtcp_mux: bool,
    reduced_size: bool,
    extensions: Vec<(String, String)>,
    ssrc: Option<String>,
    cname: Option<String>,
    msid: Option<(String, String)>,
    ufrag: String,
    pwd: String,
    setup: Option<String>,
    fingerprint: Option<(String, String)>,
    candidates: Vec<String>,
}

#[derive(Debug, Default)]
struct Payload {
    id: String,
    name: String,
    clock_rate: String,
    channels: String,
    parameters: Vec<(String, Option<String>)>,
    feedback: Vec<(String, Option<String>)>,
}

impl Offer {
    fn read(sdp: &str) -> Result<Self> {
        let mut offer = Self::default();
        for line in sdp.lines().map(str::trim_end) {
            if let Some(media) = line.strip_prefix("m=") {
                if !offer.payloads.is_empty() || !media.starts_with("audio ") {
                    return Err(JingleError::Sdp(format!(
                        "expected one audio section, found {line:?}"
                    )));
                }
                offer.payloads = media
                    .split_ascii_whitespace()
                    .skip(3)
                    .map(|id| Payload {
                        id: id.to_owned(),
                        ..Payload::default()
                    })
                    .collect();
            } else if let Some(attribute) = line.strip_prefix("a=") {
                let (key, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                offer.attribute(key, value);
            }
        }
        for (missing, what) in [
            (offer.payloads.is_empty(), "m=audio"),
            (offer.mid.is_empty(), "a=mid"),
            (offer.ufrag.is_empty(), "a=ice-ufrag"),
            (offer.pwd.is_empty(), "a=ice-pwd"),
            (offer.fingerprint.is_none(), "a=fingerprint"),
        ] {
            if missing {
                return Err(JingleError::Sdp(format!("{what} is missing")));
            }
        }
        Ok(offer)
    }

    fn attribute(&mut self, key: &str, value: &str) {
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        match key {
            "mid" => value.clone_into(&mut self.mid),
            "ice-ufrag" => value.clone_into(&mut self.ufrag),
            "ice-pwd" => value.clone_into(&mut self.pwd),
            "setup" => self.setup = Some(value.to_owned()),
            "fingerprint" => self.fingerprint = Some((first.to_owned(), rest.to_owned())),
            "rtcp-mux" => self.rtcp_mux = true,
            "rtcp-rsize" => self.reduced_size = true,
            "candidate" => self.candidates.push(format!("candidate:{value}")),
            "msid" => self.msid = Some((first.to_owned(), rest.to_owned())),
            "extmap" => self.extensions.push((first.to_owned(), rest.to_owned())),
            "ssrc" => {
                self.ssrc.get_or_insert_with(|| first.to_owned());
                if let Some(cname) = rest.strip_prefix("cname:") {
                    self.cname = Some(cname.to_owned());
                }
            }
            "sendrecv" => self.senders = None,
            "sendonly" => self.senders = Some("initiator"),
            "recvonly" => self.senders = Some("responder"),
            "inactive" => self.senders = Some("none"),
            "rtpmap" | "fmtp" | "rtcp-fb" => {
                let matching = self
                    .payloads
                    .iter_mut()
                    .filter(|p| first == p.id || first == "*");
                for payload in matching {
                    payload.attribute(key, rest);
                }
            }
            _ => {}
        }
    }
}

impl Payload {
    fn attribute(&mut self, key: &str, value: &str) {
        let pair = |text: &str, separator| match text.split_once(separator) {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (text.trim().to_owned(), None),
        };
        match key {
            "rtpmap" => {
                let mut parts = value.split('/').map(str::to_owned);
                self.name = parts.next().unwrap_or_default();
                self.clock_rate = parts.next().unwrap_or_default();
                self.channels = parts.next().unwrap_or_else(|| "1".to_owned());
            }
            "fmtp" => self.parameters.extend(
                value
                    .split(';')
                    .filter(|p| !p.trim().is_empty())
                    .map(|p| pair(p, '=')),
            ),
            _ => self.feedback.push(pair(value, ' ')),
        }
    }
}

fn description(xml: &mut String, offer: &Offer) {
    let _ = write!(
        xml,
        "<description xmlns=\"{}\" media=\"audio\"{}>",
        ns::RTP,
        attributes(&[("ssrc", offer.ssrc.as_deref())])
    );
    if offer.rtcp_mux {
        xml.push_str("<rtcp-mux/>");
    }
    if offer.reduced_size {
        xml.push_str("<rtcp-reduced-size/>");
    }
    for payload in &offer.payloads {
        let _ = write!(
            xml,
            "<payload-type{}>",
            attributes(&[
                ("channels", Some(&payload.channels)),
                ("clockrate", Some(&payload.clock_rate)),
                ("id", Some(&payload.id)),
                ("name", Some(&payload.name)),
            ])
        );
        for (name, value) in &payload.parameters {
            let pairs = [("name", Some(name.as_str())), ("value", value.as_deref())];
            let _ = write!(xml, "<parameter{}/>", attributes(&pairs));
        }
        for (kind, subtype) in &payload.feedback {
            let pairs = [
                ("type", Some(kind.as_str())),
                ("subtype", subtype.as_deref()),
            ];
            let _ = write!(
                xml,
                "<rtcp-fb xmlns=\"{}\"{}/>",
                ns::FEEDBACK,
                attributes(&pairs)
            );
        }
        xml.push_str("</payload-type>");
    }
    for (id, uri) in &offer.extensions {
        let pairs = [("id", Some(id.as_str())), ("uri", Some(uri.as_str()))];
        let _ = write!(
            xml,
            "<rtp-hdrext xmlns=\"{}\"{}/>",
            ns::EXTENSION,
            attributes(&pairs)
        );
    }
    if let Some(ssrc) = &offer.ssrc {
        let _ = write!(
            xml,
            "<source xmlns=\"{}\"{}><parameter name=\"cname\"{}/></source>",
            ns::SOURCE,
            attributes(&[("ssrc", Some(ssrc))]),
            attributes(&[("value", offer.cname.as_deref())])
        );
    }
    if let Some((id, track)) = &offer.msid {
        let pairs = [("id", Some(id.as_str())), ("track", Some(track.as_str()))];
        let _ = write!(
            xml,
            "<stream xmlns=\"{}\"{}/>",
            ns::MSID,
            attributes(&pairs)
        );
    }
    xml.push_str("</description>");
}

fn transport(xml: &mut String, offer: &Offer) -> Result<()> {
    let _ = write!(
        xml,
        "<transport xmlns=\"{}\"{}>",
        ns::ICE,
        attributes(&[("ufrag", Some(&offer.ufrag)), ("pwd", Some(&offer.pwd))])
    );
    if let Some((hash, value)) = &offer.fingerprint {
        let _ = write!(
            xml,
            "<fingerprint xmlns=\"{}\"{}>{}</fingerprint>",
            ns::DTLS,
            attributes(&[("hash", Some(hash)), ("setup", offer.setup.as_deref())]),
            escape(value)
        );
    }
    for line in &offer.candidates {
        xml.push_str(&candidate::to_element(line)?);
    }
    xml.push_str("</transport>");
    Ok(())
}
