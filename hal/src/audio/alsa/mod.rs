//! A real sound card, through ALSA.
//!
//! Both directions are opened without blocking and read and written by poll, as 16-bit
//! little-endian mono at 48 kHz, with exactly the period and buffer the phone is built for: a driver that
//! gives other numbers is refused in words instead of being adapted to, because every delay
//! downstream is reckoned in these periods.

mod pcm;
mod port;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use pcm::Pcm;
use port::{Fault, Port};

use super::{
    AudioError, BUFFER_FRAMES, Direction, DuplexAudio, PERIOD_FRAMES, Period, PeriodReport,
    RATE_HZ, StreamFormat,
};

/// Periods of silence queued before the start: what is played is at least this far ahead, so that
/// the thread may be late by one period without an underrun.
const PRIMED_PERIODS: usize = 2;
/// A device that has not moved by one period after this time is dead. A card does it in 10 ms; a USB
/// headset that wakes up takes longer, and an idle PulseAudio has been seen to take 2 s.
const DEVICE_TIMEOUT: Duration = Duration::from_secs(3);
/// Restarts within one exchange before the device counts as lost: each takes at least a period
/// on a device that works, so that a broken one cannot keep the real-time thread spinning.
const MAX_RESTARTS: u32 = 50;

/// Capture and playback of ALSA PCMs, or one of the two.
#[derive(Debug)]
pub struct AlsaDuplex {
    format: StreamFormat,
    capture: Option<Box<dyn Port>>,
    playback: Option<Box<dyn Port>>,
    running: bool,
}

impl AlsaDuplex {
    /// Opens and sets up the named PCMs ("hw:1", "plughw:CARD=wm8960soundcard"), either of which may be left out.
    ///
    /// With one only, [`DuplexAudio::exchange`] leaves the capture, or does not look at the
    /// playback, of the other.
    pub fn open(capture: Option<&str>, playback: Option<&str>) -> Result<Self, AudioError> {
        // A lone playback device is the clock: it wakes when only the primed periods but one are left.
        let playback_wake = if capture.is_some() {
            PERIOD_FRAMES
        } else {
            BUFFER_FRAMES - (PRIMED_PERIODS - 1) * PERIOD_FRAMES
        };
        let capture = capture
            .map(|name| Pcm::open(name, Direction::Capture, PERIOD_FRAMES))
            .transpose()?;
        let playback = playback
            .map(|name| Pcm::open(name, Direction::Playback, playback_wake))
            .transpose()?;
        let linked = match (&capture, &playback) {
            (Some(capture), Some(playback)) => playback.link(capture),
            _ => true,
        };
        let name = |pcm: &Option<Pcm>| {
            pcm.as_ref()
                .map_or_else(String::new, |pcm| format!("alsa:{}", pcm.name()))
        };
        let format = StreamFormat {
            capture: name(&capture),
            playback: name(&playback),
            rate_hz: RATE_HZ,
            channels: 1,
            period_frames: PERIOD_FRAMES,
            buffer_frames: BUFFER_FRAMES,
            linked,
        };
        Ok(Self {
            format,
            capture: capture.map(|pcm| Box::new(pcm) as Box<dyn Port>),
            playback: playback.map(|pcm| Box::new(pcm) as Box<dyn Port>),
            running: false,
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
        for pcm in [&self.playback, &self.capture].into_iter().flatten() {
            pcm.drop_frames();
        }
    }

    /// Sets both directions going with fresh buffers.
    fn launch(&mut self) -> Result<(), Fault> {
        for pcm in [&self.playback, &self.capture].into_iter().flatten() {
            pcm.drop_frames();
        }
        for pcm in [&self.capture, &self.playback].into_iter().flatten() {
            pcm.prepare()?;
        }
        if let Some(playback) = &mut self.playback {
            for _ in 0..PRIMED_PERIODS {
                playback.write(&[0; PERIOD_FRAMES], DEVICE_TIMEOUT)?;
            }
            playback.start()?;
        }
        if let Some(capture) = &self.capture {
            // Linked, it was started with the playback.
            capture.start()?;
        }
        self.running = true;
        Ok(())
    }

    /// One period both ways, without repairing anything.
    fn exchange_once(
        &mut self,
        playback: &Period,
        capture: &mut Period,
    ) -> Result<(u32, u32), Fault> {
        let mut capture_delay = 0;
        if let Some(pcm) = &mut self.capture {
            pcm.read(capture, DEVICE_TIMEOUT)?;
            capture_delay = pcm.delay()?;
        }
        let mut playback_delay = 0;
        if let Some(pcm) = &mut self.playback {
            if self.capture.is_none() {
                pcm.wait_for_room(DEVICE_TIMEOUT)?;
            }
            pcm.write(playback, DEVICE_TIMEOUT)?;
            playback_delay = pcm.delay()?;
        }
        Ok((capture_delay, playback_delay))
    }

    /// Names the device in a fault that cannot be repaired.
    fn lost(&self, fault: Fault) -> AudioError {
        let pcm = match fault.direction {
            Direction::Capture => &self.capture,
            Direction::Playback => &self.playback,
        };
        pcm.as_ref()
            .map_or(AudioError::NotStarted, |pcm| AudioError::Lost {
                device: pcm.name(),
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
                Ok((capture_delay_frames, playback_delay_frames)) => {
                    return Ok(PeriodReport {
                        xruns,
                        capture_delay_frames,
                        playback_delay_frames,
                        restarted: xruns > 0,
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
            if fault.is_suspend() {
                for pcm in [&self.playback, &self.capture].into_iter().flatten() {
                    pcm.resume(DEVICE_TIMEOUT);
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

    fn check(&self) -> Result<(), AudioError> {
        let ports = [&self.playback, &self.capture];
        match ports.into_iter().flatten().find_map(|port| port.gone()) {
            Some(fault) => Err(self.lost(fault)),
            None => Ok(()),
        }
    }

    fn format(&self) -> &StreamFormat {
        &self.format
    }
}
