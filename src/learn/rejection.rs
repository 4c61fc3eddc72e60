//! Unknown things are called unknown.

use ndarray::ArrayView2;
use rayon::prelude::*;
use topgraft_core::kernel::Kernels;
use topgraft_core::math;
use topgraft_core::rejection::{Rejection, quantize};
use topgraft_core::solver::FitError;

use super::calibration::probabilities;
use super::cross_validation::assign_folds;
use super::fit::Fitted;
use super::subsets::{Subsets, class_means};

/// Share of the samples of the taught classes that may be called unknown, unless the user says otherwise.
pub const UNKNOWN_RATE: f64 = 0.05;
/// Folds of the known classes while one is held out.
pub(super) const FOLDS: usize = 5;
/// Multiply-adds of a pass over the samples, for all heads of [`held_out_auroc`] together: about a second.
pub(super) const WORK_LIMIT: u64 = 300_000_000;
/// Rows of distances at a time.
pub(super) const BLOCK: usize = 256;

/// How much the samples look like their classes, left out: from this follows a threshold for every rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Novelty {
    /// `[n_classes]`, what a unit of `means` is worth.
    steps: Vec<f32>,
    /// `[n_classes, feature_dim]`, mean scaled features in 8 bits.
    means: Vec<i8>,
    /// Squared distance that counts as much as a probability of 1.
    scale: f32,
    /// Scores of the left-out samples, the lowest first.
    scores: Vec<f32>,
}

impl Novelty {
    /// Measures scaled `rows [n_samples, feature_dim]` with the left-out `logits [n_samples, n_classes]`. A sample's own
    /// part is taken out of the mean of its class. Of each class there are two samples or more.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn fit(
        rows: &[f32],
        feature_dim: usize,
        labels: &[u16],
        n_classes: usize,
        logits: &[f32],
        temperature: f32,
    ) -> Self {
        let means = class_means(rows, feature_dim, labels, n_classes);
        let distances = left_out_distances(rows, feature_dim, labels, &means);
        let surest: Vec<f32> =
            logits.chunks_exact(n_classes.max(1)).map(|logits| surest(logits, temperature)).collect();
        // Both count alike, by their spread among the samples. Where one does not spread at all, it counts for all the more.
        let scale = deviation(&distances).max(1e-12) / deviation(&surest).max(1e-3);
        let mut codes = vec![0; means.len()];
        let pairs = means.chunks_exact(feature_dim.max(1)).zip(codes.chunks_exact_mut(feature_dim.max(1)));
        let mut steps: Vec<f32> = pairs.map(|(mean, codes)| quantize(mean, codes)).collect();
        steps.resize(n_classes, 0.0);
        let mut novelty = Self { steps, means: codes, scale, scores: Vec::new() };
        let rejection = novelty.with_threshold(0.0, 0.0);
        let pairs = surest.iter().zip(&distances);
        let mut scores: Vec<f32> = pairs.map(|(p, distance)| rejection.score_at(*distance, *p)).collect();
        scores.sort_by(f32::total_cmp);
        novelty.scores = scores;
        novelty
    }

    /// The threshold below which at most `rate`, 0..1, of the samples of the taught classes are expected.
    ///
    /// Of n left-out samples and one new one that is like them, each is as likely to have the k-th lowest score: the new one
    /// is below the k-th of the n with a probability of at most k / (n + 1), whatever the distribution (Vovk et al. 2005,
    /// "Algorithmic learning in a random world"). Where even the lowest is too high, as with fewer than 19 samples for 5 %,
    /// it is taken if it is below twice the rate; else `None`: nothing is known of how low a score may be.
    pub fn rejection(&self, rate: f64) -> Option<Rejection<Vec<f32>, Vec<i8>>> {
        let n = self.scores.len();
        let share = |k: usize| k as f64 / (n as f64 + 1.0);
        // Rounding must not take away what is due: 0.05 * 20 is 1.
        let k = ((rate * (n as f64 + 1.0) + 1e-9) as usize).max(1);
        if rate <= 0.0 || k > n || share(k) > 2.0 * rate {
            return None;
        }
        Some(self.with_threshold(self.scores[k - 1], share(k) as f32))
    }

    /// Scores of the samples, each left out, the lowest first.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    fn with_threshold(&self, threshold: f32, rate: f32) -> Rejection<Vec<f32>, Vec<i8>> {
        let (steps, means) = (self.steps.clone(), self.means.clone());
        Rejection { steps, means, scale: self.scale, threshold, rate, auroc: None }
    }
}

