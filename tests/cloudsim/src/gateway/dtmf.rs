//! RFC 4733 digits: packets to digits.

use super::report::DtmfDigit;

/// Digits by event code (RFC 4733 section 3.2).
const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

/// Puts the packets of events together.
#[derive(Default)]
pub(super) struct Receiver {
    /// Finished digits, oldest first; the last one still counts repeats of its end packet.
    digits: Vec<DtmfDigit>,
    current: Option<Current>,
}

struct Current {
    timestamp: u32,
    ended: bool,
    digit: DtmfDigit,
}

impl Receiver {
    /// Takes one telephone-event payload. Returns the digit when this packet is the first to end
    /// it, or when it shows that the digit before it ended unsaid.
    pub(super) fn push(&mut self, timestamp: u32, payload: &[u8], clock_rate: u32) -> Vec<char> {
        let &[event, flags, high, low, ..] = payload else {
            return Vec::new();
        };
        let Some(&digit) = DIGITS.get(usize::from(event)) else {
            return Vec::new();
        };
        let mut finished = Vec::new();
        if self
            .current
            .as_ref()
            .is_none_or(|c| c.timestamp != timestamp)
        {
            finished.extend(self.finish());
            self.current = Some(Current {
                timestamp,
                ended: false,
                digit: DtmfDigit {
                    digit,
                    duration_ms: 0.0,
                    volume: flags & 0x3F,
                    packets: 0,
                    end_packets: 0,
                },
            });
        }
        let Some(current) = &mut self.current else {
            return finished;
        };
        let duration = f64::from(u16::from_be_bytes([high, low]));
        let end = flags & 0x80 != 0;
        current.digit.packets += 1;
        current.digit.end_packets += u32::from(end);
        current.digit.duration_ms = current
            .digit
            .duration_ms
            .max(duration * 1_000.0 / f64::from(clock_rate.max(1)));
        if end && !current.ended {
            current.ended = true;
            finished.push(digit);
        }
        finished
    }

    /// All digits so far, with the one being heard.
    pub(super) fn digits(&self) -> Vec<DtmfDigit> {
        let current = self.current.as_ref().map(|c| c.digit);
        self.digits.iter().copied().chain(current).collect()
    }

    /// Closes the digit at hand; `Some` when nobody was told of it yet.
    fn finish(&mut self) -> Option<char> {
        let current = self.current.take()?;
        self.digits.push(current.digit);
        (!current.ended).then_some(current.digit.digit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [event, if end { 0x8A } else { 0x0A }, high, low]
    }

    #[test]
    fn a_digit_is_told_once_and_its_packets_counted() {
        let mut receiver = Receiver::default();
        let mut told = Vec::new();
        for n in 1..=5 {
            told.extend(receiver.push(1_000, &payload(5, false, 160 * n), 8_000));
        }
        for _ in 0..3 {
            told.extend(receiver.push(1_000, &payload(5, true, 960), 8_000));
        }
        assert_eq!(told, ['5']);
        let digits = receiver.digits();
        assert_eq!(digits.len(), 1);
        assert!((digits[0].duration_ms - 120.0).abs() < 0.01);
        assert_eq!(
            (digits[0].packets, digits[0].end_packets, digits[0].volume),
            (8, 3, 10)
        );
    }

    #[test]
    fn the_same_digit_twice_is_two_digits() {
        let mut receiver = Receiver::default();
        let first = receiver.push(1, &payload(11, true, 4_800), 48_000);
        let second = receiver.push(9_601, &payload(11, true, 4_800), 48_000);
        assert_eq!((first, second), (vec!['#'], vec!['#']));
        assert_eq!(receiver.digits().len(), 2);
    }

    #[test]
    fn a_digit_whose_end_was_lost_is_told_with_the_next() {
        let mut receiver = Receiver::default();
        assert!(receiver.push(1, &payload(0, false, 960), 48_000).is_empty());
        assert_eq!(
            receiver.push(5_000, &payload(10, true, 960), 48_000),
            ['0', '*']
        );
    }

    #[test]
    fn nonsense_is_ignored() {
        let mut receiver = Receiver::default();
        assert!(receiver.push(1, &[], 8_000).is_empty());
        assert!(receiver.push(1, &[1, 2, 3], 8_000).is_empty());
        assert!(receiver.push(1, &payload(200, true, 100), 8_000).is_empty());
        assert!(receiver.digits().is_empty());
    }
}
