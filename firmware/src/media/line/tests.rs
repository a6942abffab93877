//! What of the far end's packets reaches the ear, through the queue and the engine, in virtual time.

use super::*;
use crate::audio::{AudioCommand, Control, Engine, EngineConfig, StreamCounters, pipeline};
use crate::media::CodecKind;
use offhook_hal::audio::PERIOD_FRAMES;
use std::time::Duration;

const PCMU: Negotiated = Negotiated {
    codec: CodecKind::Pcmu,
    payload_type: 0,
    dtmf_payload_type: Some(101),
    noise_payload_type: None,
    sending: true,
    receiving: true,
    frame_ms: 20,
};
/// Periods of one packet.
const PACKET: u64 = 2;

/// A phone that listens on a line with PCMU, and what it hears.
struct Listener {
    line: Arc<Line>,
    engine: Engine,
    control: Control,
    start: Instant,
    /// Of 10 ms, played since.
    periods: u64,
    sequence: u16,
    heard: Vec<f32>,
}

impl Listener {
    fn new(negotiated: Negotiated) -> Self {
        let (engine, mut control, [port, ..]) = pipeline(EngineConfig::default()).unwrap();
        let stream = port.stream;
        for command in [
            AudioCommand::StartStream {
                stream,
                codec: negotiated.codec,
                frame_ms: 20,
            },
            AudioCommand::Listen(true),
        ] {
            control.send(command).unwrap();
        }
        let line = Line::new(1, "test".to_owned(), port, Arc::new(|_| ()));
        line.answered(negotiated);
        let mut listener = Self {
            line,
            engine,
            control,
            start: Instant::now(),
            periods: 0,
            sequence: 65_530,
            heard: Vec::new(),
        };
        // The stream starts with the next period, and forgets what came before.
        listener.play();
        listener
    }

    /// A packet comes off the socket now.
    fn receive(&mut self, payload_type: u8, payload: Vec<u8>) {
        let mut packet = rtp::Packet::default();
        packet.header.ssrc = 77;
        packet.header.payload_type = payload_type;
        packet.header.sequence_number = self.sequence;
        packet.header.timestamp = (self.periods * 80) as u32;
        packet.payload = payload.into();
        self.sequence = self.sequence.wrapping_add(1);
        self.line.received(self.now(), &packet);
    }

    /// 20 ms of a square wave of 1 kHz.
    fn voice(&mut self) {
        let wave = [0x20, 0x20, 0x20, 0x20, 0xa0, 0xa0, 0xa0, 0xa0];
        self.receive(0, wave.repeat(20));
    }

