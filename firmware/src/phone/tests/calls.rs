//! Inbound calls: ringing, answering, waiting, ending.
use super::check;

#[test]
fn lifting_answers_and_laying_down_ends() {
    check(
        "A rings -> ring on; line1 fast
         screen -> Incoming call / Alice / +1 317-555-0100
         soft -> Answer|Reject||Quiet
         lift -> accept A; ring off; listen on; line1 on
         screen -> Answering... / Alice / +1 317-555-0100
         done accept A ->
         A accepted ->
         A up -> talk A
         A connected ->
         A handled ->
         wait 65s ->
         screen -> On a call (1:05) / Alice / +1 317-555-0100
         soft -> Hold|Mute|New|End
         rest -> end A; talk none; listen off; line1 off
         done end A ->
         A ended ->
         A gone ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn the_event_and_the_proposal_come_in_either_order() {
    check(
        "A alerting -> ring on; line1 fast
         A pending ->
         A rings ->
         A retracted -> ring off; line1 off
         A gone ->",
    );
    check(
        "D proposed -> ring on; line1 fast
         screen -> Incoming call / Unknown caller
         D rings ->
         tap soft1 -> accept D; ring off; path speaker; volume 60; listen on; speaker on; line1 on",
    );
}

/// Fails without it: whoever lifted between the event and the proposal heard the dial tone.
#[test]
fn lifting_before_the_proposal_answers() {
    check(
        "A alerting -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         screen -> Answering... / Alice / +1 317-555-0100
         A rings ->
         A accepted ->
         A connected -> talk A
         done accept A ->",
    );
    // The proposal never came: another device may have taken it.
    check(
        "A alerting -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         fail accept A -> tone waiting; line1 fast
         screen -> Incoming call / Alice / The call could not be answered",
    );
}

/// Fails without it: the phone rang for calls that can only be answered where the station is.
#[test]
fn a_phone_whose_station_is_away_does_not_ring_for_an_event_alone() {
    check(
        "notice station-taken -> message slow
         A alerting ->
         A rings -> ring on; line1 fast",
    );
}

#[test]
fn the_far_end_hangs_up_and_the_busy_tone_tells() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         A ended -> talk none; tone busy; line1 off
         screen -> Offhook / Call ended / Please hang up
         soft -> New|||
         A gone ->
         wait 29s ->
         wait 1s -> tone off
         rest -> listen off
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_caller_who_gives_up_is_a_missed_call() {
    check(
        "A rings -> ring on; line1 fast
         A cancelled ->
         A gone -> ring off; line1 off
         screen -> Offhook / Ready / Missed call: Alice
         B rings -> ring on; line1 fast
         B ended -> ring off; line1 off
         B cancelled ->
         screen -> Offhook / Ready / 2 missed calls, last: Bob
         C rings -> ring on; line1 fast
         C gone -> ring off; line1 off
         C cancelled ->
         screen -> Offhook / Ready / 3 missed calls, last: +493012345
         tap back ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_call_taken_elsewhere_is_not_missed() {
    check(
        "A rings -> ring on; line1 fast
         A handled ->
         A gone -> ring off; line1 off
         screen -> Offhook / Ready
         B rings -> ring on; line1 fast
         lift -> accept B; ring off; listen on; line1 on
         B handled ->
         B gone -> tone busy; line1 off
         screen -> Offhook / Taken elsewhere / Please hang up",
    );
}

#[test]
fn the_caller_hangs_up_while_the_handset_is_being_lifted() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A cancelled ->
         A gone -> tone busy; line1 off
         screen -> Offhook / Caller hung up / Please hang up
         rest -> tone off; listen off
         A rings -> ring on; line1 fast",
    );
}

#[test]
fn rejecting_stops_the_ring_at_once() {
    check(
        "A rings -> ring on; line1 fast
         tap soft2 -> reject A; ring off; line1 off
         screen -> Offhook / Ready
         done reject A ->
         A gone ->
         screen -> Offhook / Ready
         B rings -> ring on; line1 fast
         tap soft2 -> reject B; ring off; line1 off
         fail reject B -> line1 fast
         screen -> Incoming call / Bob / The call could not be rejected
         soft -> Answer|Reject||
         lift -> accept B; listen on; line1 on",
    );
}

#[test]
fn a_silenced_call_can_still_be_answered() {
    check(
        "A rings -> ring on; line1 fast
         tap soft4 -> ring off
         soft -> Answer|Reject||
         B rings -> ring on; line2 fast
         screen -> Incoming call / Bob / +1 317-555-0111 / 1 Alice is calling
         B gone -> ring off; line2 off
         tap ok -> accept A; path speaker; volume 60; listen on; speaker on; line1 on",
    );
}

#[test]
fn a_second_call_waits_while_talking() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; line2 fast
         screen -> On a call (0:00) / Alice / +1 317-555-0100 / 2 Bob is calling
         soft -> Answer|Reject|Hold|End
         tap soft1 -> accept B; talk none; tone off; line2 on
         screen -> Answering... / Bob / +1 317-555-0111 / 1 Alice on a call
         A held -> line1 slow
         B up -> talk B
         B connected ->
         screen -> On a call (0:00) / Bob / +1 317-555-0111 / 1 Alice on hold
         soft -> Swap|Join|More|End
         flash -> resume A; talk none
         B held -> line2 slow
         A unheld -> talk A; line1 on
         screen -> On a call (0:00) / Alice / +1 317-555-0100 / 2 Bob on hold
         rest -> end A; talk none; listen off; ring on; line1 off; line2 fast
         screen -> On hold (0:00) / Bob / Lift to go on talking
         A gone ->
         wait 20s -> ring off; line2 slow
         wait 60s -> ring on; line2 fast
         lift -> resume B; ring off; listen on; line2 slow
         B unheld -> talk B; line2 on
         rest -> end B; talk none; listen off; line2 off
         B gone ->",
    );
}

