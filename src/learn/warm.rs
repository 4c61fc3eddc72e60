//! A fit that starts from the head of another task, for classes of the same names.

use ndarray::ArrayView2;
use topgraft_core::head::{Head, Kind};
use topgraft_core::kernel::Kernels;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::softmax::{self, GRAM_LIMIT};
use topgraft_core::solver::{FitError, FitReport, TrainingSet};

use super::fit::{Fitted, zero_head};
use super::model::Model;
use super::scaling::{Scaled, Scaling};

/// What a start from another head came to.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmStart {
    /// Classes whose rows were taken over.
    pub classes: Vec<String>,
    /// The fit from nothing,
    pub cold: FitReport,
    /// and the one from there. `None` where the optimum is sought in the span of the samples, which are fewer than the features:
    /// the rows of another head do not lie in it.
    pub warm: Option<FitReport>,
}

/// Why a fit cannot start there.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WarmStartError {
    /// The other head is on another trunk.
    #[error(
        "its head was taught on another trunk (network, cut, preprocessing or neck); a start from there means nothing"
    )]
    OtherTrunk,
    /// No softmax regression: only that is found step by step.
    #[error("a start is of use to softmax heads only, and {} is `{}`; use --head softmax", whose, kind.name())]
    Kind {
        /// Which of the two heads.
        whose: &'static str,
        /// Its kind.
        kind: Kind,
    },
    /// The features are scaled in another way before it.
    #[error("its features are scaled by `{}` before the head, and here by `{}`; use the same --scaling", source_scaling.name(), scaling.name())]
    Scaling {
        /// Scaling of the other head.
        source_scaling: Scaling,
        /// Scaling of the fit.
        scaling: Scaling,
    },
    /// No class has the same name.
    #[error("none of its classes has the name of one here: a start from there means nothing")]
    NoClass,
    /// The fit failed.
    #[error("the head cannot be fitted: {0}")]
    Fit(#[from] FitError),
}

/// Fits the head of `fitted` once more, from the rows of `source` for the classes of equal names, zeros for the others. The problem
/// is convex, so the optimum is the same, but for rounding: what there is to gain are iterations, which both fits' reports
/// state. `features [n_samples, feature_dim]`, `labels` and `classes` are those that `fitted` was fitted to, `fingerprint` is that of
/// their trunk.
///
/// # Errors
/// [`WarmStartError`]; `fitted` is then as it was.
pub fn warm_start(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    classes: &[String],
    fingerprint: [u8; 32],
    fitted: &mut Fitted,
    source: &Model,
) -> Result<WarmStart, WarmStartError> {
    if source.fingerprint != fingerprint {
        return Err(WarmStartError::OtherTrunk);
    }
    let (kind, Some(cold)) = (fitted.left_out.kind, fitted.report) else {
        return Err(WarmStartError::Kind { whose: "the one here", kind: fitted.left_out.kind });
    };
    let Some(rows) = source.head.linear().filter(|_| source.kind == kind) else {
        return Err(WarmStartError::Kind { whose: "that one", kind: source.kind });
    };
    let (n_classes, feature_dim) = (classes.len(), features.ncols());
    let convert = Conversion::new(&source.scaler, &fitted.scaler)?;
    let mut head = zero_head(0, n_classes, feature_dim).0;
    let mut taken = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let Some(other) = source.labels.iter().position(|label| label == name) else { continue };
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * feature_dim);
        let row = &mut weights[class * feature_dim..][..feature_dim];
        row.copy_from_slice(&rows.weights()[other * feature_dim..][..feature_dim]);
        bias[class] = rows.bias()[other];
        convert.apply(row, &mut bias[class]);
        taken.push(name.clone());
    }
    if taken.is_empty() {
        return Err(WarmStartError::NoClass);
    }
    if labels.len() <= GRAM_LIMIT && labels.len() <= feature_dim {
        return Ok(WarmStart { classes: taken, cold, warm: None });
    }
    let warm = refit(features, labels, fitted, &mut head)?;
    fitted.head = head.into();
    fitted.report = Some(warm);
    Ok(WarmStart { classes: taken, cold, warm: Some(warm) })
}

