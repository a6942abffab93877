//! One direction of one ALSA PCM.

use std::ffi::CString;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use alsa::pcm::{Access, Format, Frames, HwParams, PCM, State};

use super::format::{Encoding, Hardware};
use super::port::{Fault, MAX_FRAMES, MAX_RATE_HZ, Port};
use crate::audio::{AudioError, BUFFER_FRAMES, Direction, PERIOD_FRAMES, RATE_HZ};

/// The error numbers ALSA uses, as Linux has numbered them on every architecture the phone runs on.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EIO: i32 = 5;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const ENODEV: i32 = 19;
}

/// A card of a lower rate than a telephone's is none.
const MIN_RATE_HZ: u32 = 8_000;
/// More channels than this no card of a telephone has.
const MAX_CHANNELS: usize = 8;

/// What is asked of the driver, in frames at 48 kHz; the nearest it has is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) rate_hz: u32,
    pub(super) period_frames: u32,
    pub(super) buffer_frames: u32,
}

/// The format the phone is built for.
pub(super) const PHONE: Wanted = Wanted {
    rate_hz: RATE_HZ,
    period_frames: PERIOD_FRAMES as u32,
    buffer_frames: BUFFER_FRAMES as u32,
};

/// When poll wakes, and when the device starts by itself; frames at 48 kHz, from what the driver has agreed to.
pub(super) struct Thresholds {
    /// So many can be read or written.
    pub(super) wake: usize,
    /// So many are queued.
    pub(super) start: Option<usize>,
}

/// An open PCM, set up as near to what the phone needs as the card comes.
#[derive(Debug)]
pub(super) struct Pcm {
    name: Arc<str>,
    direction: Direction,
    handle: PCM,
    hardware: Hardware,
    /// What is moved at once, as the device has it; kept here because it must not be allocated later.
    bytes: Box<[u8]>,
}

