//! Every state on every size of display: as pictures to look at, and what can be said without eyes.
use super::*;
use crate::phone::tests::screens::{STATES, screen};
use embedded_graphics::prelude::RgbColor;
use proptest::prelude::*;
use std::path::PathBuf;

const SIZES: [(u32, u32); 4] = [(128, 64), (128, 32), (240, 135), (320, 240)];

fn drawn(screen: &Screen, (width, height): (u32, u32)) -> Framebuffer {
    let mut frame = Framebuffer::new(Size::new(width, height)).expect("a possible size");
    render(screen, &mut frame);
    frame
}

fn brightness(frame: &Framebuffer) -> f32 {
    let sum: u32 = frame.pixels().map(|pixel| u32::from(pixel.g())).sum();
    sum as f32 / frame.pixels().len() as f32 / f32::from(Rgb565::MAX_G)
}

/// The pictures are in `target/tmp/screens`, one sheet per size.
#[test]
fn all_states_are_drawn() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tmp/screens");
    std::fs::create_dir_all(&folder).expect("target can be written");
    for size in SIZES {
        let frames: Vec<Framebuffer> = STATES
            .iter()
            .map(|(_, steps)| drawn(&screen(steps), size))
            .collect();
        for (index, frame) in frames.iter().enumerate() {
            let twin = frames.iter().take(index).position(|other| other == frame);
            assert_eq!(
                twin.map(|twin| STATES[twin].0),
                None,
                "{} looks like another",
                STATES[index].0
            );
        }
        let name = format!("{}x{}.png", size.0, size.1);
        save(&folder.join(name), &frames, size);
        let failure = crate::phone::failure_screen(
            "board rpi-5 is for \"Raspberry Pi 5\", this is \"Raspberry Pi 4 Model B Rev 1.5\": set [board] name to \"auto\"",
        );
        let name = format!("failure-{}x{}.png", size.0, size.1);
        save(&folder.join(name), &[drawn(&failure, size)], size);
    }
}

/// A sheet of all `frames`, three in a row.
fn save(path: &std::path::Path, frames: &[Framebuffer], (width, height): (u32, u32)) {
    let (columns, gap) = (3, 6);
    let rows = frames.len().div_ceil(columns) as u32;
    let sheet = Size::new((width + gap) * columns as u32, (height + gap) * rows);
    let mut bytes = vec![0x80; (sheet.width * sheet.height * 3) as usize];
    for (index, frame) in frames.iter().enumerate() {
        let x = (index % columns) as u32 * (width + gap);
        let y = (index / columns) as u32 * (height + gap);
        let pixels = frame.to_rgb888();
        for (row, line) in (0_u32..).zip(pixels.chunks_exact(width as usize * 3)) {
            let start = (((y + row) * sheet.width + x) * 3) as usize;
            bytes[start..start + line.len()].copy_from_slice(line);
        }
    }
    let file = std::fs::File::create(path).expect("target can be written");
    let mut encoder = png::Encoder::new(file, sheet.width, sheet.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a PNG header");
    writer
        .write_image_data(&bytes)
        .expect("as many bytes as pixels");
}

#[test]
fn a_ringing_call_is_inverse() {
    for size in SIZES {
        let [ringing, talking] = [&["A rings"][..], &["A rings", "lift", "A connected"]]
            .map(|steps| brightness(&drawn(&screen(steps), size)));
        assert!(
            ringing > 0.4 && talking < 0.4 && ringing > talking + 0.2,
            "{size:?}: {ringing} {talking}"
        );
    }
}

#[test]
fn a_small_display_gets_black_and_white_only() {
    for (state, steps) in STATES {
        let frame = drawn(&screen(steps), (128, 64));
        let is_plain = frame
            .pixels()
            .all(|pixel| pixel == Rgb565::WHITE || pixel == Rgb565::BLACK);
        assert!(is_plain, "{state}");
    }
}

#[test]
fn every_soft_key_and_detail_is_whole_on_a_small_display() {
    let layout = Layout::of(Size::new(128, 64));
    for (state, steps) in STATES {
        let screen = screen(steps);
        if !screen.code.is_empty() {
            // Its text is wrapped.
            continue;
        }
        for label in &screen.soft_keys {
            assert!(
                text::fits(label, 128 / 4 - 2 * layout.soft_gap, layout.soft),
                "{state}: {label}"
            );
        }
        assert!(
            text::fits(&screen.detail, 126, layout.detail),
            "{state}: {}",
            screen.detail
        );
        assert!(
            text::fits(&screen.main, 126, layout.main),
            "{state}: {}",
            screen.main
        );
    }
}

/// The small display as text, two pixels above each other in one character.
#[test]
fn the_small_display_in_letters() {
    let mut text = String::new();
    for (state, steps) in [
        ("ringing", &["A rings"][..]),
        ("volume", &["lift", "tap volume_up"]),
    ] {
        let frame = drawn(&screen(steps), (128, 64));
        text.extend([state, "\n"]);
        for y in (0..64).step_by(2) {
            for x in 0..128 {
                let lit = |y| frame.pixel(Point::new(x, y)) == Some(Rgb565::WHITE);
                text.push(match (lit(y), lit(y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push('\n');
        }
    }
    insta::assert_snapshot!(text);
}

/// What a camera sees of the code: the display's pixels, each a few of the camera's.
fn scanned(frame: &Framebuffer) -> Option<String> {
    const ZOOM: usize = 3;
    let size = frame.size();
    let (width, height) = (size.width as usize, size.height as usize);
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width * ZOOM, height * ZOOM, |x, y| {
            let point = Point::new((x / ZOOM) as i32, (y / ZOOM) as i32);
            frame.pixel(point).map_or(0, |color| color.g() << 2)
        });
    let grid = image.detect_grids().into_iter().next()?;
    Some(grid.decode().ok()?.1)
}

#[test]
fn the_code_to_log_in_can_be_scanned() {
    let state = screen(&["login out"]);
    for link in [
        "HTTP://DESK-7.LOCAL:8321/L/7F3K9Q",
        "HTTPS://192.168.178.105:8321/L/7F3K9Q",
        "HTTPS://[FE80::5054:FF:FE12:3456]:8321/L/7F3K9Q",
    ] {
        for size in [(128, 64), (240, 135), (320, 240)] {
            let screen = Screen {
                code: link.to_owned(),
                ..state.clone()
            };
            let read = scanned(&drawn(&screen, size));
            assert_eq!(read.as_deref(), Some(link), "{size:?}");
        }
    }
    // No room for a code: the address as text.
    assert_eq!(scanned(&drawn(&state, (128, 32))), None);
    let without = Screen {
        code: String::new(),
        ..state.clone()
    };
    assert!(drawn(&state, (128, 32)) == drawn(&without, (128, 32)));
}

fn any_look() -> impl Strategy<Value = Look> {
    prop::sample::select(vec![
        Look::Idle,
        Look::Dialing,
        Look::Ringing,
        Look::Calling,
        Look::Talking,
        Look::Muted,
        Look::Held,
        Look::Trouble,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_on_any_display(
        texts in prop::array::uniform8(any::<String>()),
        lines in prop::collection::vec(any::<String>(), 0..9),
        look in any_look(),
        level in any::<Option<u8>>(),
        code in prop_oneof![Just(String::new()), any::<String>()],
        width in 1..=320_u32,
        height in 1..=240_u32,
    ) {
        let [title, corner, main, detail, one, two, three, four] = texts;
        let soft_keys = [one, two, three, four];
        let screen = Screen { title, corner, main, detail, lines, soft_keys, look, level, code, ..Screen::default() };
        drawn(&screen, (width, height));
    }
}
