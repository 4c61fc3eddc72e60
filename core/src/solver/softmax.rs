//! Softmax regression (multinomial logistic regression) with an L2 penalty, to the optimum.
//!
//! Minimises `sum_i weight_i * NLL_i + l2 / 2 * |W|^2`, the bias not penalised: scikit-learn's `LogisticRegression` with
//! `C = 1 / l2`. For two classes scikit-learn keeps one sigmoid vector instead of two rows; the same model has
//! `l2 = 2 / C` here. Strictly convex in W, so there is one optimum and no learning rate.
//!
//! L-BFGS (Liu & Nocedal 1989) with a line search driven by the slope, which for a convex function needs no exact function
//! values. Each pass reads the features once: logits and gradient by blocks of rows that stay in cache. It works in centred
//! features `x - mean`, with a bias in units of their length: the free bias makes that the same model, and without the
//! direction that all features of a network share it takes a fraction of the passes.

use super::{FitError, FitReport, TrainingSet};
use crate::head::{Head, parameter_count};
use crate::kernel::Kernels;
use crate::math;

/// Pairs of steps and gradient changes that L-BFGS keeps.
const HISTORY: usize = 10;
/// Rows of features per block: 32 x 1280 floats are 160 KB, half of a Pi 4's share of its second-level cache.
const BLOCK_ROWS: usize = 32;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Penalty on the squared weights, positive.
    pub l2: f32,
    /// Stops when the objective is proven to be within this share of the optimum.
    pub tolerance: f64,
    /// Stops after so many steps.
    pub max_iterations: u32,
}

impl Settings {
    /// The optimum to 1e-7 relative, for a given penalty.
    pub const fn new(l2: f32) -> Self {
        Self { l2, tolerance: 1e-7, max_iterations: 2000 }
    }
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows.
pub const fn scratch_len(n_classes: usize, feature_dim: usize) -> Option<usize> {
    let Some(parameters) = parameter_count(n_classes, feature_dim) else { return None };
    let Some(vectors) = parameters.checked_mul(2 * HISTORY + 4) else { return None };
    let Some(block) = n_classes.checked_mul(BLOCK_ROWS + 1) else { return None };
    let Some(both) = vectors.checked_add(block) else { return None };
    both.checked_add(feature_dim)
}

/// Fits `head` to `set`, starting from the parameters that it has: zeros for a fit from nothing, the last optimum for a
/// warm start. The optimum does not depend on the start, but for rounding.
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
/// let mut scratch = [0.0; softmax::scratch_len(2, 1).unwrap()];
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
    let (n_classes, feature_dim) = (head.n_classes(), head.feature_dim());
    set.check(n_classes, feature_dim)?;
    if !(settings.l2 > 0.0 && settings.l2 < f32::INFINITY) {
        return Err(FitError::L2 { l2: settings.l2 });
    }
    let expected = scratch_len(n_classes, feature_dim).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let (mean, rest) = scratch[..expected].split_at_mut(feature_dim);
    let (block, vectors) = rest.split_at_mut(n_classes * (BLOCK_ROWS + 1));
    let bias_unit = mean_and_length(kernels, set, mean);
    let objective = Objective { kernels, set, mean, bias_unit, n_classes, feature_dim, l2: settings.l2 };
    let parameters = head.parameters_mut();
    objective.enter(parameters);
    let report = minimise(&objective, settings, parameters, block, vectors);
    objective.leave(parameters);
    Ok(report)
}

/// Fills in the mean of the features, `[feature_dim]`, each sample counted by its weight; returns the root mean square of
/// the length of what is left of them, or 1 if nothing is.
fn mean_and_length(kernels: Kernels, set: &TrainingSet<'_>, mean: &mut [f32]) -> f32 {
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

/// The function to be minimised.
struct Objective<'a> {
    kernels: Kernels,
    set: &'a TrainingSet<'a>,
    /// `[feature_dim]`, taken from every sample.
    mean: &'a [f32],
    /// The bias is counted in this unit, so that it is about as stiff as the weights.
    bias_unit: f32,
    n_classes: usize,
    feature_dim: usize,
    l2: f32,
}

