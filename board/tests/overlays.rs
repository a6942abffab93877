//! Every device-tree overlay compiles, without a warning, applies to its boards, and does there what it is for.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use offhook_board::{Board, Controller, KeypadWiring};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program of the package device-tree-compiler.
fn run(command: &mut Command) -> Output {
    let output = command.output();
    output.expect("dtc runs: install the package device-tree-compiler")
}

/// Compiles `source` to `compiled`, and returns what dtc finds wrong.
fn compile(source: &Path, compiled: &Path) -> String {
    let output = run(Command::new("dtc")
        .args(["-@", "-I", "dts", "-O", "dtb", "-o"])
        .args([compiled, source]));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {words}", source.display());
    words
}

#[test]
fn every_overlay_compiles_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("overlay");
    let mut count = 0;
    for entry in std::fs::read_dir(here("overlays")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(compile(&path, &compiled), "", "{}", path.display());
        // The magic number of a flattened device tree (Devicetree Specification 0.4, section 5.2).
        assert_eq!(
            std::fs::read(&compiled).unwrap()[..4],
            0xd00d_feed_u32.to_be_bytes(),
            "{}",
            path.display()
        );
        count += 1;
    }
    assert!(count >= 5, "only {count} overlays were found");
}

/// A board's device tree, with overlays.
struct Tree {
    folder: tempfile::TempDir,
    soc: &'static str,
    is_pi_5: bool,
}

impl Tree {
    fn new(is_pi_5: bool, overlays: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        let base = if is_pi_5 { "rpi-5" } else { "rpi-4b" };
        compile(&here(&format!("tests/trees/{base}.dts")), &tree);
        for overlay in overlays {
            let compiled = folder.path().join(overlay);
            compile(&here(&format!("overlays/{overlay}.dts")), &compiled);
            let output = run(Command::new("fdtoverlay")
                .arg("-i")
                .arg(&tree)
                .arg("-o")
                .args([&tree, &compiled]));
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{overlay} on {base}: {words}");
        }
        Self {
            folder,
            soc: if is_pi_5 { "/rp1" } else { "/soc" },
            is_pi_5,
        }
    }

    /// The node of a bus: of a Raspberry Pi 4, or of a 5.
    fn bus(&self, of_4: &str, of_5: &str) -> String {
        format!("{}/{}", self.soc, if self.is_pi_5 { of_5 } else { of_4 })
    }

