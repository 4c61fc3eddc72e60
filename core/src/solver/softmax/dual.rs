//! Few samples: the optimum lies in their span, so it is sought there, from their inner products alone.
//!
//! The weights are `W = alphaᵀ X` with a row of `alpha` for each class (representer theorem), and `K = X Xᵀ` is all that is
//! needed of the features: the logits are `alpha K`, the penalty is `l2 / 2 * alpha K alphaᵀ`, and the gradient with respect to W is
//! `(residuals + l2 * alpha) X`. Each vector here carries its product with K, so that inner products are those of the weights
//! themselves: the path is that of L-BFGS on W, at the price of `[n, n]` instead of `[n, feature_dim]` products.

use super::Settings;
use super::loss::{BLOCK, cross_entropy};
use crate::kernel::Kernels;
use crate::math;
use crate::solver::lbfgs::{self, Limits, Memory, Problem};
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
    let Some(rows) = n_samples.checked_mul(n_samples + 2) else { return None };
    rows.checked_add(search)
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
    fit_on(kernels, span, settings, start, point, scratch, &mut Memory::EMPTY.clone(), None)
}

/// [`fit`] from a point near the optimum, with the inverse that was made there instead of a preconditioner of its own.
///
/// # Errors
/// As [`fit`], and [`FitError::Length`] for an inverse of other samples.
pub fn fit_near(
    kernels: Kernels,
    span: &Span<'_>,
    settings: &Settings,
    inverse: &Inverse<'_>,
    point: &mut [f32],
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    let (n, got) = (span.labels.len(), inverse.root.len());
    if n != got {
        return Err(FitError::Length { what: "inverse", expected: n, got });
    }
    fit_on(kernels, span, settings, Start::Warm, point, scratch, &mut Memory::EMPTY.clone(), Some(inverse))
}

/// [`fit`], with what the last one has left in `memory` and in the [`pairs`] of the scratch, and the inverse that was kept of
/// its preconditioner.
#[allow(clippy::too_many_arguments, reason = "two callers; a struct for it would only be taken apart again")]
pub(super) fn fit_on(
    kernels: Kernels,
    span: &Span<'_>,
    settings: &Settings,
    start: Start,
    point: &mut [f32],
    scratch: &mut [f32],
    memory: &mut Memory,
    kept: Option<&Inverse<'_>>,
) -> Result<FitReport, FitError> {
    let (n, n_classes) = (span.labels.len(), span.n_classes);
    let length = |what, got, expected| match got == expected {
        true => Ok(()),
        false => Err(FitError::Length { what, expected, got }),
    };
    settings.check()?;
    length("gram", span.gram.len(), n.saturating_mul(n))?;
    length("sample_weights", span.sample_weights.map_or(n, <[f32]>::len), n)?;
    length("point", point.len(), point_len(n, n_classes).unwrap_or(usize::MAX))?;
    if let Some(sample) = span.labels.iter().position(|label| *label as usize >= n_classes) {
        return Err(FitError::Label { sample, label: span.labels[sample] });
    }
    let expected = scratch_len(n, n_classes).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let (factor, rest) = scratch.split_at_mut(n * n);
    let (curvature, rest) = rest.split_at_mut(n);
    let (root, search) = rest.split_at_mut(n);
    // Its product takes the place of the factor: `n_classes` rows of it.
    let kept = kept.filter(|_| n_classes <= n);
    let mut dual = Dual { kernels, span: *span, l2: settings.l2, factor, curvature, root, total: None, kept };
    match start {
        Start::Cold => point.fill(0.0),
        Start::Warm => dual.complete(point),
    }
    let limits = Limits { has_preconditioner: kept.is_some(), ..settings.limits() };
    Ok(lbfgs::minimise(kernels, &mut dual, limits, point, search, memory).into())
}

