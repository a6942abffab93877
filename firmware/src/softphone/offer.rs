//! Offers: whose they are, renegotiation and re-invite, and candidates that come first (genesys-protocol 5.3, 5.7, 6.5).
//!
//! **An offer opens the microphone only for a call this phone has taken.** The SDK processes every offer (6.13.5); in a
//! browser the page decides what is heard, on a desk phone nobody would. An offer is processed at once when
//! * a session with its id is alive (renegotiation, new connection of the same session), or
//! * its propose was accepted, by the user or by itself, or
//! * its conversation is ours: placed by us, accepted, or carried by another session of ours (re-invite), or
//! * the user answered this conversation before anything else of it came.
//!
//! Any other offer that names its conversation rings: it is held as a pending session, and lifting the handset takes
//! it. One that names none cannot be shown as a call and is declined.

use super::call::Pending;
use super::event::{Event, SessionRef, SessionState};
use super::session::{End, Session};
use super::timers::Timer;
use super::{MediaCommand, Softphone};
use crate::genesys::id::{ConversationId, SessionId};
use crate::genesys::signal::{Candidate, Form, Offer, Reason, Reply};
use crate::media::ConnectionState;

/// The first `ice-ufrag` and `ice-pwd` of an SDP (5.3.3).
pub(super) fn ice_credentials(sdp: &str) -> Option<(String, String)> {
    let first = |name: &str| {
        sdp.lines()
            .find_map(|line| line.trim_end().strip_prefix(name))
            .map(str::to_owned)
    };
    Some((first("a=ice-ufrag:")?, first("a=ice-pwd:")?))
}

impl Softphone {
    /// An offer, first or repeated.
    pub(super) fn on_offer(&mut self, offer: Offer) {
        let Some(now) = self.timers.now() else { return };
        if offer.reinvite
            && !offer.request_id.is_empty()
            && !self.reinvites.is_new(&offer.request_id, now)
        {
            return;
        }
        if offer.form == Form::Jingle
            && self.promised_form(&offer.session) == Some(Form::SdpOverXmpp)
        {
            return; // 5.4, 6.13.4: the propose said the SDP comes as JSON.
        }
        if self.session(&offer.session).is_some() {
            self.on_offer_again(offer);
        } else if self.is_refused(&offer.session) {
            self.decline(&offer, Reason::Gone);
        } else if let Some(id) = self.pending_of_session(&offer.session) {
            self.on_awaited_offer(&id, offer);
        } else {
            self.on_unannounced_offer(offer);
        }
    }

    /// How the propose of this session said its SDP would travel.
    fn promised_form(&self, session: &SessionId) -> Option<Form> {
        self.session(session).map(|s| s.form).or_else(|| {
            self.calls
                .iter()
                .filter_map(|call| call.pending.as_ref())
                .find(|pending| &pending.session == session && !pending.is_mocked())?
                .form()
        })
    }

    fn on_offer_again(&mut self, offer: Offer) {
        let ice = ice_credentials(&offer.sdp);
        let Some(session) = self.session_mut(&offer.session) else {
            return;
        };
        if session.form == Form::Jingle || (ice.is_some() && session.ice == ice) {
            // 5.3.3, 6.13.7: renegotiation, answered on the same peer connection. By Jingle also with new ICE: that
            // is the far end's restart (5.4).
            session.ice = ice;
            if let Some(conversation) = &offer.conversation {
                session.conversation = conversation.clone();
            }
            self.timers.start(Timer::Answer(offer.session.clone()));
            self.media(
                &offer.session,
                MediaCommand::Renegotiate { offer: offer.sdp },
            );
            return;
        }
        // 6.13.7: a new connection under the same id. The gateway is not told that the old one ends: by the id it could
        // not tell which one is meant.
        let conversation = offer
            .conversation
            .clone()
            .unwrap_or_else(|| session.conversation.clone());
        let eager = session.eager;
        let id = offer.session.clone();
        let shared = self.active_session.as_ref() == Some(&id);
        let moved = self.calls_of(&id);
        self.end_session(&id, Reason::AlternativeSession, End::Silent);
        let told = !offer.reinvite;
        self.start_session(&conversation, offer, eager, true, shared);
        self.move_calls(moved, &id, told);
    }

    /// Whether `session` carries the call `id`, alone or among others.
    fn carries(&self, session: &Session, id: &ConversationId) -> bool {
        &session.conversation == id
            || self
                .call(id)
                .is_some_and(|call| call.session.as_ref() == Some(&session.id))
    }

    /// The calls a session carries.
    pub(super) fn calls_of(&self, session: &SessionId) -> Vec<ConversationId> {
        self.calls
            .iter()
            .filter(|call| call.session.as_ref() == Some(session))
            .map(|call| call.id.clone())
            .collect()
    }

