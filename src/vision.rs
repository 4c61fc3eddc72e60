//! From a photo file to the input tensor of a network.
//!
//! ```text
//! file --open--> upright RGB8 --Preprocessor::apply--> [1, 3, H, W] f32
//! ```
//!
//! [`open`] and [`decode`] take whatever a camera or the web left behind: they go by the content and not by the name,
//! turn the photo upright by its EXIF orientation, lay transparency over white, and refuse a damaged, a cut or an
//! absurdly large file with one line that says so. [`Preprocessor`] then does to the pixels what the network's
//! authors did to theirs ([`Preprocess`](topgraft_core::preprocess::Preprocess)): crop, resize as Pillow does,
//! normalise.
//!
//! ```
//! use topgraft::vision::{self, Preprocessor};
//! use topgraft_core::preprocess::Preprocess;
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("photo.png");
//! # image::RgbImage::new(640, 480).save(&path)?;
//! let photo = vision::open(&path)?;
//! let mut preprocessor = Preprocessor::new(&Preprocess::IMAGENET)?;
//! let input = preprocessor.apply(&photo);
//! assert_eq!(input.shape(), [1, 3, 224, 224]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod augment;
mod decode;
mod encode;
mod jpeg;
mod preprocessor;
mod resize;

pub use augment::Augment;
pub use decode::{
    DecodeError, EXTENSIONS, MAX_FILE_BYTES, MAX_MEMORY, MAX_PIXELS, MAX_SIDE, OpenError, decode, decode_within,
    decoding_memory, dimensions, is_photo_name, open, read,
};
pub use encode::encode_jpeg;
pub use preprocessor::{InputTensor, Preprocessor};
