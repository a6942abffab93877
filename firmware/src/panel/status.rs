//! `GET /status` and `GET /calls`.

use crate::audio::StreamCounters;
use crate::device::Private;
use crate::genesys::id::{ConversationId, SessionId, StationId, UserId};
use crate::genesys::model::{CallState, Direction, RecordingState};
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::media::{ConnectionState, Statistics};
use crate::phone::AudioPath;
use crate::softphone::event::{CallView, ConsultView, Party, Remote, WrapUpView};
use crate::softphone::mos;
use offhook_hal::HookState;
use serde::Serialize;

/// `GET /status`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct Status {
    pub version: &'static str,
    pub board: String,
    pub ready: bool,
    pub cloud: CloudStatus,
    pub login: LoginStatus,
    pub hook: HookState,
    pub audio: AudioStatus,
    pub calls: Vec<ApiCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_conversation_id: Option<ConversationId>,
    /// What the display tells the user, if something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// `cloud`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct CloudStatus {
    pub connected: bool,
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<StationStatus>,
    pub is_concurrent_softphone_sessions_enabled: bool,
    pub is_persistent_connection_enabled: bool,
}

/// `GET /login`, and `login` of the status.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct LoginStatus {
    /// `given` (a token file: nobody logs in here), `loggedIn` or `needed`.
    pub state: &'static str,
    /// Why: `nobody`, `loggedOut`, `expiring` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The phone's page for the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the code on the display says, if others than this machine can go there. Only in `GET /login/code.svg`.
    #[serde(skip)]
    pub link: Option<Private>,
    /// Why nobody can log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// `GET /stations`
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct ApiStation {
    pub id: StationId,
    pub name: Private,
    /// Somebody else has it.
    pub taken: bool,
    /// Calls ring there now.
    pub current: bool,
}

/// `GET /speed-dials`
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct ApiSpeedDial {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<u8>,
    pub label: Private,
    /// For `POST /calls`.
    pub call: StartSoftphoneSessionParams,
}

/// `cloud.user`.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct UserStatus {
    pub id: UserId,
    pub name: Private,
}

/// `cloud.station`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct StationStatus {
    pub id: StationId,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_rtc_call_appearances: Option<u32>,
}

/// `audio`.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct AudioStatus {
    pub path: AudioPath,
    pub mute: bool,
}

/// A call, with its media once there is a peer connection.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct ApiCall {
    pub conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    pub direction: Direction,
    pub state: CallState,
    pub held: bool,
    pub muted: bool,
    pub remote: Remote,
    /// The others on the call, the remote one included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consult: Option<ConsultView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<WrapUpView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaStatus>,
}

impl ApiCall {
    /// Puts a view and its measurements together.
    pub fn new(view: CallView, media: Option<MediaStatus>) -> Self {
        Self {
            conversation_id: view.conversation_id,
            session_id: view.session_id,
            direction: view.direction,
            state: view.state,
            held: view.held,
            muted: view.muted,
            remote: view.remote,
            parties: view.parties,
            consult: view.consult,
            recording: view.recording,
            wrap_up: view.wrap_up,
            media,
        }
    }
}

/// `calls[].media`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the local API's own names")]
pub struct MediaStatus {
    pub connection: ConnectionState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    pub jitter_ms: f64,
    pub loss_percent: f64,
    pub mos: f64,
    /// The jitter buffer's delay now, on average so far, and as it is wanted.
    pub jitter_buffer_ms: f32,
    pub jitter_buffer_mean_ms: f32,
    pub jitter_buffer_target_ms: f32,
    /// Packets received and sent so far.
    pub packets_received: u64,
    pub packets_sent: u64,
    /// Came too late to be played, and never came.
    pub packets_late: u64,
    pub packets_lost: u64,
    /// Made up because packets were late or lost, milliseconds of sound so far.
    pub concealed_ms: u64,
    /// Put in or taken out to change the delay, milliseconds of sound so far.
    pub stretched_ms: u64,
    /// Answer made until ICE and DTLS were up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
}

impl MediaStatus {
    /// From the peer's statistics and the jitter buffer's.
    pub fn new(statistics: &Statistics, counters: &StreamCounters) -> Self {
        let received = statistics.packets_received as f64;
        let lost = statistics.packets_lost.max(0) as f64;
        Self {
            connection: statistics.connection,
            rtt_ms: statistics.rtt_ms.map(tenths),
            jitter_ms: tenths(statistics.jitter_ms),
            loss_percent: if received + lost > 0.0 {
                tenths(100.0 * lost / (received + lost))
            } else {
                0.0
            },
            mos: mos(statistics),
            jitter_buffer_ms: counters.delay_ms,
            jitter_buffer_mean_ms: counters.mean_delay_ms,
            jitter_buffer_target_ms: counters.target_ms,
            packets_received: statistics.packets_received,
            packets_sent: statistics.packets_sent,
            packets_late: counters.late,
            packets_lost: counters.lost,
            concealed_ms: counters.concealed_samples / SAMPLES_PER_MS,
            stretched_ms: counters.stretched_samples / SAMPLES_PER_MS,
            connect_ms: statistics.connect_time.map(|time| time.as_millis() as u64),
        }
    }
}

/// The pipeline's clock, kHz.
const SAMPLES_PER_MS: u64 = 48;

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What is measured and not told helps nobody whose call sounds bad.
    #[test]
    fn the_jitter_buffers_statistics_are_told_and_described() {
        let counters = StreamCounters {
            late: 1,
            lost: 2,
            concealed_samples: 3 * SAMPLES_PER_MS,
            stretched_samples: 4 * SAMPLES_PER_MS,
            delay_ms: 5.0,
            mean_delay_ms: 6.0,
            target_ms: 7.0,
            ..StreamCounters::default()
        };
        let media = MediaStatus::new(&Statistics::default(), &counters);
        let media = serde_json::to_value(media).unwrap();
        let openapi: Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let described = &openapi["components"]["schemas"]["Media"]["properties"];
        for (name, value) in [
            ("packetsLate", 1.0),
            ("packetsLost", 2.0),
            ("concealedMs", 3.0),
            ("stretchedMs", 4.0),
            ("jitterBufferMs", 5.0),
            ("jitterBufferMeanMs", 6.0),
            ("jitterBufferTargetMs", 7.0),
        ] {
            assert_eq!(media[name].as_f64(), Some(value), "{name}");
        }
        for name in media.as_object().unwrap().keys() {
            assert!(described[name].is_object(), "{name} is not described");
        }
    }
}
