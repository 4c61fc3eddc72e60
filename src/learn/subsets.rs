//! Heads of fewer samples or classes, from the cached features: what a head would have said that had been taught less.

use ndarray::ArrayView2;
use topgraft_core::head::Kind;
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::FitError;

use super::fit::Fitted;
use super::heads::Samples;
use super::span::span;

/// Samples of which any can be taught, with the scaling, the kind and the penalty of a fitted head.
pub(super) struct Subsets {
    /// `[n_samples, dim]`: the scaled samples; for softmax regression in their span, where distances and heads are the same.
    rows: Vec<f32>,
    dim: usize,
    kind: Kind,
    setting: f32,
    unit: f32,
    /// `[n_samples]`
    weights: Option<Vec<f32>>,
}

impl Subsets {
    /// `features [n_samples, feature_dim]` as the trunk gives them, and `labels`: those that `fitted` was fitted to.
    pub fn new(features: ArrayView2<'_, f32>, labels: &[u16], fitted: &Fitted) -> Self {
        let kernels = Kernels::detect();
        let (n, feature_dim) = features.dim();
        let mut scaled: Vec<f32> = features.iter().copied().collect();
        scaled.chunks_exact_mut(feature_dim.max(1)).for_each(|row| fitted.scaler.apply(kernels, row));
        let (kind, setting, unit) = (fitted.left_out.kind, fitted.left_out.setting, fitted.unit);
        // The shrinkage of LDA is relative to the number of features.
        let in_span = kind == Kind::Softmax && n < feature_dim;
        let (rows, dim) = if in_span { span(&scaled, n, feature_dim) } else { (scaled, feature_dim) };
        let weight_of = |weights: &Vec<f32>| labels.iter().map(|label| weights[usize::from(*label)]).collect();
        let weights = fitted.class_weights.as_ref().map(weight_of);
        Self { rows, dim, kind, setting, unit, weights }
    }

    /// Multiply-adds of one pass over all samples for a head of `n_classes`: the measure of the work of a fit.
    pub fn pass(&self, n_classes: usize) -> u64 {
        let n = self.rows.len().checked_div(self.dim).unwrap_or(0);
        self.rows.len() as u64 * width(self.kind, n, n_classes) as u64
    }

    /// A sample's coordinates.
    pub fn row(&self, sample: usize) -> &[f32] {
        &self.rows[sample * self.dim..][..self.dim]
    }

    fn select(&self, samples: &[usize]) -> Vec<f32> {
        let mut rows = Vec::with_capacity(samples.len() * self.dim);
        samples.iter().for_each(|sample| rows.extend_from_slice(self.row(*sample)));
        rows
    }

    /// Logits `[asked.len(), n_classes]` of a head that is fitted to the samples `training`, `labels` being theirs.
    ///
    /// # Errors
    /// [`FitError`], e.g. a class without a sample.
    pub fn logits(
        &self,
        training: &[usize],
        labels: &[u16],
        n_classes: usize,
        asked: &[usize],
    ) -> Result<Vec<f32>, FitError> {
        let rows = &self.select(training);
        let weights: Option<Vec<f32>> =
            self.weights.as_ref().map(|weights| training.iter().map(|sample| weights[*sample]).collect());
        let (weights, feature_dim, unit) = (weights.as_deref(), self.dim, self.unit);
        let samples = Samples { rows, labels, weights, n_classes, feature_dim, unit };
        let (head, _) = samples.fit(self.kind, self.setting)?;
        let mut logits = vec![0.0; asked.len() * n_classes];
        head.logits(Kernels::detect(), &self.select(asked), &mut logits);
        Ok(logits)
    }

