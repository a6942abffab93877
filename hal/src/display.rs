//! The display: one frame drawn in memory with embedded-graphics, then shown as a whole.

use std::fmt;

pub use embedded_graphics::geometry::Size;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point};
use embedded_graphics::pixelcolor::raw::RawU16;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use embedded_graphics::prelude::{PointsIter, RawData, RgbColor};
use embedded_graphics::primitives::Rectangle;
use thiserror::Error;

/// The widest display a frame holds, in pixels.
pub const MAX_WIDTH_PX: u32 = 320;
/// The highest display a frame holds, in pixels.
pub const MAX_HEIGHT_PX: u32 = 240;

/// A display did not take a frame, or a frame was asked for that no display can have.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DisplayError {
    /// No frame can have this size.
    #[error(
        "a display of {width_px} x {height_px} pixels is not supported; at least 1 x 1, at most \
         {MAX_WIDTH_PX} x {MAX_HEIGHT_PX}"
    )]
    Size {
        /// Width asked for, in pixels.
        width_px: u32,
        /// Height asked for, in pixels.
        height_px: u32,
    },
    /// A frame of another size than the display's was to be shown.
    #[error("a frame of {frame} pixels was drawn for a display of {display} pixels")]
    Mismatch {
        /// The frame's size.
        frame: Size,
        /// The display's size.
        display: Size,
    },
    /// The controller or its bus failed.
    #[error(
        "the display does not answer ({reason}); check its bus and address in the board file and \
         its cable"
    )]
    Driver {
        /// The driver's own words.
        reason: String,
    },
}

/// A frame of at most [`MAX_WIDTH_PX`] x [`MAX_HEIGHT_PX`] pixels in RGB565.
///
/// All its memory is taken when it is made, 150 KiB at most. What is drawn outside is cut off.
#[derive(Clone, PartialEq, Eq)]
pub struct Framebuffer {
    size: Size,
    /// Rows top-down, `size.width` pixels each.
    pixels: Box<[u16]>,
}

impl Framebuffer {
    /// A black frame. Fails if no display can have this size.
    pub fn new(size: Size) -> Result<Self, DisplayError> {
        let Size {
            width: width_px,
            height: height_px,
        } = size;
        if !(1..=MAX_WIDTH_PX).contains(&width_px) || !(1..=MAX_HEIGHT_PX).contains(&height_px) {
            return Err(DisplayError::Size {
                width_px,
                height_px,
            });
        }
        Ok(Self {
            size,
            pixels: vec![0; (width_px * height_px) as usize].into_boxed_slice(),
        })
    }

    /// The colour at `point`, or none outside the frame.
    pub fn pixel(&self, point: Point) -> Option<Rgb565> {
        self.index(point).map(|index| color(self.pixels[index]))
    }

    /// All pixels, row by row from the top left.
    pub fn pixels(&self) -> impl ExactSizeIterator<Item = Rgb565> + '_ {
        self.pixels.iter().copied().map(color)
    }

    /// All pixels as red, green, blue bytes, row by row: what a PNG of 8 bits per channel wants.
    pub fn to_rgb888(&self) -> Vec<u8> {
        self.pixels()
            .flat_map(|pixel| {
                let pixel = Rgb888::from(pixel);
                [pixel.r(), pixel.g(), pixel.b()]
            })
            .collect()
    }

    /// The smallest rectangle outside which this frame equals `before`, or none if they are equal.
    ///
    /// A slow bus then carries only what changed. Frames of different sizes differ everywhere.
    pub fn changed_area(&self, before: &Self) -> Option<Rectangle> {
        if self.size != before.size {
            return Some(Rectangle::new(Point::zero(), self.size));
        }
        let width = self.size.width as usize;
        let mut corners: Option<(Point, Point)> = None;
        let rows = self
            .pixels
            .chunks_exact(width)
            .zip(before.pixels.chunks_exact(width));
        for (y, (row, old)) in rows.enumerate() {
            let differs = |x: &usize| row[*x] != old[*x];
            let (Some(left), Some(right)) = ((0..width).find(differs), (0..width).rfind(differs))
            else {
                continue;
            };
            let (left, right) = (
                Point::new(left as i32, y as i32),
                Point::new(right as i32, y as i32),
            );
            corners = Some(match corners {
                None => (left, right),
                Some((from, to)) => (from.component_min(left), to.component_max(right)),
            });
        }
        corners.map(|(from, to)| Rectangle::with_corners(from, to))
    }

    fn index(&self, point: Point) -> Option<usize> {
        let x = u32::try_from(point.x)
            .ok()
            .filter(|x| *x < self.size.width)?;
        let y = u32::try_from(point.y)
            .ok()
            .filter(|y| *y < self.size.height)?;
        Some((y * self.size.width + x) as usize)
    }
}

