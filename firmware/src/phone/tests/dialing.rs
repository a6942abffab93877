//! Outbound calls: dial tone, digits, time-outs, redial, and getting rid of a call that is being set up.
use super::bench::Bench;
use super::{check, check_with};
use crate::phone::{DigitMap, PhoneConfig};
use std::time::Duration;

#[test]
fn lift_dial_talk_hang_up() {
    check(
        "lift -> listen on; tone dial; line1 on
         screen -> New call / Enter a number
         press 5 -> tone off; key 5
         release 5 -> key off
         press 6 -> key 6
         press 7 -> key 7
         release 6 ->
         release 7 -> key off
         screen -> New call / 567 / # calls now
         soft -> Call|Delete||Cancel
         wait 3999ms ->
         wait 1ms -> start 567
         screen -> Calling / 567 / Setting up the call...
         A contacting ->
         started 567 as A ->
         screen -> Calling / Alice / Setting up the call...
         A up ->
         A dialing -> tone ringback
         screen -> Calling / Alice / Ringing...
         A connected -> tone off; talk A
         screen -> On a call (0:00) / Alice / +1 317-555-0100
         rest -> end A; talk none; listen off; line1 off
         done end A ->
         A gone ->",
    );
}

#[test]
fn reply_proposal_and_event_come_in_every_order() {
    for order in [
        ["started 12 as A", "A again", "A contacting"],
        ["started 12 as A", "A contacting", "A again"],
        ["A contacting", "started 12 as A", "A again"],
        ["A contacting", "A again", "started 12 as A"],
    ] {
        let mut bench = Bench::default();
        bench.step("lift");
        bench.step("type 12#");
        for step in order {
            bench.step(step);
        }
        assert_eq!(bench.step("A dialing"), "tone ringback", "{order:?}");
        assert_eq!(bench.step("A connected"), "tone off; talk A", "{order:?}");
        assert_eq!(
            bench.step("rest"),
            "end A; talk none; listen off; line1 off",
            "{order:?}"
        );
    }
}

#[test]
fn hash_dials_at_once_but_belongs_to_codes() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         lift -> listen on; tone dial; line1 on
         type *72# -> tone off
         screen -> New call / *72# / # calls now
         wait 4s -> start *72#
         rest -> listen off; line1 off
         lift -> listen on; tone dial; line1 on
         type #31#5 -> tone off
         tap ok -> start #31#5",
    );
}

#[test]
fn a_long_press_on_the_first_zero_is_a_plus() {
    check(
        "lift -> listen on; tone dial; line1 on
         long 0 -> tone off; key 0; key off
         screen -> New call / + / # calls now
         type 49 ->
         long 0 -> key 0; key off
         screen -> New call / +490 / # calls now
         wait 4s -> start +490",
    );
}

#[test]
fn a_number_has_an_end() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12345678901234567890123456789012 -> tone off
         type 3 ->
         screen -> New call / 12345678901234567890123456789012 / No number is longer than this
         wait 4s -> start 12345678901234567890123456789012",
    );
}

#[test]
fn a_digit_map_dials_without_waiting() {
    let config = PhoneConfig {
        digit_map: DigitMap::parse(&["112", "[2-5]xxx"]).expect("readable"),
        inter_digit_timeout: Duration::from_secs(7),
        ..PhoneConfig::default()
    };
    check_with(
        Bench::new(config),
        "lift -> listen on; tone dial; line1 on
         type 112 -> tone off; start 112
         rest -> listen off; line1 off
         lift -> listen on; tone dial; line1 on
         type 911 -> tone off
         wait 6s ->
         wait 1s -> start 911
         rest -> listen off; line1 off
         type 2345 ->
         screen -> New call / 2345 / Lift the handset to call",
    );
}

