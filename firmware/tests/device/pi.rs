//! A Raspberry Pi's devices where there are none: files and pipes in a folder, and `kernel.c` between the phone and the
//! kernel.

use crate::bad_input::is_root;
use crate::process::command;
use crate::service::Systemd;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

#[path = "../../../hal/src/screen/drivers/oled.rs"]
mod oled;

/// What the reference phone says it is.
const PI_4: &str = "Raspberry Pi 4 Model B Rev 1.5";
pub const SILENT: &str = "[audio]\ncapture = \"silence\"\nplayback = \"discard\"\n";

/// The machine; what it has is in `dev`.
pub struct Pi {
    folder: TempDir,
    pub systemd: Systemd,
}

impl Pi {
    /// With a display on I2C, and nothing else. `None` where nobody may give a program devices of its own.
    pub fn new() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/device/kernel.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"])
            .arg("-o")
            .arg(folder.path().join("kernel.so"))
            .args([source, "-ldl"])
            .output()
            .expect("a C compiler is installed");
        assert!(built.status.success(), "{built:?}");
        std::fs::create_dir_all(folder.path().join("dev/input")).expect("a folder");
        let systemd = Systemd::new(folder.path());
        let pi = Self { folder, systemd };
        pi.write(".model", PI_4.as_bytes());
        pi.write("i2c-1", b"");
        Some(pi)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `/dev/NAME` of the machine.
    pub fn dev(&self, name: &str) -> PathBuf {
        self.path().join("dev").join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.dev(name), content).expect("written");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.dev(name)).expect("removed");
    }

    pub fn make_pipe(&self, name: &str) {
        let made = Command::new("mkfifo").arg(self.dev(name)).status();
        assert!(made.expect("mkfifo").success());
    }

    /// What lies in a pipe that the phone holds open.
    pub fn feed(&self, name: &str, bytes: &[u8]) {
        // For reading too: opening waits for nobody then.
        let pipe = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.dev(name));
        pipe.expect("a pipe").write_all(bytes).expect("room");
    }

    /// A configuration with this `[board] name`, and `more`; returns the phone's command.
    pub fn phone(&self, board: &str, more: &str) -> Command {
        let phone = command(self.path(), more);
        let file = self.path().join("offhook.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        std::fs::write(&file, text.replace("\"desktop\"", &format!("{board:?}"))).expect("written");
        let mut command = self.here(phone.get_program());
        command.args(phone.get_args());
        command
    }

    /// `offhook VERB...` with that configuration.
    pub fn offhook(&self, verb: &[&str]) -> Command {
        let mut command = self.here(env!("CARGO_BIN_EXE_offhook").as_ref());
        let config = self.path().join("offhook.toml");
        command.args(verb).arg("--config").arg(config);
        command
    }

    /// `program` on this machine.
    fn here(&self, program: &std::ffi::OsStr) -> Command {
        let folder = self.path().display();
        let prepare = format!(
            "for node in null zero random urandom; do\n\
               touch {folder}/dev/$node\n\
               mount --bind /dev/$node {folder}/dev/$node\n\
             done\n\
             mount --rbind {folder}/dev /dev\n\
             export LD_PRELOAD={folder}/kernel.so NOTIFY_SOCKET={folder}/notify\n\
             exec \"$0\" \"$@\""
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec"]).arg(prepare).arg(program);
        command
    }

    /// What the display shows, `#` for lit; nothing while it is off.
    pub fn picture(&self) -> Option<Vec<String>> {
        let heard = std::fs::read(self.dev("i2c-1")).expect("the bus");
        let mut oled = oled::Oled::new(0);
        let mut rest = heard.as_slice();
        while let [low, high, after @ ..] = rest {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            // The phone is in the middle of it.
            let Some((message, after)) = after.split_at_checked(length) else {
                break;
            };
            oled.hear(message);
            rest = after;
        }
        oled.picture(128)
    }
}
