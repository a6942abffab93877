//! Lists on the display, one line chosen: the menu, speed dials, stations.
//!
//! Up and Down move, Ok or a digit chooses, Back goes where one came from. A list is only there while nothing else wants
//! the display: a ringing call, an opened path or a dialed digit puts it away.

use super::calls::{Call, who_is};
use super::dial::Purpose;
use super::io::{Login, Output, StationEntry, Wish};
use super::machine::{Activity, Phone};
use super::timer::{Timer, after};
use crate::genesys::id::{ParticipantId, StationId};
use offhook_hal::HookState;
use std::time::Instant;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Menu,
    SpeedDials,
    Stations,
    /// Really?
    LogOut,
    About,
    /// Who is in the conference.
    Parties,
    /// Codes for the call before.
    WrapUp,
}

/// An open list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub kind: ListKind,
    /// The chosen row, from 0.
    pub at: usize,
}

impl List {
    /// A digit chooses. Not in a call, where digits go to the far end, nor where a number can be entered.
    pub fn takes_digits(self) -> bool {
        self.kind != ListKind::Parties
    }
}

/// A row, and what choosing it does.
pub(super) struct Row {
    pub text: String,
    /// More about it, while it is the chosen one.
    pub detail: &'static str,
    pub choice: Choice,
}

/// What choosing a row does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Open(ListKind),
    FindStations,
    Station(StationId),
    SpeedDial(usize),
    Voicemail,
    RingHere,
    LogOut,
    Close,
    RemoveParty(ParticipantId),
    WrapUp(String),
    SkipWrapUp,
}

impl Phone {
    /// The list in front, if nothing else wants the display.
    pub(super) fn shown_list(&self) -> Option<List> {
        let focus = self.focus_call();
        let is_free = |list: &List| match (&self.activity, list.kind) {
            _ if self.calls.waiting().is_some() => false,
            (Activity::Idle, ListKind::Parties) => focus.is_some_and(Call::is_conference),
            (_, ListKind::Parties | ListKind::WrapUp) => false,
            // Somebody to call, wherever a number could be entered.
            (Activity::Dialing(entry), ListKind::SpeedDials) => entry.number.is_empty(),
            (Activity::Idle, _) => self.path().is_none() && focus.is_none(),
            _ => false,
        };
        let opened = self.list.filter(is_free);
        opened.or_else(|| self.wrap_up_list())
    }

    pub(super) fn open_list(&mut self, now: Instant, kind: ListKind) {
        self.list = Some(List { kind, at: 0 });
        self.timers.set(Timer::List, now + after::LIST);
    }

    pub(super) fn close_list(&mut self) {
        self.list = None;
        self.timers.stop(Timer::List);
    }

    /// Its rows; never none while it is shown.
    pub(super) fn rows(&self, kind: ListKind) -> Vec<Row> {
        let words = self.words;
        let row = |text: &str, choice| Row {
            text: text.to_owned(),
            detail: "",
            choice,
        };
        match kind {
            ListKind::Menu => {
                let plan = &self.config.plan;
                let is_in = self.login == Login::In;
                [
                    (!plan.speed_dials.is_empty())
                        .then(|| row(words.speed_dials, Choice::Open(ListKind::SpeedDials))),
                    plan.voicemail
                        .as_ref()
                        .map(|_| row(words.voicemail, Choice::Voicemail)),
                    self.is_follower
                        .then(|| row(words.ring_here, Choice::RingHere)),
                    (!self.is_logged_out()).then(|| row(words.station, Choice::FindStations)),
                    is_in.then(|| row(words.log_out, Choice::Open(ListKind::LogOut))),
                    Some(row(words.about, Choice::Open(ListKind::About))),
                ]
                .into_iter()
                .flatten()
                .collect()
            }
            ListKind::SpeedDials => (0..)
                .zip(&self.config.plan.speed_dials)
                .map(|(index, dial)| row(dial.label.expose(), Choice::SpeedDial(index)))
                .collect(),
            ListKind::Stations => self
                .stations
                .iter()
                .map(|station| Row {
                    text: station.name.expose().to_owned(),
                    detail: match station {
                        _ if station.is_ours => words.station_ours,
                        _ if station.is_taken => words.station_taken,
                        _ => "",
                    },
                    choice: Choice::Station(station.id.clone()),
                })
                .collect(),
            ListKind::LogOut => vec![
                row(words.log_out, Choice::LogOut),
                row(words.stay, Choice::Close),
            ],
            ListKind::About => {
                let lines = self.config.about.iter();
                let mut rows: Vec<Row> = lines.map(|line| row(line, Choice::Close)).collect();
                if rows.is_empty() {
                    rows.push(row(words.product, Choice::Close));
                }
                rows
            }
            ListKind::Parties => self.party_rows(),
            ListKind::WrapUp => self.wrap_up_rows(),
        }
    }

