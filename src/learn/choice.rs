//! Which scaling, and which kind of head: those are taken that do best on samples that they have not seen.

use ndarray::ArrayView2;
use topgraft_core::solver::FitError;

use super::fit::Settings;
use super::heads::LeftOut;
use super::scaling::{Scaled, Scaling};

/// Heads that were asked for samples that they have not seen.
struct Candidate {
    scaling: Scaling,
    left_out: LeftOut,
}

/// The scaling, and the kind with what it says of left-out samples, of the least left-out log-loss; but the first of both,
/// unless another one is better by more than the standard error of the difference: with few samples the least loss is a
/// matter of luck (Breiman et al. 1984, "Classification and regression trees", the one standard error rule).
///
/// In two steps, as all pairs would take long: the scaling with the first kind, then the kind with that scaling. What is
/// reported is honest about both: each sample is answered by the pair that is chosen from all the others.
///
/// # Errors
/// [`FitError`] of the first pair. Another one that cannot be fitted, e.g. features too large for the sums of prototypes, is no
/// candidate.
///
/// # Panics
/// If there is no scaling or no kind.
pub(super) fn choose(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    weights: Option<&[f32]>,
    n_classes: usize,
    Settings { scalings, kinds, .. }: &Settings<'_>,
) -> Result<(Scaling, LeftOut), FitError> {
    let n = labels.len();
    let mut candidates = Vec::new();
    for scaling in *scalings {
        match Scaled::new(features, *scaling).samples(labels, weights, n_classes).left_out(kinds[0]) {
            Ok(left_out) => candidates.push(Candidate { scaling: *scaling, left_out }),
            Err(error) if candidates.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    let contest = Contest::new(&candidates, n);
    let all = |_: &Candidate| true;
    let chosen = candidates[contest.winner(None, all)].scaling;
    let without: Vec<Scaling> = (0..n).map(|sample| candidates[contest.winner(Some(sample), all)].scaling).collect();

    // The second step, also with scalings that only some of the samples are answered with.
    let asked = scalings.iter().filter(|scaling| **scaling == chosen || without.contains(scaling));
    // Logits are asked of the winner alone.
    let may_win = |index: usize, scaling: Scaling| index == 0 || scaling == chosen;
    for (index, candidate) in candidates.iter_mut().enumerate() {
        if !may_win(index, candidate.scaling) {
            candidate.left_out.logits = Vec::new();
        }
    }
    for scaling in asked.filter(|_| kinds.len() > 1) {
        let scaled = Scaled::new(features, *scaling);
        for kind in &kinds[1..] {
            let Ok(mut left_out) = scaled.samples(labels, weights, n_classes).left_out(*kind) else { continue };
            if *scaling != chosen {
                left_out.logits = Vec::new();
            }
            candidates.push(Candidate { scaling: *scaling, left_out });
        }
    }
    let contest = Contest::new(&candidates, n);
    let with = |scaling: Scaling| move |candidate: &Candidate| candidate.scaling == scaling;
    let winner = &candidates[contest.winner(None, with(chosen))];
    let (scaling, mut left_out) = (winner.scaling, winner.left_out.clone());
    for (sample, scaling) in without.into_iter().enumerate() {
        let other = &candidates[contest.winner(Some(sample), with(scaling))];
        left_out.predictions[sample] = other.left_out.predictions[sample];
    }
    Ok((scaling, left_out))
}

/// Candidates beside the first of them.
struct Contest<'a> {
    candidates: &'a [Candidate],
    n: usize,
    /// Of each candidate: sum and sum of squares of what it gains over the first, over all samples.
    sums: Vec<[f64; 2]>,
}

impl<'a> Contest<'a> {
    fn new(candidates: &'a [Candidate], n: usize) -> Self {
        let mut contest = Self { candidates, n, sums: Vec::new() };
        let sum = |i: usize| {
            let gains = (0..n).map(|sample| contest.gain(i, sample));
            gains.fold([0.0; 2], |[sum, squares], gain| [sum + gain, squares + gain * gain])
        };
        contest.sums = (0..candidates.len()).map(sum).collect();
        contest
    }

    /// Log-loss of a sample that a candidate saves beside the first one.
    fn gain(&self, candidate: usize, sample: usize) -> f64 {
        self.candidates[0].left_out.loss(sample) - self.candidates[candidate].left_out.loss(sample)
    }

    /// Mean gain over all samples, or all but one, and its standard error.
    fn mean_and_error(&self, candidate: usize, without: Option<usize>) -> (f64, f64) {
        let count = (self.n - usize::from(without.is_some())).max(1) as f64;
        let own = without.map_or(0.0, |sample| self.gain(candidate, sample));
        let [sum, squares] = self.sums[candidate];
        let mean = (sum - own) / count;
        let variance = ((squares - own * own) / count - mean * mean).max(0.0);
        (mean, (variance / count).sqrt())
    }

    /// Index of the best of those that `may` win and are clearly better than the first one; else the first one.
    fn winner(&self, without: Option<usize>, may: impl Fn(&Candidate) -> bool) -> usize {
        let eligible = (0..self.candidates.len()).filter(|i| may(&self.candidates[*i]));
        let gains = eligible.map(|i| (i, self.mean_and_error(i, without)));
        let clear = gains.filter(|(_, (mean, error))| mean > error);
        clear.fold((0, 0.0), |best, (i, (mean, _))| if mean > best.1 { (i, mean) } else { best }).0
    }
}

#[cfg(test)]
mod tests {
    use super::super::heads::tests::samples;
    use super::*;
    use ndarray::Array2;
    use topgraft_core::head::Kind;

    fn is_clear(first: &LeftOut, other: &LeftOut, n: usize) -> bool {
        let gains: Vec<f64> = (0..n).map(|sample| first.loss(sample) - other.loss(sample)).collect();
        let mean = gains.iter().sum::<f64>() / n as f64;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / n as f64;
        mean > (variance / n as f64).sqrt()
    }

    #[test]
    fn another_kind_is_taken_where_it_is_clearly_better_and_only_there() {
        let (noise, labels) = samples(30, 4.0);
        // Two noisy classes of very unequal spread in many directions: what LDA's covariance is made for.
        let mut skewed = noise.clone();
        for row in skewed.chunks_exact_mut(40) {
            row[20..].iter_mut().for_each(|x| *x *= 30.0);
        }
        let mut taken = Vec::new();
        for rows in [noise, skewed] {
            let features = Array2::from_shape_vec((30, 40), rows).expect("a shape");
            let settings = Settings { scalings: &[Scaling::None], ..Settings::default() };
            let (_, best) = choose(features.view(), &labels, None, 3, &settings).expect("fits");
            let scaled = Scaled::new(features.view(), Scaling::None);
            let left_out = Kind::LINEAR.map(|kind| scaled.samples(&labels, None, 3).left_out(kind).expect("fits"));
            let clear = left_out.each_ref().map(|other| is_clear(&left_out[0], other, 30));
            assert_eq!(best.kind != Kind::Softmax, clear.contains(&true), "{:?} {clear:?}", best.kind);
            taken.push(best.kind);
        }
        assert!(taken.contains(&Kind::Softmax) || taken[0] != taken[1], "{taken:?}");
    }

    /// Classes that differ by the length of the features alone, which scaling to length 1 takes away; and classes that
    /// differ in direction.
    #[test]
    fn another_scaling_is_taken_where_it_is_clearly_better_and_only_there() {
        let labels: Vec<u16> = (0..40).map(|i| i % 2).collect();
        let mut state = 5u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let choice = |features: &Array2<f32>| {
            let kinds = &[Kind::Softmax, Kind::Ridge];
            let settings = Settings { scalings: &Scaling::ALL, kinds, ..Settings::default() };
            choose(features.view(), &labels, None, 2, &settings).expect("fits")
        };
        let lengths = Array2::from_shape_fn((40, 6), |(i, _)| (1.0 + (i % 2) as f32) * (2.0 + 0.3 * noise()));
        let (scaling, left_out) = choice(&lengths);
        assert_ne!(scaling, Scaling::L2);
        assert_eq!((&left_out.predictions, left_out.logits.len()), (&labels, 80));
        let directions = Array2::from_shape_fn((40, 6), |(i, j)| f32::from(j as u16 % 2 == labels[i]) + 0.2 * noise());
        let (scaling, left_out) = choice(&directions);
        assert_eq!(left_out.predictions, labels);
        let loss = |scaling| {
            let scaled = Scaled::new(directions.view(), scaling);
            scaled.samples(&labels, None, 2).left_out(Kind::Softmax).expect("fits")
        };
        let first = loss(Scaling::L2);
        let clear = Scaling::ALL.map(|scaling| is_clear(&first, &loss(scaling), 40));
        assert_eq!(scaling != Scaling::L2, clear.contains(&true), "{scaling:?} {clear:?}");
    }

    /// Labels that have nothing to do with the features: with many candidates one seems good by luck, and the estimate must
    /// not believe it.
    #[test]
    fn the_choice_among_many_finds_nothing_in_noise() {
        let (n, d) = (90, 60);
        let mut state = 77u32;
        let features = Array2::from_shape_fn((n, d), |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.3
        });
        let labels: Vec<u16> = (0..n as u16).map(|i| i % 2).collect();
        let settings = Settings { scalings: &Scaling::ALL, ..Settings::default() };
        let (_, left_out) = choose(features.view(), &labels, None, 2, &settings).expect("fits");
        let right = left_out.predictions.iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert!((right as f64 / n as f64 - 0.5).abs() < 0.17, "{right} of {n}");
    }
}
