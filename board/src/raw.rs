//! The board file as it is written, before anything is checked but types and key names.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::{Header, Level};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Board {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Spanned<String>,
    pub(crate) device_tree_models: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    pub(crate) detect: bool,
    pub(crate) sound: Option<Spanned<String>>,
    pub(crate) gpio: Option<Gpio>,
    pub(crate) keypad: Spanned<Keypad>,
    pub(crate) hook: Spanned<Hook>,
    pub(crate) lamps: BTreeMap<Spanned<String>, Spanned<Lamp>>,
    pub(crate) display: Spanned<Display>,
    pub(crate) audio: Option<Spanned<Audio>>,
    pub(crate) opus_complexity: Option<Spanned<u32>>,
    pub(crate) budgets: Budgets,
}

const fn yes() -> bool {
    true
}

/// A sound variant: the part of a board that depends on where the handset's sound is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sound {
    pub(crate) name: Spanned<String>,
    pub(crate) description: Spanned<String>,
    #[serde(default)]
    pub(crate) functions: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) reserved: BTreeMap<String, Spanned<u32>>,
    pub(crate) audio: Audio,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpio {
    pub(crate) chip: Spanned<String>,
    #[serde(default)]
    pub(crate) backend: Backend,
    #[serde(default = "yes")]
    pub(crate) edges: bool,
    pub(crate) header: Option<Header>,
    #[serde(default)]
    pub(crate) functions: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) reserved: BTreeMap<String, Spanned<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    #[default]
    Auto,
    Rppal,
    Gpiocdev,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    Up,
    Down,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnOff {
    On,
    Off,
}

/// One row of labels per row of keys.
pub(crate) type Labels = Vec<Spanned<Vec<Spanned<String>>>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keypad {
    pub(crate) wiring: KeypadWiring,
    pub(crate) row_lines: Option<Spanned<Vec<Spanned<u32>>>>,
    pub(crate) column_lines: Option<Spanned<Vec<Spanned<u32>>>>,
    pub(crate) labels: Option<Spanned<Labels>>,
    pub(crate) diodes: Option<Spanned<bool>>,
    pub(crate) settle_us: Option<Spanned<u32>>,
    pub(crate) device: Option<Spanned<String>>,
    pub(crate) keys: Option<Spanned<BTreeMap<Spanned<String>, Spanned<String>>>>,
    pub(crate) debounce_ms: Spanned<u32>,
    pub(crate) long_press_ms: Spanned<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeypadWiring {
    Virtual,
    Matrix,
    InputDevice,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hook {
    pub(crate) wiring: HookWiring,
    pub(crate) line: Option<Spanned<u32>>,
    pub(crate) lifted_level: Option<Spanned<Level>>,
    pub(crate) pull: Option<Spanned<Pull>>,
    pub(crate) device: Option<Spanned<String>>,
    pub(crate) code: Option<Spanned<String>>,
    pub(crate) lifted_when: Option<Spanned<OnOff>>,
    pub(crate) debounce_ms: Spanned<u32>,
    pub(crate) flash_min_ms: Option<Spanned<u32>>,
    pub(crate) flash_max_ms: Option<Spanned<u32>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HookWiring {
    Virtual,
    Switch,
    InputDevice,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lamp {
    pub(crate) wiring: LampWiring,
    pub(crate) line: Option<Spanned<u32>>,
    pub(crate) lit_level: Option<Spanned<Level>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LampWiring {
    Virtual,
    Pin,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Display {
    pub(crate) controller: Controller,
    pub(crate) width_px: Spanned<u32>,
    pub(crate) height_px: Spanned<u32>,
    pub(crate) bus_device: Option<Spanned<String>>,
    pub(crate) i2c_address: Option<Spanned<u32>>,
    pub(crate) clock_hz: Option<Spanned<u32>>,
    pub(crate) data_command_line: Option<Spanned<u32>>,
    pub(crate) reset_line: Option<Spanned<u32>>,
    pub(crate) backlight_line: Option<Spanned<u32>>,
    pub(crate) offset_px: Option<[Spanned<u32>; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Controller {
    Virtual,
    Ssd1306,
    Sh1106,
    St7789,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audio {
    pub(crate) handset: AudioPath,
    pub(crate) speaker: Option<AudioPath>,
    pub(crate) headset: Option<AudioPath>,
    pub(crate) ringer: Option<Ringer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ringer {
    pub(crate) playback: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudioPath {
    pub(crate) capture: Spanned<String>,
    pub(crate) playback: Spanned<String>,
    pub(crate) period_frames: Spanned<u32>,
    pub(crate) buffer_frames: Spanned<u32>,
    pub(crate) mixer_card: Option<Spanned<String>>,
    pub(crate) playback_volume: Option<Spanned<MixerElement>>,
    pub(crate) capture_gain: Option<Spanned<MixerElement>>,
    #[serde(default)]
    pub(crate) switches: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) echo_cancelling: bool,
    pub(crate) echo_extra_delay_ms: Option<Spanned<u32>>,
    pub(crate) echo_gate_db: Option<Spanned<u32>>,
    #[serde(default)]
    pub(crate) noise_suppression: crate::NoiseSuppression,
    #[serde(default)]
    pub(crate) gain_control: bool,
    pub(crate) gain_headroom_db: Option<Spanned<u32>>,
    pub(crate) gain_most_db: Option<Spanned<u32>>,
    pub(crate) sidetone_db: Option<Spanned<f32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixerElement {
    pub(crate) element: Spanned<String>,
    pub(crate) min_db: Spanned<f32>,
    pub(crate) max_db: Spanned<f32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    pub(crate) ram_mib: Spanned<u32>,
    pub(crate) startup_ms: Spanned<u32>,
}
