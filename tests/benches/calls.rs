//! How long a call's steps take, from the finger to the cloud and back, and what an idle session costs in memory. Numbers
//! to look at, with the simulator on the same machine: there is no network in them, and nothing is asserted.
//!
//! `cargo bench -p offhook-tests --bench calls --profile dev`

use offhook::device::config::Config;
use offhook::runtime::Runtime;
use offhook_board::Board;
use offhook_cloudsim::spec::{InboundSpec, Options, UserSpec};
use offhook_cloudsim::{CallReport, Fault, Simulator};
use offhook_tests::{PATIENCE, Phone, PhoneOptions, Rig};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often each is measured.
const RUNS: usize = 10;
/// How many phones' memory is looked at.
const PHONES: usize = 5;
/// Until a phone's memory stands still after it is ready.
const SETTLED: Duration = Duration::from_secs(3);
/// The configuration of a phone that is a process of its own.
const PHONE: &str = "OFFHOOK_BENCH_PHONE";

fn main() {
    let executor = tokio::runtime::Runtime::new().expect("an event loop");
    if let Ok(config) = std::env::var(PHONE) {
        let config = serde_json::from_str(&config).expect("a configuration");
        return executor.block_on(be_a_phone(config));
    }
    executor.block_on(async {
        answers().await;
        second_calls().await;
        reconnects().await;
        memory().await;
    });
}

async fn answers() {
    let (mut connected, mut media, mut sound) = (Vec::new(), Vec::new(), Vec::new());
    let rig = Rig::start(PhoneOptions::default()).await;
    for _ in 0..RUNS {
        let call = rig.ring(&InboundSpec::to(&rig.user)).await;
        let lifted = now_ms();
        rig.lift().await;
        rig.connected(&call).await;
        let report = rig.wait_media(&call, |leg| leg.packets_in > 0).await;
        connected.push(at(&report, "connected") - lifted);
        media.push(at(&report, "media") - at(&report, "answer"));
        sound.push(at(&report, "first-packet") - lifted);
        rig.hang_up(&call).await;
        rig.no_call().await;
    }
    rig.end().await;
    show("handset lifted -> call connected at the cloud", connected);
    show("handset lifted -> first packet at the far end", sound);
    show("answer (SDP) -> ICE and DTLS up", media);
}

async fn second_calls() {
    let user = UserSpec {
        line_appearances: 1,
        ..UserSpec::named("Agent One")
    };
    let rig = Rig::with(Options::default(), user, PhoneOptions::default()).await;
    let mut connected = Vec::new();
    let first = rig.answered(&InboundSpec::to(&rig.user)).await;
    for _ in 0..RUNS {
        let second = rig.ring(&InboundSpec::to(&rig.user)).await;
        let pressed = now_ms();
        rig.phone.api.tap("line2").await;
        rig.connected(&second).await;
        // The session is there: the gateway switches the sound when it connects the call.
        let report = rig.sim.call(&second).await.expect("the call is known");
        connected.push(at(&report, "connected") - pressed);
        rig.phone.api.call(&second, "end").await;
        rig.ended(&second).await;
        rig.phone.api.tap("line1").await;
        rig.held(&first, false).await;
    }
    rig.hang_up(&first).await;
    rig.end().await;
    show(
        "one line appearance: second call answered -> its sound",
        connected,
    );
}

async fn reconnects() {
    let user = String::new;
    for (what, fault) in [
        (
            "socket broken -> ready again",
            Fault::DropSockets { user: user() },
        ),
        (
            "connection moved -> ready again",
            Fault::Transfer { user: user() },
        ),
        (
            "channel lost -> ready again",
            Fault::CloseChannels { user: user() },
        ),
    ] {
        let mut ready = Vec::new();
        for _ in 0..RUNS.min(5) {
            let rig = Rig::start(PhoneOptions::default()).await;
            let broken = now_ms();
            rig.sim.inject(fault.clone()).expect("the user is known");
            rig.phone
                .api
                .wait_event("connected", |data| data["reconnect"] == true)
                .await;
            ready.push(now_ms() - broken);
            rig.end().await;
        }
        show(what, ready);
    }
}

/// Of phones that are processes of their own, ready and idle, without and with a persistent connection.
async fn memory() {
    let mut costs = Vec::new();
    for persistent in [false, true] {
        let mut sizes = Vec::new();
        for _ in 0..PHONES {
            sizes.push(idle_kb(persistent).await);
        }
        let what = if persistent {
            "idle phone with a persistent connection"
        } else {
            "idle phone"
        };
        sizes.sort_by(f64::total_cmp);
        println!(
            "{what:58} median {:8.0} kB private memory",
            sizes[PHONES / 2]
        );
        costs.push(sizes[PHONES / 2]);
    }
    println!(
        "{:58}        {:8.0} kB",
        "one idle persistent session",
        costs[1] - costs[0]
    );
}

async fn idle_kb(persistent: bool) -> f64 {
    let sim = Simulator::start(Options::default())
        .await
        .expect("a simulator");
    let user = sim.add_user(UserSpec {
        persistent,
        eager: persistent,
        line_appearances: if persistent { 1 } else { 100 },
        ..UserSpec::named("Agent One")
    });
    let dir = tempfile::tempdir().expect("a folder");
    let config = Phone::config(dir.path(), &sim, &user, &PhoneOptions::default());
    let config = serde_json::to_string(&config).expect("JSON");
    let myself = std::env::current_exe().expect("this program");
    let mut phone = Process(
        Command::new(myself)
            .env(PHONE, config)
            .spawn()
            .expect("a phone"),
    );
    let online = sim.wait_until_online(&user.user_id, PATIENCE).await;
    online.expect("the phone connects");
    if persistent {
        let up = sim.wait_for_shared(&user.name, PATIENCE).await;
        up.expect("the connection is set up");
    }
    tokio::time::sleep(SETTLED).await;
    private_kb(&mut phone.0)
}

/// `RssAnon`: what the process has for itself, without program and libraries.
fn private_kb(process: &mut Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.expect("Linux tells");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a number")
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn be_a_phone(config: Config) {
    offhook::device::crypto::install();
    let board = Board::select(&config.board.name, &offhook_board::Machine::default());
    let runtime = Runtime::start(config, board.expect("the board is known")).await;
    runtime.expect("the phone starts").run().await;
}

fn at(report: &CallReport, mark: &str) -> f64 {
    report.at(mark).expect("it happened")
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs_f64() * 1e3
}

fn show(what: &str, mut ms: Vec<f64>) {
    ms.sort_by(f64::total_cmp);
    let (first, median, last) = (ms[0], ms[ms.len() / 2], ms[ms.len() - 1]);
    println!("{what:58} median {median:8.1} ms  ({first:.1} to {last:.1})");
}
