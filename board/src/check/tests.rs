//! Board files that are wrong, as data: what to change in a good one, and what is said about it.

use std::sync::LazyLock;

use offhook_hal::audio::{CaptureSpec, PlaybackSpec};
use offhook_hal::gpio::Pull;
use offhook_hal::hook::FlashWindow;
use offhook_hal::virtual_board::VirtualPanel;
use proptest::prelude::*;

use super::*;
use crate::{Controller, HookWiring, I2c, KeypadWiring, LampWiring, Level};

mod audio;
mod hardware;

/// The reference board with its sound written out.
static GOOD: LazyLock<String> = LazyLock::new(|| {
    let board = include_str!("../../boards/rpi-4b.toml").replace("sound = \"wm8960\"\n", "");
    let sound = include_str!("../../sounds/wm8960.toml");
    let audio = &sound[sound.find("# The codec is stereo").expect("it is there")..];
    board.replace("[budgets]", &format!("{audio}\n[budgets]"))
});

/// The good board with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the board file");
    GOOD.replacen(from, to, 1)
}

/// The line of the good board that holds `needle`, from 1.
fn line_of(needle: &str) -> usize {
    1 + GOOD
        .lines()
        .position(|line| line.contains(needle))
        .expect("it is there")
}

/// Says about the good board with `from` replaced by `to`: `expected`, at the line where `at` is.
#[track_caller]
fn refused(from: &str, to: &str, at: &str, expected: &str) {
    let error = Board::parse(&changed(from, to), "b.toml").expect_err(to);
    let expected = format!("b.toml:{}: {expected}", line_of(at));
    assert!(
        error.to_string().contains(&expected),
        "{error}\n  expected {expected}"
    );
}

#[test]
fn the_reference_board_is_what_its_file_says() {
    let board = Board::builtin("rpi-4b").unwrap();
    assert!(!board.is_virtual());
    let KeypadWiring::Matrix(matrix) = &board.keypad.wiring else {
        panic!("no matrix")
    };
    assert_eq!((matrix.row_lines.len(), matrix.column_lines.len()), (5, 6));
    assert_eq!(matrix.keys[3][0], Some(offhook_hal::Key::Star));
    assert_eq!(board.keypad.debounce.as_millis(), 5);
    assert_eq!(
        board.hook.wiring,
        HookWiring::Switch {
            line: 4,
            lifted: Level::Low,
            pull: Pull::Up,
        }
    );
    assert_eq!(board.hook.timing.flash, None);
    assert_eq!(board.lamps.len(), 5);
    assert_eq!(
        board.lamps[0].wiring,
        LampWiring::Pin {
            line: 7,
            lit: Level::High
        }
    );
    let i2c = I2c {
        bus: 1,
        address: 0x3c,
    };
    assert_eq!(board.display.controller, Controller::Ssd1306(i2c));
    let pcm = "plughw:CARD=wm8960soundcard,DEV=0";
    assert_eq!(board.audio.handset.capture, CaptureSpec::Alsa(pcm.into()));
    assert_eq!(board.audio.handset.playback, PlaybackSpec::Alsa(pcm.into()));
    assert!(board.audio.headset.is_some());
}

#[test]
fn a_board_says_how_much_effort_encoding_may_be() {
    let with = |line: &str| changed("[gpio]", &format!("{line}\n[gpio]"));
    let complexity = |text: &str| Board::parse(text, "b").unwrap().opus_complexity;
    assert_eq!(complexity(&GOOD), 5);
    assert_eq!(complexity(&with("opus_complexity = 0")), 0);
    assert_eq!(complexity(&with("opus_complexity = 10")), 10);
    refused(
        "[gpio]",
        "opus_complexity = 11\n[gpio]",
        "[gpio]",
        "opus_complexity is 11; allowed: 0 to 10",
    );
    for (name, low) in [
        ("qemu-virt", true),
        ("qemu-raspi3b", true),
        ("rpi-zero-2w", false),
    ] {
        assert_eq!(
            Board::builtin(name).unwrap().opus_complexity < 5,
            low,
            "{name}"
        );
    }
}

