//! The neck: one hidden layer between the trunk's features and the head, developed on a source task and then frozen.

use crate::head::{ShapeError, parameter_count};
use crate::kernel::Kernels;

/// A hidden layer with the rectifier, `max(0, weights * x + bias)`: weights `[hidden_dim, feature_dim]` row-major, then bias
/// `[hidden_dim]`, in one buffer: a slice of flash, a `Vec`, an array, a mutable slice to be
/// [trained](crate::solver::backprop).
///
/// ```
/// use topgraft_core::{kernel::Kernels, neck::Neck};
/// let neck = Neck::new(2, 3, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, -0.5])?;
/// let mut hidden = [0.0; 2];
/// neck.apply(Kernels::detect(), &[2.0, -3.0, 9.0], &mut hidden);
/// assert_eq!(hidden, [2.5, 0.0]);
/// # Ok::<(), topgraft_core::head::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neck<B> {
    hidden_dim: usize,
    feature_dim: usize,
    parameters: B,
}

impl<B: AsRef<[f32]>> Neck<B> {
    /// A hidden layer over `parameters`: weights `[hidden_dim, feature_dim]`, then bias `[hidden_dim]`.
    ///
    /// # Errors
    /// If the buffer's length is not `parameter_count(hidden_dim, feature_dim)`.
    pub fn new(hidden_dim: usize, feature_dim: usize, parameters: B) -> Result<Self, ShapeError> {
        let (expected, got) = (parameter_count(hidden_dim, feature_dim), parameters.as_ref().len());
        if expected != Some(got) {
            return Err(ShapeError { expected, got });
        }
        Ok(Self { hidden_dim, feature_dim, parameters })
    }

    /// Length of what comes out.
    pub fn hidden_dim(&self) -> usize {
        self.hidden_dim
    }

    /// Length of what goes in.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// Weights, then bias.
    pub fn parameters(&self) -> &[f32] {
        self.parameters.as_ref()
    }

    /// `[hidden_dim, feature_dim]`.
    pub fn weights(&self) -> &[f32] {
        &self.parameters()[..self.hidden_dim * self.feature_dim]
    }

    /// `[hidden_dim]`.
    pub fn bias(&self) -> &[f32] {
        &self.parameters()[self.hidden_dim * self.feature_dim..]
    }

    /// `hidden [n_samples, hidden_dim] = max(0, features [n_samples, feature_dim] * weightsᵀ + bias)`, the same bits with
    /// every instruction set. What overflows is infinite or NaN.
    ///
    /// # Panics
    /// If the lengths are not whole rows of the same number of samples.
    pub fn apply(&self, kernels: Kernels, features: &[f32], hidden: &mut [f32]) {
        let n_samples = hidden.len() / self.hidden_dim.max(1);
        kernels.gemm_nt([n_samples, self.hidden_dim, self.feature_dim], features, self.weights(), hidden);
        for row in hidden.chunks_exact_mut(self.hidden_dim.max(1)) {
            for (unit, bias) in row.iter_mut().zip(self.bias()) {
                let sum = *unit + bias;
                // Not `max`, which would make a 0 of a NaN.
                *unit = if sum < 0.0 { 0.0 } else { sum };
            }
        }
    }
}

impl<B: AsRef<[f32]> + AsMut<[f32]>> Neck<B> {
    /// Weights, then bias, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        self.parameters.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        assert_eq!(Neck::new(2, 3, [0.0; 7]), Err(ShapeError { expected: Some(8), got: 7 }));
        assert_eq!(Neck::new(usize::MAX, 2, [0.0; 7]), Err(ShapeError { expected: None, got: 7 }));
    }

    #[test]
    fn many_rows_are_one_row_many_times_with_every_kernel() {
        let parameters: [f32; 5 * 38] = core::array::from_fn(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0);
        let neck = Neck::new(5, 37, parameters).expect("of this length");
        let features: [f32; 3 * 37] = core::array::from_fn(|i| ((i * 53 % 97) as f32 - 40.0) / 32.0);
        let mut expected = [0.0; 15];
        for (row, hidden) in features.chunks_exact(37).zip(expected.chunks_exact_mut(5)) {
            for (unit, hidden) in hidden.iter_mut().enumerate() {
                let weights = &neck.weights()[unit * 37..][..37];
                let exact: f64 = weights.iter().zip(row).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                *hidden = (exact as f32 + neck.bias()[unit]).max(0.0);
            }
        }
        for kernels in Kernels::available() {
            let mut hidden = [0.0; 15];
            neck.apply(kernels, &features, &mut hidden);
            // Whole numbers of 1/2048: every sum is exact.
            assert_eq!(hidden, expected, "{kernels:?}");
        }
        assert!(expected.contains(&0.0) && expected.iter().any(|x| *x > 0.0));
    }

    #[test]
    fn nan_stays_nan() {
        let neck = Neck::new(1, 1, [1.0, 0.0]).expect("of this length");
        let mut hidden = [0.0];
        neck.apply(Kernels::detect(), &[f32::NAN], &mut hidden);
        assert!(hidden[0].is_nan());
    }
}
