//! The middle of the preconditioner of few samples, inverted: dearer to make than a factor, but cheaper to use, and a sample
//! that comes or goes changes it by a matrix of rank one.

use super::dual::{Preconditioner, Span};
use crate::kernel::{Kernels, aligned};
use crate::math;

/// `D^½ K D^½ + l2`, inverted: K the inner products, D the curvatures of the samples' losses.
#[derive(Debug)]
pub struct Inverse<'a> {
    /// `[n, n]`
    matrix: &'a mut [f32],
    /// `[n]`, square root of the curvatures D; 0 for a sample that is not there.
    root: &'a mut [f32],
    /// Sum of the curvatures.
    total: f32,
}

impl<'a> Inverse<'a> {
    /// Floats of the buffer for `n` samples; `None` where that overflows.
    pub const fn buffer_len(n: usize) -> Option<usize> {
        match n.checked_add(1) {
            Some(columns) => n.checked_mul(columns),
            None => None,
        }
    }

    /// Room for the inverse of `n` samples, which [`renew`](Self::renew) makes.
    ///
    /// # Panics
    /// If `buffer` is not [`buffer_len`](Self::buffer_len) long.
    pub fn new(n: usize, buffer: &'a mut [f32]) -> Self {
        assert_eq!(Some(buffer.len()), Self::buffer_len(n), "buffer has another length");
        let (matrix, root) = buffer.split_at_mut(n * n);
        Self { matrix, root, total: 0.0 }
    }

