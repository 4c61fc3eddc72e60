//! Left-out predictions: how good a head is on samples that it has not seen, and which penalty suits them.

use rayon::prelude::*;
use topgraft_core::head::{Head, argmax};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::softmax::dual::{self, Inverse, Span, Start};
use topgraft_core::solver::softmax::{self, Settings};
use topgraft_core::solver::{FitError, TrainingSet};

use super::fit::zero_head;
use super::span::{centred_gram, narrow_span};

/// L2 penalties that are tried, the strongest first, in units of the features' mean squared length: for features of length 1
/// half decades around scikit-learn's C = 100, and the same choice for features in any other unit.
pub const L2_GRID: [f32; 9] = [1.0, 0.316, 0.1, 0.0316, 0.01, 3.16e-3, 1e-3, 3.16e-4, 1e-4];

/// Up to this many samples each one is left out once; above, ten folds of them.
pub const LEAVE_ONE_OUT_LIMIT: usize = 100;
const FOLDS: usize = 10;

/// Folds of `n` samples: as many as samples, or ten.
pub(super) fn folds_for(n: usize) -> usize {
    if n <= LEAVE_ONE_OUT_LIMIT { n } else { FOLDS }
}

/// What cross-validation says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CrossValidation {
    /// The penalty of the least log-loss, one of [`L2_GRID`] times `unit`.
    pub l2: f32,
    /// Mean log-loss of the left-out samples, natural logarithm, for each of [`L2_GRID`].
    pub log_loss: [f64; L2_GRID.len()],
    /// Folds; as many as samples for leave-one-out.
    pub folds: usize,
    /// Class predicted for each sample by a head that was fitted without it, with the penalty that was best for the other
    /// folds: its own result has no say in either.
    pub predictions: Vec<u16>,
    /// What that head says of the sample, `[n_samples, n_classes]` row-major: `predictions` are the largest of each row.
    pub logits: Vec<f32>,
}

/// Stratified cross-validation over [`L2_GRID`], all folds at once on all cores.
///
/// `features` are `[n_samples, feature_dim]`, scaled, of mean squared length `unit`; each class has at least two samples, which
/// all have the same weight, also in the log-loss.
///
/// # Errors
/// [`FitError`], as for a fit without one fold.
pub(super) fn cross_validate(
    features: &[f32],
    labels: &[u16],
    sample_weights: Option<&[f32]>,
    n_classes: usize,
    feature_dim: usize,
    unit: f32,
) -> Result<CrossValidation, FitError> {
    cross_validate_in(folds_for(labels.len()), features, labels, sample_weights, n_classes, feature_dim, unit)
}

