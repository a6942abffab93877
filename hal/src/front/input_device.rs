//! Keys and a hook that the kernel drives, through its input devices.
//!
//! The kernel debounces them already; long presses and flashes are made here, by the same code as for contacts. The
//! device is found by its name, so that a USB handset may be unplugged and come back under another number.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use evdev::{Device, EventType, InputEvent, KeyCode, SwitchCode};
use thiserror::Error;

use super::InputDevicePart;
use super::part::{LampStates, Part, Plan, Reason};
use crate::hook::Hook;
use crate::input::earliest;
use crate::keypad::Keys;
use crate::{HalEvent, HookState};

/// A key or switch as Linux names it: `KEY_1`, `SW_HEADPHONE_INSERT` (linux/input-event-codes.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InputCode {
    /// `KEY_...` or `BTN_...`
    Key(u16),
    /// `SW_...`
    Switch(u16),
}

/// Linux knows no such key or switch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "\"{name}\" is no key or switch of Linux; allowed: KEY_..., BTN_... or SW_..., as evtest prints them"
)]
pub struct NoInputCode {
    /// What was given, shortened to 40 characters.
    pub name: String,
}

impl FromStr for InputCode {
    type Err = NoInputCode;

    fn from_str(name: &str) -> Result<Self, NoInputCode> {
        let unknown = || NoInputCode {
            name: name.chars().take(40).collect(),
        };
        if name.starts_with("SW_") {
            let code = SwitchCode::from_str(name).map_err(|_| unknown())?;
            return Ok(Self::Switch(code.0));
        }
        let code = KeyCode::from_str(name).map_err(|_| unknown())?;
        Ok(Self::Key(code.0))
    }
}

impl fmt::Display for InputCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(code) => write!(f, "{:?}", KeyCode(*code)),
            Self::Switch(code) => write!(f, "{:?}", SwitchCode(*code)),
        }
    }
}

impl InputCode {
    fn of(event: InputEvent) -> Option<Self> {
        match event.event_type() {
            EventType::KEY => Some(Self::Key(event.code())),
            EventType::SWITCH => Some(Self::Switch(event.code())),
            _ => None,
        }
    }
}

/// Opens the device that `spec` names. `told` is what the hook told last.
pub(super) fn open(spec: &InputDevicePart, told: HookState) -> Result<Box<dyn Part>, Reason> {
    let mut device = find(&spec.device)?;
    let words = |error: std::io::Error| format!("input device \"{}\": {error}", spec.device);
    device.set_nonblocking(true).map_err(words)?;
    // Or the digits would also be typed on the machine's console.
    device.grab().map_err(|error| match error.kind() {
        std::io::ErrorKind::ResourceBusy => format!(
            "input device \"{}\" is in use by another program that keeps it for itself; stop that program",
            spec.device
        ),
        _ => words(error),
    })?;
    let mut decoder = Decoder::new(spec, told);
    if let Some(hook) = spec.hook {
        let on = match hook.code {
            InputCode::Key(code) => device
                .get_key_state()
                .map_err(words)?
                .contains(KeyCode(code)),
            InputCode::Switch(code) => device
                .get_switch_state()
                .map_err(words)?
                .contains(SwitchCode(code)),
        };
        decoder.hook_is(on);
    }
    Ok(Box::new(DevicePart { device, decoder }))
}

/// The device of this name or physical path.
fn find(name: &str) -> Result<Device, Reason> {
    let matches =
        |device: &Device| device.name() == Some(name) || device.physical_path() == Some(name);
    let found = evdev::enumerate().map(|(_, device)| device).find(matches);
    found.ok_or_else(|| {
        // What may not be opened is not listed.
        let denied = std::fs::read_dir("/dev/input").is_ok_and(|entries| {
            entries.flatten().any(|entry| is_closed(&entry.path()))
        });
        if denied {
            format!(
                "input device \"{name}\" was not found among those that may be opened; add the phone's user to the \
                 group \"input\", or plug the device in"
            )
        } else {
            format!(
                "there is no input device \"{name}\"; plug it in, or correct device in the board file \
                 (/proc/bus/input/devices lists the names)"
            )
        }
    })
}

fn is_closed(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"event"))
        && std::fs::File::open(path)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

struct DevicePart {
    device: Device,
    decoder: Decoder,
}

impl Part for DevicePart {
    fn turn(
        &mut self,
        now: Instant,
        edges: bool,
        _lamps: LampStates,
        emit: &mut dyn FnMut(HalEvent),
    ) -> Result<Plan, Reason> {
        if edges {
            match self.device.fetch_events() {
                Ok(events) => events.for_each(|event| self.decoder.event(event, now, emit)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    return Err(format!(
                        "the input device is gone ({error}); plug it in again"
                    ));
                }
            }
        }
        Ok(self.decoder.advance(now, emit))
    }

    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.device.as_fd()]
    }

    fn close(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        self.decoder.keys.release_all(now, emit);
    }
}

/// From the kernel's events to the phone's.
struct Decoder {
    bindings: Vec<(InputCode, crate::Key)>,
    keys: Keys,
    hook: Option<(InputCode, bool, Hook)>,
    /// The hook as the kernel tells it.
    raw: HookState,
}

impl Decoder {
    fn new(spec: &InputDevicePart, told: HookState) -> Self {
        let hook = spec.hook.map(|hook| {
            (
                hook.code,
                hook.lifted_is_on,
                Hook::resume(hook.timing, told),
            )
        });
        Self {
            bindings: spec.keys.clone(),
            keys: Keys::new(spec.timing),
            hook,
            raw: told,
        }
    }

