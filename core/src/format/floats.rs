//! Little-endian f32 and 16-bit values in the bytes of a file.

/// A row of little-endian f32 values inside a file, which need not be aligned in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floats<'a>(&'a [[u8; 4]]);

impl<'a> Floats<'a> {
    /// The values in `bytes`, or `None` if they are not whole.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.as_chunks() {
            (values, []) => Some(Self(values)),
            _ => None,
        }
    }

    /// Number of values.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value at `index`.
    pub fn get(self, index: usize) -> Option<f32> {
        self.0.get(index).map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// The values in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        self.0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// The values in place, without a copy: `None` where the file does not lie at a multiple of 4 in memory, or on a
    /// big-endian CPU.
    pub fn as_slice(self) -> Option<&'a [f32]> {
        if cfg!(target_endian = "big") || !self.0.as_ptr().cast::<f32>().is_aligned() {
            return None;
        }
        // SAFETY: aligned as just checked, of the same length in bytes and lifetime, and any bits are an f32.
        Some(unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast::<f32>(), self.0.len()) })
    }
}

/// A row of little-endian values of 16 bits inside a file, which need not be aligned in memory: labels, or numbers in half
/// precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Halves<'a>(&'a [[u8; 2]]);

impl<'a> Halves<'a> {
    /// The values in `bytes`, or `None` if they are not whole.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.as_chunks() {
            (values, []) => Some(Self(values)),
            _ => None,
        }
    }

    /// Number of values.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u16> + use<'a> {
        self.0.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// The values in place, without a copy: `None` where the file does not lie at a multiple of 2 in memory, or on a
    /// big-endian CPU.
    pub fn as_slice(self) -> Option<&'a [u16]> {
        if cfg!(target_endian = "big") || !self.0.as_ptr().cast::<u16>().is_aligned() {
            return None;
        }
        // SAFETY: aligned as just checked, of the same length in bytes and lifetime, and any bits are a u16.
        Some(unsafe { core::slice::from_raw_parts(self.0.as_ptr().cast::<u16>(), self.0.len()) })
    }
}
