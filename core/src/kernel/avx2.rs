//! AVX2 and FMA: a block is four registers.

use super::lanes::{self, Register};
use super::maps::Convolution;
use super::scalar;
use core::arch::x86_64::*;
use core::ops::Range;

#[derive(Clone, Copy)]
struct Ymm(__m256);

// Callers are the functions below, which enable the instruction sets.
impl Register for Ymm {
    const WIDTH: usize = 8;
    // 512 KB, half of what a Zen 4 core has.
    const PANEL: usize = 128 * 1024;
    type Block = [Self; 4];

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_loadu_ps(at)) }
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, count: usize) -> Self {
        // SAFETY: the contract of the trait; lanes outside the mask are not read.
        unsafe { Self(_mm256_maskload_ps(at, mask(count))) }
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
        unsafe { Self(_mm256_cvtph_ps(_mm_loadu_si128(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn add(self, a: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_add_ps(self.0, a.0)) }
    }

    #[inline(always)]
    unsafe fn at_least(self, low: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_max_ps(low.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn at_most(self, high: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(_mm256_min_ps(high.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { _mm256_storeu_ps(at, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, at: *mut f32, count: usize) {
        // SAFETY: the contract of the trait; lanes outside the mask are not written.
        unsafe { _mm256_maskstore_ps(at, mask(count), self.0) }
    }

    #[inline(always)]
    unsafe fn zeros() -> Self::Block {
        // SAFETY: the contract of the trait.
        unsafe { [Self::splat(0.0); 4] }
    }

    #[inline(always)]
    unsafe fn sum(block: Self::Block) -> f32 {
        // SAFETY: the contract of the trait.
        unsafe {
            let low = _mm256_add_ps(block[0].0, block[2].0);
            let high = _mm256_add_ps(block[1].0, block[3].0);
            sum8(_mm256_add_ps(low, high))
        }
    }
}

/// The first `count` lanes.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
unsafe fn mask(count: usize) -> __m256i {
    const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the caller's promise; `MASKS` has 8 numbers from each of 0..=8.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - count.min(8)).cast()) }
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

by_the_compiler!("avx2,fma");

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
pub(super) fn convolve(
    task: &Convolution<'_>,
    range: Range<usize>,
    x: &[f32],
    residual: Option<(&[f32], usize)>,
    y: &mut [f32],
    scratch: (&mut [usize], &mut [f32]),
) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::convolve::<Ymm, 6, 2>(task, range, x, residual, y, scratch) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn depthwise(task: &Convolution<'_>, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::depthwise::<Ymm>(task, rows, x, y) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Ymm, 4, 1, 4>(shape, a, b, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Ymm, 6, 2>(shape, a, b, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Ymm, 4, 1, 4>(shape, a, c) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Ymm, 6, 2>(n, a) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Ymm, 6, 2>(shape, u, b) }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the instruction sets are enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Ymm, 4, 1, 4>(shape, u, b) }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot_f16(a: &[u16], b: &[f32]) -> f32 {
    // SAFETY: the instruction sets are enabled here.
    unsafe { lanes::dot_f16::<Ymm>(a, b) }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gemv_f16([_, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_f16(&a[i * k..][..k], x);
    }
}

/// 32 numbers at a time: widened to i16, whose products are added in pairs to i32 without loss.
#[target_feature(enable = "avx2,fma")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    let mut sums = [_mm256_setzero_si256(); 2];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (part, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 16 bytes are there at 0 and at 16.
            let [a, b] = [a, b].map(|block| unsafe { _mm_loadu_si128(block.as_ptr().add(16 * part).cast()) });
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b));
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    let mut lanes = [0i32; 8];
    // SAFETY: `lanes` is 32 bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_add_epi32(sums[0], sums[1])) }
    lanes.into_iter().fold(scalar::dot_i8(a_tail, b_tail), i32::wrapping_add)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_i8(&a[i * k..][..k], x);
    }
}
