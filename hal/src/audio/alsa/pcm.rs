//! One direction of one ALSA PCM.

use std::ffi::CString;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use alsa::pcm::{Access, Format, Frames, HwParams, PCM, State};

use super::PRIMED_PERIODS;
use super::port::{Fault, Port};
use crate::audio::{AudioError, BUFFER_FRAMES, Direction, PERIOD_FRAMES, Period, RATE_HZ};

/// The error numbers ALSA uses, as Linux has numbered them on every architecture the phone runs on.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const ENODEV: i32 = 19;
}

const BYTES: usize = PERIOD_FRAMES * 2;

/// What is asked of the driver.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    rate_hz: u32,
    period_frames: u32,
    buffer_frames: u32,
}

/// The one format the phone is built for.
const PHONE: Wanted = Wanted {
    rate_hz: RATE_HZ,
    period_frames: PERIOD_FRAMES as u32,
    buffer_frames: BUFFER_FRAMES as u32,
};

/// An open PCM, set up exactly as the phone needs it.
#[derive(Debug)]
pub(super) struct Pcm {
    name: Arc<str>,
    direction: Direction,
    handle: PCM,
    /// One period as the device has it; kept here because it must not be allocated later.
    bytes: Box<[u8; BYTES]>,
}

impl Pcm {
    /// Opens and sets up `name`. Poll wakes when `wake_frames` can be read or written.
    pub(super) fn open(
        name: &str,
        direction: Direction,
        wake_frames: usize,
    ) -> Result<Self, AudioError> {
        // In a thread of its own, because alsa-lib's messages can be caught only per thread and for
        // the rest of the thread's life; uncaught, they go to standard error.
        let opened = std::thread::scope(|scope| {
            scope
                .spawn(|| Self::open_here(name, direction, wake_frames))
                .join()
        });
        opened.unwrap_or_else(|_| Err(lost_setup(name, direction)))
    }

    /// Lets both start and stop together, if they can.
    pub(super) fn link(&self, other: &Self) -> bool {
        self.handle.link(&other.handle).is_ok()
    }

    fn wait(&self, timeout: Duration, what: &'static str) -> Result<(), Fault> {
        match self.handle.wait(Some(timeout.as_millis() as u32)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault {
                direction: self.direction,
                what,
                errno: 0,
            }),
            Err(error) => Err(self.fault(what)(error)),
        }
    }

    fn fault(&self, what: &'static str) -> impl FnOnce(alsa::Error) -> Fault + use<> {
        let direction = self.direction;
        move |error| Fault {
            direction,
            what,
            errno: error.errno(),
        }
    }

    fn open_here(name: &str, direction: Direction, wake_frames: usize) -> Result<Self, AudioError> {
        let words = alsa::Output::local_error_handler().ok();
        let said = |error: &alsa::Error| {
            let said = words
                .as_ref()
                .map(|words| words.borrow().to_string())
                .unwrap_or_default();
            reason(&said, error)
        };
        let device: Arc<str> = name.into();
        let c_name = CString::new(name).map_err(|_| AudioError::Missing {
            device: Arc::clone(&device),
            direction,
            reason: "its name holds a zero byte".into(),
        })?;
        let way = match direction {
            Direction::Capture => alsa::Direction::Capture,
            Direction::Playback => alsa::Direction::Playback,
        };
        let pcm = PCM::open(&c_name, way, true)
            .map_err(|error| open_error(&device, direction, &error, said(&error)))?;
        let negotiation = Negotiation {
            device: &device,
            direction,
            pcm: &pcm,
            said: &said,
        };
        negotiation.hardware(PHONE)?;
        negotiation.software(wake_frames)?;
        Ok(Self {
            name: device,
            direction,
            handle: pcm,
            bytes: Box::new([0; BYTES]),
        })
    }
}

impl Port for Pcm {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn prepare(&self) -> Result<(), Fault> {
        self.handle.prepare().map_err(self.fault("preparing"))
    }

    fn start(&self) -> Result<(), Fault> {
        if self.handle.state() == State::Running {
            return Ok(());
        }
        self.handle.start().map_err(self.fault("starting"))
    }

    fn drop_frames(&self) {
        let _ = self.handle.drop();
    }

    fn resume(&self, timeout: Duration) {
        let tries = timeout.as_millis() / 10;
        for _ in 0..tries {
            match self.handle.resume() {
                Err(error) if error.errno() == errno::EAGAIN => {
                    let _ = self.handle.wait(Some(10));
                }
                _ => return,
            }
        }
    }

    fn gone(&self) -> Option<Fault> {
        (self.handle.state() == State::Disconnected).then_some(Fault {
            direction: self.direction,
            what: "looking after it",
            errno: errno::ENODEV,
        })
    }

