//! Many samples: passes over the features, each read once for logits and gradient, by blocks of rows that stay in cache.
//!
//! It works in centred features `x - mean`, with a bias in units of their length: the free bias makes that the same model,
//! and without the direction that all features of a network share it takes a fraction of the passes. A second share of them
//! goes to the preconditioner: the Hessian of some samples, without the coupling of the classes, inverted exactly.

use super::loss::{BLOCK, cross_entropy};
use super::sketch::Sketch;
use crate::kernel::Kernels;
use crate::math;
use crate::solver::TrainingSet;
use crate::solver::lbfgs::Problem;

/// One sample of each of `rows` equal stretches of the `n`: even over the classes too where samples are sorted by class. Which
/// one of its stretch looks random but is always the same, since in step with labels that repeat it would miss whole classes.
pub(super) fn spread(row: usize, rows: usize, n: usize) -> usize {
    let start = |row: usize| (row as u128 * n as u128 / rows as u128) as u64;
    let (first, end) = (start(row), start(row + 1));
    // SplitMix64's mixing of the row.
    let mut z = (row as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (first + (z ^ (z >> 31)) % (end - first)) as usize
}

/// Softmax regression on features, or on an even choice of them.
pub(super) struct Primal<'a> {
    pub kernels: Kernels,
    pub set: TrainingSet<'a>,
    pub n_classes: usize,
    pub feature_dim: usize,
    pub l2: f32,
    /// `[feature_dim]`, taken from every sample.
    pub mean: &'a [f32],
    /// The bias is counted in this unit, so that it is about as stiff as the weights.
    pub bias_unit: f32,
    /// Samples that are looked at, evenly chosen; all of them at the end.
    pub rows: usize,
    /// What each of those counts for.
    pub share: f32,
    /// `[BLOCK, feature_dim]` and `2 * [BLOCK, n_classes]` and `[n_classes]`.
    pub block: &'a mut [f32],
    pub sketch: Sketch<'a>,
}

/// Floats of [`Primal::block`].
pub(super) const fn block_len(n_classes: usize, feature_dim: usize) -> Option<usize> {
    let Some(row) = feature_dim.checked_add(2 * n_classes) else { return None };
    let Some(rows) = row.checked_mul(BLOCK) else { return None };
    rows.checked_add(n_classes)
}

impl Primal<'_> {
    /// Fills in the mean of the features, `[feature_dim]`, each sample counted by its weight; returns the root mean square
    /// of the length of what is left of them, or 1 if nothing is.
    pub fn mean_and_length(kernels: Kernels, set: &TrainingSet<'_>, mean: &mut [f32]) -> f32 {
        let n_samples = set.labels.len();
        let total: f64 = (0..n_samples).map(|sample| set.weight(sample) as f64).sum();
        let mut square = 0.0;
        mean.fill(0.0);
        for sample in 0..n_samples {
            let features = &set.features[sample * mean.len()..][..mean.len()];
            let share = set.weight(sample) as f64 / total;
            kernels.axpy(share as f32, features, mean);
            square += share * kernels.dot(features, features) as f64;
        }
        let rest = math::sqrt((square - kernels.dot(mean, mean) as f64) as f32);
        if rest > 0.0 && rest < f32::INFINITY { rest } else { 1.0 }
    }

    /// Turns a head's bias into that of the centred features, in its unit.
    pub fn enter(&self, parameters: &mut [f32]) {
        self.for_each_bias(parameters, |bias, shift| (bias + shift) / self.bias_unit);
    }

    /// Turns it back.
    pub fn leave(&self, parameters: &mut [f32]) {
        self.for_each_bias(parameters, |bias, shift| bias * self.bias_unit - shift);
    }

    /// Changes each bias, given what the mean adds to its logit.
    fn for_each_bias(&self, parameters: &mut [f32], change: impl Fn(f32, f32) -> f32) {
        let (weights, bias) = parameters.split_at_mut(self.n_classes * self.feature_dim);
        for (class, bias) in bias.iter_mut().enumerate() {
            let row = &weights[class * self.feature_dim..][..self.feature_dim];
            *bias = change(*bias, self.kernels.dot(row, self.mean));
        }
    }

    /// Of `rows` chosen samples, how many those of the rarest class are; samples of weight 0 do not count.
    pub fn rarest(&self, rows: usize) -> usize {
        let n = self.set.labels.len();
        let of_class = |class: usize| {
            let chosen = (0..rows).map(|row| spread(row, rows, n));
            chosen.filter(|s| usize::from(self.set.labels[*s]) == class && self.set.weight(*s) > 0.0).count()
        };
        (0..self.n_classes).map(of_class).min().unwrap_or(0)
    }

    /// Looks at `rows` samples from now on.
    pub fn look_at(&mut self, rows: usize) {
        let n = self.set.labels.len();
        let total = |rows: usize| -> f64 { (0..rows).map(|row| self.set.weight(spread(row, rows, n)) as f64).sum() };
        let part = total(rows);
        (self.share, self.rows) = if part > 0.0 { ((total(n) / part) as f32, rows) } else { (1.0, n) };
    }
}

