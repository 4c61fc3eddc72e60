//! Advanced SIMD of aarch64: a block is eight registers.

use super::lanes::{self, Register};
use core::arch::aarch64::*;

#[derive(Clone, Copy)]
struct Q(float32x4_t);

// Callers are the functions below, which enable the instruction set.
impl Register for Q {
    const WIDTH: usize = 4;
    // 160 KB, half of a Pi 4 core's share.
    const PANEL: usize = 40 * 1024;
    type Block = [Self; 8];

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vld1q_f32(at)) }
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the contract of the trait.
            *lane = unsafe { at.add(i).read() };
        }
        // SAFETY: the CPU has NEON (contract of the trait).
        unsafe { Self(vld1q_f32(lanes.as_ptr())) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vdupq_n_f32(value)) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vfmaq_f32(self.0, a.0, b.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { vst1q_f32(at, self.0) }
    }

    #[inline(always)]
    unsafe fn zeros() -> Self::Block {
        // SAFETY: the contract of the trait.
        unsafe { [Self::splat(0.0); 8] }
    }

    #[inline(always)]
    unsafe fn sum(block: Self::Block) -> f32 {
        // SAFETY: the contract of the trait.
        unsafe {
            let q = block.map(|Self(q)| q);
            let [a, b] = [vaddq_f32(q[0], q[4]), vaddq_f32(q[1], q[5])];
            let [c, d] = [vaddq_f32(q[2], q[6]), vaddq_f32(q[3], q[7])];
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
    unsafe { lanes::gemm_nt::<Q, 3, 4, 2, 8>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Q, 6, 4>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Q, 3, 4, 2, 8>(shape, a, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Q, 6, 4>(n, a) }
}

#[target_feature(enable = "neon")]
pub(super) fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Q, 6, 4>(shape, u, b) }
}

#[target_feature(enable = "neon")]
pub(super) fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Q, 3, 4, 2, 8>(shape, u, b) }
}
