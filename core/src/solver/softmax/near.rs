//! From a point near the optimum of few samples, in their span: nonlinear conjugate gradients with a kept [`Inverse`] as the
//! preconditioner and Newton's step length (Nocedal & Wright 2006, "Numerical optimization", 5.2; β of Polak and Ribière).
//!
//! A step costs one product with the inverse and nothing else of size `[n, n]`: it gives both halves of a direction, so that
//! logits, curvature along it and inner products are sums over samples and classes.

use super::Settings;
use super::centre::Centre;
use super::dual::Span;
use super::inverse::Inverse;
use super::loss::BLOCK;
use crate::kernel::{Kernels, aligned};
use crate::math;
use crate::solver::{FitError, FitReport};

/// Shorter and shorter steps that are tried before a search gives up.
const MOST_HALVINGS: u32 = 25;

/// [`fit`](super::dual::fit) from a point near the optimum, with the inverse that was made there.
///
/// # Errors
/// As [`fit`](super::dual::fit), and [`FitError::Length`] for an inverse of other samples.
pub fn fit_near(
    kernels: Kernels,
    span: &Span<'_>,
    settings: &Settings,
    inverse: &Inverse<'_>,
    point: &mut [f32],
    scratch: &mut [f32],
) -> Result<FitReport, FitError> {
    let (n, n_classes) = (span.labels.len(), span.n_classes);
    if n != inverse.len() {
        return Err(FitError::Length { what: "inverse", expected: n, got: inverse.len() });
    }
    span.check(settings, point, scratch)?;
    let (half, alphas) = (point.len() / 2, n_classes * n);
    let mut rest = aligned(scratch);
    let mut next = |len: usize| {
        let (first, others) = core::mem::take(&mut rest).split_at_mut(len);
        rest = others;
        first
    };
    let (work, probabilities, curvature) = (next(2 * alphas), next(alphas), next(n));
    let (gradient, old_gradient) = (next(half), next(half));
    let (downhill, direction) = (next(2 * half), next(2 * half));
    let centre = Centre::new(kernels, span, next(n));
    let l2 = settings.l2;
    let mut evaluate = |point: &[f32], gradient: &mut [f32], probabilities: &mut [f32]| {
        let value = span.evaluate(kernels, l2, Some(centre), point, gradient, curvature);
        probabilities.copy_from_slice(&gradient[..alphas]);
        for (sample, label) in span.labels.iter().enumerate() {
            probabilities[usize::from(*label) * n + sample] += span.weight(sample);
        }
        centre.balance(&mut gradient[..alphas]);
        kernels.axpy(l2, &point[..alphas], &mut gradient[..alphas]);
        value
    };
    let inner = |first: &[f32], vector: &[f32]| f64::from(kernels.dot(&first[..half], &vector[half..]));

    span.complete(kernels, point);
    centre.enter(span.split(point));
    let mut value = evaluate(point, gradient, probabilities);
    let mut report = FitReport { objective: value, gap: f64::INFINITY, iterations: 0, passes: 1, converged: false };
    let (mut old_slope, mut gains, mut stalled) = (f64::INFINITY, [0.0; 2], 0);
    'steps: loop {
        inverse.apply(kernels, span, l2, gradient, downhill, work);
        report.passes += 1;
        let slope = inner(gradient, downhill);
        report.objective = value;
        report.gap = (0.5 * slope).max(left_to_gain(gains));
        report.converged = report.gap <= settings.tolerance * value;
        if report.converged || report.iterations == settings.max_iterations || stalled == 5 || slope.is_nan() {
            break;
        }
        let beta = if report.iterations == 0 { 0.0 } else { (slope - inner(old_gradient, downhill)) / old_slope };
        if beta > 0.0 {
            direction.iter_mut().zip(&*downhill).for_each(|(d, z)| *d = z + beta as f32 * *d);
        } else {
            direction.copy_from_slice(downhill);
        }
        let mut along = inner(gradient, direction);
        if along <= 0.0 {
            direction.copy_from_slice(downhill);
            along = slope;
        }
        let penalty = f64::from(l2) * f64::from(kernels.dot(&direction[..alphas], &direction[half..][..alphas]));
        let bend = penalty + curvature_along(span, centre, probabilities, direction, work);
        if bend <= 0.0 || bend.is_nan() {
            // Rounding has taken all of it.
            break;
        }
        let mut step = along / bend;
        old_gradient.copy_from_slice(gradient);
        kernels.axpy(-step as f32, direction, point);
        let mut new_value = evaluate(point, gradient, probabilities);
        let mut halvings = 0;
        // Too far from the optimum for the curvature here to tell of the value there; a NaN, from overflow, ends here too.
        while new_value > value + 1e-7 * value || new_value.is_nan() {
            if halvings == MOST_HALVINGS {
                break 'steps;
            }
            step *= 0.5;
            halvings += 1;
            kernels.axpy(step as f32, direction, point);
            new_value = evaluate(point, gradient, probabilities);
        }
        stalled = if value - new_value <= 1e-9 * value { stalled + 1 } else { 0 };
        // What the model says, where the difference of the values is rounding.
        gains = [(0.5 * step * along).max(value - new_value), gains[0]];
        (value, old_slope) = (new_value, slope);
        report.iterations += 1;
    }
    centre.leave(span.split(point));
    Ok(report)
}

