//! `cross/flash` on a block device of the kernel's (a loop device), of which a made-up `/sys` says what kind of disk it is.

use crate::bad_input::is_root;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Bytes of the card; the image has fewer.
const CARD: usize = 8 << 20;

/// A card in its reader.
struct Card {
    dir: tempfile::TempDir,
    device: String,
    /// What `/sys/block` says of it.
    says: PathBuf,
}

impl Card {
    /// A removable one with something on it; none where there are no loop devices.
    fn new() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let content = dir.path().join("content");
        std::fs::write(&content, vec![0x55; CARD]).expect("written");
        let mut losetup = Command::new("losetup");
        let losetup = losetup.args(["--find", "--show"]).arg(&content);
        let device = String::from_utf8(losetup.output().expect("losetup").stdout).expect("text");
        let device = device.trim().to_owned();
        if device.is_empty() {
            eprintln!("SKIPPED: the kernel has no loop devices");
            return None;
        }
        let says = dir.path().join("sys/block").join(&device["/dev/".len()..]);
        std::fs::create_dir_all(says.join("device")).expect("made");
        let card = Self { dir, device, says };
        card.says("removable", "1");
        card.says("ro", "0");
        card.says("size", &(CARD / 512).to_string());
        Some(card)
    }

    fn says(&self, file: &str, text: &str) {
        let file = self.says.join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(file, format!("{text}\n")).expect("written");
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.dir.path().join(name);
        std::fs::write(&file, content).expect("written");
        file
    }

    fn flash(&self, image: &Path, device: &str) -> Output {
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cross/flash"))
            .env("OFFHOOK_SYS", self.dir.path().join("sys"))
            .arg(image)
            .args([device, "--yes"])
            .output()
            .expect("cross/flash")
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(&self.device).expect("readable")
    }

    /// Refused in these words, and the card is as it was.
    fn refuses(&self, image: &Path, words: &str) {
        let output = self.flash(image, &self.device);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert!(
            self.content().iter().all(|byte| *byte == 0x55),
            "{words}: written"
        );
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .args(["--detach", &self.device])
            .status();
    }
}

/// Bytes that are nowhere the same.
fn image() -> Vec<u8> {
    (0..CARD as u32 / 8)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[test]
fn what_is_no_card_or_is_in_use_is_refused_and_left_alone() {
    let Some(card) = Card::new() else { return };
    let image = card.file("image", &image());

    let output = card.flash(&image, "/dev/null");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/null is no disk"));

    card.says("removable", "0");
    card.refuses(&image, "not a removable disk; nothing was written");
    card.says("device/type", "SD");
    card.says("ro", "1");
    card.refuses(&image, "write-protected");
    card.says("ro", "0");
    card.says("size", "100");
    card.refuses(&image, "the card 51200");
    card.says("size", &(CARD / 512).to_string());
    card.says("card1/holders/dm-0/dev", "253:0");
    card.refuses(&image, "held by dm-0");
    std::fs::remove_dir_all(card.says.join("card1")).expect("removed");
    std::fs::rename(&card.says, card.dir.path().join("elsewhere")).expect("renamed");
    card.refuses(&image, "a part of a disk");
}

#[test]
fn a_card_smaller_than_it_says_is_told() {
    let Some(card) = Card::new() else { return };
    let image = card.file("image", &vec![0x66; CARD + CARD / 2]);
    card.says("size", &(2 * CARD / 512).to_string());
    let output = card.flash(&image, &card.device);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("writing failed"),
        "{said}"
    );
}

#[test]
fn a_mounted_card_is_refused() {
    let Some(card) = Card::new() else { return };
    let image = card.file("image", &image());
    let made = Command::new("mke2fs").args(["-q", &card.device]).output();
    assert!(made.expect("mke2fs").status.success());
    // In a namespace of its own, so that nothing stays mounted whatever happens.
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-ec",
            "mount \"$1\" /mnt; \"$0\" \"$2\" \"$1\" --yes",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../cross/flash"))
        .arg(&card.device)
        .arg(&image)
        .env("OFFHOOK_SYS", card.dir.path().join("sys"))
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is in use at /mnt"), "{said}");
}

#[test]
fn an_image_is_written_and_read_back_compressed_or_not() {
    let Some(card) = Card::new() else { return };
    let bytes = image();
    let image = card.file("card.img", &bytes);
    let compressed = card.dir.path().join("card.img.zst");
    let mut zstd = Command::new("zstd");
    zstd.arg("-q").arg(&image).arg("-o").arg(&compressed);
    assert!(zstd.status().expect("zstd").success());
    for image in [image, compressed] {
        let mut before = vec![0x55; CARD];
        std::fs::write(&card.device, &before).expect("written");
        let output = card.flash(&image, &card.device);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        before[..bytes.len()].copy_from_slice(&bytes);
        assert!(card.content() == before, "{} is not on it", image.display());
    }
}
