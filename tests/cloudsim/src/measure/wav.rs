//! WAV files, read from any common format and written as 16-bit mono.

use std::path::Path;

use super::{MeasureError, RATE, Result, resample, to_i16};

/// What lies between the first and the last sample that is louder than a whisper (-60 dBFS): a recording without the
/// time before and after the call, in which nobody spoke.
pub fn trim_silence(recording: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > 32;
    let first = recording.iter().position(loud).unwrap_or(0);
    let last = recording.iter().rposition(loud).map_or(0, |last| last + 1);
    recording.get(first..last).unwrap_or_default()
}

/// Reads a WAV file of any sample rate, 8 to 32 bits or float, and takes its first channel to
/// 48 kHz.
pub fn read_wav(file: &Path) -> Result<Vec<i16>> {
    let fail = |source| MeasureError::Wav {
        file: file.to_owned(),
        source,
    };
    let mut reader = hound::WavReader::open(file).map_err(fail)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels.max(1));
    let first: std::result::Result<Vec<f32>, _> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().step_by(channels).collect(),
        hound::SampleFormat::Int => {
            let full_scale = (1_u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader
                .samples::<i32>()
                .step_by(channels)
                .map(|sample| sample.map(|s| s as f32 / full_scale))
                .collect()
        }
    };
    let samples = resample(&first.map_err(fail)?, spec.sample_rate, RATE);
    Ok(samples.into_iter().map(to_i16).collect())
}

/// Writes a recording as 48 kHz mono 16-bit PCM.
pub fn write_wav(file: &Path, samples: &[i16]) -> Result<()> {
    let fail = |source| MeasureError::Wav {
        file: file.to_owned(),
        source,
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(file, spec).map_err(fail)?;
    for &sample in samples {
        writer.write_sample(sample).map_err(fail)?;
    }
    writer.finalize().map_err(fail)
}
