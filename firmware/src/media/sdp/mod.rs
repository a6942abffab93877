//! Session descriptions: the offer is read into an [`Offer`], the stack is given a plain one made from it, and
//! the answer is written from what the stack decided.
//!
//! No text of the far end reaches the stack unread, and none of the stack's reaches the wire, because the stack's
//! own handling of descriptions is wrong in ways that break calls (each is named where it is avoided).

mod answer;
mod candidate;
mod offer;

pub use answer::{LocalSide, Origin, answer};
pub use candidate::{Candidate, CandidateKind};
pub use offer::{COMFORT_NOISE, Direction, Offer, STACK_AUDIO, STACK_KEYS, Setup};

/// The value of the first `a=name:value` in `lines`; an empty text for a plain `a=name`.
fn attribute<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| value_of(line, name))
}

/// The value of `line` if it is `a=name` or `a=name:value`.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix("a=")?.strip_prefix(name)?;
    if rest.is_empty() {
        Some("")
    } else {
        rest.strip_prefix(':').map(str::trim)
    }
}
