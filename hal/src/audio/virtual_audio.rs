//! Sound devices without hardware: WAV files in real time, silence, nothing.

use std::path::Path;
use std::time::Instant;

use super::alsa::AlsaDuplex;
use super::clock::{PeriodClock, SLACK_PERIODS, Tick};
use super::recorder::Recorder;
use super::wav;
use super::{
    AudioError, DuplexAudio, PERIOD, PERIOD_FRAMES, Period, PeriodReport, RATE_HZ, StreamFormat,
};

/// What a virtual microphone hears.
#[derive(Debug)]
pub struct CaptureSource {
    name: String,
    /// Played in a loop; silence if empty.
    samples: Box<[i16]>,
    position: usize,
}

impl CaptureSource {
    /// Nothing.
    pub fn silence() -> Self {
        Self {
            name: "silence".into(),
            samples: Box::default(),
            position: 0,
        }
    }

    /// A WAV file from its beginning, looped. Loaded as a whole now, at most 10 minutes; mono and
    /// 48 kHz are made of other formats.
    pub fn wav(file: &Path) -> Result<Self, AudioError> {
        let samples = wav::load(file)?;
        Ok(Self {
            name: format!("wav:{}", file.display()),
            samples,
            position: 0,
        })
    }

    /// Samples at 48 kHz, looped.
    pub fn samples(samples: Vec<i16>) -> Self {
        Self {
            name: "samples".into(),
            samples: samples.into(),
            position: 0,
        }
    }

    fn fill(&mut self, capture: &mut Period) {
        if self.samples.is_empty() {
            capture.fill(0);
            return;
        }
        for sample in capture {
            *sample = self.samples[self.position];
            self.position = (self.position + 1) % self.samples.len();
        }
    }
}

/// What becomes of what a virtual loudspeaker plays.
#[derive(Debug)]
pub struct PlaybackSink {
    name: String,
    recorder: Option<Recorder>,
}

impl PlaybackSink {
    /// It is forgotten.
    pub fn discard() -> Self {
        Self {
            name: "discard".into(),
            recorder: None,
        }
    }

    /// It goes into a WAV file (16 bits, mono, 48 kHz), which is made anew now. The file is a
    /// valid one about once a second, after [`DuplexAudio::stop`], and at the end.
    pub fn wav(file: &Path) -> Result<Self, AudioError> {
        let recorder = Some(Recorder::create(file)?);
        Ok(Self {
            name: format!("wav:{}", file.display()),
            recorder,
        })
    }
}

/// A duplex device of which at least one end is virtual.
///
/// Without hardware, periods come on an absolute monotonic clock, so that a call of an hour has
/// exactly the periods of an hour. A caller up to 200 ms late catches up; one that is later has
/// lost sound, which is counted like a card's overrun.
#[derive(Debug)]
pub struct VirtualAudio {
    format: StreamFormat,
    pace: Pace,
    source: CaptureSource,
    sink: PlaybackSink,
}

#[derive(Debug)]
enum Pace {
    Stopped,
    Clock(PeriodClock),
    /// The hardware end: the microphone is real, or the loudspeaker.
    Device(Box<AlsaDuplex>),
}

impl VirtualAudio {
    /// A device on the monotonic clock.
    pub fn new(source: CaptureSource, sink: PlaybackSink) -> Self {
        let format = StreamFormat {
            capture: source.name.clone(),
            playback: sink.name.clone(),
            rate_hz: RATE_HZ,
            channels: 1,
            period_frames: PERIOD_FRAMES,
            buffer_frames: PERIOD_FRAMES * SLACK_PERIODS as usize,
            linked: true,
        };
        Self {
            format,
            pace: Pace::Stopped,
            source,
            sink,
        }
    }

    /// A device whose one end is `device`, which was opened for one direction; `source` or `sink`
    /// is the other end.
    pub fn paced_by(device: AlsaDuplex, source: CaptureSource, sink: PlaybackSink) -> Self {
        let mut format = device.format().clone();
        if !device.captures() {
            format.capture.clone_from(&source.name);
        }
        if !device.plays() {
            format.playback.clone_from(&sink.name);
        }
        Self {
            format,
            pace: Pace::Device(Box::new(device)),
            source,
            sink,
        }
    }
}

