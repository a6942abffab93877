//! What each key does, soft keys included.

use super::calls::Phase;
use super::io::{Notice, SoftKind, Wish};
use super::list::ListKind;
use super::machine::{Activity, Phone};
use super::screen::Front;
use super::settings::AudioPath;
use super::strings::Strings;
use super::timer::{Timer, after};
use crate::genesys::id::ConversationId;
use offhook_hal::{Key, KeyAction};
use std::time::Instant;

/// What a soft key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SoftKey {
    Answer,
    Reject,
    Quiet,
    Dial,
    Delete,
    Cancel,
    End,
    Hold,
    Resume,
    Mute,
    Unmute,
    Swap,
    New,
    Redial,
    Dials,
    Menu,
    Select,
    Up,
    Down,
    Back,
    Stations,
    TakeBack,
}

impl SoftKey {
    pub fn label(self, words: &Strings) -> &'static str {
        match self {
            Self::Answer => words.soft_answer,
            Self::Reject => words.soft_reject,
            Self::Quiet => words.soft_quiet,
            Self::Dial => words.soft_dial,
            Self::Delete => words.soft_delete,
            Self::Cancel => words.soft_cancel,
            Self::End => words.soft_end,
            Self::Hold => words.soft_hold,
            Self::Resume => words.soft_resume,
            Self::Mute => words.soft_mute,
            Self::Unmute => words.soft_unmute,
            Self::Swap => words.soft_swap,
            Self::New => words.soft_new,
            Self::Redial => words.soft_redial,
            Self::Dials => words.soft_dials,
            Self::Menu => words.soft_menu,
            Self::Select => words.soft_select,
            Self::Up => words.soft_up,
            Self::Down => words.soft_down,
            Self::Back => words.soft_back,
            Self::Stations => words.soft_stations,
            Self::TakeBack => words.soft_take_back,
        }
    }
}

impl SoftKey {
    pub fn kind(self) -> SoftKind {
        match self {
            Self::Answer | Self::Dial => SoftKind::Go,
            Self::Reject | Self::End => SoftKind::Stop,
            _ => SoftKind::Plain,
        }
    }
}

impl Phone {
    pub(super) fn key(&mut self, now: Instant, key: Key, action: KeyAction) {
        if let Some(dial) = key.dtmf() {
            self.dial_key(now, dial, action);
            return;
        }
        if action != KeyAction::Pressed {
            return;
        }
        match key {
            Key::Hold => self.toggle_hold(now),
            Key::Mute => self.toggle_mute(),
            Key::Transfer => self.tell(now, self.words.transfer_elsewhere),
            Key::Conference => self.tell(now, self.words.conference_elsewhere),
            Key::Speaker => self.hands_free_key(now, AudioPath::Speaker),
            Key::Headset => self.hands_free_key(now, AudioPath::Headset),
            Key::Redial => self.redial(now),
            Key::VolumeUp => self.volume_key(now, true),
            Key::VolumeDown => self.volume_key(now, false),
            Key::Line(line) => self.line_key(now, line),
            Key::Soft(place) => self.soft_key(now, place),
            Key::Ok => self.ok_key(now),
            Key::Back => self.back_key(now),
            Key::Up | Key::Down => self.list_move(now, key == Key::Down),
            Key::Digit(_) | Key::Star | Key::Hash => {}
        }
    }

    /// Soft keys from left to right, for what is in front.
    pub(super) fn soft_keys(&self) -> [Option<SoftKey>; 4] {
        use SoftKey::{
            Answer, Back, Cancel, Delete, Dial, Dials, Down, End, Hold, Menu, Mute, New, Quiet,
            Redial, Reject, Resume, Select, Stations, Swap, TakeBack, Unmute, Up,
        };
        let waiting = self.calls.waiting().is_some();
        let redial = self.last_number.as_ref().map(|_| Redial);
        match self.front() {
            Front::Ringing(_) => {
                let loud = self.path().is_none() && self.calls.is_audible();
                [Some(Answer), Some(Reject), None, loud.then_some(Quiet)]
            }
            Front::Dialing(entry) if waiting => {
                let some = !entry.number.is_empty();
                [
                    Some(Answer),
                    Some(Reject),
                    some.then_some(Delete),
                    some.then_some(Dial),
                ]
            }
            Front::Dialing(entry) if entry.number.is_empty() => [redial, None, None, Some(Cancel)],
            Front::Dialing(_) => [Some(Dial), Some(Delete), None, Some(Cancel)],
            Front::Placing if waiting => [Some(Answer), Some(Reject), None, Some(End)],
            Front::Placing => [None, None, None, Some(End)],
            Front::Over { .. } => {
                let resume = self.calls.last_held(None).map(|_| Resume);
                [Some(resume.unwrap_or(New)), redial, None, None]
            }
            Front::Call(call) => match call.phase() {
                Phase::Talking | Phase::Held => {
                    let hold = if call.is_hold_wanted() { Resume } else { Hold };
                    if waiting {
                        return [Some(Answer), Some(Reject), Some(hold), Some(End)];
                    }
                    let mute = if call.is_gated() { Unmute } else { Mute };
                    let other = self.calls.last_held(Some(call.id())).map_or(New, |_| Swap);
                    [Some(hold), Some(mute), Some(other), Some(End)]
                }
                _ if waiting => [Some(Answer), Some(Reject), None, Some(End)],
                _ => [None, None, None, Some(End)],
            },
            Front::Held(_) => [Some(Resume), None, Some(New), Some(End)],
            Front::List(list) if self.rows(list.kind).len() < 2 => {
                [Some(Select), None, None, Some(Back)]
            }
            Front::List(_) => [Some(Select), Some(Up), Some(Down), Some(Back)],
            // The code needs the room.
            Front::Idle if self.invitation().is_some() => [None; 4],
            Front::Idle => {
                let first = match self.trouble_in_front() {
                    Some(Notice::StationTaken) => Some(TakeBack),
                    Some(Notice::NoStation | Notice::StationNotWebRtc) => Some(Stations),
                    _ => redial,
                };
                let dials = (!self.config.plan.speed_dials.is_empty()).then_some(Dials);
                [first, dials, Some(Menu), Some(New)]
            }
        }
    }