impl Objective<'_> {
    /// Turns a head's bias into that of the centred features, in its unit.
    fn enter(&self, parameters: &mut [f32]) {
        self.for_each_bias(parameters, |bias, shift| (bias + shift) / self.bias_unit);
    }

    /// Turns it back.
    fn leave(&self, parameters: &mut [f32]) {
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

    /// Value at `parameters`, and its `gradient`, both of the head's layout. One pass over the features.
    fn evaluate(&self, parameters: &[f32], gradient: &mut [f32], block: &mut [f32]) -> f64 {
        let (n_classes, feature_dim) = (self.n_classes, self.feature_dim);
        let (weights, centred_bias) = parameters.split_at(n_classes * feature_dim);
        let (bias, block) = block.split_at_mut(n_classes);
        self.kernels.gemm_nt([1, n_classes, feature_dim], self.mean, weights, bias);
        for (bias, centred) in bias.iter_mut().zip(centred_bias) {
            *bias = centred * self.bias_unit - *bias;
        }
        gradient.fill(0.0);
        let (weight_gradient, bias_gradient) = gradient.split_at_mut(weights.len());
        let mut value = 0.0;
        for (first, labels) in (0..).step_by(BLOCK_ROWS).zip(self.set.labels.chunks(BLOCK_ROWS)) {
            let rows = labels.len();
            let features = &self.set.features[first * feature_dim..][..rows * feature_dim];
            let residuals = &mut block[..rows * n_classes];
            self.kernels.gemm_nt([rows, n_classes, feature_dim], features, weights, residuals);
            for (i, row) in residuals.chunks_exact_mut(n_classes).enumerate() {
                for (z, bias) in row.iter_mut().zip(&*bias) {
                    *z += bias;
                }
                let weight = self.set.weight(first + i);
                value += weight as f64 * logits_to_residual(row, labels[i] as usize) as f64;
                for (g, r) in bias_gradient.iter_mut().zip(&mut *row) {
                    *r *= weight;
                    *g += *r;
                }
            }
            self.kernels.gemm_tn([n_classes, feature_dim, rows], residuals, features, weight_gradient);
        }
        for (row, g) in weight_gradient.chunks_exact_mut(feature_dim.max(1)).zip(&*bias_gradient) {
            self.kernels.axpy(-g, self.mean, row);
        }
        bias_gradient.iter_mut().for_each(|g| *g *= self.bias_unit);
        self.kernels.axpy(self.l2, weights, weight_gradient);
        value + 0.5 * self.l2 as f64 * self.kernels.dot(weights, weights) as f64
    }
}

/// Turns a row of logits into `softmax - one_hot(label)`, the gradient with respect to the logits; returns the negative
/// log-likelihood `-ln softmax[label]`, with all its digits where the label is almost certain.
fn logits_to_residual(row: &mut [f32], label: usize) -> f32 {
    let top = crate::head::argmax(row).unwrap_or(label);
    let (max, at_label) = (row[top], row[label]);
    let mut others = 0.0;
    for (k, z) in row.iter_mut().enumerate() {
        *z = if k == top { 1.0 } else { math::exp(*z - max) };
        others += if k == top { 0.0 } else { *z };
    }
    let sum = 1.0 + others;
    row.iter_mut().for_each(|p| *p /= sum);
    // For the label, p - 1 is minus the rest: the subtraction itself would lose its digits.
    row[label] = if label == top { -(others / sum) } else { row[label] - 1.0 };
    (max - at_label) + math::ln_1p(others)
}

/// L-BFGS from `x` to the minimum; `vectors` holds `2 * HISTORY + 4` of the length of `x`.
fn minimise(
    objective: &Objective<'_>,
    settings: &Settings,
    x: &mut [f32],
    block: &mut [f32],
    vectors: &mut [f32],
) -> FitReport {
    let kernels = objective.kernels;
    let dot = |a: &[f32], b: &[f32]| kernels.dot(a, b) as f64;
    let (gradient, rest) = vectors.split_at_mut(x.len());
    let (old_x, rest) = rest.split_at_mut(x.len());
    let (old_gradient, rest) = rest.split_at_mut(x.len());
    let (direction, rest) = rest.split_at_mut(x.len());
    let mut history = History::new(rest, x.len());

    let mut value = objective.evaluate(x, gradient, block);
    let (mut iterations, mut passes, mut stalled) = (0, 1, 0);
    let gap = |gradient: &[f32]| dot(gradient, gradient) / (2.0 * settings.l2 as f64);
    while gap(gradient) > settings.tolerance * value && iterations < settings.max_iterations && stalled < 5 {
        history.direction(kernels, gradient, direction);
        let mut slope = dot(gradient, direction);
        if slope >= 0.0 {
            // Rounding has spoilt the history.
            history.clear();
            history.direction(kernels, gradient, direction);
            slope = dot(gradient, direction);
        }
        old_x.copy_from_slice(x);
        old_gradient.copy_from_slice(gradient);
        let first = if history.is_empty() { (1.0 / math::sqrt(dot(gradient, gradient) as f32)).min(1.0) } else { 1.0 };
        let mut search = LineSearch::new(value, slope, first as f64);
        let found = loop {
            x.copy_from_slice(old_x);
            kernels.axpy(search.step as f32, direction, x);
            let new_value = objective.evaluate(x, gradient, block);
            passes += 1;
            match search.next(new_value, dot(gradient, direction)) {
                Verdict::Accept => break Some(new_value),
                Verdict::TryAgain => {}
                Verdict::GiveUp => break None,
            }
        };
        iterations += 1;
        let Some(new_value) = found else {
            x.copy_from_slice(old_x);
            gradient.copy_from_slice(old_gradient);
            if history.is_empty() {
                break; // Not even steepest descent gets further: this is as exact as f32 gets.
            }
            history.clear();
            continue;
        };
        stalled = if value - new_value <= 1e-9 * value { stalled + 1 } else { 0 };
        value = new_value;
        history.push(kernels, x, old_x, gradient, old_gradient);
    }
    let gap = gap(gradient);
    FitReport { objective: value, gap, iterations, passes, converged: gap <= settings.tolerance * value }
}

