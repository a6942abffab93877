//! Entering a number, and getting from there to a call.
//!
//! `*` and `#` first are part of the number (feature codes), and `#` in such a number too; otherwise `#` dials. A long
//! press on a first `0` makes it `+`.

use super::calls::Call;
use super::list::List;
use super::machine::{Activity, Phone};
use super::number::readable;
use super::outcomes::Asked;
use crate::audio::Tone;
use crate::device::Private;
use crate::genesys::id::ConversationId;
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::softphone::{Command, CommandId, CommandReply, SdkError, SdkErrorType, TransferMode};
use offhook_hal::KeyAction;
use std::fmt;
use std::time::Instant;

/// Keys in a number at most: 15 digits (ITU-T E.164), a prefix, and room for a calling card's.
pub(super) const MAX_KEYS: usize = 32;
/// Calls asked for and not seen yet; more at once only a broken caller of the API makes.
const MAX_STARTS: usize = 8;

/// A number being entered. `Debug` hides it.
#[derive(Default)]
pub(super) struct Entry {
    pub number: String,
    /// The line key it was begun with.
    pub key: Option<u8>,
    /// What it is for.
    pub purpose: Purpose,
    /// The speed dial that was chosen instead; `number` is its label then.
    pub chosen: Option<usize>,
}

/// What a number is entered for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be called.
    #[default]
    Call,
    /// To take over this call.
    Transfer(ConversationId),
    /// To be called into this call.
    Add(ConversationId),
}

