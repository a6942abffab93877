//! Calls that come, change and go by themselves.

use super::calls::{Call, Phase};
use super::io::{Notice, NoticeArea};
use super::machine::{Activity, Missed, Phone};
use super::settings::AudioPath;
use super::timer::{Timer, after};
use crate::audio::Tone;
use crate::genesys::id::ConversationId;
use crate::genesys::model::Direction;
use crate::softphone::event::CallView;
use std::time::Instant;

impl Phone {
    /// The engine's new word on a call.
    pub(super) fn call_changed(&mut self, now: Instant, view: CallView) {
        let id = view.conversation_id.clone();
        let was_focus = self.is_focus(&id);
        let mut was_consulting = false;
        let before = if let Some(call) = self.calls.find_mut(&id) {
            let before = call.phase();
            was_consulting = call.view.consult.is_some() && !call.ending;
            call.update(now, view);
            before
        } else {
            let mut call = Call::new(view.clone());
            call.expected = !self.is_station_away();
            call.quiet = self.is_follower;
            if call.phase() == Phase::Ended {
                return;
            }
            call.update(now, view);
            self.calls.push(call);
            Phase::Hidden
        };
        let reply_open = self.is_reply_open();
        let Some(call) = self.calls.find_mut(&id) else {
            return;
        };
        let consult_over = was_consulting && call.view.consult.is_none();
        call.undecided = reply_open && !call.alive && call.is_unknown();
        if call.phase() == Phase::Ended {
            self.call_over(now, &id, before, was_focus);
            return;
        }
        let is_outbound = call.view.direction == Direction::Outbound;
        if consult_over {
            call.handed_to = None;
            self.consult_over(now);
        }
        if is_outbound {
            self.bind(now, &id);
        }
        self.call_placed(now, &id);
    }

    /// Gives a call its line key and, when it has come to life, a path; ends one that was hung up too early.
    pub(super) fn call_placed(&mut self, now: Instant, id: &ConversationId) {
        let free = self.calls.free_key(None);
        let Some(call) = self.calls.find_mut(id) else {
            return;
        };
        if call.ending {
            // Again, if it was too early before.
            self.end(id);
            return;
        }
        let phase = call.phase();
        match phase {
            // The proposal was taken back, or another device has it.
            Phase::Hidden | Phase::Elsewhere => call.key = None,
            _ => call.key = call.key.or(free),
        }
        let was_alive = std::mem::replace(&mut call.alive, phase.is_engaged());
        if phase.is_engaged() && !was_alive {
            self.call_alive(now, id);
        }
    }

    /// The engine has forgotten a call.
    pub(super) fn call_gone(&mut self, now: Instant, id: &ConversationId) {
        let was_focus = self.is_focus(id);
        if let Some(phase) = self.calls.find(id).map(Call::phase) {
            self.call_over(now, id, phase, was_focus);
        }
    }

    /// A ringing call was taken back by the caller.
    pub(super) fn caller_gave_up(&mut self, id: &ConversationId) {
        if let Some(call) = self.calls.find_mut(id) {
            if call.phase() == Phase::Ringing && !call.rejecting && !call.handled {
                call.handled = true;
                let who = call.who(self.words);
                self.miss(who);
            }
        } else if let Some((_, who)) = self.just_gone.take_if(|(gone, _)| gone == id) {
            self.miss(who);
        }
    }

    /// There is somebody to talk to, by the user's doing or not: then a path opens by itself.
    fn call_alive(&mut self, now: Instant, id: &ConversationId) {
        let Some(call) = self.calls.find(id) else {
            return;
        };
        let by_itself =
            call.phase() == Phase::Answering && call.view.auto_answer && !call.answering;
        if by_itself {
            self.timers.set(Timer::Beep, now + after::BEEP);
        }
        self.ensure_path();
        self.missed = None;
        if !matches!(self.activity, Activity::Idle | Activity::Placing(_)) {
            self.set_activity(now, Activity::Idle);
        }
        let is_free = self
            .focus_call()
            .is_none_or(|front| front.phase() == Phase::Held && front.hold_wanted.is_none());
        if is_free {
            self.focus = Some(id.clone());
        }
    }

    /// A call has ended, and how that is told depends on where it was.
    fn call_over(&mut self, now: Instant, id: &ConversationId, before: Phase, was_focus: bool) {
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        if call.ending {
            return;
        }
        if matches!(&self.activity, Activity::Dialing(entry) if entry.purpose.call() == Some(id)) {
            // Nobody is left to transfer, or to add somebody to.
            self.set_activity(now, Activity::Idle);
        }
        let words = self.words;
        match before {
            Phase::Hidden | Phase::Elsewhere | Phase::Ended => {}
            Phase::Ringing => {
                if call.rejecting || call.handled {
                    return;
                }
                let who = call.who(words);
                if call.phase() == Phase::Ended {
                    self.miss(who);
                } else {
                    self.just_gone = Some((id.clone(), who));
                }
            }
            _ if call.joining => {}
            _ if call.is_leaving() => {
                let hint = match self.path() {
                    Some(AudioPath::Handset) => words.lay_down,
                    _ => "",
                };
                self.over(now, words.transferred, hint, None);
            }
            Phase::Held if !was_focus => self.tell(now, words.held_call_ended),
            _ => {
                let elsewhere = call.handled && call.view.connection.is_none();
                let headline = match before {
                    _ if call.failed => words.call_failed,
                    Phase::Answering if elsewhere => words.answered_elsewhere,
                    Phase::Answering => words.caller_gone,
                    Phase::Calling => words.call_not_answered,
                    _ => words.call_ended,
                };
                let alone = self
                    .focus_call()
                    .is_none_or(|other| other.phase() == Phase::Held);
                if was_focus && alone && matches!(self.activity, Activity::Idle) {
                    let hint = match self.path() {
                        Some(AudioPath::Handset) => words.lay_down,
                        _ => "",
                    };
                    let tone = if call.failed {
                        Tone::Reorder
                    } else {
                        Tone::Busy
                    };
                    self.over(now, headline, hint, Some(tone));
                } else {
                    self.tell(now, headline);
                }
            }
        }
    }

    /// Calls of the user do not ring here.
    fn is_station_away(&self) -> bool {
        let is_station = |notice: &Notice| notice.area() == NoticeArea::Station;
        self.notices.iter().any(is_station)
    }

    fn miss(&mut self, who: String) {
        let count = self.missed.as_ref().map_or(0, |missed| missed.count);
        self.missed = Some(Missed {
            count: count.saturating_add(1),
            last: who,
        });
    }

    fn is_focus(&self, id: &ConversationId) -> bool {
        self.focus_call().is_some_and(|call| call.id() == id)
    }
}
