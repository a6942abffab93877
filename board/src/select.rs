//! Which board it is: by name, by file, or by what the machine says.

use std::path::Path;

use crate::check::{self, File};
use crate::{Board, BoardError};

macro_rules! builtin {
    ($folder:literal: $($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../", $folder, "/", $name, ".toml")))),*]
    };
}

/// The boards that come with the phone: name and text of the file.
const BOARDS: [(&str, &str); 7] = builtin!(
    "boards": "desktop", "qemu-raspi3b", "qemu-virt", "rpi-3b", "rpi-4b", "rpi-5", "rpi-zero-2w",
);

/// The sound variants that come with the phone.
const SOUNDS: [(&str, &str); 3] = builtin!("sounds": "loopback", "usb", "wm8960");

/// The board for a machine without a device tree, such as a PC.
const WITHOUT_DEVICE_TREE: &str = "desktop";

/// The kernel's argument that names a board where the device tree does not tell: emulated machines.
const KERNEL_ARGUMENT: &str = "offhook.board=";

/// What a machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The device tree's model; none on a PC.
    pub model: Option<String>,
    /// The board that the kernel's command line names (`offhook.board=NAME`).
    pub named: Option<String>,
}

impl Machine {
    /// The machine this runs on.
    pub fn this() -> Self {
        let model = std::fs::read("/proc/device-tree/model").unwrap_or_default();
        let arguments = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        Self::of(&model, &arguments)
    }

    fn of(model: &[u8], arguments: &str) -> Self {
        let model = String::from_utf8_lossy(model);
        let model = model.trim_end_matches('\0').trim();
        let named = arguments
            .split_whitespace()
            .find_map(|argument| argument.strip_prefix(KERNEL_ARGUMENT));
        Self {
            model: (!model.is_empty()).then(|| model.to_owned()),
            named: named.filter(|name| !name.is_empty()).map(Into::into),
        }
    }
}

