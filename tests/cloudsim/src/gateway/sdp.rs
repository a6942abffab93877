//! Session descriptions: the shape the cloud gives its offers, and what a correct answer is.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::config::{Codec, Direction, LegConfig, SdpQuirk};

/// The media section's name. It is also the word after `m=` in trickled candidates, which
/// Genesys's client takes for the mid (genesys-protocol 12.3).
pub(super) const MID: &str = "audio";

/// Header extensions that name the mid or streams: useless with one section, and with a
/// rewritten mid they make libwebrtc drop every packet (genesys-protocol 12.3).
const STRIPPED_EXTENSIONS: [&str; 3] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
];

/// Gives a stack's offer the shape of the cloud's.
pub(super) fn shape_offer(sdp: &str, config: &LegConfig, session: u64, version: u64) -> String {
    let mut shaped = String::new();
    for line in lines(sdp) {
        if let Some(line) = shape_line(line, config, session, version) {
            let _ = write!(shaped, "{line}\r\n");
        }
    }
    match config.sdp_quirk {
        None => shaped,
        Some(quirk) => spoil(&shaped, quirk),
    }
}

fn shape_line(line: &str, config: &LegConfig, session: u64, version: u64) -> Option<String> {
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    match key {
        _ if line.starts_with("o=") => Some(format!("o=- {session} {version} IN IP4 127.0.0.1")),
        "a=setup" => Some(format!("a=setup:{}", config.setup.as_str())),
        "a=mid" => Some(format!("a=mid:{MID}")),
        "a=group" => Some(format!("a=group:BUNDLE {MID}")),
        "a=extmap" if STRIPPED_EXTENSIONS.iter().any(|uri| value.ends_with(uri)) => None,
        "a=candidate" if !is_usable(value) => None,
        // Trickled.
        "a=end-of-candidates" => None,
        // Attributes of WebRTC before 2013.
        "a=ssrc" if value.contains(" mslabel:") || value.contains(" label:") => None,
        // The section's only line of this sort: bandwidth comes after it, attributes after that (RFC 8866 section 9).
        _ if line.starts_with("c=") => {
            let mut shaped = line.to_owned();
            if let Some(kbps) = config.bandwidth_kbps {
                let _ = write!(shaped, "\r\nb=AS:{kbps}");
            }
            if let Some(ms) = config.max_ptime_ms {
                let _ = write!(shaped, "\r\na=maxptime:{ms}");
            }
            Some(shaped)
        }
        _ => Some(line.to_owned()),
    }
}

/// Whether a local candidate (the text after `candidate:`) is one the cloud would give: UDP,
/// component 1, with an address.
pub(super) fn is_usable(candidate: &str) -> bool {
    let mut words = candidate.split_ascii_whitespace().skip(1);
    let (component, protocol) = (words.next(), words.next());
    let address = words.nth(1);
    component == Some("1")
        && protocol.is_some_and(|p| p.eq_ignore_ascii_case("udp"))
        && address.is_some_and(|a| a != "0.0.0.0" && a != "::")
}

/// Checks a candidate of the phone; `None` when it is the end of candidates, or one the gateway
/// does not use: TCP, or a name only multicast DNS knows.
pub(super) fn check_candidate<'a>(candidate: &'a str, mid: &str) -> Result<Option<&'a str>> {
    if mid != MID {
        bail!("a candidate for {mid:?}; the offer's only section is {MID:?}");
    }
    let candidate = candidate.trim().trim_start_matches("a=");
    if candidate.is_empty() || candidate == "end-of-candidates" {
        return Ok(None);
    }
    let Some(fields) = candidate.strip_prefix("candidate:") else {
        bail!("no candidate line: {candidate:?}");
    };
    let words: Vec<&str> = fields.split_ascii_whitespace().collect();
    let &[
        _,
        component,
        protocol,
        priority,
        address,
        port,
        "typ",
        _,
        ..,
    ] = words.as_slice()
    else {
        bail!("not the form of a candidate (RFC 8839 section 5.1): {candidate:?}");
    };
    if port.parse::<u16>().is_err() || priority.parse::<u32>().is_err() {
        bail!("the candidate's port or priority is no number: {candidate:?}");
    }
    if component != "1" {
        bail!("a candidate of component {component}, though RTCP is multiplexed: {candidate:?}");
    }
    let usable = protocol.eq_ignore_ascii_case("udp") && !address.ends_with(".local");
    Ok(usable.then_some(candidate))
}

