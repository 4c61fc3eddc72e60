//! Classes that were never shown: from the features to the vectors of words, and from there to any name.
//!
//! A linear map from the features to the space of word vectors, so that what is taught lands on the vector of its class's name
//! (DeViSE: Frome et al. 2013, "DeViSE: a deep visual-semantic embedding model"; here by ridge regression, in closed form, where
//! they train by gradient descent on a ranking loss). What is not taught then lands near names that are like it.
//!
//! Ridge regression is linear in its targets. So the map needs no fit and no file of its own: with V `[n_classes, dims]` the
//! vectors of the taught names and p `[n_classes]` what ridge regression on the class indicators says of the features, the map
//! gives Vᵀ p; and a name of vector u gets the score u · Vᵀ p = (V u) · p. The [`similarities`] V u of any names thus turn a
//! taught head into one for these names.
//!
//! All vectors are taken less the mean of the taught names and then to length 1: what all names have in common says nothing,
//! and a name that lies in its direction would always win.

use ndarray::{Array2, ArrayView2, Axis};
use topgraft_core::format;
use topgraft_core::head::{Head, Kind, Predictor};
use topgraft_core::kernel::Kernels;

use super::calibration::Calibration;
use super::fit::{LearnError, Settings, fit_with};
use super::model::Model;
use super::random::SplitMix64;
use super::scaling::Scaling;
use crate::words::{Embedder, Recipe, RecipeError, TextPooling, WordsError};

/// Rounds of classes that are held out.
const ROUNDS: usize = 10;

/// What a head file holds of the names of its classes, if other names may be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassNames {
    /// Which word vectors, and how a name gets one: the mean of its words'.
    pub vectors: Recipe,
    /// [`temperature`] of the scores.
    pub temperature: f32,
}

impl ClassNames {
    /// The bytes: the temperature, f32 little-endian, then [`Recipe::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.temperature.to_le_bytes().to_vec();
        bytes.extend(self.vectors.to_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gives.
    ///
    /// # Errors
    /// [`RecipeError`], what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecipeError> {
        let (head, rest) = bytes.split_first_chunk::<4>().ok_or(RecipeError("the names of classes are cut short"))?;
        let temperature = f32::from_le_bytes(*head);
        let vectors = Recipe::parse(rest)?;
        // As a head file's own temperature is bounded.
        if !(0.001..=1000.0).contains(&temperature) || vectors.pooling != TextPooling::Mean {
            return Err(RecipeError("the names of classes"));
        }
        Ok(Self { vectors, temperature })
    }
}

/// Why there is no vector for a name.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// None of its words is known.
    #[error("the word vectors know no word of the name `{name}`; rename it, or give other vectors")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The vectors cannot be read.
    #[error(transparent)]
    Words(#[from] WordsError),
}

/// Unit vectors `[n_names, dims]` of names, each the mean of its words', with underscores and dashes taken for spaces.
///
/// # Errors
/// [`NameError`], the first name that has none.
///
/// # Panics
/// Unless the embedder's pooling is the mean.
pub fn name_vectors(embedder: &Embedder, names: &[String]) -> Result<Array2<f32>, NameError> {
    let dims = embedder.vectors().dims();
    assert_eq!(embedder.recipe().feature_dim(), dims, "a mean of words");
    let mut vectors = Array2::zeros((names.len(), dims));
    for (mut row, name) in vectors.rows_mut().into_iter().zip(names) {
        let found = embedder.features(&name.replace(['_', '-'], " "))?;
        let length = found.features.iter().map(|x| x * x).sum::<f32>().sqrt();
        if found.known == 0 || length == 0.0 {
            return Err(NameError::Unknown { name: name.clone() });
        }
        row.iter_mut().zip(&found.features).for_each(|(to, x)| *to = x / length);
    }
    Ok(vectors)
}

/// How alike names are, `[n_wanted, n_taught]`, -1..=1: the cosine of their vectors less the mean of the taught ones. Of a name whose
/// vector is that mean it is 0.
fn similarities(taught: ArrayView2<'_, f32>, wanted: ArrayView2<'_, f32>) -> Array2<f32> {
    let Some(mean) = taught.mean_axis(Axis(0)) else { return Array2::zeros((wanted.nrows(), 0)) };
    let centred = |names: ArrayView2<'_, f32>| {
        let mut names = &names - &mean;
        for mut row in names.rows_mut() {
            let length = row.dot(&row).sqrt();
            row.mapv_inplace(|x| if length > 0.0 { x / length } else { 0.0 });
        }
        names
    };
    centred(wanted).dot(&centred(taught).t())
}

