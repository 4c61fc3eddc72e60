//! What happens to the features between the trunk and the head.

use crate::kernel::Kernels;
use crate::math;

/// Scaling of a feature vector `[feature_dim]`, part of the head: the same in training and in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaler<B> {
    /// Features as the trunk gives them.
    None,
    /// To Euclidean length 1, however large or small the features are, which takes away how bright or how close a photo is; a
    /// vector of zeros stays.
    L2,
    /// `(x - mean) / scale`, element by element.
    Standard {
        /// `[feature_dim]`
        mean: B,
        /// `[feature_dim]`, no zero in it
        scale: B,
    },
    /// `x - mean`, then to length 1 (Wang et al. 2019, "SimpleShot", CL2N): what all photos of a camera have in common says
    /// nothing of their classes. The mean itself stays zeros.
    CentredL2 {
        /// `[feature_dim]`
        mean: B,
    },
}

impl<B: AsRef<[f32]>> Scaler<B> {
    /// Scales one feature vector in place.
    ///
    /// # Panics
    /// If a `Standard` or `CentredL2` scaler is for another `feature_dim`.
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
            Self::L2 => to_length_one(kernels, features),
            Self::Standard { mean, scale } => {
                let (mean, scale) = (mean.as_ref(), scale.as_ref());
                assert_eq!([mean.len(), scale.len()], [features.len(); 2], "scaler is for another feature_dim");
                for ((x, mean), scale) in features.iter_mut().zip(mean).zip(scale) {
                    *x = (*x - mean) / scale;
                }
            }
            Self::CentredL2 { mean } => {
                let mean = mean.as_ref();
                assert_eq!(mean.len(), features.len(), "scaler is for another feature_dim");
                features.iter_mut().zip(mean).for_each(|(x, mean)| *x -= mean);
                to_length_one(kernels, features);
            }
        }
    }
}

/// Divides by the Euclidean length; zeros stay.
fn to_length_one(kernels: Kernels, features: &mut [f32]) {
    let mut square = kernels.dot(features, features);
    // Squares of numbers above 1e19 overflow, those of numbers below 1e-19 vanish.
    if !(SQUARES.0..SQUARES.1).contains(&square) {
        to_middle(features);
        square = kernels.dot(features, features);
    }
    let length = math::sqrt(square);
    if length > 0.0 {
        features.iter_mut().for_each(|x| *x /= length);
    }
}

/// Sums of squares between which nothing of weight is lost: 2^-100 is far above the least f32, 2^-149.
const SQUARES: (f32, f32) = (1.0 / (1u128 << 100) as f32, f32::INFINITY);

/// Multiplies by a power of two, exactly but for numbers that vanish beside the largest, so that the largest is in
/// 2^-32..=2^32. Zeros stay, and so do vectors with NaN or infinity.
fn to_middle(features: &mut [f32]) {
    const STEP: f32 = (1u64 << 32) as f32;
    let largest = features.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    if largest == 0.0 || !features.iter().all(|x| x.is_finite()) {
        return;
    }
    let (mut largest, up) = (largest, largest < 1.0);
    while !(1.0 / STEP..=STEP).contains(&largest) {
        let factor = if up { STEP } else { 1.0 / STEP };
        features.iter_mut().for_each(|x| *x *= factor);
        largest *= factor;
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

/// Mean of each column of `features [n_samples, feature_dim]`, for [`Scaler::CentredL2`]. Sums in order, in f64.
///
/// # Panics
/// If `features` is not whole rows of `mean`'s length.
///
/// ```
/// use topgraft_core::{kernel::Kernels, scaler::{self, Scaler}};
/// let (mut mean, mut features) = ([0.0; 2], [4.0, 6.0]);
/// scaler::mean(&[0.0, 1.0, 2.0, 3.0], &mut mean);
/// Scaler::CentredL2 { mean }.apply(Kernels::detect(), &mut features);
/// assert_eq!((mean, features), ([1.0, 2.0], [0.6, 0.8]));
/// ```
pub fn mean(features: &[f32], mean: &mut [f32]) {
    let feature_dim = mean.len();
    assert!(feature_dim > 0 && features.len().is_multiple_of(feature_dim), "not whole rows");
    let n = (features.len() / feature_dim) as f64;
    for (column, mean) in mean.iter_mut().enumerate() {
        let values = features[column..].iter().step_by(feature_dim);
        *mean = (values.map(|x| f64::from(*x)).sum::<f64>() / n) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centred_features_have_length_one_and_the_mean_is_zeros() {
        let rows = [1.0, 5.0, 4.0, 3.0, 7.0, -2.0];
        let mut centre = [0.0; 3];
        mean(&rows, &mut centre);
        assert_eq!(centre, [2.0, 6.0, 1.0]);
        let scaler = Scaler::CentredL2 { mean: centre };
        let mut row = [1.0, 5.0, 4.0];
        scaler.apply(Kernels::detect(), &mut row);
        let length = math::sqrt(11.0);
        assert!(row.iter().zip([-1.0, -1.0, 3.0]).all(|(x, y)| (x - y / length).abs() < 1e-6), "{row:?}");
        let mut row = centre;
        scaler.apply(Kernels::detect(), &mut row);
        assert_eq!(row, [0.0; 3]);
    }

    #[test]
    #[should_panic(expected = "another feature_dim")]
    fn a_centre_of_another_length_is_refused() {
        Scaler::CentredL2 { mean: [0.0; 2] }.apply(Kernels::detect(), &mut [1.0; 3]);
    }

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
    fn the_largest_and_the_smallest_features_get_length_one() {
        for factor in [1e-44, 1e-30, 1e-20, 1e-12, 1.0, 1e12, 1e20, 1e25, 1e37] {
            let mut row = [3.0 * factor, -4.0 * factor, 0.0];
            // The ratio, as far as the factor leaves one: 1e-44 is 7 times the least f32.
            let expected = if factor < 1e-40 { row[1] / row[0] } else { -4.0 / 3.0 };
            Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut row);
            let square: f32 = row.iter().map(|x| x * x).sum();
            assert!((square - 1.0).abs() < 1e-5, "{factor}: {row:?}");
            assert!((row[1] / row[0] / expected - 1.0).abs() < 1e-5 && row[2] == 0.0, "{factor}: {row:?}");
        }
        let mut row = [f32::INFINITY, 1.0];
        Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut row);
        assert!(row[0].is_nan());
    }

    #[test]
    fn ordinary_features_keep_their_bits() {
        for factor in [1e-13, 0.031, 1e13] {
            let row: [f32; 1280] = core::array::from_fn(|i| ((i * 37 % 101) as f32 - 50.0) * factor);
            let length = math::sqrt(Kernels::detect().dot(&row, &row));
            let mut scaled = row;
            Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut scaled);
            assert!(row.iter().zip(&scaled).all(|(x, y)| (x / length).to_bits() == y.to_bits()));
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut row = [0.0; 5];
        Scaler::<[f32; 0]>::L2.apply(Kernels::detect(), &mut row);
        assert_eq!(row, [0.0; 5]);
    }
}
