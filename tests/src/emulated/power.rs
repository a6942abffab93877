//! The emulated machine's power: QEMU as a process, and the sockets it opens.

use super::card;
use super::machine::{LOOK, PATIENCE};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What an emulated machine's clock goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The host's, however long its processor takes to emulate the machine's.
    Host,
    /// Its processors' instructions, all one after the other: 1 ns each, as a Cortex-A53 of a little over 1 GHz takes. So
    /// times do not depend on the host. While the machine waits, its clock goes by the host's.
    Instructions,
}

/// A machine that is on until this is dropped.
pub struct Power {
    /// QEMU's process, one after the other.
    supply: JoinHandle<()>,
    cut: Arc<Notify>,
    sockets: PathBuf,
}

impl Power {
    /// Switches it on, with this clock and card and a folder for its sockets; its console is written to a file, and the port
    /// `page` of the host's loopback leads to the phone's page.
    ///
    /// Each time the guest restarts, QEMU is started anew. In a machine that was only reset, QEMU has to give up piece by
    /// piece what it translated of the former kernel as the next one is loaded over it, which takes up to a minute.
    pub fn on(clock: Clock, card: &Path, sockets: PathBuf, console: &Path, page: u16) -> Self {
        let cut = Arc::new(Notify::new());
        let mut qemu = Command::new(card::repository().join("cross/qemu"));
        qemu.args(["qemu-virt", "--once"])
            .args((clock == Clock::Instructions).then_some("--counted"))
            .env("OFFHOOK_CARD", card)
            .env("OFFHOOK_SOCKETS", &sockets)
            .env("OFFHOOK_CONSOLE", console)
            .env("OFFHOOK_PAGE", page.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let supply = tokio::spawn(supply(qemu, Arc::clone(&cut)));
        Self {
            supply,
            cut,
            sockets,
        }
    }

    /// Cuts the power, and gives it back at once.
    pub fn cut(&self) {
        self.cut.notify_one();
    }

    /// One of QEMU's sockets: `pins`, `ear`, `mouth`.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.sockets.join(format!("{name}.sock"))
    }

    /// Tells QEMU's monitor; its answer.
    pub async fn tell(&self, command: &str) -> String {
        let mut monitor = connect(&self.socket("monitor")).await;
        let line = format!("{command}\n");
        monitor
            .write_all(line.as_bytes())
            .await
            .expect("QEMU's monitor");
        monitor.shutdown().await.expect("QEMU's monitor");
        let mut answer = String::new();
        // A monitor whose machine ends meanwhile says no more.
        let _ = monitor.read_to_string(&mut answer).await;
        answer
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        self.supply.abort();
    }
}

async fn supply(mut qemu: Command, cut: Arc<Notify>) {
    loop {
        let mut running = qemu.spawn().expect("cross/qemu can be started");
        tokio::select! {
            ended = running.wait() => {
                let ended = ended.expect("its status");
                assert!(ended.success(), "cross/qemu: {ended}");
            }
            () = cut.notified() => running.kill().await.expect("QEMU can be killed"),
        }
    }
}

/// Connects to a socket that is there, or will be soon.
pub async fn connect(socket: &Path) -> UnixStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < end, "{}: {error}", socket.display()),
        }
        sleep(LOOK).await;
    }
}
