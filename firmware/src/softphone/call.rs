//! What the engine remembers of a conversation: the SDK's stored state, its pending session, and whose it is (6.1).

use super::CommandId;
use super::digits::DigitQueue;
use super::event::StoredConversation;
use super::session::Session;
use crate::device::Private;
use crate::genesys::id::{CommunicationId, ConversationId, Jid, ParticipantId, SessionId};
use crate::genesys::model::{Call as WireCall, CallState, Conversation, Direction, Participant};
use crate::genesys::rest::SpeakTo;
use crate::genesys::signal::{Form, Offer, Propose};

/// A conversation that concerns this phone, or may.
#[derive(Debug)]
pub(super) struct Call {
    /// C.
    pub id: ConversationId,
    /// Rises with each call: a list asked for before this call began cannot tell that it is over.
    pub sequence: u64,
    /// The last event about it.
    pub known: Option<Known>,
    /// Is in the SDK's store, so in `current` of `conversationUpdate`. The others only wait to be decided about.
    pub stored: bool,
    /// Was in progress when the phone started: shown and can be ended, but has no session here (6.13.12).
    pub boot: bool,
    /// Placed by a POST of ours.
    pub placed: bool,
    /// We sent `proceed` or PATCH connected: ours, whatever order the events come in (6.13.2).
    pub accepted: bool,
    /// The SDK's pending session of this conversation (6.2), keyed by the conversation (6.13.27).
    pub pending: Option<Pending>,
    /// The session that carries it.
    pub session: Option<SessionId>,
    /// `conversationUpdate` has said `added`.
    pub added: bool,
    /// The call the metadata POST was made for (6.13.23).
    pub metadata: Option<CommunicationId>,
    /// We asked the cloud to end it.
    pub ending: bool,
    /// The pending session is over, the events have not followed yet: not shown.
    pub dismissed: bool,
    /// Another client of the user said that it has it.
    pub elsewhere: bool,
    /// Rings before its propose is here.
    pub early: bool,
    /// The propose said so.
    pub auto_answer: bool,
    /// What the user dialed, to show until the first event.
    pub dialed: Option<Private>,
    /// Commands that answered before there was anything to answer to.
    pub intents: Vec<CommandId>,
    /// Digits that go by REST.
    pub digits: DigitQueue,
    /// The consultation this phone began.
    pub consult: Option<Consulting>,
}

/// A consultation this phone began (2.6).
#[derive(Clone, Debug)]
pub(super) struct Consulting {
    /// Who is to be transferred.
    pub object: ParticipantId,
    /// Who is asked, if the cloud told.
    pub destination: Option<ParticipantId>,
    /// Who hears whom, as asked for last.
    pub speak_to: SpeakTo,
}

/// The last event about a call, with our part of it (6.7).
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// All of it.
    pub conversation: Conversation,
    /// Our participant.
    pub participant: Participant,
    /// Our call.
    pub call: WireCall,
}

/// A call leg offered to us that was not taken yet (6.2).
#[derive(Debug)]
pub(super) struct Pending {
    /// S; for a mocked one the shared session's.
    pub session: SessionId,
    /// Where it came from.
    pub origin: Origin,
    /// The offer, when it came before anyone answered.
    pub offer: Option<Offer>,
    /// `inin-autoanswer`; for a mocked one: outbound (6.2).
    pub auto_answer: bool,
    /// `inin-priv-answer-mode="Auto"`.
    pub eager: bool,
    /// `pendingSession` was emitted.
    pub announced: bool,
    /// `proceed` or PATCH connected was sent.
    pub accepted: bool,
    /// Commands to be told how accepting ended.
    pub waiters: Vec<CommandId>,
}

/// Where a pending session came from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A propose.
    Proposed(Propose),
    /// An offer without a propose, from this gateway (6.13.5).
    Offered(Jid),
    /// The conversation event of a call that shares the session (6.8.7).
    Mocked,
}

impl Pending {
    /// From a propose.
    pub(super) fn proposed(propose: Propose) -> Self {
        Self {
            session: propose.session.clone(),
            auto_answer: propose.auto_answer,
            eager: propose.eager,
            ..Self::new(SessionId::default(), Origin::Proposed(propose))
        }
    }

