//! AVX-512F: a block is two registers.

use super::lanes::{self, Register};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
struct Zmm(__m512);

// Callers are the functions below, which enable the instruction set.
impl Register for Zmm {
    const WIDTH: usize = 16;
    // 512 KB, half of what a Zen 4 core has.
    const PANEL: usize = 128 * 1024;
    type Block = [Self; 2];

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_loadu_ps(at)) }
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, count: usize) -> Self {
        let mask = ((1u32 << count.min(16)) - 1) as __mmask16;
        // SAFETY: the contract of the trait; lanes outside the mask are not read.
        unsafe { Self(_mm512_maskz_loadu_ps(mask, at)) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { _mm512_storeu_ps(at, self.0) }
    }

    #[inline(always)]
    unsafe fn zeros() -> Self::Block {
        // SAFETY: the contract of the trait.
        unsafe { [Self::splat(0.0); 2] }
    }

    #[inline(always)]
    unsafe fn sum(block: Self::Block) -> f32 {
        // SAFETY: the contract of the trait.
        unsafe {
            let x16 = _mm512_add_ps(block[0].0, block[1].0);
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x16)));
            super::avx2::sum8(_mm256_add_ps(_mm512_castps512_ps256(x16), high))
        }
    }
}

#[target_feature(enable = "avx512f")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::dot::<Zmm>(a, b) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::axpy::<Zmm>(alpha, x, y) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Zmm, 3, 4, 2, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Zmm, 12, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Zmm, 3, 4, 2, 2>(shape, a, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Zmm, 12, 2>(n, a) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Zmm, 12, 2>(shape, u, b) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Zmm, 3, 4, 2, 2>(shape, u, b) }
}
