//! Probabilities that mean what they say: of the answers given with 80 %, 80 % are right.

use rayon::prelude::*;
use topgraft_core::head::{argmax, softmax};
use topgraft_core::math;

use super::cross_validation::assign_folds;

/// Bins of the confidence, 0..=1, of the expected calibration error.
pub const ECE_BINS: usize = 15;
/// Folds in which the temperature is fitted to some samples and tried on the others.
const FOLDS: usize = 10;
/// Bounds of 1 / temperature. The optimum is beyond them only if the logits are not worth the name.
const INVERSE_BOUNDS: [f64; 2] = [0.01, 100.0];

/// How far the probabilities can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Divides the logits before the softmax; > 0.
    pub temperature: f32,
    /// Expected calibration error of the left-out samples at temperature 1, 0..=1.
    pub ece_before: f64,
    /// The same with the temperature, each sample with one that was fitted without it: no sample has a say in its own.
    pub ece_after: f64,
}

impl Calibration {
    /// Fits the temperature to left-out `logits [n_samples, n_classes]` and measures what it is worth. The probabilities
    /// are those of heads that have not seen the sample, so neither figure flatters the head.
    ///
    /// A head whose penalty was chosen by its log-loss is calibrated by that already, and a temperature from few samples then
    /// only adds noise (docs/unknown.md has the figures). So it stays 1, unless temperatures that were fitted without the
    /// sample lower the log-loss.
    ///
    /// # Panics
    /// If `logits` are not a row of `n_classes` for each label.
    pub fn fit(logits: &[f32], labels: &[u16], n_classes: usize) -> Self {
        let set = LeftOut::new(logits, labels, n_classes);
        let all: Vec<usize> = (0..labels.len()).collect();
        let temperature = set.temperature(&all);
        let folds = labels.len().clamp(1, FOLDS);
        let fold_of = assign_folds(labels, n_classes, folds);
        let without = |fold: usize| set.temperature(&subset(&fold_of, |other| other != fold));
        let temperatures: Vec<f32> = (0..folds).into_par_iter().map(without).collect();
        let ece_before = set.ece(|_| 1.0);
        if set.log_loss(|sample| temperatures[fold_of[sample]]) >= set.log_loss(|_| 1.0) {
            return Self { temperature: 1.0, ece_before, ece_after: ece_before };
        }
        Self { temperature, ece_before, ece_after: set.ece(|sample| temperatures[fold_of[sample]]) }
    }
}

/// Samples whose fold is one of `keep`.
fn subset(fold_of: &[usize], keep: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..fold_of.len()).filter(|sample| keep(fold_of[*sample])).collect()
}

/// Samples with logits of heads that have not seen them.
struct LeftOut<'a> {
    logits: &'a [f32],
    labels: &'a [u16],
    n_classes: usize,
}

impl<'a> LeftOut<'a> {
    fn new(logits: &'a [f32], labels: &'a [u16], n_classes: usize) -> Self {
        assert_eq!(logits.len(), labels.len() * n_classes, "a row of logits for each label");
        Self { logits, labels, n_classes }
    }

    fn row(&self, sample: usize) -> &[f32] {
        &self.logits[sample * self.n_classes..][..self.n_classes]
    }

    /// Temperature of the least log-loss of `samples` (Guo et al. 2017, "On calibration of modern neural networks").
    ///
    /// The log-loss is convex in 1 / temperature, and so its derivative has one root, which Newton's method finds, kept
    /// between bounds that close in on it. If all left-out predictions are right it has none: the surer the better. But n
    /// right answers are no proof of certainty. So one more sample is counted, spread over the others, of which nothing is
    /// known: any label is as likely. This is the rule of succession, as Platt 1999 ("Probabilistic outputs for support
    /// vector machines", 2.2) has it for two classes: n right answers of n give about (n + 1) / (n + 2). It fades as n grows.
    fn temperature(&self, samples: &[usize]) -> f32 {
        if samples.is_empty() {
            return 1.0;
        }
        let smoothing = 1.0 / (samples.len() as f64 + 1.0);
        let [mut low, mut high] = INVERSE_BOUNDS;
        let mut inverse = 1.0;
        for _ in 0..60 {
            let (slope, curvature) = self.derivatives(samples, inverse, smoothing);
            if slope > 0.0 {
                high = inverse
            } else {
                low = inverse
            }
            let newton = inverse - slope / curvature;
            // Not a number where all logits are equal: then every temperature is as good. Infinite where they are so far apart that
            // all probabilities are 0 or 1, so that there is a slope, but no curvature.
            let next = match newton.is_nan() {
                false if newton > low && newton < high => newton,
                false => (low * high).sqrt(),
                true => break,
            };
            let step = (next - inverse).abs();
            inverse = next;
            if step <= 1e-6 * inverse {
                break;
            }
        }
        (1.0 / inverse) as f32
    }

