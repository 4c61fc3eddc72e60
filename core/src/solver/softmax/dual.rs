//! Few samples: the optimum lies in their span, so it is sought there, from their inner products alone.
//!
//! The weights are `W = alphaᵀ X` with a row of `alpha` for each class (representer theorem), and `K = X Xᵀ` is all that is
//! needed of the features: the logits are `alpha K`, the penalty is `l2 / 2 * alpha K alphaᵀ`, and the gradient with respect to W is
//! `(residuals + l2 * alpha) X`. Each vector here carries its product with K, so that inner products are those of the weights
//! themselves: the path is that of L-BFGS on W, at the price of `[n, n]` instead of `[n, feature_dim]` products.

use super::loss::{BLOCK, cross_entropy};
use crate::kernel::Kernels;
use crate::solver::lbfgs::Problem;

/// A curvature below this share of the largest counts as this: keeps the preconditioner's divisions tame.
const LEAST_CURVATURE: f32 = 1e-6;

/// Length of a vector: `alpha [n_classes, n]` and the bias `[n_classes]`, then `alpha K` and the bias once more.
pub(super) const fn vector_len(n: usize, n_classes: usize) -> Option<usize> {
    match n_classes.checked_mul(n) {
        Some(alpha) => match alpha.checked_add(n_classes) {
            Some(half) => half.checked_mul(2),
            None => None,
        },
        None => None,
    }
}

/// Softmax regression on inner products.
pub(super) struct Dual<'a> {
    pub kernels: Kernels,
    pub labels: &'a [u16],
    pub weights: Option<&'a [f32]>,
    pub n_classes: usize,
    pub l2: f32,
    /// The bias is counted in this unit, so that it is about as stiff as the weights.
    pub bias_unit: f32,
    /// `[n, n]`, inner products of the centred samples.
    pub gram: &'a [f32],
    /// `[n, n]`, the Cholesky factor of the preconditioner.
    pub factor: &'a mut [f32],
    /// `[n]`, curvature of each sample's loss at the point that was evaluated last.
    pub curvature: &'a mut [f32],
    /// `[n]`, square root of the curvature that the factor was made from.
    pub root: &'a mut [f32],
    /// Sum of those curvatures, or `None` without a factor.
    pub total: Option<f32>,
}

impl Dual<'_> {
    fn n(&self) -> usize {
        self.labels.len()
    }

    /// The four parts of a vector.
    fn split<'v>(&self, vector: &'v mut [f32]) -> [&'v mut [f32]; 4] {
        let alphas = self.n_classes * self.n();
        let (first, second) = vector.split_at_mut(alphas + self.n_classes);
        let (alpha, bias) = first.split_at_mut(alphas);
        let (product, again) = second.split_at_mut(alphas);
        [alpha, bias, product, again]
    }

    /// Makes the second half of a vector from the first.
    pub fn complete(&self, vector: &mut [f32]) {
        let n = self.n();
        let [alpha, bias, product, again] = self.split(vector);
        self.kernels.gemm_nt([self.n_classes, n, n], alpha, self.gram, product);
        again.copy_from_slice(bias);
    }
}

impl Problem for Dual<'_> {
    const RESCALE: bool = false;

    fn evaluate(&mut self, x: &[f32], gradient: &mut [f32]) -> f64 {
        let (n, alphas) = (self.n(), self.n_classes * self.n());
        let (alpha, product) = (&x[..alphas], &x[alphas + self.n_classes..][..alphas]);
        let mut value = 0.5 * self.l2 as f64 * self.kernels.dot(alpha, product) as f64;
        let [residuals, bias_gradient, _, _] = self.split(gradient);
        for (class, (row, logits)) in residuals.chunks_exact_mut(n).zip(product.chunks_exact(n)).enumerate() {
            let bias = x[alphas + class] * self.bias_unit;
            row.iter_mut().zip(logits).for_each(|(z, logit)| *z = logit + bias);
        }
        for (first, labels) in (0..).step_by(BLOCK).zip(self.labels.chunks(BLOCK)) {
            let weight = |i: usize| self.weights.map_or(1.0, |weights| weights[first + i]);
            let curvature = &mut self.curvature[first..][..labels.len()];
            value += cross_entropy(self.kernels, &mut residuals[first..], n, labels, weight, curvature);
        }
        for (row, bias) in residuals.chunks_exact_mut(n).zip(bias_gradient) {
            *bias = row.iter().sum::<f32>() * self.bias_unit;
        }
        self.kernels.axpy(self.l2, alpha, residuals);
        self.complete(gradient);
        value
    }

    fn inner(&self, a: &[f32], b: &[f32]) -> f64 {
        let half = a.len() / 2;
        self.kernels.dot(&a[..half], &b[half..]) as f64
    }

    /// The Hessian without the coupling of the classes, `Xᵀ D X + l2` with D the curvatures: in the span its inverse is
    /// `D^½ (D^½ K D^½ + l2)⁻¹ D^-½`.
    fn renew(&mut self, _x: &[f32]) {
        let n = self.n();
        let most = self.curvature.iter().fold(0.0, |most: f32, c| most.max(*c));
        self.total = None;
        if !(most > 0.0 && most < f32::INFINITY) {
            return;
        }
        let mut total = 0.0;
        for (root, curvature) in self.root.iter_mut().zip(&*self.curvature) {
            let curvature = curvature.max(LEAST_CURVATURE * most);
            *root = crate::math::sqrt(curvature);
            total += curvature;
        }
        for (i, row) in self.factor.chunks_exact_mut(n).enumerate() {
            // Only the upper triangle is read.
            let columns = row[i..].iter_mut().zip(&self.gram[i * n + i..][..n - i]).zip(&self.root[i..]);
            columns.for_each(|((to, k), root)| *to = self.root[i] * *root * *k);
            row[i] += self.l2;
        }
        if self.kernels.cholesky(n, self.factor).is_ok() {
            self.total = Some(total);
        }
    }

    fn precondition(&mut self, vector: &mut [f32]) -> bool {
        let Some(total) = self.total else { return false };
        let (n, l2, unit) = (self.n(), self.l2, self.bias_unit);
        let [alpha, bias, product, again] = self.split(vector);
        for (to, from) in product.chunks_exact_mut(n).zip(alpha.chunks_exact(n)) {
            to.iter_mut().zip(from).zip(&*self.root).for_each(|((to, from), root)| *to = *from / *root);
        }
        self.kernels.solve_upper_transposed([n, self.n_classes], self.factor, product);
        self.kernels.solve_upper([n, self.n_classes], self.factor, product);
        for (alpha, product) in alpha.chunks_exact_mut(n).zip(product.chunks_exact_mut(n)) {
            for ((alpha, product), root) in alpha.iter_mut().zip(product).zip(&*self.root) {
                let solution = *root * *product;
                // D K solution + l2 solution = the right-hand side: its product with K comes for free.
                *product = (*alpha - l2 * solution) / (*root * *root);
                *alpha = solution;
            }
        }
        bias.iter_mut().for_each(|b| *b /= total * unit * unit);
        again.copy_from_slice(bias);
        true
    }
}
