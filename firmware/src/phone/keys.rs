//! What each key does, soft keys included.

use super::io::{Notice, Wish};
use super::list::ListKind;
use super::machine::{Activity, Phone};
use super::screen::Front;
use super::settings::AudioPath;
use super::soft::SoftKey;
use super::timer::{Timer, after};
use crate::genesys::id::ConversationId;
use crate::softphone::{SpeakTo, TransferMode};
use offhook_hal::{Key, KeyAction};
use std::time::Instant;

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
            Key::Transfer => self.transfer_key(now),
            Key::Conference => self.conference_key(now),
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
            SoftKey::Reject | SoftKey::Voicemail => {
                if let Some(id) = self.waiting() {
                    self.reject(&id);
                }
            }
            SoftKey::Quiet => self.quiet(now),
            SoftKey::Dial | SoftKey::Add => self.dial_entry(now),
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
            SoftKey::Select | SoftKey::Remove => self.list_ok(now),
            SoftKey::Up => self.list_move(now, false),
            SoftKey::Down => self.list_move(now, true),
            SoftKey::Back => self.list_back(now),
            SoftKey::Stations => self.wish(Wish::ListStations),
            SoftKey::TakeBack => self.take_station_back(now),
            SoftKey::Skip => self.skip_wrap_up(),
            SoftKey::Blind => self.transfer_entry(now, TransferMode::Blind),
            SoftKey::Consult => self.transfer_entry(now, TransferMode::Consult),
            SoftKey::Complete => self.complete(now),
            SoftKey::CancelConsult => self.cancel_consult(),
            SoftKey::SwapConsult => self.swap_consult(),
            SoftKey::Conference => self.speak_to(SpeakTo::Conference),
            SoftKey::Join => self.join(now),
            SoftKey::Parties => self.open_parties(now),
            SoftKey::PauseRecording => self.record(true),
            SoftKey::ResumeRecording => self.record(false),
            SoftKey::More => self.soft_page = self.soft_page.wrapping_add(1),
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
