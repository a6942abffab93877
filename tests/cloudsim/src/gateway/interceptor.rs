//! Looks at every packet between SRTP and the rest of the stack.
//!
//! The stack swallows inbound RTCP and its own statistics miss the report blocks inside sender
//! reports, so this gateway counts for itself. The tap sits nearest to the wire: it sees packets
//! in the order they arrived, with the time they were read from the socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::mpsc;

use super::network::{Network, Way};

/// Where the tap is in the chain: nearer to the wire than any named slot.
pub(super) const SLOT: usize = 500;

/// A packet of the phone, with the time it was read from the socket.
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) packet: rtp::Packet,
}

/// What went over the wire, as far as RTCP and counting go.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
    pub(super) first_out: Option<Instant>,
    pub(super) rtcp_in: u64,
    pub(super) rtt: Option<Duration>,
    pub(super) remote_lost: Option<i64>,
    /// Our last sender reports: the middle 32 bits of the NTP time, and when they left.
    reports: VecDeque<(u32, Instant)>,
}

impl Wire {
    fn sent(&mut self, at: Instant, packet: &Packet) {
        match packet {
            Packet::Rtp(packet) => {
                self.packets_out += 1;
                self.bytes_out += packet.payload.len() as u64;
                self.first_out.get_or_insert(at);
            }
            Packet::Rtcp(packets) => {
                for report in packets
                    .iter()
                    .filter_map(|p| p.as_any().downcast_ref::<SenderReport>())
                {
                    self.reports.push_back(((report.ntp_time >> 16) as u32, at));
                    if self.reports.len() > 8 {
                        self.reports.pop_front();
                    }
                }
            }
            _ => {}
        }
    }

    fn received_rtcp(&mut self, at: Instant, packets: &[Box<dyn rtc::rtcp::Packet>]) {
        self.rtcp_in += packets.len() as u64;
        for packet in packets {
            let any = packet.as_any();
            if let Some(report) = any.downcast_ref::<SenderReport>() {
                self.received_blocks(at, &report.reports);
            } else if let Some(report) = any.downcast_ref::<ReceiverReport>() {
                self.received_blocks(at, &report.reports);
            }
        }
    }

    /// RFC 3550 section 6.4.1: the round trip is the time since our report left, less the time
    /// the other side kept it.
    fn received_blocks(&mut self, at: Instant, blocks: &[ReceptionReport]) {
        for block in blocks {
            // A signed 24-bit number on the wire: duplicates make it negative.
            self.remote_lost = Some(i64::from(((block.total_lost << 8) as i32) >> 8));
            let sent = self
                .reports
                .iter()
                .find(|(ntp, _)| *ntp == block.last_sender_report);
            if let Some((_, sent)) = sent {
                let kept = Duration::from_secs_f64(f64::from(block.delay) / 65_536.0);
                self.rtt = Some(at.saturating_duration_since(*sent).saturating_sub(kept));
            }
        }
    }
}

/// The interceptor.
pub(super) struct Tap {
    pub(super) wire: Arc<Mutex<Wire>>,
    pub(super) arrivals: mpsc::UnboundedSender<Arrival>,
    /// What becomes of the phone's packets before anything here has seen them.
    way_in: Way,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl Tap {
    /// Loses so many of the phone's packets.
    pub(super) fn new(
        wire: Arc<Mutex<Wire>>,
        arrivals: mpsc::UnboundedSender<Arrival>,
        lost_in_percent: f64,
    ) -> Self {
        let network = Network {
            loss_percent: lost_in_percent,
            ..Network::default()
        };
        Self {
            wire,
            arrivals,
            way_in: network.way(),
            read: VecDeque::new(),
            write: VecDeque::new(),
        }
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
            Packet::Rtp(_) if self.way_in.packet(0.0).is_none() => return Ok(()),
            // A closed receiver means that nobody listens any more.
            Packet::Rtp(packet) => drop(self.arrivals.send(Arrival {
                at: msg.now,
                packet: packet.clone(),
            })),
            Packet::Rtcp(packets) => self
                .wire
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .received_rtcp(msg.now, packets),
            _ => {}
        }
        self.read.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.wire
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sent(msg.now, &msg.message.packet);
        self.write.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.write.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
