//! Reception and round-trip figures from RTP and RTCP itself (RFC 3550), because the stack reads report blocks only
//! from receiver reports, not from sender reports, knows no round trip and gives jitter in clock units.

mod reception;

use super::{ConnectionState, Statistics};
use reception::Reception;
use rtc::rtcp::Packet as RtcpPacket;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

/// Seconds from the NTP epoch (1900) to the Unix epoch (RFC 5905).
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;
/// Own sender reports remembered, to measure round trips by our monotonic clock: a far end answers within a few.
const REPORTS_REMEMBERED: usize = 16;
/// A round trip longer than this is a wrong report, not a round trip.
const ABSURD_ROUND_TRIP: Duration = Duration::from_mins(1);

/// One peer's figures.
#[derive(Debug)]
pub struct Meter {
    own_ssrc: u32,
    cname: String,
    /// RTP clock both ways, Hz.
    clock_rate: u32,
    statistics: Statistics,
    /// The source heard now; a gateway may change it within a call.
    source: Option<Source>,
    /// Received and lost of the sources before it.
    earlier: (u64, i64),
    /// Octets of payload sent, for sender reports.
    octets_sent: u64,
    /// RTP timestamp of the last packet sent and when.
    last_sent: Option<(u32, Instant)>,
    /// Packets sent when the last report was made.
    sent_at_report: u64,
    /// Middle bits of the NTP time of our sender reports, and when they went.
    reports: VecDeque<(u32, Instant)>,
    answered: Option<Instant>,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    reception: Reception,
    /// Middle bits of the NTP time of its last sender report, and when it came.
    last_report: Option<(u32, Instant)>,
}

impl Meter {
    /// For our source `own_ssrc`.
    pub fn new(own_ssrc: u32, cname: String) -> Self {
        Self {
            own_ssrc,
            cname,
            clock_rate: 48_000,
            statistics: Statistics::default(),
            source: None,
            earlier: (0, 0),
            octets_sent: 0,
            last_sent: None,
            sent_at_report: 0,
            reports: VecDeque::with_capacity(REPORTS_REMEMBERED),
            answered: None,
        }
    }

    /// The figures now.
    pub fn statistics(&self) -> Statistics {
        let (mut received, mut lost) = self.earlier;
        let mut jitter_ms = 0.0;
        if let Some(source) = &self.source {
            received += source.reception.received();
            lost += source.reception.lost();
            jitter_ms = source.reception.jitter() * 1000.0 / f64::from(self.clock_rate);
        }
        Statistics {
            packets_received: received,
            packets_lost: lost,
            jitter_ms,
            ..self.statistics
        }
    }

    /// The codec was agreed on; the answer is out at `now`.
    pub fn answered(&mut self, now: Instant, clock_rate: u32) {
        self.answered.get_or_insert(now);
        if self.clock_rate != clock_rate {
            self.clock_rate = clock_rate;
            self.retire_source();
        }
    }

    /// Takes the connection's state; `false` if it was that already or closed for good.
    pub fn connection(&mut self, now: Instant, state: ConnectionState) -> bool {
        let current = self.statistics.connection;
        if current == state || current == ConnectionState::Closed {
            return false;
        }
        self.statistics.connection = state;
        if state == ConnectionState::Connected && self.statistics.connect_time.is_none() {
            self.statistics.connect_time = self.answered.map(|answered| now - answered);
        }
        true
    }

    /// A packet of the far end. `timed` says whether its timestamp runs with the clock (not so in key tones,
    /// whose packets repeat the timestamp of the key's beginning).
    pub fn received(
        &mut self,
        now: Instant,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        timed: bool,
    ) {
        if self
            .source
            .as_ref()
            .is_none_or(|source| source.ssrc != ssrc)
        {
            self.retire_source();
        }
        let clock_rate = self.clock_rate;
        let source = self.source.get_or_insert_with(|| Source {
            ssrc,
            reception: Reception::new(sequence, clock_rate),
            last_report: None,
        });
        source.reception.packet(sequence);
        if timed {
            source.reception.time(now, timestamp);
        }
    }

    /// A packet for which the audio thread's queue had no room (or that is too big for it).
    pub fn dropped(&mut self) {
        self.statistics.queue_drops += 1;
    }

    /// A packet of ours went out.
    pub fn sent(&mut self, now: Instant, timestamp: u32, octets: usize) {
        self.statistics.packets_sent += 1;
        self.octets_sent += octets as u64;
        self.last_sent = Some((timestamp, now));
    }

