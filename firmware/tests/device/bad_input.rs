//! What is wrong around the phone is said in words, and the phone recovers when the cause goes. Read from the words to
//! systemd, which are those of the display.

use crate::process::{Process, command};
use crate::service::Systemd;
use std::path::{Path, PathBuf};
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
pub fn apart(dir: &Path, namespace: &str, prepare: &str, more: &str) -> Command {
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

/// Without a state partition the folder lies in memory, where writing works and nothing stays: unsaid, agents wonder why
/// they have to log in after each restart.
#[test]
fn a_state_folder_in_memory_is_told() {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let systemd = Systemd::new(dir.path());
    let _phone = start(&mut command(dir.path(), SILENT), dir.path());
    systemd.wait_for("STATUS=Nothing is kept");
}

/// Left to the log, a card that fails only when it is written to is found out at the next restart. It has room.
#[test]
fn a_write_that_fails_is_told_and_done_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    // Where the phone writes before it replaces the file.
    let beside = state.join("cloud.json.new");
    std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
    let systemd = Systemd::new(dir.path());
    let _phone = start(&mut command(dir.path(), SILENT), dir.path());
    systemd.wait_for("STATUS=Nothing is kept");
    assert!(!state.join("cloud.json").exists());
    std::fs::remove_file(beside).expect("removed");
    systemd.wait_for("STATUS=No connection");
    assert!(state.join("cloud.json").exists());
}

/// Told "Please log in" only, nobody knows that there was a login and where it has gone.
#[test]
fn a_damaged_state_file_is_told_until_somebody_has_seen_it_and_kept_aside() {
    const DAMAGED: &str = "{\"access_token\":";
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    std::fs::write(state.join("login.json"), DAMAGED).expect("written");
    let systemd = Systemd::new(dir.path());
    let mut command = command(dir.path(), SILENT);
    let file = dir.path().join("offhook.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let by_page = text.replace("token_file = \"token\"", "client_id = \"client\"");
    std::fs::write(&file, by_page).expect("written");
    let phone = Process::start(command.env("NOTIFY_SOCKET", dir.path().join("notify")));
    systemd.wait_for("STATUS=Memory damaged");
    let status = phone.request("GET", "/api/v1/status", "");
    assert!(status.contains("\"notice\":\"Memory damaged\""), "{status}");
    let key = "{\"key\":\"back\",\"action\":\"tap\"}";
    phone.request("POST", "/api/v1/board/keys", key);
    systemd.wait_for("STATUS=Please log in");
    let aside = std::fs::read_to_string(state.join("login.json.corrupt"));
    assert_eq!(aside.expect("kept aside"), DAMAGED);
}

/// A power cut while it was written. Replaced without a word, every program that had the key is locked out and nobody
/// knows why.
#[test]
fn an_empty_key_of_the_api_is_told_and_a_new_one_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("a folder");
    std::fs::write(state.join("api-key"), "").expect("written");
    let systemd = Systemd::new(dir.path());
    let mut command = command(dir.path(), SILENT);
    let file = dir.path().join("offhook.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    // On the network, where the key is wanted.
    std::fs::write(&file, text.replace("127.0.0.1:0", "0.0.0.0:0")).expect("written");
    let _phone = start(&mut command, dir.path());
    systemd.wait_for("STATUS=Memory damaged");
    let made = std::fs::read_to_string(state.join("api-key")).expect("a key");
    assert_eq!(made.len(), 64);
    assert!(state.join("api-key.corrupt").exists(), "kept aside");
}

/// A server that shakes hands, and then has nothing to say. Its certificate is not valid before 1975.
fn tls_server(dir: &Path) -> String {
    tls_server_that(dir, |_| {})
}

/// The same, and then it `answers`.
pub fn tls_server_that(
    dir: &Path,
    answers: impl Fn(&mut rustls::Stream<'_, rustls::ServerConnection, std::net::TcpStream>)
    + Send
    + 'static,
) -> String {
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
            if !tls.is_handshaking() {
                answers(&mut rustls::Stream::new(&mut tls, &mut stream));
            }
        }
    });
    url
}

/// What gives a program another time.
pub fn libfaketime() -> PathBuf {
    ["/usr/lib", "/usr/lib64"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())
        .expect("the package libfaketime is installed")
}

/// A Raspberry Pi starts without the time, and no certificate is right in 1970.
#[test]
fn a_clock_in_1970_is_told_and_the_time_heals() {
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
        .env("LD_PRELOAD", libfaketime())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    let _phone = start(&mut command, dir.path());
    systemd.wait_for("STATUS=Time not known");
    std::fs::write(&clock, "+0\n").expect("written");
    systemd.wait_for("STATUS=No connection");
}
