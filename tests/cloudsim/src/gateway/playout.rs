//! What the far end hears: packets to sound, as a telephone would play them.
//!
//! Sound is played a fixed time after it was said, by the phone's own RTP clock. A packet that
//! is not there when its turn comes is concealed and, should it still come, dropped: so a stall
//! of the phone is heard as one, whatever this machine does meanwhile. Arrival times are those of
//! the socket, not of the task that decodes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use rtc::rtp;

use super::codec::{Decoder, FRAME};
use super::config::Codec;
use crate::measure::RATE;

/// From a packet's arrival to its turn. Generous, so that a busy test machine is not heard.
const DELAY: Duration = Duration::from_millis(100);

/// After this much made-up sound there is silence instead: 100 ms.
const CONCEAL_AT_MOST: usize = RATE as usize / 10;

/// A step of the phone's clock beyond this is a new stream: 2 s.
const NEW_STREAM: i64 = 2 * RATE as i64;

/// This many packets too late in a row, and the clock is set anew.
const LATE_IN_A_ROW: u32 = 10;

/// A stretch of sound that was due.
pub(super) struct Played {
    pub(super) samples: Vec<f32>,
    /// When its packet arrived; `None` for made-up sound.
    pub(super) arrived: Option<Instant>,
}

/// The playout of one stream.
#[derive(Default)]
pub(super) struct Playout {
    stream: Option<Stream>,
    /// Frames of up to 20 ms that had to be made up.
    pub(super) concealed: u64,
    /// Packets that came after their turn.
    pub(super) late: u64,
}

struct Stream {
    ssrc: u32,
    codec: Codec,
    decoder: Decoder,
    /// The newest timestamp, as it was on the wire and unwrapped at 48 kHz.
    newest: (u32, i64),
    /// Waiting packets by unwrapped timestamp.
    waiting: BTreeMap<i64, Waiting>,
    /// The timestamp to be played next.
    next: i64,
    /// This timestamp's turn is at this time.
    anchor: (Instant, i64),
    /// RFC 4733 events cover the stream up to here: no audio is expected.
    covered: i64,
    /// Samples made up without a break.
    made_up: usize,
    late_in_a_row: u32,
}

struct Waiting {
    arrived: Instant,
    payload: bytes::Bytes,
}

impl Playout {
    /// Takes an audio packet.
    pub(super) fn push(&mut self, at: Instant, packet: &rtp::Packet, codec: Codec) -> Result<()> {
        let header = &packet.header;
        let same = self
            .stream
            .as_ref()
            .is_some_and(|s| s.ssrc == header.ssrc && s.codec == codec && s.fits(header.timestamp));
        if !same {
            self.stream = Some(Stream::new(at, header.ssrc, header.timestamp, codec)?);
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let timestamp = stream.unwrap(header.timestamp);
        if timestamp < stream.next {
            self.late += 1;
            stream.late_in_a_row += 1;
            if stream.late_in_a_row >= LATE_IN_A_ROW {
                stream.set_clock(at, timestamp);
            } else {
                return Ok(());
            }
        }
        stream.late_in_a_row = 0;
        stream.waiting.insert(
            timestamp,
            Waiting {
                arrived: at,
                payload: packet.payload.clone(),
            },
        );
        Ok(())
    }

    /// Notes that an RFC 4733 event stands in for audio.
    pub(super) fn cover(&mut self, timestamp: u32, ssrc: u32, duration: u16, clock_rate: u32) {
        if let Some(stream) = self
            .stream
            .as_mut()
            .filter(|s| s.ssrc == ssrc && s.fits(timestamp))
        {
            let scale = i64::from(RATE / clock_rate.max(1));
            // One more frame: the next audio packet starts on the sender's own frame raster.
            let end = stream.unwrap(timestamp) + i64::from(duration) * scale + FRAME as i64;
            stream.covered = stream.covered.max(end);
        }
    }

    /// Everything whose turn has come. Without `expected` (the phone must not send now) missing
    /// sound is plain silence and not counted.
    pub(super) fn play(&mut self, now: Instant, expected: bool) -> Vec<Played> {
        let mut played = Vec::new();
        let Some(stream) = &mut self.stream else {
            return played;
        };
        while stream.next <= stream.due(now) {
            let next = stream.play_next(expected);
            if next.arrived.is_none() && expected && stream.next > stream.covered {
                self.concealed += 1;
            }
            played.push(next);
        }
        played
    }
}

impl Stream {
    fn new(at: Instant, ssrc: u32, timestamp: u32, codec: Codec) -> Result<Self> {
        Ok(Self {
            ssrc,
            codec,
            decoder: Decoder::new(codec)?,
            newest: (timestamp, 0),
            waiting: BTreeMap::new(),
            next: 0,
            anchor: (at + DELAY, 0),
            covered: i64::MIN,
            made_up: 0,
            late_in_a_row: 0,
        })
    }

