//! The listening report: what the phone, and a bad network, do to recorded speech, to be looked at and listened to.
//!
//! Each run of the tests writes it to `audio-report` in the target folder: `index.html`, with the figures, and a waveform, a
//! spectrogram and the sound of each case. `tests/audio/report` has the sounds judged too.

use super::call::own_delay;
use super::figures::{distortion, transparent};
use super::rig::{Call, Network};
use super::speech::{likeness, speech};
use crate::audio::CodecKind::{self, Opus, Pcmu};
use crate::audio::StreamCounters;
use crate::audio::ramp::ms;
use realfft::RealFftPlanner;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Width and height of the pictures.
const WIDTH: usize = 720;
const HEIGHT: usize = 128;

/// What is spoken through. PESQ wants no more than some 20 s.
struct Case {
    name: &'static str,
    codec: CodecKind,
    /// 0.0 to 1.0.
    loss: f64,
    /// Packets lost in a row, mean.
    burst: f64,
    /// Mean, ms.
    jitter_ms: f64,
}

const fn case(name: &'static str, codec: CodecKind, loss: f64, burst: f64) -> Case {
    Case {
        name,
        codec,
        loss,
        burst,
        jitter_ms: if loss > 0.0 { JITTER_MS } else { 0.0 },
    }
}

const CASES: [Case; 15] = [
    case("opus-0", Opus, 0.0, 1.0),
    // What following the jitter costs by itself.
    Case {
        jitter_ms: JITTER_MS,
        ..case("opus-0-jitter", Opus, 0.0, 1.0)
    },
    case("opus-2", Opus, 0.02, 1.0),
    case("opus-5", Opus, 0.05, 1.0),
    case("opus-10", Opus, 0.10, 1.0),
    case("opus-2-bursts", Opus, 0.02, 2.5),
    case("opus-5-bursts", Opus, 0.05, 2.5),
    case("opus-10-bursts", Opus, 0.10, 2.5),
    case("pcmu-0", Pcmu, 0.0, 1.0),
    case("pcmu-2", Pcmu, 0.02, 1.0),
    case("pcmu-5", Pcmu, 0.05, 1.0),
    case("pcmu-10", Pcmu, 0.10, 1.0),
    case("pcmu-2-bursts", Pcmu, 0.02, 2.5),
    case("pcmu-5-bursts", Pcmu, 0.05, 2.5),
    case("pcmu-10-bursts", Pcmu, 0.10, 2.5),
];

/// Mean of the jitter where packets are lost too, ms.
const JITTER_MS: f64 = 3.0;

