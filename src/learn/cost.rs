//! What a fit will take, said before it starts: memory from the lengths that the solvers state, time from the work.

use std::time::{Duration, Instant};

use topgraft_core::head::{Kind, parameter_count};
use topgraft_core::kernel::{Kernels, LANES};
use topgraft_core::solver::softmax::dual::{self, Inverse};
use topgraft_core::solver::softmax::{self, GRAM_LIMIT};
use topgraft_core::solver::{lda, ridge};

use super::cross_validation::{L2_GRID, folds_for};
use super::fit::Settings;
use super::heads::{RIDGE_PATH, SHRINKAGE};
use super::neighbours::NEIGHBOURS;
use super::subsets::width;
use super::{curve, rejection, review};

/// Small things that are kept for a sample: its fold, its place in lists of samples, and the like, bytes.
const SMALL_THINGS: f64 = 160.0;
/// The same for a sample on each core.
const SMALL_THINGS_OF_A_CORE: f64 = 32.0;
/// Passes of softmax regression from nothing, of which docs/performance.md counts 20 to 50, and from an optimum nearby,
/// which the weakest penalties need nearly as many of.
const COLD_PASSES: f64 = 30.0;
const WARM_PASSES: f64 = 25.0;

/// What a fit with all that belongs to it takes: the choice of its settings, the threshold of `unknown`, the learning curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Most that is allocated at the same time beyond the features, bytes: the sum of the buffers' lengths, which are known,
    /// and an allowance of some hundred bytes a sample for small things.
    pub bytes: u64,
    /// Multiply-adds on the busiest core; about.
    pub multiply_adds: f64,
}

impl Cost {
    /// Of [`fit_with`](super::fit_with), [`held_out_auroc`](super::held_out_auroc) and
    /// [`learning_curve`](super::learning_curve), for classes of `counts` samples and some `settings`, on as many `threads`
    /// as rayon has.
    ///
    /// ```
    /// use topgraft::learn::{Cost, Settings};
    /// let [small, large] = [5, 50].map(|shots| Cost::of_fit(&[shots; 4], 1280, &Settings::default(), 2));
    /// assert!(small.bytes < large.bytes && large.bytes < 10_000_000);
    /// ```
    pub fn of_fit(counts: &[usize], feature_dim: usize, settings: &Settings<'_>, threads: usize) -> Self {
        let Settings { scalings, kinds, .. } = *settings;
        let fit = Fit::new(counts, feature_dim, threads);
        let worst = |cost: &dyn Fn(Kind) -> f64| kinds.iter().map(|kind| cost(*kind)).fold(0.0, f64::max);
        // All logits of the first step, or of the second those of the kinds, and of the one that was taken twice.
        let logits = (scalings.len().max(kinds.len() + 1) + 1) as f64 * floats(fit.n.checked_mul(fit.classes));
        let kept = logits + 10.0 * fit.n as f64 * (scalings.len() * kinds.len()) as f64;
        let choice = fit.rows() + kept + worst(&|kind| fit.left_out(kind));
        let last = fit.rows() + kept + worst(&|kind| fit.one(kind, fit.n).max(fit.samples(kind) + fit.novelty()));
        let after =
            fit.left_out_logits() + fit.novelty() + worst(&|kind| fit.samples(kind) + fit.smaller_heads(kind, counts));
        let bytes = choice.max(last).max(after) + fit.small_things();
        let kind = |kind: &Kind| fit.work_of_left_out(*kind);
        let tries = scalings.len() as f64 * kind(&kinds[0]) + kinds[1..].iter().map(kind).sum::<f64>();
        Self { bytes: bytes as u64, multiply_adds: tries + worst(&|kind| fit.work_of_smaller_heads(kind, counts)) }
    }

    /// Of what `review` does: [`fit`](super::fit), then [`near_duplicates`](super::near_duplicates), but for the list of these.
    pub fn of_review(counts: &[usize], feature_dim: usize, threads: usize) -> Self {
        let fit = Fit::new(counts, feature_dim, threads);
        let choice = Self::of_fit(counts, feature_dim, &Settings::default(), threads);
        let at_once = threads.min(fit.n.div_ceil(review::BLOCK)) as f64;
        let blocks = at_once * floats(fit.n.checked_mul(review::BLOCK.min(fit.n)));
        let cosines = fit.left_out_logits() + fit.novelty() + fit.rows() + blocks + fit.small_things();
        let pairs = fit.n as f64 * fit.rows() / 4.0 / threads.max(1) as f64;
        Self { bytes: choice.bytes.max(cosines as u64), multiply_adds: choice.multiply_adds + pairs }
    }

