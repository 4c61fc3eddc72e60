//! Features with labels -> head, with the penalty chosen and the accuracy measured on left-out samples.

use std::time::{Duration, Instant};

use ndarray::ArrayView2;
use topgraft_core::head::{Head, Kind, parameter_count};
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::{FitError, FitReport, softmax};

use super::calibration::Calibration;
use super::choice::choose;
use super::evaluation::Evaluation;
use super::heads::{LeftOut, Samples};
use super::rejection::Novelty;
use super::scaling::{Scaled, Scaling};

/// What a fit chooses from; in doubt it takes the first of each.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Scalings of the features, one or more.
    pub scalings: &'a [Scaling],
    /// Kinds of heads, one or more.
    pub kinds: &'a [Kind],
}

impl Default for Settings<'_> {
    /// Features of length 1 and every kind, in doubt softmax regression. With a few samples a choice among the scalings costs
    /// accuracy (docs/accuracy.md).
    fn default() -> Self {
        Self { scalings: &[Scaling::L2], kinds: &Kind::ALL }
    }
}

/// A fitted head, and how it was come by.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The head.
    pub head: Head<Vec<f32>>,
    /// Scaling that goes before it,
    pub scaling: Scaling,
    /// and the scaler that this calls for.
    pub scaler: Scaler<Vec<f32>>,
    /// Report of the final fit, of softmax regression; the other kinds have a closed form.
    pub report: Option<FitReport>,
    /// Time of the final fit alone.
    pub fit_time: Duration,
    /// Kind of the head, what was chosen with it, and what such heads say of left-out samples.
    pub left_out: LeftOut,
    /// Mean squared length of the scaled features: the unit of penalties.
    pub unit: f32,
    /// Time of the choice.
    pub left_out_time: Duration,
    /// Left-out accuracy.
    pub evaluation: Evaluation,
    /// Temperature of the probabilities, from the left-out logits.
    pub calibration: Calibration,
    /// How much the left-out samples look like their classes: what makes a sample unknown.
    pub novelty: Novelty,
}

/// Why nothing could be learned.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// The features or labels are not fit for it.
    #[error("the head cannot be fitted: {0}")]
    Fit(#[from] FitError),
    /// Rows and labels differ in number.
    #[error("{rows} rows of features, but {labels} labels")]
    Length {
        /// Rows of features.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// A class from which no sample can be left out.
    #[error("class {class} has {samples} sample(s), at least 2 are needed")]
    ClassTooSmall {
        /// The class.
        class: usize,
        /// Its samples.
        samples: usize,
    },
}

/// Fits a head to `features [n_samples, feature_dim]` as the trunk gives them, and measures it.
///
/// Of all [kinds](Kind::ALL) of heads it is softmax regression, unless another one has a left-out log-loss that is clearly
/// lower, by more than its standard error; its penalty is the one of least left-out log-loss.
///
/// # Errors
/// [`LearnError`], e.g. fewer than two samples of a class.
///
/// ```
/// use topgraft::learn::{Scaling, fit};
/// let features = ndarray::array![[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]];
/// let fitted = fit(features.view(), &[0, 0, 1, 1], 2, Scaling::L2)?;
/// assert_eq!(fitted.evaluation.accuracy(), 1.0);
/// # Ok::<(), topgraft::learn::LearnError>(())
/// ```
pub fn fit(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    n_classes: usize,
    scaling: Scaling,
) -> Result<Fitted, LearnError> {
    fit_with(features, labels, n_classes, &Settings { scalings: &[scaling], ..Settings::default() })
}

/// [`fit`], with the scaling and the kind of head that suit the samples best, out of those that `settings` allow. The scaling
/// is chosen with the first kind, the kind then with that scaling.
///
/// # Errors
/// As [`fit`].
///
/// # Panics
/// If there is no scaling or no kind to choose from.
pub fn fit_with(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    n_classes: usize,
    settings: &Settings<'_>,
) -> Result<Fitted, LearnError> {
    let (n_samples, feature_dim) = features.dim();
    if n_samples != labels.len() {
        return Err(LearnError::Length { rows: n_samples, labels: labels.len() });
    }
    for class in 0..n_classes {
        let samples = labels.iter().filter(|label| usize::from(**label) == class).count();
        if samples < 2 {
            return Err(LearnError::ClassTooSmall { class, samples });
        }
    }
    let start = Instant::now();
    let (scaling, left_out) = choose(features, labels, n_classes, settings.scalings, settings.kinds)?;
    let left_out_time = start.elapsed();

    let Scaled { rows, scaler, unit, .. } = &Scaled::new(features, scaling);
    let start = Instant::now();
    let samples = Samples { rows, labels, n_classes, feature_dim, unit: *unit };
    let (head, report) = samples.fit(left_out.kind, left_out.setting, None)?;
    let fit_time = start.elapsed();

    let pairs = labels.iter().copied().zip(left_out.predictions.iter().copied());
    let evaluation = Evaluation::new(n_classes, pairs);
    let calibration = Calibration::fit(&left_out.logits, labels, n_classes);
    let temperature = calibration.temperature;
    let novelty = Novelty::fit(rows, feature_dim, labels, n_classes, &left_out.logits, temperature);
    Ok(Fitted {
        head,
        scaling,
        scaler: scaler.clone(),
        report,
        fit_time,
        left_out,
        left_out_time,
        unit: *unit,
        evaluation,
        calibration,
        novelty,
    })
}

/// A head of zeros, and the scratch to fit it.
///
/// # Panics
/// If it is larger than memory: the features of such a head would have been too.
pub(super) fn zero_head(n_samples: usize, n_classes: usize, feature_dim: usize) -> (Head<Vec<f32>>, Vec<f32>) {
    let count = parameter_count(n_classes, feature_dim).expect("fits memory");
    let head = Head::new(n_classes, feature_dim, vec![0.0; count]).expect("of that length");
    (head, vec![0.0; softmax::scratch_len(n_samples, n_classes, feature_dim).expect("fits memory")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn input_that_does_not_fit_is_refused() {
        let features = array![[1.0], [2.0], [3.0]];
        let refused = |labels: &[u16], n_classes| {
            fit(features.view(), labels, n_classes, Scaling::None).expect_err("does not fit").to_string()
        };
        assert_eq!(refused(&[0, 1], 2), "3 rows of features, but 2 labels");
        assert_eq!(refused(&[0, 0, 1], 2), "class 1 has 1 sample(s), at least 2 are needed");
        assert_eq!(refused(&[0, 0, 0], 1), "the head cannot be fitted: 1 classes: two or more are needed");
        let nan = array![[1.0], [f32::NAN], [0.0], [1.0]];
        let error = fit(nan.view(), &[0, 0, 1, 1], 2, Scaling::None).expect_err("not finite");
        assert!(matches!(error, LearnError::Fit(FitError::NotFinite { sample: 1 })));
    }

    #[test]
    fn every_scaling_separates_what_is_separable() {
        let features = array![[9.0, 1.0], [8.0, 2.0], [7.0, 1.5], [1.0, 8.0], [2.0, 9.0], [1.5, 7.0]];
        for scaling in Scaling::ALL {
            let fitted = fit(features.view(), &[0, 0, 0, 1, 1, 1], 2, scaling).expect("fits");
            assert_eq!(fitted.evaluation.correct(), 6, "{scaling:?}");
            assert!(fitted.report.is_none_or(|report| report.converged));
        }
    }
}
