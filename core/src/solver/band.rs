//! Symmetric matrices in band form, so that `(K + l2 I)^-1` is cheap for every L2 of a path.
//!
//! `K = Q B Qᵀ` with Q orthogonal and B zero beyond [`WIDTH`] places off its diagonal, by blocks of Householder reflections
//! (Bischof, Lang & Sun 2000, "A framework for symmetric band reduction", the first of its stages; reflections blocked as in
//! Schreiber & Van Loan 1989). That takes `5/3 n^3` multiply-adds once, all in the matrix kernels, and less than the
//! eigenvectors would; then each L2 is a band Cholesky: `n WIDTH` steps a right-hand side.

use crate::kernel::Kernels;
use crate::math;

/// Places off the diagonal that B keeps: as many rows as a tile of the kernels has.
pub(super) const WIDTH: usize = 12;
/// Numbers in a row of a band, the diagonal last.
pub(super) const ROW: usize = WIDTH + 1;

/// Length of the band of an `[n, n]` matrix.
pub(super) const fn band_len(n: usize) -> Option<usize> {
    n.checked_mul(ROW)
}

/// Length of the work space of [`Factor::inverse_forms`] for `m` columns.
pub(super) const fn forms_work_len(m: usize) -> Option<usize> {
    let Some(blocks) = m.checked_mul(2 * WIDTH) else { return None };
    blocks.checked_add(2 * WIDTH * WIDTH)
}

/// Length of the work space of [`reduce`].
pub(super) const fn work_len(n: usize) -> Option<usize> {
    let Some(square) = n.checked_mul(n) else { return None };
    let Some(strips) = n.checked_mul(7 * WIDTH) else { return None };
    let Some(sum) = (square / 2).checked_add(strips) else { return None };
    sum.checked_add(6 * WIDTH * WIDTH)
}

/// Takes the first `len` elements off a slice.
pub(super) fn take<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (first, others) = core::mem::take(rest).split_at_mut(len);
    *rest = others;
    first
}

/// Turns the symmetric `a [n, n]` into `Qᵀ [n, n]` and fills `band [n, ROW]`: row `i` holds `B[i][i - WIDTH ..= i]`.
/// `a` should be of size about 1, so that squares neither over- nor underflow.
pub(super) fn reduce(kernels: Kernels, n: usize, a: &mut [f32], band: &mut [f32], work: &mut [f32]) {
    const SQUARE: usize = WIDTH * WIDTH;
    band.fill(0.0);
    let mut rest = work;
    let small = take(&mut rest, 3 * SQUARE);
    let strips = take(&mut rest, 6 * WIDTH * n);
    // Reflections of each panel, then its T, one after another.
    let mut used = 0;
    let (mut first, mut size) = (0, n);
    while size > WIDTH + 1 {
        let below = size - WIDTH;
        let (v, t) = rest[used..][..WIDTH * below + SQUARE].split_at_mut(WIDTH * below);
        used += WIDTH * below + SQUARE;
        for j in 0..WIDTH {
            for c in 0..=j {
                band[(first + j) * ROW + WIDTH + c - j] = a[j * size + c];
            }
            v[j * below..][..below].copy_from_slice(&a[j * size + WIDTH..][..below]);
        }
        let mut tau = [0.0; WIDTH];
        for j in 0..WIDTH {
            let (row, later) = v[j * below..].split_at_mut(below);
            for c in 0..=j.min(below - 1) {
                band[(first + WIDTH + c) * ROW + j - c] = row[c];
            }
            let (beta, t) = reflection(kernels, row, j);
            tau[j] = t;
            if j < below {
                band[(first + WIDTH + j) * ROW] = beta;
            }
            for other in later.chunks_exact_mut(below) {
                let share = kernels.dot(row, other);
                kernels.axpy(-t * share, row, other);
            }
        }
        let (gram, small) = small.split_at_mut(SQUARE);
        kernels.syrk_nt([WIDTH, below], v, gram);
        triangle(&tau, gram, t);
        // The trailing matrix moves to the front.
        for i in 0..below {
            a.copy_within((WIDTH + i) * size + WIDTH..(WIDTH + i + 1) * size, i * below);
        }
        two_sided(kernels, below, &mut a[..below * below], v, t, strips, small);
        (first, size) = (first + WIDTH, below);
    }
    for i in 0..size {
        for c in i.saturating_sub(WIDTH)..=i {
            band[(first + i) * ROW + WIDTH + c - i] = a[i * size + c];
        }
    }
    // Qᵀ grows from its last corner: the panels in reverse, each adding WIDTH coordinates in front.
    identity(a, size);
    while size < n {
        let below = size;
        used -= WIDTH * below + SQUARE;
        let (v, t) = rest[used..][..WIDTH * below + SQUARE].split_at(WIDTH * below);
        apply(kernels, below, &mut a[..below * below], v, t, strips, small);
        size += WIDTH;
        for i in (0..below).rev() {
            a.copy_within(i * below..(i + 1) * below, (WIDTH + i) * size + WIDTH);
            a[(WIDTH + i) * size..][..WIDTH].fill(0.0);
        }
        for i in 0..WIDTH {
            a[i * size..][..size].fill(0.0);
            a[i * size + i] = 1.0;
        }
    }
}