impl fmt::Debug for Framebuffer {
    /// The size only: what the display says may name a caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framebuffer")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl OriginDimensions for Framebuffer {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Framebuffer {
    type Color = Rgb565;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Self::Color>>,
    {
        for Pixel(point, color) in pixels {
            if let Some(index) = self.index(point) {
                self.pixels[index] = raw(color);
            }
        }
        Ok(())
    }

    /// Row by row: pixel by pixel, a screen's ground took longer than all that is on it.
    fn fill_solid(&mut self, area: &Rectangle, color: Self::Color) -> Result<(), Self::Error> {
        // An intersection gives an empty area back as it is, not cut off.
        if area.is_zero_sized() {
            return Ok(());
        }
        let area = area.intersection(&self.bounding_box());
        let (width, columns) = (self.size.width as usize, area.columns());
        for y in area.rows() {
            let row = &mut self.pixels[y as usize * width..][..width];
            row[columns.start as usize..columns.end as usize].fill(raw(color));
        }
        Ok(())
    }
}

fn raw(color: Rgb565) -> u16 {
    RawU16::from(color).into_inner()
}

fn color(raw: u16) -> Rgb565 {
    Rgb565::from(RawU16::new(raw))
}

/// A display of a board.
pub trait Display: Send {
    /// Its size in pixels; frames to show must have it.
    fn size(&self) -> Size;

    /// Shows `frame`. May block for the time the bus needs (an ST7789 on SPI: tens of
    /// milliseconds), so call it from a thread that may wait.
    fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError>;
}

/// A display behind an embedded-graphics driver, such as those of SSD1306 and ST7789.
///
/// Carries only what changed since the frame before; colours become the driver's (on a
/// monochrome display, bright ones are lit).
#[derive(Debug)]
pub struct DriverDisplay<D, F> {
    driver: D,
    flush: F,
    shown: Framebuffer,
    /// What the display shows is not known: nothing was shown yet, or the driver failed.
    stale: bool,
}

impl<D, F, E> DriverDisplay<D, F>
where
    D: DrawTarget<Color: From<Rgb565>, Error: fmt::Debug> + OriginDimensions + Send,
    F: FnMut(&mut D) -> Result<(), E> + Send,
    E: fmt::Debug,
{
    /// A display of the driver's size. `flush` sends what the driver buffers; for a driver that
    /// buffers nothing it does nothing.
    pub fn new(driver: D, flush: F) -> Result<Self, DisplayError> {
        let shown = Framebuffer::new(driver.size())?;
        Ok(Self {
            driver,
            flush,
            shown,
            stale: true,
        })
    }

    fn draw(&mut self, frame: &Framebuffer, area: &Rectangle) -> Result<(), DisplayError> {
        let pixels = area
            .points()
            .filter_map(|point| frame.pixel(point))
            .map(D::Color::from);
        self.driver
            .fill_contiguous(area, pixels)
            .map_err(|error| driver_error(&error))?;
        (self.flush)(&mut self.driver).map_err(|error| driver_error(&error))
    }
}

impl<D, F, E> Display for DriverDisplay<D, F>
where
    D: DrawTarget<Color: From<Rgb565>, Error: fmt::Debug> + OriginDimensions + Send,
    F: FnMut(&mut D) -> Result<(), E> + Send,
    E: fmt::Debug,
{
    fn size(&self) -> Size {
        self.shown.size
    }

    fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError> {
        if frame.size != self.shown.size {
            return Err(DisplayError::Mismatch {
                frame: frame.size,
                display: self.shown.size,
            });
        }
        let area = if self.stale {
            Some(Rectangle::new(Point::zero(), frame.size))
        } else {
            frame.changed_area(&self.shown)
        };
        let Some(area) = area else { return Ok(()) };
        self.stale = true;
        self.draw(frame, &area)?;
        self.shown.pixels.copy_from_slice(&frame.pixels);
        self.stale = false;
        Ok(())
    }
}

