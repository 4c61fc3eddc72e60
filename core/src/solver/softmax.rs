//! Softmax regression (multinomial logistic regression) with an L2 penalty, to the optimum.
//!
//! Minimises `sum_i weight_i * NLL_i + l2 / 2 * |W|^2`, the bias not penalised: scikit-learn's `LogisticRegression` with
//! `C = 1 / l2`. For two classes scikit-learn keeps one sigmoid vector instead of two rows; the same model has
//! `l2 = 2 / C` here. Strictly convex in W, so there is one optimum and no learning rate.
//!
//! L-BFGS with the Hessian of the samples, without the coupling of the classes, as its preconditioner. Up to
//! [`GRAM_LIMIT`] samples, if they are no more than the features, the optimum is sought in their span, from inner products
//! alone; otherwise by passes over the features, at first over a part of them.

mod centre;
pub mod dual;
mod inverse;
mod loss;
mod near;
pub mod online;
mod primal;
mod sketch;

use self::dual::{Span, Start};
use self::primal::Primal;
use self::sketch::Sketch;
use super::lbfgs::{self, Limits};
use super::{FitError, FitReport, TrainingSet};
use crate::head::{Head, parameter_count};
use crate::kernel::{ALIGNMENT_SLACK, Kernels, aligned};

/// The most samples whose inner products are all computed: their matrix is 4 MB.
pub const GRAM_LIMIT: usize = 1024;
/// A part of the samples comes first if it has so many,
const LEAST_STAGE: usize = 1024;
/// and so many of each class.
const LEAST_STAGE_OF_CLASS: usize = 4;
/// How far the fit of a part goes: all samples will change it by more.
const STAGE_TOLERANCE: f64 = 0.02;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Penalty on the squared weights, positive.
    pub l2: f32,
    /// Stops when no more than this share of the objective seems left to gain.
    pub tolerance: f64,
    /// Stops after so many steps.
    pub max_iterations: u32,
}

impl Settings {
    /// The optimum to about 1e-7 relative, for a given penalty.
    pub const fn new(l2: f32) -> Self {
        Self { l2, tolerance: 1e-7, max_iterations: 2000 }
    }

    const fn limits(&self) -> Limits {
        Limits { tolerance: self.tolerance, max_iterations: self.max_iterations }
    }

    fn check(&self) -> Result<(), FitError> {
        let is_sound = self.l2 > 0.0 && self.l2 < f32::INFINITY;
        if is_sound { Ok(()) } else { Err(FitError::L2 { l2: self.l2 }) }
    }
}

/// Whether a fit of that size is one of inner products.
const fn is_dual(n_samples: usize, feature_dim: usize) -> bool {
    n_samples <= GRAM_LIMIT && n_samples <= feature_dim
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows.
pub const fn scratch_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let (fixed, rest) = if is_dual(n_samples, feature_dim) {
        // The mean; the centred samples and their inner products; the point.
        let Some(rows) = n_samples.checked_mul(feature_dim + n_samples) else { return None };
        let Some(point) = dual::point_len(n_samples, n_classes) else { return None };
        let Some(fixed) = rows.checked_add(point) else { return None };
        (fixed.checked_add(feature_dim), dual::scratch_len(n_samples, n_classes))
    } else {
        let Some(parameters) = parameter_count(n_classes, feature_dim) else { return None };
        let Some(block) = primal::block_len(n_classes, feature_dim) else { return None };
        let Some(sketch) = sketch::scratch_len(n_samples, n_classes, feature_dim) else { return None };
        let Some(both) = block.checked_add(sketch) else { return None };
        (both.checked_add(feature_dim), lbfgs::scratch_len(parameters))
    };
    let (Some(fixed), Some(rest)) = (fixed, rest) else { return None };
    let Some(all) = fixed.checked_add(rest) else { return None };
    all.checked_add(ALIGNMENT_SLACK)
}

