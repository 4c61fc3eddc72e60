//! Ridge regression on class indicators: targets 1 for the sample's class and -1 for the others, as scikit-learn's
//! `RidgeClassifier`.
//!
//! Minimises `sum_i weight_i |y_i - W x_i - b|^2 + l2 |W|^2`, the bias not penalised (the features are centred). Its merit is
//! that what each sample's prediction would be without it has a closed form, so that [`fit_path`] tries a whole path of L2
//! for the price of one factorisation, with the criterion of scikit-learn's `RidgeClassifierCV`: the mean squared left-out
//! error. Its logits are in -1..1 or so: calibrate them before you take them for log-odds.
//!
//! [`head`] is from streaming [`Moments`]: the same statistics as for discriminant analysis, with the same bound for what
//! removing a sample leaves behind.
//!
//! The arithmetic is f32. An L2 below about 1e-6 of the largest eigenvalue of the scatter is lost in rounding, or an error
//! where that makes the system singular. With more samples than features, left-out errors are lost sooner, where 1 minus a
//! sample's leverage is below about 1e-5: they come out too large, so that such an L2 is rather not chosen.

use super::band::{self, Factor, take};
use super::moments::Moments;
use super::{FitError, TrainingSet, check_length, root, smaller, total_len};
use crate::head::Head;
use crate::kernel::{ALIGNMENT_SLACK, Kernels, aligned};
use crate::math;

/// Classes solved for at a time.
const BLOCK_CLASSES: usize = 32;

/// Length of `scratch` for [`head`], in f32; `None` where that overflows.
pub const fn head_scratch_len(feature_dim: usize) -> Option<usize> {
    total_len(&[feature_dim.checked_mul(feature_dim), Some(feature_dim)])
}

/// Writes the head that `moments` give. `scratch` needs [`head_scratch_len`] elements of any content.
///
/// # Errors
/// Fewer than two classes, a class without samples, an L2 that is not positive and finite, or so small that the system is
/// singular in f32; slices that do not fit.
pub fn head<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    moments: &Moments<'_>,
    l2: f32,
    head: &mut Head<B>,
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n_classes, d) = (moments.n_classes(), moments.feature_dim());
    if n_classes < 2 {
        return Err(FitError::TooFewClasses { n_classes });
    }
    check_length("the head's classes", head.n_classes(), n_classes)?;
    check_length("the head's feature_dim", head.feature_dim(), d)?;
    check_l2(l2)?;
    if let Some(class) = moments.counts().iter().position(|count| *count == 0) {
        return Err(FitError::EmptyClass { class });
    }
    let expected = head_scratch_len(d).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let (a, rest) = scratch.split_at_mut(d * d);
    let grand = &mut rest[..d];
    a.copy_from_slice(moments.scatter());
    moments.grand_mean(grand);
    let counts = || moments.counts().iter().map(|count| *count as f32);
    let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * d);
    for (class, count) in counts().enumerate() {
        let row = &mut weights[class * d..][..d];
        moments.mean(class, row);
        let factor = math::sqrt(count);
        row.iter_mut().zip(&*grand).for_each(|(x, mean)| *x = factor * (*x - mean));
    }
    // Within and between the classes: the scatter about the mean of all.
    kernels.gemm_tn([d, d, n_classes], weights, weights, a);
    (0..d).for_each(|i| a[i * d + i] += l2);
    kernels.cholesky(d, a).map_err(|_| singular(l2))?;
    for (class, count) in counts().enumerate() {
        let factor = 2.0 * math::sqrt(count);
        weights[class * d..][..d].iter_mut().for_each(|x| *x *= factor);
    }
    kernels.solve_upper_transposed([d, n_classes], a, weights);
    kernels.solve_upper([d, n_classes], a, weights);
    let n = moments.n_samples() as f32;
    for ((class, bias), count) in bias.iter_mut().enumerate().zip(counts()) {
        *bias = 2.0 * count / n - 1.0 - kernels.dot(&weights[class * d..][..d], grand);
    }
    Ok(())
}

