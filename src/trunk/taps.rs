//! Several cuts of one backbone, read in one pass.

use ndarray::Array4;
use topgraft_core::preprocess::Preprocess;

use super::cut;
use super::engine::Plan;
use super::error::RunError;
use super::tap::Tap;

/// A backbone that gives the features of several cuts, each as a [`Trunk`](super::Trunk) that is cut there would: one pass
/// costs hardly more than that to the last of them.
pub struct Taps {
    pub(super) plan: Plan,
    pub(super) list: Vec<Tap>,
    pub(super) backbone: String,
    pub(super) preprocess: Preprocess,
}

impl Taps {
    /// Features of one picture's input tensor: those of the first cut, then those of the next one ... As
    /// [`Trunk::features`](super::Trunk::features).
    ///
    /// # Errors
    /// As [`Trunk::features`](super::Trunk::features).
    pub fn features(&self, input: Array4<f32>) -> Result<Vec<f32>, RunError> {
        cut::run(&self.plan, input, &self.preprocess, &self.list, self)
    }

    /// The cuts, in the order of their features.
    pub fn list(&self) -> &[Tap] {
        &self.list
    }

    /// How many features a picture gives, of all cuts together.
    pub fn feature_dim(&self) -> usize {
        self.list.iter().map(Tap::feature_dim).sum()
    }

    /// How a picture becomes the input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }
}

/// `efficientnet_lite0`
impl std::fmt::Display for Taps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.backbone)
    }
}

impl std::fmt::Debug for Taps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taps").field("backbone", &self.backbone).field("list", &self.list).finish_non_exhaustive()
    }
}
