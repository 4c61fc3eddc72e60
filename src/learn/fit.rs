//! Features with labels -> head, with the penalty chosen and the accuracy measured on left-out samples.

use std::time::{Duration, Instant};

use ndarray::ArrayView2;
use topgraft_core::head::{Head, Kind, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::{FitError, FitReport, softmax};

use super::calibration::Calibration;
use super::choice::choose;
use super::evaluation::Evaluation;
use super::heads::{AnyHead, LeftOut, Samples, takes_class_weights};
use super::rejection::Novelty;
use super::scaling::{Scaled, Scaling};

/// What a fit chooses from; in doubt it takes the first of each.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Scalings of the features, one or more.
    pub scalings: &'a [Scaling],
    /// Kinds of heads, one or more.
    pub kinds: &'a [Kind],
    /// `[n_classes]`, positive: how often a sample of a class counts in the fit and in the choices. `None` counts each once.
    /// Softmax and ridge regression take them.
    pub class_weights: Option<&'a [f32]>,
}

/// Class weights `[n_classes]` with which all classes count alike, however many samples they have: `n_samples / (n_classes *
/// samples of the class)`, scikit-learn's `class_weight="balanced"` (King & Zeng 2001, "Logistic regression in rare events
/// data").
///
/// ```
/// assert_eq!(topgraft::learn::balanced(&[0, 0, 0, 1], 2), [2.0 / 3.0, 2.0]);
/// ```
pub fn balanced(labels: &[u16], n_classes: usize) -> Vec<f32> {
    let count = |class: usize| labels.iter().filter(|label| usize::from(**label) == class).count();
    let weight = |class| labels.len() as f64 / (n_classes as f64 * count(class) as f64);
    (0..n_classes).map(|class| weight(class) as f32).collect()
}

impl Default for Settings<'_> {
    /// Features of length 1 and every linear kind, in doubt softmax regression: a head of nearest neighbours, which grows with
    /// the samples, is made only where it is asked for. With a few samples a choice among the scalings costs
    /// accuracy (docs/accuracy.md).
    fn default() -> Self {
        Self { scalings: &[Scaling::L2], kinds: &Kind::LINEAR, class_weights: None }
    }
}

/// A fitted head, and how it was come by.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The head.
    pub head: AnyHead,
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
    /// `[n_classes]`: how often a sample of a class counted; `None`: once.
    pub class_weights: Option<Vec<f32>>,
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
    #[error("class {class} has {samples} sample{}, at least 2 are needed", if *samples == 1 { "" } else { "s" })]
    ClassTooSmall {
        /// The class.
        class: usize,
        /// Its samples.
        samples: usize,
    },
    /// A class weight that is not positive and finite, that is missing (0), or that is of no class (NaN).
    #[error("class {class} has weight {weight}: it must be positive and finite")]
    ClassWeight {
        /// The class.
        class: usize,
        /// Its weight.
        weight: f32,
    },
    /// A kind of head that cannot be fitted with class weights.
    #[error("{} heads take no class weights, only softmax and ridge do", kind.name())]
    NoClassWeights {
        /// The kind.
        kind: Kind,
    },
}

/// Fits a head to `features [n_samples, feature_dim]` as the trunk gives them, and measures it.
///
/// Of all [linear kinds](Kind::LINEAR) of heads it is softmax regression, unless another one has a left-out log-loss that is clearly
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
    let sample_weights =
        settings.class_weights.map(|weights| sample_weights(weights, labels, n_classes, settings.kinds));
    let sample_weights = sample_weights.transpose()?;
    let start = Instant::now();
    let (scaling, left_out) = choose(features, labels, sample_weights.as_deref(), n_classes, settings)?;
    let left_out_time = start.elapsed();

    let Scaled { rows, scaler, unit, .. } = &Scaled::new(features, scaling);
    let start = Instant::now();
    let weights = sample_weights.as_deref();
    let samples = Samples { rows, labels, weights, n_classes, feature_dim, unit: *unit };
    let (head, report) = samples.fit(left_out.kind, left_out.setting)?;
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
        class_weights: settings.class_weights.map(<[f32]>::to_vec),
        evaluation,
        calibration,
        novelty,
    })
}

/// The head that `fitted` has chosen, fitted anew to further views of its samples too, `views [n_samples * m, feature_dim]`, of
/// which the first `m` are of the first sample ... All views of a sample together count as much as it did alone. What was
/// measured on left-out samples stays: it is of heads that were fitted without views.
///
/// # Errors
/// [`LearnError`].
///
/// # Panics
/// If `features` are others than those that were fitted, or there are not `m` views of each.
pub fn refit(
    fitted: Fitted,
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    views: ArrayView2<'_, f32>,
) -> Result<Fitted, LearnError> {
    let (n_samples, feature_dim) = features.dim();
    assert!(n_samples == labels.len() && views.nrows().is_multiple_of(n_samples), "as many views of each sample");
    let per_sample = views.nrows() / n_samples;
    let kind = fitted.left_out.kind;
    // The neighbours of a photo would be its own views.
    if per_sample == 0 || kind == Kind::Nearest {
        return Ok(fitted);
    }
    let kernels = Kernels::detect();
    let mut rows: Vec<f32> = features.iter().chain(views).copied().collect();
    rows.chunks_exact_mut(feature_dim).for_each(|row| fitted.scaler.apply(kernels, row));
    let of_views = labels.iter().flat_map(|label| std::iter::repeat_n(*label, per_sample));
    let labels: Vec<u16> = labels.iter().copied().chain(of_views).collect();
    let n_classes = fitted.evaluation.n_classes();
    // The other kinds go by means and scatter, which do not change with the number of samples.
    let weights = takes_class_weights(kind).then(|| {
        let weight = |label: &u16| fitted.class_weights.as_ref().map_or(1.0, |weights| weights[usize::from(*label)]);
        labels.iter().map(|label| weight(label) / (1 + per_sample) as f32).collect::<Vec<_>>()
    });
    let unit = fitted.unit;
    let samples = Samples { rows: &rows, labels: &labels, weights: weights.as_deref(), n_classes, feature_dim, unit };
    let start = Instant::now();
    let (head, report) = samples.fit(kind, fitted.left_out.setting)?;
    Ok(Fitted { head, report, fit_time: start.elapsed(), ..fitted })
}

