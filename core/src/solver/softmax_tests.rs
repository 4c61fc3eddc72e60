//! Against scikit-learn's optimum, against a second evaluation in f64, and against wrong input.

use super::*;
use crate::solver::oracle::{Oracle, data, noise};
use std::vec;
use std::vec::Vec;

impl Oracle {
    pub(super) fn fit(&self, kernels: Kernels, l2: f32) -> (Head<Vec<f32>>, FitReport) {
        fit_from_nothing(kernels, &self.set(), self.n_classes, self.feature_dim, l2).expect("fits")
    }

    /// The objective, all in f64, by code that shares nothing with the solver's.
    pub(super) fn objective(&self, head: &Head<Vec<f32>>, l2: f64) -> f64 {
        self.weighted_objective(head, l2, &vec![1.0; self.train_labels.len()])
    }

    /// The same, each sample counted so often.
    fn weighted_objective(&self, head: &Head<Vec<f32>>, l2: f64, sample_weights: &[f32]) -> f64 {
        let penalty = 0.5 * l2 * head.weights().iter().map(|w| (*w as f64).powi(2)).sum::<f64>();
        let nll = |((row, label), weight): ((&[f32], &u16), &f32)| {
            let logit = |k: usize| {
                let weights = &head.weights()[k * self.feature_dim..][..self.feature_dim];
                head.bias()[k] as f64 + row.iter().zip(weights).map(|(x, w)| *x as f64 * *w as f64).sum::<f64>()
            };
            let own = logit(*label as usize);
            f64::from(*weight) * (0..self.n_classes).map(|k| (logit(k) - own).exp()).sum::<f64>().ln()
        };
        penalty + self.train.chunks(self.feature_dim).zip(&self.train_labels).zip(sample_weights).map(nll).sum::<f64>()
    }
}

fn fit_from_nothing(
    kernels: Kernels,
    set: &TrainingSet<'_>,
    n_classes: usize,
    feature_dim: usize,
    l2: f32,
) -> Result<(Head<Vec<f32>>, FitReport), FitError> {
    let parameters = vec![0.0; parameter_count(n_classes, feature_dim).expect("small")];
    let mut head = Head::new(n_classes, feature_dim, parameters).expect("shape");
    let mut scratch = vec![f32::NAN; scratch_len(set.labels.len(), n_classes, feature_dim).expect("small")];
    let report = fit(kernels, set, &Settings::new(l2), &mut head, &mut scratch)?;
    Ok((head, report))
}

/// scikit-learn 1.9.1, `LogisticRegression(C=1, tol=1e-10)`: objective, |W| and right test rows.
#[track_caller]
fn assert_matches_scikit_learn(oracle: &Oracle, l2: f32, objective: f64, norm: Option<f64>, correct: Option<usize>) {
    let (head, report) = oracle.fit(Kernels::detect(), l2);
    let exact = oracle.objective(&head, l2 as f64);
    assert!(report.converged, "{report:?}");
    assert!((exact - objective).abs() <= 1e-6 * objective, "objective {exact} instead of {objective}: {report:?}");
    assert!((report.objective - exact).abs() <= 1e-6 * exact, "reports {}, is {exact}", report.objective);
    if let Some(norm) = norm {
        let got = head.weights().iter().map(|w| (*w as f64).powi(2)).sum::<f64>().sqrt();
        assert!((got - norm).abs() <= 1e-3 * norm, "|W| {got} instead of {norm}");
    }
    if let Some(correct) = correct {
        assert_eq!(oracle.correct(&head), correct);
    }
}

#[test]
fn iris_has_the_optimum_of_scikit_learn() {
    assert_matches_scikit_learn(&data!("iris"), 1.0, 27.333640, Some(4.54339), Some(28));
}

#[test]
fn wine_has_the_optimum_of_scikit_learn() {
    assert_matches_scikit_learn(&data!("wine"), 1.0, 10.570146, Some(3.40005), Some(34));
}

