//! The head file `.graft`: parsed in place, with no allocation; FORMAT.md describes it byte by byte.
//!
//! [`Contents`] is what goes into a file, [`Graft`] a checked view of its bytes: once [`Graft::parse`] has returned, no
//! accessor fails or panics. The file is untrusted until then.
//!
//! ```
//! use topgraft_core::format::{Contents, Evaluation, Graft};
//! use topgraft_core::{head::Head, preprocess::Preprocess, scaler::Scaler};
//!
//! let contents = Contents {
//!     fingerprint: [7; 32],
//!     backbone: "efficientnet_lite0",
//!     cut: "features",
//!     preprocess: Preprocess::IMAGENET,
//!     labels: &["cat", "dog"],
//!     scaler: Scaler::L2,
//!     head: Head::new(2, 1, [1.0, -1.0, 0.0, 0.5].as_slice())?.into(),
//!     kind: topgraft_core::head::Kind::Softmax,
//!     l2: 0.1,
//!     evaluation: None,
//!     calibration: None,
//!     rejection: None,
//!     producer: "example",
//! };
//! let mut file = vec![0; contents.encoded_len()?];
//! contents.emit(&mut file)?;
//! let graft = Graft::parse(&file)?;
//! assert_eq!(graft.labels().collect::<Vec<_>>(), ["cat", "dog"]);
//! assert_eq!(graft.parameters().get(3), Some(0.5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::rejection::Rejection;

mod emit;
mod error;
mod floats;
mod parse;

pub use emit::{Contents, EmitError};
pub use error::ParseError;
pub use floats::{Floats, Halves};
pub use parse::{Graft, Labels, Samples};

/// First bytes of a file. The first is no text, the line ends show a transfer that rewrote them.
pub const MAGIC: [u8; 8] = *b"\x89GRAFT\r\n";
/// Version that is written, and the only one that is read.
pub const VERSION: u16 = 1;
/// The most classes: labels are counted in 16 bits.
pub const MAX_CLASSES: usize = u16::MAX as usize;
/// Bytes before the first chunk: magic, version, two zeros, length of the file.
const HEADER_LEN: usize = 16;
/// Chunks start at multiples of this, so that floats in them are aligned.
const ALIGN: usize = 8;
/// Bytes of the last chunk: tag, length, CRC-32, padding.
const CRC_CHUNK_LEN: usize = 16;

/// How good the head is on samples that it had not seen when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Folds of the cross-validation; `n_samples` for leave-one-out.
    pub folds: u32,
    /// Samples.
    pub n_samples: u32,
    /// Samples whose left-out prediction was right.
    pub correct: u32,
    /// Samples of the largest class: what the naive model, which always says that class, gets right.
    pub majority: u32,
}

/// Temperature of the probabilities, and how good they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Divides the logits before the softmax; 0.001..=1000.
    pub temperature: f32,
    /// Expected calibration error of left-out samples without the temperature, 0..=1.
    pub ece_before: f32,
    /// The same with it, 0..=1.
    pub ece_after: f32,
}

impl Calibration {
    /// Whether the numbers mean something.
    fn is_sound(&self) -> bool {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        (0.001..=1000.0).contains(&self.temperature) && share(self.ece_before) && share(self.ece_after)
    }
}

/// Whether the numbers of a rejection mean something; its steps and means are looked at elsewhere.
fn is_sound<F, M>(rejection: &Rejection<F, M>) -> bool {
    let Rejection { scale, threshold, rate, auroc, .. } = *rejection;
    let auroc = auroc.is_none_or(|auroc| (0.0..=1.0).contains(&auroc));
    scale > 0.0 && scale.is_finite() && threshold.is_finite() && rate > 0.0 && rate < 1.0 && auroc
}

/// Whether text may stand in a file: not empty, at most 65,535 bytes, and no control characters, which could steer the
/// terminal that it is shown on.
pub fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= u16::MAX as usize && !text.contains(char::is_control)
}

#[cfg(all(test, feature = "std"))]
mod tests;
