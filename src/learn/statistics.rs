//! What linear discriminant analysis needs of labelled samples, so that several devices make one head without showing each other a
//! photo: counts and sums by class, and the scatter about the class means.
//!
//! ```text
//! Snapshot --of_at_least--> Statistics --to_bytes--> device --Union::put--> merge --model--> Model
//! ```
//!
//! They are of features that were scaled to length 1, as [`Teacher`](super::Teacher)'s. What they tell of the samples is in docs/fleet.md.

mod error;
mod format;
mod head;
mod measure;
#[cfg(test)]
mod tests;
mod union;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use topgraft_core::kernel::Kernels;
use topgraft_core::preprocess::Preprocess;
use topgraft_core::scaler::Scaler;
use topgraft_core::solver::moments::Moments;

pub use error::{StatisticsError, StatisticsFault, StatisticsFileError};
pub use head::StatisticsHead;
pub use union::{MAX_NODES, Union, UnionError};

use super::model::{Model, PRODUCER};
use super::scaling::Scaling;
use super::settle::Snapshot;
use crate::trunk::{Trunk, hex};

/// Samples of a class that must be there before it is published, unless the user says otherwise.
pub const LEAST_SAMPLES: u32 = 5;
/// The most classes, of one device and of all together.
pub const MAX_CLASSES: usize = 256;
/// The largest file or message, in bytes.
pub const MAX_BYTES: usize = 16_000_000;

/// Which trunk features come from: all that a head file says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrunkIdentity {
    /// Names network, cut and preprocessing.
    pub fingerprint: [u8; 32],
    /// Name of the backbone, for messages.
    pub backbone: String,
    /// Layer whose output are the features.
    pub cut: String,
    /// How a photo becomes the trunk's input.
    pub preprocess: Preprocess,
    /// Numbers of a photo.
    pub feature_dim: usize,
}

impl TrunkIdentity {
    /// That of a trunk; of one with a neck, its neck's.
    pub fn of(trunk: &Trunk) -> Self {
        Self {
            fingerprint: trunk.fingerprint(),
            backbone: trunk.backbone_name().to_owned(),
            cut: trunk.cut().to_owned(),
            preprocess: *trunk.preprocess(),
            feature_dim: trunk.feature_dim(),
        }
    }

    /// `efficientnet_lite0 cut at features (46ab4ba3)`
    fn shown(&self) -> String {
        format!("{} cut at {} ({})", self.backbone, self.cut, &hex(&self.fingerprint)[..8])
    }
}

/// Statistics of labelled samples: their size depends on the classes, not on the number of samples.
///
/// There is at least one class; classes are sorted by name, and each has a sample; all numbers are finite.
///
/// ```
/// use topgraft::learn::{Scaling, Statistics, StatisticsHead};
/// use topgraft::trunk::Trunk;
///
/// let trunk = Trunk::rows(2);
/// let of = |classes: &[&str], labels: &[u16], rows: &[f32]| {
///     let classes: Vec<String> = classes.iter().map(|name| name.to_string()).collect();
///     Statistics::of_rows(&trunk, Scaling::L2, &classes, labels, rows)
/// };
/// let porch = of(&["cat"], &[0, 0], &[1.0, 0.1, 0.9, 0.0])?;
/// let garden = of(&["cat", "fox"], &[0, 1, 1], &[1.0, 0.2, 0.1, 1.0, 0.0, 0.8])?;
/// let bytes = porch.to_bytes();
/// let all = Statistics::merge([&garden, &Statistics::parse(&bytes)?])?;
/// assert_eq!((all.classes(), all.counts()), (["cat".to_owned(), "fox".to_owned()].as_slice(), [3, 2].as_slice()));
/// let model = all.model(StatisticsHead::Lda)?;
/// assert_eq!(model.labels, ["cat", "fox"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    trunk: TrunkIdentity,
    /// [`Scaling::L2`] or [`Scaling::None`]: the others depend on the samples of one device.
    scaling: Scaling,
    classes: Vec<String>,
    /// `[n_classes]`
    counts: Vec<u32>,
    /// `[n_classes, feature_dim]`, of scaled features.
    sums: Vec<f64>,
    /// About the class means: the upper triangle, row by row, `[feature_dim * (feature_dim + 1) / 2]`.
    scatter: Vec<f32>,
}

impl Statistics {
    /// Those of all samples, even where a class has only one: its mean then is that sample. For what leaves the device take
    /// [`of_at_least`](Self::of_at_least).
    ///
    /// # Errors
    /// [`StatisticsError`]: no samples, a trunk with a neck, classes or features beyond what a file may hold.
    ///
    /// # Panics
    /// If the trunk gives another number of features.
    pub fn of(snapshot: &Snapshot, trunk: &Trunk) -> Result<Self, StatisticsError> {
        Self::of_rows(trunk, Scaling::L2, &snapshot.classes, &snapshot.labels, &snapshot.rows)
    }

