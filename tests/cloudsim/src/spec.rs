//! What a test asks the simulator for: users, calls, orders of messages, timing.
//!
//! Every type has a default that is a healthy cloud, and reads as camelCase JSON for the control
//! API. Durations are milliseconds there.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::RecordingState;
use crate::gateway::{FarEndSource, LegConfig};

/// How to start a simulator.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where HTTPS and WSS listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address under which phones reach `listen`, where it is another: an emulated machine
    /// reaches its host's loopback at an address of its own.
    pub reached_at: Option<IpAddr>,
    /// Where the control API and its page listen as plain HTTP. Loopback only makes sense.
    pub control: Option<SocketAddr>,
    /// Folder for the CA, so that it is the same after a restart. `None`: a temporary folder that
    /// goes with the simulator.
    pub state_dir: Option<PathBuf>,
    /// The region's base domain; names `notifications.ENV` and the gateways' JIDs.
    pub environment: String,
    /// The organization's name.
    pub organization: String,
    /// How long the cloud takes for what it does.
    pub timing: Timing,
    /// How long it waits for what a phone must do.
    pub deadlines: Deadlines,
    /// How calls that phones place behave.
    pub outbound: OutboundSpec,
    /// The leg of inbound calls asked for over the control API without one.
    pub default_leg: LegConfig,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            reached_at: None,
            control: None,
            state_dir: None,
            environment: "mypurecloud.test".into(),
            organization: "Acme".into(),
            timing: Timing::default(),
            deadlines: Deadlines::default(),
            outbound: OutboundSpec::default(),
            default_leg: LegConfig::default(),
        }
    }
}

/// The cloud's own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From `proceed` to the offer, at least.
    pub offer: Duration,
    /// Between two proposes of the same session while nobody proceeds.
    pub propose_every: Duration,
    /// From a change (media up, mute, hold) to the event that tells it.
    pub event: Duration,
    /// Between the steps of an ending: event `disconnected`, terminate, event `terminated`.
    pub ending: Duration,
    /// Between two copies of an unanswered re-invite (genesys-protocol 5.3, offer handling 1).
    pub reinvite_every: Duration,
    /// Between two pings to a client that asked for server-side pings. The client gives up after
    /// 35 s without a frame (genesys-protocol 3.5).
    pub ping_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            offer: Duration::from_millis(20),
            propose_every: Duration::from_secs(3),
            event: Duration::from_millis(10),
            ending: Duration::from_millis(20),
            reinvite_every: Duration::from_secs(2),
            ping_every: Duration::from_secs(14),
        }
    }
}

/// What a phone must do in time. Past each of these a violation is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the offer to the answer. The call is ended when it is missed.
    pub answer: Duration,
    /// From the answer to end-of-candidates.
    pub end_of_candidates: Duration,
    /// From media up to `info active`.
    pub active: Duration,
    /// From event `connected` to the metadata request.
    pub metadata: Duration,
    /// For the result of a request the phone must answer (ping, Jingle).
    pub iq: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            end_of_candidates: Duration::from_secs(10),
            active: Duration::from_secs(5),
            metadata: Duration::from_secs(5),
            iq: Duration::from_secs(15),
        }
    }
}

/// A user to make, with the user's WebRTC station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSpec {
    /// Name, shown to the far end.
    pub name: String,
    /// `webRtcCallAppearances` of the station: 100 gives each call its own session.
    pub line_appearances: u32,
    /// `webRtcPersistentEnabled` of the station.
    pub persistent: bool,
    /// A persistent connection is set up as soon as a client is ready for it.
    pub eager: bool,
    /// A shared session is offered again, with the same ICE and the new conversation, for each
    /// call it comes to serve (genesys-protocol 5.7).
    pub renegotiates: bool,
    /// Whether the station is associated with the user: without it nothing rings.
    pub station: bool,
    /// WebRTC stations of the user beside the first.
    pub spare_stations: u32,
    /// `webRtcForceTurn`: no stun service is told, so the client uses relays only.
    pub force_turn: bool,
    /// Relays that extdisco tells.
    pub turn: Vec<TurnServer>,
    /// Whether the server pings clients that ask for it; else it refuses.
    pub server_pings: bool,
    /// Whether what goes to the bare JID comes back to its sender (genesys-protocol 6.12).
    pub echo: bool,
    /// Inbound proposes say `inin-autoanswer="true"`.
    pub auto_answer: bool,
    /// Whether a missing metadata request is a violation. Streaming clients before 19 send none.
    pub expects_metadata: bool,
    /// Life of the first token in seconds.
    pub token_seconds: u64,
}

