//! A conversation as the cloud keeps it: participants and their calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::UserFacts;
use crate::gateway::{FarEndSource, LegConfig};
use crate::spec::Form;

/// State of one call of one participant (genesys-protocol 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// It rings at the participant.
    Alerting,
    /// The participant waits for the far end.
    Dialing,
    /// The participant's own station is being rung.
    Contacting,
    /// The far end is being rung.
    Offering,
    /// They talk.
    Connected,
    /// It has just ended.
    Disconnected,
    /// It is over.
    Terminated,
}

impl CallState {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alerting => "alerting",
            Self::Dialing => "dialing",
            Self::Contacting => "contacting",
            Self::Offering => "offering",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Terminated => "terminated",
        }
    }

    /// Whether nothing more will come of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Disconnected | Self::Terminated)
    }

    /// Whether nobody has answered yet.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Alerting | Self::Contacting)
    }
}

/// Which way a call went, seen from its participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallDirection {
    /// Somebody called the participant.
    Inbound,
    /// The participant called.
    Outbound,
}

impl CallDirection {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// Why a participant is in the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Works for a queue.
    Agent,
    /// A user called directly, or calling.
    User,
    /// Called a queue.
    Customer,
    /// The far end of a user's own call.
    External,
    /// The queue.
    Acd,
    /// The user's mailbox.
    Voicemail,
}

impl Purpose {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::User => "user",
            Self::Customer => "customer",
            Self::External => "external",
            Self::Acd => "acd",
            Self::Voicemail => "voicemail",
        }
    }
}

/// Who takes part, and who spoke to whom.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// `C`.
    pub id: String,
    /// The address that was called first.
    pub address: String,
    /// When it began.
    pub started: Duration,
    /// In the order they came.
    pub participants: Vec<Participant>,
    /// The consultation that runs.
    pub consult: Option<Consult>,
    /// Whether it is recorded.
    pub recording: RecordingState,
}

/// `recordingState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordingState {
    /// It is not.
    #[default]
    None,
    /// It is.
    Active,
    /// It was, and will be.
    Paused,
}

impl RecordingState {
    /// The word in events and conversations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// Somebody is asked about somebody else before a transfer (genesys-protocol 2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consult {
    /// `P` of who asks.
    pub initiator: String,
    /// `P` of who is to be transferred.
    pub object: String,
    /// `P` of who is asked.
    pub destination: String,
    /// Whom the initiator speaks to.
    pub speak_to: SpeakTo,
}

/// `speakTo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SpeakTo {
    /// To the one who is asked; the other hears music.
    #[default]
    Destination,
    /// To the one to be transferred; who is asked hears music.
    Object,
    /// To both, who do not hear each other.
    Both,
    /// All to all.
    Conference,
}

/// One party.
#[derive(Debug, Clone)]
pub struct Participant {
    /// `P`.
    pub id: String,
    /// Why it is here.
    pub purpose: Purpose,
    /// `U`, for the organization's own people.
    pub user: Option<String>,
    /// Name shown.
    pub name: String,
    /// Address.
    pub address: String,
    /// Queue.
    pub queue: Option<String>,
    /// How long it rings here.
    pub alert_for: Option<Duration>,
    /// When it came.
    pub started: Duration,
    /// When it was connected.
    pub connected: Option<Duration>,
    /// When it left.
    pub ended: Option<Duration>,
    /// Its call.
    pub call: Call,
    /// Its phone, when the participant is one of ours with a station.
    pub phone: Option<Phone>,
    /// What it says, when it has a voice and no phone.
    pub voice: Option<FarEndSource>,
    /// It was brought into a call that ran.
    pub invited: bool,
    /// When it answers by itself, if it has no phone.
    pub answer_after: Option<Duration>,
    /// `P` of whom it is asked, or asks, about.
    pub consult_participant: Option<String>,
    /// `wrapupPrompt`, when one is wanted.
    pub wrapup_prompt: Option<String>,
    /// Code and notes, once given.
    pub wrapup: Option<(String, String)>,
    /// The agent has said that none will be given.
    pub wrapup_skipped: bool,
}

/// One call (communication) of a participant.
#[derive(Debug, Clone)]
pub struct Call {
    /// `K`.
    pub id: String,
    /// State.
    pub state: CallState,
    /// State it began in.
    pub initial: CallState,
    /// Direction.
    pub direction: CallDirection,
    /// The participant is held: hears silence.
    pub held: bool,
    /// The participant is muted.
    pub muted: bool,
    /// The participant hears hold music while others go on.
    pub confined: bool,
    /// Since when it is held.
    pub held_since: Option<Duration>,
    /// Since when it is connected.
    pub connected: Option<Duration>,
    /// When it ended.
    pub disconnected: Option<Duration>,
    /// `client`, `peer`, `timeout`, `error` ...
    pub disconnect_type: Option<&'static str>,
    /// Code and message of an error.
    pub error: Option<(String, String)>,
    /// `peerId`: the call it is joined to.
    pub peer: Option<String>,
    /// The party on the other side.
    pub other: Party,
}

