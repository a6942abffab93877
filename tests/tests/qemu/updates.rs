//! Two systems on one card: updated, cut off, undone, and without their state.

use super::{Bench, DIAL_TONE, step};
use offhook_tests::emulated::{self, Fault};

impl Bench {
    pub async fn survives_a_power_cut(&mut self) {
        step("the power cut while an update is written");
        let update = emulated::bundle(self.machine.dir(), Fault::None).await;
        let url = emulated::serve(update).await;
        self.machine.update(&url).await;
        self.machine
            .shows("/api/v1/update", "installing", |shown| {
                shown["state"] == "installing"
            })
            .await;
        self.machine.cut_power();
        self.machine.booted().await;
        self.machine.ready().await;
        let running = self.machine.must("do cat /proc/cmdline").await;
        assert!(running.contains("rauc.slot=A "), "{running}");
        // RAUC is started when it is first asked, which takes its time here: no update is begun before.
        self.machine
            .shows("/api/v1/update", "telling of it", |shown| {
                let message = shown["message"].as_str();
                message.is_some_and(|message| message.contains("restarted before"))
            })
            .await;
    }

    pub async fn updates(&mut self) {
        step("an update that was changed on its way");
        let update = emulated::bundle(self.machine.dir(), Fault::None).await;
        let url = emulated::serve(emulated::damaged(&update)).await;
        self.machine.update(&url).await;
        self.machine
            .shows("/api/v1/update", "refusing it", |shown| {
                // Not of the update before, which the power cut ended.
                let message = shown["message"].as_str();
                message.is_some_and(|message| message.contains("could not be installed"))
            })
            .await;
        println!("{}", self.machine.api("/api/v1/update").await);
        let kept = self.machine.must("do fw_printenv").await;
        assert!(kept.contains("BOOT_ORDER=A"), "{kept}");

        step("an update to the other system");
        let url = emulated::serve(update).await;
        self.machine.update(&url).await;
        self.machine.booted().await;
        step("the power cut while the new system is on trial");
        self.machine.cut_power();
        self.machine.booted().await;
        self.system("B", "done").await;
        let kept = self.machine.must("do fw_printenv").await;
        assert!(
            kept.contains("BOOT_ORDER=B") && kept.contains("BOOT_B_LEFT=3"),
            "the new system is not marked good: {kept}"
        );
    }

    /// Whatever is wrong with the new system, the old one comes back, and no short start leads to the new one again.
    pub async fn returns_from_what_is_no_good(&mut self) {
        step(
            "an update that hangs as it starts: three attempts, each ended by the hardware's watchdog",
        );
        self.returns_from(Fault::Hangs).await;
        step("an update whose phone never starts: judged, and marked bad");
        self.returns_from(Fault::NoPhone).await;
    }

    async fn returns_from(&mut self, fault: Fault) {
        let update = emulated::bundle(self.machine.dir(), fault).await;
        let url = emulated::serve(update).await;
        self.machine.update(&url).await;
        // Of the system that hangs nobody hears; the other one has hands at its pins, too.
        loop {
            self.machine.booted().await;
            if self.slot().await == "B" {
                break;
            }
            assert_ne!(fault, Fault::Hangs, "the system hangs");
        }
        self.system("B", "undone").await;
        let kept = self.machine.must("do fw_printenv").await;
        let order = kept
            .lines()
            .find_map(|line| line.strip_prefix("BOOT_ORDER="));
        assert_eq!(order.map(str::trim), Some("B"), "{kept}");
    }

    /// The slot that runs.
    async fn slot(&mut self) -> String {
        let slot = "do sed 's/.*rauc.slot=\\([AB]\\).*/\\1/' /proc/cmdline";
        self.machine.must(slot).await.trim().to_owned()
    }

    /// The state partition has become another system's: it is left as it is, and the phone does all that it can without.
    pub async fn works_without_state(&mut self) {
        step("the state partition taken by another system");
        // As long as nothing is written back, nothing brings it back either.
        let encrypted = "do sync; state=$(realpath /dev/disk/by-partlabel/state); \
                         head -c 1048576 /dev/zero >$state; printf 'LUKS\\272\\276\\000\\001' >$state; sync -d $state";
        self.machine.must(encrypted).await;
        // And of the boot loader's variables one copy, as if the power had gone while it was written.
        let torn = "do head -c 16384 /dev/zero >/dev/disk/by-partlabel/env; sync -d /dev/disk/by-partlabel/env";
        self.machine.must(torn).await;
        self.machine.cut_power();
        self.machine.booted().await;
        let running = self.machine.must("do cat /proc/cmdline").await;
        assert!(running.contains("rauc.slot=B "), "{running}");
        // What its boot partition provisions is enough to reach the cloud.
        self.machine.ready().await;
        self.machine
            .status("missing its state", |status| {
                let notice = status["notice"].as_str();
                notice.is_some_and(|notice| notice.contains("Nothing is kept"))
            })
            .await;
        // Without the time no certificate is believed for ever.
        let time = "do systemctl is-active systemd-timesyncd";
        assert_eq!(self.machine.must(time).await.trim(), "active");
        let kept = "do head -c 4 /dev/disk/by-partlabel/state; echo";
        assert_eq!(self.machine.must(kept).await.trim(), "LUKS");
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
    }

    /// Waits until the phone runs from this slot, is ready, and says so of its update.
    async fn system(&mut self, slot: &str, update: &str) {
        let running = self.machine.must("do cat /proc/cmdline").await;
        assert!(running.contains(&format!("rauc.slot={slot} ")), "{running}");
        self.machine.ready().await;
        self.machine
            .shows("/api/v1/update", &format!("the update {update}"), |shown| {
                shown["state"] == update
            })
            .await;
    }
}
