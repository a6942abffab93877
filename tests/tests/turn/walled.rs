//! A network that lets no UDP through: the phone in a network namespace behind a router that drops it.
//!
//! ```text
//! phone 10.213.x.6 -- 10.213.x.5 router (drops UDP) 10.213.x.2 -- 10.213.x.1 this machine: coturn, gateway
//! ```

use crate::call::{Phone, soon};
use crate::coturn::{Coturn, PASSWORD, USER, tls};
use offhook::media::{ConnectionState, IceServer, PeerConfig, PeerEvent};
use offhook_cloudsim::gateway::{Leg, LegConfig, LegEvent};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

/// Tells the phone's lines from the test runner's.
const MARK: &str = "@phone ";
/// Where the phone in the namespace finds what it is to do.
const TASK: &str = "OFFHOOK_TURN_TEST";
const PACKETS: u64 = 100;

/// Two namespaces and the links between them; gone when dropped.
struct Wall {
    name: String,
    net: String,
}

impl Wall {
    /// `None`, with the reason, where namespaces may not be made.
    fn build() -> Option<Self> {
        let id = std::process::id();
        let wall = Self {
            name: format!("oh{id}"),
            net: format!("10.213.{}", id % 250),
        };
        let (name, net) = (&wall.name, &wall.net);
        let made = ip(&format!("netns add {name}p")) && ip(&format!("netns add {name}r"));
        if !made {
            println!(
                "NOT TESTED: no network namespace can be made here (that wants root and iproute2), so the network \
                 without UDP is left out; the calls relayed over TCP and TLS are tested all the same"
            );
            return None;
        }
        for step in [
            // This machine to the router.
            format!("link add {name}a type veth peer name {name}b netns {name}r"),
            format!("address add {net}.1/30 dev {name}a"),
            format!("link set {name}a up"),
            format!("-n {name}r address add {net}.2/30 dev {name}b"),
            format!("-n {name}r link set {name}b up"),
            // The router to the phone.
            format!("-n {name}r link add {name}c type veth peer name {name}d netns {name}p"),
            format!("-n {name}r address add {net}.5/30 dev {name}c"),
            format!("-n {name}r link set {name}c up"),
            format!("-n {name}p address add {net}.6/30 dev {name}d"),
            format!("-n {name}p link set {name}d up"),
            format!("-n {name}p link set lo up"),
            format!("-n {name}p route add default via {net}.5"),
            format!("route add {net}.4/30 via {net}.2"),
            // Both ways, without a word: as a firewall does it.
            format!("-n {name}r rule add ipproto udp blackhole priority 1"),
        ] {
            assert!(ip(&step), "ip {step}");
        }
        let forwards = Command::new("ip")
            .args(["netns", "exec", &format!("{name}r"), "sh", "-c"])
            .arg("echo 1 > /proc/sys/net/ipv4/ip_forward")
            .status();
        assert!(
            forwards.is_ok_and(|status| status.success()),
            "the router does not route"
        );
        Some(wall)
    }

    fn near(&self) -> String {
        format!("{}.1", self.net)
    }

