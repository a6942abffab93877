//! The card that the emulated machine starts from, and updates for it.

use offhook_cloudsim::Simulator;
use offhook_cloudsim::spec::SimUser;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where `cross/image qemu-virt` puts its things.
pub fn images() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target
        .map_or_else(|| repository().join("target"), PathBuf::from)
        .join("cross/image/qemu-virt")
}

pub fn image() -> PathBuf {
    let image = images().join("offhook-qemu-virt.img");
    assert!(
        image.exists(),
        "{} is missing: run cross/image qemu-virt",
        image.display()
    );
    image
}

/// A copy that takes no more room than what is written on it.
pub async fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--sparse=always").args([from, to])).await;
}

/// Puts onto the card's boot partition what a person would: configuration, CA, token.
pub async fn provision(card: &Path, sim: &Simulator, user: &SimUser, dir: &Path) {
    let from = dir.join("offhook");
    std::fs::create_dir(&from).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(from.join(name), text).expect("a file");
    write("ca.pem", sim.ca_pem());
    write("token", &user.token);
    write(
        "offhook.toml",
        &format!(
            "[cloud]\nenvironment = \"{}\"\nstreaming = \"{}\"\nca_file = \"/etc/offhook/ca.pem\"\n\
             token_file = \"/etc/offhook/token\"\n[phone]\ninter_digit_timeout_ms = 20000\n[log]\nlevel = \"info\"\n",
            sim.rest_url(),
            sim.streaming_url()
        ),
    );
    // The boot partition is the first one, 4 MiB from the start (cross/partitions).
    let partition = format!("{}@@4M", card.display());
    run(Command::new("mcopy")
        .args(["-s", "-i", &partition])
        .arg(&from)
        .arg("::/"))
    .await;
}

/// Runs a program that must succeed.
async fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().await;
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// What is wrong with the system of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is the image's own.
    None,
    /// It is mounted and started, and that is the end of it.
    Hangs,
    /// It runs, and its phone never does. It is judged after half a minute, not after a quarter of an hour.
    NoPhone,
}

impl Fault {
    /// For debugfs(8); `dir` has the files.
    fn commands(self, dir: &Path) -> Option<String> {
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        match self {
            Self::None => None,
            Self::Hangs => {
                let hangs = file("hangs", "#!/bin/sh\nwhile :; do sleep 60; done\n");
                Some(format!(
                    "rm /usr/lib/systemd/systemd\nwrite {hangs} /usr/lib/systemd/systemd\n\
                     set_inode_field /usr/lib/systemd/systemd mode 0100755\n"
                ))
            }
            Self::NoPhone => {
                let soon = file("soon", "[Timer]\nOnBootSec=\nOnBootSec=30s\n");
                let units = "/usr/lib/systemd/system/offhook-judge.timer.d";
                Some(format!(
                    "rm /usr/bin/offhook\nsymlink /usr/bin/offhook false\n\
                     mkdir {units}\nwrite {soon} {units}/soon.conf\n"
                ))
            }
        }
    }
}

/// A signed update with the image's own system, or with one that is no good; made once.
pub async fn bundle(dir: &Path, fault: Fault) -> PathBuf {
    let out = dir.join(format!("{fault:?}.raucb"));
    if out.exists() {
        return out;
    }
    let root = dir.join("root.ext4");
    run(Command::new("cp")
        .arg("--sparse=always")
        .args([&images().join("root.ext4"), &root]))
    .await;
    if let Some(commands) = fault.commands(dir) {
        let file = dir.join("commands");
        std::fs::write(&file, commands).expect("a file");
        run(Command::new("debugfs")
            .args(["-w", "-f"])
            .args([&file, &root]))
        .await;
    }
    run(Command::new(repository().join("cross/bundle"))
        .arg("qemu-virt")
        .args([&out, &root])
        .env("OFFHOOK_COMPRESSION", "1"))
    .await;
    out
}

/// The same update with one byte of its system changed, which its signature does not show before that is read: the
/// signature is of the hashes of blocks.
pub fn damaged(update: &Path) -> PathBuf {
    let mut bytes = std::fs::read(update).expect("the update");
    let at = bytes.len() / 8;
    bytes[at] ^= 1;
    let out = update.with_extension("damaged.raucb");
    std::fs::write(&out, bytes).expect("a file");
    out
}

/// Gives a file to whoever asks; where that is for the guest.
pub async fn serve(file: PathBuf) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("its number").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|n| n > 2) {
                line.clear();
            }
            let body = std::fs::read(&file).expect("the file");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            // A client that goes away asks again, or fails the test.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    });
    format!("http://10.0.2.2:{port}/update.raucb")
}