    /// Those of the classes that have `least` samples or more ([`LEAST_SAMPLES`]), and the classes that have fewer, with their samples.
    ///
    /// # Errors
    /// As [`of`](Self::of), or [`StatisticsError::TooFewSamples`] if no class has so many.
    ///
    /// # Panics
    /// As [`of`](Self::of).
    pub fn of_at_least(
        snapshot: &Snapshot,
        trunk: &Trunk,
        least: u32,
    ) -> Result<(Self, Vec<(String, u32)>), StatisticsError> {
        let counts = counts_of(&snapshot.labels, snapshot.classes.len());
        let is_kept = |class: usize| counts[class] >= least.max(1);
        let withheld = (0..counts.len()).filter(|class| !is_kept(*class));
        let withheld: Vec<_> = withheld.map(|class| (snapshot.classes[class].clone(), counts[class])).collect();
        if withheld.is_empty() {
            return Ok((Self::of(snapshot, trunk)?, withheld));
        }
        let kept: Vec<usize> = (0..counts.len()).filter(|class| is_kept(*class)).collect();
        if kept.is_empty() {
            return Err(StatisticsError::TooFewSamples { least, most: counts.into_iter().max().unwrap_or(0) });
        }
        let classes: Vec<String> = kept.iter().map(|class| snapshot.classes[*class].clone()).collect();
        let (mut labels, mut rows) = (Vec::new(), Vec::new());
        for (label, row) in snapshot.labels.iter().zip(snapshot.rows.chunks_exact(trunk.feature_dim().max(1))) {
            if let Ok(label) = kept.binary_search(&usize::from(*label)) {
                labels.push(label as u16);
                rows.extend(row);
            }
        }
        Ok((Self::of_rows(trunk, Scaling::L2, &classes, &labels, &rows)?, withheld))
    }

    /// Those of `rows [n_samples, feature_dim]` as the trunk gives them, each with the number of one of `classes`. Classes without
    /// samples are left out.
    ///
    /// # Errors
    /// As [`of`](Self::of); a scaling that depends on the samples, names that cannot be those of classes, a label without a class,
    /// features that are not finite.
    ///
    /// # Panics
    /// If the rows are not as many as the labels, of this trunk.
    pub fn of_rows(
        trunk: &Trunk,
        scaling: Scaling,
        classes: &[String],
        labels: &[u16],
        rows: &[f32],
    ) -> Result<Self, StatisticsError> {
        if trunk.neck().is_some() {
            return Err(StatisticsError::Neck);
        }
        let scaler = match scaling {
            Scaling::L2 => Scaler::<Vec<f32>>::L2,
            Scaling::None => Scaler::None,
            Scaling::Standard | Scaling::CentredL2 => {
                return Err(StatisticsError::OwnScaling { scaling: scaling.name() });
            }
        };
        let dim = trunk.feature_dim();
        assert_eq!(Some(rows.len()), labels.len().checked_mul(dim), "rows of this trunk, one a label");
        // Sorted, and each once.
        let names: BTreeSet<&String> = labels.iter().filter_map(|label| classes.get(usize::from(*label))).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let mut all = Self::empty(TrunkIdentity::of(trunk), scaling, names)?;
        let kernels = Kernels::detect();
        let (mut square, mut scratch) = (vec![0.0; dim * dim], vec![0.0; dim]);
        let mut moments = Moments::new(all.classes.len(), dim, &mut all.sums, &mut all.counts, &mut square)?;
        for (label, row) in labels.iter().zip(rows.chunks_exact(dim.max(1))) {
            let name = classes.get(usize::from(*label)).ok_or(StatisticsError::Label { label: *label })?;
            let class = all.classes.binary_search(name).expect("is one of them");
            let mut row = row.to_vec();
            scaler.apply(kernels, &mut row);
            moments.add(kernels, &row, class as u16, &mut scratch)?;
        }
        pack(dim, &square, &mut all.scatter);
        all.checked()
    }

