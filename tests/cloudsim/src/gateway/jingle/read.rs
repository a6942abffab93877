//! What the phone sends.

use std::fmt::Write as _;

use super::{Action, CONDITIONS, Jingle, JingleError, Result, TransportInfo, candidate, ns};
use crate::xml::Element;

/// Reads one `<jingle>` element.
///
/// # Errors
/// What is wrong with it, by element, attribute and namespace.
pub fn read(xml: &str) -> Result<Jingle> {
    let jingle = root(xml)?;
    let sid = required(&jingle, "sid")?.to_owned();
    let action = match required(&jingle, "action")? {
        "session-accept" => {
            content(&jingle)?;
            Action::SessionAccept
        }
        "transport-info" => Action::TransportInfo(transport_info(&jingle)?),
        "session-info" => session_info(&jingle)?,
        "session-terminate" => Action::SessionTerminate(reason(&jingle)?),
        other => {
            return Err(JingleError::Attribute(format!(
                "<jingle action={other:?}>: a responder sends session-accept, transport-info, \
                 session-info or session-terminate"
            )));
        }
    };
    Ok(Jingle { sid, action })
}

/// The answer in a `<jingle action="session-accept">`, as SDP fitting the offer.
///
/// # Errors
/// What is wrong with the element. Whether the answer fits the offer is for
/// [`super::super::Leg::answer`] to say.
pub fn accept_to_sdp(xml: &str, offer: &str) -> Result<String> {
    let jingle = root(xml)?;
    match required(&jingle, "action")? {
        "session-accept" => {}
        other => {
            return Err(JingleError::Attribute(format!(
                "<jingle action={other:?}> is no session-accept"
            )));
        }
    }
    let content = content(&jingle)?;
    let name = required(content, "name")?;
    let offered = offer
        .lines()
        .find_map(|line| line.trim_end().strip_prefix("a=mid:"));
    if offered != Some(name) {
        return Err(JingleError::Attribute(format!(
            "<content name={name:?}>; the offer's content is {:?}",
            offered.unwrap_or_default()
        )));
    }
    let description = one(content, "description", ns::RTP)?;
    let media = required(description, "media")?;
    if media != "audio" {
        return Err(JingleError::Attribute(format!(
            "<description media={media:?}>; offered was audio"
        )));
    }
    let payloads = every(description, "payload-type", ns::RTP)?;
    if payloads.is_empty() {
        return Err(JingleError::Element(
            "<description> has no <payload-type>".to_owned(),
        ));
    }
    let mut sdp = Sdp(String::from(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
    ));
    sdp.line(&format!("a=group:BUNDLE {name}"))?;
    let mut ids = Vec::new();
    for payload in &payloads {
        ids.push(number(payload, "id", 127)?.to_string());
    }
    sdp.line(&format!("m=audio 9 UDP/TLS/RTP/SAVPF {}", ids.join(" ")))?;
    sdp.line("c=IN IP4 0.0.0.0")?;
    sdp.line(&format!("a=mid:{name}"))?;
    transport(&mut sdp, one(content, "transport", ns::ICE)?)?;
    sdp.line(match content.attribute("senders") {
        None | Some("both") => "a=sendrecv",
        Some("initiator") => "a=recvonly",
        Some("responder") => "a=sendonly",
        Some("none") => "a=inactive",
        Some(other) => {
            return Err(JingleError::Attribute(format!(
                "<content senders={other:?}> is impossible"
            )));
        }
    })?;
    if !every(description, "rtcp-mux", ns::RTP)?.is_empty() {
        sdp.line("a=rtcp-mux")?;
    }
    if !every(description, "rtcp-reduced-size", ns::RTP)?.is_empty() {
        sdp.line("a=rtcp-rsize")?;
    }
    for (payload, id) in payloads.iter().zip(&ids) {
        payload_type(&mut sdp, payload, id)?;
    }
    for extension in every(description, "rtp-hdrext", ns::EXTENSION)? {
        let (id, uri) = (required(extension, "id")?, required(extension, "uri")?);
        sdp.line(&format!("a=extmap:{id} {uri}"))?;
    }
    for source in every(description, "source", ns::SOURCE)? {
        let ssrc = number(source, "ssrc", u32::MAX)?;
        for parameter in every(source, "parameter", ns::SOURCE)? {
            let (name, value) = (required(parameter, "name")?, parameter.attribute("value"));
            sdp.line(&format!(
                "a=ssrc:{ssrc} {name}:{}",
                value.unwrap_or_default()
            ))?;
        }
    }
    Ok(sdp.0)
}