    /// About how long that is on this machine, whose speed a product of small matrices tells in a few milliseconds.
    pub fn duration(&self) -> Duration {
        let (m, n, k) = (64, 64, 512);
        let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; n * k], vec![0.0; m * n]);
        let product = || {
            let start = Instant::now();
            Kernels::detect().gemm_nt([m, n, k], &a, &b, &mut c);
            start.elapsed().as_secs_f64()
        };
        // The least of a few: others use the machine, too.
        let seconds = std::iter::repeat_with(product).take(8).fold(f64::INFINITY, f64::min);
        let rate = (m * n * k) as f64 / seconds.max(1e-9);
        Duration::try_from_secs_f64(self.multiply_adds / rate).unwrap_or(Duration::MAX)
    }
}

/// A fit; all that its methods give are bytes or multiply-adds.
struct Fit {
    n: usize,
    classes: usize,
    dim: usize,
    threads: usize,
}

/// Bytes of a buffer of floats; infinite where its length overflows.
fn floats(len: Option<usize>) -> f64 {
    len.map_or(f64::INFINITY, |len| 4.0 * len as f64)
}

impl Fit {
    fn new(counts: &[usize], dim: usize, threads: usize) -> Self {
        Self { n: counts.iter().sum(), classes: counts.len(), dim, threads: threads.max(1) }
    }

    /// The scaled features.
    fn rows(&self) -> f64 {
        floats(self.n.checked_mul(self.dim))
    }

    fn small_things(&self) -> f64 {
        let per_sample = SMALL_THINGS + SMALL_THINGS_OF_A_CORE * self.threads as f64;
        65536.0 + per_sample * self.n as f64 + 256.0 * self.classes as f64
    }

    /// [`LeftOut`](super::LeftOut): logits, predictions, losses.
    fn left_out_logits(&self) -> f64 {
        floats(self.n.checked_mul(self.classes)) + 10.0 * self.n as f64
    }

    fn head(&self) -> f64 {
        floats(parameter_count(self.classes, self.dim))
    }

    fn novelty(&self) -> f64 {
        let means = floats(self.classes.checked_mul(self.dim));
        means * 1.5 + floats((self.threads * self.classes).checked_mul(rejection::BLOCK))
    }

    /// The samples that a head of nearest neighbours is made of: numbers of 16 bits, labels, squared lengths.
    fn samples(&self, kind: Kind) -> f64 {
        if kind == Kind::Nearest { self.rows() / 2.0 + 6.0 * self.n as f64 } else { 0.0 }
    }

    /// Head and scratch of a fit to at most `n` samples.
    fn one(&self, kind: Kind, n: usize) -> f64 {
        let (classes, dim) = (self.classes, self.dim);
        let softmax = |n| floats(softmax::scratch_len(n, classes, dim));
        let scratch = match kind {
            // Below the limit of samples whose inner products are all computed, fewer of them can take more.
            Kind::Softmax => softmax(n).max(softmax(n.min(GRAM_LIMIT).min(dim))),
            Kind::Ridge => softmax(0) + floats(ridge::scratch_len(n, classes, dim)),
            Kind::Lda => softmax(0) + floats(lda::scratch_len(n, classes, dim)),
            Kind::Prototype => softmax(0) + 2.0 * floats(classes.checked_mul(dim)),
            Kind::Nearest => return Self { n, ..*self }.samples(kind),
        };
        self.head() + scratch
    }

    /// Folds, and how many of them are fitted at the same time.
    fn folds(&self) -> (f64, f64) {
        let folds = folds_for(self.n);
        (folds as f64, folds.min(self.threads) as f64)
    }

