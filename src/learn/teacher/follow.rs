//! The head follows the samples: sample by sample where it can, made anew where it must.

use std::sync::Arc;

use ndarray::ArrayView2;
use topgraft_core::head::{Head, Kind};
use topgraft_core::kernel::Kernels;
use topgraft_core::rejection::{Rejection, quantize};
use topgraft_core::scaler::Scaler;

use super::super::model::{Model, PRODUCER};
use super::super::online_head::{MOST_SAMPLES, OnlineHead, QUICK};
use super::super::scaling::{Scaled, Scaling};
use super::super::settle::Snapshot;
use super::super::subsets::class_means;
use super::{TeachError, Teacher};
use crate::store::Featured;

/// Penalty until one is chosen by left-out samples, in the middle of those that are tried.
const FIRST_L2: f32 = 1e-3;

impl Teacher {
    /// The head of the samples as they are in the store, from the one that there is. The features of one of them may be known.
    pub(super) fn follow(&mut self, known: Option<(i64, &[f32])>) -> Result<(), TeachError> {
        let (revision, trunk) = (self.store.revision()?, self.trunk.fingerprint());
        let wanted = self.store.featured(trunk)?;
        let Some(online) = &mut self.online else { return self.rebuild() };
        let Some((other, gone)) = online.difference(&wanted) else { return self.rebuild() };
        let mut rows = Vec::with_capacity(other.len());
        for (id, _) in &other {
            let features = match known.filter(|(known, _)| known == id) {
                Some((_, features)) => Some(features.to_vec()),
                None => self.store.features_of(trunk, *id)?,
            };
            // Damaged ones are made anew.
            let Some(mut row) = features else { return self.rebuild() };
            Scaler::<Vec<f32>>::L2.apply(Kernels::detect(), &mut row);
            rows.push(row);
        }
        // First, as there may be no place for one more.
        gone.iter().for_each(|id| online.remove(*id));
        for ((id, class), row) in other.iter().zip(&rows) {
            online.add(*id, class, row)?;
        }
        self.revision = revision;
        self.refit(Some(QUICK))
    }

    /// The head of the samples as they are in the store.
    pub(super) fn rebuild(&mut self) -> Result<(), TeachError> {
        let revision = self.store.revision()?;
        let featured = self.featured()?;
        if !featured.damaged.is_empty() {
            // They are made anew. Where the store cannot be written these samples are left out.
            let _ = self.store.drop_features(self.trunk.fingerprint(), &featured.damaged);
        }
        let feature_dim = self.trunk.feature_dim();
        (self.online, self.is_rough, self.model, self.revision) = (None, false, None, revision);
        let mut classes: Vec<&String> = featured.classes.iter().collect();
        classes.dedup();
        if classes.len() < 2 {
            return Ok(());
        }
        if featured.ids.len() > MOST_SAMPLES {
            return self.fit_from_nothing(featured, revision);
        }
        let (kernels, mut rows) = (Kernels::detect(), featured.rows);
        rows.chunks_exact_mut(feature_dim.max(1)).for_each(|row| Scaler::<Vec<f32>>::L2.apply(kernels, row));
        let rows = rows.chunks_exact(feature_dim.max(1));
        let samples = featured.ids.iter().zip(&featured.classes).zip(rows);
        let samples: Vec<_> = samples.map(|((id, class), row)| (*id, class.as_str(), row)).collect();
        self.online = Some(OnlineHead::new(feature_dim, &samples)?);
        self.refit(None)
    }

    /// At most so many steps towards the optimum.
    pub(super) fn refit(&mut self, most: Option<u32>) -> Result<(), TeachError> {
        let l2 = self.basis.l2.unwrap_or(FIRST_L2);
        let Some(online) = &mut self.online else { return Ok(()) };
        let (head, report) = online.fit(l2, most)?;
        self.is_rough = most.is_some() && !report.converged;
        let (labels, means) = (online.labels(), online.means());
        self.model = Some(Arc::new(self.model_of(labels, head, means)));
        Ok(())
    }

    /// Too many samples to keep their inner products.
    fn fit_from_nothing(&mut self, featured: Featured, revision: i64) -> Result<(), TeachError> {
        let snapshot = Snapshot::new(featured, revision);
        let (n_classes, feature_dim) = (snapshot.classes.len(), self.trunk.feature_dim());
        let shape = (snapshot.labels.len(), feature_dim);
        let rows = ArrayView2::from_shape(shape, &snapshot.rows).expect("rows of this trunk");
        let scaled = Scaled::new(rows, Scaling::L2);
        let samples = scaled.samples(&snapshot.labels, None, n_classes);
        let (head, _) = samples.fit(Kind::Softmax, self.basis.l2.unwrap_or(FIRST_L2))?;
        let means = class_means(&scaled.rows, feature_dim, &snapshot.labels, n_classes);
        let mut codes = vec![0; means.len()];
        let rows = means.chunks_exact(feature_dim.max(1)).zip(codes.chunks_exact_mut(feature_dim.max(1)));
        let steps = rows.map(|(mean, codes)| quantize(mean, codes)).collect();
        let head = head.linear().expect("softmax regression is linear").clone();
        self.model = Some(Arc::new(self.model_of(snapshot.classes, head, (steps, codes))));
        Ok(())
    }

    fn model_of(&self, labels: Vec<String>, head: Head<Vec<f32>>, means: (Vec<f32>, Vec<i8>)) -> Model {
        let (steps, means) = means;
        Model {
            fingerprint: self.trunk.fingerprint(),
            neck: self.trunk.neck().cloned(),
            recipe: None,
            names: None,
            backbone: self.trunk.backbone_name().to_owned(),
            cut: self.trunk.cut().to_owned(),
            preprocess: *self.trunk.preprocess(),
            labels,
            scaler: Scaler::L2,
            head: head.into(),
            l2: self.basis.l2.unwrap_or(FIRST_L2),
            kind: Kind::Softmax,
            // It is measured when it is settled.
            evaluation: None,
            calibration: self.basis.calibration,
            rejection: self.basis.rejection.map(|[scale, threshold, rate]| Rejection {
                steps,
                means,
                scale,
                threshold,
                rate,
                auroc: None,
            }),
            producer: PRODUCER.to_owned(),
        }
    }

    pub(super) fn featured(&self) -> Result<Featured, TeachError> {
        Ok(self.store.features(self.trunk.fingerprint(), self.trunk.feature_dim())?)
    }
}
