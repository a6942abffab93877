//! The emulated phone: a card image on QEMU's machine, whose pins, sound and network are in our hands.

use super::card;
use super::pins::{self, Pins, TAP};
use super::power::{Clock, Power};
use super::sound::Sound;
use crate::ear::RATE_HZ;
use offhook_cloudsim::Simulator;
use offhook_cloudsim::spec::SimUser;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long the machine may take to start: an emulated processor is 20 to 40 times slower than the host's own, and the
/// host may be loaded.
const BOOT: Duration = Duration::from_mins(15);
/// How long anything else may take.
pub const PATIENCE: Duration = Duration::from_mins(4);
/// How often something without an event is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// A running machine.
pub struct Machine {
    power: Power,
    pins: Pins,
    sound: Sound,
    /// The port of the host's loopback that leads to the phone's page.
    page: u16,
    /// All that the guest says while it starts.
    console: PathBuf,
    dir: TempDir,
}

impl Machine {
    /// Starts a fresh card that is provisioned for this user of this simulator; waits until the pins answer. What happens
    /// at its pins and on its console is written to `NAME-*.log`, beside the image.
    pub async fn start(name: &str, clock: Clock, sim: &Simulator, user: &SimUser) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let card = dir.path().join("card.img");
        card::copy(&card::image(), &card).await;
        card::provision(&card, sim, user, dir.path()).await;
        let place = dir.path().join("sockets");
        std::fs::create_dir(&place).expect("a folder for the sockets");
        let console = card::images().join(format!("{name}-console.log"));
        std::fs::write(&console, "").expect("a log");
        let page = free_port();
        let power = Power::on(clock, &card, place, &console, page);
        let log = card::images().join(format!("{name}-pins.log"));
        let mut machine = Self {
            pins: Pins::new(power.socket("pins"), &log).await,
            sound: Sound::start(power.socket("ear"), power.socket("mouth")),
            power,
            page,
            console,
            dir,
        };
        machine.booted().await;
        machine
    }

    /// Waits until somebody in the guest listens to the pins, after a start.
    pub async fn booted(&mut self) {
        let done = self.pins.booted(BOOT).await;
        assert!(
            done,
            "the machine does not start: see {}",
            self.console.display()
        );
    }

    /// Runs a command at the pins; its output and status.
    pub async fn tell(&mut self, command: &str) -> (String, i32) {
        self.pins.tell(command, PATIENCE).await
    }

    /// As [`Self::tell`], and it must work.
    pub async fn must(&mut self, command: &str) -> String {
        self.pins.must(command, PATIENCE).await
    }

    /// As [`Self::must`], for what takes long.
    pub async fn must_in_time(&mut self, command: &str) -> String {
        self.pins.must(command, BOOT).await
    }

    /// Runs a command until its output is as wanted.
    pub async fn until(
        &mut self,
        what: &str,
        command: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let (output, _) = self.tell(command).await;
            if wanted(&output) {
                return output;
            }
            assert!(Instant::now() < end, "{what} does not come: {output}");
            sleep(LOOK).await;
        }
    }

    /// `GET` of the phone's API, from inside the machine.
    pub async fn api(&mut self, path: &str) -> serde_json::Value {
        let command = format!(
            "do bash -c 'exec 3<>/dev/tcp/127.0.0.1/8321; printf \"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n\" >&3; \
             sed \"1,/^\\r*$/d\" <&3; echo'"
        );
        let (output, _) = self.tell(&command).await;
        serde_json::from_str(&output).unwrap_or(serde_json::Value::Null)
    }

    /// Waits until the phone is ready for a call, after a start.
    pub async fn ready(&mut self) {
        let wanted = |status: &serde_json::Value| status["ready"] == true;
        self.shows_within("/api/v1/status", "ready", BOOT, wanted)
            .await;
    }

    /// Waits until the phone's status is as wanted.
    pub async fn status(&mut self, what: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
        self.shows("/api/v1/status", what, wanted).await;
    }

    /// Waits until a page of the API is as wanted.
    pub async fn shows(
        &mut self,
        path: &str,
        what: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) {
        self.shows_within(path, what, PATIENCE, wanted).await;
    }

    async fn shows_within(
        &mut self,
        path: &str,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) {
        let end = Instant::now() + patience;
        loop {
            let shown = self.api(path).await;
            if wanted(&shown) {
                return;
            }
            assert!(Instant::now() < end, "the phone is not {what}: {shown}");
            sleep(LOOK).await;
        }
    }

    /// Lifts the handset.
    pub async fn lift(&mut self) {
        self.must("hook 1").await;
    }

    /// Puts it down.
    pub async fn rest(&mut self) {
        self.must("hook 0").await;
    }

    /// Holds these keys down, and no others.
    pub async fn hold_down(&mut self, keys: &[&str]) {
        self.pins.hold(pins::bits(keys), PATIENCE).await;
    }

    /// Taps a key.
    pub async fn tap(&mut self, key: &str) {
        self.hold_down(&[key]).await;
        sleep(TAP).await;
        self.let_go().await;
    }

    /// Holds these keys down for as long as a tap takes.
    pub async fn hold_for_a_tap(&mut self, keys: &[&str]) {
        self.hold_down(keys).await;
        sleep(TAP).await;
    }

    /// Lets all keys go, for as long as a finger is away between two keys.
    pub async fn let_go(&mut self) {
        self.hold_down(&[]).await;
        sleep(TAP / 2).await;
    }

    /// Taps one key after the other.
    pub async fn dial(&mut self, digits: &str) {
        for digit in digits.chars() {
            self.tap(&digit.to_string()).await;
        }
    }

    /// Waits until this lamp of the board is lit, or dark.
    pub async fn lamp(&mut self, lamp: &str, lit: bool) {
        let bit = pins::LAMPS.iter().position(|one| *one == lamp);
        let bit = bit.unwrap_or_else(|| panic!("the board has no lamp {lamp:?}"));
        self.until("the lamp's change", "lamps", |output| {
            u8::from_str_radix(output.trim(), 16).is_ok_and(|lamps| (lamps >> bit & 1 != 0) == lit)
        })
        .await;
    }

    /// Waits until the ear hears just these frequencies together, for a second out of what it remembers: an emulated
    /// processor may miss a period.
    pub async fn hears(&self, hz: &[f32]) {
        self.sound.forget();
        let end = Instant::now() + PATIENCE;
        loop {
            let heard = self.sound.heard();
            if heard.tone_ms(hz) >= 1000 {
                return;
            }
            if Instant::now() > end {
                let file = card::images().join("ear.wav");
                heard.write(&file);
                panic!("the ear does not hear {hz:?} Hz, but {}", file.display());
            }
            sleep(LOOK).await;
        }
    }

    /// Waits until the ear has heard nothing for a second.
    pub async fn silent(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.sound.forget();
            while self.sound.heard().0.len() < RATE_HZ {
                assert!(Instant::now() < end, "nothing comes from the ear");
                sleep(LOOK).await;
            }
            if self.sound.heard().level_dbfs() < -60.0 {
                return;
            }
            assert!(Instant::now() < end, "the ear is never silent");
        }
    }

    /// Has the phone install this update, from now on.
    pub async fn update(&mut self, url: &str) {
        let command = format!("do systemd-run -qG --unit=update offhook update {url}");
        self.must(&command).await;
    }

    /// A folder that goes with the machine.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Says a tone from now on; 0 Hz is silence.
    pub fn say(&self, hz: f32) {
        self.sound.say(hz);
    }

    /// Cuts the machine's power, and gives it back.
    pub fn cut_power(&self) {
        self.power.cut();
    }

    /// Pulls the network's plug, or puts it back.
    pub async fn network(&self, plugged: bool) {
        let state = if plugged { "on" } else { "off" };
        self.power.tell(&format!("set_link nic {state}")).await;
    }

    /// Has nobody on the network answer, or lets them: what is sent either way is kept back for as long as QEMU can, which
    /// is more than an hour, and delivered then.
    pub async fn answers(&self, answered: bool) {
        let command = if answered {
            "object_del nobody"
        } else {
            "object_add filter-buffer,id=nobody,netdev=net,queue=all,interval=4000000000"
        };
        self.power.tell(command).await;
    }

    /// Where the phone's own page is, for the host.
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}", self.page)
    }

    /// The hands at the pins.
    pub fn pins(&self) -> Pins {
        self.pins.clone()
    }
}

/// One that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("its number").port()
}
