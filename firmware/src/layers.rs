//! Imports point downwards: a folder names only those below it.

use std::path::{Path, PathBuf};

/// The folders, from the user's finger to the wire.
const LAYERS: [&str; 8] = [
    "runtime",
    "panel",
    "phone",
    "softphone",
    "genesys",
    "media",
    "audio",
    "device",
];

/// Where the rule is broken, and why that is so: a speed dial is configuration, and a call's parameters are the cloud's.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("device/dialing.rs", "genesys"),
    ("device/dialing.rs", "softphone"),
];

#[test]
fn imports_point_downwards() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut upward = Vec::new();
    for (depth, layer) in LAYERS.iter().enumerate() {
        let mut files = vec![source.join(format!("{layer}.rs"))];
        files_of(&source.join(layer), &mut files);
        for file in files {
            // One of the two ways to name a module is not there.
            let Ok(text) = std::fs::read_to_string(&file) else {
                continue;
            };
            let name = file.strip_prefix(&source).expect("in it");
            let name = name.to_str().expect("ASCII");
            for above in &LAYERS[..depth] {
                let names = text.contains(&format!("crate::{above}::"))
                    || text.contains(&format!("use crate::{above};"));
                if names && !EXCEPTIONS.contains(&(name, above)) {
                    upward.push(format!("{name} names {above}"));
                }
            }
        }
    }
    assert_eq!(upward, Vec::<String>::new());
    for (name, above) in EXCEPTIONS {
        let text = std::fs::read_to_string(source.join(name)).expect(name);
        assert!(
            text.contains(&format!("crate::{above}::")),
            "{name} is no exception any more"
        );
    }
}

fn files_of(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
