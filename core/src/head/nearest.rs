//! The head of k nearest neighbours: the samples themselves, in half precision.

use crate::kernel::Kernels;
use crate::math::{half, ln};

/// The most neighbours that are asked: their list stands on the stack.
pub const MAX_K: usize = 64;
/// Samples that a feature vector is compared with at a time.
const BLOCK: usize = 64;
/// Features that are squared at a time.
const PART: usize = 128;

/// Samples, of which the k that are nearest to a feature vector vote for its class.
///
/// Of a feature vector x and a sample's row r, widened exactly, the squared distance is `|x|² - 2 x·r + |r|²`. As `|x|²` is
/// the same for all samples, that sample is the nearest whose `2 x·r - |r|²` is largest, each of the two rounded to f32, and
/// their difference; of equally near samples the first. Of C classes, class c with `votes[c]` of the k nearest samples has
///
/// ```text
/// logit[c] = ln((votes[c] + 1 / C) / (k + 1))
/// ```
///
/// Their softmax are the shares of the votes, with one more vote that is spread over the classes: no class is impossible.
/// The same bits on every instruction set.
///
/// ```
/// use topgraft_core::head::Nearest;
/// use topgraft_core::{kernel::Kernels, math::{half::narrow, ln}};
/// let kernels = Kernels::detect();
/// let rows = [0.0, 1.0, 5.0].map(narrow);
/// let head = Nearest::new(kernels, [2, 1], 1, rows, [0, 0, 1], [0.0; 3])?;
/// let mut logits = [0.0; 2];
/// head.logits(kernels, &[4.5], &mut logits);
/// assert_eq!(logits, [ln(0.25), ln(0.75)]);
/// # Ok::<(), topgraft_core::head::NearestError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest<P, R, L = R> {
    n_classes: usize,
    feature_dim: usize,
    k: usize,
    rows: R,
    labels: L,
    squares: P,
}

/// Why samples make no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestError {
    /// A buffer whose length does not fit that of the labels.
    Length {
        /// Name of the buffer.
        what: &'static str,
        /// Its length.
        got: usize,
    },
    /// A number of neighbours that is 0, or more than the samples or [`MAX_K`].
    K {
        /// The number.
        k: usize,
        /// The most that there may be.
        most: usize,
    },
    /// A label that is no class.
    Label {
        /// Index of the sample.
        sample: usize,
    },
    /// A feature that is NaN or infinite.
    NotFinite {
        /// Index of the sample.
        sample: usize,
    },
}

impl core::fmt::Display for NearestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length { what, got } => write!(f, "{got} {what} do not fit the number of labels"),
            Self::K { k, most } => write!(f, "{k} neighbours: 1 to {most} can be asked"),
            Self::Label { sample } => write!(f, "sample {sample} has a label that is no class"),
            Self::NotFinite { sample } => write!(f, "sample {sample} has a feature that is not finite"),
        }
    }
}

impl core::error::Error for NearestError {}

impl<P: AsRef<[f32]> + AsMut<[f32]>, R: AsRef<[u16]>, L: AsRef<[u16]>> Nearest<P, R, L> {
    /// A head of `rows [n_samples, feature_dim]` of scaled features in the bits of IEEE 754 binary16, and `labels
    /// [n_samples]`; `squares [n_samples]`, of any content, is filled with `|r|²`. `k` neighbours are asked.
    ///
    /// # Errors
    /// [`NearestError`], the first thing that is wrong.
    pub fn new(
        kernels: Kernels,
        [n_classes, feature_dim]: [usize; 2],
        k: usize,
        rows: R,
        labels: L,
        mut squares: P,
    ) -> Result<Self, NearestError> {
        let (all, own) = (rows.as_ref(), labels.as_ref());
        if own.len().checked_mul(feature_dim) != Some(all.len()) {
            return Err(NearestError::Length { what: "features", got: all.len() });
        }
        if squares.as_ref().len() != own.len() {
            return Err(NearestError::Length { what: "squares", got: squares.as_ref().len() });
        }
        let most = own.len().min(MAX_K);
        if !(1..=most).contains(&k) {
            return Err(NearestError::K { k, most });
        }
        if let Some(sample) = own.iter().position(|label| usize::from(*label) >= n_classes) {
            return Err(NearestError::Label { sample });
        }
        if let Some(at) = all.iter().position(|bits| !half::is_finite(*bits)) {
            return Err(NearestError::NotFinite { sample: at / feature_dim.max(1) });
        }
        for (sample, square) in squares.as_mut().iter_mut().enumerate() {
            *square = squared_length(kernels, &all[sample * feature_dim..][..feature_dim]);
        }
        Ok(Self { n_classes, feature_dim, k, rows, labels, squares })
    }
}

impl<P: AsRef<[f32]>, R: AsRef<[u16]>, L: AsRef<[u16]>> Nearest<P, R, L> {
    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Neighbours that are asked.
    pub fn k(&self) -> usize {
        self.k
    }