/// A head for `candidates` out of one that ridge regression taught and that has [`ClassNames`]: `taught` `[n_classes, dims]` are the unit vectors of its
/// classes' names, `wanted` `[n_candidates, dims]` those of the candidates. Its logits are the scores; nothing is unknown to it, and what was
/// measured of the taught classes it does not have.
///
/// # Panics
/// If the model is not linear, or the vectors are not one for each name.
pub fn for_names(
    model: &Model,
    taught: ArrayView2<'_, f32>,
    candidates: &[String],
    wanted: ArrayView2<'_, f32>,
) -> Model {
    let Predictor::Linear(head) = &model.head else { panic!("ridge regression gives a linear head") };
    let (n_classes, feature_dim) = (head.n_classes(), head.feature_dim());
    assert_eq!((taught.nrows(), wanted.nrows()), (n_classes, candidates.len()), "a vector for each name");
    let (weights, bias) = head.parameters().split_at(n_classes * feature_dim);
    let mut parameters = vec![0.0; candidates.len() * (feature_dim + 1)];
    let (rows, biases) = parameters.split_at_mut(candidates.len() * feature_dim);
    let kernels = Kernels::detect();
    let similarities = similarities(taught, wanted);
    for ((row, to), name) in rows.chunks_exact_mut(feature_dim).zip(biases).zip(similarities.rows()) {
        for ((from, bias), similarity) in weights.chunks_exact(feature_dim).zip(bias).zip(name) {
            // The targets are 1 and -1, those of the indicators 1 and 0.
            kernels.axpy(0.5 * similarity, from, row);
            *to += 0.5 * similarity * (bias + 1.0);
        }
    }
    let head = Head::new(candidates.len(), feature_dim, parameters).expect("a row for each candidate");
    let temperature = model.names.as_ref().map_or(1.0, |names| names.temperature);
    let calibration = Some(format::Calibration { temperature, ece_before: 0.0, ece_after: 0.0 });
    let (labels, names) = (candidates.to_vec(), None);
    Model { labels, names, head: head.into(), calibration, rejection: None, evaluation: None, ..model.clone() }
}

/// How well classes are named that were not taught: ten times some classes are held out, a head is taught on the others,
/// and says the names of what was held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOut {
    /// Classes that are held out in each round.
    pub classes: usize,
    /// Classes in all.
    pub of: usize,
    /// Samples that were asked for, over all rounds.
    pub samples: u32,
    /// Those whose name came first among the names that were held out; chance is 1 in `classes`.
    pub first_of_held_out: u32,
    /// Those whose name came first among all names; chance is 1 in `of`.
    pub first_of_all: u32,
    /// Those whose name was among the first five of all; chance is 5 in `of`.
    pub top5_of_all: u32,
}