/// The candidates of a `<jingle action="transport-info">`.
///
/// # Errors
/// What is wrong with the element.
pub fn transport_info_to_candidates(xml: &str) -> Result<TransportInfo> {
    match read(xml)?.action {
        Action::TransportInfo(info) => Ok(info),
        other => Err(JingleError::Attribute(format!(
            "no transport-info: {other:?}"
        ))),
    }
}

/// Lines of SDP; whatever the phone puts into an attribute, it stays one line.
struct Sdp(String);

impl Sdp {
    fn line(&mut self, line: &str) -> Result<()> {
        if line.contains(['\r', '\n']) {
            return Err(JingleError::Attribute(format!("a line break in {line:?}")));
        }
        let _ = write!(self.0, "{line}\r\n");
        Ok(())
    }
}

fn transport(sdp: &mut Sdp, transport: &Element) -> Result<()> {
    sdp.line(&format!("a=ice-ufrag:{}", required(transport, "ufrag")?))?;
    sdp.line(&format!("a=ice-pwd:{}", required(transport, "pwd")?))?;
    sdp.line("a=ice-options:trickle")?;
    let fingerprint = one(transport, "fingerprint", ns::DTLS)?;
    let (hash, setup) = (
        required(fingerprint, "hash")?,
        required(fingerprint, "setup")?,
    );
    let value = fingerprint.text.trim();
    let octets = value
        .split(':')
        .all(|o| o.len() == 2 && u8::from_str_radix(o, 16).is_ok());
    if !octets {
        return Err(JingleError::Element(format!(
            "<fingerprint> is no list of hex octets: {value:?}"
        )));
    }
    sdp.line(&format!("a=fingerprint:{hash} {value}"))?;
    sdp.line(&format!("a=setup:{setup}"))?;
    for element in every(transport, "candidate", ns::ICE)? {
        sdp.line(&format!("a={}", candidate::to_line(element)?))?;
    }
    Ok(())
}

fn payload_type(sdp: &mut Sdp, payload: &Element, id: &str) -> Result<()> {
    let (name, rate) = (
        required(payload, "name")?,
        number(payload, "clockrate", u32::MAX)?,
    );
    let channels = match payload.attribute("channels") {
        None | Some("1") => String::new(),
        Some(_) => format!("/{}", number(payload, "channels", 255)?),
    };
    sdp.line(&format!("a=rtpmap:{id} {name}/{rate}{channels}"))?;
    let mut parameters = Vec::new();
    for parameter in every(payload, "parameter", ns::RTP)? {
        let name = required(parameter, "name")?;
        parameters.push(match parameter.attribute("value") {
            Some(value) => format!("{name}={value}"),
            None => name.to_owned(),
        });
    }
    if !parameters.is_empty() {
        sdp.line(&format!("a=fmtp:{id} {}", parameters.join(";")))?;
    }
    for feedback in every(payload, "rtcp-fb", ns::FEEDBACK)? {
        let kind = required(feedback, "type")?;
        let subtype = feedback.attribute("subtype").map(|s| format!(" {s}"));
        sdp.line(&format!(
            "a=rtcp-fb:{id} {kind}{}",
            subtype.unwrap_or_default()
        ))?;
    }
    Ok(())
}

