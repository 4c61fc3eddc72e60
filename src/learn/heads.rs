//! The kinds of heads: how each is fitted, and what it says of samples that it has not seen.

use rayon::prelude::*;
use topgraft_core::head::{Kind, Predictor, argmax};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::lda::{self, Shrinkage};
use topgraft_core::solver::prototype::{Mode, Prototypes};
use topgraft_core::solver::softmax::{self, Settings};
use topgraft_core::solver::{FitError, FitReport, TrainingSet, ridge};

use super::calibration::{Calibration, probabilities};
use super::cross_validation::{assign_folds, cross_validate, folds_for};
use super::fit::zero_head;

/// Shares of the mean variance that LDA's covariance is tried with.
pub(super) const SHRINKAGE: [f32; 9] = [0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97];
/// Penalties of ridge regression that are tried: so many, from the first to the last in equal ratios, in units of the
/// features' mean squared length.
pub(super) const RIDGE_PATH: (usize, f64, f64) = (20, 1e-3, 1e3);

/// A head of any kind, with its own buffers.
pub type AnyHead = Predictor<Vec<f32>, Vec<u16>>;

/// What heads of one kind say of samples that they have not seen.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Kind of head.
    pub kind: Kind,
    /// What was chosen with it: the L2 penalty, of LDA the shrinkage, of nearest neighbours their number; 1 for prototypes.
    pub setting: f32,
    /// Folds; as many as samples for leave-one-out.
    pub folds: usize,
    /// `[n_samples, n_classes]`
    pub logits: Vec<f32>,
    /// Class predicted for each sample: the largest of its logits.
    pub predictions: Vec<u16>,
    /// Log-loss of each sample, at the temperature that suits all of them, times its weight beside the mean weight.
    losses: Vec<f64>,
}

/// Scaled samples, and what is known of them.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    /// `[n_samples, feature_dim]`
    pub rows: &'a [f32],
    pub labels: &'a [u16],
    /// `[n_samples]`: how often each counts, 0 leaves it out. Other numbers than 0 and 1 only for kinds that
    /// [take them](takes_class_weights).
    pub weights: Option<&'a [f32]>,
    pub n_classes: usize,
    pub feature_dim: usize,
    /// Mean squared length.
    pub unit: f32,
}

impl LeftOut {
    pub(super) fn new(kind: Kind, setting: f32, folds: usize, logits: Vec<f32>, samples: &Samples<'_>) -> Self {
        let n_classes = samples.n_classes.max(1);
        let temperature = Calibration::fit(&logits, samples.labels, n_classes).temperature;
        let weight = |sample: usize| samples.weights.map_or(1.0, |weights| f64::from(weights[sample]));
        let n = samples.labels.len();
        let unit = (0..n).map(weight).sum::<f64>() / n.max(1) as f64;
        let loss = |(sample, (row, label)): (usize, (&[f32], &u16))| {
            let mut p = row.to_vec();
            probabilities(&mut p, temperature);
            -f64::from(p[usize::from(*label)].max(f32::MIN_POSITIVE)).ln() * weight(sample) / unit
        };
        let losses = logits.chunks_exact(n_classes).zip(samples.labels).enumerate().map(loss).collect();
        let predictions = logits.chunks_exact(n_classes).map(|row| argmax(row).unwrap_or(0) as u16).collect();
        Self { kind, setting, folds, logits, predictions, losses }
    }

    /// Log-loss of one left-out sample, times its weight beside the mean weight.
    pub(super) fn loss(&self, sample: usize) -> f64 {
        self.losses[sample]
    }

    /// Mean log-loss of the left-out samples, each counted by its weight, natural logarithm, at the temperature that suits them.
    pub fn log_loss(&self) -> f64 {
        self.losses.iter().sum::<f64>() / self.losses.len().max(1) as f64
    }
}

/// Whether heads of a kind can be fitted with [class weights](super::Settings::class_weights).
pub fn takes_class_weights(kind: Kind) -> bool {
    match kind {
        Kind::Softmax | Kind::Ridge => true,
        Kind::Lda | Kind::Prototype | Kind::Nearest => false,
    }
}

