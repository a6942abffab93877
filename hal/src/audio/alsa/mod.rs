//! A real sound card, through ALSA.
//!
//! Both directions are opened without blocking and read and written by poll. The phone's own format is 16-bit mono at
//! 48 kHz in periods of 10 ms; a card that has something else is taken with what is nearest, and made the phone's here,
//! at the edge ([`edge`]). Where an interrupt comes less often than every 10 ms, periods come in bursts, and so much more
//! is kept queued to be played ([`primed`]). A playback card on another clock than the microphone's is kept in step
//! ([`drift`]).

mod drift;
mod edge;
mod format;
mod pcm;
mod port;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_clocks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use drift::Drift;
use edge::{CaptureEdge, PlaybackEdge};
use format::Hardware;
use pcm::{PHONE, Pcm, Thresholds, Wanted};
use port::{Fault, Port};

use super::{
    AudioError, BUFFER_FRAMES, Direction, DuplexAudio, PERIOD_FRAMES, Period, PeriodReport,
    RATE_HZ, StreamFormat,
};

/// Periods of silence queued before the start: what is played is at least this far ahead, so that
/// the thread may be late by one period without an underrun.
const PRIMED_PERIODS: usize = 2;
/// Periods that a buffer has room for at least: those, the one that is played, and the one that is written.
const LEAST_PERIODS: usize = 4;
/// A device that has not moved by one period after this time is dead. A card does it in 10 ms; a USB
/// headset that wakes up takes longer, and an idle PulseAudio has been seen to take 2 s.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(3);
/// Restarts within one exchange before the device counts as lost: each takes at least a period
/// on a device that works, so that a broken one cannot keep the real-time thread spinning.
const MAX_RESTARTS: u32 = 50;

/// Captured periods left out at most in one exchange: 1 s.
const MOST_LEFT_OUT: u32 = 100;
/// Exchanges between two xruns, below which a longer queue is tried: 2 s.
const STEADY: u32 = 200;
/// The longest that a device which is left is given to play what is queued.
const PLAYED_OUT: Duration = Duration::from_millis(200);

/// What one exchange did.
struct Exchanged {
    capture_delay: u32,
    playback_delay: u32,
    /// Captured periods.
    left_out: u32,
}

/// Capture and playback of ALSA PCMs, or one of the two.
#[derive(Debug)]
pub struct AlsaDuplex {
    format: StreamFormat,
    capture: Option<CaptureEdge>,
    playback: Option<PlaybackEdge>,
    drift: Drift,
    running: bool,
    /// Exchanges since the last xrun.
    steady: u32,
}

impl AlsaDuplex {
    /// Opens and sets up the named PCMs ("hw:1", "plughw:CARD=wm8960soundcard"), either of which may be left out.
    ///
    /// With one only, [`DuplexAudio::exchange`] leaves the capture, or does not look at the
    /// playback, of the other. `period_frames` and `buffer_frames` at 48 kHz are asked for in each direction, and room
    /// for at least [`LEAST_PERIODS`] periods; what the card has that is nearest is taken.
    pub fn open(
        capture: Option<&str>,
        playback: Option<&str>,
        period_frames: usize,
        buffer_frames: usize,
    ) -> Result<Self, AudioError> {
        let wanted = Wanted {
            period_frames: period_frames as u32,
            buffer_frames: buffer_frames.max(LEAST_PERIODS * period_frames) as u32,
            ..PHONE
        };
        let capture = capture
            .map(|name| {
                Pcm::open(name, Direction::Capture, wanted, |_| Thresholds {
                    wake: PERIOD_FRAMES,
                    start: None,
                })
            })
            .transpose()?;
        let burst = capture.as_ref().map(|pcm| burst(&pcm.hardware()));
        let playback = playback
            .map(|name| {
                let wanted = Wanted {
                    buffer_frames: wanted
                        .buffer_frames
                        .max((LEAST_PERIODS * burst.unwrap_or(0)) as u32),
                    ..wanted
                };
                Pcm::open(name, Direction::Playback, wanted, |hardware| {
                    let primed = primed(hardware, burst);
                    Thresholds {
                        // Alone, it is the clock: it wakes when only the primed periods but one are left.
                        wake: match burst {
                            Some(_) => PERIOD_FRAMES,
                            None => buffer_48k(hardware) + PERIOD_FRAMES - primed,
                        },
                        start: Some(primed),
                    }
                })
            })
            .transpose()?;
        Self::of(capture, playback, burst)
    }

