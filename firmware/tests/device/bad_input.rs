//! What is wrong around the phone is said in words, and the phone recovers when the cause goes. Read from the words to
//! systemd, which are those of the display.

use crate::process::command;
use crate::service::Systemd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// A phone whose words are heard; killed when dropped.
struct Heard(Child);

impl Drop for Heard {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command, dir: &Path) -> Heard {
    let child = command
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Heard(child.expect("the phone starts"))
}

/// Only root may make what a test needs; true if it is root.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    let is_root = id.stdout.trim_ascii() == b"0";
    if !is_root {
        eprintln!("SKIPPED: only root may make what this needs");
    }
    is_root
}

/// The phone behind `prepare`, a shell's commands, in namespaces of its own.
fn apart(dir: &Path, namespace: &str, prepare: &str, more: &str) -> Command {
    let phone = command(dir, more);
    let mut unshare = Command::new("unshare");
    unshare
        .arg(namespace)
        .args(["sh", "-ec"])
        .arg(format!("{prepare}\nexec \"$0\" \"$@\""))
        .arg(phone.get_program())
        .args(phone.get_args());
    unshare
}

const SILENT: &str = "[audio]\ncapture = \"silence\"\nplayback = \"discard\"\n";

#[test]
fn no_network_is_told_and_a_route_heals() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let systemd = Systemd::new(dir.path());
    let mut command = apart(dir.path(), "-n", "ip link set lo up", SILENT);
    let phone = start(&mut command, dir.path());
    systemd.wait_for("STATUS=No network");
    let done = Command::new("nsenter")
        .args(["-t", &phone.0.id().to_string(), "-n"])
        .args(["ip", "route", "add", "default", "dev", "lo"])
        .status();
    assert!(done.expect("nsenter").success());
    // The cloud of this test is not there, but now that is the cloud's fault.
    systemd.wait_for("STATUS=No connection");
}

#[test]
fn a_full_state_partition_is_told_and_room_heals() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    let systemd = Systemd::new(dir.path());
    let prepare = format!(
        "mount -t tmpfs -o size=64k none {0}\ndd if=/dev/zero of={0}/fill bs=1k count=64 2>/dev/null || true",
        state.display()
    );
    // On the network, so that there is a key to keep.
    let config = format!("{SILENT}[log]\nlevel = \"info\"\n");
    let mut command = apart(dir.path(), "-m", &prepare, &config);
    let file = dir.path().join("offhook.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("127.0.0.1:0", "0.0.0.0:0")).expect("written");
    let phone = start(&mut command, dir.path());
    systemd.wait_for("STATUS=Nothing is kept");
    // Seen from outside through the phone's own root.
    let fill = format!("/proc/{}/root{}/fill", phone.0.id(), state.display());
    std::fs::remove_file(fill).expect("removed");
    systemd.wait_for("STATUS=No connection");
}

/// A server that shakes hands, and then has nothing to say. Its certificate is not valid before 1975.
fn tls_server(dir: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
    std::fs::write(dir.join("ca.pem"), made.cert.pem()).expect("written");
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            let mut stream = stream;
            let mut tls = rustls::ServerConnection::new(config).expect("a connection");
            // A client that does not like the certificate goes away.
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        }
    });
    url
}

/// A Raspberry Pi starts without the time, and no certificate is right in 1970.
#[test]
fn a_clock_in_1970_is_told_and_the_time_heals() {
    let library = ["/usr/lib", "/usr/lib64"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .expect("the package libfaketime is installed");
    let dir = tempfile::tempdir().expect("a folder");
    let systemd = Systemd::new(dir.path());
    let mut command = command(dir.path(), SILENT);
    let file = dir.path().join("offhook.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.replace("https://127.0.0.1:9", &tls_server(dir.path()));
    let text = text.replace("[cloud]\n", "[cloud]\nca_file = \"ca.pem\"\n");
    std::fs::write(&file, text).expect("written");
    let clock = dir.path().join("clock");
    std::fs::write(&clock, "@1970-01-02 00:00:00\n").expect("written");
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let _phone = start(&mut command, dir.path());
    systemd.wait_for("STATUS=Time not known");
    std::fs::write(&clock, "+0\n").expect("written");
    systemd.wait_for("STATUS=No connection");
}