impl Samples<'_> {
    pub fn set(&self) -> TrainingSet<'_> {
        TrainingSet { features: self.rows, labels: self.labels, sample_weights: self.weights }
    }

    pub fn row(&self, sample: usize) -> &[f32] {
        &self.rows[sample * self.feature_dim..][..self.feature_dim]
    }

    /// Leaves the samples out of heads of one kind, whose setting is chosen by the way.
    pub fn left_out(&self, kind: Kind) -> Result<LeftOut, FitError> {
        let Self { rows, labels, weights, n_classes, feature_dim, unit } = *self;
        match kind {
            Kind::Softmax => {
                let result = cross_validate(rows, labels, weights, n_classes, feature_dim, unit)?;
                let mut left_out = LeftOut::new(kind, result.l2, result.folds, result.logits, self);
                left_out.predictions = result.predictions;
                Ok(left_out)
            }
            Kind::Ridge => {
                let path = ridge_path(unit);
                let mut logits = vec![0.0; labels.len() * n_classes];
                let (mut head, mut errors) = (zero_head(0, n_classes, feature_dim).0, vec![0.0; path.len()]);
                let len = ridge::path_scratch_len(labels.len(), n_classes, feature_dim, path.len());
                let (kernels, mut scratch) = (Kernels::detect(), vec![0.0; len.expect("fits memory")]);
                let out = Some(logits.as_mut_slice());
                let best = ridge::fit_path(kernels, &self.set(), &path, &mut head, &mut errors, out, &mut scratch)?;
                Ok(LeftOut::new(kind, path[best], labels.len(), logits, self))
            }
            Kind::Lda => {
                let path = SHRINKAGE.map(Shrinkage::Scaled);
                let len = lda::choose_scratch_len(labels.len(), n_classes, feature_dim);
                let (mut losses, mut scratch) = ([0.0; SHRINKAGE.len()], vec![0.0; len.expect("fits memory")]);
                let shape = [n_classes, feature_dim];
                let set = self.set();
                let best = lda::choose(Kernels::detect(), &set, shape, &path, false, &mut losses, &mut scratch)?;
                drop(scratch);
                self.left_out_by_folds(kind, SHRINKAGE[best])
            }
            Kind::Prototype => self.left_out_by_folds(kind, 1.0),
            Kind::Nearest => self.left_out_neighbours(),
        }
    }

    /// Fits heads without one fold after the other.
    fn left_out_by_folds(&self, kind: Kind, setting: f32) -> Result<LeftOut, FitError> {
        let (n, n_classes) = (self.labels.len(), self.n_classes);
        let folds = folds_for(n);
        let fold_of = assign_folds(self.labels, n_classes, folds);
        let fold = |fold: usize| {
            let taught: Vec<f32> = fold_of.iter().map(|other| if *other == fold { 0.0 } else { 1.0 }).collect();
            let (head, _) = Samples { weights: Some(&taught), ..*self }.fit(kind, setting)?;
            let members: Vec<usize> = (0..n).filter(|sample| fold_of[*sample] == fold).collect();
            let mut logits = vec![0.0; members.len() * n_classes];
            for (sample, row) in members.iter().zip(logits.chunks_exact_mut(n_classes)) {
                head.logits(Kernels::detect(), self.row(*sample), row);
            }
            Ok((members, logits))
        };
        let parts: Vec<_> = (0..folds).into_par_iter().map(fold).collect::<Result<_, FitError>>()?;
        let mut logits = vec![0.0; n * n_classes];
        for (members, part) in parts {
            for (sample, row) in members.into_iter().zip(part.chunks_exact(n_classes)) {
                logits[sample * n_classes..][..n_classes].copy_from_slice(row);
            }
        }
        Ok(LeftOut::new(kind, setting, folds, logits, self))
    }

    /// Fits a head. Softmax regression alone is found step by step.
    pub fn fit(&self, kind: Kind, setting: f32) -> Result<(AnyHead, Option<FitReport>), FitError> {
        let (kernels, set) = (Kernels::detect(), self.set());
        let (n, n_classes, feature_dim) = (self.labels.len(), self.n_classes, self.feature_dim);
        let scratch = |len: Option<usize>| vec![0.0; len.expect("fits memory")];
        if kind == Kind::Nearest {
            return Ok((self.neighbours(setting as usize)?.into(), None));
        }
        let (mut head, steps) = zero_head(if kind == Kind::Softmax { n } else { 0 }, n_classes, feature_dim);
        let mut report = None;
        match kind {
            Kind::Nearest => unreachable!("made above"),
            Kind::Softmax => {
                let mut scratch = steps;
                report = Some(softmax::fit(kernels, &set, &Settings::new(setting), &mut head, &mut scratch)?);
            }
            Kind::Ridge => {
                let mut scratch = scratch(ridge::scratch_len(n, n_classes, feature_dim));
                ridge::fit(kernels, &set, setting, &mut head, &mut scratch)?;
            }
            Kind::Lda => {
                let settings = lda::Settings { shrinkage: Shrinkage::Scaled(setting), class_shares: false };
                let mut scratch = scratch(lda::scratch_len(n, n_classes, feature_dim));
                lda::fit(kernels, &set, &settings, &mut head, &mut scratch)?;
            }
            Kind::Prototype => {
                let (mut sums, mut counts) = (vec![0; n_classes * feature_dim], vec![0; n_classes]);
                // The samples are scaled already.
                let mut prototypes = Prototypes::new(Mode::Raw, n_classes, feature_dim, &mut sums, &mut counts)?;
                prototypes.fit(&set)?;
                prototypes.head(kernels, 1.0 / self.unit, &mut head)?;
            }
        }
        Ok((head.into(), report))
    }
}

