//! The listening report: what a bad network does to recorded speech, to be looked at and listened to.
//!
//! Written to `audio-report` in the target folder by every test run: `index.html`, with a waveform, a spectrogram and
//! the sound of each case, and the figures. `tests/audio/quality` judges the sounds by PESQ.

use super::rig::{Call, Network};
use super::speech::{likeness, speech};
use crate::audio::StreamCounters;
use crate::audio::ramp::ms;
use crate::media::CodecKind::{self, Opus, Pcmu};
use realfft::RealFftPlanner;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Width and height of the pictures.
const WIDTH: usize = 720;
const HEIGHT: usize = 128;

/// Name, codec, part lost, jitter.
const CASES: [(&str, CodecKind, f64, f64); 7] = [
    ("opus-0", Opus, 0.0, 0.0),
    ("opus-2", Opus, 0.02, 4.0),
    ("opus-5", Opus, 0.05, 4.0),
    ("opus-10", Opus, 0.10, 4.0),
    ("pcmu-0", Pcmu, 0.0, 0.0),
    ("pcmu-2", Pcmu, 0.02, 4.0),
    ("pcmu-5", Pcmu, 0.05, 4.0),
];

/// `target/audio-report`, beside the folder of the test program.
fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().find(|at| at.ends_with("target"));
    let folder = target.unwrap_or(Path::new(".")).join("audio-report");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write_wav(file: &Path, sound: &[f32]) {
    let bytes = sound.len() as u32 * 2;
    let mut all = Vec::new();
    all.extend(b"RIFF");
    all.extend((36 + bytes).to_le_bytes());
    all.extend(b"WAVEfmt ");
    all.extend(16u32.to_le_bytes());
    // PCM, mono, 48 kHz, 16 bit.
    all.extend([1, 0, 1, 0]);
    all.extend(48_000u32.to_le_bytes());
    all.extend(96_000u32.to_le_bytes());
    all.extend([2, 0, 16, 0]);
    all.extend(b"data");
    all.extend(bytes.to_le_bytes());
    for sample in sound {
        all.extend(((sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16).to_le_bytes());
    }
    std::fs::write(file, all).unwrap();
}

/// Time to the right, 0 to 12 kHz upwards, 80 dB from black to white.
fn write_spectrogram(file: &Path, sound: &[f32]) {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(1024);
    let mut spectrum = fft.make_output_vec();
    let mut pixels = vec![0u8; WIDTH * HEIGHT];
    let step = (sound.len() - 1024) / WIDTH;
    for column in 0..WIDTH {
        let mut window = sound[column * step..column * step + 1024].to_vec();
        for (n, sample) in window.iter_mut().enumerate() {
            *sample *= (std::f32::consts::PI * n as f32 / 1024.0).sin();
        }
        fft.process(&mut window, &mut spectrum).unwrap();
        for row in 0..HEIGHT {
            let power = spectrum[2 * row].norm_sqr() + spectrum[2 * row + 1].norm_sqr();
            let db = 10.0 * (power / 65_536.0).max(1e-12).log10();
            pixels[(HEIGHT - 1 - row) * WIDTH + column] = ((db + 80.0) * 255.0 / 80.0) as u8;
        }
    }
    let to = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let mut encoder = png::Encoder::new(to, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
}

/// The peaks as one SVG path.
fn waveform(sound: &[f32]) -> String {
    let mut path = String::new();
    for (x, part) in sound.chunks(sound.len() / WIDTH).take(WIDTH).enumerate() {
        let top = part.iter().fold(0.0f32, |top, s| top.max(s.abs())) * 32.0;
        write!(path, "M{x} {:.1}V{:.1}", 32.0 - top, 32.0 + top).unwrap();
    }
    format!("<svg width={WIDTH} height=64><path d='{path}' stroke='#246'/></svg>")
}

/// What is heard of `sent`, as long as it and aligned.
fn heard(sent: &[f32], kind: CodecKind, loss: f64, jitter_ms: f64) -> (Vec<f32>, StreamCounters) {
    let network = Network {
        loss,
        delay_ms: 5.0,
        jitter_ms,
        seed: 3,
    };
    let mut call = Call::new(kind, 20, network, 0.0);
    call.speak(&vec![0.0; ms(500)]);
    call.speak(sent);
    call.speak(&vec![0.0; ms(500)]);
    let heard = &call.far.heard[ms(500)..];
    let at = super::speech::align(sent, heard);
    (
        heard[at..at + sent.len()].to_vec(),
        call.far.control.stream(0),
    )
}

#[test]
fn the_listening_report_is_written() {
    let folder = folder();
    let recorded = speech();
    // Long enough that the buffer learns what the network is like.
    let sent: Vec<f32> = recorded
        .iter()
        .copied()
        .cycle()
        .take(3 * recorded.len())
        .collect();
    write_wav(&folder.join("spoken.wav"), &sent);
    write_spectrogram(&folder.join("spoken.png"), &sent);
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>Offhook: listening report</title>\
         <style>body{{font:14px sans-serif;max-width:60em;margin:2em}}pre{{background:#eee;padding:1em}}</style>\
         <h1>Listening report</h1><p>One phone's microphone to the other's ear, 20 ms packets.</p>\
         <h2>Spoken</h2>{}<br><img src=spoken.png><br><audio controls src=spoken.wav></audio>",
        waveform(&sent)
    );
    for (name, kind, loss, jitter_ms) in CASES {
        let (heard, counters) = heard(&sent, kind, loss, jitter_ms);
        write_wav(&folder.join(format!("{name}.wav")), &heard);
        write_spectrogram(&folder.join(format!("{name}.png")), &heard);
        let alike = likeness(&sent, &heard, kind);
        write!(
            page,
            "<h2>{kind:?}, {:.0} % lost, jitter {jitter_ms} ms</h2>{}<br><img src={name}.png><br>\
             <audio controls src={name}.wav></audio><p>Spectral correlation {alike:.3}; made up {:.2} %, recovered \
             {} of {} lost packets, stretched {:.2} %, delay {:.0} ms.",
            loss * 100.0,
            waveform(&heard),
            counters.concealed_samples as f64 * 100.0 / heard.len() as f64,
            counters.fec_recovered,
            counters.lost,
            counters.stretched_samples as f64 * 100.0 / heard.len() as f64,
            counters.delay_ms,
        )
        .unwrap();
        println!("{name}: {alike:.3}, {counters:?}");
    }
    let table = include_str!("../../../../tests/audio/jitter.snap");
    write!(page, "<h2>Jitter buffer</h2><pre>{table}</pre>").unwrap();
    std::fs::write(folder.join("index.html"), &page).unwrap();
    for (name, ..) in CASES {
        for ending in ["wav", "png"] {
            let file = folder.join(format!("{name}.{ending}"));
            assert!(
                std::fs::metadata(file).unwrap().len() > 1000,
                "{name}.{ending}"
            );
        }
    }
}
