//! A head in eight bits, for a microcontroller without floating point.

use super::{Head, ShapeError, parameter_count};
use crate::kernel::{Kernels, MAX_LEN_I8};

/// A linear classifier of int8 weights: `logit_k = weight_step * feature_step * (weights_k . features + bias_k)`, features
/// being whole numbers of `feature_step`. One step serves all classes, so the largest sum of whole numbers is the largest
/// logit, and [`predict`](Self::predict) needs no floating point.
///
/// Symmetric quantisation with one scale (Jacob et al. 2018, "Quantization and training of neural networks for efficient
/// integer-arithmetic-only inference", zero points of 0). A quarter of the bytes of a [`Head`].
///
/// ```
/// use topgraft_core::{head::{Head, Quantised}, kernel::Kernels};
/// let head = Head::new(2, 3, [1.0, 0.0, -0.5, 0.0, 1.0, 0.0, 0.5, -0.5])?;
/// let (mut weights, mut bias) = ([0; 6], [0; 2]);
/// // Features of up to 4.
/// let head = Quantised::from_head(&head, 4.0 / 127.0, &mut weights, &mut bias)?;
/// let mut features = [0; 3];
/// head.quantise(&[2.0, 3.0, 1.0], &mut features);
/// assert_eq!(features, [64, 95, 32]);
/// let mut sums = [0; 2];
/// assert_eq!(head.predict(Kernels::detect(), &features, &mut sums), 1);
/// assert!((head.logit(sums[1]) - 2.5).abs() < 0.05);
/// # Ok::<(), topgraft_core::head::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantised<W, B> {
    n_classes: usize,
    feature_dim: usize,
    /// `[n_classes, feature_dim]`
    weights: W,
    /// `[n_classes]`, in units of `weight_step * feature_step`.
    bias: B,
    weight_step: f32,
    feature_step: f32,
}

impl<W: AsRef<[i8]>, B: AsRef<[i32]>> Quantised<W, B> {
    /// A head of `weights [n_classes, feature_dim]` and `bias [n_classes]` that were made before: constants in flash. The steps
    /// are only needed for [`logit`](Self::logit) and [`quantise`](Self::quantise).
    ///
    /// # Errors
    /// If the buffers have not these lengths, or `feature_dim` is above [`MAX_LEN_I8`].
    pub fn new(
        [n_classes, feature_dim]: [usize; 2],
        weights: W,
        bias: B,
        [weight_step, feature_step]: [f32; 2],
    ) -> Result<Self, ShapeError> {
        let expected = parameter_count(n_classes, feature_dim).filter(|_| feature_dim <= MAX_LEN_I8);
        let got = weights.as_ref().len() + bias.as_ref().len();
        if expected != Some(got) || bias.as_ref().len() != n_classes {
            return Err(ShapeError { expected, got });
        }
        Ok(Self { n_classes, feature_dim, weights, bias, weight_step, feature_step })
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Length of a feature vector.
    pub fn feature_dim(&self) -> usize {
        self.feature_dim
    }

    /// `[n_classes, feature_dim]`
    pub fn weights(&self) -> &[i8] {
        self.weights.as_ref()
    }

    /// `[n_classes]`, in units of the product of both steps.
    pub fn bias(&self) -> &[i32] {
        self.bias.as_ref()
    }

    /// What 1 in the weights and in the features stands for.
    pub fn steps(&self) -> [f32; 2] {
        [self.weight_step, self.feature_step]
    }

    /// Class of `features [feature_dim]`, the first of equals. `sums [n_classes]` gets what [`logit`](Self::logit) turns into
    /// logits. Sums that leave 32 bits stop at their end. No floating point.
    ///
    /// # Panics
    /// If a slice has another length, or there are no classes.
    pub fn predict(&self, kernels: Kernels, features: &[i8], sums: &mut [i32]) -> usize {
        kernels.gemv_i8([self.n_classes, self.feature_dim], self.weights(), features, sums);
        for (sum, bias) in sums.iter_mut().zip(self.bias()) {
            *sum = sum.saturating_add(*bias);
        }
        let mut best = 0;
        for (class, sum) in sums.iter().enumerate() {
            if *sum > sums[best] {
                best = class;
            }
        }
        best
    }

    /// The logit that a sum stands for.
    pub fn logit(&self, sum: i32) -> f32 {
        sum as f32 * (self.weight_step * self.feature_step)
    }

    /// Features, scaled as the head expects them, to whole numbers of the step: rounded to the nearest, halves away from zero,
    /// and held in -127..=127. NaN becomes 0.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn quantise(&self, features: &[f32], quantised: &mut [i8]) {
        assert!(features.len() == quantised.len(), "quantise: lengths differ");
        for (to, x) in quantised.iter_mut().zip(features) {
            *to = round(*x / self.feature_step);
        }
    }
}

