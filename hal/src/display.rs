//! The display: one frame drawn in memory with embedded-graphics, then shown as a whole.

use std::fmt;

pub use embedded_graphics::geometry::Size;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::pixelcolor::raw::RawU16;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use embedded_graphics::prelude::{RawData, RgbColor};
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

    fn clear(&mut self, color: Self::Color) -> Result<(), Self::Error> {
        self.pixels.fill(raw(color));
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