/// Measures [`HeldOut`] for `features` `[n_samples, feature_dim]` as the trunk gives them; `None` with fewer than four classes.
/// Half of the classes are held out, at most five. The same samples give the same figures.
///
/// # Errors
/// [`LearnError`] of a fit.
pub fn held_out(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    names: ArrayView2<'_, f32>,
    scaling: Scaling,
) -> Result<Option<HeldOut>, LearnError> {
    let of = names.nrows();
    if of < 4 {
        return Ok(None);
    }
    let classes = (of / 2).min(5);
    let mut report = HeldOut { classes, of, samples: 0, first_of_held_out: 0, first_of_all: 0, top5_of_all: 0 };
    let mut random = SplitMix64(0);
    for _ in 0..ROUNDS {
        let mut order: Vec<usize> = (0..of).collect();
        for at in 0..classes {
            let other = at + (random.unit() * (of - at) as f32) as usize;
            order.swap(at, other.min(of - 1));
        }
        let (out, taught) = order.split_at(classes);
        let samples: Vec<usize> = (0..labels.len()).filter(|at| taught.contains(&usize::from(labels[*at]))).collect();
        let place = |class: u16| taught.iter().position(|other| *other == usize::from(class)).expect("is taught");
        let taught_labels: Vec<u16> = samples.iter().map(|at| place(labels[*at]) as u16).collect();
        let rows = features.select(Axis(0), &samples);
        let settings = Settings { scalings: &[scaling], kinds: &[Kind::Ridge], class_weights: None };
        let fitted = fit_with(rows.view(), &taught_labels, taught.len(), &settings)?;
        let kernels = Kernels::detect();
        let similarities = similarities(names.select(Axis(0), taught).view(), names);
        for at in (0..labels.len()).filter(|at| out.contains(&usize::from(labels[*at]))) {
            let mut scaled = features.row(at).to_vec();
            fitted.scaler.apply(kernels, &mut scaled);
            let mut logits = vec![0.0; taught.len()];
            fitted.head.logits(kernels, &scaled, &mut logits);
            let share: Vec<f32> = logits.iter().map(|logit| 0.5 * (logit + 1.0)).collect();
            let scores: Vec<f32> =
                similarities.rows().into_iter().map(|row| row.iter().zip(&share).map(|(s, p)| s * p).sum()).collect();
            let truth = usize::from(labels[at]);
            let before = |class: &usize| scores[*class] > scores[truth];
            let rank = (0..of).filter(before).count();
            report.samples += 1;
            report.first_of_held_out += u32::from(!out.iter().any(before));
            report.first_of_all += u32::from(rank == 0);
            report.top5_of_all += u32::from(rank < 5);
        }
    }
    Ok(Some(report))
}

