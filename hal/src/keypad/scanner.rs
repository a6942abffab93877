//! A keypad: a matrix that is scanned, debounced, kept free of ghosts, and labelled.

use std::time::{Duration, Instant};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{InputPin, OutputPin};

use super::{Contacts, KeyTiming, Keys, MAX_COLUMNS, MAX_ROWS, MatrixError, MatrixPins};
use crate::debounce::Debouncer;
use crate::input::{Input, Wake};
use crate::{HalEvent, Key};

/// The key at each row and column, none where there is no key.
pub type Labels = [[Option<Key>; MAX_COLUMNS]; MAX_ROWS];

/// How a keypad is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeypadConfig {
    /// The keys.
    pub labels: Labels,
    /// Each key has a diode, so that every reading is certain.
    pub diodes: bool,
    /// A contact must keep a new state for this long.
    pub debounce: Duration,
    /// Long press and stuck key.
    pub timing: KeyTiming,
}

/// A keypad in rows and columns.
///
/// While no key is down, all columns are driven, nothing is scanned, and it waits for an
/// edge on a row. While one is down, it scans four times per debounce time (at most every
/// millisecond, at least every five).
///
/// Ghosts: a newly closed contact that other contacts could make look closed is not believed
/// until they no longer can, and [`HalEvent::GhostKeys`] says so once. What was believed before
/// stays down until it is read as open, which no ghost can cause.
#[derive(Debug)]
pub struct Keypad<R, C, D> {
    pins: MatrixPins<R, C, D>,
    labels: Labels,
    /// The crossings that have a key.
    populated: Contacts,
    diodes: bool,
    scan_every: Duration,
    contacts: [[Debouncer<bool>; MAX_COLUMNS]; MAX_ROWS],
    ghosts: Debouncer<bool>,
    keys: Keys,
    armed: bool,
}

impl<R: InputPin, C: OutputPin, D: DelayNs> Keypad<R, C, D> {
    /// A keypad whose keys are all up. One that is down is told once it has been debounced.
    pub fn new(pins: MatrixPins<R, C, D>, config: &KeypadConfig) -> Self {
        let mut populated = Contacts::default();
        for (row, column, _) in labelled(&config.labels) {
            populated.insert(row, column);
        }
        let contact = Debouncer::new(false, config.debounce);
        Self {
            pins,
            labels: config.labels,
            populated,
            diodes: config.diodes,
            scan_every: (config.debounce / 4)
                .clamp(Duration::from_millis(1), Duration::from_millis(5)),
            contacts: [[contact; MAX_COLUMNS]; MAX_ROWS],
            ghosts: contact,
            keys: Keys::new(config.timing),
            armed: false,
        }
    }

    /// The keys that are down, in the order they went down.
    pub fn held(&self) -> impl Iterator<Item = Key> + '_ {
        self.keys.held()
    }

    /// Tells all keys as released, because the matrix can no longer be read.
    pub fn release_all(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) {
        self.keys.release_all(now, emit);
    }

    /// Takes one reading of all contacts, and tells whether anything is down or undecided.
    fn update(&mut self, closed: Contacts, now: Instant, emit: &mut dyn FnMut(HalEvent)) -> bool {
        let mut busy = !closed.is_empty();
        let mut ghosts = false;
        for (row, column, key) in labelled(&self.labels) {
            let contact = &mut self.contacts[row][column];
            let mut reading = closed.contains(row, column);
            if reading && !contact.stable() && !self.diodes && closed.is_ambiguous(row, column) {
                reading = false;
                ghosts = true;
            }
            match contact.update(reading, now).map(|change| change.value) {
                Some(true) => self.keys.press(key, now, emit),
                Some(false) => self.keys.release(key, now, emit),
                None => {}
            }
            busy |= contact.stable() || contact.next_deadline().is_some();
        }
        if self
            .ghosts
            .update(ghosts, now)
            .is_some_and(|change| change.value)
        {
            emit(HalEvent::GhostKeys);
        }
        self.keys.advance(now, emit);
        busy || self.ghosts.stable() || self.ghosts.next_deadline().is_some()
    }
}

impl<R: InputPin, C: OutputPin, D: DelayNs> Input for Keypad<R, C, D> {
    type Error = MatrixError;

    fn poll(&mut self, now: Instant, emit: &mut dyn FnMut(HalEvent)) -> Result<Wake, Self::Error> {
        if self.armed && !self.pins.any_row_is_low()? {
            return Ok(Wake::EdgeOr(None));
        }
        self.armed = false;
        let closed = self.pins.scan()?.and(self.populated);
        if self.update(closed, now, emit) {
            return Ok(Wake::At(now + self.scan_every));
        }
        self.pins.arm()?;
        // A key that went down since the scan makes no edge any more.
        if self.pins.any_row_is_low()? {
            return Ok(Wake::At(now + self.scan_every));
        }
        self.armed = true;
        Ok(Wake::EdgeOr(None))
    }
}

fn labelled(labels: &Labels) -> impl Iterator<Item = (usize, usize, Key)> + use<> {
    let labels = *labels;
    (0..MAX_ROWS)
        .flat_map(|row| (0..MAX_COLUMNS).map(move |column| (row, column)))
        .filter_map(move |(row, column)| labels[row][column].map(|key| (row, column, key)))
}