fn check_l2(l2: f32) -> Result<(), FitError> {
    if l2 > 0.0 && l2 < f32::INFINITY { Ok(()) } else { Err(FitError::L2 { l2 }) }
}

fn singular(l2: f32) -> FitError {
    FitError::Setting { what: "l2", got: l2, expected: "larger: the system is singular in f32" }
}

/// What [`Centred::new`] takes.
const fn centred_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let rank = smaller(n_samples, feature_dim);
    let (rows, square) = (n_samples.checked_mul(feature_dim), rank.checked_mul(rank));
    total_len(&[rows, square, Some(feature_dim), Some(n_samples), Some(n_classes)])
}

/// The samples about their mean, and the smaller of their two matrices of products.
struct Centred<'a> {
    n: usize,
    d: usize,
    /// Whether `square` is `[n, n]`, of samples, rather than `[d, d]`, of features.
    dual: bool,
    /// `[n, d]`: `sqrt(weight) (x - mean) / unit`.
    rows: &'a mut [f32],
    /// Of `rows`; in the dual case with `u uᵀ` added, `u_i = sqrt(weight_i / total)`. The rows are orthogonal to u, so no
    /// solution changes; but without it `(K + l2 I)^-1` is `1 / l2` in that direction, which drowns the rest.
    square: &'a mut [f32],
    /// `[d]`
    mean: &'a mut [f32],
    /// `[n]`: square roots of the weights.
    roots: &'a mut [f32],
    /// `[n_classes]`: of the total weight.
    shares: &'a mut [f32],
    total: f64,
    /// Root mean square of the rows, so that no square over- or underflows.
    unit: f32,
}

impl<'a> Centred<'a> {
    fn new(
        kernels: Kernels,
        set: &TrainingSet<'_>,
        n_classes: usize,
        d: usize,
        n: usize,
        rest: &mut &'a mut [f32],
    ) -> Self {
        let rank = n.min(d);
        let (rows, square) = (take(rest, n * d), take(rest, rank * rank));
        let (mean, roots, shares) = (take(rest, d), take(rest, n), take(rest, n_classes));
        let total: f64 = set.used().map(|sample| f64::from(set.weight(sample))).sum();
        shares.fill(0.0);
        for (root, sample) in roots.iter_mut().zip(set.used()) {
            *root = math::sqrt(set.weight(sample));
            shares[set.labels[sample] as usize] += (f64::from(set.weight(sample)) / total) as f32;
        }
        for (j, mean) in mean.iter_mut().enumerate() {
            let weighted = |sample: usize| f64::from(set.weight(sample)) * f64::from(set.features[sample * d + j]);
            *mean = (set.used().map(weighted).sum::<f64>() / total) as f32;
        }
        let mut trace = 0.0;
        for ((row, sample), root) in rows.chunks_exact_mut(d.max(1)).zip(set.used()).zip(&*roots) {
            for ((to, x), mean) in row.iter_mut().zip(set.row(sample, d)).zip(&*mean) {
                *to = root * (x - mean);
                trace += f64::from(*to) * f64::from(*to);
            }
        }
        let unit = if trace > 0.0 { root(trace / rank as f64) } else { 1.0 };
        rows.iter_mut().for_each(|x| *x /= unit);
        let dual = n <= d;
        if dual {
            kernels.syrk_nt([n, d], rows, square);
            for (i, row) in square.chunks_exact_mut(n).enumerate() {
                kernels.axpy((f64::from(roots[i]) / total) as f32, roots, row);
            }
        } else {
            square.fill(0.0);
            kernels.gemm_tn([d, d, n], rows, rows, square);
            // A feature that never varies, as dead channels of a network, has weight zero whatever stands here; zero would
            // be an eigenvalue that rounding can make negative.
            square.iter_mut().step_by(d + 1).filter(|x| **x == 0.0).for_each(|x| *x = 1.0);
        }
        Self { n, d, dual, rows, square, mean, roots, shares, total, unit }
    }