#[test]
fn breast_cancer_has_the_optimum_of_scikit_learn() {
    // Two classes: two rows of weights here, one sigmoid vector there, hence l2 = 2 / C. The second value is the
    // two-row optimum at l2 = 1.
    assert_matches_scikit_learn(&data!("breast_cancer"), 2.0, 34.132818, None, Some(113));
    assert_matches_scikit_learn(&data!("breast_cancer"), 1.0, 30.214742, None, None);
}

#[test]
fn digits_has_the_optimum_of_scikit_learn() {
    assert_matches_scikit_learn(&data!("digits"), 1.0, 97.298606, Some(10.43393), Some(346));
}

#[test]
fn few_shots_get_the_counts_of_scikit_learn() {
    for (shots, right) in [(1, 482), (2, 631), (4, 634), (8, 638), (16, 668), (32, 705)] {
        let oracle = Oracle::few_digits(shots);
        assert_eq!(oracle.correct(&oracle.fit(Kernels::detect(), 1.0).0), right, "{shots} shots");
    }
}

#[test]
fn a_fit_has_the_same_bits_on_every_instruction_set() {
    let oracle = data!("wine");
    let (features, labels) = few_samples(60);
    let few = TrainingSet { features: &features, labels: &labels, sample_weights: None };
    let scalar = Kernels::new(crate::kernel::Isa::Scalar).expect("always");
    let (expected, expected_report) = oracle.fit(scalar, 0.5);
    let (expected_few, _) = fit_from_nothing(scalar, &few, 3, 200, 0.1).expect("fits");
    for kernels in Kernels::available() {
        let (head, report) = oracle.fit(kernels, 0.5);
        let (head_of_few, _) = fit_from_nothing(kernels, &few, 3, 200, 0.1).expect("fits");
        let bits = |head: &Head<Vec<f32>>| head.parameters().iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&head), bits(&expected), "{kernels:?}");
        assert_eq!(report, expected_report, "{kernels:?}");
        assert_eq!(bits(&head_of_few), bits(&expected_few), "{kernels:?}");
    }
}

/// The bits of one fit, written down: they may not change from machine to machine.
#[test]
fn a_fit_has_the_bits_that_were_written_down() {
    let (features, labels) = few_samples(60);
    let few = TrainingSet { features: &features, labels: &labels, sample_weights: None };
    let (few, _) = fit_from_nothing(Kernels::detect(), &few, 3, 200, 0.1).expect("fits");
    let (head, _) = data!("iris").fit(Kernels::detect(), 1.0);
    let fold = |hash: u64, p: &f32| (hash ^ p.to_bits() as u64).wrapping_mul(0x100_0000_01b3);
    let hash = |head: &Head<Vec<f32>>| head.parameters().iter().fold(0xcbf2_9ce4_8422_2325, fold);
    assert_eq!([hash(&head), hash(&few)].map(|hash| format!("{hash:016x}")), ["06cdf17d325b4d78", "3a4334d5a3a3d5fc"]);
}

/// Samples of three classes in 200 dimensions, so that they are fitted in their span; the same each time.
pub(super) fn few_samples(n: usize) -> (Vec<f32>, Vec<u16>) {
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
    let sample = |label: &u16| -> Vec<f32> {
        (0..200).map(|j| 1.0 + random() + if j % 3 == usize::from(*label) { 0.1 } else { 0.0 }).collect()
    };
    (labels.iter().flat_map(sample).collect(), labels)
}

