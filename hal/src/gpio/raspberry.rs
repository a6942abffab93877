//! A Raspberry Pi's lines through its registers, by rppal.
//!
//! rppal does not ask the kernel who owns a line, and its interrupts fail in a thread of their own without
//! telling anybody: what can be asked of the kernel is asked here, before.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rppal::gpio::{Gpio, Mode, Pin, Trigger};
use rppal::system::DeviceInfo;

use super::{
    Edges, GpioError, GpioSpec, HookLine, InputLine, Lines, LinesSpec, OutputLine, Pull, cdev,
};

/// Beginnings of the labels of the chips whose registers rppal knows.
const CHIPS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];

pub(super) fn has_chip(label: &str) -> bool {
    CHIPS.contains(&label) && DeviceInfo::new().is_ok()
}

pub(super) fn registers() -> Result<Gpio, GpioError> {
    if DeviceInfo::new().is_err() {
        return Err(GpioError::NoRaspberry);
    }
    Gpio::new().map_err(|error| explain(&error, Path::new("/dev/gpiomem").exists()))
}

/// rppal says that `/dev/mem` is closed also where the real trouble is that there is no `/dev/gpiomem`.
fn explain(error: &rppal::gpio::Error, gpiomem_exists: bool) -> GpioError {
    match error {
        rppal::gpio::Error::UnknownModel => GpioError::NoRaspberry,
        rppal::gpio::Error::PermissionDenied(path) if path == "/dev/mem" && !gpiomem_exists => {
            GpioError::NoGpiomem
        }
        rppal::gpio::Error::PermissionDenied(path) => GpioError::Denied { path: path.into() },
        other => GpioError::Chip {
            chip: "rppal".into(),
            reason: other.to_string(),
        },
    }
}

pub(super) fn open(gpio: &Gpio, spec: &GpioSpec, lines: &LinesSpec) -> Result<Lines, GpioError> {
    // The kernel's opinion; without its device, rppal alone must do.
    let chip = cdev::find_chip(&spec.chip).ok();
    let pin = |line: u32| -> Result<Pin, GpioError> {
        if let Some(by) = chip.as_ref().and_then(|chip| cdev::user(chip, line)) {
            return Err(GpioError::Busy { line, by });
        }
        let number = u8::try_from(line).unwrap_or(u8::MAX);
        gpio.get(number).map_err(|error| match error {
            rppal::gpio::Error::PinUsed(_) => GpioError::Busy {
                line,
                by: super::CONSUMER.into(),
            },
            other => GpioError::failed(line, &other),
        })
    };
    let mut tell = spec.edges.then(Telling::new).transpose()?;
    let mut rows = Vec::with_capacity(lines.rows.len());
    for line in &lines.rows {
        let mut row = pin(*line)?.into_input_pullup();
        if let Some(tell) = &mut tell {
            tell.edges_of(&mut row, *line, Trigger::FallingEdge, None)?;
        }
        rows.push(InputLine::Raspberry(row));
    }
    let columns = lines.columns.iter().map(|line| {
        let column = pin(*line)?.into_io(Mode::Input);
        Ok(OutputLine::RaspberryOpenDrain(column))
    });
    let columns = columns.collect::<Result<_, GpioError>>()?;
    let outputs = lines.outputs.iter().map(|(line, high)| {
        let pin = pin(*line)?;
        Ok(OutputLine::Raspberry(if *high {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        }))
    });
    let outputs = outputs.collect::<Result<_, GpioError>>()?;
    let mut hook = None;
    if let Some(spec) = lines.hook {
        let pin = pin(spec.line)?;
        let mut input = match spec.pull {
            Pull::Up => pin.into_input_pullup(),
            Pull::Down => pin.into_input_pulldown(),
            Pull::None => pin.into_input(),
        };
        if let Some(tell) = &mut tell {
            // The registers show the line as it is: the kernel could debounce only the edges.
            tell.edges_of(&mut input, spec.line, Trigger::Both, None)?;
        }
        hook = Some(HookLine {
            pin: InputLine::Raspberry(input),
            debounced: false,
        });
    }
    Ok(Lines {
        rows,
        columns,
        hook,
        outputs,
        edges: tell.map(|tell| Edges::of_pipe(tell.read)),
    })
}

/// Turns rppal's callbacks into bytes in a socket.
struct Telling {
    read: UnixStream,
    write: UnixStream,
}

impl Telling {
    fn new() -> Result<Self, GpioError> {
        let pair = || {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            write.set_nonblocking(true)?;
            Ok(Self { read, write })
        };
        pair().map_err(|error: std::io::Error| GpioError::Chip {
            chip: "rppal".into(),
            reason: error.to_string(),
        })
    }

    fn edges_of(
        &mut self,
        pin: &mut rppal::gpio::InputPin,
        line: u32,
        trigger: Trigger,
        debounce: Option<Duration>,
    ) -> Result<(), GpioError> {
        let failed = |error: rppal::gpio::Error| GpioError::failed(line, &error);
        // An asynchronous interrupt would hide that the kernel refuses the line.
        pin.set_interrupt(trigger, debounce).map_err(failed)?;
        pin.clear_interrupt().map_err(failed)?;
        let mut write = self
            .write
            .try_clone()
            .map_err(|error| failed(error.into()))?;
        pin.set_async_interrupt(trigger, debounce, move |_| {
            // A full socket tells as much as one more byte.
            let _ = write.write(&[1]);
        })
        .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_dev_mem_is_told_as_what_it_is() {
        let denied = |path: &str| rppal::gpio::Error::PermissionDenied(path.into());
        for (error, gpiomem_exists, expected) in [
            (denied("/dev/mem"), false, GpioError::NoGpiomem),
            (
                denied("/dev/mem"),
                true,
                GpioError::Denied {
                    path: "/dev/mem".into(),
                },
            ),
            (
                denied("/dev/gpiomem"),
                true,
                GpioError::Denied {
                    path: "/dev/gpiomem".into(),
                },
            ),
            (
                rppal::gpio::Error::UnknownModel,
                false,
                GpioError::NoRaspberry,
            ),
        ] {
            assert_eq!(explain(&error, gpiomem_exists), expected);
        }
        let hint = GpioError::NoGpiomem.to_string();
        assert!(hint.contains("iomem=relaxed"), "{hint}");
    }

    #[test]
    fn a_pc_is_no_raspberry() {
        if std::fs::read("/proc/device-tree/model").is_err() {
            assert_eq!(registers().err(), Some(GpioError::NoRaspberry));
        }
        assert!(!has_chip("phone-keymatrix"));
    }
}
