//! What transfer brings: a head on the trunk's features beside the same head on the photos' own pixels, against shots.

use ndarray::ArrayView2;
use rayon::prelude::*;
use topgraft_core::head::{Kind, argmax};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::FitError;

use super::cross_validation::{L2_GRID, cross_validate_in};
use super::curve::most;
use super::evaluation::{Z, wilson_of_share};
use super::heads::Samples;
use super::random::SplitMix64;
use super::scaling::{Scaled, Scaling};

/// Shots that are tried, as far as there are photos.
const SHOTS: [usize; 11] = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120];
/// Subsets of each number of shots.
const REPEATS: usize = 8;
/// The most samples that a curve is drawn from, of many classes two of each.
const MAX_SAMPLES: usize = 1000;
/// Multiply-adds of a pass over the samples of all heads of a curve: a few seconds. Larger numbers of shots are left out.
const WORK_LIMIT: usize = 40_000_000;
/// Folds of a subset in which its penalty is chosen.
const FOLDS: usize = 5;
/// Index in [`L2_GRID`] of the penalty of a head of one sample a class, from which none can be left out.
const DEFAULT_L2: usize = 4;

/// Left-out accuracy of two softmax heads against shots.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferCurve {
    /// Samples that it was drawn from.
    pub n_samples: usize,
    /// The fewest shots first; one or more.
    pub points: Vec<TransferPoint>,
    /// What transfer gains at the fewest shots: the higher start.
    pub start: Difference,
    /// What it gains with each doubling of the shots, beyond what the head on pixels does: the steeper slope. Least squares
    /// through all points; `None` with one point.
    pub slope: Option<Difference>,
    /// What it gains at the most shots: the higher end.
    pub end: Difference,
}

/// One number of shots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransferPoint {
    /// Samples of a class that the heads were fitted to, mean over the classes.
    pub shots: f64,
    /// Of heads on the trunk's features.
    pub transfer: Estimate,
    /// Of heads on pixels.
    pub pixels: Estimate,
}

/// An accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean over the subsets, 0..=1.
    pub accuracy: f64,
    /// 95 % interval: Wilson's, of as many samples as were tested, each counted once, fewer as the subsets differ (the
    /// effective sample size of Kish 1965, "Survey sampling").
    pub interval: [f64; 2],
}

/// A difference of accuracies, -1..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean over the subsets.
    pub mean: f64,
    /// 95 % interval: of pairs, each sample counted once, with two samples more of which nothing is known (Agresti & Min 2005,
    /// "Simple improved confidence intervals for comparing matched proportions"), and of the spread of the subsets. For the
    /// slope the points are taken as independent, which makes it rather too wide.
    pub interval: [f64; 2],
}

impl Difference {
    /// Whether it is above (`Some(true)`) or below zero (`Some(false)`), as far as the interval tells.
    pub fn sign(&self) -> Option<bool> {
        match self.interval {
            [low, _] if low > 0.0 => Some(true),
            [_, high] if high < 0.0 => Some(false),
            _ => None,
        }
    }
}

/// The samples that [`transfer_curve`] should be drawn from: all of a small set, of a large one so many of each class, at random.
pub fn curve_samples(labels: &[u16], n_classes: usize) -> Vec<usize> {
    let mut members = members(labels, n_classes);
    let present = members.iter().filter(|class| !class.is_empty()).count().max(1);
    if labels.len() > MAX_SAMPLES {
        for (seed, class) in (0..).zip(&mut members) {
            SplitMix64(seed).shuffle(class);
            class.truncate((MAX_SAMPLES / present).max(2));
        }
    }
    let mut samples = members.concat();
    samples.sort_unstable();
    samples
}