    /// Squared distance of each of `asked` to the nearest class mean of the samples `training`.
    pub fn distances(&self, training: &[usize], labels: &[u16], n_classes: usize, asked: &[usize]) -> Vec<f32> {
        let means = class_means(&self.select(training), self.dim, labels, n_classes);
        let squared = |x: &[f32], mean: &[f32]| x.iter().zip(mean).map(|(x, m)| (x - m) * (x - m)).sum();
        let nearest = |sample: &usize| {
            let distances = means.chunks_exact(self.dim.max(1)).map(|mean| squared(self.row(*sample), mean));
            distances.fold(f32::INFINITY, f32::min)
        };
        asked.iter().map(nearest).collect()
    }
}

/// As many classes count in a pass over `n` samples. A fit makes some fifty passes; nearest neighbours have none, but compare
/// each sample with all others.
pub(super) fn width(kind: Kind, n: usize, n_classes: usize) -> usize {
    if kind == Kind::Nearest { n.div_ceil(50) } else { n_classes }
}

/// Mean row of each class, `[n_classes, dim]`; zeros for a class without samples.
pub(super) fn class_means(rows: &[f32], dim: usize, labels: &[u16], n_classes: usize) -> Vec<f32> {
    let mut counts = vec![0.0f32; n_classes];
    labels.iter().for_each(|label| counts[usize::from(*label)] += 1.0);
    let mut means = vec![0.0; n_classes * dim];
    for (row, label) in rows.chunks_exact(dim.max(1)).zip(labels) {
        let class = usize::from(*label);
        Kernels::detect().axpy(1.0 / counts[class], row, &mut means[class * dim..][..dim]);
    }
    means
}

#[cfg(test)]
mod tests {
    use super::super::fit::{Settings, fit, fit_with};
    use super::super::scaling::Scaling;
    use super::*;
    use ndarray::Array2;

    #[test]
    fn a_head_of_all_samples_is_the_fitted_one() {
        let kinds = Kind::ALL.map(|kind| (kind, None));
        let weighted = [Kind::Softmax, Kind::Ridge].map(|kind| (kind, Some([0.5, 1.0, 2.0].as_slice())));
        let tasks = || kinds.into_iter().chain(weighted);
        for ((n, d), (kind, class_weights)) in
            [(12, 40), (40, 5)].into_iter().flat_map(|shape| tasks().map(move |task| (shape, task)))
        {
            let features = Array2::from_shape_fn((n, d), |(i, j)| ((i * d + j) as f32 * 0.71).sin() + (i % 3) as f32);
            let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
            let settings = Settings { scalings: &[Scaling::L2], kinds: &[kind], class_weights };
            let fitted = fit_with(features.view(), &labels, 3, &settings).expect("fits");
            let subsets = Subsets::new(features.view(), &labels, &fitted);
            let all: Vec<usize> = (0..n).collect();
            let logits = subsets.logits(&all, &labels, 3, &all).expect("fits");
            for (row, logits) in features.rows().into_iter().zip(logits.chunks(3)) {
                let mut x = row.to_vec();
                fitted.scaler.apply(Kernels::detect(), &mut x);
                let mut expected = [0.0; 3];
                fitted.head.logits(Kernels::detect(), &x, &mut expected);
                // Both are within about 1e-7 of the optimum, which is flat where a label is certain: the logits there may
                // differ, what they say may not.
                let mut logits = logits.to_vec();
                [logits.as_mut_slice(), &mut expected].into_iter().for_each(topgraft_core::head::softmax);
                assert!(logits.iter().zip(expected).all(|(a, b)| (a - b).abs() < 5e-4), "{logits:?} {expected:?}");
            }
        }
    }

    #[test]
    fn the_nearest_of_the_class_means_counts() {
        let features = ndarray::array![[0.0, 0.0], [2.0, 0.0], [0.0, 9.0], [0.0, 11.0], [1.0, 3.0]];
        let fitted = fit(features.view(), &[0, 0, 1, 1, 0], 2, Scaling::None).expect("fits");
        let subsets = Subsets::new(features.view(), &[0, 0, 1, 1, 0], &fitted);
        let distances = subsets.distances(&[0, 1, 2, 3], &[0, 0, 1, 1], 2, &[4, 0]);
        assert_eq!(distances, [9.0, 1.0]);
    }
}
