//! What comes before its offer, and offers that come again (genesys-protocol 5.3.1, 6.13.6, 6.13.8).

use crate::genesys::id::SessionId;
use crate::genesys::signal::Candidate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sessions whose candidates may wait for their offer (6.13.6).
const EARLY_SESSIONS: usize = 10;
/// How long they wait (6.13.6).
const EARLY_LIFE: Duration = Duration::from_mins(1);
/// Candidates kept of one session; a gateway has a handful.
const EARLY_CANDIDATES: usize = 64;
/// Re-invites remembered, and how long (5.3.1).
const REINVITES: usize = 5;
const REINVITE_LIFE: Duration = Duration::from_mins(3);

/// Candidates that came before their offer.
#[derive(Debug, Default)]
pub(super) struct EarlyCandidates(VecDeque<Early>);

/// Of one session.
#[derive(Debug)]
pub(super) struct Early {
    session: SessionId,
    since: Instant,
    /// In the order they came.
    pub candidates: Vec<Candidate>,
    /// No more will come.
    pub end: bool,
}

impl EarlyCandidates {
    /// Keeps one, or that there will be no more (`None`).
    pub(super) fn keep(&mut self, session: &SessionId, candidate: Option<Candidate>, now: Instant) {
        let early = self.entry(session, now);
        match candidate {
            None => early.end = true,
            Some(candidate) if early.candidates.len() < EARLY_CANDIDATES => {
                early.candidates.push(candidate);
            }
            Some(_) => {}
        }
    }

    fn entry(&mut self, session: &SessionId, now: Instant) -> &mut Early {
        self.0.retain(|early| now < early.since + EARLY_LIFE);
        let at = self.0.iter().position(|early| &early.session == session);
        let at = at.unwrap_or_else(|| {
            if self.0.len() == EARLY_SESSIONS {
                self.0.pop_front();
            }
            self.0.push_back(Early {
                session: session.clone(),
                since: now,
                candidates: Vec::new(),
                end: false,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Those of a session, once.
    pub(super) fn take(&mut self, session: &SessionId, now: Instant) -> Option<Early> {
        self.0.retain(|early| now < early.since + EARLY_LIFE);
        let at = self.0.iter().position(|early| &early.session == session)?;
        self.0.remove(at)
    }
}

/// Re-invites seen, to ignore the gateway's repetitions (5.3.1, 6.13.8).
#[derive(Debug, Default)]
pub(super) struct Reinvites(VecDeque<(String, Instant)>);

impl Reinvites {
    /// Whether this one is new; it is remembered.
    pub(super) fn is_new(&mut self, request: &str, now: Instant) -> bool {
        self.0.retain(|(_, since)| now < *since + REINVITE_LIFE);
        if self.0.iter().any(|(seen, _)| seen == request) {
            return false;
        }
        if self.0.len() == REINVITES {
            self.0.pop_front();
        }
        self.0.push_back((request.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_candidates_are_kept_for_ten_sessions_and_a_minute() {
        let start = Instant::now();
        let mut early = EarlyCandidates::default();
        for n in 0..11 {
            early.entry(&SessionId(n.to_string()), start).end = true;
        }
        assert!(early.take(&"0".into(), start).is_none(), "pushed out");
        assert!(early.take(&"1".into(), start).is_some_and(|e| e.end));
        assert!(early.take(&"1".into(), start).is_none(), "taken once");
        assert!(
            early.take(&"2".into(), start + EARLY_LIFE).is_none(),
            "too old"
        );
    }

    #[test]
    fn a_repeated_reinvite_is_known_for_three_minutes_among_five() {
        let start = Instant::now();
        let mut seen = Reinvites::default();
        assert!(seen.is_new("a", start));
        assert!(!seen.is_new("a", start));
        for other in ["b", "c", "d", "e", "f"] {
            assert!(seen.is_new(other, start));
        }
        assert!(seen.is_new("a", start), "five others came since");
        assert!(!seen.is_new("f", start + Duration::from_secs(179)));
        assert!(seen.is_new("f", start + REINVITE_LIFE));
    }
}
