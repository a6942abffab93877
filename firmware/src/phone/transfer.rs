//! Handing calls on, and calls of more than two: transfer, consultation, conference, the recording.
//!
//! - Transfer puts the call on hold and asks for a number. `#`, Ok or "Blind" transfers at once; Transfer again or
//!   "Consult" calls who is to take it first.
//! - In a consultation the user completes, gives up, speaks to the one or the other, or to both. Laying the handset down
//!   completes: that is how every desk phone does it, because the user's part is over when the user has gone.
//! - Conference joins the calls on the lines; with only one it asks for a number to add.
//! - Whatever fails brings the caller back who was put on hold for it.

use super::calls::Call;
use super::dial::{Entry, Purpose};
use super::list::ListKind;
use super::machine::{Activity, Phone};
use super::outcomes::Asked;
use super::timer::{Timer, after};
use crate::device::Private;
use crate::genesys::id::{ConversationId, ParticipantId};
use crate::genesys::rest::SoftphoneDestination;
use crate::softphone::{Command, ConsultAction, SpeakTo, TransferMode, TransferTarget};
use offhook_hal::HookState;
use std::time::Instant;

impl Phone {
    /// The transfer key.
    pub(super) fn transfer_key(&mut self, now: Instant) {
        match &self.activity {
            Activity::Dialing(entry) if matches!(entry.purpose, Purpose::Transfer(_)) => {
                if entry.number.is_empty() {
                    self.entry_cancel(now);
                } else {
                    self.transfer_entry(now, TransferMode::Consult);
                }
            }
            Activity::Idle => match self.call_in_hand() {
                Some(call) if call.view.consult.is_some() => self.complete(now),
                Some(call) => {
                    let id = call.id().clone();
                    self.ensure_path();
                    self.focus = Some(id.clone());
                    self.set_hold(&id, true);
                    self.ask_number(now, Purpose::Transfer(id));
                }
                None => self.tell(now, self.words.no_call_to_transfer),
            },
            _ => self.tell(now, self.words.no_call_to_transfer),
        }
    }

    /// The conference key.
    pub(super) fn conference_key(&mut self, now: Instant) {
        match &self.activity {
            Activity::Dialing(entry) if matches!(entry.purpose, Purpose::Add(_)) => {
                if entry.number.is_empty() {
                    self.entry_cancel(now);
                } else {
                    self.dial_entry(now);
                }
            }
            Activity::Idle => match self.call_in_hand() {
                Some(call) if call.view.consult.is_some() => {
                    self.speak_to(SpeakTo::Conference);
                }
                Some(call) if self.calls.last_held(Some(call.id())).is_some() => self.join(now),
                Some(call) => {
                    let id = call.id().clone();
                    self.ensure_path();
                    self.focus = Some(id.clone());
                    self.ask_number(now, Purpose::Add(id));
                }
                None => self.tell(now, self.words.no_call_to_join),
            },
            _ => self.tell(now, self.words.no_call_to_join),
        }
    }

    /// The call that can be handed on or joined: the one the user is with, else the one on hold.
    fn call_in_hand(&self) -> Option<&Call> {
        self.focus_call()
            .or_else(|| self.calls.last_held(None))
            .filter(|call| call.phase().is_connected() && !call.is_leaving())
    }

    fn ask_number(&mut self, now: Instant, purpose: Purpose) {
        let entry = Entry {
            purpose,
            ..Entry::default()
        };
        self.set_activity(now, Activity::Dialing(entry));
    }

