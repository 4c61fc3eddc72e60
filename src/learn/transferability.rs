//! Scores that guess, without fitting a head, how well features suit labelled samples.
//!
//! They are cheap where there are many samples; [`docs/select.md`] says how well they agree with the accuracy of real heads.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::spectrum::spectrum;

/// Rounds of the search for the evidence's maximum, and the change of the ratio at which it ends.
const MOST_ROUNDS: usize = 100;
const SMALL_CHANGE: f64 = 1e-6;

/// LogME (You, Liu, Wang & Long 2021, "LogME: practical assessment of pre-trained models for transfer learning"): the
/// logarithm of the evidence of a Bayesian linear regression from `features [n_samples, feature_dim]` to each class's 0 or 1,
/// at its maximum over both precisions, a sample, averaged over the classes. Higher is better; only scores for the same
/// samples compare. `None` with fewer than two samples or classes, or if a feature is not finite.
///
/// The evidence is the paper's equation for any number of features. (Its authors' program leaves out the directions that no
/// sample lies in, which matters where there are fewer samples than features.)
///
/// # Panics
/// If there are not as many labels as rows, or a label is not below `n_classes`.
pub fn log_me(features: ArrayView2<'_, f32>, labels: &[u16], n_classes: usize) -> Option<f64> {
    let n = labels.len();
    let targets = indicators(features.nrows(), labels, n_classes)?;
    // A common factor of all features changes nothing but the first precision, and keeps the numbers in range.
    let features = features.mapv(f64::from);
    let Components { squares, along } = components(&features, &targets)?;
    let score = |(target, along): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| {
        let explained = along.mapv(|x| x * x);
        evidence(&squares, &explained, target.sum() - explained.sum(), n as f64)
    };
    let scores: Option<Vec<f64>> = targets.rows().into_iter().zip(along.rows()).map(score).collect();
    Some(scores?.iter().sum::<f64>() / n_classes as f64)
}

/// The logarithm of the evidence a sample, for squares of the singular values, of the target's components along them, and what
/// of the target's square is along none.
fn evidence(squares: &Array1<f64>, explained: &Array1<f64>, unexplained: f64, n: f64) -> Option<f64> {
    let unexplained = unexplained.max(0.0);
    let (mut alpha, mut beta) = (1.0, 1.0);
    for _ in 0..MOST_ROUNDS {
        let ratio: f64 = alpha / beta;
        let sum = |term: fn(f64, f64, f64) -> f64| -> f64 {
            squares.iter().zip(explained).map(|(&s, &x)| term(s, x, ratio)).sum()
        };
        let gamma = sum(|s, _, t| s / (s + t));
        let weights = sum(|s, x, t| s * x / ((s + t) * (s + t)));
        let residual = sum(|s, x, t| x * (t / (s + t)) * (t / (s + t))) + unexplained;
        // The small numbers, the paper's program's too, bound both where the fit is perfect or nothing is to be seen.
        alpha = gamma / (weights + 1e-5);
        beta = (n - gamma) / (residual + 1e-5);
        if !(alpha.is_finite() && beta.is_finite() && alpha > 0.0 && beta > 0.0) {
            return None;
        }
        if (alpha / beta - ratio).abs() <= SMALL_CHANGE * ratio {
            break;
        }
    }
    let t = alpha / beta;
    let weights: f64 = squares.iter().zip(explained).map(|(s, x)| s * x / ((s + t) * (s + t))).sum();
    let residual: f64 =
        squares.iter().zip(explained).map(|(s, x)| x * (t / (s + t)).powi(2)).sum::<f64>() + unexplained;
    let determinant: f64 = squares.iter().map(|s| (alpha / (alpha + beta * s)).ln()).sum();
    let evidence =
        0.5 * (determinant + n * beta.ln() - beta * residual - alpha * weights - n * std::f64::consts::TAU.ln());
    Some(evidence / n)
}

