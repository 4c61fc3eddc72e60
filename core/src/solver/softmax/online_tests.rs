//! Samples and classes that come and go.

use super::super::tests::{few_samples, samples_of};
use super::*;
use crate::solver::oracle::Oracle;
use std::vec;
use std::vec::Vec;

/// Fits, and compares with a fit from nothing of the samples that should be there.
#[track_caller]
fn expect_optimum(online: &mut Online<'_>, settings: &Settings, n_classes: usize, train: Vec<f32>, labels: Vec<u16>) {
    let report = online.fit(settings).expect("sound");
    assert_eq!(online.len(), labels.len());
    let mut head = Head::new(n_classes, 200, vec![f32::NAN; n_classes * 201]).expect("shape");
    online.head(&mut head);
    let oracle = Oracle { n_classes, feature_dim: 200, train, train_labels: labels, test: vec![], test_labels: vec![] };
    let (cold, _) = oracle.fit(Kernels::detect(), settings.l2);
    let [exact, expected] = [&head, &cold].map(|head| oracle.objective(head, settings.l2.into()));
    assert!(report.converged, "{settings:?} {report:?}");
    assert!((exact - expected).abs() < 2e-6 * expected, "{settings:?} {exact} instead of {expected}: {report:?}");
    assert!((report.objective - exact).abs() < 2e-6 * exact, "{settings:?} {exact}: {report:?}");
}

#[test]
fn online_samples_come_and_go_and_the_optimum_is_that_of_those_that_are_there() {
    let (n, kernels, settings) = (60, Kernels::detect(), Settings::new(0.1));
    let (features, labels) = few_samples(n);
    let row = |i: usize| &features[i * 200..][..200];
    let mut floats = vec![f32::NAN; Online::buffer_len(64, 3, 200).expect("small")];
    let mut slots = [7; 64];
    let mut online = Online::new(kernels, 3, 200, &mut floats, &mut slots).expect("fits");
    for (i, label) in labels[..50].iter().enumerate() {
        assert_eq!(online.add(row(i), *label), Ok(i));
    }
    let cold = online.fit(&settings).expect("fits");
    for (i, label) in labels.iter().enumerate().skip(50) {
        online.add(row(i), *label).expect("there is room");
    }
    for slot in [3, 20, 20] {
        online.remove(slot);
    }
    assert!(online.len() == 58 && cold.converged);
    let kept = || (0..n).filter(|i| ![3, 20].contains(i));
    let train = kept().flat_map(|i| row(i).to_vec()).collect();
    expect_optimum(&mut online, &settings, 3, train, kept().map(|i| labels[i]).collect());
    // The two slots that are free are taken again, then there are two more.
    assert_eq!([online.add(row(3), 0), online.add(row(20), 2)], [Ok(3), Ok(20)]);
    (0..4).for_each(|_| assert!(online.add(row(0), 0).is_ok()));
    assert!(matches!(online.add(row(0), 0), Err(FitError::Length { what: "labels", .. })));
}

/// Twenty times as many samples as the first fit had, and nearly all of them gone again: the inverse is of neither.
#[test]
fn online_finds_the_optimum_from_far_away() {
    let (n, kernels, settings) = (60, Kernels::detect(), Settings::new(0.01));
    let (features, labels) = few_samples(n);
    let row = |i: usize| &features[i * 200..][..200];
    let mut floats = vec![f32::NAN; Online::buffer_len(64, 3, 200).expect("small")];
    let mut slots = [7; 64];
    let mut online = Online::new(kernels, 3, 200, &mut floats, &mut slots).expect("fits");
    let expect_optimum_of = |online: &mut Online<'_>, kept: std::ops::Range<usize>| {
        let train = features[kept.start * 200..kept.end * 200].to_vec();
        expect_optimum(online, &settings, 3, train, labels[kept].to_vec());
    };
    (0..3).for_each(|i| assert_eq!(online.add(row(i), labels[i]), Ok(i)));
    expect_optimum_of(&mut online, 0..3);
    (3..n).for_each(|i| assert_eq!(online.add(row(i), labels[i]), Ok(i)));
    expect_optimum_of(&mut online, 0..n);
    (0..n - 4).for_each(|i| online.remove(i));
    expect_optimum_of(&mut online, n - 4..n);
}

/// Samples class by class, so that each fit sees other shares of the classes than the last one did; then without the first.
#[test]
fn online_finds_the_optimum_of_classes_of_unequal_size() {
    let kernels = Kernels::detect();
    let oracle = samples_of(&[3, 40, 7], 200);
    let (n, labels) = (50, &oracle.train_labels);
    let row = |i: usize| &oracle.train[i * 200..][..200];
    for l2 in [0.1, 1e-2, 1e-3, 1e-4] {
        let mut floats = vec![f32::NAN; Online::buffer_len(64, 3, 200).expect("small")];
        let mut slots = [7; 64];
        let mut online = Online::new(kernels, 3, 200, &mut floats, &mut slots).expect("fits");
        let expect_optimum_of = |online: &mut Online<'_>, kept: &[usize]| {
            let train = kept.iter().flat_map(|i| row(*i).to_vec()).collect();
            expect_optimum(online, &Settings::new(l2), 3, train, kept.iter().map(|i| labels[*i]).collect());
        };
        let mut kept = vec![0, 1, 3, 4, 43, 44];
        let mut slot_of: Vec<usize> = kept.iter().map(|i| online.add(row(*i), labels[*i]).expect("room")).collect();
        expect_optimum_of(&mut online, &kept);
        for i in (0..n).rev() {
            if !kept.contains(&i) {
                kept.push(i);
                slot_of.push(online.add(row(i), labels[i]).expect("room"));
                if i % 3 == 0 {
                    expect_optimum_of(&mut online, &kept);
                }
            }
        }
        expect_optimum_of(&mut online, &kept);
        for at in (0..kept.len()).rev().filter(|at| (3..43).contains(&kept[*at]) && at % 8 > 0).collect::<Vec<_>>() {
            kept.remove(at);
            online.remove(slot_of.remove(at));
            if at % 3 == 0 {
                expect_optimum_of(&mut online, &kept);
            }
        }
        expect_optimum_of(&mut online, &kept);
    }
}

