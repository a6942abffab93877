//! Where the sound goes: hook, speaker and headset; what opening and closing a path means.
//!
//! - No path is open at rest; then the phone can ring and every microphone is closed.
//! - Lifting the handset opens its path, the speaker and headset keys open theirs. Opening a path does what lifting a
//!   handset always did: it answers what rings, dials what has been entered, goes on with what is on hold, else gives
//!   the dial tone.
//! - A call that comes to life by itself (auto-answer, the local API, the agent's desktop) while no path is open opens
//!   the headset if that was used last, else the speaker. Lifting the handset then takes it over.
//! - Laying the handset down closes only the handset's path: a call moved to the speaker goes on.

use super::calls::{Call, Phase};
use super::dial::Purpose;
use super::machine::{Activity, Phone, Recall};
use super::outcomes::Asked;
use super::settings::AudioPath;
use super::timer::{Timer, after};
use crate::audio::Tone;
use crate::genesys::id::ConversationId;
use crate::softphone::Command;
use offhook_hal::HookState;
use std::time::Instant;

impl Phone {
    /// The open path.
    pub(super) fn path(&self) -> Option<AudioPath> {
        self.hands_free
            .or((self.hook == HookState::Lifted).then_some(AudioPath::Handset))
    }

    pub(super) fn hook_moved(&mut self, now: Instant, state: HookState) {
        if state == self.hook {
            return;
        }
        let before = self.path();
        self.close_list();
        self.hook = state;
        match (state, before) {
            (HookState::Lifted, None) => {
                self.last_path = AudioPath::Handset;
                self.off_hook(now);
            }
            (HookState::Lifted, Some(_)) => self.switch_path(now, AudioPath::Handset),
            (HookState::Resting, _) if self.hands_free.is_none() => self.hang_up(now),
            (HookState::Resting, _) => {}
        }
    }

    /// A tap on the cradle: the waiting call, else the one on hold.
    pub(super) fn hook_flash(&mut self, now: Instant) {
        if self.path().is_none() {
            return;
        }
        if let Some(id) = self.calls.waiting().map(|call| call.id().clone()) {
            self.answer(now, &id);
        } else if !matches!(self.activity, Activity::Placing(_)) {
            self.swap(now);
        }
    }

    /// The speaker or headset key.
    pub(super) fn hands_free_key(&mut self, now: Instant, path: AudioPath) {
        if self.path() != Some(path) {
            self.open_path(now, path);
        } else if self.hook == HookState::Lifted {
            self.switch_path(now, AudioPath::Handset);
        } else {
            self.hang_up(now);
        }
    }

    /// Uses `path` from now on; if none was open, as if the handset had been lifted.
    pub(super) fn open_path(&mut self, now: Instant, path: AudioPath) {
        if self.path().is_some() {
            self.switch_path(now, path);
        } else {
            self.route(path);
            self.off_hook(now);
        }
    }

    /// Opens the hands-free path if none is open, and nothing else.
    pub(super) fn ensure_path(&mut self) {
        if self.path().is_none() {
            self.route(self.hands_free_choice());
        }
    }

    /// The path for sound that nobody lifted a handset for.
    pub(super) fn hands_free_choice(&self) -> AudioPath {
        match self.last_path {
            AudioPath::Headset => AudioPath::Headset,
            AudioPath::Handset | AudioPath::Speaker => AudioPath::Speaker,
        }
    }

    /// From one open path to another. With nothing to talk to on it, it is a new start: what waits is answered, or
    /// the dial tone comes.
    pub(super) fn switch_path(&mut self, now: Instant, path: AudioPath) {
        if path == AudioPath::Handset && self.hook == HookState::Resting {
            // Nobody holds the handset: the sound would go where nobody hears it.
            return;
        }
        self.route(path);
        if self.is_silent() {
            self.set_activity(now, Activity::Idle);
            self.off_hook(now);
        } else if self.is_only_dial_tone()
            && let Some(id) = self.calls.waiting().map(|call| call.id().clone())
        {
            self.answer(now, &id);
        }
    }

