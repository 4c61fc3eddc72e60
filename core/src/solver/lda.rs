//! Linear discriminant analysis: Gaussian classes with one covariance, shrunk towards a multiple of the identity.
//!
//! `A = (1 - s) S / n + s t I` with S the scatter about the class means; weights `A^-1 mean_k`, bias `-1/2 mean_kᵀ A^-1 mean_k`
//! and, where asked for, the logarithm of the class's share. With fewer samples than features the shrinkage s matters more
//! than anything else about a head, so [`choose`] picks it by leaving each sample out.
//!
//! Two ways to the same head: [`head`] from streaming [`Moments`] (Hayes & Kanan 2020, "Lifelong machine learning with deep
//! streaming linear discriminant analysis"), and [`fit`] from all samples at once, by whichever Cholesky factor is smaller, of the
//! features' scatter or of the samples' Gram matrix (Woodbury).
//!
//! The arithmetic is f32: an s below about 1e-6 of the largest variance is lost in rounding.

mod choose;

pub use self::choose::{choose, choose_scratch_len};

use super::band::take;
use super::moments::Moments;
use super::{FitError, TrainingSet, check_length, smaller, total_len};
use crate::head::Head;
use crate::kernel::Kernels;
use crate::math;

/// How the covariance is shrunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shrinkage {
    /// Towards the mean variance: `t = trace(S / n) / feature_dim`, the same for features of any scale; 1 if all are equal.
    Scaled(
        /// s, 0..=1
        f32,
    ),
    /// Towards the identity, `t = 1`, as Hayes & Kanan do; they take 1e-4.
    Identity(
        /// s, 0..=1
        f32,
    ),
    /// As `Scaled`, with the s of Chen et al. 2010, "Shrinkage algorithms for MMSE covariance estimation" (OAS): a closed
    /// form, right for Gaussian features.
    Oas,
}

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the covariance is shrunk.
    pub shrinkage: Shrinkage,
    /// Whether a class that has more samples is taken to be more frequent, too.
    pub class_shares: bool,
}

impl Default for Settings {
    /// OAS, all classes equally frequent.
    fn default() -> Self {
        Self { shrinkage: Shrinkage::Oas, class_shares: false }
    }
}

/// Length of `scratch` for [`head`], in f32; `None` where that overflows.
pub const fn head_scratch_len(feature_dim: usize) -> Option<usize> {
    let Some(square) = feature_dim.checked_mul(feature_dim) else { return None };
    square.checked_add(feature_dim)
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows: the features again, and a square of the smaller of
/// `n_samples` and `feature_dim`.
pub const fn scratch_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let rank = smaller(n_samples, feature_dim);
    let duals = n_classes.checked_mul(n_samples);
    total_len(&[centred_len(n_samples, n_classes, feature_dim), rank.checked_mul(rank), duals, duals])
}

/// s and t from the trace of S and the square of its Frobenius norm.
fn shrink(shrinkage: Shrinkage, n: f64, feature_dim: usize, trace: f64, square: f64) -> Result<(f64, f64), FitError> {
    let d = feature_dim.max(1) as f64;
    let mean = trace / n / d;
    let scaled = if mean > 0.0 { mean } else { 1.0 };
    let (s, target) = match shrinkage {
        Shrinkage::Identity(s) => (f64::from(s), 1.0),
        Shrinkage::Scaled(s) => (f64::from(s), scaled),
        Shrinkage::Oas => {
            let alpha = square / (n * n) / (d * d);
            let (above, below) = (alpha + mean * mean, (n + 1.0) * (alpha - mean * mean / d));
            (if below > above { above / below } else { 1.0 }, scaled)
        }
    };
    if !(0.0..=1.0).contains(&s) {
        return Err(FitError::Setting { what: "shrinkage", got: s as f32, expected: "in 0..=1" });
    }
    Ok((s, target))
}

/// The s of [`Shrinkage::Oas`] for `moments`, 0..=1: a head file says of it.
pub fn oas(moments: &Moments<'_>) -> f32 {
    let d = moments.feature_dim();
    let (trace, square) = upper_norms(d, moments.scatter());
    // It is in range whatever the numbers are.
    shrink(Shrinkage::Oas, moments.n_samples() as f64, d, trace, square).map_or(1.0, |(s, _)| s as f32)
}

