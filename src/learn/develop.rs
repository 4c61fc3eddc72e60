//! A source task -> a neck: trained by backpropagation, and measured beside what is simpler.

use std::time::{Duration, Instant};

use ndarray::{ArrayView2, Axis};
use topgraft_core::format;
use topgraft_core::head::{Kind, argmax, parameter_count};
use topgraft_core::kernel::Kernels;
use topgraft_core::neck::Neck as Layer;
use topgraft_core::random::SplitMix64;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::backprop::{self, Epoch, TrainError, Training};
use topgraft_core::solver::{FitError, TrainingSet};

use super::cross_validation::{L2_GRID, log_loss};
use super::evaluation::Evaluation;
use super::fit::{LearnError, Settings, fit_with, zero_head};
use super::heads::{AnyHead, Samples};
use super::model::{Model, PRODUCER};
use super::scaling::Scaling;
use crate::trunk::{Neck, Trunk};

/// A difference that chance makes so seldom is taken for one.
const SIGNIFICANT: f64 = 0.05;

/// How to develop a neck.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeckSettings {
    /// Units of the hidden layer, at least 1.
    pub hidden_dim: usize,
    /// Scaling of the trunk's features before it.
    pub scaling: Scaling,
    /// The training.
    pub training: backprop::Settings,
    /// Share of each class's samples that tell when to stop, above 0.
    pub validation: f64,
    /// Share of each class's samples that are held out, to measure with, above 0; both together below 1.
    pub test: f64,
    /// Seed of the split, the start and all else that is random.
    pub seed: u64,
}

impl NeckSettings {
    /// Whether [`develop`] would refuse them for any samples: to be asked before the work.
    ///
    /// # Errors
    /// [`DevelopError::Shares`], [`DevelopError::Train`].
    pub fn check(&self) -> Result<(), DevelopError> {
        let Self { validation, test, .. } = *self;
        if !(validation > 0.0 && test > 0.0 && validation + test < 1.0) {
            return Err(DevelopError::Shares { validation, test });
        }
        Ok(self.training.check().map_err(TrainError::Fit)?)
    }
}

impl Default for NeckSettings {
    /// 256 units; a fifth of the samples to validate, another to test.
    fn default() -> Self {
        let training = backprop::Settings::default();
        Self { hidden_dim: 256, scaling: Scaling::Standard, training, validation: 0.2, test: 0.2, seed: 0 }
    }
}

/// What a neck is worth beside what is simpler, on the samples that were held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It beats the naive model and the linear head, by more than chance would.
    Helps,
    /// It is above the linear head or below, but chance explains that.
    NoGain,
    /// The linear head beats it, by more than chance would.
    Hurts,
    /// Chance explains that it is above the naive model, if it is: there was nothing to learn, or it was not learned.
    NothingLearned,
}

impl Verdict {
    /// Lower-case name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helps => "helps",
            Self::NoGain => "no-gain",
            Self::Hurts => "hurts",
            Self::NothingLearned => "nothing-learned",
        }
    }
}

/// The neck beside what is simpler, all on the same samples, which none has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Always the most frequent class of the training samples.
    pub naive: Evaluation,
    /// The softmax head of `learn` on the trunk's features, taught with the training and the validation samples.
    pub linear: Evaluation,
    /// The head of the neck's file.
    pub with_neck: Evaluation,
    /// How often chance alone would part naive model and neck, and linear head and neck, as far: the exact test of McNemar
    /// (1947, "Note on the sampling error of the difference between correlated proportions or percentages"), two-sided.
    pub p_values: [f64; 2],
}

/// A neck with the head of its source task.
#[derive(Clone, Debug)]
pub struct Developed {
    /// The neck.
    pub neck: Neck,
    /// Softmax head on what it gives, scaled to length 1, of the source task's classes.
    pub head: AnyHead,
    /// L2 penalty of that head, the one that did best on the validation samples.
    pub l2: f32,
    /// Class that the naive model always says.
    pub majority: u16,
    /// Samples to train, to validate and to test with.
    pub split: [usize; 3],
    /// How the training went.
    pub training: Training,
    /// Time of the training alone.
    pub training_time: Duration,
    /// What came of it.
    pub comparison: Comparison,
}

