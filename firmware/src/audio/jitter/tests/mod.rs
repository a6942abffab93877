//! The jitter buffer on seeded networks in virtual time, with a decoder that needs no codec: it plays a sine whose
//! phase is the media time, so that whatever is taken out, put in or repeated shows.

mod anything;
mod neteq;
mod rest;
mod traces;

use super::*;
use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::LazyLock;
use std::time::Duration;

const HZ: f64 = 300.0;

/// Payload: media position (samples, 8 bytes), length (samples, 2 bytes), 1 if it carries a copy of its predecessor.
#[derive(Default)]
struct SineDecoder {
    resets: usize,
    /// Media positions decoded, in order.
    decoded: Vec<i64>,
    /// What it conceals goes on from here; it is silent if it does not hum.
    position: i64,
    hums: bool,
}

fn payload(position: i64, length: usize, fec: bool) -> crate::audio::codec::Payload {
    let mut payload = crate::audio::codec::Payload::new();
    payload.extend(position.to_be_bytes());
    payload.extend((length as u16).to_be_bytes());
    payload.push(u8::from(fec)).unwrap();
    payload
}

/// 300 Hz at 48 kHz repeat after 160 samples, so a table does.
fn sine_at(position: i64, out: &mut [f32]) {
    static TABLE: LazyLock<[f32; 160]> =
        LazyLock::new(|| std::array::from_fn(|n| (TAU * n as f64 / 160.0).sin() as f32 * 0.5));
    for (n, sample) in out.iter_mut().enumerate() {
        *sample = TABLE[(position + n as i64).rem_euclid(160) as usize];
    }
}

fn parse(payload: &[u8]) -> Option<(i64, usize, bool)> {
    let position = i64::from_be_bytes(payload.get(..8)?.try_into().ok()?);
    let length = u16::from_be_bytes(payload.get(8..10)?.try_into().ok()?);
    Some((position, length.into(), *payload.get(10)? == 1))
}

impl Decode for SineDecoder {
    fn samples(&self, payload: &[u8]) -> Option<usize> {
        parse(payload).map(|(_, length, _)| length)
    }
    fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Option<usize> {
        let (position, length, _) = parse(payload)?;
        sine_at(position, &mut out[..length]);
        self.decoded.push(position);
        self.position = position + length as i64;
        Some(length)
    }
    fn recover(&mut self, following: &[u8], out: &mut [f32]) -> bool {
        let Some((position, _, true)) = parse(following) else {
            return false;
        };
        sine_at(position - out.len() as i64, out);
        true
    }
    fn carries_copy(&self, payload: &[u8]) -> bool {
        matches!(parse(payload), Some((_, _, true)))
    }
    fn rests(&self, _payload: &[u8]) -> bool {
        false
    }
    fn comfort_noise(&mut self, _level: u8) {}
    fn conceal(&mut self, out: &mut [f32]) {
        out.fill(0.0);
        if self.hums {
            sine_at(self.position, out);
            self.position += out.len() as i64;
        }
    }
    fn reset(&mut self) {
        self.resets += 1;
    }
}

struct Run<D = SineDecoder> {
    jitter: JitterBuffer,
    decoder: D,
    base: Instant,
    periods: u32,
    /// Sorted by arrival.
    on_the_way: VecDeque<RtpPacket>,
    played: Vec<f32>,
    /// Each period's delay, ms.
    delays: Vec<f64>,
    /// The timestamp of each period's first sample, while it plays.
    played_timestamps: Vec<Option<i64>>,
    /// Between the sender's clock and ours, microseconds.
    phase_us: u64,
}

impl Run {
    fn new() -> Self {
        Self::with_decoder(SineDecoder::default())
    }
}

impl<D: Decode> Run<D> {
    fn with_decoder(decoder: D) -> Self {
        let mut jitter = JitterBuffer::new(0);
        jitter.start(1);
        Self {
            jitter,
            decoder,
            base: Instant::now(),
            periods: 0,
            on_the_way: VecDeque::new(),
            played: Vec::new(),
            delays: Vec::new(),
            played_timestamps: Vec::new(),
            phase_us: 3700,
        }
    }

    fn arrive(&mut self, at_ms: f64, packet: impl FnOnce(&mut RtpPacket)) {
        let mut arriving = RtpPacket {
            content: Content::Audio,
            sequence: 0,
            timestamp: 0,
            ssrc: 1,
            marker: false,
            arrival: self.base + Duration::from_secs_f64(at_ms.max(0.0) / 1000.0),
            payload: payload(0, 960, false),
        };
        packet(&mut arriving);
        let place = self
            .on_the_way
            .partition_point(|other| other.arrival <= arriving.arrival);
        self.on_the_way.insert(place, arriving);
    }

