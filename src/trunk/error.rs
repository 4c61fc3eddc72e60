//! What can go wrong with a backbone, one enum an operation. `model` is the file's path, or the name given with bytes.

use std::io;
use std::path::PathBuf;

use topgraft_core::preprocess::{Preprocess, PreprocessError};

use super::catalog::CatalogError;

/// Why a file is no sentence encoder, or does not run.
#[cfg(feature = "encoder")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// It is no network that can be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its inputs are others than a sentence encoder's.
    #[error(
        "{model} takes {}, and a sentence encoder `input_ids`, `attention_mask` and perhaps `token_type_ids`",
        inputs.join(", ")
    )]
    Inputs {
        /// Path.
        model: String,
        /// Names of the inputs.
        inputs: Vec<String>,
    },
    /// It cannot be made ready to run.
    #[error("{model} cannot be run as a sentence encoder: {reason}")]
    Analysis {
        /// Path.
        model: String,
        /// What failed, in tract's words.
        reason: String,
    },
    /// It failed on a text.
    #[error("{model} fails on a text of {pieces} pieces: {reason}; is the tokenizer this network's own?")]
    Run {
        /// Name.
        model: String,
        /// Pieces of the text.
        pieces: usize,
        /// What failed, in tract's words.
        reason: String,
    },
}

/// Why a [`Backbone`](super::Backbone) cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is not there or cannot be read.
    #[error("cannot read the ONNX file {model}: {source}")]
    Read {
        /// Path of the file.
        model: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than a protobuf message can be.
    #[error(
        "{model} is larger than {limit} bytes, the most that an ONNX file can hold; keep its weights in a file beside it (external data)"
    )]
    TooLarge {
        /// Path or name.
        model: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are something else, or damaged.
    #[error("{model} is not an ONNX network: {reason}")]
    NotOnnx {
        /// Path or name.
        model: String,
        /// What the bytes are or lack, and what to do.
        reason: String,
    },
    /// The network has no input, or several.
    #[error("{model} has {} inputs ({}), but a backbone takes one picture{}", inputs.len(), inputs.join(", "), hint(inputs))]
    Inputs {
        /// Path or name.
        model: String,
        /// Names of the inputs.
        inputs: Vec<String>,
    },
    /// The network's input is no RGB picture of 32-bit floats.
    #[error(
        "{model} takes {found} as its input, but a backbone takes f32 pictures [1, 3, height, width] or [1, height, width, 3], or of one channel"
    )]
    Input {
        /// Path or name.
        model: String,
        /// Name, element type and shape of the input.
        found: String,
    },
    /// The catalog beside the network says another layout than the network's own.
    #[error("{} says that {model} has the layout {stated}, but it takes {found}; correct it there", catalog.display())]
    Layout {
        /// Path or name.
        model: String,
        /// The catalog that describes it.
        catalog: PathBuf,
        /// The catalog's layout, in its words.
        stated: &'static str,
        /// Name, element type and shape of the input.
        found: String,
    },
    /// The network leaves height and width open, and nothing says what they are.
    #[error(
        "{model} leaves the size of its input open ({found}); say it in an entry of a catalog.toml beside the file"
    )]
    OpenSize {
        /// Path or name.
        model: String,
        /// Name, element type and shape of the input.
        found: String,
    },
    /// The network uses an operator that cannot be run.
    #[error(
        "{model} uses the operator {operator} at layer {layer}, which is not supported; export it without, or cut the file before that layer"
    )]
    UnsupportedOperator {
        /// Path or name.
        model: String,
        /// ONNX operator type.
        operator: String,
        /// Name of the first layer that uses it.
        layer: String,
    },
    /// The weights are kept in another file, which is not there.
    #[error("{model} keeps its weights in {}, which cannot be read: {source}; put that file beside it under that name", file.display())]
    Weights {
        /// Path or name.
        model: String,
        /// The file that is missing.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The weights are kept in another file, in a folder whose path tract cannot be told.
    #[error(
        "{model} keeps its weights in other files, and these are found only if the path is UTF-8, which {} is not; rename that folder",
        folder.display()
    )]
    WeightsFolder {
        /// Path or name.
        model: String,
        /// The network's folder.
        folder: PathBuf,
    },
    /// The file is ONNX, but its layers do not fit together, or not in this input size.
    #[error("{model} cannot be run with an input of {}: {reason}", shape(input))]
    Analysis {
        /// Path or name.
        model: String,
        /// Shape of the input.
        input: [usize; 4],
        /// The first contradiction.
        reason: String,
    },
    /// The network's own input is larger than any that is made.
    #[error(
        "{model} takes {found}, which cannot be made of a photo: {source}; export it with at most {} pixels a side",
        Preprocess::MAX_SIDE
    )]
    InputSize {
        /// Path or name.
        model: String,
        /// Name, element type and shape of the input.
        found: String,
        /// The number that is out of range.
        source: PreprocessError,
    },
    /// No layer gives features.
    #[error(
        "{model} has no layer to cut at: none gives f32 numbers of shape [1, D] or [1, C, H, W]; of a quantised network take \
         the version in floats"
    )]
    NoLayers {
        /// Path or name.
        model: String,
    },
    /// The catalog beside the network is malformed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The catalog beside the network describes this file name with other bytes.
    #[error("{model} has SHA-256 {found}, but {} says {expected}: the download is damaged, or it is another file", catalog.display())]
    Checksum {
        /// Path or name.
        model: String,
        /// The catalog that names it.
        catalog: PathBuf,
        /// The catalog's checksum, hexadecimal.
        expected: String,
        /// The file's checksum, hexadecimal.
        found: String,
    },
}

