//! What is wrong with settings of buttons and lights.

use crate::live::OutOfRange;

/// What is wrong with settings of buttons and lights.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpioFault {
    /// A value that means nothing.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// There is no such GPIO.
    #[error(
        "[[{table}]] gpio = {gpio}: a Raspberry Pi has GPIO 0 to 53, on its header 0 to 27; they are not the numbers of its pins"
    )]
    NoGpio {
        /// Table of the settings' file.
        table: &'static str,
        /// The number.
        gpio: u32,
    },
    /// Two share a GPIO.
    #[error("gpio = {gpio} is both {first} and {second}; give each its own")]
    Twice {
        /// The number.
        gpio: u32,
        /// What it is,
        first: String,
        /// and what else.
        second: String,
    },
    /// A button or a light without a purpose, or with two.
    #[error("[[{table}]] gpio = {gpio}: give it {wanted}")]
    Purpose {
        /// Table of the settings' file.
        table: &'static str,
        /// The GPIO.
        gpio: u32,
        /// What it may have.
        wanted: &'static str,
    },
    /// No class can be called that.
    #[error("[[{table}]] gpio = {gpio}: {what}")]
    Name {
        /// Table of the settings' file.
        table: &'static str,
        /// The GPIO.
        gpio: u32,
        /// What is wrong with the name.
        what: String,
    },
}