    fn phone_address(&self) -> String {
        format!("{}.6", self.net)
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        // The links go with the namespaces.
        for side in ["p", "r"] {
            ip(&format!("netns delete {}{side}", self.name));
        }
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .is_ok_and(|status| status.success())
}

/// The phone in the namespace: this same test binary, run there.
struct Prisoner {
    _process: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Prisoner {
    fn start(wall: &Wall, task: &Value) -> Self {
        let myself = std::env::current_exe().expect("a test binary");
        let mut process = tokio::process::Command::new("ip")
            .args(["netns", "exec", &format!("{}p", wall.name)])
            .arg(myself)
            .args([
                "--exact",
                "walled::the_phone_behind_the_wall",
                "--ignored",
                "--nocapture",
            ])
            .env(TASK, task.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the phone starts");
        let orders = process.stdin.take().expect("piped");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self {
            _process: process,
            orders,
            lines,
        }
    }

    async fn order(&mut self, order: Value) {
        let line = format!("{order}\n");
        self.orders
            .write_all(line.as_bytes())
            .await
            .expect("the phone lives");
    }

    async fn word(&mut self) -> Value {
        loop {
            let line = self
                .lines
                .next_line()
                .await
                .expect("a pipe")
                .expect("the phone lives");
            // The runner's "test ... " comes first on the same line.
            if let Some((_, word)) = line.split_once(MARK) {
                return serde_json::from_str(word).expect("JSON");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_works_where_udp_is_blocked() {
    let Some(wall) = Wall::build() else { return };
    for carrier in ["tcp", "tls"] {
        let coturn = Coturn::start(&wall.near(), &wall.near()).await;
        let (sender, mut far) = mpsc::unbounded_channel();
        let leg = Leg::new(LegConfig::default(), sender)
            .await
            .expect("a gateway");
        let offer = leg.offer().await.expect("an offer");
        // As a cloud offers them: UDP first. It would do, were it not for the wall.
        let task = json!({
            "offer": offer,
            "servers": [coturn.url("udp"), coturn.url(carrier)],
            "certificate": coturn.certificate(),
        });
        let started = Instant::now();
        let mut phone = Prisoner::start(&wall, &task);
        let (mut here, mut there) = (false, false);
        let mut candidates = Vec::new();
        let connecting = async {
            while !(here && there) {
                tokio::select! {
                    word = phone.word() => {
                        if let Some(sdp) = word["answer"].as_str() {
                            leg.answer(sdp).await.expect("a good answer");
                        } else if let Some(candidate) = word["candidate"].as_str() {
                            leg.candidate(candidate, "audio").await.expect("a good candidate");
                            candidates.push(candidate.to_owned());
                        } else {
                            assert_eq!(word, json!({ "connected": true }));
                            here = true;
                        }
                    }
                    event = far.recv() => match event.expect("the gateway lives") {
                        LegEvent::Candidate(candidate) => phone.order(json!({ "candidate": candidate })).await,
                        LegEvent::Connected => there = true,
                        LegEvent::Failed(why) => panic!("the gateway: {why}"),
                        _ => {}
                    },
                }
            }
        };
        soon("a connection", connecting).await;
        let took = started.elapsed();
        // It tried to be reached directly, and only the relay was of use.
        assert!(
            candidates
                .iter()
                .any(|c| c.contains(&wall.phone_address()) && c.contains("typ host"))
        );
        assert!(
            candidates.iter().any(|c| c.contains("typ relay")),
            "{candidates:?}"
        );
        phone.order(json!({ "talk": PACKETS })).await;
        let talked = soon("both to have heard", async {
            loop {
                let word = phone.word().await;
                if word["figures"].is_object() {
                    return word["figures"].clone();
                }
            }
        })
        .await;
        let report = leg.report().await;
        println!(
            "{carrier} behind the wall: connected after {took:?}; {talked}; far end {}",
            report.packets_in
        );
        assert!(
            talked["packetsReceived"].as_u64() >= Some(PACKETS),
            "{talked}"
        );
        assert_eq!(talked["packetsLost"], 0, "{talked}");
        assert!(report.packets_in >= PACKETS / 2, "{report:?}");
        assert_eq!(report.lost, 0);
        leg.close().await;
    }
}

#[test]
#[ignore = "a_call_works_where_udp_is_blocked runs it in a network of its own"]
fn the_phone_behind_the_wall() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let task: Value = serde_json::from_str(&task).expect("JSON");
    tokio::runtime::Runtime::new()
        .expect("an event loop")
        .block_on(be_the_phone(&task));
}

async fn be_the_phone(task: &Value) {
    offhook::device::crypto::install();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let servers = task["servers"].as_array().expect("a list");
    let config = PeerConfig {
        ice_servers: servers
            .iter()
            .map(|url| IceServer {
                url: text(url),
                username: USER.into(),
                credential: PASSWORD.to_owned().into(),
            })
            .collect(),
        tls: Some(tls(&PathBuf::from(text(&task["certificate"])))),
        frame_ms: 20,
        ..Default::default()
    };
    let say = |word: Value| println!("{MARK}{word}");
    let mut phone = Phone::open(config, text(&task["offer"])).await;
    let (order, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if order.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            event = phone.events.recv() => match event.expect("the peer lives") {
                PeerEvent::Answered { sdp, .. } => say(json!({ "answer": sdp })),
                PeerEvent::Candidate { candidate, .. } => say(json!({ "candidate": candidate })),
                PeerEvent::Connection(ConnectionState::Connected) => say(json!({ "connected": true })),
                PeerEvent::Failed(error) => panic!("{error}"),
                _ => {}
            },
            line = orders.recv() => {
                let Some(line) = line else { return };
                let order: Value = serde_json::from_str(&line).expect("JSON");
                if let Some(candidate) = order["candidate"].as_str() {
                    phone.peer.add_candidate("audio", candidate).await;
                } else if let Some(packets) = order["talk"].as_u64() {
                    phone.hear(packets).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    say(json!({ "figures": phone.peer.statistics() }));
                }
            }
        }
    }
}
