//! Our buffer against libwebrtc's NetEQ, on the same packets and in virtual time: `tests/audio/neteq/compare` builds
//! NetEQ and runs this. The packets are those of the simulator's gateway: real Opus, with copies where the network loses.

mod sounds;

use super::Run;
use super::traces::{Packet, networks, trace};
use crate::audio::codec::{Decode, Decoder, Payload};
use crate::audio::jitter::JitterBuffer;
use crate::audio::ramp::ms;
use crate::audio::tests::network::Network;
use crate::audio::tests::speech::recording;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKET_MS: usize = 20;
/// Not judged: both learn, ms.
const LEARNS: f64 = 3000.0;
/// As in `traces`: the phases between the far end's packets and the periods, in microseconds.
const PHASES: [u64; 4] = [1300, 3700, 6200, 8800];
/// How near the delays are brought to each other, ms.
const EQUAL: f64 = 0.2;

/// What the far end sends, packet by packet: the voice again and again, coded as the simulator's gateway does.
fn payloads(network: &Network, voice: &[f32], packets: usize) -> Vec<Payload> {
    let mut encoder =
        opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(64_000)).unwrap();
    let loses = network.loss_percent > 0.0;
    encoder.set_inband_fec(loses).unwrap();
    encoder
        .set_packet_loss_perc(if loses { 5 } else { 0 })
        .unwrap();
    let mut voice = voice.iter().copied().cycle();
    (0..packets)
        .map(|_| {
            let frame: Vec<f32> = voice.by_ref().take(ms(PACKET_MS)).collect();
            let coded = encoder.encode_vec_float(&frame, 1_275).unwrap();
            Payload::from_slice(&coded).unwrap()
        })
        .collect()
}

/// One network, and what was sent through it.
struct Stream {
    trace: Vec<Packet>,
    payloads: Vec<Payload>,
}

/// What one period did, in samples: the timestamp of its first, and what was counted until its end.
struct Period {
    timestamp: Option<i64>,
    concealed: u64,
    stretched: u64,
}

/// Means over the phases, all in ms; concealed and stretched after [`LEARNS`].
#[derive(Clone, Copy, Default)]
struct Figures {
    delay: f64,
    concealed: f64,
    stretched: f64,
}

impl Figures {
    /// Delay, concealed, stretched.
    fn row(&self) -> String {
        let Self {
            delay,
            concealed,
            stretched,
        } = self;
        format!("{delay:5.1} {concealed:9.1} {stretched:9.1}")
    }
}

impl Stream {
    /// `voice` again and again, through `network`.
    fn new(network: &Network, voice: &[f32]) -> Self {
        let trace = trace(network, PACKET_MS);
        let payloads = payloads(network, voice, trace.len());
        Self { trace, payloads }
    }

    /// When the last packet is sent: nothing is looked at beyond, ms.
    fn end_ms(&self) -> f64 {
        self.trace.last().map_or(0.0, |packet| packet.sent)
    }

    /// The figures of periods, of which the first was at `phase_us`. Delay is from the sending of a sample to its
    /// period, without what the quickest packet takes.
    fn figures(&self, periods: &[Period], phase_us: u64) -> Figures {
        let ms_per_sample = self.end_ms() / ((self.trace.len() - 1) * ms(PACKET_MS)) as f64;
        let quickest = self
            .trace
            .iter()
            .filter_map(|packet| packet.arrived.map(|arrived| arrived - packet.sent))
            .fold(f64::INFINITY, f64::min);
        let first = (LEARNS / 10.0) as usize;
        let (before, end) = (&periods[first - 1], periods.last().unwrap());
        let delays: Vec<f64> = (first..periods.len())
            .filter_map(|period| {
                let now = period as f64 * 10.0 + phase_us as f64 / 1000.0;
                let sent = periods[period].timestamp? as f64 * ms_per_sample;
                Some(now - sent - quickest)
            })
            .collect();
        Figures {
            delay: delays.iter().sum::<f64>() / delays.len() as f64,
            concealed: (end.concealed - before.concealed) as f64 / 48.0,
            stretched: (end.stretched - before.stretched) as f64 / 48.0,
        }
    }