/// The H-score with shrinkage (Bao et al. 2019, "An information-theoretic approach to transferability in task transfer
/// learning"; Ibrahim, Ponomareva & Mazumder 2021, "Newer is not always better"): how much of the variance of `features
/// [n_samples, feature_dim]` is between the classes, in the coordinates in which it is 1 in all directions. The covariance is
/// shrunk towards a multiple of the identity as Ledoit & Wolf (2004) say: without that, the score is the number of classes less
/// one for whatever features there are more of than samples. Higher is better. `None` as [`log_me`], and if all samples are
/// equal.
///
/// # Panics
/// As [`log_me`].
pub fn h_score(features: ArrayView2<'_, f32>, labels: &[u16], n_classes: usize) -> Option<f64> {
    let (n, dims) = (labels.len() as f64, features.ncols() as f64);
    let mut targets = indicators(features.nrows(), labels, n_classes)?;
    let mut features = features.mapv(f64::from);
    features -= &features.mean_axis(Axis(0))?;
    // Each class's mean, as weights of the samples; times the root of its share.
    for mut target in targets.rows_mut() {
        let count = target.sum().max(1.0);
        target /= (count * n).sqrt();
    }
    let Components { squares, along } = components(&features, &targets)?;
    let variances = squares / n;
    let mean_variance = variances.sum() / dims;
    let (square, fourth) = (variances.mapv(|v| v * v).sum(), fourth_moment(&features));
    let spread = (square / dims - mean_variance * mean_variance).max(0.0);
    let error = ((fourth - square) / (n * dims)).clamp(0.0, spread);
    if spread <= 0.0 || mean_variance <= 0.0 {
        return None;
    }
    let shrinkage = error / spread;
    let score = |along: ndarray::ArrayView1<'_, f64>| -> f64 {
        let shrunk = |v: f64| (1.0 - shrinkage) * v + shrinkage * mean_variance;
        along.iter().zip(&variances).filter(|(_, v)| **v > 0.0).map(|(u, &v)| u * u * n * v / shrunk(v)).sum()
    };
    Some((1.0 - shrinkage) * along.rows().into_iter().map(score).sum::<f64>())
}

/// Mean of the fourth power of the samples' lengths.
fn fourth_moment(features: &Array2<f64>) -> f64 {
    features.rows().into_iter().map(|row| row.dot(&row).powi(2)).sum::<f64>() / features.nrows() as f64
}

/// `[n_classes, n_samples]`: 1 where a sample is of the class.
fn indicators(rows: usize, labels: &[u16], n_classes: usize) -> Option<Array2<f64>> {
    assert_eq!(rows, labels.len(), "a label for each row");
    if rows < 2 || n_classes < 2 {
        return None;
    }
    let mut indicators = Array2::zeros((n_classes, rows));
    for (sample, label) in labels.iter().enumerate() {
        indicators[[usize::from(*label), sample]] = 1.0;
    }
    Some(indicators)
}

/// Of a singular value decomposition, what is needed.
struct Components {
    /// Squares of the singular values `[rank or more]`.
    squares: Array1<f64>,
    /// `[k, as many]`: vectors in the coordinates of the left singular vectors.
    along: Array2<f64>,
}

