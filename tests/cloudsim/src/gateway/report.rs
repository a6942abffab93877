//! What a leg saw and heard, in numbers.

use serde::{Deserialize, Serialize};

use crate::measure::ToneLevel;

/// A snapshot of one leg. Times are milliseconds since the Unix epoch, so that they compare with
/// another process's clock on the same machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LegReport {
    /// Where the connection is.
    pub state: LegState,
    /// `native` for this crate's own peer, `browser` for a web page's.
    pub peer: String,
    /// Encoding name of what the phone sends (`opus`, `PCMU`, `PCMA`), once known.
    pub codec: Option<String>,
    /// The far end, as its text form.
    pub far_end: String,
    /// The cloud holds the call: silence both ways.
    pub held: bool,
    /// The cloud mutes the phone: the far end hears silence.
    pub muted: bool,

    /// Audio packets from the phone (digits included).
    pub packets_in: u64,
    /// Payload bytes from the phone.
    pub bytes_in: u64,
    /// How long the last packet from the phone but one was, by the timestamps of both, ms.
    pub frame_in_ms: f64,
    /// Audio packets to the phone.
    pub packets_out: u64,
    /// Payload bytes to the phone.
    pub bytes_out: u64,
    /// Packets from the phone that never came, by sequence number.
    pub lost: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Longest time between two packets from the phone, ms.
    pub max_gap_ms: f64,
    /// Interarrival jitter of the phone's stream (RFC 3550 section 6.4.1), ms.
    pub jitter_ms: f64,
    /// Packets that came too late to be heard.
    pub late: u64,
    /// 20 ms frames the far end's playout had to conceal.
    pub concealed_frames: u64,
    /// Round-trip time from the phone's RTCP report blocks, ms.
    pub rtt_ms: Option<f64>,
    /// Packets to the phone it says it lost (RTCP report block, cumulative).
    pub remote_lost: Option<i64>,
    /// RTCP packets received from the phone.
    pub rtcp_in: u64,

    /// What the far end heard over the last second.
    pub level_in: Level,
    /// What the far end said over the last second.
    pub level_out: Level,

    /// The tones in what the far end said over the last second, while it is more than one party.
    pub tones_out: Vec<ToneLevel>,
    /// The parties without a phone of their own, while there is more than one party.
    pub parties: Vec<PartyReport>,

    /// When the offer was made.
    pub offered_at: Option<f64>,
    /// When the answer was applied.
    pub answered_at: Option<f64>,
    /// When ICE and DTLS were up.
    pub connected_at: Option<f64>,
    /// When the first packet from the phone arrived.
    pub first_packet_in_at: Option<f64>,
    /// When the first packet to the phone was sent.
    pub first_packet_out_at: Option<f64>,
    /// When the first sound (a 20 ms frame above -50 dBFS) from the phone was decoded.
    pub first_sound_in_at: Option<f64>,

    /// What the described network did to the packets to the phone so far, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,

    /// Digits heard by RFC 4733, oldest first.
    pub dtmf: Vec<DtmfDigit>,
    /// Why the leg failed.
    pub error: Option<String>,
    /// What the page's `getStats` said, when the far end is a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<serde_json::Value>,
}

/// What a described network did to a leg's packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Delivery {
    /// Packets handed to the phone.
    pub delivered: u64,
    /// Packets it lost.
    pub lost: u64,
    /// What the quickest took, ms.
    pub least_ms: f64,
    /// What all took together, ms: over `delivered`, their mean.
    pub total_ms: f64,
}

/// One party of a call of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartyReport {
    /// `P`.
    pub participant_id: String,
    /// What it says, as its text form.
    pub far_end: String,
    /// Whether the phone hears it.
    pub to_phone: bool,
    /// Whom it is to hear: `phone`, participants, sessions of other phones.
    pub hears: Vec<String>,
    /// What it heard over the last second.
    pub level: Level,
    /// The tones in that, loudest first.
    pub tones: Vec<ToneLevel>,
}

impl PartyReport {
    /// Whether it heard a tone within 5 Hz of this frequency.
    pub fn heard(&self, hz: f32) -> bool {
        self.tones.iter().any(|tone| (tone.hz - hz).abs() < 5.0)
    }
}

/// Where a leg's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegState {
    /// No offer yet.
    #[default]
    New,
    /// An offer is out.
    Offered,
    /// The answer was applied; ICE and DTLS run.
    Connecting,
    /// Media can flow.
    Connected,
    /// ICE lost the phone; it may come back.
    Disconnected,
    /// ICE or DTLS gave up.
    Failed,
    /// Closed by either side.
    Closed,
}

/// Level and pitch of a stretch of sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Level {
    /// RMS in dB relative to a full-scale sine; -100 for silence.
    pub dbfs: f32,
    /// Strongest frequency in Hz; 0 for silence.
    pub dominant_hz: f32,
    /// Share of the energy within +-1 % (at least +-30 Hz) of that frequency, 0 to 1.
    pub purity: f32,
}

/// One RFC 4733 digit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DtmfDigit {
    /// `0`-`9`, `*`, `#`, `A`-`D`.
    pub digit: char,
    /// How long the key was held by the event's own count, ms.
    pub duration_ms: f64,
    /// Volume below 0 dBm0, dB (0 to 63).
    pub volume: u8,
    /// Packets that carried it; RFC 4733 section 2.5.1.4 wants the end packet three times.
    pub packets: u32,
    /// How many of them had the end bit.
    pub end_packets: u32,
}
