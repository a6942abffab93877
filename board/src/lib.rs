//! Offhook's boards as data.
//!
//! A board is one TOML file: what is wired where, and which sound devices there are. [`Board::parse`]
//! turns its text into a [`Board`] in which everything has been checked, so that whoever uses a
//! board need not check again; what is wrong is said with file, line and what is allowed. The format
//! is described in the crate's README.
//!
//! Invariant: no code for one board lives here. Adding a board adds a file to `boards/`.

mod check;
mod error;
mod hardware;
mod header;
mod lines;
mod raw;
mod select;

use std::time::Duration;

use offhook_hal::audio::{CaptureSpec, PlaybackSpec};
use offhook_hal::front::InputCode;
use offhook_hal::gpio::{GpioSpec, Pull};
use offhook_hal::hook::HookTiming;
use offhook_hal::keypad::KeyTiming;
use offhook_hal::virtual_board::PanelConfig;
use offhook_hal::{Key, Lamp};

pub use error::BoardError;
pub use header::{Function, Header, HeaderPin};
pub use select::Machine;

/// A number of a GPIO line on the board's chip.
pub type Line = u32;

/// A board: everything the phone needs to know about the hardware it runs on.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// Its name: `a-z`, `0-9`, `-`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Beginnings of the device-tree model strings this board goes by.
    pub device_tree_models: Vec<String>,
    /// Whether `auto` may choose it.
    pub detect: bool,
    /// The GPIO chip, if anything is wired to one.
    pub gpio: Option<GpioSpec>,
    /// The pin header its lines are on, if it is a known one.
    pub header: Option<Header>,
    /// The keys.
    pub keypad: Keypad,
    /// The hook switch.
    pub hook: Hook,
    /// The lamps it has, in the order of [`Lamp::ALL`].
    pub lamps: Vec<BoardLamp>,
    /// The display.
    pub display: Display,
    /// The sound variant, if the board leaves sound to one.
    pub sound: Option<String>,
    /// The sound devices.
    pub audio: AudioPaths,
    /// The Opus encoders' effort, 0 (cheap) to 10 (best); what the configuration says goes before it.
    pub opus_complexity: u8,
    /// What the phone may take of the board.
    pub budgets: Budgets,
    /// What each line in use is used for, by number.
    pub wires: Vec<Wire>,
}

/// A line in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The line.
    pub line: Line,
    /// What for, in words.
    pub what: String,
}

impl Board {
    /// Nothing of it is hardware: the phone is worked through a virtual panel.
    pub fn is_virtual(&self) -> bool {
        self.keypad.wiring == KeypadWiring::Virtual
            && self.hook.wiring == HookWiring::Virtual
            && self.display.controller == Controller::Virtual
            && self
                .lamps
                .iter()
                .all(|lamp| lamp.wiring == LampWiring::Virtual)
    }

    /// Some of it is no hardware: that is on a virtual panel.
    pub fn has_virtual_parts(&self) -> bool {
        self.keypad.wiring == KeypadWiring::Virtual
            || self.hook.wiring == HookWiring::Virtual
            || self.display.controller == Controller::Virtual
            || self
                .lamps
                .iter()
                .any(|lamp| lamp.wiring == LampWiring::Virtual)
    }

    /// The same board with none of its hardware: all is on a virtual panel.
    #[must_use]
    pub fn into_virtual(mut self) -> Self {
        self.keypad.wiring = KeypadWiring::Virtual;
        self.hook.wiring = HookWiring::Virtual;
        self.display.controller = Controller::Virtual;
        for lamp in &mut self.lamps {
            lamp.wiring = LampWiring::Virtual;
        }
        self
    }

    /// A virtual panel with what this board has, whatever it is wired to.
    pub fn panel_config(&self) -> PanelConfig {
        PanelConfig {
            display: self.display.size(),
            lamps: self.lamps.iter().map(|lamp| lamp.lamp).collect(),
            keys: self.keypad.timing,
            flash: self.hook.timing.flash,
        }
    }
}

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Ground.
    Low,
    /// The supply's voltage.
    High,
}

/// The keys of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keypad {
    /// How long a contact must keep its state.
    pub debounce: Duration,
    /// When a press is long, and a key stuck.
    pub timing: KeyTiming,
    /// How the keys are connected.
    pub wiring: KeypadWiring,
}

/// How keys are connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeypadWiring {
    /// Not at all: a virtual panel has every key.
    Virtual,
    /// In rows and columns.
    Matrix(Matrix),
    /// To the kernel, which tells them as an input device.
    InputDevice {
        /// The device's name or physical path.
        device: String,
        /// Which of its keys is which.
        keys: Vec<(InputCode, Key)>,
    },
}

/// A keypad in rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Lines that are read, with pull-ups; 1 to 8.
    pub row_lines: Vec<Line>,
    /// Lines that are driven low one by one, open drain; 1 to 8.
    pub column_lines: Vec<Line>,
    /// The key at each row and column; none where the matrix has no key.
    pub keys: Vec<Vec<Option<Key>>>,
    /// Each key has a diode, so that there are no ghost keys.
    pub diodes: bool,
    /// How long the rows need to follow a column.
    pub settle: Duration,
}

/// The hook switch of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Debouncing and flash window.
    pub timing: HookTiming,
    /// How it is connected.
    pub wiring: HookWiring,
}

