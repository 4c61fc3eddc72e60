//! AVX-512F: a half is one register.

use super::lanes::{self, HALF, Half};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
struct Zmm(__m512);

// Callers are the functions below, which enable the instruction set.
impl Half for Zmm {
    #[inline(always)]
    unsafe fn load(half: &[f32; HALF]) -> Self {
        // SAFETY: the CPU has AVX-512F (contract of the trait); 16 floats are there.
        unsafe { Self(_mm512_loadu_ps(half.as_ptr())) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX-512F (contract of the trait).
        unsafe { Self(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the CPU has AVX-512F (contract of the trait).
        unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, half: &mut [f32; HALF]) {
        // SAFETY: the CPU has AVX-512F (contract of the trait); 16 floats are there.
        unsafe { _mm512_storeu_ps(half.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    unsafe fn sum(low: Self, high: Self) -> f32 {
        // SAFETY: the CPU has AVX-512F (contract of the trait), which includes AVX and SSE.
        unsafe {
            let x16 = _mm512_add_ps(low.0, high.0);
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x16)));
            let x8 = _mm256_add_ps(_mm512_castps512_ps256(x16), high);
            super::avx2::sum8(x8)
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
    unsafe { lanes::gemm_nt::<Zmm, 4, 6>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Zmm, 12, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Zmm, 4, 6>(shape, a, c) }
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
    unsafe { lanes::solve_upper::<Zmm, 4, 6>(shape, u, b) }
}
