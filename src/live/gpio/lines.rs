//! What is needed of a GPIO chip.

use std::time::Duration;

use super::GpioError;

/// A button was pressed or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Of the button.
    pub gpio: u32,
    /// Whether it is pressed now.
    pub pressed: bool,
    /// Counts the edges of all buttons, 1 for the first since the lines were opened: where one is missing, edges were lost. After
    /// 2^32 - 1 comes 0.
    pub number: u32,
}

/// The lines of a chip: buttons to be read, and lights, which are off at first.
pub trait Lines: Send {
    /// The next edge; waits for one at most so long. With an error, edges may have been lost.
    ///
    /// # Errors
    /// [`GpioError`].
    fn next(&mut self, timeout: Duration) -> Result<Option<Edge>, GpioError>;

    /// Switches a light.
    ///
    /// # Errors
    /// [`GpioError`].
    fn set(&mut self, gpio: u32, on: bool) -> Result<(), GpioError>;

    /// Whether a button is pressed now, whatever edges are still to come.
    ///
    /// # Errors
    /// [`GpioError`].
    fn pressed(&mut self, gpio: u32) -> Result<bool, GpioError>;

    /// Whether edges come without those of bouncing contacts. Else that is done here; where it is done below, edges that come all
    /// at once after a delay must not be taken for bouncing.
    fn is_debounced(&self) -> bool {
        false
    }
}
