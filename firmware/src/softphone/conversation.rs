//! The conversation events, which are the truth about a call (genesys-protocol 6.7 and 6.8).
//!
//! Beyond the SDK: a call this phone has taken (we placed it, or sent `proceed`) is ours even when its `dialing` or
//! `connected` comes before the offer (6.13.2); while a call of ours is being placed, an outbound call whose owner is not
//! known yet waits for the reply instead of being forgotten.

use super::Softphone;
use super::call::{Call, Known, Pending};
use super::event::{EndReason, Event, SessionState};
use super::requests::Purpose;
use super::select::own_call;
use super::timers::Timer;
use super::update::Change;
use super::{SdkError, SdkErrorType};
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::model::{Call as WireCall, CallState, Conversation, Direction, Station};
use crate::genesys::rest::RestRequest;
use crate::genesys::signal::Reason;
use crate::media::ConnectionState;
use serde_json::json;

/// Not an error: the gateway only says that the session is idle (6.8.3).
const INACTIVE: &str = "error.ininedgecontrol.session.inactive";

impl Softphone {
    /// An event, or what the cloud answered when asked about the conversation.
    pub(super) fn observe(&mut self, conversation: Conversation) {
        let Some(me) = self.user_id().cloned() else {
            return;
        };
        self.note_wrap_up(&conversation, &me);
        // 6.7; none: ignored.
        let Some((participant, call)) = own_call(&conversation, &me, None) else {
            return;
        };
        let known = Known {
            participant: participant.clone(),
            call: call.clone(),
            conversation,
        };
        let id = known.conversation.id.clone();
        if self.calls.len() >= super::engine::MAX_CALLS && self.call(&id).is_none() {
            tracing::warn!(conversation = %id, "too many calls at once: an event is ignored");
            return;
        }
        let stored = self.call(&id).is_some_and(|call| call.stored);
        let ours = self.call(&id).is_some_and(Call::is_ours);
        if stored || ours || known.call.state.is_pending() {
            self.observe_stored(&id, known);
        } else {
            self.observe_unowned(&id, known);
        }
    }

    /// 6.8.2: no stored state, not ringing, and not taken by us: another client's, or over. Yet it may be one of the
    /// phone's earlier life, one that is being decided about, or one we are about to learn is ours.
    fn observe_unowned(&mut self, id: &ConversationId, known: Known) {
        let ended = known.call.state.is_ended();
        let connected = known.call.state.is_connected_group();
        let maybe_placed = self.is_placing() && known.call.direction == Some(Direction::Outbound);
        let Some(call) = self.call_mut(id) else {
            if maybe_placed {
                self.call_or_new(id).known = Some(known);
            }
            return;
        };
        call.known = Some(known);
        let undecided = call.pending.as_ref().is_some_and(|p| !p.accepted);
        if ended && !maybe_placed {
            self.part(id);
            self.cancel_pending(id, "the call is over");
            self.forget(id);
        } else if undecided {
            self.decide(id);
            let waits = self.call(id).is_none_or(|call| {
                call.is_ours() || call.pending.as_ref().is_none_or(|p| p.offer.is_some())
            });
            if connected && !waits && !maybe_placed {
                self.taken_elsewhere(id);
            }
        }
    }

    fn observe_stored(&mut self, id: &ConversationId, known: Known) {
        let session = self.session_for_event(id);
        self.report_call_error(id, &known.call); // 6.8.3
        let new = known.call.clone();
        let me = self.user_id().cloned().unwrap_or_default();
        let call = self.call_or_new(id);
        // 6.8.4
        let previous = call
            .known
            .as_ref()
            .filter(|_| call.stored)
            .and_then(|known| {
                let wanted = Some(CallState::Connected);
                own_call(&known.conversation, &me, wanted).map(|(_, call)| call.clone())
            });
        call.known = Some(known);
        call.stored = true;
        call.boot = false;
        self.note_consult(id);
        // 6.8.5, 6.13.13
        let same = previous.as_ref().is_some_and(|previous| {
            (
                previous.state,
                previous.confined,
                previous.held,
                previous.muted,
            ) == (new.state, new.confined, new.held, new.muted)
        });
        if same {
            return;
        }
        let before = previous.map(|previous| previous.state);
        if before == Some(new.state) {
            self.emit_update(Change::Updated, id, session.as_ref()); // 6.8.8
        } else if new.state.is_pending() {
            self.on_ringing(id, session.as_ref(), &new);
        } else if new.state.is_connected_group() {
            self.on_connected(id, session.as_ref(), before, &new);
        } else if new.state.is_ended() {
            self.on_ended(id, session.as_ref(), before);
        } else {
            self.emit_update(Change::Updated, id, session.as_ref()); // 6.13.16
        }
    }

