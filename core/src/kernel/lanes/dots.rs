//! Kernels whose elements are dot products: tiles of rows by rows.

use super::super::LANES;
use super::{Register, next_tile};

/// Floats of each row that pass by several times, where a block does not fit the registers. A tile's share of the rows
/// stays in the first-level cache meanwhile.
const CHUNK: usize = 448;

/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
pub(in super::super) unsafe fn dot<V: Register>(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let whole = len - len % LANES;
    // SAFETY: the caller's promise; each block is within `whole`, each part within `len`.
    unsafe {
        let mut sums = V::zeros();
        for at in (0..whole).step_by(LANES) {
            multiply_add_block::<V>(&mut sums, a.as_ptr().add(at), b.as_ptr().add(at));
        }
        if whole < len {
            for (p, sum) in sums.as_mut().iter_mut().enumerate() {
                let (at, left) = (whole + p * V::WIDTH, len.saturating_sub(whole + p * V::WIDTH));
                let a = V::load_part(a.as_ptr().wrapping_add(at), left);
                *sum = sum.fma(a, V::load_part(b.as_ptr().wrapping_add(at), left));
            }
        }
        V::sum(sums)
    }
}

/// # Safety
/// The CPU has the instruction set of `V`, and `a` and `b` are blocks.
#[inline(always)]
unsafe fn multiply_add_block<V: Register>(sums: &mut V::Block, a: *const f32, b: *const f32) {
    for (p, sum) in sums.as_mut().iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *sum = unsafe { sum.fma(V::load(a.add(p * V::WIDTH)), V::load(b.add(p * V::WIDTH))) };
    }
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

/// The dot products of `R` rows with `C` rows of `width` floats: each register that is loaded serves several of them. The
/// rows begin at a pointer, and then again after each stride. A pass over a chunk sums `P` registers of each block. `after`
/// is where the rows begin that will be asked for next, if they are there.
///
/// # Safety
/// The CPU has the instruction set of `V`, and the rows are there.
#[inline(always)]
pub(in super::super) unsafe fn dot_tile<V: Register, const R: usize, const C: usize, const P: usize>(
    width: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
    after: *const f32,
) -> [[f32; C]; R] {
    const { assert!(LANES.is_multiple_of(P * V::WIDTH)) }
    let passes = LANES / (P * V::WIDTH);
    let (whole, left) = (width - width % LANES, width % LANES);
    // Loops throughout, since a closure would not be compiled with the instruction set.
    // SAFETY: the caller's promise.
    unsafe {
        let mut blocks = [[V::zeros(); C]; R];
        // About equal chunks, of at most CHUNK.
        let chunks = if passes == 1 { 1 } else { whole.div_ceil(CHUNK).max(1) };
        let size = (whole / LANES).div_ceil(chunks).max(1) * LANES;
        for chunk in (0..whole).step_by(size) {
            let end = whole.min(chunk + size);
            for pass in 0..passes {
                let offset = pass * P * V::WIDTH;
                // What the next chunk needs of `b`, a part in each pass.
                let next = if end < whole { b.wrapping_add(end) } else { after };
                let next = next.wrapping_add(pass * (size / passes));
                let (a, b) = ((a.add(chunk + offset), a_stride), (b.add(chunk + offset), b_stride));
                add_pass::<V, R, C, P>(&mut blocks, pass, end - chunk, a, b, next);
            }
        }
        if left > 0 {
            for pass in 0..passes {
                let at = whole + pass * P * V::WIDTH;
                let left = width.saturating_sub(at);
                add_tail::<V, R, C, P>(
                    &mut blocks,
                    pass,
                    left,
                    (a.wrapping_add(at), a_stride),
                    (b.wrapping_add(at), b_stride),
                );
            }
        }
        let mut dots = [[0.0; C]; R];
        for (dots, blocks) in dots.iter_mut().zip(blocks) {
            for (dot, block) in dots.iter_mut().zip(blocks) {
                *dot = V::sum(block);
            }
        }
        dots
    }
}

/// Adds to the registers `pass * P..` of each block what `width` floats, whole blocks, contribute. Of several passes each
/// asks for a part of what the next chunk needs, from `next` on: else the first one alone would wait for all of it.
///
/// # Safety
/// As [`dot_tile`]; the rows begin at those registers.
#[inline(always)]
unsafe fn add_pass<V: Register, const R: usize, const C: usize, const P: usize>(
    blocks: &mut [[V::Block; C]; R],
    pass: usize,
    width: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
    next: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[[V::splat(0.0); P]; C]; R];
        for (sums, blocks) in sums.iter_mut().zip(&mut *blocks) {
            for (sums, block) in sums.iter_mut().zip(blocks) {
                sums.copy_from_slice(&block.as_mut()[pass * P..][..P]);
            }
        }
        for at in (0..width).step_by(LANES) {
            let part = at / (LANES / (P * V::WIDTH));
            if P * V::WIDTH < LANES && (at / LANES).is_multiple_of(2) {
                for c in 0..C {
                    V::prefetch(next.wrapping_add(c * b_stride + part));
                }
            }
            multiply_add(&mut sums, (a.add(at), a_stride), (b.add(at), b_stride));
        }
        for (sums, blocks) in sums.into_iter().zip(&mut *blocks) {
            for (sums, block) in sums.into_iter().zip(blocks) {
                block.as_mut()[pass * P..][..P].copy_from_slice(&sums);
            }
        }
    }
    if P * V::WIDTH < LANES {
        // Into memory: kept in registers, the sums of one pass would crowd out those of the next.
        core::hint::black_box(blocks);
    }
}

