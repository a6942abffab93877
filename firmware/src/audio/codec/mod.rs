//! Codecs as the pipeline sees them: 48 kHz `f32` on one side, RTP payloads on the other.

mod concealer;
mod g711;
mod opus;
mod resample;

use super::MAX_PAYLOAD_BYTES;
use super::adaptation::Tuning;
use super::pipeline::OpusConfig;
use crate::audio::CodecKind;

/// Longest packet there is, samples at 48 kHz: 120 ms (RFC 6716, 2.1.4). A longer G.711 payload is refused.
pub const MAX_PACKET_SAMPLES: usize = 5760;

/// An RTP payload.
pub type Payload = heapless::Vec<u8, MAX_PAYLOAD_BYTES>;

/// What the jitter buffer needs of a decoder. All lengths are samples at 48 kHz.
pub trait Decode {
    /// How long the packet is, if it can be told from its header.
    fn samples(&self, payload: &[u8]) -> Option<usize>;
    /// Decodes into the start of `out` ([`MAX_PACKET_SAMPLES`] long); how much, or `None` if refused.
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize>;
    /// Decodes the copy that `following` carries of the packet before it, which is `out.len()` long. False, and
    /// `out` untouched, if it carries none.
    fn recover(&mut self, following: &[u8], out: &mut [f32]) -> bool;
    /// Whether the packet carries a copy of the one before it.
    fn carries_copy(&self, payload: &[u8]) -> bool;
    /// Whether the packet says that nobody speaks from its end on, so that none follows until somebody does.
    fn rests(&self, payload: &[u8]) -> bool;
    /// From now until the next packet, [`Decode::conceal`] makes noise of this level, dB below the overload point
    /// (RFC 3389).
    fn comfort_noise(&mut self, level: u8);
    /// Makes up `out.len()` samples; a multiple of 120 (2.5 ms), at most [`MAX_PACKET_SAMPLES`].
    fn conceal(&mut self, out: &mut [f32]);
    /// Forgets what it heard.
    fn reset(&mut self);
}

/// Both decoders of a stream, made once.
pub struct Decoder {
    kind: CodecKind,
    opus: opus::OpusDecoder,
    g711: g711::G711Decoder,
}

impl Decoder {
    /// For any codec; starts with Opus.
    pub fn new() -> Result<Self, ::opus::Error> {
        Ok(Self {
            kind: CodecKind::Opus,
            opus: opus::OpusDecoder::new()?,
            g711: g711::G711Decoder::new(),
        })
    }

    /// Starts anew with a codec.
    pub fn start(&mut self, kind: CodecKind) {
        self.kind = kind;
        if let Some(law) = g711::Law::of(kind) {
            self.g711.set_law(law);
        }
        self.reset();
    }

    fn current(&mut self) -> &mut dyn Decode {
        match self.kind {
            CodecKind::Opus => &mut self.opus,
            CodecKind::Pcmu | CodecKind::Pcma => &mut self.g711,
        }
    }
}

impl Decode for Decoder {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        match self.kind {
            CodecKind::Opus => self.opus.samples(payload),
            CodecKind::Pcmu | CodecKind::Pcma => self.g711.samples(payload),
        }
    }

    fn carries_copy(&self, payload: &[u8]) -> bool {
        match self.kind {
            CodecKind::Opus => self.opus.carries_copy(payload),
            CodecKind::Pcmu | CodecKind::Pcma => self.g711.carries_copy(payload),
        }
    }

    fn rests(&self, payload: &[u8]) -> bool {
        match self.kind {
            CodecKind::Opus => self.opus.rests(payload),
            CodecKind::Pcmu | CodecKind::Pcma => self.g711.rests(payload),
        }
    }

    fn comfort_noise(&mut self, level: u8) {
        self.current().comfort_noise(level);
    }

    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        self.current().decode(payload, out)
    }

    fn recover(&mut self, following: &[u8], out: &mut [f32]) -> bool {
        self.current().recover(following, out)
    }

    fn conceal(&mut self, out: &mut [f32]) {
        self.current().conceal(out);
    }

    fn reset(&mut self) {
        self.current().reset();
    }
}

/// Both encoders of a stream, made once.
pub struct Encoder {
    kind: CodecKind,
    opus: opus::OpusEncoder,
    g711: g711::G711Encoder,
}

impl Encoder {
    /// For any codec; starts with Opus.
    pub fn new(config: OpusConfig) -> Result<Self, ::opus::Error> {
        Ok(Self {
            kind: CodecKind::Opus,
            opus: opus::OpusEncoder::new(config)?,
            g711: g711::G711Encoder::new(),
        })
    }

    /// Starts anew with a codec.
    pub fn start(&mut self, kind: CodecKind) {
        self.kind = kind;
        match g711::Law::of(kind) {
            Some(law) => self.g711.start(law),
            None => self.opus.reset(),
        }
    }

    /// Follows the network. G.711 has nothing to tune.
    pub fn tune(&mut self, tuning: Tuning) {
        self.opus.tune(tuning);
    }

    /// Encodes 10, 20, 40 or 60 ms into `payload`; false if the codec refuses.
    pub fn encode(&mut self, sound: &[f32], payload: &mut Payload) -> bool {
        match self.kind {
            CodecKind::Opus => self.opus.encode(sound, payload),
            CodecKind::Pcmu | CodecKind::Pcma => self.g711.encode(sound, payload),
        }
    }
}

/// RTP clock ticks times this are samples at 48 kHz (RFC 7587 4.1: Opus always 48 kHz; RFC 3551 4.5.14: G.711
/// 8 kHz).
pub const fn samples_per_tick(kind: CodecKind) -> i64 {
    match kind {
        CodecKind::Opus => 1,
        CodecKind::Pcmu | CodecKind::Pcma => 6,
    }
}
