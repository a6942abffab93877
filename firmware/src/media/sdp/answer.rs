//! Writing the answer.

use super::candidate::Candidate;
use super::{Offer, Setup, attribute};
use crate::media::MediaError;
use std::fmt::Write as _;

/// Our end of the transport and our source, as the stack has made them.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalSide {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// `sha-256 AA:BB:...`.
    pub fingerprint: String,
    /// Candidates already known: none in the first answer (they trickle), all in the answer to an ICE restart,
    /// where the stack does not gather anew.
    pub candidates: Vec<Candidate>,
}

impl LocalSide {
    /// Takes what the answer needs from the description the stack made.
    pub fn read(stack_answer: &str) -> Result<Self, MediaError> {
        let lines: Vec<&str> = stack_answer.lines().map(str::trim_end).collect();
        let needed = |name: &'static str| {
            attribute(&lines, name)
                .map(str::to_owned)
                .ok_or_else(|| MediaError::Stack {
                    what: "reading its answer",
                    detail: format!("there is no a={name}"),
                })
        };
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in lines.iter().filter_map(|line| Candidate::parse(line).ok()) {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        Ok(Self {
            ufrag: needed("ice-ufrag")?,
            pwd: needed("ice-pwd")?,
            fingerprint: needed("fingerprint")?,
            candidates,
        })
    }
}

/// What stays the same in all the answers of one peer, and the version that does not.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Session id: the same all the time.
    pub session: u64,
    /// Goes up by one with each answer (RFC 3264 section 8); the stack draws it at random.
    pub version: u64,
    /// Our RTP source.
    pub ssrc: u32,
    /// Canonical name of it in RTCP.
    pub cname: String,
    /// DTLS role, kept for the life of the association (RFC 8842 section 5.5).
    pub setup: Setup,
}

/// The answer's text. Sections come in the offer's order; all but our audio are rejected.
pub fn answer(offer: &Offer, local: &LocalSide, origin: &Origin) -> String {
    let mut out = format!(
        "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
        origin.session, origin.version
    );
    if offer.bundled {
        let _ = write!(out, "a=group:BUNDLE {}\r\n", offer.mid());
    }
    out.push_str("a=msid-semantic: WMS *\r\n");
    for (index, section) in offer.sections.iter().enumerate() {
        if index == offer.audio {
            write_audio(&mut out, offer, local, origin);
            continue;
        }
        // RFC 3264 section 6: port 0, the rest as offered.
        let _ = write!(
            out,
            "m={} 0 {} {}\r\nc=IN IP4 0.0.0.0\r\n",
            section.media,
            section.protocol,
            if section.formats.is_empty() {
                "0"
            } else {
                &section.formats
            }
        );
        if let Some(mid) = &section.mid {
            let _ = write!(out, "a=mid:{mid}\r\n");
        }
    }
    out
}

fn write_audio(out: &mut String, offer: &Offer, local: &LocalSide, origin: &Origin) {
    let section = &offer.sections[offer.audio];
    let codec = offer.payload_type;
    let _ = write!(out, "m=audio 9 {} {codec}", section.protocol);
    if let Some(payload_type) = offer.noise_payload_type {
        let _ = write!(out, " {payload_type}");
    }
    if let Some((payload_type, _)) = &offer.telephone_event {
        let _ = write!(out, " {payload_type}");
    }
    let _ = write!(
        out,
        "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
         a=ice-options:trickle\r\na=fingerprint:{}\r\na=setup:{}\r\n",
        local.ufrag,
        local.pwd,
        local.fingerprint,
        match origin.setup {
            Setup::Passive => "passive",
            _ => "active",
        }
    );
    if let Some(mid) = &section.mid {
        let _ = write!(out, "a=mid:{mid}\r\n");
    }
    let _ = write!(
        out,
        "a={}\r\na=msid:offhook audio\r\na=rtcp-mux\r\n",
        offer.direction.reversed().name()
    );
    if offer.reduced_rtcp {
        out.push_str("a=rtcp-rsize\r\n");
    }
    let _ = write!(out, "a=rtpmap:{codec} {}\r\n", offer.codec.rtpmap());
    if let Some(fmtp) = offer.codec.fmtp() {
        let _ = write!(out, "a=fmtp:{codec} {fmtp}\r\n");
    }
    // Whoever answers it says that he plays it (RFC 3264 section 6.1); we need not send any.
    if let Some(payload_type) = offer.noise_payload_type {
        let _ = write!(out, "a=rtpmap:{payload_type} CN/8000\r\n");
    }
    if let Some((payload_type, fmtp)) = &offer.telephone_event {
        let _ = write!(
            out,
            "a=rtpmap:{payload_type} telephone-event/{}\r\n",
            offer.codec.clock_rate()
        );
        if !fmtp.is_empty() {
            // 0-15: the sixteen keys (RFC 4733 section 2.4.1).
            let _ = write!(out, "a=fmtp:{payload_type} 0-15\r\n");
        }
    }
    // cname alone: the old msid, mslabel and label attributes of a source trouble some servers.
    let _ = write!(out, "a=ssrc:{} cname:{}\r\n", origin.ssrc, origin.cname);
    for candidate in &local.candidates {
        let _ = write!(out, "a={candidate}\r\n");
    }
}
