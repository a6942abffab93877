//! What a leg is told to be, and what it tells about itself.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::network::Network;

/// How one leg of a call behaves. The default is a healthy gateway: Opus, PCMU and PCMA in that
/// order, telephone-event, and a far end that says a 440 Hz tone at -20 dBFS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LegConfig {
    /// Codecs in the order they are offered.
    pub codecs: Vec<Codec>,
    /// Whether RFC 4733 digits are offered, at the clock rate of the first codec.
    pub telephone_event: bool,
    /// Who speaks and listens.
    pub far_end: FarEndSource,
    /// Whether what the far end hears is kept (see [`super::Leg::recording`]).
    pub record: bool,
    /// Packet loss the gateway's Opus prepares for by in-band FEC, percent; 0 sends none.
    pub expected_loss_percent: u8,
    /// Nothing comes of ICE: no candidate is sent, and none of the phone's is used.
    pub unreachable: bool,
    /// What the gateway's packets go through on their way to the phone; unless given, they arrive as they are sent.
    pub network: Option<Network>,
    /// Of the phone's packets so many get lost before the gateway has them, percent, by the same dice in every run. Its
    /// receiver reports say so.
    pub lost_in_percent: f64,
    /// The gateway has IPv6 addresses only, and so the phone may send IPv6 host candidates.
    pub ipv6: bool,
    /// What the phone is told instead of the loopback address, where it reaches that at another. No other address of
    /// this machine is told then.
    pub reached_at: Option<IpAddr>,
    /// The bandwidth the offer states (`b=AS`), kbit/s with all headers; none: it states none.
    pub bandwidth_kbps: Option<u32>,
    /// The longest packet the offer allows (`a=maxptime`), ms; none: it says nothing of it.
    pub max_ptime_ms: Option<u32>,
    /// Something to be wrong with the offer, for tests of bad input.
    pub sdp_quirk: Option<SdpQuirk>,
    /// `a=setup` of the offer: [`Setup::Actpass`] unless a test wants another.
    pub setup: Setup,
}

impl Default for LegConfig {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Opus, Codec::Pcmu, Codec::Pcma],
            telephone_event: true,
            far_end: FarEndSource::default(),
            record: true,
            expected_loss_percent: 0,
            unreachable: false,
            network: None,
            lost_in_percent: 0.0,
            ipv6: false,
            reached_at: None,
            bandwidth_kbps: None,
            max_ptime_ms: None,
            sdp_quirk: None,
            setup: Setup::Actpass,
        }
    }
}

/// An audio codec a gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 7587, payload type 111, 48 kHz.
    Opus,
    /// G.711 mu-law, payload type 0, 8 kHz.
    Pcmu,
    /// G.711 A-law, payload type 8, 8 kHz.
    Pcma,
}

impl Codec {
    /// RTP payload type in this gateway's offers.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Opus => 111,
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The codec with this payload type in this gateway's offers.
    pub fn from_payload_type(payload_type: u8) -> Option<Self> {
        [Self::Opus, Self::Pcmu, Self::Pcma]
            .into_iter()
            .find(|codec| codec.payload_type() == payload_type)
    }
}

impl FromStr for Codec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "opus" => Ok(Self::Opus),
            "pcmu" => Ok(Self::Pcmu),
            "pcma" => Ok(Self::Pcma),
            _ => anyhow::bail!("unknown codec {text:?}: use opus, pcmu or pcma"),
        }
    }
}

/// Who speaks to the phone, and so who listens to it. Everybody but the browser keeps what is
/// heard and measures it.
///
/// As text: `tone:HZ`, `tone:HZ,DBFS`, `wav:FILE`, `echo`, `silence`, `browser`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FarEndSource {
    /// A steady sine.
    Tone {
        /// Frequency in Hz, 20 to 20,000.
        hz: f32,
        /// RMS level in dB relative to a full-scale sine, -90 to 0.
        dbfs: f32,
    },
    /// A WAV file, played in a loop: any rate, PCM of 8 to 32 bits or float, first channel.
    Wav(PathBuf),
    /// What the phone says, back to it.
    Echo,
    /// Digital silence, still sent as packets.
    Silence,
    /// A web page attached over a WebSocket; see [`super::browser`].
    Browser,
}

