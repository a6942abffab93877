//! Proposals: who takes them, and how they end (genesys-protocol 5.2, 6.2 to 6.4).
//!
//! **Which proposals are taken without asking.** One with `inin-autoanswer` is
//! * always taken when we placed its call, whatever comes first of reply, propose and event (6.12); while a call of
//!   ours is being placed, such a proposal waits until the reply tells whose it is;
//! * taken when the events say the call is inbound, unless `disableAutoAnswer`: an agent with auto-answer;
//! * only told of when the events say it is outbound: another client of the user placed it, and whoever proceeds first
//!   gets the audio, so taking it would steal the call. Lifting the handset takes it (click to dial), and so does the
//!   phone by itself with `take_all_outbound`.
//!
//! When no event tells the direction within half a second the cloud is asked; when it cannot say, the call is taken as
//! the SDK would.
//!
//! **Every pending session ends once**: as started when its offer comes, as cancelled by retraction or by the event that
//! ends its call, or as handled by another client. Its own echoed `accept` is not "another client".

use super::acts::Act;
use super::call::{Call, Origin, Pending};
use super::event::{Event, PendingSession, SessionRef};
use super::requests::Purpose;
use super::timers::Timer;
use super::update::Change;
use super::{CommandId, EagerMode, SdkError, Softphone};
use crate::genesys::id::{ConversationId, Jid, SessionId};
use crate::genesys::model::Direction;
use crate::genesys::rest::RestRequest;
use crate::genesys::signal::{Propose, Reason, Reply};

impl Softphone {
    /// 6.3
    pub(super) fn on_propose(&mut self, propose: Propose) {
        let own = self.full_jid.as_ref() == Some(&propose.from); // 5.2: our own
        let late = self.session(&propose.session).is_some() || self.is_refused(&propose.session);
        let unwanted = propose.eager && self.config.eager_persistent_connection == EagerMode::None;
        if own || late || unwanted || !propose.from.is_softphone_gateway() {
            return;
        }
        let id = propose.conversation.clone();
        if self.calls.len() >= super::engine::MAX_CALLS && self.call(&id).is_none() {
            tracing::warn!(conversation = %id, "too many calls at once: a propose is ignored");
            return;
        }
        self.claim(&propose.session, &id);
        let call = self.call_or_new(&id);
        if call.ending {
            return; // The user has hung up already.
        }
        call.auto_answer = propose.auto_answer;
        call.dismissed = false;
        call.elsewhere = false;
        self.timers.stop(&Timer::Placed(id.clone()));
        self.timers.start(Timer::Stale(id.clone()));
        let Some(pending) = self.call_mut(&id).and_then(|call| call.pending.as_mut()) else {
            if let Some(call) = self.call_mut(&id) {
                call.pending = Some(Pending::proposed(propose));
            }
            self.decide(&id);
            return;
        };
        let accepted = pending.accepted;
        if pending.session == propose.session && !pending.is_mocked() {
            // 6.13.3: a repetition. The first one's SDP form stays (6.13.4).
            if !accepted {
                self.decide(&id); // Taken by itself, without an offer so far: once more.
            } else if pending.offer.is_none() {
                self.proceed(&id);
            }
            return;
        }
        // 6.3.2: a new proposal of the same call, or the real one of a mocked one.
        pending.session = propose.session.clone();
        pending.auto_answer = propose.auto_answer;
        pending.offer = None;
        pending.origin = Origin::Proposed(propose);
        self.timers.stop(&Timer::HeldOffer(id.clone()));
        if accepted {
            self.proceed(&id);
        } else {
            self.decide(&id);
        }
    }

