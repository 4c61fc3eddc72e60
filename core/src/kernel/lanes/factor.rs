//! Cholesky factor and triangular systems, by panels: nearly all of the work is done by the tiles of `dots.rs` and
//! `chain.rs`.

use super::super::LANES;
use super::chain::{Strided, chains};
use super::dots::{Rows, sweep};
use super::{Half, axpy};
use crate::math::{fma, sqrt};

/// Rows of the factor that share what they read of the rows above.
const PANEL: usize = 48;
/// Rows that are taken from each other one at a time.
const STEP: usize = 6;
/// The most right-hand sides that share what they read of the factor.
const SIDES: usize = 12;

/// # Safety
/// The CPU has the instruction set of `H`, and `a` is `[n, n]`.
#[inline(always)]
pub(in super::super) unsafe fn cholesky<H: Half, const M: usize, const P: usize>(
    n: usize,
    a: &mut [f32],
) -> Result<(), usize> {
    // `rows[start..][..count]`, in place, less what the factor's rows `from..start` contribute.
    let update = |a: &mut [f32], from: usize, start: usize, count: usize| {
        let (above, rows) = a.split_at_mut(start * n);
        let above = Strided { data: &above[from * n + if from < start { start } else { 0 }..], stride: n };
        // SAFETY: the caller's promise.
        unsafe {
            chains::<H, M, P, true>([count, n - start, start - from], above, above, (&mut rows[start..], n), true)
        }
    };
    for panel in (0..n).step_by(PANEL) {
        let panel_end = n.min(panel + PANEL);
        update(a, 0, panel, panel_end - panel);
        for step in (panel..panel_end).step_by(STEP) {
            let step_end = panel_end.min(step + STEP);
            update(a, panel, step, step_end - step);
            for i in step..step_end {
                let (above, row) = a.split_at_mut(i * n);
                let row = &mut row[i..n];
                for k in step..i {
                    let factor = &above[k * n + i..][..n - i];
                    // SAFETY: the caller's promise.
                    unsafe { axpy::<H>(-factor[0], factor, row) }
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

/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::solve_upper_transposed` states.
#[inline(always)]
pub(in super::super) unsafe fn solve_upper_transposed<H: Half, const M: usize, const P: usize>(
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
                    chains::<H, M, P, true>([sides, n - end, end - start], solved, factor, (&mut b[end..], n), false)
                }
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set of `H`, and the slices have the shapes that `Kernels::solve_upper` states.
#[inline(always)]
pub(in super::super) unsafe fn solve_upper<H: Half, const R: usize, const C: usize>(
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
        let factor = Rows { data: &u[start * n + if end < n { end } else { 0 }..], stride: n, width: n - end };
        for first in (0..m).step_by(R) {
            let sides = R.min(m - first);
            let mut dots = [[0.0; LANES]; R];
            let tail = Rows { data: &b[first * n + if end < n { end } else { 0 }..], stride: n, width: n - end };
            // SAFETY: the caller's promise.
            unsafe {
                if sides == R {
                    sweep::<H, R, C>((tail, 0), (factor, 0, end - start), |side, i, dot| dots[side][i] = dot);
                } else {
                    for side in 0..sides {
                        sweep::<H, 1, C>((tail, side), (factor, 0, end - start), |side, i, dot| dots[side][i] = dot);
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