/// Draws the curve. Of each number of shots, softmax heads are fitted to eight random subsets, on `features [n_samples,
/// feature_dim]` and on `pixels [n_samples, n_pixels]`, and tested on the other samples. The penalty of each is chosen by
/// cross-validation within its subset, so that nothing of what it is tested on is known to it, but for the scaling, which
/// knows no labels. Each of `n_classes` has two samples or more.
///
/// `None` where even the fewest shots would take long.
///
/// # Errors
/// [`FitError`], as for a fit.
///
/// # Panics
/// If rows and labels differ in number.
///
/// ```
/// use topgraft::learn::transfer_curve;
/// let features = ndarray::Array2::from_shape_fn((12, 4), |(i, j)| if i % 2 == j { 1.0 } else { 0.1 * i as f32 / 12.0 });
/// let pixels = ndarray::Array2::from_shape_fn((12, 9), |(i, j)| ((i * 9 + j) as f32).sin());
/// let labels: Vec<u16> = (0..12).map(|i| i % 2).collect();
/// let curve = transfer_curve(features.view(), pixels.view(), &labels, 2)?.expect("is small");
/// assert_eq!(curve.points.iter().map(|point| point.shots).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 5.0]);
/// assert!(curve.start.mean > 0.2 && curve.start.sign() == Some(true), "{curve:?}");
/// # Ok::<(), topgraft::topgraft_core::solver::FitError>(())
/// ```
pub fn transfer_curve(
    features: ArrayView2<'_, f32>,
    pixels: ArrayView2<'_, f32>,
    labels: &[u16],
    n_classes: usize,
) -> Result<Option<TransferCurve>, FitError> {
    assert_eq!([features.nrows(), pixels.nrows()], [labels.len(); 2], "a row for each label");
    // Both as `learn` scales features by default; pixels less their mean, without which all photos point the same way.
    let sides = [Side::new(features, Scaling::L2), Side::new(pixels, Scaling::CentredL2)];
    let members = members(labels, n_classes);
    let plan = plan(&members, n_classes, sides.iter().map(|side| side.dim).max().unwrap_or(0));
    let tasks: Vec<(usize, u64)> =
        plan.iter().flat_map(|shots| (0..REPEATS as u64).map(|seed| (*shots, seed))).collect();
    let run = |(shots, seed): &(usize, u64)| Trial::new(&sides, labels, &members, *shots, *seed);
    let trials: Vec<Trial> = tasks.par_iter().map(run).collect::<Result<_, _>>()?;
    let points: Vec<Point> = trials.chunks_exact(REPEATS).map(|trials| Point::new(trials, labels.len())).collect();
    let Some((first, last)) = points.first().zip(points.last()) else { return Ok(None) };
    let shots = |shots: &usize| members.iter().map(|class| most(class.len()).min(*shots)).sum::<usize>() as f64;
    let shots: Vec<f64> = plan.iter().map(|taken| shots(taken) / n_classes as f64).collect();
    let point = |(shots, point): (&f64, &Point)| {
        let [transfer, pixels] = point.estimates;
        TransferPoint { shots: *shots, transfer, pixels }
    };
    let slope = slope_weights(&shots).map(|weights| Contrast::of(weights.iter().zip(&points)).difference());
    let ends = [first, last].map(|point| Contrast::of([(&1.0, point)]).difference());
    let points = shots.iter().zip(&points).map(point).collect();
    Ok(Some(TransferCurve { n_samples: labels.len(), points, start: ends[0], slope, end: ends[1] }))
}

/// Samples of each class.
fn members(labels: &[u16], n_classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); n_classes];
    labels.iter().enumerate().for_each(|(sample, label)| members[usize::from(*label)].push(sample));
    members
}

/// Shots that are tried.
fn plan(members: &[Vec<usize>], n_classes: usize, dim: usize) -> Vec<usize> {
    let largest = members.iter().map(|class| most(class.len())).max().unwrap_or(0);
    let mut work = 0usize;
    let within = |shots: &usize| {
        let n: usize = members.iter().map(|class| most(class.len()).min(*shots)).sum();
        let pass = n.saturating_mul(n.min(dim)).saturating_mul(n_classes);
        work = work.saturating_add(pass.saturating_mul(2 * REPEATS));
        work <= WORK_LIMIT
    };
    SHOTS.into_iter().filter(|shots| *shots <= largest).take_while(within).collect()
}