    fn of(
        capture: Option<Pcm>,
        playback: Option<Pcm>,
        burst: Option<usize>,
    ) -> Result<Self, AudioError> {
        let linked = match (&capture, &playback) {
            (Some(capture), Some(playback)) => playback.link(capture),
            _ => true,
        };
        let boxed = |pcm: Pcm| Box::new(pcm) as Box<dyn Port>;
        Self::join(capture.map(boxed), playback.map(boxed), burst, linked)
    }

    fn join(
        capture: Option<Box<dyn Port>>,
        playback: Option<Box<dyn Port>>,
        burst: Option<usize>,
        linked: bool,
    ) -> Result<Self, AudioError> {
        let own_clock = match (&capture, &playback) {
            (Some(capture), Some(playback)) => {
                !playback.hardware().shares_clock_with(&capture.hardware())
            }
            _ => false,
        };
        let buffer_frames = playback
            .as_ref()
            .or(capture.as_ref())
            .map_or(BUFFER_FRAMES, |port| buffer_48k(&port.hardware()));
        let format = StreamFormat {
            capture: described(capture.as_deref()),
            playback: described(playback.as_deref()),
            rate_hz: RATE_HZ,
            channels: 1,
            period_frames: PERIOD_FRAMES,
            buffer_frames,
            linked,
        };
        let refused = |port: &dyn Port, direction| AudioError::Unsupported {
            device: port.name(),
            direction,
            what: "a rate near Hz",
            asked: RATE_HZ,
            offered: Arc::from(port.hardware().rate_hz.to_string()),
        };
        let capture = capture
            .map(|port| {
                let error = refused(&*port, Direction::Capture);
                CaptureEdge::new(port).ok_or(error)
            })
            .transpose()?;
        let playback = playback
            .map(|port| {
                let hardware = port.hardware();
                let frames = primed(&hardware, burst) as u64 * u64::from(hardware.rate_hz);
                let error = refused(&*port, Direction::Playback);
                PlaybackEdge::new(port, own_clock, (frames / u64::from(RATE_HZ)) as usize)
                    .ok_or(error)
            })
            .transpose()?;
        Ok(Self {
            format,
            capture,
            playback,
            drift: Drift::default(),
            running: false,
            steady: STEADY,
        })
    }

    /// It was opened for capture.
    pub const fn captures(&self) -> bool {
        self.capture.is_some()
    }

    /// It was opened for playback.
    pub const fn plays(&self) -> bool {
        self.playback.is_some()
    }

    fn halt(&mut self) {
        self.running = false;
        for port in self.ports() {
            port.drop_frames();
        }
    }

    /// Playback, then capture.
    fn ports(&self) -> impl Iterator<Item = &dyn Port> {
        let playback = self.playback.iter().map(|edge| &*edge.port);
        playback.chain(self.capture.iter().map(|edge| &*edge.port))
    }

    /// Sets both directions going with fresh buffers.
    fn launch(&mut self) -> Result<(), Fault> {
        self.drift.restart();
        for port in self.ports() {
            port.drop_frames();
        }
        if let Some(capture) = &mut self.capture {
            capture.reset();
            capture.port.prepare()?;
        }
        if let Some(playback) = &mut self.playback {
            playback.port.prepare()?;
            playback.prime(DEVICE_TIMEOUT)?;
            playback.port.start()?;
        }
        if let Some(capture) = &self.capture {
            // Linked, it was started with the playback.
            capture.port.start()?;
        }
        self.running = true;
        Ok(())
    }

    /// One period both ways, without repairing anything.
    fn exchange_once(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<Exchanged, Fault> {
        let (mut capture_delay, mut left_out) = (0, 0);
        if let Some(edge) = &mut self.capture {
            edge.read(capture, DEVICE_TIMEOUT)?;
            // A playback that began to move after the capture (a USB headset that wakes up, a sound server) would stay
            // that much behind for the whole call.
            while let Some(playback) = &self.playback
                && left_out < MOST_LEFT_OUT
                && playback.overfull()?
            {
                edge.read(capture, DEVICE_TIMEOUT)?;
                left_out += 1;
            }
            capture_delay = edge.delay()?;
        }
        let mut playback_delay = 0;
        if let Some(edge) = &mut self.playback {
            if self.capture.is_none() {
                edge.port.wait_for_room(DEVICE_TIMEOUT)?;
            }
            edge.write(playback, DEVICE_TIMEOUT)?;
            playback_delay = edge.delay()?;
            if self.capture.is_some() {
                edge.bend(
                    self.drift
                        .follow(capture_delay.saturating_add(playback_delay)),
                );
            }
        }
        Ok(Exchanged {
            capture_delay,
            playback_delay,
            left_out,
        })
    }

    /// Names the device in a fault that cannot be repaired.
    fn lost(&self, fault: Fault) -> AudioError {
        let port = match fault.direction {
            Direction::Capture => self.capture.as_ref().map(|edge| &edge.port),
            Direction::Playback => self.playback.as_ref().map(|edge| &edge.port),
        };
        port.map_or(AudioError::NotStarted, |port| AudioError::Lost {
            device: port.name(),
            direction: fault.direction,
            what: fault.what,
            errno: fault.errno,
        })
    }
}

impl DuplexAudio for AlsaDuplex {
    fn start(&mut self) -> Result<(), AudioError> {
        self.launch().map_err(|fault| self.lost(fault))
    }

