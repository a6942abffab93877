//! Where a card's own rate and clock end: the phone's periods of 10 ms at 48 kHz on one side, the card's frames on the
//! other. A card of 48 kHz is passed through sample by sample; another one, or one whose clock is not the thread's,
//! through a resampler whose buffers are made when the device is opened.

use std::time::Duration;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

use super::format::to_s16;
use super::port::{Fault, MAX_FRAMES, Port};
use crate::audio::{PERIOD_FRAMES, Period, RATE_HZ};

/// Taps of the resampler: 60 dB down at the band's edge costs 1.3 ms at 48 kHz.
const TAPS: usize = 128;
/// Frames that the resampler of the microphone is ahead of the card.
const AHEAD: usize = 5;
/// The most that a rate is bent, more than [`super::drift`] ever asks for.
const MOST_BENT: f64 = 1.01;

/// A resampler of one channel, and where its output goes.
struct Converter {
    resampler: Async<f32>,
    out: Box<[f32; MAX_FRAMES]>,
    /// Output frames for one input frame, when it is not bent.
    ratio: f64,
    bend: f64,
}

impl Converter {
    /// `None` for a ratio that it cannot do, or not with these buffers: none that a card asks for.
    fn new(ratio: f64, fixed: FixedAsync) -> Option<Self> {
        let parameters = SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2)
            .oversampling_factor(128)
            .interpolation(SincInterpolationType::Linear);
        let resampler =
            Async::new_sinc(ratio, MOST_BENT, &parameters, PERIOD_FRAMES, 1, fixed).ok()?;
        let fits = resampler.output_frames_max() <= MAX_FRAMES
            && resampler.input_frames_max() <= MAX_FRAMES;
        fits.then(|| Self {
            resampler,
            out: Box::new([0.0; MAX_FRAMES]),
            ratio,
            bend: 1.0,
        })
    }

    fn needs(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// What the next [`Converter::needs`] frames become.
    fn process(&mut self, input: &[f32]) -> &[f32] {
        let (from, to) = (
            InterleavedSlice::new(input, 1, input.len()),
            InterleavedSlice::new_mut(&mut self.out[..], 1, MAX_FRAMES),
        );
        let (Ok(from), Ok(mut to)) = (from, to) else {
            return &[];
        };
        // It refuses only buffers that are too short, and these never are.
        let done = self.resampler.process_into_buffer(&from, &mut to, None);
        &self.out[..done.map_or(0, |(_, written)| written)]
    }

    /// Makes `bend` times as many frames.
    fn bend(&mut self, bend: f64) {
        self.bend = bend;
        // Out of range it refuses and stays as it is.
        let _ = self.resampler.set_resample_ratio_relative(bend, true);
    }

    fn reset(&mut self) {
        self.resampler.reset();
        let _ = self.resampler.set_resample_ratio_relative(self.bend, false);
    }

    /// Output frames that it holds back.
    fn delay(&self) -> usize {
        self.resampler.output_delay()
    }
}

impl std::fmt::Debug for Converter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Converter(x{})", self.ratio)
    }
}

fn at_48k(frames: u32, rate_hz: u32) -> u32 {
    (u64::from(frames) * u64::from(RATE_HZ) / u64::from(rate_hz.max(1))) as u32
}

/// The microphone's end.
#[derive(Debug)]
pub(super) struct CaptureEdge {
    pub(super) port: Box<dyn Port>,
    converter: Option<Converter>,
    raw: Box<[f32; MAX_FRAMES]>,
    /// Nothing was read since the start.
    fresh: bool,
}

impl CaptureEdge {
    /// `None` if there is no resampler for its rate.
    pub(super) fn new(port: Box<dyn Port>) -> Option<Self> {
        let rate = port.hardware().rate_hz;
        let converter = if rate == RATE_HZ {
            None
        } else {
            let ratio = f64::from(RATE_HZ) / f64::from(rate);
            Some(Converter::new(ratio, FixedAsync::Output)?)
        };
        Some(Self {
            port,
            converter,
            raw: Box::new([0.0; MAX_FRAMES]),
            fresh: true,
        })
    }

    /// Forgets what it heard.
    pub(super) fn reset(&mut self) {
        self.fresh = true;
        if let Some(converter) = &mut self.converter {
            converter.reset();
        }
    }