    /// L2 in the units of `square`.
    fn l2(&self, l2: f32) -> f32 {
        l2 / self.unit / self.unit
    }

    /// Centred target of a sample with `label`.
    fn target(&self, label: u16, class: usize) -> f32 {
        (if label as usize == class { 2.0 } else { 0.0 }) - 2.0 * self.shares[class]
    }

    /// Right-hand sides of the classes from `first` on, one a row: weighted targets `[classes, n]`, or their products with
    /// the rows `[classes, d]`.
    fn right_hand_sides(&self, kernels: Kernels, set: &TrainingSet<'_>, first: usize, out: &mut [f32]) {
        let width = if self.dual { self.n } else { self.d };
        out.fill(0.0);
        for (i, sample) in set.used().enumerate() {
            let (label, root) = (set.labels[sample], self.roots[i]);
            if self.dual {
                for (k, row) in out.chunks_exact_mut(width.max(1)).enumerate() {
                    row[i] = root * self.target(label, first + k);
                }
            } else if let Some(row) = (label as usize).checked_sub(first).and_then(|k| out.get_mut(k * width..)) {
                // The rest of the target is the same for all samples, whose weighted rows sum to zero.
                if let Some(row) = row.get_mut(..width) {
                    kernels.axpy(2.0 * root, &self.rows[i * width..][..width], row);
                }
            }
        }
    }

    /// Biases, and weights in the features' units.
    fn finish<B: AsRef<[f32]> + AsMut<[f32]>>(&self, kernels: Kernels, head: &mut Head<B>) {
        let n_classes = self.shares.len();
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * self.d);
        weights.iter_mut().for_each(|w| *w /= self.unit);
        for (class, bias) in bias.iter_mut().enumerate() {
            let row = &weights[class * self.d..][..self.d];
            *bias = 2.0 * self.shares[class] - 1.0 - kernels.dot(row, self.mean);
        }
    }
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows: the features again, a square of the smaller of
/// `n_samples` and `feature_dim`, and little else.
pub const fn scratch_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let classes = smaller(n_classes, BLOCK_CLASSES);
    let block = n_samples.checked_mul(classes);
    total_len(&[centred_len(n_samples, n_classes, feature_dim), block, block, Some(ALIGNMENT_SLACK)])
}

/// Fits `head` to `set` for one L2. With `r` the smaller of `n_samples` and `feature_dim`, about
/// `n_samples * feature_dim * r` multiply-adds. `scratch` needs [`scratch_len`] elements of any content.
///
/// # Errors
/// As [`head`], and those of a wrong set.
///
/// ```
/// use topgraft_core::{head::Head, kernel::Kernels};
/// use topgraft_core::solver::{TrainingSet, ridge};
///
/// let set = TrainingSet { features: &[0.0, 1.0, 2.0, 3.0], labels: &[0, 0, 1, 1], sample_weights: None };
/// let mut head = Head::new(2, 1, [0.0; 4])?;
/// let mut scratch = [0.0; ridge::scratch_len(4, 2, 1).unwrap()];
/// ridge::fit(Kernels::detect(), &set, 1.0, &mut head, &mut scratch)?;
/// let expected = [-2.0 / 3.0, 2.0 / 3.0, 1.0, -1.0];
/// assert!(head.parameters().iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    l2: f32,
    head: &mut Head<B>,
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n_classes, d) = (head.n_classes(), head.feature_dim());
    set.check(n_classes, d)?;
    check_l2(l2)?;
    let n = set.used().count();
    let expected = scratch_len(n, n_classes, d).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let mut rest = aligned(scratch);
    let centred = Centred::new(kernels, set, n_classes, d, n, &mut rest);
    let rank = n.min(d);
    let shift = centred.l2(l2);
    (0..rank).for_each(|i| centred.square[i * rank + i] += shift);
    kernels.cholesky(rank, centred.square).map_err(|_| singular(l2))?;
    let weights = &mut head.parameters_mut()[..n_classes * d];
    for first in (0..n_classes).step_by(BLOCK_CLASSES) {
        let classes = BLOCK_CLASSES.min(n_classes - first);
        let weights = &mut weights[first * d..][..classes * d];
        if !centred.dual {
            centred.right_hand_sides(kernels, set, first, weights);
            kernels.solve_upper_transposed([d, classes], centred.square, weights);
            kernels.solve_upper([d, classes], centred.square, weights);
            continue;
        }
        let (duals, columns) = rest.split_at_mut(classes * n);
        let columns = &mut columns[..classes * n];
        centred.right_hand_sides(kernels, set, first, duals);
        kernels.solve_upper_transposed([n, classes], centred.square, duals);
        kernels.solve_upper([n, classes], centred.square, duals);
        for (i, column) in columns.chunks_exact_mut(classes).enumerate() {
            column.iter_mut().enumerate().for_each(|(k, x)| *x = duals[k * n + i]);
        }
        weights.fill(0.0);
        kernels.gemm_tn([classes, d, n], columns, centred.rows, weights);
    }
    centred.finish(kernels, head);
    Ok(())
}