impl Board {
    /// The names of the boards that come with the phone.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        BOARDS.iter().map(|(name, _)| *name)
    }

    /// The names of the sound variants that come with the phone.
    pub fn sound_names() -> impl ExactSizeIterator<Item = &'static str> {
        SOUNDS.iter().map(|(name, _)| *name)
    }

    /// The board of that name that comes with the phone, `NAME` or `NAME+SOUND`.
    pub fn builtin(name: &str) -> Result<Self, BoardError> {
        let (board, sound) = split(name);
        let Some((board, text)) = BOARDS.iter().find(|(known, _)| *known == board) else {
            return Err(BoardError::Unknown {
                name: name.chars().take(80).collect(),
                known: known(),
            });
        };
        Self::parse_with(text, &format!("{board}.toml"), sound)
    }

    /// Reads a board from the text of a board file. `file_name` is for the error messages.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, BoardError> {
        Self::parse_with(text, file_name, None)
    }

    /// As [`Board::parse`], with another sound variant than the file says.
    pub fn parse_with(
        text: &str,
        file_name: &str,
        sound: Option<&str>,
    ) -> Result<Self, BoardError> {
        let file = File {
            text,
            name: file_name,
        };
        if let Some(name) = sound {
            let text = sound_text(name).ok_or_else(|| BoardError::UnknownSound {
                name: name.chars().take(80).collect(),
                known: sounds(),
            })?;
            let name = format!("{name}.toml");
            return check::board(file, Some(File { text, name: &name }));
        }
        let Some((name, at)) = check::sound_named_by(file)? else {
            return check::board(file, None);
        };
        let unknown = || {
            let what = format!("sound is {name:?}");
            file.source()
                .invalid(&at, what, format!("{}, or sections [audio...]", sounds()))
        };
        let text = sound_text(&name).ok_or_else(unknown)?;
        let name = format!("{name}.toml");
        check::board(file, Some(File { text, name: &name }))
    }

    /// The board whose device-tree model `model` begins with, the longest if there are several.
    pub fn detect(model: &str) -> Option<Self> {
        // A broken built-in board cannot be detected; a test parses them all.
        let boards = Self::names().filter_map(|name| Self::builtin(name).ok());
        boards
            .filter(|board| board.detect)
            .filter_map(|board| board.fit(model).map(|fit| (fit, board)))
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, board)| board)
    }

    /// What the configuration names: `auto`, a board's name, or a path to a board file (it has a
    /// `/` or ends in `.toml`); each with `+SOUND` for another sound variant.
    pub fn select(name: &str, machine: &Machine) -> Result<Self, BoardError> {
        let (board, sound) = split(name);
        if board.contains('/') || board.ends_with(".toml") {
            return Self::read_with(Path::new(board), sound);
        }
        if board != "auto" {
            return Self::builtin(name);
        }
        let of_machine = match (&machine.named, &machine.model) {
            (Some(named), _) => Self::builtin(named)?,
            (None, None) => Self::builtin(WITHOUT_DEVICE_TREE)?,
            (None, Some(model)) => {
                Self::detect(model).ok_or_else(|| BoardError::UnknownHardware {
                    model: model.into(),
                    known: known(),
                })?
            }
        };
        match sound {
            None => Ok(of_machine),
            Some(sound) => Self::builtin(&format!("{}+{sound}", of_machine.name)),
        }
    }

    /// Reads a board file.
    pub fn read(path: &Path) -> Result<Self, BoardError> {
        Self::read_with(path, None)
    }

    /// That the board is made for this machine, which matters when its hardware is to be opened.
    pub fn check_machine(&self, machine: &Machine) -> Result<(), BoardError> {
        let fits = match &machine.model {
            _ if self.device_tree_models.is_empty() || self.is_virtual() => true,
            Some(model) => self.fit(model).is_some(),
            None => false,
        };
        if fits {
            return Ok(());
        }
        Err(BoardError::WrongHardware {
            board: self.name.clone(),
            made_for: self.device_tree_models.join("\" or \""),
            machine: machine.model.as_ref().map_or_else(
                || "a machine without a device tree, such as a PC".to_owned(),
                |model| format!("\"{model}\""),
            ),
        })
    }

    fn read_with(path: &Path, sound: Option<&str>) -> Result<Self, BoardError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse_with(&text, &file, sound),
            Err(source) => Err(BoardError::Read { file, source }),
        }
    }

    /// How many bytes of `model` one of this board's models covers.
    fn fit(&self, model: &str) -> Option<usize> {
        self.device_tree_models
            .iter()
            .filter(|known| model.starts_with(known.as_str()))
            .map(String::len)
            .max()
    }
}

/// Board and sound variant of `BOARD+SOUND`. A `+` in a folder's name is none.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('+') {
        Some((board, sound)) if !sound.contains('/') && !sound.ends_with(".toml") => {
            (board, Some(sound))
        }
        _ => (name, None),
    }
}

fn sound_text(name: &str) -> Option<&'static str> {
    let found = SOUNDS.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

fn known() -> String {
    Board::names().collect::<Vec<_>>().join(", ")
}

