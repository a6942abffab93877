//! `conversationUpdate` (genesys-protocol 6.9).

use super::Softphone;
use super::call::Call;
use super::event::{ConversationUpdate, Event, StoredConversation};
use crate::genesys::id::{ConversationId, SessionId};

/// What happened to the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Removed,
    Updated,
}

impl Softphone {
    /// Emits `conversationUpdate`. On removal the call is still in the list, and left out of it here.
    pub(super) fn emit_update(
        &mut self,
        change: Change,
        id: &ConversationId,
        session: Option<&SessionId>,
    ) {
        let one = || -> Vec<StoredConversation> {
            self.call(id)
                .and_then(|call| self.show(call))
                .into_iter()
                .collect()
        };
        let (added, removed) = match change {
            Change::Added => (one(), Vec::new()),
            Change::Removed => (Vec::new(), one()),
            Change::Updated => (Vec::new(), Vec::new()),
        };
        let left = || {
            self.calls
                .iter()
                .filter(|call| call.stored && !(change == Change::Removed && &call.id == id))
        };
        let update = ConversationUpdate {
            active_conversation_id: self.active_of(left(), session).unwrap_or_default(),
            current: left().filter_map(|call| self.show(call)).collect(),
            added,
            removed,
        };
        self.event(Event::ConversationUpdate(update));
    }

    fn show(&self, call: &Call) -> Option<StoredConversation> {
        let session = call.session.as_ref().and_then(|s| self.session(s));
        call.stored_conversation(session)
    }

    /// Which of the stored conversations has the audio.
    fn active_of<'a>(
        &self,
        stored: impl Iterator<Item = &'a Call>,
        session: Option<&SessionId>,
    ) -> Option<ConversationId> {
        let named = |session: Option<&SessionId>| {
            session
                .and_then(|session| self.session(session))
                .map(|session| session.conversation.clone())
        };
        let stored: Vec<&Call> = stored.collect();
        match stored.as_slice() {
            [] => named(self.active_session.as_ref()).or_else(|| named(session)),
            [only] => Some(only.id.clone()),
            several => {
                let connected: Vec<&&Call> = several.iter().filter(|c| c.is_connected()).collect();
                match connected.as_slice() {
                    [only] => Some(only.id.clone()),
                    several => several
                        .iter()
                        .find(|call| call.known.as_ref().is_some_and(|known| !known.call.held))
                        .map(|call| call.id.clone())
                        .or_else(|| named(session)),
                }
            }
        }
    }

    /// The conversation whose audio is on (6.9); none without calls, an idle persistent connection is no call.
    pub fn active_conversation(&self) -> Option<ConversationId> {
        let stored = || self.calls.iter().filter(|call| call.stored);
        stored().next()?;
        self.active_of(stored(), self.active_session.as_ref())
    }
}