fn identity(a: &mut [f32], n: usize) {
    a[..n * n].fill(0.0);
    (0..n).for_each(|i| a[i * n + i] = 1.0);
}

/// Makes `row` the vector v of a reflection `I - tau v vᵀ` that takes its elements after `j` to zero; returns what element
/// `j` becomes, and `tau`. v has zeros before `j` and 1 at it.
fn reflection(kernels: Kernels, row: &mut [f32], j: usize) -> (f32, f32) {
    if j >= row.len() {
        row.fill(0.0);
        return (0.0, 0.0);
    }
    row[..j].fill(0.0);
    let head = row[j];
    row[j] = 0.0;
    let rest = kernels.dot(row, row);
    let (mut beta, mut tau) = (head, 0.0);
    if rest > 0.0 {
        let length = math::sqrt(head * head + rest);
        beta = if head > 0.0 { -length } else { length };
        tau = (beta - head) / beta;
        let factor = 1.0 / (head - beta);
        row[j..].iter_mut().for_each(|x| *x *= factor);
    }
    row[j] = 1.0;
    (beta, tau)
}

/// T of `H_0 H_1 ... = I - V T Vᵀ`, upper triangular, `[WIDTH, WIDTH]`, from `VᵀV`.
fn triangle(tau: &[f32; WIDTH], gram: &[f32], t: &mut [f32]) {
    t.fill(0.0);
    for j in 0..WIDTH {
        t[j * WIDTH + j] = tau[j];
        for i in 0..j {
            let sum: f32 = (i..j).map(|k| t[i * WIDTH + k] * gram[k * WIDTH + j]).sum();
            t[i * WIDTH + j] = -tau[j] * sum;
        }
    }
}

/// `[rows, WIDTH]` to `[WIDTH, rows]`.
fn transpose(rows: usize, from: &[f32], to: &mut [f32]) {
    for (i, row) in from.chunks_exact(WIDTH).enumerate() {
        for (c, x) in row.iter().enumerate() {
            to[c * rows + i] = *x;
        }
    }
}