/// Level of a tone whose text gives none, dBFS.
const DEFAULT_TONE_DBFS: f32 = -20.0;

impl Default for FarEndSource {
    fn default() -> Self {
        Self::Tone {
            hz: 440.0,
            dbfs: DEFAULT_TONE_DBFS,
        }
    }
}

impl FromStr for FarEndSource {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("echo", "") => Ok(Self::Echo),
            ("silence", "") => Ok(Self::Silence),
            ("browser", "") => Ok(Self::Browser),
            ("wav", file) if !file.is_empty() => Ok(Self::Wav(PathBuf::from(file))),
            ("tone", numbers) => tone(numbers)
                .ok_or_else(|| anyhow::anyhow!("bad tone {text:?}: use tone:HZ or tone:HZ,DBFS with 20..=20000 Hz and -90..=0 dBFS")),
            _ => anyhow::bail!(
                "unknown far end {text:?}: use tone:HZ[,DBFS], wav:FILE, echo, silence or browser"
            ),
        }
    }
}

fn tone(numbers: &str) -> Option<FarEndSource> {
    let (hz, dbfs) = match numbers.split_once(',') {
        Some((hz, dbfs)) => (hz.parse().ok()?, dbfs.parse().ok()?),
        None => (numbers.parse().ok()?, DEFAULT_TONE_DBFS),
    };
    let valid = (20.0..=20_000.0).contains(&hz) && (-90.0..=0.0).contains(&dbfs);
    valid.then_some(FarEndSource::Tone { hz, dbfs })
}

impl fmt::Display for FarEndSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tone { hz, dbfs } => write!(f, "tone:{hz},{dbfs}"),
            Self::Wav(file) => write!(f, "wav:{}", file.display()),
            Self::Echo => f.write_str("echo"),
            Self::Silence => f.write_str("silence"),
            Self::Browser => f.write_str("browser"),
        }
    }
}

impl From<FarEndSource> for String {
    fn from(source: FarEndSource) -> Self {
        source.to_string()
    }
}

impl TryFrom<String> for FarEndSource {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// One thing that is wrong with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SdpQuirk {
    /// The only media section is video.
    NoAudio,
    /// The audio section offers only a codec nobody has.
    UnknownCodecOnly,
    /// No `a=fingerprint`: DTLS cannot be verified.
    NoFingerprint,
    /// No `a=ice-ufrag` and `a=ice-pwd`.
    NoIceCredentials,
    /// Text that is no session description at all.
    Garbage,
    /// An empty string.
    Empty,
}

/// The DTLS role an offer asks for (RFC 5763 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setup {
    /// The answerer chooses: what an offer should say.
    #[default]
    Actpass,
    /// The gateway is the client; the phone must answer `passive`.
    Active,
    /// The gateway is the server; the phone must answer `active`.
    Passive,
}

impl Setup {
    /// The value of `a=setup`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actpass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

/// Direction of the audio section, seen from the gateway (RFC 8866 section 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// The phone only listens.
    SendOnly,
    /// The phone only speaks.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// What happens on a leg, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// A local candidate, as the text after `a=` (`candidate:...`), for the section `audio`.
    Candidate(String),
    /// All local candidates were given.
    EndOfCandidates,
    /// ICE and DTLS are up.
    Connected,
    /// The first media packet from the phone arrived.
    FirstMedia,
    /// The connection cannot be made, or was lost for good; the text says how.
    Failed(String),
    /// The phone sent this digit by RFC 4733 (said when it ends).
    Dtmf(char),
    /// The peer is closed; nothing follows.
    Closed,
}