fn spoil(sdp: &str, quirk: SdpQuirk) -> String {
    let without = |prefixes: &[&str]| -> String {
        lines(sdp)
            .filter(|line| !prefixes.iter().any(|prefix| line.starts_with(prefix)))
            .fold(String::new(), |mut text, line| {
                let _ = write!(text, "{line}\r\n");
                text
            })
    };
    let codecs = ["a=rtpmap", "a=fmtp", "a=rtcp-fb"];
    let with_media = |media: &str, map: &str| {
        without(&codecs)
            .split_inclusive("\r\n")
            .map(|line| {
                if line.starts_with("m=") {
                    format!("{media}\r\n{map}\r\n")
                } else {
                    line.to_owned()
                }
            })
            .collect()
    };
    match quirk {
        SdpQuirk::NoAudio => with_media("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000"),
        SdpQuirk::UnknownCodecOnly => with_media(
            "m=audio 9 UDP/TLS/RTP/SAVPF 99",
            "a=rtpmap:99 X-NOBODY-HAS-THIS/16000",
        ),
        SdpQuirk::NoFingerprint => without(&["a=fingerprint"]),
        SdpQuirk::NoIceCredentials => without(&["a=ice-ufrag", "a=ice-pwd"]),
        SdpQuirk::Garbage => {
            "this is not a session description\r\n\u{0}\u{7}=\r\nm=\r\n".to_owned()
        }
        SdpQuirk::Empty => String::new(),
    }
}

/// The same description with its section named otherwise: for a stack that chose its own mid.
pub(super) fn with_mid(sdp: &str, mid: &str) -> String {
    lines(sdp).fold(String::new(), |mut text, line| {
        let _ = match line {
            _ if line.starts_with("a=mid:") => write!(text, "a=mid:{mid}\r\n"),
            _ if line.starts_with("a=group:BUNDLE") => write!(text, "a=group:BUNDLE {mid}\r\n"),
            _ => write!(text, "{line}\r\n"),
        };
        text
    })
}

/// The mid of the first section.
pub(super) fn mid(sdp: &str) -> Option<&str> {
    lines(sdp).find_map(|line| line.strip_prefix("a=mid:"))
}

fn lines(sdp: &str) -> impl Iterator<Item = &str> {
    sdp.lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
}

/// What an answer chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The first codec in it: what the gateway sends (RFC 3264 section 6.1).
    pub(super) codec: Codec,
    /// The direction, turned to the gateway's side.
    pub(super) direction: Direction,
}

