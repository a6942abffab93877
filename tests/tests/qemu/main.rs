//! The card image on an emulated machine, worked by its pins only: needs `cross/image qemu-virt` and QEMU.
//!
//! Three machines, one after the other, each doing one thing after the other, because starting them takes longest. The
//! emulated processor is 20 to 40 times slower than the phone's, so times are claimed only of the machine whose clock
//! counts instructions.

mod figures;
mod raspberry;

use figures::READY_AFTER;
use offhook_cloudsim::gateway::LegReport;
use offhook_cloudsim::spec::{InboundSpec, SimUser, UserSpec};
use offhook_cloudsim::{CallReport, CallState, Simulator};
use offhook_tests::emulated::{self, Clock, FAR_END, Fault, Machine, PATIENCE, Page, leg};
use serde_json::json;
use std::time::Duration;

/// What a phone's dial tone is in North America, Hz.
const DIAL_TONE: [f32; 2] = [350.0, 440.0];
/// What is said into the handset, Hz.
const NEAR_END: f32 = 600.0;

/// How many sets of keys are held down: each key and each pair of the 16, seven times and more.
const SCANS: usize = 1000;
/// Numbers that are called, by keys and by transfer, and that calls.
const DIALED: &str = "1472580369";
const TRANSFERRED_TO: &str = "5550199";
const CALLER: &str = "3175550123";
/// The machine's time, microseconds since its start.
const NOW: &str = "sed 's/\\([0-9]*\\)[.]\\([0-9]*\\) .*/\\1\\20000/' /proc/uptime";
/// When the phone said last that it runs, the same.
const STARTED: &str = "systemctl show offhook -p ActiveEnterTimestampMonotonic --value";

