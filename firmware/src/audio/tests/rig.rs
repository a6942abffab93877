//! Two phones and a network between them, without time: each step of the loop is 10 ms.

use super::measure::Random;
use crate::audio::CodecKind;
use crate::audio::{
    AudioCommand, Content, Control, EncodedFrame, Engine, EngineConfig, RtpPacket, StreamPort,
    pipeline,
};
use offhook_hal::audio::{PERIOD_FRAMES, Period};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One phone: its engine and both ends of its queues.
pub struct Phone {
    engine: Engine,
    pub control: Control,
    pub ports: [StreamPort; 4],
    /// Everything its ear heard.
    pub heard: Vec<f32>,
    base: Instant,
    /// Of its next period.
    pub now: Duration,
    period: Duration,
}

/// A period of a sound card that is `ppm` slower than the network's time.
fn slow_period(ppm: f64) -> Duration {
    Duration::from_secs_f64(0.010 * (1.0 + ppm * 1e-6))
}

impl Phone {
    /// Listening, nothing started. Its sound card is `ppm` slower than the network's time.
    pub fn new(config: EngineConfig, base: Instant, ppm: f64) -> Self {
        let (engine, mut control, ports) = pipeline(config).unwrap();
        control.send(AudioCommand::Listen(true)).unwrap();
        Self {
            engine,
            control,
            ports,
            heard: Vec::new(),
            base,
            now: Duration::ZERO,
            period: slow_period(ppm),
        }
    }

    /// From now on its sound card is `ppm` slower than the network's time.
    pub fn drift(&mut self, ppm: f64) {
        self.period = slow_period(ppm);
    }

    pub fn send(&mut self, command: AudioCommand) {
        self.control.send(command).unwrap();
    }

    /// Stream 0 with the microphone.
    pub fn start(&mut self, codec: CodecKind, frame_ms: u8) {
        self.send(AudioCommand::StartStream {
            stream: 0,
            codec,
            frame_ms,
        });
        self.send(AudioCommand::Microphone { stream: Some(0) });
    }

    /// One period.
    pub fn step(&mut self, microphone: &Period) {
        let mut playback = [0; PERIOD_FRAMES];
        self.engine
            .process_at(self.base + self.now, microphone, &mut playback);
        self.heard
            .extend(playback.map(|sample| f32::from(sample) / 32_768.0));
        self.now += self.period;
    }
}

/// Silence captured.
pub const SILENCE: Period = [0; PERIOD_FRAMES];

/// What a network does to packets. All seeded.
#[derive(Clone, Copy)]
pub struct Network {
    /// Lost, 0.0 to 1.0.
    pub loss: f64,
    /// Packets lost in a row, mean; at 1.0 each is lost by itself.
    pub burst: f64,
    /// Least delay, ms.
    pub delay_ms: f64,
    /// Mean of what comes on top, exponentially distributed, ms.
    pub jitter_ms: f64,
    pub seed: u64,
}

impl Network {
    /// 1 ms, nothing lost.
    pub const CLEAN: Self = Self {
        loss: 0.0,
        burst: 1.0,
        delay_ms: 1.0,
        jitter_ms: 0.0,
        seed: 1,
    };
}

/// One direction of a call.
pub struct Wire {
    pub network: Network,
    random: Random,
    kind: CodecKind,
    base: Instant,
    sequence: u16,
    timestamp: u32,
    under_way: VecDeque<RtpPacket>,
    /// The last packet was lost.
    losing: bool,
    /// When each frame was sent.
    pub sent: Vec<(Duration, EncodedFrame)>,
}

impl Wire {
    pub fn new(network: Network, kind: CodecKind, base: Instant) -> Self {
        Self {
            network,
            random: Random::new(network.seed),
            kind,
            base,
            sequence: 65_500,
            timestamp: u32::MAX - 100_000,
            under_way: VecDeque::new(),
            losing: false,
            sent: Vec::new(),
        }
    }

    /// Takes what a phone has sent by `now`.
    pub fn take(&mut self, from: &mut StreamPort, now: Duration) {
        while let Some(frame) = from.outbound.dequeue() {
            let ticks = match self.kind {
                CodecKind::Opus => frame.samples,
                CodecKind::Pcmu | CodecKind::Pcma => frame.samples / 6,
            };
            let delay = self.network.delay_ms + self.random.exponential(self.network.jitter_ms);
            let packet = RtpPacket {
                content: Content::Audio,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: 0x0ff4_0023,
                marker: frame.talk_spurt,
                arrival: self.base + now + Duration::from_secs_f64(delay / 1000.0),
                payload: frame.payload.clone(),
            };
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(ticks);
            if !self.loses() {
                let place = self
                    .under_way
                    .partition_point(|other| other.arrival <= packet.arrival);
                self.under_way.insert(place, packet);
            }
            self.sent.push((now, frame));
        }
    }

    /// Whether the next packet is lost (Gilbert's model).
    fn loses(&mut self) -> bool {
        let Network { loss, burst, .. } = self.network;
        let probability = match (burst > 1.0, self.losing) {
            (false, _) => loss,
            (true, true) => 1.0 - 1.0 / burst,
            (true, false) => loss / (burst * (1.0 - loss)),
        };
        self.losing = self.random.uniform() < probability;
        self.losing
    }

    /// Gives a phone what has come by `now`.
    pub fn give(&mut self, to: &mut StreamPort, now: Duration) {
        while self
            .under_way
            .front()
            .is_some_and(|packet| packet.arrival <= self.base + now)
        {
            let packet = self.under_way.pop_front().unwrap();
            assert!(to.inbound.enqueue(packet).is_ok(), "the queue is full");
        }
    }
}

/// A call one way: what phone B heard of phone A's microphone.
pub struct Call {
    pub near: Phone,
    pub far: Phone,
    pub wire: Wire,
}

impl Call {
    /// Both phones started; B's card is `ppm` slower.
    pub fn new(kind: CodecKind, frame_ms: u8, network: Network, ppm: f64) -> Self {
        Self::with(EngineConfig::default(), kind, frame_ms, network, ppm)
    }

    pub fn with(
        config: EngineConfig,
        kind: CodecKind,
        frame_ms: u8,
        network: Network,
        ppm: f64,
    ) -> Self {
        let base = Instant::now();
        let mut near = Phone::new(config, base, 0.0);
        let mut far = Phone::new(config, base, ppm);
        near.start(kind, frame_ms);
        far.start(kind, frame_ms);
        // Another phase of its periods.
        far.now = Duration::from_micros(4300);
        Self {
            near,
            far,
            wire: Wire::new(network, kind, base),
        }
    }

    /// A speaks.
    pub fn speak(&mut self, sound: &[f32]) {
        for chunk in sound.chunks_exact(PERIOD_FRAMES) {
            let microphone = std::array::from_fn(|n| (chunk[n] * 32_768.0) as i16);
            let sent = self.near.now;
            self.near.step(&microphone);
            self.wire.take(&mut self.near.ports[0], sent);
            while self.far.now < self.near.now {
                self.wire.give(&mut self.far.ports[0], self.far.now);
                self.far.step(&SILENCE);
                while self.far.ports[0].outbound.dequeue().is_some() {}
            }
        }
    }
}
