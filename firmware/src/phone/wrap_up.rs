//! The code a call wants when it is over: a list that waits until nothing else wants the display.

use super::list::Choice;
use super::list::{List, ListKind, Row};
use super::machine::{Activity, Phone};
use super::outcomes::Asked;
use crate::genesys::id::ConversationId;
use crate::softphone::{Command, WrapUpCode};
use std::time::Instant;

/// Calls that wait for their code at most; the oldest gives way, and can be wrapped up at the agent's desktop.
const MAX_WAITING: usize = 8;

/// A call that wants a code.
pub(super) struct WrapUp {
    conversation: ConversationId,
    /// It may be skipped.
    is_optional: bool,
    /// Empty until the cloud has told them.
    codes: Vec<WrapUpCode>,
    /// The chosen row.
    at: usize,
    /// A code is with the cloud.
    is_sent: bool,
}

impl Phone {
    /// A call is over and wants a code.
    pub(super) fn wrap_up_wanted(&mut self, conversation: ConversationId, is_optional: bool) {
        self.wrap_up_over(&conversation);
        if self.wrap_ups.len() == MAX_WAITING {
            self.wrap_ups.remove(0);
        }
        self.wrap_ups.push(WrapUp {
            conversation: conversation.clone(),
            is_optional,
            codes: Vec::new(),
            at: 0,
            is_sent: false,
        });
        self.command(
            Asked::WrapUpCodes(conversation.clone()),
            Command::WrapUpCodes(conversation),
        );
    }

    /// Somebody has wrapped it up, or nobody wants it any more.
    pub(super) fn wrap_up_over(&mut self, conversation: &ConversationId) {
        self.wrap_ups
            .retain(|wrap_up| &wrap_up.conversation != conversation);
    }

    pub(super) fn wrap_up_codes(&mut self, conversation: &ConversationId, codes: Vec<WrapUpCode>) {
        if codes.is_empty() {
            self.wrap_up_over(conversation);
        } else if let Some(wrap_up) = self.wrap_up_of(conversation) {
            wrap_up.codes = codes;
        }
    }

    /// The cloud did not take the code: another try.
    pub(super) fn wrap_up_refused(&mut self, conversation: &ConversationId) {
        if let Some(wrap_up) = self.wrap_up_of(conversation) {
            wrap_up.is_sent = false;
        }
    }

    /// The list of codes, if a call wants one and nothing else is going on.
    pub(super) fn wrap_up_list(&self) -> Option<List> {
        let is_free = matches!(self.activity, Activity::Idle | Activity::Over { .. })
            && self.calls.waiting().is_none()
            && self.focus_call().is_none();
        let wrap_up = self.wrap_up_in_front().filter(|_| is_free)?;
        Some(List {
            kind: ListKind::WrapUp,
            at: wrap_up.at,
        })
    }

    pub(super) fn wrap_up_rows(&self) -> Vec<Row> {
        let Some(wrap_up) = self.wrap_up_in_front() else {
            return Vec::new();
        };
        let mut rows: Vec<Row> = wrap_up
            .codes
            .iter()
            .map(|code| Row {
                text: code.name.clone(),
                detail: "",
                choice: Choice::WrapUp(code.id.clone()),
            })
            .collect();
        if wrap_up.is_optional {
            rows.push(Row {
                text: self.words.skip.to_owned(),
                detail: "",
                choice: Choice::SkipWrapUp,
            });
        }
        rows
    }

    pub(super) fn may_skip_wrap_up(&self) -> bool {
        self.wrap_up_in_front()
            .is_some_and(|wrap_up| wrap_up.is_optional)
    }

    pub(super) fn wrap_up_move(&mut self, at: usize) {
        if let Some(index) = self.wrap_up_index() {
            self.wrap_ups[index].at = at;
        }
    }

    /// Not here, not now: it can still be wrapped up at the agent's desktop.
    pub(super) fn put_wrap_up_away(&mut self, now: Instant) {
        if self.may_skip_wrap_up()
            && let Some(index) = self.wrap_up_index()
        {
            self.wrap_ups.remove(index);
            self.tell(now, self.words.no_wrap_up_codes);
        }
    }

    /// No code is wanted, and the cloud is told so.
    pub(super) fn skip_wrap_up(&mut self) {
        if self.may_skip_wrap_up()
            && let Some(index) = self.wrap_up_index()
        {
            let conversation = self.wrap_ups.remove(index).conversation;
            self.command(Asked::SkipWrapUp, Command::SkipWrapUp(conversation));
        }
    }

    pub(super) fn wrap_up_with(&mut self, now: Instant, code: String) {
        let Some(index) = self.wrap_up_index() else {
            return;
        };
        self.wrap_ups[index].is_sent = true;
        let conversation = self.wrap_ups[index].conversation.clone();
        self.tell(now, self.words.wrapping_up);
        self.command(
            Asked::WrapUp(conversation.clone()),
            Command::WrapUp {
                conversation,
                code,
                notes: None,
            },
        );
    }

    fn wrap_up_in_front(&self) -> Option<&WrapUp> {
        self.wrap_up_index().map(|index| &self.wrap_ups[index])
    }

    fn wrap_up_index(&self) -> Option<usize> {
        self.wrap_ups
            .iter()
            .position(|wrap_up| !wrap_up.codes.is_empty() && !wrap_up.is_sent)
    }

    fn wrap_up_of(&mut self, conversation: &ConversationId) -> Option<&mut WrapUp> {
        self.wrap_ups
            .iter_mut()
            .find(|wrap_up| &wrap_up.conversation == conversation)
    }
}
