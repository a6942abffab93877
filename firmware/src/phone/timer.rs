//! What the phone waits for, and how long: all of it, in one table.

use std::time::{Duration, Instant};

/// A wait. Each runs at most once at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Digits have been entered off-hook and no more come: dial.
    InterDigit,
    /// Off-hook, and nothing is dialed.
    NothingDialed,
    /// Digits entered on-hook are forgotten.
    EntryForgotten,
    /// The busy or reorder tone has told enough.
    ToneStop,
    /// Hands-free with nothing left to hear: hang up.
    HandsFreeOver,
    /// A call was asked for and has not shown up.
    Placing,
    /// A call on hold rings back, or is quiet again.
    Recall,
    /// The beep before a call that answers itself.
    Beep,
    /// The cloud took a hold and has not told that it is done.
    HoldConfirm,
    /// The cloud took a transfer and the call is still here.
    TransferConfirm,
    /// A short message on the display.
    Message,
    /// A list nobody works with.
    List,
    /// The volume bar on the display.
    Level,
    /// The next second of the call's duration.
    Second,
}

impl Timer {
    const ALL: [Self; 14] = [
        Self::InterDigit,
        Self::NothingDialed,
        Self::EntryForgotten,
        Self::ToneStop,
        Self::HandsFreeOver,
        Self::Placing,
        Self::Recall,
        Self::Beep,
        Self::HoldConfirm,
        Self::TransferConfirm,
        Self::Message,
        Self::List,
        Self::Level,
        Self::Second,
    ];
}

/// The usual length of each wait. [`Timer::InterDigit`] is configured; [`Timer::Second`] ends with the call's second.
pub(super) mod after {
    use super::Duration;

    /// Long enough to look a number up, short enough that a handset left beside its cradle is noticed. Switches give
    /// 10 to 20 s (ITU-T Q.118 speaks of 10 to 20 s for the first digit).
    pub const NOTHING_DIALED: Duration = Duration::from_secs(20);
    /// Somebody was called away while typing; the next one should not dial half of that number.
    pub const ENTRY_FORGOTTEN: Duration = Duration::from_mins(1);
    /// Heard by everybody who is still there; after it a handset beside its cradle shall not howl all night.
    pub const TONE_STOP: Duration = Duration::from_secs(30);
    /// Nobody needs to press a key for the speaker to go off after a call: three beats of a busy tone tell enough.
    pub const HANDS_FREE_OVER: Duration = Duration::from_secs(3);
    /// A REST request ends within 30 s; then the cloud has 15 s to ring our own station.
    pub const PLACING: Duration = Duration::from_secs(45);
    /// A held call rings back for as long as a caller is rung before voicemail takes over, about five rings.
    pub const RECALL_RINGING: Duration = Duration::from_secs(20);
    /// Between two reminders. PBXes use 30 to 180 s; the caller who waits is glad of the shorter half.
    pub const RECALL_QUIET: Duration = Duration::from_mins(1);
    /// One beep of every country's call waiting tone (the longest is 300 ms), not two (the shortest pause is 2 s).
    pub const BEEP: Duration = Duration::from_millis(600);
    /// Events follow the reply of a REST request within a second; five are a slow day.
    pub const HOLD_CONFIRM: Duration = Duration::from_secs(5);
    /// Who takes over has to be rung first, but our part ends when the cloud has begun with it.
    pub const TRANSFER_CONFIRM: Duration = Duration::from_secs(15);
    /// Time to look up and read one line.
    pub const MESSAGE: Duration = Duration::from_secs(4);
    /// Somebody was called away while choosing: the display goes back to what it shows at rest.
    pub const LIST: Duration = Duration::from_secs(30);
    /// Longer than between two presses of a volume key.
    pub const LEVEL: Duration = Duration::from_secs(2);
}

/// The waits that are running.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub fn is_running(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Stops and returns the earliest wait that is over, and when that was.
    pub fn take_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let (at, timer) = Timer::ALL
            .into_iter()
            .filter_map(|timer| Some((self.0[timer as usize]?, timer)))
            .filter(|(at, _)| *at <= now)
            .min_by_key(|(at, _)| *at)?;
        self.stop(timer);
        Some((timer, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_come_in_the_order_of_their_time() {
        let start = Instant::now();
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            timers.set(timer, start + Duration::from_secs(20 - index as u64));
        }
        timers.stop(Timer::Second);
        assert!(!timers.is_running(Timer::Second) && timers.is_running(Timer::Level));
        // The last of them, the second, was stopped.
        let soonest = 20 - (Timer::ALL.len() as u64 - 2);
        assert_eq!(timers.next(), Some(start + Duration::from_secs(soonest)));
        assert_eq!(
            timers.take_due(start + Duration::from_secs(soonest - 1)),
            None
        );
        let mut last = start;
        for _ in 0..Timer::ALL.len() - 1 {
            let (_, at) = timers
                .take_due(start + Duration::from_secs(99))
                .expect("all are due");
            assert!(at >= last);
            last = at;
        }
        assert_eq!(timers.next(), None);
    }
}
