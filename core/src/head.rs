//! The head: a linear classifier on features, or the samples themselves, over any buffer.

mod nearest;
mod predictor;
mod quantised;

pub use nearest::{MAX_K, Nearest, NearestError, vote};
pub use predictor::Predictor;
pub use quantised::Quantised;

use crate::kernel::Kernels;
use crate::math;

/// How a head was fitted. All but `Nearest` are linear and are used in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`solver::softmax`](crate::solver::softmax)
    Softmax = 1,
    /// [`solver::ridge`](crate::solver::ridge)
    Ridge = 2,
    /// [`solver::lda`](crate::solver::lda)
    Lda = 3,
    /// [`solver::prototype`](crate::solver::prototype)
    Prototype = 4,
    /// k nearest neighbours: [`Nearest`]
    Nearest = 5,
}

impl Kind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Softmax, Self::Ridge, Self::Lda, Self::Prototype, Self::Nearest];

    /// Those that are a [`Head`]: its size does not depend on the number of samples.
    pub const LINEAR: [Self; 4] = [Self::Softmax, Self::Ridge, Self::Lda, Self::Prototype];

    /// Lower-case name, as on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Ridge => "ridge",
            Self::Lda => "lda",
            Self::Prototype => "prototype",
            Self::Nearest => "nearest",
        }
    }

    /// The kind that a head file has a code for.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == code)
    }
}

/// A linear classifier: weights `[n_classes, feature_dim]` row-major, then bias `[n_classes]`, in one buffer: a slice of
/// flash, a `Vec`, an array, a mutable slice to be fitted.
///
/// ```
/// use topgraft_core::{head::Head, kernel::Kernels};
/// let head = Head::new(2, 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, -0.5])?;
/// let mut logits = [0.0; 2];
/// head.logits(Kernels::detect(), &[2.0, 3.0, 9.0], &mut logits);
/// assert_eq!(logits, [2.5, 2.5]);
/// # Ok::<(), topgraft_core::head::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head<B> {
    n_classes: usize,
    feature_dim: usize,
    parameters: B,
}

/// A buffer that is not as long as the shape says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// [`parameter_count`], or `None` where that overflows.
    pub expected: Option<usize>,
    /// Length of the buffer.
    pub got: usize,
}

impl core::fmt::Display for ShapeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.expected {
            Some(expected) => write!(f, "this shape has {expected} parameters, the buffer {}", self.got),
            None => write!(f, "this shape is larger than memory"),
        }
    }
}

impl core::error::Error for ShapeError {}

/// Numbers in a head, or a neck of as many units: `n_classes * feature_dim` weights and `n_classes` biases; `None` where that
/// overflows.
pub const fn parameter_count(n_classes: usize, feature_dim: usize) -> Option<usize> {
    match n_classes.checked_mul(feature_dim) {
        Some(weights) => weights.checked_add(n_classes),
        None => None,
    }
}

impl<B: AsRef<[f32]>> Head<B> {
    /// A head over `parameters`: weights `[n_classes, feature_dim]`, then bias `[n_classes]`.
    ///
    /// # Errors
    /// If the buffer's length is not [`parameter_count`].
    pub fn new(n_classes: usize, feature_dim: usize, parameters: B) -> Result<Self, ShapeError> {
        let (expected, got) = (parameter_count(n_classes, feature_dim), parameters.as_ref().len());
        if expected != Some(got) {
            return Err(ShapeError { expected, got });
        }
        Ok(Self { n_classes, feature_dim, parameters })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Weights, then bias.
    pub fn parameters(&self) -> &[f32] {
        self.parameters.as_ref()
    }

    /// The same head over a borrowed buffer.
    pub fn as_slice(&self) -> Head<&[f32]> {
        Head { n_classes: self.n_classes, feature_dim: self.feature_dim, parameters: self.parameters() }
    }

    /// `[n_classes, feature_dim]`.
    pub fn weights(&self) -> &[f32] {
        &self.parameters()[..self.n_classes * self.feature_dim]
    }

    /// `[n_classes]`.
    pub fn bias(&self) -> &[f32] {
        &self.parameters()[self.n_classes * self.feature_dim..]
    }

    /// `logits [n_samples, n_classes] = features [n_samples, feature_dim] * weightsᵀ + bias`.
    ///
    /// # Panics
    /// If the lengths are not whole rows of the same number of samples.
    pub fn logits(&self, kernels: Kernels, features: &[f32], logits: &mut [f32]) {
        let n_samples = logits.len() / self.n_classes.max(1);
        kernels.gemm_nt([n_samples, self.n_classes, self.feature_dim], features, self.weights(), logits);
        for row in logits.chunks_exact_mut(self.n_classes.max(1)) {
            for (logit, bias) in row.iter_mut().zip(self.bias()) {
                *logit += bias;
            }
        }
    }
}

impl<B: AsRef<[f32]> + AsMut<[f32]>> Head<B> {
    /// Weights, then bias, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters.as_mut()
    }
}

/// Turns the logits of one sample into probabilities, in place: `exp(z_k - max z) / sum`, summed in order.
///
/// All-`-inf` or NaN logits give NaN.
///
/// ```
/// let mut p = [1000.0, 1000.0, f32::NEG_INFINITY];
/// topgraft_core::head::softmax(&mut p);
/// assert_eq!(p, [0.5, 0.5, 0.0]);
/// ```
pub fn softmax(logits: &mut [f32]) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, z| max.max(*z));
    let mut sum = 0.0;
    for z in logits.iter_mut() {
        *z = math::exp(*z - max);
        sum += *z;
    }
    for p in logits {
        *p /= sum;
    }
}

/// Index of the largest value, the first of equals; `None` for an empty slice. NaN is never the largest.
pub fn argmax(values: &[f32]) -> Option<usize> {
    let mut best = None;
    for (i, value) in values.iter().enumerate() {
        if best.is_none_or(|b: usize| *value > values[b] || values[b].is_nan()) {
            best = Some(i);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        assert_eq!(Head::new(2, 3, [0.0; 7]), Err(ShapeError { expected: Some(8), got: 7 }));
        let huge = Head::new(usize::MAX, 2, [0.0; 7]);
        assert_eq!(huge, Err(ShapeError { expected: None, got: 7 }));
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_a_nan() {
        assert_eq!(argmax(&[]), None);
        assert_eq!(argmax(&[f32::NAN, 1.0, 3.0, 3.0, f32::NAN]), Some(2));
        assert_eq!(argmax(&[f32::NEG_INFINITY]), Some(0));
    }
}
