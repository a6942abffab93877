//! What systemd hears of the phone (sd_notify(3)); it kills and restarts a phone that does not say it is alive.

use crate::process::{PATIENCE, Process, command, wait_for};
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// systemd in the phone's environment: patience of one second.
pub struct Systemd(UnixDatagram);

/// No pet for so long, and the phone counts as stuck: with this patience it says three times a second that it is alive.
const MISSED: Duration = Duration::from_secs(4);

impl Systemd {
    pub fn new(dir: &Path) -> Self {
        let socket = UnixDatagram::bind(dir.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(socket)
    }

    fn starts(dir: &Path, more: &str, stderr: Stdio) -> Process {
        let mut command = command(dir, more);
        command
            .env("NOTIFY_SOCKET", dir.join("notify"))
            .env("WATCHDOG_USEC", "1000000")
            .env_remove("WATCHDOG_PID")
            .stderr(stderr);
        Process::start(&mut command)
    }

    /// The next message; `None` if there is none for the time-out.
    fn hear(&self, timeout: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(timeout)).expect("a time-out");
        let mut message = [0; 512];
        let length = self.0.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }

    pub fn wait_for(&self, expected: &str) {
        wait_for(expected, || {
            self.hear(PATIENCE)
                .is_some_and(|heard| heard.trim() == expected)
        });
    }

    /// No message says any more that the phone is alive.
    fn hears_no_pet(&self) -> bool {
        while let Some(heard) = self.hear(MISSED) {
            if heard.trim() == "WATCHDOG=1" {
                return false;
            }
        }
        true
    }
}

#[test]
fn it_hears_that_the_phone_is_ready_what_it_does_and_that_it_lives() {
    let dir = tempfile::tempdir().expect("a folder");
    let systemd = Systemd::new(dir.path());
    let _phone = Systemd::starts(dir.path(), "", Stdio::null());
    systemd.wait_for("READY=1");
    systemd.wait_for("STATUS=No connection");
    for _ in 0..3 {
        systemd.wait_for("WATCHDOG=1");
    }
}

/// The event loop hangs in a write to a log nobody reads, as it would in a broken driver. Pets from a thread or a task
/// beside it would go on.
#[test]
fn a_stuck_event_loop_is_missed() {
    let dir = tempfile::tempdir().expect("a folder");
    let systemd = Systemd::new(dir.path());
    let mut phone = Systemd::starts(dir.path(), "[log]\nlevel = \"trace\"\n", Stdio::piped());
    systemd.wait_for("WATCHDOG=1");
    // A pipe holds 64 kB, and each of these leaves a line. Those that are never answered are not waited for.
    let asked: Vec<_> = (0..1000)
        .map_while(|_| phone.send("GET", "/api/v1/status", ""))
        .collect();
    wait_for("silence", || systemd.hears_no_pet());
    let mut log = phone.take_stderr();
    std::thread::spawn(move || {
        let mut read = [0; 4096];
        while log.read(&mut read).is_ok_and(|length| length > 0) {}
    });
    systemd.wait_for("WATCHDOG=1");
    drop(asked);
}

/// One of ALSA's devices that writes into a pipe nobody reads, its configuration and the pipe.
fn stuck_device(dir: &Path) -> (PathBuf, File) {
    let pipe = dir.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let alsa = dir.join("asound.conf");
    let text = format!(
        "pcm.stuck {{ type file slave.pcm {{ type null }} file \"{}\" format raw }}\n",
        pipe.display()
    );
    std::fs::write(&alsa, text).expect("written");
    // Whoever opens it to write waits for a reader.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("a pipe");
    (alsa, reader)
}

/// The audio thread hangs in its device.
#[test]
fn a_stuck_audio_thread_is_missed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (alsa, reader) = stuck_device(dir.path());
    let systemd = Systemd::new(dir.path());
    let mut command = command(
        dir.path(),
        "[audio]\ncapture = \"silence\"\nplayback = \"alsa:stuck\"\n",
    );
    command
        .env("ALSA_CONFIG_PATH", &alsa)
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("WATCHDOG_USEC", "1000000")
        .stderr(Stdio::null());
    let phone = Process::start(&mut command);
    systemd.wait_for("WATCHDOG=1");
    phone.request("POST", "/api/v1/board/hook", "{\"state\":\"lifted\"}");
    wait_for("silence", || systemd.hears_no_pet());
    // The loop itself goes on: it is not what is stuck.
    assert!(
        phone
            .request("GET", "/api/v1/status", "")
            .contains("200 OK")
    );
    std::thread::spawn(move || {
        let (mut reader, mut read) = (reader, [0; 4096]);
        while reader.read(&mut read).is_ok_and(|length| length > 0) {}
    });
    systemd.wait_for("WATCHDOG=1");
}

/// Otherwise every other program of the board can make the sound stutter. Who may not raise it (LimitRTPRIO of the unit
/// gives the right) is not tested.
#[test]
fn the_audio_thread_runs_ahead_where_it_may() {
    let may = std::process::Command::new("chrt")
        .args(["-f", "40", "true"])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no right to real-time scheduling here");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    // A device that hangs, so that the thread does not take the machine for itself.
    let (alsa, _reader) = stuck_device(dir.path());
    let sound = "[audio]\ncapture = \"silence\"\nplayback = \"alsa:stuck\"\n";
    let mut command = command(dir.path(), sound);
    command.env("ALSA_CONFIG_PATH", &alsa).stderr(Stdio::null());
    let phone = Process::start(&mut command);
    let scheduling = |thread: &Path| {
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
        let (name, fields) = stat.rsplit_once(')').unwrap_or_default();
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Fields 40 and 41 of proc_pid_stat(5): priority and policy, of which 1 is SCHED_FIFO.
        let found = fields.get(37).zip(fields.get(38));
        found
            .filter(|_| name.ends_with("(audio"))
            .map(|(priority, policy)| format!("{policy} {priority}"))
    };
    wait_for("an audio thread ahead of the others", || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", phone.id())).expect("a process");
        tasks
            .flatten()
            .filter_map(|task| scheduling(&task.path()))
            .any(|scheduling| scheduling == "1 40")
    });
}