    /// `[n_samples, feature_dim]`, in the bits of binary16.
    pub fn rows(&self) -> &[u16] {
        self.rows.as_ref()
    }

    /// `[n_samples]`
    pub fn labels(&self) -> &[u16] {
        self.labels.as_ref()
    }

    /// The same head over borrowed buffers.
    pub fn as_slices(&self) -> Nearest<&[f32], &[u16]> {
        let Self { n_classes, feature_dim, k, .. } = *self;
        Nearest { n_classes, feature_dim, k, rows: self.rows(), labels: self.labels(), squares: self.squares.as_ref() }
    }

    /// Logits `[n_samples, n_classes]` of scaled `features [n_samples, feature_dim]`; a row of NaN where features are so
    /// large that a distance is not finite.
    ///
    /// # Panics
    /// If the lengths are not whole rows of the same number of samples.
    pub fn logits(&self, kernels: Kernels, features: &[f32], logits: &mut [f32]) {
        let rows = logits.len() / self.n_classes;
        let fits = [Some(logits.len()), Some(features.len())]
            == [rows.checked_mul(self.n_classes), rows.checked_mul(self.feature_dim)];
        assert!(fits, "nearest: features and logits are not of the same samples");
        for (i, logits) in logits.chunks_exact_mut(self.n_classes).enumerate() {
            let mut found = [0; MAX_K];
            let found = &mut found[..self.k];
            match self.nearest(kernels, &features[i * self.feature_dim..][..self.feature_dim], None, found) {
                Some(count) => vote(found[..count].iter().map(|sample| self.labels()[*sample]), logits),
                None => logits.fill(f32::NAN),
            }
        }
    }

    /// Fills `found`, at most [`MAX_K`] long, with the indices of the samples nearest to scaled `features [feature_dim]`, the
    /// nearest first, as if the sample `without` were not there. How many there are, or `None` if a distance is not finite.
    ///
    /// # Panics
    /// If a slice's length does not fit.
    pub fn nearest(
        &self,
        kernels: Kernels,
        features: &[f32],
        without: Option<usize>,
        found: &mut [usize],
    ) -> Option<usize> {
        assert!(found.len() <= MAX_K, "nearest: more neighbours than MAX_K");
        let (mut nearness, mut count) = ([0.0; MAX_K], 0);
        let mut products = [0.0; BLOCK];
        for (block, squares) in self.squares.as_ref().chunks(BLOCK).enumerate() {
            let (first, products) = (block * BLOCK, &mut products[..squares.len()]);
            let rows = &self.rows()[first * self.feature_dim..][..squares.len() * self.feature_dim];
            kernels.gemv_f16([squares.len(), self.feature_dim], rows, features, products);
            for (i, (product, square)) in products.iter().zip(squares).enumerate() {
                let (sample, near) = (first + i, 2.0 * product - square);
                if Some(sample) == without {
                    continue;
                }
                if !near.is_finite() {
                    return None;
                }
                // Its place is behind all that are as near: they came before.
                let mut slot = count;
                while slot > 0 && near > nearness[slot - 1] {
                    slot -= 1;
                }
                if slot == found.len() {
                    continue;
                }
                count = found.len().min(count + 1);
                found.copy_within(slot..count - 1, slot + 1);
                nearness.copy_within(slot..count - 1, slot + 1);
                (found[slot], nearness[slot]) = (sample, near);
            }
        }
        Some(count)
    }
}

/// Turns the labels of the k nearest samples into logits `[n_classes]`: `ln((votes + 1 / n_classes) / (k + 1))`.
///
/// # Panics
/// If a label is no class.
pub fn vote(labels: impl Iterator<Item = u16>, logits: &mut [f32]) {
    logits.fill(0.0);
    let mut k = 0.0;
    for label in labels {
        logits[usize::from(label)] += 1.0;
        k += 1.0;
    }
    let share = 1.0 / logits.len() as f32;
    logits.iter_mut().for_each(|votes| *votes = ln((*votes + share) / (k + 1.0)));
}

