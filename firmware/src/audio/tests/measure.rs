//! Measuring sound, for tests.

pub use super::network::Random;
use realfft::RealFftPlanner;
use std::f32::consts::TAU;

/// A sine of this peak.
pub fn sine(hz: f32, rate_hz: f32, peak: f32, samples: usize) -> Vec<f32> {
    (0..samples)
        .map(|n| peak * (TAU * (hz * n as f32 / rate_hz).fract()).sin())
        .collect()
}

/// Level of one frequency, dB; a full-scale sine is 0. Hann window, so neighbours 4 bins away do not count.
pub fn level_db(sound: &[f32], rate_hz: f32, hz: f32) -> f32 {
    let (mut re, mut im, mut sum) = (0.0f64, 0.0f64, 0.0f64);
    for (n, &sample) in sound.iter().enumerate() {
        let window = f64::from(hann(n, sound.len()));
        let phase = std::f64::consts::TAU * (f64::from(hz) * n as f64 / f64::from(rate_hz)).fract();
        re += f64::from(sample) * window * phase.cos();
        im += f64::from(sample) * window * phase.sin();
        sum += window;
    }
    (20.0 * (2.0 * re.hypot(im) / sum).max(1e-9).log10()) as f32
}

/// The frequencies of the `count` highest peaks of the spectrum.
pub fn peaks(sound: &[f32], rate_hz: f32, count: usize) -> Vec<f32> {
    let length = sound.len().next_power_of_two() * 4;
    let mut padded = vec![0.0; length];
    for (n, &sample) in sound.iter().enumerate() {
        padded[n] = sample * hann(n, sound.len());
    }
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(length);
    let mut spectrum = fft.make_output_vec();
    fft.process(&mut padded, &mut spectrum).unwrap();
    let power: Vec<f32> = spectrum.iter().map(|bin| bin.norm()).collect();
    // Side lobes are less than a main lobe (4 bins of the unpadded window) away.
    let lobe = 2 * length / sound.len();
    let mut tops: Vec<usize> = (1..power.len() - 1)
        .filter(|&bin| {
            let around = &power[bin.saturating_sub(lobe)..(bin + lobe + 1).min(power.len())];
            around.iter().all(|&other| other <= power[bin])
        })
        .collect();
    tops.sort_by(|&a, &b| power[b].total_cmp(&power[a]));
    tops.truncate(count);
    tops.into_iter()
        .map(|bin| bin as f32 * rate_hz / length as f32)
        .collect()
}

/// Root of the mean square.
pub fn rms(sound: &[f32]) -> f32 {
    (sound.iter().map(|s| s * s).sum::<f32>() / sound.len().max(1) as f32).sqrt()
}

/// The biggest difference between neighbours.
pub fn biggest_step(sound: &[f32]) -> f32 {
    sound
        .windows(2)
        .map(|w| (w[1] - w[0]).abs())
        .fold(0.0, f32::max)
}

/// The longest stretch quieter than `threshold`, samples.
pub fn longest_gap(sound: &[f32], threshold: f32) -> usize {
    let (mut longest, mut now) = (0, 0);
    for sample in sound {
        now = if sample.abs() < threshold { now + 1 } else { 0 };
        longest = longest.max(now);
    }
    longest
}

/// The longest time the level stays 20 dB under the usual one, in ms.
pub fn gap_ms(sound: &[f32]) -> usize {
    // 2 ms.
    let window = 96;
    let levels: Vec<f32> = sound.chunks_exact(window).map(rms).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let usual = sorted[sorted.len() / 2];
    2 * longest_gap(&levels, usual * 0.1)
}

fn hann(n: usize, length: usize) -> f32 {
    0.5 - 0.5 * (TAU * (n as f32 + 0.5) / length as f32).cos()
}

/// The highest correlation of two sounds with the second up to `most` samples later.
pub fn correlation_at_best(a: &[f32], b: &[f32], most: usize) -> f32 {
    let length = a.len().min(b.len()) - most;
    let product = |late: usize| -> f32 {
        let pairs = a[..length].iter().zip(&b[late..late + length]);
        pairs.map(|(a, b)| a * b).sum()
    };
    let best = (0..most).step_by(4).map(product).fold(0.0, f32::max);
    best / (rms(&a[..length]) * rms(&b[..length + most]) * length as f32).max(1e-9)
}

/// What is not the tone, as a part of the whole: distortion and noise (THD+N).
pub fn tone_residual(sound: &[f32], rate_hz: f32, hz: f32) -> f32 {
    let turn = |n: usize| std::f64::consts::TAU * (f64::from(hz) * n as f64 / f64::from(rate_hz));
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, &sample) in sound.iter().enumerate() {
        sine += f64::from(sample) * turn(n).sin();
        cosine += f64::from(sample) * turn(n).cos();
    }
    let scale = 2.0 / sound.len() as f64;
    let rest: Vec<f32> = sound
        .iter()
        .enumerate()
        .map(|(n, &sample)| {
            let tone = scale * (sine * turn(n).sin() + cosine * turn(n).cos());
            sample - tone as f32
        })
        .collect();
    rms(&rest) / rms(sound)
}

/// Where the sound clicks: its second difference is far beyond what it is for 5 ms around, which neither a consonant's
/// beginning nor anything else that goes on for a while is.
pub fn clicks(sound: &[f32]) -> Vec<usize> {
    const AROUND: usize = 240;
    /// A click's own bends.
    const BESIDE: usize = 12;
    /// A bend that is not heard even in silence.
    const LEAST: f32 = 0.004;
    let bends: Vec<f32> = sound
        .windows(3)
        .map(|w| (w[0] - 2.0 * w[1] + w[2]).abs())
        .collect();
    let most = |bends: &[f32]| bends.iter().copied().fold(0.0, f32::max);
    let mut found: Vec<usize> = Vec::new();
    for (n, &bend) in bends.iter().enumerate() {
        if bend < LEAST || found.last().is_some_and(|last| n - last <= AROUND) {
            continue;
        }
        let before = &bends[n.saturating_sub(AROUND)..n.saturating_sub(BESIDE)];
        let after = &bends[(n + BESIDE).min(bends.len())..(n + AROUND).min(bends.len())];
        if bend > 4.0 * most(before).max(most(after)) + LEAST {
            found.push(n);
        }
    }
    found
}
