//! Advanced SIMD of aarch64: a block is eight registers.

use super::LANES;
use super::lanes::{self, Lanes};
use core::arch::aarch64::*;

#[derive(Clone, Copy)]
struct Q([float32x4_t; 8]);

// Callers are the functions below, which enable the instruction set.
impl Lanes for Q {
    #[inline(always)]
    unsafe fn load(block: &[f32; LANES]) -> Self {
        // A loop, since a closure would not be compiled with the instruction set.
        // SAFETY: the CPU has NEON (contract of the trait); 4 floats are there at each multiple of 4 below 32.
        unsafe {
            let mut q = [vdupq_n_f32(0.0); 8];
            for (i, q) in q.iter_mut().enumerate() {
                *q = vld1q_f32(block.as_ptr().add(4 * i));
            }
            Self(q)
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has NEON (contract of the trait).
        unsafe { Self([vdupq_n_f32(value); 8]) }
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
    unsafe fn store(self, block: &mut [f32; LANES]) {
        for (register, at) in self.0.into_iter().zip(block.as_chunks_mut::<4>().0) {
            // SAFETY: the CPU has NEON (contract of the trait); `at` is 4 floats.
            unsafe { vst1q_f32(at.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let Self(q) = self;
        // SAFETY: the CPU has NEON (contract of the trait).
        unsafe {
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
    unsafe { lanes::gemm_nt::<Q, 1, 2>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Q, 2>(shape, a, b, c) }
}
