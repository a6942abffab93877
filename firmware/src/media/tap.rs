//! Our one interceptor in the stack: takes RTP and RTCP where they come off the socket, and sends our reports.
//!
//! It stands in for the stack's tracks and reports because:
//! - a remote track's queue drops packets when it is not polled, and tells neither when a packet came;
//! - the stack routes by source and throws away the packets of a second one, but a gateway may change its source
//!   within a call;
//! - the stack settles its codecs once and for all, so the payload types agreed on are put in here;
//! - the stack's own interceptors swallow inbound RTCP, and send sender and receiver reports in two packets.

use super::line::Line;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Mean time between our reports. RFC 4585 section 6.2 lets a point-to-point session send them as often as 5 % of
/// its bandwidth allow; a report is about 110 bytes on the wire, so one per second is 1 kbit/s of 64.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Tap {
    line: Arc<Line>,
    next_report: Option<Instant>,
    /// State of the little generator that spreads the reports.
    spread: u32,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Tap {
    /// `seed` is any random number.
    pub(super) fn new(line: Arc<Line>, seed: u32) -> Self {
        Self {
            line,
            next_report: None,
            spread: seed | 1,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
        }
    }

    /// Half to one and a half intervals, so that the reports of many calls do not march in step
    /// (RFC 3550 section 6.3.1).
    fn spread_interval(&mut self) -> Duration {
        self.spread ^= self.spread << 13;
        self.spread ^= self.spread >> 17;
        self.spread ^= self.spread << 5;
        REPORT_INTERVAL / 2 + REPORT_INTERVAL.mul_f64(f64::from(self.spread) / f64::from(u32::MAX))
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        match &msg.message.packet {
            Packet::Rtp(packet) => self.line.received(msg.now, packet),
            Packet::Rtcp(packets) => self.line.control(msg.now, packets),
            _ => self.reads.push_back(msg),
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &mut msg.message.packet {
            self.line.sent(msg.now, packet);
        }
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.next_report.is_some_and(|due| now < due) {
            return Ok(());
        }
        // The first call comes when DTLS is up: nothing has been heard yet, so only the timer is set.
        if self.next_report.is_some() {
            let report = Packet::Rtcp(self.line.report(now));
            self.writes.push_back(TaggedPacket {
                now,
                transport: TransportContext::default(),
                message: AttributedPacket::new(report),
            });
        }
        self.next_report = Some(now + self.spread_interval());
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.next_report
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
