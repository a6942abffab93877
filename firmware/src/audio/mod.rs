//! The fixed-buffer pipeline: jitter buffer, Opus and G.711, mixing, tones. One real-time thread calls
//! [`Engine::process`] once per 10 ms period; queues to other threads are `heapless::spsc`.
//!
//! [`pipeline`] allocates everything once; from then on the audio thread neither allocates, locks, logs nor
//! makes a system call of its own (design, invariant 3; `tests/audio_no_alloc` proves it).
//!
//! Inside, sound is mono `f32`, full scale +-1, 48 kHz, in [`Frame`]s of one period.
//!
//! SEAM: packets, ports, commands and counters below.

#![cfg_attr(
    test,
    allow(
        clippy::float_cmp,
        reason = "the tests compare samples that must be exact"
    )
)]

mod adaptation;
mod arena;
mod canceller;
mod capture;
mod clock;
mod codec;
mod counters;
mod engine;
mod feedback;
mod jitter;
mod kind;
mod leveller;
mod mixer;
mod oscillator;
mod pipeline;
mod pitch;
mod ramp;
pub mod realtime;
mod reference;
mod residue;
mod ringer;
mod sender;
mod sleeper;
mod stream;
pub mod thread;
pub mod tones;
mod voice;

#[cfg(test)]
pub(crate) mod tests;

pub use crate::device::choices::TonePlan;
pub use engine::Engine;
pub use feedback::{Feedback, SendLimits};
pub use kind::CodecKind;
pub use pipeline::{AudioSetupError, Control, EngineConfig, Full, Levels, OpusConfig, pipeline};
pub use ringer::{Ringer, RingerControl, ringer};
pub use sleeper::Sleeper;

use std::time::Instant;

/// Streams (sessions with media) at once. Four line keys, four calls.
pub const MAX_STREAMS: usize = 4;
/// Largest RTP payload carried, bytes: what an Ethernet frame takes; a bigger packet is dropped and counted.
pub const MAX_PAYLOAD_BYTES: usize = 1500;
/// Commands that wait for the audio thread.
pub const COMMAND_QUEUE: usize = 64;
/// Packets between `media` and the audio thread, each way. Power of two not needed; one slot of spsc is always free.
/// When full the newest packet is dropped and counted (the producer of an spsc queue cannot drop the oldest).
pub const PACKET_QUEUE: usize = 64;

/// One period of sound inside the pipeline: 10 ms, mono, 48 kHz, full scale +-1.
pub type Frame = [f32; offhook_hal::audio::PERIOD_FRAMES];

/// What a packet is to the ear. `media` tells: it knows which payload types were agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sound, by the stream's codec.
    Audio,
    /// How loud the far end's silence is (RFC 3389).
    ComfortNoise,
    /// Nothing to be heard, as a telephone event. It counts in the source's sequence all the same, so it must be known
    /// not to be lost.
    Nothing,
}

/// An RTP packet from the far end, as it arrived.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// What it is.
    pub content: Content,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in the codec's RTP clock (Opus 48 kHz, G.711 8 kHz).
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Marker: first packet of a talk spurt.
    pub marker: bool,
    /// When it came off the socket.
    pub arrival: Instant,
    /// Encoded audio, or the level of comfort noise.
    pub payload: heapless::Vec<u8, MAX_PAYLOAD_BYTES>,
}

/// One encoded frame on its way to the wire.
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    /// Length in 48 kHz samples; `media` turns it into RTP clock units.
    pub samples: u32,
    /// First frame after silence (marker bit).
    pub talk_spurt: bool,
    /// Encoded audio. Empty: nothing is to be sent, the time goes by (discontinuous transmission).
    pub payload: heapless::Vec<u8, MAX_PAYLOAD_BYTES>,
}

/// Queue towards the audio thread: `media` holds the producer.
pub type RtpProducer = heapless::spsc::Producer<'static, RtpPacket>;
/// Queue from the audio thread: `media` holds the consumer and polls it.
pub type FrameConsumer = heapless::spsc::Consumer<'static, EncodedFrame>;

/// `media`'s ends of one stream. Made once per stream of the engine, handed to a peer and back to the pool after it.
pub struct StreamPort {
    /// Which stream of the engine, `0..MAX_STREAMS`.
    pub stream: usize,
    /// Towards the ear.
    pub inbound: RtpProducer,
    /// From the microphone.
    pub outbound: FrameConsumer,
    /// What the far end says of what it got.
    pub feedback: Feedback,
}

impl std::fmt::Debug for StreamPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StreamPort({})", self.stream)
    }
}

