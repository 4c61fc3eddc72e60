//! Against scikit-learn's optimum, against a second evaluation in f64, and against wrong input.

use super::*;
use crate::solver::oracle::{Oracle, data};
use std::vec;
use std::vec::Vec;

impl Oracle {
    fn fit(&self, kernels: Kernels, l2: f32) -> (Head<Vec<f32>>, FitReport) {
        fit_from_nothing(kernels, &self.set(), self.n_classes, self.feature_dim, l2).expect("fits")
    }

    /// The objective, all in f64, by code that shares nothing with the solver's.
    fn objective(&self, head: &Head<Vec<f32>>, l2: f64) -> f64 {
        let penalty = 0.5 * l2 * head.weights().iter().map(|w| (*w as f64).powi(2)).sum::<f64>();
        let nll = |(row, label): (&[f32], &u16)| {
            let logit = |k: usize| {
                let weights = &head.weights()[k * self.feature_dim..][..self.feature_dim];
                head.bias()[k] as f64 + row.iter().zip(weights).map(|(x, w)| *x as f64 * *w as f64).sum::<f64>()
            };
            let own = logit(*label as usize);
            (0..self.n_classes).map(|k| (logit(k) - own).exp()).sum::<f64>().ln()
        };
        penalty + self.train.chunks(self.feature_dim).zip(&self.train_labels).map(nll).sum::<f64>()
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
    let mut scratch = vec![f32::NAN; scratch_len(n_classes, feature_dim).expect("small")];
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
    let (expected, expected_report) = oracle.fit(Kernels::new(crate::kernel::Isa::Scalar).expect("always"), 0.5);
    for kernels in Kernels::available() {
        let (head, report) = oracle.fit(kernels, 0.5);
        let bits = |head: &Head<Vec<f32>>| head.parameters().iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&head), bits(&expected), "{kernels:?}");
        assert_eq!(report, expected_report, "{kernels:?}");
    }
}

/// The bits of one fit, written down: they may not change from machine to machine.
#[test]
fn a_fit_has_the_bits_that_were_written_down() {
    let (head, _) = data!("iris").fit(Kernels::detect(), 1.0);
    let fold = |hash: u64, p: &f32| (hash ^ p.to_bits() as u64).wrapping_mul(0x100_0000_01b3);
    let hash = head.parameters().iter().fold(0xcbf2_9ce4_8422_2325, fold);
    assert_eq!(format!("{hash:016x}"), "28c171e84764f1c3");
}

#[test]
fn the_gradient_is_the_slope_of_the_objective() {
    let oracle = data!("iris");
    let set = oracle.set();
    let mean = [0.3, -0.2, 0.1, 0.5];
    let kernels = Kernels::detect();
    let objective =
        Objective { kernels, set: &set, mean: &mean, bias_unit: 2.0, n_classes: 3, feature_dim: 4, l2: 0.7 };
    let at: Vec<f32> = (0..15).map(|i| (i as f32 * 0.7).sin()).collect();
    let (mut gradient, mut unused, mut block) = (vec![0.0; 15], vec![0.0; 15], vec![0.0; 3 * (BLOCK_ROWS + 1)]);
    objective.evaluate(&at, &mut gradient, &mut block);
    for i in 0..15 {
        let mut value_at = |delta: f32| {
            let mut there = at.clone();
            there[i] += delta;
            let mut head = Head::new(3, 4, there.clone()).expect("shape");
            objective.leave(head.parameters_mut());
            // The f64 objective, for the differences; the solver's must be the same to f32.
            let exact = oracle.objective(&head, 0.7f32 as f64);
            assert!((objective.evaluate(&there, &mut unused, &mut block) - exact).abs() < 1e-5 * exact);
            exact
        };
        let slope = (value_at(1e-2) - value_at(-1e-2)) / 2e-2;
        assert!((slope - gradient[i] as f64).abs() < 2e-3 * slope.abs().max(1.0), "{i}: {slope} {}", gradient[i]);
    }
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
    let mut scratch = vec![0.0; scratch_len(10, 64).expect("small")];
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
fn the_loss_keeps_its_digits_where_the_label_is_almost_certain() {
    let mut row = [20.0, 0.0];
    let loss = logits_to_residual(&mut row, 0);
    assert!((loss as f64 / (-20f64).exp().ln_1p() - 1.0).abs() < 1e-6, "{loss:e}");
    assert!(row[0] < 0.0 && row[0] == -row[1], "{row:?}");
}

#[test]
fn wrong_input_is_a_typed_error_and_the_head_stays() {
    let good = TrainingSet { features: &[0.0, 1.0], labels: &[0, 1], sample_weights: None };
    let mut head = Head::new(2, 1, [0.25; 4]).expect("shape");
    let mut scratch = vec![0.0; scratch_len(2, 1).expect("small")];
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
