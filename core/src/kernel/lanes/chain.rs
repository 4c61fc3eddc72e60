//! Kernels whose elements are chains of fused multiply-adds over the rows of two matrices: tiles of `c` stay in registers
//! while the rows pass by.

use super::super::LANES;
use super::{Register, next_tile};

/// Rows in one go: a strip of `b` stays in the first-level cache for the tiles that share it.
const ROWS: usize = 64;
/// The most rows of `c` in a tile.
const MOST: usize = 12;

/// A matrix of which each row is `stride` floats after the last; its width is the caller's to know.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

/// # Safety
/// The CPU has the instruction set of `V`, and the slices have the shapes that `Kernels::gemm_tn` states.
#[inline(always)]
pub(in super::super) unsafe fn gemm_tn<V: Register, const M: usize, const P: usize>(
    shape: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let [m, n, _] = shape;
    let (a, b) = (Strided { data: a, stride: m }, Strided { data: b, stride: n });
    // SAFETY: the caller's promise.
    unsafe { chains::<V, M, P, false>(shape, a, b, (c, n), false) }
}

/// `c += aᵀ b`, or `c -= aᵀ b` if `MINUS`: `a [k, m]`, `b [k, n]`, `c [m, n]`, each with its stride. With `upper`, tiles
/// wholly below the diagonal are left out. At most `M` rows by `P` registers of `c` at a time.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn chains<V: Register, const M: usize, const P: usize, const MINUS: bool>(
    [m, n, k]: [usize; 3],
    a: Strided<'_>,
    b: Strided<'_>,
    (c, c_stride): (&mut [f32], usize),
    upper: bool,
) {
    const { assert!(0 < M && M <= MOST && P * V::WIDTH <= LANES) }
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    // The pointers below rest on these.
    assert!((k - 1) * a.stride + m <= a.data.len());
    assert!((k - 1) * b.stride + n <= b.data.len());
    assert!((m - 1) * c_stride + n <= c.len());
    let strip = P * V::WIDTH;
    for first in (0..k).step_by(ROWS) {
        let rows = ROWS.min(k - first);
        if n < strip {
            // SAFETY: the caller's promise.
            unsafe { narrow::<V, M, P, MINUS>([m, n, rows], first, a, b, (c, c_stride)) }
            continue;
        }
        for column in (0..n).step_by(strip) {
            // The last strip reaches back to the left as far as it must; what it computes there is not stored.
            let start = column.min(n - strip);
            let mut i = 0;
            // With `upper`, the rows from here on lie wholly below the diagonal.
            let end = if upper { m.min(column + strip) } else { m };
            while i < end {
                let size = next_tile::<M>(m - i);
                let a = (a.data.as_ptr().wrapping_add(first * a.stride + i), a.stride);
                let b = (b.data.as_ptr().wrapping_add(first * b.stride + start), b.stride);
                let c = (c.as_mut_ptr().wrapping_add(i * c_stride + start), c_stride);
                // SAFETY: the caller's promise; rows `first..first + rows` of `a` and `b`, columns `i..i + size` of `a` and
                // `start..start + strip` of `b`, and those rows and columns of `c` are there.
                unsafe { tiles::<V, P, MINUS>(size, rows, a, b, c, column - start) }
                i += size;
            }
        }
    }
}

/// `c` narrower than a strip: works on copies that are filled up.
///
/// # Safety
/// The CPU has the instruction set of `V`; the matrices have these rows and columns; `rows <= ROWS`, `n < LANES`.
#[inline(always)]
unsafe fn narrow<V: Register, const M: usize, const P: usize, const MINUS: bool>(
    [m, n, rows]: [usize; 3],
    first: usize,
    a: Strided<'_>,
    b: Strided<'_>,
    (c, c_stride): (&mut [f32], usize),
) {
    let mut wide_b = [[0.0; LANES]; ROWS];
    for (row, wide) in wide_b[..rows].iter_mut().enumerate() {
        wide[..n].copy_from_slice(&b.data[(first + row) * b.stride..][..n]);
    }
    let mut i = 0;
    while i < m {
        let size = next_tile::<M>(m - i);
        let mut wide_c = [[0.0; LANES]; MOST];
        for (r, wide) in wide_c[..size].iter_mut().enumerate() {
            wide[..n].copy_from_slice(&c[(i + r) * c_stride..][..n]);
        }
        let a = (a.data.as_ptr().wrapping_add(first * a.stride + i), a.stride);
        let (b, at) = (wide_b.as_ptr().cast(), wide_c.as_mut_ptr().cast());
        // SAFETY: the caller's promise; the copies have `LANES` columns, at least `ROWS` and `size` rows.
        unsafe { tiles::<V, P, MINUS>(size, rows, a, (b, LANES), (at, LANES), 0) }
        for (r, wide) in wide_c[..size].iter().enumerate() {
            c[(i + r) * c_stride..][..n].copy_from_slice(&wide[..n]);
        }
        i += size;
    }
}

