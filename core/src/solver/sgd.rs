//! Softmax regression by stochastic gradient descent: one sample at a time, none of them kept. For a microcontroller that has
//! no room for samples; wherever they fit, [`softmax`](super::softmax) finds the optimum itself, with no rate to choose.
//!
//! Goes down `mean of NLL + l2 / 2 * |W|^2`, the bias not penalised: the objective of [`softmax`](super::softmax) over the number
//! of samples, with its penalty divided by that number. The rate falls as `rate / (1 + rate * l2 * t)` with the steps `t`
//! (Bottou 2012, "Stochastic gradient descent tricks").
//!
//! Memory: the head, and `n_classes` floats. A step is `2 * n_classes * feature_dim` multiply-adds.

use super::{FitError, check_length};
use crate::head::Head;
use crate::kernel::Kernels;

/// How to descend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Penalty on the squared weights per sample, 0 or more; the L2 of [`softmax`](super::softmax) over the number of samples.
    pub l2: f32,
    /// First rate, positive. About `1 / mean squared length of the features` is near the largest that works.
    pub rate: f32,
}

/// Steps taken so far: with the head, all that there is to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    settings: Settings,
    steps: u32,
}

impl Descent {
    /// No step yet.
    ///
    /// # Errors
    /// [`FitError::L2`] or [`FitError::Setting`] for settings out of their range.
    pub fn new(settings: Settings) -> Result<Self, FitError> {
        Self::resume(settings, 0)
    }

