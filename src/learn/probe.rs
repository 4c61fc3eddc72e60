//! How much of a backbone to use: what each of several cuts is worth for some photos, and what it costs.

use std::time::{Duration, Instant};

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate};
use topgraft_core::preprocess::Preprocess;

use super::fit::{Fitted, LearnError, Settings, fit_with};
use crate::trunk::{Backbone, CutError, Part, RunError, Tap, Taps};

/// Passes that are timed; their median counts.
const TIMED: usize = 5;

/// A cut, and what a head on its features is worth.
#[derive(Clone, Debug)]
pub struct Probed {
    /// What is read there.
    pub tap: Tap,
    /// The head, fitted and measured as `learn` does.
    pub fitted: Fitted,
}

impl Probed {
    /// Left-out accuracy, 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.fitted.evaluation.accuracy()
    }
}

/// Features of some samples at several cuts.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    /// The cuts.
    pub taps: &'a [Tap],
    /// `[n_samples, feature_dim]`: those of the first cut, then those of the next one ..., as [`Taps::features`] gives them.
    pub features: ArrayView2<'a, f32>,
    /// `[n_samples]`
    pub labels: &'a [u16],
    /// Classes.
    pub n_classes: usize,
}

impl Readings<'_> {
    /// `[n_samples, feature_dim]` of a cut that is one of these, or joins some of them; `None` if it is not.
    pub fn of(&self, tap: &Tap) -> Option<Array2<f32>> {
        let starts = self.taps.iter().scan(0, |end, tap| {
            *end += tap.feature_dim();
            Some((tap, *end - tap.feature_dim()))
        });
        let columns =
            |start: usize, tap: &Tap| self.features.slice_axis(Axis(1), (start..start + tap.feature_dim()).into());
        if let Some((tap, start)) = starts.clone().find(|(other, _)| *other == tap) {
            // Rows that lie close together are read much faster than those of a wide table.
            return Some(columns(start, tap).to_owned());
        }
        let part = |part: &Part| {
            let (tap, start) = starts.clone().find(|(tap, _)| tap.only() == Some(part))?;
            Some(columns(start, tap))
        };
        let parts = tap.parts().iter().map(part).collect::<Option<Vec<_>>>()?;
        Some(concatenate(Axis(1), &parts).expect("as many rows"))
    }

    /// Fits a head to the features of each cut. `done` is called after each.
    ///
    /// # Errors
    /// As [`fit_with`].
    pub fn probe(&self, settings: &Settings<'_>, done: impl Fn()) -> Result<Vec<Probed>, LearnError> {
        let fit = |tap| {
            let probed = self.fit(tap, settings);
            done();
            probed
        };
        self.taps.iter().map(fit).collect()
    }

    /// Fits a head to the two best of `probed`, which [`probe`](Self::probe) has given, read together: another layer may see what
    /// the best one has lost. `None` if all are of one layer.
    ///
    /// # Errors
    /// As [`fit_with`].
    ///
    /// # Panics
    /// If `probed` are of other cuts.
    pub fn probe_joined(&self, probed: &[Probed], settings: &Settings<'_>) -> Result<Option<Probed>, LearnError> {
        let mut ranked: Vec<usize> = (0..probed.len()).collect();
        ranked.sort_by(|&a, &b| probed[b].accuracy().total_cmp(&probed[a].accuracy()));
        let layers = |at: usize| probed[at].tap.parts().iter().map(|part| &part.layer.output);
        let mut others = ranked.iter().skip(1);
        let second = others.find(|&&at| layers(at).all(|layer| layers(ranked[0]).all(|other| other != layer)));
        let Some(&second) = second else { return Ok(None) };
        let (first, second) = (ranked[0].min(second), ranked[0].max(second));
        let joined = probed[first].tap.joined(&probed[second].tap);
        // Cuts that are joined already are no parts of another.
        let joined = joined.filter(|_| [first, second].iter().all(|at| probed[*at].tap.only().is_some()));
        joined.map(|tap| self.fit(&tap, settings)).transpose()
    }

    fn fit(&self, tap: &Tap, settings: &Settings<'_>) -> Result<Probed, LearnError> {
        let features = self.of(tap).expect("is one of these");
        let fitted = fit_with(features.view(), self.labels, self.n_classes, settings)?;
        Ok(Probed { tap: tap.clone(), fitted })
    }
}

/// Standard errors by which another cut must be better than the deepest to be preferred to it: with two dozen cuts to look at,
/// one in thirty times one of them is that by chance.
const CLEARLY: f64 = 3.0;

/// The cut to take: the deepest, unless others have a clearly lower log-loss on left-out samples, by three standard errors of the
/// difference, sample by sample; of these the cheapest that is within one standard error of the best, and of those that cost the
/// same the best. `None` without cuts.
///
/// The usual rule, the cheapest within one standard error of the best of all (Breiman et al. 1984, "Classification and regression
/// trees"), loses 14 points of accuracy with five photos of two classes (docs/source-models.md): so few cannot show that a cheap cut is worse, and
/// among many cuts one looks good by chance (docs/source-models.md).
pub fn recommended(probed: &[Probed]) -> Option<usize> {
    let losses = |probed: &Probed| {
        let samples = 0..probed.fitted.evaluation.n_samples() as usize;
        samples.map(|sample| probed.fitted.left_out.loss(sample)).collect::<Vec<f64>>()
    };
    let losses: Vec<Vec<f64>> = probed.iter().map(losses).collect();
    let costs: Vec<u64> = probed.iter().map(|probed| probed.tap.multiply_adds()).collect();
    choose(&losses, &costs)
}

