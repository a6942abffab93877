//! Real displays: an SSD1306 or SH1106 on I2C, an ST7789 on SPI, each behind a thread of its own.
//!
//! [`Screen`] takes a frame and returns at once; its thread carries the latest one to the display. A frame that comes
//! while another is under way replaces one that waits: the display skips, it never lags. A display that does not answer
//! is told once, set up again after 1 s, 2 s, 4 s and so on up to 30 s, and then shows the latest frame.

mod drivers;
mod sh1106;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use embedded_graphics::geometry::{OriginDimensions, Size};

use crate::gpio::GpioSpec;
use crate::{Display, DisplayError, Framebuffer};

/// Pauses before a display that failed is set up again: the first, doubling up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// Bytes of a driver's working memory: a few rows of an ST7789.
const SCRATCH: usize = 4096;

/// A display, and what it is wired to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenSpec {
    /// In pixels, as it is looked at; an ST7789 that is wider than high is turned.
    pub size: Size,
    /// What drives it.
    pub controller: ScreenController,
}

/// What drives a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScreenController {
    /// SSD1306, monochrome, on I2C.
    Ssd1306 {
        /// `/dev/i2c-N`
        bus: u8,
        /// 7 bits.
        address: u8,
    },
    /// SH1106, monochrome, on I2C.
    Sh1106 {
        /// `/dev/i2c-N`
        bus: u8,
        /// 7 bits.
        address: u8,
    },
    /// ST7789, colour, on SPI.
    St7789 {
        /// `/dev/spidevB.S`: B
        bus: u8,
        /// `/dev/spidevB.S`: S
        select: u8,
        /// Hz.
        clock_hz: u32,
        /// The chip its lines are on.
        gpio: GpioSpec,
        /// Tells data from commands.
        data_command_line: u32,
        /// Resets it, if wired.
        reset_line: Option<u32>,
        /// Lights it, if wired.
        backlight_line: Option<u32>,
        /// Where in its memory, which is upright, the glass begins: columns and rows, in pixels.
        offset: (u32, u32),
    },
}

/// Sizes that a controller's driver knows. (An ST7789's takes any that a frame can have.)
pub const SSD1306_SIZES: [(u32, u32); 6] =
    [(128, 64), (128, 32), (96, 16), (72, 40), (64, 48), (64, 32)];
/// As [`SSD1306_SIZES`].
pub const SH1106_SIZES: [(u32, u32); 2] = [(128, 64), (128, 32)];

/// Sets a display up, and again after it failed.
pub trait OpenDisplay: Send {
    /// `scratch` is memory for the driver.
    fn open<'a>(&mut self, scratch: &'a mut [u8]) -> Result<Box<dyn Display + 'a>, DisplayError>;
}

impl OpenDisplay for ScreenSpec {
    fn open<'a>(&mut self, scratch: &'a mut [u8]) -> Result<Box<dyn Display + 'a>, DisplayError> {
        drivers::open(self, scratch)
    }
}

/// Sets the display up once, shows a black frame, and lets go of it again: for a check of the hardware.
pub fn probe(spec: &ScreenSpec) -> Result<(), DisplayError> {
    show_once(spec, &Framebuffer::new(spec.size)?)
}

/// Sets the display up once, shows `frame`, and lets go of it again. It goes on showing that: the controllers have a
/// memory of their own.
pub fn show_once(spec: &ScreenSpec, frame: &Framebuffer) -> Result<(), DisplayError> {
    let mut scratch = [0; SCRATCH];
    drivers::open(spec, &mut scratch)?.show(frame)
}

/// A display behind its thread. Ends with this handle.
#[derive(Debug)]
pub struct Screen {
    size: Size,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slot {
    frame: Framebuffer,
    /// `frame` has not been shown yet.
    fresh: bool,
    stop: bool,
}

impl Screen {
    /// Starts showing a black frame. `report` is called by the display's thread: with what is wrong, and with nothing
    /// when it works again.
    pub fn start(
        size: Size,
        opener: impl OpenDisplay + 'static,
        report: impl FnMut(Option<String>) + Send + 'static,
    ) -> Result<Self, DisplayError> {
        Self::with_pauses(size, opener, report, (RETRY_FIRST, RETRY_LAST))
    }

    fn with_pauses(
        size: Size,
        mut opener: impl OpenDisplay + 'static,
        mut report: impl FnMut(Option<String>) + Send + 'static,
        pauses: (Duration, Duration),
    ) -> Result<Self, DisplayError> {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot {
                frame: Framebuffer::new(size)?,
                fresh: true,
                stop: false,
            }),
            changed: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("offhook-display".into())
            .stack_size(256 * 1024)
            .spawn(move || of_thread.run(&mut opener, &mut report, pauses))
            .map_err(|error| DisplayError::Driver {
                reason: error.to_string(),
            })?;
        Ok(Self {
            size,
            shared,
            thread: Some(thread),
        })
    }
}

impl Display for Screen {
    fn size(&self) -> Size {
        self.size
    }