    fn route(&mut self, path: AudioPath) {
        self.close_list();
        self.hands_free = (path != AudioPath::Handset).then_some(path);
        self.last_path = path;
        self.recall = Recall::Off;
        self.timers.stop(Timer::Recall);
    }

    /// Nobody to talk to, nothing being dialed.
    fn is_silent(&self) -> bool {
        match self.activity {
            Activity::Over { .. } => true,
            Activity::Idle => self.focus_call().is_none(),
            Activity::Dialing(_) | Activity::Placing(_) => false,
        }
    }

    fn is_only_dial_tone(&self) -> bool {
        matches!(&self.activity, Activity::Dialing(entry) if entry.number.is_empty())
    }

    /// A path has been opened by the user.
    fn off_hook(&mut self, now: Instant) {
        self.recall = Recall::Off;
        self.timers.stop(Timer::Recall);
        self.missed = None;
        if let Some(id) = self.calls.waiting().map(|call| call.id().clone()) {
            self.answer(now, &id);
        } else if matches!(&self.activity, Activity::Dialing(entry) if !entry.number.is_empty()) {
            self.dial_entry(now);
        } else if self
            .focus_call()
            .is_some_and(|call| call.phase().is_engaged())
        {
            // It could not be ended, or not yet: on with it.
        } else if let Some(id) = self.calls.last_held(None).map(|call| call.id().clone()) {
            self.resume(now, &id);
        } else {
            self.start_dialing(now, None);
        }
    }

    /// The user has laid the handset down, or switched off the speaker: ends what is going on.
    pub(super) fn hang_up(&mut self, now: Instant) {
        let mut completed: Vec<ConversationId> = Vec::new();
        let mut ended: Vec<ConversationId> = self
            .calls
            .iter()
            .filter(|call| {
                call.is_live() && matches!(call.phase(), Phase::Answering | Phase::Calling)
            })
            .map(|call| call.id().clone())
            .collect();
        // A held call that was just asked back is given up too: it would come alive on the loudspeaker.
        if let Some(call) = self.focus_call()
            && matches!(call.phase(), Phase::Talking | Phase::Held)
            && !call.is_hold_wanted()
        {
            ended.push(call.id().clone());
        }
        // The user's part in a consultation is over: the other two talk on.
        ended.retain(|id| {
            let call = self.calls.find(id);
            let is_asked = call.is_some_and(|call| call.view.consult.is_some());
            if is_asked {
                completed.push(id.clone());
            }
            !is_asked
        });
        let any =
            !completed.is_empty() || !ended.is_empty() || !matches!(self.activity, Activity::Idle);
        for id in ended {
            self.end(&id);
        }
        for id in completed {
            self.complete_of(&id);
            self.tell(now, self.words.transferred);
        }
        self.cancel_placing();
        self.go_on_hook(now, any);
    }

    /// Closes the path. Calls left on hold ring back: at once if the user has just `finished` something else, later if
    /// they were put on hold to be left alone.
    pub(super) fn go_on_hook(&mut self, now: Instant, finished: bool) {
        self.hands_free = None;
        self.key_tone = None;
        self.timers.stop(Timer::Beep);
        self.set_activity(now, Activity::Idle);
        if self.path().is_none() && self.calls.any_left() {
            self.set_recall(
                now,
                if finished {
                    Recall::Ringing
                } else {
                    Recall::Quiet
                },
            );
        }
    }

    pub(super) fn set_recall(&mut self, now: Instant, recall: Recall) {
        self.recall = recall;
        match recall {
            Recall::Off => self.timers.stop(Timer::Recall),
            Recall::Quiet => self.timers.set(Timer::Recall, now + after::RECALL_QUIET),
            Recall::Ringing => self.timers.set(Timer::Recall, now + after::RECALL_RINGING),
        }
    }

    pub(super) fn recall_changed(&mut self, now: Instant) {
        match self.recall {
            Recall::Off => {}
            Recall::Quiet => self.set_recall(now, Recall::Ringing),
            Recall::Ringing => self.set_recall(now, Recall::Quiet),
        }
    }

