//! What goes wrong around a phone, or in it: network, process, sound card, card.

use super::figures::READY_AFTER;
use super::{Bench, CALLER, DIAL_TONE, DIALED, TRANSFERRED_TO, micros, step};
use offhook_tests::emulated::PATIENCE;
use std::time::Duration;

/// The machine's time, microseconds since its start.
const NOW: &str = "sed 's/\\([0-9]*\\)[.]\\([0-9]*\\) .*/\\1\\20000/' /proc/uptime";
/// When the phone said last that it runs, the same.
const STARTED: &str = "systemctl show offhook -p ActiveEnterTimestampMonotonic --value";

impl Bench {
    pub async fn survives_its_network(&mut self) {
        step("the network pulled, and plugged in");
        self.machine.network(false).await;
        self.machine
            .status("aware of it", |status| status["ready"] == false)
            .await;
        step("plugged in where nobody gives addresses");
        self.machine.answers(false).await;
        self.machine.network(true).await;
        self.machine
            .status("missing an address", |status| {
                let notice = status["notice"].as_str();
                notice.is_some_and(|notice| notice.contains("No network"))
            })
            .await;
        let link = self.machine.must("do cat /sys/class/net/e*/carrier").await;
        assert_eq!(link.trim(), "1", "the cable is in");
        self.machine.answers(true).await;
        self.machine.ready().await;
    }

    pub async fn survives_its_end(&mut self) {
        step("the firmware killed");
        self.killed_and_back().await;
        self.machine.ready().await;
        println!("{}", self.machine.must(READY_AFTER).await);
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
    }

    /// Kills the phone, and waits until it is started again; for how long it was away, by the machine's clock.
    pub async fn killed_and_back(&mut self) -> Duration {
        let killed = self
            .machine
            .must(&format!("do {NOW}; systemctl kill -s KILL offhook"))
            .await;
        let back = self
            .machine
            .until("the phone's return", &format!("do {STARTED}"), |at| {
                micros(at) > micros(&killed)
            })
            .await;
        Duration::from_micros(micros(&back) - micros(&killed))
    }

    /// The sound card goes away during the dial tone, and comes back.
    pub async fn survives_its_sound_card(&mut self) {
        step("the sound card gone, and back");
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        // It is gone when all have let go of it.
        let gone = "do systemd-run -q --no-block sh -c 'echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/unbind'";
        self.machine.must(gone).await;
        self.machine
            .status("missing its sound", |status| {
                let notice = status["notice"].as_str();
                notice.is_some_and(|notice| notice.contains("sound"))
            })
            .await;
        println!("{}", self.machine.api("/api/v1/status").await["notice"]);
        let is_gone = |cards: &str| cards.contains("no soundcards");
        self.machine
            .until("the card's end", "do cat /proc/asound/cards", is_gone)
            .await;
        self.machine
            .must("do echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/bind")
            .await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
        self.machine.ready().await;
    }

    /// The card with the whole system is pulled out while something is written to it; then the phone is switched off and on.
    pub async fn survives_its_card(&mut self) {
        step("the card pulled while it is written to");
        let pulled = "do (dd if=/dev/zero of=/state/offhook/fill bs=4k count=1000 conv=fsync 2>&1 &); \
                      echo 1 >/sys/class/block/vda/device/../remove; echo";
        self.machine.must(pulled).await;
        // No program can be started any more, not even by those who look: the phone's page is what is left.
        let status = format!("{}/api/v1/status", self.machine.page());
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let told = async { reqwest::get(&status).await?.text().await };
            let told = told.await.unwrap_or_else(|error| error.to_string());
            if told.contains("\"notice\":\"Nothing is kept\"") {
                break;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "not missing its card: {told}"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        step("it works on, as far as it is in memory");
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
        step("the card back, and the power off and on");
        self.machine.cut_power();
        self.machine.booted().await;
        self.machine.ready().await;
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
    }

    /// Nothing that is secret or somebody's number is in what the whole machine has logged since its start.
    pub async fn kept_its_secrets(&mut self) {
        step("its journal");
        let lines = self.machine.must("do journalctl --no-pager | wc -l").await;
        assert!(
            lines.trim().parse::<u32>().expect("a number") > 100,
            "{lines}"
        );
        let token = self.user.token.clone();
        for secret in [DIALED, TRANSFERRED_TO, CALLER, &token] {
            // The brackets keep the look itself out of what is found.
            let (first, rest) = secret.split_at(1);
            let found = format!(
                "do journalctl --no-pager | grep -F -c -e \"$(printf %s%s '{first}' '{rest}')\"; echo"
            );
            let told = self.machine.must(&found).await;
            assert_eq!(
                told.trim(),
                "0",
                "a secret of {} characters is in the journal",
                secret.len()
            );
        }
    }
}
