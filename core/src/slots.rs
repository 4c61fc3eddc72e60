//! Two slots of flash: what was stored last survives a reset, and power that is lost while something new is stored.
//!
//! A record is a header of 16 bytes and the payload, each slot holds one. [`Slots::store`] erases the slot that is not the
//! latest, writes the payload, and the header last. Whatever byte the power fails at, [`Slots::latest`] gives the old record or
//! the new one, whole: a header that is half written has a wrong checksum.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | sequence number, little-endian; the next is one more, and wraps |
//! | 4 | 4 | length of the payload, bytes, little-endian |
//! | 8 | 4 | the same with every bit turned over: erased flash and a slot of zeros are no record |
//! | 12 | 4 | CRC-32 (as in PNG) of the twelve bytes above and the payload, little-endian |
//! | 16 | | payload; a head file that is stored here lies at a multiple of 16 and is used in place |

use crate::crc::crc32;

/// Bytes before the payload.
pub const HEADER_LEN: usize = 16;
/// Every write starts at a multiple of so many bytes and is a multiple of them long: no common flash writes larger words.
pub const WORD: usize = 16;

/// Two slots of flash that is read like memory. Each begins at a multiple of 16 bytes and can be erased alone.
pub trait Flash {
    /// What can go wrong in the hardware.
    type Error;

    /// Bytes of a slot, as they are now. The same length each time, and for both.
    fn slot(&self, slot: usize) -> &[u8];

    /// Erases a slot: all its bytes become 0xFF.
    ///
    /// # Errors
    /// What the hardware reports.
    fn erase(&mut self, slot: usize) -> Result<(), Self::Error>;

    /// Writes bytes that were erased. `offset` and the length are multiples of [`WORD`].
    ///
    /// # Errors
    /// What the hardware reports.
    fn program(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why nothing was stored. The record of before is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError<E> {
    /// Longer than a slot.
    TooLarge {
        /// Bytes of the payload.
        got: usize,
        /// The most that fits.
        capacity: usize,
    },
    /// The hardware said no.
    Flash(E),
    /// The bytes that were read back are not those that were written: worn flash.
    Worn {
        /// The slot.
        slot: usize,
    },
}

impl<E: core::fmt::Display> core::fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge { got, capacity } => write!(f, "{got} bytes do not fit a slot: {capacity} do"),
            Self::Flash(error) => write!(f, "the flash reports: {error}"),
            Self::Worn { slot } => write!(f, "slot {slot} does not keep what is written to it: its flash is worn"),
        }
    }
}

impl<E: core::fmt::Debug + core::fmt::Display> core::error::Error for StoreError<E> {}

/// The latest record in two slots of flash.
///
/// ```
/// use topgraft_core::slots::{Flash, Slots};
///
/// struct Ram([[u8; 64]; 2]);
/// impl Flash for Ram {
///     type Error = core::convert::Infallible;
///     fn slot(&self, slot: usize) -> &[u8] {
///         &self.0[slot]
///     }
///     fn erase(&mut self, slot: usize) -> Result<(), Self::Error> {
///         self.0[slot].fill(0xff);
///         Ok(())
///     }
///     fn program(&mut self, slot: usize, offset: usize, bytes: &[u8]) -> Result<(), Self::Error> {
///         self.0[slot][offset..][..bytes.len()].copy_from_slice(bytes);
///         Ok(())
///     }
/// }
///
/// let mut slots = Slots::new(Ram([[0; 64]; 2]));
/// assert_eq!(slots.latest(), None);
/// slots.store(b"a head").unwrap();
/// slots.store(b"a better head").unwrap();
/// assert_eq!(slots.latest(), Some(b"a better head".as_slice()));
/// ```
#[derive(Debug)]
pub struct Slots<F> {
    flash: F,
}

impl<F: Flash> Slots<F> {
    /// Whatever is in the slots: records, nothing, or the rest of a write that was cut off.
    pub fn new(flash: F) -> Self {
        Self { flash }
    }

    /// Payload of the record that was stored last; `None` if there is none.
    pub fn latest(&self) -> Option<&[u8]> {
        self.newest().map(|(_, record)| record.payload)
    }

    /// The most bytes that a payload can have.
    pub fn capacity(&self) -> usize {
        (self.flash.slot(0).len().saturating_sub(HEADER_LEN)) / WORD * WORD
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// Stores a payload in the place of the one before the latest. Once this has returned `Ok`, it is the latest.
    ///
    /// # Errors
    /// [`StoreError`]; the latest record is then still what it was.
    pub fn store(&mut self, payload: &[u8]) -> Result<(), StoreError<F::Error>> {
        let (got, capacity) = (payload.len(), self.capacity());
        if got > capacity {
            return Err(StoreError::TooLarge { got, capacity });
        }
        let (slot, sequence) = match self.newest() {
            Some((slot, record)) => (1 - slot, record.sequence.wrapping_add(1)),
            None => (0, 0),
        };
        let header = header(sequence, payload);
        let flash = &mut self.flash;
        flash.erase(slot).map_err(StoreError::Flash)?;
        let (whole, tail) = payload.split_at(got - got % WORD);
        if !whole.is_empty() {
            flash.program(slot, HEADER_LEN, whole).map_err(StoreError::Flash)?;
        }
        if !tail.is_empty() {
            let mut word = [0xff; WORD];
            word[..tail.len()].copy_from_slice(tail);
            flash.program(slot, HEADER_LEN + whole.len(), &word).map_err(StoreError::Flash)?;
        }
        flash.program(slot, 0, &header).map_err(StoreError::Flash)?;
        match Record::read(flash.slot(slot)) {
            Some(record) if record.sequence == sequence && record.payload == payload => Ok(()),
            _ => Err(StoreError::Worn { slot }),
        }
    }

    /// Slot and record of the greater sequence number.
    fn newest(&self) -> Option<(usize, Record<'_>)> {
        match [0, 1].map(|slot| Record::read(self.flash.slot(slot))) {
            // Half the numbers are ahead of any of them, half behind.
            [Some(a), Some(b)] if (b.sequence.wrapping_sub(a.sequence) as i32) < 0 => Some((0, a)),
            [_, Some(b)] => Some((1, b)),
            [Some(a), None] => Some((0, a)),
            [None, None] => None,
        }
    }
}

struct Record<'a> {
    sequence: u32,
    payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record in a slot, if a whole one is there.
    fn read(slot: &'a [u8]) -> Option<Self> {
        let (header, rest) = slot.split_first_chunk::<HEADER_LEN>()?;
        let [sequence, len, inverse, crc] =
            [0, 4, 8, 12].map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        let payload = rest.get(..usize::try_from(len).ok()?)?;
        let is_whole = inverse == !len && crc == checksum(&header[..12], payload);
        is_whole.then_some(Self { sequence, payload })
    }
}

fn header(sequence: u32, payload: &[u8]) -> [u8; HEADER_LEN] {
    // A slot is smaller than 4 GiB wherever `usize` has 32 bits; elsewhere `len` and its inverse would disagree in reading.
    let len = payload.len() as u32;
    let mut header = [0; HEADER_LEN];
    for (field, value) in header.chunks_exact_mut(4).zip([sequence, len, !len]) {
        field.copy_from_slice(&value.to_le_bytes());
    }
    let crc = checksum(&header[..12], payload);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    crc32(&[header, payload])
}

#[cfg(all(test, feature = "std"))]
mod tests;
