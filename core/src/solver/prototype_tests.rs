//! Against the counts of the reference, exactness to the bit, and wrong input.

use super::*;
use crate::solver::oracle::{Oracle, bits, data, noise};
use std::vec;
use std::vec::Vec;

/// A head fitted to the training rows, and the rows that it gets right.
fn correct(oracle: &Oracle, mode: Mode<'_>) -> usize {
    let (mut sums, mut counts) = (vec![7; oracle.n_classes * oracle.feature_dim], vec![7; oracle.n_classes]);
    let mut prototypes =
        Prototypes::new(mode, oracle.n_classes, oracle.feature_dim, &mut sums, &mut counts).expect("shape");
    prototypes.fit(&oracle.set()).expect("fits");
    let mut head = oracle.head();
    prototypes.head(Kernels::detect(), 1.0, &mut head).expect("head");
    let mut logits = vec![0.0; oracle.n_classes];
    let mut right = 0;
    for (row, label) in oracle.test.chunks(oracle.feature_dim).zip(&oracle.test_labels) {
        let mut row = row.to_vec();
        mode.scale(&mut row);
        head.logits(Kernels::detect(), &row, &mut logits);
        right += usize::from(crate::head::argmax(&logits) == Some(*label as usize));
    }
    right
}

#[test]
fn counts_are_those_of_the_reference() {
    for (oracle, mean, imprint) in [
        (data!("iris"), 27, 28),
        (data!("wine"), 35, 35),
        (data!("breast_cancer"), 104, 106),
        (data!("digits"), 328, 321),
    ] {
        assert_eq!([correct(&oracle, Mode::Raw), correct(&oracle, Mode::Imprint)], [mean, imprint]);
    }
    for (shots, mean, imprint) in
        [(1, 484, 497), (2, 638, 642), (4, 621, 621), (8, 601, 596), (16, 612, 607), (32, 636, 633)]
    {
        let oracle = Oracle::few_digits(shots);
        let got = [correct(&oracle, Mode::Raw), correct(&oracle, Mode::Imprint)];
        assert_eq!(got, [mean, imprint], "{shots} shots");
    }
}

/// The class means of SimpleShot, in f64 and by distances rather than by logits.
#[test]
fn simpleshot_is_the_nearest_mean_of_its_definition() {
    let oracle = Oracle::few_digits(4);
    let mean: Vec<f32> = (0..64).map(|j| oracle.train.chunks(64).map(|row| row[j]).sum::<f32>() / 40.0).collect();
    for mode in [Mode::L2, Mode::CentredL2 { mean: &mean }] {
        let scaled = |row: &[f32]| -> Vec<f64> {
            let shift = |j: usize| if mode == Mode::L2 { 0.0 } else { mean[j] as f64 };
            let row: Vec<f64> = row.iter().enumerate().map(|(j, x)| *x as f64 - shift(j)).collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter().map(|x| x / length).collect()
        };
        let mut means = vec![[0.0; 64]; 10];
        for (row, label) in oracle.train.chunks(64).zip(&oracle.train_labels) {
            for (mean, x) in means[*label as usize].iter_mut().zip(scaled(row)) {
                *mean += x / 4.0;
            }
        }
        let distance = |mean: &[f64; 64], x: &[f64]| mean.iter().zip(x).map(|(m, x)| (m - x).powi(2)).sum::<f64>();
        let right = oracle.test.chunks(64).zip(&oracle.test_labels).filter(|(row, label)| {
            let x = scaled(row);
            let nearest = (0..10).min_by(|a, b| distance(&means[*a], &x).total_cmp(&distance(&means[*b], &x)));
            nearest == Some(**label as usize)
        });
        assert_eq!(correct(&oracle, mode), right.count(), "{mode:?}");
    }
}

