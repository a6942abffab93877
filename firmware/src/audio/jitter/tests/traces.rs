//! Whole calls over the networks of `tests/audio/traces/networks.toml`: how long the buffer waits, what it loses, and
//! how that compares with the best fixed delay there is, found knowing the future, and with a fixed buffer of 60 ms.
//!
//! The table is kept in `tests/audio/jitter.snap`.

use super::{Run, payload};
use crate::audio::ramp::ms;
use crate::audio::tests::network::Network;
use std::fmt::Write;

/// Late packets that are put up with, percent.
const LATE: f64 = 0.5;
/// What the mean delay may be above the optimum, ms.
const ABOVE: f64 = 10.0;
/// The phase between the far end's packets and our periods is anybody's guess: these, in microseconds.
const PHASES: [u64; 4] = [1300, 3700, 6200, 8800];
/// Not judged: it learns, ms.
const LEARNS: f64 = 2000.0;

#[derive(serde::Deserialize)]
struct Networks {
    network: Vec<Network>,
}

/// One packet: when it was sent by our clock, and when it came, ms.
pub struct Packet {
    pub sent: f64,
    pub arrived: Option<f64>,
}

/// Those of the file.
pub fn networks() -> Vec<Network> {
    let text = include_str!("../../../../../tests/audio/traces/networks.toml");
    toml::from_str::<Networks>(text).unwrap().network
}

pub fn trace(network: &Network, packet_ms: usize) -> Vec<Packet> {
    let mut way = network.way();
    let pace = network.pace_ms(packet_ms);
    (0..network.seconds * 1000 / packet_ms)
        .map(|n| {
            let sent = n as f64 * pace;
            let arrived = way.packet(sent).map(|delay| sent + delay);
            Packet { sent, arrived }
        })
        .collect()
}

/// The least fixed delay that keeps all but [`LATE`] of the packets that come, ms.
fn optimum(trace: &[Packet]) -> f64 {
    let mut delays: Vec<f64> = trace
        .iter()
        .filter_map(|packet| packet.arrived.map(|arrived| arrived - packet.sent))
        .collect();
    delays.sort_by(f64::total_cmp);
    let may_be_late = (delays.len() as f64 * LATE / 100.0) as usize;
    delays[delays.len() - 1 - may_be_late] - delays[0]
}

/// Percent of the packets that a buffer of 60 ms, filled once, has late; its delay runs with the clocks.
fn fixed_late(trace: &[Packet], ppm: f64) -> f64 {
    let first = trace[0].arrived.unwrap_or_default();
    let late = trace.iter().filter(|packet| {
        let due = first + 60.0 + packet.sent * (1.0 + ppm * 1e-6);
        packet.arrived.is_some_and(|arrived| arrived > due)
    });
    late.count() as f64 * 100.0 / trace.len() as f64
}

struct Outcome {
    /// From the sending of a sample to its period, without what the quickest packet takes; mean and worst, ms.
    mean_ms: f64,
    worst_ms: f64,
    late_percent: f64,
    concealed_percent: f64,
    stretched_percent: f64,
}