/// Why a backbone has no default cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{backbone} ends neither in a fully connected layer nor in features; name the layer to cut at")]
pub struct NoDefaultCut {
    /// The backbone's name.
    pub backbone: String,
}

/// Why a backbone cannot be cut at a layer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// No layer has that name.
    #[error("{backbone} has no layer {layer} to cut at; the nearest names are {}", nearest.join(", "))]
    UnknownLayer {
        /// The backbone's name.
        backbone: String,
        /// The name that was asked for.
        layer: String,
        /// The three names that look most like it, best first.
        nearest: Vec<String>,
    },
    /// A part of the cut names no layer.
    #[error("{backbone} cannot be cut at `{cut}`: a part of it names no layer; write LAYER, LAYER:max or LAYER+LAYER")]
    Nameless {
        /// The backbone's name.
        backbone: String,
        /// The cut that was asked for.
        cut: String,
    },
    /// No pooling has that name.
    #[error("there is no pooling `{pooling}` for layer {layer}; give `{layer}`, `{layer}:max` or `{layer}:pyramid`")]
    UnknownPooling {
        /// The layer that was asked for.
        layer: String,
        /// The pooling that was asked for.
        pooling: String,
    },
    /// That is the network's input.
    #[error("{backbone} cannot be cut at {input}, its input: nothing is before it; the first layer is {first}")]
    BeforeFirst {
        /// The backbone's name.
        backbone: String,
        /// Name of the input tensor.
        input: String,
        /// Name of the first layer.
        first: String,
    },
    /// Several layers have that name.
    #[error(
        "{backbone} has {} layers named {layer}; cut at one of them by its output: {}",
        outputs.len(), outputs.iter().take(3).cloned().collect::<Vec<_>>().join(", ") + if outputs.len() > 3 { " ..." } else { "" }
    )]
    Ambiguous {
        /// The backbone's name.
        backbone: String,
        /// The name that was asked for.
        layer: String,
        /// Output tensors of these layers, in the order of the file.
        outputs: Vec<String>,
    },
    /// The layer's output is not a map that could be pooled so.
    #[error(
        "{backbone} has no map at layer {layer} to pool by {pooling}: its output is {}; give that layer without `:{pooling}`",
        shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
    )]
    Pooling {
        /// The backbone's name.
        backbone: String,
        /// The layer.
        layer: String,
        /// Shape of its output.
        shape: Vec<usize>,
        /// How it was to be pooled.
        pooling: &'static str,
    },
    /// The same was to be joined twice.
    #[error("{backbone} was to be cut at {cut}, which has {part} twice; give it once")]
    Twice {
        /// The backbone's name.
        backbone: String,
        /// The cut that was asked for.
        cut: String,
        /// The part that is there twice.
        part: String,
    },
    /// More layers were to be joined than is supported.
    #[error("{backbone} was to be cut at {layers} layers at once; join at most {most}")]
    TooManyLayers {
        /// The backbone's name.
        backbone: String,
        /// How many were given.
        layers: usize,
        /// How many may be.
        most: usize,
    },
    /// The preprocessing makes another input than the one that the backbone was opened with.
    #[error(
        "{backbone} was opened with an input of {}, but the preprocessing makes {}; open it with that size",
        shape(expected),
        shape(found)
    )]
    Input {
        /// The backbone's name.
        backbone: String,
        /// Shape of the backbone's input.
        expected: [usize; 4],
        /// Shape that the preprocessing makes.
        found: [usize; 4],
    },
    /// The preprocessing has a number out of its range.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The layers up to the cut cannot be made ready to run.
    #[error("{backbone} cannot be cut at {layer}: {reason}")]
    Compile {
        /// The backbone's name.
        backbone: String,
        /// The layer.
        layer: String,
        /// What failed.
        reason: String,
    },
}

