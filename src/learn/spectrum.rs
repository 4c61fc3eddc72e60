//! Eigenvalues of a symmetric matrix, and what a few vectors are in its eigenvectors' coordinates.

use ndarray::{Array1, Array2, Axis};

/// Rounds of the iteration for an eigenvalue; it takes two or three.
const MOST_ROUNDS: usize = 60;

/// Eigenvalues `[m]`, in no order, of the symmetric `matrix [m, m]`, and `vectors [k, m]` in the coordinates of its
/// eigenvectors. `None` if numbers are not finite.
///
/// The matrix is made tridiagonal by Householder's reflections, then diagonal by QL iterations with implicit shifts
/// (Bowdler, Martin, Reinsch & Wilkinson 1968; EISPACK's tred2 and imtql2). The eigenvectors themselves, which would take most
/// of the time, are never made: each reflection and each rotation is applied to `vectors` alone.
pub(super) fn spectrum(mut matrix: Array2<f64>, mut vectors: Array2<f64>) -> Option<(Array1<f64>, Array2<f64>)> {
    let m = matrix.nrows();
    if matrix.iter().chain(&vectors).any(|x| !x.is_finite()) {
        return None;
    }
    let mut off = vec![0.0; m];
    for (column, off) in off.iter_mut().enumerate().take(m.saturating_sub(2)) {
        *off = reflect(&mut matrix, &mut vectors, column);
    }
    if m > 1 {
        off[m - 2] = matrix[[m - 1, m - 2]];
    }
    let mut diagonal = matrix.diag().to_owned();
    for at in 0..m {
        let mut rounds = 0;
        while let Some(end) = coupled(&diagonal, &off, at) {
            rounds += 1;
            if rounds > MOST_ROUNDS {
                return None;
            }
            rotate(&mut diagonal, &mut off, &mut vectors, at, end);
        }
    }
    Some((diagonal, vectors))
}

/// Reflects `column` below the diagonal onto its first element, which is returned.
fn reflect(matrix: &mut Array2<f64>, vectors: &mut Array2<f64>, column: usize) -> f64 {
    let m = matrix.nrows();
    let below = column + 1;
    let mut axis: Array1<f64> = (below..m).map(|row| matrix[[row, column]]).collect();
    let length = axis.dot(&axis).sqrt();
    let first = if axis[0] > 0.0 { -length } else { length };
    axis[0] -= first;
    let square = axis.dot(&axis);
    if square == 0.0 {
        return first;
    }
    // H A H with H = 1 - 2 a a' / a'a is A - a w' - w a'.
    let mut rest = matrix.slice_axis_mut(Axis(0), (below..m).into());
    let mut rest = rest.slice_axis_mut(Axis(1), (below..m).into());
    let mut w = rest.dot(&axis) * (2.0 / square);
    let share = w.dot(&axis) / square;
    w.scaled_add(-share, &axis);
    for ((mut row, &a), &b) in rest.rows_mut().into_iter().zip(&axis).zip(&w) {
        row.scaled_add(-a, &w);
        row.scaled_add(-b, &axis);
    }
    let mut rest = vectors.slice_axis_mut(Axis(1), (below..m).into());
    for mut vector in rest.rows_mut() {
        let along = vector.dot(&axis) * (2.0 / square);
        vector.scaled_add(-along, &axis);
    }
    first
}

/// The end of the block that starts at `at` and in which no element beside the diagonal is negligible; `None` if that block is
/// one element, an eigenvalue.
fn coupled(diagonal: &Array1<f64>, off: &[f64], at: usize) -> Option<usize> {
    let negligible = |i: usize| off[i].abs() <= f64::EPSILON * (diagonal[i].abs() + diagonal[i + 1].abs());
    let end = (at..diagonal.len() - 1).find(|&i| negligible(i)).unwrap_or(diagonal.len() - 1);
    (end > at).then_some(end)
}

/// One QL iteration with an implicit shift on the block `at..=end`.
fn rotate(diagonal: &mut Array1<f64>, off: &mut [f64], vectors: &mut Array2<f64>, at: usize, end: usize) {
    let half = (diagonal[at + 1] - diagonal[at]) / (2.0 * off[at]);
    let mut g = diagonal[end] - diagonal[at] + off[at] / (half + half.hypot(1.0).copysign(half));
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for i in (at..end).rev() {
        let (f, b) = (sine * off[i], cosine * off[i]);
        let r = f.hypot(g);
        off[i + 1] = r;
        if r == 0.0 {
            // The block has come apart here.
            diagonal[i + 1] -= p;
            off[end] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = diagonal[i + 1] - p;
        let r = (diagonal[i] - g) * sine + 2.0 * cosine * b;
        p = sine * r;
        diagonal[i + 1] = g + p;
        g = cosine * r - b;
        for mut vector in vectors.rows_mut() {
            let (left, right) = (vector[i], vector[i + 1]);
            vector[i] = cosine * left - sine * right;
            vector[i + 1] = sine * left + cosine * right;
        }
    }
    diagonal[at] -= p;
    off[at] = g;
    off[end] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::random::SplitMix64;

    fn made_up(rows: usize, columns: usize) -> Array2<f64> {
        let mut random = SplitMix64(3);
        Array2::from_shape_simple_fn((rows, columns), || random.below(2001) as f64 / 1000.0 - 1.0)
    }

    #[test]
    fn powers_of_the_matrix_are_powers_of_its_eigenvalues() {
        for (m, rank) in [(1, 1), (2, 2), (3, 1), (7, 7), (40, 40), (40, 5)] {
            let factor = made_up(m, rank);
            let (matrix, vectors) = (factor.dot(&factor.t()), made_up(4, m));
            let (eigenvalues, seen) = spectrum(matrix.clone(), vectors.clone()).expect("finite");
            let mut power = Array2::eye(m);
            for exponent in 0..4 {
                let expected = vectors.dot(&power).dot(&vectors.t());
                let found = (&seen * &eigenvalues.mapv(|x| x.powi(exponent))).dot(&seen.t());
                let scale = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                let error = (&found - &expected).iter().fold(0.0f64, |most, x| most.max(x.abs()));
                assert!(error <= 1e-12 * scale, "{m} {rank} {exponent}: {error:e} of {scale:e}");
                power = power.dot(&matrix);
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_none() {
        assert!(spectrum(Array2::from_elem((2, 2), f64::NAN), Array2::zeros((1, 2))).is_none());
        assert!(spectrum(Array2::zeros((0, 0)), Array2::zeros((1, 0))).is_some_and(|(values, _)| values.is_empty()));
        let (values, seen) = spectrum(Array2::zeros((5, 5)), Array2::ones((1, 5))).expect("finite");
        assert!(values.iter().all(|x| *x == 0.0) && seen.iter().all(|x| x.is_finite()));
    }
}
