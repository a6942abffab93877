//! The payload formats of a media section: `m=`, `a=rtpmap`, `a=fmtp`.

use super::COMFORT_NOISE;
use crate::media::sdp::value_of;
use crate::media::{CodecKind, MediaError};

/// The payload formats of a section, in the offer's order.
pub(super) struct Formats {
    /// Payload type, name, clock rate, `fmtp`.
    list: Vec<Format>,
}

struct Format {
    payload_type: u8,
    name: String,
    clock_rate: u32,
    fmtp: String,
}

impl Formats {
    pub(super) fn read(formats: &str, block: &[&str]) -> Self {
        let list = formats
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .filter(|payload_type| *payload_type < 128)
            .filter_map(|payload_type: u8| {
                let of_this = |name: &str| {
                    block
                        .iter()
                        .filter_map(|line| value_of(line, name))
                        .find_map(|value| {
                            let (word, rest) = value.split_once(' ')?;
                            (word.parse() == Ok(payload_type)).then(|| rest.trim())
                        })
                };
                // Static payload types need no rtpmap (RFC 3551 section 6).
                let map = of_this("rtpmap").or(match payload_type {
                    0 => Some("PCMU/8000"),
                    8 => Some("PCMA/8000"),
                    COMFORT_NOISE => Some("CN/8000"),
                    _ => None,
                })?;
                let mut parts = map.split('/');
                Some(Format {
                    payload_type,
                    name: parts.next()?.to_ascii_lowercase(),
                    clock_rate: parts.next()?.parse().ok()?,
                    fmtp: of_this("fmtp").unwrap_or_default().to_owned(),
                })
            })
            .collect();
        Self { list }
    }

    /// The first that the phone has.
    pub(super) fn choose(&self) -> Result<(u8, CodecKind), MediaError> {
        self.list
            .iter()
            .find_map(|format| {
                let codec = match (format.name.as_str(), format.clock_rate) {
                    ("opus", 48_000) => CodecKind::Opus,
                    ("pcmu", 8_000) => CodecKind::Pcmu,
                    ("pcma", 8_000) => CodecKind::Pcma,
                    _ => return None,
                };
                Some((format.payload_type, codec))
            })
            .ok_or_else(|| {
                let names: Vec<_> = self
                    .list
                    .iter()
                    .map(|format| format!("{}/{}", format.name, format.clock_rate))
                    .collect();
                MediaError::NoCommonCodec(if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                })
            })
    }

    /// RFC 4733 events share the audio's timestamps, so only the one at the audio's clock rate can be used.
    pub(super) fn telephone_event(&self, clock_rate: u32) -> Option<(u8, String)> {
        self.list
            .iter()
            .find(|format| format.name == "telephone-event" && format.clock_rate == clock_rate)
            .map(|format| (format.payload_type, format.fmtp.clone()))
    }

    /// Comfort noise beside `codec`, if that is of its clock rate.
    pub(super) fn comfort_noise(&self, codec: CodecKind) -> Option<u8> {
        let noise = |format: &&Format| format.name == "cn" && format.clock_rate == 8_000;
        let format = self.list.iter().find(noise)?;
        (codec.clock_rate() == 8_000).then_some(format.payload_type)
    }

    /// A parameter of a format's `fmtp`.
    pub(super) fn parameter(&self, payload_type: u8, name: &str) -> Option<&str> {
        let format = self
            .list
            .iter()
            .find(|format| format.payload_type == payload_type)?;
        format
            .fmtp
            .split(';')
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}
