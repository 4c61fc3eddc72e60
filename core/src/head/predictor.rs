//! A head of any kind.

use super::{Head, Nearest};
use crate::kernel::Kernels;

/// A head of any [`Kind`](super::Kind), over buffers `P` of f32 and `H` of u16: what a head file holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Predictor<P, H> {
    /// Weights and bias.
    Linear(Head<P>),
    /// Samples.
    Nearest(Nearest<P, H>),
}

impl<P, H> From<Head<P>> for Predictor<P, H> {
    fn from(head: Head<P>) -> Self {
        Self::Linear(head)
    }
}

impl<P, H> From<Nearest<P, H>> for Predictor<P, H> {
    fn from(head: Nearest<P, H>) -> Self {
        Self::Nearest(head)
    }
}

impl<P, H> Predictor<P, H> {
    /// The linear classifier, if it is one.
    pub fn linear(&self) -> Option<&Head<P>> {
        match self {
            Self::Linear(head) => Some(head),
            Self::Nearest(_) => None,
        }
    }

    /// The linear classifier, if it is one, to be changed.
    pub fn linear_mut(&mut self) -> Option<&mut Head<P>> {
        match self {
            Self::Linear(head) => Some(head),
            Self::Nearest(_) => None,
        }
    }
}

impl<P: AsRef<[f32]>, H: AsRef<[u16]>> Predictor<P, H> {
    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        match self {
            Self::Linear(head) => head.n_classes(),
            Self::Nearest(head) => head.n_classes(),
        }
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        match self {
            Self::Linear(head) => head.feature_dim(),
            Self::Nearest(head) => head.feature_dim(),
        }
    }

    /// Numbers that it is made of: weights and bias, or the features of its samples.
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Linear(head) => head.parameters().len(),
            Self::Nearest(head) => head.rows().len(),
        }
    }

    /// Logits `[n_samples, n_classes]` of scaled `features [n_samples, feature_dim]`.
    ///
    /// # Panics
    /// If the lengths are not whole rows of the same number of samples.
    ///
    /// ```
    /// use topgraft_core::{head::{Head, Predictor}, kernel::Kernels};
    /// let head: Predictor<_, [u16; 0]> = Head::new(2, 1, [1.0, 0.0, 0.0, 0.5])?.into();
    /// let mut logits = [0.0; 2];
    /// head.logits(Kernels::detect(), &[2.0], &mut logits);
    /// assert_eq!(logits, [2.0, 0.5]);
    /// # Ok::<(), topgraft_core::head::ShapeError>(())
    /// ```
    pub fn logits(&self, kernels: Kernels, features: &[f32], logits: &mut [f32]) {
        match self {
            Self::Linear(head) => head.logits(kernels, features, logits),
            Self::Nearest(head) => head.logits(kernels, features, logits),
        }
    }

    /// The same head over borrowed buffers.
    pub fn as_slices(&self) -> Predictor<&[f32], &[u16]> {
        match self {
            Self::Linear(head) => Predictor::Linear(head.as_slice()),
            Self::Nearest(head) => Predictor::Nearest(head.as_slices()),
        }
    }
}
