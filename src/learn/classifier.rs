//! Trunk and head together.

use std::sync::Arc;

use topgraft_core::kernel::Kernels;

use super::model::{Model, NotFinite};
use super::prediction::Prediction;
use crate::trunk::Trunk;

/// A model on the trunk that it was fitted on.
pub struct Classifier {
    trunk: Arc<Trunk>,
    model: Arc<Model>,
    kernels: Kernels,
}

/// A model was put on a trunk that it does not belong to: its features mean nothing to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the head was taught on backbone `{wanted}` cut at `{cut}`, and this `{found}` is another network; \
     give the file that it was taught on by --backbone, or teach the head again"
)]
pub struct WrongTrunk {
    /// Backbone of the model.
    pub wanted: String,
    /// Cut of the model.
    pub cut: String,
    /// Backbone that was given. It may have the same name, but then another content.
    pub found: String,
}

impl WrongTrunk {
    /// The model cannot be used on that backbone.
    pub fn new(model: &Model, found: &str) -> Self {
        Self { wanted: model.backbone.clone(), cut: model.cut.clone(), found: found.to_owned() }
    }
}

impl Classifier {
    /// Puts a model on a trunk, which several models may share.
    ///
    /// # Errors
    /// [`WrongTrunk`] unless the fingerprints are equal.
    pub fn new(model: Model, trunk: impl Into<Arc<Trunk>>) -> Result<Self, WrongTrunk> {
        let trunk = trunk.into();
        if model.fingerprint != trunk.fingerprint() || model.head.feature_dim() != trunk.feature_dim() {
            return Err(WrongTrunk::new(&model, trunk.backbone_name()));
        }
        Ok(Self { trunk, model: Arc::new(model), kernels: Kernels::detect() })
    }

    /// The trunk, to turn photos into features with.
    pub fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    /// The trunk, to be kept elsewhere, too.
    pub fn shared_trunk(&self) -> Arc<Trunk> {
        self.trunk.clone()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model, to be kept elsewhere, too.
    pub fn shared_model(&self) -> Arc<Model> {
        self.model.clone()
    }

    /// What the head says of features `[feature_dim]` of this classifier's trunk.
    ///
    /// # Errors
    /// [`NotFinite`] if the head's numbers are so large that it says nothing.
    ///
    /// # Panics
    /// If the features are of another length.
    pub fn predict(&self, features: &[f32]) -> Result<Prediction, NotFinite> {
        self.model.predict(self.kernels, features)
    }
}