/// Writes the head that `moments` give. `scratch` needs [`head_scratch_len`] elements of any content.
///
/// # Errors
/// Fewer than two classes, a class without samples, a shrinkage outside of 0..=1 or too small to make the covariance
/// positive, slices that do not fit.
pub fn head<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    moments: &Moments<'_>,
    settings: &Settings,
    head: &mut Head<B>,
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n_classes, d) = (moments.n_classes(), moments.feature_dim());
    check_head(head, n_classes, d)?;
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
    let n = moments.n_samples() as f64;
    let (trace, square) = upper_norms(d, a);
    let (s, target) = shrink(settings.shrinkage, n, d, trace, square)?;
    factor_primal(kernels, d, a, n, s, target)?;
    moments.grand_mean(grand);
    let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * d);
    for (class, bias) in bias.iter_mut().enumerate() {
        let row = &mut weights[class * d..][..d];
        moments.mean(class, row);
        row.iter_mut().zip(&*grand).for_each(|(x, mean)| *x -= mean);
        // With A = Uᵀ U the form meanᵀ A^-1 mean is the square of U^-ᵀ mean.
        kernels.solve_upper_transposed([d, 1], a, row);
        *bias = -0.5 * kernels.dot(row, row);
    }
    kernels.solve_upper([d, n_classes], a, weights);
    finish(kernels, settings, n, moments.counts().iter().map(|count| *count as f64), grand, weights, bias);
    Ok(())
}

/// Takes the bias from centred features to the features as they are, and adds the classes' shares.
fn finish(
    kernels: Kernels,
    settings: &Settings,
    n: f64,
    counts: impl Iterator<Item = f64>,
    grand: &[f32],
    weights: &[f32],
    bias: &mut [f32],
) {
    for ((class, bias), count) in bias.iter_mut().enumerate().zip(counts) {
        *bias -= kernels.dot(&weights[class * grand.len()..][..grand.len()], grand);
        if settings.class_shares {
            *bias += math::ln((count / n) as f32);
        }
    }
}

fn check_head<B: AsRef<[f32]>>(head: &Head<B>, n_classes: usize, feature_dim: usize) -> Result<(), FitError> {
    if n_classes < 2 {
        return Err(FitError::TooFewClasses { n_classes });
    }
    check_length("the head's classes", head.n_classes(), n_classes)?;
    check_length("the head's feature_dim", head.feature_dim(), feature_dim)
}

/// Trace and square of the Frobenius norm of a symmetric matrix, from its upper triangle; in f64, for any scale.
fn upper_norms(n: usize, a: &[f32]) -> (f64, f64) {
    let (mut trace, mut square) = (0.0, 0.0);
    for i in 0..n {
        let diagonal = f64::from(a[i * n + i]);
        trace += diagonal;
        let rest: f64 = a[i * n + i + 1..(i + 1) * n].iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        square += diagonal * diagonal + 2.0 * rest;
    }
    (trace, square)
}

/// Turns S into the Cholesky factor of `(1 - s) S / n + s target I`.
fn factor_primal(kernels: Kernels, d: usize, a: &mut [f32], n: f64, s: f64, target: f64) -> Result<(), FitError> {
    let factor = ((1.0 - s) / n) as f32;
    a.iter_mut().for_each(|x| *x *= factor);
    (0..d).for_each(|i| a[i * d + i] += (s * target) as f32);
    kernels.cholesky(d, a).map_err(|_| singular(s as f32))
}

fn singular(s: f32) -> FitError {
    FitError::Setting { what: "shrinkage", got: s, expected: "larger: the covariance is singular in f32" }
}

/// What [`Centred::new`] takes.
const fn centred_len(n_samples: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
    let Some(rows) = n_samples.checked_add(n_classes) else { return None };
    total_len(&[rows.checked_mul(feature_dim), Some(feature_dim), Some(n_classes)])
}

/// The samples of a set about the means of their classes.
struct Centred<'a> {
    /// `[n, feature_dim]`
    rows: &'a mut [f32],
    /// `[n_classes, feature_dim]`, about the grand mean.
    means: &'a mut [f32],
    /// `[feature_dim]`
    grand: &'a mut [f32],
    /// `[n_classes]`
    counts: &'a mut [f32],
}

impl<'a> Centred<'a> {
    fn new(set: &TrainingSet<'_>, n_classes: usize, d: usize, n: usize, rest: &mut &'a mut [f32]) -> Self {
        let (rows, means) = (take(rest, n * d), take(rest, n_classes * d));
        let (grand, counts) = (take(rest, d), take(rest, n_classes));
        counts.fill(0.0);
        means.fill(0.0);
        set.used().for_each(|sample| counts[set.labels[sample] as usize] += 1.0);
        for (j, grand) in grand.iter_mut().enumerate() {
            let sum: f64 = set.used().map(|sample| f64::from(set.features[sample * d + j])).sum();
            *grand = (sum / n as f64) as f32;
        }
        for (row, sample) in rows.chunks_exact_mut(d.max(1)).zip(set.used()) {
            let label = set.labels[sample] as usize;
            for (j, (to, x)) in row.iter_mut().zip(set.row(sample, d)).enumerate() {
                *to = x - grand[j];
                means[label * d + j] += *to;
            }
        }
        for (mean, count) in means.chunks_exact_mut(d.max(1)).zip(&*counts) {
            mean.iter_mut().for_each(|x| *x /= count);
        }
        for (row, sample) in rows.chunks_exact_mut(d.max(1)).zip(set.used()) {
            let mean = &means[set.labels[sample] as usize * d..][..d];
            row.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
        }
        Self { rows, means, grand, counts }
    }
}

