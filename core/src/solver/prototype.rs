//! Nearest class mean: one prototype a class, the mean of its samples. The cheapest head, and the strongest at one shot.
//!
//! The statistics are a sum and a count per class. Sums are whole numbers (units of 2^-28), so that they are exact:
//! [`remove`](Prototypes::remove) after [`add`](Prototypes::add) leaves the very bits of before, the order of samples
//! does not matter, and two statistics [`merge`](Prototypes::merge) into that of all samples.
//!
//! | [`Mode`] | sample | logits | scaler for the head | source |
//! |---|---|---|---|---|
//! | `Raw` | x | `-scale * |x - mean|^2` | `None`, or `Standard` on samples that are scaled with it | nearest centroid |
//! | `L2` | x / length | the same | `L2` | Wang et al. 2019, "SimpleShot", L2N |
//! | `CentredL2` | (x - m) / length | the same | `CentredL2` | Wang et al. 2019, CL2N |
//! | `Imprint` | x / length | `scale * cosine(x, mean)` | `L2` | Qi et al. 2018, "Imprinted weights" |
//!
//! A squared distance is linear but for `|x|^2`, which all classes share: `scale * (2 mean . x - |mean|^2)`.

use super::{FitError, TrainingSet, check_length, root};
use crate::head::Head;
use crate::kernel::Kernels;
use crate::math;

/// Units of the sums in 1.
const UNIT: f64 = (1u64 << 28) as f64;
/// Largest magnitude of a feature: 2^15 * 2^28 * 2^20 is the range of i64.
pub const FEATURE_LIMIT: f32 = 32768.0;
/// Most samples of a class.
pub const COUNT_LIMIT: u32 = (1 << 20) - 1;

/// What a prototype is, and how near is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode<'a> {
    /// Euclidean distance to the mean of the features as they are.
    Raw,
    /// Euclidean distance to the mean of features of length 1.
    L2,
    /// The same, after `mean` is taken away.
    CentredL2 {
        /// `[feature_dim]`: the mean of the features of many photos. It stays as it is while samples come and go.
        mean: &'a [f32],
    },
    /// Cosine of the angle to the mean of features of length 1.
    Imprint,
}

impl Mode<'_> {
    /// Scales `features [feature_dim]` in place, as the samples are scaled: what the head expects. A vector of zeros stays.
    ///
    /// # Panics
    /// If `CentredL2` has a mean of another length.
    pub fn scale(&self, features: &mut [f32]) {
        let length = self.length(features);
        for (i, x) in features.iter_mut().enumerate() {
            *x = self.scaled(*x, i, length);
        }
    }

    /// What the features are divided by. The squares are summed in f64, in order: f32 would overflow from 1e19 on.
    fn length(&self, features: &[f32]) -> f32 {
        let centred = |(i, x): (usize, &f32)| match self {
            Self::CentredL2 { mean } => x - mean[i],
            _ => *x,
        } as f64;
        match self {
            Self::Raw => 1.0,
            _ => {
                let square: f64 = features.iter().enumerate().map(centred).map(|x| x * x).sum();
                let length = root(square);
                if length > 0.0 { length } else { 1.0 }
            }
        }
    }

    fn scaled(&self, x: f32, i: usize, length: f32) -> f32 {
        match self {
            Self::Raw => x,
            Self::CentredL2 { mean } => (x - mean[i]) / length,
            Self::L2 | Self::Imprint => x / length,
        }
    }
}

/// Sums and counts of up to `capacity` classes, in the caller's buffers.
#[derive(Debug)]
pub struct Prototypes<'a> {
    mode: Mode<'a>,
    n_classes: usize,
    feature_dim: usize,
    /// `[capacity, feature_dim]`, in units of 2^-28.
    sums: &'a mut [i64],
    /// `[capacity]`
    counts: &'a mut [u32],
}

/// Length of `sums`: `capacity * feature_dim`; `None` where that overflows. `counts` has length `capacity`.
pub const fn sums_len(capacity: usize, feature_dim: usize) -> Option<usize> {
    capacity.checked_mul(feature_dim)
}