    /// The next 20 ms.
    fn play(&mut self) {
        for _ in 0..PACKET {
            let mut played = [0; PERIOD_FRAMES];
            self.periods += 1;
            self.engine
                .process_at(self.now(), &[0; PERIOD_FRAMES], &mut played);
            self.line.frames(&mut Vec::new());
            self.heard
                .extend(played.map(|sample| f32::from(sample) / 32_768.0));
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(10) * self.periods as u32
    }

    fn counters(&self) -> StreamCounters {
        self.control.stream(0)
    }

    /// Level of the last `ms`, dB below a full-scale square wave.
    fn level(&self, ms: usize) -> f32 {
        let last = &self.heard[self.heard.len() - ms * 48..];
        let power = last.iter().map(|sample| sample * sample).sum::<f32>() / last.len() as f32;
        -10.0 * power.max(1e-12).log10()
    }
}

/// While every payload type but the audio's was thrown away here, a far end that does not speak was concealed and faded
/// out as one that had failed, and each of its pauses was counted as loss.
#[test]
fn comfort_noise_is_heard() {
    let dynamic = Negotiated {
        noise_payload_type: Some(97),
        ..PCMU
    };
    // The static type also where nothing was said of it.
    for (negotiated, payload_type) in [(PCMU, 13), (dynamic, 97), (dynamic, 13)] {
        let mut phone = Listener::new(negotiated);
        for _ in 0..50 {
            phone.voice();
            phone.play();
        }
        let before = phone.counters();
        let concealed = before.concealed_samples;
        for n in 0..100 {
            if n % 5 == 0 {
                phone.receive(payload_type, vec![50, 0, 0]);
            }
            phone.play();
        }
        let level = phone.level(1500);
        assert!((level - 50.0).abs() < 3.0, "{payload_type}: -{level} dB");
        for _ in 0..50 {
            phone.voice();
            phone.play();
        }
        let counters = phone.counters();
        assert_eq!(
            (counters.lost, counters.refused, counters.packets),
            (0, 0, 100),
            "{counters:?}"
        );
        assert!(
            counters.concealed_samples <= concealed + 960,
            "{counters:?}"
        );
        assert!(phone.level(500) < 20.0, "it speaks again");
    }
}

/// While what tells of silence was looked for only where sound had just ended, the loss of the first of these packets
/// made the rest of the pause dead silent.
#[test]
fn comfort_noise_is_heard_though_its_first_packet_is_lost() {
    let mut phone = Listener::new(PCMU);
    for _ in 0..50 {
        phone.voice();
        phone.play();
    }
    phone.sequence = phone.sequence.wrapping_add(1);
    (0..15).for_each(|_| phone.play());
    assert!(phone.level(100) > 90.0, "it has faded out");
    phone.receive(13, vec![50]);
    (0..25).for_each(|_| phone.play());
    let level = phone.level(300);
    assert!((level - 50.0).abs() < 3.0, "-{level} dB");
    for _ in 0..50 {
        phone.voice();
        phone.play();
    }
    assert_eq!(phone.counters().lost, 1);
}

/// While the far end's telephone events were thrown away here, the jitter buffer took their numbers for lost audio.
#[test]
fn what_is_not_heard_is_not_lost() {
    let empty = |n: u64| (0, vec![0; (n % 3 == 2).into()]);
    let event = |_| (101, vec![5, 10, 0, 160]);
    let unknown = |n: u64| (90 + n as u8 % 10, vec![1; 1600]);
    let others: [&dyn Fn(u64) -> (u8, Vec<u8>); 3] = [&empty, &event, &unknown];
    for (which, other) in others.into_iter().enumerate() {
        let mut phone = Listener::new(PCMU);
        // The very first packet says nothing of what the audio is.
        for n in 0..200 {
            let (payload_type, payload) = other(n * 3);
            phone.receive(payload_type, payload);
            phone.voice();
            phone.play();
        }
        let counters = phone.counters();
        assert_eq!(
            (counters.packets, counters.lost, counters.refused),
            (200, 0, 0),
            "{which}: {counters:?}"
        );
        assert_eq!(counters.concealed_samples, 0, "{which}: {counters:?}");
        assert_eq!(phone.line.statistics().queue_drops, 0, "{which}");
    }
}

/// As above: forty seconds on hold with music were as many of lost packets afterwards.
#[test]
fn what_came_on_hold_is_not_lost() {
    let mut phone = Listener::new(PCMU);
    let held = Negotiated {
        receiving: false,
        ..PCMU
    };
    for (negotiated, packets) in [(PCMU, 50), (held, 2000), (PCMU, 50)] {
        phone.line.answered(negotiated);
        for _ in 0..packets {
            phone.voice();
            phone.play();
        }
        let heard = phone.level(500) < 20.0;
        assert_eq!(heard, negotiated.receiving);
    }
    let counters = phone.counters();
    assert_eq!((counters.packets, counters.lost), (100, 0), "{counters:?}");
}

/// While the first payload type of a source was taken for its audio for ever, the far end was silent from then on.
#[test]
fn an_answer_may_change_the_payload_type() {
    let mut phone = Listener::new(PCMU);
    for payload_type in [0, 97] {
        phone.line.answered(Negotiated {
            payload_type,
            ..PCMU
        });
        for _ in 0..50 {
            phone.receive(payload_type, [0x20, 0x20, 0xa0, 0xa0].repeat(40));
            phone.play();
        }
        assert!(phone.level(500) < 20.0, "{payload_type}");
    }
    assert_eq!(phone.counters().packets, 100);
}

#[test]
fn telephone_events_of_another_source_do_not_take_over() {
    let mut phone = Listener::new(PCMU);
    for n in 0..100u16 {
        phone.voice();
        let mut event = rtp::Packet::default();
        event.header.ssrc = 78;
        event.header.payload_type = 101;
        event.header.sequence_number = n;
        event.payload = vec![5, 10, 0, 160].into();
        for _ in 0..2 {
            phone.line.received(phone.now(), &event);
        }
        phone.play();
    }
    let counters = phone.counters();
    assert_eq!(
        (counters.packets, counters.restarts),
        (100, 0),
        "{counters:?}"
    );
}