    fn delay(&self) -> Result<u32, Fault> {
        let frames = self
            .handle
            .delay()
            .map_err(self.fault("asking its delay"))?;
        Ok(u32::try_from(frames.max(0)).unwrap_or(u32::MAX))
    }

    fn wait_for_room(&self, timeout: Duration) -> Result<(), Fault> {
        self.wait(timeout, "waiting to play")
    }

    fn read(&mut self, period: &mut Period, timeout: Duration) -> Result<(), Fault> {
        let mut done = 0;
        while done < BYTES {
            let read = self.handle.io_bytes().readi(&mut self.bytes[done..]);
            match read {
                Ok(frames) if frames > 0 => done += frames * 2,
                Err(error) if error.errno() != errno::EAGAIN => {
                    return Err(self.fault("capturing")(error));
                }
                _ => self.wait(timeout, "waiting for capture")?,
            }
        }
        for (sample, bytes) in period.iter_mut().zip(self.bytes.as_chunks::<2>().0) {
            *sample = i16::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn write(&mut self, period: &Period, timeout: Duration) -> Result<(), Fault> {
        for (sample, bytes) in period.iter().zip(self.bytes.as_chunks_mut::<2>().0) {
            *bytes = sample.to_le_bytes();
        }
        let mut done = 0;
        while done < BYTES {
            let written = self.handle.io_bytes().writei(&self.bytes[done..]);
            match written {
                Ok(frames) if frames > 0 => done += frames * 2,
                Err(error) if error.errno() != errno::EAGAIN => {
                    return Err(self.fault("playing")(error));
                }
                _ => self.wait(timeout, "waiting to play")?,
            }
        }
        Ok(())
    }
}

/// Agrees with the driver on the one format there is.
struct Negotiation<'a> {
    device: &'a Arc<str>,
    direction: Direction,
    pcm: &'a PCM,
    said: &'a dyn Fn(&alsa::Error) -> Arc<str>,
}

impl Negotiation<'_> {
    fn hardware(&self, wanted: Wanted) -> Result<(), AudioError> {
        let params = HwParams::any(self.pcm).map_err(self.refused("any configuration", 0))?;
        params
            .set_access(Access::RWInterleaved)
            .map_err(|_| self.unsupported("interleaved access, channels", 1, "none"))?;
        params
            .set_format(Format::S16LE)
            .map_err(|_| self.unsupported("signed little-endian samples of bits", 16, "others"))?;
        params.set_channels(1).map_err(|_| {
            let range = range(params.get_channels_min(), params.get_channels_max());
            self.unsupported("channels", 1, &range)
        })?;
        params
            .set_rate(wanted.rate_hz, alsa::ValueOr::Nearest)
            .map_err(|_| {
                let range = range(params.get_rate_min(), params.get_rate_max());
                self.unsupported("rate in Hz", wanted.rate_hz, &range)
            })?;
        let period = wanted.period_frames;
        params
            .set_period_size(period as Frames, alsa::ValueOr::Nearest)
            .map_err(|_| {
                let range = range(params.get_period_size_min(), params.get_period_size_max());
                self.unsupported("period of frames", period, &range)
            })?;
        let buffer = wanted.buffer_frames;
        params.set_buffer_size(buffer as Frames).map_err(|_| {
            let range = range(params.get_buffer_size_min(), params.get_buffer_size_max());
            self.unsupported("buffer of frames", buffer, &range)
        })?;
        self.pcm
            .hw_params(&params)
            .map_err(self.refused("this configuration; rate in Hz", wanted.rate_hz))?;
        // Plugins may agree and then do otherwise.
        let (got_buffer, got_period) = self
            .pcm
            .get_params()
            .map_err(self.refused("period of frames", period))?;
        if got_period != u64::from(period) {
            return Err(self.unsupported("period of frames", period, &got_period.to_string()));
        }
        if got_buffer != u64::from(buffer) {
            return Err(self.unsupported("buffer of frames", buffer, &got_buffer.to_string()));
        }
        Ok(())
    }

    fn software(&self, wake_frames: usize) -> Result<(), AudioError> {
        let refused =
            |error| self.refused("wake-up threshold of frames", wake_frames as u32)(error);
        let params = self.pcm.sw_params_current().map_err(refused)?;
        params
            .set_avail_min(wake_frames as Frames)
            .map_err(refused)?;
        // Playback starts with its last primed period (sound servers behind alsa-lib wait for this
        // many frames whatever is started), capture only when it is told to.
        let threshold = match self.direction {
            Direction::Playback => (PRIMED_PERIODS * PERIOD_FRAMES) as Frames,
            Direction::Capture => params.get_boundary().map_err(refused)?,
        };
        params.set_start_threshold(threshold).map_err(refused)?;
        // Stop when the buffer is empty (or full): an xrun must be seen.
        params
            .set_stop_threshold(BUFFER_FRAMES as Frames)
            .map_err(refused)?;
        self.pcm.sw_params(&params).map_err(refused)
    }

