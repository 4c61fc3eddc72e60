//! Few samples: the optimum lies in their span, so it is sought there, from their inner products alone.
//!
//! The weights are `W = alphaᵀ X` with a row of `alpha` for each class (representer theorem), and `K = X Xᵀ` is all that is
//! needed of the features: the logits are `alpha K`, the penalty is `l2 / 2 * alpha K alphaᵀ`, and the gradient with respect to W is
//! `(residuals + l2 * alpha) X`. Points and steps carry their products with K, so that inner products are those of the weights
//! themselves: the path is that of L-BFGS on W, at the price of `[n, n]` instead of `[n, feature_dim]` products.

use super::Settings;
use super::centre::Centre;
use super::loss::{BLOCK, cross_entropy};
use crate::kernel::{ALIGNMENT_SLACK, Kernels, aligned};
use crate::math;
use crate::solver::lbfgs::{self, Problem};

pub use super::inverse::Inverse;
pub use super::near::fit_near;
use crate::solver::{FitError, FitReport};

/// A curvature below this share of the largest counts as this: keeps the preconditioner's divisions tame.
const LEAST_CURVATURE: f32 = 1e-6;

/// Labelled samples of which only the inner products are known.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// `[n_samples, n_samples]`, inner products of the samples less their mean, or less any one vector.
    pub gram: &'a [f32],
    /// `[n_samples]`, each below `n_classes`.
    pub labels: &'a [u16],
    /// `[n_samples]`, not negative: how often a sample counts. 0 leaves it out. `None` counts each once.
    pub sample_weights: Option<&'a [f32]>,
    /// Number of classes.
    pub n_classes: usize,
    /// The bias is counted in this unit: about the length of a sample.
    pub bias_unit: f32,
}

/// Length of a point: `alpha [n_classes, n_samples]` and the bias `[n_classes]`, then `alpha * gram` and the bias once
/// more. `None` where that overflows.
pub const fn point_len(n_samples: usize, n_classes: usize) -> Option<usize> {
    let Some(alpha) = n_classes.checked_mul(n_samples) else { return None };
    let Some(half) = alpha.checked_add(n_classes) else { return None };
    half.checked_mul(2)
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows.
pub const fn scratch_len(n_samples: usize, n_classes: usize) -> Option<usize> {
    let Some(point) = point_len(n_samples, n_classes) else { return None };
    let Some(search) = lbfgs::scratch_len(point) else { return None };
    let Some(rows) = n_samples.checked_mul(n_samples + 3) else { return None };
    let Some(all) = rows.checked_add(search) else { return None };
    all.checked_add(ALIGNMENT_SLACK)
}

/// Where a fit starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From nothing; what the point holds is not read.
    Cold,
    /// From the first half of the point: the optimum of nearly the same samples, with `alpha` 0 for a new one. The optimum
    /// does not depend on the start, but for rounding.
    Warm,
}

/// Fits in the span of the samples. `point` becomes the optimum ([`point_len`]), whose weights are `alpha` times the samples.
///
/// `scratch` needs [`scratch_len`] elements of any content.
///
/// # Errors
/// [`FitError`] for lengths that do not fit, labels beyond the classes, an L2 penalty that is not positive and finite.
/// Values that are not finite are not looked for.
pub fn fit(
    kernels: Kernels,
    span: &Span<'_>,
    settings: &Settings,
    start: Start,
    point: &mut [f32],
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    span.check(settings, point, scratch)?;
    let n = span.labels.len();
    let (factor, rest) = aligned(scratch).split_at_mut(n * n);
    let (curvature, rest) = rest.split_at_mut(n);
    let (root, rest) = rest.split_at_mut(n);
    let (shares, search) = rest.split_at_mut(n);
    let centre = Centre::new(kernels, span, shares);
    match start {
        Start::Cold => point.fill(0.0),
        Start::Warm => span.complete(kernels, point),
    }
    centre.enter(span.split(point));
    let preconditioner = Preconditioner { kernels, span: *span, l2: settings.l2, factor, curvature, root, total: None };
    let mut dual = Dual { centre, preconditioner };
    let minimum = lbfgs::minimise(kernels, &mut dual, settings.limits(), point, search);
    dual.centre.leave(span.split(point));
    Ok(minimum.into())
}