/// Weight of each sample, `[n_samples]`, from those of the classes.
fn sample_weights(weights: &[f32], labels: &[u16], n_classes: usize, kinds: &[Kind]) -> Result<Vec<f32>, LearnError> {
    for class in 0..n_classes.max(weights.len()) {
        let weight = if class < n_classes { weights.get(class).copied().unwrap_or(0.0) } else { f32::NAN };
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(LearnError::ClassWeight { class, weight });
        }
    }
    match kinds.iter().find(|kind| !takes_class_weights(**kind)) {
        Some(kind) => Err(LearnError::NoClassWeights { kind: *kind }),
        // A label beyond the classes is an error of the fit.
        None => Ok(labels.iter().map(|label| weights.get(usize::from(*label)).copied().unwrap_or(1.0)).collect()),
    }
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
        assert_eq!(refused(&[0, 0, 1], 2), "class 1 has 1 sample, at least 2 are needed");
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

    #[test]
    fn class_weights_that_mean_nothing_are_refused() {
        let features = array![[9.0, 1.0], [8.0, 2.0], [1.0, 8.0], [2.0, 9.0]];
        let refused = |weights: &[f32], kinds: &[Kind]| {
            let settings = Settings { kinds, class_weights: Some(weights), ..Settings::default() };
            fit_with(features.view(), &[0, 0, 1, 1], 2, &settings).expect_err("means nothing").to_string()
        };
        let softmax = &[Kind::Softmax];
        assert_eq!(refused(&[1.0, -1.0], softmax), "class 1 has weight -1: it must be positive and finite");
        assert_eq!(refused(&[f32::NAN, 1.0], softmax), "class 0 has weight NaN: it must be positive and finite");
        assert_eq!(refused(&[1.0], softmax), "class 1 has weight 0: it must be positive and finite");
        assert!(refused(&[1.0; 3], softmax).starts_with("class 2 has weight"));
        let no = refused(&[1.0, 2.0], &[Kind::Ridge, Kind::Lda]);
        assert_eq!(no, "lda heads take no class weights, only softmax and ridge do");
    }

    /// Two noisy classes, the first `many` times as frequent.
    fn imbalanced(rare: usize, many: usize) -> (ndarray::Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..rare * (many + 1)).map(|i| u16::from(i % (many + 1) == 0)).collect();
        let mut state = 9u32;
        let features = ndarray::Array2::from_shape_fn((labels.len(), 4), |(i, j)| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            noise + if j == 0 && labels[i] == 1 { 0.4 } else { 0.0 }
        });
        (features, labels)
    }

    #[test]
    fn balanced_weights_find_more_of_a_rare_class() {
        let (features, labels) = imbalanced(20, 20);
        let weights = balanced(&labels, 2);
        for kind in [Kind::Softmax, Kind::Ridge] {
            let recall = |class_weights| {
                let settings = Settings { scalings: &[Scaling::None], kinds: &[kind], class_weights };
                let fitted = fit_with(features.view(), &labels, 2, &settings).expect("fits");
                fitted.evaluation.per_class()[1].recall.expect("has samples")
            };
            let [without, with] = [recall(None), recall(Some(&weights))];
            assert!(with >= without + 0.3, "{kind:?}: {without} {with}");
        }
    }

    /// A sample of weight 3 is three samples: with balanced weights, the objective is that of so many copies as make the
    /// classes equal, in another unit.
    #[test]
    fn balanced_weights_are_copies_of_the_samples() {
        let (features, labels) = imbalanced(5, 3);
        let (n, weights) = (labels.len(), balanced(&labels, 2));
        let rows = features.as_slice().expect("standard layout");
        let weights: Vec<f32> = labels.iter().map(|label| weights[usize::from(*label)]).collect();
        let copies: Vec<usize> = (0..n).flat_map(|i| vec![i; if labels[i] == 1 { 3 } else { 1 }]).collect();
        let copied: Vec<f32> = copies.iter().flat_map(|i| rows[4 * i..4 * i + 4].to_vec()).collect();
        let copied_labels: Vec<u16> = copies.iter().map(|i| labels[*i]).collect();
        let weighted =
            Samples { rows, labels: &labels, weights: Some(&weights), n_classes: 2, feature_dim: 4, unit: 1.0 };
        let copied = Samples { rows: &copied, labels: &copied_labels, weights: None, ..weighted };
        for kind in [Kind::Softmax, Kind::Ridge] {
            let (a, _) = weighted.fit(kind, 0.1).expect("fits");
            let (b, _) = copied.fit(kind, 0.1 / weights[1]).expect("fits");
            let [a, b] = [&a, &b].map(|head| head.linear().expect("linear").parameters());
            let pairs = a.iter().zip(b);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 2e-3 * (1.0 + b.abs()), "{kind:?}: {a} {b}"));
        }
    }
}
