use super::*;
use crate::media::CodecKind;
use crate::media::dtmf;

fn agreed(codec: CodecKind) -> Negotiated {
    Negotiated {
        codec,
        payload_type: 96,
        dtmf_payload_type: Some(101),
        noise_payload_type: None,
        sending: true,
        receiving: true,
        frame_ms: 20,
    }
}

fn frame(talk_spurt: bool) -> EncodedFrame {
    EncodedFrame {
        samples: 960,
        talk_spurt,
        payload: heapless::Vec::from_slice(&[1, 2, 3]).expect("fits"),
    }
}

struct Bench {
    sender: Sender,
    start: Instant,
}

impl Bench {
    fn new(codec: CodecKind) -> Self {
        let start = Instant::now();
        let mut sender = Sender::new(Packetizer::new(7, 65_534, 1000), start);
        sender.command(SenderCommand::Negotiated(agreed(codec)), start);
        sender.command(SenderCommand::Connected(true), start);
        Self { sender, start }
    }

    /// At `milliseconds`, `frames` have come; what goes out as (payload type, sequence, timestamp, marker).
    fn at(&mut self, milliseconds: u64, frames: &[EncodedFrame]) -> Vec<(u8, u16, u32, bool)> {
        let now = self.start + Duration::from_millis(milliseconds);
        self.sender.next_look = self.sender.next_look.min(now);
        self.sender.advance(now, &mut frames.to_vec());
        self.sender
            .out
            .drain(..)
            .map(|packet| packet.header)
            .map(|header| {
                (
                    header.payload_type,
                    header.sequence_number,
                    header.timestamp,
                    header.marker,
                )
            })
            .collect()
    }

    fn command(&mut self, milliseconds: u64, command: SenderCommand) {
        self.sender
            .command(command, self.start + Duration::from_millis(milliseconds));
    }
}

/// A packet's timestamp is where the one before it ended, also where the encoder has changed the length of its frames;
/// and the sender looks for the next one when it is due, not 20 ms after a frame of 10 ms.
#[test]
fn timestamps_go_on_where_frames_get_longer_or_shorter() {
    for (codec, ticks) in [(CodecKind::Opus, 48), (CodecKind::Pcmu, 8)] {
        let mut bench = Bench::new(codec);
        let (mut at, mut timestamp) = (0, 1000);
        for (n, ms) in [20, 20, 40, 60, 60, 10, 10, 20].into_iter().enumerate() {
            at += u64::from(ms);
            let frame = EncodedFrame {
                samples: 48 * ms,
                ..frame(n == 0)
            };
            let sent = bench.at(at, &[frame]);
            let sequence = 65_534u16.wrapping_add(n as u16);
            assert_eq!(sent, [(111, sequence, timestamp, n == 0)], "{ms} ms");
            timestamp += ticks * ms;
            let due = bench.start + Duration::from_millis(at + u64::from(ms));
            assert_eq!(bench.sender.next_look + POLL, due, "{ms} ms");
        }
    }
}

#[test]
fn sequence_and_timestamp_go_on_and_wrap() {
    let mut bench = Bench::new(CodecKind::Opus);
    assert_eq!(bench.at(0, &[frame(true)]), [(111, 65_534, 1000, true)]);
    assert_eq!(bench.at(20, &[frame(false)]), [(111, 65_535, 1960, false)]);
    assert_eq!(bench.at(40, &[frame(false)]), [(111, 0, 2920, false)]);
    assert_eq!(bench.at(42, &[]), []);
}

#[test]
fn g711_runs_at_8_khz() {
    let mut bench = Bench::new(CodecKind::Pcmu);
    let _ = bench.at(0, &[frame(true)]);
    assert_eq!(bench.at(20, &[frame(false)]), [(111, 65_535, 1160, false)]);
}

#[test]
fn nothing_stale_is_sent() {
    let mut bench = Bench::new(CodecKind::Opus);
    bench.command(0, SenderCommand::Connected(false));
    assert_eq!(bench.at(0, &[frame(true), frame(false)]), []);
    bench.command(30, SenderCommand::Connected(true));
    // The sequence has not moved, the time has; the marker says that the sound begins here.
    assert_eq!(
        bench.at(40, &[frame(false)]),
        [(111, 65_534, 1000 + 2 * 960, true)]
    );
    // After a stall, only the newest go out.
    let out = bench.at(240, &vec![frame(false); 10]);
    assert_eq!(out.len(), BURST);
    assert_eq!(out[0], (111, 65_535, 1000 + 3 * 960 + 5 * 960, true));
}