/// Length of `scratch` for [`fit_path`], in f32; `None` where that overflows. With `r` the smaller of `n_samples` and
/// `feature_dim`: the features again, `1.5 r^2`, `n_samples * r` where there are more samples than features, and for each L2
/// of the path `13 r + n_samples`. For 1000 samples of 1280 features and 20 L2, 13 MB.
pub const fn path_scratch_len(
    n_samples: usize,
    n_classes: usize,
    feature_dim: usize,
    path_len: usize,
) -> Option<usize> {
    let rank = smaller(n_samples, feature_dim);
    let classes = smaller(n_classes, BLOCK_CLASSES);
    let Some(factor) = band::band_len(rank) else { return None };
    let coordinates = if n_samples <= feature_dim { Some(0) } else { rank.checked_mul(n_samples) };
    total_len(&[
        centred_len(n_samples, n_classes, feature_dim),
        Some(factor),
        band::work_len(rank),
        coordinates,
        factor.checked_mul(path_len),
        n_samples.checked_mul(path_len),
        band::forms_work_len(n_samples),
        rank.checked_mul(classes),
        rank.checked_mul(classes),
        rank.checked_mul(classes),
        n_samples.checked_mul(classes),
        Some(ALIGNMENT_SLACK),
    ])
}

/// Fits `head` to `set` with the L2 of `path` whose left-out error is least (the first of equals), and returns its index.
///
/// `errors`, as long as the path, gets the squared error of each sample's targets when it is left out, the mean over samples
/// and classes: the criterion of scikit-learn's `RidgeClassifierCV`, whose `alphas` are our path. `left_out
/// [n_samples, n_classes]`, if given, gets the logits of each sample by a head that has not seen it, for the chosen L2; for
/// accuracy that is honest but for the choice of L2. `scratch` needs [`path_scratch_len`] elements of any content.
///
/// One reduction to a band of the Gram matrix, or of the features' scatter if that is smaller; then each L2 costs
/// `2 * 12 * n_samples * r` multiply-adds for the leverages and `n_samples * r * n_classes` for the errors.
///
/// # Errors
/// As [`fit`]; also an empty path, and slices that do not fit.
#[allow(clippy::too_many_arguments, reason = "each is the caller's memory")]
pub fn fit_path<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    path: &[f32],
    head: &mut Head<B>,
    errors: &mut [f64],
    left_out: Option<&mut [f32]>,
    scratch: &mut [f32],
) -> Result<usize, FitError> {
    let (n_classes, d) = (head.n_classes(), head.feature_dim());
    set.check(n_classes, d)?;
    path.iter().try_for_each(|l2| check_l2(*l2))?;
    check_length("errors", errors.len(), path.len())?;
    if let Some(left_out) = &left_out {
        check_length("left_out", left_out.len(), set.labels.len().saturating_mul(n_classes))?;
    }
    let n = set.used().count();
    let expected = path_scratch_len(n, n_classes, d, path.len()).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let mut rest = aligned(scratch);
    let centred = Centred::new(kernels, set, n_classes, d, n, &mut rest);
    let rank = n.min(d);
    let band = take(&mut rest, rank * band::ROW);
    band::reduce(kernels, rank, centred.square, band, take(&mut rest, band::work_len(rank).unwrap_or(0)));
    let coordinates: &[f32] = if centred.dual {
        centred.square
    } else {
        let coordinates = take(&mut rest, rank * n);
        kernels.gemm_nt([rank, n, d], centred.square, centred.rows, coordinates);
        coordinates
    };
    let (factors, forms) = (take(&mut rest, path.len() * rank * band::ROW), take(&mut rest, path.len() * n));
    let factor_at = |i: usize| i * rank * band::ROW..(i + 1) * rank * band::ROW;
    let work = take(&mut rest, band::forms_work_len(n).unwrap_or(0));
    for (i, l2) in path.iter().enumerate() {
        let factor = Factor::new(kernels, rank, band, centred.l2(*l2), &mut factors[factor_at(i)]);
        factor.ok_or(singular(*l2))?.inverse_forms(n, coordinates, &mut forms[i * n..][..n], work);
    }
    let path = Path { kernels, set, path, centred: &centred, coordinates, factors, forms, rank };
    path.errors(errors, rest);
    let best = (0..errors.len()).reduce(|best, i| if errors[i] < errors[best] { i } else { best });
    let best = best.ok_or(FitError::Length { what: "path", expected: 1, got: 0 })?;
    path.solve(best, head, left_out, rest);
    Ok(best)
}