    fn soft_key(&mut self, now: Instant, place: u8) {
        let keys = self.soft_keys();
        let key = usize::from(place)
            .checked_sub(1)
            .and_then(|index| keys.get(index));
        if let Some(Some(key)) = key {
            self.soft(now, *key);
        }
    }

    fn soft(&mut self, now: Instant, key: SoftKey) {
        match key {
            SoftKey::Answer => {
                if let Some(id) = self.waiting() {
                    self.answer(now, &id);
                }
            }
            SoftKey::Reject => {
                if let Some(id) = self.waiting() {
                    self.reject(&id);
                }
            }
            SoftKey::Quiet => self.quiet(now),
            SoftKey::Dial => self.dial_entry(now),
            SoftKey::Delete => self.entry_delete(now),
            SoftKey::Cancel => self.entry_cancel(now),
            SoftKey::End => self.soft_end(now),
            SoftKey::Hold | SoftKey::Resume => self.toggle_hold(now),
            SoftKey::Mute | SoftKey::Unmute => self.toggle_mute(),
            SoftKey::Swap => self.swap(now),
            SoftKey::New => self.new_call(now, None),
            SoftKey::Redial => self.redial(now),
            SoftKey::Dials => self.open_list(now, ListKind::SpeedDials),
            SoftKey::Menu => self.open_list(now, ListKind::Menu),
            SoftKey::Select => self.list_ok(now),
            SoftKey::Up => self.list_move(now, false),
            SoftKey::Down => self.list_move(now, true),
            SoftKey::Back => self.list_back(now),
            SoftKey::Stations => self.wish(Wish::ListStations),
            SoftKey::TakeBack => self.take_station_back(now),
        }
    }

    fn waiting(&self) -> Option<ConversationId> {
        self.calls.waiting().map(|call| call.id().clone())
    }

    fn soft_end(&mut self, now: Instant) {
        let id = match self.front() {
            Front::Call(call) | Front::Held(call) => call.id().clone(),
            Front::Placing => {
                self.cancel_placing();
                if self.hook == offhook_hal::HookState::Lifted {
                    self.start_dialing(now, None);
                } else {
                    self.go_on_hook(now, true);
                }
                return;
            }
            _ => return,
        };
        self.end_call(now, &id);
    }

    /// What the display offers first.
    fn ok_key(&mut self, now: Instant) {
        match self.front() {
            Front::Ringing(call) => {
                let id = call.id().clone();
                self.answer(now, &id);
            }
            Front::Dialing(_) => self.dial_entry(now),
            Front::Held(call) => {
                let id = call.id().clone();
                self.resume(now, &id);
            }
            Front::Call(call) if call.is_hold_wanted() => self.toggle_hold(now),
            Front::List(_) => self.list_ok(now),
            Front::Idle => match self.trouble_in_front() {
                Some(Notice::StationTaken) => self.take_station_back(now),
                _ => self.open_list(now, ListKind::Menu),
            },
            Front::Call(_) | Front::Placing | Front::Over { .. } => {}
        }
    }

    /// One step back: the last digit, the missed calls. (A message has gone before.)
    fn back_key(&mut self, now: Instant) {
        if let Activity::Dialing(_) = self.activity {
            self.entry_delete(now);
        } else if self.shown_list().is_some() {
            self.list_back(now);
        } else {
            self.missed = None;
        }
    }

    fn take_station_back(&mut self, now: Instant) {
        self.tell(now, self.words.taking_station);
        self.wish(Wish::TakeStationBack);
    }

    /// The ear's volume while a path is open, else the ring's.
    fn volume_key(&mut self, now: Instant, up: bool) {
        let path = self.path();
        let percent = self.volumes.step(path, up);
        self.level = Some((path, percent));
        self.timers.set(Timer::Level, now + after::LEVEL);
    }
}
