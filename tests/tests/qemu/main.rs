//! The card image on an emulated machine, worked by its pins only: needs `cross/image qemu-virt` and QEMU.
//!
//! Three machines, one after the other, each doing one thing after the other, because starting them takes longest. The
//! emulated processor is 20 to 40 times slower than the phone's, so times are claimed only of the machine whose clock
//! counts instructions.

mod figures;
mod raspberry;
mod trouble;
mod updates;

use offhook_cloudsim::gateway::LegReport;
use offhook_cloudsim::spec::{InboundSpec, SimUser, UserSpec};
use offhook_cloudsim::{CallReport, CallState, Simulator};
use offhook_tests::emulated::{self, Clock, FAR_END, Machine, PATIENCE, Page, leg};
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