/// The [`tile`] of `size` rows.
///
/// # Safety
/// As [`tile`], with `size` for `M`.
#[inline(always)]
unsafe fn tiles<V: Register, const P: usize, const MINUS: bool>(
    size: usize,
    k: usize,
    a: (*const f32, usize),
    b: (*const f32, usize),
    c: (*mut f32, usize),
    skip: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            1 => V::chain_tile::<1, P, MINUS>(k, a, b, c, skip),
            2 => V::chain_tile::<2, P, MINUS>(k, a, b, c, skip),
            3 => V::chain_tile::<3, P, MINUS>(k, a, b, c, skip),
            4 => V::chain_tile::<4, P, MINUS>(k, a, b, c, skip),
            5 => V::chain_tile::<5, P, MINUS>(k, a, b, c, skip),
            6 => V::chain_tile::<6, P, MINUS>(k, a, b, c, skip),
            7 => V::chain_tile::<7, P, MINUS>(k, a, b, c, skip),
            8 => V::chain_tile::<8, P, MINUS>(k, a, b, c, skip),
            9 => V::chain_tile::<9, P, MINUS>(k, a, b, c, skip),
            10 => V::chain_tile::<10, P, MINUS>(k, a, b, c, skip),
            11 => V::chain_tile::<11, P, MINUS>(k, a, b, c, skip),
            _ => V::chain_tile::<12, P, MINUS>(k, a, b, c, skip),
        }
    }
}

/// `M` rows by `P` registers of `c` pass through the registers; the first `skip` columns are not stored. Each matrix is a
/// pointer to its first element and a stride.
///
/// # Safety
/// The CPU has the instruction set of `V`; `a` has `k` rows of `M` floats, `b` has `k` and `c` has `M` rows of `P` registers.
#[inline(always)]
pub(in super::super) unsafe fn tile<V: Register, const M: usize, const P: usize, const MINUS: bool>(
    k: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
    (c, c_stride): (*mut f32, usize),
    skip: usize,
) {
    // SAFETY: the caller's promise: every offset below is within those rows and columns.
    unsafe {
        let mut sums = [[V::splat(0.0); P]; M];
        for (r, row) in sums.iter_mut().enumerate() {
            for (p, sum) in row.iter_mut().enumerate() {
                *sum = V::load(c.add(r * c_stride + p * V::WIDTH));
            }
        }
        let (mut a, mut b) = (a, b);
        for _ in 0..k {
            let mut x = [V::splat(0.0); P];
            for (p, x) in x.iter_mut().enumerate() {
                *x = V::load(b.add(p * V::WIDTH));
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let alpha = *a.add(r);
                let alpha = V::splat(if MINUS { -alpha } else { alpha });
                for (sum, x) in row.iter_mut().zip(x) {
                    *sum = sum.fma(alpha, x);
                }
            }
            (a, b) = (a.wrapping_add(a_stride), b.wrapping_add(b_stride));
        }
        for (r, row) in sums.into_iter().enumerate() {
            for (p, sum) in row.into_iter().enumerate() {
                let (at, skip) = (c.add(r * c_stride + p * V::WIDTH), skip.saturating_sub(p * V::WIDTH));
                if skip == 0 {
                    sum.store(at);
                } else if skip < V::WIDTH {
                    let mut lanes = [0.0; LANES];
                    sum.store(lanes.as_mut_ptr());
                    core::ptr::copy_nonoverlapping(lanes.as_ptr().add(skip), at.add(skip), V::WIDTH - skip);
                }
            }
        }
    }
}
