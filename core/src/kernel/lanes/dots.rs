//! Kernels whose elements are dot products: tiles of rows by rows.

use super::super::LANES;
use super::super::scalar::padded;
use super::{HALF, Half, next_tile};

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
    data: &'a [f32],
    stride: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows, which must be there.
    #[inline(always)]
    pub(super) fn new(data: &'a [f32], [count, stride, width]: [usize; 3]) -> Self {
        assert!(count == 0 || (count - 1) * stride + width <= data.len());
        Self { data, stride, width }
    }

    /// Where the row begins.
    #[inline(always)]
    fn at(self, row: usize) -> *const f32 {
        self.data.as_ptr().wrapping_add(row * self.stride)
    }
}

/// The dot products of `R` rows with `C` rows of `width` floats: each half that is loaded serves several of them. The rows
/// begin at a pointer, and then again after each stride.
///
/// # Safety
/// The CPU has the instruction set of `H`, and the rows are there.
#[inline(always)]
unsafe fn dot_tile<H: Half, const R: usize, const C: usize, const P: usize>(
    width: usize,
    a: (*const f32, usize),
    b: (*const f32, usize),
) -> [[f32; C]; R] {
    let mut dots = [[0.0; C]; R];
    // Loops, since a closure would not be compiled with the instruction set.
    // SAFETY: the caller's promise.
    unsafe {
        if P == 2 {
            let sums = partial_sums::<H, R, C, 2>(width, a, b, 0);
            for (dots, sums) in dots.iter_mut().zip(sums) {
                for (dot, [low, high]) in dots.iter_mut().zip(sums) {
                    *dot = H::sum(low, high);
                }
            }
        } else {
            let low = partial_sums::<H, R, C, 1>(width, a, b, 0);
            let high = partial_sums::<H, R, C, 1>(width, a, b, HALF);
            for (dots, (low, high)) in dots.iter_mut().zip(low.into_iter().zip(high)) {
                for (dot, ([low], [high])) in dots.iter_mut().zip(low.into_iter().zip(high)) {
                    *dot = H::sum(low, high);
                }
            }
        }
    }
    dots
}

/// The sums of `P` halves of each block, the first of them `offset` floats from the block's start.
///
/// # Safety
/// As [`dot_tile`].
#[inline(always)]
unsafe fn partial_sums<H: Half, const R: usize, const C: usize, const P: usize>(
    width: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
    offset: usize,
) -> [[[H; P]; C]; R] {
    // SAFETY: the caller's promise: rows `r` and `c` have `width` floats, of which each offset below leaves `P` halves;
    // and `[f32; HALF]` needs no alignment beyond that of f32.
    unsafe {
        let mut sums = [[[H::splat(0.0); P]; C]; R];
        let mut at = offset;
        for _ in 0..width / LANES {
            multiply_add(&mut sums, (a.add(at), a_stride), (b.add(at), b_stride));
            at += LANES;
        }
        let (at, left) = (width - width % LANES, width % LANES);
        if left > 0 {
            let (mut a_tails, mut b_tails) = ([[0.0; LANES]; R], [[0.0; LANES]; C]);
            for (r, tail) in a_tails.iter_mut().enumerate() {
                *tail = padded(core::slice::from_raw_parts(a.add(r * a_stride + at), left));
            }
            for (c, tail) in b_tails.iter_mut().enumerate() {
                *tail = padded(core::slice::from_raw_parts(b.add(c * b_stride + at), left));
            }
            let (a, b) = (a_tails.as_ptr().cast::<f32>(), b_tails.as_ptr().cast::<f32>());
            multiply_add(&mut sums, (a.add(offset), LANES), (b.add(offset), LANES));
        }
        sums
    }
}

/// # Safety
/// The CPU has the instruction set of `H`; the rows have `P` halves.
#[inline(always)]
unsafe fn multiply_add<H: Half, const R: usize, const C: usize, const P: usize>(
    sums: &mut [[[H; P]; C]; R],
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        for p in 0..P {
            let mut x = [H::splat(0.0); R];
            for (r, x) in x.iter_mut().enumerate() {
                *x = H::load(&*a.add(r * a_stride + p * HALF).cast());
            }
            for c in 0..C {
                let y = H::load(&*b.add(c * b_stride + p * HALF).cast());
                for (r, x) in x.into_iter().enumerate() {
                    sums[r][c][p] = sums[r][c][p].fma(x, y);
                }
            }
        }
    }
}

/// `R` rows of `a` from row `i` on, by the rows `from..to` of `b`, at most `C` (up to 6) at a time. `put` gets the row of
/// `a`, the row of `b` and their dot product.
///
/// # Safety
/// The CPU has the instruction set of `H`; the rows are among those that `Rows::new` was told of, of one width.
#[inline(always)]
pub(super) unsafe fn sweep<H: Half, const R: usize, const C: usize, const P: usize>(
    (a, i): (Rows<'_>, usize),
    (b, from, to): (Rows<'_>, usize, usize),
    mut put: impl FnMut(usize, usize, f32),
) {
    const { assert!(0 < C && C <= 6) }
    let mut j = from;
    while j < to {
        let size = next_tile::<C>(to - j);
        macro_rules! tile {
            ($width:literal) => {{
                // SAFETY: the caller's promise.
                let tile = unsafe { dot_tile::<H, R, $width, P>(a.width, (a.at(i), a.stride), (b.at(j), b.stride)) };
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
        j += size;
    }
}

/// The panels of `b`: `(from, to)` of rows that fit the cache.
#[inline(always)]
fn panels<H: Half>(n: usize, k: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = (H::PANEL / k.max(1)).max(8);
    (0..n).step_by(rows).map(move |from| (from, n.min(from + rows)))
}

/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::gemm_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn gemm_nt<H: Half, const R: usize, const C: usize, const P: usize>(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let (a, b) = (Rows::new(a, [m, k, k]), Rows::new(b, [n, k, k]));
    let mut put = |i: usize, j: usize, dot| c[i * n + j] = dot;
    let whole = m - m % R;
    // SAFETY: the caller's promise, for each tile below.
    unsafe {
        for (from, to) in panels::<H>(n, k) {
            for i in (0..whole).step_by(R) {
                sweep::<H, R, C, P>((a, i), (b, from, to), &mut put);
            }
            for i in whole..m {
                sweep::<H, 1, C, P>((a, i), (b, from, to), &mut put);
            }
        }
    }
}

/// One triangle is computed and written to both. A tile on the diagonal computes a few pairs twice, to the same bits.
///
/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::syrk_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn syrk_nt<H: Half, const R: usize, const C: usize, const P: usize>(
    [n, k]: [usize; 2],
    a: &[f32],
    c: &mut [f32],
) {
    let a = Rows::new(a, [n, k, k]);
    let mut put = |i: usize, j: usize, dot| {
        c[i * n + j] = dot;
        c[j * n + i] = dot;
    };
    for (from, to) in panels::<H>(n, k) {
        let whole = to - to % R;
        // SAFETY: the caller's promise, for each tile below.
        unsafe {
            for i in (0..whole).step_by(R) {
                sweep::<H, R, C, P>((a, i), (a, from.max(i), to), &mut put);
            }
            for i in whole..to {
                sweep::<H, 1, C, P>((a, i), (a, from.max(i), to), &mut put);
            }
        }
    }
}