/// Why no neck was developed.
#[derive(Debug, thiserror::Error)]
pub enum DevelopError {
    /// Rows and labels differ in number.
    #[error("{rows} rows of features, but {labels} labels")]
    Length {
        /// Rows of features.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// A class that cannot be split.
    #[error("class {class} has {samples} sample{}, at least {} are needed", if *samples == 1 { "" } else { "s" }, Developed::LEAST_SAMPLES)]
    ClassTooSmall {
        /// The class.
        class: usize,
        /// Its samples.
        samples: usize,
    },
    /// Shares that leave nothing to train with, or hold nothing back.
    #[error("{validation} of the samples to validate and {test} to test: both must be above 0, and their sum below 1")]
    Shares {
        /// Share to validate.
        validation: f64,
        /// Share to test.
        test: f64,
    },
    /// A hidden layer of no units, or of more than memory can hold.
    #[error(
        "a hidden layer of {hidden_dim} units on {feature_dim} features does not fit: give at least 1 unit, and fewer than memory holds"
    )]
    Size {
        /// Units.
        hidden_dim: usize,
        /// Features.
        feature_dim: usize,
    },
    /// The training failed.
    #[error("the neck cannot be trained: {0}")]
    Train(#[from] TrainError),
    /// The linear head beside it failed.
    #[error(transparent)]
    Linear(#[from] LearnError),
    /// The head on it failed.
    #[error("the head on the neck cannot be fitted: {0}")]
    Head(#[from] FitError),
}

impl Comparison {
    /// What this comes to.
    pub fn verdict(&self) -> Verdict {
        let above = |other: &Evaluation| self.with_neck.correct() > other.correct();
        let [naive, linear] = self.p_values.map(|p| p < SIGNIFICANT);
        match (above(&self.naive) && naive, linear, above(&self.linear)) {
            (false, ..) => Verdict::NothingLearned,
            (true, true, true) => Verdict::Helps,
            (true, true, false) => Verdict::Hurts,
            (true, false, _) => Verdict::NoGain,
        }
    }

    /// Accuracy of the neck less that of the linear head, -1..=1.
    pub fn gain(&self) -> f64 {
        self.with_neck.accuracy() - self.linear.accuracy()
    }
}

impl Developed {
    /// The fewest samples of a class: two to train, one to validate, one to test.
    pub const LEAST_SAMPLES: usize = 4;

    /// The neck and its head as a file has them: a head file whose trunk is `trunk` with the neck. `labels` are the classes of the
    /// source task.
    pub fn model(&self, trunk: &Trunk, labels: Vec<String>) -> Model {
        let Comparison { naive, with_neck, .. } = &self.comparison;
        Model {
            fingerprint: self.neck.fingerprint(),
            neck: Some(self.neck.clone()),
            recipe: None,
            names: None,
            backbone: trunk.backbone_name().to_owned(),
            cut: trunk.cut().to_owned(),
            preprocess: *trunk.preprocess(),
            labels,
            scaler: Scaler::L2,
            head: self.head.clone(),
            l2: self.l2,
            kind: Kind::Softmax,
            evaluation: Some(format::Evaluation {
                folds: 1,
                n_samples: with_neck.n_samples(),
                correct: with_neck.correct(),
                majority: naive.correct(),
            }),
            calibration: None,
            rejection: None,
            producer: PRODUCER.to_owned(),
        }
    }
}

/// Develops a neck for `trunk` from its `features [n_samples, feature_dim]` of a source task, at least
/// [`LEAST_SAMPLES`](Developed::LEAST_SAMPLES) of each class. The same samples, settings and seed give the same bits on every CPU.
///
/// Each class is split at random. The training samples train the hidden layer, with a softmax head that is dropped again; the
/// validation samples say when to stop, and which penalty suits the head that is then fitted to its optimum on what the frozen
/// layer gives of both; the held-out ones only measure. `done` is called after each epoch.
///
/// # Errors
/// [`DevelopError`].
///
/// ```
/// use topgraft::learn::{NeckSettings, Verdict, develop};
/// use topgraft::topgraft_core::solver::backprop;
/// use topgraft::trunk::Trunk;
///
/// // The class is whether two numbers have the same sign.
/// let row = |i: usize| [(i * 37 % 100) as f32 - 49.5, (i * 59 % 97) as f32 - 48.5];
/// let features = ndarray::Array2::from_shape_fn((400, 2), |(i, j)| row(i)[j]);
/// let labels: Vec<u16> = (0..400).map(|i| u16::from(row(i)[0] * row(i)[1] > 0.0)).collect();
/// let training = backprop::Settings { learning_rate: 0.01, dropout: 0.1, ..Default::default() };
/// let settings = NeckSettings { hidden_dim: 32, training, ..Default::default() };
/// let developed = develop(&Trunk::rows(2), features.view(), &labels, 2, &settings, |_| ())?;
/// assert_eq!(developed.comparison.verdict(), Verdict::Helps);
/// # Ok::<(), topgraft::learn::DevelopError>(())
/// ```
pub fn develop(
    trunk: &Trunk,
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    n_classes: usize,
    settings: &NeckSettings,
    done: impl FnMut(&Epoch),
) -> Result<Developed, DevelopError> {
    let (n_samples, feature_dim) = features.dim();
    if n_samples != labels.len() {
        return Err(DevelopError::Length { rows: n_samples, labels: labels.len() });
    }
    settings.check()?;
    let NeckSettings { hidden_dim, scaling, ref training, validation, test, seed } = *settings;
    let mut random = SplitMix64(seed);
    let [train, validation, test] = split(labels, n_classes, [validation, test], &mut random)?;
    let size = || DevelopError::Size { hidden_dim, feature_dim };
    let count = parameter_count(hidden_dim, feature_dim).filter(|_| hidden_dim > 0).ok_or_else(size)?;
    let scratch_len = backprop::scratch_len(n_classes, hidden_dim, feature_dim).ok_or_else(size)?;

    let kernels = Kernels::detect();
    let select = |samples: &[usize]| features.select(Axis(0), samples).into_iter().collect::<Vec<f32>>();
    let scaler = scaling.scaler(&select(&train), feature_dim);
    let scaled = |samples: &[usize]| {
        let mut rows = select(samples);
        rows.chunks_exact_mut(feature_dim.max(1)).for_each(|row| scaler.apply(kernels, row));
        Part { rows, labels: samples.iter().map(|sample| labels[*sample]).collect() }
    };
    let sets = [scaled(&train), scaled(&validation)];
    let mut layer = Layer::new(hidden_dim, feature_dim, vec![0.0; count]).expect("of this length");
    let mut head = zero_head(0, n_classes, hidden_dim).0;
    let (mut order, mut scratch) = (vec![0; train.len()], Vec::new());
    scratch.try_reserve_exact(scratch_len).map_err(|_| size())?;
    scratch.resize(scratch_len, 0.0);
    let start = Instant::now();
    let [a, b] = [sets[0].set(), sets[1].set()];
    let training =
        backprop::fit(kernels, [&a, &b], training, &mut random, &mut layer, &mut head, &mut order, &mut scratch, done)?;
    let training_time = start.elapsed();
    drop((sets, scratch));

    let neck = Neck { trunk: trunk.fingerprint(), scaler, layer };
    let hidden = |samples: &[usize]| {
        let mut rows = neck.apply(kernels, &mut select(samples));
        rows.chunks_exact_mut(hidden_dim).for_each(|row| Scaler::<[f32; 0]>::L2.apply(kernels, row));
        Part { rows, labels: samples.iter().map(|sample| labels[*sample]).collect() }
    };
    let shape = [n_classes, hidden_dim];
    let [trained, validated] = [hidden(&train), hidden(&validation)];
    let mut best: Option<(f64, f32)> = None;
    for l2 in L2_GRID {
        let head = trained.fit(shape, l2)?;
        let loss = validated.log_loss(&head);
        if best.is_none_or(|(least, _)| loss < least) {
            best = Some((loss, l2));
        }
    }
    let (_, l2) = best.expect("penalties to choose from");
    let taught = [train.as_slice(), &validation].concat();
    let head = hidden(&taught).fit(shape, l2)?;

    let truth: Vec<u16> = test.iter().map(|sample| labels[*sample]).collect();
    let majority = most_frequent(&trained.labels, n_classes);
    let naive = vec![majority; truth.len()];
    let linear = linear_predictions(features, labels, n_classes, &taught, &test)?;
    let with_neck = hidden(&test).predictions(&head);
    let evaluation =
        |predictions: &[u16]| Evaluation::new(n_classes, truth.iter().copied().zip(predictions.iter().copied()));
    let comparison = Comparison {
        naive: evaluation(&naive),
        linear: evaluation(&linear),
        with_neck: evaluation(&with_neck),
        p_values: [&naive, &linear].map(|other| mcnemar(&truth, other, &with_neck)),
    };
    let split = [train.len(), validation.len(), test.len()];
    Ok(Developed { neck, head, l2, majority, split, training, training_time, comparison })
}

/// Samples with their labels.
struct Part {
    rows: Vec<f32>,
    labels: Vec<u16>,
}

impl Part {
    fn set(&self) -> TrainingSet<'_> {
        TrainingSet { features: &self.rows, labels: &self.labels, sample_weights: None }
    }

    fn fit(&self, [n_classes, feature_dim]: [usize; 2], l2: f32) -> Result<AnyHead, FitError> {
        let Self { rows, labels } = self;
        Ok(Samples { rows, labels, weights: None, n_classes, feature_dim, unit: 1.0 }.fit(Kind::Softmax, l2)?.0)
    }

    /// `[n_samples, n_classes]`
    fn logits(&self, head: &AnyHead) -> Vec<f32> {
        let (rows, n_classes) = (self.rows.chunks_exact(head.feature_dim()), head.n_classes());
        let mut logits = vec![0.0; self.labels.len() * n_classes];
        rows.zip(logits.chunks_exact_mut(n_classes)).for_each(|(row, z)| head.logits(Kernels::detect(), row, z));
        logits
    }

    fn log_loss(&self, head: &AnyHead) -> f64 {
        let logits = self.logits(head);
        let rows = logits.chunks_exact(head.n_classes()).zip(&self.labels);
        rows.map(|(row, label)| log_loss(row, *label)).sum::<f64>() / self.labels.len() as f64
    }

    fn predictions(&self, head: &AnyHead) -> Vec<u16> {
        let logits = self.logits(head);
        logits.chunks_exact(head.n_classes()).map(|row| argmax(row).unwrap_or(0) as u16).collect()
    }
}

/// What a linear head as `learn` makes it says of the samples `test`, of those of its scalings that suit it best.
fn linear_predictions(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    n_classes: usize,
    taught: &[usize],
    test: &[usize],
) -> Result<Vec<u16>, LearnError> {
    let part: Vec<u16> = taught.iter().map(|sample| labels[*sample]).collect();
    let settings =
        Settings { scalings: &[Scaling::L2, Scaling::Standard], kinds: &[Kind::Softmax], class_weights: None };
    let fitted = fit_with(features.select(Axis(0), taught).view(), &part, n_classes, &settings)?;
    let predict = |sample: &usize| {
        let (mut row, mut logits) = (features.row(*sample).to_vec(), vec![0.0; n_classes]);
        fitted.scaler.apply(Kernels::detect(), &mut row);
        fitted.head.logits(Kernels::detect(), &row, &mut logits);
        argmax(&logits).unwrap_or(0) as u16
    };
    Ok(test.iter().map(predict).collect())
}

/// The class with the most labels, the first of equals.
fn most_frequent(labels: &[u16], n_classes: usize) -> u16 {
    let count = |class: &usize| labels.iter().filter(|label| usize::from(**label) == *class).count();
    (0..n_classes).rev().max_by_key(count).unwrap_or(0) as u16
}

/// Samples to train, to validate and to test, of each class the shares that are asked for, and at least one; each part in the
/// order of the samples.
fn split(
    labels: &[u16],
    n_classes: usize,
    [validation, test]: [f64; 2],
    random: &mut SplitMix64,
) -> Result<[Vec<usize>; 3], DevelopError> {
    let mut parts = [const { Vec::new() }; 3];
    for class in 0..n_classes {
        let mut samples: Vec<usize> = (0..labels.len()).filter(|i| usize::from(labels[*i]) == class).collect();
        let n = samples.len();
        if n < Developed::LEAST_SAMPLES {
            return Err(DevelopError::ClassTooSmall { class, samples: n });
        }
        random.shuffle(&mut samples);
        let share = |share: f64, most: usize| ((share * n as f64).round() as usize).clamp(1, most);
        let test = share(test, n - 3);
        let validation = share(validation, n - test - 2);
        parts[2].extend_from_slice(&samples[..test]);
        parts[1].extend_from_slice(&samples[test..test + validation]);
        parts[0].extend_from_slice(&samples[test + validation..]);
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    Ok(parts)
}

/// How often two equally good models would be right on samples as differently as these or more: the samples on which just one is
/// right are then the tosses of a coin.
fn mcnemar(truth: &[u16], a: &[u16], b: &[u16]) -> f64 {
    let only = |a: &[u16], b: &[u16]| (0..truth.len()).filter(|i| a[*i] == truth[*i] && b[*i] != truth[*i]).count();
    let (a, b) = (only(a, b), only(b, a));
    let n = a + b;
    // ln of the binomial coefficients, from the first on.
    let (mut coefficient, mut sum) = (0.0f64, 0.0);
    for k in 0..=a.min(b) {
        sum += (coefficient - n as f64 * std::f64::consts::LN_2).exp();
        coefficient += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Labels that are the sign of the product of the first two of four features, or nothing of them.
    fn task(n: usize, learnable: bool) -> (Array2<f32>, Vec<u16>) {
        let mut random = SplitMix64(11);
        let features = Array2::from_shape_fn((n, 4), |_| 2.0 * random.unit() - 1.0);
        let product = |i: usize| u16::from(features[[i, 0]] * features[[i, 1]] > 0.0);
        let labels = (0..n).map(|i| if learnable { product(i) } else { u16::from(random.unit() > 0.5) }).collect();
        (features, labels)
    }

    fn settings() -> NeckSettings {
        let training = backprop::Settings { learning_rate: 1e-2, dropout: 0.1, epochs: 60, ..Default::default() };
        NeckSettings { hidden_dim: 32, training, ..Default::default() }
    }

    fn run((features, labels): &(Array2<f32>, Vec<u16>), settings: &NeckSettings) -> Result<Developed, DevelopError> {
        develop(&Trunk::rows(4), features.view(), labels, 2, settings, |_| ())
    }

    #[test]
    fn a_neck_helps_where_lines_do_not_and_says_so_where_it_does_not() {
        let task_with = |learnable| run(&task(500, learnable), &settings()).expect("develops");
        let product = task_with(true);
        assert_eq!(product.comparison.verdict(), Verdict::Helps, "{:?}", product.comparison);
        assert_eq!((product.split, product.comparison.with_neck.n_samples()), ([300, 100, 100], 100));
        assert!(product.comparison.gain() > 0.2 && product.comparison.with_neck.accuracy() > 0.85);
        assert_eq!(task_with(false).comparison.verdict(), Verdict::NothingLearned);

        // What a line parts.
        let (features, _) = task(500, true);
        let labels = features.rows().into_iter().map(|row| u16::from(row[0] + row[2] > 0.1)).collect();
        let linear = run(&(features, labels), &settings()).expect("develops");
        assert_eq!(linear.comparison.verdict(), Verdict::NoGain, "{:?}", linear.comparison);
    }

    #[test]
    fn the_file_is_what_was_measured() {
        let (features, labels) = task(300, true);
        let developed = run(&(features.clone(), labels.clone()), &settings()).expect("develops");
        let model = developed.model(&Trunk::rows(4), vec!["differ".into(), "agree".into()]);
        let model = Model::parse(&model.to_bytes().expect("fits")).expect("sound");
        let trunk = model.raw_trunk().expect("takes rows");
        assert_eq!((trunk.fingerprint(), trunk.feature_dim()), (model.fingerprint, 32));
        // All samples: at least as many are right as of those that were held out.
        let right = |i: &usize| {
            let hidden = trunk.row_features(&features.row(*i).to_vec()).expect("finite");
            model.predict(Kernels::detect(), &hidden).expect("finite").class() == labels[*i]
        };
        assert!((0..300).filter(right).count() as u32 >= developed.comparison.with_neck.correct());
        let evaluation = model.evaluation.expect("measured");
        assert_eq!((evaluation.folds, evaluation.n_samples), (1, 60));
    }

    #[test]
    fn the_seed_decides() {
        let task = task(60, true);
        let bytes = |seed| {
            let settings = NeckSettings { seed, ..settings() };
            let developed = run(&task, &settings).expect("develops");
            developed.model(&Trunk::rows(4), vec!["a".into(), "b".into()]).to_bytes().expect("fits")
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn what_cannot_be_developed_says_why() {
        let (features, labels) = task(40, true);
        let error = |features: &Array2<f32>, labels: &[u16], change: &dyn Fn(&mut NeckSettings)| {
            let mut settings = settings();
            change(&mut settings);
            develop(&Trunk::rows(4), features.view(), labels, 2, &settings, |_| ()).expect_err("bad").to_string()
        };
        assert_eq!(error(&features, &labels[1..], &|_| ()), "40 rows of features, but 39 labels");
        let mut few = vec![0; 40];
        few[3] = 1;
        assert_eq!(error(&features, &few, &|_| ()), "class 1 has 1 sample, at least 4 are needed");
        assert!(error(&features, &labels, &|s| s.validation = 0.9).contains("their sum below 1"));
        assert!(error(&features, &labels, &|s| s.test = f64::NAN).contains("NaN to test"));
        assert!(error(&features, &labels, &|s| s.hidden_dim = 0).contains("at least 1 unit"));
        assert!(error(&features, &labels, &|s| s.hidden_dim = usize::MAX / 64).contains("fewer than memory holds"));
        assert!(error(&features, &labels, &|s| s.training.dropout = 1.0).contains("dropout is 1"));
        let mut nan = features.clone();
        nan[[7, 2]] = f32::NAN;
        assert!(error(&nan, &labels, &|_| ()).contains("NaN"));
    }

    #[test]
    fn each_class_is_split_and_no_sample_is_lost() {
        let labels: Vec<u16> = (0..104).map(|i| if i < 4 { 0 } else { 1 + i % 2 }).collect();
        let parts = split(&labels, 3, [0.2, 0.2], &mut SplitMix64(1)).expect("enough");
        let counts = |part: &Vec<usize>| [0, 1, 2].map(|class| part.iter().filter(|i| labels[**i] == class).count());
        assert_eq!(parts.each_ref().map(counts), [[2, 30, 30], [1, 10, 10], [1, 10, 10]]);
        let mut all = parts.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..104));
    }

    #[test]
    fn mcnemar_counts_the_coins() {
        let p = |a: usize, b: usize| {
            let truth = vec![0; a + b + 5];
            let only = |from: usize, to: usize| -> Vec<u16> {
                (0..truth.len()).map(|i| u16::from(!(from..to).contains(&i) && i < a + b)).collect()
            };
            mcnemar(&truth, &only(0, a), &only(a, a + b))
        };
        // scipy.stats.binomtest(min, n, 0.5).pvalue
        for (a, b, expected) in [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021484375), (0, 5, 0.0625), (30, 12, 0.00791590)] {
            assert!((p(a, b) - expected).abs() < 1e-5, "{a} {b}: {}", p(a, b));
            assert_eq!(p(a, b), p(b, a));
        }
        assert!(p(2000, 2000) > 0.99 && p(2500, 1500) < 1e-50);
    }
}
