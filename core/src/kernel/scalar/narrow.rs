//! Dot products of numbers narrower than f32: the specification.

use super::super::LANES;
use super::fold;
use crate::math::fma;
pub(in super::super) use crate::math::half::widen;

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