    fn exchange(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<PeriodReport, AudioError> {
        if !self.running {
            return Err(AudioError::NotStarted);
        }
        let began = Instant::now();
        let mut xruns = 0;
        loop {
            let fault = match self.exchange_once(playback, capture) {
                Ok(done) => {
                    self.steady = self.steady.saturating_add(1);
                    return Ok(PeriodReport {
                        xruns,
                        capture_delay_frames: done.capture_delay,
                        playback_delay_frames: done.playback_delay,
                        restarted: xruns > 0 || done.left_out > 0,
                    });
                }
                Err(fault) => fault,
            };
            // A card that was suspended needs to be woken; until it is, the phone hears nothing.
            let repairable = fault.is_xrun() || fault.is_suspend();
            if !repairable || xruns >= MAX_RESTARTS || began.elapsed() > DEVICE_TIMEOUT {
                self.halt();
                return Err(self.lost(fault));
            }
            xruns += 1;
            // Once may be anybody's fault; again and again it is too little for this machine, or for a sound server
            // that takes more at once than it says.
            if fault.is_xrun()
                && self.steady < STEADY
                && let Some(playback) = &mut self.playback
            {
                playback.prime_more();
            }
            self.steady = 0;
            if fault.is_suspend() {
                for port in self.ports() {
                    port.resume(DEVICE_TIMEOUT);
                }
            }
            if let Err(fault) = self.launch() {
                self.halt();
                return Err(self.lost(fault));
            }
        }
    }

    fn stop(&mut self) {
        self.halt();
    }

    fn finish(&mut self) {
        // One that has failed or stands still has nothing to play.
        let queued = match &self.playback {
            Some(playback) if self.running => playback.delay().unwrap_or(0),
            _ => 0,
        };
        // Linked, a halt of the microphone would be one of the loudspeaker too.
        let micros = u64::from(queued) * 1_000_000 / u64::from(RATE_HZ);
        std::thread::sleep(Duration::from_micros(micros).min(PLAYED_OUT));
        self.halt();
    }

    fn check(&self) -> Result<(), AudioError> {
        match self.ports().find_map(Port::gone) {
            Some(fault) => Err(self.lost(fault)),
            None => Ok(()),
        }
    }

    fn is_hardware(&self) -> bool {
        true
    }

    fn format(&self) -> &StreamFormat {
        &self.format
    }
}

/// The device's name, and what it has of its own.
fn described(port: Option<&dyn Port>) -> String {
    let Some(port) = port else {
        return String::new();
    };
    let (name, hardware) = (port.name(), port.hardware());
    let phones_own = Hardware {
        rate_hz: RATE_HZ,
        channels: 1,
        encoding: format::Encoding::S16,
        period_frames: PERIOD_FRAMES,
        buffer_frames: BUFFER_FRAMES,
        card: hardware.card,
    };
    if hardware == phones_own {
        format!("alsa:{name}")
    } else {
        format!("alsa:{name} ({hardware})")
    }
}

/// Frames at 48 kHz in the card's buffer.
fn buffer_48k(hardware: &Hardware) -> usize {
    at_48k(hardware.buffer_frames, hardware)
}

/// Frames at 48 kHz that come, or go, at once: a period of the card's, but no less than one of the phone's.
fn burst(hardware: &Hardware) -> usize {
    at_48k(hardware.period_frames, hardware).max(PERIOD_FRAMES)
}

fn at_48k(frames: usize, hardware: &Hardware) -> usize {
    (frames as u64 * u64::from(RATE_HZ) / u64::from(hardware.rate_hz.max(1))) as usize
}

/// Frames at 48 kHz queued before the start: [`PRIMED_PERIODS`] of the longer of both cards' periods, as far as there
/// is room for another one of the phone's.
fn primed(playback: &Hardware, captured_at_once: Option<usize>) -> usize {
    let period = burst(playback).max(captured_at_once.unwrap_or(0));
    (PRIMED_PERIODS * period)
        .min(buffer_48k(playback).saturating_sub(PERIOD_FRAMES))
        .max(PERIOD_FRAMES)
}
