//! Recorded speech through the pipeline. The recordings are a woman's voice naming loudspeakers, from alsa-utils (GPL-2,
//! not copied here).

use super::measure::Random;
use super::rig::{Call, Network};
use crate::audio::CodecKind::{self, Opus, Pcma, Pcmu};
use crate::audio::ramp::ms;
use realfft::RealFftPlanner;

const FOLDER: &str = "/usr/share/sounds/alsa";

/// Several recordings one after the other, 48 kHz.
pub fn speech() -> Vec<f32> {
    let names = ["Front_Center", "Rear_Left", "Side_Right", "Front_Right"];
    let mut all: Vec<f32> = names.into_iter().flat_map(recording).collect();
    all.resize(all.len().next_multiple_of(ms(20)), 0.0);
    all
}

/// One recording, 48 kHz.
pub fn recording(name: &str) -> Vec<f32> {
    let path = format!("{FOLDER}/{name}.wav");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{path}: {error}; this test needs recorded speech: `apt-get install alsa-utils`")
    });
    samples(&bytes).unwrap_or_else(|| panic!("{path} is not 48 kHz, mono, 16 bit"))
}

/// The samples of a WAV file, if it is 48 kHz, mono, 16 bit.
fn samples(file: &[u8]) -> Option<Vec<f32>> {
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?));
    let mut at = 12;
    loop {
        let (name, length) = (file.get(at..at + 4)?, word(at + 4)? as usize);
        let body = file.get(at + 8..)?;
        match name {
            b"fmt " if body.get(..8)? != [1, 0, 1, 0, 0x80, 0xbb, 0, 0] => return None,
            b"data" => {
                let body = &body[..length.min(body.len())];
                let sample =
                    |two: &[u8]| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32_768.0;
                return Some(body.chunks_exact(2).map(sample).collect());
            }
            _ => at += 8 + length.next_multiple_of(2),
        }
    }
}

/// Log power in bands of 200 Hz up to `top_hz`, each 10 ms, dB, floored at -70.
fn spectrogram(sound: &[f32], top_hz: usize) -> Vec<f32> {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(ms(20));
    let mut spectrum = fft.make_output_vec();
    let mut all = Vec::new();
    for start in (0..sound.len().saturating_sub(ms(20))).step_by(ms(10)) {
        let mut window = sound[start..start + ms(20)].to_vec();
        for (n, sample) in window.iter_mut().enumerate() {
            *sample *= (std::f32::consts::PI * n as f32 / ms(20) as f32).sin();
        }
        fft.process(&mut window, &mut spectrum).unwrap();
        // 50 Hz per bin.
        for band in spectrum[2..].chunks_exact(4).take(top_hz / 200) {
            let power: f32 = band
                .iter()
                .map(realfft::num_complex::Complex::norm_sqr)
                .sum::<f32>()
                / 480.0
                / 480.0;
            all.push((10.0 * power.max(1e-9).log10()).max(-70.0));
        }
    }
    all
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let length = a.len().min(b.len());
    let mean = |x: &[f32]| x[..length].iter().sum::<f32>() / length as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    ab / (aa * bb).sqrt().max(1e-9)
}

/// Where in `heard` the sound `sent` begins: best match of the loudest 100 ms.
pub fn align(sent: &[f32], heard: &[f32]) -> usize {
    let loudest = (0..sent.len() - ms(200))
        .step_by(ms(20))
        .max_by(|&a, &b| {
            let power = |at: usize| super::measure::rms(&sent[at..at + ms(100)]);
            power(a).total_cmp(&power(b))
        })
        .unwrap();
    let reference = &sent[loudest..loudest + ms(100)];
    let search = &heard[loudest..(loudest + ms(400)).min(heard.len())];
    crate::audio::pitch::best_match(reference, search).0
}

/// How alike two aligned sounds are: correlation of their spectrograms, as far up as the codec goes.
pub fn likeness(sent: &[f32], heard: &[f32], kind: CodecKind) -> f32 {
    let top = if kind == Opus { 7000 } else { 3400 };
    correlation(&spectrogram(sent, top), &spectrogram(heard, top))
}

/// Spectral correlation and difference of level (dB) after alignment, and the counters.
fn through(kind: CodecKind, network: Network) -> (f32, f32, crate::audio::StreamCounters) {
    let sent = speech();
    let mut call = Call::new(kind, 20, network, 0.0);
    call.speak(&vec![0.0; ms(500)]);
    call.speak(&sent);
    call.speak(&vec![0.0; ms(500)]);
    let heard = &call.far.heard[ms(500)..];
    let at = align(&sent, heard);
    let heard = &heard[at..at + sent.len()];
    let fit = likeness(&sent, heard, kind);
    let level = 20.0 * (super::measure::rms(heard) / super::measure::rms(&sent)).log10();
    (fit, level, call.far.control.stream(0))
}

#[test]
fn speech_arrives_as_it_was_spoken() {
    for (kind, loss, least_fit) in [
        (Opus, 0.0, 0.95),
        (Pcmu, 0.0, 0.93),
        (Pcma, 0.0, 0.93),
        (Opus, 0.05, 0.92),
        (Pcmu, 0.05, 0.90),
    ] {
        let jitter_ms = if loss > 0.0 { 3.0 } else { 0.0 };
        let network = Network {
            loss,
            jitter_ms,
            delay_ms: 5.0,
            seed: 3,
            ..Network::CLEAN
        };
        let (fit, level, counters) = through(kind, network);
        println!(
            "{kind:?}, {loss} lost: spectral correlation {fit:.3}, level {level:.2} dB, {counters:?}"
        );
        assert!(
            fit > least_fit,
            "{kind:?}, {loss} lost: spectral correlation {fit}"
        );
        // G.711 takes away what is above 3.4 kHz.
        assert!(
            level.abs() < if kind == Opus { 1.0 } else { 2.0 },
            "{kind:?}, {loss} lost: {level} dB"
        );
    }
}

#[test]
fn the_measure_tells_speech_from_noise_and_from_holes() {
    let sent = speech();
    let mut random = Random::new(5);
    let noise: Vec<f32> = sent
        .iter()
        .map(|_| (random.uniform() as f32 - 0.5) * 0.1)
        .collect();
    let mut holes = sent.clone();
    for hole in holes.chunks_mut(ms(200)) {
        let end = ms(60).min(hole.len());
        hole[..end].fill(0.0);
    }
    let reference = spectrogram(&sent, 7000);
    assert!(correlation(&reference, &spectrogram(&noise, 7000)) < 0.5);
    assert!(correlation(&reference, &spectrogram(&holes, 7000)) < 0.9);
    assert!(correlation(&reference, &spectrogram(&sent, 7000)) > 0.999);
}