    /// What to do with the pending session of `id` now: 6.3's table and the rules above. Asked again whenever something
    /// that matters to it has changed.
    pub(super) fn decide(&mut self, id: &ConversationId) {
        let placing = self.is_placing();
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let (placed, wanted) = (call.placed, !call.intents.is_empty());
        let direction = call.direction();
        let Some(pending) = call.pending.as_ref().filter(|p| !p.accepted) else {
            return;
        };
        let (eager, auto_answer) = (pending.eager, pending.auto_answer);
        let (mocked, offered) = (
            pending.is_mocked(),
            matches!(pending.origin, Origin::Offered(_)),
        );
        if self.handling.is_reduced() && !placed && !wanted && !mocked && (eager || !auto_answer) {
            // 6.3: ignored; kept, so that it can still be answered by command.
        } else if eager {
            match self.config.eager_persistent_connection {
                EagerMode::Auto => self.take(id),
                EagerMode::Event => self.announce(id),
                EagerMode::None => {}
            }
        } else if placed || wanted {
            self.announce(id);
            self.take_for_intents(id);
        } else if mocked {
            self.announce(id); // The platform connects an outbound one by itself (6.12).
        } else if (auto_answer || offered) && placing && direction != Some(Direction::Inbound) {
            // Whose it is, the reply to our own call will tell.
        } else if !auto_answer {
            self.announce(id);
        } else {
            match direction {
                None => self.timers.start_once(Timer::Direction(id.clone())),
                Some(Direction::Outbound) if !self.config.take_all_outbound => self.announce(id),
                Some(_) => {
                    self.announce(id);
                    if !self.config.disable_auto_answer {
                        self.take(id);
                    }
                }
            }
        }
    }

    /// The same for all, when the reply to a call of ours has told whose the others are.
    pub(super) fn decide_all(&mut self) {
        let ids: Vec<ConversationId> = self.calls.iter().map(|call| call.id.clone()).collect();
        for id in &ids {
            self.decide(id);
        }
    }

    /// Emits `pendingSession`, once (6.2).
    fn announce(&mut self, id: &ConversationId) {
        let own_bare = self.bare_jid().cloned().unwrap_or_default();
        let active = self.active_session.as_ref().and_then(|s| self.session(s));
        let shared_peer = active.map(|s| s.peer.clone()).unwrap_or_default();
        let Some(pending) = self.call_mut(id).and_then(|call| call.pending.as_mut()) else {
            return;
        };
        if std::mem::replace(&mut pending.announced, true) {
            return;
        }
        let session = pending.session.clone();
        let (from, to, original, user) = match &pending.origin {
            Origin::Proposed(p) => (
                p.from.clone(),
                p.to.clone(),
                p.original_from.clone(),
                p.from_user.clone(),
            ),
            Origin::Offered(peer) => (peer.clone(), own_bare, peer.clone(), None),
            Origin::Mocked => (shared_peer.clone(), own_bare, shared_peer, None),
        };
        let event = PendingSession {
            id: session.clone(),
            session_id: session,
            auto_answer: pending.auto_answer,
            conversation_id: id.clone(),
            session_type: "softphone",
            original_room_jid: original,
            from_user_id: user,
            to_jid: to,
            from_jid: from,
            priv_answer_mode: pending.eager.then_some("Auto"),
        };
        self.event(Event::PendingSession(event));
    }

    /// Takes the pending session with the commands that asked for it before it was there.
    pub(super) fn take_for_intents(&mut self, id: &ConversationId) {
        if let Some(call) = self.call_mut(id) {
            let intents = std::mem::take(&mut call.intents);
            if let Some(pending) = &mut call.pending {
                pending.waiters.extend(intents);
            }
        }
        self.timers.stop(&Timer::Propose(id.clone()));
        self.take(id);
    }

    /// 6.4: accepts the pending session.
    pub(super) fn take(&mut self, id: &ConversationId) {
        let shared = self.connected_active_session().map(|s| s.id.clone());
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let placed = call.placed;
        let Some(pending) = call.pending.as_mut().filter(|p| !p.accepted) else {
            return;
        };
        if pending.is_mocked() {
            if shared.as_ref() == Some(&pending.session) {
                pending.accepted = true;
                call.accepted = true;
                if !placed {
                    self.act(None, id, Act::Answer);
                }
                if !self.line_appearance_one() {
                    self.hold_others(id); // 6.6.1; the server does it only within one session.
                }
            } else {
                // The shared session is not up (yet): wait for it, or for the propose that comes instead.
                let waiters = std::mem::take(&mut pending.waiters);
                call.intents.extend(waiters);
                if !call.intents.is_empty() {
                    self.timers.start_once(Timer::Propose(id.clone()));
                }
            }
            return;
        }
        pending.accepted = true;
        let eager = pending.eager;
        let offer = pending.offer.take();
        call.accepted = !eager;
        self.timers.stop(&Timer::Direction(id.clone()));
        match offer {
            Some(offer) => self.start_session(id, offer, eager, false, false),
            None => self.proceed(id),
        }
    }

