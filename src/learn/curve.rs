//! Accuracy against shots, and what more photos would bring.

use ndarray::ArrayView2;
use rayon::prelude::*;
use topgraft_core::head::argmax;
use topgraft_core::solver::FitError;

use super::evaluation::Evaluation;
use super::fit::Fitted;
use super::random::SplitMix64;
use super::subsets::Subsets;

/// Shots that are tried, as far as there are photos.
const SHOTS: [usize; 12] = [2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300];
/// Subsets of each number of shots.
const REPEATS: u64 = 8;
/// Multiply-adds of a pass over the samples, for all heads of a curve together: about a second. A larger curve is not drawn.
pub(super) const WORK_LIMIT: u64 = 300_000_000;
/// Share of the samples that advice is about: two points.
const GAIN: f64 = 0.02;
/// How many times the photos that there are the curve is believed; docs/curve.md measures twice and four times.
const REACH: f64 = 3.0;

/// Accuracy on left-out samples against shots.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningCurve {
    /// The fewest shots first; the last is the cross-validation of all samples.
    pub points: Vec<CurvePoint>,
    /// Curve through the points.
    pub law: PowerLaw,
}

/// One number of shots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Samples of a class that the heads were fitted to, mean over the classes.
    pub shots: f64,
    /// Share of right answers on samples that they were not fitted to, 0..=1.
    pub accuracy: f64,
}

/// `error = floor + scale * shots^-exponent`: how error falls with data, in practice (Cortes et al. 1993, "Learning curves";
/// Hestness et al. 2017).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// Error that no number of samples takes away, 0..=1.
    pub floor: f64,
    /// >= 0
    pub scale: f64,
    /// > 0
    pub exponent: f64,
}

/// What the user could do for a better head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advice {
    /// The class with the largest left-out error, of equals the one with the fewest samples. More photos of it alone need not
    /// help: on signdigits10 they did not (docs/curve.md).
    pub class: u16,
    /// Left-out samples of that class that are wrong.
    pub wrong: u32,
    /// Samples of that class.
    pub samples: u32,
    /// More samples of each class that should bring `gain`; `None` if no number within reach does.
    pub more: Option<u32>,
    /// Share of the samples that are right then and are not now: 0.02, or without `more` what twice the samples would bring.
    pub gain: f64,
    /// Whether the head is shown to be better than always saying the most frequent class. If not, the curve is of noise, and promises
    /// nothing.
    pub is_shown: bool,
}

impl Advice {
    /// What to do, for a person: of classes of these names, and samples that are called that.
    pub fn text(&self, evaluation: &Evaluation, labels: &[String], noun: &str) -> String {
        let Self { class, wrong, samples, more, gain, is_shown } = *self;
        if !is_shown {
            let counts: Vec<u32> = evaluation.per_class().iter().map(|class| class.support).collect();
            let largest = (0..counts.len()).rev().max_by_key(|class| counts[*class]).unwrap_or(0);
            let largest = &labels[largest];
            return format!(
                "not shown to be better than always saying {largest}: see whether the labels are right, or give more {noun}s"
            );
        }
        let (worst, points) = (format!("`{}`, {wrong} of {samples}", labels[usize::from(class)]), 100.0 * gain);
        match more {
            Some(1) => {
                format!("about 1 more {noun} of each class should add {points:.0} points; most mistakes: {worst}")
            }
            Some(more) => {
                format!("about {more} more {noun}s of each class should add {points:.0} points; most mistakes: {worst}")
            }
            None => format!(
                "more {noun}s will hardly help: twice as many should add {points:.1} points; most mistakes: {worst}"
            ),
        }
    }
}

impl PowerLaw {
    /// Expected error, 0..=1, of a head of so many samples a class.
    pub fn error(&self, shots: f64) -> f64 {
        (self.floor + self.scale * shots.powf(-self.exponent)).clamp(0.0, 1.0)
    }