    fn event(&mut self, event: InputEvent, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        let Some(code) = InputCode::of(event) else {
            return;
        };
        if self.hook.as_ref().is_some_and(|(hook, ..)| *hook == code) {
            self.hook_is(event.value() != 0);
            self.advance(now, emit);
            return;
        }
        let Some((_, key)) = self.bindings.iter().find(|(bound, _)| *bound == code) else {
            return;
        };
        match event.value() {
            0 => self.keys.release(*key, now, emit),
            1 => self.keys.press(*key, now, emit),
            // 2: the kernel's own repetition.
            _ => {}
        }
    }

    fn hook_is(&mut self, on: bool) {
        if let Some((_, lifted_is_on, _)) = &self.hook {
            self.raw = if on == *lifted_is_on {
                HookState::Lifted
            } else {
                HookState::Resting
            };
        }
    }

    fn advance(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) -> Plan {
        self.keys.advance(now, emit);
        let mut at = self.keys.next_deadline();
        if let Some((_, _, hook)) = &mut self.hook {
            hook.update(self.raw, now, emit);
            at = earliest(at, hook.next_deadline());
        }
        Plan { at, edges: true }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::front::InputHook;
    use crate::hook::{FlashWindow, HookTiming};
    use crate::keypad::KeyTiming;

    fn code(name: &str) -> InputCode {
        name.parse().unwrap()
    }

    fn handset() -> InputDevicePart {
        let keys = [
            ("KEY_1", "1"),
            ("KEY_NUMERIC_STAR", "*"),
            ("KEY_MICMUTE", "mute"),
        ];
        InputDevicePart {
            device: "Acme USB Handset".into(),
            keys: keys
                .map(|(name, key)| (code(name), key.parse().unwrap()))
                .into(),
            timing: KeyTiming::default(),
            hook: Some(InputHook {
                code: code("KEY_PHONE"),
                lifted_is_on: true,
                timing: HookTiming {
                    debounce: Duration::ZERO,
                    flash: Some(FlashWindow::default()),
                },
            }),
        }
    }

    /// Plays recorded events, `(milliseconds, type, code, value)` as `evtest` prints them, and returns what was told.
    fn play(events: &[(u64, u16, u16, i32)], until_ms: u64) -> Vec<String> {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut decoder = Decoder::new(&handset(), HookState::Resting);
        let mut told = Vec::new();
        let mut emit = |event: HalEvent| told.push(format!("{event:?}"));
        let mut events = events.iter().peekable();
        let mut now = 0;
        while now <= until_ms {
            while let Some((_, kind, code, value)) = events.next_if(|event| event.0 == now) {
                decoder.event(InputEvent::new(*kind, *code, *value), at(now), &mut emit);
            }
            let plan = decoder.advance(at(now), &mut emit);
            assert!(
                plan.edges && plan.at.is_none_or(|due| due > at(now)),
                "{now}"
            );
            now += 1;
        }
        told
    }

    #[test]
    fn names_are_linux_own_both_ways() {
        for name in ["KEY_1", "KEY_NUMERIC_POUND", "BTN_0", "SW_HEADPHONE_INSERT"] {
            assert_eq!(code(name).to_string(), name);
        }
        for name in ["", "1", "KEY_", "KEY_NOTHING", "SW_1", "key_1"] {
            let error = name.parse::<InputCode>().unwrap_err().to_string();
            assert!(
                error.contains("is no key or switch of Linux; allowed: KEY_"),
                "{error}"
            );
        }
    }

    #[test]
    fn keys_of_a_usb_handset_are_keys_of_the_phone() {
        // EV_KEY 1; EV_MSC 4 and EV_SYN 0 come along; 2 repeats; 30 is KEY_A, which means nothing here.
        let told = play(
            &[
                (0, 4, 4, 0x7001e),
                (0, 1, 2, 1),
                (0, 0, 0, 0),
                (20, 1, 2, 2),
                (30, 1, 30, 1),
                (40, 1, 2, 0),
                (50, 1, 522, 1),
                (60, 1, 522, 0),
            ],
            100,
        );
        let expected = [
            "Key { key: Digit(1), action: Pressed }",
            "Key { key: Digit(1), action: Released }",
            "Key { key: Star, action: Pressed }",
            "Key { key: Star, action: Released }",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_hook_flashes_and_lies_down_as_a_switch_does() {
        let told = play(
            &[
                (10, 1, 169, 1),
                (1000, 1, 169, 0),
                (1200, 1, 169, 1),
                (3000, 1, 169, 0),
            ],
            5000,
        );
        assert_eq!(told, ["Hook(Lifted)", "HookFlash", "Hook(Resting)"]);
    }

    #[test]
    fn a_long_press_is_made_from_a_held_key() {
        let told = play(&[(0, 1, 248, 1), (900, 1, 248, 0)], 1000);
        let actions = ["Pressed", "LongPressed", "Released"];
        assert_eq!(
            told,
            actions.map(|action| format!("Key {{ key: Mute, action: {action} }}"))
        );
    }

    #[test]
    fn a_device_that_is_not_there_is_told() {
        let reason = find("no such handset").err().unwrap();
        assert!(
            reason.contains("input device \"no such handset\""),
            "{reason}"
        );
    }
}
