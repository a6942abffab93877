//! The microphone's way to one stream: gate, frame, codec, queue.

use super::adaptation::{Adaptation, Tuning};
use super::codec::{Encoder, MAX_PACKET_SAMPLES, Payload};
use super::pipeline::OpusConfig;
use super::ramp::{GATE_SAMPLES, Ramp, ms};
use super::{EncodedFrame, Feedback, Frame};
use crate::audio::CodecKind;
use heapless::spsc::Producer;
use offhook_hal::audio::PERIOD_FRAMES;

/// Encodes for one stream.
pub struct Sender {
    encoder: Encoder,
    feedback: Feedback,
    adaptation: Adaptation,
    bandwidth_bps: u32,
    queue: Producer<'static, EncodedFrame>,
    frame: Box<[f32]>,
    filled: usize,
    frame_samples: usize,
    /// Open while this stream has the microphone.
    gate: Ramp,
    talk_spurt: bool,
    /// Frames queued since the start.
    pub sent: u64,
    /// Frames dropped since the start.
    pub dropped: u64,
    /// Frames dropped that the engine has not counted yet.
    pub newly_dropped: u64,
}

impl Sender {
    /// Allocates all it will ever need.
    pub fn new(
        config: OpusConfig,
        queue: Producer<'static, EncodedFrame>,
        feedback: Feedback,
    ) -> Result<Self, opus::Error> {
        Ok(Self {
            encoder: Encoder::new(config)?,
            feedback,
            adaptation: Adaptation::new(Tuning {
                bitrate_bps: config.bitrate_bps,
                expected_loss_percent: config.expected_loss_percent,
            }),
            bandwidth_bps: config.bandwidth_bps,
            queue,
            frame: vec![0.0; MAX_PACKET_SAMPLES].into_boxed_slice(),
            filled: 0,
            frame_samples: ms(20),
            gate: Ramp::new(0.0, GATE_SAMPLES),
            talk_spurt: true,
            sent: 0,
            dropped: 0,
            newly_dropped: 0,
        })
    }

    /// Starts anew. A frame length there is not becomes 20 ms.
    pub fn start(&mut self, codec: CodecKind, frame_ms: u8) {
        self.encoder.start(codec);
        let frame_ms = match frame_ms {
            10 | 20 | 40 | 60 => frame_ms,
            _ => 20,
        };
        let tuning = self
            .adaptation
            .restart(&self.feedback, codec, frame_ms, self.bandwidth_bps);
        self.encoder.tune(tuning);
        self.frame_samples = ms(self.adaptation.frame_ms().into());
        self.filled = 0;
        self.gate.jump(0.0);
        self.talk_spurt = true;
        self.sent = 0;
        self.dropped = 0;
    }

    /// Takes one period of the microphone in; silence goes out unless this stream has it.
    pub fn process(&mut self, microphone: &Frame, has_microphone: bool) {
        self.gate.to(f32::from(has_microphone));
        let place = &mut self.frame[self.filled..self.filled + PERIOD_FRAMES];
        if self.gate.silent() {
            place.fill(0.0);
        } else {
            for (to, sample) in place.iter_mut().zip(microphone) {
                *to = sample * self.gate.next();
            }
        }
        self.filled += PERIOD_FRAMES;
        if self.filled >= self.frame_samples {
            self.filled = 0;
            self.encode();
        }
    }

    fn encode(&mut self) {
        let mut payload = Payload::new();
        let encoded = self
            .encoder
            .encode(&self.frame[..self.frame_samples], &mut payload);
        let frame = EncodedFrame {
            samples: self.frame_samples as u32,
            talk_spurt: self.talk_spurt,
            payload,
        };
        let rests = frame.payload.is_empty();
        if encoded && self.queue.enqueue(frame).is_ok() {
            self.sent += u64::from(!rests);
            self.talk_spurt = rests;
        } else {
            // The far end will hear a gap; the marker bit tells its jitter buffer that a new spurt begins.
            self.dropped += 1;
            self.newly_dropped += 1;
            self.talk_spurt = true;
        }
        // Between two frames, so that each is of one length: its timestamp is where the one before it ended.
        if let Some(tuning) = self.adaptation.follow(&self.feedback) {
            self.encoder.tune(tuning);
            self.frame_samples = ms(self.adaptation.frame_ms().into());
        }
    }
}
