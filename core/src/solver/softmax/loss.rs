//! Logits -> loss and residuals, class by class: samples lie side by side, so that every step is a plain loop over them.

use crate::kernel::Kernels;
use crate::math;

/// Samples that are worked on at a time; their sums lie on the stack.
pub(super) const BLOCK: usize = 64;

/// Turns logits into residuals `weight * (softmax - one_hot(label))`, the gradient with respect to the logits, in place;
/// returns the loss, the sum of `weight * -ln softmax[label]`.
///
/// `logits` holds a row for each class, `stride` floats apart, of which the first `labels.len()` are used, at most
/// [`BLOCK`]. `curvature`, a value a sample, becomes `weight` times the mean of `p (1 - p)` over the classes.
///
/// Loss and residual keep all their digits where the label is almost certain: the sum of the exponentials leaves out the
/// largest, which is 1, and for the label `p - 1` is minus the rest.
pub(super) fn cross_entropy(
    kernels: Kernels,
    logits: &mut [f32],
    stride: usize,
    labels: &[u16],
    weight: impl Fn(usize) -> f32,
    curvature: &mut [f32],
) -> f64 {
    let n = labels.len();
    let n_classes = logits.len().div_ceil(stride);
    let mut max = [f32::NEG_INFINITY; BLOCK];
    let mut top = [0u32; BLOCK];
    for (k, row) in rows(logits, stride, n).enumerate() {
        for ((z, max), top) in row.iter().zip(&mut max).zip(&mut top) {
            let larger = *z > *max;
            *max = if larger { *z } else { *max };
            *top = if larger { k as u32 } else { *top };
        }
    }
    let mut margin = [0.0; BLOCK];
    for (i, label) in labels.iter().enumerate() {
        margin[i] = max[i] - logits[*label as usize * stride + i];
    }
    // The sum of the exponentials but for the largest.
    let mut others = [0.0; BLOCK];
    for (k, row) in rows(logits, stride, n).enumerate() {
        row.iter_mut().zip(&max).for_each(|(z, max)| *z -= max);
        kernels.exp(row);
        for ((e, others), top) in row.iter().zip(&mut others).zip(&top) {
            *others += if *top == k as u32 { 0.0 } else { *e };
        }
    }
    let mut weights = [0.0; BLOCK];
    weights[..n].iter_mut().enumerate().for_each(|(i, w)| *w = weight(i));
    let mut squares = [0.0; BLOCK];
    for row in rows(logits, stride, n) {
        for (((e, others), weight), square) in row.iter_mut().zip(&others).zip(&weights).zip(&mut squares) {
            let p = *e / (1.0 + *others);
            *square += p * (1.0 - p);
            *e = p * *weight;
        }
    }
    let share = 1.0 / n_classes as f32;
    let mut loss = 0.0;
    for (i, label) in labels.iter().enumerate() {
        let residual = &mut logits[*label as usize * stride + i];
        *residual = match *label as u32 == top[i] {
            true => -(others[i] / (1.0 + others[i])) * weights[i],
            false => *residual - weights[i],
        };
        curvature[i] = weights[i] * squares[i] * share;
        // A sample of weight 0 has no say, whatever its loss is.
        if weights[i] != 0.0 {
            loss += weights[i] as f64 * (margin[i] + math::ln_1p(others[i])) as f64;
        }
    }
    loss
}

/// The first `n` of each row.
fn rows(logits: &mut [f32], stride: usize, n: usize) -> impl Iterator<Item = &mut [f32]> {
    logits.chunks_mut(stride).map(move |row| &mut row[..n])
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn the_loss_keeps_its_digits_where_the_label_is_almost_certain() {
        let (mut logits, mut curvature) = ([20.0, 0.0], [0.0]);
        let loss = cross_entropy(Kernels::detect(), &mut logits, 1, &[0], |_| 1.0, &mut curvature);
        assert!((loss / (-20f64).exp().ln_1p() - 1.0).abs() < 1e-6, "{loss:e}");
        assert!(logits[0] < 0.0 && logits[0] == -logits[1], "{logits:?}");
    }

    #[test]
    fn residuals_are_probabilities_less_the_label() {
        // Two samples, three classes, rows of 4 of which 2 are used.
        let mut logits = [1.0, 0.0, 9.0, 9.0, 2.0, 0.0, 9.0, 9.0, 0.5, 3.0, 9.0, 9.0];
        let mut curvature = [0.0; 2];
        let loss = cross_entropy(Kernels::detect(), &mut logits, 4, &[1, 0], |i| [1.0, 2.0][i], &mut curvature);
        let softmax = |z: [f64; 3]| z.map(|x| x.exp() / z.iter().map(|z| z.exp()).sum::<f64>());
        let (a, b) = (softmax([1.0, 2.0, 0.5]), softmax([0.0, 0.0, 3.0]));
        assert!((loss + a[1].ln() + 2.0 * b[0].ln()).abs() < 1e-6);
        for k in 0..3 {
            assert!((logits[4 * k] as f64 - (a[k] - f64::from(k == 1))).abs() < 1e-6);
            assert!((logits[4 * k + 1] as f64 - 2.0 * (b[k] - f64::from(k == 0))).abs() < 1e-6);
        }
        let spread = b.iter().map(|p| p * (1.0 - p)).sum::<f64>() / 3.0;
        assert!((curvature[1] as f64 - 2.0 * spread).abs() < 1e-6);
        assert_eq!(logits[2], 9.0);
    }

    #[test]
    fn a_weight_of_zero_silences_a_sample() {
        let (mut logits, mut curvature) = ([f32::MAX, 0.0], [1.0]);
        let loss = cross_entropy(Kernels::detect(), &mut logits, 1, &[1], |_| 0.0, &mut curvature);
        assert_eq!((loss, logits, curvature), (0.0, [0.0, 0.0], [0.0]));
    }
}
