//! Writing what is played into a WAV file, away from the real-time thread.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ring::SampleRing;
use super::{AudioError, Period, RATE_HZ, wav};

/// 1.4 s of sound: a file system may take that long once in a while.
const RING_SAMPLES: usize = 65_536;
/// How often the writer empties the ring.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// How often the file's header is brought up to date, so that a crash leaves a valid file.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How long [`Recorder::flush`] waits for a slow file system.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

type Writer = hound::WavWriter<BufWriter<File>>;

/// A WAV file with a writer thread of its own.
#[derive(Debug)]
pub(super) struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ring: SampleRing,
    control: Mutex<Control>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Control {
    /// Flushes asked for and done.
    asked: u64,
    done: u64,
    closing: bool,
}

impl Recorder {
    /// Makes `file` anew, with a valid header.
    pub(super) fn create(file: &Path) -> Result<Self, AudioError> {
        let refuse = |reason: String| AudioError::File {
            file: wav::name(file),
            reason: format!("it cannot be written: {reason}").into(),
        };
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE_HZ,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer =
            hound::WavWriter::create(file, spec).map_err(|error| refuse(error.to_string()))?;
        writer.flush().map_err(|error| refuse(error.to_string()))?;
        let shared = Arc::new(Shared {
            ring: SampleRing::new(RING_SAMPLES),
            control: Mutex::default(),
            changed: Condvar::new(),
        });
        let (theirs, path) = (Arc::clone(&shared), file.display().to_string());
        let thread = std::thread::Builder::new()
            .name("offhook-wav".into())
            .spawn(move || theirs.run(writer, &path))
            .map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Queues one period; for the real-time thread. If the file system has been stuck for more
    /// than a second, the period is dropped and counted.
    pub(super) fn write(&self, period: &Period) {
        self.shared.ring.push(period);
    }

    /// Waits until everything written so far is in the file. Not for the real-time thread.
    pub(super) fn flush(&self) {
        let mut control = self.shared.lock();
        control.asked += 1;
        let mine = control.asked;
        self.shared.changed.notify_all();
        let wait = self
            .shared
            .changed
            .wait_timeout_while(control, FLUSH_TIMEOUT, |control| control.done < mine);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked but for a bug, and then there is nothing left to save.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, writer: Writer, path: &str) {
        let mut file = Some(writer);
        let mut flushed_at = Instant::now();
        let mut dropped = 0;
        loop {
            let control = self.lock();
            let idle = |control: &mut Control| control.asked == control.done && !control.closing;
            let (control, _) = self
                .changed
                .wait_timeout_while(control, WRITE_EVERY, idle)
                .unwrap_or_else(PoisonError::into_inner);
            let (asked, closing) = (control.asked, control.closing);
            let wanted = closing || asked != control.done;
            drop(control);

            if let Some(writer) = &mut file {
                let flush = wanted || flushed_at.elapsed() >= FLUSH_EVERY;
                if let Err(error) = self.write_out(writer, flush) {
                    tracing::error!(file = path, %error, "the sound file cannot be written any more");
                    file = None;
                } else if flush {
                    flushed_at = Instant::now();
                }
            } else {
                self.ring.drain(|_| {});
            }
            if self.ring.dropped() != dropped {
                dropped = self.ring.dropped();
                tracing::warn!(
                    file = path,
                    frames = dropped,
                    "the sound file has gaps: the file system was too slow"
                );
            }
            self.lock().done = asked;
            self.changed.notify_all();
            if closing {
                return;
            }
        }
    }

    fn write_out(&self, writer: &mut Writer, flush: bool) -> Result<(), hound::Error> {
        let mut result = Ok(());
        self.ring.drain(|sample| {
            if result.is_ok() {
                result = writer.write_sample(sample);
            }
        });
        result?;
        if flush { writer.flush() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::PERIOD_FRAMES;

    #[test]
    fn the_file_is_valid_at_any_moment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.wav");
        let recorder = Recorder::create(&file).unwrap();
        assert_eq!(
            hound::WavReader::open(&file).unwrap().len(),
            0,
            "before the first period"
        );
        for _ in 0..30 {
            recorder.write(&[5; PERIOD_FRAMES]);
        }
        recorder.flush();
        assert_eq!(
            hound::WavReader::open(&file).unwrap().len(),
            30 * PERIOD_FRAMES as u32
        );
        recorder.write(&[6; PERIOD_FRAMES]);
        drop(recorder);
        assert_eq!(
            hound::WavReader::open(&file).unwrap().len(),
            31 * PERIOD_FRAMES as u32
        );
    }

    #[test]
    fn too_much_at_once_is_dropped_and_the_rest_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.wav");
        let recorder = Recorder::create(&file).unwrap();
        let periods = 10 * RING_SAMPLES / PERIOD_FRAMES;
        for _ in 0..periods {
            recorder.write(&[5; PERIOD_FRAMES]);
        }
        let dropped = recorder.shared.ring.dropped();
        assert!(dropped > 0);
        drop(recorder);
        let kept = u64::from(hound::WavReader::open(&file).unwrap().len());
        assert_eq!(kept + dropped, (periods * PERIOD_FRAMES) as u64);
    }
}
