//! The k nearest neighbours among the cached features: no fit at all, each sample is kept as it is.
//!
//! Samples stay in the order in which they came, so that removing one leaves the very bits of never having had it.
//! Of equally near samples the older is the nearer; of classes with equal votes, the one with the nearest sample wins.

use super::{FitError, TrainingSet, check_length};
use crate::kernel::Kernels;
use crate::math::{self, half};

/// Queries that share a pass over the samples.
const BLOCK_ROWS: usize = 8;
/// Indices of samples are kept as f32, which is exact up to here.
const SAMPLE_LIMIT: usize = 1 << 24;

/// How near two feature vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `-|x - y|^2`, computed as `2 x . y - |x|^2 - |y|^2`, exactly 0 for equal vectors.
    Euclidean,
    /// Cosine of the angle; 0 for a vector of zeros.
    Cosine,
}

/// What a neighbour's vote weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Vote {
    /// One.
    Majority,
    /// `exp(nearness / temperature)`, relative to the nearest (Wu et al. 2018, "Unsupervised feature learning via
    /// non-parametric instance discrimination"; they take cosines and 0.07).
    Similarity {
        /// In units of the metric's nearness, positive.
        temperature: f32,
    },
}

/// How to predict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Neighbours asked; all, where there are fewer.
    pub k: usize,
    /// How near is measured.
    pub metric: Metric,
    /// What a neighbour's vote weighs.
    pub vote: Vote,
}

/// Samples in the caller's buffers.
#[derive(Debug)]
pub struct Neighbours<'a> {
    n_classes: usize,
    feature_dim: usize,
    len: usize,
    /// `[capacity, feature_dim]`
    features: &'a mut [f32],
    /// `[capacity]`
    labels: &'a mut [u16],
    /// `[capacity]`: squared lengths.
    squares: &'a mut [f32],
}

/// Length of `scratch` for [`Neighbours::predict`] in f32, given the samples' [`len`](Neighbours::len); `None` where that
/// overflows.
pub const fn scratch_len(len: usize, k: usize) -> Option<usize> {
    let k = if k < len { k } else { len };
    let Some(block) = len.checked_mul(BLOCK_ROWS) else { return None };
    block.checked_add(k)
}

/// Copies the samples of `set`, but for those of weight 0, to `rows [n_samples, feature_dim]`, in the bits of IEEE 754
/// binary16, and `labels [n_samples]`: what a [`Nearest`](crate::head::Nearest) head is made of. Returns how many they are.
///
/// # Errors
/// [`FitError`] of the first sample that is wrong, [`FitError::OutOfRange`] for features that half precision does not have,
/// [`FitError::Length`] for buffers without room for all.
pub fn keep(
    set: &TrainingSet<'_>,
    [n_classes, feature_dim]: [usize; 2],
    rows: &mut [u16],
    labels: &mut [u16],
) -> Result<usize, FitError> {
    set.check_samples(n_classes, feature_dim)?;
    set.check_weights_are_zero_or_one()?;
    if n_classes < 2 {
        return Err(FitError::TooFewClasses { n_classes });
    }
    check_length("labels", labels.len(), set.labels.len())?;
    check_length("rows", rows.len(), labels.len().saturating_mul(feature_dim))?;
    let mut kept = 0;
    for sample in (0..labels.len()).filter(|sample| set.weight(*sample) > 0.0) {
        let row = set.row(sample, feature_dim);
        if row.iter().any(|x| x.abs() > half::MAX) {
            return Err(FitError::OutOfRange { sample, limit: half::MAX });
        }
        let place = &mut rows[kept * feature_dim..][..feature_dim];
        place.iter_mut().zip(row).for_each(|(bits, x)| *bits = half::narrow(*x));
        labels[kept] = set.labels[sample];
        kept += 1;
    }
    Ok(kept)
}

