//! Candidate scores of how much a photo looks like one of the classes: higher is more known.

use ndarray::ArrayView2;
use topgraft::learn::{Fitted, energy, probabilities};
use topgraft::topgraft_core::kernel::Kernels;
use topgraft::topgraft_core::rejection::Rejection;

/// Names, in the order of [`Scores::of`].
pub const CANDIDATES: [&str; 7] =
    ["max softmax", "energy", "Mahalanobis", "relative Mahalanobis", "class mean", "nearest sample", "p - d / scale"];

/// All that the candidates keep of the training samples.
pub struct Scores<'a> {
    kernels: Kernels,
    fitted: &'a Fitted,
    /// Scaled, `[n_samples, feature_dim]`.
    rows: Vec<f32>,
    feature_dim: usize,
    within: Gaussian,
    whole: Gaussian,
    /// The score that `learn` stores a threshold of.
    rejection: Rejection<Vec<f32>, Vec<i8>>,
}

impl<'a> Scores<'a> {
    pub fn new(training: ArrayView2<'_, f32>, labels: &[u16], fitted: &'a Fitted) -> Self {
        let kernels = Kernels::detect();
        let (n, feature_dim) = training.dim();
        let mut rows: Vec<f32> = training.iter().copied().collect();
        rows.chunks_exact_mut(feature_dim).for_each(|row| fitted.scaler.apply(kernels, row));
        let within = Gaussian::new(kernels, &rows, labels, feature_dim);
        let whole = Gaussian::new(kernels, &rows, &vec![0; n], feature_dim);
        // The threshold does not matter here.
        let rejection = fitted.novelty.rejection(0.4).expect("samples");
        Self { kernels, fitted, rows, feature_dim, within, whole, rejection }
    }

    /// The scores of features as the trunk gives them.
    pub fn of(&self, features: &[f32]) -> [f64; CANDIDATES.len()] {
        let mut x = features.to_vec();
        self.fitted.scaler.apply(self.kernels, &mut x);
        let mut logits = vec![0.0; self.fitted.head.n_classes()];
        self.fitted.head.logits(self.kernels, &x, &mut logits);
        let temperature = self.fitted.calibration.temperature;
        let mut p: Vec<f32> = logits.clone();
        probabilities(&mut p, temperature);
        let surest = p.iter().fold(0.0, |max: f32, p| max.max(*p));
        let mahalanobis = self.within.nearest(&x);
        let to_mean = self.within.means.chunks_exact(self.feature_dim).map(|mean| distance(&x, mean));
        let cosine = |row: &[f32]| {
            let [a, b, ab] = [(&x[..], &x[..]), (row, row), (row, &x)].map(|(a, b)| self.kernels.dot(a, b));
            f64::from(ab) / f64::from(a * b).sqrt()
        };
        [
            surest.into(),
            energy(&logits, temperature).into(),
            -mahalanobis,
            self.whole.nearest(&x) - mahalanobis,
            -to_mean.fold(f64::INFINITY, f64::min),
            self.rows.chunks_exact(self.feature_dim).map(cosine).fold(-1.0, f64::max),
            self.rejection.score(&x, surest).into(),
        ]
    }
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// Class means and one shared covariance, shrunk towards a multiple of the identity as far as the data say (Ledoit & Wolf
/// 2004). Distances are those of Mahalanobis, in the span of the samples by Woodbury's identity.
struct Gaussian {
    kernels: Kernels,
    feature_dim: usize,
    means: Vec<f32>,
    /// Samples less their class mean, `[n_samples, feature_dim]`.
    residuals: Vec<f32>,
    /// Lower triangle of the Cholesky factor of `ridge I + residuals residualsᵀ`.
    factor: Vec<f64>,
    /// For each class: factor⁻¹ residuals mean.
    projected: Vec<Vec<f64>>,
    /// Variance outside of the span.
    floor: f64,
}

impl Gaussian {
    fn new(kernels: Kernels, rows: &[f32], labels: &[u16], d: usize) -> Self {
        let (n, n_classes) = (labels.len(), usize::from(*labels.iter().max().expect("labels")) + 1);
        let mut means = vec![0.0; n_classes * d];
        for class in 0..n_classes {
            let members = labels.iter().filter(|label| usize::from(**label) == class).count();
            for (row, _) in rows.chunks_exact(d).zip(labels).filter(|(_, label)| usize::from(**label) == class) {
                kernels.axpy(1.0 / members as f32, row, &mut means[class * d..][..d]);
            }
        }
        let residual = |(row, label): (&[f32], &u16)| {
            let mean = &means[usize::from(*label) * d..][..d];
            row.iter().zip(mean).map(|(x, m)| x - m).collect::<Vec<f32>>()
        };
        let residuals: Vec<f32> = rows.chunks_exact(d).zip(labels).flat_map(residual).collect();
        let mut gram = vec![0.0; n * n];
        kernels.gemm_nt([n, n, d], &residuals, &residuals, &mut gram);
        // Residuals are too small by what the means took.
        let count = (n - n_classes) as f64;
        let variance = (0..n).map(|i| f64::from(gram[i * n + i])).sum::<f64>() / count / d as f64;
        let square = gram.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>() / (count * count);
        let fourth = (0..n).map(|i| f64::from(gram[i * n + i]).powi(2)).sum::<f64>();
        let (from_identity, noise) =
            (square - d as f64 * variance * variance, fourth / (count * count) - square / count);
        let shrinkage = (noise / from_identity).clamp(0.01, 1.0);
        let floor = shrinkage * variance;
        // Σ = floor I + (1 - shrinkage) / count residualsᵀ residuals
        let ridge = floor * count / (1.0 - shrinkage).max(1e-9);
        let mut matrix: Vec<f64> = gram.into_iter().map(f64::from).collect();
        (0..n).for_each(|i| matrix[i * n + i] += ridge);
        let factor = cholesky(matrix, n);
        let mut gaussian = Self { kernels, feature_dim: d, means, residuals, factor, projected: Vec::new(), floor };
        gaussian.projected = gaussian.means.chunks_exact(d).map(|mean| gaussian.project(mean)).collect();
        gaussian
    }

    fn project(&self, x: &[f32]) -> Vec<f64> {
        let n = self.residuals.len() / self.feature_dim;
        let mut y: Vec<f64> =
            self.residuals.chunks_exact(self.feature_dim).map(|row| self.kernels.dot(row, x).into()).collect();
        for i in 0..n {
            let (done, rest) = y.split_at_mut(i);
            let known: f64 = self.factor[i * n..][..i].iter().zip(done).map(|(l, y)| l * *y).sum();
            rest[0] = (rest[0] - known) / self.factor[i * n + i];
        }
        y
    }

    /// Squared distance to the nearest class mean.
    fn nearest(&self, x: &[f32]) -> f64 {
        let projected = self.project(x);
        let to_class = |(mean, own): (&[f32], &Vec<f64>)| {
            let inside: f64 = projected.iter().zip(own).map(|(a, b)| (a - b) * (a - b)).sum();
            (distance(x, mean) - inside) / self.floor
        };
        self.means.chunks_exact(self.feature_dim).zip(&self.projected).map(to_class).fold(f64::INFINITY, f64::min)
    }
}

/// Lower triangle of the Cholesky factor, in place.
fn cholesky(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    for i in 0..n {
        let (above, row) = a.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..n];
            let known: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
            row[j] = (row[j] - known) / other[j];
        }
        let known: f64 = row[..i].iter().map(|a| a * a).sum();
        row[i] = (row[i] - known).max(1e-30).sqrt();
    }
    a
}