/// Fits `head` to `set`. Where that takes passes over the features, it starts from the parameters that the head has: zeros
/// for a fit from nothing, the last optimum for a warm start. The optimum does not depend on the start, but for rounding.
///
/// `scratch` needs [`scratch_len`] elements of any content.
///
/// # Errors
/// Input that has no optimum, or slices that do not fit: [`FitError`]; the head is as it was.
///
/// ```
/// use topgraft_core::{head::Head, kernel::Kernels};
/// use topgraft_core::solver::{TrainingSet, softmax};
///
/// let set = TrainingSet { features: &[0.0, 1.0, 2.0, 3.0], labels: &[0, 0, 1, 1], sample_weights: None };
/// let mut head = Head::new(2, 1, [0.0; 4])?;
/// let mut scratch = [0.0; softmax::scratch_len(4, 2, 1).unwrap()];
/// let report = softmax::fit(Kernels::detect(), &set, &softmax::Settings::new(1.0), &mut head, &mut scratch)?;
/// assert!(report.converged);
/// let mut logits = [0.0; 2];
/// head.logits(Kernels::detect(), &[3.0], &mut logits);
/// assert!(logits[1] > logits[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    settings: &Settings,
    head: &mut Head<B>,
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    let (n_samples, n_classes, feature_dim) = (set.labels.len(), head.n_classes(), head.feature_dim());
    set.check(n_classes, feature_dim)?;
    settings.check()?;
    let expected = scratch_len(n_samples, n_classes, feature_dim).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let fit = if is_dual(n_samples, feature_dim) { fit_dual } else { fit_primal };
    fit(kernels, set, settings, [n_classes, feature_dim], head.parameters_mut(), aligned(scratch))
}

/// Seeks the optimum in the span of the samples.
fn fit_dual(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    settings: &Settings,
    [n_classes, feature_dim]: [usize; 2],
    parameters: &mut [f32],
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    let n = set.labels.len();
    let (mean, rest) = scratch.split_at_mut(feature_dim);
    let bias_unit = Primal::mean_and_length(kernels, set, mean);
    let (centred, rest) = rest.split_at_mut(n * feature_dim);
    let (gram, rest) = rest.split_at_mut(n * n);
    let (point, scratch) = rest.split_at_mut(dual::point_len(n, n_classes).unwrap_or(0));
    for (to, from) in centred.chunks_exact_mut(feature_dim).zip(set.features.chunks_exact(feature_dim)) {
        to.iter_mut().zip(from).zip(&*mean).for_each(|((to, x), mean)| *to = x - mean);
    }
    kernels.syrk_nt([n, feature_dim], centred, gram);
    let TrainingSet { labels, sample_weights, .. } = *set;
    let span = Span { gram, labels, sample_weights, n_classes, bias_unit };
    let report = dual::fit(kernels, &span, settings, Start::Cold, point, scratch)?;

    // W = alpha (X - mean), and what the mean adds to a logit goes to the bias.
    let (weights, bias) = parameters.split_at_mut(n_classes * feature_dim);
    let (alpha, centred_bias) = point[..n_classes * (n + 1)].split_at(n_classes * n);
    let transposed = &mut scratch[..n * n_classes];
    dual::transpose(alpha, n, transposed);
    weights.fill(0.0);
    kernels.gemm_tn([n_classes, feature_dim, n], transposed, set.features, weights);
    for (class, row) in weights.chunks_exact_mut(feature_dim).enumerate() {
        kernels.axpy(-alpha[class * n..][..n].iter().sum::<f32>(), mean, row);
        bias[class] = centred_bias[class] * bias_unit - kernels.dot(row, mean);
    }
    Ok(report)
}

/// Seeks the optimum by passes over the features.
fn fit_primal(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    settings: &Settings,
    [n_classes, feature_dim]: [usize; 2],
    parameters: &mut [f32],
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    let n = set.labels.len();
    let (mean, rest) = scratch.split_at_mut(feature_dim);
    let bias_unit = Primal::mean_and_length(kernels, set, mean);
    let (block, rest) = rest.split_at_mut(primal::block_len(n_classes, feature_dim).unwrap_or(0));
    let (sketch, search) = rest.split_at_mut(sketch::scratch_len(n, n_classes, feature_dim).unwrap_or(0));
    let sketch = Sketch::new(kernels, set, mean, n_classes, sketch);
    let mut primal = Primal {
        kernels,
        set: *set,
        n_classes,
        feature_dim,
        l2: settings.l2,
        mean,
        bias_unit,
        rows: n,
        share: 1.0,
        block,
        sketch,
    };
    primal.enter(parameters);
    for rows in [n / 16, n / 4] {
        let is_cold = parameters.iter().all(|p| *p == 0.0);
        let is_worth_it = rows >= LEAST_STAGE && (is_cold || primal.rows < n);
        if is_worth_it && primal.rarest(rows) >= LEAST_STAGE_OF_CLASS {
            primal.look_at(rows);
            let limits = Limits { tolerance: STAGE_TOLERANCE, ..settings.limits() };
            lbfgs::minimise(kernels, &mut primal, limits, parameters, search);
        }
    }
    primal.look_at(n);
    let minimum = lbfgs::minimise(kernels, &mut primal, settings.limits(), parameters, search);
    primal.leave(parameters);
    Ok(minimum.into())
}

#[cfg(all(test, feature = "std"))]
#[path = "softmax_tests.rs"]
mod tests;
