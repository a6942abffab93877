//! The keypad on a simulated matrix that obeys the laws of current: contacts bounce, and without
//! diodes current takes every way there is.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin};
use proptest::prelude::*;

use super::*;
use crate::input::{Input, Wake};
use crate::{HalEvent, Key, KeyAction};

const ROWS: usize = 4;
const COLUMNS: usize = 4;
const DEBOUNCE: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_millis(800);

#[derive(Debug, Default)]
struct Wires {
    closed: BTreeSet<(usize, usize)>,
    driven: BTreeSet<usize>,
    diodes: bool,
    drives: usize,
    /// A contact that closes right after the last column of a scan was read.
    sneaks: Option<(usize, usize)>,
}

impl Wires {
    /// Whether current finds a way from a row to a driven column.
    fn is_low(&self, row: usize) -> bool {
        let (mut rows, mut columns) = (BTreeSet::from([row]), BTreeSet::new());
        loop {
            let before = (rows.len(), columns.len());
            for (row, column) in &self.closed {
                if rows.contains(row) {
                    columns.insert(*column);
                }
                if !self.diodes && columns.contains(column) {
                    rows.insert(*row);
                }
            }
            if (rows.len(), columns.len()) == before {
                return columns.iter().any(|column| self.driven.contains(column));
            }
        }
    }
}

type Shared = Rc<RefCell<Wires>>;
struct Row(Shared, usize);
struct Column(Shared, usize);
struct NoDelay;

impl ErrorType for Row {
    type Error = Infallible;
}
impl InputPin for Row {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().is_low(self.1))
    }
    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.borrow().is_low(self.1))
    }
}
impl ErrorType for Column {
    type Error = Infallible;
}
impl OutputPin for Column {
    fn set_low(&mut self) -> Result<(), Infallible> {
        let mut wires = self.0.borrow_mut();
        wires.driven.insert(self.1);
        wires.drives += 1;
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        let mut wires = self.0.borrow_mut();
        let was_driven = wires.driven.remove(&self.1);
        if was_driven && self.1 == COLUMNS - 1 {
            let sneaks = wires.sneaks.take();
            wires.closed.extend(sneaks);
        }
        Ok(())
    }
}
impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

/// A 4 x 4 keypad of a telephone, and the time.
struct Rig {
    wires: Shared,
    keypad: Keypad<Row, Column, NoDelay>,
    start: Instant,
    now: Instant,
    wake: Wake,
    events: Vec<(u64, HalEvent)>,
}

/// The telephone's keypad with its fourth column; row by row.
const KEYS: [[&str; COLUMNS]; ROWS] = [
    ["1", "2", "3", "hold"],
    ["4", "5", "6", "mute"],
    ["7", "8", "9", "redial"],
    ["*", "0", "#", "speaker"],
];

impl Rig {
    fn new(diodes: bool, missing: Option<&str>) -> Self {
        let wires = Wires {
            diodes,
            ..Wires::default()
        };
        Self::with(wires, missing)
    }

    /// Has polled once, at the start.
    fn with(wires: Wires, missing: Option<&str>) -> Self {
        let diodes = wires.diodes;
        let wires = Rc::new(RefCell::new(wires));
        let pins = MatrixPins::new(
            (0..ROWS).map(|row| Row(Rc::clone(&wires), row)),
            (0..COLUMNS).map(|column| Column(Rc::clone(&wires), column)),
            NoDelay,
            Duration::from_micros(5),
        )
        .unwrap();
        let mut labels = Labels::default();
        for (row, names) in KEYS.iter().enumerate() {
            for (column, name) in names.iter().enumerate() {
                labels[row][column] = (missing != Some(*name)).then(|| name.parse().unwrap());
            }
        }
        let timing = KeyTiming {
            long_press: LONG,
            ..KeyTiming::default()
        };
        let config = KeypadConfig {
            labels,
            diodes,
            debounce: DEBOUNCE,
            timing,
        };
        let start = Instant::now();
        let keypad = Keypad::new(pins, &config);
        let mut rig = Self {
            wires,
            keypad,
            start,
            now: start,
            wake: Wake::At(start),
            events: Vec::new(),
        };
        rig.poll();
        rig
    }

    fn poll(&mut self) {
        let at = (self.now - self.start).as_millis() as u64;
        let events = &mut self.events;
        self.wake = self
            .keypad
            .poll(self.now, &mut |event| events.push((at, event)))
            .unwrap();
    }

