//! What the features of many texts have in common.

/// Sum of `x xᵀ` over vectors `x` `[dims]`, in double precision.
pub(super) struct Gram {
    dims: usize,
    /// `[dims, dims]`
    sums: Vec<f64>,
}

impl Gram {
    pub fn new(dims: usize) -> Self {
        Self { dims, sums: vec![0.0; dims * dims] }
    }

    pub fn add(&mut self, x: &[f32]) {
        for (row, a) in self.sums.chunks_exact_mut(self.dims).zip(x) {
            for (sum, b) in row.iter_mut().zip(x) {
                *sum += f64::from(*a) * f64::from(*b);
            }
        }
    }
}

/// The eigenvector `[dims]` of the largest eigenvalue, of length 1 and its largest number positive; 0 of no vectors. By power
/// iteration, from the column of the largest diagonal element.
pub(super) fn first(Gram { dims, mut sums }: Gram) -> Vec<f32> {
    let trace: f64 = (0..dims).map(|at| sums[at * dims + at]).sum();
    if trace <= 0.0 {
        return vec![0.0; dims];
    }
    let mut vector: Vec<f64> = (0..dims).map(|row| sums[row * dims + largest_diagonal(&sums, dims)]).collect();
    sums.iter_mut().for_each(|sum| *sum /= trace);
    for _ in 0..1000 {
        let mut next: Vec<f64> =
            sums.chunks_exact(dims).map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum()).collect();
        let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        next.iter_mut().for_each(|x| *x /= length);
        let change = next.iter().zip(&vector).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        vector = next;
        if change < 1e-12 {
            break;
        }
    }
    let largest = vector.iter().fold(0.0f64, |largest, x| if x.abs() > largest.abs() { *x } else { largest });
    vector.iter().map(|x| (x * largest.signum()) as f32).collect()
}

fn largest_diagonal(sums: &[f64], dims: usize) -> usize {
    (0..dims).max_by(|a, b| sums[a * dims + a].total_cmp(&sums[b * dims + b])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_is_that_of_the_most_energy() {
        let mut gram = Gram::new(2);
        for x in [[3.0, 3.0], [-1.0, -1.0], [0.5, -0.5]] {
            gram.add(&x);
        }
        let half = 0.5f32.sqrt();
        let found = first(gram);
        assert!(found.iter().all(|x| (x - half).abs() < 1e-6), "{found:?}");
        assert_eq!(first(Gram::new(3)), [0.0; 3]);
    }
}
