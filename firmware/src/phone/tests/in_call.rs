//! Mute, hold, swap, more calls, digits and volume while talking.
use super::bench::Bench;
use super::{check, check_with};
use crate::phone::PhoneConfig;

#[test]
fn mute_is_local_at_once_and_the_lamp_follows_the_cloud() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap mute -> mute A; gate on; mute slow
         screen -> On a call, muted (0:00) / Alice / +1 317-555-0100
         soft -> Hold|Unmute|New|End
         done mute A ->
         A muted -> mute on
         tap soft2 -> unmute A; gate off; mute slow
         A again ->
         A unmuted -> mute off
         done unmute A ->",
    );
}

#[test]
fn mute_from_elsewhere_closes_the_gate_too() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         A muted -> gate on; mute on
         A unmuted -> gate off; mute off",
    );
}

#[test]
fn a_mute_that_fails_goes_back() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap mute -> mute A; gate on; mute slow
         fail mute A -> gate off; mute off
         screen -> On a call (0:00) / Alice / The cloud could not mute the call
         wait 4s ->
         screen -> On a call (0:04) / Alice / +1 317-555-0100
         A muted -> gate on; mute on
         tap mute -> unmute A; gate off; mute slow
         fail unmute A -> gate on; mute on
         screen -> On a call, muted (0:04) / Alice / The cloud could not unmute the call",
    );
}

#[test]
fn mute_belongs_to_its_call() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         A muted -> gate on; mute on
         B rings -> tone waiting; line2 fast
         tap line2 -> accept B; talk none; tone off; gate off; mute off; line2 on
         A held -> line1 slow
         B connected -> talk B
         tap line1 -> resume A; talk none; gate on; mute on
         B held -> line2 slow
         A unheld -> talk A; line1 on
         rest -> end A; talk none; listen off; ring on; gate off; mute off; line1 off; line2 fast",
    );
}

#[test]
fn mute_without_a_call_does_nothing() {
    check(
        "tap mute ->
         tap hold ->
         lift -> listen on; tone dial; line1 on
         tap mute ->
         tap hold ->",
    );
}

#[test]
fn hold_and_resume() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         wait 5s ->
         tap hold -> hold A; talk none
         done hold A ->
         A held -> line1 slow
         wait 5s ->
         screen -> On hold (0:10) / Alice / +1 317-555-0100
         soft -> Resume|Mute|New|End
         tap hold -> resume A
         A unheld -> talk A; line1 on
         done resume A ->
         wait 5s ->
         screen -> On a call (0:15) / Alice / +1 317-555-0100",
    );
}

/// Fails without it: the call came alive on the loudspeaker when the cloud's word arrived after the hang-up.
#[test]
fn hanging_up_before_the_resume_is_told_ends_the_call() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         A held -> line1 slow
         tap hold -> resume A
         rest -> end A; listen off; line1 off
         A unheld ->",
    );
}

#[test]
fn hold_that_fails_goes_on_talking() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         fail hold A -> talk A
         screen -> On a call (0:00) / Alice / The call could not be put on hold
         tap hold -> hold A; talk none
         done hold A ->
         wait 5s -> talk A
         screen -> On a call (0:05) / Alice / The call could not be put on hold
         A held -> talk none; line1 slow
         tap hold -> resume A
         fail resume A ->
         screen -> On hold (0:05) / Alice / The call could not be resumed",
    );
}

#[test]
fn a_ringer_of_its_own_rings_beside_a_call_but_not_beside_a_speaker() {
    let script = "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; ring on; line2 fast
         tap speaker -> ring off; path speaker; volume 60; speaker on
         B retracted -> tone off; line2 off";
    check_with(
        Bench::new(PhoneConfig {
            own_ringer: true,
            ..PhoneConfig::default()
        }),
        script,
    );
}

#[test]
fn hold_from_elsewhere_is_seen() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         A held -> talk none; line1 slow
         A unheld -> talk A; line1 on",
    );
}

#[test]
fn another_client_swaps_the_calls() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; line2 fast
         flash -> accept B; talk none; tone off; line2 on
         A held -> line1 slow
         B connected -> talk B
         B held -> talk none; line2 slow
         A unheld -> talk A; line1 on
         screen -> On a call (0:00) / Alice / +1 317-555-0100 / 2 Bob on hold",
    );
}

#[test]
fn a_free_line_key_holds_and_gives_the_dial_tone() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap line3 -> hold A; talk none; tone dial; line3 on
         A held -> line1 slow
         screen -> New call / Enter a number / 1 Alice on hold
         type 12# -> tone off; start 12
         B contacting ->
         started 12 as B ->
         screen -> Calling / Bob / Setting up the call... / 1 Alice on hold
         B dialing -> tone ringback
         B connected -> tone off; talk B
         tap line1 -> resume A; talk none
         B held -> line3 slow
         A unheld -> talk A; line1 on
         A gone -> talk none; tone busy; line1 off
         screen -> Offhook / Call ended / Please hang up / 3 Bob on hold
         soft -> Resume|Redial||
         tap soft1 -> resume B; tone off
         B unheld -> talk B; line3 on
         rest -> end B; talk none; listen off; line3 off",
    );
}

