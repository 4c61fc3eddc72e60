//! A hidden layer and a softmax head together, by backpropagation (Rumelhart, Hinton & Williams 1986): what is developed on a
//! source task, where there are many samples, so that its hidden layer, the [`Neck`], serves other tasks.
//!
//! Goes down the mean of `NLL` over the samples of a minibatch by Adam (Kingma & Ba 2015, "Adam: a method for stochastic
//! optimization") with decoupled weight decay (Loshchilov & Hutter 2019). With the gradient g and the step t:
//!
//! ```text
//! m = beta1 m + (1 - beta1) g        v = beta2 v + (1 - beta2) g²
//! w = w - rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w)
//! ```
//!
//! beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8; biases do not decay. In training each hidden unit is dropped with the
//! probability of `dropout` and the others are divided by what is left of 1 (inverted dropout: Srivastava et al. 2014), so
//! that nothing is to be done in use. Weights start uniform in `±sqrt(6 / feature_dim)` (He et al. 2015), those of the head in
//! `±sqrt(3 / hidden_dim)`, biases at zero. After each epoch the loss of the validation samples is taken; the parameters that
//! had the least are kept, and `patience` epochs without a lesser one end the training.
//!
//! Unlike all other solvers here this has no one optimum: rate, epochs and seed matter. But the same samples, settings and seed
//! give the same bits on every machine.
//!
//! Memory: five times the parameters, and a block of samples. An epoch is about `3 * hidden_dim * (feature_dim + n_classes)`
//! multiply-adds a sample.

use super::{FitError, TrainingSet, check_length, total_len};
use crate::head::{Head, parameter_count};
use crate::kernel::{ALIGNMENT_SLACK, Kernels, aligned};
use crate::math;
use crate::neck::Neck;
use crate::random::SplitMix64;

/// Samples that go through the layers together.
const BLOCK: usize = 64;
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Length of a step in each parameter, about; positive.
    pub learning_rate: f32,
    /// Share that weights lose in a step, over the learning rate; 0 or more.
    pub weight_decay: f32,
    /// Share of the hidden units that are dropped in training, 0 to below 1.
    pub dropout: f32,
    /// Samples whose mean gradient makes a step, at least 1.
    pub batch: usize,
    /// The most passes over the samples, at least 1.
    pub epochs: u32,
    /// Stops after so many epochs without a lesser validation loss, at least 1.
    pub patience: u32,
}

impl Default for Settings {
    /// Adam's usual rate, half of the units dropped, up to 200 epochs.
    fn default() -> Self {
        Self { learning_rate: 1e-3, weight_decay: 1e-2, dropout: 0.5, batch: 32, epochs: 200, patience: 20 }
    }
}

/// An epoch that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, from 1 on.
    pub number: u32,
    /// Mean log-loss of the training samples, as they came by, with dropout.
    pub training_loss: f64,
    /// Mean log-loss of the validation samples after it.
    pub validation_loss: f64,
}

/// What a training came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Epochs that were run.
    pub epochs: u32,
    /// The one whose parameters were kept.
    pub best: Epoch,
}

/// Why there is no training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrainError {
    /// Samples, settings or slices that are not fit for it. Nothing is changed.
    Fit(FitError),
    /// The head is not for what the neck gives. Nothing is changed.
    Shape {
        /// What the neck gives.
        hidden_dim: usize,
        /// What the head takes.
        feature_dim: usize,
    },
    /// The loss became infinite or NaN before any epoch was over. The parameters have no particular content.
    Diverged {
        /// The epoch.
        epoch: u32,
    },
}

impl core::fmt::Display for TrainError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fit(error) => error.fmt(f),
            Self::Shape { hidden_dim, feature_dim } => {
                write!(f, "the neck gives {hidden_dim} features, and the head takes {feature_dim}")
            }
            Self::Diverged { epoch } => {
                write!(
                    f,
                    "the loss was no longer finite in epoch {epoch}: scale the features, or lower the learning rate"
                )
            }
        }
    }
}

impl core::error::Error for TrainError {}

impl From<FitError> for TrainError {
    fn from(error: FitError) -> Self {
        Self::Fit(error)
    }
}