/// The same samples, many times over: fitted by passes. With as many times the penalty they have the same optimum.
#[test]
fn the_span_and_the_passes_lead_to_the_same_optimum() {
    let (features, labels) = few_samples(60);
    let few = TrainingSet { features: &features, labels: &labels, sample_weights: None };
    let (many_features, many_labels) = (features.repeat(4), labels.repeat(4));
    let many = TrainingSet { features: &many_features, labels: &many_labels, sample_weights: None };
    assert!(is_dual(60, 200) && !is_dual(240, 200));
    for l2 in [10.0, 0.1, 1e-3] {
        let (a, span) = fit_from_nothing(Kernels::detect(), &few, 3, 200, l2).expect("fits");
        let (b, passes) = fit_from_nothing(Kernels::detect(), &many, 3, 200, 4.0 * l2).expect("fits");
        assert!(span.converged && passes.converged, "{span:?} {passes:?}");
        assert!((4.0 * span.objective - passes.objective).abs() < 2e-6 * passes.objective, "{span:?} {passes:?}");
        let most = a.parameters().iter().fold(0.0, |most: f32, p| most.max(p.abs()));
        for (a, b) in a.parameters().iter().zip(b.parameters()) {
            assert!((a - b).abs() < 0.01 * most, "{l2}: {a} {b}");
        }
        // The head has the objective that the report says.
        let oracle = Oracle {
            n_classes: 3,
            feature_dim: 200,
            train: features.clone(),
            train_labels: labels.clone(),
            test: vec![],
            test_labels: vec![],
        };
        let exact = oracle.objective(&a, l2 as f64);
        assert!((exact - span.objective).abs() < 1e-6 * exact, "{exact} {span:?}");
    }
}

/// Features as a network's: not negative, of length 1, `counts` of each class. The same each time.
pub(super) fn samples_of(counts: &[usize], feature_dim: usize) -> Oracle {
    let mut random =
        noise(counts.len() as u64, (counts.len() + counts.iter().sum::<usize>()) * feature_dim).into_iter();
    let mut row = || -> Vec<f32> { random.by_ref().take(feature_dim).collect() };
    let means: Vec<Vec<f32>> = counts.iter().map(|_| row()).collect();
    let (mut train, mut train_labels) = (vec![], vec![]);
    for (class, count) in counts.iter().enumerate() {
        for _ in 0..*count {
            let sum = means[class].iter().zip(row()).map(|(mean, noise)| (mean + 1.7 * noise + 0.3).max(0.0));
            let sample: Vec<f32> = sum.collect();
            let length = sample.iter().map(|x| x * x).sum::<f32>().sqrt();
            train.extend(sample.iter().map(|x| x / length));
            train_labels.push(class as u16);
        }
    }
    Oracle { n_classes: counts.len(), feature_dim, train, train_labels, test: vec![], test_labels: vec![] }
}

