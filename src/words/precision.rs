//! The numbers of a table as bytes.

use topgraft_core::math::half;

/// How the numbers of a table are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Precision {
    /// As they came.
    Float32 = 0,
    /// Half precision: half of the bytes, 11 binary digits.
    #[default]
    Float16 = 1,
    /// Whole steps of each vector's largest number / 127: a quarter of the bytes.
    Int8 = 2,
}

impl Precision {
    /// Bytes of a vector of `dims` numbers.
    pub fn row_len(self, dims: usize) -> usize {
        match self {
            Self::Float32 => 4 * dims,
            Self::Float16 => 2 * dims,
            Self::Int8 => 4 + dims,
        }
    }

    /// `float32`, `float16`, `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }

    /// The bytes of a vector; false if a number is too large.
    pub(super) fn encode(self, row: &[f32], bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        match self {
            Self::Float32 => bytes.extend(row.iter().flat_map(|x| x.to_le_bytes())),
            Self::Float16 => bytes.extend(row.iter().flat_map(|x| half::narrow(*x).to_le_bytes())),
            Self::Int8 => {
                let step = row.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
                let steps = |x: &f32| if step > 0.0 { (x / step).round() as i8 as u8 } else { 0 };
                bytes.extend(step.to_le_bytes());
                bytes.extend(row.iter().map(steps));
            }
        }
        self != Self::Float16 || row.iter().all(|x| half::is_finite(half::narrow(*x)))
    }

    /// The vector of these bytes.
    pub(super) fn decode(self, bytes: &[u8], row: &mut [f32]) {
        match self {
            Self::Float32 => {
                for (x, bytes) in row.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *x = f32::from_le_bytes(*bytes);
                }
            }
            Self::Float16 => {
                for (x, bytes) in row.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *x = half::widen(u16::from_le_bytes(*bytes));
                }
            }
            Self::Int8 => {
                let Some((step, steps)) = bytes.split_first_chunk::<4>() else { return };
                let step = f32::from_le_bytes(*step);
                for (x, steps) in row.iter_mut().zip(steps) {
                    *x = f32::from(*steps as i8) * step;
                }
            }
        }
    }
}