#[test]
fn back_to_the_call_on_hold_instead_of_dialing() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap soft3 -> hold A; talk none; tone dial; line2 on
         A held -> line1 slow
         type 12 -> tone off
         tap soft4 -> line2 off
         screen -> On hold (0:00) / Alice / +1 317-555-0100
         tap line2 -> tone dial; line2 on
         flash -> resume A; tone off; line2 off
         A unheld -> talk A; line1 on
         tap line2 -> hold A; talk none; tone dial; line2 on
         fail hold A -> tone off; talk A; line2 off
         screen -> On a call (0:00) / Alice / The call could not be put on hold",
    );
}

#[test]
fn answering_gives_up_an_own_call_that_is_not_answered_yet() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         A contacting ->
         started 12 as A ->
         A dialing -> tone ringback
         B rings -> line2 fast
         soft -> Answer|Reject||End
         tap soft1 -> end A; accept B; tone off; line1 off; line2 on
         A gone ->
         B connected -> talk B",
    );
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         B rings -> line1 fast; line2 on
         soft -> Answer|Reject||End
         flash -> accept B; line1 on; line2 off
         started 12 as A ->
         A contacting -> end A
         B connected -> talk B",
    );
}

#[test]
fn digits_go_to_the_far_end() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         press 1 ->
         release 1 ->
         A connected -> talk A
         press 1 -> dtmf A 1; key 1
         release 1 -> key off
         press # -> dtmf A #; key #
         release # -> key off
         long 0 -> dtmf A 0; key 0; key off
         fail dtmf A 1 ->
         screen -> On a call (0:00) / Alice / The keys could not be sent
         press 9 -> dtmf A 9; key 9
         rest -> end A; talk none; key off; listen off; line1 off
         release 9 ->",
    );
}

#[test]
fn no_digits_to_a_call_that_is_going_on_hold() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         tap 5 -> key 5; line2 on; key off
         screen -> New call / 5 / # calls now / 1 Alice on a call",
    );
}

#[test]
fn volume_keys_change_what_is_heard() {
    check(
        "tap volume_up -> ring volume 70
         screen -> Offhook / Ready / Ring volume [70]
         wait 1s ->
         tap volume_down -> ring volume 60
         wait 1s ->
         screen -> Offhook / Ready / Ring volume [60]
         wait 1s ->
         screen -> Offhook / Ready
         lift -> listen on; tone dial; line1 on
         tap volume_down -> volume 60
         screen -> New call / Enter a number / Handset volume [60]
         tap speaker -> path speaker; volume 60; speaker on
         tap volume_up -> volume 70
         screen -> New call / Enter a number / Speaker volume [70]
         audio -> {path:speaker,volume:{handset:60,speaker:70,headset:70},ring:60,mute:false}",
    );
}

#[test]
fn audio_settings_of_the_api() {
    check(
        r#"api {"volume":{"handset":55,"speaker":200},"ring":0} -> volume 55; ring volume 0
         api {"mute":true} ->
         audio -> {path:handset,volume:{handset:55,speaker:100,headset:70},ring:0,mute:false}
         A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         api {"mute":true} -> mute A; gate on; mute slow
         api {"mute":true} ->
         audio -> {path:handset,volume:{handset:55,speaker:100,headset:70},ring:0,mute:true}
         api {"path":"speaker"} -> path speaker; volume 100; speaker on
         rest ->
         api {"path":"handset"} ->
         audio -> {path:speaker,volume:{handset:55,speaker:100,headset:70},ring:0,mute:true}"#,
    );
}

#[test]
fn the_end_key_keeps_the_handset_path() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap soft4 -> end A; talk none; line1 off
         screen -> Offhook / Call ended / Please hang up
         soft -> New|||
         A gone ->
         type 12 -> line1 on
         wait 4s -> start 12
         rest -> listen off; line1 off
         A rings -> ring on; line1 fast
         tap ok -> accept A; ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         tap soft4 -> end A; talk none; listen off; speaker off; line1 off",
    );
}

#[test]
fn the_engines_active_call_is_in_front_if_the_user_chose_none() {
    check(
        "tap speaker -> path speaker; volume 60; listen on; tone dial; speaker on; line1 on
         A auto -> tone waiting
         A connected -> talk A
         B auto -> line2 on
         active B ->
         B connected -> talk B
         A held -> line1 slow
         screen -> On a call (0:00) / Bob / +1 317-555-0111 / 1 Alice on hold",
    );
}