/// Standard deviation, summed in f64; 0 without values.
fn deviation(values: &[f32]) -> f32 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    math::sqrt(variance as f32)
}

/// Probability of the most probable class.
fn surest(logits: &[f32], temperature: f32) -> f32 {
    let mut p = logits.to_vec();
    probabilities(&mut p, temperature);
    p.into_iter().fold(0.0, f32::max)
}

/// Squared distance of each row to the nearest class mean, its own part taken out of the mean of its class: without one of
/// n samples the mean lies n / (n - 1) times as far from it.
fn left_out_distances(rows: &[f32], dim: usize, labels: &[u16], means: &[f32]) -> Vec<f32> {
    if dim == 0 {
        return vec![0.0; labels.len()];
    }
    let kernels = Kernels::detect();
    let n_classes = means.len() / dim;
    let mut counts = vec![0.0f32; n_classes];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1.0);
    let squares: Vec<f32> = means.chunks_exact(dim.max(1)).map(|mean| kernels.dot(mean, mean)).collect();
    let block = |(rows, labels): (&[f32], &[u16])| {
        let mut products = vec![0.0; labels.len() * n_classes];
        kernels.gemm_nt([labels.len(), n_classes, dim], rows, means, &mut products);
        let nearest = |((row, label), products): ((&[f32], &u16), &[f32])| {
            let square = kernels.dot(row, row);
            let mut least = f32::INFINITY;
            for (class, product) in products.iter().enumerate() {
                let own = class == usize::from(*label);
                let factor = if own { counts[class] / (counts[class] - 1.0) } else { 1.0 };
                // Rounding may leave a little less than nothing.
                let distance = (square - 2.0 * product + squares[class]).max(0.0);
                least = least.min(distance * factor * factor);
            }
            least
        };
        let samples = rows.chunks_exact(dim.max(1)).zip(labels);
        samples.zip(products.chunks_exact(n_classes.max(1))).map(nearest).collect::<Vec<f32>>()
    };
    rows.par_chunks(BLOCK * dim).zip(labels.par_chunks(BLOCK)).flat_map_iter(block).collect()
}

/// How well the score tells a class that was not taught from those that were: area under the ROC curve, mean over the
/// classes, each held out once. The known samples are left out too, a fifth of them at a time. `features [n_samples,
/// feature_dim]` are those that `fitted` was fitted to.
///
/// `None` with fewer than three classes, and where it would take more than about a second.
///
/// # Errors
/// [`FitError`], as for a fit.
pub fn held_out_auroc(features: ArrayView2<'_, f32>, labels: &[u16], fitted: &Fitted) -> Result<Option<f64>, FitError> {
    let n_classes = fitted.head.n_classes();
    if n_classes < 3 {
        return Ok(None);
    }
    let subsets = Subsets::new(features, labels, fitted);
    if subsets.pass(n_classes).saturating_mul((FOLDS * n_classes) as u64) > WORK_LIMIT {
        return Ok(None);
    }
    let rejection = fitted.novelty.with_threshold(0.0, 0.0);
    let held_out = |class: usize| {
        let is_held_out = |sample: &usize| usize::from(labels[*sample]) == class;
        let (unknown, known): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(is_held_out);
        let label = |sample: &usize| labels[*sample] - u16::from(usize::from(labels[*sample]) > class);
        let known_labels: Vec<u16> = known.iter().map(label).collect();
        let fold_of = assign_folds(&known_labels, n_classes - 1, FOLDS);
        let (mut sum, mut count) = (0.0, 0.0);
        for fold in 0..FOLDS {
            let pairs = known.iter().zip(&fold_of);
            let training: Vec<usize> = pairs.clone().filter(|(_, other)| **other != fold).map(|(s, _)| *s).collect();
            let left_out: Vec<usize> = pairs.filter(|(_, other)| **other == fold).map(|(s, _)| *s).collect();
            let taught: Vec<u16> = training.iter().map(label).collect();
            let scores = |asked: &[usize]| -> Result<Vec<f64>, FitError> {
                let logits = subsets.logits(&training, &taught, n_classes - 1, asked)?;
                let distances = subsets.distances(&training, &taught, n_classes - 1, asked);
                let surest = |logits| surest(logits, fitted.calibration.temperature);
                let pairs = logits.chunks_exact(n_classes - 1).map(surest).zip(distances);
                Ok(pairs.map(|(p, distance)| rejection.score_at(distance, p).into()).collect())
            };
            let asked = [left_out.as_slice(), &unknown].concat();
            let scores = scores(&asked)?;
            if let Some(area) = auroc(&scores[..left_out.len()], &scores[left_out.len()..]) {
                sum += area * left_out.len() as f64;
                count += left_out.len() as f64;
            }
        }
        Ok(sum / count)
    };
    let areas: Vec<f64> = (0..n_classes).into_par_iter().map(held_out).collect::<Result<_, _>>()?;
    Ok(Some(areas.iter().sum::<f64>() / n_classes as f64))
}

