//! Two slots of flash. The boards that QEMU plays have none that can be written, so they lie in memory that a reset
//! leaves alone; on a real board this file is the driver of its flash.

use core::fmt;
use topgraft_core::slots::Flash;

/// Bytes of a slot.
pub const SLOT: usize = 1536;

/// The start-up code does not touch this section.
#[unsafe(link_section = ".uninit")]
static mut SLOTS: [Slot; 2] = [const { Slot([0; SLOT]) }; 2];

/// A head file in a slot is then at a multiple of 16, and read in place.
#[repr(align(16))]
struct Slot([u8; SLOT]);

/// The power failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLost;

impl fmt::Display for PowerLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power lost")
    }
}

/// The two slots; and after how many more bytes the power fails, for a demonstration.
pub struct Board {
    slots: &'static mut [Slot; 2],
    /// Bytes until then.
    pub power: usize,
}

impl Board {
    /// The flash of the board, which is there once.
    pub fn take() -> Option<Self> {
        let taken = cortex_m::singleton!(: () = ());
        // SAFETY: the singleton is handed out once, so this is the only reference. Any bytes are a slot.
        taken.map(|()| Self { slots: unsafe { &mut *(&raw mut SLOTS) }, power: usize::MAX })
    }

    fn write(&mut self, slot: usize, at: usize, bytes: impl Iterator<Item = u8>) -> Result<(), PowerLost> {
        for (to, byte) in self.slots[slot].0[at..].iter_mut().zip(bytes) {
            if self.power == 0 {
                return Err(PowerLost);
            }
            self.power -= 1;
            *to = byte;
        }
        Ok(())
    }
}

impl Flash for Board {
    type Error = PowerLost;

    fn slot(&self, slot: usize) -> &[u8] {
        &self.slots[slot].0
    }

    fn erase(&mut self, slot: usize) -> Result<(), PowerLost> {
        self.write(slot, 0, core::iter::repeat_n(0xff, SLOT))
    }

    fn program(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> Result<(), PowerLost> {
        self.write(slot, offset, bytes.iter().copied())
    }
}