/// In the span of the samples, and by passes over the same samples many times over.
#[test]
fn classes_of_unequal_size_and_weight_have_their_optimum() {
    let (kernels, feature_dim) = (Kernels::detect(), 96);
    let mut bad = vec![];
    for counts in [&[5, 9, 9, 9, 9, 9][..], &[1, 49], &[40, 5, 5], &[2, 3, 60], &[30, 1, 1, 1, 1], &[8; 6]] {
        let oracle = samples_of(counts, feature_dim);
        let n = oracle.train_labels.len();
        let balanced = |label: &u16| n as f32 / (counts.len() * counts[usize::from(*label)]) as f32;
        let of_class = |label: &u16| [10.0, 0.1, 1.0][usize::from(*label) % 3];
        let of_sample = |i: usize| [0.01, 1.0, 3.0, 0.0, 100.0][i % 5];
        let weights: [Vec<f32>; 4] = [
            vec![1.0; n],
            oracle.train_labels.iter().map(balanced).collect(),
            oracle.train_labels.iter().map(of_class).collect(),
            (0..n).map(|i| if counts.contains(&1) { 1.0 } else { of_sample(i) }).collect(),
        ];
        for (kind, weights) in weights.iter().enumerate() {
            for l2 in [1.0, 1e-2, 1e-4] {
                let set = TrainingSet { sample_weights: (kind > 0).then_some(weights), ..oracle.set() };
                let (span, report) = fit_from_nothing(kernels, &set, counts.len(), feature_dim, l2).expect("fits");
                let times = feature_dim / n + 1;
                let (features, labels) = (oracle.train.repeat(times), oracle.train_labels.repeat(times));
                let many_weights = weights.repeat(times);
                let many = TrainingSet { features: &features, labels: &labels, sample_weights: Some(&many_weights) };
                let (passes, _) =
                    fit_from_nothing(kernels, &many, counts.len(), feature_dim, times as f32 * l2).expect("fits");
                let [exact, expected] =
                    [&span, &passes].map(|head| oracle.weighted_objective(head, l2.into(), weights));
                let is_right = report.converged
                    && exact - expected < 1e-6 * expected
                    && (report.objective - exact).abs() < 2e-6 * exact;
                if !is_right {
                    bad.push(std::format!("{counts:?} {kind} {l2}: {exact} instead of {expected}, {report:?}"));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} {bad:#?}", bad.len());
}

/// Photos that were taught twice, under two labels: their `alpha` are as large as `1 / l2` lets them be and cancel in the
/// weights, which have fewer digits the smaller that is.
#[test]
fn samples_under_two_labels_have_their_optimum() {
    let (kernels, feature_dim, times) = (Kernels::detect(), 96, 2);
    let mut oracle = samples_of(&[12, 4, 30], feature_dim);
    for (i, label) in [(0, 1), (3, 2), (13, 0), (20, 1), (21, 1), (22, 0)] {
        oracle.train.extend_from_within(i * feature_dim..(i + 1) * feature_dim);
        oracle.train_labels.push(label);
    }
    let (train, train_labels) = (oracle.train.repeat(times), oracle.train_labels.repeat(times));
    let many = Oracle { train, train_labels, n_classes: 3, feature_dim, test: vec![], test_labels: vec![] };
    for (l2, bound) in [(0.1, 1e-6), (1e-2, 1e-6), (1e-3, 4e-6), (1e-4, 4e-4)] {
        let (head, report) = oracle.fit(kernels, l2);
        let (passes, _) = many.fit(kernels, times as f32 * l2);
        let [exact, expected] = [&head, &passes].map(|head| oracle.objective(head, l2.into()));
        let error = (exact - expected) / expected;
        assert!(report.converged && error < bound, "{exact}, {expected}, {error:e}: {report:?}");
        let error = (report.objective - exact) / exact;
        assert!(error.abs() < bound, "{exact}, {error:e}: {report:?}");
    }
}

#[test]
fn the_kept_inverse_leads_to_the_optimum_of_one_sample_more_or_less() {
    let (n, kernels, settings) = (60, Kernels::detect(), Settings::new(0.1));
    let (mut features, labels) = few_samples(n);
    features.iter_mut().for_each(|x| *x -= 1.0);
    let mut gram = vec![0.0; n * n];
    kernels.syrk_nt([n, 200], &features, &mut gram);
    let (gram, labels) = (&gram, &labels);
    let span = |weights| {
        let sample_weights = Some(weights);
        Span { gram, labels, sample_weights, n_classes: 3, bias_unit: 5.0 }
    };
    let (all, mut without) = (vec![1.0; n], vec![1.0; n]);
    without[7] = 0.0;
    let mut scratch = vec![f32::NAN; dual::scratch_len(n, 3).expect("small")];
    let mut buffer = vec![f32::NAN; dual::Inverse::buffer_len(n).expect("small")];
    let mut inverse = dual::Inverse::new(n, &mut buffer);
    let mut point = vec![f32::NAN; dual::point_len(n, 3).expect("small")];
    let mut point_without = point.clone();
    let s = &mut scratch;
    let cold = dual::fit(kernels, &span(&all), &settings, Start::Cold, &mut point, s).expect("fits");
    let cold_without =
        dual::fit(kernels, &span(&without), &settings, Start::Cold, &mut point_without, s).expect("fits");
    assert!((0..3).all(|class| point_without[class * n + 7] == 0.0), "a sample of weight 0 has no say");

    // One less, from the optimum of all; then one more.
    assert!(inverse.renew(kernels, &span(&all), 0.1, &point, s));
    inverse.remove(kernels, 7, 0.1, s);
    let mut near = point.clone();
    (0..3).for_each(|class| near[class * n + 7] = 0.0);
    let less = dual::fit_near(kernels, &span(&without), &settings, &inverse, &mut near, s).expect("fits");
    inverse.add(kernels, 7, &gram[7 * n..][..n], 0.1, s);
    let more = dual::fit_near(kernels, &span(&all), &settings, &inverse, &mut near, s).expect("fits");
    for (near, cold) in [(less, cold_without), (more, cold)] {
        assert!(near.converged && near.iterations < cold.iterations, "{near:?} {cold:?}");
        assert!((near.objective - cold.objective).abs() < 1e-6 * cold.objective, "{near:?} {cold:?}");
    }
    let mut other = vec![0.0; dual::Inverse::buffer_len(3).expect("small")];
    let other = dual::Inverse::new(3, &mut other);
    let refused = dual::fit_near(kernels, &span(&all), &settings, &other, &mut near, s);
    assert_eq!(refused, Err(FitError::Length { what: "inverse", expected: 60, got: 3 }));
}

/// A choice of every fourth sample would see one class of the two, or five of the ten.
#[test]
fn a_part_of_the_samples_has_every_class_whatever_their_order() {
    for (n, rows) in [(5000, 1250), (20000, 1250), (1438, 384), (130, 130), (4097, 1024)] {
        let chosen: Vec<usize> = (0..rows).map(|row| primal::spread(row, rows, n)).collect();
        assert!(chosen.is_sorted() && chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen[rows - 1] < n);
        for n_classes in [2, 4, 10] {
            // Labels that repeat, and labels in order.
            for label in [|i, _, c| i % c, |i, n, c| i * c / n] as [fn(usize, usize, usize) -> usize; 2] {
                let of_class = |class: usize| chosen.iter().filter(|i| label(**i, n, n_classes) == class).count();
                let fair = rows as f64 / n_classes as f64;
                let is_fair = |class| (of_class(class) as f64 - fair).abs() < 5.0 * fair.sqrt() + 1.0;
                assert!((0..n_classes).all(is_fair), "{n} {rows} {n_classes}");
            }
        }
    }
}

#[test]
fn labels_that_repeat_take_no_more_passes_than_labels_in_order() {
    let n = 4200;
    let labels_of = |order: fn(usize) -> usize| -> Vec<u16> { (0..n).map(|i| order(i) as u16).collect() };
    let passes = [labels_of(|i| i % 2), labels_of(|i| i / 2100)].map(|labels| {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let features: Vec<f32> =
            labels.iter().flat_map(|label| [0; 8].map(|_| random() + 0.1 * f32::from(*label))).collect();
        let set = TrainingSet { features: &features, labels: &labels, sample_weights: None };
        let (_, report) = fit_from_nothing(Kernels::detect(), &set, 2, 8, 1.0).expect("fits");
        assert!(report.converged, "{report:?}");
        report.passes
    });
    assert!(passes[0] <= 2 * passes[1], "{passes:?}");
}

#[test]
fn a_span_that_does_not_fit_is_a_typed_error() {
    let (gram, labels) = ([1.0, 0.0, 0.0, 1.0], [0, 1]);
    let (gram_of, labels_of, n_classes) = (&gram, &labels, 2);
    let span = Span { gram: gram_of, labels: labels_of, sample_weights: None, n_classes, bias_unit: 1.0 };
    let (mut point, mut scratch) = ([0.0; 12], vec![0.0; dual::scratch_len(2, 2).expect("small")]);
    let mut run = |span: &Span<'_>, l2, points: usize, scratches: usize| {
        let (point, scratch) = (&mut point[..points], &mut scratch[..scratches]);
        dual::fit(Kernels::detect(), span, &Settings::new(l2), Start::Cold, point, scratch)
    };
    let all = dual::scratch_len(2, 2).expect("small");
    assert!(run(&span, 1.0, 12, all).is_ok());
    assert_eq!(run(&span, 0.0, 12, all), Err(FitError::L2 { l2: 0.0 }));
    assert_eq!(run(&span, 1.0, 11, all), Err(FitError::Length { what: "point", expected: 12, got: 11 }));
    assert!(matches!(run(&span, 1.0, 12, all - 1), Err(FitError::Length { what: "scratch", .. })));
    let short = Span { gram: &gram[1..], ..span };
    assert_eq!(run(&short, 1.0, 12, all), Err(FitError::Length { what: "gram", expected: 4, got: 3 }));
    let one = Span { sample_weights: Some(&[1.0]), ..span };
    assert!(matches!(run(&one, 1.0, 12, all), Err(FitError::Length { what: "sample_weights", .. })));
    let wrong = Span { labels: &[0, 2], ..span };
    assert_eq!(run(&wrong, 1.0, 12, all), Err(FitError::Label { sample: 1, label: 2 }));
}

#[test]
fn a_sample_of_weight_zero_is_as_if_it_were_not_there() {
    let oracle = data!("iris");
    let mut weights = vec![1.0; 120];
    weights[..2].fill(0.0);
    let masked = TrainingSet { sample_weights: Some(&weights), ..oracle.set() };
    let without =
        TrainingSet { features: &oracle.train[2 * 4..], labels: &oracle.train_labels[2..], sample_weights: None };
    let (a, _) = fit_from_nothing(Kernels::detect(), &masked, 3, 4, 1.0).expect("fits");
    let (b, _) = fit_from_nothing(Kernels::detect(), &without, 3, 4, 1.0).expect("fits");
    for (a, b) in a.parameters().iter().zip(b.parameters()) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn a_sample_of_weight_two_is_two_samples() {
    let features = [0.0, 1.0, 2.0, 3.0, 1.5, 1.5];
    let twice = TrainingSet { features: &features, labels: &[0, 0, 1, 1, 0, 0], sample_weights: None };
    let weights = [1.0, 1.0, 1.0, 1.0, 2.0];
    let weighted = TrainingSet { features: &features[..5], labels: &[0, 0, 1, 1, 0], sample_weights: Some(&weights) };
    let (a, _) = fit_from_nothing(Kernels::detect(), &twice, 2, 1, 1.0).expect("fits");
    let (b, _) = fit_from_nothing(Kernels::detect(), &weighted, 2, 1, 1.0).expect("fits");
    for (a, b) in a.parameters().iter().zip(b.parameters()) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn a_warm_start_finds_the_same_optimum_in_fewer_passes() {
    let oracle = data!("digits");
    let (mut head, cold) = oracle.fit(Kernels::detect(), 1.0);
    let mut scratch = vec![0.0; scratch_len(1437, 10, 64).expect("small")];
    let (features, labels) = (&oracle.train[64..], &oracle.train_labels[1..]);
    let one_less = TrainingSet { features, labels, sample_weights: None };
    let warm = fit(Kernels::detect(), &one_less, &Settings::new(1.0), &mut head, &mut scratch).expect("fits");
    let (_, again) = fit_from_nothing(Kernels::detect(), &one_less, 10, 64, 1.0).expect("fits");
    assert!(warm.converged && (warm.objective - again.objective).abs() < 1e-6 * again.objective);
    assert!(warm.passes < cold.passes, "{warm:?} {cold:?}");
}

#[test]
fn degenerate_data_have_an_optimum_too() {
    // All features equal: only the bias can tell the classes apart, and it says their frequencies.
    let equal = TrainingSet { features: &[2.0; 12], labels: &[0, 0, 0, 1], sample_weights: None };
    let (head, report) = fit_from_nothing(Kernels::detect(), &equal, 2, 3, 1.0).expect("fits");
    let mut p = [0.0; 2];
    head.logits(Kernels::detect(), &[2.0; 3], &mut p);
    crate::head::softmax(&mut p);
    assert!(report.converged && (p[0] - 0.75).abs() < 1e-3, "{p:?}");
    // The same sample under two labels: a coin toss.
    let torn = TrainingSet { features: &[1.0, 1.0], labels: &[0, 1], sample_weights: None };
    let (_, report) = fit_from_nothing(Kernels::detect(), &torn, 2, 1, 1.0).expect("fits");
    assert!((report.objective - 2.0 * core::f64::consts::LN_2).abs() < 1e-6);
    // No feature at all: the bias alone.
    let blind = TrainingSet { features: &[], labels: &[0, 1], sample_weights: None };
    assert!(fit_from_nothing(Kernels::detect(), &blind, 2, 0, 1.0).expect("fits").1.converged);
    // Huge and tiny features, nearly no penalty: finite all the same.
    let wild = TrainingSet { features: &[1e18, -1e18, 1e-18, 1e-18], labels: &[0, 1], sample_weights: None };
    let (head, _) = fit_from_nothing(Kernels::detect(), &wild, 2, 2, 1e-6).expect("fits");
    assert!(head.parameters().iter().all(|p| p.is_finite()));
}

#[test]
fn wrong_input_is_a_typed_error_and_the_head_stays() {
    let good = TrainingSet { features: &[0.0, 1.0], labels: &[0, 1], sample_weights: None };
    let mut head = Head::new(2, 1, [0.25; 4]).expect("shape");
    let mut scratch = vec![0.0; scratch_len(2, 2, 1).expect("small")];
    let run = |set: &TrainingSet<'_>, l2: f32, head: &mut Head<[f32; 4]>, scratch: &mut [f32]| {
        fit(Kernels::detect(), set, &Settings::new(l2), head, scratch).expect_err("wrong input")
    };
    let features = |features| TrainingSet { features, ..good };
    let labels = |labels| TrainingSet { labels, ..good };
    let weights = |weights| TrainingSet { sample_weights: Some(weights), ..good };
    let s = &mut scratch;
    assert_eq!(run(&features(&[0.0]), 1.0, &mut head, s), FitError::Length { what: "features", expected: 2, got: 1 });
    assert_eq!(
        run(&weights(&[1.0]), 1.0, &mut head, s),
        FitError::Length { what: "sample_weights", expected: 2, got: 1 }
    );
    assert_eq!(run(&labels(&[0, 2]), 1.0, &mut head, s), FitError::Label { sample: 1, label: 2 });
    assert_eq!(run(&labels(&[1, 1]), 1.0, &mut head, s), FitError::EmptyClass { class: 0 });
    assert_eq!(run(&weights(&[1.0, 0.0]), 1.0, &mut head, s), FitError::EmptyClass { class: 1 });
    assert_eq!(run(&weights(&[1.0, -1.0]), 1.0, &mut head, s), FitError::SampleWeight { sample: 1 });
    assert_eq!(run(&weights(&[f32::NAN, 1.0]), 1.0, &mut head, s), FitError::SampleWeight { sample: 0 });
    assert_eq!(run(&features(&[0.0, f32::NAN]), 1.0, &mut head, s), FitError::NotFinite { sample: 1 });
    assert_eq!(run(&features(&[f32::INFINITY, 0.0]), 1.0, &mut head, s), FitError::NotFinite { sample: 0 });
    for l2 in [0.0, -1.0, f32::INFINITY] {
        assert_eq!(run(&good, l2, &mut head, s), FitError::L2 { l2 });
    }
    assert!(matches!(run(&good, 1.0, &mut head, &mut s[1..]), FitError::Length { what: "scratch", .. }));
    assert_eq!(head.parameters(), [0.25; 4]);
    let no_samples = TrainingSet { features: &[], labels: &[], sample_weights: None };
    assert_eq!(
        fit_from_nothing(Kernels::detect(), &no_samples, 2, 1, 1.0).expect_err("empty"),
        FitError::EmptyClass { class: 0 }
    );
    assert_eq!(
        fit_from_nothing(Kernels::detect(), &good, 1, 1, 1.0).expect_err("one class"),
        FitError::TooFewClasses { n_classes: 1 }
    );
}