    /// 6.8.7 pending: no conversationUpdate.
    fn on_ringing(&mut self, id: &ConversationId, session: Option<&SessionId>, new: &WireCall) {
        let shared = session.filter(|session| self.active_session.as_ref() == Some(session));
        let Some(call) = self.call_mut(id) else {
            return;
        };
        call.dismissed = false;
        call.ending = false;
        // Not for the session's own call, whose ringing is only told late.
        let fresh = call.session.is_none() && call.pending.is_none();
        if let Some(shared) = shared.filter(|_| fresh) {
            let outbound = new.direction == Some(Direction::Outbound);
            call.pending = Some(Pending::mocked(shared.clone(), outbound));
        }
        if call.pending.is_none() && new.direction != Some(Direction::Outbound) {
            self.timers.start_once(Timer::Ring(id.clone()));
        }
        self.timers.start_once(Timer::Stale(id.clone()));
        self.decide(id);
    }

    /// The propose is late. The call rings all the same (6.8.7, 9.2): whoever answers it waits for the propose then. Where
    /// calls ring at a station that is no WebRTC phone no propose will come.
    pub(super) fn ring_early(&mut self, id: &ConversationId) {
        let here = self.station().is_some_and(Station::is_webrtc);
        if let Some(call) = self.call_mut(id) {
            call.early = here && call.is_ringing() && call.pending.is_none() && !call.elsewhere;
        }
    }

    /// 6.8.7 connected group.
    fn on_connected(
        &mut self,
        id: &ConversationId,
        session: Option<&SessionId>,
        before: Option<CallState>,
        new: &WireCall,
    ) {
        let placing = self.is_placing();
        let Some(call) = self.call(id) else { return };
        let ours = call.is_ours();
        let offered = call.pending.as_ref().is_some_and(|p| p.offer.is_some());
        let differs = session
            .as_ref()
            .and_then(|session| self.session(session))
            .is_some_and(|session| &session.conversation != id);
        let just_connected = before.is_none_or(|before| !before.is_connected_group());
        let mut change = Change::Updated;
        if differs || just_connected {
            if session.is_none() && !ours {
                let maybe_placed = placing && new.direction == Some(Direction::Outbound);
                if !maybe_placed && !offered {
                    self.taken_elsewhere(id);
                }
                return;
            }
            if let Some(shared) = session
                .as_ref()
                .filter(|session| self.active_session.as_ref() == Some(*session))
            {
                self.join_shared(id, shared);
            }
            let Some(call) = self.call_mut(id) else {
                return;
            };
            if !std::mem::replace(&mut call.added, true) {
                change = Change::Added;
            }
        }
        self.post_metadata(id);
        self.emit_update(change, id, session);
    }

    /// A call is connected over the shared session: the mocked events (6.8.7, 6.12).
    pub(super) fn join_shared(&mut self, id: &ConversationId, shared: &SessionId) {
        let Some(session) = self.session_mut(shared) else {
            return;
        };
        session.conversation = id.clone();
        session.eager = false;
        let first = !session.started.contains(id);
        if first {
            session.started.push(id.clone());
            session.quality.begin();
        }
        let info = session.info();
        self.timers.stop(&Timer::Leftover(shared.clone()));
        self.timers.stop(&Timer::Placed(id.clone()));
        self.timers.stop(&Timer::Propose(id.clone()));
        self.timers.stop(&Timer::Stale(id.clone()));
        if first {
            self.event(Event::SessionStarted(info));
        }
        let Some(call) = self.call_mut(id) else {
            return;
        };
        call.session = Some(shared.clone());
        call.accepted = true;
        let mocked = call.pending.take();
        let intents = std::mem::take(&mut call.intents);
        self.settle_pending(id, mocked);
        for intent in intents {
            self.done(intent);
        }
    }

    /// 6.8.7 ended. The second of `disconnected` and `terminated` finds nothing stored (6.13.11).
    fn on_ended(
        &mut self,
        id: &ConversationId,
        session: Option<&SessionId>,
        before: Option<CallState>,
    ) {
        self.part(id);
        let rang = before.is_none_or(CallState::is_pending);
        let added = self.call(id).is_some_and(|call| call.added);
        if rang && !added {
            // 6.13.14. The SDK leaves a real pending session to the retraction; the user must not be left with a ringing
            // phone when that is lost.
            self.cancel_pending(id, "the call is over");
            let own = self.call(id).and_then(|call| call.session.clone());
            self.let_go(id);
            self.wind_down(own.or_else(|| session.cloned()));
            return;
        }
        self.cancel_pending(id, "the call is over");
        self.want_wrap_up(id);
        let own = self.call(id).and_then(|call| call.session.clone());
        if let Some(shared) = session
            .as_ref()
            .filter(|session| self.active_session.as_ref() == Some(*session))
            .copied()
            && let Some(session) = self.session_mut(shared)
        {
            session.conversation = id.clone();
            let told = session.started.len();
            session.started.retain(|started| started != id);
            let told = session.started.len() < told;
            let info = session.info_for(id, SessionState::Ended);
            if told {
                self.event(Event::SessionEnded {
                    session: info,
                    reason: EndReason {
                        condition: Reason::Success,
                    },
                });
            }
        }
        self.emit_update(Change::Removed, id, session);
        self.let_go(id);
        self.wind_down(own.or_else(|| session.cloned()));
    }

