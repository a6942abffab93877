//! Every device-tree overlay compiles, without a warning.

use std::path::Path;
use std::process::Command;

#[test]
fn every_overlay_compiles_without_a_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlays");
    let mut compiled = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new("dtc")
            .args(["-@", "-I", "dts", "-O", "dtb", "-o", "-"])
            .arg(&path)
            .output()
            .expect("dtc runs: install the package device-tree-compiler");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && words.is_empty(),
            "{}: {words}",
            path.display()
        );
        // The magic number of a flattened device tree (Devicetree Specification 0.4, section 5.2).
        assert_eq!(
            output.stdout[..4],
            0xd00d_feed_u32.to_be_bytes(),
            "{}",
            path.display()
        );
        compiled += 1;
    }
    assert!(compiled >= 5, "only {compiled} overlays were found");
}