/// Weights `[n_points]` that make of accuracies their least squares slope by the doubling of shots; `None` if all are equal.
fn slope_weights(shots: &[f64]) -> Option<Vec<f64>> {
    let doublings: Vec<f64> = shots.iter().map(|shots| shots.log2()).collect();
    let mean = doublings.iter().sum::<f64>() / doublings.len().max(1) as f64;
    let squares: f64 = doublings.iter().map(|x| (x - mean) * (x - mean)).sum();
    (squares > 0.0).then(|| doublings.iter().map(|x| (x - mean) / squares).collect())
}

/// What one of the two heads learns from.
struct Side {
    /// `[n_samples, dim]`, scaled.
    rows: Vec<f32>,
    dim: usize,
    unit: f32,
}

impl Side {
    fn new(rows: ArrayView2<'_, f32>, scaling: Scaling) -> Self {
        let Scaled { rows: scaled, unit, .. } = Scaled::new(rows, scaling);
        Self { rows: scaled, dim: rows.ncols(), unit }
    }

    fn row(&self, sample: usize) -> &[f32] {
        &self.rows[sample * self.dim..][..self.dim]
    }

    /// Whether a head that is fitted to the samples `training` is right about each of `rest`.
    fn answers(
        &self,
        training: &[usize],
        rest: &[usize],
        labels: &[u16],
        n_classes: usize,
    ) -> Result<Vec<bool>, FitError> {
        let rows: Vec<f32> = training.iter().flat_map(|sample| self.row(*sample)).copied().collect();
        let taught: Vec<u16> = training.iter().map(|sample| labels[*sample]).collect();
        let can_leave_out = members(&taught, n_classes).iter().all(|class| class.len() >= 2);
        let l2 = match can_leave_out {
            true => {
                let folds = taught.len().min(FOLDS);
                cross_validate_in(folds, &rows, &taught, None, n_classes, self.dim, self.unit)?.l2
            }
            false => L2_GRID[DEFAULT_L2] * self.unit,
        };
        let (labels_of, weights, feature_dim, unit) = (taught.as_slice(), None, self.dim, self.unit);
        let samples = Samples { rows: &rows, labels: labels_of, weights, n_classes, feature_dim, unit };
        let (head, _) = samples.fit(Kind::Softmax, l2)?;
        let mut logits = vec![0.0; n_classes];
        let is_right = |sample: &usize| {
            head.logits(Kernels::detect(), self.row(*sample), &mut logits);
            argmax(&logits) == Some(usize::from(labels[*sample]))
        };
        Ok(rest.iter().map(is_right).collect())
    }
}

/// One subset: what both heads say of the samples that are not in it.
struct Trial {
    rest: Vec<usize>,
    right: [Vec<bool>; 2],
    /// Accuracies on the rest, each class counted as in all samples.
    accuracies: [f64; 2],
}

impl Trial {
    fn new(
        sides: &[Side; 2],
        labels: &[u16],
        members: &[Vec<usize>],
        shots: usize,
        seed: u64,
    ) -> Result<Self, FitError> {
        let mut rng = SplitMix64(seed);
        let (mut training, mut rest) = (Vec::new(), Vec::new());
        for class in members {
            let mut class = class.clone();
            rng.shuffle(&mut class);
            let chosen = most(class.len()).min(shots);
            training.extend_from_slice(&class[..chosen]);
            rest.extend_from_slice(&class[chosen..]);
        }
        let answers = |side: &Side| side.answers(&training, &rest, labels, members.len());
        let right = [answers(&sides[0])?, answers(&sides[1])?];
        let accuracy = |right: &Vec<bool>| {
            let (mut of_class, mut tested) = (vec![0.0; members.len()], vec![0.0; members.len()]);
            for (sample, right) in rest.iter().zip(right) {
                let class = usize::from(labels[*sample]);
                of_class[class] += f64::from(u8::from(*right));
                tested[class] += 1.0;
            }
            let shares = of_class.iter().zip(&tested).zip(members).filter(|((_, tested), _)| **tested > 0.0);
            shares.map(|((right, tested), class)| right / tested * class.len() as f64).sum::<f64>()
                / labels.len() as f64
        };
        let accuracies = [accuracy(&right[0]), accuracy(&right[1])];
        Ok(Self { rest, right, accuracies })
    }
}

