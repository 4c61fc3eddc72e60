//! The frozen part of a pretrained network: an ONNX file is opened, cut at a layer, and run on pictures.
//!
//! ```text
//! ONNX file --Backbone::open--> Backbone --cut(layer, preprocess)--> Trunk --features(input tensor)--> [feature_dim] f32
//! ```
//!
//! A [`Backbone`] is the network as it came: its [layers](Backbone::layers), the one to [cut at by
//! default](Backbone::penultimate), its own [classifier](Backbone::classifier), and how a picture becomes its input, which
//! the file does not say and a [`Catalog`] does. A [`Trunk`] is what remains of it before the cut, optimised for this CPU.
//! Both know nothing of heads, samples or photos.
//!
//! A [`Source`] carries a trunk elsewhere: into an ONNX file with other layers behind it, or as plain [`Operations`].
//!
//! tract runs the network. This folder is the only one that names it, and in it only `onnx` (the file's structure) and
//! `engine` (shapes and numbers) do; everything else works on plain data.
//!
//! # The fingerprint
//! [`Trunk::fingerprint`] names all that the features depend on. It is the SHA-256 of these bytes, one after the other:
//!
//! 1. 32 bytes: SHA-256 of the ONNX file. If the file keeps weights in other files (external data): SHA-256 of the ONNX
//!    file's SHA-256 followed by the SHA-256 of each of these files, in the order in which the ONNX file first names
//!    them, its initializers before its nodes;
//! 2. 4 bytes: length in bytes of the name of the cut layer's *output tensor*, u32 little-endian. A node's name need not be
//!    unique; and so the fingerprint is the same whichever of the two names the cut was asked for by;
//! 3. that name, UTF-8;
//! 4. 1 byte: 0 if that tensor, `[1, D]`, is the features, 1, 2 or 3 for how its `[1, C, H, W]` is pooled: [`Pooling`]; if
//!    several layers are read, 2. to 4. for each;
//! 5. 36 bytes: the preprocessing, as [`Preprocess::to_bytes`](topgraft_core::preprocess::Preprocess::to_bytes) has it.
//!
//! A trunk with a [`Neck`] has the SHA-256 of the neck's bytes ([`Neck::to_bytes`]), which begin with the trunk's own fingerprint. One
//! without a network has the SHA-256 of `topgraft pixels` and a zero byte, then the preprocessing; or of `topgraft rows` and
//! a zero byte, then the number of columns, u32 little-endian.
//!
//! The CPU is not among them: features of the same picture may differ in the last bits between kinds of CPU.

mod backbone;
mod catalog;
mod cut;
#[cfg(feature = "encoder")]
mod encoder;
mod engine;
mod error;
mod layers;
mod neck;
mod onnx;
mod operations;
mod pooling;
mod raw;
mod source;
mod tap;
mod taps;

#[cfg(feature = "embed-backbone")]
pub(crate) use backbone::EMBEDDED;
pub use backbone::{Backbone, Provenance, hex};
pub use catalog::{Catalog, CatalogError, Cut, Entry, Vectors, imagenet_labels};
pub use cut::Trunk;
pub(crate) use cut::nearest;
#[cfg(feature = "encoder")]
pub use encoder::Encoder;
#[cfg(feature = "encoder")]
pub use error::EncoderError;
pub use error::{CarryError, CutError, NeckError, NoDefaultCut, OpenError, RunError};
pub use layers::Layer;
pub use neck::{CHUNK as NECK_CHUNK, Neck};
pub use operations::{Attribute, Constant, Operation, Operations, Tail, Values};
pub use pooling::Pooling;
pub use source::Source;
pub use tap::{Part, Tap};
pub use taps::Taps;