/// Why a [`Trunk`](super::Trunk) gives no features.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The input tensor has another shape than the trunk's.
    #[error(
        "the trunk {trunk} takes an input of {}, not {}; make it with the trunk's own preprocessing",
        shape(expected),
        shape(found)
    )]
    Shape {
        /// Backbone and cut.
        trunk: String,
        /// Shape that the trunk takes.
        expected: [usize; 4],
        /// Shape that it was given.
        found: [usize; 4],
    },
    /// A number of the input is NaN or infinite.
    #[error("number {index} of the input of the trunk {trunk} is not finite; check what made the input")]
    InputNotFinite {
        /// Backbone and cut.
        trunk: String,
        /// The first such number, counted row-major.
        index: usize,
    },
    /// A feature is NaN or infinite.
    #[error(
        "feature {index} of the trunk {trunk} is not finite; check that its input was made with its own preprocessing"
    )]
    NotFinite {
        /// Backbone and cut.
        trunk: String,
        /// The first such feature.
        index: usize,
    },
    /// A row has another number of columns.
    #[error("the trunk {trunk} takes rows of {expected} numbers, not {found}")]
    Columns {
        /// What it is.
        trunk: String,
        /// Numbers that it takes.
        expected: usize,
        /// Numbers that it was given.
        found: usize,
    },
    /// It was given photos instead of rows, or rows instead of photos.
    #[error("the trunk {trunk} takes {takes}, not {given}")]
    Kind {
        /// What it is.
        trunk: String,
        /// What it takes.
        takes: &'static str,
        /// What it was given.
        given: &'static str,
    },
    /// A layer failed.
    #[error("the trunk {trunk} failed: {reason}")]
    Failed {
        /// Backbone and cut.
        trunk: String,
        /// What failed.
        reason: String,
    },
}

/// A neck was put behind a trunk whose features mean nothing to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the neck was developed on another trunk than this {trunk}; give the network that it was developed on by --backbone, \
     or develop it again"
)]
pub struct NeckError {
    /// The trunk.
    pub trunk: String,
}

/// Why a trunk cannot be carried elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// The file is not the one that the trunk was made of.
    #[error("{model} is another file now than when the trunk was made of it; try again")]
    Other {
        /// Path or name.
        model: String,
    },
    /// The trunk is more than layers of that file, or none of them.
    #[error(
        "the trunk {trunk} cannot be carried elsewhere, only layers of an ONNX file can; learn a head on one without a neck"
    )]
    NotANetwork {
        /// What it is.
        trunk: String,
    },
    /// A weight cannot be read.
    #[error("{model} has weights that cannot be read: {reason}")]
    Weights {
        /// Path or name.
        model: String,
        /// What failed.
        reason: String,
    },
    /// The file is too old.
    #[error(
        "{model} uses version {opset} of ONNX's operators, and no layers can be put behind those before {oldest}; export it anew"
    )]
    Opset {
        /// Path or name.
        model: String,
        /// The file's version.
        opset: i64,
        /// The oldest version that is good.
        oldest: i64,
    },
    /// The result would be larger than a protobuf message can be.
    #[error("{model} with a head behind it does not fit the 2 GiB of an ONNX file")]
    TooLarge {
        /// Path or name.
        model: String,
    },
}

/// What to do about several inputs.
fn hint(inputs: &[String]) -> &'static str {
    match inputs.iter().any(|input| ["input_ids", "attention_mask", "token_type_ids"].contains(&input.as_str())) {
        true => "; it reads text, and only networks for pictures can be cut",
        false => "; export the image part alone",
    }
}

/// `1x3x224x224`
fn shape(of: &[usize; 4]) -> String {
    of.map(|n| n.to_string()).join("x")
}
