//! What one device can tell of the head of all: how often it is right on the device's own samples, and how sure it may be.

use topgraft_core::format;
use topgraft_core::head::argmax;
use topgraft_core::kernel::Kernels;

use super::union::Union;
use super::{Statistics, StatisticsError, StatisticsHead};
use crate::learn::calibration::Calibration;
use crate::learn::cross_validation::assign_folds;
use crate::learn::evaluation::Evaluation;
use crate::learn::model::Model;
use crate::learn::scaling::Scaling;
use crate::learn::settle::Snapshot;
use crate::trunk::Trunk;

/// Parts of the samples that are left out, one after the other; each takes a head.
const FOLDS: usize = 5;

impl Union {
    /// [`model`](Self::model), with accuracy and temperature from the samples of one device, its own: a fifth of them at a time is taken
    /// out of the device's part of the union, and asked. Weights and biases are those of all devices, bit for bit; accuracy and
    /// temperature are this device's. As `model` it calls nothing unknown. Takes six heads' time.
    ///
    /// Where there are too few samples to leave any out, it is the head as it is.
    ///
    /// # Errors
    /// As [`model`](Self::model).
    ///
    /// # Panics
    /// If the trunk gives another number of features than the samples have.
    pub fn measured(
        &self,
        node: &str,
        own: &Snapshot,
        trunk: &Trunk,
        kind: StatisticsHead,
    ) -> Result<Model, StatisticsError> {
        let mut model = self.model(kind)?;
        let (dim, n_classes) = (trunk.feature_dim().max(1), model.labels.len());
        // Samples of classes that nobody has published are none of this head's.
        let class = |label: &u16| model.labels.binary_search(&own.classes[usize::from(*label)]).ok();
        let rows = own.rows.chunks_exact(dim).zip(&own.labels);
        let (rows, labels): (Vec<&[f32]>, Vec<u16>) =
            rows.filter_map(|(row, label)| Some((row, class(label)? as u16))).unzip();
        if labels.len() < FOLDS {
            return Ok(model);
        }
        let fold_of = assign_folds(&labels, n_classes, FOLDS);
        let mut logits = vec![0.0; labels.len() * n_classes];
        for fold in 0..FOLDS {
            let is_left_out = |sample: &usize| fold_of[*sample] == fold;
            let (asked, kept): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(is_left_out);
            let Ok(left) =
                self.without(node, &kept, &rows, &labels, &model.labels, trunk).and_then(|left| left.model(kind))
            else {
                return Ok(model);
            };
            for sample in asked {
                let Ok(got) = left.logits(Kernels::detect(), rows[sample]) else { return Ok(model) };
                // A class that only what is left out was of is not known then.
                let least = got.iter().copied().fold(f32::INFINITY, f32::min);
                let row = &mut logits[sample * n_classes..][..n_classes];
                for (logit, label) in row.iter_mut().zip(&model.labels) {
                    *logit = left.labels.binary_search(label).map_or(least, |class| got[class]);
                }
            }
        }
        let said = logits.chunks_exact(n_classes).map(|row| argmax(row).unwrap_or(0) as u16);
        let evaluation = Evaluation::new(n_classes, labels.iter().copied().zip(said));
        let calibration = Calibration::fit(&logits, &labels, n_classes);
        model.evaluation = Some(format::Evaluation {
            folds: FOLDS as u32,
            n_samples: evaluation.n_samples(),
            correct: evaluation.correct(),
            majority: evaluation.majority(),
        });
        model.calibration = Some(format::Calibration {
            temperature: calibration.temperature,
            ece_before: calibration.ece_before as f32,
            ece_after: calibration.ece_after as f32,
        });
        Ok(model)
    }

    /// The statistics of all devices, of which one has only the samples that are `kept`, of classes that it has published.
    fn without(
        &self,
        node: &str,
        kept: &[usize],
        rows: &[&[f32]],
        labels: &[u16],
        classes: &[String],
        trunk: &Trunk,
    ) -> Result<Statistics, StatisticsError> {
        let published = self.nodes().find(|(name, _)| *name == node).map_or(&[][..], |(_, part)| part.classes());
        let is_published = |sample: &&usize| published.binary_search(&classes[usize::from(labels[**sample])]).is_ok();
        let kept: Vec<usize> = kept.iter().filter(is_published).copied().collect();
        let taught: Vec<u16> = kept.iter().map(|sample| labels[*sample]).collect();
        let features: Vec<f32> = kept.iter().flat_map(|sample| rows[*sample]).copied().collect();
        let own = match kept.is_empty() {
            true => None,
            false => Some(Statistics::of_rows(trunk, Scaling::L2, classes, &taught, &features)?),
        };
        let others = self.nodes().filter(|(name, _)| *name != node).map(|(_, part)| part);
        Statistics::merge(others.chain(&own))
    }
}