    /// Says `proceed` to the proposer, and waits for the offer.
    fn proceed(&mut self, id: &ConversationId) {
        let Some(pending) = self.call(id).and_then(|call| call.pending.as_ref()) else {
            return;
        };
        if let Origin::Proposed(propose) = &pending.origin {
            let proceed = Reply::Proceed {
                session: propose.session.clone(),
                to: propose.from.clone(),
            };
            self.signal(proceed);
            self.timers.start_once(Timer::Offer(id.clone()));
        }
    }

    /// `<retract>`, or the gateway's end of a session that was not answered.
    pub(super) fn cancel_pending_of(&mut self, session: &SessionId, why: &str) {
        if let Some(id) = self.pending_of_session(session) {
            self.cancel_pending(&id, why);
        }
    }

    /// Removes the pending session: `cancelPendingSession`, if it was told of. The events decide about the call.
    pub(super) fn cancel_pending(&mut self, id: &ConversationId, why: &str) {
        if let Some(reference) = self.drop_pending(id, why) {
            self.event(Event::CancelPendingSession(reference));
        }
    }

    /// `<accept>` or `<reject>` of one of the user's clients.
    pub(super) fn on_handled(&mut self, session: &SessionId, from: &Jid) {
        if self.full_jid.as_ref() == Some(from) {
            return; // Our own, echoed (12.8). The session has started, which says it all.
        }
        // A session we have the offer of is ours, whoever claims it: its pending session is gone.
        if let Some(id) = self.pending_of_session(session) {
            self.taken_elsewhere(&id);
        }
    }

    /// Another client of the user has the call: it is forgotten (6.8.7).
    pub(super) fn taken_elsewhere(&mut self, id: &ConversationId) {
        if let Some(call) = self.call_mut(id) {
            call.placed = false;
            call.elsewhere = true;
        }
        let why = "another client of this user has taken the call";
        if let Some(reference) = self.drop_pending(id, why) {
            self.event(Event::HandledPendingSession(reference));
        }
        // While it rings elsewhere the events may still come; when it is connected they concern the other client.
        let Some(call) = self.call(id) else { return };
        if !call.is_ringing() {
            if call.added {
                self.emit_update(Change::Removed, id, None);
            }
            self.forget(id);
        }
    }

    /// Takes the pending session away and un-takes the call. Its reference, if it was told of.
    fn drop_pending(&mut self, id: &ConversationId, why: &str) -> Option<SessionRef> {
        for timer in [
            Timer::Offer(id.clone()),
            Timer::Direction(id.clone()),
            Timer::HeldOffer(id.clone()),
            Timer::Rejected(id.clone()),
        ] {
            self.timers.stop(&timer);
        }
        let call = self.call_mut(id)?;
        let mut pending = call.pending.take()?;
        if call.session.is_none() {
            call.accepted = false;
        }
        call.dismissed = !call.placed && call.session.is_none() && !call.boot;
        let (placed, session) = (call.placed, call.session.is_some());
        if placed && !session {
            self.timers.start(Timer::Placed(id.clone()));
        }
        for waiter in std::mem::take(&mut pending.waiters) {
            self.fail(waiter, SdkError::session(id, why));
        }
        if pending.accepted && !pending.is_mocked() {
            self.refuse(pending.session.clone()); // Its offer may be on the way.
        }
        if let Some(offer) = &pending.offer {
            self.decline(offer, Reason::Gone);
        }
        self.clean_up(id);
        pending.announced.then(|| SessionRef {
            session_id: pending.session,
            conversation_id: id.clone(),
        })
    }

    /// `proceed` was sent and no offer came: another client won, or the gateway lost it.
    pub(super) fn on_offer_timeout(&mut self, id: &ConversationId) {
        let connected = self.call(id).is_some_and(Call::is_connected);
        let shared = self.connected_active_session().map(|s| s.id.clone());
        if let Some(shared) = shared.filter(|_| connected) {
            // A late propose of a call that came over the shared session after all (6.12, PC with LA > 1).
            self.join_shared(id, &shared);
            self.note_connected(id);
            return;
        }
        let eager = self.call(id).is_some_and(Call::is_eager);
        let what = if eager {
            "the persistent connection is not up, the gateway sent no offer: calls are proposed one by one meanwhile"
        } else {
            "the call was answered, but the gateway sent no offer: answer again, or look whether another client has it"
        };
        let error = SdkError::session(id, what);
        self.event(Event::SdkError(error.clone()));
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let placed = call.placed;
        call.accepted = false;
        let waiters: Vec<CommandId> = match &mut call.pending {
            Some(pending) => {
                pending.accepted = false;
                std::mem::take(&mut pending.waiters)
            }
            None => return,
        };
        for waiter in waiters {
            self.outcome(waiter, Err(error.clone()));
        }
        if placed {
            self.hang_up(id);
        } else if connected {
            self.taken_elsewhere(id);
        }
        // Otherwise it rings on.
    }