/// As [`add_pass`], for the last block, of which `left` floats are there. The others count as +0.
///
/// # Safety
/// As [`dot_tile`]; the rows begin at those registers, if `left` is not 0.
#[inline(always)]
unsafe fn add_tail<V: Register, const R: usize, const C: usize, const P: usize>(
    blocks: &mut [[V::Block; C]; R],
    pass: usize,
    left: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) {
    for p in 0..P {
        let (at, left) = (p * V::WIDTH, left.saturating_sub(p * V::WIDTH));
        // SAFETY: the caller's promise.
        unsafe {
            let mut x = [V::splat(0.0); R];
            for (r, x) in x.iter_mut().enumerate() {
                *x = V::load_part(a.wrapping_add(r * a_stride + at), left);
            }
            for c in 0..C {
                let y = V::load_part(b.wrapping_add(c * b_stride + at), left);
                for (blocks, x) in blocks.iter_mut().zip(x) {
                    let sum = &mut blocks[c].as_mut()[pass * P + p];
                    *sum = sum.fma(x, y);
                }
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set of `V`; the rows have `P` registers.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "the order of the loops is what keeps the registers from spilling")]
unsafe fn multiply_add<V: Register, const R: usize, const C: usize, const P: usize>(
    sums: &mut [[[V; P]; C]; R],
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        for p in 0..P {
            let mut x = [V::splat(0.0); R];
            for r in 0..R {
                x[r] = V::load(a.add(r * a_stride + p * V::WIDTH));
            }
            for c in 0..C {
                let y = V::load(b.add(c * b_stride + p * V::WIDTH));
                for r in 0..R {
                    sums[r][c][p] = sums[r][c][p].fma(x[r], y);
                }
            }
        }
    }
}

/// `R` rows of `a` from row `i` on, by the rows `from..to` of `b`, at most `C` (up to 6) at a time. `put` gets the row of
/// `a`, the row of `b` and their dot product.
///
/// # Safety
/// The CPU has the instruction set of `V`; the rows are among those that `Rows::new` was told of, of one width.
#[inline(always)]
pub(super) unsafe fn sweep<V: Register, const R: usize, const C: usize, const P: usize>(
    (a, i): (Rows<'_>, usize),
    (b, from, to): (Rows<'_>, usize, usize),
    mut put: impl FnMut(usize, usize, f32),
) {
    const { assert!(0 < C && C <= 6) }
    let mut j = from;
    while j < to {
        let size = next_tile::<C>(to - j);
        // The next rows of `a` begin with the first ones of `b` again.
        let after = b.at(if j + size < to { j + size } else { from });
        macro_rules! tile {
            ($width:literal) => {{
                let (a_rows, b_rows) = ((a.at(i), a.stride), (b.at(j), b.stride));
                // SAFETY: the caller's promise.
                let tile = unsafe { V::dot_tile::<R, $width, P>(a.width, a_rows, b_rows, after) };
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

/// [`sweep`] for the rows `first..end` of `a`, at most three at a time. One row alone takes `N` registers, the whole
/// block, in one pass, by as many rows of `b` as then fit. `from` says where the rows of `b` begin for a row of `a`.
///
/// # Safety
/// As [`sweep`].
#[inline(always)]
pub(super) unsafe fn sweep_all<V: Register, const C: usize, const P: usize, const N: usize>(
    (a, first, end): (Rows<'_>, usize, usize),
    (b, from, to): (Rows<'_>, impl Fn(usize) -> usize, usize),
    mut put: impl FnMut(usize, usize, f32),
) {
    let mut i = first;
    while i < end {
        let (size, b) = (next_tile::<3>(end - i), (b, from(i), to));
        // SAFETY: the caller's promise.
        unsafe {
            match size {
                3 => sweep::<V, 3, C, P>((a, i), b, &mut put),
                2 => sweep::<V, 2, C, P>((a, i), b, &mut put),
                _ if N == 2 => sweep::<V, 1, 6, N>((a, i), b, &mut put),
                _ => sweep::<V, 1, 3, N>((a, i), b, &mut put),
            }
        }
        i += size;
    }
}

/// The panels of `b`: `(from, to)` of rows that fit the cache.
#[inline(always)]
fn panels<V: Register>(n: usize, k: usize) -> impl Iterator<Item = (usize, usize)> {
    let rows = (V::PANEL / k.max(1)).max(8);
    (0..n).step_by(rows).map(move |from| (from, n.min(from + rows)))
}

/// # Safety
/// The CPU has the instruction set of `V`, and the slices have the shapes that `Kernels::gemm_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn gemm_nt<V: Register, const C: usize, const P: usize, const N: usize>(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let (a, b) = (Rows::new(a, [m, k, k]), Rows::new(b, [n, k, k]));
    let mut put = |i: usize, j: usize, dot| c[i * n + j] = dot;
    for (from, to) in panels::<V>(n, k) {
        // SAFETY: the caller's promise.
        unsafe { sweep_all::<V, C, P, N>((a, 0, m), (b, |_| from, to), &mut put) }
    }
}

/// One triangle is computed and written to both. A tile on the diagonal computes a few pairs twice, to the same bits.
///
/// # Safety
/// The CPU has the instruction set of `V`, and the slices have the shapes that `Kernels::syrk_nt` states.
#[inline(always)]
pub(in super::super) unsafe fn syrk_nt<V: Register, const C: usize, const P: usize, const N: usize>(
    [n, k]: [usize; 2],
    a: &[f32],
    c: &mut [f32],
) {
    let a = Rows::new(a, [n, k, k]);
    let mut put = |i: usize, j: usize, dot| {
        c[i * n + j] = dot;
        c[j * n + i] = dot;
    };
    for (from, to) in panels::<V>(n, k) {
        // SAFETY: the caller's promise.
        unsafe { sweep_all::<V, C, P, N>((a, 0, to), (a, |i| from.max(i), to), &mut put) }
    }
}