#[test]
fn the_desktop_board_makes_a_panel() {
    let board = Board::builtin("desktop").unwrap();
    assert!(board.is_virtual());
    assert_eq!(board.gpio, None);
    assert!(board.front().is_empty() && board.screen().is_none());
    let panel = VirtualPanel::new(&board.panel_config(), |_| {}).unwrap();
    assert_eq!(panel.lamps().len(), 8);
}

#[test]
fn keys_that_do_not_exist_or_are_missing_are_named() {
    refused(
        "ram_mib = 35",
        "ram_mb = 35",
        "ram_mib",
        "unknown field `ram_mb`, expected `ram_mib` or `startup_ms`",
    );
    refused("ram_mib = 35\n", "", "[budgets]", "missing field `ram_mib`");
    refused(
        "[hook]",
        "[hooks]",
        "[hook]",
        "unknown field `hooks`, expected one of",
    );
    refused(
        "lit_level = \"high\" }\nmute",
        "lit = 1 }\nmute",
        "message =",
        "unknown field `lit`",
    );
    refused(
        "wiring = \"switch\"",
        "wiring = \"wire\"",
        "wiring = \"switch\"",
        "unknown variant `wire`, expected one of `virtual`, `switch`, `input_device`",
    );
    refused(
        "line = 4\n",
        "line = \"4\"\n",
        "line = 4",
        "invalid type: string \"4\", expected u32",
    );
    refused(
        "line = 4\n",
        "line = -4\n",
        "line = 4",
        "invalid value: integer `-4`, expected u32",
    );
    refused("debounce_ms = 20", "debounce_ms = ", "debounce_ms = 20", "");
}

#[test]
fn a_line_used_twice_names_both_uses() {
    refused(
        "line = 4\n",
        "line = 26\n",
        "line = 4",
        &format!(
            "GPIO line 26 is used twice: by the hook switch here, and by keypad row 5 in line {}; allowed: one use",
            line_of("row_lines")
        ),
    );
    refused(
        "line = 7,",
        "line = 2,",
        "line = 7",
        "GPIO line 2 is used twice: by lamp \"message\" here, and by i2c1 (SDA) in line",
    );
    refused(
        "[5, 6, 13",
        "[5, 5, 13",
        "row_lines",
        "GPIO line 5 is used twice: by keypad row 2 here, and by keypad row 1",
    );
    refused(
        "[12, 22",
        "[16, 22",
        "column_lines",
        "GPIO line 16 is used twice: by keypad column 1 here, and by keypad row 4",
    );
}

#[test]
fn lines_need_a_chip() {
    let start = GOOD.find("[gpio]").unwrap();
    let end = GOOD.find("# Columns are driven").unwrap();
    let text = format!("{}{}", &GOOD[..start], &GOOD[end..]);
    let error = Board::parse(&text, "b.toml").unwrap_err().to_string();
    assert!(error.contains("keypad row 1 is wired to a GPIO line, but the board names no GPIO chip; allowed: a section [gpio]"), "{error}");
}