fn transport_info(jingle: &Element) -> Result<TransportInfo> {
    let transport = one(content(jingle)?, "transport", ns::ICE)?;
    let candidates = every(transport, "candidate", ns::ICE)?
        .into_iter()
        .map(candidate::to_line)
        .collect::<Result<Vec<_>>>()?;
    let complete = !every(transport, "gathering-complete", ns::ICE)?.is_empty();
    let info = TransportInfo {
        ufrag: transport.attribute("ufrag").map(str::to_owned),
        pwd: transport.attribute("pwd").map(str::to_owned),
        candidates,
        complete,
    };
    if info.candidates.is_empty() && !info.complete && info.pwd.is_none() {
        return Err(JingleError::Element(
            "<transport> has neither <candidate>, <gathering-complete> nor new credentials"
                .to_owned(),
        ));
    }
    Ok(info)
}

fn session_info(jingle: &Element) -> Result<Action> {
    for (name, action) in [
        ("active", Action::Active),
        ("mute", Action::Mute(true)),
        ("unmute", Action::Mute(false)),
    ] {
        if !every(jingle, name, ns::INFO)?.is_empty() {
            return Ok(action);
        }
    }
    Err(JingleError::Element(format!(
        "session-info without <active>, <mute> or <unmute> of {}",
        ns::INFO
    )))
}

fn reason(jingle: &Element) -> Result<String> {
    let reasons = every(jingle, "reason", ns::JINGLE)?;
    let Some(reason) = reasons.first() else {
        return Ok("success".to_owned());
    };
    let condition = reason
        .children
        .iter()
        .find(|child| child.ns == ns::JINGLE && CONDITIONS.contains(&child.name.as_str()))
        .ok_or_else(|| {
            let found: Vec<&str> = reason.children.iter().map(|c| c.name.as_str()).collect();
            JingleError::Element(format!("<reason> has no known condition, only {found:?}"))
        })?;
    Ok(condition.name.clone())
}

fn root(xml: &str) -> Result<Element> {
    let jingle = Element::parse(xml)?;
    if !jingle.is("jingle", ns::JINGLE) {
        return Err(JingleError::Element(format!(
            "expected <jingle xmlns={:?}>, found <{} xmlns={:?}>",
            ns::JINGLE,
            jingle.name,
            jingle.ns
        )));
    }
    Ok(jingle)
}

/// The one content. Its creator always is the initiator: the gateway.
fn content(jingle: &Element) -> Result<&Element> {
    let content = one(jingle, "content", ns::JINGLE)?;
    match required(content, "creator")? {
        "initiator" => {}
        other => {
            return Err(JingleError::Attribute(format!(
                "<content creator={other:?}>: the gateway created it, so \"initiator\""
            )));
        }
    }
    required(content, "name")?;
    Ok(content)
}

/// All children of that name; one in another namespace is an error.
fn every<'a>(parent: &'a Element, name: &str, ns: &str) -> Result<Vec<&'a Element>> {
    let named = parent.children.iter().filter(|child| child.name == name);
    named
        .map(|child| {
            if child.ns == ns {
                Ok(child)
            } else {
                Err(JingleError::Element(format!(
                    "<{name}> in <{}> has the namespace {:?}, not {ns:?}",
                    parent.name, child.ns
                )))
            }
        })
        .collect()
}

fn one<'a>(parent: &'a Element, name: &str, ns: &str) -> Result<&'a Element> {
    match every(parent, name, ns)?.as_slice() {
        [child] => Ok(child),
        [] => Err(JingleError::Element(format!(
            "<{}> has no <{name} xmlns={ns:?}>",
            parent.name
        ))),
        more => Err(JingleError::Element(format!(
            "<{}> has {} <{name}>, one is expected",
            parent.name,
            more.len()
        ))),
    }
}

fn required<'a>(element: &'a Element, name: &str) -> Result<&'a str> {
    element
        .attribute(name)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            JingleError::Attribute(format!("<{}> has no attribute {name:?}", element.name))
        })
}

fn number(element: &Element, name: &str, most: u32) -> Result<u32> {
    let value = required(element, name)?;
    match value.parse() {
        Ok(n) if n <= most => Ok(n),
        _ => Err(JingleError::Attribute(format!(
            "<{} {name}={value:?}> is no number up to {most}",
            element.name
        ))),
    }
}
