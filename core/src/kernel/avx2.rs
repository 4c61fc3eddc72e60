//! AVX2 and FMA: a half is two registers.

use super::lanes::{self, HALF, Half};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);

// Callers are the functions below, which enable the instruction sets.
impl Half for Ymm {
    #[inline(always)]
    unsafe fn load(half: &[f32; HALF]) -> Self {
        // SAFETY: the CPU has AVX (contract of the trait); 8 floats are there at 0 and at 8.
        unsafe { Self([_mm256_loadu_ps(half.as_ptr()), _mm256_loadu_ps(half.as_ptr().add(8))]) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX (contract of the trait).
        unsafe { Self([_mm256_set1_ps(value); 2]) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the CPU has FMA (contract of the trait).
        unsafe { Self([_mm256_fmadd_ps(a.0[0], b.0[0], self.0[0]), _mm256_fmadd_ps(a.0[1], b.0[1], self.0[1])]) }
    }

    #[inline(always)]
    unsafe fn store(self, half: &mut [f32; HALF]) {
        let at = half.as_mut_ptr();
        // SAFETY: the CPU has AVX (contract of the trait); 8 floats are there at 0 and at 8.
        unsafe {
            _mm256_storeu_ps(at, self.0[0]);
            _mm256_storeu_ps(at.add(8), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn sum(low: Self, high: Self) -> f32 {
        // SAFETY: the CPU has AVX (contract of the trait).
        unsafe {
            let x8 = [_mm256_add_ps(low.0[0], high.0[0]), _mm256_add_ps(low.0[1], high.0[1])];
            sum8(_mm256_add_ps(x8[0], x8[1]))
        }
    }
}

/// The last three folds of a sum.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
pub(super) unsafe fn sum8(x8: __m256) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let x4 = _mm_add_ps(_mm256_castps256_ps128(x8), _mm256_extractf128_ps::<1>(x8));
        let x2 = _mm_add_ps(x4, _mm_movehl_ps(x4, x4));
        _mm_cvtss_f32(_mm_add_ss(x2, _mm_shuffle_ps::<1>(x2, x2)))
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the instruction sets are enabled here.
    unsafe { lanes::dot::<Ymm>(a, b) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here.
    unsafe { lanes::axpy::<Ymm>(alpha, x, y) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Ymm, 2, 3>(shape, a, b, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Ymm, 6, 1>(shape, a, b, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Ymm, 2, 3>(shape, a, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Ymm, 6, 1>(n, a) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Ymm, 6, 1>(shape, u, b) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Ymm, 2, 3>(shape, u, b) }
}