/// What the rest of the phone tells the audio thread. Small, `Copy`; goes through a fixed-size spsc queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AudioCommand {
    /// Start decoding and encoding on a stream.
    StartStream {
        /// Which.
        stream: usize,
        /// Codec both ways.
        codec: CodecKind,
        /// Frame to send, milliseconds: 10, 20, 40, 60; longer ones where a limit asks for it ([`SendLimits`]).
        frame_ms: u8,
    },
    /// Stop it and forget its buffers.
    StopStream {
        /// Which.
        stream: usize,
    },
    /// Where the microphone goes; other started streams send silence frames so that NAT and jitter buffers stay warm.
    Microphone {
        /// `None`: nowhere.
        stream: Option<usize>,
    },
    /// Mute gate, ramped.
    Mute(bool),
    /// Whether the ear hears (handset lifted, or speaker on). Tones and far end are silent otherwise; the ring is not.
    Listen(bool),
    /// Continuous tone with its cadence, or none.
    Tone(Option<Tone>),
    /// A key's DTMF pair in the ear, for as long as it is held (at least 80 ms).
    KeyTone(Option<KeyTone>),
    /// Ring.
    Ring(bool),
    /// Volume of the ear, percent.
    Volume(u8),
    /// Volume of the ring, percent.
    RingVolume(u8),
    /// Which country's tones.
    Plan(TonePlan),
    /// The sound now takes this path: its microphone's processing, and whether there is sidetone.
    Path(SoundPath),
}

/// The ways sound takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoundPath {
    /// At the ear: hardly an echo, and a sidetone.
    #[default]
    Handset,
    /// Loudspeaker and a microphone that hears it; no sidetone, it would howl.
    Speaker,
    /// At both ears, with a sidetone.
    Headset,
}

/// What is done to a path's microphone. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VoiceConfig {
    /// Takes what the loudspeaker plays out of what the microphone hears.
    pub echo_cancelling: Option<EchoCancelling>,
    /// Takes steady noise out.
    pub noise_suppression: NoiseSuppression,
    /// Brings quiet and loud speakers to one level.
    pub gain_control: Option<GainControl>,
}

/// How an echo is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoCancelling {
    /// How much later the microphone hears the loudspeaker than the sound device's own delays say: an amplifier or
    /// loudspeaker that keeps the sound for a while. Milliseconds, 0..=100.
    pub extra_delay_ms: u8,
    /// By how much more what is left is turned down while nobody speaks here, decibel, 0..=40.
    pub gate_db: u8,
}

impl Default for EchoCancelling {
    /// A loudspeaker that hangs on the sound device.
    fn default() -> Self {
        Self {
            extra_delay_ms: 0,
            gate_db: 24,
        }
    }
}

/// To which level speakers are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GainControl {
    /// How far below full scale the peaks of a voice come to lie, decibel, 1..=30.
    pub headroom_db: u8,
    /// The most it makes a voice louder by, decibel, 1..=40.
    pub most_db: u8,
}

impl Default for GainControl {
    /// More gain would make a shout of a quiet room.
    fn default() -> Self {
        Self {
            headroom_db: 5,
            most_db: 18,
        }
    }
}

/// How much steady noise is turned down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseSuppression {
    /// Not.
    #[default]
    Off,
    /// By about 6 dB.
    Low,
    /// By about 12 dB.
    Moderate,
    /// By about 18 dB.
    High,
}

/// Call progress tones (ITU-T E.180; the table says whose).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Lift: ready to dial.
    Dial,
    /// The far end rings.
    Ringback,
    /// The far end is busy, or has hung up.
    Busy,
    /// The call cannot be made.
    Reorder,
    /// Another call waits.
    CallWaiting,
}

/// A DTMF key (ITU-T Q.23): `0-9 * # A-D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTone(pub char);

/// A snapshot of the audio thread's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AudioCounters {
    /// Periods processed.
    pub periods: u64,
    /// Under- and overruns of the sound device recovered.
    pub xruns: u64,
    /// Commands that could not be queued.
    pub commands_dropped: u64,
    /// Encoded frames that found the queue full.
    pub frames_dropped: u64,
}

/// A snapshot of one stream's counters, since the stream was started last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamCounters {
    /// Started.
    pub active: bool,
    /// Packets taken.
    pub packets: u64,
    /// Came after their time, and were dropped.
    pub late: u64,
    /// Never came.
    pub lost: u64,
    /// Came twice.
    pub duplicate: u64,
    /// Came after a packet with a higher sequence number.
    pub reordered: u64,
    /// Of another source, or refused by the decoder.
    pub refused: u64,
    /// Samples made up by concealment (48 kHz).
    pub concealed_samples: u64,
    /// Lost packets recovered by Opus in-band FEC.
    pub fec_recovered: u64,
    /// Samples taken out or put in by time-stretching (48 kHz).
    pub stretched_samples: u64,
    /// Times the far end started anew: another source, or a jump of sequence or timestamp.
    pub restarts: u64,
    /// Jitter buffer delay now, milliseconds: from the arrival of the quickest packets to their first sample's
    /// way to the device.
    pub delay_ms: f32,
    /// Its mean over all the time that something was played, milliseconds.
    pub mean_delay_ms: f32,
    /// Its target, milliseconds.
    pub target_ms: f32,
    /// Frames encoded and queued for the wire.
    pub frames_sent: u64,
    /// Frames encoded that found the queue full.
    pub frames_dropped: u64,
}
