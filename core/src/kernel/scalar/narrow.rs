//! Dot products of numbers narrower than f32: the specification.

use super::super::LANES;
use super::fold;
use crate::math::fma;

/// The value of IEEE 754 binary16 bits, exactly.
pub(in super::super) fn widen(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        // A subnormal is a multiple of 2^-24.
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        31 => 0xff << 23 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Each element is widened, then as `dot`.
pub(in super::super) fn dot_f16(a: &[u16], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let len = a.len().next_multiple_of(LANES);
    let pairs = a.iter().zip(b).map(|(a, b)| (widen(*a), *b)).chain(core::iter::repeat((0.0, 0.0)));
    for (i, (a, b)) in pairs.take(len).enumerate() {
        lanes[i % LANES] = fma(a, b, lanes[i % LANES]);
    }
    fold(lanes)
}

/// Each element is one [`dot_f16`].
pub(in super::super) fn gemv_f16([_, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_f16(&a[i * k..][..k], x);
    }
}

/// Exact.
pub(in super::super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Each element is one [`dot_i8`].
pub(in super::super) fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_i8(&a[i * k..][..k], x);
    }
}
