//! The same head in f64, in plain loops.

use topgraft::learn::Statistics;

use super::DIM;

/// LDA with OAS shrinkage, all classes alike: weights `[n_classes, DIM]`, then bias.
struct Parts {
    scatter: Vec<f64>,
    means: Vec<f64>,
    counts: Vec<f64>,
}

/// Of scaled rows.
pub fn head(rows: &[f32], labels: &[u16], n_classes: usize) -> Vec<f64> {
    let (mut means, mut counts) = (vec![0.0; n_classes * DIM], vec![0.0; n_classes]);
    for (row, label) in rows.chunks_exact(DIM).zip(labels) {
        counts[usize::from(*label)] += 1.0;
        let mean = &mut means[usize::from(*label) * DIM..][..DIM];
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
    }
    means.chunks_exact_mut(DIM).zip(&counts).for_each(|(mean, count)| mean.iter_mut().for_each(|x| *x /= count));
    let mut scatter = vec![0.0; DIM * DIM];
    for (row, label) in rows.chunks_exact(DIM).zip(labels) {
        let mean = &means[usize::from(*label) * DIM..][..DIM];
        let z: Vec<f64> = row.iter().zip(mean).map(|(x, mean)| f64::from(*x) - mean).collect();
        for i in 0..DIM {
            let to = scatter[i * DIM + i..(i + 1) * DIM].iter_mut();
            to.zip(&z[i..]).for_each(|(s, x)| *s += z[i] * x);
        }
    }
    solve(Parts { scatter, means, counts })
}

/// Of statistics, whose scatter is f32.
pub fn head_of(statistics: &Statistics) -> Vec<f64> {
    let bytes = statistics.to_bytes();
    let mut packed = scatter_of(&bytes).chunks_exact(4);
    let mut scatter = vec![0.0; DIM * DIM];
    for i in 0..DIM {
        for j in i..DIM {
            let number = packed.next().expect("the triangle");
            scatter[i * DIM + j] = f64::from(f32::from_le_bytes(number.try_into().expect("four")));
        }
    }
    let means = (0..statistics.classes().len()).flat_map(|class| statistics.mean(class)).collect();
    solve(Parts { scatter, means, counts: statistics.counts().iter().map(|count| f64::from(*count)).collect() })
}

fn scatter_of(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.len() - 4 - 2 * DIM * (DIM + 1)..bytes.len() - 4]
}

/// The scatter with so many bits of its fraction left, of 23: 10 are those of f16 where its range is enough, 7 those of bf16.
pub fn rounded(statistics: &Statistics, bits: u32) -> Statistics {
    let mut bytes = statistics.to_bytes();
    let len = bytes.len();
    let start = len - 4 - 2 * DIM * (DIM + 1);
    if bits < 23 {
        for number in bytes[start..len - 4].chunks_exact_mut(4) {
            let (x, shift) = (u32::from_le_bytes((&*number).try_into().expect("four")), 23 - bits);
            let half = (1 << (shift - 1)) - 1 + ((x >> shift) & 1);
            number.copy_from_slice(&((x + half) >> shift << shift).to_le_bytes());
        }
    }
    let crc = crc32fast::hash(&bytes[..len - 4]);
    bytes[len - 4..].copy_from_slice(&crc.to_le_bytes());
    Statistics::parse(&bytes).expect("sound")
}

fn solve(Parts { scatter: mut a, means, counts }: Parts) -> Vec<f64> {
    let (n_classes, n, d) = (counts.len(), counts.iter().sum::<f64>(), DIM as f64);
    let (mut trace, mut square) = (0.0, 0.0);
    for i in 0..DIM {
        trace += a[i * DIM + i];
        let beside: f64 = a[i * DIM + i + 1..(i + 1) * DIM].iter().map(|x| x * x).sum();
        square += a[i * DIM + i].powi(2) + 2.0 * beside;
    }
    let (mean, alpha) = (trace / n / d, square / (n * n) / (d * d));
    let s = ((alpha + mean * mean) / ((n + 1.0) * (alpha - mean * mean / d))).min(1.0);
    a.iter_mut().for_each(|x| *x *= (1.0 - s) / n);
    (0..DIM).for_each(|i| a[i * DIM + i] += s * mean);
    // A = Uᵀ U.
    for i in 0..DIM {
        let pivot = a[i * DIM + i].sqrt();
        a[i * DIM + i..(i + 1) * DIM].iter_mut().for_each(|x| *x /= pivot);
        let (above, below) = a.split_at_mut((i + 1) * DIM);
        let row = &above[i * DIM..];
        for (k, to) in below.chunks_exact_mut(DIM).enumerate() {
            let k = i + 1 + k;
            to[k..].iter_mut().zip(&row[k..]).for_each(|(x, y)| *x -= row[k] * y);
        }
    }
    let total = |j: usize| (0..n_classes).map(|class| counts[class] * means[class * DIM + j]).sum::<f64>();
    let grand: Vec<f64> = (0..DIM).map(|j| total(j) / n).collect();
    let mut head = vec![0.0; n_classes * (DIM + 1)];
    for class in 0..n_classes {
        let mut y: Vec<f64> = means[class * DIM..][..DIM].iter().zip(&grand).map(|(x, mean)| x - mean).collect();
        for i in 0..DIM {
            y[i] /= a[i * DIM + i];
            let (first, rest) = y[i..].split_at_mut(1);
            rest.iter_mut().zip(&a[i * DIM + i + 1..]).for_each(|(x, u)| *x -= u * first[0]);
        }
        let bias = -0.5 * y.iter().map(|x| x * x).sum::<f64>();
        for i in (0..DIM).rev() {
            let rest: f64 = y[i + 1..].iter().zip(&a[i * DIM + i + 1..]).map(|(x, u)| x * u).sum();
            y[i] = (y[i] - rest) / a[i * DIM + i];
        }
        head[n_classes * DIM + class] = bias - y.iter().zip(&grand).map(|(w, mean)| w * mean).sum::<f64>();
        head[class * DIM..][..DIM].copy_from_slice(&y);
    }
    head
}

/// For scaled rows, `[n, n_classes]`.
pub fn logits(head: &[f64], rows: &[f32], n_classes: usize) -> Vec<f64> {
    let logit = |row: &[f32], class: usize| {
        let weights = &head[class * DIM..][..DIM];
        head[n_classes * DIM + class] + weights.iter().zip(row).map(|(w, x)| w * f64::from(*x)).sum::<f64>()
    };
    rows.chunks_exact(DIM).flat_map(|row| (0..n_classes).map(move |class| logit(row, class))).collect()
}
