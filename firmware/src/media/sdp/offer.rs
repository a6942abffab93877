//! Reading an offer (RFC 8866, RFC 9429).

mod formats;

use super::candidate::{Candidate, is_ice_chars};
use super::{attribute, value_of};
use crate::audio::SendLimits;
use crate::media::{CodecKind, MediaError};
use formats::Formats;
use std::fmt::Write as _;

/// Longest offer read, bytes. A browser's with video is below 10,000.
const MAX_OFFER: usize = 64 * 1024;
/// Most candidates taken from one offer.
const MAX_CANDIDATES: usize = 64;
/// Frame lengths the audio pipeline makes, milliseconds.
const FRAMES_MS: [u8; 4] = [10, 20, 40, 60];
/// Payload type of audio as the stack knows it.
pub const STACK_AUDIO: u8 = 111;
/// Payload type of key tones as the stack knows it.
pub const STACK_KEYS: u8 = 110;
/// Static payload type of comfort noise at 8 kHz (RFC 3389 section 4, RFC 3551 section 6).
pub const COMFORT_NOISE: u8 = 13;
/// Media section name used towards the stack and in candidates when the offer names none.
const DEFAULT_MID: &str = "audio";

/// An offer with audio we can answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// All media sections, in order.
    pub(super) sections: Vec<Section>,
    /// Which of them is our audio.
    pub(super) audio: usize,
    /// Whether the offer bundles our section (`a=group:BUNDLE`).
    pub(super) bundled: bool,
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub(super) pwd: String,
    /// `sha-256 AA:BB:...`.
    pub(super) fingerprint: String,
    /// Who may be the DTLS client.
    pub setup: Setup,
    /// What the far end offers to do.
    pub direction: Direction,
    /// The far end is an ICE-lite server.
    pub ice_lite: bool,
    /// Codec chosen: the first of the offer that we have.
    pub codec: CodecKind,
    /// Its payload type.
    pub payload_type: u8,
    /// telephone-event at the codec's clock rate, and its `fmtp`.
    pub(super) telephone_event: Option<(u8, String)>,
    /// Comfort noise (RFC 3389) beside G.711, which cannot tell silence itself as Opus does.
    pub noise_payload_type: Option<u8>,
    /// Reduced-size RTCP (RFC 5506) offered.
    pub(super) reduced_rtcp: bool,
    /// `a=ptime`, milliseconds.
    ptime: Option<u16>,
    /// `a=maxptime`, milliseconds.
    maxptime: Option<u16>,
    /// Opus `minptime`, milliseconds.
    minptime: Option<u16>,
    /// `b=AS`, bits per second; 0: not said.
    bandwidth_bps: u32,
    /// `b=TIAS`, bits per second; 0: not said.
    rtp_bps: u32,
    /// Opus `maxaveragebitrate`, bits per second; 0: not said.
    codec_bps: u32,
    /// Usable candidates.
    pub candidates: Vec<Candidate>,
}

/// A media section as far as a rejection needs it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// `audio`, `video`, `application`.
    pub media: String,
    /// `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The formats, as they were.
    pub formats: String,
    /// `a=mid`.
    pub mid: Option<String>,
}

/// `a=setup` (RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the RFC names them")]
pub enum Setup {
    ActPass,
    Active,
    Passive,
}

