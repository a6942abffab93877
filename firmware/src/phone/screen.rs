//! What the display says.

use super::calls::{Call, Phase, who_is};
use super::dial::{Entry, Purpose};
use super::io::{Invitation, Login, Look, Notice, Screen};
use super::list::{List, ListKind};
use super::machine::{Activity, Phone};
use super::strings::ENGLISH;
use crate::genesys::id::ConversationId;
use crate::genesys::model::CallState;
use crate::softphone::SpeakTo;
use std::time::{Duration, Instant};

/// What is in front of the user: what the big line, the soft keys and the Ok key are about.
pub(super) enum Front<'a> {
    /// A number is being entered.
    Dialing(&'a Entry),
    /// A number is with the cloud.
    Placing,
    /// Something has ended.
    Over {
        headline: &'static str,
        hint: &'static str,
        is_failure: bool,
    },
    /// The user is with this call.
    Call(&'a Call),
    /// This call wants to be answered.
    Ringing(&'a Call),
    /// This call is on hold, and the user is nowhere.
    Held(&'a Call),
    /// The user chooses from a list.
    List(List),
    /// Nothing.
    Idle,
}

/// What a phone shows that cannot start: why.
pub fn failure_screen(reason: &str) -> Screen {
    Screen {
        look: Look::Trouble,
        title: ENGLISH.cannot_start.to_owned(),
        detail: reason.to_owned(),
        ..Screen::default()
    }
}

impl Phone {
    pub(super) fn front(&self) -> Front<'_> {
        let at_rest = self.path().is_none();
        let waiting = self.calls.waiting();
        if let Some(list) = self.shown_list() {
            return Front::List(list);
        }
        match &self.activity {
            Activity::Placing(_) => Front::Placing,
            Activity::Dialing(entry) => match waiting {
                Some(call) if at_rest || entry.number.is_empty() => Front::Ringing(call),
                _ => Front::Dialing(entry),
            },
            Activity::Over {
                headline,
                hint,
                is_failure,
                ..
            } => {
                let over = Front::Over {
                    headline,
                    hint,
                    is_failure: *is_failure,
                };
                waiting.map_or(over, Front::Ringing)
            }
            Activity::Idle => {
                let focus = self.focus_call();
                let held = focus.filter(|call| at_rest && call.phase() == Phase::Held);
                match (focus, waiting) {
                    (Some(call), None) if held.is_none() => Front::Call(call),
                    (Some(call), Some(_)) if !at_rest => Front::Call(call),
                    (_, Some(call)) => Front::Ringing(call),
                    _ => held
                        .or_else(|| self.calls.last_held(None))
                        .map_or(Front::Idle, Front::Held),
                }
            }
        }
    }

    /// How long the call in front has been connected.
    pub(super) fn duration(&self, now: Instant) -> Option<Duration> {
        match self.front() {
            Front::Call(call) | Front::Held(call) => call
                .connected_at
                .map(|since| now.saturating_duration_since(since)),
            _ => None,
        }
    }

    pub(super) fn screen(&self, now: Option<Instant>) -> Screen {
        let mut screen = self.front_screen();
        screen.corner = match now.and_then(|now| self.duration(now)) {
            Some(duration) => clock_form(duration),
            None => self.clock.clone(),
        };
        let front = self.front_id();
        let others = self
            .calls
            .iter()
            .filter(|call| call.is_live() && !call.rejecting && Some(call.id()) != front)
            .map(|call| self.line(call));
        if !matches!(self.front(), Front::List(_)) {
            screen.lines.extend(others);
        }
        for (index, key) in self.soft_keys().into_iter().enumerate() {
            if let Some(key) = key {
                key.label(self.words)
                    .clone_into(&mut screen.soft_keys[index]);
                screen.soft_kinds[index] = key.kind();
            }
        }
        if let Some(message) = self.message {
            message.clone_into(&mut screen.detail);
        }
        if let Some((path, percent)) = self.level {
            self.words.volume(path).clone_into(&mut screen.detail);
            screen.level = Some(percent);
        }
        screen
    }

    fn front_id(&self) -> Option<&ConversationId> {
        match self.front() {
            Front::Call(call) | Front::Ringing(call) | Front::Held(call) => Some(call.id()),
            _ => None,
        }
    }

    /// Title, big line, detail and look.
    fn front_screen(&self) -> Screen {
        let words = self.words;
        let at_rest = self.path().is_none();
        let (look, title, main, detail) = match self.front() {
            Front::Dialing(entry) => {
                let (title, hint) = match entry.purpose {
                    Purpose::Call if at_rest => (words.new_call, words.lift_to_dial),
                    Purpose::Call => (words.new_call, words.hash_dials),
                    Purpose::Transfer(_) => (words.transfer_to, words.hash_transfers),
                    Purpose::Add(_) => (words.add_to_call, words.hash_adds),
                };
                let (main, hint) = match entry.number.as_str() {
                    "" => (words.dial_a_number, ""),
                    number => (number, hint),
                };
                (Look::Dialing, title, main.to_owned(), hint.to_owned())
            }
            Front::Placing => {
                let number = self.placing_number();
                let main = if number.is_empty() {
                    words.new_call
                } else {
                    number
                };
                (
                    Look::Calling,
                    words.calling,
                    main.to_owned(),
                    words.setting_up.to_owned(),
                )
            }
            Front::Over {
                headline,
                hint,
                is_failure,
            } => {
                let look = if is_failure {
                    Look::Trouble
                } else {
                    Look::Idle
                };
                (look, words.product, headline.to_owned(), hint.to_owned())
            }
            Front::Call(call) => self.call_screen(call),
            Front::Ringing(call) => (
                Look::Ringing,
                if self.is_follower {
                    words.rings_elsewhere
                } else {
                    words.incoming_call
                },
                call.who(words),
                call.number_beside_name(),
            ),
            Front::Held(call) => (
                Look::Held,
                words.held,
                call.who(words),
                words.lift_to_resume.to_owned(),
            ),
            Front::List(list) => return self.list_screen(list),
            Front::Idle => return self.idle_screen(),
        };
        Screen {
            look,
            title: title.to_owned(),
            main,
            detail,
            ..Screen::default()
        }
    }

    fn call_screen(&self, call: &Call) -> (Look, &'static str, String, String) {
        let words = self.words;
        let number = call.number_beside_name();
        let handed_to = || call.handed_to.clone().unwrap_or_default();
        if call.transferring {
            return (
                Look::Calling,
                words.transferring,
                handed_to(),
                call.who(words),
            );
        }
        if call.asking {
            return (Look::Calling, words.asking, handed_to(), call.who(words));
        }
        if let Some(consult) = &call.view.consult {
            return self.consult_screen(call, consult.speak_to);
        }
        let recording = call.view.recording;
        let (look, title, detail) = match call.phase() {
            Phase::Held => (Look::Held, words.held, number),
            Phase::Calling => {
                let rings = call.view.state == CallState::Dialing;
                let state = if rings {
                    words.far_end_rings
                } else {
                    words.setting_up
                };
                (Look::Calling, words.calling, state.to_owned())
            }
            Phase::Answering => (Look::Calling, words.answering, number),
            _ if call.is_gated() => (Look::Muted, words.muted(recording), number),
            _ if call.is_conference() => (Look::Talking, words.conference(recording), number),
            _ => (Look::Talking, words.talking(recording), number),
        };
        if call.is_conference() {
            let names: Vec<String> = call
                .view
                .parties
                .iter()
                .map(|party| who_is(party, words))
                .collect();
            let count = format!("{}{}", names.len() + 1, words.people);
            return (look, title, count, names.join(", "));
        }
        (look, title, call.who(words), detail)
    }

    /// Who is asked, and who waits.
    fn consult_screen(&self, call: &Call, to: SpeakTo) -> (Look, &'static str, String, String) {
        let words = self.words;
        let party = call.asked_party();
        let asked = match (party, &call.handed_to) {
            (Some(party), _) => who_is(party, words),
            (None, Some(number)) => number.clone(),
            (None, None) => words.unknown_caller.to_owned(),
        };
        let caller = call.who(words);
        let rings = party.is_some_and(|party| party.state != CallState::Connected);
        let look = if call.is_gated() {
            Look::Muted
        } else {
            Look::Talking
        };
        match to {
            SpeakTo::Destination if rings => (
                Look::Calling,
                words.asking,
                asked,
                format!("{caller}{}", words.waits),
            ),
            SpeakTo::Destination => (
                look,
                words.consulting,
                asked,
                format!("{caller}{}", words.waits),
            ),
            SpeakTo::Object => (
                look,
                words.with_caller,
                caller,
                format!("{asked}{}", words.waits),
            ),
            SpeakTo::Both | SpeakTo::Conference => (look, words.all_together, caller, asked),
        }
    }

    /// The heading of the notice that matters most, if there is one: for the local API.
    pub fn trouble(&self) -> Option<String> {
        let notice = self.trouble_in_front()?;
        Some(self.words.notice(notice).0.to_owned())
    }

    /// Something is wrong in that area.
    pub fn is_in_trouble(&self, area: super::NoticeArea) -> bool {
        self.notices.iter().any(|notice| notice.area() == area)
    }

    /// The notice that matters most.
    pub(super) fn trouble_in_front(&self) -> Option<&Notice> {
        self.notices.iter().max_by_key(|notice| notice.importance())
    }

    /// Somebody stands before the idle screen. Of what is over already, the notice has told.
    pub(super) fn notice_seen(&mut self) {
        if self.trouble_in_front() == Some(&Notice::StateDamaged) {
            self.notices
                .retain(|notice| *notice != Notice::StateDamaged);
        }
    }

    /// The chosen row in the big line, those after it below.
    fn list_screen(&self, list: List) -> Screen {
        let words = self.words;
        let rows = self.rows(list.kind);
        let at = list.at.min(rows.len().saturating_sub(1));
        let number = |index: usize| match list.kind {
            ListKind::About => String::new(),
            _ => format!("{} ", index + 1),
        };
        let text = |index: usize| {
            rows.get(index)
                .map(|row| format!("{}{}", number(index), row.text))
                .unwrap_or_default()
        };
        Screen {
            look: Look::Idle,
            title: words.list(list.kind).to_owned(),
            main: text(at),
            detail: rows.get(at).map_or("", |row| row.detail).to_owned(),
            lines: (at + 1..rows.len()).map(text).collect(),
            ..Screen::default()
        }
    }

    /// What the idle screen invites to, if somebody has to log in and nothing stands in the way.
    pub(super) fn invitation(&self) -> Option<&Invitation> {
        match &self.login {
            Login::Out(invitation) if self.trouble_in_front().is_none_or(Notice::is_of_login) => {
                Some(invitation)
            }
            _ => None,
        }
    }

    fn idle_screen(&self) -> Screen {
        let words = self.words;
        if let Some(invitation) = self.invitation() {
            return Screen {
                look: Look::Idle,
                title: words.please_log_in.to_owned(),
                main: invitation.address.clone(),
                detail: words.scan_or_open.to_owned(),
                code: invitation.link.expose().to_owned(),
                ..Screen::default()
            };
        }
        let agent = self.agent.expose().trim();
        let title = if agent.is_empty() {
            words.product
        } else {
            agent
        };
        let (look, main, detail) = if let Some(notice) = self.trouble_in_front() {
            let (heading, hint) = words.notice(notice);
            let look = if notice.importance() > 0 {
                Look::Trouble
            } else {
                Look::Idle
            };
            (look, heading, hint)
        } else {
            let detail = match &self.missed {
                Some(missed) if missed.count == 1 => format!("{}{}", words.missed_one, missed.last),
                Some(missed) => format!("{}{}{}", missed.count, words.missed_many, missed.last),
                None => self.station.clone().unwrap_or_default(),
            };
            (Look::Idle, words.ready, detail)
        };
        Screen {
            look,
            title: title.to_owned(),
            main: main.to_owned(),
            detail,
            ..Screen::default()
        }
    }

    /// A call that is not in front, in one line: line key, who, what.
    fn line(&self, call: &Call) -> String {
        let words = self.words;
        let state = match call.phase() {
            Phase::Ringing => words.line_waiting,
            Phase::Held => words.line_held,
            Phase::Calling => words.line_calling,
            Phase::Elsewhere => words.line_elsewhere,
            _ => words.line_talking,
        };
        let who = call.who(words);
        match call.key {
            Some(key) => format!("{key} {who} {state}"),
            None => format!("{who} {state}"),
        }
    }
}

/// `0:42`, `12:05`, `1:02:03`.
fn clock_form(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, clock_form};

    #[test]
    fn durations_read_like_a_clock() {
        for (seconds, shown) in [(0, "0:00"), (42, "0:42"), (725, "12:05"), (3723, "1:02:03")] {
            assert_eq!(clock_form(Duration::from_secs(seconds)), shown);
        }
    }
}
