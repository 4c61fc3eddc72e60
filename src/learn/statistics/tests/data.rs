//! Samples of a made-up trunk, on one device or three, and the heads of all of them at once.

use topgraft_core::head::{Head, Kind};
use topgraft_core::random::SplitMix64;
use topgraft_core::solver::prototype::{Mode, Prototypes};
use topgraft_core::solver::{TrainingSet, lda};

use super::*;
use crate::learn::fit::zero_head;

/// Sums of uniform numbers: near enough to normal ones.
fn normal(random: &mut SplitMix64) -> f32 {
    (0..12).map(|_| random.unit()).sum::<f32>() - 6.0
}

/// Samples of `n_classes` classes in turn, as a trunk that ends in a ReLU gives them, and 30 more to ask.
pub(super) struct Data {
    pub(super) classes: Vec<String>,
    pub(super) labels: Vec<u16>,
    pub(super) rows: Vec<f32>,
    pub(super) asked: Vec<f32>,
    pub(super) dim: usize,
}

impl Data {
    pub(super) fn new(n: usize, n_classes: usize, dim: usize, seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let means: Vec<f32> = (0..n_classes * dim).map(|_| 0.5 * normal(&mut random)).collect();
        let mut rows = |n: usize| -> Vec<f32> {
            let row = |sample: usize| &means[sample % n_classes * dim..][..dim];
            (0..n).flat_map(row).map(|mean| (mean + normal(&mut random)).max(0.0) * 3.0).collect()
        };
        let (rows, asked) = (rows(n), rows(30));
        let labels = (0..n).map(|sample| (sample % n_classes) as u16).collect();
        Self { classes: (0..n_classes).map(|class| format!("class {class}")).collect(), labels, rows, asked, dim }
    }

    pub(super) fn trunk(&self) -> Trunk {
        Trunk::rows(self.dim as u32)
    }

    /// Of the samples whose number `is_wanted`.
    pub(super) fn part(&self, is_wanted: impl Fn(usize) -> bool) -> Statistics {
        let wanted: Vec<usize> = (0..self.labels.len()).filter(|sample| is_wanted(*sample)).collect();
        let labels: Vec<u16> = wanted.iter().map(|sample| self.labels[*sample]).collect();
        let rows: Vec<f32> =
            wanted.iter().flat_map(|sample| &self.rows[sample * self.dim..][..self.dim]).copied().collect();
        Statistics::of_rows(&self.trunk(), Scaling::L2, &self.classes, &labels, &rows).expect("samples")
    }

    /// Three devices, the first without the last class.
    pub(super) fn devices(&self) -> [Statistics; 3] {
        let last = self.classes.len() - 1;
        let device = |sample: usize| match (sample / self.classes.len()) % 3 {
            0 if usize::from(self.labels[sample]) == last => 1,
            device => device,
        };
        [0, 1, 2].map(|wanted| self.part(|sample| device(sample) == wanted))
    }

    /// Of all scaled features at once, by the solvers for samples.
    pub(super) fn head_of(&self, kind: StatisticsHead) -> Head<Vec<f32>> {
        let mut rows = self.rows.clone();
        rows.chunks_exact_mut(self.dim).for_each(|row| Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), row));
        let n_classes = self.classes.len();
        let set = TrainingSet { features: &rows, labels: &self.labels, sample_weights: None };
        let mut head = zero_head(0, n_classes, self.dim).0;
        match kind {
            StatisticsHead::Lda => {
                let mut scratch = vec![0.0; lda::scratch_len(self.labels.len(), n_classes, self.dim).expect("small")];
                lda::fit(Kernels::detect(), &set, &lda::Settings::default(), &mut head, &mut scratch).expect("fits");
            }
            StatisticsHead::Prototype => {
                let (mut sums, mut counts) = (vec![0; n_classes * self.dim], vec![0; n_classes]);
                let mut means = Prototypes::new(Mode::Raw, n_classes, self.dim, &mut sums, &mut counts).expect("fits");
                means.fit(&set).expect("fits");
                means.head(Kernels::detect(), 1.0, &mut head).expect("fits");
            }
        }
        head
    }

    /// Largest difference of a logit, and largest logit.
    pub(super) fn difference(&self, model: &Model) -> (f32, f32) {
        let head = self.head_of(if model.kind == Kind::Lda { StatisticsHead::Lda } else { StatisticsHead::Prototype });
        let (mut difference, mut largest) = (0.0f32, 0.0f32);
        for row in self.asked.chunks_exact(self.dim) {
            let mut scaled = row.to_vec();
            Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), &mut scaled);
            let mut expected = vec![0.0; self.classes.len()];
            head.logits(Kernels::detect(), &scaled, &mut expected);
            for (got, expected) in model.logits(Kernels::detect(), row).expect("finite").iter().zip(&expected) {
                difference = difference.max((got - expected).abs());
                largest = largest.max(expected.abs());
            }
        }
        (difference, largest)
    }
}

pub(super) fn small() -> Data {
    Data::new(24, 3, 7, 5)
}
