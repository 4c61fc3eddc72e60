//! The mean of the samples, each counted by its weight, kept out of their inner products.
//!
//! Whatever vector was taken from the samples before, a fit goes its way in samples less their mean: the bias is stiff, and
//! has nothing to do with W, only there. Such samples depend on each other, so that residuals plus any multiple of the weights
//! are the same gradient. They are kept at those that sum to zero, as they do at the optimum: else `alpha` would grow by what
//! `1 / l2` makes of their sum, and the rounding of that would spoil its products.

use super::dual::Span;
use crate::kernel::Kernels;

/// What each sample counts for.
#[derive(Clone, Copy)]
pub(super) struct Centre<'a> {
    kernels: Kernels,
    /// `[n_samples]`, of 1 in all.
    shares: &'a [f32],
    bias_unit: f32,
}

impl<'a> Centre<'a> {
    /// `shares [n_samples]` are of any content.
    pub(super) fn new(kernels: Kernels, span: &Span<'_>, shares: &'a mut [f32]) -> Self {
        let total: f32 = (0..shares.len()).map(|sample| span.weight(sample)).sum();
        shares.iter_mut().enumerate().for_each(|(sample, share)| *share = span.weight(sample) / total);
        Self { kernels, shares, bias_unit: span.bias_unit }
    }

    /// What the mean adds to a logit of which `row [n_samples]` are those of the samples.
    pub(super) fn of(&self, row: &[f32]) -> f32 {
        self.kernels.dot(row, self.shares)
    }

    /// Gives the residuals `[n_classes, n_samples]` of each class the sum zero, as the same gradient.
    pub(super) fn balance(&self, residuals: &mut [f32]) {
        for row in residuals.chunks_exact_mut(self.shares.len()) {
            self.kernels.axpy(-row.iter().sum::<f32>(), self.shares, row);
        }
    }

    /// Makes the bias of a point that of the samples less their mean.
    pub(super) fn enter(&self, point: [&mut [f32]; 4]) {
        self.shift(1.0 / self.bias_unit, point);
    }

    /// Makes it what it was.
    pub(super) fn leave(&self, point: [&mut [f32]; 4]) {
        self.shift(-1.0 / self.bias_unit, point);
    }

    fn shift(&self, unit: f32, [_, bias, product, again]: [&mut [f32]; 4]) {
        for (bias, row) in bias.iter_mut().zip(product.chunks_exact(self.shares.len())) {
            *bias += unit * self.of(row);
        }
        again.copy_from_slice(bias);
    }
}