impl DuplexAudio for VirtualAudio {
    fn start(&mut self) -> Result<(), AudioError> {
        match &mut self.pace {
            Pace::Device(device) => device.start(),
            pace => {
                *pace = Pace::Clock(PeriodClock::new(Instant::now()));
                Ok(())
            }
        }
    }

    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        let report = match &mut self.pace {
            Pace::Stopped => return Err(AudioError::NotStarted),
            Pace::Clock(clock) => {
                self.source.fill(capture);
                wait(clock)
            }
            Pace::Device(device) => {
                let report = device.exchange(playback, capture)?;
                if !device.captures() {
                    self.source.fill(capture);
                }
                report
            }
        };
        if let Some(recorder) = &self.sink.recorder {
            recorder.write(playback);
        }
        Ok(report)
    }

    fn stop(&mut self) {
        match &mut self.pace {
            Pace::Device(device) => device.stop(),
            pace => *pace = Pace::Stopped,
        }
        if let Some(recorder) = &self.sink.recorder {
            recorder.flush();
        }
    }

    fn finish(&mut self) {
        if let Pace::Device(device) = &mut self.pace {
            device.finish();
        }
        self.stop();
    }

    fn check(&self) -> Result<(), AudioError> {
        match &self.pace {
            Pace::Device(device) => device.check(),
            Pace::Stopped | Pace::Clock(_) => Ok(()),
        }
    }

    fn is_hardware(&self) -> bool {
        matches!(self.pace, Pace::Device(_))
    }

    fn format(&self) -> &StreamFormat {
        &self.format
    }
}

fn wait(clock: &mut PeriodClock) -> PeriodReport {
    let on_time = PeriodReport {
        playback_delay_frames: PERIOD_FRAMES as u32,
        ..PeriodReport::default()
    };
    match clock.advance(Instant::now()) {
        Tick::Wait(rest) => {
            std::thread::sleep(rest);
            on_time
        }
        Tick::Late(late) => {
            let frames = late.as_micros() * PERIOD_FRAMES as u128 / PERIOD.as_micros();
            PeriodReport {
                capture_delay_frames: frames as u32,
                ..on_time
            }
        }
        Tick::Lost => PeriodReport {
            xruns: 1,
            restarted: true,
            ..on_time
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SILENT: Period = [0; PERIOD_FRAMES];

    #[test]
    fn periods_come_in_real_time_and_the_file_loops() {
        let mut audio = VirtualAudio::new(
            CaptureSource::samples((0..700).collect()),
            PlaybackSink::discard(),
        );
        let mut capture = SILENT;
        assert!(matches!(
            audio.exchange(&SILENT, &mut capture),
            Err(AudioError::NotStarted)
        ));
        let begin = Instant::now();
        audio.start().unwrap();
        let mut heard = Vec::new();
        for _ in 0..5 {
            audio.exchange(&SILENT, &mut capture).unwrap();
            heard.extend(capture);
        }
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(50), "{took:?}");
        let looped: Vec<i16> = (0..700).cycle().take(heard.len()).collect();
        assert_eq!(heard, looped);
    }

    #[test]
    fn what_is_played_is_in_the_file_when_stopped_and_after_going_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.wav");
        let mut audio =
            VirtualAudio::new(CaptureSource::silence(), PlaybackSink::wav(&file).unwrap());
        let mut capture = [1; PERIOD_FRAMES];
        let mut expected = Vec::new();
        for round in 1..=3_i16 {
            audio.start().unwrap();
            for period in 0..2 {
                let playback = [round * 10 + period; PERIOD_FRAMES];
                audio.exchange(&playback, &mut capture).unwrap();
                expected.extend(playback);
            }
            audio.stop();
            let mut reader = hound::WavReader::open(&file).unwrap();
            assert_eq!(
                (reader.spec().channels, reader.spec().sample_rate),
                (1, RATE_HZ)
            );
            let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
            assert_eq!(samples, expected, "after round {round}");
        }
        assert_eq!(capture, SILENT);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = PlaybackSink::wav(&dir.path().join("no/such/folder.wav")).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
