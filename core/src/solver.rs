//! Fitting a head to labelled features: the caller owns all memory.

pub mod backprop;
mod band;
mod lbfgs;
pub mod lda;
pub mod moments;
pub mod nearest;
#[cfg(all(test, feature = "std"))]
mod oracle;
pub mod prototype;
pub mod ridge;
pub mod sgd;
pub mod softmax;

/// Labelled features.
#[derive(Clone, Copy, Debug)]
pub struct TrainingSet<'a> {
    /// `[n_samples, feature_dim]` row-major, scaled.
    pub features: &'a [f32],
    /// `[n_samples]`, each below the head's `n_classes`.
    pub labels: &'a [u16],
    /// `[n_samples]`, not negative: how often a sample counts. 0 leaves it out. `None` counts each once.
    pub sample_weights: Option<&'a [f32]>,
}

/// What a fit came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitReport {
    /// Objective at the end.
    pub objective: f64,
    /// Estimate of how far the objective is above its optimum: half of the Newton decrement, or what the last steps gained
    /// if that is more.
    pub gap: f64,
    /// Steps taken.
    pub iterations: u32,
    /// Passes over all samples; those over a part of them, where one comes first, are not counted.
    pub passes: u32,
    /// Whether `gap <= tolerance * objective`. If not, rounding or the limit of iterations stopped it earlier.
    pub converged: bool,
}

impl From<lbfgs::Minimum> for FitReport {
    fn from(minimum: lbfgs::Minimum) -> Self {
        Self {
            objective: minimum.value,
            gap: minimum.gap,
            iterations: minimum.iterations,
            passes: minimum.evaluations,
            converged: minimum.converged,
        }
    }
}

/// Why a fit did not start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FitError {
    /// Fewer than two classes: nothing to tell apart.
    TooFewClasses {
        /// The head's classes.
        n_classes: usize,
    },
    /// A slice whose length does not fit the others.
    Length {
        /// Name of the slice.
        what: &'static str,
        /// Length that would fit; for scratch the least.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A label that is not below `n_classes`.
    Label {
        /// Index of the sample.
        sample: usize,
        /// Its label.
        label: u16,
    },
    /// A class that no sample of positive weight has: its optimal bias would be minus infinity.
    EmptyClass {
        /// The class.
        class: usize,
    },
    /// A feature that is NaN or infinite.
    NotFinite {
        /// Index of the sample.
        sample: usize,
    },
    /// A sample weight that is negative, NaN or infinite; or not whole, where samples are counted.
    SampleWeight {
        /// Index of the sample.
        sample: usize,
    },
    /// An L2 penalty that is not positive and finite. Without one, separable data have no optimum.
    L2 {
        /// The penalty.
        l2: f32,
    },
    /// A feature that is too large for exact sums, or for half precision.
    OutOfRange {
        /// Index of the sample.
        sample: usize,
        /// Largest magnitude that fits.
        limit: f32,
    },
    /// As many samples or classes as there is room for.
    Full {
        /// What there is no room for: `"samples"`, `"classes"`.
        what: &'static str,
        /// How many fit.
        capacity: usize,
    },
    /// Something to be removed, changed or predicted from that is not there.
    Absent {
        /// What is missing: `"sample"`, `"class"`.
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// A class that can't be removed while it has samples.
    ClassInUse {
        /// The class.
        class: usize,
        /// Its samples.
        samples: usize,
    },
    /// A setting outside of its range.
    Setting {
        /// Name of the setting.
        what: &'static str,
        /// Its value.
        got: f32,
        /// The range, in words.
        expected: &'static str,
    },
}

impl core::fmt::Display for FitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooFewClasses { n_classes } => write!(f, "{n_classes} classes: two or more are needed"),
            Self::Length { what, expected, got } => write!(f, "{what} has length {got} instead of {expected}"),
            Self::Label { sample, label } => write!(f, "sample {sample} has label {label}, beyond the classes"),
            Self::EmptyClass { class } => write!(f, "class {class} has no sample: add one or remove the class"),
            Self::NotFinite { sample } => write!(f, "sample {sample} has a feature that is NaN or infinite"),
            Self::SampleWeight { sample } => write!(f, "sample {sample} has a weight that is negative or not finite"),
            Self::L2 { l2 } => write!(f, "the L2 penalty is {l2}: it must be positive and finite"),
            Self::OutOfRange { sample, limit } => write!(f, "sample {sample} has a feature beyond {limit}: scale it"),
            Self::Full { what, capacity } => write!(f, "no room for more {what}: {capacity} fit"),
            Self::Absent { what, index } => write!(f, "there is no {what} {index}"),
            Self::ClassInUse { class, samples } => write!(f, "class {class} has {samples} samples: remove them first"),
            Self::Setting { what, got, expected } => write!(f, "{what} is {got}: it must be {expected}"),
        }
    }
}

