//! Why there is no firmware of a model.

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

/// Why there is no firmware of a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FirmwareError {
    /// The trunk's layers cannot be read.
    #[error(transparent)]
    Carry(#[from] CarryError),
    /// A layer has no form in firmware.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
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
