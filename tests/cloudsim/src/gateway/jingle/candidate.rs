//! One ICE candidate: a line of SDP (RFC 8839 section 5.1) or an element (XEP-0176).

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{JingleError, Result};
use crate::xml::{Element, attributes};

/// Types of RFC 8839 section 5.1.
const TYPES: [&str; 4] = ["host", "srflx", "prflx", "relay"];

/// The `<candidate/>` of a line (`candidate:...`, with or without `a=`).
pub(super) fn to_element(line: &str) -> Result<String> {
    let wrong = || JingleError::Sdp(format!("no candidate line: {line:?}"));
    let fields = line
        .trim()
        .trim_start_matches("a=")
        .strip_prefix("candidate:")
        .ok_or_else(wrong)?;
    let words: Vec<&str> = fields.split_ascii_whitespace().collect();
    let &[
        foundation,
        component,
        protocol,
        priority,
        ip,
        port,
        "typ",
        kind,
        ref rest @ ..,
    ] = words.as_slice()
    else {
        return Err(wrong());
    };
    let extension = |name: &str| {
        rest.chunks_exact(2)
            .find(|pair| pair[0] == name)
            .map(|pair| pair[1])
    };
    let protocol = protocol.to_ascii_lowercase();
    Ok(format!(
        "<candidate{}/>",
        attributes(&[
            ("component", Some(component)),
            ("foundation", Some(foundation)),
            ("generation", Some(extension("generation").unwrap_or("0"))),
            ("ip", Some(ip)),
            ("port", Some(port)),
            ("priority", Some(priority)),
            ("protocol", Some(&protocol)),
            ("type", Some(kind)),
            ("rel-addr", extension("raddr")),
            ("rel-port", extension("rport")),
            ("tcptype", extension("tcptype")),
        ])
    ))
}

/// The line (`candidate:...`) of a `<candidate/>`.
pub(super) fn to_line(element: &Element) -> Result<String> {
    let text = |name: &str| {
        element
            .attribute(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| JingleError::Attribute(format!("<candidate> has no attribute {name:?}")))
    };
    let impossible = |name: &str, value: &str| {
        JingleError::Attribute(format!("<candidate {name}={value:?}> is impossible"))
    };
    let number = |name: &str, most: u32| {
        let value = text(name)?;
        match value.parse::<u32>() {
            Ok(n) if (1..=most).contains(&n) => Ok(value),
            _ => Err(impossible(name, value)),
        }
    };
    let (component, port) = (number("component", 256)?, number("port", 65_535)?);
    let (priority, foundation) = (number("priority", u32::MAX)?, text("foundation")?);
    let (ip, protocol, kind) = (text("ip")?, text("protocol")?, text("type")?);
    if ip.parse::<IpAddr>().is_err() && !ip.ends_with(".local") {
        return Err(impossible("ip", ip));
    }
    if !["udp", "tcp"].contains(&protocol) {
        return Err(impossible("protocol", protocol));
    }
    if !TYPES.contains(&kind) {
        return Err(impossible("type", kind));
    }
    let mut line =
        format!("candidate:{foundation} {component} {protocol} {priority} {ip} {port} typ {kind}");
    for (attribute, word) in [
        ("rel-addr", "raddr"),
        ("rel-port", "rport"),
        ("tcptype", "tcptype"),
        ("generation", "generation"),
    ] {
        if let Some(value) = element.attribute(attribute) {
            let _ = write!(line, " {word} {value}");
        }
    }
    if line.contains(['\r', '\n']) {
        return Err(JingleError::Attribute(
            "<candidate> has a line break in it".to_owned(),
        ));
    }
    Ok(line)
}
