//! Transfer, consultation, conference, recording, wrap-up.
use super::check;

const TALKING: &str = "A rings -> ring on; line1 fast
     lift -> accept A; ring off; listen on; line1 on
     A connected -> talk A
     ";
/// With Bob, who is asked whether he takes Alice.
const CONSULTING: &str = "tap transfer -> hold A; talk none; tone dial
     A held -> line1 slow
     type 4711 -> tone off
     tap transfer -> consult A 4711
     screen -> Calling to ask... (0:00) / 4711 / Alice
     A consult Bob=rings DESTINATION ->
     done consult A 4711 -> resume A
     A unheld -> talk A; line1 on
     A consult Bob DESTINATION ->
     ";

#[track_caller]
fn talking(script: &str) {
    check(&format!("{TALKING}{script}"));
}

#[track_caller]
fn consulting(script: &str) {
    check(&format!("{TALKING}{CONSULTING}{script}"));
}

#[test]
fn a_blind_transfer_by_the_keys() {
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         screen -> Transfer to / Enter a number / 1 Alice on hold
         soft -> |||Cancel
         type 4711 -> tone off
         screen -> Transfer to / 4711 / # transfers now / 1 Alice on hold
         soft -> Blind|Consult|Delete|Cancel
         tap # -> transfer A 4711; key #; key off
         screen -> Transferring... (0:00) / 4711 / Alice
         soft -> |||End
         done transfer A 4711 ->
         A ended -> line1 off
         screen -> Offhook / Transferred / Please hang up
         A gone ->
         rest -> listen off",
    );
}

#[test]
fn a_blind_transfer_that_fails_brings_the_caller_back() {
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 4711 -> tone off
         tap soft1 -> transfer A 4711
         fail transfer A 4711 -> resume A
         screen -> On hold (0:00) / Alice / Not transferred
         A unheld -> talk A; line1 on
         done resume A ->",
    );
    // Taken, and nothing comes of it.
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 4711 -> tone off
         tap ok -> transfer A 4711
         done transfer A 4711 ->
         wait 14s ->
         wait 1s -> resume A
         screen -> On hold (0:15) / Alice / Not transferred",
    );
}

#[test]
fn giving_up_a_transfer_resumes() {
    for cancel in ["tap transfer", "tap soft4", "tap line1", "tap hold"] {
        talking(&format!(
            "tap transfer -> hold A; talk none; tone dial
             A held -> line1 slow
             {cancel} -> resume A; tone off
             A unheld -> talk A; line1 on"
        ));
    }
    // Forgotten: the caller shall not wait for ever.
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 47 -> tone off
         wait 60s -> resume A",
    );
    // Hung up in the middle: the caller rings back.
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 47 -> tone off
         rest -> listen off; ring on; line1 fast",
    );
}

#[test]
fn the_caller_hangs_up_while_a_number_is_entered() {
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 47 -> tone off
         A ended -> tone busy; line1 off
         screen -> Offhook / Call ended / Please hang up",
    );
}

#[test]
fn a_call_that_rings_during_a_transfer_can_be_answered() {
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 47 -> tone off
         B rings -> tone waiting; line2 fast
         soft -> Answer|Reject|Delete|Blind
         tap soft1 -> accept B; tone off; line2 on
         B connected -> talk B
         screen -> On a call (0:00) / Bob / +1 317-555-0111 / 1 Alice on hold",
    );
}

#[test]
fn the_consultation_is_completed_by_a_key() {
    consulting(
        "screen -> Asking first (0:00) / Bob / Alice waits
         soft -> Finish|Swap|All|Cancel
         tap soft1 -> complete A; talk none; line1 off
         screen -> Offhook / Transferred / Please hang up
         done complete A ->
         A ended ->
         A gone ->
         rest -> listen off",
    );
    consulting("tap transfer -> complete A; talk none; line1 off");
}

#[test]
fn hanging_up_completes_the_transfer() {
    consulting(
        "rest -> complete A; talk none; listen off; line1 off
         screen -> Offhook / Ready / Transferred
         done complete A ->
         A gone ->
         wait 61s ->",
    );
    // Already while the cloud still calls whom to ask.
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 4711 -> tone off
         tap soft2 -> consult A 4711
         rest -> listen off
         done consult A 4711 -> complete A; line1 off
         A gone ->",
    );
}

