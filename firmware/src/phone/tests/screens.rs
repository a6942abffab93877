//! The display in every state, as one text to read through.
use super::bench::Bench;
use super::words::in_words;
use crate::phone::Screen;

/// Every state a user meets, and the steps that lead there.
pub(in crate::phone) const STATES: [(&str, &[&str]); 35] = [
    ("just switched on", &[]),
    ("idle", &["over cloud"]),
    ("login needed", &["notice login"]),
    ("logged out", &["login in", "login out", "notice login"]),
    ("menu", &["login in", "tap ok"]),
    ("log out?", &["login in", "tap ok", "tap down", "tap ok"]),
    (
        "stations",
        &["stations WebRTC-Desk-7=ours Home-office Desk-8=taken"],
    ),
    ("station taken", &["notice station-taken"]),
    ("about", &["tap ok", "tap 2"]),
    ("connecting", &["notice connecting"]),
    ("missed calls", &["A rings", "A cancelled", "A gone"]),
    ("ringing", &["A rings"]),
    ("ringing without a name", &["C rings"]),
    ("two ring", &["A rings", "B rings"]),
    ("dial tone", &["lift"]),
    ("dialing", &["lift", "type 13175550100"]),
    ("dialing on-hook", &["type 01317"]),
    ("placing", &["lift", "type 4711#"]),
    ("far end rings", &["lift", "type 4711#", "A dialing"]),
    ("talking", &["A rings", "lift", "A connected", "wait 754s"]),
    ("muted", &["A rings", "lift", "A connected", "tap mute"]),
    ("on hold", &["A rings", "lift", "A connected", "A held"]),
    (
        "another calls",
        &["A rings", "lift", "A connected", "B rings"],
    ),
    (
        "two calls",
        &[
            "A rings",
            "lift",
            "A connected",
            "B rings",
            "flash",
            "A held",
            "B connected",
            "wait 3700s",
        ],
    ),
    (
        "left on hold",
        &["A rings", "lift", "A connected", "A held", "rest"],
    ),
    ("call ended", &["A rings", "lift", "A connected", "A gone"]),
    ("call failed", &["lift", "type 4711#", "offline start 4711"]),
    (
        "volume",
        &["A rings", "lift", "A connected", "tap volume_up"],
    ),
    ("message", &["tap redial"]),
    (
        "transfer to",
        &[
            "A rings",
            "lift",
            "A connected",
            "tap transfer",
            "A held",
            "type 4711",
        ],
    ),
    (
        "asking first",
        &[
            "A rings",
            "lift",
            "A connected",
            "A consult Bob DESTINATION",
        ],
    ),
    (
        "conference",
        &[
            "A rings",
            "lift",
            "A connected",
            "A parties Alice Bob Carol",
        ],
    ),
    (
        "who is in the conference",
        &[
            "A rings",
            "lift",
            "A connected",
            "A parties Alice Bob Carol",
            "tap soft2",
        ],
    ),
    (
        "recorded",
        &["A rings", "lift", "A connected", "A recorded"],
    ),
    (
        "wrap-up",
        &["wrap A optional", "codes A Sale Complaint Callback"],
    ),
];

/// The screen of a state, on the phone of an agent.
pub(in crate::phone) fn screen(steps: &[&str]) -> Screen {
    let mut bench = Bench::default();
    if !steps.is_empty() {
        bench.step("agent Ann WebRTC-Desk-7");
        bench.step("clock 14:05");
    }
    for step in steps {
        bench.step(step);
    }
    bench.screen
}

#[test]
fn screens_of_all_states() {
    let texts = STATES.map(|(state, steps)| {
        let screen = screen(steps);
        let soft = screen.soft_keys.join("|");
        format!(
            "{state}: {:?}\n  {}\n  {soft}\n",
            screen.look,
            in_words(&screen)
        )
    });
    let text = texts.concat();
    insta::assert_snapshot!(text);
}
