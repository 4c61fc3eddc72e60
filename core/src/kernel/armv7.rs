//! Advanced SIMD of 32-bit ARM with fused multiply-add (VFPv4).
//!
//! Rust has no stable intrinsics for it, so the loops that matter are written by hand, in `armv7/assembly.rs`. And it
//! flushes subnormal numbers to zero, operands and results alike, while the scalar unit does neither. But it tells: a
//! flushed operand sets FPSCR.IDC, a flushed result FPSCR.UFC (ARM DDI 0406C, A2.7.5 and `FPUnpack`, `FPRound`). So each
//! loop works on a copy; where a flag has come up the copy is dropped, and the scalar unit computes that piece anew.

mod assembly;

// Not by hand: the scalar unit has the fused multiply-add, too.
pub(super) use super::scalar::{add, bend, convolve, depthwise, multiply, pool, scale_rows};

use super::lanes::{self, Register};
use super::{LANES, scalar};
use crate::math::arm::vfma;
use assembly::{AxpyTask, ChainTask, DotTask, SUMS, unflushed};
use core::array::from_fn;

/// Four floats for the scalar unit: what is too short for the loops, and what they would flush.
#[derive(Clone, Copy)]
struct Q([f32; 4]);

impl Register for Q {
    const WIDTH: usize = 4;
    // 160 KB, half of a Pi 4 core's share.
    const PANEL: usize = 40 * 1024;
    type Block = [Self; 8];

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the contract of the trait.
        Self(unsafe { at.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn load_part(at: *const f32, count: usize) -> Self {
        // SAFETY: the contract of the trait.
        Self(from_fn(|i| if i < count { unsafe { at.add(i).read() } } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn widen(at: *const u16) -> Self {
        // SAFETY: the contract of the trait.
        Self(from_fn(|i| scalar::widen(unsafe { at.add(i).read() })))
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {
        // The loops in assembly read forwards, which these CPUs foresee.
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn fma(self, a: Self, b: Self) -> Self {
        // SAFETY: the contract of the trait.
        Self(from_fn(|i| unsafe { vfma(a.0[i], b.0[i], self.0[i]) }))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the contract of the trait.
        unsafe { at.cast::<[f32; 4]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn zeros() -> Self::Block {
        [Self([0.0; 4]); 8]
    }

    #[inline(always)]
    unsafe fn sum(block: Self::Block) -> f32 {
        scalar::fold(from_fn(|lane| block[lane / 4].0[lane % 4]))
    }

    unsafe fn dot_tile<const R: usize, const C: usize, const P: usize>(
        width: usize,
        a: (*const f32, usize),
        b: (*const f32, usize),
        after: *const f32,
    ) -> [[f32; C]; R] {
        if R == 2 && (1..=3).contains(&C) {
            // Two rows have too few registers' worth of work for a loop of their own.
            let row = |r: usize| (a.0.wrapping_add(r * a.1), a.1);
            // SAFETY: the contract of the trait.
            return from_fn(|r| unsafe { Self::dot_tile::<1, C, 4>(width, row(r), b, after) }[0]);
        }
        // SAFETY: the contract of the trait.
        unsafe {
            let dots = match (R, C, P) {
                (3, 1..=3, 1) => dots::<3, 8>(C, width, a, b),
                (1, 1..=3, 4) => dots::<1, 2>(C, width, a, b),
                _ => None,
            };
            match dots {
                Some(dots) => from_fn(|r| from_fn(|c| dots[c * R + r])),
                None => lanes::dot_tile::<Self, R, C, P>(width, a, b, after),
            }
        }
    }

    unsafe fn chain_tile<const M: usize, const P: usize, const MINUS: bool>(
        k: usize,
        a: (*const f32, usize),
        b: (*const f32, usize),
        c: (*mut f32, usize),
        skip: usize,
    ) {
        // SAFETY: the contract of the trait; `c` has `M` rows of `P` registers.
        unsafe {
            let Some(tile) = (if M <= 6 && P == 2 { chains::<MINUS>(M, k, a, b, c) } else { None }) else {
                return lanes::tile::<Self, M, P, MINUS>(k, a, b, c, skip);
            };
            for (r, row) in tile.iter().take(M).enumerate() {
                let to = c.0.add(r * c.1);
                for (i, value) in row.iter().enumerate().skip(skip) {
                    to.add(i).write(*value);
                }
            }
        }
    }

    unsafe fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
        // SAFETY: the contract of the trait.
        unsafe { axpy(alpha, x, y) }
    }
}

/// Partial sums of up to 12 registers' worth of dot products, for each pass over the rows.
type Sums<const PASSES: usize> = [[f32; SUMS]; PASSES];

/// Adds `blocks` blocks of `R` rows and `columns` rows, strides in floats. Only the first `width` floats of a block count;
/// the others are +0, and the passes over them left out.
///
/// # Safety
/// The CPU has the instruction set, and the rows are there; `R` and `PASSES` are 3 and 8, or 1 and 2; `columns` is 1 to 3.
unsafe fn add_blocks<const R: usize, const PASSES: usize>(
    sums: &mut Sums<PASSES>,
    columns: usize,
    [blocks, width]: [usize; 2],
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) {
    if blocks == 0 {
        return;
    }
    for (pass, sums) in sums.iter_mut().enumerate().take(width.div_ceil(LANES / PASSES)) {
        let offset = pass * (LANES / PASSES);
        let (a, b) = (a.wrapping_add(offset), b.wrapping_add(offset));
        let task = DotTask { sums: sums.as_mut_ptr(), a, a_stride: 4 * a_stride, b, b_stride: 4 * b_stride, blocks };
        // SAFETY: the caller's promise.
        unsafe {
            match (R, columns) {
                (1, 1) => assembly::dots_of_one::<1>(&task),
                (1, 2) => assembly::dots_of_one::<2>(&task),
                (1, _) => assembly::dots_of_one::<3>(&task),
                (_, 1) => assembly::dots_of_three::<1>(&task),
                (_, 2) => assembly::dots_of_three::<2>(&task),
                (_, _) => assembly::dots_of_three::<3>(&task),
            }
        }
    }
}

/// Floats of each row that pass by several times: a tile's share of the rows stays in the first-level cache.
const CHUNK: usize = 640;

/// Dot products of `R` rows with `columns` rows of `width` floats, column by column. `None` if something was flushed.
///
/// # Safety
/// As [`add_blocks`].
unsafe fn dots<const R: usize, const PASSES: usize>(
    columns: usize,
    width: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) -> Option<[f32; 9]> {
    let whole = width - width % LANES;
    // SAFETY: the caller's promise; each chunk is within `whole`, and the copies have `LANES` floats a row.
    unsafe {
        unflushed(|| {
            let mut sums = [[0.0; SUMS]; PASSES];
            for from in (0..whole).step_by(CHUNK) {
                let (a, b) = ((a.wrapping_add(from), a_stride), (b.wrapping_add(from), b_stride));
                add_blocks::<R, PASSES>(&mut sums, columns, [CHUNK.min(whole - from) / LANES, LANES], a, b);
            }
            if whole < width {
                let (mut a_tails, mut b_tails) = ([[0.0; LANES]; R], [[0.0; LANES]; 3]);
                for (r, tail) in a_tails.iter_mut().enumerate() {
                    tail.as_mut_ptr().copy_from_nonoverlapping(a.wrapping_add(r * a_stride + whole), width - whole);
                }
                for (c, tail) in b_tails.iter_mut().enumerate().take(columns) {
                    tail.as_mut_ptr().copy_from_nonoverlapping(b.wrapping_add(c * b_stride + whole), width - whole);
                }
                let (a, b) = ((a_tails.as_ptr().cast(), LANES), (b_tails.as_ptr().cast(), LANES));
                add_blocks::<R, PASSES>(&mut sums, columns, [1, width - whole], a, b);
            }
            let mut dots = [0.0; 9];
            assembly::fold::<PASSES>(sums.as_ptr().cast(), dots.as_mut_ptr(), R * columns);
            dots
        })
    }
}

/// The tile of `m` rows by two registers after `k` rows of `a` and `b`. `None` if something was flushed.
///
/// # Safety
/// The CPU has the instruction set, and those rows are there; `m` is 1 to 6, `k` not 0.
unsafe fn chains<const MINUS: bool>(
    m: usize,
    k: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
    (c, c_stride): (*mut f32, usize),
) -> Option<[[f32; 8]; 6]> {
    let mut tile = [[0.0; 8]; 6];
    let (a_stride, b_stride, c_stride) = (4 * a_stride, 4 * b_stride, 4 * c_stride);
    let task = ChainTask { tile: tile.as_mut_ptr().cast(), c, c_stride, a, a_stride, b, b_stride, k };
    // SAFETY: the caller's promise.
    unsafe {
        unflushed(|| match (m, MINUS) {
            (1, false) => assembly::chains::<1, 0>(&task),
            (2, false) => assembly::chains::<2, 0>(&task),
            (3, false) => assembly::chains::<3, 0>(&task),
            (4, false) => assembly::chains::<4, 0>(&task),
            (5, false) => assembly::chains::<5, 0>(&task),
            (_, false) => assembly::chains::<6, 0>(&task),
            (1, true) => assembly::chains::<1, 1>(&task),
            (2, true) => assembly::chains::<2, 1>(&task),
            (3, true) => assembly::chains::<3, 1>(&task),
            (4, true) => assembly::chains::<4, 1>(&task),
            (5, true) => assembly::chains::<5, 1>(&task),
            (_, true) => assembly::chains::<6, 1>(&task),
        })?;
    }
    Some(tile)
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise; the vectors are of one length (`Kernels`).
    match unsafe { dots::<1, 2>(1, a.len().min(b.len()), (a.as_ptr(), 0), (b.as_ptr(), 0)) } {
        Some(dots) => dots[0],
        // SAFETY: the caller's promise.
        None => unsafe { lanes::dot::<Q>(a, b) },
    }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    /// Floats in one go, of which a copy is kept.
    const PIECE: usize = 256;
    for (x, y) in x.chunks(PIECE).zip(y.chunks_mut(PIECE)) {
        let len = x.len().min(y.len());
        let whole = len - len % 16;
        let mut old = [0.0; PIECE];
        // SAFETY: the caller's promise; all three have `whole` floats.
        unsafe {
            let task = AxpyTask { x: x.as_ptr(), y: y.as_mut_ptr(), old: old.as_mut_ptr(), blocks: whole / 16, alpha };
            if whole > 0 && unflushed(|| assembly::axpy(&task)).is_none() {
                y[..whole].copy_from_slice(&old[..whole]);
                lanes::axpy::<Q>(alpha, &x[..whole], &mut y[..whole]);
            }
            lanes::axpy::<Q>(alpha, &x[whole..], &mut y[whole..]);
        }
    }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn gemm_nt(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_nt::<Q, 3, 1, 4>(shape, a, b, c) }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn gemm_tn(shape: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::gemm_tn::<Q, 6, 2>(shape, a, b, c) }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn syrk_nt(shape: [usize; 2], a: &[f32], c: &mut [f32]) {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::syrk_nt::<Q, 3, 1, 4>(shape, a, c) }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::cholesky::<Q, 6, 2>(n, a) }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn solve_upper_transposed(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper_transposed::<Q, 6, 2>(shape, u, b) }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn solve_upper(shape: [usize; 2], u: &[f32], b: &mut [f32]) {
    // SAFETY: the caller's promise; `Kernels` has checked the shapes.
    unsafe { lanes::solve_upper::<Q, 3, 1, 4>(shape, u, b) }
}

/// Without fused multiply-add, so that the scalar unit is as good as that of the specification. So are the next three.
///
/// # Safety
/// None.
pub(super) unsafe fn exp(x: &mut [f32]) {
    scalar::exp(x)
}

/// # Safety
/// None.
pub(super) unsafe fn ln(x: &mut [f32]) {
    scalar::ln(x)
}

/// # Safety
/// None.
pub(super) unsafe fn softmax_rows(n_classes: usize, logits: &mut [f32]) {
    scalar::softmax_rows(n_classes, logits)
}

/// # Safety
/// None.
pub(super) unsafe fn cross_entropy_rows(n_classes: usize, logits: &mut [f32], labels: &[u16], losses: &mut [f32]) {
    scalar::cross_entropy_rows(n_classes, logits, labels, losses)
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn dot_f16(a: &[u16], b: &[f32]) -> f32 {
    /// Floats that are widened in one go.
    const PIECE: usize = 8 * LANES;
    // SAFETY: the caller's promise; the copies are as long as the blocks that are read of them.
    let sum = unsafe {
        unflushed(|| {
            let mut sums = [[0.0; SUMS]; 2];
            for (a, b) in a.chunks(PIECE).zip(b.chunks(PIECE)) {
                let (mut narrow, mut wide, mut other) = ([0; PIECE], [0.0; PIECE], [0.0; PIECE]);
                let (blocks, len) = (a.len().div_ceil(LANES), a.len().min(b.len()));
                narrow[..len].copy_from_slice(&a[..len]);
                other[..len].copy_from_slice(&b[..len]);
                assembly::widen(narrow.as_ptr(), wide.as_mut_ptr(), blocks);
                add_blocks::<1, 2>(&mut sums, 1, [blocks, LANES], (wide.as_ptr(), 0), (other.as_ptr(), 0));
            }
            let mut dot = [0.0; 1];
            assembly::fold::<2>(sums.as_ptr().cast(), dot.as_mut_ptr(), 1);
            dot[0]
        })
    };
    // SAFETY: the caller's promise.
    sum.unwrap_or_else(|| unsafe { lanes::dot_f16::<Q>(a, b) })
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn gemv_f16([_, k]: [usize; 2], a: &[u16], x: &[f32], y: &mut [f32]) {
    for (i, y) in y.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *y = unsafe { dot_f16(&a[i * k..][..k], x) };
    }
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let blocks = a_blocks.len().min(b_blocks.len());
    // SAFETY: the caller's promise; both have so many blocks.
    let sum = if blocks > 0 { unsafe { assembly::dot_i8(a.as_ptr(), b.as_ptr(), blocks) } } else { 0 };
    sum.wrapping_add(scalar::dot_i8(a_tail, b_tail))
}

/// # Safety
/// The CPU has the instruction set.
pub(super) unsafe fn gemv_i8([_, k]: [usize; 2], a: &[i8], x: &[i8], y: &mut [i32]) {
    for (i, y) in y.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *y = unsafe { dot_i8(&a[i * k..][..k], x) };
    }
}