    /// RTCP came.
    pub fn control(&mut self, now: Instant, packets: &[Box<dyn RtcpPacket>]) {
        for packet in packets {
            let packet = packet.as_any();
            if let Some(report) = packet.downcast_ref::<SenderReport>() {
                if let Some(source) = self
                    .source
                    .as_mut()
                    .filter(|source| source.ssrc == report.ssrc)
                {
                    source.last_report = Some((middle_bits(report.ntp_time), now));
                }
                self.report_blocks(now, &report.reports);
            } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
                self.report_blocks(now, &report.reports);
            }
        }
    }

    /// Our report, a compound packet (RFC 3550 section 6.1): a sender report if we have sent since the last, else
    /// a receiver report, and our canonical name.
    pub fn report(&mut self, now: Instant, wall: SystemTime) -> Vec<Box<dyn RtcpPacket>> {
        let reports: Vec<_> = self
            .source
            .iter_mut()
            .map(|source| source.report(now))
            .collect();
        let first: Box<dyn RtcpPacket> = match self.last_sent {
            Some((timestamp, when)) if self.statistics.packets_sent > self.sent_at_report => {
                self.sent_at_report = self.statistics.packets_sent;
                let ntp_time = ntp(wall);
                if self.reports.len() == REPORTS_REMEMBERED {
                    self.reports.pop_front();
                }
                self.reports.push_back((middle_bits(ntp_time), now));
                let since = (now - when).as_secs_f64() * f64::from(self.clock_rate);
                Box::new(SenderReport {
                    ssrc: self.own_ssrc,
                    ntp_time,
                    rtp_time: timestamp.wrapping_add(since as u32),
                    packet_count: self.statistics.packets_sent as u32,
                    octet_count: self.octets_sent as u32,
                    reports,
                    ..Default::default()
                })
            }
            _ => Box::new(ReceiverReport {
                ssrc: self.own_ssrc,
                reports,
                ..Default::default()
            }),
        };
        let name = SourceDescription {
            chunks: vec![SourceDescriptionChunk {
                source: self.own_ssrc,
                items: vec![SourceDescriptionItem {
                    sdes_type: SdesType::SdesCname,
                    text: self.cname.clone().into(),
                }],
            }],
        };
        vec![first, Box::new(name)]
    }

    /// What the far end says about our source, in sender and in receiver reports alike.
    fn report_blocks(&mut self, now: Instant, blocks: &[ReceptionReport]) {
        for block in blocks.iter().filter(|block| block.ssrc == self.own_ssrc) {
            self.statistics.remote_loss_percent =
                Some(f64::from(block.fraction_lost) * 100.0 / 256.0);
            // RFC 3550 section 6.4.1: now - LSR - DLSR. "Now - LSR" is taken from our monotonic clock, so that a
            // step of the wall clock in the middle of a call does no harm.
            let sent = self
                .reports
                .iter()
                .rev()
                .find(|(bits, _)| *bits == block.last_sender_report);
            let Some((_, sent)) = sent else { continue };
            let delay = Duration::from_secs_f64(f64::from(block.delay) / 65_536.0);
            let round_trip = (now - *sent).saturating_sub(delay);
            if round_trip < ABSURD_ROUND_TRIP {
                let milliseconds = round_trip.as_secs_f64() * 1000.0;
                self.statistics.rtt_ms = Some(milliseconds);
                self.statistics.rtt_total_ms += milliseconds;
                self.statistics.rtt_count += 1;
            }
        }
    }

    fn retire_source(&mut self) {
        if let Some(source) = self.source.take() {
            self.earlier.0 += source.reception.received();
            self.earlier.1 += source.reception.lost();
        }
    }
}

impl Source {
    fn report(&mut self, now: Instant) -> ReceptionReport {
        let (last_sender_report, delay) = match self.last_report {
            Some((bits, when)) => (bits, ((now - when).as_secs_f64() * 65_536.0) as u32),
            None => (0, 0),
        };
        ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: self.reception.fraction_lost(),
            // Cumulative loss is a signed 24-bit field; the stack writes an unsigned one.
            total_lost: self.reception.lost().clamp(0, 0x7f_ffff) as u32,
            last_sequence_number: self.reception.highest(),
            jitter: self.reception.jitter() as u32,
            last_sender_report,
            delay,
        }
    }
}

/// NTP timestamp, 32.32 bits (RFC 3550 section 4).
fn ntp(wall: SystemTime) -> u64 {
    let since = wall
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since.as_secs() + NTP_TO_UNIX_SECONDS;
    (seconds << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP timestamp, as reports carry them.
fn middle_bits(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests;