impl Span<'_> {
    /// Checks everything that a fit relies on, but for values that are not finite.
    pub(super) fn check(&self, settings: &Settings, point: &[f32], scratch: &[f32]) -> Result<(), FitError> {
        let (n, n_classes) = (self.labels.len(), self.n_classes);
        let length = |what, got, expected| match got == expected {
            true => Ok(()),
            false => Err(FitError::Length { what, expected, got }),
        };
        settings.check()?;
        length("gram", self.gram.len(), n.saturating_mul(n))?;
        length("sample_weights", self.sample_weights.map_or(n, <[f32]>::len), n)?;
        length("point", point.len(), point_len(n, n_classes).unwrap_or(usize::MAX))?;
        if let Some(sample) = self.labels.iter().position(|label| *label as usize >= n_classes) {
            return Err(FitError::Label { sample, label: self.labels[sample] });
        }
        let expected = scratch_len(n, n_classes).unwrap_or(usize::MAX);
        if scratch.len() < expected {
            return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
        }
        Ok(())
    }

    /// The four parts of a vector.
    pub(super) fn split<'v>(&self, vector: &'v mut [f32]) -> [&'v mut [f32]; 4] {
        let alphas = self.n_classes * self.labels.len();
        let (first, second) = vector.split_at_mut(alphas + self.n_classes);
        let (alpha, bias) = first.split_at_mut(alphas);
        let (product, again) = second.split_at_mut(alphas);
        [alpha, bias, product, again]
    }

    /// Makes the second half of a vector from the first.
    pub(super) fn complete(&self, kernels: Kernels, vector: &mut [f32]) {
        let n = self.labels.len();
        let [alpha, bias, product, again] = self.split(vector);
        kernels.gemm_nt([self.n_classes, n, n], alpha, self.gram, product);
        again.copy_from_slice(bias);
    }

    /// The objective at a point, and the first half of the gradient but for the penalty: the residuals and their sums. With a
    /// centre they are those of the samples less their mean. `curvature [n_samples]` gets that of each sample's loss, the mean
    /// over the classes.
    pub(super) fn evaluate(
        &self,
        kernels: Kernels,
        l2: f32,
        centre: Option<Centre<'_>>,
        point: &[f32],
        gradient: &mut [f32],
        curvature: &mut [f32],
    ) -> f64 {
        let (n, alphas) = (self.labels.len(), self.n_classes * self.labels.len());
        let (alpha, product) = (&point[..alphas], &point[alphas + self.n_classes..][..alphas]);
        let mut value = 0.5 * l2 as f64 * kernels.dot(alpha, product) as f64;
        let (residuals, bias_gradient) = gradient.split_at_mut(alphas);
        for (class, (row, logits)) in residuals.chunks_exact_mut(n).zip(product.chunks_exact(n)).enumerate() {
            let bias = point[alphas + class] * self.bias_unit - centre.map_or(0.0, |centre| centre.of(logits));
            row.iter_mut().zip(logits).for_each(|(z, logit)| *z = logit + bias);
        }
        for (first, labels) in (0..).step_by(BLOCK).zip(self.labels.chunks(BLOCK)) {
            let weight = |i: usize| self.weight(first + i);
            let curvature = &mut curvature[first..][..labels.len()];
            value += cross_entropy(kernels, &mut residuals[first..], n, labels, weight, curvature);
        }
        for (row, bias) in residuals.chunks_exact_mut(n).zip(bias_gradient) {
            *bias = row.iter().sum::<f32>() * self.bias_unit;
        }
        value
    }

    /// How often a sample counts.
    pub(super) fn weight(&self, sample: usize) -> f32 {
        self.sample_weights.map_or(1.0, |weights| weights[sample])
    }
}

/// Logits `[n_classes, n_samples]` of the samples at a point, a row a class.
///
/// # Panics
/// If `point` or `logits` are of another length.
pub fn logits(span: &Span<'_>, point: &[f32], logits: &mut [f32]) {
    let (n, alphas) = (span.labels.len(), span.n_classes * span.labels.len());
    assert_eq!(Some(point.len()), point_len(n, span.n_classes), "point is of other samples");
    logits.copy_from_slice(&point[alphas + span.n_classes..][..alphas]);
    for (row, bias) in logits.chunks_exact_mut(n.max(1)).zip(&point[alphas..]) {
        row.iter_mut().for_each(|z| *z += bias * span.bias_unit);
    }
}

/// `[n_classes, n]` to `[n, n_classes]`.
pub(super) fn transpose(rows: &[f32], n: usize, transposed: &mut [f32]) {
    let n_classes = rows.len() / n.max(1);
    for (class, row) in rows.chunks_exact(n.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(i, value)| transposed[i * n_classes + class] = *value);
    }
}

/// Softmax regression on inner products.
struct Dual<'a> {
    centre: Centre<'a>,
    preconditioner: Preconditioner<'a>,
}

/// The Hessian without the coupling of the classes, inverted.
pub(super) struct Preconditioner<'a> {
    pub(super) kernels: Kernels,
    pub(super) span: Span<'a>,
    pub(super) l2: f32,
    /// `[n, n]`, its Cholesky factor.
    pub(super) factor: &'a mut [f32],
    /// `[n]`, curvature of each sample's loss at the point that was evaluated last.
    pub(super) curvature: &'a mut [f32],
    /// `[n]`, square root of the curvature that the factor was made from.
    pub(super) root: &'a mut [f32],
    /// Sum of those curvatures, or `None` without a factor.
    pub(super) total: Option<f32>,
}

