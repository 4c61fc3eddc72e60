//! Softmax regression that stays at its optimum while samples come and go.

use super::dual::{self, Inverse, Span, Start};
use super::{Settings, near, primal::Primal};
use crate::head::Head;
use crate::kernel::{ALIGNMENT_SLACK, Kernels, aligned};
use crate::solver::{FitError, FitReport, TrainingSet};

/// Samples with their inner products, and the optimum of the last [`fit`](Self::fit): one sample more costs a row of inner
/// products and a few steps, not a fit from nothing. For up to a thousand samples or so; memory grows with their square.
///
/// A fit that starts warm ends at the same optimum as one from nothing, but for rounding. Where the bits must not depend on
/// what came and went before, fit the samples that are left from nothing: [`fit`](super::fit).
///
/// ```
/// use topgraft_core::kernel::Kernels;
/// use topgraft_core::solver::softmax::{Settings, online::Online};
///
/// let (mut floats, mut labels) = (vec![0.0; Online::buffer_len(8, 2, 3).unwrap()], [0; 8]);
/// let mut online = Online::new(Kernels::detect(), 2, 3, &mut floats, &mut labels)?;
/// online.add(&[1.0, 0.0, 0.2], 0)?;
/// online.add(&[0.0, 1.0, 0.1], 1)?;
/// assert!(online.fit(&Settings::new(0.1))?.converged);
/// let slot = online.add(&[0.2, 0.9, 0.0], 1)?;
/// assert!(online.fit(&Settings::new(0.1))?.converged);
/// online.remove(slot);
/// assert_eq!(online.len(), 2);
/// # Ok::<(), topgraft_core::solver::FitError>(())
/// ```
#[derive(Debug)]
pub struct Online<'a> {
    kernels: Kernels,
    n_classes: usize,
    feature_dim: usize,
    /// `[capacity]`; those of free slots mean nothing.
    labels: &'a mut [u16],
    /// `[capacity]`, 1 for a sample, 0 for a free slot.
    weights: &'a mut [f32],
    /// `[feature_dim]`, taken from every sample; the mean of those of the last fit from nothing.
    center: &'a mut [f32],
    /// `[capacity, feature_dim]`, less the center once there is one; zeros in free slots.
    features: &'a mut [f32],
    /// `[capacity, capacity]`
    gram: &'a mut [f32],
    /// The point that a fit comes to, and behind it the scratch of fits. How long the point is, the classes decide.
    point_and_scratch: &'a mut [f32],
    bias_unit: f32,
    /// Kept of the preconditioner, and the penalty it is for: `None` while there is none.
    inverse: Inverse<'a>,
    inverse_l2: Option<f32>,
    /// Steps of the first fit with this inverse, and how many more than that each later one took, together.
    fresh_steps: Option<u32>,
    excess_steps: u32,
    /// Whether `center` and `gram` are those of a fit.
    is_fitted: bool,
    /// Whether the point is the optimum of these classes, but for the samples that came and went since.
    has_point: bool,
}

/// What an [`Online`] knows beside its buffers.
#[derive(Clone, Copy, Debug)]
pub struct Paused {
    kernels: Kernels,
    n_classes: usize,
    feature_dim: usize,
    bias_unit: f32,
    /// Of the inverse: sum of the samples' curvatures.
    curvature: f32,
    inverse_l2: Option<f32>,
    fresh_steps: Option<u32>,
    excess_steps: u32,
    is_fitted: bool,
    has_point: bool,
}

impl<'a> Online<'a> {
    /// Length of `floats` for [`new`](Self::new); `None` where that overflows.
    pub const fn buffer_len(capacity: usize, n_classes: usize, feature_dim: usize) -> Option<usize> {
        let Some(width) = feature_dim.checked_add(capacity) else { return None };
        let Some(width) = width.checked_add(1) else { return None };
        let Some(rows) = capacity.checked_mul(width) else { return None };
        let (Some(point), Some(scratch)) =
            (dual::point_len(capacity, n_classes), dual::scratch_len(capacity, n_classes))
        else {
            return None;
        };
        let Some(all) = rows.checked_add(feature_dim) else { return None };
        let Some(inverse) = Inverse::buffer_len(capacity) else { return None };
        let Some(all) = all.checked_add(inverse) else { return None };
        let Some(all) = all.checked_add(point) else { return None };
        let Some(all) = all.checked_add(scratch) else { return None };
        all.checked_add(ALIGNMENT_SLACK)
    }