    /// Choice of a kind's setting, and its left-out logits.
    fn left_out(&self, kind: Kind) -> f64 {
        let Self { n, classes, dim, .. } = *self;
        let (_, running) = self.folds();
        let logits = floats(n.checked_mul(classes));
        let by_folds = 2.0 * logits + running * (self.one(kind, n) + floats(Some(n)));
        match kind {
            Kind::Softmax => self.cross_validation(),
            Kind::Ridge => logits + self.head() + floats(ridge::path_scratch_len(n, classes, dim, RIDGE_PATH.0)),
            Kind::Lda => by_folds.max(floats(lda::choose_scratch_len(n, classes, dim))),
            Kind::Prototype => by_folds,
            // Labels of the nearest; of each number of neighbours predictions and losses, of one logits.
            Kind::Nearest => self.samples(kind) + logits + (54.0 + 10.0 * NEIGHBOURS.len() as f64) * n as f64,
        }
    }

    /// Of softmax regression: `cross_validate`.
    fn cross_validation(&self) -> f64 {
        let Self { n, classes, dim, .. } = *self;
        let (folds, running) = self.folds();
        // The weights of each fold; logits of the best penalty and of the one that is tried.
        let kept = folds * floats(Some(n)) + 2.0 * floats(n.checked_mul(classes));
        let square = floats(n.checked_mul(n));
        if self.in_span() {
            let centred = self.rows() + floats(Some(dim)) + square;
            let optimum = floats(dual::point_len(n, classes)) + floats(Inverse::buffer_len(n));
            let scratch = floats(dual::scratch_len(n, classes));
            return centred.max(kept + square + optimum + running * (scratch + optimum));
        }
        let one = self.head() + floats(softmax::scratch_len(n, classes, dim));
        kept + self.head() + running * (self.head() + one)
    }

    /// Whether softmax regression is fitted from inner products.
    fn in_span(&self) -> bool {
        self.n <= GRAM_LIMIT && self.n <= self.dim
    }

    /// The same samples as `Subsets` has them: softmax regression in their span.
    fn subsets(&self, kind: Kind) -> Self {
        let in_span = kind == Kind::Softmax && self.n < self.dim;
        Self { dim: if in_span { self.n.next_multiple_of(LANES) } else { self.dim }, ..*self }
    }

    /// Heads of fewer samples or classes: `Subsets`, and what is fitted to them.
    fn smaller_heads(&self, kind: Kind, counts: &[usize]) -> f64 {
        let rows = self.subsets(kind).rows();
        let square = floats(self.n.checked_mul(self.n));
        let building = match kind == Kind::Softmax && self.n < self.dim {
            // The centred samples and their inner products; then the span's directions in 64 bits, and the coordinates.
            true => self.rows() + square + self.rows().max(2.0 * square + rows),
            false => self.rows(),
        };
        let at_once = |tasks: usize| self.threads.min(tasks) as f64;
        let one = |subset: &Self, trained: usize| {
            // The samples that are taught and asked, and what the head says of them.
            subset.one(kind, trained) + subset.rows() + floats(self.n.checked_mul(self.classes))
        };
        let trained = self.n - self.n / 5 + self.classes;
        let [auroc, curve] = self.shortened(kind, counts);
        let auroc = auroc.map_or(0.0, |subset| rows + at_once(self.classes) * one(&subset, trained.min(self.n)));
        let curve = curve.map_or(0.0, |subset| {
            let largest = curve::Plan::new(counts, 0).taken.last().copied().unwrap_or(0);
            rows + at_once(8) * one(&subset, largest)
        });
        building.max(auroc).max(curve)
    }

    /// The samples of [`rejection::held_out_auroc`] and of the curve, each with no more dimensions than they may have there
    /// before it would take too long; `None` where it is not done at all.
    fn shortened(&self, kind: Kind, counts: &[usize]) -> [Option<Self>; 2] {
        let subset = self.subsets(kind);
        let within = |limit: u64, work: u64| {
            // The span may have fewer dimensions than samples, if some depend on others; other features have what they have.
            let dim = (limit as f64 / work.max(1) as f64) as usize;
            let shorter = subset.dim != self.dim && dim >= LANES;
            (dim >= subset.dim || shorter).then_some(Self { dim: dim.min(subset.dim), ..subset })
        };
        let pass = (self.n as u64).saturating_mul(width(kind, self.n, self.classes) as u64);
        let auroc = pass.saturating_mul((rejection::FOLDS * self.classes) as u64);
        let plan = curve::Plan::new(counts, pass.saturating_mul(1000));
        let auroc = if self.classes < 3 { None } else { within(rejection::WORK_LIMIT, auroc) };
        [auroc, if plan.taken.is_empty() { None } else { within(curve::WORK_LIMIT, plan.work / 1000) }]
    }

