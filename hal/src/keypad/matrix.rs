//! Reading a matrix through pins.

use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{InputPin, OutputPin};
use heapless::Vec;
use thiserror::Error;

use super::{Contacts, MAX_COLUMNS, MAX_ROWS};

/// A matrix could not be read, or has too many pins.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// A pin refused.
    #[error(
        "keypad {kind} {number} could not be read ({reason}); check its line in the board file and \
         that no other program holds it"
    )]
    Pin {
        /// "row" or "column".
        kind: &'static str,
        /// Which one, from 1, as in the board file.
        number: usize,
        /// The driver's own words.
        reason: String,
    },
    /// More pins than a matrix can have.
    #[error("a keypad has at most {MAX_ROWS} rows and {MAX_COLUMNS} columns")]
    TooManyPins,
}

/// The pins of a matrix: rows are read, columns are driven.
///
/// Rows are inputs with pull-ups. Columns are open-drain outputs: low when driven, and not
/// connected otherwise, so that two keys in one row do not short two outputs. (A back end whose
/// chip has no open drain makes the pin an input instead.)
#[derive(Debug)]
pub struct MatrixPins<R, C, D> {
    rows: Vec<R, MAX_ROWS>,
    columns: Vec<C, MAX_COLUMNS>,
    delay: D,
    settle_us: u32,
}

impl<R: InputPin, C: OutputPin, D: DelayNs> MatrixPins<R, C, D> {
    /// Rows and columns in the order of the labels; `settle` is how long rows need to follow a
    /// column.
    pub fn new(
        rows: impl IntoIterator<Item = R>,
        columns: impl IntoIterator<Item = C>,
        delay: D,
        settle: Duration,
    ) -> Result<Self, MatrixError> {
        Ok(Self {
            rows: collect(rows)?,
            columns: collect(columns)?,
            delay,
            settle_us: u32::try_from(settle.as_micros()).unwrap_or(u32::MAX),
        })
    }

    /// Drives the columns one by one and reads the closed contacts. No column is driven afterwards.
    pub fn scan(&mut self) -> Result<Contacts, MatrixError> {
        self.drive_all(false)?;
        let mut contacts = Contacts::default();
        for column in 0..self.columns.len() {
            drive(&mut self.columns[column], column, true)?;
            self.delay.delay_us(self.settle_us);
            for row in 0..self.rows.len() {
                if self.row_is_low(row)? {
                    contacts.insert(row, column);
                }
            }
            drive(&mut self.columns[column], column, false)?;
        }
        Ok(contacts)
    }

    /// Drives all columns, so that any key makes an edge on its row.
    pub fn arm(&mut self) -> Result<(), MatrixError> {
        self.drive_all(true)?;
        self.delay.delay_us(self.settle_us);
        Ok(())
    }

    /// Whether any row is low, which, when armed, means that a key is down.
    pub fn any_row_is_low(&mut self) -> Result<bool, MatrixError> {
        for row in 0..self.rows.len() {
            if self.row_is_low(row)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn drive_all(&mut self, driven: bool) -> Result<(), MatrixError> {
        (0..)
            .zip(&mut self.columns)
            .try_for_each(|(index, pin)| drive(pin, index, driven))
    }

    fn row_is_low(&mut self, row: usize) -> Result<bool, MatrixError> {
        self.rows[row]
            .is_low()
            .map_err(|error| pin_error("row", row, &error))
    }
}

fn drive<C: OutputPin>(pin: &mut C, index: usize, driven: bool) -> Result<(), MatrixError> {
    let result = if driven {
        pin.set_low()
    } else {
        pin.set_high()
    };
    result.map_err(|error| pin_error("column", index, &error))
}

fn pin_error(kind: &'static str, index: usize, error: &impl std::fmt::Debug) -> MatrixError {
    MatrixError::Pin {
        kind,
        number: index + 1,
        reason: format!("{error:?}"),
    }
}

fn collect<P, const N: usize>(pins: impl IntoIterator<Item = P>) -> Result<Vec<P, N>, MatrixError> {
    let mut collected = Vec::new();
    for pin in pins {
        collected.push(pin).map_err(|_| MatrixError::TooManyPins)?;
    }
    Ok(collected)
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    fn pins(rows: &[Mock], columns: &[Mock]) -> MatrixPins<Mock, Mock, NoopDelay> {
        let settle = Duration::from_micros(5);
        MatrixPins::new(rows.to_vec(), columns.to_vec(), NoopDelay, settle).unwrap()
    }

    #[test]
    fn columns_are_driven_one_by_one_and_released() {
        use State::{High, Low};
        // Released first, then driven and released around the reading.
        let column = || {
            Mock::new(&[
                Transaction::set(High),
                Transaction::set(Low),
                Transaction::set(High),
            ])
        };
        let mut columns = [column(), column()];
        // The key at row 1, column 0 is down.
        let mut rows = [
            Mock::new(&[Transaction::get(High), Transaction::get(High)]),
            Mock::new(&[Transaction::get(Low), Transaction::get(High)]),
        ];
        let contacts = pins(&rows, &columns).scan().unwrap();
        let mut expected = Contacts::default();
        expected.insert(1, 0);
        assert_eq!(contacts, expected);
        rows.iter_mut().chain(&mut columns).for_each(Mock::done);
    }

    #[test]
    fn armed_it_sees_any_key() {
        use State::{High, Low};
        let mut columns = [
            Mock::new(&[Transaction::set(Low)]),
            Mock::new(&[Transaction::set(Low)]),
        ];
        let mut rows = [
            Mock::new(&[Transaction::get(High)]),
            Mock::new(&[Transaction::get(Low)]),
        ];
        let mut matrix = pins(&rows, &columns);
        matrix.arm().unwrap();
        assert!(matrix.any_row_is_low().unwrap());
        rows.iter_mut().chain(&mut columns).for_each(Mock::done);
    }

    #[test]
    fn a_failing_pin_is_named_as_in_the_board_file() {
        let failure = MockError::Io(std::io::ErrorKind::ResourceBusy);
        let mut columns = [
            Mock::new(&[Transaction::set(State::High)]),
            Mock::new(&[Transaction::set(State::High).with_error(failure)]),
        ];
        let error = pins(&[], &columns).scan().unwrap_err().to_string();
        assert!(
            error.contains("keypad column 2 could not be read"),
            "{error}"
        );
        assert!(error.contains("ResourceBusy"), "{error}");
        columns.iter_mut().for_each(Mock::done);
    }

    #[test]
    fn too_many_pins_are_refused() {
        let mut columns: std::vec::Vec<Mock> = (0..9).map(|_| Mock::new(&[])).collect();
        let refused = MatrixPins::<Mock, _, _>::new([], columns.clone(), NoopDelay, Duration::ZERO);
        assert!(matches!(refused, Err(MatrixError::TooManyPins)));
        columns.iter_mut().for_each(Mock::done);
    }
}
