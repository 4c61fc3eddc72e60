//! How much of a backbone to use: what each of several cuts is worth for some photos, and what it costs.

use std::time::{Duration, Instant};

use ndarray::{Array4, Axis};
use topgraft_core::preprocess::Preprocess;

use super::extract::Extracted;
use super::fit::{Fitted, LearnError, Settings, fit_with};
use crate::trunk::{Backbone, CutError, Layer, RunError, Taps};

/// Passes that are timed; their median counts.
const TIMED: usize = 5;

/// A cut, and what a head on its features is worth.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Where it cuts.
    pub layer: Layer,
    /// The head, fitted and measured as `learn` does.
    pub fitted: Fitted,
}

/// Fits a head to the features of each tap, which `extracted` has in a row.
///
/// # Errors
/// As [`fit_with`].
///
/// # Panics
/// If the features are of other taps.
pub fn probe(taps: &Taps, extracted: &Extracted, settings: &Settings<'_>) -> Result<Vec<Probed>, LearnError> {
    let (labels, n_classes) = (extracted.labels(), extracted.dataset.classes.len());
    let mut start = 0;
    let fit = |layer: &Layer| {
        let features = extracted.features.slice_axis(Axis(1), (start..start + layer.feature_dim).into());
        start += layer.feature_dim;
        Ok(Probed { layer: layer.clone(), fitted: fit_with(features, &labels, n_classes, settings)? })
    };
    taps.layers().iter().map(fit).collect()
}

/// The cheapest cut, the first, whose left-out accuracy is not worse than the best by more than that one's standard error
/// (Breiman et al. 1984, "Classification and regression trees", the rule of one standard error). `None` without cuts.
pub fn recommended(probed: &[Probed]) -> Option<usize> {
    let accuracy = |probed: &Probed| probed.fitted.evaluation.accuracy();
    let best = probed.iter().max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)))?;
    let (p, n) = (accuracy(best), f64::from(best.fitted.evaluation.n_samples()));
    let enough = p - (p * (1.0 - p) / n).sqrt();
    (0..probed.len()).filter(|at| accuracy(&probed[*at]) >= enough).min_by_key(|at| probed[*at].layer.multiply_adds)
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

/// Times passes, those of each cut and that of all taps in turn, so that what else the machine does hits all alike.
///
/// # Errors
/// [`TimeError`].
pub fn pass_times(
    backbone: &Backbone,
    taps: &Taps,
    preprocess: &Preprocess,
    input: &Array4<f32>,
) -> Result<PassTimes, TimeError> {
    let trunks = taps.layers().iter().map(|layer| backbone.cut(&layer.output, preprocess));
    let trunks = trunks.collect::<Result<Vec<_>, _>>()?;
    let mut times = vec![Vec::new(); trunks.len() + 1];
    // Once more than is counted: the first pass is cold.
    for _ in 0..=TIMED {
        for (at, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            match trunks.get(at) {
                Some(trunk) => trunk.features(input.clone())?,
                None => taps.features(input.clone())?,
            };
            times.push(start.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.remove(0);
        times.sort_unstable();
        times[times.len() / 2]
    };
    let mut cuts: Vec<Duration> = times.into_iter().map(median).collect();
    let taps = cuts.pop().expect("that of the taps");
    Ok(PassTimes { cuts, taps })
}
