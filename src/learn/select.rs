//! Which of several source models suits some photos, on this device.

use std::cmp::Ordering;
use std::time::Duration;

use super::extract::Extracted;
use super::fit::{Fitted, LearnError, Settings, fit_with};
use super::transferability::{h_score, log_me};

/// A source model, and what it is worth for some photos.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The head on its features, fitted and measured as `learn` does.
    pub fitted: Fitted,
    /// [`log_me`] of its features.
    pub log_me: Option<f64>,
    /// [`h_score`] of its features.
    pub h_score: Option<f64>,
    /// What a pass of one picture takes on one thread.
    pub pass_time: Duration,
}

impl Candidate {
    /// Fits and scores the features of one source model.
    ///
    /// # Errors
    /// As [`fit_with`].
    pub fn new(extracted: &Extracted, settings: &Settings<'_>, pass_time: Duration) -> Result<Self, LearnError> {
        let (features, labels) = (extracted.features.view(), extracted.labels());
        let n_classes = extracted.dataset.classes.len();
        Ok(Self {
            fitted: fit_with(features, &labels, n_classes, settings)?,
            log_me: log_me(features, &labels, n_classes),
            h_score: h_score(features, &labels, n_classes),
            pass_time,
        })
    }

    /// Left-out accuracy, 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.fitted.evaluation.accuracy()
    }
}

/// Which of two is worth more for the photos: by LogME; without it, or where it is the same, by left-out accuracy. From few
/// photos LogME tells networks apart that left-out accuracy cannot: docs/source-models.md has the figures.
fn by_worth(a: &Candidate, b: &Candidate) -> Ordering {
    let log_me = |candidate: &Candidate| candidate.log_me.unwrap_or(f64::NEG_INFINITY);
    log_me(a).total_cmp(&log_me(b)).then(a.accuracy().total_cmp(&b.accuracy()))
}

/// Places of `candidates`, the best first: by LogME, then by left-out accuracy, then by time.
pub fn ranking(candidates: &[Candidate]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..candidates.len()).collect();
    ranked.sort_by(|&a, &b| {
        let (a, b) = (&candidates[a], &candidates[b]);
        by_worth(b, a).then(a.pass_time.cmp(&b.pass_time))
    });
    ranked
}

/// For each candidate whether it is on the Pareto front: no other ranks as high and is as fast, and better in one of them.
pub fn pareto_front(candidates: &[Candidate]) -> Vec<bool> {
    let beats = |a: &Candidate, b: &Candidate| {
        let (worth, time) = (by_worth(a, b), b.pass_time.cmp(&a.pass_time));
        worth.is_ge() && time.is_ge() && (worth.is_gt() || time.is_gt())
    };
    candidates.iter().map(|this| !candidates.iter().any(|other| beats(other, this))).collect()
}