    fn work_of_left_out(&self, kind: Kind) -> f64 {
        let Self { n, classes, dim, threads } = *self;
        let (n, classes, dim, threads) = (n as f64, classes as f64, dim as f64, threads as f64);
        let (folds, _) = self.folds();
        let rank = n.min(dim);
        match kind {
            Kind::Softmax if self.in_span() => {
                // A pass goes over the inner products and over the preconditioner, at half the speed of large products, and
                // over the history of steps. The preconditioner is made anew, or for a fold of one sample changed.
                let pass = 4.0 * n * n * classes + 400.0 * n * classes;
                let renewal = if folds == n { 2.0 * n * n } else { n * n * n / 3.0 };
                let all = COLD_PASSES * pass + 1.5 * n * n * n;
                n * n * dim / 2.0 + L2_GRID.len() as f64 * (all + folds / threads * (WARM_PASSES * pass + renewal))
            }
            Kind::Softmax => {
                let pass = 2.0 * n * dim * classes + n.min(512.0) * (dim * classes * 2.0);
                L2_GRID.len() as f64 * (COLD_PASSES * pass + folds / threads * WARM_PASSES * pass)
            }
            Kind::Ridge => {
                n * dim * rank + 2.0 * rank * rank * rank + RIDGE_PATH.0 as f64 * n * rank * (24.0 + classes)
            }
            Kind::Lda => {
                let choice = 2.0 * n * dim * rank + 2.0 * rank * rank * rank;
                let path = SHRINKAGE.len() as f64 * n * rank * (24.0 + classes);
                choice + path + folds / threads * (n * dim * rank / 2.0 + rank * rank * rank / 6.0)
            }
            Kind::Prototype => folds / threads * 4.0 * n * dim,
            // A row of 16 bits is read anew for each sample: half the speed of large products.
            Kind::Nearest => 2.0 * n * n * dim / threads,
        }
    }

    fn work_of_smaller_heads(&self, kind: Kind, counts: &[usize]) -> f64 {
        let (n, threads) = (self.n as f64, self.threads as f64);
        // In 64 bits, without the kernels, and for both.
        let span = if self.subsets(kind).dim == self.dim { 0.0 } else { 2.0 * n * n * n };
        let [auroc, curve] = self.shortened(kind, counts);
        let width = width(kind, self.n, self.classes) as u64;
        let pass = |subset: &Self| (subset.n as u64).saturating_mul(width).saturating_mul(subset.dim as u64);
        let auroc = auroc.map_or(0.0, |subset| pass(&subset) as f64 * (rejection::FOLDS * self.classes) as f64);
        let curve = curve.map_or(0.0, |subset| curve::Plan::new(counts, pass(&subset)).work as f64);
        span + 2.0 * COLD_PASSES * (auroc + curve) / threads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_samples_features_classes_and_cores_take_more() {
        let bytes = |counts: &[usize], dim, threads| Cost::of_fit(counts, dim, &Settings::default(), threads).bytes;
        let base = bytes(&[20; 5], 1280, 2);
        for more in
            [bytes(&[40; 5], 1280, 2), bytes(&[20; 5], 2560, 2), bytes(&[20; 10], 1280, 2), bytes(&[20; 5], 1280, 4)]
        {
            assert!(more > base, "{more} {base}");
        }
        let work = |threads| Cost::of_fit(&[20; 5], 1280, &Settings::default(), threads).multiply_adds;
        assert!(work(4) < work(1) && work(1) < 4.0 * work(4));
    }

    #[test]
    fn what_no_memory_holds_is_the_largest_number() {
        let cost = Cost::of_fit(&[usize::MAX / 64; 2], 1280, &Settings::default(), 2);
        assert_eq!((cost.bytes, cost.duration() > Duration::from_secs(1 << 30)), (u64::MAX, true));
    }

    #[test]
    fn a_review_takes_no_less_than_a_fit_and_grows_with_the_square_of_the_samples() {
        let review = Cost::of_review(&[30; 3], 64, 2);
        assert!(review.bytes >= Cost::of_fit(&[30; 3], 64, &Settings::default(), 2).bytes);
        let [once, twice] = [20_000, 40_000].map(|n| Cost::of_review(&[n; 2], 32, 2).multiply_adds);
        assert!(twice > 3.0 * once);
    }
}
