//! What the user does with calls: answer, reject, hold, resume, swap, mute.

use super::calls::Phase;
use super::machine::{Activity, Phone, Recall};
use super::outcomes::Asked;
use super::timer::Timer;
use crate::genesys::id::ConversationId;
use crate::softphone::Command;
use std::time::Instant;

impl Phone {
    /// Answers a waiting call. The engine (or with one line appearance the cloud) puts the talking one on hold; an own
    /// call that nobody has answered yet is given up.
    pub(super) fn answer(&mut self, now: Instant, id: &ConversationId) {
        if !self
            .calls
            .find(id)
            .is_some_and(|call| call.phase() == Phase::Ringing)
        {
            return;
        }
        self.turn_to(now, id);
        if let Some(call) = self.calls.find_mut(id) {
            call.answering = true;
            call.rejecting = false;
            call.quiet = false;
        }
        self.command(Asked::Accept(id.clone()), Command::Accept(id.clone()));
    }

    pub(super) fn reject(&mut self, id: &ConversationId) {
        let Some(call) = self.calls.find_mut(id).filter(|call| call.is_waiting()) else {
            return;
        };
        call.rejecting = true;
        self.command(Asked::Reject(id.clone()), Command::Reject(id.clone()));
    }

    /// Stops the ringing, not the call.
    pub(super) fn quiet(&mut self, now: Instant) {
        for call in self.calls.iter_mut().filter(|call| call.is_waiting()) {
            call.quiet = true;
        }
        if self.recall == Recall::Ringing {
            self.set_recall(now, Recall::Quiet);
        }
    }

    /// Goes on with a call on hold.
    pub(super) fn resume(&mut self, now: Instant, id: &ConversationId) {
        if !self
            .calls
            .find(id)
            .is_some_and(|call| call.is_live() && call.phase().is_connected())
        {
            return;
        }
        self.turn_to(now, id);
        self.set_hold(id, false);
    }

    /// Exchanges the talking call and the one on hold.
    pub(super) fn swap(&mut self, now: Instant) {
        let front = self.focus_call().map(|call| call.id().clone());
        let held = self
            .calls
            .last_held(front.as_ref())
            .map(|call| call.id().clone());
        let own = || {
            let call = self.focus_call()?;
            (call.phase() == Phase::Held).then(|| call.id().clone())
        };
        if let Some(id) = held.or_else(own) {
            self.resume(now, &id);
        }
    }

    pub(super) fn toggle_hold(&mut self, now: Instant) {
        match self.focus_call() {
            Some(call) if call.phase().is_connected() => {
                let (id, held) = (call.id().clone(), call.is_hold_wanted());
                if held {
                    self.resume(now, &id);
                } else {
                    self.set_hold(&id, true);
                }
            }
            Some(_) => {}
            None => {
                if let Some(id) = self.calls.last_held(None).map(|call| call.id().clone()) {
                    self.resume(now, &id);
                }
            }
        }
    }

    pub(super) fn set_hold(&mut self, id: &ConversationId, held: bool) {
        let Some(call) = self
            .calls
            .find_mut(id)
            .filter(|call| call.is_hold_wanted() != held)
        else {
            return;
        };
        call.hold_wanted = Some(held);
        self.timers.stop(Timer::HoldConfirm);
        self.command(
            Asked::Hold(id.clone(), held),
            Command::Hold {
                conversation: id.clone(),
                held,
            },
        );
    }

    /// Mutes at once here, and asks the cloud to show it everywhere.
    pub(super) fn toggle_mute(&mut self) {
        let Some(id) = self.focus_call().map(|call| call.id().clone()) else {
            return;
        };
        let Some(call) = self.calls.find_mut(&id) else {
            return;
        };
        let mute = !call.is_gated();
        call.mute_wanted = Some(mute);
        self.command(
            Asked::Mute(id.clone(), mute),
            Command::Mute {
                conversation: id,
                mute,
            },
        );
    }

    /// A line key.
    pub(super) fn line_key(&mut self, now: Instant, key: u8) {
        let Some(call) = self.calls.on_key(key) else {
            self.new_call(now, Some(key));
            return;
        };
        let id = call.id().clone();
        match call.phase() {
            _ if call.ending => {}
            Phase::Ringing => self.answer(now, &id),
            Phase::Held => self.resume(now, &id),
            Phase::Talking if call.is_hold_wanted() => self.resume(now, &id),
            Phase::Talking | Phase::Answering | Phase::Calling => {
                self.ensure_path();
                self.focus = Some(id);
                self.set_activity(now, Activity::Idle);
            }
            Phase::Hidden | Phase::Elsewhere | Phase::Ended => {}
        }
    }

    /// The dial tone for one more call; the talking one is put on hold.
    pub(super) fn new_call(&mut self, now: Instant, key: Option<u8>) {
        if let Activity::Placing(_) = self.activity {
            return;
        }
        if let Some(call) = self.focus_call() {
            let id = call.id().clone();
            match call.phase() {
                Phase::Talking => self.set_hold(&id, true),
                Phase::Held => {}
                _ => return,
            }
        }
        self.ensure_path();
        self.start_dialing(now, key);
    }

    /// Leaves whatever is in front for `id`, with a path open.
    fn turn_to(&mut self, now: Instant, id: &ConversationId) {
        let given_up = self
            .focus_call()
            .filter(|call| call.phase() == Phase::Calling && call.id() != id)
            .map(|call| call.id().clone());
        if let Some(given_up) = given_up {
            self.end(&given_up);
        }
        self.cancel_placing();
        self.set_activity(now, Activity::Idle);
        self.ensure_path();
        self.focus = Some(id.clone());
        self.missed = None;
    }
}