    /// Up or Down, round and round.
    pub(super) fn list_move(&mut self, now: Instant, down: bool) {
        let Some(List { kind, at }) = self.shown_list() else {
            return;
        };
        let count = self.rows(kind).len().max(1);
        let step = if down { 1 } else { count - 1 };
        let at = (at.min(count - 1) + step) % count;
        if kind == ListKind::WrapUp {
            self.wrap_up_move(at);
            return;
        }
        self.open_list(now, kind);
        if let Some(list) = &mut self.list {
            list.at = at;
        }
    }

    /// A digit chooses the row of that number.
    pub(super) fn list_digit(&mut self, now: Instant, digit: char) {
        let row = digit.to_digit(10).and_then(|digit| digit.checked_sub(1));
        if let (Some(row), Some(List { kind, .. })) = (row, self.shown_list())
            && let Some(row) = self.rows(kind).into_iter().nth(row as usize)
        {
            self.choose(now, row.choice);
        }
    }

    /// Ok.
    pub(super) fn list_ok(&mut self, now: Instant) {
        if let Some(List { kind, at }) = self.shown_list()
            && let Some(row) = self.rows(kind).into_iter().nth(at)
        {
            self.choose(now, row.choice);
        }
    }

    /// Back: to the menu, and from there away.
    pub(super) fn list_back(&mut self, now: Instant) {
        let at_rest = matches!(self.activity, Activity::Idle) && self.path().is_none();
        match self.shown_list().map(|list| list.kind) {
            Some(ListKind::WrapUp) => self.put_wrap_up_away(now),
            Some(ListKind::Menu | ListKind::Parties) | None => self.close_list(),
            Some(_) if at_rest => self.open_list(now, ListKind::Menu),
            Some(_) => self.close_list(),
        }
    }

    fn choose(&mut self, now: Instant, choice: Choice) {
        match choice {
            Choice::Open(kind) => self.open_list(now, kind),
            Choice::FindStations => {
                self.close_list();
                self.tell(now, self.words.looking_for_stations);
                self.wish(Wish::ListStations);
            }
            Choice::Station(id) => {
                self.close_list();
                self.tell(now, self.words.taking_station);
                self.wish(Wish::UseStation(id));
            }
            Choice::SpeedDial(index) => {
                self.close_list();
                self.choose_speed_dial(now, index);
            }
            Choice::Voicemail => {
                self.close_list();
                if let Some(number) = self.config.plan.voicemail.clone() {
                    self.dial_number(now, number, None);
                }
            }
            Choice::RingHere => {
                self.close_list();
                self.wish(Wish::RingHere);
            }
            Choice::LogOut => {
                self.close_list();
                self.wish(Wish::LogOut);
            }
            Choice::Close => self.close_list(),
            Choice::RemoveParty(participant) => self.remove_party(now, participant),
            Choice::WrapUp(code) => self.wrap_up_with(now, code),
            Choice::SkipWrapUp => self.skip_wrap_up(),
        }
    }

    pub(super) fn wish(&mut self, wish: Wish) {
        self.outputs.push_back(Output::Wish(wish));
    }

    /// Nobody is logged in.
    pub(super) fn is_logged_out(&self) -> bool {
        matches!(self.login, Login::Out(_))
    }