#[test]
fn a_hold_lets_nothing_out() {
    let mut bench = Bench::new(CodecKind::Opus);
    let _ = bench.at(0, &[frame(true)]);
    bench.command(
        10,
        SenderCommand::Negotiated(Negotiated {
            sending: false,
            ..agreed(CodecKind::Opus)
        }),
    );
    assert_eq!(bench.at(20, &[frame(false)]), []);
    bench.command(30, SenderCommand::Negotiated(agreed(CodecKind::Opus)));
    assert_eq!(
        bench.at(40, &[frame(false)]),
        [(111, 65_535, 1000 + 2 * 960, true)]
    );
}

#[test]
fn a_talk_spurt_after_a_pause_has_the_time_of_its_sound() {
    let mut bench = Bench::new(CodecKind::Opus);
    let _ = bench.at(0, &[frame(true)]);
    // One second of silence between the end of the first frame and the beginning of the second.
    assert_eq!(
        bench.at(1020, &[frame(true)]),
        [(111, 65_535, 1960 + 48_000, true)]
    );
}

/// Without the fix, each frame of 60 ms that came a little late in a silence moved the timestamps ahead, and none moved
/// them back.
#[test]
fn long_frames_that_come_a_little_late_have_no_pause_between_them() {
    let mut bench = Bench::new(CodecKind::Opus);
    let long = || EncodedFrame {
        samples: 2880,
        ..frame(true)
    };
    for n in 0..10u32 {
        let late = u64::from(n * 7 % 4);
        let out = bench.at(60 * u64::from(n) + late, &[long()]);
        assert_eq!(out[0].2, 1000 + 2880 * n, "frame {n}");
    }
}

#[test]
fn a_key_takes_the_place_of_the_audio() {
    let mut bench = Bench::new(CodecKind::Opus);
    assert_eq!(bench.at(0, &[frame(true)]), [(111, 65_534, 1000, true)]);
    bench.command(5, SenderCommand::Keys(dtmf::parse("5").expect("a key")));
    let mut out = Vec::new();
    for step in 0..10u64 {
        out.extend(bench.at(5 + 20 * step, &[]));
        out.extend(bench.at(20 + 20 * step, &[frame(false)]));
    }
    let keys: Vec<_> = out
        .iter()
        .filter(|packet| packet.0 == 110)
        .copied()
        .collect();
    assert_eq!(keys.len(), 7);
    assert_eq!(keys[0], (110, 65_535, 1960, true));
    assert!(
        keys[1..].iter().all(|packet| packet.2 == 1960 && !packet.3),
        "{keys:?}"
    );
    // In the wire's order the sequence has no hole, and the audio comes back marked at its own time: the frames at
    // 20, 40, .. 140 ms were left out.
    let sequences: Vec<u16> = out.iter().map(|packet| packet.1).collect();
    assert_eq!(
        sequences,
        (0..out.len() as u16)
            .map(|index| 65_535u16.wrapping_add(index))
            .collect::<Vec<_>>()
    );
    let audio: Vec<_> = out.iter().filter(|packet| packet.0 == 111).collect();
    assert_eq!((audio[0].2, audio[0].3), (1960 + 7 * 960, true));
    assert!(!audio[1].3);
    let _ = bench.at(400, &[]);
    assert_eq!(bench.sender.keys_done, 1);
}

#[test]
fn keys_are_given_up_on_hold() {
    let mut bench = Bench::new(CodecKind::Opus);
    bench.command(0, SenderCommand::Keys(dtmf::parse("123").expect("keys")));
    assert_eq!(bench.at(0, &[]).len(), 1);
    bench.command(
        10,
        SenderCommand::Negotiated(Negotiated {
            sending: false,
            ..agreed(CodecKind::Opus)
        }),
    );
    assert_eq!(bench.at(20, &[]), []);
    assert_eq!(bench.sender.keys_done, 1);
    assert_eq!(bench.sender.next_key, None);
}

#[test]
fn the_queue_is_looked_at_when_a_frame_is_due() {
    let mut bench = Bench::new(CodecKind::Opus);
    let start = bench.start;
    let mut next = |milliseconds, frames: &[EncodedFrame]| {
        let _ = bench.at(milliseconds, frames);
        (bench.sender.next_wake() - start).as_millis()
    };
    assert_eq!(next(0, &[frame(true)]), 18);
    assert_eq!(next(18, &[]), 20);
    assert_eq!(next(20, &[]), 22);
    assert_eq!(next(22, &[frame(false)]), 40);
    // The audio thread stopped: no haste.
    assert_eq!(next(300, &[]), 320);
}
