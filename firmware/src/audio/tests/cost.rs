//! What a second of call costs, in instructions: `tests/audio/cost` runs each of these under callgrind, for two lengths
//! whose difference leaves out what comes before. Recorded speech, Opus as the phone uses it, 20 ms packets.

use super::rig::Phone;
use super::speech::speech;
use crate::audio::CodecKind::Opus;
use crate::audio::capture::CaptureChain;
use crate::audio::codec::{Decode, Decoder, MAX_PACKET_SAMPLES, Payload};
use crate::audio::mixer::{Mixer, Sources};
use crate::audio::pipeline::leaked;
use crate::audio::ramp::ms;
use crate::audio::stream::Stream;
use crate::audio::voice::Voice;
use crate::audio::{
    AudioCommand, Content, EchoCancelling, EncodedFrame, EngineConfig, Feedback, Frame, OpusConfig,
    PACKET_QUEUE, RtpPacket, VoiceConfig,
};
use heapless::spsc::{Consumer, Producer};
use offhook_hal::audio::{PERIOD_FRAMES, Period};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long the call is.
fn seconds() -> usize {
    let given = std::env::var("OFFHOOK_SECONDS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(1)
}

/// Periods of speech.
fn periods() -> impl Iterator<Item = Frame> {
    let recorded = speech();
    let whole = recorded.len() / PERIOD_FRAMES;
    (0..seconds() * 100).map(move |n| {
        let start = n % whole * PERIOD_FRAMES;
        std::array::from_fn(|k| recorded[start + k])
    })
}

fn captured(frame: &Frame) -> Period {
    frame.map(|sample| (sample * 32_767.0) as i16)
}

/// libopus with nothing around it, both ways.
struct Libopus {
    encoder: opus::Encoder,
    decoder: opus::Decoder,
}

impl Libopus {
    fn new() -> Self {
        let config = OpusConfig::default();
        let channels = opus::Channels::Mono;
        let mut encoder = opus::Encoder::new(48_000, channels, opus::Application::Voip).unwrap();
        encoder
            .set_bitrate(opus::Bitrate::Bits(config.bitrate_bps as i32))
            .unwrap();
        encoder.set_complexity(config.complexity.into()).unwrap();
        encoder.set_inband_fec(config.fec).unwrap();
        encoder
            .set_packet_loss_perc(config.expected_loss_percent.into())
            .unwrap();
        encoder.set_signal(opus::Signal::Voice).unwrap();
        encoder.set_lsb_depth(16).unwrap();
        let decoder = opus::Decoder::new(48_000, channels).unwrap();
        Self { encoder, decoder }
    }

    fn encode(&mut self, sound: &[f32]) -> Payload {
        let mut payload = Payload::new();
        payload.resize_default(1200).unwrap();
        let bytes = self.encoder.encode_float(sound, &mut payload).unwrap();
        payload.truncate(bytes);
        payload
    }
}

fn pairs() -> impl Iterator<Item = Vec<f32>> {
    let mut periods = periods();
    std::iter::from_fn(move || Some([periods.next()?, periods.next()?].concat()))
}

/// A stream, and the other ends of its queues.
fn stream() -> (
    Stream,
    Producer<'static, RtpPacket>,
    Consumer<'static, EncodedFrame>,
) {
    let (inbound, packets) = leaked::<_, PACKET_QUEUE>();
    let (frames, outbound) = leaked::<_, PACKET_QUEUE>();
    let config = EngineConfig::default();
    let mut stream = Stream::new(&config, packets, frames, Feedback::default()).unwrap();
    stream.start(Opus, 20);
    (stream, inbound, outbound)
}

/// The packet that comes in period `n`, if one does.
fn packet(packets: &[Payload], n: usize, base: Instant) -> Option<RtpPacket> {
    (n.is_multiple_of(2)).then(|| RtpPacket {
        content: Content::Audio,
        sequence: (n / 2) as u16,
        timestamp: (n * PERIOD_FRAMES) as u32,
        ssrc: 1,
        marker: false,
        arrival: base + Duration::from_millis(10 * n as u64),
        payload: packets[n / 2 % packets.len()].clone(),
    })
}

#[test]
#[ignore = "measured by tests/audio/cost"]
fn libopus() {
    let mut libopus = Libopus::new();
    let mut out = vec![0.0; MAX_PACKET_SAMPLES];
    for sound in pairs() {
        let payload = libopus.encode(&sound);
        libopus
            .decoder
            .decode_float(&payload, &mut out[..960], false)
            .unwrap();
        black_box(&out);
    }
}

#[test]
#[ignore = "measured by tests/audio/cost"]
fn libopus_encoder() {
    let mut libopus = Libopus::new();
    for sound in pairs() {
        black_box(libopus.encode(&sound));
    }
}

#[test]
#[ignore = "measured by tests/audio/cost"]
fn capture() {
    let (mut stream, _inbound, mut outbound) = stream();
    let mut chain = CaptureChain::new([VoiceConfig::default(); 3]);
    let mut out = [0.0; PERIOD_FRAMES];
    for frame in periods() {
        chain.process(&captured(&frame), &[0.0; PERIOD_FRAMES], &mut out);
        stream.send(&out, true);
        while outbound.dequeue().is_some() {}
    }
}

/// The same packets again and again, so that encoding them is not counted.
fn some_packets() -> Vec<Payload> {
    let mut libopus = Libopus::new();
    let recorded = speech();
    recorded
        .chunks_exact(ms(20))
        .take(50)
        .map(|sound| libopus.encode(sound))
        .collect()
}

#[test]
#[ignore = "measured by tests/audio/cost"]
fn playback() {
    let packets = some_packets();
    let (mut stream, mut inbound, _outbound) = stream();
    let mut mixer = Mixer::new(&EngineConfig::default());
    mixer.set_listen(true);
    let base = Instant::now();
    for n in 0..seconds() * 100 {
        if let Some(packet) = packet(&packets, n, base) {
            inbound.enqueue(packet).ok().unwrap();
        }
        let (mut far, mut played, mut out) = (
            [0.0; PERIOD_FRAMES],
            [0.0; PERIOD_FRAMES],
            [0; PERIOD_FRAMES],
        );
        stream.receive(base + Duration::from_millis(10 * n as u64), &mut far);
        let silence = [0.0; PERIOD_FRAMES];
        let sources = Sources {
            far: &far,
            tones: &silence,
            near: &silence,
            ring: &silence,
        };
        mixer.mix(&sources, &mut played, &mut out);
        black_box(out);
    }
}

/// Plays what it is given, at no cost.
struct NoCodec;

impl Decode for NoCodec {
    fn samples(&self, _payload: &[u8]) -> Option<usize> {
        Some(960)
    }
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        out[..960].fill(f32::from(payload[0]) / 1000.0);
        Some(960)
    }
    fn recover(&mut self, _following: &[u8], _out: &mut [f32]) -> bool {
        false
    }
    fn carries_copy(&self, _payload: &[u8]) -> bool {
        false
    }
    fn rests(&self, _payload: &[u8]) -> bool {
        false
    }
    fn comfort_noise(&mut self, _level: u8) {}
    fn conceal(&mut self, out: &mut [f32]) {
        out.fill(0.0);
    }
    fn reset(&mut self) {}
}

