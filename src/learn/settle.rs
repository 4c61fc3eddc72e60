//! What a head that was taught sample by sample lacks: its penalty chosen, its accuracy measured, its probabilities calibrated.

use ndarray::ArrayView2;
use topgraft_core::head::Kind;

use super::evaluation::Evaluation;
use super::fit::{LearnError, Settings, fit_with};
use super::model::Model;
use super::scaling::Scaling;
use crate::store::Featured;
use crate::trunk::Trunk;

/// Samples as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Numbers of the samples, `[n_samples]`.
    pub ids: Vec<i64>,
    /// Names of the classes, sorted.
    pub classes: Vec<String>,
    /// `[n_samples]`
    pub labels: Vec<u16>,
    /// `[n_samples, feature_dim]`, as the trunk gives them.
    pub rows: Vec<f32>,
    /// Of the store then.
    pub(super) revision: i64,
}

impl Snapshot {
    pub(super) fn new(featured: Featured, revision: i64) -> Self {
        let mut classes: Vec<String> = featured.classes.clone();
        classes.dedup();
        let label = |class| classes.binary_search(class).expect("is one of them") as u16;
        let labels = featured.classes.iter().map(label).collect();
        Self { ids: featured.ids, labels, classes, rows: featured.rows, revision }
    }

    /// The first class that has one sample, if any has.
    pub fn class_of_one(&self) -> Option<&str> {
        let count = |class: usize| self.labels.iter().filter(|label| usize::from(**label) == class).count();
        let class = (0..self.classes.len()).find(|class| count(*class) == 1)?;
        Some(&self.classes[class])
    }

    /// Whether there are two classes, and two samples of each: the least that can be measured.
    pub fn is_measurable(&self) -> bool {
        let count = |class: usize| self.labels.iter().filter(|label| usize::from(**label) == class).count();
        self.classes.len() >= 2 && (0..self.classes.len()).all(|class| count(class) >= 2)
    }
}

/// A head that was measured.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The head, and all that belongs to it.
    pub model: Model,
    /// What it says of samples that were left out.
    pub evaluation: Evaluation,
    /// How much each left-out sample looks like its class ([`Prediction::score`](super::Prediction)), the lowest first.
    pub scores: Vec<f32>,
    pub(super) revision: i64,
}

/// Fits softmax regression from nothing, as [`fit_with`] does: penalty, accuracy, temperature, what is unknown. The samples alone
/// decide its bits, not the way on which they came together. Takes seconds for a thousand samples.
///
/// # Errors
/// [`LearnError`], as for a snapshot that is not [measurable](Snapshot::is_measurable).
///
/// # Panics
/// If the trunk gives another number of features.
pub fn settle(snapshot: &Snapshot, trunk: &Trunk) -> Result<Settled, LearnError> {
    let shape = (snapshot.labels.len(), trunk.feature_dim());
    let rows = ArrayView2::from_shape(shape, &snapshot.rows).expect("rows of this trunk");
    let settings = Settings { scalings: &[Scaling::L2], kinds: &[Kind::Softmax], ..Settings::default() };
    let fitted = fit_with(rows, &snapshot.labels, snapshot.classes.len(), &settings)?;
    let model = Model::new(trunk, snapshot.classes.clone(), &fitted);
    let scores = fitted.novelty.scores().to_vec();
    Ok(Settled { model, evaluation: fitted.evaluation, scores, revision: snapshot.revision })
}
