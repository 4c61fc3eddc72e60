//! The reference data for the tests of every solver: scikit-learn's bundled sets, split and scaled as in the reference.

use super::TrainingSet;
use crate::head::{Head, argmax};
use crate::kernel::Kernels;
use std::vec;
use std::vec::Vec;

/// A data set, split into training and test rows.
pub(super) struct Oracle {
    pub(super) n_classes: usize,
    pub(super) feature_dim: usize,
    pub(super) train: Vec<f32>,
    pub(super) train_labels: Vec<u16>,
    pub(super) test: Vec<f32>,
    pub(super) test_labels: Vec<u16>,
}

impl Oracle {
    /// Every fifth row is a test row; standardised by mean and population deviation of the training rows.
    pub(super) fn new(csv: &str) -> Self {
        let rows: Vec<Vec<f64>> =
            csv.lines().map(|line| line.split(',').map(|x| x.parse().expect("a number")).collect()).collect();
        let feature_dim = rows[0].len() - 1;
        let is_test = |i: usize| i % 5 == 4;
        let train_rows = || rows.iter().enumerate().filter(|(i, _)| !is_test(*i)).map(|(_, row)| row);
        let n = train_rows().count() as f64;
        let mean: Vec<f64> = (0..feature_dim).map(|j| train_rows().map(|r| r[j]).sum::<f64>() / n).collect();
        let deviation = |j: usize| {
            let variance = train_rows().map(|r| (r[j] - mean[j]).powi(2)).sum::<f64>() / n;
            if variance > 0.0 { variance.sqrt() } else { 1.0 }
        };
        let scale: Vec<f64> = (0..feature_dim).map(deviation).collect();
        let mut oracle = Self {
            n_classes: 1 + rows.iter().map(|r| r[feature_dim] as usize).max().expect("rows"),
            feature_dim,
            train: vec![],
            train_labels: vec![],
            test: vec![],
            test_labels: vec![],
        };
        for (i, row) in rows.iter().enumerate() {
            let (features, labels) = match is_test(i) {
                true => (&mut oracle.test, &mut oracle.test_labels),
                false => (&mut oracle.train, &mut oracle.train_labels),
            };
            features.extend((0..feature_dim).map(|j| ((row[j] - mean[j]) / scale[j]) as f32));
            labels.push(row[feature_dim] as u16);
        }
        oracle
    }

    /// Digits divided by 16: the first `shots` rows of each class among rows 0..1000, in file order; tested on the rest.
    pub(super) fn few_digits(shots: usize) -> Self {
        let csv = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/oracle/digits.csv"));
        let mut oracle = Self {
            n_classes: 10,
            feature_dim: 64,
            train: vec![],
            train_labels: vec![],
            test: vec![],
            test_labels: vec![],
        };
        let mut seen = [0; 10];
        for (i, line) in csv.lines().enumerate() {
            let row: Vec<f32> = line.split(',').map(|x| x.parse().expect("a number")).collect();
            let label = row[64] as usize;
            let features = row[..64].iter().map(|x| x / 16.0);
            if i >= 1000 {
                oracle.test.extend(features);
                oracle.test_labels.push(label as u16);
            } else if seen[label] < shots {
                seen[label] += 1;
                oracle.train.extend(features);
                oracle.train_labels.push(label as u16);
            }
        }
        oracle
    }

    pub(super) fn set(&self) -> TrainingSet<'_> {
        TrainingSet { features: &self.train, labels: &self.train_labels, sample_weights: None }
    }

    /// Test rows that a head gets right.
    pub(super) fn correct<B: AsRef<[f32]>>(&self, head: &Head<B>) -> usize {
        let mut logits = vec![0.0; self.test_labels.len() * self.n_classes];
        head.logits(Kernels::detect(), &self.test, &mut logits);
        let right = |(row, label): &(&[f32], &u16)| argmax(row) == Some(**label as usize);
        logits.chunks(self.n_classes).zip(&self.test_labels).filter(right).count()
    }

    /// A head of zeros for this set.
    pub(super) fn head(&self) -> Head<Vec<f32>> {
        Head::new(self.n_classes, self.feature_dim, vec![0.0; self.n_classes * (self.feature_dim + 1)]).expect("shape")
    }
}

/// A reference data set by name.
macro_rules! data {
    ($name:literal) => {
        $crate::solver::oracle::Oracle::new(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/data/oracle/",
            $name,
            ".csv"
        )))
    };
}
pub(super) use data;

/// Pseudo-random numbers in -1..1 (SplitMix64), the same in every run.
pub(super) fn noise(mut state: u64, len: usize) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Bits of floats, for comparisons that tell -0 from 0.
pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}
