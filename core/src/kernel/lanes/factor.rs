//! Cholesky factor and triangular systems, by panels: nearly all of the work is done by the tiles of `dots.rs` and
//! `chain.rs`.

use super::super::LANES;
use super::chain::{Strided, chains};
use super::dots::{Rows, sweep};
use super::{Register, axpy};
use crate::math::{fma, sqrt};

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
                    unsafe { axpy::<V>(-factor[0], factor, row) }
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
        for first in (0..m).step_by(SIDES) {
            let sides = SIDES.min(m - first);
            // The solved part, transposed, as the tiles want it.
            let mut solved = [0.0; LANES * SIDES];
            let b = &mut b[first * n..][..sides * n];
            for (side, row) in b.chunks_exact_mut(n).enumerate() {
                let x = &mut row[start..end];
                for k in 0..x.len() {
                    let factor = &u[(start + k) * n + start + k..][..x.len() - k];
                    x[k] /= factor[0];
                    let minus = -x[k];
                    for (x, u) in x[k + 1..].iter_mut().zip(&factor[1..]) {
                        *x = fma(minus, *u, *x);
                    }
                }
                for (k, x) in x.iter().enumerate() {
                    solved[k * sides + side] = *x;
                }
            }
            if end < n {
                let solved = Strided { data: &solved, stride: sides };
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
pub(in super::super) unsafe fn solve_upper<
    V: Register,
    const R: usize,
    const C: usize,
    const P: usize,
    const N: usize,
>(
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
        let factor = Rows::new(&u[(start * n + end).min(u.len())..], [end - start, n, n - end]);
        for first in (0..m).step_by(R) {
            let sides = R.min(m - first);
            let mut dots = [[0.0; LANES]; R];
            let tail = Rows::new(&b[(first * n + end).min(b.len())..], [sides, n, n - end]);
            // SAFETY: the caller's promise.
            unsafe {
                if sides == R {
                    sweep::<V, R, C, P>((tail, 0), (factor, 0, end - start), |side, i, dot| dots[side][i] = dot);
                } else {
                    for side in 0..sides {
                        sweep::<V, 1, 3, N>((tail, side), (factor, 0, end - start), |side, i, dot| dots[side][i] = dot);
                    }
                }
            }
            for (side, dots) in dots[..sides].iter().enumerate() {
                let x = &mut b[(first + side) * n..][start..end];
                for (x, dot) in x.iter_mut().zip(dots) {
                    *x -= dot;
                }
                for k in (0..x.len()).rev() {
                    x[k] /= columns[k][k];
                    let minus = -x[k];
                    for (x, u) in x[..k].iter_mut().zip(&columns[k]) {
                        *x = fma(minus, *u, *x);
                    }
                }
            }
        }
    }
}
