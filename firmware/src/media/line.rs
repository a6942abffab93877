//! What the tasks of one peer share: its meter, its queues to and from the audio thread, and its gates.

use super::meter::Meter;
use super::sdp::STACK_KEYS;
use super::{ConnectionState, EventSink, Negotiated, PeerEvent, Statistics};
use crate::audio::{Content, EncodedFrame, RtpPacket, SendLimits, StreamPort};
use rtc::rtcp::Packet as RtcpPacket;
use rtc::rtp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// Shared by the interceptor, the sender task and the peer. Locked for a few microseconds at a time.
pub(super) struct Line {
    inner: Mutex<Inner>,
    events: EventSink,
}

struct Inner {
    meter: Meter,
    /// Given back when the peer closes; none from then on.
    port: Option<StreamPort>,
    negotiated: Option<Negotiated>,
    heard: bool,
}

impl Line {
    pub(super) fn new(
        own_ssrc: u32,
        cname: String,
        port: StreamPort,
        events: EventSink,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                meter: Meter::new(own_ssrc, cname),
                port: Some(port),
                negotiated: None,
                heard: false,
            }),
            events,
        })
    }

    pub(super) fn emit(&self, event: PeerEvent) {
        (self.events)(event);
    }

    pub(super) fn negotiated(&self) -> Option<Negotiated> {
        self.lock().negotiated
    }

    pub(super) fn answered(&self, negotiated: Negotiated) {
        let mut inner = self.lock();
        inner.negotiated = Some(negotiated);
        inner
            .meter
            .answered(Instant::now(), negotiated.codec.clock_rate());
    }

    /// From now on so much may be sent.
    pub(super) fn limit(&self, limits: SendLimits) {
        if let Some(port) = &self.lock().port {
            port.feedback.limit(limits);
        }
    }

    /// Takes a connection state and reports it if it is new.
    pub(super) fn connection(&self, state: ConnectionState) {
        if self.lock().meter.connection(Instant::now(), state) {
            self.emit(PeerEvent::Connection(state));
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.lock().meter.statistics()
    }

    /// An RTP packet came off the socket at `arrival`.
    pub(super) fn received(&self, arrival: Instant, packet: &rtp::Packet) {
        let header = &packet.header;
        let first = {
            let mut inner = self.lock();
            let Some(negotiated) = inner.negotiated else {
                return;
            };
            let content = negotiated.content(header.payload_type);
            inner.meter.received(
                arrival,
                header.ssrc,
                header.sequence_number,
                header.timestamp,
                content != Content::Nothing,
            );
            // On hold the far end is not heard whatever it sends; and an empty packet carries nothing.
            if negotiated.receiving && !packet.payload.is_empty() {
                inner.pass_on(arrival, content, packet);
                content != Content::Nothing && !std::mem::replace(&mut inner.heard, true)
            } else {
                inner.pass_on(arrival, Content::Nothing, packet);
                false
            }
        };
        if first {
            self.emit(PeerEvent::FirstPacket);
        }
    }

    /// An RTP packet of ours goes down to the socket: it gets the payload type that was agreed on.
    pub(super) fn sent(&self, now: Instant, packet: &mut rtp::Packet) {
        let mut inner = self.lock();
        if let Some(negotiated) = inner.negotiated {
            packet.header.payload_type =
                match (packet.header.payload_type, negotiated.dtmf_payload_type) {
                    (STACK_KEYS, Some(payload_type)) => payload_type,
                    _ => negotiated.payload_type,
                };
        }
        inner
            .meter
            .sent(now, packet.header.timestamp, packet.payload.len());
    }

    pub(super) fn control(&self, now: Instant, packets: &[Box<dyn RtcpPacket>]) {
        let mut inner = self.lock();
        // A report counts as new when it answers another of ours.
        let answered = inner.meter.statistics().rtt_count;
        inner.meter.control(now, packets);
        let statistics = inner.meter.statistics();
        if statistics.rtt_count != answered
            && let Some(lost) = statistics.remote_loss_percent
            && let Some(port) = &inner.port
        {
            port.feedback.reported(lost);
        }
    }

    pub(super) fn report(&self, now: Instant) -> Vec<Box<dyn RtcpPacket>> {
        self.lock().meter.report(now, SystemTime::now())
    }

    /// Moves the audio thread's frames to `frames`; `false` once the port was given back.
    pub(super) fn frames(&self, frames: &mut Vec<EncodedFrame>) -> bool {
        let mut inner = self.lock();
        let Some(port) = inner.port.as_mut() else {
            return false;
        };
        frames.extend(std::iter::from_fn(|| port.outbound.dequeue()));
        true
    }

    /// Gives the port back; packets that come from now on go nowhere.
    pub(super) fn give_back(&self) -> Option<StreamPort> {
        self.lock().port.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics while it holds the lock; and counters that a panic left half done do no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Gives a packet to the audio thread; also one without sound, whose number would else be taken for lost.
    fn pass_on(&mut self, arrival: Instant, content: Content, packet: &rtp::Packet) {
        let Some(port) = self.port.as_mut() else {
            return;
        };
        let sound: &[u8] = match content {
            Content::Nothing => &[],
            Content::Audio | Content::ComfortNoise => &packet.payload,
        };
        let Ok(payload) = heapless::Vec::from_slice(sound) else {
            self.meter.dropped();
            return;
        };
        let header = &packet.header;
        let packet = RtpPacket {
            content,
            sequence: header.sequence_number,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            marker: header.marker,
            arrival,
            payload,
        };
        if port.inbound.enqueue(packet).is_err() {
            self.meter.dropped();
        }
    }
}

#[cfg(test)]
mod tests;
