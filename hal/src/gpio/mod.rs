//! GPIO lines of a Linux machine as `embedded-hal` pins.
//!
//! Two back ends stand behind [`InputLine`] and [`OutputLine`]: `rppal`, which works a Raspberry Pi's
//! registers through `/dev/gpiomem`, and `gpiocdev`, which works any chip of the kernel. What reads and
//! drives the pins (keypad, hook switch, lamps, displays) cannot tell them apart.

mod cdev;
mod edges;
mod error;
mod raspberry;

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin, OutputPin};

pub use edges::Edges;
pub use error::GpioError;

/// What holds our lines, as `gpioinfo` shows it.
const CONSUMER: &str = "offhook";

/// The chip a board's lines are on, and how it is worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioSpec {
    /// The chip's label or name as `gpiodetect` prints it, or its device.
    pub chip: String,
    /// Who works it.
    pub backend: Backend,
    /// The chip tells edges. Where it does not, lines are read at a steady rate.
    pub edges: bool,
}

/// Who works the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// `rppal` if this is a Raspberry Pi whose registers can be reached, else `gpiocdev`.
    #[default]
    Auto,
    /// `rppal`, or an error.
    Rppal,
    /// `gpiocdev`.
    Gpiocdev,
}

/// What pulls an input while nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// To the supply's voltage.
    #[default]
    Up,
    /// To ground.
    Down,
    /// Nothing: the board has its own resistor.
    None,
}

/// The lines of a phone's front.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinesSpec {
    /// Inputs with pull-ups whose falling edges are told.
    pub rows: Vec<u32>,
    /// Open-drain outputs, not driven at first.
    pub columns: Vec<u32>,
    /// An input whose both edges are told.
    pub hook: Option<HookLineSpec>,
    /// Outputs, and whether they are high at first.
    pub outputs: Vec<(u32, bool)>,
}

/// The line of a hook switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookLineSpec {
    /// The line.
    pub line: u32,
    /// Its resistor.
    pub pull: Pull,
    /// What the kernel is asked to debounce by; zero asks for nothing.
    pub debounce: Duration,
}

/// [`LinesSpec`], opened.
#[derive(Debug)]
pub struct Lines {
    /// As in the specification.
    pub rows: Vec<InputLine>,
    /// As in the specification.
    pub columns: Vec<OutputLine>,
    /// The hook's line.
    pub hook: Option<HookLine>,
    /// As in the specification.
    pub outputs: Vec<OutputLine>,
    /// Edges of rows and hook; none where the chip tells none.
    pub edges: Option<Edges>,
}

/// The hook's line, opened.
#[derive(Debug)]
pub struct HookLine {
    /// The line.
    pub pin: InputLine,
    /// The kernel debounces it, so that nobody else need.
    pub debounced: bool,
}

/// Opens the lines of a phone's front, all or none.
pub fn open(spec: &GpioSpec, lines: &LinesSpec) -> Result<Lines, GpioError> {
    match Driver::choose(spec)? {
        Driver::Raspberry(gpio) => raspberry::open(&gpio, spec, lines),
        Driver::Chip => cdev::open(spec, lines),
    }
}

/// Opens one output, high or low at first.
pub fn open_output(spec: &GpioSpec, line: u32, high: bool) -> Result<OutputLine, GpioError> {
    let lines = LinesSpec {
        outputs: vec![(line, high)],
        ..LinesSpec::default()
    };
    let missing = || GpioError::failed(line, &"it was not opened");
    open(spec, &lines)?.outputs.pop().ok_or_else(missing)
}

/// Which back end and chip [`open`] would use, in words. Takes no line.
pub fn describe(spec: &GpioSpec) -> Result<String, GpioError> {
    let how = match Driver::choose(spec)? {
        Driver::Raspberry(_) => "rppal",
        Driver::Chip => "gpiocdev",
    };
    let chip = cdev::find_chip(&spec.chip)?;
    Ok(format!("{how}, {}", chip.path().display()))
}

enum Driver {
    Raspberry(rppal::gpio::Gpio),
    Chip,
}

impl Driver {
    fn choose(spec: &GpioSpec) -> Result<Self, GpioError> {
        match spec.backend {
            Backend::Rppal => Ok(Self::Raspberry(raspberry::registers()?)),
            Backend::Auto if raspberry::has_chip(&spec.chip) => match raspberry::registers() {
                Ok(gpio) => Ok(Self::Raspberry(gpio)),
                Err(error) => {
                    tracing::info!(%error, "the registers cannot be reached: GPIO goes through the kernel's chip");
                    Ok(Self::Chip)
                }
            },
            Backend::Auto | Backend::Gpiocdev => Ok(Self::Chip),
        }
    }
}

/// A line that is read.
#[derive(Debug)]
pub enum InputLine {
    /// Through the kernel.
    Chip(cdev::ChipLine),
    /// Through a Raspberry Pi's registers.
    Raspberry(rppal::gpio::InputPin),
}

/// A line that is driven.
#[derive(Debug)]
pub enum OutputLine {
    /// Through the kernel.
    Chip(cdev::ChipLine),
    /// Through a Raspberry Pi's registers.
    Raspberry(rppal::gpio::OutputPin),
    /// A Raspberry Pi has no open drain: an input instead of high.
    RaspberryOpenDrain(rppal::gpio::IoPin),
}

impl ErrorType for InputLine {
    type Error = PinError;
}

impl InputPin for InputLine {
    fn is_high(&mut self) -> Result<bool, PinError> {
        match self {
            Self::Chip(line) => line.is_high(),
            Self::Raspberry(pin) => Ok(rppal::gpio::InputPin::is_high(pin)),
        }
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        self.is_high().map(|high| !high)
    }
}

impl ErrorType for OutputLine {
    type Error = PinError;
}

impl OutputPin for OutputLine {
    fn set_high(&mut self) -> Result<(), PinError> {
        match self {
            Self::Chip(line) => line.set(true)?,
            Self::Raspberry(pin) => rppal::gpio::OutputPin::set_high(pin),
            Self::RaspberryOpenDrain(pin) => pin.set_mode(rppal::gpio::Mode::Input),
        }
        Ok(())
    }

    fn set_low(&mut self) -> Result<(), PinError> {
        match self {
            Self::Chip(line) => line.set(false)?,
            Self::Raspberry(pin) => rppal::gpio::OutputPin::set_low(pin),
            Self::RaspberryOpenDrain(pin) => {
                // The level first, so that the line is never driven high.
                rppal::gpio::IoPin::set_low(pin);
                pin.set_mode(rppal::gpio::Mode::Output);
            }
        }
        Ok(())
    }
}

/// A line could not be read or driven.
#[derive(Clone, PartialEq, Eq)]
pub struct PinError(pub(crate) String);

impl fmt::Debug for PinError {
    /// The driver's own words: they become part of what the user reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl From<Infallible> for PinError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Waits for lines to settle: spins for what the kernel's timers cannot do, sleeps for the rest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settle;

/// A sleep takes 50 us longer than asked for (the default timer slack).
const SPIN_UP_TO: Duration = Duration::from_micros(50);

impl DelayNs for Settle {
    fn delay_ns(&mut self, ns: u32) {
        let time = Duration::from_nanos(ns.into());
        if time > SPIN_UP_TO {
            std::thread::sleep(time);
            return;
        }
        let start = std::time::Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