/// What a line search says of a step.
enum Verdict {
    Accept,
    TryAgain,
    GiveUp,
}

/// Finds a step along a descent direction where the function has fallen and the slope has flattened (Wolfe's conditions).
struct LineSearch {
    /// The step to try.
    step: f64,
    start_value: f64,
    start_slope: f64,
    /// The longest step known to be too short, and the slope there.
    low: (f64, f64),
    /// The shortest step known to be too long, and the slope there.
    high: Option<(f64, f64)>,
    tries: u32,
}

impl LineSearch {
    fn new(start_value: f64, start_slope: f64, step: f64) -> Self {
        Self { step, start_value, start_slope, low: (0.0, start_slope), high: None, tries: 0 }
    }

    /// Judges the value and the slope at `step`, and sets the next step to try.
    fn next(&mut self, value: f64, slope: f64) -> Verdict {
        self.tries += 1;
        // A convex function whose slope is still negative has fallen: no need to compare values, which carry rounding.
        let enough = self.start_value + 1e-4 * self.step * self.start_slope + 1e-7 * self.start_value.abs();
        let has_fallen = slope <= 0.0 || value <= enough;
        if has_fallen && slope >= 0.9 * self.start_slope {
            return Verdict::Accept;
        }
        if self.tries == 25 {
            return Verdict::GiveUp;
        }
        if has_fallen && slope < 0.0 {
            self.low = (self.step, slope);
        } else {
            // A NaN, from overflow, ends here too.
            self.high = Some((self.step, slope));
        }
        let (low, low_slope) = self.low;
        self.step = match self.high {
            None => 4.0 * self.step,
            // Where the slope would be zero, were it linear; kept away from both ends.
            Some((high, high_slope)) => {
                let share = low_slope / (low_slope - high_slope);
                let share = if share.is_finite() { share.clamp(0.1, 0.9) } else { 0.1 };
                low + (high - low) * share
            }
        };
        Verdict::TryAgain
    }
}

/// The last steps `s` and gradient changes `y`, newest last, in a ring.
struct History<'a> {
    steps: &'a mut [f32],
    changes: &'a mut [f32],
    /// `1 / (s . y)` of each pair.
    rho: [f64; HISTORY],
    /// `(s . y) / (y . y)` of the newest pair: the scale of the inverse Hessian.
    scale: f64,
    len: usize,
    next: usize,
    dim: usize,
}

impl<'a> History<'a> {
    fn new(buffer: &'a mut [f32], dim: usize) -> Self {
        let (steps, changes) = buffer.split_at_mut(HISTORY * dim);
        Self { steps, changes, rho: [0.0; HISTORY], scale: 1.0, len: 0, next: 0, dim }
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn clear(&mut self) {
        (self.len, self.next, self.scale) = (0, 0, 1.0);
    }

    /// Slots, newest first.
    fn newest_first(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let next = self.next;
        (1..=self.len).map(move |age| (next + HISTORY - age) % HISTORY)
    }

    /// Keeps `x - old_x` and `gradient - old_gradient`, unless rounding has taken their curvature.
    fn push(&mut self, kernels: Kernels, x: &[f32], old_x: &[f32], gradient: &[f32], old_gradient: &[f32]) {
        let range = self.next * self.dim..(self.next + 1) * self.dim;
        let (step, change) = (&mut self.steps[range.clone()], &mut self.changes[range]);
        for (to, (new, old)) in step.iter_mut().zip(x.iter().zip(old_x)) {
            *to = new - old;
        }
        for (to, (new, old)) in change.iter_mut().zip(gradient.iter().zip(old_gradient)) {
            *to = new - old;
        }
        let (sy, yy) = (kernels.dot(step, change) as f64, kernels.dot(change, change) as f64);
        if sy <= 1e-12 * yy {
            return;
        }
        self.rho[self.next] = 1.0 / sy;
        self.scale = sy / yy;
        self.next = (self.next + 1) % HISTORY;
        self.len = HISTORY.min(self.len + 1);
    }

    /// `direction = -H gradient`, H the inverse Hessian as far as the pairs tell (two-loop recursion).
    fn direction(&self, kernels: Kernels, gradient: &[f32], direction: &mut [f32]) {
        let pair = |slot: usize| {
            let range = slot * self.dim..(slot + 1) * self.dim;
            (&self.steps[range.clone()], &self.changes[range])
        };
        for (d, g) in direction.iter_mut().zip(gradient) {
            *d = -g;
        }
        let mut alpha = [0.0; HISTORY];
        for slot in self.newest_first() {
            let (step, change) = pair(slot);
            alpha[slot] = self.rho[slot] * kernels.dot(step, direction) as f64;
            kernels.axpy(-alpha[slot] as f32, change, direction);
        }
        let scale = self.scale as f32;
        direction.iter_mut().for_each(|d| *d *= scale);
        for slot in self.newest_first().rev() {
            let (step, change) = pair(slot);
            let beta = self.rho[slot] * kernels.dot(change, direction) as f64;
            kernels.axpy((alpha[slot] - beta) as f32, step, direction);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "softmax_tests.rs"]
mod tests;
