//! Every figure must react to the fault it is there for, and to no other.

use super::*;
use crate::gateway::g711;

fn sine(hz: f32, dbfs: f32, seconds: f32) -> Vec<i16> {
    let amplitude = 10_f32.powf(dbfs / 20.0);
    (0..(seconds * RATE as f32) as usize)
        .map(|n| {
            to_i16(amplitude * (2.0 * std::f32::consts::PI * hz * n as f32 / RATE as f32).sin())
        })
        .collect()
}

/// Noise from a fixed seed.
fn noise(length: usize, dbfs: f32) -> Vec<i16> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    // A uniform distribution has a mean square of a third of its peak's.
    let amplitude = 10_f32.powf(dbfs / 20.0) / 2_f32.sqrt() * 3_f32.sqrt();
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            to_i16(amplitude * ((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0))
        })
        .collect()
}

fn scaled(samples: &[i16], db: f32) -> Vec<i16> {
    let gain = 10_f32.powf(db / 20.0);
    samples
        .iter()
        .map(|&s| (f32::from(s) * gain) as i16)
        .collect()
}

fn mixed(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect()
}

/// 48 kHz to G.711 at 8 kHz and back.
fn companded(samples: &[i16]) -> Vec<i16> {
    let narrow = resample(&to_float(samples), RATE, 8_000);
    let coded: Vec<f32> = narrow
        .iter()
        .map(|&s| f32::from(g711::mulaw_decode(g711::mulaw_encode(to_i16(s)))) / 32_768.0)
        .collect();
    resample(&coded, 8_000, RATE)
        .into_iter()
        .map(to_i16)
        .collect()
}

#[test]
fn the_same_recording_is_perfect() {
    let speech = speech().unwrap();
    let same = compare(&speech, &speech, Band::WIDE).unwrap();
    assert_eq!(same.alignment.lag, 0);
    assert!(same.alignment.correlation > 0.9999);
    assert!(same.spectral_correlation > 0.9999, "{same:?}");
    assert!(same.level_difference_db.abs() < 0.01);
    assert!(same.longest_gap_ms < 0.01);
    assert!((8.0..15.0).contains(&same.seconds), "{same:?}");
    assert!((0.2..0.9).contains(&same.active_share), "{same:?}");
}

#[test]
fn gain_moves_only_the_level() {
    let speech = speech().unwrap();
    let quiet = compare(&speech, &scaled(&speech, -6.0), Band::WIDE).unwrap();
    assert!((quiet.level_difference_db + 6.0).abs() < 0.1, "{quiet:?}");
    assert!(quiet.spectral_correlation > 0.99, "{quiet:?}");
    assert!(quiet.longest_gap_ms < 0.01, "{quiet:?}");
}

#[test]
fn delay_and_advance_are_found() {
    let speech = speech().unwrap();
    let mut late = vec![0; 12_345];
    late.extend_from_slice(&speech);
    assert_eq!(align(&speech, &late).unwrap().lag, 12_345);
    let early = &speech[7_777..];
    assert_eq!(align(&speech, early).unwrap().lag, -7_777);
    let later = compare(&speech, &late, Band::WIDE).unwrap();
    assert!(later.spectral_correlation > 0.999, "{later:?}");
}

#[test]
fn turned_polarity_shows() {
    let speech = speech().unwrap();
    let turned: Vec<i16> = speech.iter().map(|s| s.saturating_neg()).collect();
    assert!(align(&speech, &turned).unwrap().correlation < -0.99);
}

#[test]
fn a_hole_is_measured_to_the_millisecond() {
    let speech = speech().unwrap();
    let loudest = speech
        .chunks_exact(4_800)
        .enumerate()
        .max_by(|a, b| level_dbfs(a.1).total_cmp(&level_dbfs(b.1)))
        .map(|(n, _)| n * 4_800)
        .unwrap();
    for (hole_ms, samples) in [(30.0, 1_440), (60.0, 2_880)] {
        let mut holed = speech.clone();
        holed[loudest..loudest + samples].fill(0);
        let found = compare(&speech, &holed, Band::WIDE).unwrap();
        assert!((found.longest_gap_ms - hole_ms).abs() < 4.0, "{found:?}");
        assert!(found.spectral_correlation < 0.9999, "{found:?}");
    }
}

#[test]
fn noise_lowers_the_spectral_correlation_step_by_step() {
    let speech = speech().unwrap();
    let with_noise = |dbfs| {
        compare(
            &speech,
            &mixed(&speech, &noise(speech.len(), dbfs)),
            Band::WIDE,
        )
        .unwrap()
        .spectral_correlation
    };
    let (faint, loud, drowned) = (with_noise(-60.0), with_noise(-35.0), with_noise(-10.0));
    assert!(faint > loud && loud > drowned, "{faint} {loud} {drowned}");
    assert!(drowned < 0.7, "{drowned}");
    let stranger = compare(&speech, &noise(speech.len(), -20.0), Band::WIDE).unwrap();
    assert!(stranger.spectral_correlation < 0.5, "{stranger:?}");
}