    /// The next period.
    pub(super) fn read(&mut self, period: &mut Period, timeout: Duration) -> Result<(), Fault> {
        let needed = self
            .converter
            .as_ref()
            .map_or(PERIOD_FRAMES, Converter::needs);
        let raw = &mut self.raw[..needed];
        // At first it asks for a frame more than a period, and now and then by rounding again, which the card would have
        // only a period later.
        let silence = match &self.converter {
            Some(_) if self.fresh => AHEAD.min(needed),
            _ => 0,
        };
        raw[..silence].fill(0.0);
        self.port.read(&mut raw[silence..], timeout)?;
        self.fresh = false;
        let sound = match &mut self.converter {
            Some(converter) => converter.process(raw),
            None => raw,
        };
        for (to, sample) in period.iter_mut().zip(sound) {
            *to = to_s16(*sample);
        }
        Ok(())
    }

    /// Frames at 48 kHz between the air and the thread.
    pub(super) fn delay(&self) -> Result<u32, Fault> {
        let held = self.converter.as_ref().map_or(0, Converter::delay);
        Ok(at_48k(self.port.delay()?, self.port.hardware().rate_hz).saturating_add(held as u32))
    }
}

/// The loudspeaker's end.
#[derive(Debug)]
pub(super) struct PlaybackEdge {
    pub(super) port: Box<dyn Port>,
    converter: Option<Converter>,
    raw: Box<[f32; PERIOD_FRAMES]>,
    /// Frames of the card queued before the start.
    primed: usize,
}

impl PlaybackEdge {
    /// `own_clock`: it is not the one that the thread runs by. `None` if there is no resampler for its rate.
    pub(super) fn new(port: Box<dyn Port>, own_clock: bool, primed: usize) -> Option<Self> {
        let rate = port.hardware().rate_hz;
        let converter = if rate == RATE_HZ && !own_clock {
            None
        } else {
            let ratio = f64::from(rate) / f64::from(RATE_HZ);
            Some(Converter::new(ratio, FixedAsync::Input)?)
        };
        Some(Self {
            port,
            converter,
            raw: Box::new([0.0; PERIOD_FRAMES]),
            primed,
        })
    }

    /// Queues the silence that plays while the first periods come.
    pub(super) fn prime(&mut self, timeout: Duration) -> Result<(), Fault> {
        if let Some(converter) = &mut self.converter {
            converter.reset();
        }
        let mut rest = self.primed;
        while rest > 0 {
            let part = rest.min(PERIOD_FRAMES);
            self.port.write(&[0.0; PERIOD_FRAMES][..part], timeout)?;
            rest -= part;
        }
        Ok(())
    }

    /// From the next start on one of the phone's periods more is queued, as long as there is room for another.
    pub(super) fn prime_more(&mut self) {
        let hardware = self.port.hardware();
        let period =
            (PERIOD_FRAMES as u64 * u64::from(hardware.rate_hz) / u64::from(RATE_HZ)) as usize;
        let most = hardware.buffer_frames.saturating_sub(period);
        self.primed = (self.primed + period).min(most).max(self.primed);
    }

    /// Plays `bend` times as many frames as it is given; nothing for a card on the thread's clock.
    pub(super) fn bend(&mut self, bend: f64) {
        if let Some(converter) = &mut self.converter {
            converter.bend(bend);
        }
    }

    /// Queues a period.
    pub(super) fn write(&mut self, period: &Period, timeout: Duration) -> Result<(), Fault> {
        for (to, &sample) in self.raw.iter_mut().zip(period) {
            *to = f32::from(sample) / 32_768.0;
        }
        match &mut self.converter {
            Some(converter) => self.port.write(converter.process(&self.raw[..]), timeout),
            None => self.port.write(&self.raw[..], timeout),
        }
    }

    /// More than a burst of the card's lies queued beyond what was primed. Before a period is written less than was
    /// primed does, as long as both directions have started together.
    pub(super) fn overfull(&self) -> Result<bool, Fault> {
        let hardware = self.port.hardware();
        let burst =
            at_48k(hardware.period_frames as u32, hardware.rate_hz).max(PERIOD_FRAMES as u32);
        let queued = at_48k(self.port.queued()?, hardware.rate_hz);
        Ok(queued >= at_48k(self.primed as u32, hardware.rate_hz) + burst)
    }

    /// Frames at 48 kHz between the thread and the air.
    pub(super) fn delay(&self) -> Result<u32, Fault> {
        let rate = self.port.hardware().rate_hz;
        let held = self.converter.as_ref().map_or(0, Converter::delay);
        let queued = self.port.delay()?.saturating_add(held as u32);
        Ok(at_48k(queued, rate))
    }
}