/// [`cross_validate`] in so many folds, at most one a sample.
///
/// # Errors
/// As [`cross_validate`].
pub(super) fn cross_validate_in(
    folds: usize,
    features: &[f32],
    labels: &[u16],
    sample_weights: Option<&[f32]>,
    n_classes: usize,
    feature_dim: usize,
    unit: f32,
) -> Result<CrossValidation, FitError> {
    let n = labels.len();
    // Where samples depend on others, their inner products are a singular matrix, and what a sample says of itself is not taken
    // out of the others' coefficients to the last digit: a weak penalty makes much of these, and the sample is no stranger.
    if n <= softmax::GRAM_LIMIT
        && let Some((rows, rank)) = narrow_span(features, n, feature_dim)
    {
        return cross_validate_in(folds, &rows, labels, sample_weights, n_classes, rank, unit);
    }
    let fold_of = assign_folds(labels, n_classes, folds);
    let penalties = L2_GRID.map(|l2| l2 * unit);
    let samples = Samples::new(features, labels, sample_weights, n_classes, feature_dim);
    let weights: Vec<Vec<f32>> = (0..folds).map(|fold| samples.weights_without(fold, &fold_of)).collect();
    let mut members = vec![Vec::new(); folds];
    fold_of.iter().enumerate().for_each(|(sample, fold)| members[*fold].push(sample));

    // A penalty at a time, so that of each fold only the logits of the best one so far are kept.
    let mut losses = vec![[0.0; L2_GRID.len()]; folds];
    let (mut best, mut logits) = (vec![0; folds], vec![Vec::new(); folds]);
    let mut optimum = samples.nothing();
    for (i, l2) in penalties.iter().enumerate() {
        samples.fit_all(*l2, &mut optimum)?;
        let leave_out = |fold: usize| samples.leave_out(&members[fold], &weights[fold], *l2, &optimum);
        let left_out: Vec<Vec<f32>> = (0..folds).into_par_iter().map(leave_out).collect::<Result<_, _>>()?;
        for ((losses, members), logits) in losses.iter_mut().zip(&members).zip(&left_out) {
            let rows = logits.chunks_exact(n_classes.max(1)).zip(members);
            let loss = |(row, sample): (_, &usize)| samples.weight(*sample) * log_loss(row, labels[*sample]);
            losses[i] = rows.map(loss).sum();
        }
        for (fold, left_out) in left_out.into_iter().enumerate() {
            let others = |penalty: usize| total(&losses, penalty, Some(fold));
            if i == 0 || others(i) < others(best[fold]) {
                (best[fold], logits[fold]) = (i, left_out);
            }
        }
    }
    let total: [f64; L2_GRID.len()] = std::array::from_fn(|penalty| total(&losses, penalty, None));
    let mut by_sample = vec![0.0; n * n_classes];
    for (members, logits) in members.iter().zip(&logits) {
        for (sample, row) in members.iter().zip(logits.chunks_exact(n_classes.max(1))) {
            by_sample[sample * n_classes..][..n_classes].copy_from_slice(row);
        }
    }
    let weight: f64 = (0..n).map(|sample| samples.weight(sample)).sum();
    let predicted = |row: &[f32]| argmax(row).unwrap_or(0) as u16;
    Ok(CrossValidation {
        l2: penalties[least(&total)],
        log_loss: total.map(|sum| sum / weight),
        folds,
        predictions: by_sample.chunks_exact(n_classes.max(1)).map(predicted).collect(),
        logits: by_sample,
    })
}

/// Log-loss of all folds but one, summed in the order of the folds, so that no choice depends on the number of cores.
fn total(losses: &[[f64; L2_GRID.len()]], penalty: usize, without: Option<usize>) -> f64 {
    losses.iter().enumerate().filter(|(fold, _)| Some(*fold) != without).map(|(_, losses)| losses[penalty]).sum()
}

/// What all folds share.
struct Samples<'a> {
    features: &'a [f32],
    labels: &'a [u16],
    sample_weights: Option<&'a [f32]>,
    n_classes: usize,
    feature_dim: usize,
    /// Inner products of the centred samples `[n_samples, n_samples]` and the bias's unit, where that is the faster way.
    gram: Option<(Vec<f32>, f32)>,
}

/// The optimum of all samples, where the folds start from.
enum Optimum {
    /// A head.
    Head(Head<Vec<f32>>),
    /// A point in the span of the samples, and the inverse of the preconditioner there.
    Span { point: Vec<f32>, inverse: Vec<f32>, is_first: bool },
}

/// More left-out samples than this, and a new preconditioner is cheaper than to take each of them out of the old one.
const FEW_MEMBERS: usize = 4;

impl<'a> Samples<'a> {
    fn new(
        features: &'a [f32],
        labels: &'a [u16],
        sample_weights: Option<&'a [f32]>,
        n_classes: usize,
        feature_dim: usize,
    ) -> Self {
        let n = labels.len();
        let in_span = n <= softmax::GRAM_LIMIT && n <= feature_dim;
        let gram = in_span.then(|| centred_gram(features, sample_weights, n, feature_dim)).map(|gram| {
            let unit = bias_unit(&gram, n);
            (gram, unit)
        });
        Self { features, labels, sample_weights, n_classes, feature_dim, gram }
    }

