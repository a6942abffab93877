//! One line of text: in letters the fonts have, in the largest face that fits, cut if none does.

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::{DrawTarget, DrawTargetExt};
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use embedded_graphics::prelude::RgbColor;
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};
use offhook_hal::Framebuffer;
use std::convert::Infallible;

/// A font, once or twice its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    font: &'static MonoFont<'static>,
    double: bool,
}

impl Face {
    pub const fn plain(font: &'static MonoFont<'static>) -> Self {
        Self {
            font,
            double: false,
        }
    }

    /// Twice as large, with smoothed edges: the fonts end at 20 pixels.
    pub const fn double(font: &'static MonoFont<'static>) -> Self {
        Self { font, double: true }
    }

    fn scale(self) -> u32 {
        if self.double { 2 } else { 1 }
    }

    fn letter(self) -> Size {
        self.font.character_size * self.scale()
    }

    /// Letters that fit.
    fn room(self, width: u32) -> usize {
        (width / self.letter().width.max(1)) as usize
    }
}

/// Where a text that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    Back,
    /// The last digits of a number matter most while it is entered.
    Front,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Align {
    Left,
    Center,
    Right,
}

/// Draws `text` into `area`, in its middle from top to bottom.
pub(super) fn draw(
    frame: &mut Framebuffer,
    area: Rectangle,
    text: &str,
    faces: &[Face],
    cut: Cut,
    align: Align,
    ink: Rgb565,
) {
    let Some((face, text)) = fit(text, area.size, faces, cut) else {
        return;
    };
    let width = text.chars().count() as u32 * face.letter().width;
    let free = area.size.width.saturating_sub(width);
    let x = match align {
        Align::Left => 0,
        Align::Center => free / 2,
        Align::Right => free,
    };
    let y = area.size.height.saturating_sub(face.letter().height) / 2;
    let place = area.top_left + Point::new(x as i32, y as i32);
    if face.double {
        draw_double(frame, place, &text, face.font, ink);
    } else {
        let style = MonoTextStyle::new(face.font, ink);
        let Ok(_) =
            Text::with_baseline(&text, place, style, Baseline::Top).draw(&mut frame.clipped(&area));
    }
}

/// Draws `text` into `area` from its top, in as many lines as it takes, in the largest face whose lines all fit; what
/// does not fit in the smallest is left out. Returns the height used.
pub(super) fn draw_wrapped(
    frame: &mut Framebuffer,
    area: Rectangle,
    text: &str,
    faces: &[Face],
    ink: Rgb565,
) -> u32 {
    let text = letters(text);
    let lines_of = |face: &Face| wrapped(&text, face.room(area.size.width));
    let fitting = faces.iter().find(|face| {
        let lines = lines_of(face).len() as u32;
        lines * face.letter().height <= area.size.height
    });
    let Some(face) = fitting.or(faces.last()) else {
        return 0;
    };
    let height = face.letter().height;
    let mut used = 0;
    for line in lines_of(face) {
        if used + height > area.size.height {
            break;
        }
        let row = Rectangle::new(
            area.top_left + Point::new(0, used as i32),
            Size::new(area.size.width, height),
        );
        draw(
            frame,
            row,
            &line,
            std::slice::from_ref(face),
            Cut::Back,
            Align::Left,
            ink,
        );
        used += height;
    }
    used
}

/// `text` in lines of at most `room` letters, broken behind spaces and the marks of an address where there are some.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.trim().chars().collect();
    while rest.len() > room {
        let is_break = |letter: &char| matches!(letter, ' ' | '/' | ':' | '.' | '-');
        // A space may stand behind the last letter.
        let at = match rest[..=room].iter().rposition(is_break) {
            Some(at) if at < room => at + 1,
            Some(at) if rest[at] == ' ' => at,
            _ => rest[..room]
                .iter()
                .rposition(is_break)
                .map_or(room, |at| at + 1),
        };
        let tail = rest.split_off(at);
        lines.push(String::from_iter(&rest).trim_end().to_owned());
        rest = tail
            .into_iter()
            .skip_while(|letter| *letter == ' ')
            .collect();
    }
    if !rest.is_empty() {
        lines.push(rest.into_iter().collect());
    }
    lines
}