/// A path of L2 after the reduction.
struct Path<'a> {
    kernels: Kernels,
    set: &'a TrainingSet<'a>,
    path: &'a [f32],
    centred: &'a Centred<'a>,
    /// `[rank, n]`: of the samples, in the basis of the band; in the dual case the basis itself.
    coordinates: &'a [f32],
    /// `[path, rank, ROW]`
    factors: &'a [f32],
    /// `[path, n]`: `zᵀ (B + l2 I)^-1 z` of each column of coordinates.
    forms: &'a [f32],
    rank: usize,
}

impl Path<'_> {
    /// Right-hand sides of a block of classes in the basis of the band, `targets [rank, classes]`.
    fn targets(&self, first: usize, classes: usize, sides: &mut [f32], targets: &mut [f32]) {
        self.centred.right_hand_sides(self.kernels, self.set, first, sides);
        self.kernels.gemm_nt([self.rank, classes, self.rank], self.centred.square, sides, targets);
    }

    /// Solves for one L2: `solved [rank, classes]`, and from it `fitted [classes, n]`.
    fn fitted(&self, at: usize, classes: usize, targets: &[f32], solved: &mut [f32], fitted: &mut [f32]) {
        let len = self.rank * band::ROW;
        solved.copy_from_slice(targets);
        Factor::resume(self.kernels, self.rank, &self.factors[at * len..][..len]).solve(classes, solved);
        fitted.fill(0.0);
        self.kernels.gemm_tn([classes, self.centred.n, self.rank], solved, self.coordinates, fitted);
    }

    /// What sample `i` lacks of its target for `class` when it is left out, times the root of its weight.
    fn residual(&self, at: usize, i: usize, label: u16, class: usize, fitted: f32) -> f32 {
        let (root, form) = (self.centred.roots[i], self.forms[at * self.centred.n + i]);
        let share = (f64::from(root) * f64::from(root) / self.centred.total) as f32;
        // The residual by 1 minus the leverage (Allen 1974, PRESS), which is positive but for rounding.
        if self.centred.dual {
            // Both have the factor l2 in the dual case.
            fitted / (form - share / (1.0 + self.centred.l2(self.path[at]))).max(f32::MIN_POSITIVE)
        } else {
            (root * self.centred.target(label, class) - fitted) / (1.0 - share - form).max(1e-6)
        }
    }

    fn errors(&self, errors: &mut [f64], scratch: &mut [f32]) {
        let (n, n_classes) = (self.centred.n, self.centred.shares.len());
        errors.fill(0.0);
        for first in (0..n_classes).step_by(BLOCK_CLASSES) {
            let classes = BLOCK_CLASSES.min(n_classes - first);
            let [sides, targets, solved, fitted] = self.blocks(classes, scratch);
            self.targets(first, classes, sides, targets);
            for (at, error) in errors.iter_mut().enumerate() {
                self.fitted(at, classes, targets, solved, fitted);
                for (k, row) in fitted.chunks_exact(n).enumerate() {
                    for ((i, fitted), sample) in row.iter().enumerate().zip(self.set.used()) {
                        let residual = self.residual(at, i, self.set.labels[sample], first + k, *fitted);
                        *error += f64::from(residual) * f64::from(residual);
                    }
                }
            }
        }
        errors.iter_mut().for_each(|error| *error /= self.centred.total * n_classes as f64);
    }

    fn solve<B: AsRef<[f32]> + AsMut<[f32]>>(
        &self,
        at: usize,
        head: &mut Head<B>,
        mut left_out: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) {
        let (n, d, n_classes, rank) = (self.centred.n, self.centred.d, self.centred.shares.len(), self.rank);
        for first in (0..n_classes).step_by(BLOCK_CLASSES) {
            let classes = BLOCK_CLASSES.min(n_classes - first);
            let [sides, targets, solved, fitted] = self.blocks(classes, scratch);
            self.targets(first, classes, sides, targets);
            self.fitted(at, classes, targets, solved, fitted);
            if let Some(left_out) = &mut left_out {
                for (k, row) in fitted.chunks_exact(n).enumerate() {
                    for ((i, fitted), sample) in row.iter().enumerate().zip(self.set.used()) {
                        let label = self.set.labels[sample];
                        let target = if label as usize == first + k { 1.0 } else { -1.0 };
                        let residual = self.residual(at, i, label, first + k, *fitted) / self.centred.roots[i];
                        left_out[sample * n_classes + first + k] = target - residual;
                    }
                }
            }
            let weights = &mut head.parameters_mut()[first * d..][..classes * d];
            weights.fill(0.0);
            if self.centred.dual {
                let columns = fitted;
                columns.fill(0.0);
                self.kernels.gemm_tn([n, classes, rank], self.centred.square, solved, columns);
                self.kernels.gemm_tn([classes, d, n], columns, self.centred.rows, weights);
            } else {
                self.kernels.gemm_tn([classes, d, rank], solved, self.centred.square, weights);
            }
        }
        self.centred.finish(self.kernels, head);
        if let Some(left_out) = left_out {
            // The head has not seen the samples of weight zero.
            for sample in (0..self.set.labels.len()).filter(|sample| self.set.weight(*sample) == 0.0) {
                let logits = &mut left_out[sample * n_classes..][..n_classes];
                head.logits(self.kernels, self.set.row(sample, d), logits);
            }
        }
    }

    /// Scratch for a block of classes: right-hand sides, targets, solved `[rank, classes]`; fitted `[classes, n]`.
    fn blocks<'b>(&self, classes: usize, scratch: &'b mut [f32]) -> [&'b mut [f32]; 4] {
        let mut rest = scratch;
        let block = self.rank * classes;
        let mut next = |len| take(&mut rest, len);
        [next(block), next(block), next(block), next(classes * self.centred.n)]
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "ridge_tests.rs"]
mod tests;
