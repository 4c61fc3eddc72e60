//! Kernels whose elements are dot products: tiles of rows by rows.

use super::super::LANES;
use super::super::scalar::padded;
use super::{HALF, Half, even};

/// Floats of `b` that stay in the second-level cache while the rows of `a` pass by: 160 KB, half of a Pi 4's share.
const PANEL_FLOATS: usize = 40 * 1024;

/// # Safety
/// The CPU has the instruction set of `H`.
#[inline(always)]
pub(in super::super) unsafe fn dot<H: Half>(a: &[f32], b: &[f32]) -> f32 {
    let ((a_blocks, a_tail), (b_blocks, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    // SAFETY: the caller's promise, for each operation on lanes below.
    unsafe {
        let (mut low, mut high) = (H::splat(0.0), H::splat(0.0));
        for (a, b) in a_blocks.iter().zip(b_blocks) {
            low = low.fma(H::load(half::<0>(a)), H::load(half::<0>(b)));
            high = high.fma(H::load(half::<1>(a)), H::load(half::<1>(b)));
        }
        if !a_tail.is_empty() {
            let (a, b) = (padded(a_tail), padded(b_tail));
            low = low.fma(H::load(half::<0>(&a)), H::load(half::<0>(&b)));
            high = high.fma(H::load(half::<1>(&a)), H::load(half::<1>(&b)));
        }
        H::sum(low, high)
    }
}

/// The first or the second half of a block.
#[inline(always)]
fn half<const PART: usize>(block: &[f32; LANES]) -> &[f32; HALF] {
    &block.as_chunks::<HALF>().0[PART]
}

/// Rows of `width` floats, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn row(self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.width]
    }

    #[inline(always)]
    fn rows<const N: usize>(self, first: usize) -> [&'a [f32]; N] {
        core::array::from_fn(|i| self.row(first + i))
    }
}

/// The dot products of `R` rows with `C` rows, all of one length: each half that is loaded serves several of them.
///
/// # Safety
/// The CPU has the instruction set of `H`.
#[inline(always)]
unsafe fn dot_tile<H: Half, const R: usize, const C: usize>(a: [&[f32]; R], b: [&[f32]; C]) -> [[f32; C]; R] {
    // SAFETY: the caller's promise.
    unsafe {
        let low = half_tile::<H, R, C, 0>(a, b);
        let high = half_tile::<H, R, C, 1>(a, b);
        // Loops, since a closure would not be compiled with the instruction set.
        let mut dots = [[0.0; C]; R];
        for r in 0..R {
            for c in 0..C {
                dots[r][c] = H::sum(low[r][c], high[r][c]);
            }
        }
        dots
    }
}

/// The partial sums of one half of each block.
///
/// # Safety
/// The CPU has the instruction set of `H`.
#[inline(always)]
unsafe fn half_tile<H: Half, const R: usize, const C: usize, const PART: usize>(
    a: [&[f32]; R],
    b: [&[f32]; C],
) -> [[H; C]; R] {
    let a = a.map(|row| row.as_chunks::<LANES>());
    let b = b.map(|row| row.as_chunks::<LANES>());
    let blocks = a[0].0.len();
    // The caller's rows have one length; said here, the bounds of the loop need no check in it.
    let a_blocks = a.map(|(row, _)| &row[..blocks]);
    let b_blocks = b.map(|(row, _)| &row[..blocks]);
    // SAFETY: the caller's promise, for each operation on lanes below.
    unsafe {
        let mut sums = [[H::splat(0.0); C]; R];
        for block in 0..blocks {
            let mut x = [H::splat(0.0); R];
            for r in 0..R {
                x[r] = H::load(half::<PART>(&a_blocks[r][block]));
            }
            for c in 0..C {
                let y = H::load(half::<PART>(&b_blocks[c][block]));
                for r in 0..R {
                    sums[r][c] = sums[r][c].fma(x[r], y);
                }
            }
        }
        if !a[0].1.is_empty() {
            let b_tails = b.map(|(_, tail)| padded(tail));
            for r in 0..R {
                let x = H::load(half::<PART>(&padded(a[r].1)));
                for c in 0..C {
                    sums[r][c] = sums[r][c].fma(x, H::load(half::<PART>(&b_tails[c])));
                }
            }
        }
        sums
    }
}

/// `R` rows of `a` from row `i` on, by the rows `from..to` of `b`, at most `C` (up to 6) at a time. `put` gets the row of
/// `a`, the row of `b` and their dot product.
///
/// # Safety
/// The CPU has the instruction set of `H`.
#[inline(always)]
pub(super) unsafe fn sweep<H: Half, const R: usize, const C: usize>(
    (a, i): (Rows<'_>, usize),
    (b, from, to): (Rows<'_>, usize, usize),
    mut put: impl FnMut(usize, usize, f32),
) {
    const { assert!(0 < C && C <= 6) }
    let a_rows: [&[f32]; R] = a.rows(i);
    for (start, size) in even(to - from, C) {
        let j = from + start;
        macro_rules! tile {
            ($width:literal) => {{
                // SAFETY: the caller's promise.
                let tile = unsafe { dot_tile::<H, R, $width>(a_rows, b.rows(j)) };
                for (r, row) in tile.into_iter().enumerate() {
                    for (c, dot) in row.into_iter().enumerate() {
                        put(i + r, j + c, dot);
                    }
                }
            }};
        }
        match size {
            6 if C >= 6 => tile!(6),
            5 if C >= 5 => tile!(5),
            4 if C >= 4 => tile!(4),
            3 if C >= 3 => tile!(3),
            2 if C >= 2 => tile!(2),
            _ => tile!(1),
        }
    }
}

/// The panels of `b`: `(from, to)` of rows that fit the cache.
#[inline(always)]
fn panels(n: usize, k: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = (PANEL_FLOATS / k.max(1)).max(8);
    (0..n).step_by(rows).map(move |from| (from, n.min(from + rows)))
}

/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::gemm_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn gemm_nt<H: Half, const R: usize, const C: usize>(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let a = Rows { data: a, stride: k, width: k };
    let b = Rows { data: b, stride: k, width: k };
    let mut put = |i: usize, j: usize, dot| c[i * n + j] = dot;
    let whole = m - m % R;
    // SAFETY: the caller's promise, for each tile below.
    unsafe {
        for (from, to) in panels(n, k) {
            for i in (0..whole).step_by(R) {
                sweep::<H, R, C>((a, i), (b, from, to), &mut put);
            }
            for i in whole..m {
                sweep::<H, 1, C>((a, i), (b, from, to), &mut put);
            }
        }
    }
}

/// One triangle is computed and written to both. A tile on the diagonal computes a few pairs twice, to the same bits.
///
/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::syrk_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn syrk_nt<H: Half, const R: usize, const C: usize>(
    [n, k]: [usize; 2],
    a: &[f32],
    c: &mut [f32],
) {
    let a = Rows { data: a, stride: k, width: k };
    let mut put = |i: usize, j: usize, dot| {
        c[i * n + j] = dot;
        c[j * n + i] = dot;
    };
    for (from, to) in panels(n, k) {
        let whole = to - to % R;
        // SAFETY: the caller's promise, for each tile below.
        unsafe {
            for i in (0..whole).step_by(R) {
                sweep::<H, R, C>((a, i), (a, from.max(i), to), &mut put);
            }
            for i in whole..to {
                sweep::<H, 1, C>((a, i), (a, from.max(i), to), &mut put);
            }
        }
    }
}
