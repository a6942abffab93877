//! The ALSA back end against alsa-lib's own plugins: opening, refusing, and moving sound.
//!
//! alsa-lib reads its configuration once per process, from where the environment says. So each
//! test runs itself again as a child with its own environment, in a folder of its own.

use std::env;
use std::path::Path;
use std::process::Command;

use offhook_hal::audio::alsa::AlsaDuplex;
use offhook_hal::audio::{
    AudioError, BUFFER_FRAMES, CaptureSpec, DuplexAudio, DuplexSpec, PERIOD_FRAMES, PlaybackSpec,
    open,
};

const CHILD: &str = "OFFHOOK_ALSA_TEST";

/// Runs `body` in a child process whose folder is `folder`, with the tests' `asound.conf`.
fn with_plugins(test: &str, folder: &Path, body: impl FnOnce()) {
    if env::var(CHILD).is_ok_and(|child| child == test) {
        return body();
    }
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alsa/asound.conf");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("ALSA_CONFIG_PATH", conf)
        .env(CHILD, test)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    assert!(!text.contains("ALSA lib"), "alsa-lib spoke past us: {text}");
}

/// Where the child already is.
fn here() -> &'static Path {
    Path::new(".")
}

#[test]
fn devices_that_do_not_fit_are_refused_in_words() {
    with_plugins(
        "devices_that_do_not_fit_are_refused_in_words",
        here(),
        || {
            for (name, expected) in [
                ("nope", "does not exist (Unknown PCM nope)"),
                ("no_card", "does not exist ("),
                ("broken", "does not exist ("),
                (
                    "float_only",
                    "does not take signed little-endian samples of bits 16",
                ),
                ("a\0b", "does not exist (its name holds a zero byte)"),
            ] {
                for (capture, playback) in [(Some(name), None), (None, Some(name))] {
                    let way = if capture.is_some() {
                        "capture"
                    } else {
                        "playback"
                    };
                    let error = AlsaDuplex::open(capture, playback, PERIOD_FRAMES, BUFFER_FRAMES)
                        .unwrap_err()
                        .to_string();
                    assert!(
                        error.contains(&format!("the {way} device \"{name}\" ")),
                        "{error}"
                    );
                    assert!(error.contains(expected), "{error}");
                }
            }
            // The end that is wrong is the one that is named.
            let error = AlsaDuplex::open(Some("null"), Some("nope"), PERIOD_FRAMES, BUFFER_FRAMES)
                .unwrap_err();
            assert!(matches!(error, AudioError::Missing { .. }), "{error}");
            assert!(
                error.to_string().contains("playback device \"nope\""),
                "{error}"
            );
        },
    );
}

#[test]
fn the_null_device_exchanges_periods() {
    with_plugins("the_null_device_exchanges_periods", here(), || {
        let mut device =
            AlsaDuplex::open(Some("null"), Some("null"), PERIOD_FRAMES, BUFFER_FRAMES).unwrap();
        let format = device.format().clone();
        assert_eq!(
            (format.capture.as_str(), format.playback.as_str()),
            ("alsa:null", "alsa:null")
        );
        assert_eq!(
            (format.rate_hz, format.period_frames, format.buffer_frames),
            (48_000, 480, 1920)
        );
        let roomy =
            AlsaDuplex::open(Some("null"), Some("null"), PERIOD_FRAMES, 5 * BUFFER_FRAMES).unwrap();
        assert_eq!(roomy.format().buffer_frames, 9600, "as the board asks");
        let mut capture = [1; PERIOD_FRAMES];
        let refused = device.exchange(&[0; PERIOD_FRAMES], &mut capture);
        assert!(matches!(refused, Err(AudioError::NotStarted)));
        for _ in 0..2 {
            device.start().unwrap();
            for _ in 0..20 {
                let report = device.exchange(&[5; PERIOD_FRAMES], &mut capture).unwrap();
                assert_eq!((report.xruns, report.restarted), (0, false));
                assert_eq!(capture, [0; PERIOD_FRAMES]);
            }
            device.stop();
        }
    });
}

/// Samples that tell their place.
fn ramp(periods: usize) -> Vec<i16> {
    (0..periods * PERIOD_FRAMES)
        .map(|n| (n % 30_000) as i16 - 15_000)
        .collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

#[test]
fn every_sample_arrives_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let sound = ramp(50);
    std::fs::write(folder.path().join("captured.raw"), bytes(&sound)).unwrap();
    with_plugins(
        "every_sample_arrives_in_both_directions",
        folder.path(),
        || {
            // The child has a folder of its own already.
            let sound = ramp(50);
            // One at a time: plugins do not say that they share a clock, and playback beside another clock is bent.
            // Whatever the card's own period.
            for (period_frames, buffer_frames, expected) in [
                (480, 1920, "alsa:"),
                (240, 1920, "period 240, buffer 1920"),
                (960, 9600, "period 960, buffer 9600"),
                // Room for four.
                (1024, 1920, "period 1024, buffer 4096"),
            ] {
                let mut heard = Vec::new();
                for (capture, playback) in [(Some("recorder"), None), (None, Some("player"))] {
                    let mut device =
                        AlsaDuplex::open(capture, playback, period_frames, buffer_frames).unwrap();
                    let format = device.format();
                    let text = [&*format.capture, &*format.playback].concat();
                    assert!(text.contains(expected), "{text}");
                    device.start().unwrap();
                    for period in sound.chunks_exact(PERIOD_FRAMES) {
                        let mut captured = [0; PERIOD_FRAMES];
                        let report = device
                            .exchange(period.try_into().unwrap(), &mut captured)
                            .unwrap();
                        assert_eq!(report.xruns, 0);
                        if capture.is_some() {
                            heard.extend(captured);
                        }
                    }
                    device.stop();
                }
                assert!(heard == sound, "captured something else than the file");
                let played = std::fs::read("played.raw").unwrap();
                // Two periods of silence come first: that is how far playback is ahead.
                let primed = vec![0_i16; 2 * PERIOD_FRAMES.max(period_frames)];
                let expected = bytes(&[&primed[..], &sound].concat());
                let differs = played.iter().zip(&expected).position(|(a, b)| a != b);
                assert_eq!(
                    (played.len(), differs),
                    (expected.len(), None),
                    "{period_frames}"
                );
            }
        },
    );
}