#[test]
fn nothing_dialed_is_told_and_then_silent() {
    check(
        "lift -> listen on; tone dial; line1 on
         wait 19s ->
         wait 1s -> tone reorder; line1 off
         screen -> Offhook / No number entered / Please hang up
         wait 30s -> tone off
         screen -> Offhook / No number entered / Please hang up
         rest -> listen off
         tap speaker -> path speaker; volume 60; listen on; tone dial; speaker on; line1 on
         wait 20s -> tone reorder; line1 off
         wait 3s -> tone off; listen off; speaker off",
    );
}

#[test]
fn digits_before_lifting_dial_on_lifting() {
    check(
        "type 121 ->
         screen -> New call / 121 / Lift the handset to call
         soft -> Call|Delete||Cancel
         tap soft2 ->
         tap 3 ->
         tap back ->
         wait 59s ->
         lift -> start 12; listen on; line1 on",
    );
    check(
        "type 12 ->
         tap soft1 -> start 12; path speaker; volume 60; listen on; speaker on; line1 on
         tap speaker -> listen off; speaker off; line1 off",
    );
    check(
        "type 12 ->
         tap headset -> start 12; path headset; volume 70; listen on; headset on; line1 on",
    );
    check(
        "type 12 ->
         tap ok -> start 12; path speaker; volume 60; listen on; speaker on; line1 on",
    );
    check(
        "type 12 ->
         wait 60s ->
         screen -> Offhook / Ready
         type 12 ->
         tap soft4 ->
         screen -> Offhook / Ready
         type 1 ->
         tap back ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_call_comes_while_dialing() {
    check(
        "type 12 ->
         A rings -> ring on; line1 fast
         screen -> Incoming call / Alice / +1 317-555-0100
         lift -> accept A; ring off; listen on; line1 on
         A gone -> tone busy; line1 off
         rest -> tone off; listen off
         lift -> listen on; tone dial; line1 on
         B rings -> tone waiting; line1 fast; line2 on
         type 12 ->
         screen -> New call / 12 / # calls now / 1 Bob is calling
         soft -> Answer|Reject|Delete|Call
         tap soft1 -> accept B; tone off; line1 on; line2 off",
    );
}

#[test]
fn redial_calls_the_last_number() {
    check(
        "soft -> ||Menu|New
         tap redial ->
         screen -> Offhook / Ready / No number to call again yet
         lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         soft -> Redial||Menu|New
         tap redial -> start 12; path speaker; volume 60; listen on; speaker on; line1 on
         tap redial ->
         tap speaker -> listen off; speaker off; line1 off
         lift -> path handset; volume 70; listen on; tone dial; line1 on
         tap soft1 -> start 12; tone off",
    );
}

#[test]
fn the_dial_tone_comes_back_when_the_number_is_deleted() {
    check(
        "lift -> listen on; tone dial; line1 on
         tap 1 -> tone off; key 1; key off
         tap soft2 -> tone dial
         type 123 -> tone off
         tap soft4 -> tone dial
         wait 20s -> tone reorder; line1 off
         type 45 -> tone off; line1 on
         screen -> New call / 45 / # calls now",
    );
}

#[test]
fn the_api_dials_on_a_resting_phone_by_speaker() {
    check(
        "api dial +13175550100 -> start +13175550100; path speaker; volume 60; listen on; speaker on; line1 on
         screen -> Calling / +1 317-555-0100 / Setting up the call...
         started +13175550100 as D ->
         D contacting ->
         screen -> Calling / +1 317-555-0100 / Setting up the call...
         D dialing -> tone ringback
         lift -> path handset; volume 70; speaker off
         D connected -> tone off; talk D
         rest -> end D; talk none; listen off; line1 off
         D gone ->
         tap redial -> start +13175550100; path speaker; volume 60; listen on; speaker on; line1 on",
    );
}

#[test]
fn the_api_dials_into_the_headset_if_that_was_used_last() {
    check(
        r#"api {"path":"headset"} -> path headset; volume 70
         api dial 12 -> start 12; listen on; headset on; line1 on
         tap headset -> listen off; headset off; line1 off"#,
    );
}

#[test]
fn hanging_up_before_the_cloud_knows_the_call() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         started 12 as A ->
         A contacting -> end A
         fail end A ->
         A again -> end A
         A up ->
         done end A ->
         A again ->
         A gone ->
         screen -> Offhook / Ready",
    );
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         A contacting -> end A
         started 12 as A ->
         A ended ->
         screen -> Offhook / Ready",
    );
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         fail start 12 ->
         screen -> Offhook / Ready
         lift -> listen on; tone dial; line1 on",
    );
}