#[test]
fn a_completion_that_fails_leaves_the_call_ringing_back() {
    consulting(
        "rest -> complete A; talk none; listen off; line1 off
         fail complete A -> line1 on
         screen -> Asking first (0:00) / Bob / Not transferred
         wait 60s -> ring on; line1 fast
         lift -> ring off; listen on; talk A; line1 on",
    );
}

#[test]
fn the_consultation_is_cancelled_or_ends_by_itself() {
    consulting(
        "tap soft4 -> cancel A
         done cancel A ->
         A consult-over ->
         screen -> On a call (0:00) / Alice / Back with the caller
         soft -> Hold|Mute|New|End",
    );
    talking(
        "tap transfer -> hold A; talk none; tone dial
         A held -> line1 slow
         type 4711 -> tone off
         tap transfer -> consult A 4711
         fail consult A 4711 -> resume A
         screen -> On hold (0:00) / Alice / Nobody could be asked
         A unheld -> talk A; line1 on",
    );
}

#[test]
fn the_user_speaks_to_one_the_other_and_both() {
    consulting(
        "tap soft2 -> speak A Object
         A consult Bob OBJECT ->
         screen -> Back with the caller (0:00) / Alice / Bob waits
         done speak A Object ->
         tap soft2 -> speak A Destination
         fail speak A Destination ->
         screen -> Back with the caller (0:00) / Alice / Could not switch
         tap conference -> speak A Conference
         A consult Bob CONFERENCE ->
         wait 4s ->
         screen -> All three talk (0:04) / Alice / Bob",
    );
}

#[test]
fn transfer_and_conference_without_a_call_say_so() {
    check(
        "tap transfer ->
         screen -> Offhook / Ready / No call to transfer
         lift -> listen on; tone dial; line1 on
         tap conference ->
         screen -> New call / Enter a number / No call to join",
    );
}

#[test]
fn calls_on_two_lines_are_joined() {
    let two = "B rings -> tone waiting; line2 fast
         tap line2 -> accept B; talk none; tone off; line2 on
         A held -> line1 slow
         B connected -> talk B
         soft -> Swap|Join|More|End
         ";
    talking(&format!(
        "{two}tap soft2 -> merge B A
         screen -> On a call (0:00) / Bob / Joining the calls... / 1 Alice on hold
         done merge B A ->
         A gone -> line1 off
         B parties Bob Alice ->
         wait 4s ->
         screen -> Conference (0:04) / 3 people / Bob, Alice"
    ));
    talking(&format!(
        "{two}tap conference -> merge B A
         fail merge B A ->
         screen -> On a call (0:00) / Bob / The calls could not be joined / 1 Alice on hold"
    ));
}

#[test]
fn a_party_is_added_and_removed() {
    talking(
        "tap conference ->
         screen -> Add to the call / Enter a number / 1 Alice on a call
         type 4711 ->
         soft -> Add|Delete||Cancel
         tap conference -> add A 4711
         done add A 4711 ->
         A parties Alice Bob=rings ->
         wait 5s ->
         screen -> Conference (0:05) / 3 people / Alice, Bob
         soft -> Hold|Parties|More|End
         tap soft2 ->
         screen -> In the conference / 1 Alice / 2 Bob
         soft -> Remove|Up|Down|Back
         tap down ->
         screen -> In the conference / 2 Bob / is being called
         tap 5 -> dtmf A 5; key 5; key off
         tap soft1 -> remove A PBob
         fail remove A PBob ->
         screen -> Conference (0:05) / 3 people / Could not be removed
         rest -> end A; talk none; listen off; line1 off",
    );
}

#[test]
fn a_recording_is_shown_and_paused() {
    talking(
        "A recorded ->
         screen -> Call, recorded (0:00) / Alice / +1 317-555-0100
         soft -> Hold|Rec off|More|End
         tap soft2 -> record A false
         A unrecorded ->
         done record A false ->
         screen -> Call, not recorded (0:00) / Alice / +1 317-555-0100
         tap soft3 ->
         soft -> Mute|New|More|End
         tap soft3 ->
         tap soft2 -> record A true
         fail record A true ->
         screen -> Call, not recorded (0:00) / Alice / The recording stays paused",
    );
}