/// Reads an answer and checks it against the offer, and against the answer before it. All faults
/// are named in one error.
pub(super) fn check_answer(offer: &str, answer: &str, previous: Option<&str>) -> Result<Answer> {
    let offered = Section::read(offer)?;
    let answered = Section::read(answer)?;
    let mut faults = Vec::new();
    let mut fault = |wrong: bool, text: String| {
        if wrong {
            faults.push(text);
        }
    };
    let sections = lines(answer).filter(|line| line.starts_with("m=")).count();
    fault(
        sections != 1,
        format!("{sections} m= lines; the offer has one (RFC 3264 section 6)"),
    );
    fault(
        answered.kind != offered.kind,
        format!("m={} answers m={}", answered.kind, offered.kind),
    );
    fault(
        answered.port == "0",
        "the audio section is refused (port 0)".to_owned(),
    );
    fault(
        answered.protocol != offered.protocol,
        format!(
            "protocol {} answers {}",
            answered.protocol, offered.protocol
        ),
    );
    fault(
        answered.mid != offered.mid,
        format!(
            "mid {:?} answers {:?} (RFC 5888 section 9.1)",
            answered.mid, offered.mid
        ),
    );
    for payload in &answered.payloads {
        fault(
            !offered.payloads.contains(payload),
            format!("payload type {payload} was not offered"),
        );
        let (theirs, ours) = (answered.maps.get(payload), offered.maps.get(payload));
        fault(
            theirs.is_some() && ours.is_some() && !same_codec(theirs, ours),
            format!("payload type {payload} is {theirs:?} in the answer, {ours:?} in the offer"),
        );
    }
    for (n, payload) in answered.payloads.iter().enumerate() {
        fault(
            answered.payloads[..n].contains(payload),
            format!("payload type {payload} is listed twice"),
        );
    }
    let setups: &[&str] = match offered.setup.as_deref() {
        Some("active") => &["passive"],
        Some("passive") => &["active"],
        _ => &["active", "passive"],
    };
    fault(
        !setups.contains(&answered.setup.as_deref().unwrap_or("")),
        format!(
            "a=setup:{} answers a=setup:{} (RFC 5763 section 5)",
            answered.setup.as_deref().unwrap_or("(missing)"),
            offered.setup.as_deref().unwrap_or("(missing)"),
        ),
    );
    fault(!answered.rtcp_mux, "a=rtcp-mux is missing".to_owned());
    fault(
        answered.ufrag.is_none() || answered.pwd.is_none(),
        "a=ice-ufrag or a=ice-pwd is missing".to_owned(),
    );
    fault(!answered.fingerprint, "a=fingerprint is missing".to_owned());
    let direction = answered.direction.reversed();
    fault(
        !offered.direction.permits(direction),
        format!(
            "a={} answers a={} (RFC 3264 section 6.1)",
            answered.direction.as_str(),
            offered.direction.as_str()
        ),
    );
    if let (Some(now), Some(before)) = (origin(answer), previous.and_then(origin)) {
        fault(
            now.0 != before.0 || now.1 < before.1 || now.1 > before.1 + 1,
            format!(
                "o= went from {} {} to {} {}: the id stays, the version rises by one (RFC 3264 section 8)",
                before.0, before.1, now.0, now.1
            ),
        );
    }
    let codec = answered
        .payloads
        .iter()
        .filter(|payload| offered.payloads.contains(payload))
        .find_map(|payload| Codec::from_payload_type(*payload));
    fault(codec.is_none(), "no audio codec in common".to_owned());
    match codec {
        Some(codec) if faults.is_empty() => Ok(Answer { codec, direction }),
        _ => bail!("the answer breaks the offer: {}", faults.join("; ")),
    }
}

fn same_codec(a: Option<&String>, b: Option<&String>) -> bool {
    a.map(|name| name.to_ascii_lowercase()) == b.map(|name| name.to_ascii_lowercase())
}

