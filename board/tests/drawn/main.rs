//! What is drawn from the boards: wiring tables in the README, a picture of each header, and a device-tree overlay that
//! gives the keys to the kernel. The committed files must be what the boards say; `OFFHOOK_BLESS=1 cargo test -p
//! offhook-board --test drawn` writes them anew.

mod overlay;
mod picture;
mod table;

use std::path::{Path, PathBuf};

use offhook_board::Board;

const BEGIN: &str = "<!-- Drawn from the boards by board/tests/drawn: OFFHOOK_BLESS=1 cargo test -p offhook-board --test drawn -->\n";
const END: &str = "<!-- End of what is drawn. -->\n";

/// Boards with the same wiring are drawn once; the first one's name stands for them.
fn groups() -> Vec<Vec<Board>> {
    let mut groups: Vec<Vec<Board>> = Vec::new();
    for name in Board::names() {
        let board = Board::builtin(name).expect("it is right");
        if board.gpio.is_none() {
            continue;
        }
        let same = |group: &&mut Vec<Board>| {
            group
                .iter()
                .all(|other| other.wires == board.wires && other.header == board.header)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(board),
            None => groups.push(vec![board]),
        }
    }
    // The reference board first, and for its group.
    for group in &mut groups {
        group.sort_by_key(|board| board.name != "rpi-4b");
    }
    groups.sort_by_key(|group| group[0].name != "rpi-4b");
    groups
}

/// Every drawn file, below the crate's folder, as it has to be.
fn files(readme: &str) -> Vec<(PathBuf, String)> {
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("the README has the first mark");
    let (_, after) = rest
        .split_once(END)
        .expect("the README has the second mark");
    let mut drawn = String::new();
    let mut files = Vec::new();
    for group in groups() {
        drawn.push_str(&table::of(&group));
        let board = &group[0];
        // Nobody solders to an emulated board.
        if !board.detect {
            continue;
        }
        if let Some(picture) = picture::of(board) {
            let name = format!("wiring/{}.svg", board.name);
            drawn.push_str(&["![The header of ", &board.name, "](", &name, ")\n\n"].concat());
            files.push((name.into(), picture));
        }
        if let Some(overlay) = overlay::of(board) {
            files.push((format!("overlays/{}-keys.dts", board.name).into(), overlay));
        }
    }
    files.push((
        "README.md".into(),
        format!("{before}{BEGIN}\n{drawn}{END}{after}"),
    ));
    files
}

#[test]
fn what_is_drawn_is_what_the_boards_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let bless = std::env::var_os("OFFHOOK_BLESS").is_some();
    let mut drawn = Vec::new();
    for (name, text) in files(&readme) {
        let path = folder.join(&name);
        if bless {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not what the boards say; draw it anew: OFFHOOK_BLESS=1 cargo test -p offhook-board --test drawn",
            path.display()
        );
        drawn.push(name);
    }
    // Nothing is left over from a board that is gone.
    for (below, ending) in [("wiring", ".svg"), ("overlays", "-keys.dts")] {
        for entry in std::fs::read_dir(folder.join(below)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = Path::new(below).join(name);
            let is_drawn = name.to_string_lossy().ends_with(ending);
            assert!(
                !is_drawn || drawn.contains(&name),
                "{} belongs to no board",
                name.display()
            );
        }
    }
}
