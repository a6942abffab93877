//! A device-tree overlay that gives a board's keypad and hook switch to the kernel (gpio-matrix-keypad, gpio-keys), for
//! whoever wants them as input devices.

use std::fmt::Write;

use offhook_board::{Board, HookWiring, KeypadWiring, Level};
use offhook_hal::Key;
use offhook_hal::front::InputCode;
use offhook_hal::gpio::Pull;

/// None for a board whose keys are no matrix on a header.
pub(crate) fn of(board: &Board) -> Option<String> {
    board.header?;
    let KeypadWiring::Matrix(matrix) = &board.keypad.wiring else {
        return None;
    };
    let HookWiring::Switch { line, lifted, pull } = board.hook.wiring else {
        return None;
    };
    let mut keymap = String::new();
    for (row, keys) in matrix.keys.iter().enumerate() {
        for (column, key) in keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let InputCode::Key(code) = linux(*key).parse().expect("Linux has it") else {
                unreachable!("a key is no switch")
            };
            let entry = (row as u32) << 24 | (column as u32) << 16 | u32::from(code);
            let _ = write!(
                keymap,
                "\n\t\t\t\t\t{entry:#010x} /* {key}: {} */",
                linux(*key)
            );
        }
    }
    // GPIO_ACTIVE_LOW 1, GPIO_PULL_UP 16, GPIO_PULL_DOWN 32 (dt-bindings/gpio/gpio.h).
    let gpios = |lines: &[u32]| {
        let each: Vec<String> = lines
            .iter()
            .map(|line| format!("<&gpio {line} 0x11>"))
            .collect();
        each.join(", ")
    };
    let pull = match pull {
        Pull::Up => 0x10,
        Pull::Down => 0x20,
        Pull::None => 0,
    };
    let flags = pull | u32::from(lifted == Level::Low);
    let (rows, columns) = (gpios(&matrix.row_lines), gpios(&matrix.column_lines));
    let key_debounce = board.keypad.debounce.as_millis();
    let hook_debounce = board.hook.timing.debounce.as_millis();
    let settle = matrix.settle.as_micros();
    let InputCode::Key(hook) = "KEY_PHONE".parse().expect("Linux has it") else {
        unreachable!("a key is no switch")
    };
    Some(format!(
        "/dts-v1/;
/plugin/;
/*
 * Drawn from board/boards/{name}.toml by board/tests/drawn. Gives the keypad and the hook switch to the
 * kernel, as the input devices \"offhook-keypad\" and \"offhook-hook\"; the board file then says
 * wiring = \"input_device\" for both.
 */
/ {{
	compatible = \"brcm,bcm2835\";

	fragment@0 {{
		target-path = \"/\";
		__overlay__ {{
			offhook-keypad {{
				compatible = \"gpio-matrix-keypad\";
				row-gpios = {rows};
				col-gpios = {columns};
				debounce-delay-ms = <{key_debounce}>;
				col-scan-delay-us = <{settle}>;
				linux,no-autorepeat;
				linux,keymap = <{keymap}
				>;
			}};

			offhook-hook {{
				compatible = \"gpio-keys\";

				handset-lifted {{
					label = \"handset lifted\";
					gpios = <&gpio {line} {flags:#x}>;
					linux,code = <{hook}>; /* KEY_PHONE */
					debounce-interval = <{hook_debounce}>;
				}};
			}};
		}};
	}};
}};
",
        name = board.name
    ))
}

/// What Linux calls a key of the phone.
fn linux(key: Key) -> String {
    let name = match key {
        Key::Digit(digit) => return format!("KEY_{digit}"),
        Key::Line(line) => return format!("KEY_F{line}"),
        Key::Soft(soft) => return format!("KEY_PROG{soft}"),
        Key::Star => "KEY_NUMERIC_STAR",
        Key::Hash => "KEY_NUMERIC_POUND",
        Key::Hold => "KEY_PAUSE",
        Key::Mute => "KEY_MICMUTE",
        Key::Transfer => "KEY_SEND",
        Key::Conference => "KEY_CONNECT",
        Key::Speaker => "KEY_SOUND",
        Key::Headset => "KEY_MEDIA",
        Key::Redial => "KEY_REDO",
        Key::VolumeUp => "KEY_VOLUMEUP",
        Key::VolumeDown => "KEY_VOLUMEDOWN",
        Key::Up => "KEY_UP",
        Key::Down => "KEY_DOWN",
        Key::Ok => "KEY_OK",
        Key::Back => "KEY_BACK",
    };
    name.into()
}