impl Default for UserSpec {
    fn default() -> Self {
        Self {
            name: "Agent One".into(),
            line_appearances: 100,
            persistent: false,
            eager: false,
            renegotiates: false,
            station: true,
            spare_stations: 0,
            force_turn: false,
            turn: Vec::new(),
            server_pings: true,
            echo: true,
            auto_answer: false,
            expects_metadata: true,
            token_seconds: 86_399,
        }
    }
}

impl UserSpec {
    /// A user of this name with everything else as usual.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// A relay, as XEP-0215 tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TurnServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `udp`, `tcp`, or `tls`, which makes it a `turns` service over TCP.
    pub transport: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// A user as a phone has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimUser {
    /// `U`.
    pub user_id: String,
    /// The user's name.
    pub name: String,
    /// An access token.
    pub token: String,
    /// `BARE`.
    pub bare_jid: String,
    /// The user's WebRTC station, associated or not.
    pub station_id: String,
}

/// How SDP travels (genesys-protocol 5.3 and 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    /// JSON-RPC in `<genesys-webrtc>`.
    #[default]
    SdpOverXmpp,
    /// Jingle.
    Jingle,
}

/// What comes first when a call rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InboundOrder {
    /// Event `alerting`, then `<propose>`.
    #[default]
    EventFirst,
    /// `<propose>`, then event `alerting`.
    ProposeFirst,
    /// Event `alerting`, then the offer without any propose.
    OfferOnly,
}

/// The three things that answer `POST /conversations/calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutboundStep {
    /// The REST reply.
    Reply,
    /// `<propose>`.
    Propose,
    /// Event `contacting`.
    Event,
}

impl OutboundStep {
    /// All six orders.
    pub const ORDERS: [[Self; 3]; 6] = [
        [Self::Reply, Self::Event, Self::Propose],
        [Self::Reply, Self::Propose, Self::Event],
        [Self::Event, Self::Reply, Self::Propose],
        [Self::Event, Self::Propose, Self::Reply],
        [Self::Propose, Self::Reply, Self::Event],
        [Self::Propose, Self::Event, Self::Reply],
    ];
}

/// Whom an inbound call is for, which says who takes part in the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InboundPurpose {
    /// A queue's call: participants customer, acd, agent.
    #[default]
    Agent,
    /// A call to the user: participants external, user. Rejecting it means voicemail.
    User,
}

/// A call to a phone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct InboundSpec {
    /// The user to call: id or name. Empty: the only user there is.
    pub to: String,
    /// The caller's name.
    pub from_name: String,
    /// The caller's address.
    pub from_address: String,
    /// Queue or user.
    pub purpose: InboundPurpose,
    /// How SDP travels.
    pub form: Form,
    /// Event or propose first.
    pub order: InboundOrder,
    /// Time between the two.
    #[serde(with = "ms", rename = "gapMs")]
    pub gap: Duration,
    /// `inin-autoanswer`, beside the user's own setting.
    pub auto_answer: bool,
    /// When it rings on a shared session: a propose comes this long after all the same
    /// (genesys-protocol 6.3, rule 2).
    #[serde(with = "optional_ms", rename = "lateProposeMs")]
    pub late_propose: Option<Duration>,
    /// Whether it is recorded from the start.
    pub recording: RecordingState,
    /// `wrapupPrompt` of a queue's call: `optional`, `mandatory` ...; empty: no wrap-up.
    pub wrapup_prompt: String,
    /// How long it rings before the cloud gives up.
    #[serde(with = "ms", rename = "alertForMs")]
    pub alert_for: Duration,
    /// The gateway's first candidates come before its offer (SDP over XMPP only).
    pub early_candidates: bool,
    /// The gateway says when it has no more candidates. With SDP over XMPP that fragment has no
    /// `m=` line, and the JavaScript client throws on it; so it is off.
    pub end_of_candidates: bool,
    /// The gateway's peer and the far end.
    pub leg: LegConfig,
}

