//! Replies on their way to the stream. They outlive a drop of the connection, as the call they belong to does.

use crate::genesys::signal::Reply;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Replies held at most. One call makes about twenty.
const CAPACITY: usize = 128;
/// A reply this old is not sent any more: the gateway has given up the step it belongs to (it keeps early candidates
/// for a minute too). The end of a session stays true however old it is.
const MAX_AGE: Duration = Duration::from_mins(1);

/// A bounded queue in order. When it is full the reply that matters least gives way: the oldest candidate, else the
/// oldest that ends no session, else the oldest.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    replies: VecDeque<(Instant, Reply)>,
}

impl Outbox {
    pub(super) fn push(&mut self, now: Instant, reply: Reply) {
        if self.replies.len() >= CAPACITY {
            self.make_room();
        }
        self.replies.push_back((now, reply));
    }

    /// Puts back replies that were sent and may be lost, before all others.
    pub(super) fn put_back(&mut self, now: Instant, replies: Vec<Reply>) {
        for reply in replies.into_iter().rev() {
            if self.replies.len() >= CAPACITY {
                self.make_room();
            }
            self.replies.push_front((now, reply));
        }
    }

    /// Everything that is still worth sending.
    pub(super) fn drain(&mut self, now: Instant) -> Vec<Reply> {
        let fresh = |(at, reply): &(Instant, Reply)| {
            let is_fresh = now.saturating_duration_since(*at) <= MAX_AGE || ends(reply);
            if !is_fresh {
                tracing::warn!(
                    "a call message waited more than 60 s for the connection and is not sent"
                );
            }
            is_fresh
        };
        let all = std::mem::take(&mut self.replies);
        all.into_iter()
            .filter(fresh)
            .map(|(_, reply)| reply)
            .collect()
    }

    fn make_room(&mut self) {
        let is_candidate = |(_, reply): &(Instant, Reply)| matches!(reply, Reply::Candidate { .. });
        let at = self
            .replies
            .iter()
            .position(is_candidate)
            .or_else(|| self.replies.iter().position(|(_, reply)| !ends(reply)))
            .unwrap_or(0);
        self.replies.remove(at);
        tracing::warn!(
            "more than {CAPACITY} call messages wait for the connection; one is given up"
        );
    }
}

fn ends(reply: &Reply) -> bool {
    matches!(reply, Reply::Terminate { .. })
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, MAX_AGE, Outbox};
    use crate::genesys::id::{Jid, SessionId};
    use crate::genesys::signal::{Candidate, Form, Reason, Reply};
    use std::time::{Duration, Instant};

    fn accept(session: &str) -> Reply {
        Reply::Accept {
            session: SessionId::from(session),
        }
    }

    fn terminate(session: &str) -> Reply {
        Reply::Terminate {
            session: SessionId::from(session),
            to: Jid::default(),
            form: Form::SdpOverXmpp,
            reason: Reason::Success,
        }
    }

    fn candidate(session: &str) -> Reply {
        Reply::Candidate {
            session: SessionId::from(session),
            to: Jid::default(),
            form: Form::SdpOverXmpp,
            candidate: Candidate {
                mid: "0".to_owned(),
                candidate: String::new(),
            },
        }
    }

    #[test]
    fn the_order_is_kept_and_what_may_be_lost_comes_first() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(now, accept("1"));
        outbox.push(now, terminate("1"));
        outbox.put_back(now, vec![terminate("a"), terminate("b")]);
        assert_eq!(
            outbox.drain(now),
            [terminate("a"), terminate("b"), accept("1"), terminate("1")]
        );
        assert!(outbox.drain(now).is_empty());
    }

    #[test]
    fn old_replies_are_not_sent_but_ends_are() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(now, accept("old"));
        outbox.push(now, terminate("old"));
        outbox.push(now + Duration::from_secs(1), accept("new"));
        let later = now + Duration::from_secs(1) + MAX_AGE;
        assert_eq!(outbox.drain(later), [terminate("old"), accept("new")]);
    }

    #[test]
    fn a_full_box_gives_up_candidates_first_and_ends_last() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.push(now, accept("first"));
        outbox.push(now, candidate("c"));
        for n in 2..CAPACITY {
            outbox.push(now, terminate(&n.to_string()));
        }
        outbox.push(now, terminate("more"));
        outbox.push(now, terminate("most"));
        let kept = outbox.drain(now);
        assert_eq!(kept.len(), CAPACITY);
        assert_eq!(
            kept[0],
            terminate("2"),
            "the candidate and the accept gave way"
        );
        assert_eq!(kept[CAPACITY - 1], terminate("most"));
    }
}
