//! What the engine wants done, and what its media legs tell it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::gateway::{Direction, LegConfig, Mix};
use crate::journal::ViolationKind;

/// To whom a stanza goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every connected resource of the user.
    Everywhere,
    /// One full JID.
    Resource(String),
}

/// What the gateway says to a phone. `from` is always the session's peer JID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudStanza {
    /// `<propose>`.
    Propose {
        /// `C`.
        conversation: String,
        /// `inin-autoanswer`.
        auto_answer: bool,
        /// `inin-sdp-over-xmpp`.
        sdp_over_xmpp: bool,
        /// `inin-priv-answer-mode="Auto"`: there is no call behind it.
        eager: bool,
    },
    /// `<retract>`.
    Retract,
    /// JSON-RPC `offer`.
    Offer {
        /// JSON-RPC id: the same for each copy of one re-invite.
        id: String,
        /// `C`.
        conversation: String,
        /// The session description.
        sdp: String,
        /// `reinvite: true`.
        reinvite: bool,
    },
    /// JSON-RPC `iceCandidate` with this fragment.
    Candidate {
        /// The SDP fragment.
        sdp: String,
    },
    /// JSON-RPC `terminate`.
    Terminate {
        /// A Jingle condition.
        reason: String,
    },
    /// A whole `<jingle>` element.
    Jingle {
        /// Its XML.
        xml: String,
    },
    /// A `<jingle>` element that is out of order: to be refused.
    JingleAgain {
        /// Its XML.
        xml: String,
    },
}

/// What a media leg is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegCommand {
    /// The phone's answer.
    Answer(String),
    /// One of the phone's candidates and the section it is for.
    Candidate {
        /// `candidate:...`
        candidate: String,
        /// `a=mid`.
        mid: String,
    },
    /// Hold or resume.
    Held(bool),
    /// Mute or unmute.
    Muted(bool),
    /// The far end answered: from now on this is heard.
    FarEnd(String),
    /// Several parties: who hears whom. `None`: one far end again.
    Mix(Option<Mix>),
    /// Another offer on the same peer.
    Reoffer {
        /// With new ICE credentials.
        ice_restart: bool,
        /// With this direction.
        direction: Direction,
    },
    /// The end.
    Close,
}

/// What a media leg tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegInput {
    /// An offer was made.
    Offer(String),
    /// A local candidate.
    Candidate(String),
    /// No more local candidates.
    EndOfCandidates,
    /// ICE and DTLS are up.
    Connected,
    /// The first packet from the phone came.
    FirstMedia,
    /// The answer could not be applied.
    AnswerRefused(String),
    /// A candidate could not be applied.
    CandidateRefused(String),
    /// The connection failed.
    Failed(String),
}

/// `persistentState` (genesys-protocol 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PersistentState {
    /// Nobody knows.
    Unknown,
    /// It is up and has no call.
    Persisted,
    /// It serves a call.
    ActiveCall,
    /// It is gone.
    Disconnected,
    /// It could not be made.
    Failed,
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a stanza.
    Stanza {
        /// `U`.
        user: String,
        /// Which of the user's resources.
        to: Target,
        /// The gateway's JID.
        peer: String,
        /// `S`.
        session: String,
        /// What.
        stanza: CloudStanza,
    },
    /// Tell the users a conversation as it is now.
    Notify {
        /// Whom.
        users: Vec<String>,
        /// For `v2.users.U.conversations`.
        conversation: Value,
        /// For `v2.users.U.conversations.calls`.
        calls: Value,
    },
    /// Tell a user about the persistent connection (genesys-protocol 4.6).
    Persistent {
        /// Whom.
        user: String,
        /// How it is now.
        state: PersistentState,
        /// Code and message of an error.
        error: Option<(String, String)>,
    },
    /// Make a media leg, and its first offer.
    OpenLeg {
        /// `S`.
        session: String,
        /// `C`.
        conversation: String,
        /// How it shall be.
        config: LegConfig,
    },
    /// Tell a media leg something.
    Leg {
        /// `S`.
        session: String,
        /// What.
        command: LegCommand,
    },
    /// Let the REST reply with this token go.
    Reply(u64),
    /// A rule was broken.
    Violation {
        /// By whose phone.
        user: String,
        /// Which rule.
        what: ViolationKind,
        /// How.
        detail: String,
    },
    /// Something for the log.
    Note {
        /// About whose phone.
        user: String,
        /// What.
        text: String,
    },
}