    /// The calls of a session that was replaced go on with the new one.
    pub(super) fn move_calls(&mut self, calls: Vec<ConversationId>, to: &SessionId, told: bool) {
        for id in calls {
            self.timers.stop(&Timer::Orphaned(id.clone()));
            if let Some(call) = self.call_mut(&id) {
                call.session = Some(to.clone());
            }
            let Some(session) = self.session_mut(to) else {
                return;
            };
            if !session.started.contains(&id) {
                session.started.push(id.clone());
                let info = session.info_for(&id, SessionState::Active);
                if told {
                    self.event(Event::SessionStarted(info));
                }
            }
        }
    }

    /// A pending session whose call goes on otherwise.
    pub(super) fn settle_pending(&mut self, id: &ConversationId, pending: Option<Pending>) {
        let Some(pending) = pending else { return };
        if pending.announced {
            self.event(Event::HandledPendingSession(SessionRef {
                session_id: pending.session,
                conversation_id: id.clone(),
            }));
        }
        for waiter in pending.waiters {
            self.done(waiter);
        }
    }

    fn on_awaited_offer(&mut self, id: &ConversationId, offer: Offer) {
        let Some(call) = self.call_mut(id) else {
            return;
        };
        let ours = call.is_ours() && !call.ending;
        let Some(pending) = call.pending.as_mut() else {
            return;
        };
        if (pending.accepted || (offer.reinvite && ours)) && !call.ending {
            let eager = pending.eager;
            self.start_session(id, offer, eager, false, false);
            return;
        }
        pending.offer = Some(offer);
        self.timers.start(Timer::HeldOffer(id.clone()));
        self.decide(id);
    }

    fn on_unannounced_offer(&mut self, offer: Offer) {
        let Some(id) = offer.conversation.clone() else {
            self.decline(&offer, Reason::Decline);
            return;
        };
        if self.calls.len() >= super::engine::MAX_CALLS && self.call(&id).is_none() {
            self.decline(&offer, Reason::Busy);
            return;
        }
        self.claim(&offer.session, &id);
        let call = self.call_or_new(&id);
        if call.ending {
            self.decline(&offer, Reason::Gone);
        } else if call.is_ours() {
            self.start_session(&id, offer, false, false, false);
        } else {
            match &mut call.pending {
                // 6.3.2: the same call, under another session id.
                Some(pending) => pending.replace_by(offer),
                None => call.pending = Some(Pending::offered(offer)),
            }
            call.dismissed = false;
            call.elsewhere = false;
            self.timers.start(Timer::HeldOffer(id.clone()));
            self.timers.start_once(Timer::Stale(id.clone()));
            self.decide(&id);
        }
    }

    /// 6.5 and 6.6. `replacing`: an old connection with the same id was just closed. `shared`: takes over the role of
    /// the shared session.
    pub(super) fn start_session(
        &mut self,
        id: &ConversationId,
        offer: Offer,
        eager: bool,
        replacing: bool,
        shared: bool,
    ) {
        let Some(now) = self.timers.now() else { return };
        let session = offer.session.clone();
        let mut pending = self.call_mut(id).and_then(|call| call.pending.take());
        self.timers.stop_conversation(id);
        // 6.5.1: the offer's conversation counts; the propose's only where the offer names none (Jingle).
        let proposed = id;
        let id = offer.conversation.clone().unwrap_or_else(|| id.clone());
        if &id != proposed {
            // Proposed for one conversation, offered for another: both pending sessions are over.
            self.timers.stop_conversation(&id);
            self.settle_pending(proposed, pending.take());
            let other = self.call_mut(&id).and_then(|call| call.pending.take());
            self.settle_pending(&id, other);
            if let Some(call) = self.call_mut(proposed) {
                call.accepted = call.session.is_some();
            }
            self.clean_up(proposed);
        }
        // 6.5.2
        self.signal(Reply::Accept {
            session: session.clone(),
        });
        let mut new = Session::new(id.clone(), &offer, eager).replacing(replacing);
        let info = new.info();
        // 6.5.4
        if offer.reinvite {
            self.settle_pending(&id, pending.take()); // Announced, and never told as started.
        } else {
            self.event(Event::SessionStarted(info));
        }
        // 6.5.5, 5.7. The SDK ends the old ones at once; here one that is connected goes on until this one is.
        let (connected, dead) = if offer.reinvite {
            self.replaced_by(&session, &id)
        } else {
            Default::default()
        };
        let old = connected.iter().chain(&dead);
        let reconnects = old.filter_map(|old| Some(self.session(old)?.reconnects + 1));
        new.reconnects = reconnects.max().unwrap_or(0);
        let carrier = self.call(&id).and_then(|call| call.session.clone());
        let carried = carrier.is_some_and(|carrier| connected.contains(&carrier));
        if carried {
            new.started.clear();
        }
        new.replaces = connected;
        new.replaces.extend(dead.iter().cloned());
        self.sessions.push(new);
        for old in &dead {
            self.end_session(old, Reason::AlternativeSession, End::Local);
        }
        // 6.6.1
        if !self.line_appearance_one() && !offer.reinvite && !eager {
            self.hold_others(&id);
        }
        // 6.6.3
        let mut shared = shared;
        let idle = self
            .active_session
            .clone()
            .filter(|old| eager && old != &session && self.calls_of(old).is_empty());
        if let Some(old) = idle {
            // The gateway sets its connection up anew: it does not know the one before any more.
            shared = true;
            self.timers.start(Timer::Leftover(old));
        }
        let sharing = self.persistent() || self.line_appearance_one();
        if shared || (sharing && self.active_session.is_none()) {
            self.active_session = Some(session.clone());
        }
        self.timers.start(Timer::Answer(session.clone()));
        self.media(&session, MediaCommand::Open { offer: offer.sdp });
        if let Some(early) = self.early.take(&session, now) {
            for candidate in early.candidates {
                self.media(&session, MediaCommand::AddCandidate(candidate));
            }
            if early.end {
                self.media(&session, MediaCommand::EndOfCandidates);
            }
        }
        let waiters = pending.map(|pending| pending.waiters).unwrap_or_default();
        for waiter in waiters {
            self.done(waiter);
        }
        if eager {
            self.clean_up(&id); // 6.6.5: the fake conversation is never stored.
            return;
        }
        // 6.6.5
        let call = self.call_or_new(&id);
        let before = if carried {
            None
        } else {
            call.session.replace(session.clone())
        };
        call.accepted = true;
        call.boot = false;
        call.dismissed = false;
        let intents = std::mem::take(&mut call.intents);
        for intent in intents {
            self.done(intent);
        }
        if let Some(before) = before.filter(|before| before != &session) {
            self.timers.start(Timer::Leftover(before)); // A new leg of the same call; the gateway ends the old one.
        }
        self.note_connected(&id);
    }

