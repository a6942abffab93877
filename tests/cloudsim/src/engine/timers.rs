//! What the engine waits for. Timers are never taken back: whoever is woken looks whether it
//! still matters.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::spec::OutboundStep;

/// Why the engine wants to be woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// The next of the three first steps of a call (inbound calls have no reply).
    Announce {
        conversation: String,
        participant: String,
        step: OutboundStep,
        token: Option<u64>,
    },
    /// An inbound call that begins with its offer.
    OfferAtOnce {
        conversation: String,
        participant: String,
    },
    /// A propose for a call that rang on a shared session before.
    LatePropose {
        conversation: String,
        participant: String,
    },
    /// A call on a shared session was answered over REST.
    AnswerOnShared {
        conversation: String,
        participant: String,
    },
    /// A persistent session has no call any more.
    Persisted { session: String },
    /// Nobody proceeded: propose again.
    Propose { session: String },
    /// It rang long enough.
    StopAlerting {
        conversation: String,
        participant: String,
    },
    /// The offer may go out.
    SendOffer { session: String },
    /// The re-invite was not answered: send it again.
    RepeatReinvite { session: String },
    /// Media is up: tell so.
    Established { session: String },
    /// The far end answers by itself.
    FarEndAnswers { conversation: String },
    /// A party without a phone answers by itself.
    PartyAnswers {
        conversation: String,
        participant: String,
    },
    /// Tell a mute or hold.
    Notify { conversation: String },
    /// Second step of an ending: terminate the session.
    EndSession {
        session: String,
        reason: &'static str,
    },
    /// Third step of an ending: event `terminated`.
    Terminated { conversation: String },
    /// The phone must have answered by now.
    AnswerDue { session: String, offer: u32 },
    /// The phone must have said end-of-candidates by now.
    EndOfCandidatesDue { session: String },
    /// The phone must have said `info active` by now.
    ActiveDue { session: String },
    /// The phone must have posted metadata by now.
    MetadataDue {
        conversation: String,
        participant: String,
    },
}

/// Timers by due time; those of the same time in the order they were set.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<(Duration, u64), Timer>,
    count: u64,
}

impl Timers {
    /// Wakes at this time.
    pub fn set(&mut self, at: Duration, timer: Timer) {
        self.count += 1;
        self.due.insert((at, self.count), timer);
    }

    /// When the next is due.
    pub fn next(&self) -> Option<Duration> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next that is due by now.
    pub fn pop(&mut self, now: Duration) -> Option<Timer> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_of_time_then_of_setting() {
        let timer = |name: &str| Timer::Notify {
            conversation: name.into(),
        };
        let mut timers = Timers::default();
        timers.set(Duration::from_secs(2), timer("late"));
        timers.set(Duration::from_secs(1), timer("first"));
        timers.set(Duration::from_secs(1), timer("second"));
        assert_eq!(timers.next(), Some(Duration::from_secs(1)));
        assert_eq!(timers.pop(Duration::ZERO), None);
        assert_eq!(timers.pop(Duration::from_secs(1)), Some(timer("first")));
        assert_eq!(timers.pop(Duration::from_secs(1)), Some(timer("second")));
        assert_eq!(timers.pop(Duration::from_secs(1)), None);
        assert_eq!(timers.pop(Duration::from_secs(3)), Some(timer("late")));
    }
}
