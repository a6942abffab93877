//! The soft keys: which there are for what is in front, and what they say.

use super::calls::Call;
use super::dial::Purpose;
use super::io::{Notice, NoticeArea, SoftKind};
use super::list::{List, ListKind};
use super::machine::Phone;
use super::screen::Front;
use super::strings::Strings;
use crate::genesys::model::RecordingState;

/// What a soft key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SoftKey {
    Answer,
    Reject,
    /// Reject, and the caller reaches the voicemail.
    Voicemail,
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
    Skip,
    Stations,
    TakeBack,
    /// Transfer at once.
    Blind,
    /// Transfer after asking.
    Consult,
    /// Complete the transfer.
    Complete,
    /// Give the transfer up.
    CancelConsult,
    /// Between who is asked and who waits.
    SwapConsult,
    /// All three.
    Conference,
    /// One conference of the calls.
    Join,
    /// Add to the call.
    Add,
    Parties,
    Remove,
    PauseRecording,
    ResumeRecording,
    More,
}

impl SoftKey {
    pub fn label(self, words: &Strings) -> &'static str {
        match self {
            Self::Answer => words.soft_answer,
            Self::Reject => words.soft_reject,
            Self::Voicemail => words.soft_voicemail,
            Self::Quiet => words.soft_quiet,
            Self::Dial => words.soft_dial,
            Self::Delete => words.soft_delete,
            Self::Cancel | Self::CancelConsult => words.soft_cancel,
            Self::End => words.soft_end,
            Self::Hold => words.soft_hold,
            Self::Resume => words.soft_resume,
            Self::Mute => words.soft_mute,
            Self::Unmute => words.soft_unmute,
            Self::Swap | Self::SwapConsult => words.soft_swap,
            Self::New => words.soft_new,
            Self::Redial => words.soft_redial,
            Self::Dials => words.soft_dials,
            Self::Menu => words.soft_menu,
            Self::Select => words.soft_select,
            Self::Up => words.soft_up,
            Self::Down => words.soft_down,
            Self::Back => words.soft_back,
            Self::Skip => words.soft_skip,
            Self::Stations => words.soft_stations,
            Self::TakeBack => words.soft_take_back,
            Self::Blind => words.soft_blind,
            Self::Consult => words.soft_consult,
            Self::Complete => words.soft_complete,
            Self::Conference => words.soft_conference,
            Self::Join => words.soft_join,
            Self::Add => words.soft_add,
            Self::Parties => words.soft_parties,
            Self::Remove => words.soft_remove,
            Self::PauseRecording => words.soft_pause_recording,
            Self::ResumeRecording => words.soft_resume_recording,
            Self::More => words.soft_more,
        }
    }

    pub fn kind(self) -> SoftKind {
        match self {
            Self::Answer | Self::Dial | Self::Blind | Self::Complete | Self::Add => SoftKind::Go,
            Self::Reject | Self::Voicemail | Self::End | Self::Remove => SoftKind::Stop,
            _ => SoftKind::Plain,
        }
    }
}

type SoftKeys = [Option<SoftKey>; 4];

