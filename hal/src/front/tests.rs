//! The front's thread on simulated pins, in virtual time: what it tells, and how often it wakes.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use embedded_hal::digital::{ErrorType, InputPin, OutputPin};

use super::engine::{Engine, Open, SharedCounters};
use super::part::PinPart;
use super::wait::{Clock, readable, waker};
use super::*;
use crate::gpio::{Edges, PinError, Settle};
use crate::hook::HookSwitch;
use crate::keypad::{Keypad, Labels, MatrixPins};
use crate::{HookState, KeyAction, PinLamps};

const KEYS: [[&str; 3]; 2] = [["1", "2", "3"], ["4", "5", "6"]];
const ROWS: usize = KEYS.len();
const COLUMNS: usize = KEYS[0].len();

/// Two rows, three columns, a hook switch and a lamp.
#[derive(Default)]
struct Wires {
    closed: BTreeSet<(usize, usize)>,
    driven: BTreeSet<usize>,
    lifted: bool,
    lit: bool,
    /// The chip is gone: every access fails.
    gone: bool,
    /// Edges go here, while it is open.
    edges: Option<UnixStream>,
    scans: u64,
}

impl Wires {
    fn row_is_low(&self, row: usize) -> bool {
        let (mut rows, mut columns) = (BTreeSet::from([row]), BTreeSet::new());
        for _ in 0..ROWS * COLUMNS {
            for (row, column) in &self.closed {
                if rows.contains(row) || columns.contains(column) {
                    rows.insert(*row);
                    columns.insert(*column);
                }
            }
        }
        columns.iter().any(|column| self.driven.contains(column))
    }

    /// Changes something, and tells the falling edges of rows and both edges of the hook.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let levels = |wires: &Self| {
            let rows: Vec<bool> = (0..ROWS).map(|row| wires.row_is_low(row)).collect();
            (rows, wires.lifted)
        };
        let (rows, lifted) = levels(self);
        change(self);
        let (rows_now, lifted_now) = levels(self);
        let falls = rows.iter().zip(&rows_now).any(|(was, is)| !was && *is);
        if let Some(edges) = &mut self.edges
            && (falls || lifted != lifted_now)
        {
            let _ = edges.write(&[1]);
        }
    }
}

#[derive(Clone)]
struct Board(Arc<Mutex<Wires>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap()
    }
}

enum Input {
    Row(Board, usize),
    Hook(Board),
}

enum Output {
    Column(Board, usize),
    Lamp(Board),
}

fn gone(wires: &Wires) -> Result<(), PinError> {
    if wires.gone {
        return Err(PinError("No such device".into()));
    }
    Ok(())
}

impl ErrorType for Input {
    type Error = PinError;
}

impl InputPin for Input {
    fn is_high(&mut self) -> Result<bool, PinError> {
        let (Self::Row(board, _) | Self::Hook(board)) = &*self;
        let wires = board.lock();
        gone(&wires)?;
        Ok(match &*self {
            Self::Row(_, row) => !wires.row_is_low(*row),
            Self::Hook(_) => wires.lifted,
        })
    }

    fn is_low(&mut self) -> Result<bool, PinError> {
        self.is_high().map(|high| !high)
    }
}

impl ErrorType for Output {
    type Error = PinError;
}

impl Output {
    fn set(&self, high: bool) -> Result<(), PinError> {
        let (Self::Column(board, _) | Self::Lamp(board)) = self;
        let mut wires = board.lock();
        gone(&wires)?;
        match self {
            Self::Column(_, column) => {
                let column = *column;
                wires.scans += 1;
                wires.change(|wires| {
                    if high {
                        wires.driven.remove(&column);
                    } else {
                        wires.driven.insert(column);
                    }
                });
            }
            Self::Lamp(_) => wires.lit = high,
        }
        Ok(())
    }
}

impl OutputPin for Output {
    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(true)
    }
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(false)
    }
}