/// `audio-report` in the target folder: the program is three below it (profile, deps, name).
fn folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.ancestors().nth(3).unwrap().join("audio-report");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// 48 kHz, mono, 16 bit.
pub fn write_wav(file: &Path, sound: &[f32]) {
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
fn heard(sent: &[f32], case: &Case) -> (Vec<f32>, StreamCounters) {
    let network = Network {
        loss: case.loss,
        burst: case.burst,
        delay_ms: 5.0,
        jitter_ms: case.jitter_ms,
        seed: 3,
    };
    let mut call = Call::new(case.codec, 20, network, 0.0);
    call.speak(&vec![0.0; ms(500)]);
    call.speak(sent);
    call.speak(&vec![0.0; ms(500)]);
    let heard = &call.far.heard[ms(500)..];
    let at = super::speech::align(sent, heard);
    let counters = call.far.control.stream(0);
    (heard[at..at + sent.len()].to_vec(), counters)
}

/// The phone's own figures, as rows.
fn own_figures() -> String {
    let mut rows = String::new();
    for hz in [440.0, 1000.0] {
        let percent = distortion(transparent(), hz);
        let speech = distortion(crate::audio::EngineConfig::default(), hz);
        write!(
            rows,
            "<tr><td>THD+N at {hz} Hz, microphone to ear, Opus at 128 kbit/s without copies \
             (at 40 kbit/s with them, as configured for speech)<td>{percent:.2} % ({speech:.2} %)<td>0.5 %"
        )
        .unwrap();
    }
    for (codec, frame_ms, to_wire, to_ear) in [
        (Opus, 10, 20, 25),
        (Opus, 20, 30, 40),
        (Pcmu, 10, 20, 25),
        (Pcmu, 20, 30, 40),
    ] {
        let (wire, ear) = own_delay(codec, frame_ms);
        write!(
            rows,
            "<tr><td>{codec:?}, {frame_ms} ms packets: microphone to wire<td>{wire:.1} ms<td>{to_wire} ms\
             <tr><td>{codec:?}, {frame_ms} ms packets: wire to ear<td>{ear:.1} ms<td>{to_ear} ms"
        )
        .unwrap();
    }
    rows
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Offhook: listening report</title>\
<style>body{font:14px sans-serif;max-width:60em;margin:2em}pre{background:#eee;padding:1em;overflow-x:auto}\
td,th{text-align:left;padding:.1em 1em .1em 0}img,svg{display:block;margin:.3em 0}</style>\
<h1>Listening report</h1><p>One phone's microphone to the other's ear in virtual time, 20 ms packets. Spectrograms go \
from 0 to 12 kHz.";

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
        "{HEAD}<h2>Figures</h2><table><tr><th>what<th>measured<th>goal{}</table>",
        own_figures()
    );
    let mut sounds = format!(
        "<h2>Spoken</h2>{}<img src=spoken.png alt='spectrogram'><audio controls src=spoken.wav></audio>",
        waveform(&sent)
    );
    page += "<h2>Speech over networks</h2><table><tr><th>codec<th>lost<th>in a row<th>jitter<th>likeness<th>made up<th>recovered\
             <th>stretched<th>delay";
    for case in &CASES {
        let Case {
            name,
            codec,
            loss,
            burst,
            jitter_ms,
        } = case;
        let (heard, counters) = heard(&sent, case);
        write_wav(&folder.join(format!("{name}.wav")), &heard);
        write_spectrogram(&folder.join(format!("{name}.png")), &heard);
        let percent = |samples: u64| samples as f64 * 100.0 / heard.len() as f64;
        write!(
            page,
            "<tr><td>{codec:?}<td>{:.0} %<td>{burst}<td>{jitter_ms} ms<td>{:.3}<td>{:.2} %<td>{} of {}<td>{:.2} %<td>{:.0} ms",
            loss * 100.0,
            likeness(&sent, &heard, *codec),
            percent(counters.concealed_samples),
            counters.fec_recovered,
            counters.lost,
            percent(counters.stretched_samples),
            counters.delay_ms,
        )
        .unwrap();
        write!(
            sounds,
            "<h2>{codec:?}, {:.0} % lost, {burst} in a row, {jitter_ms} ms of jitter</h2>{}<img src={name}.png alt='spectrogram'>\
             <audio controls src={name}.wav></audio>",
            loss * 100.0,
            waveform(&heard),
        )
        .unwrap();
        println!("{name}: {counters:?}");
    }
    let jitter = include_str!("../../../../tests/audio/jitter.snap");
    let table = jitter.splitn(3, "---\n").last().unwrap_or_default();
    let cost = include_str!("../../../../tests/audio/cost.txt");
    write!(
        page,
        "</table><h2>Jitter buffer</h2><pre>{table}</pre><h2>Processor</h2><pre>{cost}</pre>{sounds}"
    )
    .unwrap();
    std::fs::write(folder.join("index.html"), &page).unwrap();
    for Case { name, .. } in &CASES {
        for ending in ["wav", "png"] {
            let file = folder.join(format!("{name}.{ending}"));
            assert!(
                std::fs::metadata(file).unwrap().len() > 1000,
                "{name}.{ending}"
            );
        }
    }
}
