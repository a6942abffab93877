//! A picture of a board's header and of its keypad.

use std::fmt::Write;

use offhook_board::{Board, HeaderPin, KeypadWiring, Line};

const WIDTH: i32 = 800;
const PITCH: i32 = 24;
const TOP: i32 = 84;
/// Centers of the two columns of pins.
const LEFT: i32 = 408;
const RIGHT: i32 = 432;
const KEY: i32 = 96;

/// What colour a use has, and its name in the legend.
const KINDS: [(&str, &str, &str); 8] = [
    ("row", "#2b6cb0", "keypad row"),
    ("column", "#2f855a", "keypad column"),
    ("hook", "#805ad5", "hook switch"),
    ("lamp", "#b7791f", "lamp"),
    ("bus", "#0f766e", "bus or codec"),
    ("v3", "#dd6b20", "3.3 V"),
    ("v5", "#c53030", "5 V"),
    ("ground", "#1a202c", "ground"),
];

/// None if the header is not known.
pub(crate) fn of(board: &Board) -> Option<String> {
    let pins = board.header?.pins();
    let rows = pins.len() as i32 / 2;
    let keypad_top = TOP + rows * PITCH + 40;
    let (keypad, keypad_height) = keypad(board, keypad_top);
    let height = keypad_top + keypad_height + 20;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let sound = board
        .sound
        .as_deref()
        .map(|sound| format!("+{sound}"))
        .unwrap_or_default();
    text(
        &mut svg,
        20,
        28,
        "start",
        "font-size=\"18\" font-weight=\"600\"",
        &format!("{}{sound}", board.name),
    );
    let hint =
        "The header seen from above, pin 1 at the corner of the board; USB sockets at the bottom.";
    text(&mut svg, 20, 48, "start", "fill=\"#4a5568\"", hint);
    let frame_height = rows * PITCH + 8;
    let _ = writeln!(
        svg,
        "<rect x=\"{}\" y=\"{}\" width=\"56\" height=\"{frame_height}\" rx=\"4\" fill=\"#edf2f7\" stroke=\"#a0aec0\"/>",
        LEFT - 16,
        TOP - 16
    );
    for (index, pin) in pins.iter().enumerate() {
        draw_pin(&mut svg, board, index, *pin);
    }
    legend(&mut svg);
    svg.push_str(&keypad);
    svg.push_str("</svg>\n");
    Some(svg)
}

fn draw_pin(svg: &mut String, board: &Board, index: usize, pin: HeaderPin) {
    let y = TOP + index as i32 / 2 * PITCH;
    let odd = index.is_multiple_of(2);
    let x = if odd { LEFT } else { RIGHT };
    let (kind, label) = meaning(board, pin);
    let color = KINDS
        .iter()
        .find(|(name, ..)| *name == kind)
        .map(|(_, color, _)| *color);
    let (fill, stroke) = (color.unwrap_or("#ffffff"), color.unwrap_or("#a0aec0"));
    // Pin 1 is square on the board, too.
    let radius = if index == 0 { 0 } else { 9 };
    let _ = writeln!(
        svg,
        "<rect x=\"{}\" y=\"{}\" width=\"18\" height=\"18\" rx=\"{radius}\" fill=\"{fill}\" stroke=\"{stroke}\"/>",
        x - 9,
        y - 9
    );
    let number = if color.is_some() {
        "#ffffff"
    } else {
        "#718096"
    };
    let style = format!("font-size=\"10\" fill=\"{number}\"");
    text(svg, x, y + 4, "middle", &style, &(index + 1).to_string());
    let (label_x, anchor, line_from, line_to) = if odd {
        (LEFT - 34, "end", LEFT - 30, LEFT - 11)
    } else {
        (RIGHT + 34, "start", RIGHT + 11, RIGHT + 30)
    };
    if color.is_some() {
        let _ = writeln!(
            svg,
            "<path d=\"M{line_from} {y}H{line_to}\" stroke=\"{stroke}\" stroke-width=\"2\"/>"
        );
    }
    let style = if color.is_some() {
        "fill=\"#1a202c\""
    } else {
        "fill=\"#a0aec0\""
    };
    text(svg, label_x, y + 4, anchor, style, &label);
}

/// Which kind of use a pin has (none: it is free), and its label.
fn meaning(board: &Board, pin: HeaderPin) -> (&'static str, String) {
    let line = match pin {
        HeaderPin::V3 => return ("v3", "3.3 V".into()),
        HeaderPin::V5 => return ("v5", "5 V".into()),
        HeaderPin::Ground => return ("ground", "ground".into()),
        HeaderPin::Line(line) => line,
    };
    let Some(wire) = board.wires.iter().find(|wire| wire.line == line) else {
        let usable = board
            .header
            .is_some_and(|header| header.pin_of(line).is_some());
        let what = if usable { "free" } else { "HAT EEPROM" };
        return ("free", format!("GPIO {line}  {what}"));
    };
    let kind = match wire.what.as_str() {
        what if what.starts_with("keypad row") => "row",
        what if what.starts_with("keypad column") => "column",
        what if what.contains("hook") => "hook",
        what if what.starts_with("lamp") => "lamp",
        _ => "bus",
    };
    (kind, format!("GPIO {line}  {}", wire.what))
}

fn legend(svg: &mut String) {
    for (index, (_, color, name)) in KINDS.iter().enumerate() {
        let y = TOP + index as i32 * 22;
        let _ = writeln!(
            svg,
            "<rect x=\"20\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/>",
            y - 6
        );
        text(svg, 40, y + 4, "start", "fill=\"#1a202c\"", name);
    }
}

/// The keypad as it is wired, and its height.
fn keypad(board: &Board, top: i32) -> (String, i32) {
    let KeypadWiring::Matrix(matrix) = &board.keypad.wiring else {
        return (String::new(), 0);
    };
    let mut svg = String::new();
    let left = 120;
    let line_label = |line: &Line| format!("GPIO {line}");
    for (index, line) in matrix.column_lines.iter().enumerate() {
        let x = left + index as i32 * KEY + KEY / 2;
        text(
            &mut svg,
            x,
            top,
            "middle",
            "fill=\"#2f855a\"",
            &line_label(line),
        );
    }
    for (row, line) in matrix.row_lines.iter().enumerate() {
        let y = top + 14 + row as i32 * 36;
        text(
            &mut svg,
            left - 12,
            y + 20,
            "end",
            "fill=\"#2b6cb0\"",
            &line_label(line),
        );
        for (column, key) in matrix.keys[row].iter().enumerate() {
            let Some(key) = key else { continue };
            let x = left + column as i32 * KEY;
            let _ = writeln!(
                svg,
                "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"30\" rx=\"5\" fill=\"#f7fafc\" stroke=\"#a0aec0\"/>",
                x + 3,
                KEY - 6
            );
            let label = key.to_string().replace('_', " ");
            text(
                &mut svg,
                x + KEY / 2,
                y + 20,
                "middle",
                "fill=\"#1a202c\"",
                &label,
            );
        }
    }
    (svg, 14 + matrix.row_lines.len() as i32 * 36)
}

fn text(svg: &mut String, x: i32, y: i32, anchor: &str, style: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "");
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" {style} xml:space=\"preserve\">{text}</text>"
    );
}
