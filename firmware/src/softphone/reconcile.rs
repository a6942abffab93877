//! Whether what the phone believes is still so: at the start, after a streaming drop, and for calls nothing was heard of
//! (genesys-protocol 2.6, 3.6, 6.13.12).

use super::Softphone;
use super::error::is_gone;
use super::requests::Purpose;
use super::select::{own_call, own_participant};
use super::timers::Timer;
use crate::genesys::id::ConversationId;
use crate::genesys::model::{CallState, Conversation};
use crate::genesys::rest::{RestError, RestReply, RestRequest};

impl Softphone {
    /// Asks whether a call still exists.
    pub(super) fn check(&mut self, id: &ConversationId) {
        if self
            .call(id)
            .is_some_and(|call| call.session.is_none() && !call.is_eager())
        {
            let request = RestRequest::Conversation {
                conversation: id.clone(),
            };
            self.request(request, Purpose::Check(id.clone()));
        }
    }

    /// Asks what is going on.
    pub(super) fn fetch_active_calls(&mut self, boot: bool) {
        let sequence = self.last_call;
        let purpose = Purpose::ActiveCalls { boot, sequence };
        self.request(RestRequest::ActiveCalls, purpose);
    }

    pub(super) fn on_conversation_result(
        &mut self,
        id: &ConversationId,
        result: Result<RestReply, RestError>,
    ) {
        match result {
            Ok(RestReply::Conversation(conversation)) => {
                let me = self.user_id().cloned().unwrap_or_default();
                let on_it = own_participant(&conversation, &me, None)
                    .is_some_and(|participant| !participant.calls.is_empty());
                if on_it && &conversation.id == id {
                    self.observe(*conversation);
                } else {
                    self.gone(id);
                }
            }
            Err(error) if is_gone(&error) => self.gone(id),
            _ => {}
        }
    }

    /// The cloud has no such call of ours any more: as if its last event had come.
    pub(super) fn gone(&mut self, id: &ConversationId) {
        let Some(call) = self.call(id) else { return };
        if let Some(known) = &call.known {
            let me = self.user_id().cloned();
            let mut last = known.conversation.clone();
            for participant in &mut last.participants {
                if participant.user_id == me {
                    for call in &mut participant.calls {
                        call.state = CallState::Disconnected;
                    }
                }
            }
            self.observe(last);
        }
        if self.call(id).is_some() {
            self.cancel_pending(id, "the call is over");
            let session = self.call(id).and_then(|call| call.session.clone());
            self.forget(id);
            if let Some(session) = session {
                self.timers.start(Timer::Leftover(session));
            }
        }
    }

    /// The calls going on at the start or after a streaming drop (2.6).
    pub(super) fn on_active_calls(&mut self, list: Vec<Conversation>, boot: bool, sequence: u64) {
        let me = self.user_id().cloned().unwrap_or_default();
        let listed: Vec<ConversationId> = list.iter().map(|c| c.id.clone()).collect();
        for conversation in list {
            let id = conversation.id.clone();
            let own = own_call(&conversation, &me, None);
            let connected =
                own.is_some_and(|(_, call)| !call.state.is_pending() && !call.state.is_ended());
            if self.call(&id).is_none() && connected {
                if boot {
                    self.call_or_new(&id).boot = true;
                    self.timers.start(Timer::Stale(id.clone()));
                } else if self.line_appearance_one() && self.connected_active_session().is_some() {
                    // Its alerting was missed, and the one session there is carries it.
                    self.call_or_new(&id).accepted = true;
                }
            }
            self.observe(conversation);
        }
        // Those that are not listed are asked for one by one: the list has pages, and new calls begin meanwhile.
        let missing: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                call.sequence <= sequence && !listed.contains(&call.id) && !call.is_eager()
            })
            .map(|call| call.id.clone())
            .collect();
        for id in &missing {
            let request = RestRequest::Conversation {
                conversation: id.clone(),
            };
            self.request(request, Purpose::Check(id.clone()));
        }
    }
}
