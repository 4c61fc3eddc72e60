//! A trunk and its head on 8-bit integers: what firmware computes, run here layer by layer.

use super::arena::{self, Life};
use super::kernels::{self, Linear};
pub(super) use super::kernels::{Levels, Window};
use super::network::Shape;
use super::quantize::Quantization;

/// Trunk and head on integers. Values are numbered as in the float network.
pub(super) struct Quantized {
    /// Shape of each value.
    pub shapes: Vec<Shape>,
    /// Scale and zero of each value.
    pub values: Vec<Quantization>,
    pub layers: Vec<IntegerLayer>,
    pub head: Head,
}

pub(super) struct IntegerLayer {
    /// Name of its ONNX node.
    pub name: String,
    /// Values that it takes.
    pub inputs: Vec<usize>,
    pub op: IntegerOp,
}

/// One variant for each function of [`kernels`].
pub(super) enum IntegerOp {
    Conv(Window, IntegerLinear, Levels),
    Depthwise(Window, IntegerLinear, Levels),
    Dense(IntegerLinear, Levels),
    Add { zeros: [i32; 2], multipliers: [i32; 2], shift: u8, levels: Levels },
    GlobalAveragePool(Rescale, Levels),
    AveragePool(Window),
    MaxPool(Window),
    Clamp(Levels),
}

/// [`kernels::Linear`], owned.
#[derive(Default)]
pub(super) struct IntegerLinear {
    pub weights: Vec<i8>,
    pub bias: Vec<i32>,
    pub multiplier: Vec<i32>,
    pub shift: Vec<u8>,
}

/// `multiplier / 2^shift`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rescale {
    pub multiplier: i32,
    pub shift: u8,
}

pub(super) struct Head {
    /// Bias in units of 2^-16.
    pub linear: IntegerLinear,
    /// Zero of the features.
    pub zero: i32,
    pub to_length_1: bool,
    pub labels: Vec<String>,
}

/// Where the values lie, but for the input, which is the caller's.
pub(super) struct Plan {
    /// By value.
    pub offsets: Vec<usize>,
    pub bytes: usize,
}

impl IntegerLinear {
    pub(super) fn view(&self) -> Linear<'_> {
        let Self { weights, bias, multiplier, shift } = self;
        Linear { weights, bias, multiplier, shift }
    }

    fn bytes(&self) -> usize {
        self.weights.len() + 9 * self.bias.len()
    }
}

impl IntegerOp {
    pub(super) fn linear(&self) -> Option<&IntegerLinear> {
        match self {
            Self::Conv(_, linear, _) | Self::Depthwise(_, linear, _) | Self::Dense(linear, _) => Some(linear),
            _ => None,
        }
    }
}

impl Quantized {
    /// Numbers of a value.
    pub(super) fn len(&self, value: usize) -> usize {
        self.shapes[value].iter().product()
    }

    /// Bytes of weights, biases, multipliers and shifts.
    pub(super) fn constant_bytes(&self) -> usize {
        let linears = self.layers.iter().filter_map(|layer| layer.op.linear());
        linears.chain([&self.head.linear]).map(IntegerLinear::bytes).sum()
    }

    /// The features of `input`, its shape that of value 0.
    pub(super) fn features(&self, input: &[i8]) -> Vec<i8> {
        let mut values = vec![input.to_vec()];
        for (at, IntegerLayer { inputs, op, .. }) in self.layers.iter().enumerate() {
            let mut output = vec![0; self.len(at + 1)];
            let (a, out) = (&values[inputs[0]], &mut output);
            match op {
                IntegerOp::Conv(window, linear, levels) => kernels::conv(a, out, window, &linear.view(), levels),
                IntegerOp::Depthwise(window, linear, levels) => {
                    kernels::depthwise(a, out, window, &linear.view(), levels)
                }
                IntegerOp::Dense(linear, levels) => kernels::dense(a, out, &linear.view(), levels),
                IntegerOp::Add { zeros, multipliers, shift, levels } => {
                    kernels::add(a, &values[inputs[1]], out, *zeros, *multipliers, *shift, levels);
                }
                IntegerOp::GlobalAveragePool(Rescale { multiplier, shift }, levels) => {
                    kernels::global_average(a, out, *multiplier, *shift, levels);
                }
                IntegerOp::AveragePool(window) => kernels::average_pool(a, out, window),
                IntegerOp::MaxPool(window) => kernels::max_pool(a, out, window),
                IntegerOp::Clamp(levels) => kernels::clamp(a, out, levels),
            }
            values.push(output);
        }
        values.swap_remove(self.layers.len())
    }

    /// Probability of each class for features, and the most probable class.
    pub(super) fn judge(&self, features: &[i8]) -> (Vec<f32>, usize) {
        let Head { linear, zero, to_length_1, labels } = &self.head;
        let mut scores = vec![0.0; labels.len()];
        let best = kernels::head(features, &mut scores, &linear.view(), *zero, *to_length_1);
        (scores, best)
    }

    /// Where the values lie in the arena: each from the layer that makes it to the last that takes it.
    pub(super) fn plan(&self) -> Plan {
        let n = self.layers.len();
        let last = |value: usize| match value == n {
            // The head takes the features.
            true => n,
            false => (0..n).filter(|at| self.layers[*at].inputs.contains(&value)).max().unwrap_or(value - 1),
        };
        let life = |value: usize| Life { first: value - 1, last: last(value), bytes: self.len(value) };
        let (mut offsets, bytes) = arena::plan(&(1..=n).map(life).collect::<Vec<_>>());
        offsets.insert(0, 0);
        Plan { offsets, bytes }
    }
}
