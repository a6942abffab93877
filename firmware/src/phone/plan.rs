//! The dial plan beyond plain numbers: prefixes, speed dials, voicemail.

use crate::device::Private;
use crate::device::dialing::{Prefix, SpeedDial};
use crate::genesys::rest::StartSoftphoneSessionParams;

/// What the configuration says about whom keys call.
#[derive(Clone, Debug, Default)]
pub struct DialPlan {
    /// In the order of the list.
    pub speed_dials: Vec<SpeedDial>,
    /// In any order; the longest that fits counts.
    pub prefixes: Vec<Prefix>,
    /// The number that plays voicemail.
    pub voicemail: Option<Private>,
}

impl DialPlan {
    /// The part of `number` behind its prefix: what ends with `#` and what a digit map knows.
    pub(super) fn rest<'a>(&self, number: &'a str) -> &'a str {
        match self.prefix(number) {
            Some(prefix) if !prefix.is_complete() => &number[prefix.digits.len()..],
            _ => number,
        }
    }

    /// Whether `number` is one that only a prefix with a target of its own makes, so that `#` calls it.
    pub(super) fn is_code(&self, number: &str) -> bool {
        self.prefixes
            .iter()
            .any(|prefix| prefix.is_complete() && prefix.digits == number)
    }

    /// The call that `number` means.
    pub(super) fn call(&self, number: &str) -> StartSoftphoneSessionParams {
        match self.prefix(number) {
            Some(prefix) if prefix.is_complete() => prefix.call.clone(),
            Some(prefix) => StartSoftphoneSessionParams {
                phone_number: Some(Private::from(&number[prefix.digits.len()..])),
                ..prefix.call.clone()
            },
            None => StartSoftphoneSessionParams {
                phone_number: Some(Private::from(number)),
                ..StartSoftphoneSessionParams::default()
            },
        }
    }

    /// The speed dial on a digit key, as its place in the list.
    pub(super) fn on_key(&self, key: char) -> Option<usize> {
        let digit = key.to_digit(10)? as u8;
        self.speed_dials
            .iter()
            .position(|dial| dial.key == Some(digit))
    }

    /// The longest prefix of `number`. One with a target takes no more digits, one without wants some.
    fn prefix(&self, number: &str) -> Option<&Prefix> {
        self.prefixes
            .iter()
            .filter(|prefix| {
                let rest = number.strip_prefix(prefix.digits.as_str());
                rest.is_some_and(|rest| rest.is_empty() == prefix.is_complete())
            })
            .max_by_key(|prefix| prefix.digits.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(digits: &str, call: StartSoftphoneSessionParams) -> Prefix {
        Prefix {
            digits: digits.into(),
            call,
        }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let from = |queue: &str| StartSoftphoneSessionParams {
            call_from_queue_id: Some(queue.into()),
            ..StartSoftphoneSessionParams::default()
        };
        let to = |queue: &str| StartSoftphoneSessionParams {
            call_queue_id: Some(queue.into()),
            ..StartSoftphoneSessionParams::default()
        };
        let plan = DialPlan {
            prefixes: vec![
                prefix("*5", from("five")),
                prefix("*55", from("fifty-five")),
                prefix("*8", to("eight")),
            ],
            ..DialPlan::default()
        };
        for (number, dialed, from, to, rest) in [
            ("4711", Some("4711"), None, None, "4711"),
            ("*54711", Some("4711"), Some("five"), None, "4711"),
            ("*554711", Some("4711"), Some("fifty-five"), None, "4711"),
            // The longer one would leave nothing to dial.
            ("*55", Some("5"), Some("five"), None, "5"),
            ("*5", Some("*5"), None, None, "*5"),
            ("*8", None, None, Some("eight"), "*8"),
            ("*81", Some("*81"), None, None, "*81"),
            ("", Some(""), None, None, ""),
        ] {
            let call = plan.call(number);
            assert_eq!(
                (
                    call.phone_number.as_ref().map(Private::expose),
                    call.call_from_queue_id.as_deref(),
                    call.call_queue_id.as_deref(),
                    plan.rest(number),
                ),
                (dialed, from, to, rest),
                "{number}"
            );
            assert_eq!(plan.is_code(number), to.is_some(), "{number}");
        }
    }
}