/// A clock that drifts and packets that jitter, so that it has to stretch.
#[test]
#[ignore = "measured by tests/audio/cost"]
fn jitter_buffer() {
    let packets = some_packets();
    let mut jitter = crate::audio::jitter::JitterBuffer::new(0);
    jitter.start(1);
    let base = Instant::now();
    for n in 0..seconds() * 100 {
        let now = base + Duration::from_micros(10_002 * n as u64);
        if let Some(mut packet) = packet(&packets, n, base) {
            packet.arrival = now;
            // One in eight is overtaken by the next.
            packet.sequence ^= u16::from(n % 16 == 0);
            jitter.insert(packet, now);
        }
        let mut frame = [0.0; PERIOD_FRAMES];
        jitter.pull(&mut NoCodec, now, &mut frame);
        black_box(frame);
    }
}

#[test]
#[ignore = "measured by tests/audio/cost"]
fn echo_canceller() {
    let mut voice = Voice::new(VoiceConfig {
        echo_cancelling: Some(EchoCancelling::default()),
        ..VoiceConfig::default()
    });
    let mut last = [0.0; PERIOD_FRAMES];
    for frame in periods() {
        let mut near = last.map(|sample| sample * 0.3);
        voice.process(&mut near, &frame);
        black_box(near);
        last = frame;
    }
}

/// Microphone to wire and wire to ear, without echo cancelling.
#[test]
#[ignore = "measured by tests/audio/cost"]
fn whole() {
    let packets = some_packets();
    let base = Instant::now();
    let mut phone = Phone::new(EngineConfig::default(), base, 0.0);
    phone.start(Opus, 20);
    phone.send(AudioCommand::Volume(80));
    for (n, frame) in periods().enumerate() {
        if let Some(packet) = packet(&packets, n, base) {
            phone.ports[0].inbound.enqueue(packet).ok().unwrap();
        }
        phone.step(&captured(&frame));
        phone.heard.clear();
        while phone.ports[0].outbound.dequeue().is_some() {}
    }
}

/// Each of the above does something, whatever is measured.
#[test]
fn what_is_measured_works() {
    let packets = some_packets();
    let mut decoder = Decoder::new().unwrap();
    decoder.start(Opus);
    let mut out = vec![0.0; MAX_PACKET_SAMPLES];
    for packet in &packets {
        assert_eq!(decoder.decode(packet, &mut out), Some(960));
    }
    for work in [
        libopus,
        capture,
        playback,
        jitter_buffer,
        echo_canceller,
        whole,
    ] {
        work();
    }
}
