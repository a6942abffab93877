//! Draws a [`Screen`] on a frame of any size: a small monochrome display, a colour one, and what lies between.
//!
//! ```text
//! +--------------------------------+
//! | title                   corner |  bar, coloured by the look
//! | main                           |  as large as fits
//! | detail                         |
//! | line                           |  one row per further call, as many as fit
//! | [soft 1][soft 2][soft 3][soft 4]|
//! +--------------------------------+
//! ```
mod code;
mod colors;
mod layout;
mod text;

use super::{Look, Screen, SoftKind};
use colors::Palette;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::primitives::PrimitiveStyle;
use embedded_graphics::primitives::{CornerRadii, Rectangle, RoundedRectangle, StyledDrawable};
use layout::Layout;
use offhook_hal::Framebuffer;
use text::{Align, Cut, Face};

/// Steps of the volume bar: as many as the keys have.
const LEVEL_STEPS: u32 = 10;

/// Draws `screen` over the whole of `frame`. On displays of at most 160 x 100 pixels it uses black and white only.
pub fn render(screen: &Screen, frame: &mut Framebuffer) {
    let layout = Layout::of(frame.size());
    let palette = if layout.mono {
        Palette::mono(screen.look)
    } else {
        Palette::color(screen.look)
    };
    let mut page = Page {
        frame,
        layout,
        palette,
    };
    page.draw(screen);
}

struct Page<'a> {
    frame: &'a mut Framebuffer,
    layout: &'static Layout,
    palette: Palette,
}