struct Bench {
    sim: Simulator,
    user: SimUser,
    machine: Machine,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_worked_by_its_pins() {
    let mut bench = Bench::start("calls", Clock::Host).await;
    bench.figures().await;
    bench.calls_out_and_uses_every_key().await;
    bench.takes_a_call().await;
    bench.is_worked_from_its_page().await;
    bench.survives_its_network().await;
    bench.survives_its_end().await;
    bench.scans_its_keys().await;
    bench.survives_its_sound_card().await;
    bench.kept_its_secrets().await;
    bench.survives_its_card().await;
    bench.kept_the_protocol();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_by_the_clock_of_its_instructions() {
    let mut bench = Bench::start("clock", Clock::Instructions).await;
    bench.starts_quickly().await;
    bench.answers_quickly().await;
    bench.is_back_quickly().await;
    bench.kept_the_protocol();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_is_updated() {
    let mut bench = Bench::start("updates", Clock::Host).await;
    bench.survives_a_power_cut().await;
    bench.updates().await;
    bench.returns_from_what_is_no_good().await;
    bench.works_without_state().await;
    bench.kept_the_protocol();
}

impl Bench {
    /// A simulator and a fresh machine, ready for a call.
    async fn start(name: &str, clock: Clock) -> Self {
        offhook::device::crypto::install();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .init();
        let sim = Simulator::start(emulated::cloud())
            .await
            .expect("the simulator starts");
        let user = sim.add_user(UserSpec::named("Agent One"));
        let machine = Machine::start(name, clock, &sim, &user).await;
        let mut bench = Self { sim, user, machine };
        bench.machine.ready().await;
        bench
    }

    fn kept_the_protocol(&self) {
        let violations = self.sim.violations();
        assert!(
            violations.is_empty(),
            "the phone broke the protocol: {violations:#?}"
        );
    }

    async fn calls_out_and_uses_every_key(&mut self) {
        step("dial tone");
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;

        step("every digit key, in a number");
        self.machine.say(NEAR_END);
        self.machine.dial(DIALED).await;
        self.machine.tap("#").await;
        let call = self
            .sim
            .wait_for_new_call(&[], PATIENCE)
            .await
            .expect("a call");
        let report = self.sim.call(&call).await.expect("it is known");
        assert!(
            report.remote_address.contains(DIALED),
            "dialed {}",
            report.remote_address
        );
        self.connected(&call).await;

        step("tone both ways");
        self.machine.hears(&[FAR_END]).await;
        self.leg(&call, "hearing the near end", |leg| hears(leg, NEAR_END))
            .await;

        step("mute");
        self.answer("mute", true).await;
        self.leg(&call, "silent", |leg| leg.level_in.dbfs < -60.0)
            .await;
        self.answer("mute", false).await;
        self.leg(&call, "hearing again", |leg| hears(leg, NEAR_END))
            .await;

        step("hold");
        self.machine.tap("hold").await;
        self.call(&call, "held", |report| report.held).await;
        self.machine.tap("hold").await;
        self.call(&call, "no longer held", |report| !report.held)
            .await;
        self.machine.hears(&[FAR_END]).await;

        step("two keys at once, and three corners of a rectangle");
        self.machine.hold_down(&["*", "5"]).await;
        self.leg(&call, "told both digits", |leg| sorted(leg) == "*5")
            .await;
        self.machine.hold_down(&[]).await;
        self.machine.hold_down(&["1", "2"]).await;
        self.leg(&call, "told two more", |leg| sorted(leg) == "*125")
            .await;
        // The fourth corner, 5, is a ghost; 4 is real, but nobody can know that, for as long as a finger stays.
        self.machine.hold_for_a_tap(&["1", "2", "4"]).await;
        self.leg(&call, "told nothing more", |leg| sorted(leg) == "*125")
            .await;
        self.machine.hold_down(&["1", "4"]).await;
        self.leg(&call, "told the third corner", |leg| sorted(leg) == "*1245")
            .await;
        self.machine.let_go().await;
        // A ghost would have been told before this.
        self.machine.tap("9").await;
        let nine = |leg: &LegReport| leg.dtmf.last().is_some_and(|tone| tone.digit == '9');
        let leg = self.leg(&call, "told the last digit", nine).await;
        assert_eq!(sorted(&leg), "*12459");

        self.takes_no_more_than_a_call_may().await;

        step("transfer");
        self.machine.tap("transfer").await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.dial(TRANSFERRED_TO).await;
        self.machine.tap("#").await;
        self.over(&call).await;
        self.machine.rest().await;
    }

    /// Holds a key until its lamp, which has its name, changes; how long that took on the machine's own clock.
    async fn answer(&mut self, key: &str, lit: bool) -> Duration {
        self.machine.hold_down(&[key]).await;
        self.machine.lamp(key, lit).await;
        let micros = self.machine.must("answer").await;
        self.machine.let_go().await;
        Duration::from_micros(self::micros(&micros))
    }

    async fn takes_a_call(&mut self) {
        step("an inbound call");
        let spec = InboundSpec {
            from_address: format!("tel:+1{CALLER}"),
            leg: leg(),
            ..InboundSpec::to(&self.user)
        };
        let call = self.sim.call_user(&spec).expect("the cloud can ring");
        self.machine
            .status("ringing", |status| {
                !status["calls"].as_array().is_none_or(Vec::is_empty)
            })
            .await;
        self.machine.lift().await;
        self.connected(&call).await;
        self.machine.hears(&[FAR_END]).await;
        self.leg(&call, "hearing the near end", |leg| hears(leg, NEAR_END))
            .await;
        self.machine.rest().await;
        self.over(&call).await;
        self.machine.silent().await;
    }

    /// What `cross/qemu --panel` shows a person: clicks that close the emulated contacts.
    async fn is_worked_from_its_page(&mut self) {
        step("its page");
        let page = Page::start(&self.machine).await;
        let http = reqwest::Client::new();
        let click = async |part: &str, body: serde_json::Value| {
            let url = format!("{}/api/v1/board/{part}", page.url());
            let answer = http.post(url).json(&body).send().await;
            answer.expect("the page answers").status().as_u16()
        };
        let ask = async |path: &str| {
            let answer = http.get(format!("{}{path}", page.url())).send().await;
            answer.expect("the page answers")
        };
        assert_eq!(click("hook", json!({ "state": "lifted" })).await, 202);
        self.machine.hears(&DIAL_TONE).await;
        let speaker = json!({ "key": "speaker", "action": "tap" });
        assert_eq!(click("keys", speaker.clone()).await, 202);
        self.machine.lamp("speaker", true).await;
        let lamps: serde_json::Value = ask("/api/v1/board/lamps").await.json().await.unwrap();
        assert_eq!(
            (&lamps["speaker"], &lamps["mute"]),
            (&json!("on"), &json!("off"))
        );
        assert_eq!(click("keys", speaker).await, 202);
        self.machine.lamp("speaker", false).await;
        let no_such_key = json!({ "key": "redial", "action": "tap" });
        assert_eq!(click("keys", no_such_key).await, 404);
        let display = ask("/api/v1/board/display.png").await.bytes().await;
        assert!(display.unwrap().starts_with(b"\x89PNG"));
        assert_eq!(click("hook", json!({ "state": "resting" })).await, 202);
        self.machine.silent().await;
    }

    async fn survives_its_network(&mut self) {
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

    async fn survives_its_end(&mut self) {
        step("the firmware killed");
        self.killed_and_back().await;
        self.machine.ready().await;
        println!("{}", self.machine.must(READY_AFTER).await);
        self.machine.lift().await;
        self.machine.hears(&DIAL_TONE).await;
        self.machine.rest().await;
    }

    /// Kills the phone, and waits until it is started again; for how long it was away, by the machine's clock.
    async fn killed_and_back(&mut self) -> Duration {
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
    async fn survives_its_sound_card(&mut self) {
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
    async fn survives_its_card(&mut self) {
        step("the card pulled while it is written to");
        let pulled = "do (dd if=/dev/zero of=/state/offhook/fill bs=4k count=1000 conv=fsync 2>&1 &); \
                      echo 1 >/sys/class/block/vda/device/../remove; echo";
        self.machine.must(pulled).await;
        self.machine
            .status("missing its card", |status| {
                let notice = status["notice"].as_str();
                notice.is_some_and(|notice| notice.contains("Nothing is kept"))
            })
            .await;
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
    async fn kept_its_secrets(&mut self) {
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

    /// Every scan of up to two keys is right: what `offhook check --keys` prints is what was held.
    async fn scans_its_keys(&mut self) {
        step("keys held, one or two at a time");
        let held: Vec<Vec<&str>> = some_keys(SCANS).collect();
        let words: Vec<String> = held
            .iter()
            .map(|keys| format!("{:04x}", emulated::bits(keys)))
            .collect();
        self.machine
            .must("do systemctl stop offhook && systemd-run -q --unit=keys -p StandardOutput=file:/run/keys offhook check --keys")
            .await;
        let begun = |output: &str| output.contains("Press keys");
        self.machine
            .until("the look at the keys", "do cat /run/keys", begun)
            .await;
        for words in words.chunks(100) {
            // A pause is a read of bash's own that nobody answers: starting `sleep` takes the machine longer than the pause.
            let hold = format!(
                "do export panel; bash -c 'exec 9<> <(:); pause() {{ read -rt 0.06 -u 9; }}; \
                 for keys in {}; do echo $keys >$panel/keys; pause; echo 0 >$panel/keys; pause; done; true'",
                words.join(" ")
            );
            self.machine.must_in_time(&hold).await;
        }
        step("the keypad in another program's hands, and back");
        self.machine
            .must("do systemctl start --no-block offhook")
            .await;
        let no_keys = |status: &serde_json::Value| {
            let notice = status["notice"].as_str();
            notice.is_some_and(|notice| notice.contains("Keys do not work"))
        };
        self.machine.status("missing its keys", no_keys).await;
        let printed = self
            .machine
            .must("do systemctl stop keys; cat /run/keys")
            .await;
        self.machine
            .status("with its keys again", |status| {
                status["ready"] == true && !no_keys(status)
            })
            .await;
        let seen = groups(&printed);
        let right = held
            .iter()
            .zip(&seen)
            .filter(|(held, seen)| held == seen)
            .count();
        println!("{right} of {SCANS} scans are right");
        assert_eq!(seen, held);
        self.machine.ready().await;
    }

    async fn survives_a_power_cut(&mut self) {
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
    }

    async fn updates(&mut self) {
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
    async fn returns_from_what_is_no_good(&mut self) {
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
    async fn works_without_state(&mut self) {
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

    async fn connected(&mut self, call: &str) {
        let done = self
            .sim
            .wait_for_state(call, CallState::Connected, PATIENCE)
            .await;
        if let Err(error) = done {
            let journal = self
                .machine
                .tell("do journalctl -u offhook --no-pager -n 60")
                .await
                .0;
            panic!("the call is not connected: {error}\n{journal}");
        }
    }

    async fn over(&self, call: &str) {
        let done = self
            .sim
            .wait_for_state(call, CallState::Terminated, PATIENCE)
            .await;
        done.expect("the call is over");
    }

    async fn call(&self, call: &str, what: &str, wanted: impl Fn(&CallReport) -> bool) {
        let done = self.sim.wait_for(call, wanted, PATIENCE).await;
        done.unwrap_or_else(|error| panic!("the call is never {what}: {error}"));
    }

    /// Waits until the far end is as wanted; it changes without an event, so it is looked at again.
    async fn leg(&self, call: &str, what: &str, wanted: impl Fn(&LegReport) -> bool) -> LegReport {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut report = self.sim.call(call).await.expect("the call is known");
            if report.leg.as_ref().is_some_and(&wanted) {
                return report.leg.take().expect("it is wanted");
            }
            assert!(
                tokio::time::Instant::now() < end,
                "the far end is not {what}: {:#?}",
                report.leg
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn hears(leg: &LegReport, hz: f32) -> bool {
    leg.level_in.dbfs > -40.0 && (leg.level_in.dominant_hz - hz).abs() < 20.0
}

/// The digits so far, in the order of their characters: two keys at once come in any order.
fn sorted(leg: &LegReport) -> String {
    let mut digits: Vec<char> = leg.dtmf.iter().map(|tone| tone.digit).collect();
    digits.sort_unstable();
    digits.into_iter().collect()
}

/// Sets of one or two keys, always the same ones.
fn some_keys(count: usize) -> impl Iterator<Item = Vec<&'static str>> {
    let all = emulated::LABELS.as_flattened();
    // Every key, then every pair.
    let pairs = (0..all.len()).flat_map(|a| (a..all.len()).map(move |b| (a, b)));
    pairs.cycle().take(count).map(|(a, b)| {
        let mut keys = vec![all[a]];
        if a != b {
            keys.push(all[b]);
        }
        keys.sort_unstable();
        keys
    })
}

/// What `offhook check --keys` printed, as the sets of keys that were down together.
fn groups(printed: &str) -> Vec<Vec<&str>> {
    let (mut groups, mut group, mut down) = (Vec::new(), Vec::new(), 0);
    for line in printed.lines() {
        if let Some(key) = line.strip_suffix(" pressed") {
            group.push(key);
            down += 1;
        } else if line.ends_with(" released") {
            down -= 1;
        }
        if down == 0 && !group.is_empty() {
            group.sort_unstable();
            groups.push(std::mem::take(&mut group));
        }
    }
    groups
}

/// Microseconds, as systemd says them.
fn micros(text: &str) -> u64 {
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("no time: {text:?}"))
}

fn step(what: &str) {
    println!("--- {what}");
}