    /// First and second derivative of the mean log-loss by 1 / temperature: what the logits are expected to be less what
    /// they are at the label, and their variance. `math::exp`, so that every CPU gives the same.
    fn derivatives(&self, samples: &[usize], inverse: f64, smoothing: f64) -> (f64, f64) {
        let (mut slope, mut curvature) = (0.0, 0.0);
        for sample in samples {
            let row = self.row(*sample);
            let max = f64::from(row.iter().fold(f32::NEG_INFINITY, |max, z| max.max(*z)));
            let (mut sum, mut first, mut second, mut plain) = (0.0, 0.0, 0.0, 0.0);
            for z in row {
                let z = f64::from(*z) - max;
                let p = f64::from(math::exp((z * inverse) as f32));
                sum += p;
                first += p * z;
                second += p * z * z;
                plain += z;
            }
            let mean = first / sum;
            let own = f64::from(row[usize::from(self.labels[*sample])]) - max;
            let target = (1.0 - smoothing) * own + smoothing * plain / row.len() as f64;
            slope += mean - target;
            curvature += second / sum - mean * mean;
        }
        (slope / samples.len() as f64, curvature / samples.len() as f64)
    }

    /// Log-loss of all samples, with the additional sample of [`temperature`](Self::temperature).
    fn log_loss(&self, temperature: impl Fn(usize) -> f32) -> f64 {
        let smoothing = 1.0 / (self.labels.len() as f64 + 1.0);
        let of = |(sample, label): (usize, &u16)| {
            let (row, inverse) = (self.row(sample), 1.0 / f64::from(temperature(sample)));
            let max = f64::from(row.iter().fold(f32::NEG_INFINITY, |max, z| max.max(*z)));
            let (mut sum, mut plain) = (0.0, 0.0);
            for z in row {
                let z = (f64::from(*z) - max) * inverse;
                sum += f64::from(math::exp(z as f32));
                plain += z;
            }
            let own = (f64::from(row[usize::from(*label)]) - max) * inverse;
            f64::from(math::ln(sum as f32)) - (1.0 - smoothing) * own - smoothing * plain / row.len() as f64
        };
        self.labels.iter().enumerate().map(of).sum()
    }

    /// The samples, binned by the probability of the predicted class: of each bin the sum of these, and how many are right.
    fn bins(&self, temperature: impl Fn(usize) -> f32) -> [(f64, u32, u32); ECE_BINS] {
        let mut bins = [(0.0, 0, 0); ECE_BINS];
        for (sample, label) in self.labels.iter().enumerate() {
            let mut p = self.row(sample).to_vec();
            probabilities(&mut p, temperature(sample));
            let Some(class) = argmax(&p) else { continue };
            let bin = ((f64::from(p[class]) * ECE_BINS as f64) as usize).min(ECE_BINS - 1);
            let (confidence, right, samples) = &mut bins[bin];
            *confidence += f64::from(p[class]);
            *right += u32::from(class == usize::from(*label));
            *samples += 1;
        }
        bins
    }

    /// Expected calibration error (Naeini et al. 2015; Guo et al. 2017): in each bin, how far the mean probability is from the
    /// share of right predictions; mean over the samples. With few samples it is above zero for a perfect calibration too.
    fn ece(&self, temperature: impl Fn(usize) -> f32) -> f64 {
        let bins = self.bins(temperature);
        let gap: f64 = bins.iter().map(|(confidence, right, _)| (confidence - f64::from(*right)).abs()).sum();
        gap / self.labels.len().max(1) as f64
    }
}

/// Samples whose predicted class has about the same probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBin {
    /// Mean probability of the predicted class, 0..=1; 0 without samples.
    pub confidence: f64,
    /// Samples whose prediction is right.
    pub right: u32,
    /// Samples.
    pub samples: u32,
}

