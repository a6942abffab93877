//! The menu, speed dials, prefixes, stations, logging in and out.
use super::{Bench, check, check_with};
use crate::device::Private;
use crate::device::dialing::{Prefix, SpeedDial};
use crate::genesys::rest::StartSoftphoneSessionParams;
use crate::phone::{DialPlan, DigitMap, PhoneConfig};

pub(super) fn planned() -> Bench {
    let number = |number: &str| StartSoftphoneSessionParams {
        phone_number: Some(number.into()),
        ..StartSoftphoneSessionParams::default()
    };
    let queue = |queue: &str| StartSoftphoneSessionParams {
        call_queue_id: Some(queue.into()),
        ..StartSoftphoneSessionParams::default()
    };
    let from = |queue: &str| StartSoftphoneSessionParams {
        call_from_queue_id: Some(queue.into()),
        ..StartSoftphoneSessionParams::default()
    };
    let dial = |key, label: &str, call| SpeedDial {
        key,
        label: label.into(),
        call,
    };
    let prefix = |digits: &str, call| Prefix {
        digits: digits.into(),
        call,
    };
    Bench::new(PhoneConfig {
        plan: DialPlan {
            speed_dials: vec![
                dial(Some(2), "Support", queue("Q1")),
                dial(None, "Front desk", number("100")),
            ],
            prefixes: vec![prefix("*5", from("Q5")), prefix("*81", queue("Q8"))],
            voicemail: Some(Private::from("*86")),
        },
        digit_map: DigitMap::parse(&["47xx"]).expect("readable"),
        about: vec!["Offhook 0.1.0".into(), "desk-7.local:8321".into()],
        ..PhoneConfig::default()
    })
}

#[test]
fn the_menu_is_a_list() {
    check_with(
        planned(),
        "login in ->
         agent Ann Desk-7 ->
         soft -> |Dials|Menu|New
         tap ok ->
         screen -> Menu / 1 Speed dials / 2 Voicemail / 3 Station / 4 Log out / 5 About
         soft -> Select|Up|Down|Back
         tap down ->
         screen -> Menu / 2 Voicemail / 3 Station / 4 Log out / 5 About
         tap up ->
         tap up ->
         screen -> Menu / 5 About
         tap ok ->
         screen -> About / Offhook 0.1.0 / desk-7.local:8321
         tap back ->
         screen -> Menu / 1 Speed dials / 2 Voicemail / 3 Station / 4 Log out / 5 About
         tap back ->
         screen -> Ann / Ready / Desk-7
         tap soft3 ->
         wait 30s ->
         screen -> Ann / Ready / Desk-7",
    );
}

#[test]
fn speed_dials_are_called_from_the_list_and_by_a_long_press() {
    check_with(
        planned(),
        "tap soft2 ->
         screen -> Speed dials / 1 Support / 2 Front desk
         tap 2 -> start 100; path speaker; volume 60; listen on; speaker on; line1 on
         screen -> Calling / Front desk / Setting up the call...
         tap speaker -> listen off; speaker off; line1 off
         started 100 as A ->
         A contacting -> end A
         A gone ->
         long 2 -> start Q1; listen on; speaker on; line1 on
         screen -> Calling / Support / Setting up the call...
         tap speaker -> listen off; speaker off; line1 off
         fail start Q1 ->
         long 3 ->
         screen -> New call / 3 / No speed dial on this key",
    );
}

#[test]
fn a_long_press_is_only_for_the_first_digit() {
    check_with(
        planned(),
        "type 4 ->
         long 2 ->
         screen -> New call / 42 / Lift the handset to call",
    );
}

#[test]
fn prefixes_change_the_call_and_keep_the_digit_map() {
    check_with(
        planned(),
        "lift -> listen on; tone dial; line1 on
         type *54711 -> tone off; start 4711 from Q5
         offline start 4711 from Q5 -> tone reorder; line1 off
         tap redial -> start 4711 from Q5; tone off; line1 on
         offline start 4711 from Q5 -> tone reorder; line1 off
         type *5123# -> tone off; line1 on; start 123 from Q5
         offline start 123 from Q5 -> tone reorder; line1 off
         type *81# -> tone off; line1 on; start Q8",
    );
}

