//! Reading sound files into memory: any usual WAV becomes mono at 48 kHz.

use std::path::Path;
use std::sync::Arc;

use super::{AudioError, Direction, RATE_HZ};

/// The longest file that is loaded: 10 minutes, 55 MiB.
const MAX_SAMPLES: usize = 600 * RATE_HZ as usize;
/// Zero crossings of the interpolating sinc on each side: flat to 0.9 of the band, and aliases
/// 70 dB down.
const ZERO_CROSSINGS: usize = 24;
/// The most phases of the resampler; 11,025 Hz has the most among usual rates.
const MAX_PHASES: usize = 640;

/// Reads `file` as mono at 48 kHz: channels are averaged, other rates are resampled.
pub(super) fn load(file: &Path) -> Result<Box<[i16]>, AudioError> {
    let refuse = |reason: String| AudioError::File {
        file: file.display().to_string().into(),
        reason: reason.into(),
    };
    let reader = hound::WavReader::open(file).map_err(|error| match error {
        hound::Error::IoError(error) if error.kind() == std::io::ErrorKind::NotFound => {
            AudioError::Missing {
                device: format!("wav:{}", file.display()).into(),
                direction: Direction::Capture,
                reason: "no such file".into(),
            }
        }
        error => refuse(format!(
            "{error}; it must be a WAV file of integer or float samples"
        )),
    })?;
    let spec = reader.spec();
    let ratio = Ratio::new(spec.sample_rate).ok_or_else(|| {
        refuse(format!(
            "its rate is {} Hz; use 48000, 44100, 16000 or 8000",
            spec.sample_rate
        ))
    })?;
    let channels = usize::from(spec.channels.max(1));
    let frames = reader.len() as usize / channels;
    if frames == 0 {
        return Err(refuse("it holds no sound".into()));
    }
    if ratio.output_len(frames) > MAX_SAMPLES {
        return Err(refuse(format!(
            "it is longer than {} minutes",
            MAX_SAMPLES / 60 / RATE_HZ as usize
        )));
    }
    let mono = read_mono(reader, channels).map_err(|error| refuse(error.to_string()))?;
    let samples = if ratio.is_one() {
        mono
    } else {
        ratio.resample(&mono)
    };
    if samples.is_empty() {
        return Err(refuse("it holds no sound".into()));
    }
    Ok(samples
        .into_iter()
        .map(|sample| (sample * 32_768.0).round() as i16)
        .collect())
}

/// The path as messages name it.
pub(super) fn name(file: &Path) -> Arc<str> {
    file.display().to_string().into()
}

/// Full scale is 1.0.
fn read_mono<R: std::io::Read>(
    mut reader: hound::WavReader<R>,
    channels: usize,
) -> Result<Vec<f32>, hound::Error> {
    let spec = reader.spec();
    let interleaved: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            let scale = 0.5_f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader
                .samples::<i32>()
                .map(|sample| sample.map(|sample| sample as f32 * scale))
                .collect::<Result<_, _>>()?
        }
    };
    Ok(interleaved
        .chunks_exact(channels)
        .map(|frame| frame.iter().sum::<f32>() / channels as f32)
        .collect())
}

/// 48,000 over the file's rate, in lowest terms.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    up: usize,
    down: usize,
}

impl Ratio {
    fn new(rate_hz: u32) -> Option<Self> {
        let common = gcd(RATE_HZ, rate_hz);
        let up = (RATE_HZ / common) as usize;
        let down = (rate_hz / common) as usize;
        // 1 kHz to 192 kHz: outside is a broken header.
        let usual = (1_000..=192_000).contains(&rate_hz) && up <= MAX_PHASES;
        usual.then_some(Self { up, down })
    }

    const fn is_one(self) -> bool {
        self.up == self.down
    }

    const fn output_len(self, input_len: usize) -> usize {
        (input_len as u64 * self.up as u64 / self.down as u64) as usize
    }

    /// A polyphase windowed sinc; beyond its ends the sound is silent.
    fn resample(self, input: &[f32]) -> Vec<f32> {
        // When the rate goes down, the sinc is wider, so that what the new rate cannot carry goes.
        let cutoff = (self.up as f64 / self.down as f64).min(1.0) * 0.95;
        let half = (ZERO_CROSSINGS as f64 / cutoff).ceil() as usize;
        let phases: Vec<Vec<f32>> = (0..self.up)
            .map(|phase| kernel(phase as f64 / self.up as f64, half, cutoff))
            .collect();
        (0..self.output_len(input.len()))
            .map(|output| {
                let position = output * self.down;
                let center = position / self.up;
                let taps = &phases[position % self.up];
                // Tap 0 lies at input sample `center + 1 - half`.
                let first = (center + 1).saturating_sub(half);
                let skipped = (first + half).saturating_sub(center + 1);
                let window = input.get(first..).unwrap_or_default();
                taps.iter()
                    .skip(skipped)
                    .zip(window)
                    .map(|(tap, sample)| tap * sample)
                    .sum()
            })
            .collect()
    }
}