/// Name and address.
#[derive(Debug, Clone, Default)]
pub struct Party {
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
}

/// What the cloud knows of the phone that serves a participant.
#[derive(Debug, Clone)]
pub struct Phone {
    /// The session its media goes over.
    pub session: Option<String>,
    /// Only one call at a time: `webRtcCallAppearances` is 1.
    pub one_line: bool,
    /// `webRtcPersistentEnabled`.
    pub persistent: bool,
    /// Its shared session is offered again for each call it comes to serve.
    pub renegotiates: bool,
    /// A call that rang on a shared session is proposed this long after all the same.
    pub late_propose: Option<Duration>,
    /// How SDP travels.
    pub form: Form,
    /// Proposes ask it to answer by itself.
    pub auto_answer: bool,
    /// Inbound: no propose, the offer comes at once to this full JID.
    pub offer_to: Option<String>,
    /// The gateway's candidates come before the offer.
    pub early_candidates: bool,
    /// The gateway says end-of-candidates.
    pub end_of_candidates: bool,
    /// The gateway's peer.
    pub leg: LegConfig,
    /// The first event was sent.
    pub announced: bool,
    /// Outbound: when the far end answers by itself.
    pub answer_after: Option<Duration>,
    /// Outbound: the far end answers as soon as it is rung.
    pub answered_early: bool,
    /// Metadata requests so far.
    pub metadata: u32,
    /// A missing metadata request is a violation.
    pub expects_metadata: bool,
    /// Digits sent over REST.
    pub digits: String,
    /// What happened, with when.
    pub marks: Vec<(String, Duration)>,
}

impl Phone {
    /// A user's phone before anything happened.
    pub(super) fn of(user: &UserFacts, form: Form, leg: LegConfig) -> Self {
        Self {
            session: None,
            one_line: user.line_appearances <= 1,
            persistent: user.persistent,
            renegotiates: user.renegotiates,
            late_propose: None,
            form,
            auto_answer: false,
            offer_to: None,
            early_candidates: false,
            end_of_candidates: false,
            leg,
            announced: false,
            answer_after: None,
            answered_early: false,
            metadata: 0,
            expects_metadata: user.expects_metadata,
            digits: String::new(),
            marks: Vec::new(),
        }
    }
}

impl Conversation {
    /// A participant by id.
    pub fn participant(&self, id: &str) -> Option<&Participant> {
        self.participants
            .iter()
            .find(|participant| participant.id == id)
    }

    /// A participant by id, to change.
    pub fn participant_mut(&mut self, id: &str) -> Option<&mut Participant> {
        self.participants
            .iter_mut()
            .find(|participant| participant.id == id)
    }

    /// The newest participant with a phone.
    pub fn phone(&self) -> Option<(&Participant, &Phone)> {
        self.participants
            .iter()
            .rev()
            .find_map(|participant| Some((participant, participant.phone.as_ref()?)))
    }

    /// Users in it, each once.
    pub fn users(&self) -> Vec<String> {
        let mut users: Vec<String> = Vec::new();
        for user in self.participants.iter().filter_map(|one| one.user.as_ref()) {
            if !users.contains(user) {
                users.push(user.clone());
            }
        }
        users
    }

    /// Whether every call in it is over.
    pub fn is_over(&self) -> bool {
        self.participants
            .iter()
            .all(|participant| participant.call.state.is_over())
    }
}

impl Participant {
    /// Changes the call's state and keeps the times that go with it.
    pub fn set_state(&mut self, now: Duration, state: CallState, why: Option<&'static str>) {
        let call = &mut self.call;
        if call.state == CallState::Terminated || call.state == state {
            return;
        }
        call.state = state;
        match state {
            CallState::Connected => {
                call.connected.get_or_insert(now);
                self.connected.get_or_insert(now);
            }
            CallState::Disconnected | CallState::Terminated => {
                call.disconnected.get_or_insert(now);
                self.ended.get_or_insert(now);
                if call.disconnect_type.is_none() {
                    call.disconnect_type = why;
                }
                call.held = false;
                call.confined = false;
                call.held_since = None;
            }
            _ => {}
        }
        if let Some(phone) = &mut self.phone {
            phone.marks.push((state.as_str().to_owned(), now));
        }
    }
}
