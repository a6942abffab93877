//! The calls as the user sees them, and how the engine's views of them change that.

use super::number::readable;
use super::strings::Strings;
use crate::genesys::id::ConversationId;
use crate::genesys::model::{CallState, Direction};
use crate::media::ConnectionState;
use crate::softphone::CommandId;
use crate::softphone::event::{CallView, Party, Remote};
use std::time::Instant;

/// Line keys of the phone.
pub(super) const LINE_KEYS: u8 = 4;

/// Where a call is, for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Known to the cloud, but nothing this phone could do anything about.
    Hidden,
    /// Going on at another of the user's devices, or since before this phone started: only told.
    Elsewhere,
    /// Wants to be answered.
    Ringing,
    /// Taken, not yet connected.
    Answering,
    /// Our own, not yet connected.
    Calling,
    /// Connected.
    Talking,
    /// Connected and on hold.
    Held,
    /// Over.
    Ended,
}

impl Phase {
    /// Somebody is, or soon will be, at the other end of the microphone.
    pub fn is_engaged(self) -> bool {
        matches!(self, Self::Answering | Self::Calling | Self::Talking)
    }

    pub fn is_connected(self) -> bool {
        matches!(self, Self::Talking | Self::Held)
    }
}

/// A call, and what the user did about it that the cloud has not confirmed yet.
pub(super) struct Call {
    pub view: CallView,
    /// Its line key, 1 to 4; calls beyond have none.
    pub key: Option<u8>,
    /// For the duration.
    pub connected_at: Option<Instant>,
    /// For "the last one held".
    pub held_at: Option<Instant>,
    /// The number we dialed for it.
    pub dialed: Option<String>,
    /// It was asked for here.
    pub ours: bool,
    /// It has had its path opened.
    pub alive: bool,
    /// It was taken by itself and nothing else is known, while the reply to a start is open: perhaps our own call.
    pub undecided: bool,
    /// It has not been proposed to this phone yet, and will be: calls ring at its station.
    pub expected: bool,
    /// The user has answered.
    pub answering: bool,
    /// The user has rejected it.
    pub rejecting: bool,
    /// The user does not want to hear it ring.
    pub quiet: bool,
    /// The user has hung up: as good as gone.
    pub ending: bool,
    /// The command that ends it, while its outcome is open.
    pub end_sent: Option<CommandId>,
    /// The mute the user wants, until the cloud says the same.
    pub mute_wanted: Option<bool>,
    /// The hold the user wants, until the cloud says the same.
    pub hold_wanted: Option<bool>,
    /// The cloud has told of an error: its end is a failure, not a hang-up.
    pub failed: bool,
    /// Another client has taken it: no missed call.
    pub handled: bool,
    /// It is being transferred: its end is what the user wanted.
    pub transferring: bool,
    /// A consultation was asked for and has not begun.
    pub asking: bool,
    /// It becomes part of another call: its end is what the user wanted.
    pub joining: bool,
    /// Whom the user wants to hand it to, as entered.
    pub handed_to: Option<String>,
}

impl Call {
    pub fn new(view: CallView) -> Self {
        Self {
            view,
            expected: false,
            key: None,
            connected_at: None,
            held_at: None,
            dialed: None,
            ours: false,
            alive: false,
            undecided: false,
            answering: false,
            rejecting: false,
            quiet: false,
            ending: false,
            end_sent: None,
            mute_wanted: None,
            hold_wanted: None,
            failed: false,
            handled: false,
            transferring: false,
            asking: false,
            joining: false,
            handed_to: None,
        }
    }

    pub fn id(&self) -> &ConversationId {
        &self.view.conversation_id
    }

    pub fn phase(&self) -> Phase {
        let view = &self.view;
        let taken = view.accepted || view.session_id.is_some() || self.answering;
        let direction = if self.ours {
            Direction::Outbound
        } else {
            view.direction
        };
        match (view.state, direction) {
            (CallState::Disconnected | CallState::Terminated, _) => Phase::Ended,
            _ if self.undecided => Phase::Hidden,
            (CallState::Connected | CallState::Hold, _) if !taken => Phase::Elsewhere,
            (CallState::Hold, _) => Phase::Held,
            (CallState::Connected, _) if view.held => Phase::Held,
            (CallState::Connected, _) => Phase::Talking,
            (_, Direction::Outbound) if taken => Phase::Calling,
            (_, Direction::Inbound) if taken => Phase::Answering,
            // An own call that wants to be answered here was dialed at the agent's desktop.
            _ if view.pending => Phase::Ringing,
            (_, Direction::Outbound) => Phase::Elsewhere,
            // The event comes before the proposal: it rings already, and whoever answers now is taken by his word. Once
            // proposed and not any more, it was taken back or another device has it.
            (CallState::Alerting, Direction::Inbound) if self.expected => Phase::Ringing,
            (_, Direction::Inbound) => Phase::Hidden,
        }
    }

    /// Nothing but its id is known, so it may be anybody's.
    pub fn is_unknown(&self) -> bool {
        let Remote { name, address } = &self.view.remote;
        self.view.auto_answer
            && self.view.direction == Direction::Inbound
            && !self.ours
            && name.is_empty()
            && address.is_empty()
    }

    /// Still of interest to the user.
    pub fn is_live(&self) -> bool {
        !self.ending && !matches!(self.phase(), Phase::Hidden | Phase::Ended)
    }

    /// On its way to somebody else.
    pub fn is_leaving(&self) -> bool {
        self.transferring || self.asking
    }