/// Temperature of the scores: that of the taught names on left-out samples, whose ridge `logits` are `[n_samples, n_classes]`.
pub fn temperature(logits: &[f32], labels: &[u16], names: ArrayView2<'_, f32>) -> f32 {
    let n_classes = names.nrows();
    let similarities = similarities(names, names);
    let scores = logits.chunks_exact(n_classes).flat_map(|logits| {
        let score = |row: ndarray::ArrayView1<'_, f32>| -> f32 {
            row.iter().zip(logits).map(|(similarity, logit)| similarity * 0.5 * (logit + 1.0)).sum()
        };
        similarities.rows().into_iter().map(score).collect::<Vec<f32>>()
    });
    Calibration::fit(&scores.collect::<Vec<f32>>(), labels, n_classes).temperature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::Trunk;
    use ndarray::array;

    const CLASSES: usize = 4;
    const DIMS: usize = 3;

    fn random(seed: u64, rows: usize, columns: usize) -> Array2<f32> {
        let mut random = SplitMix64(seed);
        Array2::from_shape_fn((rows, columns), |_| random.unit() - 0.5)
    }

    /// Solves `a x = b`, in place: Gauss, with pivots.
    fn solve(mut a: Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
        let n = a.nrows();
        for at in 0..n {
            let pivot = (at..n).max_by(|i, j| a[[*i, at]].abs().total_cmp(&a[[*j, at]].abs())).expect("rows are left");
            for column in 0..n {
                a.swap([at, column], [pivot, column]);
            }
            for column in 0..b.ncols() {
                b.swap([at, column], [pivot, column]);
            }
            for row in (0..n).filter(|row| *row != at) {
                let factor = a[[row, at]] / a[[at, at]];
                for column in 0..n {
                    a[[row, column]] -= factor * a[[at, column]];
                }
                for column in 0..b.ncols() {
                    b[[row, column]] -= factor * b[[at, column]];
                }
            }
        }
        for ((row, _), x) in b.indexed_iter_mut() {
            *x /= a[[row, row]];
        }
        b
    }

    /// The head for names is the map from features to vectors that ridge regression gives when it is fitted to the vectors
    /// themselves, here by the normal equations in double precision.
    #[test]
    fn a_head_for_names_is_the_map_fitted_to_their_vectors() {
        let (n, d) = (40, 5);
        let labels: Vec<u16> = (0..n).map(|at| (at % CLASSES) as u16).collect();
        let features =
            random(1, n, d) + Array2::from_shape_fn((n, d), |(at, column)| (at % CLASSES * column) as f32 * 0.2);
        let (taught, wanted) = (random(2, CLASSES, DIMS), random(3, 6, DIMS));
        let settings = Settings { scalings: &[Scaling::None], kinds: &[Kind::Ridge], class_weights: None };
        let fitted = fit_with(features.view(), &labels, CLASSES, &settings).expect("can be fitted");
        let names = |count: usize| (0..count).map(|at| format!("name{at}")).collect::<Vec<_>>();
        let model = Model::new(&Trunk::rows(d as u32), names(CLASSES), &fitted);
        let asked = for_names(&model, taught.view(), &names(6), wanted.view());
        assert_eq!((asked.labels.len(), asked.rejection.is_none()), (6, true));

        // Vectors as the docs say: less the mean of the taught ones, to length 1.
        let mean = taught.mean_axis(Axis(0)).expect("some");
        let unit = |vectors: &Array2<f32>| {
            let mut vectors = (vectors - &mean).mapv(f64::from);
            for mut row in vectors.rows_mut() {
                let length = row.dot(&row).sqrt();
                row /= length;
            }
            vectors
        };
        let (taught, wanted) = (unit(&taught), unit(&wanted));
        let x = features.mapv(f64::from);
        let targets = taught.select(Axis(0), &labels.iter().map(|label| usize::from(*label)).collect::<Vec<_>>());
        let (x_mean, t_mean) = (x.mean_axis(Axis(0)).expect("some"), targets.mean_axis(Axis(0)).expect("some"));
        let (centred, targets) = (&x - &x_mean, &targets - &t_mean);
        let l2 = f64::from(fitted.left_out.setting);
        let gram = centred.t().dot(&centred) + Array2::<f64>::eye(d) * l2;
        let map = solve(gram, centred.t().dot(&targets));
        for row in x.rows() {
            let landed = (&row - &x_mean).dot(&map) + &t_mean;
            let expected = wanted.dot(&landed);
            let row: Vec<f32> = row.iter().map(|x| *x as f32).collect();
            let logits = asked.logits(Kernels::detect(), &row).expect("finite");
            for (logit, expected) in logits.iter().zip(&expected) {
                assert!((f64::from(*logit) - expected).abs() < 1e-4, "{logit} {expected}");
            }
        }
    }

    #[test]
    fn held_out_classes_that_lie_between_others_are_named() {
        // Names and features on the same circle: who knows the names around knows the name.
        let of = 8;
        let point = |at: f32| [(at * 0.785).cos(), (at * 0.785).sin()];
        let names = Array2::from_shape_fn((of, 2), |(class, axis)| point(class as f32)[axis]);
        let labels: Vec<u16> = (0..of as u16).flat_map(|class| [class; 5]).collect();
        let features = Array2::from_shape_fn((labels.len(), 2), |(at, axis)| {
            point(f32::from(labels[at]) + 0.02 * (at % 5) as f32)[axis]
        });
        let report =
            held_out(features.view(), &labels, names.view(), Scaling::None).expect("fits").expect("enough classes");
        assert_eq!((report.classes, report.of, report.samples), (4, 8, 10 * 4 * 5));
        assert!(f64::from(report.first_of_held_out) > 0.8 * f64::from(report.samples), "{report:?}");
        assert!(report.top5_of_all >= report.first_of_all);
        let few = names.select(Axis(0), &[0, 1, 2]);
        assert_eq!(held_out(features.view(), &labels, few.view(), Scaling::None).expect("nothing to do"), None);
    }

    #[test]
    fn a_name_that_is_the_mean_of_all_is_like_none() {
        let taught = array![[1.0, 0.0], [0.0, 1.0]];
        let found = similarities(taught.view(), array![[0.5, 0.5], [2.0, 0.0]].view());
        assert_eq!(found.row(0).to_vec(), [0.0, 0.0]);
        assert!(found[[1, 0]] > 0.8 && found[[1, 1]] < -0.8);
    }

    #[test]
    fn what_a_file_holds_of_names_survives_and_damage_is_refused() {
        let vectors = Recipe {
            file: "v.txt".into(),
            digest: [7; 32],
            words: 3,
            dims: 2,
            fold: crate::words::Fold::Lower,
            pooling: TextPooling::Mean,
            component: Vec::new(),
        };
        let names = ClassNames { vectors, temperature: 0.5 };
        let bytes = names.to_bytes();
        assert_eq!(ClassNames::parse(&bytes), Ok(names.clone()));
        assert!(ClassNames::parse(&bytes[..3]).is_err());
        let cold = ClassNames { temperature: 0.0, ..names };
        assert!(ClassNames::parse(&cold.to_bytes()).is_err());
    }
}
