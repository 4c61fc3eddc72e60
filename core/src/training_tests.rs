//! Whole trainings, from features to head files: their bytes are the same on every machine, and are written down here as
//! one SHA-256. With every instruction set of the machine at hand, and without the standard library's arithmetic too.

extern crate std;

use crate::format::{Calibration, Contents, Evaluation, Graft};
use crate::head::{Head, Kind, argmax, softmax};
use crate::kernel::Kernels;
use crate::preprocess::Preprocess;
use crate::rejection::{Rejection, quantize};
use crate::scaler::{self, Scaler};
use crate::solver::{TrainingSet, lda, prototype, ridge, softmax as softmax_regression};
use sha2::{Digest, Sha256};
use std::{format, vec, vec::Vec};

/// The SHA-256 of all the files, one after the other.
const WRITTEN_DOWN: &str = "6465c357f5e32bcfdf3f0a44e14d24b4ca779e6870e4c80f1d26a7851cfba2d7";

/// Samples like the features of a network: never negative, many of them zero.
struct Samples {
    n: usize,
    feature_dim: usize,
    n_classes: usize,
    features: Vec<f32>,
    labels: Vec<u16>,
}

impl Samples {
    /// Made of integers alone, in units of 1/256.
    fn new(seed: u32, [n, feature_dim, n_classes]: [usize; 3]) -> Self {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i32 % 1201
        };
        let labels: Vec<u16> = (0..n).map(|i| (i * 7 % n_classes) as u16).collect();
        let mut features = vec![0.0; n * feature_dim];
        for (row, label) in features.chunks_exact_mut(feature_dim).zip(&labels) {
            for (j, x) in row.iter_mut().enumerate() {
                let bump = if j % n_classes == usize::from(*label) { 300 } else { 0 };
                *x = (random() - 500 + bump).max(0) as f32 / 256.0;
            }
        }
        Self { n, feature_dim, n_classes, features, labels }
    }

    fn set(&self) -> TrainingSet<'_> {
        TrainingSet { features: &self.features, labels: &self.labels, sample_weights: None }
    }
}

/// The head of one kind, and its penalty.
fn fit(kernels: Kernels, samples: &Samples, kind: Kind) -> (Head<Vec<f32>>, f32) {
    let Samples { n, feature_dim: d, n_classes, .. } = *samples;
    let mut head = Head::new(n_classes, d, vec![0.0; n_classes * (d + 1)]).expect("shape");
    let l2 = match kind {
        Kind::Softmax => {
            let mut scratch = vec![0.0; softmax_regression::scratch_len(n, n_classes, d).expect("small")];
            let settings = softmax_regression::Settings::new(0.5);
            let report = softmax_regression::fit(kernels, &samples.set(), &settings, &mut head, &mut scratch);
            assert!(report.expect("fits").converged);
            settings.l2
        }
        Kind::Ridge => {
            let mut scratch = vec![0.0; ridge::scratch_len(n, n_classes, d).expect("small")];
            ridge::fit(kernels, &samples.set(), 3.0, &mut head, &mut scratch).expect("fits");
            3.0
        }
        Kind::Lda => {
            let mut scratch = vec![0.0; lda::scratch_len(n, n_classes, d).expect("small")];
            let settings = lda::Settings { shrinkage: lda::Shrinkage::Scaled(0.25), class_shares: true };
            lda::fit(kernels, &samples.set(), &settings, &mut head, &mut scratch).expect("fits");
            0.25
        }
        Kind::Prototype => {
            let (mut sums, mut counts) = (vec![0; n_classes * d], vec![0; n_classes]);
            let mode = prototype::Mode::Raw;
            let mut prototypes =
                prototype::Prototypes::new(mode, n_classes, d, &mut sums, &mut counts).expect("buffers");
            prototypes.fit(&samples.set()).expect("fits");
            prototypes.head(kernels, 0.125, &mut head).expect("head");
            1.0
        }
        Kind::Nearest => unreachable!("not linear"),
    };
    (head, l2)
}

/// The temperature of least loss of a few, and how far sureness and accuracy are apart.
fn calibrate(kernels: Kernels, samples: &Samples, logits: &[f32]) -> Calibration {
    let scaled = |temperature: f32| logits.iter().map(|z| z / temperature).collect::<Vec<f32>>();
    let loss = |temperature: f32| {
        let (mut scaled, mut losses) = (scaled(temperature), vec![0.0; samples.n]);
        kernels.cross_entropy_rows(samples.n_classes, &mut scaled, &samples.labels, &mut losses);
        losses.iter().map(|loss| f64::from(*loss)).sum::<f64>()
    };
    let error = |temperature: f32| {
        let mut rows = scaled(temperature);
        kernels.softmax_rows(samples.n_classes, &mut rows);
        let gap = |(row, label): (&[f32], &u16)| {
            let top = argmax(row).expect("classes");
            row[top] - if top == usize::from(*label) { 1.0 } else { 0.0 }
        };
        (rows.chunks_exact(samples.n_classes).zip(&samples.labels).map(gap).sum::<f32>() / samples.n as f32).abs()
    };
    let better = |best, temperature| if loss(temperature) < loss(best) { temperature } else { best };
    let temperature = [0.25, 0.5, 0.75, 1.25, 2.0, 3.0].into_iter().fold(1.0, better);
    Calibration { temperature, ece_before: error(1.0), ece_after: error(temperature) }
}