fn driver_error(error: &impl fmt::Debug) -> DisplayError {
    DisplayError::Driver {
        reason: format!("{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use embedded_graphics::Drawable;
    use embedded_graphics::mock_display::MockDisplay;
    use embedded_graphics::pixelcolor::BinaryColor;
    use embedded_graphics::prelude::Primitive;
    use embedded_graphics::primitives::PrimitiveStyle;

    use super::*;

    fn frame(width: u32, height: u32) -> Framebuffer {
        Framebuffer::new(Size::new(width, height)).unwrap()
    }

    fn fill(frame: &mut Framebuffer, x: i32, y: i32, width: u32, height: u32) {
        let Ok(()) = Rectangle::new(Point::new(x, y), Size::new(width, height))
            .into_styled(PrimitiveStyle::with_fill(Rgb565::RED))
            .draw(frame);
    }

    #[test]
    fn what_is_drawn_is_there_and_what_is_outside_is_cut() {
        let mut frame = frame(4, 3);
        fill(&mut frame, -1, 1, 3, 9);
        assert_eq!(frame.pixel(Point::new(1, 1)), Some(Rgb565::RED));
        assert_eq!(frame.pixel(Point::new(2, 1)), Some(Rgb565::BLACK));
        assert_eq!(frame.pixel(Point::new(4, 0)), None);
        assert_eq!(frame.pixel(Point::new(0, -1)), None);
        let red = frame.pixels().filter(|pixel| *pixel == Rgb565::RED).count();
        assert_eq!((red, frame.pixels().len()), (4, 12));
        assert_eq!(frame.to_rgb888()[4 * 3..5 * 3], [255, 0, 0]);
    }

    /// A volume of nothing at the lower edge is an area without a width that ends below the display: it panicked.
    #[test]
    fn an_empty_area_that_reaches_beyond_the_frame_is_nothing() {
        let mut frame = frame(4, 3);
        for (width, height) in [(0, 5), (5, 0), (0, 0)] {
            let area = Rectangle::new(Point::new(2, 2), Size::new(width, height));
            let Ok(()) = frame.fill_solid(&area, Rgb565::RED);
        }
        assert!(frame.pixels().all(|pixel| pixel == Rgb565::BLACK));
    }

    #[test]
    fn the_changed_area_is_the_smallest() {
        let before = frame(320, 240);
        let mut after = before.clone();
        assert_eq!(after.changed_area(&before), None);
        fill(&mut after, 10, 20, 1, 1);
        fill(&mut after, 300, 200, 5, 7);
        let area = Rectangle::with_corners(Point::new(10, 20), Point::new(304, 206));
        assert_eq!(after.changed_area(&before), Some(area));
        let whole = Rectangle::new(Point::zero(), Size::new(320, 240));
        assert_eq!(after.changed_area(&frame(1, 1)), Some(whole));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (width, height) in [(0, 1), (1, 0), (321, 240), (320, 241), (u32::MAX, u32::MAX)] {
            let refused = Framebuffer::new(Size::new(width, height));
            assert!(
                matches!(refused, Err(DisplayError::Size { .. })),
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_what_the_display_says() {
        assert_eq!(
            format!("{:?}", frame(2, 1)),
            "Framebuffer { size: Size { width: 2, height: 1 }, .. }"
        );
    }

    /// A driver that notes what it is asked for, and fails when told.
    struct Driver {
        mock: MockDisplay<BinaryColor>,
        drawn: Vec<Rectangle>,
        broken: bool,
    }

    impl OriginDimensions for Driver {
        fn size(&self) -> Size {
            Size::new(8, 4)
        }
    }

    impl DrawTarget for Driver {
        type Color = BinaryColor;
        type Error = &'static str;

        fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
            &mut self,
            pixels: I,
        ) -> Result<(), Self::Error> {
            if self.broken {
                return Err("no acknowledge");
            }
            let Ok(()) = self.mock.draw_iter(pixels);
            Ok(())
        }

        fn fill_contiguous<I: IntoIterator<Item = BinaryColor>>(
            &mut self,
            area: &Rectangle,
            colors: I,
        ) -> Result<(), Self::Error> {
            self.drawn.push(*area);
            self.draw_iter(
                area.points()
                    .zip(colors)
                    .map(|(point, color)| Pixel(point, color)),
            )
        }
    }

    #[test]
    fn a_driver_gets_only_what_changed_in_its_own_colours() {
        let mut mock = MockDisplay::new();
        mock.set_allow_overdraw(true);
        let driver = Driver {
            mock,
            drawn: Vec::new(),
            broken: false,
        };
        let mut flushes = 0;
        let mut display = DriverDisplay::new(driver, |_| {
            flushes += 1;
            Ok::<(), &'static str>(())
        })
        .unwrap();
        let mut picture = frame(8, 4);
        display.show(&picture).unwrap();
        display.show(&picture).unwrap();
        let Ok(()) = Pixel(Point::new(2, 1), Rgb565::WHITE).draw(&mut picture);
        display.driver.broken = true;
        let error = display.show(&picture).unwrap_err().to_string();
        assert!(
            error.contains("the display does not answer (\"no acknowledge\")"),
            "{error}"
        );
        display.driver.broken = false;
        display.show(&picture).unwrap();
        let Ok(()) = Pixel(Point::new(3, 3), Rgb565::WHITE).draw(&mut picture);
        display.show(&picture).unwrap();
        let whole = Rectangle::new(Point::zero(), Size::new(8, 4));
        let dot = |x, y| Rectangle::new(Point::new(x, y), Size::new(1, 1));
        assert_eq!(display.driver.drawn, [whole, dot(2, 1), whole, dot(3, 3)]);
        display
            .driver
            .mock
            .assert_pattern(&["........", "..#.....", "........", "...#...."]);
        assert!(matches!(
            display.show(&frame(4, 4)),
            Err(DisplayError::Mismatch { .. })
        ));
        drop(display);
        assert_eq!(flushes, 3);
    }
}
