//! Heads of nearest neighbours: how many are asked, and what they say of samples that are left out.

use rayon::prelude::*;
use topgraft_core::head::{Kind, MAX_K, Nearest, vote};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::{FitError, nearest};

use super::heads::{LeftOut, Samples};

/// Numbers of neighbours that are tried.
pub(super) const NEIGHBOURS: [usize; 5] = [1, 3, 5, 9, 15];

impl Samples<'_> {
    /// A head of the samples of weight 1 that asks `k` of them, or all, where there are fewer.
    pub fn neighbours(&self, k: usize) -> Result<Nearest<Vec<f32>, Vec<u16>>, FitError> {
        let (n, shape) = (self.labels.len(), [self.n_classes, self.feature_dim]);
        let (mut rows, mut labels) = (vec![0; n * self.feature_dim], vec![0; n]);
        let kept = nearest::keep(&self.set(), shape, &mut rows, &mut labels)?;
        rows.truncate(kept * self.feature_dim);
        labels.truncate(kept);
        let head = Nearest::new(Kernels::detect(), shape, k.min(kept), rows, labels, vec![0.0; kept]);
        // What is kept is sound; only that nothing is can be wrong.
        head.map_err(|_| FitError::Absent { what: "sample", index: 0 })
    }

    /// Each sample by its nearest among all others, exactly as a head without it would. The number of neighbours is the one of
    /// least log-loss of those of [`NEIGHBOURS`] that the samples allow; each prediction comes from the number that is chosen
    /// by all the other samples. Such heads take no weights: every sample counts once.
    pub fn left_out_neighbours(&self) -> Result<LeftOut, FitError> {
        let (n, n_classes) = (self.labels.len(), self.n_classes);
        let head = Samples { weights: None, ..*self }.neighbours(1)?;
        let numbers: Vec<usize> = NEIGHBOURS.into_iter().filter(|k| *k < n).collect();
        let Some(most) = numbers.last() else {
            return Err(FitError::Absent { what: "sample", index: n });
        };
        let labels = |sample: usize| {
            let mut found = [0; MAX_K];
            let count = head.nearest(Kernels::detect(), self.row(sample), Some(sample), &mut found[..*most]);
            // A distance between numbers of half precision is finite.
            let found = &found[..count.unwrap_or(0)];
            found.iter().map(|other| head.labels()[*other]).collect::<Vec<u16>>()
        };
        let labels: Vec<Vec<u16>> = (0..n).into_par_iter().map(labels).collect();
        let of = |k: usize| {
            let mut logits = vec![0.0; n * n_classes];
            let rows = logits.chunks_exact_mut(n_classes).zip(&labels);
            rows.for_each(|(logits, labels)| vote(labels.iter().copied().take(k), logits));
            LeftOut::new(Kind::Nearest, k as f32, n, logits, self)
        };
        let without_logits = |k: &usize| {
            let mut left_out = of(*k);
            left_out.logits = Vec::new();
            left_out
        };
        let tried: Vec<LeftOut> = numbers.iter().map(without_logits).collect();
        let sums: Vec<f64> = tried.iter().map(LeftOut::log_loss).collect();
        let best = |without: Option<usize>| {
            let own = |i: usize| without.map_or(0.0, |sample| tried[i].loss(sample) / n as f64);
            let least = (0..tried.len()).min_by(|a, b| (sums[*a] - own(*a)).total_cmp(&(sums[*b] - own(*b))));
            least.expect("one number at least")
        };
        let mut left_out = of(numbers[best(None)]);
        for (sample, prediction) in left_out.predictions.iter_mut().enumerate() {
            *prediction = tried[best(Some(sample))].predictions[sample];
        }
        Ok(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::heads::tests::samples;
    use super::*;

    fn samples_of<'a>(rows: &'a [f32], labels: &'a [u16]) -> Samples<'a> {
        Samples { rows, labels, weights: None, n_classes: 3, feature_dim: 40, unit: 16.0 }
    }

    #[test]
    fn no_number_of_neighbours_has_a_lower_log_loss_and_none_is_asked_that_is_not_there() {
        for (n, spread) in [(6, 1.0), (12, 6.0), (60, 8.0)] {
            let (rows, labels) = samples(n, spread);
            let samples = samples_of(&rows, &labels);
            let chosen = samples.left_out(Kind::Nearest).expect("fits");
            let k = chosen.setting as usize;
            assert!(NEIGHBOURS.contains(&k) && k < n, "{k} of {n}");
            for other in NEIGHBOURS.into_iter().filter(|other| *other < n) {
                let mut logits = vec![0.0; 3 * n];
                for (sample, logits) in logits.chunks_exact_mut(3).enumerate() {
                    let without: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i != sample))).collect();
                    let head = Samples { weights: Some(&without), ..samples }.neighbours(other).expect("fits");
                    head.logits(Kernels::detect(), samples.row(sample), logits);
                }
                let others = LeftOut::new(Kind::Nearest, other as f32, n, logits, &samples);
                assert!(others.log_loss() >= chosen.log_loss(), "{other} {k} of {n}");
                // To the bit.
                assert!(other != k || others.logits == chosen.logits);
            }
        }
    }

    #[test]
    fn features_beyond_half_precision_are_refused() {
        let (mut rows, labels) = samples(6, 1.0);
        rows[41] = -70_000.0;
        let error = samples_of(&rows, &labels).left_out(Kind::Nearest).expect_err("too large");
        assert_eq!(error, FitError::OutOfRange { sample: 1, limit: 65504.0 });
    }
}
