//! Streaming statistics of labelled features, enough for [`lda`](super::lda) and [`ridge`](super::ridge): counts and sums by
//! class, and one scatter matrix about the class means. Their size does not depend on the number of samples.
//!
//! Samples are added, removed and merged exactly but for rounding: sums are kept in f64, where the rounding of f32 features
//! is nothing; the scatter in f32, where each addition or removal rounds an element by at most half a unit in its last
//! place, `2^-24` of it. Removing what was added leaves the scatter within that bound for each step taken in between.

use super::{FitError, TrainingSet, check_length};
use crate::kernel::Kernels;

/// Statistics of up to `capacity` classes, in the caller's buffers.
#[derive(Debug)]
pub struct Moments<'a> {
    n_classes: usize,
    feature_dim: usize,
    /// `[capacity, feature_dim]`
    sums: &'a mut [f64],
    /// `[capacity]`
    counts: &'a mut [u32],
    /// `[feature_dim, feature_dim]`: the sum of `(x - mean of its class) (x - mean of its class)ᵀ`, upper triangle.
    scatter: &'a mut [f32],
}

impl<'a> Moments<'a> {
    /// `n_classes` classes without samples; room for `counts.len()`. `sums` is `[capacity, feature_dim]`, `scatter`
    /// `[feature_dim, feature_dim]`, of any content.
    ///
    /// # Errors
    /// [`FitError::Length`] if a slice does not fit, [`FitError::Full`] if there are more classes than room.
    ///
    /// ```
    /// use topgraft_core::{head::Head, kernel::Kernels};
    /// use topgraft_core::solver::{lda, moments::Moments};
    ///
    /// let kernels = Kernels::detect();
    /// let (mut sums, mut counts, mut scatter, mut scratch) = ([0.0; 2 * 2], [0; 2], [0.0; 2 * 2], [0.0; 2]);
    /// let mut pets = Moments::new(2, 2, &mut sums, &mut counts, &mut scatter)?;
    /// for (x, label) in [([0.0, 1.0], 0), ([1.0, 2.0], 0), ([3.0, 1.0], 1), ([4.0, 2.0], 1)] {
    ///     pets.add(kernels, &x, label, &mut scratch)?;
    /// }
    /// pets.remove(kernels, &[4.0, 2.0], 1, &mut scratch)?;
    /// let mut head = Head::new(2, 2, [0.0; 6])?;
    /// let mut scratch = [0.0; lda::head_scratch_len(2).unwrap()];
    /// lda::head(kernels, &pets, &lda::Settings::default(), &mut head, &mut scratch)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        n_classes: usize,
        feature_dim: usize,
        sums: &'a mut [f64],
        counts: &'a mut [u32],
        scatter: &'a mut [f32],
    ) -> Result<Self, FitError> {
        let mut new = Self::resume(n_classes, feature_dim, sums, counts, scatter)?;
        new.clear();
        Ok(new)
    }

    /// As [`new`](Self::new), but goes on with the statistics in the buffers, which another `Moments` left there.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resume(
        n_classes: usize,
        feature_dim: usize,
        sums: &'a mut [f64],
        counts: &'a mut [u32],
        scatter: &'a mut [f32],
    ) -> Result<Self, FitError> {
        let capacity = counts.len().min(1 << 16);
        check_length("sums", sums.len(), counts.len().saturating_mul(feature_dim))?;
        check_length("scatter", scatter.len(), feature_dim.saturating_mul(feature_dim))?;
        if n_classes > capacity {
            return Err(FitError::Full { what: "classes", capacity });
        }
        Ok(Self { n_classes, feature_dim, sums, counts, scatter })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Samples of each class, `[n_classes]`.
    pub fn counts(&self) -> &[u32] {
        &self.counts[..self.n_classes]
    }

    /// Samples of all classes.
    pub fn n_samples(&self) -> u64 {
        self.counts().iter().map(|count| u64::from(*count)).sum()
    }

    /// Scatter about the class means, `[feature_dim, feature_dim]`: the upper triangle; what is below it has no meaning.
    pub fn scatter(&self) -> &[f32] {
        self.scatter
    }

    /// Writes the mean of a class, `[feature_dim]`; zeros if it has no sample.
    ///
    /// # Panics
    /// If there is no such class, or `mean` has another length.
    pub fn mean(&self, class: usize, mean: &mut [f32]) {
        assert!(class < self.n_classes && mean.len() == self.feature_dim, "another shape");
        let count = f64::from(self.counts[class].max(1));
        for (mean, sum) in mean.iter_mut().zip(&self.sums[class * self.feature_dim..]) {
            *mean = (sum / count) as f32;
        }
    }

    /// Writes the mean of all samples, `[feature_dim]`.
    ///
    /// # Panics
    /// If `mean` has another length.
    pub fn grand_mean(&self, mean: &mut [f32]) {
        assert_eq!(mean.len(), self.feature_dim, "another feature_dim");
        let n = self.n_samples().max(1) as f64;
        for (j, mean) in mean.iter_mut().enumerate() {
            let sum: f64 = (0..self.n_classes).map(|class| self.sums[class * self.feature_dim + j]).sum();
            *mean = (sum / n) as f32;
        }
    }

    /// Forgets all samples; the classes stay.
    pub fn clear(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
        self.scatter.fill(0.0);
    }

    /// Forgets all samples, then adds those of `set` in order, but for samples of weight 0; a weight must be 0 or 1.
    /// `scratch` has `feature_dim` elements.
    ///
    /// # Errors
    /// [`FitError`] of the first sample that is wrong; the statistics are as they were.
    pub fn fit(&mut self, kernels: Kernels, set: &TrainingSet<'_>, scratch: &mut [f32]) -> Result<(), FitError> {
        set.check_samples(self.n_classes, self.feature_dim)?;
        set.check_weights_are_zero_or_one()?;
        check_length("scratch", scratch.len(), self.feature_dim)?;
        self.clear();
        for sample in set.used() {
            self.add(kernels, set.row(sample, self.feature_dim), set.labels[sample], scratch)?;
        }
        Ok(())
    }

    /// Adds one sample, `features [feature_dim]`, scaled: a rank-1 update, `feature_dim^2 / 2` multiply-adds. `scratch` has
    /// `feature_dim` elements.
    ///
    /// # Errors
    /// A label beyond the classes, features that are not finite, slices that do not fit.
    pub fn add(&mut self, kernels: Kernels, features: &[f32], label: u16, scratch: &mut [f32]) -> Result<(), FitError> {
        let class = self.check_sample(features, label, scratch)?;
        let count = self.counts[class];
        if count == u32::MAX {
            return Err(FitError::Full { what: "samples", capacity: count as usize });
        }
        if count > 0 {
            self.about_mean(class, features, scratch);
            self.rank_one(kernels, f64::from(count) / (f64::from(count) + 1.0), scratch);
        }
        self.change_sum(class, features, 1.0);
        self.counts[class] += 1;
        Ok(())
    }

    /// Adds one sample as Hayes & Kanan published it (2020, "Lifelong machine learning with deep streaming linear
    /// discriminant analysis"): `(x - mean) (x - mean)ᵀ t / (t + 1)` with the mean before the sample, zero for a class
    /// without samples, and t the samples of all classes so far. It depends on the order, and counts the first sample of a
    /// class with its whole length, which spoils the scatter of a few samples: for reproducing published numbers only. What
    /// was added so can't be removed.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_as_published(
        &mut self,
        kernels: Kernels,
        features: &[f32],
        label: u16,
        scratch: &mut [f32],
    ) -> Result<(), FitError> {
        let class = self.check_sample(features, label, scratch)?;
        let before = self.n_samples() as f64;
        self.about_mean(class, features, scratch);
        self.rank_one(kernels, before / (before + 1.0), scratch);
        self.change_sum(class, features, 1.0);
        self.counts[class] = self.counts[class].saturating_add(1);
        Ok(())
    }

    /// Removes one sample, with the features and the label that it was added with. `scratch` has `feature_dim` elements.
    ///
    /// # Errors
    /// As [`add`](Self::add), or a class without samples. That other samples of the class are there, but not this one,
    /// cannot be seen in the statistics.
    pub fn remove(
        &mut self,
        kernels: Kernels,
        features: &[f32],
        label: u16,
        scratch: &mut [f32],
    ) -> Result<(), FitError> {
        let class = self.check_sample(features, label, scratch)?;
        match self.counts[class] {
            0 => return Err(FitError::EmptyClass { class }),
            1 => self.sums[class * self.feature_dim..][..self.feature_dim].fill(0.0),
            count => {
                self.change_sum(class, features, -1.0);
                self.counts[class] -= 1;
                // About the mean without it, as when it was added.
                self.about_mean(class, features, scratch);
                self.counts[class] += 1;
                self.rank_one(kernels, -(f64::from(count) - 1.0) / f64::from(count), scratch);
            }
        }
        self.counts[class] -= 1;
        Ok(())
    }

    /// Adds the samples of `other`, class by class (Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm
    /// for computing sample variances"). `scratch` has `feature_dim` elements.
    ///
    /// # Errors
    /// Another shape, or more samples than a count holds; the statistics are as they were.
    pub fn merge(&mut self, kernels: Kernels, other: &Moments<'_>, scratch: &mut [f32]) -> Result<(), FitError> {
        check_length("other's feature_dim", other.feature_dim, self.feature_dim)?;
        check_length("other's classes", other.n_classes, self.n_classes)?;
        check_length("scratch", scratch.len(), self.feature_dim)?;
        if self.counts().iter().zip(other.counts()).any(|(a, b)| a.checked_add(*b).is_none()) {
            return Err(FitError::Full { what: "samples", capacity: u32::MAX as usize });
        }
        kernels.axpy(1.0, other.scatter, self.scatter);
        for class in 0..self.n_classes {
            let (a, b) = (f64::from(self.counts[class]), f64::from(other.counts[class]));
            let range = class * self.feature_dim..(class + 1) * self.feature_dim;
            if a > 0.0 && b > 0.0 {
                let sums = self.sums[range.clone()].iter().zip(&other.sums[range.clone()]);
                for (z, (x, y)) in scratch.iter_mut().zip(sums) {
                    *z = (x / a - y / b) as f32;
                }
                self.rank_one(kernels, a * b / (a + b), scratch);
            }
            for (sum, other) in self.sums[range.clone()].iter_mut().zip(&other.sums[range]) {
                *sum += other;
            }
            self.counts[class] += other.counts[class];
        }
        Ok(())
    }

    /// A new class without samples, after the others; returns its index.
    ///
    /// # Errors
    /// [`FitError::Full`] if there is no room.
    pub fn add_class(&mut self) -> Result<usize, FitError> {
        let (class, capacity) = (self.n_classes, self.counts.len().min(1 << 16));
        if class == capacity {
            return Err(FitError::Full { what: "classes", capacity });
        }
        self.sums[class * self.feature_dim..][..self.feature_dim].fill(0.0);
        self.counts[class] = 0;
        self.n_classes += 1;
        Ok(class)
    }

    /// Removes a class that has no samples any more; the labels above it fall by one. The scatter is shared: which part of
    /// it is a class's only its samples tell, so [`remove`](Self::remove) those first.
    ///
    /// # Errors
    /// [`FitError::Absent`] if there is no such class, [`FitError::ClassInUse`] if it has samples.
    pub fn remove_class(&mut self, class: usize) -> Result<(), FitError> {
        if class >= self.n_classes {
            return Err(FitError::Absent { what: "class", index: class });
        }
        if self.counts[class] > 0 {
            return Err(FitError::ClassInUse { class, samples: self.counts[class] as usize });
        }
        self.sums
            .copy_within((class + 1) * self.feature_dim..self.n_classes * self.feature_dim, class * self.feature_dim);
        self.counts.copy_within(class + 1..self.n_classes, class);
        self.n_classes -= 1;
        Ok(())
    }

    fn check_sample(&self, features: &[f32], label: u16, scratch: &[f32]) -> Result<usize, FitError> {
        TrainingSet { features, labels: &[label], sample_weights: None }
            .check_samples(self.n_classes, self.feature_dim)?;
        check_length("scratch", scratch.len(), self.feature_dim)?;
        Ok(label as usize)
    }

    /// `z = features - mean of the class`.
    fn about_mean(&self, class: usize, features: &[f32], z: &mut [f32]) {
        let count = f64::from(self.counts[class].max(1));
        for (z, (x, sum)) in z.iter_mut().zip(features.iter().zip(&self.sums[class * self.feature_dim..])) {
            *z = (f64::from(*x) - sum / count) as f32;
        }
    }

    fn change_sum(&mut self, class: usize, features: &[f32], sign: f64) {
        for (sum, x) in self.sums[class * self.feature_dim..].iter_mut().zip(features) {
            *sum += sign * f64::from(*x);
        }
    }

    /// `scatter += factor z zᵀ`, the upper triangle.
    fn rank_one(&mut self, kernels: Kernels, factor: f64, z: &[f32]) {
        for (i, row) in self.scatter.chunks_exact_mut(self.feature_dim.max(1)).enumerate() {
            kernels.axpy((factor * f64::from(z[i])) as f32, &z[i..], &mut row[i..]);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "moments_tests.rs"]
pub(in crate::solver) mod tests;