/// All subsets of one number of shots.
struct Point {
    estimates: [Estimate; 2],
    /// Mean difference, the same with two more samples of which nothing is known, and its squared standard error.
    mean: f64,
    centre: f64,
    variance: f64,
}

impl Point {
    fn new(trials: &[Trial], n_samples: usize) -> Self {
        // How often a sample was tested, and how much more often transfer was right than pixels were.
        let (mut tested, mut gained) = (vec![0.0; n_samples], vec![0.0; n_samples]);
        for Trial { rest, right, .. } in trials {
            for (at, sample) in rest.iter().enumerate() {
                tested[*sample] += 1.0;
                gained[*sample] += f64::from(u8::from(right[0][at])) - f64::from(u8::from(right[1][at]));
            }
        }
        let gains = tested.iter().zip(&gained).filter(|(tested, _)| **tested > 0.0);
        let gains: Vec<f64> = gains.map(|(tested, gained)| gained / tested).collect();
        let n = gains.len() as f64;
        let estimate = |side: usize| {
            let (accuracy, spread) = mean_and_error(trials.iter().map(|trial| trial.accuracies[side]));
            let of_samples = accuracy * (1.0 - accuracy) / n;
            let effective = if of_samples > 0.0 { n * of_samples / (of_samples + spread) } else { n };
            Estimate { accuracy, interval: wilson_of_share(accuracy, effective) }
        };
        let (mean, spread) = mean_and_error(trials.iter().map(|trial| trial.accuracies[0] - trial.accuracies[1]));
        // Of two more samples, one is the same for both, half of one better and half of one worse.
        let more = n + 2.0;
        let centre = gains.iter().sum::<f64>() / more;
        let squares = (gains.iter().map(|gain| gain * gain).sum::<f64>() + 1.0) / more;
        let variance = (squares - centre * centre) / more + spread;
        Self { estimates: [estimate(0), estimate(1)], mean, centre: mean * n / more, variance }
    }
}

/// Mean, and its squared standard error.
fn mean_and_error(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let squares: f64 = values.map(|value| (value - mean) * (value - mean)).sum();
    (mean, squares / (n - 1.0).max(1.0) / n)
}

/// A weighted sum of differences.
struct Contrast {
    mean: f64,
    centre: f64,
    variance: f64,
}