    /// The inverse that a buffer holds in which it was made, with the sum of its curvatures.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn resume(n: usize, buffer: &'a mut [f32], total: f32) -> Self {
        Self { total, ..Self::new(n, buffer) }
    }

    /// Sum of the curvatures.
    pub fn total(&self) -> f32 {
        self.total
    }

    /// The inverse that a copy of another one's buffer holds.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of(n: usize, buffer: &'a mut [f32]) -> Self {
        let mut inverse = Self::new(n, buffer);
        inverse.total = inverse.root.iter().map(|root| root * root).sum();
        inverse
    }

    /// Samples that there is room for.
    pub(super) fn len(&self) -> usize {
        self.root.len()
    }

    /// Makes it for `point`, which a fit of the samples has left; false where that has no curvature. `scratch` needs
    /// [`scratch_len`](super::dual::scratch_len) elements of any content.
    ///
    /// # Panics
    /// If a slice is of other samples.
    pub fn renew(&mut self, kernels: Kernels, span: &Span<'_>, l2: f32, point: &[f32], scratch: &mut [f32]) -> bool {
        let n = span.labels.len();
        let (factor, rest) = aligned(scratch).split_at_mut(n * n);
        let (curvature, rest) = rest.split_at_mut(n);
        let gradient = &mut rest[n..][..point.len() / 2];
        span.evaluate(kernels, l2, None, point, gradient, curvature);
        let root = &mut *self.root;
        let mut direct = Preconditioner { kernels, span: *span, l2, factor, curvature, root, total: None };
        direct.factorise();
        let Some(total) = direct.total else { return false };
        self.total = total;
        self.matrix.fill(0.0);
        (0..n).for_each(|i| self.matrix[i * n + i] = 1.0);
        kernels.solve_upper_transposed([n, n], factor, self.matrix);
        kernels.solve_upper([n, n], factor, self.matrix);
        true
    }

    /// Takes in sample `i`, which was not there, with its `inner_products [n]`: the inverse of a matrix with one row and
    /// column more. Its curvature is that of the others on average. `scratch` has `2 n + 15` elements or more.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn add(&mut self, kernels: Kernels, i: usize, inner_products: &[f32], l2: f32, scratch: &mut [f32]) {
        let n = self.root.len();
        let (column, rest) = aligned(scratch).split_at_mut(n);
        let solution = &mut rest[..n];
        let others = self.root.iter().filter(|root| **root > 0.0).count();
        let curvature = self.total / others.max(1) as f32;
        let own = math::sqrt(curvature);
        for ((c, k), root) in column.iter_mut().zip(inner_products).zip(&*self.root) {
            *c = k * root * own;
        }
        column[i] = 0.0;
        kernels.gemv([n, n], self.matrix, column, solution);
        let pivot = curvature * inner_products[i] + l2 - kernels.dot(column, solution);
        let pivot = pivot.max(l2);
        solution[i] = -1.0;
        // The free slot was alone with the penalty: its row and column were zero but for the diagonal.
        self.matrix[i * n + i] = 0.0;
        kernels.ger(1.0 / pivot, solution, solution, self.matrix);
        self.root[i] = own;
        self.total += curvature;
    }

    /// Takes out sample `i`. `scratch` has `n + 15` elements or more.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn remove(&mut self, kernels: Kernels, i: usize, l2: f32, scratch: &mut [f32]) {
        let n = self.root.len();
        let row = &mut aligned(scratch)[..n];
        row.copy_from_slice(&self.matrix[i * n..][..n]);
        kernels.ger(-1.0 / row[i], row, row, self.matrix);
        self.matrix[i * n..][..n].fill(0.0);
        self.matrix.chunks_exact_mut(n).for_each(|other| other[i] = 0.0);
        self.matrix[i * n + i] = 1.0 / l2;
        self.root[i] = 0.0;
        self.total = self.root.iter().map(|root| root * root).sum();
    }

    /// How the weights answer a force on the logit of sample `i`, as far as the curvatures of the others and the penalty
    /// tell: `response [n]` in the span, for a force of 1; returns the answer of the bias, times its unit. Both are those of
    /// a matrix without the sample, which this one has.
    pub(super) fn respond(&self, i: usize, l2: f32, response: &mut [f32]) -> f32 {
        let n = self.root.len();
        let (row, own) = (&self.matrix[i * n..][..n], self.root[i]);
        let factor = 1.0 / (row[i] * own * l2);
        for ((to, from), root) in response.iter_mut().zip(row).zip(&*self.root) {
            *to = factor * root * from;
        }
        1.0 / (self.total - own * own).max(own * own)
    }

    /// Multiplies the first half of a gradient with the inverse of the Hessian without the coupling of the classes, `Xᵀ D X +
    /// l2`: in the span that is `D^½ (D^½ K D^½ + l2)⁻¹ D^-½`. `vector` gets both halves. Both sum to zero over the classes,
    /// as softmax's gradients do, so that the last class need not be multiplied. `work` has twice `n_classes * n` elements or
    /// more.
    pub(super) fn apply(
        &self,
        kernels: Kernels,
        span: &Span<'_>,
        l2: f32,
        gradient: &[f32],
        vector: &mut [f32],
        work: &mut [f32],
    ) {
        let (n, alphas) = (self.root.len(), span.n_classes * self.root.len());
        let most = alphas - n;
        let (sides, rest) = work.split_at_mut(most);
        let solutions = &mut rest[..most];
        for (to, from) in sides.chunks_exact_mut(n).zip(gradient.chunks_exact(n)) {
            let share = |from: f32, root: f32| if root > 0.0 { from / root } else { 0.0 };
            to.iter_mut().zip(from).zip(&*self.root).for_each(|((to, from), root)| *to = share(*from, *root));
        }
        kernels.gemm_nt([most / n, n, n], sides, self.matrix, solutions);
        let [alpha, bias, product, again] = span.split(vector);
        let ((alpha, last_alpha), (product, last_product)) = (alpha.split_at_mut(most), product.split_at_mut(most));
        finish(l2, self.root, [&gradient[..most], solutions], alpha, product);
        for (i, _) in self.root.iter().enumerate().filter(|(_, root)| **root == 0.0) {
            let inner_products = &span.gram[i * n..][..n];
            // Of a free slot all are zero.
            let is_there = inner_products[i] > 0.0;
            for (alpha, product) in alpha.chunks_exact(n).zip(product.chunks_exact_mut(n)) {
                product[i] = if is_there { kernels.dot(alpha, inner_products) } else { 0.0 };
            }
        }
        for (rows, last) in [(&*alpha, last_alpha), (&*product, last_product)] {
            last.fill(0.0);
            rows.chunks_exact(n).for_each(|row| last.iter_mut().zip(row).for_each(|(last, x)| *last -= x));
        }
        let curvature = self.total * span.bias_unit * span.bias_unit;
        bias.iter_mut().zip(&gradient[alphas..]).for_each(|(b, g)| *b = g / curvature);
        again.copy_from_slice(bias);
    }
}

/// The two halves of `D^½ solutions`, of which the second is known from what was solved:
/// `D K alpha + l2 alpha = right-hand sides`. It means nothing where a sample is out.
fn finish(l2: f32, root: &[f32], [sides, solutions]: [&[f32]; 2], alpha: &mut [f32], product: &mut [f32]) {
    let n = root.len();
    let rows = sides.chunks_exact(n).zip(solutions.chunks_exact(n));
    for ((alpha, product), (sides, solutions)) in alpha.chunks_exact_mut(n).zip(product.chunks_exact_mut(n)).zip(rows) {
        let known = sides.iter().zip(solutions).zip(root);
        for ((alpha, product), ((side, solution), root)) in alpha.iter_mut().zip(product).zip(known) {
            *alpha = if *root > 0.0 { root * solution } else { side / l2 };
            *product = (side - l2 * *alpha) / (root * root);
        }
    }
}