/// Taps for a point `fraction` of a sample behind tap `half - 1`, with unity gain at DC.
fn kernel(fraction: f64, half: usize, cutoff: f64) -> Vec<f32> {
    let taps: Vec<f64> = (0..2 * half)
        .map(|tap| {
            let distance = tap as f64 - (half - 1) as f64 - fraction;
            let x = std::f64::consts::PI * distance * cutoff;
            let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
            // Blackman.
            let along = (distance / half as f64).clamp(-1.0, 1.0) * std::f64::consts::PI;
            sinc * (0.42 + 0.5 * along.cos() + 0.08 * (2.0 * along).cos())
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| (tap / sum) as f32).collect()
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::path::PathBuf;

    use hound::{SampleFormat, WavSpec, WavWriter};

    use super::*;

    /// One second of a 440 Hz tone at half of full scale, in every channel.
    fn tone(
        dir: &tempfile::TempDir,
        rate: u32,
        channels: u16,
        bits: u16,
        format: SampleFormat,
    ) -> PathBuf {
        let file = dir.path().join(format!("{rate}-{channels}-{bits}.wav"));
        let spec = WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = WavWriter::create(&file, spec).unwrap();
        for frame in 0..rate {
            let value = 0.5 * (TAU * 440.0 * f64::from(frame) / f64::from(rate)).sin();
            for _ in 0..channels {
                match format {
                    SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                    SampleFormat::Int => {
                        let full = f64::from(1_u32 << (bits - 1));
                        writer.write_sample((value * full).round() as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        file
    }

    #[test]
    fn every_usual_format_becomes_the_same_sound() {
        let dir = tempfile::tempdir().unwrap();
        for (rate, channels, bits, format, tolerance) in [
            (48_000, 1, 16, SampleFormat::Int, 2.0),
            (48_000, 2, 24, SampleFormat::Int, 2.0),
            (48_000, 2, 32, SampleFormat::Float, 2.0),
            (48_000, 1, 8, SampleFormat::Int, 130.0),
            (44_100, 1, 16, SampleFormat::Int, 30.0),
            (16_000, 2, 16, SampleFormat::Int, 30.0),
            (11_025, 1, 16, SampleFormat::Int, 30.0),
            (8_000, 1, 16, SampleFormat::Int, 30.0),
            (96_000, 1, 16, SampleFormat::Int, 30.0),
        ] {
            let samples = load(&tone(&dir, rate, channels, bits, format)).unwrap();
            assert_eq!(samples.len(), 48_000, "{rate} Hz");
            // The ends ring, because silence is beyond them.
            let worst = (1_000..47_000)
                .map(|n| {
                    let ideal = 16_384.0 * (TAU * 440.0 * n as f64 / 48_000.0).sin();
                    (f64::from(samples[n]) - ideal).abs()
                })
                .fold(0.0, f64::max);
            assert!(worst <= tolerance, "{rate} Hz, {bits} bits: off by {worst}");
        }
    }

    #[test]
    fn resampling_leaves_no_alias() {
        // 30 kHz at 96 kHz cannot be told from 18 kHz at 48 kHz if it is not filtered out.
        let input: Vec<f32> = (0..96_000)
            .map(|n| (TAU * 30_000.0 * f64::from(n) / 96_000.0).sin() as f32)
            .collect();
        let output = Ratio::new(96_000).unwrap().resample(&input);
        let loudest = output[1_000..47_000]
            .iter()
            .fold(0.0_f32, |max, s| max.max(s.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    #[test]
    fn what_is_no_usable_file_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let check = |file: PathBuf, expected: &str| {
            let message = load(&file).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(dir.path().join("none.wav"), "does not exist");
        let junk = dir.path().join("junk.wav");
        std::fs::write(&junk, b"RIFF nothing of the kind").unwrap();
        check(junk, "cannot be used");
        check(
            tone(&dir, 47_999, 1, 16, SampleFormat::Int),
            "its rate is 47999 Hz; use 48000",
        );
        let no_rate = tone(&dir, 8_000, 1, 16, SampleFormat::Int);
        let mut bytes = std::fs::read(&no_rate).unwrap();
        bytes[24..28].fill(0);
        std::fs::write(&no_rate, &bytes).unwrap();
        check(no_rate, "cannot be used");
        let empty = dir.path().join("empty.wav");
        let spec = WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        WavWriter::create(&empty, spec).unwrap().finalize().unwrap();
        check(empty, "it holds no sound");
        check(dir.path().to_path_buf(), "cannot be used");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("any.wav");
            let valid = std::fs::read(tone(&dir, 8_000, 1, 16, SampleFormat::Int)).unwrap();
            std::fs::write(&file, &bytes).unwrap();
            let _ = load(&file);
            // A good header with a damaged middle gets further than noise does.
            let mut damaged = valid[..44].to_vec();
            for (index, byte) in bytes.iter().enumerate().take(44) {
                damaged[index] ^= byte;
            }
            damaged.extend(tail);
            std::fs::write(&file, &damaged).unwrap();
            let _ = load(&file);
        }
    }
}
