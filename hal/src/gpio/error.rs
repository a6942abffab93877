//! Why GPIO lines cannot be had, in words that say what to do.

use std::path::PathBuf;

use thiserror::Error;

/// The lines of a board cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GpioError {
    /// No chip has this label, name or path.
    #[error(
        "there is no GPIO chip \"{chip}\"; this machine has {found}; correct chip in the board \
         file's section [gpio], or load the chip's driver"
    )]
    ChipMissing {
        /// As the board file names it.
        chip: String,
        /// The chips there are, in words.
        found: String,
    },
    /// The device exists and may not be opened.
    #[error(
        "{} may not be opened; add the phone's user to the group \"gpio\" (usermod -aG gpio USER), \
         and let a udev rule give the device to that group", path.display()
    )]
    Denied {
        /// The device.
        path: PathBuf,
    },
    /// rppal was asked for, and the kernel offers no way to the registers.
    #[error(
        "this kernel has no /dev/gpiomem, and keeps /dev/mem closed; set backend = \"gpiocdev\" in \
         the board file's section [gpio] (or leave it out), or boot with iomem=relaxed and run the \
         phone as root"
    )]
    NoGpiomem,
    /// rppal was asked for on something else.
    #[error(
        "this machine is no Raspberry Pi that rppal knows; set backend = \"gpiocdev\" in the board \
         file's section [gpio], or leave it out"
    )]
    NoRaspberry,
    /// Something else has the line.
    #[error(
        "GPIO line {line} is in use by \"{by}\"; stop that program, or remove the device-tree \
         overlay that gives the line to a driver (gpioinfo shows who holds what)"
    )]
    Busy {
        /// The line.
        line: u32,
        /// Who has it, as `gpioinfo` shows it.
        by: String,
    },
    /// The chip has no such line.
    #[error("GPIO chip {} has lines 0 to {last}, and no line {line}; correct it in the board file", chip.display())]
    NoLine {
        /// The chip's device.
        chip: PathBuf,
        /// The line.
        line: u32,
        /// The last line it has.
        last: u32,
    },
    /// The kernel or the driver refused for another reason.
    #[error("GPIO line {line}: {reason}")]
    Failed {
        /// The line.
        line: u32,
        /// The system's own words.
        reason: String,
    },
    /// The chip itself does not answer.
    #[error("GPIO chip \"{chip}\": {reason}")]
    Chip {
        /// As the board file names it.
        chip: String,
        /// The system's own words.
        reason: String,
    },
}

impl GpioError {
    pub(super) fn failed(line: u32, reason: &dyn std::fmt::Display) -> Self {
        Self::Failed {
            line,
            reason: reason.to_string(),
        }
    }
}
