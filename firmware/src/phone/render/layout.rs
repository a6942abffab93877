//! Measures and type faces by size of display.

use super::text::Face;
use embedded_graphics::geometry::Size;
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_4X6, FONT_5X7, FONT_5X8, FONT_6X10, FONT_6X13_BOLD, FONT_7X13, FONT_7X13_BOLD, FONT_7X14,
    FONT_8X13, FONT_8X13_BOLD, FONT_9X15, FONT_9X15_BOLD, FONT_10X20,
};

/// Measures in pixels; faces from the one wanted to the one that takes most text.
#[derive(Debug)]
pub(super) struct Layout {
    /// Black and white only.
    pub mono: bool,
    pub margin: u32,
    pub gap: u32,
    pub radius: u32,
    pub bar_height: u32,
    pub main_height: u32,
    pub detail_height: u32,
    pub line_height: u32,
    pub line_gap: u32,
    pub soft_height: u32,
    pub soft_gap: u32,
    pub title: &'static [Face],
    pub main: &'static [Face],
    pub detail: &'static [Face],
    pub line: &'static [Face],
    pub soft: &'static [Face],
}

impl Layout {
    /// The layout for a display of `size`.
    pub fn of(size: Size) -> &'static Self {
        if size.height < 48 {
            &TINY
        } else if size.width < 160 || size.height <= 100 {
            const { &SMALL }
        } else if size.width < 280 || size.height < 200 {
            &MEDIUM
        } else {
            &LARGE
        }
    }
}

/// 128 x 32: no room for soft keys; hook, line keys and Ok do without. 8 + 14 + 10 = 32.
static TINY: Layout = Layout {
    bar_height: 8,
    gap: 0,
    main_height: 14,
    detail_height: 10,
    line_height: 8,
    soft_height: 0,
    main: &[
        Face::plain(&FONT_8X13_BOLD),
        Face::plain(&FONT_7X13_BOLD),
        Face::plain(&FONT_6X13_BOLD),
        Face::plain(&FONT_5X8),
    ],
    ..SMALL
};

/// 128 x 64 (SSD1306, SH1106): 9 + 2 + 20 + 1 + 10 + 1 + 9 + 11 = 63.
const SMALL: Layout = Layout {
    mono: true,
    margin: 1,
    gap: 1,
    radius: 0,
    bar_height: 9,
    main_height: 20,
    detail_height: 10,
    line_height: 10,
    line_gap: 0,
    soft_height: 11,
    soft_gap: 1,
    title: &[Face::plain(&FONT_5X8), Face::plain(&FONT_4X6)],
    main: &[
        Face::plain(&FONT_10X20),
        Face::plain(&FONT_9X15_BOLD),
        Face::plain(&FONT_8X13_BOLD),
        Face::plain(&FONT_7X13_BOLD),
        Face::plain(&FONT_6X13_BOLD),
        Face::plain(&FONT_5X8),
    ],
    detail: &[
        Face::plain(&FONT_6X10),
        Face::plain(&FONT_5X8),
        Face::plain(&FONT_4X6),
    ],
    line: &[
        Face::plain(&FONT_6X10),
        Face::plain(&FONT_5X8),
        Face::plain(&FONT_4X6),
    ],
    soft: &[Face::plain(&FONT_5X7), Face::plain(&FONT_4X6)],
};

/// 240 x 135 and the like.
static MEDIUM: Layout = Layout {
    mono: false,
    margin: 5,
    gap: 4,
    radius: 3,
    bar_height: 19,
    main_height: 30,
    detail_height: 16,
    line_height: 18,
    line_gap: 2,
    soft_height: 24,
    soft_gap: 2,
    title: &[Face::plain(&FONT_8X13_BOLD), Face::plain(&FONT_7X13_BOLD)],
    main: &[
        Face::double(&FONT_9X15_BOLD),
        Face::double(&FONT_8X13_BOLD),
        Face::double(&FONT_7X13_BOLD),
        Face::double(&FONT_6X13_BOLD),
        Face::plain(&FONT_10X20),
        Face::plain(&FONT_9X15_BOLD),
        Face::plain(&FONT_7X13_BOLD),
    ],
    detail: &[
        Face::plain(&FONT_8X13),
        Face::plain(&FONT_7X13),
        Face::plain(&FONT_6X10),
    ],
    line: &[
        Face::plain(&FONT_8X13),
        Face::plain(&FONT_7X13),
        Face::plain(&FONT_6X10),
    ],
    soft: &[Face::plain(&FONT_7X13_BOLD), Face::plain(&FONT_6X13_BOLD)],
};

/// 320 x 240 (ILI9341, ST7789).
static LARGE: Layout = Layout {
    mono: false,
    margin: 8,
    gap: 12,
    radius: 5,
    bar_height: 30,
    main_height: 42,
    detail_height: 22,
    line_height: 26,
    line_gap: 4,
    soft_height: 40,
    soft_gap: 3,
    title: &[
        Face::plain(&FONT_10X20),
        Face::plain(&FONT_9X15_BOLD),
        Face::plain(&FONT_7X13_BOLD),
    ],
    main: &[
        Face::double(&FONT_10X20),
        Face::double(&FONT_9X15_BOLD),
        Face::double(&FONT_8X13_BOLD),
        Face::double(&FONT_7X13_BOLD),
        Face::double(&FONT_6X13_BOLD),
        Face::plain(&FONT_10X20),
        Face::plain(&FONT_9X15_BOLD),
    ],
    detail: &[
        Face::plain(&FONT_10X20),
        Face::plain(&FONT_9X15),
        Face::plain(&FONT_8X13),
        Face::plain(&FONT_7X14),
    ],
    line: &[
        Face::plain(&FONT_9X15),
        Face::plain(&FONT_8X13),
        Face::plain(&FONT_7X14),
    ],
    soft: &[
        Face::plain(&FONT_9X15_BOLD),
        Face::plain(&FONT_8X13_BOLD),
        Face::plain(&FONT_7X13_BOLD),
    ],
};