    fn weight(&self, sample: usize) -> f64 {
        self.sample_weights.map_or(1.0, |weights| weights[sample].into())
    }

    /// No optimum yet.
    fn nothing(&self) -> Optimum {
        let (n, n_classes) = (self.labels.len(), self.n_classes);
        match self.gram {
            None => Optimum::Head(zero_head(n, n_classes, self.feature_dim).0),
            Some(_) => Optimum::Span {
                point: vec![0.0; dual::point_len(n, n_classes).expect("fits memory")],
                inverse: vec![0.0; Inverse::buffer_len(n).expect("fits memory")],
                is_first: true,
            },
        }
    }

    /// The samples' inner products, each sample counted `weights` times.
    fn span<'s>(&'s self, (gram, bias_unit): &'s (Vec<f32>, f32), weights: Option<&'s [f32]>) -> Span<'s> {
        let Self { labels, n_classes, .. } = *self;
        Span { gram, labels, sample_weights: weights, n_classes, bias_unit: *bias_unit }
    }

    /// Goes from the optimum of another penalty to that of this one.
    fn fit_all(&self, l2: f32, optimum: &mut Optimum) -> Result<(), FitError> {
        let (kernels, settings, n) = (Kernels::detect(), Settings::new(l2), self.labels.len());
        match (optimum, &self.gram) {
            (Optimum::Span { point, inverse, is_first }, Some(gram)) => {
                let mut scratch = vec![0.0; dual::scratch_len(n, self.n_classes).expect("fits memory")];
                let start = if *is_first { Start::Cold } else { Start::Warm };
                let span = self.span(gram, self.sample_weights);
                dual::fit(kernels, &span, &settings, start, point, &mut scratch)?;
                let sound = Inverse::new(n, inverse).renew(kernels, &span, l2, point, &mut scratch);
                // Without one each fold makes its own.
                *is_first = !sound;
                Ok(())
            }
            (Optimum::Head(head), _) => {
                let mut scratch = zero_head(n, self.n_classes, self.feature_dim).1;
                let Self { features, labels, sample_weights, .. } = *self;
                let set = TrainingSet { features, labels, sample_weights };
                softmax::fit(kernels, &set, &settings, head, &mut scratch).map(|_| ())
            }
            (Optimum::Span { .. }, None) => unreachable!("there are inner products"),
        }
    }

    /// Weights that leave a fold out, `[n_samples]`. The rest of a class counts for those of it that are left out: else the
    /// bias would learn that this class is rarer, and with few shots be wrong about just the samples that are asked for.
    fn weights_without(&self, fold: usize, fold_of: &[usize]) -> Vec<f32> {
        let (mut kept, mut all) = (vec![0.0; self.n_classes], vec![0.0; self.n_classes]);
        for (label, other) in self.labels.iter().zip(fold_of) {
            all[usize::from(*label)] += 1.0;
            kept[usize::from(*label)] += if *other == fold { 0.0 } else { 1.0 };
        }
        let weight = |(sample, (label, other)): (usize, (&u16, &usize))| match *other == fold {
            true => 0.0,
            false => self.weight(sample) as f32 * (all[usize::from(*label)] / kept[usize::from(*label)]),
        };
        self.labels.iter().zip(fold_of).enumerate().map(weight).collect()
    }

    /// Fits without one fold, whose `members` weigh nothing, and gives that head's logits of them,
    /// `[members.len(), n_classes]`.
    fn leave_out(&self, members: &[usize], weights: &[f32], l2: f32, optimum: &Optimum) -> Result<Vec<f32>, FitError> {
        let (kernels, settings) = (Kernels::detect(), Settings::new(l2));
        let Self { features, labels, n_classes, feature_dim, .. } = *self;
        let n = labels.len();
        let mut logits = vec![0.0; members.len() * n_classes];
        match (optimum, &self.gram) {
            (Optimum::Span { point, inverse, is_first }, Some(gram)) => {
                let mut scratch = vec![0.0; dual::scratch_len(n, n_classes).expect("fits memory")];
                let span = self.span(gram, Some(weights));
                let mut point = point.clone();
                for member in members {
                    (0..n_classes).for_each(|class| point[class * n + member] = 0.0);
                }
                if *is_first || members.len() > FEW_MEMBERS {
                    dual::fit(kernels, &span, &settings, Start::Warm, &mut point, &mut scratch)?;
                } else {
                    let mut buffer = inverse.clone();
                    let mut inverse = Inverse::of(n, &mut buffer);
                    members.iter().for_each(|member| inverse.remove(kernels, *member, l2, &mut scratch));
                    dual::fit_near(kernels, &span, &settings, &inverse, &mut point, &mut scratch)?;
                }
                let all = &mut scratch[..n * n_classes];
                dual::logits(&span, &point, all);
                for (member, row) in members.iter().zip(logits.chunks_exact_mut(n_classes)) {
                    row.iter_mut().enumerate().for_each(|(class, z)| *z = all[class * n + member]);
                }
            }
            (Optimum::Head(head), _) => {
                let (mut head, mut scratch) = (head.clone(), zero_head(n, n_classes, feature_dim).1);
                let set = TrainingSet { features, labels, sample_weights: Some(weights) };
                softmax::fit(kernels, &set, &settings, &mut head, &mut scratch)?;
                for (sample, row) in members.iter().zip(logits.chunks_exact_mut(n_classes)) {
                    head.logits(kernels, &features[sample * feature_dim..][..feature_dim], row);
                }
            }
            (Optimum::Span { .. }, None) => unreachable!("there are inner products"),
        }
        Ok(logits)
    }
}