impl Problem for Primal<'_> {
    const RESCALE: bool = true;

    fn evaluate(&mut self, x: &[f32], gradient: &mut [f32]) -> f64 {
        let Self { kernels, set, n_classes, feature_dim, rows, share, .. } = *self;
        let n = set.labels.len();
        let (weights, bias) = x.split_at(n_classes * feature_dim);
        let (gathered, rest) = self.block.split_at_mut(BLOCK * feature_dim);
        let (logits, rest) = rest.split_at_mut(BLOCK * n_classes);
        let (residuals, shift) = rest.split_at_mut(BLOCK * n_classes);
        kernels.gemm_nt([1, n_classes, feature_dim], self.mean, weights, shift);
        for (shift, bias) in shift.iter_mut().zip(bias) {
            *shift = bias * self.bias_unit - *shift;
        }
        gradient.fill(0.0);
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weights.len());
        let mut value = 0.0;
        let (mut labels, mut curvature) = ([0; BLOCK], [0.0; BLOCK]);
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            let sample = |i: usize| if rows == n { first + i } else { spread(first + i, rows, n) };
            let features = if rows == n {
                &set.features[first * feature_dim..][..count * feature_dim]
            } else {
                for (i, row) in gathered.chunks_exact_mut(feature_dim.max(1)).take(count).enumerate() {
                    row.copy_from_slice(&set.features[sample(i) * feature_dim..][..feature_dim]);
                }
                &gathered[..count * feature_dim]
            };
            labels[..count].iter_mut().enumerate().for_each(|(i, label)| *label = set.labels[sample(i)]);
            let logits = &mut logits[..count * n_classes];
            kernels.gemm_nt([n_classes, count, feature_dim], weights, features, logits);
            for (row, shift) in logits.chunks_exact_mut(count).zip(&*shift) {
                row.iter_mut().for_each(|z| *z += shift);
            }
            let weight = |i: usize| set.weight(sample(i)) * share;
            value += cross_entropy(kernels, logits, count, &labels[..count], weight, &mut curvature[..count]);
            for ((class, row), bias) in logits.chunks_exact(count).enumerate().zip(&mut *bias_gradient) {
                *bias += row.iter().sum::<f32>();
                for (i, residual) in row.iter().enumerate() {
                    residuals[i * n_classes + class] = *residual;
                }
            }
            let residuals = &residuals[..count * n_classes];
            kernels.gemm_tn([n_classes, feature_dim, count], residuals, features, weight_gradient);
        }
        for (row, sum) in weight_gradient.chunks_exact_mut(feature_dim.max(1)).zip(&*bias_gradient) {
            kernels.axpy(-sum, self.mean, row);
        }
        bias_gradient.iter_mut().for_each(|g| *g *= self.bias_unit);
        kernels.axpy(self.l2, weights, weight_gradient);
        value + 0.5 * self.l2 as f64 * kernels.dot(weights, weights) as f64
    }

    fn inner(&self, a: &[f32], b: &[f32]) -> f64 {
        self.kernels.dot(a, b) as f64
    }

    fn renew(&mut self, x: &[f32]) {
        self.sketch.renew(self.kernels, &self.set, x, self.l2, self.bias_unit);
    }

    fn precondition(&mut self, vector: &mut [f32]) -> bool {
        self.sketch.precondition(self.kernels, vector, self.l2, self.bias_unit)
    }
}
