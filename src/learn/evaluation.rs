//! Counting what was right.

/// Confusion matrix of predictions, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    n_classes: usize,
    /// `[true class, predicted class]` row-major.
    confusion: Vec<u32>,
}

/// One class of an [`Evaluation`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassReport {
    /// Share of the predictions of this class that are right, 0..=1; `None` without a prediction of it.
    pub precision: Option<f64>,
    /// Share of the samples of this class that were predicted so, 0..=1; `None` without a sample of it.
    pub recall: Option<f64>,
    /// Samples of this class.
    pub support: u32,
}

impl ClassReport {
    /// Harmonic mean of precision and recall, 0..=1 (van Rijsbergen 1979, "Information retrieval"); `None` without a sample of
    /// the class, 0 where no prediction of it is right.
    ///
    /// ```
    /// let evaluation = topgraft::learn::Evaluation::new(2, [(0, 0), (0, 1), (1, 1), (1, 1)]);
    /// assert_eq!(evaluation.per_class()[1].f1(), Some(0.8));
    /// ```
    pub fn f1(&self) -> Option<f64> {
        let (precision, recall) = (self.precision.unwrap_or(0.0), self.recall?);
        let sum = precision + recall;
        Some(if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 })
    }
}

impl Evaluation {
    /// Counts pairs of (true class, predicted class).
    ///
    /// # Panics
    /// If a class is not below `n_classes`.
    ///
    /// ```
    /// let evaluation = topgraft::learn::Evaluation::new(2, [(0, 0), (0, 1), (1, 1), (1, 1)]);
    /// assert_eq!(evaluation.accuracy(), 0.75);
    /// assert_eq!(evaluation.per_class()[1].precision, Some(2.0 / 3.0));
    /// ```
    pub fn new(n_classes: usize, pairs: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut confusion = vec![0; n_classes * n_classes];
        for (truth, predicted) in pairs {
            assert!(usize::from(predicted) < n_classes, "predicted class {predicted} of {n_classes}");
            confusion[usize::from(truth) * n_classes + usize::from(predicted)] += 1;
        }
        Self { n_classes, confusion }
    }

    /// Rows: the true class; columns: the predicted one.
    pub fn confusion(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.confusion.chunks_exact(self.n_classes.max(1))
    }

    /// Classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Samples.
    pub fn n_samples(&self) -> u32 {
        self.confusion.iter().sum()
    }

    /// Samples whose prediction is right.
    pub fn correct(&self) -> u32 {
        self.confusion().enumerate().map(|(class, row)| row[class]).sum()
    }

    /// Share of right predictions, 0..=1; NaN without samples.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.correct()) / f64::from(self.n_samples())
    }

    /// 95 % interval of the accuracy: [`wilson`].
    pub fn interval(&self) -> [f64; 2] {
        wilson(self.correct(), self.n_samples())
    }

    /// Samples of the largest class: what the naive model, which always says that class, gets right.
    pub fn majority(&self) -> u32 {
        self.confusion().map(|row| row.iter().sum()).max().unwrap_or(0)
    }

    /// Precision and recall of each class.
    pub fn per_class(&self) -> Vec<ClassReport> {
        let share = |part: u32, whole: u32| (whole > 0).then(|| f64::from(part) / f64::from(whole));
        let report = |(class, row): (usize, &[u32])| {
            let support = row.iter().sum();
            let predicted = self.confusion().map(|row| row[class]).sum();
            ClassReport { precision: share(row[class], predicted), recall: share(row[class], support), support }
        };
        self.confusion().enumerate().map(report).collect()
    }
}

/// 95 % score interval of a share, `[low, high]` in 0..=1 (Wilson 1927, "Probable inference, the law of succession, and
/// statistical inference"). Honest for few samples, where the usual plus-minus reaches beyond 0 and 1. Without samples: all of 0..=1.
pub fn wilson(correct: u32, n_samples: u32) -> [f64; 2] {
    if n_samples == 0 {
        return [0.0, 1.0];
    }
    wilson_of_share(f64::from(correct) / f64::from(n_samples), n_samples.into())
}

/// The 97.5 % point of the standard normal distribution.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// [`wilson`] of a share `p`, 0..=1, of `n` samples, which need not be whole numbers: means, and samples that depend on each
/// other, count for fewer.
pub(super) fn wilson_of_share(p: f64, n: f64) -> [f64; 2] {
    let center = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // Rounding can put a bound on the wrong side of the share itself, where all or none are right.
    [((center - half) / scale).clamp(0.0, p), ((center + half) / scale).clamp(p, 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_gives_the_published_intervals() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        for (correct, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let [l, h] = wilson(correct, n);
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{correct}/{n}: {l} {h}");
        }
        assert_eq!(wilson(0, 0), [0.0, 1.0]);
        for n in 1..2000 {
            assert_eq!((wilson(0, n)[0], wilson(n, n)[1]), (0.0, 1.0), "{n}");
            let [low, high] = wilson(n / 2, n);
            assert!(
                0.0 <= low
                    && low <= f64::from(n / 2) / f64::from(n)
                    && high >= 0.5 * f64::from(n / 2 * 2) / f64::from(n)
            );
        }
    }

    #[test]
    fn a_class_without_samples_or_predictions_has_no_share() {
        let evaluation = Evaluation::new(3, [(0, 0), (0, 1)]);
        let [a, b, c] = evaluation.per_class().try_into().expect("three classes");
        assert_eq!((a.precision, a.recall, a.support), (Some(1.0), Some(0.5), 2));
        assert_eq!((b.precision, b.recall, b.support), (Some(0.0), None, 0));
        assert_eq!((c.precision, c.recall, c.support), (None, None, 0));
        assert_eq!([a, b, c].map(|class| class.f1()), [Some(2.0 / 3.0), None, None]);
        assert_eq!((evaluation.correct(), evaluation.n_samples(), evaluation.majority()), (1, 2, 2));
        assert_eq!(evaluation.confusion().collect::<Vec<_>>(), [[1, 1, 0], [0; 3], [0; 3]]);
    }
}