impl Preconditioner<'_> {
    /// Makes the factor from the curvatures. The Hessian without the coupling of the classes is `Xᵀ D X + l2`, D the
    /// curvatures: in the span its inverse is `D^½ (D^½ K D^½ + l2)⁻¹ D^-½`.
    pub(super) fn factorise(&mut self) {
        let n = self.span.labels.len();
        let most = self.curvature.iter().fold(0.0, |most: f32, c| most.max(*c));
        self.total = None;
        if !(most > 0.0 && most < f32::INFINITY) {
            return;
        }
        let mut total = 0.0;
        for (i, (root, curvature)) in self.root.iter_mut().zip(&*self.curvature).enumerate() {
            // A sample that is left out must stay out, to the bit.
            let is_out = self.span.sample_weights.is_some_and(|weights| weights[i] == 0.0);
            let curvature = if is_out { 0.0 } else { curvature.max(LEAST_CURVATURE * most) };
            *root = math::sqrt(curvature);
            total += curvature;
        }
        for (i, row) in self.factor.chunks_exact_mut(n).enumerate() {
            // Only the upper triangle is read.
            let columns = row[i..].iter_mut().zip(&self.span.gram[i * n + i..][..n - i]).zip(&self.root[i..]);
            columns.for_each(|((to, k), root)| *to = self.root[i] * *root * *k);
            row[i] += self.l2;
        }
        if self.kernels.cholesky(n, self.factor).is_ok() {
            self.total = Some(total);
        }
    }

    /// Multiplies the first half of a vector with the inverse, and makes the second half; false if there is no factor.
    fn apply(&self, vector: &mut [f32]) -> bool {
        let Some(total) = self.total else { return false };
        let (n, n_classes, l2, unit) = (self.span.labels.len(), self.span.n_classes, self.l2, self.span.bias_unit);
        let [alpha, bias, product, again] = self.span.split(vector);
        let root = &*self.root;
        for (to, from) in product.chunks_exact_mut(n).zip(alpha.chunks_exact(n)) {
            let share = |from: f32, root: f32| if root > 0.0 { from / root } else { 0.0 };
            to.iter_mut().zip(from).zip(root).for_each(|((to, from), root)| *to = share(*from, *root));
        }
        self.kernels.solve_upper_transposed([n, n_classes], self.factor, product);
        self.kernels.solve_upper([n, n_classes], self.factor, product);
        for (alpha, product) in alpha.chunks_exact_mut(n).zip(product.chunks_exact_mut(n)) {
            for ((alpha, product), root) in alpha.iter_mut().zip(product).zip(root) {
                let solution = if *root > 0.0 { *root * *product } else { *alpha / l2 };
                // D K solution + l2 solution = the right-hand side: its product with K comes for free.
                *product = (*alpha - l2 * solution) / (*root * *root);
                *alpha = solution;
            }
        }
        for (i, _) in root.iter().enumerate().filter(|(_, root)| **root == 0.0) {
            for (alpha, product) in alpha.chunks_exact(n).zip(product.chunks_exact_mut(n)) {
                product[i] = self.kernels.dot(alpha, &self.span.gram[i * n..][..n]);
            }
        }
        bias.iter_mut().for_each(|b| *b /= total * unit * unit);
        again.copy_from_slice(bias);
        true
    }
}

impl Problem for Dual<'_> {
    const RESCALE: bool = false;

    fn evaluate(&mut self, x: &[f32], gradient: &mut [f32]) -> f64 {
        let Preconditioner { kernels, span, l2, curvature, .. } = &mut self.preconditioner;
        let (half, alphas) = (x.len() / 2, span.n_classes * span.labels.len());
        let value = span.evaluate(*kernels, *l2, Some(self.centre), x, &mut gradient[..half], curvature);
        self.centre.balance(&mut gradient[..alphas]);
        kernels.axpy(*l2, &x[..alphas], &mut gradient[..alphas]);
        // Its product with K is never asked for.
        gradient[half..].fill(0.0);
        value
    }

    fn inner(&self, any: &[f32], vector: &[f32]) -> f64 {
        let half = any.len() / 2;
        self.preconditioner.kernels.dot(&any[..half], &vector[half..]) as f64
    }

    fn renew(&mut self, _x: &[f32]) {
        self.preconditioner.factorise();
    }

    fn precondition(&mut self, vector: &mut [f32]) -> bool {
        let Preconditioner { kernels, span, .. } = &self.preconditioner;
        let is_done = self.preconditioner.apply(vector);
        if !is_done {
            span.complete(*kernels, vector);
        }
        is_done
    }
}