/// Width of `text` in the first face.
pub(super) fn width_of(text: &str, faces: &[Face]) -> u32 {
    let letters = letters(text).chars().count() as u32;
    faces
        .first()
        .map_or(0, |face| letters * face.letter().width)
}

/// Whether all of `text` can be shown in one row of `width`.
pub(super) fn fits(text: &str, width: u32, faces: &[Face]) -> bool {
    let count = letters(text).chars().count();
    faces.iter().any(|face| count <= face.room(width))
}

/// The first face in which all of `text` fits, else the last with the text cut. Faces higher than the area are left
/// out unless there is no other.
fn fit(text: &str, area: Size, faces: &[Face], cut: Cut) -> Option<(Face, String)> {
    let text = letters(text);
    let count = text.chars().count();
    if count == 0 {
        return None;
    }
    let low = |face: &&Face| face.letter().height <= area.height;
    let fitting = faces
        .iter()
        .filter(low)
        .find(|face| count <= face.room(area.width));
    if let Some(face) = fitting {
        return Some((*face, text));
    }
    let face = faces.last()?;
    let room = face.room(area.width);
    let kept = room.saturating_sub(ELLIPSIS.len());
    let cut = match cut {
        _ if count <= room => text,
        // No room for saying that something is missing.
        _ if kept == 0 => text.chars().take(room).collect(),
        Cut::Back => {
            let head: String = text.chars().take(kept).collect();
            format!("{}{ELLIPSIS}", head.trim_end())
        }
        Cut::Front => {
            let tail: String = text.chars().skip(count - kept).collect();
            format!("{ELLIPSIS}{tail}")
        }
    };
    Some((*face, cut))
}

const ELLIPSIS: &str = "...";

/// `text` in letters that the fonts have (ISO 8859-1): others become the nearest ones, or `?`.
fn letters(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        match letter {
            // Accents written on their own, joiners and direction marks.
            '\u{ad}'
            | '\u{300}'..='\u{36f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{fe0e}'
            | '\u{fe0f}' => {}
            ' '..='~' | '\u{a1}'..='\u{ff}' => plain.push(letter),
            letter if letter.is_whitespace() || letter.is_control() => plain.push(' '),
            _ => plain.push_str(nearest(letter)),
        }
    }
    plain
}

/// What a letter outside ISO 8859-1 looks most like.
fn nearest(letter: char) -> &'static str {
    const NEAREST: [(&str, &str); 54] = [
        ("ĀĂĄǍẠẢẤẦẨẪẬẮẰẲẴẶА", "A"),
        ("āăąǎạảấầẩẫậắằẳẵặа", "a"),
        ("ĆĈĊČС", "C"),
        ("ćĉċčс", "c"),
        ("ĎĐ", "D"),
        ("ďđ", "d"),
        ("ĒĔĖĘĚẸẺẼẾỀỂỄỆЕ", "E"),
        ("ēĕėęěẹẻẽếềểễệе", "e"),
        ("ĜĞĠĢ", "G"),
        ("ĝğġģ", "g"),
        ("ĤĦ", "H"),
        ("ĥħ", "h"),
        ("ĨĪĬĮİỈỊІ", "I"),
        ("ĩīĭįıỉịі", "i"),
        ("Ĵ", "J"),
        ("ĵ", "j"),
        ("Ķ", "K"),
        ("ķĸ", "k"),
        ("ĹĻĽĿŁ", "L"),
        ("ĺļľŀł", "l"),
        ("ŃŅŇŊ", "N"),
        ("ńņňŋ", "n"),
        ("ŌŎŐƠỌỎỐỒỔỖỘỚỜỞỠỢО", "O"),
        ("ōŏőơọỏốồổỗộớờởỡợо", "o"),
        ("ŔŖŘ", "R"),
        ("ŕŗř", "r"),
        ("ŚŜŞŠȘ", "S"),
        ("śŝşšș", "s"),
        ("ŢŤŦȚ", "T"),
        ("ţťŧț", "t"),
        ("ŨŪŬŮŰŲƯỤỦỨỪỬỮỰ", "U"),
        ("ũūŭůűųưụủứừửữự", "u"),
        ("Ŵ", "W"),
        ("ŵ", "w"),
        ("ŶŸỲỴỶỸ", "Y"),
        ("ŷỳỵỷỹ", "y"),
        ("ŹŻŽ", "Z"),
        ("źżž", "z"),
        ("Œ", "OE"),
        ("œ", "oe"),
        ("ẞ", "SS"),
        ("ƒ", "f"),
        ("Р", "P"),
        ("р", "p"),
        ("‐‑‒–—―−", "-"),
        ("‘’‚‛′ʼ", "'"),
        ("“”„‟″", "\""),
        ("‹", "<"),
        ("›", ">"),
        ("…", "..."),
        ("•‣∙", "·"),
        ("€", "EUR"),
        ("™", "TM"),
        ("№", "No"),
    ];
    NEAREST
        .iter()
        .find(|(letters, _)| letters.contains(letter))
        .map_or("?", |(_, plain)| plain)
}

