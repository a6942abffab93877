//! The sound of a board.

use super::*;

#[test]
fn the_sound_of_another_enclosure_is_tuned() {
    use crate::{EchoCancelling, GainControl};
    let speaker = |text: &str| Board::parse(text, "b").unwrap().audio.speaker.unwrap();
    let usual = speaker(&GOOD);
    let echo = EchoCancelling {
        extra_delay_ms: 0,
        gate_db: 24,
    };
    let gain = GainControl {
        headroom_db: 5,
        most_db: 18,
    };
    assert_eq!(usual.echo_cancelling, Some(echo));
    assert_eq!(usual.gain_control, Some(gain));
    let (echo_on, gain_on) = ("echo_cancelling = true\n", "gain_control = true\n");
    let text = changed(
        echo_on,
        &format!("{echo_on}echo_extra_delay_ms = 40\necho_gate_db = 12\n"),
    )
    .replace(
        gain_on,
        &format!("{gain_on}gain_headroom_db = 9\ngain_most_db = 12\n"),
    );
    let tuned = speaker(&text);
    let echo = EchoCancelling {
        extra_delay_ms: 40,
        gate_db: 12,
    };
    let gain = GainControl {
        headroom_db: 9,
        most_db: 12,
    };
    assert_eq!(tuned.echo_cancelling, Some(echo));
    assert_eq!(tuned.gain_control, Some(gain));
    for (switch, key, given, allowed) in [
        (echo_on, "echo_extra_delay_ms", 101, "0 to 100"),
        (echo_on, "echo_gate_db", 41, "0 to 40"),
        (gain_on, "gain_headroom_db", 0, "1 to 30"),
        (gain_on, "gain_most_db", 41, "1 to 40"),
    ] {
        // In the same line, so that its number stays.
        let with = format!("{key} = {given}\n{switch}");
        refused(
            switch,
            &with,
            switch.trim_end(),
            &format!("{key} is {given}; allowed: {allowed}"),
        );
        let name = switch.split_once(' ').unwrap().0;
        refused(
            switch,
            &format!("{key} = 20\n"),
            switch.trim_end(),
            &format!("{key} means nothing without {name} = true; allowed: {name} = true beside"),
        );
    }
}

#[test]
fn a_ringer_may_have_a_device_of_its_own() {
    let with = |device: &str| {
        changed(
            "[budgets]",
            &format!("[audio.ringer]\nplayback = {device:?}\n[budgets]"),
        )
    };
    let board = Board::parse(&with("alsa:plughw:CARD=Headphones"), "b.toml").unwrap();
    let expected = PlaybackSpec::Alsa("plughw:CARD=Headphones".into());
    assert_eq!(board.audio.ringer, Some(expected));
    assert_eq!(Board::builtin("rpi-4b").unwrap().audio.ringer, None);
    let error = Board::parse(&with("bell"), "b.toml")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("playback is \"bell\"") && error.contains("alsa:NAME"),
        "{error}"
    );
}

/// After a reset the codec connects neither its DAC to its outputs nor its microphones to its ADC.
#[test]
fn the_codecs_ways_are_switched_on() {
    let audio = Board::builtin("rpi-4b").unwrap().audio;
    let expected = [
        "Left Output Mixer PCM Playback Switch",
        "Right Output Mixer PCM Playback Switch",
        "Left Boost Mixer LINPUT1 Switch",
        "Right Boost Mixer RINPUT1 Switch",
        "Left Input Mixer Boost Switch",
        "Right Input Mixer Boost Switch",
    ];
    assert_eq!(audio.handset.switches, expected);
    assert_eq!(audio.speaker.unwrap().switches, expected);
    assert!(audio.headset.unwrap().switches.is_empty());
}

#[test]
fn switches_are_controls_of_a_card() {
    let sound = |more: &str| {
        let from = "playback = \"alsa:plughw:CARD=Headset,DEV=0\"\n";
        let text = changed(from, &format!("{from}{more}"));
        Board::parse(&text, "b")
    };
    let board = sound("mixer_card = \"hw:0\"\nswitches = [\"A Switch\"]\n").unwrap();
    assert_eq!(board.audio.headset.unwrap().switches, ["A Switch"]);
    let long = format!("mixer_card = \"hw:0\"\nswitches = [{:?}]\n", "x".repeat(44));
    for (more, expected) in [
        (
            "switches = [\"A Switch\"]\n",
            "switches are named, but no mixer_card",
        ),
        (
            "mixer_card = \"hw:0\"\nswitches = [\"\"]\n",
            "switches is \"\"; allowed: one line",
        ),
        (
            &long,
            "switches has a name of 44 bytes; allowed: 1 to 43 bytes",
        ),
    ] {
        let error = sound(more).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