/// `a <- Pᵀ a P` with `P = I - V T Vᵀ`: `a - W Vᵀ - V Wᵀ`, `W = X - V S / 2`, `X = a V T`, `S = Tᵀ Vᵀ X`.
fn two_sided(kernels: Kernels, n: usize, a: &mut [f32], v: &[f32], t: &[f32], strips: &mut [f32], small: &mut [f32]) {
    let strip = WIDTH * n;
    let (y, rest) = strips.split_at_mut(strip);
    let (y_rows, rest) = rest.split_at_mut(strip);
    let (left, rest) = rest.split_at_mut(2 * strip);
    let right = &mut rest[..2 * strip];
    // a by rows, so that it passes by once.
    kernels.gemm_nt([n, WIDTH, n], a, v, y);
    transpose(n, y, y_rows);
    let (v_again, w) = right.split_at_mut(strip);
    w.fill(0.0);
    kernels.gemm_tn([WIDTH, n, WIDTH], t, y_rows, w);
    let (vx, s) = small.split_at_mut(WIDTH * WIDTH);
    kernels.gemm_nt([WIDTH, WIDTH, n], v, w, vx);
    for i in 0..WIDTH {
        for c in 0..WIDTH {
            let sum: f32 = (0..=i).map(|r| t[r * WIDTH + i] * vx[r * WIDTH + c]).sum();
            s[i * WIDTH + c] = -0.5 * sum;
        }
    }
    kernels.gemm_tn([WIDTH, n, WIDTH], &s[..WIDTH * WIDTH], v, w);
    v_again.copy_from_slice(v);
    for (left, x) in left.iter_mut().zip(w.iter().chain(v)) {
        *left = -x;
    }
    kernels.gemm_tn([n, n, 2 * WIDTH], left, right, a);
}

/// `a <- a (I - V Tᵀ Vᵀ)`.
fn apply(kernels: Kernels, n: usize, a: &mut [f32], v: &[f32], t: &[f32], strips: &mut [f32], small: &mut [f32]) {
    let strip = WIDTH * n;
    let (y, rest) = strips.split_at_mut(strip);
    let (y_rows, rest) = rest.split_at_mut(strip);
    let h = &mut rest[..strip];
    kernels.gemm_nt([n, WIDTH, n], a, v, y);
    transpose(n, y, y_rows);
    let minus_t = &mut small[..WIDTH * WIDTH];
    for r in 0..WIDTH {
        for c in 0..WIDTH {
            minus_t[c * WIDTH + r] = -t[r * WIDTH + c];
        }
    }
    h.fill(0.0);
    kernels.gemm_tn([WIDTH, n, WIDTH], minus_t, y_rows, h);
    kernels.gemm_tn([n, n, WIDTH], h, v, a);
}

/// `B + l2 I = L Lᵀ`, L of the layout of the band.
#[derive(Debug)]
pub(super) struct Factor<'a> {
    kernels: Kernels,
    n: usize,
    l: &'a [f32],
}

impl<'a> Factor<'a> {
    /// Factors `band + l2 I` into `l`; `None` where that is not positive to the precision of f32. Sums in f64: there are few.
    pub(super) fn new(kernels: Kernels, n: usize, band: &[f32], l2: f32, l: &'a mut [f32]) -> Option<Self> {
        for i in 0..n {
            for c in i.saturating_sub(WIDTH)..=i {
                let at = |row: usize, column: usize| row * ROW + WIDTH + column - row;
                let first = i.saturating_sub(WIDTH);
                let sum: f64 = (first..c).map(|k| l[at(i, k)] as f64 * l[at(c, k)] as f64).sum();
                let rest = band[at(i, c)] as f64 - sum;
                if c < i {
                    l[at(i, c)] = (rest / l[at(c, c)] as f64) as f32;
                    continue;
                }
                let pivot = (rest + l2 as f64) as f32;
                if !(pivot > 0.0 && pivot < f32::INFINITY) {
                    return None;
                }
                l[at(i, i)] = math::sqrt(pivot);
            }
        }
        Some(Self { kernels, n, l })
    }

    /// The factor that [`new`](Self::new) left in `l`.
    pub(super) fn resume(kernels: Kernels, n: usize, l: &'a [f32]) -> Self {
        Self { kernels, n, l }
    }

