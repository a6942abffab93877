//! What tests read of a call.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Engine;
use super::conversation::{CallDirection, CallState, Participant, Purpose, RecordingState};
use crate::gateway::LegReport;
use crate::spec::Form;

/// Something that happened, with when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// A call state, or one of: `first-event`, `propose`, `offer-only`, `proceed`, `offer`,
    /// `accept`, `answer`, `media`, `active`, `end-of-candidates`, `first-packet`, `metadata`,
    /// `reoffer`, `reanswer`, `statistics`, `reject`, `retract`, `terminate-in` (by the phone),
    /// `terminate-out` (by the gateway).
    pub what: String,
    /// Milliseconds since the Unix epoch.
    pub at: f64,
}

/// One call, seen from the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallReport {
    /// `C`.
    pub conversation_id: String,
    /// `U` of the phone.
    pub user_id: String,
    /// `P` of the phone's user.
    pub participant_id: String,
    /// `K`.
    pub communication_id: String,
    /// `S`, the newest.
    pub session_id: Option<String>,
    /// The full JID that has the session.
    pub owner: Option<String>,
    /// Direction, seen from the phone.
    pub direction: CallDirection,
    /// How SDP travels.
    pub form: Form,
    /// The phone's call as it is now.
    pub state: CallState,
    /// Held.
    pub held: bool,
    /// Muted.
    pub muted: bool,
    /// Why it ended.
    pub disconnect_type: Option<String>,
    /// The far end's address.
    pub remote_address: String,
    /// Everything that happened, oldest first.
    pub marks: Vec<Mark>,
    /// Proposes sent.
    pub proposes: u32,
    /// The phone's candidates.
    pub candidates_in: u32,
    /// Metadata requests.
    pub metadata_requests: u32,
    /// Digits sent over REST.
    pub digits: String,
    /// Everybody in the call, in the order they came.
    pub participants: Vec<ParticipantReport>,
    /// Whether it is recorded.
    pub recording: RecordingState,
    /// The media, once there was a leg.
    pub leg: Option<LegReport>,
}

/// One participant of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantReport {
    /// `P`.
    pub participant_id: String,
    /// `K`.
    pub communication_id: String,
    /// Why it is there.
    pub purpose: Purpose,
    /// `U`, if any.
    pub user_id: Option<String>,
    /// Address.
    pub address: String,
    /// State of its call.
    pub state: CallState,
    /// Held.
    pub held: bool,
    /// Muted.
    pub muted: bool,
    /// Hears hold music.
    pub confined: bool,
    /// `P` of whom it is asked, or asks, about.
    pub consult_participant_id: Option<String>,
    /// Code of its wrap-up.
    pub wrapup: Option<String>,
    /// The agent has skipped it.
    pub wrapup_skipped: bool,
}

impl CallReport {
    /// When something happened first, in milliseconds since the Unix epoch.
    pub fn at(&self, what: &str) -> Option<f64> {
        self.marks
            .iter()
            .find_map(|mark| (mark.what == what).then_some(mark.at))
    }

    /// Whether the call was ever in this state.
    pub fn reached(&self, state: CallState) -> bool {
        self.at(state.as_str()).is_some()
    }
}

impl Engine {
    /// The report of a call that has a phone, without its media.
    pub fn report(&self, id: &str) -> Option<CallReport> {
        let conversation = self.conversations.get(id)?;
        let (one, phone) = conversation.phone()?;
        let session = phone
            .session
            .as_ref()
            .and_then(|session| self.sessions.get(session));
        let mark = |(what, at): &(String, Duration)| Mark {
            what: what.clone(),
            at: self.clock.epoch_ms(*at),
        };
        Some(CallReport {
            conversation_id: id.to_owned(),
            user_id: one.user.clone().unwrap_or_default(),
            participant_id: one.id.clone(),
            communication_id: one.call.id.clone(),
            session_id: phone.session.clone(),
            owner: session.and_then(|session| session.owner.clone()),
            direction: one.call.direction,
            form: phone.form,
            state: one.call.state,
            held: one.call.held,
            muted: one.call.muted,
            disconnect_type: one.call.disconnect_type.map(str::to_owned),
            remote_address: one.call.other.address.clone(),
            marks: phone.marks.iter().map(mark).collect(),
            proposes: session.map_or(0, |session| session.proposes),
            candidates_in: session.map_or(0, |session| session.candidates_in),
            metadata_requests: phone.metadata,
            digits: phone.digits.clone(),
            participants: conversation.participants.iter().map(participant).collect(),
            recording: conversation.recording,
            leg: None,
        })
    }
}

fn participant(one: &Participant) -> ParticipantReport {
    ParticipantReport {
        participant_id: one.id.clone(),
        communication_id: one.call.id.clone(),
        purpose: one.purpose,
        user_id: one.user.clone(),
        address: one.address.clone(),
        state: one.call.state,
        held: one.call.held,
        muted: one.call.muted,
        confined: one.call.confined,
        consult_participant_id: one.consult_participant.clone(),
        wrapup: one.wrapup.as_ref().map(|(code, _)| code.clone()),
        wrapup_skipped: one.wrapup_skipped,
    }
}
