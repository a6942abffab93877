//! Colours by look.

use crate::phone::Look;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use embedded_graphics::prelude::RgbColor;

/// Colours of one screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub ground: Rgb565,
    pub ink: Rgb565,
    pub dim: Rgb565,
    pub bar: Rgb565,
    pub bar_ink: Rgb565,
    pub row: Rgb565,
    pub row_ink: Rgb565,
    pub key: Rgb565,
    pub key_ink: Rgb565,
    pub go: Rgb565,
    pub stop: Rgb565,
}

const fn hex(color: u32) -> (u8, u8, u8) {
    ((color >> 16) as u8, (color >> 8) as u8, color as u8)
}

fn rgb(color: u32) -> Rgb565 {
    let (red, green, blue) = hex(color);
    Rgb565::from(Rgb888::new(red, green, blue))
}

impl Palette {
    /// White on black; a ringing call is black on white.
    pub fn mono(look: Look) -> Self {
        let (ground, ink) = match look {
            Look::Ringing => (Rgb565::WHITE, Rgb565::BLACK),
            _ => (Rgb565::BLACK, Rgb565::WHITE),
        };
        Self {
            ground,
            ink,
            dim: ink,
            bar: ink,
            bar_ink: ground,
            row: ground,
            row_ink: ink,
            key: ink,
            key_ink: ground,
            go: ink,
            stop: ink,
        }
    }

    /// Light on dark, with a bar whose colour says what is going on; a ringing call is dark on bright.
    pub fn color(look: Look) -> Self {
        let calm = Self {
            ground: rgb(0x0e_12_17),
            ink: rgb(0xff_ff_ff),
            dim: rgb(0xa3_b1_bf),
            bar: rgb(0x2b_37_45),
            bar_ink: rgb(0xff_ff_ff),
            row: rgb(0x1d_26_30),
            row_ink: rgb(0xdd_e5_ed),
            key: rgb(0x33_41_51),
            key_ink: rgb(0xff_ff_ff),
            go: rgb(0x1b_7f_47),
            stop: rgb(0xb3_2a_2a),
        };
        let bar = |color| Self {
            bar: rgb(color),
            ..calm
        };
        match look {
            Look::Idle => calm,
            Look::Dialing | Look::Calling => bar(0x1c_5f_b4),
            Look::Talking => bar(0x1b_7f_47),
            Look::Muted => bar(0xa3_1f_5a),
            Look::Held => bar(0xa8_62_00),
            Look::Trouble => bar(0xb3_2a_2a),
            Look::Ringing => Self {
                ground: rgb(0xff_c2_33),
                ink: rgb(0x14_10_00),
                dim: rgb(0x4a_36_00),
                bar: rgb(0x14_10_00),
                bar_ink: rgb(0xff_c2_33),
                row: rgb(0xe0_a3_14),
                row_ink: rgb(0x14_10_00),
                key: rgb(0x14_10_00),
                ..calm
            },
        }
    }
}