/// Where in the scratch the pairs of [`fit_on`] lie, each of the length of a point.
pub(super) fn pairs(n: usize, n_classes: usize) -> core::ops::Range<usize> {
    let pairs = lbfgs::pairs(point_len(n, n_classes).unwrap_or(0));
    let before = n * (n + 2);
    before + pairs.start..before + pairs.end
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

/// The middle of a preconditioner, inverted: dearer to make than a factor, but cheaper to use, and a sample that comes or
/// goes changes it by a matrix of rank one.
#[derive(Debug)]
pub struct Inverse<'a> {
    /// `[n, n]`, of `D^½ K D^½ + l2`.
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

    /// The inverse that a copy of another one's buffer holds.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of(n: usize, buffer: &'a mut [f32]) -> Self {
        let mut inverse = Self::new(n, buffer);
        inverse.total = inverse.root.iter().map(|root| root * root).sum();
        inverse
    }

    /// Makes it for `point`, which a fit of the samples has left; false where that has no curvature. `scratch` needs
    /// [`scratch_len`] elements of any content.
    ///
    /// # Panics
    /// If a slice is of other samples.
    pub fn renew(&mut self, kernels: Kernels, span: &Span<'_>, l2: f32, point: &[f32], scratch: &mut [f32]) -> bool {
        let n = span.labels.len();
        let (factor, rest) = scratch.split_at_mut(n * n);
        let (curvature, rest) = rest.split_at_mut(n);
        let gradient = &mut rest[n..][..point.len()];
        let root = &mut *self.root;
        let mut dual = Dual { kernels, span: *span, l2, factor, curvature, root, total: None, kept: None };
        dual.evaluate(point, gradient);
        dual.renew(point);
        let Some(total) = dual.total else { return false };
        self.total = total;
        self.matrix.fill(0.0);
        (0..n).for_each(|i| self.matrix[i * n + i] = 1.0);
        kernels.solve_upper_transposed([n, n], factor, self.matrix);
        kernels.solve_upper([n, n], factor, self.matrix);
        true
    }

    /// Takes in sample `i`, which was not there, with its `inner_products [n]`: the inverse of a matrix with one row and
    /// column more. Its curvature is that of the others on average. `scratch` has `2 n` elements or more.
    ///
    /// # Panics
    /// If a slice is too short.
    pub fn add(&mut self, kernels: Kernels, i: usize, inner_products: &[f32], l2: f32, scratch: &mut [f32]) {
        let n = self.root.len();
        let (column, rest) = scratch.split_at_mut(n);
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

    /// Takes out sample `i`. `scratch` has `n` elements or more.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn remove(&mut self, kernels: Kernels, i: usize, l2: f32, scratch: &mut [f32]) {
        let n = self.root.len();
        let row = &mut scratch[..n];
        row.copy_from_slice(&self.matrix[i * n..][..n]);
        kernels.ger(-1.0 / row[i], row, row, self.matrix);
        self.matrix[i * n..][..n].fill(0.0);
        self.matrix.chunks_exact_mut(n).for_each(|other| other[i] = 0.0);
        self.matrix[i * n + i] = 1.0 / l2;
        self.total -= self.root[i] * self.root[i];
        self.root[i] = 0.0;
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
    kernels: Kernels,
    span: Span<'a>,
    l2: f32,
    /// `[n, n]`, the Cholesky factor of the preconditioner.
    factor: &'a mut [f32],
    /// `[n]`, curvature of each sample's loss at the point that was evaluated last.
    curvature: &'a mut [f32],
    /// `[n]`, square root of the curvature that the factor was made from.
    root: &'a mut [f32],
    /// Sum of those curvatures, or `None` without a factor.
    total: Option<f32>,
    /// Takes the place of factor and root until they are made.
    kept: Option<&'a Inverse<'a>>,
}

impl Dual<'_> {
    fn n(&self) -> usize {
        self.span.labels.len()
    }

    /// The four parts of a vector.
    fn split<'v>(&self, vector: &'v mut [f32]) -> [&'v mut [f32]; 4] {
        let alphas = self.span.n_classes * self.n();
        let (first, second) = vector.split_at_mut(alphas + self.span.n_classes);
        let (alpha, bias) = first.split_at_mut(alphas);
        let (product, again) = second.split_at_mut(alphas);
        [alpha, bias, product, again]
    }

    /// Makes the second half of a vector from the first.
    fn complete(&self, vector: &mut [f32]) {
        let n = self.n();
        let [alpha, bias, product, again] = self.split(vector);
        self.kernels.gemm_nt([self.span.n_classes, n, n], alpha, self.span.gram, product);
        again.copy_from_slice(bias);
    }
}

impl Problem for Dual<'_> {
    const RESCALE: bool = false;

    fn evaluate(&mut self, x: &[f32], gradient: &mut [f32]) -> f64 {
        let (n, alphas) = (self.n(), self.span.n_classes * self.n());
        let (alpha, product) = (&x[..alphas], &x[alphas + self.span.n_classes..][..alphas]);
        let mut value = 0.5 * self.l2 as f64 * self.kernels.dot(alpha, product) as f64;
        let [residuals, bias_gradient, _, _] = self.split(gradient);
        for (class, (row, logits)) in residuals.chunks_exact_mut(n).zip(product.chunks_exact(n)).enumerate() {
            let bias = x[alphas + class] * self.span.bias_unit;
            row.iter_mut().zip(logits).for_each(|(z, logit)| *z = logit + bias);
        }
        for (first, labels) in (0..).step_by(BLOCK).zip(self.span.labels.chunks(BLOCK)) {
            let weight = |i: usize| self.span.sample_weights.map_or(1.0, |weights| weights[first + i]);
            let curvature = &mut self.curvature[first..][..labels.len()];
            value += cross_entropy(self.kernels, &mut residuals[first..], n, labels, weight, curvature);
        }
        for (row, bias) in residuals.chunks_exact_mut(n).zip(bias_gradient) {
            *bias = row.iter().sum::<f32>() * self.span.bias_unit;
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

    fn precondition(&mut self, vector: &mut [f32]) -> bool {
        let kept = if self.total.is_none() { self.kept } else { None };
        let Some(total) = self.total.or(kept.map(|kept| kept.total)) else { return false };
        let (n, n_classes, l2, unit) = (self.n(), self.span.n_classes, self.l2, self.span.bias_unit);
        let alphas = n_classes * n;
        let (first, second) = vector.split_at_mut(alphas + n_classes);
        let (alpha, bias) = first.split_at_mut(alphas);
        let (product, again) = second.split_at_mut(alphas);
        let root: &[f32] = kept.map_or(self.root, |kept| kept.root);
        for (to, from) in product.chunks_exact_mut(n).zip(alpha.chunks_exact(n)) {
            let share = |from: f32, root: f32| if root > 0.0 { from / root } else { 0.0 };
            to.iter_mut().zip(from).zip(root).for_each(|((to, from), root)| *to = share(*from, *root));
        }
        if let Some(kept) = kept {
            let solutions = &mut self.factor[..alphas];
            self.kernels.gemm_nt([n_classes, n, n], product, kept.matrix, solutions);
            product.copy_from_slice(solutions);
        } else {
            self.kernels.solve_upper_transposed([n, n_classes], self.factor, product);
            self.kernels.solve_upper([n, n_classes], self.factor, product);
        }
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