impl core::error::Error for FitError {}

impl TrainingSet<'_> {
    /// Weight of a sample.
    fn weight(&self, sample: usize) -> f32 {
        self.sample_weights.map_or(1.0, |weights| weights[sample])
    }

    /// Checks everything that the solvers rely on.
    fn check(&self, n_classes: usize, feature_dim: usize) -> Result<(), FitError> {
        if n_classes < 2 {
            return Err(FitError::TooFewClasses { n_classes });
        }
        self.check_samples(n_classes, feature_dim)?;
        let has_sample =
            |class| (0..self.labels.len()).any(|i| self.labels[i] as usize == class && self.weight(i) > 0.0);
        match (0..n_classes).find(|class| !has_sample(*class)) {
            Some(class) => Err(FitError::EmptyClass { class }),
            None => Ok(()),
        }
    }

    /// Checks lengths, labels, weights and features; a class may be empty.
    fn check_samples(&self, n_classes: usize, feature_dim: usize) -> Result<(), FitError> {
        let n = self.labels.len();
        check_length("features", self.features.len(), n.saturating_mul(feature_dim))?;
        check_length("sample_weights", self.sample_weights.map_or(n, <[f32]>::len), n)?;
        for sample in 0..n {
            if !(self.weight(sample) >= 0.0 && self.weight(sample) < f32::INFINITY) {
                return Err(FitError::SampleWeight { sample });
            }
            if self.labels[sample] as usize >= n_classes {
                return Err(FitError::Label { sample, label: self.labels[sample] });
            }
            if !self.row(sample, feature_dim).iter().all(|x| x.is_finite()) {
                return Err(FitError::NotFinite { sample });
            }
        }
        Ok(())
    }

    /// An error for a weight other than 0 and 1, for solvers that a sample is either in or not.
    fn check_weights_are_zero_or_one(&self) -> Result<(), FitError> {
        match (0..self.labels.len()).find(|sample| self.weight(*sample) != 0.0 && self.weight(*sample) != 1.0) {
            Some(sample) => Err(FitError::SampleWeight { sample }),
            None => Ok(()),
        }
    }

    /// Samples of positive weight.
    fn used(&self) -> impl Iterator<Item = usize> {
        (0..self.labels.len()).filter(|sample| self.weight(*sample) > 0.0)
    }

    /// Features of a sample, `[feature_dim]`.
    fn row(&self, sample: usize, feature_dim: usize) -> &[f32] {
        &self.features[sample * feature_dim..][..feature_dim]
    }
}

/// An error unless a slice is as long as expected.
fn check_length(what: &'static str, got: usize, expected: usize) -> Result<(), FitError> {
    if got == expected { Ok(()) } else { Err(FitError::Length { what, expected, got }) }
}

/// Sum of lengths; `None` where one overflows, or they together.
const fn total_len(parts: &[Option<usize>]) -> Option<usize> {
    let (mut i, mut sum) = (0, 0usize);
    while i < parts.len() {
        let Some(part) = parts[i] else { return None };
        let Some(more) = sum.checked_add(part) else { return None };
        (i, sum) = (i + 1, more);
    }
    Some(sum)
}

/// The smaller of two lengths, where `Ord` is not yet const.
const fn smaller(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// Square root of an f64 that may be beyond f32, where its root is not.
fn root(square: f64) -> f32 {
    let (square, unit) = if square > 1e30 { (square * 1e-40, 1e20) } else { (square, 1.0) };
    crate::math::sqrt(square as f32) * unit
}