impl Settings {
    /// Whether each is in its range, as [`fit`] asks too.
    ///
    /// # Errors
    /// [`FitError::Setting`].
    pub fn check(&self) -> Result<(), FitError> {
        let Self { learning_rate, weight_decay, dropout, batch, epochs, patience } = *self;
        let wrong = |what, got, expected| Err(FitError::Setting { what, got, expected });
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return wrong("learning rate", learning_rate, "positive and finite");
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return wrong("weight decay", weight_decay, "not negative, and finite");
        }
        if !(0.0..1.0).contains(&dropout) {
            return wrong("dropout", dropout, "from 0 to below 1");
        }
        for (what, count) in [("batch", batch), ("epochs", epochs as usize), ("patience", patience as usize)] {
            if count == 0 {
                return wrong(what, 0.0, "at least 1");
            }
        }
        Ok(())
    }
}

/// Numbers in neck and head together.
const fn network_len(n_classes: usize, hidden_dim: usize, feature_dim: usize) -> Option<usize> {
    total_len(&[parameter_count(hidden_dim, feature_dim), parameter_count(n_classes, hidden_dim)])
}

/// Length of `scratch` for [`fit`], in f32; `None` where that overflows.
pub const fn scratch_len(n_classes: usize, hidden_dim: usize, feature_dim: usize) -> Option<usize> {
    let Some(network) = network_len(n_classes, hidden_dim, feature_dim) else { return None };
    let Some(widths) = total_len(&[Some(feature_dim), hidden_dim.checked_mul(2), n_classes.checked_mul(2)]) else {
        return None;
    };
    total_len(&[network.checked_mul(4), widths.checked_mul(BLOCK), Some(ALIGNMENT_SLACK)])
}