fn play(trace: &[Packet], packet_ms: usize, phase_us: u64) -> Outcome {
    let mut run = Run::new();
    run.phase_us = phase_us;
    let samples = ms(packet_ms);
    let mut first: Option<(f64, usize)> = None;
    for (n, packet) in trace.iter().enumerate() {
        if let Some(arrived) = packet.arrived {
            if first.is_none_or(|(earliest, _)| arrived < earliest) {
                first = Some((arrived, n));
            }
            run.arrive(arrived, |packet| {
                packet.sequence = (n as u16).wrapping_add(65_000);
                packet.timestamp = ((n * samples) as u32).wrapping_add(u32::MAX - 200_000);
                packet.payload = payload((n * samples) as i64, samples, false);
            });
        }
        run.play(packet.sent);
        if run.played.len() > 48_000 * 20 {
            run.played.clear();
        }
    }
    // The buffer counts timestamps from the packet that came first.
    let origin = first.map_or(0, |(_, n)| n * samples) as f64;
    let last_sent = trace.last().map_or(0.0, |packet| packet.sent);
    let ms_per_sample = last_sent / ((trace.len() - 1) * samples) as f64;
    let quickest = trace
        .iter()
        .filter_map(|packet| packet.arrived.map(|arrived| arrived - packet.sent))
        .fold(f64::INFINITY, f64::min);
    let delays: Vec<f64> = run
        .played_timestamps
        .iter()
        .enumerate()
        .filter_map(|(period, timestamp)| {
            let now = period as f64 * 10.0 + phase_us as f64 / 1000.0;
            let sent = ((*timestamp)? as f64 + origin) * ms_per_sample;
            (now > LEARNS).then_some(now - sent - quickest)
        })
        .collect();
    let counters = run.jitter.counters();
    let percent = |part: u64, whole: usize| part as f64 * 100.0 / whole as f64;
    let played = run.periods as usize * ms(10);
    Outcome {
        mean_ms: delays.iter().sum::<f64>() / delays.len() as f64,
        worst_ms: delays.iter().copied().fold(0.0, f64::max),
        late_percent: percent(counters.late, trace.len()),
        concealed_percent: percent(counters.concealed_samples, played),
        stretched_percent: percent(counters.stretched_samples, played),
    }
}

/// Means over the phases, but the worst of the delays.
fn over_phases(trace: &[Packet], packet_ms: usize) -> Outcome {
    let each: Vec<Outcome> = PHASES
        .iter()
        .map(|&phase| play(trace, packet_ms, phase))
        .collect();
    let mean = |of: fn(&Outcome) -> f64| each.iter().map(of).sum::<f64>() / each.len() as f64;
    Outcome {
        mean_ms: mean(|outcome| outcome.mean_ms),
        worst_ms: each
            .iter()
            .map(|outcome| outcome.worst_ms)
            .fold(0.0, f64::max),
        late_percent: mean(|outcome| outcome.late_percent),
        concealed_percent: mean(|outcome| outcome.concealed_percent),
        stretched_percent: mean(|outcome| outcome.stretched_percent),
    }
}

#[test]
fn the_delay_is_near_the_least_there_is() {
    let mut table = String::from(
        "network            packets | optimum    mean   worst |  late conceal stretch | fixed 60 ms: late\n",
    );
    let mut failures = Vec::new();
    for network in &networks() {
        for packet_ms in [10, 20] {
            let trace = trace(network, packet_ms);
            let optimum = optimum(&trace);
            let outcome = over_phases(&trace, packet_ms);
            writeln!(
                table,
                "{:18} {packet_ms:4} ms | {optimum:4.1} ms {:4.1} ms {:4.0} ms | {:4.2}%  {:5.2}%  {:5.2}% | {:4.1}%",
                network.name,
                outcome.mean_ms,
                outcome.worst_ms,
                outcome.late_percent,
                outcome.concealed_percent,
                outcome.stretched_percent,
                fixed_late(&trace, network.ppm),
            )
            .unwrap();
            if outcome.mean_ms > optimum + ABOVE || outcome.late_percent > LATE {
                failures.push(format!("{}, {packet_ms} ms", network.name));
            }
        }
    }
    println!("{table}");
    insta::with_settings!({
        snapshot_path => "../../../../../tests/audio",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("jitter", table) });
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn an_hour_of_drift_neither_starves_nor_floods() {
    for ppm in [-200.0, 200.0] {
        let network = Network {
            seed: 7,
            seconds: 3600,
            least_ms: 1.0,
            uniform_ms: 2.0,
            ppm,
            ..Network::default()
        };
        let outcome = play(&trace(&network, 20), 20, 3700);
        println!(
            "{ppm} ppm: mean {:.1} ms, worst {:.1} ms",
            outcome.mean_ms, outcome.worst_ms
        );
        assert!(outcome.late_percent < 0.01, "{}", outcome.late_percent);
        assert!(
            outcome.concealed_percent < 0.01,
            "{}",
            outcome.concealed_percent
        );
        assert!(outcome.worst_ms < 35.0, "{}", outcome.worst_ms);
        // An hour at 200 ppm is 720 ms.
        assert!(
            (0.015..0.06).contains(&outcome.stretched_percent),
            "{}",
            outcome.stretched_percent
        );
    }
}