/// [`recommended`], from the losses of each cut's left-out samples and its cost.
fn choose(losses: &[Vec<f64>], costs: &[u64]) -> Option<usize> {
    let mean = |at: usize| losses[at].iter().sum::<f64>();
    let worse = |at: usize, than: usize| mean_and_error(losses[at].iter().zip(&losses[than]).map(|(a, b)| a - b));
    let deepest = (0..costs.len()).rev().max_by_key(|at| costs[*at])?;
    let clearly_better = |at: &usize| {
        let (difference, error) = worse(*at, deepest);
        *at != deepest && difference + CLEARLY * error < 0.0
    };
    let better: Vec<usize> = (0..costs.len()).filter(clearly_better).collect();
    let best = better.iter().copied().min_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(deepest);
    let good = better.into_iter().filter(|at| {
        let (difference, error) = worse(*at, best);
        difference <= error
    });
    let good = good.min_by(|a, b| costs[*a].cmp(&costs[*b]).then(mean(*a).total_cmp(&mean(*b))));
    Some(good.unwrap_or(best))
}

/// Mean of some numbers, and the standard error of that.
fn mean_and_error(numbers: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = numbers.clone().count().max(2) as f64;
    let mean = numbers.clone().sum::<f64>() / n;
    let variance = numbers.map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// What passes of one picture take on one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassTimes {
    /// Of a trunk that is cut at each tap.
    pub cuts: Vec<Duration>,
    /// Of all taps at once.
    pub taps: Duration,
}

/// Why nothing could be timed.
#[derive(Debug, thiserror::Error)]
pub enum TimeError {
    /// A layer is no cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// A pass failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Times passes on one thread, those of each of `cuts` and that of all `taps` in turn, so that what else the machine does hits all alike.
/// Cuts at the same layers take the same time, however these are pooled: they are timed once.
///
/// # Errors
/// [`TimeError`].
pub fn pass_times(
    backbone: &Backbone,
    taps: &Taps,
    cuts: &[&Tap],
    preprocess: &Preprocess,
    input: &Array4<f32>,
) -> Result<PassTimes, TimeError> {
    let layers = |tap: &Tap| tap.parts().iter().map(|part| part.layer.output.clone()).collect::<Vec<_>>();
    let mut distinct: Vec<Vec<String>> = cuts.iter().map(|tap| layers(tap)).collect();
    distinct.sort();
    distinct.dedup();
    let trunks = distinct.iter().map(|layers| backbone.taps(layers, preprocess)).collect::<Result<Vec<_>, _>>()?;
    let time = || {
        let mut times = vec![Vec::new(); trunks.len() + 1];
        // Once more than is counted: the first pass is cold.
        for _ in 0..=TIMED {
            for (times, trunk) in times.iter_mut().zip(trunks.iter().chain([taps])) {
                let start = Instant::now();
                trunk.features(input.clone())?;
                times.push(start.elapsed());
            }
        }
        Ok::<_, RunError>(times)
    };
    // On one of rayon's threads a pass is not spread over the others.
    let (times, ()) = rayon::join(time, || ());
    let times = times?;
    let median = |mut times: Vec<Duration>| {
        times.remove(0);
        times.sort_unstable();
        times[times.len() / 2]
    };
    let mut times: Vec<Duration> = times.into_iter().map(median).collect();
    let all = times.pop().expect("that of the taps");
    let of = |tap: &&Tap| times[distinct.binary_search(&layers(tap)).expect("is one of them")];
    Ok(PassTimes { cuts: cuts.iter().map(of).collect(), taps: all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_cut_than_the_deepest_must_be_clearly_better() {
        let around = |mean: f64| (0..16).map(|i| mean + f64::from(i % 4) * 0.1).collect::<Vec<f64>>();
        let noisy = |mean: f64| (0..16).map(|i| mean + f64::from((i * 7) % 5) * 0.5 - 1.0).collect::<Vec<f64>>();
        let costs = [1, 2, 3, 4, 4];
        // The last costs as much as the deepest: the one before it is that.
        let choice = |losses: [Vec<f64>; 5]| choose(&losses, &costs);
        let same = || around(1.0);
        assert_eq!(choice([same(), same(), same(), same(), same()]), Some(3));
        assert_eq!(choice([around(1.2), same(), around(0.9), same(), same()]), Some(2));
        // A little better on average, but by chance.
        assert_eq!(choice([noisy(0.9), noisy(0.95), same(), same(), same()]), Some(3));
        // Of those that are clearly better, the cheapest that is as good as the best.
        assert_eq!(choice([around(0.8), around(0.5), around(0.5), same(), around(0.5)]), Some(1));
        assert_eq!(choice([same(), same(), same(), same(), around(0.5)]), Some(4));
        assert_eq!(choose(&[], &[]), None);
        assert_eq!(choose(&[vec![0.1, 0.2]], &[7]), Some(0));
    }
}