    /// The sessions a re-invite replaces: those that are connected, and the others.
    fn replaced_by(
        &self,
        new: &SessionId,
        id: &ConversationId,
    ) -> (Vec<SessionId>, Vec<SessionId>) {
        let old = self.sessions.iter();
        let (connected, dead): (Vec<_>, Vec<_>) = old
            .filter(|session| &session.id != new && self.carries(session, id))
            .partition(|session| session.connection == ConnectionState::Connected);
        let ids = |sessions: Vec<&Session>| sessions.into_iter().map(|s| s.id.clone()).collect();
        (ids(connected), ids(dead))
    }

    /// A remote candidate, or the end of them (`None`).
    pub(super) fn on_candidate(&mut self, session: &SessionId, candidate: Option<Candidate>) {
        let Some(now) = self.timers.now() else { return };
        if self.session(session).is_some() {
            let command =
                candidate.map_or(MediaCommand::EndOfCandidates, MediaCommand::AddCandidate);
            self.media(session, command);
        } else if !self.is_refused(session) {
            // 6.13.6
            self.early.keep(session, candidate, now);
        }
    }

    /// The gateway ends a session (5.3), or a proposal it already made an offer for.
    pub(super) fn on_terminate(&mut self, session: &SessionId, reason: Reason) {
        if self.session(session).is_some() {
            self.end_session(session, reason, End::Silent);
        } else if let Some(id) = self.pending_of_session(session) {
            if let Some(pending) = self.call_mut(&id).and_then(|call| call.pending.as_mut()) {
                pending.offer = None; // It is over, the gateway need not be told.
            }
            self.cancel_pending(&id, "the gateway ended the session before it was answered");
        }
    }

    /// Nobody answered an offer that nobody had asked for.
    pub(super) fn on_held_offer_timeout(&mut self, id: &ConversationId) {
        let held = self
            .call_mut(id)
            .and_then(|call| call.pending.as_mut())
            .and_then(|pending| pending.offer.take());
        if let Some(offer) = held {
            self.decline(&offer, Reason::Timeout);
            self.cancel_pending_of(&offer.session, "nobody answered the offer in time");
        }
    }

    /// Refuses an offer that has no session.
    pub(super) fn decline(&mut self, offer: &Offer, reason: Reason) {
        self.refuse(offer.session.clone());
        self.signal(Reply::Terminate {
            session: offer.session.clone(),
            to: offer.peer.clone(),
            form: offer.form,
            reason,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ice_credentials_count_and_both_are_needed() {
        let sdp = "v=0\r\na=ice-ufrag:u1\r\na=ice-pwd:p1\r\nm=audio 9 X 0\r\na=ice-ufrag:u2\r\na=ice-pwd:p2\r\n";
        assert_eq!(ice_credentials(sdp), Some(("u1".into(), "p1".into())));
        assert_eq!(ice_credentials("v=0\r\na=ice-ufrag:u1\r\n"), None);
    }
}
