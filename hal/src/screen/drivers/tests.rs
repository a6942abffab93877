//! The drivers on buses that keep what they carried, or carry nothing.

#[path = "oled.rs"]
mod oled;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use embedded_graphics::prelude::IntoStorage;
use embedded_graphics::text::Text;
use embedded_graphics::{Drawable, Pixel};
use embedded_hal::i2c::{self, NoAcknowledgeSource, Operation};
use embedded_hal::{digital, spi};
use oled::Oled;

use super::super::{OpenDisplay, Screen};
use super::*;

const ADDRESS: u8 = 0x3c;
/// More than any thread is late.
const SOON: Duration = Duration::from_secs(20);

/// A frame that looks different from every side.
fn known(size: Size) -> Framebuffer {
    let mut frame = Framebuffer::new(size).unwrap();
    let style = MonoTextStyle::new(&FONT_6X10, Rgb565::WHITE);
    Text::new("F4", Point::new(3, 9), style)
        .draw(&mut frame)
        .unwrap();
    let corner = Point::new(size.width as i32 - 1, size.height as i32 - 1);
    Pixel(corner, Rgb565::WHITE).draw(&mut frame).unwrap();
    frame
}

fn letters(frame: &Framebuffer) -> Vec<String> {
    let pixels: Vec<Rgb565> = frame.pixels().collect();
    let row = |row: &[Rgb565]| {
        let lit = |pixel: &Rgb565| if *pixel == Rgb565::WHITE { '#' } else { '.' };
        row.iter().map(lit).collect()
    };
    let width = frame.size().width as usize;
    pixels.chunks(width).map(row).collect()
}

/// An I2C bus with one display on it. Clones are one.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Carried>>);

#[derive(Default)]
struct Carried {
    messages: Vec<Vec<u8>>,
    /// So many messages more are taken, then none.
    cut_after: Option<usize>,
}

impl Wire {
    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().unwrap().messages)
    }

    fn cut_after(&self, messages: Option<usize>) {
        self.0.lock().unwrap().cut_after = messages;
    }
}

impl i2c::ErrorType for Wire {
    type Error = i2c::ErrorKind;
}

impl I2c for Wire {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        assert_eq!(address, ADDRESS);
        let mut carried = self.0.lock().unwrap();
        for operation in operations {
            let Operation::Write(bytes) = operation else {
                panic!("a display is not read")
            };
            if let Some(left) = &mut carried.cut_after {
                *left = left
                    .checked_sub(1)
                    .ok_or(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address))?;
            }
            carried.messages.push(bytes.to_vec());
        }
        Ok(())
    }
}

/// Messages as a data sheet writes them.
fn hex(messages: &[Vec<u8>]) -> String {
    let bytes = |message: &Vec<u8>| {
        let words: Vec<String> = message.iter().map(|byte| format!("{byte:02x}")).collect();
        words.join(" ")
    };
    messages.iter().map(bytes).collect::<Vec<_>>().join(", ")
}

fn ssd1306_on(wire: &Wire, height: u32) -> Result<Box<dyn Display>, DisplayError> {
    let size = Size::new(128, height);
    ssd1306(size, wire.clone(), ADDRESS, i2c_name(1))
}

fn sh1106_on(wire: &Wire, height: u32) -> Result<Box<dyn Display>, DisplayError> {
    let size = Size::new(128, height);
    sh1106(size, wire.clone(), ADDRESS, i2c_name(1))
}

type OpenOn = fn(&Wire, u32) -> Result<Box<dyn Display>, DisplayError>;
const OLEDS: [(OpenOn, usize); 2] = [(ssd1306_on, 0), (sh1106_on, 2)];

/// A set-up that differs in one byte shows nothing, or something upside down; nobody would find out without a display.
#[test]
fn an_oled_is_set_up_as_its_data_sheet_says() {
    let wire = Wire::default();
    let _display = ssd1306_on(&wire, 64).unwrap();
    // Data sheet SSD1306, application example in section 3: off, clock, 64 rows, no offset, first row, pump,
    // horizontal, alternating pins, turned, contrast with precharge, voltage, memory shown, not inverted, no scrolling,
    // on.
    assert_eq!(
        hex(&wire.take()),
        "00 ae, 00 d5 80, 00 a8 3f, 00 d3 00, 00 40, 00 8d 14, 00 20 00, 00 da 12, 00 a1, 00 c8, 00 d9 21, \
         00 81 5f, 00 db 40, 00 a4, 00 a6, 00 2e, 00 af"
    );
    let _display = ssd1306_on(&wire, 32).unwrap();
    let low = hex(&wire.take());
    assert!(
        low.contains("00 a8 1f,") && low.contains("00 da 02,"),
        "{low}"
    );
    let _display = sh1106_on(&wire, 64).unwrap();
    let carried = wire.take();
    assert_eq!(
        hex(&carried[..1]),
        "00 ae d5 80 a8 3f d3 00 40 ad 8b a1 c8 da 12 81 80 d9 22 db 35 a4 a6"
    );
    assert_eq!(hex(&carried[carried.len() - 1..]), "00 af");
}