    /// Least squares through points (shots, error, weight), for each exponent of a grid with floor and scale not below 0.
    ///
    /// Few points tell floor and exponent badly apart, so both are held: the exponent to what is seen in practice, and a
    /// small cost on the floor keeps it at 0 unless the points ask for it.
    pub fn fit(points: &[(f64, f64, f64)]) -> Self {
        let candidates = (2..=20).map(|step| Self::with_exponent(points, f64::from(step) * 0.05));
        let cost = |law: &Self| -> f64 {
            let squares = points.iter().map(|(shots, error, weight)| {
                weight * (error - law.floor - law.scale * shots.powf(-law.exponent)).powi(2)
            });
            let total: f64 = points.iter().map(|point| point.2).sum();
            squares.sum::<f64>()
                + total * (FLOOR_COST * law.floor * law.floor + EXPONENT_COST * (law.exponent - 0.5).powi(2))
        };
        candidates.min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("the grid is not empty")
    }

    /// The best floor and scale for an exponent.
    fn with_exponent(points: &[(f64, f64, f64)], exponent: f64) -> Self {
        // Normal equations of error = floor + scale * x, with the cost of the floor.
        let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (shots, error, weight) in points {
            let x = shots.powf(-exponent);
            w += weight;
            wx += weight * x;
            wxx += weight * x * x;
            wy += weight * error;
            wxy += weight * x * error;
        }
        let ww = w * (1.0 + FLOOR_COST);
        let determinant = ww * wxx - wx * wx;
        let (floor, scale) = match determinant > 1e-12 * ww * wxx {
            true => ((wy * wxx - wxy * wx) / determinant, (ww * wxy - wx * wy) / determinant),
            false => (0.0, wxy / wxx.max(1e-300)),
        };
        let (floor, scale) = match (floor < 0.0, scale < 0.0) {
            (true, _) => (0.0, (wxy / wxx.max(1e-300)).max(0.0)),
            (_, true) => ((wy / ww.max(1e-300)).max(0.0), 0.0),
            _ => (floor, scale),
        };
        Self { floor, scale, exponent }
    }
}

/// See [`PowerLaw::fit`].
const FLOOR_COST: f64 = 0.02;
const EXPONENT_COST: f64 = 1e-3;

/// Draws the curve from the cached features: heads of stratified subsets, tested on the rest. `features [n_samples,
/// feature_dim]` are those that `fitted` was fitted to.
///
/// `None` with fewer than two points, and where it would take more than about a second.
///
/// # Errors
/// [`FitError`], as for a fit.
pub fn learning_curve(
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    fitted: &Fitted,
) -> Result<Option<LearningCurve>, FitError> {
    curve_within(WORK_LIMIT, features, labels, fitted)
}

fn curve_within(
    limit: u64,
    features: ArrayView2<'_, f32>,
    labels: &[u16],
    fitted: &Fitted,
) -> Result<Option<LearningCurve>, FitError> {
    let n_classes = fitted.head.n_classes();
    let subsets = Subsets::new(features, labels, fitted);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_classes];
    labels.iter().enumerate().for_each(|(sample, label)| members[usize::from(*label)].push(sample));
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let Plan { shots, taken, work } = Plan::new(&counts, subsets.pass(n_classes));
    if shots.is_empty() || work > limit {
        return Ok(None);
    }
    let tasks: Vec<(usize, u64)> = shots.iter().flat_map(|shots| (0..REPEATS).map(|seed| (*shots, seed))).collect();
    let accuracy = |(shots, seed): &(usize, u64)| -> Result<f64, FitError> {
        let mut rng = SplitMix64(*seed);
        let (mut training, mut rest) = (Vec::new(), Vec::new());
        for class in &members {
            let (mut class, chosen) = (class.clone(), most(class.len()).min(*shots));
            for i in 0..chosen {
                let other = i + rng.below(class.len() - i);
                class.swap(i, other);
            }
            training.extend_from_slice(&class[..chosen]);
            rest.extend_from_slice(&class[chosen..]);
        }
        let taught: Vec<u16> = training.iter().map(|sample| labels[*sample]).collect();
        let logits = subsets.logits(&training, &taught, n_classes, &rest)?;
        let predicted = logits.chunks_exact(n_classes).map(|row| argmax(row).unwrap_or(0) as u16);
        let evaluation = Evaluation::new(n_classes, rest.iter().map(|sample| labels[*sample]).zip(predicted));
        // The rest has another mix of classes than all samples: each class counts as in these.
        let recalls = evaluation.per_class().into_iter().zip(&members);
        let right: f64 = recalls.map(|(class, all)| class.recall.unwrap_or(0.0) * all.len() as f64).sum();
        Ok(right / labels.len() as f64)
    };
    let accuracies: Vec<f64> = tasks.par_iter().map(accuracy).collect::<Result<_, _>>()?;
    let mean = |taken: &usize| *taken as f64 / n_classes as f64;
    let repeats = accuracies.chunks_exact(REPEATS as usize).map(|repeats| repeats.iter().sum::<f64>() / REPEATS as f64);
    let mut points: Vec<CurvePoint> =
        taken.iter().map(mean).zip(repeats).map(|(shots, accuracy)| CurvePoint { shots, accuracy }).collect();
    let folds = fitted.left_out.folds as f64;
    let all = labels.len() as f64 / n_classes as f64 * (1.0 - 1.0 / folds);
    points.push(CurvePoint { shots: all, accuracy: fitted.evaluation.accuracy() });
    // The more shots, the nearer to what is asked of the curve.
    let law = PowerLaw::fit(&points.iter().map(|p| (p.shots, 1.0 - p.accuracy, p.shots)).collect::<Vec<_>>());
    Ok(Some(LearningCurve { points, law }))
}

