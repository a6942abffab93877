//! The codecs, by name.

use serde::Serialize;

/// A codec as negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecKind {
    /// RFC 6716, RFC 7587; 48 kHz.
    Opus,
    /// G.711 mu-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
}