/// Fits `head` to `set`, weights 0 or 1. With `r` the smaller of `n_samples` and `feature_dim`, about
/// `n_samples * feature_dim * r` multiply-adds. `scratch` needs [`scratch_len`] elements of any content.
///
/// # Errors
/// As [`head`], and those of a wrong set; the head is then as it was.
///
/// ```
/// use topgraft_core::{head::Head, kernel::Kernels};
/// use topgraft_core::solver::{TrainingSet, lda};
///
/// let features = [0.0, 1.0, 1.0, 2.0, 3.0, 1.0, 4.0, 2.0];
/// let set = TrainingSet { features: &features, labels: &[0, 0, 1, 1], sample_weights: None };
/// let mut head = Head::new(2, 2, [0.0; 6])?;
/// let mut scratch = [0.0; lda::scratch_len(4, 2, 2).unwrap()];
/// lda::fit(Kernels::detect(), &set, &lda::Settings::default(), &mut head, &mut scratch)?;
/// let mut logits = [0.0; 2];
/// head.logits(Kernels::detect(), &[3.5, 1.5], &mut logits);
/// assert!(logits[1] > logits[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn fit<B: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    settings: &Settings,
    head: &mut Head<B>,
    scratch: &mut [f32],
) -> Result<(), FitError> {
    let (n_classes, d) = (head.n_classes(), head.feature_dim());
    set.check(n_classes, d)?;
    set.check_weights_are_zero_or_one()?;
    let n = set.used().count();
    let expected = scratch_len(n, n_classes, d).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
    }
    let mut rest = scratch;
    let centred = Centred::new(set, n_classes, d, n, &mut rest);
    let rank = n.min(d);
    let square = take(&mut rest, rank * rank);
    if d <= n {
        square.fill(0.0);
        kernels.gemm_tn([d, d, n], centred.rows, centred.rows, square);
    } else {
        kernels.syrk_nt([n, d], centred.rows, square);
    }
    let (trace, norm) = upper_norms(rank, square);
    let (s, target) = shrink(settings.shrinkage, n as f64, d, trace, norm)?;
    if d <= n {
        factor_primal(kernels, d, square, n as f64, s, target)?;
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * d);
        weights.copy_from_slice(centred.means);
        kernels.solve_upper_transposed([d, n_classes], square, weights);
        for (class, bias) in bias.iter_mut().enumerate() {
            let row = &weights[class * d..][..d];
            *bias = -0.5 * kernels.dot(row, row);
        }
        kernels.solve_upper([d, n_classes], square, weights);
    } else {
        // Woodbury: A^-1 = (I - Zᵀ (Z Zᵀ + l2 I)^-1 Z) / (s target), l2 = s target n / (1 - s).
        let shift = s * target;
        if shift == 0.0 {
            return Err(singular(s as f32));
        }
        let l2 = if s < 1.0 { shift * n as f64 / (1.0 - s) } else { f64::from(f32::MAX) };
        (0..n).for_each(|i| square[i * n + i] += l2 as f32);
        kernels.cholesky(n, square).map_err(|_| singular(s as f32))?;
        let (dual, columns) = (take(&mut rest, n_classes * n), take(&mut rest, n_classes * n));
        kernels.gemm_nt([n_classes, n, d], centred.means, centred.rows, dual);
        kernels.solve_upper_transposed([n, n_classes], square, dual);
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * d);
        for (class, bias) in bias.iter_mut().enumerate() {
            let (mean, dual) = (&centred.means[class * d..][..d], &dual[class * n..][..n]);
            *bias = -0.5 * ((kernels.dot(mean, mean) - kernels.dot(dual, dual)) as f64 / shift) as f32;
        }
        kernels.solve_upper([n, n_classes], square, dual);
        for (i, column) in columns.chunks_exact_mut(n_classes).enumerate() {
            column.iter_mut().enumerate().for_each(|(class, x)| *x = -dual[class * n + i]);
        }
        weights.copy_from_slice(centred.means);
        kernels.gemm_tn([n_classes, d, n], columns, centred.rows, weights);
        weights.iter_mut().for_each(|w| *w = (*w as f64 / shift) as f32);
    }
    let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * d);
    finish(kernels, settings, n as f64, centred.counts.iter().map(|c| f64::from(*c)), centred.grand, weights, bias);
    Ok(())
}

#[cfg(all(test, feature = "std"))]
#[path = "lda_tests.rs"]
mod tests;