/// Session id and version of the `o=` line.
fn origin(sdp: &str) -> Option<(u64, u64)> {
    let line = lines(sdp).find_map(|line| line.strip_prefix("o="))?;
    let mut words = line.split_ascii_whitespace().skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The first media section, with what it inherits from the session.
#[derive(Debug, Default)]
struct Section {
    kind: String,
    port: String,
    protocol: String,
    payloads: Vec<u8>,
    maps: HashMap<u8, String>,
    mid: Option<String>,
    setup: Option<String>,
    direction: Direction,
    rtcp_mux: bool,
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprint: bool,
}

impl Section {
    fn read(sdp: &str) -> Result<Self> {
        if !sdp.starts_with("v=0") {
            bail!("no session description: it does not start with v=0");
        }
        let mut section = Self::default();
        let mut seen = 0;
        for line in lines(sdp) {
            if let Some(media) = line.strip_prefix("m=") {
                seen += 1;
                if seen > 1 {
                    break;
                }
                let mut words = media.split_ascii_whitespace();
                let mut word = || words.next().unwrap_or_default().to_owned();
                (section.kind, section.port, section.protocol) = (word(), word(), word());
                section.payloads = words.filter_map(|w| w.parse().ok()).collect();
            } else if let Some(attribute) = line.strip_prefix("a=") {
                section.attribute(attribute);
            }
        }
        if seen == 0 {
            bail!("the session description has no media section");
        }
        Ok(section)
    }

    fn attribute(&mut self, attribute: &str) {
        let (key, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match key {
            "mid" => self.mid = Some(value.to_owned()),
            "setup" => self.setup = Some(value.to_owned()),
            "rtcp-mux" => self.rtcp_mux = true,
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            "fingerprint" => self.fingerprint = true,
            "rtpmap" => {
                if let Some((payload, map)) = value.split_once(' ')
                    && let Ok(payload) = payload.parse()
                {
                    self.maps.insert(payload, map.to_owned());
                }
            }
            _ => {
                if let Some(direction) = Direction::from_attribute(key) {
                    self.direction = direction;
                }
            }
        }
    }
}

impl Direction {
    fn from_attribute(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.as_str() == name)
    }

    /// The same direction seen from the other side.
    fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    /// Whether an answer may leave this side with `other`.
    fn permits(self, other: Self) -> bool {
        self == Self::SendRecv || other == Self::Inactive || self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 110\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=mid:0\r\n\
        a=ice-ufrag:uf\r\na=ice-pwd:pw\r\na=fingerprint:sha-256 AA\r\na=rtcp-mux\r\n\
        a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
        a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
        a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:110 telephone-event/48000\r\na=sendrecv\r\n\
        a=candidate:1 1 udp 1 127.0.0.1 5000 typ host\r\n\
        a=candidate:1 2 udp 1 127.0.0.1 5000 typ host\r\n\
        a=candidate:1 1 udp 1 0.0.0.0 5000 typ host\r\n\
        a=ssrc:1 mslabel:x\r\na=ssrc:1 cname:y\r\n";

    fn offer(quirk: Option<SdpQuirk>) -> String {
        let config = LegConfig {
            sdp_quirk: quirk,
            ..LegConfig::default()
        };
        shape_offer(OFFER, &config, 42, 3)
    }

    fn answer() -> String {
        "v=0\r\no=- 9 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n\
         a=setup:active\r\na=mid:audio\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:sha-256 BB\r\n\
         a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\na=sendrecv\r\n"
            .to_owned()
    }

    #[test]
    fn an_offer_gets_the_clouds_shape() {
        let shaped = offer(None);
        assert!(!shaped.contains("b=AS") && !shaped.contains("maxptime"));
        let config = LegConfig {
            bandwidth_kbps: Some(32),
            max_ptime_ms: Some(40),
            ..LegConfig::default()
        };
        let narrow = shape_offer(OFFER, &config, 42, 3);
        let limits = "c=IN IP4 0.0.0.0\r\nb=AS:32\r\na=maxptime:40\r\n";
        assert!(narrow.contains(limits), "{narrow}");
        for line in [
            "o=- 42 3 IN IP4 127.0.0.1",
            "a=mid:audio",
            "a=group:BUNDLE audio",
            "a=setup:actpass",
            "a=candidate:1 1 udp 1 127.0.0.1 5000 typ host",
            "a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "a=ssrc:1 cname:y",
        ] {
            assert!(
                shaped.contains(&format!("{line}\r\n")),
                "{line} is not in\n{shaped}"
            );
        }
        for text in ["sdes:mid", "0.0.0.0 5000", ":1 2 udp", "mslabel"] {
            assert!(!shaped.contains(text), "{text} is in\n{shaped}");
        }
        assert_eq!(mid(&with_mid(&shaped, "0")), Some("0"));
    }

    #[test]
    fn quirks_spoil_one_thing_each() {
        assert!(!offer(Some(SdpQuirk::NoAudio)).contains("m=audio"));
        let unknown = offer(Some(SdpQuirk::UnknownCodecOnly));
        assert!(unknown.contains("SAVPF 99\r\n") && !unknown.contains("opus"));
        assert!(!offer(Some(SdpQuirk::NoFingerprint)).contains("fingerprint"));
        assert!(!offer(Some(SdpQuirk::NoIceCredentials)).contains("ice-"));
        assert!(!offer(Some(SdpQuirk::Garbage)).contains("v=0"));
        assert!(offer(Some(SdpQuirk::Empty)).is_empty());
    }

    #[test]
    fn a_right_answer_says_codec_and_direction() {
        let chosen = check_answer(&offer(None), &answer(), None).unwrap();
        assert_eq!(chosen.codec, Codec::Opus);
        assert_eq!(chosen.direction, Direction::SendRecv);
        let narrow = answer()
            .replace("111 110", "8 0")
            .replace("a=sendrecv", "a=recvonly");
        let chosen = check_answer(&offer(None), &narrow, None).unwrap();
        assert_eq!(
            (chosen.codec, chosen.direction),
            (Codec::Pcma, Direction::SendOnly)
        );
    }

    #[test]
    fn each_fault_is_named() {
        let check = |from: &str, to: &str, message: &str| {
            let spoiled = answer().replace(from, to);
            assert_ne!(spoiled, answer(), "{from}");
            let error = check_answer(&offer(None), &spoiled, Some(&answer()))
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{from} -> {to}: {error}");
        };
        check("v=0\r\n", "", "does not start with v=0");
        check("m=audio", "m=video", "m=video answers m=audio");
        check("audio 9 UDP", "audio 0 UDP", "refused");
        check("UDP/TLS/RTP/SAVPF", "RTP/AVP", "protocol RTP/AVP");
        check("a=mid:audio", "a=mid:0", "mid Some(\"0\")");
        check("SAVPF 111", "SAVPF 96 111", "96 was not offered");
        check("111 110", "111 110 110", "110 is listed twice");
        check("opus/48000/2", "G722/8000", "payload type 111 is");
        check("setup:active", "setup:actpass", "a=setup:actpass answers");
        check("a=setup:active\r\n", "", "(missing)");
        check("a=rtcp-mux\r\n", "", "rtcp-mux");
        check("a=ice-pwd:b\r\n", "", "ice-pwd");
        check("a=fingerprint:sha-256 BB\r\n", "", "fingerprint");
        check("SAVPF 111 110", "SAVPF 110", "no audio codec");
        check("o=- 9 1", "o=- 8 2", "the id stays");
        check("o=- 9 1", "o=- 9 7", "rises by one");
    }

    #[test]
    fn candidates_are_checked() {
        let good = "candidate:1 1 udp 2113937151 192.0.2.5 50000 typ host generation 0 ufrag Xy";
        assert_eq!(
            check_candidate(&format!("a={good}"), "audio").unwrap(),
            Some(good)
        );
        for ignored in [
            "",
            "a=end-of-candidates",
            "candidate:1 1 tcp 1 192.0.2.5 9 typ host tcptype active",
            "candidate:1 1 UDP 1 0b1c.local 5000 typ host",
        ] {
            assert_eq!(
                check_candidate(ignored, "audio").unwrap(),
                None,
                "{ignored}"
            );
        }
        for (wrong, mid) in [
            (good, "0"),
            ("nonsense", "audio"),
            ("candidate:1 1 udp", "audio"),
            ("candidate:1 1 udp 1 192.0.2.5 70000 typ host", "audio"),
            ("candidate:1 2 udp 1 192.0.2.5 5000 typ host", "audio"),
        ] {
            assert!(check_candidate(wrong, mid).is_err(), "{wrong} {mid}");
        }
    }

    #[test]
    fn an_answer_must_fit_the_offered_direction() {
        let held = offer(None).replace("a=sendrecv", "a=sendonly");
        let error = check_answer(&held, &answer(), None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("a=sendrecv answers a=sendonly"), "{error}");
        for fits in ["recvonly", "inactive"] {
            let answer = answer().replace("a=sendrecv", &format!("a={fits}"));
            assert!(check_answer(&held, &answer, None).is_ok(), "{fits}");
        }
        let active = offer(None).replace("actpass", "active");
        assert!(check_answer(&active, &answer(), None).is_err());
        assert!(check_answer(&active, &answer().replace("active", "passive"), None).is_ok());
    }
}