    /// From an offer without a propose.
    pub(super) fn offered(offer: Offer) -> Self {
        Self {
            offer: Some(offer.clone()),
            ..Self::new(offer.session, Origin::Offered(offer.peer))
        }
    }

    /// From an event, on the shared session.
    pub(super) fn mocked(session: SessionId, outbound: bool) -> Self {
        Self {
            auto_answer: outbound,
            ..Self::new(session, Origin::Mocked)
        }
    }

    fn new(session: SessionId, origin: Origin) -> Self {
        Self {
            session,
            origin,
            offer: None,
            auto_answer: false,
            eager: false,
            announced: false,
            accepted: false,
            waiters: Vec::new(),
        }
    }

    /// The call goes on under another session id, with an offer at once (6.3.2).
    pub(super) fn replace_by(&mut self, offer: Offer) {
        self.session = offer.session.clone();
        self.origin = Origin::Offered(offer.peer.clone());
        self.offer = Some(offer);
    }

    /// How the propose said the SDP would travel (6.13.4).
    pub(super) fn form(&self) -> Option<Form> {
        match &self.origin {
            Origin::Proposed(propose) => Some(propose.form),
            Origin::Offered(_) | Origin::Mocked => None,
        }
    }

    /// Whether the event of a call on the shared session made it.
    pub(super) fn is_mocked(&self) -> bool {
        matches!(self.origin, Origin::Mocked)
    }
}

impl Call {
    /// A conversation of which nothing but the id is known.
    pub(super) fn new(id: ConversationId, sequence: u64) -> Self {
        Self {
            id,
            sequence,
            known: None,
            stored: false,
            boot: false,
            placed: false,
            accepted: false,
            pending: None,
            session: None,
            added: false,
            metadata: None,
            ending: false,
            dismissed: false,
            elsewhere: false,
            early: false,
            auto_answer: false,
            dialed: None,
            intents: Vec::new(),
            digits: DigitQueue::default(),
            consult: None,
        }
    }

    /// This phone has taken it (6.13.2).
    pub(super) fn is_ours(&self) -> bool {
        self.placed || self.accepted || self.session.is_some()
    }

    /// State of our call, if an event told it.
    pub(super) fn state(&self) -> Option<CallState> {
        self.known.as_ref().map(|known| known.call.state)
    }

    /// In the store and in the connected group.
    pub(super) fn is_connected(&self) -> bool {
        self.stored && self.state().is_some_and(CallState::is_connected_group)
    }

    /// In the store and ringing.
    pub(super) fn is_ringing(&self) -> bool {
        self.stored && self.state().is_some_and(CallState::is_pending)
    }

    /// Nothing says that it was answered.
    pub(super) fn is_pending(&self) -> bool {
        self.state().is_none_or(CallState::is_pending)
    }

    /// Direction, if it can be known.
    pub(super) fn direction(&self) -> Option<Direction> {
        if self.placed {
            return Some(Direction::Outbound);
        }
        self.known.as_ref().and_then(|known| known.call.direction)
    }

    /// The fake call that only sets up the persistent connection (6.12).
    pub(super) fn is_eager(&self) -> bool {
        self.pending.as_ref().is_some_and(|p| p.eager) && self.known.is_none()
    }

    /// Nothing keeps it.
    pub(super) fn is_idle(&self) -> bool {
        !self.stored
            && !self.boot
            && !self.placed
            && self.pending.is_none()
            && self.session.is_none()
            && self.known.is_none()
    }

    /// As `conversationUpdate` shows it; `None` while no event has come.
    pub(super) fn stored_conversation(
        &self,
        session: Option<&Session>,
    ) -> Option<StoredConversation> {
        let known = self.known.as_ref()?;
        Some(StoredConversation {
            conversation_id: self.id.clone(),
            conversation_update: known.conversation.clone(),
            most_recent_call_state: known.call.clone(),
            most_recent_user_participant: known.participant.clone(),
            session: session.map(Session::info),
        })
    }
}
