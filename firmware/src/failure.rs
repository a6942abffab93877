//! The display of a phone that cannot start: why, in words. It stays there until systemd has the phone try again.

use crate::phone::{failure_screen, render};
use offhook_board::{Board, Machine};
use offhook_hal::{DisplayError, Framebuffer};

/// Shows the error on the display of the hardware this really is, whatever the configuration says of it. Without one
/// it is in the journal only.
pub fn show(error: &anyhow::Error) {
    let Ok(board) = Board::select("auto", &Machine::this()) else {
        return;
    };
    let Some(spec) = board.screen() else {
        return;
    };
    let reason = format!("{error:#}").replace('\n', "; ");
    let shown =
        frame(&reason, spec.size).and_then(|frame| offhook_hal::screen::show_once(&spec, &frame));
    if let Err(error) = shown {
        eprintln!("offhook: nor can the display say so: {error}");
    }
}

fn frame(
    reason: &str,
    size: embedded_graphics::geometry::Size,
) -> Result<Framebuffer, DisplayError> {
    let mut frame = Framebuffer::new(size)?;
    render::render(&failure_screen(reason), &mut frame);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::geometry::Size;

    /// The end of the reason can be seen: with another end the picture is another.
    #[test]
    fn all_of_the_reason_is_on_the_smallest_usual_display() {
        let machine = Machine {
            model: Some("Raspberry Pi 4 Model B Rev 1.5".into()),
            ..Machine::default()
        };
        let board = Board::builtin("rpi-5").unwrap();
        let reason = board.check_machine(&machine).unwrap_err().to_string();
        for (width, height) in [(128, 64), (240, 135), (320, 240)] {
            let size = Size::new(width, height);
            let other = reason[..reason.len() - 2].to_owned() + "XX";
            assert_ne!(
                frame(&reason, size).unwrap(),
                frame(&other, size).unwrap(),
                "{width} x {height}: {reason}"
            );
        }
    }
}