/// Samples of a class of so many that a head may be fitted to: a fifth is always left to test with, and at least one.
pub(super) fn most(samples: usize) -> usize {
    (samples - samples / 5).min(samples.saturating_sub(1))
}

/// What a curve takes.
pub(super) struct Plan {
    /// Shots that are tried.
    shots: Vec<usize>,
    /// Samples of all classes that a head is fitted to, for each of `shots`.
    pub taken: Vec<usize>,
    /// Multiply-adds of a pass over the samples, for all heads together.
    pub work: u64,
}

impl Plan {
    /// For classes of `counts` samples; `pass` are the multiply-adds of one over all of them.
    pub fn new(counts: &[usize], pass: u64) -> Self {
        let largest = counts.iter().map(|count| most(*count)).max().unwrap_or(0);
        let shots: Vec<usize> = SHOTS.into_iter().filter(|shots| *shots <= largest).collect();
        let all = |shots: &usize| counts.iter().map(|count| most(*count).min(*shots)).sum();
        let taken: Vec<usize> = shots.iter().map(all).collect();
        // A fit makes some fifty passes over its samples, there and back; the test is one over the rest.
        let n = counts.iter().sum::<usize>().max(1) as u64;
        let work = |taken: &usize| (*taken as u64).saturating_mul(pass) / n + pass / 100;
        let work = taken.iter().map(work).sum::<u64>().saturating_mul(REPEATS);
        Self { shots, taken, work }
    }
}

impl LearningCurve {
    /// What the curve says to do. `None` if every left-out sample is right.
    pub fn advice(&self, evaluation: &Evaluation) -> Option<Advice> {
        let per_class = evaluation.per_class();
        let wrong = |class: usize| {
            let support = per_class[class].support;
            support - evaluation.confusion().nth(class).map_or(0, |row| row[class])
        };
        let share = |class: usize| f64::from(wrong(class)) / f64::from(per_class[class].support.max(1));
        let worse = |a: &usize, b: &usize| {
            share(*a).total_cmp(&share(*b)).then(per_class[*b].support.cmp(&per_class[*a].support)).then(b.cmp(a))
        };
        let class = (0..per_class.len()).max_by(worse)?;
        if wrong(class) == 0 {
            return None;
        }
        let samples = per_class[class].support;
        let (class, wrong) = (class as u16, wrong(class));
        if evaluation.interval()[0] <= f64::from(evaluation.majority()) / f64::from(evaluation.n_samples()) {
            return Some(Advice { class, wrong, samples, more: None, gain: 0.0, is_shown: false });
        }
        let shots = f64::from(evaluation.n_samples()) / per_class.len() as f64;
        let gain = |more: f64| self.law.error(shots) - self.law.error(shots + more);
        let reach = (REACH * shots) as u32;
        let more = (1..=reach).find(|more| gain(f64::from(*more)) >= GAIN);
        let gain = if more.is_some() { GAIN } else { gain(shots) };
        Some(Advice { class, wrong, samples, more, gain, is_shown: true })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fit::fit;
    use super::super::scaling::Scaling;
    use super::*;
    use ndarray::Array2;

    fn noisy(n: usize, n_classes: u16, noise: f32) -> (Array2<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n as u16).map(|i| i % n_classes).collect();
        let mut rng = SplitMix64(3);
        let features = Array2::from_shape_fn((n, 30), |(i, j)| {
            noise * (rng.below(2001) as f32 / 1000.0 - 1.0) + if usize::from(labels[i]) == j { 1.0 } else { 0.0 }
        });
        (features, labels)
    }