/// What steps to come will gain, if they go on as the last ones did, of which these are the gains, newest first: as much as
/// the last one at least.
fn left_to_gain([last, before]: [f64; 2]) -> f64 {
    let rate = if before > 0.0 { (last / before).min(0.9) } else { 0.0 };
    last * (rate / (1.0 - rate)).max(1.0)
}

/// Second derivative of the loss along a direction: the variance of its logits among the classes, over all samples.
/// `probabilities [n_classes, n_samples]`, each row times the samples' weights.
/// `scratch` has `n_classes` elements or more.
fn curvature_along(
    span: &Span<'_>,
    centre: Centre<'_>,
    probabilities: &[f32],
    direction: &[f32],
    scratch: &mut [f32],
) -> f64 {
    let (n, half) = (span.labels.len(), direction.len() / 2);
    let (logits, biases) = direction[half..].split_at(span.n_classes * n);
    let shifts = &mut scratch[..span.n_classes];
    for ((shift, bias), logits) in shifts.iter_mut().zip(biases).zip(logits.chunks_exact(n)) {
        *shift = bias * span.bias_unit - centre.of(logits);
    }
    let shifts = &*shifts;
    let mut total = 0.0;
    for first in (0..n).step_by(BLOCK) {
        let len = BLOCK.min(n - first);
        let rows = || {
            let rows = logits.chunks_exact(n).zip(probabilities.chunks_exact(n)).zip(shifts);
            rows.map(|((logits, weights), shift)| (&logits[first..][..len], &weights[first..][..len], *shift))
        };
        let (mut mean, mut weight) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (logits, weights, bias) in rows() {
            for (((mean, weight), z), w) in mean.iter_mut().zip(&mut weight).zip(logits).zip(weights) {
                *mean += w * (z + bias);
                *weight += w;
            }
        }
        mean.iter_mut().zip(&weight).for_each(|(mean, weight)| *mean /= weight.max(f32::MIN_POSITIVE));
        let mut squares = [0.0; BLOCK];
        for (logits, weights, bias) in rows() {
            for (((square, mean), z), w) in squares.iter_mut().zip(&mean).zip(logits).zip(weights) {
                let off = z + bias - mean;
                *square += w * off * off;
            }
        }
        total += squares.iter().map(|square| f64::from(*square)).sum::<f64>();
    }
    total
}

/// Moves the optimum of the others to about that with sample `i`, which has come to the `inverse`: exactly, if the
/// curvature of the others' losses were what the inverse says. `alpha` of the sample is 0 before. `scratch` has
/// `n + 4 n_classes` elements or more.
pub(super) fn enter(
    kernels: Kernels,
    span: &Span<'_>,
    l2: f32,
    inverse: &Inverse<'_>,
    i: usize,
    point: &mut [f32],
    scratch: &mut [f32],
) {
    let (n, n_classes) = (span.labels.len(), span.n_classes);
    let inner_products = &span.gram[i * n..][..n];
    let (response, rest) = scratch.split_at_mut(n);
    let bias_response = inverse.respond(i, l2, response);
    let stretch = kernels.dot(response, inner_products) + bias_response;
    if !(stretch > 0.0 && stretch < f32::INFINITY) {
        return;
    }
    let (forces, rest) = rest.split_at_mut(n_classes);
    let [alpha, bias, _, _] = span.split(point);
    for ((force, alpha), bias) in forces.iter_mut().zip(alpha.chunks_exact(n)).zip(&*bias) {
        *force = kernels.dot(alpha, inner_products) + bias * span.bias_unit;
    }
    balance(usize::from(span.labels[i]), stretch, forces, &mut rest[..3 * n_classes]);
    if !forces.iter().all(|force| force.is_finite()) {
        return;
    }
    for ((force, alpha), bias) in forces.iter().zip(alpha.chunks_exact_mut(n)).zip(bias) {
        kernels.axpy(*force, response, alpha);
        *bias += force * bias_response / span.bias_unit;
    }
}