fn sounds() -> String {
    Board::sound_names().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(model: &str) -> Machine {
        Machine::of(model.as_bytes(), "quiet")
    }

    fn files(folder: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        files
    }

    #[test]
    fn every_board_that_comes_along_is_right_with_every_sound() {
        for name in Board::names() {
            assert_eq!(Board::builtin(name).unwrap().name, name);
            for sound in Board::sound_names() {
                let board = Board::builtin(&format!("{name}+{sound}")).unwrap();
                assert_eq!(
                    (board.name.as_str(), board.sound.as_deref()),
                    (name, Some(sound))
                );
            }
        }
    }

    #[test]
    fn every_file_comes_along() {
        let toml = |name: &str| format!("{name}.toml");
        assert_eq!(
            files("boards"),
            Board::names().map(toml).collect::<Vec<_>>()
        );
        assert_eq!(
            files("sounds"),
            Board::sound_names().map(toml).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_device_tree_names_the_board() {
        for (model, expected) in [
            ("Raspberry Pi 4 Model B Rev 1.4", Some("rpi-4b")),
            ("Raspberry Pi 3 Model B Rev 1.2", Some("rpi-3b")),
            ("Raspberry Pi 3 Model B Plus Rev 1.3", Some("rpi-3b")),
            ("Raspberry Pi Zero 2 W Rev 1.0", Some("rpi-zero-2w")),
            ("Raspberry Pi 5 Model B Rev 1.0", Some("rpi-5")),
            ("linux,dummy-virt", Some("qemu-virt")),
            ("Raspberry Pi 4", None),
            ("", None),
        ] {
            let name = Board::detect(model).map(|board| board.name);
            assert_eq!(name.as_deref(), expected, "{model}");
        }
    }

    #[test]
    fn auto_a_name_or_a_file_selects_a_board() {
        let check = |name: &str, machine: &Machine, expected: (&str, Option<&str>)| {
            let board = Board::select(name, machine).unwrap();
            assert_eq!(
                (board.name.as_str(), board.sound.as_deref()),
                expected,
                "{name}"
            );
        };
        let pi = machine("Raspberry Pi 4 Model B Rev 1.1\0");
        check("auto", &Machine::default(), ("desktop", None));
        check("auto", &pi, ("rpi-4b", Some("wm8960")));
        check("auto+usb", &pi, ("rpi-4b", Some("usb")));
        check("desktop", &pi, ("desktop", None));
        check("rpi-3b+usb", &Machine::default(), ("rpi-3b", Some("usb")));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/rpi-4b.toml");
        let file = file.to_str().unwrap();
        check(file, &Machine::default(), ("rpi-4b", Some("wm8960")));
        check(&format!("{file}+usb"), &pi, ("rpi-4b", Some("usb")));
        // The emulated Raspberry Pi calls itself a real one: the kernel's argument tells them apart.
        let emulated = Machine::of(
            b"Raspberry Pi 3 Model B Rev 1.2\0",
            "console=ttyAMA0 offhook.board=qemu-raspi3b rw",
        );
        check("auto", &emulated, ("qemu-raspi3b", Some("loopback")));
    }

    #[test]
    fn a_board_for_other_hardware_is_refused() {
        let board = Board::builtin("rpi-4b").unwrap();
        assert!(
            board
                .check_machine(&machine("Raspberry Pi 4 Model B Rev 1.5"))
                .is_ok()
        );
        for (other, expected) in [
            (
                machine("Raspberry Pi 5 Model B Rev 1.0"),
                "board rpi-4b is for \"Raspberry Pi 4 Model B\", this is \"Raspberry Pi 5 Model B Rev 1.0\"",
            ),
            (
                Machine::default(),
                "this is a machine without a device tree, such as a PC: set [board] name",
            ),
        ] {
            let error = board.check_machine(&other).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let desktop = Board::builtin("desktop").unwrap();
        assert!(desktop.check_machine(&machine("Raspberry Pi 5")).is_ok());
    }

    #[test]
    fn what_cannot_be_selected_is_said_in_words() {
        let check = |name, machine: &Machine, expected: &str| {
            let error = Board::select(name, machine).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let pc = Machine::default();
        check(
            "rpi-9",
            &pc,
            "there is no board \"rpi-9\"; allowed: auto, desktop, qemu-raspi3b,",
        );
        check(
            "rpi-4b+tin",
            &pc,
            "there is no sound variant \"tin\"; allowed: loopback, usb, wm8960",
        );
        check(
            "auto",
            &machine("Toaster"),
            "no board is made for this hardware, \"Toaster\"; name one of desktop, qemu-raspi3b,",
        );
        check(
            "no/such.toml",
            &pc,
            "no/such.toml: the board file cannot be read: No such file",
        );
        check("such.toml", &pc, "such.toml: the board file cannot be read");
    }
}