    /// Hands the call on to the number entered.
    pub(super) fn transfer_entry(&mut self, now: Instant, mode: TransferMode) {
        let Activity::Dialing(entry) = &self.activity else {
            return;
        };
        let Purpose::Transfer(id) = entry.purpose.clone() else {
            return;
        };
        if entry.number.is_empty() {
            return;
        }
        let shown = entry.number.clone();
        let Some(to) = self.target(entry) else {
            self.tell(now, self.words.not_a_transfer_target);
            return;
        };
        self.set_activity(now, Activity::Idle);
        let Some(call) = self.calls.find_mut(&id) else {
            return;
        };
        call.handed_to = Some(shown);
        let asked = match mode {
            TransferMode::Blind => {
                call.transferring = true;
                Asked::Transfer(id.clone())
            }
            TransferMode::Consult => {
                call.asking = true;
                Asked::Consult(id.clone())
            }
        };
        let command = Command::Transfer {
            conversation: id,
            to,
            mode,
        };
        self.command(asked, command);
    }

    /// Whom the number entered, or the speed dial chosen, means.
    fn target(&self, entry: &Entry) -> Option<TransferTarget> {
        let plan = &self.config.plan;
        let call = match entry.chosen {
            Some(index) => plan.speed_dials.get(index)?.call.clone(),
            None => plan.call(&entry.number),
        };
        let number = call.phone_number.map(TransferTarget::Address);
        let user = call.call_user_id.map(TransferTarget::User);
        let queue = call.call_queue_id.map(TransferTarget::Queue);
        number.or(user).or(queue)
    }

    /// A blind transfer was refused or nothing came of it, or nobody could be asked: back to the caller.
    pub(super) fn bring_back(&mut self, now: Instant, id: &ConversationId) {
        let Some(call) = self.calls.find_mut(id) else {
            return;
        };
        (call.transferring, call.asking) = (false, false);
        call.handed_to = None;
        if self.path().is_some() && matches!(self.activity, Activity::Idle) {
            self.resume(now, id);
        }
    }

