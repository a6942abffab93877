//! From a board to what the hardware's back ends want.

use offhook_hal::front::{
    FrontSpec, HookSpec, InputDevicePart, InputHook, LampSpec, LinesPart, MatrixSpec,
};
use offhook_hal::keypad::{KeypadConfig, Labels};
use offhook_hal::screen::{ScreenController, ScreenSpec};

use crate::{Board, BoardLamp, Controller, HookWiring, KeypadWiring, LampWiring, Level, Matrix};

impl Board {
    /// Keypad, hook switch and lamps, as far as they are no part of a virtual panel.
    pub fn front(&self) -> FrontSpec {
        let keypad = match &self.keypad.wiring {
            KeypadWiring::Matrix(matrix) => Some(self.matrix(matrix)),
            KeypadWiring::Virtual | KeypadWiring::InputDevice { .. } => None,
        };
        let hook = match self.hook.wiring {
            HookWiring::Switch { line, lifted, pull } => Some(HookSpec {
                line,
                lifted_is_high: lifted == Level::High,
                pull,
                timing: self.hook.timing,
            }),
            HookWiring::Virtual | HookWiring::InputDevice { .. } => None,
        };
        let lamps: Vec<LampSpec> = self.lamps.iter().filter_map(lamp).collect();
        let used = keypad.is_some() || hook.is_some() || !lamps.is_empty();
        let lines = self.gpio.clone().filter(|_| used).map(|gpio| LinesPart {
            gpio,
            keypad,
            hook,
            lamps,
        });
        FrontSpec {
            lines,
            devices: self.input_devices(),
        }
    }

    /// The display, unless it is a virtual panel's.
    pub fn screen(&self) -> Option<ScreenSpec> {
        let controller = match &self.display.controller {
            Controller::Virtual => return None,
            Controller::Ssd1306(i2c) => ScreenController::Ssd1306 {
                bus: i2c.bus,
                address: i2c.address,
            },
            Controller::Sh1106(i2c) => ScreenController::Sh1106 {
                bus: i2c.bus,
                address: i2c.address,
            },
            Controller::St7789(spi) => ScreenController::St7789 {
                bus: spi.bus,
                select: spi.select,
                clock_hz: spi.clock_hz,
                // Its lines are on a chip: the board was checked.
                gpio: self.gpio.clone()?,
                data_command_line: spi.data_command_line,
                reset_line: spi.reset_line,
                backlight_line: spi.backlight_line,
                offset: spi.offset_px.into(),
            },
        };
        Some(ScreenSpec {
            size: self.display.size(),
            controller,
        })
    }

    fn matrix(&self, matrix: &Matrix) -> MatrixSpec {
        let mut labels = Labels::default();
        for (labels, keys) in labels.iter_mut().zip(&matrix.keys) {
            for (label, key) in labels.iter_mut().zip(keys) {
                *label = *key;
            }
        }
        MatrixSpec {
            row_lines: matrix.row_lines.clone(),
            column_lines: matrix.column_lines.clone(),
            settle: matrix.settle,
            config: KeypadConfig {
                labels,
                diodes: matrix.diodes,
                debounce: self.keypad.debounce,
                timing: self.keypad.timing,
            },
        }
    }

    /// Keys and hook of one device are one part: it can be kept from other programs only once.
    fn input_devices(&self) -> Vec<InputDevicePart> {
        let part = |device: &String| InputDevicePart {
            device: device.clone(),
            keys: Vec::new(),
            timing: self.keypad.timing,
            hook: None,
        };
        let mut parts = Vec::new();
        if let KeypadWiring::InputDevice { device, keys } = &self.keypad.wiring {
            parts.push(InputDevicePart {
                keys: keys.clone(),
                ..part(device)
            });
        }
        if let HookWiring::InputDevice {
            device,
            code,
            lifted_is_on,
        } = &self.hook.wiring
        {
            let hook = InputHook {
                code: *code,
                lifted_is_on: *lifted_is_on,
                timing: self.hook.timing,
            };
            match parts.iter_mut().find(|part| part.device == *device) {
                Some(shared) => shared.hook = Some(hook),
                None => parts.push(InputDevicePart {
                    hook: Some(hook),
                    ..part(device)
                }),
            }
        }
        parts
    }
}

fn lamp(lamp: &BoardLamp) -> Option<LampSpec> {
    match lamp.wiring {
        LampWiring::Virtual => None,
        LampWiring::Pin { line, lit } => Some(LampSpec {
            lamp: lamp.lamp,
            line,
            lit_is_high: lit == Level::High,
        }),
    }
}