/// Trains `neck` and `head`, whatever they hold, on the samples of `train`, and keeps the parameters that do best on those of
/// `validation`. Each class is among the former; all samples count once.
///
/// `scratch` has [`scratch_len`] elements and `order` one for each sample of `train`, of any content. `done` is called after
/// each epoch.
///
/// # Errors
/// [`TrainError`].
///
/// ```
/// use topgraft_core::{head::Head, kernel::Kernels, neck::Neck, random::SplitMix64};
/// use topgraft_core::solver::{TrainingSet, backprop};
///
/// // No line parts the corners of a square from their neighbours.
/// let corners = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0];
/// let set = TrainingSet { features: &corners, labels: &[0, 0, 1, 1], sample_weights: None };
/// let (mut neck, mut head) = (Neck::new(16, 2, [0.0; 48])?, Head::new(2, 16, [0.0; 34])?);
/// let settings = backprop::Settings { learning_rate: 0.02, dropout: 0.0, ..Default::default() };
/// let (mut order, mut scratch) = ([0; 4], [0.0; backprop::scratch_len(2, 16, 2).unwrap()]);
/// let mut random = SplitMix64(1);
/// let kernels = Kernels::detect();
/// backprop::fit(kernels, [&set, &set], &settings, &mut random, &mut neck, &mut head, &mut order, &mut scratch, |_| ())?;
/// let (mut hidden, mut logits) = ([0.0; 4 * 16], [0.0; 4 * 2]);
/// neck.apply(kernels, &corners, &mut hidden);
/// head.logits(kernels, &hidden, &mut logits);
/// assert!(logits[0] > logits[1] && logits[2] > logits[3] && logits[4] < logits[5] && logits[6] < logits[7]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[allow(clippy::too_many_arguments, reason = "the caller owns all memory")]
pub fn fit<N: AsRef<[f32]> + AsMut<[f32]>, H: AsRef<[f32]> + AsMut<[f32]>>(
    kernels: Kernels,
    [train, validation]: [&TrainingSet<'_>; 2],
    settings: &Settings,
    random: &mut SplitMix64,
    neck: &mut Neck<N>,
    head: &mut Head<H>,
    order: &mut [u32],
    scratch: &mut [f32],
    mut done: impl FnMut(&Epoch),
) -> Result<Training, TrainError> {
    let (n_classes, hidden_dim, feature_dim) = (head.n_classes(), neck.hidden_dim(), neck.feature_dim());
    settings.check()?;
    if head.feature_dim() != hidden_dim {
        return Err(TrainError::Shape { hidden_dim, feature_dim: head.feature_dim() });
    }
    if hidden_dim.min(feature_dim) == 0 {
        return Err(FitError::Length { what: "a layer", expected: 1, got: 0 }.into());
    }
    train.check(n_classes, feature_dim)?;
    validation.check_samples(n_classes, feature_dim)?;
    for set in [train, validation] {
        check_length("sample_weights", set.sample_weights.map_or(0, <[f32]>::len), 0)?;
    }
    check_length("order", order.len(), train.labels.len())?;
    if validation.labels.is_empty() {
        return Err(FitError::Length { what: "validation", expected: 1, got: 0 }.into());
    }
    let expected = scratch_len(n_classes, hidden_dim, feature_dim).unwrap_or(usize::MAX);
    if scratch.len() < expected {
        return Err(FitError::Length { what: "scratch", expected, got: scratch.len() }.into());
    }

    let scratch = aligned(scratch);
    let len = neck.parameters().len() + head.parameters().len();
    let (gradient, rest) = scratch.split_at_mut(len);
    let (moments, rest) = rest.split_at_mut(2 * len);
    let (kept, rest) = rest.split_at_mut(len);
    let mut block = Block::new(kernels, [n_classes, hidden_dim, feature_dim], rest);
    start(random, neck, head);
    let mut adam = Adam::new(settings, moments);
    (0..).zip(&mut *order).for_each(|(i, place)| *place = i);

    let mut best: Option<Epoch> = None;
    let mut number = 0;
    loop {
        number += 1;
        random.shuffle(order);
        let mut loss = 0.0;
        for batch in order.chunks(settings.batch) {
            gradient.fill(0.0);
            for samples in batch.chunks(BLOCK) {
                block.load(train, samples.iter().map(|sample| *sample as usize));
                loss +=
                    block.backward(neck, head, 1.0 / batch.len() as f32, Some((settings.dropout, random)), gradient);
            }
            adam.step(neck, head, gradient);
        }
        let training_loss = loss / order.len() as f64;
        let epoch = Epoch { number, training_loss, validation_loss: block.loss(neck, head, validation) };
        if !epoch.validation_loss.is_finite() {
            break;
        }
        done(&epoch);
        if best.is_none_or(|best| epoch.validation_loss < best.validation_loss) {
            best = Some(epoch);
            kept[..neck.parameters().len()].copy_from_slice(neck.parameters());
            kept[neck.parameters().len()..].copy_from_slice(head.parameters());
        }
        let since = number - best.map_or(0, |best| best.number);
        if since >= settings.patience || number == settings.epochs {
            break;
        }
    }
    let best = best.ok_or(TrainError::Diverged { epoch: number })?;
    let (of_neck, of_head) = kept.split_at(neck.parameters().len());
    neck.parameters_mut().copy_from_slice(of_neck);
    head.parameters_mut().copy_from_slice(of_head);
    Ok(Training { epochs: number, best })
}

/// Parameters to start from.
fn start<N: AsRef<[f32]> + AsMut<[f32]>, H: AsRef<[f32]> + AsMut<[f32]>>(
    random: &mut SplitMix64,
    neck: &mut Neck<N>,
    head: &mut Head<H>,
) {
    let mut fill = |weights: usize, limit: f32, parameters: &mut [f32]| {
        let (weights, bias) = parameters.split_at_mut(weights);
        weights.iter_mut().for_each(|w| *w = (2.0 * random.unit() - 1.0) * limit);
        bias.fill(0.0);
    };
    let (feature_dim, hidden_dim) = (neck.feature_dim(), neck.hidden_dim());
    fill(hidden_dim * feature_dim, math::sqrt(6.0 / feature_dim as f32), neck.parameters_mut());
    fill(head.n_classes() * hidden_dim, math::sqrt(3.0 / hidden_dim as f32), head.parameters_mut());
}

/// Samples on their way through the layers and back.
struct Block<'a> {
    kernels: Kernels,
    n_classes: usize,
    hidden_dim: usize,
    feature_dim: usize,
    n: usize,
    labels: [u16; BLOCK],
    /// `[BLOCK, feature_dim]`
    features: &'a mut [f32],
    /// `[BLOCK, hidden_dim]`: what the neck gives, 0 where a unit was dropped; and the gradient with respect to what went into
    /// the rectifier.
    hidden: &'a mut [f32],
    hidden_gradient: &'a mut [f32],
    /// `[BLOCK, n_classes]`: logits, then residuals; and these `[n_classes, BLOCK]`.
    logits: &'a mut [f32],
    transposed: &'a mut [f32],
}