#[test]
fn an_oled_shows_what_was_drawn() {
    for (open, first_column) in OLEDS {
        for height in [64, 32] {
            let wire = Wire::default();
            let mut oled = Oled::new(first_column);
            let mut display = open(&wire, height).unwrap();
            let size = Size::new(128, height);
            for frame in [known(size), Framebuffer::new(size).unwrap(), known(size)] {
                display.show(&frame).unwrap();
                wire.take().iter().for_each(|message| oled.hear(message));
                assert_eq!(oled.picture(128), Some(letters(&frame)), "{height}");
            }
            // Nothing new: the bus stays still.
            display.show(&known(size)).unwrap();
            assert_eq!(wire.take(), Vec::<Vec<u8>>::new());
        }
    }
}

/// The third byte of a page and what follows it never came: what was drawn while the bus was out has to come after, all
/// of it, also what did not change.
#[test]
fn an_oled_whose_bus_failed_gets_the_whole_picture_again() {
    for (open, first_column) in OLEDS {
        let wire = Wire::default();
        let mut oled = Oled::new(first_column);
        let mut display = open(&wire, 64).unwrap();
        let size = Size::new(128, 64);
        wire.cut_after(Some(2));
        let error = display.show(&known(size)).unwrap_err().to_string();
        assert!(error.contains("(/dev/i2c-1: "), "{error}");
        wire.cut_after(None);
        // Its power may have gone with the bus.
        drop(display);
        wire.take();
        let mut display = open(&wire, 64).unwrap();
        display.show(&known(size)).unwrap();
        wire.take().iter().for_each(|message| oled.hear(message));
        assert_eq!(oled.picture(128), Some(letters(&known(size))));
    }
}

/// Sets the display on the wire up when the test lets it.
struct OnceLet {
    open: OpenOn,
    wire: Wire,
    leave: Receiver<()>,
    tried: Sender<()>,
}

impl OpenDisplay for OnceLet {
    fn open<'a>(&mut self, _: &'a mut [u8]) -> Result<Box<dyn Display + 'a>, DisplayError> {
        let _ = self.tried.send(());
        let _ = self.leave.recv();
        (self.open)(&self.wire, 64)
    }
}

/// With another message for each way the same bus fails, the log would hear of each of them at each attempt.
#[test]
fn a_bus_that_is_cut_is_told_once_and_the_picture_comes_back() {
    for (open, first_column) in OLEDS {
        let wire = Wire::default();
        let (let_it, leave) = channel();
        let (tried_to, tried) = channel();
        let (told_to, told) = channel();
        let opener = OnceLet {
            open,
            wire: wire.clone(),
            leave,
            tried: tried_to,
        };
        let size = Size::new(128, 64);
        let report = move |trouble: Option<String>| drop(told_to.send(trouble));
        let pauses = (Duration::ZERO, Duration::ZERO);
        let mut screen = Screen::with_pauses(size, opener, report, pauses).unwrap();
        // Goes before the screen, or that would wait for leave for ever when this test fails.
        let let_it = let_it;
        tried.recv_timeout(SOON).unwrap();
        // It is not there when the phone starts, in whichever of its messages.
        for messages in 0..20 {
            wire.cut_after(Some(messages % 5));
            let_it.send(()).unwrap();
            tried.recv_timeout(SOON).unwrap();
        }
        let trouble = told.recv_timeout(SOON).unwrap().unwrap();
        assert!(
            trouble.contains("the display does not answer (/dev/i2c-1: ")
                && trouble.contains("cable"),
            "{trouble}"
        );
        assert_eq!(told.try_iter().count(), 0, "told once");
        // It comes, goes in the middle of a picture, and comes back.
        wire.cut_after(None);
        let_it.send(()).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(None));
        wire.cut_after(Some(1));
        screen.show(&known(size)).unwrap();
        tried.recv_timeout(SOON).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(Some(trouble)));
        wire.cut_after(None);
        wire.take();
        let_it.send(()).unwrap();
        assert_eq!(told.recv_timeout(SOON), Ok(None));
        let mut oled = Oled::new(first_column);
        wire.take().iter().for_each(|message| oled.hear(message));
        assert_eq!(oled.picture(128), Some(letters(&known(size))));
        drop(screen);
    }
}

