//! The choice of the shrinkage, by leaving each sample out.

use super::super::band::{self, Factor, band_len, take};
use super::super::{FitError, TrainingSet, check_length, root, smaller, total_len};
use super::{Centred, Shrinkage, centred_len, shrink, singular};
use crate::kernel::Kernels;
use crate::math;

/// Length of `scratch` for [`choose`], in f32; `None` where that overflows: about the features, three squares of the smaller
/// of `n_samples` and `feature_dim`, and four times `n_classes * (n_samples + n_classes)`.
pub const fn choose_scratch_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let rank = smaller(n_samples, feature_dim);
    let (targets, scores) = (rank.checked_mul(n_classes), n_classes.checked_mul(n_samples));
    total_len(&[
        centred_len(n_samples, n_classes, feature_dim),
        rank.checked_mul(rank),
        band_len(rank),
        band_len(rank),
        band::work_len(rank),
        rank.checked_mul(n_samples),
        targets,
        targets,
        scores,
        n_classes.checked_mul(n_classes),
        Some(n_samples),
        band::forms_work_len(n_samples),
    ])
}

/// Chooses from `path` the shrinkage with the least left-out log-loss, and returns its index; `losses`, as long as the path,
/// gets the mean of each. `scratch` needs [`choose_scratch_len`] elements of any content.
///
/// One reduction of the scatter (or, with fewer samples than features, of the Gram matrix) to a band serves the whole path.
/// Each sample is left out of its class's mean and of the covariance exactly, by a rank-1 downdate; the penalty on the
/// scatter, `s t n / (1 - s)`, stays that of all samples. A sample without another of its class is not scored.
///
/// # Errors
/// As [`lda::fit`](super::fit); also [`Shrinkage::Oas`] in the path, an s of 0 or 1, an empty path, and no class of two samples.
pub fn choose(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    [n_classes, d]: [usize; 2],
    path: &[Shrinkage],
    class_shares: bool,
    losses: &mut [f64],
    scratch: &mut [f32],
) -> Result<usize, FitError> {
    set.check(n_classes, d)?;
    set.check_weights_are_zero_or_one()?;
    check_length("losses", losses.len(), path.len())?;
    for shrinkage in path {
        let (Shrinkage::Scaled(s) | Shrinkage::Identity(s)) = *shrinkage else {
            return Err(FitError::Setting { what: "path", got: f32::NAN, expected: "without Oas" });
        };
        if !(s > 0.0 && s < 1.0) {
            return Err(FitError::Setting { what: "shrinkage", got: s, expected: "between 0 and 1" });
        }
    }
    let n = set.used().count();
    let expected = choose_scratch_len(n, n_classes, d).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let mut rest = scratch;
    let centred = Centred::new(set, n_classes, d, n, &mut rest);
    if centred.counts.iter().all(|count| *count < 2.0) {
        return Err(FitError::Absent { what: "second sample in class", index: 0 });
    }
    let (rank, dual) = (n.min(d), n < d);
    let q = take(&mut rest, rank * rank);
    let (band, l) = (take(&mut rest, rank * band::ROW), take(&mut rest, rank * band::ROW));
    // Means and rows in units where the matrix has a mean diagonal of about 1.
    let trace: f64 = centred.rows.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let unit = if trace > 0.0 { trace / rank as f64 } else { 1.0 };
    let inverse = 1.0 / root(unit);
    centred.rows.iter_mut().chain(&mut *centred.means).for_each(|x| *x *= inverse);
    let unit = 1.0 / (f64::from(inverse) * f64::from(inverse));
    if dual {
        kernels.syrk_nt([n, d], centred.rows, q);
        // The rows of a class sum to zero: in the direction of their sum (K + l2 I)^-1 is 1 / l2, from which little would be
        // left after what is common is taken away. With 1 added to K there, it is 1 / (1 + l2).
        for (i, a) in set.used().enumerate() {
            for (j, _) in set.used().enumerate().filter(|(_, b)| set.labels[a] == set.labels[*b]) {
                q[i * n + j] += 1.0 / centred.counts[set.labels[a] as usize];
            }
        }
    } else {
        q.fill(0.0);
        kernels.gemm_tn([d, d, n], centred.rows, centred.rows, q);
    }
    band::reduce(kernels, rank, q, band, take(&mut rest, band::work_len(rank).unwrap_or(0)));
    // Coordinates of the samples, [rank, n], and of the means, [rank, n_classes].
    let stored = take(&mut rest, rank * n);
    let (targets, solved) = (take(&mut rest, rank * n_classes), take(&mut rest, rank * n_classes));
    let (scores, between) = (take(&mut rest, n_classes * n), take(&mut rest, n_classes * n_classes));
    let coordinates: &[f32] = if dual {
        kernels.gemm_nt([n_classes, n, d], centred.means, centred.rows, scores);
        kernels.gemm_nt([rank, n_classes, n], q, scores, targets);
        q
    } else {
        kernels.gemm_nt([rank, n, d], q, centred.rows, stored);
        kernels.gemm_nt([rank, n_classes, d], q, centred.means, targets);
        stored
    };
    let (forms, work) = (take(&mut rest, n), rest);
    for (loss, shrinkage) in losses.iter_mut().zip(path) {
        let (s, target) = shrink(*shrinkage, n as f64, d, trace, 0.0)?;
        let l2 = s * target * n as f64 / (1.0 - s) / unit;
        let factor = Factor::new(kernels, rank, band, l2 as f32, l).ok_or(singular(s as f32))?;
        factor.inverse_forms(n, coordinates, forms, work);
        solved.copy_from_slice(targets);
        factor.solve(n_classes, solved);
        scores.fill(0.0);
        kernels.gemm_tn([n_classes, n, rank], solved, coordinates, scores);
        between.fill(0.0);
        kernels.gemm_tn([n_classes, n_classes, rank], targets, solved, between);
        if dual {
            for (k, row) in between.chunks_exact_mut(n_classes).enumerate() {
                for (c, x) in row.iter_mut().enumerate() {
                    let means = kernels.dot(&centred.means[k * d..][..d], &centred.means[c * d..][..d]);
                    *x = ((f64::from(means) - f64::from(*x)) / l2) as f32;
                }
            }
        }
        let left_out = LeftOut {
            n,
            counts: centred.counts,
            // The means and rows are in units of sqrt(unit), B in units of 1 / unit: the products have none.
            scale: (n as f64 - 1.0) / (1.0 - s),
            scores,
            between,
            class_shares,
        };
        let (mut sum, mut scored) = (0.0, 0.0);
        for (i, sample) in set.used().enumerate() {
            let (label, form) = (set.labels[sample] as usize, f64::from(forms[i]));
            let count = f64::from(centred.counts[label]);
            if count < 2.0 {
                continue;
            }
            let (a, b) = if dual {
                let rest = l2 * (form - 1.0 / (count * (1.0 + l2)));
                (1.0 - 1.0 / count - rest, 1.0 / rest.max(f64::MIN_POSITIVE))
            } else {
                // r a is below 1, but for rounding.
                let r = count / (count - 1.0);
                (form, r / (1.0 - r * form).max(1e-6))
            };
            (sum, scored) = (sum + left_out.log_loss(i, label, a, b), scored + 1.0);
        }
        *loss = sum / scored;
    }
    let best = (0..path.len()).reduce(|best, i| if losses[i] < losses[best] { i } else { best });
    best.ok_or(FitError::Length { what: "path", expected: 1, got: 0 })
}

