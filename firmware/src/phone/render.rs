//! Draws a [`Screen`] on a frame of any size.

use super::Screen;
use offhook_hal::Framebuffer;

/// Draws `screen` over the whole of `frame`.
pub fn render(_screen: &Screen, _frame: &mut Framebuffer) {}
