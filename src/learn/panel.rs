//! Several heads, each for a question of its own; a trunk that they share runs once a photo.

use std::path::Path;
use std::sync::Arc;

use super::classifier::{Classifier, WrongTrunk};
use super::extract::{ExtractError, extract};
use super::model::{Model, NotFinite};
use super::prediction::Prediction;
use crate::trunk::Trunk;

/// Heads that look at the same photos.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::path::Path;
/// use topgraft::learn::{Model, Panel};
/// use topgraft::trunk::Backbone;
///
/// let trunk = |model: &Model| -> Result<_, Box<dyn std::error::Error>> {
///     Ok(Backbone::embedded()?.cut(&model.cut, &model.preprocess)?)
/// };
/// let mut panel = Panel::default();
/// panel.add(Model::open(Path::new("animal.graft"))?, trunk)?;
/// panel.add(Model::open(Path::new("daylight.graft"))?, trunk)?;
/// for features in panel.features(&["photo.jpg"], || {}) {
///     let predictions = panel.predict(&features?).map_err(|(_, error)| error)?;
///     println!("{:?}", predictions.iter().map(|prediction| prediction.class()).collect::<Vec<_>>());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Panel {
    trunks: Vec<Arc<Trunk>>,
    /// With the trunk's place.
    classifiers: Vec<(Classifier, usize)>,
}

impl Panel {
    /// Adds a head. `open` makes its trunk; it is called only if no head before had the same one, by its fingerprint.
    ///
    /// # Errors
    /// Those of `open`; [`WrongTrunk`] if the trunk that it made is another.
    pub fn add<E: From<WrongTrunk>>(
        &mut self,
        model: Model,
        open: impl FnOnce(&Model) -> Result<Trunk, E>,
    ) -> Result<(), E> {
        let known = self.trunks.iter().position(|trunk| trunk.fingerprint() == model.fingerprint);
        let at = known.unwrap_or(self.trunks.len());
        let trunk = match self.trunks.get(at) {
            Some(trunk) => Arc::clone(trunk),
            None => Arc::new(open(&model)?),
        };
        let classifier = Classifier::new(model, Arc::clone(&trunk))?;
        if at == self.trunks.len() {
            self.trunks.push(trunk);
        }
        self.classifiers.push((classifier, at));
        Ok(())
    }

    /// The heads, in the order in which they were added.
    pub fn classifiers(&self) -> impl ExactSizeIterator<Item = &Classifier> {
        self.classifiers.iter().map(|(classifier, _)| classifier)
    }

    /// The trunks that these need, each once.
    pub fn trunks(&self) -> &[Arc<Trunk>] {
        &self.trunks
    }

    /// For each photo its features by each of the [`trunks`](Self::trunks), or why there are none; as [`extract`].
    pub fn features(
        &self,
        paths: &[impl AsRef<Path> + Sync],
        done: impl Fn() + Sync,
    ) -> Vec<Result<Vec<Vec<f32>>, ExtractError>> {
        let mut photos: Vec<_> = paths.iter().map(|_| Ok(Vec::new())).collect();
        for (at, trunk) in self.trunks.iter().enumerate() {
            let is_last = at + 1 == self.trunks.len();
            let features = extract(trunk, paths, || {
                if is_last {
                    done()
                }
            });
            for (photo, features) in photos.iter_mut().zip(features) {
                match (&mut *photo, features) {
                    (Ok(all), Ok(features)) => all.push(features),
                    (photo @ Ok(_), Err(error)) => *photo = Err(error),
                    (Err(_), _) => {}
                }
            }
        }
        photos
    }

    /// What each head says of the features of one photo, one vector for each of the [`trunks`](Self::trunks).
    ///
    /// # Errors
    /// [`NotFinite`] with the head's place, if its numbers are so large that it says nothing.
    ///
    /// # Panics
    /// If the features are of other trunks.
    pub fn predict(&self, features: &[Vec<f32>]) -> Result<Vec<Prediction>, (usize, NotFinite)> {
        assert_eq!(features.len(), self.trunks.len(), "features of each trunk");
        let heads = self.classifiers.iter().enumerate();
        heads.map(|(at, (head, trunk))| head.predict(&features[*trunk]).map_err(|error| (at, error))).collect()
    }
}