/// As the back ends do it, on the simulated pins.
fn open(
    board: &Board,
    edges: bool,
    told: HookState,
    now: Instant,
) -> Result<PinPart<Input, Output, Settle>, String> {
    let mut wires = board.lock();
    if wires.gone {
        return Err("there is no GPIO chip".into());
    }
    let edges = edges.then(|| {
        let (read, write) = UnixStream::pair().unwrap();
        read.set_nonblocking(true).unwrap();
        write.set_nonblocking(true).unwrap();
        wires.edges = Some(write);
        Edges::of_pipe(read)
    });
    drop(wires);
    let pins = MatrixPins::new(
        (0..ROWS).map(|row| Input::Row(board.clone(), row)),
        (0..COLUMNS).map(|column| Output::Column(board.clone(), column)),
        Settle,
        Duration::ZERO,
    );
    let mut labels = Labels::default();
    for (row, names) in KEYS.iter().enumerate() {
        for (column, name) in names.iter().enumerate() {
            labels[row][column] = Some(name.parse().unwrap());
        }
    }
    let config = KeypadConfig {
        labels,
        diodes: false,
        debounce: Duration::from_millis(5),
        timing: KeyTiming::default(),
    };
    let timing = HookTiming::default();
    let lamp = (Lamp::Message, Output::Lamp(board.clone()), true);
    Ok(PinPart {
        keypad: Some(Keypad::new(pins.unwrap(), &config)),
        hook: Some(HookSwitch::resume(
            Input::Hook(board.clone()),
            true,
            timing,
            told,
        )),
        lamps: PinLamps::new([lamp], now).map_err(|error| error.to_string())?,
        edges,
        steady: POLL_WITHOUT_EDGES,
    })
}

/// What happens to the board, at which millisecond.
type Script = Vec<(u64, Act)>;
type Act = Box<dyn FnOnce(&Board, &Shared)>;

/// Virtual time: passes at once, but not past an edge, a deadline or the script's next line.
struct Scripted {
    start: Instant,
    now: Instant,
    script: std::vec::IntoIter<(u64, Act)>,
    board: Board,
    shared: Arc<Shared>,
}

impl Clock for Scripted {
    fn now(&self) -> Instant {
        self.now
    }

