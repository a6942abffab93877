//! What an OLED shows: a model of SSD1306 and SH1106, fed with what the bus carried (data sheets SSD1306 Rev 1.1 and
//! SH1106 V2.3, the tables of commands).

/// Columns of the larger memory, the SH1106's.
const COLUMNS: usize = 132;
const PAGES: usize = 8;

/// A display module with its connector on top.
#[derive(Debug, Clone)]
pub struct Oled {
    /// The memory's column that is the glass's first.
    first_column: usize,
    memory: [[u8; COLUMNS]; PAGES],
    /// SSD1306: 0 horizontal; both: 2 by pages, which is how they begin.
    mode: u8,
    columns: (usize, usize),
    pages: (usize, usize),
    at: (usize, usize),
    is_on: bool,
    /// Its own pump gives the glass its voltage.
    is_pumped: bool,
    is_inverted: bool,
    /// All pixels are lit, whatever is in the memory.
    is_all_on: bool,
    is_turned: (bool, bool),
    rows: usize,
}

impl Oled {
    /// As the power comes on. `first_column`: 0 for an SSD1306, 2 for an SH1106, of 128 columns.
    pub fn new(first_column: usize) -> Self {
        Self {
            first_column,
            memory: [[0xa5; COLUMNS]; PAGES],
            mode: 2,
            columns: (0, COLUMNS - 1),
            pages: (0, PAGES - 1),
            at: (0, 0),
            is_on: false,
            is_pumped: false,
            is_inverted: false,
            is_all_on: false,
            is_turned: (false, false),
            rows: 64,
        }
    }

    /// One message of the bus, whose first byte says whether pixels or commands follow.
    pub fn hear(&mut self, message: &[u8]) {
        match message {
            [0x40, pixels @ ..] => pixels.iter().for_each(|byte| self.store(*byte)),
            [0x00, commands @ ..] => {
                let mut rest = commands.iter().copied();
                while let Some(command) = rest.next() {
                    self.command(command, &mut || rest.next().expect("an argument"));
                }
            }
            other => panic!("neither commands nor pixels: {other:02x?}"),
        }
    }

    fn command(&mut self, command: u8, argument: &mut dyn FnMut() -> u8) {
        let low = usize::from(command & 0x0f);
        match command {
            0x00..=0x0f => self.at.0 = self.at.0 & 0xf0 | low,
            0x10..=0x1f => self.at.0 = self.at.0 & 0x0f | low << 4,
            0x20 => self.mode = argument(),
            0x21 => {
                self.columns = (argument().into(), argument().into());
                self.at.0 = self.columns.0;
            }
            0x22 => {
                self.pages = (argument().into(), argument().into());
                self.at.1 = self.pages.0;
            }
            0xb0..=0xb7 => self.at.1 = low,
            0x8d => self.is_pumped = argument() & 0x04 != 0,
            0xad => self.is_pumped = argument() == 0x8b,
            0xa0 | 0xa1 => self.is_turned.0 = command == 0xa1,
            0xc0 | 0xc8 => self.is_turned.1 = command == 0xc8,
            0xa4 | 0xa5 => self.is_all_on = command == 0xa5,
            0xa6 | 0xa7 => self.is_inverted = command == 0xa7,
            0xa8 => self.rows = usize::from(argument()) + 1,
            0xae | 0xaf => self.is_on = command == 0xaf,
            // The first row, and no scrolling.
            0x40 | 0x2e => {}
            // Contrast, offset, clock, precharge, pins, voltage: not of the picture.
            0x81 | 0xd3 | 0xd5 | 0xd9 | 0xda | 0xdb => drop(argument()),
            other => panic!("no command: {other:02x}"),
        }
    }

    fn store(&mut self, byte: u8) {
        let (column, page) = self.at;
        self.memory[page][column] = byte;
        self.at.0 += 1;
        if self.mode == 0 && self.at.0 > self.columns.1 {
            self.at = (self.columns.0, page + 1);
            if self.at.1 > self.pages.1 {
                self.at.1 = self.pages.0;
            }
        }
    }

    /// What is seen of `width` pixels, row by row from the top left: `#` is lit. Nothing while it is off.
    pub fn picture(&self, width: usize) -> Option<Vec<String>> {
        if !self.is_on || !self.is_pumped {
            return None;
        }
        let lit = |x: usize, y: usize| {
            // Neither turned, the first pixel is where the connector is not.
            let x = if self.is_turned.0 { x } else { width - 1 - x };
            let y = if self.is_turned.1 {
                y
            } else {
                self.rows - 1 - y
            };
            let bit = self.memory[y / 8][self.first_column + x] >> (y % 8) & 1 == 1;
            self.is_all_on || bit != self.is_inverted
        };
        let row = |y| {
            (0..width)
                .map(|x| if lit(x, y) { '#' } else { '.' })
                .collect()
        };
        Some((0..self.rows).map(row).collect())
    }
}
