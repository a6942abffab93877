//! One stream: both directions of one call's sound.

use super::codec::{Decoder, samples_per_tick};
use super::counters::StreamCells;
use super::jitter::JitterBuffer;
use super::pipeline::EngineConfig;
use super::ramp::{GATE_SAMPLES, Ramp, ms};
use super::sender::Sender;
use super::{EncodedFrame, Feedback, Frame, RtpPacket, StreamCounters};
use crate::audio::CodecKind;
use heapless::spsc::{Consumer, Producer};
use offhook_hal::audio::PERIOD_FRAMES;
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    On,
    /// One more period, fading out.
    Stopping,
}

/// A stream of the engine.
pub struct Stream {
    state: State,
    packets: Consumer<'static, RtpPacket>,
    sender: Sender,
    decoder: Decoder,
    jitter: JitterBuffer,
    fade: Ramp,
    /// The last sample given to the mixer; what a restart cut off fades from there.
    last: f32,
    cut_off: f32,
    cut_fade: Ramp,
}

impl Stream {
    /// Allocates all it will ever need.
    pub fn new(
        config: &EngineConfig,
        packets: Consumer<'static, RtpPacket>,
        frames: Producer<'static, EncodedFrame>,
        feedback: Feedback,
    ) -> Result<Self, opus::Error> {
        Ok(Self {
            state: State::Off,
            packets,
            sender: Sender::new(config.opus, frames, feedback)?,
            decoder: Decoder::new()?,
            jitter: JitterBuffer::new(ms(config.jitter_headroom_ms.into())),
            fade: Ramp::new(1.0, PERIOD_FRAMES),
            last: 0.0,
            cut_off: 0.0,
            cut_fade: Ramp::new(0.0, GATE_SAMPLES),
        })
    }

    /// Starts, or starts anew.
    pub fn start(&mut self, codec: CodecKind, frame_ms: u8) {
        self.forget_packets();
        self.decoder.start(codec);
        self.jitter.start(samples_per_tick(codec));
        self.sender.start(codec, frame_ms);
        self.fade.jump(1.0);
        self.cut_off = self.last;
        self.cut_fade.jump(1.0);
        self.cut_fade.to(0.0);
        self.state = State::On;
    }

    /// Stops after one more period.
    pub fn stop(&mut self) {
        if self.state == State::On {
            self.state = State::Stopping;
            self.fade.to(0.0);
        }
    }

    /// Is stopped, and has died away.
    pub fn is_off(&self) -> bool {
        self.state == State::Off
    }

    /// Sends a period.
    pub fn send(&mut self, microphone: &Frame, has_microphone: bool) {
        if self.state == State::On {
            self.sender.process(microphone, has_microphone);
        }
    }

    /// Takes in the packets that came, and adds the next period to `mix`.
    pub fn receive(&mut self, now: Instant, mix: &mut Frame) {
        if self.state == State::Off {
            // A packet on its way when the stream stopped must not be heard when it starts again.
            self.forget_packets();
            return;
        }
        while let Some(packet) = self.packets.dequeue() {
            self.jitter.insert(packet, now);
        }
        let mut sound = [0.0; PERIOD_FRAMES];
        self.jitter.pull(&mut self.decoder, now, &mut sound);
        for (to, sample) in mix.iter_mut().zip(sound) {
            self.last = sample * self.fade.next() + self.cut_off * self.cut_fade.next();
            *to += self.last;
        }
        if self.state == State::Stopping {
            self.state = State::Off;
            self.last = 0.0;
        }
    }

    /// Tells how it goes. What was counted stays to be seen after the stream has stopped.
    pub fn publish(&self, cells: &StreamCells) {
        cells.publish(&StreamCounters {
            active: self.state == State::On,
            frames_sent: self.sender.sent,
            frames_dropped: self.sender.dropped,
            ..*self.jitter.counters()
        });
    }

    /// Frames that found the queue full since this was asked last.
    pub fn take_frames_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.sender.newly_dropped)
    }

    fn forget_packets(&mut self) {
        while self.packets.dequeue().is_some() {}
    }
}