impl<'a> Prototypes<'a> {
    /// `n_classes` classes without samples; room for `counts.len()` classes. `sums` is `[capacity, feature_dim]`, of any
    /// content.
    ///
    /// # Errors
    /// [`FitError::Length`] if `sums` or the mode's mean does not fit, [`FitError::Full`] if there are more classes than
    /// room.
    ///
    /// ```
    /// use topgraft_core::{head::Head, kernel::Kernels};
    /// use topgraft_core::solver::prototype::{Mode, Prototypes};
    ///
    /// let (mut sums, mut counts) = ([0; 2 * 3], [0; 3]);
    /// let mut pets = Prototypes::new(Mode::Raw, 2, 2, &mut sums, &mut counts)?;
    /// pets.add(&[1.0, 0.0], 0)?;
    /// pets.add(&[0.0, 1.0], 1)?;
    /// let mut head = Head::new(2, 2, [0.0; 6])?;
    /// pets.head(Kernels::detect(), 1.0, &mut head)?;
    /// let mut logits = [0.0; 2];
    /// head.logits(Kernels::detect(), &[0.9, 0.2], &mut logits);
    /// assert!(logits[0] > logits[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        mode: Mode<'a>,
        n_classes: usize,
        feature_dim: usize,
        sums: &'a mut [i64],
        counts: &'a mut [u32],
    ) -> Result<Self, FitError> {
        let mut new = Self::resume(mode, n_classes, feature_dim, sums, counts)?;
        new.clear();
        Ok(new)
    }

    /// As [`new`](Self::new), but goes on with the statistics in the buffers, which another `Prototypes` left there.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resume(
        mode: Mode<'a>,
        n_classes: usize,
        feature_dim: usize,
        sums: &'a mut [i64],
        counts: &'a mut [u32],
    ) -> Result<Self, FitError> {
        let capacity = counts.len().min(1 << 16);
        check_length("sums", sums.len(), sums_len(counts.len(), feature_dim).unwrap_or(usize::MAX))?;
        if let Mode::CentredL2 { mean } = mode {
            check_length("mean", mean.len(), feature_dim)?;
            if !mean.iter().all(|x| x.is_finite()) {
                return Err(FitError::Setting { what: "mean", got: f32::NAN, expected: "finite" });
            }
        }
        if n_classes > capacity {
            return Err(FitError::Full { what: "classes", capacity });
        }
        Ok(Self { mode, n_classes, feature_dim, sums, counts })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Samples of each class, `[n_classes]`.
    pub fn counts(&self) -> &[u32] {
        &self.counts[..self.n_classes]
    }

    /// Forgets all samples; the classes stay.
    pub fn clear(&mut self) {
        self.sums.fill(0);
        self.counts.fill(0);
    }

    /// Forgets all samples, then adds those of `set`. Sample weights must be whole: a weight of 2 counts twice.
    ///
    /// # Errors
    /// [`FitError`] of the first sample that is wrong; the statistics are as they were.
    pub fn fit(&mut self, set: &TrainingSet<'_>) -> Result<(), FitError> {
        set.check_samples(self.n_classes, self.feature_dim)?;
        for sample in 0..set.labels.len() {
            let weight = set.weight(sample);
            if weight > COUNT_LIMIT as f32 || weight as u32 as f32 != weight {
                return Err(FitError::SampleWeight { sample });
            }
            self.check_range(set.row(sample, self.feature_dim), sample)?;
        }
        let total = |class: Option<usize>| {
            let counts = |i: &usize| class.is_none_or(|class| set.labels[*i] as usize == class);
            (0..set.labels.len()).filter(counts).map(|i| set.weight(i) as f64).sum::<f64>()
        };
        // Class by class only where it could matter: that takes n_samples * n_classes steps.
        if total(None) > COUNT_LIMIT as f64 && (0..self.n_classes).any(|class| total(Some(class)) > COUNT_LIMIT as f64)
        {
            return Err(FitError::Full { what: "samples", capacity: COUNT_LIMIT as usize });
        }
        self.clear();
        for (sample, label) in set.labels.iter().enumerate() {
            let times = set.weight(sample) as i64;
            self.accumulate(set.row(sample, self.feature_dim), *label as usize, times);
            self.counts[*label as usize] += times as u32;
        }
        Ok(())
    }

    /// Adds one sample, `features [feature_dim]`, unscaled.
    ///
    /// # Errors
    /// A label beyond the classes, features that are not finite or beyond [`FEATURE_LIMIT`] after scaling, or a class that
    /// has [`COUNT_LIMIT`] samples.
    pub fn add(&mut self, features: &[f32], label: u16) -> Result<(), FitError> {
        let class = self.check_sample(features, label)?;
        if self.counts[class] >= COUNT_LIMIT {
            return Err(FitError::Full { what: "samples", capacity: COUNT_LIMIT as usize });
        }
        self.accumulate(features, class, 1);
        self.counts[class] += 1;
        Ok(())
    }

    /// Removes one sample, with the features and the label that it was added with. All bits are as if it had never been
    /// there.
    ///
    /// # Errors
    /// As [`add`](Self::add), or a class without samples. That other samples of the class are there, but not this one,
    /// cannot be seen in a sum.
    pub fn remove(&mut self, features: &[f32], label: u16) -> Result<(), FitError> {
        let class = self.check_sample(features, label)?;
        if self.counts[class] == 0 {
            return Err(FitError::EmptyClass { class });
        }
        self.accumulate(features, class, -1);
        self.counts[class] -= 1;
        Ok(())
    }

    /// Adds the samples of `other`, class by class.
    ///
    /// # Errors
    /// Another mode or shape, or more samples than [`COUNT_LIMIT`]; the statistics are as they were.
    pub fn merge(&mut self, other: &Prototypes<'_>) -> Result<(), FitError> {
        check_length("other's feature_dim", other.feature_dim, self.feature_dim)?;
        check_length("other's classes", other.n_classes, self.n_classes)?;
        if self.mode != other.mode {
            return Err(FitError::Setting { what: "other's mode", got: f32::NAN, expected: "the same" });
        }
        if self.counts().iter().zip(other.counts()).any(|(a, b)| a.saturating_add(*b) > COUNT_LIMIT) {
            return Err(FitError::Full { what: "samples", capacity: COUNT_LIMIT as usize });
        }
        let used = self.n_classes * self.feature_dim;
        for (sum, other) in self.sums[..used].iter_mut().zip(&other.sums[..used]) {
            // Buffers that were not written by this code can't make it panic.
            *sum = sum.wrapping_add(*other);
        }
        for (count, other) in self.counts.iter_mut().zip(other.counts()) {
            *count += other;
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
        self.sums[class * self.feature_dim..][..self.feature_dim].fill(0);
        self.counts[class] = 0;
        self.n_classes += 1;
        Ok(class)
    }

    /// Removes a class and its samples; the labels above it fall by one.
    ///
    /// # Errors
    /// [`FitError::Absent`] if there is no such class.
    pub fn remove_class(&mut self, class: usize) -> Result<(), FitError> {
        if class >= self.n_classes {
            return Err(FitError::Absent { what: "class", index: class });
        }
        self.sums
            .copy_within((class + 1) * self.feature_dim..self.n_classes * self.feature_dim, class * self.feature_dim);
        self.counts.copy_within(class + 1..self.n_classes, class);
        self.n_classes -= 1;
        Ok(())
    }

    /// Writes the weights `[n_classes, feature_dim]` and the bias of the head. `scale` multiplies the logits: it changes no
    /// prediction, only how sure the softmax of the logits is, and is best set by calibration. With lengths of 1, about 10
    /// is a common start.
    ///
    /// # Errors
    /// Fewer than two classes, a class without samples, a head of another shape, a scale that is not positive and finite.
    pub fn head<B: AsRef<[f32]> + AsMut<[f32]>>(
        &self,
        kernels: Kernels,
        scale: f32,
        head: &mut Head<B>,
    ) -> Result<(), FitError> {
        if self.n_classes < 2 {
            return Err(FitError::TooFewClasses { n_classes: self.n_classes });
        }
        check_length("the head's classes", head.n_classes(), self.n_classes)?;
        check_length("the head's feature_dim", head.feature_dim(), self.feature_dim)?;
        if !(scale > 0.0 && scale < f32::INFINITY) {
            return Err(FitError::Setting { what: "scale", got: scale, expected: "positive and finite" });
        }
        if let Some(class) = self.counts().iter().position(|count| *count == 0) {
            return Err(FitError::EmptyClass { class });
        }
        let (weights, bias) = head.parameters_mut().split_at_mut(self.n_classes * self.feature_dim);
        for (class, bias) in bias.iter_mut().enumerate() {
            let row = &mut weights[class * self.feature_dim..][..self.feature_dim];
            self.mean(class, row);
            let square = kernels.dot(row, row);
            let factor = match self.mode {
                Mode::Imprint if square > 0.0 => scale / math::sqrt(square),
                Mode::Imprint => 0.0,
                _ => 2.0 * scale,
            };
            *bias = if self.mode == Mode::Imprint { 0.0 } else { -scale * square };
            row.iter_mut().for_each(|w| *w *= factor);
        }
        Ok(())
    }

    /// Writes the mean of a class with samples.
    fn mean(&self, class: usize, mean: &mut [f32]) {
        let unit = UNIT * self.counts[class] as f64;
        for (mean, sum) in mean.iter_mut().zip(&self.sums[class * self.feature_dim..]) {
            *mean = (*sum as f64 / unit) as f32;
        }
    }

    fn check_sample(&self, features: &[f32], label: u16) -> Result<usize, FitError> {
        check_length("features", features.len(), self.feature_dim)?;
        if label as usize >= self.n_classes {
            return Err(FitError::Label { sample: 0, label });
        }
        if !features.iter().all(|x| x.is_finite()) {
            return Err(FitError::NotFinite { sample: 0 });
        }
        self.check_range(features, 0)?;
        Ok(label as usize)
    }

    fn check_range(&self, features: &[f32], sample: usize) -> Result<(), FitError> {
        let length = self.mode.length(features);
        let fits = |(i, x): (usize, &f32)| self.mode.scaled(*x, i, length).abs() <= FEATURE_LIMIT;
        if features.iter().enumerate().all(fits) {
            return Ok(());
        }
        Err(FitError::OutOfRange { sample, limit: FEATURE_LIMIT })
    }

    /// `sum += times * scaled features`, each feature rounded to a whole number of units first.
    fn accumulate(&mut self, features: &[f32], class: usize, times: i64) {
        let length = self.mode.length(features);
        let sums = &mut self.sums[class * self.feature_dim..][..self.feature_dim];
        for (i, (sum, x)) in sums.iter_mut().zip(features).enumerate() {
            let units = self.mode.scaled(*x, i, length) as f64 * UNIT;
            // The cast truncates: a half away from zero first.
            let whole = (units + if units < 0.0 { -0.5 } else { 0.5 }) as i64;
            *sum = sum.wrapping_add(times * whole);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "prototype_tests.rs"]
mod tests;
