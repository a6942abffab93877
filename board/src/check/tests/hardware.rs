//! Displays, header, sound variants and input devices: what may be wired where.

use super::*;

#[test]
fn an_st7789_display_is_wired_by_spi() {
    let start = GOOD.find("[display]").unwrap();
    let end = GOOD.find("# The codec is stereo").unwrap();
    let display = "[display]\ncontroller = \"st7789\"\nwidth_px = 320\nheight_px = 240\n\
        bus_device = \"/dev/spidev0.1\"\nclock_hz = 62500000\ndata_command_line = 14\nreset_line = 15\n";
    let text = changed(&GOOD[start..end], display);
    // The lamps make way for the bus.
    let lamps = text.find("message =").unwrap()..text.find("[display]").unwrap();
    let mut text = text.clone();
    text.replace_range(lamps, "");
    let error = Board::parse(&text.replace(", \"uart0\"", ""), "b")
        .unwrap_err()
        .to_string();
    let expected =
        "/dev/spidev0.1 has no lines of the header; allowed: \"spi0\" among gpio.functions";
    assert!(error.contains(expected), "{error}");
    let text = text.replace("\"uart0\"", "\"spi0\"");
    let board = Board::parse(&text, "b").unwrap();
    let Controller::St7789(spi) = &board.display.controller else {
        panic!("no ST7789")
    };
    assert_eq!((spi.bus, spi.select), (0, 1));
    assert_eq!(
        (spi.data_command_line, spi.reset_line, spi.backlight_line),
        (14, Some(15), None)
    );
    assert!(board.screen().is_some());
    assert_eq!(spi.offset_px, [0, 0]);
    // A small glass, upright at column 52 and row 40 of the controller's memory.
    let size = "width_px = 320\nheight_px = 240\n";
    let small = |offset: &str| {
        let small = format!("width_px = 240\nheight_px = 135\noffset_px = {offset}\n");
        Board::parse(&text.replace(size, &small), "b")
    };
    let Controller::St7789(spi) = small("[52, 40]").unwrap().display.controller else {
        panic!("no ST7789")
    };
    assert_eq!(spi.offset_px, [52, 40]);
    for (offset, expected) in [
        ("[106, 40]", "display.offset_px is 106; allowed: 0 to 105"),
        ("[52, 81]", "display.offset_px is 81; allowed: 0 to 80"),
        (
            "[52]",
            "b:44: invalid length 1, expected an array of length 2",
        ),
    ] {
        let error = small(offset).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let twice = text.replace("reset_line = 15", "reset_line = 14");
    let error = Board::parse(&twice, "b").unwrap_err().to_string();
    assert!(error.contains("GPIO line 14 is used twice: by the display's data/command here, and by the display's reset"), "{error}");
}

#[test]
fn what_the_header_gives_away_is_no_gpio_line() {
    refused(
        "\"uart0\"]",
        "\"i2c0\"]",
        "functions =",
        "the header has no function \"i2c0\"; allowed: i2c1, i2s, spi0, uart0",
    );
    refused(
        "\"uart0\"]",
        "\"spi0\"]",
        "line1 =",
        "GPIO line 10 is used twice: by lamp \"line1\" here, and by spi0 (MOSI) in line",
    );
    refused(
        "[\"i2c1\", ",
        "[",
        "bus_device",
        "/dev/i2c-1 has no lines of the header; allowed: \"i2c1\" among gpio.functions",
    );
    refused(
        "header = \"rpi-40\"\n",
        "\n",
        "functions =",
        "functions are of a header, and the board names none",
    );
    refused(
        "line = 4\n",
        "line = 1\n",
        "line = 4",
        "the hook switch is GPIO line 1; allowed: 2 to 27",
    );
    refused(
        "width_px = 128",
        "width_px = 100",
        "width_px",
        "controller = \"ssd1306\" has no size of 100 x 64; allowed: 128 x 64, 128 x 32,",
    );
}

#[test]
fn a_sound_variant_takes_its_lines_too() {
    let with_variant = |text: &str| {
        let text = include_str!("../../../boards/rpi-4b.toml").replace("line = 7,", text);
        Board::parse(&text, "b.toml")
    };
    let error = with_variant("line = 18,").unwrap_err().to_string();
    let expected =
        "GPIO line 18 is used twice: by lamp \"message\" here, and by i2s (clock) in wm8960.toml:";
    assert!(error.contains(expected), "{error}");
    let text = include_str!("../../../boards/rpi-4b.toml").replace("line = 7,", "line = 18,");
    let board = Board::parse_with(&text, "b.toml", Some("usb")).unwrap();
    assert_eq!(board.sound.as_deref(), Some("usb"));
    let text = GOOD.replace("[gpio]", "sound = \"usb\"\n[gpio]");
    let error = Board::parse(&text, "b.toml").unwrap_err().to_string();
    assert!(
        error.contains(
            "sound is \"usb\", and there are sections [audio...] as well; allowed: one of both"
        ),
        "{error}"
    );
    let text = include_str!("../../../boards/rpi-4b.toml").replace("\"wm8960\"", "\"tin\"");
    let error = Board::parse(&text, "b.toml").unwrap_err().to_string();
    assert!(
        error.contains("sound is \"tin\"; allowed: loopback, usb, wm8960, or sections [audio...]"),
        "{error}"
    );
}

#[test]
fn keys_and_hook_may_be_an_input_devices() {
    let start = GOOD.find("[keypad]").unwrap();
    let end = GOOD.find("[lamps]").unwrap();
    let device = "[keypad]\nwiring = \"input_device\"\ndevice = \"Acme Handset\"\ndebounce_ms = 0\n\
        long_press_ms = 800\nkeys = { KEY_1 = \"1\", KEY_MICMUTE = \"mute\" }\n\
        [hook]\nwiring = \"input_device\"\ndevice = \"Acme Handset\"\ncode = \"KEY_PHONE\"\n\
        lifted_when = \"on\"\ndebounce_ms = 0\n";
    let good = changed(&GOOD[start..end], device);
    let front = Board::parse(&good, "b").unwrap().front();
    let [part] = &front.devices[..] else {
        panic!("keys and hook of one device are one part: {front:?}")
    };
    assert_eq!((part.device.as_str(), part.keys.len()), ("Acme Handset", 2));
    assert!(part.hook.is_some_and(|hook| hook.lifted_is_on));
    for (from, to, expected) in [
        (
            "KEY_1 =",
            "KEY_ONE =",
            "\"KEY_ONE\" is no key or switch of Linux; allowed: KEY_...",
        ),
        ("\"mute\" }", "\"1\" }", "key \"1\" is on the keypad twice"),
        (
            "keys = {",
            "keys = {} #",
            "keypad.keys names no key; allowed: a table",
        ),
        (
            "keys = {",
            "#",
            "keypad.keys is missing, which wiring = \"input_device\" needs",
        ),
        ("code = \"KEY_PHONE\"\n", "", "hook.code is missing"),
        (
            "lifted_when = \"on\"",
            "lifted_when = \"high\"",
            "unknown variant `high`",
        ),
        (
            "lifted_when",
            "pull = \"up\"\nlifted_when",
            "hook.pull means nothing with wiring",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Board::parse(&good.replacen(from, to, 1), "b")
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_hardware_gets_what_the_file_says() {
    let board = Board::builtin("rpi-4b").unwrap();
    let lines = board.front().lines.expect("it has lines");
    assert_eq!(lines.gpio.chip, "pinctrl-bcm2711");
    let keypad = lines.keypad.expect("it has a keypad");
    assert_eq!(keypad.row_lines, [5, 6, 13, 16, 26]);
    assert_eq!(keypad.config.labels[3][0], Some(offhook_hal::Key::Star));
    assert!(
        lines
            .hook
            .is_some_and(|hook| hook.line == 4 && !hook.lifted_is_high)
    );
    assert_eq!(lines.lamps.len(), 5);
    let emulated = Board::builtin("qemu-raspi3b").unwrap();
    assert!(
        emulated
            .front()
            .lines
            .is_some_and(|lines| !lines.gpio.edges)
    );
    assert!(emulated.screen().is_none() && emulated.audio.handset.echo_cancelling.is_none());
}