/// Draws `text` twice as large as its font. Pixels simply doubled look coarse: the bitmap is enlarged four times by a
/// rule that follows edges (Scale2x, twice), and halved again with shades.
fn draw_double(
    frame: &mut Framebuffer,
    place: Point,
    text: &str,
    font: &'static MonoFont<'static>,
    ink: Rgb565,
) {
    let letters = text.chars().count() as u32;
    let size = Size::new(
        font.character_size.width * letters,
        font.character_size.height,
    );
    let mut mask = Mask::new(size);
    let style = MonoTextStyle::new(font, BinaryColor::On);
    let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut mask);
    let mask = mask.enlarged().enlarged();
    for y in 0..mask.size.height / 2 {
        let (upper, lower) = (mask.row(2 * y), mask.row(2 * y + 1));
        let corners = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (x, (upper, lower)) in (0..).zip(corners) {
            let lit = [upper[0], upper[1], lower[0], lower[1]];
            let lit = lit.into_iter().map(u32::from).sum();
            if lit == 0 {
                continue;
            }
            let point = place + Point::new(x, y as i32);
            if let Some(under) = frame.pixel(point) {
                let Ok(()) = Pixel(point, blend(under, ink, lit)).draw(frame);
            }
        }
    }
}

/// `quarters` of `ink` over `under`.
fn blend(under: Rgb565, ink: Rgb565, quarters: u32) -> Rgb565 {
    let mix = |under: u8, ink: u8| {
        ((u32::from(under) * (4 - quarters) + u32::from(ink) * quarters) / 4) as u8
    };
    Rgb565::new(
        mix(under.r(), ink.r()),
        mix(under.g(), ink.g()),
        mix(under.b(), ink.b()),
    )
}

/// A bitmap of text. Around it is a dark edge of one pixel, so that each pixel has four neighbours.
struct Mask {
    size: Size,
    /// Rows with their edges.
    lit: Vec<bool>,
}

impl Mask {
    fn new(size: Size) -> Self {
        let with_edges = size + Size::new_equal(2);
        Self {
            size,
            lit: vec![false; (with_edges.width * with_edges.height) as usize],
        }
    }

    /// Where row `y` begins; the edge above is row -1.
    fn row_at(&self, y: i32) -> usize {
        (y + 1) as usize * (self.size.width as usize + 2)
    }

    /// Row `y` with its edges.
    fn edged_row(&self, y: i32) -> &[bool] {
        &self.lit[self.row_at(y)..self.row_at(y + 1)]
    }

    fn row(&self, y: u32) -> &[bool] {
        let row = self.edged_row(y as i32);
        &row[1..row.len() - 1]
    }