    /// Lets time pass as a back end would: polls when asked to, and at edges while armed.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let armed_edge = matches!(self.wake, Wake::EdgeOr(_))
                && (0..ROWS).any(|row| self.wires.borrow().is_low(row));
            match self.wake {
                _ if armed_edge => self.poll(),
                Wake::At(at) | Wake::EdgeOr(Some(at)) if at <= end => {
                    self.now = at.max(self.now);
                    self.poll();
                }
                Wake::At(_) | Wake::EdgeOr(_) => break,
            }
        }
        self.now = end;
    }

    fn set(&mut self, key: &str, down: bool) {
        let row = KEYS.iter().position(|row| row.contains(&key)).unwrap();
        let column = KEYS[row].iter().position(|name| *name == key).unwrap();
        let mut wires = self.wires.borrow_mut();
        if down {
            wires.closed.insert((row, column));
        } else {
            wires.closed.remove(&(row, column));
        }
    }

    fn ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    /// Events so far in short: `+1` pressed, `~1` long, `-1` released, `?` ghosts.
    fn take(&mut self) -> String {
        let words: Vec<String> = self
            .events
            .drain(..)
            .map(|(_, event)| short(event))
            .collect();
        words.join(" ")
    }
}

fn short(event: HalEvent) -> String {
    match event {
        HalEvent::Key {
            key,
            action: KeyAction::Pressed,
        } => format!("+{key}"),
        HalEvent::Key {
            key,
            action: KeyAction::LongPressed,
        } => format!("~{key}"),
        HalEvent::Key {
            key,
            action: KeyAction::Released,
        } => format!("-{key}"),
        HalEvent::KeyStuck(key) => format!("!{key}"),
        HalEvent::GhostKeys => "?".into(),
        other => format!("{other:?}"),
    }
}

/// Plays a script: `+1` closes a contact, `-1` opens it, a number lets milliseconds pass, `=`
/// compares the events since the last one with the rest of the line.
#[track_caller]
fn check(mut rig: Rig, script: &str) {
    for (number, line) in script.lines().enumerate() {
        let (steps, expected) = line.split_once('=').unwrap_or((line, ""));
        for step in steps.split_whitespace() {
            match step.split_at(1) {
                ("+", key) => rig.set(key, true),
                ("-", key) => rig.set(key, false),
                _ => rig.ms(step.parse().unwrap()),
            }
        }
        assert_eq!(rig.take(), expected.trim(), "line {}: {line}", number + 1);
    }
}

#[test]
fn a_key_is_told_after_the_debounce_time() {
    check(
        Rig::new(false, None),
        "+5 4 =
         2 = +5
         100 -5 4 =
         3 = -5
         1000 =",
    );
}

#[test]
fn a_bouncing_contact_is_one_press() {
    check(
        Rig::new(false, None),
        "+5 2 -5 1 +5 4 -5 2 +5 3 =
         4 = +5
         50 -5 2 +5 1 -5 4 +5 1 -5 3 =
         4 = -5",
    );
}

#[test]
fn a_spike_is_no_press() {
    check(Rig::new(false, None), "+# 3 -# 100 =");
}

#[test]
fn keys_roll_over() {
    check(
        Rig::new(false, None),
        "+1 20 +2 20 -1 20 +3 20 -2 20 -3 20 = +1 +2 -1 +3 -2 -3",
    );
}

#[test]
fn two_held_keys_are_both_long_presses() {
    check(
        Rig::new(false, None),
        "+1 100 +# 750 = +1 +# ~1
         100 = ~#
         -1 10 -# 10 = -1 -#",
    );
}

#[test]
fn three_corners_are_ghosts_until_one_is_let_go() {
    // 1 and 2 are known; 4 could be 4 or 5, or both.
    check(
        Rig::new(false, None),
        "+1 20 +2 20 = +1 +2
         +4 100 = ?
         -2 20 = -2 +4
         +2 100 = ?
         -1 -2 -4 20 = -1 -4
         100 =",
    );
    check(
        Rig::new(false, None),
        "+1 +2 +4 100 = ?\n-1 100 = +2 +4\n-2 -4 10 = -2 -4",
    );
}

#[test]
fn ghosts_of_a_bouncing_third_key_are_told_once() {
    check(
        Rig::new(false, None),
        "+1 +2 20 = +1 +2
         +4 1 -4 1 +4 1 -4 2 +4 2 -4 1 +4 100 = ?
         -4 2 +4 2 -4 20 =
         -1 -2 20 = -1 -2",
    );
}

#[test]
fn three_keys_that_make_no_rectangle_are_three_keys() {
    check(Rig::new(false, None), "+1 +5 +9 20 = +1 +5 +9");
    check(Rig::new(false, None), "+1 +2 +3 +hold 20 = +1 +2 +3 +hold");
}

#[test]
fn diodes_make_every_combination_certain() {
    check(
        Rig::new(true, None),
        "+1 +2 +4 20 = +1 +2 +4\n+5 20 = +5\n-1 20 = -1",
    );
}

#[test]
fn where_there_is_no_key_there_is_no_ghost() {
    check(Rig::new(false, Some("5")), "+1 +2 +4 20 = +1 +2 +4");
}

