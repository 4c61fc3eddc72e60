//! AVX2 and FMA: a block is four registers.

use super::LANES;
use super::lanes::{self, Lanes};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
struct Ymm([__m256; 4]);

// Callers are the functions below, which enable the instruction sets.
impl Lanes for Ymm {
    #[inline(always)]
    unsafe fn load(block: &[f32; LANES]) -> Self {
        let at = block.as_ptr();
        // SAFETY: the CPU has AVX (contract of the trait); 8 floats are there at 0, 8, 16 and 24.
        unsafe {
            Self([
                _mm256_loadu_ps(at),
                _mm256_loadu_ps(at.add(8)),
                _mm256_loadu_ps(at.add(16)),
                _mm256_loadu_ps(at.add(24)),
            ])
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX (contract of the trait).
        unsafe { Self([_mm256_set1_ps(value); 4]) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        let (Self(a), Self(b), Self(c)) = (a, b, self);
        // SAFETY: the CPU has FMA (contract of the trait).
        unsafe {
            Self([
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
                _mm256_fmadd_ps(a[2], b[2], c[2]),
                _mm256_fmadd_ps(a[3], b[3], c[3]),
            ])
        }
    }

    #[inline(always)]
    unsafe fn store(self, block: &mut [f32; LANES]) {
        for (register, at) in self.0.into_iter().zip(block.as_chunks_mut::<8>().0) {
            // SAFETY: the CPU has AVX (contract of the trait); `at` is 8 floats.
            unsafe { _mm256_storeu_ps(at.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the CPU has AVX (contract of the trait).
        unsafe {
            let low = _mm256_add_ps(self.0[0], self.0[2]);
            let high = _mm256_add_ps(self.0[1], self.0[3]);
            sum8(_mm256_add_ps(low, high))
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
    unsafe { lanes::gemm_nt::<Ymm, 1, 3>(shape, a, b, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Ymm, 2>(shape, a, b, c) }
}