    /// No samples yet. There is room for as many as `labels` is long; a multiple of 32 is fastest. There is room for as many
    /// classes as `floats` are enough for.
    ///
    /// # Errors
    /// [`FitError::Length`] if `floats` is shorter than [`buffer_len`](Self::buffer_len); [`FitError::TooFewClasses`].
    pub fn new(
        kernels: Kernels,
        n_classes: usize,
        feature_dim: usize,
        floats: &'a mut [f32],
        labels: &'a mut [u16],
    ) -> Result<Self, FitError> {
        if n_classes < 2 {
            return Err(FitError::TooFewClasses { n_classes });
        }
        let capacity = labels.len();
        let expected = Self::buffer_len(capacity, n_classes, feature_dim).unwrap_or(usize::MAX);
        if floats.len() < expected {
            return Err(FitError::Length { what: "floats", expected, got: floats.len() });
        }
        let state = Paused {
            kernels,
            n_classes,
            feature_dim,
            bias_unit: 1.0,
            curvature: 0.0,
            inverse_l2: None,
            fresh_steps: None,
            excess_steps: 0,
            is_fitted: false,
            has_point: false,
        };
        let online = Self::over(state, floats, labels);
        online.weights.fill(0.0);
        online.features.fill(0.0);
        online.labels.fill(0);
        Ok(online)
    }

    /// What it knows beside its buffers, which the caller may keep beside it: so a value can own both.
    ///
    /// ```
    /// # use topgraft_core::kernel::Kernels;
    /// # use topgraft_core::solver::softmax::online::Online;
    /// # let (mut floats, mut labels) = (vec![0.0; Online::buffer_len(8, 2, 1).unwrap()], [0; 8]);
    /// let mut online = Online::new(Kernels::detect(), 2, 1, &mut floats, &mut labels)?;
    /// online.add(&[1.0], 0)?;
    /// let paused = online.pause();
    /// assert_eq!(Online::resume(paused, &mut floats, &mut labels).len(), 1);
    /// # Ok::<(), topgraft_core::solver::FitError>(())
    /// ```
    pub fn pause(self) -> Paused {
        Paused {
            kernels: self.kernels,
            n_classes: self.n_classes,
            feature_dim: self.feature_dim,
            bias_unit: self.bias_unit,
            curvature: self.inverse.total(),
            inverse_l2: self.inverse_l2,
            fresh_steps: self.fresh_steps,
            excess_steps: self.excess_steps,
            is_fitted: self.is_fitted,
            has_point: self.has_point,
        }
    }

    /// Goes on with the buffers that it had, which must be where they were and as they were: with others it computes nonsense.
    ///
    /// # Panics
    /// If they are shorter.
    pub fn resume(paused: Paused, floats: &'a mut [f32], labels: &'a mut [u16]) -> Self {
        Self::over(paused, floats, labels)
    }