    /// The user answered, and nothing was proposed.
    pub(super) fn on_propose_timeout(&mut self, id: &ConversationId) {
        let intents = self
            .call_mut(id)
            .map(|call| std::mem::take(&mut call.intents))
            .unwrap_or_default();
        for command in intents {
            let error = SdkError::session(
                id,
                "the call cannot be answered here, the gateway proposed nothing: check that this phone's station is the user's",
            );
            self.fail(command, error);
        }
    }

    /// Our call was placed, and nothing was proposed: it would ring the far end with nobody here.
    pub(super) fn on_placed_timeout(&mut self, id: &ConversationId) {
        let waiting = self.call(id).is_some_and(|call| {
            let proposed = call.pending.as_ref().is_some_and(|p| !p.is_mocked());
            call.placed && call.session.is_none() && !proposed
        });
        if waiting {
            let error = SdkError::session(
                id,
                "the call was placed, but the gateway proposed nothing: check that this phone's station is the user's",
            );
            self.event(Event::SdkError(error));
            self.hang_up(id);
        }
    }

    /// No event told the direction of a call that wants to be answered by itself.
    pub(super) fn on_direction_timeout(&mut self, id: &ConversationId) {
        let undecided = self
            .call(id)
            .is_some_and(|call| call.pending.as_ref().is_some_and(|p| !p.accepted));
        if undecided {
            let request = RestRequest::Conversation {
                conversation: id.clone(),
            };
            self.request(request, Purpose::Direction(id.clone()));
        }
    }

    /// Nor could the cloud: as the SDK does (6.3).
    pub(super) fn on_direction_unknown(&mut self, id: &ConversationId) {
        let undecided = self.call(id).is_some_and(|call| {
            call.direction().is_none() && call.pending.as_ref().is_some_and(|p| !p.accepted)
        });
        if undecided {
            self.announce(id);
            if !self.config.disable_auto_answer {
                self.take(id);
            }
        }
    }

    /// Our reject was taken, and neither retraction nor event followed.
    pub(super) fn on_rejected_timeout(&mut self, id: &ConversationId) {
        let pending = self.call(id).and_then(|call| call.pending.as_ref());
        if let Some(pending) = pending.filter(|pending| !pending.is_mocked()) {
            self.refuse(pending.session.clone()); // Should it be proposed once more.
        }
        self.cancel_pending(id, "the call was rejected");
    }

    /// The shared session is up: what was answered while it was not.
    pub(super) fn answer_mocked(&mut self, session: &SessionId) {
        if self.active_session.as_ref() != Some(session) {
            return;
        }
        let waiting: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                let mocked = call.pending.as_ref().is_some_and(Pending::is_mocked);
                mocked && !call.intents.is_empty()
            })
            .map(|call| call.id.clone())
            .collect();
        for id in &waiting {
            self.take_for_intents(id);
        }
    }

    /// A session id belongs to one proposal: the one that named it last.
    pub(super) fn claim(&mut self, session: &SessionId, id: &ConversationId) {
        if let Some(other) = self.pending_of_session(session).filter(|other| other != id) {
            if let Some(pending) = self.call_mut(&other).and_then(|call| call.pending.as_mut()) {
                pending.offer = None;
                pending.accepted = false;
            }
            self.cancel_pending(&other, "its session was proposed for another call");
        }
    }

    /// The conversation whose proposal has this session id; mocked ones have none of their own (6.13.27).
    pub(super) fn pending_of_session(&self, session: &SessionId) -> Option<ConversationId> {
        self.calls
            .iter()
            .find(|call| {
                call.pending
                    .as_ref()
                    .is_some_and(|p| &p.session == session && !p.is_mocked())
            })
            .map(|call| call.id.clone())
    }
}