/// What went to an ST7789: whether the bytes were data, and they.
type Sent = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

/// An ST7789's wires. Clones are one.
#[derive(Clone, Default)]
struct Glass {
    sent: Sent,
    is_data: Arc<Mutex<bool>>,
    resets: Arc<Mutex<Vec<bool>>>,
    is_cut: Arc<Mutex<bool>>,
}

impl spi::ErrorType for Glass {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Glass {
    fn transaction(
        &mut self,
        operations: &mut [spi::Operation<'_, u8>],
    ) -> Result<(), spi::ErrorKind> {
        if *self.is_cut.lock().unwrap() {
            return Err(spi::ErrorKind::Other);
        }
        for operation in operations {
            let spi::Operation::Write(bytes) = operation else {
                panic!("a display is not read")
            };
            let is_data = *self.is_data.lock().unwrap();
            self.sent.lock().unwrap().push((is_data, bytes.to_vec()));
        }
        Ok(())
    }
}

/// A pin that keeps its levels.
struct Pin(Box<dyn FnMut(bool) + Send>);

impl digital::ErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        (self.0)(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        (self.0)(true);
        Ok(())
    }
}

/// Counts the pauses instead of making them.
#[derive(Default)]
struct Paused(u64);

impl DelayNs for Paused {
    fn delay_ns(&mut self, ns: u32) {
        self.0 += u64::from(ns);
    }
}

impl Glass {
    fn open<'a>(
        &self,
        size: Size,
        has_reset: bool,
        scratch: &'a mut [u8],
        paused: &mut Paused,
    ) -> Result<Box<dyn Display + 'a>, DisplayError> {
        self.open_at((0, 0), size, has_reset, scratch, paused)
    }

    fn open_at<'a>(
        &self,
        offset: (u32, u32),
        size: Size,
        has_reset: bool,
        scratch: &'a mut [u8],
        paused: &mut Paused,
    ) -> Result<Box<dyn Display + 'a>, DisplayError> {
        let (is_data, resets) = (Arc::clone(&self.is_data), Arc::clone(&self.resets));
        let reset = Pin(Box::new(move |high| resets.lock().unwrap().push(high)));
        let wires = St7789Wires {
            spi: self.clone(),
            data_command: Pin(Box::new(move |high| *is_data.lock().unwrap() = high)),
            reset: has_reset.then_some(reset),
            backlight: None,
        };
        let name = "/dev/spidev0.0".into();
        st7789(size, offset, wires, name, scratch, paused)
    }

    /// Each command with its data, as one.
    fn commands(&self) -> Vec<(u8, Vec<u8>)> {
        let mut commands: Vec<(u8, Vec<u8>)> = Vec::new();
        for (is_data, bytes) in self.sent.lock().unwrap().drain(..) {
            match commands.last_mut() {
                Some((_, data)) if is_data => data.extend(bytes),
                _ => commands.push((bytes[0], bytes[1..].to_vec())),
            }
        }
        commands
    }
}

/// Draws what the commands say (data sheet ST7789V, sections 9.1.19 CASET, 9.1.20 RASET and 9.1.22 RAMWR).
fn drawn(commands: &[(u8, Vec<u8>)], size: Size) -> Vec<u16> {
    let mut picture = vec![0; (size.width * size.height) as usize];
    let (mut columns, mut rows) = ((0, 0), (0, 0));
    let span = |data: &[u8]| {
        let number = |at: usize| usize::from(u16::from_be_bytes([data[at], data[at + 1]]));
        (number(0), number(2))
    };
    for (command, data) in commands {
        match command {
            0x2a => columns = span(data),
            0x2b => rows = span(data),
            0x2c => {
                let width = columns.1 - columns.0 + 1;
                for (index, pixel) in data.chunks_exact(2).enumerate() {
                    let (x, y) = (columns.0 + index % width, rows.0 + index / width);
                    assert!(y <= rows.1, "more pixels than fit");
                    picture[y * size.width as usize + x] = u16::from_be_bytes([pixel[0], pixel[1]]);
                }
            }
            other => panic!("no command of a picture: {other:02x}"),
        }
    }
    picture
}

