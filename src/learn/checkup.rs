//! What is wrong with the samples of a store, and what more of them would bring.

use ndarray::ArrayView2;
use topgraft_core::head::Kind;
use topgraft_core::solver::FitError;

use super::curve::learning_curve;
use super::fit::{LearnError, Settings, fit_with};
use super::review::{Confusion, DUPLICATE_COSINE, Suspect, confusions, near_duplicates, suspects};
use super::scaling::Scaling;
use super::settle::Snapshot;
use crate::trunk::Trunk;

/// What was found among the samples of a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct Checkup {
    /// Names of the classes, sorted.
    pub classes: Vec<String>,
    /// Samples of each class.
    pub counts: Vec<u32>,
    /// Samples, by number, whose label the others contradict, the least probable label first.
    pub suspects: Vec<(i64, Suspect)>,
    /// Numbers of samples that show the same.
    pub duplicates: Vec<Vec<i64>>,
    /// Classes that are taken for others, the most frequent first.
    pub confusions: Vec<Confusion>,
    /// What to do for a better head, in words; `None` if every left-out sample is right.
    pub advice: Option<String>,
}

/// Fits and measures as [`settle`](super::settle()) does, and looks at what was wrong. Takes seconds for a thousand samples.
///
/// # Errors
/// [`LearnError`], as for a snapshot that is not [measurable](Snapshot::is_measurable).
///
/// # Panics
/// If the trunk gives another number of features.
pub fn checkup(snapshot: &Snapshot, trunk: &Trunk) -> Result<Checkup, LearnError> {
    let Snapshot { ids, classes, labels, rows, .. } = snapshot;
    let rows = ArrayView2::from_shape((labels.len(), trunk.feature_dim()), rows).expect("rows of this trunk");
    let settings = Settings { scalings: &[Scaling::L2], kinds: &[Kind::Softmax], ..Settings::default() };
    let fitted = fit_with(rows, labels, classes.len(), &settings)?;
    let curve = learning_curve(rows, labels, &fitted).map_err(|error: FitError| LearnError::from(error))?;
    let advice = curve.and_then(|curve| curve.advice(&fitted.evaluation));
    let suspects = suspects(&fitted, labels);
    let duplicates = near_duplicates(rows, labels, DUPLICATE_COSINE);
    Ok(Checkup {
        counts: fitted.evaluation.per_class().iter().map(|class| class.support).collect(),
        suspects: suspects.into_iter().map(|suspect| (ids[suspect.sample], suspect)).collect(),
        duplicates: duplicates.iter().map(|group| group.samples.iter().map(|sample| ids[*sample]).collect()).collect(),
        confusions: confusions(&fitted.evaluation),
        advice: advice.map(|advice| advice.text(&fitted.evaluation, classes, "photo")),
        classes: classes.clone(),
    })
}