#[test]
fn g711_is_fine_in_the_telephone_band_and_missed_beyond() {
    let speech = speech().unwrap();
    let coded = companded(&speech);
    let narrow = compare(&speech, &coded, Band::TELEPHONE).unwrap();
    assert!(narrow.spectral_correlation > 0.95, "{narrow:?}");
    assert!(narrow.level_difference_db.abs() < 1.0, "{narrow:?}");
    assert!(narrow.longest_gap_ms < 10.0, "{narrow:?}");
    let wide = compare(&speech, &coded, Band::WIDE).unwrap();
    assert!(
        wide.spectral_correlation < narrow.spectral_correlation - 0.02,
        "{wide:?}"
    );
}

#[test]
fn a_looped_reference_is_found_from_any_start() {
    let speech = speech().unwrap();
    let played = tile(&speech, speech.len() * 2);
    let received = &played[300_000..300_000 + speech.len()];
    let found = compare_looped(&speech, received, Band::WIDE).unwrap();
    assert!(found.spectral_correlation > 0.999, "{found:?}");
    assert!(
        (found.seconds - received.len() as f32 / RATE as f32).abs() < 0.1,
        "{found:?}"
    );
}

#[test]
fn silence_is_an_error_not_a_figure() {
    let speech = speech().unwrap();
    let error = compare(&speech, &vec![0; 48_000], Band::WIDE).unwrap_err();
    assert!(
        error.to_string().contains("received recording is silent"),
        "{error}"
    );
    assert!(tone(&[0; 10]).is_err());
    assert!(tone(&vec![0; 48_000]).unwrap().dominant_hz == 0.0);
}

#[test]
fn a_tone_has_its_frequency_level_and_purity() {
    for (hz, dbfs) in [
        (440.0, -20.0),
        (1_000.0, -3.0),
        (97.3, -40.0),
        (7_531.0, -12.0),
    ] {
        let figures = tone(&sine(hz, dbfs, 1.0)).unwrap();
        assert!((figures.dominant_hz - hz).abs() < 0.5, "{hz}: {figures:?}");
        assert!((figures.dbfs - dbfs).abs() < 0.1, "{hz}: {figures:?}");
        assert!(figures.purity > 0.99, "{hz}: {figures:?}");
        assert!(figures.thd_db < -50.0, "{hz}: {figures:?}");
    }
}

#[test]
fn clipping_shows_as_distortion_and_noise_as_impurity() {
    let clean = sine(440.0, -3.0, 1.0);
    let clipped: Vec<i16> = clean.iter().map(|s| (*s).clamp(-8_000, 8_000)).collect();
    let distorted = tone(&clipped).unwrap();
    assert!(distorted.thd_db > -20.0, "{distorted:?}");
    let noisy = tone(&mixed(&clean, &noise(clean.len(), -3.0))).unwrap();
    assert!(noisy.purity < 0.6, "{noisy:?}");
    assert!((noisy.dominant_hz - 440.0).abs() < 1.0);
}

#[test]
fn resampling_keeps_a_tone_and_stops_what_does_not_fit() {
    let up = resample(&to_float(&sine(440.0, -20.0, 1.0)), RATE, 44_100);
    assert_eq!(up.len(), 44_100);
    let back: Vec<i16> = resample(&up, 44_100, RATE)
        .into_iter()
        .map(to_i16)
        .collect();
    let figures = tone(&back[4_800..43_200]).unwrap();
    assert!(
        (figures.dbfs + 20.0).abs() < 0.1 && figures.purity > 0.99,
        "{figures:?}"
    );
    let too_high = resample(&to_float(&sine(6_000.0, -6.0, 1.0)), RATE, 8_000);
    let left: Vec<i16> = too_high.into_iter().map(to_i16).collect();
    assert!(level_dbfs(&left[800..7_200]) < -60.0);
}

#[test]
fn wav_files_of_many_formats_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let check = |bits: u16, rate: u32, channels: u16, format: hound::SampleFormat| {
        let file = folder
            .path()
            .join(format!("{bits}-{rate}-{channels}-{format:?}.wav"));
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut writer = hound::WavWriter::create(&file, spec).unwrap();
        for n in 0..rate {
            let value = 0.1 * (2.0 * std::f32::consts::PI * 440.0 * n as f32 / rate as f32).sin();
            for channel in 0..channels {
                let value = if channel == 0 { value } else { 0.0 };
                match format {
                    hound::SampleFormat::Float => writer.write_sample(value).unwrap(),
                    hound::SampleFormat::Int => writer
                        .write_sample((value * (1_u64 << (bits - 1)) as f32).round() as i32)
                        .unwrap(),
                }
            }
        }
        writer.finalize().unwrap();
        let samples = read_wav(&file).unwrap();
        assert_eq!(samples.len(), RATE as usize, "{}", file.display());
        let figures = tone(&samples[4_800..43_200]).unwrap();
        assert!(
            (figures.dominant_hz - 440.0).abs() < 1.0,
            "{} {figures:?}",
            file.display()
        );
        assert!(
            (figures.dbfs + 20.0).abs() < 0.3,
            "{} {figures:?}",
            file.display()
        );
    };
    for (bits, rate, channels) in [
        (8, 8_000, 1),
        (16, 44_100, 2),
        (24, 48_000, 1),
        (32, 16_000, 2),
    ] {
        check(bits, rate, channels, hound::SampleFormat::Int);
    }
    check(32, 48_000, 2, hound::SampleFormat::Float);
    let missing = read_wav(std::path::Path::new("/nonexistent.wav")).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent.wav"));
}
