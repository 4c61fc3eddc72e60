//! AVX-512F: a block is two registers.

use super::lanes::{self, Register};
use super::maps::Convolution;
use core::arch::x86_64::*;
use core::ops::Range;

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
    unsafe fn prefetch(at: *const f32) {
        // SAFETY: the contract of the trait; a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn prefetch_far(at: *const f32) {
        // SAFETY: the contract of the trait; a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))) }
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
    unsafe fn add(self, a: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_add_ps(self.0, a.0)) }
    }

    #[inline(always)]
    unsafe fn at_least(self, low: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_max_ps(low.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn at_most(self, high: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm512_min_ps(high.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { _mm512_storeu_ps(at, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, at: *mut f32, count: usize) {
        let mask = ((1u32 << count.min(16)) - 1) as __mmask16;
        // SAFETY: the contract of the trait; lanes outside the mask are not written.
        unsafe { _mm512_mask_storeu_ps(at, mask, self.0) }
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

by_the_compiler!("avx512f");

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
pub(super) fn convolve(
    task: &Convolution<'_>,
    range: Range<usize>,
    x: &[f32],
    residual: Option<(&[f32], usize)>,
    y: &mut [f32],
    scratch: (&mut [usize], &mut [f32]),
) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::convolve::<Zmm, 7, 2>(task, range, x, residual, y, scratch) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn depthwise(task: &Convolution<'_>, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::depthwise::<Zmm>(task, rows, x, y) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Zmm, 4, 2, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Zmm, 12, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Zmm, 4, 2, 2>(shape, a, c) }
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
    unsafe { lanes::solve_upper::<Zmm, 4, 2, 2>(shape, u, b) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn dot_f16(a: &[u16], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::dot_f16::<Zmm>(a, b) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemv_f16([_, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_f16(&a[i * k..][..k], x);
    }
}

/// Whether the CPU has VNNI too, or without `std` the compiler's target.
fn has_vnni() -> bool {
    #[cfg(feature = "std")]
    return std::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(feature = "std"))]
    return cfg!(target_feature = "avx512vnni");
}

#[target_feature(enable = "avx512f")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    if has_vnni() {
        // SAFETY: it has.
        unsafe { dot_i8_vnni(a, b) }
    } else {
        super::avx2::dot_i8(a, b)
    }
}

/// The instruction multiplies unsigned by signed: `a` is taken as `a + 128`, and 128 times the sum of `b` is taken away in
/// the end. Sums wrap around, and back: the result fits.
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot_i8_vnni(a: &[i8], b: &[i8]) -> i32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<64>(), b.as_chunks::<64>());
    let (mut products, mut b_sums) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let (flip, ones) = (_mm512_set1_epi32(0x8080_8080_u32 as i32), _mm512_set1_epi32(0x0101_0101));
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        // SAFETY: both are 64 bytes.
        let (a, b) = unsafe { (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast())) };
        products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(a, flip), b);
        b_sums = _mm512_dpbusd_epi32(b_sums, ones, b);
    }
    let sum = _mm512_sub_epi32(products, _mm512_slli_epi32::<7>(b_sums));
    _mm512_reduce_add_epi32(sum).wrapping_add(super::avx2::dot_i8(a_tail, b_tail))
}

#[target_feature(enable = "avx512f")]
pub(super) fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_i8(&a[i * k..][..k], x);
    }
}