/// Statistics in owned buffers, for comparison.
fn statistics(mode: Mode<'_>, rows: &[(&[f32], u16)], removed: &[(&[f32], u16)]) -> (Vec<i64>, Vec<u32>) {
    let (mut sums, mut counts) = (vec![1; 3 * 5], vec![1; 3]);
    let mut prototypes = Prototypes::new(mode, 3, 5, &mut sums, &mut counts).expect("shape");
    rows.iter().for_each(|(row, label)| prototypes.add(row, *label).expect("adds"));
    removed.iter().for_each(|(row, label)| prototypes.remove(row, *label).expect("removes"));
    (sums, counts)
}

#[test]
fn removal_order_and_merge_are_exact_to_the_bit() {
    let mean = [0.1, -0.2, 0.3, 0.0, 7.0];
    let features: Vec<f32> = noise(3, 60 * 5).iter().map(|x| x * x * x * 3e4).collect();
    let rows: Vec<(&[f32], u16)> = features.chunks(5).zip([0, 1, 2].into_iter().cycle()).collect();
    for mode in [Mode::Raw, Mode::L2, Mode::CentredL2 { mean: &mean }, Mode::Imprint] {
        let expected = statistics(mode, &rows[..40], &[]);
        assert_eq!(statistics(mode, &rows, &rows[40..]), expected, "{mode:?}");
        let backwards: Vec<_> = rows[..40].iter().rev().copied().collect();
        assert_eq!(statistics(mode, &backwards, &[]), expected, "{mode:?}");
        let (mut a, mut b) = (statistics(mode, &rows[..13], &[]), statistics(mode, &rows[13..40], &[]));
        let mut first = Prototypes::resume(mode, 3, 5, &mut a.0, &mut a.1).expect("shape");
        first.merge(&Prototypes::resume(mode, 3, 5, &mut b.0, &mut b.1).expect("shape")).expect("merges");
        assert_eq!(a, expected, "{mode:?}");
    }
}

#[test]
fn heads_have_the_same_bits_on_every_instruction_set() {
    let oracle = Oracle::few_digits(4);
    for mode in [Mode::Raw, Mode::Imprint] {
        let fit = |kernels| {
            let (mut sums, mut counts) = (vec![0; 640], vec![0; 10]);
            let mut prototypes = Prototypes::new(mode, 10, 64, &mut sums, &mut counts).expect("shape");
            prototypes.fit(&oracle.set()).expect("fits");
            let mut head = oracle.head();
            prototypes.head(kernels, 3.0, &mut head).expect("head");
            bits(head.parameters())
        };
        let expected = fit(Kernels::new(crate::kernel::Isa::Scalar).expect("always"));
        for kernels in Kernels::available() {
            assert_eq!(fit(kernels), expected, "{kernels:?} {mode:?}");
        }
    }
}

#[test]
fn classes_come_and_go() {
    let (mut sums, mut counts) = ([0; 3], [0; 3]);
    let mut prototypes = Prototypes::new(Mode::Raw, 2, 1, &mut sums, &mut counts).expect("shape");
    prototypes.add(&[1.0], 0).expect("adds");
    prototypes.add(&[2.0], 1).expect("adds");
    assert_eq!(prototypes.add_class(), Ok(2));
    assert_eq!(prototypes.add_class(), Err(FitError::Full { what: "classes", capacity: 3 }));
    prototypes.add(&[3.0], 2).expect("adds");
    assert_eq!(prototypes.remove_class(3), Err(FitError::Absent { what: "class", index: 3 }));
    prototypes.remove_class(0).expect("is there");
    assert_eq!((prototypes.n_classes(), prototypes.counts()), (2, &[1, 1][..]));
    let mut head = Head::new(2, 1, [0.0; 4]).expect("shape");
    prototypes.head(Kernels::detect(), 0.5, &mut head).expect("head");
    assert_eq!(head.parameters(), [2.0, 3.0, -2.0, -4.5]);
    // A class added anew has none of the removed one's samples.
    prototypes.add_class().expect("room");
    assert_eq!(prototypes.counts(), [1, 1, 0]);
}