    fn scale(&self) -> i64 {
        i64::from(RATE / self.codec.clock_rate())
    }

    fn step(&self, timestamp: u32) -> i64 {
        i64::from(timestamp.wrapping_sub(self.newest.0) as i32) * self.scale()
    }

    fn fits(&self, timestamp: u32) -> bool {
        self.step(timestamp).abs() < NEW_STREAM + (self.next - self.newest.1).max(0)
    }

    fn unwrap(&mut self, timestamp: u32) -> i64 {
        let unwrapped = self.newest.1 + self.step(timestamp);
        if unwrapped > self.newest.1 {
            self.newest = (timestamp, unwrapped);
        }
        unwrapped
    }

    fn set_clock(&mut self, at: Instant, timestamp: i64) {
        self.anchor = (at + DELAY, timestamp);
        self.next = timestamp;
        self.waiting.clear();
    }

    /// The newest timestamp whose turn has come.
    fn due(&self, now: Instant) -> i64 {
        let (at, timestamp) = self.anchor;
        match now.checked_duration_since(at) {
            Some(since) => timestamp + (since.as_secs_f64() * f64::from(RATE)) as i64,
            None => timestamp - 1,
        }
    }

    fn play_next(&mut self, expected: bool) -> Played {
        if let Some(packet) = self.waiting.remove(&self.next)
            && let Ok(samples) = self.decoder.decode(&packet.payload)
            && !samples.is_empty()
        {
            self.next += samples.len() as i64;
            self.made_up = 0;
            // Overlapping packets (a changed ptime) have had their turn.
            let rest = self.waiting.split_off(&self.next);
            self.waiting = rest;
            return Played {
                samples,
                arrived: Some(packet.arrived),
            };
        }
        let following = self.waiting.first_key_value();
        let length = following.map_or(FRAME, |(timestamp, _)| {
            usize::try_from(timestamp - self.next)
                .unwrap_or(0)
                .clamp(1, FRAME)
        });
        let spoken = self.next >= self.covered && expected && self.made_up < CONCEAL_AT_MOST;
        let samples = if spoken {
            let next = following
                .filter(|(timestamp, _)| **timestamp == self.next + length as i64)
                .map(|(_, packet)| packet.payload.clone());
            self.decoder.conceal(length, next.as_deref())
        } else {
            vec![0.0; length]
        };
        self.made_up += length;
        self.next += length as i64;
        Played {
            samples,
            arrived: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::codec::Encoder;
    use crate::measure::{level_dbfs, to_i16, tone};

    /// What happens to each 20 ms packet of a two-second 440 Hz tone: milliseconds of extra
    /// delay, or lost.
    fn listen(codec: Codec, fate: impl Fn(usize) -> Option<u64>) -> (Playout, Vec<i16>) {
        let start = Instant::now();
        let mut encoder = Encoder::new(codec, 20).unwrap();
        let mut arrivals: Vec<(Instant, rtp::Packet)> = (0..100)
            .map(|n| {
                let frame: Vec<f32> = (0..FRAME)
                    .map(|k| {
                        0.1 * (std::f32::consts::TAU * 440.0 * (n * FRAME + k) as f32 / 48_000.0)
                            .sin()
                    })
                    .collect();
                (n, encoder.encode(&frame).unwrap())
            })
            .filter_map(|(n, payload)| {
                let at = start + Duration::from_millis(20 * n as u64 + fate(n)?);
                let mut packet = rtp::Packet::default();
                packet.header.ssrc = 7;
                packet.header.sequence_number = n as u16;
                // Wraps during the test.
                packet.header.timestamp =
                    (u32::MAX - 20_000).wrapping_add(n as u32 * codec.clock_rate() / 50);
                packet.payload = payload.into();
                Some((at, packet))
            })
            .collect();
        arrivals.sort_by_key(|(at, _)| *at);
        let mut playout = Playout::default();
        let mut heard = Vec::new();
        let mut arrivals = arrivals.into_iter().peekable();
        for tick in 0..110 {
            let now = start + Duration::from_millis(20 * tick);
            while let Some((at, packet)) = arrivals.next_if(|(at, _)| *at <= now) {
                playout.push(at, &packet, codec).unwrap();
            }
            let expected = tick < 103;
            heard.extend(
                playout
                    .play(now, expected)
                    .into_iter()
                    .flat_map(|p| p.samples),
            );
        }
        (playout, heard.into_iter().map(to_i16).collect())
    }

    fn middle(heard: &[i16]) -> &[i16] {
        &heard[9_600..86_400]
    }

    #[test]
    fn a_clean_stream_is_played_as_it_was_said() {
        for codec in [Codec::Opus, Codec::Pcmu] {
            let (playout, heard) = listen(codec, |_| Some(0));
            let figures = tone(middle(&heard)).unwrap();
            assert_eq!((playout.concealed, playout.late), (0, 0), "{codec:?}");
            assert!(
                (figures.dbfs + 20.0).abs() < 0.5 && figures.purity > 0.99,
                "{figures:?}"
            );
        }
    }

    #[test]
    fn jitter_and_disorder_below_the_delay_are_not_heard() {
        let (playout, heard) = listen(Codec::Opus, |n| Some([0, 70, 5, 90, 30][n % 5]));
        assert_eq!((playout.concealed, playout.late), (0, 0));
        assert!(tone(middle(&heard)).unwrap().purity > 0.99);
    }

    #[test]
    fn lost_packets_are_concealed_and_counted() {
        let (playout, heard) = listen(Codec::Opus, |n| (n % 10 != 9 || n > 95).then_some(0));
        assert_eq!((playout.concealed, playout.late), (9, 0));
        let figures = tone(middle(&heard)).unwrap();
        assert!(
            (figures.dbfs + 20.0).abs() < 1.0 && figures.purity > 0.9,
            "{figures:?}"
        );
    }

    #[test]
    fn a_stall_is_heard_as_a_stall() {
        // Packets 40 to 59 all arrive when packet 60 does: 400 ms of nothing, 300 ms of them
        // beyond what the delay covers.
        let (playout, heard) = listen(Codec::Opus, |n| {
            Some(if (40..60).contains(&n) {
                (60 - n as u64) * 20
            } else {
                0
            })
        });
        assert!((9..16).contains(&playout.late), "{}", playout.late);
        let stalled = &heard[(40 * 20 + 150) * 48..(55 * 20 - 50) * 48];
        assert!(level_dbfs(stalled) < -60.0, "{}", level_dbfs(stalled));
        assert!(level_dbfs(&heard[70 * 960..90 * 960]) > -21.0);
    }

    #[test]
    fn a_later_clock_is_followed_after_some_packets() {
        let (playout, heard) = listen(Codec::Opus, |n| Some(if n < 30 { 0 } else { 150 }));
        assert!(playout.late >= u64::from(LATE_IN_A_ROW), "{}", playout.late);
        assert!(level_dbfs(&heard[heard.len() - 24_000..heard.len() - 19_200]) > -22.0);
    }

    #[test]
    fn an_event_covers_missing_audio() {
        let start = Instant::now();
        let mut playout = Playout::default();
        let packet = rtp::Packet {
            payload: vec![0xFF; 160].into(),
            ..rtp::Packet::default()
        };
        playout.push(start, &packet, Codec::Pcmu).unwrap();
        playout.cover(160, 0, 1_600, 8_000);
        let played = playout.play(start + Duration::from_millis(310), true);
        assert_eq!(playout.concealed, 0);
        assert_eq!(
            played.iter().map(|p| p.samples.len()).sum::<usize>(),
            11 * FRAME
        );
        playout.play(start + Duration::from_millis(400), true);
        assert!(playout.concealed > 0);
    }

    #[test]
    fn garbage_payloads_are_concealed() {
        let start = Instant::now();
        let mut playout = Playout::default();
        let mut packet = rtp::Packet {
            payload: vec![0xFF; 2].into(),
            ..rtp::Packet::default()
        };
        playout.push(start, &packet, Codec::Opus).unwrap();
        packet.header.timestamp = 3;
        packet.payload = bytes::Bytes::new();
        playout.push(start, &packet, Codec::Opus).unwrap();
        assert!(
            !playout
                .play(start + Duration::from_secs(1), true)
                .is_empty()
        );
    }
}