    /// The cloud took a transfer and the call is still here.
    pub(super) fn transfer_unconfirmed(&mut self, now: Instant) {
        let left: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| call.transferring && !call.ending)
            .map(|call| call.id().clone())
            .collect();
        for id in left {
            self.bring_back(now, &id);
            self.tell(now, self.words.not_transferred);
        }
    }

    /// Who is asked is being called. The caller waits by the cloud's doing now, not by a hold of ours.
    pub(super) fn consult_begun(&mut self, id: &ConversationId) {
        let has_path = self.path().is_some();
        let Some(call) = self.calls.find_mut(id) else {
            return;
        };
        call.asking = false;
        if !has_path {
            // The user has hung up meanwhile.
            self.complete_of(id);
        } else if call.is_hold_wanted() {
            self.set_hold(id, false);
        }
    }

    /// "Finish": the other two talk on.
    pub(super) fn complete(&mut self, now: Instant) {
        let Some(id) = self.consulting() else {
            return;
        };
        self.complete_of(&id);
        if self.hook == HookState::Lifted {
            let activity = Activity::Over {
                headline: self.words.transferred,
                hint: self.words.lay_down,
                tone: None,
                is_failure: false,
            };
            self.set_activity(now, activity);
        } else {
            self.tell(now, self.words.transferred);
            self.go_on_hook(now, true);
        }
    }

    /// Completes the consultation of a call; to the user it is gone at once.
    pub(super) fn complete_of(&mut self, id: &ConversationId) {
        let Some(call) = self
            .calls
            .find_mut(id)
            .filter(|call| call.end_sent.is_none())
        else {
            return;
        };
        (call.ending, call.transferring) = (true, true);
        call.key = None;
        let command = Command::Consult {
            conversation: id.clone(),
            action: ConsultAction::Complete,
        };
        let sent = self.command(Asked::Complete(id.clone()), command);
        if let Some(call) = self.calls.find_mut(id) {
            call.end_sent = Some(sent);
        }
    }

    pub(super) fn cancel_consult(&mut self) {
        if let Some(id) = self.consulting() {
            let command = Command::Consult {
                conversation: id.clone(),
                action: ConsultAction::Cancel,
            };
            self.command(Asked::CancelConsult, command);
        }
    }

    /// From who is asked to the caller, or back.
    pub(super) fn swap_consult(&mut self) {
        let consult = self
            .focus_call()
            .and_then(|call| call.view.consult.as_ref());
        let to = match consult.map(|consult| consult.speak_to) {
            Some(SpeakTo::Destination) => SpeakTo::Object,
            _ => SpeakTo::Destination,
        };
        self.speak_to(to);
    }

    pub(super) fn speak_to(&mut self, to: SpeakTo) {
        if let Some(id) = self.consulting() {
            let command = Command::Consult {
                conversation: id,
                action: ConsultAction::SpeakTo(to),
            };
            self.command(Asked::SpeakTo, command);
        }
    }

    /// The call the user is with, if it is in a consultation.
    fn consulting(&self) -> Option<ConversationId> {
        let call = self.focus_call()?;
        call.view.consult.as_ref()?;
        Some(call.id().clone())
    }

    /// One conference of all connected calls.
    pub(super) fn join(&mut self, now: Instant) {
        let Some(conversation) = self.call_in_hand().map(|call| call.id().clone()) else {
            return;
        };
        let others: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                call.is_live() && call.phase().is_connected() && call.id() != &conversation
            })
            .map(|call| call.id().clone())
            .collect();
        if others.is_empty() {
            self.tell(now, self.words.no_call_to_join);
            return;
        }
        for call in self.calls.iter_mut() {
            call.joining = others.contains(call.id());
        }
        self.tell(now, self.words.joining);
        let command = Command::Merge {
            conversation,
            others,
        };
        self.command(Asked::Merge, command);
    }

    /// Calls the number entered into the call.
    pub(super) fn add_entry(&mut self, now: Instant, conversation: ConversationId) {
        let Activity::Dialing(entry) = &self.activity else {
            return;
        };
        let party = |address: Private| SoftphoneDestination {
            address,
            name: None,
            user_id: None,
            queue_id: None,
        };
        let participant = match self.target(entry) {
            Some(TransferTarget::Address(number)) => party(number),
            Some(TransferTarget::User(id)) => SoftphoneDestination {
                user_id: Some(id.clone()),
                ..party(Private::from(id))
            },
            Some(TransferTarget::Queue(id)) => SoftphoneDestination {
                queue_id: Some(id.clone()),
                ..party(Private::from(id))
            },
            Some(TransferTarget::Voicemail(_)) | None => {
                self.tell(now, self.words.not_a_transfer_target);
                return;
            }
        };
        self.set_activity(now, Activity::Idle);
        self.tell(now, self.words.adding);
        let command = Command::AddParticipants {
            conversation,
            participants: vec![participant],
        };
        self.command(Asked::Add, command);
    }

    pub(super) fn remove_party(&mut self, now: Instant, participant: ParticipantId) {
        self.close_list();
        let Some(conversation) = self.focus_call().map(|call| call.id().clone()) else {
            return;
        };
        self.tell(now, self.words.removing);
        let command = Command::RemoveParticipant {
            conversation,
            participant,
        };
        self.command(Asked::Remove, command);
    }

    pub(super) fn open_parties(&mut self, now: Instant) {
        if self.focus_call().is_some_and(Call::is_conference) {
            self.open_list(now, ListKind::Parties);
        }
    }

    pub(super) fn record(&mut self, paused: bool) {
        if let Some(conversation) = self.focus_call().map(|call| call.id().clone()) {
            let command = Command::Record {
                conversation,
                paused,
            };
            self.command(Asked::Record { paused }, command);
        }
    }

    /// The consultation of a call has ended by itself: who was asked did not want to, or the caller has gone.
    pub(super) fn consult_over(&mut self, now: Instant) {
        self.tell(now, self.words.back_with_caller);
    }

    /// How long the cloud may take to end a call that it has handed on.
    pub(super) fn await_transfer(&mut self, now: Instant) {
        self.timers
            .set(Timer::TransferConfirm, now + after::TRANSFER_CONFIRM);
    }
}