    fn unsupported(&self, what: &'static str, asked: u32, offered: &str) -> AudioError {
        AudioError::Unsupported {
            device: Arc::clone(self.device),
            direction: self.direction,
            what,
            asked,
            offered: offered.into(),
        }
    }

    fn refused(&self, what: &'static str, asked: u32) -> impl Fn(alsa::Error) -> AudioError + '_ {
        move |error| match error.errno() {
            errno::EBUSY
            | errno::EACCES
            | errno::EPERM
            | errno::ENOENT
            | errno::ENODEV
            | errno::ENXIO => open_error(self.device, self.direction, &error, (self.said)(&error)),
            _ => self.unsupported(
                what,
                asked,
                &format!("no more than \"{}\"", (self.said)(&error)),
            ),
        }
    }
}

fn open_error(
    device: &Arc<str>,
    direction: Direction,
    error: &alsa::Error,
    reason: Arc<str>,
) -> AudioError {
    let device = Arc::clone(device);
    match error.errno() {
        errno::EBUSY | errno::EAGAIN => AudioError::Busy { device, direction },
        errno::EACCES | errno::EPERM => AudioError::Denied { device, direction },
        _ => AudioError::Missing {
            device,
            direction,
            reason,
        },
    }
}

fn lost_setup(name: &str, direction: Direction) -> AudioError {
    AudioError::Lost {
        device: name.into(),
        direction,
        what: "setting it up",
        errno: 0,
    }
}

/// The last thing alsa-lib said, without its function's name, or else the error's own words.
fn reason(said: &str, error: &alsa::Error) -> Arc<str> {
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    match last {
        // "snd_pcm_open_noupdate: Unknown PCM nope"
        Some(line) => match line.split_once(": ") {
            Some((function, words)) if !function.contains(' ') => words.trim().into(),
            _ => line.trim().into(),
        },
        None => error.to_string().into(),
    }
}

fn range<T: Display + PartialEq>(min: alsa::Result<T>, max: alsa::Result<T>) -> String {
    match (min, max) {
        (Ok(min), Ok(max)) if min == max => min.to_string(),
        (Ok(min), Ok(max)) => format!("{min} to {max}"),
        _ => "nothing it can name".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks alsa-lib's own "plug:null" for what it cannot do.
    #[track_caller]
    fn refused(wanted: Wanted, expected: &str) {
        let pcm = PCM::new("plug:null", alsa::Direction::Playback, true).unwrap();
        let device = "plug:null".into();
        let said = |error: &alsa::Error| reason("", error);
        let direction = Direction::Playback;
        let negotiation = Negotiation {
            device: &device,
            direction,
            pcm: &pcm,
            said: &said,
        };
        let message = negotiation.hardware(wanted).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn other_numbers_are_refused_with_what_the_driver_offers() {
        refused(
            Wanted {
                rate_hz: 1_000,
                ..PHONE
            },
            "the playback device \"plug:null\" does not take rate in Hz 1000, it offers 4000 to ",
        );
        refused(
            Wanted {
                period_frames: 0,
                ..PHONE
            },
            "does not take period of frames 0, it offers 1 to ",
        );
        refused(
            Wanted {
                buffer_frames: 0,
                ..PHONE
            },
            "does not take buffer of frames 0, it offers 1 to ",
        );
    }

    #[test]
    fn missing_busy_and_forbidden_are_told_apart() {
        let device: Arc<str> = "hw:1".into();
        for (errno, expected) in [
            (errno::ENOENT, "\"hw:1\" does not exist (why)"),
            (errno::ENODEV, "\"hw:1\" does not exist (why)"),
            (errno::EBUSY, "\"hw:1\" is in use by another program"),
            (errno::EAGAIN, "\"hw:1\" is in use by another program"),
            (
                errno::EACCES,
                "no permission to use the capture device \"hw:1\"",
            ),
            (
                errno::EPERM,
                "no permission to use the capture device \"hw:1\"",
            ),
        ] {
            let error = alsa::Error::new("snd_pcm_open", errno);
            let error = open_error(&device, Direction::Capture, &error, "why".into()).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn alsa_libs_words_are_kept_without_its_functions() {
        let error = alsa::Error::new("snd_pcm_open", errno::ENOENT);
        let said = "snd_config_get_card: Cannot get card index for 7\n\
                    snd_pcm_open_noupdate: Unknown PCM nope\n\n";
        assert_eq!(&*reason(said, &error), "Unknown PCM nope");
        assert_eq!(&*reason("No such: thing", &error), "No such: thing");
        assert!(reason("", &error).contains("snd_pcm_open"));
    }
}