    /// Packet `n` of an ordinary stream of 20 ms packets, sent at n * 20 ms.
    fn send(&mut self, n: usize, late_ms: f64) {
        self.arrive(n as f64 * 20.0 + late_ms, |packet| {
            packet.sequence = n as u16;
            packet.timestamp = (n * 960) as u32;
            packet.payload = payload((n * 960) as i64, 960, false);
        });
    }

    fn play(&mut self, until_ms: f64) {
        while f64::from(self.periods) * 10.0 < until_ms {
            let now = self.now();
            while self
                .on_the_way
                .front()
                .is_some_and(|packet| packet.arrival <= now)
            {
                self.jitter
                    .insert(self.on_the_way.pop_front().unwrap(), now);
            }
            let mut frame = [0.0; PERIOD_FRAMES];
            self.jitter.pull(&mut self.decoder, now, &mut frame);
            self.played.extend(frame);
            self.delays.push(self.jitter.counters().delay_ms.into());
            let plays = self.jitter.state == State::Playing;
            let first = self.jitter.playing() - PERIOD_FRAMES as i64;
            self.played_timestamps.push(plays.then_some(first));
            self.periods += 1;
        }
    }

    /// When the next period is.
    fn now(&self) -> Instant {
        self.base + Duration::from_micros(u64::from(self.periods) * 10_000 + self.phase_us)
    }
}

#[test]
fn headroom_is_delay_that_sudden_jitter_does_not_break() {
    for (headroom_ms, delay_ms, breaks) in [(0, 4.0, true), (40, 44.0, false)] {
        let mut run = Run {
            jitter: JitterBuffer::new(ms(headroom_ms)),
            ..Run::new()
        };
        run.jitter.start(1);
        for n in 0..200 {
            run.send(n, if n < 150 { 0.0 } else { (n % 2) as f64 * 35.0 });
        }
        run.play(2_900.0);
        let before = *run.jitter.counters();
        assert!(
            (f64::from(before.delay_ms) - delay_ms).abs() < 1.5,
            "{before:?}"
        );
        run.play(3_900.0);
        let concealed = run.jitter.counters().concealed_samples - before.concealed_samples;
        assert_eq!(concealed > 0, breaks, "{headroom_ms} ms: {concealed}");
    }
}

/// The delay now says little of a call whose network was another one before.
#[test]
fn the_mean_delay_is_of_all_that_was_played() {
    let mut run = Run::new();
    for n in 0..1000 {
        run.send(n, if n < 500 { 0.0 } else { (n * 7919 % 30) as f64 });
    }
    run.play(19_900.0);
    let played = run.delays.iter().zip(&run.played_timestamps);
    let played: Vec<f64> = played
        .filter_map(|(&delay, timestamp)| timestamp.map(|_| delay))
        .collect();
    let expected = played.iter().sum::<f64>() / played.len() as f64;
    let counters = *run.jitter.counters();
    assert!(
        (f64::from(counters.mean_delay_ms) - expected).abs() < 0.01,
        "{expected}: {counters:?}"
    );
    assert!(
        counters.delay_ms > counters.mean_delay_ms + 5.0,
        "{counters:?}"
    );
    run.jitter.start(1);
    assert!(run.jitter.counters().mean_delay_ms.abs() < f32::EPSILON);
}

#[test]
fn the_sound_is_unbroken_while_it_adapts() {
    let mut run = Run::new();
    for n in 0..1000 {
        run.send(n, if n < 500 { 0.0 } else { (n * 7919 % 30) as f64 });
    }
    run.play(19_900.0);
    let counters = *run.jitter.counters();
    assert!(counters.stretched_samples > 0, "{counters:?}");
    // 300 Hz at half of full scale moves by at most 0.0197 per sample; concealment (zeros here) may cut in.
    let smooth = 0.5 * (TAU * HZ / 48_000.0) as f32 * 1.1;
    let steps = run
        .played
        .windows(2)
        .filter(|w| (w[1] - w[0]).abs() > smooth)
        .count();
    let concealments = counters.concealed_samples as usize / PERIOD_FRAMES;
    assert!(
        steps <= 2 * concealments,
        "{steps} steps in {concealments} concealments"
    );
}