#[test]
fn a_weight_of_two_is_two_samples_and_of_zero_none() {
    let fit = |features: &[f32], labels: &[u16], sample_weights: Option<&[f32]>| {
        let (mut sums, mut counts) = ([0; 2], [0; 2]);
        let mut prototypes = Prototypes::new(Mode::Raw, 2, 1, &mut sums, &mut counts).expect("shape");
        prototypes.fit(&TrainingSet { features, labels, sample_weights }).expect("fits");
        (sums, counts)
    };
    let weighted = fit(&[1.5, 2.5, 3.5], &[0, 1, 1], Some(&[2.0, 1.0, 0.0]));
    assert_eq!(weighted, fit(&[1.5, 1.5, 2.5], &[0, 0, 1], None));
}

#[test]
fn degenerate_data_are_defined() {
    let mut head = Head::new(2, 2, [9.0; 6]).expect("shape");
    for mode in [Mode::Raw, Mode::L2, Mode::CentredL2 { mean: &[2.0; 2] }, Mode::Imprint] {
        let (mut sums, mut counts) = ([0; 4], [0; 2]);
        let mut prototypes = Prototypes::new(mode, 2, 2, &mut sums, &mut counts).expect("shape");
        // All features equal; the same sample under two labels; zeros.
        for x in [[2.0; 2], [0.0; 2]] {
            prototypes.add(&x, 0).expect("adds");
            prototypes.add(&x, 1).expect("adds");
        }
        prototypes.head(Kernels::detect(), 1.0, &mut head).expect("head");
        let mut logits = [0.0; 2];
        head.logits(Kernels::detect(), &[2.0; 2], &mut logits);
        assert!(logits[0] == logits[1] && logits[0].is_finite(), "{mode:?} {logits:?}");
    }
    let mut huge = [1e30, 0.0];
    Mode::L2.scale(&mut huge);
    assert_eq!(huge, [1.0, 0.0]);
    // No features at all.
    let mut counts = [0; 2];
    let mut blind = Prototypes::new(Mode::L2, 2, 0, &mut [], &mut counts).expect("shape");
    blind.add(&[], 0).expect("adds");
    blind.add(&[], 1).expect("adds");
    blind.head(Kernels::detect(), 1.0, &mut Head::new(2, 0, [0.0; 2]).expect("shape")).expect("head");
    // Many classes: the bits of the label.
    let (mut sums, mut counts) = (vec![0; 140_000], vec![0; 10_000]);
    let mut many = Prototypes::new(Mode::Raw, 10_000, 14, &mut sums, &mut counts).expect("shape");
    let code = |label: u16| core::array::from_fn::<f32, 14, _>(|bit| f32::from(label >> bit & 1));
    (0..10_000).for_each(|label| many.add(&code(label), label).expect("adds"));
    let mut head = Head::new(10_000, 14, vec![0.0; 150_000]).expect("shape");
    many.head(Kernels::detect(), 1.0, &mut head).expect("head");
    let mut logits = vec![0.0; 10_000];
    head.logits(Kernels::detect(), &code(4321), &mut logits);
    assert_eq!(crate::head::argmax(&logits), Some(4321));
}

