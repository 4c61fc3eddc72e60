//! Advanced SIMD of aarch64: a block is eight registers.

use super::lanes::{self, Register};
use super::maps::Convolution;
use super::scalar;
use core::arch::aarch64::*;
use core::arch::asm;
use core::ops::Range;

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
    unsafe fn prefetch(_at: *const f32) {
        // Rust has no stable intrinsic for it.
    }

    #[inline(always)]
    unsafe fn prefetch_far(_at: *const f32) {
        // As above.
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> Self {
        // The intrinsic is stable only since Rust 1.94.
        let wide;
        // SAFETY: the contract of the trait; the instruction only writes its register.
        unsafe {
            asm!("fcvtl {wide:v}.4s, {narrow:v}.4h", wide = out(vreg) wide, narrow = in(vreg) vld1_u16(at),
                options(pure, nomem, nostack, preserves_flags));
        }
        Self(wide)
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
    unsafe fn add(self, a: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vaddq_f32(self.0, a.0)) }
    }

    #[inline(always)]
    unsafe fn at_least(self, low: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vbslq_f32(vcltq_f32(self.0, low.0), low.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn at_most(self, high: Self) -> Self {
        // SAFETY: the contract of the trait.
        unsafe { Self(vbslq_f32(vcgtq_f32(self.0, high.0), high.0, self.0)) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { vst1q_f32(at, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, at: *mut f32, count: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: the contract of the trait.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), self.0);
            at.copy_from_nonoverlapping(lanes.as_ptr(), count.min(4));
        }
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

    /// Four channels of a pixel at a time: an instruction multiplies by one of them.
    #[inline(always)]
    unsafe fn multiply<const M: usize, const N: usize>(
        mut sums: [[Self; N]; M],
        x: [*const f32; M],
        depth: usize,
        (filters, width): (*const f32, usize),
        next: *const f32,
    ) -> [[Self; N]; M] {
        let whole = depth - depth % 4;
        // SAFETY: the caller's promise.
        unsafe {
            for channel in (0..whole).step_by(4) {
                let x = x.map(|x| vld1q_f32(x.add(channel)));
                let filters = filters.add(channel * width);
                sums = multiply_lane::<M, N, 0>(sums, x, filters);
                sums = multiply_lane::<M, N, 1>(sums, x, filters.add(width));
                sums = multiply_lane::<M, N, 2>(sums, x, filters.add(2 * width));
                sums = multiply_lane::<M, N, 3>(sums, x, filters.add(3 * width));
            }
            let x = x.map(|x| x.add(whole));
            lanes::multiply::<Self, M, N>(sums, x, depth - whole, (filters.add(whole * width), width), next)
        }
    }
}

/// Adds the products of channel `LANE` of each pixel.
///
/// # Safety
/// The CPU has NEON; `N` registers are at `filters`.
#[inline(always)]
unsafe fn multiply_lane<const M: usize, const N: usize, const LANE: i32>(
    mut sums: [[Q; N]; M],
    x: [float32x4_t; M],
    filters: *const f32,
) -> [[Q; N]; M] {
    // SAFETY: the caller's promise.
    unsafe {
        let filter: [float32x4_t; N] = core::array::from_fn(|n| vld1q_f32(filters.add(4 * n)));
        for (sums, x) in sums.iter_mut().zip(x) {
            for (sum, filter) in sums.iter_mut().zip(filter) {
                *sum = Q(vfmaq_laneq_f32::<LANE>(sum.0, filter, x));
            }
        }
        sums
    }
}

by_the_compiler!("neon");

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
pub(super) fn convolve(
    task: &Convolution<'_>,
    range: Range<usize>,
    x: &[f32],
    residual: Option<(&[f32], usize)>,
    y: &mut [f32],
    scratch: (&mut [usize], &mut [f32]),
) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::convolve::<Q, 5, 4>(task, range, x, residual, y, scratch) }
}

#[target_feature(enable = "neon")]
pub(super) fn depthwise(task: &Convolution<'_>, rows: Range<usize>, x: &[f32], y: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::depthwise::<Q>(task, rows, x, y) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Q, 4, 2, 8>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Q, 6, 4>(shape, a, b, c) }
}

#[target_feature(enable = "neon")]
pub(super) fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the instruction set is enabled here; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Q, 4, 2, 8>(shape, a, c) }
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
    unsafe { lanes::solve_upper::<Q, 4, 2, 8>(shape, u, b) }
}

#[target_feature(enable = "neon")]
pub(super) fn dot_f16(a: &[u16], b: &[f32]) -> f32 {
    // SAFETY: the instruction set is enabled here.
    unsafe { lanes::dot_f16::<Q>(a, b) }
}

#[target_feature(enable = "neon")]
pub(super) fn gemv_f16([_, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_f16(&a[i * k..][..k], x);
    }
}

/// Whether the CPU has the dot product instructions too, or without `std` the compiler's target.
fn has_dotprod() -> bool {
    #[cfg(feature = "std")]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(feature = "std"))]
    return cfg!(target_feature = "dotprod");
}

#[target_feature(enable = "neon")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    if has_dotprod() {
        // SAFETY: it has.
        unsafe { dot_i8_dotprod(a, b) }
    } else {
        dot_i8_base(a, b)
    }
}

/// Products of 16 bits, added in pairs to 32 bits without loss.
#[target_feature(enable = "neon")]
pub(super) fn dot_i8_base(a: &[i8], b: &[i8]) -> i32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [vdupq_n_s32(0); 2];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        // SAFETY: both are 16 bytes.
        let (a, b) = unsafe { (vld1q_s8(a.as_ptr()), vld1q_s8(b.as_ptr())) };
        sums[0] = vpadalq_s16(sums[0], vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        sums[1] = vpadalq_s16(sums[1], vmull_high_s8(a, b));
    }
    vaddvq_s32(vaddq_s32(sums[0], sums[1])).wrapping_add(scalar::dot_i8(a_tail, b_tail))
}

#[target_feature(enable = "neon,dotprod")]
fn dot_i8_dotprod(a: &[i8], b: &[i8]) -> i32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    let mut sums = [vdupq_n_s32(0); 2];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for (part, sum) in sums.iter_mut().enumerate() {
            // SAFETY: 16 bytes are there at 0 and at 16; the instruction only changes its register, and the CPU has it.
            // The intrinsic is not stable.
            unsafe {
                let (a, b) = (vld1q_s8(a.as_ptr().add(16 * part)), vld1q_s8(b.as_ptr().add(16 * part)));
                asm!("sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b", sum = inout(vreg) *sum, a = in(vreg) a, b = in(vreg) b,
                    options(pure, nomem, nostack, preserves_flags));
            }
        }
    }
    vaddvq_s32(vaddq_s32(sums[0], sums[1])).wrapping_add(dot_i8_base(a_tail, b_tail))
}

#[target_feature(enable = "neon")]
pub(super) fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        *y = dot_i8(&a[i * k..][..k], x);
    }
}
