//! The display and its bus.

use std::ops::Range;

use offhook_hal::display::{MAX_HEIGHT_PX, MAX_WIDTH_PX};
use offhook_hal::screen::{SH1106_SIZES, SSD1306_SIZES};
use toml::Spanned;

use super::Check;
use crate::lines::Uses;
use crate::{BoardError, Controller, Display, I2c, Spi, raw};

impl Check<'_> {
    pub(super) fn display(
        &self,
        uses: &mut Uses,
        display: Spanned<raw::Display>,
    ) -> Result<Display, BoardError> {
        let at = display.span();
        let raw = display.into_inner();
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
        let width_px = self
            .source
            .number("display.width_px", &raw.width_px, 1..=MAX_WIDTH_PX)?;
        let height_px =
            self.source
                .number("display.height_px", &raw.height_px, 1..=MAX_HEIGHT_PX)?;
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
            let offset = raw.offset_px.as_ref().map(|[column, _]| column);
            self.source.unwanted("display.offset_px", name, offset)?;
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
            raw::Controller::Ssd1306 => Controller::Ssd1306(self.i2c(uses, &at, name, &raw)?),
            raw::Controller::Sh1106 => Controller::Sh1106(self.i2c(uses, &at, name, &raw)?),
            raw::Controller::St7789 => Controller::St7789(Spi {
                offset_px: self.offset(&raw, width_px, height_px)?,
                ..self.spi(uses, &at, name, &raw)?
            }),
        };
        let sizes: &[(u32, u32)] = match raw.controller {
            raw::Controller::Ssd1306 => &SSD1306_SIZES,
            raw::Controller::Sh1106 => &SH1106_SIZES,
            raw::Controller::Virtual | raw::Controller::St7789 => &[],
        };
        if !sizes.is_empty() && !sizes.contains(&(width_px, height_px)) {
            let what = format!("{name} has no size of {width_px} x {height_px}");
            let sizes: Vec<String> = sizes.iter().map(|(w, h)| format!("{w} x {h}")).collect();
            return Err(self
                .source
                .invalid(&raw.width_px.span(), what, sizes.join(", ")));
        }
        Ok(Display {
            width_px,
            height_px,
            controller,
        })
    }

    /// The numbers in a bus device's name, such as 1 in `/dev/i2c-1`.
    fn bus<const N: usize>(
        &self,
        at: &Range<usize>,
        name: &str,
        device: Option<&Spanned<String>>,
        prefix: &str,
        example: &str,
    ) -> Result<([u8; N], Range<usize>), BoardError> {
        let allowed = format!("such as {example:?}");
        let device = self
            .source
            .needed(at, "display.bus_device", name, device, &allowed)?;
        let numbers = device.as_ref().strip_prefix(prefix).and_then(|numbers| {
            let numbers: Option<Vec<u8>> = numbers
                .split('.')
                .map(|number| number.parse().ok())
                .collect();
            numbers?.try_into().ok()
        });
        let wrong = || {
            let what = format!("display.bus_device is {:?}", device.as_ref());
            self.source.invalid(&device.span(), what, allowed)
        };
        Ok((numbers.ok_or_else(wrong)?, device.span()))
    }

    fn i2c(
        &self,
        uses: &Uses,
        at: &Range<usize>,
        name: &str,
        raw: &raw::Display,
    ) -> Result<I2c, BoardError> {
        let allowed = "the address, usually 0x3c";
        let address = self.source.needed(
            at,
            "display.i2c_address",
            name,
            raw.i2c_address.as_ref(),
            allowed,
        )?;
        let device = raw.bus_device.as_ref();
        let ([bus], device) = self.bus(at, name, device, "/dev/i2c-", "/dev/i2c-1")?;
        uses.need_function(
            self.source,
            &device,
            &format!("/dev/i2c-{bus}"),
            &format!("i2c{bus}"),
        )?;
        Ok(I2c {
            bus,
            address: self
                .source
                .number("display.i2c_address", address, 0x08..=0x77)? as u8,
        })
    }

    fn spi(
        &self,
        uses: &mut Uses,
        at: &Range<usize>,
        name: &str,
        raw: &raw::Display,
    ) -> Result<Spi, BoardError> {
        let clock = raw.clock_hz.as_ref();
        let clock =
            self.source
                .needed(at, "display.clock_hz", name, clock, "100000 to 80000000")?;
        let data = raw.data_command_line.as_ref();
        let data =
            self.source
                .needed(at, "display.data_command_line", name, data, "a GPIO line")?;
        let device = raw.bus_device.as_ref();
        let ([bus, select], device) =
            self.bus(at, name, device, "/dev/spidev", "/dev/spidev0.0")?;
        let bus_name = format!("/dev/spidev{bus}.{select}");
        uses.need_function(self.source, &device, &bus_name, &format!("spi{bus}"))?;
        let mut take = |line: Option<&Spanned<u32>>, by: &str| {
            line.map(|line| uses.take(self.source, line, format!("the display's {by}")))
                .transpose()
        };
        let reset_line = take(raw.reset_line.as_ref(), "reset")?;
        let backlight_line = take(raw.backlight_line.as_ref(), "backlight")?;
        Ok(Spi {
            bus,
            select,
            clock_hz: self
                .source
                .number("display.clock_hz", clock, 100_000..=80_000_000)?,
            data_command_line: uses.take(self.source, data, "the display's data/command".into())?,
            reset_line,
            backlight_line,
            offset_px: [0; 2],
        })
    }

    /// Where the glass begins in an ST7789's memory; what is wider than high lies in it on its side.
    fn offset(&self, raw: &raw::Display, width: u32, height: u32) -> Result<[u32; 2], BoardError> {
        let Some([column, row]) = &raw.offset_px else {
            return Ok([0; 2]);
        };
        let [columns, rows] = [width.min(height), width.max(height)];
        let most = |memory: u32, shown: u32| 0..=memory.saturating_sub(shown);
        Ok([
            self.source
                .number("display.offset_px", column, most(240, columns))?,
            self.source
                .number("display.offset_px", row, most(320, rows))?,
        ])
    }
}
