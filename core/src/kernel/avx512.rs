//! AVX-512F: a block is two registers.

use super::LANES;
use super::lanes::{self, Lanes};
use core::arch::x86_64::*;

#[derive(Clone, Copy)]
struct Zmm([__m512; 2]);

// Callers are the functions below, which enable the instruction set.
impl Lanes for Zmm {
    #[inline(always)]
    unsafe fn load(block: &[f32; LANES]) -> Self {
        let at = block.as_ptr();
        // SAFETY: the CPU has AVX-512F (contract of the trait); 16 floats are there at 0 and at 16.
        unsafe { Self([_mm512_loadu_ps(at), _mm512_loadu_ps(at.add(16))]) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the CPU has AVX-512F (contract of the trait).
        unsafe { Self([_mm512_set1_ps(value); 2]) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the CPU has AVX-512F (contract of the trait).
        unsafe { Self([_mm512_fmadd_ps(a.0[0], b.0[0], self.0[0]), _mm512_fmadd_ps(a.0[1], b.0[1], self.0[1])]) }
    }

    #[inline(always)]
    unsafe fn store(self, block: &mut [f32; LANES]) {
        let at = block.as_mut_ptr();
        // SAFETY: the CPU has AVX-512F (contract of the trait); 16 floats are there at 0 and at 16.
        unsafe {
            _mm512_storeu_ps(at, self.0[0]);
            _mm512_storeu_ps(at.add(16), self.0[1]);
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the CPU has AVX-512F (contract of the trait), which includes AVX and SSE.
        unsafe {
            let x16 = _mm512_add_ps(self.0[0], self.0[1]);
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
    unsafe { lanes::gemm_nt::<Zmm, 2, 5>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Zmm, 10>(shape, a, b, c) }
}