impl Contrast {
    fn of<'a>(points: impl IntoIterator<Item = (&'a f64, &'a Point)>) -> Self {
        let mut contrast = Self { mean: 0.0, centre: 0.0, variance: 0.0 };
        for (weight, point) in points {
            contrast.mean += weight * point.mean;
            contrast.centre += weight * point.centre;
            contrast.variance += weight * weight * point.variance;
        }
        contrast
    }

    fn difference(&self) -> Difference {
        let half = Z * self.variance.sqrt();
        let bound = |bound: f64| bound.clamp(-1.0, 1.0);
        // The two samples more are no reason for an interval without the mean.
        let interval = [bound(self.centre - half).min(self.mean), bound(self.centre + half).max(self.mean)];
        Difference { mean: self.mean, interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Samples of `n_classes` around their means; `noise` 0 is none.
    fn samples(n: usize, n_classes: u16, dim: usize, noise: f32) -> (Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n as u16).map(|i| i % n_classes).collect();
        let mut rng = SplitMix64(11);
        let rows = Array2::from_shape_fn((n, dim), |(i, j)| {
            noise * (rng.below(2001) as f32 / 1000.0 - 1.0) + if usize::from(labels[i]) == j { 1.0 } else { 0.0 }
        });
        (rows, labels)
    }

    #[test]
    fn what_tells_classes_apart_is_told_from_what_does_not() {
        let (clear, labels) = samples(60, 3, 20, 0.5);
        let mut rng = SplitMix64(5);
        let nothing = Array2::from_shape_fn((60, 30), |_| rng.below(2001) as f32 / 1000.0 - 1.0);
        let curve = transfer_curve(clear.view(), nothing.view(), &labels, 3).expect("fits").expect("small");
        assert_eq!(curve.points.iter().map(|point| point.shots).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 5.0, 8.0, 12.0]);
        let (first, last) = (curve.points[0], curve.points[5]);
        assert!(last.transfer.accuracy > 0.9 && last.transfer.accuracy > first.transfer.accuracy, "{curve:?}");
        assert_eq!((curve.start.sign(), curve.end.sign()), (Some(true), Some(true)), "{curve:?}");
        assert!((curve.end.mean - (last.transfer.accuracy - last.pixels.accuracy)).abs() < 1e-12);
        // Chance is a third. An interval never is narrower than that of all 60 photos.
        assert!((last.pixels.accuracy - 1.0 / 3.0).abs() < 0.17, "{curve:?}");
        for point in &curve.points {
            for Estimate { accuracy, interval: [low, high] } in [point.transfer, point.pixels] {
                let [least, most] = wilson_of_share(accuracy, 60.0);
                assert!(low <= least + 1e-9 && high >= most - 1e-9 && low <= accuracy && accuracy <= high, "{point:?}");
            }
        }
        // The other way round, the other sign.
        let curve = transfer_curve(nothing.view(), clear.view(), &labels, 3).expect("fits").expect("small");
        assert_eq!(curve.end.sign(), Some(false));
    }

    #[test]
    fn the_same_features_on_both_sides_differ_in_nothing() {
        let (rows, labels) = samples(24, 2, 8, 0.0);
        let rows = rows.mapv(|x| x - 0.5);
        let curve = transfer_curve(rows.view(), rows.view(), &labels, 2).expect("fits").expect("small");
        for difference in [curve.start, curve.end, curve.slope.expect("more than one point")] {
            assert_eq!((difference.mean, difference.sign()), (0.0, None), "{difference:?}");
        }
        assert!(curve.points.iter().all(|point| point.transfer.accuracy == 1.0), "{curve:?}");
        // All right of 24 is no proof of certainty.
        assert_eq!(curve.points[0].transfer.interval, wilson_of_share(1.0, 24.0));
    }

    #[test]
    fn classes_of_unequal_size_keep_samples_to_ask() {
        let (rows, _) = samples(30, 2, 6, 0.5);
        let labels: Vec<u16> = (0..30).map(|i| u16::from(i >= 2)).collect();
        let curve = transfer_curve(rows.view(), rows.view(), &labels, 2).expect("fits").expect("small");
        let shots: Vec<f64> = curve.points.iter().map(|point| point.shots).collect();
        assert_eq!(shots, [1.0, 1.5, 2.0, 3.0, 4.5, 6.5, 10.5]);
    }

    #[test]
    fn a_curve_is_drawn_from_a_bounded_number_of_samples() {
        let labels: Vec<u16> = (0..5000).map(|i| if i < 10 { 0 } else { 1 + i % 4 }).collect();
        let chosen = curve_samples(&labels, 6);
        let count = |label: u16| chosen.iter().filter(|sample| labels[**sample] == label).count();
        assert_eq!([0, 1, 2, 3, 4, 5].map(count), [10, 200, 200, 200, 200, 0]);
        assert!(chosen.is_sorted_by(|a, b| a < b));
        assert_eq!(curve_samples(&labels[..900], 6), (0..900).collect::<Vec<_>>());
        let members: Vec<Vec<usize>> = (0..400).map(|class| vec![class, class + 400, class + 800]).collect();
        assert!(plan(&members, 400, 3072).is_empty(), "would take long");
        assert_eq!(plan(&members[..4], 4, 3072), [1, 2]);
    }

    #[test]
    fn a_slope_is_that_of_a_line_through_the_points() {
        let shots = [1.0, 2.0, 4.0, 8.0];
        let weights = slope_weights(&shots).expect("different shots");
        let slope: f64 = weights.iter().zip([0.1, 0.3, 0.5, 0.7]).map(|(weight, y)| weight * y).sum();
        assert!((slope - 0.2).abs() < 1e-12);
        assert_eq!(slope_weights(&[3.0]), None);
    }
}