#[test]
fn one_end_may_be_virtual() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("captured.raw"), bytes(&ramp(10))).unwrap();
    with_plugins("one_end_may_be_virtual", folder.path(), || {
        let capture: CaptureSpec = "alsa:recorder".parse().unwrap();
        let mut device = open(&DuplexSpec::new(
            capture,
            PlaybackSpec::Wav("out.wav".into()),
        ))
        .unwrap();
        assert_eq!(device.format().capture, "alsa:recorder");
        assert_eq!(device.format().playback, "wav:out.wav");
        device.start().unwrap();
        let mut heard = [0; PERIOD_FRAMES];
        device.exchange(&[9; PERIOD_FRAMES], &mut heard).unwrap();
        device.stop();
        assert_eq!(heard[..], ramp(1)[..]);
        let mut wav = hound::WavReader::open("out.wav").unwrap();
        assert!(
            wav.samples::<i16>()
                .map(Result::unwrap)
                .eq([9; PERIOD_FRAMES])
        );

        let playback: PlaybackSpec = "alsa:null".parse().unwrap();
        let mut device = open(&DuplexSpec::new(
            CaptureSpec::Wav("out.wav".into()),
            playback,
        ))
        .unwrap();
        assert_eq!(device.format().capture, "wav:out.wav");
        assert_eq!(device.format().playback, "alsa:null");
        device.start().unwrap();
        device.exchange(&[0; PERIOD_FRAMES], &mut heard).unwrap();
        assert_eq!(heard, [9; PERIOD_FRAMES]);
    });
}

#[test]
fn a_card_of_another_format_is_taken_as_it_is() {
    with_plugins("a_card_of_another_format_is_taken_as_it_is", here(), || {
        for (name, period, expected) in [
            ("stereo_only", 480, "48000 Hz, 16-bit, stereo, period 480,"),
            ("plugged", 480, "16000 Hz, 16-bit, mono, period 160,"),
            // At its own rate, the nearest there is.
            (
                "plugged",
                1024,
                "16000 Hz, 16-bit, mono, period 341, buffer 1365",
            ),
        ] {
            let device = AlsaDuplex::open(None, Some(name), period, BUFFER_FRAMES).unwrap();
            let format = device.format().playback.clone();
            assert!(format.contains(expected), "{format}");
        }
    });
}

#[test]
fn a_studio_card_plays_the_phones_sound() {
    let folder = tempfile::tempdir().unwrap();
    with_plugins(
        "a_studio_card_plays_the_phones_sound",
        folder.path(),
        || {
            let mut device =
                AlsaDuplex::open(None, Some("studio"), PERIOD_FRAMES, BUFFER_FRAMES).unwrap();
            let format = device.format().playback.clone();
            assert!(
                format.contains("44100 Hz, 16-bit, mono, period 441"),
                "{format}"
            );
            device.start().unwrap();
            let sine = |n: usize| {
                ((n as f64 * 1000.0 / 48_000.0 * std::f64::consts::TAU).sin() * 8192.0) as i16
            };
            for period in 0..100 {
                let playback = std::array::from_fn(|n| sine(period * PERIOD_FRAMES + n));
                device.exchange(&playback, &mut [0; PERIOD_FRAMES]).unwrap();
            }
            drop(device);
            let played = std::fs::read("studio.raw").unwrap();
            let frames: Vec<[i32; 2]> = played
                .chunks_exact(8)
                .map(|frame| {
                    [0, 4].map(|at| i32::from_le_bytes(frame[at..at + 4].try_into().unwrap()))
                })
                .collect();
            assert!(frames.iter().all(|[left, right]| left == right));
            // 1 kHz at 44.1 kHz: 2000 sign changes in a second.
            let last = &frames[frames.len() - 22_050..];
            let changes = last
                .windows(2)
                .filter(|w| (w[0][0] < 0) != (w[1][0] < 0))
                .count();
            assert!((999..=1001).contains(&changes), "{changes}");
            let peak = last.iter().map(|frame| frame[0]).max().unwrap();
            assert!(
                (0.249..0.251).contains(&(f64::from(peak) / 2_147_483_648.0)),
                "{peak}"
            );
        },
    );
}