    /// `L[row][column]`, zero off the band.
    fn at(&self, row: usize, column: usize) -> f32 {
        if column > row || column + WIDTH < row { 0.0 } else { self.l[row * ROW + WIDTH + column - row] }
    }

    /// Solves `L Lᵀ x = b` in place for the columns of `b [n, m]`.
    pub(super) fn solve(&self, m: usize, b: &mut [f32]) {
        for i in 0..self.n {
            let (before, row) = b.split_at_mut(i * m);
            self.substitute(m, i.saturating_sub(WIDTH)..i, |k| self.at(i, k), before, 0, &mut row[..m], self.at(i, i));
        }
        for i in (0..self.n).rev() {
            let (row, after) = b[i * m..].split_at_mut(m);
            let later = i + 1..self.n.min(i + 1 + WIDTH);
            self.substitute(m, later, |k| self.at(k, i), after, i + 1, row, self.at(i, i));
        }
    }

    /// `row = (row - sum of factor(k) * rows[k - first]) / pivot`.
    #[allow(clippy::too_many_arguments, reason = "the inner step of two loops")]
    fn substitute(
        &self,
        m: usize,
        range: core::ops::Range<usize>,
        factor: impl Fn(usize) -> f32,
        rows: &[f32],
        first: usize,
        row: &mut [f32],
        pivot: f32,
    ) {
        for k in range {
            let factor = factor(k);
            for (x, other) in row.iter_mut().zip(&rows[(k - first) * m..][..m]) {
                *x -= factor * other;
            }
        }
        row.iter_mut().for_each(|x| *x /= pivot);
    }

    /// `z_jᵀ (B + l2 I)^-1 z_j` for each column of `z [n, m]`, into `forms [m]`; `work` has
    /// [`forms_work_len`] elements.
    pub(super) fn inverse_forms(&self, m: usize, z: &[f32], forms: &mut [f32], work: &mut [f32]) {
        let (blocks, rest) = work[..2 * WIDTH * (m + WIDTH)].split_at_mut(2 * WIDTH * m);
        let (mut before, mut block) = blocks.split_at_mut(WIDTH * m);
        let (inverse, rest) = rest.split_at_mut(WIDTH * WIDTH);
        let coupling = &mut rest[..WIDTH * WIDTH];
        forms.fill(0.0);
        for first in (0..self.n).step_by(WIDTH) {
            let rows = WIDTH.min(self.n - first);
            // inverse = (L_JJ^-1)ᵀ, coupling = -(L_JJ^-1 L_JI)ᵀ: y_J = L_JJ^-1 (z_J - L_JI y_I).
            for c in 0..rows {
                for r in 0..rows {
                    let unit = if r == c { 1.0 } else { 0.0 };
                    let sum: f32 = (c..r).map(|k| self.at(first + r, first + k) * inverse[c * rows + k]).sum();
                    inverse[c * rows + r] = if r < c { 0.0 } else { (unit - sum) / self.at(first + r, first + r) };
                }
            }
            let block_rows = &mut block[..rows * m];
            block_rows.fill(0.0);
            self.kernels.gemm_tn([rows, m, rows], &inverse[..rows * rows], &z[first * m..][..rows * m], block_rows);
            if first > 0 {
                for c in 0..WIDTH {
                    for r in 0..rows {
                        let l = |k| self.at(first + k, first - WIDTH + c);
                        coupling[c * rows + r] = -(0..=r).map(|k| inverse[k * rows + r] * l(k)).sum::<f32>();
                    }
                }
                self.kernels.gemm_tn([rows, m, WIDTH], &coupling[..WIDTH * rows], before, block_rows);
            }
            for row in block_rows.chunks_exact(m.max(1)) {
                for (form, y) in forms.iter_mut().zip(row) {
                    *form += y * y;
                }
            }
            core::mem::swap(&mut before, &mut block);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "band_tests.rs"]
pub(in crate::solver) mod tests;
