//! Whatever is pressed, and whatever the cloud does: no panic, no open microphone, and silence in the end.
use super::bench::Bench;
use crate::phone::{DigitMap, PhoneConfig};
use offhook_hal::Key;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Said(String),
    Outcome(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fixed = [
        "lift",
        "rest",
        "flash",
        "wait 100ms",
        "wait 1s",
        "wait 5s",
        "wait 25s",
        "wait 70s",
        "api dial 4711",
        "active A",
        "active B",
        "notice login",
        "notice none",
        "login in",
        "A consult Bob DESTINATION",
        "B consult Bob=rings CONFERENCE",
        "A parties Alice Bob",
        "A consult-over",
        "A recorded",
        "wrap A optional",
        "wrap B mandatory",
        "wrap A over",
        "wrap B over",
        "leader elsewhere",
        "leader here",
        "login out",
        "stations Desk-7=ours Home",
        "refused list",
        r#"api {"path":"speaker","mute":true}"#,
        r#"api {"path":"handset","mute":false}"#,
        r#"api {"path":"headset","volume":{"headset":3}}"#,
    ];
    let hooks = prop::sample::select(&["lift", "rest"][..]).prop_map(str::to_owned);
    let fixed = prop::sample::select(fixed.to_vec()).prop_map(str::to_owned);
    let key = (
        prop::sample::select(&["press", "release", "tap", "long"][..]),
        prop::sample::select(&Key::ALL[..]),
    )
        .prop_map(|(action, key)| format!("{action} {key}"));
    let whats = [
        "alerting",
        "proposed",
        "rings",
        "retracted",
        "auto",
        "accepted",
        "contacting",
        "dialing",
        "up",
        "connected",
        "connected",
        "held",
        "unheld",
        "muted",
        "unmuted",
        "again",
        "elsewhere",
        "ended",
        "gone",
        "cancelled",
        "handled",
        "failed",
    ];
    let call = (
        prop::sample::select(&["A", "B", "C", "D", "E"][..]),
        prop::sample::select(whats.to_vec()),
    )
        .prop_map(|(call, what)| format!("{call} {what}"));
    let said = prop_oneof![2 => hooks, 2 => fixed, 4 => key, 4 => call].prop_map(Step::Said);
    let outcome =
        (any::<usize>(), any::<bool>()).prop_map(|(index, well)| Step::Outcome(index, well));
    prop::collection::vec(prop_oneof![9 => said, 2 => outcome], 0..120)
}

/// What sounds and lights, as the outputs have said.
#[derive(Debug, Default)]
struct World(BTreeMap<String, String>);

impl World {
    fn take(&mut self, said: &str) {
        for said in said.split("; ").filter(|said| !said.is_empty()) {
            let (what, how) = said.rsplit_once(' ').unwrap_or((said, ""));
            self.0.insert(what.to_owned(), how.to_owned());
        }
    }

    fn is(&self, what: &str) -> &str {
        self.0.get(what).map_or("off", String::as_str)
    }
}

fn run(script: &[Step]) {
    let config = PhoneConfig {
        digit_map: DigitMap::parse(&["112", "4x.T"]).expect("readable"),
        ..PhoneConfig::default()
    };
    let mut bench = Bench::new(config);
    let mut world = World::default();
    let mut lifted = false;
    for step in script {
        let said = match step {
            Step::Said(step) => {
                match step.as_str() {
                    "lift" => lifted = true,
                    "rest" => lifted = false,
                    _ => {}
                }
                bench.step(step)
            }
            Step::Outcome(..) if bench.open_commands() == 0 => continue,
            Step::Outcome(index, well) => bench.finish(index % bench.open_commands(), *well),
        };
        world.take(&said);
        check(&bench, &world, lifted);
    }
    // The calls go, the handset is laid down, time passes.
    for call in ["A", "B", "C", "D", "E"] {
        world.take(&bench.step(&format!("{call} gone")));
        check(&bench, &world, lifted);
    }
    world.take(&bench.step("rest"));
    world.take(&bench.step("notice none"));
    world.take(&bench.step("tap back"));
    world.take(&bench.step("tap back"));
    world.take(&bench.step("wait 120s"));
    for (what, how) in &world.0 {
        let is_quiet = how == "off" || how == "none";
        let is_setting = ["path", "volume", "ring volume"].contains(&what.as_str());
        let is_command = bench_command(what);
        assert!(
            is_quiet || is_setting || is_command,
            "{what} {how} is left over: {world:?}"
        );
    }
    assert_eq!(bench.phone.next_timeout(), None, "nothing is waited for");
}

/// Commands are said among the outputs, but do not sound or light.
fn bench_command(what: &str) -> bool {
    [
        "start", "accept", "reject", "end", "mute", "unmute", "hold", "resume", "dtmf", "wish",
        "transfer", "consult", "complete", "cancel", "speak", "add", "merge", "remove", "record",
        "codes", "wrap", "skip",
    ]
    .iter()
    .any(|command| what.split(' ').next() == Some(command))
}

fn check(bench: &Bench, world: &World, lifted: bool) {
    let open = lifted || world.is("speaker") == "on" || world.is("headset") == "on";
    assert_eq!(
        world.is("listen") == "on",
        open,
        "the ear hears while a path is open: {world:?}"
    );
    if open {
        assert_eq!(world.is("ring"), "off", "{world:?}");
    } else {
        assert_eq!(world.is("tone"), "off", "{world:?}");
        assert_eq!(world.is("key"), "off", "{world:?}");
        assert!(["off", "none"].contains(&world.is("talk")), "{world:?}");
    }
    let talk = world.is("talk");
    if !["off", "none"].contains(&talk) {
        assert!(bench.can_hear_us(talk), "the microphone goes to {talk}");
    }
    if let Some(at) = bench.phone.next_timeout() {
        assert!(at > bench.now, "a wait that is over has ended");
        assert!(
            at - bench.now <= Duration::from_mins(1),
            "no wait is longer than the table's longest"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn silence_in_the_end(script in steps()) {
        run(&script);
    }
}