impl Pcm {
    /// Opens and sets up `name`.
    pub(super) fn open(
        name: &str,
        direction: Direction,
        wanted: Wanted,
        thresholds: impl FnOnce(&Hardware) -> Thresholds + Send,
    ) -> Result<Self, AudioError> {
        // In a thread of its own, because alsa-lib's messages can be caught only per thread and for
        // the rest of the thread's life; uncaught, they go to standard error.
        let opened = std::thread::scope(|scope| {
            scope
                .spawn(|| Self::open_here(name, direction, wanted, thresholds))
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

    fn open_here(
        name: &str,
        direction: Direction,
        wanted: Wanted,
        thresholds: impl FnOnce(&Hardware) -> Thresholds,
    ) -> Result<Self, AudioError> {
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
        let hardware = negotiation.hardware(wanted)?;
        negotiation.software(&hardware, &thresholds(&hardware))?;
        Ok(Self {
            name: device,
            direction,
            handle: pcm,
            hardware,
            bytes: vec![0; MAX_FRAMES * hardware.frame_bytes()].into_boxed_slice(),
        })
    }
}

impl Port for Pcm {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn hardware(&self) -> Hardware {
        self.hardware
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

    fn queued(&self) -> Result<u32, Fault> {
        let room = self.handle.avail().map_err(self.fault("asking its room"))?;
        Ok((self.hardware.buffer_frames as u32)
            .saturating_sub(u32::try_from(room.max(0)).unwrap_or(u32::MAX)))
    }

    fn wait_for_room(&self, timeout: Duration) -> Result<(), Fault> {
        self.wait(timeout, "waiting to play")
    }

    fn read(&mut self, samples: &mut [f32], timeout: Duration) -> Result<(), Fault> {
        let frame = self.hardware.frame_bytes();
        let (mut done, whole) = (0, samples.len().min(MAX_FRAMES) * frame);
        while done < whole {
            let read = self.handle.io_bytes().readi(&mut self.bytes[done..whole]);
            match read {
                Ok(frames) if frames > 0 => done += frames * frame,
                Err(error) if error.errno() != errno::EAGAIN => {
                    return Err(self.fault("capturing")(error));
                }
                _ => self.wait(timeout, "waiting for capture")?,
            }
        }
        self.hardware.decode(&self.bytes[..whole], samples);
        Ok(())
    }

    fn write(&mut self, samples: &[f32], timeout: Duration) -> Result<(), Fault> {
        let frame = self.hardware.frame_bytes();
        let (mut done, whole) = (0, samples.len().min(MAX_FRAMES) * frame);
        self.hardware.encode(samples, &mut self.bytes[..whole]);
        while done < whole {
            let written = self.handle.io_bytes().writei(&self.bytes[done..whole]);
            match written {
                Ok(frames) if frames > 0 => done += frames * frame,
                Err(error) if error.errno() != errno::EAGAIN => {
                    return Err(self.fault("playing")(error));
                }
                _ => self.wait(timeout, "waiting to play")?,
            }
        }
        Ok(())
    }
}

/// Agrees with the driver on what is nearest to the phone's own format.
struct Negotiation<'a> {
    device: &'a Arc<str>,
    direction: Direction,
    pcm: &'a PCM,
    said: &'a dyn Fn(&alsa::Error) -> Arc<str>,
}

impl Negotiation<'_> {
    fn hardware(&self, wanted: Wanted) -> Result<Hardware, AudioError> {
        let params = HwParams::any(self.pcm).map_err(self.refused("any configuration", 0))?;
        params
            .set_access(Access::RWInterleaved)
            .map_err(|_| self.unsupported("interleaved access, channels", 1, "none"))?;
        let encoding = self.encoding(&params)?;
        let channels = self.channels(&params)?;
        let rate_hz = self.rate(&params, wanted.rate_hz)?;
        let own = |frames: u32| {
            (u64::from(frames) * u64::from(rate_hz) / u64::from(RATE_HZ)).max(1) as Frames
        };
        let period = own(wanted.period_frames);
        params
            .set_period_size_near(period, alsa::ValueOr::Nearest)
            .map_err(|_| {
                let range = range(params.get_period_size_min(), params.get_period_size_max());
                self.unsupported("period of frames", period as u32, &range)
            })?;
        let buffer = own(wanted.buffer_frames);
        params.set_buffer_size_near(buffer).map_err(|_| {
            let range = range(params.get_buffer_size_min(), params.get_buffer_size_max());
            self.unsupported("buffer of frames", buffer as u32, &range)
        })?;
        self.pcm
            .hw_params(&params)
            .map_err(self.refused("this configuration; rate in Hz", rate_hz))?;
        // Plugins may agree and then do otherwise.
        let (buffer_frames, period_frames) = self
            .pcm
            .get_params()
            .map_err(self.refused("period of frames", period as u32))?;
        // One period of the phone's on its way, and one to be written.
        let least = own(2 * PERIOD_FRAMES as u32) as u64;
        if buffer_frames < least {
            let offered = buffer_frames.to_string();
            return Err(self.unsupported("buffer of frames", least as u32, &offered));
        }
        let card = self.pcm.info().ok().map(|info| info.get_card());
        Ok(Hardware {
            rate_hz,
            channels,
            encoding,
            period_frames: period_frames as usize,
            buffer_frames: buffer_frames as usize,
            card: card.and_then(|card| card.try_into().ok()),
        })
    }

    fn encoding(&self, params: &HwParams) -> Result<Encoding, AudioError> {
        for (encoding, format) in [
            (Encoding::S16, Format::S16LE),
            (Encoding::S32, Format::S32LE),
        ] {
            if params.set_format(format).is_ok() {
                return Ok(encoding);
            }
        }
        Err(self.unsupported(
            "signed little-endian samples of bits",
            16,
            "neither these nor 32",
        ))
    }

    /// One, or the fewest there are.
    fn channels(&self, params: &HwParams) -> Result<usize, AudioError> {
        let channels = params.set_channels_near(1).unwrap_or(0) as usize;
        if (1..=MAX_CHANNELS).contains(&channels) {
            return Ok(channels);
        }
        let range = range(params.get_channels_min(), params.get_channels_max());
        Err(self.unsupported("channels", 1, &range))
    }

    /// The wanted one, or the nearest there is. alsa-lib itself shall not convert: it does so by drawing lines from
    /// sample to sample unless a better converter is installed.
    fn rate(&self, params: &HwParams, wanted_hz: u32) -> Result<u32, AudioError> {
        // A device without a converter has nothing to switch off.
        let _ = params.set_rate_resample(false);
        let rate = params.set_rate_near(wanted_hz, alsa::ValueOr::Nearest);
        match rate {
            Ok(rate) if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&rate) => Ok(rate),
            _ => {
                let range = range(params.get_rate_min(), params.get_rate_max());
                Err(self.unsupported("rate in Hz", wanted_hz, &range))
            }
        }
    }

    fn software(&self, hardware: &Hardware, thresholds: &Thresholds) -> Result<(), AudioError> {
        let own = |frames: usize| {
            (frames as u64 * u64::from(hardware.rate_hz) / u64::from(RATE_HZ)) as Frames
        };
        let wake = own(thresholds.wake);
        let refused = |error| self.refused("wake-up threshold of frames", wake as u32)(error);
        let params = self.pcm.sw_params_current().map_err(refused)?;
        params.set_avail_min(wake).map_err(refused)?;
        // Playback starts with its last primed period (sound servers behind alsa-lib wait for this
        // many frames whatever is started), capture only when it is told to.
        let threshold = match thresholds.start {
            Some(frames) => own(frames),
            None => params.get_boundary().map_err(refused)?,
        };
        params.set_start_threshold(threshold).map_err(refused)?;
        // Stop when the buffer is empty (or full): an xrun must be seen.
        params
            .set_stop_threshold(hardware.buffer_frames as Frames)
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
            // A sound server's device that is not plugged in has a name all the same, and fails only here.
            errno::EIO
            | errno::EBUSY
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

    /// What alsa-lib's own "null" gives when asked for this.
    fn negotiated(wanted: Wanted) -> Result<Hardware, AudioError> {
        let pcm = PCM::new("null", alsa::Direction::Playback, true).unwrap();
        let device = "null".into();
        let said = |error: &alsa::Error| reason("", error);
        let negotiation = Negotiation {
            device: &device,
            direction: Direction::Playback,
            pcm: &pcm,
            said: &said,
        };
        negotiation.hardware(wanted)
    }

    #[test]
    fn the_nearest_there_is_is_taken() {
        let hardware = negotiated(PHONE).unwrap();
        assert_eq!(
            (hardware.rate_hz, hardware.channels, hardware.encoding),
            (48_000, 1, Encoding::S16)
        );
        assert_eq!(
            (hardware.period_frames, hardware.buffer_frames),
            (480, 1920)
        );
        assert_eq!(hardware.card, None);
        let slow = Wanted {
            rate_hz: 16_000,
            ..PHONE
        };
        let hardware = negotiated(slow).unwrap();
        assert_eq!((hardware.period_frames, hardware.buffer_frames), (160, 640));
    }

    #[test]
    fn a_sound_servers_device_that_is_not_there_is_missing() {
        let pcm = PCM::new("null", alsa::Direction::Playback, true).unwrap();
        let device = "usb".into();
        let said = |error: &alsa::Error| {
            reason(
                "PulseAudio: Unable to create stream: No such entity\n",
                error,
            )
        };
        let negotiation = Negotiation {
            device: &device,
            direction: Direction::Playback,
            pcm: &pcm,
            said: &said,
        };
        let error = alsa::Error::new("snd_pcm_hw_params", errno::EIO);
        let error = negotiation.refused("this configuration", 1)(error);
        assert!(matches!(error, AudioError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("No such entity"), "{error}");
    }

    #[test]
    fn what_is_no_telephone_is_refused_with_what_there_is() {
        for (wanted, expected) in [
            (
                Wanted {
                    rate_hz: 4_000,
                    ..PHONE
                },
                "the playback device \"null\" does not take rate in Hz 4000, it offers ",
            ),
            (
                Wanted {
                    buffer_frames: 500,
                    period_frames: 250,
                    ..PHONE
                },
                "does not take buffer of frames 960, it offers 500",
            ),
        ] {
            let message = negotiated(wanted).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
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
