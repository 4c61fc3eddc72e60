//! What happens to the features between the trunk and the head.

use crate::kernel::Kernels;
use crate::math;

/// Scaling of a feature vector `[feature_dim]`, part of the head: the same in training and in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaler<B> {
    /// Features as the trunk gives them.
    None,
    /// To Euclidean length 1, which takes away how bright or how close a photo is; a vector of zeros stays.
    L2,
    /// `(x - mean) / scale`, element by element.
    Standard {
        /// `[feature_dim]`
        mean: B,
        /// `[feature_dim]`, no zero in it
        scale: B,
    },
}

impl<B: AsRef<[f32]>> Scaler<B> {
    /// Scales one feature vector in place.
    ///
    /// # Panics
    /// If a `Standard` scaler is for another `feature_dim`.
    ///
    /// ```
    /// use topgraft_core::{kernel::Kernels, scaler::Scaler};
    /// let mut features = [3.0, 4.0];
    /// Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut features);
    /// assert_eq!(features, [0.6, 0.8]);
    /// ```
    pub fn apply(&self, kernels: Kernels, features: &mut [f32]) {
        match self {
            Self::None => {}
            Self::L2 => {
                let length = math::sqrt(kernels.dot(features, features));
                if length > 0.0 {
                    features.iter_mut().for_each(|x| *x /= length);
                }
            }
            Self::Standard { mean, scale } => {
                let (mean, scale) = (mean.as_ref(), scale.as_ref());
                assert_eq!([mean.len(), scale.len()], [features.len(); 2], "scaler is for another feature_dim");
                for ((x, mean), scale) in features.iter_mut().zip(mean).zip(scale) {
                    *x = (*x - mean) / scale;
                }
            }
        }
    }
}

/// Mean and population standard deviation of each column of `features [n_samples, feature_dim]`, for
/// [`Scaler::Standard`]; a column that does not vary gets scale 1. Sums in order, in f64.
///
/// # Panics
/// If `mean` and `scale` differ in length, or `features` is not whole rows.
pub fn standard(features: &[f32], mean: &mut [f32], scale: &mut [f32]) {
    let feature_dim = mean.len();
    assert!(
        scale.len() == feature_dim && feature_dim > 0 && features.len().is_multiple_of(feature_dim),
        "not whole rows"
    );
    let n = (features.len() / feature_dim) as f64;
    for column in 0..feature_dim {
        let values = || features[column..].iter().step_by(feature_dim).map(|x| *x as f64);
        let average = values().sum::<f64>() / n;
        let variance = values().map(|x| (x - average) * (x - average)).sum::<f64>() / n;
        mean[column] = average as f32;
        let deviation = math::sqrt(variance as f32);
        scale[column] = if deviation > 0.0 { deviation } else { 1.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_columns_have_mean_zero_and_deviation_one() {
        let rows = [1.0, 5.0, 3.0, 5.0];
        let (mut mean, mut scale) = ([0.0; 2], [0.0; 2]);
        standard(&rows, &mut mean, &mut scale);
        let scaler = Scaler::Standard { mean, scale };
        let mut row = [1.0, 5.0];
        scaler.apply(Kernels::detect(), &mut row);
        assert_eq!((mean, scale, row), ([2.0, 5.0], [1.0, 1.0], [-1.0, 0.0]));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut row = [0.0; 5];
        Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut row);
        assert_eq!(row, [0.0; 5]);
    }
}
