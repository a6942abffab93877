//! Key tones as RFC 4733 telephone-events: which packets, when.

use super::MediaError;
use std::collections::VecDeque;
use std::time::Duration;

/// Packets of one key come this far apart.
pub(super) const STEP: Duration = Duration::from_millis(20);
/// Packets from the key's beginning to its end: 100 ms, the SDK's and the browsers' shortest key.
const STEPS: u8 = 5;
/// The last packet is sent this often (RFC 4733 section 2.5.1.4).
const ENDS: u8 = 3;
/// Silence between two keys: 70 ms as in browsers (40 ms is the least of RFC 4733 section 2.5.1.1's and the
/// telephone network's receivers).
const GAP: Duration = Duration::from_millis(70);
/// A comma pauses, as in browsers' `insertDTMF`.
const PAUSE: Duration = Duration::from_secs(2);
/// Loudness, -10 dBm0 (RFC 4733 section 2.3.3).
const VOLUME: u8 = 10;

/// One packet of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventPacket {
    /// RFC 4733 section 2.3.
    pub payload: [u8; 4],
    /// First of its key.
    pub marker: bool,
}

/// What to do at a tick of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Send it; the next tick is due [`STEP`] later.
    Packet(EventPacket),
    /// Nothing to send; the next tick is due after this.
    Wait(Duration),
    /// All keys of a call to [`Keys::push`] are out; tick again at once.
    Sent,
    /// Nothing left.
    Idle,
}

/// Keys waiting and the one on its way.
#[derive(Debug, Default)]
pub(super) struct Keys {
    waiting: VecDeque<Item>,
    current: Option<(u8, u8)>,
}

#[derive(Debug, PartialEq)]
enum Item {
    Key(u8),
    Pause,
    /// End of one `push`.
    Mark,
}

impl Keys {
    /// Queues keys: `0-9 * # A-D`, and `,` for a pause.
    pub(super) fn push(&mut self, digits: &[Digit]) {
        self.waiting.extend(digits.iter().map(|digit| match digit {
            Digit::Key(event) => Item::Key(*event),
            Digit::Pause => Item::Pause,
        }));
        self.waiting.push_back(Item::Mark);
    }

    /// Whether a key is being sent, so that the audio must keep silent.
    pub(super) fn sounding(&self) -> bool {
        self.current.is_some()
    }

    /// Forgets everything; how many `push`es were not finished.
    pub(super) fn clear(&mut self) -> usize {
        self.current = None;
        self.waiting
            .drain(..)
            .filter(|item| *item == Item::Mark)
            .count()
    }

    /// The next thing to do. `clock_rate` is the RTP clock's, Hz.
    pub(super) fn tick(&mut self, clock_rate: u32) -> Tick {
        let (event, step) = match self.current.take() {
            Some(current) => current,
            None => match self.waiting.pop_front() {
                None => return Tick::Idle,
                Some(Item::Mark) => return Tick::Sent,
                Some(Item::Pause) => return Tick::Wait(PAUSE),
                Some(Item::Key(event)) => (event, 0),
            },
        };
        if step == STEPS + ENDS - 1 {
            // Two steps have gone by since the end at 100 ms.
            return Tick::Wait(GAP.saturating_sub(STEP * u32::from(ENDS - 1)));
        }
        self.current = Some((event, step + 1));
        let end = step >= STEPS - 1;
        let length = u32::from((step + 1).min(STEPS)) * clock_rate * STEP.as_millis() as u32 / 1000;
        let [high, low] = (length as u16).to_be_bytes();
        Tick::Packet(EventPacket {
            payload: [event, if end { 0x80 } else { 0 } | VOLUME, high, low],
            marker: step == 0,
        })
    }
}

/// One character of a `dtmf` call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digit {
    /// Event code (RFC 4733 section 3.2).
    Key(u8),
    /// `,`.
    Pause,
}

/// Reads `0-9 * # A-D a-d ,`.
pub(super) fn parse(digits: &str) -> Result<Vec<Digit>, MediaError> {
    digits
        .chars()
        .map(|character| {
            Ok(match character {
                '0'..='9' => Digit::Key(character as u8 - b'0'),
                '*' => Digit::Key(10),
                '#' => Digit::Key(11),
                'A'..='D' => Digit::Key(character as u8 - b'A' + 12),
                'a'..='d' => Digit::Key(character as u8 - b'a' + 12),
                ',' => Digit::Pause,
                other => return Err(MediaError::NoSuchKey(other)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_seven_packets() {
        let mut keys = Keys::default();
        keys.push(&parse("5").expect("a key"));
        let mut seen = Vec::new();
        let rest = loop {
            match keys.tick(8_000) {
                Tick::Packet(packet) => {
                    assert!(keys.sounding());
                    seen.push((
                        packet.marker,
                        packet.payload[1] >> 7,
                        u16::from_be_bytes([packet.payload[2], packet.payload[3]]),
                    ));
                    assert_eq!((packet.payload[0], packet.payload[1] & 0x3f), (5, 10));
                }
                other => break other,
            }
        };
        // 100 ms in steps of 20, the last three times: marker, end bit, duration at 8 kHz.
        assert_eq!(
            seen,
            [
                (true, 0, 160),
                (false, 0, 320),
                (false, 0, 480),
                (false, 0, 640),
                (false, 1, 800),
                (false, 1, 800),
                (false, 1, 800)
            ]
        );
        // The last packet went 140 ms - 20 ms after the first; the gap is over at 170 ms.
        assert_eq!(rest, Tick::Wait(Duration::from_millis(30)));
        assert!(!keys.sounding());
        assert_eq!(
            (keys.tick(8_000), keys.tick(8_000)),
            (Tick::Sent, Tick::Idle)
        );
    }

    #[test]
    fn the_duration_is_in_the_codecs_clock() {
        let mut keys = Keys::default();
        keys.push(&parse("D").expect("a key"));
        let Tick::Packet(packet) = keys.tick(48_000) else {
            panic!("a packet")
        };
        assert_eq!(
            packet.payload,
            [15, 10, 960u16.to_be_bytes()[0], 960u16.to_be_bytes()[1]]
        );
    }

    #[test]
    fn keys_come_in_order_and_each_push_is_reported() {
        let mut keys = Keys::default();
        keys.push(&parse("1,2").expect("keys"));
        keys.push(&parse("#").expect("a key"));
        let mut story = Vec::new();
        loop {
            match keys.tick(48_000) {
                Tick::Packet(packet) if packet.marker => story.push(packet.payload[0].to_string()),
                Tick::Packet(_) => {}
                Tick::Wait(time) => story.push(format!("{}ms", time.as_millis())),
                Tick::Sent => story.push("sent".to_owned()),
                Tick::Idle => break,
            }
        }
        assert_eq!(
            story,
            [
                "1", "30ms", "2000ms", "2", "30ms", "sent", "11", "30ms", "sent"
            ]
        );
    }

    #[test]
    fn other_characters_are_refused() {
        for text in ["1x", "+49", "é", "\0"] {
            assert!(
                matches!(parse(text), Err(MediaError::NoSuchKey(_))),
                "{text}"
            );
        }
        assert_eq!(parse("").expect("nothing"), []);
    }
}