impl Purpose {
    /// The call it is about.
    pub fn call(&self) -> Option<&ConversationId> {
        match self {
            Self::Call => None,
            Self::Transfer(id) | Self::Add(id) => Some(id),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A call asked for.
pub(super) struct Start {
    pub command: CommandId,
    /// As the display shows it; empty if it is not a number.
    pub number: String,
    pub key: Option<u8>,
    /// From the reply, or taken from the first own call that showed up.
    pub conversation: Option<ConversationId>,
    /// The reply has come.
    pub replied: bool,
    /// Its call has shown up.
    pub seen: bool,
    /// The user has hung up since.
    pub cancelled: bool,
}

impl Phone {
    /// The dial tone.
    pub(super) fn start_dialing(&mut self, now: Instant, key: Option<u8>) {
        let entry = Entry {
            key,
            ..Entry::default()
        };
        self.set_activity(now, Activity::Dialing(entry));
    }

    /// A dial key while no call takes it.
    pub(super) fn entry_key(&mut self, now: Instant, key: char) {
        let Activity::Dialing(entry) = &mut self.activity else {
            return;
        };
        if entry.chosen.is_some() {
            // Digits make no sense behind a name; Delete takes it away.
            if key == '#' {
                self.dial_entry(now);
            }
            return;
        }
        let plan = &self.config.plan;
        let rest = plan.rest(&entry.number);
        let is_code = rest.is_empty() || rest.starts_with(['*', '#']);
        if key == '#' && (!is_code || plan.is_code(&entry.number)) {
            self.dial_entry(now);
            return;
        }
        if entry.number.len() >= MAX_KEYS {
            self.tell(now, self.words.number_full);
            return;
        }
        entry.number.push(key);
        let rest = self.config.plan.rest(&entry.number);
        // A transfer waits for the user's word.
        let complete = entry.purpose == Purpose::Call && self.config.digit_map.is_complete(rest);
        self.entry_changed(now);
        if complete && self.path().is_some() {
            self.dial_entry(now);
        }
    }

    /// A long press on `0`.
    pub(super) fn entry_plus(&mut self, now: Instant) {
        if let Activity::Dialing(entry) = &mut self.activity
            && entry.number == "0"
        {
            "+".clone_into(&mut entry.number);
            self.entry_changed(now);
        }
    }

    /// The last key again away.
    pub(super) fn entry_delete(&mut self, now: Instant) {
        let Activity::Dialing(entry) = &mut self.activity else {
            return;
        };
        if entry.chosen.take().is_some() {
            entry.number.clear();
        }
        entry.number.pop();
        if entry.number.is_empty() && self.path().is_none() {
            self.set_activity(now, Activity::Idle);
        } else {
            self.entry_changed(now);
        }
    }

    /// Away with the whole number: the dial tone again, or back to the call on hold, or hung up.
    pub(super) fn entry_cancel(&mut self, now: Instant) {
        let Activity::Dialing(entry) = &self.activity else {
            return;
        };
        let key = entry.key;
        if let Purpose::Transfer(id) = entry.purpose.clone() {
            self.set_activity(now, Activity::Idle);
            self.resume(now, &id);
        } else if self.focus_call().is_some() || self.path().is_none() {
            self.set_activity(now, Activity::Idle);
        } else if self.hands_free.is_some() && self.hook == offhook_hal::HookState::Resting {
            self.go_on_hook(now, true);
        } else {
            self.start_dialing(now, key);
        }
    }

    pub(super) fn entry_changed(&mut self, now: Instant) {
        if let Activity::Dialing(entry) = &mut self.activity {
            let entry = std::mem::take(entry);
            self.set_activity(now, Activity::Dialing(entry));
        }
    }

    /// The number is complete: opens a path if there is none, and calls.
    pub(super) fn dial_entry(&mut self, now: Instant) {
        let Activity::Dialing(entry) = &mut self.activity else {
            return;
        };
        if entry.number.is_empty() {
            return;
        }
        match entry.purpose.clone() {
            Purpose::Call => {}
            Purpose::Transfer(_) => return self.transfer_entry(now, TransferMode::Blind),
            Purpose::Add(id) => return self.add_entry(now, id),
        }
        let Entry { number, key, .. } = std::mem::take(entry);
        self.dial_number(now, Private::from(number), key);
    }

    /// The redial key.
    pub(super) fn redial(&mut self, now: Instant) {
        let busy = match &self.activity {
            Activity::Placing(_) => true,
            Activity::Dialing(_) | Activity::Over { .. } => false,
            Activity::Idle => self.focus_call().is_some() || self.calls.waiting().is_some(),
        };
        match self.last_number.clone() {
            _ if busy => {}
            Some(number) => {
                let key = match &self.activity {
                    Activity::Dialing(entry) => entry.key,
                    _ => None,
                };
                self.dial_number(now, number, key);
            }
            None => self.tell(now, self.words.nothing_to_redial),
        }
    }

    pub(super) fn dial_number(&mut self, now: Instant, number: Private, key: Option<u8>) {
        let shown = readable(number.expose());
        let params = self.config.plan.call(number.expose());
        self.last_number = Some(number);
        self.start_call(now, params, shown, key);
    }

    /// Opens a path if there is none, and calls.
    pub(super) fn start_call(
        &mut self,
        now: Instant,
        params: StartSoftphoneSessionParams,
        shown: String,
        key: Option<u8>,
    ) {
        self.ensure_path();
        let command = self.command(Asked::Start, Command::Start(Box::new(params)));
        self.placing(now, command, shown, key);
    }

    /// `POST /calls`: as if the user had dialed, hands-free if the handset rests.
    pub(super) fn dial_for_panel(
        &mut self,
        now: Instant,
        id: CommandId,
        params: StartSoftphoneSessionParams,
    ) {
        let shown = params
            .phone_number
            .as_ref()
            .map(|number| readable(number.expose()));
        if let Some(number) = &params.phone_number {
            self.last_number = Some(number.clone());
        }
        self.ensure_path();
        self.expect(id, Asked::Start);
        let command = Command::Start(Box::new(params));
        self.outputs
            .push_back(super::Output::Softphone { id, command });
        self.placing(now, id, shown.unwrap_or_default(), None);
    }

    fn placing(&mut self, now: Instant, command: CommandId, number: String, key: Option<u8>) {
        if self.starts.len() == MAX_STARTS {
            self.starts.remove(0);
        }
        self.starts.push(Start {
            command,
            number,
            key,
            conversation: None,
            replied: false,
            seen: false,
            cancelled: false,
        });
        self.missed = None;
        self.set_activity(now, Activity::Placing(command));
    }

    /// The user does not want the call any more that is being set up. It ends as soon as the cloud knows it.
    pub(super) fn cancel_placing(&mut self) {
        let Activity::Placing(command) = self.activity else {
            return;
        };
        let start = self
            .starts
            .iter_mut()
            .find(|start| start.command == command);
        if let Some(start) = start {
            start.cancelled = true;
            if let Some(id) = start.conversation.clone() {
                self.end(&id);
            }
        }
    }

    pub(super) fn placing_timed_out(&mut self, now: Instant) {
        self.cancel_placing();
        let words = self.words;
        self.over(
            now,
            words.call_failed,
            words.no_answer_from_cloud,
            Some(Tone::Reorder),
        );
    }

    /// The outcome of a start, whose call may have shown up long before.
    pub(super) fn start_done(
        &mut self,
        now: Instant,
        command: CommandId,
        result: Result<CommandReply, SdkError>,
    ) {
        let Some(start) = self
            .starts
            .iter_mut()
            .find(|start| start.command == command)
        else {
            return;
        };
        match result {
            Ok(CommandReply::Started { id, .. }) => {
                start.replied = true;
                if start.conversation.as_ref() != Some(&id) {
                    start.conversation = Some(id.clone());
                    start.seen = false;
                }
                if self.calls.find(&id).is_some() {
                    self.bind(now, &id);
                    self.call_placed(now, &id);
                }
                self.forget_starts();
            }
            Ok(CommandReply::Done | CommandReply::WrapUpCodes(_)) => start.replied = true,
            Err(error) => {
                self.starts.retain(|start| start.command != command);
                if matches!(self.activity, Activity::Placing(current) if current == command) {
                    let words = self.words;
                    let hint = match error.kind {
                        SdkErrorType::Session => words.no_connection,
                        _ => words.failure(&error, words.lay_down),
                    };
                    self.over(now, words.call_failed, hint, Some(Tone::Reorder));
                }
            }
        }
        self.decide_unknown(now);
    }

    /// The call of a start may be there without being known as such.
    pub(super) fn is_reply_open(&self) -> bool {
        let is_open = |start: &Start| !start.replied && start.conversation.is_none();
        self.starts.iter().any(is_open)
    }

    /// With no reply open, calls of which nothing is known are somebody else's after all.
    fn decide_unknown(&mut self, now: Instant) {
        if self.is_reply_open() {
            return;
        }
        let undecided: Vec<ConversationId> = self
            .calls
            .iter_mut()
            .filter_map(|call| std::mem::take(&mut call.undecided).then(|| call.id().clone()))
            .collect();
        for id in undecided {
            self.call_placed(now, &id);
        }
    }

    /// One of our own calls has shown up: if it was asked for here, the user is with it now, or does not want it.
    /// While a reply is open, the first own call is taken for it.
    pub(super) fn bind(&mut self, now: Instant, id: &ConversationId) {
        let known = self
            .starts
            .iter()
            .position(|start| start.conversation.as_ref() == Some(id));
        let index = known.or_else(|| {
            self.starts
                .iter()
                .position(|start| !start.replied && start.conversation.is_none())
        });
        let Some(start) = index.and_then(|index| self.starts.get_mut(index)) else {
            return;
        };
        if start.seen {
            return;
        }
        start.conversation = Some(id.clone());
        start.seen = true;
        let (command, number, key) = (start.command, start.number.clone(), start.key);
        let cancelled = start.cancelled;
        let free = self.calls.free_key(key).filter(|free| key == Some(*free));
        if let Some(call) = self.calls.find_mut(id) {
            call.dialed = (!number.is_empty()).then_some(number);
            call.ours = true;
            call.undecided = false;
            call.key = if cancelled { None } else { free.or(call.key) };
        }
        if cancelled {
            self.end(id);
        } else if matches!(self.activity, Activity::Placing(current) if current == command) {
            self.focus = Some(id.clone());
            self.set_activity(now, Activity::Idle);
        }
        self.forget_starts();
    }

    fn forget_starts(&mut self) {
        self.starts.retain(|start| !(start.replied && start.seen));
    }

    /// The number of the call being set up.
    pub(super) fn placing_number(&self) -> &str {
        let Activity::Placing(command) = self.activity else {
            return "";
        };
        let start = self.starts.iter().find(|start| start.command == command);
        start.map_or("", |start| start.number.as_str())
    }

    /// A dial key: to the far end of the call, or into a number.
    pub(super) fn dial_key(&mut self, now: Instant, key: char, action: KeyAction) {
        match action {
            KeyAction::Pressed => self.dial_key_pressed(now, key),
            KeyAction::LongPressed if key == '0' => self.entry_plus(now),
            KeyAction::LongPressed => self.long_digit(now, key),
            KeyAction::Released => {
                if self.key_tone == Some(key) {
                    self.key_tone = None;
                }
            }
        }
    }

    fn dial_key_pressed(&mut self, now: Instant, key: char) {
        if self.shown_list().is_some_and(List::takes_digits) {
            self.list_digit(now, key);
            return;
        }
        let open = self.path().is_some();
        match &self.activity {
            Activity::Placing(_) => return,
            Activity::Dialing(_) => {}
            Activity::Idle | Activity::Over { .. } if !open => {
                if self.calls.is_audible() {
                    return;
                }
                self.start_dialing(now, None);
            }
            Activity::Over { .. } => self.start_dialing(now, None),
            Activity::Idle => match self.focus_call() {
                Some(call) if call.can_hear_us() => {
                    let conversation = call.id().clone();
                    let digits = Private::from(key.to_string());
                    self.command(
                        Asked::Dtmf,
                        Command::Dtmf {
                            conversation,
                            digits,
                        },
                    );
                    self.key_tone = Some(key);
                    return;
                }
                Some(call) if !Call::is_hold_wanted(call) || call.is_leaving() => return,
                _ => self.start_dialing(now, None),
            },
        }
        if open {
            self.key_tone = Some(key);
        }
        self.entry_key(now, key);
    }
}
