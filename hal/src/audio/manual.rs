//! A sound device without time, for tests: each exchange returns at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    AudioError, BUFFER_FRAMES, DuplexAudio, PERIOD_FRAMES, Period, PeriodReport, RATE_HZ,
    StreamFormat,
};

/// The most samples that wait to be captured or looked at: 60 s. The oldest go first.
const MAX_SAMPLES: usize = 60 * RATE_HZ as usize;

/// A device that is cranked by hand: captures what the test gives, keeps what is played.
///
/// When there is nothing to capture it captures silence.
#[derive(Debug)]
pub struct ManualAudio {
    format: StreamFormat,
    tape: ManualTape,
}

/// The test's end of a [`ManualAudio`]. Clones work the same device.
#[derive(Debug, Clone, Default)]
pub struct ManualTape(Arc<Mutex<Tape>>);

#[derive(Debug, Default)]
struct Tape {
    to_capture: VecDeque<i16>,
    played: VecDeque<i16>,
    next_report: Option<Result<PeriodReport, AudioError>>,
    started: bool,
    gone: Option<AudioError>,
}

impl ManualAudio {
    /// A device, and the tape by which a test feeds and reads it.
    pub fn new() -> (Self, ManualTape) {
        let tape = ManualTape::default();
        let format = StreamFormat {
            capture: "manual".into(),
            playback: "manual".into(),
            rate_hz: RATE_HZ,
            channels: 1,
            period_frames: PERIOD_FRAMES,
            buffer_frames: BUFFER_FRAMES,
            linked: true,
        };
        (
            Self {
                format,
                tape: tape.clone(),
            },
            tape,
        )
    }
}

impl ManualTape {
    /// Appends samples (48 kHz, mono) to what is to be captured.
    pub fn feed(&self, samples: &[i16]) {
        push_bounded(&mut self.lock().to_capture, samples);
    }

    /// Takes out everything played so far.
    pub fn take_played(&self) -> Vec<i16> {
        self.lock().played.drain(..).collect()
    }

    /// Lets the next exchange end like this: a repaired fault to report, or an error.
    pub fn set_next(&self, result: Result<PeriodReport, AudioError>) {
        self.lock().next_report = Some(result);
    }

    /// The device runs.
    pub fn is_started(&self) -> bool {
        self.lock().started
    }

    /// Unplugs the device: it fails at the next look or exchange.
    pub fn unplug(&self, error: AudioError) {
        let mut tape = self.lock();
        tape.gone = Some(error.clone());
        tape.next_report = Some(Err(error));
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DuplexAudio for ManualAudio {
    fn start(&mut self) -> Result<(), AudioError> {
        self.tape.lock().started = true;
        Ok(())
    }

    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        let mut tape = self.tape.lock();
        if !tape.started {
            return Err(AudioError::NotStarted);
        }
        if let Some(Err(error)) = tape.next_report.take_if(|next| next.is_err()) {
            tape.started = false;
            return Err(error);
        }
        push_bounded(&mut tape.played, playback);
        capture.fill_with(|| tape.to_capture.pop_front().unwrap_or(0));
        match tape.next_report.take() {
            Some(report) => report,
            None => Ok(PeriodReport::default()),
        }
    }

    fn stop(&mut self) {
        self.tape.lock().started = false;
    }

    fn check(&self) -> Result<(), AudioError> {
        self.tape.lock().gone.clone().map_or(Ok(()), Err)
    }

    fn format(&self) -> &StreamFormat {
        &self.format
    }
}

fn push_bounded(queue: &mut VecDeque<i16>, samples: &[i16]) {
    queue.extend(samples);
    let excess = queue.len().saturating_sub(MAX_SAMPLES);
    queue.drain(..excess);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_onto_the_tape_and_captures_from_it() {
        let (mut audio, tape) = ManualAudio::new();
        assert!(matches!(
            audio.exchange(&[0; PERIOD_FRAMES], &mut [0; PERIOD_FRAMES]),
            Err(AudioError::NotStarted)
        ));
        audio.start().unwrap();
        tape.feed(&[7; PERIOD_FRAMES + 1]);
        let mut capture = [0; PERIOD_FRAMES];
        audio.exchange(&[3; PERIOD_FRAMES], &mut capture).unwrap();
        assert_eq!(capture, [7; PERIOD_FRAMES]);
        audio.exchange(&[4; PERIOD_FRAMES], &mut capture).unwrap();
        assert_eq!(
            (capture[0], capture[1]),
            (7, 0),
            "silence when the tape is over"
        );
        let played = tape.take_played();
        assert_eq!(
            (played.len(), played[0], played[PERIOD_FRAMES]),
            (2 * PERIOD_FRAMES, 3, 4)
        );
    }

    #[test]
    fn reports_and_errors_are_the_tests_own() {
        let (mut audio, tape) = ManualAudio::new();
        audio.start().unwrap();
        let report = PeriodReport {
            xruns: 2,
            restarted: true,
            ..PeriodReport::default()
        };
        tape.set_next(Ok(report));
        let mut capture = [0; PERIOD_FRAMES];
        assert_eq!(
            audio.exchange(&[0; PERIOD_FRAMES], &mut capture).unwrap(),
            report
        );
        tape.set_next(Err(AudioError::NotStarted));
        audio
            .exchange(&[0; PERIOD_FRAMES], &mut capture)
            .unwrap_err();
        audio
            .exchange(&[0; PERIOD_FRAMES], &mut capture)
            .unwrap_err();
        audio.start().unwrap();
        audio.exchange(&[0; PERIOD_FRAMES], &mut capture).unwrap();
    }
}
