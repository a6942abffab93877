//! Whole calls over seeded networks: how long the buffer waits, and what it loses.

use super::{Run, payload};
use crate::audio::StreamCounters;
use crate::audio::ramp::ms;
use crate::audio::tests::measure::Random;

struct Outcome {
    counters: StreamCounters,
    mean_delay_ms: f64,
    worst_delay_ms: f64,
    /// Part of the packets that came late, percent.
    late_percent: f64,
    /// Part of the time that was made up, percent.
    concealed_percent: f64,
}

/// Plays `seconds` of packets of `packet_ms`, with the far end's clock `ppm` quicker than ours. `fate` is how many
/// milliseconds after it was sent packet n comes; `None` if it never does.
fn simulate(
    seconds: usize,
    packet_ms: usize,
    ppm: f64,
    mut fate: impl FnMut(usize) -> Option<f64>,
) -> Outcome {
    let mut run = Run::new();
    let packets = seconds * 1000 / packet_ms;
    let samples = ms(packet_ms);
    let pace = packet_ms as f64 / (1.0 + ppm * 1e-6);
    for n in 0..packets {
        let sent = n as f64 * pace;
        if let Some(by) = fate(n) {
            run.arrive(sent + by, |packet| {
                packet.sequence = (n as u16).wrapping_add(65_000);
                packet.timestamp = ((n * samples) as u32).wrapping_add(u32::MAX - 200_000);
                packet.payload = payload((n * samples) as i64, samples, false);
            });
        }
        run.play(sent);
        if run.played.len() > 48_000 * 20 {
            run.played.clear();
        }
    }
    let counters = *run.jitter.counters();
    // Without the first two seconds, in which it learns.
    let settled = &run.delays[200.min(run.delays.len())..];
    Outcome {
        counters,
        mean_delay_ms: settled.iter().sum::<f64>() / settled.len() as f64,
        worst_delay_ms: settled.iter().copied().fold(0.0, f64::max),
        late_percent: counters.late as f64 * 100.0 / packets as f64,
        concealed_percent: counters.concealed_samples as f64 * 100.0 / (seconds * 48_000) as f64,
    }
}

/// The least delay that keeps 99.5 % of the packets, found knowing them all, ms.
fn optimum(seconds: usize, packet_ms: usize, mut fate: impl FnMut(usize) -> Option<f64>) -> f64 {
    let mut delays: Vec<f64> = (0..seconds * 1000 / packet_ms)
        .filter_map(&mut fate)
        .collect();
    delays.sort_by(f64::total_cmp);
    delays[delays.len() * 995 / 1000] - delays[0]
}

#[test]
fn traces() {
    type Trace = fn(&mut Random, usize) -> Option<f64>;
    // Name, network, most mean delay above the optimum, most concealed time.
    let traces: [(&str, Trace, f64, f64); 7] = [
        ("perfect", |_, _| Some(1.0), 13.0, 0.0),
        ("LAN", |random, _| Some(1.0 + random.uniform()), 13.0, 0.01),
        (
            "home Wi-Fi",
            |random, _| Some(3.0 + random.exponential(4.0)),
            13.0,
            0.3,
        ),
        (
            "home Wi-Fi, 2 % lost",
            |random, _| {
                let delay = 3.0 + random.exponential(4.0);
                (random.uniform() >= 0.02).then_some(delay)
            },
            13.0,
            2.5,
        ),
        (
            "4G",
            |random, _| Some(30.0 + random.exponential(6.0) + 20.0 * random.uniform()),
            13.0,
            0.6,
        ),
        (
            "bursts: each second 60 ms held back",
            |_, n| Some(2.0 + (60.0 - (n % 50) as f64 * 20.0).max(0.0)),
            13.0,
            0.2,
        ),
        (
            "40 ms longer route after 30 s",
            |random, n| Some(10.0 + 3.0 * random.uniform() + if n > 1500 { 40.0 } else { 0.0 }),
            13.0,
            0.1,
        ),
    ];
    for (name, trace, above, concealed) in traces {
        for packet_ms in [10, 20] {
            let mut random = Random::new(42);
            let outcome = simulate(60, packet_ms, 0.0, |n| trace(&mut random, n));
            let mut random = Random::new(42);
            let optimum = optimum(60, packet_ms, |n| trace(&mut random, n));
            let Outcome {
                mean_delay_ms: mean,
                worst_delay_ms: worst,
                ..
            } = outcome;
            println!(
                "{name}, {packet_ms} ms: mean {mean:.1} ms, worst {worst:.1} ms, optimum {optimum:.1} ms, late {:.2} %, \
                 concealed {:.3} %, stretched {} ms",
                outcome.late_percent,
                outcome.concealed_percent,
                outcome.counters.stretched_samples / 48,
            );
            assert!(outcome.late_percent < 0.5, "{name}, {packet_ms} ms");
            assert!(
                outcome.concealed_percent <= concealed,
                "{name}, {packet_ms} ms"
            );
            assert!(mean < optimum + above, "{name}, {packet_ms} ms");
        }
    }
}

#[test]
fn an_hour_of_drift_neither_starves_nor_floods() {
    for ppm in [-200.0, 200.0] {
        let mut random = Random::new(7);
        let outcome = simulate(3600, 20, ppm, |_| Some(random.uniform() * 2.0));
        let Outcome {
            counters,
            mean_delay_ms,
            worst_delay_ms,
            ..
        } = outcome;
        println!(
            "{ppm} ppm: mean {mean_delay_ms:.1} ms, worst {worst_delay_ms:.1} ms, {counters:?}"
        );
        assert_eq!((counters.late, counters.lost), (0, 0));
        assert!(counters.concealed_samples < ms(200) as u64);
        assert!(worst_delay_ms < 40.0);
        // An hour at 200 ppm is 720 ms.
        let stretched = counters.stretched_samples / 48;
        assert!((600..2000).contains(&stretched), "{stretched} ms stretched");
    }
}