#[test]
fn wrong_numbers_say_what_is_allowed() {
    refused(
        "line = 4\n",
        "line = 1024\n",
        "line = 4",
        "the hook switch is GPIO line 1024; allowed: 2 to 27, the lines of the 40-pin header",
    );
    refused(
        "debounce_ms = 5\n",
        "debounce_ms = 101\n",
        "debounce_ms = 5",
        "keypad.debounce_ms is 101; allowed: 0 to 100",
    );
    refused(
        "long_press_ms = 800",
        "long_press_ms = 0",
        "long_press_ms",
        "keypad.long_press_ms is 0; allowed: 200 to 5000",
    );
    refused(
        "debounce_ms = 20",
        "debounce_ms = 201",
        "debounce_ms = 20",
        "hook.debounce_ms is 201; allowed: 0 to 200",
    );
    refused(
        "width_px = 128",
        "width_px = 321",
        "width_px",
        "display.width_px is 321; allowed: 1 to 320",
    );
    refused(
        "height_px = 64",
        "height_px = 0",
        "height_px",
        "display.height_px is 0; allowed: 1 to 240",
    );
    refused(
        "0x3c",
        "0x80",
        "i2c_address",
        "display.i2c_address is 128; allowed: 8 to 119",
    );
    refused(
        "period_frames = 480",
        "period_frames = 2401",
        "period_frames",
        "period_frames is 2401; allowed: 96 to 2400",
    );
    refused(
        "buffer_frames = 1920",
        "buffer_frames = 960",
        "buffer_frames",
        "buffer_frames is 960; allowed: 1920 to 9600",
    );
    refused(
        "startup_ms = 2000",
        "startup_ms = 1",
        "startup_ms",
        "startup_ms is 1; allowed: 100 to 120000",
    );
    refused(
        "settle_us = 5",
        "settle_us = 20000",
        "settle_us",
        "keypad.settle_us is 20000; allowed: 0 to 10000",
    );
    refused(
        "max_db = 0.0",
        "max_db = -50.0",
        "max_db = 0.0",
        "max_db is -50, and min_db is -40; allowed: more than min_db",
    );
    refused(
        "min_db = -40.0",
        "min_db = -400.0",
        "min_db = -40.0",
        "min_db is -400; allowed: -120 to 60",
    );
    refused(
        "min_db = -40.0",
        "min_db = nan",
        "min_db = -40.0",
        "min_db is NaN; allowed: -120 to 60",
    );
}

#[test]
fn wrong_names_say_what_is_allowed() {
    refused(
        "\"rpi-4b\"",
        "\"RPi 4\"",
        "name =",
        "name is \"RPi 4\"; allowed: 1 to 32 of a-z, 0-9 and -",
    );
    refused("\"rpi-4b\"", "\"auto\"", "name =", "name is \"auto\"");
    refused(
        "\"Raspberry Pi 4 Model B\"]",
        "\"\"]",
        "device_tree_models",
        "a device-tree model is \"\"; allowed: one line",
    );
    refused(
        "\"hold\"",
        "\"park\"",
        "\"hold\"",
        "keypad label \"park\" is no key; allowed: 0 to 9, *, #, hold",
    );
    refused(
        "\"hold\"",
        "\"1\"",
        "\"hold\"",
        &format!(
            "key \"1\" is on the keypad twice, the first time in line {}",
            line_of("\"hold\"")
        ),
    );
    refused(
        "mute = {",
        "moot = {",
        "mute = {",
        "\"moot\" is no lamp; allowed: message, mute",
    );
    refused(
        "capture = \"alsa:",
        "capture = \"hw:",
        "capture = \"alsa",
        "capture is \"hw:plughw:CARD=wm8960soundcard,DEV=0\"; allowed: alsa:NAME, wav:FILE, silence",
    );
    refused(
        "\"/dev/i2c-1\"",
        "\"a\\nb\"",
        "bus_device",
        "display.bus_device is \"a\\nb\"; allowed: such as \"/dev/i2c-1\"",
    );
}

#[test]
fn the_matrix_must_be_a_matrix() {
    refused(
        ", \"hold\"]",
        "]",
        "\"hold\"",
        "this row of keypad.labels has 5 labels for 6 column lines; allowed: one list per row",
    );
    refused(
        "[5, 6, 13, 16, 26]",
        "[5, 6, 13, 16]",
        "labels =",
        "keypad.labels has 5 rows for 4 row lines",
    );
    refused(
        "[5, 6, 13, 16, 26]",
        "[]",
        "row_lines",
        "keypad.row_lines has 0 lines; allowed: 1 to 8",
    );
    refused(
        "row_lines = [5, 6, 13, 16, 26]\n",
        "",
        "[keypad]",
        "keypad.row_lines is missing, which wiring = \"matrix\" needs; allowed: a list of GPIO lines",
    );
    let start = GOOD.find("labels = [").unwrap();
    let end = GOOD.find("# No diodes").unwrap();
    let empty = format!(
        "labels = [{}]\n",
        "[\"\", \"\", \"\", \"\", \"\", \"\"],".repeat(5)
    );
    refused(
        &GOOD[start..end],
        &empty,
        "labels = [",
        "keypad.labels names no key",
    );
}

