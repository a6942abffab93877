//! The hands at the emulated front panel: the serial port on which the guest's `rig-pins` takes commands.

use super::power::connect;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// What is said at the pins when somebody listens.
const READY: &str = "rig ready";
/// How long a finger stays on a key: many times the debounce, shorter than a long press.
pub const TAP: Duration = Duration::from_millis(250);

/// The keypad of the board `qemu-virt`, row by row.
pub const LABELS: [[&str; 4]; 4] = [
    ["1", "2", "3", "hold"],
    ["4", "5", "6", "mute"],
    ["7", "8", "9", "transfer"],
    ["*", "0", "#", "speaker"],
];
/// Lamps of the board, in the order of their bits.
pub const LAMPS: [&str; 7] = [
    "message", "mute", "speaker", "headset", "line1", "line2", "line3",
];

/// A handle to the port; clones are of the same one. Commands go one after the other.
#[derive(Clone)]
pub struct Pins(Arc<Mutex<Port>>);

struct Port {
    socket: PathBuf,
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    /// How many commands were told; the last one's number goes with it and comes back at its answer's end.
    asked: u32,
    /// The keys that are down.
    keys: u16,
    /// All that was told and answered, for whoever looks for a fault.
    log: File,
    since: Instant,
}

impl Pins {
    /// The port behind this socket; all that goes over it is written down in `log`.
    pub async fn new(socket: PathBuf, log: &Path) -> Self {
        let (lines, write) = open(&socket).await;
        Self(Arc::new(Mutex::new(Port {
            socket,
            lines,
            write,
            asked: 0,
            keys: 0,
            log: File::create(log).expect("a log"),
            since: Instant::now(),
        })))
    }

    /// Waits until somebody in the guest listens to the pins, after a start; false: nobody did in this time.
    pub async fn booted(&self, patience: Duration) -> bool {
        let mut port = self.0.lock().await;
        let ready = async { while port.next_line().await != READY {} };
        timeout(patience, ready).await.is_ok()
    }

    /// Runs a command; its output and status.
    pub async fn tell(&self, command: &str, patience: Duration) -> (String, i32) {
        let mut port = self.0.lock().await;
        timeout(patience, port.ask(command))
            .await
            .unwrap_or_else(|_| panic!("no answer to {command:?}"))
    }

    /// As [`Self::tell`], and it must work.
    pub async fn must(&self, command: &str, patience: Duration) -> String {
        let (output, status) = self.tell(command, patience).await;
        assert_eq!(status, 0, "{command}: {output}");
        output
    }

    /// Holds these keys down, and no others.
    pub async fn hold(&self, keys: u16, patience: Duration) {
        self.set_keys(|_| keys, patience).await;
    }

    /// Presses these keys, beside those that are down already.
    pub async fn press(&self, keys: u16, patience: Duration) {
        self.set_keys(|held| held | keys, patience).await;
    }

    /// Lets these keys go.
    pub async fn release(&self, keys: u16, patience: Duration) {
        self.set_keys(|held| held & !keys, patience).await;
    }

    async fn set_keys(&self, keys: impl FnOnce(u16) -> u16, patience: Duration) {
        let mut port = self.0.lock().await;
        port.keys = keys(port.keys);
        let command = format!("keys {:04x}", port.keys);
        let answer = timeout(patience, port.ask(&command)).await;
        assert!(answer.is_ok(), "no answer to {command:?}");
    }
}

impl Port {
    async fn ask(&mut self, command: &str) -> (String, i32) {
        self.asked += 1;
        let line = format!("{} {command}", self.asked);
        let end = format!("= {} ", self.asked);
        self.write(&line).await;
        let mut output = String::new();
        loop {
            let line = self.next_line().await;
            // Who listens to the pins may have been started again, or finish with what nobody waits for any more.
            if line == READY || line.starts_with("= ") && !line.starts_with(&end) {
                continue;
            }
            if let Some(status) = line.strip_prefix(&end) {
                return (output, status.trim().parse().expect("a status"));
            }
            output.push_str(&line);
            output.push('\n');
        }
    }

    async fn next_line(&mut self) -> String {
        loop {
            if let Ok(Some(line)) = self.lines.next_line().await {
                self.note("<", &line);
                return line;
            }
            // The machine restarts.
            (self.lines, self.write) = open(&self.socket).await;
        }
    }

    async fn write(&mut self, line: &str) {
        self.note(">", line);
        let sent = self.write.write_all(format!("{line}\n").as_bytes()).await;
        sent.expect("the pins' socket");
    }

    fn note(&mut self, direction: &str, line: &str) {
        let time = self.since.elapsed().as_secs_f32();
        writeln!(self.log, "{time:.1} {direction} {line}").expect("the log can be written");
    }
}

async fn open(socket: &Path) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
    let (read, write) = connect(socket).await.into_split();
    (BufReader::new(read).lines(), write)
}

/// This key, as the emulated keypad wants it; the board may not have it.
pub fn bit(key: &str) -> Option<u16> {
    let place = LABELS.iter().flatten().position(|label| *label == key)?;
    Some(1 << place)
}

/// These keys together; each must be one of the board's.
pub fn bits(keys: &[&str]) -> u16 {
    let bit = |key: &&str| bit(key).unwrap_or_else(|| panic!("the board has no key {key:?}"));
    keys.iter().map(bit).fold(0, |all, bit| all | bit)
}