    /// Forgets a call that is over, unless the reply to a call of ours may yet say that it was that one.
    fn let_go(&mut self, id: &ConversationId) {
        let placing = self.is_placing();
        match self.call_mut(id) {
            Some(call)
                if placing && !call.is_ours() && call.direction() == Some(Direction::Outbound) =>
            {
                call.stored = false;
                call.dismissed = true;
            }
            _ => self.forget(id),
        }
    }

    /// The gateway ends a session whose last call is over; if it does not, we do.
    fn wind_down(&mut self, session: Option<SessionId>) {
        if let Some(session) = session
            && self.session(&session).is_some()
            && !self.is_used(&session)
        {
            self.timers.start(Timer::Leftover(session));
        }
    }

    /// What a call that has become ours missed: its events may have come first (6.13.2).
    pub(super) fn note_connected(&mut self, id: &ConversationId) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let Some(state) = call.state() else { return };
        let was_stored = call.stored;
        call.stored = true;
        if state.is_ended() {
            self.part(id);
            self.forget(id);
            return;
        }
        if !state.is_connected_group() {
            return;
        }
        let first = !std::mem::replace(&mut call.added, true);
        let session = call.session.clone();
        self.post_metadata(id);
        if first || !was_stored {
            self.emit_update(Change::Added, id, session.as_ref());
        }
    }

    /// 2.5, 6.13.23: tells the cloud's records where the media comes from, once per connected call with a session.
    fn post_metadata(&mut self, id: &ConversationId) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        if call.session.is_none() || call.state() != Some(CallState::Connected) {
            return;
        }
        let Some(communication) = call.known.as_ref().map(|known| known.call.id.clone()) else {
            return;
        };
        if call.metadata.as_ref() == Some(&communication) {
            return;
        }
        call.metadata = Some(communication.clone());
        let request = RestRequest::Metadata {
            conversation: id.clone(),
            communication,
        };
        self.request(request, Purpose::Metadata);
    }

    /// The session an event is about (6.8).
    fn session_for_event(&self, id: &ConversationId) -> Option<SessionId> {
        let call = self.call(id);
        let own = call.and_then(|call| call.session.clone());
        // A real proposal of its own: this call does not come over the shared session, whatever the appearance.
        let apart = call.is_some_and(|call| {
            call.elsewhere || call.pending.as_ref().is_some_and(|p| !p.is_mocked())
        });
        if own.is_none() && apart {
            return None;
        }
        own.or_else(|| {
            self.active_session
                .clone()
                .filter(|_| self.line_appearance_one())
        })
        .or_else(|| {
            let named = |s: &&super::session::Session| &s.conversation == id && !s.eager;
            self.sessions.iter().find(named).map(|s| s.id.clone())
        })
        .or_else(|| {
            let active = self.session(self.active_session.as_ref()?)?;
            let free = !self
                .calls
                .iter()
                .any(|call| call.session.as_ref() == Some(&active.id));
            let connected = active.connection == ConnectionState::Connected;
            (self.persistent() && connected && free).then(|| active.id.clone())
        })
    }

    /// 6.8.3: debounced, leading and trailing; per conversation, so that no call's error hides another's.
    fn report_call_error(&mut self, id: &ConversationId, call: &WireCall) {
        let Some(info) = &call.error_info else { return };
        if info.code.as_deref() == Some(INACTIVE) {
            return;
        }
        let error = SdkError::new(SdkErrorType::Call, "Call error has occurred")
            .with("errorInfo", json!(info))
            .about(id);
        let timer = Timer::CallError(id.clone());
        if self.timers.runs(&timer) {
            self.call_errors.insert(id.clone(), error);
        } else {
            self.event(Event::SdkError(error));
        }
        self.timers.start(timer);
    }

    /// The trailing one.
    pub(super) fn on_call_error_timeout(&mut self, id: &ConversationId) {
        if let Some(error) = self.call_errors.remove(id) {
            self.event(Event::SdkError(error));
        }
    }
}