    /// Twice as large by Scale2x (Andrea Mazzoleni): a corner takes the colour of its two neighbours where they agree
    /// and the others do not.
    fn enlarged(&self) -> Self {
        let mut large = Self::new(self.size * 2);
        for y in 0..self.size.height as i32 {
            let (above, row, below) = (
                self.edged_row(y - 1),
                self.edged_row(y),
                self.edged_row(y + 1),
            );
            let (at, next, end) = (
                large.row_at(2 * y),
                large.row_at(2 * y + 1),
                large.row_at(2 * y + 2),
            );
            let (upper, lower) = large.lit[at..end].split_at_mut(next - at);
            for x in 1..=self.size.width as usize {
                let own = row[x];
                let (up, down, left, right) = (above[x], below[x], row[x - 1], row[x + 1]);
                // With two colours: the neighbours agree, and up differs from down, left from right.
                let is_edge = up != down && left != right;
                let corner = |one: bool, other: bool| {
                    if is_edge && one == other { one } else { own }
                };
                upper[2 * x - 1] = corner(left, up);
                upper[2 * x] = corner(up, right);
                lower[2 * x - 1] = corner(down, left);
                lower[2 * x] = corner(right, down);
            }
        }
        large
    }
}

impl OriginDimensions for Mask {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Mask {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(point, color) in pixels {
            if self.bounding_box().contains(point) {
                let at = self.row_at(point.y) + point.x as usize + 1;
                self.lit[at] = color.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::mono_font::iso_8859_1::{FONT_5X8, FONT_10X20};

    #[test]
    fn letters_become_ones_the_fonts_have() {
        for (text, plain) in [
            ("Łukasz Żółć", "Lukasz Zólc"),
            ("Müller & Söhne", "Müller & Söhne"),
            ("Nguyễn Thị Ánh", "Nguyen Thi Ánh"),
            ("Zoe\u{301} O’Brien…", "Zoe O'Brien..."),
            ("山田", "??"),
            (" tab\tand\u{0}nul ", "tab and nul"),
            ("a\u{a0}b", "a b"),
            ("", ""),
        ] {
            assert_eq!(letters(text), plain, "{text}");
        }
    }

    #[test]
    fn long_text_is_broken_where_it_may() {
        for (text, room, lines) in [
            ("", 5, &[][..]),
            ("short", 5, &["short"]),
            ("two words", 5, &["two", "words"]),
            ("two  words", 5, &["two", "words"]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            (
                "desk-7.local:8321/L/7F",
                12,
                &["desk-7.", "local:8321/", "L/7F"],
            ),
            ("abc de", 0, &["a", "b", "c", "d", "e"]),
        ] {
            assert_eq!(wrapped(text, room), lines, "{text} {room}");
        }
    }

    #[test]
    fn the_largest_face_that_fits_is_taken_and_the_smallest_cut() {
        let faces = [
            Face::double(&FONT_10X20),
            Face::plain(&FONT_10X20),
            Face::plain(&FONT_5X8),
        ];
        let area = Size::new(100, 40);
        let shown = |text, cut| {
            let (face, text) = fit(text, area, &faces, cut).expect("some text");
            (face.letter().width, text)
        };
        assert_eq!(shown("12345", Cut::Back), (20, "12345".to_owned()));
        assert_eq!(shown("123456", Cut::Back), (10, "123456".to_owned()));
        assert_eq!(
            shown("12345678901", Cut::Back),
            (5, "12345678901".to_owned())
        );
        let long = "12345678901234567 901";
        assert_eq!(
            shown(long, Cut::Back),
            (5, "12345678901234567...".to_owned())
        );
        assert_eq!(
            shown(long, Cut::Front),
            (5, "...5678901234567 901".to_owned())
        );
        assert!(fit("", area, &faces, Cut::Back).is_none());
        let narrow = fit("123", Size::new(11, 40), &faces, Cut::Back).expect("some text");
        assert_eq!(narrow.1, "12");
    }
}