    /// More than one other party, and none of them only asked about a transfer.
    pub fn is_conference(&self) -> bool {
        self.view.consult.is_none() && self.view.parties.len() > 1
    }

    /// Who is asked in the consultation.
    pub fn asked_party(&self) -> Option<&Party> {
        let destination = self.view.consult.as_ref()?.destination.as_ref()?;
        let mut parties = self.view.parties.iter();
        parties.find(|party| &party.participant_id == destination)
    }

    /// Can be answered, and has not been rejected.
    pub fn is_waiting(&self) -> bool {
        self.phase() == Phase::Ringing && !self.rejecting && !self.ending
    }

    /// To be heard while it waits.
    pub fn is_audible(&self) -> bool {
        self.is_waiting() && !self.quiet
    }

    /// What the local microphone gate does: the user's wish at once, then the cloud's word.
    pub fn is_gated(&self) -> bool {
        self.mute_wanted.unwrap_or(self.view.muted)
    }

    /// Held, or on the way there.
    pub fn is_hold_wanted(&self) -> bool {
        self.hold_wanted.unwrap_or(self.phase() == Phase::Held)
    }

    /// The microphone may reach it.
    pub fn can_hear_us(&self) -> bool {
        let is_up = match self.phase() {
            Phase::Talking => true,
            // The user has answered and the way is up: the first word shall not wait for the event that says so.
            Phase::Answering => self.view.connection == Some(ConnectionState::Connected),
            _ => false,
        };
        is_up && !self.view.held && self.hold_wanted != Some(true)
    }

    /// Name, or number, or that there is neither.
    pub fn who(&self, words: &Strings) -> String {
        let name = self.view.remote.name.expose().trim();
        if !name.is_empty() {
            return name.to_owned();
        }
        let number = self.number();
        if number.is_empty() {
            words.unknown_caller.to_owned()
        } else {
            number
        }
    }

    /// Number, if it is not what [`Call::who`] says already.
    pub fn number_beside_name(&self) -> String {
        let number = self.number();
        let name = self.view.remote.name.expose().trim();
        if name.is_empty() || readable(name) == number {
            String::new()
        } else {
            number
        }
    }

    fn number(&self) -> String {
        let number = readable(self.view.remote.address.expose());
        if number.is_empty() {
            self.dialed.clone().unwrap_or_default()
        } else {
            number
        }
    }

    /// Takes the engine's new word. What it confirms or contradicts is no longer a mere wish.
    pub fn update(&mut self, now: Instant, view: CallView) {
        if self.mute_wanted == Some(view.muted) || view.muted != self.view.muted {
            self.mute_wanted = None;
        }
        let was_held = self.phase() == Phase::Held;
        self.expected &= !view.pending;
        self.view = view;
        let is_held = self.phase() == Phase::Held;
        if self.hold_wanted == Some(is_held) || is_held != was_held {
            self.hold_wanted = None;
        }
        if self.phase().is_connected() {
            self.connected_at.get_or_insert(now);
        }
        match (is_held, self.held_at) {
            (true, None) => self.held_at = Some(now),
            (false, Some(_)) => self.held_at = None,
            _ => {}
        }
    }
}

/// Name, or number, or that there is neither.
pub(super) fn who_is(party: &Party, words: &Strings) -> String {
    let name = party.name.expose().trim();
    let number = readable(party.address.expose());
    match (name, number.is_empty()) {
        ("", true) => words.unknown_caller.to_owned(),
        ("", false) => number,
        (name, _) => name.to_owned(),
    }
}

/// The calls in order of arrival.
#[derive(Default)]
pub(super) struct Calls(Vec<Call>);

impl Calls {
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.0.iter_mut()
    }

    pub fn find(&self, id: &ConversationId) -> Option<&Call> {
        self.0.iter().find(|call| call.id() == id)
    }

    pub fn find_mut(&mut self, id: &ConversationId) -> Option<&mut Call> {
        self.0.iter_mut().find(|call| call.id() == id)
    }

    pub fn push(&mut self, call: Call) {
        self.0.push(call);
    }

    pub fn remove(&mut self, id: &ConversationId) -> Option<Call> {
        let index = self.0.iter().position(|call| call.id() == id)?;
        Some(self.0.remove(index))
    }

    /// The call of a line key.
    pub fn on_key(&self, key: u8) -> Option<&Call> {
        self.0.iter().find(|call| call.key == Some(key))
    }

    /// `wanted` if no call has it, else the lowest free line key.
    pub fn free_key(&self, wanted: Option<u8>) -> Option<u8> {
        wanted
            .into_iter()
            .chain(1..=LINE_KEYS)
            .find(|key| self.on_key(*key).is_none())
    }

    /// The call to answer: the oldest, an audible one before one that was silenced.
    pub fn waiting(&self) -> Option<&Call> {
        let mut waiting = self.0.iter().filter(|call| call.is_waiting());
        let first = waiting.next();
        first
            .into_iter()
            .chain(waiting)
            .min_by_key(|call| call.quiet)
    }

    pub fn is_audible(&self) -> bool {
        self.0.iter().any(Call::is_audible)
    }

    /// The call to resume: the one put on hold last, other than `except`.
    pub fn last_held(&self, except: Option<&ConversationId>) -> Option<&Call> {
        self.0
            .iter()
            .filter(|call| {
                call.is_live() && call.phase() == Phase::Held && Some(call.id()) != except
            })
            .max_by_key(|call| call.held_at)
    }

    /// Calls that stay when the user hangs up: they ring back.
    pub fn any_left(&self) -> bool {
        self.0
            .iter()
            .any(|call| call.is_live() && call.phase().is_connected())
    }
}