impl<'a> Quantised<&'a [i8], &'a [i32]> {
    /// Rounds the weights of a head to whole numbers of a step: the largest becomes 127. `feature_step` is the largest magnitude
    /// that features have, over 127; larger ones are cut off. `weights [n_classes, feature_dim]` and `bias [n_classes]` are
    /// written.
    ///
    /// # Errors
    /// If the buffers have not these lengths, or `feature_dim` is above [`MAX_LEN_I8`].
    ///
    /// # Panics
    /// If `feature_step` is not positive and finite.
    pub fn from_head<B: AsRef<[f32]>>(
        head: &Head<B>,
        feature_step: f32,
        weights: &'a mut [i8],
        bias: &'a mut [i32],
    ) -> Result<Self, ShapeError> {
        assert!(feature_step > 0.0 && feature_step.is_finite(), "the step of the features is {feature_step}");
        let shape = [head.n_classes(), head.feature_dim()];
        Quantised::new(shape, &*weights, &*bias, [1.0, feature_step])?;
        let largest = head.weights().iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
        let weight_step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        for (to, w) in weights.iter_mut().zip(head.weights()) {
            *to = round(*w / weight_step);
        }
        for (to, b) in bias.iter_mut().zip(head.bias()) {
            // A cast stops at the ends of 32 bits.
            *to = half_away(*b / weight_step / feature_step) as i32;
        }
        Quantised::new(shape, weights, bias, [weight_step, feature_step])
    }
}

/// To the nearest whole number in -127..=127, halves away from zero.
fn round(x: f32) -> i8 {
    half_away(x.clamp(-127.0, 127.0)) as i8
}

/// For a cast that cuts off what is behind the point. No `f32::round` without the standard library.
fn half_away(x: f32) -> f32 {
    if x < 0.0 { x - 0.5 } else { x + 0.5 }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::head::argmax;
    use std::vec;
    use std::vec::Vec;

    /// A head and features that both vary, `[n, d]`.
    fn data(n: usize, classes: usize, d: usize) -> (Head<Vec<f32>>, Vec<f32>) {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let parameters: Vec<f32> = (0..classes * (d + 1)).map(|_| 3.0 * random()).collect();
        let features = (0..n * d).map(|_| 8.0 * random()).collect();
        (Head::new(classes, d, parameters).expect("of this length"), features)
    }

    #[test]
    fn logits_are_near_those_of_the_head_and_predictions_almost_always_the_same() {
        let (n, classes, d) = (300, 5, 64);
        let (head, features) = data(n, classes, d);
        let (mut weights, mut bias) = (vec![0; classes * d], vec![0; classes]);
        let small = Quantised::from_head(&head, 4.0 / 127.0, &mut weights, &mut bias).expect("of these lengths");
        // Half a step in each factor: |w| up to 1.5, |x| up to 4.
        let bound = d as f32 * (4.0 * 0.5 * small.weight_step + 1.5 * 0.5 * small.feature_step) + 0.1;
        let mut agree = 0;
        for row in features.chunks_exact(d) {
            let (mut logits, mut eight, mut sums) = (vec![0.0; classes], vec![0; d], vec![0; classes]);
            head.logits(Kernels::detect(), row, &mut logits);
            small.quantise(row, &mut eight);
            let class = small.predict(Kernels::detect(), &eight, &mut sums);
            agree += usize::from(Some(class) == argmax(&logits));
            for (sum, logit) in sums.iter().zip(&logits) {
                assert!((small.logit(*sum) - logit).abs() < bound, "{} {logit}", small.logit(*sum));
            }
        }
        assert!(agree * 100 >= n * 97, "{agree} of {n}");
    }

    #[test]
    fn rounding_is_to_the_nearest_and_holds_at_the_ends() {
        let ends = [0.49, 0.5, -0.5, 1.5, -2.51, 126.4, 500.0, -500.0, f32::INFINITY, f32::NAN].map(round);
        assert_eq!(ends, [0, 1, -1, 2, -3, 126, 127, -127, 127, 0]);
    }

    #[test]
    fn a_bias_beyond_32_bits_stops_at_their_end() {
        let head = Head::new(2, 1, [1e-9, -1e-9, 1e9, -1e9]).expect("of this length");
        let (mut weights, mut bias) = ([0; 2], [0; 2]);
        let small = Quantised::from_head(&head, 1.0, &mut weights, &mut bias).expect("of these lengths");
        assert_eq!(small.bias(), [i32::MAX, i32::MIN]);
        let mut sums = [0; 2];
        assert_eq!(small.predict(Kernels::detect(), &[127], &mut sums), 0);
        assert_eq!(sums, [i32::MAX, i32::MIN]);
    }

    #[test]
    fn all_weights_zero_and_the_first_of_equals() {
        let head = Head::new(3, 2, [0.0; 9]).expect("of this length");
        let (mut weights, mut bias) = ([1; 6], [1; 3]);
        let small = Quantised::from_head(&head, 1.0, &mut weights, &mut bias).expect("of these lengths");
        assert_eq!(small.predict(Kernels::detect(), &[5, 6], &mut [0; 3]), 0);
    }

    #[test]
    fn buffers_of_another_length_are_refused() {
        let head = Head::new(2, 3, [0.0; 8]).expect("of this length");
        let mut right = ([0; 6], [0; 2]);
        let error = Quantised::from_head(&head, 1.0, &mut [0; 5], &mut right.1).expect_err("too short");
        assert_eq!(error, ShapeError { expected: Some(8), got: 7 });
        assert!(Quantised::from_head(&head, 1.0, &mut right.0, &mut [0; 3]).is_err());
        // The right sum of wrong lengths.
        assert!(Quantised::from_head(&head, 1.0, &mut [0; 7], &mut [0; 1]).is_err());
        assert!(Quantised::new([1, MAX_LEN_I8 + 1], vec![0; MAX_LEN_I8 + 1], [0], [1.0; 2]).is_err());
    }
}
