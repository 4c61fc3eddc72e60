//! How features are scaled before the head.

use ndarray::ArrayView2;
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::{Scaler, mean, standard};

use super::heads::Samples;

/// How features are scaled before the head.
///
/// Means and deviations are those of all samples, also where some are left out to be asked: they know no labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scaling {
    /// To length 1: the default. Up to 14 points better than standardising in docs/accuracy.md.
    #[default]
    L2,
    /// To mean 0 and deviation 1 in each column.
    Standard,
    /// As the trunk gives them.
    None,
    /// Less the mean of the samples, then to length 1 (Wang et al. 2019, "SimpleShot").
    CentredL2,
}

impl Scaling {
    /// Every scaling, the default first.
    pub const ALL: [Self; 4] = [Self::L2, Self::Standard, Self::None, Self::CentredL2];

    /// Lower-case name, as on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::Standard => "standard",
            Self::None => "none",
            Self::CentredL2 => "centred-l2",
        }
    }

    /// The scaling that a head file has a scaler for.
    pub fn of<B>(scaler: &Scaler<B>) -> Self {
        match scaler {
            Scaler::L2 => Self::L2,
            Scaler::Standard { .. } => Self::Standard,
            Scaler::None => Self::None,
            Scaler::CentredL2 { .. } => Self::CentredL2,
        }
    }

    /// The scaler that `rows [n_samples, feature_dim]` call for.
    pub(super) fn scaler(self, rows: &[f32], feature_dim: usize) -> Scaler<Vec<f32>> {
        match self {
            Self::None => Scaler::None,
            Self::L2 => Scaler::L2,
            Self::Standard => {
                let (mut mean, mut scale) = (vec![0.0; feature_dim], vec![0.0; feature_dim]);
                if feature_dim > 0 {
                    standard(rows, &mut mean, &mut scale);
                }
                Scaler::Standard { mean, scale }
            }
            Self::CentredL2 => {
                let mut centre = vec![0.0; feature_dim];
                if feature_dim > 0 {
                    mean(rows, &mut centre);
                }
                Scaler::CentredL2 { mean: centre }
            }
        }
    }
}

/// Scaled features.
pub(super) struct Scaled {
    /// `[n_samples, feature_dim]`
    pub rows: Vec<f32>,
    pub scaler: Scaler<Vec<f32>>,
    /// Mean squared length of the rows: the unit of penalties.
    pub unit: f32,
    feature_dim: usize,
}

impl Scaled {
    /// `features [n_samples, feature_dim]` as the trunk gives them.
    pub fn new(features: ArrayView2<'_, f32>, scaling: Scaling) -> Self {
        let kernels = Kernels::detect();
        let (n_samples, feature_dim) = features.dim();
        let mut rows: Vec<f32> = features.iter().copied().collect();
        let scaler = scaling.scaler(&rows, feature_dim);
        rows.chunks_exact_mut(feature_dim.max(1)).for_each(|row| scaler.apply(kernels, row));
        // 1 by definition where the features were scaled to it.
        let squares = kernels.dot(&rows, &rows) / n_samples as f32;
        let is_one = matches!(scaling, Scaling::L2 | Scaling::CentredL2) || squares == 0.0;
        Self { rows, scaler, unit: if is_one { 1.0 } else { squares }, feature_dim }
    }

    /// With what is known of the samples.
    pub fn samples<'a>(&'a self, labels: &'a [u16], weights: Option<&'a [f32]>, n_classes: usize) -> Samples<'a> {
        Samples { rows: &self.rows, labels, weights, n_classes, feature_dim: self.feature_dim, unit: self.unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn each_scaling_does_what_its_name_says() {
        let features = array![[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]];
        let rows = |scaling| Scaled::new(features.view(), scaling).rows;
        assert_eq!(rows(Scaling::None), [3.0, 4.0, 0.0, 2.0, 0.0, 0.0]);
        assert_eq!(rows(Scaling::L2), [0.6, 0.8, 0.0, 1.0, 0.0, 0.0]);
        let near = |rows: Vec<f32>, expected: [f32; 6]| {
            assert!(rows.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{rows:?}");
        };
        let (wide, far) = (2f32.sqrt(), 1.5f32.sqrt());
        near(rows(Scaling::Standard), [wide, far, -1.0 / wide, 0.0, -1.0 / wide, -far]);
        let half = 0.5f32.sqrt();
        // The mean is (1, 2).
        near(rows(Scaling::CentredL2), [half, half, -1.0, 0.0, -1.0 / 5f32.sqrt(), -2.0 / 5f32.sqrt()]);
    }

    #[test]
    fn a_scaler_is_of_the_scaling_that_made_it() {
        for scaling in Scaling::ALL {
            let scaled = Scaled::new(array![[1.0, 2.0], [2.0, 1.0]].view(), scaling);
            assert_eq!(Scaling::of(&scaled.scaler), scaling, "{}", scaling.name());
            assert!(scaled.unit > 0.0);
        }
    }
}
