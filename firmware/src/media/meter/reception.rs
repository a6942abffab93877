//! How one source is received: RFC 3550 appendices A.1, A.3 and A.8.

use std::time::Instant;

/// Sequence numbers further ahead than this are a restart, not a loss (A.1).
const MAX_DROPOUT: u16 = 3000;
/// Sequence numbers further behind than this are a restart, not a late packet (A.1).
const MAX_MISORDER: u16 = 100;

/// A source's sequence numbers and arrival times.
#[derive(Debug)]
pub struct Reception {
    clock_rate: u32,
    base: u32,
    highest: u16,
    /// Wraps of the sequence number, shifted by 16.
    cycles: u32,
    /// Where a restarted sequence would go on.
    restart: Option<u16>,
    received: u64,
    /// Received and lost before the sequence restarted.
    earlier: (u64, i64),
    expected_at_report: i64,
    received_at_report: i64,
    /// Arrival minus timestamp of the last packet, in clock units.
    transit: Option<Transit>,
    jitter: f64,
}

#[derive(Clone, Copy, Debug)]
struct Transit {
    arrival: Instant,
    timestamp: u32,
}

impl Reception {
    /// Begins with `sequence`, which is then to be counted by [`Self::packet`].
    pub fn new(sequence: u16, clock_rate: u32) -> Self {
        Self {
            clock_rate,
            base: u32::from(sequence),
            highest: sequence.wrapping_sub(1),
            cycles: if sequence == 0 {
                0u32.wrapping_sub(1 << 16)
            } else {
                0
            },
            restart: None,
            received: 0,
            earlier: (0, 0),
            expected_at_report: 0,
            received_at_report: 0,
            transit: None,
            jitter: 0.0,
        }
    }

    /// Counts a packet (A.1). Its source needs no probation: SRTP has authenticated it.
    pub fn packet(&mut self, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < MAX_DROPOUT {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(1 << 16);
            }
            self.highest = sequence;
        } else if ahead <= u16::MAX - MAX_MISORDER {
            // A big jump. Two packets in a row mean that the sender has begun anew.
            if self.restart != Some(sequence) {
                self.restart = Some(sequence.wrapping_add(1));
                return;
            }
            let earlier = (self.received(), self.lost());
            *self = Self {
                earlier,
                jitter: self.jitter,
                ..Self::new(sequence, self.clock_rate)
            };
            self.highest = sequence;
            self.cycles = 0;
        }
        self.restart = None;
        self.received += 1;
    }

    /// Takes the arrival time of a packet whose timestamp runs with the clock (A.8).
    pub fn time(&mut self, arrival: Instant, timestamp: u32) {
        if let Some(last) = self.transit {
            let apart = arrival
                .saturating_duration_since(last.arrival)
                .as_secs_f64();
            let stamps = timestamp.wrapping_sub(last.timestamp) as i32;
            let difference = apart * f64::from(self.clock_rate) - f64::from(stamps);
            self.jitter += (difference.abs() - self.jitter) / 16.0;
        }
        self.transit = Some(Transit { arrival, timestamp });
    }

    /// Packets received.
    pub fn received(&self) -> u64 {
        self.earlier.0 + self.received
    }

    /// Packets lost (A.3); negative when packets were doubled.
    pub fn lost(&self) -> i64 {
        self.earlier.1 + self.expected() - self.received as i64
    }

    /// Interarrival jitter, clock units.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Extended highest sequence number.
    pub fn highest(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.highest))
    }

    /// Fraction lost since the last call, in 1/256 (A.3).
    pub fn fraction_lost(&mut self) -> u8 {
        let (expected, received) = (self.expected(), self.received as i64);
        let expected_now = expected - self.expected_at_report;
        let lost_now = expected_now - (received - self.received_at_report);
        self.expected_at_report = expected;
        self.received_at_report = received;
        if expected_now <= 0 || lost_now <= 0 {
            return 0;
        }
        ((lost_now << 8) / expected_now).min(255) as u8
    }

    fn expected(&self) -> i64 {
        i64::from(self.highest().wrapping_sub(self.base).wrapping_add(1))
    }
}