#[test]
fn online_classes_come_and_go_too() {
    let (n, kernels, settings) = (60, Kernels::detect(), Settings::new(0.1));
    let (features, labels) = few_samples(n);
    let row = |i: usize| &features[i * 200..][..200];
    let mut floats = vec![f32::NAN; Online::buffer_len(64, 3, 200).expect("small")];
    let mut slots = [7; 64];
    let mut online = Online::new(kernels, 2, 200, &mut floats, &mut slots).expect("fits");
    // The optimum of the samples whose label `of` tells.
    let expect_optimum_of = |online: &mut Online<'_>, n_classes: usize, of: &dyn Fn(u16) -> Option<u16>| {
        let kept = || (0..n).filter_map(|i| Some((i, of(labels[i])?)));
        let train = kept().flat_map(|(i, _)| row(i).to_vec()).collect();
        expect_optimum(online, &settings, n_classes, train, kept().map(|(_, label)| label).collect());
    };
    let add = |online: &mut Online<'_>, label: u16| {
        (0..n).filter(|i| labels[*i] == label).for_each(|i| assert!(online.add(row(i), label).is_ok()));
    };
    (0..2).for_each(|label| add(&mut online, label));
    expect_optimum_of(&mut online, 2, &|label| (label < 2).then_some(label));
    assert_eq!(online.add_class(), Ok(2));
    assert_eq!(online.fit(&settings), Err(FitError::EmptyClass { class: 2 }));
    assert_eq!(online.add_class(), Err(FitError::Full { what: "classes", capacity: 3 }));
    add(&mut online, 2);
    expect_optimum_of(&mut online, 3, &Some);
    assert_eq!(online.remove_class(3), Err(FitError::Absent { what: "class", index: 3 }));
    assert_eq!(online.remove_class(1), Ok(()));
    assert_eq!(online.len(), labels.iter().filter(|label| **label != 1).count());
    expect_optimum_of(&mut online, 2, &|label| (label != 1).then_some(label / 2));
    // And it goes on from there.
    online.remove(0);
    online.add(row(0), labels[0] / 2).expect("there is room");
    expect_optimum_of(&mut online, 2, &|label| (label != 1).then_some(label / 2));
    assert_eq!(online.remove_class(0), Err(FitError::TooFewClasses { n_classes: 1 }));
}

#[test]
fn online_refuses_what_is_no_sample() {
    let mut floats = vec![f32::NAN; Online::buffer_len(4, 2, 2).expect("small")];
    let (mut slots, kernels) = ([0; 4], Kernels::detect());
    assert!(matches!(
        Online::new(kernels, 1, 2, &mut floats, &mut slots),
        Err(FitError::TooFewClasses { n_classes: 1 })
    ));
    assert!(Online::new(kernels, 2, 2, &mut floats[1..], &mut slots).is_err());
    let mut online = Online::new(kernels, 2, 2, &mut floats, &mut slots).expect("fits");
    assert_eq!(online.add(&[1.0], 0), Err(FitError::Length { what: "features", expected: 2, got: 1 }));
    assert_eq!(online.add(&[1.0, f32::NAN], 0), Err(FitError::NotFinite { sample: 0 }));
    assert_eq!(online.add(&[1.0, 0.0], 2), Err(FitError::Label { sample: 0, label: 2 }));
    assert!(online.is_empty());
    online.add(&[1.0, 0.0], 0).expect("there is room");
    assert_eq!(online.fit(&Settings::new(1.0)), Err(FitError::EmptyClass { class: 1 }));
    // What was refused has left nothing behind that the next fit would start from.
    online.add(&[0.0, 1.0], 1).expect("there is room");
    assert_eq!(online.fit(&Settings::new(0.0)), Err(FitError::L2 { l2: 0.0 }));
    assert!(online.fit(&Settings::new(1.0)).expect("sound").converged);
}

/// The same bits whether it was put away between the steps or not.
#[test]
fn online_goes_on_where_it_was_paused() {
    let (features, labels) = few_samples(40);
    let row = |i: usize| &features[i * 200..][..200];
    let steps = |pauses: bool| {
        let mut floats = vec![f32::NAN; Online::buffer_len(64, 3, 200).expect("small")];
        let mut slots = [7; 64];
        let mut paused = Online::new(Kernels::detect(), 3, 200, &mut floats, &mut slots).expect("fits").pause();
        let mut heads = Vec::new();
        for range in [0..30, 30..31, 31..36, 36..40] {
            let mut online = Online::resume(paused, &mut floats, &mut slots);
            for i in range {
                online.add(row(i), labels[i]).expect("there is room");
                if pauses {
                    online = Online::resume(online.pause(), &mut floats, &mut slots);
                }
            }
            online.fit(&Settings::new(0.01)).expect("fits");
            online.remove(5);
            online.fit(&Settings::new(0.01)).expect("fits");
            let mut head = Head::new(3, 200, vec![0.0; 3 * 201]).expect("shape");
            online.head(&mut head);
            heads.push(head.parameters().iter().map(|x| x.to_bits()).collect::<Vec<_>>());
            paused = online.pause();
        }
        heads
    };
    assert_eq!(steps(true), steps(false));
}
