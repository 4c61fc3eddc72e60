//! What can be wrong with the bytes of a head file.

use super::{Floats, VERSION};
use crate::preprocess::PreprocessError;

/// Why bytes are no head file that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The first bytes are not those of a head file.
    NotAGraft,
    /// Shorter than the shortest head file.
    TooShort {
        /// Bytes there are.
        len: usize,
    },
    /// Written by another version of the format.
    Version {
        /// Its version.
        found: u16,
    },
    /// Cut off, or something was added.
    Length {
        /// Length that the header states, bytes.
        stated: u32,
        /// Bytes there are.
        found: usize,
    },
    /// A byte was changed: the CRC-32 does not fit.
    Checksum {
        /// CRC-32 in the file.
        stated: u32,
        /// CRC-32 of the bytes.
        computed: u32,
    },
    /// A chunk that must come here is not there.
    Missing {
        /// Its tag.
        chunk: &'static str,
    },
    /// A chunk that this version must understand, but does not.
    Unknown {
        /// Its tag.
        chunk: [u8; 4],
    },
    /// A chunk of the wrong length, or one that reaches beyond the file.
    ChunkLength {
        /// Its tag.
        chunk: [u8; 4],
    },
    /// Text that is not UTF-8, empty, or has control characters.
    Text {
        /// Its meaning.
        what: &'static str,
    },
    /// A code or a number that means nothing.
    Value {
        /// Its meaning.
        what: &'static str,
    },
    /// Preprocessing that means nothing.
    Preprocess(PreprocessError),
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAGraft => write!(f, "not a head file (.graft)"),
            Self::TooShort { len } => write!(f, "cut off after {len} bytes"),
            Self::Version { found } => {
                write!(f, "head file of version {found}; this program reads version {VERSION}")
            }
            Self::Length { stated, found } => write!(f, "cut off or extended: {found} bytes instead of {stated}"),
            Self::Checksum { stated, computed } => {
                write!(f, "damaged: its checksum is {computed:08x}, not {stated:08x} as written in it")
            }
            Self::Missing { chunk } => write!(f, "chunk {chunk} is missing"),
            Self::Unknown { chunk } => write!(f, "chunk {} is unknown to this version", chunk.escape_ascii()),
            Self::ChunkLength { chunk } => write!(f, "chunk {} has a wrong length", chunk.escape_ascii()),
            Self::Text { what } => write!(f, "{what} is empty, not UTF-8 or has control characters"),
            Self::Value { what } => write!(f, "{what} is out of range"),
            Self::Preprocess(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ParseError {}

impl From<PreprocessError> for ParseError {
    fn from(error: PreprocessError) -> Self {
        Self::Preprocess(error)
    }
}

/// Refuses NaN and infinities.
pub(super) fn finite(what: &'static str, floats: Floats<'_>) -> Result<(), ParseError> {
    if floats.iter().all(f32::is_finite) { Ok(()) } else { Err(ParseError::Value { what }) }
}