#[test]
fn voicemail_is_called_from_the_menu() {
    check_with(
        planned(),
        "tap ok ->
         tap 2 -> start *86; path speaker; volume 60; listen on; speaker on; line1 on",
    );
}

#[test]
fn a_list_never_stands_in_the_way() {
    check_with(
        planned(),
        "tap ok ->
         A rings -> ring on; line1 fast
         soft -> Answer|Reject||Quiet
         tap ok -> accept A; ring off; path speaker; volume 60; listen on; speaker on; line1 on
         A connected -> talk A
         tap 1 -> dtmf A 1; key 1; key off
         A gone -> talk none; tone busy; line1 off
         wait 3s -> tone off; listen off; speaker off
         tap ok ->
         lift -> path handset; volume 70; listen on; tone dial; line1 on
         screen -> New call / Enter a number",
    );
}

#[test]
fn a_station_is_chosen_on_the_display() {
    check(
        "agent Ann Desk-7 ->
         notice station -> message slow
         soft -> Choose||Menu|New
         tap soft1 -> wish stations
         stations Home Desk-7=ours Desk-8=taken ->
         screen -> Choose a station / 2 Desk-7 / In use by this phone / 3 Desk-8
         tap down ->
         tap ok -> wish use Desk-8
         screen -> Ann / No station / Taking the station...
         refused use ->
         screen -> Ann / No station / The station cannot be used
         stations ->
         screen -> Ann / No station / You have no WebRTC phone yet",
    );
}

#[test]
fn a_station_that_was_taken_can_be_taken_back() {
    check(
        "agent Ann Desk-7 ->
         notice station-taken -> message slow
         screen -> Ann / Station taken / In use elsewhere; take it back?
         soft -> Take it||Menu|New
         tap ok -> wish take back
         over station -> message off
         screen -> Ann / Ready / Taking the station...
         notice station-taken -> message slow
         tap soft1 -> wish take back",
    );
}

#[test]
fn logging_out_asks_first() {
    check(
        "login in ->
         agent Ann Desk-7 ->
         A rings -> ring on; line1 fast
         A cancelled ->
         A gone -> ring off; line1 off
         screen -> Ann / Ready / Missed call: Alice
         tap ok ->
         screen -> Menu / 1 Station / 2 Log out / 3 About
         tap 2 ->
         screen -> Log out? / 1 Log out / 2 Stay logged in
         tap 2 ->
         tap ok ->
         tap 2 ->
         tap 1 -> wish log-out
         refused log-out ->
         screen -> Ann / Ready / Could not log out, try again
         login out ->
         screen -> Please log in / desk-7.local:8321/L/7F3K9Q / Scan the code or open this address
         soft -> |||
         login in ->
         screen -> Offhook / Ready",
    );
}

#[test]
fn network_trouble_is_told_instead_of_an_invitation() {
    check(
        "login out ->
         notice unreachable -> message slow
         screen -> Offhook / No connection / Trying again; check the network
         notice login ->
         screen -> Please log in / desk-7.local:8321/L/7F3K9Q / Scan the code or open this address",
    );
}

/// A device that restarts for an update must not take a number from under somebody's fingers.
#[test]
fn it_is_known_whether_somebody_works_the_phone() {
    let mut bench = planned();
    for (step, is_used) in [
        ("login in", false),
        ("agent Ann Desk-7", false),
        ("tap ok", true),
        ("tap back", false),
        ("tap speaker", true),
        ("type 471", true),
        ("tap speaker", false),
        ("lift", true),
        ("rest", false),
    ] {
        bench.step(step);
        assert_eq!(bench.phone.is_in_use(), is_used, "{step}");
    }
}
