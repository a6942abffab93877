//! Two systems for RAUC itself to install to: plain files, a boot loader that is a script, a bus of their own.

use crate::bad_input::{apart, libfaketime};
use crate::process::{Process, command, wait_for};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Bytes of a system.
const SYSTEM: usize = 300_000;
/// Beside the configuration of every phone here.
const PHONE: &str =
    "[audio]\ncapture = \"silence\"\nplayback = \"discard\"\n[update]\nrauc = \"./rauc\"\n";

/// RAUC's world; its daemons are killed when dropped.
pub struct TwoSystems {
    folder: TempDir,
    bus: Child,
    daemon: Option<Child>,
}

impl TwoSystems {
    /// Slot A runs. `None` where RAUC cannot mount a bundle: it needs root.
    pub fn new() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().expect("id");
        if id.stdout.trim_ascii() != b"0" {
            eprintln!("skipped: RAUC mounts bundles, which only root may");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        for slot in ["a.img", "b.img"] {
            std::fs::write(path.join(slot), vec![0; 1 << 20]).expect("a slot");
        }
        let here = path.display();
        let text = format!(
            "[system]\ncompatible=offhook-desktop\nbootloader=custom\nstatusfile={here}/status\nmountprefix={here}/mount\n\
             bundle-formats=plain verity\n[keyring]\npath={here}/keyring.pem\nuse-bundle-signing-time=true\n[handlers]\nbootloader-custom-backend={here}/boot\n\
             [slot.rootfs.0]\ndevice={here}/a.img\ntype=raw\nbootname=A\n\
             [slot.rootfs.1]\ndevice={here}/b.img\ntype=raw\nbootname=B\n"
        );
        std::fs::write(path.join("system.conf"), text).expect("written");
        std::fs::write(path.join("primary"), "A\n").expect("written");
        script(
            &path.join("boot"),
            &format!(
                "echo \"$@\" >>{here}/boot.log\ncase $1 in\nget-primary) cat {here}/primary ;;\n\
                 set-primary) echo \"$2\" >{here}/primary ;;\nget-state) cat {here}/state.$2 2>/dev/null || echo good ;;\n\
                 set-state) echo \"$3\" >{here}/state.$2 ;;\nesac"
            ),
        );
        script(
            &path.join("rauc"),
            &format!(
                "if [ -e {here}/slow-$1 ] && rm {here}/slow-$1; then\n\
                 while [ ! -e {here}/answer-$1 ]; do sleep 0.05; done\nfi\n\
                 export DBUS_STARTER_BUS_TYPE=session DBUS_SESSION_BUS_ADDRESS=unix:path={here}/bus\n\
                 exec rauc --conf={here}/system.conf \"$@\""
            ),
        );
        let bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nosyslog"])
            .arg(format!("--address=unix:path={here}/bus"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut systems = Self {
            folder,
            bus,
            daemon: None,
        };
        wait_for("the bus", || systems.path().join("bus").exists());
        systems.key("stranger", &[], "");
        systems.key("maker", &[], "");
        systems.key("lapsed", &[], "-10d");
        systems.key("server", &["-addext", "extendedKeyUsage=serverAuth"], "");
        // All but the stranger are known.
        let known = ["maker", "lapsed", "server"].map(|name| {
            std::fs::read(systems.path().join(format!("{name}.cert"))).expect("it was made")
        });
        std::fs::write(systems.path().join("keyring.pem"), known.concat()).expect("written");
        systems.boot("A");
        Some(systems)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The device restarts into `slot`, as far as RAUC knows.
    pub fn boot(&mut self, slot: &str) {
        end(self.daemon.take());
        // This machine goes on: it is the phone's record that says when it was made.
        let trial = self.path().join("state/trial.json");
        if let Ok(text) = std::fs::read_to_string(&trial) {
            let mut kept: serde_json::Value = serde_json::from_str(&text).expect("a record");
            kept["boot"] = "before".into();
            std::fs::write(&trial, kept.to_string()).expect("written");
        }
        let daemon = Command::new(self.path().join("rauc"))
            .arg(format!("--override-boot-slot={slot}"))
            .arg("service")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.daemon = Some(daemon.expect("rauc is installed"));
        let booted = format!("\"booted\":\"{slot}\"");
        wait_for("RAUC", || {
            let status = Command::new(self.path().join("rauc"))
                .args(["status", "--output-format=json"])
                .output();
            let said = status.expect("rauc is installed").stdout;
            String::from_utf8_lossy(&said).contains(&booted)
        });
    }

    /// A key, and its own certificate for three days from now, or from when `clock` (faketime(1)) says.
    fn key(&self, name: &str, more: &[&str], clock: &str) {
        let mut openssl = Command::new("openssl");
        if !clock.is_empty() {
            openssl
                .env("LD_PRELOAD", libfaketime())
                .env("FAKETIME", clock);
        }
        let made = openssl
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3",
            ])
            .args(["-subj", &format!("/CN={name}")])
            .args(more)
            .arg("-keyout")
            .arg(self.path().join(format!("{name}.key")))
            .arg("-out")
            .arg(self.path().join(format!("{name}.cert")))
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
    }

    /// A bundle signed by `signer`, made for `compatible`; its system is full of `byte`.
    pub fn bundle(&self, signer: &str, compatible: &str, byte: u8) -> PathBuf {
        self.bundle_as("plain", signer, compatible, byte)
    }

    /// As [`TwoSystems::bundle`], in another of RAUC's formats.
    pub fn bundle_as(&self, format: &str, signer: &str, compatible: &str, byte: u8) -> PathBuf {
        let content = self.path().join(format!("content-{signer}-{byte}"));
        std::fs::create_dir_all(&content).expect("a folder");
        std::fs::write(content.join("root.img"), vec![byte; SYSTEM]).expect("written");
        // Verity wants more than a page of content, and a system that is all the same is packed into one.
        let noise: Vec<u8> = (0..1 << 14_u32)
            .scan(1_u32, |state, _| {
                *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                Some((*state >> 24) as u8)
            })
            .collect();
        std::fs::write(content.join("noise"), noise).expect("written");
        let manifest = format!(
            "[update]\ncompatible={compatible}\nversion=9.{byte}\n[bundle]\nformat={format}\n[image.rootfs]\nfilename=root.img\n"
        );
        std::fs::write(content.join("manifest.raucm"), manifest).expect("written");
        let bundle = self
            .path()
            .join(format!("{signer}-{compatible}-{byte}-{format}.raucb"));
        let made = Command::new("rauc")
            .arg(format!(
                "--cert={}.cert",
                self.path().join(signer).display()
            ))
            .arg(format!("--key={}.key", self.path().join(signer).display()))
            .arg("bundle")
            .args([&content, &bundle])
            .output()
            .expect("rauc is installed");
        assert!(made.status.success(), "{made:?}");
        bundle
    }

    /// Slot B's system is full of this byte; it was filled with 0.
    pub fn other_system(&self) -> u8 {
        let system = std::fs::read(self.path().join("b.img")).expect("a slot");
        assert!(
            system[..SYSTEM].iter().all(|byte| *byte == system[0]),
            "half a system"
        );
        system[0]
    }

    /// The next `rauc COMMAND` does nothing before it [`TwoSystems::answers`].
    pub fn is_slow(&self, command: &str) {
        std::fs::write(self.path().join(format!("slow-{command}")), "").expect("written");
    }

    /// It has been called.
    pub fn is_asked(&self, command: &str) {
        let slow = self.path().join(format!("slow-{command}"));
        wait_for(command, || !slow.exists());
    }

    pub fn answers(&self, command: &str) {
        std::fs::write(self.path().join(format!("answer-{command}")), "").expect("written");
    }

    /// What is booted next.
    pub fn primary(&self) -> String {
        let primary = std::fs::read_to_string(self.path().join("primary")).expect("a file");
        primary.trim().to_owned()
    }

    /// Everything the boot loader was told to change, besides being asked.
    pub fn changes(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path().join("boot.log")).unwrap_or_default();
        let changes = log.lines().filter(|line| line.starts_with("set-"));
        changes.map(str::to_owned).collect()
    }

