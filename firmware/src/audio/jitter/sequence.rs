//! Sequence numbers and timestamps without their ends.

/// A jump forward of more is a restart of the source (RFC 3550, A.1).
const MAX_DROPOUT: i64 = 3000;
/// So is one backward of more.
const MAX_MISORDER: i64 = 100;

/// What a sequence number says about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not seen before; its extended number, and whether a later one was seen already.
    New {
        /// Without wrap.
        sequence: i64,
        /// Overtaken by another packet.
        reordered: bool,
    },
    /// Seen before.
    Duplicate,
    /// Far off, for the first time: to be dropped until the next one confirms it.
    Stray,
    /// Far off, and the next after a stray one: the source counts anew.
    Restart,
}

/// Extends 16-bit sequence numbers and recognises duplicates and restarts (RFC 3550, A.1).
#[derive(Debug, Default)]
pub struct Sequence {
    highest: Option<i64>,
    /// Bit n: `highest - n` was seen.
    seen: u128,
    /// What would confirm a restart.
    expected_after_stray: Option<u16>,
}

impl Sequence {
    /// Judges the next packet.
    pub fn judge(&mut self, sequence: u16) -> Verdict {
        let Some(highest) = self.highest else {
            return Verdict::New {
                sequence: self.begin(sequence),
                reordered: false,
            };
        };
        let ahead = i64::from(sequence.wrapping_sub(highest as u16) as i16);
        if !(-MAX_MISORDER..=MAX_DROPOUT).contains(&ahead) {
            if self.expected_after_stray == Some(sequence) {
                return Verdict::Restart;
            }
            self.expected_after_stray = Some(sequence.wrapping_add(1));
            return Verdict::Stray;
        }
        self.expected_after_stray = None;
        let extended = highest + ahead;
        if ahead > 0 {
            self.seen = self.seen.checked_shl(ahead as u32).unwrap_or(0) | 1;
            self.highest = Some(extended);
            return Verdict::New {
                sequence: extended,
                reordered: false,
            };
        }
        let bit = 1 << -ahead;
        if self.seen & bit != 0 {
            return Verdict::Duplicate;
        }
        self.seen |= bit;
        Verdict::New {
            sequence: extended,
            reordered: true,
        }
    }

    /// Starts anew with this packet; its extended number.
    pub fn begin(&mut self, sequence: u16) -> i64 {
        // One round above zero, so that packets before the first one have numbers too.
        let extended = 0x1_0000 + i64::from(sequence);
        *self = Self {
            highest: Some(extended),
            seen: 1,
            expected_after_stray: None,
        };
        extended
    }
}

/// Extends 32-bit timestamps, in samples at 48 kHz.
#[derive(Debug, Default)]
pub struct Timestamps {
    last: Option<(u32, i64)>,
}

impl Timestamps {
    /// Without wrap; `samples_per_tick` of the codec's RTP clock.
    pub fn extend(&mut self, timestamp: u32, samples_per_tick: i64) -> i64 {
        let extended = match self.last {
            None => 0,
            Some((last, extended)) => {
                let ticks = i64::from(timestamp.wrapping_sub(last) as i32);
                extended + ticks * samples_per_tick
            }
        };
        self.last = Some((timestamp, extended));
        extended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(sequence: i64) -> Verdict {
        Verdict::New {
            sequence,
            reordered: false,
        }
    }

    fn late(sequence: i64) -> Verdict {
        Verdict::New {
            sequence,
            reordered: true,
        }
    }

    #[test]
    fn judges() {
        let cases: &[(&[u16], Verdict)] = &[
            (&[7], new(65_543)),
            (&[7, 8], new(65_544)),
            (&[7, 10], new(65_546)),
            (&[7, 7], Verdict::Duplicate),
            (&[7, 10, 8], late(65_544)),
            (&[7, 10, 8, 8], Verdict::Duplicate),
            (&[7, 10, 7], Verdict::Duplicate),
            (&[65_535, 0], new(131_072)),
            (&[65_535, 0, 65_534], late(131_070)),
            (&[7, 3007], new(68_543)),
            (&[7, 3008], Verdict::Stray),
            (&[7, 3008, 8], new(65_544)),
            (&[7, 3008, 3009], Verdict::Restart),
            (&[7, 3008, 3010], Verdict::Stray),
            (&[200, 99], Verdict::Stray),
            (&[200, 100], late(65_636)),
            (&[200, 3200, 200], Verdict::Stray),
        ];
        for (numbers, want) in cases {
            let mut sequence = Sequence::default();
            let verdict = numbers.iter().map(|&n| sequence.judge(n)).last().unwrap();
            assert_eq!(verdict, *want, "{numbers:?}");
        }
    }

    #[test]
    fn timestamps_wrap_both_ways() {
        let mut timestamps = Timestamps::default();
        assert_eq!(timestamps.extend(u32::MAX - 159, 6), 0);
        assert_eq!(timestamps.extend(0, 6), 960);
        assert_eq!(timestamps.extend(u32::MAX - 159, 6), 0);
        assert_eq!(timestamps.extend(u32::MAX - 319, 6), -960);
    }
}
