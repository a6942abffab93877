//! Which board it is: by name, by file, or by what the device tree says.

use std::path::Path;

use crate::{Board, BoardError};

/// The boards that come with the phone: name and text of the file.
const BUILTIN: [(&str, &str); 2] = [
    ("desktop", include_str!("../boards/desktop.toml")),
    ("rpi-4b", include_str!("../boards/rpi-4b.toml")),
];

/// The board for a machine without a device tree, such as a PC.
const WITHOUT_DEVICE_TREE: &str = "desktop";

impl Board {
    /// The names of the boards that come with the phone.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        BUILTIN.iter().map(|(name, _)| *name)
    }

    /// The board of that name that comes with the phone.
    pub fn builtin(name: &str) -> Result<Self, BoardError> {
        let Some((name, text)) = BUILTIN.iter().find(|(known, _)| *known == name) else {
            return Err(BoardError::Unknown {
                name: name.chars().take(80).collect(),
                known: known(),
            });
        };
        Self::parse(text, &format!("{name}.toml"))
    }

    /// The board whose device-tree model `model` begins with, the longest if there are several.
    pub fn detect(model: &str) -> Option<Self> {
        // A broken built-in board cannot be detected; a test parses them all.
        let boards = Self::names().filter_map(|name| Self::builtin(name).ok());
        boards
            .filter_map(|board| board.fit(model).map(|fit| (fit, board)))
            .max_by_key(|(fit, _)| *fit)
            .map(|(_, board)| board)
    }

    /// What the configuration names: `auto`, a board's name, or a path to a board file (it has a
    /// `/` or ends in `.toml`). For `auto`, `model` is the device tree's model if there is one.
    pub fn select(name: &str, model: Option<&str>) -> Result<Self, BoardError> {
        if name.contains('/')
            || Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            return Self::read(Path::new(name));
        }
        match (name, model) {
            ("auto", None) => Self::builtin(WITHOUT_DEVICE_TREE),
            ("auto", Some(model)) => {
                Self::detect(model).ok_or_else(|| BoardError::UnknownHardware {
                    model: model.into(),
                    known: known(),
                })
            }
            (name, _) => Self::builtin(name),
        }
    }

    /// Reads a board file.
    pub fn read(path: &Path) -> Result<Self, BoardError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
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

/// The model string of the device tree this system was booted with; none on a PC.
pub fn device_tree_model() -> Option<String> {
    let bytes = std::fs::read("/proc/device-tree/model").ok()?;
    let model = String::from_utf8_lossy(&bytes);
    let model = model.trim_end_matches('\0').trim();
    (!model.is_empty()).then(|| model.to_string())
}

fn known() -> String {
    Board::names().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_that_comes_along_is_right_and_named_like_its_file() {
        for name in Board::names() {
            assert_eq!(Board::builtin(name).unwrap().name, name);
        }
    }

    #[test]
    fn every_board_file_comes_along() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names: Vec<String> = Board::names().map(|name| format!("{name}.toml")).collect();
        assert_eq!(files, names);
    }

    #[test]
    fn the_device_tree_names_the_board() {
        let name = |model| Board::detect(model).map(|board| board.name);
        assert_eq!(
            name("Raspberry Pi 4 Model B Rev 1.4").as_deref(),
            Some("rpi-4b")
        );
        assert_eq!(name("Raspberry Pi 4"), None);
        assert_eq!(name("linux,dummy-virt"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn auto_a_name_or_a_file_selects_a_board() {
        let name = |select, model| Board::select(select, model).map(|board| board.name);
        assert_eq!(name("auto", None).unwrap(), "desktop");
        assert_eq!(
            name("auto", Some("Raspberry Pi 4 Model B Rev 1.1")).unwrap(),
            "rpi-4b"
        );
        assert_eq!(
            name("desktop", Some("Raspberry Pi 4 Model B Rev 1.1")).unwrap(),
            "desktop"
        );
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/rpi-4b.toml");
        assert_eq!(name(file.to_str().unwrap(), None).unwrap(), "rpi-4b");
    }

    #[test]
    fn what_cannot_be_selected_is_said_in_words() {
        let check = |name, model, expected: &str| {
            let error = Board::select(name, model).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "rpi-9",
            None,
            "there is no board \"rpi-9\"; allowed: auto, desktop, rpi-4b, or a path",
        );
        check(
            "auto",
            Some("Toaster"),
            "no board is made for this hardware, \"Toaster\"; name one of desktop, rpi-4b",
        );
        check(
            "no/such.toml",
            None,
            "no/such.toml: the board file cannot be read: No such file",
        );
        check(
            "such.toml",
            None,
            "such.toml: the board file cannot be read",
        );
    }
}