/// The decomposition of `features [n, d]`, by way of the smaller one of its two products with itself, for vectors `[k, n]`.
fn components(features: &Array2<f64>, vectors: &Array2<f64>) -> Option<Components> {
    let (n, dims) = features.dim();
    let (mut squares, mut along) = match n <= dims {
        true => spectrum(features.dot(&features.t()), vectors.clone())?,
        false => spectrum(features.t().dot(features), vectors.dot(features))?,
    };
    // What is less than rounding is 0: no direction of the samples.
    let least = squares.iter().fold(0.0f64, |most, s| most.max(*s)) * f64::EPSILON * n.max(dims) as f64;
    for (square, mut along) in squares.iter_mut().zip(along.columns_mut()) {
        if *square <= least {
            *square = 0.0;
            along.fill(0.0);
        } else if n > dims {
            along /= square.sqrt();
        }
    }
    Some(Components { squares, along })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::random::SplitMix64;

    /// Three classes around their own means.
    fn made_up(n: usize, dims: usize, apart: f32) -> (Array2<f32>, Vec<u16>) {
        let mut random = SplitMix64(5);
        let mut number = || random.below(2001) as f32 / 1000.0 - 1.0;
        let means = Array2::from_shape_simple_fn((3, dims), || apart * number());
        let labels: Vec<u16> = (0..n).map(|sample| (sample % 3) as u16).collect();
        let mut features = Array2::from_shape_simple_fn((n, dims), &mut number);
        for (mut row, label) in features.rows_mut().into_iter().zip(&labels) {
            row += &means.row(usize::from(*label));
        }
        (features, labels)
    }

    /// `ln |A|` and `A^-1 b` of a symmetric positive matrix, by Gaussian elimination.
    fn solve(mut a: Array2<f64>, mut b: Array1<f64>) -> (f64, Array1<f64>) {
        let m = b.len();
        let mut log_determinant = 0.0;
        for pivot in 0..m {
            log_determinant += a[[pivot, pivot]].ln();
            for row in pivot + 1..m {
                let factor = a[[row, pivot]] / a[[pivot, pivot]];
                for column in pivot..m {
                    a[[row, column]] -= factor * a[[pivot, column]];
                }
                b[row] -= factor * b[pivot];
            }
        }
        for row in (0..m).rev() {
            let known: f64 = (row + 1..m).map(|column| a[[row, column]] * b[column]).sum();
            b[row] = (b[row] - known) / a[[row, row]];
        }
        (log_determinant, b)
    }

    /// The paper's equation 2, with matrices of the features' dimension.
    fn evidence_by_definition(features: &Array2<f64>, target: &Array1<f64>, alpha: f64, beta: f64) -> f64 {
        let (n, dims) = (features.nrows() as f64, features.ncols() as f64);
        let a = Array2::<f64>::eye(features.ncols()) * alpha + features.t().dot(features) * beta;
        let (log_determinant, m) = solve(a, features.t().dot(target) * beta);
        let residual = features.dot(&m) - target;
        let fit = beta * residual.dot(&residual) + alpha * m.dot(&m);
        0.5 * (dims * alpha.ln() + n * beta.ln() - fit - log_determinant - n * std::f64::consts::TAU.ln()) / n
    }

    #[test]
    fn log_me_is_the_evidence_at_its_maximum() {
        for (n, dims) in [(40, 6), (12, 30), (9, 9)] {
            let (features, labels) = made_up(n, dims, 1.0);
            let wide = features.mapv(f64::from);
            let mut best_sum = 0.0;
            for class in 0..3 {
                let target: Array1<f64> = labels.iter().map(|label| f64::from(u8::from(*label == class))).collect();
                // A grid of precisions, finer than the difference that is allowed.
                let grid = || (-40..=67).map(|step| (f64::from(step) * 0.18).exp());
                let at = |alpha, beta| evidence_by_definition(&wide, &target, alpha, beta);
                let best = grid().map(|alpha| grid().step_by(3).map(|beta| at(alpha, beta)).fold(f64::MIN, f64::max));
                best_sum += best.fold(f64::MIN, f64::max);
            }
            let found = log_me(features.view(), &labels, 3).expect("finite");
            assert!((found - best_sum / 3.0).abs() < 0.02, "{n} {dims}: {found} {}", best_sum / 3.0);
        }
    }

    #[test]
    fn h_score_is_the_trace_that_it_is_defined_as() {
        for (n, dims) in [(60, 5), (12, 20)] {
            let (features, labels) = made_up(n, dims, 1.0);
            let mut x = features.mapv(f64::from);
            x -= &x.mean_axis(Axis(0)).unwrap();
            let (count, size) = (n as f64, dims as f64);
            let covariance = x.t().dot(&x) / count;
            let mean_variance = covariance.diag().sum() / size;
            let target = Array2::<f64>::eye(dims) * mean_variance;
            let norm = |m: &Array2<f64>| m.iter().map(|x| x * x).sum::<f64>();
            let outer = |row: ndarray::ArrayView1<'_, f64>| {
                Array2::from_shape_fn((dims, dims), |(i, j)| row[i] * row[j]) - &covariance
            };
            let error: f64 = x.rows().into_iter().map(|row| norm(&outer(row))).sum::<f64>() / (count * count);
            let shrinkage = (error / norm(&(&covariance - &target))).min(1.0);
            let shrunk = &covariance * (1.0 - shrinkage) + &target * shrinkage;
            let mut trace = 0.0;
            for class in 0..3 {
                let rows: Vec<usize> = (0..n).filter(|at| labels[*at] == class).collect();
                let mean = x.select(Axis(0), &rows).mean_axis(Axis(0)).unwrap();
                trace += rows.len() as f64 / count * mean.dot(&solve(shrunk.clone(), mean.clone()).1);
            }
            let found = h_score(features.view(), &labels, 3).expect("finite");
            assert!((found - (1.0 - shrinkage) * trace).abs() < 1e-9, "{n} {dims}: {found} {trace} {shrinkage}");
        }
    }

    #[test]
    fn classes_that_lie_apart_score_higher() {
        let scores = |apart| {
            let (features, labels) = made_up(30, 50, apart);
            [log_me(features.view(), &labels, 3).unwrap(), h_score(features.view(), &labels, 3).unwrap()]
        };
        let (near, far) = (scores(0.05), scores(2.0));
        assert!(far[0] > near[0] && far[1] > near[1], "{near:?} {far:?}");
    }

    #[test]
    fn what_cannot_be_scored_is_not() {
        let (mut features, labels) = made_up(9, 4, 1.0);
        assert_eq!(log_me(features.view(), &[0; 9], 1), None);
        assert_eq!(h_score(Array2::ones((9, 4)).view(), &labels, 3), None);
        features[[0, 0]] = f32::NAN;
        assert_eq!((log_me(features.view(), &labels, 3), h_score(features.view(), &labels, 3)), (None, None));
    }
}
