//! Each kernel once, over a block of [`LANES`] floats in whatever registers the instruction set has.
//!
//! Every function here is inlined into a function of `avx2.rs`, `avx512.rs` or `neon.rs` that enables the instruction
//! set; until then it would be wrong to call, which is why [`Lanes`]' operations are unsafe.

use super::LANES;
use super::scalar::padded;

/// `LANES` floats in registers.
pub(super) trait Lanes: Copy {
    /// Loads a block.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn load(block: &[f32; LANES]) -> Self;

    /// The same value in each lane.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn splat(value: f32) -> Self;

    /// `a * b + self` in each lane, rounded once.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn fma(self, a: Self, b: Self) -> Self;

    /// Stores a block.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn store(self, block: &mut [f32; LANES]);

    /// Sum of the lanes: folded in halves, `l + (l + 16)`, then 8, 4, 2, 1.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn sum(self) -> f32;
}

/// # Safety
/// The CPU has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn dot<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { dot_tile::<L, 1, 1>([a], [b])[0][0] }
}

/// The dot products of `R` rows with `C` rows, all of one length: each block that is loaded serves several of them.
///
/// # Safety
/// The CPU has the instruction set of `L`.
#[inline(always)]
unsafe fn dot_tile<L: Lanes, const R: usize, const C: usize>(a: [&[f32]; R], b: [&[f32]; C]) -> [[f32; C]; R] {
    let a = a.map(|row| row.as_chunks::<LANES>());
    let b = b.map(|row| row.as_chunks::<LANES>());
    let blocks = a[0].0.len();
    // The caller's rows have one length; said here, the bounds of the loop need no check in it.
    let a_blocks = a.map(|(row, _)| &row[..blocks]);
    let b_blocks = b.map(|(row, _)| &row[..blocks]);
    // SAFETY: the caller's promise, for each operation on lanes below.
    unsafe {
        let mut sums = [[L::splat(0.0); C]; R];
        for block in 0..blocks {
            for r in 0..R {
                let x = L::load(&a_blocks[r][block]);
                for c in 0..C {
                    sums[r][c] = sums[r][c].fma(x, L::load(&b_blocks[c][block]));
                }
            }
        }
        if !a[0].1.is_empty() {
            let b_tails = b.map(|(_, tail)| padded(tail));
            for r in 0..R {
                let x = L::load(&padded(a[r].1));
                for c in 0..C {
                    sums[r][c] = sums[r][c].fma(x, L::load(&b_tails[c]));
                }
            }
        }
        // Loops, since a closure would not be compiled with the instruction set.
        let mut dots = [[0.0; C]; R];
        for r in 0..R {
            for c in 0..C {
                dots[r][c] = sums[r][c].sum();
            }
        }
        dots
    }
}

/// # Safety
/// The CPU has the instruction set of `L`.
#[inline(always)]
pub(super) unsafe fn axpy<L: Lanes>(alpha: f32, x: &[f32], y: &mut [f32]) {
    let (x_blocks, x_tail) = x.as_chunks::<LANES>();
    let (y_blocks, y_tail) = y.as_chunks_mut::<LANES>();
    // SAFETY: the caller's promise, for each operation on lanes below.
    unsafe {
        let alpha = L::splat(alpha);
        for (x, y) in x_blocks.iter().zip(y_blocks) {
            L::load(y).fma(alpha, L::load(x)).store(y);
        }
        if !y_tail.is_empty() {
            let mut block = padded(y_tail);
            L::load(&block).fma(alpha, L::load(&padded(x_tail))).store(&mut block);
            y_tail.copy_from_slice(&block[..y_tail.len()]);
        }
    }
}

/// `R` rows of `a` by `C` rows of `b` at a time; what is left over goes one by one.
///
/// # Safety
/// The CPU has the instruction set of `L`, and the slices have the shapes that `Kernels::gemm_nt` states.
#[inline(always)]
pub(super) unsafe fn gemm_nt<L: Lanes, const R: usize, const C: usize>(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
) {
    let (whole_m, whole_n) = (m - m % R, n - n % C);
    let a_row = |i: usize| &a[i * k..(i + 1) * k];
    let b_row = |j: usize| &b[j * k..(j + 1) * k];
    // SAFETY: the caller's promise, for each tile below.
    unsafe {
        for i in (0..whole_m).step_by(R) {
            let a_rows: [&[f32]; R] = core::array::from_fn(|r| a_row(i + r));
            for j in (0..whole_n).step_by(C) {
                let tile = dot_tile::<L, R, C>(a_rows, core::array::from_fn(|c| b_row(j + c)));
                for (r, row) in tile.iter().enumerate() {
                    c[(i + r) * n + j..][..C].copy_from_slice(row);
                }
            }
            for j in whole_n..n {
                for (r, [value]) in dot_tile::<L, R, 1>(a_rows, [b_row(j)]).into_iter().enumerate() {
                    c[(i + r) * n + j] = value;
                }
            }
        }
        for i in whole_m..m {
            for j in (0..whole_n).step_by(C) {
                let [row] = dot_tile::<L, 1, C>([a_row(i)], core::array::from_fn(|c| b_row(j + c)));
                c[i * n + j..][..C].copy_from_slice(&row);
            }
            for j in whole_n..n {
                c[i * n + j] = dot_tile::<L, 1, 1>([a_row(i)], [b_row(j)])[0][0];
            }
        }
    }
}

/// `M` rows by `LANES` columns of `c` at a time stay in registers while the `k` rows pass by.
///
/// # Safety
/// The CPU has the instruction set of `L`, and the slices have the shapes that `Kernels::gemm_tn` states.
#[inline(always)]
pub(super) unsafe fn gemm_tn<L: Lanes, const M: usize>([m, n, k]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    let whole_m = m - m % M;
    for column in (0..n).step_by(LANES) {
        // SAFETY: the caller's promise; `i + M <= m` in the first loop, `i < m` in the second, `column < n` in both.
        unsafe {
            for i in (0..whole_m).step_by(M) {
                chain_tile::<L, M>([m, n, k], a, b, c, i, column);
            }
            for i in whole_m..m {
                chain_tile::<L, 1>([m, n, k], a, b, c, i, column);
            }
        }
    }
}

/// `c[i..i + M][column..column + LANES] += aᵀ b`; fewer columns at the right edge.
///
/// # Safety
/// As [`gemm_tn`], and `i + M <= m`, `column < n`.
#[inline(always)]
unsafe fn chain_tile<L: Lanes, const M: usize>(
    [m, n, k]: [usize; 3],
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    i: usize,
    column: usize,
) {
    let width = LANES.min(n - column);
    // SAFETY: the caller's promise for the operations on lanes. The unchecked reads are in bounds since
    // `row < k`, `a` is `[k, m]` with `i + r < m`, and `b` is `[k, n]` with `column + LANES <= n` where they read blocks.
    unsafe {
        let mut sums = [L::splat(0.0); M];
        for (r, sum) in sums.iter_mut().enumerate() {
            *sum = L::load(&padded(&c[(i + r) * n + column..][..width]));
        }
        for row in 0..k {
            let x = if width == LANES {
                L::load(&*b.as_ptr().add(row * n + column).cast::<[f32; LANES]>())
            } else {
                L::load(&padded(&b[row * n + column..][..width]))
            };
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(L::splat(*a.get_unchecked(row * m + i + r)), x);
            }
        }
        for (r, sum) in sums.iter().enumerate() {
            let mut block = [0.0; LANES];
            sum.store(&mut block);
            c[(i + r) * n + column..][..width].copy_from_slice(&block[..width]);
        }
    }
}