/// The means of the classes in 8 bits, and the score that one sample of twenty is below.
fn reject(samples: &Samples, logits: &[f32], temperature: f32, steps: &mut [f32], means: &mut [i8]) -> [f32; 2] {
    let Samples { n, feature_dim: d, n_classes, .. } = *samples;
    for (class, (step, codes)) in steps.iter_mut().zip(means.chunks_exact_mut(d)).enumerate() {
        let (mut mean, mut count) = (vec![0.0; d], 0.0);
        for (row, _) in samples.features.chunks_exact(d).zip(&samples.labels).filter(|(_, l)| usize::from(**l) == class)
        {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
            count += 1.0;
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        *step = quantize(&mean, codes);
    }
    let unscaled = Rejection { steps: &*steps, means: &*means, scale: 1.0, threshold: 0.0, rate: 0.05, auroc: None };
    let distances: Vec<f32> = samples.features.chunks_exact(d).map(|row| unscaled.distance(row)).collect();
    let rejection = Rejection { scale: distances.iter().sum::<f32>() / n as f32, ..unscaled };
    let score = |(row, distance): (&[f32], &f32)| {
        let mut p: Vec<f32> = row.iter().map(|z| z / temperature).collect();
        softmax(&mut p);
        rejection.score_at(*distance, p[argmax(&p).expect("classes")])
    };
    let mut scores: Vec<f32> = logits.chunks_exact(n_classes).zip(&distances).map(score).collect();
    scores.sort_by(f32::total_cmp);
    [rejection.scale, scores[n / 20]]
}

/// From features to the bytes of a head file.
fn train(kernels: Kernels, mut samples: Samples, kind: Kind, fingerprint: [u8; 32]) -> Vec<u8> {
    let Samples { n, feature_dim: d, n_classes, .. } = samples;
    let (mut mean, mut scale) = (vec![0.0; d], vec![0.0; d]);
    scaler::standard(&samples.features, &mut mean, &mut scale);
    let scaler = Scaler::Standard { mean: mean.as_slice(), scale: scale.as_slice() };
    samples.features.chunks_exact_mut(d).for_each(|row| scaler.apply(kernels, row));

    let (head, l2) = fit(kernels, &samples, kind);
    let mut logits = vec![0.0; n * n_classes];
    for (row, logits) in samples.features.chunks_exact(d).zip(logits.chunks_exact_mut(n_classes)) {
        head.logits(kernels, row, logits);
    }
    let is_right = |(row, label): &(&[f32], &u16)| argmax(row) == Some(usize::from(**label));
    let correct = logits.chunks_exact(n_classes).zip(&samples.labels).filter(is_right).count() as u32;
    assert!(correct as usize * 10 > n * 8, "{kind:?}: only {correct} of {n} right");
    let calibration = calibrate(kernels, &samples, &logits);
    let (mut steps, mut means) = (vec![0.0; n_classes], vec![0; n_classes * d]);
    let [reach, threshold] = reject(&samples, &logits, calibration.temperature, &mut steps, &mut means);

    let contents = Contents {
        fingerprint,
        backbone: "made up",
        cut: "features",
        preprocess: Preprocess::IMAGENET,
        labels: &["ant", "bee", "crab", "dog", "eel"][..n_classes],
        scaler,
        head: head.as_slice().into(),
        kind,
        l2,
        evaluation: Some(Evaluation {
            folds: n as u32,
            n_samples: n as u32,
            correct,
            majority: (n / n_classes) as u32,
        }),
        calibration: Some(calibration),
        rejection: Some(Rejection { steps: &steps, means: &means, scale: reach, threshold, rate: 0.05, auroc: None }),
        producer: "topgraft-core test",
    };
    let mut file = vec![0; contents.encoded_len().expect("fits")];
    contents.emit(&mut file).expect("fits");
    Graft::parse(&file).expect("is a head file");
    file
}

#[test]
fn every_kind_of_head_file_has_the_bytes_that_were_written_down() {
    for kernels in Kernels::available() {
        let mut all = Sha256::new();
        // Fewer samples than features, and more: the solvers take other ways.
        for (seed, shape) in [(1, [60, 129, 4]), (2, [200, 37, 5])] {
            for kind in Kind::LINEAR {
                let samples = Samples::new(seed, shape);
                let fingerprint =
                    Sha256::digest(samples.features.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
                all.update(train(kernels, samples, kind, fingerprint.into()));
            }
        }
        let digest: Vec<u8> = all.finalize().to_vec();
        let digest: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest.concat(), WRITTEN_DOWN, "{kernels:?}");
    }
}