/// How the hook switch is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookWiring {
    /// Not at all.
    Virtual,
    /// To a line.
    Switch {
        /// The line.
        line: Line,
        /// Its level while the handset is lifted.
        lifted: Level,
        /// Its resistor.
        pull: Pull,
    },
    /// To the kernel, which tells it as a key or switch of an input device.
    InputDevice {
        /// The device's name or physical path.
        device: String,
        /// The key or switch.
        code: InputCode,
        /// It is on while the handset is lifted.
        lifted_is_on: bool,
    },
}

/// A lamp of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardLamp {
    /// What it means.
    pub lamp: Lamp,
    /// How it is connected.
    pub wiring: LampWiring,
}

/// How a lamp is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LampWiring {
    /// Not at all.
    Virtual,
    /// To a line.
    Pin {
        /// The line.
        line: Line,
        /// Its level while the lamp is lit.
        lit: Level,
    },
}

/// The display of a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// Width in pixels, 1 to 320.
    pub width_px: u32,
    /// Height in pixels, 1 to 240.
    pub height_px: u32,
    /// What drives it.
    pub controller: Controller,
}

impl Display {
    /// Its size as a frame has it.
    pub const fn size(&self) -> offhook_hal::display::Size {
        offhook_hal::display::Size::new(self.width_px, self.height_px)
    }
}

/// What drives the display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Controller {
    /// Nothing: a virtual panel shows it.
    Virtual,
    /// SSD1306, monochrome.
    Ssd1306(I2c),
    /// SH1106, monochrome.
    Sh1106(I2c),
    /// ST7789, colour.
    St7789(Spi),
}

/// A device on an I2C bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I2c {
    /// The bus: 1 is `/dev/i2c-1`.
    pub bus: u8,
    /// The 7-bit address, 0x08 to 0x77.
    pub address: u8,
}

/// A device on an SPI bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spi {
    /// The bus: the first number of `/dev/spidev0.1`.
    pub bus: u8,
    /// The chip select: the second number.
    pub select: u8,
    /// Clock in Hz, 100 kHz to 80 MHz.
    pub clock_hz: u32,
    /// The line that tells data from commands.
    pub data_command_line: Line,
    /// The reset line, if wired.
    pub reset_line: Option<Line>,
    /// The backlight's line, if wired.
    pub backlight_line: Option<Line>,
    /// Where in the controller's memory, of 240 x 320 upright, the glass begins: columns and rows. The size fits behind it.
    pub offset_px: [u32; 2],
}

/// The ways sound can take.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioPaths {
    /// The handset. Every phone has one.
    pub handset: AudioPath,
    /// Loudspeaker and its microphone.
    pub speaker: Option<AudioPath>,
    /// The headset.
    pub headset: Option<AudioPath>,
    /// Where the phone rings, if not at the path in use.
    pub ringer: Option<PlaybackSpec>,
}

/// One way sound can take.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioPath {
    /// Where its microphone is.
    pub capture: CaptureSpec,
    /// Where its ear is.
    pub playback: PlaybackSpec,
    /// Frames at 48 kHz between two interrupts of the device, as it is asked for.
    pub period_frames: usize,
    /// Frames in the device's buffer.
    pub buffer_frames: usize,
    /// The card its mixer elements and switches are on, such as `hw:0`.
    pub mixer_card: Option<String>,
    /// What makes it louder.
    pub playback_volume: Option<MixerElement>,
    /// What makes its microphone more sensitive.
    pub capture_gain: Option<MixerElement>,
    /// The card's switches without which it is silent, as `amixer controls` lists them: set on when it is opened.
    pub switches: Vec<String>,
    /// The microphone hears the loudspeaker, and it is to be taken out.
    pub echo_cancelling: Option<EchoCancelling>,
    /// How much steady noise is taken out.
    pub noise_suppression: NoiseSuppression,
    /// Quiet and loud speakers are brought to one level.
    pub gain_control: Option<GainControl>,
    /// The own voice in the ear, dB against the microphone; `None`: not mixed by the phone.
    pub sidetone_db: Option<f32>,
}

/// How the loudspeaker's sound is taken out of the microphone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoCancelling {
    /// How much later the microphone hears the loudspeaker than the sound device says, milliseconds, 0 to 100.
    pub extra_delay_ms: u8,
    /// By how much more what is left is turned down while nobody speaks here, dB, 0 to 40.
    pub gate_db: u8,
}

/// To which level speakers are brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GainControl {
    /// How far below full scale the peaks of a voice come to lie, dB, 1 to 30.
    pub headroom_db: u8,
    /// The most it makes a voice louder by, dB, 1 to 40.
    pub most_db: u8,
}

/// How much steady noise is taken out of a microphone's sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseSuppression {
    /// None.
    #[default]
    Off,
    /// About 6 dB.
    Low,
    /// About 12 dB.
    Moderate,
    /// About 18 dB.
    High,
}

/// A mixer element and the part of its range that is used: 0 % is `min_db`, 100 % is `max_db`.
#[derive(Debug, Clone, PartialEq)]
pub struct MixerElement {
    /// The element's name, as `amixer scontrols` lists it.
    pub element: String,
    /// The quietest setting, in dB.
    pub min_db: f32,
    /// The loudest setting, in dB.
    pub max_db: f32,
}

/// What the phone may take of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Memory of the firmware in a call, in MiB.
    pub ram_mib: u32,
    /// From start to ready for a call.
    pub startup: Duration,
}
