//! The way of a datagram from the socket to the audio thread's queue with nothing before it: no ICE, and SRTP taken off
//! already. It is the stack's own reading, then ours.

use super::line::Line;
use super::tap::Tap;
use super::{Negotiated, Statistics};
use crate::audio::{EncodedFrame, StreamPort};
use bytes::Bytes;
use rtc::interceptor::{AttributedPacket, Packet, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::marshal::Unmarshal;
use rtc::shared::util::{is_rtcp, match_srtp_or_srtcp};
use rtc::{rtcp, rtp};
use std::sync::Arc;
use std::time::Instant;

/// Our end of a connected call.
pub(crate) struct Socket {
    tap: Tap,
    line: Arc<Line>,
    frames: Vec<EncodedFrame>,
}

impl Socket {
    /// Our source is 1.
    pub fn new(port: StreamPort, negotiated: Negotiated) -> Self {
        let line = Line::new(1, "fuzz".to_owned(), port, Arc::new(|_| ()));
        line.answered(negotiated);
        Self {
            tap: Tap::new(line.clone(), 1),
            line,
            frames: Vec::new(),
        }
    }

    /// A datagram comes, if it is one for RTP or RTCP (RFC 7983) and the stack can read it.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) {
        if !match_srtp_or_srtcp(datagram) {
            return;
        }
        let mut bytes = Bytes::copy_from_slice(datagram);
        let packet = if is_rtcp(datagram) {
            rtcp::packet::unmarshal(&mut bytes).map(Packet::Rtcp)
        } else {
            rtp::Packet::unmarshal(&mut bytes).map(Packet::Rtp)
        };
        let Ok(packet) = packet else { return };
        let taken = self.tap.handle_read(TaggedPacket {
            now,
            transport: TransportContext::default(),
            message: AttributedPacket::new(packet),
        });
        assert!(taken.is_ok());
        assert!(self.tap.poll_read().is_none(), "nothing is kept");
    }

    /// Time goes by: reports go out, and what the microphone makes is thrown away.
    pub fn pass(&mut self, now: Instant) {
        assert!(self.tap.handle_timeout(now).is_ok());
        while let Some(out) = self.tap.poll_write() {
            if let Packet::Rtcp(report) = out.message.packet {
                assert!(rtcp::packet::marshal(&report).is_ok());
            }
        }
        self.line.frames(&mut self.frames);
        self.frames.clear();
    }

    pub fn statistics(&self) -> Statistics {
        self.line.statistics()
    }

    /// The call is over.
    pub fn close(self) -> StreamPort {
        self.line.give_back().expect("it was given once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{AudioCommand, CodecKind, EngineConfig, pipeline};
    use offhook_hal::audio::PERIOD_FRAMES;

    /// A header of version 2 with these flags (padding 0x20, extension 0x10, sources 0x0f), then `rest`.
    fn packet(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80 | flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
        packet.extend(rest);
        packet
    }

    fn first_byte(byte: u8) -> Vec<u8> {
        let mut packet = packet(0, &[0xff; 160]);
        packet[0] = byte;
        packet
    }

    /// What is heard of one datagram of a PCMU call: packets received, given to the ear, and too big for it.
    fn check(what: &str, datagram: &[u8], expected: (u64, u64, u64)) {
        let (mut engine, mut control, [port, ..]) = pipeline(EngineConfig::default()).unwrap();
        control
            .send(AudioCommand::StartStream {
                stream: port.stream,
                codec: CodecKind::Pcmu,
                frame_ms: 20,
            })
            .unwrap();
        let mut socket = Socket::new(
            port,
            Negotiated {
                codec: CodecKind::Pcmu,
                payload_type: 0,
                dtmf_payload_type: None,
                noise_payload_type: None,
                sending: true,
                receiving: true,
                frame_ms: 20,
            },
        );
        let now = Instant::now();
        let mut period = || engine.process_at(now, &[0; PERIOD_FRAMES], &mut [0; PERIOD_FRAMES]);
        // The stream starts, and forgets what came before.
        period();
        socket.receive(now, datagram);
        period();
        let statistics = socket.statistics();
        let heard = control.stream(0).packets;
        let seen = (statistics.packets_received, heard, statistics.queue_drops);
        assert_eq!(seen, expected, "{what}");
    }

    #[test]
    fn a_datagram_is_taken_or_left() {
        let sound = [0xff; 160];
        let taken = (1, 1, 0);
        let left = (0, 0, 0);
        let empty = (1, 0, 0);
        let too_big = (1, 0, 1);
        check("nothing", &[], left);
        check("a plain packet", &packet(0, &sound), taken);
        for version in [0x00, 0x40, 0xc0] {
            check("another version", &first_byte(version), left);
        }
        for length in 0..12 {
            check("a cut header", &packet(0, &[])[..length], left);
        }
        check(
            "sources that are not there",
            &packet(15, &sound[..59]),
            left,
        );
        check("15 sources", &packet(15, &sound), taken);
        check("15 sources and no more", &packet(15, &sound[..60]), empty);
        check("padding of 255", &packet(0x20, &sound), left);
        check(
            "padding of 4",
            &packet(0x20, &[&sound[..], &[0, 0, 0, 4]].concat()),
            taken,
        );
        check("only padding", &packet(0x20, &[0, 0, 0, 4]), empty);
        check("padding of nothing", &packet(0x20, &[]), left);
        check("no extension where one is said", &packet(0x10, &[]), left);
        check(
            "an extension longer than the packet",
            &packet(0x10, &sound),
            left,
        );
        for (profile, extension) in [
            ([0xbe, 0xde], [0x10, 0x7f, 0, 0]),
            ([0xbe, 0xde], [0xff, 1, 2, 3]),
            ([0x10, 0x00], [1, 1, 0x7f, 0]),
            ([0x12, 0x34], [1, 2, 3, 4]),
        ] {
            let rest = [&profile[..], &[0, 1], &extension, &sound].concat();
            check("an extension", &packet(0x10, &rest), taken);
        }
        for (size, expected) in [
            (0, empty),
            (1, taken),
            (1500, taken),
            (1501, too_big),
            (65_000, too_big),
        ] {
            check(
                &format!("{size} bytes"),
                &packet(0, &vec![0xff; size]),
                expected,
            );
        }
        // Payload types 64 to 95 with the marker are RTCP's (RFC 5761 section 4).
        let mut report = packet(0, &sound);
        report[1] = 200;
        check("a damaged report", &report, left);
    }
}
