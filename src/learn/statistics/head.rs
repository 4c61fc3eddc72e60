//! The heads that statistics are enough for.

use serde::Deserialize;
use topgraft_core::head::{Head, Kind};
use topgraft_core::kernel::Kernels;
use topgraft_core::solver::lda::{self, Shrinkage};
use topgraft_core::solver::moments::Moments;
use topgraft_core::solver::prototype::{Mode, Prototypes};

use super::super::fit::zero_head;
use super::{Statistics, StatisticsError, unpack};

/// Kind of a head that is made of statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatisticsHead {
    /// Linear discriminant analysis with OAS shrinkage: of means and scatter.
    #[default]
    Lda,
    /// The nearest class mean: of means alone.
    Prototype,
}

impl StatisticsHead {
    /// The same among all kinds.
    pub fn kind(self) -> Kind {
        match self {
            Self::Lda => Kind::Lda,
            Self::Prototype => Kind::Prototype,
        }
    }
}

/// Units of the sums that prototypes are kept in, as core has them.
const UNIT: f64 = (1u64 << 28) as f64;

impl Statistics {
    /// The head, and its shrinkage.
    pub(super) fn lda(&self) -> Result<(Head<Vec<f32>>, f32), StatisticsError> {
        let (n_classes, dim) = (self.classes.len(), self.trunk.feature_dim);
        let (mut sums, mut counts) = (self.sums.clone(), self.counts.clone());
        let mut square = vec![0.0; dim * dim];
        unpack(dim, &self.scatter, &mut square);
        let moments = Moments::resume(n_classes, dim, &mut sums, &mut counts, &mut square)?;
        let shrinkage = lda::oas(&moments);
        let settings = lda::Settings { shrinkage: Shrinkage::Scaled(shrinkage), class_shares: false };
        let mut head = zero_head(0, n_classes, dim).0;
        let mut scratch = vec![0.0; lda::head_scratch_len(dim).expect("fits memory")];
        lda::head(Kernels::detect(), &moments, &settings, &mut head, &mut scratch)?;
        Ok((head, shrinkage))
    }

    pub(super) fn prototypes(&self) -> Result<Head<Vec<f32>>, StatisticsError> {
        let (n_classes, dim) = (self.classes.len(), self.trunk.feature_dim);
        // Of whole numbers, as core sums them: what devices have summed is within a rounding of what one would have.
        let mut sums: Vec<i64> = self.sums.iter().map(|sum| (sum * UNIT).round() as i64).collect();
        let mut counts = self.counts.clone();
        let prototypes = Prototypes::resume(Mode::Raw, n_classes, dim, &mut sums, &mut counts)?;
        let mut head = zero_head(0, n_classes, dim).0;
        prototypes.head(Kernels::detect(), 1.0, &mut head)?;
        Ok(head)
    }
}