impl<'a> Block<'a> {
    fn new(kernels: Kernels, [n_classes, hidden_dim, feature_dim]: [usize; 3], scratch: &'a mut [f32]) -> Self {
        let (features, rest) = scratch.split_at_mut(BLOCK * feature_dim);
        let (hidden, rest) = rest.split_at_mut(BLOCK * hidden_dim);
        let (hidden_gradient, rest) = rest.split_at_mut(BLOCK * hidden_dim);
        let (logits, rest) = rest.split_at_mut(BLOCK * n_classes);
        let transposed = &mut rest[..BLOCK * n_classes];
        let (n, labels) = (0, [0; BLOCK]);
        Self {
            kernels,
            n_classes,
            hidden_dim,
            feature_dim,
            n,
            labels,
            features,
            hidden,
            hidden_gradient,
            logits,
            transposed,
        }
    }

    /// Takes in at most [`BLOCK`] samples.
    fn load(&mut self, set: &TrainingSet<'_>, samples: impl Iterator<Item = usize>) {
        self.n = 0;
        for (sample, row) in samples.zip(self.features.chunks_exact_mut(self.feature_dim.max(1))) {
            row.copy_from_slice(set.row(sample, self.feature_dim));
            self.labels[self.n] = set.labels[sample];
            self.n += 1;
        }
    }

    /// Makes residuals of the samples, and gives the sum of their losses.
    fn forward<N: AsRef<[f32]>, H: AsRef<[f32]>>(
        &mut self,
        neck: &Neck<N>,
        head: &Head<H>,
        dropout: Option<(f32, &mut SplitMix64)>,
    ) -> f64 {
        let Self { kernels, n, n_classes, hidden_dim, feature_dim, .. } = *self;
        let hidden = &mut self.hidden[..n * hidden_dim];
        neck.apply(kernels, &self.features[..n * feature_dim], hidden);
        if let Some((dropout, random)) = dropout.filter(|(dropout, _)| *dropout > 0.0) {
            let scale = 1.0 / (1.0 - dropout);
            for unit in hidden.iter_mut() {
                *unit = if random.unit() < dropout { 0.0 } else { *unit * scale };
            }
        }
        let logits = &mut self.logits[..n * n_classes];
        head.logits(kernels, hidden, logits);
        let mut losses = [0.0; BLOCK];
        kernels.cross_entropy_rows(n_classes, logits, &self.labels[..n], &mut losses[..n]);
        losses[..n].iter().map(|loss| f64::from(*loss)).sum()
    }