    /// Those of the samples of all, which must be of different samples: one that two devices have counts twice. The order does not
    /// matter: the same parts give the same bits, on every device.
    ///
    /// # Errors
    /// [`StatisticsError`]: none; another trunk, feature_dim or scaling; too many classes or samples.
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Self, StatisticsError> {
        let mut parts: Vec<&Self> = parts.into_iter().collect();
        parts.sort_by(|a, b| a.order(b));
        let Some((first, others)) = parts.split_first() else { return Err(StatisticsError::Nothing) };
        others.iter().try_for_each(|other| first.check_like(other))?;
        let names: BTreeSet<&String> = parts.iter().flat_map(|part| &part.classes).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let mut all = Self::empty(first.trunk.clone(), first.scaling, names)?;
        let (kernels, dim, n_classes) = (Kernels::detect(), first.trunk.feature_dim, all.classes.len());
        let (mut square, mut scratch) = (vec![0.0; dim * dim], vec![0.0; dim]);
        let mut moments = Moments::new(n_classes, dim, &mut all.sums, &mut all.counts, &mut square)?;
        let (mut sums, mut counts, mut scatter) =
            (vec![0.0; n_classes * dim], vec![0; n_classes], vec![0.0; dim * dim]);
        for part in parts {
            sums.fill(0.0);
            counts.fill(0);
            for ((name, count), row) in part.classes.iter().zip(&part.counts).zip(part.sums.chunks_exact(dim)) {
                let class = all.classes.binary_search(name).expect("is one of them");
                counts[class] = *count;
                sums[class * dim..][..dim].copy_from_slice(row);
            }
            unpack(dim, &part.scatter, &mut scatter);
            let part = Moments::resume(n_classes, dim, &mut sums, &mut counts, &mut scatter)?;
            moments.merge(kernels, &part, &mut scratch)?;
        }
        pack(dim, &square, &mut all.scatter);
        all.checked()
    }

    /// The head of these samples: linear discriminant analysis, all classes equally frequent, shrunk as [`Shrinkage::Oas`](topgraft_core::solver::lda::Shrinkage::Oas) says. As there
    /// are no samples to leave out, nothing is measured: its probabilities are not calibrated, and it calls nothing unknown.
    ///
    /// # Errors
    /// [`StatisticsError::TooFewClasses`], or [`StatisticsError::Fit`] of numbers that are those of no samples.
    pub fn model(&self, kind: StatisticsHead) -> Result<Model, StatisticsError> {
        if let [class] = self.classes.as_slice() {
            return Err(StatisticsError::TooFewClasses { class: class.clone() });
        }
        let (head, setting) = match kind {
            StatisticsHead::Lda => self.lda()?,
            StatisticsHead::Prototype => (self.prototypes()?, 1.0),
        };
        if !head.parameters().iter().all(|x| x.is_finite()) {
            return Err(StatisticsError::NotFinite);
        }
        let TrunkIdentity { fingerprint, backbone, cut, preprocess, .. } = self.trunk.clone();
        Ok(Model {
            fingerprint,
            neck: None,
            recipe: None,
            names: None,
            backbone,
            cut,
            preprocess,
            labels: self.classes.clone(),
            scaler: if self.scaling == Scaling::L2 { Scaler::L2 } else { Scaler::None },
            head: head.into(),
            l2: setting,
            kind: kind.kind(),
            evaluation: None,
            calibration: None,
            rejection: None,
            producer: PRODUCER.to_owned(),
        })
    }

    /// Classes of which somebody who has seen `before` learns about fewer than `least` samples from the difference: if one sample came or
    /// went, its features are the difference of the sums. A class that `before` does not have is none of them, as `least` holds for it: so
    /// `before` is to have all that were ever seen ([`remembering`](Self::remembering)).
    pub fn gives_away(&self, before: &Self, least: u32) -> Vec<&str> {
        let dim = self.trunk.feature_dim;
        let is_told = |class: &usize| {
            let Ok(earlier) = before.classes.binary_search(&self.classes[*class]) else { return false };
            self.trunk.fingerprint == before.trunk.fingerprint
                && self.counts[*class].abs_diff(before.counts[earlier]) < least
                && self.sums[class * dim..][..dim] != before.sums[earlier * dim..][..dim]
        };
        (0..self.classes.len()).filter(is_told).map(|class| self.classes[class].as_str()).collect()
    }

    /// These, and what `before` has of classes that are not among them: what somebody knows who has seen both. It is for
    /// [`gives_away`](Self::gives_away) alone, as its scatter is that of these.
    pub fn remembering(&self, before: &Self) -> Self {
        let dim = self.trunk.feature_dim;
        if before.trunk.fingerprint != self.trunk.fingerprint || before.trunk.feature_dim != dim {
            return self.clone();
        }
        let of = |all: &Self, class: usize| {
            (all.classes[class].clone(), all.counts[class], all.sums[class * dim..][..dim].to_vec())
        };
        let gone =
            (0..before.classes.len()).filter(|class| self.classes.binary_search(&before.classes[*class]).is_err());
        let mut known: Vec<_> = (0..self.classes.len()).map(|class| of(self, class)).collect();
        known.extend(gone.map(|class| of(before, class)));
        known.truncate(MAX_CLASSES);
        known.sort_by(|a, b| a.0.cmp(&b.0));
        let mut all = Self { classes: Vec::new(), counts: Vec::new(), sums: Vec::new(), ..self.clone() };
        for (class, count, sums) in known {
            all.classes.push(class);
            all.counts.push(count);
            all.sums.extend(sums);
        }
        all
    }