/// `|r|²`: parts of [`PART`] features, each as [`Kernels::dot_f16`], added in order.
fn squared_length(kernels: Kernels, row: &[u16]) -> f32 {
    let mut wide = [0.0; PART];
    row.chunks(PART).fold(0.0, |sum, part| {
        wide.iter_mut().zip(part).for_each(|(wide, bits)| *wide = half::widen(*bits));
        sum + kernels.dot_f16(part, &wide[..part.len()])
    })
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::head::softmax;
    use std::vec::Vec;

    const SHAPE: [usize; 2] = [3, 7];

    /// `[n, 7]` numbers of few digits, so that the distances are exact, with equal rows among them.
    fn samples(n: usize) -> (Vec<f32>, Vec<u16>) {
        let rows = (0..n * 7).map(|i| ((i * i + i / 7) % 9) as f32 / 4.0 - 1.0).collect();
        (rows, (0..n as u16).map(|i| i % 3).collect())
    }

    fn head(rows: &[f32], labels: &[u16], k: usize) -> Nearest<Vec<f32>, Vec<u16>> {
        let rows = rows.iter().map(|x| half::narrow(*x)).collect();
        let squares = std::vec![f32::NAN; labels.len()];
        Nearest::new(Kernels::detect(), SHAPE, k, rows, labels.to_vec(), squares).expect("sound")
    }

    /// Against distances that are sorted in full.
    #[test]
    fn the_nearest_are_found_and_of_equally_near_ones_the_first() {
        let (rows, labels) = samples(150);
        let queries = samples(40).0.iter().map(|x| x + 0.25).collect::<Vec<_>>();
        for k in [1, 2, 5, MAX_K] {
            let head = head(&rows, &labels, k);
            for query in queries.chunks_exact(7) {
                let distance = |sample: &usize| -> f32 {
                    query.iter().zip(&rows[7 * sample..]).map(|(a, b)| (a - b) * (a - b)).sum()
                };
                for without in [None, Some(3), Some(149)] {
                    let mut expected: Vec<usize> = (0..150).filter(|sample| Some(*sample) != without).collect();
                    expected.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
                    let mut found = std::vec![0; k];
                    assert_eq!(head.nearest(Kernels::detect(), query, without, &mut found), Some(k));
                    assert_eq!(found, expected[..k]);
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let rows: Vec<u16> = (0..70 * 300).map(|i: usize| half::narrow((i as f32 * 0.37).sin())).collect();
        let labels: Vec<u16> = (0..70).map(|i| i % 5).collect();
        let queries: Vec<f32> = (0..3 * 300).map(|i| (i as f32 * 0.11).cos()).collect();
        let of = |kernels| {
            let head = Nearest::new(kernels, [5, 300], 9, rows.as_slice(), labels.as_slice(), [0.0; 70]);
            let (head, mut logits) = (head.expect("sound"), [0.0; 15]);
            head.logits(kernels, &queries, &mut logits);
            (head.squares.map(f32::to_bits), logits.map(f32::to_bits))
        };
        let scalar = of(Kernels::available().next().expect("scalar"));
        Kernels::available().for_each(|kernels| assert_eq!(of(kernels), scalar, "{kernels:?}"));
    }

    #[test]
    fn logits_are_shares_of_the_votes_and_one_more_that_is_spread() {
        let head = head(&[0.0; 28], &[2, 0, 2, 1], 3);
        let mut p = [0.0; 6];
        head.logits(Kernels::detect(), &[1.0; 14], &mut p);
        p.chunks_exact_mut(3).for_each(softmax);
        // All are equally near, so the first three vote: none for class 1.
        let expected = [4.0, 1.0, 7.0].map(|thirds| thirds / 12.0);
        assert!(
            p.iter().zip(expected.repeat(2)).all(|(p, expected): (&f32, f32)| (p - expected).abs() < 1e-6),
            "{p:?}"
        );
    }

    #[test]
    fn features_that_are_too_large_have_no_logits() {
        let (rows, labels) = samples(5);
        let mut logits = [0.0; 3];
        for x in [f32::NAN, f32::INFINITY, 3e38] {
            head(&rows, &labels, 1).logits(Kernels::detect(), &[x; 7], &mut logits);
            assert!(logits.iter().all(|z| z.is_nan()), "{x}: {logits:?}");
        }
    }

    #[test]
    fn samples_that_make_no_head_are_refused() {
        let new = |k, rows: &[u16], labels: &[u16], squares: usize| {
            let squares = std::vec![0.0; squares];
            Nearest::new(Kernels::detect(), [2, 2], k, rows, labels, squares).map(|head| head.k())
        };
        let rows = [0x3c00; 4];
        assert_eq!(new(2, &rows, &[0, 1], 2), Ok(2));
        assert_eq!(new(2, &rows[1..], &[0, 1], 2), Err(NearestError::Length { what: "features", got: 3 }));
        assert_eq!(new(2, &rows, &[0, 1], 1), Err(NearestError::Length { what: "squares", got: 1 }));
        assert_eq!(new(0, &rows, &[0, 1], 2), Err(NearestError::K { k: 0, most: 2 }));
        assert_eq!(new(3, &rows, &[0, 1], 2), Err(NearestError::K { k: 3, most: 2 }));
        let many = new(65, &[0; 200], &[0; 100], 100);
        assert_eq!(many, Err(NearestError::K { k: 65, most: MAX_K }));
        assert_eq!(new(1, &rows, &[0, 2], 2), Err(NearestError::Label { sample: 1 }));
        assert_eq!(new(1, &[0, 0, 0x7c00, 0], &[0, 1], 2), Err(NearestError::NotFinite { sample: 1 }));
        assert!(std::format!("{}", many.expect_err("too many")).contains("1 to 64"));
    }
}