/// Media direction, seen by its writer (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the RFC names them")]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Offer {
    /// Reads `text`.
    ///
    /// # Errors
    /// `BadSdp`, `NoAudio` or `NoCommonCodec`.
    pub fn parse(text: &str) -> Result<Self, MediaError> {
        if text.len() > MAX_OFFER {
            return Err(bad(format!(
                "{} bytes are more than {MAX_OFFER}",
                text.len()
            )));
        }
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        if lines.first() != Some(&"v=0") {
            return Err(bad("it does not begin with v=0"));
        }
        let first_media = lines
            .iter()
            .position(|line| line.starts_with("m="))
            .unwrap_or(lines.len());
        let (session, media) = lines.split_at(first_media);
        let blocks = split_sections(media);
        let sections = blocks
            .iter()
            .map(|block| Section::parse(block))
            .collect::<Result<Vec<_>, _>>()?;
        let (audio, block) = blocks
            .iter()
            .enumerate()
            .find(|(index, block)| sections[*index].media == "audio" && !is_rejected(block))
            .ok_or(MediaError::NoAudio)?;
        Self::from_parts(session, block, sections.clone(), audio)
    }

    fn from_parts(
        session: &[&str],
        block: &[&str],
        sections: Vec<Section>,
        audio: usize,
    ) -> Result<Self, MediaError> {
        // Section first, then session (RFC 8839 section 5.4, RFC 8122 section 5).
        let either = |name: &str| attribute(block, name).or_else(|| attribute(session, name));
        let formats = Formats::read(&sections[audio].formats, block);
        let (payload_type, codec) = formats.choose()?;
        let ufrag = either("ice-ufrag").ok_or_else(|| bad("there is no a=ice-ufrag"))?;
        let pwd = either("ice-pwd").ok_or_else(|| bad("there is no a=ice-pwd"))?;
        if !is_ice_chars(ufrag, 4, 256) || !is_ice_chars(pwd, 22, 256) {
            return Err(bad("a=ice-ufrag or a=ice-pwd is malformed"));
        }
        let setup = match either("setup") {
            None | Some("actpass") => Setup::ActPass,
            Some("active") => Setup::Active,
            Some("passive") => Setup::Passive,
            Some(_) => return Err(bad("a=setup is none of actpass, active, passive")),
        };
        let direction = block
            .iter()
            .find_map(|line| Direction::parse(line))
            .or_else(|| session.iter().find_map(|line| Direction::parse(line)))
            .unwrap_or(Direction::SendRecv);
        let mid = sections[audio].mid.as_deref();
        let bundled = mid.is_some_and(|mid| {
            session
                .iter()
                .filter_map(|line| value_of(line, "group"))
                .filter_map(|group| group.strip_prefix("BUNDLE"))
                .any(|mids| mids.split_ascii_whitespace().any(|word| word == mid))
        });
        let milliseconds = |name: &str| attribute(block, name).and_then(|value| value.parse().ok());
        // The session's holds for a section that has none of its own (RFC 8866 section 5.8).
        let limit = |name: &str| {
            let said = bandwidth(block, name);
            said.or_else(|| bandwidth(session, name)).unwrap_or(0)
        };
        Ok(Self {
            audio,
            bundled,
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
            fingerprint: fingerprint(block).or_else(|| fingerprint(session)).ok_or_else(|| {
                bad("there is no a=fingerprint with sha-256, sha-384 or sha-512: the media would not be encrypted")
            })?,
            setup,
            direction,
            ice_lite: attribute(session, "ice-lite").is_some(),
            codec,
            payload_type,
            telephone_event: formats.telephone_event(codec.clock_rate()),
            noise_payload_type: formats.comfort_noise(codec),
            reduced_rtcp: attribute(block, "rtcp-rsize").is_some(),
            ptime: milliseconds("ptime"),
            maxptime: milliseconds("maxptime"),
            minptime: formats.parameter(payload_type, "minptime").and_then(|value| value.parse().ok()),
            bandwidth_bps: limit("AS").saturating_mul(1000),
            rtp_bps: limit("TIAS"),
            codec_bps: match codec {
                CodecKind::Opus => formats
                    .parameter(payload_type, "maxaveragebitrate")
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(0),
                CodecKind::Pcmu | CodecKind::Pcma => 0,
            },
            candidates: block
                .iter()
                .filter_map(|line| Candidate::parse(line).ok())
                .take(MAX_CANDIDATES)
                .collect(),
            sections,
        })
    }

    /// Name of our media section: `a=mid`, or "audio" if the offer has none.
    pub fn mid(&self) -> &str {
        self.sections[self.audio]
            .mid
            .as_deref()
            .unwrap_or(DEFAULT_MID)
    }

    /// Payload type of telephone-event at the codec's clock rate.
    pub fn dtmf_payload_type(&self) -> Option<u8> {
        self.telephone_event
            .as_ref()
            .map(|(payload_type, _)| *payload_type)
    }

    /// The frame length to send, milliseconds: `a=ptime` if given, else `wanted`; not above `a=maxptime`, not below
    /// Opus's `minptime` (RFC 8866 section 6.4, RFC 7587 section 6.1), and one the pipeline makes.
    pub fn frame_ms(&self, wanted: u8) -> u8 {
        let wanted = self.ptime.unwrap_or(u16::from(wanted));
        let most = self.maxptime.unwrap_or(u16::MAX);
        let least = self.minptime.unwrap_or(0).min(most);
        let mut allowed = FRAMES_MS
            .iter()
            .filter(|ms| (least..=most).contains(&u16::from(**ms)));
        let smallest = allowed.clone().next();
        allowed
            .rfind(|ms| u16::from(**ms) <= wanted)
            .or(smallest)
            .copied()
            .unwrap_or(FRAMES_MS[0])
    }

    /// What may be sent, in frames of up to `longest_ms`, but not above `a=maxptime`. A limit of 0 is none: it has been
    /// used to put calls on hold, which `a=inactive` says better.
    /// - `b=AS` is in kbit/s and counts all headers (RFC 8866 section 5.8, RFC 3550 section 6.2);
    /// - `b=TIAS` is in bit/s and counts neither IP's nor UDP's (RFC 3890 section 6.2.2);
    /// - `maxaveragebitrate` counts no headers (RFC 7587 section 6.1).
    pub fn send_limits(&self, longest_ms: u8) -> SendLimits {
        let most = self.maxptime.unwrap_or(u16::MAX).min(longest_ms.into());
        let longest = FRAMES_MS.iter().rfind(|ms| u16::from(**ms) <= most);
        SendLimits {
            longest_ms: longest.copied().unwrap_or(FRAMES_MS[0]),
            bandwidth_bps: self.bandwidth_bps,
            rtp_bps: self.rtp_bps,
            codec_bps: self.codec_bps,
        }
    }

    /// A plain offer for the stack, of one section that is always the same but for the transport. The stack carries
    /// packets and need not know what is in them:
    /// - the same two payload types whatever the codec (our interceptor puts the agreed ones on the wire), because
    ///   the stack settles its codecs with the first offer and refuses another later, and matches telephone-event
    ///   without its clock rate: it answers one payload type twice and would send G.711's key tones at 48 kHz;
    /// - always `sendrecv`, because the stack answers a hold with `sendrecv` and stops the transceiver on
    ///   `inactive`: holding is done by the answer's text and by our own gates;
    /// - always `actpass`, because the stack answers `active` with `active`; the role is configured instead;
    /// - no candidates of component 2, of TCP or with names.
    pub fn for_stack(&self) -> String {
        let mid = self.mid();
        let mut out = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n{lite}a=ice-options:trickle\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF {STACK_AUDIO} {STACK_KEYS}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{}\r\na=setup:actpass\r\na=sendrecv\r\na=rtcp-mux\r\n\
             a=rtpmap:{STACK_AUDIO} opus/48000/2\r\na=rtpmap:{STACK_KEYS} telephone-event/48000\r\n",
            self.ufrag,
            self.pwd,
            self.fingerprint,
            lite = if self.ice_lite { "a=ice-lite\r\n" } else { "" },
        );
        for candidate in &self.candidates {
            let _ = write!(out, "a={candidate}\r\n");
        }
        out
    }
}

