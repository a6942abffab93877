//! What the user is told when something goes wrong, and that the next call works.
use super::check;

#[test]
fn a_call_that_cannot_be_made() {
    check(
        "lift -> listen on; tone dial; line1 on
         type ***# -> tone off
         wait 4s -> start ***#
         fail start ***# -> tone reorder; line1 off
         screen -> Offhook / Call failed / Please hang up
         soft -> New|Redial||
         wait 30s -> tone off
         rest -> listen off
         lift -> listen on; tone dial; line1 on
         type 1# -> tone off; start 1
         refuse start 1 -> tone reorder; line1 off
         screen -> Offhook / Call failed / Please log in again
         type 2# -> tone off; line1 on; start 2
         offline start 2 -> tone reorder; line1 off
         screen -> Offhook / Call failed / Cloud not reachable
         rest -> tone off; listen off
         A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on",
    );
}

#[test]
fn a_call_that_fails_in_the_network() {
    check(
        "lift -> listen on; tone dial; line1 on
         type 12# -> tone off; start 12
         A contacting ->
         started 12 as A ->
         A failed ->
         A ended -> tone reorder; line1 off
         screen -> Offhook / Call failed / Please hang up",
    );
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         A failed ->
         A gone -> talk none; tone reorder; line1 off
         screen -> Offhook / Call failed / Please hang up",
    );
}

#[test]
fn a_call_that_cannot_be_ended_keeps_the_microphone_closed() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         rest -> end A; talk none; listen off; line1 off
         fail end A -> line1 on
         screen -> On a call (0:00) / Alice / Not ended yet, please try again
         soft -> Hold|Mute|New|End
         tap soft4 -> end A; line1 off
         A gone ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn the_most_important_notice_wins() {
    check(
        "agent Ann Desk-7 ->
         clock 14:05 ->
         screen -> Ann (14:05) / Ready / Desk-7
         notice connecting ->
         screen -> Ann (14:05) / Connecting... / This takes a few seconds
         notice station -> message slow
         screen -> Ann (14:05) / No station / Choose one: menu, Station
         notice wrong-station ->
         screen -> Ann (14:05) / Wrong station / Choose a WebRTC phone instead
         notice sound-busy ->
         screen -> Ann (14:05) / No sound / In use elsewhere: hw:1
         notice sound-missing ->
         screen -> Ann (14:05) / No sound / Not found: hw:1
         notice sound-trouble ->
         screen -> Ann (14:05) / No sound / Does not work: hw:1
         notice unreachable ->
         screen -> Ann (14:05) / No connection / Trying again; check the network
         notice tls ->
         screen -> Ann (14:05) / Not secure / Check the clock and certificates
         notice login ->
         screen -> Ann (14:05) / Please log in / The login is missing or expired
         A rings -> ring on; line1 fast
         screen -> Incoming call (14:05) / Alice / +1 317-555-0100
         A gone -> ring off; line1 off
         over cloud ->
         screen -> Ann (14:05) / No sound / Does not work: hw:1
         over station ->
         notice none -> message off
         screen -> Ann (14:05) / Ready / Desk-7",
    );
}

/// Without its word, whoever was logged in wonders why not any more; and it must not stand in the way of the next login.
#[test]
fn damaged_memory_is_told_until_somebody_has_seen_it() {
    check(
        "agent Ann Desk-7 ->
         clock 14:05 ->
         notice state -> message slow
         screen -> Ann (14:05) / Nothing is kept / Card full, read-only or broken
         notice state-in-memory ->
         screen -> Ann (14:05) / Nothing is kept / The card's state part is missing
         notice login ->
         notice state-damaged ->
         screen -> Ann (14:05) / Memory damaged / Starts afresh; old file is kept
         over state ->
         A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A gone -> tone busy; line1 off
         rest -> tone off; listen off
         screen -> Ann (14:05) / Memory damaged / Starts afresh; old file is kept
         tap back ->
         screen -> Ann (14:05) / Please log in / The login is missing or expired",
    );
}

#[test]
fn a_held_call_that_ends_is_told() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         B rings -> tone waiting; line2 fast
         tap soft1 -> accept B; talk none; tone off; line2 on
         A held -> line1 slow
         B connected -> talk B
         A gone -> line1 off
         screen -> On a call (0:00) / Bob / The call on hold has ended
         wait 4s ->
         screen -> On a call (0:04) / Bob / +1 317-555-0111",
    );
}