/// Root mean square of the samples' length, the unit of the bias, from their inner products; 1 if all are zero.
fn bias_unit(gram: &[f32], n_samples: usize) -> f32 {
    let squares: f64 = (0..n_samples).map(|i| f64::from(gram[i * n_samples + i])).sum();
    let length = (squares / n_samples.max(1) as f64).sqrt() as f32;
    if length > 0.0 { length } else { 1.0 }
}

/// `-ln softmax(logits)[label]`, in f64, so that it is finite whatever the logits.
pub(super) fn log_loss(logits: &[f32], label: u16) -> f64 {
    let own = f64::from(logits[usize::from(label)]);
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, z| max.max(*z));
    let sum: f64 = logits.iter().map(|z| f64::from(z - max).exp()).sum();
    f64::from(max) - own + sum.ln()
}

/// Index of the least value, the first of equals: the stronger penalty.
fn least(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] < values[best] { i } else { best })
}

/// Deals each class's samples out to the folds in turn, going on with the next class where the last one ended: folds of
/// equal size, and of each class no more in one fold than must be.
pub(super) fn assign_folds(labels: &[u16], n_classes: usize, folds: usize) -> Vec<usize> {
    let mut fold_of = vec![0; labels.len()];
    let mut next = 0;
    for class in 0..n_classes {
        for (fold, _) in fold_of.iter_mut().zip(labels).filter(|(_, label)| usize::from(**label) == class) {
            *fold = next % folds;
            next += 1;
        }
    }
    fold_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_stratified_and_of_equal_size() {
        let labels: Vec<u16> = (0..103).map(|i| if i < 7 { 0 } else { 1 + i % 3 }).collect();
        let fold_of = assign_folds(&labels, 4, 10);
        for fold in 0..10 {
            let size = fold_of.iter().filter(|f| **f == fold).count();
            assert!((10..=11).contains(&size));
            for class in 0..4u16 {
                let all = labels.iter().filter(|l| **l == class).count();
                let here = labels.iter().zip(&fold_of).filter(|(l, f)| **l == class && **f == fold).count();
                assert!(here <= all.div_ceil(10) && here >= all / 10);
            }
        }
        let mut one_each = assign_folds(&labels, 4, labels.len());
        one_each.sort_unstable();
        assert_eq!(one_each, (0..103).collect::<Vec<_>>());
    }

    /// Rows that are there many times with either label: nobody can tell these apart, whatever the scale and however many
    /// columns.
    #[test]
    fn duplicates_with_other_labels_are_not_told_apart() {
        for (kinds, copies, d) in [(2, 20, 100), (3, 13, 50), (3, 13, 200), (1, 12, 40)] {
            let n = kinds * copies;
            let rows: Vec<Vec<f32>> =
                (0..kinds).map(|kind| (0..d).map(|i| ((kind * 7 + i * 3) as f32).sin()).collect()).collect();
            // Of each kind nearly as many of either label, sorted by label.
            let mut samples: Vec<(u16, usize)> =
                (0..n).map(|at| (u16::from(at / kinds % 2 == 1), at % kinds)).collect();
            samples.sort_unstable();
            let labels: Vec<u16> = samples.iter().map(|(label, _)| *label).collect();
            let features: Vec<f32> = samples.iter().flat_map(|(_, kind)| rows[*kind].clone()).collect();
            let unit = features.iter().map(|x| x * x).sum::<f32>() / n as f32;
            let found = cross_validate(&features, &labels, None, 2, d, unit).expect("can be fitted");
            let correct = found.predictions.iter().zip(&labels).filter(|(a, b)| a == b).count();
            // The most that one answer for each kind can have right.
            let most = kinds * copies.div_ceil(2);
            assert!(correct <= most, "{correct} of {n} with {kinds} kinds of rows of {d}, not more than {most}");
        }
    }

    /// Labels that have nothing to do with the features: an honest estimate is near chance, however well the head can
    /// learn them by heart (more dimensions than samples).
    #[test]
    fn nothing_to_learn_gives_chance() {
        let (n, d) = (120, 200);
        let mut state = 5u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let features: Vec<f32> = (0..n * d).map(|_| random() * 0.2).collect();
        for n in [60, n] {
            let labels: Vec<u16> = (0..n as u16).map(|i| i % 2).collect();
            let result = cross_validate(&features[..n * d], &labels, None, 2, d, 1.0).expect("fits");
            assert_eq!(result.folds, if n <= LEAVE_ONE_OUT_LIMIT { n } else { FOLDS });
            let correct = result.predictions.iter().zip(&labels).filter(|(a, b)| a == b).count();
            assert!((correct as f64 / n as f64 - 0.5).abs() < 0.2, "{correct} of {n}");
            assert_eq!(result.l2, L2_GRID[0], "{result:?}");
        }
    }

    #[test]
    fn what_can_be_learned_is_learned_and_needs_little_penalty() {
        let features: Vec<f32> = (0..40).flat_map(|i| [(i % 2) as f32, 0.01 * i as f32, 0.1]).collect();
        let labels: Vec<u16> = (0..40).map(|i| i % 2).collect();
        let result = cross_validate(&features, &labels, None, 2, 3, 1.0).expect("fits");
        assert_eq!(result.predictions, labels);
        assert!(result.l2 < 0.01, "{result:?}");
        // The logits are of the same heads as the predictions: class 1 is the larger where it was predicted.
        assert!(result.logits.chunks(2).zip(&labels).all(|(row, label)| (row[1] > row[0]) == (*label == 1)));
    }

    /// Each sample's logits are those of a head that was fitted without it, and with no other weight than the stated ones.
    #[test]
    fn left_out_logits_are_those_of_a_fit_without_the_sample() {
        // More samples than features, and fewer: by passes, and in the span.
        for d in [2, 40] {
            assert_left_out_logits(d, [1.0; 3]);
            assert_left_out_logits(d, [0.5, 1.0, 3.0]);
        }
    }

    #[test]
    fn the_log_loss_is_that_of_fits_without_the_sample_for_classes_of_unequal_size_too() {
        let (counts, d) = ([3, 24, 9], 80);
        let labels: Vec<u16> = (0..3).flat_map(|class| vec![class; counts[usize::from(class)]]).collect();
        let number = |i: usize, j: usize| ((i * 7919 + j * 104_729) as f32 * 0.618).sin();
        let sample = |(i, label): (usize, &u16)| -> Vec<f32> {
            let sum = (0..d).map(|j| (number(usize::from(*label), j) + 1.3 * number(i + 3, j) + 0.3).max(0.0));
            let row: Vec<f32> = sum.collect();
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(|x| x / length).collect()
        };
        let features: Vec<f32> = labels.iter().enumerate().flat_map(sample).collect();
        for class_weights in [[1.0; 3], [4.0, 0.5, 4.0 / 3.0]] {
            let all: Vec<f32> = labels.iter().map(|label| class_weights[usize::from(*label)]).collect();
            let result = cross_validate(&features, &labels, Some(&all), 3, d, 1.0).expect("fits");
            let fold_of: Vec<usize> = (0..labels.len()).collect();
            let samples = Samples::new(&features, &labels, Some(&all), 3, d);
            for (l2, log_loss_of) in L2_GRID.into_iter().zip(result.log_loss) {
                let left_out = |left: usize| {
                    let weights = samples.weights_without(left, &fold_of);
                    let set = TrainingSet { features: &features, labels: &labels, sample_weights: Some(&weights) };
                    let (mut head, mut scratch) = zero_head(labels.len(), 3, d);
                    softmax::fit(Kernels::detect(), &set, &Settings::new(l2), &mut head, &mut scratch).expect("fits");
                    let mut logits = [0.0; 3];
                    head.logits(Kernels::detect(), &features[left * d..][..d], &mut logits);
                    f64::from(all[left]) * log_loss(&logits, labels[left])
                };
                let total: f64 = (0..labels.len()).map(left_out).sum();
                let expected = total / all.iter().map(|weight| f64::from(*weight)).sum::<f64>();
                assert!((log_loss_of - expected).abs() < 0.01 * expected, "{l2}: {log_loss_of} not {expected}");
            }
        }
    }

    fn assert_left_out_logits(d: usize, class_weights: [f32; 3]) {
        let (n, n_classes) = (12, 3);
        let features: Vec<f32> = (0..n * d).map(|i| ((i * i) as f32 * 0.7).sin()).collect();
        let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
        let all: Vec<f32> = labels.iter().map(|label| class_weights[usize::from(*label)]).collect();
        let result = cross_validate(&features, &labels, Some(&all), n_classes, d, 1.0).expect("fits");
        for left in 0..n {
            let weights: Vec<f32> = (0..n)
                .map(|i| {
                    if i == left {
                        0.0
                    } else if labels[i] == labels[left] {
                        all[i] * (4.0 / 3.0)
                    } else {
                        all[i]
                    }
                })
                .collect();
            let set = TrainingSet { features: &features, labels: &labels, sample_weights: Some(&weights) };
            let distance = |l2: f32| {
                let (mut head, mut scratch) = zero_head(n, n_classes, d);
                softmax::fit(Kernels::detect(), &set, &Settings::new(l2), &mut head, &mut scratch).expect("fits");
                let mut logits = vec![0.0; n_classes];
                head.logits(Kernels::detect(), &features[left * d..][..d], &mut logits);
                let row = &result.logits[left * n_classes..][..n_classes];
                row.iter().zip(&logits).fold(0.0, |max: f32, (a, b)| max.max((a - b).abs()))
            };
            assert!(L2_GRID.iter().any(|l2| distance(*l2) < 2e-3), "sample {left}");
        }
    }
}
