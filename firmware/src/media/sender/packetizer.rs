//! Sequence numbers and timestamps of our source.

use crate::audio::EncodedFrame;
use crate::media::Negotiated;
use crate::media::sdp::{STACK_AUDIO, STACK_KEYS};
use bytes::Bytes;
use rtc::rtp;
use std::time::{Duration, Instant};

/// A frame may come this much later than its predecessor's end and its own length without a pause between them.
const SLACK: Duration = Duration::from_millis(40);

/// One source, continuous over codec changes, holds and keys. Its packets bear the payload types the stack knows; the
/// interceptor replaces them.
pub(in crate::media) struct Packetizer {
    ssrc: u32,
    sequence: u16,
    /// Timestamp of the next frame.
    timestamp: u32,
    /// Timestamp of the key being sent.
    key_timestamp: u32,
    /// When the last frame came.
    last: Option<Instant>,
    frame_length: Duration,
    /// Set the marker on the next audio packet.
    mark: bool,
    negotiated: Option<Negotiated>,
}

impl Packetizer {
    /// `sequence` and `timestamp` are random (RFC 3550 section 5.1).
    pub(in crate::media) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence,
            timestamp,
            key_timestamp: timestamp,
            last: None,
            frame_length: Duration::from_millis(20),
            mark: true,
            negotiated: None,
        }
    }

    pub(super) fn negotiated(&mut self, negotiated: Negotiated) {
        self.negotiated = Some(negotiated);
    }

    pub(super) fn sending(&self) -> bool {
        self.negotiated.is_some_and(|negotiated| negotiated.sending)
    }

    /// RTP clock, Hz.
    pub(super) fn clock_rate(&self) -> u32 {
        self.negotiated
            .map_or(48_000, |negotiated| negotiated.codec.clock_rate())
    }

    /// How long the last frame was: the next one comes so much later, but where the encoder has just changed it.
    pub(super) fn frame_length(&self) -> Duration {
        self.frame_length
    }

    /// A packet of audio; none before an answer was made.
    pub(super) fn audio(&mut self, frame: &EncodedFrame, now: Instant) -> Option<rtp::Packet> {
        self.negotiated?;
        let timestamp = self.pass(frame, now);
        let marker = std::mem::take(&mut self.mark) | frame.talk_spurt;
        Some(self.packet(
            STACK_AUDIO,
            timestamp,
            marker,
            Bytes::copy_from_slice(&frame.payload),
        ))
    }

    /// A frame that is not sent; its time goes by all the same.
    pub(super) fn skip(&mut self, frame: &EncodedFrame, now: Instant) {
        self.pass(frame, now);
        self.mark = true;
    }

    /// A packet of a key (RFC 4733 section 2.1: same source and sequence as the audio; all packets of a key have the
    /// timestamp of its beginning). None if telephone-event was not agreed on.
    pub(super) fn key(
        &mut self,
        payload: [u8; 4],
        first: bool,
        now: Instant,
    ) -> Option<rtp::Packet> {
        self.negotiated?.dtmf_payload_type?;
        if first {
            self.key_timestamp = self.timestamp_at(now, self.frame_length);
        }
        // The audio after a key begins anew.
        self.mark = true;
        Some(self.packet(
            STACK_KEYS,
            self.key_timestamp,
            first,
            Bytes::copy_from_slice(&payload),
        ))
    }

    fn packet(
        &mut self,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: Bytes,
    ) -> rtp::Packet {
        let sequence_number = self.sequence;
        self.sequence = sequence_number.wrapping_add(1);
        rtp::Packet {
            header: rtp::Header {
                version: 2,
                marker,
                payload_type,
                sequence_number,
                timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload,
        }
    }

    /// The frame's timestamp; moves on by its length.
    fn pass(&mut self, frame: &EncodedFrame, now: Instant) -> u32 {
        let length = Duration::from_micros(u64::from(frame.samples) * 1000 / 48);
        if frame.talk_spurt {
            self.timestamp = self.timestamp_at(now, length);
        }
        let timestamp = self.timestamp;
        let ticks = u64::from(frame.samples) * u64::from(self.clock_rate()) / 48_000;
        self.timestamp = timestamp.wrapping_add(ticks as u32);
        self.last = Some(now);
        self.frame_length = length;
        timestamp
    }

    /// The timestamp of what comes now and took `length`: where the last frame ended, or further on if frames have stayed
    /// away for longer (a timestamp is a sampling instant, RFC 3550 section 5.1).
    fn timestamp_at(&self, now: Instant, length: Duration) -> u32 {
        let away = self
            .last
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let late = away.saturating_sub(length);
        let pause = if late > SLACK { late } else { Duration::ZERO };
        let ticks = pause.as_micros() * u128::from(self.clock_rate()) / 1_000_000;
        self.timestamp.wrapping_add(ticks as u32)
    }
}