impl Section {
    fn parse(block: &[&str]) -> Result<Self, MediaError> {
        let line = block
            .first()
            .and_then(|line| line.strip_prefix("m="))
            .unwrap_or_default();
        let mut words = line.splitn(4, ' ');
        let (Some(media), Some(_port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(bad("a media line has no port or no protocol"));
        };
        let mid = attribute(block, "mid").filter(|mid| !mid.is_empty());
        // A token (RFC 8866 section 9): it is copied into our answer and to the stack.
        if mid.is_some_and(|mid| mid.len() > 64 || !mid.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(bad("a=mid is malformed"));
        }
        Ok(Self {
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            formats: words.next().unwrap_or_default().trim().to_owned(),
            mid: mid.map(str::to_owned),
        })
    }
}

impl Direction {
    /// What the answer says to an offer of this direction when we are willing to do both (RFC 3264 section 6.1).
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            other => other,
        }
    }

    /// Whether its writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether its writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let name = line.strip_prefix("a=")?;
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.name() == name)
    }
}

impl CodecKind {
    /// RTP clock rate, Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// `a=rtpmap` value. Opus is always signalled with two channels (RFC 7587 section 7).
    pub(super) fn rtpmap(self) -> &'static str {
        match self {
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
        }
    }

    /// `a=fmtp` value: what we like to receive. In-band FEC repairs single losses (RFC 7587 section 6.1).
    pub(super) fn fmtp(self) -> Option<&'static str> {
        match self {
            Self::Opus => Some("minptime=10;useinbandfec=1"),
            Self::Pcmu | Self::Pcma => None,
        }
    }
}

/// The value of the first `b=name:value`; `None` also for one that is no number, or more than anybody sends.
fn bandwidth(lines: &[&str], name: &str) -> Option<u32> {
    lines.iter().find_map(|line| {
        let value = line.strip_prefix("b=")?.strip_prefix(name)?;
        value.strip_prefix(':')?.trim().parse().ok()
    })
}

/// Cuts the lines from the first `m=` on into sections.
fn split_sections<'a, 'b>(lines: &'b [&'a str]) -> Vec<&'b [&'a str]> {
    let mut starts: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("m="))
        .map(|(index, _)| index)
        .collect();
    starts.push(lines.len());
    starts
        .windows(2)
        .map(|pair| &lines[pair[0]..pair[1]])
        .collect()
}

/// Port 0 rejects a section (RFC 3264 section 6), unless it is bundle-only (RFC 9143 section 6).
fn is_rejected(block: &[&str]) -> bool {
    let port = block.first().and_then(|line| line.split(' ').nth(1));
    port == Some("0") && attribute(block, "bundle-only").is_none()
}

/// The strongest usable `a=fingerprint` (RFC 8122), with its hexadecimal checked.
fn fingerprint(lines: &[&str]) -> Option<String> {
    let all: Vec<&str> = lines
        .iter()
        .filter_map(|line| value_of(line, "fingerprint"))
        .collect();
    [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)]
        .into_iter()
        .find_map(|(algorithm, length)| {
            all.iter().find_map(|value| {
                let (name, hexadecimal) = value.split_once(' ')?;
                let hexadecimal = hexadecimal.trim();
                let right = name.eq_ignore_ascii_case(algorithm)
                    && hexadecimal.split(':').count() == length
                    && hexadecimal
                        .split(':')
                        .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
                right.then(|| format!("{algorithm} {}", hexadecimal.to_ascii_uppercase()))
            })
        })
}

fn bad(why: impl Into<String>) -> MediaError {
    MediaError::BadSdp(why.into())
}

#[cfg(test)]
mod tests;