fn refit(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    fitted: &Fitted,
    head: &mut Head<Vec<f32>>,
) -> Result<FitReport, FitError> {
    let Scaled { rows, .. } = &Scaled::new(features, fitted.scaling);
    let weight = |weights: &Vec<f32>| labels.iter().map(|label| weights[usize::from(*label)]).collect::<Vec<f32>>();
    let weights = fitted.class_weights.as_ref().map(weight);
    let set = TrainingSet { features: rows, labels, sample_weights: weights.as_deref() };
    let mut scratch = zero_head(labels.len(), head.n_classes(), head.feature_dim()).1;
    softmax::fit(Kernels::detect(), &set, &softmax::Settings::new(fitted.left_out.setting), head, &mut scratch)
}

/// From rows for features that are scaled in one way to rows for such in another.
struct Conversion<'a> {
    from: Option<(&'a [f32], &'a [f32])>,
    to: Option<(&'a [f32], &'a [f32])>,
}

impl<'a> Conversion<'a> {
    /// Features as they are and standardised ones are affine in each other; those of length 1 are not.
    fn new(from: &'a Scaler<Vec<f32>>, to: &'a Scaler<Vec<f32>>) -> Result<Self, WarmStartError> {
        let standard = |scaler: &'a Scaler<Vec<f32>>| match scaler {
            Scaler::Standard { mean, scale } => Some((mean.as_slice(), scale.as_slice())),
            _ => None,
        };
        let is_affine = |scaler: &Scaler<Vec<f32>>| matches!(scaler, Scaler::None | Scaler::Standard { .. });
        let [source_scaling, scaling] = [Scaling::of(from), Scaling::of(to)];
        match source_scaling == scaling || (is_affine(from) && is_affine(to)) {
            true => Ok(Self { from: standard(from), to: standard(to) }),
            false => Err(WarmStartError::Scaling { source_scaling, scaling }),
        }
    }

    fn apply(&self, row: &mut [f32], bias: &mut f32) {
        if let Some((mean, scale)) = self.from {
            for ((w, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
                *w /= scale;
                *bias -= *w * mean;
            }
        }
        if let Some((mean, scale)) = self.to {
            for ((w, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
                *bias += *w * mean;
                *w *= scale;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fit::{Settings, fit_with};
    use super::*;
    use crate::trunk::Trunk;
    use ndarray::Array2;
    use topgraft_core::head::softmax as probabilities;

    /// `n` samples of three noisy classes in six dimensions.
    fn samples(n: usize, seed: f32) -> (Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n as u16).map(|i| i % 3).collect();
        let features = Array2::from_shape_fn((n, 6), |(i, j)| {
            let noise = ((i * 6 + j) as f32 * 12.9898 + seed).sin() * 43758.547;
            4.0 * (noise - noise.floor()) + if j % 3 == i % 3 { 1.0 } else { 0.0 }
        });
        (features, labels)
    }

    fn fitted((features, labels): &(Array2<f32>, Vec<u16>), kind: Kind, scaling: Scaling) -> Fitted {
        let settings = Settings { scalings: &[scaling], kinds: &[kind], class_weights: None };
        fit_with(features.view(), labels, 3, &settings).expect("fits")
    }

    fn names(names: [&str; 3]) -> Vec<String> {
        names.map(String::from).to_vec()
    }

    #[test]
    fn the_optimum_is_the_same_and_iterations_are_saved() {
        let (trunk, source, target) = (Trunk::rows(6), samples(120, 0.0), samples(120, 0.1));
        for scaling in [Scaling::L2, Scaling::Standard] {
            let model = Model::new(&trunk, names(["a", "b", "c"]), &fitted(&source, Kind::Softmax, scaling));
            let cold = fitted(&target, Kind::Softmax, scaling);
            let mut warm = cold.clone();
            let start =
                warm_start(target.0.view(), &target.1, &names(["a", "b", "c"]), trunk.fingerprint(), &mut warm, &model);
            let start = start.expect("starts");
            assert_eq!(start.classes, ["a", "b", "c"]);
            let report = start.warm.expect("more samples than features");
            assert!(report.iterations <= start.cold.iterations, "{scaling:?}: {start:?}");
            assert!((report.objective / start.cold.objective - 1.0).abs() < 1e-5, "{start:?}");
            for row in target.0.rows() {
                let [a, b] = [&cold, &warm].map(|fitted| {
                    let (mut x, mut p) = (row.to_vec(), [0.0; 3]);
                    fitted.scaler.apply(Kernels::detect(), &mut x);
                    fitted.head.logits(Kernels::detect(), &x, &mut p);
                    probabilities(&mut p);
                    p
                });
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-3), "{scaling:?}: {a:?} {b:?}");
            }
        }
    }

    #[test]
    fn standardised_rows_and_rows_as_they_are_say_the_same() {
        let (mean, scale) = (vec![1.0, -2.0], vec![2.0, 0.5]);
        let standard = Scaler::Standard { mean, scale };
        let logit = |row: &[f32], bias: f32, x: [f32; 2]| row[0] * x[0] + row[1] * x[1] + bias;
        let (mut row, mut bias) = ([3.0, 1.0], 0.25);
        let mut scaled = [5.0, 7.0];
        standard.apply(Kernels::detect(), &mut scaled);
        let before = logit(&row, bias, scaled);
        Conversion::new(&standard, &Scaler::None).expect("affine").apply(&mut row, &mut bias);
        assert_eq!(logit(&row, bias, [5.0, 7.0]), before);
        Conversion::new(&Scaler::None, &standard).expect("affine").apply(&mut row, &mut bias);
        assert_eq!((row, bias), ([3.0, 1.0], 0.25));
    }

    #[test]
    fn a_start_that_means_nothing_is_refused() {
        let (trunk, target) = (Trunk::rows(6), samples(60, 0.0));
        let model = |kind, scaling| Model::new(&trunk, names(["a", "b", "c"]), &fitted(&target, kind, scaling));
        let softmax = model(Kind::Softmax, Scaling::L2);
        let refused = |kind, classes, fingerprint, source: &Model| {
            let mut fitted = fitted(&target, kind, Scaling::L2);
            let head = fitted.head.clone();
            let result = warm_start(target.0.view(), &target.1, &names(classes), fingerprint, &mut fitted, source);
            assert_eq!(fitted.head, head);
            result.expect_err("means nothing")
        };
        let (own, same) = (trunk.fingerprint(), ["a", "b", "c"]);
        assert_eq!(refused(Kind::Softmax, same, [0; 32], &softmax), WarmStartError::OtherTrunk);
        assert_eq!(refused(Kind::Softmax, ["x", "y", "z"], own, &softmax), WarmStartError::NoClass);
        let error = refused(Kind::Ridge, same, own, &softmax);
        assert_eq!(error, WarmStartError::Kind { whose: "the one here", kind: Kind::Ridge });
        let error = refused(Kind::Softmax, same, own, &model(Kind::Lda, Scaling::L2));
        assert_eq!(error, WarmStartError::Kind { whose: "that one", kind: Kind::Lda });
        let error = refused(Kind::Softmax, same, own, &model(Kind::Softmax, Scaling::Standard)).to_string();
        assert!(error.contains("by `standard` before the head, and here by `l2`"), "{error}");
        assert!(
            refused(Kind::Softmax, same, own, &model(Kind::Nearest, Scaling::L2)).to_string().contains("`nearest`")
        );
    }

    #[test]
    fn fewer_samples_than_features_have_nothing_to_start_from() {
        let (trunk, target) = (Trunk::rows(6), samples(6, 0.0));
        let mut fitted = fitted(&target, Kind::Softmax, Scaling::L2);
        let model = Model::new(&trunk, names(["a", "b", "x"]), &fitted);
        let classes = names(["a", "b", "c"]);
        let start = warm_start(target.0.view(), &target.1, &classes, trunk.fingerprint(), &mut fitted, &model);
        let start = start.expect("is no error");
        assert_eq!((start.classes.len(), start.warm), (2, None));
    }
}