/// Wrong turning, colours or order of bytes are all of the same length on the wire.
#[test]
fn an_st7789_is_set_up_either_way_round_and_shows_what_was_drawn() {
    for (width, height, turning) in [(320, 240, 0x60), (240, 240, 0x00)] {
        let size = Size::new(width, height);
        let (glass, mut scratch, mut paused) = (Glass::default(), [0; 4096], Paused::default());
        let mut display = glass.open(size, false, &mut scratch, &mut paused).unwrap();
        // Reset by word, awake, turned, inverted, 16 bits a pixel, normal, on (data sheet ST7789V, section 9.1).
        let set_up = [
            (0x01, vec![]),
            (0x11, vec![]),
            (0x36, vec![turning]),
            (0x21, vec![]),
            (0x3a, vec![0x55]),
            (0x13, vec![]),
            (0x29, vec![]),
        ];
        assert_eq!(glass.commands(), set_up, "{width} x {height}");
        // It takes 120 ms to wake (9.1.11).
        assert!(paused.0 >= 120_000_000, "{} ns", paused.0);
        let mut frame = known(size);
        Pixel(Point::new(1, 2), Rgb565::RED)
            .draw(&mut frame)
            .unwrap();
        display.show(&frame).unwrap();
        let expected: Vec<u16> = frame.pixels().map(IntoStorage::into_storage).collect();
        assert_eq!(drawn(&glass.commands(), size), expected);
        // Only what changed goes over the wire.
        Pixel(Point::new(5, 7), Rgb565::BLUE)
            .draw(&mut frame)
            .unwrap();
        display.show(&frame).unwrap();
        let carried = glass.commands();
        let pixels: usize = carried
            .iter()
            .filter(|(command, _)| *command == 0x2c)
            .map(|(_, data)| data.len() / 2)
            .sum();
        assert_eq!(pixels, 1);
    }
}

/// Without the offset the picture of a small glass is beside it. That of 135 x 240 begins at column 52 and row 40 of the
/// controller's memory; turned, at column 40 and row 240 - 135 - 52 = 53, as its maker has it.
#[test]
fn an_st7789_with_a_small_glass_is_drawn_where_the_glass_is() {
    let (glass, mut scratch, mut paused) = (Glass::default(), [0; 4096], Paused::default());
    let size = Size::new(240, 135);
    let mut display = glass
        .open_at((52, 40), size, false, &mut scratch, &mut paused)
        .unwrap();
    glass.commands();
    let frame = known(size);
    display.show(&frame).unwrap();
    let memory = drawn(&glass.commands(), Size::new(320, 240));
    for (index, pixel) in frame.pixels().enumerate() {
        let (x, y) = (index % 240, index / 240);
        let at = (y + 53) * 320 + x + 40;
        assert_eq!(memory[at], pixel.into_storage(), "{x}, {y}");
    }
}

#[test]
fn an_st7789_with_a_reset_line_is_reset_by_it() {
    let (glass, mut scratch, mut paused) = (Glass::default(), [0; 4096], Paused::default());
    let size = Size::new(240, 240);
    let _display = glass.open(size, true, &mut scratch, &mut paused).unwrap();
    assert_eq!(*glass.resets.lock().unwrap(), [false, true]);
    assert_eq!(glass.commands()[0].0, 0x11, "not by word");
}

#[test]
fn an_st7789_whose_bus_fails_names_it_and_works_again() {
    let (glass, mut paused) = (Glass::default(), Paused::default());
    let size = Size::new(240, 240);
    let (mut first, mut second, mut third) = ([0; 4096], [0; 4096], [0; 4096]);
    let mut display = glass.open(size, false, &mut first, &mut paused).unwrap();
    *glass.is_cut.lock().unwrap() = true;
    let lost = display.show(&known(size)).unwrap_err().to_string();
    let closed = glass.open(size, false, &mut second, &mut paused);
    for error in [lost, closed.err().unwrap().to_string()] {
        assert!(error.contains("(/dev/spidev0.0: "), "{error}");
    }
    *glass.is_cut.lock().unwrap() = false;
    let mut display = glass.open(size, false, &mut third, &mut paused).unwrap();
    glass.commands();
    display.show(&known(size)).unwrap();
    let expected: Vec<u16> = known(size)
        .pixels()
        .map(IntoStorage::into_storage)
        .collect();
    assert_eq!(drawn(&glass.commands(), size), expected);
}