#[test]
fn hanging_up_while_another_call_waits_rings_it() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; line2 fast
         rest -> end A; talk none; tone off; listen off; ring on; line1 off
         A gone ->
         lift -> accept B; ring off; listen on; line2 on",
    );
}

#[test]
fn a_waiting_call_can_be_rejected_or_taken_by_its_line_key() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; line2 fast
         tap soft2 -> reject B; tone off; line2 off
         B gone ->
         C rings -> tone waiting; line2 fast
         tap line2 -> accept C; talk none; tone off; line2 on
         tap line2 ->",
    );
}

#[test]
fn an_answer_that_fails_rings_on() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         fail accept A -> tone waiting; line1 fast
         screen -> Incoming call / Alice / The call could not be answered
         soft -> Answer|Reject||
         tap soft1 -> accept A; tone off; line1 on
         refuse accept A -> tone waiting; line1 fast
         screen -> Incoming call / Alice / Please log in again",
    );
}

#[test]
fn an_auto_answered_call_opens_the_speaker_with_a_beep() {
    check(
        "A auto -> path speaker; volume 60; listen on; tone waiting; speaker on; line1 on
         A up -> talk A
         wait 600ms -> tone off
         A connected ->
         screen -> On a call (0:00) / Alice / +1 317-555-0100
         lift -> path handset; volume 70; speaker off
         rest -> end A; talk none; listen off; line1 off
         A gone ->",
    );
}

#[test]
fn an_auto_answered_call_uses_the_path_that_is_open() {
    check(
        "tap headset -> path headset; volume 70; listen on; tone dial; headset on; line1 on
         A auto -> tone waiting
         wait 600ms -> tone off
         A connected -> talk A
         A ended -> talk none; tone busy; line1 off
         wait 3s -> tone off; listen off; headset off
         B auto -> listen on; tone waiting; headset on; line1 on
         tap headset -> end B; tone off; listen off; headset off; line1 off",
    );
}

#[test]
fn a_call_answered_by_the_api_opens_the_speaker() {
    check(
        "A rings -> ring on; line1 fast
         A accepted -> ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         tap speaker -> end A; talk none; listen off; speaker off; line1 off",
    );
}

#[test]
fn five_calls_have_four_line_keys() {
    check(
        "A rings -> ring on; line1 fast
         B rings -> line2 fast
         C rings -> line3 fast
         D rings -> line4 fast
         E rings ->
         screen -> Incoming call / Alice / +1 317-555-0100 / 2 Bob is calling / 3 +493012345 is calling / 4 Unknown caller is calling / Unknown caller is calling
         B gone -> line2 off
         F rings -> line2 fast",
    );
}

#[test]
fn digits_do_not_disturb_a_ringing_phone() {
    check(
        "A rings -> ring on; line1 fast
         type 12 ->
         A gone -> ring off; line1 off
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_call_going_on_elsewhere_is_only_told() {
    check(
        "A elsewhere ->
         screen -> Offhook / Ready / Alice on another device
         lift -> listen on; tone dial; line1 on
         tap line1 ->
         rest -> tone off; listen off; line1 off
         A held ->
         A gone ->
         screen -> Offhook / Ready",
    );
}
