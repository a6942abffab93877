//! The display and its bus.

use std::ops::Range;

use offhook_hal::display::{MAX_HEIGHT_PX, MAX_WIDTH_PX};
use toml::Spanned;

use super::Check;
use crate::lines::Uses;
use crate::{BoardError, Controller, Display, I2c, Spi, raw};

impl Check<'_> {
    pub(super) fn display(
        &self,
        uses: &mut Uses<'_>,
        display: Spanned<raw::Display>,
    ) -> Result<Display, BoardError> {
        let at = display.span();
        let mut raw = display.into_inner();
        let name = match raw.controller {
            raw::Controller::Virtual => "controller = \"virtual\"",
            raw::Controller::Ssd1306 => "controller = \"ssd1306\"",
            raw::Controller::Sh1106 => "controller = \"sh1106\"",
            raw::Controller::St7789 => "controller = \"st7789\"",
        };
        let spi = raw.controller == raw::Controller::St7789;
        let i2c = matches!(
            raw.controller,
            raw::Controller::Ssd1306 | raw::Controller::Sh1106
        );
        if !spi {
            self.source
                .unwanted("display.clock_hz", name, raw.clock_hz.as_ref())?;
            self.source.unwanted(
                "display.data_command_line",
                name,
                raw.data_command_line.as_ref(),
            )?;
            self.source
                .unwanted("display.reset_line", name, raw.reset_line.as_ref())?;
            self.source
                .unwanted("display.backlight_line", name, raw.backlight_line.as_ref())?;
        }
        if !i2c {
            self.source
                .unwanted("display.i2c_address", name, raw.i2c_address.as_ref())?;
        }
        let controller = match raw.controller {
            raw::Controller::Virtual => {
                self.source
                    .unwanted("display.bus_device", name, raw.bus_device.as_ref())?;
                Controller::Virtual
            }
            raw::Controller::Ssd1306 => Controller::Ssd1306(self.i2c(&at, name, &mut raw)?),
            raw::Controller::Sh1106 => Controller::Sh1106(self.i2c(&at, name, &mut raw)?),
            raw::Controller::St7789 => Controller::St7789(self.spi(uses, &at, name, &mut raw)?),
        };
        Ok(Display {
            width_px: self
                .source
                .number("display.width_px", &raw.width_px, 1..=MAX_WIDTH_PX)?,
            height_px: self.source.number(
                "display.height_px",
                &raw.height_px,
                1..=MAX_HEIGHT_PX,
            )?,
            controller,
        })
    }

    fn bus(
        &self,
        at: &Range<usize>,
        name: &str,
        bus_device: Option<Spanned<String>>,
        allowed: &str,
    ) -> Result<String, BoardError> {
        self.source
            .needed(at, "display.bus_device", name, bus_device.as_ref(), allowed)?;
        bus_device.map_or(Ok(String::new()), |device| {
            self.text("display.bus_device", device)
        })
    }

    fn i2c(
        &self,
        at: &Range<usize>,
        name: &str,
        raw: &mut raw::Display,
    ) -> Result<I2c, BoardError> {
        let allowed = "the address, usually 0x3c";
        let address = self.source.needed(
            at,
            "display.i2c_address",
            name,
            raw.i2c_address.as_ref(),
            allowed,
        )?;
        Ok(I2c {
            address: self
                .source
                .number("display.i2c_address", address, 0x08..=0x77)? as u8,
            bus_device: self.bus(at, name, raw.bus_device.take(), "such as \"/dev/i2c-1\"")?,
        })
    }

    fn spi(
        &self,
        uses: &mut Uses<'_>,
        at: &Range<usize>,
        name: &str,
        raw: &mut raw::Display,
    ) -> Result<Spi, BoardError> {
        let clock = raw.clock_hz.as_ref();
        let clock =
            self.source
                .needed(at, "display.clock_hz", name, clock, "100000 to 80000000")?;
        let data = raw.data_command_line.as_ref();
        let data =
            self.source
                .needed(at, "display.data_command_line", name, data, "a GPIO line")?;
        let mut take = |line: Option<&Spanned<u32>>, by: &str| {
            line.map(|line| uses.take(line, format!("the display's {by}")))
                .transpose()
        };
        let reset_line = take(raw.reset_line.as_ref(), "reset")?;
        let backlight_line = take(raw.backlight_line.as_ref(), "backlight")?;
        Ok(Spi {
            clock_hz: self
                .source
                .number("display.clock_hz", clock, 100_000..=80_000_000)?,
            data_command_line: uses.take(data, "the display's data/command".into())?,
            reset_line,
            backlight_line,
            bus_device: self.bus(
                at,
                name,
                raw.bus_device.take(),
                "such as \"/dev/spidev0.0\"",
            )?,
        })
    }
}
