//! The closed contacts of a matrix, and which of them may be ghosts.

use super::{MAX_COLUMNS, MAX_ROWS};

/// A set of crossings of rows and columns: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contacts {
    /// A bit per row, for each column.
    columns: [u8; MAX_COLUMNS],
}

const _: () = assert!(
    MAX_ROWS <= 8 && MAX_COLUMNS <= 8,
    "a column's rows fit a byte"
);

impl Contacts {
    /// Adds a crossing. One outside the largest matrix is ignored.
    pub fn insert(&mut self, row: usize, column: usize) {
        if let Some(rows) = self.columns.get_mut(column)
            && row < MAX_ROWS
        {
            *rows |= 1 << row;
        }
    }

    /// Whether a crossing is in the set.
    pub fn contains(self, row: usize, column: usize) -> bool {
        row < MAX_ROWS
            && self
                .columns
                .get(column)
                .is_some_and(|rows| rows & (1 << row) != 0)
    }

    /// There is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The crossings that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            columns: std::array::from_fn(|column| self.columns[column] & other.columns[column]),
        }
    }

    /// Whether the contact at a crossing could be read as closed without being so.
    ///
    /// Without diodes, current finds every way through closed contacts. A contact is certain
    /// only if there is no other way from its row to its column: three corners of a
    /// rectangle make such a way, and so do longer detours. The set must hold only crossings
    /// where there is a key.
    pub fn is_ambiguous(self, row: usize, column: usize) -> bool {
        let mut without = self;
        if row >= MAX_ROWS || column >= MAX_COLUMNS {
            return false;
        }
        without.columns[column] &= !(1 << row);
        let (mut rows, mut columns) = (1_u8 << row, 0_u8);
        loop {
            let before = (rows, columns);
            for (index, in_column) in without.columns.iter().enumerate() {
                if in_column & rows != 0 {
                    columns |= 1 << index;
                    rows |= in_column;
                }
            }
            if columns & (1 << column) != 0 {
                return true;
            }
            if (rows, columns) == before {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(crossings: &[(usize, usize)]) -> Contacts {
        let mut contacts = Contacts::default();
        for (row, column) in crossings {
            contacts.insert(*row, *column);
        }
        contacts
    }

    #[test]
    fn up_to_two_keys_are_always_certain() {
        for a in 0..64 {
            for b in 0..64 {
                let contacts = set(&[(a / 8, a % 8), (b / 8, b % 8)]);
                assert!(!contacts.is_ambiguous(a / 8, a % 8), "{a} with {b}");
            }
        }
    }

    #[test]
    fn a_rectangle_is_ambiguous_and_what_hangs_on_it_is_not() {
        let contacts = set(&[(0, 0), (0, 3), (5, 0), (5, 3), (7, 3)]);
        for (row, column) in [(0, 0), (0, 3), (5, 0), (5, 3)] {
            assert!(contacts.is_ambiguous(row, column), "{row},{column}");
        }
        assert!(!contacts.is_ambiguous(7, 3));
    }

    #[test]
    fn a_detour_without_a_rectangle_is_ambiguous_too() {
        let hexagon = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 0)];
        assert!(
            hexagon
                .iter()
                .all(|(row, column)| set(&hexagon).is_ambiguous(*row, *column))
        );
    }

    #[test]
    fn what_is_outside_is_ignored() {
        let contacts = set(&[(8, 0), (0, 8)]);
        assert!(contacts.is_empty());
        assert!(!contacts.contains(8, 0) && !contacts.contains(0, 8));
        assert!(!contacts.is_ambiguous(8, 0) && !contacts.is_ambiguous(0, 8));
    }
}
