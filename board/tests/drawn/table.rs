//! The wiring tables of the README.

use std::fmt::Write;

use offhook_board::{Board, Controller, HookWiring, KeypadWiring, LampWiring, Level, Line, Matrix};
use offhook_hal::gpio::Pull;

/// Heading and table of boards that are wired alike.
pub(crate) fn of(group: &[Board]) -> String {
    let names: Vec<String> = group
        .iter()
        .map(|board| format!("`{}`", board.name))
        .collect();
    let board = &group[0];
    let mut text = format!("### {}\n\n", names.join(", "));
    if let Some(sound) = &board.sound {
        let _ = writeln!(
            text,
            "With the sound variant `{sound}`.{}\n",
            freed_by_usb(board)
        );
    }
    let pin_heading = if board.header.is_some() { "| pin " } else { "" };
    let pin_rule = if board.header.is_some() { "|---:" } else { "" };
    let _ = writeln!(
        text,
        "{pin_heading}| GPIO line | wired to | how |\n{pin_rule}|---:|---|---|"
    );
    let mut wires: Vec<_> = board.wires.iter().collect();
    wires.sort_by_key(|wire| pin(board, wire.line));
    for wire in wires {
        if let Some(pin) = pin(board, wire.line) {
            let _ = write!(text, "| {pin} ");
        }
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            wire.line,
            wire.what,
            how(board, wire.line)
        );
    }
    text.push('\n');
    text
}

fn pin(board: &Board, line: Line) -> Option<usize> {
    board.header.and_then(|header| header.pin_of(line))
}

/// Which pins a codec HAT takes that a USB handset does not.
fn freed_by_usb(board: &Board) -> String {
    let usb = Board::builtin(&format!("{}+usb", board.name)).expect("it is right");
    let freed: Vec<String> = board
        .wires
        .iter()
        .filter(|wire| usb.wires.iter().all(|other| other.line != wire.line))
        .map(|wire| wire.line.to_string())
        .collect();
    if freed.is_empty() {
        return String::new();
    }
    format!(" With `+usb`, the lines {} are free.", freed.join(", "))
}

/// How the line is connected, for whoever solders.
pub(crate) fn how(board: &Board, line: Line) -> String {
    if let KeypadWiring::Matrix(matrix) = &board.keypad.wiring
        && let Some(keys) = keys_on(matrix, line)
    {
        return keys;
    }
    if let HookWiring::Switch {
        line: hook,
        lifted,
        pull,
    } = board.hook.wiring
        && hook == line
    {
        let level = if lifted == Level::Low { "low" } else { "high" };
        let pull = match pull {
            Pull::Up => "; the other side of the switch to ground (pull-up inside)",
            Pull::Down => "; the other side of the switch to 3.3 V (pull-down inside)",
            Pull::None => "; a resistor outside",
        };
        return format!("{level} while the handset is lifted{pull}");
    }
    let bus = match &board.display.controller {
        Controller::Ssd1306(i2c) | Controller::Sh1106(i2c) => {
            Some((format!("i2c{}", i2c.bus), i2c))
        }
        Controller::Virtual | Controller::St7789(_) => None,
    };
    if let Some((bus, i2c)) = bus
        && let Some(wire) = board.wires.iter().find(|wire| wire.line == line)
        && wire.what.starts_with(&bus)
    {
        return format!(
            "the display (address {:#04x}); a codec HAT shares it",
            i2c.address
        );
    }
    for lamp in &board.lamps {
        if let LampWiring::Pin { line: pin, lit } = lamp.wiring
            && pin == line
        {
            let other = if lit == Level::High {
                "ground"
            } else {
                "3.3 V"
            };
            return format!("LED with 470 Ω to {other}");
        }
    }
    String::new()
}

fn keys_on(matrix: &Matrix, line: Line) -> Option<String> {
    let labels = |keys: Vec<Option<offhook_hal::Key>>| {
        let labels: Vec<String> = keys
            .into_iter()
            .flatten()
            .map(|key| format!("`{key}`"))
            .collect();
        labels.join(" ")
    };
    if let Some(row) = matrix.row_lines.iter().position(|row| *row == line) {
        return Some(labels(matrix.keys[row].clone()));
    }
    let column = matrix
        .column_lines
        .iter()
        .position(|column| *column == line)?;
    Some(labels(matrix.keys.iter().map(|row| row[column]).collect()))
}