    /// As [`new`](Self::new), after so many steps: a head that was stored goes on with the rate that it had.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resume(settings: Settings, steps: u32) -> Result<Self, FitError> {
        let Settings { l2, rate } = settings;
        if !(l2 >= 0.0 && l2.is_finite()) {
            return Err(FitError::L2 { l2 });
        }
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(FitError::Setting { what: "rate", got: rate, expected: "positive and finite" });
        }
        Ok(Self { settings, steps })
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One step with one sample, scaled features `[feature_dim]`. Returns its log-loss before the step. `scratch` has
    /// `n_classes` elements of any content.
    ///
    /// # Errors
    /// [`FitError`]: fewer than two classes, slices that do not fit, a label beyond the classes, features that are not finite
    /// (`sample` is the number of the step). The head is then as it was.
    ///
    /// ```
    /// use topgraft_core::{head::Head, kernel::Kernels};
    /// use topgraft_core::solver::sgd::{Descent, Settings};
    ///
    /// let mut head = Head::new(2, 2, [0.0; 6])?;
    /// let mut descent = Descent::new(Settings { l2: 1e-3, rate: 0.5 })?;
    /// for _ in 0..50 {
    ///     descent.step(Kernels::detect(), &mut head, &[1.0, 0.2], 0, &mut [0.0; 2])?;
    ///     descent.step(Kernels::detect(), &mut head, &[0.1, 1.0], 1, &mut [0.0; 2])?;
    /// }
    /// let mut logits = [0.0; 2];
    /// head.logits(Kernels::detect(), &[0.9, 0.0], &mut logits);
    /// assert!(logits[0] > logits[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn step<B: AsRef<[f32]> + AsMut<[f32]>>(
        &mut self,
        kernels: Kernels,
        head: &mut Head<B>,
        features: &[f32],
        label: u16,
        scratch: &mut [f32],
    ) -> Result<f32, FitError> {
        let (n_classes, feature_dim, sample) = (head.n_classes(), head.feature_dim(), self.steps as usize);
        if n_classes < 2 {
            return Err(FitError::TooFewClasses { n_classes });
        }
        check_length("features", features.len(), feature_dim)?;
        check_length("scratch", scratch.len(), n_classes)?;
        if usize::from(label) >= n_classes {
            return Err(FitError::Label { sample, label });
        }
        if !features.iter().all(|x| x.is_finite()) {
            return Err(FitError::NotFinite { sample });
        }
        let mut loss = [0.0];
        head.logits(kernels, features, scratch);
        kernels.cross_entropy_rows(n_classes, scratch, &[label], &mut loss);
        let Settings { l2, rate } = self.settings;
        let rate = rate / (1.0 + rate * l2 * self.steps as f32);
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * feature_dim);
        let shrink = 1.0 - rate * l2;
        weights.iter_mut().for_each(|w| *w *= shrink);
        kernels.ger(-rate, scratch, features, weights);
        kernels.axpy(-rate, scratch, bias);
        self.steps = self.steps.saturating_add(1);
        Ok(loss[0])
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::solver::{TrainingSet, softmax};
    use std::vec;
    use std::vec::Vec;

    /// Three classes that overlap, `[n, 8]`.
    fn data(n: usize) -> (Vec<f32>, Vec<u16>) {
        let mut state = 7u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let labels: Vec<u16> = (0..n).map(|_| (3.0 * (random() + 0.5)) as u16).collect();
        let row = |label: &u16| (0..8).map(|j| 0.4 * f32::from(j % 3 == *label) + random()).collect::<Vec<_>>();
        (labels.iter().flat_map(row).collect(), labels)
    }

    #[test]
    fn many_steps_come_near_the_optimum() {
        let (n, d, classes, l2) = (200, 8, 3, 1.0f32);
        let (features, labels) = data(n);
        let kernels = Kernels::detect();
        let set = TrainingSet { features: &features, labels: &labels, sample_weights: None };
        let mut best = Head::new(classes, d, vec![0.0; classes * (d + 1)]).expect("of this length");
        let mut scratch = vec![0.0; softmax::scratch_len(n, classes, d).expect("fits")];
        softmax::fit(kernels, &set, &softmax::Settings::new(l2), &mut best, &mut scratch).expect("sound");
        let mut head = Head::new(classes, d, vec![0.0; classes * (d + 1)]).expect("of this length");
        let mut descent = Descent::new(Settings { l2: l2 / n as f32, rate: 0.5 }).expect("sound");
        for _ in 0..100 {
            for (row, label) in features.chunks_exact(d).zip(&labels) {
                descent.step(kernels, &mut head, row, *label, &mut [0.0; 3]).expect("sound");
            }
        }
        assert_eq!(descent.steps(), 20_000);
        let objective = |head: &Head<Vec<f32>>| {
            let mut loss = 0.0;
            for (row, label) in features.chunks_exact(d).zip(&labels) {
                let mut logits = [0.0; 3];
                head.logits(kernels, row, &mut logits);
                crate::head::softmax(&mut logits);
                loss -= logits[usize::from(*label)].ln();
            }
            loss + 0.5 * l2 * head.weights().iter().map(|w| w * w).sum::<f32>()
        };
        let (got, least, zero) = (objective(&head), objective(&best), n as f32 * 3f32.ln());
        assert!(got >= least * 0.9999 && got < least + 0.02 * (zero - least), "{got} {least} {zero}");
    }

    #[test]
    fn the_same_bits_with_every_kernel_and_after_a_resume() {
        let (features, labels) = data(40);
        let settings = Settings { l2: 0.01, rate: 0.3 };
        let run = |kernels: Kernels, stop: usize| {
            let mut head = Head::new(3, 8, vec![0.0; 27]).expect("of this length");
            let mut descent = Descent::new(settings).expect("sound");
            for (i, (row, label)) in features.chunks_exact(8).zip(&labels).enumerate() {
                if i == stop {
                    descent = Descent::resume(settings, descent.steps()).expect("sound");
                }
                descent.step(kernels, &mut head, row, *label, &mut [0.0; 3]).expect("sound");
            }
            head.parameters().iter().map(|w| w.to_bits()).collect::<Vec<_>>()
        };
        let scalar = run(Kernels::new(crate::kernel::Isa::Scalar).expect("is there"), 0);
        for kernels in Kernels::available() {
            assert_eq!(run(kernels, 17), scalar, "{kernels:?}");
        }
    }

    #[test]
    fn bad_input_is_refused_and_changes_nothing() {
        let mut head = Head::new(2, 2, [0.5; 6]).expect("of this length");
        let mut descent = Descent::new(Settings { l2: 0.0, rate: 1.0 }).expect("sound");
        let kernels = Kernels::detect();
        let mut step = |features: &[f32], label, scratch: &mut [f32]| {
            descent.step(kernels, &mut head, features, label, scratch).expect_err("bad")
        };
        assert_eq!(step(&[1.0], 0, &mut [0.0; 2]), FitError::Length { what: "features", expected: 2, got: 1 });
        assert_eq!(step(&[1.0; 2], 0, &mut [0.0; 3]), FitError::Length { what: "scratch", expected: 2, got: 3 });
        assert_eq!(step(&[1.0; 2], 2, &mut [0.0; 2]), FitError::Label { sample: 0, label: 2 });
        assert_eq!(step(&[1.0, f32::NAN], 1, &mut [0.0; 2]), FitError::NotFinite { sample: 0 });
        assert_eq!((head.parameters(), descent.steps()), ([0.5; 6].as_slice(), 0));
        let mut one = Head::new(1, 2, [0.0; 3]).expect("of this length");
        let error = descent.step(kernels, &mut one, &[1.0; 2], 0, &mut [0.0]).expect_err("one class");
        assert_eq!(error, FitError::TooFewClasses { n_classes: 1 });
        for (l2, rate) in [(-1.0, 1.0), (f32::NAN, 1.0), (0.0, 0.0), (0.0, f32::INFINITY), (0.0, f32::NAN)] {
            assert!(Descent::new(Settings { l2, rate }).is_err(), "{l2} {rate}");
        }
    }
}
