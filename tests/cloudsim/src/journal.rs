//! Everything that was seen: the log, and the list of what a phone did wrong.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Entries kept; older ones are dropped and counted in [`Journal::dropped`].
const CAPACITY: usize = 20_000;

/// What kind of thing an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKind {
    /// A REST request and its reply.
    Http,
    /// A frame from a phone.
    FrameIn,
    /// A frame to a phone.
    FrameOut,
    /// A socket came or went.
    Socket,
    /// A change of a conversation.
    Call,
    /// Something on the media gateway's peer.
    Leg,
    /// A command to the simulator.
    Control,
    /// A phone broke a rule.
    Violation,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Counts from 1, without holes.
    pub sequence: u64,
    /// Milliseconds since the Unix epoch.
    pub at: f64,
    /// What it is.
    pub kind: LogKind,
    /// The user concerned, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What was seen, in full.
    pub text: String,
}

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationKind {
    /// A frame that is not one XML element, or not text.
    MalformedFrame,
    /// An element that has no place there.
    UnexpectedStanza,
    /// The right element in the wrong namespace.
    WrongNamespace,
    /// An attribute or field is missing.
    MissingField,
    /// `to`, `from`, `jid` or `initiator` names somebody else.
    WrongAddress,
    /// A legal message at the wrong moment.
    OutOfOrder,
    /// A JSON-RPC method the gateway does not have.
    UnknownMethod,
    /// A session id nobody proposed.
    UnknownSession,
    /// SDP over XMPP on a Jingle session, or the other way round.
    WrongForm,
    /// An answer that does not fit its offer.
    BadAnswer,
    /// No answer in time.
    MissingAnswer,
    /// A candidate in the wrong form.
    BadCandidate,
    /// No end-of-candidates in time.
    MissingEndOfCandidates,
    /// No `info active` in time.
    MissingActive,
    /// No metadata request after event `connected`.
    MissingMetadata,
    /// More than one metadata request for a call.
    RepeatedMetadata,
    /// A request of ours was never answered.
    UnansweredIq,
    /// A request of ours was answered with an error.
    RefusedIq,
    /// A REST path or method that does not exist.
    UnknownRequest,
    /// A REST body or query that does not fit.
    BadBody,
}

/// A rule a phone broke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Milliseconds since the Unix epoch.
    pub at: f64,
    /// The user whose phone it was, by id, if known.
    pub user: Option<String>,
    /// The rule.
    pub what: ViolationKind,
    /// What was seen and what should have been.
    pub detail: String,
}

/// The log and the violations of one simulator.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<LogEntry>,
    violations: Vec<Violation>,
    sequence: u64,
    dropped: u64,
}

impl Journal {
    /// Adds a line and gives it back for whoever listens.
    pub fn log(
        &mut self,
        at: f64,
        kind: LogKind,
        user: Option<&str>,
        text: impl Into<String>,
    ) -> LogEntry {
        self.sequence += 1;
        let entry = LogEntry {
            sequence: self.sequence,
            at,
            kind,
            user: user.map(str::to_owned),
            text: text.into(),
        };
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(entry.clone());
        entry
    }

    /// Records a broken rule, in the log too.
    pub fn violation(
        &mut self,
        at: f64,
        user: Option<&str>,
        what: ViolationKind,
        detail: impl Into<String>,
    ) -> LogEntry {
        let violation = Violation {
            at,
            user: user.map(str::to_owned),
            what,
            detail: detail.into(),
        };
        let text = format!("{what:?}: {}", violation.detail);
        self.violations.push(violation);
        self.log(at, LogKind::Violation, user, text)
    }

    /// The lines after this sequence number.
    pub fn since(&self, sequence: u64) -> impl Iterator<Item = &LogEntry> {
        self.entries
            .iter()
            .filter(move |entry| entry.sequence > sequence)
    }

    /// What was done wrong so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Forgets the violations, after a test that provoked them.
    pub fn clear_violations(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_go_and_are_counted() {
        let mut journal = Journal::default();
        for _ in 0..CAPACITY + 3 {
            journal.log(0.0, LogKind::Http, None, "x");
        }
        assert_eq!(journal.since(0).count(), CAPACITY);
        assert_eq!(journal.dropped(), 3);
        assert_eq!(journal.since(CAPACITY as u64 + 1).count(), 2);
    }

    #[test]
    fn a_violation_is_a_line_too() {
        let mut journal = Journal::default();
        journal.violation(5.0, Some("u"), ViolationKind::BadBody, "no");
        assert_eq!(journal.violations()[0].what, ViolationKind::BadBody);
        assert_eq!(journal.since(0).next().unwrap().kind, LogKind::Violation);
        assert_eq!(journal.clear_violations().len(), 1);
        assert!(journal.violations().is_empty());
    }
}