    #[test]
    fn a_curve_that_is_a_power_law_is_found() {
        for (scale, exponent) in [(0.8, 0.5), (0.5, 0.3), (1.0, 0.8)] {
            let points: Vec<(f64, f64, f64)> =
                [2.0, 3.0, 5.0, 8.0, 12.0, 20.0].map(|n: f64| (n, scale * n.powf(-exponent), n)).to_vec();
            let law = PowerLaw::fit(&points);
            let truth = scale * 60f64.powf(-exponent);
            assert!((law.error(60.0) - truth).abs() < 0.02, "{law:?}");
        }
    }

    #[test]
    fn no_law_is_out_of_bounds() {
        for points in [vec![], vec![(5.0, 0.0, 1.0)], vec![(2.0, 0.1, 1.0), (9.0, 0.6, 1.0)], vec![(2.0, 1.0, 1.0); 3]]
        {
            let law = PowerLaw::fit(&points);
            assert!(law.floor >= 0.0 && law.scale >= 0.0 && law.exponent > 0.0, "{law:?} from {points:?}");
            assert!((0.0..=1.0).contains(&law.error(1.0)) && law.error(100.0) <= law.error(1.0));
        }
    }

    #[test]
    fn accuracy_grows_with_shots_and_advice_says_how_much() {
        let (features, labels) = noisy(120, 4, 1.6);
        let fitted = fit(features.view(), &labels, 4, Scaling::L2).expect("fits");
        let curve = learning_curve(features.view(), &labels, &fitted).expect("fits").expect("small");
        let shots: Vec<f64> = curve.points.iter().map(|point| point.shots).collect();
        assert_eq!(shots, [2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 27.0]);
        assert!(curve.points[5].accuracy > curve.points[0].accuracy + 0.1, "{curve:?}");
        let advice = curve.advice(&fitted.evaluation).expect("some are wrong");
        let worst = fitted.evaluation.per_class()[usize::from(advice.class)].recall.expect("has samples");
        assert!(fitted.evaluation.per_class().iter().all(|class| class.recall >= Some(worst)));
        let more = advice.more.expect("more photos help");
        let gain = curve.law.error(30.0) - curve.law.error(30.0 + f64::from(more));
        assert!((0.02..0.04).contains(&gain), "{gain}");
    }

    #[test]
    fn noise_learns_nothing_from_more_and_certainty_needs_no_advice() {
        let (features, _) = noisy(60, 2, 1.0);
        let labels: Vec<u16> = (0..60).map(|i| (i / 2) % 2).collect();
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        let curve = learning_curve(features.view(), &labels, &fitted).expect("fits").expect("small");
        assert!(curve.law.error(120.0) > 0.3, "{curve:?}");
        let (features, labels) = noisy(60, 2, 0.1);
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        let curve = learning_curve(features.view(), &labels, &fitted).expect("fits").expect("small");
        assert_eq!(curve.advice(&fitted.evaluation), None);
    }

    #[test]
    fn classes_of_unequal_size_keep_samples_to_test_with() {
        let (features, _) = noisy(40, 2, 0.5);
        let labels: Vec<u16> = (0..40).map(|i| u16::from(i >= 2)).collect();
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        let curve = learning_curve(features.view(), &labels, &fitted).expect("fits").expect("small");
        let shots: Vec<f64> = curve.points.iter().map(|point| point.shots).collect();
        // One sample of the class of two, and 2, 3, 5 ... 30 of the other.
        assert_eq!(shots, [1.5, 2.0, 3.0, 4.5, 6.5, 10.5, 15.5, 19.5]);
    }

    #[test]
    fn what_would_take_long_is_not_drawn() {
        let (features, labels) = noisy(40, 2, 0.5);
        let fitted = fit(features.view(), &labels, 2, Scaling::L2).expect("fits");
        let drawn = |limit| curve_within(limit, features.view(), &labels, &fitted).expect("fits").is_some();
        assert_eq!((drawn(1000), drawn(WORK_LIMIT)), (false, true));
    }
}
