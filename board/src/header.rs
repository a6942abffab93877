//! The pin header of a board, and which of its lines have functions of their own.

use serde::Deserialize;

use crate::Line;

/// A pin header that boards have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Header {
    /// The 40 pins of every Raspberry Pi since the 1 B+.
    #[serde(rename = "rpi-40")]
    Rpi40,
}

/// What a pin of a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPin {
    /// 3.3 V.
    V3,
    /// 5 V.
    V5,
    /// Ground.
    Ground,
    /// A GPIO line.
    Line(Line),
}

/// A function that the SoC gives to some lines of a header, so that they are no GPIO lines any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// As board files name it.
    pub name: &'static str,
    /// Its lines, and what each carries.
    pub lines: &'static [(Line, &'static str)],
}

use HeaderPin::{Ground, Line as L, V3, V5};

/// Pin 1 first; odd pins are the row nearer to the middle of the board.
const RPI_40: [HeaderPin; 40] = [
    V3,
    V5,
    L(2),
    V5,
    L(3),
    Ground,
    L(4),
    L(14),
    Ground,
    L(15),
    L(17),
    L(18),
    L(27),
    Ground,
    L(22),
    L(23),
    V3,
    L(24),
    L(10),
    Ground,
    L(9),
    L(25),
    L(11),
    L(8),
    Ground,
    L(7),
    L(0),
    L(1),
    L(5),
    Ground,
    L(6),
    L(12),
    L(13),
    Ground,
    L(19),
    L(16),
    L(26),
    L(20),
    Ground,
    L(21),
];

const RPI_40_FUNCTIONS: [Function; 4] = [
    Function {
        name: "i2c1",
        lines: &[(2, "SDA"), (3, "SCL")],
    },
    Function {
        name: "i2s",
        lines: &[
            (18, "clock"),
            (19, "frame"),
            (20, "data in"),
            (21, "data out"),
        ],
    },
    Function {
        name: "spi0",
        lines: &[
            (7, "CE1"),
            (8, "CE0"),
            (9, "MISO"),
            (10, "MOSI"),
            (11, "SCLK"),
        ],
    },
    Function {
        name: "uart0",
        lines: &[(14, "TXD"), (15, "RXD")],
    },
];

/// Of a Raspberry Pi's HAT, to tell what it is; never a GPIO line.
const RPI_40_EEPROM: [Line; 2] = [0, 1];

impl Header {
    /// Its pins, pin 1 first.
    pub const fn pins(self) -> &'static [HeaderPin] {
        match self {
            Self::Rpi40 => &RPI_40,
        }
    }

    /// The functions its lines can have.
    pub const fn functions(self) -> &'static [Function] {
        match self {
            Self::Rpi40 => &RPI_40_FUNCTIONS,
        }
    }

    /// The pin of a line, from 1; none if the line is not on the header, or is not free to use.
    pub fn pin_of(self, line: Line) -> Option<usize> {
        if RPI_40_EEPROM.contains(&line) {
            return None;
        }
        let pins = self.pins();
        pins.iter()
            .position(|pin| *pin == L(line))
            .map(|index| index + 1)
    }

    /// The lines that boards may use, in words.
    pub const fn lines_in_words(self) -> &'static str {
        match self {
            Self::Rpi40 => {
                "2 to 27, the lines of the 40-pin header (0 and 1 belong to a HAT's EEPROM)"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_header_is_on_one_pin() {
        for line in 2..=27 {
            let pin = Header::Rpi40.pin_of(line).expect("it is there");
            assert_eq!(Header::Rpi40.pins()[pin - 1], HeaderPin::Line(line));
            let count = RPI_40.iter().filter(|pin| **pin == L(line)).count();
            assert_eq!(count, 1, "line {line}");
        }
        for line in [0, 1, 28, 1000] {
            assert_eq!(Header::Rpi40.pin_of(line), None);
        }
        // Spot checks against the printed pinout.
        let known = [(2, 3), (4, 7), (18, 12), (21, 40), (26, 37)];
        assert!(
            known
                .iter()
                .all(|(line, pin)| Header::Rpi40.pin_of(*line) == Some(*pin))
        );
        let power = |kind| RPI_40.iter().filter(|pin| **pin == kind).count();
        assert_eq!((power(V3), power(V5), power(Ground)), (2, 2, 8));
    }
}
