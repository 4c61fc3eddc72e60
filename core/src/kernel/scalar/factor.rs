//! Cholesky factor and triangular systems: the specification.

use super::super::LANES;
use super::dot;
use crate::math::{fma, sqrt};

/// Each element is one chain over the rows above, from `a` on; then the square root, or the division by it. (The loops go by
/// rows: an element's own chain is in the order of `k` all the same.)
pub(in super::super) fn cholesky(n: usize, a: &mut [f32]) -> Result<(), usize> {
    for i in 0..n {
        for k in 0..i {
            let minus = -a[k * n + i];
            for j in i..n {
                a[i * n + j] = fma(minus, a[k * n + j], a[i * n + j]);
            }
        }
        let pivot = a[i * n + i];
        if !(pivot > 0.0 && pivot < f32::INFINITY) {
            return Err(i);
        }
        let root = sqrt(pivot);
        a[i * n + i] = root;
        a[i * n + i + 1..(i + 1) * n].iter_mut().for_each(|x| *x /= root);
    }
    Ok(())
}

/// Each element is one chain over those before it, from `b` on; then the division.
pub(in super::super) fn solve_upper_transposed([n, m]: [usize; 2], u: &[f32], b: &mut [f32]) {
    for x in b.chunks_exact_mut(n.max(1)).take(m) {
        for i in 0..n {
            for k in 0..i {
                x[i] = fma(-x[k], u[k * n + i], x[i]);
            }
            x[i] /= u[i * n + i];
        }
    }
}

/// What lies in later blocks of `LANES` is one [`dot`], what lies in the element's own block a chain from the right; then
/// the division.
pub(in super::super) fn solve_upper([n, m]: [usize; 2], u: &[f32], b: &mut [f32]) {
    for x in b.chunks_exact_mut(n.max(1)).take(m) {
        for i in (0..n).rev() {
            let end = n.min((i / LANES + 1) * LANES);
            x[i] -= dot(&u[i * n + end..(i + 1) * n], &x[end..]);
            for k in (i + 1..end).rev() {
                x[i] = fma(-x[k], u[i * n + k], x[i]);
            }
            x[i] /= u[i * n + i];
        }
    }
}
