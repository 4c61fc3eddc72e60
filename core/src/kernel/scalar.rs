//! The specification: what each kernel computes, in which order, with one rounding where it says [`fma`].
//!
//! Plain loops, no vectors. The files beside this one must give the same bits.

mod factor;
mod maps;
mod narrow;
mod softmax;

pub(super) use factor::{cholesky, solve_upper, solve_upper_transposed};
pub(super) use maps::{add, bend, convolve, depthwise, multiply, pool, scale_rows};
#[cfg(any(all(test, feature = "std"), all(target_arch = "arm", target_abi = "eabihf", target_os = "linux")))]
pub(super) use narrow::widen;
pub(super) use narrow::{dot_f16, dot_i8, gemv_f16, gemv_i8};
pub(super) use softmax::{cross_entropy_rows, exp, ln, softmax_rows};

use super::LANES;
use crate::math::fma;

/// Lane `l` is the chain of fused multiply-adds over the elements `l, l + 32, l + 64 ...` in order, from +0; the last
/// block is filled up with +0. The lanes are folded in halves: `l + (l + 16)`, then 8, 4, 2, 1.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let mut multiply_add = |a: &[f32; LANES], b: &[f32; LANES]| {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane = fma(*a, *b, *lane);
        }
    };
    let (a_blocks, a_tail) = a.as_chunks();
    let (b_blocks, b_tail) = b.as_chunks();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        multiply_add(a, b);
    }
    if !a_tail.is_empty() {
        multiply_add(&padded(a_tail), &padded(b_tail));
    }
    fold(lanes)
}

/// `l + (l + 16)`, then 8, 4, 2, 1.
pub(super) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Fewer than `LANES` values, filled up with +0.
pub(super) fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut block = [0.0; LANES];
    block[..tail.len()].copy_from_slice(tail);
    block
}

/// Elements are independent.
pub(super) fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = fma(alpha, *x, *y);
    }
}

/// Each element is one [`dot`].
pub(super) fn gemm_nt([_, n, k]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    for (i, row) in c.chunks_exact_mut(n.max(1)).enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            *c = dot(&a[i * k..][..k], &b[j * k..][..k]);
        }
    }
}

/// Each element is one [`dot`] of two rows; the order of the two makes no difference.
pub(super) fn syrk_nt([n, k]: [usize; 2], a: &[f32], c: &mut [f32]) {
    gemm_nt([n, n, k], a, a, c);
}

/// Each element is one chain, from `c` on, over the rows in order.
pub(super) fn gemm_tn([m, n, k]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    for row in 0..k {
        for i in 0..m {
            axpy(a[row * m + i], &b[row * n..][..n], &mut c[i * n..][..n]);
        }
    }
}