/// Penalties of ridge regression, for features of mean squared length `unit`.
fn ridge_path(unit: f32) -> Vec<f32> {
    let (count, first, last) = RIDGE_PATH;
    let ratio = |i: usize| (last / first).powf(i as f64 / (count - 1) as f64);
    (0..count).map(|i| (first * ratio(i)) as f32 * unit).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Three classes around their means, `[n, 40]`.
    pub(in super::super) fn samples(n: usize, spread: f32) -> (Vec<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
        let mut state = 3u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let rows = labels.iter().flat_map(|label| {
            let row: Vec<f32> = (0..40).map(|j| f32::from(j % 3 == *label) + spread * random()).collect();
            row
        });
        (rows.collect(), labels)
    }

    #[test]
    fn every_kind_learns_what_can_be_learned_and_leaves_out_what_it_is_asked() {
        let (rows, labels) = samples(30, 1.0);
        let samples =
            Samples { rows: &rows, labels: &labels, weights: None, n_classes: 3, feature_dim: 40, unit: 16.0 };
        for kind in Kind::ALL {
            let left_out = samples.left_out(kind).expect("fits");
            assert_eq!((left_out.kind, left_out.folds, &left_out.predictions), (kind, 30, &labels), "{kind:?}");
            let (head, report) = samples.fit(kind, left_out.setting).expect("fits");
            assert_eq!(report.is_some(), kind == Kind::Softmax);
            let mut logits = [0.0; 3];
            head.logits(Kernels::detect(), &rows[40..80], &mut logits);
            assert_eq!(argmax(&logits), Some(1), "{kind:?}");
        }
    }

    #[test]
    fn left_out_logits_are_those_of_a_head_without_the_sample() {
        let (rows, labels) = samples(15, 3.0);
        let samples =
            Samples { rows: &rows, labels: &labels, weights: None, n_classes: 3, feature_dim: 40, unit: 30.0 };
        let weights: Vec<f32> = labels.iter().map(|label| [0.5, 1.0, 3.0][usize::from(*label)]).collect();
        let weighted = Samples { weights: Some(&weights), ..samples };
        for (samples, kind) in [
            (samples, Kind::Ridge),
            (weighted, Kind::Ridge),
            (samples, Kind::Lda),
            (samples, Kind::Prototype),
            (samples, Kind::Nearest),
        ] {
            let left_out = samples.left_out(kind).expect("fits");
            for sample in 0..15 {
                let own = |other: usize| samples.weights.map_or(1.0, |weights| weights[other]);
                let without: Vec<f32> = (0..15).map(|other| f32::from(other != sample) * own(other)).collect();
                let (head, _) =
                    Samples { weights: Some(&without), ..samples }.fit(kind, left_out.setting).expect("fits");
                let mut logits = [0.0; 3];
                head.logits(Kernels::detect(), samples.row(sample), &mut logits);
                for (a, b) in left_out.logits[3 * sample..].iter().zip(logits) {
                    assert!((a - b).abs() < 1e-3 * (1.0 + b.abs()), "{kind:?} {sample}: {a} {b}");
                }
            }
        }
    }
}