    /// Adds `share` of the sum of the samples' gradients to `gradient`, in the order of the parameters of neck, then head;
    /// gives the sum of their losses.
    fn backward<N: AsRef<[f32]>, H: AsRef<[f32]>>(
        &mut self,
        neck: &Neck<N>,
        head: &Head<H>,
        share: f32,
        dropout: Option<(f32, &mut SplitMix64)>,
        gradient: &mut [f32],
    ) -> f64 {
        let Self { kernels, n, n_classes, hidden_dim, feature_dim, .. } = *self;
        let scale = dropout.as_ref().map_or(1.0, |(dropout, _)| 1.0 / (1.0 - dropout));
        let loss = self.forward(neck, head, dropout);
        let (of_neck, of_head) = gradient.split_at_mut(neck.parameters().len());
        let (residuals, transposed) = (&mut self.logits[..n * n_classes], &mut self.transposed[..n * n_classes]);
        for (i, row) in residuals.chunks_exact_mut(n_classes).enumerate() {
            for (class, residual) in row.iter_mut().enumerate() {
                *residual *= share;
                transposed[class * n + i] = *residual;
            }
        }
        let (weights, bias) = of_head.split_at_mut(n_classes * hidden_dim);
        let hidden = &self.hidden[..n * hidden_dim];
        kernels.gemm_tn([n_classes, hidden_dim, n], residuals, hidden, weights);
        residuals.chunks_exact(n_classes).for_each(|row| kernels.axpy(1.0, row, bias));

        let back = &mut self.hidden_gradient[..n * hidden_dim];
        back.fill(0.0);
        kernels.gemm_tn([n, hidden_dim, n_classes], transposed, head.weights(), back);
        for (back, unit) in back.iter_mut().zip(hidden) {
            // Neither the rectifier nor dropout lets it through elsewhere.
            *back = if *unit > 0.0 { *back * scale } else { 0.0 };
        }
        let (weights, bias) = of_neck.split_at_mut(hidden_dim * feature_dim);
        kernels.gemm_tn([hidden_dim, feature_dim, n], back, &self.features[..n * feature_dim], weights);
        back.chunks_exact(hidden_dim).for_each(|row| kernels.axpy(1.0, row, bias));
        loss
    }

    /// Mean loss of a set, without dropout.
    fn loss<N: AsRef<[f32]>, H: AsRef<[f32]>>(&mut self, neck: &Neck<N>, head: &Head<H>, set: &TrainingSet<'_>) -> f64 {
        let n = set.labels.len();
        let mut sum = 0.0;
        for first in (0..n).step_by(BLOCK) {
            self.load(set, first..n.min(first + BLOCK));
            sum += self.forward(neck, head, None);
        }
        sum / n as f64
    }
}

/// Moments of the gradients so far.
struct Adam<'a> {
    rate: f32,
    decay: f32,
    /// `[2, parameters]`: means of the gradients and of their squares.
    moments: &'a mut [f32],
    /// `beta1^t`, `beta2^t`.
    powers: [f64; 2],
}

impl<'a> Adam<'a> {
    fn new(settings: &Settings, moments: &'a mut [f32]) -> Self {
        moments.fill(0.0);
        let Settings { learning_rate, weight_decay, .. } = *settings;
        Self { rate: learning_rate, decay: weight_decay, moments, powers: [1.0; 2] }
    }

    fn step<N: AsRef<[f32]> + AsMut<[f32]>, H: AsRef<[f32]> + AsMut<[f32]>>(
        &mut self,
        neck: &mut Neck<N>,
        head: &mut Head<H>,
        gradient: &[f32],
    ) {
        self.powers = [self.powers[0] * f64::from(BETA1), self.powers[1] * f64::from(BETA2)];
        let of_weights = [neck.weights().len(), head.weights().len()];
        let (of_neck, of_head) = gradient.split_at(neck.parameters().len());
        let mut at = 0;
        for (parameters, weights, gradient) in
            [(neck.parameters_mut(), of_weights[0], of_neck), (head.parameters_mut(), of_weights[1], of_head)]
        {
            let (weights, bias) = parameters.split_at_mut(weights);
            let (of_weights, of_bias) = gradient.split_at(weights.len());
            self.descend(at, self.decay, weights, of_weights);
            self.descend(at + weights.len(), 0.0, bias, of_bias);
            at += gradient.len();
        }
    }

    /// The step of the parameters from number `at` on.
    fn descend(&mut self, at: usize, decay: f32, parameters: &mut [f32], gradient: &[f32]) {
        let (means, squares) = self.moments.split_at_mut(self.moments.len() / 2);
        let (means, squares) = (&mut means[at..][..gradient.len()], &mut squares[at..][..gradient.len()]);
        let rate = (f64::from(self.rate) / (1.0 - self.powers[0])) as f32;
        let unbias = (1.0 / (1.0 - self.powers[1])) as f32;
        let shrink = 1.0 - self.rate * decay;
        for (((w, g), m), v) in parameters.iter_mut().zip(gradient).zip(means).zip(squares) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * (g * g);
            *w = *w * shrink - rate * *m / (math::sqrt(*v * unbias) + EPSILON);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "backprop_tests.rs"]
mod tests;
