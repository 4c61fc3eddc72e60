//! Why there is no firmware of a model.

use topgraft_core::head::Head;

use crate::learn::Model;
use crate::trunk::CarryError;

/// An operator, or a use of one, that firmware has no layer for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the operator {operator} at layer {layer} {what}, which --rust and --c cannot have; teach a head on a cut before that \
     layer, or use --onnx"
)]
pub struct Unsupported {
    /// ONNX operator type.
    pub operator: String,
    /// Name of the node.
    pub layer: String,
    /// What is not supported.
    pub what: &'static str,
}

/// A head of nearest neighbours: the formats of other programs hold weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the head is of kind nearest, which holds photos' features instead of weights and cannot be exported; learn with --head \
     auto, softmax, ridge, lda or prototype"
)]
pub struct NotLinear;

/// The linear classifier of a model.
pub(super) fn linear(model: &Model) -> Result<&Head<Vec<f32>>, NotLinear> {
    model.head.linear().ok_or(NotLinear)
}

/// Why there is no ONNX file of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The trunk cannot be carried into another file.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The head has no weights.
    #[error(transparent)]
    NotLinear(#[from] NotLinear),
}

/// Why there is no firmware of a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FirmwareError {
    /// The trunk's layers cannot be read.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// The head has no weights.
    #[error(transparent)]
    NotLinear(#[from] NotLinear),
    /// A layer has no form in firmware.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The trunk ends in more than a layer or its average.
    #[error("firmware has no form of the cut {cut}; learn with --cut at one layer, without a pooling")]
    Cut {
        /// The cut.
        cut: String,
    },
    /// A sum could leave 32 bits.
    #[error(
        "layer {layer} adds up {taps} products for one number, and 32 bits hold at most {most}; take a smaller network"
    )]
    TooWide {
        /// Name of the layer.
        layer: String,
        /// Products a sum.
        taps: usize,
        /// As many fit.
        most: usize,
    },
    /// A scaling of the features that firmware has no form of.
    #[error("firmware has no form of the scaling {scaling}; learn with --scaling l2, standard or none")]
    Scaling {
        /// Its name.
        scaling: &'static str,
    },
    /// A weight or an activation is NaN or infinite.
    #[error("layer {layer} has numbers that are not finite; check the network")]
    NotFinite {
        /// Name of the layer.
        layer: String,
    },
}