    fn over(state: Paused, floats: &'a mut [f32], labels: &'a mut [u16]) -> Self {
        let (capacity, feature_dim) = (labels.len(), state.feature_dim);
        // The matrices first, which gain most from being aligned.
        let (gram, rest) = aligned(floats).split_at_mut(capacity * capacity);
        let (inverse, rest) = rest.split_at_mut(Inverse::buffer_len(capacity).unwrap_or(0));
        let (features, rest) = rest.split_at_mut(capacity * feature_dim);
        let (weights, rest) = rest.split_at_mut(capacity);
        let (center, point_and_scratch) = rest.split_at_mut(feature_dim);
        Self {
            kernels: state.kernels,
            n_classes: state.n_classes,
            feature_dim,
            labels,
            weights,
            center,
            features,
            gram,
            point_and_scratch,
            bias_unit: state.bias_unit,
            inverse: Inverse::resume(capacity, inverse, state.curvature),
            inverse_l2: state.inverse_l2,
            fresh_steps: state.fresh_steps,
            excess_steps: state.excess_steps,
            is_fitted: state.is_fitted,
            has_point: state.has_point,
        }
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.weights.iter().filter(|weight| **weight > 0.0).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a sample, scaled features `[feature_dim]`; returns the slot that it takes.
    ///
    /// # Errors
    /// [`FitError`]: features of another length or not finite, a label beyond the classes, no free slot. Nothing is added.
    pub fn add(&mut self, features: &[f32], label: u16) -> Result<usize, FitError> {
        let capacity = self.labels.len();
        let Some(slot) = self.weights.iter().position(|weight| *weight == 0.0) else {
            return Err(FitError::Length { what: "labels", expected: capacity + 1, got: capacity });
        };
        if features.len() != self.feature_dim {
            return Err(FitError::Length { what: "features", expected: self.feature_dim, got: features.len() });
        }
        if !features.iter().all(|x| x.is_finite()) {
            return Err(FitError::NotFinite { sample: slot });
        }
        if usize::from(label) >= self.n_classes {
            return Err(FitError::Label { sample: slot, label });
        }
        (self.labels[slot], self.weights[slot]) = (label, 1.0);
        let row = &mut self.features[slot * self.feature_dim..][..self.feature_dim];
        row.copy_from_slice(features);
        if self.is_fitted {
            row.iter_mut().zip(&*self.center).for_each(|(x, center)| *x -= center);
            // Its inner products, in the scratch that no fit is using now.
            let scratch = &mut self.point_and_scratch[dual::point_len(capacity, self.n_classes).unwrap_or(0)..];
            let (row, products) = (&self.features[slot * self.feature_dim..], &mut scratch[..capacity]);
            let shape = [1, capacity, self.feature_dim];
            self.kernels.gemm_nt(shape, &row[..self.feature_dim], self.features, products);
            self.gram[slot * capacity..][..capacity].copy_from_slice(products);
            for (row, product) in self.gram.chunks_exact_mut(capacity).zip(&*products) {
                row[slot] = *product;
            }
            if let Some(l2) = self.inverse_l2 {
                let gram = &self.gram[slot * capacity..][..capacity];
                self.inverse.add(self.kernels, slot, gram, l2, scratch);
                let (kernels, span, inverse, point, scratch) = self.parts();
                near::enter(kernels, &span, l2, inverse, slot, point, scratch);
            }
        }
        Ok(slot)
    }

    /// Removes the sample in a slot; a free slot stays free.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn remove(&mut self, slot: usize) {
        let capacity = self.labels.len();
        let was_there = core::mem::replace(&mut self.weights[slot], 0.0) > 0.0;
        self.features[slot * self.feature_dim..][..self.feature_dim].fill(0.0);
        if self.is_fitted {
            if let Some(l2) = self.inverse_l2
                && was_there
            {
                let (kernels, span, inverse, point, scratch) = self.parts();
                near::leave(kernels, &span, l2, inverse, slot, point, scratch);
                inverse.remove(kernels, slot, l2, scratch);
            }
            self.gram[slot * capacity..][..capacity].fill(0.0);
            self.gram.chunks_exact_mut(capacity).for_each(|row| row[slot] = 0.0);
            (0..self.n_classes).for_each(|class| self.point_and_scratch[class * capacity + slot] = 0.0);
        }
    }

    /// A new class without samples, after the others; returns its index. The next fit starts from nothing, and needs a sample
    /// of it.
    ///
    /// # Errors
    /// [`FitError::Full`] if `floats` are not enough for one more: [`buffer_len`](Self::buffer_len) of so many classes.
    pub fn add_class(&mut self) -> Result<usize, FitError> {
        let (capacity, class) = (self.labels.len(), self.n_classes);
        let lengths = [dual::point_len(capacity, class + 1), dual::scratch_len(capacity, class + 1)];
        let needed = lengths.into_iter().try_fold(0usize, |sum, len| sum.checked_add(len?));
        if class == 1 << 16 || needed.is_none_or(|needed| needed > self.point_and_scratch.len()) {
            return Err(FitError::Full { what: "classes", capacity: class });
        }
        self.n_classes += 1;
        self.forget_point();
        Ok(class)
    }

    /// Removes a class and its samples; the labels above it fall by one. The next fit starts from nothing.
    ///
    /// # Errors
    /// [`FitError::Absent`] if there is no such class, [`FitError::TooFewClasses`] if only one would be left; then nothing is
    /// removed.
    pub fn remove_class(&mut self, class: usize) -> Result<(), FitError> {
        if class >= self.n_classes {
            return Err(FitError::Absent { what: "class", index: class });
        }
        if self.n_classes == 2 {
            return Err(FitError::TooFewClasses { n_classes: 1 });
        }
        // Without the inverse a sample goes at the cost of its row of inner products.
        self.forget_point();
        for slot in 0..self.labels.len() {
            let label = usize::from(self.labels[slot]);
            if label == class {
                self.remove(slot);
                // Free slots have a label, too.
                self.labels[slot] = 0;
            } else if label > class {
                self.labels[slot] -= 1;
            }
        }
        self.n_classes -= 1;
        Ok(())
    }

    fn forget_point(&mut self) {
        (self.has_point, self.inverse_l2) = (false, None);
    }