    fn wait(&mut self, fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> Vec<bool> {
        loop {
            let ready = readable(fds, Some(Duration::ZERO));
            if ready.contains(&true) {
                return ready;
            }
            let next = self.script.as_slice().first();
            let next = next.map(|(at, _)| self.start + Duration::from_millis(*at));
            match (next, deadline) {
                (Some(next), deadline) if deadline.is_none_or(|deadline| next <= deadline) => {
                    let lamps = *self.shared.lamps.lock().unwrap();
                    self.now = self.now.max(next);
                    let (_, act) = self.script.next().unwrap();
                    act(&self.board, &self.shared);
                    let called = lamps != *self.shared.lamps.lock().unwrap();
                    if called || self.shared.stop.load(Ordering::Acquire) {
                        return vec![false; fds.len()];
                    }
                }
                (_, Some(deadline)) => {
                    self.now = self.now.max(deadline);
                    return vec![false; fds.len()];
                }
                (next, None) => unreachable!("nothing will ever happen: {next:?}"),
            }
        }
    }
}

/// Plays `script` until `end_ms`, and returns what was told, with milliseconds, and the counters.
fn play(edges: bool, mut script: Script, end_ms: u64) -> (Vec<String>, FrontCounters, Board) {
    let board = Board(Arc::default());
    script.push((
        end_ms,
        Box::new(|_, shared| shared.stop.store(true, Ordering::Release)),
    ));
    let shared = Arc::new(Shared {
        lamps: Mutex::default(),
        stop: AtomicBool::new(false),
        waker: waker().unwrap().0,
        counters: SharedCounters::default(),
    });
    let of_part = board.clone();
    let opener: Open = Box::new(move |now, told| Ok(Box::new(open(&of_part, edges, told, now)?)));
    let mut engine = Engine::of_parts(vec![("pins".into(), opener)], shared.counters.clone());
    let start = Instant::now();
    let mut clock = Scripted {
        start,
        now: start,
        script: script.into_iter(),
        board: board.clone(),
        shared: Arc::clone(&shared),
    };
    let mut told = Vec::new();
    run(&mut engine, &shared, &mut clock, &mut |event| {
        told.push(short(&event));
    });
    (told, shared.counters.read(), board)
}

fn short(event: &FrontEvent) -> String {
    match event {
        FrontEvent::Hal(HalEvent::Key { key, action }) => match action {
            KeyAction::Pressed => format!("+{key}"),
            KeyAction::LongPressed => format!("~{key}"),
            KeyAction::Released => format!("-{key}"),
        },
        FrontEvent::Hal(event) => format!("{event:?}"),
        FrontEvent::Trouble { message, .. } => format!("trouble: {message}"),
        FrontEvent::Recovered { .. } => "recovered".into(),
    }
}

fn key(name: &'static str, down: bool) -> Act {
    let row = KEYS.iter().position(|row| row.contains(&name)).unwrap();
    let column = KEYS[row].iter().position(|key| *key == name).unwrap();
    Box::new(move |board, _| {
        board.lock().change(|wires| {
            if down {
                wires.closed.insert((row, column));
            } else {
                wires.closed.remove(&(row, column));
            }
        });
    })
}

fn lift(lifted: bool) -> Act {
    Box::new(move |board, _| board.lock().change(|wires| wires.lifted = lifted))
}

fn light(state: LampState) -> Act {
    Box::new(move |_, shared| shared.lamps.lock().unwrap()[0] = state)
}

fn unplug(gone: bool) -> Act {
    Box::new(move |board, _| {
        let mut wires = board.lock();
        wires.gone = gone;
        // What waits for edges of a chip that goes away is woken.
        wires.edges = None;
    })
}

const HOUR_MS: u64 = 3_600_000;

#[test]
fn an_idle_phone_is_not_woken_by_its_front() {
    let (told, counters, board) = play(true, vec![], HOUR_MS);
    // One turn opens the pins; the edges that their opening made may cost one more.
    assert!(counters.wakes <= 2, "{counters:?}");
    assert!(told.is_empty(), "{told:?}");
    let scans = board.lock().scans;
    let (_, after, _) = play(
        true,
        vec![(10, key("5", true)), (100, key("5", false))],
        HOUR_MS,
    );
    let (_, later, board) = play(
        true,
        vec![(10, key("5", true)), (100, key("5", false))],
        2 * HOUR_MS,
    );
    assert_eq!(after, later, "nothing woke it in the second hour");
    assert!(
        board.lock().scans > scans,
        "it did scan while the key was down"
    );
}

#[test]
fn keys_and_hook_come_through_edges() {
    let (told, counters, _) = play(
        true,
        vec![
            (1000, lift(true)),
            (2000, key("1", true)),
            (2050, key("5", true)),
            (2100, key("1", false)),
            (2150, key("5", false)),
            (3000, key("3", true)),
            (4000, key("3", false)),
            (5000, lift(false)),
        ],
        6000,
    );
    let expected = [
        "Hook(Lifted)",
        "+1",
        "+5",
        "-1",
        "-5",
        "+3",
        "~3",
        "-3",
        "Hook(Resting)",
    ];
    assert_eq!(told, expected);
    assert!(
        counters.wakes < 1200,
        "scanned only while a key was down: {counters:?}"
    );
}

#[test]
fn ghosts_are_told_as_ghosts() {
    let (told, _, _) = play(
        true,
        vec![
            (10, key("1", true)),
            (30, key("2", true)),
            (50, key("4", true)),
            (100, key("2", false)),
            (150, key("4", false)),
            (150, key("1", false)),
        ],
        1000,
    );
    assert_eq!(told, ["+1", "+2", "GhostKeys", "-2", "+4", "-1", "-4"]);
}

#[test]
fn the_hook_is_seen_while_a_key_is_down() {
    let (told, _, _) = play(
        true,
        vec![
            (10, key("1", true)),
            (50, lift(true)),
            (100, key("1", false)),
        ],
        1000,
    );
    assert_eq!(told, ["+1", "Hook(Lifted)", "-1"]);
}

#[test]
fn bouncing_contacts_are_one_event_each() {
    let mut script: Script = Vec::new();
    for (at, down) in [(0, true), (2, false), (3, true), (5, false), (6, true)] {
        script.push((100 + at, key("6", down)));
    }
    for (at, down) in [(0, false), (1, true), (4, false)] {
        script.push((200 + at, key("6", down)));
    }
    for (at, lifted) in [(0, true), (3, false), (4, true), (9, false), (11, true)] {
        script.push((300 + at, lift(lifted)));
    }
    let (told, _, _) = play(true, script, 1000);
    assert_eq!(told, ["+6", "-6", "Hook(Lifted)"]);
}

#[test]
fn a_storm_of_edges_is_bounded_and_over_when_it_is_over() {
    // The hook's line picks up something: an edge every millisecond for ten seconds.
    let mut script: Script = (0..10_000)
        .map(|ms| (1000 + ms, lift(ms % 2 == 0)))
        .collect();
    script.push((20_000, lift(true)));
    let (told, counters, _) = play(true, script, HOUR_MS);
    assert_eq!(counters.storms, 1, "{counters:?}");
    // The first 200 at full pace, then 50 readings a second, each with its debounce deadline.
    assert!(counters.wakes < 200 * 2 + 10 * 150, "{counters:?}");
    assert_eq!(told.last().map(String::as_str), Some("Hook(Lifted)"));
}

#[test]
fn without_edges_it_reads_at_its_stated_rate() {
    let (told, counters, _) = play(
        false,
        vec![
            (1000, key("2", true)),
            (1060, key("2", false)),
            (2000, lift(true)),
        ],
        60_000,
    );
    assert_eq!(told, ["+2", "-2", "Hook(Lifted)"]);
    let steady = 60_000 / POLL_WITHOUT_EDGES.as_millis() as u64;
    assert!(
        (steady..steady + 100).contains(&counters.wakes),
        "{counters:?}"
    );
}

#[test]
fn lamps_blink_without_waking_more_than_they_change() {
    let (_, counters, board) = play(
        true,
        vec![
            (1000, light(LampState::Slow)),
            (11_400, light(LampState::On)),
        ],
        HOUR_MS,
    );
    assert!(board.lock().lit);
    assert!(
        (20..=26).contains(&counters.wakes),
        "2 a second for 10 s: {counters:?}"
    );
}

/// Hardware that goes away: keys come up, trouble is told once, it is tried ever more slowly, and what was told of the
/// hook before is not told again.
#[test]
fn a_chip_that_goes_away_comes_back_by_itself() {
    let (told, counters, board) = play(
        true,
        vec![
            (1000, lift(true)),
            (2000, key("4", true)),
            (2100, unplug(true)),
            (5000, light(LampState::On)),
            (20_000, unplug(false)),
            (60_000, key("4", false)),
            (70_000, lift(false)),
        ],
        80_000,
    );
    assert_eq!(
        told,
        [
            "Hook(Lifted)",
            "+4",
            "-4",
            "trouble: keypad column 1 could not be read (No such device); check its line in the board file and that no other program holds it",
            "trouble: there is no GPIO chip",
            "recovered",
            "+4",
            "~4",
            "-4",
            "Hook(Resting)",
        ]
    );
    assert!(board.lock().lit, "what was set meanwhile shows");
    // Failed once, then tried after 1, 2, 4, 8 s and at last 16 s.
    assert_eq!(counters.troubles, 5, "{counters:?}");
}

#[test]
fn hardware_that_is_missing_at_the_start_is_waited_for() {
    let (told, counters, _) = play(
        true,
        vec![
            (0, unplug(true)),
            (600_000, unplug(false)),
            (700_000, lift(true)),
        ],
        HOUR_MS,
    );
    let last: Vec<&str> = told
        .iter()
        .rev()
        .take(2)
        .rev()
        .map(String::as_str)
        .collect();
    assert_eq!(last, ["recovered", "Hook(Lifted)"]);
    assert!(counters.troubles < 30, "{counters:?}");
}

#[test]
fn a_real_front_without_hardware_tells_it_and_ends() {
    let (told, heard) = std::sync::mpsc::channel();
    let spec = FrontSpec {
        lines: None,
        devices: vec![InputDevicePart {
            device: "no such handset".into(),
            keys: Vec::new(),
            timing: KeyTiming::default(),
            hook: None,
        }],
    };
    let front = Front::start(spec, move |event| drop(told.send(event))).unwrap();
    let first = heard.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(first, FrontEvent::Trouble { .. }), "{first:?}");
    front.lamps().set(Lamp::Mute, LampState::On).unwrap();
    assert_eq!(front.counters().troubles, 1);
    drop(front);
    assert!(heard.recv().is_err(), "its thread has ended");
}