#[test]
fn keys_must_fit_the_wiring() {
    refused(
        "wiring = \"matrix\"",
        "wiring = \"virtual\"",
        "row_lines",
        "keypad.row_lines means nothing with wiring = \"virtual\"",
    );
    refused(
        "wiring = \"switch\"",
        "wiring = \"virtual\"",
        "line = 4",
        "hook.line means nothing with wiring = \"virtual\"",
    );
    refused(
        "line = 4\n",
        "",
        "[hook]",
        "hook.line is missing, which wiring = \"switch\" needs",
    );
    refused(
        "lifted_level = \"low\"\n",
        "",
        "[hook]",
        "hook.lifted_level is missing",
    );
    refused(
        "message = { wiring = \"pin\", line = 7,",
        "message = { wiring = \"pin\",",
        "message =",
        "lamps.message.line is missing, which wiring = \"pin\" needs",
    );
    refused(
        "\"ssd1306\"",
        "\"virtual\"",
        "i2c_address",
        "display.i2c_address means nothing with controller = \"virtual\"",
    );
    refused(
        "i2c_address = 0x3c\n",
        "",
        "[display]",
        "display.i2c_address is missing, which controller = \"ssd1306\" needs",
    );
    refused(
        "\"ssd1306\"",
        "\"st7789\"",
        "i2c_address",
        "display.i2c_address means nothing with controller = \"st7789\"",
    );
    refused(
        "mixer_card = \"hw:CARD=wm8960soundcard\"\n",
        "",
        "mixer_card",
        "a mixer element is named, but no mixer_card",
    );
}

#[test]
fn a_flash_window_has_two_ends() {
    let hook = "debounce_ms = 20\n";
    let with = |more: &str| changed(hook, &format!("{hook}{more}"));
    let board = Board::parse(&with("flash_min_ms = 100\nflash_max_ms = 800\n"), "b").unwrap();
    let millis = Duration::from_millis;
    assert_eq!(
        board.hook.timing.flash,
        Some(FlashWindow {
            min: millis(100),
            max: millis(800)
        })
    );
    for (more, expected) in [
        (
            "flash_min_ms = 100\n",
            "only one of hook.flash_min_ms and hook.flash_max_ms",
        ),
        (
            "flash_min_ms = 500\nflash_max_ms = 400\n",
            "hook.flash_max_ms is 400; allowed: 501 to 2000",
        ),
    ] {
        let error = Board::parse(&with(more), "b").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn errors_at_the_end_of_the_file_have_a_line() {
    for text in [
        "",
        "\n\n",
        "name = \"x\"",
        "name =",
        "=\n",
        "[a",
        "\u{feff}",
        "a = \"\u{0}\"",
    ] {
        let error = Board::parse(text, "b.toml").unwrap_err();
        assert!(error.to_string().starts_with("b.toml:"), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Board::parse(&text, "b.toml");
    }

    /// Cuts, doubles and overwrites pieces of a good board: gets deeper than noise does.
    #[test]
    fn damaged_boards_never_panic(
        damage in prop::collection::vec((0..GOOD.len(), 0_usize..40, "[ -~\n]{0,8}|[0-9]{1,12}|\"\"|é"), 1..4)
    ) {
        let mut text = GOOD.to_string();
        for (at, cut, insert) in damage {
            let mut at = at.min(text.len());
            let mut end = (at + cut).min(text.len());
            while !text.is_char_boundary(at) { at -= 1; }
            while !text.is_char_boundary(end) { end += 1; }
            text.replace_range(at..end, &insert);
        }
        if let Err(error) = Board::parse(&text, "b.toml") {
            prop_assert!(error.to_string().starts_with("b.toml:"));
        }
    }
}
