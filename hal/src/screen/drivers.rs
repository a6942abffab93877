//! The drivers behind a [`ScreenSpec`].

use std::convert::Infallible;

use embedded_graphics::geometry::Size;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::I2c;
use embedded_hal::spi::SpiDevice;
use mipidsi::Builder;
use mipidsi::interface::SpiInterface;
use mipidsi::models::ST7789;
use mipidsi::options::{ColorInversion, Orientation, Rotation};
use rppal::spi::{Bus, Mode, SimpleHalSpiDevice, SlaveSelect, Spi};
use ssd1306::mode::DisplayConfig;
use ssd1306::prelude::DisplayRotation;
use ssd1306::size;
use ssd1306::{I2CDisplayInterface, Ssd1306};

use super::sh1106::Sh1106;
use super::{ScreenController, ScreenSpec};
use crate::gpio::{self, OutputLine};
use crate::{Display, DisplayError, DriverDisplay, Framebuffer};

pub(super) fn open<'a>(
    spec: &ScreenSpec,
    scratch: &'a mut [u8],
) -> Result<Box<dyn Display + 'a>, DisplayError> {
    match &spec.controller {
        ScreenController::Ssd1306 { bus, address } => {
            ssd1306(spec.size, i2c(*bus)?, *address, i2c_name(*bus))
        }
        ScreenController::Sh1106 { bus, address } => {
            sh1106(spec.size, i2c(*bus)?, *address, i2c_name(*bus))
        }
        ScreenController::St7789 {
            bus,
            select,
            clock_hz,
            gpio,
            data_command_line,
            reset_line,
            backlight_line,
            offset,
        } => {
            let name = format!("/dev/spidev{bus}.{select}");
            let spi = Spi::new(spi_bus(*bus)?, spi_select(*select)?, *clock_hz, Mode::Mode0)
                .map_err(|error| failed(&name, &error))?;
            let line = |line: u32, high: bool| -> Result<OutputLine, DisplayError> {
                gpio::open_output(gpio, line, high).map_err(|error| DisplayError::Driver {
                    reason: error.to_string(),
                })
            };
            let wires = St7789Wires {
                spi: SimpleHalSpiDevice::new(spi),
                data_command: line(*data_command_line, false)?,
                reset: reset_line.map(|reset| line(reset, true)).transpose()?,
                backlight: backlight_line.map(|light| line(light, true)).transpose()?,
            };
            st7789(spec.size, *offset, wires, name, scratch, &mut Sleep)
        }
    }
}

fn ssd1306<B: I2c + Send + 'static>(
    size: Size,
    wire: B,
    address: u8,
    name: String,
) -> Result<Box<dyn Display>, DisplayError> {
    // The driver has a type for each size.
    macro_rules! of_size {
        ($size:ident) => {{
            let interface = I2CDisplayInterface::new_custom_address(wire, address);
            let mut display = Ssd1306::new(interface, size::$size, DisplayRotation::Rotate0)
                .into_buffered_graphics_mode();
            display.init().map_err(|error| failed(&name, &error))?;
            let display = DriverDisplay::new(display, |display| display.flush())?;
            Ok(OnBus::boxed(name, display))
        }};
    }
    match (size.width, size.height) {
        (128, 64) => of_size!(DisplaySize128x64),
        (128, 32) => of_size!(DisplaySize128x32),
        (96, 16) => of_size!(DisplaySize96x16),
        (72, 40) => of_size!(DisplaySize72x40),
        (64, 48) => of_size!(DisplaySize64x48),
        (64, 32) => of_size!(DisplaySize64x32),
        (width_px, height_px) => Err(DisplayError::Size {
            width_px,
            height_px,
        }),
    }
}

fn sh1106<B: I2c + Send + 'static>(
    size: Size,
    wire: B,
    address: u8,
    name: String,
) -> Result<Box<dyn Display>, DisplayError> {
    let display = Sh1106::new(wire, address, size.height).map_err(|error| failed(&name, &error))?;
    let display = DriverDisplay::new(display, Sh1106::flush)?;
    Ok(OnBus::boxed(name, display))
}

/// What an ST7789 is wired to.
struct St7789Wires<S, P> {
    spi: S,
    data_command: P,
    reset: Option<P>,
    /// High already.
    backlight: Option<P>,
}