    /// [`Input::Login`]. Whoever comes next has not missed the calls of the one before, nor may see them.
    pub(super) fn login_changed(&mut self, login: Login) {
        if matches!(login, Login::Out(_)) && !self.is_logged_out() {
            self.missed = None;
            self.last_number = None;
            self.agent = crate::device::Private::default();
            self.station = None;
            self.stations.clear();
            self.wrap_ups.clear();
            self.message = None;
            self.close_list();
        }
        self.login = login;
    }

    /// [`Input::Stations`]: shown at once, if the user does nothing else.
    pub(super) fn stations_found(&mut self, now: Instant, stations: Vec<StationEntry>) {
        self.stations = stations;
        if self.stations.is_empty() {
            self.tell(now, self.words.no_stations);
            return;
        }
        self.message = None;
        self.open_list(now, ListKind::Stations);
        // Whoever has no station needs one, however long it takes to come back to the desk.
        if self.station.is_none() {
            self.timers.stop(Timer::List);
        }
        let ours = self.stations.iter().position(|station| station.is_ours);
        if let Some(list) = &mut self.list {
            list.at = ours.unwrap_or(0);
        }
    }

    /// Calls it; or takes it for the number that is being asked for.
    fn choose_speed_dial(&mut self, now: Instant, index: usize) {
        let label = self.config.plan.speed_dials.get(index);
        match (&mut self.activity, label) {
            (Activity::Dialing(entry), Some(dial)) if entry.purpose != Purpose::Call => {
                dial.label.expose().clone_into(&mut entry.number);
                entry.chosen = Some(index);
                self.entry_changed(now);
            }
            _ => self.speed_dial(now, index),
        }
    }

    /// Who is in the conference of the call in front.
    fn party_rows(&self) -> Vec<Row> {
        let words = self.words;
        let parties = self.focus_call().map(|call| call.view.parties.as_slice());
        let parties = parties.unwrap_or_default().iter();
        parties
            .map(|party| Row {
                text: who_is(party, words),
                detail: words.party(party.state),
                choice: Choice::RemoveParty(party.participant_id.clone()),
            })
            .collect()
    }

    /// The speed dial of that index.
    pub(super) fn speed_dial(&mut self, now: Instant, index: usize) {
        let Some(dial) = self.config.plan.speed_dials.get(index).cloned() else {
            return;
        };
        self.last_number = dial.call.phone_number.clone().or(self.last_number.take());
        self.start_call(now, dial.call, dial.label.expose().to_owned(), None);
    }

    /// A digit key held down as the first one.
    pub(super) fn long_digit(&mut self, now: Instant, key: char) {
        let is_first = matches!(&self.activity, Activity::Dialing(entry)
            if entry.number.len() == 1 && entry.number.ends_with(key));
        if !is_first || self.hook == HookState::Lifted {
            return;
        }
        match self.config.plan.on_key(key) {
            Some(index) => self.speed_dial(now, index),
            None => self.tell(now, self.words.no_speed_dial),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::{Input, PhoneConfig};

    /// Private text must not be in what the log could show.
    #[test]
    fn an_invitation_is_private() {
        let invitation = crate::phone::Invitation {
            address: "desk-7.local:8321".into(),
            link: "HTTP://DESK-7/L/SECRET".into(),
        };
        let shown = format!("{:?}", Input::Login(Login::Out(invitation)));
        assert!(!shown.contains("SECRET"), "{shown}");
    }

    #[test]
    fn a_list_that_has_become_shorter_is_no_trouble() {
        let now = Instant::now();
        let mut phone = Phone::new(PhoneConfig::default());
        let station = |name: &str| StationEntry {
            id: name.into(),
            name: name.into(),
            is_taken: false,
            is_ours: false,
        };
        phone.handle(now, Input::Stations(vec![station("A"), station("B")]));
        phone.list_move(now, true);
        phone.stations.truncate(1);
        phone.list_ok(now);
        phone.list_move(now, true);
        assert_eq!(phone.shown_list().map(|list| list.at), Some(0));
    }
}
