//! The SH1106, an OLED controller like the SSD1306, but with pages as its only way of addressing, and 132 columns of
//! which a 128-pixel display uses the middle (data sheet "SH1106 132 X 64 Dot Matrix OLED", section Commands).
//!
//! Written here because the crates for it speak `embedded-hal` 0.2 or are asynchronous.

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_hal::i2c::I2c;

const WIDTH: usize = 128;
/// The controller's column of the display's first.
const COLUMN_OFFSET: u8 = 2;
/// What the first byte of a message says of the others: commands, or pixels.
const COMMANDS: u8 = 0x00;
const PIXELS: u8 = 0x40;
/// Eight rows of pixels, one byte per column.
const MAX_PAGES: usize = 8;

/// A display of 128 x 64 or 128 x 32 pixels.
#[derive(Debug)]
pub(super) struct Sh1106<B> {
    bus: B,
    address: u8,
    pages: usize,
    pixels: [[u8; WIDTH]; MAX_PAGES],
    /// A bit per page that changed since it was sent.
    changed: u8,
}

impl<B: I2c> Sh1106<B> {
    /// Sets the display up, dark.
    pub(super) fn new(bus: B, address: u8, height: u32) -> Result<Self, B::Error> {
        let pages = (height / 8).clamp(1, MAX_PAGES as u32) as usize;
        let mut display = Self {
            bus,
            address,
            pages,
            pixels: [[0; WIDTH]; MAX_PAGES],
            changed: 0,
        };
        let multiplex = (pages * 8 - 1) as u8;
        // Alternating COM pins for 64 rows, sequential ones for 32.
        let com_pins = if pages == MAX_PAGES { 0x12 } else { 0x02 };
        #[rustfmt::skip]
        let set_up = [
            COMMANDS,
            0xae,               // off
            0xd5, 0x80,         // clock
            0xa8, multiplex,    // rows
            0xd3, 0x00,         // no offset
            0x40,               // starts at row 0
            0xad, 0x8b,         // its own charge pump
            0xa1, 0xc8,         // turned so that the connector is on top
            0xda, com_pins,
            0x81, 0x80,         // contrast
            0xd9, 0x22,         // precharge
            0xdb, 0x35,         // VCOM
            0xa4, 0xa6,         // shows its memory, not inverted
        ];
        display.bus.write(address, &set_up)?;
        display.changed = u8::MAX;
        display.flush()?;
        display.bus.write(address, &[COMMANDS, 0xaf])?;
        Ok(display)
    }

    /// Sends the pages that changed.
    pub(super) fn flush(&mut self) -> Result<(), B::Error> {
        for page in 0..self.pages {
            if self.changed & (1 << page) == 0 {
                continue;
            }
            let (low, high) = (COLUMN_OFFSET & 0x0f, 0x10 | COLUMN_OFFSET >> 4);
            let position = [COMMANDS, 0xb0 | page as u8, low, high];
            self.bus.write(self.address, &position)?;
            let mut message = [PIXELS; 1 + WIDTH];
            message[1..].copy_from_slice(&self.pixels[page]);
            self.bus.write(self.address, &message)?;
            self.changed &= !(1 << page);
        }
        Ok(())
    }
}

impl<B> OriginDimensions for Sh1106<B> {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, self.pages as u32 * 8)
    }
}

impl<B> DrawTarget for Sh1106<B> {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) else {
                continue;
            };
            if x >= WIDTH || y >= self.pages * 8 {
                continue;
            }
            let byte = &mut self.pixels[y / 8][x];
            let before = *byte;
            match color {
                BinaryColor::On => *byte |= 1 << (y % 8),
                BinaryColor::Off => *byte &= !(1 << (y % 8)),
            }
            if *byte != before {
                self.changed |= 1 << (y / 8);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::geometry::Point;
    use embedded_hal::i2c::{ErrorType, Operation};

    use super::*;

    /// Keeps what was written.
    #[derive(Default)]
    struct Wire(Vec<Vec<u8>>);

    impl ErrorType for Wire {
        type Error = std::convert::Infallible;
    }

    impl I2c for Wire {
        fn transaction(
            &mut self,
            address: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), Self::Error> {
            assert_eq!(address, 0x3c);
            for operation in operations {
                if let Operation::Write(bytes) = operation {
                    self.0.push(bytes.to_vec());
                }
            }
            Ok(())
        }
    }

    #[test]
    fn only_pages_that_changed_are_sent_to_their_place() {
        let Ok(mut display) = Sh1106::new(Wire::default(), 0x3c, 64);
        // Set-up, eight dark pages, on.
        assert_eq!(display.bus.0.len(), 1 + 2 * 8 + 1);
        assert_eq!(display.bus.0.last(), Some(&vec![0x00, 0xaf]));
        display.bus.0.clear();
        let dot = |x, y| Pixel(Point::new(x, y), BinaryColor::On);
        let Ok(()) = display.draw_iter([dot(5, 10), dot(128, 0), dot(-1, 0), dot(0, 64)]);
        let Ok(()) = display.flush();
        let Ok(()) = display.flush();
        assert_eq!(display.bus.0.len(), 2, "one page, once");
        assert_eq!(display.bus.0[0], [0x00, 0xb1, 0x02, 0x10]);
        let page = &display.bus.0[1];
        assert_eq!((page.len(), page[0], page[1 + 5]), (129, 0x40, 0b100));
        assert_eq!(page.iter().filter(|byte| **byte != 0).count(), 2);
    }

    #[test]
    fn a_low_display_has_half_the_pages() {
        let Ok(display) = Sh1106::new(Wire::default(), 0x3c, 32);
        assert_eq!(display.size(), Size::new(128, 32));
        assert_eq!(display.bus.0.len(), 1 + 2 * 4 + 1);
    }
}