#[test]
fn hanging_up_and_dialing_again_keeps_the_calls_apart() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         lift -> listen on; tone dial; line1 on
         type 34# -> tone off; start 34
         started 34 as B ->
         A contacting -> end A
         B contacting ->
         started 12 as A ->
         A gone ->
         B dialing -> tone ringback
         screen -> Calling / Bob / Ringing...",
    );
}

#[test]
fn the_far_end_is_busy() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         started 12 as A ->
         A contacting ->
         A dialing -> tone ringback
         A ended -> tone busy; line1 off
         screen -> Offhook / No answer / Please hang up
         wait 30s -> tone off
         rest -> listen off",
    );
    check(
        "tap speaker -> path speaker; volume 60; listen on; tone dial; speaker on; line1 on
         type 12# -> tone off; start 12
         A dialing -> tone ringback
         started 12 as A ->
         A ended -> tone busy; line1 off
         wait 3s -> tone off; listen off; speaker off",
    );
}

#[test]
fn a_call_placed_at_the_agents_desktop_opens_the_speaker() {
    check(
        "A contacting -> path speaker; volume 60; listen on; speaker on; line1 on
         A dialing -> tone ringback
         screen -> Calling / Alice / Ringing...
         tap soft4 -> end A; tone off; listen off; speaker off; line1 off",
    );
}

#[test]
fn a_call_that_never_shows_up_is_given_up() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         started 12 as A ->
         wait 44s ->
         wait 1s -> tone reorder; line1 off
         screen -> Offhook / Call failed / The cloud did not set up the call
         A contacting -> end A",
    );
}

#[test]
fn giving_up_by_soft_key() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         soft -> |||End
         tap soft4 -> tone dial
         started 12 as A ->
         A contacting -> end A
         rest -> tone off; listen off; line1 off
         api dial 34 -> start 34; path speaker; volume 60; listen on; speaker on; line1 on
         tap soft4 -> listen off; speaker off; line1 off
         started 34 as B ->
         B dialing -> end B",
    );
}

#[test]
fn a_proposal_before_the_reply_says_nothing_yet() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         D auto ->
         D up ->
         screen -> Calling / 12 / Setting up the call...
         started 12 as D ->
         screen -> Calling / 12 / Setting up the call...
         D contacting ->
         D dialing -> tone ringback
         D connected -> tone off; talk D",
    );
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         D auto ->
         rest -> listen off; line1 off
         D up ->
         screen -> Offhook / Ready
         started 12 as D -> end D
         D contacting ->
         D gone ->",
    );
}

#[test]
fn a_proposal_before_the_reply_may_be_somebody_elses() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         D auto ->
         fail start 12 -> tone waiting
         D connected -> talk D
         rest -> end D; talk none; tone off; listen off; line1 off
         D gone ->
         lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         rest -> listen off; line1 off
         E auto ->
         started 12 as A -> path speaker; volume 60; listen on; tone waiting; speaker on; line1 on
         A contacting -> end A",
    );
}

#[test]
fn a_call_dialed_at_the_desktop_may_have_to_be_answered_here() {
    check(
        "A rings -> ring on; line1 fast
         A retracted -> ring off; line1 off
         B proposed -> ring on; line1 fast
         lift -> accept B; ring off; listen on; line1 on
         B contacting ->",
    );
}