#[test]
fn a_key_held_for_a_minute_is_stuck_and_silent() {
    check(
        Rig::new(false, None),
        "+7 59000 = +7 ~7
         1100 = -7 !7
         60000 =
         +1 20 -1 20 = +1 -1
         -7 100 =
         +7 20 -7 20 = +7 -7",
    );
}

#[test]
fn an_idle_keypad_neither_scans_nor_wakes() {
    let mut rig = Rig::new(false, None);
    for _ in 0..3 {
        rig.ms(1);
        assert_eq!(rig.wake, Wake::EdgeOr(None));
        let drives = rig.wires.borrow().drives;
        assert_eq!(rig.wires.borrow().driven.len(), COLUMNS, "armed");
        rig.ms(10_000);
        // A stray edge without a key changes nothing.
        rig.poll();
        assert_eq!(
            (rig.wires.borrow().drives, rig.wake),
            (drives, Wake::EdgeOr(None))
        );
        rig.set("0", true);
        rig.ms(50);
        assert!(rig.wires.borrow().drives > drives);
        rig.set("0", false);
        rig.ms(50);
        assert_eq!(rig.take(), "+0 -0");
    }
}

#[test]
fn a_key_that_goes_down_between_scan_and_arming_is_not_missed() {
    let wires = Wires {
        sneaks: Some((0, 0)),
        ..Wires::default()
    };
    let mut rig = Rig::with(wires, None);
    // Its edge came before edges were waited for, so it must be found by looking.
    assert!(matches!(rig.wake, Wake::At(_)), "{:?}", rig.wake);
    rig.ms(20);
    assert_eq!(rig.take(), "+1");
}

#[test]
fn a_key_that_is_down_at_the_start_is_told() {
    let mut rig = Rig::new(false, None);
    rig.set("mute", true);
    rig.poll();
    rig.ms(10);
    assert_eq!(rig.take(), "+mute");
    assert_eq!(rig.keypad.held().collect::<Vec<_>>(), [Key::Mute]);
}

fn key_names() -> impl Strategy<Value = &'static str> {
    (0..ROWS, 0..COLUMNS).prop_map(|(row, column)| KEYS[row][column])
}

proptest! {
    /// However fingers fall: no key is told that was not down, every press has its release, and
    /// after all fingers are gone the keypad is idle.
    #[test]
    fn no_ghost_is_ever_told(
        fingers in prop::collection::vec((key_names(), any::<bool>(), 0_u64..30), 1..60)
    ) {
        let mut rig = Rig::new(false, None);
        let mut lately: Vec<(Instant, BTreeSet<String>)> = Vec::new();
        let mut down = BTreeSet::new();
        for (key, press, then_ms) in fingers {
            rig.set(key, press);
            if press { down.insert(key.to_string()); } else { down.remove(key); }
            lately.push((rig.now, down.clone()));
            let before = rig.events.len();
            rig.ms(then_ms);
            for (at, event) in rig.events[before..].iter().copied() {
                if let HalEvent::Key { key, action: KeyAction::Pressed } = event {
                    let at = rig.start + Duration::from_millis(at);
                    let begin = at.checked_sub(2 * DEBOUNCE).unwrap();
                    let last_before = lately.iter().rposition(|(time, _)| *time <= begin).unwrap_or(0);
                    prop_assert!(lately[last_before..].iter().any(|(_, keys)| keys.contains(&key.to_string())), "{key} is a ghost");
                }
            }
        }
        for key in down {
            rig.set(&key, false);
        }
        rig.ms(100);
        prop_assert_eq!(rig.wake, Wake::EdgeOr(None));
        let mut held = BTreeSet::new();
        for (_, event) in &rig.events {
            match event {
                HalEvent::Key { key, action: KeyAction::Pressed } => prop_assert!(held.insert(*key)),
                HalEvent::Key { key, action: KeyAction::Released } => prop_assert!(held.remove(key)),
                _ => {}
            }
        }
        prop_assert!(held.is_empty());
    }

    /// Up to two keys at a time, with bouncing contacts: every press and release is told, once.
    #[test]
    fn two_bouncing_keys_are_always_right(
        (a, b) in (key_names(), key_names()).prop_filter("two keys", |(a, b)| a != b),
        bounces in prop::collection::vec(1_u64..5, 0..6),
    ) {
        let mut rig = Rig::new(false, None);
        for (key, down) in [(a, true), (b, true), (a, false), (b, false)] {
            let mut level = down;
            for gap in &bounces {
                rig.set(key, level);
                rig.ms(*gap);
                level = !level;
            }
            rig.set(key, down);
            rig.ms(20);
        }
        prop_assert_eq!(rig.take(), format!("+{a} +{b} -{a} -{b}"));
    }
}
