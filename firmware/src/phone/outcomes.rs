//! Commands to the engine, and what their outcomes change.

use super::calls::Phase;
use super::io::Output;
use super::machine::{Activity, Phone};
use super::timer::{Timer, after};
use crate::genesys::id::ConversationId;
use crate::softphone::{Command, CommandId, CommandReply, SdkError};
use std::time::Instant;

/// More commands than this without an outcome are forgotten, oldest first: the engine answers each, so none are left.
const MAX_OPEN_COMMANDS: usize = 64;

/// What a command was about.
#[derive(Debug)]
pub(super) enum Asked {
    Start,
    Accept(ConversationId),
    Reject(ConversationId),
    End(ConversationId),
    Mute(ConversationId, bool),
    Hold(ConversationId, bool),
    Dtmf,
    Transfer(ConversationId),
    Consult(ConversationId),
    Complete(ConversationId),
    CancelConsult,
    SpeakTo,
    Merge,
    Add,
    Remove,
    Record { paused: bool },
    WrapUpCodes(ConversationId),
    WrapUp(ConversationId),
    SkipWrapUp,
}

impl Phone {
    /// Sends a command of our own.
    pub(super) fn command(&mut self, asked: Asked, command: Command) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command = self.next_command.wrapping_add(2);
        self.expect(id, asked);
        self.outputs.push_back(Output::Softphone { id, command });
        id
    }

    /// Its outcome will matter to us.
    pub(super) fn expect(&mut self, id: CommandId, asked: Asked) {
        if self.open_commands.len() == MAX_OPEN_COMMANDS {
            self.open_commands.pop_front();
        }
        self.open_commands.push_back((id, asked));
    }

    pub(super) fn command_done(
        &mut self,
        now: Instant,
        id: CommandId,
        result: Result<CommandReply, SdkError>,
    ) {
        let Some(index) = self.open_commands.iter().position(|(open, _)| *open == id) else {
            return;
        };
        let Some((_, asked)) = self.open_commands.remove(index) else {
            return;
        };
        match (asked, result) {
            (Asked::Start, result) => self.start_done(now, id, result),
            (Asked::Hold(..), Ok(_)) => self
                .timers
                .set(Timer::HoldConfirm, now + after::HOLD_CONFIRM),
            (Asked::Transfer(_), Ok(_)) => self.await_transfer(now),
            (Asked::Consult(id), Ok(_)) => self.consult_begun(&id),
            (Asked::WrapUpCodes(id), Ok(CommandReply::WrapUpCodes(codes))) => {
                self.wrap_up_codes(&id, codes);
            }
            (Asked::WrapUp(id), Ok(_)) => self.wrap_up_over(&id),
            (_, Ok(_)) => {}
            (asked, Err(error)) => self.command_failed(now, asked, &error),
        }
    }

    /// Takes back what was shown ahead of the cloud's word, and tells.
    fn command_failed(&mut self, now: Instant, asked: Asked, error: &SdkError) {
        let words = self.words;
        let text = match asked {
            Asked::Start => return,
            Asked::Accept(id) => {
                let Some(call) = self.calls.find_mut(&id) else {
                    return;
                };
                call.answering = false;
                words.not_answered
            }
            Asked::Reject(id) => {
                let Some(call) = self.calls.find_mut(&id) else {
                    return;
                };
                call.rejecting = false;
                // It may be answered or rejected again, but it has been heard enough.
                call.quiet = true;
                words.not_rejected
            }
            Asked::End(ref id) | Asked::Complete(ref id) => {
                let Some(call) = self.calls.find_mut(id) else {
                    return;
                };
                call.end_sent = None;
                call.transferring = false;
                if !call.phase().is_connected() {
                    // Too early: there is no session yet. It ends with its next change.
                    return;
                }
                call.ending = false;
                let key = self.calls.free_key(None);
                if let Some(call) = self.calls.find_mut(id) {
                    call.key = key;
                }
                if matches!(asked, Asked::Complete(_)) {
                    words.not_transferred
                } else {
                    words.not_ended
                }
            }
            Asked::Mute(id, wanted) => {
                let Some(call) = self.calls.find_mut(&id) else {
                    return;
                };
                if call.mute_wanted != Some(wanted) {
                    return;
                }
                call.mute_wanted = None;
                if wanted {
                    words.not_muted
                } else {
                    words.not_unmuted
                }
            }
            Asked::Hold(id, wanted) => {
                let Some(call) = self.calls.find_mut(&id) else {
                    return;
                };
                if call.hold_wanted != Some(wanted) {
                    return;
                }
                call.hold_wanted = None;
                self.hold_failed(now, wanted)
            }
            Asked::Dtmf => words.tones_not_sent,
            Asked::Transfer(id) => {
                self.bring_back(now, &id);
                words.not_transferred
            }
            Asked::Consult(id) => {
                self.bring_back(now, &id);
                words.nobody_asked
            }
            Asked::CancelConsult => words.not_cancelled,
            Asked::SpeakTo => words.not_switched,
            Asked::Merge => {
                for call in self.calls.iter_mut() {
                    call.joining = false;
                }
                words.not_joined
            }
            Asked::Add => words.not_added,
            Asked::Remove => words.not_removed,
            Asked::Record { paused: true } => words.not_paused,
            Asked::Record { paused: false } => words.not_recording,
            Asked::WrapUpCodes(id) => {
                self.wrap_up_over(&id);
                words.no_wrap_up_codes
            }
            Asked::WrapUp(id) => {
                self.wrap_up_refused(&id);
                words.not_wrapped_up
            }
            // The agent is done with it here; what the cloud still wants is told as when it has no codes.
            Asked::SkipWrapUp => words.no_wrap_up_codes,
        };
        self.tell(now, words.failure(error, text));
    }

    /// The cloud took a hold, and then nothing happened.
    pub(super) fn hold_unconfirmed(&mut self, now: Instant) {
        let mut wanted = None;
        for call in self.calls.iter_mut() {
            wanted = call.hold_wanted.take().or(wanted);
        }
        if let Some(wanted) = wanted {
            let text = self.hold_failed(now, wanted);
            self.tell(now, text);
        }
    }

    /// Back to the call that is still talking: a new one cannot be begun beside it.
    fn hold_failed(&mut self, now: Instant, wanted: bool) -> &'static str {
        if matches!(&self.activity, Activity::Dialing(entry) if entry.number.is_empty())
            && self
                .focus_call()
                .is_some_and(|call| call.phase() == Phase::Talking)
        {
            self.set_activity(now, Activity::Idle);
        }
        if wanted {
            self.words.not_held
        } else {
            self.words.not_resumed
        }
    }
}