/// Reliability diagram of `softmax(logits / temperature)`, `logits [n_samples, n_classes]`: [`ECE_BINS`] bins of the predicted
/// class's probability, of equal width, 0 first (Guo et al. 2017, "On calibration of modern neural networks").
///
/// # Panics
/// If `logits` are not a row of `n_classes` for each label.
///
/// ```
/// use topgraft::learn::{ECE_BINS, reliability};
/// let bins = reliability(&[0.0, 0.0, 9.0, 0.0], &[1, 0], 2, 1.0);
/// assert_eq!((bins[7].confidence, bins[7].right, bins[7].samples), (0.5, 0, 1));
/// assert_eq!((bins[ECE_BINS - 1].right, bins[ECE_BINS - 1].samples), (1, 1));
/// ```
pub fn reliability(logits: &[f32], labels: &[u16], n_classes: usize, temperature: f32) -> [ReliabilityBin; ECE_BINS] {
    LeftOut::new(logits, labels, n_classes).bins(|_| temperature).map(|(confidence, right, samples)| {
        let confidence = if samples > 0 { confidence / f64::from(samples) } else { 0.0 };
        ReliabilityBin { confidence, right, samples }
    })
}

/// Expected calibration error, 0..=1, of `softmax(logits / temperature)`, `logits [n_samples, n_classes]`, in [`ECE_BINS`] bins.
///
/// # Panics
/// If `logits` are not a row of `n_classes` for each label.
pub fn calibration_error(logits: &[f32], labels: &[u16], n_classes: usize, temperature: f32) -> f64 {
    LeftOut::new(logits, labels, n_classes).ece(|_| temperature)
}