    /// Names of the classes, sorted.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Samples of each class, `[n_classes]`, at least 1.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Samples of all classes.
    pub fn n_samples(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The trunk that the features are from.
    pub fn trunk(&self) -> &TrunkIdentity {
        &self.trunk
    }

    /// How the features were scaled.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }

    /// Mean of the scaled features of a class, `[feature_dim]`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn mean(&self, class: usize) -> Vec<f64> {
        let dim = self.trunk.feature_dim;
        self.sums[class * dim..][..dim].iter().map(|sum| sum / f64::from(self.counts[class])).collect()
    }

    /// No samples yet; what is checked before memory is taken.
    fn empty(trunk: TrunkIdentity, scaling: Scaling, classes: Vec<String>) -> Result<Self, StatisticsError> {
        let (n_classes, dim) = (classes.len(), trunk.feature_dim);
        if n_classes == 0 || dim == 0 {
            return Err(StatisticsError::Nothing);
        }
        if n_classes > MAX_CLASSES {
            return Err(StatisticsError::TooManyClasses { classes: n_classes });
        }
        format::check_names(&trunk, &classes).map_err(|what| StatisticsError::Name { what })?;
        let names: usize = classes.iter().map(String::len).sum();
        match format::encoded_len(&trunk, names, n_classes) {
            Some(len) if len <= MAX_BYTES => {}
            _ => return Err(StatisticsError::TooLarge { feature_dim: dim, classes: n_classes }),
        }
        let (counts, sums) = (vec![0; n_classes], vec![0.0; n_classes * dim]);
        Ok(Self { trunk, scaling, classes, counts, sums, scatter: vec![0.0; triangle(dim)] })
    }

    /// Refuses what sums of huge numbers come to.
    fn checked(self) -> Result<Self, StatisticsError> {
        let is_finite = self.sums.iter().all(|x| x.is_finite()) && self.scatter.iter().all(|x| x.is_finite());
        if is_finite { Ok(self) } else { Err(StatisticsError::NotFinite) }
    }

    /// Refuses what can't be added to this.
    fn check_like(&self, other: &Self) -> Result<(), StatisticsError> {
        let (a, b) = (&self.trunk, &other.trunk);
        if a.fingerprint != b.fingerprint || a.preprocess != b.preprocess {
            return Err(StatisticsError::Trunk { first: a.shown(), second: b.shown() });
        }
        if a.feature_dim != b.feature_dim {
            return Err(StatisticsError::FeatureDim { first: a.feature_dim, second: b.feature_dim });
        }
        if self.scaling != other.scaling {
            return Err(StatisticsError::Scaling { first: self.scaling.name(), second: other.scaling.name() });
        }
        Ok(())
    }

    /// By all that is in it: equal only to what has the same bits.
    fn order(&self, other: &Self) -> Ordering {
        let names = |part: &Self| (part.trunk.fingerprint, part.trunk.backbone.clone(), part.trunk.cut.clone());
        let numbers = || {
            let sums = self.sums.iter().zip(&other.sums).map(|(a, b)| a.total_cmp(b));
            let scatter = self.scatter.iter().zip(&other.scatter).map(|(a, b)| a.total_cmp(b));
            sums.chain(scatter).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        (&self.classes, &self.counts)
            .cmp(&(&other.classes, &other.counts))
            .then_with(numbers)
            .then_with(|| names(self).cmp(&names(other)))
    }
}

/// Elements of the upper triangle.
fn triangle(dim: usize) -> usize {
    dim * (dim + 1) / 2
}

/// Samples of each class; labels without a class are not counted.
fn counts_of(labels: &[u16], n_classes: usize) -> Vec<u32> {
    let mut counts = vec![0; n_classes];
    labels.iter().for_each(|label| {
        if let Some(count) = counts.get_mut(usize::from(*label)) {
            *count += 1;
        }
    });
    counts
}

/// The upper triangle of a square.
fn pack(dim: usize, square: &[f32], packed: &mut [f32]) {
    let mut rest = packed;
    for (row, elements) in square.chunks_exact(dim).enumerate() {
        let (to, after) = rest.split_at_mut(dim - row);
        to.copy_from_slice(&elements[row..]);
        rest = after;
    }
}

/// A square with that upper triangle.
fn unpack(dim: usize, packed: &[f32], square: &mut [f32]) {
    let mut rest = packed;
    for (row, elements) in square.chunks_exact_mut(dim).enumerate() {
        let (from, after) = rest.split_at(dim - row);
        elements[row..].copy_from_slice(from);
        rest = after;
    }
}
