//! Why buttons and lights do not work.

use std::io;
use std::path::PathBuf;

use super::GpioFault;

/// Why buttons and lights do not work.
#[derive(Debug, thiserror::Error)]
pub enum GpioError {
    /// Something in the settings is wrong.
    #[error(transparent)]
    Settings(#[from] GpioFault),
    /// There is no chip at all.
    #[error(
        "there is no GPIO chip: no /dev/gpiochip* exists; is this a board with pins, and may this program see its /dev?"
    )]
    NoChips,
    /// There is no chip of that name.
    #[error("{}: no such GPIO chip; `ls /dev/gpiochip*` lists those there are, chip = \"auto\" finds the header's", path.display())]
    NoChip {
        /// What was given.
        path: PathBuf,
    },
    /// No chip is that of the header.
    #[error("which GPIO chip has the pins? none is a Raspberry Pi's, pinctrl-...; give one as chip in [gpio]: {found}")]
    NoHeader {
        /// Those there are, with their labels.
        found: String,
    },
    /// The path is that of something else.
    #[error("{}: it is no GPIO chip; `ls /dev/gpiochip*` lists those there are", path.display())]
    NotAChip {
        /// What was given.
        path: PathBuf,
    },
    /// The user may not.
    #[error(
        "{}: permission denied; add the user to the group gpio (sudo usermod -aG gpio USER, log in again; a unit: \
         SupplementaryGroups=gpio)",
        path.display()
    )]
    Permission {
        /// The chip.
        path: PathBuf,
    },
    /// The chip has fewer lines.
    #[error("GPIO {gpio}: {} has lines 0 to {last} only", path.display())]
    Beyond {
        /// What was asked for.
        gpio: u32,
        /// The chip.
        path: PathBuf,
        /// Its last line.
        last: u32,
    },
    /// Somebody else has the line.
    #[error(
        "GPIO {gpio} is in use by `{}`; end that program, switch off its overlay, or take another GPIO",
        consumer.escape_debug()
    )]
    Busy {
        /// The line.
        gpio: u32,
        /// Who, as it calls itself.
        consumer: String,
    },
    /// The kernel refuses the lines.
    #[error("{}: the kernel refuses the lines: {what}; it has to be Linux 5.10 or later", path.display())]
    Refused {
        /// The chip.
        path: PathBuf,
        /// What it said.
        what: String,
    },
    /// A line fails that did work.
    #[error("{}: cannot {doing}: {what}", path.display())]
    Failed {
        /// The chip.
        path: PathBuf,
        /// What was to be done.
        doing: String,
        /// What the system said.
        what: String,
    },
    /// There are no character devices of GPIO on this operating system.
    #[error("there are buttons and lights on Linux only; take [[button]] and [[light]] out of the settings")]
    NotLinux,
    /// The operating system gives no thread.
    #[error("cannot start a thread for the buttons: {0}; end other programs")]
    Thread(#[source] io::Error),
}
