//! Advanced SIMD of aarch64: a half is four registers.

use super::lanes::{self, HALF, Half};
use core::arch::aarch64::*;

#[derive(Clone, Copy)]
struct Q([float32x4_t; 4]);

// Callers are the functions below, which enable the instruction set.
impl Half for Q {
    #[inline(always)]
    unsafe fn load(half: &[f32; HALF]) -> Self {
        let at = half.as_ptr();
        // SAFETY: the CPU has NEON (contract of the trait); 4 floats are there at 0, 4, 8 and 12.
        unsafe { Self([vld1q_f32(at), vld1q_f32(at.add(4)), vld1q_f32(at.add(8)), vld1q_f32(at.add(12))]) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has NEON (contract of the trait).
        unsafe { Self([vdupq_n_f32(value); 4]) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let Self(mut q) = self;
        for (i, q) in q.iter_mut().enumerate() {
            // SAFETY: the CPU has NEON (contract of the trait).
            *q = unsafe { vfmaq_f32(*q, a.0[i], b.0[i]) };
        }
        Self(q)
    }

    #[inline(always)]
    unsafe fn store(self, half: &mut [f32; HALF]) {
        for (register, at) in self.0.into_iter().zip(half.as_chunks_mut::<4>().0) {
            // SAFETY: the CPU has NEON (contract of the trait); `at` is 4 floats.
            unsafe { vst1q_f32(at.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    unsafe fn sum(Self(low): Self, Self(high): Self) -> f32 {
        // SAFETY: the CPU has NEON (contract of the trait).
        unsafe {
            let [a, b] = [vaddq_f32(low[0], high[0]), vaddq_f32(low[1], high[1])];
            let [c, d] = [vaddq_f32(low[2], high[2]), vaddq_f32(low[3], high[3])];
            let x4 = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let x2 = vadd_f32(vget_low_f32(x4), vget_high_f32(x4));
            vget_lane_f32::<0>(x2) + vget_lane_f32::<1>(x2)
        }
    }
}

#[target_feature(enable = "neon")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::dot::<Q>(a, b) }
}

#[target_feature(enable = "neon")]
pub(super) fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::axpy::<Q>(alpha, x, y) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Q, 2, 3>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Q, 6, 1>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Q, 2, 3>(shape, a, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Q, 6, 1>(n, a) }
}

#[target_feature(enable = "neon")]
pub(super) fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Q, 6, 1>(shape, u, b) }
}

#[target_feature(enable = "neon")]
pub(super) fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Q, 2, 3>(shape, u, b) }
}