impl Page<'_> {
    fn draw(&mut self, screen: &Screen) {
        if !screen.code.is_empty() && self.draw_with_code(screen) {
            return;
        }
        let Size { width, height } = self.frame.size();
        let layout = self.layout;
        let has_soft_keys = screen.soft_keys.iter().any(|label| !label.is_empty());
        let soft = if has_soft_keys {
            layout.soft_height.min(height)
        } else {
            0
        };
        let bar = layout.bar_height.min(height);
        let inner = width.saturating_sub(2 * layout.margin);
        let row = |y, height| area(layout.margin, y, inner, height);
        let main = bar + layout.gap;
        let detail = main + layout.main_height + layout.gap;
        let lines = detail + layout.detail_height + layout.gap;
        let left = (height - soft).saturating_sub(lines);
        let fit = (left / (layout.line_height + layout.line_gap)) as usize;

        self.fill(area(0, 0, width, height), self.palette.ground);
        let untold = if fit == 0 { screen.lines.len() } else { 0 };
        self.bar(screen, area(0, 0, width, bar), untold);
        self.soft_keys(screen, area(0, height - soft, width, soft));
        let cut = if screen.look == Look::Dialing {
            Cut::Front
        } else {
            Cut::Back
        };
        let (ink, dim) = (self.palette.ink, self.palette.dim);
        self.text(
            row(main, layout.main_height),
            &screen.main,
            layout.main,
            cut,
            Align::Left,
            ink,
        );
        let beside = row(detail, layout.detail_height);
        if let Some(level) = screen.level.filter(|_| fit == 0) {
            self.level(beside, level);
            return;
        }
        if screen.look == Look::Trouble && !text::fits(&screen.detail, inner, layout.detail) {
            // What is wrong is told in full before anything else is.
            let top = if screen.main.is_empty() { main } else { detail };
            let all = row(top, (height - soft).saturating_sub(top));
            text::draw_wrapped(self.frame, all, &screen.detail, layout.line, ink);
            return;
        }
        self.text(
            beside,
            &screen.detail,
            layout.detail,
            Cut::Back,
            Align::Left,
            dim,
        );
        match screen.level {
            Some(level) => self.level(row(lines, layout.line_height), level),
            None => self.lines(&screen.lines, row(lines, left), fit),
        }
    }

    /// The title line. `untold` calls have no row further down, so they are counted here.
    fn bar(&mut self, screen: &Screen, bar: Rectangle, untold: usize) {
        let layout = self.layout;
        self.fill(bar, self.palette.bar);
        let inner = inset(bar, layout.margin);
        let corner = match untold {
            0 => screen.corner.clone(),
            untold => format!("+{untold} {}", screen.corner),
        };
        let taken = text::width_of(&corner, layout.title);
        let gap = if taken > 0 { layout.margin } else { 0 };
        let title = narrowed(inner, taken + gap);
        let ink = self.palette.bar_ink;
        self.text(
            title,
            &screen.title,
            layout.title,
            Cut::Back,
            Align::Left,
            ink,
        );
        self.text(inner, &corner, layout.title, Cut::Back, Align::Right, ink);
    }

    /// Further calls, of which `fit` have a row. What does not fit is told as a number.
    fn lines(&mut self, lines: &[String], place: Rectangle, fit: usize) {
        let layout = self.layout;
        let rest = lines.len().saturating_sub(fit);
        for (index, line) in (0_u32..).zip(lines.iter().take(fit)) {
            let down = index * (layout.line_height + layout.line_gap);
            let row = Rectangle::new(
                place.top_left + Point::new(0, down as i32),
                Size::new(place.size.width, layout.line_height),
            );
            self.block(row, self.palette.row, layout.radius);
            let is_last = index as usize + 1 == fit;
            let more = if is_last && rest > 0 {
                format!(" +{rest}")
            } else {
                String::new()
            };
            let inner = inset(row, if layout.mono { 0 } else { layout.margin });
            let named = narrowed(inner, text::width_of(&more, layout.line));
            let ink = self.palette.row_ink;
            self.text(named, line, layout.line, Cut::Back, Align::Left, ink);
            self.text(inner, &more, layout.line, Cut::Back, Align::Right, ink);
        }
    }

    fn soft_keys(&mut self, screen: &Screen, bar: Rectangle) {
        let layout = self.layout;
        let count = screen.soft_keys.len() as u32;
        for (index, (label, kind)) in (0_u32..).zip(screen.soft_keys.iter().zip(screen.soft_kinds))
        {
            if label.is_empty() {
                continue;
            }
            let from = bar.size.width * index / count;
            let to = bar.size.width * (index + 1) / count;
            let key = area(
                from + layout.soft_gap,
                bar.top_left.y.unsigned_abs() + layout.soft_gap,
                (to - from).saturating_sub(2 * layout.soft_gap),
                bar.size.height.saturating_sub(2 * layout.soft_gap),
            );
            let color = match kind {
                SoftKind::Plain => self.palette.key,
                SoftKind::Go => self.palette.go,
                SoftKind::Stop => self.palette.stop,
            };
            self.block(key, color, layout.radius);
            self.text(
                key,
                label,
                layout.soft,
                Cut::Back,
                Align::Center,
                self.palette.key_ink,
            );
        }
    }

    /// The volume as a row of steps.
    fn level(&mut self, row: Rectangle, percent: u8) {
        let lit = (u32::from(percent.min(100)) * LEVEL_STEPS).div_ceil(100);
        for step in 0..LEVEL_STEPS {
            let from = row.size.width * step / LEVEL_STEPS;
            let to = row.size.width * (step + 1) / LEVEL_STEPS;
            let gap = self.layout.soft_gap.max(1);
            let part = Rectangle::new(
                row.top_left + Point::new(from as i32, 0),
                Size::new((to - from).saturating_sub(gap), row.size.height),
            );
            let color = if step < lit {
                self.palette.bar
            } else {
                self.palette.row
            };
            if step < lit || !self.layout.mono {
                self.fill(part, color);
            } else {
                // Black on black: only its foot.
                let foot = part.size.height.saturating_sub(1);
                self.fill(
                    Rectangle::new(
                        part.top_left + Point::new(0, foot as i32),
                        Size::new(part.size.width, 1),
                    ),
                    self.palette.ink,
                );
            }
        }
    }

    fn text(
        &mut self,
        area: Rectangle,
        text: &str,
        faces: &[Face],
        cut: Cut,
        align: Align,
        ink: Rgb565,
    ) {
        text::draw(self.frame, area, text, faces, cut, align, ink);
    }

    fn fill(&mut self, area: Rectangle, color: Rgb565) {
        // Drawing into memory cannot fail: the error type has no value.
        let Ok(()) = self.frame.fill_solid(&area, color);
    }

    fn block(&mut self, area: Rectangle, color: Rgb565, radius: u32) {
        let block = RoundedRectangle::new(area, CornerRadii::new(Size::new_equal(radius)));
        let Ok(()) = block.draw_styled(&PrimitiveStyle::with_fill(color), self.frame);
    }
}

fn area(x: u32, y: u32, width: u32, height: u32) -> Rectangle {
    Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height))
}

fn inset(area: Rectangle, by: u32) -> Rectangle {
    Rectangle::new(
        area.top_left + Point::new(by as i32, 0),
        Size::new(area.size.width.saturating_sub(2 * by), area.size.height),
    )
}

/// `area` without its last `by` columns.
fn narrowed(area: Rectangle, by: u32) -> Rectangle {
    let size = Size::new(area.size.width.saturating_sub(by), area.size.height);
    Rectangle::new(area.top_left, size)
}

#[cfg(test)]
mod tests;
