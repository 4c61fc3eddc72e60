//! What is wrong with the samples themselves: labels that the others contradict, and photos that are there twice.

use ndarray::ArrayView2;
use rayon::prelude::*;
use topgraft_core::head::argmax;
use topgraft_core::kernel::Kernels;

use super::calibration::probabilities;
use super::evaluation::Evaluation;
use super::fit::Fitted;

/// Cosine of the centred features of two photos from which on they are near-duplicates. `cargo bench --bench duplicates`
/// measures it on re-encoded, shrunk and cropped copies, and on photos that are different; docs/review.md has the table.
pub const DUPLICATE_COSINE: f32 = 0.85;
/// Rows of cosines at a time.
pub(super) const BLOCK: usize = 128;

/// A sample whose label a head contradicts that was fitted without it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspect {
    /// Its index.
    pub sample: usize,
    /// The class that the head takes it for.
    pub predicted: u16,
    /// Probability of that class, 0..=1.
    pub probability: f32,
    /// Probability of the label that it has.
    pub label_probability: f32,
}

/// Photos that show the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicates {
    /// Indices of the samples, ascending; two or more. Each is a near-duplicate of another one of them.
    pub samples: Vec<usize>,
    /// The largest cosine between two of them.
    pub cosine: f32,
    /// Whether they have different labels.
    pub labels_differ: bool,
}

/// Samples of one class that were taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// The true class.
    pub truth: u16,
    /// The predicted one.
    pub predicted: u16,
    /// How many.
    pub samples: u32,
}

/// The samples that left-out heads take for another class than their label, the least probable label first: ranked by
/// left-out log-loss, as in confident learning (Northcutt et al. 2021), with calibrated probabilities.
pub fn suspects(fitted: &Fitted, labels: &[u16]) -> Vec<Suspect> {
    let rows = fitted.left_out.logits.chunks_exact(fitted.head.n_classes().max(1));
    let judge = |(sample, (logits, label)): (usize, (&[f32], &u16))| {
        let mut p = logits.to_vec();
        probabilities(&mut p, fitted.calibration.temperature);
        let predicted = argmax(&p)? as u16;
        let (probability, label_probability) = (p[usize::from(predicted)], p[usize::from(*label)]);
        (predicted != *label).then_some(Suspect { sample, predicted, probability, label_probability })
    };
    let mut suspects: Vec<Suspect> = rows.zip(labels).enumerate().filter_map(judge).collect();
    suspects.sort_by(|a, b| a.label_probability.total_cmp(&b.label_probability));
    suspects
}

/// Groups of samples whose centred `features [n_samples, feature_dim]`, as the trunk gives them, point the same way: a cosine
/// of `least` or more. Groups of different labels first, then by cosine. Time n² feature_dim.
///
/// Centred, because all photos of one camera have much in common, which says nothing.
pub fn near_duplicates(features: ArrayView2<'_, f32>, labels: &[u16], least: f32) -> Vec<Duplicates> {
    let (n, dim) = features.dim();
    let rows = unit_rows(features);
    let kernels = Kernels::detect();
    let block = |block: usize| {
        let (first, last) = (block * BLOCK, n.min((block + 1) * BLOCK));
        let mut cosines = vec![0.0; (last - first) * n];
        kernels.gemm_nt([last - first, n, dim], &rows[first * dim..last * dim], &rows, &mut cosines);
        let pairs = cosines.chunks_exact(n).zip(first..).flat_map(|(row, i)| {
            row[..i].iter().enumerate().filter(|(_, cosine)| **cosine >= least).map(move |(j, cosine)| (i, j, *cosine))
        });
        pairs.collect::<Vec<_>>()
    };
    let pairs: Vec<(usize, usize, f32)> = (0..n.div_ceil(BLOCK)).into_par_iter().flat_map_iter(block).collect();

    // Union-find: each sample points to one of its group, and in the end to the first.
    let mut group: Vec<usize> = (0..n).collect();
    fn first(group: &mut [usize], mut sample: usize) -> usize {
        while group[sample] != sample {
            group[sample] = group[group[sample]];
            sample = group[sample];
        }
        sample
    }
    for (i, j, _) in &pairs {
        let (a, b) = (first(&mut group, *i), first(&mut group, *j));
        group[a.max(b)] = a.min(b);
    }
    let mut groups: Vec<Option<Duplicates>> = vec![None; n];
    for (i, j, cosine) in pairs {
        let empty = || Duplicates { samples: Vec::new(), cosine: -1.0, labels_differ: false };
        let found = groups[first(&mut group, i)].get_or_insert_with(empty);
        found.cosine = found.cosine.max(cosine);
        found.samples.extend([j, i]);
    }
    let mut found: Vec<Duplicates> = groups.into_iter().flatten().collect();
    for group in &mut found {
        group.samples.sort_unstable();
        group.samples.dedup();
        group.labels_differ = group.samples.iter().any(|sample| labels[*sample] != labels[group.samples[0]]);
    }
    found.sort_by(|a, b| b.labels_differ.cmp(&a.labels_differ).then(b.cosine.total_cmp(&a.cosine)));
    found
}