#[test]
fn a_code_is_chosen_after_the_call() {
    talking(
        "A ended -> talk none; tone busy; line1 off
         wrap A optional -> codes A
         A gone ->
         screen -> Offhook / Call ended / Please hang up
         codes A Sale Complaint ->
         screen -> Wrap-up code / 1 Sale / 2 Complaint / 3 Skip
         soft -> Select|Up|Down|Skip
         rest -> tone off; listen off
         tap down ->
         tap ok -> wrap A complaint
         screen -> Offhook / Ready / Saving the code...
         fail wrap A complaint ->
         wait 4s ->
         tap 1 -> wrap A sale
         done wrap A sale ->
         wait 4s ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_wrap_up_never_stands_in_the_way() {
    check(
        "wrap A mandatory -> codes A
         codes A Sale Complaint ->
         soft -> Select|Up|Down|
         tap back ->
         screen -> Wrap-up code / 1 Sale / 2 Complaint
         B rings -> ring on; line1 fast
         screen -> Incoming call / Bob / +1 317-555-0111
         lift -> accept B; ring off; listen on; line1 on
         B connected -> talk B
         tap 1 -> dtmf B 1; key 1; key off
         rest -> end B; talk none; listen off; line1 off
         screen -> Wrap-up code / 1 Sale / 2 Complaint
         lift -> listen on; tone dial; line1 on
         screen -> New call / Enter a number
         rest -> tone off; listen off; line1 off
         wrap A over ->
         screen -> Offhook / Ready",
    );
    check(
        "wrap A optional -> codes A
         codes A Sale ->
         tap soft4 -> skip A
         screen -> Offhook / Ready
         done skip A ->
         screen -> Offhook / Ready
         wrap B optional -> codes B
         fail codes B ->
         screen -> Offhook / Ready / Wrap up in Genesys Cloud
         wait 4s ->
         wrap A optional -> codes A
         codes A Sale ->
         tap back ->
         screen -> Offhook / Ready / Wrap up in Genesys Cloud
         wait 4s ->
         wrap A optional -> codes A
         codes A Sale ->
         tap soft4 -> skip A
         fail skip A ->
         screen -> Offhook / Ready / Wrap up in Genesys Cloud",
    );
}

#[test]
fn a_follower_shows_the_call_and_keeps_still() {
    check(
        "leader elsewhere ->
         A alerting -> line1 fast
         screen -> Rings elsewhere / Alice / +1 317-555-0100
         leader here -> ring on
         leader elsewhere -> ring off
         lift -> accept A; listen on; line1 on
         A connected -> talk A
         B alerting -> line2 fast",
    );
    check(
        "tap ok ->
         screen -> Menu / 1 Station / 2 About
         tap back ->
         leader elsewhere ->
         tap ok ->
         screen -> Menu / 1 Ring here / 2 Station / 3 About
         tap 1 -> wish ring here
         refused ring-here ->
         screen -> Offhook / Ready / Still rings elsewhere, try again",
    );
}

#[test]
fn rejecting_a_call_to_the_user_is_named_after_what_it_does() {
    check(
        "A user ->
         A rings -> ring on; line1 fast
         soft -> Answer|To mail||Quiet
         tap soft2 -> reject A; ring off; line1 off",
    );
}

#[test]
fn a_speed_dial_takes_over_a_call() {
    super::check_with(
        super::menu::planned(),
        &format!(
            "{TALKING}tap transfer -> hold A; talk none; tone dial
             A held -> line1 slow
             soft -> |Dials||Cancel
             tap soft2 ->
             screen -> Speed dials / 1 Support / 2 Front desk
             tap 1 -> tone off
             screen -> Transfer to / Support / # transfers now / 1 Alice on hold
             tap 7 -> key 7; key off
             tap soft2 -> consult A Q1
             screen -> Calling to ask... (0:00) / Support / Alice"
        ),
    );
}
