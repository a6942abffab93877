//! Every wait of the session engine: what is waited for, how long, and why that long.

use super::RequestId;
use crate::genesys::id::{ConversationId, SessionId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// `proceed` went out: the offer.
    Offer(ConversationId),
    /// The user answered by the event alone: the propose.
    Propose(ConversationId),
    /// An event says that a call rings here: its propose, which may say that it is answered by itself.
    Ring(ConversationId),
    /// The cloud took our call: the propose, or its dialing on the shared session.
    Placed(ConversationId),
    /// A propose asks to be answered by itself: the event that says in which direction the call goes.
    Direction(ConversationId),
    /// An offer nobody asked for rings: somebody to answer.
    HeldOffer(ConversationId),
    /// A call without a connection of ours: time to ask the cloud whether it still exists.
    Stale(ConversationId),
    /// The cloud took our reject: the retraction or the event.
    Rejected(ConversationId),
    /// The cloud took our hang-up: the event or the end of the session.
    Ended(ConversationId),
    /// A session ended under a call: the event that ends the call too.
    Orphaned(ConversationId),
    /// Call errors of one conversation are debounced.
    CallError(ConversationId),
    /// The peer connection was given an offer: its answer.
    Answer(SessionId),
    /// The answer went out: the peer connection to connect.
    Connect(SessionId),
    /// The peer connection was interrupted: it to come back.
    Interrupted(SessionId),
    /// The last call of a session ended: the gateway to end the session.
    Leftover(SessionId),
    /// Digits are being sent in the audio.
    Dtmf(SessionId),
    /// A REST request: its outcome.
    Request(RequestId),
}

impl Timer {
    /// The one table of durations. Each has its own reason, so equal ones are not merged.
    #[allow(clippy::match_same_arms, reason = "one line and one reason per wait")]
    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis(match self {
            // The gateway answers a proceed within a second; ten tell a lost race or a lost stanza from a slow network
            // before the caller gives up.
            Self::Offer(_) => 10_000,
            // Propose and event leave the cloud together; a user who lifted the handset waits no longer than this.
            Self::Propose(_) => 5_000,
            // Propose and event come within 100 ms of each other; a third of a second more of silence is not missed.
            Self::Ring(_) => 300,
            // Ten seconds after the reply, a call without a propose never gets one.
            Self::Placed(_) => 10_000,
            // The event normally comes within 100 ms of the propose. Half a second is not yet heard as a delay.
            Self::Direction(_) => 500,
            // As long as the streaming client keeps candidates that wait for an offer (6.13.6).
            Self::HeldOffer(_) => 60_000,
            // Longer than any burst of events, shorter than a user's patience with a dead line on the display.
            Self::Stale(_) => 60_000,
            // Events follow a REST reply within a second; then the phone acts by itself.
            Self::Rejected(_) | Self::Ended(_) | Self::Orphaned(_) | Self::Leftover(_) => 5_000,
            // As in the SDK (6.8.3).
            Self::CallError(_) => 500,
            // Parsing an offer and making keys takes well under a second, even on the smallest board.
            Self::Answer(_) => 10_000,
            // ICE gives up on its pairs after about 15 s, and DTLS gets 5 s more.
            Self::Connect(_) => 20_000,
            // The stack turns disconnected into failed after 25 s; this is the net under it.
            Self::Interrupted(_) => 30_000,
            // The longest string of digits at 100 ms tone and 100 ms pause takes 13 s.
            Self::Dtmf(_) => 20_000,
            // The wire's own limit is 30 s (2.1); this is the net under it.
            Self::Request(_) => 35_000,
        })
    }
}

/// The timers that run.
#[derive(Debug, Default)]
pub(super) struct Timers {
    now: Option<Instant>,
    due: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Takes the time of the input at hand; it never goes back.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = Some(self.now.map_or(now, |before| before.max(now)));
    }

    /// The time of the input at hand; `None` before the first.
    pub(super) fn now(&self) -> Option<Instant> {
        self.now
    }

    /// Starts `timer`, anew if it runs.
    pub(super) fn start(&mut self, timer: Timer) {
        if let Some(now) = self.now {
            let at = now + timer.duration();
            self.due.insert(timer, at);
        }
    }

    /// Starts `timer` unless it runs.
    pub(super) fn start_once(&mut self, timer: Timer) {
        if !self.runs(&timer) {
            self.start(timer);
        }
    }

    /// Stops `timer`.
    pub(super) fn stop(&mut self, timer: &Timer) {
        self.due.remove(timer);
    }

    /// Whether `timer` runs.
    pub(super) fn runs(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    /// Stops all that belong to a conversation, except the debouncing of its errors, which outlives it.
    pub(super) fn stop_conversation(&mut self, id: &ConversationId) {
        self.due.retain(|timer, _| match timer {
            Timer::Offer(c)
            | Timer::Propose(c)
            | Timer::Ring(c)
            | Timer::Placed(c)
            | Timer::Direction(c)
            | Timer::HeldOffer(c)
            | Timer::Stale(c)
            | Timer::Rejected(c)
            | Timer::Ended(c)
            | Timer::Orphaned(c) => c != id,
            _ => true,
        });
    }

    /// Stops all that belong to a session.
    pub(super) fn stop_session(&mut self, id: &SessionId) {
        self.due.retain(|timer, _| match timer {
            Timer::Answer(s)
            | Timer::Connect(s)
            | Timer::Interrupted(s)
            | Timer::Leftover(s)
            | Timer::Dtmf(s) => s != id,
            _ => true,
        });
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Takes the earliest that is due.
    pub(super) fn take_due(&mut self) -> Option<Timer> {
        let now = self.now?;
        let (timer, _) = self
            .due
            .iter()
            .filter(|(_, at)| **at <= now)
            .min_by_key(|(_, at)| **at)?;
        let timer = timer.clone();
        self.due.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_due_timer_fires_once_and_restarting_moves_it() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.start(Timer::Offer("C".into()));
        assert_eq!(timers.next(), None, "no time is known yet");

        timers.advance(start);
        timers.start(Timer::Offer("C".into()));
        timers.start(Timer::Direction("C".into()));
        assert_eq!(timers.next(), Some(start + Duration::from_millis(500)));
        timers.advance(start + Duration::from_secs(9));
        assert_eq!(timers.take_due(), Some(Timer::Direction("C".into())));
        assert_eq!(timers.take_due(), None);

        timers.start(Timer::Offer("C".into()));
        timers.start_once(Timer::Offer("C".into()));
        timers.advance(start + Duration::from_secs(11));
        assert_eq!(timers.take_due(), None, "it was started anew at 9 s");
        timers.advance(start);
        assert_eq!(timers.now(), Some(start + Duration::from_secs(11)));
        timers.stop_conversation(&"C".into());
        assert_eq!(timers.next(), None);
    }
}