impl Phone {
    /// Soft keys from left to right, for what is in front.
    pub(super) fn soft_keys(&self) -> SoftKeys {
        use SoftKey::{
            Add, Answer, Blind, Cancel, Consult, Delete, Dial, Dials, End, Menu, New, Quiet,
            Redial, Resume, Stations, TakeBack,
        };
        let waiting = self.calls.waiting();
        let reject = waiting.map(reject_key);
        let redial = self.last_number.as_ref().map(|_| Redial);
        let dials = (!self.config.plan.speed_dials.is_empty()).then_some(Dials);
        match self.front() {
            Front::Ringing(_) => {
                let loud = self.path().is_none() && self.calls.is_audible();
                [Some(Answer), reject, None, loud.then_some(Quiet)]
            }
            Front::Dialing(entry) if waiting.is_some() => {
                let dial = match entry.purpose {
                    Purpose::Call => Dial,
                    Purpose::Transfer(_) => Blind,
                    Purpose::Add(_) => Add,
                };
                let some = !entry.number.is_empty();
                [
                    Some(Answer),
                    reject,
                    some.then_some(Delete),
                    some.then_some(dial),
                ]
            }
            Front::Dialing(entry) if entry.number.is_empty() => {
                let redial = redial.filter(|_| entry.purpose == Purpose::Call);
                [redial, dials, None, Some(Cancel)]
            }
            Front::Dialing(entry) => match entry.purpose {
                Purpose::Call => [Some(Dial), Some(Delete), None, Some(Cancel)],
                Purpose::Transfer(_) => [Some(Blind), Some(Consult), Some(Delete), Some(Cancel)],
                Purpose::Add(_) => [Some(Add), Some(Delete), None, Some(Cancel)],
            },
            Front::Placing if waiting.is_some() => [Some(Answer), reject, None, Some(End)],
            Front::Placing => [None, None, None, Some(End)],
            Front::Over { .. } => {
                let resume = self.calls.last_held(None).map(|_| Resume);
                [Some(resume.unwrap_or(New)), redial, None, None]
            }
            Front::Call(call) => self.call_keys(call, reject),
            Front::Held(_) => [Some(Resume), None, Some(New), Some(End)],
            Front::List(list) => self.list_keys(list),
            // The code needs the room.
            Front::Idle if self.invitation().is_some() => [None; 4],
            Front::Idle => {
                let first = match self.trouble_in_front() {
                    Some(Notice::StationTaken) => Some(TakeBack),
                    Some(trouble) if trouble.area() == NoticeArea::Station => Some(Stations),
                    _ => redial,
                };
                [first, dials, Some(Menu), Some(New)]
            }
        }
    }

    /// `reject` is there while another call waits.
    fn call_keys(&self, call: &Call, reject: Option<SoftKey>) -> SoftKeys {
        use SoftKey::{
            Answer, CancelConsult, Complete, Conference, End, Hold, Join, Mute, New, Parties,
            PauseRecording, Resume, ResumeRecording, Swap, SwapConsult, Unmute,
        };
        let is_up = call.phase().is_connected() && !call.is_leaving();
        let hold = if call.is_hold_wanted() { Resume } else { Hold };
        match reject {
            Some(_) if call.view.consult.is_some() => {
                return [Some(Answer), reject, Some(Complete), Some(CancelConsult)];
            }
            Some(_) => return [Some(Answer), reject, is_up.then_some(hold), Some(End)],
            None if !is_up => return [None, None, None, Some(End)],
            None if call.view.consult.is_some() => {
                return [
                    Some(Complete),
                    Some(SwapConsult),
                    Some(Conference),
                    Some(CancelConsult),
                ];
            }
            None => {}
        }
        let mute = if call.is_gated() { Unmute } else { Mute };
        let record = match call.view.recording {
            Some(RecordingState::Active) => Some(PauseRecording),
            Some(RecordingState::Paused) => Some(ResumeRecording),
            _ => None,
        };
        let is_two = self.calls.last_held(Some(call.id())).is_some();
        let other = if is_two { Swap } else { New };
        let join = is_two.then_some(Join);
        let parties = call.is_conference().then_some(Parties);
        let all: Vec<SoftKey> = [
            is_two.then_some(Swap),
            join,
            Some(hold),
            record,
            parties,
            Some(mute),
            (!is_two).then_some(other),
        ]
        .into_iter()
        .flatten()
        .collect();
        self.page_of(&all)
    }

    /// Three keys and End; more of them two by two, with a key that turns the page.
    fn page_of(&self, keys: &[SoftKey]) -> SoftKeys {
        use SoftKey::{End, More};
        let at = |index: usize| keys.get(index).copied();
        if keys.len() <= 3 {
            return [at(0), at(1), at(2), Some(End)];
        }
        let page = self.soft_page % keys.len().div_ceil(2);
        [at(2 * page), at(2 * page + 1), Some(More), Some(End)]
    }

    fn list_keys(&self, list: List) -> SoftKeys {
        use SoftKey::{Back, Down, Remove, Select, Skip, Up};
        let first = match list.kind {
            ListKind::Parties => Remove,
            _ => Select,
        };
        let last = match list.kind {
            ListKind::WrapUp => self.may_skip_wrap_up().then_some(Skip),
            _ => Some(Back),
        };
        let some = self.rows(list.kind).len() > 1;
        [Some(first), some.then_some(Up), some.then_some(Down), last]
    }
}

/// What rejecting `call` does: a call to the user goes to the voicemail (genesys-protocol 6.13.21).
fn reject_key(call: &Call) -> SoftKey {
    if call.view.rejects_to_voicemail {
        SoftKey::Voicemail
    } else {
        SoftKey::Reject
    }
}