    /// Something has come to its end while the path is open: says so until the user hangs up. At rest it is only a
    /// message.
    pub(super) fn over(
        &mut self,
        now: Instant,
        headline: &'static str,
        hint: &'static str,
        tone: Option<Tone>,
    ) {
        if self.path().is_none() {
            self.set_activity(now, Activity::Idle);
            self.tell(now, headline);
            return;
        }
        self.set_activity(
            now,
            Activity::Over {
                headline,
                hint,
                tone,
                is_failure: tone == Some(Tone::Reorder),
            },
        );
    }

    /// Turns to something else, with the waits that belong to it.
    pub(super) fn set_activity(&mut self, now: Instant, activity: Activity) {
        for timer in [
            Timer::InterDigit,
            Timer::NothingDialed,
            Timer::EntryForgotten,
            Timer::ToneStop,
            Timer::Placing,
        ] {
            self.timers.stop(timer);
        }
        match &activity {
            Activity::Idle => {}
            Activity::Dialing(entry) => {
                let (timer, wait) = match (self.path(), entry.number.is_empty()) {
                    _ if entry.purpose != Purpose::Call => {
                        (Timer::EntryForgotten, after::ENTRY_FORGOTTEN)
                    }
                    (None, _) => (Timer::EntryForgotten, after::ENTRY_FORGOTTEN),
                    (Some(_), true) => (Timer::NothingDialed, after::NOTHING_DIALED),
                    (Some(_), false) => (Timer::InterDigit, self.config.inter_digit_timeout),
                };
                self.timers.set(timer, now + wait);
            }
            Activity::Placing(_) => self.timers.set(Timer::Placing, now + after::PLACING),
            Activity::Over { .. } => self.timers.set(Timer::ToneStop, now + after::TONE_STOP),
        }
        self.activity = activity;
    }

    /// Whether an open hands-free path serves nothing any more and is to close by itself.
    pub(super) fn is_hands_free_useless(&self) -> bool {
        self.hands_free.is_some() && self.hook == HookState::Resting && self.is_silent()
    }

    /// Ends a call; to the user it is gone at once.
    pub(super) fn end(&mut self, id: &ConversationId) {
        let Some(call) = self
            .calls
            .find_mut(id)
            .filter(|call| call.end_sent.is_none())
        else {
            return;
        };
        call.ending = true;
        call.key = None;
        let sent = self.command(Asked::End(id.clone()), Command::End(id.clone()));
        if let Some(call) = self.calls.find_mut(id) {
            call.end_sent = Some(sent);
        }
    }

    /// The End soft key: the call is over, the path stays if the handset is in the user's hand.
    pub(super) fn end_call(&mut self, now: Instant, id: &ConversationId) {
        self.end(id);
        if self.path().is_none() {
            return;
        }
        if self.hook == HookState::Lifted {
            self.set_activity(
                now,
                Activity::Over {
                    headline: self.words.call_ended,
                    hint: self.words.lay_down,
                    tone: None,
                    is_failure: false,
                },
            );
        } else {
            self.go_on_hook(now, true);
        }
    }

    /// The call the user is with: the one turned to last, while it lives; else the one the microphone would go to.
    pub(super) fn focus_call(&self) -> Option<&Call> {
        let live = |call: &&Call| call.is_live();
        let talking = |call: &&Call| call.is_live() && call.phase() == Phase::Talking;
        let chosen = self
            .focus
            .as_ref()
            .and_then(|id| self.calls.find(id))
            .filter(live)
            .filter(|call| call.phase() != Phase::Ringing);
        if let Some(call) = chosen {
            // Another client may have put it on hold and resumed another.
            let elsewhere = call.phase() == Phase::Held
                && call.hold_wanted.is_none()
                && self
                    .calls
                    .iter()
                    .any(|other| talking(&other) && !other.is_hold_wanted());
            if !elsewhere {
                return Some(call);
            }
        }
        self.calls
            .find(&self.active)
            .filter(talking)
            .or_else(|| self.calls.iter().find(talking))
            .or_else(|| {
                self.calls
                    .iter()
                    .filter(live)
                    .find(|call| call.phase().is_engaged())
            })
    }
}
