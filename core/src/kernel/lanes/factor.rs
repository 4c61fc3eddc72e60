//! Cholesky factor and triangular systems, by panels: nearly all of the work is done by the tiles of `dots.rs` and
//! `chain.rs`.

use super::super::LANES;
use super::Register;
use super::chain::{Strided, chains};
use super::dots::{Rows, sweep_all};
use crate::math::sqrt;

/// Rows of the factor that share what they read of the rows above.
const PANEL: usize = 48;
/// Rows that are taken from each other one at a time.
const STEP: usize = 6;
/// The most right-hand sides that share what they read of the factor.
const SIDES: usize = 12;

/// # Safety
/// The CPU has the instruction set of `V`, and `a` is `[n, n]`.
#[inline(always)]
pub(in super::super) unsafe fn cholesky<V: Register, const M: usize, const P: usize>(
    n: usize,
    a: &mut [f32],
) -> Result<(), usize> {
    for panel in (0..n).step_by(PANEL) {
        let panel_end = n.min(panel + PANEL);
        // SAFETY: the caller's promise.
        unsafe { update::<V, M, P>(n, a, [0, panel, panel_end]) }
        for step in (panel..panel_end).step_by(STEP) {
            let step_end = panel_end.min(step + STEP);
            // SAFETY: the caller's promise.
            unsafe { update::<V, M, P>(n, a, [panel, step, step_end]) }
            for i in step..step_end {
                let (above, row) = a.split_at_mut(i * n);
                let row = &mut row[i..n];
                for k in step..i {
                    let factor = &above[k * n + i..][..n - i];
                    // SAFETY: the caller's promise.
                    unsafe { V::axpy(-factor[0], factor, row) }
                }
                let pivot = row[0];
                if !(pivot > 0.0 && pivot < f32::INFINITY) {
                    return Err(i);
                }
                row[0] = sqrt(pivot);
                let (root, rest) = (row[0], &mut row[1..]);
                rest.iter_mut().for_each(|x| *x /= root);
            }
        }
    }
    Ok(())
}

/// Takes from the rows `start..end` of `a` what the factor's rows `from..start` contribute.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn update<V: Register, const M: usize, const P: usize>(n: usize, a: &mut [f32], [from, start, end]: [usize; 3]) {
    if from == start {
        return;
    }
    let (above, rows) = a.split_at_mut(start * n);
    let above = Strided { data: &above[from * n + start..], stride: n };
    // SAFETY: the caller's promise.
    unsafe {
        chains::<V, M, P, true>([end - start, n - start, start - from], above, above, (&mut rows[start..], n), true)
    }
}

/// What is left of up to [`SIDES`] right-hand sides in one block of rows.
type Sides = [[f32; LANES]; SIDES];

/// Solves one block for all `sides` at once, since each alone would wait for its own divisions. `rows[k]` is what `x[k]`
/// contributes to the others; `order` is that in which they are solved. `left` is used up.
///
/// # Safety
/// The CPU has the instruction set of `V`.
#[inline(always)]
unsafe fn eliminate<V: Register>(
    rows: &[[f32; LANES]; LANES],
    order: impl Iterator<Item = usize>,
    sides: usize,
    left: &mut Sides,
    solved: &mut Sides,
) {
    for k in order {
        let row = &rows[k];
        for (left, solved) in left.iter_mut().zip(&mut *solved).take(sides) {
            let x = left[k] / row[k];
            solved[k] = x;
            // All lanes: those that are solved, x[k] itself among them, are not read again.
            // SAFETY: the caller's promise.
            unsafe { V::axpy(-x, row, left) }
        }
    }
}

/// # Safety
/// The CPU has the instruction set of `V`, and the slices have the shapes that `Kernels::solve_upper_transposed` states.
#[inline(always)]
pub(in super::super) unsafe fn solve_upper_transposed<V: Register, const M: usize, const P: usize>(
    [n, m]: [usize; 2],
    u: &[f32],
    b: &mut [f32],
) {
    for start in (0..n).step_by(LANES) {
        let end = n.min(start + LANES);
        let mut rows = [[0.0; LANES]; LANES];
        for (k, row) in rows[..end - start].iter_mut().enumerate() {
            row[..end - start].copy_from_slice(&u[(start + k) * n..][start..end]);
        }
        for first in (0..m).step_by(SIDES) {
            let sides = SIDES.min(m - first);
            let b = &mut b[first * n..][..sides * n];
            let (mut left, mut solved): (Sides, Sides) = Default::default();
            for (left, b) in left.iter_mut().zip(b.chunks_exact(n)) {
                left[..end - start].copy_from_slice(&b[start..end]);
            }
            // SAFETY: the caller's promise.
            unsafe { eliminate::<V>(&rows, 0..end - start, sides, &mut left, &mut solved) }
            // Transposed, as the tiles want it.
            let mut by_row = [[0.0; SIDES]; LANES];
            for (side, (solved, b)) in solved.iter().zip(b.chunks_exact_mut(n)).enumerate() {
                b[start..end].copy_from_slice(&solved[..end - start]);
                for (row, x) in by_row.iter_mut().zip(solved) {
                    row[side] = *x;
                }
            }
            if end < n {
                let solved = Strided { data: by_row.as_flattened(), stride: SIDES };
                let factor = Strided { data: &u[start * n + end..], stride: n };
                // SAFETY: the caller's promise.
                unsafe {
                    chains::<V, M, P, true>([sides, n - end, end - start], solved, factor, (&mut b[end..], n), false)
                }
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set of `V`, and the slices have the shapes that `Kernels::solve_upper` states.
#[inline(always)]
pub(in super::super) unsafe fn solve_upper<V: Register, const C: usize, const P: usize, const N: usize>(
    [n, m]: [usize; 2],
    u: &[f32],
    b: &mut [f32],
) {
    for start in (0..n).step_by(LANES).rev() {
        let end = n.min(start + LANES);
        // Column k of the block is what x_k takes from the rows above it; here it is row k.
        let mut columns = [[0.0; LANES]; LANES];
        for i in start..end {
            for k in i..end {
                columns[k - start][i - start] = u[i * n + k];
            }
        }
        // What is right of the block; nothing in the last one.
        let factor = Rows::new(&u[(start * n + end).min(u.len())..], [end - start, n, n - end]);
        for first in (0..m).step_by(SIDES) {
            let sides = SIDES.min(m - first);
            let (mut left, mut solved): (Sides, Sides) = Default::default();
            let right = Rows::new(&b[(first * n + end).min(b.len())..], [sides, n, n - end]);
            let mut put = |side: usize, i: usize, dot| left[side][i] = dot;
            // SAFETY: the caller's promise.
            unsafe {
                sweep_all::<V, C, P, N>((right, 0, sides), (factor, |_| 0, end - start), &mut put);
            }
            let b = &mut b[first * n..][..sides * n];
            for (left, b) in left.iter_mut().zip(b.chunks_exact(n)) {
                for (left, b) in left.iter_mut().zip(&b[start..end]) {
                    *left = b - *left;
                }
            }
            // SAFETY: the caller's promise.
            unsafe { eliminate::<V>(&columns, (0..end - start).rev(), sides, &mut left, &mut solved) }
            for (solved, b) in solved.iter().zip(b.chunks_exact_mut(n)) {
                b[start..end].copy_from_slice(&solved[..end - start]);
            }
        }
    }
}