    /// Goes to the optimum of the samples that are there: from nothing the first time, then from the last optimum.
    ///
    /// # Errors
    /// [`FitError`]: a class without a sample, an L2 penalty that is not positive and finite.
    pub fn fit(&mut self, settings: &Settings) -> Result<FitReport, FitError> {
        let has_sample = |class: usize| {
            let mut samples = self.labels.iter().zip(&*self.weights);
            samples.any(|(label, weight)| usize::from(*label) == class && *weight > 0.0)
        };
        if let Some(class) = (0..self.n_classes).find(|class| !has_sample(*class)) {
            return Err(FitError::EmptyClass { class });
        }
        settings.check()?;
        let start = if self.has_point { Start::Warm } else { Start::Cold };
        if start == Start::Cold {
            self.centre();
        }
        let is_kept = self.inverse_l2 == Some(settings.l2);
        let (kernels, span, inverse, point, scratch) = self.parts();
        let report = match is_kept {
            true => dual::fit_near(kernels, &span, settings, inverse, point, scratch)?,
            false => dual::fit(kernels, &span, settings, start, point, scratch)?,
        };
        self.has_point = true;
        if !is_kept || self.is_outgrown(report.iterations) {
            let (kernels, span, inverse, point, scratch) = self.parts();
            let is_new = inverse.renew(kernels, &span, settings.l2, point, scratch);
            self.inverse_l2 = is_new.then_some(settings.l2);
            (self.fresh_steps, self.excess_steps) = (None, 0);
        }
        Ok(report)
    }

    /// Takes their mean from the samples that are there, and makes their inner products anew.
    fn centre(&mut self) {
        if self.is_fitted {
            self.shift(1.0);
        }
        let weights = Some(&*self.weights);
        let set = TrainingSet { features: self.features, labels: self.labels, sample_weights: weights };
        self.bias_unit = Primal::mean_and_length(self.kernels, &set, self.center);
        self.shift(-1.0);
        self.kernels.syrk_nt([self.labels.len(), self.feature_dim], self.features, self.gram);
        self.is_fitted = true;
    }

    /// Adds so many centers to each sample.
    fn shift(&mut self, centers: f32) {
        let rows = self.features.chunks_exact_mut(self.feature_dim.max(1)).zip(&*self.weights);
        for (row, _) in rows.filter(|(_, weight)| **weight > 0.0) {
            self.kernels.axpy(centers, self.center, row);
        }
    }

    /// Counts the steps of a fit with the kept inverse. It is made anew when what its age has cost so far, at `n_classes n^2`
    /// multiply-adds a step, comes to what a new one costs, `4/3 n^3`.
    fn is_outgrown(&mut self, steps: u32) -> bool {
        let fresh = *self.fresh_steps.get_or_insert(steps);
        self.excess_steps += steps.saturating_sub(fresh);
        3 * self.n_classes * self.excess_steps as usize > 4 * self.labels.len()
    }

    /// What the solvers work on.
    fn parts(&mut self) -> (Kernels, Span<'_>, &mut Inverse<'a>, &mut [f32], &mut [f32]) {
        let span = Span {
            gram: self.gram,
            labels: self.labels,
            sample_weights: Some(self.weights),
            n_classes: self.n_classes,
            bias_unit: self.bias_unit,
        };
        let point_len = dual::point_len(self.labels.len(), self.n_classes).unwrap_or(0);
        let (point, scratch) = self.point_and_scratch.split_at_mut(point_len);
        (self.kernels, span, &mut self.inverse, point, scratch)
    }

    /// Writes the weights and the bias of the last fit into a head.
    ///
    /// # Panics
    /// Before a fit of these classes, or if the head has another shape.
    pub fn head<B: AsRef<[f32]> + AsMut<[f32]>>(&mut self, head: &mut Head<B>) {
        let (capacity, feature_dim, n_classes) = (self.labels.len(), self.feature_dim, self.n_classes);
        assert!(self.has_point, "there is no head before a fit of these classes");
        assert_eq!([head.n_classes(), head.feature_dim()], [n_classes, feature_dim], "the head has another shape");
        let (weights, bias) = head.parameters_mut().split_at_mut(n_classes * feature_dim);
        weights.fill(0.0);
        let point_len = dual::point_len(capacity, n_classes).unwrap_or(0);
        let (point, scratch) = self.point_and_scratch.split_at_mut(point_len);
        let transposed = &mut scratch[..capacity * n_classes];
        dual::transpose(&point[..n_classes * capacity], capacity, transposed);
        self.kernels.gemm_tn([n_classes, feature_dim, capacity], transposed, self.features, weights);
        for ((bias, row), centred) in
            bias.iter_mut().zip(weights.chunks_exact(feature_dim.max(1))).zip(&point[n_classes * capacity..])
        {
            *bias = centred * self.bias_unit - self.kernels.dot(row, self.center);
        }
    }
}

#[cfg(all(test, feature = "std"))]
#[path = "online_tests.rs"]
mod tests;