    /// What our buffer does in one phase, and what is heard of it.
    fn ours_at(&self, headroom: usize, phase_us: u64) -> (Figures, Vec<f32>) {
        let mut run = Run::with_decoder(Decoder::new().unwrap());
        run.jitter = JitterBuffer::new(headroom);
        run.jitter.start(1);
        run.phase_us = phase_us;
        for (n, packet) in self.trace.iter().enumerate() {
            if let Some(arrived) = packet.arrived {
                run.arrive(arrived, |packet| {
                    packet.sequence = n as u16;
                    packet.timestamp = (n * ms(PACKET_MS)) as u32;
                    packet.payload = self.payloads[n].clone();
                });
            }
        }
        // The buffer counts timestamps from the packet that came first.
        let origin = (0..self.trace.len())
            .filter_map(|n| Some((self.trace[n].arrived?, n)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(0, |(_, n)| n * ms(PACKET_MS)) as i64;
        let mut periods = Vec::new();
        while f64::from(run.periods) * 10.0 < self.end_ms() {
            run.play(f64::from(run.periods) * 10.0 + 1.0);
            let counters = run.jitter.counters();
            periods.push(Period {
                timestamp: run
                    .played_timestamps
                    .last()
                    .unwrap()
                    .map(|one| one + origin),
                concealed: counters.concealed_samples,
                stretched: counters.stretched_samples,
            });
        }
        (self.figures(&periods, phase_us), run.played)
    }

    fn ours(&self, headroom: usize) -> Figures {
        mean(|phase_us| self.ours_at(headroom, phase_us).0)
    }

    /// Packets as the driver reads them, sorted by arrival.
    fn write(&self, file: &Path) {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (n, (packet, payload)) in self.trace.iter().zip(&self.payloads).enumerate() {
            let Some(arrived) = packet.arrived else {
                continue;
            };
            let at = (arrived * 1000.0) as u64;
            let mut line = format!("{at} {} {} ", n as u16, n * ms(PACKET_MS));
            for byte in payload {
                write!(line, "{byte:02x}").unwrap();
            }
            lines.push((at, line));
        }
        lines.sort_by_key(|line| line.0);
        let lines: Vec<String> = lines.into_iter().map(|line| line.1).collect();
        std::fs::write(file, lines.join("\n") + "\n").unwrap();
    }

    /// What NetEQ does in one phase, told to wait no less than `least_ms`; the file `pcm` gets what is heard of it.
    fn neteq_at(
        &self,
        driver: &Driver,
        least_ms: usize,
        phase_us: u64,
        pcm: Option<&Path>,
    ) -> Figures {
        let out = Command::new(&driver.program)
            .arg(&driver.packets)
            .args([phase_us.to_string(), least_ms.to_string()])
            .arg((self.end_ms() as u64).to_string())
            .args(pcm)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        let periods: Vec<Period> = String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let timestamp: Option<u32> = fields[0].parse().ok();
                Period {
                    // Before the first packet it is below 0.
                    timestamp: timestamp.map(|one| i64::from(one as i32)),
                    concealed: fields[1].parse().unwrap(),
                    stretched: fields[3].parse().unwrap(),
                }
            })
            .collect();
        self.figures(&periods, phase_us)
    }

    fn neteq(&self, driver: &Driver, least_ms: usize) -> Figures {
        mean(|phase_us| self.neteq_at(driver, least_ms, phase_us, None))
    }

    /// Lost, and in no copy that came: nobody can play these, ms.
    fn irrecoverable_ms(&self) -> f64 {
        let decoder = Decoder::new().unwrap();
        let from = LEARNS as usize / PACKET_MS;
        let packets = (from..self.trace.len() - 1)
            .filter(|&n| {
                let copy = self.trace[n + 1].arrived.is_some()
                    && decoder.carries_copy(&self.payloads[n + 1]);
                self.trace[n].arrived.is_none() && !copy
            })
            .count();
        (packets * PACKET_MS) as f64
    }
}