/// What the log-loss of a sample that is left out takes, with `B = (S + l2 I)^-1` of all samples.
struct LeftOut<'a> {
    n: usize,
    /// `[n_classes]`
    counts: &'a [f32],
    /// The inverse covariance is this times B.
    scale: f64,
    /// `mean_kᵀ B z_i`, `[n_classes, n]`.
    scores: &'a [f32],
    /// `mean_kᵀ B mean_c`, `[n_classes, n_classes]`.
    between: &'a [f32],
    class_shares: bool,
}

impl LeftOut<'_> {
    /// `-ln softmax[y]` of sample `i` without itself, given `a = z_iᵀ B z_i`.
    ///
    /// Without the sample, S loses `r z zᵀ` with `r = c / (c - 1)`, so that B gains `b B z zᵀ B` with `b = r / (1 - r a)`
    /// (Sherman & Morrison), and the mean of its class moves by `-z / (c - 1)`.
    fn log_loss(&self, i: usize, y: usize, a: f64, b: f64) -> f64 {
        let n_classes = self.counts.len();
        let step = 1.0 / (f64::from(self.counts[y]) - 1.0);
        let p = |k: usize| f64::from(self.scores[k * self.n + i]);
        let m = |k: usize| f64::from(self.between[k * n_classes + y]);
        let logit = |k: usize| {
            let (to_x, own) = if k == y {
                let q = p(y) - step * a;
                let to_x = m(y) + p(y) - step * (p(y) + a) + b * q * (p(y) + a);
                (to_x, m(y) - 2.0 * step * p(y) + step * step * a + b * q * q)
            } else {
                let own = f64::from(self.between[k * n_classes + k]) + b * p(k) * p(k);
                (m(k) + p(k) + b * p(k) * (p(y) + a), own)
            };
            let share = (f64::from(self.counts[k]) - if k == y { 1.0 } else { 0.0 }) / (self.n as f64 - 1.0);
            let prior = if self.class_shares { f64::from(math::ln(share as f32)) } else { 0.0 };
            self.scale * (to_x - 0.5 * own) + prior
        };
        let own = logit(y);
        let top = (0..n_classes).map(logit).fold(own, f64::max);
        let sum: f32 = (0..n_classes).map(|k| math::exp((logit(k) - top) as f32)).sum();
        top - own + f64::from(math::ln(sum))
    }
}
