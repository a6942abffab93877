//! Handset, speaker, headset.
use super::check;

#[test]
fn the_speaker_key_answers_and_ends() {
    check(
        "A rings -> ring on; line1 fast
         tap speaker -> accept A; ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         tap speaker -> end A; talk none; listen off; speaker off; line1 off
         A gone ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn a_call_moves_between_the_paths() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap speaker -> path speaker; volume 60; speaker on
         rest ->
         tap headset -> path headset; volume 70; speaker off; headset on
         lift -> path handset; volume 70; headset off
         tap speaker -> path speaker; volume 60; speaker on
         tap speaker -> path handset; volume 70; speaker off
         rest -> end A; talk none; listen off; line1 off",
    );
}

#[test]
fn the_speaker_goes_off_by_itself_after_a_call() {
    check(
        "A rings -> ring on; line1 fast
         tap speaker -> accept A; ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         A gone -> talk none; tone busy; line1 off
         screen -> Offhook / Call ended
         wait 2s ->
         wait 1s -> tone off; listen off; speaker off",
    );
}

#[test]
fn lifting_after_a_call_on_the_speaker_is_a_new_start() {
    check(
        "A rings -> ring on; line1 fast
         tap speaker -> accept A; ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         A gone -> talk none; tone busy; line1 off
         lift -> path handset; volume 70; tone dial; speaker off; line1 on
         tap speaker -> path speaker; volume 60; speaker on
         rest ->
         wait 20s -> tone reorder; line1 off
         wait 3s -> tone off; listen off; speaker off",
    );
}

#[test]
fn lifting_answers_even_with_the_dial_tone_on_the_speaker() {
    check(
        "tap speaker -> path speaker; volume 60; listen on; tone dial; speaker on; line1 on
         A rings -> tone waiting; line1 fast; line2 on
         lift -> accept A; tone off; path handset; volume 70; speaker off; line1 on; line2 off",
    );
}

#[test]
fn a_call_left_on_hold_reminds() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         A held -> line1 slow
         rest -> listen off
         screen -> On hold (0:00) / Alice / Lift to go on talking
         soft -> Resume||New|End
         wait 60s -> ring on; line1 fast
         wait 20s -> ring off; line1 slow
         wait 60s -> ring on; line1 fast
         tap hold -> resume A; ring off; path speaker; volume 60; listen on; speaker on; line1 slow
         A unheld -> talk A; line1 on
         tap speaker -> end A; talk none; listen off; speaker off; line1 off",
    );
}

#[test]
fn a_reminder_can_be_answered_ended_and_ends_with_its_call() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         A held -> line1 slow
         rest -> listen off
         wait 60s -> ring on; line1 fast
         tap soft4 -> end A; ring off; line1 off
         A gone ->
         B rings -> ring on; line1 fast
         lift -> accept B; ring off; listen on; line1 on
         B connected -> talk B
         tap hold -> hold B; talk none
         B held -> line1 slow
         rest -> listen off
         wait 60s -> ring on; line1 fast
         B gone -> ring off; line1 off
         screen -> Offhook / Ready / Call ended",
    );
}

#[test]
fn a_waiting_call_comes_before_one_on_hold() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         A held -> line1 slow
         rest -> listen off
         B rings -> ring on; line2 fast
         screen -> Incoming call / Bob / +1 317-555-0111 / 1 Alice on hold
         lift -> accept B; ring off; listen on; line2 on
         B gone -> tone busy; line2 off
         screen -> Offhook / Caller hung up / Please hang up / 1 Alice on hold
         flash -> resume A; tone off",
    );
}

#[test]
fn a_call_resumed_elsewhere_on_a_resting_phone_opens_the_speaker() {
    check(
        "A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         tap hold -> hold A; talk none
         A held -> line1 slow
         rest -> listen off
         A unheld -> path speaker; volume 60; listen on; talk A; speaker on; line1 on",
    );
}

#[test]
fn a_flash_at_rest_or_with_one_call_does_nothing() {
    check(
        "flash ->
         A rings -> ring on; line1 fast
         lift -> accept A; ring off; listen on; line1 on
         A connected -> talk A
         flash ->",
    );
}

#[test]
fn the_hook_may_repeat_itself() {
    check(
        "rest ->
         lift -> listen on; tone dial; line1 on
         lift ->
         rest -> tone off; listen off; line1 off
         rest ->",
    );
}
