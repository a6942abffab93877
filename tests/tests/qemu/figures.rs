//! What the phone takes of its machine.

use super::Bench;
use offhook_board::{Board, Budgets};
use std::time::Duration;

/// Memory of an idle phone, MB resident. What it may take in a call, and until it is ready, its board's file says.
const IDLE_MB: u64 = 25;
/// How often an idle phone may wake in a second, and for how long that is watched.
const MOST_WAKES: u64 = 20;
const WATCHED_S: u64 = 10;
/// How long the phone may take from its start until it is ready for calls, and from a key's contact to its lamp, which
/// holds the debounce time of 5 ms.
const READY: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_millis(15);
/// How soon a phone that was killed takes calls again.
const BACK: Duration = Duration::from_secs(5);
/// How often it is looked how soon a key is answered; even, so that its lamp is dark in the end.
const ANSWERS: usize = 20;
/// The page's port, 8322, as the kernel writes it.
const PAGE_PORT: &str = ":2082";
/// The phone's process.
const PROCESS: &str = "systemctl show offhook -p MainPID --value";
/// How long the phone took from its start until it was ready for calls, each time.
pub const READY_AFTER: &str =
    "do journalctl -u offhook -o cat --no-pager | grep -o 'ready for calls.*'";

/// What the board's file allows.
fn budgets() -> Budgets {
    Board::builtin("qemu-virt").expect("it comes along").budgets
}

impl Bench {
    /// What the machine says of its start, for the reader of the log; and what an idle phone takes.
    pub async fn figures(&mut self) {
        for command in [
            "do systemd-analyze time",
            "do systemd-analyze critical-chain --no-pager offhook.service",
            READY_AFTER,
            "do systemctl show offhook -p MemoryCurrent -p MemoryPeak",
            "do df -h / /state /boot/firmware; free -m",
        ] {
            println!("{command}\n{}", self.machine.tell(command).await.0);
        }
        let failed = "do systemctl --failed --no-pager --no-legend";
        assert_eq!(self.machine.must(failed).await, "", "failed units");
        self.knows_the_time().await;
        self.is_closed().await;
        self.was_ready_within(budgets().startup).await;
        self.takes_at_most(IDLE_MB * 1_000_000).await;
        self.sleeps().await;
    }

    /// The hardware's clock is in 1970, and certificates are valid all the same.
    async fn knows_the_time(&mut self) {
        let clocks =
            "do cat /sys/class/rtc/rtc0/since_epoch; stat -c %Y /usr/lib/clock-epoch; date +%s";
        let told = self.machine.must(clocks).await;
        let times: Vec<u64> = numbers(&told).collect();
        let [hardware, image, now] = times[..] else {
            panic!("no times: {told}");
        };
        assert!(hardware < 86_400, "the hardware's clock: {hardware}");
        assert!(now >= image, "{now} is before the image's {image}");
    }

    /// Nobody can log in: of all that listens for the network, the phone's page is the only one.
    async fn is_closed(&mut self) {
        // Address:port in hexadecimal, and the state: 0A listens.
        let listening = "do sed -nE '/: ([0-9A-F]{6}7F|0{24}01000000):/d; s/^ *[0-9]+: ([^ ]+) [^ ]+ 0A .*/\\1/p' \
                         /proc/net/tcp /proc/net/tcp6";
        let told = self.machine.must(listening).await;
        let open: Vec<&str> = told.split_whitespace().collect();
        println!("listening for the network: {open:?}");
        assert!(open.iter().all(|one| one.ends_with(PAGE_PORT)), "{told}");
    }

    /// Ready for a call, connected to its cloud, so soon after the phone was started; by the machine's own clock.
    pub async fn starts_quickly(&mut self) {
        for command in [
            "do systemd-analyze time",
            "do systemd-analyze critical-chain --no-pager offhook.service",
        ] {
            println!("{command}\n{}", self.machine.tell(command).await.0);
        }
        self.was_ready_within(READY).await;
    }

    /// A key of the resting phone is answered so soon, on average; by the machine's own clock.
    pub async fn answers_quickly(&mut self) {
        let mut answers = Vec::new();
        for n in 0..ANSWERS {
            answers.push(self.answer("speaker", n % 2 == 0).await);
            // By the machine's clock the finger was away for a moment only, less than the keys are given to bounce.
            self.machine.must("do sleep 0.05").await;
        }
        let mean = answers.iter().sum::<Duration>() / ANSWERS as u32;
        println!("from the contact to the lamp {mean:?} on average, of {answers:?}");
        assert!(mean <= ANSWER, "{mean:?}");
    }

    /// After it was killed it takes calls again so soon; by the machine's own clock.
    pub async fn is_back_quickly(&mut self) {
        let away = self.killed_and_back().await;
        self.machine.ready().await;
        let told = self.machine.must(READY_AFTER).await;
        // What it says last is of its second start.
        let last = told
            .lines()
            .filter_map(|line| line.split_once("after_ms="))
            .next_back();
        let ready = last
            .and_then(|(_, ms)| ms.trim().parse().ok())
            .map(Duration::from_millis);
        println!("it runs again after {away:?}, and is ready {ready:?} after its start");
        let back = away + ready.expect("it was ready");
        assert!(back < BACK, "{back:?}");
    }

    /// From its first start until it was ready for calls. Later lines may be of a connection that came back.
    async fn was_ready_within(&mut self, allowed: Duration) {
        let told = self.machine.must(READY_AFTER).await;
        println!("{told}");
        let first = told.lines().find_map(|line| line.split_once("after_ms="));
        let took = first.and_then(|(_, ms)| ms.trim().parse().ok());
        let in_time = took.is_some_and(|ms| Duration::from_millis(ms) <= allowed);
        assert!(in_time, "{allowed:?} are allowed: {told}");
    }

    /// The memory of a phone in a call.
    pub async fn takes_no_more_than_a_call_may(&mut self) {
        self.takes_at_most(u64::from(budgets().ram_mib) << 20).await;
    }

    /// The phone's own memory, as of now.
    async fn takes_at_most(&mut self, allowed: u64) {
        let status = format!("do grep VmRSS /proc/$({PROCESS})/status");
        let resident = self.machine.must(&status).await;
        let bytes = 1024 * numbers(&resident).sum::<u64>();
        println!("{} kB resident, of {}", bytes / 1000, allowed / 1000);
        assert!(bytes <= allowed, "{resident}");
    }

    /// An idle phone, connected to its cloud, hardly wakes.
    async fn sleeps(&mut self) {
        let counts = format!("grep -h ^voluntary /proc/$({PROCESS})/task/*/status");
        // The wake-ups of a stretch of time are what is counted: there is no event to wait for.
        let watch = format!("do {counts}; echo later; sleep {WATCHED_S}; {counts}");
        let counted = self.machine.must(&watch).await;
        let (before, after) = counted.split_once("later").expect("both");
        let wakes = numbers(after)
            .sum::<u64>()
            .saturating_sub(numbers(before).sum());
        println!("{wakes} wake-ups of the idle phone in {WATCHED_S} s");
        assert!(wakes <= MOST_WAKES * WATCHED_S, "{counted}");
    }
}

/// The numbers among the words.
fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok())
}
