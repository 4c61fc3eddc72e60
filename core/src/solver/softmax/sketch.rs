//! The preconditioner of many samples: the Hessian of some of them, inverted exactly.
//!
//! Without the coupling of the classes the Hessian is `Xᵀ D X + l2` for each class, D the curvature of each sample's loss. Of
//! an even choice of samples B, scaled up, its inverse is `(1 - Bᵀ D^½ (D^½ B Bᵀ D^½ + l2)⁻¹ D^½ B) / l2` (Woodbury), which
//! takes a matrix of the number of chosen samples, not of features. `B Bᵀ` is computed once; a new D costs a Cholesky
//! factorisation. (Erdogdu & Montanari 2015, "Convergence rates of sub-sampled Newton methods", use such a Hessian for the
//! steps themselves; below L-BFGS it may be much rougher.)

use super::loss::{BLOCK, cross_entropy};
use super::primal::spread;
use crate::kernel::Kernels;
use crate::math;
use crate::solver::TrainingSet;

/// Samples that are chosen: a sixteenth of all, between these.
const LEAST: usize = 384;
const MOST: usize = 1024;

/// Samples that are chosen of `n`.
pub(super) const fn rows_of(n: usize) -> usize {
    let share = n / 16;
    let rows = if share < LEAST {
        LEAST
    } else if share > MOST {
        MOST
    } else {
        share
    };
    if rows < n { rows } else { n }
}

/// An even choice of samples, and the factor of the inverse.
pub(super) struct Sketch<'a> {
    rows: usize,
    n_classes: usize,
    feature_dim: usize,
    /// `[rows, feature_dim]`, centred.
    features: &'a mut [f32],
    /// `[rows, rows]`, their inner products.
    gram: &'a mut [f32],
    /// `[rows, rows]`, the Cholesky factor.
    factor: &'a mut [f32],
    /// `[rows]`, square root of the curvature.
    root: &'a mut [f32],
    /// `[n_classes, rows]`
    coefficients: &'a mut [f32],
    /// `[rows, n_classes]`
    transposed: &'a mut [f32],
    /// Sum of the curvatures; `None` without a factor.
    total: Option<f32>,
}

/// Floats of scratch for [`Sketch::new`]; `None` where that overflows.
pub(super) const fn scratch_len(n: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let rows = rows_of(n);
    let Some(width) = feature_dim.checked_add(2 * rows + 1 + 2 * n_classes) else { return None };
    rows.checked_mul(width)
}

impl<'a> Sketch<'a> {
    /// Chooses samples of `set`, takes `mean` from them, and computes their inner products.
    pub fn new(
        kernels: Kernels,
        set: &TrainingSet<'_>,
        mean: &[f32],
        n_classes: usize,
        scratch: &'a mut [f32],
    ) -> Self {
        let (n, feature_dim) = (set.labels.len(), mean.len());
        let rows = rows_of(n);
        let (features, rest) = scratch.split_at_mut(rows * feature_dim);
        let (gram, rest) = rest.split_at_mut(rows * rows);
        let (factor, rest) = rest.split_at_mut(rows * rows);
        let (root, rest) = rest.split_at_mut(rows);
        let (coefficients, rest) = rest.split_at_mut(rows * n_classes);
        let transposed = &mut rest[..rows * n_classes];
        for (row, to) in features.chunks_exact_mut(feature_dim.max(1)).enumerate() {
            let from = &set.features[spread(row, rows, n) * feature_dim..][..feature_dim];
            to.iter_mut().zip(from).zip(mean).for_each(|((to, x), mean)| *to = x - mean);
        }
        kernels.syrk_nt([rows, feature_dim], features, gram);
        Self { rows, n_classes, feature_dim, features, gram, factor, root, coefficients, transposed, total: None }
    }

    /// Makes the factor that suits the parameters `x`: centred weights, then bias in `bias_unit`.
    pub fn renew(&mut self, kernels: Kernels, set: &TrainingSet<'_>, x: &[f32], l2: f32, bias_unit: f32) {
        let Self { rows, n_classes, feature_dim, .. } = *self;
        self.total = None;
        let (weights, bias) = x.split_at(n_classes * feature_dim);
        kernels.gemm_nt([n_classes, rows, feature_dim], weights, self.features, self.coefficients);
        for (row, bias) in self.coefficients.chunks_exact_mut(rows).zip(bias) {
            row.iter_mut().for_each(|z| *z += bias * bias_unit);
        }
        let n = set.labels.len();
        let sum = |weights: &mut dyn Iterator<Item = f32>| weights.map(f64::from).sum::<f64>();
        let all = sum(&mut (0..n).map(|sample| set.weight(sample)));
        let part = sum(&mut (0..rows).map(|row| set.weight(spread(row, rows, n))));
        let share = (all / part) as f32;
        let mut labels = [0; BLOCK];
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            let sample = |i: usize| spread(first + i, rows, n);
            labels[..count].iter_mut().enumerate().for_each(|(i, label)| *label = set.labels[sample(i)]);
            let (logits, curvature) = (&mut self.coefficients[first..], &mut self.root[first..][..count]);
            cross_entropy(kernels, logits, rows, &labels[..count], |i| set.weight(sample(i)) * share, curvature);
        }
        let total: f32 = self.root.iter().sum();
        if !(total > 0.0 && total < f32::INFINITY) {
            return;
        }
        self.root.iter_mut().for_each(|c| *c = math::sqrt(*c));
        for (i, row) in self.factor.chunks_exact_mut(rows).enumerate() {
            // Only the upper triangle is read.
            let columns = row[i..].iter_mut().zip(&self.gram[i * rows + i..][..rows - i]).zip(&self.root[i..]);
            columns.for_each(|((to, k), root)| *to = self.root[i] * *root * *k);
            row[i] += l2;
        }
        if kernels.cholesky(rows, self.factor).is_ok() {
            self.total = Some(total);
        }
    }

    /// Multiplies a gradient with the inverse; false if there is none.
    pub fn precondition(&mut self, kernels: Kernels, vector: &mut [f32], l2: f32, bias_unit: f32) -> bool {
        let Some(total) = self.total else { return false };
        let Self { rows, n_classes, feature_dim, .. } = *self;
        let (weights, bias) = vector.split_at_mut(n_classes * feature_dim);
        kernels.gemm_nt([n_classes, rows, feature_dim], weights, self.features, self.coefficients);
        for row in self.coefficients.chunks_exact_mut(rows) {
            row.iter_mut().zip(&*self.root).for_each(|(c, root)| *c *= root);
        }
        kernels.solve_upper_transposed([rows, n_classes], self.factor, self.coefficients);
        kernels.solve_upper([rows, n_classes], self.factor, self.coefficients);
        for (class, row) in self.coefficients.chunks_exact(rows).enumerate() {
            for ((i, c), root) in row.iter().enumerate().zip(&*self.root) {
                self.transposed[i * n_classes + class] = -c * root;
            }
        }
        kernels.gemm_tn([n_classes, feature_dim, rows], self.transposed, self.features, weights);
        weights.iter_mut().for_each(|g| *g /= l2);
        bias.iter_mut().for_each(|g| *g /= total * bias_unit * bias_unit);
        true
    }
}