    /// A property's words, or its numbers in hexadecimal.
    fn get(&self, kind: &str, node: &str, property: &str) -> String {
        let output = run(Command::new("fdtget")
            .args(["-t", kind])
            .arg(self.folder.path().join("tree"))
            .args([node, property]));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{node} {property}: {words}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn text(&self, node: &str, property: &str) -> String {
        self.get("s", node, property)
    }

    fn numbers(&self, node: &str, property: &str) -> Vec<u32> {
        let numbers = self.get("x", node, property);
        let numbers = numbers.split(' ');
        numbers
            .map(|number| u32::from_str_radix(number, 16).unwrap())
            .collect()
    }

    fn has_codec(&self) {
        let (i2c, i2s, gpio) = (
            self.bus("i2c@7e804000", "i2c@74000"),
            self.bus("i2s@7e203000", "i2s@a4000"),
            self.bus("gpio@7e200000", "gpio@d0000"),
        );
        let codec = format!("{i2c}/wm8960@1a");
        assert_eq!(self.text(&codec, "compatible"), "wlf,wm8960");
        assert_eq!(self.numbers(&codec, "reg"), [0x1a]);
        assert_eq!(self.text(&i2c, "status"), "okay");
        assert_eq!(self.text(&i2s, "status"), "okay");
        let pins = format!("{gpio}/offhook-i2s-pins");
        assert_eq!(
            self.numbers(&i2s, "pinctrl-0"),
            self.numbers(&pins, "phandle")
        );
        if self.is_pi_5 {
            assert_eq!(self.text(&pins, "pins"), "gpio18 gpio19 gpio20 gpio21");
        } else {
            assert_eq!(self.numbers(&pins, "brcm,pins"), [18, 19, 20, 21]);
            // Without its channels there is no card: a Pi 4's own tree in Debian's kernel names none.
            assert_eq!(self.text(&i2s, "dma-names"), "tx rx");
            let dma = self.numbers("/soc/dma-controller@7e007000", "phandle")[0];
            assert_eq!(self.numbers(&i2s, "dmas"), [dma, 2, dma, 3]);
        }
        let clock = self.numbers("/offhook-mclk", "clock-frequency");
        assert_eq!(clock, [12_288_000]);
        assert_eq!(
            self.numbers(&codec, "clocks"),
            self.numbers("/offhook-mclk", "phandle")
        );
        // The name that board/sounds/wm8960.toml expects, and both ends of the sound.
        let card = "/offhook-sound";
        assert_eq!(self.text(card, "simple-audio-card,name"), "wm8960soundcard");
        for (end, is) in [("cpu", &i2s), ("codec", &codec)] {
            let end = format!("{card}/simple-audio-card,{end}");
            let phandle = self.numbers(is, "phandle");
            assert_eq!(self.numbers(&end, "sound-dai"), phandle, "{end}");
        }
    }
}

/// The names that a card's config.txt gives a board (cross/lib.sh; yocto/check holds the Yocto layer against them).
fn overlays_of(board: &str) -> Vec<String> {
    let output = Command::new("bash")
        .args(["-c", ". ../cross/lib.sh; overlays_of \"$0\"", board])
        .current_dir(here("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

/// The Pi's firmware says nothing of an overlay that does not apply: the display is slow, or there is no sound card.
#[test]
fn a_boards_overlays_apply_and_give_it_its_display_and_codec() {
    let mut with_overlays = 0;
    for name in Board::names() {
        let board = Board::builtin(name).unwrap();
        let names = overlays_of(name);
        if names.is_empty() {
            assert!(!name.starts_with("rpi-"), "{name} has none");
            continue;
        }
        with_overlays += 1;
        let chip = &board.gpio.as_ref().unwrap().chip;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tree = Tree::new(chip == "pinctrl-rp1", &names);
        if matches!(
            board.display.controller,
            Controller::Ssd1306(_) | Controller::Sh1106(_)
        ) {
            let i2c = tree.bus("i2c@7e804000", "i2c@74000");
            assert_eq!(tree.numbers(&i2c, "clock-frequency"), [400_000], "{name}");
            assert_eq!(tree.text(&i2c, "status"), "okay", "{name}");
        }
        if board.sound.as_deref() == Some("wm8960") {
            tree.has_codec();
        }
    }
    assert!(with_overlays >= 4, "only {with_overlays} boards");
}

#[test]
fn the_spi_display_gets_its_device_on_every_board() {
    for is_pi_5 in [false, true] {
        let overlay = if is_pi_5 {
            "offhook-spi-display-rpi5"
        } else {
            "offhook-spi-display"
        };
        let tree = Tree::new(is_pi_5, &[overlay]);
        let spi = tree.bus("spi@7e204000", "spi@50000");
        assert_eq!(tree.text(&spi, "status"), "okay");
        if is_pi_5 {
            continue;
        }
        let device = format!("{spi}/offhook-display@0");
        assert_eq!(tree.text(&device, "compatible"), "rohm,dh2228fv");
        assert_eq!(tree.numbers(&device, "reg"), [0]);
        assert_eq!(tree.numbers(&device, "spi-max-frequency"), [62_500_000]);
        // Debian's trees give the bus no pins, or to somebody else: the display would stay dark.
        let gpio = "/soc/gpio@7e200000";
        assert_eq!(tree.text(gpio, "pinctrl-0"), "");
        let [data, select] = ["spi", "spi-cs"].map(|pins| format!("{gpio}/offhook-{pins}-pins"));
        assert_eq!(tree.numbers(&data, "brcm,pins"), [9, 10, 11]);
        assert_eq!(tree.numbers(&select, "brcm,pins"), [8, 7]);
        let phandle = |node: &str| tree.numbers(node, "phandle")[0];
        let pins = [phandle(&data), phandle(&select)];
        assert_eq!(tree.numbers(&spi, "pinctrl-0"), pins);
        let gpio = phandle(gpio);
        assert_eq!(tree.numbers(&spi, "cs-gpios"), [gpio, 8, 1, gpio, 7, 1]);
    }
}

#[test]
fn the_keys_overlay_gives_the_kernel_the_reference_boards_lines() {
    let tree = Tree::new(false, &["rpi-4b-keys"]);
    let board = Board::builtin("rpi-4b").unwrap();
    let KeypadWiring::Matrix(matrix) = &board.keypad.wiring else {
        panic!("it has a matrix")
    };
    let keypad = "/offhook-keypad";
    assert_eq!(tree.text(keypad, "compatible"), "gpio-matrix-keypad");
    let gpio = tree.numbers("/soc/gpio@7e200000", "phandle")[0];
    for (property, lines) in [
        ("row-gpios", &matrix.row_lines),
        ("col-gpios", &matrix.column_lines),
    ] {
        let found = tree.numbers(keypad, property);
        let expected: Vec<u32> = lines.iter().flat_map(|line| [gpio, *line, 0x11]).collect();
        assert_eq!(found, expected, "{property}");
    }
    let keys = matrix.keys.iter().flatten().flatten().count();
    assert_eq!(tree.numbers(keypad, "linux,keymap").len(), keys);
    let lifted = "/offhook-hook/handset-lifted";
    assert_eq!(tree.numbers(lifted, "gpios"), [gpio, 4, 0x11]);
}