    /// A phone on these systems, with an agent's token.
    pub fn phone(&self) -> Process {
        self.run(command(self.path(), PHONE))
    }

    /// A phone on these systems where nobody has logged in yet.
    pub fn phone_logged_out(&self) -> Process {
        self.phone_with("token_file = \"token\"", "client_id = \"C\"")
    }

    /// A phone on these systems that trusts this certificate, too.
    pub fn phone_trusting(&self, ca_file: &str) -> Process {
        self.phone_with("[cloud]\n", &format!("[cloud]\nca_file = {ca_file:?}\n"))
    }

    /// A phone whose state partition has so many bytes. Only it sees what is there.
    pub fn phone_with_room_for(&self, bytes: u64) -> Process {
        let state = self.path().join("state").display().to_string();
        let prepare = format!("mkdir -p {state}; mount -t tmpfs -o size={bytes} none {state}");
        self.run(apart(self.path(), "-m", &prepare, PHONE))
    }

    fn phone_with(&self, instead_of: &str, of_config: &str) -> Process {
        let command = command(self.path(), PHONE);
        let config = self.path().join("offhook.toml");
        let text = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(&config, text.replace(instead_of, of_config)).expect("written");
        self.run(command)
    }

    fn run(&self, mut command: Command) -> Process {
        let phone = Process::start(
            command
                .env("RUNTIME_DIRECTORY", self.path())
                .stderr(Stdio::null()),
        );
        let client = format!(
            "[api]\nlisten = \"{}\"\n[state]\ndir = \"state\"\n",
            phone.address()
        );
        std::fs::write(self.path().join("client.toml"), client).expect("written");
        phone
    }

    /// `offhook update ARGUMENT`
    pub fn update(&self, argument: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_offhook"))
            .args(["update", argument, "--config"])
            .arg(self.path().join("client.toml"))
            .output()
            .expect("the program runs")
    }
}

impl Drop for TwoSystems {
    fn drop(&mut self) {
        end(self.daemon.take());
        // They end by themselves if these fail.
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn script(path: &Path, body: &str) {
    let mut file = std::fs::File::create(path).expect("a script");
    writeln!(file, "#!/bin/sh\n{body}").expect("written");
    file.set_permissions(std::fs::Permissions::from_mode(0o755))
        .expect("a script");
}
