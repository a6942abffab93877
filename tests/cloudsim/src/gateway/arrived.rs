//! What is counted of the phone's packets.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::interceptor::Arrival;
use super::media::epoch_ms;
use super::report::LegReport;

/// RFC 3550 appendix A bookkeeping of the phone's stream.
#[derive(Default)]
pub(super) struct Arrived {
    packets: u64,
    bytes: u64,
    first_at: Option<Instant>,
    ssrc: Option<u32>,
    /// First and highest sequence number, unwrapped.
    sequence: Option<(i64, i64)>,
    seen: HashSet<i64>,
    duplicates: u64,
    reordered: u64,
    /// Losses of streams that are over.
    lost_before: u64,
    previous: Option<(Instant, u32)>,
    max_gap: Duration,
    jitter: f64,
    frame_ms: f64,
}

impl Arrived {
    /// Counts a packet; true for the very first.
    pub(super) fn count(&mut self, arrival: &Arrival, clock_rate: Option<u32>) -> bool {
        let header = &arrival.packet.header;
        self.packets += 1;
        self.bytes += arrival.packet.payload.len() as u64;
        if self.ssrc != Some(header.ssrc) {
            self.lost_before += self.lost();
            self.ssrc = Some(header.ssrc);
            self.sequence = None;
            self.seen.clear();
            self.previous = None;
        }
        let (first, highest) = self.sequence.unwrap_or((
            i64::from(header.sequence_number),
            i64::from(header.sequence_number),
        ));
        let step = i64::from(header.sequence_number.wrapping_sub(highest as u16) as i16);
        let sequence = highest + step;
        if !self.seen.insert(sequence) {
            self.duplicates += 1;
        } else if sequence < highest {
            self.reordered += 1;
        }
        self.sequence = Some((first.min(sequence), highest.max(sequence)));
        if let Some((before, timestamp)) = self.previous {
            let between = arrival.at.saturating_duration_since(before);
            self.max_gap = self.max_gap.max(between);
            if let Some(rate) = clock_rate.filter(|_| sequence > highest) {
                let said =
                    f64::from(header.timestamp.wrapping_sub(timestamp) as i32) / f64::from(rate);
                let difference = (between.as_secs_f64() - said).abs();
                self.jitter += (difference - self.jitter) / 16.0;
                if sequence == highest + 1 {
                    self.frame_ms = said * 1_000.0;
                }
            }
        }
        self.previous = Some((arrival.at, header.timestamp));
        self.first_at
            .replace(self.first_at.unwrap_or(arrival.at))
            .is_none()
    }

    fn lost(&self) -> u64 {
        self.sequence.map_or(0, |(first, highest)| {
            ((highest - first + 1) as u64).saturating_sub(self.seen.len() as u64)
        })
    }

    pub(super) fn tell(&self, report: &mut LegReport) {
        report.packets_in = self.packets;
        report.bytes_in = self.bytes;
        report.frame_in_ms = self.frame_ms;
        report.lost = self.lost_before + self.lost();
        report.duplicates = self.duplicates;
        report.reordered = self.reordered;
        report.max_gap_ms = self.max_gap.as_secs_f64() * 1_000.0;
        report.jitter_ms = self.jitter * 1_000.0;
        if report.first_packet_in_at.is_none() {
            report.first_packet_in_at = self.first_at.map(epoch_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use rtc::rtp;

    fn arrival(start: Instant, ms: u64, sequence: u16) -> Arrival {
        let mut packet = rtp::Packet::default();
        packet.header.sequence_number = sequence;
        packet.header.timestamp = u32::from(sequence).wrapping_mul(960);
        packet.payload = Bytes::from_static(&[0; 100]);
        Arrival {
            at: start + Duration::from_millis(ms),
            packet,
        }
    }

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        let start = Instant::now();
        let mut arrived = Arrived::default();
        // Sequence numbers wrap; 1 never comes, 0 comes late, 2 comes twice.
        let order = [65_534, 65_535, 2, 0, 2, 3];
        for (n, sequence) in order.into_iter().enumerate() {
            let first = arrived.count(&arrival(start, 20 * n as u64, sequence), Some(48_000));
            assert_eq!(first, n == 0);
        }
        let mut report = LegReport::default();
        arrived.tell(&mut report);
        assert_eq!((report.packets_in, report.bytes_in), (6, 600));
        assert_eq!(
            (report.lost, report.duplicates, report.reordered),
            (1, 1, 1)
        );
        assert!((report.max_gap_ms - 20.0).abs() < 0.1);
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        let start = Instant::now();
        let mut arrived = Arrived::default();
        for n in 0..200_u64 {
            // Every other packet 8 ms late: each difference is 8 ms.
            arrived.count(
                &arrival(start, 20 * n + 8 * (n % 2), n as u16),
                Some(48_000),
            );
        }
        let mut report = LegReport::default();
        arrived.tell(&mut report);
        assert!((report.jitter_ms - 8.0).abs() < 0.2, "{}", report.jitter_ms);
        assert!((report.max_gap_ms - 28.0).abs() < 0.1);
    }
}
