//! What one hears of the same packets through our buffer and through NetEQ, for `tests/audio/quality` to judge.

use super::{Driver, Figures, PACKET_MS, PHASES, Stream, as_late_as};
use crate::audio::tests::network::Network;
use crate::audio::tests::report::write_wav;
use crate::audio::tests::speech::{align, speech};

/// Lost, percent, and how many in a row on average.
const LOSSES: [(f64, f64); 7] = [
    (0.0, 1.0),
    (2.0, 1.0),
    (5.0, 1.0),
    (10.0, 1.0),
    (2.0, 2.5),
    (5.0, 2.5),
    (10.0, 2.5),
];
/// Each with dice of its own, and in one of [`PHASES`].
const SEEDS: std::ops::Range<u64> = 71..79;
/// Mean of the jitter, ms.
const JITTER_MS: f64 = 3.0;
/// The speech is sent so many times; the first time both learn.
const ROUNDS: usize = 4;

/// `spoken.wav`, and for each loss and seed what we play, what we play as late as NetEQ, and what NetEQ plays, all as long
/// and aligned: `ours-5-bursts-71.wav`, `later-...`, `neteq-...`.
#[test]
#[ignore = "needs NetEQ: tests/audio/neteq/compare"]
fn what_is_heard_of_the_same_packets_is_written() {
    let voice = speech();
    let spoken = voice.repeat(ROUNDS - 1);
    let packets = ROUNDS * voice.len() / 48 / PACKET_MS;
    let folder = std::path::PathBuf::from(
        std::env::var_os("OFFHOOK_SOUNDS").expect("the folder for the sounds"),
    );
    write_wav(&folder.join("spoken.wav"), &spoken);
    let write = |who: &str, case: &str, heard: &[f32]| {
        let heard = &heard[voice.len()..];
        let at = align(&spoken, heard);
        let mut heard = heard[at..].to_vec();
        heard.resize(spoken.len(), 0.0);
        write_wav(&folder.join(format!("{who}-{case}.wav")), &heard);
    };
    println!(
        "{:21} | {:^25} | {:^25} | {:^25}",
        "Lost", "Offhook", "as late as NetEQ", "NetEQ: delay, concealed, stretched, ms"
    );
    for (loss_percent, loss_run) in LOSSES {
        let mut means = [Figures::default(); 3];
        for seed in SEEDS {
            let network = Network {
                seed,
                // What is sent after the speech is not judged, but what comes late is heard.
                seconds: (packets * PACKET_MS).div_ceil(1000) + 1,
                least_ms: 5.0,
                exponential_ms: JITTER_MS,
                loss_percent,
                loss_run,
                ..Network::default()
            };
            let stream = Stream::new(&network, &voice);
            let phase_us = PHASES[seed as usize % PHASES.len()];
            let bursts = if loss_run > 1.0 { "-bursts" } else { "" };
            let case = format!("{loss_percent}{bursts}-{seed}");

            let driver = Driver::new(&stream, seed);
            let pcm = folder.join("neteq.pcm");
            let neteq = stream.neteq_at(&driver, 0, phase_us, Some(&pcm));
            let heard: Vec<f32> = std::fs::read(&pcm)
                .unwrap()
                .chunks_exact(2)
                .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0)
                .collect();
            write("neteq", &case, &heard);

            let (ours, heard) = stream.ours_at(0, phase_us);
            write("ours", &case, &heard);

            let ours_with = |headroom| stream.ours_at(headroom, phase_us);
            let (headroom, _) = as_late_as(neteq.delay, ours, |headroom| ours_with(headroom).0);
            let (later, heard) = ours_with(headroom);
            write("later", &case, &heard);

            let share = 1.0 / (SEEDS.end - SEEDS.start) as f64;
            for (mean, one) in means.iter_mut().zip([ours, later, neteq]) {
                mean.delay += one.delay * share;
                mean.concealed += one.concealed * share;
                mean.stretched += one.stretched * share;
            }
        }
        println!(
            "{loss_percent:4} %, {loss_run:3} in a row | {} | {} | {}",
            means[0].row(),
            means[1].row(),
            means[2].row(),
        );
    }
}
