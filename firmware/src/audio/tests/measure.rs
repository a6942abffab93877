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

/// What of a sound there is in another, in one band.
#[derive(Clone, Copy, Debug)]
pub struct Survival {
    /// Where the band begins, Hz; it is an octave wide.
    pub from_hz: f32,
    /// Least-squares gain of the first sound in the second, dB.
    pub gain_db: f32,
    /// The part so found against all the rest there, dB.
    pub above_rest_db: f32,
}

/// The least-squares projection of `sound` on `heard`, by octaves from 100 Hz to 6.4 kHz and for all of them together.
/// Each octave may be delayed, by up to `most` samples, and turned in phase by itself, as filters do; what varies with
/// time counts as rest.
pub fn survival(sound: &[f32], heard: &[f32], most: usize) -> (Survival, Vec<Survival>) {
    let length = (sound.len().max(heard.len()) + most).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (
        planner.plan_fft_forward(length),
        planner.plan_fft_inverse(length),
    );
    let spectrum = |x: &[f32]| {
        let mut padded = x.to_vec();
        padded.resize(length, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).unwrap();
        spectrum
    };
    let (x, y) = (spectrum(sound), spectrum(heard));
    let powers = |bins: std::ops::Range<usize>, of: &[realfft::num_complex::Complex<f32>]| {
        let sum: f64 = of[bins].iter().map(|c| f64::from(c.norm_sqr())).sum();
        2.0 * sum
    };
    let rated = |from_hz, gain: f64, own: f64, all: f64| {
        let found = gain * gain * own;
        Survival {
            from_hz,
            gain_db: 20.0 * gain.max(1e-9).log10() as f32,
            above_rest_db: 10.0 * (found / (all - found).max(1e-12 * all)).log10() as f32,
        }
    };
    let (mut whole, mut found, mut all) = (0.0, 0.0, 0.0);
    let octaves = (0..6).map(|octave| {
        let from_hz = 100.0 * f32::from(1u8 << octave);
        let bin = |hz: f32| (hz * length as f32 / 48_000.0) as usize;
        let bins = bin(from_hz)..bin(2.0 * from_hz);
        // The correlation at each delay, and that of the sound turned by a right angle.
        let turned = |angle: realfft::num_complex::Complex<f32>| {
            let mut cross = inverse.make_input_vec();
            for n in bins.clone() {
                cross[n] = x[n].conj() * y[n] * angle;
            }
            let mut out = inverse.make_output_vec();
            inverse.process(&mut cross, &mut out).unwrap();
            out
        };
        let straight = turned(realfft::num_complex::Complex::new(1.0, 0.0));
        let across = turned(realfft::num_complex::Complex::new(0.0, -1.0));
        let best = straight.iter().zip(&across).take(most);
        let best = best.map(|(a, b)| a.hypot(*b)).fold(0.0, f32::max);
        let (own, there) = (powers(bins.clone(), &x), powers(bins, &y));
        let gain = f64::from(best) / own;
        whole += own;
        found += gain * own;
        all += there;
        rated(from_hz, gain, own, there)
    });
    let octaves: Vec<_> = octaves.collect();
    (rated(100.0, found / whole, whole, all), octaves)
}

#[test]
fn a_survival_is_the_gain_of_what_is_there_however_late() {
    let mut random = Random::new(7);
    let mut noise = || random.uniform() as f32 - 0.5;
    let sound: Vec<f32> = (0..48_000).map(|_| noise()).collect();
    let heard: Vec<f32> = (0..48_500)
        .map(|n| noise() * 0.25 - 0.5 * if n < 500 { 0.0 } else { sound[n - 500] })
        .collect();
    let (whole, octaves) = survival(&sound, &heard, 1000);
    assert_eq!(octaves.len(), 6);
    for part in octaves.into_iter().chain([whole]) {
        // The lowest octaves of a second of noise have few bins, so the two noises are a little alike.
        assert!((part.gain_db + 6.0).abs() < 1.0, "{part:?}");
        assert!((part.above_rest_db - 6.0).abs() < 1.5, "{part:?}");
    }
    let (gone, _) = survival(&sound, &heard[..400], 1000);
    assert!(gone.gain_db < -12.0, "{gone:?}");
}