#[test]
fn counts_lost_late_duplicate_and_reordered() {
    let mut run = Run::new();
    for n in 0..100 {
        match n {
            20 => {}                                     // lost
            30 => run.send(n, 200.0),                    // late
            40 => (0..3).for_each(|_| run.send(n, 0.0)), // twice too often
            50 => run.send(n, 21.0),                     // overtaken by 51, on the border
            _ => run.send(n, 0.0),
        }
    }
    run.play(1950.0);
    let counters = *run.jitter.counters();
    assert_eq!(
        (
            counters.lost,
            counters.late,
            counters.duplicate,
            counters.reordered
        ),
        (1, 1, 2, 2),
        "{counters:?}"
    );
    assert_eq!(
        counters.packets, 97,
        "98 until now, without the lost one: {counters:?}"
    );
}

#[test]
fn lost_packets_are_recovered_from_their_followers() {
    for fec in [false, true] {
        let mut run = Run::new();
        for n in (0..1000usize).filter(|n| n % 10 != 5) {
            run.arrive(n as f64 * 20.0, |packet| {
                packet.sequence = n as u16;
                packet.timestamp = (n * 960) as u32;
                packet.payload = payload((n * 960) as i64, 960, fec);
            });
        }
        run.play(20_000.0);
        let counters = *run.jitter.counters();
        assert_eq!(counters.lost, 100);
        if fec {
            // The first few holes, until it is worth waiting for the copies.
            assert!((80..100).contains(&counters.fec_recovered), "{counters:?}");
            assert!(counters.concealed_samples < ms(300) as u64, "{counters:?}");
            assert!((23.0..33.0).contains(&counters.delay_ms), "{counters:?}");
        } else {
            assert_eq!(counters.fec_recovered, 0);
            assert_eq!(counters.concealed_samples, ms(2000) as u64);
            assert!(counters.delay_ms < 5.0, "nothing to wait for: {counters:?}");
        }
    }
}

/// While all packets had to be so late that the copies came in time as well, it waited 64 ms here.
#[test]
fn copies_need_not_be_in_time_as_surely_as_packets() {
    let mut run = Run::new();
    for n in (0..1000usize).filter(|n| n % 10 != 5) {
        let late = if n % 25 == 0 { 40.0 } else { 0.0 };
        run.arrive(n as f64 * 20.0 + late, |packet| {
            packet.sequence = n as u16;
            packet.timestamp = (n * 960) as u32;
            packet.payload = payload((n * 960) as i64, 960, true);
        });
    }
    run.play(20_000.0);
    let counters = *run.jitter.counters();
    assert!(counters.fec_recovered > 90, "{counters:?}");
    assert!((40.0..52.0).contains(&counters.delay_ms), "{counters:?}");
}

/// A gap is not filled to its end: a pitch period of what is made up is left out, and put in again where it is speech.
#[test]
fn as_little_as_possible_is_made_up() {
    let mut run = Run {
        jitter: JitterBuffer::new(ms(20)),
        ..Run::with_decoder(SineDecoder {
            hums: true,
            ..SineDecoder::default()
        })
    };
    run.jitter.start(1);
    for n in (0..1000).filter(|n| n % 20 != 5) {
        run.send(n, 0.0);
    }
    run.play(19_900.0);
    let counters = *run.jitter.counters();
    let (lost, made_up) = (ms(1000) as u64, counters.concealed_samples);
    assert!(made_up < lost * 9 / 10, "{counters:?}");
    assert!((20.0..30.0).contains(&counters.delay_ms), "{counters:?}");
    let gap = crate::audio::tests::measure::longest_gap(&run.played[ms(200)..], 0.05);
    assert!(gap < ms(5), "{gap}");
}