/// Turns the logits of one sample into probabilities, in place: `softmax(logits / temperature)`.
pub fn probabilities(logits: &mut [f32], temperature: f32) {
    logits.iter_mut().for_each(|z| *z /= temperature);
    softmax(logits);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes; `right` of `n` samples have the larger logit at their label, by `margin`.
    fn answers(n: usize, right: usize, margin: f32) -> (Vec<f32>, Vec<u16>) {
        let labels: Vec<u16> = (0..n as u16).map(|i| i % 2).collect();
        let row = |i: usize| {
            let predicted = (i + usize::from(i >= right)) % 2;
            [0, 1].map(|class| if class == predicted { margin } else { 0.0 })
        };
        ((0..n).flat_map(row).collect(), labels)
    }

    fn confidence(margin: f32, temperature: f32) -> f32 {
        1.0 / (1.0 + (-margin / temperature).exp())
    }

    #[test]
    fn the_temperature_makes_confidence_what_accuracy_is() {
        for margin in [0.05, 0.5, 3.0, 40.0] {
            let (logits, labels) = answers(1000, 800, margin);
            let calibration = Calibration::fit(&logits, &labels, 2);
            let sure = confidence(margin, calibration.temperature);
            assert!((sure - 0.8).abs() < 2e-3, "margin {margin}: {sure}, {calibration:?}");
            assert!((calibration.ece_before - f64::from((confidence(margin, 1.0) - 0.8).abs())).abs() < 1e-5);
            assert!(calibration.ece_after < 0.01, "{calibration:?}");
        }
    }

    /// The root of the derivative is the minimum of the log-loss: no neighbour is better.
    #[test]
    fn no_other_temperature_has_a_lower_log_loss() {
        let (n, n_classes) = (300, 4);
        let logits: Vec<f32> = (0..n * n_classes).map(|i| 5.0 * ((i * i) as f32 * 0.37).sin()).collect();
        let labels: Vec<u16> = (0..n)
            .map(|i| argmax(&logits[i * n_classes..][..n_classes]).unwrap_or(0) as u16)
            .enumerate()
            .map(|(i, class)| if i % 3 == 0 { (class + 1) % 4 } else { class })
            .collect();
        let temperature = f64::from(Calibration::fit(&logits, &labels, n_classes).temperature);
        let smoothing = 1.0 / (n as f64 + 1.0);
        let loss = |temperature: f64| -> f64 {
            let of = |(row, label): (&[f32], &u16)| {
                let z: Vec<f64> = row.iter().map(|z| f64::from(*z) / temperature).collect();
                let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                let mean = z.iter().sum::<f64>() / z.len() as f64;
                log_sum - (1.0 - smoothing) * z[usize::from(*label)] - smoothing * mean
            };
            logits.chunks(n_classes).zip(&labels).map(of).sum()
        };
        let best = loss(temperature);
        assert!(loss(temperature * 1.01) > best && loss(temperature / 1.01) > best, "{temperature}");
    }

    #[test]
    fn n_right_answers_of_n_are_no_proof_of_certainty() {
        for n in [4, 10, 30, 100] {
            for margin in [0.1, 2.0, 20.0] {
                let (logits, labels) = answers(n, n, margin);
                let all: Vec<usize> = (0..n).collect();
                let temperature = LeftOut::new(&logits, &labels, 2).temperature(&all);
                let (sure, succession) = (confidence(margin, temperature), (n + 1) as f32 / (n + 2) as f32);
                // The one unknown sample is right with an even chance: n + 1/2 of n + 1.
                assert!((sure - (n as f32 + 0.5) / (n as f32 + 1.0)).abs() < 1e-4, "{sure} of {n}");
                assert!((1.0 - sure) > 0.45 * (1.0 - succession), "{sure} {succession}");
            }
        }
    }

    /// Sure answers that were all right: however sure, they are made less so.
    #[test]
    fn few_sure_answers_do_not_stay_certain() {
        let (logits, labels) = answers(10, 10, 30.0);
        let calibration = Calibration::fit(&logits, &labels, 2);
        let sure = confidence(30.0, calibration.temperature);
        assert!((0.9..0.97).contains(&sure), "{sure} {calibration:?}");
    }

    #[test]
    fn a_temperature_that_is_no_better_than_none_is_not_used() {
        // 75 % sure and 3 of 4 right, for which the temperature is 1; a fold without this or that sample says otherwise.
        let (logits, labels) = answers(40, 30, 3f32.ln());
        let calibration = Calibration::fit(&logits, &labels, 2);
        assert_eq!(calibration.temperature, 1.0);
        assert_eq!(calibration.ece_after, calibration.ece_before);
    }

    #[test]
    fn what_cannot_be_calibrated_stays_within_bounds() {
        let equal = Calibration::fit(&[0.5; 12], &[0, 1, 2, 0], 3);
        assert_eq!(equal.temperature, 1.0);
        // All wrong: nothing is to be believed, as flat as it may be.
        let (logits, labels) = answers(20, 0, 5.0);
        let wrong = Calibration::fit(&logits, &labels, 2);
        assert!((wrong.temperature - 100.0).abs() < 1.0 && wrong.ece_after < wrong.ece_before, "{wrong:?}");
        let huge = Calibration::fit(&[3e38, -3e38, -3e38, 3e38], &[0, 1], 2);
        assert!(huge.temperature.is_finite() && huge.temperature > 0.0 && huge.ece_after.is_finite(), "{huge:?}");
    }

    #[test]
    fn the_error_is_the_gap_between_confidence_and_accuracy_bin_by_bin() {
        // Bin of 0.75: 3 of 4 right, no gap. Bin of 1: 1 of 2 right, gap 0.5. (4 * 0 + 2 * 0.5) / 6.
        let (sure, three_to_one) = (60.0, 3f32.ln());
        let rows = [
            [three_to_one, 0.0],
            [three_to_one, 0.0],
            [three_to_one, 0.0],
            [three_to_one, 0.0],
            [sure, 0.0],
            [sure, 0.0],
        ];
        let labels = [0, 0, 0, 1, 0, 1];
        let ece = calibration_error(rows.as_flattened(), &labels, 2, 1.0);
        assert!((ece - 1.0 / 6.0).abs() < 1e-6, "{ece}");
    }

    #[test]
    fn logits_so_large_that_all_probabilities_are_0_or_1_get_a_temperature_too() {
        // What LDA of ten samples says: differences of hundreds, of which exp leaves nothing in 32 bits.
        let logits: Vec<f32> =
            (0..10).flat_map(|i| if i % 2 == 0 { [200.0, -200.0] } else { [-250.0, 250.0] }).collect();
        let labels: Vec<u16> = (0..10).map(|i| i % 2).collect();
        let temperature = LeftOut::new(&logits, &labels, 2).temperature(&(0..10).collect::<Vec<_>>());
        // 10 of 10 are about 11 of 12, within the bound of 100.
        assert!(temperature > 50.0, "{temperature}");
    }
}