#[test]
fn wrong_input_is_a_typed_error_and_the_statistics_stay() {
    let (mut sums, mut counts) = ([0; 4], [0; 2]);
    let wrong = |sums: &mut [i64], n, mode| Prototypes::new(mode, n, 2, sums, &mut [0; 2]).expect_err("wrong");
    assert_eq!(wrong(&mut [0; 3], 2, Mode::Raw), FitError::Length { what: "sums", expected: 4, got: 3 });
    assert_eq!(wrong(&mut [0; 4], 3, Mode::Raw), FitError::Full { what: "classes", capacity: 2 });
    let short = wrong(&mut [0; 4], 2, Mode::CentredL2 { mean: &[0.0] });
    assert_eq!(short, FitError::Length { what: "mean", expected: 2, got: 1 });
    let nan = wrong(&mut [0; 4], 2, Mode::CentredL2 { mean: &[0.0, f32::NAN] });
    assert!(matches!(nan, FitError::Setting { what: "mean", .. }));

    let mut prototypes = Prototypes::new(Mode::Raw, 2, 2, &mut sums, &mut counts).expect("shape");
    let mut head = Head::new(2, 2, [0.25; 6]).expect("shape");
    assert_eq!(prototypes.add(&[0.0], 0), Err(FitError::Length { what: "features", expected: 2, got: 1 }));
    assert_eq!(prototypes.add(&[0.0; 2], 2), Err(FitError::Label { sample: 0, label: 2 }));
    assert_eq!(prototypes.add(&[0.0, f32::NAN], 0), Err(FitError::NotFinite { sample: 0 }));
    assert_eq!(prototypes.add(&[f32::INFINITY, 0.0], 0), Err(FitError::NotFinite { sample: 0 }));
    let beyond = FitError::OutOfRange { sample: 0, limit: FEATURE_LIMIT };
    assert_eq!(prototypes.add(&[0.0, -32768.1], 0), Err(beyond));
    assert_eq!(prototypes.remove(&[0.0; 2], 1), Err(FitError::EmptyClass { class: 1 }));
    prototypes.add(&[32768.0, -32768.0], 0).expect("just fits");
    let kernels = Kernels::detect();
    assert_eq!(prototypes.head(kernels, 1.0, &mut head), Err(FitError::EmptyClass { class: 1 }));
    prototypes.add(&[1.0; 2], 1).expect("adds");
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(prototypes.head(kernels, scale, &mut head), Err(FitError::Setting { what: "scale", .. })));
    }
    let mut narrow = Head::new(2, 1, [0.0; 4]).expect("shape");
    assert!(matches!(prototypes.head(kernels, 1.0, &mut narrow), Err(FitError::Length { .. })));
    assert_eq!(head.parameters(), [0.25; 6]);

    let set = TrainingSet { features: &[0.0, 0.0, 1e6, 0.0], labels: &[0, 1], sample_weights: None };
    assert_eq!(prototypes.fit(&set), Err(FitError::OutOfRange { sample: 1, limit: FEATURE_LIMIT }));
    for weight in [0.5, -1.0, f32::NAN, 2e9] {
        let set = TrainingSet { features: &[0.0; 4], labels: &[0, 1], sample_weights: Some(&[1.0, weight]) };
        assert_eq!(prototypes.fit(&set), Err(FitError::SampleWeight { sample: 1 }), "{weight}");
    }
    let limit = COUNT_LIMIT as f32;
    let set = TrainingSet { features: &[0.0; 4], labels: &[0, 0], sample_weights: Some(&[limit, 1.0]) };
    let full = FitError::Full { what: "samples", capacity: COUNT_LIMIT as usize };
    assert_eq!(prototypes.fit(&set), Err(full));
    assert_eq!(prototypes.counts(), [1, 1]);
    // The largest sum there can be fits.
    let set = TrainingSet { features: &[-32768.0; 2], labels: &[0], sample_weights: Some(&[limit]) };
    prototypes.fit(&set).expect("fits");
    assert_eq!(prototypes.add(&[0.0; 2], 0), Err(full));
    assert_eq!(prototypes.sums[0], -(1i64 << 43) * i64::from(COUNT_LIMIT));
    let (mut other_sums, mut other_counts) = ([1, 1, 1, 1], [1, 1]);
    let other = Prototypes::resume(Mode::Raw, 2, 2, &mut other_sums, &mut other_counts).expect("shape");
    assert_eq!(prototypes.merge(&other), Err(full));
    let other = Prototypes::new(Mode::L2, 2, 2, &mut other_sums, &mut other_counts).expect("shape");
    assert!(matches!(prototypes.merge(&other), Err(FitError::Setting { .. })));

    let mut one = Prototypes::new(Mode::Raw, 1, 1, &mut other_sums[..2], &mut other_counts).expect("one class");
    one.fit(&TrainingSet { features: &[], labels: &[], sample_weights: None }).expect("no sample is fine so far");
    let error = one.head(kernels, 1.0, &mut Head::new(1, 1, [0.0; 2]).expect("shape"));
    assert_eq!(error, Err(FitError::TooFewClasses { n_classes: 1 }));
}
