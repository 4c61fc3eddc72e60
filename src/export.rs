//! What was learned, in the formats of other programs.
//!
//! | here | gives |
//! |---|---|
//! | [`onnx`] | trunk and head in one ONNX file |
//! | [`safetensors`] | the head alone |
//! | [`Calibrator`], [`Firmware`] | trunk and head on 8-bit integers, as Rust or C for a microcontroller |
//!
//! ```text
//! Classifier --onnx--> pets.onnx
//! Classifier --Calibrator, ranges of photos--> Firmware --to_rust, to_c--> pets.rs, pets.c
//! ```

mod arena;
mod c;
mod error;
mod firmware;
mod kernels;
mod lower;
mod metadata;
mod network;
mod onnx;
mod quantize;
mod quantized;
mod rust;
mod safetensors;
mod text;

pub use error::{FirmwareError, NotLinear, OnnxError, Unsupported};
pub use firmware::{Calibrator, Firmware, Ranges};
pub use metadata::{channels, filter, layout, neck_json, preprocess_json, shortest, unknown_json};
pub use onnx::onnx;
pub use safetensors::safetensors;