/// Rows less their mean, of length 1; a row that is the mean is zeros, and like no other.
fn unit_rows(features: ArrayView2<'_, f32>) -> Vec<f32> {
    let (n, dim) = features.dim();
    let kernels = Kernels::detect();
    let mut rows: Vec<f32> = features.iter().copied().collect();
    let mut mean = vec![0.0; dim];
    rows.chunks_exact(dim.max(1)).for_each(|row| kernels.axpy(1.0 / n as f32, row, &mut mean));
    for row in rows.chunks_exact_mut(dim.max(1)) {
        let whole = kernels.dot(row, row);
        row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        let square = kernels.dot(row, row);
        // What rounding leaves of a difference points nowhere.
        let length = if square > 1e-10 * whole { square.sqrt() } else { f32::INFINITY };
        row.iter_mut().for_each(|x| *x /= length);
    }
    rows
}

/// Pairs of classes of which one was taken for the other, the most samples first.
pub fn confusions(evaluation: &Evaluation) -> Vec<Confusion> {
    let row = |(truth, row): (usize, &[u32])| {
        let wrong = row.iter().enumerate().filter(|(class, samples)| *class != truth && **samples > 0);
        wrong
            .map(|(class, samples)| Confusion { truth: truth as u16, predicted: class as u16, samples: *samples })
            .collect()
    };
    let mut found: Vec<Confusion> =
        evaluation.confusion().enumerate().flat_map(|row_of| -> Vec<Confusion> { row(row_of) }).collect();
    found.sort_by_key(|confusion| std::cmp::Reverse(confusion.samples));
    found
}

#[cfg(test)]
mod tests {
    use super::super::fit::fit;
    use super::super::random::SplitMix64;
    use super::super::scaling::Scaling;
    use super::*;
    use ndarray::{Array2, Axis, concatenate};

    fn clusters() -> (Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..30).map(|i| i % 3).collect();
        let mut rng = SplitMix64(1);
        let features = Array2::from_shape_fn((30, 8), |(i, j)| {
            0.2 * (rng.below(2001) as f32 / 1000.0 - 1.0) + if i % 3 == j { 1.0 } else { 0.0 }
        });
        (features, labels)
    }

    #[test]
    fn a_wrong_label_is_the_first_suspect() {
        let (features, mut labels) = clusters();
        let fitted = fit(features.view(), &labels, 3, Scaling::L2).expect("fits");
        assert_eq!(suspects(&fitted, &labels), []);
        labels[7] = 2;
        let fitted = fit(features.view(), &labels, 3, Scaling::L2).expect("fits");
        let found = suspects(&fitted, &labels);
        assert_eq!((found[0].sample, found[0].predicted), (7, 1), "{found:?}");
        assert!(found[0].probability > 0.5 && found[0].label_probability < 0.5);
    }

    #[test]
    fn copies_are_found_within_and_across_classes_and_others_are_not() {
        let (features, mut labels) = clusters();
        assert_eq!(near_duplicates(features.view(), &labels, 0.999), []);
        // 30 and 31 are copies of 3, brighter; 32 is one of 4 with another label.
        let copy = |sample: usize| features.select(Axis(0), &[sample]);
        let rows =
            [features.view(), copy(3).view(), (copy(3) * 1.01).view(), copy(4).view()].map(|rows| rows.to_owned());
        let all = concatenate(Axis(0), &rows.each_ref().map(|rows| rows.view())).expect("of one length");
        labels.extend([0, 0, 2]);
        let found = near_duplicates(all.view(), &labels, 0.999);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].samples.as_slice(), found[0].labels_differ), ([4, 32].as_slice(), true));
        assert_eq!((found[1].samples.as_slice(), found[1].labels_differ), ([3, 30, 31].as_slice(), false));
        assert!(found.iter().all(|group| group.cosine > 0.999 && group.cosine < 1.001));
    }

    #[test]
    fn pairs_are_found_across_blocks_and_each_but_once() {
        let n = 2 * BLOCK + 10;
        let mut features = Array2::from_shape_fn((n, 40), |(i, j)| (((i + 1) * (j + 3) * 7919) as f32 * 0.013).sin());
        let (a, b) = (5, n - 1);
        let row = features.row(a).to_owned();
        features.row_mut(b).assign(&row);
        let found = near_duplicates(features.view(), &vec![0; n], 0.9999);
        assert_eq!(found.iter().map(|group| group.samples.clone()).collect::<Vec<_>>(), [vec![a, b]]);
    }

    #[test]
    fn equal_or_no_features_are_no_duplicates() {
        assert_eq!(near_duplicates(Array2::from_elem((4, 3), 0.3).view(), &[0; 4], 0.9), []);
        assert_eq!(near_duplicates(Array2::zeros((0, 3)).view(), &[], 0.9), []);
        assert_eq!(near_duplicates(Array2::zeros((3, 0)).view(), &[0; 3], 0.9), []);
    }

    #[test]
    fn the_largest_confusion_comes_first() {
        let evaluation = Evaluation::new(3, [(0, 0), (0, 1), (2, 1), (2, 1), (1, 1)]);
        let found: Vec<_> = confusions(&evaluation).iter().map(|c| (c.truth, c.predicted, c.samples)).collect();
        assert_eq!(found, [(2, 1, 2), (0, 1, 1)]);
    }
}