/// `temperature * ln sum exp(logits / temperature)`: the negative energy of Liu et al. 2020 ("Energy-based
/// out-of-distribution detection"), higher for a sample that looks like one of the classes.
pub fn energy(logits: &[f32], temperature: f32) -> f32 {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, z| max.max(*z));
    let sum: f32 = logits.iter().map(|z| math::exp((z - max) / temperature)).sum();
    max + temperature * math::ln(sum)
}

/// Area under the ROC curve, 0..=1: how often a known sample scores higher than an unknown one, ties counting half.
/// `None` without samples of both kinds. Time n ln n (Mann & Whitney's statistic by ranks).
///
/// ```
/// assert_eq!(topgraft::learn::auroc(&[3.0, 2.0], &[1.0, 2.0]), Some(0.875));
/// ```
pub fn auroc(known: &[f64], unknown: &[f64]) -> Option<f64> {
    if known.is_empty() || unknown.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = known.iter().map(|score| (*score, true)).collect();
    all.extend(unknown.iter().map(|score| (*score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for ties in all.chunk_by(|a, b| a.0 == b.0) {
        let known = ties.iter().filter(|(_, known)| *known).count() as f64;
        let unknown = ties.len() as f64 - known;
        wins += known * (below + 0.5 * unknown);
        below += unknown;
    }
    Some(wins / (known.len() * unknown.len()) as f64)
}

#[cfg(test)]
mod tests {
    use super::super::fit::fit;
    use super::super::scaling::Scaling;
    use super::*;
    use ndarray::Array2;

    /// `n` samples of each class around a direction of its own.
    fn clusters(n_classes: usize, n: usize, noise: f32) -> (Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n_classes as u16).flat_map(|class| vec![class; n]).collect();
        let mut state = 11u32;
        let features = Array2::from_shape_fn((labels.len(), 24), |(i, j)| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            noise * random + if usize::from(labels[i]) == j { 1.0 } else { 0.1 }
        });
        (features, labels)
    }

    #[test]
    fn the_area_counts_pairs_and_halves_ties() {
        assert_eq!(auroc(&[2.0, 3.0], &[0.0, 1.0]), Some(1.0));
        assert_eq!(auroc(&[0.0, 1.0], &[2.0, 3.0]), Some(0.0));
        assert_eq!(auroc(&[1.0, 1.0], &[1.0]), Some(0.5));
        assert_eq!(auroc(&[1.0, f64::NEG_INFINITY], &[0.0]), Some(0.5));
        assert_eq!((auroc(&[], &[1.0]), auroc(&[1.0], &[])), (None, None));
    }

    #[test]
    fn energy_is_a_soft_maximum() {
        assert!((energy(&[1.0, 1.0], 1.0) - (1.0 + 2f32.ln())).abs() < 1e-6);
        assert!((energy(&[5.0, -50.0], 2.0) - 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_sample_has_no_part_in_the_mean_that_it_is_measured_with() {
        let rows = [0.0, 2.0, 4.0, 100.0, 102.0];
        let labels = [0, 0, 0, 1, 1];
        // Without 0 the mean of its class is 3, without 2 it is 2, and of 100 and 102 the other one.
        let means = class_means(&rows, 1, &labels, 2);
        let distances = left_out_distances(&rows, 1, &labels, &means);
        for (distance, expected) in distances.iter().zip([9.0, 0.0, 9.0, 4.0, 4.0]) {
            assert!((distance - expected).abs() < 1e-2, "{distances:?}");
        }
    }

    /// The promise of the rate, on samples that had no part in the fit.
    #[test]
    fn no_more_of_the_taught_classes_is_refused_than_stated_and_other_things_are() {
        let (features, labels) = clusters(4, 100, 1.0);
        let (taught, new): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|i| i % 2 == 0);
        let select = |samples: &[usize]| features.select(ndarray::Axis(0), samples);
        let fitted = fit(
            select(&taught).view(),
            &vec![0, 1, 2, 3].into_iter().flat_map(|c| vec![c; 50]).collect::<Vec<u16>>(),
            4,
            Scaling::L2,
        )
        .expect("fits");
        let rejection = fitted.novelty.rejection(0.05).expect("enough samples");
        assert!((rejection.rate - 10.0 / 201.0).abs() < 1e-6);
        let unknown = |mut x: Vec<f32>| {
            let kernels = Kernels::detect();
            fitted.scaler.apply(kernels, &mut x);
            let mut logits = vec![0.0; 4];
            fitted.head.logits(kernels, &x, &mut logits);
            rejection.is_unknown(rejection.score(&x, surest(&logits, fitted.calibration.temperature)))
        };
        let refused = select(&new).rows().into_iter().filter(|row| unknown(row.to_vec())).count();
        // 5 % of 200 are 10; with a standard deviation of 3, 20 would be a wonder.
        assert!(refused <= 20, "{refused} of 200");
        let others = (0..50).filter(|i| unknown((0..24).map(|j| f32::from(j == 10 + i % 10)).collect())).count();
        assert!(others >= 45, "{others} of 50");
    }

    #[test]
    fn few_samples_give_a_stated_rate_or_no_threshold() {
        let rates = |n: usize| {
            let scores = (0..n).map(|i| i as f32).collect();
            let novelty = Novelty { steps: vec![0.0], means: vec![0], scale: 1.0, scores };
            novelty.rejection(0.05).map(|rejection| (rejection.threshold, rejection.rate))
        };
        assert_eq!((rates(0), rates(4), rates(8)), (None, None, None));
        assert_eq!(rates(9), Some((0.0, 0.1)));
        assert_eq!((rates(19), rates(39)), (Some((0.0, 0.05)), Some((1.0, 0.05))));
        let novelty = Novelty { steps: vec![0.0], means: vec![0], scale: 1.0, scores: vec![0.0; 100] };
        assert_eq!((novelty.rejection(0.0), novelty.rejection(-1.0)), (None, None));
    }

    #[test]
    fn equal_samples_have_a_threshold_that_they_pass() {
        let features = Array2::from_shape_fn((40, 3), |(i, j)| if i % 2 == j { 1.0 } else { 0.0 });
        let labels: Vec<u16> = (0..40).map(|i| i % 2).collect();
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        let rejection = fitted.novelty.rejection(0.05).expect("enough samples");
        assert!(rejection.threshold.is_finite() && rejection.scale > 0.0, "{rejection:?}");
        assert!(rejection.is_unknown(rejection.score(&[0.0, 0.0, 1.0], 0.99)));
    }

    #[test]
    fn without_features_nothing_is_told_apart_and_nothing_breaks() {
        let features = Array2::zeros((60, 0));
        let labels: Vec<u16> = (0..60).map(|i| i % 3).collect();
        let fitted = fit(features.view(), &labels, 3, Scaling::L2).expect("fits");
        let rejection = fitted.novelty.rejection(0.05).expect("enough samples");
        assert!(!rejection.is_unknown(rejection.score(&[], 1.0 / 3.0)));
        assert_eq!(held_out_auroc(features.view(), &labels, &fitted).expect("fits"), Some(0.5));
    }

    #[test]
    fn a_held_out_class_is_told_apart_if_it_is_another_and_not_if_it_is_noise() {
        let area = |noise| {
            let (features, labels) = clusters(4, 12, noise);
            let fitted = fit(features.view(), &labels, 4, Scaling::L2).expect("fits");
            held_out_auroc(features.view(), &labels, &fitted).expect("fits").expect("three classes or more")
        };
        assert!(area(0.3) > 0.95, "{}", area(0.3));
        assert!((area(50.0) - 0.5).abs() < 0.15, "{}", area(50.0));
        let (features, labels) = clusters(2, 12, 0.3);
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        assert_eq!(held_out_auroc(features.view(), &labels, &fitted).expect("fits"), None);
    }
}
