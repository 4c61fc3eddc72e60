//! A piece of a network as plain data, to be carried elsewhere: operators in the order in which they run, and constants.

use std::collections::HashMap;

/// An operator with the names of the tensors that it takes and gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// The node's name.
    pub name: String,
    /// ONNX operator type.
    pub operator: String,
    /// Names of tensors; empty for an optional input that is left out.
    pub inputs: Vec<String>,
    /// Names of tensors, the first not empty.
    pub outputs: Vec<String>,
    /// By name; those that are left out have ONNX's default.
    pub attributes: HashMap<String, Attribute>,
}

/// The value of an operator's attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A 32-bit float.
    Float(f32),
    /// A word.
    Text(String),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Any other kind.
    Other,
}

/// A tensor that does not depend on the network's input.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub values: Values,
}

/// Numbers of a [`Constant`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// 32-bit floats; floats of other widths are read as these.
    F32(Vec<f32>),
    /// 8-bit integers.
    I8(Vec<i8>),
    /// 64-bit integers; integers of other widths are read as these.
    I64(Vec<i64>),
}

/// The layers of a trunk, from its input to its cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Operations {
    /// Name of the input tensor.
    pub input: String,
    /// Name of the tensor that the trunk is cut at.
    pub output: String,
    /// Every operation after those that make its inputs.
    pub nodes: Vec<Operation>,
    /// By tensor name.
    pub constants: HashMap<String, Constant>,
}

/// Layers to be put behind a trunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tail {
    /// In the order in which they run; [`Tail::cut`] names the tensors that the trunk is cut at.
    pub nodes: Vec<Operation>,
    /// By tensor name.
    pub constants: Vec<(String, Constant)>,
    /// Names and shapes of the outputs, f32.
    pub outputs: Vec<(String, Vec<usize>)>,
    /// Name of the graph.
    pub name: String,
    /// What is said of the network, by key.
    pub metadata: Vec<(String, String)>,
}

impl Tail {
    /// Stands for the output of a layer that the trunk is cut at, by its place in the trunk's [`Tap`](super::Tap).
    pub fn cut(at: usize) -> String {
        format!("\0cut{at}")
    }
}
