//! Whether a sample is of none of the classes.

/// Partial sums of a distance: the order of summation is fixed, the same bits on every CPU.
const SUMS: usize = 16;

/// What a sample is measured with: means of the classes in 8 bits, and the score below which it is unknown.
///
/// The score is `p - d / scale`, p being the probability of the most probable class and d the squared distance of the
/// scaled features to the nearest class mean: a sample is known if the head is sure of its class and it lies where the
/// classes lie. Either alone misses much (docs/unknown.md).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejection<F, M> {
    /// `[n_classes]`, >= 0: what a unit of `means` is worth.
    pub steps: F,
    /// `[n_classes, feature_dim]` row-major: mean of each class's scaled features, in units of its step.
    pub means: M,
    /// Squared distance that counts as much as a probability of 1; > 0.
    pub scale: f32,
    /// Scores below this are unknown.
    pub threshold: f32,
    /// Share of the samples of the taught classes that are expected below it, 0..1.
    pub rate: f32,
    /// How well the score told a class apart that was held out, area under the ROC curve, 0..=1, if that was measured.
    pub auroc: Option<f32>,
}

impl<F: AsRef<[f32]>, M: AsRef<[i8]>> Rejection<F, M> {
    /// Score of a sample with scaled `features [feature_dim]`, whose most probable class has `probability`, 0..=1.
    ///
    /// # Panics
    /// If `means` are not a row of `feature_dim` for each step.
    pub fn score(&self, features: &[f32], probability: f32) -> f32 {
        self.score_at(self.distance(features), probability)
    }

    /// Score of a sample at the squared `distance` from the nearest class mean.
    pub fn score_at(&self, distance: f32, probability: f32) -> f32 {
        probability - distance / self.scale
    }

    /// Whether a sample of that score is unknown. A score that is not a number is, too.
    pub fn is_unknown(&self, score: f32) -> bool {
        score.is_nan() || score < self.threshold
    }

    /// Squared distance of scaled `features [feature_dim]` to the nearest class mean.
    ///
    /// # Panics
    /// If `means` are not a row of `feature_dim` for each step.
    pub fn distance(&self, features: &[f32]) -> f32 {
        let (steps, means) = (self.steps.as_ref(), self.means.as_ref());
        assert_eq!(Some(means.len()), steps.len().checked_mul(features.len()), "a mean of feature_dim for each step");
        let mut least = f32::INFINITY;
        for (class, step) in steps.iter().enumerate() {
            let mean = &means[class * features.len()..][..features.len()];
            least = least.min(squared_distance(features, mean, *step));
        }
        least
    }
}

/// Element k goes to sum k modulo [`SUMS`]; the sums are added in order. No fused multiply-add: a CPU without it gives the
/// same bits.
fn squared_distance(features: &[f32], mean: &[i8], step: f32) -> f32 {
    let mut sums = [0.0f32; SUMS];
    let square = |x: f32, code: i8| {
        let difference = x - step * f32::from(code);
        difference * difference
    };
    let (blocks, rest) = features.as_chunks::<SUMS>();
    let (mean_blocks, mean_rest) = mean.as_chunks::<SUMS>();
    for (x, code) in blocks.iter().zip(mean_blocks) {
        for k in 0..SUMS {
            sums[k] += square(x[k], code[k]);
        }
    }
    for (sum, (x, code)) in sums.iter_mut().zip(rest.iter().zip(mean_rest)) {
        *sum += square(*x, *code);
    }
    sums.iter().sum()
}

/// Writes `mean [feature_dim]` in 8 bits and gives its step, the largest magnitude over 127: no element is off by more
/// than half a step.
///
/// # Panics
/// If the lengths differ.
///
/// ```
/// let mut codes = [0; 3];
/// let step = topgraft_core::rejection::quantize(&[1.27, -0.635, 0.0], &mut codes);
/// assert_eq!((codes, step), ([127, -64, 0], 0.01));
/// ```
pub fn quantize(mean: &[f32], codes: &mut [i8]) -> f32 {
    assert_eq!(mean.len(), codes.len(), "as many codes as elements");
    let largest = mean.iter().fold(0.0, |largest: f32, x| if x.abs() > largest { x.abs() } else { largest });
    let step = largest / 127.0;
    for (x, code) in mean.iter().zip(codes) {
        // Half away from zero; `as` cuts off the rest and keeps within an i8. A step of 0 is a mean of zeros.
        let units = if step > 0.0 { x / step } else { 0.0 };
        *code = (units + if units < 0.0 { -0.5 } else { 0.5 }) as i8;
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection() -> Rejection<[f32; 2], [i8; 6]> {
        let means = [100, 0, 0, 0, 50, 0];
        Rejection { steps: [0.01, 0.02], means, scale: 0.5, threshold: 0.4, rate: 0.05, auroc: None }
    }

    #[test]
    fn a_sample_is_known_if_it_is_near_and_sure() {
        let rejection = rejection();
        assert_eq!(rejection.distance(&[1.0, 0.0, 0.0]), 0.0);
        assert_eq!(rejection.distance(&[0.0, 1.0, 0.5]), 0.25);
        let score = |features: &[f32], p| rejection.score(features, p);
        assert_eq!(score(&[0.0, 1.0, 0.5], 1.0), 0.5);
        assert!(!rejection.is_unknown(score(&[1.0, 0.0, 0.0], 0.9)));
        assert!(rejection.is_unknown(score(&[1.0, 0.0, 0.0], 0.3)), "not sure");
        assert!(rejection.is_unknown(score(&[0.0, 0.0, 1.0], 1.0)), "far");
        assert!(rejection.is_unknown(score(&[1.0, 0.0, 0.0], 0.0)), "no probability at all");
        assert!(rejection.is_unknown(f32::NAN));
        assert!(!rejection.is_unknown(0.4), "the threshold itself is known");
    }

    #[test]
    fn distances_are_those_of_every_length() {
        for len in 0..70usize {
            let x: [f32; 70] = core::array::from_fn(|i| (i as f32) * 0.25);
            let codes: [i8; 70] = core::array::from_fn(|i| (i as i16 * 3 - 100) as i8);
            let expected: f64 =
                x.iter().zip(&codes).take(len).map(|(x, c)| (f64::from(*x) - 0.5 * f64::from(*c)).powi(2)).sum();
            let got = squared_distance(&x[..len], &codes[..len], 0.5);
            assert!((f64::from(got) - expected).abs() <= 1e-5 * expected, "{len}: {got} {expected}");
        }
    }

    #[test]
    fn eight_bits_are_off_by_half_a_step_at_most() {
        let mean: [f32; 200] = core::array::from_fn(|i| ((i * i) as f32 * 0.37) % 3.0 - 1.5);
        let mut codes = [0; 200];
        let step = quantize(&mean, &mut codes);
        for (x, code) in mean.iter().zip(codes) {
            assert!((x - step * f32::from(code)).abs() <= 0.501 * step);
        }
        let mut zeros = [1; 3];
        assert_eq!((quantize(&[0.0; 3], &mut zeros), zeros), (0.0, [0; 3]));
    }

    #[test]
    #[should_panic(expected = "a mean of feature_dim for each step")]
    fn features_of_another_length_are_refused() {
        rejection().distance(&[0.0; 2]);
    }
}