impl Default for InboundSpec {
    fn default() -> Self {
        Self {
            to: String::new(),
            from_name: "Indianapolis, IN".into(),
            from_address: "tel:+13175550100".into(),
            purpose: InboundPurpose::Agent,
            form: Form::SdpOverXmpp,
            order: InboundOrder::EventFirst,
            gap: Duration::ZERO,
            auto_answer: false,
            late_propose: None,
            recording: RecordingState::None,
            wrapup_prompt: "optional".into(),
            alert_for: Duration::from_secs(30),
            early_candidates: false,
            end_of_candidates: false,
            leg: LegConfig::default(),
        }
    }
}

impl InboundSpec {
    /// A usual call to this user.
    pub fn to(user: &SimUser) -> Self {
        Self {
            to: user.user_id.clone(),
            ..Self::default()
        }
    }
}

/// Somebody outside, as calls and transfers to the address find them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Contact {
    /// A number or address, or a queue's id.
    pub address: String,
    /// Name.
    pub name: String,
    /// What it says.
    pub far_end: FarEndSource,
    /// It answers by itself this long after it began to ring; `None`: on command.
    #[serde(with = "optional_ms", rename = "answerAfterMs")]
    pub answer_after: Option<Duration>,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            address: String::new(),
            name: "Remote Party".into(),
            far_end: FarEndSource::default(),
            answer_after: Some(Duration::from_millis(100)),
        }
    }
}

/// How calls placed by phones behave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct OutboundSpec {
    /// Order of REST reply, propose and event.
    pub order: [OutboundStep; 3],
    /// Time between two of them.
    #[serde(with = "ms", rename = "gapMs")]
    pub gap: Duration,
    /// How SDP travels.
    pub form: Form,
    /// The far end answers by itself this long after it started ringing; `None`: on command.
    #[serde(with = "optional_ms", rename = "answerAfterMs")]
    pub answer_after: Option<Duration>,
    /// The far end's name as the event tells it.
    pub far_end_name: String,
    /// As for inbound calls.
    pub early_candidates: bool,
    /// As for inbound calls.
    pub end_of_candidates: bool,
    /// The gateway's peer and the far end, which is heard from its answer on.
    pub leg: LegConfig,
}

impl Default for OutboundSpec {
    fn default() -> Self {
        Self {
            order: OutboundStep::ORDERS[0],
            gap: Duration::from_millis(10),
            form: Form::SdpOverXmpp,
            answer_after: None,
            far_end_name: "Remote Party".into(),
            early_candidates: false,
            end_of_candidates: false,
            leg: LegConfig::default(),
        }
    }
}

/// Durations as whole milliseconds.
pub(crate) mod ms {
    use super::{Deserialize, Duration};
    use serde::{Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_millis() as u64)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Durations as whole milliseconds, or null.
pub(crate) mod optional_ms {
    use super::{Deserialize, Duration};
    use serde::{Deserializer, Serializer};

    #[allow(clippy::ref_option)] // serde's signature
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.serialize_some(&(value.as_millis() as u64)),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_readable_json_with_defaults() {
        let spec: InboundSpec =
            serde_json::from_str(r#"{"to":"Agent One","form":"jingle","gapMs":250}"#).unwrap();
        assert_eq!(spec.form, Form::Jingle);
        assert_eq!(spec.gap, Duration::from_millis(250));
        assert_eq!(spec.purpose, InboundPurpose::Agent);
        let again: InboundSpec =
            serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let refused = serde_json::from_str::<InboundSpec>(r#"{"gap":1}"#).unwrap_err();
        assert!(refused.to_string().contains("gap"), "{refused}");
    }
}