fn st7789<'a, S, P>(
    size: Size,
    offset: (u32, u32),
    wires: St7789Wires<S, P>,
    name: String,
    scratch: &'a mut [u8],
    delay: &mut impl DelayNs,
) -> Result<Box<dyn Display + 'a>, DisplayError>
where
    S: SpiDevice + Send + 'a,
    P: OutputPin + Send + 'a,
{
    let interface = SpiInterface::new(wires.spi, wires.data_command, scratch);
    // The controller's memory is upright; a display that is wider than high is looked at from the side.
    let wide = size.width > size.height;
    let (width, height) = if wide {
        (size.height, size.width)
    } else {
        (size.width, size.height)
    };
    let rotation = if wide {
        Rotation::Deg90
    } else {
        Rotation::Deg0
    };
    let builder = Builder::new(ST7789, interface)
        .display_size(width as u16, height as u16)
        .display_offset(offset.0 as u16, offset.1 as u16)
        .orientation(Orientation::new().rotate(rotation))
        // The panels sold with this controller show inverted colours otherwise.
        .invert_colors(ColorInversion::Inverted);
    // The driver buffers nothing, so there is nothing to flush; the backlight's line lives in the closure, because it
    // must stay ours for the light to stay on.
    let backlight = wires.backlight;
    let flush = move || {
        let _ = &backlight;
        Ok::<(), Infallible>(())
    };
    if let Some(reset) = wires.reset {
        let display = builder.reset_pin(reset).init(delay);
        let display = display.map_err(|error| failed(&name, &error))?;
        let display = DriverDisplay::new(display, move |_: &mut _| flush())?;
        return Ok(OnBus::boxed(name, display));
    }
    let display = builder.init(delay);
    let display = display.map_err(|error| failed(&name, &error))?;
    let display = DriverDisplay::new(display, move |_: &mut _| flush())?;
    Ok(OnBus::boxed(name, display))
}

/// A display whose errors name its bus, as those of its set-up do: the same trouble is then told once.
struct OnBus<D> {
    name: String,
    display: D,
}

impl<'a, D: Display + 'a> OnBus<D> {
    fn boxed(name: String, display: D) -> Box<dyn Display + 'a> {
        Box::new(Self { name, display })
    }
}

impl<D: Display> Display for OnBus<D> {
    fn size(&self) -> Size {
        self.display.size()
    }

    fn show(&mut self, frame: &Framebuffer) -> Result<(), DisplayError> {
        self.display.show(frame).map_err(|error| match error {
            DisplayError::Driver { reason } => DisplayError::Driver {
                reason: format!("{}: {reason}", self.name),
            },
            other => other,
        })
    }
}

fn i2c(bus: u8) -> Result<rppal::i2c::I2c, DisplayError> {
    rppal::i2c::I2c::with_bus(bus).map_err(|error| failed(&i2c_name(bus), &error))
}

fn i2c_name(bus: u8) -> String {
    format!("/dev/i2c-{bus}")
}

fn spi_bus(bus: u8) -> Result<Bus, DisplayError> {
    Ok(match bus {
        0 => Bus::Spi0,
        1 => Bus::Spi1,
        2 => Bus::Spi2,
        3 => Bus::Spi3,
        4 => Bus::Spi4,
        5 => Bus::Spi5,
        6 => Bus::Spi6,
        _ => return Err(failed("an SPI display", &"buses go from 0 to 6")),
    })
}

fn spi_select(select: u8) -> Result<SlaveSelect, DisplayError> {
    Ok(match select {
        0 => SlaveSelect::Ss0,
        1 => SlaveSelect::Ss1,
        2 => SlaveSelect::Ss2,
        _ => return Err(failed("an SPI display", &"chip selects go from 0 to 2")),
    })
}

fn failed(bus: &str, error: &impl std::fmt::Debug) -> DisplayError {
    DisplayError::Driver {
        reason: format!("{bus}: {error:?}"),
    }
}

/// The set-up of a display has pauses of up to 150 ms.
struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, ns: u32) {
        std::thread::sleep(std::time::Duration::from_nanos(ns.into()));
    }
}

#[cfg(test)]
mod tests;