/// Moves the optimum of all to about that without sample `i`, which the `inverse` still has. `scratch` has `n` elements or
/// more.
pub(super) fn leave(
    kernels: Kernels,
    span: &Span<'_>,
    l2: f32,
    inverse: &Inverse<'_>,
    i: usize,
    point: &mut [f32],
    scratch: &mut [f32],
) {
    let n = span.labels.len();
    let response = &mut scratch[..n];
    inverse.respond(i, l2, response);
    // As if by a force that takes the sample's own alpha to zero.
    for alpha in point.chunks_exact_mut(n).take(span.n_classes) {
        let force = alpha[i] / response[i];
        if force.is_finite() {
            kernels.axpy(-force, response, alpha);
        }
        alpha[i] = 0.0;
    }
}

/// Forces on the logits of one sample at which its loss and the others are in balance: `label's indicator - softmax(z)` at
/// the logits `z = logits + stretch * force`. `forces` holds the logits at first. By Newton's method, which has a closed
/// form here (Sherman & Morrison 1950); `scratch` has `3 n_classes` elements.
fn balance(label: usize, stretch: f32, forces: &mut [f32], scratch: &mut [f32]) {
    let n_classes = forces.len();
    let (logits, rest) = scratch.split_at_mut(n_classes);
    let (softmax, change) = rest.split_at_mut(n_classes);
    logits.copy_from_slice(forces);
    forces.fill(0.0);
    change.fill(0.0);
    let mut value = f32::MAX;
    for _ in 0..MOST_HALVINGS {
        // Back by half of the last change while that has gone too far.
        let mut new_value = energy(label, stretch, logits, forces, softmax);
        for _ in 0..MOST_HALVINGS {
            if new_value <= value {
                break;
            }
            for (force, change) in forces.iter_mut().zip(&mut *change) {
                *change *= 0.5;
                *force -= *change;
            }
            new_value = energy(label, stretch, logits, forces, softmax);
        }
        if value - new_value <= 1e-6 * value {
            break;
        }
        value = new_value;
        let (mut sum, mut share) = (0.0, 0.0);
        for (class, ((change, force), p)) in change.iter_mut().zip(&*forces).zip(&*softmax).enumerate() {
            let lack = if class == label { 1.0 } else { 0.0 } - p - force;
            let softness = 1.0 / (1.0 + stretch * p);
            *change = softness * lack;
            sum += p * stretch * *change;
            share += p * softness;
        }
        for ((change, force), p) in change.iter_mut().zip(&mut *forces).zip(&*softmax) {
            *change += p / (1.0 + stretch * p) * sum / share;
            *force += *change;
        }
    }
}

/// Loss at the logits plus `stretch / 2 |forces|^2`; `softmax` becomes that.
fn energy(label: usize, stretch: f32, logits: &[f32], forces: &[f32], softmax: &mut [f32]) -> f32 {
    let at = |class: usize| logits[class] + stretch * forces[class];
    let most = (0..logits.len()).map(at).fold(f32::NEG_INFINITY, f32::max);
    for (class, p) in softmax.iter_mut().enumerate() {
        *p = math::exp(at(class) - most);
    }
    let sum: f32 = softmax.iter().sum();
    softmax.iter_mut().for_each(|p| *p /= sum);
    let squares: f32 = forces.iter().map(|force| force * force).sum();
    math::ln(sum) + most - at(label) + 0.5 * stretch * squares
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn forces_are_in_balance_however_wrong_the_logits_and_however_soft_the_others() {
        for (logits, stretch) in [
            ([0.0, 0.0, 0.0], 1.0),
            ([9.0, -30.0, 2.0], 0.1),
            ([40.0, -40.0, 40.0], 500.0),
            ([-3.0, 5.0, 1.0], 1e-4),
            ([-60.0, 70.0, -60.0], 2e4),
        ] {
            let (mut forces, mut scratch) = (logits, [f32::NAN; 9]);
            balance(1, stretch, &mut forces, &mut scratch);
            let logits: [f64; 3] = core::array::from_fn(|k| f64::from(logits[k]) + f64::from(stretch * forces[k]));
            let most = logits.into_iter().fold(f64::MIN, f64::max);
            let sum: f64 = logits.iter().map(|z| (z - most).exp()).sum();
            for (k, (z, force)) in logits.into_iter().zip(forces).enumerate() {
                let lack = f64::from(u8::from(k == 1)) - (z - most).exp() / sum;
                assert!((lack - f64::from(force)).abs() < 2e-2, "{logits:?} {stretch}: {force} instead of {lack}");
            }
        }
    }
}
