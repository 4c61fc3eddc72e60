//! The same samples in fewer dimensions.

use topgraft_core::kernel::{Kernels, LANES};

/// Coordinates `[n_samples, rank]` of centred `features [n_samples, feature_dim]` in an orthonormal basis of their span,
/// and `rank`, rounded up to a multiple of [`LANES`] with zeros. With as many dimensions as samples or fewer, the features themselves.
///
/// Inner products stay, and with them every head with an L2 penalty: its weights lie in the span (the representer
/// theorem), so that a fit in these coordinates gives the same logits. Fifty photos of 1280 features are 49 coordinates.
///
/// The coordinates are the rows of the Cholesky factor of the Gram matrix, pivoted, so that samples that depend on others
/// (duplicates) add no dimension. Leaving a sample out later is sound: the basis knows no labels.
pub(super) fn span(features: &[f32], n_samples: usize, feature_dim: usize) -> (Vec<f32>, usize) {
    if feature_dim <= n_samples {
        return (features.to_vec(), feature_dim);
    }
    let directions = directions(features, n_samples, feature_dim);
    // Zeros up to whole blocks of the kernels, which are several times faster on those.
    let rank = directions.len().next_multiple_of(LANES);
    (coordinates(&directions, n_samples, rank), rank)
}

/// The same without the zeros, if the samples span fewer dimensions than so many must: duplicates are among them. `None` if they do
/// not, or if there are more samples than features.
pub(super) fn narrow_span(features: &[f32], n_samples: usize, feature_dim: usize) -> Option<(Vec<f32>, usize)> {
    if feature_dim < n_samples {
        return None;
    }
    let directions = directions(features, n_samples, feature_dim);
    // One is lost to the mean.
    let is_narrow = directions.len() + 1 < n_samples;
    // Without any, the features are all the same: a column of zeros.
    let rank = directions.len().max(1);
    is_narrow.then(|| (coordinates(&directions, n_samples, rank), rank))
}

/// `[n_samples, rank]` of the first so many directions, `[n_samples]` each, and zeros behind them.
fn coordinates(directions: &[Vec<f64>], n_samples: usize, rank: usize) -> Vec<f32> {
    let mut coordinates = vec![0.0; n_samples * rank];
    for (i, row) in coordinates.chunks_exact_mut(rank.max(1)).enumerate() {
        row.iter_mut().zip(directions).for_each(|(x, direction)| *x = direction[i] as f32);
    }
    coordinates
}

/// Columns of the factor, a direction each.
fn directions(features: &[f32], n_samples: usize, feature_dim: usize) -> Vec<Vec<f64>> {
    let gram = centred_gram(features, None, n_samples, feature_dim);
    let gram = |i: usize, j: usize| f64::from(gram[i * n_samples + j]);
    // What is left of each sample outside of the directions found so far.
    let mut rest: Vec<f64> = (0..n_samples).map(|i| gram(i, i)).collect();
    // Rounding of the f32 inner products, with a margin.
    let noise = 1e-6 * rest.iter().fold(0.0, |max: f64, x| max.max(*x));
    let mut directions: Vec<Vec<f64>> = Vec::new();
    while directions.len() < n_samples {
        let pivot = (1..n_samples).fold(0, |best, i| if rest[i] > rest[best] { i } else { best });
        if rest[pivot] <= noise {
            break;
        }
        let length = rest[pivot].sqrt();
        let coordinate = |i: usize| {
            let known: f64 = directions.iter().map(|direction| direction[i] * direction[pivot]).sum();
            (gram(i, pivot) - known) / length
        };
        let direction: Vec<f64> = (0..n_samples).map(coordinate).collect();
        for (rest, x) in rest.iter_mut().zip(&direction) {
            *rest -= x * x;
        }
        rest[pivot] = 0.0;
        directions.push(direction);
    }
    directions
}

/// Inner products `[n_samples, n_samples]` of the samples less their mean, each counted by its weight.
pub(super) fn centred_gram(
    features: &[f32],
    sample_weights: Option<&[f32]>,
    n_samples: usize,
    feature_dim: usize,
) -> Vec<f32> {
    let kernels = Kernels::detect();
    let weight = |sample: usize| sample_weights.map_or(1.0, |weights| weights[sample]);
    let total: f32 = (0..n_samples).map(weight).sum();
    let mut mean = vec![0.0; feature_dim];
    for (sample, row) in features.chunks_exact(feature_dim.max(1)).enumerate() {
        kernels.axpy(weight(sample) / total, row, &mut mean);
    }
    let mut centred = features.to_vec();
    for row in centred.chunks_exact_mut(feature_dim.max(1)) {
        row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
    }
    let mut gram = vec![0.0; n_samples * n_samples];
    kernels.syrk_nt([n_samples, feature_dim], &centred, &mut gram);
    gram
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * i) as f32 * 0.37).sin() + 0.5).collect()
    }

    /// Squared distances do not depend on the centring.
    fn distance(rows: &[f32], dim: usize, i: usize, j: usize) -> f64 {
        let pairs = rows[i * dim..][..dim].iter().zip(&rows[j * dim..][..dim]);
        pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    #[test]
    fn distances_stay_and_dimensions_go() {
        let (n, d) = (20, 300);
        let features = numbers(n * d);
        let (coordinates, rank) = span(&features, n, d);
        assert_eq!((rank, coordinates.len()), (LANES, n * LANES));
        assert!(coordinates.chunks(rank).all(|row| row[n - 1..].iter().all(|x| *x == 0.0)));
        for i in 0..n {
            for j in 0..n {
                let (a, b) = (distance(&features, d, i, j), distance(&coordinates, rank, i, j));
                assert!((a - b).abs() < 1e-4 * a.max(1.0), "{a} {b}");
            }
        }
    }

    #[test]
    fn duplicates_add_no_dimension() {
        let (n, d) = (6, 50);
        let once = numbers(3 * d);
        let twice = [once.as_slice(), &once].concat();
        let (coordinates, rank) = span(&twice, n, d);
        assert!(coordinates.chunks(rank).all(|row| row[2..].iter().all(|x| *x == 0.0)));
        assert!((0..3).all(|i| distance(&coordinates, rank, i, i + 3) < 1e-5));
        let equal = vec![0.5; 4 * 10];
        assert_eq!(span(&equal, 4, 10), (vec![], 0));
        assert_eq!(narrow_span(&equal, 4, 10), Some((vec![0.0; 4], 1)));
        let (narrow, rank) = narrow_span(&twice, n, d).expect("three of six are enough");
        assert_eq!(rank, 2);
        assert!((0..n).all(|i| (distance(&narrow, 2, 0, i) - distance(&twice, d, 0, i)).abs() < 1e-4));
        assert_eq!(narrow_span(&once, 3, d), None);
    }

    #[test]
    fn more_samples_than_dimensions_stay_as_they_are() {
        let features = numbers(30 * 4);
        assert_eq!(span(&features, 30, 4), (features.clone(), 4));
    }
}
