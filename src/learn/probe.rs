//! How much of a backbone to use: what each of several cuts is worth for some photos, and what it costs.

use std::time::{Duration, Instant};

use ndarray::{Array2, Array4, ArrayView2, Axis, concatenate};
use topgraft_core::preprocess::Preprocess;

use super::extract::Extracted;
use super::fit::{Fitted, LearnError, Settings, fit_with};
use crate::trunk::{Backbone, CutError, RunError, Tap, Taps};

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

/// Fits a head to the features of each tap, which `extracted` has in a row. `done` is called after each.
///
/// # Errors
/// As [`fit_with`].
///
/// # Panics
/// If the features are of other taps.
pub fn probe(
    taps: &Taps,
    extracted: &Extracted,
    settings: &Settings<'_>,
    done: impl Fn(),
) -> Result<Vec<Probed>, LearnError> {
    let fit = |(at, tap)| {
        let probed = fit(tap, features(taps, extracted, at), extracted, settings);
        done();
        probed
    };
    taps.list().iter().enumerate().map(fit).collect()
}

/// Fits a head to the two best of `probed`, which are those of `taps`, read together: another layer may see what the best one
/// has lost. `None` if all are of one layer.
///
/// # Errors
/// As [`fit_with`].
///
/// # Panics
/// If the features or `probed` are of other taps.
pub fn probe_joined(
    taps: &Taps,
    extracted: &Extracted,
    probed: &[Probed],
    settings: &Settings<'_>,
) -> Result<Option<Probed>, LearnError> {
    let mut ranked: Vec<usize> = (0..probed.len()).collect();
    ranked.sort_by(|&a, &b| probed[b].accuracy().total_cmp(&probed[a].accuracy()));
    let layers = |at: usize| probed[at].tap.parts().iter().map(|part| &part.layer.output);
    let second =
        ranked.iter().skip(1).find(|&&at| layers(at).all(|layer| layers(ranked[0]).all(|other| other != layer)));
    let Some(&second) = second else { return Ok(None) };
    let pair = [ranked[0].min(second), ranked[0].max(second)];
    let Some(tap) = probed[pair[0]].tap.joined(&probed[pair[1]].tap) else { return Ok(None) };
    let joined = concatenate(Axis(1), &pair.map(|at| features(taps, extracted, at))).expect("as many rows");
    fit(&tap, joined.view(), extracted, settings).map(Some)
}

/// `[n_samples, feature_dim]` of one of the taps.
fn features<'e>(taps: &Taps, extracted: &'e Extracted, at: usize) -> ArrayView2<'e, f32> {
    let start = taps.list()[..at].iter().map(Tap::feature_dim).sum::<usize>();
    extracted.features.slice_axis(Axis(1), (start..start + taps.list()[at].feature_dim()).into())
}

fn fit(
    tap: &Tap,
    features: ArrayView2<'_, f32>,
    extracted: &Extracted,
    settings: &Settings<'_>,
) -> Result<Probed, LearnError> {
    // Rows that lie close together are read much faster than those of a wide table.
    let features: Array2<f32> = features.to_owned();
    let fitted = fit_with(features.view(), &extracted.labels(), extracted.dataset.classes.len(), settings)?;
    Ok(Probed { tap: tap.clone(), fitted })
}

/// The cheapest cut, the first, whose left-out accuracy is not worse than the best by more than that one's standard error
/// (Breiman et al. 1984, "Classification and regression trees", the rule of one standard error). Of cuts that cost the same,
/// the most accurate. `None` without cuts.
pub fn recommended(probed: &[Probed]) -> Option<usize> {
    let best = probed.iter().max_by(|a, b| a.accuracy().total_cmp(&b.accuracy()))?;
    let (p, n) = (best.accuracy(), f64::from(best.fitted.evaluation.n_samples()));
    let enough = p - (p * (1.0 - p) / n).sqrt();
    let good = (0..probed.len()).filter(|&at| probed[at].accuracy() >= enough);
    good.min_by(|&a, &b| {
        let cost = |at: usize| probed[at].tap.multiply_adds();
        let accuracy = |at: usize| probed[at].accuracy();
        cost(a).cmp(&cost(b)).then(accuracy(b).total_cmp(&accuracy(a)))
    })
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

/// Times passes, those of each of `cuts` and that of all `taps` in turn, so that what else the machine does hits all alike.
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
    let mut times = vec![Vec::new(); trunks.len() + 1];
    // Once more than is counted: the first pass is cold.
    for _ in 0..=TIMED {
        for (times, trunk) in times.iter_mut().zip(trunks.iter().chain([taps])) {
            let start = Instant::now();
            trunk.features(input.clone())?;
            times.push(start.elapsed());
        }
    }
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
