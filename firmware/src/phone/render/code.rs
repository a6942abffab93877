//! A screen with a QR code: the code as large as the display allows, the text beside or above it.

use super::{Cut, Page, area, inset, text};
use crate::phone::Screen;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::RgbColor;
use embedded_graphics::primitives::Rectangle;
use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules wanted around the dark ones (ISO/IEC 18004 section 6.3.8).
const QUIET: u32 = 4;
/// Pixels per module that a camera tells apart on a display of this kind.
const LEAST_SCALE: u32 = 2;
/// On displays at least this high the address has a line of its own above the code.
const HIGH: u32 = 200;

impl Page<'_> {
    /// Draws `screen` with its code; `false` if the display has no room for one, and nothing is drawn.
    pub(super) fn draw_with_code(&mut self, screen: &Screen) -> bool {
        let Size { width, height } = self.frame.size();
        let layout = self.layout;
        let Ok(code) = QrCode::encode_text(&screen.code, QrCodeEcc::Low) else {
            return false;
        };
        let is_high = height >= HIGH;
        let top = if is_high {
            layout.bar_height + layout.main_height + 3 * layout.gap / 2
        } else if layout.mono {
            0
        } else {
            layout.bar_height
        };
        let side = height.saturating_sub(top).min(width * 3 / 5);
        let place = area(width - side, height - side, side, side);
        if scale(&code, side) < LEAST_SCALE {
            return false;
        }
        self.fill(area(0, 0, width, height), self.palette.ground);
        // On a small display the code needs the whole height: the title stands beside it.
        let bar = if layout.mono { width - side } else { width };
        let title = Screen {
            title: screen.title.clone(),
            corner: if layout.mono {
                String::new()
            } else {
                screen.corner.clone()
            },
            ..Screen::default()
        };
        self.bar(&title, area(0, 0, bar, layout.bar_height), 0);
        let beside = Rectangle::new(
            Point::new(0, top.max(layout.bar_height + layout.gap) as i32),
            Size::new(width - side, height),
        );
        let beside = inset(beside, layout.margin);
        let room = height.saturating_sub(beside.top_left.y.unsigned_abs());
        let beside = Rectangle::new(beside.top_left, Size::new(beside.size.width, room));
        let (ink, dim) = (self.palette.ink, self.palette.dim);
        if is_high {
            let row = area(
                layout.margin,
                layout.bar_height + layout.gap,
                width.saturating_sub(2 * layout.margin),
                layout.main_height,
            );
            self.text(
                row,
                &screen.main,
                layout.main,
                Cut::Back,
                text::Align::Left,
                ink,
            );
            text::draw_wrapped(self.frame, beside, &screen.detail, layout.detail, dim);
        } else {
            let faces = if layout.mono {
                layout.title
            } else {
                layout.line
            };
            let used = text::draw_wrapped(self.frame, beside, &screen.main, faces, ink);
            let below = used + 2 * layout.gap;
            let rest = Rectangle::new(
                beside.top_left + Point::new(0, below as i32),
                Size::new(beside.size.width, beside.size.height.saturating_sub(below)),
            );
            text::draw_wrapped(self.frame, rest, &screen.detail, faces, dim);
        }
        self.code(&code, place);
        true
    }

    /// Black on white whatever the palette: readers expect it.
    fn code(&mut self, code: &QrCode, place: Rectangle) {
        self.fill(place, Rgb565::WHITE);
        let side = place.size.width;
        let scale = scale(code, side);
        let count = code.size();
        let offset = (side.saturating_sub(scale * count.unsigned_abs()) / 2) as i32;
        for y in 0..count {
            for x in 0..count {
                if code.get_module(x, y) {
                    let step = scale as i32;
                    let at = place.top_left + Point::new(offset + x * step, offset + y * step);
                    self.fill(Rectangle::new(at, Size::new_equal(scale)), Rgb565::BLACK);
                }
            }
        }
    }
}

/// Pixels per module: with the whole quiet zone if that leaves enough of them, else with what light there is.
fn scale(code: &QrCode, side: u32) -> u32 {
    let count = code.size().unsigned_abs();
    match side / (count + 2 * QUIET) {
        whole if whole >= LEAST_SCALE => whole,
        _ => side / (count + 2),
    }
}