#[test]
fn sequence_and_timestamp_wrap_unnoticed() {
    let mut run = Run::new();
    for n in 0..200usize {
        run.arrive(n as f64 * 20.0, |packet| {
            packet.sequence = (n as u16).wrapping_sub(100);
            packet.timestamp = (n as u32 * 960).wrapping_sub(96_000);
            packet.payload = payload((n * 960) as i64, 960, false);
        });
    }
    run.play(3990.0);
    let counters = *run.jitter.counters();
    assert_eq!(
        (
            counters.lost,
            counters.late,
            counters.concealed_samples,
            counters.restarts
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(run.decoder.decoded.len(), 200);
}

/// Sends 50 packets, then 50 changed ones; the counters, and how many packets were decoded.
fn changed(change: impl Fn(usize, &mut RtpPacket)) -> (StreamCounters, usize, usize) {
    let mut run = Run::new();
    for n in 0..100usize {
        run.arrive(n as f64 * 20.0, |packet| {
            packet.sequence = n as u16;
            packet.timestamp = (n * 960) as u32;
            packet.payload = payload((n * 960) as i64, 960, false);
            if n >= 50 {
                change(n, packet);
            }
        });
    }
    run.play(2000.0);
    let tail = &run.played[run.played.len() - ms(100)..];
    let gap = crate::audio::tests::measure::longest_gap(tail, 0.05);
    assert!(gap < ms(5), "it plays at the end: gap {gap}");
    (
        *run.jitter.counters(),
        run.decoder.decoded.len(),
        run.decoder.resets,
    )
}

#[test]
fn a_new_source_takes_over_with_its_second_packet() {
    let (counters, decoded, resets) = changed(|n, packet| {
        packet.ssrc = 2;
        packet.sequence = 30_000 + n as u16;
        packet.timestamp = 4_000_000_000 + n as u32 * 960;
    });
    assert_eq!(
        (counters.restarts, counters.refused, counters.lost),
        (1, 1, 0),
        "{counters:?}"
    );
    assert_eq!((decoded, resets), (99, 2));
}

#[test]
fn a_stray_source_is_refused() {
    let (counters, decoded, resets) = changed(|n, packet| packet.ssrc += (n % 10 == 0) as u32);
    assert_eq!(
        (counters.restarts, counters.refused),
        (0, 5),
        "{counters:?}"
    );
    assert_eq!((decoded, resets), (95, 1));
}

#[test]
fn jumps_of_sequence_or_timestamp_start_anew() {
    let (counters, decoded, _) =
        changed(|_, packet| packet.sequence = packet.sequence.wrapping_add(20_000));
    assert_eq!(
        (counters.restarts, counters.refused, decoded),
        (1, 1, 99),
        "{counters:?}"
    );
    for jump in [10_000_000u32, u32::MAX - 10_000_000] {
        let (counters, decoded, _) =
            changed(|_, packet| packet.timestamp = packet.timestamp.wrapping_add(jump));
        assert_eq!((counters.restarts, counters.lost), (1, 0), "{counters:?}");
        assert!(decoded >= 99, "{decoded}");
    }
}

#[test]
fn telephone_events_in_between_are_not_lost_audio() {
    let (counters, decoded, _) = changed(|n, packet| {
        if n < 60 {
            packet.content = Content::Nothing;
            packet.timestamp = 50 * 960;
            packet.payload.truncate(4);
        }
    });
    assert_eq!(
        (counters.refused, counters.lost, decoded),
        (0, 0, 90),
        "{counters:?}"
    );
}

#[test]
fn refused_payloads_are_concealed() {
    let (counters, decoded, _) = changed(|n, packet| {
        if n == 60 {
            packet.payload.clear();
        }
    });
    assert_eq!(
        (counters.refused, counters.lost, decoded),
        (1, 0, 99),
        "{counters:?}"
    );
    assert_eq!(counters.concealed_samples, 960);
}

#[test]
fn the_end_of_a_stream_fades_to_silence_and_it_begins_again() {
    let mut run = Run::new();
    for n in (0..50).chain(150..200) {
        run.send(n, 0.0);
    }
    run.play(2900.0);
    let counters = *run.jitter.counters();
    assert!(
        counters.concealed_samples <= (FADE_AFTER + FADE + PERIOD_FRAMES) as u64,
        "{counters:?}"
    );
    let silent = &run.played[ms(1200)..ms(2900)];
    assert!(silent.iter().all(|&s| s == 0.0));
    run.play(3990.0);
    let sound = &run.played[ms(3100)..ms(3900)];
    assert!(crate::audio::tests::measure::longest_gap(sound, 0.05) < ms(5));
    assert_eq!(run.jitter.counters().lost, 100);
}

#[test]
fn a_flood_is_bounded_and_the_newest_is_played() {
    let mut run = Run::new();
    for n in 0..1000 {
        run.arrive(5.0, |packet| {
            packet.sequence = n as u16;
            packet.timestamp = (n * 960) as u32;
            packet.payload = payload((n * 960) as i64, 960, false);
        });
    }
    run.play(500.0);
    let counters = *run.jitter.counters();
    assert_eq!(counters.packets, 1000);
    assert!(counters.late >= 990, "{counters:?}");
    assert!(
        run.decoder
            .decoded
            .iter()
            .all(|&position| position > 990 * 960)
    );
}