    /// Never blocks for the bus; what goes wrong there is reported.
    fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError> {
        if frame.size() != self.size {
            return Err(DisplayError::Mismatch {
                frame: frame.size(),
                display: self.size,
            });
        }
        let mut slot = self.shared.lock();
        slot.frame.clone_from(frame);
        slot.fresh = true;
        drop(slot);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for Screen {
    /// Waits for the frame under way (tens of milliseconds).
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of it has been reported by itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A panic of another thread leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(
        &self,
        opener: &mut dyn OpenDisplay,
        report: &mut dyn FnMut(Option<String>),
        (first, last): (Duration, Duration),
    ) {
        let mut scratch = [0; SCRATCH];
        let mut pause = first;
        let mut told: Option<String> = None;
        while !self.lock().stop {
            let outcome = opener.open(&mut scratch).and_then(|mut display| {
                self.serve(&mut *display, &mut || {
                    pause = first;
                    if told.take().is_some() {
                        report(None);
                    }
                })
            });
            let Err(error) = outcome else { return };
            let message = error.to_string();
            if told.as_ref() != Some(&message) {
                report(Some(message.clone()));
                told = Some(message);
            }
            let slot = self.lock();
            let waited = self
                .changed
                .wait_timeout_while(slot, pause, |slot| !slot.stop);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            pause = (pause * 2).min(last);
        }
    }

    /// Shows frames until the display fails or the phone stops.
    fn serve(
        &self,
        display: &mut dyn Display,
        shown: &mut dyn FnMut(),
    ) -> Result<(), DisplayError> {
        let mut frame = self.lock().frame.clone();
        loop {
            display.show(&frame)?;
            shown();
            let mut slot = self.lock();
            while !slot.fresh && !slot.stop {
                slot = self
                    .changed
                    .wait(slot)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if slot.stop {
                return Ok(());
            }
            slot.fresh = false;
            frame.clone_from(&slot.frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use embedded_graphics::Drawable;
    use embedded_graphics::Pixel;
    use embedded_graphics::geometry::Point;
    use embedded_graphics::pixelcolor::{Rgb565, RgbColor};

    use super::*;

    const SIZE: Size = Size::new(8, 4);
    /// More than any thread is late.
    const SOON: Duration = Duration::from_secs(20);

    /// A display that shows the number of lit pixels to the test, and waits for its leave or refusal.
    struct Bus {
        shown: Sender<usize>,
        answers: Arc<Mutex<Receiver<Result<(), &'static str>>>>,
    }

    impl Display for Bus {
        fn size(&self) -> Size {
            SIZE
        }

        fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError> {
            let lit = frame
                .pixels()
                .filter(|pixel| *pixel == Rgb565::WHITE)
                .count();
            let _ = self.shown.send(lit);
            let answer = self.answers.lock().unwrap().recv().unwrap_or(Ok(()));
            answer.map_err(|reason| DisplayError::Driver {
                reason: reason.into(),
            })
        }
    }

    struct Opener {
        opened: Sender<()>,
        shown: Sender<usize>,
        answers: Arc<Mutex<Receiver<Result<(), &'static str>>>>,
    }

    impl OpenDisplay for Opener {
        fn open<'a>(&mut self, _: &'a mut [u8]) -> Result<Box<dyn Display + 'a>, DisplayError> {
            let _ = self.opened.send(());
            Ok(Box::new(Bus {
                shown: self.shown.clone(),
                answers: Arc::clone(&self.answers),
            }))
        }
    }

    fn frame(lit: i32) -> Framebuffer {
        let mut frame = Framebuffer::new(SIZE).unwrap();
        for x in 0..lit {
            let Ok(()) = Pixel(Point::new(x, 0), Rgb565::WHITE).draw(&mut frame);
        }
        frame
    }

    #[test]
    fn the_latest_frame_wins_and_a_failing_display_is_set_up_again() {
        let (shown_to, shown) = channel();
        let (opened_to, opened) = channel();
        let (answer, answers) = channel();
        let (told_to, told) = channel();
        let opener = Opener {
            opened: opened_to,
            shown: shown_to,
            answers: Arc::new(Mutex::new(answers)),
        };
        let pauses = (Duration::ZERO, Duration::ZERO);
        let report = move |trouble| drop(told_to.send(trouble));
        let mut screen = Screen::with_pauses(SIZE, opener, report, pauses).unwrap();
        assert_eq!(shown.recv_timeout(SOON), Ok(0));
        // While the first frame is under way, three more come: only the last is shown.
        for lit in [1, 2, 3] {
            screen.show(&frame(lit)).unwrap();
        }
        answer.send(Ok(())).unwrap();
        assert_eq!(shown.recv_timeout(SOON), Ok(3));
        answer.send(Err("no acknowledge")).unwrap();
        // Set up again, and the latest frame is shown without being drawn again.
        assert_eq!(shown.recv_timeout(SOON), Ok(3));
        let trouble = told.recv_timeout(SOON).unwrap().unwrap();
        assert!(
            trouble.contains("the display does not answer (no acknowledge)"),
            "{trouble}"
        );
        answer.send(Err("no acknowledge")).unwrap();
        assert_eq!(shown.recv_timeout(SOON), Ok(3));
        answer.send(Ok(())).unwrap();
        assert_eq!(
            told.recv_timeout(SOON),
            Ok(None),
            "the same trouble is told once"
        );
        assert_eq!(opened.try_iter().count(), 3);
        let other = Framebuffer::new(Size::new(1, 1)).unwrap();
        assert!(matches!(
            screen.show(&other),
            Err(DisplayError::Mismatch { .. })
        ));
        drop(screen);
        assert!(told.recv().is_err(), "its thread has ended");
    }

    #[test]
    fn a_display_without_its_bus_is_told_with_the_bus() {
        let spec = ScreenSpec {
            size: Size::new(128, 64),
            controller: ScreenController::Ssd1306 {
                bus: 250,
                address: 0x3c,
            },
        };
        let error = probe(&spec).unwrap_err().to_string();
        assert!(error.contains("/dev/i2c-250"), "{error}");
    }
}