impl<'a> Neighbours<'a> {
    /// No samples yet, of `n_classes` classes; room for `labels.len()` samples. `features` is `[capacity, feature_dim]`,
    /// `squares` `[capacity]`, of any content.
    ///
    /// # Errors
    /// [`FitError::Length`] if a slice does not fit the others, [`FitError::Full`] for more classes than labels can count.
    ///
    /// ```
    /// use topgraft_core::kernel::Kernels;
    /// use topgraft_core::solver::nearest::{Metric, Neighbours, Settings, Vote, scratch_len};
    ///
    /// let kernels = Kernels::detect();
    /// let (mut features, mut labels, mut squares) = ([0.0; 3 * 2], [0; 3], [0.0; 3]);
    /// let mut pets = Neighbours::new(2, 2, &mut features, &mut labels, &mut squares)?;
    /// pets.add(kernels, &[1.0, 0.0], 0)?;
    /// pets.add(kernels, &[0.0, 1.0], 1)?;
    /// let settings = Settings { k: 1, metric: Metric::Euclidean, vote: Vote::Majority };
    /// let (mut label, mut probabilities, mut scratch) = ([0], [0.0; 2], [0.0; scratch_len(2, 1).unwrap()]);
    /// pets.predict(kernels, &settings, &[0.1, 0.8], &mut label, &mut probabilities, &mut scratch)?;
    /// assert_eq!((label, probabilities), ([1], [0.0, 1.0]));
    /// # Ok::<(), topgraft_core::solver::FitError>(())
    /// ```
    pub fn new(
        n_classes: usize,
        feature_dim: usize,
        features: &'a mut [f32],
        labels: &'a mut [u16],
        squares: &'a mut [f32],
    ) -> Result<Self, FitError> {
        check_length("features", features.len(), labels.len().saturating_mul(feature_dim))?;
        check_length("squares", squares.len(), labels.len())?;
        if n_classes > 1 << 16 {
            return Err(FitError::Full { what: "classes", capacity: 1 << 16 });
        }
        if labels.len() > SAMPLE_LIMIT {
            return Err(FitError::Full { what: "samples", capacity: SAMPLE_LIMIT });
        }
        Ok(Self { n_classes, feature_dim, len: 0, features, labels, squares })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Labels of the samples, `[len]`.
    pub fn labels(&self) -> &[u16] {
        &self.labels[..self.len]
    }

    /// Features of the samples, `[len, feature_dim]`.
    pub fn features(&self) -> &[f32] {
        &self.features[..self.len * self.feature_dim]
    }

    /// Forgets all samples, then keeps those of `set`, but for samples of weight 0; a weight must be 0 or 1.
    ///
    /// # Errors
    /// [`FitError`] of the first sample that is wrong, or [`FitError::Full`]; the samples are as they were.
    pub fn fit(&mut self, kernels: Kernels, set: &TrainingSet<'_>) -> Result<(), FitError> {
        set.check_samples(self.n_classes, self.feature_dim)?;
        let n = set.labels.len();
        if let Some(sample) = (0..n).find(|i| set.weight(*i) != 0.0 && set.weight(*i) != 1.0) {
            return Err(FitError::SampleWeight { sample });
        }
        if (0..n).filter(|i| set.weight(*i) > 0.0).count() > self.labels.len() {
            return Err(FitError::Full { what: "samples", capacity: self.labels.len() });
        }
        self.len = 0;
        for sample in (0..n).filter(|i| set.weight(*i) > 0.0) {
            self.push(kernels, set.row(sample, self.feature_dim), set.labels[sample]);
        }
        Ok(())
    }

    /// Keeps one more sample, `features [feature_dim]`, scaled.
    ///
    /// # Errors
    /// A label beyond the classes, features that are not finite, or no room.
    pub fn add(&mut self, kernels: Kernels, features: &[f32], label: u16) -> Result<(), FitError> {
        TrainingSet { features, labels: &[label], sample_weights: None }
            .check_samples(self.n_classes, self.feature_dim)?;
        if self.len == self.labels.len() {
            return Err(FitError::Full { what: "samples", capacity: self.len });
        }
        self.push(kernels, features, label);
        Ok(())
    }

    fn push(&mut self, kernels: Kernels, features: &[f32], label: u16) {
        self.features[self.len * self.feature_dim..][..self.feature_dim].copy_from_slice(features);
        self.labels[self.len] = label;
        self.squares[self.len] = kernels.dot(features, features);
        self.len += 1;
    }

    /// Removes the sample at `index`; those after it move up by one, in order.
    ///
    /// # Errors
    /// [`FitError::Absent`] if there is no such sample.
    pub fn remove(&mut self, index: usize) -> Result<(), FitError> {
        if index >= self.len {
            return Err(FitError::Absent { what: "sample", index });
        }
        self.features
            .copy_within((index + 1) * self.feature_dim..self.len * self.feature_dim, index * self.feature_dim);
        self.labels.copy_within(index + 1..self.len, index);
        self.squares.copy_within(index + 1..self.len, index);
        self.len -= 1;
        Ok(())
    }

    /// A new class without samples, after the others; returns its index.
    ///
    /// # Errors
    /// [`FitError::Full`] if labels can't count that many.
    pub fn add_class(&mut self) -> Result<usize, FitError> {
        if self.n_classes == 1 << 16 {
            return Err(FitError::Full { what: "classes", capacity: 1 << 16 });
        }
        self.n_classes += 1;
        Ok(self.n_classes - 1)
    }

    /// Removes a class and its samples; the labels above it fall by one.
    ///
    /// # Errors
    /// [`FitError::Absent`] if there is no such class.
    pub fn remove_class(&mut self, class: usize) -> Result<(), FitError> {
        if class >= self.n_classes {
            return Err(FitError::Absent { what: "class", index: class });
        }
        let mut kept = 0;
        for from in 0..self.len {
            let label = self.labels[from] as usize;
            if label == class {
                continue;
            }
            self.features.copy_within(from * self.feature_dim..(from + 1) * self.feature_dim, kept * self.feature_dim);
            self.labels[kept] = (label - usize::from(label > class)) as u16;
            self.squares[kept] = self.squares[from];
            kept += 1;
        }
        self.len = kept;
        self.n_classes -= 1;
        Ok(())
    }

    /// Predicts `queries [n_queries, feature_dim]`: `labels [n_queries]`, and `probabilities [n_queries, n_classes]`, each
    /// class's share of the votes. `scratch` needs [`scratch_len`] elements of any content.
    ///
    /// # Errors
    /// No samples, a query that is not finite, slices that do not fit, `k` of 0, a temperature that is not positive.
    pub fn predict(
        &self,
        kernels: Kernels,
        settings: &Settings,
        queries: &[f32],
        labels: &mut [u16],
        probabilities: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), FitError> {
        check_length("queries", queries.len(), labels.len().saturating_mul(self.feature_dim))?;
        check_length("probabilities", probabilities.len(), labels.len().saturating_mul(self.n_classes))?;
        if let Some(sample) = (0..labels.len())
            .find(|i| !queries[i * self.feature_dim..][..self.feature_dim].iter().all(|x| x.is_finite()))
        {
            return Err(FitError::NotFinite { sample });
        }
        if self.is_empty() {
            return Err(FitError::Absent { what: "sample", index: 0 });
        }
        let best = self.check_settings(settings, scratch)?;
        let (best, block) = scratch.split_at_mut(best);
        for (i, labels) in labels.chunks_mut(BLOCK_ROWS).enumerate() {
            let rows = labels.len();
            let queries = &queries[i * BLOCK_ROWS * self.feature_dim..][..rows * self.feature_dim];
            let block = &mut block[..rows * self.len];
            kernels.gemm_nt([rows, self.len, self.feature_dim], queries, self.features(), block);
            for (row, label) in labels.iter_mut().enumerate() {
                let query = &queries[row * self.feature_dim..][..self.feature_dim];
                let nearness = &mut block[row * self.len..][..self.len];
                self.nearness(settings.metric, kernels.dot(query, query), nearness);
                let votes = &mut probabilities[(i * BLOCK_ROWS + row) * self.n_classes..][..self.n_classes];
                *label = self.vote(settings, nearness, None, best, votes);
            }
        }
        Ok(())
    }

    /// As [`predict`](Self::predict), of each kept sample by the others: `labels [len]`, `probabilities [len, n_classes]`.
    ///
    /// # Errors
    /// Fewer than two samples, and as [`predict`](Self::predict).
    pub fn predict_left_out(
        &self,
        kernels: Kernels,
        settings: &Settings,
        labels: &mut [u16],
        probabilities: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), FitError> {
        check_length("labels", labels.len(), self.len)?;
        check_length("probabilities", probabilities.len(), self.len.saturating_mul(self.n_classes))?;
        if self.len < 2 {
            return Err(FitError::Absent { what: "sample", index: self.len });
        }
        let best = self.check_settings(settings, scratch)?;
        let (best, block) = scratch.split_at_mut(best);
        for (i, label) in labels.iter_mut().enumerate() {
            let query = &self.features()[i * self.feature_dim..][..self.feature_dim];
            let nearness = &mut block[..self.len];
            kernels.gemm_nt([1, self.len, self.feature_dim], query, self.features(), nearness);
            self.nearness(settings.metric, self.squares[i], nearness);
            let votes = &mut probabilities[i * self.n_classes..][..self.n_classes];
            *label = self.vote(settings, nearness, Some(i), best, votes);
        }
        Ok(())
    }

    /// Returns how many neighbours are asked.
    fn check_settings(&self, settings: &Settings, scratch: &[f32]) -> Result<usize, FitError> {
        if settings.k == 0 {
            return Err(FitError::Setting { what: "k", got: 0.0, expected: "1 or more" });
        }
        if let Vote::Similarity { temperature } = settings.vote
            && !(temperature > 0.0 && temperature < f32::INFINITY)
        {
            return Err(FitError::Setting { what: "temperature", got: temperature, expected: "positive and finite" });
        }
        let expected = scratch_len(self.len, settings.k).unwrap_or(usize::MAX);
        if scratch.len() < expected {
            return Err(FitError::Length { what: "scratch", expected, got: scratch.len() });
        }
        Ok(settings.k.min(self.len))
    }

    /// Turns dot products with a query of squared length `square` into nearness.
    fn nearness(&self, metric: Metric, square: f32, dots: &mut [f32]) {
        for (dot, own) in dots.iter_mut().zip(&*self.squares) {
            *dot = match metric {
                Metric::Euclidean => (*dot - own) + (*dot - square),
                Metric::Cosine => {
                    let lengths = math::sqrt(*own) * math::sqrt(square);
                    if lengths > 0.0 { *dot / lengths } else { 0.0 }
                }
            };
            // Squares beyond f32: as far away as can be.
            if dot.is_nan() {
                *dot = f32::NEG_INFINITY;
            }
        }
    }

    /// Fills in the shares of the votes, `[n_classes]`; returns the class that won. `best` has room for `k` indices.
    fn vote(
        &self,
        settings: &Settings,
        nearness: &[f32],
        left_out: Option<usize>,
        best: &mut [f32],
        votes: &mut [f32],
    ) -> u16 {
        let at = |slot: f32| slot as usize;
        let mut found = 0;
        for i in (0..nearness.len()).filter(|i| Some(*i) != left_out) {
            if found == best.len() && nearness[i] <= nearness[at(best[found - 1])] {
                continue;
            }
            found = best.len().min(found + 1);
            let mut slot = found - 1;
            while slot > 0 && nearness[i] > nearness[at(best[slot - 1])] {
                best[slot] = best[slot - 1];
                slot -= 1;
            }
            best[slot] = i as f32;
        }
        votes.fill(0.0);
        let best = &best[..found];
        let top = nearness[at(best[0])];
        let mut sum = 0.0;
        for i in best.iter().map(|slot| at(*slot)) {
            let weight = match settings.vote {
                Vote::Similarity { temperature } if nearness[i] < top => math::exp((nearness[i] - top) / temperature),
                _ => 1.0,
            };
            votes[self.labels[i] as usize] += weight;
            sum += weight;
        }
        let mut winner = self.labels[at(best[0])];
        for label in best.iter().map(|slot| self.labels[at(*slot)]) {
            if votes[label as usize] > votes[winner as usize] {
                winner = label;
            }
        }
        votes.iter_mut().for_each(|vote| *vote /= sum);
        winner
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "nearest_tests.rs"]
mod tests;