struct Driver {
    program: PathBuf,
    packets: PathBuf,
}

impl Driver {
    /// For what is sent through `stream`.
    fn new(stream: &Stream, seed: u64) -> Self {
        let program =
            PathBuf::from(std::env::var_os("OFFHOOK_NETEQ").expect("the way to the driver"));
        let packets = program.with_file_name(format!("{seed}.packets"));
        stream.write(&packets);
        Self { program, packets }
    }
}

fn mean(of: impl Fn(u64) -> Figures) -> Figures {
    let mut all = Figures::default();
    for phase_us in PHASES {
        let one = of(phase_us);
        let share = 1.0 / PHASES.len() as f64;
        all.delay += one.delay * share;
        all.concealed += one.concealed * share;
        all.stretched += one.stretched * share;
    }
    all
}

/// Our figures and NetEQ's, of which those that waited less are had once more, with the minimum (NetEQ) or the headroom
/// that makes the delays equal.
fn equally_late(
    stream: &Stream,
    driver: &Driver,
    [mut ours, mut theirs]: [Figures; 2],
) -> [Figures; 2] {
    let mut least_ms = 0;
    while theirs.delay < ours.delay - EQUAL && least_ms < 200 {
        least_ms += 5;
        theirs = stream.neteq(driver, least_ms);
    }
    (_, ours) = as_late_as(theirs.delay, ours, |headroom| stream.ours(headroom));
    [ours, theirs]
}

/// The headroom with which our buffer waits `delay_ms`, or as nearly as it can without waiting longer, and what it does
/// then; `alone`: what it does without. The delay does not follow in proportion.
fn as_late_as(delay_ms: f64, alone: Figures, ours: impl Fn(usize) -> Figures) -> (usize, Figures) {
    let mut best = (0, alone);
    let (mut headroom, mut tried) = (0.0, alone);
    for _ in 0..8 {
        let short = delay_ms - tried.delay;
        if short.abs() < EQUAL {
            break;
        }
        headroom = f64::max(headroom + short * 48.0 * 0.8, 0.0);
        tried = ours(headroom as usize);
        if tried.delay < delay_ms + EQUAL && tried.delay > best.1.delay {
            best = (headroom as usize, tried);
        }
    }
    best
}

#[test]
#[ignore = "needs NetEQ: tests/audio/neteq/compare"]
fn not_worse_than_neteq() {
    let words = std::env::var("OFFHOOK_NETWORKS").unwrap_or_default();
    let named = |network: &Network| {
        words.is_empty() || words.split(' ').any(|word| network.name.contains(word))
    };
    let other_dice = std::env::var("OFFHOOK_SEED").map_or(0, |seed| seed.parse().unwrap());
    println!("Delay, concealed and stretched, ms; then the same with equal delay.");
    println!(
        "{:15} | {:^25} | {:^25} | {:^25} | {:^25} | lost for good",
        "", "Offhook", "NetEQ", "Offhook", "NetEQ"
    );
    let mut worse = Vec::new();
    for mut network in networks().into_iter().filter(named) {
        network.seed += other_dice;
        let stream = Stream::new(&network, &recording("Front_Center"));
        let driver = Driver::new(&stream, network.seed);
        let alone = [stream.ours(0), stream.neteq(&driver, 0)];
        let [ours, theirs] = equally_late(&stream, &driver, alone);
        println!(
            "{:15} | {} | {} | {} | {} | {}",
            network.name,
            alone[0].row(),
            alone[1].row(),
            ours.row(),
            theirs.row(),
            stream.irrecoverable_ms(),
        );
        if ours.concealed > theirs.concealed || ours.delay > theirs.delay + EQUAL {
            worse.push(network.name);
        }
    }
    assert!(worse.is_empty(), "{worse:?}");
}
