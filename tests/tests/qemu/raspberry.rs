//! The Raspberry Pi's card on the Raspberry Pi 3 that QEMU emulates: nobody presses a key there, and it has no network and
//! no codec. What the machine does is read from its console.

use offhook_tests::emulated;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// How long it may take until all is said; an emulated card is erased in minutes.
const PATIENCE: Duration = Duration::from_mins(15);

/// From U-Boot to a phone that has proved itself; and what `offhook check` finds there as root: the board, the registers by
/// rppal, sound by the kernel's loopback.
const SAID: [&str; 8] = [
    "offhook: order A, A 2, B 3, slot A",
    "Mounted state.mount",
    "qemu-raspi3b: the Raspberry Pi 3 that QEMU emulates",
    "rppal, /dev/gpiochip",
    "ok    sound, handset",
    "Started offhook.service",
    "Offhook is running",
    "this system is marked good",
];

#[tokio::test]
#[ignore = "needs the card of qemu-raspi3b, and minutes: cross/test-qemu --pi"]
async fn a_card_on_an_emulated_raspberry_pi() {
    let mut qemu = Command::new(emulated::repository().join("cross/qemu"))
        .args(["qemu-raspi3b", "--once"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("cross/qemu can be started");
    let mut console = BufReader::new(qemu.stdout.take().expect("its console"));
    let mut missing = SAID.to_vec();
    let all_is_said = async {
        let mut line = Vec::new();
        while !missing.is_empty() {
            line.clear();
            let read = console.read_until(b'\n', &mut line).await;
            assert!(read.is_ok_and(|n| n > 0), "it ended; not said: {missing:?}");
            let said = String::from_utf8_lossy(&line);
            print!("{said}");
            assert!(!said.contains("Failed to start"), "{said}");
            missing.retain(|wanted| !said.contains(wanted));
        }
    };
    let done = timeout(PATIENCE, all_is_said).await;
    assert!(done.is_ok(), "not said: {missing:?}");
}
