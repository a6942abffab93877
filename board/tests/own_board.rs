//! "Make your own board", as the README says it: a file in a folder, named by its path, and no Rust.

use std::path::Path;

use offhook_board::{Board, Machine};
use offhook_hal::Key;

/// The example of the README's page.
fn example() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let page = readme
        .split_once("## Make your own board")
        .expect("the page is there")
        .1;
    let code = page.split_once("```toml\n").expect("it has an example").1;
    code.split_once("```").expect("which ends").0.to_owned()
}

#[test]
fn the_readmes_own_board_works_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reception.toml");
    std::fs::write(&file, example()).unwrap();
    let path = file.to_str().unwrap();
    let machine = Machine {
        model: Some("Raspberry Pi 4 Model B Rev 1.5".into()),
        named: None,
    };
    let board = Board::select(path, &machine).unwrap();
    board.check_machine(&machine).unwrap();
    assert_eq!(
        (board.name.as_str(), board.sound.as_deref()),
        ("reception", Some("usb"))
    );
    let lines = board.front().lines.expect("its keys are on lines");
    let keypad = lines.keypad.expect("it has a keypad");
    assert_eq!(keypad.config.labels[3][2], Some(Key::Hash));
    assert!(board.screen().is_some());
    let codec = Board::select(&format!("{path}+wm8960"), &machine);
    assert_eq!(codec.unwrap().sound.as_deref(), Some("wm8960"));
}

#[test]
fn a_mistake_in_it_is_told_with_its_path_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reception.toml");
    std::fs::write(&file, example().replace("line = 4\n", "line = 5\n")).unwrap();
    let error = Board::read(&file).unwrap_err().to_string();
    let line = 1 + example()
        .lines()
        .position(|line| line == "line = 4")
        .unwrap();
    let expected = format!(
        "{}:{line}: GPIO line 5 is used twice: by the hook switch here, and by keypad row 1",
        file.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}
